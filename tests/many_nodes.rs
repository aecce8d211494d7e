//! States of more nodes than anybody reads: what a client can take, and what is kept.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

mod support;

use isthmus::{
    grpc::pb::{self, Goal, RealizationState as State},
    simulator::nsx::{ForcedDetails, ForcedState, NsxOptions, NsxSimulator},
};
use prost::Message;
use serde_json::{Value, json};
use std::time::Duration;
use support::{
    clouds,
    running::{Running, Watching},
};

const NODES: usize = 20_000;
/// What one observation takes at most, by far: clients take 4 MiB in one message, of many of them.
const SMALL: usize = 256 * 1024;

/// A state of the whole with as many nodes in progress, but those of these numbers, which say this.
fn state(others: &[(usize, &str)]) -> ForcedState {
    let words = "a node of this cloud says much of what it does ".repeat(5);
    let mut nodes: Vec<Value> = (0..NODES)
        .map(|number| {
            json!({
                "sub_system_id": format!("tn-{number:05}"),
                "sub_system_name": format!("transport node {number}"),
                "sub_system_type": "TransportNode",
                "state": "in_progress",
                "failure_message": words,
            })
        })
        .collect();
    for (number, state) in others {
        nodes[*number]["state"] = json!(state);
    }
    ForcedState {
        details: ForcedDetails::Raw(Value::Array(nodes)),
        ..ForcedState::whole("in_progress")
    }
}

fn small(realization: &pb::Realization) {
    let bytes = realization.encoded_len();
    assert!(bytes < SMALL, "{bytes} bytes");
}

fn counts(realization: &pb::Realization) -> Vec<(State, u32)> {
    let counts = realization.node_counts.iter();
    counts.map(|it| (it.state(), it.count)).collect()
}

async fn next(watch: &mut Watching) -> pb::Realization {
    let (realization, outcome) = watch.next_state().await.expect("the client takes it");
    assert_eq!(outcome, None);
    small(&realization);
    realization
}

#[tokio::test]
async fn a_state_of_twenty_thousand_nodes_reaches_a_client_as_it_comes() {
    let cloud = NsxSimulator::start(NsxOptions::default()).unwrap();
    let mut settings = clouds::nsx("nsx-a", &cloud);
    // Ten megabytes at a time, on whatever machine.
    settings.core.timeout = Duration::from_secs(30);
    settings.core.poll.fresh = Duration::from_millis(500);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let running = Running::start_with_store(vec![settings], &file).await;
    let (made, token) = running
        .create("nsx-a", clouds::nsx_connection("nsx-a"))
        .await
        .unwrap();
    let id = made.name.rsplit('/').next().unwrap().to_owned();
    let force = |others: &[(usize, &str)]| {
        cloud.state().force_state(&id, Some(state(others)));
    };
    force(&[(7_000, "pending"), (19_999, "pending")]);
    let mut watch = running
        .watch(&made.name, Goal::Config, &token)
        .await
        .unwrap();
    let seen = loop {
        let seen = next(&mut watch).await;
        if !seen.nodes.is_empty() {
            break seen;
        }
    };
    let ids: Vec<&str> = seen.nodes.iter().map(|node| node.id.as_str()).collect();
    assert_eq!(ids.len(), 64);
    assert_eq!(ids[..4], ["tn-07000", "tn-19999", "tn-00000", "tn-00001"]);
    assert_eq!(
        counts(&seen),
        [(State::Pending, 2), (State::InProgress, 19_998)]
    );

    // A change of a node that is not shown is one.
    force(&[
        (7_000, "pending"),
        (15_000, "IN_PROGRESS"),
        (19_999, "pending"),
    ]);
    let changed = next(&mut watch).await;
    assert_eq!(
        (&changed.nodes, counts(&changed)),
        (&seen.nodes, counts(&seen))
    );
    assert!(changed.sequence > seen.sequence);

    // And it is judged, wherever it is.
    force(&[(7_000, "pending"), (12_345, "failed"), (19_999, "pending")]);
    let failed = next(&mut watch).await;
    assert_eq!(failed.state(), State::Failed);
    assert_eq!(failed.nodes[0].id, "tn-12345");
    assert_eq!(
        counts(&failed).iter().map(|(_, count)| count).sum::<u32>(),
        20_000
    );

    let request = pb::GetRealizationRequest {
        name: made.name.clone(),
        ..pb::GetRealizationRequest::default()
    };
    let polled = running.realizations().get_realization(request).await;
    small(&polled.unwrap().into_inner().realization.unwrap());
    let request = pb::WatchRealizationsRequest {
        parent: "backends/nsx-a".to_owned(),
        ..pb::WatchRealizationsRequest::default()
    };
    let many = running.realizations().watch_realizations(request).await;
    let first = many.unwrap().into_inner().message().await.unwrap().unwrap();
    assert_eq!(first.events.len(), 1);
    drop(watch);

    // Some ten changes, each with the connection's row beside it.
    let kept = std::fs::metadata(&file).unwrap().len() as usize;
    assert!(kept < 40 * SMALL, "{kept} bytes");
}
