//! What a connection to Partner Center needs to be told.
//!
//! The API, the sign-in service and the audience are three settings with presets by cloud; none is derived from
//! another (FACTS 1.1).

use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use crate::domain::account::Cloud;
use crate::domain::ids::TenantId;
use crate::partner_center::error::SetupError;
use crate::sign_in::Credential;
use reqwest::Url;

/// The largest page to ask for: Partner Center's default (FACTS 2.1, 5.1); its maximum is not documented.
pub const LARGEST_PAGE: u16 = 500;

/// How we introduce ourselves.
pub const APPLICATION_NAME: &str = concat!("CustomerGuard/", env!("CARGO_PKG_VERSION"));

/// One partner account's connection.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where Partner Center is.
    pub endpoints: Endpoints,
    /// The partner's own tenant; a token of any other is refused.
    pub tenant_id: TenantId,
    /// The application that signs in.
    pub client_id: String,
    /// By what it proves who it is.
    pub credential: Credential,
    /// How many calls a minute to make at most.
    pub requests_per_minute: NonZeroU32,
    /// How many calls to have open at a time.
    pub concurrency: NonZeroUsize,
    /// Items on a page of customers or audit records, at most [`LARGEST_PAGE`].
    pub page_size: u16,
    /// How we introduce ourselves to Microsoft.
    pub application_name: String,
    /// How long calls may take.
    pub timeouts: Timeouts,
}

/// The three addresses of a cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// The root of the API; paths such as `/v1/customers` are added to it.
    pub api_root: String,
    /// The sign-in service.
    pub authority: String,
    /// Whom tokens are for.
    pub audience: String,
}

/// How long calls may take. A call that asks for a token first may take both times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until there is a connection.
    pub connect: Duration,
    /// From the request to the last byte of the answer.
    pub call: Duration,
    /// The same for a page of customers or audit records, which Partner Center takes longer to gather.
    pub page: Duration,
    /// Without a byte more of an answer that has begun.
    pub idle: Duration,
}

impl Timeouts {
    /// The times Partner Center is known to need, with room (FACTS 7, 9).
    pub const USUAL: Self = Self {
        connect: Duration::from_secs(5),
        call: Duration::from_secs(60),
        page: Duration::from_secs(100),
        idle: Duration::from_secs(15),
    };
}

impl Settings {
    /// The addresses of a cloud (FACTS 1.1).
    pub fn endpoints_of(cloud: Cloud) -> Endpoints {
        let (api_root, authority, audience) = match cloud {
            Cloud::Global => (
                "https://api.partnercenter.microsoft.com",
                "https://login.microsoftonline.com",
                "https://api.partnercenter.microsoft.com",
            ),
            Cloud::UsGovernment => (
                "https://api.partnercenter.microsoft.com",
                "https://login.microsoftonline.us",
                "https://api.partnercenter.microsoft.com",
            ),
            Cloud::China => (
                "https://partner.partnercenterapi.microsoftonline.cn",
                "https://login.partner.microsoftonline.cn",
                "https://partner.partnercenterapi.microsoftonline.cn",
            ),
        };
        Endpoints { api_root: api_root.to_owned(), authority: authority.to_owned(), audience: audience.to_owned() }
    }
}

/// Reads the setting `name` as an address that credentials may be sent to.
pub(super) fn address(name: &'static str, given: &str) -> Result<Url, SetupError> {
    let url = Url::parse(given).map_err(|_| SetupError::MalformedAddress { name })?;
    let host = url.host_str().ok_or(SetupError::MalformedAddress { name })?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_this_machine(host) => Ok(url),
        "http" => Err(SetupError::InsecureAddress { name }),
        _ => Err(SetupError::MalformedAddress { name }),
    }
}

fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `root` with a path (and query) added to its own path. Path and query must be percent-encoded already.
pub(super) fn below(root: &Url, path: &str, query: Option<&str>) -> Url {
    let mut url = root.clone();
    url.set_path(&format!("{}{path}", root.path().trim_end_matches('/')));
    url.set_query(query);
    url.set_fragment(None);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cloud_has_addresses_that_may_be_used() {
        for cloud in Cloud::ALL {
            let endpoints = Settings::endpoints_of(cloud);
            assert!(address("API root", &endpoints.api_root).is_ok(), "{cloud:?}");
            assert!(address("authority", &endpoints.authority).is_ok(), "{cloud:?}");
        }
    }

    #[test]
    fn secrets_are_sent_in_the_clear_to_this_machine_only() {
        for good in ["https://a.example", "http://127.0.0.1:8080/sim", "http://[::1]:80", "http://localhost:1"] {
            assert!(address("API root", good).is_ok(), "{good}");
        }
        for insecure in ["http://a.example", "http://localhost.example", "http://10.0.0.1", "http://127.0.0.1.nip.io"] {
            assert!(matches!(address("API root", insecure), Err(SetupError::InsecureAddress { .. })), "{insecure}");
        }
        for malformed in ["", "api.example", "ftp://a.example", "unix:/x"] {
            assert!(matches!(address("API root", malformed), Err(SetupError::MalformedAddress { .. })), "{malformed}");
        }
    }

    #[test]
    fn paths_are_added_below_the_root() {
        for root in ["https://a.example", "https://a.example/"] {
            let root = address("API root", root).expect("an address");
            assert_eq!(below(&root, "/v1/customers", Some("size=5")).as_str(), "https://a.example/v1/customers?size=5");
        }
        let nested = address("API root", "http://127.0.0.1:1/sim/?x").expect("an address");
        assert_eq!(below(&nested, "/v1/customers", None).as_str(), "http://127.0.0.1:1/sim/v1/customers");
    }

    #[test]
    fn settings_never_print_the_secret() {
        let settings = crate::partner_center::scripted_server::settings_for("http://127.0.0.1:1");
        assert!(!format!("{settings:?}").contains("a-client-secret"));
    }
}
