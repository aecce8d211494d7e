//! What an outcome is held against: promises 4 and 5.

use crate::{
    checker::{Evidence, Findings, Promise, backend_of, spans, title, told},
    clouds::{NSX, POLL},
    record::{End, Seen, Stream, What, since_begin},
};
use http::Method;
use isthmus::grpc::pb::{self, outcome::Result as Ended};
use std::time::Duration;

/// An outcome, with what was known when it came.
struct Came<'a> {
    stream: &'a Stream,
    at: Duration,
    outcome: &'a pb::Outcome,
    /// The event beside it, or the last before it if that is a heartbeat.
    evidence: Option<&'a pb::Realization>,
}

impl Came<'_> {
    fn reason(&self) -> &str {
        self.outcome
            .reason
            .as_ref()
            .map_or("", |reason| &reason.code)
    }

    fn seen(&self) -> Option<Duration> {
        self.evidence?.observe_time.as_ref().map(since_begin)
    }
}

fn outcomes<'a>(chain: &[&'a Stream]) -> Vec<Came<'a>> {
    let mut outcomes = Vec::new();
    let mut evidence = None;
    for stream in chain {
        for message in &stream.messages {
            for event in &message.events {
                evidence = event.kind.realization().or(evidence);
            }
            if let Some(outcome) = &message.outcome {
                outcomes.push(Came {
                    stream,
                    at: message.at,
                    outcome,
                    evidence,
                });
            }
        }
    }
    outcomes
}

/// 4. Exactly one outcome on a watch that ends by itself, last, with its evidence, and never a false one.
pub fn exactly_one_outcome(evidence: &Evidence<'_>, chain: &[&Stream], findings: &mut Findings) {
    use Promise::ExactlyOneOutcome as It;
    let came = outcomes(chain);
    let (first, last) = (chain[0], chain[chain.len() - 1]);
    let allowed = usize::from(first.asked.ends());
    findings.hold(It, came.len() <= allowed, || {
        format!("{}: {} outcomes", title(first), came.len())
    });
    for stream in chain {
        for (number, message) in stream.messages.iter().enumerate() {
            let is_last = number + 1 == stream.messages.len();
            let ends = is_last && matches!(stream.end, Some((_, End::Ok)));
            findings.hold(It, message.outcome.is_none() || ends, || {
                format!("{}: an outcome, and then not the end", title(stream))
            });
        }
    }
    if first.asked.ends() && came.is_empty() && must_have_ended(evidence, first, last) {
        findings.hold(It, false, || format!("{}: no outcome", title(first)));
    }
    for came in &came {
        let true_ = match came.outcome.result() {
            Ended::Succeeded => succeeded(evidence, came),
            Ended::Failed => failed(evidence, came),
            Ended::Undetermined => undetermined(evidence, came),
            Ended::Unspecified => false,
        };
        findings.hold(It, true_, || {
            format!(
                "{}: {:?} at {:?} is false: {:?}",
                title(came.stream),
                came.outcome,
                came.at,
                came.evidence
            )
        });
        let gone = came
            .evidence
            .is_some_and(|it| it.state() == pb::RealizationState::Deleted);
        let shown =
            came.evidence.is_some_and(|it| !it.native_state.is_empty()) && came.seen().is_some();
        findings.hold(It, shown || gone || came.reason() == "SUPERSEDED", || {
            format!(
                "{}: {:?} without evidence: {:?}",
                title(came.stream),
                came.outcome,
                came.evidence
            )
        });
    }
}

/// Whether the end was long enough ahead of the end of the run for everything to have come to rest, and what was
/// waited for is certain to come.
fn must_have_ended(evidence: &Evidence<'_>, first: &Stream, last: &Stream) -> bool {
    let rest = evidence.history.end.saturating_sub(Duration::from_secs(60));
    let name = &first.asked.name;
    let removed = evidence.removed(name, evidence.history.end).is_some();
    let changed = evidence.writes(name).any(|seen| seen.method == Method::PUT);
    let known = told(last).last();
    let assumed = known.is_some_and(|it| it.assumption.is_some());
    let up = known.is_some_and(|it| it.state() == pb::RealizationState::Active);
    let certain = match first.asked.goal {
        pb::Goal::Unspecified | pb::Goal::Config => true,
        // Where nobody knows whether a tunnel is of after the write, its being up is an end all the same.
        pb::Goal::InEffect | pb::Goal::TunnelUp => (!changed && !assumed) || (assumed && up),
        pb::Goal::Gone => removed,
    };
    let left = matches!(last.end, Some((_, End::Left)));
    let lost = matches!(&last.end, Some((_, End::Told { reason, .. })) if reason == "isthmus/CONNECTION_NOT_FOUND");
    first.opened < rest && certain && (left || (lost && !removed))
}

/// The requests of the write that a watch is bound to.
fn bound<'a>(evidence: &Evidence<'a>, stream: &Stream) -> Vec<&'a Seen> {
    let Some(write) = stream
        .asked
        .write
        .map(|write| &evidence.history.writes[write])
    else {
        return Vec::new();
    };
    let of_it = evidence.writes(&write.name).filter(|seen| {
        seen.method == write.method && seen.begun >= write.asked && seen.begun <= write.answered
    });
    of_it.collect()
}

fn succeeded(evidence: &Evidence<'_>, came: &Came<'_>) -> bool {
    let name = &came.stream.asked.name;
    // What was made was not there before, so whatever was applied of it is of after. Whose a POST was whose answer was
    // lost is not known either.
    let landed = bound(evidence, came.stream)
        .iter()
        .filter(|seen| seen.method != Method::POST)
        .map(|seen| seen.begun)
        .max();
    let Some(observed) = came.evidence else {
        return false;
    };
    if observed.state() == pb::RealizationState::Deleted {
        // Neutron's row is gone at once, and so is what somebody else removed; else the nodes of NSX have to forget it.
        let vanished = evidence.facts(name).any(|fact| fact.what == What::Vanished);
        return evidence.removed(name, came.at).is_some_and(|since| {
            vanished || backend_of(name) != NSX || applied(evidence, name, since, came.at)
        });
    }
    if !applied(evidence, name, landed.unwrap_or_default(), came.at) {
        return false;
    }
    let seen = came.seen().unwrap_or_default();
    if came.stream.asked.goal == pb::Goal::TunnelUp {
        let up = spans(evidence, name, What::TunnelUp, What::TunnelDown);
        return up.iter().any(|(from, to)| *from <= came.at && *to >= seen);
    }
    came.stream.asked.goal != pb::Goal::Gone
}

fn applied(evidence: &Evidence<'_>, name: &str, after: Duration, until: Duration) -> bool {
    evidence
        .facts(name)
        .any(|fact| fact.what == What::Applied && fact.at >= after && fact.at <= until)
}

/// Nobody knows only of an update, and only while the cloud says what is waited for.
fn undetermined(evidence: &Evidence<'_>, came: &Came<'_>) -> bool {
    let asked = &came.stream.asked;
    let said = came.evidence.map(|it| it.state());
    let reached = match asked.goal {
        pb::Goal::TunnelUp => said == Some(pb::RealizationState::Active),
        pb::Goal::InEffect => matches!(
            said,
            Some(pb::RealizationState::Active | pb::RealizationState::Down)
        ),
        _ => false,
    };
    let mut writes = evidence.writes(&asked.name);
    reached && asked.write.is_some() && writes.any(|seen| seen.method == Method::PUT)
}

fn failed(evidence: &Evidence<'_>, came: &Came<'_>) -> bool {
    let name = &came.stream.asked.name;
    if matches!(came.reason(), "SUPERSEDED" | "VANISHED") {
        return evidence.removed(name, came.at).is_some();
    }
    let (Some(seen), landed) = (came.seen(), bound(evidence, came.stream)) else {
        return false;
    };
    let landed = landed
        .iter()
        .map(|seen| seen.begun)
        .max()
        .unwrap_or_default();
    let bad = spans(evidence, name, What::Fails, What::Heals);
    let second = bad.iter().any(|(from, to)| *from <= came.at && *to >= seen);
    // Polls follow on each other; the first may have been answered a little before the interval began.
    let early = (seen + Duration::from_secs(1)).saturating_sub(POLL.confirm_failure);
    let first = bad.iter().any(|(from, to)| *from <= early && *to >= landed);
    first && second
}

/// 5. Nothing that is bound to a write ends by a poll that began before that write was done.
pub fn causality(evidence: &Evidence<'_>, chain: &[&Stream], findings: &mut Findings) {
    use Promise::Causality as It;
    for came in outcomes(chain) {
        // We know of our own delete without looking.
        if came.stream.asked.write.is_none() || came.reason() == "SUPERSEDED" {
            continue;
        }
        let written = bound(evidence, came.stream);
        let done = written
            .iter()
            .map(|seen| seen.ended.unwrap_or(seen.begun))
            .max();
        let (Some(done), Some(seen)) = (done, came.seen()) else {
            continue;
        };
        findings.hold(It, seen >= done, || {
            format!(
                "{}: decided by a look of {seen:?}, and the write was done at {done:?}",
                title(came.stream)
            )
        });
    }
}
