//! By what an account signs in, how its user fares, and what an operator should know of both before it fails.
//!
//! Reasons are stable names that dashboards and runbooks may rely on; append, never rename.

use std::time::Duration;

use crate::clock::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How often a refresh token is used at least, and a refused one tried again: its window of 90 days begins anew each time.
pub const USED_EVERY: Duration = DAY;
/// How long before a certificate's end its operator is warned.
const CERTIFICATE_WARNING: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long a refresh token may go unused before its operator is warned.
const REFRESH_TOKEN_WARNING: Duration = Duration::from_secs(60 * 24 * 60 * 60);

/// By what the application of an account signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// A client secret.
    ClientSecret,
    /// A certificate and its private key.
    ClientCertificate {
        /// The end of its validity.
        expires_at: Timestamp,
    },
}

impl CredentialKind {
    /// The name used in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientSecret => "CLIENT_SECRET",
            Self::ClientCertificate { .. } => "CLIENT_CERTIFICATE",
        }
    }

    /// The kind of that name with that end.
    pub fn named(name: &str, expires_at: Option<Timestamp>) -> Option<Self> {
        match (name, expires_at) {
            ("CLIENT_SECRET", None) => Some(Self::ClientSecret),
            ("CLIENT_CERTIFICATE", Some(expires_at)) => Some(Self::ClientCertificate { expires_at }),
            _ => None,
        }
    }

    /// The end of its validity, if it has one.
    pub const fn expires_at(self) -> Option<Timestamp> {
        match self {
            Self::ClientSecret => None,
            Self::ClientCertificate { expires_at } => Some(expires_at),
        }
    }
}

/// How the user of an account fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserStanding {
    /// When the refresh token was set.
    pub set_at: Timestamp,
    /// When one was last used with success.
    pub succeeded_at: Option<Timestamp>,
    /// Why the user is ruled out, if that was found.
    pub refused: Option<UserRefusal>,
}

/// Why a user is ruled out until somebody acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRefusal {
    /// A stable name of what is wrong, such as `CONSENT_NEEDED`.
    pub reason: String,
    /// The sign-in service's code.
    pub code: Option<String>,
    /// What to do, for an operator.
    pub detail: String,
    /// Since when.
    pub since: Timestamp,
    /// When it was last seen.
    pub at: Timestamp,
}

impl UserStanding {
    /// When the token is to be used again although nobody needs it.
    pub fn due_at(&self) -> Timestamp {
        let tried = self.refused.as_ref().map(|refused| refused.at).max(self.succeeded_at);
        tried.map_or(self.set_at, |tried| tried.plus(USED_EVERY))
    }

    /// Why nobody asks now: the user is ruled out and it is too early to look again. A refusal from the future is a clock
    /// that was set back.
    pub fn barred(&self, now: Timestamp) -> Option<&UserRefusal> {
        self.refused.as_ref().filter(|refused| refused.at <= now && now < refused.at.plus(USED_EVERY))
    }
}

/// Something that works yet, or does not keep the application from working.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// A stable name.
    pub reason: String,
    /// What to do, for an operator.
    pub detail: String,
    /// Since when.
    pub since: Timestamp,
}

/// What to say about a certificate, if anything: that it ends soon, or has ended.
pub fn certificate_warning(kind: CredentialKind, now: Timestamp) -> Option<Warning> {
    let end = kind.expires_at()?;
    let soon = end.minus(CERTIFICATE_WARNING);
    let (reason, what, since) = if end <= now {
        (CERTIFICATE_EXPIRED, "has ended", end)
    } else if soon < now {
        (CERTIFICATE_EXPIRES_SOON, "ends soon", soon)
    } else {
        return None;
    };
    let detail = format!(
        "The validity of the client certificate {what} ({end}). Make a new certificate, add it under Certificates & \
         secrets of the application in Microsoft Entra, and set it for this partner account."
    );
    Some(Warning { reason: reason.to_owned(), detail, since })
}

/// The reason of a certificate that is no longer valid.
pub const CERTIFICATE_EXPIRED: &str = "CLIENT_CERTIFICATE_EXPIRED";
/// The reason of a certificate that will not be valid much longer.
pub const CERTIFICATE_EXPIRES_SOON: &str = "CLIENT_CERTIFICATE_EXPIRES_SOON";
/// The reason of a refresh token that nobody could use for long.
pub const REFRESH_TOKEN_AGING: &str = "REFRESH_TOKEN_AGING";

/// What to say about the user, if anything: that it is ruled out, or will be.
pub fn user_warning(user: &UserStanding, now: Timestamp) -> Option<Warning> {
    if let Some(refused) = &user.refused {
        let UserRefusal { reason, detail, since, .. } = refused.clone();
        return Some(Warning { reason, detail, since });
    }
    let since = user.succeeded_at.unwrap_or(user.set_at).plus(REFRESH_TOKEN_WARNING);
    let detail = "The refresh token of this partner account could not be used for more than 60 days; after 90 days Microsoft \
                  no longer takes it. Check the network and whether the sign-in service is available, or set a new refresh \
                  token.";
    (since < now).then(|| Warning { reason: REFRESH_TOKEN_AGING.to_owned(), detail: detail.to_owned(), since })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u64) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000).plus(DAY * u32::try_from(day).expect("few days"))
    }

    fn reason(warning: Option<Warning>) -> Option<String> {
        warning.map(|warning| warning.reason)
    }

    #[test]
    fn a_certificate_warns_thirty_days_before_its_end_and_then_has_ended() {
        let kind = CredentialKind::ClientCertificate { expires_at: day(100) };
        assert_eq!(certificate_warning(kind, day(70)), None);
        let soon = certificate_warning(kind, day(71)).expect("a warning");
        assert_eq!((soon.reason.as_str(), soon.since), (CERTIFICATE_EXPIRES_SOON, day(70)));
        assert_eq!(reason(certificate_warning(kind, day(99))).as_deref(), Some(CERTIFICATE_EXPIRES_SOON));
        assert_eq!(reason(certificate_warning(kind, day(100))).as_deref(), Some(CERTIFICATE_EXPIRED));
        assert_eq!(certificate_warning(CredentialKind::ClientSecret, day(100)), None);
    }

    #[test]
    fn a_token_that_was_not_used_for_sixty_days_is_said_to_age() {
        let unused = UserStanding { set_at: day(0), succeeded_at: None, refused: None };
        assert_eq!(user_warning(&unused, day(60)), None);
        assert_eq!(reason(user_warning(&unused, day(61))).as_deref(), Some(REFRESH_TOKEN_AGING));
        let used = UserStanding { succeeded_at: Some(day(50)), ..unused };
        assert_eq!(user_warning(&used, day(110)), None);
        assert_eq!(user_warning(&used, day(111)).map(|warning| warning.since), Some(day(110)));
    }

    #[test]
    fn a_token_is_due_at_once_and_then_daily_also_when_it_is_refused() {
        let unused = UserStanding { set_at: day(3), succeeded_at: None, refused: None };
        assert_eq!(unused.due_at(), day(3));
        let used = UserStanding { succeeded_at: Some(day(4)), ..unused };
        assert_eq!(used.due_at(), day(5));
        let refusal = UserRefusal {
            reason: "CONSENT_NEEDED".to_owned(),
            code: None,
            detail: "Sign in again.".to_owned(),
            since: day(5),
            at: day(6),
        };
        let refused = UserStanding { refused: Some(refusal), ..used };
        assert_eq!(refused.due_at(), day(7));
        assert!(refused.barred(day(6)).is_some());
        assert!(refused.barred(day(7)).is_none(), "a day later it is tried again");
        assert!(refused.barred(day(5)).is_none(), "the clock was set back");
        assert_eq!(user_warning(&refused, day(9)).map(|warning| warning.since), Some(day(5)));
    }

    #[test]
    fn a_kind_without_its_end_is_none() {
        assert_eq!(CredentialKind::named("CLIENT_CERTIFICATE", None), None);
        assert_eq!(CredentialKind::named("CLIENT_SECRET", Some(day(1))), None);
        for kind in [CredentialKind::ClientSecret, CredentialKind::ClientCertificate { expires_at: day(1) }] {
            assert_eq!(CredentialKind::named(kind.name(), kind.expires_at()), Some(kind));
        }
    }
}
