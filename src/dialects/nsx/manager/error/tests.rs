use super::*;
use crate::{
    dialects::lost_write::Doubt,
    rest::{answer::Carried, redact::WITHHELD},
};
use bytes::Bytes;
use http::HeaderMap;
use std::time::Duration;

fn answer(status: u16, body: impl Into<Bytes>) -> Answer {
    Answer {
        status,
        headers: HeaderMap::new(),
        body: body.into(),
        carried: Carried::default(),
    }
}

fn coded(status: u16, code: &str) -> Answer {
    let body = format!(r#"{{"error_code": {code}, "error_message": "words"}}"#);
    answer(status, body)
}

#[track_caller]
fn check(answer: &Answer, asked: Asked, expected: (ErrorKind, ErrorReason)) {
    let error = refused(answer, asked, &[]);
    assert_eq!((error.kind, error.reason), expected, "{answer:?}");
    assert_eq!(error.context.upstream.unwrap().status, answer.status);
}

use Asked::{Change, Create, Read, Remove};
use ErrorKind as K;
use ErrorReason as R;

const WRONG: (K, R) = (K::InvalidArgument, R::UpstreamRejected);
const OWNER: (K, R) = (K::PermissionDenied, R::NotOwner);
const NOT_ALLOWED: (K, R) = (K::PermissionDenied, R::UpstreamDenied);
const LOGIN: (K, R) = (K::BackendAuth, R::UpstreamAuth);
const GONE: (K, R) = (K::NotFound, R::ConnectionNotFound);
const REFERENCE: (K, R) = (K::FailedPrecondition, R::ReferenceNotFound);
const UNREADABLE: (K, R) = (K::Unavailable, R::UpstreamBrokenAnswer);
const CHANGED: (K, R) = (K::Stale, R::StaleEtag);
const STATE: (K, R) = (K::FailedPrecondition, R::WrongState);
const OFF: (K, R) = (K::FailedPrecondition, R::VpnServiceDisabled);
const USED: (K, R) = (K::FailedPrecondition, R::InUse);
const PAUSE: (K, R) = (K::Throttled, R::UpstreamThrottled);
const FAULT: (K, R) = (K::Unavailable, R::UpstreamError);

#[test]
fn each_refusal_has_its_meaning() {
    for (answer, asked, expected) in [
        (coded(400, "255"), Create, WRONG),
        (coded(400, "287"), Change, WRONG),
        (coded(400, "289"), Change, OWNER),
        (coded(403, "289"), Remove, OWNER),
        (coded(400, "2602"), Read, NOT_ALLOWED),
        (coded(403, "505"), Read, NOT_ALLOWED),
        (coded(403, "98"), Read, LOGIN),
        (coded(403, "97"), Read, LOGIN),
        (coded(403, "\"403\""), Read, LOGIN),
        (answer(403, "<html>"), Read, LOGIN),
        (answer(401, ""), Read, LOGIN),
        (coded(404, "600"), Read, GONE),
        (coded(404, "202"), Remove, GONE),
        (coded(404, "600"), Create, REFERENCE),
        (coded(404, "\"269\""), Read, UNREADABLE),
        (answer(404, "<html>"), Read, UNREADABLE),
        (answer(404, "not found"), Remove, UNREADABLE),
        (coded(409, "206"), Change, CHANGED),
        (coded(412, "206"), Change, CHANGED),
        (coded(409, "1"), Create, STATE),
        (coded(400, "110199"), Read, OFF),
        (coded(400, "500030"), Remove, USED),
        (coded(400, "110000"), Remove, USED),
        (coded(400, "500045"), Create, STATE),
        (coded(429, "\"102\""), Read, PAUSE),
        (answer(429, ""), Read, PAUSE),
        (coded(503, "101"), Read, FAULT),
        (answer(502, "<html>"), Create, FAULT),
        (coded(500, "607"), Create, FAULT),
        (answer(307, ""), Read, FAULT),
        (coded(400, "60508"), Read, FAULT),
    ] {
        check(&answer, asked, expected);
    }
}

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../../../tests/fixtures/nsx/", $name))
    };
}

/// What each example of a refusal means, with its HTTP status.
#[test]
fn the_examples_read_as_the_table_says() {
    let not_found = fixture!("error_not_found_names_logical_router.json");
    let camel = fixture!("made_error_not_found_http_status_camel.json");
    let backend = fixture!("made_error_not_found_backend_resource.json");
    let disabled = fixture!("error_service_disabled_http_status_camel.json");
    let snake = fixture!("made_error_service_disabled_http_status_snake.json");
    let limited = fixture!("error_rate_limited_string_code.json");
    let stale = fixture!("made_error_stale_revision.json");
    let principal = fixture!("made_error_other_principal.json");
    let credentials = fixture!("made_error_credentials_string_code.json");
    for (status, body, asked, expected, code) in [
        (404, not_found, Read, GONE, "600"),
        (404, camel, Remove, GONE, "600"),
        (404, backend, Read, GONE, "202"),
        (400, disabled, Read, OFF, "110199"),
        (400, snake, Read, OFF, "110199"),
        (429, limited, Read, PAUSE, "102"),
        (412, stale, Change, CHANGED, "206"),
        (400, principal, Remove, OWNER, "289"),
        (403, credentials, Read, LOGIN, "403"),
    ] {
        let answer = answer(status, body);
        check(&answer, asked, expected);
        let context = refused(&answer, asked, &[]).context;
        let module = json::parse(body.as_bytes()).unwrap()["module_name"].clone();
        let expected: Vec<_> = module
            .as_str()
            .map(|module| ("upstream_module", module.to_owned()))
            .into_iter()
            .collect();
        assert_eq!(context.metadata, expected, "{body}");
        let upstream = context.upstream.unwrap();
        assert_eq!(
            (upstream.status, upstream.code.as_str()),
            (status, code),
            "{body}"
        );
        assert!(!upstream.message.is_empty(), "{body}");
    }
}

#[test]
fn only_nsx_itself_can_say_that_something_is_gone() {
    let is_gone = |answer: &Answer| says_gone(answer).is_some();
    assert_eq!(says_gone(&coded(404, "600")).as_deref(), Some("600"));
    for body in [
        fixture!("error_not_found_names_logical_router.json"),
        fixture!("made_error_not_found_backend_resource.json"),
    ] {
        assert!(is_gone(&answer(404, body)));
    }
    for body in ["", "<html>404</html>", "404 page not found", "{}", "[]"] {
        assert!(!is_gone(&answer(404, body)), "{body}");
    }
    assert!(!is_gone(&coded(404, "\"269\"")));
    assert!(!is_gone(&coded(400, "600")));
}

#[test]
fn a_switched_off_service_is_known_by_its_code() {
    for body in [
        fixture!("error_service_disabled_http_status_camel.json"),
        fixture!("made_error_service_disabled_http_status_snake.json"),
    ] {
        let words = service_disabled(&answer(400, body)).unwrap();
        assert!(words.contains("is disabled"));
    }
    assert_eq!(service_disabled(&coded(400, "255")), None);
}

#[test]
fn the_clouds_words_are_bounded_and_withheld_if_they_may_quote_a_key() {
    let said = |message: &str| {
        let error = serde_json::json!({
            "error_code": 255, "module_name": "VPN", "error_message": "bad",
            "related_errors": [{"error_message": message}],
        });
        let error = refused(
            &answer(400, error.to_string()),
            Asked::Create,
            &["canary-key"],
        );
        error.context.upstream.unwrap()
    };
    let upstream = said(&format!("psk: other {}", "x".repeat(10_000)));
    assert_eq!(upstream.code, "255");
    assert!(upstream.message.starts_with("bad; psk: *** xxx"));
    assert!(upstream.message.len() <= MAX_UPSTREAM_TEXT + 4);
    for quoting in ["canary-key", "ary-", "61:72:79:2D", "xY2FuYXJ5LWtleQ"] {
        let upstream = said(quoting);
        assert_eq!(
            (
                upstream.status,
                upstream.code.as_str(),
                upstream.message.as_str()
            ),
            (400, "255", WITHHELD)
        );
    }
    let page = refused(&answer(502, "<html>canary</html>"), Asked::Read, &[]);
    assert_eq!(page.context.upstream.unwrap().message, "a page of HTML");
}

#[test]
fn a_write_failed_if_the_manager_itself_says_so() {
    assert_eq!(doubt(&coded(500, "607")), Some(Doubt::Failed));
    for lost in [
        answer(500, "<html>"),
        coded(500, "\"98\""),
        answer(502, ""),
        answer(503, ""),
        answer(503, "<html>"),
        coded(503, "101"),
        coded(503, "\"101\""),
        answer(504, ""),
    ] {
        assert_eq!(doubt(&lost), Some(Doubt::Refused), "{lost:?}");
    }
    let limited = coded(503, "\"102\"");
    assert_eq!(doubt(&limited), None);
    check(&limited, Create, PAUSE);
}

#[test]
fn a_throttled_account_is_told_for_how_long() {
    let mut throttled = answer(429, "");
    throttled
        .headers
        .insert("retry-after", "7".parse().unwrap());
    let error = refused(&throttled, Asked::Read, &[]);
    assert_eq!(error.context.retry_after, Some(Duration::from_secs(7)));
    let error = refused(&answer(429, ""), Asked::Read, &[]);
    assert_eq!(error.context.retry_after, Some(Duration::from_secs(1)));
}
