//! The tables of one Neutron: rows, their visibility and the references between them. No I/O.

use std::collections::{BTreeMap, HashMap};

use crate::simulator::openstack::kinds::Kind;
use crate::simulator::openstack::listing::FieldsTaken;
use crate::simulator::openstack::memo::AgentPace;
use crate::simulator::openstack::reply::Refusal;
use crate::simulator::openstack::row::Row;
use crate::simulator::openstack::topology::Network;
use crate::simulator::openstack::variant::{Series, Spelling, Variant};

/// One Neutron with all its data.
#[derive(Debug)]
pub(crate) struct Cloud {
    pub(crate) variant: Variant,
    pub(crate) series: Series,
    pub(crate) spelling: Spelling,
    pub(crate) pace: AgentPace,
    /// `pagination_max_limit`: caps `limit`, and pages a LIST without one.
    pub(crate) page_cap: Option<usize>,
    /// Which of several `fields` count.
    pub(crate) fields_taken: FieldsTaken,
    /// Replaces the request's own host in hrefs.
    pub(crate) advertised: Option<String>,
    /// Whether a router can have only one VPN service.
    pub(crate) one_service_per_router: bool,
    /// Whether the VPN service plugin is not loaded.
    pub(crate) vpn_absent: bool,
    /// Limits by project and kind. A missing entry means no limit.
    pub(crate) quotas: HashMap<(String, Kind), usize>,
    /// Host names that `peer_address` can hold, and their addresses.
    pub(crate) hosts: HashMap<String, String>,
    pub(crate) network: Network,
    tables: HashMap<Kind, BTreeMap<String, Row>>,
}

/// The authenticated sender of a request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The project of the token. `None` for an unscoped token.
    pub(crate) project: Option<String>,
    pub(crate) roles: Vec<String>,
}

impl Caller {
    pub(crate) fn is_admin(&self) -> bool {
        self.roles.iter().any(|role| role == "admin")
    }

    /// Whether policy allows the caller to use VPN resources: an admin or a member, even to read (since 2025.2).
    pub(crate) fn may_use_vpn(&self) -> bool {
        self.is_admin()
            || (self.project.is_some() && self.roles.iter().any(|role| role == "member"))
    }

    /// Whether the project is in the caller's scope. Policy is checked separately.
    pub(crate) fn reaches(&self, project: &str) -> bool {
        self.is_admin() || self.project.as_deref() == Some(project)
    }
}

impl Cloud {
    pub(crate) fn new(variant: Variant, series: Series, pace: AgentPace, network: Network) -> Self {
        Self {
            variant,
            series,
            spelling: Spelling::default(),
            pace,
            page_cap: None,
            fields_taken: FieldsTaken::default(),
            advertised: None,
            one_service_per_router: false,
            vpn_absent: false,
            quotas: HashMap::new(),
            hosts: HashMap::from([("localhost".to_owned(), "127.0.0.1".to_owned())]),
            network,
            tables: HashMap::new(),
        }
    }

    /// The rows of a kind, ordered by id as in InnoDB.
    pub(crate) fn rows(&self, kind: Kind) -> impl DoubleEndedIterator<Item = &Row> {
        self.tables
            .get(&kind)
            .into_iter()
            .flat_map(BTreeMap::values)
    }

    pub(crate) fn ids(&self, kind: Kind) -> Vec<String> {
        self.rows(kind)
            .map(|row| row.text("id").to_owned())
            .collect()
    }

    pub(crate) fn row(&self, kind: Kind, id: &str) -> Option<&Row> {
        self.tables.get(&kind)?.get(id)
    }

    pub(crate) fn row_mut(&mut self, kind: Kind, id: &str) -> Option<&mut Row> {
        self.tables.get_mut(&kind)?.get_mut(id)
    }

    pub(crate) fn insert(&mut self, kind: Kind, row: Row) {
        self.tables
            .entry(kind)
            .or_default()
            .insert(row.text("id").to_owned(), row);
    }

    pub(crate) fn remove(&mut self, kind: Kind, id: &str) -> Option<Row> {
        self.tables.get_mut(&kind)?.remove(id)
    }

    /// Returns a row in the caller's scope. A row of another project is as absent as one that never existed.
    pub(crate) fn scoped(&self, caller: &Caller, kind: Kind, id: &str) -> Result<&Row, Refusal> {
        let row = self
            .row(kind, id)
            .filter(|row| caller.reaches(row.text("tenant_id")));
        row.ok_or_else(|| kind.not_found(id))
    }

    /// Returns a row that the caller can see. A row hidden by policy is a different 404 than an absent one.
    pub(crate) fn visible(&self, caller: &Caller, kind: Kind, id: &str) -> Result<&Row, Refusal> {
        let row = self.scoped(caller, kind, id)?;
        if caller.may_use_vpn() {
            Ok(row)
        } else {
            Err(Refusal::hidden())
        }
    }

    /// The rows that a LIST returns. A caller without permission to read gets none, with 200.
    pub(crate) fn listed(&self, caller: &Caller, kind: Kind) -> Vec<&Row> {
        let shown = |row: &&Row| {
            caller.may_use_vpn() && !row.unlisted && caller.reaches(row.text("tenant_id"))
        };
        self.rows(kind).filter(shown).collect()
    }

    /// Returns 409 if one more object would exceed the project's quota.
    pub(crate) fn within_quota(&self, kind: Kind, project: &str) -> Result<(), Refusal> {
        let limit = self.quotas.get(&(project.to_owned(), kind));
        if limit.is_none_or(|limit| self.used(kind, project) < *limit) {
            return Ok(());
        }
        let message = format!("Quota exceeded for resources: ['{}'].", kind.singular());
        Err(Refusal::new(409, "OverQuota", message))
    }

    /// The number of objects of a kind in a project.
    pub(crate) fn used(&self, kind: Kind, project: &str) -> usize {
        self.rows(kind)
            .filter(|row| row.text("tenant_id") == project)
            .count()
    }

    /// Limits how many objects of a kind a project can have. `None` is no limit.
    pub(crate) fn limit(&mut self, project: &str, kind: Kind, limit: Option<usize>) {
        let key = (project.to_owned(), kind);
        match limit {
            Some(limit) => drop(self.quotas.insert(key, limit)),
            None => drop(self.quotas.remove(&key)),
        }
    }

    /// The first connection whose attribute holds this id.
    pub(crate) fn user_of(&self, attribute: &str, id: &str) -> Option<&Row> {
        self.rows(Kind::Connection)
            .find(|row| row.text(attribute) == id)
    }
}
