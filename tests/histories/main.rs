//! Truth under every history: clouds that flap, heal, lie and vanish, with the ground truth beside them, and
//! watches whose every outcome is held against it.
//!
//! The step from polls and writes to what is said (`core::watch::knowledge`) and the judge are pure, so a
//! history of five minutes takes a fraction of a millisecond. Each history follows from its seed alone:
//!
//! ```sh
//! HISTORIES=1000000 cargo test --release --test histories          # more of them
//! HISTORIES_SEED=4711 cargo test --test histories -- --nocapture   # one again, told step by step
//! ```
//!
//! An outcome is false if it says success and the cloud, at the moment it was polled, lacked the write at
//! the assurance claimed; or if it says failure and the cloud did not say so on two polls a confirm interval
//! apart; or if it says undetermined of what the cloud could tell. Histories whose agent is slower than the quiet time allows for are counted apart.
#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

mod neutron;
mod nsx;
mod play;

use play::{Guards, Tally, play};
use std::env;

/// How many histories a plain run plays.
const PLAIN_RUN: u64 = 20_000;

fn histories() -> std::ops::Range<u64> {
    if let Ok(seed) = env::var("HISTORIES_SEED") {
        let seed = seed.parse().expect("HISTORIES_SEED is a whole number");
        return seed..seed + 1;
    }
    0..env::var("HISTORIES").map_or(PLAIN_RUN, |count| {
        count.parse().expect("HISTORIES is a whole number")
    })
}

fn all(guards: Guards, seeds: impl Iterator<Item = u64>) -> Tally {
    let told = env::var("HISTORIES_SEED").is_ok();
    let mut tally = Tally::default();
    for seed in seeds {
        tally.add(play(seed, guards, told));
    }
    tally
}

#[test]
fn no_outcome_is_false() {
    let tally = all(Guards::default(), histories());
    println!("{tally}");
    assert!(
        tally.falsehoods.is_empty(),
        "{}",
        tally.falsehoods.join("\n")
    );
    if tally.histories > 1_000 {
        let histories = tally.histories as u64;
        assert!(
            tally.succeeded > histories / 2,
            "the generator lets too little succeed: {tally}"
        );
        assert!(
            tally.failed > histories / 50,
            "the generator lets too little fail: {tally}"
        );
        assert!(
            tally.undetermined > histories / 50,
            "the generator lets too little be undetermined: {tally}"
        );
    }
}

/// A guard that can be taken away without anything going wrong is none, or the generator is too tame.
#[track_caller]
fn needed(name: &str, without: Guards) {
    if env::var("HISTORIES_SEED").is_ok() {
        return;
    }
    let tally = all(without, 0..4_000);
    println!("without {name}: {tally}");
    assert!(
        !tally.falsehoods.is_empty(),
        "without {name} nothing goes wrong"
    );
}

#[test]
fn the_second_poll_is_needed() {
    needed(
        "the second look",
        Guards {
            second_poll: false,
            ..Guards::default()
        },
    );
}

#[test]
fn the_quiet_time_is_needed() {
    needed(
        "the quiet time",
        Guards {
            quiet_time: false,
            ..Guards::default()
        },
    );
}

#[test]
fn the_request_id_is_needed() {
    needed(
        "the request id",
        Guards {
            request_id: false,
            ..Guards::default()
        },
    );
}

#[test]
fn the_proof_of_sight_is_needed() {
    needed(
        "the proof of sight",
        Guards {
            proof_of_sight: false,
            ..Guards::default()
        },
    );
}

#[test]
fn the_realtime_status_is_needed() {
    needed(
        "the realtime status",
        Guards {
            realtime: false,
            ..Guards::default()
        },
    );
}
