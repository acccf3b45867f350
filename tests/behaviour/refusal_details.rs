//! What a refusal tells, word for word: a published contract.

use customer_guard::domain::contact::{ContactField, ContactRole};
use customer_guard::grpc::proto::{EditRefused, FieldOwner, FieldViolation, Fix, FixActor};
use tonic::Code;
use tonic_types::pb;

use crate::harness::World;
use crate::harness::cast::{another, change, contact, guarded, linden_profile, member};
use crate::harness::database::{count, shell};
use crate::harness::told::Told;

/// The refusal of a new e-mail address and a new city of the billing contact, beside a new note.
async fn refusal_of_two_fields(account: &'static str) -> (World, customer_guard::grpc::proto::Customer, Told) {
    let (world, linden) = World::with_linden_of(account).await;
    let mut edit = linden.clone();
    "new@elsewhere.example".clone_into(&mut contact(&mut edit, ContactRole::Primary).email);
    "Vienna".clone_into(member(contact(&mut edit, ContactRole::Billing), ContactField::City));
    "A new note.".clone_into(&mut edit.note);
    let told = world.guard.refused(edit, &["*"]).await;
    (world, linden, told)
}

#[tokio::test]
async fn the_error_info_names_customer_decision_owner_and_policy() {
    let (world, linden, told) = refusal_of_two_fields("contoso").await;
    assert_eq!(told.code, Code::FailedPrecondition);
    assert_eq!(told.reason(), "FIELD_OWNED_BY_PARTNER_CENTER");
    assert_eq!(told.metadata("customer"), linden.name);
    assert_eq!(told.metadata("decisionId"), told.edit_refused().decision_id);
    assert_eq!((told.metadata("owner").as_str(), told.metadata("policyRevision").as_str()), ("PARTNER_CENTER", "2"));
    assert_eq!(told.info().metadata.len(), 4);
    world.end().await;
}

#[tokio::test]
async fn the_typed_detail_names_fields_fix_and_freshness() {
    let (world, linden, told) = refusal_of_two_fields("contoso").await;
    let refused = told.edit_refused();
    assert!(!refused.decision_id.is_empty());
    let violation = |field: &str, rule: &str, upstream_field: &str| FieldViolation {
        field: field.to_owned(),
        owner: FieldOwner::PartnerCenter.into(),
        rule: rule.to_owned(),
        upstream_field: upstream_field.to_owned(),
    };
    let expected = EditRefused {
        decision_id: refused.decision_id.clone(),
        customer: linden.name.clone(),
        violations: vec![
            violation("primary_contact.email", "FIELD_OWNED_BY_PARTNER_CENTER", "billingProfile.email"),
            violation("billing_contact.address.city", "BILLING_MIRRORS_PRIMARY", "billingProfile.defaultAddress.city"),
        ],
        more_violations: 0,
        acceptable_fields: vec!["note".to_owned()],
        fix: Some(Fix {
            actor: FixActor::Partner.into(),
            instruction: "Change it in Microsoft Partner Center; the platform follows by itself.".to_owned(),
            uri: format!("https://portal.example/customers/{}", linden.microsoft_tenant_id),
        }),
        source_verified_at: linden.verified_at,
        verify_due_by: linden.verify_due_by,
    };
    assert_eq!(refused, expected);
    world.end().await;
}

#[tokio::test]
async fn the_standard_details_name_each_field_and_the_way_to_change_it() {
    let (world, linden, told) = refusal_of_two_fields("contoso").await;
    let preconditions: pb::PreconditionFailure = told.detail("google.rpc.PreconditionFailure").expect("a detail");
    let told_of: Vec<_> =
        preconditions.violations.iter().map(|one| (one.r#type.as_str(), one.subject.as_str())).collect();
    let email = format!("{}#primary_contact.email", linden.name);
    let city = format!("{}#billing_contact.address.city", linden.name);
    assert_eq!(
        told_of,
        [("FIELD_OWNED_BY_PARTNER_CENTER", email.as_str()), ("BILLING_MIRRORS_PRIMARY", city.as_str())]
    );
    let help: pb::Help = told.detail("google.rpc.Help").expect("a detail");
    let urls: Vec<_> = help.links.iter().map(|link| link.url.as_str()).collect();
    assert_eq!(urls, [format!("https://portal.example/customers/{}", linden.microsoft_tenant_id)]);
    world.end().await;
}

#[tokio::test]
async fn an_indirect_reseller_is_sent_to_its_provider_and_nowhere_else() {
    let (world, _, told) = refusal_of_two_fields("fabrikam").await;
    let fix = told.edit_refused().fix.expect("a fix");
    assert_eq!((fix.actor(), fix.uri.as_str()), (FixActor::IndirectProvider, ""));
    assert!(fix.instruction.starts_with("Ask your indirect provider"), "{}", fix.instruction);
    world.end().await;
}

#[tokio::test]
async fn an_indirect_provider_can_change_it_itself() {
    let (world, linden, told) = refusal_of_two_fields("northwind").await;
    let fix = told.edit_refused().fix.expect("a fix");
    assert_eq!(fix.actor(), FixActor::Partner);
    assert!(fix.uri.ends_with(&linden.microsoft_tenant_id));
    world.end().await;
}

#[tokio::test]
async fn the_decision_is_kept_as_it_was_told() {
    let (world, linden, told) = refusal_of_two_fields("contoso").await;
    let database = &world.guard.database;
    assert_eq!(count(database, "SELECT count(*) FROM decision").await, 1);
    let text = async |column: &str| {
        let texts = shell(database).await.texts(&format!("SELECT {column} FROM decision"), 0).await;
        texts.into_iter().next().expect("a text")
    };
    assert_eq!(text("id").await, told.edit_refused().decision_id);
    assert!(linden.name.ends_with(&text("customer_id").await));
    assert_eq!(text("account").await, "contoso");
    assert_eq!(
        text("violations").await,
        "primary_contact.email:FIELD_OWNED_BY_PARTNER_CENTER,billing_contact.address.city:BILLING_MIRRORS_PRIMARY"
    );
    assert_eq!(text("acceptable").await, "note");
    world.end().await;
}

#[tokio::test]
async fn the_largest_refusal_fits_into_a_header_and_says_how_much_it_leaves_out() {
    let (world, linden) = World::with_linden().await;
    let mut everything = linden.clone();
    guarded().into_iter().for_each(|field| change(&mut everything, field));
    for label in 0..60 {
        everything.labels.insert(format!("label-{label}"), "x".repeat(200));
    }
    "x".repeat(4000).clone_into(&mut everything.note);
    let told = world.guard.refused(everything, &["*"]).await;
    assert!(told.bytes.len() <= 4096, "{} bytes", told.bytes.len());
    let refused = told.edit_refused();
    assert_eq!(refused.violations.len() + usize::try_from(refused.more_violations).expect("a count"), 36);
    assert!(refused.violations.len() >= 20, "{} are listed", refused.violations.len());
    assert_eq!(refused.acceptable_fields.len(), 2);
    world.end().await;
}

#[tokio::test]
async fn no_value_of_a_contact_is_told_neither_the_old_nor_the_new() {
    let (world, linden) = World::with_linden().await;
    let mut everything = linden.clone();
    guarded().into_iter().for_each(|field| change(&mut everything, field));
    let told = world.guard.refused(everything, &["*"]).await;
    let haystack = format!("{} {}", told.message, String::from_utf8_lossy(&told.bytes));
    let mut before = linden.clone();
    for field in ContactField::ALL {
        let old = member(contact(&mut before, ContactRole::Primary), field).clone();
        // Codes of two letters and tags occur in other words.
        for value in [old.as_str(), another(field)].into_iter().filter(|value| value.len() > 5) {
            assert!(!haystack.contains(value), "{field:?} tells {value}");
        }
    }
    assert!(!haystack.contains(&linden_profile().company_name.expect("a name")));
    world.end().await;
}

#[tokio::test]
async fn a_refusal_does_not_depend_on_the_etag_being_right_but_a_stale_one_is_told_first() {
    let (world, linden) = World::with_linden().await;
    let mut noted = linden.clone();
    "A note.".clone_into(&mut noted.note);
    world.guard.update(noted, &["note"]).await;
    let mut stale = linden.clone();
    change(&mut stale, guarded()[2]);
    let told = world.guard.refused(stale.clone(), &["*"]).await;
    assert_eq!((told.code, told.reason().as_str()), (Code::Aborted, "STALE_ETAG"));
    stale.etag.clear();
    let told = world.guard.refused(stale, &["primary_contact.email"]).await;
    assert_eq!(told.reason(), "FIELD_OWNED_BY_PARTNER_CENTER");
    world.end().await;
}
