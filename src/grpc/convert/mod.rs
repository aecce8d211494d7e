//! From the wire to the model and back.
//!
//! Inwards, a request is checked as a whole: every violation is reported at once, each by its proto path
//! relative to the resource. Outwards, everything can be said; nothing fails.
//!
//! | file | for whom |
//! | --- | --- |
//! | `requests.rs` | what each RPC of `ConnectionService` asks for |
//! | `spec.rs` | a connection as a caller wants it |
//! | `change.rs` | what an update changes, by its mask |
//! | `connection.rs` | a connection as its cloud has it |
//! | `native.rs` | the part of it that has no home in the model |
//! | `realization.rs` | states, nodes and tunnels; what the watches ask for |
//! | `backend.rs` | backends, their capabilities, health and budget |
//! | `time.rs` | durations and points in time |

pub mod backend;
pub mod change;
pub mod connection;
pub mod native;
pub mod realization;
pub mod requests;
pub mod spec;
pub mod time;

use crate::{
    core::error::{Error, Result, Violation},
    model::{BackendName, Collection, ConnectionName, Parent, ResourceName},
};

/// The most violations one request is told of; a request of megabytes could have any number.
const MAX_VIOLATIONS: usize = 100;

/// What is wrong with a request, gathered while it is read.
#[derive(Debug, Default)]
pub struct Problems(Vec<Violation>);

impl Problems {
    /// Notes that `field` is wrong.
    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        if self.0.len() < MAX_VIOLATIONS {
            self.0.push(Violation::new(field, description));
        }
    }

    /// Notes a value that its enum does not have. `name_of` gives the name of each value it has.
    pub fn unknown_value(
        &mut self,
        field: &str,
        value: i32,
        name_of: impl Fn(i32) -> Option<&'static str>,
    ) {
        let accepted: Vec<&str> = (0..).map_while(name_of).collect();
        self.add(
            field,
            format!(
                "{value} is not known here; accepted: {}",
                accepted.join(", ")
            ),
        );
    }

    /// The value that was read, unless something was wrong with it or with anything else.
    ///
    /// # Errors
    /// `InvalidArgument` with every violation.
    pub fn finish<T>(self, value: Option<T>) -> Result<T> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            None if self.0.is_empty() => Err(Error::internal(
                "a request was neither readable nor at fault",
            )),
            _ => Err(Error::invalid(self.0)),
        }
    }

    /// Reads the name of a connection.
    pub fn connection_name(&mut self, field: &str, text: &str) -> Option<ConnectionName> {
        ResourceName::parse(Collection::Connections, text)
            .map_err(|error| self.add(field, error.to_string()))
            .ok()
    }

    /// Reads the name of one backend.
    pub fn backend_name(&mut self, field: &str, text: &str) -> Option<BackendName> {
        let Some(bare) = text.strip_prefix("backends/") else {
            self.add(field, "must be `backends/{backend}`");
            return None;
        };
        bare.parse()
            .map_err(|error: crate::model::NameError| self.add(field, error.to_string()))
            .ok()
    }

    /// Reads one backend, or every backend.
    pub fn parent(&mut self, field: &str, text: &str) -> Option<Parent> {
        text.parse()
            .map_err(|error: crate::model::NameError| self.add(field, error.to_string()))
            .ok()
    }

    /// Reads a reference to something in the same backend; empty is none.
    pub fn reference(
        &mut self,
        field: &str,
        text: &str,
        collection: Collection,
        backend: Option<&BackendName>,
    ) -> Option<String> {
        if text.is_empty() {
            return None;
        }
        match ResourceName::parse(collection, text) {
            Ok(name) if backend.is_none_or(|backend| *backend == name.backend) => {
                Some(name.id.to_string())
            }
            Ok(name) => {
                let backend = backend.map(ToString::to_string).unwrap_or_default();
                self.add(
                    field,
                    format!("is in `{}`; must be in `{backend}`", name.backend),
                );
                None
            }
            Err(error) => {
                self.add(field, error.to_string());
                None
            }
        }
    }
}

/// What a table of tests on requests looks at: the fields at fault, in order.
#[cfg(test)]
pub(crate) fn fields_at_fault<T: std::fmt::Debug>(outcome: Result<T>) -> Vec<String> {
    let error = outcome.expect_err("the request should be refused");
    assert_eq!(error.kind, crate::core::error::ErrorKind::InvalidArgument);
    error
        .context
        .violations
        .into_iter()
        .map(|v| v.field)
        .collect()
}
