//! Which customers may be one organization (R10): the same domain, or the same name in the same country.
//!
//! Only ever a hint for a person to decide by: nothing is joined because it is alike.

use unicode_normalization::UnicodeNormalization;

use crate::domain::contact::ContactField;
use crate::domain::customer::Customer;
use crate::domain::ids::CustomerId;

/// Grows whenever the same customer gets another match key than before: the store then computes all of them again.
pub const KEY_REVISION: u32 = 1;

/// How many candidates are named.
pub const CANDIDATES_MAX: u32 = 10;

/// Why two customers may be one organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likeness {
    /// They have the same domain.
    SameDomain,
    /// They have the same company name, apart from case, punctuation and legal form, and the same country.
    SameNameAndCountry,
}

/// A customer that may be the same organization as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub customer: CustomerId,
    /// Why.
    pub likeness: Likeness,
}

/// Words for the legal form of a company: common, and seldom the name itself.
const LEGAL_FORMS: [&str; 44] = [
    "ab",
    "ag",
    "aps",
    "as",
    "asa",
    "bhd",
    "bv",
    "co",
    "company",
    "corp",
    "corporation",
    "eood",
    "gmbh",
    "inc",
    "incorporated",
    "kft",
    "kg",
    "kk",
    "lda",
    "limited",
    "llc",
    "llp",
    "ltd",
    "ltda",
    "mb",
    "nv",
    "ood",
    "oy",
    "oyj",
    "oü",
    "plc",
    "pte",
    "pty",
    "sa",
    "sarl",
    "sas",
    "sdn",
    "sia",
    "sl",
    "spa",
    "srl",
    "sro",
    "uab",
    "vof",
];

/// By what a customer's name is compared; `None` when it has no name or no country to compare.
pub fn match_key(customer: &Customer) -> Option<String> {
    let country = customer.primary_contact.get(ContactField::Country).trim().to_uppercase();
    let name = bare_name(&customer.company_name);
    (!name.is_empty() && !country.is_empty()).then(|| format!("{country} {name}"))
}

/// The name without case, spaces, punctuation and the legal form, which is written after it or before it.
fn bare_name(company_name: &str) -> String {
    let folded = company_name.nfkc().collect::<String>().to_lowercase().nfkc().collect::<String>();
    let folded = folded.replace('ß', "ss").replace('ς', "σ");
    // A dot, a slash or an apostrophe stands within a word (`S.A.`, `A/S`); everything else that is no letter ends one.
    let joined: String = folded.chars().filter(|character| !matches!(character, '.' | '/' | '\'' | '’')).collect();
    let words: Vec<&str> =
        joined.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let is_form = |word: &&str| LEGAL_FORMS.contains(word);
    let first = words.iter().position(|word| !is_form(word)).unwrap_or(words.len());
    let end = words.iter().rposition(|word| !is_form(word)).map_or(first, |last| last + 1);
    words[first..end].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::domain::contact::Contact;
    use crate::domain::create::{CustomerDraft, admit};

    fn key(company_name: &str, country: &str) -> Option<String> {
        let draft = CustomerDraft { company_name: "Placeholder".to_owned(), ..CustomerDraft::default() };
        let account = "contoso".parse().expect("a well-formed id");
        let admitted = admit(&account, draft, Timestamp::from_micros(0)).expect("a sound draft");
        let primary_contact = Contact::default().with(ContactField::Country, country);
        let company_name = company_name.to_owned();
        match_key(&Customer { company_name, primary_contact, ..admitted.customer().clone() })
    }

    #[test]
    fn names_that_differ_in_case_punctuation_and_legal_form_are_one_name() {
        let same = [
            ("SIA Linden", "Linden SIA"),
            ("SIA \"Linden\"", "linden"),
            ("Linden Ltd.", "LINDEN LIMITED"),
            ("Linden S.A.", "Linden SA"),
            ("Linden A/S", "Linden as"),
            ("Linden GmbH & Co. KG", "Linden"),
            ("OÜ Linden", "Linden OÜ"),
            ("O\u{dc} Linden", "OU\u{308} Linden"),
            ("Li\u{fb01}nden", "Lifinden"),
            ("Ｌｉｎｄｅｎ", "Linden"),
            ("Linden-Bakery, Inc", "Linden Bakery"),
            ("LindenBakery", "Linden  Bakery"),
            ("O'Linden", "OLinden"),
            ("Straße AG", "STRASSE"),
            ("ΛΙΝΤΕΝΣ", "λιντενς"),
            ("7-Eleven Inc", "7 Eleven"),
            ("株式会社リンデン", "株式会社 リンデン"),
        ];
        for (one, other) in same {
            assert!(key(one, "LV").is_some(), "{one}");
            assert_eq!(key(one, "LV"), key(other, "LV"), "{one} and {other}");
        }
    }

    #[test]
    fn other_names_and_other_countries_are_others() {
        let different = [
            ("Linden", "Lindén"),
            ("Linden", "Linden Bakery"),
            ("Linden Co Bakery", "Linden Bakery"),
            ("Sia", "Linden"),
            ("Sialinden", "Linden"),
            ("Linden 1", "Linden 2"),
        ];
        for (one, other) in different {
            assert_ne!(key(one, "LV"), key(other, "LV"), "{one} and {other}");
        }
        assert_ne!(key("Linden", "LV"), key("Linden", "EE"));
        assert_eq!(key("Linden", "LV"), key("Linden", "lv "));
    }

    #[test]
    fn a_name_that_says_nothing_or_has_no_country_is_like_none() {
        for nothing in ["", "  ", "...", "SIA", "Ltd. & Co", "\"\"", "–"] {
            assert_eq!(key(nothing, "LV"), None, "{nothing:?}");
        }
        assert_eq!(key("Linden", ""), None);
        assert_eq!(key("Linden", "  "), None);
    }

    #[test]
    fn the_legal_forms_are_in_order_and_as_they_are_compared() {
        assert!(LEGAL_FORMS.is_sorted());
        for form in LEGAL_FORMS {
            assert_eq!(bare_name(&format!("{} Linden {form}", form.to_uppercase())), "linden", "{form}");
        }
    }
}
