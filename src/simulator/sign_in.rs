//! Signing in beyond a client secret: certificates registered for the application, a user with refresh tokens, and what the
//! sign-in service does wrong with either on request (FACTS.md 1.2 to 1.6).

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::partner::PartnerCenter;
use super::token::Refusal;
use super::{Error, Simulator};

/// How long a refresh token may go unused (FACTS.md 1.3).
const REFRESH_TOKEN_SECONDS: i64 = 90 * 24 * 60 * 60;
/// The longest an assertion may be used.
const ASSERTION_SECONDS_MAX: i64 = 10 * 60;

/// What a sign-in is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignInOf {
    /// The application alone.
    Application,
    /// A user, by a refresh token.
    User,
}

/// The refusals of FACTS.md 1.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenRefusal {
    /// `invalid_grant`, 700082: unused for 90 days.
    RefreshTokenExpired,
    /// `invalid_grant`, 50173: revoked, or the password changed.
    GrantRevoked,
    /// `invalid_grant`, 50076: multi-factor authentication is asked for.
    MfaNeeded,
    /// `invalid_grant`, 50079: the user has to register for it.
    MfaEnrolment,
    /// `invalid_grant`, 50078: it was too long ago.
    MfaExpired,
    /// `interaction_required`, 50076.
    InteractionRequired,
    /// `invalid_grant`, 65001: nobody consented.
    ConsentMissing,
    /// `invalid_grant`, 53003: Conditional Access.
    ConditionalAccess,
    /// `invalid_client`, 7000215.
    WrongSecret,
    /// `invalid_client`, 7000222.
    ExpiredSecret,
    /// `invalid_client`, 700027: the assertion is not signed by a certificate of the application.
    WrongAssertion,
    /// `invalid_client`, 700024: the assertion is not yet or no longer in its time.
    UntimelyAssertion,
    /// `unauthorized_client`, 700016.
    ApplicationNotFound,
    /// `invalid_request`, 90002.
    TenantNotFound,
    /// `invalid_tenant`, 90002.
    InvalidTenant,
    /// `temporarily_unavailable`, 90033, with status 503.
    TemporarilyUnavailable,
    /// `temporarily_unavailable`, 50196: asked in a loop.
    Loop,
    /// 429.
    Throttled,
}

/// What the sign-in service does wrong, until it is told otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct SignInMischief {
    /// Whose sign-ins go wrong; without it, everybody's.
    pub of: Option<SignInOf>,
    /// Refuses.
    pub refusal: Option<TokenRefusal>,
    /// Issues the token, and cuts the connection before it is told.
    pub lost_answer: bool,
    /// Issues users' tokens without `mfa` in `amr`.
    pub without_mfa: bool,
    /// Issues tokens of another tenant.
    pub foreign_tenant: bool,
    /// Issues access tokens for users without a newer refresh token.
    pub without_refresh_token: bool,
    /// Takes so long.
    pub delay_milliseconds: u64,
}

/// What the sign-in service knows of one partner beyond its secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SignIns {
    pub(super) mischief: SignInMischief,
    /// Public keys by the thumbprint of their certificate, both in Base64.
    certificates: BTreeMap<String, String>,
    /// Refresh tokens that are taken, with the second of their last use.
    refresh_tokens: BTreeMap<String, i64>,
    issued: u64,
    used_ids: BTreeSet<String>,
    /// How many sign-ins were answered with a token, by what they were for.
    application_sign_ins: u64,
    user_sign_ins: u64,
}

impl Refusal {
    const fn of(refusal: TokenRefusal) -> Self {
        let (status, error, number, text) = match refusal {
            TokenRefusal::RefreshTokenExpired => {
                (400, "invalid_grant", 700_082, "The refresh token has expired due to inactivity.")
            }
            TokenRefusal::GrantRevoked => (400, "invalid_grant", 50_173, "The provided grant has been revoked."),
            TokenRefusal::MfaNeeded => (400, "invalid_grant", 50_076, "You must use multi-factor authentication."),
            TokenRefusal::MfaEnrolment => {
                (400, "invalid_grant", 50_079, "You must enroll in multi-factor authentication.")
            }
            TokenRefusal::MfaExpired => (400, "invalid_grant", 50_078, "The multi-factor authentication has expired."),
            TokenRefusal::InteractionRequired => {
                (400, "interaction_required", 50_076, "You must use multi-factor authentication.")
            }
            TokenRefusal::ConsentMissing => (400, "invalid_grant", 65_001, "Nobody has consented to the application."),
            TokenRefusal::ConditionalAccess => {
                (400, "invalid_grant", 53_003, "Access is blocked by Conditional Access.")
            }
            TokenRefusal::WrongSecret => (401, "invalid_client", 7_000_215, "Invalid client secret provided."),
            TokenRefusal::ExpiredSecret => (401, "invalid_client", 7_000_222, "The client secret has expired."),
            TokenRefusal::WrongAssertion => {
                (401, "invalid_client", 700_027, "The certificate is not registered on the application.")
            }
            TokenRefusal::UntimelyAssertion => {
                (401, "invalid_client", 700_024, "Client assertion is not within its valid time range.")
            }
            TokenRefusal::ApplicationNotFound => {
                (400, "unauthorized_client", 700_016, "Application was not found in the directory.")
            }
            TokenRefusal::TenantNotFound => (400, "invalid_request", 90_002, "Tenant not found."),
            TokenRefusal::InvalidTenant => (400, "invalid_tenant", 90_002, "Tenant not found."),
            TokenRefusal::TemporarilyUnavailable => {
                (503, "temporarily_unavailable", 90_033, "A transient error has occurred.")
            }
            TokenRefusal::Loop => (400, "temporarily_unavailable", 50_196, "The server has detected a loop."),
            TokenRefusal::Throttled => (429, "temporarily_unavailable", 90_055, "Too many requests."),
        };
        // Invariant: the numbers above are statuses.
        let status = match status {
            401 => StatusCode::UNAUTHORIZED,
            429 => StatusCode::TOO_MANY_REQUESTS,
            503 => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error, number, text)
    }
}

impl SignIns {
    /// The refusal that is asked for, if this sign-in is meant.
    pub(super) fn refuse(&self, of: SignInOf) -> Result<(), Refusal> {
        match self.mischief.refusal {
            Some(refusal) if self.goes_wrong(of) => Err(Refusal::of(refusal)),
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn goes_wrong(&self, of: SignInOf) -> bool {
        self.mischief.of.is_none_or(|meant| meant == of)
    }

    /// Counts a sign-in that was answered with a token.
    pub(super) fn count(&mut self, of: SignInOf) {
        match of {
            SignInOf::Application => self.application_sign_ins += 1,
            SignInOf::User => self.user_sign_ins += 1,
        }
    }

    /// A refresh token that is taken from now on; the ones before it still are, as Microsoft's are.
    pub(super) fn issue_refresh_token(&mut self, partner: &str, now: DateTime<Utc>) -> String {
        self.issued += 1;
        let random = digest(&SHA256, format!("{partner} {} {}", self.issued, now.timestamp_micros()).as_bytes());
        let token = format!("0.{}.{}", self.issued, URL_SAFE_NO_PAD.encode(random));
        self.refresh_tokens.insert(token.clone(), now.timestamp());
        token
    }

    /// Uses a refresh token.
    pub(super) fn use_refresh_token(&mut self, token: &str, now: DateTime<Utc>) -> Result<(), Refusal> {
        let used = self.refresh_tokens.get_mut(token).ok_or(Refusal::of(TokenRefusal::GrantRevoked))?;
        if now.timestamp() - *used > REFRESH_TOKEN_SECONDS {
            return Err(Refusal::of(TokenRefusal::RefreshTokenExpired));
        }
        *used = now.timestamp();
        Ok(())
    }

    /// Takes an assertion once, if a registered certificate signed it for this application and address.
    pub(super) fn take_assertion(
        &mut self,
        assertion: &str,
        client_id: &str,
        address: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let wrong = || Refusal::of(TokenRefusal::WrongAssertion);
        let claims = self.verified(assertion).ok_or_else(wrong)?;
        let text = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
        let (begins, ends) = (claims["nbf"].as_i64().unwrap_or(0), claims["exp"].as_i64().unwrap_or(0));
        let now = now.timestamp();
        let is_for_us = text("aud").ends_with(address) && text("iss") == client_id && text("sub") == client_id;
        if !(begins <= now && now < ends && ends - now <= ASSERTION_SECONDS_MAX) {
            return Err(Refusal::of(TokenRefusal::UntimelyAssertion));
        }
        let id = text("jti");
        if is_for_us && !id.is_empty() && self.used_ids.insert(id) { Ok(()) } else { Err(wrong()) }
    }

    /// The claims of an assertion, if a registered certificate signed it.
    fn verified(&self, assertion: &str) -> Option<Value> {
        let (signed, signature) = assertion.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let json = |part: &str| -> Option<Value> { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok() };
        let header = json(header)?;
        let algorithm = match header["alg"].as_str()? {
            "PS256" => &RSA_PSS_2048_8192_SHA256,
            "RS256" => &RSA_PKCS1_2048_8192_SHA256,
            _ => return None,
        };
        let key = URL_SAFE_NO_PAD.decode(self.certificates.get(header["x5t#S256"].as_str()?)?).ok()?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        UnparsedPublicKey::new(algorithm, key).verify(signed.as_bytes(), &signature).ok()?;
        json(claims)
    }

    /// Registers the first certificate of a text; `false` if there is none.
    fn register(&mut self, pem: &str) -> bool {
        let Ok(der) = CertificateDer::from_pem_slice(pem.as_bytes()) else { return false };
        let Ok((_, certificate)) = X509Certificate::from_der(&der) else { return false };
        let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, &der));
        let key = URL_SAFE_NO_PAD.encode(&certificate.public_key().subject_public_key.data);
        self.certificates.insert(thumbprint, key);
        true
    }
}

impl Simulator {
    /// Registers a certificate for the partner's application; a private key beside it is not looked at.
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner or a text without a certificate.
    pub fn register_certificate(&self, partner: Uuid, pem: &str) -> Result<(), Error> {
        let registered = self.with(partner, |center, _| center.sign_ins.register(pem))?;
        if registered { Ok(()) } else { Err(Error::NoCertificate) }
    }

    /// Takes every certificate of the partner's application away.
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner.
    pub fn forget_certificates(&self, partner: Uuid) -> Result<(), Error> {
        self.with(partner, |center, _| center.sign_ins.certificates.clear())
    }

    /// The partner's user signs in with multi-factor authentication, which gives the application a refresh token.
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner.
    pub fn sign_user_in(&self, partner: Uuid) -> Result<String, Error> {
        self.with(partner, |center, now| center.sign_ins.issue_refresh_token(&center.partner.name, now))
    }

    /// No refresh token of the partner's user is taken any more.
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner.
    pub fn revoke_refresh_tokens(&self, partner: Uuid) -> Result<(), Error> {
        self.with(partner, |center, _| center.sign_ins.refresh_tokens.clear())
    }

    /// One refresh token of the partner's user is not taken any more.
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner.
    pub fn revoke_refresh_token(&self, partner: Uuid, token: &str) -> Result<(), Error> {
        self.with(partner, |center, _| {
            center.sign_ins.refresh_tokens.remove(token);
        })
    }

    /// The newest refresh token that was issued for the partner's user, if any is taken.
    pub fn newest_refresh_token(&self, partner: Uuid) -> Option<String> {
        let newest = |center: &mut PartnerCenter, _| {
            let number = |token: &String| token.split('.').nth(1).and_then(|number| number.parse::<u64>().ok());
            center.sign_ins.refresh_tokens.keys().max_by_key(|token| number(token)).cloned()
        };
        self.with(partner, newest).ok().flatten()
    }

    /// Makes the sign-in service go wrong, or no longer.
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner.
    pub fn set_sign_in_mischief(&self, partner: Uuid, mischief: SignInMischief) -> Result<(), Error> {
        self.with(partner, |center, _| center.sign_ins.mischief = mischief)
    }

    /// What goes wrong with signing in.
    ///
    /// # Errors
    ///
    /// Fails for an unknown partner.
    pub fn sign_in_mischief(&self, partner: Uuid) -> Result<SignInMischief, Error> {
        self.with(partner, |center, _| center.sign_ins.mischief.clone())
    }

    /// How many sign-ins were answered with a token, whether or not the answer arrived.
    pub fn sign_ins(&self, partner: Uuid, of: SignInOf) -> u64 {
        let count = |center: &mut PartnerCenter, _| match of {
            SignInOf::Application => center.sign_ins.application_sign_ins,
            SignInOf::User => center.sign_ins.user_sign_ins,
        };
        self.with(partner, count).unwrap_or(0)
    }
}
