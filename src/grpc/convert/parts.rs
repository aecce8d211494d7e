//! Parts that are created with a connection. A request holds them beside the connection, each under the name of the
//! reference that it replaces.

use crate::{
    core::error::{Error, Violation},
    grpc::{
        convert::{
            CONNECTION, Problems,
            resource::Wire,
            resource_requests::{new, required},
        },
        pb,
    },
    model::{BackendName, ConnectionSpec, ResourceField, ResourceKind, ResourceSpec, Reuse},
};
use std::collections::BTreeMap;

/// The field of a create that holds the parts. The core's paths into parts begin with it. All other paths are relative
/// to the connection.
const PARTS: &str = "parts";

/// Reads the parts of a connection with the references in `spec`. If `are_new` is false, the parts may exist already,
/// so they need not set the fields that a new part requires.
pub fn parts(
    given: pb::Parts,
    spec: &ConnectionSpec,
    are_new: bool,
    backend: Option<&BackendName>,
    problems: &mut Problems,
) -> BTreeMap<ResourceKind, ResourceSpec> {
    let with_service = given.vpn_service.is_some();
    let mut reading = Reading {
        backend,
        problems,
        parts: BTreeMap::new(),
    };
    reading.part(given.ike_policy, spec.ike_policy.as_ref(), &[]);
    reading.part(given.ipsec_policy, spec.ipsec_policy.as_ref(), &[]);
    reading.part(given.dpd_policy, spec.dpd_policy.as_ref(), &[]);
    let comes_of = |kind| if are_new { &[] } else { required(kind) };
    let comes = comes_of(ResourceKind::VpnService);
    reading.part(given.vpn_service, spec.vpn_service.as_ref(), comes);
    let endpoint = given.local_endpoint;
    let comes = match with_service && are_new {
        true => &[ResourceField::VpnService],
        false => comes_of(ResourceKind::LocalEndpoint),
    };
    if with_service
        && endpoint
            .as_ref()
            .is_some_and(|it| !it.vpn_service.is_empty())
    {
        let why = "must be empty beside `parts.vpn_service`, which it stands for";
        reading
            .problems
            .add("parts.local_endpoint.vpn_service", why);
    }
    reading.part(endpoint, spec.local_endpoint.as_ref(), comes);
    reading.parts
}

struct Reading<'a> {
    backend: Option<&'a BackendName>,
    problems: &'a mut Problems,
    parts: BTreeMap<ResourceKind, ResourceSpec>,
}

impl Reading<'_> {
    fn part<W: Wire>(
        &mut self,
        given: Option<W>,
        reference: Option<&String>,
        comes: &[ResourceField],
    ) {
        let Some(given) = given else { return };
        if reference.is_some() {
            let why = format!("excludes `{CONNECTION}.{}`, which is also given", W::PART);
            self.problems.add(W::IN_PARTS, why);
        }
        let spec = new(given, W::IN_PARTS, self.backend, comes, self.problems);
        self.parts.insert(W::KIND, spec);
    }
}

/// Reads which existing resources may be reused.
pub fn reuse(given: i32, problems: &mut Problems) -> Reuse {
    match pb::Reuse::try_from(given) {
        Ok(pb::Reuse::Unspecified | pb::Reuse::Never) => Reuse::Never,
        Ok(pb::Reuse::Managed) => Reuse::Managed,
        Ok(pb::Reuse::Any) => Reuse::Any,
        Err(_) => {
            problems.unknown_value("reuse", given, |number| {
                Some(pb::Reuse::try_from(number).ok()?.as_str_name())
            });
            Reuse::Never
        }
    }
}

/// Adds the backend's violations of a connection and of its parts.
pub fn join(refused: Vec<Violation>, problems: &mut Problems) {
    let (of_parts, of_connection): (Vec<_>, Vec<_>) =
        refused.into_iter().partition(|it| is_of_part(&it.field));
    problems.join(CONNECTION, of_connection);
    let inside = of_parts.into_iter().map(|it| Violation {
        field: it.field[PARTS.len() + 1..].to_owned(),
        ..it
    });
    problems.join(PARTS, inside.collect());
}

/// Rewrites the paths of a create's error as the caller wrote them.
pub fn told(error: Error) -> Error {
    error.with_paths(|path| match is_of_part(path) {
        true => path.to_owned(),
        false => format!("{CONNECTION}.{path}"),
    })
}

fn is_of_part(path: &str) -> bool {
    let rest = path.strip_prefix(PARTS);
    rest.is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::error::ErrorKind,
        grpc::convert::{fields_at_fault, requests::Create},
    };

    fn connection() -> pb::Connection {
        pb::Connection {
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
        }
    }

    fn endpoint(vpn_service: &str) -> pb::LocalEndpoint {
        pb::LocalEndpoint {
            address: "198.51.100.1".to_owned(),
            vpn_service: vpn_service.to_owned(),
            ..Default::default()
        }
    }

    fn service() -> pb::VpnService {
        pb::VpnService {
            router: "r".to_owned(),
            ..Default::default()
        }
    }

    fn request(connection: pb::Connection, parts: pb::Parts) -> pb::CreateConnectionRequest {
        pb::CreateConnectionRequest {
            parent: "backends/a".to_owned(),
            connection: Some(connection),
            parts: Some(parts),
            ..Default::default()
        }
    }

    fn create(connection: pb::Connection, parts: pb::Parts) -> Result<Create, Error> {
        Create::read(request(connection, parts), |_, _| Vec::new())
    }

    #[test]
    fn every_part_is_read_as_it_would_be_by_itself() {
        let parts = pb::Parts {
            ike_policy: Some(pb::IkePolicy {
                display_name: "gold".to_owned(),
                dh_groups: vec![pb::DhGroup::Modp2048.into()],
                ..Default::default()
            }),
            ipsec_policy: Some(pb::IpsecPolicy::default()),
            dpd_policy: Some(pb::DpdPolicy::default()),
            vpn_service: Some(service()),
            local_endpoint: Some(endpoint("")),
        };
        let wanted = create(connection(), parts).unwrap().wanted;
        let kinds: Vec<ResourceKind> = wanted.parts.keys().copied().collect();
        let all = ResourceKind::ALL.into_iter();
        let all: Vec<_> = all
            .filter(|it| *it != ResourceKind::EndpointGroup)
            .collect();
        assert_eq!(kinds, all);
        assert_eq!(wanted.parts[&ResourceKind::IkePolicy].display_name, "gold");
        assert_eq!(wanted.reuse, Reuse::Never);
        let none = create(connection(), pb::Parts::default()).unwrap().wanted;
        assert!(none.parts.is_empty());
    }

    #[test]
    fn what_is_wrong_with_a_part_is_told_by_its_path() {
        let parts = pb::Parts {
            ike_policy: Some(pb::IkePolicy {
                name: "backends/a/ikePolicies/i".to_owned(),
                dh_groups: vec![pb::DhGroup::Modp2048.into(), 3],
                ..Default::default()
            }),
            vpn_service: Some(pb::VpnService::default()),
            local_endpoint: Some(pb::LocalEndpoint {
                address: "198.51.100.1".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        assert_eq!(
            fields_at_fault(create(connection(), parts)),
            [
                "parts.ike_policy.dh_groups[1]",
                "parts.ike_policy.name",
                "parts.vpn_service.router",
            ]
        );
        let alone = pb::Parts {
            local_endpoint: Some(endpoint("")),
            ..Default::default()
        };
        assert_eq!(
            fields_at_fault(create(connection(), alone)),
            ["parts.local_endpoint.vpn_service"]
        );
    }

    #[test]
    fn a_part_and_a_reference_to_the_same_exclude_each_other() {
        let referring = pb::Connection {
            ike_policy: "backends/a/ikePolicies/i".to_owned(),
            local_endpoint: "backends/a/localEndpoints/l".to_owned(),
            ..connection()
        };
        let parts = pb::Parts {
            ike_policy: Some(pb::IkePolicy::default()),
            ipsec_policy: Some(pb::IpsecPolicy::default()),
            vpn_service: Some(service()),
            local_endpoint: Some(endpoint("backends/a/vpnServices/v")),
            ..Default::default()
        };
        assert_eq!(
            fields_at_fault(create(referring, parts)),
            [
                "parts.ike_policy",
                "parts.local_endpoint.vpn_service",
                "parts.local_endpoint",
            ]
        );
    }

    #[test]
    fn reuse_is_one_of_its_words() {
        for (given, meant) in [
            (pb::Reuse::Unspecified, Reuse::Never),
            (pb::Reuse::Never, Reuse::Never),
            (pb::Reuse::Managed, Reuse::Managed),
            (pb::Reuse::Any, Reuse::Any),
        ] {
            let mut problems = Problems::default();
            assert_eq!(reuse(given.into(), &mut problems), meant);
            assert!(problems.is_empty());
        }
        let mut request = request(connection(), pb::Parts::default());
        request.reuse = 4;
        let read = Create::read(request, |_, _| Vec::new());
        assert_eq!(fields_at_fault(read), ["reuse"]);
    }

    /// One error reports all violations: malformed fields and fields that the backend refuses, of the connection and of
    /// its parts.
    #[test]
    fn what_a_backend_refuses_of_a_part_is_told_by_its_path_too() {
        let parts = pb::Parts {
            ike_policy: Some(pb::IkePolicy {
                dh_groups: vec![3],
                ..Default::default()
            }),
            ..Default::default()
        };
        let refused = [
            "mtu",
            "parts.ike_policy.dh_groups",
            "parts.ike_policy.lifetime",
        ];
        let refused = || refused.map(|field| Violation::new(field, "no")).to_vec();
        let read = Create::read(request(connection(), parts), |_, _| refused());
        assert_eq!(
            fields_at_fault(read),
            [
                "parts.ike_policy.dh_groups[0]",
                "connection.mtu",
                "parts.ike_policy.dh_groups",
                "parts.ike_policy.lifetime",
            ]
        );
        let error = told(Error::not_expressible(refused()));
        assert_eq!(error.kind, ErrorKind::NotExpressible);
        let fields = error.context.violations.iter().map(|it| it.field.as_str());
        let fields: Vec<&str> = fields.collect();
        assert_eq!(
            fields,
            [
                "connection.mtu",
                "parts.ike_policy.dh_groups",
                "parts.ike_policy.lifetime"
            ]
        );
        assert!(
            error
                .message
                .starts_with("`connection.mtu`: no; `parts.ike_policy")
        );
    }

    #[test]
    fn the_key_beside_the_parts_is_not_printed() {
        let parts = pb::Parts {
            vpn_service: Some(service()),
            ..Default::default()
        };
        let mut request = request(connection(), parts);
        request.request_id = "6f1c1e7e-52c0-4b4b-9d3e-0c5f8a1f6a11".to_owned();
        let create = Create::read(request, |_, _| Vec::new()).unwrap();
        assert!(create.how.request.is_some());
        assert!(!format!("{create:?}").contains("canary"));
    }
}
