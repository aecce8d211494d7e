//! What holds of a stream by itself and beside others: promises 1, 2, 3, 6 and 10.

use crate::{
    checker::{Evidence, Findings, Position, Promise, id, is_unseen, place, title, told},
    record::{End, Kind, Stream, What, since_begin},
};
use http::Method;
use isthmus::grpc::pb::RealizationState;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Whether it went on from a token and did not begin anew.
fn goes_on(stream: &Stream) -> bool {
    let first = stream.messages.first();
    let anew = first.is_some_and(|message| {
        message.synced
            || message
                .events
                .iter()
                .any(|it| matches!(it.kind, Kind::Snapshot(_)))
    });
    !stream.asked.resume.is_empty() && !anew
}

/// 1. The first message is the current observation; with many, one for each, then `synced`. Then only changes.
pub fn snapshot_first(evidence: &Evidence<'_>, stream: &Stream, findings: &mut Findings) {
    use Promise::SnapshotFirst as It;
    if stream.messages.is_empty() {
        return;
    }
    if goes_on(stream) {
        let again = told_by(stream, |kind| matches!(kind, Kind::Snapshot(_)));
        findings.hold(It, again.is_none(), || {
            format!("{}: a snapshot in a stream that went on", title(stream))
        });
        return;
    }
    if !stream.asked.resume.is_empty() {
        findings.hold(It, stream.asked.snapshot_if_compacted, || {
            format!("{}: a snapshot for a token, unasked", title(stream))
        });
    }
    let mut complete = false;
    let mut names = BTreeSet::new();
    for (number, message) in stream.messages.iter().enumerate() {
        for event in &message.events {
            let snapshot = match &event.kind {
                Kind::Snapshot(realization) => Some(&realization.name),
                _ => None,
            };
            let due = if stream.asked.many {
                !complete
            } else {
                number == 0
            };
            findings.hold(It, snapshot.is_some() == due, || {
                format!("{}: message {number} is {:?}", title(stream), event.kind)
            });
            if let Some(name) = snapshot {
                findings.hold(It, names.insert(name.as_str()), || {
                    format!("{}: a second snapshot of {name}", title(stream))
                });
            }
        }
        if message.synced {
            findings.hold(It, !complete, || format!("{}: synced twice", title(stream)));
            complete = true;
            let unreachable = &stream.messages[..=number];
            let unreachable: Vec<&String> = unreachable
                .iter()
                .flat_map(|message| &message.unreachable)
                .collect();
            for name in there_all_the_time(evidence, stream, message.at) {
                let excused = unreachable
                    .iter()
                    .any(|backend| name.starts_with(backend.as_str()));
                findings.hold(It, names.contains(name) || excused, || {
                    format!("{}: no snapshot of {name}", title(stream))
                });
            }
        }
    }
    // A snapshot is the current state: nothing that anybody was told a while before is newer.
    if !stream.asked.many
        && let Some(Kind::Snapshot(first)) = stream.messages[0].events.first().map(|it| &it.kind)
    {
        let since = stream.opened;
        let newer = evidence.history.streams.iter().any(|other| {
            let before = other.messages.iter().filter(|message| message.at <= since);
            let mut events = before.flat_map(|message| &message.events);
            events.any(|event| {
                event.kind.realization().is_some_and(|it| {
                    it.name == first.name && evidence.place(it) > evidence.place(first)
                })
            })
        });
        findings.hold(It, !newer, || {
            format!(
                "{}: the snapshot is older than what others were told",
                title(stream)
            )
        });
    }
}

fn told_by(stream: &Stream, is: impl Fn(&Kind) -> bool) -> Option<&Kind> {
    let mut events = stream.messages.iter().flat_map(|message| &message.events);
    events.find_map(|event| is(&event.kind).then_some(&event.kind))
}

/// Connections in the scope of a watch over many that were made well before it and not removed until then.
fn there_all_the_time<'a>(
    evidence: &Evidence<'a>,
    stream: &Stream,
    until: Duration,
) -> Vec<&'a str> {
    let scope = stream.asked.name.trim_end_matches('-');
    let begun = stream.opened.saturating_sub(Duration::from_secs(3));
    let names = evidence.entries.keys().copied();
    let in_scope = names.filter(|name| name.starts_with(scope));
    let there = in_scope.filter(|name| {
        let made = evidence.history.exchanges.iter().any(|seen| {
            let said = seen.said.iter().any(|(said, _)| said == id(name));
            seen.method == Method::POST && said && seen.ended.is_some_and(|ended| ended < begun)
        });
        let theirs = evidence
            .facts(name)
            .any(|fact| fact.what == What::Made && fact.at < begun);
        let removed = evidence.removed(name, until).is_some();
        (made || theirs) && !removed
    });
    there.collect()
}

/// 2. (epoch, sequence) grows strictly for each connection, nothing comes twice, `observe_time` never goes back.
pub fn monotone_and_unique(evidence: &Evidence<'_>, stream: &Stream, findings: &mut Findings) {
    use Promise::MonotoneAndUnique as It;
    let mut last: BTreeMap<&str, (Position, Duration)> = BTreeMap::new();
    for realization in told(stream) {
        let seen = realization.observe_time.as_ref().map(since_begin);
        let seen = seen.unwrap_or_default();
        if let Some((before, seen_before)) =
            last.insert(&realization.name, (place(realization), seen))
        {
            findings.hold(It, before < place(realization), || {
                format!(
                    "{}: {before:?}, then {:?}",
                    title(stream),
                    place(realization)
                )
            });
            findings.hold(It, seen_before <= seen, || {
                format!(
                    "{}: seen at {seen_before:?}, then at {seen:?}",
                    title(stream)
                )
            });
        }
        // The same position says the same to everybody.
        let entries = evidence.entries.get(realization.name.as_str());
        let first = entries.and_then(|entries| entries.get(&evidence.place(realization)));
        if let Some(first) = first.filter(|_| !is_unseen(realization)) {
            let mut own = realization.clone();
            own.stale = first.stale;
            findings.hold(It, own == **first, || {
                format!("{}: {own:?}, and to somebody else {first:?}", title(stream))
            });
        }
    }
}

/// 3. What a slow reader misses is counted, and is never the latest failure.
pub fn coalescing_is_counted(evidence: &Evidence<'_>, stream: &Stream, findings: &mut Findings) {
    use Promise::CoalescingIsCounted as It;
    let mut at: BTreeMap<&str, Position> = BTreeMap::new();
    let mut complete = !stream.asked.many;
    let mut begin = None;
    for message in &stream.messages {
        for event in &message.events {
            let Some(realization) = event.kind.realization() else {
                continue;
            };
            let here = evidence.place(realization);
            let before = at.insert(&realization.name, here).or(begin);
            if let (Kind::Change(_), Some(before)) = (&event.kind, before) {
                let mut missed = evidence.between(&realization.name, before, here);
                // Of what no cloud has shown yet only those are told who ask for it by its name.
                missed.retain(|(at, _)| {
                    !stream.asked.many || evidence.was_known(&realization.name, *at)
                });
                findings.hold(It, missed.len() as u64 <= event.coalesced, || {
                    format!(
                        "{}: {} changes before {here:?} are missing, and {} counted",
                        title(stream),
                        missed.len(),
                        event.coalesced
                    )
                });
                let failed = |state| state == RealizationState::Failed;
                let hidden = missed.iter().any(|(_, entry)| failed(entry.state()));
                findings.hold(It, !hidden || failed(realization.state()), || {
                    format!(
                        "{}: the latest failure before {here:?} is missing",
                        title(stream)
                    )
                });
                if event.coalesced > 0 && witnessed(evidence, &realization.name, before, here) {
                    findings.hold(It, missed.len() as u64 == event.coalesced, || {
                        format!(
                            "{}: {} changes before {here:?} are missing, and {} counted",
                            title(stream),
                            missed.len(),
                            event.coalesced
                        )
                    });
                }
            }
        }
        let Some((epoch, sequence)) = evidence.token(stream, &message.token) else {
            continue;
        };
        if message.synced && !complete {
            complete = true;
            begin = Some((epoch, sequence));
        }
        if !complete || message.outcome.is_some() {
            continue;
        }
        // Whoever resumes here never sees what came before it.
        let names: Vec<&str> = if stream.asked.many {
            at.keys().copied().collect()
        } else {
            vec![&stream.asked.name]
        };
        for name in names {
            let Some(from) = at.get(name).copied().or(begin) else {
                continue;
            };
            let lost = evidence.between(name, from, (epoch, sequence + 1));
            findings.hold(It, lost.is_empty(), || {
                format!("{}: {:?} of {name} never came", title(stream), lost[0].0)
            });
        }
    }
}

/// Whether somebody saw both of these changes, and all between them.
fn witnessed(evidence: &Evidence<'_>, name: &str, from: Position, to: Position) -> bool {
    evidence.history.streams.iter().any(|stream| {
        let events = stream.messages.iter().flat_map(|message| &message.events);
        let of_it =
            events.filter(|event| event.kind.realization().is_some_and(|it| it.name == name));
        let mut seen = of_it.skip_while(|event| {
            event.kind.realization().map(|it| evidence.place(it)) != Some(from)
        });
        let began = seen.next().is_some();
        let mut rest = seen.take_while(|event| event.coalesced == 0);
        began && rest.any(|event| event.kind.realization().map(|it| evidence.place(it)) == Some(to))
    })
}

/// 6. A token goes on without gap or repeat, or is refused, or a snapshot comes if that was asked for.
pub fn resumable(evidence: &Evidence<'_>, chain: &[&Stream], findings: &mut Findings) {
    use Promise::Resumable as It;
    for stream in chain {
        let mut last = evidence.token(stream, &stream.asked.resume);
        for message in &stream.messages {
            let Some(here) = evidence.token(stream, &message.token) else {
                continue;
            };
            if let Some(before) = last.filter(|_| goes_on(stream)) {
                findings.hold(It, before <= here, || {
                    format!("{}: a token {before:?}, then {here:?}", title(stream))
                });
            }
            last = Some(here);
            for event in &message.events {
                if let Some(realization) = event.kind.realization() {
                    let told = evidence.place(realization);
                    findings.hold(It, told <= here, || {
                        format!("{}: {told:?} comes with a token of {here:?}", title(stream))
                    });
                }
            }
        }
        let Some(from) = evidence.token(stream, &stream.asked.resume) else {
            continue;
        };
        if let Some((at, End::Told { reason, .. })) = &stream.end
            && reason == "isthmus/COMPACTED"
            && stream.messages.is_empty()
        {
            let forgotten = !evidence.durable && restarted(evidence, stream, from, *at);
            findings.hold(It, forgotten, || {
                format!(
                    "{}: {from:?} is refused, and should be known",
                    title(stream)
                )
            });
        }
        if !goes_on(stream) {
            if !stream.messages.is_empty() {
                let forgotten =
                    !evidence.durable && restarted(evidence, stream, from, stream.opened);
                findings.hold(It, forgotten, || {
                    format!(
                        "{}: begins anew although {from:?} should be known",
                        title(stream)
                    )
                });
            }
            continue;
        }
        let mut first: BTreeMap<&str, (Position, u64)> = BTreeMap::new();
        for event in stream.messages.iter().flat_map(|message| &message.events) {
            if let Some(realization) = event.kind.realization() {
                let told = (evidence.place(realization), event.coalesced);
                first.entry(&realization.name).or_insert(told);
            }
        }
        for (name, (to, coalesced)) in first {
            findings.hold(It, to > from, || {
                format!("{}: {to:?} of {name} again after {from:?}", title(stream))
            });
            let gap = evidence.between(name, from, to).len() as u64;
            findings.hold(It, gap <= coalesced, || {
                format!(
                    "{}: {gap} changes of {name} between {from:?} and {to:?} never came",
                    title(stream)
                )
            });
        }
    }
}

/// Whether the gateway was gone since this position was given out.
fn restarted(
    evidence: &Evidence<'_>,
    stream: &Stream,
    position: Position,
    until: Duration,
) -> bool {
    let chain = &evidence.watchers[&stream.watcher];
    let gives = |stream: &&&Stream| {
        let mut tokens = stream
            .messages
            .iter()
            .map(|message| evidence.token(stream, &message.token));
        tokens.any(|token| token == Some(position))
    };
    // At the earliest when the stream was opened that gave it: whoever pauses reads it much later.
    let given = chain
        .iter()
        .find(gives)
        .map_or(Duration::ZERO, |stream| stream.opened);
    let gateway = crate::record::TroubleKind::Gateway;
    !evidence.calm(
        &gateway,
        given.saturating_sub(Duration::from_secs(11)),
        until,
    )
}

/// 10. Every end has a code, an `ErrorInfo` and a token to resume from, or is OK with an outcome.
pub fn every_end_has_a_reason(evidence: &Evidence<'_>, stream: &Stream, findings: &mut Findings) {
    use Promise::EveryEndHasAReason as It;
    let mut complete = !stream.asked.many;
    for message in &stream.messages {
        complete |= message.synced || !stream.asked.resume.is_empty();
        findings.hold(
            It,
            !complete || evidence.token(stream, &message.token).is_some(),
            || format!("{}: a message without a token", title(stream)),
        );
    }
    let Some((at, end)) = &stream.end else {
        return findings.hold(It, false, || format!("{}: never ended", title(stream)));
    };
    let kept = match end {
        End::Ok => stream
            .messages
            .last()
            .is_some_and(|message| message.outcome.is_some()),
        End::Told { code, reason } => {
            *code != tonic::Code::Ok
                && reason
                    .strip_prefix("isthmus/")
                    .is_some_and(|reason| !reason.is_empty())
        }
        // Whoever pauses finds out when it reads again.
        End::Broken => {
            let since = if stream.asked.slow {
                stream.opened
            } else {
                *at
            };
            !evidence.in_touch(stream, since, *at)
        }
        End::Left => *at + Duration::from_secs(1) >= evidence.history.end,
    };
    findings.hold(It, kept, || {
        format!("{}: ended at {at:?}: {end:?}", title(stream))
    });
}
