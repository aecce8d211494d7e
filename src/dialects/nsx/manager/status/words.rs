//! What each word of NSX means, and which words of a whole and its nodes agree.

use crate::model::{Assurance, RealizationState, codes};

/// The meaning of one word of NSX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WordMeaning {
    pub state: RealizationState,
    /// How far a connection in that state is proven.
    pub assurance: Assurance,
    /// The code of the reason, if the word needs one.
    pub reason: Option<String>,
}

impl WordMeaning {
    pub fn rank(&self) -> u8 {
        rank(self.state, self.assurance)
    }

    /// Reports whether the word is in no table.
    pub fn is_unrecognized(&self) -> bool {
        self.reason.as_deref() == Some(codes::UNRECOGNIZED_VALUE)
    }

    /// Reports whether the worst node may be at `node` while the whole is at `self`.
    pub fn agrees_with(&self, node: &WordMeaning) -> bool {
        if self.rank() == node.rank() {
            return true;
        }
        match self.reason.as_deref() {
            // An orphan has no whole that nodes could agree with.
            Some(codes::ORPHANED) => return true,
            // If the whole's word is unknown, only a failed node contradicts it.
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

/// Orders states from worst (0) to best.
pub fn rank(state: RealizationState, assurance: Assurance) -> u8 {
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

/// The table. The words are those of `IPSecVPNSessionState.state` and `ConfigurationStateElement.state` in the NSX
/// Python SDK 4.2.0. Case does not matter.
pub fn word(said: Option<&str>) -> WordMeaning {
    let upper = said.unwrap_or_default().trim().to_ascii_uppercase();
    let meaning = |state, assurance, reason: Option<&str>| WordMeaning {
        state,
        assurance,
        reason: reason.map(str::to_owned),
    };
    let stored = Assurance::IntentStored;
    match upper.as_str() {
        "PENDING" => meaning(RealizationState::Pending, stored, None),
        "IN_PROGRESS" => meaning(RealizationState::InProgress, stored, None),
        // Received by the nodes. For a VPN this is the final state, as the guide shows, but it does not say that the
        // configuration is in effect.
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
        // The SDK names these three as pending and the two above as successes. It says that all other words of the edge
        // node's life cycle are failures.
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

/// The documented words of an edge node's life cycle that mean failure: all but the five named in [`word`].
pub const EDGE_FAILURES: [&str; 89] = [
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
