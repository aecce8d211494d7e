//! The configuration file with the dialects of this build: the settings that each accepts of a backend, and the errors
//! for others.

use super::*;
use crate::config::tests::surroundings;

fn parsed(text: &str) -> Result<Bound, Problems> {
    // A second installation fails, which is fine: it is the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = Path::new("folder");
    Config::parse(text, "f.toml", folder, &surroundings(), &OverInternet)
}

/// Every backend, complete except for its name and dialect, by dialect and kind of login.
const COMPLETE: &[(&str, &str)] = &[
    (
        "nsx",
        "url = \"https://nsx\"\nauth = { kind = \"bearer\", token = \"t\" }",
    ),
    (
        "openstack",
        "url = \"https://neutron\"\nauth = { kind = \"none\" }",
    ),
];

/// Returns the problems of a complete backend of this dialect, with more keys at its end and in its `auth`.
fn said_of(dialect: &str, key: &str, login_key: &str) -> Vec<String> {
    let (_, complete) = COMPLETE.iter().find(|(name, _)| *name == dialect).unwrap();
    let complete = complete.replace(" }", &format!("{login_key} }}"));
    let text = format!("[[backends]]\nname = \"a\"\ndialect = \"{dialect}\"\n{complete}\n{key}\n");
    match parsed(&text) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.to_string().lines().map(str::to_owned).collect(),
    }
}

#[test]
fn every_dialect_lists_what_it_takes_where_a_key_is_unknown() {
    let common = "name, dialect, timeout, read_only, poll";
    let nsx = "kind, username, password, password_env, password_file, token, token_env, token_file";
    let openstack = "kind, auth_url, username, password, password_env, password_file, project_name, project_id, \
                     user_domain_id, project_domain_id, region, application_credential_id, \
                     application_credential_secret, application_credential_secret_env, \
                     application_credential_secret_file";
    for (dialect, keys, login_keys) in [
        ("nsx", "url, ca_file, insecure_skip_verify, auth", nsx),
        (
            "openstack",
            "variant, url, ca_file, insecure_skip_verify, auth",
            openstack,
        ),
    ] {
        assert_eq!(said_of(dialect, "", ""), [""; 0]);
        let said = said_of(dialect, "colour = 1", ", colour = 1");
        assert_eq!(said.len(), 2, "{said:#?}");
        assert!(said[0].starts_with("f.toml:5:"), "{said:#?}");
        assert!(
            said[0].ends_with(&format!(
                "unknown key \"colour\" in `auth`; known are: {login_keys}"
            )),
            "{said:#?}"
        );
        assert_eq!(
            said[1],
            format!(
                "f.toml:6:1: unknown key \"colour\" in this backend; known are: {common}, {keys}"
            )
        );
    }
    let names: Vec<&str> = COMPLETE.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, OverInternet.names(), "a dialect is missing here");
}

#[test]
fn a_key_of_another_dialect_is_refused_by_name() {
    for (dialect, key, login_key) in [
        ("nsx", "variant = \"otc\"", "region = \"RegionOne\""),
        ("nsx", "", "project_id = \"p\""),
        ("nsx", "", "auth_url = \"https://keystone\""),
        ("nsx", "", "application_credential_secret = \"canary\""),
        ("openstack", "", "token = \"canary\""),
        ("openstack", "", "token_file = \"nowhere\""),
    ] {
        let said = said_of(dialect, key, &format!(", {login_key}"));
        let keys = [login_key, key].into_iter().filter(|key| !key.is_empty());
        let keys: Vec<&str> = keys.map(|key| key.split(' ').next().unwrap()).collect();
        assert_eq!(said.len(), keys.len(), "{said:#?}");
        for (line, key) in said.iter().zip(keys) {
            assert!(
                line.contains(&format!(": unknown key \"{key}\" in ")),
                "{line}"
            );
            assert!(!line.contains("canary"), "{line}");
        }
    }
}

#[test]
fn a_login_of_another_dialect_is_refused_with_those_that_there_are() {
    for (dialect, kind, known) in [
        ("nsx", "password", "\"basic\", \"session\", \"bearer\""),
        (
            "openstack",
            "basic",
            "\"password\", \"application_credential\", \"none\"",
        ),
    ] {
        let text = format!(
            "[[backends]]\nname = \"a\"\ndialect = \"{dialect}\"\nurl = \"https://c\"\nauth.kind = \"{kind}\"\n"
        );
        let said = parsed(&text).unwrap_err().to_string();
        assert_eq!(
            said,
            format!("f.toml:5:13: `kind` is \"{kind}\"; it must be one of {known}")
        );
    }
}

/// Every dialect accepts its part of the example, and shows no secret.
#[test]
fn the_documented_example_works() {
    let text = include_str!("../../../deploy/isthmus.example.toml");
    let config = parsed(text).unwrap();
    let dialects: Vec<&str> = config
        .backends
        .iter()
        .map(|(_, dialect)| dialect.capabilities().dialect)
        .collect();
    assert_eq!(dialects, ["nsx", "openstack", "openstack", "nsx"]);
    let shown = format!("{config:?}");
    for secret in ["canary", "from-the-environment", "from-a-file"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn what_a_dialect_needs_is_told_for_all_backends_at_once() {
    let said = parsed(
        "[[backends]]\nname = \"a\"\ndialect = \"nsx\"\n[backends.auth]\nkind = \"basic\"\n\
         [[backends]]\nname = \"b\"\ndialect = \"openstack\"\nca_file = \"no/such\"\n\
         auth = { kind = \"password\", auth_url = \"https://k\", username = \"u\", password_env = \"NOT_SET\" }\n\
         [[backends]]\nname = \"c\"\ndialect = \"nsx\"\nurl = \"https://n/path\"\n",
    );
    let said = said.unwrap_err().to_string();
    let lines: Vec<&str> = said.lines().collect();
    for (line, start) in lines.iter().zip([
        "f.toml:1:1: `url`: must be the https:// address of an NSX manager",
        "f.toml:4:11: `auth.password`: must be given, as `password`, `password_env` or `password_file`",
        "f.toml:4:11: `auth.username`: must be given",
        "f.toml:10:1: `auth.project_name`: must be given, or `project_id`",
        "f.toml:10:84: the environment variable that `password_env` names is not set",
        "f.toml:11:1: `auth.kind`: must be one of `basic`, `session`, `bearer`",
        "f.toml:14:1: `url`: must be the https:// address of an NSX manager",
    ]) {
        assert!(line.starts_with(start), "{line}\n{start}");
    }
    assert_eq!(lines.len(), 7, "{said}");
}

#[test]
fn what_works_and_is_dangerous_is_warned_of() {
    let backend = |more: &str| {
        format!(
            "[[backends]]\nname = \"a\"\ndialect = \"nsx\"\nauth = {{ kind = \"bearer\", token_env = \"ISTHMUS_NSX_PASSWORD\" }}\n{more}\n"
        )
    };
    let warned = |text: &str| -> Vec<String> {
        let config = parsed(text).unwrap();
        let told = config.warnings.iter();
        told.map(|warning| format!("{}: {}", warning.place("f"), warning.message))
            .collect()
    };
    for safe in [
        "url = \"https://nsx.example\"",
        "url = [\"http://127.0.0.1:1\", \"http://[::1]:1\", \"http://[::ffff:127.0.0.1]\", \"http://localhost\"]",
        "url = \"https://nsx.example\"\ninsecure_skip_verify = false",
    ] {
        assert_eq!(warned(&backend(safe)), [""; 0], "{safe}");
    }
    for (dangerous, told) in [
        ("url = \"http://nsx.example\"", "f:5:7: `url` is http://"),
        (
            "url = [\"https://a\", \"http://192.0.2.1\"]",
            "f:5:21: `url` is http://",
        ),
        (
            "url = \"https://a\"\ninsecure_skip_verify = true",
            "f:6:24: `insecure_skip_verify`",
        ),
    ] {
        let warnings = warned(&backend(dangerous));
        assert!(
            warnings.len() == 1 && warnings[0].starts_with(told),
            "{warnings:?}"
        );
    }
    let keystone = "[[backends]]\nname = \"a\"\ndialect = \"openstack\"\nauth = { kind = \"password\", \
                    auth_url = \"http://keystone.example\", username = \"u\", password = \"canary\", \
                    project_name = \"p\" }\n";
    let warnings = warned(keystone);
    assert!(
        warnings.len() == 1 && warnings[0].contains("`auth_url` is http://"),
        "{warnings:?}"
    );
}
