//! The ledger of one backend: the turns of objects, the claimed request ids, the connections being removed, and the
//! writes that did not end with their call.

use crate::{
    core::{
        dialect::{Action, Step},
        ledger::{
            Unfinished, UnfinishedState,
            claims::{Claim, Claims},
            fingerprint::MacKey,
            record::{Entry, Millis},
            shelf::{Shelf, put, remove},
            turns::{Turn, Turns},
        },
        store::{RecordChange, StoreError},
    },
    model::BackendName,
};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio_util::task::task_tracker::TaskTrackerToken;

/// The most unfinished writes that are listed, and the most ended ones that are kept.
pub const MOST_UNFINISHED: usize = 64;

#[derive(Debug)]
pub struct Ledger {
    backend: BackendName,
    shelf: Arc<Shelf>,
    /// The queues of the writes of each object.
    pub turns: Turns,
    /// The claimed request ids.
    pub claims: Arc<Claims>,
    /// Std mutexes: held for bookkeeping only, never across an await.
    removing: Mutex<HashMap<String, usize>>,
    book: Mutex<Book>,
    running: AtomicUsize,
}

/// Counts a write as running in its call until dropped.
#[derive(Debug)]
pub struct Running(Arc<Ledger>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The writes that did not end with their call.
#[derive(Debug, Default)]
struct Book {
    settling: BTreeMap<String, Unfinished>,
    /// Newest last, with the ids of their writes.
    ended: VecDeque<(String, Unfinished)>,
}

/// What an earlier process left.
#[derive(Debug, Default)]
pub struct Left {
    /// Writes that have not ended.
    pub entries: Vec<Entry>,
    ended: VecDeque<(String, Unfinished)>,
}

/// What a write holds exclusively until it ends.
#[derive(Debug, Default)]
pub struct Held {
    /// The claim of its request id.
    pub claim: Option<Claim>,
    /// The turns of the objects that it writes.
    pub turns: Vec<Turn>,
    /// The guard that counts its connection as being removed.
    pub removing: Option<Removing>,
    /// The display name whose turn it holds.
    pub site: Option<String>,
    /// Keeps the backend's task tracker from counting as finished.
    pub under_way: Option<TaskTrackerToken>,
}

/// Returns the key of the turn that an apply takes to create a connection with this display name.
pub fn site(display_name: &str) -> String {
    format!("apply/{display_name}")
}

impl Held {
    /// Releases the claim of the request id after the caller got its answer: a repeat receives the stored answer.
    #[must_use]
    pub fn after_answer(mut self) -> Held {
        self.claim = None;
        self
    }
}

/// Counts a connection as being removed until dropped.
#[derive(Debug)]
pub struct Removing {
    ledger: Arc<Ledger>,
    id: String,
}

impl Drop for Removing {
    fn drop(&mut self) {
        let mut removing = lock(&self.ledger.removing);
        if let Some(count) = removing.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                removing.remove(&self.id);
            }
        }
    }
}

impl Left {
    /// Reads what is kept of a backend. Logs records that it cannot parse, and leaves them alone.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn read(backend: &BackendName, shelf: &Shelf) -> Result<Left, StoreError> {
        let entries = shelf.read(&prefix("writes", backend)).await?.into_iter();
        let entries = entries.filter_map(|(key, value)| readable::<Entry>(&key, &value));
        let ended = shelf.read(&prefix("ended", backend)).await?.into_iter();
        let ended = ended.filter_map(|(key, value)| {
            let id = key.rsplit('/').next().unwrap_or_default().to_owned();
            Some((id, readable::<Unfinished>(&key, &value)?))
        });
        let mut ended: Vec<_> = ended.collect();
        ended.sort_by_key(|(_, it)| it.update_time);
        Ok(Left {
            entries: entries.collect(),
            ended: ended.into(),
        })
    }
}

fn readable<T: for<'de> serde::Deserialize<'de>>(key: &str, value: &[u8]) -> Option<T> {
    let read = serde_json::from_slice(value);
    read.inspect_err(|error| tracing::error!(key, %error, "a record of a write cannot be read"))
        .ok()
}

fn prefix(of: &str, backend: &BackendName) -> String {
    format!("{of}/{}/", backend.as_str())
}

impl Ledger {
    /// Returns the ledger of a backend, taking over the ended writes in `left`.
    pub fn new(
        backend: &BackendName,
        key: MacKey,
        shelf: Arc<Shelf>,
        left: &mut Left,
    ) -> Arc<Ledger> {
        let book = Book {
            ended: std::mem::take(&mut left.ended),
            ..Book::default()
        };
        Arc::new(Ledger {
            backend: backend.clone(),
            claims: Claims::new(backend, key, Arc::clone(&shelf)),
            shelf,
            turns: Turns::default(),
            removing: Mutex::default(),
            book: Mutex::new(book),
            running: AtomicUsize::new(0),
        })
    }

    /// Counts a write as running in its call until the guard is dropped.
    pub fn running(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        Running(Arc::clone(self))
    }

    /// Returns the number of writes running in their call, the number being settled, and the number of kept writes that
    /// were settled, by result.
    pub fn counts(&self) -> [(&'static str, usize); 5] {
        let book = self.book();
        let ended = |state: UnfinishedState| {
            let ended = book.ended.iter();
            let ended = ended.filter(|(id, _)| !book.settling.contains_key(id));
            let ended = ended.filter(|(_, it)| it.state == state).count();
            (state.as_str(), ended)
        };
        [
            ("running", self.running.load(Ordering::Relaxed)),
            (UnfinishedState::Settling.as_str(), book.settling.len()),
            ended(UnfinishedState::Finished),
            ended(UnfinishedState::Undone),
            ended(UnfinishedState::Abandoned),
        ]
    }

    pub fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    pub fn backend(&self) -> &BackendName {
        &self.backend
    }

    /// Returns the change that stores the record of a write.
    pub fn record(&self, entry: &Entry) -> RecordChange {
        put(self.key_of(entry), entry)
    }

    /// Returns the change that removes the record of a write.
    pub fn without(&self, entry: &Entry) -> RecordChange {
        remove(self.key_of(entry))
    }

    fn key_of(&self, entry: &Entry) -> String {
        format!("{}{}", prefix("writes", &self.backend), entry.id)
    }

    /// Counts a connection as being removed until the guard is dropped.
    pub fn removing(self: &Arc<Self>, id: &str) -> Removing {
        *lock(&self.removing).entry(id.to_owned()).or_default() += 1;
        Removing {
            ledger: Arc::clone(self),
            id: id.to_owned(),
        }
    }

    pub fn is_removing(&self, id: &str) -> bool {
        lock(&self.removing).contains_key(id)
    }

    /// Takes the turns of everything that a write changes or removes, except those that another write holds.
    pub fn take_turns(&self, entry: &Entry) -> Vec<Turn> {
        let changes = |step: &&Step| matches!(step.action, Action::Update | Action::Delete);
        let steps = entry.steps.iter().map(|it| &it.step).filter(changes);
        let mut objects: Vec<String> = steps
            .filter_map(|step| Some(format!("{}/{}", step.collection, step.id.as_ref()?)))
            .collect();
        let object = entry.object.as_ref();
        objects.extend(object.map(|id| format!("{}/{id}", entry.collection())));
        objects.extend(entry.site.as_deref().map(site));
        objects.sort();
        objects.dedup();
        let each = objects.iter();
        each.filter_map(|object| self.turns.try_take(object))
            .collect()
    }

    /// Lists a write as being settled, with the reason it has not ended.
    pub fn tell(&self, entry: &Entry, message: &str) {
        let told = self.told(entry, UnfinishedState::Settling, message);
        self.book().settling.insert(entry.id.clone(), told);
    }

    /// Returns the changes that end a write which did not end with its call. They remove its record and store how it
    /// ended, unless `how` is `None` because its caller got the answer.
    pub fn end(&self, entry: &Entry, how: Option<(UnfinishedState, &str)>) -> Vec<RecordChange> {
        let mut changes = vec![self.without(entry)];
        let Some((state, message)) = how else {
            return changes;
        };
        let told = self.told(entry, state, message);
        let key = |id: &str| format!("{}{id}", prefix("ended", &self.backend));
        changes.push(put(key(&entry.id), &told));
        let mut book = self.book();
        book.ended.retain(|(id, _)| *id != entry.id);
        book.ended.push_back((entry.id.clone(), told));
        while book.ended.len() > MOST_UNFINISHED {
            let oldest = book.ended.pop_front();
            changes.extend(oldest.map(|(id, _)| remove(key(&id))));
        }
        changes
    }

    /// Removes a write from those being settled.
    pub fn settled(&self, entry: &Entry) {
        self.book().settling.remove(&entry.id);
    }

    /// Returns the writes that did not end with their call: first those being settled, then the ended ones, each newest
    /// first.
    pub fn unfinished(&self) -> Vec<Unfinished> {
        let book = self.book();
        let mut settling: Vec<Unfinished> = book.settling.values().cloned().collect();
        settling.sort_by_key(|it| std::cmp::Reverse(it.begin_time));
        let ended = book.ended.iter().rev();
        let ended = ended.filter(|(id, _)| !book.settling.contains_key(id));
        settling.extend(ended.map(|(_, it)| it.clone()));
        settling.truncate(MOST_UNFINISHED);
        settling
    }

    fn told(&self, entry: &Entry, state: UnfinishedState, message: &str) -> Unfinished {
        let request = entry.request.as_ref();
        let before = self.book().settling.get(&entry.id).cloned();
        let unchanged = before.filter(|it| it.state == state);
        Unfinished {
            state,
            action: entry.action,
            name: entry.name(&self.backend),
            request_id: request.map(|it| it.id.clone()).unwrap_or_default(),
            leftovers: match state {
                UnfinishedState::Undone | UnfinishedState::Finished => Vec::new(),
                _ => entry.leftover_names(&self.backend),
            },
            message: message.to_owned(),
            begin_time: entry.begun.time(),
            update_time: unchanged.map_or_else(|| Millis::now().time(), |it| it.update_time),
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
