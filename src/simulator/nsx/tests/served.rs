//! Over HTTP: logins, request ids, managers of one cluster, limits.

use std::time::Duration;

use http::{Method, StatusCode};
use reqwest::{Client, Response};
use serde_json::Value;

use crate::simulator::faults::{Answer, Fault, Rule};
use crate::simulator::nsx::tests::{peer, session};
use crate::simulator::nsx::{Kind, Limits, NsxOptions, NsxSimulator, inventory};

const PASSWORD: &str = "not-a-real-password";
const SESSIONS: &str = "/api/v1/vpn/ipsec/sessions";

fn start(options: NsxOptions) -> (NsxSimulator, Client) {
    // reqwest needs a TLS provider even without TLS. Another test may have installed it first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder()
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap();
    (NsxSimulator::start(options).unwrap(), client)
}

async fn get(client: &Client, url: String) -> Response {
    client
        .get(url)
        .basic_auth("admin", Some(PASSWORD))
        .send()
        .await
        .unwrap()
}

/// A session cookie and its XSRF token.
async fn log_in(client: &Client, url: &str, password: &str) -> Result<(String, String), Response> {
    let form = [("j_username", "admin"), ("j_password", password)];
    let answer = client
        .post(format!("{url}/api/session/create"))
        .form(&form)
        .send()
        .await
        .unwrap();
    if answer.status() != 200 {
        return Err(answer);
    }
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    Ok((
        cookie,
        answer.headers()["x-xsrf-token"]
            .to_str()
            .unwrap()
            .to_owned(),
    ))
}

#[tokio::test]
async fn a_connection_is_made_realized_and_deleted() {
    let (nsx, client) = start(NsxOptions::default());
    let base = nsx.url() + "/api/v1/vpn/ipsec";
    let post = |collection: &str, body: Value| {
        client
            .post(format!("{base}/{collection}"))
            .basic_auth("admin", Some(PASSWORD))
            .json(&body)
            .send()
    };
    let made: Value = post("peer-endpoints", peer())
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        nsx.state().psk(made["id"].as_str().unwrap()).as_deref(),
        Some("sesame")
    );
    let answer = post("sessions", session(made["id"].as_str().unwrap()))
        .await
        .unwrap();
    assert_eq!(answer.status(), 201);
    let request_id = answer.headers()["x-nsx-requestid"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        request_id.parse::<uuid::Uuid>().unwrap().get_version_num(),
        4
    );
    let made: Value = answer.json().await.unwrap();
    let id = made["id"].as_str().unwrap();
    let url = format!("{base}/sessions/{id}");
    for expected in [
        "pending",
        "in_progress",
        "in_progress",
        "in_progress",
        "in_sync",
        "in_sync",
    ] {
        let state: Value = get(&client, format!("{url}/state?request_id={request_id}"))
            .await
            .json()
            .await
            .unwrap();
        assert_eq!(state["state"], expected);
        nsx.state().advance(id);
    }
    let deleted = client
        .delete(&url)
        .basic_auth("admin", Some(PASSWORD))
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.status(), 200);
    assert_eq!(get(&client, format!("{url}/state")).await.status(), 200);
    nsx.state().finish(id);
    assert_eq!(get(&client, format!("{url}/state")).await.status(), 404);
    assert_eq!(nsx.requests().count(&Method::POST, "/api/v1/vpn/ipsec/"), 2);
    assert_eq!(nsx.state().count(Kind::Session), 0);
}

#[tokio::test]
async fn request_ids_can_be_left_out() {
    let (nsx, client) = start(NsxOptions::default());
    nsx.state().tune(|levers| levers.request_ids = false);
    let answer = get(&client, nsx.url() + SESSIONS).await;
    assert_eq!(answer.status(), 200);
    assert!(!answer.headers().contains_key("x-nsx-requestid"));
}

#[tokio::test]
async fn no_credentials_and_wrong_ones_are_forbidden_and_lock_the_account() {
    let (nsx, client) = start(NsxOptions::default());
    let url = nsx.url() + SESSIONS;
    let answer = client.get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 403);
    assert!(answer.headers().contains_key("x-nsx-requestid"));
    assert_eq!(answer.json::<Value>().await.unwrap()["error_code"], "403");
    assert_eq!(nsx.state().failed_logins(), 0);
    for _ in 0..5 {
        assert_eq!(
            log_in(&client, &nsx.url(), "wrong")
                .await
                .unwrap_err()
                .status(),
            403
        );
    }
    assert_eq!(nsx.state().failed_logins(), 5);
    assert_eq!(get(&client, url.clone()).await.status(), 403);
    nsx.state().unlock();
    assert_eq!(get(&client, url).await.status(), 200);
}

#[tokio::test]
async fn a_session_cookie_is_bound_to_its_manager_and_expires() {
    let (nsx, client) = start(NsxOptions {
        managers: 2,
        ..NsxOptions::default()
    });
    let urls = nsx.urls();
    let (cookie, token) = log_in(&client, &urls[0], PASSWORD).await.unwrap();
    let ask = |url: &str, token: &str| {
        let request = client.get(format!("{url}{SESSIONS}"));
        request
            .header("cookie", &cookie)
            .header("x-xsrf-token", token)
            .send()
    };
    assert_eq!(ask(&urls[0], &token).await.unwrap().status(), 200);
    assert_eq!(ask(&urls[1], &token).await.unwrap().status(), 403);
    let answer = ask(&urls[0], "another").await.unwrap();
    assert_eq!(answer.status(), 403);
    assert_eq!(answer.json::<Value>().await.unwrap()["error_code"], 98);
    nsx.state().expire_sessions();
    assert_eq!(ask(&urls[0], &token).await.unwrap().status(), 403);
    assert_eq!((nsx.state().logins(), nsx.state().failed_logins()), (1, 0));
}

#[tokio::test]
async fn a_session_is_destroyed_on_request() {
    let (nsx, client) = start(NsxOptions::default());
    let (cookie, token) = log_in(&client, &nsx.url(), PASSWORD).await.unwrap();
    for (path, expected) in [("/api/session/destroy", 200), (SESSIONS, 403)] {
        let method = if expected == 200 {
            Method::POST
        } else {
            Method::GET
        };
        let request = client
            .request(method, nsx.url() + path)
            .header("cookie", &cookie);
        let answer = request.header("x-xsrf-token", &token).send().await.unwrap();
        assert_eq!(answer.status(), expected);
    }
}

#[tokio::test]
async fn a_bearer_token_is_accepted_while_it_is_known() {
    let options = NsxOptions {
        bearer_token: Some("sesame".to_owned()),
        ..NsxOptions::default()
    };
    let (nsx, client) = start(options);
    let ask = || {
        client
            .get(nsx.url() + SESSIONS)
            .bearer_auth("sesame")
            .send()
    };
    assert_eq!(ask().await.unwrap().status(), 200);
    nsx.state().reject_tokens();
    assert_eq!(ask().await.unwrap().status(), 403);
}

#[tokio::test]
async fn managers_share_one_state_and_stop_alone() {
    let (nsx, client) = start(NsxOptions {
        managers: 2,
        ..NsxOptions::default()
    });
    nsx.manager(0).stop().await.unwrap();
    let refused = client.get(nsx.url() + SESSIONS).send().await.unwrap_err();
    assert!(refused.is_connect());
    let url = format!(
        "{}/api/v1/vpn/ipsec/services/{}",
        nsx.urls()[1],
        inventory::SERVICE_ID
    );
    assert_eq!(get(&client, url).await.status(), 200);
    nsx.stop().await.unwrap();
    nsx.restart().await.unwrap();
    assert_eq!(get(&client, nsx.url() + SESSIONS).await.status(), 200);
    assert_eq!(nsx.all_requests().len(), 2);
}

#[tokio::test]
async fn too_many_requests_are_refused_without_a_hint_when_to_return() {
    let (nsx, client) = start(NsxOptions::default());
    let limits = Limits {
        per_second: 0,
        ..Limits::default()
    };
    nsx.state().tune(|levers| levers.limits = Some(limits));
    let last = get(&client, nsx.url() + SESSIONS).await;
    assert_eq!(last.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(!last.headers().contains_key("retry-after"));
    let body: Value = last.json().await.unwrap();
    assert_eq!(body["error_code"], "102");
    assert_eq!(nsx.state().throttled(), 1);
}

#[tokio::test]
async fn a_lost_answer_leaves_the_object_made() {
    let (nsx, client) = start(NsxOptions::default());
    let fault = Fault::CutAfterHandling;
    nsx.faults()
        .inject(Rule::on(Method::POST, "/peer-endpoints$", fault).times(1));
    let url = nsx.url() + "/api/v1/vpn/ipsec/peer-endpoints";
    let lost = client
        .post(&url)
        .basic_auth("admin", Some(PASSWORD))
        .json(&peer())
        .send()
        .await;
    assert!(lost.is_err());
    assert_eq!(nsx.state().count(Kind::PeerEndpoint), 1);
    let unavailable = Fault::Answer(Answer::status(StatusCode::SERVICE_UNAVAILABLE));
    nsx.faults().inject(Rule::any(unavailable).times(1));
    assert_eq!(get(&client, url.clone()).await.status(), 503);
    assert_eq!(get(&client, url).await.status(), 200);
}
