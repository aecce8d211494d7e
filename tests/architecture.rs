//! Imports point inwards. The picture is in `src/lib.rs`; this holds the code to it.
//!
//! The sources are searched as text, which works because everything is imported by `crate::…`.

#[path = "architecture/cycles.rs"]
mod cycles;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Who may not name whom.
const FORBIDDEN: &[(&str, &[&str])] = &[
    // The words that core and rest have in common for an account, which is how neither needs the other.
    ("src/account.rs", &["crate"]),
    // All count into it, so it knows nobody.
    ("src/metrics", &["crate"]),
    // The same of traces.
    ("src/spans.rs", &["crate"]),
    (
        "src/model",
        &[
            "crate::store",
            "crate::core",
            "crate::rest",
            "crate::dialects",
            "crate::grpc",
            "crate::server",
            "crate::simulator",
        ],
    ),
    (
        "src/core",
        &[
            "crate::store",
            "redb",
            "crate::rest",
            "crate::dialects",
            "crate::config",
            "crate::grpc",
            "crate::server",
            "crate::simulator",
            "prost",
            "tonic",
        ],
    ),
    (
        "src/rest",
        &[
            "crate::store",
            "crate::model",
            "crate::core",
            "crate::dialects",
            "crate::grpc",
            "crate::simulator",
        ],
    ),
    (
        "src/dialects",
        &[
            "crate::store",
            "crate::config",
            "crate::grpc",
            "crate::server",
            "crate::simulator",
            "prost",
            "tonic",
        ],
    ),
    ("src/dialects/nsx", &["dialects::openstack", "openstack"]),
    ("src/dialects/openstack", &["dialects::nsx", "nsx"]),
    (
        "src/grpc",
        &[
            "crate::store",
            "crate::rest",
            "crate::dialects",
            "crate::server",
            "crate::simulator",
        ],
    ),
    (
        "src/server",
        &[
            "crate::store",
            "crate::rest",
            "crate::dialects",
            "crate::simulator",
        ],
    ),
    (
        "src/config",
        &[
            "crate::store",
            "crate::dialects",
            "crate::grpc",
            "crate::server",
            "crate::rest",
            "crate::simulator",
        ],
    ),
    (
        "src/store",
        &[
            "crate::rest",
            "crate::dialects",
            "crate::grpc",
            "crate::server",
            "crate::config",
            "crate::simulator",
            "prost",
            "tonic",
        ],
    ),
    (
        "src/simulator",
        &[
            "crate::store",
            "crate::model",
            "crate::core",
            "crate::rest",
            "crate::dialects",
            "crate::grpc",
            "crate::server",
        ],
    ),
];

/// The dialects, each with the folder of what its family shares if it is one of several. Whatever they are in, the
/// members of a family do not name each other, and what they share names none of them.
const DIALECTS: &[&[&str]] = &[&["openstack"], &["nsx", "nsx/manager"]];

/// Files that not every dialect has: data about variants, and what the APIs of one family have in common.
const NOT_IN_EVERY_DIALECT: &[&str] = &["variant.rs", "api_error.rs", "body.rs", "paging.rs"];

/// The core and the configuration know no dialect and no cloud, not even by name, nor how one logs in to it.
const NEVER_SAYS: &[(&str, &[&str])] = &[
    ("src/core", &["password", "session", "basic", "bearer"]),
    // It parses URLs, which may hold a password.
    (
        "src/config",
        &["\"password\"", "session", "basic", "bearer"],
    ),
];
const NEITHER_SAYS: &[&str] = &[
    "nsx",
    "openstack",
    "neutron",
    "keystone",
    "application_credential",
];

fn sources(under: &str) -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("the folder is in the tree") {
            let path = entry.expect("it can be read").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(under);
    if path.is_file() {
        return vec![path];
    }
    walk(&path, &mut found);
    assert!(
        !found.is_empty(),
        "{under} has no sources: is the table out of date?"
    );
    found
}

/// Files of tests only, which may give examples by name.
fn is_test(path: &Path) -> bool {
    let below = path.strip_prefix(env!("CARGO_MANIFEST_DIR"));
    below
        .expect("it is in the tree")
        .components()
        .any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs")
}

/// The lines that are code: comments may name whom they like.
fn code(path: &Path) -> Vec<(usize, String)> {
    fs::read_to_string(path)
        .expect("sources are text")
        .lines()
        .enumerate()
        .map(|(number, line)| (number + 1, line.trim().to_owned()))
        .filter(|(_, line)| !line.starts_with("//"))
        .collect()
}

fn names(line: &str, word: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

#[test]
fn imports_point_inwards() {
    let mut wrong = Vec::new();
    for (under, forbidden) in FORBIDDEN {
        for path in sources(under) {
            for (number, line) in code(&path) {
                for word in forbidden.iter().filter(|word| names(&line, word)) {
                    wrong.push(format!(
                        "{}:{number} names `{word}`: {line}",
                        path.display()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_two_files_import_each_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files: BTreeMap<String, String> = sources("src")
        .into_iter()
        .filter(|path| !is_test(path) && !path.ends_with("main.rs"))
        .map(|path| {
            let below = path.strip_prefix(&root).expect("it is below the root");
            let text = fs::read_to_string(&path).expect("sources are text");
            (below.to_string_lossy().into_owned(), text)
        })
        .collect();
    let found = cycles::cycles(&files);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn core_and_configuration_know_no_cloud_and_no_login_by_name() {
    let mut wrong = Vec::new();
    for (under, own) in NEVER_SAYS {
        let words = || own.iter().chain(NEITHER_SAYS);
        for path in sources(under).into_iter().filter(|path| !is_test(path)) {
            for (number, line) in code(&path) {
                let lower = line.to_lowercase();
                for word in words().filter(|word| names(&lower, word)) {
                    wrong.push(format!("{}:{number} says `{word}`: {line}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_is_imported_by_climbing() {
    for path in sources("src") {
        for (number, line) in code(&path) {
            assert!(
                !line.contains("super::super"),
                "{}:{number} climbs: {line}",
                path.display()
            );
        }
    }
}

/// The files right in a folder of `src/dialects`, by name.
fn files_of(folder: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/dialects")
        .join(folder);
    fs::read_dir(folder)
        .expect("the dialect is there")
        .map(|entry| entry.expect("it can be read").path())
        // A folder holds the parts of a file, or its tests, which one dialect may need and the other not.
        .filter(|path| path.is_file())
        .map(|path| {
            path.file_name()
                .expect("it has a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}

#[test]
fn dialects_have_the_same_file_names() {
    let names = |folders: &[&str]| {
        let mut names: Vec<String> = folders.iter().flat_map(|it| files_of(it)).collect();
        names.retain(|name| !NOT_IN_EVERY_DIALECT.contains(&name.as_str()));
        names.sort();
        // A dialect of a family has a `mod.rs` of its own. Any other question is answered in one place.
        if folders.len() > 1 {
            let at = names.iter().position(|name| name == "mod.rs");
            names.remove(at.expect("a folder has a `mod.rs`"));
        }
        names
    };
    for dialect in DIALECTS {
        assert_eq!(names(dialect), names(DIALECTS[0]), "{dialect:?}");
    }
}

#[test]
fn the_members_of_a_family_do_not_know_each_other() {
    let mut wrong = Vec::new();
    let families: BTreeSet<&str> = DIALECTS
        .iter()
        .filter(|folders| folders.len() > 1)
        .map(|folders| folders[0])
        .collect();
    for family in families {
        let members: Vec<&str> = DIALECTS
            .iter()
            .filter(|folders| folders[0] == family)
            .filter_map(|folders| folders.get(1)?.strip_prefix(family)?.strip_prefix('/'))
            .collect();
        for path in sources(&format!("src/dialects/{family}")) {
            let root = format!("src/dialects/{family}/");
            let path = path.to_string_lossy().into_owned();
            let (_, below) = path.split_once(&root).expect("it is in its family");
            // The list of members.
            if below == "mod.rs" {
                continue;
            }
            let own = below.split('/').next();
            for member in members.iter().filter(|member| own != Some(**member)) {
                for (number, line) in code(Path::new(&path)) {
                    let by_path = format!("{member}::");
                    if line.contains(&by_path) || line.contains(&format!("{family}::{member}")) {
                        wrong.push(format!("{path}:{number} names `{member}`: {line}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every example of what a cloud says is tried by a test, by its name or with its whole folder, and says where
/// it is from.
#[test]
fn every_fixture_is_used_and_has_its_provenance() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fixtures = root.join("tests/fixtures");
    let read = |path: &Path| fs::read_to_string(path).expect("it is text");
    let texts: Vec<String> = ["src", "tests"]
        .into_iter()
        .flat_map(sources)
        .map(|path| read(&path))
        .collect();
    let provenance = read(&fixtures.join("README.md"));
    let (mut folders, mut wrong, mut found) = (vec![fixtures.clone()], Vec::new(), 0);
    while let Some(folder) = folders.pop() {
        let below = folder.strip_prefix(root).expect("it is below the root");
        let whole = format!("{}\"", below.display());
        let is_read_whole = texts.iter().any(|text| text.contains(&whole));
        for entry in fs::read_dir(&folder).expect("the folder is in the tree") {
            let path = entry.expect("it can be read").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.file_name().expect("it has a name").to_string_lossy();
            if !name.ends_with(".json") {
                continue;
            }
            found += 1;
            let is_named = texts.iter().any(|text| text.contains(&format!("{name}\"")));
            if !is_named && !is_read_whole {
                wrong.push(format!("{} is used by no test", path.display()));
            }
            if !is_read_whole && !provenance.contains(&format!("| `{name}` |")) {
                wrong.push(format!("{} does not say where it is from", path.display()));
            }
        }
    }
    assert!(found > 50, "only {found} fixtures: has the folder moved?");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What `docs/logs.md` says that the log says is what the code writes: each line of its table is a message there.
#[test]
fn every_line_that_is_documented_is_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/logs.md")).expect("it is in the tree");
    let (lines, records) = page.split_once("## The records").expect("it has both");
    let all: Vec<(usize, String)> = sources("src").iter().flat_map(|path| code(path)).collect();
    let is_written = |text: &str| {
        let quoted = format!("\"{text}\"");
        all.iter().any(|(_, line)| line.contains(&quoted))
    };
    let rows = lines.lines().filter(|line| line.starts_with("| `"));
    let first_cells = rows.map(|row| row.split('|').nth(1).expect("a row has cells"));
    let messages: Vec<&str> = first_cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    assert!(messages.len() > 15, "{messages:?}");
    for message in messages {
        assert!(is_written(message), "nothing writes: {message}");
    }
    let audit = fs::read_to_string(root.join("src/core/audit.rs")).expect("it is in the tree");
    let fields = records.lines().filter(|line| line.starts_with("| `"));
    for field in fields.map(|row| row.split('`').nth(1).expect("it is named")) {
        assert!(audit.contains(field), "no record has: {field}");
    }
}
