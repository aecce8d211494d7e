//! A test suite for every store that keeps records.

use crate::core::store::{Batch, Expect, Record, RecordChange, Store};
use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll};
use tokio::task::JoinSet;

pub fn change(key: &str, expect: Expect, value: Option<&[u8]>) -> RecordChange {
    RecordChange {
        key: key.to_owned(),
        expect,
        value: value.map(<[u8]>::to_vec),
    }
}

/// Runs the suite over a new store.
pub async fn records_keep_their_promises(store: Arc<dyn Store>) {
    store.begin(1).await.unwrap();
    assert!(store.keeps_records());
    assert_eq!(store.records("").await.unwrap(), []);
    they_are_read_by_prefix_and_in_order(&*store).await;
    revisions_only_grow(&*store).await;
    what_is_expected_holds_or_nothing_is_written(&*store).await;
    many_change_one_record(&store).await;
    a_call_that_is_dropped_is_whole_or_nothing(&*store).await;
    for record in store.records("").await.unwrap() {
        let removed = write(&*store, &record.key, Expect::Anything, None).await;
        assert!(removed);
    }
    assert_eq!(store.records("").await.unwrap(), []);
}

async fn write(store: &dyn Store, key: &str, expect: Expect, value: Option<&[u8]>) -> bool {
    let change = change(key, expect, value);
    store.write_records(vec![change]).await.unwrap()
}

async fn read(store: &dyn Store, key: &str) -> Option<Record> {
    let found = store.records(key).await.unwrap();
    found.into_iter().find(|record| record.key == key)
}

async fn they_are_read_by_prefix_and_in_order(store: &dyn Store) {
    let keys = ["p/2", "p/10", "p/", "q/1", "p", "p/é", "p/\u{10ffff}", "p0"];
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let value = |key: &str| [key.as_bytes(), &every_byte].concat();
    let changes = keys.map(|key| change(key, Expect::Absent, Some(&value(key))));
    assert!(store.write_records(changes.to_vec()).await.unwrap());
    assert!(store.write_records(Vec::new()).await.unwrap());
    let under = store.records("p/").await.unwrap();
    let found: Vec<&str> = under.iter().map(|record| record.key.as_str()).collect();
    assert_eq!(found, ["p/", "p/10", "p/2", "p/é", "p/\u{10ffff}"]);
    assert!(under.iter().all(|it| it.value == value(&it.key)));
    assert_eq!(store.records("").await.unwrap().len(), keys.len());
    assert_eq!(store.records("p/3").await.unwrap(), []);

    assert!(write(store, "p/empty", Expect::Absent, Some(b"")).await);
    let empty = read(store, "p/empty").await.unwrap();
    assert_eq!(empty.value, b"", "and not absent");
    assert!(!write(store, "p/empty", Expect::Absent, None).await);
}

async fn revisions_only_grow(store: &dyn Store) {
    let mut last = 0;
    for value in [Some(b"1".as_slice()), Some(b"1"), None, Some(b"1")] {
        assert!(write(store, "r", Expect::Anything, value).await);
        let Some(found) = read(store, "r").await else {
            assert_eq!(value, None);
            continue;
        };
        assert!(found.revision > last, "{} after {last}", found.revision);
        last = found.revision;
    }
}

async fn what_is_expected_holds_or_nothing_is_written(store: &dyn Store) {
    assert!(write(store, "e/1", Expect::Absent, Some(b"1")).await);
    let first = read(store, "e/1").await.unwrap();
    let same = Expect::Revision(first.revision);
    let other = Expect::Revision(first.revision + 1);
    for (expect, holds) in [(Expect::Absent, false), (other, false), (same, true)] {
        assert_eq!(write(store, "e/1", expect, Some(b"2")).await, holds);
    }
    let second = read(store, "e/1").await.unwrap();
    assert_eq!(second.value, b"2");
    assert!(!write(store, "e/2", same, Some(b"1")).await, "absent");
    assert!(!write(store, "e/1", same, None).await, "written since");

    // If any precondition of the batch fails, nothing is written.
    let before = store.records("e/").await.unwrap();
    let holds = change("e/2", Expect::Absent, Some(b"1"));
    let removes = change("e/1", Expect::Anything, None);
    let fails = change("e/3", same, Some(b"1"));
    for changes in [
        vec![holds.clone(), removes.clone(), fails.clone()],
        vec![fails.clone(), removes.clone(), holds.clone()],
    ] {
        assert!(!store.write_records(changes).await.unwrap());
        assert_eq!(store.records("e/").await.unwrap(), before);
    }
    // If a key comes twice, nothing is written either.
    let twice = vec![holds.clone(), removes.clone(), holds.clone()];
    let refused = store.write_records(twice).await.unwrap_err();
    assert!(refused.0.contains("`e/2` is changed twice"), "{refused}");
    assert_eq!(store.records("e/").await.unwrap(), before);

    let moves = vec![holds, removes];
    assert!(store.write_records(moves).await.unwrap());
    let keys = store.records("e/").await.unwrap();
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0].key, "e/2");
    assert!(write(store, "e/1", Expect::Absent, None).await, "is absent");
    assert!(write(store, "e/1", Expect::Absent, Some(b"2")).await);
    let made_again = read(store, "e/1").await.unwrap();
    let of_before = Expect::Revision(second.revision);
    assert!(made_again.revision > second.revision);
    assert!(!write(store, "e/1", of_before, None).await, "another one");
}

/// Runs concurrently with commits to the log.
async fn many_change_one_record(store: &Arc<dyn Store>) {
    const WRITERS: u8 = 24;
    assert!(write(&**store, "m/count", Expect::Absent, Some(&[0])).await);
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let first = change("m/first", Expect::Absent, Some(&[writer]));
            let is_first = store.write_records(vec![first]).await.unwrap();
            loop {
                let found = read(&*store, "m/count").await.unwrap();
                let expect = Expect::Revision(found.revision);
                let own = format!("m/own/{writer}");
                let counted = vec![
                    change("m/count", expect, Some(&[found.value[0] + 1])),
                    change(&own, Expect::Absent, Some(&[])),
                ];
                if store.write_records(counted).await.unwrap() {
                    return is_first;
                }
            }
        });
    }
    for last in 1..=8 {
        let batch = Batch {
            last,
            ..Batch::default()
        };
        store.commit(batch).await.unwrap();
    }
    let done = tasks.join_all().await;
    assert_eq!(done.iter().filter(|is_first| **is_first).count(), 1);
    let count = read(&**store, "m/count").await.unwrap();
    assert_eq!(count.value, [WRITERS], "each once");
    let own = store.records("m/own/").await.unwrap();
    assert_eq!(own.len(), usize::from(WRITERS));
}

async fn a_call_that_is_dropped_is_whole_or_nothing(store: &dyn Store) {
    for polls in 0..4 {
        let key = |which: &str| format!("d/{polls}/{which}");
        let pair = vec![
            change(&key("1"), Expect::Absent, Some(b"1")),
            change(&key("2"), Expect::Absent, Some(b"2")),
        ];
        {
            let mut call = pin!(store.write_records(pair));
            for _ in 0..polls {
                let begun = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_ready())).await;
                if begun {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        // A dropped write that was in flight has ended once the next write has.
        assert!(write(store, &key("3"), Expect::Absent, Some(b"3")).await);
        let found = store.records(&key("")).await.unwrap().len();
        assert!(found == 1 || found == 3, "{found}");
    }
}
