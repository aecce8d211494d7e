//! Which traces are kept, and the context that goes from a caller through the gateway to clouds.
//!
//! What is not kept costs next to nothing: whether a trace is kept is decided before its first span is made, and what
//! is not kept has no spans at all. So a span is made here or by nobody: [`below`] a caller, as a [`root`], or as the
//! [`child`] of the one that is current. The context is OpenTelemetry's current one, which a span of `tracing` sets
//! while it is entered. A caller's context that is not kept is carried without a span, so that clouds get it as it came.
//!
//! Formats are those of W3C Trace Context (<https://www.w3.org/TR/trace-context/>). Baggage is neither read nor sent.

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

/// A longer `tracestate` is left out, in bytes. The standard asks to pass on at least so many.
const MAX_TRACESTATE: usize = 512;

/// Whether anybody collects spans.
static COLLECTED: AtomicBool = AtomicBool::new(false);
/// How many of the traces that begin here are kept, as the bits of a number from 0 to 1.
static KEPT: AtomicU64 = AtomicU64::new(0);

/// Has spans made from now on: of this part of the traces that begin here, from 0 to 1, and of those whose caller
/// keeps them. Until then none is made.
pub fn collect(ratio: f64) {
    KEPT.store(ratio.to_bits(), Ordering::Relaxed);
    COLLECTED.store(true, Ordering::Relaxed);
}

fn are_collected() -> bool {
    COLLECTED.load(Ordering::Relaxed)
}

/// Whether a trace that begins now is kept.
fn is_drawn() -> bool {
    let ratio = f64::from_bits(KEPT.load(Ordering::Relaxed));
    ratio >= 1.0 || fastrand::f64() < ratio
}

/// The span that `make` makes, with this caller's as its parent; none if the caller does not keep its trace, or,
/// without one, if that which begins here is not kept.
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

/// The span that `make` makes, which must have `parent: None`; none if this trace is not kept. One that tells the
/// end of another that is kept is `wanted` for its sake.
pub fn root(wanted: bool, make: impl FnOnce() -> Span) -> Span {
    match are_collected() && (wanted || is_drawn()) {
        true => make(),
        false => Span::none(),
    }
}

/// The span that `make` makes below the current one; none if there is none.
pub fn child(make: impl FnOnce() -> Span) -> Span {
    let is_kept = || Context::map_current(|it| it.span().span_context().is_sampled());
    match are_collected() && is_kept() {
        true => make(),
        false => Span::none(),
    }
}

/// The context of what is being done here, if it has one: that of its span, or its caller's.
pub fn current() -> Option<SpanContext> {
    Context::map_current(|it| {
        let span = it.span();
        let context = span.span_context();
        context.is_valid().then(|| context.clone())
    })
}

/// The context of the current span, if it is kept: to link others to it.
pub fn kept() -> Option<SpanContext> {
    match are_collected() {
        true => current().filter(SpanContext::is_sampled),
        false => None,
    }
}

/// A future that may go on in a context.
pub type Carried<F> = Either<WithContext<F>, F>;

/// Has work done in the context of a caller, for which no span is made here.
pub fn carry<F: Future>(caller: Option<SpanContext>, work: F) -> Carried<F> {
    match caller {
        Some(caller) => {
            let context = Context::new().with_remote_span_context(caller);
            Either::Left(work.with_context(context))
        }
        None => Either::Right(work),
    }
}

/// Has work that is spawned go on in the context it is spawned in.
pub fn go_on<F: Future>(work: F) -> Carried<F> {
    match Context::map_current(Context::has_active_span) {
        true => Either::Left(work.with_current_context()),
        false => Either::Right(work),
    }
}

/// What a caller says of its trace; `None` if it says nothing that can be understood.
pub fn extract(headers: &HeaderMap) -> Option<SpanContext> {
    // Two of them are none: nobody knows which is meant.
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

/// All of `tracestate`, which may come in several headers.
fn state(headers: &HeaderMap) -> String {
    let all = headers.get_all(TRACESTATE).iter();
    let lines: Result<Vec<&str>, _> = all.map(HeaderValue::to_str).collect();
    let whole = lines.map(|lines| lines.join(",")).unwrap_or_default();
    match whole.len() > MAX_TRACESTATE {
        true => String::new(),
        false => whole,
    }
}

/// Says in these headers in whose trace a request is, if it is in one.
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

    /// What a cloud is sent for a call with these headers.
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
