//! Requests and answers of `ApplyConnection`. All violations of a request are reported at once.

use crate::{
    core::{
        error::{Result, Violation},
        request_id::How,
        writes::apply::{Applied, Description, Outcome},
    },
    grpc::{
        convert::{
            CONNECTION, Problems,
            connection::{connection, warning},
            parts,
            plan::plan,
            site::site,
            spec::spec,
            write::Asked,
        },
        pb,
    },
    model::{BackendName, ConnectionName, Field, NewConnection, Reuse},
};

#[derive(Debug)]
pub struct Apply {
    pub backend: BackendName,
    pub description: Description,
    pub how: How,
}

impl Apply {
    /// Reads the request. If any of it is malformed, asks `refused` what the backend cannot express of the rest, so
    /// that the caller learns of everything at once. Drops the violations of unset fields: they matter only if the
    /// connection has to be created.
    ///
    /// # Errors
    /// `InvalidArgument` with every violation of both kinds.
    pub fn read(
        mut request: pb::ApplyConnectionRequest,
        refused: impl FnOnce(&BackendName, &NewConnection) -> Vec<Violation>,
    ) -> Result<Apply> {
        let Asked { how, mut problems } = Asked::of(&mut request);
        let backend = problems.backend_name("parent", &request.parent);
        let Some(mut connection) = request.connection else {
            problems.add(CONNECTION, "is required");
            return problems.finish(None);
        };
        let etag = std::mem::take(&mut connection.etag);
        let (name, spec) = problems.within(CONNECTION, |problems| {
            let name = name(&connection, backend.as_ref(), problems);
            (name, spec(connection, backend.as_ref(), problems))
        });
        let given = request.parts.unwrap_or_default();
        let wanted = NewConnection {
            parts: parts::parts(given, &spec, false, backend.as_ref(), &mut problems),
            reuse: reuse(request.reuse, &mut problems),
            spec,
        };
        if let Some(backend) = backend.as_ref().filter(|_| !problems.is_empty()) {
            let mut refused = refused(backend, &wanted);
            let is_said = |field: Field| field.is_set(&wanted.spec);
            refused.retain(|it| Field::of(&it.field).is_none_or(is_said));
            parts::join(refused, &mut problems);
        }
        let description = Description {
            wanted,
            name,
            write_key: request.write_key,
            etag: (!etag.is_empty()).then_some(etag),
        };
        problems.finish(backend.map(|backend| Apply {
            backend,
            description,
            how,
        }))
    }
}

/// Reads the name of the connection. Returns `None` if it is absent or malformed; without a name, the connection is
/// found by its display name.
fn name(
    connection: &pb::Connection,
    backend: Option<&BackendName>,
    problems: &mut Problems,
) -> Option<ConnectionName> {
    if connection.name.is_empty() {
        if connection.display_name.is_empty() {
            let why = "is required without `connection.name`: the connection is found by it";
            problems.add("display_name", why);
        }
        return None;
    }
    let name = problems.connection_name("name", &connection.name)?;
    if let Some(backend) = backend.filter(|backend| **backend != name.backend) {
        let why = format!("is in `{}`; must be in `{backend}`, or empty", name.backend);
        problems.add("name", why);
    }
    Some(name)
}

/// Reads which existing resources may be reused. The default is those that the gateway made, because an earlier apply
/// of another connection leaves its parts for reuse.
fn reuse(given: i32, problems: &mut Problems) -> Reuse {
    match pb::Reuse::try_from(given) {
        Ok(pb::Reuse::Unspecified) => Reuse::Managed,
        _ => parts::reuse(given, problems),
    }
}

/// Converts the result of an apply, or of its validation.
pub fn applied(backend: &BackendName, applied: Applied) -> pb::ApplyConnectionResponse {
    let accepted = applied.accepted;
    let name = accepted.name.map(|name| name.to_string());
    let name = name.unwrap_or_default();
    let only_its_name = || pb::Connection {
        name: name.clone(),
        ..pb::Connection::default()
    };
    let there = accepted.connection.map(|read| connection(backend, read));
    let there = there.unwrap_or_else(only_its_name);
    pb::ApplyConnectionResponse {
        result: result(applied.result).into(),
        connection: Some(there),
        write_token: accepted.write_token,
        warnings: accepted.warnings.into_iter().map(warning).collect(),
        plan: plan(backend, accepted.plan),
        before: applied.before.map(|it| site(backend, &name, it)),
        taken: applied.taken.map(|it| site(backend, &name, it)),
    }
}

fn result(outcome: Outcome) -> pb::apply_connection_response::Result {
    use pb::apply_connection_response::Result;
    match outcome {
        Outcome::Created => Result::Created,
        Outcome::Changed => Result::Changed,
        Outcome::Unchanged => Result::Unchanged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::{
            dialect::{Action, Step, Warning},
            writes::accepted::Accepted,
        },
        grpc::convert::fields_at_fault,
        model::{Authentication, Connection, ConnectionSpec, Psk, ResourceKind},
    };

    const NAME: &str = "backends/a/connections/c";

    fn request(connection: pb::Connection) -> pb::ApplyConnectionRequest {
        pb::ApplyConnectionRequest {
            parent: "backends/a".to_owned(),
            connection: Some(connection),
            ..Default::default()
        }
    }

    fn read(request: pb::ApplyConnectionRequest) -> Result<Apply> {
        Apply::read(request, |_, _| Vec::new())
    }

    fn called(display_name: &str) -> pb::Connection {
        pb::Connection {
            display_name: display_name.to_owned(),
            ..Default::default()
        }
    }

    /// Only the core knows whether the connection has to be created.
    #[test]
    fn a_name_of_one_kind_is_all_that_a_description_needs() {
        let apply = read(request(called("branch"))).unwrap();
        assert_eq!(apply.backend.as_str(), "a");
        assert_eq!(apply.description.name, None);
        assert_eq!(apply.description.wanted.spec.display_name, "branch");
        assert!(!apply.description.write_key && !apply.how.validate_only);

        let named = pb::Connection {
            name: NAME.to_owned(),
            ..Default::default()
        };
        let name = read(request(named)).unwrap().description.name;
        assert_eq!(name.unwrap().to_string(), NAME);

        let parts = pb::Parts {
            vpn_service: Some(pb::VpnService::default()),
            local_endpoint: Some(pb::LocalEndpoint::default()),
            ..Default::default()
        };
        let apply = read(pb::ApplyConnectionRequest {
            parts: Some(parts),
            write_key: true,
            validate_only: true,
            ..request(called("branch"))
        });
        let apply = apply.unwrap();
        assert!(apply.description.write_key && apply.how.validate_only);
        let kinds = apply.description.wanted.parts.into_keys();
        assert!(kinds.eq([ResourceKind::VpnService, ResourceKind::LocalEndpoint]));
    }

    #[test]
    fn what_is_malformed_is_told_at_once_and_by_its_path() {
        assert_eq!(
            fields_at_fault(read(pb::ApplyConnectionRequest::default())),
            ["parent", "connection"]
        );
        assert_eq!(
            fields_at_fault(read(request(pb::Connection::default()))),
            ["connection.display_name"]
        );
        let elsewhere = pb::Connection {
            name: "backends/b/connections/c".to_owned(),
            ike_policy: "backends/a/ikePolicies/i".to_owned(),
            initiation: 9,
            ..Default::default()
        };
        let parts = pb::Parts {
            ike_policy: Some(pb::IkePolicy {
                dh_groups: vec![3],
                ..Default::default()
            }),
            vpn_service: Some(pb::VpnService::default()),
            local_endpoint: Some(pb::LocalEndpoint {
                name: "backends/a/localEndpoints/l".to_owned(),
                vpn_service: "backends/a/vpnServices/v".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let wrong = pb::ApplyConnectionRequest {
            parts: Some(parts),
            reuse: 4,
            request_id: "1".to_owned(),
            ..request(elsewhere)
        };
        assert_eq!(
            fields_at_fault(read(wrong)),
            [
                "request_id",
                "connection.name",
                "connection.initiation",
                "parts.ike_policy",
                "parts.ike_policy.dh_groups[0]",
                "parts.local_endpoint.vpn_service",
                "parts.local_endpoint.name",
                "reuse",
            ]
        );
    }

    /// A violation of a field that is unset does not count: the connection may exist and not need it.
    #[test]
    fn what_a_backend_refuses_of_the_rest_is_told_beside_it() {
        let given = pb::Connection {
            mtu: Some(1400),
            initiation: 9,
            ..called("branch")
        };
        let refused = ["mtu", "local_endpoint", "parts.ike_policy.lifetime"];
        let refused = refused.map(|field| Violation::new(field, "no")).to_vec();
        let told = Apply::read(request(given), |_, _| refused);
        assert_eq!(
            fields_at_fault(told),
            [
                "connection.initiation",
                "connection.mtu",
                "parts.ike_policy.lifetime"
            ]
        );
    }

    #[test]
    fn what_the_gateway_made_is_reused_unless_something_else_is_said() {
        for (given, meant) in [
            (pb::Reuse::Unspecified, Reuse::Managed),
            (pb::Reuse::Never, Reuse::Never),
            (pb::Reuse::Managed, Reuse::Managed),
            (pb::Reuse::Any, Reuse::Any),
        ] {
            let apply = read(pb::ApplyConnectionRequest {
                reuse: given.into(),
                ..request(called("branch"))
            });
            assert_eq!(apply.unwrap().description.wanted.reuse, meant);
        }
    }

    /// `write_key` is part of the request that an id stands for.
    #[test]
    fn an_id_stands_for_all_that_is_asked_for() {
        let of = |write_key, request_id: &str| {
            let apply = read(pb::ApplyConnectionRequest {
                write_key,
                request_id: request_id.to_owned(),
                ..request(called("branch"))
            });
            apply.unwrap().how.request.unwrap()
        };
        let id = "6f1c1e7e-52c0-4b4b-9d3e-0c5f8a1f6a11";
        let first = of(false, id);
        assert_eq!((first.method, first.id.as_str()), ("ApplyConnection", id));
        assert_eq!(first, of(false, &id.to_uppercase()));
        assert_ne!(first.body, of(true, id).body);
    }

    fn keyed() -> NewConnection {
        NewConnection::alone(ConnectionSpec {
            display_name: "branch".to_owned(),
            authentication: Some(Authentication::Psk(Psk::new("canary".to_owned()))),
            ..ConnectionSpec::default()
        })
    }

    #[test]
    fn what_became_of_it_is_answered_without_its_key() {
        let backend: BackendName = "a".parse().unwrap();
        let written = Accepted {
            name: Some(ConnectionName::parse(crate::model::Collection::Connections, NAME).unwrap()),
            connection: Some(Connection {
                id: "c".to_owned(),
                etag: "7".to_owned(),
                ..Default::default()
            }),
            write_token: "token".to_owned(),
            warnings: vec![Warning {
                field: "dpd.timeout".to_owned(),
                message: "is not exact".to_owned(),
            }],
            ..Accepted::default()
        };
        let tried = Accepted {
            connection: None,
            write_token: String::new(),
            plan: vec![Step::new(
                Action::Update,
                "connections",
                Some("c".to_owned()),
            )],
            ..written.clone()
        };
        let said = applied(
            &backend,
            Applied {
                result: Outcome::Changed,
                accepted: written,
                ..Applied::default()
            },
        );
        assert_eq!(
            said.result(),
            pb::apply_connection_response::Result::Changed
        );
        assert_eq!(said.write_token, "token");
        assert_eq!(said.warnings[0].field, "dpd.timeout");
        assert_eq!((said.before, said.taken), (None, None));
        let there = said.connection.unwrap();
        assert_eq!((there.name.as_str(), there.etag.as_str()), (NAME, "7"));

        let said = applied(
            &backend,
            Applied {
                result: Outcome::Unchanged,
                accepted: tried,
                before: Some(keyed()),
                taken: Some(keyed()),
            },
        );
        assert!(!format!("{said:?}").contains("canary"));
        let only_its_name = pb::Connection {
            name: NAME.to_owned(),
            ..Default::default()
        };
        assert_eq!(said.connection, Some(only_its_name));
        assert_eq!(said.plan[0].name, NAME);
        for site in [said.before, said.taken] {
            let described = site.unwrap().connection.unwrap();
            assert_eq!(described.display_name, "branch");
            assert_eq!(described.name, NAME);
            assert!(described.peer.unwrap().authentication.is_none());
        }
    }

    #[test]
    fn what_would_be_made_has_no_name_yet() {
        let said = applied(
            &"a".parse().unwrap(),
            Applied {
                result: Outcome::Created,
                taken: Some(keyed()),
                ..Applied::default()
            },
        );
        assert_eq!(
            said.result(),
            pb::apply_connection_response::Result::Created
        );
        assert_eq!(said.connection.unwrap().name, "");
        assert_eq!(said.taken.unwrap().connection.unwrap().name, "");
        assert!(said.before.is_none());
    }
}
