//! A secret that may change while it is in use. It follows the content of its file.
//!
//! Each login asks for the current secret. [`Secret::refresh`] notices changes of the file. The file watcher calls it,
//! and so does a refused login before it gives up.

use secrecy::{ExposeSecret, SecretString};
use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};
use tokio::{sync::watch, time::sleep};

/// Reads a secret again. An error must not contain any part of the secret.
pub type Read = dyn Fn() -> io::Result<SecretString> + Send + Sync;

/// Checks that a secret is usable. The error says why it is not, and never contains any part of it.
pub type Fit = fn(&str) -> Result<(), &'static str>;

/// The delay between two reads of a changed file, which may be half written. Only content that was read twice is used.
const SETTLES_IN: Duration = Duration::from_millis(50);

/// The most reads of a changing file, since callers have deadlines.
const LOOKS: usize = 10;

/// A secret, shared by everything that uses it. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Secret(Arc<Shared>);

struct Shared {
    now: watch::Sender<Version>,
    file: Option<File>,
    /// Held while the file is read, so that concurrent callers read it one after the other.
    reading: tokio::sync::Mutex<()>,
    fit: OnceLock<Fit>,
}

struct File {
    path: PathBuf,
    read: Arc<Read>,
}

/// One of the values that a secret has had.
#[derive(Clone)]
pub struct Version {
    /// Starts at 0 and grows with every change.
    pub number: u64,
    pub text: SecretString,
}

/// The result of reading a secret again.
#[derive(Debug)]
pub enum Refreshed {
    /// It did not change.
    Same,
    /// It changed; the new value is used from here on.
    Changed,
    /// It cannot be read, for this reason; the old value stays in use.
    Unreadable(io::Error),
}

impl Secret {
    /// Returns the secret that `read` finds in a file; `text` is its present content.
    pub fn in_file(path: PathBuf, text: SecretString, read: Arc<Read>) -> Secret {
        Secret::new(text, Some(File { path, read }))
    }

    fn new(text: SecretString, file: Option<File>) -> Secret {
        Secret(Arc::new(Shared {
            now: watch::Sender::new(Version { number: 0, text }),
            file,
            reading: tokio::sync::Mutex::default(),
            fit: OnceLock::new(),
        }))
    }

    /// Returns the current value.
    pub fn now(&self) -> Version {
        self.0.now.borrow().clone()
    }

    /// Returns the number of the current value.
    pub fn version(&self) -> u64 {
        self.0.now.borrow().number
    }

    /// Sets the check that new values have to pass. The user of the secret calls this once, after checking the current
    /// value.
    pub fn must(&self, fit: Fit) {
        self.0.fit.get_or_init(|| fit);
    }

    /// Returns the secret's file; `None` if the secret never changes.
    pub fn file(&self) -> Option<&Path> {
        self.0.file.as_ref().map(|file| file.path.as_path())
    }

    /// Reads the file again. An empty file counts as unreadable, since it is probably about to be written.
    pub async fn refresh(&self) -> Refreshed {
        let Some(file) = &self.0.file else {
            return Refreshed::Same;
        };
        let _alone = self.0.reading.lock().await;
        match settled(&file.read, |text| self.is(text)).await {
            Ok(text) if self.is(&text) => Refreshed::Same,
            Ok(text) => {
                let fit = self.0.fit.get().copied().unwrap_or(|_| Ok(()));
                if let Err(why) = fit(text.expose_secret()) {
                    return Refreshed::Unreadable(io::Error::other(format!("it {why}")));
                }
                self.0.now.send_modify(|now| {
                    now.number += 1;
                    now.text = text;
                });
                Refreshed::Changed
            }
            Err(error) => Refreshed::Unreadable(error),
        }
    }

    /// Completes when the current value is another than this one.
    pub async fn changed_from(&self, number: u64) {
        let mut now = self.0.now.subscribe();
        // Cannot fail: `self` holds the sender.
        let _ = now.wait_for(|now| now.number != number).await;
    }

    /// Returns a weak reference.
    pub fn downgrade(&self) -> WeakSecret {
        WeakSecret(Arc::downgrade(&self.0))
    }

    fn is(&self, text: &SecretString) -> bool {
        self.0.now.borrow().text.expose_secret() == text.expose_secret()
    }
}

/// Reads the file until it has the known content, or the same content twice.
async fn settled(
    file: &Arc<Read>,
    is_known: impl Fn(&SecretString) -> bool,
) -> io::Result<SecretString> {
    let mut found = read(file).await?;
    for _ in 1..LOOKS {
        if is_known(&found) {
            return Ok(found);
        }
        sleep(SETTLES_IN).await;
        let again = read(file).await?;
        if again.expose_secret() == found.expose_secret() {
            return Ok(again);
        }
        found = again;
    }
    Err(io::Error::other("it is being written"))
}

/// Reads on a blocking thread, since the file may be on a disk that hangs.
async fn read(read: &Arc<Read>) -> io::Result<SecretString> {
    let read = Arc::clone(read);
    let found = tokio::task::spawn_blocking(move || read()).await;
    let text = found.unwrap_or_else(|error| Err(io::Error::other(error)))?;
    match text.expose_secret().is_empty() {
        true => Err(io::Error::other("it is empty")),
        false => Ok(text),
    }
}

/// A weak reference to a [`Secret`].
#[derive(Clone)]
pub struct WeakSecret(Weak<Shared>);

impl WeakSecret {
    /// Returns the secret, if it is still in use.
    pub fn upgrade(&self) -> Option<Secret> {
        self.0.upgrade().map(Secret)
    }
}

/// A secret that never changes.
impl From<SecretString> for Secret {
    fn from(text: SecretString) -> Secret {
        Secret::new(text, None)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        SecretString::from(text).into()
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        SecretString::from(text).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl fmt::Debug for WeakSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakSecret")
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({})", self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::VecDeque, sync::Mutex};

    /// Returns a secret, and what its file contains at each read; the last content stays.
    fn secret(said: &[&'static str]) -> Secret {
        let said = Mutex::new(VecDeque::from_iter(said.iter().copied()));
        let read = move || {
            let mut said = said.lock().unwrap();
            let text = match said.len() {
                1 => said[0],
                _ => said.pop_front().unwrap(),
            };
            match text {
                "gone" => Err(io::Error::from(io::ErrorKind::NotFound)),
                text => Ok(text.into()),
            }
        };
        Secret::in_file("file".into(), "old".into(), Arc::new(read))
    }

    fn told(secret: &Secret) -> (u64, String) {
        let now = secret.now();
        (now.number, now.text.expose_secret().to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn what_stands_in_the_file_twice_is_the_secret() {
        let rotated = secret(&["new"]);
        let before = rotated.clone();
        assert!(matches!(rotated.refresh().await, Refreshed::Changed));
        assert_eq!(told(&before), (1, "new".to_owned()));
        before.changed_from(0).await;
        assert!(matches!(rotated.refresh().await, Refreshed::Same));
        assert_eq!(rotated.version(), 1);

        let half_written = secret(&["ne", "new", "new"]);
        assert!(matches!(half_written.refresh().await, Refreshed::Changed));
        assert_eq!(told(&half_written), (1, "new".to_owned()));

        let taken_back = secret(&["new", "old"]);
        assert!(matches!(taken_back.refresh().await, Refreshed::Same));
        assert_eq!(taken_back.version(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_away_or_empty_leaves_the_old_one() {
        for said in [&["gone"][..], &[""], &["new", "gone"], &["new", ""]] {
            let secret = secret(said);
            assert!(matches!(secret.refresh().await, Refreshed::Unreadable(_)));
            assert_eq!(told(&secret), (0, "old".to_owned()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_used_is_left() {
        let secret = secret(&["new"]);
        secret.must(|text| match text {
            "new" => Err("must be older"),
            _ => Ok(()),
        });
        let Refreshed::Unreadable(why) = secret.refresh().await else {
            panic!("it is not fit")
        };
        assert_eq!(why.to_string(), "it must be older");
        assert_eq!(told(&secret), (0, "old".to_owned()));
    }

    #[test]
    fn it_shows_nothing_of_itself() {
        let secret = secret(&["new"]);
        let shown = format!("{secret:?} {:?} {:?}", secret.now(), secret.downgrade());
        assert_eq!(shown, "Secret Version(0) WeakSecret");
    }

    #[test]
    fn who_only_watches_it_does_not_keep_it() {
        let secret = secret(&["new"]);
        let weak = secret.downgrade();
        assert!(weak.upgrade().is_some());
        drop(secret);
        assert!(weak.upgrade().is_none());
    }
}
