//! What a delete removes besides its connection.

use super::*;

const REMAINING: (State, Assurance, Option<&str>) = (
    State::Deleting,
    Assurance::IntentStored,
    Some(codes::PARTS_REMAIN),
);
const GONE: (State, Assurance, Option<&str>) = (State::Deleted, Assurance::IntentStored, None);

#[test]
fn a_delete_is_over_when_its_parts_are_gone_too() {
    for restarts in [false, true] {
        let mut history = History::new();
        history.saw(1, neutron("ACTIVE"));
        history.deleted_with_parts(10);
        assert_eq!(
            history.saw(11, neutron("PENDING_DELETE")).state,
            State::Deleting
        );
        assert!(history.knowledge.unsettled());
        assert_eq!(said(history.saw(12, neutron("gone"))), REMAINING);
        assert_eq!(history.gone(), Verdict::GoesOn);
        assert!(!history.knowledge.is_gone());
        assert!(!history.knowledge.unsettled(), "polls tell no more");
        if restarts {
            history.restarted();
            assert!(history.knowledge.parts_remain());
            assert_eq!(said(history.status()), REMAINING);
            assert_eq!(said(history.saw(13, neutron("gone"))), REMAINING);
        }
        assert!(history.knowledge.parts_settled(&[]));
        assert_eq!(said(history.status()), GONE);
        assert_eq!(history.gone(), Verdict::Success(None));
        assert!(history.knowledge.is_gone() && !history.knowledge.parts_remain());
        assert!(!history.knowledge.parts_settled(&[]), "once");
        let said_before = history.status().clone();
        assert_eq!(*history.saw(30, neutron("gone")), said_before);
    }
}

#[test]
fn parts_that_are_gone_first_leave_the_rest_to_polls() {
    let mut history = History::new();
    history.deleted_with_parts(10);
    assert!(!history.knowledge.parts_settled(&[]));
    history.restarted();
    assert_eq!(said(history.saw(11, neutron("gone"))), GONE);
    assert_eq!(history.gone(), Verdict::Success(None));
}

#[test]
fn parts_that_stay_fail_the_delete_for_good() {
    let left = ["backends/a/ikePolicies/1".to_owned()];
    for gone_first in [true, false] {
        let mut history = History::new();
        history.deleted_with_parts(10);
        let seen = if gone_first { "gone" } else { "PENDING_DELETE" };
        history.saw(11, neutron(seen));
        assert!(history.knowledge.parts_settled(&left));
        let Verdict::Failure(reason) = history.gone() else {
            panic!("{:?}", history.status())
        };
        assert_eq!(reason.code, codes::PARTS_REMAIN);
        assert!(reason.message.contains(&left[0]), "{}", reason.message);
        history.restarted();
        assert_eq!(history.saw(30, neutron("gone")).state, State::Failed);
        assert!(matches!(history.gone(), Verdict::Failure(_)));
        assert!(history.knowledge.is_gone(), "there is no such connection");
    }
}

#[test]
fn what_an_older_gateway_kept_has_no_parts() {
    let memory: Memory = serde_json::from_str(r#"{"intent":"DELETED","writes":3}"#).unwrap();
    assert_eq!((memory.writes, memory.remains), (3, Remains::default()));
}
