//! The text being read: positions in it, problems found in it, and what it may take from outside.

use crate::{
    config::{
        problem::{Position, Problem},
        surroundings::{SecretFile, Surroundings},
    },
    core::secret::Secret,
};
use std::{
    cell::{Cell, RefCell},
    ops::Range,
    path::{Path, PathBuf},
};

/// Where secrets and relative paths are found.
#[derive(Clone, Copy)]
pub(crate) struct Around<'a> {
    pub(crate) surroundings: &'a dyn Surroundings,
    /// The folder of the configuration file, which relative paths start from.
    pub(crate) folder: &'a Path,
}

/// The text being read, and the problems found so far.
pub(crate) struct Source<'a> {
    text: &'a str,
    around: Around<'a>,
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
    holds_secrets: Cell<bool>,
    secrets: RefCell<Vec<SecretFile>>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(text: &'a str, around: Around<'a>) -> Source<'a> {
        Source {
            text,
            around,
            problems: RefCell::default(),
            warnings: RefCell::default(),
            holds_secrets: Cell::default(),
            secrets: RefCell::default(),
        }
    }

    /// Adds a problem at this position.
    pub(crate) fn problem(&self, span: &Range<usize>, message: impl Into<String>) {
        self.problems.borrow_mut().push(Problem {
            position: Some(self.position(span)),
            message: message.into(),
        });
    }

    pub(crate) fn position(&self, span: &Range<usize>) -> Position {
        Position::of_span(self.text, span)
    }

    /// The number of problems so far.
    pub(crate) fn count(&self) -> usize {
        self.problems.borrow().len()
    }

    /// Adds a warning about a setting that works but is dangerous.
    pub(crate) fn warn(&self, span: &Range<usize>, message: impl Into<String>) {
        self.warnings.borrow_mut().push(Problem {
            position: Some(self.position(span)),
            message: message.into(),
        });
    }

    /// Records that the text itself holds a secret.
    pub(crate) fn holds_secret(&self) {
        self.holds_secrets.set(true);
    }

    /// Records a secret of this backend that is in a file of its own.
    pub(crate) fn keeps(&self, backend: String, secret: &Secret) {
        let secret = secret.downgrade();
        self.secrets
            .borrow_mut()
            .push(SecretFile { backend, secret });
    }

    pub(crate) fn take_secrets(&self) -> Vec<SecretFile> {
        self.secrets.take()
    }

    pub(crate) fn holds_secrets(&self) -> bool {
        self.holds_secrets.get()
    }

    /// Resolves a path relative to the configuration file.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.around.folder.join(path)
    }

    /// Warns if other users can read or change a private file.
    pub(crate) fn warn_of_others(&self, span: &Range<usize>, path: &Path) {
        let others = self.around.surroundings.others(path);
        let what = match (others.read, others.write) {
            (false, false) => return,
            (true, false) => "read",
            (false, true) => "change",
            (true, true) => "read and change",
        };
        let path = path.display();
        self.warn(
            span,
            format!("every user of this machine can {what} {path}: `chmod o-rw` it"),
        );
    }

    /// The environment and the other files.
    pub(crate) fn surroundings(&self) -> &'a dyn Surroundings {
        self.around.surroundings
    }

    pub(crate) fn take_warnings(&self) -> Vec<Problem> {
        self.warnings.take()
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}

/// A value and its position.
#[derive(Debug, Clone)]
pub(crate) struct Found<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

/// The longest value that a message repeats, in characters.
const MAX_QUOTED: usize = 60;

/// Formats a value for a message: in quotes, without control characters, and shortened.
pub(crate) fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_QUOTED).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}
