//! Reads Partner Center's JSON, which spells member names in two ways and may begin with a byte order mark.
//!
//! Member names are folded to lower case, because some answers are camelCase and some PascalCase (FACTS 3.4). Members
//! that may hold passwords or personal data we have no use for are skipped while parsing; they never exist in memory
//! as values.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Members that are never read (FACTS 3.1, 5.2): the password of a new customer, and what an audit record changed.
const NEVER_READ: [&str; 3] = ["usercredentials", "resourceoldvalue", "resourcenewvalue"];

/// JSON's only way to write a NUL.
const NUL: &[u8] = b"\\u0000";

/// A member that is not of the type it should be; holds its name, never its value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{member}` is not {wanted}")]
pub(super) struct WrongType {
    member: &'static str,
    wanted: &'static str,
}

/// Why a body is no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotJson;

/// Any JSON value, with folded member names.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Document(Value);

impl Document {
    /// Reads a whole body; a byte order mark in front of it is accepted (FACTS 9).
    pub(super) fn read(body: &[u8]) -> Result<Self, NotJson> {
        let bare = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        serde_json::from_slice(bare).map(|Folded(value)| Self(value)).map_err(|_| NotJson)
    }

    /// Reads a body of many items, of which one may hold half a character, or a NUL, which not every database keeps: that text
    /// gets a replacement character instead of costing the whole page.
    pub(super) fn read_forgiving(body: &[u8]) -> Result<Self, NotJson> {
        if body.windows(NUL.len()).any(|escape| escape == NUL) {
            return Self::read(&repaired(body));
        }
        Self::read(body).or_else(|_| Self::read(&repaired(body)))
    }

    /// The document as an object, if it is one.
    pub(super) fn object(&self) -> Option<Object<'_>> {
        self.0.as_object().map(Object)
    }
}

/// A view of a JSON object. A missing member, `null` and (for texts) `""` mean the same: absent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Object<'a>(&'a Map<String, Value>);

impl<'a> Object<'a> {
    fn member(self, name: &str) -> Option<&'a Value> {
        self.0.get(&name.to_ascii_lowercase()).filter(|value| !value.is_null())
    }

    /// A text, empty when absent.
    pub(super) fn text(self, name: &'static str) -> Result<&'a str, WrongType> {
        match self.member(name) {
            None => Ok(""),
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(WrongType { member: name, wanted: "a text" }),
        }
    }

    /// A text; empty when absent or of another type.
    pub(super) fn text_or_empty(self, name: &'static str) -> &'a str {
        self.text(name).unwrap_or_default()
    }

    /// An object.
    pub(super) fn inner(self, name: &'static str) -> Result<Option<Self>, WrongType> {
        match self.member(name) {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(Self(members))),
            Some(_) => Err(WrongType { member: name, wanted: "an object" }),
        }
    }

    /// The elements of a list, `None` for each that is no object.
    pub(super) fn list(
        self,
        name: &'static str,
    ) -> Result<Option<impl ExactSizeIterator<Item = Option<Object<'a>>>>, WrongType> {
        match self.member(name) {
            None => Ok(None),
            Some(Value::Array(elements)) => Ok(Some(elements.iter().map(|element| element.as_object().map(Object)))),
            Some(_) => Err(WrongType { member: name, wanted: "a list" }),
        }
    }

    /// The texts of a list, without what else it holds; `None` when there is no list.
    pub(super) fn texts(self, name: &str) -> Option<Vec<&'a str>> {
        Some(self.member(name)?.as_array()?.iter().filter_map(Value::as_str).collect())
    }

    /// A number or a text, as text (FACTS 1.2, 8.1).
    pub(super) fn number_or_text(self, name: &str) -> Option<String> {
        match self.member(name)? {
            Value::Number(number) => Some(number.to_string()),
            Value::String(text) => Some(text.trim().to_owned()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The first number of a list of numbers.
    pub(super) fn first_number(self, name: &str) -> Option<u64> {
        self.member(name)?.as_array()?.first()?.as_u64()
    }
}

/// A JSON value whose member names are in lower case and that lacks what must not be read.
struct Folded(Value);

impl<'de> Deserialize<'de> for Folded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FoldingVisitor).map(Self)
    }
}

struct FoldingVisitor;

impl<'de> Visitor<'de> for FoldingVisitor {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Folded(element)) = elements.next_element()? {
            list.push(element);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(mut name) = members.next_key::<String>()? {
            name.make_ascii_lowercase();
            if NEVER_READ.contains(&name.as_str()) {
                members.next_value::<IgnoredAny>()?;
            } else {
                let Folded(value) = members.next_value()?;
                object.insert(name, value);
            }
        }
        Ok(Value::Object(object))
    }
}

/// Replaces `\u` escapes that are half of a surrogate pair without the other half, and those that are a NUL.
fn repaired(body: &[u8]) -> Vec<u8> {
    let mut repaired = body.to_vec();
    let mut place = 0;
    while place < body.len() {
        if body[place] != b'\\' {
            place += 1;
            continue;
        }
        match (escaped_unit(body, place), escaped_unit(body, place + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => place += 12,
            (Some(0 | 0xd800..=0xdfff), _) => {
                repaired[place..place + 6].copy_from_slice(b"\\ufffd");
                place += 6;
            }
            // A backslash and what it escapes: stepping over both keeps `\\ud800` the text it is.
            _ => place += 2,
        }
    }
    repaired
}

/// The UTF-16 unit that the escape at `place` stands for, if there is one.
fn escaped_unit(body: &[u8], place: usize) -> Option<u16> {
    let digits = body.get(place..place + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Document {
        Document::read(body.as_bytes()).expect("a document")
    }

    #[test]
    fn member_names_are_found_in_either_spelling() {
        // FACTS 3.4: REST answers are camelCase, others PascalCase with explicit nulls.
        for body in [r#"{"companyProfile":{"companyName":"A"}}"#, r#"{"CompanyProfile":{"CompanyName":"A"}}"#] {
            let document = read(body);
            let profile = document.object().expect("an object").inner("companyProfile").expect("well typed");
            assert_eq!(profile.expect("present").text("companyName"), Ok("A"));
        }
    }

    #[test]
    fn missing_null_and_empty_mean_the_same() {
        let document = read(r#"{"a":null,"b":"","c":{}}"#);
        let object = document.object().expect("an object");
        for name in ["a", "b", "missing"] {
            assert_eq!(object.text(name), Ok(""));
        }
        assert!(object.inner("a").expect("well typed").is_none());
        assert!(object.inner("c").expect("well typed").is_some());
    }

    #[test]
    fn a_wrong_type_is_told_by_the_members_name() {
        let document = read(r#"{"email":{"secret":"x"}}"#);
        let wrong = document.object().expect("an object").text("email").expect_err("wrong");
        assert_eq!(wrong.to_string(), "`email` is not a text");
    }

    #[test]
    fn a_byte_order_mark_is_stripped_only_when_present() {
        // FACTS 9: some clients cut the first character blindly.
        assert_eq!(Document::read(b"\xef\xbb\xbf{\"a\":1}"), Document::read(b"{\"A\":1}"));
        assert_eq!(Document::read(b"\xef\xbb{}"), Err(NotJson));
    }

    #[test]
    fn what_may_hold_passwords_or_personal_data_is_not_even_kept() {
        let document = read(r#"{"UserCredentials":{"password":"p"},"resourceNewValue":"{}","id":"1"}"#);
        assert_eq!(document, read(r#"{"id":"1"}"#));
    }

    #[test]
    fn what_is_not_json_is_no_document() {
        for body in ["", "<html>", "{", r#"{"a":1}x"#, &"[".repeat(100_000)] {
            assert_eq!(Document::read(body.as_bytes()), Err(NotJson));
        }
    }

    #[test]
    fn half_a_character_costs_only_the_text_it_is_in() {
        let body = br#"{"items":[{"a":"x\ud800y","b":"\\ud800","c":"\ud83d\ude00","d":"\udc00\ud800\\"}]}"#;
        assert_eq!(Document::read(body), Err(NotJson));
        let document = Document::read_forgiving(body).expect("a document");
        let mut items = document.object().expect("an object").list("items").expect("well typed").expect("a list");
        let item = items.next().flatten().expect("an item");
        assert_eq!(item.text("a"), Ok("x\u{fffd}y"));
        assert_eq!(item.text("b"), Ok("\\ud800"));
        assert_eq!(item.text("c"), Ok("\u{1f600}"));
        assert_eq!(item.text("d"), Ok("\u{fffd}\u{fffd}\\"));
    }

    #[test]
    fn a_nul_costs_only_the_text_it_is_in() {
        let body = br#"{"items":[{"a":"x\u0000","b":"\\u0000","c":"\u0000\ud800"}]}"#;
        let document = Document::read_forgiving(body).expect("a document");
        let mut items = document.object().expect("an object").list("items").expect("well typed").expect("a list");
        let item = items.next().flatten().expect("an item");
        assert_eq!(item.text("a"), Ok("x\u{fffd}"));
        assert_eq!(item.text("b"), Ok("\\u0000"));
        assert_eq!(item.text("c"), Ok("\u{fffd}\u{fffd}"));
    }

    #[test]
    fn codes_are_read_as_numbers_and_as_texts() {
        // FACTS 8.1: `code` is a number in the wild and a text in the documentation.
        for body in [r#"{"code":20002}"#, r#"{"code":"20002"}"#, r#"{"Code":" 20002 "}"#] {
            assert_eq!(read(body).object().expect("an object").number_or_text("code").as_deref(), Some("20002"));
        }
    }
}
