//! Errors as text for people: what was asked, why it failed, the cloud's own words, and what to do.

use crate::{
    cli::{exit::Exit, explain, kinds::Kind, names, text::clean},
    grpc::codes::code_name,
};
use std::{error::Error as _, time::Duration};
use tonic::{Code, Status};
use tonic_types::{ErrorDetail, StatusExt};

/// Formats the error of a call. `doing` completes the sentence "could not …".
pub fn describe(doing: &str, status: &Status, endpoint: &str) -> String {
    let details = status.get_error_details_vec();
    let info = details.iter().find_map(|detail| match detail {
        ErrorDetail::ErrorInfo(info) => Some(info),
        _ => None,
    });
    let Some(info) = info else {
        return described_by_code(doing, status, endpoint);
    };
    let mut lines = vec![format!(
        "could not {doing}: {} ({})",
        code_name(status.code()),
        clean(&info.reason)
    )];
    // If the error names fields, its message only summarizes them.
    let by_field = |detail: &ErrorDetail| matches!(detail, ErrorDetail::BadRequest(_));
    if !details.iter().any(by_field) {
        lines.push(format!("  {}", clean(status.message())));
    }
    for detail in &details {
        lines.extend(detail_lines(detail, &info.reason));
    }
    let said = |key: &str| info.metadata.get(key).map(|value| clean(value));
    if let Some(http) = said("upstream_status") {
        let code = said("upstream_code").map_or(String::new(), |code| format!(", code {code}"));
        let module = said("upstream_module").map_or(String::new(), |it| format!(", module {it}"));
        lines.push(format!("  the cloud answered {http}{code}{module}"));
    }
    if let Some(words) = said("upstream_message")
        && !clean(status.message()).contains(&words)
    {
        lines.push(format!("  the cloud says: {words}"));
    }
    if let Some(id) = said("upstream_request_id") {
        lines.push(format!("  the cloud's request id: {id}"));
    }
    lines.extend(explain::hint(&info.reason));
    lines.join("\n")
}

/// Returns the exit code for the error of a call.
pub fn exit(status: &Status) -> Exit {
    match status.code() {
        Code::InvalidArgument => Exit::Usage,
        Code::DeadlineExceeded => Exit::Deadline,
        _ => Exit::CouldNotAsk,
    }
}

/// Reports whether reopening a watch may help: the gateway went away, or throttles.
pub fn is_transient(status: &Status) -> bool {
    // A broken connection has any code the transport chose, with the transport's own error as the source.
    let broken = status.source().is_some();
    broken || matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded)
}

/// Reports whether the error comes from somewhere other than a gateway: nothing listens, or the connection broke.
pub fn is_unexplained(status: &Status) -> bool {
    status.source().is_some() || (is_transient(status) && status.get_details_error_info().is_none())
}

/// Reports whether the error has this reason.
pub fn is(status: &Status, reason: &str) -> bool {
    let info = status.get_details_error_info();
    info.is_some_and(|info| info.reason == reason)
}

/// Returns the resource that an error names, if it names exactly one.
pub fn resource(status: &Status) -> Option<String> {
    let details = status.get_error_details_vec().into_iter();
    let mut named = details.filter_map(|detail| match detail {
        ErrorDetail::ResourceInfo(info) => Some(info.resource_name),
        _ => None,
    });
    named
        .next()
        .filter(|name| !name.is_empty() && named.next().is_none())
}

/// Returns the refused fields, by their paths in the request.
pub fn fields_at_fault(status: &Status) -> Vec<String> {
    let details = status.get_error_details_vec().into_iter();
    let of = |detail| match detail {
        ErrorDetail::BadRequest(bad) => bad.field_violations,
        _ => Vec::new(),
    };
    details.flat_map(of).map(|it| it.field).collect()
}

/// Returns the retry delay that the gateway asks for, if any.
pub fn retry_after(status: &Status) -> Option<Duration> {
    status.get_details_retry_info()?.retry_delay
}

/// Formats an error without details: the gateway did not send it, or was never reached.
fn described_by_code(doing: &str, status: &Status, endpoint: &str) -> String {
    let mut first = format!("could not {doing}: {}", code_name(status.code()));
    let words = clean(&with_causes(status));
    if !words.is_empty() {
        first.push_str(&format!("\n  {words}"));
    }
    if is_transient(status) {
        let start = if cfg!(feature = "demo") {
            "`isthmus demo` or `isthmus serve`"
        } else {
            "`isthmus serve`"
        };
        let hint = format!(
            "is a gateway running at {endpoint}? Start one with {start}, or name it with --endpoint"
        );
        format!("{first}\n  {hint}")
    } else if status.code() == Code::Unimplemented {
        format!("{first}\n  {endpoint} does not speak this API, or an older version of it")
    } else {
        first
    }
}

/// Returns the message followed by its causes. A transport error alone says no more than "transport error".
fn with_causes(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = status.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text.push_str(&format!(": {words}"));
        }
        cause = error.source();
    }
    text
}

/// Strips the resource's field from the path of a request, because the user wrote only the resource or an option.
fn own_path(field: &str) -> &str {
    let own = Kind::ALL.into_iter().find_map(|kind| {
        let rest = field.strip_prefix(&kind.field())?;
        rest.strip_prefix('.')
    });
    own.unwrap_or(field)
}

fn detail_lines(detail: &ErrorDetail, reason: &str) -> Vec<String> {
    match detail {
        ErrorDetail::BadRequest(bad) => bad
            .field_violations
            .iter()
            .map(|v| {
                format!(
                    "  field {}: {}",
                    clean(own_path(&v.field)),
                    clean(&v.description)
                )
            })
            .collect(),
        ErrorDetail::RetryInfo(retry) => retry
            .retry_delay
            .map(|delay| format!("  try again in {}", humantime::format_duration(delay)))
            .into_iter()
            .collect(),
        // A connection that the name may have meant, and why it does not match.
        ErrorDetail::ResourceInfo(named)
            if ["NAME_NOT_UNIQUE", "NOT_MANAGED"].contains(&reason) =>
        {
            vec![format!(
                "  {} {}",
                clean(&names::short(&named.resource_name)),
                clean(&named.description)
            )]
        }
        // The resource of the call has no description; what the call left behind has one.
        ErrorDetail::ResourceInfo(left) if !left.description.is_empty() => vec![format!(
            "  left behind: {} {} ({})",
            clean(&left.resource_type),
            clean(&names::short(&left.resource_name)),
            clean(&left.description)
        )],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use tonic_types::{BadRequest, ErrorInfo, FieldViolation, ResourceInfo, RetryInfo};

    fn info(reason: &str, metadata: &[(&str, &str)]) -> ErrorDetail {
        let metadata: HashMap<String, String> = metadata
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        ErrorInfo::new(reason, "isthmus", metadata).into()
    }

    #[test]
    fn an_error_is_told_with_all_its_details() {
        let status = Status::with_error_details_vec(
            Code::Unavailable,
            "creating a connection: the cloud answered with a fault",
            vec![
                info(
                    "UPSTREAM_ERROR",
                    &[
                        ("upstream_status", "503"),
                        ("upstream_code", "98"),
                        ("upstream_message", "come back\nlater"),
                        ("upstream_request_id", "req-1"),
                    ],
                ),
                RetryInfo::new(Some(Duration::from_secs(7))).into(),
                ResourceInfo::new(
                    "peer-endpoint",
                    "p-1",
                    "",
                    "made by the gateway, and not removed",
                )
                .into(),
            ],
        );
        assert_eq!(
            describe("create a connection", &status, "http://h"),
            "could not create a connection: UNAVAILABLE (UPSTREAM_ERROR)\n  \
             creating a connection: the cloud answered with a fault\n  \
             try again in 7s\n  \
             left behind: peer-endpoint p-1 (made by the gateway, and not removed)\n  \
             the cloud answered 503, code 98\n  \
             the cloud says: come back later\n  \
             the cloud's request id: req-1\n  \
             what to do: Try again later; `isthmus backends` shows since when. A watch continues by itself.\n  \
             `isthmus explain UPSTREAM_ERROR` says more"
        );
        assert_eq!(exit(&status), Exit::CouldNotAsk);
        assert_eq!(retry_after(&status), Some(Duration::from_secs(7)));
    }

    #[test]
    fn every_field_at_fault_is_named_and_the_exit_says_usage() {
        let violations = vec![
            FieldViolation::new(
                "name",
                "must be `backends/{backend}/connections/{connection}`",
            ),
            FieldViolation::new("connection.peer.psk", "is required"),
            FieldViolation::new("ike_policy.dh_groups[1]", "is given twice"),
            FieldViolation::new("ike_policy", "is required"),
            FieldViolation::new("goal", "must be GONE"),
        ];
        let status = Status::with_error_details_vec(
            Code::InvalidArgument,
            "two fields",
            vec![
                info("INVALID_FIELD", &[]),
                BadRequest::new(violations).into(),
            ],
        );
        let text = describe("watch x", &status, "http://h");
        assert!(
            text.contains("\n  field name: must be `backends/"),
            "{text}"
        );
        for said in [
            "peer.psk: is required",
            "dh_groups[1]: is given twice",
            "ike_policy: is required",
            "goal: must be GONE",
        ] {
            assert!(text.contains(&format!("\n  field {said}")), "{text}");
        }
        assert_eq!(exit(&status), Exit::Usage);
    }

    #[test]
    fn a_gateway_that_is_not_there_is_told_with_how_to_start_one() {
        let status = Status::unavailable("tcp connect error");
        let text = describe("list backends/-", &status, "http://127.0.0.1:1");
        assert!(
            text.starts_with("could not list backends/-: UNAVAILABLE\n  tcp connect error\n"),
            "{text}"
        );
        assert!(
            text.contains("is a gateway running at http://127.0.0.1:1?"),
            "{text}"
        );
    }
}
