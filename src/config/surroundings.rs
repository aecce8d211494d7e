//! What a configuration may take from outside its file: environment variables, and files with secrets.

use crate::{
    core::secret::WeakSecret,
    files::{self, Others},
};
use std::{io, path::Path};

/// Reads the text of a file, now and whenever it is asked again.
pub type ReadText = Box<dyn Fn() -> io::Result<String> + Send + Sync>;

/// The longest secret file that is read, in bytes. No secret is longer.
pub const MAX_SECRET_FILE: u64 = 64 * 1024;

/// The longest file of another kind, in bytes.
const MAX_PLAIN_FILE: u64 = 1024 * 1024;

/// A secret that is in a file of its own.
#[derive(Debug, Clone)]
pub struct SecretFile {
    /// The backend it logs in to.
    pub backend: String,
    /// The secret, which is read again by whoever sees to that.
    pub secret: WeakSecret,
}

/// Where variables and secret files are found. Tests make some up and leave the process alone.
pub trait Surroundings {
    /// The value of an environment variable; `None` if it is not set or is not text.
    fn variable(&self, name: &str) -> Option<String>;

    /// The text of a secret file.
    ///
    /// # Errors
    /// If it cannot be read, is not text, is longer than [`MAX_SECRET_FILE`], or is no regular file.
    fn secret_file(&self, path: &Path) -> io::Result<String>;

    /// What reads the same file later, when this is gone. Where nothing changes it always fails.
    fn secret_file_later(&self, _path: &Path) -> ReadText {
        Box::new(|| Err(io::ErrorKind::NotFound.into()))
    }

    /// The bytes of a file that is no secret, as that of an authority; at most a MiB.
    ///
    /// # Errors
    /// If it cannot be read, is longer, or is no regular file.
    fn plain_file(&self, _path: &Path) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }

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
