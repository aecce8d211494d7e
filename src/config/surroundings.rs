//! What a configuration may take from outside its file: environment variables, and files with secrets.

use crate::files::{self, Others};
use std::{io, path::Path};

/// The longest secret file that is read, in bytes. No secret is longer.
pub const MAX_SECRET_FILE: u64 = 64 * 1024;

/// Where variables and secret files are found. Tests make some up and leave the process alone.
pub trait Surroundings {
    /// The value of an environment variable; `None` if it is not set or is not text.
    fn variable(&self, name: &str) -> Option<String>;

    /// The text of a secret file.
    ///
    /// # Errors
    /// If it cannot be read, is not text, is longer than [`MAX_SECRET_FILE`], or is no regular file.
    fn secret_file(&self, path: &Path) -> io::Result<String>;

    /// What other users can do with a file.
    fn others(&self, path: &Path) -> Others;
}

/// The process's own environment and file system.
#[derive(Debug, Clone, Copy)]
pub struct Process;

impl Surroundings for Process {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn secret_file(&self, path: &Path) -> io::Result<String> {
        let bytes = files::read(path, MAX_SECRET_FILE)?;
        String::from_utf8(bytes).map_err(|_| io::Error::other("it is not text"))
    }

    fn others(&self, path: &Path) -> Others {
        files::others(path)
    }
}
