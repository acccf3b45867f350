//! Asks the sign-in service for a token (FACTS 1.2): the form, and how the application proves who it is in it.
//!
//! An application with a certificate signs an assertion of its own (RFC 7523): for this token address only, for a few
//! minutes by our clock, and with an id that is never used again.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use reqwest::header::ACCEPT;
use secrecy::ExposeSecret;
use serde_json::json;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::domain::ids::TenantId;
use crate::domain::user_sign_in::CredentialKind;
use crate::partner_center::blockage::Blockage;
use crate::partner_center::document::Document;
use crate::partner_center::error::{Call, Error, Problem, SetupError, Trace};
use crate::partner_center::error_body::judge_token_refusal;
use crate::partner_center::settings::{Settings, address, below};
use crate::partner_center::transport::{Answer, Transport, fresh_trace};
use crate::sign_in::Credential;
use crate::sign_in::certificate::{CertificateProblem, ClientCertificate};

/// What the form calls an assertion that is a JWT.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How long an assertion may be used; Microsoft takes ten minutes at most.
const ASSERTION_SECONDS: i64 = 5 * 60;
/// How far the sign-in service's clock may be behind ours.
const CLOCK_DIFFERENCE_SECONDS: i64 = 60;

/// Where and as whom an account asks for tokens.
#[derive(Debug)]
pub(super) struct TokenDesk {
    pub(super) tenant_id: TenantId,
    /// The scope that stands for everything the application was granted.
    pub(super) scope: String,
    url: Url,
    client_id: String,
    credential: Credential,
}

impl TokenDesk {
    pub(super) fn new(settings: &Settings) -> Result<Self, SetupError> {
        let authority = address("authority", &settings.endpoints.authority)?;
        Ok(Self {
            url: below(&authority, &format!("/{}/oauth2/v2.0/token", settings.tenant_id), None),
            client_id: settings.client_id.clone(),
            credential: settings.credential.clone(),
            scope: format!("{}/.default", settings.endpoints.audience.trim_end_matches('/')),
            tenant_id: settings.tenant_id,
        })
    }

    /// What tells these credentials apart from others. A refresh token is none of it: it is another one after every use.
    pub(super) fn signs_in<'a>(&'a self, known_as: Option<&'a [u8]>) -> [&'a [u8]; 5] {
        let (kind, proof) = match (known_as, &self.credential) {
            (Some(identity), _) => ("identity", identity),
            (None, Credential::Secret(secret)) => ("secret", secret.expose_secret().as_bytes()),
            (None, Credential::Certificate(certificate)) => ("certificate", certificate.sha256()),
        };
        // The address names the tenant.
        [self.url.as_str().as_bytes(), self.scope.as_bytes(), self.client_id.as_bytes(), kind.as_bytes(), proof]
    }

    /// Asks by that grant with what it takes, and returns the answer of a success.
    pub(super) async fn ask(
        &self,
        transport: &Transport,
        grant_type: &str,
        more: &[(&str, &str)],
    ) -> Result<Answer, Error> {
        let trace = fresh_trace();
        // The sign-in service knows no clock but its own.
        let proof = self.proof(transport.clock.own(), trace)?;
        let mut form = vec![("grant_type", grant_type), ("client_id", self.client_id.as_str())];
        form.extend(proof.iter().map(|(name, value)| (*name, value.as_str())));
        form.extend(more);
        let request = transport
            .client
            .post(self.url.clone())
            .header(ACCEPT, "application/json")
            .header("client-request-id", trace.correlation_id.to_string())
            .form(&form);
        let answer = transport.exchange(Call::AccessToken, request, trace).await?;
        if answer.is_success() {
            return Ok(answer);
        }
        let problem = judge_token_refusal(&answer.body, answer.status, answer.after);
        Err(Error::new(Call::AccessToken, self.of_this_kind(problem), refusal_trace(&answer)))
    }

    /// What of the form proves who asks.
    fn proof(&self, now: Timestamp, trace: Trace) -> Result<Vec<(&'static str, String)>, Error> {
        match &self.credential {
            Credential::Secret(secret) => Ok(vec![("client_secret", secret.expose_secret().to_owned())]),
            Credential::Certificate(certificate) => {
                let error = |problem| Error::new(Call::AccessToken, problem, trace);
                // Whether it is valid yet, the sign-in service judges by its own clock.
                if let Err(CertificateProblem::Expired(_)) = certificate.at(now) {
                    let blockage = Blockage::CertificateExpired;
                    return Err(error(Problem::Blocked { blockage, status: None, code: None }));
                }
                let assertion = self.assertion(certificate, now, trace.request_id);
                let assertion = assertion.ok_or_else(|| error(Problem::NotSigned))?;
                Ok(vec![("client_assertion_type", ASSERTION_TYPE.to_owned()), ("client_assertion", assertion)])
            }
        }
    }

    /// Entra knows a certificate by its thumbprint: `x5t#S256`, or `x5t` where it is older.
    fn assertion(&self, certificate: &ClientCertificate, now: Timestamp, id: Uuid) -> Option<String> {
        let seconds = now.micros().div_euclid(1_000_000);
        let header = json!({
            "alg": "PS256",
            "typ": "JWT",
            "x5t#S256": URL_SAFE_NO_PAD.encode(certificate.sha256()),
            "x5t": URL_SAFE_NO_PAD.encode(certificate.sha1()),
        });
        let claims = json!({
            "aud": self.url.as_str(),
            "iss": self.client_id,
            "sub": self.client_id,
            "jti": id.to_string(),
            "iat": seconds,
            "nbf": seconds - CLOCK_DIFFERENCE_SECONDS,
            "exp": seconds + ASSERTION_SECONDS,
        });
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = certificate.sign(signed.as_bytes()).ok()?;
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// `invalid_client` means whatever the application proved itself by.
    fn of_this_kind(&self, problem: Problem) -> Problem {
        match (problem, self.credential.kind()) {
            (
                Problem::Blocked { blockage: Blockage::ClientSecretRefused, status, code },
                CredentialKind::ClientCertificate { .. },
            ) => Problem::Blocked { blockage: Blockage::ClientCertificateRefused, status, code },
            (problem, CredentialKind::ClientSecret | CredentialKind::ClientCertificate { .. }) => problem,
        }
    }
}

/// The sign-in service tells its ids in the body.
fn refusal_trace(answer: &Answer) -> Trace {
    let document = Document::read(&answer.body);
    let object = document.as_ref().ok().and_then(Document::object);
    let id = |name| -> Option<Uuid> { object?.text_or_empty(name).parse().ok() };
    Trace {
        request_id: id("trace_id").unwrap_or(answer.trace.request_id),
        correlation_id: id("correlation_id").unwrap_or(answer.trace.correlation_id),
    }
}
