use super::*;

const NOW: i64 = 1_700_000_000;

fn now() -> Timestamp {
    Timestamp::from_micros(NOW * 1_000_000)
}

fn at(ago: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: NOW - ago, nanos: 0 })
}

fn customer() -> proto::Customer {
    proto::Customer {
        name: "partnerAccounts/contoso/customers/17".to_owned(),
        source: proto::Source::Microsoft.into(),
        company_name: "Rundāle Bakery".to_owned(),
        domain: "bakery.example".to_owned(),
        microsoft_tenant_id: "0f1e2d3c".to_owned(),
        relationship: proto::Relationship::Active.into(),
        upstream_relationship: "reseller".to_owned(),
        primary_contact: Some(proto::Contact {
            first_name: "Ilze".to_owned(),
            last_name: "Ozola".to_owned(),
            address: Some(proto::Address { address_line1: "Iela 1".to_owned(), ..Default::default() }),
            ..Default::default()
        }),
        billing_mirrors_primary: true,
        labels: [("team".to_owned(), "blue".to_owned())].into(),
        note: "Call \u{1b}[31mfirst".to_owned(),
        status: proto::CustomerStatus::Active.into(),
        sync_state: proto::SyncState::Paused.into(),
        verified_at: at(180),
        verify_due_by: at(-7_200),
        revision: 3,
        etag: "\"3\"".to_owned(),
        pause: Some(proto::SyncPause {
            paused_by: "anna".to_owned(),
            start_time: at(600),
            reason: "merger".to_owned(),
        }),
        ..Default::default()
    }
}

fn ownership() -> proto::FieldOwnership {
    let field = |path: &str, owner: proto::FieldOwner| proto::OwnedField {
        field: path.to_owned(),
        owner: owner.into(),
        ..Default::default()
    };
    proto::FieldOwnership {
        fields: vec![
            field("company_name", proto::FieldOwner::PartnerCenter),
            field("primary_contact.first_name", proto::FieldOwner::PartnerCenter),
            field("billing_contact.email", proto::FieldOwner::PartnerCenter),
            field("note", proto::FieldOwner::Platform),
        ],
        fix: Some(proto::Fix {
            instruction: "Change it there.".to_owned(),
            uri: "https://partner.example/17".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[test]
fn a_customer_is_a_record_with_its_locks_marked() {
    let expected = "\
Identity
  Customer      contoso/17
* Company       Rundāle Bakery
  Domain        bakery.example
  Source        Microsoft
  Tenant id     0f1e2d3c
  Relationship  active (reseller in Partner Center)

Primary contact
* Person        Ilze Ozola
  Street        Iela 1

Billing contact
* Everything    same as the primary contact

The platform's own
  Status        active
  Labels        team=blue
  Note          Call  [31mfirst

Record
  Sync          paused
  Paused        since 2023-11-14T22:03:20Z by anna: merger
  Verified      2023-11-14T22:10:20Z (3 min ago)
  Due by        2023-11-15T00:13:20Z (in 2 h)
  Revision      3 (etag \"3\")

* Only Partner Center can change these. Change it there.
https://partner.example/17
";
    assert_eq!(text(&customer(), Some(&ownership()), Screen::default(), now()), expected);
}

#[test]
fn locks_that_are_not_known_are_not_claimed() {
    let told = text(&customer(), None, Screen::default(), now());
    assert!(!told.contains('*') && told.contains("could not be found out"), "{told}");
}

#[test]
fn a_state_tells_what_matters_about_a_customer() {
    let own = proto::Customer { source: proto::Source::Platform.into(), ..Default::default() };
    assert_eq!(state(&own).text, "own");
    assert_eq!(state(&proto::Customer { delete_time: at(9), ..own.clone() }).text, "deleted");
    let blocked = proto::Customer { status: proto::CustomerStatus::Blocked.into(), ..own };
    assert_eq!(state(&blocked).text, "own, blocked");
    let stale = proto::Customer { stale: true, sync_state: proto::SyncState::Synced.into(), ..customer() };
    assert_eq!(state(&stale), Cell::toned("synced, stale", Tone::Uneasy));
}
