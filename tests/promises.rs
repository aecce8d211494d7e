//! For each promise of a watch, the tests that fail when it is broken.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

use std::{fs, path::Path};

const CONTRACT: &str = include_str!("../proto/isthmus/v1/realization_service.proto");

/// How each promise begins in the contract, in its order, and the tests below `tests/` that hold it.
const HELD: &[(&str, &[&str])] = &[
    (
        "Snapshot first.",
        &[
            "watch::the_first_message_is_where_it_stands_now",
            "watch::a_watch_over_many_lists_then_syncs_then_changes",
            "simulation::snapshot_first",
        ],
    ),
    (
        "Monotone and unique.",
        &[
            "watch::sequences_grow_and_times_do_not_go_back",
            "program::a_thousand_watches_outlive_kills_of_the_gateway",
            "simulation::monotone_and_unique",
        ],
    ),
    (
        "Coalescing is counted.",
        &[
            "watch::a_slow_reader_misses_states_but_never_the_latest_failure_or_the_outcome",
            "simulation::coalescing_is_counted",
        ],
    ),
    (
        "Exactly one outcome",
        &[
            "watch::a_success_is_told_once_with_its_evidence_and_ends_the_watch",
            "watch::a_failure_is_shown_at_once_and_an_outcome_after_ten_seconds",
            "watch::an_outage_is_never_an_outcome_and_what_follows_it_continues_the_watch",
            "watch::with_its_token_an_update_that_nobody_can_prove_ends_undetermined",
            "histories::no_outcome_is_false",
            "simulation::exactly_one_outcome",
        ],
    ),
    (
        "Causality.",
        &[
            "watch::a_poll_that_began_before_the_write_was_done_decides_nothing",
            "restart::a_watch_stays_bound_to_its_write",
            "simulation::causality",
        ],
    ),
    (
        "Resumable.",
        &[
            "watch::a_resume_brings_what_was_missed_and_nothing_twice",
            "watch::a_reader_beyond_the_window_is_told_so",
            "restart::a_resume_after_a_kill_brings_what_was_missed_and_nothing_twice",
            "restart::tokens_of_a_lost_store_are_out_of_range_or_begin_anew",
            "watch::a_bystander_does_not_make_a_position_forgotten",
            "restart::a_full_disk_stops_no_watch_and_what_cannot_be_kept_is_refused",
            "program::a_thousand_watches_outlive_kills_of_the_gateway",
            "simulation::resumable",
        ],
    ),
    (
        "Liveness.",
        &[
            "watch::silence_never_exceeds_the_heartbeat",
            "simulation::liveness",
        ],
    ),
    (
        "Bounded lag.",
        &[
            "watch::a_change_of_a_fresh_write_is_told_within_the_stated_interval",
            "simulation::bounded_lag",
        ],
    ),
    (
        "Isolation.",
        &[
            "watch::two_hundred_watchers_cost_the_cloud_no_more_than_one",
            "slow::a_stream_that_nobody_reads_ends_stalled_and_costs_nobody_else_anything",
            "simulation::isolation",
        ],
    ),
    (
        "Every end has a reason",
        &[
            "watch::a_login_refused_for_too_long_ends_the_watch_without_an_outcome",
            "end_to_end::a_watch_ends_by_its_deadline_with_that_code",
            "end_to_end::a_draining_gateway_ends_its_watches_with_a_reason",
            "slow::a_stream_that_nobody_reads_ends_stalled_and_costs_nobody_else_anything",
            "simulation::every_end_has_a_reason",
        ],
    ),
];

/// The promises, one text for each number.
fn promises() -> Vec<String> {
    let (_, section) = CONTRACT.split_once("# What a watch promises\n").unwrap();
    let lines = section.lines().skip(1);
    let list = lines.map_while(|line| line.strip_prefix("// "));
    let mut found: Vec<String> = Vec::new();
    for line in list {
        match line.strip_prefix(&format!("{}. ", found.len() + 1)) {
            Some(text) => found.push(text.to_owned()),
            None => *found.last_mut().unwrap() += line,
        }
    }
    found
}

/// The sources of the test of that name.
fn sources(test: &str) -> String {
    fn read(path: &Path, text: &mut String) {
        if path.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                read(&entry.unwrap().path(), text);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            *text += &fs::read_to_string(path).unwrap();
        }
    }
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut text = String::new();
    let file = tests.join(format!("{test}.rs"));
    for path in [file, tests.join(test)] {
        if path.exists() {
            read(&path, &mut text);
        }
    }
    text
}

#[test]
fn each_promise_is_held_by_tests_that_are_there() {
    let promises = promises();
    assert_eq!(promises.len(), HELD.len(), "{promises:#?}");
    for (promise, (begin, tests)) in promises.iter().zip(HELD) {
        assert!(promise.starts_with(begin), "{promise}");
        assert!(tests.len() >= 2, "{begin} has {tests:?} alone");
        for name in *tests {
            let (file, function) = name.split_once("::").unwrap();
            let head = format!("fn {function}(");
            assert!(sources(file).contains(&head), "{name} is not there");
        }
    }
}
