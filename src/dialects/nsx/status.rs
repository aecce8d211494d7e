//! What NSX says, as the one normalized status. Pure.
//!
//! NSX has two axes and they are kept apart until the first is settled: `/state` tells whether the
//! configuration has reached the nodes, `/status` whether packets have a security association.

use crate::{
    dialects::nsx::wire::{NodeState, State, Status},
    model::{Assurance, Node, RealizationState, Reason, Sighting, Tunnel, TunnelStatus, codes},
    rest::redact::tidy,
};
use std::time::{Duration, SystemTime};

/// The `error_code` of a session whose VPN service is switched off.
pub const SERVICE_DISABLED: &str = "110199";

/// The longest message kept of a node or a reason, in bytes.
const MESSAGE: usize = 512;
/// The longest word kept as `native_state`, in bytes. The longest documented one has 109.
const WORD: usize = 160;

/// What one `/state` says: the whole, its nodes, and whether they agree.
///
/// If they do not, the worse of the two counts, reason INCONSISTENT. A whole that did not get everywhere
/// (`partial_success`) agrees with failed nodes, and one that is under way with nodes that are pending, under
/// way or done. No message text is looked at.
pub fn of_state(said: &State) -> Sighting {
    let whole = word(said.state.as_deref());
    let worst = said
        .nodes
        .iter()
        .map(|node| (word(node.state.as_deref()), node))
        .min_by_key(|(meaning, _)| meaning.rank());
    let native_state = native(said.state.as_deref());
    let (meaning, reason) = match worst {
        Some((of_node, node)) if !whole.agrees_with(&of_node) => {
            let message = format!(
                "the cloud says `{native_state}` of the whole and `{}` of node `{}`",
                native(node.state.as_deref()),
                tidy(&node.id, WORD),
            );
            let (worse, explained) = if of_node.rank() < whole.rank() {
                let explained = explain(&node.failure_message, node.failure_code.as_deref());
                (of_node, explained)
            } else {
                let explained = explain_whole(said, &whole);
                (whole, explained)
            };
            let message = match explained.as_str() {
                "" => message,
                explained => format!("{message}: {explained}"),
            };
            (worse, Some(Reason::new(codes::INCONSISTENT, message)))
        }
        _ => {
            let code = whole.reason.clone();
            let reason = code.map(|code| Reason::new(code, explain_whole(said, &whole)));
            (whole, reason)
        }
    };
    Sighting {
        state: meaning.state,
        assurance: meaning.assurance,
        reason,
        native_state,
        nodes: said.nodes.iter().map(node).collect(),
        ..Sighting::default()
    }
}

/// The looks at several request ids of one connection, as one: the worst of them.
///
/// A connection is realized for a caller only when each of its writes is.
pub fn worst(looks: Vec<Sighting>) -> Option<Sighting> {
    looks
        .into_iter()
        .min_by_key(|look| rank(look.state, look.assurance))
}

/// What `/status` says of the tunnel.
pub fn tunnel(said: &Status, realtime: bool) -> Tunnel {
    Tunnel {
        status: tunnel_status(said),
        native_status: native(said.session.as_deref().or(said.ike.as_deref())),
        fail_reason: tidy(&said.fail_reason, MESSAGE),
        total: said.total,
        negotiated: said.negotiated,
        failed: said.failed,
        update_time: said.updated.and_then(|milliseconds| {
            let since = Duration::from_millis(u64::try_from(milliseconds).ok()?);
            SystemTime::UNIX_EPOCH.checked_add(since)
        }),
        realtime,
    }
}

/// Adds the tunnel to a look. It decides the state once the configuration is proven to be in place, and
/// until then is evidence only: a tunnel may still run on what was before.
pub fn with_tunnel(mut sighting: Sighting, tunnel: Tunnel) -> Sighting {
    let decides = sighting.state == RealizationState::Realized;
    match tunnel.status {
        TunnelStatus::Up if decides => {
            sighting.state = RealizationState::Active;
            // NSX may stay at `in_sync` for ever; what carries packets is in effect.
            sighting.assurance = Assurance::TunnelUp;
        }
        TunnelStatus::Degraded if decides => sighting.state = RealizationState::Degraded,
        TunnelStatus::Down | TunnelStatus::Negotiating if decides => {
            let code = match tunnel.status {
                TunnelStatus::Negotiating => codes::IKE_NEGOTIATING,
                _ => codes::IKE_DOWN,
            };
            sighting.state = RealizationState::Down;
            sighting.reason = Some(Reason::new(code, tunnel.fail_reason.clone()));
        }
        _ => {}
    }
    sighting.tunnel = Some(tunnel);
    sighting
}

/// The service is switched off, so that NSX tells nothing of the session (400 / 110199).
pub fn service_disabled(message: &str) -> Sighting {
    Sighting {
        state: RealizationState::Disabled,
        assurance: Assurance::IntentStored,
        reason: Some(Reason::new(
            codes::VPN_SERVICE_DISABLED,
            tidy(message, MESSAGE),
        )),
        native_state: SERVICE_DISABLED.to_owned(),
        ..Sighting::default()
    }
}

/// The session is there, and NSX knows no state of it.
pub fn state_not_found() -> Sighting {
    Sighting {
        state: RealizationState::Unknown,
        assurance: Assurance::IntentStored,
        reason: Some(Reason::new(
            codes::STATE_NOT_FOUND,
            "the session is there, and the cloud knows no state of it",
        )),
        ..Sighting::default()
    }
}

/// Session and state are gone.
pub fn gone() -> Sighting {
    Sighting {
        state: RealizationState::Deleted,
        assurance: Assurance::ControlPlane,
        ..Sighting::default()
    }
}

/// The same look at a connection that is being removed: whatever it still says, it is not gone yet.
///
/// `failed` and `error`, of the whole or of a node, stay failures. Everything else that would be one for a
/// connection meant to stay (orphaned, a disabled service) only says that the end is near.
pub fn while_deleting(mut sighting: Sighting) -> Sighting {
    let failed = sighting.state == RealizationState::Failed
        && (says_failed(&sighting.native_state)
            || sighting
                .nodes
                .iter()
                .any(|node| says_failed(&node.native_state)));
    if !failed && sighting.state != RealizationState::Deleted {
        sighting.state = RealizationState::Deleting;
        sighting.assurance = Assurance::IntentStored;
    }
    sighting
}

fn says_failed(native: &str) -> bool {
    native.eq_ignore_ascii_case("failed") || native.eq_ignore_ascii_case("error")
}

/// What one word of NSX means.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Meaning {
    state: RealizationState,
    assurance: Assurance,
    reason: Option<String>,
}

impl Meaning {
    fn rank(&self) -> u8 {
        rank(self.state, self.assurance)
    }

    /// Whether the worst node may be at `node` while the whole is at this.
    fn agrees_with(&self, node: &Meaning) -> bool {
        if self.rank() == node.rank() {
            return true;
        }
        match self.reason.as_deref() {
            // An orphan has no whole that nodes could agree with.
            Some(codes::ORPHANED) => return true,
            // What the whole fails to say no node can say for it, unless that it failed.
            Some(codes::UNRECOGNIZED_VALUE) => return node.state != RealizationState::Failed,
            _ => {}
        }
        match self.state {
            RealizationState::Partial => node.state == RealizationState::Failed,
            RealizationState::InProgress => matches!(
                node.state,
                RealizationState::Pending | RealizationState::Realized
            ),
            _ => false,
        }
    }
}

/// Worst first.
fn rank(state: RealizationState, assurance: Assurance) -> u8 {
    match (state, assurance) {
        (RealizationState::Failed, _) => 0,
        (RealizationState::Disabled, _) => 1,
        (RealizationState::Unknown, _) => 2,
        (RealizationState::Pending | RealizationState::Accepted, _) => 3,
        (RealizationState::InProgress, _) => 4,
        (RealizationState::Partial, _) => 5,
        (RealizationState::Realized, Assurance::InEffect) => 7,
        (_, _) => 6,
    }
}

/// The table. Words are those of `IPSecVPNSessionState.state` and `ConfigurationStateElement.state` in the
/// NSX Python SDK 4.2.0; their case is not relied on.
fn word(said: Option<&str>) -> Meaning {
    let upper = said.unwrap_or_default().trim().to_ascii_uppercase();
    let meaning = |state, assurance, reason: Option<&str>| Meaning {
        state,
        assurance,
        reason: reason.map(str::to_owned),
    };
    let stored = Assurance::IntentStored;
    match upper.as_str() {
        "PENDING" => meaning(RealizationState::Pending, stored, None),
        "IN_PROGRESS" => meaning(RealizationState::InProgress, stored, None),
        // Received by the nodes; for a VPN the end, as its guide shows, and yet not said to be in effect.
        "IN_SYNC" => meaning(RealizationState::Realized, Assurance::ControlPlane, None),
        "SUCCESS" | "NODE_READY" | "TRANSPORT_NODE_READY" => {
            meaning(RealizationState::Realized, Assurance::InEffect, None)
        }
        "PARTIAL_SUCCESS" => meaning(
            RealizationState::Partial,
            Assurance::ControlPlane,
            Some(codes::PARTIAL_SUCCESS),
        ),
        "FAILED" | "ERROR" => meaning(
            RealizationState::Failed,
            stored,
            Some(codes::UPSTREAM_ERROR),
        ),
        "ORPHANED" => meaning(RealizationState::Failed, stored, Some(codes::ORPHANED)),
        "UNKNOWN" | "NOT_AVAILABLE" => meaning(
            RealizationState::Unknown,
            stored,
            Some(codes::UPSTREAM_UNKNOWN),
        ),
        // The SDK names these three as pending, the two above as successes, and says that all others of
        // the edge node's life cycle are failures.
        "VM_DEPLOYMENT_QUEUED" | "VM_DEPLOYMENT_IN_PROGRESS" | "REGISTRATION_PENDING" => {
            meaning(RealizationState::Pending, stored, Some(&upper))
        }
        value if EDGE_FAILURES.contains(&value) => {
            meaning(RealizationState::Failed, stored, Some(value))
        }
        _ => meaning(
            RealizationState::Unknown,
            stored,
            Some(codes::UNRECOGNIZED_VALUE),
        ),
    }
}

fn node(said: &NodeState) -> Node {
    Node {
        id: tidy(&said.id, WORD),
        kind: tidy(&said.kind, WORD),
        display_name: tidy(&said.name, MESSAGE),
        state: word(said.state.as_deref()).state,
        native_state: native(said.state.as_deref()),
        message: explain(&said.failure_message, said.failure_code.as_deref()),
    }
}

fn tunnel_status(said: &Status) -> TunnelStatus {
    let is = |text: &Option<String>, word: &str| {
        text.as_deref()
            .is_some_and(|text| text.trim().eq_ignore_ascii_case(word))
    };
    let negotiating = is(&said.ike, "NEGOTIATING");
    let down = is(&said.session, "DOWN");
    if is(&said.session, "DEGRADED") {
        TunnelStatus::Degraded
    } else if negotiating {
        // Also beside an UP, which by its definition needs an IKE that is up.
        TunnelStatus::Negotiating
    } else if down || is(&said.ike, "DOWN") {
        TunnelStatus::Down
    } else if is(&said.session, "UP") {
        TunnelStatus::Up
    } else {
        TunnelStatus::Unknown
    }
}

fn native(said: Option<&str>) -> String {
    tidy(said.unwrap_or_default(), WORD)
}

/// The message of the whole or, where it has none, that of the first node that is as bad.
fn explain_whole(said: &State, whole: &Meaning) -> String {
    let own = explain(&said.failure_message, said.failure_code.as_deref());
    if !own.is_empty() {
        return own;
    }
    said.nodes
        .iter()
        .filter(|node| {
            let of_node = word(node.state.as_deref());
            of_node.rank() <= whole.rank()
        })
        .map(|node| explain(&node.failure_message, node.failure_code.as_deref()))
        .find(|message| !message.is_empty())
        .unwrap_or_default()
}

fn explain(message: &str, code: Option<&str>) -> String {
    let message = tidy(message, MESSAGE);
    match code {
        Some(code) if message.is_empty() => format!("code {}", tidy(code, WORD)),
        Some(code) => format!("{message} (code {})", tidy(code, WORD)),
        None => message,
    }
}

/// The documented words of an edge node's life cycle that mean failure: all but the five named in [`word`].
const EDGE_FAILURES: [&str; 89] = [
    "VM_DEPLOYMENT_FAILED",
    "VM_POWER_ON_IN_PROGRESS",
    "VM_POWER_ON_FAILED",
    "NODE_NOT_READY",
    "VM_POWER_OFF_IN_PROGRESS",
    "VM_POWER_OFF_FAILED",
    "VM_UNDEPLOY_IN_PROGRESS",
    "VM_UNDEPLOY_FAILED",
    "VM_UNDEPLOY_SUCCESSFUL",
    "EDGE_CONFIG_ERROR",
    "VM_DEPLOYMENT_RESTARTED",
    "REGISTRATION_FAILED",
    "TRANSPORT_NODE_SYNC_PENDING",
    "TRANSPORT_NODE_CONFIGURATION_MISSING",
    "EDGE_HARDWARE_NOT_SUPPORTED",
    "MULTIPLE_OVERLAY_TZS_NOT_SUPPORTED",
    "TN_OVERLAY_TZ_IN_USE_BY_EDGE_CLUSTER",
    "TZ_ENDPOINTS_NOT_SPECIFIED",
    "NO_PNIC_PREPARED_IN_EDGE",
    "APPLIANCE_INTERNAL_ERROR",
    "VTEP_DHCP_NOT_SUPPORTED",
    "UNSUPPORTED_HOST_SWITCH_PROFILE",
    "UPLINK_HOST_SWITCH_PROFILE_NOT_SPECIFIED",
    "HOSTSWITCH_PROFILE_NOT_FOUND",
    "LLDP_SEND_ENABLED_NOT_SUPPORTED",
    "UNSUPPORTED_NAMED_TEAMING_POLICY",
    "LBSRCID_NOT_SUPPORTED_FOR_EDGE_VM",
    "LACP_NOT_SUPPORTED_FOR_EDGE_VM",
    "STANDBY_UPLINKS_NOT_SUPPORTED_FOR_EDGE_VM",
    "MULTIPLE_ACTIVE_UPLINKS_NOT_SUPPORTED_FOR_EDGE",
    "UNSUPPORTED_LACP_LB_ALGO_FOR_NODE",
    "EDGE_NODE_VERSION_NOT_SUPPORTED",
    "NO_PNIC_SPECIFIED_IN_TN",
    "INVALID_PNIC_DEVICE_NAME",
    "VM_NETWORK_EDIT_PENDING",
    "UNSUPPORTED_DEFAULT_TEAMING_POLICY",
    "MPA_DISCONNECTED",
    "VM_RENAME_PENDING",
    "VM_CONFIG_EDIT_PENDING",
    "VM_NETWORK_EDIT_FAILED",
    "VM_RENAME_FAILED",
    "VM_CONFIG_EDIT_FAILED",
    "VM_CONFIG_DISCREPANCY",
    "VM_NODE_REFRESH_FAILED",
    "VM_PLACEMENT_REFRESH_FAILED",
    "REGISTRATION_TIMEDOUT",
    "REPLACE_FAILED",
    "UPLINK_FROM_TEAMING_POLICY_NOT_MAPPED",
    "LOGICAL_SWITCH_NAMED_TEAMING_HAS_NO_PNIC_BACKING",
    "DELETE_VM_IN_REDEPLOY_FAILED",
    "DEPLOY_VM_IN_REDEPLOY_FAILED",
    "INSUFFICIENT_RESOURCES_IN_EDGE_NODE_FOR_SERVICE",
    "VM_RESOURCE_RESERVATION_FAILED",
    "DUPLICATE_PNICS_IN_TEAMINGS_WITH_MULTIPLE_UPLINKS_AND_FAILOVER_ORDER",
    "DUPLICATE_VLANS_SHARING_SAME_PNICMULTIPLE_UPLINKS_IN_NAMED_TEAMING_NOT_SUPPORTED_IF_UPLINK_IN_DEFAULT_TEAMING",
    "EDGE_NODE_SETTINGS_MISMATCH_RESOLVE",
    "EDGE_VM_VSPHERE_SETTINGS_MISMATCH_RESOLVE",
    "EDGE_NODE_SETTINGS_AND_VSPHERE_SETTINGS_ARE_CHANGED_RESOLVE",
    "EDGE_VSPHERE_LOCATION_MISMATCH_RESOLVE",
    "COMPUTE_MANAGER_NOT_FOUND",
    "DELETE_IN_PROGRESS",
    "ADVANCED_CONFIG_EDIT_FAILED",
    "UPT_MODE_REALIZATION_POLL_TIMED_OUT",
    "DATAPATH_CONFIGURATION_EDIT_FAILED",
    "MAINTENANCE_MODE_ENABLED",
    "ERROR_IN_ENABLE_MAINTENANCE_MODE",
    "ERROR_IN_DISABLE_MAINTENANCE_MODE",
    "CONFIGURE_UPT_ON_VM_FAILED",
    "VM_VERSION_IS_UPT_INCOMPATIBLE",
    "DELETE_FAILED_FOR_DIFFERENT_MOREF_ID",
    "DELETE_FAILED_ON_VM_NOT_FOUND",
    "DELETE_FAILED_FOR_NON_LCM_EDGE",
    "ADVANCED_CONFIG_EDIT_PENDING",
    "DUPLICATE_VLANS_SHARING_SAME_PNIC",
    "MULTIPLE_UPLINKS_IN_NAMED_TEAMING_NOT_SUPPORTED_IF_UPLINK_IN_DEFAULT_TEAMING",
    "REDEPLOY_ACTIVITY_FAILED",
    "REDEPLOY_ACTIVITY_IN_PROGRESS",
    "REDEPLOY_ACTIVITY_SCHEDULED",
    "REDEPLOY_ACTIVITY_SUCCESSFUL",
    "REPLACE_ACTIVITY_FAILED",
    "REPLACE_ACTIVITY_IN_PROGRESS",
    "REPLACE_ACTIVITY_SCHEDULED",
    "REPLACE_ACTIVITY_SUCCESSFUL",
    "REPLACED_RPC_CLIENT_OF_TN",
    "RETRYING_REPLACE",
    "UNABLE_TO_DELETE_EDGE_NODE_VM_INTERNAL_ERROR",
    "VM_REDEPLOY_FAILED",
    "VM_RESOURCE_RESERVATION_EDIT_PENDING",
    "REDEPLOYED_VM_REGISTRATION_PENDING",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::json;
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

    /// All 104 values of both enums in the SDK's description have a row, and nothing else has.
    #[test]
    fn the_documented_words_are_exactly_those_in_the_table() {
        let api = json::parse(include_bytes!(
            "../../../tests/fixtures/nsx/nsx-mp-vpn-openapi.json"
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
        check(
            "in_sync",
            &["in_sync", "failed"],
            (S::Failed, IntentStored, "INCONSISTENT"),
        );
        check(
            "in_sync",
            &["unknown", "in_sync"],
            (S::Unknown, IntentStored, "INCONSISTENT"),
        );
        check(
            "in_sync",
            &["-"],
            (S::Unknown, IntentStored, "INCONSISTENT"),
        );
        check(
            "in_sync",
            &["in_progress"],
            (S::InProgress, IntentStored, "INCONSISTENT"),
        );
        check(
            "success",
            &["in_sync"],
            (S::Realized, ControlPlane, "INCONSISTENT"),
        );
        check(
            "success",
            &["partial_success"],
            (S::Partial, ControlPlane, "INCONSISTENT"),
        );
        check(
            "in_sync",
            &["success"],
            (S::Realized, ControlPlane, "INCONSISTENT"),
        );
        check(
            "in_progress",
            &["failed"],
            (S::Failed, IntentStored, "INCONSISTENT"),
        );
        check(
            "in_progress",
            &["unknown"],
            (S::Unknown, IntentStored, "INCONSISTENT"),
        );
        check(
            "pending",
            &["in_sync"],
            (S::Pending, IntentStored, "INCONSISTENT"),
        );
        check(
            "partial_success",
            &["success"],
            (S::Partial, ControlPlane, "INCONSISTENT"),
        );
        check(
            "error",
            &["in_sync"],
            (S::Failed, IntentStored, "INCONSISTENT"),
        );
        check(
            "unknown",
            &["in_sync"],
            (S::Unknown, IntentStored, "INCONSISTENT"),
        );
    }

    #[track_caller]
    fn check_fixture(body: &[u8], expected: Judged, message: &str) -> Sighting {
        let said = State::of(json::parse(body).unwrap()).unwrap();
        let sighting = of_state(&said);
        assert_eq!(judged(&sighting), expected);
        let reason = sighting
            .reason
            .as_ref()
            .map_or("", |reason| &reason.message);
        assert!(reason.contains(message), "{reason}");
        sighting
    }

    macro_rules! fixture {
        ($name:literal) => {
            include_bytes!(concat!("../../../tests/fixtures/nsx/", $name))
        };
    }

    #[test]
    fn the_guides_examples_read_as_the_table_says() {
        let seen = check_fixture(
            fixture!("state_in_progress_one_node_in_sync.json"),
            (S::InProgress, IntentStored, ""),
            "",
        );
        let nodes: Vec<_> = seen
            .nodes
            .iter()
            .map(|node| (node.state, node.kind.as_str()))
            .collect();
        assert_eq!(
            nodes,
            [
                (S::InProgress, "TransportNode"),
                (S::Realized, "TransportNode")
            ]
        );
        assert!(seen.nodes[0].message.contains("in progress at the node"));
        check_fixture(
            fixture!("state_in_sync.json"),
            (S::Realized, ControlPlane, ""),
            "",
        );
        check_fixture(
            fixture!("state_unknown_without_details.json"),
            (S::Unknown, IntentStored, "UPSTREAM_UNKNOWN"),
            "Unable to get response from any CCP node",
        );
        check_fixture(
            fixture!("state_unknown_one_node_in_sync.json"),
            (S::Unknown, IntentStored, "UPSTREAM_UNKNOWN"),
            "unknown at transport nodes",
        );
    }

    #[test]
    fn odd_bodies_read_as_the_table_says() {
        check_fixture(
            fixture!("made_state_success.json"),
            (S::Realized, InEffect, ""),
            "",
        );
        check_fixture(
            fixture!("made_state_orphaned.json"),
            (S::Failed, IntentStored, "ORPHANED"),
            "",
        );
        check_fixture(
            fixture!("made_state_node_ready.json"),
            (S::Realized, InEffect, ""),
            "",
        );
        check_fixture(
            fixture!("made_state_edge_deployment_queued.json"),
            (S::Pending, IntentStored, "VM_DEPLOYMENT_QUEUED"),
            "",
        );
        check_fixture(
            fixture!("made_state_error_one_node_top_message_empty.json"),
            (S::Failed, IntentStored, "UPSTREAM_ERROR"),
            "The node refused the configuration. (code 110100)",
        );
        check_fixture(
            fixture!("made_state_in_sync_one_node_failed.json"),
            (S::Failed, IntentStored, "INCONSISTENT"),
            "The node refused the configuration.",
        );
        check_fixture(
            fixture!("made_state_partial_success_one_node_failed.json"),
            (S::Partial, ControlPlane, "PARTIAL_SUCCESS"),
            "The node refused the configuration.",
        );
        check_fixture(
            fixture!("made_state_undocumented.json"),
            (S::Unknown, IntentStored, "UNRECOGNIZED_VALUE"),
            "",
        );
        for body in [
            &fixture!("made_state_null.json")[..],
            fixture!("made_state_absent.json"),
        ] {
            check_fixture(body, (S::Unknown, IntentStored, "UNRECOGNIZED_VALUE"), "");
        }
        check_fixture(
            fixture!("made_state_repeated_key.json"),
            (S::Realized, ControlPlane, ""),
            "",
        );
        check_fixture(
            fixture!("made_state_numbers_as_strings.json"),
            (S::Failed, IntentStored, "UPSTREAM_ERROR"),
            "(code 110100)",
        );
    }

    #[test]
    fn several_writes_are_as_far_as_the_least_of_them() {
        let looks = |words: &[&str]| {
            words
                .iter()
                .map(|word| of_state(&state(word, &[])))
                .collect()
        };
        let worst = |words: &[&str]| worst(looks(words)).map(|look| look.native_state);
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
        let deleting = |look| judged(&while_deleting(look)).0;
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
        assert_eq!(deleting(state_not_found()), S::Deleting);
        assert_eq!(deleting(of_state(&state("failed", &[]))), S::Failed);
        assert_eq!(deleting(of_state(&state("error", &[]))), S::Failed);
        assert_eq!(deleting(of_state(&state("in_sync", &["error"]))), S::Failed);
        assert_eq!(deleting(gone()), S::Deleted);
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
}
