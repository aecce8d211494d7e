//! A disk in memory that can be full and can hang.

use crate::store::{
    RedbStore,
    opened::{Handle, Opened},
};
use redb::{Database, StorageBackend, backends::InMemoryBackend};
use std::{
    io,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// The disk. Clones share it.
#[derive(Debug, Clone)]
pub struct Disk(Arc<State>);

#[derive(Debug)]
struct State {
    bytes: InMemoryBackend,
    full: AtomicBool,
    hangs: Mutex<bool>,
    goes_on: Condvar,
    waiting: AtomicUsize,
    synced: AtomicUsize,
}

impl Default for Disk {
    fn default() -> Disk {
        Disk(Arc::new(State {
            bytes: InMemoryBackend::new(),
            full: AtomicBool::default(),
            hangs: Mutex::default(),
            goes_on: Condvar::default(),
            waiting: AtomicUsize::default(),
            synced: AtomicUsize::default(),
        }))
    }
}

impl Disk {
    /// Opens the store on this disk.
    pub fn store(&self) -> RedbStore {
        let disk = self.clone();
        let open = move || {
            let database = Database::builder().create_with_backend(disk.clone());
            Ok(Handle {
                database: database.map_err(redb::Error::from)?,
                place: None,
            })
        };
        RedbStore::over(Opened::with(Box::new(open)).unwrap())
    }

    /// Sets whether the disk is full.
    pub fn fill(&self, full: bool) {
        self.0.full.store(full, Ordering::SeqCst);
    }

    /// Sets whether the disk hangs whenever data is to become durable.
    pub fn hang(&self, hangs: bool) {
        *self.0.hangs.lock().unwrap() = hangs;
        self.0.goes_on.notify_all();
    }

    /// The number of threads that wait for the disk.
    pub fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::SeqCst)
    }

    /// How many times data was made durable.
    pub fn synced(&self) -> usize {
        self.0.synced.load(Ordering::SeqCst)
    }

    fn room(&self) -> io::Result<()> {
        match self.0.full.load(Ordering::SeqCst) {
            true => Err(io::Error::from(io::ErrorKind::StorageFull)),
            false => Ok(()),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.0.bytes.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.bytes.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.room()?;
        self.0.bytes.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.waiting.fetch_add(1, Ordering::SeqCst);
        let hangs = self.0.hangs.lock().unwrap();
        drop(self.0.goes_on.wait_while(hangs, |hangs| *hangs).unwrap());
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
        self.0.synced.fetch_add(1, Ordering::SeqCst);
        self.room()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.room()?;
        self.0.bytes.write(offset, data)
    }
}
