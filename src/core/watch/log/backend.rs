//! The log of one backend: where its changes come in, and what watches over many read.

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

/// A change that has no revision yet.
#[derive(Debug)]
pub struct Draft {
    /// The connection.
    pub name: ConnectionName,
    /// When the poll that saw this began; `None` if there was none.
    pub observe_time: Option<SystemTime>,
    /// When that poll ended.
    pub found: Option<Instant>,
    /// What is said.
    pub status: ConnectionStatus,
    /// What else is to be remembered of the connection. `None` if nothing is, not even the change: whoever watches all
    /// does not ask for what no cloud has shown, and names cost whoever asks for them nothing.
    pub memory: Option<Memory>,
}

impl BackendLog {
    /// Goes on from changes that were kept, in order; up to `compacted` they were not.
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

    /// Numbers a change, adds it to the window of its connection and to this one, and has it written. It may be read, and
    /// whoever follows the windows is told of it, once it is committed.
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

    /// The log it is a part of.
    pub fn shared(&self) -> &Arc<Log> {
        &self.log
    }

    /// Its newest changes.
    pub fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
