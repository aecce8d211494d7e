//! The objects at the start: two projects with a router, subnets, policies, services and endpoint groups, and their
//! users. All ids are fixed, so that a curl session can be written down.

use std::collections::HashMap;
use std::fmt;

use serde_json::{Value, json};

use crate::simulator::openstack::identity::{ApplicationCredential, Identity, Project, User};
use crate::simulator::openstack::kinds::Kind;
use crate::simulator::openstack::row::Row;
use crate::simulator::openstack::state::Cloud;
use crate::simulator::openstack::topology::{Network, Router, Subnet};
use crate::simulator::openstack::variant::Variant;

/// Ids and logins of the objects at the start. There are no connections among them.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// The project that [`Inventory::member`] can change.
    pub project: Owned,
    /// A foreign project.
    pub other: Owned,
    /// A router of the first project without a gateway.
    pub router_without_gateway: &'static str,
    /// A router of the first project with an IPv4-only gateway and no service yet.
    pub spare_router_id: &'static str,
    /// An IPv4 subnet on that router.
    pub spare_subnet_id: &'static str,
    /// An IPv4 subnet of the first project that is on no router.
    pub lone_subnet_id: &'static str,
    /// Roles `reader` and `member` in the first project.
    pub member: Login,
    /// Only role `reader` there. Sees empty lists.
    pub reader: Login,
    /// Roles `reader` and `member` in the other project.
    pub other_member: Login,
    /// Role `admin` in both projects. Sees everything.
    pub admin: Login,
    /// The member's application credential: its id, and its secret as password.
    pub application_credential: Login,
}

/// The objects of one project at the start.
#[derive(Clone, Debug)]
pub struct Owned {
    pub project_id: &'static str,
    pub project_name: &'static str,
    /// A router with a gateway in both address families.
    pub router_id: &'static str,
    /// An IPv4 subnet on that router, in [`Owned::local_group_id`].
    pub subnet_id: &'static str,
    /// Another IPv4 subnet on it, of [`Owned::legacy_service_id`].
    pub legacy_subnet_id: &'static str,
    /// An IPv6 subnet on the same router.
    pub subnet_v6_id: &'static str,
    /// A service without a subnet. Its connections have endpoint groups.
    pub service_id: &'static str,
    /// A service with a subnet. Its connections have `peer_cidrs`.
    pub legacy_service_id: &'static str,
    /// An IKE policy with sha256.
    pub ike_policy_id: &'static str,
    /// An IPsec policy with sha256.
    pub ipsec_policy_id: &'static str,
    /// An endpoint group of type subnet.
    pub local_group_id: &'static str,
    /// An endpoint group of type cidr.
    pub peer_group_id: &'static str,
}

/// An id, a name and a secret. The secrets are invented and valid nowhere else.
#[derive(Clone)]
pub struct Login {
    /// The user's id. For an application credential, the id of the credential.
    pub id: &'static str,
    /// The user's name in the domain `default`.
    pub name: &'static str,
    /// The password. For an application credential, its secret.
    pub password: &'static str,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Inventory {
    /// Returns the inventory, which is the same for every simulator.
    pub const fn fixed() -> Self {
        Self {
            project: Owned {
                project_id: "d3300000000040008000000000000001",
                project_name: "demo",
                router_id: "d3300000-0000-4000-8000-000000000010",
                subnet_id: "d3300000-0000-4000-8000-000000000021",
                legacy_subnet_id: "d3300000-0000-4000-8000-000000000022",
                subnet_v6_id: "d3300000-0000-4000-8000-000000000026",
                service_id: "d3300000-0000-4000-8000-000000000031",
                legacy_service_id: "d3300000-0000-4000-8000-000000000032",
                ike_policy_id: "d3300000-0000-4000-8000-000000000041",
                ipsec_policy_id: "d3300000-0000-4000-8000-000000000042",
                local_group_id: "d3300000-0000-4000-8000-000000000051",
                peer_group_id: "d3300000-0000-4000-8000-000000000052",
            },
            other: Owned {
                project_id: "07e20000000040008000000000000001",
                project_name: "other",
                router_id: "07e20000-0000-4000-8000-000000000010",
                subnet_id: "07e20000-0000-4000-8000-000000000021",
                legacy_subnet_id: "07e20000-0000-4000-8000-000000000022",
                subnet_v6_id: "07e20000-0000-4000-8000-000000000026",
                service_id: "07e20000-0000-4000-8000-000000000031",
                legacy_service_id: "07e20000-0000-4000-8000-000000000032",
                ike_policy_id: "07e20000-0000-4000-8000-000000000041",
                ipsec_policy_id: "07e20000-0000-4000-8000-000000000042",
                local_group_id: "07e20000-0000-4000-8000-000000000051",
                peer_group_id: "07e20000-0000-4000-8000-000000000052",
            },
            router_without_gateway: "d3300000-0000-4000-8000-000000000011",
            spare_router_id: "d3300000-0000-4000-8000-000000000012",
            spare_subnet_id: "d3300000-0000-4000-8000-000000000023",
            lone_subnet_id: "d3300000-0000-4000-8000-000000000024",
            member: Login {
                id: "d3300000000040008000000000000101",
                name: "demo",
                password: "not-a-real-password-of-demo",
            },
            reader: Login {
                id: "d3300000000040008000000000000102",
                name: "demo-reader",
                password: "not-a-real-password-of-demo-reader",
            },
            other_member: Login {
                id: "07e20000000040008000000000000101",
                name: "other",
                password: "not-a-real-password-of-other",
            },
            admin: Login {
                id: "ad300000000040008000000000000101",
                name: "admin",
                password: "not-a-real-password-of-admin",
            },
            application_credential: Login {
                id: "d3300000000040008000000000000201",
                name: "demo-gateway",
                password: "not-a-real-secret-of-demo-gateway",
            },
        }
    }

    /// Routers and subnets of both projects.
    pub(crate) fn network(&self) -> Network {
        let mut network = Network::default();
        let mut subnet =
            |owned: &Owned, id: &str, name: &str, cidr: String, router: Option<&str>| {
                let subnet = Subnet {
                    project: owned.project_id.to_owned(),
                    name: name.to_owned(),
                    cidr,
                    router: router.map(str::to_owned),
                };
                network.subnets.insert(id.to_owned(), subnet);
            };
        for (owned, net) in [(&self.project, 10), (&self.other, 20)] {
            let (v4, v6) = (
                |third: u8| format!("10.{net}.{third}.0/24"),
                format!("2001:db8:{net}::/64"),
            );
            let on = Some(owned.router_id);
            subnet(owned, owned.subnet_id, "subnet-1", v4(1), on);
            subnet(owned, owned.legacy_subnet_id, "subnet-2", v4(2), on);
            subnet(owned, owned.subnet_v6_id, "subnet-6", v6, on);
        }
        let (demo, spare) = (&self.project, Some(self.spare_router_id));
        let (on_spare, lone) = (self.spare_subnet_id, self.lone_subnet_id);
        subnet(demo, on_spare, "subnet-3", "10.10.3.0/24".to_owned(), spare);
        subnet(demo, lone, "subnet-4", "10.10.4.0/24".to_owned(), None);

        let mut router = |owned: &Owned, id: &str, name: &str, v4: Option<u8>, v6: Option<u8>| {
            let router = Router {
                project: owned.project_id.to_owned(),
                name: name.to_owned(),
                gateway_v4: v4.map(|host| format!("203.0.113.{host}")),
                gateway_v6: v6.map(|host| format!("2001:db8:ffff::{host}")),
            };
            network.routers.insert(id.to_owned(), router);
        };
        for (owned, host) in [(demo, Some(166)), (&self.other, Some(167))] {
            let name = format!("{}-router", owned.project_name);
            router(owned, owned.router_id, &name, host, host);
        }
        router(demo, self.router_without_gateway, "no-gateway", None, None);
        router(demo, self.spare_router_id, "spare", Some(168), None);
        network
    }

    /// Adds the services, policies and groups of both projects.
    ///
    /// On K5 every service has a subnet, since there are no groups to use instead, and a project is limited to 20
    /// connections.
    pub(crate) fn fill(&self, cloud: &mut Cloud) {
        for owned in [&self.project, &self.other] {
            if cloud.variant == Variant::K5 {
                cloud
                    .quotas
                    .insert((owned.project_id.to_owned(), Kind::Connection), 20);
            }
            let (sha256, subnet) = match cloud.variant {
                Variant::Neutron => ("sha256", None),
                Variant::Otc => ("sha2-256", None),
                Variant::K5 => ("sha256", Some(owned.subnet_id)),
            };
            let policy = json!({
                "auth_algorithm": sha256, "encryption_algorithm": "aes-256", "pfs": "group14",
                "lifetime": {"units": "seconds", "value": 3600},
            });
            let ike = json!({"phase1_negotiation_mode": "main", "ike_version": "v2"});
            let ipsec = json!({"transform_protocol": "esp", "encapsulation_mode": "tunnel"});
            let router = &cloud.network.routers[owned.router_id];
            let service = json!({
                "subnet_id": subnet, "router_id": owned.router_id, "flavor_id": null, "admin_state_up": true,
                "external_v4_ip": router.gateway_v4, "external_v6_ip": router.gateway_v6, "status": "PENDING_CREATE",
            });
            let legacy = json!({"subnet_id": owned.legacy_subnet_id});
            let local = json!({"type": "subnet", "endpoints": [owned.subnet_id]});
            let peer = json!({"type": "cidr", "endpoints": ["192.168.77.0/24", "192.168.78.0/24"]});
            let mut put = |kind, id: &str, name: &str, parts: &[&Value]| {
                let ends = json!({"id": id, "tenant_id": owned.project_id, "name": name, "description": ""});
                let project = json!({"project_id": owned.project_id});
                let parts = std::iter::once(&ends)
                    .chain(parts.iter().copied())
                    .chain([&project]);
                let fields = parts.filter_map(Value::as_object).flatten().map(pair);
                cloud.insert(kind, Row::new(fields.collect()));
            };
            put(
                Kind::IkePolicy,
                owned.ike_policy_id,
                "ike",
                &[&policy, &ike],
            );
            put(
                Kind::IpsecPolicy,
                owned.ipsec_policy_id,
                "ipsec",
                &[&policy, &ipsec],
            );
            put(Kind::VpnService, owned.service_id, "vpn", &[&service]);
            put(
                Kind::VpnService,
                owned.legacy_service_id,
                "vpn-legacy",
                &[&service, &legacy],
            );
            put(
                Kind::EndpointGroup,
                owned.local_group_id,
                "local",
                &[&local],
            );
            put(Kind::EndpointGroup, owned.peer_group_id, "peer", &[&peer]);
        }
    }

    /// Adds the users, projects and the application credential.
    pub(crate) fn enroll(&self, identity: &mut Identity) {
        for owned in [&self.project, &self.other] {
            let (id, name) = (owned.project_id.to_owned(), owned.project_name.to_owned());
            identity.projects.push(Project { id, name });
        }
        let (demo, other) = (self.project.project_id, self.other.project_id);
        let member: &[&str] = &["reader", "member"];
        for (login, grants) in [
            (&self.member, vec![(demo, member)]),
            (&self.reader, vec![(demo, &["reader"][..])]),
            (&self.other_member, vec![(other, member)]),
            (
                &self.admin,
                vec![(demo, &["admin"][..]), (other, &["admin"][..])],
            ),
        ] {
            let roles = |(project, roles): (&str, &[&str])| {
                (
                    project.to_owned(),
                    roles.iter().map(|role| (*role).to_owned()).collect(),
                )
            };
            identity.users.push(User {
                id: login.id.to_owned(),
                name: login.name.to_owned(),
                password: login.password.to_owned(),
                roles: grants.into_iter().map(roles).collect::<HashMap<_, _>>(),
            });
        }
        identity
            .application_credentials
            .push(ApplicationCredential {
                id: self.application_credential.id.to_owned(),
                secret: self.application_credential.password.to_owned(),
                user: self.member.id.to_owned(),
                project: demo.to_owned(),
            });
    }
}

fn pair((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}
