//! The content of the configuration's files: what was last read of each, and whether it has changed.
//!
//! Changes are detected by content, not by times or inodes: a file mounted into a container changes through a symlink,
//! some editors write a new file and rename it, and others write in place. A file may therefore be absent or incomplete
//! for a moment, so a change counts once two looks in a row agree on it.

use crate::{
    config::{self, Process, ReadText, Surroundings},
    files::{self, Others},
};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The largest file that is looked at, in bytes. A larger one counts as absent.
const MOST: u64 = 16 * 1024 * 1024;

/// The digest of each file's content, or `None` if the file could not be read.
pub type Contents = BTreeMap<PathBuf, Option<u64>>;

/// The surroundings of the process, which record each file that is read.
#[derive(Debug, Default)]
pub struct Noting {
    plain: Mutex<Contents>,
    secret: Mutex<Contents>,
}

impl Noting {
    /// Returns the contents that were read. `all_secrets_found` leaves out the secret files, because a change of a
    /// secret alone needs no reload.
    pub fn read(&self, all_secrets_found: bool) -> Contents {
        let mut read = lock(&self.plain).clone();
        if !all_secrets_found {
            read.append(&mut lock(&self.secret).clone());
        }
        read
    }
}

impl Surroundings for Noting {
    fn variable(&self, name: &str) -> Option<String> {
        Process.variable(name)
    }

    fn secret_file(&self, path: &Path) -> io::Result<String> {
        // Recorded by content even if the secret is unusable, so that an unusable file does not count as a change every
        // time.
        lock(&self.secret).insert(path.to_owned(), content(path));
        Process.secret_file(path)
    }

    fn secret_file_later(&self, path: &Path) -> ReadText {
        Process.secret_file_later(path)
    }

    fn plain_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        lock(&self.plain).insert(path.to_owned(), content(path));
        Process.plain_file(path)
    }

    fn others(&self, path: &Path) -> Others {
        Process.others(path)
    }
}

fn lock(contents: &Mutex<Contents>) -> MutexGuard<'_, Contents> {
    contents.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the digest of a file's current content.
pub fn content(path: &Path) -> Option<u64> {
    let bytes = files::read(path, MOST).ok()?;
    Some(config::digest(&bytes))
}

/// Returns the digests of these files' current contents.
pub fn look<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Contents {
    let each = paths.into_iter();
    each.map(|path| (path.clone(), content(path))).collect()
}

/// What was last read, and what the last look found.
#[derive(Debug, Default)]
pub struct Watched {
    read: Contents,
    seen: Contents,
}

impl Watched {
    /// Records what has just been read, whether or not it was valid.
    pub fn have_read(&mut self, read: Contents) {
        self.seen.clone_from(&read);
        self.read = read;
    }

    /// Returns the files to look at.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.read.keys().cloned().collect()
    }

    /// Reports whether the files differ from what was read and are the same as at the last look.
    pub fn changed(&mut self, now: Contents) -> bool {
        let is_settled = now == self.seen;
        self.seen = now;
        is_settled && self.seen != self.read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(of: &[(&str, Option<u64>)]) -> Contents {
        let each = of.iter();
        each.map(|(path, content)| (PathBuf::from(path), *content))
            .collect()
    }

    #[test]
    fn a_change_counts_when_two_looks_agree() {
        let mut watched = Watched::default();
        let file = |content| contents(&[("a", Some(1)), ("b", content)]);
        watched.have_read(file(Some(2)));
        assert!(!watched.changed(file(Some(2))));
        // Written in two steps, absent in between.
        assert!(!watched.changed(file(Some(3))));
        assert!(!watched.changed(file(None)));
        assert!(!watched.changed(file(Some(4))));
        assert!(watched.changed(file(Some(4))));
        watched.have_read(file(Some(4)));
        assert!(!watched.changed(file(Some(4))));
        // Absent for a moment, and back unchanged.
        assert!(!watched.changed(file(None)));
        assert!(!watched.changed(file(Some(4))));
        assert!(!watched.changed(file(Some(4))));
        // Removed.
        assert!(!watched.changed(file(None)));
        assert!(watched.changed(file(None)));
    }

    #[test]
    fn a_link_that_leads_elsewhere_is_a_change_of_content() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (version, text) in [("v1", "one"), ("v2", "two")] {
            std::fs::create_dir(at(version)).unwrap();
            std::fs::write(at(version).join("file"), text).unwrap();
        }
        // The layout of a Kubernetes volume: file → ..data/file, ..data → version.
        std::os::unix::fs::symlink("v1", at("data")).unwrap();
        std::os::unix::fs::symlink("data/file", at("file")).unwrap();
        let one = content(&at("file"));
        assert!(one.is_some());
        std::os::unix::fs::symlink("v2", at("new")).unwrap();
        std::fs::rename(at("new"), at("data")).unwrap();
        let two = content(&at("file"));
        assert!(two.is_some() && two != one);
        std::fs::remove_file(at("data")).unwrap();
        assert_eq!(content(&at("file")), None);
    }
}
