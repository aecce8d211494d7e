//! Logs on standard error, spans and metrics for an OpenTelemetry collector if one is configured, and a page of metrics
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

/// The environment variable that names the collector, if the settings do not.
const ENDPOINT_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// How long the last export of spans and metrics may take. A collector that is gone must not delay the end of the
/// process.
const FLUSH_WITHIN: Duration = Duration::from_millis(300);

/// What is reported, in which form, and where to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// The format of log lines.
    pub format: Format,
    /// Which events are logged: levels, optionally by target, such as `info,isthmus=debug`. `None` takes `RUST_LOG`,
    /// which has the same form, or `info` without it. [`Levels`] changes the filter later.
    pub filter: Option<String>,
    /// The collector of spans and metrics, as OTLP over gRPC without TLS: `http://localhost:4317`. `None` takes
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`; without it nothing is exported.
    pub otlp_endpoint: Option<String>,
    /// The sampling ratio of traces that begin here, from 0 to 1; `None` is all. If a caller says whether its trace is
    /// kept, that decides for its calls.
    pub trace_sample: Option<f64>,
    /// The address of the page for Prometheus, `/metrics` over HTTP, or `None` for no page.
    pub metrics_listen: Option<SocketAddr>,
    /// Allows an address of the page that other machines can reach. Off by default, because the page has no
    /// authentication.
    pub allow_non_loopback: bool,
}

/// Why telemetry could not begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the log filter cannot be read: {0}")]
    Filter(#[from] FilterError),
    #[error("spans and metrics cannot be exported: {0}")]
    Exporter(#[from] ExporterBuildError),
    /// The page for Prometheus cannot be served.
    #[error("metrics_listen on {address}: {why}")]
    Page {
        /// The requested address.
        address: SocketAddr,
        why: String,
    },
    /// Another subscriber is already installed in this process.
    #[error("logs are already being written")]
    AlreadyBegun,
}

/// Keeps telemetry running. When dropped, it exports the last spans and metrics, for at most 0.3 s, unless the
/// collector refused the previous export.
///
/// The export needs the runtime that telemetry began in. Drop it before that runtime ends, and not on its only thread.
#[derive(Debug)]
#[must_use = "spans and metrics are lost without it"]
pub struct Telemetry {
    spans: Option<Spans>,
    metrics: Option<Metrics>,
    page: Option<Page>,
    levels: Levels,
}

impl Telemetry {
    /// Returns the address of the page for Prometheus, if there is one.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.page.as_ref().map(Page::address)
    }

    /// Returns a handle that changes the log filter while the process runs.
    pub fn levels(&self) -> Levels {
        self.levels.clone()
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        let begun = Instant::now();
        // Both exports run at the same time.
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

/// Begins to log, to count, and, if there is a collector, to export spans. Call it once per process, within a tokio
/// runtime, and before anything is counted.
///
/// # Errors
/// If the filter or an address is malformed, or the address of the page is in use. A collector that does not answer is
/// not an error: its spans are dropped.
pub fn begin(settings: &Settings) -> Result<Telemetry, Error> {
    let (subscriber, telemetry) = subscriber(settings)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| Error::AlreadyBegun)?;
    Ok(telemetry)
}

/// Returns the subscriber that [`begin`] installs, for callers that install it themselves.
///
/// # Errors
/// Those of [`begin`].
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

/// Builds the meter provider and the page that shows its metrics.
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
