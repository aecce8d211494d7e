mod disk;
mod records;
mod turns;

use crate::{
    core::{
        store::{Batch, Recovered, Step, Store},
        watch::{
            knowledge::{Memory, QuietMemory, WriteKind},
            log::{Observation, Wire},
            status::{Assumption, ConnectionStatus},
        },
    },
    model::{
        Assurance, ConnectionName, Intent, Node, RealizationState, Reason, Tunnel, TunnelStatus,
    },
    store::{RedbStore, schema, unusable::Unusable},
};
use disk::Disk;
use redb::{Database, backends::InMemoryBackend};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

fn name(backend: &str, id: &str) -> ConnectionName {
    ConnectionName::connection(&backend.parse().unwrap(), id).unwrap()
}

/// A change with a value in every field that is kept.
fn change(backend: &str, id: &str, revision: u64, previous: u64) -> Arc<Observation> {
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
    Arc::new(Observation {
        name: name(backend, id),
        epoch: 7,
        revision,
        previous,
        observe_time: Some(time),
        status: ConnectionStatus {
            state: RealizationState::InProgress,
            assurance: Assurance::ControlPlane,
            reason: Some(Reason::new("CODE", "words")),
            native_state: "in_progress".to_owned(),
            intent: Intent::Enabled,
            nodes: vec![Node {
                id: "n".to_owned(),
                state: RealizationState::Pending,
                ..Node::default()
            }]
            .into(),
            tunnel: Some(Tunnel {
                status: TunnelStatus::Negotiating,
                total: 2,
                update_time: Some(time),
                ..Tunnel::default()
            }),
            request_ids: vec!["r".to_owned()],
            writes: 3,
            confirmed: true,
            assumption: Some(Assumption {
                reason: Reason::new("ASSUMED_AFTER_QUIET_TIME", "words"),
                as_is: Assurance::TunnelUp,
                made: true,
            }),
            login_lost: true,
        },
        wire: Wire::default(),
    })
}

fn memory() -> Memory {
    Memory {
        intent: Intent::Disabled,
        last_write: Some((WriteKind::Update, Intent::Disabled)),
        writes: 4,
        wanted: vec![(3, Intent::Enabled), (4, Intent::Disabled)],
        outstanding: vec!["r".to_owned()],
        quiet: Some(QuietMemory {
            movement_proves: true,
            last: Some(("ACTIVE".to_owned(), RealizationState::Active)),
            made: true,
        }),
        ..Memory::default()
    }
}

fn step(change: &Arc<Observation>) -> Step {
    Step::Change(Arc::clone(change), Arc::new(memory()))
}

fn batch(last: u64, steps: Vec<Step>) -> Batch {
    Batch {
        last,
        gap_until: None,
        steps,
    }
}

/// What the next user of the store finds.
async fn reopened(path: &Path, at_least: u64) -> Recovered {
    let store = RedbStore::open(path).await.unwrap();
    store.begin(at_least).await.unwrap()
}

#[tokio::test]
async fn what_was_committed_is_there_for_the_next_life() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    let store = RedbStore::open(&path).await.unwrap();
    let fresh = store.begin(100).await.unwrap();
    assert_eq!((fresh.epoch, fresh.last), (100, 0));
    assert!(fresh.earlier.is_empty() && fresh.log.is_empty() && fresh.connections.is_empty());

    let (one, two) = (change("a", "1", 1, 0), change("b", "1", 2, 0));
    let three = change("a", "1", 3, 1);
    store
        .commit(batch(2, vec![step(&one), step(&two)]))
        .await
        .unwrap();
    store.commit(batch(3, vec![step(&three)])).await.unwrap();
    drop(store);

    let next = reopened(&path, 50).await;
    assert_eq!(next.epoch, 101, "higher, also if the clock was set back");
    assert_eq!(next.earlier, [(100, 3)].into());
    assert_eq!(next.last, 3);
    assert_eq!(next.log, [one, two.clone(), three.clone()]);
    assert_eq!(next.connections, [(three, memory()), (two, memory())]);
    let after = reopened(&path, 200).await;
    assert_eq!(after.epoch, 200);
    assert_eq!(after.earlier, [(100, 3), (101, 3)].into());
}

#[tokio::test]
async fn what_left_its_window_or_was_forgotten_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    let store = RedbStore::open(&path).await.unwrap();
    store.begin(1).await.unwrap();
    let changes: Vec<_> = (1..=4).map(|at| change("a", "1", at, at - 1)).collect();
    let mut steps: Vec<Step> = changes.iter().map(step).collect();
    let backend = changes[0].name.backend.clone();
    steps.push(Step::Compact(backend.clone(), 1));
    steps.push(Step::Compact(backend.clone(), 2));
    steps.push(Step::Forget(name("a", "1")));
    let other = change("a", "2", 5, 0);
    steps.push(step(&other));
    store.commit(batch(5, steps)).await.unwrap();
    drop(store);

    let next = reopened(&path, 1).await;
    assert_eq!(next.floors, [(backend, 2)].into());
    assert_eq!(
        next.log,
        [&changes[2..], std::slice::from_ref(&other)].concat()
    );
    assert_eq!(next.connections, [(other, memory())]);
}

#[tokio::test]
async fn a_gap_leaves_nothing_before_it_but_where_connections_stand() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    let store = RedbStore::open(&path).await.unwrap();
    store.begin(1).await.unwrap();
    let (one, other) = (change("a", "1", 1, 0), change("b", "1", 2, 0));
    store
        .commit(batch(2, vec![step(&one), step(&other)]))
        .await
        .unwrap();
    let newest = change("a", "1", 9, 8);
    let after_gap = Batch {
        last: 9,
        gap_until: Some(9),
        steps: vec![step(&newest)],
    };
    store.commit(after_gap).await.unwrap();
    drop(store);

    let next = reopened(&path, 1).await;
    assert_eq!(next.log, []);
    let floors = [("a".parse().unwrap(), 9), ("b".parse().unwrap(), 9)];
    assert_eq!(next.floors, floors.into());
    assert_eq!(next.connections, [(newest, memory()), (other, memory())]);
}

#[tokio::test]
async fn a_file_in_use_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    let _first = RedbStore::open(&path).await.unwrap();
    let error = RedbStore::open(&path).await.unwrap_err().to_string();
    assert!(error.contains("another process is using it"), "{error}");
    assert!(error.contains("log.redb"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    let _store = RedbStore::open(&path).await.unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[derive(Debug, Clone, Copy)]
enum Damage {
    Unfinished,
    Truncated,
    Overwritten,
    UnreadableRow,
}

#[tokio::test]
async fn a_broken_file_is_set_aside_and_the_log_starts_anew() {
    for damage in [
        Damage::Unfinished,
        Damage::Truncated,
        Damage::Overwritten,
        Damage::UnreadableRow,
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.redb");
        let store = RedbStore::open(&path).await.unwrap();
        store.begin(1).await.unwrap();
        let steps = (1..=200)
            .map(|at| step(&change("a", &at.to_string(), at, 0)))
            .collect();
        store.commit(batch(200, steps)).await.unwrap();
        drop(store);
        let sound = std::fs::read(&path).unwrap();
        match damage {
            // The file as a kill leaves it before redb has written its magic bytes.
            Damage::Unfinished => {
                let mut bytes = sound;
                bytes[..9].fill(0);
                std::fs::write(&path, bytes).unwrap();
            }
            Damage::Truncated => std::fs::write(&path, &sound[..sound.len() / 3]).unwrap(),
            Damage::Overwritten => {
                let mut bytes = sound;
                bytes[64..].fill(0xA5);
                std::fs::write(&path, bytes).unwrap();
            }
            Damage::UnreadableRow => {
                let database = Database::create(&path).unwrap();
                let write = database.begin_write().unwrap();
                {
                    let log = redb::TableDefinition::<u64, &[u8]>::new("log");
                    let mut log = write.open_table(log).unwrap();
                    log.insert(9, b"{\"name\":1}".as_slice()).unwrap();
                }
                write.commit().unwrap();
            }
        }
        let store = RedbStore::open(&path).await.unwrap();
        assert!(
            store.set_aside().is_some_and(Path::exists),
            "{damage:?} goes unnoticed"
        );
        let recovered = store.begin(1_700).await.unwrap();
        assert_eq!((recovered.epoch, recovered.last), (1_700, 0), "{damage:?}");
        store
            .commit(batch(1, vec![step(&change("a", "1", 1, 0))]))
            .await
            .unwrap();
    }
}

#[test]
fn a_newer_schema_is_refused_and_an_older_one_brought_forward() {
    let database = Database::builder()
        .create_with_backend(InMemoryBackend::new())
        .unwrap();
    const MARKS: redb::TableDefinition<'_, u64, u64> = redb::TableDefinition::new("marks");
    fn mark(write: &redb::WriteTransaction, at: u64) -> Result<(), redb::Error> {
        let mut marks = write.open_table(MARKS)?;
        let order = redb::ReadableTableMetadata::len(&marks)?;
        marks.insert(at, order)?;
        Ok(())
    }
    let migrations: [schema::Migration; 2] = [|write| mark(write, 1), |write| mark(write, 2)];

    schema::bring_forward(&database, 1, &migrations[..0]).unwrap();
    schema::bring_forward(&database, 3, &migrations).unwrap();
    schema::bring_forward(&database, 3, &migrations).unwrap();
    let read = redb::ReadableDatabase::begin_read(&database).unwrap();
    let marks = read.open_table(MARKS).unwrap();
    let found: Vec<(u64, u64)> = redb::ReadableTable::iter(&marks)
        .unwrap()
        .map(|item| item.map(|(at, order)| (at.value(), order.value())).unwrap())
        .collect();
    assert_eq!(found, [(1, 0), (2, 1)], "each step once, in order");

    let Err(Unusable::Refused(why)) = schema::prepare(&database) else {
        panic!("version 3 is newer than {}", schema::VERSION)
    };
    assert!(why.contains("version 3"), "{why}");
}

#[tokio::test]
async fn a_full_disk_is_an_error_until_there_is_room_again() {
    let disk = Disk::default();
    let store = disk.store();
    store.begin(1).await.unwrap();
    let (one, two) = (change("a", "1", 1, 0), change("a", "1", 2, 1));
    store.commit(batch(1, vec![step(&one)])).await.unwrap();

    disk.fill(true);
    for _ in 0..2 {
        let refused = store.commit(batch(2, vec![step(&two)])).await;
        assert!(refused.is_err());
    }
    disk.fill(false);
    store.commit(batch(2, vec![step(&two)])).await.unwrap();
    let next = store.begin(2).await.unwrap();
    assert_eq!(next.log, [one, two]);
}

#[tokio::test]
async fn what_is_no_store_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("isthmus.toml");
    for foreign in [
        b"[store]\npath = \"isthmus.toml\"\n".as_slice(),
        b"SQLite format 3\0",
        b"redb",
        &[b'x'; 9_000],
    ] {
        std::fs::write(&path, foreign).unwrap();
        let error = RedbStore::open(&path).await.unwrap_err().to_string();
        assert!(
            error.contains("isthmus.toml (`path` of [store])"),
            "{error}"
        );
        assert!(error.contains("it is not a store"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), foreign);
    }
    // A disk image begins with zeros, as an unfinished store does.
    std::fs::File::create(&path)
        .unwrap()
        .set_len(17 << 20)
        .unwrap();
    assert!(RedbStore::open(&path).await.is_err());
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 17 << 20);
    std::fs::remove_file(&path).unwrap();

    // Two databases of other programs, one with a table of the same name.
    for table in ["accounts", "meta"] {
        let database = Database::create(&path).unwrap();
        let write = database.begin_write().unwrap();
        let definition = redb::TableDefinition::<u64, u64>::new(table);
        write.open_table(definition).unwrap().insert(1, 2).unwrap();
        write.commit().unwrap();
        drop(database);
        let error = RedbStore::open(&path).await.unwrap_err().to_string();
        assert!(error.contains("another program's database"), "{error}");
        let database = Database::open(&path).unwrap();
        let read = redb::ReadableDatabase::begin_read(&database).unwrap();
        assert_eq!(read.list_tables().unwrap().count(), 1);
        drop((read, database));
        std::fs::remove_file(&path).unwrap();
    }

    std::fs::create_dir(&path).unwrap();
    let error = RedbStore::open(&path).await.unwrap_err().to_string();
    assert!(error.contains("not a regular file"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn what_was_set_aside_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    std::fs::write(folder.path().join("log.redb.broken"), "of an older version").unwrap();
    let mut kept = Vec::new();
    for _ in 0..3 {
        drop(RedbStore::open(&path).await.unwrap());
        let mut bytes = std::fs::read(&path).unwrap();
        assert!(
            bytes.len() < 4 << 20,
            "as `UNFINISHED` says: {}",
            bytes.len()
        );
        bytes[64..].fill(0xA5);
        std::fs::write(&path, bytes).unwrap();
        let store = RedbStore::open(&path).await.unwrap();
        let aside = store.set_aside().unwrap().to_owned();
        let name = aside.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(name.starts_with("log.redb.broken-2"), "{name}");
        kept.push(aside);
    }
    kept.dedup();
    assert_eq!(kept.len(), 3);
    assert!(kept.iter().all(|path| path.exists()));
    let before = std::fs::read_to_string(folder.path().join("log.redb.broken")).unwrap();
    assert_eq!(before, "of an older version");
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_was_deleted_is_made_again_whole_and_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    let store = RedbStore::open(&path).await.unwrap();
    store.begin(100).await.unwrap();
    let (one, two) = (change("a", "1", 1, 0), change("a", "2", 2, 0));
    store.commit(batch(1, vec![step(&one)])).await.unwrap();
    for by_a_commit in [true, false] {
        std::fs::remove_file(&path).unwrap();
        match by_a_commit {
            true => store.commit(batch(2, vec![step(&two)])).await.unwrap(),
            false => store.poll().await.unwrap(),
        }
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let copy = folder.path().join("copy.redb");
    std::fs::copy(&path, &copy).unwrap();
    let next = reopened(&copy, 1).await;
    assert_eq!((next.epoch, next.last), (101, 2));
    assert_eq!(next.earlier, [(100, 2)].into());
    assert_eq!(next.log, [one.clone(), two.clone()]);
    assert_eq!(next.connections, [(one, memory()), (two, memory())]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_was_replaced_is_noticed_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("log.redb"), folder.path().join("moved"));
    let store = RedbStore::open(&path).await.unwrap();
    store.begin(100).await.unwrap();
    std::fs::rename(&path, &moved).unwrap();
    std::fs::write(&path, "somebody else's").unwrap();
    let one = change("a", "1", 1, 0);
    let refused = store.commit(batch(1, vec![step(&one)])).await.unwrap_err();
    let polled = store.poll().await.unwrap_err();
    for error in [refused.to_string(), polled.to_string()] {
        assert!(
            error.contains("log.redb was replaced by another file"),
            "{error}"
        );
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"somebody else's");
    std::fs::rename(&moved, &path).unwrap();
    store.poll().await.unwrap();
    store.commit(batch(1, vec![step(&one)])).await.unwrap();
    drop(store);
    assert_eq!(reopened(&path, 1).await.log, [one]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_made_anew_after_a_failure_goes_on_behind_a_gap_and_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    drop(reopened(&path, 50).await);
    let store = RedbStore::open(&path).await.unwrap();
    assert_eq!(store.begin(100).await.unwrap().epoch, 100);
    // The disk was full, and an operator made room by deleting the store.
    store.opened.lock().await.close();
    std::fs::remove_file(&path).unwrap();
    let nine = change("a", "1", 9, 8);
    let after_gap = Batch {
        last: 9,
        gap_until: Some(9),
        steps: vec![step(&nine)],
    };
    store.commit(after_gap).await.unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(store);
    let next = reopened(&path, 1).await;
    assert_eq!((next.epoch, next.last, next.floor), (101, 9, 9));
    assert_eq!(next.earlier, [(50, 0), (100, 9)].into());
    assert_eq!(next.connections, [(nine, memory())]);

    let store = RedbStore::open(&path).await.unwrap();
    store.begin(200).await.unwrap();
    store.opened.lock().await.close();
    std::fs::remove_file(&path).unwrap();
    drop(reopened(&path, 300).await);
    let error = store.poll().await.unwrap_err().to_string();
    assert!(error.contains("replaced by another store"), "{error}");
}
