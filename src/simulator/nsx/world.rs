//! The objects of one NSX and the operations on them. No sockets, and no clock of its own.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::simulator::chance;
use crate::simulator::nsx::accounts::Accounts;
use crate::simulator::nsx::inventory;
use crate::simulator::nsx::kind::Kind;
use crate::simulator::nsx::levers::{Levers, PskOnUpdate};
use crate::simulator::nsx::realization::{Course, Track};
use crate::simulator::nsx::refusal::Refusal;
use crate::simulator::nsx::statistics::Meter;
use crate::simulator::nsx::tunnel::Tunnel;

/// The state that the managers of one cluster share.
pub(crate) struct World {
    pub(crate) levers: Levers,
    pub(crate) accounts: Accounts,
    /// Transport node ids.
    pub(crate) nodes: Vec<String>,
    /// The logical routers, in list order.
    pub(crate) routers: Vec<Map<String, Value>>,
    objects: HashMap<Kind, HashMap<String, Object>>,
    /// Number of objects created so far. It also gives the order of a list.
    made: u64,
    /// The realization of each session.
    pub(crate) tracks: HashMap<String, Track>,
    /// Recently deleted sessions, newest first.
    pub(crate) graves: VecDeque<Grave>,
    /// Sessions that exist and whose `/state` is not found all the same.
    pub(crate) stateless: HashSet<String>,
    /// Tunnels to report in place of the true ones.
    pub(crate) tunnels: HashMap<String, Tunnel>,
    /// When the counters of each session's tunnels start.
    meters: HashMap<String, Meter>,
    /// An instant of the simulator's clock and the wall-clock time at that instant, in milliseconds since 1970.
    founded: (Instant, u64),
    /// Cached `/status` answers that are frozen.
    pub(crate) held_status: HashMap<String, Value>,
}

/// One stored object. Its PSK is stored separately, so that no answer can carry it by accident.
pub(crate) struct Object {
    pub(crate) value: Map<String, Value>,
    pub(crate) psk: Option<String>,
    pub(crate) made: u64,
    /// The request ids of the newest writes, oldest first.
    writes: Vec<String>,
}

/// A deleted session, and how far the nodes have forgotten it.
pub(crate) struct Grave {
    pub(crate) session: String,
    pub(crate) track: Track,
    pub(crate) router: String,
    /// The endpoints that the session used.
    endpoints: [(Kind, String); 2],
}

/// Who writes, and under which request id.
#[derive(Clone, Copy)]
pub(crate) struct Actor<'a> {
    pub(crate) user: &'a str,
    pub(crate) request_id: &'a str,
    /// `X-Allow-Overwrite: true`.
    pub(crate) overwrite: bool,
    pub(crate) now: Instant,
}

impl World {
    pub(crate) fn new(levers: Levers, nodes: usize) -> Self {
        let mut world = Self {
            levers,
            accounts: Accounts::default(),
            nodes: inventory::nodes(nodes),
            routers: inventory::routers(),
            objects: HashMap::new(),
            made: 0,
            tracks: HashMap::new(),
            graves: VecDeque::new(),
            stateless: HashSet::new(),
            tunnels: HashMap::new(),
            held_status: HashMap::new(),
            meters: HashMap::new(),
            founded: (Instant::now(), epoch_millis()),
        };
        for (kind, object) in inventory::objects() {
            world.plant(kind, object);
        }
        world
    }

    pub(crate) fn object(&self, kind: Kind, id: &str) -> Option<&Object> {
        self.objects.get(&kind)?.get(id)
    }

    pub(crate) fn objects(&self, kind: Kind) -> impl Iterator<Item = (&String, &Object)> {
        self.objects.get(&kind).into_iter().flatten()
    }

    pub(crate) fn object_mut(&mut self, kind: Kind, id: &str) -> Option<&mut Object> {
        self.objects.get_mut(&kind)?.get_mut(id)
    }

    pub(crate) fn read(&self, kind: Kind, id: &str) -> Result<&Object, Refusal> {
        self.object(kind, id).ok_or_else(|| Refusal::not_found(id))
    }

    pub(crate) fn create(
        &mut self,
        kind: Kind,
        body: Map<String, Value>,
        actor: Actor<'_>,
    ) -> Result<Value, Refusal> {
        let mut value = kind.accept(body, None)?;
        let psk = take_psk(&mut value);
        if psk.is_none() && needs_psk(kind, &value) {
            return Err(Refusal::fields(&["psk is required".to_owned()]));
        }
        self.resolve(kind, None, &mut value)?;
        let (id, time) = (chance::uuid().to_string(), self.epoch_millis(actor.now));
        value.insert("id".to_owned(), json!(id));
        value.entry("display_name").or_insert(json!(id));
        for (name, said) in [
            ("_create_user", json!(actor.user)),
            ("_create_time", json!(time)),
        ] {
            value.insert(name.to_owned(), said);
        }
        stamp(&mut value, actor.user, time, 0);
        value.insert("_system_owned".to_owned(), json!(false));
        value.insert("_protection".to_owned(), json!("NOT_PROTECTED"));
        let answer = Value::Object(value.clone());
        self.store(kind, &id, value, psk);
        self.wrote(kind, &id, actor);
        Ok(answer)
    }

    pub(crate) fn update(
        &mut self,
        kind: Kind,
        id: &str,
        body: Map<String, Value>,
        actor: Actor<'_>,
    ) -> Result<Value, Refusal> {
        let old = self.read(kind, id)?;
        may_change(kind, old, actor)?;
        let revision = old
            .value
            .get("_revision")
            .and_then(Value::as_i64)
            .unwrap_or_default();
        if body.get("_revision").and_then(Value::as_i64) != Some(revision) {
            return Err(Refusal::stale(self.levers.stale_status));
        }
        let mut value = kind.accept(body, Some(&old.value))?;
        if kind == Kind::Session && value.get("resource_type") != old.value.get("resource_type") {
            return Err(Refusal::fields(&[
                "resource_type cannot be changed".to_owned()
            ]));
        }
        let mut psk = take_psk(&mut value);
        if psk.is_none() && needs_psk(kind, &value) {
            if self.levers.psk_on_update == PskOnUpdate::Required {
                return Err(Refusal::fields(&["psk is required".to_owned()]));
            }
            psk = old.psk.clone();
        }
        for name in [
            "id",
            "_create_user",
            "_create_time",
            "_system_owned",
            "_protection",
        ] {
            if let Some(kept) = old.value.get(name) {
                value.insert(name.to_owned(), kept.clone());
            }
        }
        value.entry("display_name").or_insert(json!(id));
        self.resolve(kind, Some(id), &mut value)?;
        stamp(
            &mut value,
            actor.user,
            self.epoch_millis(actor.now),
            revision + 1,
        );
        let answer = Value::Object(value.clone());
        if let Some(object) = self.object_mut(kind, id) {
            object.value = value;
            object.psk = psk;
        }
        self.wrote(kind, id, actor);
        Ok(answer)
    }

    pub(crate) fn delete(
        &mut self,
        kind: Kind,
        id: &str,
        force: bool,
        actor: Actor<'_>,
    ) -> Result<(), Refusal> {
        may_change(kind, self.read(kind, id)?, actor)?;
        if !force && let Some((user_kind, user)) = self.user_of(kind, id) {
            return Err(Refusal::vpn(format!(
                "{}/{id} cannot be deleted, it is used by {}/{user}.",
                kind.type_name(),
                user_kind.type_name()
            )));
        }
        if !force && let Some(session) = self.held_by_deletion(kind, id, actor.now) {
            return Err(Refusal::still_held(kind.type_name(), id, session));
        }
        if kind == Kind::Session {
            let mut track = self.tracks.remove(id).unwrap_or_default();
            track.wrote(actor.request_id, actor.now);
            if !self.levers.delete_lingers {
                track.advance(u32::MAX);
            }
            self.bury(id, track);
        }
        self.forget(kind, id);
        Ok(())
    }

    /// A session that used this endpoint and whose deletion is not finished.
    fn held_by_deletion(&self, kind: Kind, id: &str, now: Instant) -> Option<&str> {
        let course = self.course();
        let mut graves = self.graves.iter();
        let holds = |grave: &&Grave| {
            let mut endpoints = grave.endpoints.iter();
            endpoints.any(|(of, endpoint)| *of == kind && endpoint == id)
                && !grave.track.in_sync(course, now)
        };
        let grave = graves
            .find(holds)
            .filter(|_| self.levers.delete_holds_parts);
        grave.map(|grave| grave.session.as_str())
    }

    /// Stores an object from outside the API, unchanged. It replaces an old one with the same id.
    pub(crate) fn plant(&mut self, kind: Kind, mut value: Map<String, Value>) -> String {
        let id = match value.get("id").and_then(Value::as_str) {
            Some(id) => id.to_owned(),
            None => chance::uuid().to_string(),
        };
        value.insert("id".to_owned(), json!(id));
        let psk = take_psk(&mut value);
        self.store(kind, &id, value, psk);
        id
    }

    /// Removes an object from outside the API. Nothing lingers.
    pub(crate) fn vanish(&mut self, kind: Kind, id: &str) -> bool {
        let existed = self.object(kind, id).is_some();
        if existed && kind == Kind::Session {
            let mut track = self.tracks.remove(id).unwrap_or_default();
            track.advance(u32::MAX);
            self.bury(id, track);
        }
        self.forget(kind, id);
        existed
    }

    /// Milliseconds since 1970, as NSX counts time. Follows the simulator's clock, which a test can pause.
    pub(crate) fn epoch_millis(&self, now: Instant) -> u64 {
        let (start, millis) = self.founded;
        let since = now.saturating_duration_since(start).as_millis();
        millis.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }

    pub(crate) fn meter(&self, session: &str) -> Meter {
        self.meters.get(session).copied().unwrap_or_default()
    }

    pub(crate) fn meter_mut(&mut self, session: &str) -> &mut Meter {
        self.meters.entry(session.to_owned()).or_default()
    }

    pub(crate) fn course(&self) -> Course {
        let nodes = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        Course {
            pace: self.levers.pace,
            settle: self.levers.settle,
            nodes,
        }
    }

    /// The id and the object of a session's service, if it exists.
    pub(crate) fn service_of(&self, session: &Map<String, Value>) -> Option<(&str, &Object)> {
        let id = session.get("ipsec_vpn_service_id")?.as_str()?;
        let (id, service) = self.objects.get(&Kind::Service)?.get_key_value(id)?;
        Some((id, service))
    }

    /// Records a write on the object and on every session that it is part of: those sessions track its progress.
    fn wrote(&mut self, kind: Kind, id: &str, actor: Actor<'_>) {
        if let Some(object) = self.object_mut(kind, id) {
            if object.writes.len() == WRITES_KEPT {
                object.writes.remove(0);
            }
            object.writes.push(actor.request_id.to_owned());
            // A new object is not part of any session yet.
            if object.value.get("_revision") == Some(&json!(0)) && kind != Kind::Session {
                return;
            }
        }
        if kind == Kind::Session {
            // Parts that were written before this session used them are realized together with it, not before.
            for request_id in self.writes_of_parts(id) {
                let track = self.tracks.entry(id.to_owned()).or_default();
                if !track.knows(&request_id) {
                    track.wrote(&request_id, actor.now);
                }
            }
            let track = self.tracks.entry(id.to_owned()).or_default();
            track.wrote(actor.request_id, actor.now);
            return;
        }
        let concerned = |session: &Object| {
            self.parts(&session.value)
                .iter()
                .any(|part| part.0 == kind && part.1 == id)
        };
        let sessions = self
            .objects(Kind::Session)
            .filter(|(_, session)| concerned(session));
        let sessions: Vec<_> = sessions.map(|(session, _)| session.clone()).collect();
        for session in sessions {
            self.tracks
                .entry(session)
                .or_default()
                .wrote(actor.request_id, actor.now);
        }
    }

    fn writes_of_parts(&self, session: &str) -> Vec<String> {
        let Some(session) = self.object(Kind::Session, session) else {
            return Vec::new();
        };
        let parts = self.parts(&session.value);
        let objects = parts.iter().filter_map(|(kind, id)| self.object(*kind, id));
        objects
            .flat_map(|object| object.writes.iter().cloned())
            .collect()
    }

    fn store(&mut self, kind: Kind, id: &str, value: Map<String, Value>, psk: Option<String>) {
        self.made += 1;
        let object = Object {
            value,
            psk,
            made: self.made,
            writes: Vec::new(),
        };
        self.objects
            .entry(kind)
            .or_default()
            .insert(id.to_owned(), object);
    }

    fn bury(&mut self, session: &str, track: Track) {
        let service = self
            .object(Kind::Session, session)
            .and_then(|it| self.service_of(&it.value));
        let router = service
            .map(|(_, service)| text(&service.value, "logical_router_id"))
            .unwrap_or_else(|| inventory::LOGICAL_ROUTER_ID.to_owned());
        let endpoint = |field| {
            let session = self.object(Kind::Session, session);
            session.map_or_else(String::new, |it| text(&it.value, field))
        };
        let endpoints = [
            (Kind::LocalEndpoint, endpoint("local_endpoint_id")),
            (Kind::PeerEndpoint, endpoint("peer_endpoint_id")),
        ];
        self.graves.push_front(Grave {
            session: session.to_owned(),
            track,
            router,
            endpoints,
        });
        self.graves.truncate(GRAVES_KEPT);
    }

    fn forget(&mut self, kind: Kind, id: &str) {
        self.objects.entry(kind).or_default().remove(id);
        if kind == Kind::Session {
            self.tracks.remove(id);
            self.stateless.remove(id);
            self.tunnels.remove(id);
            self.held_status.remove(id);
            self.meters.remove(id);
        }
    }
}

/// Milliseconds since 1970 by the wall clock.
fn epoch_millis() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn text(value: &Map<String, Value>, field: &str) -> String {
    value.get(field).map(text_of).unwrap_or_default()
}

pub(crate) fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn take_psk(value: &mut Map<String, Value>) -> Option<String> {
    value
        .remove("psk")
        .map(|psk| text_of(&psk))
        .filter(|psk| !psk.is_empty())
}

fn needs_psk(kind: Kind, value: &Map<String, Value>) -> bool {
    kind == Kind::PeerEndpoint
        && value
            .get("authentication_mode")
            .is_some_and(|mode| mode == "PSK")
}

fn stamp(value: &mut Map<String, Value>, user: &str, time: u64, revision: i64) {
    value.insert("_last_modified_user".to_owned(), json!(user));
    value.insert("_last_modified_time".to_owned(), json!(time));
    value.insert("_revision".to_owned(), json!(revision));
}

fn may_change(kind: Kind, object: &Object, actor: Actor<'_>) -> Result<(), Refusal> {
    let says = |field: &str, said: &Value| object.value.get(field) == Some(said);
    if says("_system_owned", &json!(true)) {
        return Err(Refusal::not_owner(actor.user, kind.type_name(), "system"));
    }
    let owner = text(&object.value, "_create_user");
    let protected = says("_protection", &json!("PROTECTED"))
        || says("_protection", &json!("REQUIRE_OVERRIDE")) && !actor.overwrite;
    if protected && owner != actor.user {
        return Err(Refusal::not_owner(actor.user, kind.type_name(), &owner));
    }
    Ok(())
}

const WRITES_KEPT: usize = 16;
const GRAVES_KEPT: usize = 1_000;
