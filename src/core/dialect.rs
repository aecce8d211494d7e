//! The seam: what a dialect must do, and what it may rely on.

pub use crate::account::{Priority, Usage};

use crate::{
    core::{
        client::Client,
        error::{Result, Violation},
        filter::Filter,
        margin,
    },
    model::{Connection, ConnectionChange, ConnectionSpec, Sighting},
};
use async_trait::async_trait;
use std::{fmt, time::Duration};
use tokio::time::Instant;

/// One IPsec-VPN REST dialect, bound to one backend: one account in one project of one cloud.
///
/// A dialect translates and sends; it does not decide. Watching, confirming, judging against an intent,
/// naming and pacing of polls belong to the core, so that all dialects behave alike.
///
/// # Behavior of every method that sends
/// - Ends by `call.deadline`, and never takes an answer larger than its size limit.
/// - Sends nothing before the account's budget allows it.
/// - Repeats a request only if it is a read whose pooled connection turned out to be closed, or once after
///   the login was renewed. A write is never sent twice; only cleaning up removes again what the cloud
///   certainly did not remove.
/// - Returns errors whose upstream text is bounded and redacted, and that name no secret.
#[async_trait]
pub trait Dialect: fmt::Debug + Send + Sync + 'static {
    /// What this backend can express. The core refuses the rest before any request is sent.
    fn capabilities(&self) -> &Capabilities;

    /// What of `spec` this backend cannot express, beyond what `capabilities` says: one violation a field.
    /// Pure; sends nothing.
    fn refuse_create(&self, spec: &ConnectionSpec) -> Vec<Violation>;

    /// The same for a change. Fields not in `change.fields` are not looked at.
    fn refuse_update(&self, change: &ConnectionChange) -> Vec<Violation>;

    /// How much of the account's budget is used now.
    fn usage(&self) -> Usage;

    /// Finds out whether the VPN API is there and the login is accepted; the cheapest request that tells.
    ///
    /// # Errors
    /// `ApiAbsent` if the VPN collection itself is missing; else as the request fails.
    async fn probe(&self, call: &Call) -> Result<()>;

    /// Reads one connection.
    ///
    /// # Errors
    /// `NotFound` / `ConnectionNotFound` if the cloud says that there is none.
    async fn get(&self, id: &str, call: &Call) -> Result<Connection>;

    /// Reads connections in the order of their ids.
    ///
    /// # Behavior
    /// - May answer fewer than `page.size`, even none, with a `next`; only the absence of `next` is the end.
    /// - A connection that is there all the time is on one of the pages, once, whatever vanishes or appears
    ///   between them. Where the cloud's own cursor does not give that, the dialect reads more and sorts.
    /// - May leave out what `page.filter` does not accept, if the cloud is sure to leave out nothing else; the
    ///   core asks the filter again.
    async fn list(&self, page: &PageRequest, call: &Call) -> Result<Page>;

    /// Makes a connection, with `mark` left on whatever is made, so that it can be found again.
    ///
    /// # Behavior
    /// - If a step fails, what the call made is removed again; what could not be removed is in
    ///   `Error.context.leftovers`.
    /// - If the answer to a POST is lost, the marked object is looked for and the POST never repeated;
    ///   unresolved, the error is `Ambiguous` / `WriteAmbiguous`.
    /// - Returns once the intent is accepted, not once it is realized.
    async fn create(&self, spec: &ConnectionSpec, mark: &Mark, call: &Call) -> Result<Written>;

    /// Changes a connection, whoever made it.
    ///
    /// # Behavior
    /// - Reads first; if `change.etag` is not current, `Stale`.
    /// - Writes only what differs; if nothing differs, writes nothing and says so by `Proof::Nothing`.
    async fn update(&self, id: &str, change: &ConnectionChange, call: &Call) -> Result<Written>;

    /// Removes a connection, and what the gateway made for it (by the mark).
    ///
    /// # Errors
    /// `NotFound` / `ConnectionNotFound` if it is not there.
    async fn delete(&self, id: &str, etag: Option<&str>, call: &Call) -> Result<Written>;

    /// Polls several connections, at most `capabilities().look_batch`, and answers in their order.
    ///
    /// # Behavior
    /// - A connection that is proven gone is a sighting of state `Deleted`, not an error. Gone must be proven:
    ///   a 404 counts only with the dialect's own error, from the connection itself, for a login that is
    ///   shown to see.
    /// - What the cloud says of a connection is a sighting even if it says it by a 4xx (a disabled service).
    /// - Everything that tells nothing about the connection (outage, throttling, a broken answer, a refused
    ///   login) is an error, and the core keeps what it knew.
    /// - Rows that were not asked for are ignored; a connection missing from a LIST is asked for alone.
    async fn poll(&self, targets: &[Target], call: &Call) -> Vec<Result<Sighting>>;

    /// The same, and tells of each by its place as soon as it is known, so that one that takes long holds up no other.
    /// Answers the ids of all connections there are, if the requests happened to show them: then nobody has to list them
    /// for those that somebody else made.
    async fn poll_around(
        &self,
        targets: &[Target],
        call: &Call,
        tell: Tell<'_>,
    ) -> Option<Vec<String>> {
        let seen = self.poll(targets, call).await;
        for (place, seen) in seen.into_iter().enumerate() {
            tell(place, seen);
        }
        None
    }
}

/// Is told what a poll showed of the connection at that place.
pub type Tell<'a> = &'a (dyn Fn(usize, Result<Sighting>) + Send + Sync);

/// What surrounds one use of a dialect.
#[derive(Debug, Clone)]
pub struct Call {
    /// When it must be over.
    pub deadline: Instant,
    /// Whose share of the account's budget it comes out of.
    pub priority: Priority,
    /// When whoever waits for the answer goes away, if that is earlier. What was begun goes on, but what can be told
    /// should be told before.
    pub answer_by: Option<Instant>,
}

impl Call {
    /// A call of whoever is being served here.
    pub fn unary(timeout: Duration) -> Call {
        Call {
            deadline: Instant::now() + timeout,
            priority: Priority::Caller(Client::current().unwrap_or_default().0),
            answer_by: None,
        }
    }

    /// A call that nobody waits for.
    pub fn poll(timeout: Duration) -> Call {
        Call {
            deadline: Instant::now() + timeout,
            priority: Priority::Stable,
            answer_by: None,
        }
    }

    /// The same for a write: leaves a third of the time to find out what became of it if its answer does not come,
    /// and to clean up.
    pub fn hurried(&self) -> Call {
        let left = self.deadline.saturating_duration_since(Instant::now());
        Call {
            deadline: self.deadline - left / 3,
            ..self.clone()
        }
    }

    /// The same for finding out what became of a write: ends in time to say that it cannot be known, to whoever waits;
    /// if nobody waits any more, at the deadline.
    pub fn until_known(&self) -> Call {
        let waits = self.answer_by.filter(|by| *by > Instant::now());
        let end = waits.map_or(self.deadline, |by| by.min(self.deadline));
        Call {
            deadline: margin::before(end),
            ..self.clone()
        }
    }
}

/// One connection to poll, and what is known that saves requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// The connection's id.
    pub id: String,
    /// Upstream ids of the writes the poll must speak for, at most 4. Empty: whatever is newest.
    pub request_ids: Vec<String>,
    /// Read the tunnel too, from the nodes and not from a cache.
    pub want_tunnel: bool,
    /// Whether it is switched on, as far as is known. `None` asks the dialect to find out.
    pub admin_enabled: Option<bool>,
    /// It is being deleted: whether it is gone matters more than how it is.
    pub deleting: bool,
    /// Upstream ids of writes made elsewhere that somebody waits for, at most 4. What the cloud says of each goes into
    /// [`Sighting::elsewhere`], and changes nothing else of the poll. Empty where there is no `write_tracking`.
    pub elsewhere: Vec<String>,
}

/// A write that the cloud accepted.
#[derive(Debug, Clone)]
pub struct Written {
    /// The connection's id.
    pub id: String,
    /// As the cloud answered it; `None` after a delete.
    pub connection: Option<Connection>,
    /// How a later poll can tell that it speaks for this write.
    pub proof: Proof,
    /// What the cloud does only approximately, and what could not be removed.
    pub warnings: Vec<Warning>,
}

/// How a poll can tell that what it sees is not older than a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// The cloud tells, when asked about these ids (NSX `x-nsx-requestid`). All must be proven.
    RequestIds(Vec<String>),
    /// Any status speaks for it, because there was nothing before (a new Neutron row, a delete).
    AnyStatus,
    /// The status may still describe what was before. It is proven when the cloud was seen to be at work on a change
    /// and to have ended it, and otherwise assumed after a quiet time.
    StatusMustMove {
        /// What the cloud said when the write was answered.
        native_state: String,
    },
    /// The cloud gave no id for a write it could have told about: assumed after a quiet time.
    RequestIdMissing,
    /// What was written is for people (a name, a description), and the cloud has nothing to realize of it: what is
    /// known of the writes before stays as it was. Not for a cloud whose state takes such a write up like any other
    /// (NSX), since it would be told of before that state has.
    Descriptive,
    /// Nothing had to be written.
    Nothing,
}

/// Something the cloud does only approximately. The call succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The field it is about; empty if it is about the whole.
    pub field: String,
    /// A sentence for people.
    pub message: String,
}

/// What is left on everything the gateway makes, so that it can be told from everything else and found
/// again after a lost answer: a UUID, new for each create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark(String);

impl Mark {
    /// A new one.
    pub fn new() -> Mark {
        Mark(uuid::Uuid::new_v4().to_string())
    }

    /// The UUID.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Mark {
    fn default() -> Self {
        Mark::new()
    }
}

/// Which page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// At most this many, at least 1.
    pub size: u32,
    /// Only connections whose id comes after this one, compared as text; `None`: from the first.
    pub after: Option<String>,
    /// What will be kept of the answer.
    pub filter: Filter,
}

/// One page of connections.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The connections, by id.
    pub connections: Vec<Connection>,
    /// `after` of the next page; `None` at the end.
    pub next: Option<String>,
}

/// What a backend can express. What each means is told in `backend_service.proto`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The dialect's name.
    pub dialect: &'static str,
    /// The variant's name; empty if the dialect has none.
    pub variant: &'static str,
    /// Route-based connections.
    pub route_based: bool,
    /// Policy rules with both sides inside the connection.
    pub inline_policy_rules: bool,
    /// Endpoint groups.
    pub endpoint_groups: bool,
    /// Authentication by certificate.
    pub certificates: bool,
    /// DPD inside the connection.
    pub inline_dpd: bool,
    /// DPD by reference.
    pub dpd_policies: bool,
    /// `mtu`.
    pub mtu: bool,
    /// `tcp_mss_clamping`.
    pub tcp_mss_clamping: bool,
    /// `Initiation::OnDemand`.
    pub on_demand_initiation: bool,
    /// `admin_enabled = false`.
    pub admin_disable: bool,
    /// The cloud itself checks the etag.
    pub atomic_etag: bool,
    /// The cloud tells of nodes.
    pub nodes: bool,
    /// The cloud can tell which write a state speaks for.
    pub write_tracking: bool,
    /// Connections in one poll request.
    pub look_batch: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_became_of_a_write_is_told_while_somebody_waits() {
        let seconds = Duration::from_secs;
        let now = Instant::now();
        for (answer_by, end) in [
            (None, 59),
            (Some(now + seconds(30)), 29),
            (Some(now + seconds(300)), 59),
            // Gone: what was begun is brought to its end for those who watch.
            (Some(now), 59),
        ] {
            let call = Call {
                answer_by,
                ..Call::unary(seconds(60))
            };
            assert_eq!(call.until_known().deadline - now, seconds(end));
            assert_eq!(call.hurried().deadline - now, seconds(40));
        }
    }
}
