//! The command, as a shell runs it.

use crate::{
    clouds::{Clouds, backend},
    support::{clouds::PSK, site::World},
};
use std::{
    collections::BTreeSet,
    io::Write,
    path::Path,
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

    /// The fields that it was refused by.
    pub fn refused(&self) -> BTreeSet<String> {
        self.fields("field ")
    }

    /// The fields that it warns of.
    pub fn warned(&self) -> BTreeSet<String> {
        self.fields("warning: ")
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

/// Runs it with these arguments, this on its standard input, and the key where the examples have it.
pub async fn isthmus(clouds: &Clouds, arguments: &[&str], input: &str) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isthmus"));
    command
        .args(arguments)
        .arg("--endpoint")
        .arg(format!("http://{}", clouds.running.addr))
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

/// `isthmus apply -f FILE BACKEND` where this cloud has it attached.
pub async fn apply_file(clouds: &Clouds, world: World, file: &Path, more: &[&str]) -> Said {
    let file = file.to_string_lossy();
    applied(clouds, world, &file, more, "").await
}

/// The same of a description on standard input.
pub async fn apply(clouds: &Clouds, world: World, site: &str, more: &[&str]) -> Said {
    applied(clouds, world, "-", more, site).await
}

async fn applied(clouds: &Clouds, world: World, file: &str, more: &[&str], input: &str) -> Said {
    let attachment = clouds.attachment(world);
    let mut arguments = vec!["apply", "-f", file, backend(world)];
    for (option, value) in &attachment {
        arguments.extend([*option, value]);
    }
    arguments.extend(more);
    isthmus(clouds, &arguments, input).await
}
