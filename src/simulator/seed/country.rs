//! What a country contributes to invented customers. In patterns, `#` stands for a digit and `@` for a letter.

/// Words and formats of one country.
#[derive(Debug)]
pub(super) struct Country {
    /// ISO 3166 code.
    pub(super) code: &'static str,
    pub(super) culture: &'static str,
    pub(super) language: &'static str,
    pub(super) phone: &'static str,
    /// City, state (empty where addresses have none), pattern of the city's postal codes (empty where there are none).
    pub(super) cities: &'static [(&'static str, &'static str, &'static str)],
    /// Streets with `{n}` for the number.
    pub(super) streets: &'static [&'static str],
    pub(super) given_names: &'static [&'static str],
    pub(super) family_names: &'static [&'static str],
    pub(super) company: Company,
}

/// How companies are called there.
#[derive(Debug)]
pub(super) struct Company {
    /// The order of `{subject}`, `{trade}` and `{form}`.
    pub(super) pattern: &'static str,
    pub(super) subjects: &'static [&'static str],
    pub(super) trades: &'static [&'static str],
    pub(super) forms: &'static [&'static str],
}
