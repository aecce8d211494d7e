//! The seven collections under `/api/v1/vpn/ipsec`: their fields, defaults and bounds.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use crate::simulator::nsx::refusal::Refusal;

/// One collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `ike-profiles`.
    IkeProfile,
    /// `tunnel-profiles`.
    TunnelProfile,
    /// `dpd-profiles`.
    DpdProfile,
    /// `services`.
    Service,
    /// `local-endpoints`.
    LocalEndpoint,
    /// `peer-endpoints`.
    PeerEndpoint,
    /// `sessions`.
    Session,
}

impl Kind {
    /// Every collection, in the order in which their objects can be made.
    pub const ALL: [Kind; 7] = [
        Kind::IkeProfile,
        Kind::TunnelProfile,
        Kind::DpdProfile,
        Kind::Service,
        Kind::LocalEndpoint,
        Kind::PeerEndpoint,
        Kind::Session,
    ];

    /// The last segment of the collection's path.
    pub fn collection(self) -> &'static str {
        match self {
            Kind::IkeProfile => "ike-profiles",
            Kind::TunnelProfile => "tunnel-profiles",
            Kind::DpdProfile => "dpd-profiles",
            Kind::Service => "services",
            Kind::LocalEndpoint => "local-endpoints",
            Kind::PeerEndpoint => "peer-endpoints",
            Kind::Session => "sessions",
        }
    }

    pub(crate) fn of_collection(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.collection() == name)
    }

    /// The type as errors and `resource_type` name it; a session's own type says more.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Kind::IkeProfile => "IPSecVPNIKEProfile",
            Kind::TunnelProfile => "IPSecVPNTunnelProfile",
            Kind::DpdProfile => "IPSecVPNDPDProfile",
            Kind::Service => "IPSecVPNService",
            Kind::LocalEndpoint => "IPSecVPNLocalEndpoint",
            Kind::PeerEndpoint => "IPSecVPNPeerEndpoint",
            Kind::Session => "IPSecVPNSession",
        }
    }

    /// What a client may say of such an object, checked and completed; read-only fields are dropped.
    pub(crate) fn accept(self, body: Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
        let known = |name: &str| {
            self.fields()
                .iter()
                .chain(COMMON)
                .find(|field| field.name == name)
        };
        let mut accepted = Map::new();
        let mut violations = Vec::new();
        for (name, value) in body {
            let Some(field) = known(&name) else {
                return Err(Refusal::not_json(&format!(
                    "property {name} is unrecognized"
                )));
            };
            // A null is a field left out; clients send it for an absent description.
            if field.need == Need::ReadOnly || value.is_null() {
                continue;
            }
            if let Some(wrong) = field.shape.violation(&value) {
                violations.push(format!("{name} {wrong}"));
            }
            accepted.insert(name, value);
        }
        let required = self
            .fields()
            .iter()
            .filter(|field| field.need == Need::Required);
        for field in required.filter(|field| !accepted.contains_key(field.name)) {
            violations.push(format!("{} is required", field.name));
        }
        self.complete(&mut accepted);
        self.agree(&accepted, &mut violations);
        if violations.is_empty() {
            Ok(accepted)
        } else {
            Err(Refusal::fields(&violations))
        }
    }

    fn fields(self) -> &'static [Field] {
        match self {
            Kind::IkeProfile => IKE_PROFILE,
            Kind::TunnelProfile => TUNNEL_PROFILE,
            Kind::DpdProfile => DPD_PROFILE,
            Kind::Service => SERVICE,
            Kind::LocalEndpoint => LOCAL_ENDPOINT,
            Kind::PeerEndpoint => PEER_ENDPOINT,
            Kind::Session => SESSION,
        }
    }

    /// Fills in the documented defaults.
    fn complete(self, object: &mut Map<String, Value>) {
        let defaults = match self {
            Kind::IkeProfile => json!({
                "ike_version": "IKE_V2", "encryption_algorithms": ["AES_128"],
                "digest_algorithms": ["SHA2_256"], "dh_groups": ["GROUP14"], "sa_life_time": 86_400,
            }),
            Kind::TunnelProfile => json!({
                "encryption_algorithms": ["AES_GCM_128"], "dh_groups": ["GROUP14"],
                "enable_perfect_forward_secrecy": true, "df_policy": "COPY", "sa_life_time": 3_600,
                "encapsulation_mode": "TUNNEL_MODE", "transform_protocol": "ESP",
            }),
            Kind::DpdProfile => {
                let on_demand = object
                    .get("dpd_probe_mode")
                    .is_some_and(|mode| mode == "ON_DEMAND");
                json!({
                    "dpd_probe_mode": "PERIODIC", "dpd_probe_interval": if on_demand { 3 } else { 60 },
                    "enabled": true, "retry_count": 10,
                })
            }
            Kind::Service => {
                json!({ "enabled": true, "ipsec_ha_sync": true, "ike_log_level": "INFO" })
            }
            Kind::LocalEndpoint => json!({}),
            Kind::PeerEndpoint => {
                json!({ "authentication_mode": "PSK", "connection_initiation_mode": "INITIATOR" })
            }
            Kind::Session => json!({ "enabled": true }),
        };
        let Value::Object(defaults) = defaults else {
            unreachable!("each arm is an object")
        };
        for (name, value) in defaults {
            object.entry(name).or_insert(value);
        }
        if self != Kind::Session {
            object
                .entry("resource_type")
                .or_insert(json!(self.type_name()));
        }
    }

    /// What fields demand of each other.
    fn agree(self, object: &Map<String, Value>, violations: &mut Vec<String>) {
        let says = |field: &str, value: &str| object.get(field).is_some_and(|said| said == value);
        match self {
            Kind::IkeProfile => {
                let gcm = object["encryption_algorithms"]
                    .as_array()
                    .is_some_and(|algorithms| {
                        algorithms
                            .iter()
                            .any(|name| name.as_str().unwrap_or_default().contains("GCM"))
                    });
                if gcm && !says("ike_version", "IKE_V2") {
                    violations
                        .push("encryption_algorithms GCM needs ike_version IKE_V2".to_owned());
                }
            }
            Kind::DpdProfile => {
                let (least, most) = if says("dpd_probe_mode", "ON_DEMAND") {
                    (1, 10)
                } else {
                    (3, 360)
                };
                let interval = object["dpd_probe_interval"].as_i64();
                if interval.is_some_and(|seconds| seconds < least || seconds > most) {
                    violations.push(format!("dpd_probe_interval is not in {least} to {most}"));
                }
            }
            Kind::Session => match object.get("resource_type").and_then(Value::as_str) {
                Some("PolicyBasedIPSecVPNSession") => {
                    if !object.contains_key("policy_rules") {
                        violations.push("policy_rules is required".to_owned());
                    }
                    rules(object, violations);
                }
                Some("RouteBasedIPSecVPNSession") if !object.contains_key("tunnel_ports") => {
                    violations.push("tunnel_ports is required".to_owned());
                }
                _ => {}
            },
            _ => {}
        }
        if self != Kind::Session && !says("resource_type", self.type_name()) {
            violations.push(format!("resource_type is not {}", self.type_name()));
        }
    }
}

fn rules(session: &Map<String, Value>, violations: &mut Vec<String>) {
    let rules = session.get("policy_rules").and_then(Value::as_array);
    for (index, rule) in rules.into_iter().flatten().enumerate() {
        for side in ["sources", "destinations"] {
            let subnets = rule[side].as_array();
            if subnets.is_some_and(|subnets| subnets.len() > 128) {
                violations.push(format!(
                    "policy_rules[{index}].{side} has more than 128 subnets"
                ));
            }
            for subnet in subnets.into_iter().flatten() {
                let text = subnet["subnet"].as_str().unwrap_or_default();
                if text.parse::<ipnet::IpNet>().is_err() && text.parse::<IpAddr>().is_err() {
                    violations.push(format!(
                        "policy_rules[{index}].{side} `{text}` is no subnet"
                    ));
                }
            }
        }
    }
}

struct Field {
    name: &'static str,
    shape: Shape,
    need: Need,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Optional,
    Required,
    ReadOnly,
}

enum Shape {
    Any,
    Text(usize),
    Flag,
    Number(i64, i64),
    OneOf(&'static [&'static str]),
    SomeOf(&'static [&'static str]),
    Address,
    List,
    /// A `ResourceReference`, of which `target_id` is what counts.
    Reference,
}

impl Shape {
    fn violation(&self, value: &Value) -> Option<String> {
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
            Shape::Reference => "has no target_id".to_owned(),
        })
    }
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

const COMMON: &[Field] = &[
    optional("display_name", Shape::Text(255)),
    optional("description", Shape::Text(1024)),
    optional("tags", Shape::List),
    optional("resource_type", Shape::Text(255)),
    // The id of a new object is the server's, that of an old one stands in the path.
    read_only("id"),
    // Looked at before an update, never stored as sent.
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
const DIGESTS: &[&str] = &["SHA1", "SHA2_256", "SHA2_384", "SHA2_512"];

const IKE_PROFILE: &[Field] = &[
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

const TUNNEL_PROFILE: &[Field] = &[
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

const DPD_PROFILE: &[Field] = &[
    optional("dpd_probe_mode", Shape::OneOf(&["PERIODIC", "ON_DEMAND"])),
    optional("dpd_probe_interval", Shape::Number(1, 360)),
    optional("enabled", Shape::Flag),
    optional("retry_count", Shape::Number(1, i64::MAX)),
];

const SERVICE: &[Field] = &[
    required("logical_router_id", Shape::Text(255)),
    optional("enabled", Shape::Flag),
    optional("ipsec_ha_sync", Shape::Flag),
    optional(
        "ike_log_level",
        Shape::OneOf(&["DEBUG", "INFO", "WARN", "ERROR", "EMERGENCY"]),
    ),
    optional("bypass_rules", Shape::List),
];

const LOCAL_ENDPOINT: &[Field] = &[
    required("ipsec_vpn_service_id", Shape::Reference),
    required("local_address", Shape::Address),
    optional("local_id", Shape::Text(255)),
    optional("certificate_id", Shape::Text(255)),
    optional("trust_ca_ids", Shape::List),
    optional("trust_crl_ids", Shape::List),
];

const PEER_ENDPOINT: &[Field] = &[
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

const SESSION: &[Field] = &[
    required(
        "resource_type",
        Shape::OneOf(&["PolicyBasedIPSecVPNSession", "RouteBasedIPSecVPNSession"]),
    ),
    required("local_endpoint_id", Shape::Text(255)),
    required("peer_endpoint_id", Shape::Text(255)),
    read_only("ipsec_vpn_service_id"),
    optional("enabled", Shape::Flag),
    optional("tcp_mss_clamping", Shape::Any),
    optional("policy_rules", Shape::List),
    optional("tunnel_ports", Shape::List),
];
