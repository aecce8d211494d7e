//! Which files of a crate import each other, directly or round about. The sources are read as words: an import is a
//! path, in a `use` or in the middle of code, that begins with `crate`, `super`, `self` or the name of a child.

use std::collections::{BTreeMap, BTreeSet};

/// Where a module is: the names from the root of the crate to it.
type Module = Vec<String>;

/// The groups of files that import each other, each with the imports that make it one. `sources` are texts by paths
/// below the root, such as `core/watch/mod.rs`. What is compiled for tests only is left out.
pub fn cycles(sources: &BTreeMap<String, String>) -> Vec<BTreeMap<String, BTreeSet<String>>> {
    let files: BTreeMap<Module, Words> = sources
        .iter()
        .map(|(path, text)| (module(path), Words::of(text)))
        .collect();
    let only_for_tests: BTreeSet<Module> = files
        .iter()
        .flat_map(|(at, words)| words.test_modules.iter().map(|name| below(at, name)))
        .collect();
    let is_built = |at: &Module| (0..=at.len()).all(|n| !only_for_tests.contains(&at[..n]));
    let built: BTreeSet<&Module> = files.keys().filter(|at| is_built(at)).collect();
    let imports: BTreeMap<&Module, BTreeSet<&Module>> = built
        .iter()
        .map(|&at| {
            let paths = &files[at].paths;
            let named = paths.iter();
            let named = named.filter_map(|path| file_of(at, path, paths, &built));
            (at, named.filter(|&other| other != at).collect())
        })
        .collect();
    let reached: BTreeMap<&Module, BTreeSet<&Module>> =
        built.iter().map(|&at| (at, reach(at, &imports))).collect();
    let mut groups = BTreeMap::new();
    for (&at, imported) in &imports {
        let back: BTreeSet<&Module> = reached[at].iter().copied().collect();
        let group: BTreeSet<&Module> = back
            .into_iter()
            .filter(|other| reached[other].contains(at))
            .collect();
        if group.len() > 1 {
            let within = imported & &group;
            let group: &mut BTreeMap<_, _> = groups.entry(group).or_default();
            group.insert(at.join("/"), within.iter().map(|it| it.join("/")).collect());
        }
    }
    groups.into_values().collect()
}

/// The module that a file is.
fn module(path: &str) -> Module {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let mut names: Module = path.split('/').map(str::to_owned).collect();
    if names
        .last()
        .is_some_and(|last| matches!(last.as_str(), "mod" | "lib"))
    {
        names.pop();
    }
    names
}

fn below(module: &Module, name: &str) -> Module {
    [&module[..], &[name.to_owned()]].concat()
}

/// The file in which what a path names is, as seen from a module; none if that is outside of the crate.
fn file_of<'a>(
    at: &Module,
    path: &[String],
    imported: &[Vec<String>],
    files: &BTreeSet<&'a Module>,
) -> Option<&'a Module> {
    let is_child = files.contains(&below(at, &path[0]));
    let mut whole = match path[0].as_str() {
        "crate" => Vec::new(),
        "self" | "super" => at.clone(),
        _ if is_child => at.clone(),
        // What was imported by this name, to which the path adds the rest.
        name => {
            let is_it = |other: &&Vec<String>| {
                other.len() > 1 && other[0] != name && other.last().is_some_and(|it| it == name)
            };
            let whole = [&imported.iter().find(is_it)?[..], &path[1..]].concat();
            return file_of(at, &whole, &[], files);
        }
    };
    for name in path {
        match name.as_str() {
            "crate" | "self" => {}
            "super" => drop(whole.pop()?),
            name => whole.push(name.to_owned()),
        }
    }
    (0..=whole.len())
        .rev()
        .find_map(|n| files.get(&whole[..n].to_vec()).copied())
}

fn reach<'a>(
    from: &'a Module,
    imports: &BTreeMap<&'a Module, BTreeSet<&'a Module>>,
) -> BTreeSet<&'a Module> {
    let (mut found, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(at) = next.pop() {
        next.extend(imports[at].iter().filter(|other| found.insert(**other)));
    }
    found
}

/// What a source says that may be an import.
#[derive(Default)]
struct Words {
    /// Every path of at least two names, or that a `use` names.
    paths: Vec<Vec<String>>,
    /// Modules that are declared for tests only.
    test_modules: Vec<String>,
}

impl Words {
    fn of(text: &str) -> Words {
        let tokens = tokens(text);
        let mut words = Words::default();
        let mut at = 0;
        while at < tokens.len() {
            let rest = &tokens[at..];
            at += if rest.starts_with(&["#", "[", "cfg", "(", "test", ")", "]"]) {
                let length = item(rest);
                let declared = rest[..length].windows(3).find(|it| it[0] == "mod");
                let declared = declared.filter(|it| matches!(it[2], ";" | "{"));
                words.test_modules.extend(declared.map(|it| it[1].into()));
                length
            } else if rest[0] == "use" && rest.get(1) != Some(&"<") {
                1 + tree(&rest[1..], &[], &mut words.paths)
            } else if is_name(rest[0]) {
                let path: Vec<&str> = path(rest).collect();
                let length = 2 * path.len() - 1;
                if path.len() > 1 {
                    let path = path.into_iter().map(str::to_owned);
                    words.paths.push(path.collect());
                }
                length
            } else {
                1
            };
        }
        words
    }
}

/// The names of the path that tokens begin with.
fn path<'a>(tokens: &[&'a str]) -> impl Iterator<Item = &'a str> {
    let more = tokens[1..].chunks_exact(2);
    let more = more.take_while(|it| it[0] == "::" && is_name(it[1]));
    std::iter::once(tokens[0]).chain(more.map(|it| it[1]))
}

/// The length of an item with its attributes: to its semicolon, or to the end of its block.
fn item(tokens: &[&str]) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match *token {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return at;
        }
        if depth == 0 && matches!(*token, ";" | "}") {
            return at + 1;
        }
    }
    tokens.len()
}

/// Reads the tree of a `use` into its paths: the number of tokens it has.
fn tree(tokens: &[&str], before: &[String], paths: &mut Vec<Vec<String>>) -> usize {
    let mut path = before.to_vec();
    let mut at = 0;
    while let Some(&token) = tokens.get(at) {
        at += 1;
        match token {
            "{" => {
                while tokens.get(at).is_some_and(|&token| token != "}") {
                    at += tree(&tokens[at..], &path, paths);
                    at += usize::from(tokens.get(at) == Some(&","));
                }
                return at + 1;
            }
            "," | ";" | "}" => {
                at -= 1;
                break;
            }
            "as" => at += 1,
            // Of `a::{self, b}` the first is `a`.
            "self" if !path.is_empty() => {}
            "::" | "*" => {}
            name => path.push(name.to_owned()),
        }
    }
    paths.push(path);
    at
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Names, `::` and signs, without comments, texts and lifetimes.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_in_name = |c: char| c.is_alphanumeric() || c == '_';
        let length = match first {
            _ if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            _ if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            _ if rest.starts_with("::") => 2,
            'r' if rest.starts_with("r\"") || rest.starts_with("r#\"") => {
                let end = if rest.starts_with("r\"") { "\"" } else { "\"#" };
                let begin = end.len() + 1;
                rest[begin..]
                    .find(end)
                    .map_or(rest.len(), |at| begin + at + end.len())
            }
            '"' => quoted(rest, '"'),
            // A lifetime has no second quotation mark behind its first letter.
            '\'' if rest.starts_with("'\\") || rest.chars().nth(2) == Some('\'') => {
                quoted(rest, '\'')
            }
            _ if is_in_name(first) => rest.find(|c| !is_in_name(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let token = &rest[..length];
        let is_left_out = token.starts_with("//")
            || token.starts_with("/*")
            || token.starts_with(['"', '\''])
            || (length > 2 && token.starts_with("r") && token.ends_with(['"', '#']))
            || token.trim().is_empty();
        if !is_left_out {
            tokens.push(token);
        }
        rest = &rest[length..];
    }
    tokens
}

/// The length of a text with its quotation marks.
fn quoted(text: &str, mark: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if c == mark => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The groups that these files make, in a form that can be compared.
fn found(files: &[(&str, &str)]) -> Vec<String> {
    let own = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
    let groups = cycles(&files.iter().map(own).collect());
    let text = |group: &BTreeMap<String, BTreeSet<String>>| {
        let each = group.iter().map(|(file, imported)| {
            let imported: Vec<&str> = imported.iter().map(String::as_str).collect();
            format!("{file} -> {}", imported.join(", "))
        });
        each.collect::<Vec<_>>().join("; ")
    };
    groups.iter().map(text).collect()
}

#[test]
fn two_files_that_import_each_other_are_found_however_they_say_it() {
    for (here, there) in [
        ("use crate::b::B;", "use crate::a::A;"),
        (
            "pub(crate) use crate::{b::{self, B}, other};",
            "use super::a::*;",
        ),
        ("use crate::b as c;", "fn f(_: crate::a::A) {}"),
        (
            "use std::fmt;\nuse self::super::b::B;",
            "type A = super::a::A;",
        ),
        (
            "impl crate::b::B for X {}",
            "static T: &str = \"// \\\" {\"; use crate::a::A;",
        ),
    ] {
        let files = [("lib.rs", "mod a; mod b;"), ("a.rs", here), ("b.rs", there)];
        assert_eq!(found(&files), ["a -> b; b -> a"], "{here} {there}");
    }
}

#[test]
fn a_child_that_names_what_is_its_parents_closes_a_circle() {
    let parent = "mod child; mod other; pub struct P; fn f() { child::g() }";
    let child = "use super::P; pub fn g() {}";
    let files = [
        ("core/mod.rs", parent),
        ("core/child.rs", child),
        ("core/other.rs", "use crate::core::P;"),
    ];
    assert_eq!(found(&files), ["core -> core/child; core/child -> core"]);
    // The same of a file beside its folder, whose child is imported again.
    let parent = "mod child; pub use child::C;";
    let files = [("x.rs", parent), ("x/child.rs", "fn f(_: &crate::x::P) {}")];
    assert_eq!(found(&files), ["x -> x/child; x/child -> x"]);
}

#[test]
fn a_way_round_about_is_found_and_who_only_polls_in_is_not_part_of_it() {
    let files = [
        ("a.rs", "use crate::{b::X, far};"),
        ("b.rs", "use crate::c; fn f(_: c::deep::Y) {}"),
        ("c/mod.rs", "mod deep;"),
        ("c/deep.rs", "use crate::a::Z;"),
        ("far.rs", "use crate::c::nothing_but_a_name;"),
        ("guest.rs", "use crate::{a::A, b::B};"),
    ];
    assert_eq!(found(&files), ["a -> b; b -> c/deep; c/deep -> a"]);
}

#[test]
fn what_is_compiled_for_tests_only_and_what_is_no_code_is_left_out() {
    let tests = "pub struct A; #[cfg(test)] mod tests { use super::*; use crate::b::B; }\n\
                 #[cfg(test)] #[allow(dead_code)] mod slow;\n\
                 #[cfg(test)] pub(crate) use crate::b::B;\n\
                 // use crate::b::B;\n/* use crate::b::B; */\n\
                 fn f<'b>(_: &'b str) -> &'b str { r#\"\"crate::b::B\"# }\n\
                 fn g<T>(_: &T) -> impl Sized + use<T> { let it; it }";
    let files = [
        ("a.rs", tests),
        ("a/slow.rs", "use crate::b::B;"),
        ("b.rs", "use crate::{a::A, a::slow::S};"),
    ];
    assert_eq!(found(&files), [""; 0]);
    let found_in_code = format!("{tests} use crate::b::B;");
    let files = [("a.rs", &*found_in_code), ("b.rs", "use crate::a::A;")];
    assert_eq!(found(&files), ["a -> b; b -> a"]);
}
