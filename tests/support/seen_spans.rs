//! Spans as a collector received them, whoever it is: ours in the test, or a real one that wrote them to a file.

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// One span; ids are in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenSpan {
    pub name: String,
    pub kind: i32,
    pub trace: String,
    pub id: String,
    /// Empty if it has none.
    pub parent: String,
    pub state: String,
    pub begun: u64,
    pub ended: u64,
    pub failed: bool,
    pub attributes: BTreeMap<String, String>,
    /// The spans it is linked to.
    pub links: Vec<String>,
}

/// What a collector received, and whatever is in it as text.
#[derive(Debug, Default)]
pub struct Received {
    pub spans: Vec<SeenSpan>,
    /// What is said of whoever sent them, each time.
    pub senders: Vec<BTreeMap<String, String>>,
    pub text: String,
}

impl SeenSpan {
    /// The value of an attribute; empty if it has none.
    pub fn said(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }

    /// Whether it is a request to a cloud.
    pub fn is_upstream(&self) -> bool {
        self.kind == SpanKind::Client as i32
    }

    /// Whether it is a call of the gateway.
    pub fn is_call(&self) -> bool {
        self.kind == SpanKind::Server as i32
    }
}

impl Received {
    /// What came by OTLP.
    pub fn of(requests: &[ExportTraceServiceRequest]) -> Received {
        let mut received = Received {
            text: format!("{requests:?}"),
            ..Received::default()
        };
        for resource in requests.iter().flat_map(|request| &request.resource_spans) {
            let said = resource.resource.as_ref().map(|it| &it.attributes);
            let said = said.into_iter().flatten();
            let said = said.map(|it| (it.key.clone(), text(it.value.as_ref())));
            received.senders.push(said.collect());
            let spans = resource.scope_spans.iter().flat_map(|scope| &scope.spans);
            received.spans.extend(spans.map(of_proto));
        }
        received.sorted()
    }

    /// What a collector wrote: a line of OTLP in JSON for each batch.
    pub fn of_lines(text: String) -> Received {
        let mut received = Received::default();
        for line in text.lines() {
            let batch: Json = serde_json::from_str(line).expect("each line is JSON");
            for resource in list(&batch["resourceSpans"]) {
                let said = attributes(&resource["resource"]["attributes"]);
                received.senders.push(said);
                let scopes = list(&resource["scopeSpans"]).iter();
                let spans = scopes.flat_map(|scope| list(&scope["spans"]));
                received.spans.extend(spans.map(of_json));
            }
        }
        received.text = text;
        received.sorted()
    }

    fn sorted(mut self) -> Received {
        self.spans.sort_by_key(|span| span.begun);
        self
    }

    /// The spans right below this one, oldest first.
    pub fn below(&self, parent: &SeenSpan) -> Vec<&SeenSpan> {
        let below = self.spans.iter().filter(|span| span.parent == parent.id);
        below
            .inspect(|span| assert_eq!(span.trace, parent.trace))
            .collect()
    }

    /// The one span of that name right below this one.
    #[track_caller]
    pub fn one_below(&self, parent: &SeenSpan, name: &str) -> &SeenSpan {
        let mut below = self.below(parent);
        below.retain(|span| span.name == name);
        assert_eq!(below.len(), 1, "{name} below {}: {below:#?}", parent.name);
        below[0]
    }

    /// The requests to clouds below this one, however far.
    pub fn requests(&self, of: &SeenSpan) -> Vec<&SeenSpan> {
        let mut found = Vec::new();
        for span in self.below(of) {
            found.extend(self.requests(span));
            found.extend(span.is_upstream().then_some(span));
        }
        found.sort_by_key(|span| span.begun);
        found
    }

    /// The calls in this trace.
    pub fn calls(&self, trace: &str) -> Vec<&SeenSpan> {
        let all = self.spans.iter();
        all.filter(|span| span.is_call() && span.trace == trace)
            .collect()
    }

    /// The spans of that name that begin a trace.
    pub fn roots(&self, name: &str) -> Vec<&SeenSpan> {
        let all = self.spans.iter();
        all.filter(|span| span.parent.is_empty() && span.name == name)
            .collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        other => format!("{other:?}"),
    }
}

fn of_proto(span: &Span) -> SeenSpan {
    let attributes = span.attributes.iter();
    let status = span.status.as_ref();
    SeenSpan {
        name: span.name.clone(),
        kind: span.kind,
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        state: span.trace_state.clone(),
        begun: span.start_time_unix_nano,
        ended: span.end_time_unix_nano,
        failed: status.is_some_and(|status| status.code() == StatusCode::Error),
        attributes: attributes
            .map(|it| (it.key.clone(), text(it.value.as_ref())))
            .collect(),
        links: span.links.iter().map(|link| hex(&link.span_id)).collect(),
    }
}

fn list(json: &Json) -> &[Json] {
    json.as_array().map_or(&[], Vec::as_slice)
}

fn attributes(json: &Json) -> BTreeMap<String, String> {
    let each = list(json).iter();
    let pairs = each.map(|it| {
        let value = it["value"].as_object().and_then(|it| it.values().next());
        let value = value.map_or(String::new(), |value| match value {
            Json::String(text) => text.clone(),
            other => other.to_string(),
        });
        (it["key"].as_str().unwrap_or_default().to_owned(), value)
    });
    pairs.collect()
}

fn of_json(span: &Json) -> SeenSpan {
    let text = |key: &str| span[key].as_str().unwrap_or_default().to_owned();
    let number = |key: &str| span[key].as_str().and_then(|it| it.parse().ok());
    let links = list(&span["links"]).iter();
    SeenSpan {
        name: text("name"),
        kind: span["kind"].as_i64().unwrap_or_default() as i32,
        trace: text("traceId"),
        id: text("spanId"),
        parent: text("parentSpanId"),
        state: text("traceState"),
        begun: number("startTimeUnixNano").unwrap_or_default(),
        ended: number("endTimeUnixNano").unwrap_or_default(),
        failed: span["status"]["code"].as_i64() == Some(i64::from(StatusCode::Error as i32)),
        attributes: attributes(&span["attributes"]),
        links: links
            .map(|link| link["spanId"].as_str().unwrap_or_default().to_owned())
            .collect(),
    }
}
