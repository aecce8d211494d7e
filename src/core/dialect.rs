//! The seam: what a dialect must do, and what it may rely on.

pub mod call;
pub mod capabilities;
pub mod page;
pub mod plan;
pub mod resources;
pub mod written;

pub use crate::account::{Priority, Usage};
pub use call::{Call, Mark};
pub use capabilities::{Capabilities, ResourceCapabilities};
pub use page::{Page, PageRequest, Pages};
pub use plan::{Action, Done, Made, Plan, Single, Step, Trace};
pub use resources::{NoResources, Resources, WrittenResource};
pub use written::{Proof, Warning, Written};

use crate::{
    core::{
        error::{Error, Result, Violation},
        home::Home,
    },
    model::{Connection, ConnectionChange, NewConnection, Selectors, Sighting},
};
use async_trait::async_trait;
use std::fmt;

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

    /// What of a new connection this backend cannot express, beyond what `capabilities` says: one violation a field. What
    /// comes as a part is not missing; what is wrong with a part is told by [`Resources::refuse_create`]. Pure; sends nothing.
    fn refuse_create(&self, wanted: &NewConnection) -> Vec<Violation>;

    /// The same for a change, whatever is there: a value that cannot be written may be so already, and then the core
    /// leaves it out of the change. Fields not in `change.fields` are not looked at.
    fn refuse_update(&self, change: &ConnectionChange) -> Vec<Violation>;

    /// What of a change this connection cannot become, because the cloud fixes it when a connection is made or derives it
    /// from something else: one violation a field, with what is there. Pure; [`Dialect::plan_update`] refuses it too.
    fn refuse_to_become(&self, _change: &ConnectionChange, _there: &Connection) -> Vec<Violation> {
        Vec::new()
    }

    /// Finds in the cloud what a new connection leaves open and can only be found there, before any of it is planned: of
    /// local networks that are given as such, and that a service has as its one subnet, that subnet. By default nothing is
    /// left open.
    ///
    /// # Errors
    /// `NotExpressible` by the field of the connection, or of a part as `parts.vpn_service.subnet`, with what is there.
    async fn attach(&self, wanted: NewConnection, _call: &Call) -> Result<NewConnection> {
        Ok(wanted)
    }

    /// The selectors of a connection with both sides as networks, in place of ids that mean something in this cloud only:
    /// what [`Dialect::plan_create`] would take for them. By default they are so already.
    ///
    /// # Errors
    /// As what they refer to cannot be read; `ReferenceNotFound` if it is not there.
    async fn as_networks(&self, there: &Connection, _call: &Call) -> Result<Option<Selectors>> {
        Ok(there.selectors.clone())
    }

    /// Where the cloud is, for people: the addresses that were configured, without anything secret.
    fn place(&self) -> String {
        String::new()
    }

    /// Which cloud it speaks to, and what part of it. By default it does not tell, and is nowhere else than any other.
    fn home(&self) -> Home {
        Home::default()
    }

    /// How much of the account's budget is used now.
    fn usage(&self) -> Usage;

    /// What it does with resources beside connections. By default there are none.
    fn resources(&self) -> &dyn Resources {
        &NoResources
    }

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
    async fn list(&self, page: &PageRequest, call: &Call) -> Result<Page<Connection>>;

    /// Plans to make a connection, with `mark` left on whatever is made, so that it can be found again. The plan makes the
    /// connection's own objects; its parts are planned by the core, and their ids are in `made` when it is performed.
    ///
    /// # Behavior
    /// - Reads what decides whether, and of what, it can be made; refuses what that shows to be wrong.
    /// - The last step is the one whose object has the connection's id.
    /// - `written` is what a caller is told once the intent is accepted, not once it is realized.
    async fn plan_create<'a>(
        &'a self,
        wanted: NewConnection,
        mark: Mark,
        call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>>;

    /// Plans to change a connection, whoever made it.
    ///
    /// # Behavior
    /// - Reads first; if `change.etag` is not current, `Stale`.
    /// - What is given as it was read is no change, be it immutable, derived or a word nobody here knows; another value of
    ///   what cannot be changed is refused by its field.
    /// - Has steps only for what differs; if nothing does it has none, and says so by `Proof::Nothing`.
    /// - What makes and changes comes before what removes; a step that bears a key comes last among the former, since it
    ///   cannot be taken back.
    async fn plan_update<'a>(
        &'a self,
        id: &'a str,
        change: ConnectionChange,
        call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>>;

    /// Plans to remove a connection, and what is its own and carries the gateway's mark. Parts that it refers to are the
    /// core's to plan.
    ///
    /// # Errors
    /// `NotFound` / `ConnectionNotFound` if it is not there; `Stale`.
    async fn plan_delete<'a>(
        &'a self,
        id: &'a str,
        etag: Option<String>,
        call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>>;

    /// Finds out whether a step was done that was sent and whose answer nobody has, by reading. Of connections and parts
    /// alike. By default nothing tells.
    async fn trace(&self, _step: &Step, _call: &Call) -> Result<Trace> {
        Ok(Trace::Unclear)
    }

    /// Takes back a step that was done and has its id: removes what it made, puts back what it changed. What is gone, or
    /// was changed by somebody else since, is left as it is: both are as good as taken back. Steps are taken back in the
    /// reverse of their order.
    ///
    /// # Errors
    /// `InUse` if the cloud, or somebody else, still uses it; `NotExpressible` if it cannot be taken back, as a key.
    async fn undo(&self, step: &Step, _call: &Call) -> Result<()> {
        Err(Error::internal(format!(
            "{} cannot be taken back here",
            step.collection
        )))
    }

    /// Performs a DELETE step without its plan, as often as it takes: what is gone already is removed.
    ///
    /// # Errors
    /// `InUse` while something uses it.
    async fn remove(&self, step: &Step, _call: &Call) -> Result<Done> {
        Err(Error::internal(format!(
            "{} cannot be removed here",
            step.collection
        )))
    }

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
