//! What refusals mean in every dialect, what a missing or unreadable answer means, and how much of a cloud's own text
//! is shown. Each dialect's `error` module (and `nsx/api_error`) maps its vendor's codes. `rest/redact` cuts and
//! redacts text. `grpc/status` decides how much of it fits into a status.

use crate::{
    core::error::{
        Error, ErrorKind as Kind, ErrorReason as Reason, MAX_UPSTREAM_TEXT, Result, Upstream,
    },
    rest::{
        answer::{Answer, Failure, FailureKind},
        json,
        redact::tidy,
    },
};

/// The longest vendor error code that is shown, in bytes.
const CODE: usize = 64;

/// The kind of request that was refused, as far as it affects what the refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    LogIn,
    Read,
    Create,
    Change,
    Remove,
}

/// The meaning of a failure: a kind and a reason for programs, and a sentence for people.
pub type Meaning = (Kind, Reason, &'static str);

/// The cloud refuses the login, not the request.
pub const LOGIN_REFUSED: Meaning = (
    Kind::BackendAuth,
    Reason::UpstreamAuth,
    "the cloud refuses the gateway's login",
);
/// The gateway's account lacks the permission.
pub const DENIED: Meaning = (
    Kind::PermissionDenied,
    Reason::UpstreamDenied,
    "the cloud refuses this to the gateway's account",
);
/// The cloud considers the request itself invalid.
pub const REJECTED: Meaning = (
    Kind::InvalidArgument,
    Reason::UpstreamRejected,
    "the cloud refuses the request as wrong",
);
/// The cloud itself says that it has no such connection.
pub const NOT_FOUND: Meaning = (
    Kind::NotFound,
    Reason::ConnectionNotFound,
    "the cloud has no such connection",
);
/// The object changed between the read and the write.
pub const STALE: Meaning = (
    Kind::Stale,
    Reason::StaleEtag,
    "the connection was changed by somebody else in the meantime",
);
/// The same request may succeed at another time.
pub const WRONG_STATE: Meaning = (
    Kind::FailedPrecondition,
    Reason::WrongState,
    "the cloud is in a state that does not allow this",
);
/// Too many requests.
pub const THROTTLED: Meaning = (
    Kind::Throttled,
    Reason::UpstreamThrottled,
    "the cloud asks for patience",
);
/// 503: the cloud has no capacity to answer.
pub const OVERLOADED: Meaning = (
    Kind::Unavailable,
    Reason::UpstreamError,
    "the cloud is overloaded or partly down",
);
/// The cloud failed. Nothing is wrong with the request.
pub const OWN_FAULT: Meaning = (
    Kind::Unavailable,
    Reason::UpstreamError,
    "the cloud answered with a fault of its own",
);
/// The body of a refusal, independent of the vendor's format.
#[derive(Debug, Default)]
pub struct ErrorBody {
    /// The vendor's code or type; empty if there is none.
    pub code: String,
    /// The vendor's message; `None` if the body is not in the vendor's format.
    pub message: Option<String>,
    /// The id the cloud gave the request, fit to be shown; empty if there is none.
    pub request_id: String,
}

impl ErrorBody {
    /// Builds the error for a refusal with this meaning. It quotes the cloud's text as far as that may be shown, and
    /// says when a retry may help: after the cloud's `Retry-After`, or after the pause of the account. `secrets` are
    /// the keys and passwords in the body of the request. Text that may quote one of them is withheld.
    pub fn refusal(&self, meaning: Meaning, answer: &Answer, secrets: &[&str]) -> Error {
        let (kind, reason, message) = meaning;
        let mut error = Error::new(kind, reason, message).upstream(Upstream {
            message: self.words(answer, secrets),
            ..self.wordless(answer)
        });
        let is_too_much = kind == Kind::Throttled || answer.status == 503;
        let pause = is_too_much.then(|| answer.patience());
        error.context.retry_after = answer.retry_after().or(pause);
        error
    }

    /// Describes the answer without the cloud's text, which may quote the request.
    pub fn wordless(&self, answer: &Answer) -> Upstream {
        Upstream {
            status: answer.status,
            code: tidy(&self.code, CODE),
            message: String::new(),
            request_id: self.request_id.clone(),
        }
    }

    /// Returns the cloud's text, fit to be shown and with nothing that may quote a secret. If the body is not in the
    /// vendor's format, only plain text is shown.
    fn words(&self, answer: &Answer, secrets: &[&str]) -> String {
        let text = match &self.message {
            Some(message) => message.clone(),
            None => {
                let body = &answer.body[..answer.body.len().min(4 * MAX_UPSTREAM_TEXT)];
                let text = String::from_utf8_lossy(body);
                match text.trim_start().starts_with('<') {
                    true => "a page of HTML".to_owned(),
                    false => text.into_owned(),
                }
            }
        };
        answer.said(&text, MAX_UPSTREAM_TEXT, secrets)
    }
}

/// Builds the error for a request that got no answer.
pub fn unanswered(failure: &Failure) -> Error {
    let (kind, reason) = match failure.kind {
        FailureKind::Budget(exhausted) => {
            let reason = match exhausted.is_paused {
                true => Reason::UpstreamThrottled,
                false => Reason::LimitExceeded,
            };
            return Error::new(Kind::Throttled, reason, failure.message.clone())
                .retry_after(exhausted.wait);
        }
        FailureKind::CircuitOpen(wait) => {
            let message = failure.message.clone();
            let refused = Error::new(Kind::Unavailable, Reason::UpstreamUnreachable, message);
            return refused.retry_after(wait);
        }
        FailureKind::Deadline => (Kind::DeadlineExceeded, Reason::Deadline),
        FailureKind::Connect | FailureKind::Broken => {
            (Kind::Unavailable, Reason::UpstreamUnreachable)
        }
        FailureKind::TooLarge => (Kind::Unavailable, Reason::UpstreamBrokenAnswer),
    };
    Error::new(kind, reason, failure.message.clone())
}

/// Builds the error for a successful answer that cannot be read because of `what`.
pub fn broken(answer: &Answer, request_id: String, what: &str) -> Error {
    let upstream = Upstream {
        status: answer.status,
        request_id,
        ..Upstream::default()
    };
    Error::new(
        Kind::Unavailable,
        Reason::UpstreamBrokenAnswer,
        format!("the cloud's answer cannot be read: {what}"),
    )
    .upstream(upstream)
}

/// Builds the error for a list whose pages never end.
pub fn endless() -> Error {
    error((
        Kind::Unavailable,
        Reason::UpstreamBrokenAnswer,
        "the cloud's list does not go on",
    ))
}

/// Builds an error with this meaning that carries nothing from the cloud.
pub fn error((kind, reason, message): Meaning) -> Error {
    Error::new(kind, reason, message)
}

/// Replaces the meaning of a refusal and keeps what the cloud said in it.
pub fn instead_of(refused: Error, meaning: Meaning) -> Error {
    error(meaning).upstream(refused.context.upstream.unwrap_or_default())
}

/// Turns a `NotFound` error, by which the cloud itself says that the object does not exist, into `None`.
///
/// # Errors
/// Every other error.
pub fn if_there<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Err(error) if error.kind == Kind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

/// Reports whether the answer is a 404, whatever its body and whichever server sent it: either the object does not
/// exist, or nothing does at that path.
pub fn is_missing(answer: &Answer) -> bool {
    answer.status == 404
}

/// Reads the answer to a delete, which is empty or JSON.
///
/// # Errors
/// Fails if the body is anything else. An HTML page comes from a proxy in front of the cloud and has removed nothing.
pub fn removed(answer: &Answer, broken: impl FnOnce(&Answer, &str) -> Error) -> Result<()> {
    let is_empty = answer.body.trim_ascii().is_empty();
    match is_empty || json::parse(&answer.body).is_ok() {
        true => Ok(()),
        false => Err(broken(answer, "neither empty nor JSON")),
    }
}
