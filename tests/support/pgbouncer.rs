//! A PgBouncer in transaction mode before the tests' PostgreSQL: each transaction gets whichever of three connections is free.
//!
//! One for each test process; it ends with it as the server does. Where there is none, the tests that need it say so and do
//! nothing, unless `REQUIRE_PGBOUNCER=1` is set: then they fail.

use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;

/// How long it may take to answer for the first time.
const PATIENCE: Duration = Duration::from_secs(60);

struct Bouncer {
    folder: String,
    // Held for as long as the process lives.
    _pipe: Option<ChildStdin>,
    _shell: Child,
}

/// The address of that database through PgBouncer.
pub fn through(url: &str) -> Option<String> {
    static BOUNCER: OnceLock<Option<Bouncer>> = OnceLock::new();
    let options: PgConnectOptions = url.parse().expect("a database's address");
    let bouncer = BOUNCER.get_or_init(|| options.get_socket().and_then(|socket| started(socket, options.get_port())));
    let Some(bouncer) = bouncer else {
        let is_required = std::env::var_os("REQUIRE_PGBOUNCER").is_some_and(|value| value == "1");
        assert!(!is_required, "these tests need PgBouncer and a PostgreSQL with a socket on this machine");
        eprintln!("SKIPPED: there is no PgBouncer, or no PostgreSQL with a socket, on this machine");
        return None;
    };
    let database = options.get_database().expect("a database");
    let (user, folder) = (options.get_username(), &bouncer.folder);
    Some(format!("postgres://{user}@localhost/{database}?host={folder}&port=6432&statement-cache-capacity=0"))
}

fn started(socket: &Path, port: u16) -> Option<Bouncer> {
    const SCRIPT: &str = r#"
        "$1" --quiet "$2/pgbouncer.ini" >> "$2/log" 2>&1 &
        read -r nothing
        kill -TERM $!
        wait
        cd / && rm -rf "$2"
    "#;
    let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].into_iter().find(|path| Path::new(path).is_file())?;
    let folder = tempfile::Builder::new().prefix("customer-guard-pgb-").tempdir().expect("a folder").keep();
    let place = folder.display();
    let settings = format!(
        "[databases]\n* = host={} port={port}\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\nunix_socket_dir = {place}\n\
         auth_type = trust\nauth_file = {place}/users\npool_mode = transaction\ndefault_pool_size = 3\n\
         max_client_conn = 2000\nserver_idle_timeout = 2\n",
        socket.display()
    );
    std::fs::write(folder.join("pgbouncer.ini"), settings).expect("the settings are written");
    std::fs::write(folder.join("users"), "\"postgres\" \"\"\n").expect("the users are written");
    // Root's would not start.
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|this| std::os::unix::fs::MetadataExt::uid(&this) == 0);
    let mut command = if is_root {
        let given = Command::new("chown").args(["-R", "postgres"]).arg(&folder).status().expect("chown runs");
        assert!(given.success(), "there is no user postgres that PgBouncer could run as");
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "sh"]);
        command
    } else {
        Command::new("sh")
    };
    command.args(["-c", SCRIPT, "sh", program]).arg(&folder);
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let shell = command.current_dir(&folder).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut shell = shell.expect("a shell starts");
    let since = Instant::now();
    while std::os::unix::net::UnixStream::connect(folder.join(".s.PGSQL.6432")).is_err() {
        let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        let ended = shell.try_wait().expect("the shell can be asked");
        assert!(ended.is_none() && since.elapsed() < PATIENCE, "PgBouncer does not start: {}", log());
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(Bouncer { folder: place.to_string(), _pipe: shell.stdin.take(), _shell: shell })
}
