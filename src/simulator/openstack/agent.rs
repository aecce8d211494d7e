//! The VPN agent, as far as the API shows it: when a connection's `status` changes, and when it does not.
//!
//! ```text
//!            POST enabled                    report after a sync         later report
//!   (none) ──────────────► PENDING_CREATE ──────────────────────► DOWN ◄─────────────► ACTIVE
//!      │     POST disabled
//!      └───────────────────► PENDING_CREATE forever: the agent never learns of it
//! ```
//!
//! - A report about a PENDING row is dropped, unless the agent made it after a sync that found the row PENDING
//!   (`updated_pending_status`). Stock software writes only PENDING_CREATE, ACTIVE and DOWN.
//! - A PUT does not touch `status`. `admin_state_up: false` on a connection that was reported once removes it from the
//!   agent's view, and the agent reports it as DOWN.
//! - A service becomes ACTIVE when a report concerns an enabled connection of it, otherwise DOWN. A service without
//!   connections is never reported. A report about an id that is gone is skipped.
//!
//! Source: neutron-vpnaas, `device_drivers/ipsec.py`, `service_drivers/base_ipsec.py`, `db/vpn/vpn_db.py`.

use tokio::time::Instant;

use crate::simulator::openstack::kinds::Kind;
use crate::simulator::openstack::memo::{AgentPace, Due, ReportFate};
use crate::simulator::openstack::row::Row;
use crate::simulator::openstack::state::Cloud;

/// Tells the agent about a created connection, if it is enabled.
pub(crate) fn created(pace: AgentPace, row: &mut Row, now: Instant) {
    if row.enabled() {
        sync(pace, row, now);
    }
}

/// Tells the agent about a changed connection.
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

/// Handles one report of the agent about one connection. `synced` is `updated_pending_status`.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::simulator::openstack::inventory::Inventory;
    use crate::simulator::openstack::variant::{Series, Variant};

    const PACE: AgentPace = AgentPace::Elapsed {
        installed: Duration::from_secs(2),
        established: Duration::from_secs(3),
        dip_on_update: true,
    };

    /// A cloud with one connection, created at `start`.
    fn cloud(enabled: bool, start: Instant) -> Cloud {
        let inventory = Inventory::fixed();
        let mut cloud = Cloud::new(Variant::Neutron, Series::V2026_1, PACE, inventory.network());
        inventory.fill(&mut cloud);
        let fields = json!({
            "id": "c", "status": "PENDING_CREATE", "admin_state_up": enabled,
            "vpnservice_id": inventory.project.service_id,
        });
        let mut row = Row::new(fields.as_object().unwrap().clone());
        created(PACE, &mut row, start);
        cloud.insert(Kind::Connection, row);
        cloud
    }

    fn status_after(cloud: &mut Cloud, start: Instant, seconds: u64) -> String {
        advance(cloud, start + Duration::from_secs(seconds));
        cloud
            .row(Kind::Connection, "c")
            .unwrap()
            .text("status")
            .to_owned()
    }

    #[test]
    fn a_connection_is_installed_and_then_established() {
        let start = Instant::now();
        let mut cloud = cloud(true, start);
        for (seconds, expected) in [
            (1, "PENDING_CREATE"),
            (2, "DOWN"),
            (4, "DOWN"),
            (5, "ACTIVE"),
            (900, "ACTIVE"),
        ] {
            assert_eq!(
                status_after(&mut cloud, start, seconds),
                expected,
                "after {seconds} s"
            );
        }
        let service = cloud
            .row(Kind::VpnService, Inventory::fixed().project.service_id)
            .unwrap();
        assert_eq!(service.text("status"), "ACTIVE");
    }

    #[test]
    fn reports_that_are_overdue_are_all_written_in_their_order() {
        let start = Instant::now();
        assert_eq!(status_after(&mut cloud(true, start), start, 60), "ACTIVE");
    }

    #[test]
    fn a_connection_created_disabled_waits_for_ever() {
        let start = Instant::now();
        let mut cloud = cloud(false, start);
        assert_eq!(status_after(&mut cloud, start, 86_400), "PENDING_CREATE");
        assert_eq!(
            report(&mut cloud, "c", "DOWN", true),
            ReportFate::NeverReported
        );
    }

    #[test]
    fn an_update_dips_and_a_disabled_one_goes_down() {
        let start = Instant::now();
        let mut cloud = cloud(true, start);
        assert_eq!(status_after(&mut cloud, start, 5), "ACTIVE");
        let row = cloud.row_mut(Kind::Connection, "c").unwrap();
        updated(PACE, row, start + Duration::from_secs(10));
        for (seconds, expected) in [(11, "ACTIVE"), (12, "DOWN"), (15, "ACTIVE")] {
            assert_eq!(
                status_after(&mut cloud, start, seconds),
                expected,
                "after {seconds} s"
            );
        }
        let row = cloud.row_mut(Kind::Connection, "c").unwrap();
        row.set("admin_state_up", false);
        updated(PACE, row, start + Duration::from_secs(20));
        for (seconds, expected) in [(21, "ACTIVE"), (22, "DOWN"), (900, "DOWN")] {
            assert_eq!(
                status_after(&mut cloud, start, seconds),
                expected,
                "after {seconds} s"
            );
        }
        let service = cloud
            .row(Kind::VpnService, Inventory::fixed().project.service_id)
            .unwrap();
        assert_eq!(service.text("status"), "DOWN");
    }
}
