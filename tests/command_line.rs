//! The program as people and service managers meet it: what it prints, how it ends, and that it ends in time.
//!
//! Nothing waits a fixed time: every wait is for a line or an end, with a deadline.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use customer_guard::config::settings::documented_variables;
use customer_guard::grpc::proto;
use customer_guard::grpc::proto::customer_service_client::CustomerServiceClient;
use futures::StreamExt;
use tempfile::TempDir;

/// Far more than anything here takes, so that a slow machine is no failure.
const DEADLINE: Duration = Duration::from_secs(60);
/// What is promised of an end.
const STOPS_WITHIN: Duration = Duration::from_secs(5);

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_customer-guard"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

#[test]
fn the_program_holds_none_of_the_bugs_that_tests_plant() {
    // The variable that would choose one is in the code of each; see `src/planted.rs`.
    let program = std::fs::read(env!("CARGO_BIN_EXE_customer-guard")).expect("the program is there");
    let variable = concat!("PLANTED", "_BUG").as_bytes();
    assert!(!program.windows(variable.len()).any(|bytes| bytes == variable));
}

fn output(arguments: &[&str]) -> Output {
    program(arguments).output().expect("the program starts")
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("text")
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("text")
}

fn text_of(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}

fn folder() -> TempDir {
    TempDir::new().expect("a folder")
}

/// The template as it is when every setting it shows is set.
fn filled_template(folder: &Path) -> String {
    let secret = folder.join("contoso.secret");
    std::fs::write(&secret, "a-client-secret\n").expect("a file");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    let keys = folder.join("sealing.key");
    std::fs::write(&keys, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n").expect("a file");
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    let token = folder.join("contoso.refresh-token");
    std::fs::write(&token, "a-refresh-token\n").expect("a file");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    let template = output(&["config", "template"]);
    let uncommented = stdout(&template).lines().map(|line| match line.strip_prefix('#') {
        // It stands instead of the secret.
        Some(rest) if rest.starts_with("client_certificate_file") => line,
        Some(rest) if rest.starts_with(|first: char| first.is_ascii_lowercase() || first == '[') => rest,
        Some(_) | None => line,
    });
    let filled = uncommented.collect::<Vec<_>>().join("\n");
    let filled = filled.replace("/etc/customer-guard/contoso.secret", text_of(&secret));
    let filled = filled.replace("/etc/customer-guard/contoso.refresh-token", text_of(&token));
    let filled = filled.replace("/etc/customer-guard/sealing.key", text_of(&keys));
    let filled = filled.replace("\"customer-guard.db\"", &format!("{:?}", folder.join("cg.db")));
    let roots = folder.join("roots.pem");
    let authority = rcgen::generate_simple_self_signed(["signers.example".to_owned()]).expect("a certificate");
    std::fs::write(&roots, authority.cert.pem()).expect("a file");
    let filled = filled.replace("/etc/customer-guard/webhook-roots.pem", text_of(&roots));
    filled.replace("127.0.0.1:50051", "127.0.0.1:0").replace("127.0.0.1:8443", "127.0.0.1:0")
}

#[test]
fn a_broken_configuration_ends_with_78_and_every_problem() {
    let folder = folder();
    let file = folder.path().join("config.toml");
    let text = "lisen = \"x\"\nlisten = \"0.0.0.0:50051\"\nnight = \"at two\"\n[partner_accounts.contoso]\n\
                kind = \"SHOP\"\nclient_secret = \"hunter2\"\n";
    std::fs::write(&file, text).expect("a file");
    for command in [["config", "check"].as_slice(), ["serve"].as_slice()] {
        let ended = output(&[command, &["--config", text_of(&file)]].concat());
        assert_eq!(ended.status.code(), Some(78), "{command:?}");
        let told = stderr(&ended);
        for part in [
            "the configuration has 8 problems",
            "did you mean listen?",
            "listen (CUSTOMER_GUARD_LISTEN)",
            "callers cannot prove who they are",
            "is not a cron expression",
            "partner_accounts.contoso.kind",
            "(CUSTOMER_GUARD_PARTNER_ACCOUNT_CONTOSO_KIND)",
            "name the file in",
            "partner_accounts.contoso.tenant_id",
            "partner_accounts.contoso.client_id",
            "partner_accounts.contoso.client_secret_file",
        ] {
            assert!(told.contains(part), "{part} is missing in: {told}");
        }
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn a_filled_template_is_a_sound_configuration() {
    let folder = folder();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, filled_template(folder.path())).expect("a file");
    let checked = output(&["config", "check", "--config", text_of(&file)]);
    assert_eq!(checked.status.code(), Some(0), "{}", stderr(&checked));
    let told = stdout(&checked);
    assert!(told.contains("[partner_accounts.contoso]") && told.contains("client_secret_file = (not shown)"), "{told}");
    assert!(!told.contains("a-client-secret") && !told.contains("a-refresh-token"), "{told}");
}

#[test]
fn the_readme_names_every_variable() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("a README");
    let section = readme.split("\n## ").find(|section| section.starts_with("Configuration\n")).expect("the section");
    let rows = section.lines().filter(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(2)).map(str::trim);
    let named: BTreeSet<String> = cells.filter_map(|cell| Some(cell.split('`').nth(1)?.to_owned())).collect();
    assert_eq!(named, BTreeSet::from_iter(documented_variables()));
}

#[test]
fn the_version_is_printed() {
    let told = output(&["version"]);
    assert_eq!(stdout(&told).trim(), concat!("customer-guard ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_migration_says_from_where_to_where() {
    let folder = folder();
    let database = folder.path().join("cg.db");
    let first = output(&["migrate", "--database", text_of(&database)]);
    assert!(stdout(&first).contains("made, with schema"), "{}", stderr(&first));
    let second = output(&["migrate", "--database", text_of(&database)]);
    assert!(stdout(&second).contains("is up to date"), "{}", stderr(&second));
    let audited = output(&["audit", "verify", "--database", text_of(&folder.path().join("none.db"))]);
    assert_eq!(audited.status.code(), Some(1), "{}", stdout(&audited));
    let nowhere = output(&["migrate", "--database", text_of(&folder.path().join("no/such/cg.db"))]);
    assert_eq!(nowhere.status.code(), Some(1));
}

#[test]
fn variables_that_are_empty_count_as_not_set() {
    let mut command = program(&["config", "check"]);
    let checked = command.env("CUSTOMER_GUARD_CONFIG", "").env("CUSTOMER_GUARD_LISTEN", "").output();
    let checked = checked.expect("the program starts");
    assert!(stderr(&checked).contains("the configuration has 1 problem\n"), "{}", stderr(&checked));
}

#[test]
fn the_variable_of_the_commands_that_ask_is_no_wrong_setting() {
    let mut command = program(&["config", "check"]);
    let checked = command.env("CUSTOMER_GUARD_SERVER", "127.0.0.1:50051").output().expect("the program starts");
    assert!(!stderr(&checked).contains("CUSTOMER_GUARD_SERVER"), "{}", stderr(&checked));
    assert!(stderr(&checked).contains("the configuration has 1 problem\n"), "{}", stderr(&checked));
}

#[test]
fn nobody_listening_is_not_healthy() {
    // A port that was free a moment ago, as nobody else is told of it.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let asked = output(&["healthcheck", "--address", &free.to_string()]);
    assert_eq!(asked.status.code(), Some(1));
    assert!(stderr(&asked).contains("nobody answers"), "{}", stderr(&asked));
}

/// A program that goes on until it is told to stop.
struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

fn send_lines(from: impl Read + Send + 'static, to: Sender<String>) {
    thread::spawn(move || BufReader::new(from).lines().map_while(Result::ok).try_for_each(|line| to.send(line)));
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut command = program(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let (sender, lines) = channel();
        send_lines(child.stdout.take().expect("standard output is piped"), sender.clone());
        send_lines(child.stderr.take().expect("standard error is piped"), sender);
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits for a line that holds `part`.
    fn line_with(&mut self, part: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("no line with {part:?} after {:#?}", self.seen));
            self.seen.push(line.clone());
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Asks it to stop and waits until it has, which ends its output.
    fn stop(mut self, signal: &str) -> (ExitStatus, Duration) {
        let asked = Instant::now();
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill is there").success());
        while self.lines.recv_timeout(DEADLINE).is_ok() {}
        (self.child.wait().expect("an end"), asked.elapsed())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed half-way must not leave it behind; one that has ended cannot be killed, which is well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first loopback address in a line.
fn address_in(line: &str) -> String {
    let from = line.find("127.0.0.1:").expect("an address");
    line[from..].chars().take_while(|letter| letter.is_ascii_digit() || ".:".contains(*letter)).collect()
}

fn demo(folder: &Path, customers: &str) -> Running {
    let free_ports = ["--listen", "127.0.0.1:0", "--sim-listen", "127.0.0.1:0"];
    Running::start(
        &[&["demo", "--customers", customers, "--data-dir", text_of(folder)], free_ports.as_slice()].concat(),
    )
}

#[test]
fn the_demo_starts_is_healthy_refuses_stops_in_time_and_goes_on() {
    let folder = folder();
    let mut first = demo(folder.path(), "60");
    first.line_with("New demo in");
    let address = address_in(&first.line_with("gRPC"));
    let name = first.line_with("partnerAccounts/contoso/customers/");
    let name = name.split('"').find(|part| part.starts_with("partnerAccounts/")).expect("a name").to_owned();
    first.line_with("Ctrl-C ends the demo");
    let asked = output(&["healthcheck", "--address", &address]);
    assert_eq!(asked.status.code(), Some(0), "{}", stderr(&asked));
    assert!(refusal(&address, &name).contains("Microsoft Partner Center owns"));
    // While the service runs, and without its lock.
    let database = folder.path().join("customer-guard.db");
    let verified = output(&["audit", "verify", "--database", text_of(&database)]);
    assert_eq!(verified.status.code(), Some(0), "{}", stderr(&verified));
    assert!(stdout(&verified).contains("contoso: 1 in the chain, intact"), "{}", stdout(&verified));
    assert!(stdout(&verified).contains("fabrikam: no decisions"), "{}", stdout(&verified));
    let (status, took) = first.stop("-INT");
    assert!(status.success(), "{status}");
    assert!(took < STOPS_WITHIN, "{took:?}");

    let mut second = demo(folder.path(), "60");
    second.line_with("Found a demo in");
    second.line_with("--customers and --seed are for a new data folder");
    second.line_with("Ctrl-C ends the demo");
    let (status, _) = second.stop("-TERM");
    assert!(status.success(), "{status}");
}

/// What a guarded edit of that customer gets.
fn refusal(address: &str, name: &str) -> String {
    let contact = proto::Contact { email: "changed@here.example".to_owned(), ..proto::Contact::default() };
    let customer =
        proto::Customer { name: name.to_owned(), primary_contact: Some(contact), ..proto::Customer::default() };
    let update_mask = Some(prost_types::FieldMask { paths: vec!["primary_contact.email".to_owned()] });
    let request = proto::UpdateCustomerRequest { customer: Some(customer), update_mask, ..Default::default() };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut client = CustomerServiceClient::connect(format!("http://{address}")).await.expect("a connection");
        client.update_customer(request).await.expect_err("a refusal").message().to_owned()
    })
}

#[test]
fn a_demo_killed_half_way_goes_on() {
    let folder = folder();
    let mut first = demo(folder.path(), "1000");
    first.line_with("First sync: 1000 customers to fetch");
    // A quarter is done.
    first.line_with("of 1000 customers");
    let (status, _) = first.stop("-KILL");
    assert!(!status.success());
    let mut second = demo(folder.path(), "1000");
    second.line_with("Found a demo in");
    second.line_with("First sync: done, 1000 customers");
    second.line_with("Ctrl-C ends the demo");
    assert!(second.stop("-INT").0.success());
}

/// A creation that may be repeated.
fn creation(number: usize) -> proto::CreateCustomerRequest {
    let customer = proto::Customer { company_name: format!("Repeated {number}"), ..proto::Customer::default() };
    proto::CreateCustomerRequest {
        parent: "partnerAccounts/contoso".to_owned(),
        customer: Some(customer),
        request_id: format!("0198c0de-7000-4000-8000-{number:012}"),
        ..Default::default()
    }
}

#[test]
fn a_request_repeated_after_a_kill_has_one_effect_and_one_answer() {
    const REQUESTS: usize = 60;
    let folder = folder();
    let mut first = demo(folder.path(), "10");
    let address = address_in(&first.line_with("gRPC"));
    first.line_with("Ctrl-C ends the demo");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (answered, answers) = channel();
    let sending = runtime.spawn(async move {
        let client = CustomerServiceClient::connect(format!("http://{address}")).await.expect("a connection");
        let create = |number| {
            let (mut client, answered) = (client.clone(), answered.clone());
            async move {
                if let Ok(answer) = client.create_customer(creation(number)).await {
                    answered.send((number, answer.into_inner())).expect("somebody listens");
                }
            }
        };
        // Several are always under way when the kill comes.
        futures::stream::iter(0..REQUESTS).map(create).buffer_unordered(4).collect::<Vec<()>>().await;
    });
    let mut before: Vec<_> = (0..REQUESTS / 3).map(|_| answers.recv_timeout(DEADLINE).expect("an answer")).collect();
    let (status, _) = first.stop("-KILL");
    assert!(!status.success());
    runtime.block_on(sending).expect("the calls end");
    before.extend(answers.try_iter());
    assert!(before.len() < REQUESTS, "the kill came too late to show anything");

    let mut second = demo(folder.path(), "10");
    let address = address_in(&second.line_with("gRPC"));
    second.line_with("Ctrl-C ends the demo");
    runtime.block_on(async {
        let mut client = CustomerServiceClient::connect(format!("http://{address}")).await.expect("a connection");
        for (number, answer) in before {
            let again = client.create_customer(creation(number)).await.expect("the same answer").into_inner();
            assert_eq!(again, answer, "{number}");
        }
        for number in 0..REQUESTS {
            client.create_customer(creation(number)).await.expect("an answer");
        }
        let filter = "company_name = \"Repeated *\"".to_owned();
        let parent = "partnerAccounts/contoso".to_owned();
        let request = proto::ListCustomersRequest { parent, filter, page_size: 1000, ..Default::default() };
        let made = client.list_customers(request).await.expect("a page").into_inner().customers;
        assert_eq!(made.len(), REQUESTS, "one customer for each request");
    });
    assert!(second.stop("-INT").0.success());
}

#[test]
fn a_port_that_is_taken_is_told_with_the_way_out() {
    let folder = folder();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    for (flag, other) in [("--listen", "--sim-listen"), ("--sim-listen", "--listen")] {
        let data = text_of(folder.path());
        let ended = output(&["demo", "--customers", "10", "--data-dir", data, flag, &address, other, "127.0.0.1:0"]);
        assert_eq!(ended.status.code(), Some(1));
        let told = stderr(&ended);
        assert!(told.contains("is taken") && told.contains(&format!("{flag} 127.0.0.1:0")), "{told}");
    }
    let open = output(&["demo", "--sim-listen", "0.0.0.0:0", "--data-dir", text_of(folder.path())]);
    assert!(stderr(&open).contains("can be reached from other machines"), "{}", stderr(&open));
}

#[test]
fn the_service_logs_json_and_stops_when_it_is_asked() {
    let folder = folder();
    let file = folder.path().join("config.toml");
    // Nobody answers there: a service whose upstream is away still serves what it has.
    let upstream = "api_root = \"http://127.0.0.1:9\"\nauthority = \"http://127.0.0.1:9\"\n";
    let filled = filled_template(folder.path());
    let kept = filled.lines().filter(|line| !line.starts_with("api_root") && !line.starts_with("authority"));
    std::fs::write(&file, format!("{}\n{upstream}", kept.collect::<Vec<_>>().join("\n"))).expect("a file");
    let mut service = Running::start(&["serve", "--config", text_of(&file)]);
    let line = service.line_with("serving gRPC on");
    let logged: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(logged["level"], "INFO");
    let asked = output(&["healthcheck", "--address", logged["listen.address"].as_str().expect("an address")]);
    assert_eq!(asked.status.code(), Some(0), "{}", stderr(&asked));
    assert!(service.seen.iter().all(|line| !line.contains("a-client-secret")));
    let (status, took) = service.stop("-TERM");
    assert!(status.success(), "{status}");
    assert!(took < STOPS_WITHIN, "{took:?}");
}
