use super::*;
use crate::rest::client::Carried;
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
fn check(answer: &Answer, asked: Asked, kind: ErrorKind, reason: ErrorReason) {
    let error = refused(answer, asked, &[]);
    assert_eq!((error.kind, error.reason), (kind, reason), "{answer:?}");
    assert_eq!(error.context.upstream.unwrap().status, answer.status);
}

#[test]
fn each_refusal_has_its_meaning() {
    use Asked::{Change, Create, Read, Remove};
    use ErrorKind as K;
    use ErrorReason as R;
    check(
        &coded(400, "255"),
        Create,
        K::InvalidArgument,
        R::UpstreamRejected,
    );
    check(
        &coded(400, "287"),
        Change,
        K::InvalidArgument,
        R::UpstreamRejected,
    );
    check(&coded(400, "289"), Change, K::PermissionDenied, R::NotOwner);
    check(&coded(403, "289"), Remove, K::PermissionDenied, R::NotOwner);
    check(
        &coded(400, "2602"),
        Read,
        K::PermissionDenied,
        R::UpstreamDenied,
    );
    check(
        &coded(403, "505"),
        Read,
        K::PermissionDenied,
        R::UpstreamDenied,
    );
    check(&coded(403, "98"), Read, K::BackendAuth, R::UpstreamAuth);
    check(&coded(403, "97"), Read, K::BackendAuth, R::UpstreamAuth);
    check(
        &coded(403, "\"403\""),
        Read,
        K::BackendAuth,
        R::UpstreamAuth,
    );
    check(
        &answer(403, "<html>"),
        Read,
        K::BackendAuth,
        R::UpstreamAuth,
    );
    check(&answer(401, ""), Read, K::BackendAuth, R::UpstreamAuth);
    check(&coded(404, "600"), Read, K::NotFound, R::ConnectionNotFound);
    check(
        &coded(404, "202"),
        Remove,
        K::NotFound,
        R::ConnectionNotFound,
    );
    check(
        &coded(404, "600"),
        Create,
        K::FailedPrecondition,
        R::ReferenceNotFound,
    );
    check(
        &coded(404, "\"269\""),
        Read,
        K::Unavailable,
        R::UpstreamBrokenAnswer,
    );
    check(
        &answer(404, "<html>"),
        Read,
        K::Unavailable,
        R::UpstreamBrokenAnswer,
    );
    check(
        &answer(404, "not found"),
        Remove,
        K::Unavailable,
        R::UpstreamBrokenAnswer,
    );
    check(&coded(409, "206"), Change, K::Stale, R::StaleEtag);
    check(&coded(412, "206"), Change, K::Stale, R::StaleEtag);
    check(
        &coded(409, "1"),
        Create,
        K::FailedPrecondition,
        R::WrongState,
    );
    check(
        &coded(400, "110199"),
        Read,
        K::FailedPrecondition,
        R::VpnServiceDisabled,
    );
    check(
        &coded(400, "500030"),
        Remove,
        K::FailedPrecondition,
        R::InUse,
    );
    check(
        &coded(400, "110000"),
        Remove,
        K::FailedPrecondition,
        R::InUse,
    );
    check(
        &coded(400, "500045"),
        Create,
        K::FailedPrecondition,
        R::WrongState,
    );
    check(
        &coded(429, "\"102\""),
        Read,
        K::Throttled,
        R::UpstreamThrottled,
    );
    check(&answer(429, ""), Read, K::Throttled, R::UpstreamThrottled);
    check(&coded(503, "101"), Read, K::Unavailable, R::UpstreamError);
    check(
        &answer(502, "<html>"),
        Create,
        K::Unavailable,
        R::UpstreamError,
    );
    check(&coded(500, "607"), Create, K::Unavailable, R::UpstreamError);
    check(&answer(307, ""), Read, K::Unavailable, R::UpstreamError);
    check(&coded(400, "60508"), Read, K::Unavailable, R::UpstreamError);
}

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../../tests/fixtures/nsx/", $name))
    };
}

/// What each example of a refusal means, with the status it comes with.
#[test]
fn the_examples_read_as_the_table_says() {
    use Asked::{Change, Read, Remove};
    use ErrorKind as K;
    use ErrorReason as R;
    let gone = (K::NotFound, R::ConnectionNotFound);
    let switched_off = (K::FailedPrecondition, R::VpnServiceDisabled);
    for (status, body, asked, (kind, reason), code) in [
        (
            404,
            fixture!("error_not_found_names_logical_router.json"),
            Read,
            gone,
            "600",
        ),
        (
            404,
            fixture!("made_error_not_found_http_status_camel.json"),
            Remove,
            gone,
            "600",
        ),
        (
            404,
            fixture!("made_error_not_found_backend_resource.json"),
            Read,
            gone,
            "202",
        ),
        (
            400,
            fixture!("error_service_disabled_http_status_camel.json"),
            Read,
            switched_off,
            "110199",
        ),
        (
            400,
            fixture!("made_error_service_disabled_http_status_snake.json"),
            Read,
            switched_off,
            "110199",
        ),
        (
            429,
            fixture!("error_rate_limited_string_code.json"),
            Read,
            (K::Throttled, R::UpstreamThrottled),
            "102",
        ),
        (
            412,
            fixture!("made_error_stale_revision.json"),
            Change,
            (K::Stale, R::StaleEtag),
            "206",
        ),
        (
            400,
            fixture!("made_error_other_principal.json"),
            Remove,
            (K::PermissionDenied, R::NotOwner),
            "289",
        ),
        (
            403,
            fixture!("made_error_credentials_string_code.json"),
            Read,
            (K::BackendAuth, R::UpstreamAuth),
            "403",
        ),
    ] {
        let answer = answer(status, body);
        check(&answer, asked, kind, reason);
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
    let says_gone = |answer: &Answer| not_there(answer).is_some();
    assert_eq!(not_there(&coded(404, "600")).as_deref(), Some("600"));
    assert!(says_gone(&answer(
        404,
        include_str!("../../../../tests/fixtures/nsx/error_not_found_names_logical_router.json")
    )));
    assert!(says_gone(&answer(
        404,
        include_str!("../../../../tests/fixtures/nsx/made_error_not_found_backend_resource.json")
    )));
    for body in ["", "<html>404</html>", "404 page not found", "{}", "[]"] {
        assert!(!says_gone(&answer(404, body)), "{body}");
    }
    assert!(!says_gone(&coded(404, "\"269\"")));
    assert!(!says_gone(&coded(400, "600")));
}

#[test]
fn a_switched_off_service_is_known_by_its_code() {
    for body in [
        include_str!(
            "../../../../tests/fixtures/nsx/error_service_disabled_http_status_camel.json"
        ),
        include_str!(
            "../../../../tests/fixtures/nsx/made_error_service_disabled_http_status_snake.json"
        ),
    ] {
        assert!(
            service_disabled(&answer(400, body))
                .unwrap()
                .contains("is disabled")
        );
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
    assert!(says_failed(&coded(500, "607")));
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
        assert!(is_in_doubt(&lost) && !says_failed(&lost), "{lost:?}");
    }
    let limited = coded(503, "\"102\"");
    assert!(!is_in_doubt(&limited));
    check(
        &limited,
        Asked::Create,
        ErrorKind::Throttled,
        ErrorReason::UpstreamThrottled,
    );
}

#[test]
fn patience_says_how_long() {
    let mut throttled = answer(429, "");
    throttled
        .headers
        .insert("retry-after", "7".parse().unwrap());
    let error = refused(&throttled, Asked::Read, &[]);
    assert_eq!(error.context.retry_after, Some(Duration::from_secs(7)));
    let error = refused(&answer(429, ""), Asked::Read, &[]);
    assert_eq!(error.context.retry_after, Some(Duration::from_secs(1)));
}
