//! Traffic counters of a connection. A counter that the cloud does not report is unset.

use crate::{
    core::error::{Error, Result},
    grpc::{
        convert::{Problems, time::timestamp, words::number},
        pb,
    },
    model::{
        ConnectionName, TunnelStatistics,
        statistics::{
            ErrorCounters, SelectorId, SelectorStatistics, TrafficCounters, TunnelCounters,
        },
    },
};

#[derive(Debug)]
pub struct Get {
    pub name: ConnectionName,
}

impl TryFrom<pb::GetTunnelStatisticsRequest> for Get {
    type Error = Error;

    fn try_from(request: pb::GetTunnelStatisticsRequest) -> Result<Get> {
        let mut problems = Problems::default();
        let name = problems.connection_name("name", &request.name);
        problems.finish(name.map(|name| Get { name }))
    }
}

/// Converts the counters of this connection.
pub fn statistics(name: &ConnectionName, read: TunnelStatistics) -> pb::TunnelStatistics {
    pb::TunnelStatistics {
        name: name.to_string(),
        collect_time: read.collect_time.map(timestamp),
        partial: read.partial,
        total: Some(traffic(read.total)),
        selectors: read.selectors.into_iter().map(selector).collect(),
    }
}

fn selector(read: SelectorStatistics) -> pb::SelectorStatistics {
    use pb::selector_statistics::Selector;
    pb::SelectorStatistics {
        selector: read.selector.map(|selector| match selector {
            SelectorId::PolicyRule(id) => Selector::PolicyRuleId(id),
            SelectorId::TunnelInterface(id) => Selector::TunnelInterfaceId(id),
        }),
        total: Some(traffic(read.total)),
        tunnels: read.tunnels.into_iter().map(tunnel).collect(),
    }
}

fn tunnel(read: TunnelCounters) -> pb::TunnelCounters {
    pb::TunnelCounters {
        local_network: read.local_network,
        peer_network: read.peer_network,
        state: number::<pb::tunnel_counters::State>(read.state),
        down_reason: read.down_reason,
        traffic: Some(traffic(read.traffic)),
        errors: Some(errors(read.errors)),
    }
}

fn traffic(read: TrafficCounters) -> pb::TrafficCounters {
    pb::TrafficCounters {
        in_octets: read.in_octets,
        out_octets: read.out_octets,
        in_packets: read.in_packets,
        out_packets: read.out_packets,
        in_discards: read.in_discards,
        out_discards: read.out_discards,
    }
}

fn errors(read: ErrorCounters) -> pb::ErrorCounters {
    pb::ErrorCounters {
        decryption_failures: read.decryption_failures,
        encryption_failures: read.encryption_failures,
        integrity_failures: read.integrity_failures,
        replay_errors: read.replay_errors,
        sequence_number_overflows: read.sequence_number_overflows,
        no_matching_policy_errors: read.no_matching_policy_errors,
        in_sa_mismatch_errors: read.in_sa_mismatch_errors,
        out_sa_mismatch_errors: read.out_sa_mismatch_errors,
        in_other_errors: read.in_other_errors,
        out_other_errors: read.out_other_errors,
    }
}
