//! Looks at addresses of Microsoft's by the rule of the client that will use them: it is asked to be made with them.

use std::num::{NonZeroU32, NonZeroUsize};

use secrecy::SecretString;

use crate::clock::Clock;
use crate::config::value::Wrong;
use crate::domain::account::Cloud;
use crate::domain::ids::TenantId;
use crate::partner_center::PartnerCenter;
use crate::partner_center::error::SetupError;
use crate::partner_center::settings::{Endpoints, LARGEST_PAGE, Settings, Timeouts};
use crate::sign_in::Credential;

/// The root of the API.
pub(super) fn api_root(text: &str) -> Result<String, Wrong> {
    checked(text, Endpoints { api_root: text.to_owned(), ..Settings::endpoints_of(Cloud::Global) })
}

/// The sign-in service.
pub(super) fn authority(text: &str) -> Result<String, Wrong> {
    checked(text, Endpoints { authority: text.to_owned(), ..Settings::endpoints_of(Cloud::Global) })
}

fn checked(text: &str, endpoints: Endpoints) -> Result<String, Wrong> {
    // Only the addresses matter; this client never calls anybody.
    let settings = Settings {
        endpoints,
        tenant_id: TenantId::new(uuid::Uuid::nil()),
        client_id: String::new(),
        credential: Credential::Secret(SecretString::default()),
        requests_per_minute: NonZeroU32::MIN,
        concurrency: NonZeroUsize::MIN,
        page_size: LARGEST_PAGE,
        application_name: "CustomerGuard".to_owned(),
        timeouts: Timeouts::USUAL,
    };
    match PartnerCenter::new(settings, Clock::system()) {
        Err(SetupError::MalformedAddress { .. }) => Err("is no URL such as https://api.example.com".to_owned()),
        Err(SetupError::InsecureAddress { .. }) => {
            Err("must begin with https:// unless its host is this machine".to_owned())
        }
        // What else there may be to complain of does not come from the address.
        Ok(_) | Err(SetupError::ApplicationName | SetupError::PageSize { .. } | SetupError::Client(_)) => {
            Ok(text.to_owned())
        }
    }
}
