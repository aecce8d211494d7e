//! Behavior of the simulated NSX as a whole: everything that the documents leave open or contradict each other on.

use std::time::Duration;

use http::StatusCode;

use crate::simulator::nsx::accounts::Limits;
use crate::simulator::nsx::realization::{Pace, Settle};
use crate::simulator::nsx::refusal::StatusKey;

/// Settings that can change at runtime.
#[derive(Clone, Copy, Debug)]
pub struct Levers {
    /// What advances realization.
    pub pace: Pace,
    /// Where realization ends.
    pub settle: Settle,
    /// With [`Pace::Elapsed`], how long after the last node is in_sync the tunnels of a session come up. Defaults to
    /// never.
    pub tunnel_up_after: Option<Duration>,
    /// Whether the `/state` of a deleted session still answers while the nodes forget it, step by step as with any
    /// write. Defaults to true.
    pub delete_lingers: bool,
    /// Whether a deleted session holds its endpoints until the nodes have forgotten it. Until then a DELETE of an
    /// endpoint is refused with 400 / 500030, as clients see it when they remove objects one after the other. Defaults
    /// to false.
    pub delete_holds_parts: bool,
    /// What `/state` answers for a request id that concerns no write of the session. The documents do not say.
    pub unknown_request_id: UnknownRequestId,
    /// How the last page of a list is marked.
    pub end_marker: EndMarker,
    /// The most objects on one page, whatever the client asks for. Defaults to 1,000, as documented.
    pub max_page: usize,
    /// Whether lists honor `included_fields`. Defaults to true, as the SDK has it. The reference of 4.2 says that only
    /// searches do.
    pub included_fields: bool,
    /// Whether answers carry `x-nsx-requestid`. Defaults to true.
    pub request_ids: bool,
    /// Status of an update with a stale `_revision`. Defaults to 412. Clients have also seen 409.
    pub stale_status: StatusCode,
    /// How the answer for a disabled service spells its status key.
    pub status_key: StatusKey,
    /// Whether an update of a peer endpoint must carry the PSK again.
    pub psk_on_update: PskOnUpdate,
    /// Whether every path below `/api/v1/vpn/ipsec` and `/api/v1/logical-routers` is unknown, as on a release without
    /// the API.
    pub api_absent: bool,
    /// Rate limits for one user. `None` lifts them.
    pub limits: Option<Limits>,
    /// How long each request takes. During that time it counts as a concurrent request. Defaults to zero.
    pub latency: Duration,
    /// Idle time after which a session cookie expires. Defaults to 30 minutes.
    pub session_idle: Duration,
}

impl Default for Levers {
    fn default() -> Self {
        Self {
            pace: Pace::default(),
            settle: Settle::default(),
            tunnel_up_after: None,
            delete_lingers: true,
            delete_holds_parts: false,
            unknown_request_id: UnknownRequestId::default(),
            end_marker: EndMarker::default(),
            max_page: 1_000,
            included_fields: true,
            request_ids: true,
            stale_status: StatusCode::PRECONDITION_FAILED,
            status_key: StatusKey::default(),
            psk_on_update: PskOnUpdate::default(),
            api_absent: false,
            limits: Some(Limits::default()),
            latency: Duration::ZERO,
            session_idle: Duration::from_secs(30 * 60),
        }
    }
}

/// What `/state` says about a request id that concerns no write of the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownRequestId {
    /// The same as without a request id: the progress of the newest write.
    #[default]
    Newest,
    /// Not found, 404 / 600.
    NotFound,
}

/// How the last page of a list is marked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EndMarker {
    /// It has no `cursor`.
    #[default]
    Absent,
    /// Its `cursor` starts with `0000`, as on older managers.
    Zeros,
}

/// Whether an update of a peer endpoint with authentication mode PSK must carry the PSK again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PskOnUpdate {
    /// It must: the simulator applies "PSK needs `psk`" to every write.
    #[default]
    Required,
    /// An update without a PSK keeps the old one.
    Kept,
}
