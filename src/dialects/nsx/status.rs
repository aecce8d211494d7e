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
            let reason = match whole.reason.clone() {
                Some(code) => Some(Reason::new(code, explain_whole(said, &whole))),
                None => under_way(said, &whole),
            };
            (whole, reason)
        }
    };
    Sighting {
        state: meaning.state,
        assurance: meaning.assurance,
        reason,
        native_state,
        nodes: said.nodes.iter().map(node).collect(),
        says_failed: says_failed(said.state.as_deref())
            || said
                .nodes
                .iter()
                .any(|node| says_failed(node.state.as_deref())),
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

/// The session is there, and NSX says in these words that it knows no state of it.
pub fn state_not_found(words: &str) -> Sighting {
    Sighting {
        state: RealizationState::Unknown,
        assurance: Assurance::IntentStored,
        reason: Some(Reason::new(
            codes::STATE_NOT_FOUND,
            "the session is there, and the cloud knows no state of it",
        )),
        native_state: tidy(words, WORD),
        ..Sighting::default()
    }
}

/// Session and state are gone; NSX says so in these words.
pub fn gone(words: &str) -> Sighting {
    Sighting {
        state: RealizationState::Deleted,
        assurance: Assurance::ControlPlane,
        native_state: tidy(words, WORD),
        ..Sighting::default()
    }
}

/// The same look at a connection that is being removed: whatever it still says, it is not gone yet.
///
/// `failed` and `error`, of the whole or of a node, stay failures. Everything else that would be one for a
/// connection meant to stay (orphaned, a disabled service) only says that the end is near.
pub fn while_deleting(mut sighting: Sighting) -> Sighting {
    let failed = sighting.state == RealizationState::Failed && sighting.says_failed;
    if !failed && sighting.state != RealizationState::Deleted {
        sighting.state = RealizationState::Deleting;
        sighting.assurance = Assurance::IntentStored;
    }
    sighting
}

fn says_failed(said: Option<&str>) -> bool {
    let said = said.unwrap_or_default().trim();
    said.eq_ignore_ascii_case("failed") || said.eq_ignore_ascii_case("error")
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

/// What NSX says of a whole that is on its way: to be shown, and no sign of failure.
fn under_way(said: &State, whole: &Meaning) -> Option<Reason> {
    let under_way = matches!(
        whole.state,
        RealizationState::Pending | RealizationState::InProgress
    );
    let words = explain(&said.failure_message, said.failure_code.as_deref());
    (under_way && !words.is_empty()).then(|| Reason::new(codes::UPSTREAM_IN_PROGRESS, words))
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
mod tests;
