//! Metrics and their two readers: the exporter to a collector, and the page for Prometheus.
//!
//! Both readers share one meter provider. Without either there is no provider, and counting costs a branch.

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

/// The timeout of one export.
const EXPORT_WITHIN: Duration = Duration::from_secs(5);

/// The meter provider and the delivery of its exports.
#[derive(Debug)]
pub(super) struct Metrics {
    provider: SdkMeterProvider,
    /// `None` if there is only the page.
    delivery: Option<Arc<Delivery>>,
}

impl Metrics {
    /// Exports to the collector at `endpoint`, if there is one, every minute or as `OTEL_METRIC_EXPORT_INTERVAL` says.
    /// Registers the metrics in `registry`, if there is one. Returns `None` if both are absent.
    ///
    /// # Errors
    /// If the endpoint is malformed.
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
            // There is only one scope, so its name on every line would carry no information.
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

    /// Makes this the meter provider of the process.
    pub(super) fn install(&self) {
        global::set_meter_provider(self.provider.clone());
        if self.delivery.is_some() {
            // The series start at zero: a rate over a series that begins with its first failure would miss that
            // failure.
            for signal in ["traces", "metrics"] {
                EXPORT_FAILURES.add(0, &[KeyValue::new("isthmus.signal", signal)]);
            }
        }
    }

    /// Exports the last metrics, and ends.
    pub(super) fn end(self) -> Ending {
        let is_taken = self.delivery.as_ref().is_some_and(|it| it.end());
        let (done, ended) = mpsc::channel();
        let ending = Ending { is_taken, ended };
        // The shutdown blocks for as long as a collector is silent, which is longer than the end of the process may
        // take. So it runs on its own thread.
        let name = "metrics' end".to_owned();
        let thread = thread::Builder::new().name(name).spawn(move || {
            // The receiver may have given up.
            let _ = done.send(self.provider.shutdown());
        });
        // Without a thread the sender is gone, which ends the wait too.
        drop(thread);
        ending
    }
}

/// The end of metrics, in progress.
pub(super) struct Ending {
    /// Whether there is a collector that accepted the previous export.
    is_taken: bool,
    ended: mpsc::Receiver<OTelSdkResult>,
}

impl Ending {
    /// Waits for the last export, for at most `longest`. Reports whether the collector took it, or whether none was
    /// expected.
    pub(super) fn within(self, longest: Duration) -> bool {
        !self.is_taken || matches!(self.ended.recv_timeout(longest), Ok(Ok(())))
    }
}

/// An exporter that records what the collector accepts.
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
