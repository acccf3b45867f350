//! Listing customers: a walk over pages meets every row that existed throughout exactly once.

use std::collections::BTreeSet;

use customer_guard::domain::customer::Customer;
use customer_guard::domain::ids::{CustomerId, PartnerAccountId};
use customer_guard::domain::order::Position;
use customer_guard::store::CustomerQuery;

use crate::bench::Bench;

contract! {
    a_walk_meets_every_customer_exactly_once_while_others_are_added,
    a_scope_shows_only_its_accounts,
}

async fn walk(bench: &Bench, scope: &BTreeSet<PartnerAccountId>, size: u32, adding: bool) -> Vec<Customer> {
    let mut met: Vec<Customer> = Vec::new();
    let query = CustomerQuery { accounts: scope.clone(), ..CustomerQuery::default() };
    let mut after: Option<Position> = None;
    loop {
        let page = bench.store.find_customers(&query, after.as_ref(), size).await.expect("the store answers");
        assert!(page.len() <= size as usize);
        let Some(last) = page.last() else { return met };
        after = Some(Position::of(last, &query.order));
        met.extend(page);
        // New ids sort before, among and after those of the walk: the clock goes back for some.
        if adding && met.len() < 200 {
            bench.platform_customer("added").await;
        }
    }
}

async fn a_walk_meets_every_customer_exactly_once_while_others_are_added(bench: Bench) {
    let fabrikam = bench.add_partner("fabrikam", 1).await;
    for number in 0..27 {
        bench.platform_customer(&format!("{number}")).await;
        bench.platform_customer_of(&fabrikam, &format!("{number}")).await;
        bench.step(1);
    }
    let scopes: [BTreeSet<_>; 2] = [[bench.account.clone()].into(), [bench.account.clone(), fabrikam].into()];
    for scope in &scopes {
        for size in [1, 2, 5, 16, 53, 54, 100] {
            let before: BTreeSet<CustomerId> =
                walk(&bench, scope, 1000, false).await.iter().map(|one| one.id).collect();
            let met = walk(&bench, scope, size, size > 2).await;
            let ids: BTreeSet<CustomerId> = met.iter().map(|one| one.id).collect();
            assert_eq!(ids.len(), met.len(), "{scope:?} in pages of {size} met a customer twice");
            assert!(ids.is_superset(&before), "{scope:?} in pages of {size} missed a customer");
            let order: Vec<_> = met.iter().map(|one| (one.account.clone(), one.id)).collect();
            assert!(order.is_sorted());
        }
    }
}

async fn a_scope_shows_only_its_accounts(bench: Bench) {
    let fabrikam = bench.add_partner("fabrikam", 1).await;
    let adatum = bench.add_partner("adatum", 2).await;
    for account in [&bench.account, &fabrikam, &adatum] {
        for _ in 0..3 {
            bench.platform_customer_of(account, "one").await;
        }
    }
    let accounts = |customers: Vec<Customer>| customers.into_iter().map(|one| one.account).collect::<BTreeSet<_>>();
    let own = walk(&bench, &[fabrikam.clone()].into(), 2, false).await;
    assert_eq!((own.len(), accounts(own)), (3, [fabrikam.clone()].into()));
    let two: BTreeSet<_> = [fabrikam, adatum].into();
    let both = walk(&bench, &two.clone(), 2, false).await;
    assert_eq!((both.len(), accounts(both)), (6, two));
    assert_eq!(walk(&bench, &BTreeSet::new(), 2, false).await, []);
}
