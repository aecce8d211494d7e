//! Where the key of a connection comes from: never from the command line, where every user of the machine can read it.

use crate::config::Surroundings;
use secrecy::SecretString;
use std::path::{Path, PathBuf};

/// Where the key of a connection comes from.
#[derive(Debug, Clone)]
pub enum Key {
    /// It is not said.
    Absent,
    /// There is none: the peer proves itself by a certificate.
    Certificate,
    /// Here it is: it stands in the file, or somebody has typed it.
    Given(SecretString),
    /// An environment variable.
    Env(String),
    /// A file.
    File(PathBuf),
}

impl Key {
    /// The key itself, out of where it is. A line break at the end of a file does not belong to it.
    ///
    /// # Errors
    /// Why it cannot be had, for people, without anything of it.
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
