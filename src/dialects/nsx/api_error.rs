//! What an answer of NSX says, from any of its APIs: the format of its errors, the meaning of codes and statuses that
//! all APIs share, whether the manager or the request is at fault, and the id of the request.

use crate::{
    core::error::{Error, ErrorKind, ErrorReason, Upstream},
    dialects::{
        lost_write::Doubt,
        refusal::{
            self, Asked, DENIED, ErrorBody, LOGIN_REFUSED, Meaning, OVERLOADED, OWN_FAULT,
            REJECTED, STALE, THROTTLED, WRONG_STATE,
        },
    },
    rest::{answer::Answer, json, redact::WITHHELD},
};
use serde_json::Value;

/// The error body of NSX.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiError {
    /// `error_code`: a number from the manager, a string from the proxy in front of it.
    pub code: String,
    /// `error_message`, followed by the messages of `related_errors`.
    pub message: String,
    /// `module_name`: which part of NSX refuses.
    pub module: String,
    /// `httpStatus`, or `http_status`: the HTTP status as a word.
    pub status: String,
}

impl ApiError {
    /// Reads the error in an answer. Returns `None` if the answer is not in NSX's own format.
    pub fn of_answer(answer: &Answer) -> Option<ApiError> {
        ApiError::of(&json::parse(&answer.body).ok()?)
    }

    /// Reads an error. Returns `None` if it has neither a code nor a message, and so is not NSX's own.
    fn of(value: &Value) -> Option<ApiError> {
        let object = value.as_object()?;
        let mut messages: Vec<String> = json::text(object, "error_message").into_iter().collect();
        let related = object.get("related_errors").and_then(Value::as_array);
        for error in related.into_iter().flatten().take(MOST_RELATED) {
            messages.extend(
                error
                    .as_object()
                    .and_then(|e| json::text(e, "error_message")),
            );
        }
        let text = |key| json::text(object, key);
        let error = ApiError {
            code: text("error_code").unwrap_or_default(),
            message: messages.join("; "),
            module: text("module_name").unwrap_or_default(),
            status: text("httpStatus")
                .or_else(|| text("http_status"))
                .unwrap_or_default(),
        };
        (!error.code.is_empty() || !error.message.is_empty()).then_some(error)
    }
}

/// How many related errors are shown. There may be one for each object of a transaction.
const MOST_RELATED: usize = 4;

/// Builds the error for a refusal with this meaning. `secrets` are the keys and passwords in the body of the request.
/// Text of the cloud that may quote one of them is withheld.
pub fn refused(answer: &Answer, meaning: Meaning, secrets: &[&str]) -> Error {
    let mut error = said(answer).refusal(meaning, answer, secrets);
    let module = ApiError::of_answer(answer).map_or_else(String::new, |said| said.module);
    let module = answer.said(&module, 64, secrets);
    if !module.is_empty() && module != WITHHELD {
        error.context.metadata.push(("upstream_module", module));
    }
    error
}

/// Another principal created the object, and only that principal may write it.
pub fn not_owner() -> Error {
    refusal::error(NOT_OWNER)
}

/// Returns what the refusal of a login means. `password` is the one its request carried.
pub fn login_refused(answer: &Answer, password: &str) -> Error {
    let code = said(answer).code;
    let meaning = by_code(answer.status, &code);
    let meaning = meaning.unwrap_or_else(|| by_status(answer.status, Asked::LogIn));
    refused(answer, meaning, &[password])
}

/// Returns what a refusal means by its code, or by a status that leaves no doubt.
pub fn by_code(status: u16, code: &str) -> Option<Meaning> {
    Some(match (status, code) {
        (401, _) => LOGIN_REFUSED,
        (403, code) if is_login_code(code) => LOGIN_REFUSED,
        (400..500, "289") => NOT_OWNER,
        (403, _) | (400, "2602") => DENIED,
        (429, _) | (400.., LIMITED) => THROTTLED,
        _ => return None,
    })
}

/// Returns what a refusal means if its code does not tell.
pub fn by_status(status: u16, asked: Asked) -> Meaning {
    match status {
        404 => UNPROVEN,
        409 | 412 if asked == Asked::Change => STALE,
        409 | 412 => WRONG_STATE,
        400..500 => REJECTED,
        503 => OVERLOADED,
        300..400 => REDIRECTED,
        _ => OWN_FAULT,
    }
}

/// Describes an answer without the cloud's text, which may quote the request.
pub fn wordless(answer: &Answer) -> Upstream {
    said(answer).wordless(answer)
}

/// Builds the error for a successful answer that cannot be read.
pub fn broken(answer: &Answer, what: &str) -> Error {
    refusal::broken(answer, request_id(answer).unwrap_or_default(), what)
}

/// Returns the id that the cloud gave the request. `/state` takes it to report how far the request has come.
pub fn request_id(answer: &Answer) -> Option<String> {
    let id = answer.header("x-nsx-requestid")?.trim();
    let fits = !id.is_empty() && id.len() <= 128 && id.chars().all(|c| c.is_ascii_graphic());
    fits.then(|| id.to_owned())
}

/// Reports whether the cloud refuses the login, not the request. An expired session cookie is a 403, not a 401, and so
/// is a wrong password. Other 403 answers have a code of their own (505: no licence).
pub fn is_login_refused(answer: &Answer) -> bool {
    match answer.status {
        401 => true,
        403 => ApiError::of_answer(answer).is_none_or(|said| is_login_code(&said.code)),
        _ => false,
    }
}

/// Returns what is unknown about a write that was refused like this, or `None` if it certainly was not begun.
///
/// The write may have happened if a proxy lost its connection to the manager, or if the manager failed halfway. That
/// includes 503, because a proxy also sends it when the manager it had asked resets the connection. Only the limiter's
/// own code shows that nothing was begun. Only the manager itself can say that the write failed: its code is a number,
/// the proxy's a string. No source shows a 503 from the manager itself: code 101 says that the manager is down.
pub fn doubt(answer: &Answer) -> Option<Doubt> {
    let from_manager = || json::parse(&answer.body).unwrap_or_default()["error_code"].is_number();
    match answer.status {
        ..500 => None,
        _ if ApiError::of_answer(answer).is_some_and(|said| said.code == LIMITED) => None,
        500 if from_manager() => Some(Doubt::Failed),
        _ => Some(Doubt::Refused),
    }
}

/// Reports whether the answer is about the manager that sent it, so that another manager may serve the request: the
/// manager is overloaded, broken or degraded, or redirects.
///
/// A read may go to another manager in any case. A write may only if it certainly was not begun: the limiter refuses
/// before anything else (429, or code 102), and a redirect names the node that would do it (301 and 307 are among the
/// answers of every operation in the API reference). [`doubt`] covers everything from 500 on.
pub fn is_of_its_manager(answer: &Answer, asked_to_read: bool) -> bool {
    match answer.status {
        429 | 301 | 302 | 307 | 308 => true,
        500 | 502 | 503 | 504 => asked_to_read || doubt(answer).is_none(),
        _ => false,
    }
}

const NOT_OWNER: Meaning = (
    ErrorKind::PermissionDenied,
    ErrorReason::NotOwner,
    "the object belongs to another principal of the cloud",
);
const UNPROVEN: Meaning = (
    ErrorKind::Unavailable,
    ErrorReason::UpstreamBrokenAnswer,
    "the cloud answers 404 in other words than its own, which proves nothing",
);
const REDIRECTED: Meaning = (
    ErrorKind::Unavailable,
    ErrorReason::UpstreamError,
    "the cloud redirects, which is not followed: `url` must name the managers themselves",
);

/// The code of the limiter in front of the manager, which refuses excess requests: with 429, and perhaps with 503,
/// which the settings of the API service name for too many concurrent requests.
const LIMITED: &str = "102";

/// Reports whether a 403 with this code is about the login: wrong or locked ("403", as the proxy says it), or a bad or
/// expired XSRF token (97, 98). A 403 without a code cannot be told apart from it.
fn is_login_code(code: &str) -> bool {
    matches!(code, "" | "97" | "98" | "403")
}

fn said(answer: &Answer) -> ErrorBody {
    let error = ApiError::of_answer(answer);
    ErrorBody {
        code: error
            .as_ref()
            .map_or_else(String::new, |it| it.code.clone()),
        message: error.map(|it| it.message),
        request_id: request_id(answer).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_code_may_be_a_number_or_a_string_and_the_status_key_does_not_matter() {
        let error = |text| ApiError::of(&json::parse(text).unwrap()).unwrap();
        for text in [
            &include_bytes!(
                "../../../tests/fixtures/nsx/error_service_disabled_http_status_camel.json"
            )[..],
            include_bytes!(
                "../../../tests/fixtures/nsx/made_error_service_disabled_http_status_snake.json"
            ),
        ] {
            assert_eq!(error(text).code, "110199");
        }
        let throttled = error(include_bytes!(
            "../../../tests/fixtures/nsx/error_rate_limited_string_code.json"
        ));
        assert_eq!(throttled.code, "102");
        assert!(throttled.message.contains("exceeded request rate"));
        assert_eq!(ApiError::of(&json!({ "message": "not NSX" })), None);
        assert_eq!(ApiError::of(&json!("text")), None);
    }
}
