//! Who synchronizes which account, of several processes that serve one store.
//!
//! Every account has one holder, and every holder as many accounts as any other, give or take one. Where a share lies
//! follows from who is alive and who holds what, so that all come to the same shares without talking to each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::ids::{Epoch, PartnerAccountId, ReplicaId};

/// A process that serves a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Drawn when it starts: a process that starts anew is another one.
    pub id: ReplicaId,
    /// What an operator calls it.
    pub name: String,
}

/// The right to synchronize an account, until somebody has it under a higher epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The account.
    pub account: PartnerAccountId,
    /// Higher than that of every holder before.
    pub epoch: Epoch,
}

/// What a replica does about its share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Accounts it holds and goes on with.
    pub keep: BTreeSet<PartnerAccountId>,
    /// Accounts it holds and leaves to others.
    pub give_up: BTreeSet<PartnerAccountId>,
    /// Accounts that nobody alive holds and it takes.
    pub take: BTreeSet<PartnerAccountId>,
}

/// The share of one of the replicas that are alive; `holders` are the accounts and who holds each, alive or not.
pub fn share(
    replica: ReplicaId,
    alive: &BTreeSet<ReplicaId>,
    holders: &BTreeMap<PartnerAccountId, Option<ReplicaId>>,
) -> Share {
    let quota = quota(replica, alive, holders.len());
    let (mine, others): (Vec<_>, Vec<_>) = holders.iter().partition(|(_, holder)| **holder == Some(replica));
    let free = others.into_iter().filter(|(_, holder)| holder.is_none_or(|holder| !alive.contains(&holder)));
    let missing = quota.saturating_sub(mine.len());
    let take = free.take(missing).map(|(account, _)| account.clone()).collect();
    let mut mine = mine.into_iter().map(|(account, _)| account.clone());
    let keep = mine.by_ref().take(quota).collect();
    Share { keep, give_up: mine.collect(), take }
}

/// How many of `accounts` are a replica's. What does not divide evenly goes to those that started first.
fn quota(replica: ReplicaId, alive: &BTreeSet<ReplicaId>, accounts: usize) -> usize {
    let others = alive.iter().filter(|other| **other != replica).count();
    let rank = alive.iter().filter(|other| **other < replica).count();
    let replicas = others + 1;
    accounts / replicas + usize::from(rank < accounts % replicas)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, proptest};

    use super::*;
    use crate::clock::Timestamp;

    fn replicas(count: usize) -> Vec<ReplicaId> {
        let mut made: Vec<_> = (0..count)
            .map(|number| ReplicaId::mint(Timestamp::from_micros(i64::try_from(number).expect("a few") * 1_000_000)))
            .collect();
        made.sort_unstable();
        made
    }

    fn account(number: usize) -> PartnerAccountId {
        format!("account-{number:03}").parse().expect("an id")
    }

    /// One turn of every replica that is alive, each giving up and taking as its share says.
    fn turn(alive: &BTreeSet<ReplicaId>, holders: &mut BTreeMap<PartnerAccountId, Option<ReplicaId>>) -> usize {
        let mut moved = 0;
        for replica in alive {
            let share = share(*replica, alive, holders);
            for account in &share.give_up {
                holders.insert(account.clone(), None);
            }
            for account in &share.take {
                holders.insert(account.clone(), Some(*replica));
            }
            moved += share.give_up.len() + share.take.len();
        }
        moved
    }

    fn cases() -> impl Strategy<Value = (usize, usize, Vec<Option<usize>>)> {
        (1_usize..8, 0_usize..70).prop_flat_map(|(replicas, accounts)| {
            let holder = any::<Option<usize>>();
            (Just(replicas), 1..=replicas, proptest::collection::vec(holder, accounts))
        })
    }

    proptest! {
        #[test]
        fn whoever_holds_what_in_two_turns_everybody_has_as_many_as_the_others((known, living, holders) in cases()) {
            let replicas = replicas(known);
            let alive: BTreeSet<_> = replicas.iter().take(living).copied().collect();
            let mut holders: BTreeMap<_, _> = holders
                .into_iter()
                .enumerate()
                .map(|(number, holder)| (account(number), holder.map(|holder| replicas[holder % known])))
                .collect();
            let total = holders.len();
            turn(&alive, &mut holders);
            turn(&alive, &mut holders);
            let counts: Vec<_> =
                alive.iter().map(|one| holders.values().filter(|holder| **holder == Some(*one)).count()).collect();
            prop_assert_eq!(counts.iter().sum::<usize>(), total, "nobody is left without a holder");
            let (most, fewest) = (counts.iter().max().expect("one"), counts.iter().min().expect("one"));
            prop_assert!(most - fewest <= 1, "{:?}", counts);
            prop_assert_eq!(turn(&alive, &mut holders), 0, "and then nothing moves");
        }

        #[test]
        fn nobody_takes_what_somebody_alive_holds((known, living, holders) in cases()) {
            let replicas = replicas(known);
            let alive: BTreeSet<_> = replicas.iter().take(living).copied().collect();
            let holders: BTreeMap<_, _> = holders
                .into_iter()
                .enumerate()
                .map(|(number, holder)| (account(number), holder.map(|holder| replicas[holder % known])))
                .collect();
            for replica in &alive {
                let share = share(*replica, &alive, &holders);
                for account in &share.take {
                    prop_assert!(holders[account].is_none_or(|holder| !alive.contains(&holder)));
                }
            }
        }
    }

    #[test]
    fn a_replica_that_comes_gets_its_part_of_what_the_others_hold_and_no_more_moves() {
        let replicas = replicas(3);
        let mut holders: BTreeMap<_, _> = (0..60).map(|number| (account(number), Some(replicas[number % 2]))).collect();
        let alive: BTreeSet<_> = replicas.iter().copied().collect();
        let moved = turn(&alive, &mut holders);
        assert_eq!(moved, 40, "20 are given up, and taken");
        assert_eq!(holders.values().filter(|holder| **holder == Some(replicas[2])).count(), 20);
    }
}
