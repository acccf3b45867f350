//! How an account says it is kept level: what it says itself, over what the service's configuration says.

use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::domain::policy::{self, Night, Pace, SyncPolicy, written};

/// What an account says itself; what is `None` is as the service's configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncSettings {
    /// The night's cron expression.
    pub night: Option<String>,
    /// The night's IANA time zone.
    pub time_zone: Option<String>,
    /// How often the audit log is read.
    pub audit_interval: Option<Duration>,
    /// How often the customer list is read.
    pub list_interval: Option<Duration>,
    /// Within this time a customer is promised to be verified again.
    pub verify_within: Option<Duration>,
    /// How long after a full sync nobody may start another by hand.
    pub manual_cooldown: Option<Duration>,
    /// How many calls a minute at most.
    pub requests_per_minute: Option<u32>,
    /// How many of them are open at a time, at most.
    pub concurrency: Option<u32>,
}

/// One of the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SyncSetting {
    /// The night's cron expression.
    Night,
    /// The night's time zone.
    TimeZone,
    /// How often the audit log is read.
    AuditInterval,
    /// How often the customer list is read.
    ListInterval,
    /// Within this time a customer is promised to be verified again.
    VerifyWithin,
    /// How long after a full sync nobody may start another by hand.
    ManualCooldown,
    /// How many calls a minute at most.
    RequestsPerMinute,
    /// How many of them are open at a time, at most.
    Concurrency,
}

impl SyncSetting {
    /// Every setting, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Night,
        Self::TimeZone,
        Self::AuditInterval,
        Self::ListInterval,
        Self::VerifyWithin,
        Self::ManualCooldown,
        Self::RequestsPerMinute,
        Self::Concurrency,
    ];

    /// The name used in paths.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Night => "night",
            Self::TimeZone => "time_zone",
            Self::AuditInterval => "audit_interval",
            Self::ListInterval => "list_interval",
            Self::VerifyWithin => "verify_within",
            Self::ManualCooldown => "manual_sync_cooldown",
            Self::RequestsPerMinute => "requests_per_minute",
            Self::Concurrency => "concurrency",
        }
    }

    /// What values it may have, as a sentence goes on with it.
    pub fn range(self) -> String {
        match self {
            Self::Night => "must be a cron expression of minute, hour, day, month and weekday".to_owned(),
            Self::TimeZone => "must be an IANA time zone such as Europe/Riga".to_owned(),
            Self::AuditInterval => within(&policy::AUDIT_INTERVAL),
            Self::ListInterval => within(&policy::LIST_INTERVAL),
            Self::VerifyWithin => within(&policy::VERIFY_WITHIN),
            Self::ManualCooldown => within(&policy::MANUAL_COOLDOWN),
            Self::RequestsPerMinute => between(&policy::REQUESTS_PER_MINUTE),
            Self::Concurrency => between(&policy::CONCURRENCY),
        }
    }
}

fn within(range: &RangeInclusive<Duration>) -> String {
    format!("must be from {} to {}", written(*range.start()), written(*range.end()))
}

fn between(range: &RangeInclusive<u32>) -> String {
    format!("must be from {} to {}", range.start(), range.end())
}

impl SyncSettings {
    /// Everything a pace says.
    pub fn of(pace: &Pace) -> Self {
        let Pace { policy, requests_per_minute, concurrency } = pace;
        Self {
            night: Some(policy.night.expression().to_owned()),
            time_zone: Some(policy.night.zone().to_owned()),
            audit_interval: Some(policy.audit_interval),
            list_interval: Some(policy.list_interval),
            verify_within: Some(policy.verify_within),
            manual_cooldown: Some(policy.manual_cooldown),
            requests_per_minute: Some(requests_per_minute.get()),
            concurrency: u32::try_from(concurrency.get()).ok(),
        }
    }

    /// The pace of an account that says this, in a service whose configuration says `usual`.
    ///
    /// Settings are checked before they are kept. One that is broken all the same is as if it were not said.
    pub fn over(&self, usual: &Pace) -> Pace {
        let night = &usual.policy.night;
        let expression = self.night.as_deref().unwrap_or_else(|| night.expression());
        let zone = self.time_zone.as_deref().unwrap_or_else(|| night.zone());
        let concurrency = self.concurrency.and_then(|most| NonZeroUsize::new(usize::try_from(most).ok()?));
        Pace {
            policy: SyncPolicy {
                night: Night::new(expression, zone).unwrap_or_else(|_| night.clone()),
                audit_interval: self.audit_interval.unwrap_or(usual.policy.audit_interval),
                list_interval: self.list_interval.unwrap_or(usual.policy.list_interval),
                verify_within: self.verify_within.unwrap_or(usual.policy.verify_within),
                manual_cooldown: self.manual_cooldown.unwrap_or(usual.policy.manual_cooldown),
            },
            requests_per_minute: self
                .requests_per_minute
                .and_then(NonZeroU32::new)
                .unwrap_or(usual.requests_per_minute),
            concurrency: concurrency.unwrap_or(usual.concurrency),
        }
    }

    /// Whether it says anything about the setting.
    pub const fn says(&self, setting: SyncSetting) -> bool {
        match setting {
            SyncSetting::Night => self.night.is_some(),
            SyncSetting::TimeZone => self.time_zone.is_some(),
            SyncSetting::AuditInterval => self.audit_interval.is_some(),
            SyncSetting::ListInterval => self.list_interval.is_some(),
            SyncSetting::VerifyWithin => self.verify_within.is_some(),
            SyncSetting::ManualCooldown => self.manual_cooldown.is_some(),
            SyncSetting::RequestsPerMinute => self.requests_per_minute.is_some(),
            SyncSetting::Concurrency => self.concurrency.is_some(),
        }
    }

    /// Says about one setting what `other` says.
    pub fn take(&mut self, setting: SyncSetting, other: &Self) {
        match setting {
            SyncSetting::Night => self.night.clone_from(&other.night),
            SyncSetting::TimeZone => self.time_zone.clone_from(&other.time_zone),
            SyncSetting::AuditInterval => self.audit_interval = other.audit_interval,
            SyncSetting::ListInterval => self.list_interval = other.list_interval,
            SyncSetting::VerifyWithin => self.verify_within = other.verify_within,
            SyncSetting::ManualCooldown => self.manual_cooldown = other.manual_cooldown,
            SyncSetting::RequestsPerMinute => self.requests_per_minute = other.requests_per_minute,
            SyncSetting::Concurrency => self.concurrency = other.concurrency,
        }
    }

    /// What is wrong with what it says about a setting.
    pub fn problem(&self, setting: SyncSetting) -> Option<String> {
        let outside = |duration: Option<Duration>, range: RangeInclusive<Duration>| {
            duration.filter(|duration| !range.contains(duration)).map(|_| setting.range())
        };
        let beyond = |number: Option<u32>, range: RangeInclusive<u32>| {
            number.filter(|number| !range.contains(number)).map(|_| setting.range())
        };
        match setting {
            SyncSetting::Night => Night::check_expression(self.night.as_deref()?).err().map(|error| error.to_string()),
            SyncSetting::TimeZone => Night::check_zone(self.time_zone.as_deref()?).err().map(|error| error.to_string()),
            SyncSetting::AuditInterval => outside(self.audit_interval, policy::AUDIT_INTERVAL),
            SyncSetting::ListInterval => outside(self.list_interval, policy::LIST_INTERVAL),
            SyncSetting::VerifyWithin => outside(self.verify_within, policy::VERIFY_WITHIN),
            SyncSetting::ManualCooldown => outside(self.manual_cooldown, policy::MANUAL_COOLDOWN),
            SyncSetting::RequestsPerMinute => beyond(self.requests_per_minute, policy::REQUESTS_PER_MINUTE),
            SyncSetting::Concurrency => beyond(self.concurrency, policy::CONCURRENCY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual() -> Pace {
        Pace {
            policy: SyncPolicy {
                night: Night::new("0 2 * * *", "Europe/Riga").expect("a sound night"),
                audit_interval: Duration::from_secs(60),
                list_interval: Duration::from_secs(900),
                verify_within: Duration::from_secs(86_400),
                manual_cooldown: Duration::from_secs(3600),
            },
            requests_per_minute: NonZeroU32::new(400).expect("not zero"),
            concurrency: NonZeroUsize::new(4).expect("not zero"),
        }
    }

    #[test]
    fn what_is_not_said_is_as_usual_and_what_is_said_alone_changes() {
        assert_eq!(SyncSettings::default().over(&usual()), usual());
        assert_eq!(SyncSettings::of(&usual()).over(&usual()), usual());
        let zone = SyncSettings { time_zone: Some("Asia/Tokyo".to_owned()), ..SyncSettings::default() };
        let mut expected = usual();
        expected.policy.night = Night::new("0 2 * * *", "Asia/Tokyo").expect("a sound night");
        assert_eq!(zone.over(&usual()), expected);
    }

    #[test]
    fn each_setting_is_taken_alone() {
        let all = SyncSettings::of(&usual());
        for setting in SyncSetting::ALL {
            let mut one = SyncSettings::default();
            one.take(setting, &all);
            let said: Vec<_> = SyncSetting::ALL.into_iter().filter(|other| one.says(*other)).collect();
            assert_eq!(said, [setting]);
        }
    }

    #[test]
    fn the_bounds_are_those_of_the_documentation() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let at = |seconds: Option<Duration>, number| SyncSettings {
            audit_interval: seconds,
            list_interval: seconds,
            verify_within: seconds,
            manual_cooldown: seconds,
            requests_per_minute: number,
            concurrency: number,
            ..SyncSettings::default()
        };
        let wrong = |settings: SyncSettings| -> Vec<&str> {
            let is_wrong = |setting: &SyncSetting| settings.problem(*setting).is_some();
            SyncSetting::ALL.into_iter().filter(is_wrong).map(SyncSetting::name).collect()
        };
        assert_eq!(
            wrong(at(seconds(0), Some(0))),
            ["audit_interval", "list_interval", "verify_within", "requests_per_minute", "concurrency"]
        );
        assert_eq!(wrong(at(seconds(59), Some(64))), ["verify_within"]);
        assert_eq!(wrong(at(seconds(60), Some(65))), ["concurrency"]);
        assert_eq!(wrong(at(seconds(3601), Some(1))), ["audit_interval"]);
        assert_eq!(wrong(at(seconds(86_401), Some(1))), ["audit_interval", "list_interval", "manual_sync_cooldown"]);
    }
}
