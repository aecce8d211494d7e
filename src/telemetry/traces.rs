//! Spans, and how they get to the collector: by a bounded queue that one task empties. Whoever ends a span never waits;
//! what the collector does not take in time is dropped, and counted.

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

/// How many spans wait at most.
const QUEUE: usize = 4096;
/// How many are sent at once.
const BATCH: usize = 512;
/// How long a span waits for others to be sent with.
const GATHER: Duration = Duration::from_secs(1);
/// How long one export may take. A collector that is silent holds up nothing but the queue.
const EXPORT_WITHIN: Duration = Duration::from_secs(5);
/// How long a collector that took nothing is left alone. The queue fills meanwhile.
const PAUSE: Duration = Duration::from_secs(5);

/// What makes spans and sends them; dropped without [`Spans::end`], it loses the last.
#[derive(Debug)]
pub(super) struct Spans {
    provider: SdkTracerProvider,
    delivery: Arc<Delivery>,
    stop: CancellationToken,
    ended: std_mpsc::Receiver<()>,
}

impl Spans {
    /// Sends spans to the collector at `endpoint`, from a task of this runtime.
    ///
    /// # Errors
    /// If the address cannot be used.
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
            // Whoever waited may have given up.
            let _ = done.send(());
        });
        let provider = SdkTracerProvider::builder()
            // Which traces are kept is decided before there is a span, in `spans`.
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

    /// What makes the spans.
    pub(super) fn provider(&self) -> &SdkTracerProvider {
        &self.provider
    }

    /// Makes no spans from now on, and has the last sent.
    pub(super) fn end(self) -> Ending {
        // An error says that somebody did so before.
        let _ = self.provider.shutdown_with_timeout(Duration::ZERO);
        let is_taken = self.delivery.end();
        self.stop.cancel();
        Ending {
            spans: self,
            is_taken,
        }
    }
}

/// The end of spans, under way.
pub(super) struct Ending {
    spans: Spans,
    /// Whether the collector took what came before.
    is_taken: bool,
}

impl Ending {
    /// Waits for it, for at most so long: whether the last spans were taken, or it was known that none is.
    pub(super) fn within(self, longest: Duration) -> bool {
        !self.is_taken
            || (self.spans.ended.recv_timeout(longest).is_ok() && !self.spans.delivery.is_refused())
    }
}

/// Takes spans as they end.
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

/// Sends what is in the queue.
struct Sending {
    exporter: SpanExporter,
    delivery: Arc<Delivery>,
    spans: mpsc::Receiver<SpanData>,
    /// What is sent next.
    batch: Vec<SpanData>,
    stop: CancellationToken,
}

impl Sending {
    /// Sends until stopped, and then what is left.
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

    /// Waits for a span, and a moment for others. What was gathered stays if this is given up.
    async fn gather(&mut self) {
        let (spans, batch) = (&mut self.spans, &mut self.batch);
        if batch.is_empty() && spans.recv_many(batch, BATCH).await == 0 {
            // Nobody makes any more.
            return std::future::pending().await;
        }
        let full = async {
            while batch.len() < BATCH {
                if spans.recv_many(batch, BATCH - batch.len()).await == 0 {
                    return;
                }
            }
        };
        // If it is not full by then, it goes as it is.
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
