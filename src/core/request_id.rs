//! Identifies repeats of a write (AIP-155).

use std::fmt;

/// The options of a write.
#[derive(Debug, Clone, Default)]
pub struct How {
    /// Whether to check and plan only.
    pub validate_only: bool,
    /// The request, if its caller chose a request id.
    pub request: Option<Request>,
}

impl How {
    /// Returns the options of a write that is only validated.
    pub fn tried() -> How {
        How {
            validate_only: true,
            request: None,
        }
    }
}

/// A request with an id that its caller chose.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The UUID, in lower case.
    pub id: String,
    /// The RPC method.
    pub method: &'static str,
    /// The request without its id, in a canonical encoding. It may contain a key, so it is compared by a keyed MAC and
    /// never stored.
    pub body: Vec<u8>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("id", &self.id)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}
