//! `explain`: why a customer is here, or why not, what Partner Center says now, and what to do about it.

use clap::Args;
use customer_guard::clock::Timestamp;
use customer_guard::grpc::proto;
use customer_guard::grpc::proto::explain_customer_request::Key;

use super::failure::Failure;
use super::names::{self, Whose};
use super::record::{Record, paragraph};
use super::screen::{Screen, Tone, harmless};
use super::session::Session;
use super::table::Cell;
use super::times::exact_and_age;
use super::words;

const EXAMPLES: &str = "\
Partner Center is asked now. One that is there and was not known yet is fetched
at once.

Examples:
  customer-guard explain contoso --domain bakery.example
  customer-guard explain contoso --tenant 0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0
  customer-guard explain contoso/ID";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Options {
    /// A customer as ACCOUNT/ID, or the account that somebody is missed in
    #[arg(value_name = "ACCOUNT", value_parser = names::account_or_customer)]
    whose: Whose,
    /// The Microsoft tenant id of whom is missed
    #[arg(long, value_name = "TENANT_ID", conflicts_with = "domain")]
    tenant: Option<String>,
    /// The domain of whom is missed
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
}

pub(super) async fn run(options: Options, session: &Session) -> Result<(), Failure> {
    let request = request(options)?;
    let explanation = session.answer(session.sync().explain_customer(request)).await?;
    let (screen, now) = (session.output.screen, session.output.now);
    session.output.answer(&explanation, |explanation| text(explanation, screen, now))
}

fn request(options: Options) -> Result<proto::ExplainCustomerRequest, Failure> {
    let Options { whose, tenant, domain } = options;
    let (parent, key) = match (whose, tenant.map(Key::MicrosoftTenantId).or(domain.map(Key::Domain))) {
        (Whose::Customer(name), None) => (format!("partnerAccounts/{}", names::account_of(&name)), Key::Customer(name)),
        (Whose::Account(parent), Some(key)) => (parent, key),
        (Whose::Customer(_), Some(_)) => {
            return Err(Failure::CommandLine(
                "a customer's name says it all: leave out --tenant and --domain".to_owned(),
            ));
        }
        (Whose::Account(account), None) => {
            let account = names::short(&account);
            let what =
                format!("who is missed in {account}? Say --tenant or --domain, or name the customer {account}/ID");
            return Err(Failure::CommandLine(what));
        }
    };
    Ok(proto::ExplainCustomerRequest { parent, key: Some(key) })
}

fn text(told: &proto::CustomerExplanation, screen: Screen, now: Timestamp) -> String {
    let verdict = words::verdict(told.verdict());
    let mut text = format!("{}\n", screen.toned(&verdict.to_uppercase(), tone(told.verdict())));
    text.push_str(&paragraph(&harmless(&told.explanation), screen));
    if !told.remedy.is_empty() {
        text.push_str(&paragraph(&format!("What to do: {}", harmless(&told.remedy)), screen));
    }
    let mut record = Record::default();
    record
        .group("What is known")
        .row("Customer", names::short(&told.customer))
        .row("Tenant id", &told.microsoft_tenant_id)
        .row("Sync", words::sync_state(told.sync_state()))
        .row("First seen", exact_and_age(told.first_seen_at.as_ref(), now))
        .row("Verified", exact_and_age(told.verified_at.as_ref(), now))
        .row("Quarantine", &told.quarantine_reason)
        .row("Pending link", names::short(&told.pending_link))
        .row("Hold", names::short(&told.hold))
        .row("Account", Cell::toned(&told.account_problem, Tone::Bad));
    if let Some(pause) = &told.pause {
        record.row("Paused", format!("by {}: {}", pause.paused_by, pause.reason));
    }
    if told.listed_at.is_some() {
        let listed = if told.listed { "it was in" } else { "it was not in" };
        record.row("Last list", format!("{listed}; read {}", exact_and_age(told.listed_at.as_ref(), now)));
    }
    if let Some(live) = &told.live_answer {
        let outcome = words::live_outcome(live.outcome());
        let detail = if live.detail.is_empty() { String::new() } else { format!(" ({})", live.detail) };
        let outcome = if outcome.is_empty() { "was not asked".to_owned() } else { format!("{outcome}{detail}") };
        record
            .group("What Partner Center says")
            .row("Answer", outcome)
            .row("Asked", exact_and_age(live.ask_time.as_ref(), now));
    }
    text.push('\n');
    text.push_str(&record.text(screen));
    text
}

fn tone(verdict: proto::ExplanationVerdict) -> Tone {
    use proto::ExplanationVerdict as Verdict;
    match verdict {
        Verdict::Synced | Verdict::FoundNow | Verdict::PlatformCustomer => Tone::Good,
        Verdict::PendingLink | Verdict::Paused | Verdict::HeldForRemoval | Verdict::Leaving => Tone::Uneasy,
        Verdict::Unspecified | Verdict::Ended => Tone::Heading,
        Verdict::Quarantined
        | Verdict::NeverAccepted
        | Verdict::NotFound
        | Verdict::AccountBlocked
        | Verdict::SourceUnavailable => Tone::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_begins_with_its_verdict_and_what_to_do() {
        let told = proto::CustomerExplanation {
            verdict: proto::ExplanationVerdict::NeverAccepted.into(),
            explanation: "The tenant has not accepted the reseller relationship.".to_owned(),
            remedy: "Send the invitation again.".to_owned(),
            microsoft_tenant_id: "0f1e2d3c".to_owned(),
            live_answer: Some(proto::LiveAnswer {
                outcome: proto::LiveOutcome::NoRelationship.into(),
                detail: "403/20002".to_owned(),
                ask_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            }),
            listed_at: Some(prost_types::Timestamp { seconds: 1_699_999_820, nanos: 0 }),
            ..Default::default()
        };
        let expected = "\
NEVER ACCEPTED
The tenant has not accepted the reseller relationship.
What to do: Send the invitation again.

What is known
  Tenant id     0f1e2d3c
  Last list     it was not in; read 2023-11-14T22:10:20Z (3 min ago)

What Partner Center says
  Answer        no relationship (403/20002)
  Asked         2023-11-14T22:13:20Z (just now)
";
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        assert_eq!(text(&told, Screen::default(), now), expected);
    }

    #[test]
    fn an_account_needs_a_key_and_a_customer_none() {
        let asked = |whose: &str, domain: Option<&str>| {
            let whose = names::account_or_customer(whose).expect("a name");
            request(Options { whose, tenant: None, domain: domain.map(str::to_owned) })
        };
        let by_name = asked("contoso/17", None).expect("a request");
        assert_eq!(by_name.parent, "partnerAccounts/contoso");
        assert_eq!(by_name.key, Some(Key::Customer("partnerAccounts/contoso/customers/17".to_owned())));
        assert!(asked("contoso", Some("a.example")).is_ok());
        assert!(asked("contoso", None).is_err() && asked("contoso/17", Some("a.example")).is_err());
    }
}
