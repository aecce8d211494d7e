//! Logs to standard error, spans and metrics to an OpenTelemetry collector if one is configured, and metrics on a page
//! for Prometheus if it has an address.

mod delivery;
mod filter;
mod log;
mod metrics;
mod page;
mod resource;
mod traces;

pub use filter::{FilterError, Levels, check as check_filter};
pub use log::Format;

use crate::{
    spans,
    telemetry::{metrics::Metrics, page::Page, traces::Spans},
};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::ExporterBuildError;
use prometheus::Registry;
use std::{
    io::{self, IsTerminal},
    net::SocketAddr,
    time::{Duration, Instant},
};
use tracing::Subscriber;

/// The variable that names the collector, if the settings do not.
const ENDPOINT_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// How long the last spans and metrics may take to leave. A collector that is gone must not hold up the end.
const FLUSH_WITHIN: Duration = Duration::from_millis(300);

/// What is told, how, and to whom.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// How log lines look.
    pub format: Format,
    /// Which events are logged: levels, by target if one is named, as `info,isthmus=debug`. `None`: what
    /// `RUST_LOG` says in the same form, else `info`. [`Levels`] changes it later.
    pub filter: Option<String>,
    /// Where spans and metrics go, as OTLP over gRPC without TLS: `http://localhost:4317`. `None`: what
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` says, else nowhere.
    pub otlp_endpoint: Option<String>,
    /// How many of the traces that begin here are sent, from 0 to 1; `None` is all. A caller that says whether its trace
    /// is kept decides for its calls.
    pub trace_sample: Option<f64>,
    /// Where the page for Prometheus is, `/metrics` over HTTP. `None`: there is none.
    pub metrics_listen: Option<SocketAddr>,
    /// Have it on an address that others can reach, too. Default no: nobody is asked who they are.
    pub allow_non_loopback: bool,
}

/// Why telemetry could not begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter cannot be read.
    #[error("the log filter cannot be read: {0}")]
    Filter(#[from] FilterError),
    /// The collector's address cannot be used.
    #[error("spans and metrics cannot be exported: {0}")]
    Exporter(#[from] ExporterBuildError),
    /// The page for Prometheus cannot be where it was to be.
    #[error("metrics_listen on {address}: {why}")]
    Page {
        /// Where that was.
        address: SocketAddr,
        /// What is in the way.
        why: String,
    },
    /// Somebody else in this process has begun it already.
    #[error("logs are already being written")]
    AlreadyBegun,
}

/// Keeps telemetry going; dropped, it sends the last spans and metrics, for at most 0.3 s, and none if the collector took
/// none before.
///
/// Sending needs the runtime it began in: drop it before that ends, and not on its only thread.
#[derive(Debug)]
#[must_use = "spans and metrics are lost without it"]
pub struct Telemetry {
    spans: Option<Spans>,
    metrics: Option<Metrics>,
    page: Option<Page>,
    levels: Levels,
}

impl Telemetry {
    /// Where the page for Prometheus is, if there is one.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.page.as_ref().map(Page::address)
    }

    /// Which lines are written, to be changed while the process runs.
    pub fn levels(&self) -> Levels {
        self.levels.clone()
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        let begun = Instant::now();
        // Both at the same time.
        let metrics = self.metrics.take().map(Metrics::end);
        let spans = self.spans.take().map(Spans::end);
        let spans = spans.is_none_or(|spans| spans.within(FLUSH_WITHIN));
        let left = FLUSH_WITHIN.saturating_sub(begun.elapsed());
        let metrics = metrics.is_none_or(|metrics| metrics.within(left));
        if !spans || !metrics {
            tracing::warn!("the collector did not take the last spans or metrics");
        }
    }
}

/// Begins to write logs, to count, and, if there is a collector, to send spans. Once per process, within a tokio
/// runtime, and before anything is counted.
///
/// # Errors
/// A filter or an address that cannot be read, and an address of the page that is taken. A collector that does not
/// answer is none: spans are dropped.
pub fn begin(settings: &Settings) -> Result<Telemetry, Error> {
    let (subscriber, telemetry) = subscriber(settings)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| Error::AlreadyBegun)?;
    Ok(telemetry)
}

/// What [`begin`] makes the subscriber of the process, for those who do so themselves.
///
/// # Errors
/// As [`begin`].
pub fn subscriber(
    settings: &Settings,
) -> Result<(impl Subscriber + Send + Sync + use<>, Telemetry), Error> {
    let filter = filter::chosen(settings.filter.as_deref(), std::env::var(filter::VARIABLE))?;
    let endpoint = settings
        .otlp_endpoint
        .clone()
        .or_else(|| std::env::var(ENDPOINT_VARIABLE).ok())
        .filter(|endpoint| !endpoint.is_empty());
    let sent = endpoint.as_deref().map(Spans::begin).transpose()?;
    let tracer = sent.as_ref().map(|sent| sent.provider().tracer("isthmus"));
    if sent.is_some() {
        spans::collect(settings.trace_sample.unwrap_or(1.0));
    }
    let (metrics, page) = readers(settings, endpoint.as_deref())?;
    if let Some(metrics) = &metrics {
        metrics.install();
    }
    let colours = io::stderr().is_terminal();
    let (subscriber, levels) = log::layers(settings.format, filter, io::stderr, colours, tracer);
    let telemetry = Telemetry {
        spans: sent,
        metrics,
        page,
        levels,
    };
    Ok((subscriber, telemetry))
}

/// What counts, and the page that shows it.
fn readers(
    settings: &Settings,
    endpoint: Option<&str>,
) -> Result<(Option<Metrics>, Option<Page>), Error> {
    let shown = settings.metrics_listen.map(|at| (at, Registry::new()));
    let registry = shown.as_ref().map(|(_, registry)| registry);
    let metrics = Metrics::begin(endpoint, registry)?;
    let page = shown.map(|(address, registry)| {
        Page::serve(address, settings.allow_non_loopback, registry).map_err(|error| Error::Page {
            address,
            why: error.to_string(),
        })
    });
    Ok((metrics, page.transpose()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_collector_that_is_gone_does_not_hold_up_the_end() {
        let spans = Spans::begin("http://127.0.0.1:1").unwrap();
        let tracer = spans.provider().tracer("test");
        opentelemetry::trace::Tracer::start(&tracer, "lost");
        let begun = std::time::Instant::now();
        let (_, mut telemetry) = subscriber(&Settings::default()).unwrap();
        telemetry.spans = Some(spans);
        tokio::task::spawn_blocking(move || drop(telemetry))
            .await
            .unwrap();
        assert!(begun.elapsed() < FLUSH_WITHIN * 2);
    }
}
