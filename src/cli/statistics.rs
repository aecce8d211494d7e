//! `statistics`: how much traffic a connection has carried.

use crate::{
    cli::{
        exit::Exit,
        gateway::{Gateway, Printer, answer},
        names::{self, short},
        progress::date_and_time,
        show::failed,
        text::{Style, clean, facts, table},
    },
    grpc::pb::{
        ErrorCounters, GetTunnelStatisticsRequest, TrafficCounters, TunnelCounters,
        TunnelStatistics, selector_statistics::Selector, tunnel_counters::State,
    },
};
use std::io;

/// Shows the counters of one connection.
///
/// # Errors
/// If the output cannot be written.
pub async fn show(gateway: &Gateway, name: &str, printer: &mut Printer) -> io::Result<Exit> {
    let name = names::connection(name);
    let request = GetTunnelStatisticsRequest { name: name.clone() };
    match answer(gateway.realizations().get_tunnel_statistics(request)).await {
        Ok(response) => {
            let statistics = response.statistics.unwrap_or_default();
            printer.message("TunnelStatistics", &statistics, describe)?;
            Ok(Exit::Done)
        }
        Err(status) => {
            let doing = format!("read the statistics of {name}");
            Ok(failed(&doing, &status, gateway))
        }
    }
}

/// Formats the totals, and a line for each tunnel.
fn describe(statistics: &TunnelStatistics, style: Style) -> String {
    let time = statistics.collect_time.as_ref();
    let mut heads = facts(&[
        ("connection", style.bold(&clean(&short(&statistics.name)))),
        ("counted at", time.map(date_and_time).unwrap_or_default()),
    ]);
    if statistics.partial {
        heads.push_str("\nsome of the nodes did not answer: the counters are too low");
    }
    let mut rows = vec![row("all", "", "", statistics.total.as_ref(), None)];
    let mut troubles = Vec::new();
    for selector in &statistics.selectors {
        let id = match &selector.selector {
            Some(Selector::PolicyRuleId(id) | Selector::TunnelInterfaceId(id)) => clean(id),
            None => String::new(),
        };
        rows.push(row(&id, "", "", selector.total.as_ref(), None));
        for tunnel in &selector.tunnels {
            let networks = (clean(&tunnel.local_network), clean(&tunnel.peer_network));
            let traffic = tunnel.traffic.as_ref();
            rows.push(row(&id, &networks.0, &networks.1, traffic, Some(tunnel)));
            let pair = format!("{} -> {}", networks.0, networks.1);
            let why = clean(&tunnel.down_reason);
            if !why.is_empty() {
                troubles.push(format!("{pair} is down: {why}"));
            }
            let dropped = tunnel.errors.as_ref().map(dropped).unwrap_or_default();
            if !dropped.is_empty() {
                troubles.push(format!("{pair} dropped packets: {dropped}"));
            }
        }
    }
    let heading = [
        "RULE OR INTERFACE",
        "LOCAL",
        "PEER",
        "STATE",
        "BYTES IN",
        "OUT",
        "PACKETS IN",
        "OUT",
        "DROPPED IN",
        "OUT",
    ];
    let table = table(&heading, &rows, style);
    [vec![heads, table], troubles].concat().join("\n")
}

fn row(
    id: &str,
    local: &str,
    peer: &str,
    traffic: Option<&TrafficCounters>,
    tunnel: Option<&TunnelCounters>,
) -> Vec<String> {
    let traffic = traffic.cloned().unwrap_or_default();
    let state = tunnel.map_or("", |tunnel| match tunnel.state() {
        State::Up => "UP",
        State::Down => "DOWN",
        State::Negotiating => "NEGOTIATING",
        State::Unspecified => "UNKNOWN",
    });
    // A counter that the cloud does not report is not zero.
    let count = |count: Option<u64>| count.map_or("-".to_owned(), |count| count.to_string());
    let words = [id, local, peer, state].map(str::to_owned);
    let counts = [
        traffic.in_octets,
        traffic.out_octets,
        traffic.in_packets,
        traffic.out_packets,
        traffic.in_discards,
        traffic.out_discards,
    ];
    words.into_iter().chain(counts.map(count)).collect()
}

/// Formats the causes of dropped packets, those with a count of zero left out.
fn dropped(errors: &ErrorCounters) -> String {
    let counts = [
        ("could not be decrypted", errors.decryption_failures),
        ("could not be encrypted", errors.encryption_failures),
        (
            "with a wrong integrity check value",
            errors.integrity_failures,
        ),
        ("came twice or too late", errors.replay_errors),
        (
            "beyond the last sequence number",
            errors.sequence_number_overflows,
        ),
        ("that no policy is about", errors.no_matching_policy_errors),
        (
            "came in under a wrong security association",
            errors.in_sa_mismatch_errors,
        ),
        (
            "had no security association to go out",
            errors.out_sa_mismatch_errors,
        ),
        ("came in with other errors", errors.in_other_errors),
        ("were to go out with other errors", errors.out_other_errors),
    ];
    let some = counts.iter().filter_map(|(why, count)| match count {
        None | Some(0) => None,
        Some(count) => Some(format!("{count} {why}")),
    });
    some.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::pb::SelectorStatistics;

    #[test]
    fn counters_are_a_table_and_what_went_wrong_stands_below() {
        let traffic = |octets| TrafficCounters {
            in_octets: Some(octets),
            out_octets: Some(0),
            ..Default::default()
        };
        let statistics = TunnelStatistics {
            name: "backends/a/connections/1".to_owned(),
            partial: true,
            total: Some(traffic(7)),
            selectors: vec![SelectorStatistics {
                selector: Some(Selector::PolicyRuleId("r".to_owned())),
                total: Some(traffic(7)),
                tunnels: vec![TunnelCounters {
                    local_network: "10.0.0.0/8".to_owned(),
                    peer_network: "fd00::/8".to_owned(),
                    state: State::Down.into(),
                    down_reason: "no\nanswer".to_owned(),
                    traffic: Some(traffic(7)),
                    errors: Some(ErrorCounters {
                        replay_errors: Some(2),
                        integrity_failures: Some(0),
                        ..Default::default()
                    }),
                }],
            }],
            ..Default::default()
        };
        assert_eq!(
            describe(&statistics, Style::Plain),
            "\
connection        a/1
some of the nodes did not answer: the counters are too low
RULE OR INTERFACE  LOCAL       PEER      STATE  BYTES IN  OUT  PACKETS IN  OUT  DROPPED IN  OUT
all                                             7         0    -           -    -           -
r                                               7         0    -           -    -           -
r                  10.0.0.0/8  fd00::/8  DOWN   7         0    -           -    -           -
10.0.0.0/8 -> fd00::/8 is down: no answer
10.0.0.0/8 -> fd00::/8 dropped packets: 2 came twice or too late"
        );
    }
}
