//! The secrets in files of their own, which are read again at every look.

use crate::{config::SecretFile, core::secret::Refreshed};
use std::{collections::BTreeMap, path::PathBuf};

/// The secret files of every configuration that was read, as long as a dialect uses them.
#[derive(Debug, Default)]
pub struct Secrets {
    files: Vec<Told>,
    /// Files that could not be read at the last look, and the reason.
    troubles: BTreeMap<PathBuf, String>,
}

#[derive(Debug)]
struct Told {
    file: SecretFile,
    /// The newest version that was logged.
    version: u64,
}

impl Secrets {
    /// Adds the secret files of a configuration.
    pub fn add(&mut self, files: Vec<SecretFile>) {
        // Version 0 is the secret as first read, which is no change to log.
        let told = files.into_iter().map(|file| Told { file, version: 0 });
        self.files.extend(told);
    }

    /// Reads all secret files again and logs the changes.
    pub async fn refresh(&mut self) {
        self.files
            .retain(|told| told.file.secret.upgrade().is_some());
        let mut troubles = BTreeMap::new();
        for Told { file, version } in &mut self.files {
            let (backend, Some(secret)) = (&file.backend, file.secret.upgrade()) else {
                continue;
            };
            let path = secret.file().unwrap_or("".as_ref()).to_owned();
            let refreshed = secret.refresh().await;
            // A refused login reads the file too, and may have been first.
            let now = secret.version();
            if std::mem::replace(version, now) != now {
                let file = path.display();
                tracing::info!(backend, %file, "credentials read again");
            }
            match refreshed {
                Refreshed::Same | Refreshed::Changed => {}
                Refreshed::Unreadable(error) => {
                    let why = error.to_string();
                    if self.troubles.get(&path) != Some(&why) && !troubles.contains_key(&path) {
                        let file = path.display();
                        tracing::warn!(
                            backend, %file, %error,
                            "credentials could not be read again; the previous ones stay in use"
                        );
                    }
                    troubles.insert(path, why);
                }
            }
        }
        self.troubles = troubles;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::secret::Secret;
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn another_secret_is_told_once_whoever_read_it_first() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone());
        let _told = tracing::subscriber::set_default(subscriber.finish());
        let said = Arc::new(Mutex::new("first"));
        let in_file = Arc::clone(&said);
        let read = move || Ok((*in_file.lock().unwrap()).into());
        let secret = Secret::in_file("file".into(), "first".into(), Arc::new(read));
        let mut secrets = Secrets::default();
        secrets.add(vec![SecretFile {
            backend: "a".to_owned(),
            secret: secret.downgrade(),
        }]);
        let told = || String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let count = || told().matches("credentials read again").count();
        secrets.refresh().await;
        assert_eq!(count(), 0);
        *said.lock().unwrap() = "second";
        secrets.refresh().await;
        secrets.refresh().await;
        assert_eq!(count(), 1);
        *said.lock().unwrap() = "third";
        // A refused login does the same.
        secret.refresh().await;
        secrets.refresh().await;
        secrets.refresh().await;
        assert_eq!(count(), 2);
        assert!(!told().contains("third"));
    }
}
