//! What a connection has carried.

use crate::{
    setup::{Nsx, nsx, page_of_html, refusal, spec},
    support::cloud::call,
};
use http::{Method, StatusCode};
use isthmus::{
    core::error::{Error, ErrorKind, ErrorReason},
    model::{
        Selectors, TunnelInterface,
        statistics::{
            ErrorCounters, SelectorId, TrafficCounters, TunnelCounterState, TunnelStatistics,
        },
    },
    simulator::{
        faults::{Answer, Fault, Rule},
        nsx::{Kind, Tunnel},
    },
};
use serde_json::json;
use std::time::{Duration, SystemTime};

async fn statistics(nsx: &Nsx, id: &str) -> Result<TunnelStatistics, Error> {
    nsx.dialect.resources().statistics(id, &call()).await
}

fn says(nsx: &Nsx, path: &str, body: &serde_json::Value) {
    let answer = Fault::Answer(Answer::json(StatusCode::OK, body));
    nsx.cloud
        .faults()
        .inject(Rule::on(Method::GET, path, answer));
}

#[tokio::test]
async fn each_counter_has_its_standard_name() {
    let nsx = nsx();
    let id = nsx.make().await.id;
    let counters = json!({
        "bytes_in": 1, "bytes_out": "2", "packets_in": 3, "packets_out": 4,
        "dropped_packets_in": 5, "dropped_packets_out": 6,
        "decryption_failures": 7, "encryption_failures": 8, "integrity_failures": 9,
        "replay_errors": 10, "seq_number_overflow_error": 11, "nomatching_policy_errors": 12,
        "sa_mismatch_errors_in": 13, "sa_mismatch_errors_out": 14,
        "packets_receive_other_error": 15, "packets_sent_other_error": 16,
        "local_subnet": "10.0.0.0/24", "peer_subnet": "10.1.0.0/24",
        "tunnel_status": "DOWN", "tunnel_down_reason": "IKE SA Down",
    });
    let body = json!({
        "partial_stats": true, "last_update_timestamp": 1_735_689_600_500_u64,
        "aggregate_traffic_counters": { "bytes_in": 100, "packets_out": -1 },
        "policy_statistics": [
            {
                "policy_id": "1026", "aggregate_traffic_counters": { "bytes_out": 200 },
                "tunnel_statistics": [counters, { "tunnel_status": "NEGOTIATING" }, { "tunnel_status": "X" }],
            },
            { "tunnel_port_id": "port" },
            {},
        ],
    });
    says(&nsx, "/statistics$", &body);
    let read = statistics(&nsx, &id).await.unwrap();
    let taken = SystemTime::UNIX_EPOCH + Duration::from_millis(1_735_689_600_500);
    assert_eq!(read.collect_time, Some(taken));
    assert!(read.partial);
    let only_in = TrafficCounters {
        in_octets: Some(100),
        ..TrafficCounters::default()
    };
    assert_eq!(read.total, only_in);
    let selectors: Vec<_> = read
        .selectors
        .iter()
        .map(|it| it.selector.clone())
        .collect();
    let rule = SelectorId::PolicyRule("1026".to_owned());
    let port = SelectorId::TunnelInterface("port".to_owned());
    assert_eq!(selectors, [Some(rule), Some(port), None]);
    assert_eq!(read.selectors[0].total.out_octets, Some(200));
    let tunnels = &read.selectors[0].tunnels;
    let states: Vec<_> = tunnels.iter().map(|it| it.state).collect();
    let (down, negotiating) = (TunnelCounterState::Down, TunnelCounterState::Negotiating);
    assert_eq!(states, [Some(down), Some(negotiating), None]);
    assert_eq!(tunnels[0].local_network, "10.0.0.0/24");
    assert_eq!(tunnels[0].peer_network, "10.1.0.0/24");
    assert_eq!(tunnels[0].down_reason, "IKE SA Down");
    assert_eq!(
        tunnels[0].traffic,
        TrafficCounters {
            in_octets: Some(1),
            out_octets: Some(2),
            in_packets: Some(3),
            out_packets: Some(4),
            in_discards: Some(5),
            out_discards: Some(6),
        }
    );
    assert_eq!(
        tunnels[0].errors,
        ErrorCounters {
            decryption_failures: Some(7),
            encryption_failures: Some(8),
            integrity_failures: Some(9),
            replay_errors: Some(10),
            sequence_number_overflows: Some(11),
            no_matching_policy_errors: Some(12),
            in_sa_mismatch_errors: Some(13),
            out_sa_mismatch_errors: Some(14),
            in_other_errors: Some(15),
            out_other_errors: Some(16),
        }
    );
    assert_eq!(tunnels[1].traffic, TrafficCounters::default());
}

#[tokio::test]
async fn counters_come_by_rule_and_by_interface() {
    let nsx = nsx();
    let written = nsx.make().await;
    nsx.cloud
        .state()
        .set_tunnel(&written.id, Some(Tunnel::up(2)));
    let read = statistics(&nsx, &written.id).await.unwrap();
    let session = nsx
        .cloud
        .state()
        .object(Kind::Session, &written.id)
        .unwrap();
    let rule = session["policy_rules"][0]["id"].as_str().unwrap();
    let [selector] = &read.selectors[..] else {
        panic!("{read:?}")
    };
    let by_rule = SelectorId::PolicyRule(rule.to_owned());
    assert_eq!(selector.selector, Some(by_rule));
    let pairs: Vec<_> = selector
        .tunnels
        .iter()
        .map(|it| it.peer_network.as_str())
        .collect();
    assert_eq!(pairs, ["10.1.0.0/24", "2001:db8::/64"]);
    let is_up = |state| state == Some(TunnelCounterState::Up);
    assert!(selector.tunnels.iter().all(|it| is_up(it.state)));
    assert!(read.collect_time.is_some() && !read.partial);
    nsx.cloud.state().set_partial_statistics(&written.id, true);
    assert!(statistics(&nsx, &written.id).await.unwrap().partial);

    let mut routed = spec();
    routed.selectors = Some(Selectors::RouteBased(vec![TunnelInterface {
        id: None,
        addresses: vec!["169.254.64.1/30".to_owned()],
    }]));
    let routed = nsx.create(&routed).await.unwrap();
    let read = statistics(&nsx, &routed.id).await.unwrap();
    let session = nsx.cloud.state().object(Kind::Session, &routed.id).unwrap();
    let port = session["tunnel_ports"][0]["tunnel_port_id"]
        .as_str()
        .unwrap();
    let by_interface = SelectorId::TunnelInterface(port.to_owned());
    assert_eq!(read.selectors[0].selector, Some(by_interface));
    // What tells everything is asked alone.
    let path = format!("sessions/{}/status", routed.id);
    assert_eq!(nsx.asked(Method::GET, &path), 0);
}

#[tokio::test]
async fn what_the_statistics_leave_out_the_status_tells() {
    let nsx = nsx();
    let id = nsx.make().await.id;
    says(&nsx, "/statistics$", &json!({ "policy_statistics": [] }));
    let status = json!({
        "last_update_timestamp": 7, "aggregate_traffic_counters": { "packets_in": 3 },
    });
    says(&nsx, "/status$", &status);
    let read = statistics(&nsx, &id).await.unwrap();
    assert_eq!(read.total.in_packets, Some(3));
    let taken = SystemTime::UNIX_EPOCH + Duration::from_millis(7);
    assert_eq!(read.collect_time, Some(taken));
    assert_eq!(read.selectors, []);
}

#[tokio::test]
async fn why_there_are_no_statistics_is_said() {
    let nsx = nsx();
    let id = nsx.make().await.id;
    let error = statistics(&nsx, "none").await.unwrap_err();
    let gone = (ErrorKind::NotFound, ErrorReason::ConnectionNotFound);
    assert_eq!((error.kind, error.reason), gone);
    for (fault, expected) in [
        (
            refusal(404, 600),
            (ErrorKind::FailedPrecondition, ErrorReason::WrongState),
        ),
        (
            page_of_html(404),
            (ErrorKind::Unavailable, ErrorReason::UpstreamBrokenAnswer),
        ),
        (
            refusal(500, 99),
            (ErrorKind::Unavailable, ErrorReason::UpstreamError),
        ),
        (
            refusal(400, 110_199),
            (
                ErrorKind::FailedPrecondition,
                ErrorReason::VpnServiceDisabled,
            ),
        ),
    ] {
        nsx.cloud.faults().clear();
        nsx.cloud
            .faults()
            .inject(Rule::on(Method::GET, "/statistics$", fault));
        let error = statistics(&nsx, &id).await.unwrap_err();
        assert_eq!((error.kind, error.reason), expected);
    }
}

#[tokio::test]
async fn hostile_words_are_bounded() {
    let nsx = nsx();
    let id = nsx.make().await.id;
    let reason = format!("psk: canary {}", "x".repeat(100_000));
    let body = json!({
        "last_update_timestamp": 7, "aggregate_traffic_counters": { "bytes_in": 0 },
        "policy_statistics": [{ "tunnel_statistics": [{ "tunnel_down_reason": reason }] }],
    });
    says(&nsx, "/statistics$", &body);
    let read = statistics(&nsx, &id).await.unwrap();
    let shown = &read.selectors[0].tunnels[0].down_reason;
    assert!(shown.len() <= 1100 && !shown.contains("canary"), "{shown}");
}
