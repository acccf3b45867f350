//! What an operator does about a blockage, as exactly as it is known: on whose behalf the call was, and what the sign-in
//! service's number adds.
//!
//! Microsoft warns not to depend on these numbers (FACTS 1.6). They choose words here and decide nothing.

use crate::partner_center::blockage::Blockage;
use crate::partner_center::identity::Identity;

impl Blockage {
    /// What to do about a failed call on behalf of `identity` with that code, for the operator.
    pub fn advice(self, identity: Identity, code: Option<&str>) -> &'static str {
        let number = code.and_then(|code| code.strip_prefix("AADSTS")).and_then(|digits| digits.parse().ok());
        let exact = match identity {
            Identity::Application => self.about_the_application(number),
            Identity::User => self.about_the_user(number),
        };
        exact.unwrap_or_else(|| self.remedy())
    }

    fn about_the_application(self, number: Option<u32>) -> Option<&'static str> {
        match (self, number) {
            (Self::ClientSecretRefused, Some(7_000_222)) => Some(
                "The client secret has expired. Create a new one under Certificates & secrets of the application in \
                 Microsoft Entra and set it for this partner account.",
            ),
            (Self::ClientSecretRefused, Some(7_000_215)) => Some(
                "The client secret is wrong: its value is needed, not its id. Set the value of a secret of this \
                 application for this partner account, or create a new one under Certificates & secrets in Microsoft \
                 Entra.",
            ),
            (Self::ConsentNeeded, Some(65_001)) => Some(
                "Nobody granted the application the Partner Center API permission. Let an administrator of the partner's \
                 tenant grant it in Microsoft Entra.",
            ),
            _ => None,
        }
    }

    fn about_the_user(self, number: Option<u32>) -> Option<&'static str> {
        match (self, number) {
            (Self::ConsentNeeded, Some(700_082 | 70_008 | 700_084)) => Some(
                "The refresh token has expired: it was not used for 90 days. Let the partner's user sign in again with \
                 multi-factor authentication, and set the new refresh token for this partner account.",
            ),
            (Self::ConsentNeeded, Some(50_173 | 50_133)) => Some(
                "The refresh token was revoked, most often because the user's password changed. Let the user sign in \
                 again with multi-factor authentication, and set the new refresh token for this partner account.",
            ),
            (Self::ConsentNeeded, Some(50_057)) => Some(
                "The user's account is disabled. Enable it or let another user of the partner sign in with multi-factor \
                 authentication, and set the new refresh token for this partner account.",
            ),
            (Self::ConsentNeeded, Some(65_001)) => Some(
                "The user has not consented to the application. Let the user or an administrator of the partner's tenant \
                 consent, sign in with multi-factor authentication, and set the new refresh token for this partner \
                 account.",
            ),
            (Self::ConsentNeeded, Some(50_072 | 50_074 | 50_076 | 50_078 | 50_079 | 50_158))
            | (Self::MfaRequired, _) => Some(
                "The user's sign-in is without multi-factor authentication, or it is asked for again. Let the user \
                     register for it if need be and sign in anew with it, and set the new refresh token for this partner \
                     account.",
            ),
            (Self::ConsentNeeded, _) => Some(
                "The refresh token of this partner account is no longer taken. Let the partner's user sign in again with \
                 multi-factor authentication, and set the new refresh token.",
            ),
            (Self::ConditionalAccess, _) => Some(
                "A Conditional Access policy of the partner's tenant stops the user behind the refresh token. Exempt the \
                 user or let it in from this service's addresses, and set a new refresh token for this partner account.",
            ),
            (Self::TenantMismatch, _) => Some(
                "The refresh token belongs to a user of another tenant than this partner account's. Set one of a user of \
                 the partner's own tenant.",
            ),
            (Self::RoleMissing | Self::AccessDenied, _) => Some(
                "The user behind the refresh token has no right to this call. Make it a member of the partner's Admin \
                 agents in Partner Center.",
            ),
            (Self::TokenRefused, _) => Some(
                "Partner Center refuses a fresh token of the user. Check that the user belongs to the partner and is an \
                 Admin agent, and that the application is registered under App management in Partner Center.",
            ),
            _ => self.about_the_application(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_number_of_the_fact_sheet_has_advice_of_its_own() {
        // FACTS 1.6.
        for (number, word) in [
            ("AADSTS700082", "90 days"),
            ("AADSTS50173", "revoked"),
            ("AADSTS50076", "multi-factor"),
            ("AADSTS50078", "asked for again"),
            ("AADSTS50079", "register"),
            ("AADSTS65001", "consented"),
        ] {
            let advice = Blockage::ConsentNeeded.advice(Identity::User, Some(number));
            assert!(advice.contains(word) && advice.contains("refresh token"), "{number}: {advice}");
        }
        let advice = |number| Blockage::ClientSecretRefused.advice(Identity::Application, Some(number));
        assert!(advice("AADSTS7000222").contains("expired"));
        assert!(advice("AADSTS7000215").contains("its value is needed"));
    }

    #[test]
    fn an_unknown_number_gets_the_usual_advice() {
        for blockage in Blockage::ALL {
            for code in [None, Some("AADSTS1"), Some("900421"), Some("AADSTSx")] {
                assert_eq!(blockage.advice(Identity::Application, code), blockage.remedy());
                assert!(blockage.advice(Identity::User, code).ends_with('.'));
            }
        }
    }
}
