//! Which traces are kept, and the trace context that passes from a caller through the gateway to the clouds.
//!
//! A trace that is not kept costs next to nothing: the decision comes before its first span, and an unkept trace has no
//! spans at all. So every span is made by this module: [`below`] a caller, as a [`root`], or as the [`child`] of the
//! current span. The context is OpenTelemetry's current context, which a `tracing` span sets while it is entered. A
//! caller's context that is not kept is carried without a span, so that clouds receive it unchanged.
//!
//! The formats are those of W3C Trace Context (<https://www.w3.org/TR/trace-context/>). Baggage is neither read nor
//! sent.

use futures_util::future::Either;
use http::{HeaderMap, HeaderValue};
use opentelemetry::{
    Context,
    context::{FutureExt, WithContext},
    propagation::{Extractor, TextMapPropagator},
    trace::{SpanContext, TraceContextExt},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// The longest `tracestate` that is passed on, in bytes. The standard asks to propagate at least this many.
const MAX_TRACESTATE: usize = 512;

/// Whether a collector is configured.
static COLLECTED: AtomicBool = AtomicBool::new(false);
/// The sampling ratio of traces that begin here, from 0 to 1, as the bits of an `f64`.
static KEPT: AtomicU64 = AtomicU64::new(0);

/// Enables spans, which are off until this call. `ratio`, from 0 to 1, is the share of the traces beginning here that
/// are kept. A trace that its caller keeps is always kept.
pub fn collect(ratio: f64) {
    KEPT.store(ratio.to_bits(), Ordering::Relaxed);
    COLLECTED.store(true, Ordering::Relaxed);
}

fn are_collected() -> bool {
    COLLECTED.load(Ordering::Relaxed)
}

/// Reports whether a trace that begins here is sampled.
fn is_drawn() -> bool {
    let ratio = f64::from_bits(KEPT.load(Ordering::Relaxed));
    ratio >= 1.0 || fastrand::f64() < ratio
}

/// Makes a span with `make`, as a child of the caller's span. Returns no span if the caller does not keep its trace, or
/// if there is no caller and the new trace is not sampled.
pub fn below(caller: Option<&SpanContext>, make: impl FnOnce() -> Span) -> Span {
    let is_kept = are_collected() && caller.map_or_else(is_drawn, SpanContext::is_sampled);
    if !is_kept {
        return Span::none();
    }
    let span = make();
    if let Some(caller) = caller {
        // Fails only if the span is disabled.
        let _ = span.set_parent(Context::new().with_remote_span_context(caller.clone()));
    }
    span
}

/// Makes a root span with `make`, which must set `parent: None`. Returns no span if the trace is not kept. `wanted`
/// keeps it without sampling, for a span that records the end of another that is kept.
pub fn root(wanted: bool, make: impl FnOnce() -> Span) -> Span {
    match are_collected() && (wanted || is_drawn()) {
        true => make(),
        false => Span::none(),
    }
}

/// Makes a span with `make` below the current span. Returns no span if the current context is not kept.
pub fn child(make: impl FnOnce() -> Span) -> Span {
    let is_kept = || Context::map_current(|it| it.span().span_context().is_sampled());
    match are_collected() && is_kept() {
        true => make(),
        false => Span::none(),
    }
}

/// Returns the current trace context: that of the current span or, without one, that of the caller.
pub fn current() -> Option<SpanContext> {
    Context::map_current(|it| {
        let span = it.span();
        let context = span.span_context();
        context.is_valid().then(|| context.clone())
    })
}

/// Returns the context of the current span if it is kept, so that other spans can link to it.
pub fn kept() -> Option<SpanContext> {
    match are_collected() {
        true => current().filter(SpanContext::is_sampled),
        false => None,
    }
}

/// A future that may run in a trace context.
pub type Carried<F> = Either<WithContext<F>, F>;

/// Runs `work` in the context of a caller for which no span is made here.
pub fn carry<F: Future>(caller: Option<SpanContext>, work: F) -> Carried<F> {
    match caller {
        Some(caller) => {
            let context = Context::new().with_remote_span_context(caller);
            Either::Left(work.with_context(context))
        }
        None => Either::Right(work),
    }
}

/// Runs `work` in the context that is current at this call. For futures that are spawned.
pub fn go_on<F: Future>(work: F) -> Carried<F> {
    match Context::map_current(Context::has_active_span) {
        true => Either::Left(work.with_current_context()),
        false => Either::Right(work),
    }
}

/// Returns the trace context in `headers`, or `None` if there is none or it is malformed.
pub fn extract(headers: &HeaderMap) -> Option<SpanContext> {
    // Two `traceparent` headers are ambiguous, so neither counts.
    let mut named = headers.get_all(TRACEPARENT).iter();
    named.next()?;
    if named.next().is_some() {
        return None;
    }
    let said = Said {
        headers,
        state: state(headers),
    };
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &said);
    let span = context.span();
    Some(span.span_context().clone()).filter(SpanContext::is_valid)
}

/// Joins all `tracestate` headers. Returns an empty string if the result is longer than [`MAX_TRACESTATE`].
fn state(headers: &HeaderMap) -> String {
    let all = headers.get_all(TRACESTATE).iter();
    let lines: Result<Vec<&str>, _> = all.map(HeaderValue::to_str).collect();
    let whole = lines.map(|lines| lines.join(",")).unwrap_or_default();
    match whole.len() > MAX_TRACESTATE {
        true => String::new(),
        false => whole,
    }
}

/// Adds the current trace context to `headers`, if there is one.
pub fn inject(headers: &mut HeaderMap) {
    let Some(context) = current() else {
        return;
    };
    let (trace, span) = (context.trace_id(), context.span_id());
    let flags = u8::from(context.is_sampled());
    if let Ok(value) = HeaderValue::try_from(format!("00-{trace}-{span}-{flags:02x}")) {
        headers.insert(TRACEPARENT, value);
    }
    let state = context.trace_state().header();
    if let Ok(value) = HeaderValue::try_from(state)
        && !value.is_empty()
    {
        headers.insert(TRACESTATE, value);
    }
}

/// The headers of a caller, as the propagator reads them.
struct Said<'a> {
    headers: &'a HeaderMap,
    state: String,
}

impl Extractor for Said<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key == TRACESTATE {
            true => Some(&self.state),
            false => self.headers.get(key).and_then(|value| value.to_str().ok()),
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT, TRACESTATE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let lines = lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        let mut headers = HeaderMap::new();
        lines.for_each(|(name, value)| {
            headers.append(name, value);
        });
        headers
    }

    /// Returns the headers that a cloud receives for a call with these headers.
    async fn passed_on(lines: &[(&'static str, &str)]) -> HeaderMap {
        let inject = async {
            let mut sent = HeaderMap::new();
            super::inject(&mut sent);
            sent
        };
        carry(extract(&headers(lines)), inject).await
    }

    #[tokio::test]
    async fn a_context_without_a_span_is_passed_on_as_it_came_and_nothing_else() {
        let unkept = PARENT.replace("-01", "-00");
        for parent in [PARENT, &unkept] {
            let came = [("traceparent", parent), ("tracestate", "a=1,b=2")];
            let mut with_more = came.to_vec();
            with_more.push(("baggage", "user=canary"));
            assert_eq!(passed_on(&with_more).await, headers(&came));
        }
        let came = [("traceparent", PARENT)];
        assert_eq!(passed_on(&came).await, headers(&came));
        assert!(passed_on(&[("tracestate", "a=1")]).await.is_empty());
    }

    #[tokio::test]
    async fn what_cannot_be_understood_is_nobodys_context() {
        for parent in [
            "",
            "nonsense",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(
                passed_on(&[("traceparent", parent)]).await.is_empty(),
                "{parent}"
            );
        }
        let twice = [("traceparent", PARENT), ("traceparent", PARENT)];
        assert!(passed_on(&twice).await.is_empty());
    }

    #[tokio::test]
    async fn a_state_is_put_together_and_one_that_is_too_long_is_left_out() {
        let parts = [
            ("traceparent", PARENT),
            ("tracestate", "a=1"),
            ("tracestate", "b=2"),
        ];
        assert_eq!(passed_on(&parts).await["tracestate"], "a=1,b=2");
        let half = "x".repeat(MAX_TRACESTATE / 2 - 3);
        let longest = format!("a={half},b={half}x");
        for (state, is_passed) in [(longest.clone(), true), (longest + "x", false)] {
            let came = [("traceparent", PARENT), ("tracestate", state.as_str())];
            assert_eq!(
                passed_on(&came).await.contains_key("tracestate"),
                is_passed,
                "{} bytes",
                state.len()
            );
        }
    }
}
