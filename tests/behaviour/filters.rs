//! Lists that are filtered and ordered, as a caller asks for them.

use customer_guard::grpc::proto::{Customer, ListCustomersRequest, ListCustomersResponse};
use tonic::Code;

use crate::harness::World;
use crate::harness::cast::bakery;
use crate::harness::told::{Told, fields};

async fn list(world: &World, request: ListCustomersRequest) -> Result<ListCustomersResponse, Told> {
    let request = ListCustomersRequest { parent: "partnerAccounts/contoso".to_owned(), ..request };
    let page = world.guard.customers.clone().list_customers(request).await;
    page.map(tonic::Response::into_inner).map_err(Told::from)
}

fn filtered(filter: &str) -> ListCustomersRequest {
    ListCustomersRequest { filter: filter.to_owned(), ..Default::default() }
}

#[tokio::test]
async fn a_filter_over_every_kind_of_field_finds_what_it_means() {
    let (world, linden) = World::with_linden().await;
    let made = world.guard.create(Customer { external_reference: "CRM-17".to_owned(), ..bakery() }).await;
    let cases = [
        ("source = MICROSOFT", vec![&linden]),
        ("source = SOURCE_PLATFORM", vec![&made]),
        ("sync_state = SYNCED AND relationship = ACTIVE", vec![&linden]),
        ("labels.team = blue", vec![&made]),
        ("external_reference = \"CRM-*\"", vec![&made]),
        ("NOT billing_mirrors_primary = true", vec![]),
        ("verified_at > \"2020-01-01T00:00:00Z\"", vec![&linden]),
        ("create_time < \"2020-01-01T00:00:00Z\"", vec![]),
        ("source = PLATFORM OR source = MICROSOFT", vec![&linden, &made]),
    ];
    for (filter, expected) in cases {
        let mut found = list(&world, filtered(filter)).await.expect(filter).customers;
        found.sort_by_key(|customer| customer.source);
        let mut expected: Vec<_> = expected.into_iter().cloned().collect();
        expected.sort_by_key(|customer| customer.source);
        assert_eq!(found, expected, "{filter}");
    }
    world.end().await;
}

#[tokio::test]
async fn an_order_holds_over_pages_and_a_token_only_for_its_question() {
    let world = World::with_customers(23).await;
    let (mut met, mut page_token) = (Vec::new(), String::new());
    loop {
        let order_by = "company_name desc".to_owned();
        let request = ListCustomersRequest { order_by, page_size: 4, page_token, ..Default::default() };
        let page = list(&world, request).await.expect("a page");
        met.extend(page.customers.into_iter().map(|customer| customer.company_name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
        let others = [
            ListCustomersRequest { page_token: page_token.clone(), ..Default::default() },
            ListCustomersRequest { page_token: page_token.clone(), ..filtered("source = MICROSOFT") },
            ListCustomersRequest { page_token: page_token.clone(), show_deleted: true, ..Default::default() },
        ];
        for other in others {
            assert_eq!(list(&world, other).await.expect_err("another question").reason(), "INVALID_PAGE_TOKEN");
        }
    }
    assert_eq!(met.len(), 23);
    assert!(met.is_sorted_by(|left, right| left >= right), "{met:?}");
    world.end().await;
}

#[tokio::test]
async fn a_filter_that_cannot_be_understood_is_told_every_problem_and_its_place() {
    let world = World::with_customers(0).await;
    let told = list(&world, filtered("fax = 1 AND source = ELSEWHERE")).await.expect_err("a wrong filter");
    assert_eq!((told.code, told.reason().as_str()), (Code::InvalidArgument, "INVALID_FILTER"));
    let places: Vec<_> = told.bad_request().into_iter().map(|one| one.description).collect();
    assert_eq!(places.len(), 2, "{places:?}");
    assert!(places[0].starts_with("at character 1: ") && places[1].contains("at character "), "{places:?}");
    for hostile in ["(".repeat(3000), "NOT ".repeat(60), "a ".repeat(600), "source = ".to_owned(), "\"open".to_owned()]
    {
        let told = list(&world, filtered(&hostile)).await.expect_err("a hostile filter");
        assert_eq!(told.reason(), "INVALID_FILTER", "{hostile:.20}");
    }
    let order = ListCustomersRequest { order_by: "fax, source".to_owned(), ..Default::default() };
    assert_eq!(list(&world, order).await.expect_err("a wrong order").wrong_fields(), fields(["order_by"]));
    world.end().await;
}

#[tokio::test]
async fn a_page_of_very_large_customers_ends_early_and_the_walk_still_meets_everyone() {
    let world = World::with_customers(0).await;
    let large = Customer { note: "\u{1f950}".repeat(4_000), ..bakery() };
    for _ in 0..230 {
        world.guard.create(large.clone()).await;
    }
    let (mut names, mut pages, mut page_token) = (std::collections::BTreeSet::new(), 0, String::new());
    loop {
        let request = ListCustomersRequest { page_size: 1000, page_token, ..Default::default() };
        let page = list(&world, request).await.expect("a page");
        assert!(prost::Message::encoded_len(&page) < 4 * 1024 * 1024);
        pages += 1;
        for customer in page.customers {
            assert!(names.insert(customer.name), "a customer was met twice");
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!((names.len(), pages), (230, 2));
    world.end().await;
}
