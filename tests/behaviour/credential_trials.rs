//! New and changed credentials are tried before they are synchronized with: the right tenant first, then a dry run, then
//! perhaps an operator. Until then nothing of what they show is written.

use std::path::Path;
use std::time::Duration;

use customer_guard::domain::trial::{Fingerprint, TrialState};
use customer_guard::grpc::proto::{
    CredentialTrial, CredentialTrialState, LinkCustomerRequest, ListHoldsRequest, Relationship, SyncRunState,
};
use customer_guard::simulator::applications::Application;
use customer_guard::simulator::calls::Route;
use customer_guard::simulator::faults::{Effect, ErrorBody, Fault};
use customer_guard::simulator::operations::AuditTrail;
use tonic::Code;
use uuid::Uuid;

use crate::harness::cast::bakery;
use crate::harness::database::{count, drop_trigger, rows, shell};
use crate::harness::told::{Told, fields};
use crate::harness::upstream::Upstream;
use crate::harness::{Plan, World, eventually, micros};

const ANOTHER: &str = "a99c0000-0000-4000-8000-00000000000a";
const SECRET: &str = "another-secret";
const REQUEST: &str = "0198c0de-7000-4000-8000-000000000001";

/// The application that does not see these customers of the partner's.
fn application(hides: impl IntoIterator<Item = Uuid>) -> Application {
    Application {
        client_id: ANOTHER.to_owned(),
        client_secret: SECRET.to_owned(),
        hides: hides.into_iter().collect(),
        ..Application::default()
    }
}

/// Restarts with another application in the configuration, which nobody has ever synchronized contoso with.
async fn restart_with(mut world: World, application: Application) -> World {
    let signs_in_as = (application.client_id.clone(), application.client_secret.clone());
    world.upstream.simulator.add_application(world.contoso(), application).expect("a known partner");
    world.plan.contoso_signs_in_as = Some(signs_in_as);
    world.restart().await
}

async fn trial(world: &World, account: &str) -> Option<CredentialTrial> {
    world.guard.account(account).await.expect("an account").credential_trial
}

async fn trial_in(world: &World, account: &str, state: CredentialTrialState) -> CredentialTrial {
    eventually(&format!("the trial is {state:?}"), async || {
        trial(world, account).await.filter(|trial| trial.state() == state)
    })
    .await
}

/// So many customers of contoso's, of whom the new application does not see the first `hidden`; and the first dry run's
/// verdict is that an operator has to decide.
async fn waiting(customers: usize, hidden: usize) -> (World, CredentialTrial) {
    let world = World::with_customers(customers).await;
    let hides = world.tenants().into_iter().take(hidden).collect::<Vec<_>>();
    let world = restart_with(world, application(hides)).await;
    let found = trial_in(&world, "contoso", CredentialTrialState::NeedsApproval).await;
    (world, found)
}

/// Every row that says anything of customers, as text.
async fn rows_of_customers(database: &Path) -> Vec<String> {
    let tables = [
        "customer",
        "upstream_customer",
        "change_log",
        "pending_link",
        "sync_run",
        "sync_run_page",
        "audit_record_seen",
        "customer_match",
    ];
    let mut all = Vec::new();
    for table in tables {
        all.extend(rows(database, table).await.into_iter().map(|row| format!("{table} {row}")));
    }
    assert!(all.iter().any(|row| row.starts_with("upstream_customer")), "the tables are found");
    all
}

async fn acceptances(world: &World) -> i64 {
    count(&world.guard.database, "SELECT count(*) FROM credential_acceptance WHERE account = 'contoso'").await
}

#[tokio::test]
async fn the_first_credentials_of_an_account_cost_nothing_but_the_sign_in() {
    let world = World::with_customers(3).await;
    let calls = world.upstream.simulator.calls(world.contoso());
    assert_eq!((calls.token, calls.list, calls.get), (1, 1, 3), "the list is read once, by the first sync");
    assert_eq!(trial(&world, "contoso").await, None);
    let grounds =
        "SELECT count(*) FROM credential_acceptance WHERE grounds = 'NOBODY_TO_LOSE' AND accepted_by = 'worker'";
    assert_eq!(count(&world.guard.database, grounds).await, 1);
    // The same ones again are not tried again.
    let world = world.restart().await;
    world.read_audit_log().await;
    assert_eq!((acceptances(&world).await, trial(&world, "contoso").await), (1, None));
    world.end().await;
}

#[tokio::test]
async fn a_rotated_secret_that_shows_the_same_is_taken_by_itself_for_the_pages_and_25_details() {
    let world = World::with(Plan { page_size: 10, ..Plan::usual() }, 40).await;
    let rotated = Application {
        client_id: world.upstream.partner("contoso").client_id,
        client_secret: "the-next-secret".to_owned(),
        ..Application::default()
    };
    world.upstream.simulator.reset_calls(world.contoso()).expect("a known partner");
    let world = restart_with(world, rotated).await;
    let found = trial_in(&world, "contoso", CredentialTrialState::Accepted).await;
    let told = (found.known_customers, found.present_customers, found.sampled_customers, found.differing_customers);
    assert_eq!(told, (40, 40, 25, 0));
    assert_eq!((found.changed_customers, found.limit, found.accepted_by.as_str()), (0, 8, "worker"));
    let calls = world.upstream.simulator.calls(world.contoso());
    assert_eq!((calls.token, calls.list, calls.get), (1, 4, 25));
    world.read_audit_log().await;
    assert_eq!(world.guard.problem("contoso").await, None);
    // A second restart finds them accepted.
    let world = world.restart().await;
    world.read_audit_log().await;
    assert_eq!((acceptances(&world).await, world.upstream.simulator.calls(world.contoso()).list), (2, 4));
    world.end().await;
}

#[tokio::test]
async fn an_application_that_lacks_half_the_customers_waits_and_nothing_of_what_it_shows_is_written() {
    let world = World::with_customers(20).await;
    let tenants = world.tenants();
    let before = rows_of_customers(&world.guard.database).await;
    let world = restart_with(world, application(tenants[..10].to_vec())).await;
    let found = trial_in(&world, "contoso", CredentialTrialState::NeedsApproval).await;
    let told = (found.listed_customers, found.known_customers, found.present_customers, found.missing_customers);
    assert_eq!(told, (10, 20, 10, 10));
    assert_eq!((found.new_customers, found.renamed_customers, found.limit), (0, 0, 4));
    assert_eq!((found.trial_id.len(), found.accept_time), (32, None));
    let problem = world.guard.problem("contoso").await.expect("a problem");
    assert_eq!(problem.reason, "CREDENTIALS_NEED_APPROVAL");
    assert!(problem.detail.contains("10 are missing") && problem.detail.contains("AcceptCredentials"), "{problem:?}");

    // The audit log has something to tell, and nobody asks for it, not even hours later.
    world.change_email(tenants[15], "new@linden.example");
    let calls = world.upstream.simulator.calls(world.contoso());
    for _ in 0..3 {
        world.advance(world.plan.audit_interval.max(world.plan.list_interval));
        world.guard.health("contoso").await;
    }
    let after = world.upstream.simulator.calls(world.contoso());
    assert_eq!(after.get, calls.get, "nobody is fetched");
    assert_eq!(rows_of_customers(&world.guard.database).await, before);

    // Reads and the guard work as ever.
    let customer = world.customer(tenants[0]).await;
    assert_eq!((customer.relationship(), world.guard.all("contoso").await.len()), (Relationship::Active, 20));
    let mut renamed = customer.clone();
    renamed.company_name = "Mine".to_owned();
    let refused = world.guard.refused(renamed, &["company_name"]).await;
    assert_eq!(refused.reason(), "FIELD_OWNED_BY_PARTNER_CENTER");
    let own = world.guard.create(bakery()).await;

    // Nobody is promised a look, and nobody is linked by what these credentials show.
    let told = world.guard.refresh(&customer.name).await.expect_err("nobody looks");
    assert_eq!((told.code, told.reason().as_str()), (Code::Unavailable, "SOURCE_UNAVAILABLE"));
    assert_eq!(told.metadata("cause"), "CREDENTIALS_NEED_APPROVAL");
    let link = LinkCustomerRequest {
        name: own.name.clone(),
        microsoft_tenant_id: Uuid::from_u128(0x11de).to_string(),
        ..LinkCustomerRequest::default()
    };
    let told = Told::from(world.guard.customers.clone().link_customer(link).await.expect_err("nobody is asked"));
    assert_eq!((told.code, told.metadata("cause").as_str()), (Code::Unavailable, "CREDENTIALS_NEED_APPROVAL"));
    assert!(world.guard.health("contoso").await.healthy, "they work, and that is all that is known of them");

    // A restart asks nobody again: what was found still waits.
    let lists = world.upstream.simulator.calls(world.contoso()).list;
    let world = world.restart().await;
    world.guard.wait_for_problem("contoso", "CREDENTIALS_NEED_APPROVAL").await;
    assert_eq!(world.upstream.simulator.calls(world.contoso()).list, lists);
    assert_eq!(trial(&world, "contoso").await.map(|trial| trial.trial_id), Some(found.trial_id));
    world.end().await;
}

#[tokio::test]
async fn an_operator_accepts_what_was_seen_once_and_the_removals_are_still_held() {
    let (world, found) = waiting(20, 10).await;
    let tenants = world.tenants();
    let id = found.trial_id.as_str();
    let wrong = world.guard.accept_credentials("contoso", "not a trial", "").await.expect_err("no trial's name");
    assert_eq!(wrong.wrong_fields(), fields(["trial_id"]));
    let outdated = world.guard.accept_credentials("contoso", &"0".repeat(32), "").await.expect_err("another trial");
    assert_eq!((outdated.code, outdated.reason().as_str()), (Code::Aborted, "CREDENTIAL_TRIAL_CHANGED"));
    assert_eq!(outdated.metadata("trialId"), id);
    let unknown = world.guard.accept_credentials("fabrikam", id, "").await.expect_err("no such account");
    assert_eq!(unknown.reason(), "PARTNER_ACCOUNT_NOT_FOUND");
    assert_eq!(acceptances(&world).await, 1);

    let before = world.guard.clock.now();
    let accepted = world.guard.accept_credentials("contoso", id, REQUEST).await.expect("accepted");
    let told = accepted.credential_trial.clone().expect("the report stays");
    assert_eq!((told.state(), told.trial_id.as_str()), (CredentialTrialState::Accepted, id));
    assert!(micros(told.accept_time.expect("a time")) >= before.micros() && told.accepted_by.starts_with("loopback"));
    let again = world.guard.accept_credentials("contoso", id, REQUEST).await.expect("the same answer");
    assert_eq!(again, accepted);
    let reused =
        world.guard.accept_credentials("contoso", &"1".repeat(32), REQUEST).await.expect_err("another request");
    assert_eq!(reused.reason(), "REQUEST_ID_REUSED");
    let late = world.guard.accept_credentials("contoso", id, "").await.expect_err("nothing waits");
    assert_eq!((late.code, late.reason().as_str()), (Code::NotFound, "CREDENTIAL_TRIAL_NOT_FOUND"));
    assert_eq!(acceptances(&world).await, 2);

    world.read_audit_log().await;
    assert_eq!(world.guard.problem("contoso").await, None);
    world.read_list().await;
    world.read_list().await;
    let parent = "partnerAccounts/contoso".to_owned();
    let holds = world.guard.sync.clone().list_holds(ListHoldsRequest { parent }).await.expect("holds").into_inner();
    assert_eq!(holds.holds.iter().map(|hold| hold.customer_count).collect::<Vec<_>>(), [10]);
    for tenant in tenants {
        assert_eq!(world.customer(tenant).await.relationship(), Relationship::Active);
    }
    world.end().await;
}

#[tokio::test]
async fn what_is_found_anew_has_another_name_and_the_old_one_no_longer_counts() {
    let (world, found) = waiting(20, 10).await;
    let tenants = world.tenants();
    let more = application(tenants[..12].to_vec());
    world.upstream.simulator.add_application(world.contoso(), more).expect("a known partner");
    world.advance(Duration::from_secs(3600));
    let anew = eventually("the dry run is repeated", async || {
        trial(&world, "contoso").await.filter(|trial| trial.missing_customers == 12)
    })
    .await;
    assert_ne!(anew.trial_id, found.trial_id);
    let told = world.guard.accept_credentials("contoso", &found.trial_id, "").await.expect_err("an outdated trial");
    assert_eq!((told.reason().as_str(), told.metadata("trialId")), ("CREDENTIAL_TRIAL_CHANGED", anew.trial_id));

    // The application is given its rights back, and nobody has to decide.
    world.upstream.simulator.add_application(world.contoso(), application([])).expect("a known partner");
    world.advance(Duration::from_secs(3600));
    let accepted = trial_in(&world, "contoso", CredentialTrialState::Accepted).await;
    assert_eq!((accepted.missing_customers, accepted.accepted_by.as_str()), (0, "worker"));
    eventually("the problem is gone", async || world.guard.problem("contoso").await.is_none().then_some(())).await;
    world.end().await;
}

#[tokio::test]
async fn few_missing_renamed_or_different_customers_are_taken_by_themselves_and_many_different_ones_are_not() {
    let world = World::with_customers(20).await;
    let tenants = world.tenants();
    world.upstream.simulator.rename(world.contoso(), tenants[5], "Renamed").expect("a known customer");
    let world = restart_with(world, application(tenants[..3].to_vec())).await;
    let found = trial_in(&world, "contoso", CredentialTrialState::Accepted).await;
    assert_eq!((found.missing_customers, found.renamed_customers, found.changed_customers), (3, 1, 4));
    // Taken is not ended: the missing wait for complete evidence as ever.
    assert_eq!(world.customer(tenants[0]).await.relationship(), Relationship::Active);
    world.read_audit_log().await;

    for tenant in &tenants[6..12] {
        world.change_email_silently(*tenant, "another@linden.example");
    }
    let third = Application { client_id: "a99c0000-0000-4000-8000-00000000000b".to_owned(), ..application([]) };
    let world = restart_with(world, third).await;
    let found = trial_in(&world, "contoso", CredentialTrialState::NeedsApproval).await;
    assert_eq!((found.missing_customers, found.differing_customers, found.limit), (0, 6, 4));
    world.end().await;
}

#[tokio::test]
async fn another_partners_application_writes_nothing_under_this_account_and_the_right_one_goes_on() {
    let upstream = Upstream::start().await;
    upstream.seed("contoso", 8);
    upstream.seed("northwind", 5);
    let world = World::unsynchronized(Plan::usual(), upstream).await;
    world.guard.wait_for_first_sync("contoso").await;
    let before = rows_of_customers(&world.guard.database).await;
    let northwind = world.upstream.partner("northwind");

    // Its application is not known in contoso's tenant; one that is known there still gets tokens of its own.
    let mut world = world;
    world.plan.contoso_signs_in_as = Some((northwind.client_id.clone(), northwind.client_secret.clone()));
    let world = world.restart().await;
    world.guard.wait_for_problem("contoso", "APPLICATION_NOT_FOUND").await;
    let known = Application { tokens_of: Some(northwind.tenant_id), ..application([]) };
    let world = restart_with(world, known).await;
    world.guard.wait_for_problem("contoso", "TENANT_MISMATCH").await;
    let tenants = world.tenants();
    world.change_email(tenants[0], "new@linden.example");
    world.advance(Duration::from_secs(24 * 3600));
    world.guard.wait_for_problem("contoso", "TENANT_MISMATCH").await;
    let customer = world.customer(tenants[0]).await;
    assert!(world.guard.refresh(&customer.name).await.is_err());
    assert_eq!(trial(&world, "contoso").await, None);
    let calls = world.upstream.simulator.calls(northwind.tenant_id);
    assert_eq!((calls.list, calls.get, calls.audit), (0, 0, 0), "the token is thrown away before it is used");
    let is_customers = |row: &String| row.starts_with("customer ") || row.starts_with("change_log");
    let after = rows_of_customers(&world.guard.database).await;
    let only = |rows: &[String]| rows.iter().filter(|row| is_customers(row)).cloned().collect::<Vec<_>>();
    assert_eq!(only(&after), only(&before));
    assert_eq!(acceptances(&world).await, 1);

    let mut world = world;
    world.plan.contoso_signs_in_as = None;
    let world = world.restart().await;
    world.wait_for_email(tenants[0], "new@linden.example", world.plan.audit_interval).await;
    eventually("the problem is gone", async || world.guard.problem("contoso").await.is_none().then_some(())).await;
    world.end().await;
}

#[tokio::test]
async fn a_list_of_another_partner_under_the_right_tenant_waits() {
    let upstream = Upstream::start().await;
    upstream.seed("contoso", 2);
    upstream.simulator.seed(upstream.partner("northwind").tenant_id, 5, 99).expect("a known partner");
    let world = World::unsynchronized(Plan::usual(), upstream).await;
    world.guard.wait_for_first_sync("contoso").await;
    let before = rows_of_customers(&world.guard.database).await;
    let elsewhere = Application { shows: Some(world.upstream.partner("northwind").tenant_id), ..application([]) };
    let world = restart_with(world, elsewhere).await;
    let found = trial_in(&world, "contoso", CredentialTrialState::NeedsApproval).await;
    let told = (found.known_customers, found.present_customers, found.missing_customers, found.new_customers);
    assert_eq!(told, (2, 0, 2, 5), "fewer than may change, and still another list");
    assert_eq!(rows_of_customers(&world.guard.database).await, before);
    world.end().await;
}

#[tokio::test]
async fn r13_a_run_under_way_does_not_go_on_with_other_credentials_and_does_with_the_right_ones() {
    let upstream = Upstream::start().await;
    upstream.seed("northwind", 20);
    let plan = Plan { partners: vec![], manual_cooldown: Duration::ZERO, ..Plan::usual() };
    let world = World::unsynchronized(plan, upstream).await;
    world.add_account("northwind").await;
    world.give_credentials("northwind").await;
    world.guard.wait_for_first_sync("northwind").await;
    let northwind = world.upstream.partner("northwind").tenant_id;
    let tenants: Vec<Uuid> = world.upstream.simulator.customers(northwind).iter().map(|one| one.id).collect();
    world.upstream.simulator.add_application(northwind, application(tenants[..10].to_vec())).expect("a known partner");

    // The run cannot fetch anybody, so that it is under way when the credentials are swapped.
    let stuck = Effect::ServerError { status: 503, body: ErrorBody::Empty };
    let faults = world.upstream.simulator.faults(northwind);
    faults.push(Fault::always(stuck).on(Route::Get)).expect("a known partner");
    let run = world.guard.start_sync("northwind").await.expect("a run");
    eventually("everybody is to be fetched", async || {
        let run = world.guard.runs("northwind").await.into_iter().find(|one| one.name == run.name)?;
        (run.state() == SyncRunState::Fetching).then_some(())
    })
    .await;
    world.guard.set_credentials("northwind", ANOTHER, SECRET).await.expect("credentials");
    // The old worker has ended when this is answered.
    world.guard.health("northwind").await;
    let before = rows_of_customers(&world.guard.database).await;
    faults.clear().expect("a known partner");
    world.advance(Duration::from_secs(300));
    trial_in(&world, "northwind", CredentialTrialState::NeedsApproval).await;
    world.advance(Duration::from_secs(1800));
    world.guard.wait_for_problem("northwind", "CREDENTIALS_NEED_APPROVAL").await;
    assert_eq!(rows_of_customers(&world.guard.database).await, before);

    // The right ones come back: their own dry run finds nothing that differs, and the run goes on.
    world.give_credentials("northwind").await;
    eventually("the run goes on", async || {
        world.advance(Duration::from_secs(60));
        let status = world.guard.status("northwind").await;
        (status.last_full_sync?.name == run.name && status.problem.is_none()).then_some(())
    })
    .await;
    assert_eq!(world.guard.all("northwind").await.len(), 20);
    world.end().await;
}

#[tokio::test]
async fn the_same_credentials_set_again_are_not_tried_again_and_others_are() {
    let upstream = Upstream::start().await;
    upstream.seed("northwind", 4);
    let world = World::unsynchronized(Plan { partners: vec![], ..Plan::usual() }, upstream).await;
    world.add_account("northwind").await;
    world.give_credentials("northwind").await;
    world.guard.wait_for_first_sync("northwind").await;
    let tried = async || count(&world.guard.database, "SELECT count(*) FROM credential_acceptance").await;
    world.give_credentials("northwind").await;
    assert!(world.guard.health("northwind").await.healthy);
    assert_eq!((tried().await, trial(&world, "northwind").await), (1, None));
    let partner = world.upstream.partner("northwind");
    let rotated = Application { client_id: partner.client_id.clone(), ..application([]) };
    world.upstream.simulator.add_application(partner.tenant_id, rotated).expect("a known partner");
    let set = world.guard.set_credentials("northwind", &partner.client_id, SECRET).await.expect("credentials");
    assert_eq!(set.credential_trial, None, "what was found about others is forgotten");
    trial_in(&world, "northwind", CredentialTrialState::Accepted).await;
    assert_eq!(tried().await, 2);
    // Nothing that is kept of a secret can be computed from it alone.
    let is_secret = |bytes: &Fingerprint| bytes.bytes().windows(SECRET.len()).any(|part| part == SECRET.as_bytes());
    let account = "northwind".parse().expect("an id");
    let kept = world.guard.store.accepted_credentials(&account).await.expect("an answer").expect("accepted");
    assert!(!is_secret(&kept));
    world.end().await;
}

#[tokio::test]
async fn a_restart_in_the_middle_of_a_dry_run_begins_its_list_anew() {
    let world = World::with(Plan { page_size: 1, ..Plan::usual() }, 12).await;
    let slow = |world: &World, milliseconds: u64| {
        let change = |knobs: &mut customer_guard::simulator::partner::Knobs| knobs.latency_milliseconds = milliseconds;
        world.upstream.simulator.set_knobs(world.contoso(), change).expect("a known partner");
    };
    slow(&world, 100);
    let world = restart_with(world, application([])).await;
    eventually("some of the list was met", async || {
        let met = count(&world.guard.database, "SELECT count(*) FROM credential_trial_seen").await;
        (met >= 2).then_some(())
    })
    .await;
    let state = world.guard.store.credential_trial(&"contoso".parse().expect("an id")).await.expect("an answer");
    assert_eq!(state.map(|trial| trial.state), Some(TrialState::Trying));
    slow(&world, 0);
    let contoso = world.contoso();
    let simulator = world.upstream.simulator.clone();
    let world = world.restart_after(|| simulator.reset_calls(contoso).expect("a known partner")).await;
    let found = trial_in(&world, "contoso", CredentialTrialState::Accepted).await;
    assert_eq!((found.listed_customers, found.present_customers, found.missing_customers), (12, 12, 0));
    assert!(world.upstream.simulator.calls(contoso).list >= 12, "all pages are read again");
    world.end().await;
}

#[tokio::test]
async fn a_dry_run_that_cannot_read_the_list_to_its_end_is_not_judged_and_is_tried_again() {
    let world = World::with(Plan { page_size: 4, ..Plan::usual() }, 12).await;
    let before = rows_of_customers(&world.guard.database).await;
    let broken = Effect::ServerError { status: 500, body: ErrorBody::Empty };
    world.upstream.fault(Fault::always(broken).on(Route::List));
    let world = restart_with(world, application([])).await;
    eventually("the list was tried often enough to say so", async || {
        world.advance(Duration::from_secs(60));
        world.guard.problem("contoso").await
    })
    .await;
    let found = trial(&world, "contoso").await.expect("a trial");
    assert_eq!((found.state(), found.report_time), (CredentialTrialState::DryRun, None));
    assert_eq!(found.trial_id, "");
    assert_eq!(acceptances(&world).await, 1);
    assert_eq!(rows_of_customers(&world.guard.database).await, before);
    world.upstream.mend();
    eventually("the dry run comes to its end", async || {
        world.advance(Duration::from_secs(60));
        trial(&world, "contoso").await.filter(|trial| trial.state() == CredentialTrialState::Accepted)
    })
    .await;
    eventually("the problem is gone", async || world.guard.problem("contoso").await.is_none().then_some(())).await;
    world.end().await;
}

#[tokio::test]
async fn an_account_that_an_earlier_release_synchronized_goes_on_once_it_has_signed_in() {
    let world = World::with_customers(12).await;
    // As the database is that an earlier release left.
    let database = &world.guard.database;
    drop_trigger(database, "credential_acceptance_stays", "credential_acceptance").await;
    shell(database).await.run("DELETE FROM credential_acceptance").await.expect("a statement");
    let tenants = world.tenants();
    world.upstream.simulator.remove_relationship(world.contoso(), tenants[0], AuditTrail::Omitted).expect("a customer");
    world.upstream.simulator.reset_calls(world.contoso()).expect("a known partner");
    let world = world.restart().await;
    world.read_audit_log().await;
    assert_eq!(world.upstream.simulator.calls(world.contoso()).list, 0, "no dry run");
    let grounds = "SELECT count(*) FROM credential_acceptance WHERE grounds = 'KNOWN_BEFORE'";
    assert_eq!((count(&world.guard.database, grounds).await, trial(&world, "contoso").await), (1, None));
    world.end().await;
}

#[tokio::test]
async fn a_run_that_somebody_starts_waits_for_the_approval() {
    let (world, found) = waiting(10, 5).await;
    world.advance(world.plan.manual_cooldown);
    let run = world.guard.start_sync("contoso").await.expect("a run that begins later");
    let lists = world.upstream.simulator.calls(world.contoso()).list;
    world.guard.health("contoso").await;
    world.advance(Duration::from_secs(120));
    world.guard.health("contoso").await;
    // Each of the checks reads the smallest page.
    assert!(world.upstream.simulator.calls(world.contoso()).list <= lists + 2 + 1, "the run has not begun to list");
    assert_eq!(world.guard.runs("contoso").await[0].state(), SyncRunState::Listing);
    let present = trial(&world, "contoso").await.expect("a trial").trial_id;
    assert_eq!(present, found.trial_id);
    world.guard.accept_credentials("contoso", &present, "").await.expect("accepted");
    eventually("the run is done", async || {
        let last = world.guard.status("contoso").await.last_full_sync?;
        (last.name == run.name).then_some(())
    })
    .await;
    world.end().await;
}
