//! Calls of the gateway, and what its errors say.

use crate::{
    cloud::{self, BACKEND, Login},
    support::running::{HEARTBEAT, Running, install_provider},
};
use isthmus::{
    core::gateway::Gateway,
    dialects::{self, settings::Given},
    grpc::pb::{self, Goal, RealizationState as State},
};
use tonic::Status;
use tonic_types::StatusExt;

/// A gateway on the real cloud as this login.
pub async fn gateway(login: &Login) -> Running {
    gateway_with(cloud::settings(login)).await
}

/// A gateway on the real cloud with these settings.
pub async fn gateway_with(settings: Given) -> Running {
    install_provider();
    let dialect = dialects::connect(&settings).expect("the settings work");
    Running::serve(Gateway::start(vec![(settings.core, dialect)], HEARTBEAT)).await
}

/// Makes a connection with these references, changed by `edit`.
pub async fn create(
    running: &Running,
    edit: impl FnOnce(&mut pb::Connection),
) -> Result<pb::CreateConnectionResponse, Status> {
    let mut connection = cloud::references().connection(BACKEND);
    edit(&mut connection);
    let request = pb::CreateConnectionRequest {
        parent: format!("backends/{BACKEND}"),
        connection: Some(connection),
        validate_only: false,
        ..Default::default()
    };
    let answer = running.connections().create_connection(request).await?;
    Ok(answer.into_inner())
}

/// Makes a connection: its name and the write's token.
pub async fn made(running: &Running) -> (String, String) {
    let answer = create(running, |_| {}).await.unwrap();
    (answer.connection.unwrap().name, answer.write_token)
}

/// Gives a connection another name, and an MTU that an agent has to bring into effect: the write's token.
pub async fn change(running: &Running, name: &str, display_name: &str) -> Result<String, Status> {
    let connection = pb::Connection {
        name: name.to_owned(),
        display_name: display_name.to_owned(),
        mtu: Some(1400),
        ..pb::Connection::default()
    };
    let answer = running.update(connection, &["display_name", "mtu"]).await?;
    Ok(answer.write_token)
}

/// One page of the backend's connections.
pub async fn list(
    running: &Running,
    page_size: i32,
    page_token: &str,
) -> Result<pb::ListConnectionsResponse, Status> {
    let request = pb::ListConnectionsRequest {
        parent: format!("backends/{BACKEND}"),
        page_size,
        page_token: page_token.to_owned(),
        ..pb::ListConnectionsRequest::default()
    };
    let answer = running.connections().list_connections(request).await?;
    Ok(answer.into_inner())
}

/// Removes a connection, and sees it gone.
pub async fn remove(running: &Running, name: &str) {
    let token = running.delete(name).await.unwrap();
    let watch = running.watch(name, Goal::Unspecified, &token).await;
    let (states, outcome) = watch.unwrap().end().await;
    assert_eq!(outcome.result(), pb::outcome::Result::Succeeded);
    let last = states.last().unwrap();
    assert_eq!(
        (last.state(), last.assurance()),
        (State::Deleted, pb::Assurance::IntentStored)
    );
}

/// One entry of an error's metadata; empty if it is not there.
pub fn metadata(status: &Status, key: &str) -> String {
    let info = status.get_details_error_info().unwrap();
    info.metadata.get(key).cloned().unwrap_or_default()
}
