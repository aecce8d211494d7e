//! The table of all metrics, from which `docs/metrics.md` is generated.
//!
//! Names and attributes follow OpenTelemetry's semantic conventions where they exist (`rpc.*`, `http.*`). All others
//! begin with `isthmus.`. On the page for Prometheus dots become underscores, followed by the unit and, for counters,
//! `_total`: `isthmus.watch.events` is `isthmus_watch_events_total`. A condition, 0 or 1, has no unit, because the unit
//! `1` would make it a ratio.

use super::{Counter, Gauge, Histogram, Kind, Metric, UpDownCounter};

/// The attribute with the name of a backend.
pub const BACKEND: &str = "isthmus.backend";

/// Histogram bounds in seconds, from a millisecond to minutes.
const SECONDS: &[f64] = &[
    0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

/// Histogram bounds in seconds, from a tenth of a millisecond to seconds.
const FINE: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
];

macro_rules! metrics {
    ($( $(#[doc = $doc:literal])+ $name:ident: $kind:ident $(($bounds:expr))? = $called:literal, $unit:literal, [$($attribute:expr),*]; )*) => {
        $(
            $(#[doc = $doc])+
            pub static $name: $kind = $kind::of(
                Metric {
                    name: $called,
                    kind: Kind::$kind,
                    unit: $unit,
                    attributes: &[$($attribute),*],
                    help: concat!($($doc),+).trim_ascii_start(),
                },
                $($bounds,)?
            );
        )*

        /// Every metric, in the order of the source.
        pub static TABLE: &[&Metric] = &[$(&$name.metric),*];
    };
}

metrics! {
    /// How long calls to the gateway took, from their headers to their last frame.
    RPC_DURATION: Histogram(SECONDS) = "rpc.server.call.duration", "s", ["rpc.system.name", "rpc.method", "rpc.response.status_code", "error.type"];
    /// How long requests to clouds took, without the time they waited for the budget.
    UPSTREAM_DURATION: Histogram(SECONDS) = "http.client.request.duration", "s", [BACKEND, "http.request.method", "http.response.status_code", "error.type", "server.address", "server.port"];

    /// Connections of clients.
    SERVER_CONNECTIONS: UpDownCounter = "isthmus.server.connections", "{connection}", [];
    /// Calls and streams under way.
    SERVER_CALLS: UpDownCounter = "isthmus.server.calls", "{call}", [];
    /// Calls and connections refused by a limit of the gateway, or ended by it.
    SERVER_REFUSED: Counter = "isthmus.server.refused", "{refusal}", ["isthmus.limit"];
    /// Drains begun.
    SERVER_DRAINS: Counter = "isthmus.server.drains", "{drain}", ["isthmus.drain.cause"];

    /// Watches open, waits among them. One over several backends is open at each of them.
    WATCH_OPEN: UpDownCounter = "isthmus.watch.open", "{watch}", [BACKEND, "isthmus.watch.kind"];
    /// Changes handed to watches; snapshots and heartbeats are none.
    WATCH_EVENTS: Counter = "isthmus.watch.events", "{event}", [BACKEND];
    /// Changes that a watch was not told one by one, since its client had not yet read the one before.
    WATCH_COALESCED: Counter = "isthmus.watch.coalesced", "{event}", [BACKEND];
    /// From the end of the poll that found a change until it was handed to the connection of a watch.
    WATCH_LAG: Histogram(FINE) = "isthmus.watch.lag", "s", [BACKEND];
    /// Watches that ended by themselves, by how (`succeeded`, `failed`, `undetermined`) and why; what is no reason of the
    /// contract is `OTHER`.
    WATCH_OUTCOMES: Counter = "isthmus.watch.outcomes", "{outcome}", [BACKEND, "isthmus.state", "isthmus.reason"];
    /// Polls that found a word nobody here knows, or none, where the cloud tells its state; by the field.
    UNRECOGNIZED: Counter = "isthmus.status.unrecognized", "{value}", [BACKEND, "isthmus.field"];

    /// Whether the backend answers: 1 or 0; absent if it was not asked yet.
    BACKEND_UP: Gauge = "isthmus.backend.up", "", [BACKEND];
    /// How long ago the watched connection that has waited longest was polled with an answer; absent if none is watched.
    POLL_AGE: Gauge = "isthmus.poll.age", "s", [BACKEND];
    /// The longest interval at which a watched connection is meant to be polled, however late polls are; absent if none is watched.
    POLL_INTERVAL: Gauge = "isthmus.poll.interval", "s", [BACKEND];
    /// Connections polled, by how that went: `ok`, or the reason of the error.
    POLLS: Counter = "isthmus.polls", "{poll}", [BACKEND, "isthmus.result"];

    /// Requests a second that the account's budget allows now.
    BUDGET_LIMIT: Gauge = "isthmus.budget.limit", "{request}/s", [BACKEND];
    /// Requests that the budget allowed, by the share they came out of.
    BUDGET_USED: Counter = "isthmus.budget.used", "{request}", [BACKEND, "isthmus.share"];
    /// How long requests waited for the budget, also in vain.
    BUDGET_WAIT: Histogram(SECONDS) = "isthmus.budget.wait", "s", [BACKEND, "isthmus.share"];
    /// Requests that wait for the budget; logins are left out.
    BUDGET_WAITING: Gauge = "isthmus.budget.waiting", "{request}", [BACKEND, "isthmus.share"];
    /// Answers with which the cloud asked for patience (429, 503).
    UPSTREAM_THROTTLED: Counter = "isthmus.upstream.throttled", "{answer}", [BACKEND];
    /// Reads sent again, and those that the retry budget kept from it.
    UPSTREAM_RETRIES: Counter = "isthmus.upstream.retries", "{request}", [BACKEND, "isthmus.result"];
    /// The circuit breaker: 0 closed, 0.5 half-open, 1 open.
    UPSTREAM_CIRCUIT: Gauge = "isthmus.upstream.circuit", "", [BACKEND];
    /// Logins tried, by how they went: `accepted`, `refused`, `failed`. Where credentials go with every request, each refused
    /// one counts, and of those accepted the first.
    LOGINS: Counter = "isthmus.logins", "{login}", [BACKEND, "isthmus.result"];
    /// How long no login is tried yet, since the last was refused; 0 if one may be.
    LOGIN_REST: Gauge = "isthmus.login.rest", "s", [BACKEND];

    /// Changes in the window of the log, from which watches resume.
    LOG_WINDOW: Gauge = "isthmus.log.window", "{change}", [BACKEND];
    /// How long the store took to commit a batch of the log.
    STORE_COMMIT: Histogram(FINE) = "isthmus.store.commit.duration", "s", ["error.type"];
    /// Whether the store keeps the log: 1 or 0; absent without a store.
    STORE_UP: Gauge = "isthmus.store.up", "", [];
    /// Writes under way with their call (`running`), those that are finished or undone without it (`settling`), and how the
    /// last of these ended.
    LEDGER_ENTRIES: Gauge = "isthmus.ledger.entries", "{write}", [BACKEND, "isthmus.state"];
    /// Writes ended, by how: with their call (`succeeded`, `failed`) or without (`finished`, `undone`, `abandoned`).
    WRITES: Counter = "isthmus.writes", "{write}", [BACKEND, "isthmus.action", "isthmus.result"];

    /// Reloads of the configuration, by how they went.
    RELOADS: Counter = "isthmus.reloads", "{reload}", ["isthmus.result"];
    /// Exports to the collector that failed.
    EXPORT_FAILURES: Counter = "isthmus.telemetry.export.failures", "{export}", ["isthmus.signal"];
    /// Spans that were dropped: the collector did not take them, or not fast enough.
    SPANS_DROPPED: Counter = "isthmus.telemetry.spans.dropped", "{span}", [];
}
