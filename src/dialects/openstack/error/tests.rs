use super::*;
use crate::{
    core::error::MAX_UPSTREAM_TEXT,
    dialects::openstack::wire::kind::CONNECTIONS,
    rest::{answer::Carried, redact::WITHHELD},
};
use bytes::Bytes;
use http::HeaderMap;

fn answer(status: u16, body: impl Into<Bytes>) -> Answer {
    Answer {
        status,
        headers: HeaderMap::new(),
        body: body.into(),
        carried: Carried::default(),
    }
}

fn typed(status: u16, kind: &str) -> Answer {
    let body =
        serde_json::json!({ "NeutronError": { "type": kind, "message": "words", "detail": "" } });
    answer(status, body.to_string())
}

fn coded(status: u16, code: &str) -> Answer {
    let body = serde_json::json!({ "code": code, "message": "words" });
    answer(status, body.to_string())
}

use Asked::{Change, Create, LogIn, Read};
use ErrorKind as K;
use ErrorReason as R;

const STATE: (K, R) = (K::FailedPrecondition, R::WrongState);
const USED: (K, R) = (K::FailedPrecondition, R::InUse);
const QUOTA: (K, R) = (K::QuotaExceeded, R::QuotaExceeded);
const WRONG: (K, R) = (K::InvalidArgument, R::UpstreamRejected);
const NOT_ALLOWED: (K, R) = (K::PermissionDenied, R::UpstreamDenied);
const REFERENCE: (K, R) = (K::FailedPrecondition, R::ReferenceNotFound);
const UNREADABLE: (K, R) = (K::Unavailable, R::UpstreamBrokenAnswer);
const FAULT: (K, R) = (K::Unavailable, R::UpstreamError);
const LOGIN: (K, R) = (K::BackendAuth, R::UpstreamAuth);
const PAUSE: (K, R) = (K::Throttled, R::UpstreamThrottled);

#[track_caller]
fn check(answer: &Answer, asked: Asked, expected: (K, R)) {
    let error = refused(answer, asked, &[]);
    assert_eq!((error.kind, error.reason), expected, "{answer:?}");
    assert_eq!(error.context.upstream.unwrap().status, answer.status);
}

#[test]
fn what_is_pending_says_when_to_try_again() {
    let pause = Some(Duration::from_secs(5));
    let refused = |answer: &Answer| write_refused(&CONNECTIONS, answer, Change, &[]);
    let pending = refused(&typed(400, "VPNStateInvalidToUpdate"));
    assert_eq!((pending.kind, pending.reason), STATE);
    assert_eq!(pending.context.retry_after, pause);
    let other = refused(&typed(409, "VPNGatewayInError"));
    assert_eq!(
        (other.reason, other.context.retry_after),
        (R::WrongState, None)
    );
    let read = super::pending("PENDING UPDATE");
    assert_eq!((read.kind, read.reason), STATE);
    assert_eq!(read.context.retry_after, pause);
    assert!(read.message.contains("`PENDING UPDATE`"));
}

#[test]
fn a_type_has_its_meaning_whatever_the_status() {
    for (status, kind, expected) in [
        (400, "VPNStateInvalidToUpdate", STATE),
        (409, "VPNGatewayInError", STATE),
        (400, "VPNGatewayNotReady", STATE),
        (400, "EndpointGroupInUse", USED),
        (409, "IKEPolicyInUse", USED),
        (409, "SubnetInUseByIPsecSiteConnection", USED),
        (409, "OverQuota", QUOTA),
        (503, "NoVPNAgentAvailable", FAULT),
        (400, "HTTPBadRequest", WRONG),
        (400, "MissingPeerCidrs", WRONG),
        (400, "InvalidInput", WRONG),
        (403, "PolicyNotAuthorized", NOT_ALLOWED),
        // Takes more than this answer to prove: `read::absent`.
        (404, "IPsecSiteConnectionNotFound", UNREADABLE),
        (404, "IKEPolicyNotFound", REFERENCE),
        (404, "IPsecPolicyNotFound", REFERENCE),
        (404, "VPNServiceNotFound", REFERENCE),
        (404, "VPNEndpointGroupNotFound", REFERENCE),
        (404, "HTTPNotFound", UNREADABLE),
        (
            412,
            "RevisionNumberConstraintFailed",
            (K::Stale, R::StaleEtag),
        ),
        (500, "HTTPInternalServerError", FAULT),
    ] {
        check(&typed(status, kind), Change, expected);
    }
}

/// What each recorded refusal of a connection request means, and the field at fault.
#[test]
fn recorded_refusals_read_as_the_table_says() {
    for (file, expected, code, field) in [
        ("003-wrong-password", LOGIN, "Unauthorized", ""),
        ("010-no-token", LOGIN, "Unauthorized", ""),
        ("246-limit-a-word", WRONG, "BadRequest", ""),
        (
            "250-sort-key-without-direction",
            WRONG,
            "HTTPBadRequest",
            "",
        ),
    ] {
        check_recorded(file, Read, expected, code, field);
    }
    for (file, expected, code, field) in [
        ("049-wrong-top-level-key", WRONG, "HTTPBadRequest", ""),
        (
            "123-peer-name-unresolved",
            WRONG,
            "VPNPeerAddressNotResolved",
            "peer.address",
        ),
        (
            "134-peer-group-missing",
            WRONG,
            "MissingRequiredEndpointGroup",
            "policy_based",
        ),
        (
            "138-legacy-without-cidrs",
            WRONG,
            "MissingPeerCidrs",
            "policy_based.rules[0].destinations",
        ),
        (
            "142-groups-swapped",
            WRONG,
            "WrongEndpointGroupType",
            "policy_based",
        ),
        (
            "144-dpd-interval-above-timeout",
            WRONG,
            "IPsecSiteConnectionDpdIntervalValueError",
            "dpd",
        ),
        ("153-mtu-a-word", WRONG, "InvalidInput", ""),
        ("161-project-of-somebody-else", WRONG, "HTTPBadRequest", ""),
        ("202-reader-creates", NOT_ALLOWED, "PolicyNotAuthorized", ""),
    ] {
        check_recorded(file, Create, expected, code, field);
    }
}

#[track_caller]
fn check_recorded(file: &str, asked: Asked, expected: (K, R), code: &str, field: &str) {
    let folder = "tests/fixtures/openstack/recorded";
    let root = env!("CARGO_MANIFEST_DIR");
    let pair = std::fs::read(format!("{root}/{folder}/{file}.json")).unwrap();
    let pair = json::parse(&pair).unwrap();
    let said = &pair["answer"];
    let status = said["status"].as_u64().unwrap() as u16;
    let body = match &said["body"] {
        Value::String(text) => text.clone(),
        body => body.to_string(),
    };
    let answer = answer(status, body);
    check(&answer, asked, expected);
    let context = write_refused(&CONNECTIONS, &answer, asked, &["s3cret"]).context;
    let upstream = context.upstream.unwrap();
    assert_eq!(upstream.code, code, "{file}");
    let fields: Vec<_> = context.violations.into_iter().map(|it| it.field).collect();
    assert_eq!(fields.concat(), field, "{file}");
    assert!(!upstream.message.contains("s3cret"), "{file}");
}

#[test]
fn a_code_of_open_telekom_cloud_has_its_meaning() {
    for (status, code, expected) in [
        (400, "VPC.1001", WRONG),
        (500, "VPC.1002", FAULT),
        (400, "VPC.1003", QUOTA),
        (400, "VPC.1004", USED),
        (400, "VPC.1021", USED),
        (400, "VPC.1017", NOT_ALLOWED),
    ] {
        check(&coded(status, code), Create, expected);
    }
}

#[test]
fn a_status_alone_has_its_meaning() {
    let keystone = r#"{"error": {"code": 401, "title": "Unauthorized", "message": "m"}}"#;
    for (status, body, expected) in [
        (307, "", FAULT),
        (401, keystone, LOGIN),
        (403, "", NOT_ALLOWED),
        (404, "<html>", UNREADABLE),
        (409, "", STATE),
        (414, "<html>", WRONG),
        (429, "", PAUSE),
        (500, "<html>", FAULT),
        (502, "<html>", FAULT),
        (503, "", FAULT),
    ] {
        check(&answer(status, body), Read, expected);
    }
    let elsewhere = (K::Unavailable, R::UpstreamRejected);
    for (status, expected) in [
        (400, elsewhere),
        (401, LOGIN),
        (403, LOGIN),
        (404, elsewhere),
        (429, PAUSE),
        (500, FAULT),
    ] {
        check(&answer(status, "<html>"), LogIn, expected);
    }
}

#[test]
fn only_the_cloud_itself_can_say_that_a_connection_is_gone() {
    assert!(says_gone(&CONNECTIONS, &typed(404, CONNECTIONS.gone)).is_some());
    assert_eq!(says_gone(&CONNECTIONS, &typed(400, CONNECTIONS.gone)), None);
    for body in [
        "",
        "a-1",
        "<html>a-1</html>",
        "404 page not found",
        "{}",
        r#"{"message": "a-1"}"#,
        r#"{"NeutronError": "connection a-1 could not be found"}"#,
        r#"{"NeutronError": {"type": "HTTPNotFound", "message": "a-1"}}"#,
        r#"{"NeutronError": {"type": "IKEPolicyNotFound", "message": "IKEPolicy a-1"}}"#,
        r#"{"NeutronError": {"type": "PortNotFound", "message": "Port a-1"}}"#,
        r#"{"code": "VPC.0202", "message": "a-1 is not there"}"#,
        r#"{"code": "IPsecSiteConnectionNotFound", "message": "a-1"}"#,
        r#"{"error": {"title": "IPsecSiteConnectionNotFound", "message": "a-1"}}"#,
        r#"{"error_code": "APIGW.0101", "error_msg": "GET /v2.0/vpn/ipsec-site-connections/a-1"}"#,
    ] {
        let said = answer(404, body.to_owned());
        assert_eq!(says_gone(&CONNECTIONS, &said), None, "{body}");
        assert_eq!(is_hidden(&said), body.contains("HTTPNotFound"), "{body}");
    }
}

#[test]
fn a_type_that_tells_the_field_names_it() {
    let error = write_refused(
        &CONNECTIONS,
        &typed(400, "IPsecSiteConnectionMtuError"),
        Create,
        &[],
    );
    assert_eq!(error.context.violations[0].field, "mtu");
    let error = write_refused(&CONNECTIONS, &typed(400, "HTTPBadRequest"), Create, &[]);
    assert_eq!(error.context.violations, []);
}

#[test]
fn the_clouds_words_are_bounded_and_withheld_if_they_may_quote_a_key() {
    let said = |message: &str| {
        let error = serde_json::json!({ "NeutronError": { "type": "IPsecSiteConnectionMtuError", "message": message } });
        write_refused(
            &CONNECTIONS,
            &answer(400, error.to_string()),
            Create,
            &["can'ary\\key"],
        )
    };
    let words = format!(
        "Invalid input for x. Reason: psk: other {}",
        "x".repeat(9000)
    );
    let upstream = said(&words).context.upstream.unwrap();
    assert!(
        upstream
            .message
            .starts_with("Invalid input for x. Reason: psk: *** xxx"),
        "{}",
        upstream.message
    );
    assert!(upstream.message.len() <= MAX_UPSTREAM_TEXT + 4);
    for quoting in [
        "'can\\'ary\\\\key' is too short",
        "n%27ar",
        "bad 272761727927",
    ] {
        let error = said(quoting);
        let upstream = error.context.upstream.unwrap();
        assert_eq!(
            (
                upstream.status,
                upstream.code.as_str(),
                upstream.message.as_str()
            ),
            (400, "IPsecSiteConnectionMtuError", WITHHELD)
        );
        let violation = &error.context.violations[0];
        assert_eq!(violation.field, "mtu");
        assert!(violation.description.ends_with(WITHHELD));
    }
    let page = refused(&answer(502, "<html>canary</html>"), Read, &[]);
    assert_eq!(page.context.upstream.unwrap().message, "a page of HTML");
}

#[test]
fn a_proxy_that_lost_the_answer_does_not_say_that_the_write_failed() {
    for failed in [
        typed(500, "HTTPInternalServerError"),
        typed(503, "NoVPNAgentAvailable"),
        coded(500, "VPC.1002"),
    ] {
        assert_eq!(doubt(&failed), Some(Doubt::Failed), "{failed:?}");
    }
    let of_the_gateway = r#"{"error_code": "APIGW.0201", "error_msg": "backend unavailable"}"#;
    for lost in [
        answer(500, "<html>"),
        answer(500, of_the_gateway),
        answer(502, ""),
        answer(503, ""),
        answer(503, "<html>"),
        answer(503, of_the_gateway),
        answer(504, ""),
    ] {
        assert_eq!(doubt(&lost), Some(Doubt::Refused), "{lost:?}");
    }
}
