//! How a dialect reads the table of a backend from the file: by key, with the position of each.

use crate::{
    address::is_loopback,
    config::{section::Section, source::Source},
    core::{secret::Secret, table::Table},
    model::BackendName,
};
use secrecy::SecretString;
use std::{io, ops::Range, path::PathBuf, sync::Arc};
use toml::de::DeValue;

impl<'a> Section<'a> {
    /// Reads by a key, and remembers the key if the read reported a problem.
    fn noting<T>(&mut self, key: &str, read: impl FnOnce(&mut Section<'a>) -> T) -> T {
        let before = self.source.count();
        let value = read(self);
        if self.source.count() > before {
            self.wrong.push(key.to_owned());
        }
        value
    }

    /// Reads a key of this table or, after a dot, of a table below.
    fn at<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'a>, &'static str) -> T,
    ) -> Option<T> {
        self.noting(key, |table| match key.split_once('.') {
            None => Some(read(table, key)),
            Some((parent, leaf)) => table.opened(parent).map(|below| read(below, leaf)),
        })
    }

    /// Returns the table below, which stays open until this one is finished.
    fn opened(&mut self, parent: &'static str) -> Option<&mut Section<'a>> {
        let is_known = self.opened.iter().any(|(key, _)| *key == parent);
        if !is_known && !self.wrong.iter().any(|wrong| wrong == parent) {
            let title = format!("`{parent}`");
            let below = self.noting(parent, |table| table.section(parent, &title));
            self.opened.extend(below.map(|below| (parent, below)));
        }
        let mut opened = self.opened.iter_mut();
        let (_, below) = opened.find(|(key, _)| *key == parent)?;
        Some(below)
    }

    /// The position of a key, of one that stands in for it, or of the table it belongs to.
    fn place(&self, key: &str) -> Range<usize> {
        let here = |wanted: &str| {
            let mut keys = self.table.iter().map(|(key, _)| key);
            let key = keys.find(|key| key.get_ref() == wanted);
            key.map(|key| key.span())
        };
        let place = match key.split_once('.') {
            None => places(key).iter().find_map(|key| here(key)),
            Some((parent, leaf)) => {
                let below = self.opened.iter().find(|(key, _)| *key == parent);
                let given =
                    below.filter(|(_, below)| places(leaf).iter().any(|key| below.has(key)));
                given
                    .map(|(_, below)| below.place(leaf))
                    .or_else(|| here(parent))
            }
        };
        place.unwrap_or_else(|| self.span().clone())
    }
}

impl Table for Section<'_> {
    fn backend(&self) -> String {
        let name = self
            .table
            .get("name")
            .and_then(|name| name.get_ref().as_str());
        let is_sound = |name: &&str| name.parse::<BackendName>().is_ok();
        name.filter(is_sound).unwrap_or_default().to_owned()
    }

    fn is_read_again(&self) -> bool {
        true
    }

    fn text(&mut self, key: &'static str) -> Option<String> {
        self.at(key, |table, key| table.text(key))?
            .map(|found| found.value)
    }

    fn word(&mut self, key: &'static str, words: &[&'static str]) -> Option<&'static str> {
        let words: Vec<(&str, &'static str)> = words.iter().map(|word| (*word, *word)).collect();
        self.at(key, |table, key| table.word(key, &words))?
            .map(|found| found.value)
    }

    fn flag(&mut self, key: &'static str) -> bool {
        self.at(key, |table, key| table.flag(key))
            .unwrap_or_default()
    }

    fn url(&mut self, key: &'static str) -> Option<String> {
        self.at(key, |table, key| {
            let found = table.text(key)?;
            sound_url(table.source, key, &found.value, &found.span)
        })?
    }

    fn urls(&mut self, key: &'static str) -> Vec<String> {
        self.at(key, urls).unwrap_or_default()
    }

    fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        let path = Table::text(self, key)?;
        Some(self.source.file(&path))
    }

    fn secret(&mut self, key: &'static str) -> Option<Secret> {
        let backend = self.backend();
        self.at(key, |table, key| secret(table, key, backend))?
    }

    fn has(&self, key: &str) -> bool {
        match key.split_once('.') {
            None => self.table.get(key).is_some(),
            Some((parent, leaf)) => self
                .table
                .get(parent)
                .and_then(|value| value.get_ref().as_table()?.get(leaf))
                .is_some(),
        }
    }

    fn refuse(&mut self, key: &str, why: &str) {
        let parent = key.split('.').next();
        let is_told = |wrong: &String| wrong == key || Some(wrong.as_str()) == parent;
        if !self.wrong.iter().any(is_told) {
            self.source
                .problem(&self.place(key), format!("`{key}`: {why}"));
            self.wrong.push(key.to_owned());
        }
    }

    fn warn(&mut self, key: &str, why: &str) {
        let value = self.table.get(key).map(|value| value.span());
        let span = value.unwrap_or_else(|| self.place(key));
        self.source.warn(&span, format!("`{key}`: {why}"));
    }
}

/// Reads one URL, or a list of them.
fn urls(section: &mut Section<'_>, key: &str) -> Vec<String> {
    const WANTED: &str = "a URL in quotes, or a list of them";
    let Some(value) = section.value(key) else {
        return Vec::new();
    };
    let items: &[_] = match value.get_ref() {
        DeValue::Array(items) => items,
        _ => std::slice::from_ref(value),
    };
    let mut urls = Vec::new();
    for item in items {
        match item.get_ref() {
            DeValue::String(text) => {
                urls.extend(sound_url(section.source, key, text, &item.span()));
            }
            other => section.wrong_type(key, item.span(), other, WANTED),
        }
    }
    urls
}

/// Checks that a cloud can be at the URL. Warns about plain `http` unless the host is this machine.
fn sound_url(source: &Source<'_>, key: &str, text: &str, span: &Range<usize>) -> Option<String> {
    // The text may hold a password, so the message does not repeat it.
    let url = match parsed_url(text) {
        Ok(url) => url,
        Err(why) => {
            source.problem(span, format!("`{key}` {why}"));
            return None;
        }
    };
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse();
    if url.scheme() == "http" && host != "localhost" && !address.is_ok_and(is_loopback) {
        source.warn(
            span,
            format!(
                "`{key}` is http://: anyone in between can read logins and pre-shared keys; use https://, with \
                 `ca_file` for an authority of your own"
            ),
        );
    }
    Some(text.to_owned())
}

fn parsed_url(text: &str) -> Result<reqwest::Url, &'static str> {
    const FORM: &str = "must be http:// or https://, a host and perhaps a port and a path";
    let url = reqwest::Url::parse(text).map_err(|_| FORM)?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(FORM);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must hold no user name or password: they have keys of their own");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must end with its path: nothing after ? or #");
    }
    Ok(url)
}

/// Reads a secret from where it is kept: the configuration itself, a variable, or a file of its own.
fn secret(section: &mut Section<'_>, key: &str, backend: String) -> Option<Secret> {
    let source = section.source;
    let names = places(key);
    let [literal, variable, file] = &names;
    let found = names
        .each_ref()
        .map(|name| section.value(name).map(|value| (name, value.span())));
    let mut given = found.into_iter().flatten();
    let (first, _) = given.next()?;
    if let Some((second, span)) = given.next() {
        source.problem(
            &span,
            format!("`{second}` beside `{first}`: give one of {literal}, {variable}, {file}"),
        );
        return None;
    }
    let found = section.text(first)?;
    let refuse = |why: String| {
        source.problem(&found.span, why);
        None
    };
    let mut in_file = None;
    let text = if first == literal {
        source.holds_secret();
        found.value.clone()
    } else if first == variable {
        // The message repeats only the name of the key. The value may be a secret that was written here by mistake.
        match source.surroundings().variable(&found.value) {
            Some(text) => text,
            None => {
                return refuse(format!(
                    "the environment variable that `{variable}` names is not set"
                ));
            }
        }
    } else {
        let path = source.file(&found.value);
        source.warn_of_others(&found.span, &path);
        match source.surroundings().secret_file(&path) {
            Ok(text) => {
                in_file = Some((source.surroundings().secret_file_later(&path), path));
                without_newline(&text).to_owned()
            }
            Err(error) => {
                let path = path.display();
                return refuse(format!("`{file}` cannot be read from {path}: {error}"));
            }
        }
    };
    if text.is_empty() {
        return refuse(format!("the secret of `{first}` is empty"));
    }
    let text = SecretString::from(text);
    let Some((read, path)) = in_file else {
        return Some(text.into());
    };
    let read = move || -> io::Result<SecretString> { Ok(without_newline(&read()?).into()) };
    let secret = Secret::in_file(path, text, Arc::new(read));
    source.keeps(backend, &secret);
    Some(secret)
}

/// The keys that can hold a secret.
fn places(key: &str) -> [String; 3] {
    ["", "_env", "_file"].map(|suffix| format!("{key}{suffix}"))
}

/// Editors end a file with a newline, which is not part of the secret.
fn without_newline(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}
