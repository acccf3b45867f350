//! Links: duplicates told on create, newcomers that wait for a decision, and platform customers that become the record
//! of a customer in Partner Center and are the platform's again.

use std::collections::BTreeSet;
use std::time::Duration;

use customer_guard::domain::access::{Caller, Role};
use customer_guard::domain::field::Field;
use customer_guard::grpc::proto::{
    CreateCustomerRequest, Customer, DeleteCustomerRequest, DismissPendingLinkRequest, DuplicateReason,
    LinkCustomerRequest, LinkCustomerResponse, ListPendingLinksRequest, PendingLink, Relationship, Source, SyncState,
    UnlinkCustomerRequest,
};
use customer_guard::operations::accounts::Accounts;
use customer_guard::operations::create_customer::WriteMode;
use customer_guard::operations::link_customer::{LinkCustomer, LinkCustomerError, link_customer};
use customer_guard::operations::pending_links::{PendingLinkError, dismiss_pending_link, list_pending_links};
use customer_guard::operations::questions::Questions;
use customer_guard::operations::unlink_customer::{UnlinkCustomer, UnlinkCustomerError, unlink_customer};
use customer_guard::simulator::customer::BillingProfile;
use customer_guard::simulator::faults::{Effect, ErrorBody};
use customer_guard::simulator::operations::{AuditTrail, NewCustomer};
use customer_guard::store::Store;
use tonic::Code;
use uuid::Uuid;

use crate::harness::cast::{LINDEN, bakery, contact, guarded, linden_profile, unverified, whole_contact};
use crate::harness::database::{address, count, shell};
use crate::harness::told::{Told, fields};
use crate::harness::{Plan, World, eventually, micros, pace};

/// The tenant of the bakery in Partner Center.
const BAKERY: Uuid = Uuid::from_u128(0xba4e_0000_0000_4000_8000_0000_0000_0001);
const FIRST: &str = "0198c0de-7000-4000-8000-000000000001";
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

fn in_partner_center(id: Uuid, domain: &str) -> NewCustomer {
    let company_name = Some("Linden Bakery OÜ".to_owned());
    NewCustomer {
        id: Some(id),
        domain: Some(domain.to_owned()),
        billing_profile: Some(BillingProfile { company_name, ..linden_profile() }),
        ..NewCustomer::default()
    }
}

/// The bakery accepts the reseller relationship, and the service has seen it.
async fn arrives(world: &World) {
    world
        .upstream
        .simulator
        .accept_customer(world.contoso(), in_partner_center(BAKERY, "bakery.example"))
        .expect("new");
    world.read_audit_log().await;
    world.read_list().await;
}

async fn try_pending(world: &World, request: ListPendingLinksRequest) -> Result<(Vec<PendingLink>, String), Told> {
    let listed = world.guard.customers.clone().list_pending_links(request).await.map_err(Told::from)?.into_inner();
    Ok((listed.pending_links, listed.next_page_token))
}

async fn pending(world: &World) -> Vec<PendingLink> {
    let request = ListPendingLinksRequest { parent: "partnerAccounts/contoso".to_owned(), ..Default::default() };
    try_pending(world, request).await.expect("pending links").0
}

async fn link(world: &World, request: LinkCustomerRequest) -> Result<LinkCustomerResponse, Told> {
    let linked = world.guard.customers.clone().link_customer(request).await;
    linked.map(tonic::Response::into_inner).map_err(Told::from)
}

async fn unlink(world: &World, request: UnlinkCustomerRequest) -> Result<Customer, Told> {
    let unlinked = world.guard.customers.clone().unlink_customer(request).await;
    unlinked.map(tonic::Response::into_inner).map_err(Told::from)
}

async fn dismiss(world: &World, name: &str, request_id: &str) -> Result<PendingLink, Told> {
    let request = DismissPendingLinkRequest { name: name.to_owned(), request_id: request_id.to_owned() };
    let dismissed = world.guard.customers.clone().dismiss_pending_link(request).await;
    dismissed.map(tonic::Response::into_inner).map_err(Told::from)
}

fn linking(customer: &Customer, tenant: Uuid) -> LinkCustomerRequest {
    LinkCustomerRequest {
        name: customer.name.clone(),
        microsoft_tenant_id: tenant.to_string(),
        ..LinkCustomerRequest::default()
    }
}

fn unlinking(customer: &Customer) -> UnlinkCustomerRequest {
    UnlinkCustomerRequest { name: customer.name.clone(), ..UnlinkCustomerRequest::default() }
}

async fn delete(world: &World, name: &str) {
    let request = DeleteCustomerRequest { name: name.to_owned(), ..Default::default() };
    world.guard.customers.clone().delete_customer(request).await.expect("a deletion");
}

/// Waits until the tenant has a record.
async fn recorded(world: &World, tenant: Uuid) -> Customer {
    eventually("the tenant has a record", async || world.guard.of_tenant("contoso", tenant).await).await
}

/// Waits until nobody waits for a decision.
async fn nobody_waits(world: &World) {
    eventually("nobody waits", async || pending(world).await.is_empty().then_some(())).await;
}

/// A customer as it is when nobody asks how often and when it was written.
fn bare(customer: &Customer) -> Customer {
    Customer {
        etag: String::new(),
        revision: 0,
        update_time: None,
        duplicate_candidates: Vec::new(),
        ..customer.clone()
    }
}

#[tokio::test]
async fn a_creation_names_the_customers_it_may_be_a_second_record_of() {
    let (world, linden) = World::with_linden().await;
    let create = |customer: Customer, validate_only: bool, request_id: &str| {
        let request = CreateCustomerRequest {
            parent: "partnerAccounts/contoso".to_owned(),
            customer: Some(customer),
            validate_only,
            request_id: request_id.to_owned(),
        };
        let mut customers = world.guard.customers.clone();
        async move { customers.create_customer(request).await.expect("a new customer").into_inner() }
    };
    let named = |customer: &Customer| {
        let candidates = customer.duplicate_candidates.iter();
        candidates.map(|one| (one.customer.clone(), one.reason())).collect::<Vec<_>>()
    };
    let first = create(bakery(), false, "").await;
    assert_eq!(named(&first), []);
    let same_domain = Customer { company_name: "Another".to_owned(), domain: "BAKERY.example".to_owned(), ..bakery() };
    let expected = vec![(first.name.clone(), DuplicateReason::SameDomain)];
    assert_eq!(named(&create(same_domain.clone(), true, "").await), expected);
    let second = create(same_domain.clone(), false, FIRST).await;
    assert_eq!(named(&second), expected);
    let same_name = Customer { company_name: "OÜ LINDEN BAKERY".to_owned(), domain: String::new(), ..bakery() };
    let third = create(same_name, false, "").await;
    assert_eq!(named(&third), [(first.name.clone(), DuplicateReason::SameNameAndCountry)]);
    assert_eq!(create(same_domain, false, FIRST).await, second, "a repetition is answered as it was");
    assert_eq!(named(&world.guard.get(&second.name).await), [], "nobody else is told");

    // Microsoft's are named as well; another country is another name.
    let mut like_linden = Customer { company_name: "Linden".to_owned(), domain: String::new(), ..bakery() };
    assert_eq!(named(&create(like_linden.clone(), true, "").await), []);
    like_linden.primary_contact.get_or_insert_default().address.get_or_insert_default().country = "LV".to_owned();
    assert_eq!(named(&create(like_linden, true, "").await), [(linden.name, DuplicateReason::SameNameAndCountry)]);

    // The deleted are not.
    delete(&world, &first.name).await;
    delete(&world, &third.name).await;
    assert_eq!(named(&create(bakery(), true, "").await), [(second.name, DuplicateReason::SameDomain)]);
    world.end().await;
}

#[tokio::test]
async fn a_newcomer_that_looks_like_a_platform_customer_waits_for_a_decision() {
    let world = World::with_customers(2).await;
    let ours = world.guard.create(bakery()).await;
    let before = world.guard.clock.now();
    arrives(&world).await;
    assert_eq!(world.guard.of_tenant("contoso", BAKERY).await, None);
    let waits = pending(&world).await;
    let [waits] = waits.as_slice() else { panic!("one waits: {waits:?}") };
    assert_eq!(waits.name, format!("partnerAccounts/contoso/pendingLinks/{BAKERY}"));
    assert_eq!((waits.microsoft_tenant_id.as_str(), waits.domain.as_str()), (&*BAKERY.to_string(), "bakery.example"));
    assert_eq!(waits.company_name, "Linden Bakery OÜ");
    assert_eq!(waits.candidates.len(), 1);
    assert_eq!(
        (waits.candidates[0].customer.as_str(), waits.candidates[0].reason()),
        (&*ours.name, DuplicateReason::SameDomain)
    );
    assert!(waits.create_time.is_some_and(|at| micros(at) >= before.micros()));
    let status = world.guard.status("contoso").await;
    assert_eq!((status.pending_links, status.backlog, status.quarantined, status.active_customers), (1, 0, 0, 2));
    assert_eq!(world.guard.get(&ours.name).await, ours, "nobody touched it");
    // A night and a restart change nothing of it.
    let run = world.pass_a_night().await;
    assert_eq!((run.created, run.unusable, run.missing, run.fetched), (0, 0, 0, 3));
    let world = world.restart().await;
    assert_eq!(pending(&world).await, std::slice::from_ref(waits));
    world.end().await;
}

#[tokio::test]
async fn a_dismissed_newcomer_gets_a_record_of_its_own_and_is_not_asked_about_again() {
    let world = World::with_customers(0).await;
    let ours = world.guard.create(bakery()).await;
    arrives(&world).await;
    let waits = pending(&world).await.remove(0);
    assert_eq!(dismiss(&world, &waits.name, FIRST).await.expect("a dismissal"), waits);
    let theirs = recorded(&world, BAKERY).await;
    assert_ne!(theirs.name, ours.name);
    assert_eq!((theirs.source(), theirs.sync_state()), (Source::Microsoft, SyncState::Synced));
    assert_eq!(dismiss(&world, &waits.name, FIRST).await.expect("the same answer"), waits);
    let told = dismiss(&world, &waits.name, "").await.expect_err("nothing waits");
    assert_eq!((told.code, told.reason().as_str()), (Code::NotFound, "PENDING_LINK_NOT_FOUND"));
    assert_eq!(told.metadata("pendingLink"), waits.name);
    world.change_email(BAKERY, "later@bakery.example");
    world.read_audit_log().await;
    world.pass_a_night().await;
    assert_eq!(pending(&world).await, []);
    assert_eq!(world.guard.all("contoso").await.len(), 2);
    world.end().await;
}

#[tokio::test]
async fn what_waits_is_decided_anew_when_those_it_looks_like_change_or_go() {
    let world = World::with_customers(0).await;
    let ours = world.guard.create(bakery()).await;
    arrives(&world).await;
    // Another one looks like it as well: it is named by itself.
    let mut other = world.guard.create(Customer { company_name: "Other".to_owned(), ..bakery() }).await;
    eventually("both are named", async || (pending(&world).await[0].candidates.len() == 2).then_some(())).await;
    delete(&world, &ours.name).await;
    eventually("one is named", async || {
        let named = pending(&world).await.remove(0).candidates;
        (named.len() == 1 && named[0].customer == other.name).then_some(())
    })
    .await;
    other.domain = "elsewhere.example".to_owned();
    world.guard.update(other, &["domain"]).await;
    recorded(&world, BAKERY).await;
    assert_eq!(pending(&world).await, []);
    world.end().await;
}

#[tokio::test]
async fn what_goes_from_partner_center_waits_no_longer() {
    for trail in [AuditTrail::Recorded, AuditTrail::Omitted] {
        let world = World::with_customers(2).await;
        world.guard.create(bakery()).await;
        arrives(&world).await;
        assert_eq!(pending(&world).await.len(), 1);
        world.upstream.simulator.remove_relationship(world.contoso(), BAKERY, trail).expect("known");
        match trail {
            AuditTrail::Recorded => world.read_audit_log().await,
            // Only the list shows it, by what it lacks.
            AuditTrail::Omitted => drop(world.read_list().await),
        }
        nobody_waits(&world).await;
        // It may come back.
        arrives(&world).await;
        assert_eq!(pending(&world).await.len(), 1);
        world.end().await;
    }
}

#[tokio::test]
async fn pending_links_are_told_page_by_page() {
    let plan = Plan { partners: vec!["contoso", "northwind"], ..Plan::usual() };
    let world = World::with(plan, 0).await;
    world.guard.create(bakery()).await;
    let tenants: Vec<Uuid> = (1..=3).map(Uuid::from_u128).collect();
    for tenant in &tenants {
        let new = in_partner_center(*tenant, &format!("bakery{tenant}.example"));
        world.upstream.simulator.add_customer(world.contoso(), new).expect("new");
        world
            .upstream
            .simulator
            .change_billing_profile(world.contoso(), *tenant, |profile| {
                profile.default_address.get_or_insert_default().country = Some("EE".to_owned());
            })
            .expect("known");
        world.read_audit_log().await;
    }
    let request = |parent: &str, page_size, page_token: &str| ListPendingLinksRequest {
        parent: parent.to_owned(),
        page_size,
        page_token: page_token.to_owned(),
    };
    let contoso = "partnerAccounts/contoso";
    let (first, token) = try_pending(&world, request(contoso, 2, "")).await.expect("a page");
    let (second, last) = try_pending(&world, request(contoso, 2, &token)).await.expect("a page");
    let told: Vec<_> = first.iter().chain(&second).map(|one| one.microsoft_tenant_id.clone()).collect();
    assert_eq!((first.len(), last.as_str()), (2, ""));
    assert_eq!(told, tenants.iter().map(Uuid::to_string).collect::<Vec<_>>(), "oldest first");
    assert!(first.iter().all(|one| one.candidates[0].reason() == DuplicateReason::SameNameAndCountry));
    let told = try_pending(&world, request(contoso, 2, &token[1..])).await.expect_err("a damaged token");
    assert_eq!((told.code, told.reason().as_str()), (Code::InvalidArgument, "INVALID_PAGE_TOKEN"));
    let told =
        try_pending(&world, request("partnerAccounts/northwind", 2, &token)).await.expect_err("another parent's");
    assert_eq!((told.code, told.reason().as_str()), (Code::InvalidArgument, "INVALID_PAGE_TOKEN"));
    let told = try_pending(&world, request("contoso", -1, "")).await.expect_err("bad arguments");
    assert_eq!(told.wrong_fields(), fields(["parent", "page_size"]));
    let told = try_pending(&world, request("partnerAccounts/nobody", 0, "")).await.expect_err("no account");
    assert_eq!(told.reason(), "PARTNER_ACCOUNT_NOT_FOUND");
    world.end().await;
}

#[tokio::test]
async fn a_linked_customer_is_microsofts_from_then_on_and_stays_itself() {
    let world = World::with_customers(0).await;
    let mut ours = world.guard.create(bakery()).await;
    contact(&mut ours, customer_guard::domain::contact::ContactRole::Billing).email =
        "invoices@bakery.example".to_owned();
    let ours = world.guard.update(ours, &["billing_contact.email"]).await;
    arrives(&world).await;
    let preview = LinkCustomerRequest { validate_only: true, etag: ours.etag.clone(), ..linking(&ours, BAKERY) };
    let preview = link(&world, preview).await.expect("a preview");
    assert_eq!(world.guard.get(&ours.name).await, ours, "a preview changes nothing");
    assert_eq!((pending(&world).await.len(), world.guard.of_tenant("contoso", BAKERY).await), (1, None));
    assert_eq!(count(&world.guard.database, "SELECT count(*) FROM customer_link").await, 0);

    let linked =
        link(&world, LinkCustomerRequest { etag: ours.etag.clone(), ..linking(&ours, BAKERY) }).await.expect("a link");
    let now = linked.customer.clone().expect("a customer");
    assert_eq!(unverified(world.guard.get(&ours.name).await), unverified(now.clone()));
    let timeless = |response: &LinkCustomerResponse| {
        let customer = response.customer.as_ref().expect("a customer");
        let etag = String::new();
        let customer = Customer { update_time: None, verified_at: None, verify_due_by: None, etag, ..customer.clone() };
        LinkCustomerResponse { customer: Some(customer), reversible_until: None, ..response.clone() }
    };
    assert_eq!(timeless(&preview), timeless(&linked), "the preview is what happens");
    assert_eq!(linked.before.as_ref(), Some(&ours));
    assert_eq!((&now.name, now.create_time, now.revision), (&ours.name, ours.create_time, ours.revision + 1));
    assert_eq!(
        (now.source(), now.relationship(), now.sync_state()),
        (Source::Microsoft, Relationship::Active, SyncState::Synced)
    );
    assert_eq!(
        (now.company_name.as_str(), now.microsoft_tenant_id.as_str()),
        ("Linden Bakery OÜ", &*BAKERY.to_string())
    );
    assert_eq!((&now.external_reference, &now.labels, &now.note), (&ours.external_reference, &ours.labels, &ours.note));
    assert_eq!(now.primary_contact.as_ref().expect("a contact").email, "girts.liepa@linden.example");
    assert!(now.billing_mirrors_primary && now.billing_contact == now.primary_contact);
    assert!(now.verified_at.is_some());
    let all: Vec<_> = guarded().iter().map(Field::to_string).collect();
    assert_eq!(linked.locked_fields, all);
    assert!(linked.replaced_fields.contains(&"billing_contact.email".to_owned()));
    assert!(linked.replaced_fields.contains(&"company_name".to_owned()));
    assert!(!linked.replaced_fields.contains(&"domain".to_owned()), "it is the same");
    let until = micros(linked.reversible_until.expect("a time")) - micros(now.update_time.expect("a time"));
    assert_eq!(Duration::from_micros(until.unsigned_abs()), MONTH);

    // It is guarded, and nothing waits any more.
    let mut edit = now.clone();
    edit.primary_contact.get_or_insert_default().email = "mine@bakery.example".to_owned();
    let told = world.guard.refused(edit, &["primary_contact.email"]).await;
    assert_eq!(
        (told.reason().as_str(), told.violated().as_slice()),
        ("FIELD_OWNED_BY_PARTNER_CENTER", &["primary_contact.email".to_owned()][..])
    );
    assert_eq!((pending(&world).await, world.guard.status("contoso").await.pending_links), (vec![], 0));

    // What happens in Partner Center from then on is the customer's.
    world.change_email(BAKERY, "later@bakery.example");
    world.read_audit_log().await;
    let later = world.guard.get(&ours.name).await;
    assert_eq!(later.primary_contact.expect("a contact").email, "later@bakery.example");
    let run = world.pass_a_night().await;
    assert_eq!((run.created, run.changed), (0, 0));
    assert_eq!(world.guard.all("contoso").await.len(), 1);
    world.end().await;
}

#[tokio::test]
async fn a_tenant_that_nobody_has_heard_of_yet_can_be_linked() {
    let world = World::with_customers(0).await;
    let ours = world.guard.create(Customer { company_name: "Quite another".to_owned(), ..bakery() }).await;
    let new = in_partner_center(BAKERY, "not.alike.example");
    world.upstream.simulator.accept_customer(world.contoso(), new).expect("new");
    let linked = link(&world, linking(&ours, BAKERY)).await.expect("a link").customer.expect("a customer");
    assert_eq!((linked.domain.as_str(), linked.sync_state()), ("not.alike.example", SyncState::Synced));
    world.read_audit_log().await;
    world.read_list().await;
    assert_eq!(world.guard.all("contoso").await.len(), 1, "no second record");
    // The relationship ends as every other does.
    world.upstream.simulator.remove_relationship(world.contoso(), BAKERY, AuditTrail::Recorded).expect("known");
    world.upstream.seed("contoso", 2);
    world.read_audit_log().await;
    world.read_list().await;
    eventually("it has ended", async || {
        world.advance(world.plan.list_interval);
        (world.guard.get(&ours.name).await.relationship() == Relationship::Ended).then_some(())
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn every_refusal_to_link_says_why() {
    let (world, linden) = World::with_linden().await;
    let ours = world.guard.create(bakery()).await;
    arrives(&world).await;
    let refused = async |request: LinkCustomerRequest| {
        let told = link(&world, request.clone()).await.expect_err("a refusal");
        let preview =
            link(&world, LinkCustomerRequest { validate_only: true, ..request }).await.expect_err("a refusal");
        assert_eq!((told.code, told.info()), (preview.code, preview.info()), "the preview refuses alike");
        told
    };
    let nonsense = LinkCustomerRequest {
        name: "bakery".to_owned(),
        microsoft_tenant_id: "bakery.example".to_owned(),
        etag: "x".to_owned(),
        validate_only: false,
        request_id: "x".to_owned(),
    };
    let told = link(&world, nonsense).await.expect_err("nonsense");
    assert_eq!(told.wrong_fields(), fields(["name", "microsoft_tenant_id", "etag", "request_id"]));
    let told = refused(LinkCustomerRequest { microsoft_tenant_id: String::new(), ..linking(&ours, BAKERY) }).await;
    assert_eq!(told.wrong_fields(), fields(["microsoft_tenant_id"]));

    let elsewhere = ours.name.replace("contoso", "nobody");
    let told = refused(LinkCustomerRequest { name: elsewhere, ..linking(&ours, BAKERY) }).await;
    assert_eq!((told.code, told.reason().as_str()), (Code::NotFound, "PARTNER_ACCOUNT_NOT_FOUND"));
    let nobody = format!("partnerAccounts/contoso/customers/{FIRST}");
    let told = refused(LinkCustomerRequest { name: nobody.clone(), ..linking(&ours, BAKERY) }).await;
    assert_eq!(
        (told.code, told.reason(), told.metadata("customer")),
        (Code::NotFound, "CUSTOMER_NOT_FOUND".to_owned(), nobody)
    );
    let told = refused(LinkCustomerRequest { etag: "\"r9\"".to_owned(), ..linking(&ours, BAKERY) }).await;
    assert_eq!((told.code, told.reason().as_str()), (Code::Aborted, "STALE_ETAG"));
    let told = refused(linking(&linden, BAKERY)).await;
    assert_eq!((told.code, told.reason().as_str()), (Code::FailedPrecondition, "NOT_A_PLATFORM_CUSTOMER"));
    assert_eq!(told.metadata("customer"), linden.name);
    let told = refused(linking(&ours, LINDEN)).await;
    assert_eq!((told.code, told.reason().as_str()), (Code::AlreadyExists, "DUPLICATE_CUSTOMER"));
    assert_eq!(told.metadata("customer"), linden.name);

    let missing = Uuid::from_u128(0x404);
    let told = refused(linking(&ours, missing)).await;
    assert_eq!((told.code, told.reason().as_str()), (Code::FailedPrecondition, "MICROSOFT_CUSTOMER_NOT_FOUND"));
    assert_eq!(
        (told.metadata("microsoftTenantId"), told.metadata("answer")),
        (missing.to_string(), "404/60003".to_owned())
    );
    world.upstream.always([Effect::NullBillingProfile { customer: BAKERY }]);
    let told = refused(linking(&ours, BAKERY)).await;
    assert_eq!(
        (told.reason().as_str(), told.metadata("answer").as_str()),
        ("MICROSOFT_CUSTOMER_NOT_FOUND", "UNUSABLE")
    );
    world.upstream.mend();
    world.upstream.always([Effect::ServerError { status: 503, body: ErrorBody::Html }]);
    let told = refused(linking(&ours, BAKERY)).await;
    assert_eq!((told.code, told.reason().as_str()), (Code::Unavailable, "SOURCE_UNAVAILABLE"));
    assert_eq!(told.metadata("partnerAccount"), "partnerAccounts/contoso");
    assert!(told.retry_after().is_some() && !told.metadata("cause").is_empty());
    world.upstream.mend();

    assert_eq!(
        (world.guard.get(&ours.name).await, pending(&world).await.len()),
        (bare_again(&ours), 1),
        "nothing happened"
    );
    delete(&world, &ours.name).await;
    let told = refused(linking(&ours, BAKERY)).await;
    assert_eq!((told.code, told.reason().as_str()), (Code::FailedPrecondition, "CUSTOMER_DELETED"));
    world.end().await;
}

/// A customer as it is read, which names no duplicates.
fn bare_again(customer: &Customer) -> Customer {
    Customer { duplicate_candidates: Vec::new(), ..customer.clone() }
}

#[tokio::test]
async fn a_tenant_whose_relationship_ended_keeps_its_record() {
    let (world, linden) = World::with_linden().await;
    world.upstream.seed("contoso", 2);
    world.read_list().await;
    world.upstream.simulator.remove_relationship(world.contoso(), LINDEN, AuditTrail::Recorded).expect("known");
    world.read_audit_log().await;
    eventually("it has ended", async || {
        world.advance(world.plan.list_interval);
        (world.guard.get(&linden.name).await.relationship() == Relationship::Ended).then_some(())
    })
    .await;
    let ours = world.guard.create(bakery()).await;
    let told = link(&world, linking(&ours, LINDEN)).await.expect_err("a record");
    assert_eq!((told.reason(), told.metadata("customer")), ("DUPLICATE_CUSTOMER".to_owned(), linden.name));
    world.end().await;
}

#[tokio::test]
async fn a_link_that_comes_again_is_answered_as_it_was_also_when_partner_center_is_away() {
    let world = World::with_customers(0).await;
    let ours = world.guard.create(bakery()).await;
    arrives(&world).await;
    let request = LinkCustomerRequest { request_id: FIRST.to_owned(), ..linking(&ours, BAKERY) };
    let linked = link(&world, request.clone()).await.expect("a link");
    world.upstream.always([Effect::ServerError { status: 503, body: ErrorBody::Html }]);
    assert_eq!(link(&world, request.clone()).await.expect("the same answer"), linked);
    let other = LinkCustomerRequest { microsoft_tenant_id: LINDEN.to_string(), ..request };
    let told = link(&world, other).await.expect_err("another request");
    assert_eq!((told.code, told.reason().as_str()), (Code::InvalidArgument, "REQUEST_ID_REUSED"));
    let told = unlink(&world, UnlinkCustomerRequest { request_id: FIRST.to_owned(), ..unlinking(&ours) }).await;
    assert_eq!(told.expect_err("another rpc").reason(), "REQUEST_ID_REUSED");
    // Undoing asks nobody.
    let undone = unlink(&world, unlinking(&ours)).await.expect("undone");
    assert_eq!(undone.source(), Source::Platform);
    world.upstream.mend();
    world.end().await;
}

#[tokio::test]
async fn undoing_a_link_restores_exactly_what_was_there_and_the_microsoft_customer_gets_its_own_record() {
    for own_billing in [true, false] {
        let world = World::with_customers(0).await;
        let mut ours = Customer { billing_contact: own_billing.then(whole_contact), ..bakery() };
        if let Some(billing) = &mut ours.billing_contact {
            billing.email = "invoices@bakery.example".to_owned();
        }
        let ours = world.guard.create(ours).await;
        assert_eq!(ours.billing_mirrors_primary, !own_billing);
        arrives(&world).await;
        let linked = link(&world, linking(&ours, BAKERY)).await.expect("a link").customer.expect("a customer");
        world.change_email(BAKERY, "later@bakery.example");
        world.read_audit_log().await;
        let later = world.guard.get(&ours.name).await;
        let edited = world.guard.update(Customer { note: "since then".to_owned(), ..later }, &["note"]).await;

        let stale = UnlinkCustomerRequest { etag: linked.etag.clone(), ..unlinking(&ours) };
        assert_eq!(unlink(&world, stale).await.expect_err("an old etag").reason(), "STALE_ETAG");
        let preview = UnlinkCustomerRequest { validate_only: true, ..unlinking(&ours) };
        let preview = unlink(&world, preview).await.expect("a preview");
        assert_eq!(
            unverified(world.guard.get(&ours.name).await),
            unverified(edited.clone()),
            "a preview changes nothing"
        );
        let request =
            UnlinkCustomerRequest { etag: edited.etag.clone(), request_id: FIRST.to_owned(), ..unlinking(&ours) };
        let undone = unlink(&world, request.clone()).await.expect("undone");
        assert_eq!(bare(&undone), Customer { note: "since then".to_owned(), ..bare(&ours) });
        assert_eq!((bare(&preview), preview.revision), (bare(&undone), undone.revision));
        assert_eq!(world.guard.get(&ours.name).await, undone);
        assert_eq!(
            count(&world.guard.database, "SELECT count(*) FROM customer_link WHERE former IS NOT NULL").await,
            0
        );

        let theirs = recorded(&world, BAKERY).await;
        assert_ne!(theirs.name, ours.name);
        assert_eq!(theirs.primary_contact.as_ref().expect("a contact").email, "later@bakery.example");
        world.pass_a_night().await;
        assert_eq!(pending(&world).await, [], "the two are not asked about again");
        assert_eq!(world.guard.get(&ours.name).await, undone);
        assert_eq!(unlink(&world, request).await.expect("the same answer"), undone);
        let told = unlink(&world, unlinking(&ours)).await.expect_err("undone already");
        assert_eq!((told.code, told.reason().as_str()), (Code::FailedPrecondition, "NOT_LINKED"));
        // It is the platform's again.
        world
            .guard
            .update(Customer { domain: "mine.example".to_owned(), etag: String::new(), ..undone }, &["domain"])
            .await;
        world.end().await;
    }
}

#[tokio::test]
async fn only_what_was_linked_can_be_unlinked() {
    let (world, linden) = World::with_linden().await;
    let ours = world.guard.create(bakery()).await;
    for customer in [&linden, &ours] {
        let told = unlink(&world, unlinking(customer)).await.expect_err("never linked");
        assert_eq!((told.code, told.reason().as_str()), (Code::FailedPrecondition, "NOT_LINKED"));
        assert_eq!(told.metadata("customer"), customer.name);
    }
    let nobody = format!("partnerAccounts/contoso/customers/{FIRST}");
    let told = unlink(&world, UnlinkCustomerRequest { name: nobody, ..Default::default() }).await.expect_err("nobody");
    assert_eq!(told.reason(), "CUSTOMER_NOT_FOUND");
    let nonsense = UnlinkCustomerRequest {
        name: "x".to_owned(),
        etag: "x".to_owned(),
        request_id: "x".to_owned(),
        ..Default::default()
    };
    let told = unlink(&world, nonsense).await.expect_err("nonsense");
    assert_eq!(told.wrong_fields(), fields(["name", "etag", "request_id"]));
    let told = dismiss(&world, "pendingLinks/x", "x").await.expect_err("nonsense");
    assert_eq!(told.wrong_fields(), fields(["name", "request_id"]));
    world.end().await;
}

#[tokio::test]
async fn a_link_that_ended_in_partner_center_can_still_be_undone() {
    let world = World::with_customers(3).await;
    let ours = world.guard.create(bakery()).await;
    arrives(&world).await;
    link(&world, linking(&ours, BAKERY)).await.expect("a link");
    world.upstream.simulator.remove_relationship(world.contoso(), BAKERY, AuditTrail::Recorded).expect("known");
    world.read_audit_log().await;
    eventually("it has ended", async || {
        world.advance(world.plan.list_interval);
        (world.guard.get(&ours.name).await.relationship() == Relationship::Ended).then_some(())
    })
    .await;
    let undone = unlink(&world, unlinking(&ours)).await.expect("undone");
    assert_eq!(bare(&undone), bare(&ours));
    world.read_audit_log().await;
    assert_eq!(world.guard.of_tenant("contoso", BAKERY).await, None, "it is gone");
    world.end().await;
}

#[tokio::test]
async fn after_thirty_days_a_link_stays_and_the_former_values_are_erased() {
    const KEPT: &str = "SELECT count(*) FROM customer_link WHERE former IS NOT NULL";
    const LINKS: &str = "SELECT count(*) FROM customer_link WHERE unlinked_revision IS NULL";
    let world = World::with_customers(0).await;
    let ours = world.guard.create(bakery()).await;
    arrives(&world).await;
    link(&world, linking(&ours, BAKERY)).await.expect("a link");
    // Partner Center being away keeps nobody's data.
    world.upstream.always([Effect::ServerError { status: 503, body: ErrorBody::Html }]);
    world.advance(MONTH - Duration::from_secs(3600));
    let preview = UnlinkCustomerRequest { validate_only: true, ..unlinking(&ours) };
    unlink(&world, preview).await.expect("it can still be undone");
    assert_eq!(count(&world.guard.database, KEPT).await, 1);
    world.advance(Duration::from_secs(3600));
    eventually("the former values are erased", async || (count(&world.guard.database, KEPT).await == 0).then_some(()))
        .await;
    let told = unlink(&world, unlinking(&ours)).await.expect_err("too late");
    assert_eq!((told.code, told.reason().as_str()), (Code::FailedPrecondition, "LINK_EXPIRED"));
    assert_eq!(told.metadata("customer"), ours.name);
    assert_eq!(count(&world.guard.database, LINKS).await, 1);
    assert_eq!(world.guard.get(&ours.name).await.source(), Source::Microsoft);
    world.end().await;
}

/// There is no caller but the operator yet: the operations are asked directly.
#[tokio::test]
async fn links_are_decided_by_operators_and_shown_to_those_who_may_see_contacts() {
    let (world, _) = World::with_linden().await;
    let store = Store::open_for_reading(&address(&world.guard.database), world.guard.clock.clone()).await;
    let store = store.expect("it opens");
    // No account is served: whoever is allowed is told so, and nothing is written.
    let (accounts, questions) = (Accounts::new(pace(&Plan::usual())), Questions::default());
    let contoso = "contoso".parse().expect("an id");
    let (id, tenant) = (FIRST.parse().expect("an id"), LINDEN.to_string().parse().expect("an id"));
    // Who; what is missing to link or unlink, and to dismiss; whether they may look.
    type Case = (&'static [Role], Option<&'static str>, Option<&'static str>, bool);
    let cases: [Case; 6] = [
        (&[Role::Reader], Some("sync.run"), Some("sync.run"), true),
        (&[Role::Writer], Some("sync.run"), Some("sync.run"), true),
        (&[Role::SyncOperator], Some("customers.read"), None, true),
        (&[Role::SyncOperator, Role::Reader], None, None, true),
        (&[Role::Admin], None, None, true),
        (&[], Some("sync.run"), Some("sync.run"), false),
    ];
    for (roles, linking, dismissing, lists) in cases {
        let roles: BTreeSet<Role> = roles.iter().copied().collect();
        let caller = Caller { roles, ..Caller::loopback(None) };
        let request = LinkCustomer {
            account: "contoso".parse().expect("an id"),
            id,
            tenant,
            expected: None,
            mode: WriteMode::Write,
        };
        let denied = match link_customer(&store, &accounts, &questions, &caller, request, None).await {
            Err(LinkCustomerError::Denied(denied)) => Some(denied.permission),
            Err(LinkCustomerError::AccountNotFound(_)) => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(denied, linking, "{caller:?}");
        let request =
            UnlinkCustomer { account: "contoso".parse().expect("an id"), id, expected: None, mode: WriteMode::Write };
        let denied = match unlink_customer(&store, &accounts, &caller, request, None).await {
            Err(UnlinkCustomerError::Denied(denied)) => Some(denied.permission),
            Err(UnlinkCustomerError::AccountNotFound(_)) => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(denied, linking, "{caller:?}");
        let denied = match dismiss_pending_link(&store, &accounts, &caller, &contoso, tenant, None).await {
            Err(PendingLinkError::Denied(denied)) => Some(denied.permission),
            Err(PendingLinkError::AccountNotFound(_)) => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(denied, dismissing, "{caller:?}");
        let listed = list_pending_links(&store, &accounts, &caller, &contoso, None, 10).await;
        assert_eq!(matches!(listed, Err(PendingLinkError::AccountNotFound(_))), lists, "{caller:?} {listed:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn nobody_gets_an_editable_copy_of_what_partner_center_owns() {
    let (world, linden) = World::with_linden().await;
    let ours = world.guard.create(bakery()).await;
    arrives(&world).await;
    let linked = link(&world, linking(&ours, BAKERY)).await.expect("a link").customer.expect("a customer");
    let mut shell = shell(&world.guard.database).await;
    for statement in [
        "UPDATE customer SET source = 'PLATFORM', microsoft_tenant_id = NULL, tenant_name = NULL, relationship = NULL,
             upstream_relationship = NULL, sync_state = NULL, observation_epoch = NULL, observation_ticket = NULL,
             revision = revision + 1",
        "INSERT INTO customer_link (account, customer_id, linked_revision, tenant_id, linked_by, linked_at, keep_until, former)
             SELECT account, id, revision + 1, (SELECT microsoft_tenant_id FROM customer WHERE id = v.id), 'me', 1, 2, own_values
             FROM customer_own_values v WHERE source = 'MICROSOFT'",
        "UPDATE customer_link SET former = (SELECT own_values FROM customer_own_values WHERE source = 'MICROSOFT' LIMIT 1)",
        "DELETE FROM customer_link",
    ] {
        let told = shell.run(statement).await.expect_err(statement);
        assert!(told.contains("guard R"), "{statement}: {told}");
    }
    assert_eq!(unverified(world.guard.get(&linden.name).await), unverified(linden));
    assert_eq!(unverified(world.guard.get(&ours.name).await), unverified(linked));
    world.end().await;
}
