//! Every metric below the server moves by as much as it should: over a scripted cloud and an NSX in memory with paused
//! time, and a simulated one.
//!
//! There is one meter provider for a process, and gauges tell of every gateway that is there. So it is one test, which
//! plays one story after the other, each in a runtime of its own.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

#[path = "../support/mod.rs"]
mod support;

mod page;
mod requests;
mod stores;
mod watches;
mod writes;

use isthmus::metrics::table::TABLE;
use std::{collections::BTreeSet, pin::Pin};

/// Metrics that are counted elsewhere, and tested there.
const OF_OTHERS: &[&str] = &[
    "rpc.server.call.duration",
    "isthmus.server.connections",
    "isthmus.server.calls",
    "isthmus.server.refused",
    "isthmus.server.drains",
    "isthmus.upstream.retries",
    "isthmus.upstream.circuit",
    "isthmus.reloads",
    "isthmus.telemetry.export.failures",
    "isthmus.telemetry.spans.dropped",
];

type Story = fn() -> Pin<Box<dyn Future<Output = ()>>>;

/// With paused time.
const STORIES: &[(&str, Story)] = &[
    ("changes", || Box::pin(watches::changes_by_watch())),
    ("left out", || Box::pin(watches::changes_left_out())),
    ("outcomes", || {
        Box::pin(watches::outcomes_by_state_and_reason())
    }),
    (
        "many",
        || Box::pin(watches::watches_over_several_backends()),
    ),
    ("part", || Box::pin(watches::watches_of_a_part())),
    ("outage", || {
        Box::pin(watches::polls_of_a_cloud_that_is_away())
    }),
    ("late", || Box::pin(watches::polls_that_are_late())),
    ("requests", || Box::pin(requests::what_a_request_costs())),
    ("words", || Box::pin(requests::words_that_nobody_knows())),
    ("patience", || {
        Box::pin(requests::a_cloud_that_asks_for_patience())
    }),
    ("refused", || Box::pin(requests::a_login_that_is_refused())),
    ("sessions", || Box::pin(requests::logins_with_tickets())),
    ("store", || Box::pin(stores::a_store_that_fails_and_hangs())),
];

#[test]
fn every_metric_moves_by_as_much_as_it_should() {
    page::begin();
    for (name, story) in STORIES {
        println!("{name}");
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().start_paused(true).build();
        runtime.unwrap().block_on(story());
    }
    println!("writes");
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build();
    runtime.unwrap().block_on(writes::writes_by_how_they_end());

    let all: BTreeSet<&str> = TABLE.iter().map(|metric| metric.name).collect();
    let of_others: BTreeSet<&str> = OF_OTHERS.iter().copied().collect();
    let wanted: BTreeSet<&str> = all.difference(&of_others).copied().collect();
    assert_eq!(
        page::moved(),
        wanted,
        "each metric has a story in which it is more than 0"
    );
    assert!(of_others.is_subset(&all), "one is no longer in the table");
}
