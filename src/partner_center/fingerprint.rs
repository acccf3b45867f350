//! Tells a connection's credentials apart from others, and shows that they are the right tenant's, before they are used.

use crate::domain::trial::{Fingerprint, FingerprintKey};
use crate::partner_center::PartnerCenter;
use crate::partner_center::error::Error;

impl PartnerCenter {
    /// The fingerprint of whatever signs in, and of where it signs in and asks. `known_as` stands for a secret that is kept
    /// sealed, so that nothing that is derived from it is kept beside it.
    pub fn fingerprint(&self, key: &FingerprintKey, known_as: Option<&[u8]>) -> Fingerprint {
        let [sign_in, scope, application, kind, proof] = self.0.tokens.signs_in(known_as);
        key.fingerprint(&[self.0.api_root.as_str().as_bytes(), sign_in, scope, application, kind, proof])
    }

    /// Signs in, unless it is signed in: with credentials of another tenant than the account's that fails.
    ///
    /// # Errors
    ///
    /// When there is no token, or it belongs to another tenant.
    pub async fn sign_in(&self) -> Result<(), Error> {
        self.0.tokens.current(&self.0.transport).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Timestamp};
    use crate::partner_center::scripted_server::settings_for;
    use crate::partner_center::settings::Settings;
    use crate::sign_in::Credential;

    const KEY: FingerprintKey = FingerprintKey::new([3; 32]);

    fn fingerprint(change: impl FnOnce(&mut Settings), known_as: Option<&[u8]>) -> Fingerprint {
        let mut settings = settings_for("http://127.0.0.1:1");
        change(&mut settings);
        let clock = Clock::manual(Timestamp::from_micros(0));
        PartnerCenter::new(settings, clock).expect("a client").fingerprint(&KEY, known_as)
    }

    #[test]
    fn whatever_signs_in_and_wherever_it_does_makes_another_fingerprint_and_the_pace_does_not() {
        let usual = fingerprint(|_| {}, None);
        let others = [
            fingerprint(|settings| settings.client_id = "another".to_owned(), None),
            fingerprint(|settings| settings.credential = Credential::Secret("another".into()), None),
            fingerprint(
                |settings| settings.tenant_id = "99999999-9999-4999-8999-999999999999".parse().expect("an id"),
                None,
            ),
            fingerprint(|settings| settings.endpoints.api_root = "http://127.0.0.1:2".to_owned(), None),
            fingerprint(|settings| settings.endpoints.authority = "http://127.0.0.1:2".to_owned(), None),
            fingerprint(|settings| settings.endpoints.audience = "https://another.example".to_owned(), None),
            fingerprint(|_| {}, Some(b"a-client-secret")),
        ];
        for (place, other) in others.iter().enumerate() {
            assert_ne!(usual, *other, "{place}");
        }
        assert_eq!(usual, fingerprint(|settings| settings.page_size = 7, None));
    }

    #[test]
    fn a_sealed_secret_is_known_by_its_identity_and_no_part_of_it_is_hashed() {
        let sealed = |secret: &str, known_as| {
            fingerprint(|settings| settings.credential = Credential::Secret(secret.into()), Some(known_as))
        };
        assert_eq!(sealed("one", b"first".as_slice()), sealed("two", b"first"));
        assert_ne!(sealed("one", b"first".as_slice()), sealed("one", b"second"));
    }
}
