//! What NSX refuses, as the gateway's error. The only place that compares HTTP statuses and error codes.

pub use crate::dialects::refusal::{Asked, endless, if_there, is_missing, removed, unanswered};

use crate::{
    core::error::{Error, ErrorKind, ErrorReason, MAX_UPSTREAM_TEXT, Result, Upstream},
    dialects::{
        lost_write::Doubt,
        nsx::{status::SERVICE_DISABLED, wire::ApiError},
        refusal::{
            self, DENIED, ErrorBody, LOGIN_REFUSED, Meaning, NOT_FOUND, OVERLOADED, OWN_FAULT,
            REJECTED, STALE, THROTTLED, WRONG_STATE,
        },
    },
    rest::{client::Answer, json, redact::WITHHELD},
};
use serde_json::Value;

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
    let mut error = said.refusal(meaning, answer, secrets);
    let module = api_error(answer).map_or_else(String::new, |said| said.module);
    let module = answer.said(&module, 64, secrets);
    if !module.is_empty() && module != WITHHELD {
        error.context.metadata.push(("upstream_module", module));
    }
    error
}

/// What an answer was, without the cloud's words, which may quote what it was sent.
pub fn wordless(answer: &Answer) -> Upstream {
    said(answer).wordless(answer)
}

/// An answer that grants something and cannot be read.
pub fn broken(answer: &Answer, what: &str) -> Error {
    refusal::broken(answer, request_id(answer).unwrap_or_default(), what)
}

/// The id the cloud gave a request, by which `/state` tells how far it has come.
pub fn request_id(answer: &Answer) -> Option<String> {
    let id = answer.header("x-nsx-requestid")?.trim();
    let fits = !id.is_empty() && id.len() <= 128 && id.chars().all(|c| c.is_ascii_graphic());
    fits.then(|| id.to_owned())
}

/// Whether this refuses the login, and not what was asked. An expired session cookie is a 403, not a 401,
/// and so is a wrong password; other 403 have a code of their own (505: no licence).
pub fn is_login_refused(answer: &Answer) -> bool {
    match answer.status {
        401 => true,
        403 => api_error(answer).is_none_or(|said| is_login_code(&said.code)),
        _ => false,
    }
}

/// The words by which NSX itself says that what was asked for is not there, as `NOT_FOUND (600)`: by 600 and 202, and no
/// other 404.
pub fn says_gone(answer: &Answer) -> Option<String> {
    let said = api_error(answer).filter(|said| is_gone_code(&said.code))?;
    let words = match said.status.as_str() {
        "" => said.code,
        status => format!("{} ({})", answer.said(status, 64, &[]), said.code),
    };
    is_missing(answer).then_some(words)
}

/// The words of the refusal that stands for a session whose service is switched off.
pub fn service_disabled(answer: &Answer) -> Option<String> {
    let said = api_error(answer).filter(|said| said.code == SERVICE_DISABLED)?;
    let words = answer.said(&said.message, MAX_UPSTREAM_TEXT, &[]);
    (400..500).contains(&answer.status).then_some(words)
}

/// What is not known of a write that was refused like this; `None` if it certainly was not begun.
///
/// It may have happened where a proxy lost the manager, or a manager failed in the middle. 503 is no exception, since a
/// proxy says it, too, when the manager it had asked resets the connection; only the limiter's own code shows that
/// nothing was begun. That the write failed only the manager itself can say: its code is a number, and a string from the
/// proxy before it. No source shows a 503 that the manager says for itself: 101 tells that it is down.
pub fn doubt(answer: &Answer) -> Option<Doubt> {
    let from_manager = || json::parse(&answer.body).unwrap_or_default()["error_code"].is_number();
    match answer.status {
        ..500 => None,
        _ if api_error(answer).is_some_and(|said| said.code == LIMITED) => None,
        500 if from_manager() => Some(Doubt::Failed),
        _ => Some(Doubt::Refused),
    }
}

/// Whether this is about the manager that answered, so that another may do what was asked: it is overloaded, broken,
/// not whole, or sends elsewhere.
///
/// A read may be asked of another in any case. A write only if it certainly was not begun: by the limiter, which
/// refuses before anything else (429, or code 102), or by a redirection to the node that would do it (301 and 307 are
/// among the answers of every operation of the API reference). Everything from 500 on is in [`doubt`].
pub fn is_of_its_manager(answer: &Answer, asked_to_read: bool) -> bool {
    match answer.status {
        429 | 301 | 302 | 307 | 308 => true,
        500 | 502 | 503 | 504 => asked_to_read || doubt(answer).is_none(),
        _ => false,
    }
}

/// The VPN collection itself is not there.
pub fn api_absent(refused: Error) -> Error {
    refusal::instead_of(refused, API_ABSENT)
}

/// The table.
fn meaning(status: u16, code: &str, asked: Asked) -> Meaning {
    match (status, code) {
        (401, _) => LOGIN_REFUSED,
        (403, code) if is_login_code(code) => LOGIN_REFUSED,
        (400..500, "289") => NOT_OWNER,
        (403, _) | (400, "2602") => DENIED,
        (429, _) | (400.., LIMITED) => THROTTLED,
        (404, code) if is_gone_code(code) => match asked {
            Asked::Create | Asked::Change => NO_REFERENCE,
            Asked::LogIn | Asked::Read | Asked::Remove => NOT_FOUND,
        },
        (404, _) => UNPROVEN,
        (409 | 412, _) if asked == Asked::Change => STALE,
        (409 | 412, _) => WRONG_STATE,
        (400, SERVICE_DISABLED) => SWITCHED_OFF,
        // Policy's code for an object that has children or is referenced, seen from managers too.
        (400, "500030") => IN_USE,
        (400, "500045") => MARKED_FOR_DELETION,
        // Indexing, and a transaction that was aborted: nothing is wrong with the request.
        (400, "60508" | "60514" | "60515") => OWN_FAULT,
        // A removal carries nothing that could be wrong; what stands against it is whoever uses the object.
        (400, _) if asked == Asked::Remove => IN_USE,
        (400..500, _) => REJECTED,
        (503, _) => OVERLOADED,
        (300..400, _) => REDIRECTED,
        _ => OWN_FAULT,
    }
}

const API_ABSENT: Meaning = (
    ErrorKind::Unavailable,
    ErrorReason::ApiAbsent,
    "the cloud has no IPsec VPN collection in its Manager API",
);
const NOT_OWNER: Meaning = (
    ErrorKind::PermissionDenied,
    ErrorReason::NotOwner,
    "the object belongs to another principal of the cloud",
);
const NO_REFERENCE: Meaning = (
    ErrorKind::FailedPrecondition,
    ErrorReason::ReferenceNotFound,
    "something the connection refers to is not there",
);
const UNPROVEN: Meaning = (
    ErrorKind::Unavailable,
    ErrorReason::UpstreamBrokenAnswer,
    "the cloud answers 404 in other words than its own, which proves nothing",
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
const REDIRECTED: Meaning = (
    ErrorKind::Unavailable,
    ErrorReason::UpstreamError,
    "the cloud redirects, which is not followed: `url` must name the managers themselves",
);

/// The code by which the limiter before the manager refuses what is too much: with 429, and perhaps with 503,
/// which the settings of the API service name for too many requests at a time.
const LIMITED: &str = "102";

/// 403 with these codes is about the login: wrong or locked ("403", as the proxy says it), and a bad or
/// expired XSRF token (97, 98). A 403 without any code cannot be told from it.
fn is_login_code(code: &str) -> bool {
    matches!(code, "" | "97" | "98" | "403")
}

fn is_gone_code(code: &str) -> bool {
    matches!(code, "600" | "202")
}

fn api_error(answer: &Answer) -> Option<ApiError> {
    ApiError::of(&json::parse(&answer.body).ok()?)
}

fn said(answer: &Answer) -> ErrorBody {
    let error = api_error(answer);
    ErrorBody {
        code: error
            .as_ref()
            .map_or_else(String::new, |it| it.code.clone()),
        message: error.map(|it| it.message),
        request_id: request_id(answer).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
