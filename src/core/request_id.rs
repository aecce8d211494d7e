//! What makes a write the same as one before (AIP-155).

use std::fmt;

/// How a write is asked for, beside what it is.
#[derive(Debug, Clone, Default)]
pub struct How {
    /// Check and plan only.
    pub validate_only: bool,
    /// What it is known by, if its caller may ask again.
    pub request: Option<Request>,
}

impl How {
    /// Checked and planned, and not done.
    pub fn tried() -> How {
        How {
            validate_only: true,
            request: None,
        }
    }
}

/// A request with an id of its caller's choice.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The UUID, in lower case.
    pub id: String,
    /// Which call.
    pub method: &'static str,
    /// The request without its id, in one encoding. May hold a key: it is compared by a keyed MAC and kept nowhere.
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
