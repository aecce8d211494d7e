//! Nobody starves: whoever waits for an outcome and whoever asks a little have their share of a cloud's account, while
//! others take all they can get, polls hang, or the cloud asks for patience. What is polled only so that a change is
//! not missed is held to its interval among the polls.
//!
//! What they are held against follows from the settings and the stated shares: an outcome comes with the first poll
//! after it is true, which is a fresh interval away and then has to get its turn; a call gets its turn within its
//! deadline.

use crate::{
    checker::{Evidence, Findings, Promise, backend_of, title},
    clouds::{NSX, POLL},
    record::{Called, Kind, Stream, What},
    run::HEARTBEAT,
};
use http::Method;
use isthmus::grpc::pb;
use std::time::Duration;

use super::times::{ON_THE_WAY, ONE_POLL};

/// What it adds to a poll that others ask for all they can get: two dozen requests of those who wait for outcomes, at
/// their two fifths of the rate of the slowest account (20 a second).
pub const TURN: Duration = Duration::from_secs(3);
/// What it adds that the cloud asked for patience: its pause, and a rate that is halved, maybe twice.
const PATIENCE: Duration = Duration::from_secs(6);

/// Who waits for an outcome gets it in time, whatever else is asked of its cloud.
pub fn outcomes(evidence: &Evidence<'_>, chain: &[&Stream], findings: &mut Findings) {
    use Promise::Shares as It;
    let first = chain[0];
    let name = &first.asked.name;
    let Some((from, to)) = due(evidence, first) else {
        return;
    };
    if !evidence.hampered(name, from, to) {
        return;
    }
    let stream = chain.iter().rev().find(|stream| stream.opened <= from);
    let Some(stream) = stream.filter(|stream| {
        evidence.in_touch(stream, from, to) && evidence.cloud_in_touch(name, from, to)
    }) else {
        return;
    };
    let ended = stream.end.as_ref().is_some_and(|(at, _)| *at <= to);
    findings.hold(It, ended, || {
        format!(
            "{}: what was true at {from:?} was no outcome by {to:?}",
            title(stream)
        )
    });
}

/// From when to when the outcome of a watch has to come, if that is certain: its write has taken effect, and nothing
/// else happens to the connection meanwhile.
fn due(evidence: &Evidence<'_>, stream: &Stream) -> Option<(Duration, Duration)> {
    let write = &evidence.history.writes[stream.asked.write?];
    let name = &write.name;
    // Whether an update is in effect Neutron does not tell.
    let certain = matches!(stream.asked.goal, pb::Goal::Unspecified | pb::Goal::Config)
        && (write.method != Method::PUT || backend_of(name) == NSX);
    let applied = evidence
        .facts(name)
        .find(|fact| fact.what == What::Applied && fact.at >= write.asked)?;
    // For a row that is gone, its removal was all there was to do.
    let from = applied.at.max(write.answered).max(stream.opened) + ONE_POLL;
    let patience = match evidence.throttled(backend_of(name), from) {
        true => PATIENCE,
        false => Duration::ZERO,
    };
    let poll = POLL.fresh.mul_f64(1.1) + ONE_POLL + ON_THE_WAY;
    let to = from + poll + TURN + patience;
    let alone = !evidence.facts(name).any(|fact| {
        let other = !matches!(
            fact.what,
            What::Applied | What::TunnelUp | What::TunnelDown | What::Heals
        );
        other && fact.at >= write.asked && fact.at <= to
    });
    let last = !evidence
        .writes(name)
        .any(|seen| seen.begun > write.answered && seen.begun <= to);
    (certain && alone && last && to < evidence.history.end).then_some((from, to))
}

/// What is told to whoever waits for an outcome is not stale.
pub fn freshness(evidence: &Evidence<'_>, stream: &Stream, findings: &mut Findings) {
    use Promise::Shares as It;
    if !stream.asked.ends() || stream.asked.slow {
        return;
    }
    let name = &stream.asked.name;
    for message in &stream.messages {
        let from = message.at.saturating_sub(HEARTBEAT);
        if stream.opened > from
            || !evidence.pressed(backend_of(name), from, message.at)
            || !evidence.in_touch(stream, from, message.at)
            || !evidence.cloud_in_touch(name, from, message.at)
        {
            continue;
        }
        for event in &message.events {
            if let Kind::Heartbeat(heartbeat) = &event.kind {
                findings.hold(It, !heartbeat.stale, || {
                    format!(
                        "{}: what is known is stale at {:?}",
                        title(stream),
                        message.at
                    )
                });
            }
        }
    }
}

/// Who asks a little is answered.
pub fn calls(evidence: &Evidence<'_>, findings: &mut Findings) {
    use Promise::Shares as It;
    for called in &evidence.history.calls {
        let Called {
            name, at, ended, ..
        } = called;
        let backend = backend_of(name);
        let hampered = evidence.pressed(backend, *at, *ended) || evidence.hangs(backend, *at);
        if !hampered || !evidence.answers(name, *at, *ended) {
            continue;
        }
        // That it is not there any more, or is about to go, is an answer.
        let kept = called.failed.as_ref().is_none_or(|why| {
            ["isthmus/CONNECTION_NOT_FOUND", "isthmus/CONNECTION_IN_USE"].contains(&why.as_str())
        });
        findings.hold(It, kept, || {
            format!(
                "{} of {name} from {at:?} to {ended:?}: {:?}",
                called.what, called.failed
            )
        });
    }
}
