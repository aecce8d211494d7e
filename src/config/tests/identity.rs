//! What makes a backend a different one.

use super::*;
use crate::core::settings::Identity;

fn identity_among(planted: &Planted, more: &str) -> Identity {
    let everything = Everything { refuses: &[] };
    let text = format!("{BACKEND}{more}");
    let config = Config::parse(&text, "f", Path::new("folder"), planted, &everything);
    config
        .unwrap_or_else(|problems| panic!("{problems}"))
        .backends[0]
        .0
        .identity
}

fn identity(more: &str) -> Identity {
    identity_among(&surroundings(), more)
}

#[test]
fn how_a_backend_is_polled_and_whether_it_is_written_to_is_not_who_it_is() {
    let plain = identity("url = \"https://n\"\nauth = { kind = \"basic\", username = \"u\" }\n");
    for same in [
        "url = \"https://n\"\nread_only = true\nauth = { kind = \"basic\", username = \"u\" }\n",
        "url = \"https://n\"\npoll = { stable = \"50s\" }\nauth = { kind = \"basic\", username = \"u\" }\n",
        // The same, spelled differently.
        "# here\nurl = 'https://n'\n[backends.auth]\nusername = \"u\"\nkind = \"basic\"\n",
    ] {
        assert!(identity(same) == plain, "{same}");
    }
    for other in [
        "url = [\"https://n\"]\nauth = { kind = \"basic\", username = \"u\" }\n",
        "url = \"https://m\"\nauth = { kind = \"basic\", username = \"u\" }\n",
        "url = \"https://n\"\nauth = { kind = \"basic\", username = \"v\" }\n",
        "url = \"https://n\"\nauth = { kind = \"session\", username = \"u\" }\n",
        "url = \"https://n\"\ntimeout = \"9s\"\nauth = { kind = \"basic\", username = \"u\" }\n",
        "url = \"https://n\"\nauth = { kind = \"basic\", username = \"u\", password = \"p\" }\n",
    ] {
        assert!(identity(other) != plain, "{other}");
    }
    assert_eq!(format!("{plain:?}"), "Identity(..)");
}

#[test]
fn the_content_of_an_authority_counts_and_that_of_a_secret_does_not() {
    let with = |file: &str, text: &str, more: &str| {
        let mut planted = surroundings();
        planted.files.insert(PathBuf::from(file), text.to_owned());
        identity_among(&planted, more)
    };
    let authority = |text| with("folder/ca.pem", text, "ca_file = \"ca.pem\"\n");
    assert!(authority("one") == authority("one"));
    assert!(authority("one") != authority("two"));
    let secret = |text| {
        let auth = "auth = { kind = \"basic\", password_file = \"secret\" }\n";
        with("folder/secret", text, auth)
    };
    assert!(secret("one") == secret("two"));
}

#[test]
fn keys_outside_of_backends_are_told_apart_by_name() {
    let others = |text: &str| parse(&format!("{text}{BACKEND}")).unwrap().others;
    let here = others("[server]\ndrain = \"1s\"\n[watch]\nheartbeat = \"9s\"\n");
    let names: Vec<&str> = here.keys().map(String::as_str).collect();
    assert_eq!(names, ["server.drain", "watch.heartbeat"]);
    let there = others("[watch]\nheartbeat = \"8s\"\n[server]\ndrain = '1s'\n");
    assert_eq!(here["server.drain"], there["server.drain"]);
    assert_ne!(here["watch.heartbeat"], there["watch.heartbeat"]);
}

#[test]
fn secrets_in_files_are_known_by_their_backend() {
    let text = format!("{BACKEND}auth = {{ kind = \"basic\", password_file = \"secret\" }}\n");
    let config = parse(&text).unwrap();
    assert_eq!(config.secrets.len(), 1);
    assert_eq!(config.secrets[0].backend, "a");
    // The dialect of this test keeps none.
    assert!(config.secrets[0].secret.upgrade().is_none());
}
