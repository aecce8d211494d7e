//! What must happen in time, and at no more than its price: promises 7, 8 and 9.

use crate::{
    checker::{Evidence, Findings, Promise, backend_of, from_a_poll, id, title},
    clouds::{OPENSTACK, POLL},
    record::{Kind, Stream, What, since_begin},
    run::{HEARTBEAT, LATENCY, TICK},
};
use http::Method;
use std::{collections::BTreeMap, time::Duration};

/// What it takes from the gateway to the reader: the way, the steps of the simulation, and a commit.
pub const ON_THE_WAY: Duration =
    Duration::from_millis(LATENCY.as_millis() as u64 + 3 * TICK.as_millis() as u64 + 40);
/// The longest that a poll takes where nothing is in its way: a login, and a few requests one after the other.
pub const ONE_POLL: Duration = Duration::from_millis(1_500);

/// What others who ask for all they can get add to the interval of what is polled only so that a change is not missed.
pub const STABLE: Duration = Duration::from_secs(10);

/// 7. Silence never exceeds the heartbeat, and a heartbeat tells how it stands.
pub fn liveness(evidence: &Evidence<'_>, stream: &Stream, findings: &mut Findings) {
    use Promise::Liveness as It;
    if stream.asked.slow {
        return;
    }
    let ends = stream
        .end
        .as_ref()
        .map_or(evidence.history.end, |(at, _)| *at);
    let came = stream
        .messages
        .iter()
        .map(|message| message.at)
        .chain([ends]);
    let mut last = stream.opened;
    for at in came {
        if evidence.in_touch(stream, last, at) {
            findings.hold(It, at - last <= HEARTBEAT + ON_THE_WAY, || {
                format!("{}: silent from {last:?} to {at:?}", title(stream))
            });
        }
        last = at;
    }
    for message in &stream.messages {
        for event in &message.events {
            let Kind::Heartbeat(heartbeat) = &event.kind else {
                continue;
            };
            if !evidence.in_touch(stream, message.at, message.at) {
                continue;
            }
            let interval = heartbeat.interval.unwrap_or_default();
            let interval = Duration::new(interval.seconds as u64, interval.nanos as u32);
            findings.hold(It, stream.asked.many || !interval.is_zero(), || {
                format!("{}: a heartbeat without an interval", title(stream))
            });
            let success = heartbeat.last_success_time.as_ref().map(since_begin);
            let age = success.map(|success| message.at.saturating_sub(success));
            let most = interval.mul_f64(if stream.asked.many { 2.0 } else { 1.5 });
            let fresh = age.is_some_and(|age| age <= most + Duration::from_secs(1) + ON_THE_WAY);
            findings.hold(It, heartbeat.stale || fresh, || {
                format!(
                    "{}: says at {:?} that {success:?} is not stale at {interval:?}",
                    title(stream),
                    message.at
                )
            });
            if let Some(next) = heartbeat.next_look_time.as_ref().map(since_begin) {
                findings.hold(It, next + ON_THE_WAY >= message.at, || {
                    format!(
                        "{}: says at {:?} that the next look is at {next:?}",
                        title(stream),
                        message.at
                    )
                });
            }
            if let Some(answered) = polled_well(evidence, stream, message.at) {
                let told = success.is_some_and(|success| success + ONE_POLL >= answered);
                findings.hold(It, told, || {
                    format!(
                        "{}: says at {:?} that the cloud last answered at {success:?}, and it did at {answered:?}",
                        title(stream),
                        message.at
                    )
                });
            }
        }
    }
}

/// When the last poll began that was certainly over, and went well, before a heartbeat was sent.
fn polled_well(evidence: &Evidence<'_>, stream: &Stream, at: Duration) -> Option<Duration> {
    let sent = at.saturating_sub(ON_THE_WAY + ONE_POLL);
    let polls = evidence.polls.get(&stream.asked.name)?.iter().rev();
    let mut over =
        polls.filter(|seen| seen.status == Some(200) && seen.ended.is_some_and(|it| it < sent));
    let begun = over.next()?.begun;
    let name = &stream.asked.name;
    let pressed = evidence.pressed(backend_of(name), begun, at);
    (evidence.cloud_in_touch(name, begun, at) && !pressed).then_some(begun)
}

/// 8. A change is on the wire at once when a poll has seen it, and a poll sees it within the stated interval.
pub fn bounded_lag(evidence: &Evidence<'_>, stream: &Stream, findings: &mut Findings) {
    use Promise::BoundedLag as It;
    for lag in lags(evidence, stream) {
        findings.hold(It, lag.late <= ON_THE_WAY, || {
            format!(
                "{}: what was seen at {:?} came {:?} later",
                title(stream),
                lag.seen,
                lag.late
            )
        });
    }
    if stream.asked.slow || stream.asked.many {
        return;
    }
    let name = &stream.asked.name;
    let ends = stream
        .end
        .as_ref()
        .map_or(evidence.history.end, |(at, _)| *at);
    let within = POLL.stable.mul_f64(1.1) + ONE_POLL + ON_THE_WAY;
    for fact in evidence.facts(name) {
        let (from, to) = (fact.at, fact.at + within);
        let alone = evidence
            .facts(name)
            .filter(|other| other.at >= from && other.at <= to)
            .count()
            == 1;
        let written = evidence
            .writes(name)
            .any(|seen| seen.begun <= to && seen.ended.is_none_or(|it| it >= from));
        let watched = stream.opened <= from && to <= ends;
        if fact.backend != OPENSTACK || fact.what != What::TunnelUp || !alone || written || !watched
        {
            continue;
        }
        if !evidence.in_touch(stream, from, to)
            || !evidence.cloud_in_touch(name, from, to)
            || evidence.hampered(name, from, to)
        {
            continue;
        }
        let events = stream
            .messages
            .iter()
            .flat_map(|message| message.events.iter().map(move |it| (message.at, it)));
        let said: Vec<_> = events
            .filter_map(|(at, event)| Some((at, event.kind.realization()?.native_state.as_str())))
            .collect();
        let before = said.iter().rev().find(|(at, _)| *at <= from);
        if before.is_some_and(|(_, said)| *said != "ACTIVE") {
            let came = said
                .iter()
                .any(|(at, said)| *at > from && *at <= to && *said == "ACTIVE");
            findings.hold(It, came, || {
                format!(
                    "{}: what became true at {from:?} was not told by {to:?}",
                    title(stream)
                )
            });
        }
    }
}

/// How late a change came.
struct Lag {
    seen: Duration,
    late: Duration,
}

/// How late each change came that a reader was ready for and nothing was in the way of.
fn lags(evidence: &Evidence<'_>, stream: &Stream) -> Vec<Lag> {
    let mut lags = Vec::new();
    if stream.asked.slow {
        return lags;
    }
    for message in &stream.messages {
        for event in &message.events {
            let Some(realization) = from_a_poll(&event.kind) else {
                continue;
            };
            let seen = realization
                .observe_time
                .as_ref()
                .map(since_begin)
                .unwrap_or_default();
            if seen < stream.opened + ONE_POLL
                || !evidence.in_touch(stream, seen, message.at)
                || !evidence.cloud_in_touch(&realization.name, seen, message.at)
                || evidence.hampered(&realization.name, seen, message.at)
            {
                continue;
            }
            let polls = evidence.polls.get(&realization.name).into_iter().flatten();
            let of_it = polls.filter(|poll| poll.begun >= seen && poll.begun < seen + ONE_POLL);
            let answered = of_it
                .filter_map(|poll| poll.ended)
                .filter(|it| *it <= message.at)
                .max();
            // Where a request other than those for the state came last, a poll takes as long as it takes.
            let answered = answered.map_or(seen + ONE_POLL, |answered| answered + ONE_POLL / 2);
            lags.push(Lag {
                seen,
                late: message.at.saturating_sub(answered),
            });
        }
    }
    lags
}

/// 8. What somebody watches is polled as often as is stated.
pub fn polls(evidence: &Evidence<'_>, findings: &mut Findings) {
    use Promise::BoundedLag as It;
    let longest = POLL.stable.mul_f64(1.1) + ONE_POLL;
    for (name, polls) in &evidence.polls {
        let watching = evidence.history.streams.iter();
        for stream in watching.filter(|stream| stream.asked.name == *name) {
            let from = stream.opened;
            let to = stream
                .end
                .as_ref()
                .map_or(evidence.history.end, |(at, _)| *at);
            let mut last = from + ONE_POLL;
            let times = polls.iter().map(|poll| poll.begun);
            for at in times.filter(|at| *at >= from && *at <= to).chain([to]) {
                // What the client still waits for may have ended at the other end.
                let calm = evidence.cloud_in_touch(name, last.saturating_sub(ONE_POLL), at)
                    && evidence.in_touch(stream, last, at);
                let slower = match evidence.hampered(name, last, at) {
                    true => longest + STABLE,
                    false => longest,
                };
                if calm && at > last {
                    findings.hold(It, at - last <= slower, || {
                        format!("{name} was watched, and not looked at from {last:?} to {at:?}")
                    });
                }
                last = at;
            }
        }
    }
}

/// 9. However many watch, the cloud is asked no more often; and a reader who pauses costs nobody else anything.
pub fn isolation(evidence: &Evidence<'_>, findings: &mut Findings) {
    use Promise::Isolation as It;
    const WINDOW: Duration = Duration::from_secs(10);
    for (name, polls) in &evidence.polls {
        let mut alike: BTreeMap<(&str, &str), Vec<Duration>> = BTreeMap::new();
        for poll in polls {
            let is_list = !poll.path.contains(id(name));
            let query = if is_list { "" } else { poll.query.as_str() };
            alike
                .entry((&poll.path, query))
                .or_default()
                .push(poll.begun);
        }
        for ((path, query), times) in alike {
            // One for each fresh interval. A LIST costs no more for those who come along before they are due.
            let usual = if path.contains(id(name)) { 7 } else { 10 };
            for (number, begin) in times.iter().enumerate() {
                let end = *begin + WINDOW;
                let count = times[number..].iter().take_while(|at| **at < end).count();
                // One poll each fresh interval, and one at once for each write, whoever watches. Where a LIST polls
                // many, a write to any of them has the others polled along with it.
                let writes = evidence.history.exchanges.iter().filter(|seen| {
                    let concerns = if path.contains(id(name)) {
                        seen.path.contains(id(name)) || seen.method == Method::POST
                    } else {
                        true
                    };
                    let same = seen.host == backend_of(name) && concerns;
                    same && seen.method != Method::GET
                        && seen.begun < end
                        && seen.begun + WINDOW >= *begin
                });
                let failures = polls.iter().filter(|poll| {
                    poll.begun < end
                        && poll.begun >= *begin
                        && poll.status.is_none_or(|status| status >= 500)
                });
                // A name that nobody knows is polled once for each call, and has others polled along with it.
                let junk = evidence.history.junk.iter().filter(|junk| {
                    let asked = [junk.over, junk.resumed].into_iter();
                    let mut asked = asked.filter(|at| *at < end && *at + WINDOW >= *begin);
                    backend_of(&junk.name) == backend_of(name) && asked.next().is_some()
                });
                let allowed = usual + 3 * (writes.count() + junk.count()) + failures.count();
                findings.hold(It, count <= allowed, || {
                    format!("{path}?{query} was asked {count} times in the 10 s after {begin:?}")
                });
            }
        }
    }
    for slow in evidence
        .history
        .streams
        .iter()
        .filter(|stream| stream.asked.slow)
    {
        let ends = slow
            .end
            .as_ref()
            .map_or(evidence.history.end, |(at, _)| *at);
        let others = evidence.history.streams.iter();
        for other in others.filter(|other| !other.asked.slow && other.asked.name == slow.asked.name)
        {
            for lag in lags(evidence, other) {
                if lag.seen < slow.opened || lag.seen > ends {
                    continue;
                }
                findings.hold(It, lag.late <= ON_THE_WAY, || {
                    format!(
                        "{}: beside a slow reader {:?} came {:?} late",
                        title(other),
                        lag.seen,
                        lag.late
                    )
                });
            }
        }
    }
}
