//! The database, Partner Center, and the replicas between them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use customer_guard::grpc::proto;
use customer_guard::grpc::proto::customer_service_client::CustomerServiceClient;
use customer_guard::simulator::partner::Partner;
use customer_guard::simulator::{Simulator, demo_partners};
use sqlx::Row;
use sqlx::postgres::PgConnection;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;
use tonic::transport::{Channel, Endpoint};
use uuid::Uuid;

use crate::postgres_server::{self, Database};
use crate::process::{Process, address_in};
use crate::truth::{Picture, tenant};

/// Customers of each account.
const CUSTOMERS: usize = 5;
/// Far more than anything takes, so that a slow machine is no failure.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often a state that somebody waits for is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How long a client waits for an answer: longer than a frozen replica holds up the others.
const DEADLINE: Duration = Duration::from_secs(20);

/// The program that is tested.
pub const THIS_RELEASE: &str = env!("CARGO_BIN_EXE_customer-guard");

/// One replica, or none while it is dead.
pub struct Seat {
    pub name: String,
    /// Which release it is of.
    program: PathBuf,
    pub process: Option<Process>,
    /// Where it serves, or did: clients find out by themselves that it is gone.
    pub address: tokio::sync::watch::Sender<String>,
}

pub struct Fleet {
    pub seats: Vec<Seat>,
    pub simulator: Simulator,
    pub partners: Vec<Partner>,
    pub database: Database,
    configuration: PathBuf,
    _folder: TempDir,
}

/// The account of a partner.
pub fn account(number: usize) -> String {
    format!("partner-{number:02}")
}

pub fn parent(number: usize) -> String {
    format!("partnerAccounts/{}", account(number))
}

fn partner(number: usize) -> Partner {
    let name = account(number);
    let mut partner = demo_partners().swap_remove(0);
    partner.tenant_id = Uuid::from_u128(0xaaaa_0000_0000_4000_8000_0000_0000_0000 + number as u128);
    partner.client_id = Uuid::from_u128(0xbbbb_0000_0000_4000_8000_0000_0000_0000 + number as u128).to_string();
    partner.domain = format!("{name}.onmicrosoft.com");
    partner
}

impl Fleet {
    /// So many replicas for so many accounts, or nothing where there is no PostgreSQL.
    pub async fn of(replicas: usize, accounts: usize) -> Option<Self> {
        let database = postgres_server::database().await?;
        let mut fleet = Self::on(database, THIS_RELEASE.as_ref(), replicas, accounts).await;
        fleet.start_all();
        Some(fleet)
    }

    /// As [`Fleet::of`], of another release, whose schema the database has. It is served with the rights of its owner.
    pub async fn of_release(program: &Path, replicas: usize, accounts: usize) -> Option<Self> {
        let mut database = postgres_server::database().await?;
        let emptied = "DROP SCHEMA public CASCADE; CREATE SCHEMA public";
        let mut shell = postgres_server::connected(&database.url).await;
        sqlx::raw_sql(emptied).execute(&mut shell).await.expect("it is emptied");
        database.service.clone_from(&database.url);
        let mut fleet = Self::on(database, program, replicas, accounts).await;
        fleet.migrate(program);
        fleet.start_all();
        Some(fleet)
    }

    async fn on(database: Database, program: &Path, replicas: usize, accounts: usize) -> Self {
        let simulator = Simulator::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let root = format!("http://{}", listener.local_addr().expect("an address"));
        let partners: Vec<_> = (0..accounts).map(partner).collect();
        for partner in &partners {
            simulator.add_partner(partner.clone());
            simulator.seed(partner.tenant_id, CUSTOMERS, 7).expect("a known partner");
        }
        let served = simulator.clone();
        TaskTracker::new().spawn(async move { served.serve(listener, std::future::pending()).await });
        let folder = TempDir::new().expect("a folder");
        let configuration = folder.path().join("config.toml");
        std::fs::write(&configuration, text(&folder, &database, &partners, &root)).expect("a file");
        let seats = (1..=replicas).map(|number| Seat {
            name: format!("guard-{number}"),
            program: program.to_owned(),
            process: None,
            address: tokio::sync::watch::Sender::new(String::new()),
        });
        let seats = seats.collect();
        Self { seats, simulator, partners, database, configuration, _folder: folder }
    }

    fn start_all(&mut self) {
        for number in 0..self.seats.len() {
            self.start(number);
        }
    }

    /// Brings the schema up to that of a release.
    pub fn migrate(&self, program: &Path) {
        let mut migrate = Command::new(program);
        let done = migrate.args(["migrate", "--config"]).arg(&self.configuration).env_clear().output();
        let done = done.expect("the program starts");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// Puts a replica of that release in the place of one, which is killed.
    pub fn replace(&mut self, number: usize, program: &Path) {
        self.seats[number].process.take().expect("it runs").kill();
        program.clone_into(&mut self.seats[number].program);
        self.start(number);
    }

    /// Starts the replica of that seat, which is dead.
    pub fn start(&mut self, number: usize) {
        let seat = &mut self.seats[number];
        let mut command = Command::new(&seat.program);
        command.args(["serve", "--config"]).arg(&self.configuration);
        command.env_clear().env("CUSTOMER_GUARD_REPLICA_NAME", &seat.name);
        let mut process = Process::start(command);
        seat.address.send_replace(address_in(&process.line_with("serving gRPC on")));
        seat.process = Some(process);
    }

    /// A connection of somebody with the psql shell.
    pub async fn shell(&self) -> PgConnection {
        postgres_server::connected(&self.database.url).await
    }

    /// How many accounts each replica holds.
    async fn shares(&self, shell: &mut PgConnection) -> BTreeMap<String, i64> {
        const SELECT: &str = "
            SELECT r.name, count(*) FROM partner_account a JOIN replica r ON r.id = a.lease_holder
            WHERE r.alive_until > extract(epoch FROM clock_timestamp()) * 1000000 GROUP BY r.name";
        let rows = sqlx::query(SELECT).fetch_all(shell).await.expect("the database answers");
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Waits until every account is held and no replica holds many more than another.
    pub async fn wait_until_spread(&self, when: &str) {
        let (mut shell, began) = (self.shell().await, Instant::now());
        let accounts = i64::try_from(self.partners.len()).expect("a count");
        loop {
            let shares = self.shares(&mut shell).await;
            let (most, fewest) = (shares.values().max(), shares.values().min());
            let is_even = most.zip(fewest).is_some_and(|(most, fewest)| most * 2 <= fewest * 3);
            if shares.len() == self.seats.len() && shares.values().sum::<i64>() == accounts && is_even {
                println!("{when} the accounts are spread within {:.1?}: {shares:?}", began.elapsed());
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{when} the accounts do not spread: {shares:?}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until every replica shows every customer as Partner Center has it.
    pub async fn wait_until_level(&self) {
        let began = Instant::now();
        for seat in &self.seats {
            let mut client = client(&seat.address.borrow().clone());
            for (number, partner) in self.partners.iter().enumerate() {
                loop {
                    let expected: BTreeSet<_> = self
                        .simulator
                        .customers(partner.tenant_id)
                        .iter()
                        .map(|customer| (customer.id, Picture::expected(customer).hash()))
                        .collect();
                    let shown: BTreeSet<_> = shown(&mut client, number)
                        .await
                        .iter()
                        .map(|customer| (tenant(customer), Picture::shown(customer).hash()))
                        .collect();
                    if shown == expected {
                        break;
                    }
                    assert!(began.elapsed() < PATIENCE, "{} is not level in {}", account(number), seat.name);
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
        println!("every replica is level within {:.1?}", began.elapsed());
    }

    /// What holds whatever happened.
    pub async fn check_the_database(&self) {
        const NONE: [(&str, &str); 4] = [
            (
                "every change is one row of the change log",
                "SELECT count(*) FROM customer c WHERE c.revision <>
                 (SELECT count(*) FROM change_log l WHERE l.account = c.account AND l.customer_id = c.id)",
            ),
            (
                "billing mirrors primary",
                "SELECT count(*) FROM customer WHERE source = 'MICROSOFT' AND billing_first_name IS NOT NULL",
            ),
            ("nobody is ended", "SELECT count(*) FROM customer WHERE relationship = 'ENDED'"),
            (
                "no edit that was refused is stored",
                "SELECT count(*) FROM customer WHERE primary_email LIKE '%intruder%'",
            ),
        ];
        let mut shell = self.shell().await;
        for (what, select) in NONE {
            let row = sqlx::query(select).fetch_one(&mut shell).await.expect(what);
            assert_eq!(row.get::<i64, _>(0), 0, "{what}");
        }
        let mut audit = Command::new(THIS_RELEASE);
        audit.args(["audit", "verify", "--config"]).arg(&self.configuration).env_clear();
        let verified = audit.output().expect("the program starts");
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    }
}

/// A client of the replica that serves there.
pub fn client(address: &str) -> CustomerServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    let endpoint = endpoint.timeout(DEADLINE).connect_timeout(Duration::from_secs(5));
    CustomerServiceClient::new(endpoint.connect_lazy())
}

/// Microsoft's customers of the account.
async fn shown(client: &mut CustomerServiceClient<Channel>, number: usize) -> Vec<proto::Customer> {
    let request = proto::ListCustomersRequest {
        parent: parent(number),
        page_size: 1_000,
        filter: "source = \"MICROSOFT\"".to_owned(),
        ..Default::default()
    };
    client.list_customers(request).await.map_or_else(|_| Vec::new(), |answer| answer.into_inner().customers)
}

fn text(folder: &TempDir, database: &Database, partners: &[Partner], root: &str) -> String {
    let secret = folder.path().join("secret");
    std::fs::write(&secret, &partners[0].client_secret).expect("a file");
    #[cfg(unix)]
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("a mode");
    let mut text = format!(
        "listen = \"127.0.0.1:0\"\ndatabase = {:?}\nlog = \"warn,customer_guard=info\"\nnight = \"0 4 29 2 *\"\n\
         audit_interval = \"4s\"\nlist_interval = \"1d\"\nrequests_per_minute = 60000\nconcurrency = 2\n",
        database.service
    );
    for (number, partner) in partners.iter().enumerate() {
        text.push_str(&format!(
            "[partner_accounts.{}]\nkind = \"DIRECT_BILL\"\ntenant_id = \"{}\"\nclient_id = \"{}\"\n\
             client_secret_file = {secret:?}\napi_root = \"{root}\"\nauthority = \"{root}\"\n",
            account(number),
            partner.tenant_id,
            partner.client_id,
        ));
    }
    text
}
