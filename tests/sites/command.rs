//! The command, as a shell runs it.

use crate::support::clouds::PSK;
use std::{
    collections::BTreeSet,
    io::Write,
    net::SocketAddr,
    process::{Command, Stdio},
};

/// Where the files of `examples/sites` say that their key is.
pub const KEY_VARIABLE: &str = "ISTHMUS_SITE_PSK";

/// What the command said, and how it ended.
#[derive(Debug)]
pub struct Said {
    /// Its exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// Everything it said.
    pub fn all(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    /// Fails with all that was said unless it did what it was asked.
    #[track_caller]
    pub fn done(self, what: &str) -> Said {
        assert_eq!(self.code, 0, "{what}: {self:#?}");
        self
    }

    /// Fails unless it was refused by these fields, and no other.
    #[track_caller]
    pub fn is_refused(&self, fields: &[&str], at: &str) {
        assert_ne!(self.code, 0, "{at}: {self:#?}");
        assert_eq!(self.refused(), set_of(fields), "{at}: {self:#?}");
    }

    /// Fails unless this (`created`) was done, and these fields were warned of, and no other.
    #[track_caller]
    pub fn is_taken(&self, what: &str, warned: &[&str], at: &str) {
        assert_eq!(self.code, 0, "{at}: {self:#?}");
        self.says(what, at);
        assert_eq!(self.warned(), set_of(warned), "{at}: {self:#?}");
    }

    /// Fails unless it says that this was done.
    #[track_caller]
    pub fn says(&self, what: &str, at: &str) {
        let begins = |line: &str| line.starts_with(&format!("{what} "));
        assert!(
            self.out.lines().any(begins),
            "{at} is not {what}: {self:#?}"
        );
    }

    /// The fields that it was refused by.
    pub fn refused(&self) -> BTreeSet<String> {
        self.fields("field ")
    }

    /// The fields that it warns of.
    pub fn warned(&self) -> BTreeSet<String> {
        self.fields("note: ")
    }

    fn fields(&self, before: &str) -> BTreeSet<String> {
        let all = self.all();
        let lines = all
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix(before));
        let fields = lines.filter_map(|rest| rest.split_once(':'));
        fields.map(|(field, _)| field.to_owned()).collect()
    }
}

fn set_of(fields: &[&str]) -> BTreeSet<String> {
    fields.iter().map(|it| (*it).to_owned()).collect()
}

/// Runs it with these arguments on the gateway there, this on its standard input, and the key where the examples have it.
pub async fn isthmus(gateway: SocketAddr, arguments: &[&str], input: &str) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isthmus"));
    command
        .args(arguments)
        .arg("--endpoint")
        .arg(format!("http://{gateway}"))
        .env_remove("RUST_LOG")
        .env(KEY_VARIABLE, PSK)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let input = input.to_owned();
    let ran = tokio::task::spawn_blocking(move || {
        let mut child = command
            .spawn()
            .expect("the program was built for this test");
        let mut to = child.stdin.take().unwrap();
        // Who refuses the command line reads nothing.
        let _ = to.write_all(input.as_bytes());
        drop(to);
        child.wait_with_output().unwrap()
    });
    let output = ran.await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = Said {
        code: output.status.code().expect("nobody killed it"),
        out: text(&output.stdout),
        err: text(&output.stderr),
    };
    assert!(!said.all().contains(PSK), "the key came out: {said:#?}");
    said
}
