//! From the wire to the model and back.
//!
//! Inwards, a request is checked as a whole: every violation is reported at once, each by its path in the request as its
//! caller wrote it (`connection.peer.psk`). What the core finds is relative to the resource; here it gets the rest of its
//! path. Outwards, everything can be said; nothing fails.
//!
//! | file | for whom |
//! | --- | --- |
//! | `list.rs` | what every list asks for |
//! | `requests.rs` | what each RPC of `ConnectionService` asks for |
//! | `apply.rs` | what is described, and what became of it |
//! | `site.rs` | a connection described with its parts |
//! | `spec.rs` | a connection as a caller wants it |
//! | `change.rs` | what an update changes, by its mask |
//! | `connection.rs` | a connection as its cloud has it |
//! | `native.rs` | the part of it that has no home in the model |
//! | `words.rs` | enums, by their names |
//! | `resource.rs` | what all resources beside connections have in common |
//! | `policy.rs`, `topology.rs` | what only one kind of them has |
//! | `resource_requests.rs` | what each RPC of their services asks for |
//! | `realization.rs` | states, nodes and tunnels; what the watches ask for |
//! | `statistics.rs` | what a connection has carried |
//! | `write.rs` | how every write is asked for: tried or done, and under which id |
//! | `parts.rs` | what is made with a connection |
//! | `plan.rs` | plans of writes, and writes that did not end with their call |
//! | `backend.rs` | backends, their health and budget |
//! | `capabilities.rs` | what they can express |
//! | `time.rs` | durations and points in time |

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

/// The field of a write that holds the connection: paths in it begin with this.
pub const CONNECTION: &str = "connection";

/// The most violations one request is told of; a request of megabytes could have any number.
const MAX_VIOLATIONS: usize = 100;

/// What is wrong with a request, gathered while it is read.
#[derive(Debug, Default)]
pub struct Problems {
    found: Vec<Violation>,
    /// The field of the request that is being read.
    part: Option<&'static str>,
}

impl Problems {
    /// Notes that `field` is wrong.
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

    /// Reads this part of the request: what is noted meanwhile is a field of it.
    pub fn within<T>(&mut self, part: &'static str, read: impl FnOnce(&mut Problems) -> T) -> T {
        let outer = self.part.replace(part);
        let read = read(self);
        self.part = outer;
        read
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// The paths at fault within this part of the request, relative to it.
    pub fn paths_within(&self, part: &str) -> impl Iterator<Item = &str> {
        let inside = move |violation: &Violation| {
            let rest = violation.field.strip_prefix(part)?;
            rest.strip_prefix('.').map(str::len)
        };
        let each = self.found.iter();
        each.filter_map(move |it| Some(&it.field[it.field.len() - inside(it)?..]))
    }

    /// Forgets what is wrong with some paths within this part, because it does not matter.
    pub fn forgive(&mut self, part: &str, is_forgiven: impl Fn(&str) -> bool) {
        self.found.retain(|violation| {
            let rest = violation.field.strip_prefix(part);
            let path = rest.and_then(|rest| rest.strip_prefix('.'));
            !path.is_some_and(&is_forgiven)
        });
    }

    /// Adds what a backend refuses of this part, so that a caller is told everything at once. What could not be read was
    /// left unset, so that whatever is said of it says no more than is known.
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

    /// Reads the name of something of a collection.
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
