//! One request to Neutron.

use http::Method;
use tokio::time::Instant;

use crate::simulator::openstack::listing::Query;

/// One request, decoded.
pub(crate) struct NeutronCall<'a> {
    pub(crate) method: &'a Method,
    /// Without a slash or `.json` at its end.
    pub(crate) path: &'a str,
    pub(crate) query: Query,
    /// Scheme and host as the client named them, or as a proxy says it did.
    pub(crate) origin: String,
    /// As it came.
    pub(crate) path_given: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) now: Instant,
}
