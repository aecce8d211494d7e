//! The seven collections under `/api/v1/vpn/ipsec`: their paths, types, defaults and validation.

use serde_json::{Map, Value, json};

use crate::simulator::nsx::fields::{self, COMMON, Field, Need};
use crate::simulator::nsx::refusal::Refusal;
use crate::simulator::nsx::rules;

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
    /// Every collection, in an order in which their objects can be created.
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

    /// The type name in errors and in `resource_type`. A session's `resource_type` is more specific.
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

    /// The fields of this kind, without those in [`COMMON`].
    fn fields(self) -> &'static [Field] {
        match self {
            Kind::IkeProfile => fields::IKE_PROFILE,
            Kind::TunnelProfile => fields::TUNNEL_PROFILE,
            Kind::DpdProfile => fields::DPD_PROFILE,
            Kind::Service => fields::SERVICE,
            Kind::LocalEndpoint => fields::LOCAL_ENDPOINT,
            Kind::PeerEndpoint => fields::PEER_ENDPOINT,
            Kind::Session => fields::SESSION,
        }
    }

    /// Validates and completes what a client sends, and drops read-only fields. A value that equals the current one in
    /// `there` is not validated: a word that only a later release of the manager knows is one of the manager's own.
    pub(crate) fn accept(
        self,
        body: Map<String, Value>,
        there: Option<&Map<String, Value>>,
    ) -> Result<Map<String, Value>, Refusal> {
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
            // A null counts as an omitted field. Clients send it for an absent description.
            if field.need == Need::ReadOnly || value.is_null() {
                continue;
            }
            let is_there = there.is_some_and(|there| there.get(&name) == Some(&value));
            if let Some(wrong) = field.shape.violation(&value)
                && !is_there
            {
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
        rules::complete(object);
        if self != Kind::Session {
            object
                .entry("resource_type")
                .or_insert(json!(self.type_name()));
        }
    }

    /// Checks the constraints between fields.
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
                Some("PolicyBasedIPSecVPNSession") if !object.contains_key("policy_rules") => {
                    violations.push("policy_rules is required".to_owned());
                }
                Some("RouteBasedIPSecVPNSession") if !object.contains_key("tunnel_ports") => {
                    violations.push("tunnel_ports is required".to_owned());
                }
                _ => {}
            },
            _ => {}
        }
        rules::check(object, violations);
        if self != Kind::Session && !says("resource_type", self.type_name()) {
            violations.push(format!("resource_type is not {}", self.type_name()));
        }
    }
}
