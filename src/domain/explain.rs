//! Explanations: what is known of a customer and what Partner Center says now, as one verdict for a person (R12).

use std::borrow::Cow;

use crate::domain::customer::{SyncState, VisibleState};
use crate::domain::observation::GoneAnswer;

/// What is known of whom is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// There is none.
    None,
    /// One of the platform's own, and Partner Center is not known to have the organization.
    Platform,
    /// One of Microsoft's, in that state.
    Microsoft(VisibleState),
}

/// What Partner Center says now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Live {
    /// It was not asked: there is nothing to ask by.
    NotAsked,
    /// The customer.
    Present,
    /// A customer that cannot be read, and why.
    Unusable(String),
    /// It has no such customer.
    Gone(GoneAnswer),
    /// No customer of the partner has the domain.
    Unlisted,
    /// The account may not ask.
    Blocked {
        /// A stable name of what is wrong.
        reason: String,
        /// What to do, for an operator.
        remedy: String,
    },
    /// Nothing usable in time, and why.
    Unavailable(String),
}

/// Everything a verdict comes from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Its record.
    pub record: Record,
    /// Whether it waits because it looks like a platform customer.
    pub pending: bool,
    /// Whether the last record that Partner Center gave of it could not be applied.
    pub unusable: bool,
    /// What Partner Center says now.
    pub live: &'a Live,
}

/// What an explanation comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is here and level.
    Synced,
    /// It is in Partner Center and was not known until now.
    FoundNow,
    /// It waits because it looks like a platform customer.
    PendingLink,
    /// Its record in Partner Center cannot be applied.
    Quarantined,
    /// An operator has paused it.
    Paused,
    /// Its removal waits for approval.
    HeldForRemoval,
    /// Its relationship ended.
    Ended,
    /// The tenant has no reseller relationship with the partner.
    NeverAccepted,
    /// Partner Center knows no such customer of the partner.
    NotFound,
    /// The account's credentials or permissions do not work.
    AccountBlocked,
    /// Partner Center did not answer.
    SourceUnavailable,
    /// It is the platform's own and not in Partner Center.
    PlatformCustomer,
    /// Partner Center says that it is gone, and the evidence is not complete.
    Leaving,
}

/// A verdict and what to tell about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// What it means.
    pub explanation: Cow<'static, str>,
    /// What to do; empty when there is nothing to do.
    pub remedy: Cow<'static, str>,
    /// Whether Partner Center says something else than the record does, so that the customer is to be looked at.
    pub look: bool,
}

const fn told(verdict: Verdict, explanation: &'static str, remedy: &'static str) -> Judgement {
    Judgement { verdict, explanation: Cow::Borrowed(explanation), remedy: Cow::Borrowed(remedy), look: false }
}

/// As [`told`], of a customer that is to be looked at.
fn looked_at(verdict: Verdict, explanation: &'static str, remedy: &'static str) -> Judgement {
    Judgement { look: true, ..told(verdict, explanation, remedy) }
}

const MEND_RECORD: &str =
    "Correct the customer's record in Partner Center, for example its billing profile; the reason says what is wrong.";

/// What the facts come to.
pub fn judge(facts: Facts<'_>) -> Judgement {
    match facts.record {
        Record::Platform => of_the_platform(facts.live),
        Record::Microsoft(VisibleState::Paused) => told(
            Verdict::Paused,
            "An operator has paused the synchronization of this customer: changes in Partner Center are not applied, and what \
             Partner Center owns stays locked.",
            "Resume the customer once the reason for the pause no longer holds.",
        ),
        Record::Microsoft(VisibleState::Kept(SyncState::Synced)) => synced(facts.live),
        Record::Microsoft(VisibleState::Kept(SyncState::Quarantined)) => quarantined(facts.live),
        Record::Microsoft(VisibleState::Kept(SyncState::HeldForRemoval)) => held(facts.live),
        Record::Microsoft(VisibleState::Kept(SyncState::Ended)) => ended(facts.live),
        Record::None if facts.pending => told(
            Verdict::PendingLink,
            "The customer is in Partner Center and waits here because it looks like a customer that the platform has already.",
            "Decide about the pending link: link the two, or say that they are different.",
        ),
        Record::None => unknown(facts.live, facts.unusable),
    }
}

fn of_the_platform(live: &Live) -> Judgement {
    match live {
        Live::Blocked { .. } | Live::Unavailable(_) => told(
            Verdict::PlatformCustomer,
            "The customer was made on the platform and is not linked to Partner Center. Whether Partner Center has it cannot \
             be told now.",
            "Ask again later, or by its Microsoft tenant id.",
        ),
        Live::NotAsked => told(
            Verdict::PlatformCustomer,
            "The customer was made on the platform and is not linked to Partner Center. It has no domain by which Partner \
             Center could be asked for it.",
            "Nothing, if it is not Microsoft's. Otherwise ask by its Microsoft tenant id.",
        ),
        Live::Unlisted | Live::Present | Live::Unusable(_) | Live::Gone(_) => told(
            Verdict::PlatformCustomer,
            "The customer was made on the platform, and Partner Center shows no customer of the partner with its domain.",
            "Nothing, if it is not Microsoft's. Otherwise ask by its Microsoft tenant id: Partner Center finds a customer by \
             one of its domains only, usually the one that ends in onmicrosoft.com.",
        ),
    }
}

fn synced(live: &Live) -> Judgement {
    match live {
        Live::Present | Live::NotAsked | Live::Unlisted => {
            told(Verdict::Synced, "The customer is here, and Partner Center has it.", "")
        }
        Live::Unusable(_) => looked_at(
            Verdict::Quarantined,
            "Partner Center has the customer, but its record cannot be applied; the last good values are kept.",
            MEND_RECORD,
        ),
        Live::Gone(_) => told(
            Verdict::Leaving,
            "Partner Center answers that it has no such customer of the partner. The customer stays here until two complete \
             lists, or one and the audit record of its removal, lacked it as well.",
            "Nothing, if the relationship was meant to end. Otherwise let the customer accept the reseller relationship again.",
        ),
        Live::Blocked { remedy, .. } => blocked(remedy),
        Live::Unavailable(_) => unavailable(),
    }
}

fn quarantined(live: &Live) -> Judgement {
    match live {
        Live::Present => looked_at(
            Verdict::Quarantined,
            "The last record in Partner Center could not be applied, but the one it shows now can; it is being fetched.",
            "",
        ),
        Live::Gone(_) => told(
            Verdict::Quarantined,
            "The last record in Partner Center could not be applied, and now Partner Center answers that it has no such \
             customer of the partner.",
            "Nothing, if the relationship was meant to end. Otherwise let the customer accept the reseller relationship again.",
        ),
        Live::NotAsked | Live::Unusable(_) | Live::Unlisted | Live::Blocked { .. } | Live::Unavailable(_) => told(
            Verdict::Quarantined,
            "The record in Partner Center cannot be applied; the last good values are kept, if there are any.",
            MEND_RECORD,
        ),
    }
}

fn held(live: &Live) -> Judgement {
    match live {
        Live::Present => looked_at(
            Verdict::HeldForRemoval,
            "The customer's removal waited for approval, but Partner Center shows it again; it is being fetched and leaves \
             the hold.",
            "",
        ),
        Live::NotAsked
        | Live::Unusable(_)
        | Live::Gone(_)
        | Live::Unlisted
        | Live::Blocked { .. }
        | Live::Unavailable(_) => told(
            Verdict::HeldForRemoval,
            "The customer seems to be gone in Partner Center together with many others, so its removal waits for an operator.",
            "Approve the hold if these customers really left, or dismiss it to have them looked at again.",
        ),
    }
}

fn ended(live: &Live) -> Judgement {
    match live {
        Live::Present => looked_at(
            Verdict::FoundNow,
            "The relationship had ended, but Partner Center shows the customer again; it is being fetched.",
            "",
        ),
        Live::NotAsked
        | Live::Unusable(_)
        | Live::Gone(_)
        | Live::Unlisted
        | Live::Blocked { .. }
        | Live::Unavailable(_) => told(
            Verdict::Ended,
            "The customer's relationship with the partner ended; the last values are kept.",
            "To have it back, let the customer accept the partner's reseller relationship again.",
        ),
    }
}

fn unknown(live: &Live, unusable: bool) -> Judgement {
    match live {
        Live::Present => looked_at(
            Verdict::FoundNow,
            "Partner Center has the customer, and it was not here until now; it is being fetched.",
            "",
        ),
        Live::Unusable(_) => looked_at(
            Verdict::Quarantined,
            "Partner Center has the customer, but its record cannot be applied, so there is no customer here yet.",
            MEND_RECORD,
        ),
        Live::Gone(GoneAnswer::NoRelationship) => told(
            Verdict::NeverAccepted,
            "The tenant has not accepted the partner's reseller relationship, or has revoked it. Administrative rights (GDAP) \
             alone are not enough.",
            "Send the customer the reseller relationship invitation from Partner Center and let a global administrator accept \
             it.",
        ),
        Live::Gone(GoneAnswer::NotFound | GoneAnswer::TenantNotFound) => told(
            Verdict::NotFound,
            "Partner Center knows no such tenant among the partner's customers.",
            "Check the tenant id, and whether the customer belongs to another partner account.",
        ),
        Live::Unlisted | Live::NotAsked => told(
            Verdict::NotFound,
            "Partner Center shows no customer of the partner with this domain. It finds a customer by one of its domains only, \
             usually the one that ends in onmicrosoft.com.",
            "Ask by the Microsoft tenant id, and check whether the customer belongs to another partner account.",
        ),
        Live::Blocked { .. } | Live::Unavailable(_) if unusable => quarantined(live),
        Live::Blocked { remedy, .. } => blocked(remedy),
        Live::Unavailable(_) => unavailable(),
    }
}

fn blocked(remedy: &str) -> Judgement {
    let explanation =
        "Partner Center cannot be asked for this account, so nobody can tell what it says of this customer.";
    Judgement { remedy: Cow::Owned(remedy.to_owned()), ..told(Verdict::AccountBlocked, explanation, "") }
}

const fn unavailable() -> Judgement {
    told(
        Verdict::SourceUnavailable,
        "Partner Center gave no usable answer in time, so nobody can tell what it says of this customer.",
        "Ask again in a few minutes. If it lasts, look at the account's synchronization status.",
    )
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
