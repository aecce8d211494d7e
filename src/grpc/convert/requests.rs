//! Requests of `ConnectionService`. All violations of a request are reported at once.

use crate::{
    core::{
        error::{Error, Result, Violation},
        listed::Listable,
        request_id::How,
    },
    grpc::{
        convert::{
            CONNECTION, Problems,
            change::change,
            list::{List, ListRequest},
            parts,
            spec::spec,
            write::Asked,
        },
        pb,
    },
    model::{BackendName, ConnectionChange, ConnectionName, Field, NewConnection},
};
use std::collections::BTreeSet;

#[derive(Debug)]
pub struct Get {
    pub name: ConnectionName,
}

#[derive(Debug)]
pub struct Export {
    pub name: ConnectionName,
}

#[derive(Debug)]
pub struct Create {
    pub backend: BackendName,
    pub wanted: NewConnection,
    pub how: How,
}

#[derive(Debug)]
pub struct Update {
    pub name: ConnectionName,
    pub change: ConnectionChange,
    pub how: How,
    /// Violations of the request. A malformed value does not matter if the cloud already has the same value.
    problems: Problems,
}

#[derive(Debug)]
pub struct Delete {
    pub name: ConnectionName,
    /// The etag that the caller expects to be current.
    pub etag: Option<String>,
    /// Whether deleting a connection that does not exist succeeds.
    pub allow_missing: bool,
    pub how: How,
}

impl TryFrom<pb::GetConnectionRequest> for Get {
    type Error = Error;

    fn try_from(request: pb::GetConnectionRequest) -> Result<Get> {
        let mut problems = Problems::default();
        let name = problems.connection_name("name", &request.name);
        problems.finish(name.map(|name| Get { name }))
    }
}

impl TryFrom<pb::ExportConnectionRequest> for Export {
    type Error = Error;

    fn try_from(request: pb::ExportConnectionRequest) -> Result<Export> {
        let mut problems = Problems::default();
        let name = problems.connection_name("name", &request.name);
        problems.finish(name.map(|name| Export { name }))
    }
}

impl TryFrom<pb::ListConnectionsRequest> for List {
    type Error = Error;

    fn try_from(request: pb::ListConnectionsRequest) -> Result<List> {
        let mut problems = Problems::default();
        let asked = ListRequest {
            parent: request.parent,
            page_size: request.page_size,
            page_token: request.page_token,
            filter: request.filter,
            order_by: request.order_by,
            view: request.view,
        };
        let list = asked.read(Listable::Connections, &mut problems);
        problems.finish(list)
    }
}

impl Create {
    /// Reads the request. If any of it is malformed, asks `refused` what the backend cannot express of the rest, so
    /// that the caller learns of everything at once.
    ///
    /// # Errors
    /// `InvalidArgument` with every violation of both kinds.
    pub fn read(
        mut request: pb::CreateConnectionRequest,
        refused: impl FnOnce(&BackendName, &NewConnection) -> Vec<Violation>,
    ) -> Result<Create> {
        let Asked { how, mut problems } = Asked::of(&mut request);
        let backend = problems.backend_name("parent", &request.parent);
        let Some(connection) = request.connection else {
            problems.add(CONNECTION, "is required");
            return problems.finish(None);
        };
        let spec = problems.within(CONNECTION, |problems| {
            if !connection.name.is_empty() {
                let why =
                    "must be empty: the cloud chooses the id, and a new connection has none yet";
                problems.add("name", why);
            }
            require(&connection, problems);
            spec(connection, backend.as_ref(), problems)
        });
        let parts = request.parts.unwrap_or_default();
        let wanted = NewConnection {
            parts: parts::parts(parts, &spec, true, backend.as_ref(), &mut problems),
            reuse: parts::reuse(request.reuse, &mut problems),
            spec,
        };
        if let Some(backend) = backend.as_ref().filter(|_| !problems.is_empty()) {
            parts::join(refused(backend, &wanted), &mut problems);
        }
        problems.finish(backend.map(|backend| Create {
            backend,
            wanted,
            how,
        }))
    }
}

/// Adds violations for fields that a new connection needs on either cloud.
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

impl Update {
    /// Reads the request. [`Update::settled`] reports malformed values.
    ///
    /// # Errors
    /// `InvalidArgument` with all violations, if the request does not name a connection.
    pub fn read(mut request: pb::UpdateConnectionRequest) -> Result<Update> {
        let Asked { how, mut problems } = Asked::of(&mut request);
        let Some(connection) = request.connection else {
            problems.add(CONNECTION, "is required");
            return problems.finish(None);
        };
        let name = problems.within(CONNECTION, |problems| {
            problems.connection_name("name", &connection.name)
        });
        let backend = name.as_ref().map(|name| &name.backend);
        let change = change(connection, request.update_mask, backend, &mut problems);
        match name {
            Some(name) => Ok(Update {
                name,
                change,
                how,
                problems,
            }),
            None => problems.finish(None),
        }
    }

    /// Reports whether any value is malformed.
    pub fn is_malformed(&self) -> bool {
        !self.problems.is_empty()
    }

    /// Returns the malformed fields.
    pub fn malformed(&self) -> BTreeSet<Field> {
        let paths = self.problems.paths_within(CONNECTION);
        paths.filter_map(Field::of).collect()
    }

    /// Replaces the change with the one that the core has settled, and adds what the backend cannot express of it.
    /// Forgives malformed values that equal those in the cloud.
    ///
    /// # Errors
    /// `InvalidArgument` with every violation of both kinds, if any malformed value remains.
    pub fn settled(
        mut self,
        settled: Result<(ConnectionChange, Vec<Violation>)>,
    ) -> Result<Update> {
        if let Ok((change, refused)) = settled {
            let before = &self.change.fields;
            let is_there = |field| before.contains(&field) && !change.fields.contains(&field);
            self.problems.forgive(CONNECTION, |path| {
                is_kept(path) && Field::of(path).is_some_and(is_there)
            });
            if self.is_malformed() {
                self.problems.join(CONNECTION, refused);
            }
            self.change = change;
        }
        let problems = std::mem::take(&mut self.problems);
        problems.finish(Some(self))
    }
}

/// Reports whether the model keeps a malformed value at this path as it was given, so that it can be compared with the
/// cloud's.
fn is_kept(path: &str) -> bool {
    match Field::of(path) {
        Some(Field::PeerAddress) => true,
        Some(Field::Selectors | Field::Dpd) => !path.ends_with(".action"),
        _ => false,
    }
}

impl TryFrom<pb::DeleteConnectionRequest> for Delete {
    type Error = Error;

    fn try_from(mut request: pb::DeleteConnectionRequest) -> Result<Delete> {
        let Asked { how, mut problems } = Asked::of(&mut request);
        let name = problems.connection_name("name", &request.name);
        let etag = (!request.etag.is_empty()).then_some(request.etag);
        problems.finish(name.map(|name| Delete {
            name,
            etag,
            allow_missing: request.allow_missing,
            how,
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
            let request = pb::CreateConnectionRequest {
                parent: "backends/-".to_owned(),
                connection,
                validate_only: false,
                ..Default::default()
            };
            Create::read(request, |_, _| panic!("no backend is asked"))
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
                "connection.name",
                "connection.peer.address",
                "connection.peer.psk",
                "connection.policy_based",
                "connection.initiation"
            ]
        );
        assert_eq!(
            fields_at_fault(create(Some(pb::Connection::default()))),
            ["parent", "connection.peer", "connection.policy_based"]
        );
    }

    /// The backend's violations come in the same answer, except those of fields that were left unset because they are
    /// malformed.
    #[test]
    fn what_is_malformed_and_what_cannot_be_expressed_is_told_at_once() {
        let request = pb::CreateConnectionRequest {
            parent: "backends/a".to_owned(),
            connection: Some(pb::Connection {
                local_endpoint: "nonsense".to_owned(),
                mtu: Some(1400),
                dpd: Some(pb::DeadPeerDetection {
                    interval: Some(prost_types::Duration {
                        seconds: 1,
                        nanos: 5,
                    }),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            validate_only: false,
            ..Default::default()
        };
        let refused = |backend: &BackendName, wanted: &NewConnection| {
            let spec = &wanted.spec;
            assert_eq!((backend.as_str(), spec.mtu), ("a", Some(1400)));
            let fields = [
                "local_endpoint",
                "dpd",
                "dpd.timeout",
                "mtu",
                "peer.address",
                "peer.psk",
                "policy_based.rules[0]",
                "policy_based_and_more",
            ];
            fields.map(|field| Violation::new(field, "no")).into()
        };
        assert_eq!(
            fields_at_fault(Create::read(request, refused)),
            [
                "connection.peer",
                "connection.policy_based",
                "connection.local_endpoint",
                "connection.dpd.interval",
                "connection.dpd",
                "connection.dpd.timeout",
                "connection.mtu",
                "connection.policy_based_and_more",
            ]
        );
    }

    #[test]
    fn an_update_names_its_connection_and_stays_in_its_backend() {
        let update = |name: &str| {
            let update = Update::read(pb::UpdateConnectionRequest {
                connection: Some(pb::Connection {
                    name: name.to_owned(),
                    ike_policy: "backends/b/ikePolicies/i".to_owned(),
                    ..Default::default()
                }),
                ..Default::default()
            })?;
            let change = update.change.clone();
            update.settled(Ok((change, Vec::new())))
        };
        assert_eq!(
            fields_at_fault(update("backends/a/connections/c")),
            ["connection.ike_policy"]
        );
        assert_eq!(fields_at_fault(update("")), ["connection.name"]);
        assert!(update("backends/b/connections/c").is_ok());
    }

    /// A malformed value that the cloud has can be sent back. A value left unset because it is malformed cannot.
    #[test]
    fn what_is_malformed_as_it_is_there_does_not_matter() {
        let update = || {
            Update::read(pb::UpdateConnectionRequest {
                connection: Some(pb::Connection {
                    name: "backends/a/connections/c".to_owned(),
                    peer: Some(pb::Peer {
                        address: "2.1.4..0".to_owned(),
                        ..Default::default()
                    }),
                    initiation: 9,
                    ..Default::default()
                }),
                update_mask: Some(prost_types::FieldMask {
                    paths: vec!["peer.address".to_owned(), "initiation".to_owned()],
                }),
                ..Default::default()
            })
            .unwrap()
        };
        let malformed = [Field::PeerAddress, Field::Initiation];
        assert_eq!(Vec::from_iter(update().malformed()), malformed);
        let mut change = update().change;
        change.fields.clear();
        assert_eq!(
            fields_at_fault(update().settled(Ok((change, Vec::new())))),
            ["connection.initiation"]
        );
        let refused = vec![Violation::new("peer.address", "no")];
        let change = update().change;
        assert_eq!(
            fields_at_fault(update().settled(Ok((change, refused)))),
            ["connection.peer.address", "connection.initiation"]
        );
        let unread = update().settled(Err(Error::internal("not read")));
        assert_eq!(
            fields_at_fault(unread),
            ["connection.peer.address", "connection.initiation"]
        );
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
            ..Default::default()
        };
        assert!(!format!("{request:?}").contains("canary"));
        let create = Create::read(request, |_, _| Vec::new()).unwrap();
        assert!(!format!("{create:?}").contains("canary"));
        assert!(create.how.validate_only);
    }
}
