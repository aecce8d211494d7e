//! Records in a file: what outlives the process, and a file that is old, broken, full, deleted or lost.

use super::{batch, disk::Disk, reopened};
use crate::{
    core::store::{
        Expect, Record, RecordChange, Store,
        promises::{change, records_keep_their_promises},
        records::Records,
    },
    store::RedbStore,
};
use proptest::prelude::*;
use std::{collections::BTreeMap, future::poll_fn, path::Path, pin::Pin, sync::Arc, task::Poll};

#[tokio::test]
async fn records_in_a_file_keep_their_promises() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(&folder.path().join("log.redb")).await;
    records_keep_their_promises(Arc::new(store.unwrap())).await;
}

async fn put(store: &RedbStore, key: &str) -> Record {
    let written = change(key, Expect::Anything, Some(key.as_bytes()));
    assert!(store.write_records(vec![written]).await.unwrap());
    the_only(store.records(key).await.unwrap())
}

fn the_only(found: Vec<Record>) -> Record {
    assert_eq!(found.len(), 1);
    found.into_iter().next().unwrap()
}

async fn remove(store: &RedbStore, key: &str) {
    let removed = change(key, Expect::Anything, None);
    assert!(store.write_records(vec![removed]).await.unwrap());
}

#[tokio::test]
async fn what_was_written_outlives_a_kill_and_no_revision_is_given_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    let killed = RedbStore::open(&path).await.unwrap();
    killed.begin(1).await.unwrap();
    let (stays, goes) = (put(&killed, "stays").await, put(&killed, "goes").await);
    remove(&killed, "goes").await;

    let copy = folder.path().join("copy.redb");
    std::fs::copy(&path, &copy).unwrap();
    let next = RedbStore::open(&copy).await.unwrap();
    next.begin(2).await.unwrap();
    assert_eq!(next.records("").await.unwrap(), [stays]);
    assert!(put(&next, "goes").await.revision > goes.revision);
}

#[tokio::test]
async fn a_store_of_version_1_is_brought_forward_to_keep_records() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store/2026-11.redb");
    std::fs::copy(old, &path).unwrap();
    for life in 0..2 {
        let store = RedbStore::open(&path).await.unwrap();
        assert_eq!(store.set_aside(), None);
        let recovered = store.begin(1).await.unwrap();
        assert_eq!(recovered.connections.len(), 9);
        assert_eq!(store.records("").await.unwrap().len(), life);
        put(&store, "a").await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_was_deleted_is_made_again_with_its_records() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    let store = RedbStore::open(&path).await.unwrap();
    store.begin(1).await.unwrap();
    let (one, gone) = (put(&store, "1").await, put(&store, "2").await);
    remove(&store, "2").await;
    std::fs::remove_file(&path).unwrap();
    let again = put(&store, "2").await;
    assert!(again.revision > gone.revision);
    std::fs::remove_file(&path).unwrap();
    let both = [one, again];
    assert_eq!(store.records("").await.unwrap(), both);
    drop(store);
    let next = RedbStore::open(&path).await.unwrap();
    assert_eq!(next.records("").await.unwrap(), both);
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_made_anew_after_a_failure_has_no_records_and_takes_new_ones() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    let before = RedbStore::open(&path).await.unwrap();
    before.begin(1).await.unwrap();
    put(&before, "x").await;
    let known = put(&before, "1").await;
    drop(before);
    let store = RedbStore::open(&path).await.unwrap();
    store.begin(2).await.unwrap();
    store.opened.lock().await.close();
    std::fs::remove_file(&path).unwrap();

    assert_eq!(store.records("").await.unwrap(), []);
    let as_known = change("1", Expect::Revision(known.revision), Some(b"2"));
    assert!(!store.write_records(vec![as_known]).await.unwrap());
    let written = put(&store, "1").await;
    assert!(
        written.revision > known.revision,
        "nobody takes it for the one before"
    );
    drop(store);
    reopened(&path, 3).await;
    let next = RedbStore::open(&path).await.unwrap();
    assert_eq!(next.records("").await.unwrap(), [written]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_was_replaced_is_not_written_to_and_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    let store = RedbStore::open(&path).await.unwrap();
    store.begin(1).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "somebody else's").unwrap();
    let written = change("1", Expect::Anything, Some(b"1"));
    let refused = store.write_records(vec![written]).await.unwrap_err();
    assert!(
        refused.0.contains("log.redb was replaced by another file"),
        "{refused}"
    );
    assert!(store.records("").await.is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"somebody else's");
}

#[tokio::test]
async fn a_file_with_a_broken_record_is_set_aside_and_records_start_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    let store = RedbStore::open(&path).await.unwrap();
    put(&store, "1").await;
    drop(store);
    {
        let database = redb::Database::open(&path).unwrap();
        let write = database.begin_write().unwrap();
        let records = redb::TableDefinition::<&str, (u64, &[u8])>::new("records");
        let mut records = write.open_table(records).unwrap();
        records.insert("2", (7, b"".as_slice())).unwrap();
        drop(records);
        write.commit().unwrap();
    }
    let store = RedbStore::open(&path).await.unwrap();
    assert!(store.set_aside().is_some_and(Path::exists));
    assert_eq!(store.records("").await.unwrap(), []);
    put(&store, "1").await;
}

#[tokio::test]
async fn a_full_disk_keeps_nothing_says_so_and_goes_on_when_there_is_room() {
    let disk = Disk::default();
    let store = disk.store();
    store.begin(1).await.unwrap();
    let one = put(&store, "1").await;
    disk.fill(true);
    for key in ["1", "2"] {
        let written = change(key, Expect::Anything, Some(b"lost"));
        let refused = store.write_records(vec![written]).await.unwrap_err();
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull).to_string();
        assert!(refused.0.contains(&full), "{refused}");
    }
    disk.fill(false);
    assert_eq!(store.records("").await.unwrap(), [one]);
    put(&store, "2").await;
    store.commit(batch(1, Vec::new())).await.unwrap();
}

/// What a write expects of a record. `Current` is the model's revision.
#[derive(Debug, Clone)]
enum Expected {
    Anything,
    Absent,
    Current,
    Revision(u64),
}

#[derive(Debug, Clone)]
enum Step {
    /// Writes that begin one after the other and end together.
    Writes(Vec<BTreeMap<u8, (Expected, Option<u8>)>>),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let expected = prop_oneof![
        3 => Just(Expected::Anything),
        2 => Just(Expected::Absent),
        3 => Just(Expected::Current),
        1 => (0_u64..12).prop_map(Expected::Revision),
    ];
    let changes = prop::collection::btree_map(0_u8..4, (expected, any::<Option<u8>>()), 0..3);
    prop_oneof![
        5 => prop::collection::vec(changes, 1..5).prop_map(Step::Writes),
        1 => Just(Step::Restart),
    ]
}

fn changes(model: &Records, of: &BTreeMap<u8, (Expected, Option<u8>)>) -> Vec<RecordChange> {
    let change_of = |(key, (expected, value)): (&u8, &(Expected, Option<u8>))| {
        let key = format!("k/{key}");
        let found = model.under(&key).first().map(|record| record.revision);
        let expect = match (expected, found) {
            (Expected::Anything, _) => Expect::Anything,
            (Expected::Absent, _) | (Expected::Current, None) => Expect::Absent,
            (Expected::Current, Some(revision)) => Expect::Revision(revision),
            (Expected::Revision(revision), _) => Expect::Revision(*revision),
        };
        change(&key, expect, value.as_ref().map(std::slice::from_ref))
    };
    of.iter().map(change_of).collect()
}

async fn the_file_does_as_the_model(steps: &[Step]) {
    let disk = Disk::default();
    let mut model = Records::default();
    let mut store = disk.store();
    for step in steps {
        match step {
            Step::Restart => {
                drop(store);
                store = disk.store();
            }
            Step::Writes(writes) => {
                let writes: Vec<_> = writes.iter().map(|it| changes(&model, it)).collect();
                let mut calls: Vec<Pin<Box<_>>> = writes
                    .iter()
                    .map(|changes| Box::pin(store.write_records(changes.clone())))
                    .collect();
                let mut done = Vec::new();
                // Each takes its place in the queue before the test waits for any.
                for call in &mut calls {
                    done.push(poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await);
                }
                for ((call, begun), changes) in calls.into_iter().zip(done).zip(writes) {
                    let written = match begun {
                        Poll::Ready(written) => written,
                        Poll::Pending => call.await,
                    };
                    assert_eq!(written, model.write(changes));
                }
            }
        }
        assert_eq!(store.records("").await.unwrap(), model.under(""));
        assert_eq!(store.records("k/1").await.unwrap(), model.under("k/1"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_file_keeps_what_a_map_would(steps in prop::collection::vec(step(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.unwrap().block_on(the_file_does_as_the_model(&steps));
    }
}
