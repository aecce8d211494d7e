//! Traffic counters of a session's tunnels: `/statistics`, and their sums in `/status`.
//!
//! A policy rule has one tunnel for each pair of a source and a destination. A tunnel port has one. The traffic is
//! invented and depends on time alone: the same tunnel has the same counters after the same time. Each counter is a
//! different fraction of the traffic, so that no two can be confused.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::simulator::nsx::tunnel::Tunnel;

/// When the counters of a session's tunnels start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    /// When a lever brought the tunnels up. `None` while they are down, or if time alone decides.
    pub(crate) up_since: Option<Instant>,
    /// When `?action=reset` last set the counters to zero.
    pub(crate) reset: Option<Instant>,
    /// Whether only the active node has answered.
    pub(crate) partial: bool,
}

/// The tunnels of a session at one moment.
pub(crate) struct Reading<'a> {
    pub(crate) session: &'a Map<String, Value>,
    pub(crate) tunnel: &'a Tunnel,
    /// How long the tunnels that are up have been counting.
    pub(crate) counting: Duration,
}

impl Reading<'_> {
    /// `policy_statistics`, one for each enabled rule or each tunnel port.
    pub(crate) fn policies(&self) -> Vec<Value> {
        let mut place = 0;
        let mut policies = Vec::new();
        for group in groups(self.session) {
            let mut tunnels = Vec::new();
            for (local, peer) in &group.pairs {
                let mut tunnel = self.counted(place);
                tunnel["local_subnet"] = json!(local);
                tunnel["peer_subnet"] = json!(peer);
                if group.key == "policy_id" {
                    tunnel["policy_id"] = json!(group.id);
                }
                tunnels.push(tunnel);
                place += 1;
            }
            policies.push(json!({
                group.key: group.id,
                "aggregate_traffic_counters": sum(&tunnels),
                "tunnel_statistics": tunnels,
            }));
        }
        policies
    }

    /// `aggregate_traffic_counters` of the whole session.
    pub(crate) fn sum(&self) -> Value {
        let policies = self.policies();
        let tunnels: Vec<_> = policies
            .iter()
            .filter_map(|policy| policy["tunnel_statistics"].as_array())
            .flatten()
            .cloned()
            .collect();
        sum(&tunnels)
    }

    /// State and counters of the tunnel at this index.
    fn counted(&self, place: u32) -> Value {
        let (status, reason) = self.state(place);
        let seconds = match status {
            "UP" => self.counting.as_secs(),
            // Counters belong to the security associations. A tunnel that is not up has none.
            _ => 0,
        };
        let packets_in = seconds * 100 * (u64::from(place) + 1);
        let packets_out = packets_in * 3 / 4;
        let mut counted = json!({
            "tunnel_status": status,
            "packets_in": packets_in,
            "packets_out": packets_out,
            "bytes_in": packets_in * 840,
            "bytes_out": packets_out * 1_210,
        });
        if let Some(reason) = reason {
            counted["tunnel_down_reason"] = json!(reason);
        }
        for (total, packets, errors) in [
            ("dropped_packets_in", packets_in, &ERRORS_IN[..]),
            ("dropped_packets_out", packets_out, &ERRORS_OUT[..]),
        ] {
            let mut dropped = 0;
            for (error, every) in errors {
                counted[*error] = json!(packets / every);
                dropped += packets / every;
            }
            counted[total] = json!(dropped);
        }
        counted
    }

    fn state(&self, place: u32) -> (&'static str, Option<&str>) {
        let tunnel = self.tunnel;
        let said = |reason: &'static str| match tunnel.fail_reason.as_str() {
            "" => reason,
            _ => tunnel.fail_reason.as_str(),
        };
        match (tunnel.status.as_deref(), tunnel.ike.as_deref()) {
            (Some("UP"), _) => ("UP", None),
            (Some("DEGRADED"), _) if place < tunnel.negotiated => ("UP", None),
            (Some("DEGRADED"), _) => ("DOWN", Some(said("No proposal chosen"))),
            (_, Some("NEGOTIATING")) => ("NEGOTIATING", None),
            (_, Some("UP")) => ("DOWN", Some(said("No proposal chosen"))),
            _ => ("DOWN", Some("IKE SA Down")),
        }
    }
}

/// The number of tunnels that a session has when all are up.
pub(crate) fn tunnels(session: &Map<String, Value>) -> u32 {
    let pairs: usize = groups(session).iter().map(|group| group.pairs.len()).sum();
    u32::try_from(pairs).unwrap_or(u32::MAX)
}

/// A policy rule or a tunnel port.
struct Group {
    key: &'static str,
    id: String,
    /// Local and peer subnet of each of its tunnels.
    pairs: Vec<(String, String)>,
}

fn groups(session: &Map<String, Value>) -> Vec<Group> {
    let items = |name: &str| session.get(name).and_then(Value::as_array).cloned();
    let id = |item: &Value, name: &str| item[name].as_str().unwrap_or_default().to_owned();
    let ports = items("tunnel_ports").unwrap_or_default();
    let ports = ports.iter().map(|port| Group {
        key: "tunnel_port_id",
        id: id(port, "tunnel_port_id"),
        pairs: vec![(ANY.to_owned(), ANY.to_owned())],
    });
    let rules = items("policy_rules").unwrap_or_default();
    let rules = rules
        .iter()
        .filter(|rule| rule["enabled"] != json!(false))
        .map(|rule| Group {
            key: "policy_id",
            id: id(rule, "id"),
            pairs: pairs(rule),
        });
    rules.chain(ports).collect()
}

fn pairs(rule: &Value) -> Vec<(String, String)> {
    let side = |name: &str| {
        let subnets = rule[name].as_array().into_iter().flatten();
        let subnets: Vec<_> = subnets
            .filter_map(|subnet| subnet["subnet"].as_str())
            .map(str::to_owned)
            .collect();
        // No subnet means any.
        if subnets.is_empty() {
            vec![ANY.to_owned()]
        } else {
            subnets
        }
    };
    let destinations = side("destinations");
    let with_each = |source: String| {
        destinations
            .iter()
            .map(move |destination| (source.clone(), destination.clone()))
    };
    side("sources").into_iter().flat_map(with_each).collect()
}

/// `IPSecVPNTrafficCounters`, summed over these tunnels.
fn sum(tunnels: &[Value]) -> Value {
    let counter = |name: &str| -> u64 {
        tunnels
            .iter()
            .filter_map(|tunnel| tunnel[name].as_u64())
            .sum()
    };
    let sums = SUMMED.map(|name| (name.to_owned(), json!(counter(name))));
    Value::Object(Map::from_iter(sums))
}

const ANY: &str = "0.0.0.0/0";
const SUMMED: [&str; 6] = [
    "bytes_in",
    "bytes_out",
    "packets_in",
    "packets_out",
    "dropped_packets_in",
    "dropped_packets_out",
];
/// Causes of drops on the way in. One packet in this many is dropped.
const ERRORS_IN: [(&str, u64); 6] = [
    ("replay_errors", 200),
    ("integrity_failures", 300),
    ("decryption_failures", 400),
    ("nomatching_policy_errors", 500),
    ("sa_mismatch_errors_in", 600),
    ("packets_receive_other_error", 700),
];
/// The same on the way out.
const ERRORS_OUT: [(&str, u64); 4] = [
    ("encryption_failures", 250),
    ("sa_mismatch_errors_out", 350),
    ("packets_sent_other_error", 440),
    ("seq_number_overflow_error", 560),
];
