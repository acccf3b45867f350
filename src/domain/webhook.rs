//! Where Partner Center sends its events, and which of them are of use.

use crate::domain::ids::PartnerAccountId;
use crate::domain::webhook_secret::WebhookSecret;

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
    fn the_callback_holds_the_account_and_the_secret() {
        let secret = WebhookSecret::from_bytes(&[0xfb; 32]);
        let base = PublicUrl::new("https://hooks.example/guard/").expect("an address");
        let callback = base.callback(&"contoso".parse().expect("an id"), &secret);
        let text = callback.strip_prefix("https://hooks.example/guard/webhooks/v1/contoso/").expect("the path");
        assert_eq!(text, secret.text());
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
