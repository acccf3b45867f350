//! A partner account as a caller wants it: a new one, or what is to change of one. Everything that is wrong is told.

use std::collections::BTreeSet;
use std::fmt;

use crate::domain::account::{AccountRecord, AccountState, Cloud, PartnerAccount, PartnerKind};
use crate::domain::ids::{PartnerAccountId, TenantId};
use crate::domain::sync_settings::{SyncSetting, SyncSettings};
use crate::domain::text::{self, FieldProblem};

/// The longest display name, in characters.
pub const DISPLAY_NAME_MAX: usize = 200;

/// What a caller may say about an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountDraft {
    /// A name for people.
    pub display_name: String,
    /// How the partner sells.
    pub kind: Option<PartnerKind>,
    /// Where its tenant lives.
    pub cloud: Option<Cloud>,
    /// The partner's own tenant.
    pub tenant_id: Option<TenantId>,
    /// Whether it is synchronized.
    pub state: Option<AccountState>,
    /// How it is kept level.
    pub settings: SyncSettings,
}

/// One thing a caller may say about an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccountField {
    /// A name for people.
    DisplayName,
    /// How the partner sells.
    Kind,
    /// Where its tenant lives.
    Cloud,
    /// The partner's own tenant.
    TenantId,
    /// Whether it is synchronized.
    State,
    /// How it is kept level.
    Setting(SyncSetting),
}

impl AccountField {
    /// Every field, in the order of the documentation.
    pub fn all() -> impl Iterator<Item = Self> {
        let plain = [Self::DisplayName, Self::Kind, Self::Cloud, Self::TenantId, Self::State];
        plain.into_iter().chain(SyncSetting::ALL.into_iter().map(Self::Setting))
    }

    /// A problem with it.
    pub fn problem(self, description: impl Into<String>) -> FieldProblem {
        FieldProblem::new(format_args!("partner_account.{self}"), description)
    }
}

impl fmt::Display for AccountField {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DisplayName => out.write_str("display_name"),
            Self::Kind => out.write_str("kind"),
            Self::Cloud => out.write_str("cloud"),
            Self::TenantId => out.write_str("microsoft_tenant_id"),
            Self::State => out.write_str("state"),
            Self::Setting(setting) => write!(out, "sync_settings.{}", setting.name()),
        }
    }
}

/// What is to change: the named fields become as the draft says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountEdit {
    /// Which fields.
    pub named: BTreeSet<AccountField>,
    /// What they become.
    pub draft: AccountDraft,
}

/// What is wrong with the values of these fields, whatever the account.
pub fn value_problems(draft: &AccountDraft, fields: impl IntoIterator<Item = AccountField>) -> Vec<FieldProblem> {
    let problem = |field: AccountField| {
        let wrong = match field {
            AccountField::DisplayName => text::check_text(&text::tidy(&draft.display_name), DISPLAY_NAME_MAX),
            AccountField::Kind | AccountField::Cloud | AccountField::TenantId | AccountField::State => None,
            AccountField::Setting(setting) => draft.settings.problem(setting),
        };
        wrong.map(|wrong| field.problem(wrong))
    };
    fields.into_iter().filter_map(problem).collect()
}

/// Everything that is wrong with a draft of a new account.
pub fn problems(draft: &AccountDraft) -> Vec<FieldProblem> {
    let required = |is_said: bool, field: AccountField| (!is_said).then(|| field.problem("is required"));
    let missing = [
        required(draft.kind.is_some(), AccountField::Kind),
        required(draft.tenant_id.is_some(), AccountField::TenantId),
    ];
    let mut problems: Vec<_> = missing.into_iter().flatten().collect();
    problems.extend(value_problems(draft, AccountField::all()));
    problems
}

/// A new account in which nothing is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAccount {
    /// The account.
    pub account: PartnerAccount,
    /// Whether it is synchronized.
    pub state: AccountState,
    /// How it is kept level.
    pub settings: SyncSettings,
}

/// Admits a draft, or tells everything that is wrong with it.
pub fn admit(id: &PartnerAccountId, draft: AccountDraft) -> Result<NewAccount, Vec<FieldProblem>> {
    let problems = problems(&draft);
    match (draft.kind, draft.tenant_id) {
        (Some(kind), Some(tenant_id)) if problems.is_empty() => Ok(NewAccount {
            account: PartnerAccount {
                id: id.clone(),
                display_name: display_name(id, &draft.display_name),
                kind,
                cloud: draft.cloud.unwrap_or(Cloud::Global),
                tenant_id,
            },
            state: draft.state.unwrap_or(AccountState::Active),
            settings: draft.settings,
        }),
        _ => Err(problems),
    }
}

/// The id when it is empty.
fn display_name(id: &PartnerAccountId, wished: &str) -> String {
    let tidy = text::tidy(wished);
    if tidy.is_empty() { id.to_string() } else { tidy }
}

/// The account as it is after the edit, or everything that is wrong with the edit.
pub fn edited(record: &AccountRecord, edit: AccountEdit) -> Result<AccountRecord, Vec<FieldProblem>> {
    let AccountEdit { named, draft } = edit;
    let mut problems = value_problems(&draft, named.iter().copied());
    let mut after = record.clone();
    for field in named {
        let never_changes = || Some(field.problem("never changes; another one is another partner account"));
        let problem = match field {
            AccountField::DisplayName => {
                after.account.display_name = display_name(&record.account.id, &draft.display_name);
                None
            }
            AccountField::Kind => {
                after.account.kind = draft.kind.unwrap_or(record.account.kind);
                None
            }
            AccountField::State => {
                after.state = draft.state.unwrap_or(record.state);
                None
            }
            AccountField::Setting(setting) => {
                after.settings.take(setting, &draft.settings);
                None
            }
            AccountField::Cloud => draft.cloud.filter(|cloud| *cloud != record.account.cloud).and(never_changes()),
            AccountField::TenantId => {
                draft.tenant_id.filter(|tenant| *tenant != record.account.tenant_id).and(never_changes())
            }
        };
        problems.extend(problem);
    }
    if problems.is_empty() { Ok(after) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::domain::account::AccountOrigin;
    use crate::domain::ids::Revision;

    fn tenant(number: u128) -> TenantId {
        TenantId::new(uuid::Uuid::from_u128(number))
    }

    fn draft() -> AccountDraft {
        AccountDraft {
            display_name: " Contoso \u{4c}td ".to_owned(),
            kind: Some(PartnerKind::DirectBill),
            tenant_id: Some(tenant(1)),
            ..AccountDraft::default()
        }
    }

    fn record() -> AccountRecord {
        let new = admit(&"contoso".parse().expect("an id"), draft()).expect("a sound draft");
        AccountRecord {
            account: new.account,
            origin: AccountOrigin::Api,
            state: new.state,
            settings: new.settings,
            client_id: String::new(),
            credential: None,
            credentials_set_at: None,
            webhook_secret_made_at: None,
            user: None,
            trial: None,
            revision: Revision::FIRST,
            created_at: Timestamp::from_micros(0),
            updated_at: Timestamp::from_micros(0),
        }
    }

    fn paths(problems: Vec<FieldProblem>) -> Vec<String> {
        problems.into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn what_is_not_said_of_a_new_account_has_its_usual_value() {
        let record = record();
        assert_eq!((record.account.cloud, record.state), (Cloud::Global, AccountState::Active));
        assert_eq!(record.account.display_name, "Contoso Ltd");
        let unnamed = AccountDraft { display_name: " ".to_owned(), ..draft() };
        let new = admit(&"contoso".parse().expect("an id"), unnamed).expect("a sound draft");
        assert_eq!(new.account.display_name, "contoso");
    }

    #[test]
    fn every_problem_of_a_new_account_is_told_at_once() {
        let settings = SyncSettings {
            night: Some("0 2 30 2 *".to_owned()),
            time_zone: Some("Mars/Olympus".to_owned()),
            concurrency: Some(65),
            ..SyncSettings::default()
        };
        let wrong = AccountDraft { display_name: "x".repeat(201), settings, ..AccountDraft::default() };
        let problems = admit(&"contoso".parse().expect("an id"), wrong).expect_err("nothing of it is right");
        let expected = [
            "partner_account.kind",
            "partner_account.microsoft_tenant_id",
            "partner_account.display_name",
            "partner_account.sync_settings.night",
            "partner_account.sync_settings.time_zone",
            "partner_account.sync_settings.concurrency",
        ];
        assert_eq!(paths(problems), expected);
    }

    #[test]
    fn only_named_fields_change_and_tenant_and_cloud_never_do() {
        let wished = AccountDraft {
            display_name: "Another".to_owned(),
            kind: Some(PartnerKind::IndirectProvider),
            cloud: Some(Cloud::China),
            tenant_id: Some(tenant(2)),
            state: Some(AccountState::Disabled),
            settings: SyncSettings { time_zone: Some("Asia/Tokyo".to_owned()), ..SyncSettings::default() },
        };
        let named =
            |fields: &[AccountField]| AccountEdit { named: fields.iter().copied().collect(), draft: wished.clone() };
        let after = edited(&record(), named(&[AccountField::Kind, AccountField::State])).expect("a sound edit");
        let mut expected = record();
        expected.account.kind = PartnerKind::IndirectProvider;
        expected.state = AccountState::Disabled;
        assert_eq!(after, expected);
        let problems = edited(&record(), AccountEdit { named: AccountField::all().collect(), draft: wished.clone() });
        let expected = ["partner_account.cloud", "partner_account.microsoft_tenant_id"];
        assert_eq!(paths(problems.expect_err("two that never change")), expected);
    }

    #[test]
    fn an_unsaid_setting_that_is_named_is_as_usual_again() {
        let mut record = record();
        record.settings.time_zone = Some("Asia/Tokyo".to_owned());
        let field = AccountField::Setting(SyncSetting::TimeZone);
        let edit = AccountEdit { named: BTreeSet::from([field]), draft: AccountDraft::default() };
        assert_eq!(edited(&record, edit).expect("a sound edit").settings, SyncSettings::default());
    }
}
