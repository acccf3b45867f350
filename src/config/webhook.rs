//! Reads how Partner Center's events come in. Without a listener nothing of it is needed, and with one all of it is.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::app::WebhookSettings;
use crate::config::reader::{Noted, Reader};
use crate::config::settings::{self, Setting};
use crate::config::value::{self, Wrong};
use crate::domain::webhook::PublicUrl;
use crate::webhook::{FetchSettings, Roots, Settings};

/// A former secret is honoured for a day at least, so none is replaced sooner; after ten years nobody remembers why.
const SECRET_MAX_AGE: RangeInclusive<Duration> =
    RangeInclusive::new(Duration::from_secs(24 * 3600), Duration::from_secs(3650 * 24 * 3600));

/// Reads it; `None` when no listener is set.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<Option<WebhookSettings>, Noted> {
    let listen = reader.optional(&settings::WEBHOOK_LISTEN, None, address)?;
    let public_url = reader.optional(&settings::WEBHOOK_PUBLIC_URL, None, public_url);
    let roots = reader.optional(&settings::WEBHOOK_SIGNER_ROOTS_FILE, None, roots);
    let certificate_hosts = reader.value(&settings::WEBHOOK_CERTIFICATE_HOSTS, None, host_names);
    let signer_names = reader.value(&settings::WEBHOOK_SIGNER_NAMES, None, host_names);
    let secret_max_age = reader.value(&settings::WEBHOOK_SECRET_MAX_AGE, None, value::duration(SECRET_MAX_AGE));
    let Some(listen) = listen else {
        return match public_url? {
            Some(_) => {
                let what = "has no effect without webhook_listen, where events would come in".to_owned();
                Err(reader.note(&settings::WEBHOOK_PUBLIC_URL, None, what))
            }
            None => Ok(None),
        };
    };
    let public_url = needed(reader, &settings::WEBHOOK_PUBLIC_URL, public_url);
    let roots = needed(reader, &settings::WEBHOOK_SIGNER_ROOTS_FILE, roots);
    let receiver = Settings {
        certificate_hosts: certificate_hosts?,
        roots: roots?,
        signer_names: signer_names?,
        fetch: FetchSettings::default(),
    };
    Ok(Some(WebhookSettings { listen, public_url: public_url?, secret_max_age: secret_max_age?, receiver }))
}

fn needed<T>(reader: &mut Reader<'_>, setting: &Setting, found: Result<Option<T>, Noted>) -> Result<T, Noted> {
    found?.ok_or_else(|| reader.note(setting, None, "is required with webhook_listen".to_owned()))
}

fn address(text: &str) -> Result<SocketAddr, Wrong> {
    text.parse().map_err(|_| "is no address and port".to_owned())
}

fn public_url(text: &str) -> Result<PublicUrl, Wrong> {
    PublicUrl::new(text).ok_or_else(|| "is no plain https address: no user, query or fragment".to_owned())
}

/// Exact names, in lower case, at least one.
fn host_names(text: &str) -> Result<BTreeSet<String>, Wrong> {
    let names = value::names(text)?;
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
    match names.iter().find(|name| !name.bytes().all(allowed)) {
        Some(_) => {
            Err("holds something that is no exact host name in lower case; patterns are not understood".to_owned())
        }
        None if names.is_empty() => Err("names nobody, so that no event could ever be believed".to_owned()),
        None => Ok(names),
    }
}

fn roots(path: &str) -> Result<Roots, Wrong> {
    let pem = std::fs::read(path).map_err(|error| format!("names a file that cannot be read: {}", error.kind()))?;
    Roots::from_pem(&pem).map_err(|wrong| format!("names a file that {wrong}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_exact_names() {
        assert_eq!(host_names("a.example, b.example").map(|names| names.len()), Ok(2));
        for bad in ["", " , ", "*.example", "A.example", "a.example/cert", "a.example:443", "https://a.example"] {
            assert!(host_names(bad).is_err(), "{bad}");
        }
    }
}
