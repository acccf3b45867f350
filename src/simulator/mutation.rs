//! The ways in which one customer's record can be odd while everybody else's is right.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::faults::Effect;

/// Stands for half a character until the answer is text: a JSON value cannot hold one. Nobody's name has it.
const HALF_A_CHARACTER: char = '\u{10fffd}';

/// How long an absurd text is.
const ABSURD_LENGTH: usize = 100_000;

/// What is odd about a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mutation {
    /// It has members that nobody knows.
    UnknownMembers,
    /// Its relationship is of a kind that nobody knows.
    UnknownRelationship,
    /// Its names are absurdly long.
    LongText,
    /// Its names hold half a surrogate pair.
    LoneSurrogate,
    /// Its names hold a NUL character.
    Nul,
    /// Its names hold marks that turn the direction of writing.
    RightToLeft,
    /// Its members are of other types than they should be.
    WrongTypes,
    /// Every member of its contact is null.
    NullContact,
    /// It has no id.
    NoId,
}

impl Mutation {
    fn apply(self, record: &mut Value) {
        match self {
            Self::UnknownMembers => {
                record["brandNew"] = json!({"deep": [1, {"deeper": null}], "text": "x"});
                record["companyProfile"]["brandNewToo"] = json!([[], {}, 1.5e300, true]);
            }
            Self::UnknownRelationship => record["relationshipToPartner"] = json!("brand_new_kind"),
            Self::LongText => rename(record, |_| "x".repeat(ABSURD_LENGTH)),
            Self::LoneSurrogate => rename(record, |name| format!("{name}{HALF_A_CHARACTER}x")),
            Self::Nul => rename(record, |name| format!("{name}\0x")),
            Self::RightToLeft => rename(record, |name| format!("\u{202e}{name}\u{200f}")),
            Self::WrongTypes => {
                record["companyProfile"] = json!(["x"]);
                if record["billingProfile"].is_object() {
                    record["billingProfile"]["email"] = json!({"value": 7});
                }
            }
            Self::NullContact => {
                if record["billingProfile"].is_object() {
                    record["billingProfile"] = json!({"email": null, "firstName": null, "defaultAddress": null});
                }
            }
            Self::NoId => record["id"] = Value::Null,
        }
    }
}

/// Changes the names in a detail, or in the item of a list, which has one only.
fn rename(record: &mut Value, change: impl Fn(&str) -> String) {
    for path in ["/companyProfile/companyName", "/billingProfile/companyName", "/billingProfile/firstName"] {
        if let Some(name) = record.pointer_mut(path) {
            *name = change(name.as_str().unwrap_or("x")).into();
        }
    }
}

/// Makes a customer's record as odd as the effects say.
pub(super) fn mutated(mut record: Value, customer: Uuid, effects: &[Effect]) -> Value {
    for effect in effects {
        if let Effect::MutateItem { customer: meant, mutation } = effect
            && *meant == customer
        {
            mutation.apply(&mut record);
        }
    }
    record
}

/// Puts half a character where one is meant.
pub(super) fn with_lone_surrogates(text: String) -> String {
    if text.contains(HALF_A_CHARACTER) { text.replace(HALF_A_CHARACTER, "\\ud800") } else { text }
}
