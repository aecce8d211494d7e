//! One `[[backends]]`: what every dialect shares. What a dialect takes of it is for the dialect to say.

use crate::{
    address::is_loopback,
    config::{
        problem::Position,
        section::{Found, Section, Source, quoted},
        surroundings::Surroundings,
    },
    core::settings::{AuthKind, AuthSettings, BackendSettings, PollSettings},
    model::BackendName,
};
use secrecy::SecretString;
use std::{
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};
use toml::de::{DeTable, DeValue};

/// The longest a single upstream request may take, unless the file says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

const AUTH_KINDS: [(&str, AuthKind); 6] = [
    ("basic", AuthKind::Basic),
    ("session", AuthKind::Session),
    ("bearer", AuthKind::Bearer),
    ("password", AuthKind::Password),
    ("application_credential", AuthKind::ApplicationCredential),
    ("none", AuthKind::None),
];

/// Where secrets and relative paths are looked for.
#[derive(Clone, Copy)]
pub(crate) struct Around<'a> {
    pub(crate) surroundings: &'a dyn Surroundings,
    /// The folder of the configuration file, which relative paths start from.
    pub(crate) folder: &'a Path,
}

impl Around<'_> {
    /// Warns of a file that is nobody else's business, if it is theirs.
    pub(crate) fn warn_of_others(self, source: &Source<'_>, span: &Range<usize>, path: &Path) {
        let others = self.surroundings.others(path);
        let what = match (others.read, others.write) {
            (false, false) => return,
            (true, false) => "read",
            (false, true) => "change",
            (true, true) => "read and change",
        };
        let path = path.display();
        source.warn(
            span,
            format!("every user of this machine can {what} {path}: `chmod o-rw` it"),
        );
    }
}

/// Reads one backend. `None` if it cannot be told apart or spoken to; then there is a problem that says why.
pub(crate) fn read(mut section: Section<'_>, around: Around<'_>) -> Option<BackendSettings> {
    let name = name(&mut section);
    let dialect = section.text("dialect");
    if dialect.is_none() && section.value("dialect").is_none() {
        section.missing("dialect", "which API it speaks, \"nsx\" or \"openstack\"");
    }
    let variant = section.text("variant").map(|found| found.value);
    let urls = urls(&mut section);
    let ca_file = section
        .text("ca_file")
        .map(|found| around.folder.join(found.value));
    let insecure_skip_verify = section.flag("insecure_skip_verify");
    if insecure_skip_verify && let Some(value) = section.value("insecure_skip_verify") {
        section.source().warn(
            &value.span(),
            "`insecure_skip_verify`: whoever stands between can read logins and pre-shared keys, and change every \
             answer; name the cloud's authority by `ca_file` instead",
        );
    }
    let timeout = section.duration(
        "timeout",
        DEFAULT_TIMEOUT,
        Duration::from_millis(100)..=Duration::from_secs(300),
    );
    let read_only = section.flag("read_only");
    let auth = section
        .section("auth", "`auth`")
        .map(|section| auth(section, around))
        .unwrap_or_default();
    let poll = section
        .section("poll", "`poll`")
        .map(poll)
        .unwrap_or_default();
    section.finish();
    Some(BackendSettings {
        name: name?.value,
        dialect: dialect?.value,
        variant,
        urls,
        ca_file,
        insecure_skip_verify,
        timeout,
        read_only,
        auth,
        poll,
    })
}

fn name(section: &mut Section<'_>) -> Option<Found<BackendName>> {
    const WANTED: &str = "1 to 63 of a-z, 0-9 and -, beginning with a letter";
    let Some(text) = section.text("name") else {
        if section.value("name").is_none() {
            section.missing("name", WANTED);
        }
        return None;
    };
    match text.value.parse() {
        Ok(name) => Some(Found {
            value: name,
            span: text.span,
        }),
        Err(_) => {
            section.source().problem(
                &text.span,
                format!("`name` is {}; it must be {WANTED}", quoted(&text.value)),
            );
            None
        }
    }
}

/// One URL, or a list of them.
fn urls(section: &mut Section<'_>) -> Vec<String> {
    const WANTED: &str = "a URL in quotes, or a list of them";
    let Some(value) = section.value("url") else {
        return Vec::new();
    };
    let items = match value.get_ref() {
        DeValue::String(_) => std::slice::from_ref(value),
        DeValue::Array(items) => items,
        other => {
            section.wrong_type("url", value.span(), other, WANTED);
            return Vec::new();
        }
    };
    let mut urls = Vec::new();
    for item in items {
        match item.get_ref() {
            DeValue::String(text) => match sound_url(text) {
                Ok(()) => {
                    warn_of_plain_http(section.source(), "url", text, &item.span());
                    urls.push(text.clone().into_owned());
                }
                Err(why) => section
                    .source()
                    .problem(&item.span(), format!("`url` {why}")),
            },
            other => section.wrong_type("url", item.span(), other, WANTED),
        }
    }
    urls
}

/// Whether this is a URL that a cloud can be at. The answer never repeats the URL, which may hold a password.
fn sound_url(text: &str) -> Result<(), &'static str> {
    const FORM: &str = "must be http:// or https://, a host and perhaps a port and a path";
    let url = reqwest::Url::parse(text).map_err(|_| FORM)?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(FORM);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must hold no user name or password: they belong into `auth`");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must end with its path: nothing after ? or #");
    }
    Ok(())
}

/// Warns of an address that is spoken to in clear, unless it is on this machine.
fn warn_of_plain_http(source: &Source<'_>, key: &str, url: &str, span: &Range<usize>) {
    let Ok(url) = reqwest::Url::parse(url) else {
        return;
    };
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse();
    if url.scheme() == "http" && host != "localhost" && !address.is_ok_and(is_loopback) {
        source.warn(
            span,
            format!(
                "`{key}` is http://: whoever stands between can read logins and pre-shared keys; use https://, with \
                 `ca_file` for an authority of your own"
            ),
        );
    }
}

fn auth(mut section: Section<'_>, around: Around<'_>) -> AuthSettings {
    let kind = section.word("kind", &AUTH_KINDS);
    if kind.is_none() && section.value("kind").is_none() {
        let kinds: Vec<String> = AUTH_KINDS.iter().map(|(word, _)| quoted(word)).collect();
        section.missing("kind", &format!("one of {}", kinds.join(", ")));
    }
    let mut text = |key| section.text(key).map(|found| found.value);
    let mut auth = AuthSettings {
        kind: kind.map(|found| found.value).unwrap_or_default(),
        username: text("username"),
        password: None,
        token: None,
        auth_url: None,
        project_name: text("project_name"),
        project_id: text("project_id"),
        user_domain_id: text("user_domain_id"),
        project_domain_id: text("project_domain_id"),
        region: text("region"),
        application_credential_id: text("application_credential_id"),
        application_credential_secret: None,
    };
    if let Some(url) = section.text("auth_url") {
        match sound_url(&url.value) {
            Ok(()) => {
                warn_of_plain_http(section.source(), "auth_url", &url.value, &url.span);
                auth.auth_url = Some(url.value);
            }
            Err(why) => section
                .source()
                .problem(&url.span, format!("`auth_url` {why}")),
        }
    }
    auth.password = secret(
        &mut section,
        ["password", "password_env", "password_file"],
        around,
    );
    auth.token = secret(&mut section, ["token", "token_env", "token_file"], around);
    auth.application_credential_secret = secret(
        &mut section,
        [
            "application_credential_secret",
            "application_credential_secret_env",
            "application_credential_secret_file",
        ],
        around,
    );
    section.finish();
    auth
}

/// A secret from where it is kept: in the file itself, in a variable, or in a file of its own.
fn secret(
    section: &mut Section<'_>,
    [literal, variable, file]: [&'static str; 3],
    around: Around<'_>,
) -> Option<SecretString> {
    let source = section.source();
    let mut given = [literal, variable, file]
        .into_iter()
        .filter_map(|key| section.value(key).map(|value| (key, value.span())));
    let (first, _) = given.next()?;
    if let Some((second, span)) = given.next() {
        source.problem(
            &span,
            format!("`{second}` beside `{first}`: give one of {literal}, {variable}, {file}"),
        );
        return None;
    }
    let found = section.text(first)?;
    let text = if first == literal {
        source.holds_secret();
        found.value
    } else if first == variable {
        // Only the name of the variable is ever repeated; a secret written here by mistake would be one.
        let Some(text) = around.surroundings.variable(&found.value) else {
            source.problem(
                &found.span,
                format!("the environment variable that `{variable}` names is not set"),
            );
            return None;
        };
        text
    } else {
        let path: PathBuf = around.folder.join(&found.value);
        around.warn_of_others(source, &found.span, &path);
        match around.surroundings.secret_file(&path) {
            Ok(text) => without_newline(&text).to_owned(),
            Err(error) => {
                source.problem(
                    &found.span,
                    format!("`{file}` cannot be read from {}: {error}", path.display()),
                );
                return None;
            }
        }
    };
    if text.is_empty() {
        source.problem(&found.span, format!("the secret of `{first}` is empty"));
        return None;
    }
    Some(SecretString::from(text))
}

/// Editors end a file with a newline that is no part of the secret.
fn without_newline(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

fn poll(mut section: Section<'_>) -> PollSettings {
    const SHORT: Duration = Duration::from_millis(100);
    const HOUR: Duration = Duration::from_secs(3600);
    let default = PollSettings::default();
    let poll = PollSettings {
        fresh: section.duration("fresh", default.fresh, SHORT..=HOUR),
        stable: section.duration("stable", default.stable, SHORT..=HOUR),
        quiet_after_update: section.duration(
            "quiet_after_update",
            default.quiet_after_update,
            SHORT..=HOUR,
        ),
        confirm_failure: section.duration("confirm_failure", default.confirm_failure, SHORT..=HOUR),
        vanish_grace: section.duration("vanish_grace", default.vanish_grace, SHORT..=HOUR),
        auth_window: section.duration("auth_window", default.auth_window, SHORT..=24 * HOUR),
    };
    if poll.stable < poll.fresh {
        section.source().problem(
            section.span(),
            "`stable` is shorter than `fresh`: a connection at rest must not be looked at more often than one on its way",
        );
    }
    section.finish();
    poll
}

/// Where each key of a backend stands, as a violation names it: `url`, `auth.username`.
pub(crate) fn places(section: &Section<'_>, table: &DeTable<'_>) -> Vec<(String, Position)> {
    let mut places = Vec::new();
    for (key, value) in table {
        places.push((
            key.get_ref().to_string(),
            section.source().position(&key.span()),
        ));
        if let DeValue::Table(inner) = value.get_ref() {
            for (inner_key, _) in inner {
                places.push((
                    format!("{}.{}", key.get_ref(), inner_key.get_ref()),
                    section.source().position(&inner_key.span()),
                ));
            }
        }
    }
    places
}
