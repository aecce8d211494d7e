//! The one error of the gateway: what it is, why, what the cloud said, and what the caller can do.

use crate::model::{BackendName, ResourceName};
use std::{fmt, time::Duration};

/// The longest upstream text kept in an error, in bytes.
pub const MAX_UPSTREAM_TEXT: usize = 1024;

/// The outcome of nearly everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an error is, which decides its gRPC code. `grpc::status` holds the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A value is malformed; `violations` names each field.
    InvalidArgument,
    /// The backend cannot express a field or value; `violations` names each.
    NotExpressible,
    /// There is no such thing.
    NotFound,
    /// Not now: in use, in a pending state, or switched off.
    FailedPrecondition,
    /// Somebody else changed it first.
    Stale,
    /// The backend is read-only, or the object belongs to another principal.
    PermissionDenied,
    /// The cloud's quota is used up.
    QuotaExceeded,
    /// The cloud refuses the gateway's own credentials.
    BackendAuth,
    /// The cloud cannot be reached, answers 5xx, or answers something broken.
    Unavailable,
    /// The cloud, or our own budget, asks for patience.
    Throttled,
    /// The deadline passed.
    DeadlineExceeded,
    /// It cannot be known whether a write happened.
    Ambiguous,
    /// This kind of resource does not exist on the dialect.
    Unimplemented,
    /// A position that is no longer remembered.
    OutOfRange,
    /// A fault of the gateway itself. Stays the last one, see below.
    Internal,
}

// A kind that `ALL` leaves out does not compile.
const _: () = assert!(ErrorKind::ALL.len() == ErrorKind::Internal as usize + 1);

impl ErrorKind {
    /// Every kind.
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

/// Why, for programs: `google.rpc.ErrorInfo.reason`. Stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorReason {
    /// A field is malformed.
    InvalidField,
    /// The backend cannot express it.
    NotExpressible,
    /// No backend of that name is configured.
    BackendNotFound,
    /// The backend is not configured any more.
    BackendRemoved,
    /// The cloud has no such connection.
    ConnectionNotFound,
    /// The cloud has no such resource beside connections.
    ResourceNotFound,
    /// This kind of resource, or this call, does not exist on the backend.
    KindAbsent,
    /// Something the request refers to is not there.
    ReferenceNotFound,
    /// It is in use by something else.
    InUse,
    /// The connection is in a state that does not allow this.
    WrongState,
    /// The VPN service is switched off.
    VpnServiceDisabled,
    /// The goal cannot be reached.
    GoalUnreachable,
    /// The etag or revision is not current.
    StaleEtag,
    /// The configuration forbids writes to this backend.
    ReadOnly,
    /// The object belongs to another principal of the cloud.
    NotOwner,
    /// The cloud refuses this to the gateway's account.
    UpstreamDenied,
    /// A quota of the cloud is used up.
    QuotaExceeded,
    /// The cloud refuses the gateway's login.
    UpstreamAuth,
    /// The cloud cannot be reached, or has not answered for a while and is not asked now.
    UpstreamUnreachable,
    /// The cloud answered with a fault of its own.
    UpstreamError,
    /// The cloud asked for patience.
    UpstreamThrottled,
    /// The cloud answered something that cannot be read.
    UpstreamBrokenAnswer,
    /// The cloud refused the request as wrong.
    UpstreamRejected,
    /// The cloud has no VPN API where it is expected.
    ApiAbsent,
    /// The call's deadline, or the backend's timeout, passed.
    Deadline,
    /// An answer to a write was lost and could not be recovered.
    WriteAmbiguous,
    /// The position to resume from is no longer remembered.
    Compacted,
    /// A token that does not belong here.
    WrongToken,
    /// The gateway is shutting down, or the call's connection has been open long enough.
    Draining,
    /// A limit of the gateway itself is reached.
    LimitExceeded,
    /// A stream was not read, or a request did not arrive, for too long.
    Stalled,
    /// The `request_id` was given to another request.
    RequestIdReused,
    /// An earlier write of the same object, or with the same `request_id`, has not ended.
    WriteUnderWay,
    /// What a write is about to do cannot be noted, so it is not begun.
    StoreUnavailable,
    /// What is described differs from what is there in a way that only another object can have.
    ReplacementNeeded,
    /// Several objects have the name that was to find one.
    NameNotUnique,
    /// What has the name was not made by this gateway.
    NotManaged,
    /// A fault of the gateway itself. Stays the last one, see below.
    Internal,
}

// A reason that `ALL` leaves out does not compile.
const _: () = assert!(ErrorReason::ALL.len() == ErrorReason::Internal as usize + 1);

impl ErrorReason {
    /// Every reason.
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

    /// The reason as it stands in `ErrorInfo`.
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

/// One field that is wrong, and what would be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// A path: relative to the resource while whoever found it knows no request (`peer.psk`), and in the request once
    /// it is told to its caller (`connection.peer.psk`), see [`Error::within`].
    pub field: String,
    /// What is wrong and what would be accepted.
    pub description: String,
}

impl Violation {
    /// A violation of one field.
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Violation {
        Violation {
            field: field.into(),
            description: description.into(),
        }
    }
}

/// What the cloud answered, already bounded and redacted by the dialect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upstream {
    /// HTTP status; 0 if there was no answer.
    pub status: u16,
    /// The cloud's own code: NSX `error_code`, OpenStack `NeutronError.type`. May be empty.
    pub code: String,
    /// The cloud's own words. May be empty.
    pub message: String,
    /// The cloud's id of the request, for its operators. May be empty.
    pub request_id: String,
}

/// Something that the gateway made and that a failed call has left: it could not be removed, or is still in use if
/// the call did nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The kind as in resource names, also of what has none: `ikePolicies`, `peerEndpoints`.
    pub kind: String,
    /// Its id in the cloud; empty if nobody knows it.
    pub id: String,
}

/// Could not do something, because.
///
/// The message completes the sentence "could not … because": lower case, no full stop.
#[derive(Debug, Clone)]
pub struct Error {
    /// What it is.
    pub kind: ErrorKind,
    /// Why, for programs.
    pub reason: ErrorReason,
    /// Why, for people.
    pub message: String,
    /// The rest, boxed because errors are rare and results are many.
    pub context: Box<Context>,
}

/// What surrounds an error.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// What was being done, outermost first: `creating a connection`.
    pub operation: Vec<String>,
    /// The backend it was done on.
    pub backend: Option<BackendName>,
    /// What the cloud answered.
    pub upstream: Option<Upstream>,
    /// The fields at fault.
    pub violations: Vec<Violation>,
    /// When trying again may help.
    pub retry_after: Option<Duration>,
    /// What was made and could not be removed.
    pub leftovers: Vec<Leftover>,
    /// The resource name at fault.
    pub resource: Option<String>,
    /// The resource names at fault, if it takes several to say it.
    pub resources: Vec<String>,
    /// More for `ErrorInfo.metadata`.
    pub metadata: Vec<(&'static str, String)>,
}

impl Error {
    /// An error of this kind, for this reason.
    pub fn new(kind: ErrorKind, reason: ErrorReason, message: impl Into<String>) -> Error {
        Error {
            kind,
            reason,
            message: message.into(),
            context: Box::default(),
        }
    }

    /// Malformed values, all of them.
    pub fn invalid(violations: Vec<Violation>) -> Error {
        let mut error = Error::new(
            ErrorKind::InvalidArgument,
            ErrorReason::InvalidField,
            summary(&violations),
        );
        error.context.violations = violations;
        error
    }

    /// Fields or values the backend cannot express, all of them.
    pub fn not_expressible(violations: Vec<Violation>) -> Error {
        let mut error = Error::new(
            ErrorKind::NotExpressible,
            ErrorReason::NotExpressible,
            summary(&violations),
        );
        error.context.violations = violations;
        error
    }

    /// Values that only another object can have, all of them.
    pub fn replacement_needed(violations: Vec<Violation>) -> Error {
        Error {
            kind: ErrorKind::FailedPrecondition,
            reason: ErrorReason::ReplacementNeeded,
            ..Error::not_expressible(violations)
        }
    }

    /// The same error with the paths of its fields as they are in what has the resource as its field `part`.
    #[must_use]
    pub fn within(self, part: &str) -> Error {
        self.with_paths(|path| format!("{part}.{path}"))
    }

    /// The same error with other paths of its fields.
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

    /// A fault of our own.
    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Internal, ErrorReason::Internal, message)
    }

    /// Adds what was being done, on the way out.
    #[must_use]
    pub fn during(mut self, operation: impl Into<String>) -> Error {
        self.context.operation.insert(0, operation.into());
        self
    }

    /// Names the backend.
    #[must_use]
    pub fn on(mut self, backend: &BackendName) -> Error {
        self.context.backend = Some(backend.clone());
        self
    }

    /// Adds the cloud's answer.
    #[must_use]
    pub fn upstream(mut self, upstream: Upstream) -> Error {
        self.context.upstream = Some(upstream);
        self
    }

    /// Says when trying again may help.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Error {
        self.context.retry_after = Some(delay);
        self
    }

    /// Names the resource at fault.
    #[must_use]
    pub fn resource(mut self, name: impl Into<String>) -> Error {
        self.context.resource = Some(name.into());
        self
    }

    /// Names the resources at fault, where there may be several.
    #[must_use]
    pub fn resources(mut self, names: impl IntoIterator<Item = String>) -> Error {
        self.context.resources.extend(names);
        self
    }

    /// Names what is missing, if that is all that is wrong and it has no name yet.
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

    /// Whether the cloud could not be asked at all, so that nothing was learned about the object.
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
