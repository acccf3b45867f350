//! What happens when Microsoft is played: each event, and what the list, the detail and the audit log tell of it.

use serde_json::Value;

use super::*;
use crate::simulator::Error;
use crate::simulator::audit::{AuditEntry, OperationStatus};
use crate::simulator::operations::{AuditTrail, NewCustomer};

async fn operations(world: &World) -> Vec<String> {
    let records = world.audit().await;
    records.iter().map(|record| record["operationType"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_accepting_customer_appears_in_the_list_and_in_the_log() {
    let world = World::with(2).await;
    let new = NewCustomer::default();
    let customer = world.simulator.accept_customer(world.contoso, new).unwrap();
    assert!(world.get("/v1/customers").await.ids().contains(&customer.id));
    assert_eq!(world.get(&detail(customer.id)).await.status, 200);
    assert_eq!(operations(&world).await, ["reseller_relationship_accepted_by_customer"]);
}

#[tokio::test]
async fn an_acceptance_leaves_no_record_when_switched_off() {
    let world = World::with(2).await;
    world.simulator.set_knobs(world.contoso, |knobs| knobs.acceptance_audited = false).unwrap();
    let new = NewCustomer::default();
    world.simulator.accept_customer(world.contoso, new).unwrap();
    assert_eq!(world.get("/v1/customers").await.ids().len(), 3);
    assert!(operations(&world).await.is_empty());
}

#[tokio::test]
async fn a_created_customer_is_wholly_in_its_record() {
    let world = World::with(0).await;
    let new = NewCustomer { company_name: Some("Harbor Works".to_owned()), ..NewCustomer::default() };
    let customer = world.simulator.add_customer(world.contoso, new).unwrap();
    let record = world.audit().await.swap_remove(0);
    assert_eq!(record["operationType"], "add_customer");
    assert_eq!(record["customerId"], customer.id.to_string());
    let value: Value = serde_json::from_str(record["resourceNewValue"].as_str().unwrap()).unwrap();
    assert_eq!(value["BillingProfile"]["CompanyName"], "Harbor Works");
    assert!(value.as_object().unwrap().contains_key("CustomDomains"));
}

#[tokio::test]
async fn a_changed_contact_shows_in_the_detail_and_with_both_values_in_the_log() {
    let world = World::with(1).await;
    let before = world.first();
    world
        .simulator
        .change_billing_profile(world.contoso, before.id, |profile| {
            profile.email = Some("new@linden.example".to_owned());
        })
        .unwrap();
    let profile = world.get(&detail(before.id)).await.json()["billingProfile"].clone();
    assert_eq!(profile["email"], "new@linden.example");
    assert_ne!(profile["attributes"]["etag"], before.billing_profile.etag().as_str());
    let record = world.audit().await.swap_remove(0);
    assert_eq!(record["operationType"], "update_customer_billing_profile");
    assert_eq!(record["operationStatus"], "succeeded");
    let value = |name: &str| -> Value { serde_json::from_str(record[name].as_str().unwrap()).unwrap() };
    assert_eq!(value("resourceOldValue")["Email"], json!(before.billing_profile.email));
    let new = value("resourceNewValue");
    assert_eq!(new["Email"], "new@linden.example");
    assert!(new["DefaultAddress"].as_object().unwrap().contains_key("AddressLine3"));
}

#[tokio::test]
async fn a_record_has_the_documented_id_and_date_and_is_found_by_its_id() {
    let world = World::with(1).await;
    let id = world.first().id;
    world.simulator.rename(world.contoso, id, "Linden").unwrap();
    let record = world.audit().await.swap_remove(0);
    let record_id = record["id"].as_str().unwrap();
    let operation = "updatecustomerpartnercontractcompanyname";
    assert!(record_id.starts_with(&format!("{}_{id}_{operation}_", world.contoso)));
    let date = record["operationDate"].as_str().unwrap();
    assert_eq!(date.len(), "2026-02-03T04:05:06.0700000Z".len());
    assert_eq!(record["attributes"]["objectType"], "AuditRecord");
    let path = format!("/auditactivity/v1/auditrecords/{record_id}");
    assert_eq!(world.get(&path).await.json(), record);
    let reply = world.get("/auditactivity/v1/auditrecords/none").await;
    assert_eq!((reply.status.as_u16(), reply.text.as_str()), (200, "null"));
}

#[tokio::test]
async fn a_silent_change_is_in_no_record() {
    let world = World::with(1).await;
    let id = world.first().id;
    world.simulator.change_silently(world.contoso, id, |profile| profile.email = None).unwrap();
    let reply = world.get(&detail(id)).await.json();
    assert_eq!(reply["billingProfile"]["email"], Value::Null);
    assert!(operations(&world).await.is_empty());
}

#[tokio::test]
async fn a_bill_to_name_is_listed_and_a_tenants_own_name_is_not() {
    let world = World::with(1).await;
    let id = world.first().id;
    world.simulator.rename(world.contoso, id, "Bill-to").unwrap();
    world.simulator.rename_tenant(world.contoso, id, "Tenant").unwrap();
    let list = world.get("/v1/customers").await.json();
    assert_eq!(list["items"][0]["companyProfile"]["companyName"], "Bill-to");
    let one = world.get(&detail(id)).await.json();
    assert_eq!(one["companyProfile"]["companyName"], "Tenant");
    assert_eq!(one["billingProfile"]["companyName"], "Bill-to");
    assert_eq!(operations(&world).await.len(), 1);
}

#[tokio::test]
async fn a_removed_customer_answers_403_20002() {
    let world = World::with(2).await;
    let id = world.first().id;
    world.simulator.remove_relationship(world.contoso, id, AuditTrail::Recorded).unwrap();
    assert!(!world.get("/v1/customers").await.ids().contains(&id));
    let reply = world.get(&detail(id)).await;
    assert_eq!(reply.status, 403);
    assert_eq!(reply.json(), fault(20_002, "No relationship between caller and account."));
    assert_eq!(operations(&world).await, ["remove_partner_customer_relationship"]);
}

#[tokio::test]
async fn a_removed_customer_comes_back_as_it_was() {
    let world = World::with(2).await;
    let customer = world.first();
    world.simulator.remove_relationship(world.contoso, customer.id, AuditTrail::Omitted).unwrap();
    assert!(operations(&world).await.is_empty());
    let new =
        NewCustomer { id: Some(customer.id), relationship: Some(customer.relationship), ..NewCustomer::default() };
    let back = world.simulator.accept_customer(world.contoso, new.clone());
    assert_eq!(back.unwrap(), customer);
    assert_eq!(world.get(&detail(customer.id)).await.status, 200);
    assert_eq!(world.simulator.accept_customer(world.contoso, new), Err(Error::AlreadyACustomer));
}

#[tokio::test]
async fn a_failed_creation_has_no_customer_and_a_running_operation_ends_later() {
    let world = World::with(0).await;
    let entry = AuditEntry {
        operation_type: "add_customer".to_owned(),
        resource_type: "customer".to_owned(),
        operation_status: OperationStatus::Failed,
        ..AuditEntry::default()
    };
    world.simulator.append_audit(world.contoso, entry.clone()).unwrap();
    let record = world.audit().await.swap_remove(0);
    assert_eq!(record["operationStatus"], "failed");
    assert!(!record.as_object().unwrap().contains_key("customerId"));
    let running = AuditEntry { operation_status: OperationStatus::Progress, ..entry };
    let id = world.simulator.append_audit(world.contoso, running).unwrap();
    assert_eq!(world.audit().await[0]["operationStatus"], "progress");
    let status = OperationStatus::Succeeded;
    world.simulator.finish_audit(world.contoso, &id, status).unwrap();
    assert_eq!(world.audit().await[0]["operationStatus"], "succeeded");
}

#[tokio::test]
async fn what_does_not_exist_is_refused() {
    let simulator = Simulator::new();
    let nobody = Uuid::nil();
    assert_eq!(simulator.seed(nobody, 1, 1), Err(Error::UnknownPartner));
    simulator.add_partner(demo_partners()[0].clone());
    let contoso = demo_partners()[0].tenant_id;
    assert_eq!(simulator.rename(contoso, nobody, "x"), Err(Error::UnknownCustomer));
}
