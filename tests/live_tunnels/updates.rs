//! A change of a connection, while the tunnel that was made before it is still there or comes again.

use crate::{
    calls::remove,
    cloud::reports,
    site::{KEY, QUIET, Site, selectors, until_the_cloud_says},
    support::running::{Running, id_of},
};
use isthmus::grpc::pb::{
    self, Goal, RealizationState as State, dead_peer_detection::Action, outcome,
};
use std::time::{Duration, Instant};

/// Longer than what is shown takes, so that it is not the quiet time that ends it.
const LONG: Duration = Duration::from_secs(35);

/// Gives a connection these networks: the write's token.
async fn move_to(running: &Running, name: &str, networks: &[&str]) -> String {
    let connection = pb::Connection {
        name: name.to_owned(),
        selectors: Some(selectors(networks)),
        ..pb::Connection::default()
    };
    let answer = running.update(connection, &["policy_based"]).await;
    answer.unwrap().write_token
}

#[ignore = "needs real tunnels, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_networks_are_undetermined_while_the_old_tunnel_carries_the_traffic() {
    let site = Site::take(5).await;
    let (running, customer) = (site.running(QUIET).await, site.customer(1).await);
    let connection = site.connection(&customer, &["10.45.1.0/24"]);
    let name = site.up(&running, &customer, connection).await;

    let token = move_to(&running, &name, &["10.45.2.0/24"]).await;
    let answered = Instant::now();
    let watch = running.watch(&name, Goal::TunnelUp, &token).await.unwrap();
    let (states, outcome) = watch.end().await;
    assert!(answered.elapsed() >= QUIET, "{:?}", answered.elapsed());
    assert_eq!(outcome.result(), outcome::Result::Undetermined);
    assert_eq!(states.last().unwrap().native_state, "ACTIVE");
    customer
        .ends(&name)
        .await
        .both(&site.network, "10.45.1.0/24");
    assert!(customer.carries("10.45.1.0/24").await);
    assert!(!customer.carries("10.45.2.0/24").await);
    remove(&running, &name).await;
}

#[ignore = "needs real tunnels, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tunnel_that_goes_and_comes_again_may_be_the_old_one_and_proves_nothing() {
    let site = Site::take(6).await;
    let (running, customer) = (site.running(LONG).await, site.customer(1).await);
    let mut connection = site.connection(&customer, &["10.46.1.0/24"]);
    connection.dpd.as_mut().unwrap().set_action(Action::Restart);
    let name = site.up(&running, &customer, connection).await;

    customer.kill().await;
    let token = move_to(&running, &name, &["10.46.2.0/24"]).await;
    let mut watch = running.watch(&name, Goal::TunnelUp, &token).await.unwrap();
    until_the_cloud_says(&mut watch, "ACTIVE").await;
    until_the_cloud_says(&mut watch, "DOWN").await;
    customer.start().await;
    // The router makes the tunnel anew that it had lost, not the one it has been told to make since.
    until_the_cloud_says(&mut watch, "ACTIVE").await;
    customer
        .ends(&name)
        .await
        .both(&site.network, "10.46.1.0/24");
    assert!(customer.carries("10.46.1.0/24").await);
    assert!(!customer.carries("10.46.2.0/24").await);
    let (_, outcome) = watch.end().await;
    assert_eq!(outcome.result(), outcome::Result::Undetermined);
    remove(&running, &name).await;
}

#[ignore = "needs real tunnels, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cloud_that_leaves_pending_update_has_taken_the_update() {
    let site = Site::take(7).await;
    let (running, customer) = (site.running(LONG).await, site.customer(1).await);
    let connection = site.connection(&customer, &["10.47.1.0/24"]);
    let name = site.up(&running, &customer, connection).await;

    let token = move_to(&running, &name, &["10.47.2.0/24"]).await;
    let mut watch = running.watch(&name, Goal::TunnelUp, &token).await.unwrap();
    until_the_cloud_says(&mut watch, "ACTIVE").await;
    // Stock Neutron never says so; other drivers do, until their agent has the change.
    reports(&id_of(&name), "PENDING_UPDATE --force");
    until_the_cloud_says(&mut watch, "PENDING_UPDATE").await;
    customer.up(KEY, "10.47.2.0/24").await;
    customer.close().await;
    customer.connects().await;
    customer
        .ends(&name)
        .await
        .both(&site.network, "10.47.2.0/24");
    site.nudge_the_agent().await;
    let (states, outcome) = watch.end().await;
    assert_eq!(outcome.result(), outcome::Result::Succeeded);
    let last = states.last().unwrap();
    assert_eq!(
        (last.state(), last.assurance()),
        (State::Active, pb::Assurance::TunnelUp)
    );
    assert!(customer.carries("10.47.2.0/24").await);
    remove(&running, &name).await;
}
