//! Writes of records that wait for the turn. The caller that has the turn performs all of them in one durable
//! transaction.

use crate::{
    core::store::{RecordChange, StoreError},
    store::opened::Opened,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{OwnedMutexGuard, oneshot};

type Answer = Result<bool, StoreError>;

/// The waiting writes, in the order of arrival.
#[derive(Debug, Default)]
pub struct Queue(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    writes: BTreeMap<u64, Write>,
    last: u64,
}

#[derive(Debug)]
struct Write {
    changes: Vec<RecordChange>,
    answer: oneshot::Sender<Answer>,
}

/// A place in the queue. If it is dropped while the write waits, nothing is written.
#[derive(Debug)]
pub struct Ticket {
    queue: Arc<Queue>,
    number: u64,
    answer: oneshot::Receiver<Answer>,
}

impl Ticket {
    pub fn take(queue: &Arc<Queue>, changes: Vec<RecordChange>) -> Ticket {
        let (sender, answer) = oneshot::channel();
        let mut waiting = queue.waiting();
        waiting.last += 1;
        let number = waiting.last;
        let write = Write {
            changes,
            answer: sender,
        };
        waiting.writes.insert(number, write);
        Ticket {
            queue: Arc::clone(queue),
            number,
            answer,
        }
    }

    /// Reports whether the write has not begun.
    pub fn is_waiting(&self) -> bool {
        self.queue.waiting().writes.contains_key(&self.number)
    }

    /// Removes the write from the queue. Returns true if it was still there, so that none of it is ever written.
    pub fn withdraw(&self) -> bool {
        self.queue.waiting().writes.remove(&self.number).is_some()
    }

    /// Waits for the result. Cancel safe.
    pub async fn answer(&mut self) -> Answer {
        let answer = (&mut self.answer).await;
        answer.unwrap_or_else(|_| Err(StoreError("the store broke while it was used".to_owned())))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.withdraw();
    }
}

impl Queue {
    /// Performs all waiting writes as one transaction and answers each. Blocks.
    pub fn write_all(&self, mut opened: OwnedMutexGuard<Opened>) {
        let writes = std::mem::take(&mut self.waiting().writes);
        let (changes, answers): (Vec<_>, Vec<_>) = writes
            .into_values()
            .map(|write| (write.changes, write.answer))
            .unzip();
        let written = opened.write_records(&changes);
        // Release the turn before the answers go out: a caller that has its answer may open the file elsewhere.
        drop(opened);
        for (index, answer) in answers.into_iter().enumerate() {
            let own = written.as_ref().map(|done| done[index]);
            // A caller that has gone does not need its answer.
            let _ = answer.send(own.map_err(StoreError::clone));
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
