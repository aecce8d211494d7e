//! Connections come and go under a watch over all: those that are gone are left alone, those that others made join,
//! and who asks for tunnels gets them, whoever else watches.

use crate::{
    checker::{Evidence, Findings, Promise, backend_of, id, title, told},
    clouds::{NSX, POLL},
    record::{Fact, Sample, Stream, What},
};
use http::Method;
use isthmus::grpc::pb;
use std::{collections::BTreeSet, time::Duration};

use super::{
    shares::TURN,
    times::{ON_THE_WAY, ONE_POLL, STABLE},
};

/// How long nothing may have come or gone before what is watched is counted: whatever is gone has to be seen,
/// confirmed and left, and whatever was made has to have joined.
const QUIET: Duration = Duration::from_secs(30);

/// How long after somebody was told that a connection is gone it may still be polled: until a second poll confirms
/// it, and those that were on their way are over.
fn left_within() -> Duration {
    POLL.stable + POLL.confirm_failure + ONE_POLL + ONE_POLL
}

/// How long after somebody else made a connection a watch over all tells of it.
fn joined_within() -> Duration {
    POLL.stable + ONE_POLL + ON_THE_WAY
}

/// What is gone is not polled any more, unless somebody watches just that.
pub fn gone_is_left_alone(evidence: &Evidence<'_>, findings: &mut Findings) {
    use Promise::GoneIsLeft as It;
    for (name, polls) in &evidence.polls {
        let Some(gone) = gone(evidence, name) else {
            continue;
        };
        // Only a poll that the cloud answers can confirm it.
        let mut seen = gone;
        while !evidence.cloud_in_touch(name, seen, seen + left_within())
            && seen <= evidence.history.end
        {
            seen += Duration::from_secs(1);
        }
        let mut from = seen + left_within();
        if evidence.hampered(name, gone, from) {
            from += STABLE;
        }
        if from > evidence.history.end || !evidence.calm_gateway(gone, evidence.history.end) {
            continue;
        }
        let mut watches = evidence
            .history
            .streams
            .iter()
            .filter(|stream| stream.asked.name == *name)
            .map(|stream| stream.end.as_ref().map_or(Duration::MAX, |(at, _)| *at));
        let since = watches.try_fold(from, |since, ended| {
            (ended < evidence.history.end).then(|| since.max(ended + ONE_POLL + ONE_POLL))
        });
        let Some(since) = since else {
            continue;
        };
        let poll = polls.iter().find(|poll| poll.begun > since);
        findings.hold(It, poll.is_none(), || {
            format!(
                "{name} was known to be gone at {gone:?}, and looked at again: {:?}",
                poll.map(|poll| poll.begun)
            )
        });
    }
}

/// When somebody was first told that a connection is gone, for good.
fn gone(evidence: &Evidence<'_>, name: &str) -> Option<Duration> {
    evidence.removed(name, evidence.history.end)?;
    let told = |stream: &Stream| {
        let mut messages = stream.messages.iter();
        let told = messages.find(|message| {
            let mut events = message.events.iter();
            events.any(|event| {
                event.kind.realization().is_some_and(|it| {
                    it.name == name && it.state() == pb::RealizationState::Deleted
                })
            })
        });
        told.map(|message| message.at)
    };
    evidence.history.streams.iter().filter_map(told).min()
}

/// While nothing comes or goes, `watched_connections` are those that are there, and those that are not there but are
/// watched by name.
pub fn watched_are_those_there(evidence: &Evidence<'_>, findings: &mut Findings) {
    use Promise::GoneIsLeft as It;
    for sample in &evidence.history.samples {
        let from = sample.at.saturating_sub(QUIET);
        let scope = format!("backends/{}", sample.backend);
        let whole = evidence.history.streams.iter().any(|stream| {
            let covers = [scope.as_str(), "backends/-"].contains(&stream.asked.name.as_str());
            let ended = stream.end.as_ref().map_or(Duration::MAX, |(at, _)| *at);
            covers && stream.opened <= from && ended > sample.at
        });
        // Of a client that cannot be reached the gateway learns late that it is gone, and the client of the gateway.
        let mut open = evidence.history.streams.iter();
        let in_touch = open.all(|stream| evidence.in_touch(stream, from, sample.at));
        if !whole || !in_touch || !at_rest(evidence, sample, from) {
            continue;
        }
        let by_name = |at: Duration| {
            let streams = evidence.history.streams.iter().filter(move |stream| {
                let ended = stream.end.as_ref().map_or(Duration::MAX, |(at, _)| *at);
                stream.opened <= at && ended >= at.saturating_sub(ONE_POLL) && !stream.asked.many
            });
            let names = streams.map(|stream| &stream.asked.name);
            let names = names.filter(|name| {
                backend_of(name) == sample.backend && !sample.live.iter().any(|it| it == id(name))
            });
            names.collect::<BTreeSet<_>>().len()
        };
        let (least, most) = (sample.live.len(), sample.live.len() + by_name(sample.at));
        findings.hold(It, (least..=most).contains(&sample.watched), || {
            format!(
                "{} has {least} connections at {:?}, and {} are watched, of at most {most}",
                sample.backend, sample.at, sample.watched
            )
        });
    }
}

fn at_rest(evidence: &Evidence<'_>, sample: &Sample, from: Duration) -> bool {
    let facts = evidence.history.facts.iter();
    let mut facts = facts.filter(|fact| fact.backend == sample.backend);
    let moved = facts.any(|fact| {
        let still_there = sample.live.contains(&fact.id);
        let counts = matches!(fact.what, What::Made | What::Vanished) || !still_there;
        counts && fact.at >= from && fact.at <= sample.at
    });
    let written = evidence.history.exchanges.iter().any(|seen| {
        seen.host == sample.backend
            && matches!(seen.method, Method::POST | Method::DELETE)
            && !seen.path.contains("/auth/")
            && !seen.path.contains("/session/")
            && seen.begun <= sample.at
            && seen.ended.is_none_or(|ended| ended >= from)
    });
    let any = format!("backends/{}/connections/", sample.backend);
    let asked_by_junk = evidence
        .history
        .junk
        .iter()
        .any(|junk| junk.resumed + ONE_POLL >= from && junk.over <= sample.at);
    !moved
        && !written
        && !asked_by_junk
        && evidence.answers(&any, from, sample.at)
        && evidence.cloud_in_touch(&any, from, sample.at)
}

/// What somebody else makes joins a watch over all.
pub fn joins(evidence: &Evidence<'_>, findings: &mut Findings) {
    use Promise::Joins as It;
    let facts = evidence.history.facts.iter();
    for fact in facts.filter(|fact| fact.what == What::Made) {
        let name = format!("backends/{}/connections/{}", fact.backend, fact.id);
        let to = fact.at + joined_within() + turn(evidence, fact);
        let stays = evidence.removed(&name, to).is_none();
        if !stays || !evidence.cloud_in_touch(&name, fact.at, to) {
            continue;
        }
        for stream in covering(evidence, fact, to) {
            let joined = told(stream).any(|it| it.name == name);
            let in_time = stream.messages.iter().filter(|message| message.at <= to);
            let mut events = in_time.flat_map(|message| &message.events);
            let in_time = events.any(|event| {
                let told = event.kind.realization();
                told.is_some_and(|it| it.name == name)
            });
            findings.hold(It, in_time, || {
                let later = if joined { "later" } else { "never" };
                format!(
                    "{}: {name} was made at {:?}, and told of {later} than {to:?}",
                    title(stream),
                    fact.at
                )
            });
        }
    }
}

/// What it adds that others ask for all they can get.
fn turn(evidence: &Evidence<'_>, fact: &Fact) -> Duration {
    match evidence.pressed(fact.backend, fact.at, fact.at + joined_within()) {
        true => TURN + TURN,
        false => Duration::ZERO,
    }
}

/// Watches over all that were open long before a fact, and could tell of it by then.
fn covering<'a>(
    evidence: &Evidence<'a>,
    fact: &Fact,
    to: Duration,
) -> impl Iterator<Item = &'a Stream> {
    let scope = format!("backends/{}", fact.backend);
    let settled = fact.at.saturating_sub(POLL.stable);
    let streams = evidence.history.streams.iter().filter(move |stream| {
        let covers = [scope.as_str(), "backends/-"].contains(&stream.asked.name.as_str());
        let ended = stream
            .end
            .as_ref()
            .map_or(evidence.history.end, |(at, _)| *at);
        covers
            && !stream.asked.slow
            && stream.opened <= settled
            && ended > to
            && evidence.in_touch(stream, fact.at, to)
    });
    streams.collect::<Vec<_>>().into_iter()
}

/// Who asks for tunnels gets them.
pub fn tunnels(evidence: &Evidence<'_>, chain: &[&Stream], findings: &mut Findings) {
    use Promise::Tunnels as It;
    let first = chain[0];
    if !first.asked.many || !first.asked.tunnel {
        return;
    }
    let facts = evidence.history.facts.iter();
    let facts = facts.filter(|fact| fact.backend == NSX);
    for fact in facts {
        let expected = match fact.what {
            What::TunnelUp => pb::tunnel::Status::Up,
            What::TunnelDown => pb::tunnel::Status::Down,
            _ => continue,
        };
        let name = format!("backends/{}/connections/{}", fact.backend, fact.id);
        let to = fact.at + POLL.stable.mul_f64(1.1) + ONE_POLL + ON_THE_WAY + turn(evidence, fact);
        let alone = evidence
            .facts(&name)
            .filter(|other| other.at >= fact.at && other.at <= to)
            .count()
            == 1;
        let there = evidence.removed(&name, to).is_none();
        // A write is told at once, and of the tunnel nothing until a poll has seen what became of it.
        let mut writes = evidence.writes(&name);
        if writes.any(|seen| seen.begun >= fact.at && seen.begun <= to) {
            continue;
        }
        let stream = covering(evidence, fact, to)
            .find(|stream| stream.watcher == first.watcher && stream.asked.tunnel);
        let Some(stream) = stream else { continue };
        if !alone || !there || !evidence.cloud_in_touch(&name, fact.at, to) {
            continue;
        }
        let said = chain.iter().flat_map(|stream| &stream.messages);
        let said = said.filter(|message| message.at <= to);
        let said = said
            .flat_map(|message| &message.events)
            .filter_map(|event| event.kind.realization())
            .rfind(|it| it.name == name);
        let Some(said) = said else { continue };
        let status = said.tunnel.as_ref().map(|tunnel| tunnel.status());
        findings.hold(It, status == Some(expected), || {
            format!(
                "{}: at {:?} the tunnel of {name} became {expected:?}, and by {to:?} it was told as {status:?}",
                title(stream),
                fact.at
            )
        });
    }
}
