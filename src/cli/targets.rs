//! The meaning of the words on a command line: a kind, a backend, a name or a file.

use crate::cli::{kinds::Kind, names};
use std::path::{Path, PathBuf};

/// Returns what `list` lists: a kind and a parent.
///
/// # Errors
/// If there are two words, and the first is not a kind.
pub fn list(first: Option<&str>, second: Option<&str>) -> Result<(Kind, String), String> {
    match (first.map(|word| (word, Kind::of(word))), second) {
        (None, backend) => Ok((Kind::Connection, names::backend(backend))),
        (Some((_, Some(kind))), backend) => Ok((kind, names::backend(backend))),
        (Some((backend, None)), None) => Ok((Kind::Connection, names::backend(Some(backend)))),
        (Some((word, None)), Some(_)) => Err(names::no_kind(word)),
    }
}

/// Returns the resource of `get` and `delete`: a kind and a full name.
///
/// # Errors
/// If the words do not identify a resource.
pub fn one(first: &str, second: Option<&str>) -> Result<(Kind, String), String> {
    match (Kind::of(first), second) {
        (None, None) => names::resolve(first),
        (Some(kind), Some(name)) => Ok((kind, names::of_kind(kind, name)?)),
        (Some(kind), None) => Err(which(kind)),
        (None, Some(_)) => Err(names::no_kind(first)),
    }
}

fn which(kind: Kind) -> String {
    let (one, several) = (kind.one(), kind.several());
    format!(
        "which {}? `isthmus list {several}` lists them; say {one} BACKEND/ID",
        kind.person()
    )
}

/// Returns what `create` creates: the kind, the backend and the file, from `[KIND] [BACKEND] [FILE]`.
///
/// # Errors
/// If there are too many words, or two files.
pub fn create(
    words: &[&str],
    file: Option<&Path>,
) -> Result<(Kind, Option<String>, PathBuf), String> {
    let (kind, words) = leading_kind(words);
    match *words {
        [] => Ok((kind.unwrap_or(Kind::Connection), None, input(None, file)?)),
        [backend] => Ok((
            kind.unwrap_or(Kind::Connection),
            Some(names::backend(Some(backend))),
            input(None, file)?,
        )),
        [backend, path] => Ok((
            kind.unwrap_or(Kind::Connection),
            Some(names::backend(Some(backend))),
            input(Some(path), file)?,
        )),
        _ => Err(names::no_kind(words[0])),
    }
}

/// Returns what `update` changes, and the file, from `[KIND] [NAME] [FILE]`. A missing name comes from the file, and a
/// missing kind from the name or the file.
///
/// # Errors
/// If there are too many words, two files, or neither a name nor a file.
pub fn update(
    words: &[&str],
    file: Option<&Path>,
) -> Result<(Option<Kind>, Option<String>, PathBuf), String> {
    let (kind, rest) = leading_kind(words);
    let named = |text: &str| match kind {
        Some(kind) => Ok((Some(kind), Some(names::of_kind(kind, text)?))),
        None => names::resolve(text).map(|(kind, name)| (Some(kind), Some(name))),
    };
    match (rest, file) {
        // Standard input is not read: a user who gave no arguments would wait without a prompt.
        ([], None) => {
            Err("what should be changed? Give its name, or -f FILE with a `name` in it".to_owned())
        }
        ([], Some(file)) => Ok((kind, None, file.to_owned())),
        (&[name], _) => named(name).and_then(|(kind, name)| Ok((kind, name, input(None, file)?))),
        (&[name, path], _) => {
            named(name).and_then(|(kind, name)| Ok((kind, name, input(Some(path), file)?)))
        }
        _ => Err(names::no_kind(words[0])),
    }
}

fn leading_kind<'a, 'b>(words: &'a [&'b str]) -> (Option<Kind>, &'a [&'b str]) {
    match words {
        [first, rest @ ..] if Kind::of(first).is_some() => (Kind::of(first), rest),
        _ => (None, words),
    }
}

/// Returns the file from either place, or standard input if there is none.
fn input(word: Option<&str>, option: Option<&Path>) -> Result<PathBuf, String> {
    match (word, option) {
        (Some(word), Some(_)) => Err(format!(
            "`{word}` is one argument too many: -f names the file"
        )),
        (Some(word), None) => Ok(PathBuf::from(word)),
        (None, option) => Ok(option.unwrap_or(Path::new("-")).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<&str> {
        line.split_whitespace().collect()
    }

    #[test]
    fn a_list_is_of_connections_unless_a_kind_is_named() {
        for (line, meant) in [
            ("", Ok((Kind::Connection, "backends/-"))),
            ("nsx", Ok((Kind::Connection, "backends/nsx"))),
            ("connections nsx", Ok((Kind::Connection, "backends/nsx"))),
            ("ike-policies", Ok((Kind::IkePolicy, "backends/-"))),
            ("vpnServices -", Ok((Kind::VpnService, "backends/-"))),
            (
                "ike-polices nsx",
                Err("there is no kind `ike-polices`; did you mean ike-policies?"),
            ),
        ] {
            let words = words(line);
            let target = list(words.first().copied(), words.get(1).copied());
            let meant = meant.map(|(kind, parent)| (kind, parent.to_owned()));
            assert_eq!(target, meant.map_err(str::to_owned), "{line}");
        }
    }

    #[test]
    fn one_resource_is_named_with_its_kind_or_by_its_name() {
        for (line, meant) in [
            (
                "nsx/1",
                Ok((Kind::Connection, "backends/nsx/connections/1")),
            ),
            (
                "nsx/ikePolicies/1",
                Ok((Kind::IkePolicy, "backends/nsx/ikePolicies/1")),
            ),
            (
                "ike-policy nsx/1",
                Ok((Kind::IkePolicy, "backends/nsx/ikePolicies/1")),
            ),
            ("backend nsx", Ok((Kind::Backend, "backends/nsx"))),
            ("backends/nsx", Ok((Kind::Backend, "backends/nsx"))),
            (
                "ike-policy",
                Err(
                    "which IKE policy? `isthmus list ike-policies` lists them; say ike-policy BACKEND/ID",
                ),
            ),
            (
                "ike-policy nsx/vpnServices/1",
                Err("nsx/vpnServices/1 names none of the IKE policies"),
            ),
            (
                "ike-polcy nsx/1",
                Err("there is no kind `ike-polcy`; did you mean ike-policies?"),
            ),
        ] {
            let words = words(line);
            let target = one(words[0], words.get(1).copied());
            let meant = meant.map(|(kind, name)| (kind, name.to_owned()));
            assert_eq!(target, meant.map_err(str::to_owned), "{line}");
        }
    }

    #[test]
    fn what_is_written_comes_from_one_file() {
        let from = |path: &str| PathBuf::from(path);
        let nsx = || Some("backends/nsx".to_owned());
        let file = Some(Path::new("f"));
        for (line, file, meant) in [
            ("nsx", None, (Kind::Connection, nsx(), from("-"))),
            (
                "nsx c.json",
                None,
                (Kind::Connection, nsx(), from("c.json")),
            ),
            ("ike-policy", file, (Kind::IkePolicy, None, from("f"))),
            ("ike-policy nsx", file, (Kind::IkePolicy, nsx(), from("f"))),
            (
                "ike-policy nsx c",
                None,
                (Kind::IkePolicy, nsx(), from("c")),
            ),
        ] {
            assert_eq!(create(&words(line), file), Ok(meant), "{line}");
        }
        let twice = create(&["nsx", "c"], file).unwrap_err();
        assert_eq!(twice, "`c` is one argument too many: -f names the file");
        assert!(create(&["polcy", "nsx", "c"], None).is_err());
    }

    #[test]
    fn what_is_changed_is_named_by_words_or_by_the_file() {
        let from = |path: &str| PathBuf::from(path);
        let file = Some(Path::new("f"));
        let policy = || Some("backends/a/ikePolicies/1".to_owned());
        let connection = || Some("backends/a/connections/1".to_owned());
        for (line, file, meant) in [
            ("", file, (None, None, from("f"))),
            ("ike-policy", file, (Some(Kind::IkePolicy), None, from("f"))),
            (
                "ike-policy a/1",
                None,
                (Some(Kind::IkePolicy), policy(), from("-")),
            ),
            (
                "a/ikePolicies/1 c",
                None,
                (Some(Kind::IkePolicy), policy(), from("c")),
            ),
            (
                "a/1",
                file,
                (Some(Kind::Connection), connection(), from("f")),
            ),
            (
                "a/1 c",
                None,
                (Some(Kind::Connection), connection(), from("c")),
            ),
        ] {
            assert_eq!(update(&words(line), file), Ok(meant), "{line}");
        }
        for (line, file) in [
            ("", None),
            ("a/1 c", file),
            ("a b c", None),
            ("ike-policy", None),
        ] {
            update(&words(line), file).unwrap_err();
        }
    }
}
