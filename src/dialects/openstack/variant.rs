//! The clouds that speak this API, as data: what each accepts and what it lacks. No code compares a variant's name.

mod resources;
pub mod words;

use crate::{
    core::dialect::{Capabilities, ResourceCapabilities},
    model::{DpdAction, ResourceKind, algorithm::IntegrityAlgorithm},
};
use std::ops::RangeInclusive;
use words::Words;

/// How one cloud differs from the others. `README.md` has the facts and their sources.
#[derive(Debug, PartialEq)]
pub struct Variant {
    /// What a connection can have here, and the variant's name in the configuration.
    pub capabilities: Capabilities,
    /// Whether a LIST takes `id`, `limit`, `marker` and `sort_key`, and a GET takes `fields`.
    pub narrows: bool,
    pub fields: Fields,
    /// Whether a connection's `description` can be written. If so, it carries the gateway's mark.
    pub description: bool,
    /// Whether a connection takes `peer_cidrs`, beside a service that has a subnet.
    pub peer_cidrs: bool,
    /// Whether the cloud may return peer ids with an `@` in front that the caller did not write.
    pub at_before_peer_id: bool,
    pub peer_address: PeerAddress,
    /// The most characters of a peer's address, and of its id.
    pub longest_peer: usize,
    /// The actions that dead peer detection takes.
    pub dpd_actions: &'static [DpdAction],
    /// The length of a name, in characters.
    pub name: RangeInclusive<usize>,
    /// The length of a pre-shared key, in characters.
    pub psk: RangeInclusive<usize>,
    /// The characters that a key may have besides ASCII letters and digits. `None`: any text.
    pub psk_signs: Option<&'static str>,
    /// The `mtu` of a new connection, in bytes.
    pub new_mtu: RangeInclusive<u32>,
    /// Roles that let an account see its project's connections; any one is enough. Empty if this cloud's roles say
    /// nothing about that.
    pub seeing_roles: &'static [&'static str],
    pub words: Words,
    /// The kinds whose `lifetime.value` is written as text.
    pub lifetime_as_text: &'static [ResourceKind],
}

/// The forms that a peer's address may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerAddress {
    /// An IPv4 or IPv6 address, or a host name.
    Any,
    PublicIpv4,
}

/// How many `fields` parameters a LIST takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fields {
    /// Not known to take any.
    None,
    /// Documented as one. The answer shows whether several count.
    One,
    All,
}

impl Variant {
    /// Returns the variant's name in the configuration.
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

/// The largest number that a column of Neutron holds. A larger one is a 500.
pub const LARGEST: u32 = i32::MAX as u32;

/// Stock Neutron with neutron-vpnaas, of any series: everything that its API takes.
pub static NEUTRON: Variant = neutron("neutron", &resources::NEUTRON);

/// Stock Neutron from 2026.2 on, whose database lacks `sha1` and `3des`. Its API still takes them and then answers
/// 500. No API reveals the series, so the configuration has to name it.
pub static NEUTRON_2026_2: Variant = neutron("neutron-2026.2", &resources::NEUTRON_2026_2);

/// Stock Neutron of any series, with the resources that one takes. Reading accepts the words of every series.
const fn neutron(name: &'static str, resources: &'static [ResourceCapabilities]) -> Variant {
    Variant {
        capabilities: Capabilities {
            // 50 ids make a URL of about 2,100 characters and cost Neutron as much as a few GETs.
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
            // Neutron's own default is sha1, which the database of 2026.2 refuses with a 500.
            default_integrity: IntegrityAlgorithm::HmacSha2x256x128,
        },
        lifetime_as_text: &[],
    }
}

/// Open Telekom Cloud, classic VPN.
pub static OTC: Variant = Variant {
    capabilities: Capabilities {
        admin_disable: false,
        // This cloud reserves `description` of a connection.
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
        // Rules with both sides become the service's subnet and `peer_cidrs`.
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
        // K5's API is older than Neutron's other hashes; all of its examples have sha1.
        default_integrity: IntegrityAlgorithm::HmacSha1x96,
    },
    lifetime_as_text: &[],
};

/// Every variant. The first is the default.
pub static ALL: [&Variant; 4] = [&NEUTRON, &NEUTRON_2026_2, &OTC, &K5];

/// The capabilities that all variants share.
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
        // Without filters one LIST shows every connection, so a second one would show nothing new. Still bounded,
        // because each connection that the LIST does not show costs a request of its own.
        look_batch: 1000,
        resources,
        tunnel_statistics: false,
        connection_marks: true,
    }
}
