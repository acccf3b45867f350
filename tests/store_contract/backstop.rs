//! The third line of defence: what the database refuses somebody with a shell, and by which rule.

use customer_guard::domain::observation::{GoneAnswer, Observed};

use crate::bench::{Bench, Shell, mark};

contract! {
    on sqlite {
        the_database_refuses_an_unguarded_change_of_what_partner_center_owns,
        the_database_refuses_to_turn_a_microsoft_customer_into_a_platform_customer,
        the_database_refuses_a_change_of_identity,
        the_database_refuses_an_update_that_does_not_count,
        the_database_refuses_an_older_observation,
        the_database_refuses_deletes,
        the_database_refuses_to_replace_a_customer_by_any_of_its_keys,
        the_database_refuses_to_rewrite_the_change_log,
        the_database_refuses_to_rewrite_decisions,
        the_database_keeps_billing_a_mirror_even_with_a_newer_observation,
        a_platform_customers_contacts_may_be_changed,
        an_ended_customers_contacts_may_be_changed_but_not_its_identity,
        what_the_platform_owns_may_be_changed_on_a_microsoft_customer,
    }
    on postgres {
        the_database_refuses_an_unguarded_change_of_what_partner_center_owns,
        the_database_refuses_to_turn_a_microsoft_customer_into_a_platform_customer,
        the_database_refuses_a_change_of_identity,
        the_database_refuses_an_update_that_does_not_count,
        the_database_refuses_an_older_observation,
        the_database_refuses_deletes,
        the_database_keeps_billing_a_mirror_even_with_a_newer_observation,
        a_platform_customers_contacts_may_be_changed,
        an_ended_customers_contacts_may_be_changed_but_not_its_identity,
        what_the_platform_owns_may_be_changed_on_a_microsoft_customer,
        what_is_append_only_is_not_rewritten,
    }
}

const COLUMNS: &str = "account, id, source, revision, company_name, domain, primary_first_name, primary_last_name,
    primary_email, primary_phone_number, primary_language, primary_culture, primary_country, primary_region,
    primary_state, primary_district, primary_city, primary_address_line1, primary_address_line2,
    primary_address_line3, primary_postal_code, external_reference, labels, note, status, microsoft_tenant_id,
    tenant_name, relationship, upstream_relationship, sync_state, observation_epoch, observation_ticket,
    created_at, updated_at";

async fn refused(shell: &mut Shell, statement: &str, rule: &str) {
    let conflicts: &[&str] = if shell.is_sqlite() { &["", " OR REPLACE", " OR IGNORE"] } else { &[""] };
    for conflict in conflicts {
        let statement = statement.replacen("UPDATE", &format!("UPDATE{conflict}"), 1);
        let count = "SELECT count(*) FROM customer";
        let before = (shell.number(count).await, shell.texts("SELECT * FROM customer ORDER BY id", 8).await);
        match shell.run(&statement).await {
            Err(error) => assert!(error.contains(rule), "{statement}\n  wanted {rule}, got {error}"),
            Ok(0) if *conflict == " OR IGNORE" => {}
            Ok(rows) => panic!("{statement}\n  changed {rows} rows, wanted {rule}"),
        }
        let after = (shell.number(count).await, shell.texts("SELECT * FROM customer ORDER BY id", 8).await);
        assert_eq!(before, after, "{statement} left something behind");
        if !statement.starts_with("UPDATE") {
            return;
        }
    }
}

async fn with_both(bench: &Bench) -> (Shell, String, String) {
    let microsoft = bench.microsoft_customer(1, "Ada").await.id.to_string();
    let platform = bench.platform_customer("Linden").await.id.to_string();
    (bench.shell().await, microsoft, platform)
}

async fn the_database_refuses_an_unguarded_change_of_what_partner_center_owns(bench: Bench) {
    let (mut shell, microsoft, _) = with_both(&bench).await;
    let contact = [
        "first_name",
        "last_name",
        "email",
        "phone_number",
        "language",
        "culture",
        "country",
        "region",
        "state",
        "district",
        "city",
        "address_line1",
        "address_line2",
        "address_line3",
        "postal_code",
    ];
    for member in contact {
        for role in ["primary", "billing"] {
            let sql =
                format!("UPDATE customer SET {role}_{member} = 'x', revision = revision + 1 WHERE id = '{microsoft}'");
            refused(&mut shell, &sql, "guard R3: primary and billing contact").await;
        }
    }
    let identity = [
        "company_name = 'x'",
        "domain = 'x.example'",
        "tenant_name = 'x'",
        "upstream_relationship = 'none'",
        "relationship = 'ENDED'",
        "relationship = NULL",
    ];
    for change in identity {
        let sql = format!("UPDATE customer SET {change}, revision = revision + 1 WHERE id = '{microsoft}'");
        refused(&mut shell, &sql, "guard R3: source, names, domain, tenant and relationship").await;
    }
    let sql = format!(
        "UPDATE customer SET microsoft_tenant_id = '00000000-0000-4000-8000-000000000000', revision = revision + 1
         WHERE id = '{microsoft}'"
    );
    refused(&mut shell, &sql, "guard R").await;
}

async fn the_database_refuses_to_turn_a_microsoft_customer_into_a_platform_customer(bench: Bench) {
    let (mut shell, microsoft, _) = with_both(&bench).await;
    let sql = format!("UPDATE customer SET source = 'PLATFORM', revision = revision + 1 WHERE id = '{microsoft}'");
    refused(&mut shell, &sql, "guard R3").await;
    // Taking every Microsoft column away with it satisfies each CHECK, and NULL marks compare as neither older nor newer.
    let sql = format!(
        "UPDATE customer SET source = 'PLATFORM', microsoft_tenant_id = NULL, tenant_name = NULL, relationship = NULL,
             upstream_relationship = NULL, sync_state = NULL, observation_epoch = NULL, observation_ticket = NULL,
             primary_email = 'mine@example.com', revision = revision + 1
         WHERE id = '{microsoft}'"
    );
    refused(&mut shell, &sql, "guard R").await;
    let sql = format!(
        "UPDATE customer SET observation_epoch = NULL, primary_email = 'x', revision = revision + 1 WHERE id = '{microsoft}'"
    );
    refused(&mut shell, &sql, "guard R3").await;
}

async fn the_database_refuses_a_change_of_identity(bench: Bench) {
    let (mut shell, microsoft, platform) = with_both(&bench).await;
    bench.add_partner("fabrikam", 1).await;
    for id in [&microsoft, &platform] {
        for change in ["id = 'other'", "account = 'fabrikam'", "created_at = 5", "rowid = 77"] {
            if change.starts_with("rowid") && !shell.is_sqlite() {
                continue;
            }
            let sql = format!("UPDATE customer SET {change}, revision = revision + 1 WHERE id = '{id}'");
            refused(&mut shell, &sql, "guard R6").await;
        }
    }
    let sql = format!("UPDATE customer SET source = 'MICROSOFT', revision = revision + 1 WHERE id = '{platform}'");
    refused(&mut shell, &sql, "guard R6").await;
}

async fn the_database_refuses_an_update_that_does_not_count(bench: Bench) {
    let (mut shell, microsoft, platform) = with_both(&bench).await;
    for id in [microsoft, platform] {
        for revision in ["", ", revision = revision + 2", ", revision = revision - 1", ", revision = 1"] {
            let sql = format!("UPDATE customer SET note = 'x'{revision} WHERE id = '{id}'");
            refused(&mut shell, &sql, "revision").await;
        }
    }
}

async fn the_database_refuses_an_older_observation(bench: Bench) {
    let (mut shell, microsoft, _) = with_both(&bench).await;
    for older in ["observation_ticket = 9", "observation_epoch = 0, observation_ticket = 99"] {
        let sql = format!("UPDATE customer SET {older}, revision = revision + 1 WHERE id = '{microsoft}'");
        refused(&mut shell, &sql, "guard R8").await;
    }
}

async fn the_database_refuses_deletes(bench: Bench) {
    let (mut shell, microsoft, platform) = with_both(&bench).await;
    for id in [microsoft, platform] {
        refused(&mut shell, &format!("DELETE FROM customer WHERE id = '{id}'"), "guard R9").await;
    }
    refused(&mut shell, "DELETE FROM customer", "guard R9").await;
}

/// Without `recursive_triggers` a REPLACE deletes rows without asking the delete trigger, by whichever key collides.
async fn the_database_refuses_to_replace_a_customer_by_any_of_its_keys(bench: Bench) {
    let (mut shell, microsoft, platform) = with_both(&bench).await;
    let copy = |what: &str, instead: &str, id: &str| {
        let values = COLUMNS.replacen(what, instead, 1);
        format!("INSERT OR REPLACE INTO customer ({COLUMNS}) SELECT {values} FROM customer WHERE id = '{id}'")
    };
    for id in [&microsoft, &platform] {
        refused(&mut shell, &copy("note", "'x'", id), "guard R9").await;
        let taken = format!(
            "INSERT OR REPLACE INTO customer (rowid, {COLUMNS}) SELECT rowid, {} FROM customer WHERE id = '{id}'",
            COLUMNS.replacen(" id", " 'other'", 1).replacen(
                "microsoft_tenant_id",
                "lower(microsoft_tenant_id || 'x')",
                1
            )
        );
        refused(&mut shell, &taken, "guard R9").await;
        let upsert = format!("REPLACE INTO customer ({COLUMNS}) SELECT {COLUMNS} FROM customer WHERE id = '{id}'");
        refused(&mut shell, &upsert, "guard R9").await;
    }
    // Another id with the same tenant.
    refused(&mut shell, &copy(" id", " 'other'", &microsoft), "guard R9").await;
    // A row that moves onto another row's tenant or place.
    bench.microsoft_customer(2, "Bob").await;
    let steal = format!(
        "UPDATE OR REPLACE customer SET microsoft_tenant_id = (SELECT microsoft_tenant_id FROM customer WHERE id = '{microsoft}'),
             observation_ticket = 11, revision = revision + 1
         WHERE company_name = 'Bob Ltd'"
    );
    assert!(shell.run(&steal).await.is_err_and(|error| error.contains("guard R")));
    let adopt = format!(
        "UPDATE OR REPLACE customer SET source = 'MICROSOFT', tenant_name = '', relationship = 'ACTIVE',
             upstream_relationship = '', sync_state = 'SYNCED', observation_epoch = 1, observation_ticket = 99,
             billing_first_name = NULL, billing_last_name = NULL, billing_email = NULL, billing_phone_number = NULL,
             billing_language = NULL, billing_culture = NULL, billing_country = NULL, billing_region = NULL,
             billing_state = NULL, billing_district = NULL, billing_city = NULL, billing_address_line1 = NULL,
             billing_address_line2 = NULL, billing_address_line3 = NULL, billing_postal_code = NULL,
             microsoft_tenant_id = (SELECT microsoft_tenant_id FROM customer WHERE id = '{microsoft}'),
             revision = revision + 1
         WHERE id = '{platform}'"
    );
    assert!(shell.run(&adopt).await.is_err_and(|error| error.contains("guard R")));
    assert_eq!(shell.number("SELECT count(*) FROM customer").await, 3);
    let place = format!(
        "UPDATE OR REPLACE customer SET rowid = (SELECT rowid FROM customer WHERE id = '{microsoft}'), revision = revision + 1 WHERE id = '{platform}'"
    );
    assert!(shell.run(&place).await.is_err_and(|error| error.contains("guard R6")));
    assert_eq!(shell.number("SELECT count(*) FROM customer").await, 3);
}

async fn the_database_refuses_to_rewrite_the_change_log(bench: Bench) {
    let (mut shell, microsoft, _) = with_both(&bench).await;
    let row = format!(
        "account, customer_id, revision, kind, fields, 'me', run_id, at FROM change_log WHERE customer_id = '{microsoft}'"
    );
    let into = "(sequence, account, customer_id, revision, kind, fields, actor, run_id, at)";
    let statements = [
        "UPDATE change_log SET actor = 'me'".to_owned(),
        "DELETE FROM change_log".to_owned(),
        format!("INSERT OR REPLACE INTO change_log {into} SELECT sequence, {row}"),
        // Not the sequence but the revision collides.
        format!("INSERT OR REPLACE INTO change_log {into} SELECT NULL, {row}"),
        format!("INSERT OR REPLACE INTO change_log {into} SELECT sequence + 100, {row}"),
    ];
    for statement in statements {
        let answer = shell.run(&statement).await;
        assert!(
            answer.as_ref().is_err_and(|error| error.contains("guard: the change log is append-only")),
            "{statement}: {answer:?}"
        );
    }
    assert_eq!(shell.number("SELECT count(*) FROM change_log WHERE actor <> 'me'").await, 2);
}

async fn the_database_refuses_to_rewrite_decisions(bench: Bench) {
    let (mut shell, ..) = with_both(&bench).await;
    let insert = "INTO decision (rowid, id, account, position, customer_id, caller, violations, acceptable, policy_revision, at, chain_hash)";
    let first = format!("INSERT {insert} VALUES (5, 'a', 'contoso', 1, 'c', 'caller', '', '', 1, 1, 'h')");
    assert_eq!(shell.run(&first).await, Ok(1));
    let statements = [
        "UPDATE decision SET caller = 'me'".to_owned(),
        "DELETE FROM decision".to_owned(),
        format!("INSERT OR REPLACE {insert} VALUES (6, 'a', 'contoso', 2, 'c', 'me', '', '', 1, 1, 'h')"),
        format!("INSERT OR REPLACE {insert} VALUES (5, 'b', 'contoso', 2, 'c', 'me', '', '', 1, 1, 'h')"),
        format!("INSERT OR REPLACE {insert} VALUES (6, 'b', 'contoso', 1, 'c', 'me', '', '', 1, 1, 'h')"),
    ];
    for statement in statements {
        let answer = shell.run(&statement).await;
        assert!(
            answer.as_ref().is_err_and(|error| error.contains("guard: decisions are append-only")),
            "{statement}: {answer:?}"
        );
    }
    assert_eq!(shell.number("SELECT count(*) FROM decision WHERE caller = 'caller'").await, 1);
}

async fn the_database_keeps_billing_a_mirror_even_with_a_newer_observation(bench: Bench) {
    let (mut shell, microsoft, platform) = with_both(&bench).await;
    let billing: Vec<_> = COLUMNS
        .split(',')
        .map(str::trim)
        .filter(|column| column.starts_with("primary_"))
        .map(|column| format!("{} = 'x'", column.replacen("primary", "billing", 1)))
        .collect();
    let sql = format!(
        "UPDATE customer SET {}, observation_ticket = 11, revision = revision + 1 WHERE id = '{microsoft}'",
        billing.join(", ")
    );
    refused(&mut shell, &sql, "billing_mirrors_primary_of_a_microsoft_customer").await;
    let sql = format!("UPDATE customer SET billing_email = NULL, revision = revision + 1 WHERE id = '{platform}'");
    refused(&mut shell, &sql, "billing_contact_is_whole_or_absent").await;
}

async fn a_platform_customers_contacts_may_be_changed(bench: Bench) {
    let (mut shell, _, platform) = with_both(&bench).await;
    let sql = format!(
        "UPDATE customer SET primary_email = 'a@example.com', billing_city = 'Liepāja', company_name = 'x',
         revision = revision + 1 WHERE id = '{platform}'"
    );
    assert_eq!(shell.run(&sql).await, Ok(1));
}

async fn an_ended_customers_contacts_may_be_changed_but_not_its_identity(bench: Bench) {
    let (mut shell, microsoft, _) = with_both(&bench).await;
    bench.observe(1, mark(1, 11), Observed::Gone(GoneAnswer::NotFound)).await.expect("evidence is noted");
    let end = format!(
        "UPDATE customer SET relationship = 'ENDED', sync_state = 'ENDED', observation_ticket = 11,
         revision = revision + 1 WHERE id = '{microsoft}'"
    );
    assert_eq!(shell.run(&end).await, Ok(1));
    let sql = format!("UPDATE customer SET company_name = 'x', revision = revision + 1 WHERE id = '{microsoft}'");
    refused(&mut shell, &sql, "guard R3").await;
    let sql = format!("UPDATE customer SET relationship = 'ACTIVE', revision = revision + 1 WHERE id = '{microsoft}'");
    refused(&mut shell, &sql, "guard R3").await;
    let sql = format!("UPDATE customer SET primary_email = 'x', revision = revision + 1 WHERE id = '{microsoft}'");
    assert_eq!(shell.run(&sql).await, Ok(1));
}

async fn what_the_platform_owns_may_be_changed_on_a_microsoft_customer(bench: Bench) {
    let (mut shell, microsoft, _) = with_both(&bench).await;
    let sql = format!(
        "UPDATE customer SET note = 'x', labels = '{{}}', external_reference = 'y', status = 'BLOCKED',
         revision = revision + 1 WHERE id = '{microsoft}'"
    );
    assert_eq!(shell.run(&sql).await, Ok(1));
}

/// PostgreSQL has no REPLACE, but ON CONFLICT, and TRUNCATE, which asks no row.
async fn what_is_append_only_is_not_rewritten(bench: Bench) {
    let (mut shell, microsoft, _) = with_both(&bench).await;
    let decision = "INSERT INTO decision (id, account, position, customer_id, caller, violations, acceptable, policy_revision, at, chain_hash)";
    assert_eq!(
        shell.run(&format!("{decision} VALUES ('a', 'contoso', 1, 'c', 'caller', '', '', 1, 1, 'h')")).await,
        Ok(1)
    );
    let statements = [
        ("UPDATE change_log SET actor = 'me'".to_owned(), "append-only"),
        ("DELETE FROM change_log".to_owned(), "append-only"),
        (
            format!("INSERT INTO change_log (account, customer_id, revision, kind, fields, actor, at)
                 SELECT account, customer_id, revision, kind, fields, 'me', at FROM change_log WHERE customer_id = '{microsoft}'
                 ON CONFLICT (account, customer_id, revision) DO UPDATE SET actor = 'me'"),
            "append-only",
        ),
        ("UPDATE decision SET caller = 'me'".to_owned(), "append-only"),
        ("DELETE FROM decision".to_owned(), "append-only"),
        (
            format!("{decision} VALUES ('b', 'contoso', 1, 'c', 'me', '', '', 1, 1, 'h')
                 ON CONFLICT (account, position) DO UPDATE SET caller = 'me'"),
            "append-only",
        ),
        (
            format!("INSERT INTO customer ({COLUMNS}) SELECT {COLUMNS} FROM customer WHERE id = '{microsoft}'
                 ON CONFLICT (account, id) DO UPDATE SET note = 'x'"),
            "guard R9",
        ),
        ("TRUNCATE change_log".to_owned(), "not deleted"),
        ("TRUNCATE decision".to_owned(), "not deleted"),
        ("TRUNCATE customer CASCADE".to_owned(), "not deleted"),
    ];
    for (statement, rule) in statements {
        let answer = shell.run(&statement).await;
        assert!(answer.as_ref().is_err_and(|error| error.contains(rule)), "{statement}: {answer:?}");
    }
    assert_eq!(shell.number("SELECT count(*) FROM change_log WHERE actor <> 'me'").await, 2);
    assert_eq!(shell.number("SELECT count(*) FROM decision WHERE caller = 'caller'").await, 1);
}
