use super::*;

fn report(active: u64, missing: u64, renamed: u64, sample: (u64, u64)) -> TrialReport {
    let present = active - missing;
    let (sampled, differing) = sample;
    TrialReport { listed: present, active, present, missing, appeared: 0, renamed, sampled, differing }
}

#[test]
fn up_to_a_fifth_of_the_known_may_change_and_never_fewer_than_three() {
    use Verdict::{Accept, AskOperator};
    let table = [
        // Nothing differs.
        (report(20_000, 0, 0, (25, 0)), Accept),
        (report(1, 0, 0, (1, 0)), Accept),
        // Missing customers, at the limit and beyond it.
        (report(100, 20, 0, (25, 0)), Accept),
        (report(100, 21, 0, (25, 0)), AskOperator),
        (report(20, 10, 0, (10, 0)), AskOperator),
        (report(99, 19, 0, (25, 0)), Accept),
        (report(99, 20, 0, (25, 0)), AskOperator),
        // The floor of small accounts.
        (report(4, 3, 0, (1, 0)), Accept),
        (report(5, 3, 0, (2, 0)), Accept),
        (report(5, 4, 0, (1, 0)), AskOperator),
        // Nobody is left: another list, however short.
        (report(1, 1, 0, (0, 0)), AskOperator),
        (report(3, 3, 0, (0, 0)), AskOperator),
        // Renamed ones count as much as missing ones, and both add up.
        (report(100, 0, 21, (25, 0)), AskOperator),
        (report(100, 10, 10, (25, 0)), Accept),
        (report(100, 10, 11, (25, 0)), AskOperator),
        // The sample stands for everybody who is there and not renamed.
        (report(100, 0, 0, (25, 5)), Accept),
        (report(100, 0, 0, (25, 6)), AskOperator),
        (report(20_000, 0, 0, (25, 5)), Accept),
        (report(20_000, 0, 0, (25, 6)), AskOperator),
        (report(20_000, 4_000, 0, (25, 1)), AskOperator),
        (report(3, 0, 0, (3, 3)), Accept),
        (report(4, 0, 0, (4, 4)), AskOperator),
        // Nobody could be read in detail: the list decides.
        (report(100, 20, 0, (0, 0)), Accept),
    ];
    for (report, expected) in table {
        assert_eq!(judge(&report), expected, "{report:?} changes {} of at most {}", report.changed(), report.limit());
    }
}

#[test]
fn newcomers_and_those_that_were_gone_before_are_no_risk() {
    let newcomers = TrialReport { listed: 1_000, appeared: 990, ..report(10, 0, 0, (10, 0)) };
    assert_eq!(judge(&newcomers), Verdict::Accept);
    // All the known were missing in the last list as well: these credentials change nothing about them.
    let gone_before = TrialReport { active: 10, ..TrialReport::default() };
    assert_eq!(judge(&gone_before), Verdict::Accept);
}

#[test]
fn numbers_of_any_size_are_judged() {
    let huge = TrialReport { present: u64::MAX, differing: u64::MAX, sampled: 1, ..report(10, 0, 0, (0, 0)) };
    assert_eq!(judge(&huge), Verdict::AskOperator);
}

#[test]
fn a_trial_is_named_by_the_account_the_credentials_and_every_number() {
    let [contoso, fabrikam] = ["contoso", "fabrikam"].map(|id| id.parse::<PartnerAccountId>().expect("an id"));
    let [one, other] = [1, 2].map(|byte| Fingerprint::new([byte; 32]));
    let found = report(20, 10, 0, (10, 0));
    let id = TrialId::of(&contoso, &one, &found);
    assert_eq!(id.to_string().parse(), Ok(id));
    assert_ne!(id, TrialId::of(&fabrikam, &one, &found));
    assert_ne!(id, TrialId::of(&contoso, &other, &found));
    for changed in [
        TrialReport { listed: 11, ..found },
        TrialReport { active: 21, ..found },
        TrialReport { present: 11, ..found },
        TrialReport { missing: 11, ..found },
        TrialReport { appeared: 1, ..found },
        TrialReport { renamed: 1, ..found },
        TrialReport { sampled: 11, ..found },
        TrialReport { differing: 1, ..found },
    ] {
        assert_ne!(id, TrialId::of(&contoso, &one, &changed), "{changed:?}");
    }
}

#[test]
fn a_fingerprint_changes_with_every_part_with_the_key_and_with_where_a_part_ends() {
    let [key, another] = [7, 8].map(|byte| FingerprintKey::new([byte; 32]));
    let parts: [&[u8]; 3] = [b"tenant", b"client", b"secret"];
    let fingerprint = key.fingerprint(&parts);
    assert_eq!(fingerprint, key.fingerprint(&parts));
    assert_ne!(fingerprint, another.fingerprint(&parts));
    for other in [
        [b"tenanT".as_slice(), b"client", b"secret"],
        [b"tenant", b"clientsecret", b""],
        [b"tenantc", b"lient", b"secret"],
    ] {
        assert_ne!(fingerprint, key.fingerprint(&other));
    }
    assert!(!format!("{key:?} {fingerprint:?}").contains("secret"));
}
