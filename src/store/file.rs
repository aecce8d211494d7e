//! The file itself: whether it is a store's, who may read it, whether it is still where it was, and how a broken one
//! is set aside.

use crate::core::clock;
use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    path::{Path, PathBuf},
};

/// How a file of redb begins.
const MAGIC: [u8; 9] = *b"redb\x1A\x0A\xA9\x0D\x0A";

/// Which file it is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    number: u64,
}

impl Identity {
    /// Of a file of these properties. Where there is no such thing, all files are the same.
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

/// What is found where a store's file was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whereabouts {
    /// The same file.
    Here,
    /// Nothing.
    Gone,
    /// Something else.
    Replaced,
}

/// Whether the file at `path` is still that one.
///
/// # Errors
/// If that cannot be told.
pub fn whereabouts(path: &Path, is: Identity) -> io::Result<Whereabouts> {
    match fs::metadata(path) {
        Ok(found) if Identity::of(&found) == is => Ok(Whereabouts::Here),
        Ok(_) => Ok(Whereabouts::Replaced),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Whereabouts::Gone),
        Err(error) => Err(error),
    }
}

/// Opens the file, or makes it, for its owner alone: names of connections are nobody else's business.
///
/// # Errors
/// If it cannot be opened, or is not a store's: any other file is left as it is.
pub fn open(path: &Path) -> io::Result<File> {
    // Before it is opened: a pipe would wait for its other end.
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => {
            return Err(io::Error::other("it is no regular file"));
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
            "it holds something else than a store, and is left as it is: name a file that is not there yet, or one \
             that Isthmus made",
        ))
    }
}

/// A file that a kill left before redb had written its mark, which it does last, is not longer, in bytes: a fresh one
/// has less than a quarter of it. Others that begin with zeros, such as images of disks, are.
const UNFINISHED: u64 = 16 * 1024 * 1024;

/// Whether it begins as a store does, or is one that was not finished.
fn is_stores(file: &mut File) -> io::Result<bool> {
    let mut begin = Vec::new();
    file.take(MAGIC.len() as u64).read_to_end(&mut begin)?;
    let is_unfinished = begin.iter().all(|byte| *byte == 0) && file.metadata()?.len() <= UNFINISHED;
    Ok(begin == MAGIC || is_unfinished)
}

/// Gives a file another name, that of the time, and never that of another file.
///
/// # Errors
/// If it cannot be renamed.
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
