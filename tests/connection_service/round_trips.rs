//! What `get` answers can be sent back: as it is, edited, and without its name as a twin.

use crate::{
    setup::Bench,
    support::{
        cloud::{self, Cloud, peer_of},
        clouds::{PSK, References},
        running::{fields, id_of, reason},
    },
};
use isthmus::{
    dialects::settings::Given,
    grpc::pb::{self, connection::Selectors, peer::Authentication},
    simulator::{
        nsx::{self, NsxSimulator, inventory},
        openstack::{self, OpenstackOptions, OpenstackSimulator, Variant},
    },
};
use serde_json::json;
use tonic::Code;
use tonic_types::StatusExt;

/// Makes a connection, real at once; as it reads.
async fn made(bench: &Bench<'_>, wanted: pb::Connection) -> pb::Connection {
    let (made, _) = bench.running.create("a", wanted).await.unwrap();
    bench.cloud.settle(&id_of(&made.name));
    bench.running.get(&made.name).await.unwrap()
}

/// Sent back without a mask and with `*`, a connection changes nothing, and nothing is written.
async fn check_as_it_is(bench: &Bench<'_>, name: &str) {
    let read = bench.running.get(name).await.unwrap();
    let writes = bench.writes();
    for mask in [&[][..], &["*"]] {
        let answer = bench.update(read.clone(), mask, false).await;
        let answer = answer.unwrap_or_else(|status| panic!("{mask:?}: {status}"));
        assert_eq!(answer.connection.as_ref(), Some(&read), "{mask:?}");
        assert_eq!(bench.writes(), writes, "{mask:?} wrote");
    }
}

/// Everything of a connection that its own identity is not.
fn anonymous(mut connection: pb::Connection) -> pb::Connection {
    connection.name.clear();
    connection.etag.clear();
    connection.create_time = None;
    connection.update_time = None;
    connection.details = None;
    connection.native = None;
    match &mut connection.selectors {
        Some(Selectors::RouteBased(route)) => {
            for interface in &mut route.tunnel_interfaces {
                interface.id.clear();
            }
        }
        Some(Selectors::PolicyBased(_)) | None => {}
    }
    connection
}

/// Without its name, and with a key, it makes another that is the same.
async fn check_twin(bench: &Bench<'_>, read: &pb::Connection) {
    let mut twin = read.clone();
    twin.name.clear();
    if let Some(peer) = &mut twin.peer
        && peer.psk_set
    {
        peer.authentication = Some(Authentication::Psk(PSK.to_owned()));
    }
    let made = made(bench, twin).await;
    assert_ne!(made.name, read.name);
    assert_eq!(anonymous(made), anonymous(read.clone()));
}

/// Edited, it changes what was edited.
async fn check_edited(bench: &Bench<'_>, read: &pb::Connection) {
    let edited = pb::Connection {
        display_name: "edited".into(),
        ..read.clone()
    };
    bench.update(edited.clone(), &["*"], false).await.unwrap();
    bench.cloud.settle(&id_of(&read.name));
    let after = bench.running.get(&read.name).await.unwrap();
    assert_eq!(anonymous(after), anonymous(edited));
}

async fn check(bench: &Bench<'_>, wanted: pb::Connection) -> pb::Connection {
    let read = made(bench, wanted).await;
    check_as_it_is(bench, &read.name).await;
    check_twin(bench, &read).await;
    check_edited(bench, &read).await;
    read
}

fn fully(wanted: pb::Connection) -> pb::Connection {
    let mut wanted = pb::Connection {
        admin_enabled: Some(true),
        initiation: pb::Initiation::RespondOnly.into(),
        ..wanted
    };
    wanted.peer.as_mut().unwrap().id = "branch.example".into();
    wanted
}

#[tokio::test]
async fn on_nsx() {
    let cloud = cloud::nsx();
    let bench = Bench::over(&cloud).await;
    let wanted = cloud.wanted("a");
    check(&bench, wanted.clone()).await;
    let clamped = pb::Connection {
        description: "to the branch".into(),
        tcp_mss_clamping: Some(pb::TcpMssClamping {
            direction: pb::tcp_mss_clamping::Direction::Both.into(),
            max_segment_size: Some(1300),
        }),
        ..fully(wanted.clone())
    };
    check(&bench, clamped).await;
    let routed = pb::Connection {
        selectors: Some(Selectors::RouteBased(pb::RouteBased {
            tunnel_interfaces: vec![pb::TunnelInterface {
                id: "passed over".into(),
                addresses: vec!["169.254.64.1/30".into()],
            }],
        })),
        ..wanted.clone()
    };
    check(&bench, routed).await;
    let mut certified = wanted;
    certified.peer.as_mut().unwrap().authentication = Some(Authentication::Certificate(
        pb::CertificateAuthentication {},
    ));
    check(&bench, certified).await;
}

fn variant(variant: Variant) -> OpenstackSimulator {
    let options = OpenstackOptions {
        variant,
        at_before_peer_id: true,
        ..OpenstackOptions::default()
    };
    OpenstackSimulator::start(options).unwrap()
}

fn settings(cloud: &OpenstackSimulator, variant: &str) -> Given {
    cloud.settings("a").with("variant", variant)
}

fn with_networks(cloud: &OpenstackSimulator) -> pb::Connection {
    let service = cloud.inventory().project.legacy_service_id;
    let rule = pb::PolicyRule {
        destinations: vec!["192.168.77.0/24".into(), "192.168.78.0/24".into()],
        ..pb::PolicyRule::default()
    };
    pb::Connection {
        vpn_service: format!("backends/a/vpnServices/{service}"),
        selectors: Some(Selectors::PolicyBased(pb::PolicyBased {
            rules: vec![rule],
            ..pb::PolicyBased::default()
        })),
        ..References::of(cloud).connection("a")
    }
}

fn detecting(wanted: pb::Connection) -> pb::Connection {
    pb::Connection {
        dpd: Some(pb::DeadPeerDetection {
            action: pb::dead_peer_detection::Action::Restart.into(),
            ..pb::DeadPeerDetection::default()
        }),
        ..fully(wanted)
    }
}

#[tokio::test]
async fn on_neutron() {
    let cloud = variant(Variant::Neutron);
    let bench = Bench::bound(&cloud, settings(&cloud, "neutron")).await;
    check(&bench, cloud.wanted("a")).await;
    let described = pb::Connection {
        description: "to the branch".into(),
        mtu: Some(1400),
        ..detecting(with_networks(&cloud))
    };
    check(&bench, described).await;
}

#[tokio::test]
async fn on_otc() {
    let cloud = variant(Variant::Otc);
    let bench = Bench::bound(&cloud, settings(&cloud, "otc")).await;
    check(&bench, cloud.wanted("a")).await;
    let read = check(&bench, detecting(cloud.wanted("a"))).await;
    // The only value that it takes of a new one.
    assert_eq!(read.mtu, Some(1500));
    // What it takes of none may be there all the same.
    let id = id_of(&read.name);
    let off = Some(json!(false));
    let state = cloud.state();
    state.set_attribute(openstack::Kind::Connection, &id, "admin_state_up", off);
    let words = Some(json!("its own words"));
    state.set_attribute(openstack::Kind::Connection, &id, "description", words);
    check_as_it_is(&bench, &read.name).await;
}

#[tokio::test]
async fn on_k5() {
    let cloud = variant(Variant::K5);
    let bench = Bench::bound(&cloud, settings(&cloud, "k5")).await;
    check(&bench, with_networks(&cloud)).await;
    check(&bench, detecting(with_networks(&cloud))).await;
}

/// Words nobody knows, networks that are none, rules that nobody can make: what a cloud has can stay.
#[tokio::test]
async fn what_no_caller_could_have_written_can_be_sent_back_to_nsx() {
    let cloud = cloud::nsx();
    let bench = Bench::over(&cloud).await;
    let read = made(&bench, cloud.wanted("a")).await;
    let id = id_of(&read.name);
    let rules = json!([
        { "id": "1", "sources": [{ "subnet": "2.1.4..0/24" }], "destinations": [], "action": "BYPASS" },
        { "id": "2", "sources": "any", "destinations": [] },
    ]);
    let state = cloud.state();
    state.alter(
        nsx::Kind::Session,
        &id,
        json!({ "policy_rules": rules, "tcp_mss_clamping": { "direction": "SIDEWAYS" } }),
    );
    state.alter(
        nsx::Kind::PeerEndpoint,
        &peer_of(&cloud, &id),
        json!({ "connection_initiation_mode": "TELEPATHY", "peer_address": "2.1.4..0" }),
    );
    check_as_it_is(&bench, &read.name).await;
    // The cloud takes back what it has, but for what cannot be.
    let rules = json!([{ "id": "1", "sources": [], "destinations": [] }]);
    state.alter(nsx::Kind::Session, &id, json!({ "policy_rules": rules }));
    let read = bench.running.get(&read.name).await.unwrap();
    let renamed = pb::Connection {
        display_name: "edited".into(),
        ..read.clone()
    };
    bench.update(renamed, &["*"], false).await.unwrap();
    let session = state.object(nsx::Kind::Session, &id).unwrap();
    assert_eq!(session["tcp_mss_clamping"]["direction"], "SIDEWAYS");
    let peer = peer_of(&cloud, &id);
    let peer = state.object(nsx::Kind::PeerEndpoint, &peer).unwrap();
    assert_eq!(peer["connection_initiation_mode"], "TELEPATHY");

    // With no peer endpoint there is nothing of it to say.
    state.vanish(nsx::Kind::PeerEndpoint, &peer_of(&cloud, &id));
    check_as_it_is(&bench, &read.name).await;
}

#[tokio::test]
async fn what_no_caller_could_have_written_can_be_sent_back_to_openstack() {
    let cloud = variant(Variant::Neutron);
    let bench = Bench::bound(&cloud, settings(&cloud, "neutron")).await;
    let read = made(&bench, with_networks(&cloud)).await;
    let id = id_of(&read.name);
    for (name, value) in [
        ("initiator", json!("sometimes")),
        (
            "dpd",
            json!({ "action": "shrug", "interval": 60, "timeout": 60 }),
        ),
        ("mtu", json!("many")),
        ("peer_cidrs", json!(["2.1.4..0/24"])),
        ("peer_address", json!("an address")),
        ("ikepolicy_id", json!(null)),
    ] {
        let state = cloud.state();
        state.set_attribute(openstack::Kind::Connection, &id, name, Some(value));
        check_as_it_is(&bench, &read.name).await;
    }
    // The cloud takes back what it has, but for what cannot be.
    for (name, value) in [
        (
            "dpd",
            json!({ "action": "shrug", "interval": 60, "timeout": 61 }),
        ),
        ("peer_cidrs", json!(["192.168.77.0/24"])),
        ("peer_address", json!("198.51.100.20")),
    ] {
        let state = cloud.state();
        state.set_attribute(openstack::Kind::Connection, &id, name, Some(value));
    }
    let read = bench.running.get(&read.name).await.unwrap();
    check_edited(&bench, &read).await;
}

async fn refused(bench: &Bench<'_>, connection: pb::Connection, mask: &[&str]) -> Vec<String> {
    let writes = bench.writes();
    let status = bench.update(connection, mask, false).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    assert_eq!(reason(&status), "NOT_EXPRESSIBLE");
    assert_eq!(bench.writes(), writes);
    let details = status.get_details_bad_request().unwrap();
    let each = details.field_violations.into_iter();
    each.map(|it| format!("{}: {}", it.field, it.description))
        .collect()
}

/// What cannot be changed is refused by its field only if it differs, with what is there.
#[tokio::test]
async fn what_cannot_be_changed_is_refused_with_what_is_there() {
    let cloud = cloud::nsx();
    let bench = Bench::over(&cloud).await;
    let read = made(&bench, cloud.wanted("a")).await;
    let moved = pb::Connection {
        vpn_service: "backends/a/vpnServices/other".into(),
        selectors: Some(Selectors::RouteBased(pb::RouteBased {
            tunnel_interfaces: vec![pb::TunnelInterface {
                addresses: vec!["169.254.64.1/30".into()],
                ..pb::TunnelInterface::default()
            }],
        })),
        ..read.clone()
    };
    let why = refused(&bench, moved, &[]).await;
    assert_eq!(why.len(), 2, "{why:?}");
    assert!(
        why[0].starts_with("connection.vpn_service: can only be"),
        "{why:?}"
    );
    assert!(why[0].contains(inventory::SERVICE_ID), "{why:?}");
    assert!(why[1].starts_with("connection.route_based: "), "{why:?}");
    assert!(why[1].contains("PolicyBased"), "{why:?}");
    let named = refused(&bench, with_service(&read, "other"), &["vpn_service"]).await;
    assert_eq!(named.len(), 1, "{named:?}");

    let cloud = variant(Variant::Neutron);
    let bench = Bench::bound(&cloud, settings(&cloud, "neutron")).await;
    let read = made(&bench, cloud.wanted("a")).await;
    let ipsec_policy = "backends/a/ipsecPolicies/other".into();
    let moved = pb::Connection {
        ipsec_policy,
        selectors: with_networks(&cloud).selectors,
        ..with_service(&read, "other")
    };
    let why = refused(&bench, moved, &[]).await;
    assert_eq!(why.len(), 3, "{why:?}");
    let service = id_of(&read.vpn_service);
    let there = format!("connection.vpn_service: is `{service}`");
    assert!(why[0].starts_with(&there), "{why:?}");
    assert!(why[1].starts_with("connection.ipsec_policy: "), "{why:?}");
    assert!(why[2].starts_with("connection.policy_based: "), "{why:?}");

    // With what else there is against it, and if it is only asked.
    let moved = with_service(&read, "other");
    let why = refused(
        &bench,
        pb::Connection {
            mtu: Some(1),
            ..moved.clone()
        },
        &[],
    )
    .await;
    assert_eq!(why.len(), 2, "{why:?}");
    assert!(why[0].starts_with("connection.mtu: "), "{why:?}");
    assert!(why[1].starts_with(&there), "{why:?}");
    let status = bench.update(moved, &[], true).await.unwrap_err();
    assert_eq!(fields(&status), ["connection.vpn_service"]);
    bench.update(read, &["*"], true).await.unwrap();
}

fn with_service(read: &pb::Connection, service: &str) -> pb::Connection {
    pb::Connection {
        vpn_service: format!("backends/a/vpnServices/{service}"),
        ..read.clone()
    }
}

/// The local endpoint decides; it is asked only if somebody names the service.
#[tokio::test]
async fn a_service_that_nsx_derives_may_be_named_as_it_is() {
    let cloud = cloud::nsx();
    let bench = Bench::over(&cloud).await;
    let endpoints = || local_endpoints_read(&cloud);
    let wanted = cloud.wanted("a");
    made(&bench, wanted.clone()).await;
    assert_eq!(endpoints(), 0);
    made(&bench, with_service(&wanted, inventory::SERVICE_ID)).await;
    assert_eq!(endpoints(), 1);

    let writes = bench.writes();
    let other = with_service(&wanted, "other");
    let status = bench.running.create("a", other.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(fields(&status), ["connection.vpn_service"]);
    assert!(status.message().contains(inventory::SERVICE_ID), "{status}");
    let nowhere = pb::Connection {
        local_endpoint: "backends/a/localEndpoints/nowhere".into(),
        ..other
    };
    let status = bench.running.create("a", nowhere).await.unwrap_err();
    assert_eq!(reason(&status), "REFERENCE_NOT_FOUND");
    assert_eq!(fields(&status), ["connection.local_endpoint"]);
    assert_eq!(bench.writes(), writes);
}

fn local_endpoints_read(cloud: &NsxSimulator) -> usize {
    let seen = cloud.server().requests().all();
    let reads = seen.iter();
    reads
        .filter(|it| it.path.contains("/local-endpoints/"))
        .count()
}

/// What is malformed and what the cloud cannot express is told in one answer, by the paths of the request.
#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once() {
    let cloud = cloud::nsx();
    let bench = Bench::over(&cloud).await;
    let wrong = pb::Connection {
        mtu: Some(1400),
        initiation: 99,
        description: "x".repeat(1025),
        ..cloud.wanted("a")
    };
    let status = bench.running.create("a", wrong).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let expected = [
        "connection.initiation",
        "connection.mtu",
        "connection.description",
    ];
    assert_eq!(fields(&status), expected);
    for field in expected {
        assert!(status.message().contains(&format!("`{field}`")), "{status}");
    }

    let read = made(&bench, cloud.wanted("a")).await;
    let mut wrong = pb::Connection {
        mtu: Some(1400),
        initiation: 99,
        description: "x".repeat(1025),
        ..read
    };
    wrong.peer.as_mut().unwrap().address = "2.1.4..0".into();
    let status = bench.update(wrong, &[], false).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let expected = [
        "connection.peer.address",
        "connection.initiation",
        "connection.mtu",
        "connection.description",
    ];
    assert_eq!(fields(&status), expected);
}

/// A field that the cloud itself names is a path of the request, too.
#[tokio::test]
async fn what_the_cloud_refuses_is_a_path_of_the_request() {
    let cloud = variant(Variant::Neutron);
    let bench = Bench::bound(&cloud, settings(&cloud, "neutron")).await;
    let wanted = pb::Connection {
        ike_policy: "backends/a/ikePolicies/00000000-0000-0000-0000-000000000000".into(),
        ..cloud.wanted("a")
    };
    let status = bench.running.create("a", wanted).await.unwrap_err();
    assert_eq!(reason(&status), "REFERENCE_NOT_FOUND");
    assert_eq!(fields(&status), ["connection.ike_policy"]);
}
