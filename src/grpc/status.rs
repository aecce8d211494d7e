//! Converts the gateway's errors to gRPC statuses: one table of codes, and details for programs.

use crate::{
    core::error::{Context, Error, ErrorKind, ErrorReason, Leftover},
    grpc::convert::plan::name_of,
    model::BackendName,
};
use http::HeaderMap;
use std::{collections::HashMap, time::Duration};
use tonic::{Code, Status};
use tonic_types::{
    BadRequest, ErrorDetail, ErrorInfo, FieldViolation, PreconditionFailure, PreconditionViolation,
    ResourceInfo, RetryInfo, StatusExt,
};

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "isthmus";

/// Most bytes of the three headers of a status on the wire, including names and encodings. Clients limit all trailers
/// together to 8 or 16 KiB. They turn larger ones into a protocol error, which would hide the code.
pub const MAX_WIRE_BYTES: usize = 4096;

/// Texts are not cut below this length. After that, whole entries are left out.
const SHORTEST_CUT: usize = 80;

/// Most violations, and most resources, that one status names.
const MAX_ENTRIES: usize = 32;

/// Retry delay for clients whose stream ends with the gateway.
const RETRY_AFTER_DRAIN: Duration = Duration::from_secs(1);

/// Retry delay for clients that reach a limit of the gateway.
const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(1);

/// Returns the gRPC code of each kind. The match has no wildcard arm, so a new kind does not compile without a code.
pub fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::InvalidArgument => Code::InvalidArgument,
        ErrorKind::NotExpressible => Code::FailedPrecondition,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::FailedPrecondition => Code::FailedPrecondition,
        ErrorKind::Stale => Code::Aborted,
        ErrorKind::PermissionDenied => Code::PermissionDenied,
        ErrorKind::QuotaExceeded => Code::ResourceExhausted,
        // The gateway's credentials failed, not the caller's. UNAUTHENTICATED would blame the caller.
        ErrorKind::BackendAuth => Code::Internal,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Throttled => Code::Unavailable,
        ErrorKind::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorKind::Ambiguous => Code::Unknown,
        ErrorKind::Unimplemented => Code::Unimplemented,
        ErrorKind::OutOfRange => Code::OutOfRange,
        ErrorKind::Internal => Code::Internal,
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Status {
        let mut parts = Parts::of(error);
        loop {
            let status = parts.status();
            if wire_bytes(&status) < MAX_WIRE_BYTES || !parts.shrink() {
                return status;
            }
        }
    }
}

/// Ends a stream or a wait because the gateway shuts down.
pub fn draining() -> Status {
    Error::new(
        ErrorKind::Unavailable,
        ErrorReason::Draining,
        "the gateway is shutting down",
    )
    .retry_after(RETRY_AFTER_DRAIN)
    .into()
}

/// Ends a stream or a wait because its connection has reached its maximum age. The client may reconnect at once, so
/// there is no retry delay.
pub fn aged() -> Status {
    Error::new(
        ErrorKind::Unavailable,
        ErrorReason::Draining,
        "this connection has been open for as long as one may be; go on where you were on a new one",
    )
    .into()
}

/// Ends a stream that was not read for too long.
pub fn stalled(longer_than: Duration) -> Status {
    Error::new(
        ErrorKind::Unavailable,
        ErrorReason::Stalled,
        format!(
            "nothing was read from this stream for more than {}; resume it with its last token",
            humantime::format_duration(longer_than)
        ),
    )
    .into()
}

/// Ends a call whose request does not arrive.
pub fn not_arrived(longer_than: Duration) -> Status {
    Error::new(
        ErrorKind::DeadlineExceeded,
        ErrorReason::Stalled,
        format!(
            "the request, or its end, did not arrive within {}",
            humantime::format_duration(longer_than)
        ),
    )
    .into()
}

/// Ends a call whose deadline passed while the gateway worked on it.
pub fn deadline_exceeded() -> Status {
    Error::new(
        ErrorKind::DeadlineExceeded,
        ErrorReason::Deadline,
        "the deadline of the call passed",
    )
    .into()
}

/// Refuses a call above a limit of the gateway. `message` names the limit.
pub fn limit_exceeded(message: impl Into<String>) -> Status {
    Error::new(
        ErrorKind::QuotaExceeded,
        ErrorReason::LimitExceeded,
        message,
    )
    .retry_after(RETRY_AFTER_LIMIT)
    .into()
}

/// Refuses a message above the size limit, both in bytes. A retry does not help.
pub fn message_too_large(size: usize, limit: usize) -> Status {
    Error::new(
        ErrorKind::QuotaExceeded,
        ErrorReason::LimitExceeded,
        format!("a message has {size} bytes, the limit is {limit}"),
    )
    .into()
}

/// Ends a call whose handler panicked. The status does not contain the panic's message.
pub fn panicked() -> Status {
    Error::internal("a fault in the gateway ended this call").into()
}

/// The contents of a status, in a form that can shrink.
struct Parts {
    code: Code,
    message: String,
    reason: ErrorReason,
    metadata: HashMap<String, String>,
    violations: Vec<FieldViolation>,
    precondition: Option<PreconditionViolation>,
    retry_after: Option<Duration>,
    resources: Vec<ResourceInfo>,
}

impl Parts {
    fn of(error: Error) -> Parts {
        let message = error.to_string();
        let Error {
            kind,
            reason,
            message: cause,
            context,
        } = error;
        let precondition = (kind == ErrorKind::FailedPrecondition).then(|| {
            let subject = context.resource.clone().unwrap_or_default();
            PreconditionViolation::new(reason.as_str(), subject, cause)
        });
        let metadata = metadata(&context);
        let Context {
            violations,
            retry_after,
            leftovers,
            resource,
            resources,
            backend,
            ..
        } = *context;
        let named = resource.into_iter().chain(resources);
        let named = named.map(|name| ResourceInfo {
            resource_type: resource_type(&name).to_owned(),
            resource_name: name,
            owner: String::new(),
            description: at_fault(reason).to_owned(),
        });
        let left = leftovers
            .into_iter()
            .map(|it| left_behind(it, backend.as_ref()));
        let mut parts = Parts {
            code: code(kind),
            message,
            reason,
            metadata,
            violations: violations
                .into_iter()
                .map(|v| FieldViolation::new(v.field, v.description))
                .collect(),
            precondition,
            retry_after,
            resources: named.chain(left).collect(),
        };
        parts.bound();
        parts
    }

    /// Removes what can never fit, so that shrinking takes few rounds.
    fn bound(&mut self) {
        while self.violations.len() > MAX_ENTRIES || self.resources.len() > MAX_ENTRIES {
            self.leave_one_out();
        }
        for text in self.texts() {
            cut(text, MAX_WIRE_BYTES / 2);
        }
    }

    /// Cuts the longest text, or leaves one entry out. Returns false if nothing is left to remove.
    fn shrink(&mut self) -> bool {
        if let Some(longest) = self.texts().into_iter().max_by_key(|text| text.len())
            && longest.len() > SHORTEST_CUT
        {
            let shorter = (longest.len() / 2).max(SHORTEST_CUT);
            cut(longest, shorter);
            return true;
        }
        self.leave_one_out()
    }

    fn leave_one_out(&mut self) -> bool {
        let (list, left_out) = if self.violations.len() > self.resources.len() {
            (self.violations.pop().is_some(), "violations_left_out")
        } else {
            (self.resources.pop().is_some(), "resources_left_out")
        };
        if list {
            let count = self.metadata.get(left_out).and_then(|n| n.parse().ok());
            let count = count.unwrap_or(0_u32) + 1;
            self.metadata.insert(left_out.to_owned(), count.to_string());
            return true;
        }
        // No list entries are left, and every text is as short as it may be. Only very many metadata entries can still
        // exceed the limit, so they are removed one by one.
        let any = self.metadata.keys().next().cloned();
        any.is_some_and(|key| self.metadata.remove(&key).is_some())
    }

    /// Returns every text that may be cut. The reason and the domain may not.
    fn texts(&mut self) -> Vec<&mut String> {
        let mut texts = vec![&mut self.message];
        texts.extend(self.metadata.values_mut());
        for violation in &mut self.violations {
            texts.push(&mut violation.field);
            texts.push(&mut violation.description);
        }
        for resource in &mut self.resources {
            texts.push(&mut resource.resource_type);
            texts.push(&mut resource.resource_name);
        }
        if let Some(precondition) = &mut self.precondition {
            texts.push(&mut precondition.subject);
            texts.push(&mut precondition.description);
        }
        texts
    }

    fn status(&self) -> Status {
        let mut details: Vec<ErrorDetail> =
            vec![ErrorInfo::new(self.reason.as_str(), DOMAIN, self.metadata.clone()).into()];
        if !self.violations.is_empty() {
            details.push(BadRequest::new(self.violations.clone()).into());
        }
        if let Some(precondition) = &self.precondition {
            details.push(PreconditionFailure::new(vec![precondition.clone()]).into());
        }
        if self.retry_after.is_some() {
            details.push(RetryInfo::new(self.retry_after).into());
        }
        for resource in &self.resources {
            details.push(resource.clone().into());
        }
        Status::with_error_details_vec(self.code, self.message.clone(), details)
    }
}

fn metadata(context: &Context) -> HashMap<String, String> {
    let mut metadata = HashMap::new();
    let mut put = |key: &str, value: String| {
        if !value.is_empty() {
            metadata.insert(key.to_owned(), value);
        }
    };
    for (key, value) in &context.metadata {
        put(key, value.clone());
    }
    put("operation", context.operation.join(": "));
    if let Some(backend) = &context.backend {
        put("backend", backend.to_string());
    }
    if let Some(upstream) = &context.upstream {
        if upstream.status != 0 {
            put("upstream_status", upstream.status.to_string());
        }
        put("upstream_code", upstream.code.clone());
        put("upstream_request_id", upstream.request_id.clone());
        put("upstream_message", upstream.message.clone());
    }
    metadata
}

/// Returns the type of a resource of the gateway, by the shape of its name.
fn resource_type(name: &str) -> &'static str {
    match name.split('/').nth(2) {
        None => "isthmus.v1/Backend",
        Some("connections") => "isthmus.v1/Connection",
        Some("ikePolicies") => "isthmus.v1/IkePolicy",
        Some("ipsecPolicies") => "isthmus.v1/IpsecPolicy",
        Some("dpdPolicies") => "isthmus.v1/DpdPolicy",
        Some("vpnServices") => "isthmus.v1/VpnService",
        Some("localEndpoints") => "isthmus.v1/LocalEndpoint",
        Some("endpointGroups") => "isthmus.v1/EndpointGroup",
        Some(_) => "",
    }
}

/// Returns why a resource is named, where the status code does not say it: the resource was found by the described
/// display name.
fn at_fault(reason: ErrorReason) -> &'static str {
    match reason {
        ErrorReason::NameNotUnique => "has the display name that is described",
        ErrorReason::NotManaged => {
            "has the display name that is described, and was not made by this gateway"
        }
        _ => "",
    }
}

/// Describes a resource that a failed call left behind, by its resource name, or by its bare id if its backend is
/// unknown.
fn left_behind(left: Leftover, backend: Option<&BackendName>) -> ResourceInfo {
    let name = match backend {
        Some(backend) => name_of(backend, &left.kind, &left.id),
        None => left.id,
    };
    let known = resource_type(&name);
    ResourceInfo {
        // Objects without a message in the contract are typed by their collection.
        resource_type: match known {
            "" | "isthmus.v1/Backend" => left.kind,
            known => known.to_owned(),
        },
        resource_name: name,
        owner: String::new(),
        description: "made by the gateway, and not removed".to_owned(),
    }
}

/// Returns the size of the status in the trailers, in bytes: the message percent-encoded, the details in base64.
fn wire_bytes(status: &Status) -> usize {
    let mut headers = HeaderMap::new();
    match status.add_header(&mut headers) {
        Ok(()) => headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum(),
        Err(_) => usize::MAX,
    }
}

/// Cuts `text` to at most `bytes` at a character boundary, and marks the cut.
fn cut(text: &mut String, bytes: usize) {
    const MARK: &str = "...";
    if text.len() <= bytes {
        return;
    }
    let mut end = bytes.saturating_sub(MARK.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push_str(MARK);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::error::{Upstream, Violation};

    fn backend() -> crate::model::BackendName {
        "nsx-a".parse().unwrap()
    }

    #[test]
    fn each_kind_has_the_code_of_the_contract() {
        for (kind, expected) in [
            (ErrorKind::BackendAuth, Code::Internal),
            (ErrorKind::Throttled, Code::Unavailable),
            (ErrorKind::QuotaExceeded, Code::ResourceExhausted),
            (ErrorKind::NotExpressible, Code::FailedPrecondition),
            (ErrorKind::Stale, Code::Aborted),
            (ErrorKind::Ambiguous, Code::Unknown),
        ] {
            let status = Status::from(Error::new(kind, ErrorReason::Internal, "x"));
            assert_eq!(status.code(), expected, "{kind:?}");
        }
    }

    #[test]
    fn an_upstream_failure_says_where_it_comes_from_and_when_to_return() {
        let status = Status::from(
            Error::new(
                ErrorKind::Throttled,
                ErrorReason::UpstreamThrottled,
                "the cloud asks for patience",
            )
            .on(&backend())
            .during("reading a connection")
            .retry_after(Duration::from_secs(7))
            .upstream(Upstream {
                status: 429,
                code: "98".to_owned(),
                message: "too many".to_owned(),
                request_id: "req-1".to_owned(),
            }),
        );
        assert_eq!(status.code(), Code::Unavailable);
        let info = status.get_details_error_info().unwrap();
        assert_eq!(
            (info.domain.as_str(), info.reason.as_str()),
            (DOMAIN, "UPSTREAM_THROTTLED")
        );
        for (key, value) in [
            ("backend", "backends/nsx-a"),
            ("operation", "reading a connection"),
            ("upstream_status", "429"),
            ("upstream_code", "98"),
            ("upstream_request_id", "req-1"),
            ("upstream_message", "too many"),
        ] {
            assert_eq!(info.metadata[key], value);
        }
        let retry = status.get_details_retry_info().unwrap();
        assert_eq!(retry.retry_delay, Some(Duration::from_secs(7)));
        assert_eq!(
            status.message(),
            "reading a connection: the cloud asks for patience (the cloud says: too many)"
        );
    }

    #[test]
    fn every_kind_and_reason_is_told_with_what_the_cloud_said() {
        let words = "no! ".repeat(400);
        for kind in ErrorKind::ALL {
            for reason in ErrorReason::ALL {
                let error = Error::new(kind, reason, "the cloud answered so")
                    .on(&backend())
                    .during("creating a connection")
                    .resource("backends/nsx-a/connections/c")
                    .upstream(Upstream {
                        status: 418,
                        code: "289".to_owned(),
                        message: words.clone(),
                        request_id: "req-1".to_owned(),
                    });
                let status = Status::from(error);
                let info = status.get_details_error_info().unwrap();
                let told = |key: &str| info.metadata[key].as_str();
                assert_eq!(status.code(), code(kind));
                assert_eq!(
                    (info.domain.as_str(), info.reason.as_str()),
                    (DOMAIN, reason.as_str())
                );
                assert_eq!(told("backend"), "backends/nsx-a");
                assert_eq!(
                    (told("upstream_status"), told("upstream_code")),
                    ("418", "289")
                );
                assert_eq!(told("upstream_request_id"), "req-1");
                let said = told("upstream_message").trim_end_matches("...");
                assert!(
                    said.len() > SHORTEST_CUT && words.starts_with(said),
                    "{said}"
                );
                assert!(wire_bytes(&status) < MAX_WIRE_BYTES);
            }
        }
    }

    #[test]
    fn every_violation_is_named() {
        let status = Status::from(Error::not_expressible(vec![
            Violation::new("mtu", "not on this backend"),
            Violation::new("dpd", "reference a profile"),
        ]));
        assert_eq!(status.code(), Code::FailedPrecondition);
        let fields: Vec<String> = status
            .get_details_bad_request()
            .unwrap()
            .field_violations
            .into_iter()
            .map(|v| v.field)
            .collect();
        assert_eq!(fields, ["mtu", "dpd"]);
        assert!(status.get_details_precondition_failure().is_none());
    }

    /// Each resource that a description may mean is named, even if none of them is at fault by itself.
    #[test]
    fn what_has_the_same_name_is_listed_and_what_needs_replacing_is_told_by_field() {
        let names = ["c", "d"].map(|id| format!("backends/nsx-a/connections/{id}"));
        for (reason, why) in [
            (ErrorReason::NameNotUnique, "display name"),
            (ErrorReason::NotManaged, "not made by this gateway"),
        ] {
            let error = Error::new(ErrorKind::FailedPrecondition, reason, "it is not clear");
            let status = Status::from(error.on(&backend()).resources(names.clone()));
            let listed: Vec<ResourceInfo> = status
                .get_error_details_vec()
                .into_iter()
                .filter_map(|detail| match detail {
                    ErrorDetail::ResourceInfo(info) => Some(info),
                    _ => None,
                })
                .collect();
            let told = listed.iter().map(|it| it.resource_name.clone());
            assert_eq!(Vec::from_iter(told), names);
            for info in &listed {
                assert_eq!(info.resource_type, "isthmus.v1/Connection");
                assert!(info.description.contains(why), "{info:?}");
            }
            let failure = status.get_details_precondition_failure().unwrap();
            assert_eq!(failure.violations[0].r#type, reason.as_str());
        }

        let mut error = Error::new(
            ErrorKind::FailedPrecondition,
            ErrorReason::ReplacementNeeded,
            "its cloud cannot change it so",
        );
        error.context.violations = vec![Violation::new("connection.mtu", "cannot be changed")];
        let status = Status::from(error.resource(&names[0]));
        assert_eq!(status.code(), Code::FailedPrecondition);
        let request = status.get_details_bad_request().unwrap();
        assert_eq!(request.field_violations[0].field, "connection.mtu");
        let failure = status.get_details_precondition_failure().unwrap();
        assert_eq!(failure.violations[0].subject, names[0]);
    }

    #[test]
    fn a_precondition_names_its_subject_and_leftovers_are_listed() {
        let mut error = Error::new(
            ErrorKind::FailedPrecondition,
            ErrorReason::InUse,
            "the endpoint is in use",
        )
        .on(&backend())
        .resource("backends/nsx-a/connections/c");
        let left = [
            ("peerEndpoints", "p"),
            ("ikePolicies", "i"),
            ("sessions", ""),
        ];
        let left = left.map(|(kind, id)| Leftover {
            kind: kind.to_owned(),
            id: id.to_owned(),
        });
        error.context.leftovers = left.into();
        let status = Status::from(error);
        let violation = &status
            .get_details_precondition_failure()
            .unwrap()
            .violations[0];
        assert_eq!(violation.r#type, "IN_USE");
        assert_eq!(violation.subject, "backends/nsx-a/connections/c");
        let resources: Vec<(String, String)> = status
            .get_error_details_vec()
            .into_iter()
            .filter_map(|detail| match detail {
                ErrorDetail::ResourceInfo(info) => Some((info.resource_type, info.resource_name)),
                _ => None,
            })
            .collect();
        let resources: Vec<(&str, &str)> = resources
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        assert_eq!(
            resources,
            [
                ("isthmus.v1/Connection", "backends/nsx-a/connections/c"),
                ("peerEndpoints", "backends/nsx-a/peerEndpoints/p"),
                ("isthmus.v1/IkePolicy", "backends/nsx-a/ikePolicies/i"),
                ("sessions", "backends/nsx-a/sessions/-"),
            ]
        );
    }

    #[test]
    fn whatever_goes_in_a_status_stays_small_and_keeps_its_reason() {
        let huge = "ü€ \u{0}\n".repeat(20_000);
        let mut error = Error::invalid(
            (0..5_000)
                .map(|n| Violation::new(format!("field{n}.{huge}"), huge.clone()))
                .take(40)
                .chain((0..5_000).map(|n| Violation::new(format!("f{n}"), "wrong")))
                .collect(),
        )
        .on(&backend())
        .during(huge.clone())
        .upstream(Upstream {
            status: 500,
            code: huge.clone(),
            message: huge.clone(),
            request_id: huge.clone(),
        })
        .retry_after(Duration::from_secs(1))
        .resource(huge.clone());
        error.context.leftovers = vec![
            Leftover {
                kind: huge.clone(),
                id: huge.clone(),
            };
            500
        ];
        error.context.metadata = vec![("more", huge)];
        let status = Status::from(error);
        assert!(wire_bytes(&status) < MAX_WIRE_BYTES);
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.reason, "INVALID_FIELD");
        assert_eq!(info.metadata["backend"], "backends/nsx-a");
        assert!(!info.metadata["violations_left_out"].is_empty());
        assert!(status.get_details_retry_info().is_some());
    }

    #[test]
    fn a_status_just_small_enough_is_left_whole() {
        let message = "m".repeat(1_000);
        let status = Status::from(Error::internal(message.clone()));
        assert_eq!(status.message(), message);
    }
}
