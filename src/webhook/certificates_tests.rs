use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::webhook::test_authority::{Leaf, SIGNER_NAME, TestAuthority};
use crate::webhook::trust::Roots;

const HOST: &str = "certificates.example";

/// Certificates, and a host that counts how often it is asked.
struct Bench {
    certificates: Certificates,
    clock: Clock,
    good: Vec<u8>,
    asked: AtomicUsize,
}

impl Bench {
    fn new() -> Self {
        let authority = TestAuthority::new("Good");
        let signers = Signers {
            roots: Roots::from_pem(authority.pem().as_bytes()).expect("roots"),
            names: BTreeSet::from([SIGNER_NAME.to_owned()]),
        };
        let clock = Clock::manual(Timestamp::from_micros(1_800_000_000_000_000));
        let leaf = Leaf { years: (2020, 2028), ..Leaf::of_microsoft() };
        let good = authority.issue(&leaf).certificate;
        Self { certificates: Certificates::new(signers, clock.clone()), clock, good, asked: AtomicUsize::new(0) }
    }

    async fn ask(&self, name: &str, found: Option<Vec<u8>>) -> Result<(), Refusal> {
        let address = format!("https://{HOST}/cert/{name}.cer");
        let address = CertificateAddress::read(&address, [HOST]).expect("an address");
        let fetch = async {
            self.asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            found
        };
        self.certificates.signer(&address, fetch).await.map(|_| ())
    }

    async fn good(&self, name: &str) -> Result<(), Refusal> {
        self.ask(name, Some(self.good.clone())).await
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

#[tokio::test]
async fn a_good_certificate_is_fetched_once_a_day() {
    let bench = Bench::new();
    for _ in 0..5 {
        assert_eq!(bench.good("a").await, Ok(()));
    }
    bench.pass(24 * 3600 - 1);
    assert_eq!(bench.good("a").await, Ok(()));
    assert_eq!(bench.asked(), 1);
    bench.pass(1);
    assert_eq!(bench.good("a").await, Ok(()));
    assert_eq!(bench.asked(), 2);
}

#[tokio::test]
async fn many_who_want_the_same_certificate_at_once_fetch_it_once() {
    let bench = Bench::new();
    let all = futures::future::join_all((0..20).map(|_| bench.good("a"))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(bench.asked(), 1);
}

#[tokio::test]
async fn what_cannot_be_had_or_is_no_signer_s_is_not_asked_for_again_for_a_minute() {
    for (found, refusal) in
        [(None, Refusal::CertificateUnavailable), (Some(b"junk".to_vec()), Refusal::MalformedCertificate)]
    {
        let bench = Bench::new();
        assert_eq!(bench.ask("a", found).await, Err(refusal));
        bench.pass(59);
        assert_eq!(bench.good("a").await, Err(refusal));
        assert_eq!(bench.asked(), 1);
        bench.pass(1);
        assert_eq!(bench.good("a").await, Ok(()));
    }
}

#[tokio::test]
async fn other_addresses_do_not_make_us_ask_more_than_once_a_minute_and_twenty_times_a_day() {
    let bench = Bench::new();
    for round in 0..40 {
        for name in 0..3 {
            let _ = bench.ask(&format!("{round}-{name}"), None).await;
        }
        bench.pass(60);
    }
    assert_eq!(bench.asked(), 20);
    bench.pass(24 * 3600);
    assert_eq!(bench.good("a").await, Ok(()));
}

#[tokio::test]
async fn a_good_certificate_stays_in_use_while_its_host_is_down_and_until_it_ends() {
    let bench = Bench::new();
    assert_eq!(bench.good("a").await, Ok(()));
    for _ in 0..5 {
        bench.pass(24 * 3600);
        assert_eq!(bench.ask("a", None).await, Ok(()));
    }
    // Valid until 2028, and it is 2027.
    bench.pass(400 * 24 * 3600);
    assert_eq!(bench.ask("a", None).await, Err(Refusal::CertificateUnavailable));
}

#[tokio::test]
async fn a_certificate_that_ends_while_it_is_remembered_is_good_no_longer() {
    let bench = Bench::new();
    // Twelve hours before the end of 2027.
    let end = Timestamp::from_micros(1_830_297_600_000_000);
    bench.clock.advance(end.since(bench.clock.now()) - Duration::from_secs(12 * 3600));
    assert_eq!(bench.good("a").await, Ok(()));
    bench.pass(13 * 3600);
    assert_eq!(bench.good("a").await, Err(Refusal::OutdatedCertificate));
    assert_eq!(bench.asked(), 1);
}

#[tokio::test]
async fn a_flood_of_addresses_does_not_push_a_good_certificate_out() {
    let bench = Bench::new();
    assert_eq!(bench.good("a").await, Ok(()));
    for name in 0..100 {
        assert_eq!(bench.ask(&format!("x{name}"), None).await, Err(Refusal::CertificateUnavailable));
    }
    assert_eq!(bench.certificates.held().len(), ENTRIES_MAX);
    bench.pass(60);
    assert_eq!(bench.good("a").await, Ok(()));
    assert_eq!(bench.asked(), 1, "the others came too soon after it");
}
