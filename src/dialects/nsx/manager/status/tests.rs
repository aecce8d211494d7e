//! Every row of the table, note by note.

use super::*;
use crate::{dialects::nsx::manager::status::words::EDGE_FAILURES, rest::json};
use Assurance::{ControlPlane, InEffect, IntentStored, TunnelUp};
use RealizationState as S;

type Judged = (RealizationState, Assurance, &'static str);

fn judged(sighting: &Sighting) -> (RealizationState, Assurance, &str) {
    let reason = sighting.reason.as_ref().map_or("", |reason| &reason.code);
    (sighting.state, sighting.assurance, reason)
}

fn state(whole: &str, nodes: &[&str]) -> State {
    let said = |text: &str| Some(text.to_owned()).filter(|text| text != "-");
    State {
        state: said(whole),
        nodes: nodes
            .iter()
            .map(|node| NodeState {
                state: said(node),
                ..NodeState::default()
            })
            .collect(),
        ..State::default()
    }
}

#[track_caller]
fn check(whole: &str, nodes: &[&str], expected: Judged) {
    let sighting = of_state(&state(whole, nodes));
    assert_eq!(judged(&sighting), expected, "{whole} {nodes:?}");
    if whole != "-" {
        assert_eq!(sighting.native_state, whole);
    }
}

#[test]
fn each_of_the_ten_words_has_its_row() {
    check("pending", &[], (S::Pending, IntentStored, ""));
    check("in_progress", &[], (S::InProgress, IntentStored, ""));
    check("in_sync", &[], (S::Realized, ControlPlane, ""));
    check("success", &[], (S::Realized, InEffect, ""));
    check(
        "partial_success",
        &[],
        (S::Partial, ControlPlane, "PARTIAL_SUCCESS"),
    );
    check("failed", &[], (S::Failed, IntentStored, "UPSTREAM_ERROR"));
    check("error", &[], (S::Failed, IntentStored, "UPSTREAM_ERROR"));
    check("orphaned", &[], (S::Failed, IntentStored, "ORPHANED"));
    check(
        "unknown",
        &[],
        (S::Unknown, IntentStored, "UPSTREAM_UNKNOWN"),
    );
    check(
        "NOT_AVAILABLE",
        &[],
        (S::Unknown, IntentStored, "UPSTREAM_UNKNOWN"),
    );
}

#[test]
fn case_and_blanks_do_not_matter() {
    check("IN_SYNC", &[], (S::Realized, ControlPlane, ""));
    check("In_Progress", &[], (S::InProgress, IntentStored, ""));
    check(
        "not_available",
        &[],
        (S::Unknown, IntentStored, "UPSTREAM_UNKNOWN"),
    );
    let blank = of_state(&state(" success ", &[]));
    assert_eq!(judged(&blank), (S::Realized, InEffect, ""));
}

#[test]
fn the_words_of_an_edge_nodes_life_cycle_have_theirs() {
    check("NODE_READY", &[], (S::Realized, InEffect, ""));
    check("TRANSPORT_NODE_READY", &[], (S::Realized, InEffect, ""));
    for word in [
        "VM_DEPLOYMENT_QUEUED",
        "VM_DEPLOYMENT_IN_PROGRESS",
        "REGISTRATION_PENDING",
    ] {
        check(word, &[], (S::Pending, IntentStored, word));
    }
    for word in EDGE_FAILURES {
        check(word, &[], (S::Failed, IntentStored, word));
    }
}

/// Exactly the 104 values of both enums in the SDK's description have a row.
#[test]
fn the_documented_words_are_exactly_those_in_the_table() {
    let api = json::parse(include_bytes!(
        "../../../../../tests/fixtures/nsx/nsx-mp-vpn-openapi.json"
    ));
    let api = api.unwrap();
    for schema in ["IPSecVPNSessionState", "ConfigurationStateElement"] {
        let words = &api["components"]["schemas"][schema]["properties"]["state"]["enum"];
        let words: Vec<&str> = words
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|w| w.as_str())
            .collect();
        assert_eq!(words.len(), 10 + 5 + EDGE_FAILURES.len());
        for documented in words {
            let reason = word(Some(documented)).reason;
            assert_ne!(
                reason.as_deref(),
                Some(codes::UNRECOGNIZED_VALUE),
                "{documented}"
            );
        }
    }
}

#[test]
fn the_fields_with_words_that_nobody_documented_are_named_each_once() {
    for (whole, nodes, expected) in [
        ("in_sync", &["in_sync", "unknown"][..], &[][..]),
        ("REHEARSING", &[], &["state"]),
        ("-", &["in_sync"], &["state"]),
        ("in_sync", &["odd", "odder"], &["details.state"]),
        ("odd", &["odd"], &["state", "details.state"]),
    ] {
        let seen = of_state(&state(whole, nodes));
        assert_eq!(seen.unrecognized, expected, "{whole} {nodes:?}");
    }
    for (session, ike, is_known) in [
        ("UP", "UP", true),
        ("-", "-", true),
        ("-", "UP", true),
        ("-", "NEGOTIATING", true),
        ("HALF", "UP", false),
        ("-", "HALF", false),
    ] {
        let tunnel = tunnel(&status(session, ike, ""), true);
        let seen = with_tunnel(of_state(&state("in_sync", &[])), tunnel);
        let expected: &[&str] = if is_known { &[] } else { &["session_status"] };
        assert_eq!(seen.unrecognized, expected, "{session} {ike}");
    }
}

#[test]
fn a_word_nobody_documented_is_kept_and_claims_nothing() {
    check(
        "REHEARSING",
        &[],
        (S::Unknown, IntentStored, "UNRECOGNIZED_VALUE"),
    );
    check("", &[], (S::Unknown, IntentStored, "UNRECOGNIZED_VALUE"));
    check("-", &[], (S::Unknown, IntentStored, "UNRECOGNIZED_VALUE"));
    check(
        "-",
        &["in_sync"],
        (S::Unknown, IntentStored, "UNRECOGNIZED_VALUE"),
    );
    check("-", &["failed"], (S::Failed, IntentStored, "INCONSISTENT"));
}

#[test]
fn nodes_that_agree_leave_the_whole_as_it_is() {
    check(
        "in_progress",
        &["in_progress", "in_sync"],
        (S::InProgress, IntentStored, ""),
    );
    check(
        "in_progress",
        &["pending", "in_sync"],
        (S::InProgress, IntentStored, ""),
    );
    check(
        "in_progress",
        &["in_sync", "in_sync"],
        (S::InProgress, IntentStored, ""),
    );
    check(
        "in_progress",
        &["success"],
        (S::InProgress, IntentStored, ""),
    );
    check(
        "in_sync",
        &["in_sync", "success"],
        (S::Realized, ControlPlane, ""),
    );
    check(
        "success",
        &["success", "NODE_READY"],
        (S::Realized, InEffect, ""),
    );
    check(
        "partial_success",
        &["success", "failed"],
        (S::Partial, ControlPlane, "PARTIAL_SUCCESS"),
    );
    check(
        "unknown",
        &["unknown", "in_sync"],
        (S::Unknown, IntentStored, "UPSTREAM_UNKNOWN"),
    );
    check(
        "error",
        &["failed", "in_sync"],
        (S::Failed, IntentStored, "UPSTREAM_ERROR"),
    );
    check(
        "orphaned",
        &["in_sync"],
        (S::Failed, IntentStored, "ORPHANED"),
    );
}

#[test]
fn where_whole_and_nodes_disagree_the_worse_counts() {
    let check = |whole, nodes: &[&str], state, assurance| {
        check(whole, nodes, (state, assurance, "INCONSISTENT"));
    };
    check("in_sync", &["in_sync", "failed"], S::Failed, IntentStored);
    check("in_sync", &["unknown", "in_sync"], S::Unknown, IntentStored);
    check("in_sync", &["-"], S::Unknown, IntentStored);
    check("in_sync", &["in_progress"], S::InProgress, IntentStored);
    check("success", &["in_sync"], S::Realized, ControlPlane);
    check("success", &["partial_success"], S::Partial, ControlPlane);
    check("in_sync", &["success"], S::Realized, ControlPlane);
    check("in_progress", &["failed"], S::Failed, IntentStored);
    check("in_progress", &["unknown"], S::Unknown, IntentStored);
    check("pending", &["in_sync"], S::Pending, IntentStored);
    check("partial_success", &["success"], S::Partial, ControlPlane);
    check("error", &["in_sync"], S::Failed, IntentStored);
    check("unknown", &["in_sync"], S::Unknown, IntentStored);
}

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../../../tests/fixtures/nsx/", $name))
    };
}

/// One fixture: its state as a whole, the state of each node, and words that the reason must contain.
struct Example {
    body: &'static [u8],
    whole: Judged,
    native: &'static str,
    nodes: &'static [RealizationState],
    words: &'static str,
}

#[track_caller]
fn check_example(example: &Example) {
    let said = State::of(json::parse(example.body).unwrap()).unwrap();
    let sighting = of_state(&said);
    assert_eq!(judged(&sighting), example.whole);
    assert_eq!(sighting.native_state, example.native);
    let nodes: Vec<_> = sighting.nodes.iter().map(|node| node.state).collect();
    assert_eq!(nodes, example.nodes, "{:?}", example.whole);
    let reason = sighting.reason.map_or(String::new(), |it| it.message);
    assert!(reason.contains(example.words), "{reason}");
}

#[test]
fn the_guides_examples_read_as_the_table_says() {
    for example in [
        Example {
            body: fixture!("state_in_progress_one_node_in_sync.json"),
            whole: (S::InProgress, IntentStored, "UPSTREAM_IN_PROGRESS"),
            native: "in_progress",
            nodes: &[S::InProgress, S::Realized],
            words: "The state realization is in progress at transport nodes.",
        },
        Example {
            body: fixture!("state_in_sync.json"),
            whole: (S::Realized, ControlPlane, ""),
            native: "in_sync",
            nodes: &[S::Realized],
            words: "",
        },
        Example {
            body: fixture!("state_unknown_without_details.json"),
            whole: (S::Unknown, IntentStored, "UPSTREAM_UNKNOWN"),
            native: "unknown",
            nodes: &[],
            words: "Unable to get response from any CCP node",
        },
        Example {
            body: fixture!("state_unknown_one_node_in_sync.json"),
            whole: (S::Unknown, IntentStored, "UPSTREAM_UNKNOWN"),
            native: "unknown",
            nodes: &[S::Unknown, S::Realized],
            words: "unknown at transport nodes",
        },
    ] {
        check_example(&example);
    }
}

/// What NSX says about a whole in progress is shown, and decides nothing.
#[test]
fn words_for_what_is_under_way_are_kept_and_change_no_state() {
    for (word, node, expected) in [
        (
            "pending",
            "pending",
            (S::Pending, IntentStored, "UPSTREAM_IN_PROGRESS"),
        ),
        (
            "in_progress",
            "in_sync",
            (S::InProgress, IntentStored, "UPSTREAM_IN_PROGRESS"),
        ),
        (
            "in_progress",
            "failed",
            (S::Failed, IntentStored, "INCONSISTENT"),
        ),
        ("in_sync", "in_sync", (S::Realized, ControlPlane, "")),
        ("success", "success", (S::Realized, InEffect, "")),
    ] {
        let said = State {
            failure_message: "it failed to fail".to_owned(),
            ..state(word, &[node])
        };
        assert_eq!(judged(&of_state(&said)), expected, "{word}");
    }
    let coded = State {
        failure_code: Some("17".to_owned()),
        ..state("in_progress", &[])
    };
    assert_eq!(of_state(&coded).reason.unwrap().message, "code 17");
}

#[test]
fn a_node_is_shown_as_the_guide_shows_it() {
    let body = fixture!("state_in_progress_one_node_in_sync.json");
    let seen = of_state(&State::of(json::parse(body).unwrap()).unwrap());
    let node = &seen.nodes[0];
    assert_eq!(node.kind, "TransportNode");
    assert_eq!(node.id, "fe651e63-04bd-43a4-a8ec-45381a3b71b9");
    assert_eq!(node.native_state, "in_progress");
    assert!(node.message.contains("in progress at the node"));
}

const ODD_BODIES: [Example; 12] = [
    Example {
        body: fixture!("made_state_success.json"),
        whole: (S::Realized, InEffect, ""),
        native: "success",
        nodes: &[S::Realized],
        words: "",
    },
    Example {
        body: fixture!("made_state_orphaned.json"),
        whole: (S::Failed, IntentStored, "ORPHANED"),
        native: "orphaned",
        nodes: &[],
        words: "",
    },
    Example {
        body: fixture!("made_state_node_ready.json"),
        whole: (S::Realized, InEffect, ""),
        native: "NODE_READY",
        nodes: &[S::Realized, S::Realized],
        words: "",
    },
    Example {
        body: fixture!("made_state_edge_deployment_queued.json"),
        whole: (S::Pending, IntentStored, "VM_DEPLOYMENT_QUEUED"),
        native: "VM_DEPLOYMENT_QUEUED",
        nodes: &[S::Pending],
        words: "",
    },
    Example {
        body: fixture!("made_state_error_one_node_top_message_empty.json"),
        whole: (S::Failed, IntentStored, "UPSTREAM_ERROR"),
        native: "error",
        nodes: &[S::Failed, S::Realized],
        words: "The node refused the configuration. (code 110100)",
    },
    Example {
        body: fixture!("made_state_in_sync_one_node_failed.json"),
        whole: (S::Failed, IntentStored, "INCONSISTENT"),
        native: "in_sync",
        nodes: &[S::Realized, S::Failed],
        words: "The node refused the configuration.",
    },
    Example {
        body: fixture!("made_state_partial_success_one_node_failed.json"),
        whole: (S::Partial, ControlPlane, "PARTIAL_SUCCESS"),
        native: "partial_success",
        nodes: &[S::Realized, S::Failed],
        words: "The node refused the configuration.",
    },
    Example {
        body: fixture!("made_state_undocumented.json"),
        whole: (S::Unknown, IntentStored, "UNRECOGNIZED_VALUE"),
        native: "REHEARSING",
        nodes: &[S::Unknown],
        words: "",
    },
    Example {
        body: fixture!("made_state_null.json"),
        whole: (S::Unknown, IntentStored, "UNRECOGNIZED_VALUE"),
        native: "",
        nodes: &[],
        words: "",
    },
    Example {
        body: fixture!("made_state_absent.json"),
        whole: (S::Unknown, IntentStored, "UNRECOGNIZED_VALUE"),
        native: "",
        nodes: &[S::Unknown],
        words: "",
    },
    Example {
        body: fixture!("made_state_repeated_key.json"),
        whole: (S::Realized, ControlPlane, ""),
        native: "in_sync",
        nodes: &[S::Realized],
        words: "",
    },
    Example {
        body: fixture!("made_state_numbers_as_strings.json"),
        whole: (S::Failed, IntentStored, "UPSTREAM_ERROR"),
        native: "error",
        nodes: &[S::Failed],
        words: "(code 110100)",
    },
];

#[test]
fn odd_bodies_read_as_the_table_says() {
    ODD_BODIES.iter().for_each(check_example);
}

#[test]
fn several_writes_are_as_far_as_the_least_of_them() {
    let polls = |words: &[&str]| {
        words
            .iter()
            .map(|word| of_state(&state(word, &[])))
            .collect()
    };
    let worst = |words: &[&str]| worst(polls(words)).map(|poll| poll.native_state);
    let order = [
        "failed",
        "unknown",
        "pending",
        "in_progress",
        "partial_success",
        "in_sync",
        "success",
    ];
    for (at, word) in order.iter().enumerate() {
        assert_eq!(worst(&order[at..]).as_deref(), Some(*word));
    }
    assert_eq!(
        worst(&["success", "in_sync", "in_progress"]).as_deref(),
        Some("in_progress")
    );
    assert_eq!(worst(&[]), None);
}

fn status(session: &str, ike: &str, reason: &str) -> Status {
    let said = |text: &str| Some(text.to_owned()).filter(|text| text != "-");
    Status {
        session: said(session),
        ike: said(ike),
        fail_reason: reason.to_owned(),
        ..Status::default()
    }
}

#[track_caller]
fn check_tunnel(session: &str, ike: &str, expected: TunnelStatus) {
    assert_eq!(
        tunnel(&status(session, ike, ""), true).status,
        expected,
        "{session} {ike}"
    );
}

#[test]
fn a_tunnel_is_what_session_and_ike_say_together() {
    check_tunnel("UP", "UP", TunnelStatus::Up);
    check_tunnel("UP", "-", TunnelStatus::Up);
    check_tunnel("up", "Up", TunnelStatus::Up);
    check_tunnel("DEGRADED", "UP", TunnelStatus::Degraded);
    check_tunnel("DEGRADED", "DOWN", TunnelStatus::Degraded);
    check_tunnel("DOWN", "UP", TunnelStatus::Down);
    check_tunnel("DOWN", "DOWN", TunnelStatus::Down);
    check_tunnel("DOWN", "NEGOTIATING", TunnelStatus::Negotiating);
    check_tunnel("UP", "DOWN", TunnelStatus::Down);
    check_tunnel("-", "DOWN", TunnelStatus::Down);
    check_tunnel("-", "NEGOTIATING", TunnelStatus::Negotiating);
    check_tunnel("-", "UP", TunnelStatus::Unknown);
    check_tunnel("-", "-", TunnelStatus::Unknown);
    check_tunnel("SIDEWAYS", "UP", TunnelStatus::Unknown);
}

#[track_caller]
fn check_both(whole: &str, said: Status, expected: Judged) {
    let sighting = with_tunnel(of_state(&state(whole, &[])), tunnel(&said, true));
    assert_eq!(judged(&sighting), expected);
    assert!(sighting.tunnel.is_some());
}

#[test]
fn the_tunnel_decides_once_the_configuration_is_in_place() {
    check_both("in_sync", status("UP", "UP", ""), (S::Active, TunnelUp, ""));
    check_both("success", status("UP", "UP", ""), (S::Active, TunnelUp, ""));
    check_both(
        "in_sync",
        status("DEGRADED", "UP", ""),
        (S::Degraded, ControlPlane, ""),
    );
    check_both(
        "success",
        status("DOWN", "DOWN", "x"),
        (S::Down, InEffect, "IKE_DOWN"),
    );
    check_both(
        "in_sync",
        status("DOWN", "NEGOTIATING", "x"),
        (S::Down, ControlPlane, "IKE_NEGOTIATING"),
    );
    check_both(
        "in_sync",
        status("-", "-", ""),
        (S::Realized, ControlPlane, ""),
    );
}

#[test]
fn before_that_the_tunnel_is_evidence_only() {
    check_both(
        "pending",
        status("UP", "UP", ""),
        (S::Pending, IntentStored, ""),
    );
    check_both(
        "in_progress",
        status("UP", "UP", ""),
        (S::InProgress, IntentStored, ""),
    );
    check_both(
        "unknown",
        status("UP", "UP", ""),
        (S::Unknown, IntentStored, "UPSTREAM_UNKNOWN"),
    );
    check_both(
        "error",
        status("UP", "UP", ""),
        (S::Failed, IntentStored, "UPSTREAM_ERROR"),
    );
    check_both(
        "partial_success",
        status("UP", "UP", ""),
        (S::Partial, ControlPlane, "PARTIAL_SUCCESS"),
    );
}

#[test]
fn a_tunnel_carries_its_numbers_and_its_time() {
    let said = Status::of(json::parse(fixture!("made_status_degraded.json")).unwrap()).unwrap();
    let degraded = tunnel(&said, true);
    assert_eq!(
        (degraded.total, degraded.negotiated, degraded.failed),
        (2, 1, 1)
    );
    assert_eq!(degraded.native_status, "DEGRADED");
    let time = degraded
        .update_time
        .unwrap()
        .duration_since(SystemTime::UNIX_EPOCH);
    assert_eq!(time.unwrap().as_secs(), 1_763_690_000);
    let said = Status::of(json::parse(fixture!("made_status_down_negotiating.json")).unwrap());
    let young = with_tunnel(
        of_state(&state("in_sync", &[])),
        tunnel(&said.unwrap(), true),
    );
    assert_eq!(
        young.reason,
        Some(Reason::new("IKE_NEGOTIATING", "Unknown"))
    );
    let said = Status::of(json::parse(fixture!("made_status_up.json")).unwrap()).unwrap();
    assert_eq!(tunnel(&said, false).status, TunnelStatus::Up);
    let odd = Status {
        updated: Some(-1),
        ..Status::default()
    };
    assert_eq!(tunnel(&odd, true).update_time, None);
}

#[test]
fn what_is_being_deleted_is_deleting_until_it_is_gone_or_failed() {
    let deleting = |poll| judged(&while_deleting(poll)).0;
    for word in [
        "pending",
        "in_progress",
        "in_sync",
        "success",
        "partial_success",
        "unknown",
        "orphaned",
    ] {
        assert_eq!(deleting(of_state(&state(word, &[]))), S::Deleting, "{word}");
    }
    assert_eq!(
        deleting(of_state(&state("EDGE_CONFIG_ERROR", &[]))),
        S::Deleting
    );
    assert_eq!(deleting(service_disabled("")), S::Deleting);
    assert_eq!(deleting(state_not_found("")), S::Deleting);
    assert_eq!(deleting(of_state(&state("failed", &[]))), S::Failed);
    assert_eq!(deleting(of_state(&state("error", &[]))), S::Failed);
    assert_eq!(deleting(of_state(&state("in_sync", &["error"]))), S::Failed);
    assert_eq!(deleting(gone("")), S::Deleted);
    let kept = while_deleting(of_state(&state("in_sync", &[])));
    assert_eq!(kept.native_state, "in_sync");
}

#[test]
fn messages_are_bounded_and_hide_what_looks_like_a_key() {
    let mut said = state("error", &[]);
    said.failure_message = format!("psk=canary {}", "x".repeat(10_000));
    let message = of_state(&said).reason.unwrap().message;
    assert!(message.len() < 600 && !message.contains("canary"));
}

#[test]
fn a_node_that_is_not_told_is_judged_like_the_others() {
    let mut nodes = vec!["in_sync"; 20_000];
    nodes[19_000] = "failed";
    let seen = of_state(&state("in_sync", &nodes));
    assert_eq!(judged(&seen), (S::Failed, IntentStored, "INCONSISTENT"));
    assert_eq!(seen.nodes[0].state, S::Failed);
    assert_eq!(seen.nodes.counts(), [(S::Realized, 19_999), (S::Failed, 1)]);

    // In a connection that is being removed, an orphan is not a failure. The node list is too short for a failure
    // behind so many.
    let mut nodes = vec!["orphaned"; 100];
    let gone = while_deleting(of_state(&state("orphaned", &nodes)));
    assert_eq!(gone.state, S::Deleting);
    nodes.push("failed");
    let stuck = while_deleting(of_state(&state("orphaned", &nodes)));
    assert_eq!(stuck.state, S::Failed);
    assert!(
        stuck
            .nodes
            .iter()
            .all(|node| node.native_state == "orphaned")
    );
}
