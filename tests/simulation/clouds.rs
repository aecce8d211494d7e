//! The two clouds: their servers, and what goes on in them by itself. Each knows the truth and writes it down.

use crate::{
    network::serve,
    record::{Record, What, now},
};
use isthmus::{
    core::settings::{AuthKind, AuthSettings, BackendSettings, PollSettings},
    simulator::{
        http::Site,
        nsx::{ForcedState, Kind as NsxKind, NsxOptions, NsxSimulator, NsxState, Tunnel},
        openstack::{
            Inventory, Kind as NeutronKind, OpenstackOptions, OpenstackSimulator, OpenstackState,
            Sites,
        },
    },
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::sleep;

/// The names of the backends, which are those of their hosts.
pub const NSX: &str = "nsx";
pub const OPENSTACK: &str = "openstack";
/// The description of connections that never rest.
pub const RESTLESS: &str = "restless";
/// What is made before this stays: it is there for everybody to watch.
const FOUNDED: Duration = Duration::from_secs(8);
/// How often agents look for something to do.
const GLANCE: Duration = Duration::from_millis(250);

/// Both clouds, as everybody shares them.
#[derive(Clone)]
pub struct Clouds {
    nsx: (Site, NsxState),
    openstack: Sites,
}

impl Clouds {
    pub fn new() -> Clouds {
        let openstack = OpenstackOptions::default();
        Clouds {
            nsx: NsxSimulator::site(&NsxOptions::default()),
            openstack: OpenstackSimulator::sites(
                &openstack,
                "http://openstack:5000",
                "http://openstack:9696",
            ),
        }
    }

    /// The sites whose faults are a cloud's.
    pub fn sites(&self, cloud: &str) -> Vec<&Site> {
        match cloud {
            NSX => vec![&self.nsx.0],
            _ => vec![&self.openstack.keystone, &self.openstack.neutron],
        }
    }

    /// Ends every login at a cloud.
    pub fn expire_logins(&self, cloud: &str) {
        match cloud {
            NSX => self.nsx.1.expire_sessions(),
            _ => self.openstack.state.expire_all_tokens(),
        }
    }

    /// The ids of the connections that a cloud has.
    pub fn ids(&self, cloud: &str) -> Vec<String> {
        match cloud {
            NSX => {
                let sessions = self.nsx.1.objects(NsxKind::Session);
                let ids = sessions.iter().filter_map(|session| session["id"].as_str());
                ids.map(str::to_owned).collect()
            }
            _ => self.openstack.state.ids(NeutronKind::Connection),
        }
    }

    /// Somebody else makes a connection at a cloud: NSX takes any, Neutron one like those that it has. Its id, if it
    /// was made.
    pub fn make(&self, cloud: &str, number: u32) -> Option<String> {
        let id = theirs(cloud, number);
        if cloud == NSX {
            let session = json!({ "id": id, "display_name": "theirs", "enabled": true });
            self.nsx.1.plant(NsxKind::Session, session);
            return Some(id);
        }
        let state = &self.openstack.state;
        let like = state.ids(NeutronKind::Connection).into_iter().next()?;
        let mut row = state.row(NeutronKind::Connection, &like)?;
        row["id"] = json!(id);
        row["status"] = json!("PENDING_CREATE");
        state.plant(NeutronKind::Connection, row);
        Some(id)
    }

    /// Somebody else removes a connection that somebody else had made. Its id, if it was there.
    pub fn remove(&self, cloud: &str, number: u32) -> Option<String> {
        let id = theirs(cloud, number);
        let was_there = match cloud {
            NSX => self.nsx.1.vanish(NsxKind::Session, &id),
            _ => self.openstack.state.vanish(NeutronKind::Connection, &id),
        };
        was_there.then_some(id)
    }

    /// What runs on the host of NSX.
    pub async fn run_nsx(self, record: Record, seed: u64, calm: Duration) -> turmoil::Result {
        tokio::spawn(serve(self.nsx.0, 80));
        let rng = fastrand::Rng::with_seed(seed);
        nodes(self.nsx.1, record, rng, calm).await;
        Ok(())
    }

    /// What runs on the host of OpenStack.
    pub async fn run_openstack(self, record: Record, seed: u64, calm: Duration) -> turmoil::Result {
        tokio::spawn(serve(self.openstack.keystone, 5000));
        tokio::spawn(serve(self.openstack.neutron, 9696));
        let rng = fastrand::Rng::with_seed(seed);
        agent(self.openstack.state, record, rng, calm).await;
        Ok(())
    }
}

/// The id of a connection that somebody else makes.
pub fn theirs(cloud: &str, number: u32) -> String {
    match cloud {
        NSX => format!("theirs-{number:02}"),
        _ => format!("7e125000-0000-4000-8000-{number:012}"),
    }
}

/// How the gateway polls in simulations: as by default, but that waits are shorter.
pub const POLL: PollSettings = PollSettings {
    fresh: Duration::from_secs(2),
    stable: Duration::from_secs(10),
    quiet_after_update: Duration::from_secs(30),
    confirm_failure: Duration::from_secs(5),
    vanish_grace: Duration::from_secs(10),
    auth_window: Duration::from_secs(600),
};

/// The settings of both backends.
pub fn backends() -> Vec<BackendSettings> {
    let backend = |name: &str, urls, auth| BackendSettings {
        name: name.parse().unwrap(),
        dialect: name.to_owned(),
        variant: None,
        urls,
        ca_file: None,
        insecure_skip_verify: false,
        timeout: Duration::from_secs(4),
        read_only: false,
        auth,
        poll: POLL,
    };
    let nsx = NsxOptions::default();
    let session = AuthSettings {
        kind: AuthKind::Session,
        username: Some(nsx.username),
        password: Some(nsx.password.into()),
        ..AuthSettings::default()
    };
    let inventory = Inventory::fixed();
    let password = AuthSettings {
        kind: AuthKind::Password,
        username: Some(inventory.member.name.to_owned()),
        password: Some(inventory.member.password.to_owned().into()),
        auth_url: Some("http://openstack:5000".to_owned()),
        project_name: Some(inventory.project.project_name.to_owned()),
        user_domain_id: Some("default".to_owned()),
        project_domain_id: Some("default".to_owned()),
        ..AuthSettings::default()
    };
    vec![
        backend(NSX, vec!["http://nsx:80".to_owned()], session),
        BackendSettings {
            variant: Some("neutron".to_owned()),
            ..backend(OPENSTACK, vec![], password)
        },
    ]
}

/// What an agent has still to do, by the time at which it does it.
struct Agenda<S> {
    steps: BTreeMap<(Duration, u64), (String, S)>,
    /// Tells steps at the same time apart, in the order in which they were planned.
    ticket: u64,
}

impl<S> Agenda<S> {
    fn new() -> Agenda<S> {
        Agenda {
            steps: BTreeMap::new(),
            ticket: 0,
        }
    }

    /// Has a step taken so many seconds from now.
    fn plan(&mut self, id: &str, seconds: f64, step: S) {
        self.ticket += 1;
        let when = now() + Duration::from_secs_f64(seconds);
        self.steps
            .insert((when, self.ticket), (id.to_owned(), step));
    }

    /// Takes back those steps of this connection.
    fn drop_of(&mut self, id: &str, is_over: impl Fn(&S) -> bool) {
        self.steps
            .retain(|_, (other, step)| other != id || !is_over(step));
    }

    /// The next step whose time has come.
    fn due(&mut self) -> Option<(String, S)> {
        let entry = self.steps.first_entry();
        Some(entry.filter(|entry| entry.key().0 <= now())?.remove())
    }
}

/// The transport nodes of NSX: whatever is written they realize after a while, or fail at first.
async fn nodes(state: NsxState, record: Record, mut rng: fastrand::Rng, calm: Duration) {
    #[derive(Clone, Copy)]
    enum Step {
        Advance,
        Fail,
        Heal,
        Finish,
        TunnelUp,
        TunnelDown,
        Vanish,
        Restless(u8),
    }
    let mut known: BTreeMap<String, i64> = BTreeMap::new();
    let mut agenda: Agenda<Step> = Agenda::new();
    loop {
        let mut gone: BTreeSet<String> = known.keys().cloned().collect();
        for session in state.objects(NsxKind::Session) {
            let id = session["id"].as_str().unwrap_or_default().to_owned();
            let revision = session["_revision"].as_i64().unwrap_or_default();
            gone.remove(&id);
            let before = known.insert(id.clone(), revision);
            if before == Some(revision) {
                continue;
            }
            agenda.drop_of(&id, |step| !matches!(step, Step::Restless(_)));
            let done = 0.5 + 9.0 * rng.f64();
            if before.is_none() {
                agenda.plan(&id, 0.2 * done, Step::Advance);
                agenda.plan(&id, 0.5 * done, Step::Advance);
                match session["description"].as_str() {
                    Some(RESTLESS) => agenda.plan(&id, 12.0, Step::Restless(0)),
                    _ if rng.u8(0..8) == 0 && now() > FOUNDED => {
                        agenda.plan(&id, 1.0 + 40.0 * rng.f64(), Step::Vanish);
                    }
                    _ => {}
                }
            }
            if rng.u8(0..5) == 0 && now() < calm {
                agenda.plan(&id, 0.6 * done, Step::Fail);
                let heals = done + 25.0 * rng.f64();
                agenda.plan(&id, heals, Step::Heal);
                agenda.plan(&id, heals, Step::Finish);
                agenda.plan(&id, heals + 2.0, Step::TunnelUp);
            } else {
                agenda.plan(&id, done, Step::Finish);
                agenda.plan(&id, done + 4.0 * rng.f64(), Step::TunnelUp);
                if rng.bool() {
                    agenda.plan(&id, done + 10.0, Step::TunnelDown);
                    agenda.plan(&id, done + 20.0, Step::TunnelUp);
                }
            }
        }
        for id in gone {
            known.remove(&id);
            agenda.drop_of(&id, |_| true);
            agenda.plan(&id, 0.5 + 6.0 * rng.f64(), Step::Finish);
        }
        while let Some((id, step)) = agenda.due() {
            match step {
                Step::Advance => state.advance(&id),
                Step::Fail => {
                    let failed = ForcedState::whole("error").failing(42, "no room on the node");
                    state.force_state(&id, Some(failed));
                    record.fact(NSX, &id, What::Fails);
                }
                Step::Heal => {
                    state.force_state(&id, None);
                    record.fact(NSX, &id, What::Heals);
                }
                Step::Finish => {
                    state.finish(&id);
                    record.fact(NSX, &id, What::Applied);
                }
                Step::Vanish => {
                    state.vanish(NsxKind::Session, &id);
                    known.remove(&id);
                    agenda.drop_of(&id, |_| true);
                    record.fact(NSX, &id, What::Vanished);
                }
                Step::TunnelUp => {
                    state.set_tunnel(&id, Some(Tunnel::up(1)));
                    record.fact(NSX, &id, What::TunnelUp);
                }
                Step::TunnelDown => {
                    state.set_tunnel(&id, Some(Tunnel::down("Peer not reachable")));
                    record.fact(NSX, &id, What::TunnelDown);
                }
                Step::Restless(turn) => {
                    let word =
                        ["in_progress", "pending", "error", "unknown"][usize::from(turn % 4)];
                    let resting = now() >= calm;
                    let fails = word == "error" && !resting;
                    state.force_state(&id, (!resting).then(|| ForcedState::whole(word)));
                    if fails {
                        record.fact(NSX, &id, What::Fails);
                    } else {
                        record.fact(NSX, &id, What::Heals);
                    }
                    if !resting {
                        let next = Step::Restless(turn.wrapping_add(1));
                        agenda.plan(&id, 2.1, next);
                    }
                }
            }
        }
        sleep(GLANCE).await;
    }
}

/// The VPN agent of Neutron: takes over what was written after a while, and reports.
async fn agent(state: OpenstackState, record: Record, mut rng: fastrand::Rng, calm: Duration) {
    #[derive(Clone, Copy)]
    enum Step {
        /// The agent has it, and reports that there is no tunnel yet.
        Install,
        /// The agent has it, and its tunnel stays up.
        TakeOver,
        Up,
        Fail,
        Vanish,
    }
    let mut known: BTreeMap<String, Value> = BTreeMap::new();
    let mut agenda: Agenda<Step> = Agenda::new();
    loop {
        let mut gone: BTreeSet<String> = known.keys().cloned().collect();
        for id in state.ids(NeutronKind::Connection) {
            let Some(mut row) = state.row(NeutronKind::Connection, &id) else {
                continue;
            };
            row["status"] = Value::Null;
            gone.remove(&id);
            let before = known.insert(id.clone(), row.clone());
            if before.as_ref() == Some(&row) {
                continue;
            }
            agenda.drop_of(&id, |_| true);
            let done = 0.5 + 8.0 * rng.f64();
            if before.is_none() && rng.u8(0..8) == 0 && now() > FOUNDED {
                agenda.plan(&id, 1.0 + 40.0 * rng.f64(), Step::Vanish);
            }
            if before.is_none() && rng.u8(0..5) == 0 && now() < calm {
                agenda.plan(&id, done, Step::Fail);
                let heals = done + 1.0 + 20.0 * rng.f64();
                agenda.plan(&id, heals, Step::Install);
                agenda.plan(&id, heals + 3.0, Step::Up);
            } else if before.is_some() && rng.bool() {
                agenda.plan(&id, done, Step::TakeOver);
            } else {
                agenda.plan(&id, done, Step::Install);
                agenda.plan(&id, done + 0.5 + 6.0 * rng.f64(), Step::Up);
            }
        }
        for id in gone {
            known.remove(&id);
            agenda.drop_of(&id, |_| true);
            record.fact(OPENSTACK, &id, What::Applied);
        }
        while let Some((id, step)) = agenda.due() {
            match step {
                Step::Install => {
                    state.agent_reports(&id, "DOWN");
                    record.fact(OPENSTACK, &id, What::Heals);
                    record.fact(OPENSTACK, &id, What::TunnelDown);
                    record.fact(OPENSTACK, &id, What::Applied);
                }
                Step::Vanish => {
                    state.vanish(NeutronKind::Connection, &id);
                    known.remove(&id);
                    agenda.drop_of(&id, |_| true);
                    record.fact(OPENSTACK, &id, What::Vanished);
                }
                Step::TakeOver => record.fact(OPENSTACK, &id, What::Applied),
                Step::Up => {
                    state.agent_reports(&id, "ACTIVE");
                    record.fact(OPENSTACK, &id, What::TunnelUp);
                }
                Step::Fail => {
                    state.set_status(&id, "ERROR");
                    record.fact(OPENSTACK, &id, What::Fails);
                }
            }
        }
        sleep(GLANCE).await;
    }
}
