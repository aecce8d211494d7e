//! The spans of the watches of one backend, so that a poll can be linked to the watches it serves. Watches that are not
//! sampled leave nothing here.

use crate::spans;
use opentelemetry::trace::SpanContext;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Maximum number of watches that a poll is linked to.
pub const MAX_LINKS: usize = 32;

#[derive(Debug, Default)]
pub struct Links {
    /// A std mutex: held for bookkeeping only, never across an await.
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// The number of the next span.
    next: u64,
    /// Spans of watches over all connections, in the order of opening.
    of_all: Spans,
    /// Spans of watches over one connection, by its id.
    of_one: HashMap<Arc<str>, Spans>,
}

type Spans = BTreeMap<u64, SpanContext>;

/// Links polls to a watch for as long as it is held.
#[derive(Debug)]
pub struct Link {
    links: Arc<Links>,
    number: u64,
    of: Option<Arc<str>>,
}

impl Links {
    /// Links polls of this connection, or of all, to the current span. Returns `None` if the span is not sampled.
    pub fn to_current(self: &Arc<Self>, of: Option<&Arc<str>>) -> Option<Box<Link>> {
        let span = spans::kept()?;
        let mut open = self.open();
        let number = open.next;
        open.next += 1;
        let spans = match of {
            Some(id) => open.of_one.entry(Arc::clone(id)).or_default(),
            None => &mut open.of_all,
        };
        spans.insert(number, span);
        drop(open);
        Some(Box::new(Link {
            links: Arc::clone(self),
            number,
            of: of.cloned(),
        }))
    }

    /// Returns the spans of the watches that a poll of these connections serves, at most [`MAX_LINKS`], and how many
    /// there are in all.
    pub fn of<'a>(&self, ids: impl Iterator<Item = &'a str>) -> (Vec<SpanContext>, usize) {
        let open = self.open();
        if open.of_all.is_empty() && open.of_one.is_empty() {
            return (Vec::new(), 0);
        }
        let of_these = ids.filter_map(|id| open.of_one.get(id));
        let all: Vec<&Spans> = of_these.chain([&open.of_all]).collect();
        let count = all.iter().map(|spans| spans.len()).sum();
        let spans = all.into_iter().flat_map(BTreeMap::values);
        (spans.take(MAX_LINKS).cloned().collect(), count)
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let mut open = self.links.open();
        let Some(id) = &self.of else {
            open.of_all.remove(&self.number);
            return;
        };
        if let Some(spans) = open.of_one.get_mut(id) {
            spans.remove(&self.number);
            if spans.is_empty() {
                open.of_one.remove(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::{
        Context,
        trace::{SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
    };

    fn opened(
        links: &Arc<Links>,
        span: u64,
        of: Option<&str>,
        flags: TraceFlags,
    ) -> Option<Box<Link>> {
        let (trace, span) = (TraceId::from(7), SpanId::from(span));
        let context = SpanContext::new(trace, span, flags, true, TraceState::NONE);
        let _current = Context::new().with_remote_span_context(context).attach();
        links.to_current(of.map(Arc::from).as_ref())
    }

    #[test]
    fn a_poll_is_linked_to_the_watches_it_serves_and_to_no_more_than_are_bounded() {
        spans::collect(1.0);
        let links = Arc::<Links>::default();
        let kept = TraceFlags::SAMPLED;
        let of = |ids: &[&str]| {
            let (spans, count) = links.of(ids.iter().copied());
            let spans = spans
                .iter()
                .map(|it| u64::from_be_bytes(it.span_id().to_bytes()));
            (spans.collect::<Vec<_>>(), count)
        };
        let one = opened(&links, 1, Some("a"), kept);
        let two = opened(&links, 2, Some("b"), kept);
        let all = opened(&links, 3, None, kept);
        assert!(opened(&links, 4, Some("a"), TraceFlags::default()).is_none());
        assert_eq!(of(&["a"]), (vec![1, 3], 2));
        assert_eq!(of(&["b", "c", "a"]), (vec![2, 1, 3], 3));
        drop((one, all));
        assert_eq!(of(&["a", "b"]), (vec![2], 1));
        drop(two);
        let many: Vec<_> = (0..40)
            .map(|span| opened(&links, span + 100, Some("a"), kept))
            .collect();
        let (first, count) = of(&["a"]);
        assert_eq!((first.len(), first[0], count), (MAX_LINKS, 100, 40));
        drop(many);
        assert!(links.open().of_one.is_empty() && links.open().of_all.is_empty());
    }
}
