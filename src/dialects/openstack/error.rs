//! What the cloud refuses, as the gateway's error. The only place that compares HTTP statuses and error types.
//!
//! The type decides, and the status only where there is none: a state that does not allow an update is 400, a
//! quota 409 or 400, and a 404 may be a policy that hides what is there.

pub use crate::dialects::refusal::{Asked, endless, is_missing, removed};

use crate::{
    core::error::{Error, ErrorKind, ErrorReason, Result, Upstream, Violation},
    dialects::{
        lost_write::Doubt,
        openstack::wire::{Refusal, kind::Kind},
        refusal::{
            self, DENIED, ErrorBody, LOGIN_REFUSED, Meaning, OVERLOADED, OWN_FAULT, REJECTED,
            STALE, THROTTLED, WRONG_STATE,
        },
    },
    rest::{answer::Answer, json, redact::tidy},
};
use serde_json::Value;
use std::time::Duration;

/// When to try again what a pending state does not allow: an agent is done with most of them within that time.
const PENDING_PAUSE: Duration = Duration::from_secs(5);

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
    let said = said(answer);
    let meaning = meaning(answer.status, &said.code, asked);
    let error = said.refusal(meaning, answer, secrets);
    match meaning == PENDING && error.context.retry_after.is_none() {
        true => error.retry_after(PENDING_PAUSE),
        false => error,
    }
}

/// It was read to be in a state in which the cloud takes no update, which this is.
pub fn pending(native_state: &str) -> Error {
    let (kind, reason, message) = PENDING;
    let message = format!("{message} (`{native_state}`)");
    Error::new(kind, reason, message).retry_after(PENDING_PAUSE)
}

/// What the refusal of a write means, with the field it is about where its type tells. No message text is looked at.
pub fn write_refused(kind: &Kind, answer: &Answer, asked: Asked, secrets: &[&str]) -> Error {
    let mut error = refused(answer, asked, secrets);
    if let Some(upstream) = &error.context.upstream {
        let at_fault = kind.at_fault.iter();
        let field = at_fault
            .clone()
            .find(|(code, _)| *code == upstream.code)
            .map(|(_, field)| *field);
        if let Some(field) = field {
            let what = format!("is refused by the cloud: {}", upstream.message);
            error.context.violations.push(Violation::new(field, what));
        }
    }
    error
}

/// What an answer was, without the cloud's words, which may quote what it was sent.
pub fn wordless(answer: &Answer) -> Upstream {
    said(answer).wordless(answer)
}

/// An answer that grants something and cannot be read.
pub fn broken(answer: &Answer, what: &str) -> Error {
    refusal::broken(answer, request_id(answer), what)
}

/// Whether this refuses the login, and not what was asked.
pub fn is_login_refused(answer: &Answer) -> bool {
    answer.status == 401
}

/// The words by which the cloud itself says that there is no such object: in Neutron's form, by the type that
/// is about its kind. `None` if it is anything else: a policy that hides, an API that is not there, a proxy that
/// lost its way. That an id stands in a 404 tells nothing, since whoever knows no such URL quotes it.
///
/// Open Telekom Cloud and K5 document no other form for it, and no code.
pub fn says_gone(kind: &Kind, answer: &Answer) -> Option<String> {
    let said = refusal_in(answer).filter(|_| is_missing(answer))?;
    (said.is_neutrons && said.kind == kind.gone).then_some(said.kind)
}

/// Whether a 404 is how Neutron's policy hides what is there: from an account that may not see it.
pub fn is_hidden(answer: &Answer) -> bool {
    is_missing(answer)
        && refusal_in(answer).is_some_and(|said| said.is_neutrons && said.kind == HIDDEN)
}

/// What is not known of a write that was refused like this; `None` if it certainly was not begun.
///
/// 503 is in doubt like everything from 500 on: a proxy says it, too, when the server it had asked resets the connection.
/// That the write failed only the network service itself can say, in Neutron's form or with a code of Open Telekom
/// Cloud's service; what stands before it only says that it lost the answer. 503 in these words is Neutron's for a
/// backend of its own that it has not got (`NoVPNAgentAvailable`).
pub fn doubt(answer: &Answer) -> Option<Doubt> {
    let said = json::parse(&answer.body).unwrap_or_default();
    let code = said["code"].as_str().unwrap_or_default();
    let is_its_own = !said["NeutronError"].is_null() || code.starts_with("VPC.");
    match answer.status {
        ..500 => None,
        500 | 503 if is_its_own => Some(Doubt::Failed),
        _ => Some(Doubt::Refused),
    }
}

/// There is no such object.
pub fn not_found(kind: &Kind) -> Error {
    refusal::error(kind.not_found)
}

/// A connection uses what is to be changed in these fields, and this API changes nothing of it then.
pub fn frozen(kind: &Kind, user: &str, fields: &[String]) -> Error {
    let (kind_of_error, reason, message) = IN_USE;
    let what = format!(
        "cannot be changed while the connection `{user}` uses the {}",
        kind.noun
    );
    let mut error = Error::new(
        kind_of_error,
        reason,
        format!("{message}: the connection `{user}`"),
    );
    let violation = |field: &String| Violation::new(field, &what);
    error.context.violations = fields.iter().map(violation).collect();
    error
}

/// What a connection refers to is not there, by the field that refers to it.
pub fn not_there(kind: &Kind, id: &str, field: &str) -> Error {
    let message = format!("the {} `{id}` is not there", kind.noun);
    let reason = ErrorReason::ReferenceNotFound;
    let mut error = Error::new(ErrorKind::FailedPrecondition, reason, message);
    let what = format!("needs the {} `{id}`, which is not there", kind.noun);
    error.context.violations.push(Violation::new(field, what));
    error
}

/// The VPN collection itself is not there, as this refusal shows.
pub fn api_absent(refused: Error) -> Error {
    refusal::instead_of(refused, API_ABSENT)
}

/// The account is not shown to see, so that not being shown one proves nothing.
pub fn blind() -> Error {
    refusal::error(BLIND)
}

/// A 404 that says nothing of what was asked for.
pub fn proves_nothing(refused: Error) -> Error {
    refusal::instead_of(refused, UNPROVEN)
}

/// The cloud says that something is not there, and shows it in its list.
pub fn contradicted(refused: Error) -> Error {
    refusal::instead_of(refused, CONTRADICTED)
}

/// Things an object refers to, by the type of the 404 that says one is not there.
const REFERENCES: &[(&str, &str)] = &[
    ("VPNServiceNotFound", "the VPN service is not there"),
    ("IKEPolicyNotFound", "the IKE policy is not there"),
    ("IPsecPolicyNotFound", "the IPsec policy is not there"),
    ("VPNEndpointGroupNotFound", "an endpoint group is not there"),
    ("RouterNotFound", "the VPN service's router is not there"),
    ("SubnetNotFound", "a subnet is not there"),
    ("FlavorNotFound", "the flavor is not there"),
    (
        "NonExistingSubnetInEndpointGroup",
        "a subnet of the endpoint group is not there",
    ),
];

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
        "OverQuota" | "VPC.1003" => OVER_QUOTA,
        "VPC.1004" | "VPC.1021" => IN_USE,
        "VPC.1026" => SECOND_SERVICE,
        kind if kind.ends_with("InUse") || kind.contains("InUseBy") => IN_USE,
        "VPNStateInvalidToUpdate" => PENDING,
        "VPNGatewayNotReady" | "VPNGatewayInError" => GATEWAY_NOT_READY,
        "RouterIsNotExternal" => NO_GATEWAY,
        "SubnetIsNotConnectedToRouter" => NOT_CONNECTED,
        "PolicyNotAuthorized" | "VPC.1017" => DENIED,
        "RevisionNumberConstraintFailed" => STALE,
        "VPC.1002" => OWN_FAULT,
        _ => return None,
    })
}

fn by_status(status: u16, asked: Asked) -> Meaning {
    match (status, asked) {
        (401, _) | (403, Asked::LogIn) => LOGIN_REFUSED,
        (400..429 | 430..500, Asked::LogIn) => NO_KEYSTONE,
        (403, _) => DENIED,
        (404, _) => UNNAMED,
        (409, _) => WRONG_STATE,
        (412, _) => STALE,
        (429, _) => THROTTLED,
        (400..500, _) => REJECTED,
        (300..400, _) => REDIRECTED,
        (503, _) => OVERLOADED,
        _ => OWN_FAULT,
    }
}

const API_ABSENT: Meaning = (
    ErrorKind::Unavailable,
    ErrorReason::ApiAbsent,
    "the cloud's network service has no VPN collection",
);
const BLIND: Meaning = (
    ErrorKind::BackendAuth,
    ErrorReason::UpstreamDenied,
    "the gateway's account is shown nothing, and cannot be told from one that may not see: it needs the role \
     `member` on its project",
);
const UNPROVEN: Meaning = (
    ErrorKind::Unavailable,
    ErrorReason::UpstreamBrokenAnswer,
    "something answers 404 in other words than the cloud's own for it, which proves nothing",
);
const CONTRADICTED: Meaning = (
    ErrorKind::Unavailable,
    ErrorReason::UpstreamBrokenAnswer,
    "the cloud answers 404 for something that its list shows, which proves nothing",
);
const UNNAMED: Meaning = (
    ErrorKind::Unavailable,
    ErrorReason::UpstreamBrokenAnswer,
    "the cloud answers 404 without saying what is not there, which proves nothing",
);
const NO_KEYSTONE: Meaning = (
    ErrorKind::Unavailable,
    ErrorReason::UpstreamRejected,
    "`auth.auth_url` does not answer as Keystone v3 does",
);
const REDIRECTED: Meaning = (
    ErrorKind::Unavailable,
    ErrorReason::UpstreamError,
    "the cloud redirects, which is not followed: the address must name the service itself",
);
const OVER_QUOTA: Meaning = (
    ErrorKind::QuotaExceeded,
    ErrorReason::QuotaExceeded,
    "the project's quota is used up",
);
const IN_USE: Meaning = (
    ErrorKind::FailedPrecondition,
    ErrorReason::InUse,
    "it is in use by something else",
);
const PENDING: Meaning = (
    ErrorKind::FailedPrecondition,
    ErrorReason::WrongState,
    "it is in a pending state, in which the cloud takes no update",
);
const GATEWAY_NOT_READY: Meaning = (
    ErrorKind::FailedPrecondition,
    ErrorReason::WrongState,
    "the VPN service's gateway is not in a state that allows this",
);
const SECOND_SERVICE: Meaning = (
    ErrorKind::FailedPrecondition,
    ErrorReason::InUse,
    "the router has a VPN service already, and this cloud makes one for each",
);
const NO_GATEWAY: Meaning = (
    ErrorKind::FailedPrecondition,
    ErrorReason::WrongState,
    "the router has no gateway to an external network",
);
const NOT_CONNECTED: Meaning = (
    ErrorKind::FailedPrecondition,
    ErrorReason::WrongState,
    "a subnet is not connected to the VPN service's router",
);

fn refusal_in(answer: &Answer) -> Option<Refusal> {
    Refusal::of(&json::parse(&answer.body).ok()?)
}

/// The id the cloud gave a request, for its operators.
fn request_id(answer: &Answer) -> String {
    let id = answer.header("x-openstack-request-id").unwrap_or_default();
    tidy(id.trim(), 64)
}

fn said(answer: &Answer) -> ErrorBody {
    let refusal = refusal_in(answer);
    ErrorBody {
        code: refusal
            .as_ref()
            .map_or_else(String::new, |it| it.kind.clone()),
        message: refusal.map(|it| it.message),
        request_id: request_id(answer),
    }
}

#[cfg(test)]
mod tests;
