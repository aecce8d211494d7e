//! Conversions between the wire and the model.
//!
//! Inwards, a request is checked as a whole: all violations are reported at once, each by its path in the request as
//! the caller wrote it (`connection.peer.psk`). Paths from the core are relative to the resource, and this module adds
//! the prefix. Outwards, every value can be expressed, and no conversion fails.
//!
//! | file | purpose |
//! | --- | --- |
//! | `list.rs` | what all list requests have in common |
//! | `requests.rs` | requests of `ConnectionService` |
//! | `apply.rs` | descriptions and the results of applying them |
//! | `site.rs` | a connection described with its parts |
//! | `spec.rs` | a connection as a caller wants it |
//! | `change.rs` | the changes of an update, by its mask |
//! | `connection.rs` | a connection as its cloud has it |
//! | `native.rs` | the part of a cloud's answer without a place in the model |
//! | `words.rs` | enums, by their names |
//! | `resource.rs` | what all resources other than connections have in common |
//! | `policy.rs`, `topology.rs` | the fields of a single kind of resource |
//! | `resource_requests.rs` | requests of the resource services |
//! | `realization.rs` | states, nodes and tunnels; requests of the watches |
//! | `statistics.rs` | traffic counters of a connection |
//! | `write.rs` | what all writes have in common: `validate_only` and the request id |
//! | `parts.rs` | parts that are created with a connection |
//! | `plan.rs` | plans of writes, and writes that did not end with their call |
//! | `backend.rs` | backends, their health and budget |
//! | `capabilities.rs` | capabilities of backends |
//! | `time.rs` | durations and timestamps |

pub mod apply;
pub mod backend;
pub mod capabilities;
pub mod change;
pub mod connection;
pub mod list;
pub mod native;
pub mod parts;
pub mod plan;
pub mod policy;
pub mod realization;
pub mod requests;
pub mod resource;
pub mod resource_requests;
pub mod site;
pub mod spec;
pub mod statistics;
pub mod time;
pub mod topology;
pub mod words;
pub mod write;

use crate::{
    core::error::{Error, Result, Violation},
    model::{BackendName, Collection, ConnectionName, Parent, ResourceName},
};

/// The field of a write that holds the connection. Paths in the connection begin with it.
pub const CONNECTION: &str = "connection";

/// Most violations reported for one request. A request of several megabytes could have any number.
const MAX_VIOLATIONS: usize = 100;

/// Violations of a request, collected while it is read.
#[derive(Debug, Default)]
pub struct Problems {
    found: Vec<Violation>,
    /// The field of the request that is being read. It is the prefix of new paths.
    part: Option<&'static str>,
}

impl Problems {
    /// Adds a violation of `field`.
    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        if self.found.len() < MAX_VIOLATIONS {
            let field = field.into();
            let field = match self.part {
                Some(part) => format!("{part}.{field}"),
                None => field,
            };
            self.found.push(Violation::new(field, description));
        }
    }

    /// Reads this part of the request. Violations that `read` adds are fields of the part.
    pub fn within<T>(&mut self, part: &'static str, read: impl FnOnce(&mut Problems) -> T) -> T {
        let outer = self.part.replace(part);
        let read = read(self);
        self.part = outer;
        read
    }

    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// Returns the paths of violations within this part of the request, relative to it.
    pub fn paths_within(&self, part: &str) -> impl Iterator<Item = &str> {
        let inside = move |violation: &Violation| {
            let rest = violation.field.strip_prefix(part)?;
            rest.strip_prefix('.').map(str::len)
        };
        let each = self.found.iter();
        each.filter_map(move |it| Some(&it.field[it.field.len() - inside(it)?..]))
    }

    /// Removes violations of some paths within this part, because they do not matter.
    pub fn forgive(&mut self, part: &str, is_forgiven: impl Fn(&str) -> bool) {
        self.found.retain(|violation| {
            let rest = violation.field.strip_prefix(part);
            let path = rest.and_then(|rest| rest.strip_prefix('.'));
            !path.is_some_and(&is_forgiven)
        });
    }

    /// Adds the backend's violations of this part, so that the caller learns of everything at once. Skips paths at or
    /// below a field that already has a violation: a malformed field was left unset, so the backend's verdict on it
    /// means nothing.
    pub fn join(&mut self, part: &'static str, refused: Vec<Violation>) {
        let told: Vec<String> = self.paths_within(part).map(str::to_owned).collect();
        let is_told = |path: &str| {
            let beneath = |told: &String| {
                let rest = path.strip_prefix(told.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            };
            told.iter().any(beneath)
        };
        self.within(part, |problems| {
            for violation in refused {
                if !is_told(&violation.field) {
                    problems.add(violation.field, violation.description);
                }
            }
        });
    }

    /// Adds a violation for an unknown enum value. `name_of` returns the names of the known values.
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

    /// Returns the value, if no violation was found.
    ///
    /// # Errors
    /// `InvalidArgument` with every violation.
    pub fn finish<T>(self, value: Option<T>) -> Result<T> {
        match value {
            Some(value) if self.is_empty() => Ok(value),
            None if self.is_empty() => Err(Error::internal(
                "a request was neither readable nor at fault",
            )),
            _ => Err(Error::invalid(self.found)),
        }
    }

    /// Reads the name of a connection.
    pub fn connection_name(&mut self, field: &str, text: &str) -> Option<ConnectionName> {
        self.resource_name(field, text, Collection::Connections)
    }

    /// Reads the name of a resource of a collection.
    pub fn resource_name(
        &mut self,
        field: &str,
        text: &str,
        collection: Collection,
    ) -> Option<ResourceName> {
        ResourceName::parse(collection, text)
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

    /// Reads a parent: one backend, or all backends.
    pub fn parent(&mut self, field: &str, text: &str) -> Option<Parent> {
        text.parse()
            .map_err(|error: crate::model::NameError| self.add(field, error.to_string()))
            .ok()
    }

    /// Reads a reference to a resource of the same backend. An empty text is no reference.
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

/// Returns the fields at fault, in order. For tables of tests on requests.
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
