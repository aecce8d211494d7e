//! The two clouds: their servers, and what goes on in them by itself. Each knows the truth and writes it down.

mod estate;

pub use estate::{Object, router_of, unused};

use crate::{
    network::serve,
    record::{Record, What, now},
};
use isthmus::{
    core::settings::PollSettings,
    dialects::settings::Given,
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
/// What the names of connections begin with that are made with everything they need.
pub const COMPOSITE: &str = "composite ";
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

/// Whether this was made with everything it needs. Such a one does not vanish by itself: nobody could say what is left then.
fn is_composite(row: &Value) -> bool {
    let names = ["display_name", "name"].iter();
    let mut names = names.filter_map(|name| row[*name].as_str());
    names.any(|name| name.starts_with(COMPOSITE))
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

/// Both backends.
pub fn backends() -> Vec<Given> {
    let given = |name: &'static str| {
        let mut given = Given::new(name.parse().unwrap(), name);
        given.core.timeout = Duration::from_secs(4);
        given.core.poll = POLL;
        given
    };
    let nsx = NsxOptions::default();
    let inventory = Inventory::fixed();
    vec![
        given(NSX)
            .with("url", "http://nsx:80")
            .with("auth.kind", "session")
            .with("auth.username", nsx.username)
            .with("auth.password", nsx.password),
        given(OPENSTACK)
            .with("variant", "neutron")
            .with("auth.kind", "password")
            .with("auth.username", inventory.member.name)
            .with("auth.password", inventory.member.password)
            .with("auth.auth_url", "http://openstack:5000")
            .with("auth.project_name", inventory.project.project_name)
            .with("auth.user_domain_id", "default")
            .with("auth.project_domain_id", "default"),
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
async fn nodes(state: NsxState, record: Record, rng: fastrand::Rng, calm: Duration) {
    let mut nodes = Nodes {
        state,
        record,
        rng,
        calm,
        known: BTreeMap::new(),
        agenda: Agenda::new(),
    };
    loop {
        nodes.plan();
        while let Some((id, step)) = nodes.agenda.due() {
            nodes.take(&id, step);
        }
        sleep(GLANCE).await;
    }
}

#[derive(Clone, Copy)]
enum NodeStep {
    Advance,
    Fail,
    Heal,
    Finish,
    TunnelUp,
    TunnelDown,
    Vanish,
    Restless(u8),
}

struct Nodes {
    state: NsxState,
    record: Record,
    rng: fastrand::Rng,
    calm: Duration,
    /// The revisions of the sessions there are.
    known: BTreeMap<String, i64>,
    agenda: Agenda<NodeStep>,
}

impl Nodes {
    /// Plans what follows from what was written and removed.
    fn plan(&mut self) {
        let mut gone: BTreeSet<String> = self.known.keys().cloned().collect();
        for session in self.state.objects(NsxKind::Session) {
            let id = session["id"].as_str().unwrap_or_default().to_owned();
            let revision = session["_revision"].as_i64().unwrap_or_default();
            gone.remove(&id);
            let before = self.known.insert(id.clone(), revision);
            if before != Some(revision) {
                self.plan_for(&id, &session, before.is_none());
            }
        }
        for id in gone {
            self.known.remove(&id);
            self.agenda.drop_of(&id, |_| true);
            let end = 0.5 + 6.0 * self.rng.f64();
            self.agenda.plan(&id, end, NodeStep::Finish);
        }
    }

    fn plan_for(&mut self, id: &str, session: &Value, is_new: bool) {
        use NodeStep::*;
        let Nodes { agenda, rng, .. } = self;
        agenda.drop_of(id, |step| !matches!(step, Restless(_)));
        let done = 0.5 + 9.0 * rng.f64();
        if is_new {
            agenda.plan(id, 0.2 * done, Advance);
            agenda.plan(id, 0.5 * done, Advance);
            match session["description"].as_str() {
                Some(RESTLESS) => agenda.plan(id, 12.0, Restless(0)),
                _ if rng.u8(0..8) == 0 && now() > FOUNDED && !is_composite(session) => {
                    agenda.plan(id, 1.0 + 40.0 * rng.f64(), Vanish);
                }
                _ => {}
            }
        }
        if rng.u8(0..5) == 0 && now() < self.calm {
            agenda.plan(id, 0.6 * done, Fail);
            let heals = done + 25.0 * rng.f64();
            agenda.plan(id, heals, Heal);
            agenda.plan(id, heals, Finish);
            agenda.plan(id, heals + 2.0, TunnelUp);
        } else {
            agenda.plan(id, done, Finish);
            agenda.plan(id, done + 4.0 * rng.f64(), TunnelUp);
            if rng.bool() {
                agenda.plan(id, done + 10.0, TunnelDown);
                agenda.plan(id, done + 20.0, TunnelUp);
            }
        }
    }

    fn take(&mut self, id: &str, step: NodeStep) {
        let state = &self.state;
        let became = match step {
            NodeStep::Advance => return state.advance(id),
            NodeStep::Restless(turn) => return self.turn(id, turn),
            NodeStep::Fail => {
                let failed = ForcedState::whole("error").failing(42, "no room on the node");
                state.force_state(id, Some(failed));
                What::Fails
            }
            NodeStep::Heal => {
                state.force_state(id, None);
                What::Heals
            }
            NodeStep::Finish => {
                state.finish(id);
                What::Applied
            }
            NodeStep::Vanish => {
                state.vanish(NsxKind::Session, id);
                self.known.remove(id);
                self.agenda.drop_of(id, |_| true);
                What::Vanished
            }
            NodeStep::TunnelUp => {
                state.set_tunnel(id, Some(Tunnel::up(1)));
                What::TunnelUp
            }
            NodeStep::TunnelDown => {
                state.set_tunnel(id, Some(Tunnel::down("Peer not reachable")));
                What::TunnelDown
            }
        };
        self.record.fact(NSX, id, became);
    }

    /// A connection that never rests gets its next state.
    fn turn(&mut self, id: &str, turn: u8) {
        let word = ["in_progress", "pending", "error", "unknown"][usize::from(turn % 4)];
        let resting = now() >= self.calm;
        let forced = (!resting).then(|| ForcedState::whole(word));
        self.state.force_state(id, forced);
        let fails = word == "error" && !resting;
        let became = if fails { What::Fails } else { What::Heals };
        self.record.fact(NSX, id, became);
        if !resting {
            let next = NodeStep::Restless(turn.wrapping_add(1));
            self.agenda.plan(id, 2.1, next);
        }
    }
}

/// The VPN agent of Neutron: takes over what was written after a while, and reports.
async fn agent(state: OpenstackState, record: Record, rng: fastrand::Rng, calm: Duration) {
    let mut agent = Agent {
        state,
        record,
        rng,
        calm,
        known: BTreeMap::new(),
        agenda: Agenda::new(),
    };
    loop {
        agent.plan();
        while let Some((id, step)) = agent.agenda.due() {
            agent.take(&id, step);
        }
        sleep(GLANCE).await;
    }
}

#[derive(Clone, Copy)]
enum AgentStep {
    /// The agent has it, and reports that there is no tunnel yet.
    Install,
    /// The agent has it, and its tunnel stays up.
    TakeOver,
    Up,
    Fail,
    Vanish,
}

struct Agent {
    state: OpenstackState,
    record: Record,
    rng: fastrand::Rng,
    calm: Duration,
    /// The rows there are, but for their status.
    known: BTreeMap<String, Value>,
    agenda: Agenda<AgentStep>,
}

impl Agent {
    /// Plans what follows from what was written and removed.
    fn plan(&mut self) {
        let mut gone: BTreeSet<String> = self.known.keys().cloned().collect();
        for id in self.state.ids(NeutronKind::Connection) {
            let Some(mut row) = self.state.row(NeutronKind::Connection, &id) else {
                continue;
            };
            row["status"] = Value::Null;
            gone.remove(&id);
            let before = self.known.insert(id.clone(), row.clone());
            if before.as_ref() != Some(&row) {
                self.plan_for(&id, &row, before.is_none());
            }
        }
        for id in gone {
            self.known.remove(&id);
            self.agenda.drop_of(&id, |_| true);
            self.record.fact(OPENSTACK, &id, What::Applied);
        }
    }

    fn plan_for(&mut self, id: &str, row: &Value, is_new: bool) {
        use AgentStep::*;
        let Agent { agenda, rng, .. } = self;
        agenda.drop_of(id, |_| true);
        let done = 0.5 + 8.0 * rng.f64();
        if is_new && rng.u8(0..8) == 0 && now() > FOUNDED && !is_composite(row) {
            agenda.plan(id, 1.0 + 40.0 * rng.f64(), Vanish);
        }
        if is_new && rng.u8(0..5) == 0 && now() < self.calm {
            agenda.plan(id, done, Fail);
            let heals = done + 1.0 + 20.0 * rng.f64();
            agenda.plan(id, heals, Install);
            agenda.plan(id, heals + 3.0, Up);
        } else if !is_new && rng.bool() {
            agenda.plan(id, done, TakeOver);
        } else {
            agenda.plan(id, done, Install);
            agenda.plan(id, done + 0.5 + 6.0 * rng.f64(), Up);
        }
    }

    fn take(&mut self, id: &str, step: AgentStep) {
        let became = match step {
            AgentStep::Install => {
                self.state.agent_reports(id, "DOWN");
                self.record.fact(OPENSTACK, id, What::Heals);
                self.record.fact(OPENSTACK, id, What::TunnelDown);
                What::Applied
            }
            AgentStep::Vanish => {
                self.state.vanish(NeutronKind::Connection, id);
                self.known.remove(id);
                self.agenda.drop_of(id, |_| true);
                What::Vanished
            }
            AgentStep::TakeOver => What::Applied,
            AgentStep::Up => {
                self.state.agent_reports(id, "ACTIVE");
                What::TunnelUp
            }
            AgentStep::Fail => {
                self.state.set_status(id, "ERROR");
                What::Fails
            }
        };
        self.record.fact(OPENSTACK, id, became);
    }
}
