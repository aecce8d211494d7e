//! Small files named by users or the configuration: reads them without blocking, and reports their permissions.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

/// Reads a regular file of at most `most` bytes. Pipes, terminals and devices are not read, because a read may block or
/// never end.
///
/// # Errors
/// If the file cannot be read, is longer, or is not a regular file.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    // Checked before the open, because opening a pipe waits for its other end.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other(
            "it is not a regular file, and nothing else is waited for",
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

/// The permissions of users who neither own a file nor are in its group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Others {
    pub read: bool,
    pub write: bool,
}

/// Returns the permissions of others on this file: none, if they cannot be determined.
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
            assert!(error.contains("not a regular file"), "{other:?}: {error}");
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
