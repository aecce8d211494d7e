//! Writes that a cloud proves by their request ids.

use super::*;

#[test]
fn all_request_ids_of_a_write_must_be_spoken_for() {
    let mut history = History::new();
    let ids = Proof::RequestIds(vec!["peer".into(), "session".into()]);
    history.wrote(0, WriteKind::Create, ids, ENABLED);
    assert_eq!(said(history.saw(1, nsx("in_sync", &["peer"]))), WAITING);
    assert_eq!(said(history.saw(2, nsx("in_sync", &[]))), WAITING);
    assert_eq!(
        history
            .saw(3, nsx("in_progress", &["peer", "session"]))
            .state,
        State::InProgress
    );
    assert!(!history.knowledge.outstanding().is_empty());
    assert_eq!(
        history.saw(4, nsx("in_sync", &["peer", "session"])).state,
        State::Realized
    );
    // Proven: later polls ask without ids.
    assert!(history.knowledge.outstanding().is_empty());
    assert_eq!(
        history.saw(5, nsx("success", &[])).assurance,
        Assurance::InEffect
    );
}

#[test]
fn only_the_newest_request_ids_are_asked_for() {
    let mut history = History::new();
    for write in 0..3 {
        let ids = Proof::RequestIds(vec![format!("a{write}"), format!("b{write}")]);
        history.wrote(write, WriteKind::Update, ids, ENABLED);
    }
    assert_eq!(history.knowledge.outstanding(), ["a1", "b1", "a2", "b2"]);
}

/// One poll asks for at most four ids, and a connection that is changed with its parts has seven.
#[test]
fn more_request_ids_than_one_poll_asks_for_are_proven_by_several() {
    let mut history = History::new();
    let all: Vec<String> = (1..=7).map(|id| format!("w{id}")).collect();
    let ids = Proof::RequestIds(all.clone());
    history.wrote(0, WriteKind::Update, ids, ENABLED);
    assert_eq!(history.status().request_ids, all);
    let newest = ["w4", "w5", "w6", "w7"];
    assert_eq!(history.knowledge.outstanding(), newest);
    assert_eq!(said(history.saw(1, nsx("in_sync", &["w7"]))), WAITING);
    let failed = history.saw(2, nsx("error", &newest)).state;
    assert_eq!(failed, State::Failed);
    assert_eq!(said(history.saw(3, nsx("in_sync", &newest))), WAITING);
    let oldest = ["w1", "w2", "w3"];
    assert_eq!(history.knowledge.outstanding(), oldest);
    assert!(history.knowledge.unsettled());
    // What is already proven does not speak for the rest.
    assert_eq!(said(history.saw(4, nsx("success", &newest))), WAITING);
    let under_way = history.saw(5, nsx("in_progress", &oldest)).state;
    assert_eq!(under_way, State::InProgress);
    let proven = history.saw(6, nsx("in_sync", &oldest)).state;
    assert_eq!(proven, State::Realized);
    assert!(history.knowledge.outstanding().is_empty());
}

/// A later write replaces the ids, except as many as one poll has room for.
#[test]
fn what_a_later_write_contains_is_not_asked_for() {
    let mut history = History::new();
    let ids = Proof::RequestIds((1..=7).map(|id| format!("w{id}")).collect());
    history.wrote(0, WriteKind::Update, ids, ENABLED);
    let later = Proof::RequestIds(vec!["later".to_owned()]);
    history.wrote(1, WriteKind::Update, later, ENABLED);
    let asked = ["w5", "w6", "w7", "later"];
    assert_eq!(history.knowledge.outstanding(), asked);
    let proven = history.saw(2, nsx("in_sync", &asked)).state;
    assert_eq!(proven, State::Realized);
}
