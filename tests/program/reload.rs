//! `isthmus serve` reads its configuration again: the program itself, its files, its signals and its log.

use crate::served::{Configured, Served, endpoint, nsx, relink};
use std::fs;

const HEAD: &str = "[server]\nlisten = \"127.0.0.1:0\"\n";

/// One that serves a backend `a`, and what can be asked of it.
fn serving(text: &str) -> (Configured, Served, String) {
    let configured = Configured::new(text);
    let served = Served::start(configured.command());
    let endpoint = endpoint(&served.line(&["serving", "listen="]));
    (configured, served, endpoint)
}

fn reloaded(added: &str, changed: &str, removed: &str, kept: &str) -> [String; 5] {
    [
        "configuration reloaded".to_owned(),
        format!("added=\"{added}\""),
        format!("changed=\"{changed}\""),
        format!("removed=\"{removed}\""),
        format!("kept=\"{kept}\""),
    ]
}

#[track_caller]
fn line(served: &Served, pieces: &[String], more: &[&str]) -> String {
    let pieces: Vec<&str> = pieces
        .iter()
        .map(String::as_str)
        .chain(more.iter().copied())
        .collect();
    served.line(&pieces)
}

#[test]
fn a_signal_adds_changes_and_removes_backends() {
    let (configured, served, endpoint) = serving(&format!("{HEAD}{}", nsx("a", "")));
    let cause = ["cause=\"SIGHUP\""];
    configured.write(
        "isthmus.toml",
        &format!("{HEAD}{}{}", nsx("a", ""), nsx("b", "")),
    );
    served.signal("HUP");
    line(&served, &reloaded("b", "", "", "a"), &cause);
    let backends = served.ask(&endpoint, &["backends"]);
    assert!(
        backends.contains("\na ") && backends.contains("\nb "),
        "{backends}"
    );

    // An interval, and another account.
    let slower = nsx("a", "poll = { stable = \"50s\" }\n");
    let other = nsx("b", "").replace("\"u\"", "\"other\"");
    configured.write("isthmus.toml", &format!("{HEAD}{slower}{other}"));
    served.signal("HUP");
    line(&served, &reloaded("", "a, b", "", ""), &cause);

    configured.write("isthmus.toml", &format!("{HEAD}{other}"));
    served.signal("HUP");
    line(&served, &reloaded("", "", "a", "b"), &cause);
    let backends = served.ask(&endpoint, &["backends"]);
    assert!(
        !backends.contains("\na ") && backends.contains("\nb "),
        "{backends}"
    );
    assert!(!served.logged().contains("canary"), "{}", served.logged());
}

#[test]
fn a_broken_file_changes_nothing_and_its_line_is_said() {
    let good = format!("{HEAD}{}", nsx("a", ""));
    let (configured, mut served, endpoint) = serving(&good);
    configured.write(
        "isthmus.toml",
        &format!("{good}colour = 1\n[[backends]]\nname = \"b\"\n"),
    );
    served.signal("HUP");
    let refused = served.line(&["configuration not reloaded", "cause=\"SIGHUP\""]);
    assert!(
        refused.contains("ERROR") && refused.contains("isthmus.toml:8:1: unknown key"),
        "{refused}"
    );
    assert!(
        refused.contains("isthmus.toml:9:1: this backend has no `dialect`"),
        "{refused}"
    );
    assert!(served.lives());
    let backends = served.ask(&endpoint, &["backends"]);
    assert!(
        backends.contains("\na ") && !backends.contains("\nb "),
        "{backends}"
    );

    // Without a signal: it is looked at.
    configured.write("isthmus.toml", &format!("{good}{}", nsx("b", "")));
    line(
        &served,
        &reloaded("b", "", "", "a"),
        &["cause=\"a file changed\""],
    );
    // A secret file that is missing is waited for, too.
    let with_file = nsx("c", "").replace("password = \"canary-of-c\"", "password_file = \"late\"");
    configured.write("isthmus.toml", &format!("{good}{with_file}"));
    let refused = served.line(&["configuration not reloaded", "cause=\"a file changed\""]);
    assert!(
        refused.contains("isthmus.toml:12:") && refused.contains("`password_file` cannot be read"),
        "{refused}"
    );
    configured.write("late", "canary-of-c");
    line(
        &served,
        &reloaded("c", "", "b", "a"),
        &["cause=\"a file changed\""],
    );
    assert!(!served.logged().contains("canary"), "{}", served.logged());
}

#[test]
fn levels_change_and_what_needs_a_restart_is_named() {
    let text = |filter: &str, head: &str| {
        format!(
            "{head}[telemetry]\nlog_filter = \"{filter}\"\n{}",
            nsx("a", "")
        )
    };
    let (configured, served, endpoint) = serving(&text("info", HEAD));
    let other = HEAD.replace("127.0.0.1:0", "127.0.0.1:1")
        + "drain = \"1s\"\n[watch]\nheartbeat = \"9s\"\n";
    configured.write("isthmus.toml", &text("debug", &other));
    served.signal("HUP");
    line(&served, &reloaded("", "", "", "a"), &[]);
    let keys = "keys=\"server.drain, server.listen, watch.heartbeat\"";
    served.line(&["WARN", "a change needs a restart", keys]);
    // Lower levels are seen from now on.
    served.ask(&endpoint, &["backends"]);
    served.line(&["DEBUG"]);

    // And no more: the next thing that is said is an error.
    configured.write("isthmus.toml", &text("error", HEAD));
    served.signal("HUP");
    let before = served.logged().lines().count();
    configured.write("isthmus.toml", "");
    served.signal("HUP");
    served.line(&["ERROR", "configuration not reloaded"]);
    let logged = served.logged();
    let later: Vec<&str> = logged.lines().skip(before).collect();
    assert!(
        later.iter().filter(|line| line.contains(" INFO ")).count() <= 1,
        "{later:#?}"
    );
}

#[test]
fn a_reload_that_the_store_was_in_the_way_of_is_tried_again() {
    let head = format!("{HEAD}[store]\npath = \"log.redb\"\n");
    let configured = Configured::new(&format!("{head}{}", nsx("a", "")));
    let served = configured.serve();
    let (log, away) = (configured.at("log.redb"), configured.at("away"));
    fs::rename(&log, &away).unwrap();
    fs::write(&log, "of somebody else").unwrap();
    configured.write(
        "isthmus.toml",
        &format!("{head}{}{}", nsx("a", ""), nsx("b", "")),
    );
    served.signal("HUP");
    served.line(&["configuration not reloaded", "replaced by another file"]);
    fs::rename(&away, &log).unwrap();
    let again = ["cause=\"the store prevented it\""];
    line(&served, &reloaded("b", "", "", "a"), &again);
}

#[test]
fn a_secret_file_is_read_again_and_one_that_is_empty_is_not() {
    let backend = nsx("a", "").replace("password = \"canary-of-a\"", "password_file = \"link\"");
    let configured = Configured::new(&format!("{HEAD}{backend}"));
    // As Kubernetes mounts it.
    for (folder, secret) in [
        ("v1", "canary-one"),
        ("v2", "canary-two"),
        ("v3", ""),
        ("v4", "canary-two"),
    ] {
        fs::create_dir(configured.at(folder)).unwrap();
        fs::write(configured.at(folder).join("secret"), secret).unwrap();
    }
    relink(&configured.at("data"), "v1");
    relink(&configured.at("link"), "data/secret");
    let served = configured.serve();
    relink(&configured.at("data"), "v2");
    served.line(&["INFO", "credentials read again", "backend=\"a\"", "link"]);
    relink(&configured.at("data"), "v3");
    let kept = [
        "WARN",
        "credentials could not be read again",
        "it is empty",
        "backend=\"a\"",
    ];
    served.line(&kept);
    // The same as before is no change, and neither is more of the same trouble.
    relink(&configured.at("data"), "v4");
    served.signal("HUP");
    line(&served, &reloaded("", "", "", "a"), &[]);
    let logged = served.logged();
    assert_eq!(
        logged.matches("credentials read again").count(),
        1,
        "{logged}"
    );
    assert_eq!(logged.matches(kept[1]).count(), 1, "{logged}");
    assert!(!logged.contains("canary"), "{logged}");
}

#[test]
fn another_authority_is_another_backend() {
    let pem = |name: &str| {
        let path = format!(
            "{}/tests/fixtures/tls/{name}.pem",
            env!("CARGO_MANIFEST_DIR")
        );
        fs::read_to_string(path).unwrap()
    };
    let backend = nsx("a", "").replace("[[backends]]\n", "[[backends]]\nca_file = \"ca.pem\"\n");
    let configured = Configured::new(&format!("{HEAD}{backend}{}", nsx("b", "")));
    configured.write("ca.pem", &pem("self_signed_ca_true"));
    let served = configured.serve();
    configured.write("ca.pem", &pem("self_signed_ca_false"));
    line(
        &served,
        &reloaded("", "a", "", "b"),
        &["cause=\"a file changed\""],
    );
    configured.write("ca.pem", "nothing of the kind");
    let refused = served.line(&["configuration not reloaded"]);
    assert!(refused.contains("`ca_file`"), "{refused}");
}

#[test]
fn no_hangup_ends_it_while_it_starts_or_drains() {
    let configured = Configured::new(&format!(
        "{HEAD}[telemetry]\nlog_filter = \"info\"\n{}",
        nsx("a", "")
    ));
    let mut served = configured.serve();
    for _ in 0..20 {
        served.signal("HUP");
    }
    line(&served, &reloaded("", "", "", "a"), &[]);
    served.signal("TERM");
    let status = served.end(|served| served.signal("HUP"));
    assert_eq!(status.code(), Some(0), "{}", served.logged());
    served.line(&["ended"]);
}
