//! The levers: what a test or the demo can do to a running simulator beyond what its API allows.

use std::sync::Arc;

use serde_json::Value;
use tokio::time::Instant;

use crate::simulator::openstack::agent;
use crate::simulator::openstack::identity::{Identity, LoginCounts, Region};
use crate::simulator::openstack::kinds::Kind;
use crate::simulator::openstack::listing::FieldsTaken;
use crate::simulator::openstack::memo::{AgentPace, ReportFate};
use crate::simulator::openstack::row::Row;
use crate::simulator::openstack::shared::Shared;

/// A handle on the state of one simulated OpenStack. Clones share the state.
#[derive(Clone, Debug)]
pub struct OpenstackState(pub(crate) Arc<Shared>);

/// The agent and the rows.
impl OpenstackState {
    /// Makes the agent report a connection right after a sync (`updated_pending_status` is true).
    pub fn agent_reports(&self, id: &str, status: &str) -> ReportFate {
        agent::report(&mut self.0.cloud(), id, status, true)
    }

    /// Makes the agent report a connection without a preceding sync. The report is dropped while the row is PENDING.
    pub fn agent_reports_stale(&self, id: &str, status: &str) -> ReportFate {
        agent::report(&mut self.0.cloud(), id, status, false)
    }

    /// Sets what moves connections. Reports that are already due stay due.
    pub fn set_pace(&self, pace: AgentPace) {
        self.0.cloud().pace = pace;
    }

    /// Sets the status of a connection to any word, documented or not, without checks. Returns false if there is no
    /// such connection.
    ///
    /// The agent then reports nothing about the connection until the API changes it.
    pub fn set_status(&self, id: &str, status: &str) -> bool {
        self.set_attribute(Kind::Connection, id, "status", Some(Value::from(status)))
    }

    /// Sets the status of a connection to `null`. Returns false if there is no such connection.
    pub fn set_status_null(&self, id: &str) -> bool {
        self.set_attribute(Kind::Connection, id, "status", Some(Value::Null))
    }

    /// Removes the key `status` from a connection. Returns false if there is no such connection.
    pub fn set_status_absent(&self, id: &str) -> bool {
        self.set_attribute(Kind::Connection, id, "status", None)
    }

    /// Sets any attribute of any row, without checks. `None` removes the key. Returns false if there is no such row.
    pub fn set_attribute(&self, kind: Kind, id: &str, name: &str, value: Option<Value>) -> bool {
        let mut cloud = self.0.cloud();
        let Some(row) = cloud.row_mut(kind, id) else {
            return false;
        };
        row.agent.fall_silent();
        match value {
            Some(value) => row.set(name, value),
            None => drop(row.fields.remove(name)),
        }
        true
    }

    /// Stores a row unchecked, as if another client had created it. It replaces a row with the same id.
    ///
    /// # Panics
    /// If `row` is not a JSON object.
    pub fn plant(&self, kind: Kind, row: Value) {
        let Value::Object(fields) = row else {
            panic!("only a JSON object can be planted")
        };
        self.0.cloud().insert(kind, Row::new(fields));
    }

    /// Deletes a row behind the API's back, even if it is in use. Returns false if there is no such row.
    pub fn vanish(&self, kind: Kind, id: &str) -> bool {
        self.0.cloud().remove(kind, id).is_some()
    }

    /// Hides a row from every LIST, while GET still returns it, or shows it again. Returns false if there is no such
    /// row.
    pub fn hide_from_list(&self, kind: Kind, id: &str, hidden: bool) -> bool {
        self.0
            .cloud()
            .row_mut(kind, id)
            .map(|row| row.unlisted = hidden)
            .is_some()
    }

    /// The ids of a kind in all projects, sorted.
    pub fn ids(&self, kind: Kind) -> Vec<String> {
        self.0.cloud().ids(kind)
    }

    /// One row as stored, in stock Neutron's form, PSK included. `None` if there is no such row.
    pub fn row(&self, kind: Kind, id: &str) -> Option<Value> {
        let mut cloud = self.0.cloud();
        agent::advance(&mut cloud, Instant::now());
        cloud
            .row(kind, id)
            .map(|row| Value::Object(row.fields.clone()))
    }

    /// The current status of a connection. `None` if the connection is gone or its status is not a string.
    pub fn status(&self, id: &str) -> Option<String> {
        self.row(Kind::Connection, id)?["status"]
            .as_str()
            .map(str::to_owned)
    }
}

/// The service as a whole.
impl OpenstackState {
    /// Unloads the VPN plugin, or loads it again. While it is absent, its collections and its extensions are 404. The
    /// rows stay.
    pub fn set_vpn_absent(&self, absent: bool) {
        self.0.cloud().vpn_absent = absent;
    }

    /// `pagination_max_limit`. `None` is infinite.
    pub fn set_page_cap(&self, cap: Option<usize>) {
        self.0.cloud().page_cap = cap.filter(|cap| *cap > 0);
    }

    /// Sets the start of hrefs in place of the request's own host, as behind a proxy: `https://inner.example`.
    pub fn set_advertised_origin(&self, origin: Option<&str>) {
        self.0.cloud().advertised = origin.map(str::to_owned);
    }

    /// Sets which of several `fields` in one query count.
    pub fn set_fields_taken(&self, taken: FieldsTaken) {
        self.0.cloud().fields_taken = taken;
    }

    /// Limits how many objects of a kind a project can have. `None` is no limit.
    pub fn set_quota(&self, project_id: &str, kind: Kind, limit: Option<usize>) {
        self.0.cloud().limit(project_id, kind, limit);
    }

    /// Limits a router to one VPN service, or lifts that limit.
    ///
    /// Open Telekom Cloud allows one, or two in its active-active scenario, and its API does not distinguish the two
    /// cases. K5 allows one. Each project starts with two services on its router.
    pub fn set_one_service_per_router(&self, one: bool) {
        self.0.cloud().one_service_per_router = one;
    }

    /// Adds a host name to the server's resolver, for use in `peer_address`. The resolver always knows `localhost`.
    pub fn set_host(&self, name: &str, address: &str) {
        self.0
            .cloud()
            .hosts
            .insert(name.to_owned(), address.to_owned());
    }

    /// Sets whether `PENDING_CREATE` is spelled with a blank. Only Open Telekom Cloud does so.
    pub fn set_blank_in_status(&self, blank: bool) {
        self.0.cloud().spelling.blank_in_status = blank;
    }

    /// Sets whether peer ids start with an `@`. Only K5 does so.
    pub fn set_at_before_peer_id(&self, at: bool) {
        self.0.cloud().spelling.at_before_peer_id = at;
    }
}

/// Keystone.
impl OpenstackState {
    /// Expires every issued token. Neutron answers 401 to requests with them.
    pub fn expire_all_tokens(&self) {
        self.0.identity().expire_all();
    }

    /// Revokes every issued token. Neutron still accepts them for
    /// [`OpenstackOptions::token_cache_time`](crate::simulator::openstack::OpenstackOptions::token_cache_time).
    pub fn revoke_all_tokens(&self) {
        self.0.identity().revoke_all(Instant::now());
    }

    /// Sets the lifetime of tokens issued from here on.
    pub fn set_token_lifetime(&self, lifetime: std::time::Duration) {
        self.0.identity().lifetime = lifetime;
    }

    /// Sets the regions in the catalogues of later tokens. A region can name another host.
    pub fn set_regions(&self, regions: Vec<Region>) {
        self.0.identity().regions = regions;
    }

    /// Sets a user's roles in a project, for tokens issued from here on. Without any role, Keystone refuses the project
    /// to the user.
    ///
    /// Issued tokens keep their roles, as cached ones do. Returns false if there is no such user.
    pub fn set_roles(&self, user: &str, project_id: &str, roles: &[&str]) -> bool {
        let mut identity = self.0.identity();
        let Some(user) = identity.users.iter_mut().find(|known| known.name == user) else {
            return false;
        };
        user.roles.insert(
            project_id.to_owned(),
            roles.iter().map(|role| (*role).to_owned()).collect(),
        );
        true
    }

    /// As [`set_roles`](Self::set_roles), and applies the roles to issued tokens, too. A real server does this once its
    /// cache has dropped the token: the token stays valid, with the user's current roles.
    pub fn set_roles_at_once(&self, user: &str, project_id: &str, roles: &[&str]) -> bool {
        if !self.set_roles(user, project_id, roles) {
            return false;
        }
        self.0.identity().tokens_take_roles(user, project_id);
        true
    }

    /// Changes the password of the user, or the secret of the application credential, with this id. The previous one
    /// stays valid until [`retire_secrets`](Self::retire_secrets). Returns false if there is no such id.
    ///
    /// Keystone itself cannot change the secret of a credential. Its clients rotate by creating a new credential.
    pub fn rotate_secret(&self, id: &str, secret: &str) -> bool {
        let mut identity = self.0.identity();
        let Identity {
            users,
            application_credentials,
            retiring,
            ..
        } = &mut *identity;
        let user = users.iter_mut().find(|user| user.id == id);
        let credential = application_credentials.iter_mut().find(|it| it.id == id);
        let credential = credential.map(|credential| &mut credential.secret);
        let Some(known) = user.map(|user| &mut user.password).or(credential) else {
            return false;
        };
        retiring.insert(id.to_owned(), std::mem::replace(known, secret.to_owned()));
        true
    }

    /// Invalidates every secret that was replaced by [`rotate_secret`](Self::rotate_secret).
    pub fn retire_secrets(&self) {
        self.0.identity().retiring.clear();
    }

    /// The number of token requests so far, by result.
    pub fn logins(&self) -> LoginCounts {
        self.0.identity().logins
    }
}
