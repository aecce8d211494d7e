//! One span per call, with its parent and its end.

use crate::{
    grpc::methods,
    server::{
        Settings,
        tests::support::{Scripted, get, soon, watch},
    },
    spans,
};
use opentelemetry::trace::{SpanId, SpanKind, TracerProvider};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use std::sync::{Arc, LazyLock, Mutex};
use tokio::sync::watch as channel;
use tonic::{Code, Request, client::Grpc, codegen::http::uri::PathAndQuery};
use tonic_prost::ProstCodec;
use tracing::{Dispatch, subscriber::NoSubscriber};
use tracing_subscriber::{Layer, filter::Targets, layer::SubscriberExt};

/// Two subscribers that want nothing and are never dropped.
///
/// With a single subscriber, `tracing` asks only the subscriber of the thread on which a span is first met. That may be
/// the thread of another test, which has no subscriber, and the span would be off for all threads. With more than one
/// subscriber, `tracing` asks them all.
pub static BYSTANDERS: LazyLock<[Dispatch; 2]> =
    LazyLock::new(|| [(); 2].map(|()| Dispatch::new(NoSubscriber::new())));

/// Keeps the exported spans.
#[derive(Debug, Clone)]
struct Kept {
    spans: Arc<Mutex<Vec<SpanData>>>,
    count: Arc<channel::Sender<usize>>,
}

impl SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let ended = batch.len();
        self.spans.lock().unwrap().extend(batch);
        self.count.send_modify(|count| *count += ended);
        Ok(())
    }
}

impl Kept {
    fn new() -> Kept {
        Kept {
            spans: Arc::default(),
            count: Arc::new(channel::Sender::new(0)),
        }
    }

    /// Waits until `count` spans have ended in all, and returns those not yet taken.
    async fn take(&self, count: usize) -> Vec<SpanData> {
        let mut counted = self.count.subscribe();
        soon(counted.wait_for(|ended| *ended >= count))
            .await
            .unwrap();
        std::mem::take(&mut *self.spans.lock().unwrap())
    }

    fn collect(&self) -> (SdkTracerProvider, tracing::subscriber::DefaultGuard) {
        spans::collect(1.0);
        LazyLock::force(&BYSTANDERS);
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(self.clone())
            .build();
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("test"))
            .with_filter(Targets::new().with_target("isthmus", tracing::Level::INFO));
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        (provider, guard)
    }
}

fn attribute(span: &SpanData, key: &str) -> Option<String> {
    span.attributes
        .iter()
        .find(|attribute| attribute.key.as_str() == key)
        .map(|attribute| attribute.value.to_string())
}

#[tokio::test]
async fn a_call_is_one_span_with_the_parent_its_caller_names() {
    let kept = Kept::new();
    let _collected = kept.collect();
    let (_, server) = Scripted::serve(Settings::default()).await;
    let mut client = server.client().await;
    let mut request = Request::new(get("x"));
    request.metadata_mut().insert(
        "traceparent",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            .parse()
            .unwrap(),
    );
    client.get_realization(request).await.unwrap();
    let spans = kept.take(1).await;
    assert_eq!(spans.len(), 1);
    let span = &spans[0];
    assert_eq!(span.name, "isthmus.v1.RealizationService/GetRealization");
    assert_eq!(span.span_kind, SpanKind::Server);
    assert_eq!(span.parent_span_id.to_string(), "b7ad6b7169203331");
    assert_eq!(
        span.span_context.trace_id().to_string(),
        "0af7651916cd43dd8448eb211c80319c"
    );
    for (key, value) in [
        ("rpc.system.name", "grpc"),
        ("rpc.method", "isthmus.v1.RealizationService/GetRealization"),
        ("rpc.response.status_code", "OK"),
    ] {
        assert_eq!(attribute(span, key).as_deref(), Some(value), "{key}");
    }
}

#[tokio::test]
async fn a_span_lasts_as_long_as_its_stream_and_tells_how_it_ended() {
    let kept = Kept::new();
    let _collected = kept.collect();
    let (_, server) = Scripted::serve(Settings::default()).await;
    let mut client = server.client().await;
    let mut stream = client
        .watch_realization(watch("open"))
        .await
        .unwrap()
        .into_inner();
    stream.message().await.unwrap();
    // Another call begins and ends while the stream is open. Only its span has been exported.
    client.get_realization(get("panic")).await.unwrap_err();
    let spans = kept.take(1).await;
    assert_eq!(spans.len(), 1);
    assert_eq!(
        attribute(&spans[0], "rpc.response.status_code").as_deref(),
        Some("INTERNAL")
    );
    assert_eq!(
        attribute(&spans[0], "error.type").as_deref(),
        Some("INTERNAL")
    );
    assert!(matches!(
        spans[0].status,
        opentelemetry::trace::Status::Error { .. }
    ));

    // Each log line stands alone and names its call.
    let told: Vec<_> = spans[0].events.iter().map(|event| &event.name).collect();
    assert_eq!(told, ["a handler panicked", "a call ended with a fault"]);
    for event in spans[0].events.iter() {
        let call = event.attributes.iter().find(|it| it.key.as_str() == "call");
        assert_eq!(
            call.map(|call| call.value.to_string()).as_deref(),
            Some("isthmus.v1.RealizationService/GetRealization")
        );
    }

    // The client goes away.
    drop(stream);
    let spans = kept.take(2).await;
    assert_eq!(spans.len(), 1);
    assert_eq!(
        spans[0].name,
        "isthmus.v1.RealizationService/WatchRealization"
    );
    assert_eq!(
        attribute(&spans[0], "rpc.response.status_code").as_deref(),
        Some("CANCELLED")
    );
}

/// A call that belongs to an unsampled trace of its caller has no span, even if the gateway samples every trace that it
/// starts itself.
#[tokio::test]
async fn a_caller_that_keeps_no_trace_decides_for_its_calls() {
    let kept = Kept::new();
    let _collected = kept.collect();
    let (_, server) = Scripted::serve(Settings::default()).await;
    let mut client = server.client().await;
    let unkept = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    for parent in [Some(unkept), None] {
        let mut request = Request::new(get("x"));
        if let Some(parent) = parent {
            let parent = parent.parse().unwrap();
            request.metadata_mut().insert("traceparent", parent);
        }
        client.get_realization(request).await.unwrap();
    }
    let spans = kept.take(1).await;
    let parents: Vec<_> = spans.iter().map(|span| span.parent_span_id).collect();
    assert_eq!(parents, [SpanId::INVALID], "only that which began here");
}

/// Calls of unknown methods share one name, so that clients cannot create span names.
#[tokio::test]
async fn what_nobody_has_makes_no_name() {
    let kept = Kept::new();
    let _collected = kept.collect();
    let (_, server) = Scripted::serve(Settings::default()).await;
    let path = format!("/isthmus.v1.ConnectionService/{}", "Nothing".repeat(1000));
    let path = PathAndQuery::try_from(path).unwrap();
    let mut client = Grpc::new(server.channel().await);
    client.ready().await.unwrap();
    let codec = ProstCodec::<(), ()>::default();
    let refused = client.unary(Request::new(()), path, codec).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unimplemented);
    let spans = kept.take(1).await;
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].name, methods::OTHER);
    assert_eq!(
        attribute(&spans[0], "rpc.method").as_deref(),
        Some(methods::OTHER)
    );
}
