//! Spans and their export: a bounded queue that one task drains. Ending a span never blocks. Spans that the collector
//! does not take in time are dropped and counted.

use crate::{
    metrics::table::SPANS_DROPPED,
    telemetry::{delivery::Delivery, resource::resource},
};
use opentelemetry::Context;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Sampler, SdkTracerProvider, Span, SpanData, SpanExporter as _, SpanProcessor},
};
use std::{
    sync::{Arc, mpsc as std_mpsc},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// The capacity of the queue, in spans.
const QUEUE: usize = 4096;
/// The most spans in one export.
const BATCH: usize = 512;
/// How long a span waits for others of its batch.
const GATHER: Duration = Duration::from_secs(1);
/// The timeout of one export. A silent collector delays only the queue.
const EXPORT_WITHIN: Duration = Duration::from_secs(5);
/// The pause after a failed export, in which the queue may fill.
const PAUSE: Duration = Duration::from_secs(5);

/// The tracer provider and its export task. Dropped without [`Spans::end`], it loses the last spans.
#[derive(Debug)]
pub(super) struct Spans {
    provider: SdkTracerProvider,
    delivery: Arc<Delivery>,
    stop: CancellationToken,
    ended: std_mpsc::Receiver<()>,
}

impl Spans {
    /// Exports spans to the collector at `endpoint`, from a task of the current runtime.
    ///
    /// # Errors
    /// If the endpoint is malformed.
    pub(super) fn begin(endpoint: &str) -> Result<Spans, ExporterBuildError> {
        let mut exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(EXPORT_WITHIN)
            .build()?;
        let resource = resource();
        exporter.set_resource(&resource);
        let (queue, spans) = mpsc::channel(QUEUE);
        let delivery = Arc::new(Delivery::new("traces", endpoint));
        let stop = CancellationToken::new();
        let (done, ended) = std_mpsc::channel();
        let sending = Sending {
            exporter,
            delivery: Arc::clone(&delivery),
            spans,
            batch: Vec::new(),
            stop: stop.clone(),
        };
        tokio::spawn(async move {
            sending.run().await;
            // The receiver may have given up.
            let _ = done.send(());
        });
        let provider = SdkTracerProvider::builder()
            // `spans` decides which traces are kept, before their first span.
            .with_sampler(Sampler::AlwaysOn)
            .with_span_processor(Queue(queue))
            .with_resource(resource)
            .build();
        Ok(Spans {
            provider,
            delivery,
            stop,
            ended,
        })
    }

    pub(super) fn provider(&self) -> &SdkTracerProvider {
        &self.provider
    }

    /// Stops making spans, and exports the last.
    pub(super) fn end(self) -> Ending {
        // Fails only if the provider is already shut down.
        let _ = self.provider.shutdown_with_timeout(Duration::ZERO);
        let is_taken = self.delivery.end();
        self.stop.cancel();
        Ending {
            spans: self,
            is_taken,
        }
    }
}

/// The end of spans, in progress.
pub(super) struct Ending {
    spans: Spans,
    /// Whether the collector accepted the previous export.
    is_taken: bool,
}

impl Ending {
    /// Waits for the last export, for at most `longest`. Reports whether the collector took it, or whether none was
    /// expected.
    pub(super) fn within(self, longest: Duration) -> bool {
        !self.is_taken
            || (self.spans.ended.recv_timeout(longest).is_ok() && !self.spans.delivery.is_refused())
    }
}

/// A span processor that queues spans as they end.
#[derive(Debug)]
struct Queue(mpsc::Sender<SpanData>);

impl SpanProcessor for Queue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.0.try_send(span).is_err() {
            SPANS_DROPPED.add(1, &[]);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The export task.
struct Sending {
    exporter: SpanExporter,
    delivery: Arc<Delivery>,
    spans: mpsc::Receiver<SpanData>,
    /// The next export.
    batch: Vec<SpanData>,
    stop: CancellationToken,
}

impl Sending {
    /// Exports until stopped, and then drains the queue.
    async fn run(mut self) {
        let stop = self.stop.clone();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = self.gather() => self.send().await,
            }
            if self.delivery.is_refused() {
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = sleep(PAUSE) => {}
                }
            }
        }
        self.spans.close();
        while self.spans.recv_many(&mut self.batch, BATCH).await > 0 {
            self.send().await;
        }
        self.send().await;
    }

    /// Waits for a span, and then up to [`GATHER`] for a full batch. Cancel safe: gathered spans stay in the batch.
    async fn gather(&mut self) {
        let (spans, batch) = (&mut self.spans, &mut self.batch);
        if batch.is_empty() && spans.recv_many(batch, BATCH).await == 0 {
            // The provider is gone, and no more spans will come.
            return std::future::pending().await;
        }
        let full = async {
            while batch.len() < BATCH {
                if spans.recv_many(batch, BATCH - batch.len()).await == 0 {
                    return;
                }
            }
        };
        // A batch that is not full by then is sent as it is.
        let _ = timeout(GATHER, full).await;
    }

    async fn send(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return;
        }
        let count = batch.len() as u64;
        let sent = self.delivery.export(self.exporter.export(batch)).await;
        if sent.is_err() {
            SPANS_DROPPED.add(count, &[]);
        }
    }
}
