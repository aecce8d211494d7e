//! Small files that somebody names: read without waiting for them, and who else can read them.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

/// The bytes of a regular file of at most `most` bytes. A pipe, a terminal or a device is not read: it may never say
/// anything, or never end.
///
/// # Errors
/// If it cannot be read, is longer, or is no regular file.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    // Before it is opened, since opening a pipe waits for its other end.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other(
            "it is no regular file, and nothing else is waited for",
        ));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let what = format!("it is longer than the {most} bytes that are read");
        return Err(io::Error::other(what));
    }
    Ok(bytes)
}

/// What users can do with a file who neither own it nor are in its group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Others {
    /// Read it.
    pub read: bool,
    /// Change it.
    pub write: bool,
}

/// What others can do with this file: nothing, if that cannot be told.
pub fn others(path: &Path) -> Others {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path).map_or(0, |found| found.permissions().mode());
        Others {
            read: mode & 0o004 != 0,
            write: mode & 0o002 != 0,
        }
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        Others::default()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::{os::unix::fs::PermissionsExt, process::Command};

    #[test]
    fn only_regular_files_are_read_and_only_so_much() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        let long = read(&path, 4).unwrap_err().to_string();
        assert!(long.contains("longer than the 4 bytes"), "{long}");
        let pipe = folder.path().join("pipe");
        assert!(
            Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        for other in [&pipe, folder.path(), Path::new("/dev/zero")] {
            let error = read(other, 5).unwrap_err().to_string();
            assert!(error.contains("no regular file"), "{other:?}: {error}");
        }
    }

    #[test]
    fn others_are_neither_the_owner_nor_the_group() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "12345").unwrap();
        for (mode, read, write) in [
            (0o600, false, false),
            (0o660, false, false),
            (0o644, true, false),
            (0o602, false, true),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(others(&path), Others { read, write }, "{mode:o}");
        }
        assert_eq!(others(&folder.path().join("not there")), Others::default());
    }
}
