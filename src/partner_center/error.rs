//! What can go wrong between us and Partner Center, as facts, and what each means for the caller.
//!
//! The text of an [`Error`] goes to logs and operators: it holds statuses, codes and request ids, never a body, a
//! token, a link or a value of a customer.

use std::fmt;
use std::time::Duration;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::partner_center::blockage::Blockage;
use crate::partner_center::identity::Identity;

/// Codes with which Partner Center says "unexpected, try again" (FACTS 8.2), whatever status they come with.
const TRY_AGAIN_CODES: [&str; 2] = ["800003", "900192"];

/// The code with which a partner that is no indirect provider is refused its resellers (FACTS 2.3).
const NO_RESELLERS: &str = "1002";

/// The kinds of call this module makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// An access token from the sign-in service.
    AccessToken,
    /// A page of the customer list.
    ListCustomers,
    /// One customer.
    GetCustomer,
    /// A page of audit records.
    AuditRecords,
    /// The webhook registration.
    WebhookRegistration,
    /// A page of an indirect provider's resellers.
    ListResellers,
    /// A page of the customers of one reseller.
    ListResellerCustomers,
}

impl Call {
    /// The name used in errors and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccessToken => "access token",
            Self::ListCustomers => "customer list",
            Self::GetCustomer => "customer",
            Self::AuditRecords => "audit records",
            Self::WebhookRegistration => "webhook registration",
            Self::ListResellers => "resellers",
            Self::ListResellerCustomers => "customers of a reseller",
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// A failed call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{call}: {problem} ({trace})")]
pub struct Error {
    /// What was asked for.
    pub call: Call,
    /// On whose behalf.
    pub identity: Identity,
    /// What went wrong.
    pub problem: Problem,
    /// By which ids Microsoft's support finds the call.
    pub trace: Trace,
}

/// The ids of one call, as Partner Center knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// `MS-RequestId`.
    pub request_id: Uuid,
    /// `MS-CorrelationId`.
    pub correlation_id: Uuid,
}

impl fmt::Display for Trace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "MS-RequestId {}, MS-CorrelationId {}", self.request_id, self.correlation_id)
    }
}

/// What went wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Partner Center wants no calls for this account before `until`, which is `after` from when the call was made.
    #[error("calls are held back until {until}")]
    Throttled {
        /// When calls may go on.
        until: Timestamp,
        /// How long that is.
        after: Duration,
    },
    /// No whole answer within the time a call may take.
    #[error("no whole answer in time")]
    TimedOut,
    /// No connection; nothing was sent, so the cause cannot quote anything.
    #[error("no connection: {cause}")]
    Unreachable {
        /// What the network, the resolver or TLS said.
        cause: String,
    },
    /// The connection broke before the answer was whole.
    #[error("the connection broke before the answer was whole")]
    Interrupted,
    /// The answer is longer than we are willing to hold.
    #[error("the answer is longer than {limit} bytes")]
    TooLong {
        /// The most we take, after decompression.
        limit: usize,
    },
    /// A successful answer that is not what was asked for.
    #[error("the answer is not readable: {what}")]
    Unreadable {
        /// What is wrong with its form.
        what: &'static str,
    },
    /// The system could not sign the assertion by which the application proves who it is.
    #[error("the system could not sign the client assertion")]
    NotSigned,
    /// The refresh token could not be read or its successor not be kept, so that what came with it is not used.
    #[error("the refresh token cannot be kept now")]
    NotKept,
    /// An answer of failure that concerns this call only.
    #[error("status {status}{}", code_suffix(.code.as_deref()))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Partner Center's error code.
        code: Option<String>,
        /// How long the answer asked us to wait.
        after: Option<Duration>,
    },
    /// An answer that blocks the whole account until somebody acts.
    #[error("{}{}{}", .blockage.reason(), status_suffix(*.status), code_suffix(.code.as_deref()))]
    Blocked {
        /// What is wrong with the account.
        blockage: Blockage,
        /// The HTTP status, when the answer itself is the failure.
        status: Option<u16>,
        /// Partner Center's error code, or the sign-in service's `AADSTS` number.
        code: Option<String>,
    },
}

fn status_suffix(status: Option<u16>) -> String {
    status.map(|status| format!(", status {status}")).unwrap_or_default()
}

fn code_suffix(code: Option<&str>) -> String {
    code.map(|code| format!(", code {code}")).unwrap_or_default()
}

/// What a caller should do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It passes by itself: ask again, not sooner than `after` when it is given.
    Retry {
        /// The wait Partner Center asked for.
        after: Option<Duration>,
    },
    /// No call of this account can succeed until an operator acts.
    AccountBlocked {
        /// A stable name of what is wrong, such as `CLIENT_SECRET_REFUSED`.
        reason: &'static str,
        /// What to do, for the operator.
        remedy: &'static str,
    },
    /// No call on behalf of the user can succeed until an operator acts; those of the application go on.
    UserBlocked {
        /// A stable name of what is wrong, such as `CONSENT_NEEDED`.
        reason: &'static str,
        /// What to do, for the operator.
        remedy: &'static str,
    },
    /// The listing (or the audit window) cannot go on from here; start it again from its first page.
    ListingRestart,
    /// This one customer cannot be read now; nothing about it may be changed, and others can be read.
    CustomerRefused,
}

impl Error {
    pub(super) const fn new(call: Call, problem: Problem, trace: Trace) -> Self {
        Self { call, identity: Identity::Application, problem, trace }
    }

    /// The same error of a call on behalf of `identity`.
    #[must_use]
    pub(super) fn on_behalf_of(self, identity: Identity) -> Self {
        Self { identity, ..self }
    }

    /// What to do about it.
    pub fn fate(&self) -> Fate {
        match &self.problem {
            Problem::Throttled { after, .. } => Fate::Retry { after: Some(*after) },
            Problem::TimedOut
            | Problem::Unreachable { .. }
            | Problem::Interrupted
            | Problem::TooLong { .. }
            | Problem::Unreadable { .. }
            | Problem::NotSigned
            | Problem::NotKept => Fate::Retry { after: None },
            Problem::Blocked { blockage, code, .. } => {
                let (reason, remedy) = (blockage.reason(), blockage.advice(self.identity, code.as_deref()));
                match self.identity {
                    Identity::Application => Fate::AccountBlocked { reason, remedy },
                    Identity::User => Fate::UserBlocked { reason, remedy },
                }
            }
            Problem::Refused { status, code, after } if is_transient(*status, code.as_deref()) => {
                Fate::Retry { after: *after }
            }
            Problem::Refused { .. } => match self.call {
                Call::ListCustomers | Call::AuditRecords | Call::ListResellers | Call::ListResellerCustomers => {
                    Fate::ListingRestart
                }
                Call::GetCustomer => Fate::CustomerRefused,
                Call::AccessToken | Call::WebhookRegistration => Fate::Retry { after: None },
            },
        }
    }

    /// Whether the partner is of a kind that has no resellers (FACTS 2.3): then nobody need ask again.
    pub fn says_there_are_no_resellers(&self) -> bool {
        let about_resellers = match self.call {
            Call::ListResellers | Call::ListResellerCustomers => true,
            Call::AccessToken
            | Call::ListCustomers
            | Call::GetCustomer
            | Call::AuditRecords
            | Call::WebhookRegistration => false,
        };
        about_resellers && matches!(&self.problem, Problem::Refused { code: Some(code), .. } if code == NO_RESELLERS)
    }

    /// The HTTP status, when there was an answer of failure.
    pub fn status(&self) -> Option<u16> {
        match &self.problem {
            Problem::Refused { status, .. } => Some(*status),
            Problem::Blocked { status, .. } => *status,
            Problem::Throttled { .. } => Some(429),
            Problem::TimedOut
            | Problem::Unreachable { .. }
            | Problem::Interrupted
            | Problem::TooLong { .. }
            | Problem::Unreadable { .. }
            | Problem::NotSigned
            | Problem::NotKept => None,
        }
    }
}

/// Everything but a client error; 408 is a client error only by its number, and a redirect, which we never follow,
/// is somebody between us and Partner Center.
fn is_transient(status: u16, code: Option<&str>) -> bool {
    !(400..500).contains(&status) || status == 408 || code.is_some_and(|code| TRY_AGAIN_CODES.contains(&code))
}

/// Settings with which no client can be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// An address that is no URL.
    #[error("the {name} is not a URL such as https://api.example.com")]
    MalformedAddress {
        /// Which setting.
        name: &'static str,
    },
    /// An address that would send credentials in the clear.
    #[error("the {name} must start with https:// unless its host is this machine")]
    InsecureAddress {
        /// Which setting.
        name: &'static str,
    },
    /// A name that cannot be sent in a header.
    #[error("the application name may hold printable ASCII characters only")]
    ApplicationName,
    /// A page size Partner Center is not known to serve.
    #[error("the page size is {given}; it may be 1 to {longest}")]
    PageSize {
        /// What was set.
        given: u16,
        /// The most that may be set.
        longest: u16,
    },
    /// No HTTP client could be made, most often because the system has no certificate authorities.
    #[error("no HTTPS client could be made; are the system's certificate authorities installed (ca-certificates)?")]
    Client(#[source] reqwest::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(call: Call, problem: Problem) -> Error {
        let trace = Trace { request_id: Uuid::from_u128(1), correlation_id: Uuid::from_u128(2) };
        Error::new(call, problem, trace)
    }

    fn refused(call: Call, status: u16, code: Option<&str>) -> Error {
        error(call, Problem::Refused { status, code: code.map(str::to_owned), after: None })
    }

    #[test]
    fn what_passes_by_itself_is_retried() {
        let passing = [
            Problem::TimedOut,
            Problem::Unreachable { cause: "refused".to_owned() },
            Problem::Interrupted,
            Problem::TooLong { limit: 1 },
            Problem::Unreadable { what: "no JSON" },
        ];
        for problem in passing {
            let error = error(Call::ListCustomers, problem);
            assert_eq!(error.fate(), Fate::Retry { after: None }, "{error}");
            assert_eq!(error.status(), None);
        }
        for status in [302, 408, 500, 501, 502, 503, 504] {
            for call in [Call::ListCustomers, Call::GetCustomer, Call::AuditRecords, Call::WebhookRegistration] {
                assert_eq!(refused(call, status, None).fate(), Fate::Retry { after: None }, "{status}");
            }
        }
        assert_eq!(refused(Call::GetCustomer, 400, Some("800003")).fate(), Fate::Retry { after: None });
    }

    #[test]
    fn the_wait_that_was_asked_for_is_passed_on() {
        let after = Duration::from_secs(57);
        let throttled = Problem::Throttled { until: Timestamp::from_micros(57_000_000), after };
        assert_eq!(error(Call::GetCustomer, throttled).fate(), Fate::Retry { after: Some(after) });
        let busy = Problem::Refused { status: 503, code: None, after: Some(after) };
        assert_eq!(error(Call::GetCustomer, busy).fate(), Fate::Retry { after: Some(after) });
    }

    #[test]
    fn another_client_error_restarts_a_listing_and_refuses_a_customer() {
        for status in [400, 404, 409, 412] {
            assert_eq!(refused(Call::ListCustomers, status, None).fate(), Fate::ListingRestart);
            assert_eq!(refused(Call::AuditRecords, status, None).fate(), Fate::ListingRestart);
            assert_eq!(refused(Call::GetCustomer, status, None).fate(), Fate::CustomerRefused);
        }
        assert_eq!(refused(Call::GetCustomer, 403, Some("900416")).fate(), Fate::CustomerRefused);
    }

    #[test]
    fn what_blocks_the_user_leaves_the_application_alone() {
        for blockage in Blockage::ALL {
            let blocked = error(Call::ListCustomers, Problem::Blocked { blockage, status: None, code: None });
            assert!(matches!(blocked.fate(), Fate::AccountBlocked { .. }), "{blockage:?}");
            let fate = blocked.on_behalf_of(Identity::User).fate();
            assert!(matches!(fate, Fate::UserBlocked { reason, .. } if reason == blockage.reason()), "{blockage:?}");
        }
    }

    #[test]
    fn an_error_says_status_code_and_request_ids_and_nothing_else() {
        assert_eq!(
            refused(Call::GetCustomer, 404, Some("1000")).to_string(),
            "customer: status 404, code 1000 (MS-RequestId 00000000-0000-0000-0000-000000000001, \
             MS-CorrelationId 00000000-0000-0000-0000-000000000002)"
        );
    }
}
