//! Names as people type them: in full, or short as `ACCOUNT` and `ACCOUNT/ID`.

const ACCOUNTS: &str = "partnerAccounts/";

/// An account: `contoso` or `partnerAccounts/contoso`.
pub(super) fn account(text: &str) -> Result<String, String> {
    let id = text.strip_prefix(ACCOUNTS).unwrap_or(text);
    let sound = !id.is_empty() && !id.contains('/') && id != "-";
    sound.then(|| format!("{ACCOUNTS}{id}")).ok_or_else(|| "an account is written ACCOUNT, such as contoso".to_owned())
}

/// An account, or `-` for all of them.
pub(super) fn accounts(text: &str) -> Result<String, String> {
    match text.strip_prefix(ACCOUNTS).unwrap_or(text) {
        "-" => Ok(format!("{ACCOUNTS}-")),
        _ => account(text),
    }
}

/// A customer: `contoso/ID` or `partnerAccounts/contoso/customers/ID`.
pub(super) fn customer(text: &str) -> Result<String, String> {
    below("customers", "a customer", text)
}

/// A hold.
pub(super) fn hold(text: &str) -> Result<String, String> {
    below("holds", "a hold", text)
}

/// A decision.
pub(super) fn decision(text: &str) -> Result<String, String> {
    below("decisions", "a decision", text)
}

/// A sync run.
pub(super) fn sync_run(text: &str) -> Result<String, String> {
    below("syncRuns", "a sync run", text)
}

/// A pending link.
pub(super) fn pending_link(text: &str) -> Result<String, String> {
    below("pendingLinks", "a pending link", text)
}

/// An account or a customer, told apart by their parts.
pub(super) fn account_or_customer(text: &str) -> Result<Whose, String> {
    customer(text)
        .map(Whose::Customer)
        .or_else(|_| account(text).map(Whose::Account))
        .map_err(|_| "an account is written ACCOUNT, such as contoso, and a customer ACCOUNT/ID".to_owned())
}

/// What `account_or_customer` found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// The name of an account.
    Account(String),
    /// The name of a customer.
    Customer(String),
}

fn below(collection: &str, what: &str, text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split('/').collect();
    let found = match parts.as_slice() {
        ["partnerAccounts", account, given, id] if *given == collection => Some((account, id)),
        [account, id] if *account != "partnerAccounts" => Some((account, id)),
        _ => None,
    };
    let sound = found.filter(|(account, id)| !account.is_empty() && !id.is_empty());
    sound
        .map(|(account, id)| format!("{ACCOUNTS}{account}/{collection}/{id}"))
        .ok_or_else(|| format!("{what} is written ACCOUNT/ID, or {ACCOUNTS}ACCOUNT/{collection}/ID"))
}

/// The short form of a name: what may be typed for it.
pub(super) fn short(name: &str) -> String {
    let parts: Vec<&str> = name.split('/').collect();
    match parts.as_slice() {
        ["partnerAccounts", account] | ["partnerAccounts", account, "syncStatus"] => (*account).to_owned(),
        ["partnerAccounts", account, _, id] => format!("{account}/{id}"),
        _ => name.to_owned(),
    }
}

/// The account that a name is below.
pub(super) fn account_of(name: &str) -> String {
    name.split('/').nth(1).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_become_full_ones_and_full_ones_stay() {
        let full = "partnerAccounts/contoso/customers/17".to_owned();
        assert_eq!(customer("contoso/17"), Ok(full.clone()));
        assert_eq!(customer(&full), Ok(full.clone()));
        assert_eq!(short(&full), "contoso/17");
        assert_eq!(account("contoso"), Ok("partnerAccounts/contoso".to_owned()));
        assert_eq!(account("partnerAccounts/contoso"), Ok("partnerAccounts/contoso".to_owned()));
        assert_eq!(accounts("-"), Ok("partnerAccounts/-".to_owned()));
        assert_eq!(hold("contoso/0a1b"), Ok("partnerAccounts/contoso/holds/0a1b".to_owned()));
        assert_eq!(short("partnerAccounts/contoso/syncStatus"), "contoso");
    }

    #[test]
    fn names_of_another_form_are_told_theirs() {
        for wrong in ["contoso", "", "contoso/", "/17", "partnerAccounts/contoso", "partnerAccounts/contoso/holds/1"] {
            assert!(customer(wrong).is_err_and(|told| told.contains("ACCOUNT/ID")), "{wrong}");
        }
        for wrong in ["", "-", "contoso/17", "partnerAccounts/"] {
            assert!(account(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_account_and_a_customer_are_told_apart() {
        assert_eq!(account_or_customer("contoso"), Ok(Whose::Account("partnerAccounts/contoso".to_owned())));
        let customer = Whose::Customer("partnerAccounts/contoso/customers/17".to_owned());
        assert_eq!(account_or_customer("contoso/17"), Ok(customer));
        assert!(account_or_customer("a/b/c").is_err());
    }
}
