//! The property that everything else serves, over random histories:
//!
//! > any interleaving of caller edits, decisions of operators, upstream changes, lost, late, doubled and reordered
//! > signals, lagging answers, faults, failing writes, clocks that are set, restarts and nights ends with what was
//! > signalled level a quiet while later, and with everything level after one quiet night: Partner Center's fields equal
//! > to Partner Center's, billing equal to primary, every accepted edit of a caller still there, no refused one ever
//! > stored, and nothing of a paused customer changed.
//!
//! What holds at every moment and not only in the end is looked at after every step; `invariants` has the list.
//!
//! A history is drawn from its seed alone. It drives the real store, the real operations and the real worker by hand on
//! one thread (see `world`), against the simulator over real HTTP, on a clock that moves only when told.
//!
//! - `cargo test --test histories` runs the seeds in `regressions.txt` and 100 histories more, in CI 500;
//! - `HISTORIES=2000 cargo test --profile histories --test histories` runs more, in optimized code with every check;
//! - `HISTORIES=100000 cargo test --profile histories --test histories` is the long run; `HISTORIES_FROM=5000` begins
//!   elsewhere;
//! - `HISTORY=17 cargo test --test histories -- --nocapture` runs one and tells its steps;
//! - `tests/histories/find-planted-bugs` shows that the property finds each of the bugs in its list.
//!
//! `KEEP_GOING=1` tells of every history that fails, and not only of the first; `FIRST_ONLY=1` of the first, and does not
//! look for the shortest part of it.
//!
//! A failure names its seed and the shortest part of its history that still fails. Add the seed to `regressions.txt`.

mod callers;
mod history;
mod invariants;
mod operators;
mod signals;
mod steps;
mod truth;
mod upstream;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use self::history::History;
use self::world::World;

/// How many histories run when nobody says otherwise.
const USUAL: u64 = 100;

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var_os(name)?.into_string().ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Runs a history; `Err` tells what did not hold.
fn outcome(history: &History) -> Result<(), String> {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(World::live(history));
    };
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").to_owned()
    })
}

/// The shortest history that still fails in the same kind of way: ever smaller pieces are left out.
fn shortest(history: History, why: String) -> (History, String) {
    let (mut history, mut why) = (history, why);
    let mut piece = history.steps.len().div_ceil(2);
    while piece > 0 {
        let mut from = 0;
        while from < history.steps.len() {
            let mut shorter = history.clone();
            shorter.steps.drain(from..(from + piece).min(shorter.steps.len()));
            match outcome(&shorter) {
                Err(still) => (history, why) = (shorter, still),
                Ok(()) => from += piece,
            }
        }
        piece /= 2;
    }
    for plainer in history.plainer() {
        if let Err(still) = outcome(&plainer) {
            (history, why) = (plainer, still);
        }
    }
    (history, why)
}

/// Runs these seeds on every core, and returns the first that fails and what did not hold. With `KEEP_GOING` each that fails
/// is told, and none is left out.
fn first_failure(seeds: &[u64]) -> Option<(u64, String)> {
    let keeps_going = std::env::var_os("KEEP_GOING").is_some();
    let next = AtomicU64::new(0);
    let over = AtomicBool::new(false);
    let failed = Mutex::new(None::<(u64, String)>);
    let work = || {
        while !over.load(Ordering::Relaxed) {
            let place = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).expect("few enough");
            let Some(seed) = seeds.get(place) else { return };
            if let Err(why) = outcome(&History::of(*seed)) {
                if keeps_going {
                    eprintln!("history {seed} does not hold: {why}");
                }
                over.store(!keeps_going, Ordering::Relaxed);
                let mut failed = failed.lock().expect("nobody panics here");
                if failed.as_ref().is_none_or(|(first, _)| seed < first) {
                    *failed = Some((*seed, why));
                }
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|threads| {
        (0..cores).for_each(|_| drop(threads.spawn(work)));
    });
    failed.into_inner().expect("nobody panics here")
}

fn hold(seeds: &[u64]) {
    let Some((seed, why)) = first_failure(seeds) else { return };
    if std::env::var_os("FIRST_ONLY").is_some() {
        eprintln!("history {seed} does not hold: {why}");
        panic!("history {seed} does not hold: {why}");
    }
    let history = History::of(seed);
    let steps = history.steps.len();
    let (history, shortest_why) = shortest(history, why.clone());
    eprintln!(
        "history {seed} does not hold: {why}\nthe shortest part that fails has {} of {steps} steps: {shortest_why}\n{history:#?}",
        history.steps.len()
    );
    panic!("history {seed} does not hold: {why}");
}

#[test]
fn every_history_ends_level_after_one_quiet_night() {
    // What fails is told once, at the end, and not at every try of shortening it.
    std::panic::set_hook(Box::new(|_| {}));
    if let Some(seed) = setting("HISTORY") {
        let history = History::of(seed);
        eprintln!("{history:#?}");
        return hold(&[seed]);
    }
    let kept = include_str!("regressions.txt").lines().filter(|line| !line.starts_with('#'));
    let regressions: Vec<u64> =
        kept.filter(|line| !line.trim().is_empty()).map(|line| line.trim().parse().expect("a seed")).collect();
    hold(&regressions);
    let from = setting("HISTORIES_FROM").unwrap_or(1);
    let count = setting("HISTORIES").unwrap_or(USUAL);
    hold(&(from..from + count).collect::<Vec<_>>());
}
