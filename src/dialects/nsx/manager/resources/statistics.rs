//! Traffic statistics of a session, from `/statistics`, and from `/status` for what that leaves out.

use crate::{
    core::{
        dialect::Call,
        error::{ErrorKind, MAX_UPSTREAM_TEXT, Result},
    },
    dialects::nsx::{
        body::{Body, remainder::time, words::meaning},
        client::{Ask, Client},
        manager::{
            error::{self, Asked},
            read,
            wire::SESSIONS,
        },
    },
    model::statistics::{
        ErrorCounters, SelectorId, SelectorStatistics, TrafficCounters, TunnelCounterState,
        TunnelCounters, TunnelStatistics,
    },
    rest::{json, redact::tidy},
};
use serde_json::{Map, Value};

const TOTAL: &str = "aggregate_traffic_counters";
const TAKEN: &str = "last_update_timestamp";
const STATES: [(&str, TunnelCounterState); 3] = [
    ("UP", TunnelCounterState::Up),
    ("DOWN", TunnelCounterState::Down),
    ("NEGOTIATING", TunnelCounterState::Negotiating),
];

/// Reads how much traffic a session has carried.
///
/// # Errors
/// `NotFound` / `ConnectionNotFound` if the session is proven not to exist.
pub async fn of_session(client: &Client, id: &str, call: &Call) -> Result<TunnelStatistics> {
    let said = runtime(client, id, "statistics", call).await?;
    let mut statistics = statistics(said.object());
    let tells_nothing = statistics.total == TrafficCounters::default();
    if tells_nothing || statistics.collect_time.is_none() {
        let status = runtime(client, id, "status", call).await?;
        let status = status.object();
        if tells_nothing {
            statistics.total = traffic(object(status, TOTAL));
        }
        statistics.collect_time = statistics.collect_time.or_else(|| time(status, TAKEN));
    }
    Ok(statistics)
}

/// Asks the nodes about a session. They are the only source of `/statistics` (NSX Python SDK 4.2.0).
async fn runtime(client: &Client, id: &str, what: &str, call: &Call) -> Result<Body> {
    let ask = Ask::get([SESSIONS, id, what]).with("source", "realtime");
    let answer = client.send(ask, call).await.map_err(|it| it.error)?;
    match error::granted(&answer, Asked::Read, &[]) {
        Ok(value) => Body::of(value).ok_or_else(|| error::broken(&answer, "no object")),
        Err(refused) if refused.kind == ErrorKind::NotFound => {
            // A 404 may be about anything that belongs to the session.
            read::session(client, id, call).await?;
            Err(error::statistics_absent(refused))
        }
        Err(refused) => Err(refused),
    }
}

fn statistics(said: &Map<String, Value>) -> TunnelStatistics {
    TunnelStatistics {
        collect_time: time(said, TAKEN),
        partial: json::boolean(said, "partial_stats").unwrap_or_default(),
        total: traffic(object(said, TOTAL)),
        selectors: objects(said, "policy_statistics").map(selector).collect(),
    }
}

fn selector(said: &Map<String, Value>) -> SelectorStatistics {
    let rule = json::text(said, "policy_id").map(SelectorId::PolicyRule);
    let port = || json::text(said, "tunnel_port_id").map(SelectorId::TunnelInterface);
    SelectorStatistics {
        selector: rule.or_else(port),
        total: traffic(object(said, TOTAL)),
        tunnels: objects(said, "tunnel_statistics").map(tunnel).collect(),
    }
}

fn tunnel(said: &Map<String, Value>) -> TunnelCounters {
    let text = |key| {
        let text = json::text(said, key).unwrap_or_default();
        tidy(&text, MAX_UPSTREAM_TEXT)
    };
    TunnelCounters {
        local_network: text("local_subnet"),
        peer_network: text("peer_subnet"),
        state: meaning(&STATES, &text("tunnel_status")),
        down_reason: text("tunnel_down_reason"),
        traffic: traffic(Some(said)),
        errors: errors(said),
    }
}

fn traffic(said: Option<&Map<String, Value>>) -> TrafficCounters {
    let count = |key| counter(said?, key);
    TrafficCounters {
        in_octets: count("bytes_in"),
        out_octets: count("bytes_out"),
        in_packets: count("packets_in"),
        out_packets: count("packets_out"),
        in_discards: count("dropped_packets_in"),
        out_discards: count("dropped_packets_out"),
    }
}

fn errors(said: &Map<String, Value>) -> ErrorCounters {
    let count = |key| counter(said, key);
    ErrorCounters {
        decryption_failures: count("decryption_failures"),
        encryption_failures: count("encryption_failures"),
        integrity_failures: count("integrity_failures"),
        replay_errors: count("replay_errors"),
        sequence_number_overflows: count("seq_number_overflow_error"),
        no_matching_policy_errors: count("nomatching_policy_errors"),
        in_sa_mismatch_errors: count("sa_mismatch_errors_in"),
        out_sa_mismatch_errors: count("sa_mismatch_errors_out"),
        in_other_errors: count("packets_receive_other_error"),
        out_other_errors: count("packets_sent_other_error"),
    }
}

/// Reads a counter. Returns `None` if it is negative.
fn counter(said: &Map<String, Value>, key: &str) -> Option<u64> {
    u64::try_from(json::integer(said, key)?).ok()
}

fn object<'a>(said: &'a Map<String, Value>, key: &str) -> Option<&'a Map<String, Value>> {
    said.get(key)?.as_object()
}

fn objects<'a>(
    said: &'a Map<String, Value>,
    key: &str,
) -> impl Iterator<Item = &'a Map<String, Value>> {
    let list = said.get(key).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_object)
}
