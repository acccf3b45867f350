//! Why a request to the webhook listener has no effect.

use axum::http::StatusCode;

/// What was wrong with a request, or with us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No account has that path, or its secret is another one.
    WrongPath,
    /// More requests than an account's events can explain.
    TooMany,
    /// The body does not say that it is JSON.
    NotDeclaredJson,
    /// The body is compressed, which nobody asked for.
    Encoded,
    /// The body is longer than an event can be.
    TooLong,
    /// The body broke off.
    Interrupted,
    /// There is no signature.
    NoSignature,
    /// There is more than one signature, certificate address or algorithm.
    Ambiguous,
    /// The signature is no base64 of a length that signatures have.
    MalformedSignature,
    /// There is no certificate address.
    NoCertificateAddress,
    /// The certificate is not where Microsoft's are.
    WrongCertificateAddress,
    /// There is no algorithm.
    NoAlgorithm,
    /// The algorithm is not one of those that count as safe.
    WrongAlgorithm,
    /// The certificate cannot be had now.
    CertificateUnavailable,
    /// What is at the certificate's address is no single certificate.
    MalformedCertificate,
    /// No trusted root stands behind the certificate.
    UntrustedCertificate,
    /// The certificate is not valid at this time.
    OutdatedCertificate,
    /// The certificate's key is no RSA key of at least 2048 bits.
    WeakKey,
    /// The certificate is somebody else's.
    WrongSigner,
    /// The signature is not the certificate's over these bytes.
    WrongSignature,
    /// The bytes are signed and yet no event.
    NoEvent,
    /// Too many customers wait to be looked at.
    QueueFull,
    /// The store cannot take it.
    StoreUnavailable,
}

impl Refusal {
    /// A stable name, for the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WrongPath => "WRONG_PATH",
            Self::TooMany => "TOO_MANY",
            Self::NotDeclaredJson => "NOT_DECLARED_JSON",
            Self::Encoded => "ENCODED",
            Self::TooLong => "TOO_LONG",
            Self::Interrupted => "INTERRUPTED",
            Self::NoSignature => "NO_SIGNATURE",
            Self::Ambiguous => "AMBIGUOUS",
            Self::MalformedSignature => "MALFORMED_SIGNATURE",
            Self::NoCertificateAddress => "NO_CERTIFICATE_ADDRESS",
            Self::WrongCertificateAddress => "WRONG_CERTIFICATE_ADDRESS",
            Self::NoAlgorithm => "NO_ALGORITHM",
            Self::WrongAlgorithm => "WRONG_ALGORITHM",
            Self::CertificateUnavailable => "CERTIFICATE_UNAVAILABLE",
            Self::MalformedCertificate => "MALFORMED_CERTIFICATE",
            Self::UntrustedCertificate => "UNTRUSTED_CERTIFICATE",
            Self::OutdatedCertificate => "OUTDATED_CERTIFICATE",
            Self::WeakKey => "WEAK_KEY",
            Self::WrongSigner => "WRONG_SIGNER",
            Self::WrongSignature => "WRONG_SIGNATURE",
            Self::NoEvent => "NO_EVENT",
            Self::QueueFull => "QUEUE_FULL",
            Self::StoreUnavailable => "STORE_UNAVAILABLE",
        }
    }

    /// What the sender is told. Partner Center tries again after anything but a success; nobody else learns which of
    /// the proofs was missing.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::WrongPath => StatusCode::NOT_FOUND,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::NotDeclaredJson | Self::Encoded => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Interrupted | Self::NoEvent => StatusCode::BAD_REQUEST,
            Self::NoSignature
            | Self::Ambiguous
            | Self::MalformedSignature
            | Self::NoCertificateAddress
            | Self::WrongCertificateAddress
            | Self::NoAlgorithm
            | Self::WrongAlgorithm
            | Self::MalformedCertificate
            | Self::UntrustedCertificate
            | Self::OutdatedCertificate
            | Self::WeakKey
            | Self::WrongSigner
            | Self::WrongSignature => StatusCode::UNAUTHORIZED,
            Self::CertificateUnavailable | Self::QueueFull | Self::StoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}
