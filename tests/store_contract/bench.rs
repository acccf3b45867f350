//! A fresh store in a folder of its own, and short ways to put customers into it.

use std::path::PathBuf;
use std::time::Duration;

use customer_guard::clock::{Clock, Timestamp};
use customer_guard::domain::access::Enforcement;
use customer_guard::domain::account::{Cloud, PartnerAccount, PartnerKind};
use customer_guard::domain::contact::{Contact, ContactField, ContactRole};
use customer_guard::domain::create::{CustomerDraft, admit};
use customer_guard::domain::customer::Customer;
use customer_guard::domain::edit::{CustomerEdit, Wish};
use customer_guard::domain::ids::{CustomerId, Epoch, PartnerAccountId, RunId, TenantId, Ticket};
use customer_guard::domain::look::{LookCause, LookReason};
use customer_guard::domain::observation::{MicrosoftProfile, Observation, ObservationMark, Observed};
use customer_guard::domain::reconcile::{self, Plan};
use customer_guard::domain::review::{AllowedEdit, Review, review};
use customer_guard::store::{DatabaseAddress, DirtyCustomer, Error, Priority, Saved, SavedPlan, Store, Tx};
use secrecy::SecretString;
use sqlx::sqlite::SqliteConnection;

use crate::backups;
use crate::postgres_server::{self, Database};
pub use crate::shell::Shell;

/// A store with one partner account, its clock, and the folder and the database it lives in.
pub struct Bench {
    pub store: Store,
    pub clock: Clock,
    pub account: PartnerAccountId,
    /// The database file; nothing is there on PostgreSQL.
    pub path: PathBuf,
    pub _folder: tempfile::TempDir,
    pub database: Option<Database>,
    /// The address through PgBouncer, where the store goes that way.
    pub through: Option<String>,
}

pub fn account_id(name: &str) -> PartnerAccountId {
    name.parse().expect("a well-formed account id")
}

/// The tenant with that number.
pub fn tenant(number: u32) -> TenantId {
    format!("{number:08x}-aaaa-4bbb-8ccc-0123456789ab").parse().expect("a well-formed tenant id")
}

pub fn mark(epoch: i64, ticket: i64) -> ObservationMark {
    ObservationMark { epoch: Epoch(epoch), ticket: Ticket(ticket) }
}

pub fn partner(name: &str, number: u32) -> PartnerAccount {
    PartnerAccount {
        id: account_id(name),
        display_name: name.to_owned(),
        kind: PartnerKind::DirectBill,
        cloud: Cloud::Global,
        tenant_id: tenant(0xffff_0000 + number),
    }
}

/// A contact in which every member has a value of its own, so that swapped columns show.
pub fn contact(seed: &str) -> Contact {
    let mut contact = Contact::default();
    for field in ContactField::ALL {
        let value = match field {
            ContactField::Email => format!("{seed}@example.com"),
            ContactField::PhoneNumber => format!("+371 67{:06}", seed.len()),
            ContactField::Language => "lv".to_owned(),
            ContactField::Culture => "lv-LV".to_owned(),
            ContactField::Country => "LV".to_owned(),
            ContactField::PostalCode => format!("{seed}-1001"),
            other => format!("{seed} {}", other.path()),
        };
        contact.set(field, value);
    }
    contact
}

pub fn profile(seed: &str) -> MicrosoftProfile {
    MicrosoftProfile {
        company_name: format!("{seed} Ltd"),
        tenant_name: format!("{seed} tenant"),
        domain: format!("{}.onmicrosoft.com", seed.to_lowercase()),
        upstream_relationship: "reseller".to_owned(),
        contact: contact(seed),
    }
}

pub fn observed(number: u32, mark: ObservationMark, observed: Observed) -> Observation {
    Observation { tenant_id: tenant(number), mark, observed }
}

/// A store on SQLite with the partner account `contoso`.
pub async fn sqlite_store() -> Bench {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().join("guard.db");
    let clock = Clock::manual(Timestamp::from_micros(1_800_000_000_000_000));
    let (store, _) = Store::open_sqlite(&path, clock.clone()).await.expect("a fresh database opens");
    let bench =
        Bench { store, clock, account: account_id("contoso"), path, _folder: folder, database: None, through: None };
    bench.add_partner("contoso", 0).await;
    bench
}

/// The same for `contract!`.
pub async fn sqlite() -> Option<Bench> {
    Some(sqlite_store().await)
}

/// A store on PostgreSQL with the partner account `contoso`, where there is a PostgreSQL.
pub async fn postgres() -> Option<Bench> {
    let database = postgres_server::database().await?;
    Some(on_postgres(database, None).await)
}

/// The same, through PgBouncer.
pub async fn pgbouncer() -> Option<Bench> {
    let database = postgres_server::database().await?;
    let through = crate::pgbouncer::through(&database.url)?;
    Some(on_postgres(database, Some(through)).await)
}

async fn on_postgres(database: Database, through: Option<String>) -> Bench {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().join("guard.db");
    let clock = Clock::manual(Timestamp::from_micros(1_800_000_000_000_000));
    let url = SecretString::from(through.as_ref().unwrap_or(&database.service).clone());
    let (store, _) = Store::open_postgres(&url, clock.clone()).await.expect("a fresh database opens");
    let account = account_id("contoso");
    let bench = Bench { store, clock, account, path, _folder: folder, database: Some(database), through };
    bench.add_partner("contoso", 0).await;
    bench
}

impl Bench {
    pub async fn add_partner(&self, name: &str, number: u32) -> PartnerAccountId {
        let partner = partner(name, number);
        let saved = self
            .store
            .write("add_partner", async |tx| {
                tx.save_partner_account(&partner).await.map_err(|error| Error::Backstop(error.to_string()))
            })
            .await;
        saved.expect("a partner account is saved");
        partner.id
    }

    pub fn step(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A platform customer with a billing contact of its own.
    pub async fn platform_customer(&self, name: &str) -> Customer {
        self.platform_customer_of(&self.account, name).await
    }

    pub async fn platform_customer_of(&self, account: &PartnerAccountId, name: &str) -> Customer {
        let draft = CustomerDraft {
            company_name: name.to_owned(),
            domain: "example.com".to_owned(),
            primary_contact: contact("primary"),
            billing_contact: Some(contact("billing")),
            external_reference: "crm-7".to_owned(),
            labels: [("team".to_owned(), "north".to_owned())].into(),
            note: "two\nlines".to_owned(),
            status: None,
        };
        let admitted = admit(account, draft, self.clock.now()).expect("a sound draft");
        self.store
            .write("new", async |tx| tx.save_new(admitted, "caller").await)
            .await
            .expect("a new customer is saved")
    }

    /// Applies an observation of customer `number` the way the synchronizer does.
    pub async fn observe(&self, number: u32, mark: ObservationMark, what: Observed) -> Result<SavedPlan, Error> {
        self.observe_in(&self.account, number, mark, what, None).await
    }

    pub async fn observe_in(
        &self,
        account: &PartnerAccountId,
        number: u32,
        mark: ObservationMark,
        what: Observed,
        run: Option<RunId>,
    ) -> Result<SavedPlan, Error> {
        let observation = observed(number, mark, what);
        self.store
            .write("observe", async |tx| {
                let local = tx.customer_of_tenant_for_update(account, observation.tenant_id).await?;
                let plan = reconcile::plan(account, local.as_ref(), &observation, tx.now());
                save_one(tx, plan, &observation, account, DirtyCustomer { run, ..work(number) }).await
            })
            .await
    }

    /// A Microsoft customer with an active relationship, seen at ticket 10 of epoch 1.
    pub async fn microsoft_customer(&self, number: u32, seed: &str) -> Customer {
        self.mark(&[number], Priority::Listed, None).await;
        let saved = self.observe(number, mark(1, 10), Observed::Present(profile(seed))).await;
        assert_eq!(saved.expect("a first observation is saved"), SavedPlan::Created);
        self.of_tenant(number).await
    }

    pub async fn of_tenant(&self, number: u32) -> Customer {
        let found = self.store.customer_of_tenant(&self.account, tenant(number)).await.expect("the store answers");
        found.expect("the tenant has a customer")
    }

    pub async fn customer(&self, id: CustomerId) -> Customer {
        self.store.customer(&self.account, id).await.expect("the store answers").expect("the customer exists")
    }

    pub async fn mark(&self, numbers: &[u32], priority: Priority, run: Option<RunId>) {
        let tenants: Vec<_> = numbers.iter().map(|number| tenant(*number)).collect();
        let reason = LookReason { cause: cause(priority), run };
        let marked =
            self.store.write("mark", async |tx| tx.mark_dirty(&self.account, &tenants, priority, reason).await).await;
        marked.expect("customers are marked");
    }

    /// Reviews and saves an edit as a caller's request does.
    pub async fn edit(&self, id: CustomerId, wishes: Vec<Wish>) -> Result<Saved, Error> {
        let edit = CustomerEdit { wishes };
        self.store
            .write("edit", async |tx| {
                let customer = tx.customer_for_update(&self.account, id).await?.expect("the customer exists");
                tx.save_edit(allowed(&customer, &edit), "caller").await
            })
            .await
    }

    /// Where the database is.
    pub fn address(&self) -> DatabaseAddress {
        match &self.database {
            Some(database) => DatabaseAddress::of(self.through.as_ref().unwrap_or(&database.service)),
            None => DatabaseAddress::File(self.path.clone()),
        }
    }

    /// The store of another process on the same database; the same store where only one process is let in.
    pub async fn beside(&self) -> Store {
        match &self.database {
            Some(_) => Store::open(&self.address(), self.clock.clone()).await.expect("it opens beside").0,
            None => self.store.clone(),
        }
    }

    /// The same after a restart of the service.
    pub async fn opened_again(self) -> Self {
        self.opened_after(|| ()).await
    }

    async fn opened_after(self, meanwhile: impl FnOnce()) -> Self {
        let address = self.address();
        self.store.close().await;
        let Self { clock, account, path, _folder, database, through, store } = self;
        drop(store);
        meanwhile();
        let (store, _) = Store::open(&address, clock.clone()).await.expect("it opens again");
        Self { store, clock, account, path, _folder, database, through }
    }

    /// A copy of the database, made while it is in use.
    pub async fn backed_up(&self) -> PathBuf {
        let backup = self.path.with_extension("backup");
        match &self.database {
            Some(database) => backups::of_server(&database.url, &backup),
            None => backups::of_file(&self.path, &backup).await,
        }
        backup
    }

    /// The same after the copy was put back while nobody served.
    pub async fn put_back(self, backup: PathBuf) -> Self {
        let (url, path) = (self.database.as_ref().map(|database| database.url.clone()), self.path.clone());
        self.opened_after(|| match url {
            Some(url) => backups::to_server(&backup, &url),
            None => backups::to_file(&backup, &path),
        })
        .await
    }

    /// The same on a file that came without what lies beside it.
    pub async fn without_witness(self) -> Self {
        let witness = self.path.with_extension("db.lock");
        self.opened_after(|| std::fs::remove_file(witness).expect("it lay beside the file")).await
    }

    /// A connection of somebody with the engine's own shell.
    pub async fn shell(&self) -> Shell {
        match &self.database {
            Some(database) => Shell::on_server(&database.url).await,
            None => Shell::on_file(&self.path).await,
        }
    }
}

impl Shell {
    /// The sqlite3 shell's connection.
    pub fn sqlite(&mut self) -> &mut SqliteConnection {
        match self {
            Self::Sqlite(connection) => connection,
            Self::Postgres(_) => panic!("this promise is about a file"),
        }
    }
}

/// The proof of a review that allowed the edit.
pub fn allowed(customer: &Customer, edit: &CustomerEdit) -> AllowedEdit {
    match review(customer, edit, Enforcement::Refuse) {
        Review::Allowed(allowed) => allowed,
        other => panic!("the edit must be allowed, not {other:?}"),
    }
}

pub fn email(role: ContactRole, value: &str) -> Wish {
    Wish::Contact(role, ContactField::Email, value.to_owned())
}

pub fn note(text: &str) -> Wish {
    Wish::Note(text.to_owned())
}

/// The account's row counts one more, so that a transaction has visibly written something.
pub async fn write_something(tx: &mut Tx, account: &PartnerAccountId) -> Result<(), Error> {
    tx.mark_dirty(account, &[tenant(1)], Priority::Sweep, LookCause::Night).await
}

/// What usually asks so urgently.
pub const fn cause(priority: Priority) -> LookCause {
    match priority {
        Priority::Sweep => LookCause::Night,
        Priority::Confirm => LookCause::Confirmation,
        Priority::Listed => LookCause::CustomerList,
        Priority::Signal => LookCause::AuditLog,
        Priority::Refresh => LookCause::Refresh,
    }
}

/// A look at a customer that was taken after everything that is known.
pub fn work(number: u32) -> DirtyCustomer {
    DirtyCustomer {
        tenant_id: tenant(number),
        marked: i64::MAX,
        attempts: 0,
        run: None,
        cause: Some(LookCause::Refresh),
    }
}

/// Saves the plan of one observation.
pub async fn save_one(
    tx: &mut Tx,
    plan: Plan,
    observation: &Observation,
    account: &PartnerAccountId,
    work: DirtyCustomer,
) -> Result<SavedPlan, Error> {
    let saved = tx.save_plans(account, &[(plan, observation, work)]).await?;
    Ok(saved[0])
}
