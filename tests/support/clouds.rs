//! Settings for the simulated clouds, and connections that each of them takes.

use isthmus::{
    core::settings::PollSettings,
    dialects::settings::Given,
    grpc::pb,
    simulator::{
        nsx::{NsxOptions, NsxSimulator, inventory},
        openstack::OpenstackSimulator,
    },
};
use std::time::Duration;

/// A key that must be found nowhere but in the cloud.
pub const PSK: &str = "canary-psk-5f0c";

/// Polls in quick succession: these tests run against real sockets and real time.
pub fn quick_poll() -> PollSettings {
    PollSettings {
        fresh: Duration::from_millis(20),
        stable: Duration::from_millis(100),
        quiet_after_update: Duration::from_millis(400),
        confirm_failure: Duration::from_millis(200),
        vanish_grace: Duration::from_millis(300),
        auth_window: Duration::from_secs(60),
    }
}

/// There is no TLS here, and an unoptimized build takes a tenth of a second to read the system's authorities.
fn given(name: &str, dialect: &'static str) -> Given {
    let mut given = Given::new(name.parse().unwrap(), dialect).with("insecure_skip_verify", "true");
    given.core.timeout = Duration::from_secs(2);
    given.core.poll = quick_poll();
    given
}

/// A backend on a simulated NSX, by session login.
pub fn nsx(name: &str, cloud: &NsxSimulator) -> Given {
    let options = NsxOptions::default();
    let mut given = given(name, "nsx")
        .with("auth.kind", "session")
        .with("auth.username", options.username)
        .with("auth.password", options.password);
    given.keys.set_all("url", cloud.urls());
    given
}

/// A backend on a simulated OpenStack, by Keystone password.
pub fn openstack(name: &str, cloud: &OpenstackSimulator) -> Given {
    let login = cloud.inventory().member;
    given(name, "openstack")
        .with("variant", "neutron")
        .with("auth.kind", "password")
        .with("auth.username", login.name)
        .with("auth.password", login.password)
        .with("auth.auth_url", cloud.keystone_url())
        .with("auth.project_name", cloud.inventory().project.project_name)
        .with("auth.user_domain_id", "default")
        .with("auth.project_domain_id", "default")
}

fn peer(address: &str) -> pb::Peer {
    pb::Peer {
        address: address.to_owned(),
        authentication: Some(pb::peer::Authentication::Psk(PSK.to_owned())),
        ..pb::Peer::default()
    }
}

/// A connection that a simulated NSX takes.
pub fn nsx_connection(backend: &str) -> pb::Connection {
    let rule = pb::PolicyRule {
        sources: vec!["10.1.0.0/24".into()],
        destinations: vec!["10.2.0.0/24".into()],
        ..pb::PolicyRule::default()
    };
    pb::Connection {
        display_name: "branch 42".into(),
        local_endpoint: format!(
            "backends/{backend}/localEndpoints/{}",
            inventory::LOCAL_ENDPOINT_ID
        ),
        peer: Some(peer("198.51.100.20")),
        selectors: Some(pb::connection::Selectors::PolicyBased(pb::PolicyBased {
            rules: vec![rule],
            ..pb::PolicyBased::default()
        })),
        ..pb::Connection::default()
    }
}

/// What an OpenStack connection refers to.
pub struct References {
    /// The VPN service, without a subnet.
    pub vpn_service: String,
    /// The IKE policy.
    pub ike_policy: String,
    /// The IPsec policy.
    pub ipsec_policy: String,
    /// The group of local subnets.
    pub local_endpoint_group: String,
    /// The group of peer networks.
    pub peer_endpoint_group: String,
}

impl References {
    /// Those of a simulated OpenStack.
    pub fn of(cloud: &OpenstackSimulator) -> References {
        let project = cloud.inventory().project;
        References {
            vpn_service: project.service_id.to_owned(),
            ike_policy: project.ike_policy_id.to_owned(),
            ipsec_policy: project.ipsec_policy_id.to_owned(),
            local_endpoint_group: project.local_group_id.to_owned(),
            peer_endpoint_group: project.peer_group_id.to_owned(),
        }
    }

    /// A connection that refers to them.
    pub fn connection(&self, backend: &str) -> pb::Connection {
        let name = |collection: &str, id: &str| format!("backends/{backend}/{collection}/{id}");
        pb::Connection {
            display_name: "branch 42".into(),
            vpn_service: name("vpnServices", &self.vpn_service),
            ike_policy: name("ikePolicies", &self.ike_policy),
            ipsec_policy: name("ipsecPolicies", &self.ipsec_policy),
            peer: Some(peer("198.51.100.20")),
            selectors: Some(pb::connection::Selectors::PolicyBased(pb::PolicyBased {
                rules: vec![],
                local_endpoint_group: name("endpointGroups", &self.local_endpoint_group),
                peer_endpoint_group: name("endpointGroups", &self.peer_endpoint_group),
            })),
            ..pb::Connection::default()
        }
    }
}
