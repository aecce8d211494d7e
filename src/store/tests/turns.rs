//! The log and the records take turns at a disk, including one that hangs.

use super::{batch, disk::Disk};
use crate::{
    core::store::{Expect, Store, StoreError, promises::change},
    store::{PATIENCE, RedbStore},
};
use std::{sync::Arc, time::Instant};
use tokio::task::{JoinHandle, JoinSet, spawn_blocking, yield_now};

/// A store over a disk that hangs in the middle of a write of the record `first`.
struct Hanging {
    disk: Disk,
    store: Arc<RedbStore>,
    /// How many times the disk makes data durable for the write of a single record.
    for_one: usize,
    first: JoinHandle<Result<bool, StoreError>>,
}

async fn hanging() -> Hanging {
    let disk = Disk::default();
    let store = Arc::new(disk.store());
    store.begin(1).await.unwrap();
    let before = disk.synced();
    write(&store, "alone", Expect::Absent).await.unwrap();
    let for_one = disk.synced() - before;
    disk.hang(true);
    let first = tokio::spawn(write(&store, "first", Expect::Absent));
    until(|| disk.waiting() == 1).await;
    Hanging {
        disk,
        store,
        for_one,
        first,
    }
}

fn write(
    store: &Arc<RedbStore>,
    key: &str,
    expect: Expect,
) -> impl Future<Output = Result<bool, StoreError>> + Send + 'static {
    let (store, change) = (Arc::clone(store), change(key, expect, Some(b"1")));
    async move { store.write_records(vec![change]).await }
}

async fn keys(store: &RedbStore) -> Vec<String> {
    let records = store.records("").await.unwrap();
    records.into_iter().map(|record| record.key).collect()
}

/// Waits for a condition that a thread with an unpaused clock brings about.
async fn until(so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed().as_secs() < 30, "it never is");
        yield_now().await;
    }
}

/// Lets every task run until it waits.
async fn settle() {
    for _ in 0..100 {
        yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn writes_that_wait_together_are_made_durable_together() {
    let Hanging {
        disk,
        store,
        for_one,
        first,
    } = hanging().await;
    let mut others = JoinSet::new();
    for number in 0..20 {
        others.spawn(write(&store, &format!("own/{number}"), Expect::Absent));
        others.spawn(write(&store, "same", Expect::Absent));
    }
    settle().await;
    let before = disk.synced();
    disk.hang(false);
    assert_eq!(first.await.unwrap(), Ok(true));
    let done = others.join_all().await;
    let done: Vec<bool> = done.into_iter().map(Result::unwrap).collect();
    assert_eq!(done.iter().filter(|done| **done).count(), 20 + 1);
    let for_all = disk.synced() - before;
    assert!(for_all <= 2 * for_one, "{for_all}, and {for_one} for one");
    assert_eq!(keys(&store).await.len(), 2 + 20 + 1);
}

#[tokio::test(start_paused = true)]
async fn the_log_and_the_records_wait_for_each_other_and_neither_fails() {
    let Hanging {
        disk, store, first, ..
    } = hanging().await;
    let log = Arc::clone(&store);
    let log = tokio::spawn(async move { log.commit(batch(1, Vec::new())).await });
    settle().await;
    let second = tokio::spawn(write(&store, "second", Expect::Absent));
    settle().await;
    assert!(!log.is_finished() && !second.is_finished());
    disk.hang(false);
    assert_eq!(first.await.unwrap(), Ok(true));
    assert_eq!(log.await.unwrap(), Ok(()));
    assert_eq!(second.await.unwrap(), Ok(true));

    disk.hang(true);
    let log = Arc::clone(&store);
    let log = tokio::spawn(async move { log.commit(batch(2, Vec::new())).await });
    until(|| disk.waiting() == 1).await;
    let third = tokio::spawn(write(&store, "third", Expect::Absent));
    settle().await;
    assert!(!third.is_finished());
    disk.hang(false);
    assert_eq!(log.await.unwrap(), Ok(()));
    assert_eq!(third.await.unwrap(), Ok(true));
}

#[test]
fn nobody_waits_without_end_for_a_disk_that_hangs_and_one_thread_does() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .max_blocking_threads(2)
        .build();
    runtime.unwrap().block_on(async {
        let Hanging {
            disk, store, first, ..
        } = hanging().await;
        let mut others = JoinSet::new();
        for number in 0..50 {
            others.spawn(write(&store, &format!("{number}"), Expect::Absent));
            let log = Arc::clone(&store);
            others.spawn(async move { log.commit(batch(1, Vec::new())).await.map(|()| true) });
            let reader = Arc::clone(&store);
            others.spawn(async move { reader.records("").await.map(|_| true) });
        }
        settle().await;
        tokio::time::advance(PATIENCE).await;
        let begun = first.await.unwrap().unwrap_err();
        assert!(begun.0.contains("it may yet be written"), "{begun}");
        let mut unwritten = 0;
        for other in others.join_all().await {
            let error = other.unwrap_err();
            assert!(error.0.contains("not answered for 5 s"), "{error}");
            unwritten += usize::from(error.0.contains("nothing was written"));
        }
        assert_eq!(unwritten, 50);
        spawn_blocking(|| ()).await.unwrap();
        assert_eq!(disk.waiting(), 1);

        disk.hang(false);
        assert_eq!(write(&store, "last", Expect::Absent).await, Ok(true));
        assert_eq!(keys(&store).await, ["alone", "first", "last"]);
    });
}

#[tokio::test(start_paused = true)]
async fn what_its_caller_gave_up_before_its_turn_is_not_written() {
    let Hanging {
        disk, store, first, ..
    } = hanging().await;
    let dropped = tokio::spawn(write(&store, "dropped", Expect::Absent));
    let behind = tokio::spawn(write(&store, "behind", Expect::Absent));
    settle().await;
    dropped.abort();
    first.abort();
    assert!(dropped.await.unwrap_err().is_cancelled());
    disk.hang(false);
    assert_eq!(behind.await.unwrap(), Ok(true));
    // The first write was in flight, and is whole.
    assert_eq!(keys(&store).await, ["alone", "behind", "first"]);
}

#[tokio::test(start_paused = true)]
async fn all_that_share_a_write_that_fails_are_told() {
    let Hanging {
        disk, store, first, ..
    } = hanging().await;
    let mut others = JoinSet::new();
    for number in 0..4 {
        others.spawn(write(&store, &format!("{number}"), Expect::Absent));
    }
    settle().await;
    disk.fill(true);
    disk.hang(false);
    assert!(first.await.unwrap().is_err());
    assert!(others.join_all().await.iter().all(Result::is_err));
    disk.fill(false);
    assert_eq!(write(&store, "after", Expect::Absent).await, Ok(true));
    let found = keys(&store).await;
    // The first record's bytes were written but not known to be durable, so it may or may not be there.
    assert!(
        found == ["after", "alone"] || found == ["after", "alone", "first"],
        "{found:?}"
    );
}
