//! Log lines: which are written, in which format, and cleaned of characters that could mislead a reader.

use crate::{spans, telemetry::filter::Levels, text::clean_lines};
use std::{fmt, io};
use tracing::{Event, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer,
    filter::{FilterExt, Targets, filter_fn},
    fmt::{
        FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::{JsonFields, Writer, json},
    },
    layer::SubscriberExt,
    registry::{LookupSpan, Registry},
    reload,
};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// Text for people.
    #[default]
    Human,
    /// One JSON object per line, for log collectors.
    Json,
}

/// Logs to `writer` what `filter` selects, and sends our own spans, independent of `filter`, to `tracer`. `colours` is
/// for terminals: in a file or a pipe, escape sequences obstruct a search.
///
/// The returned [`Levels`] changes the filter later.
pub(super) fn layers<W>(
    format: Format,
    filter: Targets,
    writer: W,
    colours: bool,
    tracer: Option<opentelemetry_sdk::trace::Tracer>,
) -> (impl Subscriber + Send + Sync, Levels)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(Clean { writer, colours })
        .with_ansi(colours);
    // A line carries its own context, so that spans without a collector cost nothing; as context of lines they took 0.8
    // KiB of each open stream. Without a level hint, `filter_fn` would discard that of `filter`.
    let events = filter_fn(|metadata| metadata.is_event()).with_max_level_hint(LevelFilter::TRACE);
    let (filter, handle) = reload::Layer::new(filter);
    let filter = FilterExt::and(filter, events);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        Format::Human => lines.with_filter(filter).boxed(),
        Format::Json => lines
            .fmt_fields(JsonFields::new())
            .event_format(Traced(json().flatten_event(true)))
            .with_filter(filter)
            .boxed(),
    };
    // Every layer has a filter of its own. A layer that is not needed is left out: a `None` layer would enable all
    // spans, and the registry would make one for each frame that the HTTP libraries send.
    let mut layers = vec![lines];
    if let Some(tracer) = tracer {
        let ours = Targets::new().with_target(env!("CARGO_PKG_NAME"), LevelFilter::INFO);
        let spans = tracing_opentelemetry::layer().with_tracer(tracer);
        layers.push(spans.with_filter(ours).boxed());
    }
    let subscriber = tracing_subscriber::registry().with(layers);
    (subscriber, Levels::new(handle))
}

/// Appends the current span to a JSON line, as `trace_id` and `span_id`. Without a span of ours, these are the ids from
/// the caller's `traceparent`.
struct Traced<F>(F);

impl<S, N, F> FormatEvent<S, N> for Traced<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(span) = spans::current() else {
            return self.0.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.0
            .format_event(context, Writer::new(&mut line), event)?;
        let (trace, span) = (span.trace_id(), span.span_id());
        match line.strip_suffix("}\n") {
            Some(open) => writeln!(
                writer,
                "{open},\"trace_id\":\"{trace}\",\"span_id\":\"{span}\"}}"
            ),
            None => writer.write_str(&line),
        }
    }
}

/// A writer that cleans lines, so that text from a cloud or a client can neither move, hide nor reverse what a reader
/// sees.
struct Clean<W> {
    writer: W,
    /// Whether lines contain escape sequences of our own.
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
    /// Writes one whole line.
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
    use crate::telemetry::filter::chosen;
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use std::{
        env::VarError,
        sync::{Arc, Mutex},
    };

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

    fn targets(directives: &str) -> Targets {
        chosen(Some(directives), Err(VarError::NotPresent)).unwrap()
    }

    impl Lines {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn written(format: Format, directives: &str) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let writer = move || writer.clone();
        let (subscriber, _) = layers(format, targets(directives), writer, false, None);
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!("too fine");
            tracing::info!(backend.name = "a", "the cloud answered");
            tracing::error!(of = %"x\u{202e}y\u{200b}z\u{9b}2J", "un\u{2066}seen");
        });
        lines.text()
    }

    #[test]
    fn the_filter_can_be_changed_while_lines_are_written() {
        let lines = Lines::default();
        let writer = lines.clone();
        let writer = move || writer.clone();
        let (subscriber, levels) = layers(Format::Human, targets("info"), writer, false, None);
        tracing::subscriber::with_default(subscriber, || {
            let told = |what: &str| {
                tracing::debug!(what);
                lines.text().contains(what)
            };
            assert!(!told("first"));
            levels.set(Some("info,isthmus=debug")).unwrap();
            assert!(told("second"));
            levels.set(Some("loud")).unwrap_err();
            assert!(
                told("third"),
                "a filter that cannot be read changes nothing"
            );
            levels.set(Some("warn")).unwrap();
            assert!(!told("fourth"));
        });
    }

    #[test]
    fn a_line_for_collectors_names_the_span_it_was_written_in() {
        let lines = Lines::default();
        let writer = lines.clone();
        let writer = move || writer.clone();
        let provider = SdkTracerProvider::builder().build();
        let tracer = provider.tracer("test");
        let (subscriber, _) = layers(Format::Json, targets("info"), writer, false, Some(tracer));
        let of_span = tracing::subscriber::with_default(subscriber, || {
            tracing::info!("outside");
            tracing::info_span!("a poll").in_scope(|| {
                tracing::info!(backend = "a", "inside");
                spans::current().unwrap()
            })
        });
        let text = lines.text();
        let json = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        let each: Vec<_> = text.lines().map(json).collect();
        assert!(each[0].get("trace_id").is_none(), "{text}");
        assert_eq!(each[1]["message"], "inside");
        assert_eq!(each[1]["backend"], "a");
        assert_eq!(each[1]["trace_id"], of_span.trace_id().to_string());
        assert_eq!(each[1]["span_id"], of_span.span_id().to_string());
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
    }
}
