//! YAML 1.2. A library parses it. This module writes it, because a library may emit characters that mislead on a
//! terminal.

use crate::{cli::tree::Tree, text::is_unseen};
use serde_json::Value;
use serde_saphyr::{Options, Spanned};

/// Parses a text of one document.
///
/// # Errors
/// What is wrong with the text, with its line. Several documents are an error, and so are aliases that expand without
/// bounds.
pub fn read(text: &str) -> Result<Tree, String> {
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| error.to_string())
}

/// Parses every document of a text, each with the line in which it begins, counted from 1. Empty documents are left
/// out.
///
/// # Errors
/// Those of [`read`], except for several documents.
pub fn documents(text: &str) -> Result<Vec<(u64, Tree)>, String> {
    let documents: Vec<Spanned<Tree>> = serde_saphyr::from_multiple_with_options(text, options())
        .map_err(|error| error.to_string())?;
    let placed = documents.into_iter();
    Ok(placed
        .map(|document| (document.referenced.line(), document.value))
        .collect())
}

fn options() -> Options {
    serde_saphyr::options! {
        // YAML 1.1 reads `no` as a bool, even in a list of countries.
        strict_booleans: true,
        with_snippet: false,
    }
}

/// Formats a tree as a document, without a line break at its end.
pub fn document(tree: &Tree) -> String {
    format!("---\n{}", lines(tree).join("\n"))
}

fn lines(tree: &Tree) -> Vec<String> {
    match tree {
        Tree::Fields(fields) if !fields.is_empty() => fields
            .iter()
            .flat_map(|(name, value)| {
                let name = scalar(name);
                let mut lines = lines(value);
                if let [line] = lines.as_slice()
                    && is_short(value)
                {
                    return vec![format!("{name}: {line}")];
                }
                for line in &mut lines {
                    line.insert_str(0, "  ");
                }
                lines.insert(0, format!("{name}:"));
                lines
            })
            .collect(),
        Tree::List(list) if !list.is_empty() => list
            .iter()
            .flat_map(|item| {
                let lines = lines(item).into_iter().enumerate();
                lines.map(|(at, line)| format!("{}{line}", if at == 0 { "- " } else { "  " }))
            })
            .collect(),
        Tree::Fields(_) => vec!["{}".to_owned()],
        Tree::List(_) => vec!["[]".to_owned()],
        Tree::Leaf(Value::String(word)) => vec![scalar(word)],
        Tree::Leaf(value) => vec![value.to_string()],
    }
}

/// Reports whether the value goes on the line of its name.
fn is_short(tree: &Tree) -> bool {
    match tree {
        Tree::Leaf(_) => true,
        Tree::List(list) => list.is_empty(),
        Tree::Fields(fields) => fields.is_empty(),
    }
}

/// Formats a string: plain if nothing could misread it, else in double quotes.
fn scalar(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let plain = word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word.chars().all(is_plain)
        // Words that some version of YAML reads as a bool or null.
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&word.to_lowercase().as_str());
    if plain {
        return word.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in word.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            // YAML forbids U+FFFE and U+FFFF.
            c if is_unseen(c) || matches!(c, '\u{FFFE}' | '\u{FFFF}') => {
                quoted.push_str(&format!("\\U{:08X}", u32::from(c)))
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tree(json: &str) -> Tree {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn fields_stand_in_their_order_and_lists_below_their_names() {
        let json = r#"{"name": "a/b", "list": ["X_1", {"id": "1", "on": true}], "none": [], "deep": {"at": 1.5}}"#;
        let text = document(&tree(json));
        assert_eq!(
            text,
            "---\nname: a/b\nlist:\n  - X_1\n  - id: \"1\"\n    \"on\": true\nnone: []\ndeep:\n  at: 1.5"
        );
        assert_eq!(read(&text).unwrap(), tree(json));
    }

    #[test]
    fn what_could_be_taken_for_something_else_is_quoted() {
        for word in [
            "",
            "1",
            "-1",
            "0x1f",
            "1e3",
            "~",
            "null",
            "No",
            "true",
            "a: b",
            "a #b",
            "- a",
            "[",
            "2026-11-22",
            "12:30",
            "\u{FFFE}",
            "\u{FFFF}",
            "a\nb",
            " a",
            "%",
            "\u{202e}a",
            "\u{e0041}",
            "\u{9b}2J",
            "\"\\",
        ] {
            let fields = Tree::Fields(vec![(word.to_owned(), Tree::Leaf(word.into()))]);
            let text = document(&fields);
            assert_eq!(read(&text).unwrap(), fields, "{text}");
            assert!(!text.contains(|c| is_unseen(c) && c != '\n'), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_yaml_is_told_with_its_line() {
        for (text, said) in [
            ("a: 1\nb: [", "line 2"),
            ("a: 1\n---\nb: 2", "document"),
            ("a: &a [x, x]\nb: &b [*a, *a]\nc: !!binary x\n\tx", "line"),
        ] {
            let why = read(text).unwrap_err();
            assert!(why.contains(said), "{text:?}: {why}");
        }
    }

    fn any_tree() -> impl Strategy<Value = Tree> {
        let leaf = prop_oneof![
            Just(Tree::Leaf(Value::Null)),
            any::<bool>().prop_map(|it| Tree::Leaf(it.into())),
            any::<i64>().prop_map(|it| Tree::Leaf(it.into())),
            ".*".prop_map(|it: String| Tree::Leaf(it.into())),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Tree::List),
                prop::collection::btree_map(".*", inner, 0..4)
                    .prop_map(|fields| Tree::Fields(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(tree in any_tree()) {
            prop_assert_eq!(read(&document(&tree)).unwrap(), signed(tree));
        }
    }

    /// Converts numbers as the parser does: a non-negative number becomes unsigned.
    fn signed(tree: Tree) -> Tree {
        match tree {
            Tree::Leaf(value) => {
                let number = value.as_i64().and_then(|it| u64::try_from(it).ok());
                Tree::Leaf(number.map_or(value, Value::from))
            }
            Tree::List(list) => Tree::List(list.into_iter().map(signed).collect()),
            Tree::Fields(fields) => Tree::Fields(
                fields
                    .into_iter()
                    .map(|(name, it)| (name, signed(it)))
                    .collect(),
            ),
        }
    }
}
