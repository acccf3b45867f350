//! Partner Center's events: a genuine one makes a customer visible at once, and no other has any effect.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use customer_guard::grpc::proto::{IncrementalMode, PauseCustomerRequest, ResumeCustomerRequest, SyncState};
use customer_guard::simulator::operations::NewCustomer;
use customer_guard::simulator::partner::Knobs;
use customer_guard::simulator::webhooks::Mischief;
use uuid::Uuid;

use crate::harness::certificates::{IMPOSTOR_URL, MICROSOFT_URL, NEIGHBOUR_URL, cast};
use crate::harness::database::count;
use crate::harness::hooks::{Hooked, Post};
use crate::harness::upstream::Upstream;
use crate::harness::{Plan, World, eventually};

/// What a genuine event may take until its customer can be read.
const PROMISE: Duration = Duration::from_secs(2);
/// Certificates are fetched at most so often.
const FETCH_PAUSE: Duration = Duration::from_secs(60);

fn accept(world: &World) -> Uuid {
    world.upstream.simulator.accept_customer(world.contoso(), NewCustomer::default()).expect("a customer").id
}

fn set_knobs(world: &World, change: impl FnOnce(&mut Knobs)) {
    world.upstream.simulator.set_knobs(world.contoso(), change).expect("a known partner");
}

fn answers(world: &World) -> Vec<u16> {
    world.upstream.simulator.event_answers(world.contoso())
}

#[tokio::test]
async fn a_genuine_event_makes_its_customer_visible_in_less_than_two_seconds() {
    let hooked = Hooked::start().await;
    let world = &hooked.world;
    let lists = world.upstream.simulator.calls(world.contoso()).list;
    let began = Instant::now();
    let new = accept(world);
    let seen = eventually("the customer is visible", async || world.guard.of_tenant("contoso", new).await);
    let customer = tokio::time::timeout(PROMISE, seen).await.expect("in time");
    println!("a genuine event made its customer visible in {:?}", began.elapsed());
    assert_eq!(customer.sync_state(), SyncState::Synced);
    let calls = world.upstream.simulator.calls(world.contoso());
    assert_eq!(calls.list, lists, "the list was not needed");
    assert_eq!(hooked.host.fetched(), ["pcnotifications-dispatch.cer"], "the test event had it fetched");
    hooked.end().await;
}

#[tokio::test]
async fn a_genuine_event_about_a_known_customer_brings_its_contact_up_to_date() {
    let hooked = Hooked::start().await;
    let tenant = hooked.world.tenants()[0];
    hooked.world.change_email_silently(tenant, "by-event@example.com");
    assert_eq!(hooked.send(&hooked.event(tenant)).await, StatusCode::OK);
    hooked.world.wait_for_email(tenant, "by-event@example.com", Duration::ZERO).await;
    // The addresses in that event lead to somebody who must not be asked; the end looks whether anybody was.
    hooked.end().await;
}

#[tokio::test]
async fn an_event_about_a_paused_customer_is_kept_for_the_resume() {
    let hooked = Hooked::start().await;
    let world = &hooked.world;
    let tenant = world.tenants()[0];
    let name = world.customer(tenant).await.name;
    let pause = PauseCustomerRequest { name: name.clone(), reason: "A dispute.".to_owned(), ..Default::default() };
    let paused = world.guard.sync.clone().pause_customer(pause).await.expect("it is paused").into_inner();
    world.change_email_silently(tenant, "by-event@example.com");
    let marks = hooked.marks_of(tenant).await;
    assert_eq!(hooked.send(&hooked.event(tenant)).await, StatusCode::OK);
    assert_eq!(hooked.marks_of(tenant).await, marks + 1);
    // A customer that is nobody's work does not keep others waiting.
    let new = accept(world);
    eventually("the newcomer is visible", async || world.guard.of_tenant("contoso", new).await).await;
    assert_eq!(world.guard.get(&name).await, paused, "nothing was applied");
    let resume = ResumeCustomerRequest { name, ..Default::default() };
    world.guard.sync.clone().resume_customer(resume).await.expect("it is resumed");
    world.wait_for_email(tenant, "by-event@example.com", Duration::ZERO).await;
    hooked.end().await;
}

/// Requests that differ from a genuine one in one thing, and how each is answered.
fn forgeries(hooked: &Hooked) -> Vec<(&'static str, Post, StatusCode)> {
    let tenant = hooked.world.tenants()[0];
    let genuine = || hooked.event(tenant);
    let (unauthorized, not_found) = (StatusCode::UNAUTHORIZED, StatusCode::NOT_FOUND);
    let media_type = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    let path = hooked.path();
    let with_path = |path: String| Post { path, ..genuine() };
    let mut altered = genuine();
    altered.body.push(b' ');
    let mut long = genuine().body;
    long.resize(64 * 1024 + 1, b' ');
    let microsoft = &cast().microsoft;
    let no_event = Post::signed(&path, b"[1]".to_vec(), microsoft, MICROSOFT_URL);
    let signature = genuine().header("x-ms-signature").to_owned();
    let evil = "https://certificates.evil.example/cert/pcnotifications-dispatch.cer";
    let beside = "https://3psostorageacct.blob.core.windows.net.evil.example/cert/a.cer";
    let inside = format!("{}/cert/a.cer", hooked.host.evil_url());
    vec![
        ("another secret", with_path(format!("{}x", &path[..path.len() - 1])), not_found),
        ("no secret", with_path("/webhooks/v1/contoso/".to_owned()), not_found),
        ("another account", with_path(path.replace("contoso", "northwind")), not_found),
        ("an unknown account", with_path(path.replace("contoso", "nobody")), not_found),
        ("no JSON", genuine().with("content-type", "text/plain"), media_type),
        ("compressed", genuine().with("content-encoding", "gzip"), media_type),
        ("too long", Post::signed(&path, long, microsoft, MICROSOFT_URL), StatusCode::PAYLOAD_TOO_LARGE),
        ("no signature", genuine().without("x-ms-signature"), unauthorized),
        ("two signatures", genuine().and("x-ms-signature", &signature), unauthorized),
        ("a signature in either header", genuine().and("authorization", &signature), unauthorized),
        ("a bearer token", genuine().without("x-ms-signature").and("authorization", "Bearer x"), unauthorized),
        ("a forged signature", genuine().with("x-ms-signature", "Signature AAAA"), unauthorized),
        ("other bytes", altered, unauthorized),
        (
            "another event's signature",
            genuine().with("x-ms-signature", hooked.event(Uuid::from_u128(5)).header("x-ms-signature")),
            unauthorized,
        ),
        ("SHA-1", genuine().with("x-ms-signature-algorithm", "rsa-sha1"), unauthorized),
        ("another SHA-2", genuine().with("x-ms-signature-algorithm", "rsa-sha512"), unauthorized),
        ("no algorithm", genuine().with("x-ms-signature-algorithm", "none"), unauthorized),
        ("another host", genuine().with("x-ms-certificate-url", evil), unauthorized),
        ("a host that begins alike", genuine().with("x-ms-certificate-url", beside), unauthorized),
        ("this machine", genuine().with("x-ms-certificate-url", &inside), unauthorized),
        ("no event", no_event, StatusCode::BAD_REQUEST),
    ]
}

#[tokio::test]
async fn what_is_not_genuine_has_no_effect_and_asks_nobody() {
    let hooked = Hooked::start().await;
    let before = hooked.effects().await;
    for (what, post, expected) in forgeries(&hooked) {
        assert_eq!(hooked.send(&post).await, expected, "{what}");
        assert_eq!(hooked.effects().await, before, "{what}");
    }
    assert_eq!(hooked.host.fetched(), ["pcnotifications-dispatch.cer"], "no other certificate was asked for");
    let genuine = hooked.event(hooked.world.tenants()[0]);
    assert_eq!(hooked.send(&genuine).await, StatusCode::OK, "the one they were all made from");
    assert_eq!(hooked.effects().await, (before.0 + 1, before.1 + 1, 0));
    hooked.end().await;
}

#[tokio::test]
async fn a_certificate_from_the_right_host_must_also_be_the_right_one() {
    let hooked = Hooked::start().await;
    let before = hooked.effects().await;
    let genuine = hooked.event(hooked.world.tenants()[0]);
    let (path, body) = (genuine.path.clone(), genuine.body.clone());
    let at = |name: &str| format!("https://3psostorageacct.blob.core.windows.net/cert/{name}.cer");
    let (moved, endless, absent) = (at("moved"), at("endless"), at("absent"));
    let unauthorized = StatusCode::UNAUTHORIZED;
    let cases = [
        ("of another authority", &cast().impostor, IMPOSTOR_URL, unauthorized),
        ("of somebody else", &cast().neighbour, NEIGHBOUR_URL, unauthorized),
        ("whose key did not sign", &cast().microsoft, IMPOSTOR_URL, unauthorized),
        ("that has moved", &cast().microsoft, &moved, StatusCode::SERVICE_UNAVAILABLE),
        ("that does not end", &cast().microsoft, &endless, StatusCode::SERVICE_UNAVAILABLE),
        ("that is not there", &cast().microsoft, &absent, StatusCode::SERVICE_UNAVAILABLE),
    ];
    for (what, signer, url, expected) in cases {
        hooked.world.advance(FETCH_PAUSE);
        let post = Post::signed(&path, body.clone(), signer, url);
        assert_eq!(hooked.send(&post).await, expected, "{what}");
        assert_eq!(hooked.effects().await, before, "{what}");
    }
    let fetched = ["pcnotifications-dispatch.cer", "impostor.cer", "neighbour.cer"];
    assert_eq!(hooked.host.fetched()[..3], fetched);
    let mine = Post::signed(&path, body, &cast().impostor, MICROSOFT_URL);
    assert_eq!(hooked.send(&mine).await, unauthorized, "another key under Microsoft's certificate");
    assert_eq!(hooked.send(&genuine).await, StatusCode::OK);
    hooked.end().await;
}

#[tokio::test]
async fn partner_center_s_own_mischief_has_no_effect_until_it_ends() {
    let hooked = Hooked::start().await;
    let world = &hooked.world;
    for mischief in [
        Mischief::ForgedSignature,
        Mischief::OtherCertificate,
        Mischief::OtherHost,
        Mischief::OtherAlgorithm,
        Mischief::Oversize,
    ] {
        world.advance(FETCH_PAUSE);
        set_knobs(world, |knobs| knobs.webhook_mischief = Some(mischief));
        let (before, sent) = (hooked.effects().await, answers(world).len());
        let new = accept(world);
        let answer = eventually("it is answered", async || answers(world).get(sent).copied()).await;
        let expected = if mischief == Mischief::Oversize { 413 } else { 401 };
        assert_eq!(answer, expected, "{mischief:?}");
        assert_eq!((hooked.effects().await, hooked.marks_of(new).await), (before, 0), "{mischief:?}");
    }
    set_knobs(world, |knobs| knobs.webhook_mischief = None);
    let new = accept(world);
    eventually("the customer is visible", async || world.guard.of_tenant("contoso", new).await).await;
    hooked.end().await;
}

#[tokio::test]
async fn an_event_that_comes_twice_counts_once_also_after_a_restart() {
    let hooked = Hooked::start().await;
    let sent = answers(&hooked.world).len();
    set_knobs(&hooked.world, |knobs| knobs.webhook_mischief = Some(Mischief::Duplicate));
    let new = accept(&hooked.world);
    eventually("both are answered", async || (answers(&hooked.world).len() == sent + 2).then_some(())).await;
    assert_eq!(answers(&hooked.world)[sent..], [200, 200]);
    assert_eq!(hooked.marks_of(new).await, 1);

    let tenant = hooked.world.tenants()[0];
    let event = hooked.event(tenant);
    let before = hooked.marks_of(tenant).await;
    for _ in 0..3 {
        assert_eq!(hooked.send(&event).await, StatusCode::OK);
    }
    assert_eq!(hooked.marks_of(tenant).await, before + 1);
    let (path, hooked) = (hooked.path(), hooked.restart().await);
    assert_eq!(hooked.path(), path, "the secret outlives a restart");
    let remembered = hooked.marks_of(tenant).await;
    assert_eq!(hooked.send(&event).await, StatusCode::OK);
    assert_eq!(hooked.marks_of(tenant).await, remembered);
    hooked.end().await;
}

#[tokio::test]
async fn events_in_the_wrong_order_and_late_ones_all_count() {
    let hooked = Hooked::start().await;
    let world = &hooked.world;
    set_knobs(world, |knobs| knobs.webhook_mischief = Some(Mischief::Reversed));
    let (first, second) = (accept(world), accept(world));
    set_knobs(world, |knobs| {
        knobs.webhook_mischief = None;
        knobs.webhook_delay_milliseconds = 50;
    });
    let late = accept(world);
    for new in [second, first, late] {
        eventually("the customer is visible", async || world.guard.of_tenant("contoso", new).await).await;
    }
    hooked.end().await;
}

#[tokio::test]
async fn an_event_about_nobody_s_customer_makes_none() {
    let hooked = Hooked::start().await;
    let stranger = Uuid::from_u128(0xdead_0000_0000_4000_8000_0000_0000_0001);
    assert_eq!(hooked.send(&hooked.event(stranger)).await, StatusCode::OK);
    eventually("it is looked at", async || {
        let status = hooked.world.guard.status("contoso").await;
        (hooked.marks_of(stranger).await == 1 && status.backlog == 0).then_some(())
    })
    .await;
    assert!(hooked.world.guard.of_tenant("contoso", stranger).await.is_none());
    hooked.end().await;
}

#[tokio::test]
async fn r18_a_genuine_event_about_another_partners_customer_finds_nobody_and_touches_that_partner_not() {
    let upstream = Upstream::start().await;
    upstream.seed("contoso", 1);
    upstream.seed("northwind", 2);
    let hooked = Hooked::of(upstream, |plan| plan.partners = vec!["contoso", "northwind"]).await;
    hooked.wait_for_mode(IncrementalMode::Webhook).await;
    let world = &hooked.world;
    world.guard.wait_for_first_sync("northwind").await;
    let northwind = world.upstream.partner("northwind").tenant_id;
    let theirs = world.upstream.simulator.customers(northwind)[0].id;
    let marks = format!("SELECT marked FROM upstream_customer WHERE account = 'northwind' AND tenant_id = '{theirs}'");
    let kept = async || {
        let marked = count(&world.guard.database, &marks).await;
        (marked, world.upstream.simulator.calls(northwind).get, world.guard.of_tenant("northwind", theirs).await)
    };
    let (before, seen) = (kept().await, hooked.effects().await.1);
    assert_eq!(hooked.send(&hooked.event(theirs)).await, StatusCode::OK);
    assert_eq!(hooked.effects().await.1, seen + 1, "it is counted");
    eventually("it is looked for under the path's own partner", async || {
        let status = world.guard.status("contoso").await;
        (hooked.marks_of(theirs).await == 1 && status.backlog == 0).then_some(())
    })
    .await;
    assert!(world.guard.of_tenant("contoso", theirs).await.is_none());
    assert_eq!(kept().await, before);
    hooked.end().await;
}

#[tokio::test]
async fn more_newcomers_than_events_may_name_in_a_minute_are_found_by_the_list_soon() {
    let hooked = Hooked::start().await;
    let world = &hooked.world;
    let new: Vec<_> = (0..12).map(|_| accept(world)).collect();
    let here = async || {
        let all = world.guard.all("contoso").await;
        new.iter().filter(|id| all.iter().any(|customer| customer.microsoft_tenant_id == id.to_string())).count()
    };
    eventually("ten are visible", async || (here().await == 10).then_some(())).await;
    // The list would be due in a quarter of an hour, and is wanted now.
    world.advance(Duration::from_secs(60));
    eventually("all are visible", async || (here().await == 12).then_some(())).await;
    hooked.end().await;
}

#[tokio::test]
async fn nobody_listens_and_nothing_is_registered_unless_that_is_wanted() {
    let world = World::with(Plan::usual(), 1).await;
    assert_eq!(world.guard.webhook_address, None);
    eventually("the registration is looked at", async || {
        (world.upstream.simulator.calls(world.contoso()).registration > 0).then_some(())
    })
    .await;
    assert_eq!(world.upstream.simulator.registration(world.contoso()), None);
    assert_eq!(world.upstream.simulator.calls(world.contoso()).registration_writes, 0);
    world.end().await;
}
