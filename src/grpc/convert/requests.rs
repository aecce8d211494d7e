//! What each RPC of `ConnectionService` asks for. `TryFrom` reports every violation of a request at once.

use crate::{
    core::{
        error::{Error, Result},
        listing::Query,
    },
    grpc::{
        convert::{Problems, change::change, spec::spec},
        pb,
    },
    model::{BackendName, ConnectionChange, ConnectionName, ConnectionSpec},
};

/// How many connections a page has if the caller does not say.
const DEFAULT_PAGE_SIZE: u32 = 50;

/// How many connections a page has at most; more is taken as this.
const MAX_PAGE_SIZE: u32 = 1_000;

/// `GetConnection`.
#[derive(Debug)]
pub struct Get {
    /// Which.
    pub name: ConnectionName,
}

/// `ListConnections`.
#[derive(Debug)]
pub struct List {
    /// What to list; `size` is 1 to 1,000.
    pub query: Query,
}

/// `CreateConnection`.
#[derive(Debug)]
pub struct Create {
    /// Where.
    pub backend: BackendName,
    /// What.
    pub spec: ConnectionSpec,
    /// Check only.
    pub validate_only: bool,
}

/// `UpdateConnection`.
#[derive(Debug)]
pub struct Update {
    /// Which.
    pub name: ConnectionName,
    /// What changes.
    pub change: ConnectionChange,
    /// Check only.
    pub validate_only: bool,
}

/// `DeleteConnection`.
#[derive(Debug)]
pub struct Delete {
    /// Which.
    pub name: ConnectionName,
    /// What the caller believes is current.
    pub etag: Option<String>,
    /// Nothing to remove is as good as removed.
    pub allow_missing: bool,
}

impl TryFrom<pb::GetConnectionRequest> for Get {
    type Error = Error;

    fn try_from(request: pb::GetConnectionRequest) -> Result<Get> {
        let mut problems = Problems::default();
        let name = problems.connection_name("name", &request.name);
        problems.finish(name.map(|name| Get { name }))
    }
}

impl TryFrom<pb::ListConnectionsRequest> for List {
    type Error = Error;

    fn try_from(request: pb::ListConnectionsRequest) -> Result<List> {
        let mut problems = Problems::default();
        let parent = problems.parent("parent", &request.parent);
        let size = match u32::try_from(request.page_size) {
            Ok(0) => DEFAULT_PAGE_SIZE,
            Ok(size) => size.min(MAX_PAGE_SIZE),
            Err(_) => {
                problems.add("page_size", "must not be negative");
                DEFAULT_PAGE_SIZE
            }
        };
        let filter = read(request.filter.parse(), "filter", &mut problems);
        let order = read(request.order_by.parse(), "order_by", &mut problems);
        problems.finish(parent.map(|parent| List {
            query: Query {
                parent,
                size,
                filter,
                order,
                page_token: request.page_token,
            },
        }))
    }
}

fn read<T: Default>(
    read: std::result::Result<T, String>,
    field: &str,
    problems: &mut Problems,
) -> T {
    read.unwrap_or_else(|wrong| {
        problems.add(field, wrong);
        T::default()
    })
}

impl TryFrom<pb::CreateConnectionRequest> for Create {
    type Error = Error;

    fn try_from(request: pb::CreateConnectionRequest) -> Result<Create> {
        let mut problems = Problems::default();
        let backend = problems.backend_name("parent", &request.parent);
        let Some(connection) = request.connection else {
            problems.add("connection", "is required");
            return problems.finish(None);
        };
        if !connection.name.is_empty() {
            problems.add("name", "must be empty: the cloud chooses the id");
        }
        require(&connection, &mut problems);
        let spec = spec(connection, backend.as_ref(), &mut problems);
        problems.finish(backend.map(|backend| Create {
            backend,
            spec,
            validate_only: request.validate_only,
        }))
    }
}

/// Notes what a new connection lacks on either cloud.
fn require(connection: &pb::Connection, problems: &mut Problems) {
    match &connection.peer {
        None => problems.add("peer", "is required"),
        Some(peer) => {
            if peer.address.is_empty() {
                problems.add("peer.address", "is required");
            }
            if peer.authentication.is_none() {
                problems.add("peer.psk", "is required, or `peer.certificate`");
            }
        }
    }
    if connection.selectors.is_none() {
        problems.add("policy_based", "is required, or `route_based`");
    }
}

impl TryFrom<pb::UpdateConnectionRequest> for Update {
    type Error = Error;

    fn try_from(request: pb::UpdateConnectionRequest) -> Result<Update> {
        let mut problems = Problems::default();
        let Some(connection) = request.connection else {
            problems.add("connection", "is required");
            return problems.finish(None);
        };
        let name = problems.connection_name("name", &connection.name);
        let backend = name.as_ref().map(|name| &name.backend);
        let change = change(connection, request.update_mask, backend, &mut problems);
        problems.finish(name.map(|name| Update {
            name,
            change,
            validate_only: request.validate_only,
        }))
    }
}

impl TryFrom<pb::DeleteConnectionRequest> for Delete {
    type Error = Error;

    fn try_from(request: pb::DeleteConnectionRequest) -> Result<Delete> {
        let mut problems = Problems::default();
        let name = problems.connection_name("name", &request.name);
        let etag = (!request.etag.is_empty()).then_some(request.etag);
        problems.finish(name.map(|name| Delete {
            name,
            etag,
            allow_missing: request.allow_missing,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{grpc::convert::fields_at_fault, model::Parent};

    #[test]
    fn page_sizes_are_bounded() {
        for (asked, size) in [(0, 50), (1, 1), (1_000, 1_000), (i32::MAX, 1_000)] {
            let list = List::try_from(pb::ListConnectionsRequest {
                parent: "backends/-".to_owned(),
                page_size: asked,
                ..Default::default()
            })
            .unwrap();
            assert_eq!((list.query.size, list.query.parent), (size, Parent::Every));
        }
        assert_eq!(
            fields_at_fault(List::try_from(pb::ListConnectionsRequest {
                parent: "x".to_owned(),
                page_size: -1,
                filter: "colour=red".to_owned(),
                order_by: "colour".to_owned(),
                ..Default::default()
            })),
            ["parent", "page_size", "filter", "order_by"]
        );
    }

    #[test]
    fn a_new_connection_is_checked_as_a_whole() {
        let create = |connection| {
            Create::try_from(pb::CreateConnectionRequest {
                parent: "backends/-".to_owned(),
                connection,
                validate_only: false,
            })
        };
        assert_eq!(fields_at_fault(create(None)), ["parent", "connection"]);
        assert_eq!(
            fields_at_fault(create(Some(pb::Connection {
                name: "backends/a/connections/c".to_owned(),
                peer: Some(pb::Peer::default()),
                mtu: Some(1400),
                initiation: 9,
                ..Default::default()
            }))),
            [
                "parent",
                "name",
                "peer.address",
                "peer.psk",
                "policy_based",
                "initiation"
            ]
        );
        assert_eq!(
            fields_at_fault(create(Some(pb::Connection::default()))),
            ["parent", "peer", "policy_based"]
        );
    }

    #[test]
    fn an_update_names_its_connection_and_stays_in_its_backend() {
        let update = |name: &str| {
            Update::try_from(pb::UpdateConnectionRequest {
                connection: Some(pb::Connection {
                    name: name.to_owned(),
                    ike_policy: "backends/b/ikePolicies/i".to_owned(),
                    ..Default::default()
                }),
                ..Default::default()
            })
        };
        assert_eq!(
            fields_at_fault(update("backends/a/connections/c")),
            ["ike_policy"]
        );
        assert_eq!(fields_at_fault(update("")), ["name"]);
        assert!(update("backends/b/connections/c").is_ok());
    }

    #[test]
    fn no_key_is_in_what_a_request_prints() {
        let request = pb::CreateConnectionRequest {
            parent: "backends/a".to_owned(),
            connection: Some(pb::Connection {
                peer: Some(pb::Peer {
                    address: "192.0.2.1".to_owned(),
                    authentication: Some(pb::peer::Authentication::Psk("canary".to_owned())),
                    ..Default::default()
                }),
                selectors: Some(pb::connection::Selectors::PolicyBased(pb::PolicyBased {
                    rules: vec![pb::PolicyRule::default()],
                    ..Default::default()
                })),
                ..Default::default()
            }),
            validate_only: true,
        };
        assert!(!format!("{request:?}").contains("canary"));
        let create = Create::try_from(request).unwrap();
        assert!(!format!("{create:?}").contains("canary"));
        assert!(create.validate_only);
    }
}
