//! The fields of the seven kinds of object, with the bounds of their values.

use std::net::IpAddr;

use serde_json::Value;

/// A field: its name, its values and whether a client can write it.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) need: Need,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Optional,
    Required,
    ReadOnly,
}

pub(crate) enum Shape {
    Any,
    Text(usize),
    Flag,
    Number(i64, i64),
    OneOf(&'static [&'static str]),
    SomeOf(&'static [&'static str]),
    Address,
    List,
    /// `Tag` objects.
    Tags,
    /// `TcpMssClamping`.
    Clamping,
    /// A `ResourceReference`. Only `target_id` is checked.
    Reference,
}

impl Shape {
    /// What is wrong with a value, phrased to follow the field's name.
    pub(crate) fn violation(&self, value: &Value) -> Option<String> {
        let fine = match self {
            Shape::Any => true,
            Shape::Text(most) => value
                .as_str()
                .is_some_and(|text| text.chars().count() <= *most),
            Shape::Flag => value.is_boolean(),
            Shape::Number(least, most) => value
                .as_i64()
                .is_some_and(|n| (*least..=*most).contains(&n)),
            Shape::OneOf(words) => value.as_str().is_some_and(|word| words.contains(&word)),
            Shape::SomeOf(words) => value.as_array().is_some_and(|list| {
                list.iter()
                    .all(|word| word.as_str().is_some_and(|word| words.contains(&word)))
            }),
            Shape::Address => value
                .as_str()
                .is_some_and(|text| text.parse::<IpAddr>().is_ok()),
            Shape::List => value.is_array(),
            Shape::Tags => value.as_array().is_some_and(|tags| tags.iter().all(is_tag)),
            Shape::Clamping => is_clamping(value),
            Shape::Reference => value["target_id"].is_string(),
        };
        if fine {
            return None;
        }
        Some(match self {
            Shape::Any => String::new(),
            Shape::Text(most) => format!("is no text of at most {most} characters"),
            Shape::Flag => "is neither true nor false".to_owned(),
            Shape::Number(least, most) => format!("is not in {least} to {most}"),
            Shape::OneOf(words) | Shape::SomeOf(words) => format!("is not of {}", words.join(", ")),
            Shape::Address => "is no IP address".to_owned(),
            Shape::List => "is no list".to_owned(),
            Shape::Tags => {
                "is no list of a scope of at most 128 characters and a tag of at most 256 each"
                    .to_owned()
            }
            Shape::Clamping => "is no direction with a segment size in 108 to 8902".to_owned(),
            Shape::Reference => "has no target_id".to_owned(),
        })
    }
}

fn is_tag(value: &Value) -> bool {
    let parts = value.as_object();
    parts.is_some_and(|parts| {
        parts.iter().all(|(name, value)| {
            let most = match name.as_str() {
                "scope" => 128,
                "tag" => 256,
                _ => return false,
            };
            Shape::Text(most).violation(value).is_none()
        })
    })
}

fn is_clamping(value: &Value) -> bool {
    let parts = value.as_object();
    parts.is_some_and(|parts| {
        parts.iter().all(|(name, value)| match name.as_str() {
            "direction" => Shape::OneOf(DIRECTIONS).violation(value).is_none(),
            "max_segment_size" => Shape::Number(108, 8_902).violation(value).is_none(),
            _ => false,
        })
    })
}

const fn optional(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        shape,
        need: Need::Optional,
    }
}

const fn required(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        shape,
        need: Need::Required,
    }
}

const fn read_only(name: &'static str) -> Field {
    Field {
        name,
        shape: Shape::Any,
        need: Need::ReadOnly,
    }
}

/// The fields of every object.
pub(crate) const COMMON: &[Field] = &[
    optional("display_name", Shape::Text(255)),
    optional("description", Shape::Text(1024)),
    optional("tags", Shape::Tags),
    optional("resource_type", Shape::Text(255)),
    // The server chooses the id of a new object. The path names the id of an existing one.
    read_only("id"),
    // Checked before an update, never stored as sent.
    read_only("_revision"),
    read_only("_create_user"),
    read_only("_create_time"),
    read_only("_last_modified_user"),
    read_only("_last_modified_time"),
    read_only("_system_owned"),
    read_only("_protection"),
    read_only("_links"),
    read_only("_self"),
    read_only("_schema"),
];

const DH_GROUPS: &[&str] = &[
    "GROUP2", "GROUP5", "GROUP14", "GROUP15", "GROUP16", "GROUP19", "GROUP20", "GROUP21",
];
const DIRECTIONS: &[&str] = &["NONE", "INBOUND_CONNECTION", "OUTBOUND_CONNECTION", "BOTH"];
const DIGESTS: &[&str] = &["SHA1", "SHA2_256", "SHA2_384", "SHA2_512"];

pub(crate) const IKE_PROFILE: &[Field] = &[
    optional(
        "ike_version",
        Shape::OneOf(&["IKE_V1", "IKE_V2", "IKE_FLEX"]),
    ),
    optional(
        "encryption_algorithms",
        Shape::SomeOf(&[
            "AES_128",
            "AES_256",
            "AES_GCM_128",
            "AES_GCM_192",
            "AES_GCM_256",
        ]),
    ),
    optional("digest_algorithms", Shape::SomeOf(DIGESTS)),
    optional("dh_groups", Shape::SomeOf(DH_GROUPS)),
    optional("sa_life_time", Shape::Number(21_600, 31_536_000)),
];

pub(crate) const TUNNEL_PROFILE: &[Field] = &[
    optional(
        "encryption_algorithms",
        Shape::SomeOf(&[
            "AES_128",
            "AES_256",
            "AES_GCM_128",
            "AES_GCM_192",
            "AES_GCM_256",
            "NO_ENCRYPTION_AUTH_AES_GMAC_128",
            "NO_ENCRYPTION_AUTH_AES_GMAC_192",
            "NO_ENCRYPTION_AUTH_AES_GMAC_256",
            "NO_ENCRYPTION",
        ]),
    ),
    optional("digest_algorithms", Shape::SomeOf(DIGESTS)),
    optional("dh_groups", Shape::SomeOf(DH_GROUPS)),
    optional("enable_perfect_forward_secrecy", Shape::Flag),
    optional("df_policy", Shape::OneOf(&["COPY", "CLEAR"])),
    read_only("encapsulation_mode"),
    read_only("transform_protocol"),
    optional("sa_life_time", Shape::Number(900, 31_536_000)),
];

pub(crate) const DPD_PROFILE: &[Field] = &[
    optional("dpd_probe_mode", Shape::OneOf(&["PERIODIC", "ON_DEMAND"])),
    optional("dpd_probe_interval", Shape::Number(1, 360)),
    optional("enabled", Shape::Flag),
    optional("retry_count", Shape::Number(1, i64::MAX)),
];

pub(crate) const SERVICE: &[Field] = &[
    required("logical_router_id", Shape::Text(255)),
    optional("enabled", Shape::Flag),
    optional("ipsec_ha_sync", Shape::Flag),
    optional(
        "ike_log_level",
        Shape::OneOf(&["DEBUG", "INFO", "WARN", "ERROR", "EMERGENCY"]),
    ),
    optional("bypass_rules", Shape::List),
];

pub(crate) const LOCAL_ENDPOINT: &[Field] = &[
    required("ipsec_vpn_service_id", Shape::Reference),
    required("local_address", Shape::Address),
    optional("local_id", Shape::Text(255)),
    optional("certificate_id", Shape::Text(255)),
    optional("trust_ca_ids", Shape::List),
    optional("trust_crl_ids", Shape::List),
];

pub(crate) const PEER_ENDPOINT: &[Field] = &[
    required("peer_address", Shape::Address),
    required("peer_id", Shape::Text(255)),
    optional("authentication_mode", Shape::OneOf(&["PSK", "CERTIFICATE"])),
    optional("psk", Shape::Text(128)),
    optional(
        "connection_initiation_mode",
        Shape::OneOf(&["INITIATOR", "RESPOND_ONLY", "ON_DEMAND"]),
    ),
    optional("ike_profile_id", Shape::Text(255)),
    optional("ipsec_tunnel_profile_id", Shape::Text(255)),
    optional("dpd_profile_id", Shape::Text(255)),
];

pub(crate) const SESSION: &[Field] = &[
    required(
        "resource_type",
        Shape::OneOf(&["PolicyBasedIPSecVPNSession", "RouteBasedIPSecVPNSession"]),
    ),
    required("local_endpoint_id", Shape::Text(255)),
    required("peer_endpoint_id", Shape::Text(255)),
    read_only("ipsec_vpn_service_id"),
    optional("enabled", Shape::Flag),
    optional("tcp_mss_clamping", Shape::Clamping),
    optional("policy_rules", Shape::List),
    optional("tunnel_ports", Shape::List),
];
