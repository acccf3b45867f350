//! Which reseller serves which customer: what was read becomes what is shown by a change of the customer, and a reading
//! that did not reach its end changes nothing.

use std::collections::BTreeSet;

use customer_guard::domain::ids::TenantId;
use customer_guard::domain::observation::Observed;
use customer_guard::domain::reseller::{ListedReseller, Reseller};
use customer_guard::store::{ResellerRead, RoundBegun, RunKind};

use crate::bench::{Bench, mark, profile, tenant};
use crate::pauses::{paused, resumed};
use crate::runs::{finish, start};

contract! {
    a_listed_customer_shows_its_reseller_by_a_change_of_its_own,
    what_was_listed_before_is_not_written_again,
    a_moved_customer_changes_once,
    a_renamed_reseller_changes_whoever_shows_it,
    a_paused_customer_keeps_its_resellers_until_it_is_resumed,
    an_ended_customer_keeps_its_resellers,
    a_customer_that_comes_later_shows_who_serves_it,
    an_observation_leaves_the_resellers_alone,
    a_reseller_that_a_whole_list_lacks_serves_nobody,
    an_empty_list_of_resellers_needs_a_second_one,
    an_empty_list_of_customers_needs_a_second_one_where_many_would_go,
    a_full_run_that_succeeds_wants_a_reading_and_no_other_does,
    a_wish_in_a_round_is_fulfilled_by_the_next,
    resellers_are_read_one_after_the_other_and_listed_in_pages,
    an_account_that_has_no_resellers_any_more_shows_none,
    what_differs_from_what_is_shown_is_always_pending,
}

/// The tenant of reseller `number`, apart from those of customers.
pub fn reseller_id(number: u32) -> TenantId {
    tenant(90_000 + number)
}

fn reseller(number: u32, name: &str) -> ListedReseller {
    ListedReseller {
        reseller: Reseller {
            tenant_id: reseller_id(number),
            display_name: name.to_owned(),
            mpn_id: (4_700_000 + number).to_string(),
        },
        location: "LV".to_owned(),
        state: "Active".to_owned(),
    }
}

impl Bench {
    /// A list of resellers, read to its end.
    pub async fn list_resellers(&self, numbers: &[u32]) -> RoundBegun {
        let resellers: Vec<_> = numbers.iter().map(|number| reseller(*number, &format!("Reseller {number}"))).collect();
        let listed: BTreeSet<_> = numbers.iter().map(|number| reseller_id(*number)).collect();
        let account = &self.account;
        let begun = self.store.write("begin", async |tx| {
            tx.note_reseller_user(account, true).await?;
            tx.save_resellers(account, &resellers).await?;
            let wanted = 1;
            tx.begin_reseller_round(account, wanted, &listed, false).await
        });
        begun.await.expect("it is kept")
    }

    /// The reseller's list has these customers as well.
    pub async fn list_customers(&self, reseller: u32, customers: &[u32]) -> u64 {
        let tenants: Vec<_> = customers.iter().map(|number| tenant(*number)).collect();
        let (account, id) = (&self.account, reseller_id(reseller));
        let listed =
            self.store.write("list", async |tx| tx.list_customers_of_reseller(account, id, &tenants).await).await;
        listed.expect("it is kept")
    }

    async fn unlist_customers(&self, reseller: u32, customers: &[u32]) {
        let tenants: Vec<_> = customers.iter().map(|number| tenant(*number)).collect();
        let (account, id) = (&self.account, reseller_id(reseller));
        let unlisted =
            self.store.write("unlist", async |tx| tx.unlist_customers_of_reseller(account, id, &tenants).await).await;
        unlisted.expect("it is kept");
    }

    /// Lets customers follow; returns how many changed.
    pub async fn level(&self) -> usize {
        let account = &self.account;
        let tenants = self.store.customers_with_other_resellers(account, 100).await.expect("the store answers");
        let mut changed = 0;
        for tenant in tenants {
            let levelled = self.store.write("level", async |tx| tx.level_resellers(account, tenant).await).await;
            changed += usize::from(levelled.expect("it is levelled"));
        }
        changed
    }

    async fn shown(&self, number: u32) -> Vec<String> {
        self.of_tenant(number).await.resellers().iter().map(|one| one.display_name.clone()).collect()
    }
}

async fn a_listed_customer_shows_its_reseller_by_a_change_of_its_own(bench: Bench) {
    let before = bench.microsoft_customer(1, "Ada").await;
    bench.list_resellers(&[1]).await;
    assert_eq!(bench.list_customers(1, &[1]).await, 1);
    assert_eq!(bench.of_tenant(1).await, before, "nothing is shown before it is a change");
    assert_eq!(bench.level().await, 1);
    let after = bench.of_tenant(1).await;
    assert_eq!(after.revision.0, before.revision.0 + 1);
    assert_eq!(after.resellers(), [reseller(1, "Reseller 1").reseller]);
    let mut shell = bench.shell().await;
    let logged = shell.texts("SELECT kind || ' ' || fields || ' ' || actor FROM change_log ORDER BY sequence", 0).await;
    assert_eq!(logged.last().map(String::as_str), Some("SYNCED resellers partner-center"));
}

async fn what_was_listed_before_is_not_written_again(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    bench.list_resellers(&[1]).await;
    bench.list_customers(1, &[1]).await;
    bench.level().await;
    let before = bench.of_tenant(1).await;
    let mut shell = bench.shell().await;
    let changes = shell.number("SELECT count(*) FROM change_log").await;
    bench.list_resellers(&[1]).await;
    assert_eq!(bench.list_customers(1, &[1]).await, 0);
    assert_eq!(bench.level().await, 0);
    assert_eq!(bench.of_tenant(1).await, before);
    assert_eq!(shell.number("SELECT count(*) FROM change_log").await, changes);
}

async fn a_moved_customer_changes_once(bench: Bench) {
    let before = bench.microsoft_customer(1, "Ada").await;
    bench.list_resellers(&[1, 2]).await;
    bench.list_customers(1, &[1]).await;
    bench.level().await;
    bench.unlist_customers(1, &[1]).await;
    bench.list_customers(2, &[1]).await;
    assert_eq!(bench.shown(1).await, ["Reseller 1"]);
    assert_eq!(bench.level().await, 1);
    assert_eq!(bench.shown(1).await, ["Reseller 2"]);
    assert_eq!(bench.of_tenant(1).await.revision.0, before.revision.0 + 2);
    bench.list_customers(1, &[1]).await;
    bench.level().await;
    assert_eq!(bench.shown(1).await, ["Reseller 1", "Reseller 2"], "by tenant");
    let counts = bench.store.reseller_counts(&bench.account).await.expect("the store answers");
    assert_eq!((counts.resellers, counts.mapped_customers), (2, 1));
}

async fn a_renamed_reseller_changes_whoever_shows_it(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    bench.microsoft_customer(2, "Bob").await;
    bench.list_resellers(&[1, 2]).await;
    bench.list_customers(1, &[1]).await;
    bench.list_customers(2, &[2]).await;
    bench.level().await;
    let bob = bench.of_tenant(2).await;
    let renamed = [reseller(1, "Adatum")];
    let account = &bench.account;
    bench.store.write("save", async |tx| tx.save_resellers(account, &renamed).await).await.expect("it is kept");
    assert_eq!(bench.level().await, 1);
    assert_eq!(bench.shown(1).await, ["Adatum"]);
    assert_eq!(bench.of_tenant(2).await, bob);
}

async fn a_paused_customer_keeps_its_resellers_until_it_is_resumed(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    bench.list_resellers(&[1, 2]).await;
    bench.list_customers(1, &[1]).await;
    bench.level().await;
    paused(&bench, 1, "a dispute").await;
    bench.unlist_customers(1, &[1]).await;
    bench.list_customers(2, &[1]).await;
    assert_eq!(bench.level().await, 0);
    let account = &bench.account;
    let forced = bench.store.write("level", async |tx| tx.level_resellers(account, tenant(1)).await).await;
    assert!(!forced.expect("the store answers"), "not even when it is asked for");
    assert_eq!(bench.shown(1).await, ["Reseller 1"]);
    resumed(&bench, 1).await;
    assert_eq!(bench.level().await, 1);
    assert_eq!(bench.shown(1).await, ["Reseller 2"]);
}

async fn an_ended_customer_keeps_its_resellers(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    bench.list_resellers(&[1]).await;
    bench.list_customers(1, &[1]).await;
    bench.level().await;
    let end = format!(
        "UPDATE customer SET relationship = 'ENDED', sync_state = 'ENDED', observation_ticket = 12, revision = revision + 1
         WHERE microsoft_tenant_id = '{}'",
        tenant(1)
    );
    assert_eq!(bench.shell().await.run(&end).await, Ok(1));
    bench.unlist_customers(1, &[1]).await;
    assert_eq!(bench.level().await, 0);
    assert_eq!(bench.shown(1).await, ["Reseller 1"]);
}

async fn a_customer_that_comes_later_shows_who_serves_it(bench: Bench) {
    bench.list_resellers(&[1]).await;
    bench.list_customers(1, &[1]).await;
    assert_eq!(bench.level().await, 0);
    let counts = bench.store.reseller_counts(&bench.account).await.expect("the store answers");
    assert_eq!(counts.mapped_customers, 0);
    let new = bench.microsoft_customer(1, "Ada").await;
    assert!(new.resellers().is_empty());
    assert_eq!(bench.level().await, 1);
    assert_eq!(bench.shown(1).await, ["Reseller 1"]);
}

async fn an_observation_leaves_the_resellers_alone(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    bench.list_resellers(&[1]).await;
    bench.list_customers(1, &[1]).await;
    bench.level().await;
    let before = bench.of_tenant(1).await;
    bench.observe(1, mark(1, 11), Observed::Present(profile("Ada"))).await.expect("it is verified");
    assert_eq!(bench.of_tenant(1).await.revision, before.revision);
    bench.observe(1, mark(1, 12), Observed::Present(profile("Bob"))).await.expect("it is changed");
    let mut shell = bench.shell().await;
    let fields = shell.texts("SELECT fields FROM change_log ORDER BY sequence DESC LIMIT 1", 0).await;
    assert!(!fields[0].contains("resellers"), "{fields:?}");
    assert_eq!(bench.shown(1).await, ["Reseller 1"]);
}

async fn a_reseller_that_a_whole_list_lacks_serves_nobody(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    bench.list_resellers(&[1, 2]).await;
    bench.list_customers(1, &[1]).await;
    bench.level().await;
    let account = &bench.account;
    let only: BTreeSet<_> = [reseller_id(2)].into();
    let partial = bench.store.write("begin", async |tx| tx.begin_reseller_round(account, 1, &only, true).await).await;
    assert_eq!(partial.expect("it is kept"), RoundBegun::Begun);
    assert_eq!(bench.level().await, 0, "a list that may lack some ends nobody");
    assert_eq!(bench.list_resellers(&[2]).await, RoundBegun::Begun);
    assert_eq!(bench.level().await, 1);
    assert!(bench.shown(1).await.is_empty());
    let kept = bench.store.resellers(account, None, 10).await.expect("the store answers");
    let active: Vec<_> = kept.iter().map(|one| one.active).collect();
    assert_eq!(active, [false, true]);
}

async fn an_empty_list_of_resellers_needs_a_second_one(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    bench.list_resellers(&[1]).await;
    bench.list_customers(1, &[1]).await;
    bench.level().await;
    assert_eq!(bench.list_resellers(&[]).await, RoundBegun::EmptyForTheFirstTime);
    assert_eq!(bench.level().await, 0);
    bench.list_resellers(&[1]).await;
    assert_eq!(bench.list_resellers(&[]).await, RoundBegun::EmptyForTheFirstTime, "in a row");
    assert_eq!(bench.list_resellers(&[]).await, RoundBegun::Begun);
    assert_eq!(bench.level().await, 1);
}

async fn an_empty_list_of_customers_needs_a_second_one_where_many_would_go(bench: Bench) {
    bench.list_resellers(&[1]).await;
    let (account, id) = (&bench.account, reseller_id(1));
    let judge = async || {
        let judged = bench.store.write("judge", async |tx| {
            let judged = tx.judge_reseller_list(account, id, true).await?;
            tx.finish_reseller(account, id, 1, true).await?;
            Ok::<_, customer_guard::store::Error>(judged)
        });
        judged.await.expect("the store answers")
    };
    bench.list_customers(1, &[1, 2, 3]).await;
    assert_eq!(judge().await, ResellerRead::Counts, "few");
    bench.store.write("full", async |tx| tx.finish_reseller(account, id, 1, false).await).await.expect("it is kept");
    bench.list_customers(1, &[4]).await;
    assert_eq!(judge().await, ResellerRead::EmptyForTheFirstTime);
    assert_eq!(judge().await, ResellerRead::Counts);
}

async fn reading(bench: &Bench) -> customer_guard::store::ResellerReading {
    bench.store.reseller_reading(&bench.account).await.expect("the store answers").expect("it is noted")
}

async fn a_full_run_that_succeeds_wants_a_reading_and_no_other_does(bench: Bench) {
    let account = &bench.account;
    let note = async || {
        let noted = bench.store.write("note", async |tx| tx.note_reseller_user(account, true).await).await;
        noted.expect("it is noted");
    };
    note().await;
    assert!(!reading(&bench).await.is_wanted());
    let failed = start(&bench, RunKind::Full).await.expect("it starts");
    finish(&bench, &failed, Some("broken")).await;
    let diff = start(&bench, RunKind::ListDiff).await.expect("it starts");
    finish(&bench, &diff, None).await;
    note().await;
    assert!(!reading(&bench).await.is_wanted());
    let full = start(&bench, RunKind::Full).await.expect("it starts");
    finish(&bench, &full, None).await;
    assert!(reading(&bench).await.is_wanted());
}

async fn a_wish_in_a_round_is_fulfilled_by_the_next(bench: Bench) {
    let account = &bench.account;
    bench.list_resellers(&[1]).await;
    assert!(reading(&bench).await.under_way);
    bench.store.write("want", async |tx| tx.want_resellers(account).await).await.expect("it is wanted");
    bench.store.write("want", async |tx| tx.want_resellers(account).await).await.expect("it is wanted");
    bench.store.write("finish", async |tx| tx.finish_reseller_round(account).await).await.expect("it is finished");
    let after = reading(&bench).await;
    assert!(after.is_wanted() && !after.under_way && after.read_at.is_some());
}

async fn resellers_are_read_one_after_the_other_and_listed_in_pages(bench: Bench) {
    let account = &bench.account;
    bench.list_resellers(&[3, 1, 2]).await;
    let next =
        async |round, after| bench.store.next_reseller_to_read(account, round, after).await.expect("the store answers");
    assert_eq!(next(1, None).await, Some(reseller_id(1)));
    let done = bench.store.write("done", async |tx| tx.finish_reseller(account, reseller_id(1), 1, false).await);
    done.await.expect("it is kept");
    assert_eq!(next(1, None).await, Some(reseller_id(2)));
    assert_eq!(next(1, Some(reseller_id(2))).await, Some(reseller_id(3)));
    assert_eq!(next(1, Some(reseller_id(3))).await, None);
    assert_eq!(next(2, None).await, Some(reseller_id(1)), "a new round reads all of them");
    let page = bench.store.resellers(account, Some(reseller_id(1)), 1).await.expect("the store answers");
    assert_eq!(page.iter().map(|one| one.listed.reseller.tenant_id).collect::<Vec<_>>(), [reseller_id(2)]);
}

async fn an_account_that_has_no_resellers_any_more_shows_none(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    bench.list_resellers(&[1]).await;
    bench.list_customers(1, &[1]).await;
    bench.level().await;
    let account = &bench.account;
    bench.store.write("retire", async |tx| tx.retire_resellers(account).await).await.expect("they are retired");
    assert_eq!(bench.store.reseller_reading(account).await.expect("the store answers"), None);
    assert_eq!(bench.level().await, 1);
    assert!(bench.shown(1).await.is_empty());
}

async fn what_differs_from_what_is_shown_is_always_pending(bench: Bench) {
    bench.list_resellers(&[1]).await;
    bench.list_customers(1, &[1]).await;
    let refused = bench.shell().await.run("UPDATE customer_reseller SET pending = FALSE").await;
    assert!(refused.expect_err("it is refused").contains("customer_reseller_differs_only_while_pending"));
}
