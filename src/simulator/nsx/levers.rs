//! How the simulated NSX behaves as a whole: everything the documents leave open, or contradict each other on.

use std::time::Duration;

use http::StatusCode;

use crate::simulator::nsx::accounts::Limits;
use crate::simulator::nsx::realization::{Pace, Settle};
use crate::simulator::nsx::refusal::StatusKey;

/// Settings that may be changed while it runs.
#[derive(Clone, Copy, Debug)]
pub struct Levers {
    /// What makes realization go on.
    pub pace: Pace,
    /// Where realization ends.
    pub settle: Settle,
    /// With [`Pace::Elapsed`], a session's tunnels come up so long after every node is in_sync. By default never.
    pub tunnel_up_after: Option<Duration>,
    /// Whether the `/state` of a deleted session still answers while the nodes forget it, step by step as
    /// with any write. By default it does.
    pub delete_lingers: bool,
    /// Whether a deleted session holds its endpoints until the nodes forgot it: a DELETE of one is refused so long, 400 /
    /// 500030, as those see it who remove one thing after the other. By default it does not.
    pub delete_holds_parts: bool,
    /// What an undocumented question gets: `/state` for a request id that concerns no such session.
    pub unknown_request_id: UnknownRequestId,
    /// How the last page of a list is marked.
    pub end_marker: EndMarker,
    /// The most objects on one page, however many were asked for. By default 1,000, as documented.
    pub max_page: usize,
    /// Whether a list heeds `included_fields`. By default it does, as the SDK has it; the reference of 4.2 says that
    /// only searches do.
    pub included_fields: bool,
    /// Whether answers carry `x-nsx-requestid`. By default they do.
    pub request_ids: bool,
    /// The status of an update with a stale `_revision`: 412 by default; clients have seen 409 too.
    pub stale_status: StatusCode,
    /// How the answer for a disabled service spells its status key.
    pub status_key: StatusKey,
    /// Whether an update of a peer endpoint must carry the PSK again.
    pub psk_on_update: PskOnUpdate,
    /// Whether everything below `/api/v1/vpn/ipsec` and `/api/v1/logical-routers` is unknown, as on a release without
    /// the API.
    pub api_absent: bool,
    /// The rate limits for one user; none to lift them.
    pub limits: Option<Limits>,
    /// How long each request takes, within the limit of concurrent ones. By default no time.
    pub latency: Duration,
    /// A session cookie expires when it was not used for so long. By default 30 minutes.
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

/// What `/state` says of a request id that concerns no write of the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownRequestId {
    /// The same as without a request id: how far the newest write has come.
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
    /// It has a `cursor` that starts with `0000`, as older managers say it.
    Zeros,
}

/// Whether an update of a peer endpoint with authentication mode PSK must carry the PSK again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PskOnUpdate {
    /// It must: "PSK needs `psk`" is taken to hold for every write.
    #[default]
    Required,
    /// Without one, the old stays.
    Kept,
}
