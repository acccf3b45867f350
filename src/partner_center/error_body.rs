//! Reads what an answer of failure says, in every shape Partner Center and its gateways use (FACTS 8.1).
//!
//! Bodies end here: of their texts only the meaning is kept, so that no error can quote one.

use std::time::Duration;

use crate::partner_center::blockage::Blockage;
use crate::partner_center::document::{Document, Object};
use crate::partner_center::error::{Call, Problem};

/// The longest code that is kept; Microsoft's have up to seven characters.
const CODE_MAX: usize = 32;
/// AADSTS700024: the client assertion is not yet or no longer in its time.
const ASSERTION_UNTIMELY: u64 = 700_024;

/// What an answer of failure of Partner Center says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Complaint {
    code: Option<String>,
    text: Text,
}

/// What the free text of an answer is about, as far as it matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Text {
    /// Nothing was said.
    #[default]
    Nothing,
    /// Multi-factor authentication.
    Mfa,
    /// The caller's role.
    Role,
    /// An application without a user.
    AppOnly,
    /// Something else.
    Other,
}

impl Complaint {
    /// Reads a body of any shape.
    pub(super) fn read(body: &[u8]) -> Self {
        let document = Document::read_forgiving(body);
        let Some(object) = document.as_ref().ok().and_then(Document::object) else {
            return Self { code: None, text: Text::of(&String::from_utf8_lossy(body)) };
        };
        let said = [object.text_or_empty("description"), object.text_or_empty("message")].join(" ");
        Self { code: code_of(object), text: Text::of(&said) }
    }

    /// What the answer means for `call`.
    pub(super) fn judge(self, call: Call, status: u16, after: Option<Duration>) -> Problem {
        match self.blockage(call, status) {
            Some(blockage) => Problem::Blocked { blockage, status: Some(status), code: self.code },
            None => Problem::Refused { status, code: self.code, after },
        }
    }

    /// FACTS 8.2: 401 is about the token; 403 about rights, of the account or of one customer.
    fn blockage(&self, call: Call, status: u16) -> Option<Blockage> {
        let code = self.code.as_deref().unwrap_or_default();
        match (status, code) {
            (401, "900420") => Some(Blockage::AudienceRefused),
            (401, "900421") => Some(Blockage::MfaRequired),
            (401, _) => match self.text {
                // FACTS 1.4: "MFA required" stands in the reason phrase, which HTTP/2 does not have.
                Text::Nothing | Text::Mfa if code.is_empty() => Some(Blockage::MfaRequired),
                Text::Mfa => Some(Blockage::MfaRequired),
                Text::Nothing | Text::Role | Text::AppOnly | Text::Other => Some(Blockage::TokenRefused),
            },
            // Not about a right: a partner of this kind has no resellers (FACTS 2.3).
            (403, "1002") if matches!(call, Call::ListResellers | Call::ListResellerCustomers) => None,
            (403, "1002" | "2032" | "600006" | "900150" | "900308") => Some(Blockage::RoleMissing),
            (403, "900309") => Some(Blockage::ConditionalAccess),
            (403, "900329") => Some(Blockage::AppOnlyRefused),
            (403, "900124" | "900149") => Some(Blockage::PartnerAgreement),
            (403, _) => match (self.text, call) {
                (Text::Role, _) => Some(Blockage::RoleMissing),
                (Text::AppOnly, _) => Some(Blockage::AppOnlyRefused),
                (Text::Mfa, _) => Some(Blockage::MfaRequired),
                (Text::Nothing | Text::Other, Call::GetCustomer | Call::ListResellerCustomers) => None,
                (
                    Text::Nothing | Text::Other,
                    Call::AccessToken
                    | Call::ListCustomers
                    | Call::AuditRecords
                    | Call::WebhookRegistration
                    | Call::ListResellers,
                ) => Some(Blockage::AccessDenied),
            },
            _ => None,
        }
    }
}

impl Text {
    fn of(said: &str) -> Self {
        let said = said.to_lowercase();
        if said.trim().is_empty() {
            Self::Nothing
        } else if said.contains("mfa required") {
            Self::Mfa
        } else if said.contains("supplied role") || said.contains("does not have the rights") {
            Self::Role
        } else if said.contains("application credentials") {
            Self::AppOnly
        } else {
            Self::Other
        }
    }
}

/// The code, if it looks like one; anything else might be a text with a value in it.
fn code_of(object: Object<'_>) -> Option<String> {
    let looks_like_a_code = |code: &String| {
        (1..=CODE_MAX).contains(&code.len())
            && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    object.number_or_text("code").filter(looks_like_a_code)
}

/// What an answer of failure of the sign-in service means (FACTS 1.6).
///
/// Whether to try again depends on `error` and the status, and the `AADSTS` number only picks the advice, because Microsoft
/// warns not to depend on it. The one exception is a client assertion out of its time: `invalid_client` alone would block
/// an account for a clock that was set or a request that was long on its way, and every attempt signs another assertion.
pub(super) fn judge_token_refusal(body: &[u8], status: u16, after: Option<Duration>) -> Problem {
    let document = Document::read(body);
    let object = document.as_ref().ok().and_then(Document::object);
    let error = object.map(|object| object.text_or_empty("error")).unwrap_or_default();
    let number = object.and_then(|object| object.first_number("error_codes"));
    let code = number.map(|number| format!("AADSTS{number}"));
    let passes = matches!(error, "" | "temporarily_unavailable" | "server_error") || number == Some(ASSERTION_UNTIMELY);
    if passes || status >= 500 || status == 408 {
        return Problem::Refused { status, code, after };
    }
    let blockage = match (error, number) {
        (_, Some(53003)) => Blockage::ConditionalAccess,
        (_, Some(90002)) | ("invalid_tenant", _) => Blockage::TenantNotFound,
        (_, Some(90038)) => Blockage::WrongCloud,
        (_, Some(700_016)) | ("unauthorized_client", _) => Blockage::ApplicationNotFound,
        ("invalid_client", _) => Blockage::ClientSecretRefused,
        ("invalid_grant" | "interaction_required" | "consent_required" | "login_required", _) => {
            Blockage::ConsentNeeded
        }
        ("invalid_scope" | "invalid_resource", _) => Blockage::AudienceRefused,
        _ => Blockage::TokenRequestRefused,
    };
    Problem::Blocked { blockage, status: Some(status), code }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(call: Call, status: u16, body: &str) -> Problem {
        Complaint::read(body.as_bytes()).judge(call, status, None)
    }

    fn blocked(call: Call, status: u16, body: &str) -> Option<Blockage> {
        match judged(call, status, body) {
            Problem::Blocked { blockage, .. } => Some(blockage),
            _ => None,
        }
    }

    fn refused(status: u16, code: Option<&str>) -> Problem {
        Problem::Refused { status, code: code.map(str::to_owned), after: None }
    }

    #[test]
    fn every_shape_of_an_error_body_is_read() {
        // FACTS 8.1, shapes 1 to 6.
        let shapes = [
            (r#"{"code":60003,"description":"Tenant.","data":[],"source":"PartnerFD"}"#, Some("60003")),
            (r#"{"code":"60003","description":"Tenant."}"#, Some("60003")),
            (r#"{"Code":60003,"Description":null}"#, Some("60003")),
            ("\u{feff}{\"code\":60003}", Some("60003")),
            (r#"{"statusCode":404,"message":"Resource not found"}"#, None),
            (r#"{"message":"The request is invalid."}"#, None),
            ("Not found", None),
            ("", None),
            ("null", None),
            ("<html><body>Bad gateway</body></html>", None),
            (r#"{"code":"somebody@example.com said so"}"#, None),
            (r#"{"code":{"a":1}}"#, None),
        ];
        for (body, code) in shapes {
            assert_eq!(judged(Call::GetCustomer, 404, body), refused(404, code), "{body}");
        }
    }

    #[test]
    fn a_401_is_about_the_token_or_about_mfa() {
        // FACTS 1.4 and 8.2.
        let cases = [
            (r#"{"code":900420}"#, Blockage::AudienceRefused),
            (r#"{"code":"900421","description":"…"}"#, Blockage::MfaRequired),
            ("", Blockage::MfaRequired),
            ("MFA required", Blockage::MfaRequired),
            (r#"{"code":400}"#, Blockage::TokenRefused),
            (r#"{"code":800001,"description":"partner token missing"}"#, Blockage::TokenRefused),
            (r#"{"statusCode":401,"message":"Unauthorized"}"#, Blockage::TokenRefused),
        ];
        for (body, blockage) in cases {
            assert_eq!(blocked(Call::GetCustomer, 401, body), Some(blockage), "{body}");
        }
    }

    #[test]
    fn a_403_blocks_the_account_when_it_is_about_the_account() {
        // FACTS 8.2, 1.5 and 2.1.
        let cases = [
            (r#"{"code":900150}"#, Blockage::RoleMissing),
            (r#"{"code":900308}"#, Blockage::RoleMissing),
            (r#"{"code":2032}"#, Blockage::RoleMissing),
            (r#"{"code":600006}"#, Blockage::RoleMissing),
            ("The supplied role does not have the rights to perform the requested operation", Blockage::RoleMissing),
            (r#"{"code":900329}"#, Blockage::AppOnlyRefused),
            (r#"{"message":"This resource can't be accessed by application credentials"}"#, Blockage::AppOnlyRefused),
            (r#"{"code":900309}"#, Blockage::ConditionalAccess),
            (r#"{"code":900124}"#, Blockage::PartnerAgreement),
            (r#"{"code":"900149"}"#, Blockage::PartnerAgreement),
        ];
        for (body, blockage) in cases {
            assert_eq!(blocked(Call::GetCustomer, 403, body), Some(blockage), "{body}");
        }
    }

    #[test]
    fn another_403_is_about_the_customer_that_was_asked_for_or_else_about_the_account() {
        for (body, code) in [(r#"{"code":20002}"#, Some("20002")), (r#"{"code":900416}"#, Some("900416")), ("", None)] {
            assert_eq!(judged(Call::GetCustomer, 403, body), refused(403, code));
            for call in [Call::ListCustomers, Call::AuditRecords, Call::WebhookRegistration] {
                assert_eq!(blocked(call, 403, body), Some(Blockage::AccessDenied), "{call} {body}");
            }
        }
    }

    #[test]
    fn what_the_sign_in_service_refuses_for_good_blocks_the_account() {
        // FACTS 1.6.
        let cases = [
            ("invalid_client", 7_000_215, Blockage::ClientSecretRefused),
            ("invalid_client", 7_000_222, Blockage::ClientSecretRefused),
            ("unauthorized_client", 700_016, Blockage::ApplicationNotFound),
            ("invalid_request", 90_002, Blockage::TenantNotFound),
            ("invalid_tenant", 0, Blockage::TenantNotFound),
            ("invalid_grant", 700_082, Blockage::ConsentNeeded),
            ("interaction_required", 50_076, Blockage::ConsentNeeded),
            ("invalid_grant", 53_003, Blockage::ConditionalAccess),
            ("invalid_client", 90_038, Blockage::WrongCloud),
            ("invalid_scope", 1, Blockage::AudienceRefused),
            ("brand_new_error", 1, Blockage::TokenRequestRefused),
        ];
        for (error, number, expected) in cases {
            let body = format!(r#"{{"error":"{error}","error_description":"secret","error_codes":[{number}]}}"#);
            let Problem::Blocked { blockage, code, .. } = judge_token_refusal(body.as_bytes(), 400, None) else {
                panic!("{error} blocks");
            };
            assert_eq!(blockage, expected, "{error} {number}");
            assert_eq!(code, Some(format!("AADSTS{number}")));
        }
    }

    #[test]
    fn what_passes_at_the_sign_in_service_does_not_block() {
        for (status, body) in [
            (400, r#"{"error":"temporarily_unavailable","error_codes":[90033]}"#),
            (503, r#"{"error":"invalid_client"}"#),
            (502, "<html>"),
            (404, "no such page"),
            (408, ""),
            (401, r#"{"error":"invalid_client","error_codes":[700024]}"#),
        ] {
            assert!(matches!(judge_token_refusal(body.as_bytes(), status, None), Problem::Refused { .. }), "{body}");
        }
    }
}
