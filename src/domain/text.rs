//! How texts are tidied, compared and checked.
//!
//! Stored texts are *tidy* (trimmed, Unicode NFC). Whether an edit changes anything is decided on the
//! *canonical* form (R4), which also forgets the case of an e-mail domain and the punctuation of a phone
//! number. Only texts that a caller wants to store are checked; what Partner Center says is never refused.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use crate::domain::contact::ContactField;

/// One thing wrong with a request, at a field path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldProblem {
    /// The path of the field, or of the request member.
    pub field: String,
    /// What is wrong and what would be right, for a person. Never quotes contact values.
    pub description: String,
}

impl FieldProblem {
    /// A problem at a path.
    pub fn new(field: impl fmt::Display, description: impl Into<String>) -> Self {
        Self { field: field.to_string(), description: description.into() }
    }
}

/// The longest company name a caller may store, in characters.
pub const COMPANY_NAME_MAX: usize = 300;
/// The longest domain name (RFC 1035).
pub const DOMAIN_MAX: usize = 253;
/// The longest external reference a caller may store.
pub const EXTERNAL_REFERENCE_MAX: usize = 200;
/// The longest note a caller may store.
pub const NOTE_MAX: usize = 4_000;
/// How many labels a customer may have.
pub const LABELS_MAX: usize = 64;
/// The longest label key.
pub const LABEL_KEY_MAX: usize = 63;
/// The longest label value.
pub const LABEL_VALUE_MAX: usize = 255;

/// The form a text is stored in: trimmed, NFC.
pub fn tidy(raw: &str) -> String {
    raw.trim().nfc().collect()
}

/// The form in which two values of a contact member are compared.
pub fn canonical(field: ContactField, raw: &str) -> String {
    let tidied = tidy(raw);
    match field {
        ContactField::Email => match tidied.rsplit_once('@') {
            Some((local, domain)) => format!("{local}@{}", domain.to_lowercase()),
            None => tidied,
        },
        ContactField::PhoneNumber => tidied
            .chars()
            .filter(|character| !matches!(character, ' ' | '-' | '.' | '(' | ')' | '/' | '\u{a0}'))
            .collect(),
        ContactField::FirstName
        | ContactField::LastName
        | ContactField::Language
        | ContactField::Culture
        | ContactField::Country
        | ContactField::Region
        | ContactField::State
        | ContactField::District
        | ContactField::City
        | ContactField::AddressLine1
        | ContactField::AddressLine2
        | ContactField::AddressLine3
        | ContactField::PostalCode => tidied,
    }
}

/// What is wrong with a contact value a caller wants to store; an empty value clears the member.
pub fn check_contact(field: ContactField, value: &str) -> Option<String> {
    if value.is_empty() {
        return None;
    }
    let longest = match field {
        ContactField::Country => 2,
        ContactField::Language | ContactField::Culture => 35,
        ContactField::PostalCode => 20,
        ContactField::PhoneNumber => 40,
        ContactField::Email => 254,
        ContactField::FirstName | ContactField::LastName => 100,
        ContactField::Region | ContactField::State | ContactField::District | ContactField::City => 120,
        ContactField::AddressLine1 | ContactField::AddressLine2 | ContactField::AddressLine3 => 200,
    };
    check_text(value, longest).or_else(|| check_form(field, value))
}

fn check_form(field: ContactField, value: &str) -> Option<String> {
    let sound = match field {
        ContactField::Email => is_email(value),
        ContactField::Country => {
            value.bytes().all(|byte| byte.is_ascii_uppercase()) && celes::Country::from_alpha2(value).is_ok()
        }
        ContactField::Language | ContactField::Culture => oxilangtag::LanguageTag::parse(value).is_ok(),
        ContactField::PhoneNumber => is_phone_number(value),
        ContactField::FirstName
        | ContactField::LastName
        | ContactField::Region
        | ContactField::State
        | ContactField::District
        | ContactField::City
        | ContactField::AddressLine1
        | ContactField::AddressLine2
        | ContactField::AddressLine3
        | ContactField::PostalCode => true,
    };
    let wanted = match field {
        ContactField::Email => "must be an e-mail address such as name@example.com",
        ContactField::Country => "must be an ISO 3166-1 alpha-2 country code in capitals, such as LV",
        ContactField::Language => "must be a BCP 47 language tag such as en",
        ContactField::Culture => "must be a BCP 47 language tag such as en-US",
        _ => "must be a telephone number: digits with an optional leading + and the usual punctuation",
    };
    (!sound).then(|| wanted.to_owned())
}

fn is_email(value: &str) -> bool {
    let options = email_address::Options::default().without_display_text().without_domain_literal().with_required_tld();
    email_address::EmailAddress::parse_with_options(value, options).is_ok()
}

fn is_phone_number(value: &str) -> bool {
    let bare = canonical(ContactField::PhoneNumber, value);
    // An extension is written as x, ext or # and digits.
    let (number, extension) = match bare.find(['x', 'e', '#']) {
        Some(place) => bare.split_at(place),
        None => (bare.as_str(), ""),
    };
    let digits = number.strip_prefix('+').unwrap_or(number);
    let extension_digits = extension.trim_start_matches("ext").trim_start_matches(['x', '#']);
    (3..=20).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && extension_digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// What is wrong with a text of at most `longest` characters on one line.
pub fn check_text(value: &str, longest: usize) -> Option<String> {
    check_length(value, longest).or_else(|| {
        let forbidden = value.chars().any(is_forbidden);
        forbidden.then(|| "must not contain control or text-direction characters".to_owned())
    })
}

/// What is wrong with a text of at most `longest` characters that may have several lines.
pub fn check_lines(value: &str, longest: usize) -> Option<String> {
    check_length(value, longest).or_else(|| {
        let forbidden =
            value.chars().any(|character| !matches!(character, '\n' | '\r' | '\t') && is_forbidden(character));
        forbidden
            .then(|| "must not contain control or text-direction characters other than line breaks and tabs".to_owned())
    })
}

fn check_length(value: &str, longest: usize) -> Option<String> {
    let length = value.chars().count();
    (length > longest).then(|| format!("is {length} characters long; at most {longest} are kept"))
}

/// Controls, characters that cannot be seen, and the marks that make a text read in another order than it is stored
/// (Trojan Source). Joiners stay: scripts need them.
fn is_forbidden(character: char) -> bool {
    let unseen =
        matches!(character, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{2060}' | '\u{feff}');
    character.is_control() || unseen || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What is wrong with a domain name.
pub fn check_domain(value: &str) -> Option<String> {
    if value.is_empty() {
        return None;
    }
    let label = |part: &str| {
        (1..=63).contains(&part.len())
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.chars().all(|character| character.is_alphanumeric() || character == '-')
    };
    let sound = value.len() <= DOMAIN_MAX && value.contains('.') && value.split('.').all(label);
    (!sound).then(|| "must be a domain name such as example.com".to_owned())
}

/// What is wrong with a label key.
pub fn check_label_key(key: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    let sound = (1..=LABEL_KEY_MAX).contains(&key.len())
        && key.starts_with(|first: char| first.is_ascii_lowercase())
        && key.bytes().all(allowed);
    (!sound).then(|| {
        format!("a label key starts with a lower-case letter, goes on with lower-case letters, digits, '_' or '-', and has at most {LABEL_KEY_MAX} characters")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_mean_the_same_have_one_canonical_form() {
        let same = [
            (ContactField::Email, " Ada@Example.COM ", "Ada@example.com"),
            (ContactField::PhoneNumber, "+371 (67) 12-34.56", "+37167123456"),
            (ContactField::City, "Re\u{301}zekne", "R\u{e9}zekne"),
        ];
        for (field, left, right) in same {
            assert_eq!(canonical(field, left), canonical(field, right), "{field:?}");
        }
        assert_ne!(
            canonical(ContactField::Email, "Ada@example.com"),
            canonical(ContactField::Email, "ada@example.com")
        );
    }

    #[test]
    fn malformed_values_are_told_what_would_be_right() {
        let wrong = [
            (ContactField::Email, "not an address"),
            (ContactField::Email, "a@b"),
            (ContactField::Email, "a@b@example.com"),
            (ContactField::Country, "Latvia"),
            (ContactField::Country, "XX"),
            (ContactField::Country, "lv"),
            (ContactField::Language, "???"),
            (ContactField::Culture, "en_US_"),
            (ContactField::PhoneNumber, "call me"),
            (ContactField::PhoneNumber, "12"),
            (ContactField::City, "Ri\u{7}ga"),
            (ContactField::City, "\u{202e}agiR"),
            (ContactField::LastName, "\u{200b}"),
        ];
        for (field, value) in wrong {
            assert!(check_contact(field, value).is_some(), "{field:?} {value:?}");
        }
        assert!(check_contact(ContactField::AddressLine1, &"x".repeat(201)).is_some());
    }

    #[test]
    fn usual_values_of_many_countries_are_accepted() {
        let right = [
            (ContactField::Email, "o'neill+billing@Example.co.uk"),
            (ContactField::Email, "用户@例え.jp"),
            (ContactField::Country, "LV"),
            (ContactField::Language, "pt"),
            (ContactField::Culture, "zh-Hant-TW"),
            (ContactField::PhoneNumber, "(425) 555-0100 x12"),
            (ContactField::PhoneNumber, "+81 3-1234-5678"),
            (ContactField::PhoneNumber, "110"),
            (ContactField::FirstName, "Þórður"),
            (ContactField::City, ""),
        ];
        for (field, value) in right {
            assert_eq!(check_contact(field, value), None, "{field:?} {value:?}");
        }
    }

    #[test]
    fn domains_and_label_keys_have_a_form() {
        assert_eq!(check_domain("contoso.onmicrosoft.com"), None);
        assert_eq!(check_domain("bücher.example"), None);
        for wrong in ["localhost", "a..b", "-a.com", "a b.com", ".com", &format!("{}.com", "x".repeat(64))] {
            assert!(check_domain(wrong).is_some(), "{wrong}");
        }
        assert_eq!(check_label_key("cost-center_2"), None);
        for wrong in ["", "Team", "2x", "a.b", "a b"] {
            assert!(check_label_key(wrong).is_some(), "{wrong}");
        }
    }
}
