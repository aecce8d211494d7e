//! The program itself, killed at every request of every write: all of it is done then or nothing, the gateway that comes
//! after knows which, and who repeats the write with its id gets its answer.
//!
//! In reading order: `cloud` (what is asked for, and what is there then), `process` (the gateway and its lives), `trap` (where
//! it is killed), `walk` (one run, and what is held against it), `concurrent` (many callers with few ids).
#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

mod cloud;
mod concurrent;
mod process;
#[path = "../support/mod.rs"]
mod support;
mod trap;
mod walk;

use cloud::Dialect;
use std::sync::{Arc, LazyLock};
use tokio::{sync::Semaphore, task::JoinSet};
use trap::Point;
use walk::{Run, Write, play, undisturbed};

/// How many runs are played at the same time, whatever tests there are: most of a run is waiting for what may still be on
/// its way.
const AT_ONCE: usize = 16;
static PLACES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(AT_ONCE)));

/// Walks through all requests of a write, of which there must be so many at least.
async fn walk(dialect: Dialect, write: Write, least: usize) {
    let undisturbed = Arc::new(undisturbed(dialect, write).await);
    let requests = undisturbed.requests;
    assert!(
        requests >= least,
        "{dialect:?} {write:?} takes {requests} requests: {undisturbed:#?}"
    );
    let each = |number| {
        [
            (Point::Before(number), true),
            (Point::Done(number), true),
            (Point::Answered(number), true),
            (Point::Done(number), false),
        ]
    };
    let points = (0..requests).flat_map(each);
    let mut runs = JoinSet::new();
    let ends = [
        (Point::OnTheWay(0), true),
        (Point::OnTheWay(requests - 1), true),
        (Point::Told, true),
    ];
    for (point, with_id) in points.chain(ends) {
        let run = Run {
            dialect,
            write,
            point,
            with_id,
        };
        let undisturbed = Arc::clone(&undisturbed);
        runs.spawn(async move {
            let _place = PLACES.acquire().await.unwrap();
            play(run, &undisturbed).await;
        });
    }
    let count = runs.len();
    let mut failed = Vec::new();
    while let Some(ended) = runs.join_next().await {
        failed.extend(ended.err());
    }
    println!(
        "{dialect:?} {write:?}: {requests} requests, {count} kills, {} failed",
        failed.len()
    );
    assert!(failed.is_empty(), "{failed:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_on_nsx_is_all_or_nothing_wherever_it_is_killed() {
    walk(Dialect::Nsx, Write::Create, 7).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_on_openstack_is_all_or_nothing_wherever_it_is_killed() {
    walk(Dialect::Openstack, Write::Create, 6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_on_nsx_is_all_or_nothing_wherever_it_is_killed() {
    walk(Dialect::Nsx, Write::Update, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_on_openstack_is_all_or_nothing_wherever_it_is_killed() {
    // Two groups, the connection, and the two groups from before.
    walk(Dialect::Openstack, Write::Update, 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_on_nsx_is_all_or_nothing_wherever_it_is_killed() {
    walk(Dialect::Nsx, Write::Delete, 7).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_on_openstack_is_all_or_nothing_wherever_it_is_killed() {
    walk(Dialect::Openstack, Write::Delete, 6).await;
}
