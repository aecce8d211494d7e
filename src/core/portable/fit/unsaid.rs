//! Leaves out settings that a cloud has no field for, if they match what the cloud does anyway or only concern how it
//! is operated. Exports of other clouds are full of these: Neutron shows an MTU of 1500 and a negotiation mode of
//! everything, NSX a policy for the Don't Fragment bit.

use crate::{
    core::{
        dialect::{Capabilities, ResourceCapabilities},
        portable::{
            fit::fitted::{Fitted, path},
            plain::{MTU, clamps},
        },
    },
    model::{
        Field, ResourceField as F, Settings,
        algorithm::{DfPolicy, IkeVersion, NegotiationMode},
    },
};

pub fn fit(fitted: &mut Fitted, capabilities: &Capabilities) {
    of_connection(fitted, capabilities);
    let mut warnings = Vec::new();
    for (kind, part) in &mut fitted.wanted.parts {
        if let Some(takes) = capabilities.takes(*kind) {
            let left_out = of_part(&mut part.settings, takes);
            let each = left_out.into_iter();
            warnings.extend(each.map(|(field, what)| (path(*kind, field), what)));
        }
    }
    for (field, what) in warnings {
        fitted.warn(field, what);
    }
}

fn of_connection(fitted: &mut Fitted, can: &Capabilities) {
    let spec = &mut fitted.wanted.spec;
    if !can.tcp_mss_clamping {
        spec.tcp_mss_clamping = spec.tcp_mss_clamping.filter(clamps);
    }
    if !can.mtu && spec.mtu == Some(MTU) {
        spec.mtu = None;
        let what = "this backend has no MTU of a connection: the usual 1500 bytes are left out";
        fitted.warn(Field::Mtu.path(), what);
    }
}

/// Removes such settings of a part, and returns those that a caller may miss.
fn of_part(settings: &mut Settings, takes: &ResourceCapabilities) -> Vec<(F, &'static str)> {
    let lacks = |field| !takes.fields.contains(&field);
    let mut left_out = Vec::new();
    match settings {
        Settings::IkePolicy(it) if lacks(F::NegotiationMode) => {
            // IKEv2 has no modes (RFC 7296).
            let is_newer = it.ike_version == Some(IkeVersion::V2);
            if is_newer {
                it.negotiation_mode = None;
            } else if it.negotiation_mode == Some(NegotiationMode::Main) {
                it.negotiation_mode = None;
                left_out.push((
                    F::NegotiationMode,
                    "this backend chooses the mode of IKEv1 itself: it is left out",
                ));
            }
        }
        Settings::IpsecPolicy(it) if lacks(F::DfPolicy) && it.df_policy == Some(DfPolicy::Copy) => {
            it.df_policy = None;
            left_out.push((
                F::DfPolicy,
                "this backend has no choice of what becomes of the Don't Fragment bit: it is left out",
            ));
        }
        Settings::VpnService(it) => {
            if lacks(F::IkeLogLevel) && it.ike_log_level.take().is_some() {
                left_out.push((
                    F::IkeLogLevel,
                    "this backend chooses how much is logged: it is left out",
                ));
            }
            if lacks(F::HaSync) && it.ha_sync.take().is_some() {
                left_out.push((
                    F::HaSync,
                    "this backend chooses itself what a standby node knows: it is left out",
                ));
            }
        }
        _ => {}
    }
    left_out
}
