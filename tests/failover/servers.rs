//! Two PostgreSQL servers of which the second follows the first, commit by commit.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Row};

/// How long a state may take to come about.
const PATIENCE: Duration = Duration::from_secs(60);

/// The folder of the newest server's programs; nothing, said aloud, where there is none.
pub fn binaries() -> Option<PathBuf> {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number = |entry: &std::fs::DirEntry| entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
    let mut folders: Vec<_> = installed.filter_map(|entry| Some((number(&entry)?, entry.path().join("bin")))).collect();
    folders.sort();
    let on_path = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let all = folders.into_iter().rev().map(|(_, folder)| folder).chain(on_path.into_iter().flatten());
    let has_all = |folder: &PathBuf| {
        ["initdb", "postgres", "pg_basebackup", "pg_ctl"].iter().all(|program| folder.join(program).is_file())
    };
    let found = all.into_iter().find(has_all);
    if found.is_none() {
        let required =
            std::env::var_os("CI").is_some() || std::env::var_os("REQUIRE_POSTGRES").is_some_and(|is| is == "1");
        assert!(!required, "this test needs PostgreSQL, and there is none on this machine");
        eprintln!("SKIPPED: there is no PostgreSQL on this machine");
    }
    found
}

struct Server {
    process: Child,
    port: u16,
    data: PathBuf,
}

/// A primary and its standby.
pub struct Pair {
    binaries: PathBuf,
    folder: tempfile::TempDir,
    /// Where the two have always been.
    ports: [u16; 2],
    primary: Option<Server>,
    standby: Option<Server>,
    made: u32,
}

impl Pair {
    pub async fn start(binaries: PathBuf) -> Self {
        let folder = tempfile::Builder::new().prefix("customer-guard-failover-").tempdir().expect("a folder");
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(folder.path()));
        }
        // Both at once, so that they differ.
        let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
        let ports = free.map(|listener| listener.local_addr().expect("an address").port());
        let mut pair = Self { binaries, folder, ports, primary: None, standby: None, made: 0 };
        let data = pair.folder.path().join("first");
        let mut initdb = as_postgres(&pair.binaries.join("initdb"));
        initdb.arg("--pgdata").arg(&data).args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
        ]);
        run(initdb.arg("--no-sync"));
        pair.primary = Some(pair.serve(data, ports[0]).await);
        pair.ask("CREATE DATABASE guard").await;
        pair.follow(ports[1]).await;
        pair
    }

    /// The address of the database on both.
    pub fn address(&self) -> String {
        let [one, two] = self.ports;
        format!("postgres://postgres@127.0.0.1:{one},127.0.0.1:{two}/guard")
    }

    /// Ends the primary and every process it has started, without a word.
    pub fn kill_primary(&mut self) {
        self.primary.take().expect("a primary").kill();
    }

    /// Tells the primary to write nothing, and waits for what had begun before.
    pub async fn fence_primary(&self) {
        self.ask("ALTER SYSTEM SET default_transaction_read_only = on").await;
        self.ask("SELECT pg_reload_conf()").await;
        let writing = "
            SELECT count(*) FILTER (WHERE application_name = 'customer-guard' AND xact_start < pg_conf_load_time() + interval '0.2 s')
                   + (now() < pg_conf_load_time() + interval '0.3 s')::INT
                   + (current_setting('default_transaction_read_only') <> 'on')::INT
            FROM pg_stat_activity";
        self.until(writing, 0).await;
    }

    pub async fn promote_standby(&mut self) {
        let standby = self.standby.take().expect("a standby");
        let mut promote = as_postgres(&self.binaries.join("pg_ctl"));
        run(promote.args(["promote", "--wait", "-D"]).arg(&standby.data));
        // One that was only told to write nothing is there for as long as it takes to find the other one.
        self.standby = self.primary.replace(standby);
    }

    /// Makes a standby of the present primary where the lost one was.
    pub async fn replace_lost(&mut self) {
        if let Some(mut fenced) = self.standby.take() {
            fenced.kill();
        }
        let primary = self.primary.as_ref().expect("a primary").port;
        let lost = self.ports.into_iter().find(|port| *port != primary).expect("two ports");
        self.follow(lost).await;
    }

    async fn follow(&mut self, port: u16) {
        // What the copy took with it may name a standby that it will never have.
        self.ask("ALTER SYSTEM RESET synchronous_standby_names").await;
        self.ask("SELECT pg_reload_conf()").await;
        self.made += 1;
        let data = self.folder.path().join(format!("copy{}", self.made));
        let primary = self.primary.as_ref().expect("a primary").port;
        let mut copy = as_postgres(&self.binaries.join("pg_basebackup"));
        copy.args(["-R", "-X", "stream", "-c", "fast", "--no-sync", "-d"]);
        run(copy.arg(format!("host=127.0.0.1 port={primary} user=postgres")).arg("-D").arg(&data));
        self.standby = Some(self.serve(data, port).await);
        self.until("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'", 1).await;
        self.ask("ALTER SYSTEM SET synchronous_standby_names = '*'").await;
        self.ask("SELECT pg_reload_conf()").await;
        self.until("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'", 1).await;
    }

    async fn serve(&self, data: PathBuf, port: u16) -> Server {
        let log = std::fs::File::create(self.folder.path().join(format!("log{port}"))).expect("a log");
        let mut postgres = as_postgres(&self.binaries.join("postgres"));
        postgres.arg("-D").arg(&data).arg("-k").arg(self.folder.path()).arg("-p").arg(port.to_string());
        for setting in [
            "listen_addresses=127.0.0.1",
            "fsync=off",
            "synchronous_commit=on",
            "autovacuum=off",
            "shared_buffers=32MB",
            // A standby that has just lost its primary is promoted only after that.
            "wal_retrieve_retry_interval=200ms",
        ] {
            postgres.args(["-c", setting]);
        }
        postgres.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0);
        let process = postgres.spawn().expect("a server starts");
        let server = Server { process, port, data };
        let since = Instant::now();
        while connect(port, "postgres").await.is_err() {
            assert!(since.elapsed() < PATIENCE, "the server on port {port} does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server
    }

    async fn ask(&self, sql: &str) {
        let mut connection = self.connection().await;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.expect(sql);
    }

    async fn until(&self, count: &str, wanted: i64) {
        let since = Instant::now();
        loop {
            let mut connection = self.connection().await;
            let row = sqlx::raw_sql(AssertSqlSafe(count.to_owned())).fetch_one(&mut connection).await.expect(count);
            if row.get::<i64, _>(0) == wanted {
                return;
            }
            assert!(since.elapsed() < PATIENCE, "in vain: {count} = {wanted}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn connection(&self) -> PgConnection {
        let port = self.primary.as_ref().expect("a primary").port;
        connect(port, "postgres").await.expect("the primary answers")
    }
}

async fn connect(port: u16, database: &str) -> Result<PgConnection, sqlx::Error> {
    let options: PgConnectOptions = format!("postgres://postgres@127.0.0.1:{port}/{database}").parse()?;
    options.connect().await
}

impl Server {
    /// Kills it and its children; each of them is a process group of its own.
    fn kill(&mut self) {
        let postmaster = self.process.id();
        let children = std::fs::read_dir("/proc").expect("processes").flatten().filter_map(|entry| {
            let id: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<u32>().ok()?;
            (parent == postmaster).then(|| id.to_string())
        });
        let children: Vec<_> = children.collect();
        // Some may have ended meanwhile.
        let _ =
            Command::new("kill").arg("-9").arg(postmaster.to_string()).args(children).stderr(Stdio::null()).status();
        let _ = self.process.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.kill();
        }
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|this| std::os::unix::fs::MetadataExt::uid(&this) == 0)
}

/// A program of PostgreSQL's, which root may not run.
fn as_postgres(program: &Path) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir("/");
    command
}

fn run(command: &mut Command) {
    let done = command.stdin(Stdio::null()).output().expect("the program runs");
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}
