//! What is kept of the trials of credentials: a dry run is compared with what is known, judged once, and touches nothing else.

use customer_guard::domain::observation::ListedCustomer;
use customer_guard::domain::trial::{CredentialTrial, Fingerprint, Grounds, TrialReport, TrialState, Verdict};
use customer_guard::store::{RunCause, RunKind, RunState, TrialStart};

use crate::bench::{Bench, tenant};
use crate::listing::page;

contract! {
    first_credentials_of_an_empty_account_and_those_of_an_earlier_release_need_no_dry_run,
    a_dry_run_is_compared_with_every_known_customer_and_changes_none,
    a_customer_that_is_met_twice_is_met_once,
    paused_customers_are_left_out_of_a_trial,
    a_sample_is_spread_over_everybody_and_bounded,
    a_dry_run_with_little_that_differs_is_accepted_by_itself,
    an_operators_acceptance_is_kept_for_good_and_counts_from_then_on,
    a_dry_run_of_credentials_that_were_replaced_meanwhile_is_not_judged,
    a_dry_run_that_begins_anew_has_met_nobody,
    a_list_that_other_credentials_began_is_read_anew,
    the_key_of_fingerprints_stays_the_same,
}

const FIRST: Fingerprint = Fingerprint::new([1; 32]);
const SECOND: Fingerprint = Fingerprint::new([2; 32]);

fn listed(number: u32, name: &str) -> ListedCustomer {
    ListedCustomer {
        tenant_id: tenant(number),
        company_name: name.to_owned(),
        domain: format!("{name}.example"),
        relationship: "reseller".to_owned(),
    }
}

async fn begin(bench: &Bench, credentials: Fingerprint) -> TrialStart {
    let account = &bench.account;
    bench.store.write("begin", async |tx| tx.begin_trial(account, credentials).await).await.expect("begun")
}

async fn meet(bench: &Bench, customers: &[ListedCustomer]) {
    let account = &bench.account;
    bench.store.write("meet", async |tx| tx.note_seen_on_trial(account, customers).await).await.expect("noted");
}

async fn judged(bench: &Bench, credentials: Fingerprint, sample: (u64, u64)) -> Option<(Verdict, TrialReport)> {
    let account = &bench.account;
    let judge =
        async |tx: &mut customer_guard::store::Tx| tx.judge_trial(account, credentials, sample.0, sample.1).await;
    bench.store.write("judge", judge).await.expect("judged")
}

async fn trial(bench: &Bench) -> Option<CredentialTrial> {
    bench.store.credential_trial(&bench.account).await.expect("an answer")
}

async fn accepted(bench: &Bench) -> Option<Fingerprint> {
    bench.store.accepted_credentials(&bench.account).await.expect("an answer")
}

/// So many known customers that the last list had, synchronized with the first credentials.
async fn with_known(bench: &Bench, count: u32) {
    let account = &bench.account;
    let run = bench
        .store
        .write("start", async |tx| tx.start_run(account, RunKind::Full, RunCause::First, "worker").await)
        .await
        .expect("a run");
    let all: Vec<_> = (1..=count).map(|number| listed(number, &format!("name{number}"))).collect();
    let page = bench.store.listed_page(&run, &all).await.expect("the store answers");
    bench
        .store
        .write("list", async |tx| {
            tx.save_page(&run, &page, None).await?;
            tx.finish_listing(&run, &[]).await?;
            tx.finish_run(&run, None).await
        })
        .await
        .expect("listed");
    for number in 1..=count {
        bench.microsoft_customer(number, &format!("Seed{number}")).await;
    }
    assert_eq!(begin(bench, FIRST).await, TrialStart::Accepted(Grounds::KnownBefore));
}

async fn customers_as_they_are(bench: &Bench) -> Vec<String> {
    let mut shell = bench.shell().await;
    let customers = "SELECT id || revision || sync_state || updated_at FROM customer ORDER BY id";
    let mut rows = shell.texts(customers, 0).await;
    let owed = "SELECT tenant_id || marked || settled || missing_runs || coalesce(listed_name, '-') FROM upstream_customer ORDER BY 1";
    rows.extend(shell.texts(owed, 0).await);
    rows
}

async fn first_credentials_of_an_empty_account_and_those_of_an_earlier_release_need_no_dry_run(bench: Bench) {
    assert_eq!(accepted(&bench).await, None);
    assert_eq!(begin(&bench, SECOND).await, TrialStart::Accepted(Grounds::NobodyToLose));
    assert_eq!((accepted(&bench).await, trial(&bench).await), (Some(SECOND), None));

    let old = bench.add_partner("fabrikam", 1).await;
    let old = Bench { account: old, ..bench };
    old.microsoft_customer(1, "Linden").await;
    assert_eq!(begin(&old, FIRST).await, TrialStart::Accepted(Grounds::KnownBefore));
    assert_eq!(accepted(&old).await, Some(FIRST));
    // But only once: whatever comes next is tried.
    assert_eq!(begin(&old, SECOND).await, TrialStart::DryRun);
    let state = trial(&old).await.map(|trial| (trial.state, trial.fingerprint, trial.found));
    assert_eq!(state, Some((TrialState::Trying, SECOND, None)));
    assert_eq!(accepted(&old).await, Some(FIRST));
}

async fn a_dry_run_is_compared_with_every_known_customer_and_changes_none(bench: Bench) {
    with_known(&bench, 10).await;
    let before = customers_as_they_are(&bench).await;
    assert_eq!(begin(&bench, SECOND).await, TrialStart::DryRun);
    meet(&bench, &[listed(1, "name1"), listed(2, "name2"), listed(3, "renamed"), listed(77, "new")]).await;
    let (verdict, report) = judged(&bench, SECOND, (2, 1)).await.expect("a judgement");
    let expected = TrialReport {
        listed: 4,
        active: 10,
        present: 3,
        missing: 7,
        appeared: 1,
        renamed: 1,
        sampled: 2,
        differing: 1,
    };
    assert_eq!((verdict, report), (Verdict::AskOperator, expected));
    let waiting = trial(&bench).await.expect("a trial");
    assert_eq!((waiting.state, waiting.found.map(|(report, _)| report)), (TrialState::Waiting, Some(expected)));
    let problem = bench.store.hindrance(&bench.account).await.expect("an answer").problem.expect("a problem");
    assert_eq!(problem.reason, "CREDENTIALS_NEED_APPROVAL");
    assert!(problem.detail.contains("7 are missing"), "{}", problem.detail);
    assert_eq!(customers_as_they_are(&bench).await, before);
    assert_eq!(bench.shell().await.number("SELECT count(*) FROM credential_trial_seen").await, 0);
    assert_eq!(accepted(&bench).await, Some(FIRST));
}

async fn a_customer_that_is_met_twice_is_met_once(bench: Bench) {
    with_known(&bench, 5).await;
    begin(&bench, SECOND).await;
    meet(&bench, &[listed(1, "name1"), listed(1, "name1")]).await;
    meet(&bench, &[listed(1, "name1")]).await;
    let (_, report) = judged(&bench, SECOND, (0, 0)).await.expect("a judgement");
    assert_eq!((report.listed, report.present, report.missing), (1, 1, 4));
}

async fn paused_customers_are_left_out_of_a_trial(bench: Bench) {
    with_known(&bench, 4).await;
    let pause = format!(
        "UPDATE upstream_customer SET paused_at = 1, paused_by = 'olga', pause_reason = 'x' WHERE tenant_id = '{}'",
        tenant(1)
    );
    assert_eq!(bench.shell().await.run(&pause).await, Ok(1));
    begin(&bench, SECOND).await;
    meet(&bench, &[listed(2, "name2")]).await;
    let sample = bench.store.trial_sample(&bench.account).await.expect("a sample");
    assert_eq!(sample.len(), 1);
    let (_, report) = judged(&bench, SECOND, (1, 0)).await.expect("a judgement");
    assert_eq!((report.active, report.present, report.missing, report.appeared), (3, 1, 2, 0));
}

async fn a_sample_is_spread_over_everybody_and_bounded(bench: Bench) {
    with_known(&bench, 100).await;
    begin(&bench, SECOND).await;
    let all: Vec<_> = (1..=100).map(|number| listed(number, &format!("name{number}"))).collect();
    meet(&bench, &all[..99]).await;
    meet(&bench, &[listed(100, "renamed")]).await;
    let sample = bench.store.trial_sample(&bench.account).await.expect("a sample");
    assert_eq!(sample.len(), 25);
    let places: Vec<_> =
        sample.iter().map(|customer| customer.microsoft.as_ref().expect("Microsoft's").tenant_id).collect();
    assert!(places.is_sorted());
    for quarter in 0..4 {
        let within = |tenant_id: &&_| (tenant(quarter * 25 + 1)..=tenant(quarter * 25 + 25)).contains(*tenant_id);
        assert!((5..=7).contains(&places.iter().filter(within).count()), "{places:?}");
    }
    assert!(!places.contains(&tenant(100)), "a renamed one is counted already");
}

async fn a_dry_run_with_little_that_differs_is_accepted_by_itself(bench: Bench) {
    with_known(&bench, 10).await;
    begin(&bench, SECOND).await;
    let seven: Vec<_> = (1..=7).map(|number| listed(number, &format!("name{number}"))).collect();
    meet(&bench, &seven).await;
    let (verdict, report) = judged(&bench, SECOND, (7, 0)).await.expect("a judgement");
    assert_eq!((verdict, report.missing), (Verdict::Accept, 3));
    assert_eq!(accepted(&bench).await, Some(SECOND));
    let trial = trial(&bench).await.expect("the report stays");
    assert_eq!((trial.state, trial.accepted.map(|(_, by)| by)), (TrialState::Accepted, Some("worker".to_owned())));
    // Back to the first ones: these are tried as well.
    assert_eq!(begin(&bench, FIRST).await, TrialStart::DryRun);
}

async fn an_operators_acceptance_is_kept_for_good_and_counts_from_then_on(bench: Bench) {
    with_known(&bench, 10).await;
    begin(&bench, SECOND).await;
    meet(&bench, &[listed(1, "name1")]).await;
    let (verdict, report) = judged(&bench, SECOND, (1, 0)).await.expect("a judgement");
    assert_eq!(verdict, Verdict::AskOperator);
    let account = &bench.account;
    bench
        .store
        .write("accept", async |tx| tx.accept_trial(account, SECOND, &report, "olga").await)
        .await
        .expect("accepted");
    assert_eq!(accepted(&bench).await, Some(SECOND));
    assert_eq!(bench.store.hindrance(account).await.expect("an answer").problem, None);
    let mut shell = bench.shell().await;
    let kept = "SELECT count(*) FROM credential_acceptance WHERE accepted_by = 'olga' AND grounds = 'OPERATOR' AND missing = 9";
    assert_eq!(shell.number(kept).await, 1);
    for wrong in ["UPDATE credential_acceptance SET accepted_by = 'nobody'", "DELETE FROM credential_acceptance"] {
        let told = shell.run(wrong).await.expect_err(wrong);
        assert!(told.contains("guard: who accepted which credentials"), "{told}");
    }
}

async fn a_dry_run_of_credentials_that_were_replaced_meanwhile_is_not_judged(bench: Bench) {
    with_known(&bench, 10).await;
    begin(&bench, SECOND).await;
    let account = &bench.account;
    bench.store.write("forget", async |tx| tx.forget_trial(account).await).await.expect("forgotten");
    assert_eq!(judged(&bench, SECOND, (0, 0)).await, None);
    begin(&bench, Fingerprint::new([3; 32])).await;
    assert_eq!(judged(&bench, SECOND, (0, 0)).await, None);
    assert_eq!(accepted(&bench).await, Some(FIRST));
}

async fn a_dry_run_that_begins_anew_has_met_nobody(bench: Bench) {
    with_known(&bench, 10).await;
    begin(&bench, SECOND).await;
    meet(&bench, &[listed(1, "name1"), listed(2, "name2")]).await;
    begin(&bench, SECOND).await;
    meet(&bench, &[listed(3, "name3")]).await;
    let (_, report) = judged(&bench, SECOND, (0, 0)).await.expect("a judgement");
    assert_eq!((report.listed, report.present), (1, 1));
    // One that waits goes on waiting with what was found while it is repeated.
    begin(&bench, SECOND).await;
    assert_eq!(trial(&bench).await.map(|trial| trial.state), Some(TrialState::Waiting));
}

async fn a_list_that_other_credentials_began_is_read_anew(bench: Bench) {
    with_known(&bench, 10).await;
    let account = bench.account.clone();
    let begun = async |tx: &mut customer_guard::store::Tx| {
        tx.start_run(&account, RunKind::ListDiff, RunCause::Scheduled, "worker").await
    };
    let run = bench.store.write("begin to list", begun).await.expect("a run");
    page(&bench, &run, &[listed(1, "name1")], Some("next")).await;
    let all: Vec<_> = (1..=10).map(|number| listed(number, &format!("name{number}"))).collect();
    begin(&bench, SECOND).await;
    meet(&bench, &all).await;
    judged(&bench, SECOND, (10, 0)).await.expect("a judgement");
    let run = bench.store.run_under_way(&account, RunKind::ListDiff).await.expect("an answer").expect("the run");
    assert_eq!((run.state, run.pages, run.next_link), (RunState::Listing, 0, None));
}

async fn the_key_of_fingerprints_stays_the_same(bench: Bench) {
    let of = async |store: &customer_guard::store::Store| {
        store.fingerprint_key().await.expect("a key").fingerprint(&[b"whoever".as_slice()])
    };
    let one = of(&bench.store).await;
    assert_eq!(of(&bench.store).await, one);
    assert_ne!(one, Fingerprint::new([0; 32]));
    let kept =
        bench.shell().await.number("SELECT count(*) FROM store_meta WHERE name = 'credential_fingerprint_key'").await;
    assert_eq!(kept, 1);
}
