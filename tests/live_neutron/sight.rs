//! Accounts that are shown nothing. An empty list and a 404 must never become "removed".

use crate::{
    calls::{change, create, gateway, gateway_with, list, made, metadata, remove},
    cloud::{self, BACKEND, Login, seeded, seeded_connection},
    operator::{self, User},
    support::running::{Running, reason},
    tap::Tap,
};
use isthmus::grpc::pb::{self, Goal, RealizationState as State};
use reqwest::Method;
use std::time::{Duration, Instant};
use tonic::{Code, Status};

/// What is said to a caller where the account cannot be told from one that may not see.
#[track_caller]
fn is_blind(error: &Status, what: &str, expected: &str) {
    assert_eq!(
        (error.code(), reason(error).as_str()),
        (Code::Internal, expected),
        "{what}: {error:?}"
    );
}

/// No call of an account that is shown nothing may say that there is nothing.
async fn says_nothing_false(running: &Running, name: &str, expected: &str) {
    is_blind(&running.get(name).await.unwrap_err(), "get", expected);
    is_blind(&list(running, 10, "").await.unwrap_err(), "list", expected);
    is_blind(&running.poll(name).await.unwrap_err(), "look", expected);
    let update = change(running, name, "x").await.unwrap_err();
    is_blind(&update, "update", expected);
    let request = pb::DeleteConnectionRequest {
        name: name.to_owned(),
        allow_missing: true,
        ..pb::DeleteConnectionRequest::default()
    };
    let delete = running.connections().delete_connection(request).await;
    is_blind(&delete.unwrap_err(), "delete", expected);
    let everything = pb::ListConnectionsRequest {
        parent: "backends/-".to_owned(),
        ..pb::ListConnectionsRequest::default()
    };
    let answer = running.connections().list_connections(everything).await;
    let answer = answer.unwrap().into_inner();
    assert_eq!(answer.unreachable, [format!("backends/{BACKEND}")]);
    let mut watch = running.watch(name, Goal::TunnelUp, "").await.unwrap();
    unknown_for(&mut watch, Duration::from_secs(8)).await;
}

/// For so long nothing but "unknown" is said, and no outcome.
async fn unknown_for(watch: &mut crate::support::running::Watching, time: Duration) {
    let until = tokio::time::Instant::now() + time;
    while let Ok(next) = tokio::time::timeout_at(until, watch.next_state()).await {
        let (seen, outcome) = next.unwrap();
        assert_eq!((seen.state(), outcome), (State::Unknown, None), "{seen:?}");
        assert_eq!(seen.assurance(), pb::Assurance::None);
    }
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_is_shown_nothing_and_nothing_is_removed_for_it() {
    let _shared = cloud::shared().await;
    let running = gateway(&Login::reader()).await;
    says_nothing_false(&running, &seeded_connection("DEMO"), "UPSTREAM_DENIED").await;
    let refused = create(&running, |_| {}).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::PermissionDenied, "UPSTREAM_DENIED")
    );
    assert_eq!(metadata(&refused, "upstream_code"), "PolicyNotAuthorized");
    assert_eq!(metadata(&refused, "upstream_status"), "403");
    let demo = gateway(&Login::demo()).await;
    demo.get(&seeded_connection("DEMO")).await.unwrap();
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unscoped_token_is_not_used() {
    let _shared = cloud::shared().await;
    // A login that names no project gets a token without one; the gateway always names one.
    let tap = Tap::editing(|sent| {
        let text = String::from_utf8(sent.to_vec()).unwrap();
        text.replace("\"scope\"", "\"scopf\"").into_bytes()
    })
    .await;
    let mut settings = cloud::settings(&Login::demo());
    settings.keys.set("auth.auth_url", &tap.url);
    let running = gateway_with(settings).await;
    says_nothing_false(&running, &seeded_connection("DEMO"), "UPSTREAM_AUTH").await;
    // One refusal alone may be a slip, so it is asked for once more.
    assert_eq!((tap.tokens().len(), tap.logins()), (2, 2));
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_loses_the_role_that_sees_sees_nothing_removed() {
    let _shared = cloud::shared().await;
    let project_id = operator::token(&Login::demo()).await.1["project"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let user = User::new("demo", &project_id, &["member", "reader"]).await;
    let running = gateway(&user.login).await;
    let (name, token) = made(&running).await;
    let mut watch = running.watch(&name, Goal::TunnelUp, &token).await.unwrap();
    watch.until(State::Pending).await;

    user.role(Method::DELETE, "member").await;
    let blind = watch.until(State::Unknown).await;
    assert_eq!(blind.assurance(), pb::Assurance::None);
    unknown_for(&mut watch, Duration::from_secs(10)).await;
    is_blind(
        &running.get(&name).await.unwrap_err(),
        "get",
        "UPSTREAM_DENIED",
    );
    is_blind(
        &list(&running, 10, "").await.unwrap_err(),
        "list",
        "UPSTREAM_DENIED",
    );

    // With the role it goes on where it was.
    user.role(Method::PUT, "member").await;
    let begun = Instant::now();
    watch.until(State::Pending).await;
    println!("sees again {:?} after the role came back", begun.elapsed());
    remove(&running, &name).await;
    drop(watch);
    user.remove().await;
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_projects_connection_is_not_there_and_stays() {
    let _shared = cloud::shared().await;
    let running = gateway(&Login::demo()).await;
    let name = seeded_connection("OTHER");
    let request = pb::DeleteConnectionRequest {
        name: name.clone(),
        ..pb::DeleteConnectionRequest::default()
    };
    let missing = [
        running.get(&name).await.unwrap_err(),
        running.poll(&name).await.unwrap_err(),
        change(&running, &name, "x").await.unwrap_err(),
        running
            .connections()
            .delete_connection(request.clone())
            .await
            .unwrap_err(),
    ];
    for error in missing {
        assert_eq!(
            (error.code(), reason(&error).as_str()),
            (Code::NotFound, "CONNECTION_NOT_FOUND")
        );
    }
    let watch = running.watch(&name, Goal::TunnelUp, "").await;
    assert_eq!(watch.err().unwrap().code(), Code::NotFound);
    let request = pb::DeleteConnectionRequest {
        allow_missing: true,
        ..request
    };
    let answer = running.connections().delete_connection(request).await;
    assert_eq!(answer.unwrap().into_inner().write_token, "");
    let (mut token, mut all) = (String::new(), Vec::new());
    loop {
        let page = list(&running, 1000, &token).await.unwrap();
        all.extend(page.connections.into_iter().map(|it| it.name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert!(!all.contains(&name) && all.contains(&seeded_connection("DEMO")));
    let other = gateway(&Login::other()).await;
    let id = seeded("OTHER", "CONNECTION");
    other.get(&cloud::name_of(&id)).await.unwrap();
}
