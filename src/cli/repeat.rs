//! Sends a write under a request id, and repeats it once under the same id if its result is unknown.

use crate::cli::{
    call::call_within, exit::Exit, failure, gateway::Gateway, kinds::Kind, question::SendArgs,
    show::failed, text::clean,
};
use prost_reflect::{DynamicMessage, Value};
use std::{error::Error as _, time::Duration};
use tokio::time::{Instant, sleep};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

/// The pause before a repeat after a broken connection.
const PAUSE: Duration = Duration::from_millis(200);

/// Sends a write, and repeats it once if that may help and there is time. Reports a refusal on standard error.
///
/// # Errors
/// The exit code of the command.
pub async fn send(
    gateway: &Gateway,
    call: (Kind, &str),
    fields: Vec<(String, Value)>,
    args: &SendArgs,
    doing: &str,
) -> Result<DynamicMessage, Exit> {
    let refused = |refused: Refused| {
        let exit = failed(doing, &refused.status, gateway);
        if let Some(id) = refused.unknown {
            eprintln!(
                "  to go on with it: the same command with --request-id {}",
                clean(&id)
            );
        }
        exit
    };
    let sent = try_send(gateway, call, fields, args, doing).await;
    sent.map_err(refused)
}

/// A write that, as far as is known, was not done.
#[derive(Debug)]
pub struct Refused {
    /// The last answer.
    pub status: Status,
    /// The request id under which the write may have been done, or may still be.
    pub unknown: Option<String>,
}

/// Like [`send`], but leaves the reporting of a refusal to the caller.
///
/// # Errors
/// The refusal.
pub async fn try_send(
    gateway: &Gateway,
    (kind, verb): (Kind, &str),
    mut fields: Vec<(String, Value)>,
    args: &SendArgs,
    doing: &str,
) -> Result<DynamicMessage, Refused> {
    let id = match &args.request_id {
        Some(id) => id.clone(),
        None => Uuid::new_v4().to_string(),
    };
    fields.push(("validate_only".to_owned(), Value::Bool(args.dry_run)));
    // A dry run needs no id, but an id that the user gives is checked.
    if !args.dry_run || args.request_id.is_some() {
        fields.push(("request_id".to_owned(), Value::String(id.clone())));
    }
    let method = format!("{verb}{}", kind.message());
    let deadline = Instant::now() + args.timeout;
    let mut left = args.timeout;
    let mut repeated = args.dry_run;
    loop {
        let sent = call_within(gateway, kind.service(), &method, fields.clone(), left).await;
        let status = match sent {
            Ok(answer) => return Ok(answer),
            Err(status) => status,
        };
        left = deadline.saturating_duration_since(Instant::now());
        let wait = wait(&status).filter(|wait| !repeated && *wait < left);
        let Some(wait) = wait else {
            let unknown = (!args.dry_run && is_unknown(&status)).then_some(id);
            return Err(Refused { status, unknown });
        };
        repeated = true;
        let why = clean(status.message());
        eprintln!(
            "isthmus: could not {doing} yet ({why}); it is asked for once more, as the same write"
        );
        sleep(wait).await;
        left = left.saturating_sub(wait);
    }
}

/// Returns how long to wait before the repeat, or `None` if a repeat does not help.
fn wait(status: &Status) -> Option<Duration> {
    let asked = failure::retry_after(status);
    match status.code() {
        _ if is_broken(status) => Some(asked.unwrap_or(PAUSE)),
        Code::Unknown | Code::Unavailable => asked,
        _ => None,
    }
}

/// Reports whether the connection broke, so that the status does not come from the gateway.
fn is_broken(status: &Status) -> bool {
    let unexplained = || status.get_details_error_info().is_none();
    status.source().is_some() || (status.code() == Code::Unavailable && unexplained())
}

/// Reports whether the write may have been done, or may still be.
fn is_unknown(status: &Status) -> bool {
    let codes = [Code::Unknown, Code::Unavailable, Code::DeadlineExceeded];
    is_broken(status) || codes.contains(&status.code())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::{ErrorInfo, RetryInfo};

    #[test]
    fn only_what_may_be_done_or_may_be_done_later_is_asked_for_again() {
        let seconds = Duration::from_secs;
        let told = |code, retry: Option<u64>| {
            let info = ErrorInfo::new("X", "isthmus", std::collections::HashMap::new());
            let mut details = vec![info.into()];
            details.extend(retry.map(|it| RetryInfo::new(Some(seconds(it))).into()));
            Status::with_error_details_vec(code, "no", details)
        };
        for (status, waits) in [
            (told(Code::Unavailable, Some(3)), Some(seconds(3))),
            (told(Code::Unknown, Some(3)), Some(seconds(3))),
            (told(Code::Unavailable, None), None),
            (told(Code::Unknown, None), None),
            (told(Code::FailedPrecondition, Some(3)), None),
            (told(Code::DeadlineExceeded, None), None),
            (told(Code::InvalidArgument, None), None),
            (Status::unavailable("could not be asked"), Some(PAUSE)),
            (Status::unimplemented("by an older one"), None),
        ] {
            assert_eq!(wait(&status), waits, "{status:?}");
        }
        assert!(is_unknown(&told(Code::DeadlineExceeded, None)));
        assert!(!is_unknown(&told(Code::FailedPrecondition, Some(3))));
    }
}
