//! The whole system in one simulation: gateway, both clouds, clients, and the network between them, in virtual time.
//!
//! Everything that matters is the product's own: its accept loop, its services, its watch, its dialects, and real gRPC
//! clients. Simulated are time, the network (turmoil), the clouds (`isthmus::simulator`) and the disk. What happens in
//! a run is drawn from its seed: partitions, held and reset connections, clouds that are slow, down, or lose their
//! answers, logins that end, drains, kills with and without a log that outlives them, readers who pause, writes that
//! fail, heal and vanish, readers who never pause, polls that hang while calls are answered, connections that others
//! make and remove, names that nobody knows, writes of several objects that are killed half-way and repeated. A checker then holds what every client saw against what is promised.
//!
//! ```sh
//! SIMULATIONS=1000 cargo test --test simulation every_promise -- --nocapture   # more seeds
//! SIMULATION_SEED=4711 cargo test --test simulation every_promise              # one seed again
//! SIMULATION_SEED=4711 cargo test --test simulation tell -- --ignored --nocapture     # its log
//! SIMULATIONS=200 cargo test --test simulation everybody -- --nocapture # the same for who else there is
//! SIMULATION_PLAN=crowded SIMULATION_SEED=7 cargo test --test simulation tell -- --ignored --nocapture
//! SIMULATIONS=200 cargo test --test simulation writes -- --nocapture    # the same for writes of several objects
//! SIMULATION_BUG=ChangeLost cargo test --test simulation found_by_name -- --nocapture # one planted bug
//! BUGS=all cargo test --test simulation found_by_name                   # each of them, not one in three
//! ```
//!
//! In reading order: `run` (the hosts), `plan` and `acts` (what happens), `load` (who else there is), `network`, `clouds`, `clients`,
//! `writers`, `neighbours`, `store` (what they are made of), `record` (what is written down), `checker` (what is held against it), `bugs` (why it can be believed).
#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

mod acts;
mod bugs;
mod checker;
mod clients;
mod clouds;
mod load;
mod neighbours;
mod network;
mod plan;
mod record;
mod run;
mod store;
#[path = "../support/mod.rs"]
mod support;
mod writers;

use bugs::{BUGS, Seam};
use checker::{Findings, OF_A_WATCH, OF_ALL_BUT_WRITES, PROMISES, Promise, check};
use plan::{CROWD, Plan, SMALL};
use run::run;
use std::env;

/// How many seeds a plain run plays.
const PLAIN_RUN: u64 = 6;
/// And how many of each plan that is about others beside the clients.
const PLAIN_RUN_WITH_OTHERS: u64 = 2;
/// The most rehearsals in which a planted bug has to show.
const REHEARSALS: u64 = 6;

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().expect("a whole number"))
}

/// The seeds to be played: one that is named, or as many as are asked for.
fn seeds(plain_run: u64) -> std::ops::Range<u64> {
    let count = number("SIMULATIONS");
    match number("SIMULATION_SEED") {
        Some(seed) => seed..seed + count.unwrap_or(1),
        None => 0..count.unwrap_or(plain_run),
    }
}

/// Draws a plan from a seed.
type Draw = fn(u64) -> Plan;

/// The plans that can be drawn from a seed, by name.
const PLANS: [(&str, Draw); 4] = [
    ("", |seed| Plan::draw_with_others(seed, SMALL)),
    ("crowded", Plan::crowded),
    ("coming_and_going", Plan::coming_and_going),
    ("composing", Plan::composing),
];

fn replay(test: &str, plan: &str, seed: u64, findings: &Findings) -> String {
    format!(
        "seed {seed} breaks promises:\n{findings}  again: SIMULATION_SEED={seed} cargo test --test simulation {test}\n  \
         its log: SIMULATION_SEED={seed} SIMULATION_PLAN={plan} cargo test --test simulation tell -- --ignored --nocapture\n"
    )
}

/// Plays these plans with each of the seeds. Nothing may be broken, and something held against each of these promises.
#[track_caller]
fn hold(
    test: &str,
    plans: &[(&str, Draw)],
    seeds: impl Iterator<Item = u64>,
    promises: &[Promise],
) {
    let mut all = Findings::default();
    let mut broken = String::new();
    for seed in seeds {
        for (name, draw) in plans {
            let plan = draw(seed);
            let durable = plan.durable;
            let findings = check(&run(plan, None), durable);
            if !findings.broken.is_empty() {
                let told = replay(test, name, seed, &findings);
                // At once, for whoever runs thousands.
                eprintln!("{told}");
                broken += &told;
            }
            all.add(findings);
        }
    }
    println!("looked at {:?}", all.polled);
    assert!(broken.is_empty(), "{broken}");
    for promise in promises {
        let polled = all.polled.get(promise).copied().unwrap_or_default();
        assert!(polled > 0, "nothing was held against {promise:?}");
    }
}

#[test]
fn every_promise_is_kept_whatever_happens() {
    let seeds = seeds(PLAIN_RUN);
    hold("every_promise", &PLANS[..1], seeds, &PROMISES[..OF_A_WATCH]);
}

#[test]
fn everybody_has_a_share_and_nothing_grows() {
    let seeds = seeds(PLAIN_RUN_WITH_OTHERS);
    let promises = &PROMISES[..OF_ALL_BUT_WRITES];
    hold("everybody", &PLANS[1..3], seeds, promises);
}

#[test]
fn writes_are_done_once_and_wholly_or_not_at_all() {
    let seeds = seeds(PLAIN_RUN);
    let promises = &PROMISES[OF_ALL_BUT_WRITES..];
    hold("writes", &PLANS[3..], seeds, promises);
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
    assert!(findings.broken.is_empty(), "seed {seed}:\n{findings}");
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

/// A plan without reloads: which of two polls that are due together comes first after a reload is not always the same.
#[test]
fn the_same_seed_writes_the_same_log() {
    let seed = number("SIMULATION_SEED").unwrap_or(3);
    let log = || run(Plan::draw_with_others(seed, SMALL), None).log();
    let (first, second) = (log(), log());
    for (number, (first, second)) in first.lines().zip(second.lines()).enumerate() {
        assert_eq!(first, second, "seed {seed}, line {}", number + 1);
    }
    assert_eq!(first.len(), second.len());
    assert!(first.lines().count() > 300, "hardly anything happened");
}

/// Set to `all`, each bug is played, otherwise one in [`SAMPLE`].
const ALL: &str = "BUGS";
const SAMPLE: usize = 3;

/// Plays bugs of a seam, each until it is found under its name; then the same rehearsals without it have to pass.
#[track_caller]
fn found_by_name(seam: Seam) {
    let only = env::var("SIMULATION_BUG").ok();
    let each = env::var(ALL).is_ok_and(|it| it == "all") || only.is_some();
    let mut missed = Vec::new();
    let mut played = [0; REHEARSED.len()];
    let of_seam = BUGS.iter().filter(|planted| planted.seam == seam);
    for planted in of_seam.step_by(if each { 1 } else { SAMPLE }) {
        let name = format!("{:?}", planted.bug);
        if only.as_ref().is_some_and(|only| *only != name) {
            continue;
        }
        let which = which_rehearsal(planted.promise);
        let found = (0..REHEARSALS).find_map(|seed| {
            played[which] = played[which].max(seed + 1);
            let plan = REHEARSED[which](seed);
            let findings = check(&run(plan, Some(planted.bug)), true);
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
    // Those about others beside the clients are played without a bug already.
    let known = [0, PLAIN_RUN_WITH_OTHERS, PLAIN_RUN_WITH_OTHERS, PLAIN_RUN];
    for (number, rehearsal) in REHEARSED.iter().enumerate() {
        for seed in known[number]..played[number] {
            let findings = check(&run(rehearsal(seed), None), true);
            assert!(
                findings.broken.is_empty(),
                "rehearsal {seed} without a bug breaks promises:\n{findings}"
            );
        }
    }
}

/// What is enough for bugs to show, each for other promises.
const REHEARSED: [Draw; 4] = [
    Plan::rehearse,
    Plan::crowded,
    Plan::coming_and_going,
    Plan::composing,
];

/// In which of them a bug shows that breaks this promise.
fn which_rehearsal(promise: Promise) -> usize {
    match promise {
        Promise::Shares => 1,
        Promise::GoneIsLeft | Promise::Joins | Promise::Tunnels | Promise::NamesAreForgotten => 2,
        promise if PROMISES[OF_ALL_BUT_WRITES..].contains(&promise) => 3,
        _ => 0,
    }
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
    let wanted = env::var("SIMULATION_PLAN").unwrap_or_default();
    let (_, draw) = PLANS
        .iter()
        .find(|(name, _)| *name == wanted)
        .expect("the name of a plan");
    let plan = draw(seed);
    let durable = plan.durable;
    let history = run(plan, None);
    println!("{}", history.log());
    println!("{}", check(&history, durable));
}
