//! What keeps an account from being synchronized before Partner Center is even asked, and what to do about each.
//!
//! Reasons are stable names that dashboards and runbooks may rely on; append, never rename.

/// Why an account stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standstill {
    /// Nobody has set its credentials.
    NoCredentials,
    /// An operator stopped it.
    Disabled,
    /// The service has no key, or not the key under which its secret was sealed.
    SealingKeyMissing,
    /// Its sealed secret was changed, or belongs to another account.
    CredentialsUnreadable,
    /// The dry run of its new credentials is under way.
    CredentialsOnTrial,
    /// The dry run of its new credentials found so much that differs that an operator decides.
    CredentialsNeedApproval,
}

impl Standstill {
    /// The stable name.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoCredentials => "NO_CREDENTIALS",
            Self::Disabled => "ACCOUNT_DISABLED",
            Self::SealingKeyMissing => "SEALING_KEY_MISSING",
            Self::CredentialsUnreadable => "CREDENTIALS_UNREADABLE",
            Self::CredentialsOnTrial => "CREDENTIALS_ON_TRIAL",
            Self::CredentialsNeedApproval => "CREDENTIALS_NEED_APPROVAL",
        }
    }

    /// What to do, for the operator.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::NoCredentials => {
                "The account has no credentials yet. Set its client id and secret with SetPartnerAccountCredentials."
            }
            Self::Disabled => {
                "An operator stopped the account's synchronization. Set its state to ACTIVE to go on with it."
            }
            Self::SealingKeyMissing => {
                "The service does not have the key under which the account's secret was sealed. Put the key back into \
                 the file that sealing_key_file names and restart the service, or set the credentials again."
            }
            Self::CredentialsUnreadable => {
                "The account's sealed secret was changed or belongs to another account. Set its credentials again."
            }
            Self::CredentialsOnTrial => {
                "What the account's new credentials show is being compared with what is known. Wait until that is done."
            }
            Self::CredentialsNeedApproval => {
                "The account's new credentials show other customers than are known. Look at credential_trial of the \
                 partner account and accept it with AcceptCredentials, or set other credentials."
            }
        }
    }
}
