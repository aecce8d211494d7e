//! A request to Neutron.

use http::Method;
use tokio::time::Instant;

use crate::simulator::openstack::listing::Query;

/// One decoded request to Neutron.
pub(crate) struct NeutronCall<'a> {
    pub(crate) method: &'a Method,
    /// Without a trailing slash or `.json`.
    pub(crate) path: &'a str,
    pub(crate) query: Query,
    /// Scheme and host as the client named them, or as a proxy reports them.
    pub(crate) origin: String,
    /// The path as received.
    pub(crate) path_given: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) now: Instant,
}
