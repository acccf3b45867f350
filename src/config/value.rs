//! Reads the values of single settings. What is wrong is said so that it follows the value: `"x" is no time`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::domain::account::{Cloud, PartnerKind};
use crate::domain::ids::TenantId;
use crate::domain::policy::{self, Night, written};
use crate::grpc::PortalLink;
use crate::store::DatabaseAddress;
use crate::telemetry::{self, LogFormat};

/// What is wrong with a value.
pub(super) type Wrong = String;

pub(super) fn loopback_address(text: &str) -> Result<SocketAddr, Wrong> {
    let address: SocketAddr = text.parse().map_err(|_| "is no address and port".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("can be reached from other machines, and callers cannot prove who they are yet: authentication is not \
             built. Use a loopback address, 127.0.0.1 or [::1]"
            .to_owned())
    }
}

pub(super) fn database(text: &str) -> Result<DatabaseAddress, Wrong> {
    Ok(DatabaseAddress::of(text))
}

pub(super) fn text(text: &str) -> Result<String, Wrong> {
    Ok(text.to_owned())
}

/// What people see where several processes are told apart.
pub(super) fn replica_name(text: &str) -> Result<String, Wrong> {
    let is_short = (1..=100).contains(&text.chars().count());
    if is_short && !text.contains(|one: char| one.is_control()) {
        Ok(text.to_owned())
    } else {
        Err("is no name of 1 to 100 characters".to_owned())
    }
}

/// Names separated by commas; none at all is fine.
pub(super) fn names(text: &str) -> Result<BTreeSet<String>, Wrong> {
    let names: BTreeSet<_> =
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    match names.iter().find(|name| name.contains(char::is_whitespace)) {
        Some(_) => Err("holds a name with a space; names are separated by commas".to_owned()),
        None => Ok(names),
    }
}

pub(super) fn portal_link(text: &str) -> Result<PortalLink, Wrong> {
    PortalLink::new(text).ok_or_else(|| format!("is no https address that holds {}", PortalLink::PLACEHOLDER))
}

pub(super) fn log_filter(text: &str) -> Result<String, Wrong> {
    telemetry::is_filter(text).then(|| text.to_owned()).ok_or_else(|| "is no log filter".to_owned())
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, Wrong> {
    match text {
        "json" => Ok(LogFormat::Json),
        "text" => Ok(LogFormat::Text),
        _ => Err("is neither json nor text".to_owned()),
    }
}

/// A night's cron expression; whether it ever comes is part of the answer.
pub(super) fn night(text: &str) -> Result<String, Wrong> {
    Night::check_expression(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

pub(super) fn time_zone(text: &str) -> Result<String, Wrong> {
    Night::check_zone(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

/// A duration such as `60s` within that range.
pub(super) fn duration(range: RangeInclusive<Duration>) -> impl Fn(&str) -> Result<Duration, Wrong> {
    let (shortest, longest) = range.into_inner();
    move |text| {
        let found = parsed_duration(text).ok_or_else(|| "is no duration such as 60s, 15m, 24h or 2d".to_owned())?;
        if found < shortest {
            return Err(format!("is shorter than {}", written(shortest)));
        }
        if found > longest {
            return Err(format!("is longer than {}", written(longest)));
        }
        Ok(found)
    }
}

fn parsed_duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.parse().ok()?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

pub(super) fn requests_per_minute(text: &str) -> Result<NonZeroU32, Wrong> {
    whole_number(text, policy::REQUESTS_PER_MINUTE)
}

pub(super) fn concurrency(text: &str) -> Result<NonZeroUsize, Wrong> {
    let found: NonZeroU32 = whole_number(text, policy::CONCURRENCY)?;
    // Invariant: what is within the range fits everywhere.
    NonZeroUsize::try_from(found).map_err(|_| "is too large".to_owned())
}

fn whole_number(text: &str, range: RangeInclusive<u32>) -> Result<NonZeroU32, Wrong> {
    let found = text.parse::<NonZeroU32>().ok().filter(|found| range.contains(&found.get()));
    found.ok_or_else(|| format!("is no whole number from {} to {}", range.start(), range.end()))
}

pub(super) fn kind(text: &str) -> Result<PartnerKind, Wrong> {
    PartnerKind::named(text).ok_or_else(|| one_of(PartnerKind::ALL.map(PartnerKind::name)))
}

pub(super) fn cloud(text: &str) -> Result<Cloud, Wrong> {
    Cloud::named(text).ok_or_else(|| one_of(Cloud::ALL.map(Cloud::name)))
}

fn one_of(names: [&str; 3]) -> Wrong {
    format!("is none of {}", names.join(", "))
}

pub(super) fn tenant(text: &str) -> Result<TenantId, Wrong> {
    text.parse().map_err(|_| "is no tenant id; it is a UUID, not a domain".to_owned())
}

pub(super) fn client_id(text: &str) -> Result<String, Wrong> {
    // Application ids have the form of tenant ids.
    text.parse::<TenantId>().map(|_| text.to_owned()).map_err(|_| "is no application id; it is a UUID".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn durations_are_numbers_with_a_unit() {
        let any = duration(Duration::ZERO..=400 * DAY);
        for (text, seconds) in [("0s", 0), ("60s", 60), ("15m", 900), ("24h", 86_400), ("2d", 172_800)] {
            assert_eq!(any(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in
            ["", "60", "s", "-1s", "1.5h", "1 h", "60sec", "1h30m", "999999999999999999999s", "99999999999999999d"]
        {
            assert!(any(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_have_bounds_that_are_told() {
        let within = duration(Duration::from_secs(60)..=DAY);
        assert_eq!(within("59s"), Err("is shorter than 1m".to_owned()));
        assert_eq!(within("25h"), Err("is longer than 1d".to_owned()));
    }

    #[test]
    fn a_night_that_never_comes_is_none() {
        assert!(night("0 2 * * *").is_ok());
        assert_eq!(night("0 2 30 2 *"), Err("never comes".to_owned()));
        assert!(night("at two").is_err());
    }

    #[test]
    fn only_this_machine_may_be_listened_on() {
        assert!(loopback_address("127.0.0.1:0").is_ok());
        assert!(loopback_address("[::1]:50051").is_ok());
        for bad in ["0.0.0.0:50051", "[::]:50051", "192.0.2.1:1", "localhost:1", "127.0.0.1"] {
            assert!(loopback_address(bad).is_err(), "{bad}");
        }
    }
}
