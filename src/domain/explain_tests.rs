use super::*;

fn every_live() -> [Live; 9] {
    [
        Live::NotAsked,
        Live::Present,
        Live::Unusable("billing profile missing".to_owned()),
        Live::Gone(GoneAnswer::NoRelationship),
        Live::Gone(GoneAnswer::NotFound),
        Live::Gone(GoneAnswer::TenantNotFound),
        Live::Unlisted,
        Live::Blocked { reason: "CLIENT_SECRET_REFUSED".to_owned(), remedy: "Set another one.".to_owned() },
        Live::Unavailable("no whole answer in time".to_owned()),
    ]
}

/// The verdicts over [`every_live`], and for which of them the customer is looked at.
fn verdicts(record: Record, pending: bool, unusable: bool) -> ([Verdict; 9], Vec<usize>) {
    let lives = every_live();
    let judged = lives.each_ref().map(|live| judge(Facts { record, pending, unusable, live }));
    let looked_at = judged.iter().enumerate().filter(|(_, judged)| judged.look).map(|(place, _)| place);
    (judged.each_ref().map(|judged| judged.verdict), looked_at.collect())
}

fn kept(state: SyncState) -> Record {
    Record::Microsoft(VisibleState::Kept(state))
}

#[test]
fn a_state_that_somebody_must_act_on_is_told_whatever_partner_center_says() {
    for (record, verdict) in [
        (Record::Platform, Verdict::PlatformCustomer),
        (Record::Microsoft(VisibleState::Paused), Verdict::Paused),
        (kept(SyncState::Quarantined), Verdict::Quarantined),
        (kept(SyncState::HeldForRemoval), Verdict::HeldForRemoval),
    ] {
        for pending in [false, true] {
            assert_eq!(verdicts(record, pending, true).0, [verdict; 9]);
        }
    }
    assert_eq!(verdicts(Record::None, true, true).0, [Verdict::PendingLink; 9]);
}

#[test]
fn whoever_is_shown_again_is_looked_at_and_a_paused_one_never() {
    for state in [SyncState::Quarantined, SyncState::HeldForRemoval, SyncState::Ended] {
        assert_eq!(verdicts(kept(state), false, false).1, [1], "{state:?}");
    }
    assert_eq!(verdicts(kept(SyncState::Synced), false, false).1, [2], "its record can no longer be applied");
    assert_eq!(verdicts(Record::None, false, false).1, [1, 2]);
    for (record, pending) in
        [(Record::Platform, false), (Record::Microsoft(VisibleState::Paused), false), (Record::None, true)]
    {
        assert!(verdicts(record, pending, false).1.is_empty(), "{record:?}");
    }
}

#[test]
fn of_a_level_customer_the_live_answer_decides() {
    use Verdict::{AccountBlocked, Leaving, Quarantined, SourceUnavailable, Synced};
    let expected = [Synced, Synced, Quarantined, Leaving, Leaving, Leaving, Synced, AccountBlocked, SourceUnavailable];
    assert_eq!(verdicts(kept(SyncState::Synced), false, false).0, expected);
}

#[test]
fn an_ended_customer_that_is_shown_again_was_found_now() {
    let mut expected = [Verdict::Ended; 9];
    expected[1] = Verdict::FoundNow;
    assert_eq!(verdicts(kept(SyncState::Ended), false, false).0, expected);
}

#[test]
fn of_an_unknown_customer_the_live_answer_decides() {
    use Verdict::{AccountBlocked, FoundNow, NeverAccepted, NotFound, Quarantined, SourceUnavailable};
    let expected = [
        NotFound,
        FoundNow,
        Quarantined,
        NeverAccepted,
        NotFound,
        NotFound,
        NotFound,
        AccountBlocked,
        SourceUnavailable,
    ];
    assert_eq!(verdicts(Record::None, false, false).0, expected);
    // One whose record could not be applied is known for that, also when nobody can ask now.
    let mut expected = expected;
    expected[7..].fill(Quarantined);
    assert_eq!(verdicts(Record::None, false, true).0, expected);
}

#[test]
fn every_explanation_is_a_sentence_and_the_accounts_remedy_is_passed_on() {
    let records = [
        Record::None,
        Record::Platform,
        Record::Microsoft(VisibleState::Paused),
        kept(SyncState::Synced),
        kept(SyncState::Quarantined),
        kept(SyncState::HeldForRemoval),
        kept(SyncState::Ended),
    ];
    for record in records {
        for live in &every_live() {
            let judged = judge(Facts { record, pending: false, unusable: false, live });
            assert!(judged.explanation.ends_with('.') && !judged.explanation.contains("  "), "{judged:?}");
            assert!(judged.remedy.is_empty() || judged.remedy.ends_with('.'), "{judged:?}");
            assert!(!judged.explanation.contains("billing profile missing"), "details are told apart");
            if judged.verdict == Verdict::AccountBlocked {
                assert_eq!(judged.remedy, "Set another one.");
            }
        }
    }
}
