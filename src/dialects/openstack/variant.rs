//! The clouds that speak this API, as data: what each takes, and what it leaves out. No code asks for a
//! variant by its name.

use crate::core::dialect::Capabilities;
use std::ops::RangeInclusive;

/// How one cloud differs from the others. Facts and their sources are in `README.md`.
#[derive(Debug, PartialEq)]
pub struct Variant {
    /// What a connection can be here, and the variant's name in the configuration.
    pub capabilities: Capabilities,
    /// A LIST takes `id`, `limit`, `marker` and `sort_key`, and a GET takes `fields`.
    pub narrows: bool,
    /// A LIST takes `fields`.
    pub fields: bool,
    /// `description` can be written, and carries the gateway's mark.
    pub description: bool,
    /// `peer_cidrs` inside the connection, beside a service that has a subnet.
    pub peer_cidrs: bool,
    /// Peer ids may come back with an `@` in front that nobody put there.
    pub at_before_peer_id: bool,
    /// Characters of a name.
    pub name: RangeInclusive<usize>,
    /// Characters of a pre-shared key.
    pub psk: RangeInclusive<usize>,
    /// What a key may hold beside ASCII letters and digits. `None`: any text.
    pub psk_signs: Option<&'static str>,
    /// `mtu` of a new connection, in bytes.
    pub new_mtu: RangeInclusive<u32>,
    /// Roles with any of which an account sees the connections of its project. Empty: the names of roles
    /// tell nothing here.
    pub seeing_roles: &'static [&'static str],
}

impl Variant {
    /// The variant's name in the configuration.
    pub fn name(&self) -> &'static str {
        self.capabilities.variant
    }
}

/// The largest number a column of Neutron's holds; a larger one is a 500.
pub const LARGEST: u32 = i32::MAX as u32;

/// Stock Neutron with neutron-vpnaas.
pub static NEUTRON: Variant = Variant {
    capabilities: Capabilities {
        // 50 ids make a URL of about 2,100 characters; they cost what a few GETs do.
        look_batch: 50,
        ..common("neutron")
    },
    narrows: true,
    fields: true,
    description: true,
    peer_cidrs: true,
    at_before_peer_id: false,
    name: 0..=255,
    psk: 1..=255,
    psk_signs: None,
    new_mtu: 68..=LARGEST,
    seeing_roles: &["member", "admin"],
};

/// Open Telekom Cloud, classic VPN.
pub static OTC: Variant = Variant {
    capabilities: Capabilities {
        admin_disable: false,
        ..common("otc")
    },
    narrows: false,
    fields: true,
    description: false,
    peer_cidrs: false,
    at_before_peer_id: false,
    name: 1..=64,
    psk: 6..=128,
    psk_signs: Some("~`!@#$%^()-_+=[]{}|\\,./:;"),
    new_mtu: 1500..=1500,
    seeing_roles: &[],
};

/// Fujitsu K5 / FJcloud-O.
pub static K5: Variant = Variant {
    capabilities: Capabilities {
        endpoint_groups: false,
        ..common("k5")
    },
    narrows: false,
    fields: false,
    description: true,
    peer_cidrs: true,
    at_before_peer_id: true,
    name: 0..=255,
    psk: 1..=255,
    psk_signs: None,
    new_mtu: 68..=LARGEST,
    seeing_roles: &[],
};

/// Every variant. The first is the default.
pub static ALL: [&Variant; 3] = [&NEUTRON, &OTC, &K5];

/// What holds for all of them.
const fn common(variant: &'static str) -> Capabilities {
    Capabilities {
        dialect: "openstack",
        variant,
        route_based: false,
        // The local side is the service's subnet or an endpoint group.
        inline_policy_rules: false,
        endpoint_groups: true,
        certificates: false,
        inline_dpd: true,
        dpd_policies: false,
        mtu: true,
        tcp_mss_clamping: false,
        on_demand_initiation: false,
        admin_disable: true,
        atomic_etag: false,
        nodes: false,
        write_tracking: false,
        // Without filters one LIST shows all there are.
        look_batch: 200,
    }
}
