//! Maps refusals of the Manager API to the gateway's errors. [`api_error`] has what all APIs of NSX share.

pub use crate::dialects::{
    nsx::api_error::{broken, doubt, request_id},
    refusal::{Asked, if_there, is_missing, removed},
};

use crate::{
    core::error::{Error, ErrorKind, ErrorReason, MAX_UPSTREAM_TEXT, Result},
    dialects::{
        nsx::{
            api_error::{self, ApiError},
            manager::status::SERVICE_DISABLED,
        },
        refusal::{self, Meaning, NOT_FOUND, OWN_FAULT},
    },
    model::ResourceKind,
    rest::{answer::Answer, json},
};
use serde_json::Value;

/// Reads the body of a successful answer.
///
/// # Errors
/// What the refusal means, or that the body cannot be read. `secrets` are the keys and passwords in the body of the
/// request. Text of the cloud that may quote one of them is withheld.
pub fn granted(answer: &Answer, asked: Asked, secrets: &[&str]) -> Result<Value> {
    if !answer.is_success() {
        return Err(refused(answer, asked, secrets));
    }
    json::parse(&answer.body).map_err(|what| broken(answer, &what))
}

/// Builds the error for a refusal.
pub fn refused(answer: &Answer, asked: Asked, secrets: &[&str]) -> Error {
    let code = ApiError::of_answer(answer).map_or_else(String::new, |said| said.code);
    api_error::refused(answer, meaning(answer.status, &code, asked), secrets)
}

/// Returns the words by which NSX itself says that an object does not exist, such as `NOT_FOUND (600)`. Only the codes
/// 600 and 202 say so, no other 404.
pub fn says_gone(answer: &Answer) -> Option<String> {
    let said = ApiError::of_answer(answer).filter(|said| is_gone_code(&said.code))?;
    let words = match said.status.as_str() {
        "" => said.code,
        status => format!("{} ({})", answer.said(status, 64, &[]), said.code),
    };
    is_missing(answer).then_some(words)
}

/// Returns the message of the refusal that NSX sends for a session whose service is disabled.
pub fn service_disabled(answer: &Answer) -> Option<String> {
    let said = ApiError::of_answer(answer).filter(|said| said.code == SERVICE_DISABLED)?;
    let words = answer.said(&said.message, MAX_UPSTREAM_TEXT, &[]);
    (400..500).contains(&answer.status).then_some(words)
}

/// Rewords an error so that it names the kind of a resource other than a connection.
pub fn of_resource(kind: ResourceKind, mut error: Error) -> Error {
    let noun = kind.noun();
    let (reason, message) = match error.reason {
        ErrorReason::ConnectionNotFound => (
            ErrorReason::ResourceNotFound,
            format!("the cloud has no such {noun}"),
        ),
        ErrorReason::StaleEtag => (
            ErrorReason::StaleEtag,
            format!("the {noun} was changed by somebody else in the meantime"),
        ),
        ErrorReason::ReferenceNotFound => (
            ErrorReason::ReferenceNotFound,
            format!("something the {noun} refers to is not there"),
        ),
        _ => return error,
    };
    error.reason = reason;
    error.message = message;
    error
}

/// The error for an object that belongs to NSX itself, as its default profiles do: "system owned" and "non editable"
/// (NSX Python SDK 4.2.0).
pub fn system_owned() -> Error {
    refusal::error(SYSTEM_OWNED)
}

/// The error for a list of logical routers that does not exist.
pub fn routers_absent(refused: Error) -> Error {
    refusal::instead_of(refused, ROUTERS_ABSENT)
}

/// The error for an existing session that has no statistics according to NSX.
pub fn statistics_absent(refused: Error) -> Error {
    refusal::instead_of(refused, STATISTICS_ABSENT)
}

/// The error for a VPN collection that does not exist.
pub fn api_absent(refused: Error) -> Error {
    refusal::instead_of(refused, API_ABSENT)
}

/// Returns what a refusal means: first by the codes that all APIs of NSX share, then by the Manager API's own, then by
/// status.
fn meaning(status: u16, code: &str, asked: Asked) -> Meaning {
    if let Some(meaning) = api_error::by_code(status, code) {
        return meaning;
    }
    match (status, code) {
        (404, code) if is_gone_code(code) => match asked {
            Asked::Create | Asked::Change => NO_REFERENCE,
            Asked::LogIn | Asked::Read | Asked::Remove => NOT_FOUND,
        },
        (400, SERVICE_DISABLED) => SWITCHED_OFF,
        // The Policy API's code for an object that has children or is referenced. Managers send it, too.
        (400, "500030") => IN_USE,
        (400, "500045") => MARKED_FOR_DELETION,
        // Indexing, or an aborted transaction: nothing is wrong with the request.
        (400, "60508" | "60514" | "60515") => OWN_FAULT,
        // A delete has no content that could be wrong. A 400 means that another object uses this one.
        (400, _) if asked == Asked::Remove => IN_USE,
        _ => api_error::by_status(status, asked),
    }
}

const API_ABSENT: Meaning = (
    ErrorKind::Unavailable,
    ErrorReason::ApiAbsent,
    "the cloud has no IPsec VPN collection in its Manager API",
);
const ROUTERS_ABSENT: Meaning = (
    ErrorKind::Unavailable,
    ErrorReason::ApiAbsent,
    "the cloud has no logical routers in its Manager API",
);
const STATISTICS_ABSENT: Meaning = (
    ErrorKind::FailedPrecondition,
    ErrorReason::WrongState,
    "the cloud has no statistics of the connection",
);
const SYSTEM_OWNED: Meaning = (
    ErrorKind::PermissionDenied,
    ErrorReason::NotOwner,
    "it belongs to the cloud itself, and can be read and referred to, but neither changed nor removed",
);
const NO_REFERENCE: Meaning = (
    ErrorKind::FailedPrecondition,
    ErrorReason::ReferenceNotFound,
    "something the connection refers to is not there",
);
const SWITCHED_OFF: Meaning = (
    ErrorKind::FailedPrecondition,
    ErrorReason::VpnServiceDisabled,
    "the VPN service is switched off",
);
const MARKED_FOR_DELETION: Meaning = (
    ErrorKind::FailedPrecondition,
    ErrorReason::WrongState,
    "the object is marked for deletion",
);
const IN_USE: Meaning = (
    ErrorKind::FailedPrecondition,
    ErrorReason::InUse,
    "the cloud refuses to remove it, as it does with what is in use",
);

fn is_gone_code(code: &str) -> bool {
    matches!(code, "600" | "202")
}

#[cfg(test)]
mod tests;
