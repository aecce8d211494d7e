//! What refusals mean, and answers that do not come or cannot be read, where every dialect says the same; and how much
//! of a cloud's own words is shown. What a vendor's codes mean is in the `error` of its dialect
//! (and `nsx/api_error`); how text is cut and redacted in `rest/redact`, and how much of it fits into a status in `grpc/status`.

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

/// The longest code of a vendor that is shown, in bytes.
const CODE: usize = 64;

/// What was asked, as far as it matters to what a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// To log in.
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

/// What something that went wrong is: for programs, and the sentence for people.
pub type Meaning = (Kind, Reason, &'static str);

/// The login, and not what was asked.
pub const LOGIN_REFUSED: Meaning = (
    Kind::BackendAuth,
    Reason::UpstreamAuth,
    "the cloud refuses the gateway's login",
);
/// The account may not do this.
pub const DENIED: Meaning = (
    Kind::PermissionDenied,
    Reason::UpstreamDenied,
    "the cloud refuses this to the gateway's account",
);
/// The request itself is wrong, in the cloud's eyes.
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
/// What was read before a write is no longer so.
pub const STALE: Meaning = (
    Kind::Stale,
    Reason::StaleEtag,
    "the connection was changed by somebody else in the meantime",
);
/// What was asked may pass another time.
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
/// 503: nobody there is free to answer.
pub const OVERLOADED: Meaning = (
    Kind::Unavailable,
    Reason::UpstreamError,
    "the cloud is overloaded or not whole",
);
/// Nothing is wrong with the request.
pub const OWN_FAULT: Meaning = (
    Kind::Unavailable,
    Reason::UpstreamError,
    "the cloud answered with a fault of its own",
);
/// What a refusal says, in whatever form its vendor has.
#[derive(Debug, Default)]
pub struct ErrorBody {
    /// The vendor's code or type; empty if it gives none.
    pub code: String,
    /// Its words; `None` if the answer has no form of the vendor's.
    pub message: Option<String>,
    /// The id the cloud gave the request, fit to be shown; empty if it gives none.
    pub request_id: String,
}

impl ErrorBody {
    /// The refusal with this meaning, with the cloud's words as far as they may be shown, and with when trying again
    /// may help: after as long as the cloud says, or as its account pauses. `secrets` are the keys and passwords in
    /// the body of the request; words that may quote one are withheld.
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

    /// What an answer was, without the cloud's words, which may quote what it was sent.
    pub fn wordless(&self, answer: &Answer) -> Upstream {
        Upstream {
            status: answer.status,
            code: tidy(&self.code, CODE),
            message: String::new(),
            request_id: self.request_id.clone(),
        }
    }

    /// The cloud's words, fit to be shown, and none that may quote a secret. Of a body that is in no form of the
    /// vendor's only plain text is.
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

/// Why there is no answer.
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

/// An answer that grants something and cannot be read, because of `what`.
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

/// The pages of a list come to no end.
pub fn endless() -> Error {
    error((
        Kind::Unavailable,
        Reason::UpstreamBrokenAnswer,
        "the cloud's list does not go on",
    ))
}

/// An error with this meaning, of which the cloud said nothing.
pub fn error((kind, reason, message): Meaning) -> Error {
    Error::new(kind, reason, message)
}

/// What a refusal turned out to mean, with what the cloud said in it.
pub fn instead_of(refused: Error, meaning: Meaning) -> Error {
    error(meaning).upstream(refused.context.upstream.unwrap_or_default())
}

/// What was found; `None` if the cloud itself says that it is not there.
///
/// # Errors
/// Whatever else it failed with.
pub fn if_there<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Err(error) if error.kind == Kind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

/// A 404 in whatever words and from whomever: what was asked for is not there, or nothing is.
pub fn is_missing(answer: &Answer) -> bool {
    answer.status == 404
}

/// Reads the answer to a removal: nothing, or JSON.
///
/// # Errors
/// That it cannot be read. A page of HTML comes from something that stands before the cloud and has removed nothing.
pub fn removed(answer: &Answer, broken: impl FnOnce(&Answer, &str) -> Error) -> Result<()> {
    let is_empty = answer.body.trim_ascii().is_empty();
    match is_empty || json::parse(&answer.body).is_ok() {
        true => Ok(()),
        false => Err(broken(answer, "neither nothing nor JSON")),
    }
}
