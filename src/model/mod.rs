//! The vendor-independent model of an IPsec VPN connection. No I/O, no async, no prost.
//!
//! | here | NSX Manager API | OpenStack VPNaaS |
//! | --- | --- | --- |
//! | connection | session with its peer endpoint | ipsec-site-connection |
//! | peer | peer endpoint | `peer_address`, `peer_id`, `psk` |
//! | IKE policy | IKE profile | ikepolicy |
//! | IPsec policy | tunnel profile | ipsecpolicy |
//! | DPD policy | DPD profile | the `dpd` object of a connection |
//! | VPN service | service | vpnservice |
//! | local endpoint | local endpoint | none |
//! | endpoint group | none | endpoint-group |
//! | admin enabled | `enabled` | `admin_state_up` |

pub mod algorithm;
pub mod change;
pub mod connection;
pub mod name;
pub mod nodes;
pub mod parts;
pub mod policy;
pub mod realization;
pub mod resource;
#[cfg(test)]
pub mod samples;
pub mod secret;
pub mod sighting;
pub mod statistics;
pub mod topology;

pub use algorithm::Named;
pub use change::{ConnectionChange, Field};
pub use connection::*;
pub use name::*;
pub use nodes::{MOST_NODES, Nodes};
pub use parts::{NewConnection, Reuse};
pub use realization::*;
pub use resource::*;
pub use secret::Psk;
pub use sighting::Sighting;
pub use statistics::TunnelStatistics;
pub use topology::{Attachment, AttachmentKind};
