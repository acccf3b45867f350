//! The table of every setting: what it is called in the file and in the environment, what it is when nobody sets it,
//! an example, and whether its value may be printed. Reading, the template and the documentation follow this table.

/// Every variable of ours begins so.
pub(super) const PREFIX: &str = "CUSTOMER_GUARD_";
/// The variable that names the file.
pub(super) const FILE_VARIABLE: &str = "CUSTOMER_GUARD_CONFIG";
/// The variable that names the accounts.
pub(super) const ACCOUNTS_VARIABLE: &str = "CUSTOMER_GUARD_PARTNER_ACCOUNTS";
/// The table of the file that holds the accounts.
pub(super) const ACCOUNTS_TABLE: &str = "partner_accounts";
/// Every variable of an account begins so, followed by its id.
pub(super) const ACCOUNT_PREFIX: &str = "CUSTOMER_GUARD_PARTNER_ACCOUNT_";

/// Where a setting may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Once for the service.
    Service,
    /// For the service, and differently for an account.
    ServiceAndAccount,
    /// For each account.
    Account,
}

/// What a setting is when nobody sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// Somebody has to set it.
    Required,
    /// This.
    Value(&'static str),
    /// Something that depends on other settings; said in words.
    Derived(&'static str),
}

/// Whether a value may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Printing {
    /// To operators, in problems and in logs.
    Allowed,
    /// Without the user and the password that an address may hold.
    WithoutCredentials,
    /// Never: somebody may have put a secret there by mistake.
    Forbidden,
}

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Its name in the file.
    pub key: &'static str,
    /// Where it may stand.
    pub scope: Scope,
    /// What it is when nobody sets it.
    pub fallback: Fallback,
    /// A value it may have.
    pub example: &'static str,
    /// Whether its value may be shown.
    pub printing: Printing,
    /// What it does.
    pub doc: &'static str,
}

impl Setting {
    /// The variable that sets it; `account` is its id, or `<ID>` in documentation.
    pub fn variable(&self, account: Option<&str>) -> String {
        let key = self.key.to_uppercase();
        match account {
            Some(id) => format!("{ACCOUNT_PREFIX}{}_{key}", id.to_uppercase().replace('-', "_")),
            None => format!("{PREFIX}{key}"),
        }
    }

    /// `key = value` as it stands in the file.
    pub fn assignment(&self, value: &str) -> String {
        // Only numbers stand without quotation marks, and a setting is a number if its example is one.
        let is_number = self.example.parse::<u64>().is_ok() && value.parse::<u64>().is_ok();
        let value = if is_number { value.to_owned() } else { toml::Value::from(value).to_string() };
        format!("{} = {value}", self.key)
    }
}

const fn setting(
    key: &'static str,
    scope: Scope,
    fallback: Fallback,
    example: &'static str,
    doc: &'static str,
) -> Setting {
    Setting { key, scope, fallback, example, printing: Printing::Allowed, doc }
}

/// Where gRPC is served.
pub const LISTEN: Setting = setting(
    "listen",
    Scope::Service,
    Fallback::Value("127.0.0.1:50051"),
    "127.0.0.1:50051",
    "Where gRPC is served. A loopback address only: callers cannot prove who they are yet.",
);
/// Where the database is.
pub const DATABASE: Setting = Setting {
    key: "database",
    scope: Scope::Service,
    fallback: Fallback::Value("customer-guard.db"),
    example: "/var/lib/customer-guard/customer-guard.db",
    printing: Printing::WithoutCredentials,
    doc: "The database file; made if it does not exist, its folder must exist. Or the address of a PostgreSQL database, \
          postgres://user:password@host:5432/database?sslmode=verify-full; its password is best left to the variable.",
};
pub(super) const REPLICA_NAME: Setting = setting(
    "replica_name",
    Scope::Service,
    Fallback::Derived("the machine's name"),
    "guard-1",
    "What this process is called among those that share a PostgreSQL database, where it is told who synchronizes an account.",
);
pub(super) const PORTAL_LINK: Setting = setting(
    "portal_link",
    Scope::Service,
    Fallback::Value("https://partner.microsoft.com/dashboard/v2/customers/{tenant_id}/account"),
    "https://partner.microsoft.com/dashboard/v2/customers/{tenant_id}/account",
    "Where people change a customer in Partner Center, as refusals tell them. {tenant_id} stands for the \
     customer's Microsoft tenant.",
);
pub(super) const REPORT_ONLY_CALLERS: Setting = setting(
    "report_only_callers",
    Scope::Service,
    Fallback::Value(""),
    "loopback/importer, loopback/crm",
    "The callers, by name and separated by commas, to whom the refusal of an edit is only reported: its guarded fields are \
     left as they are, and the rest is written.",
);
pub(super) const CHANGE_LOG_RETENTION: Setting = setting(
    "change_log_retention",
    Scope::Service,
    Fallback::Value("90d"),
    "90d",
    "How long changes of customers are kept. A watch resumes where it was left within this time; after it, it begins \
     with all customers.",
);
pub(super) const SEALING_KEY_FILE: Setting = Setting {
    key: "sealing_key_file",
    scope: Scope::Service,
    fallback: Fallback::Derived("none, and no credentials can be set by a call"),
    example: "/etc/customer-guard/sealing.key",
    printing: Printing::Forbidden,
    doc: "The file that holds the keys under which secrets that come by a call are sealed, readable by its owner only \
          (chmod 600): one key a line, 32 bytes in Base64, as `head -c 32 /dev/urandom | base64` makes them. The first \
          seals and every one opens, so a key is replaced by putting a new one before it. Losing it means setting those \
          credentials again.",
};
pub(super) const WEBHOOK_LISTEN: Setting = setting(
    "webhook_listen",
    Scope::Service,
    Fallback::Derived("none, so that no events come in"),
    "127.0.0.1:8443",
    "Where Partner Center's events come in, as plain HTTP behind whatever ends TLS for webhook_public_url. Without it \
     nothing is registered; the audit log is read either way.",
);
pub(super) const WEBHOOK_PUBLIC_URL: Setting = setting(
    "webhook_public_url",
    Scope::Service,
    Fallback::Derived("none; required with webhook_listen"),
    "https://hooks.example.com",
    "The https address under which Partner Center reaches webhook_listen. It is registered in Partner Center, with a \
     secret path, for every account whose registration is nobody's; somebody else's is left alone.",
);
pub(super) const WEBHOOK_CERTIFICATE_HOSTS: Setting = setting(
    "webhook_certificate_hosts",
    Scope::Service,
    Fallback::Value("3psostorageacct.blob.core.windows.net"),
    "3psostorageacct.blob.core.windows.net",
    "The hosts the certificates of events are fetched from: exact names, separated by commas.",
);
pub(super) const WEBHOOK_SIGNER_ROOTS_FILE: Setting = setting(
    "webhook_signer_roots_file",
    Scope::Service,
    Fallback::Derived("none; required with webhook_listen"),
    "/etc/customer-guard/webhook-roots.pem",
    "The certificates that those of events must stand on, in PEM form: roots, and the intermediates below them. No \
     others count. There is no default because Microsoft does not publish which they are: look at the certificate \
     your own events name.",
);
pub(super) const WEBHOOK_SIGNER_NAMES: Setting = setting(
    "webhook_signer_names",
    Scope::Service,
    Fallback::Value("pcnotifications-dispatch.microsoft.com"),
    "pcnotifications-dispatch.microsoft.com",
    "What the certificate of an event may be called, separated by commas; its organization is always Microsoft \
     Corporation.",
);
pub(super) const WEBHOOK_SECRET_MAX_AGE: Setting = setting(
    "webhook_secret_max_age",
    Scope::Service,
    Fallback::Value("90d"),
    "90d",
    "How old the secret in the path of an account's webhook may become before another one is registered; the former one is \
     honoured for a while.",
);
/// What is logged.
pub const LOG: Setting = setting(
    "log",
    Scope::Service,
    Fallback::Value("info"),
    "info,customer_guard::sync=debug",
    "What is logged: error, warn, info, debug or trace, also by module.",
);
/// How a line of the log looks.
pub const LOG_FORMAT: Setting = setting(
    "log_format",
    Scope::Service,
    Fallback::Value("json"),
    "text",
    "How it is logged to standard output: json, one object a line, or text for people.",
);
pub(super) const NIGHT: Setting = setting(
    "night",
    Scope::ServiceAndAccount,
    Fallback::Value("0 2 * * *"),
    "30 1 * * *",
    "When the nightly full sync starts: a cron expression of minute, hour, day, month and weekday.",
);
pub(super) const TIME_ZONE: Setting = setting(
    "time_zone",
    Scope::ServiceAndAccount,
    Fallback::Value("UTC"),
    "Europe/Riga",
    "The IANA time zone of that night.",
);
pub(super) const AUDIT_INTERVAL: Setting = setting(
    "audit_interval",
    Scope::ServiceAndAccount,
    Fallback::Value("60s"),
    "60s",
    "How often the audit log is read; a change in Partner Center arrives within about this time.",
);
pub(super) const LIST_INTERVAL: Setting = setting(
    "list_interval",
    Scope::ServiceAndAccount,
    Fallback::Value("15m"),
    "15m",
    "How often the customer list is read; finds new customers that the audit log does not tell of.",
);
pub(super) const VERIFY_WITHIN: Setting = setting(
    "verify_within",
    Scope::ServiceAndAccount,
    Fallback::Value("24h"),
    "24h",
    "Within this time after its last verification a customer is promised to be verified again: by the nightly sync, or by itself when no night reached it.",
);
pub(super) const MANUAL_SYNC_COOLDOWN: Setting = setting(
    "manual_sync_cooldown",
    Scope::ServiceAndAccount,
    Fallback::Value("60m"),
    "60m",
    "How long after a full sync nobody may start another by hand.",
);
pub(super) const REQUESTS_PER_MINUTE: Setting = setting(
    "requests_per_minute",
    Scope::ServiceAndAccount,
    Fallback::Value("400"),
    "400",
    "How many calls to Partner Center an account makes a minute at most. Microsoft publishes 500 for customers and \
     shares them among all software of the partner.",
);
pub(super) const CONCURRENCY: Setting = setting(
    "concurrency",
    Scope::ServiceAndAccount,
    Fallback::Value("4"),
    "4",
    "How many of these calls are open at a time, at most.",
);
pub(super) const KIND: Setting = setting(
    "kind",
    Scope::Account,
    Fallback::Required,
    "DIRECT_BILL",
    "How the partner sells: DIRECT_BILL, INDIRECT_PROVIDER or INDIRECT_RESELLER.",
);
pub(super) const CLOUD: Setting = setting(
    "cloud",
    Scope::Account,
    Fallback::Value("GLOBAL"),
    "GLOBAL",
    "Which of Microsoft's clouds the partner's tenant lives in: GLOBAL, US_GOVERNMENT or CHINA.",
);
pub(super) const TENANT_ID: Setting = setting(
    "tenant_id",
    Scope::Account,
    Fallback::Required,
    "11111111-1111-4111-8111-111111111111",
    "The partner's own Microsoft tenant. Never changes for an account.",
);
pub(super) const DISPLAY_NAME: Setting = setting(
    "display_name",
    Scope::Account,
    Fallback::Derived("the account's id"),
    "Contoso Distribution",
    "The account's name for people.",
);
pub(super) const CLIENT_ID: Setting = setting(
    "client_id",
    Scope::Account,
    Fallback::Required,
    "22222222-2222-4222-8222-222222222222",
    "The application (client) id registered for this service in the partner's tenant.",
);
pub(super) const CLIENT_SECRET_FILE: Setting = Setting {
    key: "client_secret_file",
    scope: Scope::Account,
    fallback: Fallback::Derived("required without client_certificate_file"),
    example: "/etc/customer-guard/contoso.secret",
    printing: Printing::Forbidden,
    doc: "The file that holds the application's secret, readable by its owner only (chmod 600). The secret itself \
          never stands in the configuration.",
};
pub(super) const CLIENT_CERTIFICATE_FILE: Setting = Setting {
    key: "client_certificate_file",
    scope: Scope::Account,
    fallback: Fallback::Derived("none; instead of client_secret_file"),
    example: "/etc/customer-guard/contoso.pem",
    printing: Printing::Forbidden,
    doc: "The file that holds the application's certificate and its private key (RSA of at least 2048 bits, PKCS#8) in PEM \
          form, readable by its owner only (chmod 600). The application then signs in with it instead of a secret.",
};
pub(super) const REFRESH_TOKEN_FILE: Setting = Setting {
    key: "refresh_token_file",
    scope: Scope::Account,
    fallback: Fallback::Derived("none, and no call is made for a user"),
    example: "/etc/customer-guard/contoso.refresh-token",
    printing: Printing::Forbidden,
    doc: "The file that holds a refresh token of a user of the partner, from a sign-in with multi-factor authentication, \
          readable by its owner only (chmod 600). It is the first one: each use brings a newer one, which is kept sealed in \
          the database, so sealing_key_file is needed. A file with another token replaces what is kept at the next start.",
};
pub(super) const API_ROOT: Setting = setting(
    "api_root",
    Scope::Account,
    Fallback::Derived("the cloud's"),
    "https://api.partnercenter.microsoft.com",
    "The root of the Partner Center API.",
);
pub(super) const AUTHORITY: Setting = setting(
    "authority",
    Scope::Account,
    Fallback::Derived("the cloud's"),
    "https://login.microsoftonline.com",
    "The sign-in service.",
);
pub(super) const AUDIENCE: Setting = setting(
    "audience",
    Scope::Account,
    Fallback::Derived("the cloud's"),
    "https://api.partnercenter.microsoft.com",
    "Whom access tokens are asked for.",
);

pub(super) const WEBHOOK_REPLACE_URL: Setting = Setting {
    key: "webhook_replace_url",
    scope: Scope::Account,
    fallback: Fallback::Derived("none"),
    example: "https://former.example.com/hook",
    printing: Printing::Forbidden,
    doc: "A webhook registration of somebody else's that may be replaced: exactly this address. Any other is left \
          alone.",
};

/// Every setting, in the order of the documentation.
pub const ALL: [&Setting; 35] = [
    &LISTEN,
    &DATABASE,
    &REPLICA_NAME,
    &PORTAL_LINK,
    &REPORT_ONLY_CALLERS,
    &CHANGE_LOG_RETENTION,
    &SEALING_KEY_FILE,
    &WEBHOOK_LISTEN,
    &WEBHOOK_PUBLIC_URL,
    &WEBHOOK_CERTIFICATE_HOSTS,
    &WEBHOOK_SIGNER_ROOTS_FILE,
    &WEBHOOK_SIGNER_NAMES,
    &WEBHOOK_SECRET_MAX_AGE,
    &LOG,
    &LOG_FORMAT,
    &NIGHT,
    &TIME_ZONE,
    &AUDIT_INTERVAL,
    &LIST_INTERVAL,
    &VERIFY_WITHIN,
    &MANUAL_SYNC_COOLDOWN,
    &REQUESTS_PER_MINUTE,
    &CONCURRENCY,
    &KIND,
    &CLOUD,
    &TENANT_ID,
    &DISPLAY_NAME,
    &CLIENT_ID,
    &CLIENT_SECRET_FILE,
    &CLIENT_CERTIFICATE_FILE,
    &REFRESH_TOKEN_FILE,
    &API_ROOT,
    &AUTHORITY,
    &AUDIENCE,
    &WEBHOOK_REPLACE_URL,
];

/// The settings that may stand for the service.
pub(super) fn of_service() -> impl Iterator<Item = &'static Setting> {
    ALL.into_iter().filter(|setting| setting.scope != Scope::Account)
}

/// The settings that may stand for an account.
pub(super) fn of_account() -> impl Iterator<Item = &'static Setting> {
    ALL.into_iter().filter(|setting| setting.scope != Scope::Service)
}

/// The variables that documentation has to name, each once; an account's with `<ID>` for its id.
pub fn documented_variables() -> Vec<String> {
    let mut variables = vec![FILE_VARIABLE.to_owned(), ACCOUNTS_VARIABLE.to_owned()];
    for setting in ALL {
        let account = (setting.scope == Scope::Account).then_some("<ID>");
        variables.push(setting.variable(account));
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_variable_holds_the_id_in_capitals() {
        assert_eq!(TENANT_ID.variable(Some("north-wind")), "CUSTOMER_GUARD_PARTNER_ACCOUNT_NORTH_WIND_TENANT_ID");
        assert_eq!(LISTEN.variable(None), "CUSTOMER_GUARD_LISTEN");
    }

    #[test]
    fn numbers_stand_without_quotation_marks() {
        assert_eq!(CONCURRENCY.assignment("4"), "concurrency = 4");
        assert_eq!(LOG_FORMAT.assignment("text"), "log_format = \"text\"");
    }

    #[test]
    fn no_account_variable_can_be_read_as_another_account_s() {
        // With an id `a-b` beside `a`, a setting `b_x` beside `x` would be one variable for two things.
        for one in of_account() {
            for other in of_account() {
                assert!(!one.key.ends_with(&format!("_{}", other.key)), "{} {}", one.key, other.key);
            }
        }
    }
}
