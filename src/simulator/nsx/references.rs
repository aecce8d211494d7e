//! References between objects: checked on writes and removals, and followed when a part of a session changes.

use serde_json::{Map, Value, json};

use crate::simulator::nsx::inventory;
use crate::simulator::nsx::kind::Kind;
use crate::simulator::nsx::refusal::Refusal;
use crate::simulator::nsx::rules;
use crate::simulator::nsx::world::{Object, World, text, text_of};

impl World {
    /// Checks the references of an object, and fills in the fields that follow from them.
    pub(crate) fn resolve(
        &self,
        kind: Kind,
        own_id: Option<&str>,
        value: &mut Map<String, Value>,
    ) -> Result<(), Refusal> {
        match kind {
            Kind::IkeProfile | Kind::TunnelProfile | Kind::DpdProfile => {}
            Kind::Service => {
                let router = text(value, "logical_router_id");
                self.carries_vpn(&router)?;
                let mut others = self
                    .objects(kind)
                    .filter(|(id, _)| Some(id.as_str()) != own_id);
                if others.any(|(_, other)| text(&other.value, "logical_router_id") == router) {
                    let message =
                        format!("LogicalRouter/{router} already has an IPSec VPN service.");
                    return Err(Refusal::vpn(message));
                }
            }
            Kind::LocalEndpoint => {
                let id = text_of(&value["ipsec_vpn_service_id"]["target_id"]);
                let service = self.refer(Kind::Service, &id)?;
                value["ipsec_vpn_service_id"] = json!({
                    "target_id": id,
                    "target_type": Kind::Service.type_name(),
                    "target_display_name": service.value.get("display_name"),
                    "is_valid": true,
                });
            }
            Kind::PeerEndpoint => {
                for (field, profile, default) in PROFILES {
                    let id = value.entry(field).or_insert(json!(default)).clone();
                    self.refer(profile, &text_of(&id))?;
                }
            }
            Kind::Session => {
                let local = self.refer(Kind::LocalEndpoint, &text(value, "local_endpoint_id"))?;
                let service = local
                    .value
                    .get("ipsec_vpn_service_id")
                    .map(|it| it["target_id"].clone());
                self.refer(Kind::PeerEndpoint, &text(value, "peer_endpoint_id"))?;
                value.insert(
                    "ipsec_vpn_service_id".to_owned(),
                    service.unwrap_or_default(),
                );
            }
        }
        rules::number(value);
        Ok(())
    }

    fn refer(&self, kind: Kind, id: &str) -> Result<&Object, Refusal> {
        self.object(kind, id)
            .ok_or_else(|| Refusal::missing(kind.type_name(), id))
    }

    /// An object that references this one.
    pub(crate) fn user_of(&self, kind: Kind, id: &str) -> Option<(Kind, String)> {
        let by = |user: Kind, refers: &dyn Fn(&Map<String, Value>) -> bool| {
            let found = self.objects(user).find(|(_, object)| refers(&object.value));
            found.map(|(id, _)| (user, id.clone()))
        };
        match kind {
            Kind::IkeProfile | Kind::TunnelProfile | Kind::DpdProfile => {
                let (field, ..) = PROFILES
                    .into_iter()
                    .find(|(_, profile, _)| *profile == kind)?;
                by(Kind::PeerEndpoint, &|peer| text(peer, field) == id)
            }
            Kind::Service => by(Kind::LocalEndpoint, &|local| {
                local
                    .get("ipsec_vpn_service_id")
                    .is_some_and(|service| service["target_id"] == id)
            }),
            Kind::LocalEndpoint => by(Kind::Session, &|session| {
                text(session, "local_endpoint_id") == id
            }),
            Kind::PeerEndpoint => by(Kind::Session, &|session| {
                text(session, "peer_endpoint_id") == id
            }),
            Kind::Session => None,
        }
    }

    /// The objects that a session consists of, without the session itself.
    pub(crate) fn parts(&self, session: &Map<String, Value>) -> Vec<(Kind, String)> {
        let peer_id = text(session, "peer_endpoint_id");
        let mut parts = vec![
            (Kind::Service, text(session, "ipsec_vpn_service_id")),
            (Kind::LocalEndpoint, text(session, "local_endpoint_id")),
        ];
        if let Some(peer) = self.object(Kind::PeerEndpoint, &peer_id) {
            parts.extend(PROFILES.map(|(field, kind, _)| (kind, text(&peer.value, field))));
        }
        parts.push((Kind::PeerEndpoint, peer_id));
        parts
    }
}

/// A peer endpoint's references to profiles, and the system profiles that stand in for absent ones.
const PROFILES: [(&str, Kind, &str); 3] = [
    (
        "ike_profile_id",
        Kind::IkeProfile,
        inventory::DEFAULT_IKE_PROFILE_ID,
    ),
    (
        "ipsec_tunnel_profile_id",
        Kind::TunnelProfile,
        inventory::DEFAULT_TUNNEL_PROFILE_ID,
    ),
    (
        "dpd_profile_id",
        Kind::DpdProfile,
        inventory::DEFAULT_DPD_PROFILE_ID,
    ),
];
