//! What a test or a demo can do to a running simulator, beyond what its API allows.

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

/// A handle on what one simulated OpenStack holds; clones are the same handle.
#[derive(Clone, Debug)]
pub struct OpenstackState(pub(crate) Arc<Shared>);

/// The agent and the rows.
impl OpenstackState {
    /// Lets the agent report a connection right after a sync (`updated_pending_status` is true).
    pub fn agent_reports(&self, id: &str, status: &str) -> ReportFate {
        agent::report(&mut self.0.cloud(), id, status, true)
    }

    /// Lets the agent report a connection without a sync before: dropped while the row is PENDING.
    pub fn agent_reports_stale(&self, id: &str, status: &str) -> ReportFate {
        agent::report(&mut self.0.cloud(), id, status, false)
    }

    /// Who moves connections from now on; what is already due stays due.
    pub fn set_pace(&self, pace: AgentPace) {
        self.0.cloud().pace = pace;
    }

    /// Writes a status past all rules: any word, documented or not. False if there is no such connection.
    ///
    /// The agent is silent about the connection until it is next changed through the API.
    pub fn set_status(&self, id: &str, status: &str) -> bool {
        self.set_attribute(Kind::Connection, id, "status", Some(Value::from(status)))
    }

    /// Makes a connection's status `null`. False if there is no such connection.
    pub fn set_status_null(&self, id: &str) -> bool {
        self.set_attribute(Kind::Connection, id, "status", Some(Value::Null))
    }

    /// Takes the key `status` out of a connection. False if there is no such connection.
    pub fn set_status_absent(&self, id: &str) -> bool {
        self.set_attribute(Kind::Connection, id, "status", None)
    }

    /// Writes any attribute of any row past all rules; none takes the key away. False if there is no such row.
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

    /// Puts a row there as it is, unchecked, as if somebody else had made it; one with its id is replaced.
    ///
    /// # Panics
    /// If `row` is no JSON object.
    pub fn plant(&self, kind: Kind, row: Value) {
        let Value::Object(fields) = row else {
            panic!("only a JSON object can be planted")
        };
        self.0.cloud().insert(kind, Row::new(fields));
    }

    /// Deletes a row behind the API's back, used or not. False if there is no such row.
    pub fn vanish(&self, kind: Kind, id: &str) -> bool {
        self.0.cloud().remove(kind, id).is_some()
    }

    /// Leaves a row out of every LIST, while GET still shows it. False if there is no such row.
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

    /// One row as it is kept, in stock Neutron's form, the key included; none if there is no such row.
    pub fn row(&self, kind: Kind, id: &str) -> Option<Value> {
        let mut cloud = self.0.cloud();
        agent::advance(&mut cloud, Instant::now());
        cloud
            .row(kind, id)
            .map(|row| Value::Object(row.fields.clone()))
    }

    /// The status of a connection now; none if it is gone or its status is no text.
    pub fn status(&self, id: &str) -> Option<String> {
        self.row(Kind::Connection, id)?["status"]
            .as_str()
            .map(str::to_owned)
    }
}

/// The service as a whole.
impl OpenstackState {
    /// Takes the VPN plugin away: its collections and its extension are 404. The rows stay.
    pub fn set_vpn_absent(&self, absent: bool) {
        self.0.cloud().vpn_absent = absent;
    }

    /// `pagination_max_limit`; none is infinite.
    pub fn set_page_cap(&self, cap: Option<usize>) {
        self.0.cloud().page_cap = cap.filter(|cap| *cap > 0);
    }

    /// What hrefs begin with instead of the request's own host, as behind a proxy: `https://inner.example`.
    pub fn set_advertised_origin(&self, origin: Option<&str>) {
        self.0.cloud().advertised = origin.map(str::to_owned);
    }

    /// Which of several `fields` in one query count.
    pub fn set_fields_taken(&self, taken: FieldsTaken) {
        self.0.cloud().fields_taken = taken;
    }

    /// How many objects of a kind a project may have; none is no limit.
    pub fn set_quota(&self, project_id: &str, kind: Kind, limit: Option<usize>) {
        self.0.cloud().limit(project_id, kind, limit);
    }

    /// Lets a router have one VPN service only, or any number again.
    ///
    /// On Open Telekom Cloud it is one, or two in its active-active scenario, which the API does not tell from the
    /// other; on K5 it is one. Each project begins with two.
    pub fn set_one_service_per_router(&self, one: bool) {
        self.0.cloud().one_service_per_router = one;
    }

    /// Teaches the server's resolver a name that `peer_address` may hold. It knows `localhost`.
    pub fn set_host(&self, name: &str, address: &str) {
        self.0
            .cloud()
            .hosts
            .insert(name.to_owned(), address.to_owned());
    }

    /// Spells `PENDING_CREATE` with a blank from now on. Only Open Telekom Cloud does so.
    pub fn set_blank_in_status(&self, blank: bool) {
        self.0.cloud().spelling.blank_in_status = blank;
    }

    /// Puts an `@` before peer ids from now on, or no longer. Only K5 does so.
    pub fn set_at_before_peer_id(&self, at: bool) {
        self.0.cloud().spelling.at_before_peer_id = at;
    }
}

/// Keystone.
impl OpenstackState {
    /// Lets every token that is out be past its time: Neutron answers 401 from now on.
    pub fn expire_all_tokens(&self) {
        self.0.identity().expire_all();
    }

    /// Revokes every token that is out. Neutron goes on taking them for
    /// [`OpenstackOptions::token_cache_time`](crate::simulator::openstack::OpenstackOptions::token_cache_time).
    pub fn revoke_all_tokens(&self) {
        self.0.identity().revoke_all(Instant::now());
    }

    /// How long tokens issued from now on are valid.
    pub fn set_token_lifetime(&self, lifetime: std::time::Duration) {
        self.0.identity().lifetime = lifetime;
    }

    /// The regions of catalogues handed out from now on; a region can name another host.
    pub fn set_regions(&self, regions: Vec<Region>) {
        self.0.identity().regions = regions;
    }

    /// A user's roles in a project, for tokens issued from now on; without any, the project is refused to the user.
    ///
    /// Tokens that are out keep their roles, as cached ones do. False if there is no such user.
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

    /// The same, and for tokens that are out: what a server does once it has forgotten what it knew of a token, which
    /// stays valid with the roles that its user has now.
    pub fn set_roles_at_once(&self, user: &str, project_id: &str, roles: &[&str]) -> bool {
        if !self.set_roles(user, project_id, roles) {
            return false;
        }
        self.0.identity().tokens_take_roles(user, project_id);
        true
    }

    /// Gives the user, or the application credential, of this id another password, or secret. The one before is good, too,
    /// until [`retire_secrets`](Self::retire_secrets). False if there is none of that id.
    ///
    /// Keystone itself gives a credential no other secret; those who rotate one make another credential.
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

    /// Takes no secret any more that was rotated.
    pub fn retire_secrets(&self) {
        self.0.identity().retiring.clear();
    }

    /// How many tokens were asked for so far, and with what result.
    pub fn logins(&self) -> LoginCounts {
        self.0.identity().logins
    }
}
