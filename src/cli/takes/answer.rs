//! The answer of one backend about one connection.

use crate::{
    cli::json,
    grpc::{
        codes::code_name,
        pb::{PlannedStep, Warning, apply_connection_response::Result as Outcome},
    },
};
use prost_reflect::{DynamicMessage, ReflectMessage, Value};
use serde_json::json;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Whether a backend accepts a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Exactly as described.
    Yes,
    /// With deviations, which the warnings name.
    WithWarnings,
    /// Only the place of attachment is missing.
    OnceAttached,
    No,
    /// Not known, because the backend did not answer the question.
    NotAsked,
}

impl Takes {
    /// Returns the words for people.
    pub fn words(self) -> &'static str {
        match self {
            Takes::Yes => "yes",
            Takes::WithWarnings => "with warnings",
            Takes::OnceAttached => "once attached",
            Takes::No => "no",
            Takes::NotAsked => "not asked",
        }
    }

    /// Returns the code for scripts.
    fn code(self) -> String {
        self.words().to_uppercase().replace(' ', "_")
    }
}

/// The answer of one backend about one connection.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The display name of the connection, or its place in the file.
    pub connection: String,
    /// The backend's short name.
    pub backend: String,
    pub takes: Takes,
    /// In a few words, what would become of the connection, or why it is refused or unknown.
    pub result: String,
    /// The planned steps, if the connection is accepted.
    pub plan: Vec<PlannedStep>,
    /// The deviations from the description, if the connection is accepted.
    pub warnings: Vec<Warning>,
    /// Each refused field, with the reason.
    pub violations: Vec<(String, String)>,
    /// What is missing about where the connection is attached, as fields of `backends` in a site file.
    pub missing: Vec<&'static str>,
    /// Further lines for people.
    pub notes: Vec<String>,
    /// The whole response, if the connection is accepted.
    pub answer: Option<serde_json::Value>,
}

/// The fields that a refusal names if the place of attachment is missing, and whether each belongs to the local
/// endpoint.
const ATTACHED: [(&str, bool); 7] = [
    ("connection.vpn_service", false),
    ("parts.vpn_service", false),
    ("parts.vpn_service.router", false),
    ("connection.local_endpoint", true),
    ("parts.local_endpoint", true),
    ("parts.local_endpoint.vpn_service", true),
    ("parts.local_endpoint.address", true),
];

impl Taken {
    /// Returns an answer that is not known yet.
    pub fn of(connection: String, backend: &str) -> Taken {
        Taken {
            connection,
            backend: backend.to_owned(),
            takes: Takes::NotAsked,
            result: String::new(),
            plan: Vec::new(),
            warnings: Vec::new(),
            violations: Vec::new(),
            missing: Vec::new(),
            notes: Vec::new(),
            answer: None,
        }
    }

    /// Turns this into a refusal by the command itself: the request for this backend could not be built, for the
    /// reasons in `why`.
    pub fn misfit(self, why: &str) -> Taken {
        Taken {
            takes: Takes::No,
            result: "does not fit".to_owned(),
            notes: why.lines().map(|line| line.trim().to_owned()).collect(),
            ..self
        }
    }

    /// Turns this into the acceptance in `answer`.
    pub fn taken(self, answer: &DynamicMessage) -> Taken {
        let typed: crate::grpc::pb::ApplyConnectionResponse = answer
            .transcode_to()
            .expect("the answer was read by the same descriptor");
        let result = match typed.result() {
            Outcome::Created => "would be created",
            Outcome::Changed => "would be changed",
            Outcome::Unchanged => "matches already",
            Outcome::Unspecified => "would be taken",
        };
        Taken {
            takes: match typed.warnings.is_empty() {
                true => Takes::Yes,
                false => Takes::WithWarnings,
            },
            result: result.to_owned(),
            plan: typed.plan,
            warnings: typed.warnings,
            answer: serde_json::to_value(answer).ok(),
            ..self
        }
    }

    /// Turns this into a refusal, or into an unknown answer if `status` does not decide.
    pub fn refused(self, status: &Status, request: &DynamicMessage) -> Taken {
        let info = status.get_details_error_info();
        let reason = info.map(|info| info.reason).unwrap_or_default();
        let bad = status.get_details_bad_request();
        let violations = bad.map_or_else(Vec::new, |bad| {
            let each = bad.field_violations.into_iter();
            each.map(|it| (it.field, it.description)).collect()
        });
        let missing = missing(&violations, request);
        let takes = match status.code() {
            _ if missing.is_some() => Takes::OnceAttached,
            _ if !violations.is_empty() => Takes::No,
            Code::InvalidArgument | Code::FailedPrecondition | Code::PermissionDenied => Takes::No,
            Code::NotFound if !reason.starts_with("BACKEND_") => Takes::No,
            Code::Unimplemented if !reason.is_empty() => Takes::No,
            _ => Takes::NotAsked,
        };
        let notes = match violations.is_empty() {
            true => vec![status.message().to_owned()],
            false => Vec::new(),
        };
        Taken {
            takes,
            result: match (takes, reason.is_empty()) {
                (Takes::OnceAttached, _) => "is attached nowhere yet".to_owned(),
                (_, true) => code_name(status.code()).to_owned(),
                (_, false) => reason,
            },
            violations,
            missing: missing.unwrap_or_default(),
            notes,
            ..self
        }
    }

    /// Returns the answer as JSON for scripts.
    pub fn json(&self) -> serde_json::Value {
        let mut told = json!({
            "connection": self.connection,
            "backend": self.backend,
            "takesIt": self.takes.code(),
        });
        match &self.answer {
            Some(answer) => told["answer"] = answer.clone(),
            None => {
                let violation =
                    |(field, why): &(String, String)| json!({"field": field, "description": why});
                told["reason"] = json!(self.result);
                told["violations"] = self.violations.iter().map(violation).collect();
                told["missing"] = json!(self.missing);
                told["notes"] = json!(self.notes);
            }
        }
        told
    }
}

/// Builds a request from fields, so that they can be looked up by their paths.
pub fn request(fields: &[(String, Value)]) -> DynamicMessage {
    let mut request = DynamicMessage::new(json::descriptor("ApplyConnectionRequest"));
    for (name, value) in fields {
        request.set_field_by_name(name, value.clone());
    }
    request
}

/// Returns what is missing about where the connection is attached, or `None` if anything else is wrong.
fn missing(violations: &[(String, String)], request: &DynamicMessage) -> Option<Vec<&'static str>> {
    let mut of_endpoint = false;
    for (field, _) in violations {
        let (_, is_of_endpoint) = ATTACHED.iter().find(|(path, _)| path == field)?;
        // A field that is set and refused is not missing.
        let is_container = matches!(field.as_str(), "parts.vpn_service" | "parts.local_endpoint");
        if !is_container && is_given(request, field) {
            return None;
        }
        of_endpoint |= is_of_endpoint;
    }
    if violations.is_empty() {
        return None;
    }
    let has_service = is_given(request, "parts.vpn_service.router")
        || is_given(request, "connection.vpn_service");
    let mut missing = Vec::new();
    if !has_service {
        missing.push("router");
    }
    if of_endpoint {
        missing.push("localAddress");
    }
    (!missing.is_empty()).then_some(missing)
}

/// Reports whether the field at a path is set.
fn is_given(message: &DynamicMessage, path: &str) -> bool {
    let (first, rest) = match path.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (path, None),
    };
    let Some(field) = message.descriptor().get_field_by_name(first) else {
        return false;
    };
    if !message.has_field(&field) {
        return false;
    }
    match rest {
        None => true,
        Some(rest) => {
            let inner = message.get_field(&field);
            inner
                .as_message()
                .is_some_and(|inner| is_given(inner, rest))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::{BadRequest, ErrorDetail, ErrorInfo, FieldViolation};

    fn refusal(code: Code, reason: &str, violations: &[(&str, &str)]) -> Status {
        let mut details: Vec<ErrorDetail> = Vec::new();
        if !reason.is_empty() {
            details
                .push(ErrorInfo::new(reason, "isthmus", std::collections::HashMap::new()).into());
        }
        if !violations.is_empty() {
            let each = violations.iter();
            let each = each.map(|(field, why)| FieldViolation::new(*field, *why));
            details.push(BadRequest::new(each.collect::<Vec<_>>()).into());
        }
        Status::with_error_details_vec(code, "because", details)
    }

    fn asked(request: serde_json::Value) -> DynamicMessage {
        DynamicMessage::deserialize(json::descriptor("ApplyConnectionRequest"), request).unwrap()
    }

    fn refused(status: &Status, request: serde_json::Value) -> Taken {
        Taken::of("branch".to_owned(), "a").refused(status, &asked(request))
    }

    #[test]
    fn a_refusal_is_told_from_a_backend_that_nobody_can_ask() {
        for (code, reason, takes) in [
            (Code::FailedPrecondition, "NOT_EXPRESSIBLE", Takes::No),
            (Code::FailedPrecondition, "NAME_NOT_UNIQUE", Takes::No),
            (Code::InvalidArgument, "INVALID_FIELD", Takes::No),
            (Code::PermissionDenied, "READ_ONLY", Takes::No),
            (Code::NotFound, "REFERENCE_NOT_FOUND", Takes::No),
            (Code::Unimplemented, "KIND_ABSENT", Takes::No),
            (Code::NotFound, "BACKEND_NOT_FOUND", Takes::NotAsked),
            (Code::NotFound, "BACKEND_REMOVED", Takes::NotAsked),
            (Code::Unavailable, "UPSTREAM_UNREACHABLE", Takes::NotAsked),
            (Code::DeadlineExceeded, "", Takes::NotAsked),
            (Code::Unimplemented, "", Takes::NotAsked),
            (Code::Internal, "INTERNAL", Takes::NotAsked),
        ] {
            let taken = refused(&refusal(code, reason, &[]), json!({}));
            assert_eq!(taken.takes, takes, "{reason}");
            assert_eq!(taken.notes, ["because"]);
            let shown = if reason.is_empty() {
                code_name(code)
            } else {
                reason
            };
            assert_eq!(taken.result, shown);
        }
    }

    #[test]
    fn what_is_attached_nowhere_lacks_that_and_nothing_else() {
        let with_router = json!({"parts": {"vpnService": {"router": "r"}}});
        for (fields, request, missing) in [
            (
                vec!["connection.vpn_service"],
                json!({}),
                Some(vec!["router"]),
            ),
            (
                vec!["parts.vpn_service.router"],
                json!({"parts": {"vpnService": {"displayName": "v"}}}),
                Some(vec!["router"]),
            ),
            (
                vec!["connection.local_endpoint"],
                json!({}),
                Some(vec!["router", "localAddress"]),
            ),
            (
                vec!["connection.local_endpoint"],
                with_router.clone(),
                Some(vec!["localAddress"]),
            ),
            (
                vec!["parts.local_endpoint.address", "parts.vpn_service.router"],
                json!({"parts": {"localEndpoint": {"localId": "x"}}}),
                Some(vec!["router", "localAddress"]),
            ),
            // A field that is set is not missing, and other violations stay violations.
            (vec!["parts.vpn_service.router"], with_router.clone(), None),
            (vec!["connection.vpn_service"], with_router, None),
            (
                vec!["connection.vpn_service", "connection.route_based"],
                json!({}),
                None,
            ),
            (vec!["parts.vpn_service.subnet"], json!({}), None),
        ] {
            let violations: Vec<(&str, &str)> =
                fields.iter().map(|it| (*it, "is required")).collect();
            let status = refusal(Code::InvalidArgument, "INVALID_FIELD", &violations);
            let taken = refused(&status, request);
            let takes = if missing.is_some() {
                Takes::OnceAttached
            } else {
                Takes::No
            };
            assert_eq!(taken.takes, takes, "{fields:?}");
            assert_eq!(taken.missing, missing.unwrap_or_default(), "{fields:?}");
            assert_eq!(taken.violations.len(), fields.len());
        }
    }
}
