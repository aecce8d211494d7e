//! What a configuration may take from outside its file: environment variables and secret files.

use crate::{
    core::secret::WeakSecret,
    files::{self, Others},
};
use std::{io, path::Path};

/// Reads the text of a file anew on every call.
pub type ReadText = Box<dyn Fn() -> io::Result<String> + Send + Sync>;

/// The longest secret file that is read, in bytes. No secret is longer.
pub const MAX_SECRET_FILE: u64 = 64 * 1024;

/// The longest other file that is read, in bytes.
const MAX_PLAIN_FILE: u64 = 1024 * 1024;

/// A secret in a file of its own.
#[derive(Debug, Clone)]
pub struct SecretFile {
    /// The backend that the secret logs in to.
    pub backend: String,
    /// The secret. The task that rereads secret files updates it.
    pub secret: WeakSecret,
}

/// Where variables and secret files are found. Tests supply their own and leave the process alone.
pub trait Surroundings {
    /// Returns the value of an environment variable; `None` if it is not set or is not text.
    fn variable(&self, name: &str) -> Option<String>;

    /// Reads the text of a secret file.
    ///
    /// # Errors
    /// Fails if the file cannot be read, is not text, is longer than [`MAX_SECRET_FILE`], or is not a regular file.
    fn secret_file(&self, path: &Path) -> io::Result<String>;

    /// Returns a function that reads the same file later, independently of `self`. The default always fails.
    fn secret_file_later(&self, _path: &Path) -> ReadText {
        Box::new(|| Err(io::ErrorKind::NotFound.into()))
    }

    /// Reads a file that is not secret, such as that of a certificate authority; at most 1 MiB.
    ///
    /// # Errors
    /// Fails if the file cannot be read, is longer, or is not a regular file.
    fn plain_file(&self, _path: &Path) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }

    /// Returns what other users can do with a file.
    fn others(&self, path: &Path) -> Others;
}

/// The environment and the file system of the process.
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

    fn secret_file_later(&self, path: &Path) -> ReadText {
        let path = path.to_owned();
        Box::new(move || Process.secret_file(&path))
    }

    fn plain_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        files::read(path, MAX_PLAIN_FILE)
    }

    fn others(&self, path: &Path) -> Others {
        files::others(path)
    }
}
