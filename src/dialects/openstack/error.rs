//! What the cloud refuses, as the gateway's error. The only place that compares HTTP statuses and error types.
//!
//! The type decides, and the status only where there is none: a state that does not allow an update is 400, a
//! quota 409 or 400, and a 404 may be a policy that hides what is there.

use crate::{
    core::error::{Error, ErrorKind, ErrorReason, MAX_UPSTREAM_TEXT, Result, Upstream, Violation},
    dialects::openstack::wire::Refusal,
    rest::{
        client::{Answer, Failure, FailureKind},
        json,
        redact::tidy,
    },
};
use serde_json::Value;

/// What was asked, as far as it matters to what a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Keystone for a token.
    LogIn,
    /// To read something.
    Read,
    /// To make something.
    Create,
    /// To change something.
    Change,
    /// To remove something.
    Remove,
}

/// The type of a 404 by which Neutron itself says that there is no such connection.
const CONNECTION_NOT_FOUND: &str = "IPsecSiteConnectionNotFound";
/// The type of a 404 by which Neutron hides what a policy does not let an account see, or does not know a path.
const HIDDEN: &str = "HTTPNotFound";

/// The body of an answer that grants what was asked.
///
/// # Errors
/// What the refusal means, or that the body cannot be read. `secrets` are the keys and passwords in the body of the
/// request; words of the cloud that may quote one are withheld.
pub fn granted(answer: &Answer, asked: Asked, secrets: &[&str]) -> Result<Value> {
    if !answer.is_success() {
        return Err(refused(answer, asked, secrets));
    }
    json::parse(&answer.body).map_err(|what| broken(answer, &what))
}

/// What a refusal means.
pub fn refused(answer: &Answer, asked: Asked, secrets: &[&str]) -> Error {
    let said = refusal(answer);
    let kind = said.as_ref().map_or("", |said| said.kind.as_str());
    let (meaning, reason, message) = meaning(answer.status, kind, asked);
    let mut error = Error::new(meaning, reason, message).upstream(Upstream {
        status: answer.status,
        code: tidy(kind, 64),
        message: words(answer, said.as_ref(), secrets),
        request_id: request_id(answer),
    });
    let is_too_much = meaning == ErrorKind::Throttled || answer.status == 503;
    let patience = is_too_much.then(|| answer.patience());
    error.context.retry_after = answer.retry_after().or(patience);
    if let Some(field) = field_at_fault(kind) {
        let words = error
            .context
            .upstream
            .iter()
            .map(|upstream| &upstream.message);
        let what = format!(
            "is refused by the cloud: {}",
            words.cloned().collect::<String>()
        );
        error.context.violations.push(Violation::new(field, what));
    }
    error
}

/// What an answer was, without the cloud's words, which may quote what it was sent.
pub fn wordless(answer: &Answer) -> Upstream {
    Upstream {
        status: answer.status,
        code: refusal(answer).map_or_else(String::new, |said| tidy(&said.kind, 64)),
        message: String::new(),
        request_id: request_id(answer),
    }
}

/// Why there is no answer.
pub fn unanswered(failure: &Failure) -> Error {
    let (kind, reason) = match failure.kind {
        FailureKind::Budget(exhausted) => {
            let reason = match exhausted.is_paused {
                true => ErrorReason::UpstreamThrottled,
                false => ErrorReason::LimitExceeded,
            };
            return Error::new(ErrorKind::Throttled, reason, failure.message.clone())
                .retry_after(exhausted.wait);
        }
        FailureKind::Deadline => (ErrorKind::DeadlineExceeded, ErrorReason::Deadline),
        FailureKind::Connect | FailureKind::Broken => {
            (ErrorKind::Unavailable, ErrorReason::UpstreamUnreachable)
        }
        FailureKind::TooLarge => (ErrorKind::Unavailable, ErrorReason::UpstreamBrokenAnswer),
    };
    Error::new(kind, reason, failure.message.clone())
}

/// An answer that grants something and cannot be read.
pub fn broken(answer: &Answer, what: &str) -> Error {
    let upstream = Upstream {
        status: answer.status,
        request_id: request_id(answer),
        ..Upstream::default()
    };
    Error::new(
        ErrorKind::Unavailable,
        ErrorReason::UpstreamBrokenAnswer,
        format!("the cloud's answer cannot be read: {what}"),
    )
    .upstream(upstream)
}

/// Whether this refuses the login, and not what was asked.
pub fn is_login_refused(answer: &Answer) -> bool {
    answer.status == 401
}

/// Whether something is said not to be there, by whomever.
pub fn is_missing(answer: &Answer) -> bool {
    answer.status == 404
}

/// The words by which the cloud itself says that there is no such connection: in Neutron's form, by the type that
/// is about connections. `None` if it is anything else: a policy that hides, an API that is not there, a proxy that
/// lost its way. That an id stands in a 404 tells nothing, since whoever knows no such URL quotes it.
///
/// Open Telekom Cloud and K5 document no other form for it, and no code.
pub fn names_connection(answer: &Answer) -> Option<String> {
    let said = refusal(answer).filter(|_| is_missing(answer))?;
    (said.is_neutrons && said.kind == CONNECTION_NOT_FOUND).then_some(said.kind)
}

/// Whether a 404 is how Neutron's policy hides what is there: from an account that may not see it.
pub fn is_hidden(answer: &Answer) -> bool {
    is_missing(answer)
        && refusal(answer).is_some_and(|said| said.is_neutrons && said.kind == HIDDEN)
}

/// Whether a write that was answered like this may have happened all the same. 503 is no exception: a proxy says
/// it, too, when the server it had asked resets the connection.
pub fn is_in_doubt(answer: &Answer) -> bool {
    answer.status >= 500
}

/// Whether the network service itself says that the write failed, in Neutron's form or with a code of Open
/// Telekom Cloud's service; what stands before it only says that it lost the answer. 503 in these words is
/// Neutron's for a backend of its own that it has not got (`NoVPNAgentAvailable`).
pub fn says_failed(answer: &Answer) -> bool {
    let said = json::parse(&answer.body).unwrap_or_default();
    let code = said["code"].as_str().unwrap_or_default();
    let is_its_own = !said["NeutronError"].is_null() || code.starts_with("VPC.");
    matches!(answer.status, 500 | 503) && is_its_own
}

/// Whether this is how the cloud says that something was removed: with nothing, or with JSON. A page of HTML
/// comes from something that stands before it and has removed nothing.
pub fn says_removed(answer: &Answer) -> bool {
    answer.is_success()
        && (answer.body.trim_ascii().is_empty() || json::parse(&answer.body).is_ok())
}

/// There is no such connection.
pub fn not_found() -> Error {
    Error::new(
        ErrorKind::NotFound,
        ErrorReason::ConnectionNotFound,
        "the cloud has no such connection",
    )
}

/// The VPN collection itself is not there, as this refusal shows.
pub fn api_absent(refused: Error) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        ErrorReason::ApiAbsent,
        "the cloud's network service has no VPN collection",
    )
    .upstream(refused.context.upstream.unwrap_or_default())
}

/// The account is not shown to see connections, so that not being shown one proves nothing.
pub fn blind() -> Error {
    Error::new(
        ErrorKind::BackendAuth,
        ErrorReason::UpstreamDenied,
        "the gateway's account is shown nothing, and cannot be told from one that may not see: it needs the role \
         `member` on its project",
    )
}

/// A 404 that says nothing of the connection.
pub fn proves_nothing(refused: Error) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        ErrorReason::UpstreamBrokenAnswer,
        "something answers 404 in other words than the cloud's own for a connection, which proves nothing",
    )
    .upstream(refused.context.upstream.unwrap_or_default())
}

/// The cloud says that a connection is not there, and shows it in its list.
pub fn contradicted(refused: Error) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        ErrorReason::UpstreamBrokenAnswer,
        "the cloud answers 404 for a connection that its list shows, which proves nothing",
    )
    .upstream(refused.context.upstream.unwrap_or_default())
}

/// It cannot be known whether a write happened.
pub fn ambiguous(because: &Error, what: &str) -> Error {
    let message = format!(
        "the answer was lost and it cannot be known whether {what}: {}",
        because.message
    );
    let mut error = Error::new(ErrorKind::Ambiguous, ErrorReason::WriteAmbiguous, message);
    error.context.upstream = because.context.upstream.clone();
    error
}

/// Things a connection refers to, by the type of the 404 that says one is not there.
const REFERENCES: &[(&str, &str)] = &[
    ("VPNServiceNotFound", "the VPN service is not there"),
    ("IKEPolicyNotFound", "the IKE policy is not there"),
    ("IPsecPolicyNotFound", "the IPsec policy is not there"),
    ("VPNEndpointGroupNotFound", "an endpoint group is not there"),
    ("RouterNotFound", "the VPN service's router is not there"),
    ("SubnetNotFound", "a subnet is not there"),
];

type Meaning = (ErrorKind, ErrorReason, &'static str);

fn meaning(status: u16, kind: &str, asked: Asked) -> Meaning {
    by_type(kind, asked).unwrap_or_else(|| by_status(status, asked))
}

/// By type, or by Open Telekom Cloud's code (API reference, classic VPN, "Error codes").
fn by_type(kind: &str, asked: Asked) -> Option<Meaning> {
    if asked == Asked::LogIn {
        return None;
    }
    if let Some((_, message)) = REFERENCES.iter().find(|(known, _)| *known == kind) {
        return Some((
            ErrorKind::FailedPrecondition,
            ErrorReason::ReferenceNotFound,
            message,
        ));
    }
    Some(match kind {
        "OverQuota" | "VPC.1003" => (
            ErrorKind::QuotaExceeded,
            ErrorReason::QuotaExceeded,
            "the project's quota is used up",
        ),
        "VPC.1004" | "VPC.1021" => IN_USE,
        kind if kind.ends_with("InUse") || kind.contains("InUseBy") => IN_USE,
        "VPNStateInvalidToUpdate" => (
            ErrorKind::FailedPrecondition,
            ErrorReason::WrongState,
            "the connection is in a pending state, in which the cloud takes no update",
        ),
        "VPNGatewayNotReady"
        | "VPNGatewayInError"
        | "RouterIsNotExternal"
        | "SubnetIsNotConnectedToRouter" => (
            ErrorKind::FailedPrecondition,
            ErrorReason::WrongState,
            "the VPN service's gateway is not in a state that allows this",
        ),
        "PolicyNotAuthorized" | "VPC.1017" => DENIED,
        "RevisionNumberConstraintFailed" => STALE,
        "VPC.1002" => OWN_FAULT,
        _ => return None,
    })
}

fn by_status(status: u16, asked: Asked) -> Meaning {
    match (status, asked) {
        (401, _) | (403, Asked::LogIn) => (
            ErrorKind::BackendAuth,
            ErrorReason::UpstreamAuth,
            "the cloud refuses the gateway's login",
        ),
        (400..429 | 430..500, Asked::LogIn) => (
            ErrorKind::Unavailable,
            ErrorReason::UpstreamRejected,
            "`auth.auth_url` does not answer as Keystone v3 does",
        ),
        (403, _) => DENIED,
        (404, _) => (
            ErrorKind::Unavailable,
            ErrorReason::UpstreamBrokenAnswer,
            "the cloud answers 404 without saying what is not there, which proves nothing",
        ),
        (409, _) => (
            ErrorKind::FailedPrecondition,
            ErrorReason::WrongState,
            "the cloud is in a state that does not allow this",
        ),
        (412, _) => STALE,
        (429, _) => (
            ErrorKind::Throttled,
            ErrorReason::UpstreamThrottled,
            "the cloud asks for patience",
        ),
        (400..500, _) => (
            ErrorKind::InvalidArgument,
            ErrorReason::UpstreamRejected,
            "the cloud refuses the request as wrong",
        ),
        (300..400, _) => (
            ErrorKind::Unavailable,
            ErrorReason::UpstreamError,
            "the cloud redirects, which is not followed: the address must name the service itself",
        ),
        (503, _) => (
            ErrorKind::Unavailable,
            ErrorReason::UpstreamError,
            "the cloud is overloaded or not whole",
        ),
        _ => OWN_FAULT,
    }
}

const IN_USE: Meaning = (
    ErrorKind::FailedPrecondition,
    ErrorReason::InUse,
    "it is in use by something else",
);
const DENIED: Meaning = (
    ErrorKind::PermissionDenied,
    ErrorReason::UpstreamDenied,
    "the cloud refuses this to the gateway's account",
);
const STALE: Meaning = (
    ErrorKind::Stale,
    ErrorReason::StaleEtag,
    "the connection was changed by somebody else in the meantime",
);
const OWN_FAULT: Meaning = (
    ErrorKind::Unavailable,
    ErrorReason::UpstreamError,
    "the cloud answered with a fault of its own",
);

/// The field that a type of refusal is about, where the type tells. No message text is looked at.
fn field_at_fault(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "MissingPeerCidrs" | "PeerCidrsInvalid" | "MixedIPVersionsForPeerCidrs" => {
            "policy_based.rules[0].destinations"
        }
        "MissingRequiredEndpointGroup"
        | "InvalidEndpointGroup"
        | "WrongEndpointGroupType"
        | "VPNEndpointGroupNotFound" => "policy_based",
        "MixedIPVersionsForIPSecConnection" | "VPNPeerAddressNotResolved" => "peer.address",
        "IPsecSiteConnectionDpdIntervalValueError" => "dpd",
        "IPsecSiteConnectionMtuError" => "mtu",
        "IpsecValidationFailure" | "IPsecPolicyNotFound" => "ipsec_policy",
        "IKEPolicyNotFound" => "ike_policy",
        "VPNServiceNotFound" => "vpn_service",
        _ => return None,
    })
}

fn refusal(answer: &Answer) -> Option<Refusal> {
    Refusal::of(&json::parse(&answer.body).ok()?)
}

/// The id the cloud gave a request, for its operators.
fn request_id(answer: &Answer) -> String {
    let id = answer.header("x-openstack-request-id").unwrap_or_default();
    tidy(id.trim(), 64)
}

/// The cloud's words, fit to be shown, and none that may quote a secret. Of a body in none of its forms only plain text is.
fn words(answer: &Answer, said: Option<&Refusal>, secrets: &[&str]) -> String {
    let text = match said {
        Some(said) => said.message.clone(),
        None => {
            let body = &answer.body[..answer.body.len().min(4 * MAX_UPSTREAM_TEXT)];
            let text = String::from_utf8_lossy(body);
            if text.trim_start().starts_with('<') {
                "a page of HTML".to_owned()
            } else {
                text.into_owned()
            }
        }
    };
    answer.said(&text, MAX_UPSTREAM_TEXT, secrets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::{client::Carried, redact::WITHHELD};
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
        let body = serde_json::json!({ "NeutronError": { "type": kind, "message": "words", "detail": "" } });
        answer(status, body.to_string())
    }

    fn coded(status: u16, code: &str) -> Answer {
        let body = serde_json::json!({ "code": code, "message": "words" });
        answer(status, body.to_string())
    }

    use ErrorKind as K;
    use ErrorReason as R;

    const WRONG_STATE: (K, R) = (K::FailedPrecondition, R::WrongState);
    const USED: (K, R) = (K::FailedPrecondition, R::InUse);
    const QUOTA: (K, R) = (K::QuotaExceeded, R::QuotaExceeded);
    const REJECTED: (K, R) = (K::InvalidArgument, R::UpstreamRejected);
    const NOT_ALLOWED: (K, R) = (K::PermissionDenied, R::UpstreamDenied);
    const NO_REFERENCE: (K, R) = (K::FailedPrecondition, R::ReferenceNotFound);
    const UNREADABLE: (K, R) = (K::Unavailable, R::UpstreamBrokenAnswer);
    const FAULT: (K, R) = (K::Unavailable, R::UpstreamError);
    const LOGIN: (K, R) = (K::BackendAuth, R::UpstreamAuth);
    const PATIENCE: (K, R) = (K::Throttled, R::UpstreamThrottled);

    #[track_caller]
    fn check(answer: &Answer, asked: Asked, expected: (K, R)) {
        let error = refused(answer, asked, &[]);
        assert_eq!((error.kind, error.reason), expected, "{answer:?}");
        assert_eq!(error.context.upstream.unwrap().status, answer.status);
    }

    #[test]
    fn a_type_has_its_meaning_whatever_the_status() {
        for (status, kind, expected) in [
            (400, "VPNStateInvalidToUpdate", WRONG_STATE),
            (409, "VPNGatewayInError", WRONG_STATE),
            (400, "VPNGatewayNotReady", WRONG_STATE),
            (400, "EndpointGroupInUse", USED),
            (409, "IKEPolicyInUse", USED),
            (409, "SubnetInUseByIPsecSiteConnection", USED),
            (409, "OverQuota", QUOTA),
            (503, "NoVPNAgentAvailable", FAULT),
            (400, "HTTPBadRequest", REJECTED),
            (400, "MissingPeerCidrs", REJECTED),
            (400, "InvalidInput", REJECTED),
            (403, "PolicyNotAuthorized", NOT_ALLOWED),
            // Proven by more than itself: `read::absent`.
            (404, "IPsecSiteConnectionNotFound", UNREADABLE),
            (404, "IKEPolicyNotFound", NO_REFERENCE),
            (404, "IPsecPolicyNotFound", NO_REFERENCE),
            (404, "VPNServiceNotFound", NO_REFERENCE),
            (404, "VPNEndpointGroupNotFound", NO_REFERENCE),
            (404, "HTTPNotFound", UNREADABLE),
            (
                412,
                "RevisionNumberConstraintFailed",
                (K::Stale, R::StaleEtag),
            ),
            (500, "HTTPInternalServerError", FAULT),
        ] {
            check(&typed(status, kind), Asked::Change, expected);
        }
    }

    macro_rules! recorded {
        ($name:literal) => {
            include_str!(concat!(
                "../../../tests/fixtures/openstack/recorded/",
                $name
            ))
        };
    }

    /// What each recorded refusal that a connection can meet means, and the field it is about.
    #[test]
    fn recorded_refusals_read_as_the_table_says() {
        for (pair, asked, expected, code, field) in [
            (
                recorded!("003-wrong-password.json"),
                Asked::Read,
                LOGIN,
                "Unauthorized",
                "",
            ),
            (
                recorded!("010-no-token.json"),
                Asked::Read,
                LOGIN,
                "Unauthorized",
                "",
            ),
            (
                recorded!("049-wrong-top-level-key.json"),
                Asked::Create,
                REJECTED,
                "HTTPBadRequest",
                "",
            ),
            (
                recorded!("123-peer-name-unresolved.json"),
                Asked::Create,
                REJECTED,
                "VPNPeerAddressNotResolved",
                "peer.address",
            ),
            (
                recorded!("134-peer-group-missing.json"),
                Asked::Create,
                REJECTED,
                "MissingRequiredEndpointGroup",
                "policy_based",
            ),
            (
                recorded!("138-legacy-without-cidrs.json"),
                Asked::Create,
                REJECTED,
                "MissingPeerCidrs",
                "policy_based.rules[0].destinations",
            ),
            (
                recorded!("142-groups-swapped.json"),
                Asked::Create,
                REJECTED,
                "WrongEndpointGroupType",
                "policy_based",
            ),
            (
                recorded!("144-dpd-interval-above-timeout.json"),
                Asked::Create,
                REJECTED,
                "IPsecSiteConnectionDpdIntervalValueError",
                "dpd",
            ),
            (
                recorded!("153-mtu-a-word.json"),
                Asked::Create,
                REJECTED,
                "InvalidInput",
                "",
            ),
            (
                recorded!("161-project-of-somebody-else.json"),
                Asked::Create,
                REJECTED,
                "HTTPBadRequest",
                "",
            ),
            (
                recorded!("202-reader-creates.json"),
                Asked::Create,
                NOT_ALLOWED,
                "PolicyNotAuthorized",
                "",
            ),
            (
                recorded!("246-limit-a-word.json"),
                Asked::Read,
                REJECTED,
                "BadRequest",
                "",
            ),
            (
                recorded!("250-sort-key-without-direction.json"),
                Asked::Read,
                REJECTED,
                "HTTPBadRequest",
                "",
            ),
        ] {
            let pair = json::parse(pair.as_bytes()).unwrap();
            let said = &pair["answer"];
            let status = said["status"].as_u64().unwrap() as u16;
            let body = match &said["body"] {
                Value::String(text) => text.clone(),
                body => body.to_string(),
            };
            let answer = answer(status, body);
            check(&answer, asked, expected);
            let error = refused(&answer, asked, &["s3cret"]);
            let upstream = error.context.upstream.unwrap();
            let fields: Vec<&str> = error
                .context
                .violations
                .iter()
                .map(|it| it.field.as_str())
                .collect();
            assert_eq!(
                (upstream.code.as_str(), fields.concat().as_str()),
                (code, field),
                "{}",
                pair["title"]
            );
            assert!(!upstream.message.contains("s3cret"), "{}", pair["title"]);
        }
    }

    #[test]
    fn a_code_of_open_telekom_cloud_has_its_meaning() {
        for (status, code, expected) in [
            (400, "VPC.1001", REJECTED),
            (500, "VPC.1002", FAULT),
            (400, "VPC.1003", QUOTA),
            (400, "VPC.1004", USED),
            (400, "VPC.1021", USED),
            (400, "VPC.1017", NOT_ALLOWED),
        ] {
            check(&coded(status, code), Asked::Create, expected);
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
            (409, "", WRONG_STATE),
            (414, "<html>", REJECTED),
            (429, "", PATIENCE),
            (500, "<html>", FAULT),
            (502, "<html>", FAULT),
            (503, "", FAULT),
        ] {
            check(&answer(status, body), Asked::Read, expected);
        }
        let elsewhere = (K::Unavailable, R::UpstreamRejected);
        for (status, expected) in [
            (400, elsewhere),
            (401, LOGIN),
            (403, LOGIN),
            (404, elsewhere),
            (429, PATIENCE),
            (500, FAULT),
        ] {
            check(&answer(status, "<html>"), Asked::LogIn, expected);
        }
    }

    #[test]
    fn only_the_cloud_itself_can_say_that_a_connection_is_gone() {
        assert!(names_connection(&typed(404, CONNECTION_NOT_FOUND)).is_some());
        assert_eq!(names_connection(&typed(400, CONNECTION_NOT_FOUND)), None);
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
            assert_eq!(names_connection(&said), None, "{body}");
            assert_eq!(is_hidden(&said), body.contains("HTTPNotFound"), "{body}");
        }
    }

    #[test]
    fn a_type_that_tells_the_field_names_it() {
        let error = refused(
            &typed(400, "IPsecSiteConnectionMtuError"),
            Asked::Create,
            &[],
        );
        assert_eq!(error.context.violations[0].field, "mtu");
        let error = refused(&typed(400, "HTTPBadRequest"), Asked::Create, &[]);
        assert_eq!(error.context.violations, []);
    }

    #[test]
    fn the_clouds_words_are_bounded_and_withheld_if_they_may_quote_a_key() {
        let said = |message: &str| {
            let error = serde_json::json!({ "NeutronError": { "type": "IPsecSiteConnectionMtuError", "message": message } });
            refused(
                &answer(400, error.to_string()),
                Asked::Create,
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
        let page = refused(&answer(502, "<html>canary</html>"), Asked::Read, &[]);
        assert_eq!(page.context.upstream.unwrap().message, "a page of HTML");
    }

    #[test]
    fn a_proxy_that_lost_the_answer_does_not_say_that_the_write_failed() {
        for failed in [
            typed(500, "HTTPInternalServerError"),
            typed(503, "NoVPNAgentAvailable"),
            coded(500, "VPC.1002"),
        ] {
            assert!(is_in_doubt(&failed) && says_failed(&failed), "{failed:?}");
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
            assert!(is_in_doubt(&lost) && !says_failed(&lost), "{lost:?}");
        }
    }
}
