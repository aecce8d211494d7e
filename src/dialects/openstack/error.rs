//! Translates the cloud's refusals into the gateway's errors. The only file that compares HTTP statuses and error
//! types.
//!
//! The error type decides; the status counts only where there is no type. A state that does not allow an update is
//! 400, an exceeded quota is 409 or 400, and a 404 may be a policy that hides an existing object.

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

/// How long a caller should wait before retrying a write that a pending state refused. Agents finish most pending
/// states within this time.
const PENDING_PAUSE: Duration = Duration::from_secs(5);

/// The type of the 404 by which Neutron hides an object from an account whose policy does not show it. Also the type
/// for an unknown path.
const HIDDEN: &str = "HTTPNotFound";

/// Returns the body of a successful answer.
///
/// # Errors
/// What the refusal means, or that the body cannot be read. `secrets` are the keys and passwords in the request's
/// body; the cloud's words are withheld if they may quote one.
pub fn granted(answer: &Answer, asked: Asked, secrets: &[&str]) -> Result<Value> {
    if !answer.is_success() {
        return Err(refused(answer, asked, secrets));
    }
    json::parse(&answer.body).map_err(|what| broken(answer, &what))
}

/// Returns what a refusal means.
pub fn refused(answer: &Answer, asked: Asked, secrets: &[&str]) -> Error {
    let said = said(answer);
    let meaning = meaning(answer.status, &said.code, asked);
    let error = said.refusal(meaning, answer, secrets);
    match meaning == PENDING && error.context.retry_after.is_none() {
        true => error.retry_after(PENDING_PAUSE),
        false => error,
    }
}

/// The error for an object whose state, as just read, does not allow an update.
pub fn pending(native_state: &str) -> Error {
    let (kind, reason, message) = PENDING;
    let message = format!("{message} (`{native_state}`)");
    Error::new(kind, reason, message).retry_after(PENDING_PAUSE)
}

/// Returns what the refusal of a write means, with the field at fault if the error type identifies one. The message
/// text is not parsed.
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

/// Describes an answer without the cloud's words, which may quote the request.
pub fn wordless(answer: &Answer) -> Upstream {
    said(answer).wordless(answer)
}

/// The error for a successful answer that cannot be read.
pub fn broken(answer: &Answer, what: &str) -> Error {
    refusal::broken(answer, request_id(answer), what)
}

/// Reports whether the answer refuses the login rather than the request.
pub fn is_login_refused(answer: &Answer) -> bool {
    answer.status == 401
}

/// Returns the words by which the cloud itself says that the object does not exist: Neutron's form, with the error
/// type of this kind.
///
/// Returns `None` for anything else: a policy that hides the object, an absent API, or a proxy's 404. That a 404
/// quotes the id proves nothing, since a server that does not know the URL quotes it too.
///
/// Open Telekom Cloud and K5 document no other form for this, and no code.
pub fn says_gone(kind: &Kind, answer: &Answer) -> Option<String> {
    let said = refusal_in(answer).filter(|_| is_missing(answer))?;
    (said.is_neutrons && said.kind == kind.gone).then_some(said.kind)
}

/// Reports whether a 404 is Neutron's policy hiding an object from an account that may not see it.
pub fn is_hidden(answer: &Answer) -> bool {
    is_missing(answer)
        && refusal_in(answer).is_some_and(|said| said.is_neutrons && said.kind == HIDDEN)
}

/// Returns the doubt that remains about a refused write, or `None` if the cloud certainly did not begin it.
///
/// Every status from 500 on leaves a doubt, 503 included: a proxy also answers 503 when its upstream resets the
/// connection. Only the network service itself can say that the write failed, in Neutron's form or with a code of
/// Open Telekom Cloud's service. Anything in front of it says only that it lost the answer. A 503 in Neutron's form
/// means that Neutron lacks a backend of its own (`NoVPNAgentAvailable`).
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

pub fn not_found(kind: &Kind) -> Error {
    refusal::error(kind.not_found)
}

/// The error for a change to fields that this API does not allow while a connection uses the object.
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

/// The error for a referenced object that is not there, with the field that references it.
pub fn not_there(kind: &Kind, id: &str, field: &str) -> Error {
    let message = format!("the {} `{id}` is not there", kind.noun);
    let reason = ErrorReason::ReferenceNotFound;
    let mut error = Error::new(ErrorKind::FailedPrecondition, reason, message);
    let what = format!("needs the {} `{id}`, which is not there", kind.noun);
    error.context.violations.push(Violation::new(field, what));
    error
}

/// The error for a missing VPN collection, which this refusal shows.
pub fn api_absent(refused: Error) -> Error {
    refusal::instead_of(refused, API_ABSENT)
}

/// The error for an account that is not proven to see, so that an empty answer proves nothing.
pub fn blind() -> Error {
    refusal::error(BLIND)
}

/// The error for a 404 that proves nothing about the object.
pub fn proves_nothing(refused: Error) -> Error {
    refusal::instead_of(refused, UNPROVEN)
}

/// The error for a 404 about an object that the cloud's own list shows.
pub fn contradicted(refused: Error) -> Error {
    refusal::instead_of(refused, CONTRADICTED)
}

/// Referenced objects, by the error type of the 404 that says one is missing.
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

/// By Neutron's type, or by Open Telekom Cloud's code (API reference, classic VPN, "Error codes").
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

/// The id that the cloud gave a request, for the cloud's operators.
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
