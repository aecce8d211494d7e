//! Code generated from `proto/`, and hand-written additions.

use std::fmt;

/// Generated messages, clients and servers of `isthmus.v1`.
#[allow(missing_docs, clippy::all, rustdoc::all)]
pub mod v1 {
    tonic::include_proto!("isthmus.v1");
}

pub use v1::*;

/// Descriptors of `isthmus.v1` and of the error details, with custom options and without comments.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/isthmus.v1.bin"));

impl fmt::Debug for v1::Peer {
    /// Prints that a pre-shared key is set, never the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use v1::peer::Authentication;
        let authentication = match &self.authentication {
            Some(Authentication::Psk(_)) => "psk(..)",
            Some(Authentication::Certificate(_)) => "certificate",
            None => "none",
        };
        f.debug_struct("Peer")
            .field("address", &self.address)
            .field("id", &self.id)
            .field("authentication", &authentication)
            .field("psk_set", &self.psk_set)
            .finish()
    }
}
