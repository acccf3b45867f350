//! The two dresses of Partner Center's JSON: camelCase without nulls in REST answers, PascalCase with explicit nulls
//! in PATCH answers and audit records (FACTS.md 3.4).

use serde_json::{Map, Value};

/// Members whose nulls are part of the contract: key-value pairs of an audit record (FACTS.md 5.2).
const KEEPS_NULLS: &str = "customizedData";

/// Drops members that are null, at every depth.
pub(super) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, member)| !member.is_null())
            .map(|(name, member)| {
                let kept = if name == KEEPS_NULLS { member } else { without_nulls(member) };
                (name, kept)
            })
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// Starts every member name with a capital.
pub(super) fn pascal_case(value: Value) -> Value {
    renamed(value, char::to_ascii_uppercase)
}

/// Starts every member name with a small letter: callers may write either case (FACTS.md 3.4, 6.1).
pub(super) fn camel_case(value: Value) -> Value {
    renamed(value, char::to_ascii_lowercase)
}

fn renamed(value: Value, first_letter: fn(&char) -> char) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .map(|(name, member)| {
                let mut letters = name.chars();
                let name =
                    letters.next().map(|first| first_letter(&first)).into_iter().chain(letters).collect::<String>();
                (name, renamed(member, first_letter))
            })
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.into_iter().map(|item| renamed(item, first_letter)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nulls_vanish_except_in_customized_data() {
        let value = json!({"a": null, "b": [{"c": null}], "customizedData": [{"key": "k", "value": null}]});
        assert_eq!(without_nulls(value), json!({"b": [{}], "customizedData": [{"key": "k", "value": null}]}));
    }

    #[test]
    fn names_change_their_first_letter_only() {
        assert_eq!(
            pascal_case(json!({"companyName": {"addressLine1": null}})),
            json!({"CompanyName": {"AddressLine1": null}})
        );
        assert_eq!(camel_case(json!({"WebhookUrl": 1})), json!({"webhookUrl": 1}));
    }
}
