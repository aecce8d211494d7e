//! Logs to standard error, and spans to an OpenTelemetry collector if one is configured.

use crate::text::clean_lines;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracerProvider, Tracer},
};
use std::{
    io::{self, IsTerminal},
    time::Duration,
};
use tracing::{Level, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer,
    filter::{FilterExt, ParseError, Targets, filter_fn},
    fmt::MakeWriter,
    layer::SubscriberExt,
    registry::Registry,
};

/// The variable that names the collector, if the settings do not.
const ENDPOINT_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// The variable that says what is logged, if the settings do not.
const FILTER_VARIABLE: &str = "RUST_LOG";

/// How long the last spans may take to leave. A collector that is gone must not hold up the end.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// What is told, how, and to whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// How log lines look.
    pub format: Format,
    /// Which events are logged: levels, by target if one is named, as `info,isthmus=debug`. `None`: what
    /// `RUST_LOG` says in the same form, else `info`.
    pub filter: Option<String>,
    /// Where spans go, as OTLP over gRPC without TLS: `http://localhost:4317`. `None`: what
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` says, else nowhere.
    pub otlp_endpoint: Option<String>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line, for collectors of logs.
    Json,
}

/// Why telemetry could not begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter cannot be read.
    #[error("the log filter cannot be read: {0}")]
    Filter(#[from] ParseError),
    /// The collector's address cannot be used.
    #[error("spans cannot be exported: {0}")]
    Exporter(#[from] ExporterBuildError),
    /// Somebody else in this process has begun it already.
    #[error("logs are already being written")]
    AlreadyBegun,
}

/// Keeps telemetry going; dropped, it sends the last spans, for at most two seconds.
///
/// Sending needs the runtime it began in: drop it before that ends, and not on its only thread.
#[derive(Debug)]
#[must_use = "spans are lost without it"]
pub struct Telemetry {
    spans: Option<SdkTracerProvider>,
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(spans) = &self.spans
            && let Err(error) = spans.shutdown_with_timeout(FLUSH_WITHIN)
        {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// Begins to write logs and, if there is a collector, to send spans. Once per process, within a tokio
/// runtime.
///
/// # Errors
/// A filter or an address that cannot be read. A collector that does not answer is none: spans are dropped.
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
    let filter = filter(settings.filter.as_deref())?;
    let endpoint = settings
        .otlp_endpoint
        .clone()
        .or_else(|| std::env::var(ENDPOINT_VARIABLE).ok())
        .filter(|endpoint| !endpoint.is_empty());
    let spans = endpoint.as_deref().map(exporter).transpose()?;
    let tracer = spans.as_ref().map(|spans| spans.tracer("isthmus"));
    let colours = io::stderr().is_terminal();
    let subscriber = layers(settings.format, filter, io::stderr, colours, tracer);
    Ok((subscriber, Telemetry { spans }))
}

fn filter(setting: Option<&str>) -> Result<Targets, ParseError> {
    match setting {
        Some(text) => text.parse(),
        // A variable that cannot be read is no reason not to start.
        None => Ok(std::env::var(FILTER_VARIABLE)
            .ok()
            .filter(|text| !text.is_empty())
            .and_then(|text| text.parse().ok())
            .unwrap_or(Targets::new().with_default(LevelFilter::INFO))),
    }
    .map(hushed)
}

/// Without the warnings of HTTP/2 about its peer, which could fill the log with them: a frame, a line. Who wants more
/// than warnings, or names the library, gets them.
fn hushed(filter: Targets) -> Targets {
    const LIBRARY: &str = "h2";
    let warns =
        filter.would_enable(LIBRARY, &Level::WARN) && !filter.would_enable(LIBRARY, &Level::DEBUG);
    let is_named = filter.iter().any(|(target, _)| target.starts_with(LIBRARY));
    match warns && !is_named {
        true => filter.with_target(LIBRARY, LevelFilter::ERROR),
        false => filter,
    }
}

fn exporter(endpoint: &str) -> Result<SdkTracerProvider, ExporterBuildError> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()?;
    let resource = Resource::builder()
        .with_service_name(env!("CARGO_PKG_NAME"))
        .with_attribute(opentelemetry::KeyValue::new(
            "service.version",
            env!("CARGO_PKG_VERSION"),
        ))
        .build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build())
}

/// Logs to `writer` as `filter` says, and our own spans, whatever it says, to `tracer`. Colours are for
/// terminals: in a file or a pipe they are noise that hides what is searched for.
fn layers<W>(
    format: Format,
    filter: Targets,
    writer: W,
    colours: bool,
    tracer: Option<Tracer>,
) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(Clean { writer, colours })
        .with_ansi(colours);
    // A line says by itself what it is about. Spans that nobody collects cost nothing then; written out for lines,
    // they were 0.8 KiB of each open stream. A filter that names no level at all would take away that of `filter`.
    let events = filter_fn(|metadata| metadata.is_event()).with_max_level_hint(LevelFilter::TRACE);
    let filter = filter.and(events);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        Format::Human => lines.with_filter(filter).boxed(),
        Format::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
    };
    // Every layer has a filter of its own, and one that is not needed is not there: a `None` would want all spans, and
    // the registry would make each of them, for each frame that the HTTP libraries send.
    let mut layers = vec![lines];
    if let Some(tracer) = tracer {
        let ours = Targets::new().with_target(env!("CARGO_PKG_NAME"), LevelFilter::INFO);
        let spans = tracing_opentelemetry::layer().with_tracer(tracer);
        layers.push(spans.with_filter(ours).boxed());
    }
    tracing_subscriber::registry().with(layers)
}

/// Writes lines as they are to be read: what a cloud or a client put into them neither moves, hides nor turns them.
struct Clean<W> {
    writer: W,
    /// Whether lines have escape sequences of their own.
    colours: bool,
}

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Clean<W> {
    type Writer = Clean<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Clean {
            writer: self.writer.make_writer(),
            colours: self.colours,
        }
    }
}

impl<W: io::Write> io::Write for Clean<W> {
    /// A line comes whole.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let clean = clean_lines(&text, self.colours);
        self.writer.write_all(clean.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn warnings_of_http2_are_for_those_who_want_them() {
        for (directives, warns) in [
            ("info", false),
            ("warn,isthmus=debug", false),
            ("debug", true),
            ("info,h2=warn", true),
            ("isthmus=trace", false),
        ] {
            let filter = filter(Some(directives)).unwrap();
            let library = "h2::proto::ping_pong";
            assert_eq!(
                filter.would_enable(library, &Level::WARN),
                warns,
                "{directives}"
            );
            assert!(filter.would_enable("isthmus::server", &Level::WARN));
        }
    }

    fn written(format: Format, directives: &str) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let filter = filter(Some(directives)).unwrap();
        let subscriber = layers(format, filter, move || writer.clone(), false, None);
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!("too fine");
            tracing::info!(backend.name = "a", "the cloud answered");
            tracing::error!(of = %"x\u{202e}y\u{200b}z\u{9b}2J", "un\u{2066}seen");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn lines_have_nothing_that_turns_hides_or_moves_them() {
        for format in [Format::Human, Format::Json] {
            let lines = written(format, "error");
            assert!(
                lines.contains("x y z") && lines.contains("un seen"),
                "{lines}"
            );
            assert!(
                lines
                    .chars()
                    .all(|c| c == '\n' || !"\u{202e}\u{200b}\u{9b}\u{2066}".contains(c))
            );
        }
    }

    #[test]
    fn lines_for_collectors_are_json_with_their_fields() {
        let lines = written(Format::Json, "info");
        let line = lines.lines().next().unwrap_or_default();
        let json: serde_json::Value = serde_json::from_str(line).expect("one object");
        assert_eq!(json["message"], "the cloud answered");
        assert_eq!(json["backend.name"], "a");
    }

    #[test]
    fn the_filter_decides_what_is_logged() {
        assert!(!written(Format::Human, "info").contains("too fine"));
        assert!(written(Format::Human, "debug").contains("too fine"));
        assert_eq!(written(Format::Human, "off"), "");
        assert!(!written(Format::Human, "debug").contains('\x1b'));
        assert!(filter(Some("isthmus=loud")).is_err());
    }

    #[tokio::test]
    async fn a_collector_that_is_gone_does_not_hold_up_the_end() {
        let spans = exporter("http://127.0.0.1:1").unwrap();
        let tracer = spans.tracer("test");
        opentelemetry::trace::Tracer::start(&tracer, "lost");
        let begun = std::time::Instant::now();
        let telemetry = Telemetry { spans: Some(spans) };
        tokio::task::spawn_blocking(move || drop(telemetry))
            .await
            .unwrap();
        assert!(begun.elapsed() < FLUSH_WITHIN * 3);
    }
}
