//! What a configuration may take from outside its file: environment variables, and files with secrets.

use std::{
    io::{self, Read},
    path::Path,
};

/// The longest secret file that is read, in bytes. No secret is longer; a device file never ends.
pub const MAX_SECRET_FILE: u64 = 64 * 1024;

/// Where variables and secret files are found. Tests make some up and leave the process alone.
pub trait Surroundings {
    /// The value of an environment variable; `None` if it is not set or is not text.
    fn variable(&self, name: &str) -> Option<String>;

    /// The text of a secret file.
    ///
    /// # Errors
    /// If it cannot be read, is not text, or is longer than [`MAX_SECRET_FILE`].
    fn secret_file(&self, path: &Path) -> io::Result<String>;
}

/// The process's own environment and file system.
#[derive(Debug, Clone, Copy)]
pub struct Process;

impl Surroundings for Process {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn secret_file(&self, path: &Path) -> io::Result<String> {
        let mut text = String::new();
        std::fs::File::open(path)?
            .take(MAX_SECRET_FILE + 1)
            .read_to_string(&mut text)?;
        if text.len() as u64 > MAX_SECRET_FILE {
            return Err(io::Error::other("it is longer than any secret"));
        }
        Ok(text)
    }
}
