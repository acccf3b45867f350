//! How the hot questions are answered: by an index, never by reading a whole table.

use crate::bench::Bench;

contract! {
    on sqlite {
        hot_questions_use_an_index_and_never_scan_customers,
    }
}

/// The questions as the store asks them, without the columns that do not matter to the plan.
const HOT: [(&str, &str); 34] = [
    (
        "customer by id",
        "SELECT c.note, u.verified_at FROM customer c LEFT JOIN upstream_customer u ON u.account = c.account AND u.tenant_id = c.microsoft_tenant_id WHERE c.account = $1 AND c.id = $2",
    ),
    (
        "customer by tenant",
        "SELECT c.note, u.verified_at FROM customer c LEFT JOIN upstream_customer u ON u.account = c.account AND u.tenant_id = c.microsoft_tenant_id WHERE c.account = $1 AND c.microsoft_tenant_id = $2",
    ),
    (
        "who changed a customer last",
        "SELECT c.note, w.operation FROM customer c LEFT JOIN upstream_customer u ON u.account = c.account AND u.tenant_id = c.microsoft_tenant_id LEFT JOIN upstream_change w ON w.sequence = u.change_sequence WHERE c.account = $1 AND c.id = $2",
    ),
    (
        "records that may explain a change",
        "SELECT record_id FROM audit_signal WHERE account = $1 AND tenant_id = $2 AND marked <= $3",
    ),
    (
        "page of an account",
        "SELECT c.note, u.verified_at FROM customer c LEFT JOIN upstream_customer u ON u.account = c.account AND u.tenant_id = c.microsoft_tenant_id WHERE c.account = $1 AND c.id > $2 ORDER BY c.id LIMIT $3",
    ),
    (
        "page anywhere",
        "SELECT c.note, u.verified_at FROM customer c LEFT JOIN upstream_customer u ON u.account = c.account AND u.tenant_id = c.microsoft_tenant_id WHERE (c.account, c.id) > ($1, $2) AND ($4 IS NULL OR c.account IN (SELECT value FROM json_each($4))) ORDER BY c.account, c.id LIMIT $3",
    ),
    ("edit", "UPDATE customer SET note = $3 WHERE account = $1 AND id = $2 AND revision = $4 - 1"),
    (
        "dirty customers",
        "SELECT tenant_id, marked, attempts, wanted_by_run FROM upstream_customer WHERE account = $1 AND settled < marked AND paused_at IS NULL AND not_before <= $2 ORDER BY priority DESC, not_before, tenant_id LIMIT $3",
    ),
    (
        "run is drained",
        "SELECT 1 FROM upstream_customer INDEXED BY upstream_customer_wanted WHERE account = $1 AND wanted_by_run = $2 AND settled < marked AND paused_at IS NULL AND attempts < $3 LIMIT 1",
    ),
    (
        "run backlog",
        "SELECT count(*) FROM upstream_customer INDEXED BY upstream_customer_wanted WHERE account = $1 AND wanted_by_run = $2 AND settled < marked AND paused_at IS NULL",
    ),
    (
        "next dirty",
        "SELECT min(not_before) FROM upstream_customer INDEXED BY upstream_customer_dirty WHERE account = $1 AND settled < marked AND paused_at IS NULL",
    ),
    (
        "settle",
        "WITH work (of_account, done, taken) AS MATERIALIZED (SELECT $1, value ->> 0, value ->> 1 FROM json_each($2)) UPDATE upstream_customer SET settled = max(settled, taken), looked_at = $3 FROM work WHERE account = of_account AND tenant_id = done",
    ),
    (
        "who is level",
        "WITH level (of_account, there, epoch) AS MATERIALIZED (SELECT $1, value ->> 0, value ->> 1 FROM json_each($2)) UPDATE upstream_customer SET observed_epoch = epoch, verified_at = $3 FROM level WHERE account = of_account AND tenant_id = there",
    ),
    (
        "newest answers",
        "SELECT tenant_id, observed_epoch FROM upstream_customer WHERE account = $1 AND tenant_id IN (SELECT value FROM json_each($2))",
    ),
    (
        "customers of tenants",
        "SELECT c.note, u.verified_at FROM customer c LEFT JOIN upstream_customer u ON u.account = c.account AND u.tenant_id = c.microsoft_tenant_id WHERE c.account = $1 AND c.microsoft_tenant_id IN (SELECT value FROM json_each($2))",
    ),
    (
        "owed confirmations",
        "UPDATE upstream_customer SET confirm_at = $3 WHERE account = $1 AND tenant_id IN (SELECT value FROM json_each($2)) AND confirms_left > 0 AND confirm_at IS NULL AND settled = marked",
    ),
    (
        "platform customers of a name",
        "SELECT n.value ->> 0, c.id FROM json_each($2) n CROSS JOIN customer_match m ON m.account = $1 AND m.platform_key = n.value ->> 2 CROSS JOIN customer c ON c.account = m.account AND c.id = m.customer_id WHERE c.source = 'PLATFORM' AND c.deleted_at IS NULL",
    ),
    (
        "active customers",
        "SELECT count(*) FROM customer INDEXED BY customer_active WHERE account = $1 AND relationship = 'ACTIVE'",
    ),
    (
        "forget idle records",
        "DELETE FROM audit_signal WHERE account = $1 AND tenant_id IN (SELECT value FROM json_each($2)) AND EXISTS (SELECT 1 FROM upstream_customer u WHERE u.account = $1 AND u.tenant_id = audit_signal.tenant_id AND u.settled = u.marked AND u.confirms_left = 0 AND u.confirm_at IS NULL)",
    ),
    (
        "further entries of the list",
        "WITH entry (of_account, shown, name) AS MATERIALIZED (SELECT $1, value ->> 0, value ->> 1 FROM json_each($2)) UPDATE upstream_customer SET marked = marked + 1 FROM entry WHERE account = of_account AND tenant_id = shown AND listed_name IS NOT name AND NOT EXISTS (SELECT 1 FROM json_each(listed_also) WHERE value = json_array(name))",
    ),
    (
        "removal candidates",
        "SELECT u.tenant_id FROM upstream_customer u INDEXED BY upstream_customer_missing JOIN customer c ON c.account = u.account AND c.microsoft_tenant_id = u.tenant_id WHERE u.account = $1 AND u.missing_runs > 0 AND u.gone_answer IS NOT NULL AND c.relationship = 'ACTIVE' AND u.paused_at IS NULL ORDER BY u.tenant_id",
    ),
    (
        "held customers",
        "SELECT c.company_name, u.gone_answer FROM customer c INDEXED BY customer_held JOIN upstream_customer u ON u.account = c.account AND u.tenant_id = c.microsoft_tenant_id WHERE c.account = $1 AND c.sync_state = 'HELD_FOR_REMOVAL' AND u.paused_at IS NULL ORDER BY c.microsoft_tenant_id",
    ),
    (
        "paused customers",
        "SELECT count(*) FROM upstream_customer INDEXED BY upstream_customer_paused WHERE account = $1 AND paused_at IS NOT NULL",
    ),
    (
        "next confirmation",
        "SELECT confirm_at FROM upstream_customer INDEXED BY upstream_customer_confirm WHERE account = $1 AND confirm_at IS NOT NULL ORDER BY confirm_at LIMIT 1",
    ),
    (
        "due confirmations",
        "SELECT tenant_id FROM upstream_customer INDEXED BY upstream_customer_confirm WHERE account = $1 AND confirm_at <= $2 ORDER BY confirm_at LIMIT $4",
    ),
    (
        "oldest look",
        "SELECT looked_at FROM upstream_customer INDEXED BY upstream_customer_looked_at WHERE account = $1 AND looked_at IS NOT NULL AND settled = marked ORDER BY looked_at LIMIT 1",
    ),
    (
        "due verifications",
        "SELECT o.tenant_id AS due, EXISTS (SELECT 1 FROM customer c WHERE c.account = $1 AND c.microsoft_tenant_id = o.tenant_id AND c.relationship = 'ACTIVE') AS active FROM upstream_customer o INDEXED BY upstream_customer_looked_at WHERE o.account = $1 AND o.looked_at <= $2 AND o.looked_at IS NOT NULL AND o.settled = o.marked ORDER BY o.looked_at LIMIT $5",
    ),
    ("run counts", "SELECT sum(kind = 'CREATED') FROM change_log WHERE run_id = $1"),
    (
        "known changes",
        "SELECT sequence AS horizon, (SELECT max(sequence) FROM change_log) AS head FROM change_log_horizon WHERE only_row = 1",
    ),
    (
        "changes after",
        "SELECT sequence, account, customer_id, revision FROM change_log WHERE sequence > $1 AND sequence <= $2 AND +account IN (SELECT value FROM json_each($3)) ORDER BY sequence LIMIT $4",
    ),
    (
        "histories",
        "SELECT wanted.key AS number, l.sequence FROM json_each($1) AS wanted CROSS JOIN change_log AS l WHERE l.account = wanted.value ->> 0 AND l.customer_id = wanted.value ->> 1 AND l.revision >= wanted.value ->> 2",
    ),
    (
        "changed customers",
        "SELECT c.note, u.verified_at FROM customer c LEFT JOIN upstream_customer u ON u.account = c.account AND u.tenant_id = c.microsoft_tenant_id WHERE (c.account, c.id) IN (SELECT value ->> 0, value ->> 1 FROM json_each($1))",
    ),
    (
        "freshness",
        "SELECT listed_at, EXISTS (SELECT 1 FROM upstream_customer INDEXED BY upstream_customer_dirty WHERE account = $1 AND settled < marked AND paused_at IS NULL AND priority > $2) FROM account_sync WHERE account = $1",
    ),
    ("forget changes", "DELETE FROM change_log WHERE sequence <= $1"),
];

async fn hot_questions_use_an_index_and_never_scan_customers(bench: Bench) {
    let mut shell = bench.shell().await;
    let wanted = [
        ("dirty customers", "upstream_customer_dirty"),
        ("run is drained", "upstream_customer_wanted"),
        ("run backlog", "upstream_customer_wanted"),
        ("next dirty", "upstream_customer_dirty"),
        ("settle", "account=? AND tenant_id=?"),
        ("who is level", "account=? AND tenant_id=?"),
        ("newest answers", "account=? AND tenant_id=?"),
        ("customers of tenants", "customer_tenant_is_used_once"),
        ("owed confirmations", "account=? AND tenant_id=?"),
        ("platform customers of a name", "customer_match_of_the_platform (account=? AND platform_key=?)"),
        ("active customers", "COVERING INDEX customer_active"),
        ("forget idle records", "account=? AND tenant_id=?"),
        ("further entries of the list", "account=? AND tenant_id=?"),
        ("removal candidates", "upstream_customer_missing"),
        ("held customers", "customer_held"),
        ("paused customers", "upstream_customer_paused"),
        ("next confirmation", "upstream_customer_confirm"),
        ("due confirmations", "upstream_customer_confirm"),
        ("oldest look", "upstream_customer_looked_at"),
        ("due verifications", "upstream_customer_looked_at"),
        ("customer by tenant", "customer_tenant_is_used_once"),
        ("run counts", "change_log_of_run"),
        ("changes after", "INTEGER PRIMARY KEY"),
        ("histories", "account=? AND customer_id=? AND revision>?"),
        ("changed customers", "account=? AND id=?"),
        ("freshness", "account=? AND priority>?"),
        ("forget changes", "INTEGER PRIMARY KEY"),
    ];
    for (name, question) in HOT {
        let plan = shell.texts(&format!("EXPLAIN QUERY PLAN {question}"), 3).await;
        // Only what the question itself makes of the values that are bound is read whole.
        let is_bound = |table: &str| {
            let (made, values) =
                (format!("WITH {table} ("), "AS MATERIALIZED (SELECT $1, value ->> 0, value ->> 1 FROM json_each($2))");
            question.starts_with(&made) && question.contains(values)
        };
        let scans = |step: &&String| {
            step.strip_prefix("SCAN ")
                .is_some_and(|what| !what.contains("VIRTUAL TABLE") && what != "CONSTANT ROW" && !is_bound(what))
        };
        assert_eq!(plan.iter().find(scans), None, "{name}: {plan:?}");
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER BY")), "{name} sorts: {plan:?}");
        if let Some((_, index)) = wanted.iter().find(|(wanted, _)| *wanted == name) {
            assert!(plan.iter().any(|step| step.contains(index)), "{name}: {plan:?}");
        }
    }
}
