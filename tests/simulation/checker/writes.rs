//! Writes of several objects, each with an id: they are done once and wholly, or not at all, whoever dies meanwhile.

use crate::{
    checker::{Findings, Promise},
    clouds::{Object, unused},
    record::{Attempt, History},
    writers::OWN,
};
use http::Method;
use std::collections::{BTreeMap, BTreeSet};

/// Holds what was written against what the clouds have in the end.
pub fn check(history: &History, findings: &mut Findings) {
    if history.attempts.is_empty() {
        return;
    }
    nothing_is_left(history, findings);
    same_answer(history, findings);
    others_stay(history, findings);
    every_write_ends(history, findings);
    let mut labels: BTreeMap<&str, Vec<&Attempt>> = BTreeMap::new();
    for attempt in &history.attempts {
        labels.entry(&attempt.label).or_default().push(attempt);
    }
    for (label, attempts) in labels {
        if label != OWN {
            once_and_as_told(history, label, &attempts, findings);
        }
    }
    for (label, most) in &history.most_at_once {
        findings.hold(Promise::OnceOnly, *most <= 1, || {
            format!("{label} was there {most} times at the same time")
        });
    }
    for gone in &history.gone {
        findings.hold(Promise::WhatIsToldIsSo, gone.left.is_empty(), || {
            format!(
                "{} was proven gone at {:?}, when there was {:?}",
                gone.label, gone.at, gone.left
            )
        });
    }
}

/// What the gateway made with a connection is there for a connection.
fn nothing_is_left(history: &History, findings: &mut Findings) {
    let unused = unused(&history.estate).into_iter();
    let left: Vec<&Object> = unused
        .filter(|it| !it.mark.is_empty() && it.name != OWN)
        .collect();
    findings.hold(Promise::NothingIsLeft, left.is_empty(), || {
        format!("these are left: {left:?}")
    });
    for connection in history.estate.iter().filter(|it| it.is_connection) {
        let known = |id: &String| history.estate.iter().any(|it| it.id == *id);
        let is_whole = connection.refers_to.iter().all(known) && connection.refers_to.len() > 1;
        findings.hold(Promise::NothingIsLeft, is_whole, || {
            format!("of {connection:?} something is missing")
        });
    }
}

/// All answers to one id are the same.
fn same_answer(history: &History, findings: &mut Findings) {
    let mut answers: BTreeMap<&str, &Attempt> = BTreeMap::new();
    for attempt in &history.attempts {
        if let Ok(answer) = &attempt.result {
            let first = answers.entry(&attempt.id).or_insert(attempt);
            let is_same = first.result.as_ref().ok() == Some(answer);
            findings.hold(Promise::SameAnswer, is_same, || {
                format!(
                    "{} {} {} was answered otherwise at {:?} than at {:?}",
                    attempt.method, attempt.label, attempt.id, attempt.ended, first.ended
                )
            });
        }
    }
}

/// What somebody else made, or was made by a call of its own, is there.
fn others_stay(history: &History, findings: &mut Findings) {
    for label in &history.lookalikes {
        let theirs = history.estate.iter();
        let theirs = theirs.filter(|it| it.name == *label && it.mark.is_empty());
        let clouds: BTreeSet<&str> = theirs.map(|it| it.backend).collect();
        findings.hold(Promise::OthersStay, clouds.len() == 2, || {
            format!("what somebody else called {label} is only in {clouds:?}")
        });
    }
    let own = history.attempts.iter().filter(|it| it.label == OWN);
    for (name, _) in own.filter_map(|it| it.result.as_ref().ok()) {
        let is_there = history.estate.iter().any(|it| name.ends_with(&it.id));
        findings.hold(Promise::OthersStay, is_there, || {
            format!("{name} was made by a call of its own, and is gone")
        });
    }
}

/// Every write is answered in the end, and none is unfinished.
fn every_write_ends(history: &History, findings: &mut Findings) {
    let mut last: BTreeMap<&str, &Attempt> = BTreeMap::new();
    let mut answered = BTreeSet::new();
    for attempt in &history.attempts {
        last.insert(&attempt.id, attempt);
        if attempt.result.is_ok() {
            answered.insert(&attempt.id);
        }
    }
    for attempt in last.into_values() {
        let is_answered = answered.contains(&attempt.id);
        findings.hold(Promise::EveryWriteEnds, is_answered, || {
            format!(
                "{} {} {} is not answered: {:?}",
                attempt.method, attempt.label, attempt.id, attempt.result
            )
        });
    }
    for write in &history.not_ended {
        let has_ended = matches!(write.state.as_str(), "STATE_FINISHED" | "STATE_UNDONE");
        findings.hold(Promise::EveryWriteEnds, has_ended, || {
            format!("{} of {} is {}", write.name, write.backend, write.state)
        });
    }
}

/// A composite is there once or not at all, as its last answer says.
fn once_and_as_told(
    history: &History,
    label: &str,
    attempts: &[&Attempt],
    findings: &mut Findings,
) {
    let connections = history.estate.iter();
    let connections = connections.filter(|it| it.is_connection && it.name == label);
    let there: BTreeSet<&str> = connections.map(|it| it.id.as_str()).collect();
    let told = attempts.iter().filter_map(|it| it.result.as_ref().ok());
    let told: BTreeSet<&str> = told
        .filter_map(|(name, _)| name.rsplit('/').next())
        .collect();
    let all = there.union(&told).count();
    findings.hold(Promise::OnceOnly, all <= 1, || {
        format!("{label} was made {all} times: {told:?} were told, {there:?} are there")
    });
    let with = |method: Method| attempts.iter().filter(move |it| it.method == method);
    let was_made = with(Method::POST).any(|it| it.result.is_ok());
    let was_removed = with(Method::DELETE).any(|it| it.result.is_ok());
    let is_asked = with(Method::DELETE).next().is_some();
    if was_removed || (was_made && !is_asked) {
        let is_so = there.is_empty() == was_removed;
        findings.hold(Promise::WhatIsToldIsSo, is_so, || {
            format!("{label} was told to be removed: {was_removed}; there are {there:?}")
        });
    }
}
