//! `accounts`: the connections to Partner Center, and whether each can do what synchronization needs.

use clap::{Args, Subcommand};
use customer_guard::clock::Timestamp;
use customer_guard::grpc::proto;

use super::credentials::SetCredentials;
use super::failure::Failure;
use super::listing::{self, Limit};
use super::record::Record;
use super::screen::{Screen, Tone, harmless};
use super::session::Session;
use super::table::{Cell, Column};
use super::times::{exact, exact_and_age, span};
use super::{names, trials, words};

const LIST: &str = "\
Examples:
  customer-guard accounts list";

const GET: &str = "\
Examples:
  customer-guard accounts get contoso";

const CHECK: &str = "\
Signs in and reads what synchronization reads, now. The exit code is 1 if
something that is needed does not work.

Examples:
  customer-guard accounts check contoso";

const ROTATE: &str = "\
The new secret is registered in Partner Center at once; the path with the former
one is honoured until an event has come under the new one, for a day at least
and a week at most. Nothing happens while the registration is not this service's.
No secret is ever shown.

Examples:
  customer-guard accounts rotate-webhook-secret contoso";

const SET_CREDENTIALS: &str = "\
Secrets are read from files and never shown. Give a secret or a certificate;
a refresh token where calls for a user are to be made.

Examples:
  customer-guard accounts set-credentials contoso --certificate-file contoso.pem
  customer-guard accounts set-credentials contoso --client-id ID --secret-file contoso.secret
  customer-guard accounts set-credentials contoso --secret-file contoso.secret --refresh-token-file contoso.token";

const COLUMNS: [Column; 8] = [
    Column::whole("ACCOUNT"),
    Column::ranked(1, "NAME").shortest(14),
    Column::ranked(2, "KIND"),
    Column::ranked(3, "STATE"),
    Column::ranked(4, "FROM"),
    Column::ranked(5, "TENANT ID"),
    Column::ranked(6, "SIGNS IN BY"),
    Column::ranked(7, "UNTIL"),
];

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the partner accounts
    #[command(after_help = LIST)]
    List {
        #[command(flatten)]
        limit: Limit,
    },
    /// Shows one partner account
    #[command(after_help = GET)]
    Get {
        /// The partner account
        #[arg(value_name = "ACCOUNT", value_parser = names::account)]
        name: String,
    },
    /// Sets by what an account signs in
    #[command(after_help = SET_CREDENTIALS)]
    SetCredentials(SetCredentials),
    /// Shows what new credentials were found to show
    #[command(after_help = trials::SHOW)]
    Trial {
        /// The partner account
        #[arg(value_name = "ACCOUNT", value_parser = names::account)]
        name: String,
    },
    /// Synchronizes with new credentials, after what their trial found
    #[command(after_help = trials::ACCEPT)]
    AcceptCredentials(trials::Acceptance),
    /// Asks Partner Center now whether an account works
    #[command(after_help = CHECK)]
    Check {
        /// The partner account
        #[arg(value_name = "ACCOUNT", value_parser = names::account)]
        name: String,
    },
    /// Gives the path of an account's webhook a new secret
    #[command(after_help = ROTATE)]
    RotateWebhookSecret {
        /// The partner account
        #[arg(value_name = "ACCOUNT", value_parser = names::account)]
        name: String,
    },
}

pub(super) async fn run(options: Options, session: &Session) -> Result<(), Failure> {
    let (screen, now) = (session.output.screen, session.output.now);
    match options.command {
        Command::List { limit } => {
            let page = async |page_size, page_token| {
                let request = proto::ListPartnerAccountsRequest { page_size, page_token };
                let page = session.answer(session.accounts().list_partner_accounts(request)).await?;
                Ok((page.partner_accounts, page.next_page_token))
            };
            listing::print(session.output, limit, &COLUMNS, row, page).await
        }
        Command::Get { name } => {
            let request = proto::GetPartnerAccountRequest { name };
            let account = session.answer(session.accounts().get_partner_account(request)).await?;
            session.output.answer(&account, |account| text(account, screen, now))
        }
        Command::SetCredentials(given) => {
            let known = match given.lacks_client_id() {
                Some(name) => {
                    let request = proto::GetPartnerAccountRequest { name: name.to_owned() };
                    session.answer(session.accounts().get_partner_account(request)).await?.client_id
                }
                None => String::new(),
            };
            let request = given.request(known)?;
            let account = session.answer(session.accounts().set_partner_account_credentials(request)).await?;
            session.output.answer(&account, |account| text(account, screen, now))
        }
        Command::Trial { name } => trials::show(name, session).await,
        Command::AcceptCredentials(acceptance) => trials::accept(acceptance, session).await,
        Command::Check { name } => {
            let request = proto::CheckPartnerAccountHealthRequest { name };
            let health = session.answer(session.accounts().check_partner_account_health(request)).await?;
            session.output.answer(&health, |health| checked(health, screen, now))?;
            let account = names::short(&health.name);
            if health.healthy { Ok(()) } else { Err(Failure::Ended(format!("{account} cannot be synchronized"))) }
        }
        Command::RotateWebhookSecret { name } => {
            let request = proto::RotateWebhookSecretRequest { name, request_id: String::new() };
            let account = session.answer(session.accounts().rotate_webhook_secret(request)).await?;
            session.output.answer(&account, |account| rotating(account, now))
        }
    }
}

fn row(account: &proto::PartnerAccount) -> Vec<Cell> {
    vec![
        names::short(&account.name).into(),
        (&account.display_name).into(),
        words::partner_kind(account.kind()).into(),
        state(account),
        words::account_origin(account.origin()).into(),
        (&account.microsoft_tenant_id).into(),
        words::credential_kind(account.credential_kind()).into(),
        account.certificate_expire_time.as_ref().map_or_else(String::new, exact).into(),
    ]
}

fn state(account: &proto::PartnerAccount) -> Cell {
    match account.state() {
        proto::PartnerAccountState::Disabled => {
            Cell::toned(words::account_state(proto::PartnerAccountState::Disabled), Tone::Faint)
        }
        proto::PartnerAccountState::Active | proto::PartnerAccountState::Unspecified => {
            Cell::toned("active", Tone::Good)
        }
    }
}

fn trial(account: &proto::PartnerAccount) -> Cell {
    let state =
        account.credential_trial.as_ref().map_or(proto::CredentialTrialState::Unspecified, |trial| trial.state());
    let tone = match state {
        proto::CredentialTrialState::NeedsApproval => Tone::Bad,
        proto::CredentialTrialState::DryRun => Tone::Uneasy,
        proto::CredentialTrialState::Accepted | proto::CredentialTrialState::Unspecified => Tone::Faint,
    };
    Cell::toned(words::trial_state(state), tone)
}

fn text(account: &proto::PartnerAccount, screen: Screen, now: Timestamp) -> String {
    let at = |time: &Option<prost_types::Timestamp>| exact_and_age(time.as_ref(), now);
    let mut record = Record::default();
    record
        .group("Partner account")
        .row("Account", names::short(&account.name))
        .row("Name", &account.display_name)
        .row("Kind", words::partner_kind(account.kind()))
        .row("Cloud", words::cloud(account.cloud()))
        .row("Tenant id", &account.microsoft_tenant_id)
        .row("State", state(account))
        .row("From", words::account_origin(account.origin()))
        .row("Client id", &account.client_id)
        .row("Signs in by", words::credential_kind(account.credential_kind()))
        .row("Valid until", account.certificate_expire_time.as_ref().map_or_else(String::new, exact))
        .row("Acts as user", if account.has_refresh_token { "yes" } else { "" })
        .row("User sign-in", at(&account.user_sign_in_time))
        .row("Credentials", at(&account.credentials_time))
        .row("Webhook secret", at(&account.webhook_secret_time))
        .row("Their trial", trial(account))
        .row("Created", at(&account.create_time))
        .row("Changed", at(&account.update_time))
        .row("Etag", &account.etag);
    if let Some(settings) = &account.sync_settings {
        let number = |number: i32| if number == 0 { String::new() } else { number.to_string() };
        record
            .group("Its own settings")
            .row("Night", &settings.night)
            .row("Time zone", &settings.time_zone)
            .row("Audit log every", span(settings.audit_interval.as_ref()))
            .row("List every", span(settings.list_interval.as_ref()))
            .row("Verify within", span(settings.verify_within.as_ref()))
            .row("Manual cooldown", span(settings.manual_sync_cooldown.as_ref()))
            .row("Calls a minute", number(settings.requests_per_minute))
            .row("Calls at a time", number(settings.concurrency));
    }
    record.text(screen)
}

fn rotating(account: &proto::PartnerAccount, now: Timestamp) -> String {
    let name = names::short(&account.name);
    let made = exact_and_age(account.webhook_secret_time.as_ref(), now);
    format!(
        "The webhook path of {name} gets a new secret; the present one was made {made}.\n\
         `customer-guard accounts get {name}` shows when the new one is registered.\n"
    )
}

fn checked(health: &proto::PartnerAccountHealth, screen: Screen, now: Timestamp) -> String {
    let mut record = Record::default();
    let verdict =
        if health.healthy { Cell::toned("works", Tone::Good) } else { Cell::toned("does not work", Tone::Bad) };
    record
        .group(format!("Check of {}", names::short(&health.name)))
        .row("Account", verdict)
        .row("Checked", exact_and_age(health.check_time.as_ref(), now))
        .group("Checks");
    for check in &health.checks {
        let what = words::check_kind(check.kind());
        let result = match (check.passed, check.optional) {
            (true, _) => Cell::toned("works", Tone::Good),
            (false, true) => Cell::toned(format!("{}, and is not needed", check.reason), Tone::Uneasy),
            (false, false) => Cell::toned(&check.reason, Tone::Bad),
        };
        record.row(what, result).row("", harmless(&check.remedy));
    }
    record.text(screen)
}

#[cfg(test)]
mod tests {
    use super::super::table::Table;
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000)
    }

    #[test]
    fn a_check_tells_what_fails_and_what_to_do() {
        let check = |kind: proto::HealthCheckKind, reason: &str, optional: bool| proto::HealthCheck {
            kind: kind.into(),
            passed: reason.is_empty(),
            reason: reason.to_owned(),
            remedy: if reason.is_empty() { String::new() } else { format!("Mend {reason}.") },
            optional,
        };
        let health = proto::PartnerAccountHealth {
            name: "partnerAccounts/contoso".to_owned(),
            healthy: false,
            checks: vec![
                check(proto::HealthCheckKind::Credentials, "", false),
                check(proto::HealthCheckKind::CustomerList, "CONSENT_NEEDED", false),
                check(proto::HealthCheckKind::WebhookRegistration, "FORBIDDEN", true),
            ],
            check_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        };
        let expected = "\
Check of contoso
  Account               does not work
  Checked               2023-11-14T22:13:20Z (just now)

Checks
  credentials           works
  customer list         CONSENT_NEEDED
                        Mend CONSENT_NEEDED.
  webhook registration  FORBIDDEN, and is not needed
                        Mend FORBIDDEN.
";
        assert_eq!(checked(&health, Screen::default(), now()), expected);
    }

    #[test]
    fn a_rotation_tells_from_which_secret_and_how_to_see_that_it_is_done() {
        let account = proto::PartnerAccount {
            name: "partnerAccounts/contoso".to_owned(),
            webhook_secret_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            ..Default::default()
        };
        let expected = "\
The webhook path of contoso gets a new secret; the present one was made 2023-11-14T22:13:20Z (just now).
`customer-guard accounts get contoso` shows when the new one is registered.
";
        assert_eq!(rotating(&account, now()), expected);
        assert!(text(&account, Screen::default(), now()).contains("Webhook secret  2023-11-14T22:13:20Z"));
    }

    #[test]
    fn an_account_is_a_line_and_a_record() {
        let account = proto::PartnerAccount {
            name: "partnerAccounts/contoso".to_owned(),
            display_name: "Contoso".to_owned(),
            kind: proto::PartnerKind::DirectBill.into(),
            microsoft_tenant_id: "0f1e".to_owned(),
            origin: proto::AccountOrigin::Api.into(),
            credential_kind: proto::CredentialKind::ClientCertificate.into(),
            certificate_expire_time: Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 0 }),
            sync_settings: Some(proto::SyncSettings { night: "0 2 * * *".to_owned(), ..Default::default() }),
            ..Default::default()
        };
        let expected = "\
ACCOUNT  NAME     KIND         STATE   FROM  TENANT ID  SIGNS IN BY         UNTIL
contoso  Contoso  direct bill  active  api   0f1e       client certificate  2027-01-15T08:00:00Z
";
        assert_eq!(Table::whole(&COLUMNS, &[row(&account)], Screen::default()), expected);
        let record = text(&account, Screen::default(), now());
        assert!(record.contains("Its own settings\n  Night         0 2 * * *\n"), "{record}");
        assert!(!record.contains("Calls a minute"), "{record}");
    }
}
