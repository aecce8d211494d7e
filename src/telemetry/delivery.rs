//! The delivery of one signal to the collector. Every failed export is counted; the log tells only the first failure,
//! and the recovery.

use crate::metrics::table::EXPORT_FAILURES;
use opentelemetry::KeyValue;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use std::{
    fmt::Display,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};
use tokio::time::Instant;

/// Spans or metrics on their way to the collector.
#[derive(Debug)]
pub(super) struct Delivery {
    /// `traces` or `metrics`.
    signal: &'static str,
    /// Host and port of the collector.
    collector: String,
    /// A std mutex, held for bookkeeping only and never across an await.
    refused: Mutex<Option<Refused>>,
    is_ending: AtomicBool,
}

/// A run of failed exports.
#[derive(Debug)]
struct Refused {
    since: Instant,
    exports: u64,
}

impl Delivery {
    pub(super) fn new(signal: &'static str, endpoint: &str) -> Delivery {
        let url = endpoint.parse::<http::Uri>().ok();
        // Without the user name and the password that a URL may have.
        let place = url.as_ref().and_then(|url| {
            let port = url.port().map_or(String::new(), |port| format!(":{port}"));
            Some(format!("{}{port}", url.host()?))
        });
        Delivery {
            signal,
            collector: place.unwrap_or_default(),
            refused: Mutex::default(),
            is_ending: AtomicBool::new(false),
        }
    }

    /// Reports whether the last export failed.
    pub(super) fn is_refused(&self) -> bool {
        self.refused().is_some()
    }

    /// Marks the end of the process. From here on a collector whose last export failed is not tried again, and failures
    /// are not logged: the caller of the end reports them. Returns whether the last export succeeded.
    pub(super) fn end(&self) -> bool {
        self.is_ending.store(true, Relaxed);
        !self.is_refused()
    }

    /// Runs an export and records its result.
    ///
    /// # Errors
    /// That of the export, or `AlreadyShutdown` if the process is ending and the last export failed.
    pub(super) async fn export(
        &self,
        export: impl Future<Output = OTelSdkResult>,
    ) -> OTelSdkResult {
        if self.is_ending.load(Relaxed) && self.is_refused() {
            return Err(OTelSdkError::AlreadyShutdown);
        }
        let result = export.await;
        match &result {
            Ok(()) => self.taken(),
            Err(error) => self.not_taken(error),
        }
        result
    }

    fn taken(&self) {
        if let Some(was) = self.refused().take() {
            let (signal, collector, failed) = (self.signal, &self.collector, was.exports);
            let for_s = was.since.elapsed().as_secs();
            tracing::info!(
                signal,
                collector,
                for_s,
                failed,
                "the collector takes telemetry again"
            );
        }
    }

    fn not_taken(&self, reason: &dyn Display) {
        EXPORT_FAILURES.add(1, &[KeyValue::new("isthmus.signal", self.signal)]);
        let mut refused = self.refused();
        if let Some(refused) = &mut *refused {
            refused.exports += 1;
            return;
        }
        *refused = Some(Refused {
            since: Instant::now(),
            exports: 1,
        });
        drop(refused);
        // At the end, the caller that waits for the last export logs the failure.
        if self.is_ending.load(Relaxed) {
            return;
        }
        let (signal, collector) = (self.signal, &self.collector);
        tracing::warn!(
            signal,
            collector,
            %reason,
            "the collector takes no telemetry; it is dropped until it does, and calls go on as ever"
        );
    }

    fn refused(&self) -> MutexGuard<'_, Option<Refused>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{self, Write},
        sync::Arc,
    };
    use tracing_subscriber::fmt::MakeWriter;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Lines;

        fn make_writer(&self) -> Lines {
            self.clone()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_said_once_and_its_end_too() {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt().with_writer(lines.clone());
        let _told = tracing::subscriber::set_default(subscriber.with_ansi(false).finish());
        let delivery = Delivery::new("traces", "http://user:canary@collector:4317/path");
        let failed = || async { Err(OTelSdkError::InternalFailure("gone".to_owned())) };
        delivery.export(async { Ok(()) }).await.unwrap();
        for _ in 0..3 {
            assert!(delivery.export(failed()).await.is_err());
            assert!(delivery.is_refused());
            tokio::time::advance(std::time::Duration::from_secs(10)).await;
        }
        delivery.export(async { Ok(()) }).await.unwrap();
        assert!(!delivery.is_refused());
        let lines = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!(lines.len(), 2, "{lines:#?}");
        assert!(lines[0].contains("WARN") && lines[0].contains("gone"));
        assert!(lines[1].contains("INFO") && lines[1].contains("for_s=30 failed=3"));
        for line in lines {
            assert!(line.contains("signal=\"traces\" collector=\"collector:4317\""));
        }
    }

    #[tokio::test]
    async fn at_the_end_nobody_is_asked_who_took_nothing() {
        let delivery = Delivery::new("metrics", "http://collector:4317");
        delivery.end();
        delivery.export(async { Ok(()) }).await.unwrap();
        let failed = async { Err(OTelSdkError::InternalFailure("gone".to_owned())) };
        delivery.export(failed).await.unwrap_err();
        let asked = async { panic!("it is not asked again") };
        delivery.export(asked).await.unwrap_err();
    }
}
