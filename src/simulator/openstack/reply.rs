//! Answers: a refusal in Neutron's words, and a complete answer.

use crate::simulator::chance;
use axum::body::Body;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde_json::{Value, json};

/// A refused request: a status, the name of an exception class, and a sentence.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// `NeutronError.type`. In Open Telekom Cloud's own errors the code, such as `VPC.1001`.
    pub(crate) kind: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
        }
    }

    /// The generic 400 of the API layer.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "HTTPBadRequest", message)
    }

    /// The generic 404: an unknown path, or an object that policy hides.
    pub(crate) fn hidden() -> Self {
        Self::new(404, "HTTPNotFound", "The resource could not be found.")
    }

    /// The 500 that also answers some mistakes of the client (an absent service, a text too long for its column).
    pub(crate) fn internal() -> Self {
        let message = "Request Failed: internal server error while processing your request.";
        Self::new(500, "HTTPInternalServerError", message)
    }

    /// The answer of stock Neutron.
    pub(crate) fn neutron(self) -> Reply {
        let body =
            json!({"NeutronError": {"type": self.kind, "message": self.message, "detail": ""}});
        Reply::json(self.status, body)
    }
}

/// One complete answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self::text(status, "application/json", body.to_string())
    }

    pub(crate) fn text(status: u16, content_type: &'static str, body: String) -> Self {
        let headers = vec![(CONTENT_TYPE, HeaderValue::from_static(content_type))];
        Self {
            headers,
            body,
            ..Self::empty(status)
        }
    }

    pub(crate) fn empty(status: u16) -> Self {
        let status = StatusCode::from_u16(status).expect("the statuses written here are valid");
        Self {
            status,
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// An error in Keystone's form. keystonemiddleware uses the same form for Neutron's 401.
    pub(crate) fn keystone_error(status: u16, title: &str, message: &str) -> Self {
        Self::json(
            status,
            json!({"error": {"code": status, "title": title, "message": message}}),
        )
    }

    /// The only 401, whatever was wrong with the credentials.
    pub(crate) fn unauthorized(keystone: &str) -> Self {
        let challenge = format!("Keystone uri=\"{keystone}/v3\"");
        Self::keystone_error(
            401,
            "Unauthorized",
            "The request you have made requires authentication.",
        )
        .header(WWW_AUTHENTICATE, &challenge)
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        let value =
            HeaderValue::from_str(value).expect("header values are made of addresses and tokens");
        self.headers.push((name, value));
        self
    }

    /// Builds the response, with a request id chosen by the server. The client's request id is not echoed.
    pub(crate) fn into_response(self) -> Response<Body> {
        let request_id = format!("req-{}", chance::uuid());
        let reply = self.header(
            HeaderName::from_static("x-openstack-request-id"),
            &request_id,
        );
        let mut response = Response::new(Body::from(reply.body));
        *response.status_mut() = reply.status;
        response.headers_mut().extend(reply.headers);
        response
    }
}

/// Formats a value like Python's `repr`, which occurs in some messages.
pub(crate) fn python_repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("'{text}'"),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(python_repr).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            python_dict(members.iter().map(|(key, value)| (key.as_str(), value)))
        }
    }
}

/// Formats a dictionary like Python's `repr`, in insertion order.
pub(crate) fn python_dict<'a>(members: impl IntoIterator<Item = (&'a str, &'a Value)>) -> String {
    let members: Vec<_> = members
        .into_iter()
        .map(|(key, value)| format!("'{key}': {}", python_repr(value)))
        .collect();
    format!("{{{}}}", members.join(", "))
}

/// Formats a value like Python's `str`: strings have no quotes.
pub(crate) fn python_str(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => python_repr(other),
    }
}
