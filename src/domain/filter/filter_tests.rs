use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::domain::contact::Contact;
use crate::domain::customer::{CustomerStatus, MicrosoftLink, Relationship, SyncState};
use crate::domain::ids::{Epoch, Revision, Ticket};
use crate::domain::observation::ObservationMark;
use crate::domain::reseller::Reseller;

const PLATFORM_NAME: &str = "partnerAccounts/contoso/customers/01890000-0000-7000-8000-000000000001";

/// 2026-01-01T00:00:00Z.
const NEW_YEAR: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

fn platform() -> Customer {
    let primary = Contact::default()
        .with(ContactField::Email, "Ada@example.com")
        .with(ContactField::City, "R\u{12b}ga")
        .with(ContactField::FirstName, "Ada");
    Customer {
        id: "01890000-0000-7000-8000-000000000001".parse().expect("a well-formed id"),
        account: "contoso".parse().expect("a well-formed id"),
        revision: Revision::FIRST,
        company_name: "Linden Bakery".to_owned(),
        domain: "linden.example".to_owned(),
        billing: Billing::Own(Contact::default().with(ContactField::Email, "pay@example.com")),
        primary_contact: primary,
        external_reference: "CRM-7".to_owned(),
        labels: BTreeMap::from([("team".to_owned(), "north".to_owned()), ("cost-center".to_owned(), String::new())]),
        note: "two\nlines".to_owned(),
        status: CustomerStatus::Active,
        microsoft: None,
        created_at: NEW_YEAR,
        updated_at: NEW_YEAR.plus(Duration::from_secs(60)),
        deleted_at: None,
    }
}

fn microsoft() -> Customer {
    Customer {
        billing: Billing::MirrorsPrimary,
        labels: BTreeMap::new(),
        microsoft: Some(MicrosoftLink {
            tenant_id: "0000aaaa-aaaa-4bbb-8ccc-0123456789ab".parse().expect("a well-formed id"),
            tenant_name: "Linden tenant".to_owned(),
            relationship: Relationship::Active,
            upstream_relationship: "reseller".to_owned(),
            resellers: vec![Reseller {
                tenant_id: RESELLER.parse().expect("a well-formed id"),
                display_name: "Adatum".to_owned(),
                mpn_id: "4700001".to_owned(),
            }],
            sync_state: SyncState::HeldForRemoval,
            paused: None,
            verified_at: NEW_YEAR,
            provenance: Default::default(),
            mark: ObservationMark { epoch: Epoch(1), ticket: Ticket(1) },
        }),
        ..platform()
    }
}

const RESELLER: &str = "77777777-0000-4000-8000-000000000001";

#[test]
fn a_customer_is_found_by_the_reseller_that_serves_it() {
    let upper = RESELLER.to_uppercase();
    for path in ["reseller", "resellers", "resellers.microsoft_tenant_id"] {
        for term in [format!("{path} = \"{RESELLER}\""), format!("{path}:{upper}"), format!("{path}:*")] {
            assert!(matches(&term, &microsoft()), "{term}");
            assert!(!matches(&term, &platform()), "{term}");
            assert!(matches(&format!("NOT {term}"), &platform()), "{term}");
        }
        let others = format!("{path} != \"{RESELLER}\"");
        assert!(matches(&others, &platform()) && !matches(&others, &microsoft()));
        assert!(!matches(&format!("{path} = 77777777-0000-4000-8000-000000000002"), &microsoft()));
    }
    assert_eq!(problems("reseller = Adatum")[0].0, 11);
    assert!(problems("reseller > \"a\"")[0].1.contains("no order"));
    assert!(!problems("resellers.display_name = Adatum").is_empty());
}

fn matches(filter: &str, customer: &Customer) -> bool {
    Filter::parse(filter).unwrap_or_else(|problems| panic!("{filter}: {problems:?}")).matches(customer)
}

fn problems(filter: &str) -> Vec<(usize, String)> {
    let problems = Filter::parse(filter).expect_err(&filter.chars().take(80).collect::<String>());
    problems.into_iter().map(|problem| (problem.position, problem.description)).collect()
}

fn positions(filter: &str) -> Vec<usize> {
    problems(filter).into_iter().map(|(position, _)| position).collect()
}

#[test]
fn a_platform_customer_matches_what_is_so() {
    let is_name = format!("name = {PLATFORM_NAME}");
    let so = [
        "",
        "  ",
        &is_name,
        "source = PLATFORM",
        "source:SOURCE_PLATFORM",
        "source != MICROSOFT",
        "company_name = \"Linden Bakery\"",
        "company_name = 'Linden*'",
        "company_name = \"*Bakery\"",
        "company_name = \"*den*\"",
        "company_name != \"linden*\"",
        "company_name:BAKERY",
        "company_name > Linden AND company_name < Linder",
        "company_name >= \"Linden Bakery\" company_name <= \"Linden Bakery\"",
        "domain = linden.example",
        "domain:*",
        "primary_contact.address.city = \"Ri\u{304}ga\"",
        "NOT primary_contact.address.country:*",
        "billing_contact.email = pay@example.com",
        "billing_contact.first_name = \"\"",
        "billing_mirrors_primary = false",
        "-billing_mirrors_primary:*",
        "labels:team",
        "labels:*",
        "labels.team = north",
        "labels.cost-center:* AND labels.\"cost-center\" = \"\"",
        "labels.other = \"\" AND NOT labels.other:* AND labels.other != north",
        "note:LINES",
        "note = \"two\\nlines\"",
        "status = CUSTOMER_STATUS_ACTIVE",
        "status:*",
        "create_time = \"2026-01-01T02:00:00+02:00\"",
        "create_time < \"2026-01-01T00:00:00.000001Z\"",
        "update_time >= \"2026-01-01T00:01:00Z\"",
        "linden",
        "ada@EXAMPLE.com crm \"bakery\"",
        // OR binds tighter than AND.
        "note:nothing AND note:lines OR note:two OR note:lines -note:lines OR NOT note:nothing",
    ];
    let last = so.len() - 1;
    for (number, filter) in so.into_iter().enumerate() {
        assert_eq!(matches(filter, &platform()), number != last, "{filter}");
    }
}

#[test]
fn an_absent_value_is_the_empty_text_the_unspecified_word_and_no_time() {
    let absent = [
        "tenant_name = \"\"",
        "NOT tenant_name:*",
        "tenant_name < a",
        "microsoft_tenant_id != \"0000aaaa*\"",
        "relationship = UNSPECIFIED",
        "relationship = RELATIONSHIP_UNSPECIFIED",
        "relationship != ACTIVE",
        "NOT relationship:*",
        "sync_state = UNSPECIFIED",
        "NOT verified_at:*",
        "verified_at != \"2026-01-01T00:00:00Z\"",
        "NOT verified_at < \"2030-01-01T00:00:00Z\"",
        "NOT verified_at >= \"2000-01-01T00:00:00Z\"",
    ];
    for filter in absent {
        assert!(matches(filter, &platform()), "{filter}");
    }
}

#[test]
fn a_microsoft_customer_matches_what_is_so() {
    let so = [
        "source = MICROSOFT relationship = ACTIVE sync_state = SYNC_STATE_HELD_FOR_REMOVAL",
        "microsoft_tenant_id = 0000AAAA-aaaa-4bbb-8ccc-0123456789AB",
        "tenant_name:tenant upstream_relationship = reseller",
        "billing_mirrors_primary = true billing_contact.email = Ada@example.com",
        "verified_at:* verified_at <= \"2026-01-01T00:00:00Z\"",
        "NOT labels:*",
    ];
    for filter in so {
        assert!(matches(filter, &microsoft()), "{filter}");
    }
}

#[test]
fn every_field_is_told_from_every_other() {
    let mut customer = microsoft();
    for (number, field) in TextField::all().enumerate() {
        let value = format!("value {number}");
        match field {
            TextField::Contact(ContactRole::Primary, member) => customer.primary_contact.set(member, value),
            TextField::Contact(ContactRole::Billing, member) => match &mut customer.billing {
                Billing::MirrorsPrimary => {
                    customer.billing = Billing::Own(Contact::default().with(member, value));
                }
                Billing::Own(contact) => contact.set(member, value),
            },
            _ => {}
        }
    }
    for (number, field) in TextField::all().enumerate() {
        if matches!(field, TextField::Contact(..)) {
            assert!(matches(&format!("{field} = \"value {number}\""), &customer), "{field}");
        }
    }
}

#[test]
fn all_problems_of_a_well_formed_filter_are_told_at_once_where_they_are() {
    let filter = "compny = \"(x\" AND (status = \"RED\" OR -create_time > yesterday) NOT relationship < ACTIVE ok";
    assert_eq!(positions(filter), [0, 28, 52, 67], "{:?}", problems(filter));
    let filter = "\"Ā (\" f(x, \"), y\") = 1 labels.Bad = 1 note = (a OR b) note = f(x) linden.example";
    assert_eq!(positions(filter), [6, 23, 45, 61], "{:?}", problems(filter));
}

#[test]
fn what_could_mean_two_things_or_nothing_is_refused_where_it_is() {
    let refused = [
        ("company_name = \"*\"", 15),
        ("company_name = **", 15),
        ("company_name:\"\"", 13),
        ("company_name:Lin*", 13),
        ("company_name", 0),
        ("labels", 0),
        ("Lin*", 0),
        ("\"\"", 0),
        ("etag = 1", 0),
        ("primary_contact:*", 0),
        ("\"company_name\" = 1", 0),
        ("labels = x", 0),
        ("labels:Team", 7),
        ("name:*", 0),
        ("name = contoso", 7),
        ("name < \"partnerAccounts/contoso/customers/01890000-0000-7000-8000-000000000001\"", 0),
        ("source > PLATFORM", 0),
        ("source = platform", 9),
        ("source = STATUS_ACTIVE", 9),
        ("billing_mirrors_primary = yes", 26),
        ("billing_mirrors_primary < true", 0),
        ("create_time = \"2026-01-01\"", 14),
        ("create_time = \"0000-12-31T00:00:00Z\"", 14),
        ("create_time = \"9999-12-31T23:59:59-01:00\"", 14),
        ("create_time > 2026-01-01T00:00:00Z", 27),
        ("note = a.\"b\"", 7),
        ("note = ", 7),
        ("note = \"open", 7),
        ("(note = a", 9),
        ("note = a)", 8),
        ("AND note = a", 0),
        ("note = \"a\u{0}b\"", 9),
    ];
    for (filter, position) in refused {
        assert_eq!(positions(filter), [position], "{filter}: {:?}", problems(filter));
    }
}

#[test]
fn a_filter_has_bounds_and_is_refused_where_it_passes_them() {
    let nested = |depth: usize| format!("{}note = a{}", "NOT (".repeat(depth), ")".repeat(depth));
    assert!(Filter::parse(&nested(DEPTH_MAX)).is_ok());
    assert_eq!(positions(&nested(DEPTH_MAX + 1)), [DEPTH_MAX * 5 + 4]);
    let terms = |count: usize| vec!["note:a"; count].join(" ");
    assert!(Filter::parse(&terms(TERMS_MAX)).is_ok());
    assert_eq!(positions(&terms(TERMS_MAX + 1)), [TERMS_MAX * 7]);
    assert_eq!(positions(&terms(TERMS_MAX + 90)), [TERMS_MAX * 7]);
    let long = |length: usize| format!("note = \"{}\"", "\u{101}".repeat(length - 9));
    assert!(Filter::parse(&long(LENGTH_MAX)).is_ok());
    assert_eq!(positions(&long(LENGTH_MAX + 1)), [LENGTH_MAX]);
}

#[test]
fn hostile_filters_are_refused_at_once() {
    let hostile = [
        "(".repeat(100_000),
        "NOT (".repeat(100_000),
        "NOT ".repeat(500),
        "f(".repeat(1_000),
        "-".repeat(2_000),
        "x.".repeat(1_000),
        "a OR ".repeat(400),
        "\"".repeat(1_999),
        "\\".repeat(2_001),
        "\u{1f35e}".repeat(1_000_000),
        "\u{0}".repeat(10),
        "note = \u{1b}[31m".to_owned(),
    ];
    for filter in hostile {
        let began = Instant::now();
        let refused = Filter::parse(&filter).is_err();
        let shown: String = filter.chars().take(20).collect();
        // A run of backslashes or hyphens is a word like any other.
        assert!(refused || filter.starts_with(['\\', '-']), "{shown}");
        assert!(began.elapsed() < Duration::from_secs(1), "{shown}");
    }
}

#[test]
fn a_filter_prints_nothing_of_itself_unasked() {
    let filter = Filter::parse("primary_contact.email = ada@example.com").expect("a sound filter");
    assert_eq!(format!("{filter:?}"), "Filter(redacted)");
    assert_eq!(filter.to_string(), "primary_contact.email = \"ada@example.com\"");
}

#[test]
fn problems_never_quote_the_filter() {
    for filter in ["secret = 1", "labels.Secret = 1", "status = secret", "create_time = secret", "name = secret"] {
        for (_, description) in problems(filter) {
            assert!(!description.to_lowercase().contains("secret"), "{description}");
        }
    }
}

proptest! {
    /// Of anything, also of what looks like a filter.
    #[test]
    fn parsing_never_panics_and_every_problem_is_in_the_text(
        filter in prop_oneof![
            any::<String>(),
            proptest::collection::vec(
                prop_oneof![
                    proptest::sample::select(vec![
                        "note", "labels", ".", "=", "!=", ":", "<", "(", ")", ")", "\"", "'", "\\", "*", "AND ", "OR ",
                        " NOT ", "-", " ", ",", "1", "x", "status", "\u{101}", "create_time", " AND",
                    ]).prop_map(str::to_owned),
                    "\\PC",
                ],
                0..40,
            ).prop_map(|parts| parts.concat()),
        ]
    ) {
        match Filter::parse(&filter) {
            Ok(parsed) => {
                let again = Filter::parse(&parsed.to_string());
                prop_assert_eq!(again.map(|again| again.root), Ok(parsed.root));
            }
            Err(problems) => {
                let length = filter.chars().count();
                prop_assert!(!problems.is_empty());
                prop_assert!(problems.iter().all(|problem| problem.position <= length), "{:?}", problems);
                prop_assert!(problems.is_sorted_by_key(|problem| problem.position), "{:?}", problems);
            }
        }
    }
}
