//! A private PostgreSQL for tests, without a container: one server for each test process, one database for each test.
//!
//! The server is that of `CUSTOMER_GUARD_TEST_POSTGRES_URL`, or is started from the binaries of the machine, as the user
//! `postgres` where the tests run as root. It ends with the test process, however that ends: a shell holds a pipe to it, and
//! takes server and folder away when the pipe closes. Where there is no PostgreSQL, the tests that need one say so and do
//! nothing, unless `CI` or `REQUIRE_POSTGRES=1` is set: then they fail.
//!
//! The schema is made by the owner's role and used by the service's, with the rights that `docs/postgresql.md` gives them: a
//! right that the service lacks, or a migration that needs a superuser, fails tests.

use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use customer_guard::clock::Clock;
use customer_guard::store::Store;
use secrecy::SecretString;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

/// How long a server may take to answer for the first time.
const PATIENCE: Duration = Duration::from_secs(60);
const TEMPLATE: &str = "customer_guard_template";

/// What an operator is told to run.
const GUIDE: &str = include_str!("../../docs/postgresql.md");

/// A database that nobody else uses. It is dropped some time after this is.
pub struct Database {
    pub name: String,
    /// Its address for somebody who may do everything.
    pub url: String,
    /// Its address for the service.
    pub service: String,
}

struct Server {
    /// How a database of it is addressed: what comes before its name, and after.
    address: (String, String),
    admin: String,
    // Held for as long as the process lives.
    _pipe: Option<ChildStdin>,
    shell: Option<Child>,
}

/// Held while a database is made: the template can be copied by one at a time.
static MAKING: tokio::sync::Mutex<bool> = tokio::sync::Mutex::const_new(false);
static DONE_WITH: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());
static NEXT: AtomicU32 = AtomicU32::new(1);

impl Drop for Database {
    fn drop(&mut self) {
        DONE_WITH.lock().expect("nobody panics with it").push(std::mem::take(&mut self.name));
    }
}

/// A new database with the schema of this release, or nothing where there is no PostgreSQL.
pub async fn database() -> Option<Database> {
    let made = made().await;
    if made.is_none() {
        assert!(!is_required(), "these tests need PostgreSQL, and there is none on this machine");
        eprintln!(
            "SKIPPED: there is no PostgreSQL on this machine; set CUSTOMER_GUARD_TEST_POSTGRES_URL or install it"
        );
    }
    made
}

/// Whether these tests must not be skipped.
fn is_required() -> bool {
    std::env::var_os("CI").is_some() || std::env::var_os("REQUIRE_POSTGRES").is_some_and(|value| value == "1")
}

async fn made() -> Option<Database> {
    let server = server()?;
    let mut has_template = MAKING.lock().await;
    let mut admin = connected(&server.admin).await;
    if !*has_template {
        run(&mut admin, &format!("DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)")).await;
        make_template(&mut admin, server).await;
        *has_template = true;
    }
    let done_with = std::mem::take(&mut *DONE_WITH.lock().expect("nobody panics with it"));
    for name in done_with {
        run(&mut admin, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
    }
    let name = format!("customer_guard_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    // Where nothing waits for the disk, copying files costs a third of logging every page; before 15 there is no other way.
    let is_ours = server.shell.is_some();
    let number = "SELECT current_setting('server_version_num')::INTEGER";
    let version: i32 = sqlx::query_scalar(number).fetch_one(&mut admin).await.expect("a version");
    let strategy = if is_ours && version >= 150_000 { "STRATEGY file_copy" } else { "" };
    let copied = format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER customer_guard_owner {strategy}");
    run(&mut admin, &copied).await;
    admin.close().await.expect("the connection ends");
    let url = server.url(&name);
    Some(Database { service: as_role(&url, "customer_guard_service"), url, name })
}

/// Makes the template as an operator makes a database: roles, database, schema, rights.
async fn make_template(admin: &mut PgConnection, server: &Server) {
    let (as_superuser, as_owner) = guide();
    for statement in as_superuser.split_inclusive(';').filter(|statement| !statement.trim().is_empty()) {
        let statement = statement.replace("DATABASE customer_guard", &format!("DATABASE {TEMPLATE}"));
        let done = sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut *admin).await;
        // The roles belong to all databases of the server, and may be there already.
        let is_there = statement.contains("CREATE ROLE") && done.is_err();
        assert!(done.is_ok() || is_there, "{statement}: {done:?}");
    }
    let owner = as_role(&server.url(TEMPLATE), "customer_guard_owner");
    let address = SecretString::from(owner.clone());
    let (store, _) = Store::open_postgres(&address, Clock::system()).await.expect("the template is migrated");
    store.close().await;
    let mut owner = connected(&owner).await;
    run(&mut owner, &as_owner).await;
    owner.close().await.expect("the connection ends");
}

/// What the guide has a superuser run, and what the owner of the schema.
pub fn guide() -> (String, String) {
    let blocks = GUIDE.split("```sql\n").skip(1).map(|block| block.split("```").next().unwrap_or_default().to_owned());
    let [as_superuser, as_owner] = blocks.collect::<Vec<_>>().try_into().expect("two blocks of SQL");
    (as_superuser, as_owner)
}

/// The address of a database for somebody who takes on that role when connecting.
pub fn as_role(url: &str, role: &str) -> String {
    let mark = if url.contains('?') { '&' } else { '?' };
    format!("{url}{mark}options=-c%20role%3D{role}")
}

async fn run(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.expect(sql);
}

/// A connection of somebody with the psql shell.
pub async fn connected(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().expect("a database's address");
    options.connect().await.expect("the server answers")
}

impl Server {
    fn url(&self, database: &str) -> String {
        format!("{}{database}{}", self.address.0, self.address.1)
    }
}

fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER
        .get_or_init(|| match std::env::var_os("CUSTOMER_GUARD_TEST_POSTGRES_URL") {
            Some(url) => Some(given(url.into_string().expect("an address is text"))),
            None => binaries().map(|binaries| started(&binaries)),
        })
        .as_ref()
}

/// The server of an address, whose database is the one from which others are made.
fn given(url: String) -> Server {
    let scheme = url.find("://").expect("an address with a scheme") + 3;
    let path = scheme + url[scheme..].find('/').expect("an address with a database");
    let end = url[path..].find('?').map_or(url.len(), |end| path + end);
    let address = (url[..=path].to_owned(), url[end..].to_owned());
    Server { address, admin: url, _pipe: None, shell: None }
}

/// The folder of the newest server's programs.
pub fn binaries() -> Option<PathBuf> {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut installed: Vec<(u32, PathBuf)> = installed
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    installed.sort();
    let newest = installed.into_iter().rev().map(|(_, folder)| folder);
    let on_path = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    newest
        .chain(on_path.into_iter().flatten())
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}

fn started(binaries: &Path) -> Server {
    // Neither is safe after a crash, and nothing here has to be.
    const SCRIPT: &str = r#"
        "$1/initdb" --pgdata="$2/data" --username=postgres --auth=trust --encoding=UTF8 --locale=C --no-sync > "$2/log" 2>&1 || exit 1
        "$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off -c synchronous_commit=off \
            -c full_page_writes=off -c max_connections=300 -c shared_buffers=64MB -c autovacuum=off >> "$2/log" 2>&1 &
        read -r nothing
        kill -QUIT $!
        wait
        cd / && rm -rf "$2"
    "#;
    let folder =
        tempfile::Builder::new().prefix("customer-guard-pg-").tempdir().expect("a folder for the server").keep();
    // The folder's owner: root's server would not start.
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|this| std::os::unix::fs::MetadataExt::uid(&this) == 0);
    let mut command = if is_root {
        let given = Command::new("chown").arg("postgres").arg(&folder).status().expect("chown runs");
        assert!(given.success(), "there is no user postgres that the server could run as");
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "sh"]);
        command
    } else {
        Command::new("sh")
    };
    command.args(["-c", SCRIPT, "sh"]).arg(binaries).arg(&folder);
    // A signal to the group of the tests ends them, and not the one who takes away what they leave.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let shell = command.current_dir(&folder).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut shell = shell.expect("a shell starts");
    let socket = folder.join(".s.PGSQL.5432");
    let since = Instant::now();
    while std::os::unix::net::UnixStream::connect(&socket).is_err() || !is_ready(&folder) {
        let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        let ended = shell.try_wait().expect("the shell can be asked");
        assert!(ended.is_none() && since.elapsed() < PATIENCE, "PostgreSQL does not start: {}", log());
        std::thread::sleep(Duration::from_millis(20));
    }
    let place = folder.display().to_string();
    let address = ("postgres://postgres@localhost/".to_owned(), format!("?host={place}"));
    let admin = format!("{}postgres{}", address.0, address.1);
    Server { address, admin, _pipe: shell.stdin.take(), shell: Some(shell) }
}

fn is_ready(folder: &Path) -> bool {
    std::fs::read_to_string(folder.join("data/postmaster.pid"))
        .is_ok_and(|state| state.lines().nth(7).is_some_and(|line| line.trim() == "ready"))
}
