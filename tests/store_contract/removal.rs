//! Evidence that a relationship ended: it grows only by complete lists and is forgotten when the customer is seen.

use customer_guard::domain::observation::{GoneAnswer, Observed};
use customer_guard::domain::removal::RemovalEvidence;
use customer_guard::store::{Error, RunKind};

use crate::bench::{Bench, mark, profile, tenant};
use crate::listing::{list, listed, page};
use crate::runs::{finish, start};

contract! {
    only_complete_lists_count_as_missing,
    a_customer_that_is_listed_again_is_no_candidate,
    a_customer_that_is_observed_again_is_no_candidate,
    a_gone_answer_from_before_it_was_last_listed_is_no_evidence,
    a_recorded_removal_is_evidence_until_it_is_seen_again,
    a_candidate_carries_the_newest_answer,
    an_ended_customer_is_no_candidate,
    an_account_keeps_its_tenant,
}

async fn missing_runs(bench: &Bench) -> i64 {
    bench.shell().await.number("SELECT missing_runs FROM upstream_customer WHERE tenant_id LIKE '00000001%'").await
}

async fn evidence(bench: &Bench) -> Vec<RemovalEvidence> {
    let found = bench.store.removal_candidates(&bench.account).await.expect("the store answers");
    found.into_iter().map(|candidate| candidate.evidence).collect()
}

async fn gone(bench: &Bench, ticket: i64) {
    bench.observe(1, mark(1, ticket), Observed::Gone(GoneAnswer::NoRelationship)).await.expect("it is noted");
}

async fn only_complete_lists_count_as_missing(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    bench.step(1);
    let broken = start(&bench, RunKind::ListDiff).await.expect("it starts");
    page(&bench, &broken, &[listed(2, "b")], Some("2")).await;
    finish(&bench, &broken, Some("500")).await;
    assert_eq!(missing_runs(&bench).await, 0);
    bench.step(1);
    for runs in 1..4 {
        list(&bench, RunKind::ListDiff, &[2]).await;
        assert_eq!(missing_runs(&bench).await, runs);
    }
    assert!(evidence(&bench).await.is_empty(), "absence alone makes no candidate");
    gone(&bench, 11).await;
    assert_eq!(evidence(&bench).await, [RemovalEvidence { missing_runs: 3, removal_recorded: false, said_gone: true }]);
}

async fn a_customer_that_is_listed_again_is_no_candidate(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    bench.step(1);
    for kind in [RunKind::ListDiff, RunKind::Full] {
        list(&bench, kind, &[]).await;
        assert_eq!(missing_runs(&bench).await, 1);
        list(&bench, kind, &[1]).await;
        assert_eq!(missing_runs(&bench).await, 0);
    }
}

async fn a_customer_that_is_observed_again_is_no_candidate(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    bench.step(1);
    list(&bench, RunKind::ListDiff, &[]).await;
    gone(&bench, 11).await;
    assert_eq!(evidence(&bench).await.len(), 1);
    bench.observe(1, mark(1, 12), Observed::Present(profile("Ada"))).await.expect("it is saved");
    assert_eq!((missing_runs(&bench).await, evidence(&bench).await.len()), (0, 0));
    list(&bench, RunKind::ListDiff, &[]).await;
    assert_eq!(evidence(&bench).await, [], "the earlier answer no longer counts");
}

/// Gone, listed again, missing in two lists, and the question about it was never answered since.
async fn a_gone_answer_from_before_it_was_last_listed_is_no_evidence(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    bench.step(1);
    list(&bench, RunKind::ListDiff, &[]).await;
    gone(&bench, 11).await;
    list(&bench, RunKind::ListDiff, &[1]).await;
    list(&bench, RunKind::ListDiff, &[]).await;
    list(&bench, RunKind::ListDiff, &[]).await;
    assert!(evidence(&bench).await.iter().all(|evidence| !evidence.is_complete()));
    gone(&bench, 12).await;
    assert!(evidence(&bench).await.iter().all(|evidence| evidence.is_complete()));
}

async fn a_recorded_removal_is_evidence_until_it_is_seen_again(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    bench.step(1);
    let record = async || {
        let noted =
            bench.store.write("audit", async |tx| tx.note_removal_recorded(&bench.account, &[tenant(1)]).await).await;
        noted.expect("the record is noted");
    };
    record().await;
    list(&bench, RunKind::ListDiff, &[]).await;
    gone(&bench, 11).await;
    assert_eq!(evidence(&bench).await, [RemovalEvidence { missing_runs: 1, removal_recorded: true, said_gone: true }]);
    list(&bench, RunKind::ListDiff, &[1]).await;
    list(&bench, RunKind::ListDiff, &[]).await;
    gone(&bench, 12).await;
    assert_eq!(evidence(&bench).await, [RemovalEvidence { missing_runs: 1, removal_recorded: false, said_gone: true }]);
    record().await;
    bench.observe(1, mark(1, 13), Observed::Present(profile("Ada"))).await.expect("it is saved");
    list(&bench, RunKind::ListDiff, &[]).await;
    gone(&bench, 14).await;
    assert_eq!(evidence(&bench).await, [RemovalEvidence { missing_runs: 1, removal_recorded: false, said_gone: true }]);
}

async fn a_candidate_carries_the_newest_answer(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    bench.step(1);
    list(&bench, RunKind::ListDiff, &[]).await;
    gone(&bench, 11).await;
    gone(&bench, 15).await;
    let found = bench.store.removal_candidates(&bench.account).await.expect("the store answers");
    assert_eq!(found.iter().map(|one| (one.tenant_id, one.mark)).collect::<Vec<_>>(), [(tenant(1), mark(1, 15))]);
    assert_eq!(bench.store.present_customers(&bench.account, 3).await.expect("the store answers"), []);
}

async fn an_ended_customer_is_no_candidate(bench: Bench) {
    bench.microsoft_customer(1, "Ada").await;
    bench.step(1);
    list(&bench, RunKind::ListDiff, &[]).await;
    list(&bench, RunKind::ListDiff, &[]).await;
    gone(&bench, 11).await;
    let candidate = bench.store.removal_candidates(&bench.account).await.expect("the store answers")[0];
    let departure = customer_guard::domain::removal::end(&bench.of_tenant(1).await, candidate.evidence, candidate.mark);
    let departure = departure.expect("the evidence is complete");
    bench.store.write("end", async |tx| tx.save_departure(&departure, None, None).await).await.expect("it ends");
    assert!(evidence(&bench).await.is_empty());
    assert_eq!(bench.store.active_customers(&bench.account).await.expect("the store answers"), 0);
}

async fn an_account_keeps_its_tenant(bench: Bench) {
    let mut other = crate::bench::partner("contoso", 0);
    other.tenant_id = tenant(77);
    other.display_name = "renamed".to_owned();
    let saved = bench
        .store
        .write("account", async |tx| {
            tx.save_partner_account(&other).await.map_err(|error| Error::Backstop(error.to_string()))
        })
        .await;
    assert!(saved.is_err_and(|error| error.to_string().contains("belongs to another tenant")));
    let kept = bench.store.partner_accounts().await.expect("the store answers");
    assert_eq!(kept, [crate::bench::partner("contoso", 0)]);
}
