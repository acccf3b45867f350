//! What holds for any customer and any edit.

use proptest::prelude::*;

use super::*;
use crate::domain::reconcile::differences;

fn any_member() -> impl Strategy<Value = ContactField> {
    proptest::sample::select(ContactField::ALL.to_vec())
}

fn any_value(member: ContactField) -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0_usize..3).prop_map(move |number| value_of(member, number)),
        1 => Just(String::new()),
        1 => (0_usize..3).prop_map(move |number| format!("  {}", value_of(member, number).to_uppercase())),
        1 => "\\PC{0,12}",
    ]
}

fn any_contact_wish() -> impl Strategy<Value = Wish> {
    (prop_oneof![Just(ContactRole::Primary), Just(ContactRole::Billing)], any_member())
        .prop_flat_map(|(role, member)| any_value(member).prop_map(move |value| Wish::Contact(role, member, value)))
}

fn any_wish() -> impl Strategy<Value = Wish> {
    let text = || prop_oneof!["[a-z]{0,3}", "\\PC{0,8}", Just("Linden Cafe\u{301}".to_owned())];
    prop_oneof![
        8 => any_contact_wish(),
        1 => Just(Wish::BillingMirrorsPrimary),
        1 => text().prop_map(Wish::CompanyName),
        1 => prop_oneof![Just("linden.EXAMPLE".to_owned()), Just("other.example".to_owned()), text()].prop_map(Wish::Domain),
        1 => text().prop_map(Wish::TenantName),
        1 => prop_oneof![Just(TENANT.to_uppercase()), text()].prop_map(Wish::MicrosoftTenantId),
        1 => prop_oneof![Just(Source::Platform), Just(Source::Microsoft)].prop_map(Wish::Source),
        1 => prop_oneof![Just(WishedRelationship::Active), Just(WishedRelationship::Ended)].prop_map(Wish::Relationship),
        1 => text().prop_map(Wish::ExternalReference),
        1 => text().prop_map(Wish::Note),
        1 => ("[a-c]", proptest::option::of("[xy]")).prop_map(|(key, value)| Wish::Label(key, value)),
        1 => prop_oneof![Just(CustomerStatus::Active), Just(CustomerStatus::Blocked)].prop_map(Wish::Status),
    ]
}

fn any_contact() -> impl Strategy<Value = Contact> {
    proptest::collection::vec(0_usize..3, ContactField::ALL.len()).prop_map(|numbers| {
        let pairs = ContactField::ALL.into_iter().zip(numbers);
        pairs.fold(Contact::default(), |contact, (member, number)| contact.with(member, value_of(member, number)))
    })
}

fn any_customer() -> impl Strategy<Value = Customer> {
    (proptest::sample::select(STANDINGS.to_vec()), any_contact(), proptest::option::of(any_contact())).prop_map(
        |(standing, primary_contact, own)| {
            let own = own.filter(|_| standing != Standing::MicrosoftActive);
            Customer {
                primary_contact,
                billing: own.map_or(Billing::MirrorsPrimary, Billing::Own),
                ..customer(standing)
            }
        },
    )
}

/// Wishes as a mask makes them: every leaf at most once, and `billing_contact` whole or by its leaves.
fn any_edit() -> impl Strategy<Value = CustomerEdit> {
    proptest::collection::vec(any_wish(), 0..8).prop_map(|wishes| {
        let mut kept: Vec<Wish> = Vec::new();
        for wish in wishes {
            let clashes = |other: &Wish| {
                other.field() == wish.field()
                    || matches!((other, &wish), (Wish::BillingMirrorsPrimary, Wish::Contact(ContactRole::Billing, ..)))
                    || matches!((&wish, other), (Wish::BillingMirrorsPrimary, Wish::Contact(ContactRole::Billing, ..)))
            };
            if !kept.iter().any(clashes) {
                kept.push(wish);
            }
        }
        CustomerEdit { wishes: kept }
    })
}

fn sorted(fields: &[Field]) -> Vec<Field> {
    let mut fields = fields.to_vec();
    fields.sort();
    fields
}

proptest! {
    #[test]
    fn an_allowed_edit_never_changes_what_partner_center_owns(customer in any_customer(), edit in any_edit()) {
        let standing = Standing::of(customer.source(), customer.relationship());
        if let Review::Allowed(allowed) = review(&customer, &edit, Enforcement::Refuse) {
            for field in differences(&customer, allowed.after()) {
                prop_assert_eq!(owner(standing, field), Owner::Platform, "{}", field);
            }
            prop_assert_eq!(&allowed.after().microsoft, &customer.microsoft);
            let kept = |customer: &Customer| (customer.id, customer.account.clone(), customer.revision, customer.created_at);
            prop_assert_eq!(kept(allowed.after()), kept(&customer));
            prop_assert_eq!(allowed.before(), &customer);
        }
    }

    #[test]
    fn reporting_decides_as_refusing_does_and_changes_only_what_is_free(customer in any_customer(), edit in any_edit()) {
        let standing = Standing::of(customer.source(), customer.relationship());
        match (review(&customer, &edit, Enforcement::Refuse), review(&customer, &edit, Enforcement::ReportOnly)) {
            (Review::Refused(refused), Review::Reported(allowed, reported)) => {
                prop_assert_eq!(refused, reported);
                for field in differences(&customer, allowed.after()) {
                    prop_assert_eq!(owner(standing, field), Owner::Platform, "{}", field);
                }
                prop_assert_eq!(&allowed.after().microsoft, &customer.microsoft);
            }
            (Review::Allowed(refusing), Review::Allowed(reporting)) => prop_assert_eq!(refusing.after(), reporting.after()),
            (Review::Refused(_) | Review::Invalid(_), Review::Invalid(_)) => {}
            (refusing, reporting) => return Err(TestCaseError::fail(format!("{refusing:?} {reporting:?}"))),
        }
    }

    #[test]
    fn a_refusal_names_only_guarded_fields_and_offers_only_free_ones(customer in any_customer(), edit in any_edit()) {
        let standing = Standing::of(customer.source(), customer.relationship());
        if let Review::Refused(refusal) = review(&customer, &edit, Enforcement::Refuse) {
            prop_assert!(refusal.violations.iter().all(|one| owner(standing, one.field) == Owner::PartnerCenter));
            prop_assert!(refusal.acceptable.iter().all(|field| owner(standing, *field) == Owner::Platform));
        }
    }

    #[test]
    fn what_changed_is_what_a_reader_sees_to_differ(customer in any_customer(), edit in any_edit()) {
        if let Review::Allowed(allowed) = review(&customer, &edit, Enforcement::Refuse) {
            prop_assert_eq!(sorted(allowed.changed()), sorted(&differences(&customer, allowed.after())));
        }
    }

    #[test]
    fn the_result_of_an_edit_reviewed_again_is_no_edit(customer in any_customer(), edit in any_edit()) {
        if let Review::Allowed(first) = review(&customer, &edit, Enforcement::Refuse) {
            let after = first.after();
            let wishes = Field::all().filter_map(|field| same(after, field)).collect();
            let Review::Allowed(second) = review(after, &CustomerEdit { wishes }, Enforcement::Refuse) else {
                return Err(TestCaseError::fail("its own values are refused"));
            };
            prop_assert_eq!(second.changed(), &[][..]);
            prop_assert_eq!(second.after(), after);
        }
    }

    #[test]
    fn the_same_edit_again_is_no_edit(customer in any_customer(), edit in any_edit()) {
        // Except one: a billing value named as it is follows a primary value that changes (R4, R7), and is then
        // named as it was.
        let of = |role| edit.wishes.iter().any(|wish| matches!(wish, Wish::Contact(named, ..) if *named == role));
        let mirrors = customer.billing == Billing::MirrorsPrimary;
        prop_assume!(!(mirrors && of(ContactRole::Primary) && of(ContactRole::Billing)));
        if let Review::Allowed(first) = review(&customer, &edit, Enforcement::Refuse) {
            let Review::Allowed(second) = review(first.after(), &edit, Enforcement::Refuse) else {
                return Err(TestCaseError::fail("what was allowed is refused"));
            };
            prop_assert_eq!(second.changed(), &[][..]);
        }
    }
}
