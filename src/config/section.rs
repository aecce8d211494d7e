//! One table of the file, read key by key. It remembers which keys were read and reports all others as unknown. It
//! collects problems instead of stopping at the first.

use crate::{
    address::is_loopback,
    config::source::{Found, Source, quoted},
};
use std::{net::SocketAddr, ops::Range, time::Duration};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A table that is being read.
pub(crate) struct Section<'a> {
    pub(super) source: &'a Source<'a>,
    /// The name in messages: `[server]`, `auth`.
    title: String,
    pub(super) table: &'a DeTable<'a>,
    span: Range<usize>,
    asked: Vec<String>,
    /// Tables below this one that a dialect has read keys from.
    pub(super) opened: Vec<(&'static str, Section<'a>)>,
    /// Keys that a dialect has read or refused and that are wrong.
    pub(super) wrong: Vec<String>,
}

impl<'a> Section<'a> {
    pub(crate) fn new(
        source: &'a Source<'a>,
        title: impl Into<String>,
        table: &'a DeTable<'a>,
        span: Range<usize>,
    ) -> Section<'a> {
        Section {
            source,
            title: title.into(),
            table,
            span,
            asked: Vec::new(),
            opened: Vec::new(),
            wrong: Vec::new(),
        }
    }

    /// The position of the table itself.
    pub(crate) fn span(&self) -> &Range<usize> {
        &self.span
    }

    /// The value of a key, of any type.
    pub(crate) fn value(&mut self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        if !self.asked.iter().any(|asked| asked == key) {
            self.asked.push(key.to_owned());
        }
        self.table.get(key)
    }

    /// Reads a table below this one.
    pub(crate) fn section(&mut self, key: &str, title: &str) -> Option<Section<'a>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(Section::new(self.source, title, table, value.span())),
            other => {
                self.wrong_type(key, value.span(), other, "a table");
                None
            }
        }
    }

    /// Reads a text that is not empty.
    pub(crate) fn text(&mut self, key: &str) -> Option<Found<String>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::String(text) if text.trim().is_empty() => {
                self.source.problem(
                    &value.span(),
                    format!("`{key}` is empty; leave it out if it is not needed"),
                );
                None
            }
            DeValue::String(text) => Some(Found {
                value: text.clone().into_owned(),
                span: value.span(),
            }),
            other => {
                self.wrong_type(key, value.span(), other, "text in quotes");
                None
            }
        }
    }

    /// Reads a boolean; `false` if absent.
    pub(crate) fn flag(&mut self, key: &str) -> bool {
        let Some(value) = self.value(key) else {
            return false;
        };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.wrong_type(key, value.span(), value.get_ref(), "true or false");
            false
        })
    }

    /// Reads a whole number within `range`.
    pub(crate) fn number(
        &mut self,
        key: &str,
        default: u32,
        range: std::ops::RangeInclusive<u32>,
    ) -> u32 {
        let Some(value) = self.value(key) else {
            return default;
        };
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let DeValue::Integer(integer) = value.get_ref() else {
            self.wrong_type(key, value.span(), value.get_ref(), &expected);
            return default;
        };
        match u32::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) if range.contains(&number) => number,
            _ => {
                self.source.problem(
                    &value.span(),
                    format!("`{key}` is {}; it must be {expected}", integer.as_str()),
                );
                default
            }
        }
    }

    /// Reads a share from 0 to 1.
    pub(crate) fn share(&mut self, key: &str, default: f64) -> f64 {
        const EXPECTED: &str = "a number from 0.0 to 1.0";
        let Some(value) = self.value(key) else {
            return default;
        };
        let written = match value.get_ref() {
            DeValue::Float(number) => number.as_str(),
            DeValue::Integer(number) => number.as_str(),
            other => {
                self.wrong_type(key, value.span(), other, EXPECTED);
                return default;
            }
        };
        match written.parse::<f64>() {
            Ok(share) if (0.0..=1.0).contains(&share) => share,
            _ => {
                self.source.problem(
                    &value.span(),
                    format!("`{key}` is {written}; it must be {EXPECTED}"),
                );
                default
            }
        }
    }

    /// Reads a duration within `range`, written as text with a unit.
    pub(crate) fn duration(
        &mut self,
        key: &str,
        default: Duration,
        range: std::ops::RangeInclusive<Duration>,
    ) -> Duration {
        let Some(value) = self.value(key) else {
            return default;
        };
        let expected = format!(
            "a time with its unit in quotes, from \"{}\" to \"{}\", for example \"{}\"",
            humantime::format_duration(*range.start()),
            humantime::format_duration(*range.end()),
            humantime::format_duration(default),
        );
        let DeValue::String(text) = value.get_ref() else {
            self.wrong_type(key, value.span(), value.get_ref(), &expected);
            return default;
        };
        match humantime::parse_duration(text) {
            Ok(time) if range.contains(&time) => time,
            _ => {
                self.source.problem(
                    &value.span(),
                    format!("`{key}` is {}; it must be {expected}", quoted(text)),
                );
                default
            }
        }
    }

    /// Reads an address to listen on: an IP address and a port. An address that other hosts can reach requires
    /// `allow_non_loopback`. `port` is the one in the message's example.
    pub(crate) fn address(
        &mut self,
        key: &str,
        allow_non_loopback: bool,
        port: u16,
    ) -> Option<SocketAddr> {
        let text = self.text(key)?;
        let problem = match text.value.parse::<SocketAddr>() {
            Ok(address) if is_loopback(address.ip()) || allow_non_loopback => return Some(address),
            Ok(address) => format!(
                "`{key}` is {address}, which others can reach, and nobody is authenticated: \
                 set allow_non_loopback = true if that is meant, or listen on 127.0.0.1 or [::1]"
            ),
            Err(_) => format!(
                "`{key}` is {}; it must be an IP address and a port, for example \"127.0.0.1:{port}\" or \
                 \"[::1]:{port}\"",
                quoted(&text.value)
            ),
        };
        self.source.problem(&text.span, problem);
        None
    }

    /// Reads one of several words.
    pub(crate) fn word<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Option<Found<T>> {
        let text = self.text(key)?;
        let known = words.iter().find(|(word, _)| *word == text.value);
        if known.is_none() {
            let words: Vec<String> = words.iter().map(|(word, _)| quoted(word)).collect();
            self.source.problem(
                &text.span,
                format!(
                    "`{key}` is {}; it must be one of {}",
                    quoted(&text.value),
                    words.join(", ")
                ),
            );
        }
        known.map(|(_, value)| Found {
            value: *value,
            span: text.span,
        })
    }

    /// Reports that a required key is missing.
    pub(crate) fn missing(&self, key: &str, wanted: &str) {
        self.source.problem(
            &self.span,
            format!("{} has no `{key}`: {wanted}", self.title),
        );
    }

    /// Reports a value of the wrong type. Names the type and never the value, which may be a secret.
    pub(crate) fn wrong_type(
        &self,
        key: &str,
        span: Range<usize>,
        value: &DeValue<'_>,
        expected: &str,
    ) {
        let found = match value {
            DeValue::String(_) => "text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.source
            .problem(&span, format!("`{key}` is {found}; it must be {expected}"));
    }

    /// Reports every key that was not read, also in the tables below that were opened.
    pub(crate) fn finish(self) {
        let unknown = self
            .table
            .iter()
            .filter(|(key, _)| !self.asked.iter().any(|asked| asked == key.get_ref()));
        let known = self.asked.join(", ");
        for (key, _) in unknown {
            self.source.problem(
                &key.span(),
                format!(
                    "unknown key {} in {}; known are: {known}",
                    quoted(key.get_ref()),
                    self.title
                ),
            );
        }
        for (_, below) in self.opened {
            below.finish();
        }
    }
}
