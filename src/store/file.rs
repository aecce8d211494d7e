//! The file itself: whether it is a store, who may read it, whether it is still in place, and how a broken one is set
//! aside.

use crate::core::clock;
use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    path::{Path, PathBuf},
};

/// The first bytes of a redb file.
const MAGIC: [u8; 9] = *b"redb\x1A\x0A\xA9\x0D\x0A";

/// Identifies a file independently of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    number: u64,
}

impl Identity {
    /// Reads the identity from a file's metadata. On platforms without one, all files are equal.
    pub fn of(metadata: &Metadata) -> Identity {
        #[cfg(unix)]
        let (device, number) = {
            use std::os::unix::fs::MetadataExt;
            (metadata.dev(), metadata.ino())
        };
        #[cfg(not(unix))]
        let (device, number) = {
            let _ = metadata;
            (0, 0)
        };
        Identity { device, number }
    }
}

/// What is found at the path of a store's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whereabouts {
    Here,
    Gone,
    /// Another file.
    Replaced,
}

/// Reports whether the file at `path` is still the one with this identity.
///
/// # Errors
/// Fails if that cannot be determined.
pub fn whereabouts(path: &Path, is: Identity) -> io::Result<Whereabouts> {
    match fs::metadata(path) {
        Ok(found) if Identity::of(&found) == is => Ok(Whereabouts::Here),
        Ok(_) => Ok(Whereabouts::Replaced),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Whereabouts::Gone),
        Err(error) => Err(error),
    }
}

/// Opens the file, or creates it, readable by its owner only, because it holds the names of connections.
///
/// # Errors
/// Fails if the file cannot be opened or is not a store. A file that is not a store is left as it is.
pub fn open(path: &Path) -> io::Result<File> {
    // Checked before the open, which would block on a pipe until the other end opens.
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => {
            return Err(io::Error::other("it is not a regular file"));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    if is_stores(&mut file)? {
        Ok(file)
    } else {
        Err(io::Error::other(
            "it is not a store, and is left as it is: name a file that is not there yet, or one \
             that Isthmus made",
        ))
    }
}

/// The longest file, in bytes, that can be an unfinished store. redb writes its magic bytes last, so a kill can leave a
/// file without them. A fresh store has less than a quarter of this size. Other files that begin with zeros, such as
/// disk images, are longer.
const UNFINISHED: u64 = 16 * 1024 * 1024;

/// Reports whether the file begins like a store, or is an unfinished one.
fn is_stores(file: &mut File) -> io::Result<bool> {
    let mut begin = Vec::new();
    file.take(MAGIC.len() as u64).read_to_end(&mut begin)?;
    let is_unfinished = begin.iter().all(|byte| *byte == 0) && file.metadata()?.len() <= UNFINISHED;
    Ok(begin == MAGIC || is_unfinished)
}

/// Renames a file to a name with the time in it. Never overwrites another file.
///
/// # Errors
/// Fails if the file cannot be renamed.
pub fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let time = humantime::format_rfc3339_seconds(clock::now()).to_string();
    let time = time.replace([':', '-'], "");
    for count in 1_u32.. {
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!(".broken-{time}"));
        if count > 1 {
            aside.push(format!("-{count}"));
        }
        let aside = PathBuf::from(aside);
        if fs::symlink_metadata(&aside).is_err() {
            fs::rename(path, &aside)?;
            return Ok(aside);
        }
    }
    Err(io::Error::other("every name is taken"))
}
