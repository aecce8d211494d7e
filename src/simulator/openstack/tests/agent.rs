//! When a status changes, and when it does not.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;

use crate::simulator::openstack::tests::{Bench, CONNECTIONS};
use crate::simulator::openstack::{AgentPace, Kind, OpenstackOptions, ReportFate};

#[tokio::test]
async fn a_report_without_a_sync_is_dropped_while_the_row_is_pending() {
    let bench = Bench::new(OpenstackOptions::default()).await;
    let state = bench.cloud.state();
    let id = bench.created(json!({})).await;
    assert_eq!(
        state.agent_reports_stale(&id, "ACTIVE"),
        ReportFate::DroppedPending
    );
    assert_eq!(state.agent_reports(&id, "DOWN"), ReportFate::Written);
    assert_eq!(
        state.agent_reports_stale(&id, "ACTIVE"),
        ReportFate::Written
    );
    assert_eq!(state.status(&id).as_deref(), Some("ACTIVE"));
    assert!(state.set_status(&id, "PENDING_UPDATE"));
    assert_eq!(
        state.agent_reports_stale(&id, "DOWN"),
        ReportFate::DroppedPending
    );
    assert_eq!(state.agent_reports("nobody", "DOWN"), ReportFate::UnknownId);
    let service = state
        .row(Kind::VpnService, bench.inventory.project.service_id)
        .unwrap();
    assert_eq!(service["status"], "ACTIVE");
}

#[tokio::test]
async fn what_was_created_disabled_is_never_reported_and_can_only_be_deleted() {
    let bench = Bench::new(OpenstackOptions::default()).await;
    let id = bench.created(json!({"admin_state_up": "false"})).await;
    assert_eq!(
        bench.cloud.state().agent_reports(&id, "DOWN"),
        ReportFate::NeverReported
    );
    assert_eq!(
        bench
            .put(&id, json!({"admin_state_up": true}))
            .await
            .refusal()
            .1,
        "VPNStateInvalidToUpdate"
    );
    assert_eq!(
        bench
            .call(Method::DELETE, &format!("{CONNECTIONS}/{id}"), None)
            .await
            .status,
        204
    );
}

#[tokio::test]
async fn a_put_leaves_the_status_alone_until_the_agent_reports() {
    let bench = Bench::new(OpenstackOptions::default()).await;
    let id = bench.created(json!({})).await;
    bench.cloud.state().agent_reports(&id, "ACTIVE");
    let got = bench.put(&id, json!({"admin_state_up": false})).await;
    assert_eq!(got.json()["ipsec_site_connection"]["status"], "ACTIVE");
    assert_eq!(
        bench.cloud.state().agent_reports(&id, "DOWN"),
        ReportFate::Written
    );
    for status in ["PENDING_CREATE", "PENDING_UPDATE", "PENDING_DELETE"] {
        bench.cloud.state().set_status(&id, status);
        assert_eq!(
            bench.put(&id, json!({"name": "n"})).await.refusal(),
            (400, "VPNStateInvalidToUpdate".to_owned())
        );
    }
    bench.cloud.state().set_status(&id, "ERROR");
    assert_eq!(bench.put(&id, json!({"name": "n"})).await.status, 200);
}

#[tokio::test]
async fn a_status_can_be_any_word_null_or_absent() {
    let bench = Bench::new(OpenstackOptions::default()).await;
    let id = bench.created(json!({})).await;
    let path = format!("{CONNECTIONS}/{id}?fields=status");
    bench.cloud.state().set_status(&id, "RECOVERING");
    assert_eq!(
        bench.get(&path).await.json()["ipsec_site_connection"],
        json!({"status": "RECOVERING"})
    );
    bench.cloud.state().set_status_null(&id);
    assert_eq!(
        bench.get(&path).await.json()["ipsec_site_connection"],
        json!({"status": null})
    );
    bench.cloud.state().set_status_absent(&id);
    assert_eq!(
        bench.get(&path).await.json()["ipsec_site_connection"],
        json!({})
    );
}

#[tokio::test]
async fn an_agent_of_its_own_makes_a_connection_active() {
    let step = Duration::from_millis(30);
    let pace = AgentPace::Elapsed {
        installed: step,
        established: step,
        dip_on_update: false,
    };
    let bench = Bench::new(OpenstackOptions {
        pace,
        ..OpenstackOptions::default()
    })
    .await;
    let id = bench.created(json!({})).await;
    let path = format!("{CONNECTIONS}/{id}?fields=status");
    let deadline = Instant::now() + Duration::from_secs(10);
    while bench.get(&path).await.json()["ipsec_site_connection"]["status"] != "ACTIVE" {
        assert!(Instant::now() < deadline);
    }
}
