//! Invented customers from many countries, with every gap the fact sheet says a real one may have: names only in the
//! address, no e-mail, an empty telephone number, no language, very long names, many scripts. The same seed makes the
//! same customers on every machine and in every release.

mod country;

mod western_europe;

mod eastern_europe;

mod asia;

mod americas_africa_oceania;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use uuid::{Builder, Uuid};

use self::country::Country;
use super::customer::{Address, BillingProfile, Customer, Relationship};

/// Names longer than this have been seen in Microsoft's own samples (FACTS.md 3.3).
const LONG_NAME_CHARACTERS: usize = 130;

/// Beginnings and ends of domain names, which are Latin in every country.
const DOMAIN_WORDS: [&[&str]; 2] = [
    &[
        "linden", "harbor", "alpine", "cedar", "granite", "summit", "river", "maple", "orchid", "falcon", "juniper",
        "amber", "coral", "meadow", "pioneer", "northern",
    ],
    &[
        "bakery",
        "works",
        "trade",
        "studio",
        "logistics",
        "clinic",
        "partners",
        "group",
        "labs",
        "foods",
        "advisors",
        "supply",
        "builders",
        "press",
        "energy",
        "travel",
    ],
];

/// The source of chance; of a fixed algorithm, so that a seed means the same for ever.
pub(super) type Chance = Xoshiro256PlusPlus;

/// Makes the source of chance for a partner's customers: two partners never share a customer by accident.
pub(super) fn chance(partner: Uuid, seed: u64) -> Chance {
    let (high, low) = partner.as_u64_pair();
    Chance::seed_from_u64(seed ^ high.rotate_left(17) ^ low.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// The countries customers come from.
fn countries() -> impl Iterator<Item = &'static Country> + Clone {
    [western_europe::COUNTRIES, eastern_europe::COUNTRIES, asia::COUNTRIES, americas_africa_oceania::COUNTRIES]
        .into_iter()
        .flatten()
}

/// Draws one customer.
pub(super) fn draw(chance: &mut Chance) -> Customer {
    let nations = countries();
    let position = chance.random_range(0..nations.clone().count());
    let country = nations.clone().nth(position).expect("the position was drawn below the count");
    let [first, last] = DOMAIN_WORDS.map(|words| pick(chance, words));
    let number = chance.random_range(100_000..10_000_000);
    let label = format!("{first}{last}{number}");
    let name = company_name(chance, country);
    let delegated_access = chance.random_bool(0.2);
    let address = address(chance, country);
    let billing_profile = billing_profile(chance, country, &label, name.clone(), address.clone());
    Customer {
        id: id(chance),
        commerce_id: chance.random_bool(0.97).then(|| id(chance)),
        domain: format!("{label}.onmicrosoft.com"),
        tenant_name: name,
        relationship: if chance.random_bool(0.04) { Relationship::Advisor } else { Relationship::Reseller },
        delegated_access,
        company_email: delegated_access.then(|| format!("technik@{label}.example")),
        company_address: delegated_access.then(|| Box::new(address)),
        custom_domains: if delegated_access { vec![format!("{label}.example")] } else { Vec::new() },
        billing_profile,
    }
}

fn billing_profile(
    chance: &mut Chance,
    country: &Country,
    label: &str,
    company_name: String,
    address: Address,
) -> BillingProfile {
    // FACTS.md 3.3: the names are absent when the customer was created with names only in the address.
    let named = chance.random_bool(0.88);
    let email = chance.random_bool(0.96).then(|| email(chance, label));
    let culture = if chance.random_bool(0.1) { country.culture.to_lowercase() } else { country.culture.to_owned() };
    BillingProfile {
        id: chance.random_bool(0.98).then(|| id(chance)),
        first_name: address.first_name.clone().filter(|_| named),
        last_name: address.last_name.clone().filter(|_| named),
        email,
        culture: chance.random_bool(0.97).then_some(culture),
        language: chance.random_bool(0.92).then(|| country.language.to_owned()),
        company_name: chance.random_bool(0.99).then_some(company_name),
        default_address: Some(address),
    }
}

fn address(chance: &mut Chance, country: &Country) -> Address {
    let (city, state, postal_code) = pick(chance, country.cities);
    let number = chance.random_range(1..200).to_string();
    let phone_number = match chance.random_range(0..100) {
        0..5 => Some(String::new()),
        5..8 => None,
        _ => Some(filled(chance, country.phone)),
    };
    Address {
        country: Some(country.code.to_owned()),
        city: Some(city.to_owned()),
        state: (!state.is_empty()).then(|| state.to_owned()),
        address_line1: Some(pick(chance, country.streets).replace("{n}", &number)),
        address_line2: chance.random_bool(0.25).then(|| format!("Floor {}", chance.random_range(1..12))),
        postal_code: (!postal_code.is_empty()).then(|| filled(chance, postal_code)),
        first_name: Some(typed(chance, country.given_names)),
        last_name: Some(typed(chance, country.family_names)),
        phone_number,
        ..Address::default()
    }
}

fn company_name(chance: &mut Chance, country: &Country) -> String {
    let company = &country.company;
    let subject = typed(chance, company.subjects);
    let mut trade = pick(chance, company.trades).to_owned();
    if chance.random_bool(0.04) {
        while trade.chars().count() <= LONG_NAME_CHARACTERS {
            let (trades, subjects) = (company.trades, company.subjects);
            trade = format!("{trade} & {} {}", pick(chance, trades), pick(chance, subjects));
        }
    }
    company
        .pattern
        .replace("{subject}", &subject)
        .replace("{trade}", &trade)
        .replace("{form}", pick(chance, company.forms))
}

fn email(chance: &mut Chance, label: &str) -> String {
    let mailbox = pick(chance, &["accounts", "office", "billing", "info", "o'hara", "a.b+invoices"]);
    if chance.random_bool(0.1) {
        // Domains are case-insensitive, and some people type them as they are written on the sign.
        let (first, rest) = label.split_at(1);
        return format!("{mailbox}@{}{rest}.Example", first.to_uppercase());
    }
    format!("{mailbox}@{label}.example")
}

/// Picks a word and sometimes writes its accents as combining characters, as some keyboards do.
fn typed(chance: &mut Chance, words: &[&str]) -> String {
    let text = pick(chance, words);
    if !chance.random_bool(0.1) {
        return text.to_owned();
    }
    text.replace('é', "e\u{301}")
        .replace('á', "a\u{301}")
        .replace('í', "i\u{301}")
        .replace('ö', "o\u{308}")
        .replace('ü', "u\u{308}")
        .replace('ñ', "n\u{303}")
}

fn filled(chance: &mut Chance, pattern: &str) -> String {
    pattern
        .chars()
        .map(|letter| match letter {
            '#' => char::from(chance.random_range(b'0'..=b'9')),
            '@' => char::from(chance.random_range(b'A'..=b'Z')),
            _ => letter,
        })
        .collect()
}

fn pick<T: Copy>(chance: &mut Chance, choices: &[T]) -> T {
    choices[chance.random_range(0..choices.len())]
}

fn id(chance: &mut Chance) -> Uuid {
    Builder::from_random_bytes(chance.random()).into_uuid()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn thousand(seed: u64) -> Vec<Customer> {
        let mut chance = chance(Uuid::from_u128(1), seed);
        (0..1000).map(|_| draw(&mut chance)).collect()
    }

    #[test]
    fn the_same_seed_makes_the_same_customers() {
        assert_eq!(thousand(7), thousand(7));
        assert_ne!(thousand(7), thousand(8));
    }

    #[test]
    fn a_seed_means_the_same_for_ever() {
        let first = &thousand(1)[0];
        assert_eq!(first.domain, "amberlabs6029614.onmicrosoft.com");
    }

    #[test]
    fn customers_come_from_at_least_twenty_five_countries() {
        let found: HashSet<_> =
            thousand(1).into_iter().filter_map(|customer| customer.billing_profile.default_address?.country).collect();
        assert!(found.len() >= 25, "{found:?}");
    }

    #[test]
    fn every_gap_of_the_fact_sheet_occurs() {
        let profiles: Vec<_> = thousand(1).into_iter().map(|customer| customer.billing_profile).collect();
        let some = |gap: fn(&BillingProfile) -> bool| profiles.iter().any(gap);
        assert!(some(|profile| profile.first_name.is_none()));
        assert!(some(|profile| profile.email.is_none()));
        assert!(some(|profile| profile.language.is_none()));
        assert!(some(|profile| profile.culture.is_none()));
        assert!(some(|profile| profile.company_name.is_none()));
        let some =
            |gap: fn(&Address) -> bool| profiles.iter().filter_map(|profile| profile.default_address.as_ref()).any(gap);
        assert!(some(|address| address.phone_number.as_deref() == Some("")));
        assert!(some(|address| address.phone_number.is_none()));
        assert!(some(|address| address.address_line2.is_none()));
        assert!(some(|address| address.state.is_none()));
        assert!(some(|address| address.postal_code.is_none()));
    }

    #[test]
    fn names_are_long_combined_and_apostrophized_in_many_scripts() {
        let customers = thousand(1);
        let some = |holds: fn(&str) -> bool| customers.iter().any(|customer| holds(&customer.tenant_name));
        assert!(some(|name| name.chars().count() > LONG_NAME_CHARACTERS));
        assert!(some(|name| name.contains('\u{308}') || name.contains('\u{301}')));
        assert!(some(|name| name.contains('\'')));
        // Greek, Cyrillic, Hebrew, Arabic, Devanagari, Thai, Hiragana, Han, Hangul.
        for script in [
            '\u{370}'..='\u{3ff}',
            '\u{400}'..='\u{4ff}',
            '\u{590}'..='\u{5ff}',
            '\u{600}'..='\u{6ff}',
            '\u{900}'..='\u{97f}',
            '\u{e00}'..='\u{e7f}',
            '\u{3040}'..='\u{309f}',
            '\u{4e00}'..='\u{9fff}',
            '\u{ac00}'..='\u{d7af}',
        ] {
            let occurs =
                customers.iter().any(|customer| customer.tenant_name.chars().any(|letter| script.contains(&letter)));
            assert!(occurs, "{script:?}");
        }
    }

    #[test]
    fn culture_language_and_country_agree() {
        for country in countries() {
            assert!(country.culture.starts_with(country.language));
            assert!(country.culture.ends_with(country.code));
        }
    }
}
