//! Which indirect reseller serves which customer: read on behalf of a user, as the last of all duties.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use customer_guard::grpc::proto::{self, ResellerSyncState as State};
use customer_guard::simulator::calls::Route;
use customer_guard::simulator::faults::{Effect, ErrorBody, Fault};
use customer_guard::simulator::operations::AuditTrail;
use customer_guard::simulator::partner::Knobs;
use customer_guard::simulator::resellers::Reseller;
use uuid::Uuid;

use crate::harness::upstream::Upstream;
use crate::harness::{Plan, World, eventually};

const NORTHWIND: &str = "northwind";
const CUSTOMERS: usize = 40;
const MINUTE: Duration = Duration::from_secs(60);

/// Northwind, with a user, before its first sync.
async fn unread(change: impl FnOnce(&Upstream, Uuid)) -> World {
    let upstream = Upstream::start().await;
    upstream.seed(NORTHWIND, CUSTOMERS);
    let tenant = upstream.partner(NORTHWIND).tenant_id;
    change(&upstream, tenant);
    let token = upstream.simulator.sign_user_in(tenant).expect("a known partner");
    let plan =
        Plan { partners: vec![NORTHWIND], refresh_tokens: BTreeMap::from([(NORTHWIND, token)]), ..Plan::usual() };
    let world = World::unsynchronized(plan, upstream).await;
    world.guard.wait_for_first_sync(NORTHWIND).await;
    world
}

/// Northwind, with a user, and its resellers read.
async fn read() -> World {
    let world = unread(|_, _| ()).await;
    world.are_read().await;
    world
}

impl World {
    fn northwind(&self) -> Uuid {
        self.upstream.partner(NORTHWIND).tenant_id
    }

    async fn reseller_sync(&self) -> proto::ResellerSync {
        self.guard.status(NORTHWIND).await.resellers.expect("it is told")
    }

    async fn wait_for_state(&self, state: State) -> proto::ResellerSync {
        let what = format!("the resellers are {state:?}");
        eventually(&what, async || Some(self.reseller_sync().await).filter(|told| told.state() == state)).await
    }

    /// What Partner Center has, by customer.
    fn truth(&self) -> BTreeMap<String, BTreeSet<String>> {
        let simulator = &self.upstream.simulator;
        let of = |id: Uuid| simulator.resellers_of(self.northwind(), id).iter().map(Uuid::to_string).collect();
        let customers = simulator.customers(self.northwind());
        customers.iter().map(|customer| (customer.id.to_string(), of(customer.id))).collect()
    }

    /// What readers see, by customer.
    async fn seen(&self) -> BTreeMap<String, BTreeSet<String>> {
        let of = |customer: &proto::Customer| {
            customer.resellers.iter().map(|reseller| reseller.microsoft_tenant_id.clone()).collect()
        };
        let all = self.guard.all(NORTHWIND).await;
        all.iter().map(|customer| (customer.microsoft_tenant_id.clone(), of(customer))).collect()
    }

    /// Waits until the resellers are read and customers show what is so; moves the time a little at every look.
    async fn are_read(&self) {
        eventually("the customers show their resellers", async || {
            self.advance(Duration::from_secs(1));
            let level = self.reseller_sync().await.state() == State::Current && self.seen().await == self.truth();
            level.then_some(())
        })
        .await;
    }

    fn fault_on(&self, effect: Effect, route: Route) {
        let faults = self.upstream.simulator.faults(self.northwind());
        faults.push(Fault::always(effect).on(route)).expect("a known partner");
    }

    fn mend_northwind(&self) {
        self.upstream.simulator.faults(self.northwind()).clear().expect("a known partner");
    }

    fn calls_for_resellers(&self) -> (u64, u64) {
        let calls = self.upstream.simulator.calls(self.northwind());
        (calls.resellers, calls.reseller_customers)
    }

    /// A customer that exactly one reseller serves, and two resellers that do not.
    fn served_by_one(&self) -> (Uuid, Uuid, Uuid) {
        let simulator = &self.upstream.simulator;
        let resellers: Vec<_> = simulator.resellers(self.northwind()).iter().map(|reseller| reseller.id).collect();
        let customers = simulator.customers(self.northwind());
        let of = |id: Uuid| simulator.resellers_of(self.northwind(), id);
        let customer = customers.iter().find(|one| of(one.id).len() == 1).expect("there is one").id;
        let present = of(customer).into_iter().next().expect("there is one");
        let other = resellers.into_iter().find(|id| *id != present).expect("there is another");
        (customer, present, other)
    }

    /// Lets a night pass; what its sync wants is then to be read.
    async fn pass_northwinds_night(&self) {
        let before = self.guard.status(NORTHWIND).await.last_full_sync.expect("there was one").name;
        eventually("the night is done", async || {
            self.advance(Duration::from_secs(3600));
            let last = self.guard.status(NORTHWIND).await.last_full_sync.expect("there was one");
            (last.name != before).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn customers_show_their_resellers_after_the_first_sync_with_one_call_and_one_for_each_page() {
    let world = unread(|upstream, tenant| {
        let small = |knobs: &mut Knobs| knobs.usual_page = 4;
        upstream.simulator.set_knobs(tenant, small).expect("a known partner");
    })
    .await;
    world.are_read().await;
    let told = world.reseller_sync().await;
    let truth = world.truth();
    let resellers = world.upstream.simulator.resellers(world.northwind());
    assert_eq!(told.resellers, i64::try_from(resellers.len()).expect("a count"));
    let mapped = truth.values().filter(|serving| !serving.is_empty()).count();
    assert_eq!(told.mapped_customers, i64::try_from(mapped).expect("a count"));
    let pages = |reseller: &Reseller| {
        let customers = truth.values().filter(|serving| serving.contains(&reseller.id.to_string())).count();
        u64::try_from(customers.div_ceil(4).max(1)).expect("a count")
    };
    let expected: u64 = resellers.iter().map(pages).sum();
    let list_pages = u64::try_from(resellers.len().div_ceil(4)).expect("a count");
    assert!(expected > told.resellers.unsigned_abs(), "some have several pages");
    assert_eq!(world.calls_for_resellers(), (list_pages, expected));
    world.end().await;
}

#[tokio::test]
async fn a_change_of_resellers_is_a_change_of_the_customer_and_a_quiet_night_is_none() {
    let world = read().await;
    let (customer, _, _) = world.served_by_one();
    let found = world.guard.of_tenant(NORTHWIND, customer).await.expect("a known tenant");
    assert_eq!(found.revision, 2, "it came, and then showed its reseller");
    assert!(!found.resellers[0].display_name.is_empty() && !found.resellers[0].mpn_id.is_empty());
    let before = world.guard.all(NORTHWIND).await;
    let read_time = world.reseller_sync().await.read_time;
    world.pass_northwinds_night().await;
    eventually("they are read again", async || {
        world.advance(Duration::from_secs(1));
        (world.reseller_sync().await.read_time != read_time).then_some(())
    })
    .await;
    let revisions =
        |all: &[proto::Customer]| all.iter().map(|one| (one.name.clone(), one.revision)).collect::<Vec<_>>();
    assert_eq!(revisions(&world.guard.all(NORTHWIND).await), revisions(&before));
    world.end().await;
}

#[tokio::test]
async fn a_customer_that_moved_shows_its_new_reseller_after_the_night_and_is_found_by_it() {
    let world = read().await;
    let (customer, _, other) = world.served_by_one();
    let before = world.guard.of_tenant(NORTHWIND, customer).await.expect("a known tenant");
    world.upstream.simulator.serve_by(world.northwind(), customer, &[other]).expect("both are known");
    world.pass_northwinds_night().await;
    world.are_read().await;
    let after = world.guard.of_tenant(NORTHWIND, customer).await.expect("a known tenant");
    assert_eq!(after.revision, before.revision + 1);
    let request = proto::ListCustomersRequest {
        parent: format!("partnerAccounts/{NORTHWIND}"),
        filter: format!("reseller = \"{other}\""),
        ..Default::default()
    };
    let found = world.guard.customers.clone().list_customers(request).await.expect("a page").into_inner().customers;
    assert!(found.iter().any(|one| one.name == after.name));
    let truth = world.truth().values().filter(|serving| serving.contains(&other.to_string())).count();
    assert_eq!(found.len(), truth);
    world.end().await;
}

#[tokio::test]
async fn a_reseller_that_went_serves_nobody_and_one_that_came_is_listed_as_soon_as_the_audit_log_tells() {
    let world = read().await;
    let (_, present, other) = world.served_by_one();
    let tenant = world.northwind();
    let new = Reseller { id: Uuid::from_u128(0x77), name: "Humongous IT".to_owned(), mpn_id: None, location: None };
    world.upstream.simulator.put_reseller(tenant, new.clone(), AuditTrail::Recorded).expect("a known partner");
    world.upstream.simulator.remove_reseller(tenant, present, AuditTrail::Recorded).expect("a known reseller");
    world.advance(MINUTE);
    world.are_read().await;
    let request = proto::ListResellersRequest { parent: format!("partnerAccounts/{NORTHWIND}"), ..Default::default() };
    let listed = world.guard.sync.clone().list_resellers(request).await.expect("a page").into_inner().resellers;
    let is_active = |id: Uuid| {
        let is_it = |one: &&proto::IndirectReseller| {
            one.reseller.as_ref().is_some_and(|reseller| reseller.microsoft_tenant_id == id.to_string())
        };
        listed.iter().find(is_it).map(|one| (one.active, one.customers > 0))
    };
    assert_eq!(is_active(present), Some((false, false)));
    assert_eq!(is_active(other), Some((true, true)));
    assert_eq!(is_active(new.id), Some((true, false)));
    world.end().await;
}

#[tokio::test]
async fn a_list_that_breaks_off_in_the_middle_changes_nothing_and_hinders_nobody() {
    let world = read().await;
    let (customer, _, other) = world.served_by_one();
    let before = world.seen().await;
    let broken = Effect::ServerError { status: 500, body: ErrorBody::Json };
    world.fault_on(broken, Route::ResellerCustomers);
    world.upstream.simulator.serve_by(world.northwind(), customer, &[other]).expect("both are known");
    world.pass_northwinds_night().await;
    let told = world.wait_for_state(State::Failed).await;
    assert_eq!(told.problem.expect("it is told").reason, "RESELLERS_UNREADABLE");
    assert_eq!(world.seen().await, before);
    assert!(world.guard.status(NORTHWIND).await.problem.is_none(), "everything else works");
    world.mend_northwind();
    world.advance(Duration::from_secs(300));
    world.are_read().await;
    world.end().await;
}

#[tokio::test]
async fn an_empty_list_of_resellers_counts_only_when_the_next_one_is_empty_too() {
    let world = read().await;
    let before = world.seen().await;
    world.fault_on(Effect::EmptyList, Route::Resellers);
    world.pass_northwinds_night().await;
    let told = world.wait_for_state(State::Failed).await;
    assert_eq!(told.problem.expect("it is told").reason, "RESELLER_LIST_EMPTY");
    assert_eq!(world.seen().await, before);
    world.pass_northwinds_night().await;
    eventually("nobody is served by anybody", async || {
        world.advance(MINUTE);
        world.seen().await.values().all(BTreeSet::is_empty).then_some(())
    })
    .await;
    world.mend_northwind();
    world.pass_northwinds_night().await;
    world.are_read().await;
    world.end().await;
}

#[tokio::test]
async fn a_restart_in_the_middle_reads_no_reseller_twice_that_was_read() {
    let world = unread(|upstream, tenant| {
        // All but the first page of customers: it comes, and the reading stands still before the second reseller.
        let faults = upstream.simulator.faults(tenant);
        faults.push(Fault::once(Effect::Delay { milliseconds: 0 }).on(Route::ResellerCustomers)).expect("known");
        let broken = Effect::Forbidden { code: 900_308 };
        faults.push(Fault::once(broken).on(Route::ResellerCustomers)).expect("known");
    })
    .await;
    world.wait_for_state(State::Failed).await;
    assert_eq!(world.calls_for_resellers(), (1, 2));
    let world = world.restart().await;
    world.are_read().await;
    let resellers = u64::try_from(world.upstream.simulator.resellers(world.northwind()).len()).expect("a count");
    assert_eq!(world.calls_for_resellers(), (1, 1 + resellers), "the list once, the failed one twice, the others once");
    world.end().await;
}

#[tokio::test]
async fn without_a_user_the_account_is_told_what_to_set_and_everything_else_works() {
    let world = World::with(Plan { partners: vec![NORTHWIND], ..Plan::usual() }, CUSTOMERS).await;
    let told = world.wait_for_state(State::NoUserCredentials).await;
    let problem = told.problem.expect("it is told");
    assert_eq!(problem.reason, "USER_SIGN_IN_MISSING");
    assert!(problem.detail.contains("refresh token"), "{}", problem.detail);
    assert!(world.guard.status(NORTHWIND).await.problem.is_none());
    world.pass_northwinds_night().await;
    assert_eq!(world.calls_for_resellers(), (0, 0));
    world.end().await;
}

#[tokio::test]
async fn a_user_whose_rights_are_revoked_in_between_keeps_the_map_and_hinders_nobody() {
    let world = read().await;
    let before = world.seen().await;
    for route in [Route::Resellers, Route::ResellerCustomers] {
        world.fault_on(Effect::Forbidden { code: 900_308 }, route);
    }
    world.pass_northwinds_night().await;
    let told = world.wait_for_state(State::Failed).await;
    assert_eq!(told.problem.expect("it is told").reason, "ROLE_MISSING");
    assert_eq!(world.seen().await, before);
    assert!(told.read_time.is_some() && told.mapped_customers > 0);
    assert!(world.guard.status(NORTHWIND).await.problem.is_none(), "the application's calls go on");
    world.pass_northwinds_night().await;
    assert_eq!(world.seen().await, before);
    world.end().await;
}

#[tokio::test]
async fn a_direct_partner_asks_for_no_resellers_although_it_has_a_user() {
    let upstream = Upstream::start().await;
    upstream.seed("contoso", 3);
    let tenant = upstream.contoso();
    let token = upstream.simulator.sign_user_in(tenant).expect("a known partner");
    let plan = Plan { refresh_tokens: BTreeMap::from([("contoso", token)]), ..Plan::usual() };
    let world = World::unsynchronized(plan, upstream).await;
    world.guard.wait_for_first_sync("contoso").await;
    world.pass_a_night().await;
    world.read_audit_log().await;
    let told = world.guard.status("contoso").await.resellers.expect("it is told");
    assert_eq!((told.state(), told.problem), (State::NotApplicable, None));
    let calls = world.upstream.simulator.calls(tenant);
    assert_eq!((calls.resellers, calls.reseller_customers), (0, 0));
    world.end().await;
}
