//! `/statistics`: the tunnels of a session and their traffic.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::simulator::nsx::inventory;
use crate::simulator::nsx::realization::Pace;
use crate::simulator::nsx::state::NsxState;
use crate::simulator::nsx::tests::{Bench, session};
use crate::simulator::nsx::tunnel::Tunnel;

/// A session with three rules: one with two tunnels, one that is disabled, and one for all traffic.
fn busy(bench: &mut Bench) -> String {
    let peer = bench.peer();
    let mut wanted = session(&peer);
    let subnets =
        |texts: &[&str]| -> Value { texts.iter().map(|text| json!({ "subnet": text })).collect() };
    wanted["policy_rules"] = json!([
        { "sources": subnets(&["10.0.0.0/24"]), "destinations": subnets(&["10.1.0.0/24", "10.2.0.0/24"]) },
        { "sources": subnets(&["10.0.1.0/24"]), "destinations": subnets(&["10.3.0.0/24"]), "enabled": false },
        {},
    ]);
    bench.create("sessions", wanted)
}

fn up_in_three_seconds(bench: &mut Bench) {
    bench.world.levers.pace = Pace::Elapsed {
        per_node: Duration::from_secs(1),
    };
    bench.world.levers.tunnel_up_after = Some(Duration::from_secs(1));
}

fn statistics(bench: &mut Bench, session: &str) -> Value {
    let (status, answer) = bench.get(&format!("sessions/{session}/statistics?source=realtime"));
    assert_eq!(status, 200, "{answer}");
    answer
}

fn tunnels(answer: &Value) -> Vec<&Value> {
    let policies = answer["policy_statistics"].as_array().unwrap();
    policies
        .iter()
        .flat_map(|policy| policy["tunnel_statistics"].as_array().unwrap())
        .collect()
}

fn counted(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap()
}

#[test]
fn a_rule_has_a_tunnel_for_each_pair_of_subnets() {
    let mut bench = Bench::new();
    let session = busy(&mut bench);
    let answer = statistics(&mut bench, &session);
    let (_, read) = bench.get(&format!("sessions/{session}"));
    let pairs: Vec<_> = tunnels(&answer)
        .into_iter()
        .map(|tunnel| {
            [
                &tunnel["policy_id"],
                &tunnel["local_subnet"],
                &tunnel["peer_subnet"],
            ]
        })
        .collect();
    let rule = |place: usize| &read["policy_rules"][place]["id"];
    assert_eq!(
        pairs,
        [
            [rule(0), &json!("10.0.0.0/24"), &json!("10.1.0.0/24")],
            [rule(0), &json!("10.0.0.0/24"), &json!("10.2.0.0/24")],
            [rule(2), &json!("0.0.0.0/0"), &json!("0.0.0.0/0")],
        ]
    );
    for tunnel in tunnels(&answer) {
        assert_eq!(
            (&tunnel["tunnel_status"], counted(tunnel, "packets_in")),
            (&json!("NEGOTIATING"), 0)
        );
    }
    assert_eq!(answer["partial_stats"], false);
    assert_eq!(answer["ike_status"]["ike_session_state"], "NEGOTIATING");
    assert_eq!(answer.get("ike_traffic_statistics"), None);
}

#[test]
fn a_tunnel_port_has_one_tunnel_for_everything() {
    let mut bench = Bench::new();
    let peer = bench.peer();
    let made = bench.create(
        "sessions",
        json!({
            "resource_type": "RouteBasedIPSecVPNSession",
            "local_endpoint_id": inventory::LOCAL_ENDPOINT_ID,
            "peer_endpoint_id": peer,
            "tunnel_ports": [{ "ip_subnets": [{ "ip_addresses": ["169.254.0.1"], "prefix_length": 30 }] }],
        }),
    );
    let answer = statistics(&mut bench, &made);
    let (_, read) = bench.get(&format!("sessions/{made}"));
    let policy = &answer["policy_statistics"][0];
    assert_eq!(
        policy["tunnel_port_id"],
        read["tunnel_ports"][0]["tunnel_port_id"]
    );
    assert_eq!(policy.get("policy_id"), None);
    assert_eq!(tunnels(&answer).len(), 1);
}

#[test]
fn counters_grow_with_time_alone_and_their_sums_agree() {
    let mut bench = Bench::new();
    up_in_three_seconds(&mut bench);
    let session = busy(&mut bench);
    bench.now += Duration::from_secs(3);
    assert_eq!(
        counted(tunnels(&statistics(&mut bench, &session))[0], "packets_in"),
        0
    );
    bench.now += Duration::from_secs(60);
    let early = statistics(&mut bench, &session);
    assert_eq!(early, statistics(&mut bench, &session), "time stands still");
    bench.now += Duration::from_secs(600);
    let late = statistics(&mut bench, &session);
    assert_eq!(
        counted(&late, "last_update_timestamp") - counted(&early, "last_update_timestamp"),
        600_000
    );
    for (tunnel, before) in tunnels(&late).into_iter().zip(tunnels(&early)) {
        assert_eq!(tunnel["tunnel_status"], "UP");
        assert_eq!(tunnel.get("tunnel_down_reason"), None);
        let counters: Vec<_> = tunnel
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, value)| value.is_u64())
            .collect();
        assert_eq!(counters.len(), 16);
        for (name, value) in &counters {
            assert!(value.as_u64() > before[*name].as_u64(), "{name}: {value}");
        }
        let mut values: Vec<_> = counters.iter().map(|(_, value)| value.as_u64()).collect();
        values.sort_unstable();
        values.dedup();
        assert_eq!(values.len(), 16, "no two counters are the same");
    }
    let (_, status) = bench.get(&format!("sessions/{session}/status?source=realtime"));
    assert_eq!(
        status["aggregate_traffic_counters"],
        late["aggregate_traffic_counters"]
    );
    assert_eq!(
        (&status["total_tunnels"], &status["negotiated_tunnels"]),
        (&json!(3), &json!(3))
    );
    for name in [
        "bytes_in",
        "packets_out",
        "dropped_packets_in",
        "dropped_packets_out",
    ] {
        let whole = counted(&late["aggregate_traffic_counters"], name);
        let policies = late["policy_statistics"].as_array().unwrap();
        let by_policy: u64 = policies
            .iter()
            .map(|policy| counted(&policy["aggregate_traffic_counters"], name))
            .sum();
        let by_tunnel: u64 = tunnels(&late).iter().map(|it| counted(it, name)).sum();
        assert_eq!((by_policy, by_tunnel), (whole, whole), "{name}");
    }
}

#[test]
fn a_reset_makes_them_start_anew() {
    let mut bench = Bench::new();
    up_in_three_seconds(&mut bench);
    let session = busy(&mut bench);
    bench.now += Duration::from_secs(60);
    let path = format!("sessions/{session}/statistics");
    assert_eq!(bench.ask(Method::POST, &path, Value::Null).0, 404);
    let reset = bench.ask(Method::POST, &format!("{path}?action=reset"), Value::Null);
    assert_eq!(reset, (200, Value::Null));
    let packets =
        |bench: &mut Bench| counted(tunnels(&statistics(bench, &session))[0], "packets_in");
    assert_eq!(packets(&mut bench), 0);
    bench.now += Duration::from_secs(2);
    assert_eq!(packets(&mut bench), 200);
    let nobody = bench.ask(
        Method::POST,
        "sessions/none/statistics?action=reset",
        Value::Null,
    );
    assert_eq!(nobody.0, 404);
}

#[test]
fn only_real_time_is_a_source_and_only_a_session_has_any() {
    let mut bench = Bench::new();
    let session = busy(&mut bench);
    let path = format!("sessions/{session}/statistics");
    assert_eq!(bench.get(&path).0, 200);
    assert_eq!(bench.get(&format!("{path}?source=cached")).0, 400);
    assert_eq!(bench.get("sessions/none/statistics?source=realtime").0, 404);
    let service = format!("services/{}/statistics", inventory::SERVICE_ID);
    assert_eq!(bench.get(&service).0, 404);
}

#[tokio::test(start_paused = true)]
async fn tunnels_that_are_said_to_be_up_count_until_they_are_said_to_be_down() {
    let mut bench = Bench::new();
    let session = busy(&mut bench);
    let state = NsxState::new(bench.world);
    let read = || {
        let mut taken = Bench::new();
        std::mem::swap(&mut taken.world, &mut *state.world());
        let answer = statistics(&mut taken, &session);
        std::mem::swap(&mut taken.world, &mut *state.world());
        answer
    };
    let states = |answer: &Value| -> Vec<(String, u64, Value)> {
        let state = |tunnel: &&Value| {
            (
                tunnel["tunnel_status"].as_str().unwrap().to_owned(),
                counted(tunnel, "packets_in"),
                tunnel["tunnel_down_reason"].clone(),
            )
        };
        tunnels(answer).iter().map(state).collect()
    };
    let up = |packets| ("UP".to_owned(), packets, Value::Null);
    let down = |reason: &str| ("DOWN".to_owned(), 0, json!(reason));
    state.set_tunnel(&session, Some(Tunnel::up(3)));
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(states(&read()), [up(1_000), up(2_000), up(3_000)]);
    state.set_tunnel(&session, Some(Tunnel::degraded(3, 1)));
    tokio::time::advance(Duration::from_secs(10)).await;
    let failed = down("No proposal chosen");
    assert_eq!(states(&read()), [up(2_000), failed.clone(), failed]);
    state.set_tunnel(&session, Some(Tunnel::down("Peer not reachable")));
    let answer = read();
    assert_eq!(states(&answer), vec![down("IKE SA Down"); 3]);
    assert_eq!(answer["ike_status"]["fail_reason"], "Peer not reachable");
    state.set_tunnel(&session, Some(Tunnel::up(3)));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(states(&read())[0], up(100), "the old tunnels are gone");
    state.set_partial_statistics(&session, true);
    assert_eq!(read()["partial_stats"], true);
}
