//! Partner accounts as messages, and messages as what the operations take, or everything that is wrong with them.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::account::{AccountOrigin, AccountRecord, AccountState, Cloud, PartnerKind};
use crate::domain::account_draft::{self, AccountDraft, AccountEdit, AccountField};
use crate::domain::ids::PartnerAccountId;
use crate::domain::sync_settings::{SyncSetting, SyncSettings};
use crate::domain::text::FieldProblem;
use crate::domain::user_sign_in::CredentialKind;
use crate::grpc::convert::{self, UNKNOWN_VALUE, time};
use crate::grpc::requests::mode;
use crate::grpc::{credential_trials, names, proto};
use crate::operations::create_partner_account::CreatePartnerAccount;
use crate::operations::questions::{HealthCheck, HealthCheckKind};
use crate::operations::update_partner_account::UpdatePartnerAccount;

/// Paths of what the service sets and no caller changes; naming them is ignored (AIP-203).
const OUTPUT_ONLY: [&str; 13] = [
    "name",
    "origin",
    "client_id",
    "credentials_time",
    "create_time",
    "update_time",
    "etag",
    "certificate_expire_time",
    "user_sign_in_time",
    "credential_kind",
    "has_refresh_token",
    "webhook_secret_time",
    "credential_trial",
];

/// The account a request wants to create, or everything that is wrong with it.
pub(super) fn creation_of(
    request: &proto::CreatePartnerAccountRequest,
) -> Result<CreatePartnerAccount, Vec<FieldProblem>> {
    let mut problems = Vec::new();
    let id = request.partner_account_id.parse::<PartnerAccountId>();
    if id.is_err() {
        let wrong = "must be at most 63 lower-case letters, digits and inner hyphens, beginning with a letter";
        problems.push(FieldProblem::new("partner_account_id", wrong));
    }
    let Some(message) = &request.partner_account else {
        problems.push(FieldProblem::new("partner_account", "is required"));
        return Err(problems);
    };
    let draft = draft_of(message, AccountField::all(), &mut problems);
    // A value that cannot be read is not told to be missing as well.
    let more = account_draft::problems(&draft);
    let told: BTreeSet<String> = problems.iter().map(|problem| problem.field.clone()).collect();
    problems.extend(more.into_iter().filter(|problem| !told.contains(&problem.field)));
    match id {
        Ok(id) if problems.is_empty() => Ok(CreatePartnerAccount { id, draft, mode: mode(request.validate_only) }),
        _ => Err(problems),
    }
}

/// The change a request asks for, or everything that is wrong with it.
pub(super) fn update_of(
    request: &proto::UpdatePartnerAccountRequest,
) -> Result<UpdatePartnerAccount, Vec<FieldProblem>> {
    let Some(message) = &request.partner_account else {
        return Err(vec![FieldProblem::new("partner_account", "is required")]);
    };
    let mut problems = Vec::new();
    let name = names::account("partner_account.name", &message.name).map_err(|problem| problems.push(problem)).ok();
    let expected = match message.etag.as_str() {
        "" => None,
        etag => convert::version("partner_account.etag", etag).map_err(|problem| problems.push(problem)).ok(),
    };
    let paths = request.update_mask.as_ref().map_or(&[][..], |mask| mask.paths.as_slice());
    let named = named_by(message, paths, &mut problems);
    let draft = draft_of(message, named.iter().copied(), &mut problems);
    if !problems.is_empty() {
        problems.extend(account_draft::value_problems(&draft, named.iter().copied()));
    }
    match name {
        Some(account) if problems.is_empty() => {
            let edit = AccountEdit { named, draft };
            Ok(UpdatePartnerAccount { account, expected, edit, mode: mode(request.validate_only) })
        }
        _ => Err(problems),
    }
}

fn named_by(
    message: &proto::PartnerAccount,
    paths: &[String],
    problems: &mut Vec<FieldProblem>,
) -> BTreeSet<AccountField> {
    let mut named = BTreeSet::new();
    match paths {
        [] => return AccountField::all().filter(|field| is_populated(message, *field)).collect(),
        [only] if only == "*" => return AccountField::all().collect(),
        _ => {}
    }
    for path in paths {
        let before = named.len();
        let is_meant = |field: &AccountField| match field {
            AccountField::Setting(_) => path == "sync_settings" || field.to_string() == *path,
            AccountField::DisplayName
            | AccountField::Kind
            | AccountField::Cloud
            | AccountField::TenantId
            | AccountField::State => field.to_string() == *path,
        };
        let meant: Vec<_> = AccountField::all().filter(is_meant).collect();
        let is_known = !meant.is_empty() || OUTPUT_ONLY.contains(&path.as_str());
        named.extend(meant);
        if path == "*" {
            problems.push(FieldProblem::new("update_mask", "must stand alone"));
        } else if !is_known {
            let shown: String = path.chars().take(80).flat_map(char::escape_default).collect();
            problems.push(FieldProblem::new("update_mask", format!("has no field {shown}")));
        } else if named.len() > before {
            problems.extend(cannot_be_cleared(message, path));
        }
    }
    named
}

/// What is named has to have a value where there is none that stands for nothing.
fn cannot_be_cleared(message: &proto::PartnerAccount, path: &str) -> Option<FieldProblem> {
    let wrong = match path {
        "kind" if message.kind == 0 => "must be DIRECT_BILL, INDIRECT_PROVIDER or INDIRECT_RESELLER",
        "state" if message.state == 0 => "must be ACTIVE or DISABLED",
        _ => return None,
    };
    Some(FieldProblem::new(format_args!("partner_account.{path}"), wrong))
}

fn is_populated(message: &proto::PartnerAccount, field: AccountField) -> bool {
    match field {
        AccountField::DisplayName => !message.display_name.is_empty(),
        AccountField::Kind => message.kind != 0,
        AccountField::Cloud => message.cloud != 0,
        AccountField::TenantId => !message.microsoft_tenant_id.is_empty(),
        AccountField::State => message.state != 0,
        AccountField::Setting(setting) => message.sync_settings.as_ref().is_some_and(|settings| match setting {
            SyncSetting::Night => !settings.night.is_empty(),
            SyncSetting::TimeZone => !settings.time_zone.is_empty(),
            SyncSetting::AuditInterval => settings.audit_interval.is_some(),
            SyncSetting::ListInterval => settings.list_interval.is_some(),
            SyncSetting::VerifyWithin => settings.verify_within.is_some(),
            SyncSetting::ManualCooldown => settings.manual_sync_cooldown.is_some(),
            SyncSetting::RequestsPerMinute => settings.requests_per_minute != 0,
            SyncSetting::Concurrency => settings.concurrency != 0,
        }),
    }
}

/// What a message says about these fields; what cannot be read is a problem.
fn draft_of(
    message: &proto::PartnerAccount,
    fields: impl IntoIterator<Item = AccountField>,
    problems: &mut Vec<FieldProblem>,
) -> AccountDraft {
    let mut draft = AccountDraft::default();
    for field in fields {
        if let Err(wrong) = read(message, field, &mut draft) {
            problems.push(field.problem(wrong));
        }
    }
    draft
}

fn read(message: &proto::PartnerAccount, field: AccountField, draft: &mut AccountDraft) -> Result<(), String> {
    match field {
        AccountField::DisplayName => draft.display_name.clone_from(&message.display_name),
        AccountField::Kind => draft.kind = kind_of(message.kind)?,
        AccountField::Cloud => draft.cloud = cloud_of(message.cloud)?,
        AccountField::State => draft.state = state_of(message.state)?,
        AccountField::TenantId => match message.microsoft_tenant_id.as_str() {
            "" => draft.tenant_id = None,
            id => draft.tenant_id = Some(id.parse().map_err(|_| "must be a tenant id, which is a UUID")?),
        },
        AccountField::Setting(setting) => {
            if let Some(settings) = &message.sync_settings {
                read_setting(settings, setting, &mut draft.settings)?;
            }
        }
    }
    Ok(())
}

fn read_setting(
    message: &proto::SyncSettings,
    setting: SyncSetting,
    settings: &mut SyncSettings,
) -> Result<(), String> {
    let text = |text: &str| Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned);
    let duration = |duration: Option<prost_types::Duration>| {
        duration.map(|duration| Duration::try_from(duration).map_err(|_| setting.range())).transpose()
    };
    let number = |number: i32| match u32::try_from(number) {
        Ok(0) => Ok(None),
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(setting.range()),
    };
    match setting {
        SyncSetting::Night => settings.night = text(&message.night),
        SyncSetting::TimeZone => settings.time_zone = text(&message.time_zone),
        SyncSetting::AuditInterval => settings.audit_interval = duration(message.audit_interval)?,
        SyncSetting::ListInterval => settings.list_interval = duration(message.list_interval)?,
        SyncSetting::VerifyWithin => settings.verify_within = duration(message.verify_within)?,
        SyncSetting::ManualCooldown => settings.manual_cooldown = duration(message.manual_sync_cooldown)?,
        SyncSetting::RequestsPerMinute => settings.requests_per_minute = number(message.requests_per_minute)?,
        SyncSetting::Concurrency => settings.concurrency = number(message.concurrency)?,
    }
    Ok(())
}

fn kind_of(value: i32) -> Result<Option<PartnerKind>, String> {
    match proto::PartnerKind::try_from(value) {
        Ok(proto::PartnerKind::Unspecified) => Ok(None),
        Ok(proto::PartnerKind::DirectBill) => Ok(Some(PartnerKind::DirectBill)),
        Ok(proto::PartnerKind::IndirectProvider) => Ok(Some(PartnerKind::IndirectProvider)),
        Ok(proto::PartnerKind::IndirectReseller) => Ok(Some(PartnerKind::IndirectReseller)),
        Err(_) => Err(UNKNOWN_VALUE.to_owned()),
    }
}

fn cloud_of(value: i32) -> Result<Option<Cloud>, String> {
    match proto::Cloud::try_from(value) {
        Ok(proto::Cloud::Unspecified) => Ok(None),
        Ok(proto::Cloud::Global) => Ok(Some(Cloud::Global)),
        Ok(proto::Cloud::UsGovernment) => Ok(Some(Cloud::UsGovernment)),
        Ok(proto::Cloud::China) => Ok(Some(Cloud::China)),
        Err(_) => Err(UNKNOWN_VALUE.to_owned()),
    }
}

fn state_of(value: i32) -> Result<Option<AccountState>, String> {
    match proto::PartnerAccountState::try_from(value) {
        Ok(proto::PartnerAccountState::Unspecified) => Ok(None),
        Ok(proto::PartnerAccountState::Active) => Ok(Some(AccountState::Active)),
        Ok(proto::PartnerAccountState::Disabled) => Ok(Some(AccountState::Disabled)),
        Err(_) => Err(UNKNOWN_VALUE.to_owned()),
    }
}

/// An account as a message.
pub(super) fn partner_account(record: &AccountRecord) -> proto::PartnerAccount {
    let account = &record.account;
    proto::PartnerAccount {
        name: names::account_name(&account.id),
        display_name: account.display_name.clone(),
        kind: match account.kind {
            PartnerKind::DirectBill => proto::PartnerKind::DirectBill,
            PartnerKind::IndirectProvider => proto::PartnerKind::IndirectProvider,
            PartnerKind::IndirectReseller => proto::PartnerKind::IndirectReseller,
        }
        .into(),
        cloud: match account.cloud {
            Cloud::Global => proto::Cloud::Global,
            Cloud::UsGovernment => proto::Cloud::UsGovernment,
            Cloud::China => proto::Cloud::China,
        }
        .into(),
        microsoft_tenant_id: account.tenant_id.to_string(),
        origin: match record.origin {
            AccountOrigin::Configuration => proto::AccountOrigin::Configuration,
            AccountOrigin::Api => proto::AccountOrigin::Api,
        }
        .into(),
        state: match record.state {
            AccountState::Active => proto::PartnerAccountState::Active,
            AccountState::Disabled => proto::PartnerAccountState::Disabled,
        }
        .into(),
        client_id: record.client_id.clone(),
        credentials_time: record.credentials_set_at.map(time),
        sync_settings: Some(sync_settings(&record.settings)),
        create_time: Some(time(record.created_at)),
        update_time: Some(time(record.updated_at)),
        etag: convert::etag(record.revision, record.updated_at),
        webhook_secret_time: record.webhook_secret_made_at.map(time),
        certificate_expire_time: record.credential.and_then(CredentialKind::expires_at).map(time),
        user_sign_in_time: record.user.as_ref().and_then(|user| user.succeeded_at).map(time),
        credential_kind: match record.credential {
            None => proto::CredentialKind::Unspecified,
            Some(CredentialKind::ClientSecret) => proto::CredentialKind::ClientSecret,
            Some(CredentialKind::ClientCertificate { .. }) => proto::CredentialKind::ClientCertificate,
        }
        .into(),
        has_refresh_token: record.user.is_some(),
        credential_trial: record.trial.as_ref().map(|trial| credential_trials::message(&account.id, trial)),
    }
}

fn sync_settings(settings: &SyncSettings) -> proto::SyncSettings {
    let duration = |duration: Option<Duration>| duration.and_then(|duration| duration.try_into().ok());
    let number = |number: Option<u32>| number.and_then(|number| i32::try_from(number).ok()).unwrap_or_default();
    proto::SyncSettings {
        night: settings.night.clone().unwrap_or_default(),
        time_zone: settings.time_zone.clone().unwrap_or_default(),
        audit_interval: duration(settings.audit_interval),
        list_interval: duration(settings.list_interval),
        verify_within: duration(settings.verify_within),
        manual_sync_cooldown: duration(settings.manual_cooldown),
        requests_per_minute: number(settings.requests_per_minute),
        concurrency: number(settings.concurrency),
    }
}

/// How an account fares, as a message.
pub(super) fn health(
    account: &PartnerAccountId,
    checks: Vec<HealthCheck>,
    now: Timestamp,
) -> proto::PartnerAccountHealth {
    proto::PartnerAccountHealth {
        name: names::account_name(account),
        healthy: checks.iter().all(|check| check.optional || check.failure.is_none()),
        checks: checks.into_iter().map(health_check).collect(),
        check_time: Some(time(now)),
    }
}

fn health_check(check: HealthCheck) -> proto::HealthCheck {
    let passed = check.failure.is_none();
    let (reason, remedy) = check.failure.map(|failure| (failure.reason, failure.remedy)).unwrap_or_default();
    proto::HealthCheck {
        kind: match check.kind {
            HealthCheckKind::Credentials => proto::HealthCheckKind::Credentials,
            HealthCheckKind::CustomerList => proto::HealthCheckKind::CustomerList,
            HealthCheckKind::AuditLog => proto::HealthCheckKind::AuditLog,
            HealthCheckKind::WebhookRegistration => proto::HealthCheckKind::WebhookRegistration,
            HealthCheckKind::UserSignIn => proto::HealthCheckKind::UserSignIn,
        }
        .into(),
        passed,
        reason,
        remedy,
        optional: check.optional,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(paths: &[&str], message: proto::PartnerAccount) -> proto::UpdatePartnerAccountRequest {
        let update_mask = Some(prost_types::FieldMask { paths: paths.iter().map(ToString::to_string).collect() });
        let partner_account = proto::PartnerAccount { name: "partnerAccounts/contoso".to_owned(), ..message };
        proto::UpdatePartnerAccountRequest { partner_account: Some(partner_account), update_mask, ..Default::default() }
    }

    fn named(paths: &[&str], message: proto::PartnerAccount) -> Vec<String> {
        let update = update_of(&request(paths, message)).expect("a sound request");
        update.edit.named.iter().map(ToString::to_string).collect()
    }

    fn in_tokyo() -> proto::PartnerAccount {
        let settings = proto::SyncSettings { time_zone: "Asia/Tokyo".to_owned(), ..Default::default() };
        proto::PartnerAccount { sync_settings: Some(settings), ..Default::default() }
    }

    #[test]
    fn a_mask_names_members_whole_messages_everything_or_what_is_populated() {
        assert_eq!(named(&[], in_tokyo()), ["sync_settings.time_zone"]);
        assert_eq!(named(&["sync_settings.night", "etag"], in_tokyo()), ["sync_settings.night"]);
        assert_eq!(named(&["sync_settings"], in_tokyo()).len(), SyncSetting::ALL.len());
        assert_eq!(named(&["*"], in_tokyo()).len(), AccountField::all().count());
    }

    #[test]
    fn every_unknown_path_and_value_is_told() {
        let message = proto::PartnerAccount {
            kind: 99,
            etag: "seventeen".to_owned(),
            microsoft_tenant_id: "contoso.example".to_owned(),
            sync_settings: Some(proto::SyncSettings {
                concurrency: -1,
                night: "at two".to_owned(),
                audit_interval: Some(prost_types::Duration { seconds: -1, nanos: 0 }),
                ..Default::default()
            }),
            ..Default::default()
        };
        let paths =
            ["kind", "state", "microsoft_tenant_id", "sync_settings", "client_secret", "*", "sync_settings.dawn"];
        let problems = update_of(&request(&paths, message)).expect_err("nothing of it is right");
        let told: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        let expected = [
            "partner_account.etag",
            "partner_account.state",
            "update_mask",
            "update_mask",
            "update_mask",
            "partner_account.kind",
            "partner_account.microsoft_tenant_id",
            "partner_account.sync_settings.audit_interval",
            "partner_account.sync_settings.concurrency",
            "partner_account.sync_settings.night",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_value_that_is_not_named_is_not_looked_at() {
        let message = proto::PartnerAccount { microsoft_tenant_id: "nonsense".to_owned(), kind: 99, ..in_tokyo() };
        assert_eq!(named(&["display_name"], message), ["display_name"]);
    }

    #[test]
    fn a_secret_is_not_printed_with_its_request() {
        let request = proto::SetPartnerAccountCredentialsRequest {
            name: "partnerAccounts/contoso".to_owned(),
            client_id: "an-application".to_owned(),
            client_secret: "hunter2".to_owned(),
            client_certificate: "hunter2".to_owned(),
            refresh_token: "hunter2".to_owned(),
        };
        let shown = format!("{request:?}");
        assert!(shown.contains("partnerAccounts/contoso") && !shown.contains("hunter2"), "{shown}");
    }
}
