//! A gateway over one simulated cloud of each variant, and what a test does to resources behind the gateway's back.

use crate::support::{api::Api, clouds, running::Running};
use http::Method;
use isthmus::{
    dialects::settings::Given,
    model::ResourceKind,
    simulator::{
        faults::Faults,
        http::Server,
        nsx::{self, NsxSimulator, inventory},
        openstack::{self, OpenstackOptions, OpenstackSimulator, Series, Variant},
    },
};
use serde_json::{Value, json};
use std::time::Duration;

/// The name of the only backend.
pub const BACKEND: &str = "a";

/// Every cloud there is to speak to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    /// NSX, the Manager API.
    Nsx,
    /// Stock Neutron, release 2026.1.
    Neutron,
    /// Stock Neutron, release 2026.2.
    Newest,
    /// Open Telekom Cloud.
    Otc,
    /// Fujitsu K5.
    K5,
}

impl World {
    /// All of them.
    pub const ALL: [World; 5] = [
        World::Nsx,
        World::Neutron,
        World::Newest,
        World::Otc,
        World::K5,
    ];

    /// Its dialect and variant, as a backend tells them.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            World::Nsx => ("nsx", ""),
            World::Neutron => ("openstack", "neutron"),
            World::Newest => ("openstack", "neutron-2026.2"),
            World::Otc => ("openstack", "otc"),
            World::K5 => ("openstack", "k5"),
        }
    }

    /// Starts one.
    pub fn cloud(self) -> Cloud {
        let openstack = |variant, series| {
            let options = OpenstackOptions {
                variant,
                series,
                ..OpenstackOptions::default()
            };
            Cloud::Openstack(OpenstackSimulator::start(options).unwrap())
        };
        match self {
            World::Nsx => Cloud::Nsx(crate::support::cloud::nsx()),
            World::Neutron => openstack(Variant::Neutron, Series::V2026_1),
            World::Newest => openstack(Variant::Neutron, Series::V2026_2),
            World::Otc => openstack(Variant::Otc, Series::V2026_1),
            World::K5 => openstack(Variant::K5, Series::V2026_1),
        }
    }
}

/// A simulated cloud.
#[derive(Debug)]
pub enum Cloud {
    /// NSX.
    Nsx(NsxSimulator),
    /// OpenStack in all variants.
    Openstack(OpenstackSimulator),
}

/// A gateway over one simulated cloud.
pub struct Site {
    /// Which.
    pub world: World,
    /// The cloud.
    pub cloud: Cloud,
    /// The gateway.
    pub running: Running,
    /// A client of it.
    pub api: Api,
}

impl Site {
    /// Starts both.
    pub async fn start(world: World) -> Site {
        Site::with(world, |given| given).await
    }

    /// The same, with these settings changed.
    pub async fn with(world: World, change: impl FnOnce(Given) -> Given) -> Site {
        let cloud = world.cloud();
        let running = match &cloud {
            Cloud::Nsx(cloud) => Running::start(vec![change(clouds::nsx(BACKEND, cloud))]).await,
            Cloud::Openstack(cloud) => {
                let mut given = clouds::openstack(BACKEND, cloud);
                given.keys.set("variant", world.names().1);
                Running::start(vec![change(given)]).await
            }
        };
        let api = Api::new(running.channel.clone());
        Site {
            world,
            cloud,
            running,
            api,
        }
    }

    /// The simulated NSX.
    pub fn nsx(&self) -> &NsxSimulator {
        match &self.cloud {
            Cloud::Nsx(cloud) => cloud,
            Cloud::Openstack(_) => panic!("this is an OpenStack"),
        }
    }

    /// The simulated OpenStack.
    pub fn openstack(&self) -> &OpenstackSimulator {
        match &self.cloud {
            Cloud::Openstack(cloud) => cloud,
            Cloud::Nsx(_) => panic!("this is an NSX"),
        }
    }

    /// The server that has the resources.
    pub fn server(&self) -> &Server {
        match &self.cloud {
            Cloud::Nsx(cloud) => cloud.manager(0),
            Cloud::Openstack(cloud) => cloud.neutron(),
        }
    }

    /// What that server does wrong.
    pub fn faults(&self) -> &Faults {
        self.server().faults()
    }

    /// The path of a kind's collection, whether the cloud has it or not.
    pub fn path(&self, kind: ResourceKind) -> String {
        match &self.cloud {
            Cloud::Nsx(_) => {
                let known = nsx_kind(kind).map(nsx::Kind::collection);
                format!("/api/v1/vpn/ipsec/{}", known.unwrap_or("endpoint-groups"))
            }
            Cloud::Openstack(_) => format!("/v2.0/vpn/{}", openstack_segment(kind)),
        }
    }

    /// How often the cloud was asked to write a VPN object so far.
    pub fn writes(&self) -> u64 {
        let requests = self.server().requests();
        let prefix = match &self.cloud {
            Cloud::Nsx(_) => "/api/v1/",
            Cloud::Openstack(_) => "/v2.0/",
        };
        let count = |method| requests.count(&method, prefix);
        [Method::POST, Method::PUT, Method::PATCH, Method::DELETE]
            .into_iter()
            .map(count)
            .sum()
    }

    /// How often the cloud was asked anything about a kind so far.
    pub fn asked(&self, kind: ResourceKind) -> usize {
        let path = self.path(kind);
        let seen = self.server().requests().all();
        seen.iter().filter(|it| it.path.starts_with(&path)).count()
    }

    /// How often this was asked of a kind's collection or of what is in it.
    pub fn sent(&self, method: &Method, kind: ResourceKind) -> u64 {
        self.server().requests().count(method, &self.path(kind))
    }

    /// The ids of all there are of a kind, whoever they belong to.
    pub fn ids(&self, kind: ResourceKind) -> Vec<String> {
        match &self.cloud {
            Cloud::Nsx(cloud) => {
                let objects = nsx_kind(kind).map(|kind| cloud.state().objects(kind));
                let id = |object: &Value| object["id"].as_str().unwrap().to_owned();
                objects.iter().flatten().map(id).collect()
            }
            Cloud::Openstack(cloud) => match openstack_kind(kind) {
                Some(kind) => cloud.state().ids(kind),
                None => Vec::new(),
            },
        }
    }

    /// An object as its cloud has it.
    pub fn object(&self, kind: ResourceKind, id: &str) -> Option<Value> {
        match &self.cloud {
            Cloud::Nsx(cloud) => cloud.state().object(nsx_kind(kind)?, id),
            Cloud::Openstack(cloud) => cloud.state().row(openstack_kind(kind)?, id),
        }
    }

    /// Somebody else writes these fields of an object, past all rules.
    pub fn alter(&self, kind: ResourceKind, id: &str, fields: Value) {
        match &self.cloud {
            Cloud::Nsx(cloud) => cloud.state().alter(nsx_kind(kind).unwrap(), id, fields),
            Cloud::Openstack(cloud) => {
                let Value::Object(fields) = fields else {
                    panic!("only fields can be altered")
                };
                let kind = openstack_kind(kind).unwrap();
                for (name, value) in fields {
                    let there = cloud.state().set_attribute(kind, id, &name, Some(value));
                    assert!(there, "no {kind:?} {id}");
                }
            }
        }
    }

    /// Somebody else gives an object this name.
    pub fn rename(&self, kind: ResourceKind, id: &str, name: &str) {
        let field = match &self.cloud {
            Cloud::Nsx(_) => "display_name",
            Cloud::Openstack(_) => "name",
        };
        self.alter(kind, id, json!({ field: name }));
    }

    /// What has to come to pass before an object can be changed: Neutron changes no service that its agent has not seen.
    pub fn settle(&self, kind: ResourceKind, id: &str) {
        if let (Cloud::Openstack(_), ResourceKind::VpnService) = (&self.cloud, kind) {
            self.alter(kind, id, json!({ "status": "ACTIVE" }));
        }
    }

    /// Somebody uses an object from now on; the id of the user.
    pub fn use_it(&self, kind: ResourceKind, id: &str) -> String {
        match &self.cloud {
            Cloud::Nsx(cloud) => {
                let (user, fields) = match kind {
                    ResourceKind::IkePolicy => {
                        (nsx::Kind::PeerEndpoint, json!({ "ike_profile_id": id }))
                    }
                    ResourceKind::IpsecPolicy => (
                        nsx::Kind::PeerEndpoint,
                        json!({ "ipsec_tunnel_profile_id": id }),
                    ),
                    ResourceKind::DpdPolicy => {
                        (nsx::Kind::PeerEndpoint, json!({ "dpd_profile_id": id }))
                    }
                    ResourceKind::VpnService => (
                        nsx::Kind::LocalEndpoint,
                        json!({ "ipsec_vpn_service_id": { "target_id": id } }),
                    ),
                    ResourceKind::LocalEndpoint => {
                        (nsx::Kind::Session, json!({ "local_endpoint_id": id }))
                    }
                    ResourceKind::EndpointGroup => panic!("NSX has none"),
                };
                cloud.state().plant(user, fields)
            }
            Cloud::Openstack(cloud) => {
                let user = "d3300000-0000-4000-8000-0000000000ff";
                let field = match kind {
                    ResourceKind::IkePolicy => "ikepolicy_id",
                    ResourceKind::IpsecPolicy => "ipsecpolicy_id",
                    ResourceKind::VpnService => "vpnservice_id",
                    ResourceKind::EndpointGroup => "local_ep_group_id",
                    ResourceKind::DpdPolicy | ResourceKind::LocalEndpoint => {
                        panic!("OpenStack has none")
                    }
                };
                let project = cloud.inventory().project.project_id;
                let row = json!({
                    "id": user, "name": "user", "status": "ACTIVE", "tenant_id": project,
                    "project_id": project, field: id,
                });
                cloud.state().plant(openstack::Kind::Connection, row);
                user.to_owned()
            }
        }
    }

    /// Whoever used an object is gone.
    pub fn free(&self, user: &str) {
        match &self.cloud {
            Cloud::Nsx(cloud) => {
                let kinds = [
                    nsx::Kind::PeerEndpoint,
                    nsx::Kind::LocalEndpoint,
                    nsx::Kind::Session,
                ];
                let gone = kinds.map(|kind| cloud.state().vanish(kind, user));
                assert!(gone.contains(&true));
            }
            Cloud::Openstack(cloud) => {
                assert!(cloud.state().vanish(openstack::Kind::Connection, user));
            }
        }
    }

    /// The name of a resource.
    pub fn name(&self, kind: ResourceKind, id: &str) -> String {
        let collection = kind.collection().segment();
        format!("backends/{BACKEND}/{collection}/{id}")
    }
}

/// What NSX calls a kind, if it has it.
pub fn nsx_kind(kind: ResourceKind) -> Option<nsx::Kind> {
    match kind {
        ResourceKind::IkePolicy => Some(nsx::Kind::IkeProfile),
        ResourceKind::IpsecPolicy => Some(nsx::Kind::TunnelProfile),
        ResourceKind::DpdPolicy => Some(nsx::Kind::DpdProfile),
        ResourceKind::VpnService => Some(nsx::Kind::Service),
        ResourceKind::LocalEndpoint => Some(nsx::Kind::LocalEndpoint),
        ResourceKind::EndpointGroup => None,
    }
}

/// What OpenStack calls a kind, if it has it.
pub fn openstack_kind(kind: ResourceKind) -> Option<openstack::Kind> {
    match kind {
        ResourceKind::IkePolicy => Some(openstack::Kind::IkePolicy),
        ResourceKind::IpsecPolicy => Some(openstack::Kind::IpsecPolicy),
        ResourceKind::VpnService => Some(openstack::Kind::VpnService),
        ResourceKind::EndpointGroup => Some(openstack::Kind::EndpointGroup),
        ResourceKind::DpdPolicy | ResourceKind::LocalEndpoint => None,
    }
}

fn openstack_segment(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::IkePolicy => "ikepolicies",
        ResourceKind::IpsecPolicy => "ipsecpolicies",
        ResourceKind::VpnService => "vpnservices",
        ResourceKind::EndpointGroup => "endpoint-groups",
        ResourceKind::DpdPolicy => "dpd-policies",
        ResourceKind::LocalEndpoint => "local-endpoints",
    }
}

/// Where services are made.
impl Site {
    /// The id of a router for one more service.
    pub fn free_router(&self, number: usize) -> String {
        match &self.cloud {
            Cloud::Nsx(cloud) => {
                let id = format!("2c1f6d0e-3b57-4d8a-9f62-{number:012x}");
                cloud.state().add_logical_router(&id);
                id
            }
            // Stock Neutron takes any number of services on one router.
            Cloud::Openstack(cloud) => cloud.inventory().project.router_id.to_owned(),
        }
    }

    /// The id of another router.
    pub fn other_router(&self) -> String {
        match &self.cloud {
            Cloud::Nsx(_) => inventory::FREE_ROUTER_ID.to_owned(),
            Cloud::Openstack(cloud) => cloud.inventory().spare_router_id.to_owned(),
        }
    }
}

/// How long a call may take whose answer cannot be found out about.
pub const SHORT: Duration = Duration::from_secs(1);
