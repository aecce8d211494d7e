//! Metrics, and both ways they are read: by a collector that they are sent to, and from the page for Prometheus.
//!
//! There is one meter provider, and each way is a reader of it. With neither there is none, and counting costs a branch.

use crate::{
    metrics::table::EXPORT_FAILURES,
    telemetry::{delivery::Delivery, resource::resource},
};
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, WithExportConfig};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    metrics::{
        PeriodicReader, SdkMeterProvider, Temporality, data::ResourceMetrics,
        exporter::PushMetricExporter,
    },
};
use prometheus::Registry;
use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

/// How long one export may take.
const EXPORT_WITHIN: Duration = Duration::from_secs(5);

/// What counts.
#[derive(Debug)]
pub(super) struct Metrics {
    provider: SdkMeterProvider,
    /// `None` if there is only the page.
    delivery: Option<Arc<Delivery>>,
}

impl Metrics {
    /// Sends to the collector at `endpoint`, if there is one, every minute or as `OTEL_METRIC_EXPORT_INTERVAL` says, and
    /// shows in `registry`, if there is one.
    ///
    /// # Errors
    /// If the address cannot be used.
    pub(super) fn begin(
        endpoint: Option<&str>,
        registry: Option<&Registry>,
    ) -> Result<Option<Metrics>, ExporterBuildError> {
        if endpoint.is_none() && registry.is_none() {
            return Ok(None);
        }
        let mut provider = SdkMeterProvider::builder().with_resource(resource());
        let delivery = endpoint.map(|endpoint| Arc::new(Delivery::new("metrics", endpoint)));
        if let Some((endpoint, delivery)) = endpoint.zip(delivery.as_ref()) {
            let exporter = MetricExporter::builder()
                .with_tonic()
                .with_endpoint(endpoint)
                .with_timeout(EXPORT_WITHIN)
                .build()?;
            let delivery = Arc::clone(delivery);
            let delivered = Delivered { exporter, delivery };
            provider = provider.with_reader(PeriodicReader::builder(delivered).build());
        }
        if let Some(registry) = registry {
            // There is one scope, so its name on every line would tell nobody anything.
            let reader = opentelemetry_prometheus::exporter()
                .with_registry(registry.clone())
                .scope_info_enabled(false)
                .build()
                .expect("nothing else is in it that it could be taken for");
            provider = provider.with_reader(reader);
        }
        let provider = provider.build();
        Ok(Some(Metrics { provider, delivery }))
    }

    /// Has everything that is counted from now on in this process counted here.
    pub(super) fn install(&self) {
        global::set_meter_provider(self.provider.clone());
        if self.delivery.is_some() {
            // Known before any fails: a rate that begins with the first misses it.
            for signal in ["traces", "metrics"] {
                EXPORT_FAILURES.add(0, &[KeyValue::new("isthmus.signal", signal)]);
            }
        }
    }

    /// Sends what was counted last, and ends.
    pub(super) fn end(self) -> Ending {
        let is_taken = self.delivery.as_ref().is_some_and(|it| it.end());
        let (done, ended) = mpsc::channel();
        let ending = Ending { is_taken, ended };
        // On a thread of its own, because it blocks for as long as a collector is silent, which is longer than the end
        // of a process may take.
        let name = "metrics' end".to_owned();
        let thread = thread::Builder::new().name(name).spawn(move || {
            // Whoever waited may have given up.
            let _ = done.send(self.provider.shutdown());
        });
        // Without a thread the other end is gone, which is no answer either.
        drop(thread);
        ending
    }
}

/// The end of metrics, under way.
pub(super) struct Ending {
    /// Whether there is a collector, which took what came before.
    is_taken: bool,
    ended: mpsc::Receiver<OTelSdkResult>,
}

impl Ending {
    /// Waits for it, for at most so long: whether the last metrics were taken, or it was known that none are.
    pub(super) fn within(self, longest: Duration) -> bool {
        !self.is_taken || matches!(self.ended.recv_timeout(longest), Ok(Ok(())))
    }
}

/// An exporter of which is noted what the collector took.
#[derive(Debug)]
struct Delivered {
    exporter: MetricExporter,
    delivery: Arc<Delivery>,
}

impl PushMetricExporter for Delivered {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.delivery.export(self.exporter.export(metrics)).await
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
