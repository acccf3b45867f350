//! `accounts trial` and `accounts accept-credentials`: what new credentials show, and an operator's word that it is right.

use clap::Args;
use customer_guard::clock::Timestamp;
use customer_guard::grpc::proto;

use super::consent::Consent;
use super::failure::Failure;
use super::record::Record;
use super::screen::{Screen, Tone};
use super::session::Session;
use super::table::Cell;
use super::times::exact_and_age;
use super::{names, words};

pub(super) const SHOW: &str = "\
Before an account is synchronized with new or changed credentials, what they
show is compared with what is known. If much differs, nothing is fetched until
the credentials are accepted or others are set.

Examples:
  customer-guard accounts trial contoso";

pub(super) const ACCEPT: &str = "\
TRIAL names what was found: if something else has been found since you looked,
nothing happens and you are told to look again.

Examples:
  customer-guard accounts accept-credentials contoso TRIAL
  customer-guard accounts accept-credentials contoso TRIAL --yes";

/// Which credentials to accept.
#[derive(Debug, Args)]
pub(super) struct Acceptance {
    /// The partner account
    #[arg(value_name = "ACCOUNT", value_parser = names::account)]
    name: String,
    /// The trial, as `accounts trial` shows it
    #[arg(value_name = "TRIAL")]
    trial: String,
    #[command(flatten)]
    consent: Consent,
}

pub(super) async fn show(name: String, session: &Session) -> Result<(), Failure> {
    let (screen, now) = (session.output.screen, session.output.now);
    let request = proto::GetPartnerAccountRequest { name };
    let account = session.answer(session.accounts().get_partner_account(request)).await?;
    let short = names::short(&account.name);
    let Some(trial) = &account.credential_trial else {
        if session.output.is_json() {
            return super::output::write("null\n");
        }
        session.output.remark("The account's credentials needed no trial, or theirs has not begun.");
        return Ok(());
    };
    session.output.answer(trial, |trial| text(&short, trial, screen, now))?;
    if trial.state() == proto::CredentialTrialState::NeedsApproval {
        let remark = format!("To take them: customer-guard accounts accept-credentials {short} {}", trial.trial_id);
        session.output.remark(&remark);
    }
    Ok(())
}

pub(super) async fn accept(acceptance: Acceptance, session: &Session) -> Result<(), Failure> {
    let Acceptance { name, trial, consent } = acceptance;
    ask(&name, &trial, consent, session).await?;
    let request = proto::AcceptCredentialsRequest { name, trial_id: trial, request_id: String::new() };
    let account = session.answer(session.accounts().accept_credentials(request)).await?;
    session.output.answer(&account, |account| {
        format!("{}: the credentials of application {} are accepted\n", names::short(&account.name), account.client_id)
    })
}

/// Shows what would be accepted, and asks; a trial that is no longer there is left to the service to tell.
async fn ask(name: &str, wanted: &str, consent: Consent, session: &Session) -> Result<(), Failure> {
    if consent.is_given() {
        return Ok(());
    }
    let request = proto::GetPartnerAccountRequest { name: name.to_owned() };
    let account = session.answer(session.accounts().get_partner_account(request)).await?;
    if let Some(trial) = account.credential_trial.filter(|trial| trial.trial_id == wanted) {
        eprintln!("{}", text(&names::short(name), &trial, session.output.screen, session.output.now));
        consent.ask("Synchronize with these credentials?")?;
    }
    Ok(())
}

/// The trial as a record.
fn text(account: &str, trial: &proto::CredentialTrial, screen: Screen, now: Timestamp) -> String {
    let at = |time: &Option<prost_types::Timestamp>| exact_and_age(time.as_ref(), now);
    let tone = match trial.state() {
        proto::CredentialTrialState::NeedsApproval => Tone::Bad,
        proto::CredentialTrialState::DryRun | proto::CredentialTrialState::Unspecified => Tone::Uneasy,
        proto::CredentialTrialState::Accepted => Tone::Good,
    };
    let mut record = Record::default();
    record
        .group(format!("Trial of the credentials of {account}"))
        .row("State", Cell::toned(words::trial_state(trial.state()), tone))
        .row("Trial", &trial.trial_id)
        .row("Began", at(&trial.start_time))
        .row("Reported", at(&trial.report_time))
        .row("Accepted", at(&trial.accept_time))
        .row("By", &trial.accepted_by);
    if trial.report_time.is_some() {
        let of = |part: i64, whole: i64| format!("{part} of {whole}");
        record
            .group("What they show")
            .row("On the list", trial.listed_customers.to_string())
            .row("Known, there", of(trial.present_customers, trial.known_customers))
            .row("Known, missing", trial.missing_customers.to_string())
            .row("Renamed", trial.renamed_customers.to_string())
            .row("Not known", trial.new_customers.to_string())
            .row("Details differ", of(trial.differing_customers, trial.sampled_customers))
            .row("Would change", format!("{} customers, {} may unasked", trial.changed_customers, trial.limit));
    }
    record.text(screen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_shows_what_would_change_and_how_to_name_it() {
        let trial = proto::CredentialTrial {
            state: proto::CredentialTrialState::NeedsApproval.into(),
            trial_id: "0a1b2c".to_owned(),
            listed_customers: 12,
            known_customers: 20,
            present_customers: 10,
            missing_customers: 10,
            new_customers: 2,
            sampled_customers: 10,
            differing_customers: 1,
            changed_customers: 11,
            limit: 4,
            start_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            report_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            ..Default::default()
        };
        let expected = "\
Trial of the credentials of contoso
  State           needs approval
  Trial           0a1b2c
  Began           2023-11-14T22:13:20Z (1 h ago)
  Reported        2023-11-14T22:13:20Z (1 h ago)

What they show
  On the list     12
  Known, there    10 of 20
  Known, missing  10
  Renamed         0
  Not known       2
  Details differ  1 of 10
  Would change    11 customers, 4 may unasked
";
        let now = Timestamp::from_micros(1_700_006_000_000_000);
        assert_eq!(text("contoso", &trial, Screen::default(), now), expected);
    }
}
