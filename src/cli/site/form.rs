//! One document of a site file, checked field by field.

use crate::{
    cli::{
        json,
        misfits::{self, named},
        site::{
            attachment::{Attachment, is},
            key::Key,
        },
        tree::Tree,
    },
    model::BackendName,
};
use prost_reflect::{DynamicMessage, Value};
use secrecy::SecretString;
use serde_json::Value as Json;

/// The top-level fields of a document that is not itself a connection.
const TOP: [&str; 4] = ["connection", "parts", "reuse", "backends"];

/// The fields of a peer that name the source of the key.
const SOURCES: [&str; 2] = ["psk_env", "psk_file"];

/// The content of one document.
#[derive(Debug, Clone)]
pub struct Form {
    /// The connection, without its key.
    pub connection: DynamicMessage,
    /// The parts that it needs and does not reference.
    pub parts: Option<DynamicMessage>,
    /// Which existing resources may be used instead of new parts.
    pub reuse: Option<Value>,
    pub key: Key,
    /// The attachment on each backend, in the order of the file.
    pub backends: Vec<(String, Attachment)>,
}

/// Reads and checks one document.
///
/// # Errors
/// A line for each field that does not fit, by its path.
pub fn read(tree: Tree) -> Result<Form, Vec<String>> {
    let Tree::Fields(fields) = tree else {
        let found = named(&tree);
        return Err(vec![format!("it must be a mapping of fields, not {found}")]);
    };
    let mut lines = Vec::new();
    let (before, mut top) = match is_flat(&fields) {
        true => ("", flat(fields)),
        false => ("connection.", nested(fields, &mut lines)),
    };
    let backends = top.take("backends", &mut lines);
    let backends = backends.map_or(Vec::new(), |tree| attachments(&tree, &mut lines));
    let mut key = Key::Absent;
    let connection = top.0.iter_mut().find(|(name, _)| name == "connection");
    match connection {
        Some((_, Tree::Fields(connection))) => {
            key = of_peer(connection, &format!("{before}peer"), &mut lines);
        }
        None if lines.is_empty() => lines.push("connection: is missing".to_owned()),
        _ => {}
    }
    lines.extend(misfits(&top.0, before.is_empty()));
    if !lines.is_empty() {
        return Err(lines);
    }
    let mut messages = top.messages()?;
    let connection = messages.take_message("connection").unwrap_or_else(|| {
        // A null counts as absent.
        DynamicMessage::new(json::descriptor("Connection"))
    });
    let missing = |field: &str| text_of(&connection, field).is_empty();
    if missing("display_name") && missing("name") {
        let why = "is required: the connection is found by it";
        return Err(vec![format!("{before}display_name: {why}")]);
    }
    if is_by_certificate(&connection) {
        key = Key::Certificate;
    }
    Ok(Form {
        connection,
        parts: messages.take_message("parts"),
        reuse: messages.take("reuse"),
        key,
        backends,
    })
}

/// Returns the text of a field, or an empty string if it has none.
pub fn text_of(message: &DynamicMessage, field: &str) -> String {
    let text = message.get_field_by_name(field);
    let text = text.as_deref().and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

/// Reports whether the document is itself a connection, as `get` prints it, and does not contain one as a field.
fn is_flat(fields: &[(String, Tree)]) -> bool {
    let connection = json::descriptor("Connection");
    let mut names = fields.iter().map(|(name, _)| name.as_str());
    let of_connection = |name: &str| {
        connection.get_field_by_json_name(name).is_some()
            || connection.get_field_by_name(name).is_some()
    };
    !names.clone().any(|name| TOP[..3].contains(&name)) && names.any(of_connection)
}

/// The top-level fields of a document, under their names in [`TOP`].
struct Top(Vec<(String, Tree)>);

impl Top {
    fn take(&mut self, name: &str, lines: &mut Vec<String>) -> Option<Tree> {
        let all = std::mem::take(&mut self.0);
        let (mut taken, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|it| it.0 == name);
        self.0 = rest;
        if taken.len() > 1 {
            lines.push(format!("{name}: is given twice"));
        }
        taken.pop().map(|(_, tree)| tree)
    }

    /// Parses the fields as those of a request.
    fn messages(self) -> Result<Messages, Vec<String>> {
        let tree = Tree::Fields(self.0);
        // The parser's own message may quote a value, which may be a key.
        DynamicMessage::deserialize(json::descriptor("ApplyConnectionRequest"), Json::from(tree))
            .map(Messages)
            .map_err(|_| vec!["protobuf does not accept it".to_owned()])
    }
}

struct Messages(DynamicMessage);

impl Messages {
    fn take(&mut self, field: &str) -> Option<Value> {
        if !self.0.has_field_by_name(field) {
            return None;
        }
        self.0.get_field_by_name(field).map(|it| it.into_owned())
    }

    fn take_message(&mut self, field: &str) -> Option<DynamicMessage> {
        match self.take(field) {
            Some(Value::Message(message)) => Some(message),
            _ => None,
        }
    }
}

fn flat(fields: Vec<(String, Tree)>) -> Top {
    let (backends, connection) = fields.into_iter().partition(|(name, _)| name == "backends");
    let mut top: Vec<(String, Tree)> = backends;
    top.push(("connection".to_owned(), Tree::Fields(connection)));
    Top(top)
}

fn nested(fields: Vec<(String, Tree)>, lines: &mut Vec<String>) -> Top {
    let connection = json::descriptor("Connection");
    let mut top = Vec::new();
    for (key, tree) in fields {
        if TOP.contains(&key.as_str()) {
            top.push((key, tree));
            continue;
        }
        let within = connection.get_field_by_json_name(&key);
        let within = within.or_else(|| connection.get_field_by_name(&key));
        lines.push(match within {
            Some(_) => format!("{key}: belongs within `connection`"),
            None => format!("{key}: {}", misfits::unknown(&key, &TOP.map(str::to_owned))),
        });
    }
    Top(top)
}

fn attachments(tree: &Tree, lines: &mut Vec<String>) -> Vec<(String, Attachment)> {
    let fields = match tree {
        Tree::Fields(fields) => fields,
        Tree::Leaf(Json::Null) => return Vec::new(),
        other => {
            let found = named(other);
            lines.push(format!(
                "backends: takes the names of backends, each with where the connection is attached, not {found}"
            ));
            return Vec::new();
        }
    };
    let mut backends: Vec<(String, Attachment)> = Vec::new();
    for (name, tree) in fields {
        let path = format!("backends.{name}");
        if name.parse::<BackendName>().is_err() {
            lines.push(format!("{path}: is not the name of a backend"));
        } else if backends.iter().any(|(other, _)| other == name) {
            lines.push(format!("{path}: is given twice"));
        }
        match Attachment::read(tree, &path) {
            Ok(attachment) => backends.push((name.clone(), attachment)),
            Err(wrong) => lines.extend(wrong),
        }
    }
    backends
}

/// Takes the key, or its source, out of the peer. Reports unknown fields of the peer here, because the suggestions
/// include the sources of a key.
fn of_peer(connection: &mut [(String, Tree)], path: &str, lines: &mut Vec<String>) -> Key {
    let peer = connection.iter_mut().find(|(name, _)| name == "peer");
    let Some((_, Tree::Fields(peer))) = peer else {
        return Key::Absent;
    };
    let descriptor = json::descriptor("Peer");
    let names = descriptor.fields().map(|field| field.name().to_owned());
    let names: Vec<String> = names.chain(SOURCES.map(str::to_owned)).collect();
    let mut given: Vec<(&str, Key)> = Vec::new();
    let mut rest = Vec::new();
    let mut certificate = false;
    for (key, tree) in std::mem::take(peer) {
        let Some(name) = names.iter().find(|name| is(&key, name)) else {
            lines.push(format!("{path}.{key}: {}", misfits::unknown(&key, &names)));
            continue;
        };
        let is_given = tree != Tree::Leaf(Json::Null);
        certificate |= name == "certificate" && is_given;
        let source = SOURCES.into_iter().find(|source| source == name);
        match (source.or((name == "psk").then_some("psk")), tree) {
            (Some(name), Tree::Leaf(Json::String(text))) => given.push((name, key_of(name, text))),
            (Some(_), Tree::Leaf(Json::Null)) => {}
            (Some(name), other) => {
                let found = named(&other);
                let quotes = match other {
                    Tree::Leaf(_) => ": put it in quotes",
                    _ => "",
                };
                lines.push(format!(
                    "{path}.{name}: takes a string, not {found}{quotes}"
                ));
            }
            (None, tree) => rest.push((key, tree)),
        }
    }
    *peer = rest;
    if let [(first, _), (second, _), ..] = &given[..] {
        lines.push(match first == second {
            true => format!("{path}.{first}: is given twice"),
            false => format!("{path}.{second}: excludes `{first}`, which is also given"),
        });
    }
    match given.pop() {
        Some((name, _)) if certificate => {
            lines.push(format!(
                "{path}.{name}: excludes `certificate`, which is also given"
            ));
            Key::Absent
        }
        Some((name, key)) => {
            if is_empty(&key) {
                lines.push(format!("{path}.{name}: must not be empty"));
            }
            key
        }
        None => Key::Absent,
    }
}

fn key_of(name: &str, text: String) -> Key {
    match name {
        "psk_env" => Key::Env(text),
        "psk_file" => Key::File(text.into()),
        _ => Key::Given(SecretString::from(text)),
    }
}

fn is_empty(key: &Key) -> bool {
    use secrecy::ExposeSecret;
    match key {
        Key::Given(key) => key.expose_secret().is_empty(),
        Key::Env(name) => name.is_empty(),
        Key::File(path) => path.as_os_str().is_empty(),
        Key::Absent | Key::Certificate => false,
    }
}

/// Returns what protobuf does not accept. The paths of a flat document begin within the connection.
fn misfits(top: &[(String, Tree)], is_flat: bool) -> Vec<String> {
    match top {
        [(_, connection)] if is_flat => misfits::find(&json::descriptor("Connection"), connection),
        _ => {
            let tree = Tree::Fields(top.to_vec());
            misfits::find(&json::descriptor("ApplyConnectionRequest"), &tree)
        }
    }
}

fn is_by_certificate(connection: &DynamicMessage) -> bool {
    let peer = connection.get_field_by_name("peer");
    let peer = peer.as_deref().and_then(Value::as_message);
    peer.is_some_and(|peer| peer.has_field_by_name("certificate"))
}
