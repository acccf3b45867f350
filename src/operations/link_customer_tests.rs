use std::num::{NonZeroU32, NonZeroUsize};

use super::*;
use crate::clock::Clock;
use crate::domain::account::{Cloud, PartnerAccount, PartnerKind};
use crate::domain::contact::Contact;
use crate::domain::create::{CustomerDraft, admit};
use crate::domain::ids::{Epoch, Ticket};
use crate::domain::look::LookCause;
use crate::domain::observation::{MicrosoftProfile, ObservationMark, Observed};
use crate::domain::policy::{Night, Pace, SyncPolicy};
use crate::domain::sync_settings::SyncSettings;
use crate::operations::apply_observations::{Answered, apply_observations};
use crate::operations::questions::{Asked, Question};
use crate::store::{CallTally, ConfiguredAccount, Error, Priority};

const TENANT: &str = "1b06e0a2-4f4a-4ae1-9c50-2f4a7c3d9e11";

struct Bench {
    store: Store,
    accounts: Accounts,
    questions: Questions,
    asked: Asked,
    customer: Customer,
    _folder: tempfile::TempDir,
}

fn account() -> PartnerAccountId {
    "contoso".parse().expect("a well-formed id")
}

fn tenant() -> TenantId {
    TENANT.parse().expect("a well-formed id")
}

/// What Partner Center says of the tenant, at that place in the order of questions.
fn answer(ticket: i64) -> Observation {
    let profile = MicrosoftProfile {
        company_name: format!("Said at {ticket}"),
        tenant_name: "Linden tenant".to_owned(),
        domain: "linden.example".to_owned(),
        upstream_relationship: "reseller".to_owned(),
        contact: Contact::default(),
    };
    let mark = ObservationMark { epoch: Epoch(1), ticket: Ticket(ticket) };
    Observation { tenant_id: tenant(), mark, observed: Observed::Present(profile) }
}

/// A platform customer, and a tenant that looks like it and was looked at with ticket 10.
async fn bench() -> Bench {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::manual(Timestamp::from_micros(1_800_000_000_000_000));
    let (store, _) = Store::open_sqlite(&folder.path().join("guard.db"), clock.clone()).await.expect("it opens");
    let partner = PartnerAccount {
        id: account(),
        display_name: "Contoso".to_owned(),
        kind: PartnerKind::DirectBill,
        cloud: Cloud::Global,
        tenant_id: tenant(),
    };
    let policy = SyncPolicy {
        night: Night::new("0 2 * * *", "Europe/Riga").expect("a sound night"),
        audit_interval: Duration::from_secs(60),
        list_interval: Duration::from_secs(900),
        verify_within: Duration::from_secs(86_400),
        manual_cooldown: Duration::from_secs(3_600),
    };
    let draft = CustomerDraft {
        company_name: "Linden".to_owned(),
        domain: "linden.example".to_owned(),
        ..CustomerDraft::default()
    };
    let pace = Pace { policy, requests_per_minute: NonZeroU32::MIN, concurrency: NonZeroUsize::MIN };
    let configured = ConfiguredAccount {
        account: partner,
        client_id: "an application".to_owned(),
        credential: crate::domain::user_sign_in::CredentialKind::ClientSecret,
        settings: SyncSettings::of(&pace),
    };
    let accounts = Accounts::new(pace);
    let admitted = admit(&account(), draft, clock.now()).expect("a sound draft");
    let customer = store
        .write("bench", async |tx| {
            let saved = tx.save_configured_account(&configured).await;
            accounts.put(&saved.map_err(|error| Error::Backstop(error.to_string()))?);
            tx.mark_dirty(&account(), &[tenant()], Priority::Signal, LookCause::AuditLog).await?;
            tx.save_new(admitted, "caller").await
        })
        .await
        .expect("a customer");
    let work = store.dirty_customers(&account(), clock.now(), 1).await.expect("work").remove(0);
    let seen = [Answered { work, tally: CallTally::default(), observation: answer(10) }];
    apply_observations(&store, &account(), &seen).await.expect("it waits");
    let questions = Questions::default();
    let asked = questions.answered_by(&account());
    Bench { store, accounts, questions, asked, customer, _folder: folder }
}

impl Bench {
    /// Links while questions get these answers, in order; returns also how many were given.
    async fn link(
        &mut self,
        answers: Vec<Result<Observation, NoAnswer>>,
    ) -> (Result<Outcome<LinkedCustomer>, LinkCustomerError>, usize) {
        let Self { store, accounts, questions, asked, customer, .. } = self;
        let request = LinkCustomer {
            account: account(),
            id: customer.id,
            tenant: tenant(),
            expected: None,
            mode: WriteMode::Write,
        };
        let caller = Caller::loopback(None);
        let mut given = 0;
        let linked = {
            let mut linking = std::pin::pin!(link_customer(store, accounts, questions, &caller, request, None));
            let mut answers = answers.into_iter();
            loop {
                tokio::select! {
                    linked = &mut linking => break linked,
                    Some(Question::Customer { tenant: wanted, reply }) = asked.recv() => {
                        assert_eq!(wanted, tenant());
                        given += 1;
                        reply.send(answers.next().expect("no more questions than answers")).expect("somebody waits");
                    }
                }
            }
        };
        (linked, given)
    }

    async fn stored(&self) -> Customer {
        self.store.customer(&account(), self.customer.id).await.expect("the store answers").expect("a customer")
    }
}

#[tokio::test]
async fn an_answer_older_than_one_that_is_known_is_not_taken() {
    let mut bench = bench().await;
    let (linked, given) = bench.link(vec![Ok(answer(5)), Ok(answer(10)), Ok(answer(11))]).await;
    let Ok(Outcome::Now(linked)) = linked else { panic!("it is linked: {linked:?}") };
    assert_eq!((linked.after.company_name.as_str(), given), ("Said at 11", 3));
    assert_eq!(bench.stored().await, linked.after);
}

#[tokio::test]
async fn somebody_who_only_gets_old_answers_is_told_to_come_again() {
    let mut bench = bench().await;
    let (refused, given) = bench.link((1..10).map(|ticket| Ok(answer(ticket))).collect()).await;
    let Err(LinkCustomerError::SourceUnavailable { cause, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!((cause.as_str(), given), ("NEWER_ANSWER_MEANWHILE", 3));
    assert_eq!(bench.stored().await, bench.customer);
}

#[tokio::test]
async fn an_account_that_cannot_ask_is_told_why_and_nothing_happens() {
    let mut bench = bench().await;
    let blocked = NoAnswer::AccountBlocked { reason: "CREDENTIALS_INVALID".to_owned(), remedy: "mend them".to_owned() };
    let (refused, _) = bench.link(vec![Err(blocked)]).await;
    let Err(LinkCustomerError::SourceUnavailable { cause, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(cause, "CREDENTIALS_INVALID");
    assert_eq!(bench.stored().await, bench.customer);
}

#[tokio::test]
async fn no_question_is_wasted_on_what_cannot_be_linked_anyway() {
    let mut bench = bench().await;
    bench.link(vec![Ok(answer(11))]).await.0.expect("it is linked");
    let (refused, given) = bench.link(Vec::new()).await;
    assert!(matches!(refused, Err(LinkCustomerError::NotPlatform(..))), "{refused:?}");
    assert_eq!(given, 0);
}
