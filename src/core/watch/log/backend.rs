//! The log of one backend: where its changes are appended, and what watches over many connections read.

use crate::{
    core::watch::{
        knowledge::Memory,
        log::{
            Log,
            observation::{Observation, Revision, Wire},
            window::Window,
        },
        status::ConnectionStatus,
    },
    model::{BackendName, ConnectionName},
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};
use tokio::time::Instant;

/// The part of the log that is about one backend.
#[derive(Debug)]
pub struct BackendLog {
    backend: BackendName,
    log: Arc<Log>,
    window: Mutex<Window>,
}

/// A change without a revision.
#[derive(Debug)]
pub struct Draft {
    pub name: ConnectionName,
    /// When the poll that saw the status began; `None` if there was none.
    pub observe_time: Option<SystemTime>,
    /// When that poll ended.
    pub found: Option<Instant>,
    pub status: ConnectionStatus,
    /// What the store keeps along with the change. `None` keeps neither, and leaves the change out of watches over all:
    /// a name that no cloud has shown is of no interest there, and a client can make up such names at no cost.
    pub memory: Option<Memory>,
}

impl BackendLog {
    /// Continues from kept changes, in order; those up to `compacted` were not kept.
    pub fn recovered(
        backend: BackendName,
        log: Arc<Log>,
        changes: Vec<Arc<Observation>>,
        compacted: Revision,
    ) -> BackendLog {
        let mut window = Window::of_backend(compacted);
        for change in changes {
            log.compact(&backend, window.push(change));
        }
        BackendLog {
            backend,
            log,
            window: Mutex::new(window),
        }
    }

    /// Gives a change its revision, adds it to the windows of its connection and of the backend, and queues it for the
    /// store. Streams may read it, and are notified, once it is committed.
    pub fn append(&self, connection: &mut Window, draft: Draft) -> Revision {
        let entry = Observation {
            name: draft.name,
            epoch: self.log.epoch(),
            revision: 0,
            previous: connection.latest(),
            observe_time: draft.observe_time,
            status: draft.status,
            wire: Wire {
                found: draft.found,
                ..Wire::default()
            },
        };
        let notifier = connection.notifier();
        let entry = match draft.memory {
            Some(memory) => {
                let mut window = self.window();
                let notifiers = vec![notifier, window.notifier()];
                let entry = self.log.number(entry, Some(memory), notifiers);
                let dropped = window.push(Arc::clone(&entry));
                self.log.compact(&self.backend, dropped);
                entry
            }
            None => self.log.number(entry, None, vec![notifier]),
        };
        let revision = entry.revision;
        connection.push(entry);
        revision
    }

    /// Returns the log that this one is part of.
    pub fn shared(&self) -> &Arc<Log> {
        &self.log
    }

    /// Locks the window of the newest changes.
    pub fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
