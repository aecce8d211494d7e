//! Resources, statistics and pages of backends through real clients, over clouds in memory.

mod cloud;

use crate::{
    core::{
        dialect::Dialect,
        error::{Error, ErrorKind, ErrorReason},
        gateway::Gateway,
        settings::BackendSettings,
    },
    grpc::pb::{
        self, backend_service_client::BackendServiceClient,
        policy_service_client::PolicyServiceClient,
        realization_service_client::RealizationServiceClient,
        topology_service_client::TopologyServiceClient,
    },
    model::{Named, ResourceField, ResourceKind, Settings as ResourceSettings, algorithm::DhGroup},
    server::{
        Settings, routes,
        tests::support::{Server, raw_call_of, soon},
    },
};
use cloud::{Cloud, EVERYTHING};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;

/// The whole server over two clouds: `a` with every kind of resource, `b` with none.
struct World {
    a: Arc<Cloud>,
    server: Server,
    channel: Channel,
}

impl World {
    async fn start() -> World {
        World::with(Settings::default()).await
    }

    async fn with(settings: Settings) -> World {
        let (a, b) = (Cloud::new(&EVERYTHING), Cloud::new(&[]));
        let backend = |name: &str, cloud: &Arc<Cloud>| {
            let dialect: Arc<dyn Dialect> = Arc::<Cloud>::clone(cloud);
            (BackendSettings::new(name.parse().unwrap()), dialect)
        };
        let backends = vec![backend("a", &a), backend("b", &b)];
        let gateway = Gateway::start(backends, Duration::from_secs(15));
        let drain = CancellationToken::new();
        let routes = routes(gateway, &settings, drain.clone());
        let server = Server::start_with(settings, routes, drain).await;
        let channel = server.channel().await;
        World { a, server, channel }
    }

    fn policies(&self) -> PolicyServiceClient<Channel> {
        PolicyServiceClient::new(self.channel.clone())
    }

    fn topology(&self) -> TopologyServiceClient<Channel> {
        TopologyServiceClient::new(self.channel.clone())
    }
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

fn fields_at_fault(status: &Status) -> Vec<String> {
    let told = status.get_details_bad_request().unwrap().field_violations;
    told.into_iter().map(|violation| violation.field).collect()
}

fn mask(paths: &[&str]) -> Option<prost_types::FieldMask> {
    Some(prost_types::FieldMask {
        paths: paths.iter().map(|&path| path.to_owned()).collect(),
    })
}

/// Creates a resource of a kind, then reads, lists, updates and deletes it.
macro_rules! a_life {
    (
        $world:ident, $client:ident, $collection:literal, $one:ident, $many:ident, $wanted:expr;
        $get:ident($get_request:ident), $list:ident($list_request:ident),
        $create:ident($create_request:ident), $update:ident($update_request:ident),
        $delete:ident($delete_request:ident)
    ) => {{
        let mut client = $world.$client();
        let name = concat!("backends/a/", $collection, "/r0");
        let create = |validate_only| pb::$create_request {
            parent: "backends/a".to_owned(),
            $one: Some($wanted),
            validate_only,
            ..Default::default()
        };
        let only_validated = client.$create(create(true)).await.unwrap().into_inner();
        assert_eq!(only_validated.$one, None, "{name}");
        assert_eq!(only_validated.upstream_request_ids, Vec::<String>::new());

        let created = client.$create(create(false)).await.unwrap().into_inner();
        assert_eq!(created.upstream_request_ids, ["req-1"]);
        assert_eq!(created.warnings[0].message, "rounded");
        let created = created.$one.unwrap();
        assert_eq!(created.name, name);
        assert!(created.managed && created.native.is_some());

        let get = || pb::$get_request {
            name: name.to_owned(),
        };
        let read = client.$get(get()).await.unwrap().into_inner().$one.unwrap();
        assert_eq!(read, created);

        for view in [pb::View::Unspecified, pb::View::Full, pb::View::Basic] {
            let request = pb::$list_request {
                parent: "backends/-".to_owned(),
                filter: "managed=true".to_owned(),
                view: view.into(),
                ..Default::default()
            };
            let page = client.$list(request).await.unwrap().into_inner();
            assert_eq!(page.unreachable, Vec::<String>::new());
            let mut listed = page.$many;
            assert_eq!(listed.len(), 1, "{name}");
            assert_eq!(listed[0].native.is_some(), view != pb::View::Basic);
            listed[0].native = read.native.clone();
            assert_eq!(listed[0], read);
        }

        let update = |validate_only| {
            let mut changed = read.clone();
            changed.display_name = "new".to_owned();
            pb::$update_request {
                $one: Some(changed),
                update_mask: mask(&["display_name", "etag"]),
                validate_only,
                ..Default::default()
            }
        };
        let only_validated = client.$update(update(true)).await.unwrap().into_inner();
        assert_eq!(only_validated.$one, None);
        let updated = client.$update(update(false)).await.unwrap().into_inner();
        assert_eq!(updated.$one.unwrap().display_name, "new");
        assert_eq!(updated.upstream_request_ids, ["req-1"]);
        let change = $world.a.changed.lock().unwrap().take().unwrap();
        assert_eq!(Vec::from_iter(change.fields), [ResourceField::DisplayName]);
        assert_eq!(change.etag.as_deref(), Some("1"));

        let delete = |allow_missing| pb::$delete_request {
            name: name.to_owned(),
            allow_missing,
            ..Default::default()
        };
        let deleted = client.$delete(delete(false)).await.unwrap().into_inner();
        assert_eq!(deleted.upstream_request_ids, ["req-1"]);
        for status in [
            client.$delete(delete(false)).await.unwrap_err(),
            client.$get(get()).await.unwrap_err(),
        ] {
            assert_eq!(
                (status.code(), reason(&status).as_str()),
                (Code::NotFound, "RESOURCE_NOT_FOUND")
            );
            assert_eq!(
                status.get_details_resource_info().unwrap().resource_name,
                name
            );
        }
        let deleted = client.$delete(delete(true)).await.unwrap().into_inner();
        assert_eq!(deleted.upstream_request_ids, Vec::<String>::new());
    }};
}

#[tokio::test]
async fn a_policy_of_each_kind_is_made_read_listed_changed_and_removed() {
    let world = World::start().await;
    a_life!(
        world, policies, "ikePolicies", ike_policy, ike_policies,
        pb::IkePolicy {
            ike_version: pb::IkeVersion::IkeVersion2.into(),
            dh_groups: vec![pb::DhGroup::Modp2048.into()],
            ..Default::default()
        };
        get_ike_policy(GetIkePolicyRequest), list_ike_policies(ListIkePoliciesRequest),
        create_ike_policy(CreateIkePolicyRequest), update_ike_policy(UpdateIkePolicyRequest),
        delete_ike_policy(DeleteIkePolicyRequest)
    );
    a_life!(
        world, policies, "ipsecPolicies", ipsec_policy, ipsec_policies,
        pb::IpsecPolicy::default();
        get_ipsec_policy(GetIpsecPolicyRequest), list_ipsec_policies(ListIpsecPoliciesRequest),
        create_ipsec_policy(CreateIpsecPolicyRequest), update_ipsec_policy(UpdateIpsecPolicyRequest),
        delete_ipsec_policy(DeleteIpsecPolicyRequest)
    );
    a_life!(
        world, policies, "dpdPolicies", dpd_policy, dpd_policies,
        pb::DpdPolicy::default();
        get_dpd_policy(GetDpdPolicyRequest), list_dpd_policies(ListDpdPoliciesRequest),
        create_dpd_policy(CreateDpdPolicyRequest), update_dpd_policy(UpdateDpdPolicyRequest),
        delete_dpd_policy(DeleteDpdPolicyRequest)
    );
}

#[tokio::test]
async fn a_topology_of_each_kind_is_made_read_listed_changed_and_removed() {
    let world = World::start().await;
    a_life!(
        world, topology, "vpnServices", vpn_service, vpn_services,
        pb::VpnService { router: "router-1".to_owned(), ..Default::default() };
        get_vpn_service(GetVpnServiceRequest), list_vpn_services(ListVpnServicesRequest),
        create_vpn_service(CreateVpnServiceRequest), update_vpn_service(UpdateVpnServiceRequest),
        delete_vpn_service(DeleteVpnServiceRequest)
    );
    a_life!(
        world, topology, "localEndpoints", local_endpoint, local_endpoints,
        pb::LocalEndpoint {
            vpn_service: "backends/a/vpnServices/v".to_owned(),
            address: "192.0.2.1".to_owned(),
            ..Default::default()
        };
        get_local_endpoint(GetLocalEndpointRequest), list_local_endpoints(ListLocalEndpointsRequest),
        create_local_endpoint(CreateLocalEndpointRequest), update_local_endpoint(UpdateLocalEndpointRequest),
        delete_local_endpoint(DeleteLocalEndpointRequest)
    );
    a_life!(
        world, topology, "endpointGroups", endpoint_group, endpoint_groups,
        pb::EndpointGroup {
            r#type: pb::endpoint_group::Type::Cidr.into(),
            endpoints: vec!["10.0.0.0/8".to_owned()],
            ..Default::default()
        };
        get_endpoint_group(GetEndpointGroupRequest), list_endpoint_groups(ListEndpointGroupsRequest),
        create_endpoint_group(CreateEndpointGroupRequest), update_endpoint_group(UpdateEndpointGroupRequest),
        delete_endpoint_group(DeleteEndpointGroupRequest)
    );
}

fn refused() -> pb::IkePolicy {
    pb::IkePolicy {
        display_name: "refused".to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn violations_have_the_path_their_caller_wrote_and_come_together() {
    let world = World::start().await;
    let create = async |policy| {
        let request = pb::CreateIkePolicyRequest {
            parent: "backends/a".to_owned(),
            ike_policy: Some(policy),
            validate_only: true,
            ..Default::default()
        };
        world
            .policies()
            .create_ike_policy(request)
            .await
            .unwrap_err()
    };
    let status = create(refused()).await;
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(fields_at_fault(&status), ["ike_policy.display_name"]);
    assert!(
        status.message().contains("`ike_policy.display_name`: "),
        "{status:?}"
    );

    let status = create(pb::IkePolicy {
        encryption_algorithms: vec![2, 77],
        ..refused()
    });
    let status = status.await;
    assert_eq!(status.code(), Code::InvalidArgument);
    let both = [
        "ike_policy.encryption_algorithms[1]",
        "ike_policy.display_name",
    ];
    assert_eq!(fields_at_fault(&status), both);

    let request = pb::UpdateIkePolicyRequest {
        ike_policy: Some(pb::IkePolicy {
            name: "backends/a/ikePolicies/r0".to_owned(),
            ..refused()
        }),
        update_mask: mask(&["display_name", "colour"]),
        validate_only: false,
        ..Default::default()
    };
    let status = world
        .policies()
        .update_ike_policy(request)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let both = ["update_mask.paths[1]", "ike_policy.display_name"];
    assert_eq!(fields_at_fault(&status), both);

    let list = |page_token: &str, filter: &str| pb::ListVpnServicesRequest {
        parent: "backends/a".to_owned(),
        page_token: page_token.to_owned(),
        filter: filter.to_owned(),
        ..Default::default()
    };
    let mut client = world.topology();
    let status = client.list_vpn_services(list("x", "")).await.unwrap_err();
    assert_eq!(fields_at_fault(&status), ["page_token"]);
    let status = client
        .list_vpn_services(list("", "mtu=1"))
        .await
        .unwrap_err();
    assert_eq!(fields_at_fault(&status), ["filter"]);
    let request = pb::ListVpnServicesRequest {
        view: 9,
        ..list("", "router=r1")
    };
    let status = client.list_vpn_services(request).await.unwrap_err();
    assert_eq!(fields_at_fault(&status), ["view"]);
}

/// Values that no client could have written can be sent back as they were read, and only unchanged.
#[tokio::test]
async fn what_a_cloud_has_malformed_can_be_sent_back() {
    let world = World::start().await;
    let mut client = world.topology();
    let request = pb::CreateLocalEndpointRequest {
        parent: "backends/a".to_owned(),
        local_endpoint: Some(pb::LocalEndpoint {
            vpn_service: "backends/a/vpnServices/v".to_owned(),
            address: "192.0.2.1".to_owned(),
            ..Default::default()
        }),
        validate_only: false,
        ..Default::default()
    };
    client.create_local_endpoint(request).await.unwrap();
    for resource in world.a.kept.lock().unwrap().values_mut() {
        if let ResourceSettings::LocalEndpoint(endpoint) = &mut resource.spec.settings {
            endpoint.address = "2.1.4..0".to_owned();
        }
    }
    let request = pb::GetLocalEndpointRequest {
        name: "backends/a/localEndpoints/r0".to_owned(),
    };
    let read = client.get_local_endpoint(request).await.unwrap();
    let read = read.into_inner().local_endpoint.unwrap();
    assert_eq!(read.address, "2.1.4..0");
    let update = |address: &str| pb::UpdateLocalEndpointRequest {
        local_endpoint: Some(pb::LocalEndpoint {
            address: address.to_owned(),
            display_name: "new".to_owned(),
            ..read.clone()
        }),
        ..Default::default()
    };
    client
        .update_local_endpoint(update("2.1.4..0"))
        .await
        .unwrap();
    let change = world.a.changed.lock().unwrap().take().unwrap();
    assert_eq!(
        Vec::from_iter(change.fields),
        [ResourceField::DisplayName, ResourceField::VpnService]
    );
    let status = client.update_local_endpoint(update("2.1.4..1")).await;
    let at_fault = fields_at_fault(&status.unwrap_err());
    assert_eq!(at_fault, ["local_endpoint.address"]);
    assert!(world.a.changed.lock().unwrap().is_none());
}

#[tokio::test]
async fn a_kind_that_is_not_there_is_told_and_left_out() {
    let world = World::start().await;
    let list = |parent: &str| pb::ListIkePoliciesRequest {
        parent: parent.to_owned(),
        ..Default::default()
    };
    let mut client = world.policies();
    let status = client
        .list_ike_policies(list("backends/b"))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Unimplemented, "KIND_ABSENT")
    );
    let page = client.list_ike_policies(list("backends/-")).await.unwrap();
    assert_eq!(page.into_inner(), pb::ListIkePoliciesResponse::default());
    let status = client
        .list_ike_policies(list("backends/c"))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::NotFound);

    let outage = ErrorReason::UpstreamUnreachable;
    world
        .a
        .fail(Error::new(ErrorKind::Unavailable, outage, "nobody there"));
    let page = client.list_ike_policies(list("backends/-")).await.unwrap();
    assert_eq!(page.into_inner().unreachable, ["backends/a"]);
}

#[tokio::test]
async fn what_a_vpn_can_be_attached_to_is_listed() {
    let world = World::start().await;
    let list = |filter: &str, view: pb::View| pb::ListAttachmentsRequest {
        parent: "backends/-".to_owned(),
        filter: filter.to_owned(),
        view: view.into(),
        ..Default::default()
    };
    let mut client = world.topology();
    let page = client.list_attachments(list("", pb::View::Full)).await;
    let page = page.unwrap().into_inner();
    let [router, subnet] = &page.attachments[..] else {
        panic!("two: {page:?}");
    };
    assert_eq!(
        (router.kind(), router.usable),
        (pb::attachment::Kind::Router, false)
    );
    assert_eq!(
        (router.id.as_str(), router.reason.as_str()),
        ("router-1", "no gateway")
    );
    assert_eq!(
        (subnet.backend.as_str(), subnet.usable),
        ("backends/a", true)
    );
    assert_eq!(
        (subnet.parent_id.as_str(), subnet.reason.as_str()),
        ("router-1", "")
    );
    assert!(subnet.native.is_some());

    let page = client
        .list_attachments(list("kind=KIND_SUBNET", pb::View::Basic))
        .await;
    let page = page.unwrap().into_inner();
    assert_eq!(page.attachments.len(), 1);
    assert!(page.attachments[0].native.is_none());
}

#[tokio::test]
async fn connections_have_views_too() {
    let world = World::start().await;
    let mut client =
        pb::connection_service_client::ConnectionServiceClient::new(world.channel.clone());
    for (view, has_native) in [
        (pb::View::Unspecified, true),
        (pb::View::Basic, false),
        (pb::View::Full, true),
    ] {
        let request = pb::ListConnectionsRequest {
            parent: "backends/a".to_owned(),
            view: view.into(),
            ..Default::default()
        };
        let page = client.list_connections(request).await.unwrap().into_inner();
        assert_eq!(page.connections[0].native.is_some(), has_native);
    }
}

#[tokio::test]
async fn what_a_connection_carried_is_told_where_the_cloud_tells() {
    let world = World::start().await;
    let mut client = RealizationServiceClient::new(world.channel.clone());
    let mut get = async |name: &str| {
        let request = pb::GetTunnelStatisticsRequest {
            name: name.to_owned(),
        };
        client.get_tunnel_statistics(request).await
    };
    let told = get("backends/a/connections/c").await.unwrap().into_inner();
    let told = told.statistics.unwrap();
    assert_eq!(told.name, "backends/a/connections/c");
    assert!(told.partial && told.collect_time.is_none());
    let total = told.total.unwrap();
    assert_eq!((total.in_octets, total.out_octets), (Some(7), None));
    let selector = &told.selectors[0];
    let id = pb::selector_statistics::Selector::PolicyRuleId("4711".to_owned());
    assert_eq!(selector.selector, Some(id));
    assert_eq!(selector.tunnels[0].traffic.unwrap().in_octets, Some(0));

    for (name, code, why) in [
        (
            "backends/a/connections/x",
            Code::NotFound,
            "CONNECTION_NOT_FOUND",
        ),
        (
            "backends/b/connections/c",
            Code::Unimplemented,
            "KIND_ABSENT",
        ),
        (
            "backends/a/ikePolicies/c",
            Code::InvalidArgument,
            "INVALID_FIELD",
        ),
    ] {
        let status = get(name).await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (code, why),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_backend_tells_what_each_kind_takes() {
    let world = World::start().await;
    let mut client = BackendServiceClient::new(world.channel.clone());
    let request = pb::GetBackendRequest {
        name: "backends/a".to_owned(),
    };
    let backend = client.get_backend(request).await.unwrap().into_inner();
    let takes = backend.backend.unwrap().capabilities.unwrap();
    assert!(takes.tunnel_statistics);
    let collections: Vec<&str> = takes
        .resources
        .iter()
        .map(|it| it.collection.as_str())
        .collect();
    let all = ResourceKind::ALL.map(|kind| kind.collection().segment());
    assert_eq!(collections, all);
    let policy = &takes.resources[0];
    assert!(policy.fields.contains(&"encryption_algorithms".to_owned()));
    assert_eq!(policy.dh_groups().count(), DhGroup::ALL.len());
    assert_eq!(
        policy.dh_groups().next_back(),
        Some(pb::DhGroup::Curve25519)
    );
    assert_eq!((policy.max_algorithms, policy.max_display_name), (2, 255));
    assert_eq!(policy.min_lifetime.unwrap().seconds, 60);
    assert_eq!(policy.max_lifetime.unwrap().seconds, 86_400);
    assert_eq!(takes.resources[3].immutable_fields, ["router"]);
}

/// The deadline and the limit of calls apply to these calls too.
#[tokio::test]
async fn a_read_that_hangs_has_a_deadline_and_a_place() {
    let settings = Settings {
        max_calls: 1,
        ..Settings::default()
    };
    let world = World::with(settings).await;
    let held = pb::GetIkePolicyRequest {
        name: "backends/a/ikePolicies/held".to_owned(),
    };
    let path = "isthmus.v1.PolicyService/GetIkePolicy";
    let headers = [("grpc-timeout", "700m")];
    let address = world.server.address;
    let holding = tokio::spawn(async move { raw_call_of(address, path, &headers, &held).await });
    soon(world.a.arrived.notified()).await;
    let request = pb::ListVpnServicesRequest::default();
    let status = world.topology().list_vpn_services(request).await;
    let status = status.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::ResourceExhausted, "LIMIT_EXCEEDED")
    );
    let status = soon(holding).await.unwrap().status();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::DeadlineExceeded, "DEADLINE")
    );
}

/// Each name in a list stands for one resource.
#[tokio::test]
async fn pages_of_resources_are_whole() {
    let world = World::start().await;
    let mut client = world.policies();
    for _ in 0..5 {
        let request = pb::CreateDpdPolicyRequest {
            parent: "backends/a".to_owned(),
            dpd_policy: Some(pb::DpdPolicy::default()),
            validate_only: false,
            ..Default::default()
        };
        client.create_dpd_policy(request).await.unwrap();
    }
    let (mut names, mut page_token) = (BTreeSet::new(), String::new());
    loop {
        let request = pb::ListDpdPoliciesRequest {
            parent: "backends/-".to_owned(),
            page_size: 2,
            page_token,
            ..Default::default()
        };
        let page = client
            .list_dpd_policies(request)
            .await
            .unwrap()
            .into_inner();
        assert!(page.dpd_policies.len() <= 2);
        for policy in page.dpd_policies {
            assert!(names.insert(policy.name), "twice");
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names.len(), 5);
}

#[tokio::test]
async fn backends_come_in_pages() {
    let world = World::start().await;
    let mut client = BackendServiceClient::new(world.channel.clone());
    let mut list = async |page_size, page_token: &str| {
        let request = pb::ListBackendsRequest {
            page_size,
            page_token: page_token.to_owned(),
        };
        let page = client.list_backends(request).await?.into_inner();
        let names = page.backends.into_iter().map(|backend| backend.name);
        Ok::<_, Status>((Vec::from_iter(names), page.next_page_token))
    };
    let (names, next) = list(0, "").await.unwrap();
    assert_eq!(
        (names, next.as_str()),
        (vec!["backends/a".to_owned(), "backends/b".to_owned()], "")
    );
    let (names, next) = list(1, "").await.unwrap();
    assert_eq!(names, ["backends/a"]);
    let (names, next) = list(1, &next).await.unwrap();
    assert_eq!((names, next.as_str()), (vec!["backends/b".to_owned()], ""));
    let status = list(-1, "").await.unwrap_err();
    assert_eq!(fields_at_fault(&status), ["page_size"]);
    let status = list(1, "x").await.unwrap_err();
    assert_eq!(
        (fields_at_fault(&status), reason(&status)),
        (vec!["page_token".to_owned()], "WRONG_TOKEN".to_owned())
    );
}
