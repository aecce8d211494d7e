//! Every refusal of a connection that the reference notes know of, as the caller of the gateway sees it.

use crate::{
    calls::{
        change, create, fields, gateway, get, list, look, made, metadata, reason, remove, update,
    },
    cloud::{self, BACKEND, Login, id_of, name_of, reports, seeded},
    operator::{self, User},
    support::clouds::PSK,
};
use isthmus::grpc::pb;
use reqwest::Method;
use serde_json::json;
use tonic::{Code, Status};
use tonic_types::StatusExt;

const NOWHERE: &str = "00000000-0000-0000-0000-000000000000";

/// What a refusal is: code, reason, what the cloud said (`status type`, empty if it was not asked), fields.
type Expected<'a> = (Code, &'a str, &'a str, &'a [&'a str]);

fn reference<'a>(fields: &'a [&'a str], said: &'a str) -> Expected<'a> {
    (
        Code::FailedPrecondition,
        "REFERENCE_NOT_FOUND",
        said,
        fields,
    )
}

fn refused<'a>(said: &'a str, fields: &'a [&'a str]) -> Expected<'a> {
    (Code::InvalidArgument, "UPSTREAM_REJECTED", said, fields)
}

/// Malformed whatever the cloud.
fn beforehand<'a>(fields: &'a [&'a str]) -> Expected<'a> {
    (Code::InvalidArgument, "INVALID_FIELD", "", fields)
}

/// Well formed, and nothing for this cloud.
fn cannot<'a>(fields: &'a [&'a str]) -> Expected<'a> {
    (Code::FailedPrecondition, "NOT_EXPRESSIBLE", "", fields)
}

fn check(what: &str, error: &Status, expected: Expected<'_>) -> Result<(), String> {
    let said = format!(
        "{} {}",
        metadata(error, "upstream_status"),
        metadata(error, "upstream_code")
    );
    let fields = fields(error);
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    let reason = reason(error);
    let found: Expected<'_> = (error.code(), &reason, said.trim(), &fields);
    let whole = format!("{error:?}");
    let problems = [
        (found != expected, "is not as expected"),
        (
            // What is malformed is refused before a backend is looked for.
            reason != "INVALID_FIELD"
                && metadata(error, "backend") != format!("backends/{BACKEND}"),
            "names no backend",
        ),
        (error.message().is_empty(), "has no words"),
        (
            !said.trim().is_empty() && metadata(error, "upstream_request_id").is_empty(),
            "has no id for the cloud's operators",
        ),
        (
            // A plain 500 has words, too; only a quota and the like say more.
            !said.trim().is_empty() && metadata(error, "upstream_message").is_empty(),
            "has none of the cloud's words",
        ),
        (whole.contains(PSK), "shows the key"),
        (whole.len() > 16 * 1024, "is too long"),
        (
            error.code() == Code::FailedPrecondition
                && fields.is_empty()
                && error.get_details_precondition_failure().is_none(),
            "has no PreconditionFailure",
        ),
    ];
    match problems.iter().find(|(wrong, _)| *wrong) {
        None => Ok(()),
        Some((_, problem)) => Err(format!(
            "{what} {problem}:\n  expected {expected:?}\n  found    {found:?}\n  {}",
            error.message()
        )),
    }
}

fn all_well(problems: &[String]) {
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn named(collection: &str, id: &str) -> String {
    format!("backends/{BACKEND}/{collection}/{id}")
}

fn groups(local: &str, peer: &str) -> Option<pb::connection::Selectors> {
    Some(pb::connection::Selectors::PolicyBased(pb::PolicyBased {
        rules: vec![],
        local_endpoint_group: named("endpointGroups", local),
        peer_endpoint_group: named("endpointGroups", peer),
    }))
}

fn networks(destinations: &[&str]) -> Option<pb::connection::Selectors> {
    let rule = pb::PolicyRule {
        destinations: destinations.iter().map(|&it| it.to_owned()).collect(),
        ..pb::PolicyRule::default()
    };
    Some(pb::connection::Selectors::PolicyBased(pb::PolicyBased {
        rules: vec![rule],
        ..pb::PolicyBased::default()
    }))
}

fn peer(connection: &mut pb::Connection) -> &mut pb::Peer {
    connection.peer.as_mut().unwrap()
}

fn key(key: &str) -> Option<pb::peer::Authentication> {
    Some(pb::peer::Authentication::Psk(key.to_owned()))
}

fn dpd(interval: i64, timeout: i64) -> Option<pb::DeadPeerDetection> {
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    Some(pb::DeadPeerDetection {
        interval: seconds(interval),
        timeout: seconds(timeout),
        ..pb::DeadPeerDetection::default()
    })
}

/// Things that a connection can be refused for, made beside the gateway.
struct Props {
    group_v6: String,
    networks_v6: String,
    policy_ah: String,
}

impl Props {
    async fn new() -> Props {
        let make = async |path: &str, kind: &str, body: serde_json::Value| {
            let path = format!("vpn/{path}");
            let body = json!({ kind: body });
            let made = operator::neutron(&Login::demo(), Method::POST, &path, body).await;
            made[kind]["id"].as_str().unwrap().to_owned()
        };
        let group = |kind, endpoint: String| json!({ "type": kind, "endpoints": [endpoint] });
        let subnet = seeded("DEMO", "SUBNET_V6");
        let network = "2001:db8:77::/64".to_owned();
        let ah = json!({ "auth_algorithm": "sha256", "transform_protocol": "ah-esp" });
        Props {
            group_v6: make("endpoint-groups", "endpoint_group", group("subnet", subnet)).await,
            networks_v6: make("endpoint-groups", "endpoint_group", group("cidr", network)).await,
            policy_ah: make("ipsecpolicies", "ipsecpolicy", ah).await,
        }
    }

    async fn remove(self) {
        for path in [
            format!("vpn/endpoint-groups/{}", self.group_v6),
            format!("vpn/endpoint-groups/{}", self.networks_v6),
            format!("vpn/ipsecpolicies/{}", self.policy_ah),
        ] {
            let nothing = serde_json::Value::Null;
            operator::neutron(&Login::demo(), Method::DELETE, &path, nothing).await;
        }
    }
}

type Row<'a> = (
    &'a str,
    Box<dyn FnOnce(&mut pb::Connection) + Send + 'a>,
    Expected<'a>,
);

fn row<'a>(
    what: &'a str,
    edit: impl FnOnce(&mut pb::Connection) + Send + 'a,
    expected: Expected<'a>,
) -> Row<'a> {
    (what, Box::new(edit), expected)
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_refusal_to_make_one_says_why_and_where() {
    let _shared = cloud::shared().await;
    let running = gateway(&Login::demo()).await;
    let props = Props::new().await;
    let (local, remote) = (
        seeded("DEMO", "LOCAL_ENDPOINT_GROUP"),
        seeded("DEMO", "PEER_ENDPOINT_GROUP"),
    );
    let legacy = named("vpnServices", &seeded("DEMO", "LEGACY_VPN_SERVICE"));
    let of_other = |collection, what| named(collection, &seeded("OTHER", what));

    let rows: Vec<Row<'_>> = vec![
        // What it refers to.
        row(
            "no such IKE policy",
            |c| c.ike_policy = named("ikePolicies", NOWHERE),
            reference(&["ike_policy"], "404 IKEPolicyNotFound"),
        ),
        row(
            "no such IPsec policy",
            |c| c.ipsec_policy = named("ipsecPolicies", NOWHERE),
            reference(&["ipsec_policy"], "404 IPsecPolicyNotFound"),
        ),
        row(
            "another project's IKE policy",
            |c| c.ike_policy = of_other("ikePolicies", "IKE_POLICY"),
            reference(&["ike_policy"], "404 IKEPolicyNotFound"),
        ),
        row(
            "another project's VPN service",
            |c| c.vpn_service = of_other("vpnServices", "VPN_SERVICE"),
            reference(&["vpn_service"], "404 VPNServiceNotFound"),
        ),
        // The cloud's own answer is a 500; what it says of the service is asked afterwards.
        row(
            "no such VPN service",
            |c| c.vpn_service = named("vpnServices", NOWHERE),
            reference(&["vpn_service"], "404 VPNServiceNotFound"),
        ),
        row(
            "no such local group",
            |c| c.selectors = groups(NOWHERE, &remote),
            reference(&["policy_based"], "404 VPNEndpointGroupNotFound"),
        ),
        row(
            "no such peer group",
            |c| c.selectors = groups(&local, NOWHERE),
            reference(&["policy_based"], "404 VPNEndpointGroupNotFound"),
        ),
        row(
            "an id that is none",
            |c| c.ike_policy = named("ikePolicies", "x"),
            refused("400 HTTPBadRequest", &[]),
        ),
        // What does not go together.
        row(
            "groups swapped",
            |c| c.selectors = groups(&remote, &local),
            refused("400 WrongEndpointGroupType", &["policy_based"]),
        ),
        row(
            "networks on a service without a subnet",
            |c| c.selectors = networks(&["192.168.5.0/24"]),
            refused(
                "400 PeerCidrsInvalid",
                &["policy_based.rules[0].destinations"],
            ),
        ),
        row(
            "groups on a service with a subnet",
            |c| c.vpn_service.clone_from(&legacy),
            refused(
                "400 MissingPeerCidrs",
                &["policy_based.rules[0].destinations"],
            ),
        ),
        row(
            "IPv4 and IPv6 networks",
            |c| {
                c.vpn_service.clone_from(&legacy);
                c.selectors = networks(&["192.168.5.0/24", "2001:db8:5::/64"]);
            },
            refused(
                "400 MixedIPVersionsForPeerCidrs",
                &["policy_based.rules[0].destinations"],
            ),
        ),
        row(
            "IPv6 here, IPv4 there",
            |c| c.selectors = groups(&props.group_v6, &remote),
            refused("400 MixedIPVersionsForIPSecConnection", &["peer.address"]),
        ),
        row(
            "mtu below 1280 with IPv6",
            |c| {
                c.selectors = groups(&props.group_v6, &props.networks_v6);
                c.mtu = Some(1279);
            },
            refused("400 IPsecSiteConnectionMtuError", &["mtu"]),
        ),
        row(
            "an ah-esp policy",
            |c| c.ipsec_policy = named("ipsecPolicies", &props.policy_ah),
            refused("400 IpsecValidationFailure", &["ipsec_policy"]),
        ),
        row(
            "a host name that does not resolve",
            |c| peer(c).address = "no.such.host.invalid".into(),
            refused("400 VPNPeerAddressNotResolved", &["peer.address"]),
        ),
        // Refused before anything is sent; the cloud would answer 400 or 500.
        row(
            "no peer address",
            |c| peer(c).address.clear(),
            beforehand(&["peer.address"]),
        ),
        row(
            "no key",
            |c| peer(c).authentication = None,
            beforehand(&["peer.psk"]),
        ),
        row(
            "an empty key",
            |c| peer(c).authentication = key(""),
            beforehand(&["peer.psk"]),
        ),
        row(
            "a key of 300 characters",
            |c| peer(c).authentication = key(&"k".repeat(300)),
            cannot(&["peer.psk"]),
        ),
        row(
            "a key with an emoji",
            |c| peer(c).authentication = key("\u{1f511}"),
            cannot(&["peer.psk"]),
        ),
        row(
            "a name with an emoji",
            |c| c.display_name = "\u{1f511}".into(),
            cannot(&["display_name"]),
        ),
        row(
            "a name of 256 characters",
            |c| c.display_name = "n".repeat(256),
            cannot(&["display_name"]),
        ),
        row(
            "a description of 256 characters",
            |c| c.description = "d".repeat(256),
            cannot(&["description"]),
        ),
        row(
            "a peer address of 300 characters",
            |c| peer(c).address = "a".repeat(300),
            beforehand(&["peer.address"]),
        ),
        row(
            "a peer id of 300 characters",
            |c| peer(c).id = "i".repeat(300),
            cannot(&["peer.id"]),
        ),
        row(
            "no VPN service",
            |c| c.vpn_service.clear(),
            cannot(&["vpn_service"]),
        ),
        row(
            "no policies",
            |c| {
                c.ike_policy.clear();
                c.ipsec_policy.clear();
            },
            cannot(&["ike_policy", "ipsec_policy"]),
        ),
        row(
            "no selectors",
            |c| c.selectors = None,
            beforehand(&["policy_based"]),
        ),
        row(
            "only the local group",
            |c| {
                c.selectors = groups(&local, "").map(|s| match s {
                    pb::connection::Selectors::PolicyBased(mut it) => {
                        it.peer_endpoint_group.clear();
                        pb::connection::Selectors::PolicyBased(it)
                    }
                    other @ pb::connection::Selectors::RouteBased(_) => other,
                })
            },
            beforehand(&["policy_based.peer_endpoint_group"]),
        ),
        row(
            "a service with a subnet and no networks",
            |c| {
                c.vpn_service.clone_from(&legacy);
                c.selectors = networks(&[]);
            },
            cannot(&["policy_based.rules[0].destinations"]),
        ),
        row(
            "a network of more than 32 characters",
            |c| {
                c.vpn_service.clone_from(&legacy);
                c.selectors = networks(&["2001:0db8:0000:0000:0000:0000:0000:0000/64"]);
            },
            cannot(&["policy_based.rules[0].destinations"]),
        ),
        row(
            "a network that is none",
            |c| {
                c.vpn_service.clone_from(&legacy);
                c.selectors = networks(&["2.1.4..0/24"]);
            },
            beforehand(&["policy_based.rules[0].destinations[0]"]),
        ),
        row(
            "a dead peer's timeout as long as the interval",
            |c| c.dpd = dpd(30, 30),
            beforehand(&["dpd.timeout"]),
        ),
        row(
            "an interval above the default timeout",
            |c| {
                c.dpd = dpd(121, 0);
                c.dpd.as_mut().unwrap().timeout = None;
            },
            cannot(&["dpd.timeout"]),
        ),
        row(
            "a negative interval",
            |c| c.dpd = dpd(-1, 30),
            beforehand(&["dpd.interval"]),
        ),
        row("an mtu of 67", |c| c.mtu = Some(67), cannot(&["mtu"])),
        row("an mtu of 0", |c| c.mtu = Some(0), cannot(&["mtu"])),
        row(
            "an initiation that is not known",
            |c| c.initiation = 99,
            beforehand(&["initiation"]),
        ),
        row(
            "on demand",
            |c| c.set_initiation(pb::Initiation::OnDemand),
            cannot(&["initiation"]),
        ),
        row(
            "by routes",
            |c| {
                c.selectors = Some(pb::connection::Selectors::RouteBased(pb::RouteBased {
                    tunnel_interfaces: vec![pb::TunnelInterface {
                        addresses: vec!["169.254.1.1/30".into()],
                        ..pb::TunnelInterface::default()
                    }],
                }))
            },
            cannot(&["route_based"]),
        ),
        row(
            "everything wrong at once",
            |c| {
                peer(c).address.clear();
                peer(c).authentication = None;
                c.selectors = None;
            },
            beforehand(&["peer.address", "peer.psk", "policy_based"]),
        ),
    ];
    let mut problems = Vec::new();
    for (what, edit, expected) in rows {
        match create(&running, edit).await {
            Err(error) => problems.extend(check(what, &error, expected).err()),
            Ok(answer) => {
                problems.push(format!("{what} was taken"));
                remove(&running, &answer.connection.unwrap().name).await;
            }
        }
    }
    // What only looks wrong is taken.
    let taken: Vec<Row<'_>> = vec![
        row(
            "a network with host bits",
            |c| {
                c.vpn_service.clone_from(&legacy);
                c.selectors = networks(&["192.168.5.1/24"]);
            },
            cannot(&[]),
        ),
        row(
            "a key with quotes, a backslash and a line break",
            |c| peer(c).authentication = key("a'b\"c\\d\ne"),
            cannot(&[]),
        ),
        row("an empty peer id", |c| peer(c).id.clear(), cannot(&[])),
        row(
            "a peer over IPv6",
            |c| {
                c.selectors = groups(&props.group_v6, &props.networks_v6);
                peer(c).address = "2001:db8:99::1".into();
            },
            cannot(&[]),
        ),
    ];
    for (what, edit, _) in taken {
        match create(&running, edit).await {
            Ok(answer) => remove(&running, &answer.connection.unwrap().name).await,
            Err(error) => problems.push(format!("{what}: {error:?}")),
        }
    }
    props.remove().await;
    all_well(&problems);
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_refusal_to_change_or_show_one_says_why_and_where() {
    use Code::{Aborted, FailedPrecondition, InvalidArgument, NotFound};
    let _shared = cloud::shared().await;
    let running = gateway(&Login::demo()).await;
    let (name, _) = made(&running).await;
    let mut problems = Vec::new();
    let mut note = |what: &str, error: Status, expected: Expected<'_>| {
        problems.extend(check(what, &error, expected).err());
    };
    let pending: Expected<'_> = (
        FailedPrecondition,
        "WRONG_STATE",
        "400 VPNStateInvalidToUpdate",
        &[],
    );
    for state in ["", "PENDING_UPDATE --force", "PENDING_DELETE --force"] {
        if !state.is_empty() {
            reports(&id_of(&name), state);
        }
        note(
            state,
            change(&running, &name, "x").await.unwrap_err(),
            pending,
        );
    }
    reports(&id_of(&name), "DOWN --force");
    let of = |edit: &dyn Fn(&mut pb::Connection)| {
        let mut connection = pb::Connection {
            name: name.clone(),
            peer: Some(pb::Peer::default()),
            ..pb::Connection::default()
        };
        edit(&mut connection);
        connection
    };
    let (local, remote) = (
        seeded("DEMO", "LOCAL_ENDPOINT_GROUP"),
        seeded("DEMO", "PEER_ENDPOINT_GROUP"),
    );
    let changes: Vec<(&str, pb::Connection, &str, Expected<'_>)> = vec![
        (
            "another IKE policy",
            of(&|c| c.ike_policy = named("ikePolicies", NOWHERE)),
            "ike_policy",
            cannot(&["ike_policy"]),
        ),
        (
            "another IPsec policy",
            of(&|c| c.ipsec_policy = named("ipsecPolicies", NOWHERE)),
            "ipsec_policy",
            cannot(&["ipsec_policy"]),
        ),
        (
            "another VPN service",
            of(&|c| c.vpn_service = named("vpnServices", NOWHERE)),
            "vpn_service",
            beforehand(&["update_mask.paths[0]"]),
        ),
        (
            "a host name that does not resolve",
            of(&|c| peer(c).address = "no.such.host.invalid".into()),
            "peer.address",
            refused("400 VPNPeerAddressNotResolved", &["peer.address"]),
        ),
        (
            "groups swapped",
            of(&|c| c.selectors = groups(&remote, &local)),
            "policy_based",
            refused("400 WrongEndpointGroupType", &["policy_based"]),
        ),
        (
            "no such group",
            of(&|c| c.selectors = groups(&local, NOWHERE)),
            "policy_based",
            (
                FailedPrecondition,
                "REFERENCE_NOT_FOUND",
                "404 VPNEndpointGroupNotFound",
                &["policy_based"],
            ),
        ),
        (
            "networks instead of groups",
            of(&|c| c.selectors = networks(&["192.168.5.0/24"])),
            "policy_based",
            cannot(&["policy_based"]),
        ),
        (
            "a short timeout",
            of(&|c| c.dpd = dpd(30, 30)),
            "dpd",
            beforehand(&["dpd.timeout"]),
        ),
        (
            "an mtu of 67",
            of(&|c| c.mtu = Some(67)),
            "mtu",
            cannot(&["mtu"]),
        ),
        (
            "a name with an emoji",
            of(&|c| c.display_name = "\u{1f511}".into()),
            "display_name",
            cannot(&["display_name"]),
        ),
        (
            "an empty key",
            of(&|c| peer(c).authentication = key("")),
            "peer.psk",
            beforehand(&["peer.psk"]),
        ),
        (
            "a field that there is not",
            of(&|_| {}),
            "nosuch",
            beforehand(&["update_mask.paths[0]"]),
        ),
        (
            "an etag of before",
            of(&|c| {
                c.etag = "stale".into();
                c.display_name = "x".into();
            }),
            "display_name",
            (Aborted, "STALE_ETAG", "", &[]),
        ),
    ];
    for (what, connection, path, expected) in changes {
        match update(&running, connection, &[path]).await {
            Err(error) => note(what, error, expected),
            Ok(_) => panic!("{what} was taken"),
        }
    }
    let request = pb::DeleteConnectionRequest {
        name: name.clone(),
        etag: "stale".into(),
        ..pb::DeleteConnectionRequest::default()
    };
    let error = running.connections().delete_connection(request).await;
    note(
        "removed with an etag of before",
        error.unwrap_err(),
        (Aborted, "STALE_ETAG", "", &[]),
    );
    remove(&running, &name).await;

    let missing: Expected<'_> = (NotFound, "CONNECTION_NOT_FOUND", "", &[]);
    let removed = id_of(&name);
    for id in [removed.as_str(), NOWHERE, "no-uuid"] {
        let name = name_of(id);
        note(id, get(&running, &name).await.unwrap_err(), missing);
        if id != removed {
            // Of what this gateway removed it says that it is gone.
            note(id, look(&running, &name).await.unwrap_err(), missing);
        }
        note(id, change(&running, &name, "x").await.unwrap_err(), missing);
        note(id, running.delete(&name).await.unwrap_err(), missing);
    }
    let bad = list(&running, 10, "not a token").await.unwrap_err();
    assert_eq!(
        (bad.code(), fields(&bad)),
        (InvalidArgument, vec!["page_token".to_owned()])
    );
    all_well(&problems);
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_that_is_used_up_says_so() {
    let _shared = cloud::shared().await;
    let name = format!("test-{}", uuid::Uuid::new_v4());
    let body = json!({ "project": { "name": name, "domain_id": "default" } });
    let made = operator::keystone(Method::POST, "projects", body).await;
    let project = made["project"]["id"].as_str().unwrap().to_owned();
    operator::set_quota(&project, "ipsec_site_connection", 0).await;
    let user = User::new(&name, &project, &["member"]).await;
    let running = gateway(&user.login).await;
    let error = create(&running, |_| {}).await.unwrap_err();
    let expected: Expected<'_> = (
        Code::ResourceExhausted,
        "QUOTA_EXCEEDED",
        "409 OverQuota",
        &[],
    );
    let checked = check("a quota", &error, expected);
    user.remove().await;
    let path = format!("projects/{project}");
    operator::keystone(Method::DELETE, &path, serde_json::Value::Null).await;
    checked.unwrap();
}
