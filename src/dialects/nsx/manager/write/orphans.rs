//! Peer endpoints that a delete in doubt has left: of which session, until that one is proven gone.
//!
//! A DELETE of a session whose answer was lost, and of which nothing could be found out, may have happened. Its peer
//! endpoint must stay as long as it may not have, and has nobody who removes it if it has. So it is remembered here, and
//! whoever finds out that the session is gone says so. What is remembered does not outlive the process; the error of
//! the delete has named it.

use crate::{
    core::{
        dialect::Call,
        error::{ErrorKind, Result},
    },
    dialects::nsx::{
        client::Client,
        manager::{
            error, read,
            wire::{PEER_ENDPOINTS, SESSIONS},
            write::object::remove_unused,
        },
        mark,
    },
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::task::JoinSet;

/// The most that are remembered; the oldest is forgotten for the newest.
const MOST: usize = 1_000;
/// How long one attempt to remove a peer endpoint may take.
const ATTEMPT: Duration = Duration::from_secs(60);

/// Peer endpoints that wait for proof, and the removals under way, which end with this.
#[derive(Debug, Default)]
pub struct Orphans {
    waiting: Arc<Mutex<Waiting>>,
    removals: Mutex<JoinSet<()>>,
}

impl Orphans {
    /// Remembers what a session of which it is not known whether it is gone had.
    pub fn remember(&self, session: &str, peer: &str) {
        lock(&self.waiting).add(session, peer);
    }

    /// The session is gone, and its peer endpoint was seen to.
    pub fn forget(&self, session: &str) {
        lock(&self.waiting).take(session);
    }

    /// The session is said to be gone. Begins to remove what is remembered of it, and does not wait for that.
    ///
    /// Must be called within a tokio runtime.
    pub fn session_is_gone(&self, client: &Arc<Client>, session: &str) {
        let Some(peer) = lock(&self.waiting).take(session) else {
            return;
        };
        let (client, waiting) = (Arc::clone(client), Arc::clone(&self.waiting));
        let session = session.to_owned();
        let mut removals = lock(&self.removals);
        while removals.try_join_next().is_some() {}
        removals.spawn(async move {
            let removed = remove(&client, &session, &peer, &Call::poll(ATTEMPT)).await;
            match removed {
                // Another session uses it by now, and whoever made that sees to it.
                Err(error) if error.kind == ErrorKind::FailedPrecondition => {}
                Err(_) => lock(&waiting).add(&session, &peer),
                Ok(()) => {}
            }
        });
    }
}

/// Removes a peer endpoint if its session is gone and the gateway's mark is on it. That no other session uses it NSX
/// itself sees to.
async fn remove(client: &Client, session: &str, peer: &str, call: &Call) -> Result<()> {
    let session = read::object(client, SESSIONS, session, call).await;
    if error::if_there(session)?.is_some() {
        // There after all, so that the next delete sees to it.
        return Ok(());
    }
    // A 404 counts only where the collection answers.
    read::probe(client, call).await?;
    let there = read::object(client, PEER_ENDPOINTS, peer, call).await;
    match error::if_there(there)? {
        Some(there) if mark::is_on(&there) => {
            remove_unused(client, PEER_ENDPOINTS, peer, call).await
        }
        _ => Ok(()),
    }
}

/// Session and peer endpoint, oldest first.
#[derive(Debug, Default)]
struct Waiting(VecDeque<(String, String)>);

impl Waiting {
    fn add(&mut self, session: &str, peer: &str) {
        self.take(session);
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((session.to_owned(), peer.to_owned()));
    }

    fn take(&mut self, session: &str) -> Option<String> {
        let at = self.0.iter().position(|(waiting, _)| waiting == session)?;
        self.0.remove(at).map(|(_, peer)| peer)
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared
        .lock()
        .expect("nobody panics while holding what is remembered")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_are_remembered_and_each_once() {
        let mut waiting = Waiting::default();
        for number in 0..=MOST {
            waiting.add(&number.to_string(), "peer");
            waiting.add(&number.to_string(), "peer");
        }
        assert_eq!(waiting.0.len(), MOST);
        assert_eq!(waiting.take("0"), None);
        assert_eq!(waiting.take("1").as_deref(), Some("peer"));
        assert_eq!(waiting.take("1"), None);
    }
}
