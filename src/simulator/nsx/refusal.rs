//! Error answers of NSX: `ApiError` bodies, in their two shapes.

use http::StatusCode;
use serde_json::{Value, json};

/// An error answer before serialization.
///
/// A refusal by the manager carries an integer code and a status name. A refusal by the reverse proxy in front of it
/// carries the code as a string and no status name.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    code: Code,
    module: &'static str,
    message: String,
    key: StatusKey,
}

/// The key under which an error body names its HTTP status. The administration guide shows both spellings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatusKey {
    /// `httpStatus`, used almost everywhere.
    #[default]
    Camel,
    /// `http_status`, used in the guide's example of a deleted entity.
    Snake,
}

#[derive(Debug)]
enum Code {
    Manager(i64),
    Proxy(&'static str),
}

impl Refusal {
    pub(crate) fn body(&self) -> Value {
        let code = match self.code {
            Code::Proxy(code) => {
                return json!({
                    "module_name": self.module,
                    "error_message": self.message,
                    "error_code": code,
                });
            }
            Code::Manager(code) => code,
        };
        let key = match self.key {
            StatusKey::Camel => "httpStatus",
            StatusKey::Snake => "http_status",
        };
        json!({
            key: name(self.status),
            "error_code": code,
            "module_name": self.module,
            "error_message": self.message,
        })
    }

    pub(crate) fn spelled(mut self, key: StatusKey) -> Self {
        self.key = key;
        self
    }

    /// The object that the path names does not exist.
    pub(crate) fn not_found(id: &str) -> Self {
        let message = format!(
            "The requested object : {id} could not be found. Object identifiers are case sensitive."
        );
        Self::manager(StatusCode::NOT_FOUND, 600, "common-services", message)
    }

    /// An object that a body or a realization references does not exist.
    pub(crate) fn missing(kind: &str, id: &str) -> Self {
        let message = format!(
            "The operation failed because object identifier {kind}/{id} is missing: \
             Object identifiers are case sensitive.."
        );
        Self::manager(StatusCode::NOT_FOUND, 600, "common-services", message)
    }

    pub(crate) fn service_disabled(service: &str, session: &str) -> Self {
        let message = format!(
            "VPN service {service} associated with the session {session} is disabled. \
             Can not get the realization status."
        );
        Self::manager(StatusCode::BAD_REQUEST, 110_199, "VPN", message)
    }

    /// Fields are missing or out of bounds. Each violation names its field.
    pub(crate) fn fields(violations: &[String]) -> Self {
        let message = format!(
            "Field level validation errors: {{{}}}",
            violations.join("; ")
        );
        Self::manager(StatusCode::BAD_REQUEST, 255, "common-services", message)
    }

    pub(crate) fn not_json(what: &str) -> Self {
        let message = format!("Json de-serialization error: {what}.");
        Self::manager(StatusCode::BAD_REQUEST, 287, "common-services", message)
    }

    /// The `_revision` sent is not the current one. The status is 412, or 409 as some clients have seen.
    pub(crate) fn stale(status: StatusCode) -> Self {
        let message = "The object was modified by somebody else. Please retry.";
        Self::manager(status, 206, "common-services", message)
    }

    /// The object belongs to another principal.
    pub(crate) fn not_owner(user: &str, kind: &str, owner: &str) -> Self {
        let message = format!(
            "Principal '{user}' with role '[enterprise_admin]' attempts to delete or modify an object of \
             type {kind} it doesn't own. (createUser={owner}, allowOverwrite=null)"
        );
        Self::manager(StatusCode::BAD_REQUEST, 289, "common-services", message)
    }

    /// A rule of the VPN module for which no document gives an error code.
    pub(crate) fn vpn(message: impl Into<String>) -> Self {
        Self::manager(
            StatusCode::BAD_REQUEST,
            UNDOCUMENTED_VPN_CODE,
            "VPN",
            message,
        )
    }

    /// The object is still referenced by a session whose deletion is not finished.
    pub(crate) fn still_held(kind: &str, id: &str, session: &str) -> Self {
        let message = format!(
            "The object {kind}/{id} cannot be deleted as either it has children or it is being referenced by \
             other objects IPSecVPNSession/{session}."
        );
        Self::manager(StatusCode::BAD_REQUEST, 500_030, "policy", message)
    }

    pub(crate) fn bad_xsrf_token() -> Self {
        Self::manager(
            StatusCode::FORBIDDEN,
            98,
            "common-services",
            "Bad or expired XSRF token.",
        )
    }

    pub(crate) fn credentials() -> Self {
        let message = "The credentials were incorrect or the account specified has been locked.";
        Self::proxy(StatusCode::FORBIDDEN, "403", message)
    }

    pub(crate) fn throttled(user: &str, per_second: usize) -> Self {
        let message = format!("Client '{user}' exceeded request rate of {per_second} per second");
        Self::proxy(StatusCode::TOO_MANY_REQUESTS, "102", message)
    }

    pub(crate) fn too_many_at_once(user: &str, concurrent: usize) -> Self {
        let message = format!("Client '{user}' exceeded request concurrency of {concurrent}");
        Self::proxy(StatusCode::TOO_MANY_REQUESTS, "102", message)
    }

    /// The path, method or action does not exist.
    pub(crate) fn unprocessable(status: StatusCode) -> Self {
        let message =
            "The requested with given URI, HTTP method and set of parameters cannot be processed.";
        Self::proxy(status, "269", message)
    }

    fn manager(
        status: StatusCode,
        code: i64,
        module: &'static str,
        message: impl Into<String>,
    ) -> Self {
        let (code, message) = (Code::Manager(code), message.into());
        Self {
            status,
            code,
            module,
            message,
            key: StatusKey::Camel,
        }
    }

    fn proxy(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let (code, message) = (Code::Proxy(code), message.into());
        Self {
            status,
            code,
            module: "common-services",
            message,
            key: StatusKey::Camel,
        }
    }
}

/// Turns `Precondition Failed` into `PRECONDITION_FAILED`.
fn name(status: StatusCode) -> String {
    status
        .canonical_reason()
        .unwrap_or_default()
        .to_uppercase()
        .replace(' ', "_")
}

/// Code for refusals that the documents describe without one. It lies in the number range of module VPN.
const UNDOCUMENTED_VPN_CODE: i64 = 110_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guides_examples_come_out_word_for_word() {
        let gone = Refusal::missing("LogicalRouter", "61746f54-7ab8-4702-93fe-6ddeb804");
        assert_eq!(
            gone.spelled(StatusKey::Snake).body(),
            json!({
                "http_status": "NOT_FOUND",
                "error_code": 600,
                "module_name": "common-services",
                "error_message": "The operation failed because object identifier LogicalRouter/61746f54-7ab8-4702-93fe-6ddeb804 is missing: Object identifiers are case sensitive.."
            })
        );
        let disabled = Refusal::service_disabled(
            "f9cfe508-05e3-4e1d-b253-fed096bb2b63",
            "8dd1c386-9b2c-4448-85b8-51ff649fae4f",
        );
        assert_eq!(
            disabled.body(),
            json!({
                "httpStatus": "BAD_REQUEST",
                "error_code": 110199,
                "module_name": "VPN",
                "error_message": "VPN service f9cfe508-05e3-4e1d-b253-fed096bb2b63 associated with the session 8dd1c386-9b2c-4448-85b8-51ff649fae4f is disabled. Can not get the realization status."
            })
        );
    }

    #[test]
    fn the_proxy_says_its_code_as_a_string_and_no_status() {
        let body = Refusal::throttled("admin", 100).body();
        assert_eq!(body["error_code"], "102");
        assert_eq!(
            body["error_message"],
            "Client 'admin' exceeded request rate of 100 per second"
        );
        assert!(body.get("httpStatus").is_none());
    }
}
