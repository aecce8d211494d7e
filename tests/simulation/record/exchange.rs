//! What travels between the gateway and a cloud.

use crate::record::{Record, now};
use http::Method;
use isthmus::rest::{
    answer::{Answer, Failure},
    request::Request,
};
use serde_json::Value;
use std::time::Duration;

/// One request to a cloud.
#[derive(Debug, Clone)]
pub struct Seen {
    pub begun: Duration,
    /// Not at all if it was given up.
    pub ended: Option<Duration>,
    pub host: String,
    pub method: Method,
    pub path: String,
    pub query: String,
    /// None without a whole answer.
    pub status: Option<u16>,
    /// `id`s of rows in the answer, with `status` or `state` beside them.
    pub said: Vec<(String, String)>,
}

/// One request to a cloud while it lasts.
pub struct Exchange {
    record: Record,
    number: usize,
}

impl Exchange {
    pub fn begun(record: Record, request: &Request) -> Exchange {
        let mut history = record.history();
        let number = history.exchanges.len();
        history.exchanges.push(Seen {
            begun: now(),
            ended: None,
            host: request.url.host_str().unwrap_or_default().to_owned(),
            method: request.method.clone(),
            path: request.url.path().to_owned(),
            query: request.url.query().unwrap_or_default().to_owned(),
            status: None,
            said: Vec::new(),
        });
        drop(history);
        Exchange { record, number }
    }

    pub fn ended(&mut self, result: &Result<Answer, Failure>) {
        let mut history = self.record.history();
        let seen = &mut history.exchanges[self.number];
        seen.ended = Some(now());
        if let Ok(answer) = result {
            seen.status = Some(answer.status);
            seen.said = said(&answer.body);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let mut history = self.record.history();
        let seen = history.exchanges[self.number].clone();
        let text = format!(
            "-> {} {} {} {} {:?} begun {:?}: {:?}",
            seen.method, seen.host, seen.path, seen.query, seen.status, seen.begun, seen.said
        );
        history.line(now(), &text);
    }
}

/// What an answer of a cloud says of each connection in it.
fn said(body: &[u8]) -> Vec<(String, String)> {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return Vec::new();
    };
    let rows = ["ipsec_site_connections", "results"]
        .iter()
        .find_map(|key| value[*key].as_array().cloned())
        .unwrap_or_else(|| vec![value.get("ipsec_site_connection").unwrap_or(&value).clone()]);
    let text = |row: &Value, keys: &[&str]| {
        let found = keys.iter().find_map(|key| row[*key].as_str());
        found.unwrap_or_default().to_owned()
    };
    rows.iter()
        .map(|row| (text(row, &["id"]), text(row, &["status", "state"])))
        .filter(|(id, status)| !id.is_empty() || !status.is_empty())
        .collect()
}
