//! Where Partner Center sends its events, and which of them are of use.
//!
//! The address of an account's callback holds a secret: it binds an event to the account, which the signature does
//! not.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

use crate::domain::ids::PartnerAccountId;

/// The event that Partner Center sends when it is asked to.
pub const TEST_EVENT: &str = "test-created";

/// The events after which a customer may look different, or be new. None tells of a changed contact (FACTS 6.2).
pub const CUSTOMER_EVENTS: [&str; 9] = [
    "reseller-relationship-accepted-by-customer",
    "indirect-reseller-relationship-accepted-by-customer",
    "dap-admin-relationship-approved",
    "dap-admin-relationship-terminated",
    "dap-admin-relationship-terminated-by-microsoft",
    "granular-admin-relationship-approved",
    "granular-admin-relationship-activated",
    "granular-admin-relationship-terminated",
    "granular-admin-relationship-expired",
];

/// Everything before the account in a callback's path.
pub const PATH: &str = "/webhooks/v1";

/// The 256 bits in the path of an account's callback.
#[derive(Clone)]
pub struct WebhookSecret([u8; 32]);

impl WebhookSecret {
    /// A new one; `None` when the system has no randomness to give.
    pub fn fresh() -> Option<Self> {
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes).ok().map(|()| Self(bytes))
    }

    /// One that was made before.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether a text is this secret; takes equally long for every text of the right length.
    pub fn is(&self, text: &str) -> bool {
        text.as_bytes().ct_eq(self.text().as_bytes()).into()
    }

    fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("WebhookSecret(redacted)")
    }
}

/// The https address under which Partner Center reaches this service's webhook listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// Reads an address such as `https://hooks.example.com` or `https://example.com/guard`.
    pub fn new(text: &str) -> Option<Self> {
        let base = text.trim_end_matches('/');
        let rest = base.strip_prefix("https://")?;
        let host = rest.split('/').next()?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_~:/[]".contains(&byte);
        let starts_well = host.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[');
        (starts_well && rest.bytes().all(allowed)).then(|| Self(base.to_owned()))
    }

    /// The whole callback of an account. It is a secret.
    pub fn callback(&self, account: &PartnerAccountId, secret: &WebhookSecret) -> String {
        format!("{}{PATH}/{account}/{}", self.0, secret.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callback_holds_the_account_and_a_secret_that_is_recognized() {
        let secret = WebhookSecret::from_bytes([0xfb; 32]);
        let base = PublicUrl::new("https://hooks.example/guard/").expect("an address");
        let callback = base.callback(&"contoso".parse().expect("an id"), &secret);
        let text = callback.strip_prefix("https://hooks.example/guard/webhooks/v1/contoso/").expect("the path");
        assert_eq!(text.len(), 43);
        assert!(secret.is(text));
        for other in ["", &text[1..], &text.to_uppercase(), &format!("{text}="), &format!("{text}/")] {
            assert!(!secret.is(other), "{other}");
        }
    }

    #[test]
    fn two_fresh_secrets_differ_and_neither_is_printed() {
        let [one, other] = [(); 2].map(|()| WebhookSecret::fresh().expect("randomness"));
        assert_ne!(one.bytes(), other.bytes());
        assert_eq!(format!("{one:?}"), "WebhookSecret(redacted)");
    }

    #[test]
    fn only_plain_https_addresses_are_public_addresses() {
        for good in ["https://hooks.example", "https://hooks.example:8443/a/b", "https://[2001:db8::1]"] {
            assert!(PublicUrl::new(good).is_some(), "{good}");
        }
        let bad = [
            "",
            "https://",
            "https:///a",
            "http://hooks.example",
            "https://a@b",
            "https://a?b",
            "https://a#b",
            "https://a b",
            "hooks.example",
        ];
        for bad in bad {
            assert!(PublicUrl::new(bad).is_none(), "{bad}");
        }
    }
}
