//! Finding customers by many names at once, and by other keys.

use customer_guard::grpc::proto::lookup_customer_request::Key;
use customer_guard::grpc::proto::{BatchGetCustomersRequest, Customer, LookupCustomerRequest};
use tonic::Code;

use crate::harness::World;
use crate::harness::cast::bakery;
use crate::harness::told::{Told, fields};

async fn lookup(world: &World, key: Option<Key>) -> Result<Customer, Told> {
    let request = LookupCustomerRequest { parent: "partnerAccounts/contoso".to_owned(), key, ..Default::default() };
    let found = world.guard.customers.clone().lookup_customer(request).await;
    found.map(tonic::Response::into_inner).map_err(Told::from)
}

async fn batch(world: &World, parent: &str, names: &[&str]) -> Result<Vec<Option<Customer>>, Told> {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let request = BatchGetCustomersRequest { parent: parent.to_owned(), names: names.clone(), ..Default::default() };
    let found = world.guard.customers.clone().batch_get_customers(request).await.map_err(Told::from)?.into_inner();
    assert_eq!(found.results.iter().map(|result| result.name.clone()).collect::<Vec<_>>(), names);
    Ok(found.results.into_iter().map(|result| result.customer).collect())
}

#[tokio::test]
async fn a_batch_keeps_the_order_and_leaves_out_who_does_not_exist() {
    let world = World::with_customers(3).await;
    let all = world.guard.all("contoso").await;
    let nobody = "partnerAccounts/contoso/customers/0198c0de-7000-7000-8000-000000000001";
    let names = [all[2].name.as_str(), nobody, &all[0].name, &all[2].name];
    for parent in ["partnerAccounts/contoso", "partnerAccounts/-"] {
        let found = batch(&world, parent, &names).await.expect("results");
        let expected = [Some(all[2].clone()), None, Some(all[0].clone()), Some(all[2].clone())];
        assert_eq!(found, expected, "{parent}");
    }
    assert_eq!(batch(&world, "partnerAccounts/contoso", &[]).await.expect("no results"), []);
    world.end().await;
}

#[tokio::test]
async fn a_batch_tells_every_name_that_is_wrong() {
    let world = World::with_customers(0).await;
    let elsewhere = "partnerAccounts/northwind/customers/0198c0de-7000-7000-8000-000000000001";
    let told = batch(&world, "partnerAccounts/contoso", &["nonsense", elsewhere]).await.expect_err("wrong names");
    assert_eq!(told.wrong_fields(), fields(["names[0]", "names[1]"]));
    let many = vec![elsewhere; 1001];
    let told = batch(&world, "partnerAccounts/-", &many).await.expect_err("too many");
    assert_eq!(told.wrong_fields(), fields(["names"]));
    let told = batch(&world, "partnerAccounts/-", &[elsewhere]).await.expect_err("no such account");
    assert_eq!(told.reason(), "PARTNER_ACCOUNT_NOT_FOUND");
    world.end().await;
}

#[tokio::test]
async fn a_customer_is_found_by_tenant_domain_and_reference() {
    let (world, linden) = World::with_linden().await;
    let made = world.guard.create(Customer { external_reference: "CRM-17".to_owned(), ..bakery() }).await;
    let keys = [
        (Key::MicrosoftTenantId(linden.microsoft_tenant_id.to_uppercase()), &linden),
        (Key::Domain(linden.domain.to_uppercase()), &linden),
        (Key::ExternalReference(" CRM-17 ".to_owned()), &made),
    ];
    for (key, expected) in keys {
        assert_eq!(lookup(&world, Some(key.clone())).await.expect("a customer"), *expected, "{key:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_key_that_nobody_several_or_no_request_has_is_told_apart() {
    let world = World::with_customers(0).await;
    let twin = Customer { external_reference: "TWIN".to_owned(), ..bakery() };
    let names = [world.guard.create(twin.clone()).await.name, world.guard.create(twin).await.name];
    let told = lookup(&world, Some(Key::ExternalReference("TWIN".to_owned()))).await.expect_err("two of them");
    assert_eq!((told.code, told.reason().as_str()), (Code::FailedPrecondition, "AMBIGUOUS_LOOKUP"));
    for name in names {
        assert!(told.metadata("customers").contains(&name));
    }
    let told = lookup(&world, Some(Key::Domain("nobody.example".to_owned()))).await.expect_err("nobody");
    assert_eq!((told.code, told.reason().as_str()), (Code::NotFound, "CUSTOMER_NOT_FOUND"));
    for (key, field) in [
        (None, "key"),
        (Some(Key::MicrosoftTenantId("17".to_owned())), "microsoft_tenant_id"),
        (Some(Key::Domain("  ".to_owned())), "domain"),
        (Some(Key::ExternalReference(String::new())), "external_reference"),
    ] {
        assert_eq!(lookup(&world, key).await.expect_err("no key").wrong_fields(), fields([field]));
    }
    world.end().await;
}
