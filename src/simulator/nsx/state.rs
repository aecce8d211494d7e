//! The levers: what a test or the demo can do to the simulated NSX behind the API's back.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::simulator::nsx::forced::ForcedState;
use crate::simulator::nsx::inventory;
use crate::simulator::nsx::kind::Kind;
use crate::simulator::nsx::levers::Levers;
use crate::simulator::nsx::realization::Track;
use crate::simulator::nsx::runtime;
use crate::simulator::nsx::tunnel::Tunnel;
use crate::simulator::nsx::world::World;

/// The state that the managers of one cluster share. Clones share it, too.
///
/// Sessions, objects and nodes are named by id. A lever on something that does not exist does nothing.
#[derive(Clone)]
pub struct NsxState(Arc<Mutex<World>>);

impl fmt::Debug for NsxState {
    /// Prints nothing of the state, which holds passwords and pre-shared keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NsxState").finish_non_exhaustive()
    }
}

impl NsxState {
    pub(crate) fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.0
            .lock()
            .expect("no code panics while it holds the world")
    }

    // Behavior as a whole.

    /// Changes settings at runtime.
    pub fn tune(&self, change: impl FnOnce(&mut Levers)) {
        change(&mut self.world().levers);
    }

    /// The current settings.
    pub fn levers(&self) -> Levers {
        self.world().levers
    }

    // Objects.

    /// The number of objects in a collection.
    pub fn count(&self, kind: Kind) -> usize {
        self.world().objects(kind).count()
    }

    /// One object as a GET returns it.
    pub fn object(&self, kind: Kind, id: &str) -> Option<Value> {
        self.world()
            .object(kind, id)
            .map(|object| Value::Object(object.value.clone()))
    }

    /// All objects of a collection, oldest first.
    pub fn objects(&self, kind: Kind) -> Vec<Value> {
        let world = self.world();
        let mut objects: Vec<_> = world.objects(kind).map(|(_, object)| object).collect();
        objects.sort_by_key(|object| object.made);
        objects
            .into_iter()
            .map(|object| Value::Object(object.value.clone()))
            .collect()
    }

    /// The PSK that a peer endpoint was given, to check that it arrived.
    pub fn psk(&self, peer_endpoint: &str) -> Option<String> {
        self.world()
            .object(Kind::PeerEndpoint, peer_endpoint)?
            .psk
            .clone()
    }

    /// Stores an object unchecked and returns its id: `id` if it has one, otherwise a new one.
    ///
    /// A planted session has no write, so it is in sync at once.
    ///
    /// # Panics
    /// If `object` is not a JSON object.
    pub fn plant(&self, kind: Kind, object: Value) -> String {
        let Value::Object(object) = object else {
            panic!("only a JSON object can be planted")
        };
        self.world().plant(kind, object)
    }

    /// Removes an object as another client would. A session's `/state` is gone at once. Returns whether the object
    /// existed.
    pub fn vanish(&self, kind: Kind, id: &str) -> bool {
        self.world().vanish(kind, id)
    }

    /// Changes fields of an object as another client would: the revision grows, and no request id of the gateway is
    /// involved.
    ///
    /// # Panics
    /// If `fields` is not a JSON object.
    pub fn alter(&self, kind: Kind, id: &str, fields: Value) {
        let Value::Object(fields) = fields else {
            panic!("only fields can be altered")
        };
        let mut world = self.world();
        if let Some(object) = world.object_mut(kind, id) {
            let revision = object
                .value
                .get("_revision")
                .and_then(Value::as_i64)
                .unwrap_or_default();
            object.value.extend(fields);
            object
                .value
                .insert("_revision".to_owned(), json!(revision + 1));
        }
    }

    /// Gives an object to another principal. Only that principal, or a request with `X-Allow-Overwrite: true`, can
    /// change it.
    pub fn give_to(&self, kind: Kind, id: &str, principal: &str) {
        if let Some(object) = self.world().object_mut(kind, id) {
            object
                .value
                .insert("_create_user".to_owned(), json!(principal));
            object
                .value
                .insert("_protection".to_owned(), json!("REQUIRE_OVERRIDE"));
        }
    }

    /// Switches a VPN service on or off as another client would. While it is off, its sessions have no `/state`.
    pub fn set_service_enabled(&self, service: &str, enabled: bool) {
        self.alter(Kind::Service, service, json!({ "enabled": enabled }));
    }

    /// Adds a TIER1 logical router on which a service can be created.
    pub fn add_logical_router(&self, id: &str) {
        self.plant_logical_router(json!({ "id": id }));
    }

    /// Stores a logical router. It replaces an old one with the same id. Unset fields take the values of a TIER1 router
    /// that can carry a service.
    ///
    /// # Panics
    /// If `router` is not a JSON object.
    pub fn plant_logical_router(&self, router: Value) {
        let Value::Object(router) = router else {
            panic!("only a JSON object can be planted")
        };
        let router = inventory::added_router(router);
        let mut world = self.world();
        world
            .routers
            .retain(|old| old.get("id") != router.get("id"));
        world.routers.push(router);
    }

    // Realization.

    /// The ids of the transport nodes, in the order in which they realize a write.
    pub fn nodes(&self) -> Vec<String> {
        self.world().nodes.clone()
    }

    /// Realizes one step of each write that concerns this session, deleted or not. A node takes two steps.
    pub fn advance(&self, session: &str) {
        self.track(session, |track| track.advance(1));
    }

    /// Completes each write that concerns this session. A deletion is then finished.
    pub fn finish(&self, session: &str) {
        self.track(session, |track| track.advance(u32::MAX));
    }

    /// Realizes one step of each write of every session.
    pub fn advance_all(&self) {
        let mut world = self.world();
        let world = &mut *world;
        let graves = world.graves.iter_mut().map(|grave| &mut grave.track);
        for track in world.tracks.values_mut().chain(graves) {
            track.advance(1);
        }
    }

    /// Makes one node report this state for the session, any text. `None` restores the true state.
    pub fn set_node_state(&self, session: &str, node: &str, state: Option<&str>) {
        let place = self.nodes().iter().position(|id| id == node);
        self.track(session, |track| match (place, state) {
            (Some(place), Some(state)) => {
                track.nodes.insert(place, state.to_owned());
            }
            (Some(place), None) => {
                track.nodes.remove(&place);
            }
            (None, _) => {}
        });
    }

    /// Makes `/state` report this for the session. `None` restores the true state.
    pub fn force_state(&self, session: &str, forced: Option<ForcedState>) {
        self.track(session, |track| track.forced = forced);
    }

    /// Makes `/state` answer 404 for a session that exists, or lets it answer again.
    pub fn set_state_missing(&self, session: &str, missing: bool) {
        let mut world = self.world();
        if missing {
            world.stateless.insert(session.to_owned());
        } else {
            world.stateless.remove(session);
        }
    }

    // Tunnels.

    /// Makes `/status` and `/statistics` report this for the session. `None` restores the true state.
    ///
    /// Its counters start here, or go on if a tunnel was already up.
    pub fn set_tunnel(&self, session: &str, tunnel: Option<Tunnel>) {
        let mut world = self.world();
        let up = tunnel
            .as_ref()
            .and_then(|tunnel| tunnel.status.as_deref())
            .is_some_and(|status| matches!(status, "UP" | "DEGRADED"));
        let meter = world.meter_mut(session);
        meter.up_since = meter.up_since.or(Some(Instant::now())).filter(|_| up);
        match tunnel {
            Some(tunnel) => world.tunnels.insert(session.to_owned(), tunnel),
            None => world.tunnels.remove(session),
        };
    }

    /// Makes `/statistics` report that only the active node has answered, or that all have.
    pub fn set_partial_statistics(&self, session: &str, partial: bool) {
        self.world().meter_mut(session).partial = partial;
    }

    /// Freezes cached `/status` answers at the present state, until [`NsxState::release_cache`].
    pub fn hold_cache(&self, session: &str) {
        let mut world = self.world();
        if let Ok(answer) = runtime::status(&world, session, Some("realtime"), Instant::now()) {
            world.held_status.insert(session.to_owned(), answer);
        }
    }

    /// Lets cached `/status` answers follow the real ones again.
    pub fn release_cache(&self, session: &str) {
        self.world().held_status.remove(session);
    }

    // Logins.

    /// Ends every login session. Requests with their cookies are answered with 403.
    pub fn expire_sessions(&self) {
        self.world().accounts.expire_sessions();
    }

    /// Sets a user's password, adding the user if needed. Cookies stay valid.
    pub fn set_password(&self, user: &str, password: &str) {
        self.world().accounts.set_password(user, password);
    }

    /// Changes a user's password. The previous one stays valid until [`retire_passwords`](Self::retire_passwords).
    pub fn rotate_password(&self, user: &str, password: &str) {
        self.world().accounts.rotate_password(user, password);
    }

    /// Invalidates every password that was replaced by [`rotate_password`](Self::rotate_password).
    pub fn retire_passwords(&self) {
        self.world().accounts.retire_passwords();
    }

    /// Stops accepting this bearer token.
    pub fn reject_token(&self, token: &str) {
        self.world().accounts.reject_token(token);
    }

    /// Accepts this bearer token in addition to the known ones.
    pub fn accept_token(&self, token: &str) {
        self.world().accounts.accept_token(token);
    }

    /// Stops accepting any bearer token.
    pub fn reject_tokens(&self) {
        self.world().accounts.reject_tokens();
    }

    /// Ends every lockout before its 15 minutes are over.
    pub fn unlock(&self) {
        self.world().accounts.unlock();
    }

    /// The number of failed logins: a wrong user name or password, or a locked account. Basic authentication counts,
    /// too.
    pub fn failed_logins(&self) -> u64 {
        self.world().accounts.tally.failed_logins
    }

    /// The number of login sessions created.
    pub fn logins(&self) -> u64 {
        self.world().accounts.tally.logins
    }

    /// The number of requests refused by the rate limits.
    pub fn throttled(&self) -> u64 {
        self.world().accounts.tally.throttled
    }

    /// Applies `change` to the realization of a session, or of its deletion.
    fn track(&self, session: &str, change: impl FnOnce(&mut Track)) {
        let mut world = self.world();
        let world = &mut *world;
        if world.object(Kind::Session, session).is_some() {
            change(world.tracks.entry(session.to_owned()).or_default());
        } else if let Some(grave) = world
            .graves
            .iter_mut()
            .find(|grave| grave.session == session)
        {
            change(&mut grave.track);
        }
    }
}
