//! The dialect seam: what a dialect must do, and what it may rely on.

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

/// An IPsec VPN REST dialect, bound to one backend: one account in one project of one cloud.
///
/// A dialect translates and sends; it does not decide. Watching, confirming, judging against an intent, naming and poll
/// pacing belong to the core, so that all dialects behave alike.
///
/// # Behavior of every method that sends
/// - Ends by `call.deadline` and never reads a response beyond its size limit.
/// - Sends nothing before the account's budget allows it.
/// - Repeats a request only if it is a read whose pooled connection turned out to be closed, or once after the login
///   was renewed. A write is never sent twice; only a cleanup repeats the removal of an object that the cloud certainly
///   did not remove.
/// - Returns errors whose upstream text is bounded and redacted, and that name no secret.
#[async_trait]
pub trait Dialect: fmt::Debug + Send + Sync + 'static {
    /// Returns what this backend can express. The core refuses everything else before it sends a request.
    fn capabilities(&self) -> &Capabilities;

    /// Returns what this backend cannot express of a new connection beyond what `capabilities` excludes: one violation
    /// per field. A reference that a part will supply is not missing, and [`Resources::refuse_create`] reports what is
    /// wrong with a part. Pure; sends nothing.
    fn refuse_create(&self, wanted: &NewConnection) -> Vec<Violation>;

    /// Returns what this backend cannot express of a change, regardless of the connection's present values. A value
    /// that cannot be written may already be in place; the core then leaves it out of the change. Ignores fields not in
    /// `change.fields`.
    fn refuse_update(&self, change: &ConnectionChange) -> Vec<Violation>;

    /// Returns what this connection cannot become because the cloud fixes the field at creation or derives it: one
    /// violation per field, with the present value. Pure; [`Dialect::plan_update`] refuses the same changes.
    fn refuse_to_become(&self, _change: &ConnectionChange, _there: &Connection) -> Vec<Violation> {
        Vec::new()
    }

    /// Resolves, before planning, what a new connection leaves open and only the cloud can tell. On a cloud whose VPN
    /// service has one subnet, a local network given as such becomes the subnet of the service that is made with the
    /// connection. The default resolves nothing.
    ///
    /// # Errors
    /// `NotExpressible` by the field of the connection, or of a part (`parts.vpn_service.subnet`), with the present
    /// value.
    async fn attach(&self, wanted: NewConnection, _call: &Call) -> Result<NewConnection> {
        Ok(wanted)
    }

    /// Returns the connection's selectors as the networks that [`Dialect::plan_create`] would take, in place of ids
    /// that only this cloud understands. The default returns them unchanged.
    ///
    /// # Errors
    /// Those of reading the referenced objects; `ReferenceNotFound` if one does not exist.
    async fn as_networks(&self, there: &Connection, _call: &Call) -> Result<Option<Selectors>> {
        Ok(there.selectors.clone())
    }

    /// Returns the configured addresses of the cloud for display, without secrets.
    fn place(&self) -> String {
        String::new()
    }

    /// Returns which cloud, and which part of it, the dialect talks to. The default tells nothing, and so never counts
    /// as a different cloud.
    fn home(&self) -> Home {
        Home::default()
    }

    /// Returns how much of the account's budget is in use.
    fn usage(&self) -> Usage;

    /// Returns the operations on resources other than connections. The default supports none.
    fn resources(&self) -> &dyn Resources {
        &NoResources
    }

    /// Checks with the cheapest request that the VPN API exists and the login is accepted.
    ///
    /// # Errors
    /// `ApiAbsent` if the VPN collection itself is missing; otherwise the error of the request.
    async fn probe(&self, call: &Call) -> Result<()>;

    /// Reads one connection.
    ///
    /// # Errors
    /// `NotFound` / `ConnectionNotFound` if the cloud says that the connection does not exist.
    async fn get(&self, id: &str, call: &Call) -> Result<Connection>;

    /// Reads one page of connections, in the order of their ids.
    ///
    /// # Behavior
    /// - May return fewer than `page.size` connections, even none, with a `next`; only a missing `next` ends the list.
    /// - Returns a connection that exists throughout the listing exactly once, whatever appears or vanishes between
    ///   pages. Where the cloud's own cursor does not guarantee that, the dialect reads more and sorts.
    /// - May leave out what `page.filter` rejects, if the cloud certainly leaves out nothing else; the core applies the
    ///   filter again.
    async fn list(&self, page: &PageRequest, call: &Call) -> Result<Page<Connection>>;

    /// Plans to create a connection and to leave `mark` on every object, so that each can be found again. The plan
    /// creates the connection's own objects. The core plans the parts; their ids are in `made` when the plan is
    /// performed.
    ///
    /// # Behavior
    /// - Reads what decides whether the connection can be made, and of which objects; refuses what the read shows to be
    ///   wrong.
    /// - The last step is the one whose object has the connection's id.
    /// - `written` is what a caller is told once the intent is accepted, not once it is realized.
    async fn plan_create<'a>(
        &'a self,
        wanted: NewConnection,
        mark: Mark,
        call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>>;

    /// Plans to change a connection, whether or not the gateway created it.
    ///
    /// # Behavior
    /// - Reads first, and returns `Stale` if `change.etag` is not current.
    /// - Treats a value equal to the one read as no change, even if the field is immutable, derived or has a value
    ///   unknown here; refuses another value of an immutable field by its field.
    /// - Has steps only for what differs. If nothing differs, the plan has no steps and its proof is `Proof::Nothing`.
    /// - Creates and updates come before deletes. A step that carries a key comes last among the former, because it
    ///   cannot be undone.
    async fn plan_update<'a>(
        &'a self,
        id: &'a str,
        change: ConnectionChange,
        call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>>;

    /// Plans to remove a connection and its own objects that carry the gateway's mark. The core plans the removal of
    /// parts that the connection references.
    ///
    /// # Errors
    /// `NotFound` / `ConnectionNotFound` if the connection does not exist; `Stale`.
    async fn plan_delete<'a>(
        &'a self,
        id: &'a str,
        etag: Option<String>,
        call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>>;

    /// Finds out by reading whether a step was done whose request was sent and whose answer was lost. Covers
    /// connections and parts. The default cannot tell.
    async fn trace(&self, _step: &Step, _call: &Call) -> Result<Trace> {
        Ok(Trace::Unclear)
    }

    /// Undoes a step that was done and has its id: removes what it created, restores what it changed. An object that is
    /// gone, or that another client has changed since, is left alone: both count as undone. Steps are undone in reverse
    /// order.
    ///
    /// # Errors
    /// `InUse` if the cloud or another client still uses the object; `NotExpressible` if the step cannot be undone,
    /// such as one that wrote a key.
    async fn undo(&self, step: &Step, _call: &Call) -> Result<()> {
        Err(Error::internal(format!(
            "{} cannot be taken back here",
            step.collection
        )))
    }

    /// Performs a DELETE step without its plan. Can be repeated: an object that is already gone counts as removed.
    ///
    /// # Errors
    /// `InUse` while something uses the object.
    async fn remove(&self, step: &Step, _call: &Call) -> Result<Done> {
        Err(Error::internal(format!(
            "{} cannot be removed here",
            step.collection
        )))
    }

    /// Polls up to `capabilities().look_batch` connections and returns the results in the order of `targets`.
    ///
    /// # Behavior
    /// - A connection that is proven gone is a sighting of state `Deleted`, not an error. Proof is required: a 404
    ///   counts only with the API's own error, from the connection itself, for a login that demonstrably has read
    ///   access.
    /// - A statement of the cloud about the connection is a sighting even if it comes as a 4xx (a disabled service).
    /// - Everything that tells nothing about the connection (an outage, throttling, a malformed response, a refused
    ///   login) is an error, and the core keeps what it knew.
    /// - Rows that were not asked for are ignored; a connection missing from a LIST is asked for alone.
    async fn poll(&self, targets: &[Target], call: &Call) -> Vec<Result<Sighting>>;

    /// Polls like [`Dialect::poll`], but passes each result and its index in `targets` to `tell` as soon as it is
    /// known, so that a slow connection does not hold up the others. Returns the ids of all existing connections if the
    /// requests happened to show them; the core then need not list to discover connections created by other clients.
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

/// Receives the poll result of the target at an index.
pub type Tell<'a> = &'a (dyn Fn(usize, Result<Sighting>) + Send + Sync);

/// A connection to poll, and known facts that save requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    pub id: String,
    /// Upstream ids of the writes that the poll must speak for, at most 4. If empty, the poll reports the newest state.
    pub request_ids: Vec<String>,
    /// Whether to read the tunnel too, from the nodes and not from a cache.
    pub want_tunnel: bool,
    /// Whether the connection is enabled, as far as is known. `None` has the dialect find out.
    pub admin_enabled: Option<bool>,
    /// Whether the connection is being deleted. Whether it still exists then matters more than its state.
    pub deleting: bool,
    /// Upstream ids of awaited writes made by other clients, at most 4. The cloud's answer about each goes into
    /// [`Sighting::elsewhere`] and changes nothing else of the poll. Empty where there is no `write_tracking`.
    pub elsewhere: Vec<String>,
}
