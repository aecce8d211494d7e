//! What NSX refuses, as the gateway's error. The only place that compares HTTP statuses and error codes.

use crate::{
    core::error::{Error, ErrorKind, ErrorReason, MAX_UPSTREAM_TEXT, Result, Upstream},
    dialects::nsx::{status::SERVICE_DISABLED, wire::ApiError},
    rest::{
        client::{Answer, Failure, FailureKind},
        json,
        redact::{WITHHELD, tidy},
    },
};
use serde_json::Value;

/// What was asked, as far as it matters to what a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// To read something.
    Read,
    /// To make something.
    Create,
    /// To change something.
    Change,
    /// To remove something.
    Remove,
}

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
    let said = api_error(answer);
    let code = said.as_ref().map_or("", |said| said.code.as_str());
    let (kind, reason, message) = meaning(answer.status, code, said.is_some(), asked);
    let mut error = Error::new(kind, reason, message).upstream(Upstream {
        status: answer.status,
        code: tidy(code, 64),
        message: words(answer, said.as_ref(), secrets),
        request_id: request_id(answer).unwrap_or_default(),
    });
    let module = said
        .map(|said| answer.said(&said.module, 64, secrets))
        .unwrap_or_default();
    if !module.is_empty() && module != WITHHELD {
        error.context.metadata.push(("upstream_module", module));
    }
    // No source shows NSX send `Retry-After`; it counts requests by the second.
    let is_too_much = kind == ErrorKind::Throttled || answer.status == 503;
    let patience = is_too_much.then(|| answer.patience());
    error.context.retry_after = answer.retry_after().or(patience);
    error
}

/// What an answer was, without the cloud's words, which may quote what it was sent.
pub fn wordless(answer: &Answer) -> Upstream {
    Upstream {
        status: answer.status,
        code: api_error(answer).map_or_else(String::new, |said| tidy(&said.code, 64)),
        message: String::new(),
        request_id: request_id(answer).unwrap_or_default(),
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
    Error::new(
        ErrorKind::Unavailable,
        ErrorReason::UpstreamBrokenAnswer,
        format!("the cloud's answer cannot be read: {what}"),
    )
    .upstream(Upstream {
        status: answer.status,
        request_id: request_id(answer).unwrap_or_default(),
        ..Upstream::default()
    })
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

/// How NSX itself says that what was asked for is not there, as `NOT_FOUND (600)`: by 600 and 202, and no other 404.
pub fn not_there(answer: &Answer) -> Option<String> {
    let said = api_error(answer).filter(|said| is_gone_code(&said.code))?;
    let words = match said.status.as_str() {
        "" => said.code,
        status => format!("{} ({})", answer.said(status, 64, &[]), said.code),
    };
    (answer.status == 404).then_some(words)
}

/// A 404 in whatever words: this path is not there, or nothing is.
pub fn is_nowhere(answer: &Answer) -> bool {
    answer.status == 404
}

/// The words of the refusal that stands for a session whose service is switched off.
pub fn service_disabled(answer: &Answer) -> Option<String> {
    let said = api_error(answer).filter(|said| said.code == SERVICE_DISABLED)?;
    let words = answer.said(&said.message, MAX_UPSTREAM_TEXT, &[]);
    (400..500).contains(&answer.status).then_some(words)
}

/// Whether a write that was answered like this may have happened all the same: a proxy that lost the
/// manager, or a manager that failed in the middle. 503 is no exception, since a proxy says it, too, when the
/// manager it had asked resets the connection; only the limiter's own code shows that nothing was begun.
pub fn is_in_doubt(answer: &Answer) -> bool {
    answer.status >= 500 && api_error(answer).is_none_or(|said| said.code != LIMITED)
}

/// Whether this is about the manager that answered, so that another may do what was asked: it is overloaded, broken,
/// not whole, or sends elsewhere.
///
/// A read may be asked of another in any case. A write only if it certainly was not begun: by the limiter, which
/// refuses before anything else (429, or code 102), or by a redirection to the node that would do it (301 and 307 are
/// among the answers of every operation of the API reference). Everything from 500 on is in doubt ([`is_in_doubt`]).
pub fn is_of_its_manager(answer: &Answer, asked_to_read: bool) -> bool {
    match answer.status {
        429 | 301 | 302 | 307 | 308 => true,
        500 | 502 | 503 | 504 => asked_to_read || !is_in_doubt(answer),
        _ => false,
    }
}

/// Whether the manager itself says that the write failed; a proxy only says that it lost the answer. The code
/// is a number from the manager, and a string from the proxy before it. No source shows a 503 that the manager
/// says for itself: 101 tells that it is down.
pub fn says_failed(answer: &Answer) -> bool {
    let said = json::parse(&answer.body).unwrap_or_default();
    answer.status == 500 && said["error_code"].is_number()
}

/// Whether this is how NSX says that something was removed: with nothing, or with JSON. A page of HTML comes
/// from something that stands before it and has removed nothing.
pub fn says_removed(answer: &Answer) -> bool {
    answer.is_success()
        && (answer.body.trim_ascii().is_empty() || json::parse(&answer.body).is_ok())
}

/// The VPN collection itself is not there.
pub fn api_absent(error: Error) -> Error {
    let upstream = error.context.upstream.unwrap_or_default();
    Error::new(
        ErrorKind::Unavailable,
        ErrorReason::ApiAbsent,
        "the cloud has no IPsec VPN collection in its Manager API",
    )
    .upstream(upstream)
}

/// It cannot be known whether a write happened.
pub fn ambiguous(because: &Error, what: &str) -> Error {
    let mut error = Error::new(
        ErrorKind::Ambiguous,
        ErrorReason::WriteAmbiguous,
        format!(
            "the answer was lost and it cannot be known whether {what}: {}",
            because.message
        ),
    );
    error.context.upstream = because.context.upstream.clone();
    error.context.metadata = because.context.metadata.clone();
    error
}

fn meaning(
    status: u16,
    code: &str,
    from_nsx: bool,
    asked: Asked,
) -> (ErrorKind, ErrorReason, &'static str) {
    use ErrorKind as Kind;
    use ErrorReason as Reason;
    let invalid = (
        Kind::InvalidArgument,
        Reason::UpstreamRejected,
        "the cloud refuses the request as wrong",
    );
    let own_fault = (
        Kind::Unavailable,
        Reason::UpstreamError,
        "the cloud answered with a fault of its own",
    );
    match (status, code) {
        (401, _) => LOGIN_REFUSED,
        (403, code) if !from_nsx || is_login_code(code) => LOGIN_REFUSED,
        (400..500, "289") => (
            Kind::PermissionDenied,
            Reason::NotOwner,
            "the object belongs to another principal of the cloud",
        ),
        (403, _) | (400, "2602") => (
            Kind::PermissionDenied,
            Reason::UpstreamDenied,
            "the cloud refuses this to the gateway's account",
        ),
        (429, _) | (400.., LIMITED) => (
            Kind::Throttled,
            Reason::UpstreamThrottled,
            "the cloud asks for patience",
        ),
        (404, code) if is_gone_code(code) => match asked {
            Asked::Read | Asked::Remove => (
                Kind::NotFound,
                Reason::ConnectionNotFound,
                "the cloud has no such connection",
            ),
            Asked::Create | Asked::Change => (
                Kind::FailedPrecondition,
                Reason::ReferenceNotFound,
                "something the connection refers to is not there",
            ),
        },
        (404, _) => (
            Kind::Unavailable,
            Reason::UpstreamBrokenAnswer,
            "the cloud answers 404 in other words than its own, which proves nothing",
        ),
        (409 | 412, _) if asked == Asked::Change => (
            Kind::Stale,
            Reason::StaleEtag,
            "the connection was changed by somebody else in the meantime",
        ),
        (409 | 412, _) => (
            Kind::FailedPrecondition,
            Reason::WrongState,
            "the cloud is in a state that does not allow this",
        ),
        (400, SERVICE_DISABLED) => (
            Kind::FailedPrecondition,
            Reason::VpnServiceDisabled,
            "the VPN service is switched off",
        ),
        // Policy's code for an object that has children or is referenced, seen from managers too.
        (400, "500030") => IN_USE,
        (400, "500045") => (
            Kind::FailedPrecondition,
            Reason::WrongState,
            "the object is marked for deletion",
        ),
        // Indexing, and a transaction that was aborted: nothing is wrong with the request.
        (400, "60508" | "60514" | "60515") => own_fault,
        // A removal carries nothing that could be wrong; what stands against it is whoever uses the object.
        (400, _) if asked == Asked::Remove => IN_USE,
        (400..500, _) => invalid,
        (503, _) => (
            Kind::Unavailable,
            Reason::UpstreamError,
            "the cloud is overloaded or not whole",
        ),
        (300..400, _) => (
            Kind::Unavailable,
            Reason::UpstreamError,
            "the cloud redirects, which is not followed: `url` must name the managers themselves",
        ),
        _ => own_fault,
    }
}

const LOGIN_REFUSED: (ErrorKind, ErrorReason, &str) = (
    ErrorKind::BackendAuth,
    ErrorReason::UpstreamAuth,
    "the cloud refuses the gateway's login",
);

const IN_USE: (ErrorKind, ErrorReason, &str) = (
    ErrorKind::FailedPrecondition,
    ErrorReason::InUse,
    "the cloud refuses to remove it, as it does with what is in use",
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

/// The cloud's words, fit to be shown, and none that may quote a secret. Of a body that is not NSX's only plain text is.
fn words(answer: &Answer, said: Option<&ApiError>, secrets: &[&str]) -> String {
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
mod tests;
