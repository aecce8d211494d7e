//! The gateway's one error type: what it is, why, what the cloud said, and what the caller can do.

use crate::model::{BackendName, ResourceName};
use std::{fmt, time::Duration};

/// The longest upstream text kept in an error, in bytes.
pub const MAX_UPSTREAM_TEXT: usize = 1024;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an error is. It decides the gRPC code; `grpc::status` has the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A value is malformed; `violations` names each field.
    InvalidArgument,
    /// The backend cannot express a field or value; `violations` names each.
    NotExpressible,
    /// The object does not exist.
    NotFound,
    /// Not possible at present: in use, in a pending state, or switched off.
    FailedPrecondition,
    /// Another client changed the object first.
    Stale,
    /// The backend is read-only, or the object belongs to another principal.
    PermissionDenied,
    /// The cloud's quota is used up.
    QuotaExceeded,
    /// The cloud refuses the gateway's own credentials.
    BackendAuth,
    /// The cloud cannot be reached, answers 5xx, or answers something broken.
    Unavailable,
    /// The cloud asks the gateway to slow down, or the account's own budget is used up.
    Throttled,
    /// The deadline passed.
    DeadlineExceeded,
    /// It cannot be known whether a write happened.
    Ambiguous,
    /// The dialect does not have this kind of resource or call.
    Unimplemented,
    /// The position has been compacted.
    OutOfRange,
    /// A fault of the gateway itself. Must stay the last variant: the assertion below relies on it.
    Internal,
}

// A variant missing from `ALL` does not compile.
const _: () = assert!(ErrorKind::ALL.len() == ErrorKind::Internal as usize + 1);

impl ErrorKind {
    pub const ALL: [ErrorKind; 15] = [
        ErrorKind::InvalidArgument,
        ErrorKind::NotExpressible,
        ErrorKind::NotFound,
        ErrorKind::FailedPrecondition,
        ErrorKind::Stale,
        ErrorKind::PermissionDenied,
        ErrorKind::QuotaExceeded,
        ErrorKind::BackendAuth,
        ErrorKind::Unavailable,
        ErrorKind::Throttled,
        ErrorKind::DeadlineExceeded,
        ErrorKind::Ambiguous,
        ErrorKind::Unimplemented,
        ErrorKind::OutOfRange,
        ErrorKind::Internal,
    ];
}

/// Why, for programs: `google.rpc.ErrorInfo.reason`. The values are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorReason {
    /// A field is malformed.
    InvalidField,
    /// The backend cannot express a field or value.
    NotExpressible,
    /// No backend of that name is configured.
    BackendNotFound,
    /// The backend was removed from the configuration.
    BackendRemoved,
    /// The cloud has no such connection.
    ConnectionNotFound,
    /// The cloud has no such resource (other than a connection).
    ResourceNotFound,
    /// This kind of resource, or this call, does not exist on the backend.
    KindAbsent,
    /// Something that the request references does not exist.
    ReferenceNotFound,
    /// Something else uses the object.
    InUse,
    /// The connection is in a state that does not allow this.
    WrongState,
    /// The VPN service is switched off.
    VpnServiceDisabled,
    /// The watch's goal cannot be reached.
    GoalUnreachable,
    /// The etag or revision is not current.
    StaleEtag,
    /// The configuration forbids writes to this backend.
    ReadOnly,
    /// The object belongs to another principal of the cloud.
    NotOwner,
    /// The cloud denies this to the gateway's account.
    UpstreamDenied,
    /// A quota of the cloud is used up.
    QuotaExceeded,
    /// The cloud refuses the gateway's login.
    UpstreamAuth,
    /// The cloud cannot be reached, or its circuit is open because it has not answered for a while.
    UpstreamUnreachable,
    /// The cloud answered with a fault of its own.
    UpstreamError,
    /// The cloud asked the gateway to slow down.
    UpstreamThrottled,
    /// The cloud's answer cannot be parsed.
    UpstreamBrokenAnswer,
    /// The cloud rejected the request as wrong.
    UpstreamRejected,
    /// The cloud has no VPN API where it is expected.
    ApiAbsent,
    /// The call's deadline, or the backend's timeout, passed.
    Deadline,
    /// An answer to a write was lost and could not be recovered.
    WriteAmbiguous,
    /// The position to resume from has been compacted.
    Compacted,
    /// A token that does not belong to this request.
    WrongToken,
    /// The gateway is shutting down, or the call's connection has reached its maximum age.
    Draining,
    /// A limit of the gateway itself is reached.
    LimitExceeded,
    /// A stream was not read, or a request did not arrive, for too long.
    Stalled,
    /// The `request_id` was used for another request.
    RequestIdReused,
    /// An earlier write of the same object, or with the same `request_id`, has not ended.
    WriteUnderWay,
    /// What a write is about to do cannot be recorded, so it does not begin.
    StoreUnavailable,
    /// The description differs from the existing object in a way that only another object can have.
    ReplacementNeeded,
    /// Several objects have the name that should select one.
    NameNotUnique,
    /// The object with the name was not made by this gateway.
    NotManaged,
    /// A fault of the gateway itself. Must stay the last variant: the assertion below relies on it.
    Internal,
}

// A variant missing from `ALL` does not compile.
const _: () = assert!(ErrorReason::ALL.len() == ErrorReason::Internal as usize + 1);

impl ErrorReason {
    pub const ALL: [ErrorReason; 38] = [
        ErrorReason::InvalidField,
        ErrorReason::NotExpressible,
        ErrorReason::BackendNotFound,
        ErrorReason::BackendRemoved,
        ErrorReason::ConnectionNotFound,
        ErrorReason::ResourceNotFound,
        ErrorReason::KindAbsent,
        ErrorReason::ReferenceNotFound,
        ErrorReason::InUse,
        ErrorReason::WrongState,
        ErrorReason::VpnServiceDisabled,
        ErrorReason::GoalUnreachable,
        ErrorReason::StaleEtag,
        ErrorReason::ReadOnly,
        ErrorReason::NotOwner,
        ErrorReason::UpstreamDenied,
        ErrorReason::QuotaExceeded,
        ErrorReason::UpstreamAuth,
        ErrorReason::UpstreamUnreachable,
        ErrorReason::UpstreamError,
        ErrorReason::UpstreamThrottled,
        ErrorReason::UpstreamBrokenAnswer,
        ErrorReason::UpstreamRejected,
        ErrorReason::ApiAbsent,
        ErrorReason::Deadline,
        ErrorReason::WriteAmbiguous,
        ErrorReason::Compacted,
        ErrorReason::WrongToken,
        ErrorReason::Draining,
        ErrorReason::LimitExceeded,
        ErrorReason::Stalled,
        ErrorReason::RequestIdReused,
        ErrorReason::WriteUnderWay,
        ErrorReason::StoreUnavailable,
        ErrorReason::ReplacementNeeded,
        ErrorReason::NameNotUnique,
        ErrorReason::NotManaged,
        ErrorReason::Internal,
    ];

    /// Returns the reason as in `ErrorInfo`.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorReason::InvalidField => "INVALID_FIELD",
            ErrorReason::NotExpressible => "NOT_EXPRESSIBLE",
            ErrorReason::BackendNotFound => "BACKEND_NOT_FOUND",
            ErrorReason::BackendRemoved => "BACKEND_REMOVED",
            ErrorReason::ConnectionNotFound => "CONNECTION_NOT_FOUND",
            ErrorReason::ResourceNotFound => "RESOURCE_NOT_FOUND",
            ErrorReason::KindAbsent => "KIND_ABSENT",
            ErrorReason::ReferenceNotFound => "REFERENCE_NOT_FOUND",
            ErrorReason::InUse => "IN_USE",
            ErrorReason::WrongState => "WRONG_STATE",
            ErrorReason::VpnServiceDisabled => "VPN_SERVICE_DISABLED",
            ErrorReason::GoalUnreachable => "GOAL_UNREACHABLE",
            ErrorReason::StaleEtag => "STALE_ETAG",
            ErrorReason::ReadOnly => "READ_ONLY",
            ErrorReason::NotOwner => "NOT_OWNER",
            ErrorReason::UpstreamDenied => "UPSTREAM_DENIED",
            ErrorReason::QuotaExceeded => "QUOTA_EXCEEDED",
            ErrorReason::UpstreamAuth => "UPSTREAM_AUTH",
            ErrorReason::UpstreamUnreachable => "UPSTREAM_UNREACHABLE",
            ErrorReason::UpstreamError => "UPSTREAM_ERROR",
            ErrorReason::UpstreamThrottled => "UPSTREAM_THROTTLED",
            ErrorReason::UpstreamBrokenAnswer => "UPSTREAM_BROKEN_ANSWER",
            ErrorReason::UpstreamRejected => "UPSTREAM_REJECTED",
            ErrorReason::ApiAbsent => "API_ABSENT",
            ErrorReason::Deadline => "DEADLINE",
            ErrorReason::WriteAmbiguous => "WRITE_AMBIGUOUS",
            ErrorReason::Compacted => "COMPACTED",
            ErrorReason::WrongToken => "WRONG_TOKEN",
            ErrorReason::Draining => "DRAINING",
            ErrorReason::LimitExceeded => "LIMIT_EXCEEDED",
            ErrorReason::Stalled => "STALLED",
            ErrorReason::RequestIdReused => "REQUEST_ID_REUSED",
            ErrorReason::WriteUnderWay => "WRITE_UNDER_WAY",
            ErrorReason::StoreUnavailable => "STORE_UNAVAILABLE",
            ErrorReason::ReplacementNeeded => "REPLACEMENT_NEEDED",
            ErrorReason::NameNotUnique => "NAME_NOT_UNIQUE",
            ErrorReason::NotManaged => "NOT_MANAGED",
            ErrorReason::Internal => "INTERNAL",
        }
    }
}

impl fmt::Display for ErrorReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A field that is wrong, and what would be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// A path. It is relative to the resource where no request is known (`peer.psk`), and relative to the request when
    /// it is returned to the caller (`connection.peer.psk`); see [`Error::within`].
    pub field: String,
    /// What is wrong and what would be accepted.
    pub description: String,
}

impl Violation {
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Violation {
        Violation {
            field: field.into(),
            description: description.into(),
        }
    }
}

/// What the cloud answered, already truncated and redacted by the dialect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upstream {
    /// The HTTP status; 0 if there was no answer.
    pub status: u16,
    /// The cloud's own code: NSX `error_code`, OpenStack `NeutronError.type`. May be empty.
    pub code: String,
    /// The cloud's own message. May be empty.
    pub message: String,
    /// The cloud's request id, for its operators. May be empty.
    pub request_id: String,
}

/// An object that the gateway made and that a failed call left behind. It could not be removed, or, if the call did
/// nothing, is still in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The kind as in resource names, such as `ikePolicies`, also for kinds without a collection, such as
    /// `peerEndpoints`.
    pub kind: String,
    /// Its id in the cloud; empty if unknown.
    pub id: String,
}

/// An error. Its message completes the sentence "could not … because": lower case, no full stop.
#[derive(Debug, Clone)]
pub struct Error {
    pub kind: ErrorKind,
    /// Why, for programs.
    pub reason: ErrorReason,
    /// Why, for people.
    pub message: String,
    /// The rest, boxed because errors are rare and results are many.
    pub context: Box<Context>,
}

/// The context of an error.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// What was being done, outermost first, such as `creating a connection`.
    pub operation: Vec<String>,
    pub backend: Option<BackendName>,
    pub upstream: Option<Upstream>,
    /// The fields at fault.
    pub violations: Vec<Violation>,
    /// When a retry may succeed.
    pub retry_after: Option<Duration>,
    /// What was made and could not be removed.
    pub leftovers: Vec<Leftover>,
    /// The resource name at fault.
    pub resource: Option<String>,
    /// The resource names at fault, if there are several.
    pub resources: Vec<String>,
    /// More entries for `ErrorInfo.metadata`.
    pub metadata: Vec<(&'static str, String)>,
}

impl Error {
    pub fn new(kind: ErrorKind, reason: ErrorReason, message: impl Into<String>) -> Error {
        Error {
            kind,
            reason,
            message: message.into(),
            context: Box::default(),
        }
    }

    /// Returns an error with all malformed values.
    pub fn invalid(violations: Vec<Violation>) -> Error {
        let mut error = Error::new(
            ErrorKind::InvalidArgument,
            ErrorReason::InvalidField,
            summary(&violations),
        );
        error.context.violations = violations;
        error
    }

    /// Returns an error with all fields or values that the backend cannot express.
    pub fn not_expressible(violations: Vec<Violation>) -> Error {
        let mut error = Error::new(
            ErrorKind::NotExpressible,
            ErrorReason::NotExpressible,
            summary(&violations),
        );
        error.context.violations = violations;
        error
    }

    /// Returns an error with all values that only another object can have.
    pub fn replacement_needed(violations: Vec<Violation>) -> Error {
        Error {
            kind: ErrorKind::FailedPrecondition,
            reason: ErrorReason::ReplacementNeeded,
            ..Error::not_expressible(violations)
        }
    }

    /// Prefixes the paths of the violations with the field `part` that holds the resource.
    #[must_use]
    pub fn within(self, part: &str) -> Error {
        self.with_paths(|path| format!("{part}.{path}"))
    }

    /// Converts the paths of the violations.
    #[must_use]
    pub fn with_paths(mut self, path: impl Fn(&str) -> String) -> Error {
        let sums_them_up = self.message == summary(&self.context.violations);
        for violation in &mut self.context.violations {
            violation.field = path(&violation.field);
        }
        if sums_them_up {
            self.message = summary(&self.context.violations);
        }
        self
    }

    /// Returns an error for a fault of the gateway itself.
    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Internal, ErrorReason::Internal, message)
    }

    /// Adds what was being done, while the error is passed up.
    #[must_use]
    pub fn during(mut self, operation: impl Into<String>) -> Error {
        self.context.operation.insert(0, operation.into());
        self
    }

    /// Sets the backend.
    #[must_use]
    pub fn on(mut self, backend: &BackendName) -> Error {
        self.context.backend = Some(backend.clone());
        self
    }

    /// Sets the cloud's answer.
    #[must_use]
    pub fn upstream(mut self, upstream: Upstream) -> Error {
        self.context.upstream = Some(upstream);
        self
    }

    /// Sets when a retry may succeed.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Error {
        self.context.retry_after = Some(delay);
        self
    }

    /// Sets the resource name at fault.
    #[must_use]
    pub fn resource(mut self, name: impl Into<String>) -> Error {
        self.context.resource = Some(name.into());
        self
    }

    /// Adds resource names at fault, where there may be several.
    #[must_use]
    pub fn resources(mut self, names: impl IntoIterator<Item = String>) -> Error {
        self.context.resources.extend(names);
        self
    }

    /// Sets the resource name of a not-found error that has none.
    #[must_use]
    pub fn missing(self, name: &ResourceName) -> Error {
        let is_missing = matches!(
            self.reason,
            ErrorReason::ConnectionNotFound | ErrorReason::ResourceNotFound
        );
        if is_missing && self.context.resource.is_none() {
            self.resource(name.to_string())
        } else {
            self
        }
    }

    /// Reports whether the cloud could not be asked at all, so that nothing was learned about the object.
    pub fn is_outage(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Unavailable | ErrorKind::Throttled | ErrorKind::DeadlineExceeded
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for operation in &self.context.operation {
            write!(f, "{operation}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(upstream) = &self.context.upstream
            && !upstream.message.is_empty()
        {
            write!(f, " (the cloud says: {})", upstream.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

fn summary(violations: &[Violation]) -> String {
    let fields: Vec<String> = violations
        .iter()
        .take(8)
        .map(|v| format!("`{}`: {}", v.field, v.description))
        .collect();
    fields.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_told_by_its_path_from_further_out() {
        let mtu = || vec![Violation::new("mtu", "is too much")];
        let error = Error::not_expressible(mtu()).within("connection");
        assert_eq!(error.context.violations[0].field, "connection.mtu");
        assert_eq!(error.message, "`connection.mtu`: is too much");

        let mut error = Error::internal("the cloud's own words");
        error.context.violations = mtu();
        let error = error.within("connection");
        assert_eq!(error.context.violations[0].field, "connection.mtu");
        assert_eq!(error.message, "the cloud's own words");
        assert_eq!(Error::internal("").within("x").message, "");
    }
}
