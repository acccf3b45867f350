//! Everything that blocks a whole account, and what an operator does about each.
//!
//! Reasons are stable names that dashboards and runbooks may rely on; append, never rename.

use crate::domain::user_sign_in::CERTIFICATE_EXPIRED;

const SET_A_REFRESH_TOKEN: &str = "\
     The call is open to an application that acts for a user only, and this partner account has no refresh \
     token of one. Set a refresh token for it.";
const REGISTER_THE_CERTIFICATE: &str = "\
     The sign-in service does not accept the client certificate. Add its public part under Certificates & \
     secrets of the application in Microsoft Entra, or set a certificate that is there for this partner \
     account; check also that this machine's clock is right.";
const RENEW_THE_CERTIFICATE: &str = "\
     The client certificate is no longer valid. Make a new one, add it under Certificates & secrets of the \
     application in Microsoft Entra, and set it for this partner account.";
const PUT_THE_KEY_BACK: &str = "\
     The refresh token of this partner account was sealed under a key that the service does not have, or was \
     changed. Put the key back into the file that sealing_key_file names and restart the service, or set a new \
     refresh token.";

/// What is wrong with an account's access to Partner Center.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blockage {
    /// The sign-in service does not accept the client secret.
    ClientSecretRefused,
    /// The sign-in service does not know the application in the partner's tenant.
    ApplicationNotFound,
    /// The sign-in service does not know the partner's tenant.
    TenantNotFound,
    /// The application's permission was revoked or never given.
    ConsentNeeded,
    /// A Conditional Access policy stops the application.
    ConditionalAccess,
    /// The application lives in another of Microsoft's clouds.
    WrongCloud,
    /// The token is for an audience that Partner Center does not or no longer accept.
    AudienceRefused,
    /// The sign-in service refuses the request for another reason.
    TokenRequestRefused,
    /// The token belongs to another tenant than the account's.
    TenantMismatch,
    /// Partner Center refuses even a fresh token.
    TokenRefused,
    /// Partner Center wants multi-factor authentication.
    MfaRequired,
    /// The application has no role that allows the call.
    RoleMissing,
    /// The call is not open to an application without a user.
    AppOnlyRefused,
    /// The partner has not signed its agreement, or its program is not active.
    PartnerAgreement,
    /// Partner Center forbids a call about the account as a whole.
    AccessDenied,
    /// The account has no user to call for.
    UserSignInMissing,
    /// The sign-in service does not accept the client certificate.
    ClientCertificateRefused,
    /// The client certificate is no longer valid.
    CertificateExpired,
    /// The refresh token that is kept cannot be opened.
    RefreshTokenUnreadable,
}

impl Blockage {
    /// Every blockage.
    pub const ALL: [Self; 19] = [
        Self::ClientSecretRefused,
        Self::ApplicationNotFound,
        Self::TenantNotFound,
        Self::ConsentNeeded,
        Self::ConditionalAccess,
        Self::WrongCloud,
        Self::AudienceRefused,
        Self::TokenRequestRefused,
        Self::TenantMismatch,
        Self::TokenRefused,
        Self::MfaRequired,
        Self::RoleMissing,
        Self::AppOnlyRefused,
        Self::PartnerAgreement,
        Self::AccessDenied,
        Self::UserSignInMissing,
        Self::ClientCertificateRefused,
        Self::CertificateExpired,
        Self::RefreshTokenUnreadable,
    ];

    /// The blockage of that stable name.
    pub fn named(reason: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|blockage| blockage.reason() == reason)
    }

    /// The stable name.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::ClientSecretRefused => "CLIENT_SECRET_REFUSED",
            Self::ApplicationNotFound => "APPLICATION_NOT_FOUND",
            Self::TenantNotFound => "TENANT_NOT_FOUND",
            Self::ConsentNeeded => "CONSENT_NEEDED",
            Self::ConditionalAccess => "CONDITIONAL_ACCESS",
            Self::WrongCloud => "WRONG_CLOUD",
            Self::AudienceRefused => "AUDIENCE_REFUSED",
            Self::TokenRequestRefused => "TOKEN_REQUEST_REFUSED",
            Self::TenantMismatch => "TENANT_MISMATCH",
            Self::TokenRefused => "TOKEN_REFUSED",
            Self::MfaRequired => "MFA_REQUIRED",
            Self::RoleMissing => "ROLE_MISSING",
            Self::AppOnlyRefused => "APP_ONLY_REFUSED",
            Self::PartnerAgreement => "PARTNER_AGREEMENT",
            Self::AccessDenied => "ACCESS_DENIED",
            Self::UserSignInMissing => "USER_SIGN_IN_MISSING",
            Self::ClientCertificateRefused => "CLIENT_CERTIFICATE_REFUSED",
            Self::CertificateExpired => CERTIFICATE_EXPIRED,
            Self::RefreshTokenUnreadable => "REFRESH_TOKEN_UNREADABLE",
        }
    }

    /// What to do, for the operator.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::ClientSecretRefused => {
                "The client secret is wrong or has expired. Create a new one under Certificates & secrets of the \
                 application in Microsoft Entra and set it for this partner account."
            }
            Self::ApplicationNotFound => {
                "The application is not known in the partner's tenant. Check the client id and the tenant id of this \
                 partner account."
            }
            Self::TenantNotFound => {
                "The sign-in service does not know the tenant. Check the tenant id and the cloud of this partner \
                 account."
            }
            Self::ConsentNeeded => {
                "The application's permission is missing or was revoked. Let an administrator of the partner's \
                 tenant grant it again."
            }
            Self::ConditionalAccess => {
                "A Conditional Access policy of the partner's tenant blocks the application. Exempt it, or let it in \
                 from this service's addresses."
            }
            Self::WrongCloud => {
                "The application belongs to another Microsoft cloud. Set the cloud of this partner account to the \
                 one its tenant lives in."
            }
            Self::AudienceRefused => {
                "Partner Center does not accept tokens of this audience. Check the audience setting of this \
                 partner account's cloud, and that the Partner Center API permission was granted in Microsoft Entra."
            }
            Self::TokenRequestRefused => {
                "The sign-in service refuses to issue a token. Check tenant id, client id, client secret and cloud of \
                 this partner account; the code names the cause."
            }
            Self::TenantMismatch => {
                "The token belongs to another tenant than this partner account. The credentials were probably swapped \
                 with another account's; set the right ones."
            }
            Self::TokenRefused => {
                "Partner Center refuses a fresh token. Register the application under App management in Partner \
                 Center, and check the audience of this partner account's cloud."
            }
            Self::MfaRequired => {
                "Partner Center asks for multi-factor authentication, which it does not ask of applications. Check \
                 that the application is registered in Partner Center for app-only access."
            }
            Self::RoleMissing => {
                "The application has no right to read customers. Register it under App management in Partner Center \
                 and check its permissions."
            }
            Self::AppOnlyRefused => {
                "Partner Center does not allow this call to an application without a user. Check that the account is \
                 of a kind that may use the Partner Center API (a direct-bill partner or an indirect provider)."
            }
            Self::PartnerAgreement => {
                "The Microsoft Partner Agreement is not signed, or the program is not active. An administrator of \
                 the partner resolves this in Partner Center."
            }
            Self::AccessDenied => {
                "Partner Center forbids this call for the whole account. Check the account's program and the \
                 application's registration in Partner Center."
            }
            Self::UserSignInMissing => SET_A_REFRESH_TOKEN,
            Self::ClientCertificateRefused => REGISTER_THE_CERTIFICATE,
            Self::CertificateExpired => RENEW_THE_CERTIFICATE,
            Self::RefreshTokenUnreadable => PUT_THE_KEY_BACK,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_a_name_of_its_own_with_something_to_do() {
        let mut reasons: Vec<_> = Blockage::ALL.into_iter().map(Blockage::reason).collect();
        for blockage in Blockage::ALL {
            assert!(blockage.reason().bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'), "{blockage:?}");
            assert!(blockage.remedy().ends_with('.'), "{blockage:?}");
        }
        assert!(Blockage::ALL.into_iter().all(|blockage| Blockage::named(blockage.reason()) == Some(blockage)));
        reasons.sort_unstable();
        reasons.dedup();
        assert_eq!(reasons.len(), Blockage::ALL.len());
    }
}
