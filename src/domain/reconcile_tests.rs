//! R1, R2, R8 and the return of a tombstone, one answer at a time and in any order.

use proptest::prelude::*;

use super::*;
use crate::clock::Timestamp;
use crate::domain::access::Enforcement;
use crate::domain::contact::Contact;
use crate::domain::customer::VisibleState;
use crate::domain::edit::{CustomerEdit, Wish};
use crate::domain::ids::{Epoch, TenantId, Ticket};
use crate::domain::likeness::Likeness;
use crate::domain::observation::ObservationMark;
use crate::domain::ownership::{Owner, Standing, owner};
use crate::domain::pause::{self, PauseReason, Verdict};
use crate::domain::removal::{RemovalEvidence, end, hold, stay};
use crate::domain::review::{Review, review};

const EARLY: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
const LATE: Timestamp = Timestamp::from_micros(1_700_000_060_000_000);
const COMPLETE: RemovalEvidence = RemovalEvidence { missing_runs: 2, removal_recorded: false, said_gone: true };

fn account() -> PartnerAccountId {
    "contoso".parse().expect("a well-formed id")
}

fn tenant() -> TenantId {
    "1b06e0a2-4f4a-4ae1-9c50-2f4a7c3d9e11".parse().expect("a well-formed id")
}

fn mark(epoch: i64, ticket: i64) -> ObservationMark {
    ObservationMark { epoch: Epoch(epoch), ticket: Ticket(ticket) }
}

fn profile(seed: &str) -> MicrosoftProfile {
    let members = ContactField::ALL.into_iter();
    MicrosoftProfile {
        company_name: format!("{seed} Ltd"),
        tenant_name: format!("{seed} tenant"),
        domain: format!("{seed}.example"),
        upstream_relationship: "reseller".to_owned(),
        contact: members.fold(Contact::default(), |contact, member| contact.with(member, format!("{seed} {member:?}"))),
    }
}

fn observation(mark: ObservationMark, observed: Observed) -> Observation {
    Observation { tenant_id: tenant(), mark, observed }
}

fn present(mark: ObservationMark, seed: &str) -> Observation {
    observation(mark, Observed::Present(profile(seed)))
}

/// A customer as its first observation, at ticket 10 of epoch 1, made it.
fn known() -> Customer {
    match plan(&account(), None, &present(mark(1, 10), "Ada"), EARLY).0 {
        Step::Create(customer) => *customer,
        other => panic!("must be new: {other:?}"),
    }
}

fn changed(local: &Customer, observation: &Observation) -> (Customer, Vec<Field>) {
    match plan(&account(), Some(local), observation, LATE).0 {
        Step::Change { before, after, changed } => {
            assert_eq!(&*before, local);
            (*after, changed)
        }
        other => panic!("must be a change: {other:?}"),
    }
}

fn link(customer: &Customer) -> &MicrosoftLink {
    customer.microsoft.as_ref().expect("a customer of Microsoft's")
}

fn allowed(customer: &Customer, wishes: Vec<Wish>) -> Customer {
    match review(customer, &CustomerEdit { wishes }, Enforcement::Refuse) {
        Review::Allowed(allowed) => allowed.after().clone(),
        other => panic!("must be allowed: {other:?}"),
    }
}

#[test]
fn a_first_observation_makes_a_microsoft_customer_whose_billing_is_its_primary_contact() {
    let customer = known();
    let seen = profile("Ada");
    assert_eq!((&customer.primary_contact, customer.billing_contact()), (&seen.contact, &seen.contact));
    assert_eq!((&customer.billing, billing_mirrors(&customer)), (&Billing::MirrorsPrimary, true));
    assert_eq!((&customer.company_name, &customer.domain), (&seen.company_name, &seen.domain));
    assert_eq!((&link(&customer).tenant_name, link(&customer).tenant_id), (&seen.tenant_name, tenant()));
    assert_eq!((link(&customer).relationship, link(&customer).sync_state), (Relationship::Active, SyncState::Synced));
    assert_eq!((link(&customer).mark, link(&customer).verified_at), (mark(1, 10), EARLY));
    assert_eq!(
        (customer.account, customer.revision, customer.status),
        (account(), Revision::FIRST, CustomerStatus::Active)
    );
}

#[test]
fn a_newer_observation_replaces_everything_partner_center_owns_and_nothing_else() {
    let local = known();
    let (after, fields) = changed(&local, &present(mark(1, 11), "Bob"));
    let owned: Vec<_> = Field::all()
        .filter(|field| owner(Standing::MicrosoftActive, *field) == Owner::PartnerCenter)
        .filter(|field| !matches!(field, Field::MicrosoftTenantId | Field::Relationship | Field::Resellers))
        .collect();
    assert_eq!(fields, owned);
    assert_eq!((&after.primary_contact, after.billing_contact()), (&profile("Bob").contact, &profile("Bob").contact));
    assert_eq!((after.id, after.revision, after.created_at), (local.id, local.revision, local.created_at));
    assert_eq!((link(&after).mark, link(&after).verified_at), (mark(1, 11), LATE));
}

#[test]
fn one_changed_member_is_one_change_of_both_contacts() {
    let local = known();
    let mut seen = profile("Ada");
    seen.contact.set(ContactField::Email, "");
    let (after, fields) = changed(&local, &observation(mark(1, 11), Observed::Present(seen)));
    let email = |role| Field::Contact(role, ContactField::Email);
    assert_eq!(fields, [email(ContactRole::Primary), email(ContactRole::Billing)]);
    assert_eq!(after.contact(ContactRole::Billing, ContactField::Email), "");
}

#[test]
fn an_older_or_equal_mark_of_any_answer_is_outdated() {
    let mut local = known();
    local.microsoft.as_mut().expect("a customer of Microsoft's").mark = mark(2, 5);
    let older = [mark(2, 5), mark(2, 4), mark(1, 5), mark(1, 99), mark(0, 1000)];
    let answers =
        [Observed::Present(profile("Old")), Observed::Unusable("x".to_owned()), Observed::Gone(GoneAnswer::NotFound)];
    for older in older {
        for answer in &answers {
            let plan = plan(&account(), Some(&local), &observation(older, answer.clone()), LATE);
            assert!(matches!(plan.step(), Step::Outdated), "{older:?} {plan:?}");
        }
    }
    for newer in [mark(2, 6), mark(3, 1)] {
        assert_eq!(link(&changed(&local, &present(newer, "New")).0).mark, newer);
    }
}

#[test]
fn an_agreeing_observation_only_verifies() {
    let local = known();
    let Step::Verify(after) = plan(&account(), Some(&local), &present(mark(1, 11), "Ada"), LATE).0 else {
        panic!("it agrees");
    };
    assert_eq!((link(&after).mark, link(&after).verified_at), (mark(1, 11), LATE));
    assert!(differences(&local, &after).is_empty());
}

#[test]
fn a_state_that_is_left_is_a_change_without_fields() {
    for state in [SyncState::Quarantined, SyncState::HeldForRemoval] {
        let mut local = known();
        local.microsoft.as_mut().expect("a customer of Microsoft's").sync_state = state;
        let (after, fields) = changed(&local, &present(mark(1, 11), "Ada"));
        assert_eq!((fields, link(&after).sync_state), (vec![], SyncState::Synced));
    }
}

#[test]
fn a_new_wording_of_the_relationship_is_kept() {
    let mut seen = profile("Ada");
    seen.upstream_relationship = "something new".to_owned();
    let (after, fields) = changed(&known(), &observation(mark(1, 11), Observed::Present(seen)));
    assert_eq!((fields, link(&after).upstream_relationship.as_str()), (vec![], "something new"));
}

#[test]
fn an_unusable_record_keeps_the_customer_as_it_is() {
    let local = known();
    let unusable = observation(mark(1, 11), Observed::Unusable("no country".to_owned()));
    match plan(&account(), Some(&local), &unusable, LATE).0 {
        Step::Quarantine(Some(kept), reason) => assert_eq!((*kept, reason.as_str()), (local, "no country")),
        other => panic!("must be quarantined: {other:?}"),
    }
    assert!(matches!(plan(&account(), None, &unusable, LATE).0, Step::Quarantine(None, _)));
}

#[test]
fn an_answer_that_it_is_gone_changes_nothing_by_itself() {
    let local = known();
    for answer in [GoneAnswer::NotFound, GoneAnswer::TenantNotFound, GoneAnswer::NoRelationship] {
        let gone = observation(mark(1, 11), Observed::Gone(answer));
        match plan(&account(), Some(&local), &gone, LATE).0 {
            Step::Gone(Some(kept), told) => assert_eq!((&*kept, told), (&local, answer)),
            other => panic!("must be evidence: {other:?}"),
        }
        assert!(matches!(plan(&account(), None, &gone, LATE).0, Step::Gone(None, _)));
    }
}

#[test]
fn a_tombstone_revives_with_the_same_id_and_billing_mirrors_again() {
    let local = known();
    let ended = end(&local, COMPLETE, mark(1, 11)).expect("the evidence is complete");
    assert_eq!(ended.after().primary_contact, local.primary_contact);
    let own = Wish::Contact(ContactRole::Billing, ContactField::Email, "own@example.com".to_owned());
    let edited = allowed(ended.after(), vec![own, Wish::Note("ours".to_owned())]);
    assert!(!billing_mirrors(&edited));
    let late = plan(&account(), Some(&edited), &present(mark(1, 11), "Late"), LATE);
    assert!(matches!(late.step(), Step::Outdated), "the answer that ended it is as new");
    let (back, fields) = changed(&edited, &present(mark(1, 12), "Ada"));
    assert_eq!((back.id, back.note.as_str(), &back.billing), (local.id, "ours", &Billing::MirrorsPrimary));
    assert_eq!((link(&back).relationship, link(&back).sync_state), (Relationship::Active, SyncState::Synced));
    assert_eq!(fields, [Field::Contact(ContactRole::Billing, ContactField::Email), Field::Relationship]);
}

#[test]
fn an_end_needs_complete_evidence_and_happens_once() {
    let local = known();
    assert!(end(&local, RemovalEvidence { missing_runs: 9, ..RemovalEvidence::default() }, mark(1, 11)).is_none());
    let ended = end(&local, COMPLETE, mark(1, 11)).expect("the evidence is complete");
    assert_eq!((ended.changed(), link(ended.after()).mark), (&[Field::Relationship][..], mark(1, 11)));
    assert!(end(ended.after(), COMPLETE, mark(1, 12)).is_none());
    assert!(hold(ended.after(), COMPLETE).is_none());
    let held = hold(&local, COMPLETE).expect("the evidence is complete");
    assert_eq!(
        (held.after().relationship(), link(held.after()).sync_state),
        (Some(Relationship::Active), SyncState::HeldForRemoval)
    );
    assert!(hold(held.after(), COMPLETE).is_none());
    assert!(end(held.after(), COMPLETE, mark(1, 11)).is_some());
    let kept = stay(held.after()).expect("it is held");
    assert_eq!((kept.after(), kept.changed()), (&local, &[][..]));
    assert!(stay(&local).is_none() && stay(ended.after()).is_none());
}

fn paused(local: &Customer) -> Customer {
    let reason = PauseReason::new("a dispute").expect("a sound reason");
    match pause::pause(local, "ops", reason, EARLY) {
        Verdict::Do(change) => change.after().clone(),
        other => panic!("it can be paused: {other:?}"),
    }
}

#[test]
fn no_answer_and_no_evidence_says_anything_of_a_paused_customer() {
    let paused = paused(&known());
    for observed in
        [Observed::Present(profile("Eve")), Observed::Unusable("x".to_owned()), Observed::Gone(GoneAnswer::NotFound)]
    {
        let plan = plan(&account(), Some(&paused), &observation(mark(2, 1), observed), LATE);
        assert!(matches!(plan.step(), Step::Paused), "{plan:?}");
    }
    assert!(end(&paused, COMPLETE, mark(2, 1)).is_none() && hold(&paused, COMPLETE).is_none());
    assert_eq!(paused.visible_state(), Some(VisibleState::Paused));
}

#[test]
fn a_pause_of_a_paused_customer_changes_nothing_but_the_reason_and_a_resume_leaves_what_was_there() {
    let local = known();
    let once = paused(&local);
    let reason = |text| PauseReason::new(text).expect("a sound reason");
    assert!(matches!(pause::pause(&once, "another", reason("a dispute"), LATE), Verdict::AlreadySo));
    let Verdict::Do(change) = pause::pause(&once, "another", reason("an audit"), LATE) else {
        panic!("another reason")
    };
    let pause = change.after().pause().expect("it is paused");
    assert_eq!((pause.by.as_str(), pause.since, pause.reason.as_str()), ("ops", EARLY, "an audit"));
    let Verdict::Do(change) = pause::resume(change.after()) else { panic!("it is paused") };
    assert_eq!(change.after(), &local);
    assert!(matches!(pause::resume(&local), Verdict::AlreadySo));
    let ended = end(&local, COMPLETE, mark(1, 11)).expect("the evidence is complete");
    assert!(matches!(pause::pause(ended.after(), "ops", reason("x"), LATE), Verdict::Ended));
    assert!(matches!(pause::resume(ended.after()), Verdict::AlreadySo));
}

#[test]
fn only_a_newcomer_that_looks_like_somebody_waits_for_a_decision() {
    let alike = || vec![Candidate { customer: CustomerId::mint(EARLY), likeness: Likeness::SameDomain }];
    let newcomer = || plan(&account(), None, &present(mark(1, 10), "Ada"), EARLY);
    assert!(matches!(newcomer().unless_alike(Vec::new()).step(), Step::Create(_)));
    let waits = newcomer().unless_alike(alike());
    assert!(
        matches!(waits.step(), Step::AwaitLink(customer, named) if customer.domain == "Ada.example" && named.len() == 1)
    );
    assert!(waits.newcomer().is_some());
    let known = known();
    for observed in [present(mark(1, 11), "Ada"), present(mark(1, 11), "Bob"), present(mark(1, 10), "Ada")] {
        let plan = plan(&account(), Some(&known), &observed, LATE);
        assert!(plan.newcomer().is_none());
        assert!(!matches!(plan.unless_alike(alike()).step(), Step::AwaitLink(..) | Step::Create(_)));
    }
}

#[test]
fn labels_note_reference_and_status_survive_every_observation() {
    let ours = vec![
        Wish::Note("ours".to_owned()),
        Wish::Label("team".to_owned(), Some("north".to_owned())),
        Wish::ExternalReference("crm-7".to_owned()),
        Wish::Status(CustomerStatus::Blocked),
    ];
    let local = allowed(&known(), ours);
    let (after, _) = changed(&local, &present(mark(1, 11), "Bob"));
    let ours = |customer: &Customer| {
        (customer.note.clone(), customer.labels.clone(), customer.external_reference.clone(), customer.status)
    };
    assert_eq!(ours(&after), ours(&local));
}

/// One thing that happens to a customer.
#[derive(Clone, Debug)]
enum Event {
    Seen(ObservationMark, u8),
    Unusable(ObservationMark),
    Gone(ObservationMark),
    Edited(Vec<Wish>),
}

fn any_event() -> impl Strategy<Value = Event> {
    let mark = || (1_i64..4, 1_i64..20).prop_map(|(epoch, ticket)| mark(epoch, ticket));
    let member = proptest::sample::select(ContactField::ALL.to_vec());
    let role = prop_oneof![Just(ContactRole::Primary), Just(ContactRole::Billing)];
    let wish = prop_oneof![
        (role, member, "[a-z]{0,4}").prop_map(|(role, member, value)| Wish::Contact(role, member, value)),
        Just(Wish::BillingMirrorsPrimary),
        "[a-z]{0,4}".prop_map(Wish::CompanyName),
        "[a-z]{0,4}".prop_map(Wish::TenantName),
        "[a-z]{0,4}".prop_map(Wish::Note),
        Just(Wish::Status(CustomerStatus::Blocked)),
    ];
    prop_oneof![
        4 => (mark(), 0_u8..4).prop_map(|(mark, seed)| Event::Seen(mark, seed)),
        1 => mark().prop_map(Event::Unusable),
        1 => mark().prop_map(Event::Gone),
        4 => proptest::collection::vec(wish, 1..4).prop_map(Event::Edited),
    ]
}

/// What the store keeps of a plan.
fn kept(local: &Customer, observation: &Observation) -> Customer {
    match plan(&account(), Some(local), observation, LATE).0 {
        Step::Change { after, .. } | Step::Verify(after) => *after,
        Step::Outdated | Step::Paused | Step::Create(_) | Step::AwaitLink(..) | Step::Quarantine(..) => local.clone(),
        Step::Gone(..) => {
            let mut local = local.clone();
            if let Some(link) = &mut local.microsoft {
                link.mark = observation.mark;
            }
            local
        }
    }
}

proptest! {
    #[test]
    fn partner_centers_fields_are_those_of_the_newest_applied_observation(events in proptest::collection::vec(any_event(), 0..30)) {
        let mut local = known();
        let mut newest = mark(1, 10);
        let mut shown = profile("Ada");
        let mut note = String::new();
        for event in events {
            let observation = match event {
                Event::Seen(mark, seed) => {
                    if mark > newest {
                        newest = mark;
                        shown = profile(&format!("c{seed}"));
                    }
                    present(mark, &format!("c{seed}"))
                }
                Event::Unusable(mark) => observation(mark, Observed::Unusable("x".to_owned())),
                Event::Gone(mark) => {
                    newest = newest.max(mark);
                    observation(mark, Observed::Gone(GoneAnswer::NotFound))
                }
                Event::Edited(wishes) => {
                    if let Review::Allowed(allowed) = review(&local, &CustomerEdit { wishes }, Enforcement::Refuse) {
                        local = allowed.after().clone();
                        note = local.note.clone();
                    }
                    continue;
                }
            };
            local = kept(&local, &observation);
            prop_assert_eq!(link(&local).mark, newest);
            prop_assert_eq!((&local.primary_contact, &local.company_name), (&shown.contact, &shown.company_name));
            prop_assert_eq!((&link(&local).tenant_name, &local.domain), (&shown.tenant_name, &shown.domain));
            prop_assert!(billing_mirrors(&local) && local.billing == Billing::MirrorsPrimary);
            prop_assert_eq!((local.relationship(), &local.note), (Some(Relationship::Active), &note));
        }
    }

    #[test]
    fn the_order_in_which_answers_arrive_does_not_matter(marks in proptest::collection::vec((1_i64..5, 1_i64..50), 1..10), turn in 0_usize..10) {
        let seen = |(epoch, ticket): &(i64, i64)| present(mark(*epoch + 1, *ticket), &format!("{epoch}-{ticket}"));
        let mut other = marks.clone();
        other.rotate_left(turn % marks.len());
        let end_of = |marks: &[(i64, i64)]| marks.iter().fold(known(), |local, mark| kept(&local, &seen(mark)));
        let (left, right) = (end_of(&marks), end_of(&other));
        prop_assert_eq!((left.primary_contact, left.microsoft), (right.primary_contact, right.microsoft));
    }
}
