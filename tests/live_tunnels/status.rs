//! Up when both ends have a tunnel and not before; down when they have none; nothing claimed of what is deleted.

use crate::{
    calls::remove,
    cloud::BACKEND,
    site::{KEY, QUIET, SEEN, Site, no_outcome_for},
};
use isthmus::grpc::pb::{self, Goal, RealizationState as State, outcome};
use std::time::Instant;
use tonic::Code;

#[ignore = "needs real tunnels, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tunnel_is_up_when_both_ends_have_it_and_not_before() {
    let site = Site::take(1).await;
    let (running, customer) = (site.running(QUIET).await, site.customer(1).await);
    let connection = site.connection(&customer, &["10.41.1.0/24"]);
    let (connection, token) = running.create(BACKEND, connection).await.unwrap();
    let name = connection.name;
    let mut watch = running.watch(&name, Goal::TunnelUp, &token).await.unwrap();

    // Nobody is there yet: the router calls in vain, until it gives up after 13 seconds.
    let down = watch.until(State::Down).await;
    assert_eq!(down.native_state, "DOWN");
    no_outcome_for(&mut watch, 2 * SEEN).await;
    customer.ends(&name).await.none();

    customer.up(KEY, "10.41.1.0/24").await;
    no_outcome_for(&mut watch, SEEN).await;
    customer.ends(&name).await.none();

    customer.connects().await;
    let begun = Instant::now();
    let (states, outcome) = watch.end().await;
    println!(
        "TUNNEL_UP {:?} after IKE had brought it up",
        begun.elapsed()
    );
    customer
        .ends(&name)
        .await
        .both(&site.network, "10.41.1.0/24");
    assert_eq!(outcome.result(), outcome::Result::Succeeded);
    let last = states.last().unwrap();
    assert_eq!(
        (last.state(), last.assurance()),
        (State::Active, pb::Assurance::TunnelUp)
    );
    assert!(customer.carries("10.41.1.0/24").await);
    remove(&running, &name).await;
}

#[ignore = "needs real tunnels, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_wrong_key_it_stays_down() {
    let site = Site::take(2).await;
    let (running, customer) = (site.running(QUIET).await, site.customer(1).await);
    customer.up("another-key", "10.42.1.0/24").await;
    let connection = site.connection(&customer, &["10.42.1.0/24"]);
    let (connection, token) = running.create(BACKEND, connection).await.unwrap();
    let name = connection.name;

    // The cloud has it, and no more than that was asked for.
    let watch = running.watch(&name, Goal::Config, &token).await.unwrap();
    let (states, outcome) = watch.end().await;
    assert_eq!(outcome.result(), outcome::Result::Succeeded);
    assert_eq!(states.last().unwrap().state(), State::Down);

    let mut watch = running.watch(&name, Goal::TunnelUp, &token).await.unwrap();
    let refused = customer.initiate().await;
    assert!(refused.contains("AUTHENTICATION_FAILED"), "{refused}");
    let states = no_outcome_for(&mut watch, SEEN).await;
    assert!(states.iter().all(|seen| seen.state() == State::Down));
    customer.ends(&name).await.none();

    // The right key makes a tunnel. That it was this update is more than Neutron tells.
    let corrected = pb::Connection {
        name: name.clone(),
        peer: Some(pb::Peer {
            authentication: Some(pb::peer::Authentication::Psk("another-key".to_owned())),
            ..pb::Peer::default()
        }),
        ..pb::Connection::default()
    };
    drop(watch);
    let answer = running.update(corrected, &["peer.psk"]).await.unwrap();
    let watch = running.watch(&name, Goal::TunnelUp, &answer.write_token);
    let watch = watch.await.unwrap();
    customer.connects().await;
    let (_, outcome) = watch.end().await;
    customer
        .ends(&name)
        .await
        .both(&site.network, "10.42.1.0/24");
    assert_eq!(outcome.result(), outcome::Result::Undetermined);
    // Who asks about the connection, and not about the write, has an answer.
    let watch = running.watch(&name, Goal::TunnelUp, "").await.unwrap();
    let (_, outcome) = watch.end().await;
    assert_eq!(outcome.result(), outcome::Result::Succeeded);
    assert_eq!(outcome.reason.unwrap().code, "ASSUMED_AFTER_QUIET_TIME");
    remove(&running, &name).await;
}

#[ignore = "needs real tunnels, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_customer_is_down() {
    let site = Site::take(3).await;
    let (running, customer) = (site.running(QUIET).await, site.customer(1).await);
    let connection = site.connection(&customer, &["10.43.1.0/24"]);
    let name = site.up(&running, &customer, connection).await;
    let mut watch = running.watch(&name, Goal::Unspecified, "").await.unwrap();
    customer.kill().await;
    let begun = Instant::now();
    let down = watch.until(State::Down).await;
    println!("DOWN {:?} after the power failed", begun.elapsed());
    assert_eq!(
        (down.native_state.as_str(), down.assurance()),
        ("DOWN", pb::Assurance::ControlPlane)
    );
    customer.ends(&name).await.none();
    drop(watch);
    remove(&running, &name).await;
}

#[ignore = "needs real tunnels, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_deleted_connection_no_more_is_claimed_than_that_its_row_is_gone() {
    let site = Site::take(4).await;
    let running = site.running(QUIET).await;
    let (first, second) = (site.customer(1).await, site.customer(2).await);
    let stays = site.connection(&first, &["10.44.1.0/24"]);
    let stays = site.up(&running, &first, stays).await;
    let goes = site.connection(&second, &["10.44.2.0/24"]);
    let goes = site.up(&running, &second, goes).await;

    let token = running.delete(&goes).await.unwrap();
    let watch = running.watch(&goes, Goal::Unspecified, &token).await;
    let (states, outcome) = watch.unwrap().end().await;
    assert_eq!(outcome.result(), outcome::Result::Succeeded);
    let last = states.last().unwrap();
    assert_eq!(last.state(), State::Deleted);
    assert!(last.assurance() <= pb::Assurance::IntentStored, "{last:?}");
    let gone = running.get(&goes).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);

    // The agent has reloaded for the one that stays by now, and the tunnel has outlived it.
    tokio::time::sleep(SEEN).await;
    second.ends(&goes).await.both(&site.network, "10.44.2.0/24");
    assert!(second.carries("10.44.2.0/24").await);
    let other = running.poll(&stays).await.unwrap();
    assert_eq!(other.state(), State::Active);
    remove(&running, &stays).await;
}
