//! Reads the partner accounts: which there are, and the settings of each.

use std::collections::BTreeMap;

use secrecy::SecretString;
use toml::Value;

use crate::app::AccountSettings;
use crate::config::problem::Problem;
use crate::config::reader::{Noted, Reader};
use crate::config::service::{self, Pace};
use crate::config::settings::{self, ACCOUNTS_TABLE, ACCOUNTS_VARIABLE};
use crate::config::{secret, upstream_address, value};
use crate::domain::account::{Cloud, PartnerAccount};
use crate::domain::ids::{PartnerAccountId, TenantId};
use crate::partner_center::settings::{
    APPLICATION_NAME, Endpoints, LARGEST_PAGE, Settings as UpstreamSettings, Timeouts,
};
use crate::sign_in::Credential;

const EXAMPLE: &str = "[partner_accounts.contoso]";

/// The ids of the accounts: those the environment lists, else those the file has tables of.
pub(super) fn ids(reader: &mut Reader<'_>) -> Vec<PartnerAccountId> {
    let listed = reader.sources.environment.get(ACCOUNTS_VARIABLE);
    let names: Vec<String> = match listed {
        Some(list) => list.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect(),
        None => match reader.table.get(ACCOUNTS_TABLE) {
            Some(Value::Table(accounts)) => accounts.keys().cloned().collect(),
            Some(_) | None => Vec::new(),
        },
    };
    let mut found: Vec<PartnerAccountId> = Vec::new();
    for name in names {
        match name.parse::<PartnerAccountId>() {
            Ok(id) if found.contains(&id) => {
                let what = format!("{name:?} is listed twice");
                note_id(reader, &name, what);
            }
            Ok(id) => found.push(id),
            Err(_) => {
                let what = "is no account id: at most 63 lower-case letters, digits and inner hyphens, beginning with \
                            a letter"
                    .to_owned();
                note_id(reader, &name, what);
            }
        }
    }
    found
}

fn note_id(reader: &mut Reader<'_>, name: &str, what: String) {
    let key = format!("{ACCOUNTS_TABLE}.{name}");
    reader.note_problem(Problem { key, variable: ACCOUNTS_VARIABLE.to_owned(), what, example: EXAMPLE.to_owned() });
}

/// Notes that there is no account.
pub(super) fn note_absence(reader: &mut Reader<'_>) -> Noted {
    reader.note_problem(Problem {
        key: ACCOUNTS_TABLE.to_owned(),
        variable: ACCOUNTS_VARIABLE.to_owned(),
        what:
            "there is no partner account, so there is nothing to serve; with a sealing_key_file they may come from the \
               API"
            .to_owned(),
        example: EXAMPLE.to_owned(),
    })
}

/// Whether there are keys to seal with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    /// There are, or what is wrong with them is told already.
    Given,
    /// There are none.
    None,
}

/// The settings of the accounts. What an account does not say is as `pace`, the service's.
pub(super) fn read(
    reader: &mut Reader<'_>,
    ids: Vec<PartnerAccountId>,
    pace: Result<&Pace, Noted>,
    keys: Keys,
) -> Result<Vec<AccountSettings>, Noted> {
    let mut accounts = Vec::new();
    let mut all_sound = true;
    let mut tenants = BTreeMap::new();
    for id in ids {
        let tenant_id = unshared_tenant(reader, &id, &mut tenants);
        match account(reader, id, tenant_id, pace, keys) {
            Ok(account) => accounts.push(account),
            Err(Noted) => all_sound = false,
        }
    }
    if all_sound { Ok(accounts) } else { Err(Noted) }
}

/// Two accounts of one tenant would show each customer twice and share one quota without knowing.
fn unshared_tenant(
    reader: &mut Reader<'_>,
    id: &PartnerAccountId,
    tenants: &mut BTreeMap<TenantId, PartnerAccountId>,
) -> Result<TenantId, Noted> {
    let tenant = reader.value(&settings::TENANT_ID, Some(id.as_str()), value::tenant)?;
    match tenants.get(&tenant) {
        Some(first) => {
            let what = format!("{tenant} is the tenant of {ACCOUNTS_TABLE}.{first} already; each account has its own");
            Err(reader.note(&settings::TENANT_ID, Some(id.as_str()), what))
        }
        None => {
            tenants.insert(tenant, id.clone());
            Ok(tenant)
        }
    }
}

fn account(
    reader: &mut Reader<'_>,
    id: PartnerAccountId,
    tenant_id: Result<TenantId, Noted>,
    pace: Result<&Pace, Noted>,
    keys: Keys,
) -> Result<AccountSettings, Noted> {
    let of = Some(id.as_str());
    let kind = reader.value(&settings::KIND, of, value::kind);
    let cloud = reader.value(&settings::CLOUD, of, value::cloud);
    let display_name = reader.value_or(&settings::DISPLAY_NAME, of, id.to_string(), id.as_str(), value::text);
    let client_id = reader.value(&settings::CLIENT_ID, of, value::client_id);
    let credential = credential(reader, of);
    let refresh_token = refresh_token(reader, of, keys);
    let endpoints = endpoints(reader, of, cloud);
    let webhook_replace_url = reader.optional(&settings::WEBHOOK_REPLACE_URL, of, value::text);
    let own_pace = service::pace_of_account(reader, of, pace);
    let (pace, cloud, tenant_id) = (own_pace?.whole()?, cloud?, tenant_id?);
    Ok(AccountSettings {
        policy: pace.policy,
        refresh_token: refresh_token?,
        webhook_replace_url: webhook_replace_url?.map(SecretString::from),
        partner_center: UpstreamSettings {
            endpoints: endpoints?,
            tenant_id,
            client_id: client_id?,
            credential: credential?,
            requests_per_minute: pace.requests_per_minute,
            concurrency: pace.concurrency,
            page_size: LARGEST_PAGE,
            application_name: APPLICATION_NAME.to_owned(),
            timeouts: Timeouts::USUAL,
        },
        account: PartnerAccount { display_name: display_name?, kind: kind?, cloud, tenant_id, id },
    })
}

/// Exactly one of a secret and a certificate.
fn credential(reader: &mut Reader<'_>, of: Option<&str>) -> Result<Credential, Noted> {
    let secret = reader.optional(&settings::CLIENT_SECRET_FILE, of, secret::read);
    let certificate = reader.optional(&settings::CLIENT_CERTIFICATE_FILE, of, secret::certificate);
    match (secret?, certificate?) {
        (Some(secret), None) => Ok(Credential::Secret(secret)),
        (None, Some(certificate)) => Ok(Credential::Certificate(certificate)),
        (None, None) => {
            let what = "is required, or a client_certificate_file instead".to_owned();
            Err(reader.note(&settings::CLIENT_SECRET_FILE, of, what))
        }
        (Some(_), Some(_)) => {
            let what = "stands beside a client_secret_file; an account signs in by one of them".to_owned();
            Err(reader.note(&settings::CLIENT_CERTIFICATE_FILE, of, what))
        }
    }
}

fn refresh_token(reader: &mut Reader<'_>, of: Option<&str>, keys: Keys) -> Result<Option<SecretString>, Noted> {
    let token = reader.optional(&settings::REFRESH_TOKEN_FILE, of, secret::read_long)?;
    match (token, keys) {
        (Some(_), Keys::None) => {
            let what = "needs a sealing_key_file: the tokens that follow the first are kept in the database, sealed"
                .to_owned();
            Err(reader.note(&settings::REFRESH_TOKEN_FILE, of, what))
        }
        (token, Keys::Given | Keys::None) => Ok(token),
    }
}

fn endpoints(reader: &mut Reader<'_>, of: Option<&str>, cloud: Result<Cloud, Noted>) -> Result<Endpoints, Noted> {
    // With a cloud that cannot be read the addresses are still looked at, for their own problems.
    let usual = UpstreamSettings::endpoints_of(cloud.unwrap_or(Cloud::Global));
    let api_root =
        reader.value_or(&settings::API_ROOT, of, usual.api_root.clone(), &usual.api_root, upstream_address::api_root);
    let authority = reader.value_or(
        &settings::AUTHORITY,
        of,
        usual.authority.clone(),
        &usual.authority,
        upstream_address::authority,
    );
    let audience = reader.value_or(&settings::AUDIENCE, of, usual.audience.clone(), &usual.audience, value::text);
    Ok(Endpoints { api_root: api_root?, authority: authority?, audience: audience? })
}
