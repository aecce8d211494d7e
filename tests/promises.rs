//! The contract names, for each promise of a watch, the tests that hold it. They have to be there.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

const CONTRACT: &str = include_str!("../proto/isthmus/v1/realization_service.proto");
const PROMISES: usize = 10;

/// The lists of a section of the service's comment: one text for each number.
fn numbered(section: &str) -> Vec<String> {
    let begin = CONTRACT.find(section).unwrap() + section.len();
    let lines = CONTRACT[begin..].lines().skip(1);
    let comment = lines.map_while(|line| line.strip_prefix("//"));
    let mut found: Vec<String> = Vec::new();
    for line in comment.take_while(|line| !line.starts_with(" #")) {
        let next = format!(" {}. ", found.len() + 1);
        match (line.strip_prefix(next.as_str()), line.trim()) {
            (Some(text), _) => found.push(text.to_owned()),
            (None, "") if !found.is_empty() => break,
            (None, text) => {
                if let Some(last) = found.last_mut() {
                    *last += " ";
                    *last += text;
                }
            }
        }
    }
    found
}

/// The sources of the test of that name.
fn sources(test: &str) -> String {
    fn read(path: &Path, text: &mut String) {
        if path.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                read(&entry.unwrap().path(), text);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            *text += &fs::read_to_string(path).unwrap();
        }
    }
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut text = String::new();
    let file = tests.join(format!("{test}.rs"));
    for path in [file, tests.join(test)] {
        if path.exists() {
            read(&path, &mut text);
        }
    }
    text
}

#[test]
fn each_promise_names_the_tests_that_hold_it_and_they_are_there() {
    assert_eq!(numbered("# What a watch promises").len(), PROMISES);
    let held = numbered("# What holds the promises");
    assert_eq!(held.len(), PROMISES, "{held:#?}");
    for (at, tests) in held.iter().enumerate() {
        let names: Vec<&str> = tests.split(',').map(str::trim).collect();
        assert!(names.len() >= 2, "promise {} has {names:?} alone", at + 1);
        for name in names {
            let (file, function) = name.split_once("::").unwrap();
            let head = format!("fn {function}(");
            assert!(sources(file).contains(&head), "{name} is not there");
        }
    }
}
