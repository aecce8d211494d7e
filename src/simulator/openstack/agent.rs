//! The VPN agent, as far as the API shows it: when a connection's `status` changes, and when it does not.
//!
//! ```text
//!            POST enabled                    report after a sync         later report
//!   (none) ──────────────► PENDING_CREATE ──────────────────────► DOWN ◄─────────────► ACTIVE
//!      │     POST disabled
//!      └───────────────────► PENDING_CREATE for ever: the agent is never told of it
//! ```
//!
//! - A report about a row that is PENDING is dropped unless it was made after a sync that found it so
//!   (`updated_pending_status`); PENDING_CREATE, ACTIVE and DOWN are all that stock software writes.
//! - A PUT does not touch `status`; `admin_state_up: false` on a connection that was reported once takes it
//!   out of the agent's sight, which is reported as DOWN.
//! - A service is ACTIVE as soon as a report names an enabled connection of it, else DOWN; without connections it is
//!   never reported. A report about an id that is gone is skipped.
//!
//! Source: neutron-vpnaas, `device_drivers/ipsec.py`, `service_drivers/base_ipsec.py`, `db/vpn/vpn_db.py`.

use std::time::Duration;

use tokio::time::Instant;

use crate::simulator::openstack::kinds::Kind;
use crate::simulator::openstack::state::{Cloud, Row};

/// Who moves the connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AgentPace {
    /// Nobody but the levers of [`OpenstackState`](crate::simulator::openstack::OpenstackState).
    #[default]
    Manual,
    /// An agent that syncs and reports by itself.
    Elapsed {
        /// From the write to the report that the connection is installed: DOWN. On a real cloud 0.5 to 5 s.
        installed: Duration,
        /// From there to the report that a security association is there: ACTIVE. On a real cloud up to 60 s.
        established: Duration,
        /// Whether a PUT makes an ACTIVE connection go DOWN and come back, as a restarted process does.
        dip_on_update: bool,
    },
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportFate {
    /// The status was written.
    Written,
    /// The row is PENDING and the report was not made after a sync: dropped.
    DroppedPending,
    /// The connection was created disabled, so no agent knows of it: no such report is ever sent.
    NeverReported,
    /// There is no such connection (any more): skipped.
    UnknownId,
}

/// What the agent knows of one row, and will say of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memo {
    /// Whether it was ever reported.
    reported: bool,
    /// Reports to come, the earliest first.
    due: Vec<Due>,
}

impl Memo {
    /// Forgets the reports to come: silence until the next sync, because nothing changes.
    pub(crate) fn fall_silent(&mut self) {
        self.due.clear();
    }
}

#[derive(Clone, Copy, Debug)]
struct Due {
    at: Instant,
    status: &'static str,
}

/// A connection was created: the agent hears of it if it is enabled.
pub(crate) fn created(pace: AgentPace, row: &mut Row, now: Instant) {
    if row.enabled() {
        sync(pace, row, now);
    }
}

/// A connection was changed: the agent looks at it again.
pub(crate) fn updated(pace: AgentPace, row: &mut Row, now: Instant) {
    let AgentPace::Elapsed {
        installed,
        dip_on_update,
        ..
    } = pace
    else {
        return;
    };
    if !row.enabled() {
        row.agent.due.clear();
        if row.agent.reported {
            row.agent.due.push(Due {
                at: now + installed,
                status: "DOWN",
            });
        }
    } else if row.text("status") != "ACTIVE" || dip_on_update {
        sync(pace, row, now);
    }
}

fn sync(pace: AgentPace, row: &mut Row, now: Instant) {
    let AgentPace::Elapsed {
        installed,
        established,
        ..
    } = pace
    else {
        return;
    };
    let down = now + installed;
    row.agent.due = vec![
        Due {
            at: down,
            status: "DOWN",
        },
        Due {
            at: down + established,
            status: "ACTIVE",
        },
    ];
}

/// Writes the reports that are due by `now`.
pub(crate) fn advance(cloud: &mut Cloud, now: Instant) {
    for id in cloud.ids(Kind::Connection) {
        while let Some(row) = cloud.row_mut(Kind::Connection, &id) {
            match row.agent.due.first() {
                Some(due) if due.at <= now => {
                    let due = row.agent.due.remove(0);
                    report(cloud, &id, due.status, true);
                }
                _ => break,
            }
        }
    }
}

/// One report of the agent about one connection; `synced` is `updated_pending_status`.
pub(crate) fn report(cloud: &mut Cloud, id: &str, status: &str, synced: bool) -> ReportFate {
    let Some(row) = cloud.row_mut(Kind::Connection, id) else {
        return ReportFate::UnknownId;
    };
    if !row.enabled() && !row.agent.reported {
        return ReportFate::NeverReported;
    }
    if row.pending() && !synced {
        return ReportFate::DroppedPending;
    }
    row.set("status", status);
    row.agent.reported = true;
    let service = row.text("vpnservice_id").to_owned();
    let known =
        |row: &Row| row.text("vpnservice_id") == service && row.enabled() && row.agent.reported;
    let running = cloud.rows(Kind::Connection).any(known);
    if let Some(service) = cloud.row_mut(Kind::VpnService, &service) {
        service.set("status", if running { "ACTIVE" } else { "DOWN" });
    }
    ReportFate::Written
}
