//! The files a configuration consists of, by content: what was read of each, and whether that is still what it says.
//!
//! Content, and neither times nor inodes: a file that is mounted into a container changes by a link, an editor writes a new
//! one and renames it, and another writes in place. So a file may be away for a moment, or half of itself; a change counts
//! when two looks agree on it.

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

/// The longest file that is looked at. A longer one counts as one that is away.
const MOST: u64 = 16 * 1024 * 1024;

/// What each file said, as a number; `None` if it could not be read.
pub type Contents = BTreeMap<PathBuf, Option<u64>>;

/// The process's surroundings, with a note of what was read of which file.
#[derive(Debug, Default)]
pub struct Noting {
    plain: Mutex<Contents>,
    secret: Mutex<Contents>,
}

impl Noting {
    /// What was read. Secret files are left out of it if they were all found: what changes in them alone needs no new
    /// reading of the rest.
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
        // As a look finds it, also where it is of no use: what cannot be used is no change each time.
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

/// What a file says now.
pub fn content(path: &Path) -> Option<u64> {
    let bytes = files::read(path, MOST).ok()?;
    Some(config::digest(&bytes))
}

/// What these files say now.
pub fn look<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Contents {
    let each = paths.into_iter();
    each.map(|path| (path.clone(), content(path))).collect()
}

/// What was read last, and what the last look found.
#[derive(Debug, Default)]
pub struct Watched {
    read: Contents,
    seen: Contents,
}

impl Watched {
    /// These have just been read, whatever came of it.
    pub fn have_read(&mut self, read: Contents) {
        self.seen.clone_from(&read);
        self.read = read;
    }

    /// Whose files they are.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.read.keys().cloned().collect()
    }

    /// Whether they say something else than what was read, and the same as at the last look.
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
        // Written in two steps, away in between.
        assert!(!watched.changed(file(Some(3))));
        assert!(!watched.changed(file(None)));
        assert!(!watched.changed(file(Some(4))));
        assert!(watched.changed(file(Some(4))));
        watched.have_read(file(Some(4)));
        assert!(!watched.changed(file(Some(4))));
        // Away for a moment, and back as it was.
        assert!(!watched.changed(file(None)));
        assert!(!watched.changed(file(Some(4))));
        assert!(!watched.changed(file(Some(4))));
        // Gone for good.
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
        // As Kubernetes mounts it: file → ..data/file, ..data → version.
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
