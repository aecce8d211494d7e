//! Errors that people can act on: whatever a cloud answers, the caller learns which backend it was, what the cloud's
//! status and code were, and the cloud's own words, bounded and without secrets.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

mod support;

use futures_util::{StreamExt, stream};
use http::{HeaderName, HeaderValue, Method};
use isthmus::{
    dialects::settings::Given,
    grpc::{pb, status::MAX_WIRE_BYTES},
    model::ResourceKind,
    rest::redact::WITHHELD,
    simulator::{
        faults::{Answer, Fault, Rule},
        nsx::{NsxOptions, NsxSimulator},
    },
};
use serde_json::json;
use std::{collections::HashMap, time::Duration};
use support::{
    api::{Api, words},
    cloud::{self, Cloud},
    clouds::PSK,
    running::Running,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// What a cloud may answer instead of what was asked for, and the code it has to come out with. Which code a
/// refusal of the request itself has depends on what was asked, and so does what 500 and 503 leave in doubt.
const ANSWERS: &[(u16, Option<Code>)] = &[
    (301, Some(Code::Unavailable)),
    (400, None),
    (401, Some(Code::Internal)),
    (403, None),
    (404, None),
    (409, None),
    (412, None),
    (429, Some(Code::Unavailable)),
    (500, None),
    (503, None),
];

/// Longer than any upstream text that is passed on.
const RAMBLING: usize = 20_000;

/// The cloud's words in its own form, quoting keys by name and what it was `sent` bare, and never coming to an end.
fn refusal(status: u16, sent: &str) -> Fault {
    let words = format!(
        "of all things: psk='{PSK}', {{\"password\": \"{PSK}\"}} and {sent} {}",
        "blah \u{1b}[31m".repeat(RAMBLING / 10)
    );
    let body = json!({
        "httpStatus": "X", "error_code": 4711, "module_name": "VPN", "error_message": words,
        "NeutronError": { "type": "OddError", "message": words, "detail": "" },
    });
    let id = HeaderValue::from_static("req-of-the-cloud");
    let answer = Answer::json(status.try_into().unwrap(), &body)
        .header(HeaderName::from_static("x-nsx-requestid"), id.clone())
        .header(HeaderName::from_static("x-openstack-request-id"), id);
    Fault::Answer(answer)
}

fn metadata(status: &Status) -> HashMap<String, String> {
    status
        .get_details_error_info()
        .unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"))
        .metadata
}

/// What every error has that a cloud's answer led to.
fn check(backend: &str, answer: u16, status: &Status) {
    let what = format!("{backend} {answer}: {status:?}");
    let metadata = metadata(status);
    let told = |key: &str| metadata.get(key).map(String::as_str).unwrap_or_default();
    assert_eq!(told("backend"), format!("backends/{backend}"), "{what}");
    assert_eq!(told("upstream_status"), answer.to_string(), "{what}");
    assert_eq!(told("upstream_request_id"), "req-of-the-cloud", "{what}");
    let code = if backend == "nsx-a" {
        "4711"
    } else {
        "OddError"
    };
    assert_eq!(told("upstream_code"), code, "{what}");
    // A login that rests is told with what the cloud said of it, but not in words, which may quote somebody's key.
    let resting = ["not tried again yet", "is asked once more in some seconds"];
    let rests = resting.iter().any(|words| status.message().contains(words));
    let words = told("upstream_message");
    assert!(
        words.starts_with("of all things") || words == WITHHELD || rests && words.is_empty(),
        "{what}"
    );
    assert!(!told("operation").is_empty(), "{what}");
    let mut headers = http::HeaderMap::new();
    status.add_header(&mut headers).unwrap();
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    assert!(bytes < MAX_WIRE_BYTES, "{bytes} bytes, {what}");
    let everything = format!("{status:?} {}", String::from_utf8_lossy(status.details()));
    assert!(!everything.contains(PSK), "{what}");
    assert!(!everything.contains('\u{1b}'), "{what}");
}

/// A write of which nobody knows is looked for as long as its caller has time.
const DEADLINE: Duration = Duration::from_secs(3);

/// A gateway that has asked nothing yet, so that no login is at rest.
async fn gateway(settings: &Given) -> Running {
    let running = Running::start(vec![settings.clone()]).await;
    running.within(DEADLINE)
}

/// One answer, whatever is asked.
async fn told(cloud: &dyn Cloud, backend: &str, answer: u16, code: Option<Code>) {
    let (faults, wanted) = (cloud.faults(), cloud.wanted(backend));
    let mut settings = cloud.settings(backend);
    settings.core.timeout = Duration::from_secs(1);
    let first = gateway(&settings).await;
    let (made, _) = first.create(backend, wanted.clone()).await.unwrap();
    let name = made.name;
    // No update is refused because of the state it is in.
    cloud.settle(name.rsplit('/').next().unwrap());
    let renamed = pb::Connection {
        name: name.clone(),
        display_name: "another".to_owned(),
        ..pb::Connection::default()
    };
    let another = pb::Connection {
        display_name: "not there yet".to_owned(),
        ..wanted.clone()
    };
    let mut errors = Vec::new();
    for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
        faults.clear();
        let sent = if method == Method::POST { PSK } else { "" };
        faults.inject(Rule::on(method.clone(), "vpn", refusal(answer, sent)));
        let gateway = gateway(&settings).await;
        errors.extend(match method {
            Method::GET => vec![
                gateway.get(&name).await.unwrap_err(),
                gateway.list(backend).await.unwrap_err(),
                gateway.poll(&name).await.unwrap_err(),
                gateway.export(&name).await.unwrap_err(),
                gateway.apply(backend, another.clone()).await.unwrap_err(),
            ],
            Method::POST => vec![
                gateway.create(backend, wanted.clone()).await.unwrap_err(),
                gateway.apply(backend, another.clone()).await.unwrap_err(),
            ],
            Method::PUT => {
                let updated = gateway.update(renamed.clone(), &["display_name"]).await;
                let applied = gateway.apply(backend, renamed.clone()).await;
                vec![updated.unwrap_err(), applied.unwrap_err()]
            }
            _ => vec![gateway.delete(&name).await.unwrap_err()],
        });
    }
    faults.clear();
    for error in errors {
        check(backend, answer, &error);
        if let Some(code) = code {
            assert_eq!(error.code(), code, "{answer}: {error:?}");
        }
    }
}

/// The same of resources beside connections. No request about them carries a key, so none can be quoted bare.
async fn told_of(
    kind: ResourceKind,
    cloud: &dyn Cloud,
    backend: &str,
    answer: u16,
    code: Option<Code>,
) {
    let faults = cloud.faults();
    let mut settings = cloud.settings(backend);
    settings.core.timeout = Duration::from_secs(1);
    let body = json!({ "display_name": "x" });
    let first = gateway(&settings).await;
    let made = Api::new(first.channel.clone())
        .create(kind, backend, &body, false)
        .await;
    let name = made.unwrap()[words(kind).field]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let renamed = json!({ "name": name, "display_name": "another" });
    for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
        faults.clear();
        faults.inject(Rule::on(method.clone(), "vpn", refusal(answer, "")));
        let gateway = gateway(&settings).await;
        let api = Api::new(gateway.channel.clone()).within(DEADLINE);
        let answers = match method {
            Method::GET => vec![
                api.get(kind, &name).await,
                api.list(kind, backend, &json!({})).await,
            ],
            Method::POST => vec![api.create(kind, backend, &body, false).await],
            Method::PUT => vec![api.update(kind, &renamed, None, false).await],
            _ => vec![api.delete(kind, &name, &json!({})).await],
        };
        for error in answers {
            let error = error.unwrap_err();
            check(backend, answer, &error);
            if let Some(code) = code {
                assert_eq!(error.code(), code, "{answer}: {error:?}");
            }
        }
    }
}

/// How many answers are tried at the same time, each by a cloud of its own: most of the time, a lost write is looked for.
const AT_ONCE: usize = 10;

/// Tries every answer.
async fn each<F: Future<Output = ()>>(answer: impl Fn(u16, Option<Code>) -> F) {
    let all = ANSWERS.iter().map(|(status, code)| answer(*status, *code));
    let tried = stream::iter(all).buffer_unordered(AT_ONCE).count().await;
    assert_eq!(tried, ANSWERS.len());
}

#[tokio::test]
async fn whatever_nsx_answers_about_resources_is_told() {
    each(async |answer, code| {
        let nsx = NsxSimulator::start(NsxOptions::default()).unwrap();
        for kind in [ResourceKind::IkePolicy, ResourceKind::DpdPolicy] {
            told_of(kind, &nsx, "nsx-a", answer, code).await;
        }
    })
    .await;
}

#[tokio::test]
async fn whatever_openstack_answers_about_resources_is_told() {
    each(async |answer, code| {
        let openstack = cloud::openstack();
        for kind in [ResourceKind::IkePolicy, ResourceKind::IpsecPolicy] {
            told_of(kind, &openstack, "os-a", answer, code).await;
        }
    })
    .await;
}

#[tokio::test]
async fn whatever_nsx_answers_is_told() {
    each(async |answer, code| {
        let nsx = NsxSimulator::start(NsxOptions::default()).unwrap();
        told(&nsx, "nsx-a", answer, code).await;
    })
    .await;
}

#[tokio::test]
async fn whatever_openstack_answers_is_told() {
    each(async |answer, code| {
        told(&cloud::openstack(), "os-a", answer, code).await;
    })
    .await;
}
