//! The two simulated clouds of the demo, their backends, and the connection created on each.

use crate::{
    core::{
        secret::{Refreshed, Secret},
        settings::PollSettings,
    },
    dialects::settings::Given,
    grpc::pb::{
        Connection, Goal, Peer, PolicyBased, PolicyRule, RealizationState, connection::Selectors,
        peer::Authentication,
    },
    simulator::{
        nsx::{Levers, NsxOptions, NsxSimulator, Pace, inventory},
        openstack::{AgentPace, OpenstackOptions, OpenstackSimulator},
    },
};
use std::{fs, io, sync::Arc, time::Duration};
use tempfile::NamedTempFile;

/// The backend of the simulated NSX.
pub const NSX: &str = "nsx-demo";
/// The backend of the simulated OpenStack.
pub const OPENSTACK: &str = "openstack-demo";

/// A pre-shared key that protects nothing.
pub const PSK: &str = "not-a-secret-only-a-demo";

/// The poll intervals of the demo. A real cloud is polled less often.
const POLL: PollSettings = PollSettings {
    fresh: Duration::from_millis(500),
    stable: Duration::from_secs(1),
    quiet_after_update: Duration::from_secs(5),
    confirm_failure: Duration::from_secs(2),
    vanish_grace: Duration::from_secs(5),
    auth_window: Duration::from_secs(60),
};

/// Both clouds, running until dropped.
#[derive(Debug)]
pub struct Clouds {
    nsx: NsxSimulator,
    openstack: OpenstackSimulator,
    /// The password of the gateway's account on NSX, read from the file.
    password: Secret,
    /// Deleted when dropped.
    password_file: NamedTempFile,
}

/// The connection that the demo creates on one cloud, and its expected result.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The backend's bare name.
    pub backend: &'static str,
    pub connection: Connection,
    /// The goal of its watch.
    pub goal: Goal,
    /// The expected state when the goal is reached.
    pub state: RealizationState,
}

impl Clouds {
    /// Starts both on free ports of 127.0.0.1. Needs a tokio runtime.
    ///
    /// # Errors
    /// If there is no free port, or the file of the password cannot be created.
    pub fn start() -> io::Result<Clouds> {
        let nsx = NsxSimulator::start(NsxOptions {
            levers: Levers {
                pace: Pace::Elapsed {
                    per_node: Duration::from_secs(3),
                },
                ..Levers::default()
            },
            ..NsxOptions::default()
        })?;
        let openstack = OpenstackSimulator::start(OpenstackOptions {
            pace: AgentPace::Elapsed {
                installed: Duration::from_secs(3),
                established: Duration::from_secs(4),
                dip_on_update: false,
            },
            ..OpenstackOptions::default()
        })?;
        let password_file = NamedTempFile::new()?;
        let text = NsxOptions::default().password;
        fs::write(&password_file, &text)?;
        let path = password_file.path().to_owned();
        let read = {
            let path = path.clone();
            move || fs::read_to_string(&path).map(Into::into)
        };
        Ok(Clouds {
            nsx,
            openstack,
            password: Secret::in_file(path, text.into(), Arc::new(read)),
            password_file,
        })
    }

    /// Returns the simulated NSX, for fault injection.
    pub fn nsx(&self) -> &NsxSimulator {
        &self.nsx
    }

    /// Changes the account's password on NSX, and ends its sessions.
    pub fn change_password(&self, password: &str) {
        let account = NsxOptions::default().username;
        self.nsx.state().set_password(&account, password);
        self.nsx.state().expire_sessions();
    }

    /// Writes a password to the gateway's file and makes the gateway read it.
    ///
    /// # Errors
    /// If the file cannot be written or read.
    pub async fn hand_on_password(&self, password: &str) -> io::Result<()> {
        fs::write(&self.password_file, password)?;
        match self.password.refresh().await {
            Refreshed::Unreadable(error) => Err(error),
            Refreshed::Same | Refreshed::Changed => Ok(()),
        }
    }

    /// Returns both backends, as a configuration would define them.
    pub fn backends(&self) -> [Given; 2] {
        let account = NsxOptions::default();
        let inventory = self.openstack.inventory();
        let mut nsx = backend(NSX, "nsx")
            .with("auth.kind", "session")
            .with("auth.username", account.username);
        nsx.keys.set_secret("auth.password", self.password.clone());
        nsx.keys.set_all("url", self.nsx.urls());
        let openstack = backend(OPENSTACK, "openstack")
            .with("variant", "neutron")
            .with("auth.kind", "password")
            .with("auth.username", inventory.member.name)
            .with("auth.password", inventory.member.password)
            .with(
                "auth.auth_url",
                format!("{}/v3", self.openstack.keystone_url()),
            )
            .with("auth.project_id", inventory.project.project_id);
        [nsx, openstack]
    }

    /// Returns the addresses of the simulated clouds, for people.
    pub fn addresses(&self) -> [(&'static str, String); 2] {
        [
            (NSX, self.nsx.url()),
            (
                OPENSTACK,
                format!(
                    "{}, Keystone {}",
                    self.openstack.neutron_url(),
                    self.openstack.keystone_url()
                ),
            ),
        ]
    }

    /// Returns the connection to create on each.
    pub fn plans(&self) -> [Plan; 2] {
        let owned = self.openstack.inventory().project;
        let on_openstack =
            |collection: &str, id: &str| format!("backends/{OPENSTACK}/{collection}/{id}");
        [
            Plan {
                backend: NSX,
                connection: Connection {
                    display_name: "head office".to_owned(),
                    local_endpoint: local_endpoint(),
                    peer: Some(peer("203.0.113.10")),
                    selectors: Some(Selectors::PolicyBased(PolicyBased {
                        rules: vec![PolicyRule {
                            sources: vec!["10.10.0.0/24".to_owned()],
                            destinations: vec!["192.168.10.0/24".to_owned()],
                            ..PolicyRule::default()
                        }],
                        ..PolicyBased::default()
                    })),
                    ..Connection::default()
                },
                goal: Goal::Config,
                state: RealizationState::Realized,
            },
            Plan {
                backend: OPENSTACK,
                connection: Connection {
                    display_name: "head office".to_owned(),
                    vpn_service: on_openstack("vpnServices", owned.service_id),
                    ike_policy: on_openstack("ikePolicies", owned.ike_policy_id),
                    ipsec_policy: on_openstack("ipsecPolicies", owned.ipsec_policy_id),
                    peer: Some(peer("203.0.113.20")),
                    selectors: Some(Selectors::PolicyBased(PolicyBased {
                        local_endpoint_group: on_openstack("endpointGroups", owned.local_group_id),
                        peer_endpoint_group: on_openstack("endpointGroups", owned.peer_group_id),
                        ..PolicyBased::default()
                    })),
                    ..Connection::default()
                },
                goal: Goal::TunnelUp,
                state: RealizationState::Active,
            },
        ]
    }
}

/// Returns the local endpoint of connections on the simulated NSX.
pub fn local_endpoint() -> String {
    format!(
        "backends/{NSX}/localEndpoints/{}",
        inventory::LOCAL_ENDPOINT_ID
    )
}

fn backend(name: &str, dialect: &'static str) -> Given {
    let mut backend = Given::new(name.parse().expect("written as a name"), dialect);
    backend.core.timeout = Duration::from_secs(5);
    backend.core.poll = POLL;
    backend
}

fn peer(address: &str) -> Peer {
    Peer {
        address: address.to_owned(),
        id: String::new(),
        authentication: Some(Authentication::Psk(PSK.to_owned())),
        psk_set: false,
    }
}
