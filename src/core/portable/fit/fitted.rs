//! A description as a backend takes it, with the caller's path of each field.

use crate::{
    core::{
        dialect::Warning,
        error::{Error, Violation},
        writes::joint,
    },
    model::{NewConnection, ResourceField, ResourceKind},
};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default)]
pub struct Fitted {
    /// The fitted description.
    pub wanted: NewConnection,
    /// What was changed, by its path in the request, such as `parts.ike_policy.dh_groups` or `dpd.timeout`.
    pub warnings: Vec<Warning>,
    /// What this backend cannot take in any form, by paths in the request.
    pub violations: Vec<Violation>,
    /// Maps the path in `wanted` of a value that was derived from another field to that field's path in the request.
    stands_for: BTreeMap<String, String>,
}

impl Fitted {
    pub(super) fn of(wanted: NewConnection) -> Fitted {
        Fitted {
            wanted,
            ..Fitted::default()
        }
    }

    /// Returns the path in the request for a path in `wanted`. If the value, or the closest enclosing message with an
    /// entry, was derived from another field, that is the field's path: a DPD policy made from `dpd` maps to `dpd`.
    /// Otherwise the path is the same.
    pub fn path(&self, path: &str) -> String {
        let mut whole = path;
        loop {
            if let Some(written) = self.stands_for.get(whole) {
                return written.clone();
            }
            match whole.rfind(['.', '[']) {
                Some(end) => whole = &whole[..end],
                None => return path.to_owned(),
            }
        }
    }

    /// Converts the paths of violations from `wanted` to the request. Equal violations that result are reported once.
    pub fn told(&self, wrong: Vec<Violation>) -> Vec<Violation> {
        let mut told: Vec<Violation> = Vec::new();
        for mut violation in wrong {
            violation.field = self.path(&violation.field);
            if !told.contains(&violation) {
                told.push(violation);
            }
        }
        told
    }

    /// Converts an error of a write of `wanted` to paths of the request.
    #[must_use]
    pub fn told_error(&self, error: Error) -> Error {
        error.with_paths(|path| self.path(path))
    }

    /// Returns the warnings about the description, then `warnings` of the write of `wanted`, by paths in the request.
    pub fn told_warnings(&self, warnings: Vec<Warning>) -> Vec<Warning> {
        let of_write = warnings.into_iter().map(|warning| Warning {
            field: self.path(&warning.field),
            ..warning
        });
        self.warnings.iter().cloned().chain(of_write).collect()
    }

    /// Adds a warning about a change that the caller may not expect.
    pub(super) fn warn(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.warnings.push(Warning {
            field: field.into(),
            message: message.into(),
        });
    }

    /// Adds a violation for a field that the backend cannot take in any form.
    pub(super) fn refuse(&mut self, field: impl Into<String>, why: impl Into<String>) {
        self.violations.push(Violation::new(field, why));
    }

    /// Records that the value at `path` in `wanted` was derived from the field at `written` in the request.
    pub(super) fn made_of(&mut self, path: impl Into<String>, written: impl Into<String>) {
        self.stands_for.insert(path.into(), written.into());
    }
}

/// Returns the path of a field of a part.
pub(super) fn path(kind: ResourceKind, field: ResourceField) -> String {
    format!("{}.{}", joint::path(kind), field.path())
}
