//! The source of a connection's key. It is never the command line, which every user of the machine can read.

use crate::config::Surroundings;
use secrecy::SecretString;
use std::path::{Path, PathBuf};

/// The source of a connection's key.
#[derive(Debug, Clone)]
pub enum Key {
    /// The document gives none.
    Absent,
    /// No key: the peer authenticates by a certificate.
    Certificate,
    /// The key itself, from the file or typed on the terminal.
    Given(SecretString),
    /// The name of an environment variable.
    Env(String),
    /// A file, relative to the folder of the site file unless the path is absolute.
    File(PathBuf),
}

impl Key {
    /// Fetches the key from its source. One line break at the end of a file is not part of the key.
    ///
    /// # Errors
    /// Why the key cannot be fetched, for people, without any part of it.
    pub fn fetched(self, folder: &Path, around: &impl Surroundings) -> Result<Key, String> {
        let (key, whence) = match self {
            Key::Env(name) => match around.variable(&name) {
                Some(key) => (key, format!("the environment variable {name}")),
                None => return Err(format!("the environment variable {name} is not set")),
            },
            Key::File(path) => {
                let path = folder.join(path);
                let shown = path.display();
                let text = around
                    .secret_file(&path)
                    .map_err(|error| format!("{shown} cannot be read: {error}"))?;
                let line = text.strip_suffix('\n').unwrap_or(&text);
                let line = line.strip_suffix('\r').unwrap_or(line);
                (line.to_owned(), shown.to_string())
            }
            other => return Ok(other),
        };
        match key.is_empty() {
            true => Err(format!("{whence} is empty")),
            false => Ok(Key::Given(SecretString::from(key))),
        }
    }
}
