//! A description as a backend takes it, and what its caller wrote that each field stands for.

use crate::{
    core::{
        dialect::Warning,
        error::{Error, Violation},
        writes::joint,
    },
    model::{NewConnection, ResourceField, ResourceKind},
};
use std::collections::BTreeMap;

/// A description as a backend takes it.
#[derive(Debug, Clone, Default)]
pub struct Fitted {
    /// What is to be there.
    pub wanted: NewConnection,
    /// What of the description became something else, by its path in the request: `parts.ike_policy.dh_groups`, `dpd.timeout`.
    pub warnings: Vec<Warning>,
    /// What of it this backend cannot be given in any form, by the same paths.
    pub violations: Vec<Violation>,
    /// The paths of what was put into `wanted`, with what the caller wrote instead.
    stands_for: BTreeMap<String, String>,
}

impl Fitted {
    /// A description that nothing was done to yet.
    pub(super) fn of(wanted: NewConnection) -> Fitted {
        Fitted {
            wanted,
            ..Fitted::default()
        }
    }

    /// The path of the request that a path of `wanted` stands for: a DPD policy that was made of `dpd` has its fields there.
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

    /// What is wrong with `wanted`, by the paths of the request; what two paths stand for is told once.
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

    /// An error of a write of `wanted`, by the paths of the request.
    #[must_use]
    pub fn told_error(&self, error: Error) -> Error {
        error.with_paths(|path| self.path(path))
    }

    /// All that its caller is to know: what became of the description, and then `warnings` of the write of `wanted`.
    pub fn told_warnings(&self, warnings: Vec<Warning>) -> Vec<Warning> {
        let of_write = warnings.into_iter().map(|warning| Warning {
            field: self.path(&warning.field),
            ..warning
        });
        self.warnings.iter().cloned().chain(of_write).collect()
    }

    /// Something became what its caller may not expect.
    pub(super) fn warn(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.warnings.push(Warning {
            field: field.into(),
            message: message.into(),
        });
    }

    /// Something has no form here.
    pub(super) fn refuse(&mut self, field: impl Into<String>, why: impl Into<String>) {
        self.violations.push(Violation::new(field, why));
    }

    /// What is at this path of `wanted` was made of what was written at that one.
    pub(super) fn made_of(&mut self, path: impl Into<String>, written: impl Into<String>) {
        self.stands_for.insert(path.into(), written.into());
    }
}

/// The path of a field of a part.
pub(super) fn path(kind: ResourceKind, field: ResourceField) -> String {
    format!("{}.{}", joint::path(kind), field.path())
}
