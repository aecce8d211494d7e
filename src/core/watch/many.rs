//! A watch over all connections of one backend, or of every backend: a list, then changes.

use crate::{
    core::{
        error::Result,
        notifier::Follower,
        roster::{Member, Roster},
        watch::{
            counts::{Kind, Open},
            inventory::WatchingAll,
            log::{Log, Observation, observation::Revision},
            poller::Poller,
            polling::Pulse,
            token::ResumeToken,
        },
    },
    model::{BackendName, ConnectionName, RealizationState},
};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// The most events in one message.
const MOST_EVENTS: usize = 256;
/// Approximate limit of the bytes of events in one message. A larger single event still goes out. Clients accept 4 MiB.
const MOST_BYTES: usize = 1 << 20;
/// A reader more than this many changes behind gets only the latest of each connection.
const CONFLATE_BEYOND: usize = 1024;

/// One message of a watch over many connections.
#[derive(Debug, Clone, Default)]
pub struct ManyEvent {
    /// Statuses of connections that the stream has not sent before.
    pub snapshots: Vec<Arc<Observation>>,
    /// Changes, each with the number of earlier changes of its connection that were left out.
    pub changes: Vec<(Arc<Observation>, u64)>,
    /// Sent when nothing has changed for a while.
    pub heartbeat: Option<Pulse>,
    /// Whether the list of existing connections is complete.
    pub synced: bool,
    /// The position to resume from after this message; empty until synced.
    pub resume_token: String,
    /// Backends that cannot be listed, or are not configured any more.
    pub unreachable: Vec<BackendName>,
}

/// A watch over many connections. Dropping it ends it.
#[derive(Debug)]
pub struct WatchMany {
    scope: String,
    log: Arc<Log>,
    /// Reports backends that are added and removed; only in a watch over every backend.
    roster: Option<watch::Receiver<Arc<Roster>>>,
    backends: Vec<One>,
    tunnel: bool,
    heartbeat: Duration,
    cursor: u64,
    snapshots: VecDeque<Arc<Observation>>,
    /// Revisions after the cursor that a snapshot has already sent.
    told: HashSet<u64>,
    /// The last changes of backends that were removed.
    last_words: Vec<Arc<Observation>>,
    unreachable: Vec<BackendName>,
    synced: bool,
    backlog: VecDeque<(Arc<Observation>, u64)>,
    last_sent: Instant,
    ended: bool,
}

#[derive(Debug)]
struct One {
    poller: Arc<Poller>,
    appended: Follower,
    /// The position of the backend's snapshot, if it is beyond the cursor of the watch.
    since: Revision,
    _watching: WatchingAll,
    _open: Open,
}

impl One {
    fn new(poller: &Arc<Poller>, tunnel: bool, since: Revision) -> One {
        One {
            appended: poller.log().window().follow(),
            _watching: poller.inventory().watch(tunnel),
            _open: poller.counts().open(Kind::Many),
            poller: Arc::clone(poller),
            since,
        }
    }

    /// Returns the backend's changes after the cursor of the watch, up to `to`.
    fn after(&self, cursor: Revision, to: Revision) -> Result<Vec<Arc<Observation>>> {
        let window = self.poller.log().window();
        Ok(window.after(cursor.max(self.since), to)?)
    }
}

/// The parameters of a watch over many connections.
#[derive(Debug)]
pub struct OpeningMany {
    /// The parent, as it appears in the resume token.
    pub scope: String,
    pub log: Arc<Log>,
    /// The backends to watch. All but the unreachable ones are already listed.
    pub pollers: Vec<Arc<Poller>>,
    /// Reports backends that are added and removed; only in a watch over every backend.
    pub roster: Option<watch::Receiver<Arc<Roster>>>,
    /// Backends added after the position to resume from, whose connections the client has not seen.
    pub joined: Vec<Arc<Member>>,
    /// Backends that could not be listed.
    pub unreachable: Vec<BackendName>,
    /// Whether to read the tunnels too.
    pub tunnel: bool,
    /// The longest time between two messages.
    pub heartbeat: Duration,
    /// When the call arrived; the first heartbeat interval starts here.
    pub asked: Instant,
    /// The position to resume from; `None` begins with the list.
    pub resume: Option<u64>,
}

impl WatchMany {
    /// Starts with a snapshot of every connection, or after the position of a resume token.
    pub fn open(opening: OpeningMany) -> WatchMany {
        let pollers = opening.pollers.iter();
        let backends: Vec<One> = pollers
            .map(|poller| One::new(poller, opening.tunnel, 0))
            .collect();
        // The position is read before the snapshots. A change in between is in its snapshot, and is skipped when the
        // log brings it again.
        let now = opening.log.committed();
        let (cursor, snapshots) = match opening.resume {
            Some(cursor) => (cursor, VecDeque::new()),
            None => (
                now,
                backends
                    .iter()
                    .flat_map(|one| one.poller.inventory().snapshot(now))
                    .collect(),
            ),
        };
        let told = snapshots
            .iter()
            .map(|entry| entry.revision)
            .filter(|told| *told > cursor)
            .collect();
        let mut watch = WatchMany {
            scope: opening.scope,
            log: opening.log,
            roster: opening.roster,
            backends,
            tunnel: opening.tunnel,
            heartbeat: opening.heartbeat,
            cursor,
            snapshots,
            told,
            last_words: Vec::new(),
            unreachable: opening.unreachable,
            synced: opening.resume.is_some(),
            backlog: VecDeque::new(),
            last_sent: opening.asked,
            ended: false,
        };
        if watch.synced {
            watch.unreachable.clear();
        }
        for member in opening.joined {
            watch.join(&member);
        }
        watch
    }

    /// Returns the next message, or `None` after the last. An error is the last message.
    pub async fn next(&mut self) -> Option<Result<ManyEvent>> {
        if self.ended {
            return None;
        }
        let result = self.advance().await;
        self.last_sent = Instant::now();
        self.ended = result.is_err();
        if let Ok(event) = &result {
            self.count(event);
        }
        Some(result)
    }

    /// Counts the changes just handed over.
    fn count(&self, event: &ManyEvent) {
        for (change, coalesced) in &event.changes {
            let backend = &change.name.backend;
            let mut all = self.backends.iter();
            if let Some(one) = all.find(|one| one.poller.backend().name() == backend) {
                let found = change.wire.found;
                let lag = found.map(|found| self.last_sent.duration_since(found));
                one.poller.counts().delivered(lag, *coalesced);
            }
        }
    }

    async fn advance(&mut self) -> Result<ManyEvent> {
        if !self.synced {
            // A backend added since the position was read also goes into the list.
            self.follow(self.cursor)?;
            let batch = fitting(self.snapshots.iter());
            let snapshots = self.snapshots.drain(..batch).collect();
            self.synced = self.snapshots.is_empty();
            return Ok(ManyEvent {
                snapshots,
                synced: self.synced,
                resume_token: if self.synced {
                    self.resume_token()
                } else {
                    String::new()
                },
                unreachable: std::mem::take(&mut self.unreachable),
                ..ManyEvent::default()
            });
        }
        loop {
            for one in &mut self.backends {
                one.appended.take_change();
            }
            // The position is read before the set of backends, so that no resume token is beyond the arrival of a
            // backend whose connections have not been sent.
            let to = self.log.committed();
            if self.backlog.is_empty() {
                self.follow(to)?;
            }
            if !self.snapshots.is_empty() {
                let batch = fitting(self.snapshots.iter());
                return Ok(ManyEvent {
                    snapshots: self.snapshots.drain(..batch).collect(),
                    resume_token: self.resume_token(),
                    ..ManyEvent::default()
                });
            }
            self.collect(to)?;
            if !self.backlog.is_empty() {
                let batch = fitting(self.backlog.iter().map(|(entry, _)| entry));
                let changes: Vec<_> = self.backlog.drain(..batch).collect();
                // In order of revision, so that everything up to the last one is sent or counted as left out.
                let sent = changes
                    .last()
                    .map_or(self.cursor, |(entry, _)| entry.revision);
                let position = if self.backlog.is_empty() {
                    self.cursor
                } else {
                    sent
                };
                let resume_token = self.token_at(position);
                return Ok(ManyEvent {
                    changes,
                    resume_token,
                    ..ManyEvent::default()
                });
            }
            if !self.unreachable.is_empty() {
                return Ok(ManyEvent {
                    unreachable: std::mem::take(&mut self.unreachable),
                    resume_token: self.resume_token(),
                    ..ManyEvent::default()
                });
            }
            self.check_one()?;
            let silence = self.last_sent + self.heartbeat;
            tokio::select! {
                biased;
                () = any_change(&mut self.backends) => {}
                () = set_changed(&mut self.roster) => {}
                () = sleep_until(silence) => {
                    return Ok(ManyEvent {
                        heartbeat: Some(self.pulse()),
                        resume_token: self.resume_token(),
                        ..ManyEvent::default()
                    });
                }
            }
        }
    }

    /// Applies changes of the roster, once everything up to the cursor is sent.
    fn follow(&mut self, to: Revision) -> Result<()> {
        let Some(roster) = &mut self.roster else {
            return Ok(());
        };
        if !roster.has_changed().unwrap_or(false) {
            return Ok(());
        }
        let there = Arc::clone(&roster.borrow_and_update());
        let is_there = |one: &One| {
            let member = there.get(one.poller.backend().name());
            member.is_some_and(|member| Arc::ptr_eq(member.poller(), &one.poller))
        };
        let before = std::mem::take(&mut self.backends).into_iter();
        let (stay, leave): (Vec<One>, Vec<One>) = before.partition(is_there);
        self.backends = stay;
        for one in leave {
            let last = one.after(self.cursor, to)?;
            self.last_words.extend(last);
            self.unreachable.push(one.poller.backend().name().clone());
        }
        for member in there.iter() {
            let is_known = |one: &One| Arc::ptr_eq(&one.poller, member.poller());
            if !self.backends.iter().any(is_known) {
                self.join(member);
            }
        }
        if !self.last_words.is_empty() {
            // A backend that left and came back starts with the last it said.
            let told = self.snapshots.iter().map(|it| (&it.name, it.revision));
            let told: HashMap<_, _> = told.collect();
            let is_new = |entry: &Arc<Observation>| {
                let told = told.get(&entry.name);
                told.is_none_or(|told| *told < entry.revision)
            };
            self.last_words.retain(is_new);
        }
        Ok(())
    }

    /// Starts to watch a backend that was added: sends the statuses that its connections had when it was added, or at
    /// the cursor if that is later, and then the changes since.
    fn join(&mut self, member: &Member) {
        let since = self.cursor.max(member.base());
        let mut one = One::new(member.poller(), self.tunnel, since);
        // What was committed before it was followed has woken nobody.
        one.appended.mark_changed();
        let inventory = one.poller.inventory();
        inventory.want_list();
        let standing = inventory.snapshot_at(since);
        self.snapshots.extend(standing);
        self.backends.push(one);
    }

    /// Ends a watch over one backend that was removed, once everything said before the removal is sent.
    fn check_one(&self) -> Result<()> {
        match (&self.roster, self.backends.first()) {
            (None, Some(one)) => one.poller.backend().configured().check(),
            _ => Ok(()),
        }
    }

    /// Moves everything after the cursor up to `to` from the backends' windows into the backlog, in order.
    fn collect(&mut self, to: Revision) -> Result<()> {
        if !self.backlog.is_empty() {
            return Ok(());
        }
        let mut found = std::mem::take(&mut self.last_words);
        for one in &self.backends {
            found.extend(one.after(self.cursor, to)?);
        }
        self.cursor = self.cursor.max(to);
        found.retain(|entry| !self.told.remove(&entry.revision));
        found.sort_by_key(|entry| entry.revision);
        self.backlog = if found.len() > CONFLATE_BEYOND {
            conflate(found)
        } else {
            found.into_iter().map(|entry| (entry, 0)).collect()
        };
        Ok(())
    }

    fn resume_token(&self) -> String {
        self.token_at(self.cursor)
    }

    fn token_at(&self, position: u64) -> String {
        ResumeToken::new(self.scope.clone(), self.log.epoch(), position).encode()
    }

    fn pulse(&self) -> Pulse {
        let healths: Vec<_> = self
            .backends
            .iter()
            .map(|one| one.poller.backend().health())
            .collect();
        let interval = self
            .backends
            .iter()
            .map(|one| one.poller.inventory().longest_interval())
            .max()
            .unwrap_or_default();
        // The whole is only as fresh as its stalest backend.
        let last_success = healths
            .iter()
            .map(|health| health.last_success)
            .min()
            .flatten();
        let answered = healths.iter().map(|health| health.answered).min().flatten();
        Pulse {
            last_success,
            next_poll: None,
            stale: answered.is_none_or(|at| at.elapsed() > interval * 2 + Duration::from_secs(1)),
            interval,
            last_error: healths.iter().find_map(|health| health.reason),
            budget_used: self
                .backends
                .iter()
                .map(|one| one.poller.budget_used())
                .fold(0.0, f64::max),
        }
    }
}

/// Returns how many of these events fit into one message.
fn fitting<'a>(events: impl Iterator<Item = &'a Arc<Observation>>) -> usize {
    let mut bytes = 0;
    events
        .take(MOST_EVENTS)
        .enumerate()
        .take_while(|(at, entry)| {
            // The name appears both in the event and in its observation.
            bytes += 2 * entry.name.id.len() + entry.status.weight();
            *at == 0 || bytes <= MOST_BYTES
        })
        .count()
}

/// Keeps the latest failure and the newest change of each connection, and counts what it leaves out.
fn conflate(found: Vec<Arc<Observation>>) -> VecDeque<(Arc<Observation>, u64)> {
    let (mut newest, mut failure) = (HashSet::new(), HashSet::new());
    let mut keep: Vec<bool> = found
        .iter()
        .rev()
        .map(|entry| {
            let is_newest = newest.insert(&entry.name);
            let is_failure = entry.status.state == RealizationState::Failed;
            is_newest || (is_failure && failure.insert(&entry.name))
        })
        .collect();
    keep.reverse();
    let mut left_out: HashMap<ConnectionName, u64> = HashMap::new();
    let mut kept = VecDeque::new();
    for (entry, keep) in found.into_iter().zip(keep) {
        if keep {
            let before = left_out.remove(&entry.name).unwrap_or_default();
            kept.push_back((entry, before));
        } else {
            *left_out.entry(entry.name.clone()).or_default() += 1;
        }
    }
    kept
}

async fn any_change(backends: &mut [One]) {
    if backends.is_empty() {
        return std::future::pending().await;
    }
    let waits = backends
        .iter_mut()
        .map(|one| Box::pin(one.appended.changed()));
    futures_util::future::select_all(waits).await;
}

/// Waits until the set of backends changes. Waits forever in a watch over one backend, or once the gateway has ended.
async fn set_changed(roster: &mut Option<watch::Receiver<Arc<Roster>>>) {
    if let Some(roster) = roster
        && roster.changed().await.is_ok()
    {
        // `follow` must still see the change.
        roster.mark_changed();
        return;
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::{
            dialect::Proof,
            listing::tests::{Rows, gateway},
            watch::knowledge::{Write, WriteKind},
        },
        model::Intent,
    };

    /// A connection never polled appears in the snapshot without hiding an uncommitted change.
    #[tokio::test(start_paused = true)]
    async fn a_change_that_is_not_committed_yet_is_told_though_the_list_shows_what_nobody_has_polled()
     {
        let rows = Rows::new(100);
        let gateway = gateway(&[("a", &rows)]);
        let backend: BackendName = "a".parse().unwrap();
        let poller = gateway.poller(&backend).unwrap();
        let named = |id| ConnectionName::connection(&backend, id).unwrap();
        let now = Instant::now();
        poller.inventory().shown(&named("1")).wrote(&Write {
            kind: WriteKind::Create,
            proof: Proof::AnyStatus,
            intent: Intent::Enabled,
            done: now,
            parts_remain: false,
        });
        let _other = poller.inventory().watch(false);
        let ids = ["1", "2"].map(str::to_owned);
        poller.inventory().shown_all(ids.into(), now, now);
        let log = Arc::clone(poller.log().shared());
        assert_eq!(
            (log.latest(), log.committed()),
            (1, 0),
            "nobody has yielded"
        );
        let mut all = WatchMany::open(OpeningMany {
            scope: "backends/a".to_owned(),
            log,
            pollers: vec![poller],
            roster: None,
            joined: Vec::new(),
            unreachable: Vec::new(),
            tunnel: false,
            heartbeat: Duration::from_secs(15),
            asked: now,
            resume: None,
        });
        let first = all.next().await.unwrap().unwrap();
        assert!(first.synced && first.snapshots.len() == 2);
        assert!(first.snapshots.iter().all(|seen| seen.revision == 0));
        let second = all.next().await.unwrap().unwrap();
        let told = second
            .changes
            .first()
            .map(|(change, _)| (&*change.name.id, change.revision));
        assert_eq!(told, Some(("1", 1)));
    }
}
