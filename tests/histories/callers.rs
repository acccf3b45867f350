//! What callers do: read, edit, create, delete, repeat themselves. Every answer is foretold and held against what is stored.

use std::time::Duration;

use customer_guard::clock::Timestamp;
use customer_guard::domain::access::Enforcement;
use customer_guard::domain::contact::{ContactField, ContactRole};
use customer_guard::domain::create::CustomerDraft;
use customer_guard::domain::customer::{Customer, Source};
use customer_guard::domain::edit::{CustomerEdit, Wish};
use customer_guard::domain::ids::{CustomerId, RequestId, Revision, Version};
use customer_guard::domain::ownership::{Owner, Standing, owner};
use customer_guard::domain::text::tidy;
use customer_guard::operations::create_customer::{CreateCustomer, CreateCustomerError, WriteMode, create_customer};
use customer_guard::operations::delete_customer::{DeleteCustomer, DeleteCustomerError, Direction, delete_customer};
use customer_guard::operations::once::{Once, Outcome};
use customer_guard::operations::update_customer::{EditOutcome, UpdateCustomer, UpdateCustomerError, update_customer};
use customer_guard::store::RequestKey;

use crate::history::{Content, Manner, Seen, Who};
use crate::truth::{Own, Record, Written};
use crate::world::{FORBIDDEN, World, caller};

/// An edit with a request id, and what became of it.
#[derive(Clone, Debug)]
pub struct Remembered {
    key: RequestKey,
    id: CustomerId,
    expected: Option<Revision>,
    wishes: Vec<Wish>,
    answer: Vec<u8>,
    at: Timestamp,
}

type Edited = Result<Outcome<EditOutcome>, UpdateCustomerError>;

fn kept(outcome: &EditOutcome) -> Vec<u8> {
    format!("{outcome:?}").into_bytes()
}

/// Whether a wish would change the record.
fn changes(customer: &Customer, wish: &Wish) -> bool {
    match wish {
        Wish::Contact(role, member, text) => customer.contact(*role, *member) != tidy(text),
        Wish::CompanyName(text) => customer.company_name != tidy(text),
        Wish::Domain(text) => customer.domain != tidy(text).to_lowercase(),
        Wish::Note(text) => customer.note != tidy(text),
        Wish::Label(key, value) => customer.labels.get(key) != value.as_ref(),
        other => panic!("no history wishes {other:?}"),
    }
}

fn is_guarded(customer: &Customer, wish: &Wish) -> bool {
    let standing = Standing::of(customer.source(), customer.relationship());
    changes(customer, wish) && wish.field().is_some_and(|field| owner(standing, field) == Owner::PartnerCenter)
}

impl World {
    pub async fn stored(&self, id: CustomerId) -> Customer {
        self.store().customer(&self.account, id).await.expect("an answer").expect("a record is never lost")
    }

    async fn decisions(&mut self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM decision").fetch_one(&mut self.shell).await.expect("a count")
    }

    pub async fn read(&mut self, who: Who) {
        let Some(id) = self.truth.record(who) else { return };
        let view = self.stored(id).await;
        self.views.insert(id, view);
    }

    async fn ask(
        &self,
        id: CustomerId,
        expected: Option<Revision>,
        wishes: &[Wish],
        manner: Manner,
        key: Option<&RequestKey>,
    ) -> Edited {
        let enforcement = match manner {
            Manner::Refused => Enforcement::Refuse,
            Manner::Reported => Enforcement::ReportOnly,
        };
        let request = UpdateCustomer {
            account: self.account.clone(),
            id,
            expected: expected.map(|revision| Version { revision, changed_at: None }),
            edit: CustomerEdit { wishes: wishes.to_vec() },
            mode: WriteMode::Write,
        };
        let once = key.map(|key| Once { key: key.clone(), answer: &kept });
        update_customer(self.store(), &self.accounts, &caller(enforcement), request, once).await
    }

    /// Edits, and holds what comes of it against what must.
    async fn edit(&mut self, id: CustomerId, expected: Option<Revision>, wishes: Vec<Wish>, manner: Manner) {
        let before = self.stored(id).await;
        let decisions = self.decisions().await;
        let key = RequestKey {
            caller: caller(Enforcement::Refuse).subject,
            id: request_id(self.step),
            fingerprint: self.step.to_string().into_bytes(),
        };
        let edited = self.ask(id, expected, &wishes, manner, Some(&key)).await;
        let after = self.stored(id).await;
        let decided = self.decisions().await - decisions;
        let guarded = wishes.iter().any(|wish| is_guarded(&before, wish));
        let is_stale = expected.is_some_and(|expected| expected != before.revision);
        let (outcome, left) = match (&edited, is_stale, before.deleted_at.is_some(), guarded, manner) {
            (Err(UpdateCustomerError::Stale(..)), true, ..)
            | (Err(UpdateCustomerError::CustomerDeleted(..)), false, true, ..) => (None, 0),
            (Err(UpdateCustomerError::Duplicate(_, there)), false, false, ..) => {
                let there = self.stored(*there).await;
                assert_eq!(there.source(), Source::Microsoft, "{id} is no second record of {there:?}");
                (None, 0)
            }
            (Ok(Outcome::Now(EditOutcome::Refused(refused))), false, false, true, Manner::Refused) => {
                assert!(refused.decision.is_some(), "{refused:?}");
                (Some(before.clone()), 1)
            }
            (Ok(Outcome::Now(EditOutcome::Reported(saved, refused))), false, false, true, Manner::Reported) => {
                assert!(refused.decision.is_some(), "{refused:?}");
                (Some(saved.as_ref().clone()), 1)
            }
            (Ok(Outcome::Now(EditOutcome::Saved(saved))), false, false, false, _) => (Some(saved.as_ref().clone()), 0),
            _ => panic!(
                "an edit (stale {is_stale}, guarded {guarded}, {manner:?}) of {before:?} by {wishes:?} came to {edited:?}"
            ),
        };
        assert_eq!(decided, left, "decisions left by an edit that came to {edited:?}");
        match &outcome {
            None => assert_eq!(after, before, "an edit that failed changed something"),
            Some(told) => assert_eq!(&after, told, "a caller was told something else than is stored"),
        }
        let Ok(Outcome::Now(outcome)) = edited else { return };
        if !matches!(outcome, EditOutcome::Refused(_)) {
            for wish in &wishes {
                assert!(is_guarded(&before, wish) || !changes(&after, wish), "{wish:?} is not in {after:?}");
            }
            self.wrote(&after);
        }
        let answer = kept(&outcome);
        let at = self.clock.now();
        self.remembered = Some(Remembered { key, id, expected, wishes, answer, at });
    }

    /// Remembers what a caller was told is stored.
    pub fn wrote(&mut self, saved: &Customer) {
        let is_ours =
            matches!(Standing::of(saved.source(), saved.relationship()), Standing::Platform | Standing::MicrosoftEnded);
        let record = self.truth.records.entry(saved.id).or_default();
        record.label = saved.labels.get("own").cloned();
        record.note.clone_from(&saved.note);
        record.written = is_ours.then(|| Written::of(saved));
    }

    fn seen_revision(&self, id: CustomerId, seen: Seen) -> Option<Revision> {
        match seen {
            Seen::Unsaid => None,
            Seen::Said => self.views.get(&id).map(|view| view.revision),
        }
    }

    pub async fn edit_guarded(&mut self, who: Who, field: usize, manner: Manner, seen: Seen) {
        let Some(id) = self.truth.record(who) else { return };
        let text = format!("{FORBIDDEN}{}", self.step);
        let contact = |role, member, text: &str| Wish::Contact(role, member, text.to_owned());
        let wish = match field {
            0 => contact(ContactRole::Primary, ContactField::Email, &format!("{text}@caller.example")),
            1 => contact(ContactRole::Billing, ContactField::Email, &format!("{text}@caller.example")),
            2 => contact(ContactRole::Primary, ContactField::FirstName, &text),
            3 => contact(ContactRole::Billing, ContactField::City, &text),
            4 => contact(ContactRole::Billing, ContactField::LastName, &text),
            5 => Wish::CompanyName(text),
            _ => Wish::Domain(format!("{text}.example")),
        };
        let expected = self.seen_revision(id, seen);
        self.edit(id, expected, vec![wish], manner).await;
    }

    /// Sends a whole customer back, as it was when it was read.
    pub async fn edit_whole(&mut self, who: Who, manner: Manner, seen: Seen) {
        let Some(id) = self.truth.record(who) else { return };
        let current = self.stored(id).await;
        let view = self.views.get(&id).unwrap_or(&current);
        let mut edit = CustomerEdit::default();
        edit.wish(Wish::CompanyName(view.company_name.clone()));
        edit.wish(Wish::Domain(view.domain.clone()));
        edit.replace_contact(ContactRole::Primary, &view.primary_contact);
        edit.replace_contact(ContactRole::Billing, view.billing_contact());
        edit.wish(Wish::Note(format!("note {}", self.step)));
        let expected = self.seen_revision(id, seen);
        self.edit(id, expected, edit.wishes, manner).await;
    }

    pub async fn edit_own(&mut self, who: Who) {
        let Some(id) = self.truth.record(who) else { return };
        self.edit(id, None, vec![Wish::Label("own".to_owned(), Some(self.step.to_string()))], Manner::Refused).await;
    }

    /// A request comes again: it gets its answer and has no effect; another one under its id is told so.
    pub async fn repeat_edit(&mut self, content: Content) {
        let Some(remembered) = self.remembered.clone() else { return };
        let Remembered { mut key, id, expected, wishes, answer, at } = remembered;
        // Nobody is promised an answer for longer than a day.
        if self.clock.now().since(at) >= Duration::from_secs(24 * 3600) {
            return;
        }
        let before = (self.stored(id).await, self.decisions().await);
        match content {
            Content::Same => {}
            Content::Another => key.fingerprint.push(b'!'),
        }
        let repeated = self.ask(id, expected, &wishes, Manner::Refused, Some(&key)).await;
        match (repeated, content) {
            (Ok(Outcome::Before(again)), Content::Same) => assert_eq!(again, answer, "another answer than before"),
            (Err(UpdateCustomerError::RequestIdReused(_)), Content::Another) => {}
            (repeated, _) => panic!("a request came again as {content:?} and came to {repeated:?}"),
        }
        assert_eq!((self.stored(id).await, self.decisions().await), before, "a repeated request had an effect");
    }

    pub async fn create(&mut self) {
        let name = format!("Own {}", self.step);
        let mut draft = CustomerDraft {
            company_name: name,
            domain: format!("own{}.example", self.step),
            note: "made here".to_owned(),
            ..CustomerDraft::default()
        };
        draft.primary_contact.set(ContactField::Email, format!("own{}@caller.example", self.step));
        let request = CreateCustomer { account: self.account.clone(), draft, mode: WriteMode::Write };
        match create_customer(self.store(), &self.accounts, &caller(Enforcement::Refuse), request, None).await {
            Ok(Outcome::Now(created)) => {
                self.truth.ids.push(created.customer.id);
                self.truth.own.insert(created.customer.id, Own::default());
                self.truth.records.insert(created.customer.id, Record::default());
                self.wrote(&created.customer);
            }
            // Of a customer of Microsoft's that came with the domain of one that was deleted, in a shortened history.
            Err(CreateCustomerError::Duplicate(..)) => {}
            other => panic!("a customer cannot be created: {other:?}"),
        }
    }

    pub async fn delete(&mut self, who: Who, direction: Direction) {
        let wanted = |own: &Own| own.is_deleted == (direction == Direction::Undelete);
        let Some(id) = self.truth.own_one(who, wanted).or_else(|| self.truth.record(who)) else { return };
        let before = self.stored(id).await;
        let request =
            DeleteCustomer { account: self.account.clone(), id, expected: None, direction, mode: WriteMode::Write };
        let done = delete_customer(self.store(), &self.accounts, &caller(Enforcement::Refuse), request, None).await;
        match (done, before.source()) {
            (Ok(Outcome::Now(after)), Source::Platform) => {
                assert_eq!(after.deleted_at.is_some(), direction == Direction::Delete);
                if let Some(own) = self.truth.own.get_mut(&id) {
                    own.is_deleted = after.deleted_at.is_some();
                }
            }
            (Ok(Outcome::Now(after)), Source::Microsoft) => {
                // Only what needs nothing done may succeed.
                assert_eq!(after, before, "a customer of Microsoft's was deleted or brought back");
            }
            (Err(DeleteCustomerError::NotOurs(..)), Source::Microsoft) => {}
            (Err(DeleteCustomerError::Duplicate(_, there)), Source::Platform) => {
                let there = self.stored(there).await;
                assert_eq!((there.source(), &there.domain), (Source::Microsoft, &before.domain));
            }
            (other, _) => panic!("{direction:?} of {before:?} came to {other:?}"),
        }
    }
}

/// One request id for every step.
fn request_id(step: usize) -> RequestId {
    format!("00000000-0000-4000-8000-{step:012}").parse().expect("a UUID")
}
