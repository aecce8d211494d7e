//! Holds what clients saw against what is promised: ten promises of every watch, five of the gateway as a whole, and six of writes. At
//! least one check for each, under its name.
//!
//! It reads a [`History`] and nothing else. Where two streams tell of the same connection they are held against
//! each other; where a stream makes a claim it is held against what the cloud knew to be true; where nothing came,
//! against what was in the way. Every check counts what it looked at, because a check that looks at nothing passes.

mod names;
mod outcomes;
mod reach;
mod shares;
mod streams;
mod times;
mod turnover;
mod writes;

use crate::record::{Fact, History, Kind, Seen, Stream, What, decoded, short};
use http::Method;
use isthmus::grpc::pb;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

/// What is promised: first the promises of a watch, in the order and the words of `realization_service.proto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    SnapshotFirst,
    MonotoneAndUnique,
    CoalescingIsCounted,
    ExactlyOneOutcome,
    Causality,
    Resumable,
    Liveness,
    BoundedLag,
    Isolation,
    EveryEndHasAReason,
    /// Whoever waits for an outcome, each client, and stable polls have their shares of an account.
    Shares,
    /// Connections that are gone are not polled, and not counted as watched.
    GoneIsLeft,
    /// A connection made by somebody else joins a watch over all within the stable interval.
    Joins,
    /// `include_tunnel` is kept, whoever else watches without it.
    Tunnels,
    /// Nothing is remembered for a name that no cloud has shown longer than the calls that use it.
    NamesAreForgotten,
    /// Of a write that failed, was taken back or removed something, nothing is left; of another, nothing is missing.
    NothingIsLeft,
    /// A write with an id is done once, however often it is asked for.
    OnceOnly,
    /// The same id, the same answer.
    SameAnswer,
    /// What was answered as done is done, and what is proven to be gone is gone.
    WhatIsToldIsSo,
    /// Nothing is removed that somebody else made, or that a call of its own made.
    OthersStay,
    /// Whoever repeats a write is answered in the end, and no write is unfinished for ever.
    EveryWriteEnds,
}

/// All of them.
pub const PROMISES: [Promise; 21] = [
    Promise::SnapshotFirst,
    Promise::MonotoneAndUnique,
    Promise::CoalescingIsCounted,
    Promise::ExactlyOneOutcome,
    Promise::Causality,
    Promise::Resumable,
    Promise::Liveness,
    Promise::BoundedLag,
    Promise::Isolation,
    Promise::EveryEndHasAReason,
    Promise::Shares,
    Promise::GoneIsLeft,
    Promise::Joins,
    Promise::Tunnels,
    Promise::NamesAreForgotten,
    Promise::NothingIsLeft,
    Promise::OnceOnly,
    Promise::SameAnswer,
    Promise::WhatIsToldIsSo,
    Promise::OthersStay,
    Promise::EveryWriteEnds,
];

/// How many of them are promises of a watch; they are the first.
pub const OF_A_WATCH: usize = 10;
/// How many are promises of watches and of the gateway as a whole; the others are of writes.
pub const OF_ALL_BUT_WRITES: usize = 15;

/// What the checker found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Broken promises, with what was seen.
    pub broken: Vec<(Promise, String)>,
    /// How much each check looked at.
    pub polled: BTreeMap<Promise, u64>,
}

impl Findings {
    /// What was first found to break this promise.
    pub fn first(&self, promise: Promise) -> Option<&String> {
        let mut broken = self.broken.iter();
        broken.find_map(|(broken, what)| (*broken == promise).then_some(what))
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: Findings) {
        self.broken.extend(other.broken);
        for (promise, count) in other.polled {
            *self.polled.entry(promise).or_default() += count;
        }
    }

    fn hold(&mut self, promise: Promise, kept: bool, what: impl FnOnce() -> String) {
        *self.polled.entry(promise).or_default() += 1;
        if !kept {
            self.broken.push((promise, what()));
        }
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (promise, what) in &self.broken {
            writeln!(f, "  {promise:?}: {what}")?;
        }
        Ok(())
    }
}

/// Holds a run against all promises. `durable` tells whether the gateway's log outlives it.
pub fn check(history: &History, durable: bool) -> Findings {
    let evidence = Evidence::of(history, durable);
    let mut findings = Findings::default();
    for stream in &history.streams {
        streams::snapshot_first(&evidence, stream, &mut findings);
        streams::monotone_and_unique(&evidence, stream, &mut findings);
        streams::coalescing_is_counted(&evidence, stream, &mut findings);
        streams::every_end_has_a_reason(&evidence, stream, &mut findings);
        times::liveness(&evidence, stream, &mut findings);
        times::bounded_lag(&evidence, stream, &mut findings);
        shares::freshness(&evidence, stream, &mut findings);
    }
    for chain in evidence.watchers.values() {
        streams::resumable(&evidence, chain, &mut findings);
        outcomes::exactly_one_outcome(&evidence, chain, &mut findings);
        outcomes::causality(&evidence, chain, &mut findings);
        shares::outcomes(&evidence, chain, &mut findings);
        turnover::tunnels(&evidence, chain, &mut findings);
    }
    times::polls(&evidence, &mut findings);
    times::isolation(&evidence, &mut findings);
    shares::calls(&evidence, &mut findings);
    turnover::gone_is_left_alone(&evidence, &mut findings);
    turnover::watched_are_those_there(&evidence, &mut findings);
    turnover::joins(&evidence, &mut findings);
    names::names_are_forgotten(&evidence, &mut findings);
    writes::check(history, &mut findings);
    findings
}

/// A position in the log: (epoch, sequence).
pub type Position = (u64, u64);

/// A position as it is compared with others. In a log that outlives the gateway, sequences go on from one life to
/// the next, and a token of a later life may point at what an earlier one saw.
fn numbered(durable: bool, (epoch, sequence): Position) -> Position {
    if durable {
        (0, sequence)
    } else {
        (epoch, sequence)
    }
}

/// What everybody saw together, put in order.
pub struct Evidence<'a> {
    pub history: &'a History,
    pub durable: bool,
    /// Every change of every connection that anybody saw.
    pub entries: BTreeMap<&'a str, BTreeMap<Position, &'a pb::Realization>>,
    /// The streams of each watcher, in order.
    pub watchers: BTreeMap<crate::record::Watcher, Vec<&'a Stream>>,
    /// When each connection was polled.
    pub polls: BTreeMap<String, Vec<&'a Seen>>,
}

impl<'a> Evidence<'a> {
    fn of(history: &'a History, durable: bool) -> Evidence<'a> {
        let mut entries: BTreeMap<&str, BTreeMap<Position, &pb::Realization>> = BTreeMap::new();
        let mut watchers: BTreeMap<_, Vec<&Stream>> = BTreeMap::new();
        for stream in &history.streams {
            watchers.entry(stream.watcher).or_default().push(stream);
            for realization in told(stream) {
                if !is_unseen(realization) {
                    let place = numbered(durable, place(realization));
                    entries
                        .entry(&realization.name)
                        .or_default()
                        .entry(place)
                        .or_insert(realization);
                }
            }
        }
        let mut polls: BTreeMap<String, Vec<&Seen>> = BTreeMap::new();
        let names: BTreeSet<&str> = entries.keys().copied().collect();
        for name in names {
            let about = history.exchanges.iter();
            let about = about.filter(|seen| is_poll(seen) && names_it(seen, id(name)));
            polls.insert(name.to_owned(), about.collect());
        }
        Evidence {
            history,
            durable,
            entries,
            watchers,
            polls,
        }
    }

    /// Where an observation stands, for comparison with others and with tokens.
    pub fn place(&self, realization: &pb::Realization) -> Position {
        numbered(self.durable, place(realization))
    }

    /// Where a token stands, for comparison.
    pub fn token(&self, stream: &Stream, text: &str) -> Option<Position> {
        Some(numbered(self.durable, decoded(text, &stream.asked.name)?))
    }

    /// Changes of a connection strictly between two positions.
    pub fn between(
        &self,
        name: &str,
        from: Position,
        to: Position,
    ) -> Vec<(Position, &'a pb::Realization)> {
        let Some(entries) = self.entries.get(name).filter(|_| from < to) else {
            return Vec::new();
        };
        let range = entries.range((
            std::ops::Bound::Excluded(from),
            std::ops::Bound::Excluded(to),
        ));
        range.map(|(position, entry)| (*position, *entry)).collect()
    }

    /// Whether the gateway had known anything of a connection by then, in this life or in one that it remembers.
    pub fn was_known(&self, name: &str, at: Position) -> bool {
        let entries = self.entries.get(name).into_iter().flatten();
        let mut by_then = entries.take_while(|(position, _)| **position <= at);
        by_then.any(|(position, entry)| {
            let remembered = self.durable || position.0 == at.0;
            remembered && entry.assurance() > pb::Assurance::None
        })
    }

    /// Whether this is a name that no cloud knows.
    pub fn is_junk(&self, name: &str) -> bool {
        self.history.junk.iter().any(|junk| junk.name == name)
    }

    /// What became true of a connection.
    pub fn facts(&self, name: &str) -> impl Iterator<Item = &'a Fact> {
        let id = id(name).to_owned();
        self.history.facts.iter().filter(move |fact| fact.id == id)
    }

    /// When it began to go, if it did by then: we removed it, or somebody else did.
    pub fn removed(&self, name: &str, by: Duration) -> Option<Duration> {
        let mut ours = self
            .writes(name)
            .filter(|seen| seen.method == Method::DELETE);
        let ours = ours.find(|seen| seen.begun <= by).map(|seen| seen.begun);
        let mut facts = self.facts(name);
        let theirs = facts.find(|fact| fact.what == What::Vanished && fact.at <= by);
        [ours, theirs.map(|fact| fact.at)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Requests to a cloud that write the connection itself. A POST whose answer was lost names no id and may be any.
    pub fn writes(&self, name: &str) -> impl Iterator<Item = &'a Seen> {
        let (id, backend) = (id(name).to_owned(), backend_of(name).to_owned());
        self.history.exchanges.iter().filter(move |seen| {
            let own =
                seen.path.ends_with("/sessions") || seen.path.ends_with("/ipsec-site-connections");
            match seen.method {
                Method::POST => {
                    let told = seen.said.iter().any(|(said, _)| *said == id);
                    own && seen.host == backend && (told || seen.said.is_empty())
                }
                Method::PUT | Method::DELETE => seen.path.ends_with(&id),
                _ => false,
            }
        })
    }
}

/// The states a stream told of, in order.
pub fn told(stream: &Stream) -> impl Iterator<Item = &pb::Realization> {
    let events = stream.messages.iter().flat_map(|message| &message.events);
    events.filter_map(|event| event.kind.realization())
}

/// Whether this is what is said of a connection that nobody has polled yet; no change of it.
pub fn is_unseen(realization: &pb::Realization) -> bool {
    let reason = realization.reason.as_ref();
    reason.is_some_and(|reason| reason.code == "NOT_OBSERVED")
}

/// Where an observation stands in the log.
pub fn place(realization: &pb::Realization) -> Position {
    (realization.epoch, realization.sequence)
}

/// The last segment of a name.
pub fn id(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or_default()
}

/// The backend of a connection.
pub fn backend_of(name: &str) -> &str {
    short(name).split('/').next().unwrap_or_default()
}

/// How a stream is called in findings.
pub fn title(stream: &Stream) -> String {
    format!(
        "{} of {:?} on {}",
        stream.watcher,
        stream.opened,
        short(&stream.asked.name)
    )
}

fn is_poll(seen: &Seen) -> bool {
    let nsx = seen.path.contains("/sessions/") && seen.path.ends_with("/state");
    let neutron =
        seen.path.contains("/ipsec-site-connections") && seen.query.contains("fields=status");
    seen.method == Method::GET && (nsx || neutron)
}

fn names_it(seen: &Seen, id: &str) -> bool {
    seen.path.contains(id) || seen.query.contains(id)
}

/// While a fact of one kind held and none of the other: begin and end of each time.
pub fn spans(
    evidence: &Evidence<'_>,
    name: &str,
    on: What,
    off: What,
) -> Vec<(Duration, Duration)> {
    let mut spans = Vec::new();
    let mut since = None;
    for fact in evidence.facts(name) {
        if fact.what == on {
            since.get_or_insert(fact.at);
        } else if fact.what == off
            && let Some(from) = since.take()
        {
            spans.push((from, fact.at));
        }
    }
    spans.extend(since.map(|from| (from, Duration::MAX)));
    spans
}

/// Whether an event tells of a poll, and not of a write or of a login that is refused.
pub fn from_a_poll(kind: &Kind) -> Option<&pb::Realization> {
    let Kind::Change(realization) = kind else {
        return None;
    };
    let saw = !realization.native_state.is_empty();
    (saw && realization.observe_time.is_some()).then_some(realization)
}
