//! Kills and freezes replicas at moments drawn at random, and changes customers in Partner Center meanwhile.

use std::fmt;
use std::process::Command;
use std::time::{Duration, Instant};

use customer_guard::simulator::customer::BillingProfile;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use crate::fleet::Fleet;

/// The longest time a replica is frozen: longer than the others believe it to be alive.
const FROZEN_MAX: Duration = Duration::from_secs(25);

/// What was done.
#[derive(Debug, Default)]
pub struct Happened {
    kills: u32,
    freezes: u32,
    changes: u32,
}

impl fmt::Display for Happened {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, freezes, changes } = self;
        write!(out, "{kills} kills, {freezes} freezes, {changes} changes in Partner Center")
    }
}

/// What is to end, and when.
enum Pending {
    Start(usize),
    Thaw(usize),
}

fn signal(fleet: &Fleet, seat: usize, name: &str) {
    let process = fleet.seats[seat].process.as_ref().expect("it runs").id();
    let sent = Command::new("kill").args([name, &process.to_string()]).status().expect("kill runs");
    assert!(sent.success(), "{name} is sent");
}

/// Makes trouble for so long, and leaves all replicas running. One of them is always well.
pub async fn make(fleet: &mut Fleet, duration: Duration, seed: u64) -> Happened {
    let mut chance = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut happened = Happened::default();
    let mut pending: Vec<(Instant, Pending)> = Vec::new();
    let ends = Instant::now() + duration;
    let mut next_blow = Instant::now();
    while Instant::now() < ends || !pending.is_empty() {
        let now = Instant::now();
        for (_, what) in pending.extract_if(.., |(at, _)| *at <= now || now >= ends).collect::<Vec<_>>() {
            match what {
                Pending::Start(seat) => fleet.start(seat),
                Pending::Thaw(seat) => signal(fleet, seat, "-CONT"),
            }
        }
        if now < ends && now >= next_blow && pending.len() + 1 < fleet.seats.len() {
            let hit = |pending: &(Instant, Pending)| match pending.1 {
                Pending::Start(seat) | Pending::Thaw(seat) => seat,
            };
            let well: Vec<_> =
                (0..fleet.seats.len()).filter(|seat| !pending.iter().any(|one| hit(one) == *seat)).collect();
            let seat = well[chance.random_range(0..well.len())];
            if chance.random_bool(0.5) {
                fleet.seats[seat].process.take().expect("it runs").kill();
                pending.push((now + Duration::from_millis(chance.random_range(0..10_000)), Pending::Start(seat)));
                happened.kills += 1;
            } else {
                signal(fleet, seat, "-STOP");
                pending.push((now + chance.random_range(Duration::from_secs(1)..FROZEN_MAX), Pending::Thaw(seat)));
                happened.freezes += 1;
            }
            next_blow = now + Duration::from_millis(chance.random_range(1_000..6_000));
        }
        change_one(fleet, &mut chance, happened.changes);
        happened.changes += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    happened
}

fn change_one(fleet: &Fleet, chance: &mut Xoshiro256PlusPlus, number: u32) {
    let partner = fleet.partners[chance.random_range(0..fleet.partners.len())].tenant_id;
    let customers = fleet.simulator.customers(partner);
    let customer = customers[chance.random_range(0..customers.len())].id;
    let change = |profile: &mut BillingProfile| profile.email = Some(format!("change{number}@partner.example"));
    fleet.simulator.change_billing_profile(partner, customer, change).expect("a known customer");
}
