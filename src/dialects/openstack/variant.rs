//! The clouds that speak this API, as data: what each takes, and what it leaves out. No code asks for a
//! variant by its name.

mod resources;
pub mod words;

use crate::{
    core::dialect::{Capabilities, ResourceCapabilities},
    model::{DpdAction, ResourceKind, algorithm::IntegrityAlgorithm},
};
use std::ops::RangeInclusive;
use words::Words;

/// How one cloud differs from the others. Facts and their sources are in `README.md`.
#[derive(Debug, PartialEq)]
pub struct Variant {
    /// What a connection can be here, and the variant's name in the configuration.
    pub capabilities: Capabilities,
    /// A LIST takes `id`, `limit`, `marker` and `sort_key`, and a GET takes `fields`.
    pub narrows: bool,
    /// Whether a LIST takes `fields`.
    pub fields: Fields,
    /// `description` of a connection can be written, and carries the gateway's mark.
    pub description: bool,
    /// `peer_cidrs` inside the connection, beside a service that has a subnet.
    pub peer_cidrs: bool,
    /// Peer ids may come back with an `@` in front that nobody put there.
    pub at_before_peer_id: bool,
    /// What a peer's address may be.
    pub peer_address: PeerAddress,
    /// The most characters of a peer's address, and of its id.
    pub longest_peer: usize,
    /// What dead peer detection can be told to do.
    pub dpd_actions: &'static [DpdAction],
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
    /// The words of policies.
    pub words: Words,
    /// Kinds whose `lifetime.value` is written as text.
    pub lifetime_as_text: &'static [ResourceKind],
}

/// What a peer's address may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerAddress {
    /// An address of either version, or a host name.
    Any,
    /// A public IPv4 address.
    PublicIpv4,
}

/// How a LIST takes `fields`, each a parameter of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fields {
    /// Not known to take any.
    None,
    /// Documented as one; whether several count shows in the answer.
    One,
    /// Any number.
    All,
}

impl Variant {
    /// The variant's name in the configuration.
    pub fn name(&self) -> &'static str {
        self.capabilities.variant
    }
}

const EVERY_ACTION: &[DpdAction] = &[
    DpdAction::Clear,
    DpdAction::Hold,
    DpdAction::Restart,
    DpdAction::Disabled,
    DpdAction::RestartByPeer,
];

/// The largest number a column of Neutron's holds; a larger one is a 500.
pub const LARGEST: u32 = i32::MAX as u32;

/// Stock Neutron with neutron-vpnaas, of whatever series: what its API takes.
pub static NEUTRON: Variant = neutron("neutron", &resources::NEUTRON);

/// The same as of 2026.2, whose database has no `sha1` and no `3des` any more. Its API still takes them, answers with a 500,
/// and tells its series nowhere; so somebody has to say which it is.
pub static NEUTRON_2026_2: Variant = neutron("neutron-2026.2", &resources::NEUTRON_2026_2);

/// What stock Neutron has in every series, and what of resources it takes. It is read by the words of all.
const fn neutron(name: &'static str, resources: &'static [ResourceCapabilities]) -> Variant {
    Variant {
        capabilities: Capabilities {
            // 50 ids make a URL of about 2,100 characters; they cost what a few GETs do.
            look_batch: 50,
            ..common(name, resources)
        },
        narrows: true,
        fields: Fields::All,
        description: true,
        peer_cidrs: true,
        at_before_peer_id: false,
        peer_address: PeerAddress::Any,
        longest_peer: 255,
        dpd_actions: EVERY_ACTION,
        name: 0..=255,
        psk: 1..=255,
        psk_signs: None,
        new_mtu: 68..=LARGEST,
        seeing_roles: &["member", "admin"],
        words: Words {
            integrity: &words::NEUTRON_INTEGRITY,
            encryption: &words::NEUTRON_ENCRYPTION,
            groups: &words::NEUTRON_GROUPS,
            no_group: None,
            // Its own default is sha1, which the database of 2026.2 refuses with a 500.
            default_integrity: IntegrityAlgorithm::HmacSha2x256x128,
        },
        lifetime_as_text: &[],
    }
}

/// Open Telekom Cloud, classic VPN.
pub static OTC: Variant = Variant {
    capabilities: Capabilities {
        admin_disable: false,
        // `description` of a connection is reserved there.
        connection_marks: false,
        ..common("otc", &resources::OTC)
    },
    narrows: false,
    fields: Fields::One,
    description: false,
    peer_cidrs: false,
    at_before_peer_id: false,
    peer_address: PeerAddress::Any,
    longest_peer: 250,
    dpd_actions: EVERY_ACTION,
    name: 1..=64,
    psk: 6..=128,
    psk_signs: Some("~`!@#$%^()-_+=[]{}|\\,./:;"),
    new_mtu: 1500..=1500,
    seeing_roles: &[],
    words: Words {
        integrity: &words::OTC_INTEGRITY,
        encryption: &words::OLD_ENCRYPTION,
        groups: &words::OTC_GROUPS,
        no_group: Some("disable"),
        default_integrity: IntegrityAlgorithm::HmacSha2x256x128,
    },
    lifetime_as_text: &[ResourceKind::IkePolicy],
};

/// Fujitsu K5 / FJcloud-O.
pub static K5: Variant = Variant {
    capabilities: Capabilities {
        // Rules with both sides are the service's subnet and `peer_cidrs`.
        endpoint_groups: false,
        availability_zones: true,
        ..common("k5", &resources::K5)
    },
    narrows: false,
    fields: Fields::None,
    description: true,
    peer_cidrs: true,
    at_before_peer_id: true,
    peer_address: PeerAddress::PublicIpv4,
    longest_peer: 255,
    dpd_actions: &[DpdAction::Hold, DpdAction::Restart],
    name: 0..=255,
    psk: 1..=255,
    psk_signs: None,
    new_mtu: 68..=LARGEST,
    seeing_roles: &[],
    words: Words {
        integrity: &words::OLD_INTEGRITY,
        encryption: &words::OLD_ENCRYPTION,
        groups: &words::OLD_GROUPS,
        no_group: None,
        // Its API is older than the other hashes of Neutron; all that is shown of it has sha1.
        default_integrity: IntegrityAlgorithm::HmacSha1x96,
    },
    lifetime_as_text: &[],
};

/// Every variant. The first is the default.
pub static ALL: [&Variant; 4] = [&NEUTRON, &NEUTRON_2026_2, &OTC, &K5];

/// What holds for all of them.
const fn common(variant: &'static str, resources: &'static [ResourceCapabilities]) -> Capabilities {
    Capabilities {
        dialect: "openstack",
        variant,
        route_based: false,
        // Rules with both sides become two endpoint groups, or `peer_cidrs` beside the service's subnet.
        inline_policy_rules: true,
        endpoint_groups: true,
        certificates: false,
        inline_dpd: true,
        dpd_policies: false,
        mtu: true,
        tcp_mss_clamping: false,
        on_demand_initiation: false,
        availability_zones: false,
        admin_disable: true,
        atomic_etag: false,
        nodes: false,
        write_tracking: false,
        // Without filters one LIST shows all there are, so that a second one would show nothing more. Not without
        // end, as those it does not show are asked for one by one before any of them is answered.
        look_batch: 1000,
        resources,
        tunnel_statistics: false,
        connection_marks: true,
    }
}
