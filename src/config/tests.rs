//! What a file says, and the problems reported for a file that is wrong.

mod identity;

use super::*;
use crate::{
    core::{settings::PollSettings, table::Table},
    files::Others,
};
use secrecy::ExposeSecret;
use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// Dialects that accept everything in the documented example, and keep it by key, including secrets.
struct Everything {
    /// The keys that they refuse.
    refuses: &'static [&'static str],
}

type Taken = BTreeMap<&'static str, String>;

impl Dialects for Everything {
    type Bound = Taken;

    fn names(&self) -> Vec<&'static str> {
        vec!["nsx", "openstack"]
    }

    fn bind(&self, _dialect: &str, table: &mut dyn Table, _timeout: Duration) -> Option<Taken> {
        let mut taken = Taken::new();
        let mut take = |key, value: Option<String>| taken.extend(value.map(|value| (key, value)));
        take("url", Some(table.urls("url").join(" ")));
        let ca_file = table.path("ca_file");
        take("ca_file", ca_file.map(|path| path.display().to_string()));
        take(
            "insecure",
            Some(table.flag("insecure_skip_verify").to_string()),
        );
        let kinds = [
            "basic",
            "session",
            "bearer",
            "password",
            "application_credential",
        ];
        take(
            "auth.kind",
            table.word("auth.kind", &kinds).map(str::to_owned),
        );
        take("auth.auth_url", table.url("auth.auth_url"));
        for key in [
            "variant",
            "auth.username",
            "auth.project_name",
            "auth.project_id",
            "auth.user_domain_id",
            "auth.project_domain_id",
            "auth.region",
            "auth.application_credential_id",
        ] {
            take(key, table.text(key));
        }
        for key in [
            "auth.password",
            "auth.token",
            "auth.application_credential_secret",
        ] {
            let secret = table.secret(key);
            take(
                key,
                secret.map(|secret| secret.now().text.expose_secret().to_owned()),
            );
        }
        for key in self.refuses {
            table.refuse(key, "is not right");
        }
        Some(taken)
    }
}

/// Surroundings for a test.
#[derive(Default)]
pub(crate) struct Planted {
    variables: HashMap<String, String>,
    /// By full path.
    files: HashMap<PathBuf, String>,
    /// By full path.
    others: HashMap<PathBuf, Others>,
}

impl Surroundings for Planted {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn secret_file(&self, path: &Path) -> io::Result<String> {
        let text = self.files.get(path).cloned();
        text.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn plain_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.secret_file(path).map(String::into_bytes)
    }

    fn others(&self, path: &Path) -> Others {
        self.others.get(path).copied().unwrap_or_default()
    }
}

/// The surroundings that the documented example refers to.
pub(crate) fn surroundings() -> Planted {
    let planted = [
        ("ISTHMUS_NSX_PASSWORD", "from-the-environment"),
        ("ISTHMUS_OPENSTACK_SECRET", "canary"),
        ("EMPTY", ""),
    ];
    let files = [
        (
            "/run/credentials/isthmus.service/openstack-password",
            "from-a-file\n",
        ),
        ("/run/credentials/isthmus.service/nsx-token", "canary"),
        ("folder/secret", "two words \r\n"),
    ];
    Planted {
        variables: planted.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        files: files.map(|(k, v)| (PathBuf::from(k), v.to_owned())).into(),
        others: HashMap::new(),
    }
}

fn parse_with(text: &str, dialects: &Everything) -> Result<Config<Taken>, Problems> {
    Config::parse(
        text,
        "f.toml",
        Path::new("folder"),
        &surroundings(),
        dialects,
    )
}

fn parse(text: &str) -> Result<Config<Taken>, Problems> {
    parse_with(text, &Everything { refuses: &[] })
}

/// Checks that each line of `expected` begins the corresponding line of the problems.
#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    let said = parse(text).unwrap_err().to_string();
    let lines: Vec<&str> = said.lines().collect();
    let agree = lines.len() == expected.len()
        && lines
            .iter()
            .zip(expected)
            .all(|(line, expected)| line.starts_with(expected));
    assert!(agree, "said:\n{said}\nexpected:\n{}", expected.join("\n"));
}

const BACKEND: &str = "[[backends]]\nname = \"a\"\ndialect = \"nsx\"\n";

#[test]
fn the_documented_example_is_read() {
    let text = include_str!("../../deploy/isthmus.example.toml");
    let config = parse(text).unwrap();
    assert_eq!(config.server, ServerConfig::default());
    assert_eq!(config.watch, WatchConfig::default());
    assert_eq!(config.telemetry, TelemetryConfig::default());
    let [nsx, password, credential, bearer] = &config.backends[..] else {
        panic!("four backends")
    };
    let (settings, taken) = nsx;
    assert_eq!(settings.name.as_str(), "nsx-a");
    assert_eq!(settings.poll, PollSettings::default());
    assert_eq!(settings.timeout, BackendSettings::DEFAULT_TIMEOUT);
    assert_eq!(taken["url"].split(' ').count(), 2);
    assert_eq!(taken["auth.kind"], "session");
    assert_eq!(taken["auth.password"], "from-the-environment");
    assert_eq!(password.1["auth.password"], "from-a-file");
    assert_eq!(password.1["variant"], "neutron");
    assert_eq!(credential.1["auth.kind"], "application_credential");
    assert_eq!(credential.1["auth.application_credential_secret"], "canary");
    assert!(bearer.0.read_only && bearer.1["auth.token"] == "canary");
}

#[test]
fn every_key_of_the_example_that_is_commented_out_is_a_known_one() {
    let text = include_str!("../../deploy/isthmus.example.toml");
    let is_key = |line: &str| {
        line.split_once(" = ")
            .is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
    };
    let whole: Vec<&str> = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if is_key(rest) => rest,
            _ => line,
        })
        .collect();
    let config = parse(&whole.join("\n")).unwrap();
    let server = ServerConfig {
        max_connection_age: Some(Duration::from_secs(3600)),
        ..ServerConfig::default()
    };
    assert_eq!(config.server, server);
    assert_eq!(config.watch, WatchConfig::default());
    assert_eq!(
        config.telemetry.otlp_endpoint.as_deref(),
        Some("http://127.0.0.1:4317")
    );
    let page = config.telemetry.metrics_listen.map(|at| at.to_string());
    assert_eq!(page.as_deref(), Some("127.0.0.1:9464"));
    assert_eq!(config.telemetry.log_filter.as_deref(), Some("info"));
    assert_eq!(config.telemetry.trace_sample, 1.0);
    assert_eq!(config.backends[1].1["auth.region"], "RegionOne");
    assert_eq!(config.backends[0].1["ca_file"], "folder/nsx-ca.pem");
}

#[test]
fn everything_wrong_is_told_at_once_with_its_line() {
    refused(
        r#"
lisen = 1
[server]
listen = "0.0.0.0:50051"
max_streams = 0
drain = 10
[watch]
heartbeat = "15"
[telemetry]
log = "xml"
log_filter = "inof"
[[backends]]
name = "a"
dialect = "nsx"
url = ["ftp://x", 5, "https://admin:canary@nsx"]
timeout = "1 fortnight"
auth = { kind = "magic", password = 5, colour = "red" }
poll = { fresh = "5s", stable = "1s" }
[[backends]]
name = "A"
read_only = "yes"
"#,
        &[
            "f.toml:2:1: unknown key \"lisen\" in the file; known are: server, watch, store, telemetry, backends",
            "f.toml:4:10: `listen` is 0.0.0.0:50051, which others can reach",
            "f.toml:5:15: `max_streams` is 0; it must be a whole number from 1 to 100000",
            "f.toml:6:9: `drain` is a whole number; it must be a time with its unit in quotes",
            "f.toml:8:13: `heartbeat` is \"15\"; it must be a time with its unit in quotes",
            "f.toml:10:7: `log` is \"xml\"; it must be one of \"text\", \"json\"",
            "f.toml:11:14: `log_filter` cannot be read: \"inof\" is no level; write levels",
            "f.toml:15:8: `url` must be http:// or https://",
            "f.toml:15:19: `url` is a whole number; it must be a URL in quotes",
            "f.toml:15:22: `url` must hold no user name or password",
            "f.toml:16:11: `timeout` is \"1 fortnight\"",
            "f.toml:17:17: `kind` is \"magic\"; it must be one of \"basic\", \"session\"",
            "f.toml:17:37: `password` is a whole number; it must be text in quotes",
            "f.toml:17:40: unknown key \"colour\" in `auth`",
            "f.toml:18:8: `stable` is shorter than `fresh`",
            "f.toml:19:1: this backend has no `dialect`",
            "f.toml:20:8: `name` is \"A\"; it must be 1 to 63 of a-z",
            "f.toml:21:13: `read_only` is text; it must be true or false",
        ],
    );
}

#[test]
fn limits_follow_the_limits_they_are_part_of() {
    let server = |text: &str| parse(&format!("{text}\n{BACKEND}")).unwrap().server;
    let few = server("[server]\nmax_connections = 5\nmax_buffered_mib = 16");
    assert_eq!(few.max_connections_per_address, 3);
    assert_eq!(few.max_buffered_mib_per_connection, 16);
    let lifted = server("[server]\nmax_connections_per_address = 10000");
    assert_eq!(lifted.max_connections_per_address, 10_000);
    let patient = server("[watch]\nstall = \"5min\"\nheartbeat = \"20s\"");
    assert_eq!(patient.answer_timeout, Duration::from_secs(640));
    refused(
        &format!(
            "[server]\nmax_connections = 100\nmax_connections_per_address = 101\nmax_buffered_mib = 16\n\
             max_buffered_mib_per_connection = 17\nanswer_timeout = \"75s\"\n\
             request_timeout = \"0s\"\nmax_connection_age = \"5s\"\n{BACKEND}"
        ),
        &[
            "f.toml:3:31: `max_connections_per_address` is 101; it must be a whole number from 1 to 100",
            "f.toml:5:35: `max_buffered_mib_per_connection` is 17; it must be a whole number from 4 to 16",
            "f.toml:6:18: `answer_timeout` is \"75s\"; it must be a time with its unit in quotes, from \"1m 16s\"",
            "f.toml:7:19: `request_timeout` is \"0s\"; it must be a time",
            "f.toml:8:22: `max_connection_age` is \"5s\"; it must be a time with its unit in quotes, from \"10s\"",
        ],
    );
}

#[test]
fn what_is_no_toml_is_told_as_such() {
    let said = parse("[server\nlisten = \"127.0.0.1:1\"\n")
        .unwrap_err()
        .to_string();
    assert!(said.starts_with("f.toml:1:"), "{said}");
    assert!(said.contains("not TOML: "), "{said}");
    let said = parse("[server]\ndrain = \"1s\"\ndrain = \"2s\"\n")
        .unwrap_err()
        .to_string();
    assert!(
        said.starts_with("f.toml:3:1: not TOML: duplicate key"),
        "{said}"
    );
}

#[test]
fn a_file_without_backends_is_of_no_use() {
    refused(
        "",
        &["f.toml:1:1: the file has no `backends`: at least one"],
    );
    refused("backends = []", &["f.toml:1:12: `backends` is empty"]);
    refused(
        "backends = 3",
        &["f.toml:1:12: `backends` is a whole number"],
    );
    refused(
        "backends = [3]",
        &["f.toml:1:13: `backends` is a whole number"],
    );
}

#[test]
fn two_backends_of_one_name_are_refused_where_the_second_is() {
    refused(
        &format!("{BACKEND}{BACKEND}"),
        &["f.toml:5:8: a second backend named \"a\"; the first is in line 2"],
    );
}

#[test]
fn a_secret_comes_from_one_place_that_has_it() {
    let auth = |line: &str| format!("{BACKEND}auth = {{ kind = \"basic\", {line} }}\n");
    refused(
        &auth(r#"password = "canary", password_env = "ISTHMUS_NSX_PASSWORD""#),
        &[
            "f.toml:4:62: `password_env` beside `password`: give one of password, password_env, password_file",
        ],
    );
    refused(
        &auth(r#"password_env = "canary""#),
        &["f.toml:4:41: the environment variable that `password_env` names is not set"],
    );
    refused(
        &auth(r#"token_env = "EMPTY""#),
        &["f.toml:4:38: the secret of `token_env` is empty"],
    );
    refused(
        &auth(r#"password_file = "nowhere""#),
        &["f.toml:4:42: `password_file` cannot be read from folder/nowhere: entity not found"],
    );
    let config = parse(&auth(r#"password_file = "secret""#)).unwrap();
    assert_eq!(config.backends[0].1["auth.password"], "two words ");
    refused(
        &auth(r#"password = "canary", password_env = "EMPTY", password_file = "secret""#),
        &["f.toml:4:62: `password_env` beside `password`"],
    );
}

#[test]
fn no_problem_repeats_a_secret() {
    for line in [
        "url = \"https://admin:canary@nsx\"",
        "auth = { kind = \"password\", auth_url = \"http://a:canary@k\" }",
        "auth = { kind = \"basic\", password = [\"canary\"] }",
        "auth = { kind = \"basic\", password_env = \"canary\" }",
        "auth = { kind = \"basic\", token = \"canary\", token_file = \"canary\" }",
        "auth = { kind = \"basic\", password = \"canary }",
    ] {
        let said = format!("{:?}", parse(&format!("{BACKEND}{line}\n")).unwrap_err());
        assert!(!said.contains("canary"), "{said}");
    }
}

#[test]
fn what_a_dialect_finds_is_told_at_the_key_it_names() {
    let text = format!(
        "{BACKEND}url = \"http://a\"\n[backends.auth]\nkind = \"basic\"\npassword_env = \"ISTHMUS_NSX_PASSWORD\"\n"
    );
    let refuses = &[
        "url",
        "auth.password",
        "auth.username",
        "variant",
        "auth.kind",
    ];
    let said = parse_with(&text, &Everything { refuses });
    let said = said.unwrap_err().to_string();
    assert_eq!(
        said,
        "f.toml:1:1: `variant`: is not right\n\
         f.toml:4:1: `url`: is not right\n\
         f.toml:5:11: `auth.username`: is not right\n\
         f.toml:6:1: `auth.kind`: is not right\n\
         f.toml:7:1: `auth.password`: is not right"
    );
}

#[test]
fn what_is_wrong_already_is_not_told_again() {
    let told = |more: &str, refuses| -> Vec<String> {
        let said = parse_with(&format!("{BACKEND}{more}"), &Everything { refuses });
        let said = said.unwrap_err().to_string();
        said.lines().map(str::to_owned).collect()
    };
    let wrong = "url = \"ftp://x\"\ncolour = 1\nauth = { kind = 5, password_env = \"NOT_SET\" }\n";
    let told_once = told(
        wrong,
        &["url", "auth.kind", "auth.password", "auth.password"],
    );
    assert_eq!(told_once.len(), 4, "{told_once:#?}");
    assert!(told_once.iter().all(|line| !line.contains("is not right")));
    assert_eq!(
        told("auth = 5\n", &["auth.kind", "auth.username", "auth"]),
        ["f.toml:4:8: `auth` is a whole number; it must be a table"]
    );
    assert_eq!(
        told("auth = {}\n", &["auth.kind", "auth.kind"]),
        ["f.toml:4:1: `auth.kind`: is not right"]
    );
}

#[test]
fn of_an_unknown_dialect_nothing_else_is_told_that_only_it_would_know() {
    refused(
        "[[backends]]\nname = \"a\"\ndialect = \"cisco\"\ncolour = 1\ntimeout = 5\nurl = \"ftp://x\"\n",
        &[
            "f.toml:3:1: `dialect`: must be one of `nsx`, `openstack`",
            "f.toml:5:11: `timeout` is a whole number",
        ],
    );
    refused(
        "[[backends]]\nname = \"a\"\ndialect = 5\n",
        &["f.toml:3:11: `dialect` is a whole number"],
    );
    refused(
        "[[backends]]\nname = \"a\"\n",
        &[
            "f.toml:1:1: this backend has no `dialect`: which API it speaks, \"nsx\" or \"openstack\"",
        ],
    );
}

#[test]
fn other_addresses_are_listened_on_if_that_is_meant() {
    let text = format!("server = {{ listen = \"[::]:1\", allow_non_loopback = true }}\n{BACKEND}");
    assert_eq!(parse(&text).unwrap().server.listen.to_string(), "[::]:1");
    refused(
        &format!("server = {{ listen = \"localhost:1\" }}\n{BACKEND}"),
        &["f.toml:1:21: `listen` is \"localhost:1\"; it must be an IP address and a port"],
    );
}

#[test]
fn the_page_of_metrics_is_for_this_machine_unless_others_are_meant() {
    let telemetry = |keys: &str| format!("telemetry = {{ {keys} }}\n{BACKEND}");
    let page = |keys: &str| parse(&telemetry(keys)).unwrap().telemetry.metrics_listen;
    assert_eq!(page(""), None);
    assert_eq!(
        page("metrics_listen = \"[::1]:9\"").map(|at| at.port()),
        Some(9)
    );
    let open = "metrics_listen = \"0.0.0.0:9464\"";
    assert!(page(&format!("{open}, allow_non_loopback = true")).is_some());
    // What is allowed for the gateway is not thereby allowed for the page.
    refused(
        &format!(
            "server = {{ allow_non_loopback = true }}\n{}",
            telemetry(open)
        ),
        &["f.toml:2:32: `metrics_listen` is 0.0.0.0:9464, which others can reach"],
    );
    refused(
        &telemetry("metrics_listen = \"9464\""),
        &[
            "f.toml:1:32: `metrics_listen` is \"9464\"; it must be an IP address and a port, for example \"127.0.0.1:9464\"",
        ],
    );
}

#[test]
fn a_file_that_is_not_there_is_told_by_name() {
    let path = Path::new("no/such/isthmus.toml");
    let everything = Everything { refuses: &[] };
    let said = Config::load(path, &surroundings(), &everything).unwrap_err();
    assert!(
        said.to_string()
            .starts_with("no/such/isthmus.toml: cannot be read: "),
        "{said}"
    );
}

#[test]
fn the_store_is_a_file_from_the_folder_of_the_configuration() {
    const BACKEND: &str = "[[backends]]\nname = \"a\"\ndialect = \"nsx\"\nurl = \"https://nsx\"\n\
                           auth = { kind = \"bearer\", token = \"t\" }\n";
    let path = |store: &str| parse(&format!("{store}{BACKEND}")).unwrap().store.path;
    assert_eq!(path(""), None);
    let here = path("[store]\npath = \"log.redb\"\n");
    assert_eq!(here, Some(PathBuf::from("folder/log.redb")));
    let there = path("[store]\npath = \"/var/lib/isthmus/log.redb\"\n");
    assert_eq!(there, Some(PathBuf::from("/var/lib/isthmus/log.redb")));
    let problems = parse(&format!("[store]\npath = \"\"\n{BACKEND}")).unwrap_err();
    let told = problems.to_string();
    assert!(told.contains("f.toml:2:8: `path` is empty"), "{told}");
}

#[test]
fn files_that_are_others_too_are_warned_of() {
    let text = "[store]\npath = \"log.redb\"\n[[backends]]\nname = \"a\"\ndialect = \"nsx\"\nurl = \"https://n\"\n\
                auth = { kind = \"bearer\", token_file = \"secret\" }\n";
    let mut planted = surroundings();
    let read = Others {
        read: true,
        write: false,
    };
    let write = Others {
        read: false,
        write: true,
    };
    planted
        .others
        .insert(PathBuf::from("folder/log.redb"), read);
    planted.others.insert(PathBuf::from("folder/secret"), write);
    let everything = Everything { refuses: &[] };
    let config = Config::parse(text, "f", Path::new("folder"), &planted, &everything);
    let warnings = config.unwrap().warnings;
    let told: Vec<&str> = warnings
        .iter()
        .map(|warning| warning.message.as_str())
        .collect();
    assert_eq!(
        told,
        [
            "every user of this machine can read folder/log.redb: `chmod o-rw` it",
            "every user of this machine can change folder/secret: `chmod o-rw` it",
        ]
    );

    // The file itself: that others can read it is wrong only if it holds secrets.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("isthmus.toml");
    let told = |text: &str, others: Others| -> Vec<String> {
        std::fs::write(&path, text).unwrap();
        let mut planted = surroundings();
        planted.others.insert(path.clone(), others);
        let config = Config::load(&path, &planted, &everything).unwrap();
        config
            .warnings
            .into_iter()
            .map(|warning| warning.message)
            .collect()
    };
    let backend = |auth: &str| {
        format!(
            "[[backends]]\nname = \"a\"\ndialect = \"nsx\"\nurl = \"https://n\"\nauth = {{ kind = \"bearer\", {auth} }}\n"
        )
    };
    let (inside, outside) = (
        backend("token = \"canary\""),
        backend("token_env = \"ISTHMUS_NSX_PASSWORD\""),
    );
    assert_eq!(told(&outside, read), [""; 0]);
    assert!(told(&inside, read)[0].contains("it holds secrets"));
    assert!(told(&outside, write)[0].contains("can change this file"));
    assert_eq!(told(&inside, Others::default()), [""; 0]);
}

#[test]
fn known_keys_are_named_once() {
    let problems = parse(&format!(
        "{BACKEND}colour = 1\nurl = \"https://n\"\nauth = {{ colour = 1 }}\n"
    ));
    let told = problems.unwrap_err().to_string();
    let known: Vec<&str> = told
        .lines()
        .filter_map(|line| line.split_once("known are: "))
        .map(|(_, known)| known)
        .collect();
    assert_eq!(known.len(), 2, "{told}");
    for known in known {
        let mut keys: Vec<&str> = known.split(", ").collect();
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count, "{known}");
    }
}

#[test]
fn loopback_is_loopback_in_ipv6_too() {
    let text = "[server]\nlisten = \"[::ffff:127.0.0.1]:1\"\n";
    assert!(parse(&format!("{text}{BACKEND}")).is_ok());
    assert!(parse(&format!("{}{BACKEND}", text.replace("127.0", "192.0"))).is_err());
}

#[test]
fn a_share_of_traces_is_a_number_from_nothing_to_all() {
    let of = |share: &str| {
        format!(
            "[telemetry]\ntrace_sample = {share}\n[[backends]]\nname = \"a\"\ndialect = \"nsx\"\nurl = \"https://n\"\n\
             auth = {{ kind = \"basic\", username = \"u\", password = \"p\" }}\n"
        )
    };
    for (written, share) in [("0", 0.0), ("0.01", 0.01), ("1", 1.0), ("1.0", 1.0)] {
        let config = parse(&of(written)).unwrap();
        assert_eq!(config.telemetry.trace_sample, share, "{written}");
    }
    for written in ["1.5", "-0.1", "2", "nan", "inf"] {
        let said = format!(
            "f.toml:2:16: `trace_sample` is {written}; it must be a number from 0.0 to 1.0"
        );
        refused(&of(written), &[&said]);
    }
    let said = "f.toml:2:16: `trace_sample` is text; it must be a number from 0.0 to 1.0";
    refused(&of("\"all\""), &[said]);
}
