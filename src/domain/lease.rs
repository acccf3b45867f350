//! Who synchronizes which account, of several processes that serve one store.
//!
//! Every account has one holder, and every holder as many accounts as any other, give or take one. Where a share lies
//! follows from who is alive and who holds what, so that all come to the same shares without talking to each other. Whoever
//! is silent may be about to be found dead, and whoever serves other accounts may not know what is left: they keep what they
//! hold, but nothing is left for them to take.

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

/// Who serves a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Living {
    /// Who has lately said that it is alive and serves the same accounts.
    pub sharing: BTreeSet<ReplicaId>,
    /// Who has not said so for a while and is still believed to be alive, or serves other accounts.
    pub apart: BTreeSet<ReplicaId>,
}

/// The share of one of the replicas that share; `holders` are the accounts and who holds each, alive or not.
pub fn share(replica: ReplicaId, living: &Living, holders: &BTreeMap<PartnerAccountId, Option<ReplicaId>>) -> Share {
    let Living { sharing, apart } = living;
    let held_by = |held_by: &BTreeSet<ReplicaId>, holder: &Option<ReplicaId>| {
        holder.is_some_and(|holder| held_by.contains(&holder))
    };
    let shared = holders.values().filter(|holder| !held_by(apart, holder)).count();
    let quota = quota(replica, sharing, shared);
    let (mine, others): (Vec<_>, Vec<_>) = holders.iter().partition(|(_, holder)| **holder == Some(replica));
    let free = others.into_iter().filter(|(_, holder)| !held_by(sharing, holder) && !held_by(apart, holder));
    let missing = quota.saturating_sub(mine.len());
    let take = free.take(missing).map(|(account, _)| account.clone()).collect();
    let mut mine = mine.into_iter().map(|(account, _)| account.clone());
    let keep = mine.by_ref().take(quota).collect();
    Share { keep, give_up: mine.collect(), take }
}

/// How many of `accounts` are a replica's. What does not divide evenly goes to those that started first.
fn quota(replica: ReplicaId, sharing: &BTreeSet<ReplicaId>, accounts: usize) -> usize {
    let others = sharing.iter().filter(|other| **other != replica).count();
    let rank = sharing.iter().filter(|other| **other < replica).count();
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

    /// One turn of every replica that shares, each giving up and taking as its share says.
    fn turn(living: &Living, holders: &mut BTreeMap<PartnerAccountId, Option<ReplicaId>>) -> usize {
        let mut moved = 0;
        for replica in &living.sharing {
            let share = share(*replica, living, holders);
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

    /// How many replicas are known, how many of them share and how many stand apart, and who holds what.
    fn cases() -> impl Strategy<Value = (Living, BTreeMap<PartnerAccountId, Option<ReplicaId>>)> {
        (1_usize..8, 0_usize..70).prop_flat_map(|(known, accounts)| {
            let holder = any::<Option<usize>>();
            let counts = (1..=known).prop_flat_map(move |sharing| (Just(sharing), 0..=known - sharing));
            (Just(known), counts, proptest::collection::vec(holder, accounts)).prop_map(|(known, counts, holders)| {
                let replicas = replicas(known);
                let (sharing, apart) = counts;
                let living = Living {
                    sharing: replicas.iter().take(sharing).copied().collect(),
                    apart: replicas.iter().skip(sharing).take(apart).copied().collect(),
                };
                let holder_of = |holder: Option<usize>| holder.map(|holder| replicas[holder % known]);
                let holders = holders.into_iter().map(holder_of).enumerate();
                (living, holders.map(|(number, holder)| (account(number), holder)).collect())
            })
        })
    }

    proptest! {
        #[test]
        fn whoever_holds_what_in_two_turns_those_that_share_have_as_many_as_each_other_and_nothing_is_left_over(
            (living, mut holders) in cases()
        ) {
            let of_those_apart = |holders: &BTreeMap<PartnerAccountId, Option<ReplicaId>>| {
                let apart = |holder: &ReplicaId| living.apart.contains(holder);
                holders.iter().filter(|(_, holder)| holder.as_ref().is_some_and(apart)).count()
            };
            let (total, kept) = (holders.len(), of_those_apart(&holders));
            turn(&living, &mut holders);
            turn(&living, &mut holders);
            let count = |one: &ReplicaId| holders.values().filter(|holder| **holder == Some(*one)).count();
            let counts: Vec<_> = living.sharing.iter().map(count).collect();
            prop_assert_eq!(of_those_apart(&holders), kept, "those apart keep what they hold");
            prop_assert_eq!(counts.iter().sum::<usize>(), total - kept, "nothing is left without a holder");
            let (most, fewest) = (counts.iter().max().expect("one"), counts.iter().min().expect("one"));
            prop_assert!(most - fewest <= 1, "{:?}", counts);
            prop_assert_eq!(turn(&living, &mut holders), 0, "and then nothing moves");
        }

        #[test]
        fn nobody_takes_what_somebody_alive_holds((living, holders) in cases()) {
            for replica in &living.sharing {
                let share = share(*replica, &living, &holders);
                for account in &share.take {
                    let is_alive = |holder: ReplicaId| living.sharing.contains(&holder) || living.apart.contains(&holder);
                    prop_assert!(!holders[account].is_some_and(is_alive));
                }
            }
        }
    }

    #[test]
    fn a_replica_that_comes_gets_its_part_of_what_the_others_hold_and_no_more_moves() {
        let replicas = replicas(3);
        let mut holders: BTreeMap<_, _> = (0..60).map(|number| (account(number), Some(replicas[number % 2]))).collect();
        let living = Living { sharing: replicas.iter().copied().collect(), apart: BTreeSet::new() };
        let moved = turn(&living, &mut holders);
        assert_eq!(moved, 40, "20 are given up, and taken");
        assert_eq!(holders.values().filter(|holder| **holder == Some(replicas[2])).count(), 20);
    }
}
