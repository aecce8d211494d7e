//! Both simulated clouds in one process, with connections that change all the time.

use crate::support::process::{self, Commands};
use isthmus::{
    dialects::settings::Given,
    grpc::pb,
    simulator::{
        nsx::{self, NsxOptions, NsxSimulator, Pace, inventory},
        openstack::{AgentPace, Kind, OpenstackOptions, OpenstackSimulator},
    },
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::interval;

/// The backend on NSX.
pub const NSX: &str = "nsx";
/// The backend on Neutron.
pub const NEUTRON: &str = "neutron";
/// The display name of connections that are watched, and change.
pub const WATCHED: &str = "watched";
/// How often one of them changes in each cloud.
const CHANGE_EVERY: Duration = Duration::from_millis(200);

/// Where they are, and who may use them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Clouds {
    nsx: Vec<String>,
    keystone: String,
    user: String,
    password: String,
    project: String,
    references: References,
}

/// What connections refer to.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct References {
    local_endpoint: String,
    vpn_service: String,
    ike_policy: String,
    ipsec_policy: String,
    local_group: String,
    peer_group: String,
}

impl Clouds {
    /// A connection that a backend takes, with this name.
    pub fn connection(&self, backend: &str, display_name: &str) -> pb::Connection {
        let name = |collection: &str, id: &str| format!("backends/{backend}/{collection}/{id}");
        let refers = &self.references;
        let peer = pb::Peer {
            address: "198.51.100.20".to_owned(),
            authentication: Some(pb::peer::Authentication::Psk("soaked-through".to_owned())),
            ..pb::Peer::default()
        };
        let on_nsx = pb::Connection {
            display_name: display_name.to_owned(),
            peer: Some(peer),
            local_endpoint: name("localEndpoints", &refers.local_endpoint),
            selectors: Some(pb::connection::Selectors::PolicyBased(pb::PolicyBased {
                rules: vec![pb::PolicyRule {
                    sources: vec!["10.1.0.0/24".to_owned()],
                    destinations: vec!["10.2.0.0/24".to_owned()],
                    ..pb::PolicyRule::default()
                }],
                ..pb::PolicyBased::default()
            })),
            ..pb::Connection::default()
        };
        if backend == NSX {
            return on_nsx;
        }
        pb::Connection {
            local_endpoint: String::new(),
            vpn_service: name("vpnServices", &refers.vpn_service),
            ike_policy: name("ikePolicies", &refers.ike_policy),
            ipsec_policy: name("ipsecPolicies", &refers.ipsec_policy),
            selectors: Some(pb::connection::Selectors::PolicyBased(pb::PolicyBased {
                local_endpoint_group: name("endpointGroups", &refers.local_group),
                peer_endpoint_group: name("endpointGroups", &refers.peer_group),
                ..pb::PolicyBased::default()
            })),
            ..on_nsx
        }
    }

    /// A backend on each, with the settings that a configuration has by default.
    pub fn backends(&self) -> Vec<Given> {
        let given =
            |name: &str, dialect| Given::new(name.parse().expect("written as a name"), dialect);
        let options = NsxOptions::default();
        let mut nsx = given(NSX, "nsx")
            .with("auth.kind", "session")
            .with("auth.username", options.username)
            .with("auth.password", options.password);
        nsx.keys.set_all("url", &self.nsx);
        let openstack = given(NEUTRON, "openstack")
            .with("variant", "neutron")
            .with("auth.kind", "password")
            .with("auth.username", &self.user)
            .with("auth.password", &self.password)
            .with("auth.auth_url", &self.keystone)
            .with("auth.project_name", &self.project)
            .with("auth.user_domain_id", "default")
            .with("auth.project_domain_id", "default");
        vec![nsx, openstack]
    }
}

/// Serves both until the bench is gone. What customers have named [`WATCHED`] changes all the time.
pub async fn serve() {
    let mut options = NsxOptions::default();
    options.levers.pace = Pace::Elapsed {
        per_node: Duration::from_secs(1),
    };
    let nsx = NsxSimulator::start(options).expect("a free port");
    let neutron = OpenstackSimulator::start(OpenstackOptions {
        pace: AgentPace::Elapsed {
            installed: Duration::from_secs(1),
            established: Duration::from_secs(2),
            dip_on_update: false,
        },
        ..OpenstackOptions::default()
    })
    .expect("a free port");
    let member = neutron.inventory().member;
    process::answer(&Clouds {
        nsx: nsx.urls(),
        keystone: neutron.keystone_url(),
        user: member.name.to_owned(),
        password: member.password.to_owned(),
        project: neutron.inventory().project.project_name.to_owned(),
        references: References {
            local_endpoint: inventory::LOCAL_ENDPOINT_ID.to_owned(),
            vpn_service: neutron.inventory().project.service_id.to_owned(),
            ike_policy: neutron.inventory().project.ike_policy_id.to_owned(),
            ipsec_policy: neutron.inventory().project.ipsec_policy_id.to_owned(),
            local_group: neutron.inventory().project.local_group_id.to_owned(),
            peer_group: neutron.inventory().project.peer_group_id.to_owned(),
        },
    });
    let mut commands = Commands::begin();
    let mut tick = interval(CHANGE_EVERY);
    for round in 0.. {
        tokio::select! {
            _ = tick.tick() => {}
            gone = commands.next::<()>() => match gone {
                Some(()) => process::answer(&nsx.state().throttled()),
                None => break,
            },
        }
        change_nsx(&nsx, round);
        change_neutron(&neutron, round);
        // What the clouds remember of requests is not what is being measured.
        nsx.requests().clear();
        neutron.neutron().requests().clear();
        neutron.keystone().requests().clear();
    }
}

fn change_nsx(nsx: &NsxSimulator, round: usize) {
    let sessions = nsx.state().objects(nsx::Kind::Session);
    let mut watched = sessions.iter().filter(|it| it["display_name"] == WATCHED);
    let count = watched.clone().count().max(1);
    if let Some(id) = watched.nth(round % count).and_then(|it| it["id"].as_str()) {
        let state = (round / count).is_multiple_of(2).then_some("in_progress");
        let node = &nsx.state().nodes()[0];
        nsx.state().set_node_state(id, node, state);
    }
}

fn change_neutron(neutron: &OpenstackSimulator, round: usize) {
    let state = neutron.state();
    let ids = state.ids(Kind::Connection);
    let named = |id: &&String| {
        let row = state.row(Kind::Connection, id);
        row.is_some_and(|row| row["name"] == WATCHED)
    };
    let mut watched = ids.iter().filter(named);
    let count = watched.clone().count().max(1);
    if let Some(id) = watched.nth(round % count) {
        state.set_status(id, ["DOWN", "ACTIVE"][(round / count) % 2]);
    }
}
