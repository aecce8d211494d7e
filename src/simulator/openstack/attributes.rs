//! The attribute maps of the VPN resources, in neutron-lib's order (`api/definitions/vpn.py` and
//! `vpn_endpoint_groups.py`): what a POST and a PUT can hold, the defaults, and the rules for values.
//!
//! `tenant_id` is missing here, because it is removed from a body before the attributes are checked.

use serde_json::{Map, Value, json};

use crate::simulator::openstack::kinds::Kind;
use crate::simulator::openstack::variant::{Variant, Words};

/// One attribute of a kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute {
    pub(crate) name: &'static str,
    pub(crate) post: Given,
    /// Whether a PUT can hold it.
    pub(crate) put: bool,
    pub(crate) check: Check,
}

/// How a POST treats an attribute.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Given {
    /// 400 if it is missing.
    Required,
    /// If it is missing, this default.
    Optional(fn() -> Value),
    /// 400 if it is present.
    Refused,
}

/// The rule for a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Check {
    Anything,
    /// The strings `"true"` and `"false"` are converted.
    Boolean,
    /// A non-negative number. A string is converted.
    Integer,
    /// A non-negative number. A string passes and stays a string.
    NonNegative,
    /// A number of at least this size. A string passes and stays a string.
    AtLeast(i64),
    /// A string of at most this many characters. Without a limit here, the database has one.
    Text(Option<usize>),
    Uuid,
    UuidOrNull,
    /// A word of an enumeration.
    Choice(Words),
    /// A list of CIDRs without repetition. A single one becomes a list.
    Cidrs,
    /// A list. A single value becomes one.
    List,
    /// An object with no other members than these, each optional. Null becomes an empty object.
    Members(&'static [(&'static str, Check)]),
}

/// The attributes of a kind on this variant.
pub(crate) fn attributes(kind: Kind, variant: Variant) -> impl Iterator<Item = &'static Attribute> {
    let stock: &'static [Attribute] = match kind {
        Kind::Connection => CONNECTION,
        Kind::IkePolicy => IKE_POLICY,
        Kind::IpsecPolicy => IPSEC_POLICY,
        Kind::VpnService => VPN_SERVICE,
        Kind::EndpointGroup => ENDPOINT_GROUP,
    };
    let added: &'static [Attribute] = if variant == Variant::K5 { K5 } else { &[] };
    let known = move |attribute: &&'static Attribute| !variant.lacks(kind, attribute.name);
    stock.iter().filter(known).chain(added)
}

const fn required(name: &'static str, check: Check) -> Attribute {
    Attribute {
        name,
        post: Given::Required,
        put: true,
        check,
    }
}

const fn optional(name: &'static str, check: Check, default: fn() -> Value) -> Attribute {
    Attribute {
        name,
        post: Given::Optional(default),
        put: true,
        check,
    }
}

/// An attribute that only the server sets.
const fn output(name: &'static str) -> Attribute {
    Attribute {
        name,
        post: Given::Refused,
        put: false,
        check: Check::Anything,
    }
}

impl Attribute {
    /// Makes the attribute immutable after creation.
    const fn fixed(self) -> Self {
        Self { put: false, ..self }
    }
}

fn null() -> Value {
    Value::Null
}

fn nothing() -> Value {
    Value::from("")
}

fn yes() -> Value {
    Value::Bool(true)
}

fn empty_list() -> Value {
    Value::Array(Vec::new())
}

fn empty_object() -> Value {
    Value::Object(Map::new())
}

const NAME: Attribute = optional("name", Check::Text(Some(255)), nothing);
const DESCRIPTION: Attribute = optional("description", Check::Text(Some(255)), nothing);
const ADMIN_STATE_UP: Attribute = optional("admin_state_up", Check::Boolean, yes);
const AUTH: Attribute = optional("auth_algorithm", Check::Choice(Words::Auth), || {
    json!("sha1")
});
const ENCRYPTION: Attribute = optional(
    "encryption_algorithm",
    Check::Choice(Words::Encryption),
    || json!("aes-128"),
);
const PFS: Attribute = optional("pfs", Check::Choice(Words::Pfs), || json!("group5"));
const LIFETIME: Attribute = optional(
    "lifetime",
    Check::Members(&[
        ("units", Check::Choice(Words::Fixed(&["seconds"]))),
        ("value", Check::AtLeast(60)),
    ]),
    empty_object,
);

const CONNECTION: &[Attribute] = &[
    output("id"),
    NAME,
    DESCRIPTION,
    optional("local_id", Check::Text(None), nothing),
    required("peer_address", Check::Text(None)),
    required("peer_id", Check::Text(None)),
    optional("peer_cidrs", Check::Cidrs, empty_list),
    optional("local_ep_group_id", Check::UuidOrNull, null),
    optional("peer_ep_group_id", Check::UuidOrNull, null),
    output("route_mode"),
    optional("mtu", Check::Integer, || json!(1500)),
    optional(
        "initiator",
        Check::Choice(Words::Fixed(&["bi-directional", "response-only"])),
        || json!("bi-directional"),
    ),
    output("auth_mode"),
    required("psk", Check::Text(None)),
    optional(
        "dpd",
        Check::Members(&[
            ("action", Check::Choice(Words::DpdAction)),
            ("interval", Check::NonNegative),
            ("timeout", Check::NonNegative),
        ]),
        empty_object,
    ),
    ADMIN_STATE_UP,
    output("status"),
    required("vpnservice_id", Check::Uuid).fixed(),
    required("ikepolicy_id", Check::Uuid).fixed(),
    required("ipsecpolicy_id", Check::Uuid).fixed(),
];

const IKE_POLICY: &[Attribute] = &[
    output("id"),
    NAME,
    DESCRIPTION,
    AUTH,
    ENCRYPTION,
    optional(
        "phase1_negotiation_mode",
        Check::Choice(Words::Fixed(&["main", "aggressive"])),
        || json!("main"),
    ),
    LIFETIME,
    optional(
        "ike_version",
        Check::Choice(Words::Fixed(&["v1", "v2"])),
        || json!("v1"),
    ),
    PFS,
];

const IPSEC_POLICY: &[Attribute] = &[
    output("id"),
    NAME,
    DESCRIPTION,
    optional(
        "transform_protocol",
        Check::Choice(Words::Fixed(&["ah", "ah-esp", "esp"])),
        || json!("esp"),
    ),
    AUTH,
    ENCRYPTION,
    optional(
        "encapsulation_mode",
        Check::Choice(Words::Fixed(&["transport", "tunnel"])),
        || json!("tunnel"),
    ),
    LIFETIME,
    PFS,
];

const VPN_SERVICE: &[Attribute] = &[
    output("id"),
    NAME,
    DESCRIPTION,
    optional("subnet_id", Check::UuidOrNull, null).fixed(),
    required("router_id", Check::Uuid).fixed(),
    ADMIN_STATE_UP,
    output("external_v4_ip"),
    output("external_v6_ip"),
    output("status"),
    optional("flavor_id", Check::UuidOrNull, null).fixed(),
];

const ENDPOINT_GROUP: &[Attribute] = &[
    output("id"),
    NAME,
    DESCRIPTION,
    required("type", Check::Choice(Words::Endpoint)).fixed(),
    optional("endpoints", Check::List, empty_list).fixed(),
];

/// K5 has an availability zone on every resource, in requests too. An empty one means the default.
const K5: &[Attribute] = &[optional("availability_zone", Check::Text(Some(255)), nothing).fixed()];
