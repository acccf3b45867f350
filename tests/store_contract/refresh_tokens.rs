//! The refresh token of an account: of two who replace the same one, only the first does.

use customer_guard::domain::ids::PartnerAccountId;
use customer_guard::sealing::Sealed;
use customer_guard::store::{KeptRefreshToken, Renewal};

use crate::bench::Bench;

contract! {
    of_two_who_renew_the_same_token_the_first_is_kept,
    the_token_that_worked_is_kept_until_the_one_it_brought_has_worked,
    a_version_that_was_read_before_a_token_was_set_anew_fits_it_no_more,
    a_refusal_keeps_its_beginning_and_ends_with_success_or_a_new_token,
}

fn sealed(byte: u8) -> Sealed {
    Sealed { key_id: "a-key".to_owned(), bytes: vec![byte; 40] }
}

async fn put(bench: &Bench, id: &PartnerAccountId, byte: u8) {
    bench.store.write("put", async |tx| tx.put_refresh_token(id, &sealed(byte), None).await).await.expect("a token");
}

async fn kept(bench: &Bench, id: &PartnerAccountId) -> KeptRefreshToken {
    bench.store.refresh_token(id).await.expect("a store").expect("a token")
}

async fn renew(bench: &Bench, id: &PartnerAccountId, version: i64, worked: u8, newer: Option<u8>) -> bool {
    let renewal = Renewal { version, worked: sealed(worked), newer: newer.map(sealed) };
    bench.store.write("renew", async |tx| tx.renew_refresh_token(id, &renewal).await).await.expect("a store")
}

async fn of_two_who_renew_the_same_token_the_first_is_kept(bench: Bench) {
    let id = bench.account.clone();
    put(&bench, &id, 1).await;
    let seen = kept(&bench, &id).await;
    assert!(renew(&bench, &id, seen.version, 1, Some(2)).await);
    assert!(!renew(&bench, &id, seen.version, 1, Some(3)).await, "somebody else was faster");
    let now = kept(&bench, &id).await;
    assert_eq!((&now.newest, now.former.as_ref()), (&sealed(2), Some(&sealed(1))));
    assert!(now.standing.succeeded_at.is_some());
}

async fn the_token_that_worked_is_kept_until_the_one_it_brought_has_worked(bench: Bench) {
    let id = bench.account.clone();
    put(&bench, &id, 1).await;
    for (worked, newer, former) in
        [(1, Some(2), Some(1)), (2, Some(3), Some(2)), (2, Some(4), Some(2)), (4, None, None)]
    {
        let version = kept(&bench, &id).await.version;
        assert!(renew(&bench, &id, version, worked, newer).await);
        let now = kept(&bench, &id).await;
        assert_eq!((now.newest, now.former), (sealed(newer.unwrap_or(worked)), former.map(sealed)));
    }
}

async fn a_version_that_was_read_before_a_token_was_set_anew_fits_it_no_more(bench: Bench) {
    let id = bench.account.clone();
    put(&bench, &id, 1).await;
    let seen = kept(&bench, &id).await.version;
    put(&bench, &id, 2).await;
    assert!(!renew(&bench, &id, seen, 1, Some(3)).await);
    bench.store.write("forget", async |tx| tx.forget_refresh_token(&id).await).await.expect("a store");
    assert!(!renew(&bench, &id, seen, 1, Some(3)).await, "there is none any more");
    bench.clock.advance(std::time::Duration::from_secs(1));
    put(&bench, &id, 4).await;
    assert!(!renew(&bench, &id, seen, 1, Some(3)).await);
    assert_eq!(kept(&bench, &id).await.newest, sealed(4));
}

async fn a_refusal_keeps_its_beginning_and_ends_with_success_or_a_new_token(bench: Bench) {
    let id = bench.account.clone();
    put(&bench, &id, 1).await;
    let refuse = async |reason: &'static str| {
        let version = kept(&bench, &id).await.version;
        let noted = bench.store.write("refuse", async |tx| {
            tx.note_user_refused(&id, version, reason, Some("AADSTS50173"), "Sign in again.").await
        });
        assert!(noted.await.expect("a store"));
        kept(&bench, &id).await.standing.refused.expect("a refusal")
    };
    let first = refuse("CONSENT_NEEDED").await;
    bench.clock.advance(std::time::Duration::from_secs(60));
    let again = refuse("CONSENT_NEEDED").await;
    assert_eq!(again.since, first.since);
    assert!(again.at > first.at);
    assert_eq!(refuse("MFA_REQUIRED").await.since, again.at, "another one begins anew");
    let version = kept(&bench, &id).await.version;
    assert!(renew(&bench, &id, version, 1, Some(2)).await);
    assert_eq!(kept(&bench, &id).await.standing.refused, None);
    refuse("CONSENT_NEEDED").await;
    put(&bench, &id, 3).await;
    assert_eq!(kept(&bench, &id).await.standing.refused, None);
}
