//! The whole system in one simulation: gateway, both clouds, clients, and the network between them, in virtual time.
//!
//! Everything that matters is the product's own: its accept loop, its services, its watch, its dialects, and real gRPC
//! clients. Simulated are time, the network (turmoil), the clouds (`isthmus::simulator`) and the disk. What happens in
//! a run is drawn from its seed: partitions, held and reset connections, clouds that are slow, down, or lose their
//! answers, logins that end, drains, kills with and without a log that outlives them, readers who pause, writes that
//! fail, heal and vanish. A checker then holds what every client saw against the ten promises.
//!
//! ```sh
//! SIMULATIONS=1000 cargo test --test simulation every_promise -- --nocapture   # more seeds
//! SIMULATION_SEED=4711 cargo test --test simulation every_promise              # one seed again
//! SIMULATION_SEED=4711 cargo test --test simulation tell -- --ignored --nocapture     # its log
//! SIMULATION_BUG=ChangeLost cargo test --test simulation found_by_name -- --nocapture # one planted bug
//! ```
//!
//! In reading order: `run` (the hosts), `plan` (what happens), `network`, `clouds`, `clients`, `store` (what they are
//! made of), `record` (what is written down), `checker` (what is held against it), `bugs` (why it can be believed).
#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

mod bugs;
mod checker;
mod clients;
mod clouds;
mod network;
mod plan;
mod record;
mod run;
mod store;
#[path = "../support/mod.rs"]
mod support;

use bugs::{BUGS, Seam};
use checker::{Findings, PROMISES, check};
use plan::{CROWD, Plan, SMALL};
use record::History;
use run::run;
use std::env;

/// How many seeds a plain run plays.
const PLAIN_RUN: u64 = 6;
/// The most rehearsals in which a planted bug has to show.
const REHEARSALS: u64 = 6;

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().expect("a whole number"))
}

/// The seeds to be played: one that is named, or as many as are asked for.
fn seeds() -> std::ops::Range<u64> {
    let count = number("SIMULATIONS");
    match number("SIMULATION_SEED") {
        Some(seed) => seed..seed + count.unwrap_or(1),
        None => 0..count.unwrap_or(PLAIN_RUN),
    }
}

fn replay(seed: u64, findings: &Findings) -> String {
    format!(
        "seed {seed} breaks promises:\n{findings}  again: SIMULATION_SEED={seed} cargo test --test simulation \
         every_promise\n  its log: SIMULATION_SEED={seed} cargo test --test simulation tell -- --ignored --nocapture\n"
    )
}

#[test]
fn every_promise_is_kept_whatever_happens() {
    let mut all = Findings::default();
    let mut broken = String::new();
    for seed in seeds() {
        let plan = Plan::draw(seed, SMALL);
        let durable = plan.durable;
        let findings = check(&run(plan, None), durable);
        if !findings.broken.is_empty() {
            let told = replay(seed, &findings);
            // At once, for whoever runs thousands.
            eprintln!("{told}");
            broken += &told;
        }
        all.add(findings);
    }
    println!("looked at {:?}", all.looked_at);
    assert!(broken.is_empty(), "{broken}");
    for promise in PROMISES {
        let looked_at = all.looked_at.get(&promise).copied().unwrap_or_default();
        assert!(looked_at > 0, "nothing was held against {promise:?}");
    }
}

#[test]
fn hundreds_of_watchers_are_promised_the_same() {
    let seed = number("SIMULATION_SEED").unwrap_or(1);
    let plan = Plan::draw(seed, CROWD);
    let durable = plan.durable;
    let history = run(plan, None);
    println!(
        "{} watches, {} requests to clouds",
        history.streams.len(),
        history.exchanges.len()
    );
    let findings = check(&history, durable);
    assert!(findings.broken.is_empty(), "{}", replay(seed, &findings));
}

#[test]
fn the_clouds_are_asked_no_more_often_however_many_watch() {
    let polls = |watchers: usize| {
        let plan = Plan::undisturbed(1, watchers);
        let history = run(plan, None);
        let polls = history.exchanges.iter();
        let polls = polls
            .filter(|seen| seen.method == http::Method::GET)
            .count();
        (history.streams.len(), polls)
    };
    let (few, by_few) = polls(18);
    let (many, by_many) = polls(120);
    println!("{few} watches cost {by_few} polls, {many} cost {by_many}");
    assert!(many > 4 * few, "{many} watches are hardly more than {few}");
    assert!(
        by_many <= by_few + by_few / 10,
        "{few} watches cost {by_few} polls, {many} cost {by_many}"
    );
}

#[test]
fn the_same_seed_writes_the_same_log() {
    let seed = number("SIMULATION_SEED").unwrap_or(1);
    let log = || run(Plan::draw(seed, SMALL), None).log();
    let (first, second) = (log(), log());
    for (number, (first, second)) in first.lines().zip(second.lines()).enumerate() {
        assert_eq!(first, second, "seed {seed}, line {}", number + 1);
    }
    assert_eq!(first.len(), second.len());
    assert!(first.lines().count() > 300, "hardly anything happened");
}

/// Plays each bug of a seam until it is found under its name; then the same rehearsals without it have to pass.
#[track_caller]
fn found_by_name(seam: Seam) {
    let only = env::var("SIMULATION_BUG").ok();
    let mut missed = Vec::new();
    let mut played = 0;
    for planted in BUGS.iter().filter(|planted| planted.seam == seam) {
        let name = format!("{:?}", planted.bug);
        if only.as_ref().is_some_and(|only| *only != name) {
            continue;
        }
        let found = (0..REHEARSALS).find_map(|seed| {
            played = played.max(seed + 1);
            let findings = check(&rehearse(seed, Some(planted.bug)), true);
            let found = findings.first(planted.promise).cloned();
            found.map(|what| (seed, what))
        });
        match found {
            Some((seed, what)) => println!(
                "{name} | {} | {:?} | rehearsal {seed}: {what:.200}",
                planted.what, planted.promise
            ),
            None => missed.push(name),
        }
    }
    assert!(missed.is_empty(), "the checker misses {missed:?}");
    for seed in 0..played {
        let findings = check(&rehearse(seed, None), true);
        assert!(
            findings.broken.is_empty(),
            "rehearsal {seed} without a bug breaks promises:\n{findings}"
        );
    }
}

fn rehearse(seed: u64, bug: Option<bugs::Bug>) -> History {
    run(Plan::rehearse(seed), bug)
}

#[test]
fn bugs_in_what_is_answered_are_found_by_name() {
    found_by_name(Seam::Answers);
}

#[test]
fn bugs_of_dialects_stores_and_networks_are_found_by_name() {
    for seam in [Seam::Dialect, Seam::Store, Seam::Network] {
        found_by_name(seam);
    }
}

#[test]
fn there_are_bugs_enough() {
    assert!(BUGS.len() >= 30);
    for promise in PROMISES {
        assert!(
            BUGS.iter().any(|planted| planted.promise == promise),
            "no planted bug breaks {promise:?}"
        );
    }
}

#[test]
#[ignore = "tells the log of one seed"]
fn tell() {
    let seed = number("SIMULATION_SEED").unwrap_or(1);
    println!("{}", run(Plan::draw(seed, SMALL), None).log());
}
