//! What the configuration promises as a whole.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::store::DatabaseAddress;
use crate::webhook::test_authority::TestAuthority;

/// A sealing key, as a line of its file.
const KEY: &str = "MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA=\n";

/// A folder with a file and a secret in it.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }

    fn secret(&self, text: &str) -> PathBuf {
        let path = self.write("secret", text);
        set_mode(&path, 0o600);
        path
    }

    fn sealing_keys(&self, text: &str) -> PathBuf {
        let path = self.write("sealing.key", text);
        set_mode(&path, 0o600);
        path
    }

    /// A file with a certificate authority.
    fn roots(&self) -> PathBuf {
        self.write("roots.pem", &TestAuthority::new("Signers").pem())
    }

    fn account(&self, id: &str, tenant: u8) -> String {
        let secret = self.secret("a-client-secret\n");
        format!(
            "[partner_accounts.{id}]\nkind = \"DIRECT_BILL\"\ntenant_id = \"{tenant:08}-1111-4111-8111-111111111111\"\n\
             client_id = \"22222222-2222-4222-8222-222222222222\"\nclient_secret_file = {:?}\n",
            secret.display().to_string()
        )
    }

    fn read(&self, text: &str, variables: &[(&str, &str)]) -> Result<Config, Problems> {
        read(Some(&self.write("config.toml", text)), variables, &[])
    }
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
}

fn read(file: Option<&Path>, variables: &[(&str, &str)], flags: &[(&'static str, String)]) -> Result<Config, Problems> {
    let environment = Environment::of(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Config::read(Sources { file, environment: &environment, flags })
}

/// The problems, each as its key and what is wrong.
fn problems(read: Result<Config, Problems>) -> Vec<(String, String)> {
    read.expect_err("problems").0.into_iter().map(|problem| (problem.key, problem.what)).collect()
}

fn only_problem(read: Result<Config, Problems>) -> (String, String) {
    let mut found = problems(read);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// The template as it is when every setting it shows is set, of two of which there is one the secret.
fn filled_template(folder: &Folder) -> String {
    let files = [
        ("/etc/customer-guard/contoso.secret", folder.secret("s3cret")),
        ("/etc/customer-guard/sealing.key", folder.sealing_keys(KEY)),
        ("/etc/customer-guard/webhook-roots.pem", folder.roots()),
        ("/etc/customer-guard/contoso.refresh-token", folder.secret("s3cret")),
    ];
    let template = template();
    let lines = template.lines().map(uncomment).filter(|line| !line.starts_with("client_certificate_file"));
    let uncommented = lines.collect::<Vec<_>>().join("\n");
    files.iter().fold(uncommented, |text, (shown, file)| text.replace(shown, &file.display().to_string()))
}

fn uncomment(line: &str) -> &str {
    match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|first: char| first.is_ascii_lowercase() || first == '[') => rest,
        Some(_) | None => line,
    }
}

#[test]
fn the_template_read_back_is_the_defaults() {
    let folder = Folder::new();
    let filled = folder.read(&filled_template(&folder), &[]).expect("a sound template");
    let least = folder.read(&folder.account("contoso", 1), &[]).expect("a sound file");
    assert_eq!(filled.app.listen, least.app.listen);
    assert_eq!(filled.app.database, least.app.database);
    assert_eq!(filled.app.portal, least.app.portal);
    assert_eq!(filled.log, least.log);
    assert_eq!(filled.app.accounts[0].policy, least.app.accounts[0].policy);
    assert_eq!(filled.app.accounts[0].partner_center.endpoints, least.app.accounts[0].partner_center.endpoints);
    assert_eq!(filled.effective.len(), settings::ALL.len() - 1, "all but the certificate");
    let untouched = problems(folder.read(&template(), &[]));
    let expected = "there is no partner account, so there is nothing to serve; with a sealing_key_file they may come from \
                    the API";
    assert_eq!(untouched[0].1, expected);
}

#[test]
fn every_problem_is_told_at_once() {
    let folder = Folder::new();
    let text = format!(
        "lisen = \"x\"\nlisten = \"0.0.0.0:1\"\nnight = \"at two\"\ntime_zone = \"Mars/Olympus\"\naudit_interval = \"soon\"\n\
         concurrency = 0\nlog = \"customer_guard=loud\"\nlog_format = \"xml\"\nportal_link = \"http://a.example\"\n\
         verify_within = true\n{}client_secret = \"hunter2\"\nlist_interval = \"0s\"\napi_root = \"http://a.example\"\n\
         [partner_accounts.Second]\n[partner_accounts.third]\ncloud = \"GERMANY\"\n",
        folder.account("first", 1)
    );
    let found = folder.read(&text, &[("CUSTOMER_GUARD_DATBASE", "x")]).expect_err("problems");
    let keys: Vec<&str> = found.0.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "lisen",
            "partner_accounts.first.client_secret",
            "listen",
            "portal_link",
            "log",
            "log_format",
            "night",
            "time_zone",
            "audit_interval",
            "verify_within",
            "concurrency",
            "partner_accounts.Second",
            "CUSTOMER_GUARD_DATBASE",
            "partner_accounts.first.api_root",
            "partner_accounts.first.list_interval",
            "partner_accounts.third.tenant_id",
            "partner_accounts.third.kind",
            "partner_accounts.third.cloud",
            "partner_accounts.third.client_id",
            "partner_accounts.third.client_secret_file",
        ]
    );
    let told = found.to_string();
    assert!(!told.contains("hunter2"), "{told}");
    for part in
        ["did you mean listen?", "CUSTOMER_GUARD_LISTEN", "Example: listen = \"127.0.0.1:50051\"", "20 problems"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn flags_win_over_the_environment_over_the_file_over_the_default() {
    let folder = Folder::new();
    let text =
        format!("listen = \"127.0.0.1:1\"\nconcurrency = 2\nnight = \"0 1 * * *\"\n{}", folder.account("contoso", 1));
    let file = folder.write("config.toml", &text);
    let variables = [("CUSTOMER_GUARD_LISTEN", "127.0.0.1:2"), ("CUSTOMER_GUARD_CONCURRENCY", "3")];
    let config = read(Some(&file), &variables, &[("listen", "127.0.0.1:3".to_owned())]).expect("a sound configuration");
    assert_eq!(config.app.listen.port(), 3);
    assert_eq!(config.app.accounts[0].partner_center.concurrency.get(), 3);
    let origins: Vec<_> = config.effective.iter().map(|one| (one.assignment.as_str(), one.origin)).collect();
    for expected in [
        ("listen = \"127.0.0.1:3\"", Origin::Flag),
        ("concurrency = 3", Origin::Environment),
        ("night = \"0 1 * * *\"", Origin::File),
        ("log = \"info\"", Origin::Default),
    ] {
        assert!(origins.contains(&expected), "{expected:?} in {origins:?}");
    }
}

#[test]
fn an_account_may_differ_from_the_service() {
    let folder = Folder::new();
    let text = format!(
        "audit_interval = \"30s\"\n{}requests_per_minute = 90\ntime_zone = \"Europe/Riga\"\n{}",
        folder.account("contoso", 1),
        folder.account("northwind", 2)
    );
    let variables = [("CUSTOMER_GUARD_PARTNER_ACCOUNT_NORTHWIND_AUDIT_INTERVAL", "10s")];
    let config = folder.read(&text, &variables).expect("a sound configuration");
    let [contoso, northwind] = config.app.accounts.as_slice() else { panic!("two accounts") };
    assert_eq!(contoso.policy.audit_interval, Duration::from_secs(30));
    assert_eq!(northwind.policy.audit_interval, Duration::from_secs(10));
    assert_eq!(contoso.partner_center.requests_per_minute.get(), 90);
    assert_eq!(northwind.partner_center.requests_per_minute.get(), 400);
    assert_ne!(contoso.policy.night, northwind.policy.night);
}

#[test]
fn accounts_may_come_from_the_environment_alone() {
    let folder = Folder::new();
    let secret = folder.secret("s").display().to_string();
    let variables = [
        ("CUSTOMER_GUARD_PARTNER_ACCOUNTS", "north-wind"),
        ("CUSTOMER_GUARD_PARTNER_ACCOUNT_NORTH_WIND_KIND", "INDIRECT_PROVIDER"),
        ("CUSTOMER_GUARD_PARTNER_ACCOUNT_NORTH_WIND_TENANT_ID", "11111111-1111-4111-8111-111111111111"),
        ("CUSTOMER_GUARD_PARTNER_ACCOUNT_NORTH_WIND_CLIENT_ID", "22222222-2222-4222-8222-222222222222"),
        ("CUSTOMER_GUARD_PARTNER_ACCOUNT_NORTH_WIND_CLIENT_SECRET_FILE", secret.as_str()),
        ("CUSTOMER_GUARD_LOG_FORMAT", ""),
    ];
    let config = read(None, &variables, &[]).expect("a sound configuration");
    assert_eq!(config.app.accounts[0].account.id.as_str(), "north-wind");
    assert_eq!(config.app.accounts[0].account.display_name, "north-wind");
}

#[test]
fn the_list_in_the_environment_chooses_among_the_file_s_accounts() {
    let folder = Folder::new();
    let text = format!("{}{}", folder.account("contoso", 1), folder.account("northwind", 2));
    let config =
        folder.read(&text, &[("CUSTOMER_GUARD_PARTNER_ACCOUNTS", "northwind")]).expect("a sound configuration");
    assert_eq!(config.app.accounts.len(), 1);
}

#[test]
fn variables_that_container_platforms_set_are_let_pass() {
    let folder = Folder::new();
    let platform = [
        ("CUSTOMER_GUARD_SERVICE_HOST", "192.0.2.1"),
        ("CUSTOMER_GUARD_PORT", "tcp://192.0.2.1:50051"),
        ("CUSTOMER_GUARD_PORT_50051_TCP_ADDR", "192.0.2.1"),
    ];
    assert!(folder.read(&folder.account("contoso", 1), &platform).is_ok());
    let misspelt =
        [("CUSTOMER_GUARD_PARTNER_ACCOUNT_CONTOSO_KINDS", "x"), ("CUSTOMER_GUARD_PARTNER_ACCOUNT_OTHER_KIND", "x")];
    let found = problems(folder.read(&folder.account("contoso", 1), &misspelt));
    assert!(found[0].1.contains("did you mean CUSTOMER_GUARD_PARTNER_ACCOUNT_CONTOSO_KIND?"), "{found:?}");
    assert!(found[1].1.contains("CUSTOMER_GUARD_PARTNER_ACCOUNTS lists the accounts"), "{found:?}");
}

#[test]
fn two_accounts_of_one_tenant_are_refused() {
    let folder = Folder::new();
    let text = format!("{}{}", folder.account("contoso", 1), folder.account("northwind", 1));
    let (key, what) = only_problem(folder.read(&text, &[]));
    assert_eq!(key, "partner_accounts.northwind.tenant_id");
    assert!(what.contains("partner_accounts.contoso already"), "{what}");
}

#[test]
fn a_secret_file_has_to_be_there_full_and_private() {
    let folder = Folder::new();
    let text = folder.account("contoso", 1);
    for (secret, mode, expected) in [
        ("", 0o600, "names an empty file"),
        ("two words", 0o600, "more than a secret"),
        ("s", 0o640, "chmod 600"),
        ("s", 0o604, "chmod 600"),
        (&"x".repeat(5000), 0o600, "too long"),
    ] {
        set_mode(&folder.secret(secret), mode);
        let (key, what) = only_problem(folder.read(&text, &[]));
        assert_eq!(key, "partner_accounts.contoso.client_secret_file");
        assert!(what.contains(expected), "{what}");
        assert!(!what.contains("/secret"), "{what}");
    }
    std::fs::remove_file(folder.0.path().join("secret")).expect("removed");
    assert!(only_problem(folder.read(&text, &[])).1.contains("does not exist"));
}

#[test]
fn secrets_are_never_shown() {
    let folder = Folder::new();
    let config = folder.read(&folder.account("contoso", 1), &[]).expect("a sound configuration");
    let shown = format!("{config:?}");
    assert!(!shown.contains("a-client-secret"), "{shown}");
    assert!(shown.contains("client_secret_file = (not shown)"), "{shown}");
}

#[test]
fn a_file_that_is_no_toml_is_told_by_its_line_only() {
    let folder = Folder::new();
    let (_, what) = only_problem(folder.read("listen = \"127.0.0.1:1\"\nclient_secret = hunter2 x\n", &[]));
    assert!(what.contains("line 2") && !what.contains("hunter2"), "{what}");
    let missing = folder.0.path().join("missing.toml");
    assert!(only_problem(read(Some(&missing), &[], &[])).1.contains("cannot be read"));
}

#[test]
fn a_migration_needs_no_account() {
    let environment = Environment::of([("CUSTOMER_GUARD_DATABASE".to_owned(), "a.db".to_owned())]);
    let sources = Sources { file: None, environment: &environment, flags: &[] };
    assert_eq!(Config::read_database(sources), Ok(DatabaseAddress::of("a.db")));
}

#[test]
fn with_a_sealing_key_the_accounts_may_come_from_the_api_alone() {
    let folder = Folder::new();
    let text = |path: &Path| format!("night = \"0 3 * * *\"\nsealing_key_file = {:?}\n", path.display().to_string());
    let config = folder.read(&text(&folder.sealing_keys(KEY)), &[]).expect("a sound configuration");
    assert!(config.app.accounts.is_empty() && config.app.sealing_keys.is_some());
    assert_eq!(config.app.api_accounts.pace.policy.night.expression(), "0 3 * * *");
    assert!(config.app.api_accounts.endpoints.is_none(), "accounts of the API are reached where their cloud is");
}

#[test]
fn a_sealing_key_file_has_to_be_private_and_hold_keys_and_is_never_shown() {
    let folder = Folder::new();
    let path = folder.sealing_keys(KEY);
    let text = format!("sealing_key_file = {:?}\n{}", path.display().to_string(), folder.account("contoso", 1));
    let shown = format!("{:?}", folder.read(&text, &[]).expect("a sound configuration"));
    assert!(shown.contains("sealing_key_file = (not shown)") && !shown.contains(KEY.trim()), "{shown}");
    for (keys, mode, expected) in [
        (KEY, 0o640, "chmod 600"),
        ("\n", 0o600, "holds no key"),
        ("hunter2\n", 0o600, "holds no key on line 1"),
        (&format!("{KEY}{KEY}"), 0o600, "the same key twice"),
    ] {
        set_mode(&folder.sealing_keys(keys), mode);
        let (key, what) = only_problem(folder.read(&text, &[]));
        assert_eq!(key, "sealing_key_file");
        assert!(what.contains(expected) && !what.contains("hunter2") && !what.contains("sealing.key"), "{what}");
    }
}

#[test]
fn a_webhook_listener_needs_an_address_and_roots_and_nothing_of_it_is_needed_without() {
    let folder = Folder::new();
    let account = folder.account("contoso", 1);
    assert!(folder.read(&account, &[]).expect("sound").app.webhook.is_none());
    let listen = ("CUSTOMER_GUARD_WEBHOOK_LISTEN", "0.0.0.0:8443");
    let public = ("CUSTOMER_GUARD_WEBHOOK_PUBLIC_URL", "https://hooks.example.com");
    let roots = folder.roots().display().to_string();
    let roots = ("CUSTOMER_GUARD_WEBHOOK_SIGNER_ROOTS_FILE", roots.as_str());
    let missing = problems(folder.read(&account, &[listen]));
    let missing: Vec<_> = missing.iter().map(|(key, what)| (key.as_str(), what.as_str())).collect();
    let what = "is required with webhook_listen";
    assert_eq!(missing, [("webhook_public_url", what), ("webhook_signer_roots_file", what)]);
    assert!(only_problem(folder.read(&account, &[public])).1.contains("no effect without webhook_listen"));
    let webhook = folder.read(&account, &[listen, public, roots]).expect("sound").app.webhook.expect("a listener");
    assert_eq!(webhook.listen.to_string(), "0.0.0.0:8443");
    assert_eq!(webhook.secret_max_age, Duration::from_secs(90 * 24 * 3600));
    for (age, wrong) in [("23h", "is shorter than 1d"), ("3651d", "is longer than 3650d"), ("soon", "is no duration")] {
        let age = ("CUSTOMER_GUARD_WEBHOOK_SECRET_MAX_AGE", age);
        let (key, what) = only_problem(folder.read(&account, &[listen, public, roots, age]));
        assert!(key == "webhook_secret_max_age" && what.contains(wrong), "{key} {what}");
    }
    let age = ("CUSTOMER_GUARD_WEBHOOK_SECRET_MAX_AGE", "1d");
    let webhook = folder.read(&account, &[listen, public, roots, age]).expect("sound").app.webhook.expect("a listener");
    assert_eq!(webhook.secret_max_age, Duration::from_secs(24 * 3600));
    let no_roots = ("CUSTOMER_GUARD_WEBHOOK_SIGNER_ROOTS_FILE", "/nowhere/roots.pem");
    let (key, what) = only_problem(folder.read(&account, &[listen, public, no_roots]));
    assert_eq!(key, "webhook_signer_roots_file");
    assert!(what.contains("names a file that cannot be read"), "{what}");
}

#[test]
fn the_address_of_a_registration_that_may_be_replaced_is_never_shown() {
    let folder = Folder::new();
    let replace = "webhook_replace_url = \"https://former.example/secret-path\"\n";
    let config = folder.read(&format!("{}{replace}", folder.account("contoso", 1)), &[]).expect("sound");
    assert!(config.app.accounts[0].webhook_replace_url.is_some());
    assert!(!format!("{config:?}").contains("secret-path"));
}

/// An account that signs in by what `lines` say.
fn signing_in(lines: &str) -> String {
    format!(
        "[partner_accounts.contoso]\nkind = \"DIRECT_BILL\"\ntenant_id = \"11111111-1111-4111-8111-111111111111\"\n\
         client_id = \"22222222-2222-4222-8222-222222222222\"\n{lines}"
    )
}

fn private(folder: &Folder, name: &str, text: &str) -> String {
    let path = folder.write(name, text);
    set_mode(&path, 0o600);
    format!("{:?}", path.display().to_string())
}

fn certificate() -> String {
    use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key");
    let made = CertificateParams::new(Vec::new()).expect("sound parameters").self_signed(&key).expect("a certificate");
    format!("{}{}", made.pem(), key.serialize_pem())
}

#[test]
fn an_account_signs_in_by_a_secret_or_by_a_certificate_and_not_by_both() {
    let folder = Folder::new();
    let pem = private(&folder, "contoso.pem", &certificate());
    let secret = private(&folder, "contoso.secret", "a-client-secret\n");
    let config = folder.read(&signing_in(&format!("client_certificate_file = {pem}\n")), &[]).expect("sound settings");
    assert!(matches!(config.app.accounts[0].partner_center.credential, crate::sign_in::Credential::Certificate(_)));
    let both = signing_in(&format!("client_certificate_file = {pem}\nclient_secret_file = {secret}\n"));
    let (key, what) = only_problem(folder.read(&both, &[]));
    assert_eq!(key, "partner_accounts.contoso.client_certificate_file");
    assert!(what.contains("one of them"), "{what}");
    let (key, what) = only_problem(folder.read(&signing_in(""), &[]));
    assert_eq!(key, "partner_accounts.contoso.client_secret_file");
    assert!(what.contains("client_certificate_file"), "{what}");
}

#[test]
fn a_file_that_holds_no_certificate_with_its_key_is_told_without_its_text() {
    let folder = Folder::new();
    let spoilt = private(&folder, "contoso.pem", "hunter2\n");
    let (key, what) = only_problem(folder.read(&signing_in(&format!("client_certificate_file = {spoilt}\n")), &[]));
    assert_eq!(key, "partner_accounts.contoso.client_certificate_file");
    assert!(what.contains("no certificate") && what.contains("no private key"), "{what}");
    assert!(!what.contains("hunter2"), "{what}");
}

#[test]
fn a_refresh_token_needs_a_sealing_key() {
    let folder = Folder::new();
    let secret = private(&folder, "contoso.secret", "a-client-secret\n");
    let token = private(&folder, "contoso.token", &format!("{}\n", "t".repeat(6000)));
    let lines = signing_in(&format!("client_secret_file = {secret}\nrefresh_token_file = {token}\n"));
    let (key, what) = only_problem(folder.read(&lines, &[]));
    assert_eq!(key, "partner_accounts.contoso.refresh_token_file");
    assert!(what.contains("sealing_key_file"), "{what}");
    let keys = folder.sealing_keys("MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA=\n");
    let keyed = format!("sealing_key_file = {:?}\n{lines}", keys.display().to_string());
    let config = folder.read(&keyed, &[]).expect("sound settings");
    assert!(config.app.accounts[0].refresh_token.is_some());
    let shown: String = config.effective.iter().map(|setting| setting.assignment.clone()).collect();
    assert!(shown.contains("refresh_token_file = (not shown)") && !shown.contains("ttt"), "{shown}");
}
