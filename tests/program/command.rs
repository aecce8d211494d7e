//! The program itself, as a shell sees it: what it prints, and how it ends.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

fn isthmus(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_isthmus"))
        .args(arguments)
        .env_remove("RUST_LOG")
        .output()
        .expect("the program was built for this test")
}

fn written(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).expect("cargo made this folder for tests");
    path
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(not(feature = "demo"))]
#[test]
fn a_build_without_the_demo_says_how_to_have_it() {
    for arguments in [vec!["demo"], vec!["demo", "--once"]] {
        let output = isthmus(&arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output.stderr).contains("cargo run --release -- demo"));
    }
    let help = text(&isthmus(&["--help"]).stdout);
    assert!(help.contains("this build does not include"), "{help}");
    assert!(!help.contains("isthmus demo "), "{help}");
}

#[cfg(feature = "demo")]
#[test]
fn the_demo_shows_a_connection_become_real_on_each_cloud() {
    let output = isthmus(&["demo", "--once", "--listen", "127.0.0.1:0"]);
    let (shown, complaints) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{shown}\n{complaints}");
    for (label, state) in [
        ("nsx-demo ", "IN_PROGRESS"),
        ("nsx-demo ", "REALIZED     control-plane"),
        ("openstack-demo ", "PENDING_CREATE"),
        ("openstack-demo ", "ACTIVE       tunnel-up"),
    ] {
        let found = |line: &str| line.starts_with(label) && line.contains(state);
        assert!(shown.lines().any(found), "{label}{state}\n{shown}");
    }
    assert_eq!(shown.matches("the goal is reached").count(), 2, "{shown}");
    assert!(!shown.contains('\x1b'), "{shown:?}");
    assert_eq!(complaints, "");
}

#[test]
fn a_configuration_is_checked_without_starting_anything() {
    let good = written(
        "good.toml",
        "[[backends]]\nname = \"a\"\ndialect = \"nsx\"\nurl = \"https://127.0.0.1:9\"\n\
         auth = { kind = \"basic\", username = \"u\", password = \"canary\" }\n",
    );
    let output = isthmus(&["check-config", &good.to_string_lossy()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));

    let bad = written(
        "bad.toml",
        "[server]\nlisten = \"0.0.0.0:1\"\n[[backends]]\nname = \"a\"\ndialect = \"cisco\"\n\
         auth = { kind = \"basic\", password = \"canary\" }\n",
    );
    for arguments in [["check-config", "--config"], ["serve", "--config"]] {
        let output = isthmus(&[arguments[0], arguments[1], &bad.to_string_lossy()]);
        let complaints = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{complaints}");
        assert!(
            complaints.contains("bad.toml:2:10: `listen`"),
            "{complaints}"
        );
        assert!(
            complaints.contains("bad.toml:5:1: `dialect`"),
            "{complaints}"
        );
        assert!(!complaints.contains("canary"), "{complaints}");
    }
}

#[test]
fn a_log_filter_that_cannot_be_read_is_an_error_and_not_silence() {
    let config = |more: &str| {
        format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n{more}[[backends]]\nname = \"a\"\ndialect = \"nsx\"\n\
             url = \"http://127.0.0.1:9\"\nauth = {{ kind = \"basic\", username = \"u\", password = \"p\" }}\n"
        )
    };
    let (plain, wrong) = (
        written("no-filter.toml", &config("")),
        written(
            "wrong-filter.toml",
            &config("[telemetry]\nlog_filter = \"inof\"\n"),
        ),
    );
    for (file, variable, what) in [
        (
            &plain,
            "inof",
            "could not serve: the log filter cannot be read: RUST_LOG: \"inof\" is no level; write levels",
        ),
        (
            &wrong,
            "info",
            "wrong-filter.toml:4:14: `log_filter` cannot be read: \"inof\" is no level; write levels",
        ),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_isthmus"))
            .args(["serve", "--config", &file.to_string_lossy()])
            .env("RUST_LOG", variable)
            .output()
            .expect("the program was built for this test");
        let complaints = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{complaints}");
        assert!(complaints.contains(what), "{complaints}");
    }
}

#[cfg(unix)]
#[test]
fn what_works_and_is_dangerous_is_warned_of_and_nothing_is_waited_for() {
    use std::os::unix::fs::PermissionsExt;
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("dangerous");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).expect("cargo made the folder above");
    let backend = |more: &str| {
        format!(
            "[[backends]]\nname = \"a\"\ndialect = \"nsx\"\nurl = \"http://192.0.2.1\"\n{more}\n"
        )
    };
    let secret = "auth = { kind = \"basic\", username = \"u\", password = \"canary\" }";
    let file = folder.join("isthmus.toml");
    let name = file.to_string_lossy().into_owned();
    let store = "[store]\npath = \"isthmus.toml\"\n";
    fs::write(&file, format!("{store}{}", backend(secret))).expect("the folder is ours");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("the file is ours");

    let output = isthmus(&["check-config", &name]);
    let warnings = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{warnings}");
    assert!(text(&output.stdout).contains("nothing is wrong"));
    for warning in [
        "toml: warning: every user",
        "toml:6:7: warning: `url` is http://",
    ] {
        assert!(warnings.contains(warning), "{warnings}");
    }
    // At the start as well, which ends here because the store is to be the configuration itself.
    let output = isthmus(&["serve", "--config", &name]);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    for line in [
        "`url` is http://",
        "it holds secrets",
        "(`path` of [store]) cannot be used",
    ] {
        assert!(told.contains(line), "{told}");
    }
    assert!(text(&fs::read(&file).expect("it is still there")).contains("[[backends]]"));

    let pipe = folder.join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("every Unix has it").success());
    for (wrong, told) in [
        (
            "auth = { kind = \"bearer\", token_file = \"pipe\" }",
            "not a regular file",
        ),
        (
            "ca_file = \"pipe\"\nauth = { kind = \"bearer\", token = \"t\" }",
            "not a regular file",
        ),
        (
            "ca_file = \"isthmus.toml\"\nauth = { kind = \"bearer\", token = \"t\" }",
            "holds no certificate",
        ),
    ] {
        fs::write(&file, backend(wrong)).expect("the folder is ours");
        for command in [["check-config", "--config"], ["serve", "--config"]] {
            let output = isthmus(&[command[0], command[1], &name]);
            assert_eq!(output.status.code(), Some(2), "{output:?}");
            assert!(text(&output.stderr).contains(told), "{output:?}");
        }
    }
}

#[test]
fn a_reason_is_explained_without_a_gateway() {
    let output = isthmus(&["explain", "STALE_ETAG"]);
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        shown.contains("Read it again and repeat the change."),
        "{shown}"
    );
    let listed = text(&isthmus(&["explain"]).stdout);
    assert!(
        listed.contains("\nSTALE_ETAG ") && listed.contains("\nVANISHED "),
        "{listed}"
    );
    let output = isthmus(&["explain", "RED"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("`isthmus explain` lists all"));
}

#[test]
fn wrong_usage_and_nobody_there_end_differently() {
    for arguments in [
        vec!["watch"],
        vec!["watch", "a/b", "--goal", "paradise"],
        vec!["list", "--endpoint", "https://127.0.0.1:1"],
        vec!["demo", "--once", "--listen", "0.0.0.0:0"],
        vec!["get", "ike-policy"],
        vec!["get", "a/ikePolices/1"],
        vec!["list", "policies", "a"],
        vec!["update"],
        vec!["update", "-f", "Cargo.toml"],
        vec!["create", "a", "b", "c", "d"],
        vec!["delete", "attachment", "a/1"],
        vec!["completions", "cmd"],
    ] {
        assert_eq!(isthmus(&arguments).status.code(), Some(2), "{arguments:?}");
    }
    let output = isthmus(&["list", "--endpoint", "http://127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("is a gateway running at"),
        "{output:?}"
    );
}

/// The demo's gateway, which goes with this, and where it listens.
#[cfg(feature = "demo")]
struct Demo {
    process: std::process::Child,
    endpoint: String,
}

#[cfg(feature = "demo")]
impl Demo {
    fn start() -> Demo {
        use std::io::{BufRead, BufReader};
        let mut process = Command::new(env!("CARGO_BIN_EXE_isthmus"))
            .args(["demo", "--listen", "127.0.0.1:0"])
            .env_remove("RUST_LOG")
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("the program was built for this test");
        let out = process.stdout.take().expect("it is a pipe");
        let mut lines = BufReader::new(out).lines();
        let first = lines
            .next()
            .expect("it says where it listens")
            .expect("it speaks UTF-8");
        let address = first.split_whitespace().find(|it| it.starts_with("127."));
        let address = address.expect("an address").trim_end_matches('.');
        let endpoint = format!("http://{address}");
        // It goes on speaking, and must not be cut off.
        std::thread::spawn(move || lines.for_each(drop));
        Demo { process, endpoint }
    }

    fn ask(&self, arguments: &[&str]) -> Output {
        let endpoint = ["--endpoint", &self.endpoint];
        isthmus(&[arguments, &endpoint].concat())
    }
}

#[cfg(feature = "demo")]
impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[cfg(feature = "demo")]
#[test]
fn a_site_is_checked_described_and_removed() {
    let demo = Demo::start();
    let site = |name: &str| format!("{}/examples/sites/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let output = demo.ask(&["check", "-f", &site("route-based")]);
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    for line in [
        "nsx-demo        once attached",
        "openstack-demo  no",
        "  connection.route_based: ",
        "a stand-in was asked with",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    let router = "d3300000-0000-4000-8000-000000000010";
    let policy_based = site("policy-based");
    let output = demo.ask(&[
        "check",
        "-f",
        &policy_based,
        "openstack-demo",
        "--router",
        router,
    ]);
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        shown.contains("openstack-demo: would be created\n  create "),
        "{shown}"
    );

    let output = demo.ask(&["delete", "-f", &policy_based, "openstack-demo"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stdout).contains("there is no connection `site-policy-based`"));

    let listed = text(&demo.ask(&["list", "nsx-demo", "-o", "json"]).stdout);
    let (_, name) = listed.split_once("\"name\":\"").expect("the demo has one");
    let (name, _) = name.split_once('"').expect("a text has an end");
    let output = demo.ask(&["get", name, "-o", "yaml"]);
    let described = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for line in [
        &format!("connection:\n  name: {name}\n"),
        "\nparts:\n",
        "\nbackends:\n  nsx-demo:\n    router: ",
        "    localAddress: \"198.51.100.10\"",
    ] {
        assert!(described.contains(line), "{line}\n{described}");
    }
    let file = written("described.yaml", &described);
    let file = file.to_string_lossy();
    let output = demo.ask(&["check", "-f", &file, "nsx-demo"]);
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(shown.contains("nsx-demo  yes\n"), "{shown}");
    let output = demo.ask(&["update", "-f", &file]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(
        text(&output.stderr).contains("`isthmus apply -f FILE`"),
        "{output:?}"
    );

    let output = demo.ask(&["delete", "-f", &file, "--wait=1min"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        text(&output.stdout).contains("the goal is reached"),
        "{output:?}"
    );
    let listed = text(&demo.ask(&["list", "nsx-demo", "-o", "json"]).stdout);
    assert!(!listed.contains(name), "{listed}");
}

#[test]
fn completions_know_what_is_done_with_sites() {
    for shell in ["bash", "zsh", "fish"] {
        let script = text(&isthmus(&["completions", shell]).stdout);
        for word in ["apply", "check", "local-address", "write-key", "wait"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

/// A site on both clouds of the demo, with its key in the environment of whoever applies it.
#[cfg(feature = "demo")]
const SITE: &str = "\
connection:
  displayName: branch
  peer: {address: 203.0.113.99, pskEnv: PATH_OF_NO_KEY}
  dpd: {interval: 30s, timeout: 120s}
  policyBased:
    rules: [{sources: [10.10.1.0/24], destinations: [192.168.99.0/24]}]
parts:
  ikePolicy:
    encryptionAlgorithms: [ENCRYPTION_ALGORITHM_AES_CBC_256]
    integrityAlgorithms: [INTEGRITY_ALGORITHM_HMAC_SHA2_256_128]
    dhGroups: [DH_GROUP_MODP_2048]
  ipsecPolicy:
    encryptionAlgorithms: [ENCRYPTION_ALGORITHM_AES_CBC_256]
    integrityAlgorithms: [INTEGRITY_ALGORITHM_HMAC_SHA2_256_128]
    dhGroups: [DH_GROUP_MODP_2048]
backends:
  nsx-demo: {router: 2c1f6d0e-3b57-4d8a-9f62-0a7c5e91b402, localAddress: 198.51.100.20}
  openstack-demo: {router: d3300000-0000-4000-8000-000000000010}
";

#[cfg(feature = "demo")]
#[test]
fn a_site_is_applied_on_both_clouds_then_left_alone_changed_and_made_anew() {
    let demo = Demo::start();
    fs::write(written("site.key", ""), "Canary-key\n").expect("the file is ours");
    let applied = |name: &str, described: &str, more: &[&str]| {
        let file = written(name, described);
        let output = demo.ask(&[&["apply", "-f", &file.to_string_lossy()], more].concat());
        let (shown, told) = (text(&output.stdout), text(&output.stderr));
        assert!(
            !shown.contains("Canary") && !told.contains("Canary"),
            "{shown}\n{told}"
        );
        (output.status.code(), shown, told)
    };
    // Nothing is asked of anybody without a key that the file says is there.
    let (exit, _, told) = applied("site.yaml", SITE, &[]);
    assert_eq!(exit, Some(2));
    assert!(
        told.ends_with("the key: the environment variable PATH_OF_NO_KEY is not set\n"),
        "{told}"
    );
    // Nor where nobody is there to type one.
    let site = SITE.replace("pskEnv: PATH_OF_NO_KEY", "");
    let (exit, _, told) = applied("site.yaml", &site, &[]);
    assert_eq!(exit, Some(2));
    assert!(
        told.contains("a key is needed on nsx-demo: give it as `pskEnv`"),
        "{told}"
    );

    let site = SITE.replace("pskEnv: PATH_OF_NO_KEY", "pskFile: site.key");
    let (exit, shown, told) = applied("site.yaml", &site, &["--dry-run"]);
    assert_eq!(exit, Some(0), "{told}");
    for line in [
        "nsx-demo: branch would be created; nothing was done\n+ display_name: branch\n",
        "\n+ peer.psk: as described\n",
        "\nopenstack-demo: branch would be created; ",
        "\nCREATE  connections ",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    let (exit, shown, told) = applied("site.yaml", &site, &["--wait", "--timeout", "1min"]);
    assert_eq!(exit, Some(0), "{shown}\n{told}");
    assert_eq!(shown.matches("created    ").count(), 2, "{shown}");
    assert_eq!(shown.matches("the goal is reached").count(), 2, "{shown}");
    let (exit, shown, told) = applied("site.yaml", &site, &["--wait"]);
    assert_eq!(exit, Some(0), "{shown}\n{told}");
    assert_eq!(shown.matches("unchanged  ").count(), 2, "{shown}");
    assert_eq!(shown.matches("the goal is reached").count(), 2, "{shown}");

    let stronger = site.replace("MODP_2048", "MODP_3072");
    let (exit, shown, told) = applied("stronger.yaml", &stronger, &["nsx-demo", "--dry-run"]);
    assert_eq!(exit, Some(0), "{told}");
    let differs = "\n- parts.ike_policy.dh_groups: [DH_GROUP_MODP_2048]\n+ parts.ike_policy.dh_groups: [DH_GROUP_MODP_3072]\n";
    assert!(shown.contains(differs), "{shown}");
    let (exit, shown, told) = applied("stronger.yaml", &stronger, &[]);
    assert_eq!(exit, Some(1), "{shown}");
    assert!(shown.starts_with("changed    nsx-demo/"), "{shown}");
    for line in [
        "(REPLACEMENT_NEEDED)",
        "\n  field parts.ike_policy.dh_groups: ",
        "`isthmus apply --replace`",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    let (exit, shown, told) = applied("stronger.yaml", &stronger, &["--replace", "--wait"]);
    assert_eq!(exit, Some(0), "{shown}\n{told}");
    assert!(shown.contains("\ncreated    openstack-demo/"), "{shown}");
    assert!(
        told.contains("(branch) is removed and created again (--replace)"),
        "{told}"
    );
    let (_, shown, _) = applied("stronger.yaml", &stronger, &["--dry-run"]);
    assert_eq!(
        shown.matches("matches already; nothing was done").count(),
        2,
        "{shown}"
    );
}
