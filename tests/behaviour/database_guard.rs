//! The third line of defence: the database itself refuses whoever has a shell and forgets the guard.

use crate::harness::World;
use crate::harness::cast::bakery;
use crate::harness::database::{Shell, shell};

async fn refusal(shell: &mut Shell, statement: &str) -> String {
    shell.run(statement).await.expect_err(statement)
}

#[tokio::test]
async fn refuses_a_contact_of_a_microsoft_customer_and_names_the_rule() {
    let (world, linden) = World::with_linden().await;
    let mut shell = shell(&world.guard.database).await;
    for statement in [
        "UPDATE customer SET primary_email = 'shell@example.com'",
        "UPDATE customer SET primary_email = 'shell@example.com', revision = revision + 1",
        "UPDATE customer SET primary_city = '', revision = revision + 1",
        "UPDATE customer SET observation_ticket = NULL, primary_email = 'shell@example.com', revision = revision + 1",
    ] {
        let told = refusal(&mut shell, statement).await;
        assert!(told.contains("guard R3: primary and billing contact"), "{statement}: {told}");
    }
    assert_eq!(world.guard.get(&linden.name).await, linden);
    world.end().await;
}

#[tokio::test]
async fn refuses_an_own_billing_contact_of_a_microsoft_customer() {
    let (world, linden) = World::with_linden().await;
    let mut shell = shell(&world.guard.database).await;
    let own = "
        UPDATE customer SET revision = revision + 1, billing_first_name = 'A', billing_last_name = '',
            billing_email = '', billing_phone_number = '', billing_language = '', billing_culture = '',
            billing_country = '', billing_region = '', billing_state = '', billing_district = '', billing_city = '',
            billing_address_line1 = '', billing_address_line2 = '', billing_address_line3 = '', billing_postal_code = '',
            observation_ticket = observation_ticket + 1";
    let told = refusal(&mut shell, own).await;
    assert!(told.contains("billing_mirrors_primary_of_a_microsoft_customer"), "{told}");
    assert_eq!(world.guard.get(&linden.name).await, linden);
    world.end().await;
}

#[tokio::test]
async fn refuses_another_identity_source_or_end_of_a_microsoft_customer() {
    let (world, linden) = World::with_linden().await;
    let mut shell = shell(&world.guard.database).await;
    for statement in [
        "UPDATE customer SET company_name = 'Shell', revision = revision + 1",
        "UPDATE customer SET relationship = 'ENDED', revision = revision + 1",
        "UPDATE customer SET domain = '', revision = revision + 1",
        "DELETE FROM customer",
        "UPDATE customer SET id = 'another', revision = revision + 1",
    ] {
        let told = refusal(&mut shell, statement).await;
        assert!(told.contains("guard R"), "{statement}: {told}");
    }
    assert_eq!(world.guard.get(&linden.name).await, linden);
    world.end().await;
}

#[tokio::test]
async fn lets_a_contact_of_a_platform_customer_be_changed() {
    let world = World::with_customers(0).await;
    let ours = world.guard.create(bakery()).await;
    let mut shell = shell(&world.guard.database).await;
    let statement = "UPDATE customer SET primary_email = 'shell@example.com', revision = revision + 1";
    shell.run(statement).await.expect("the platform's own");
    let changed = world.guard.get(&ours.name).await;
    assert_eq!(changed.primary_contact.expect("a contact").email, "shell@example.com");
    assert_ne!(changed.etag, ours.etag);
    // What a shell changes is in no change log, so this world does not end as sound as the others.
    world.guard.stop().await;
    world.upstream.stop().await;
}

#[tokio::test]
async fn keeps_decisions_and_the_change_log_as_they_were_written() {
    let (world, mut linden) = World::with_linden().await;
    linden.primary_contact.get_or_insert_default().email = "new@elsewhere.example".to_owned();
    world.guard.refused(linden, &["primary_contact.email"]).await;
    let mut shell = shell(&world.guard.database).await;
    for statement in [
        "UPDATE decision SET caller = 'nobody'",
        "DELETE FROM decision",
        "UPDATE change_log SET actor = 'nobody'",
        "DELETE FROM change_log",
    ] {
        let told = refusal(&mut shell, statement).await;
        assert!(told.contains("append-only"), "{statement}: {told}");
    }
    world.end().await;
}

#[tokio::test]
async fn goes_on_serving_after_it_has_refused() {
    let (world, linden) = World::with_linden().await;
    let mut shell = shell(&world.guard.database).await;
    refusal(&mut shell, "UPDATE customer SET primary_email = 'shell@example.com'").await;
    world.change_email(crate::harness::cast::LINDEN, "by.microsoft@linden.example");
    world.read_audit_log().await;
    let synced = world.guard.get(&linden.name).await;
    assert_eq!(synced.primary_contact.expect("a contact").email, "by.microsoft@linden.example");
    world.end().await;
}
