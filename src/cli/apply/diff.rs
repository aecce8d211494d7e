//! The difference between a connection and its description, as lines for people.

use crate::{
    cli::{
        json,
        text::{Style, clean},
        tree::Tree,
    },
    grpc::pb::{PlannedStep, Site, planned_step::Action},
};
use prost_reflect::SerializeOptions;
use serde_json::Value;

/// Fields that the diff leaves out, because they are not written or not compared.
const ASIDE: [&str; 7] = [
    "name",
    "etag",
    "managed",
    "peer.psk",
    "peer.psk_set",
    "native",
    "native_words",
];

/// The names of parts, which are not compared with those of existing parts.
const NAMES_OF_PARTS: [&str; 2] = ["display_name", "description"];

/// Formats what a description would change, a field per line: `- mtu: 1500` and `+ mtu: 1400`. Without `before` all
/// fields are new. Fields that the description does not set stay as they are and have no line. A line says that a key
/// is written, but never which.
pub fn lines(
    before: Option<&Site>,
    taken: &Site,
    plan: &[PlannedStep],
    style: Style,
) -> Vec<String> {
    let mut diff = Diff {
        lines: Vec::new(),
        style,
        new: before.is_none(),
    };
    let before = before.map(tree);
    let (will, nothing) = (tree(taken), Tree::Fields(Vec::new()));
    let was = before.as_ref().unwrap_or(&nothing);
    let field = |tree: &'_ Tree, name: &str| field(tree, name).cloned();
    for (top, path) in [("connection", ""), ("parts", "parts")] {
        if let Some(will) = field(&will, top) {
            diff.compare(path, field(was, top).as_ref(), &will);
        }
    }
    if let Some(line) = key(plan) {
        diff.lines.push(style.added(line));
    }
    diff.lines
}

/// Returns the line for a written key, if the plan writes one.
fn key(plan: &[PlannedStep]) -> Option<&'static str> {
    let writes = |step: &&PlannedStep| {
        let mut fields = step.fields.iter();
        fields.any(|field| field == "psk" || field.ends_with(".psk"))
    };
    let step = plan.iter().find(writes)?;
    Some(match step.action() {
        Action::Create => "+ peer.psk: as described",
        _ => "+ peer.psk: as described; what it is now cannot be read",
    })
}

/// Converts a site to a tree, with the names and the order of the protos.
fn tree(site: &Site) -> Tree {
    let message = json::dynamic("Site", site);
    let mut text = Vec::new();
    let mut writer = serde_json::Serializer::new(&mut text);
    let options = SerializeOptions::new().use_proto_field_name(true);
    message
        .serialize_with_options(&mut writer, &options)
        .ok()
        .and_then(|()| serde_json::from_slice(&text).ok())
        .expect("every message has a JSON form")
}

fn field<'a>(tree: &'a Tree, name: &str) -> Option<&'a Tree> {
    match tree {
        Tree::Fields(fields) => fields.iter().find(|it| it.0 == name).map(|it| &it.1),
        _ => None,
    }
}

struct Diff {
    lines: Vec<String>,
    style: Style,
    /// Whether the connection does not exist yet.
    new: bool,
}

impl Diff {
    fn compare(&mut self, path: &str, was: Option<&Tree>, will: &Tree) {
        if self.is_aside(path) || was == Some(will) {
            return;
        }
        match (was, will) {
            (was, Tree::Fields(fields)) if !fields.is_empty() => {
                for (name, will) in fields {
                    let was = was.and_then(|was| field(was, name));
                    self.compare(&join(path, name), was, will);
                }
            }
            (was, Tree::List(list)) if list.iter().any(is_message) => {
                let none = Vec::new();
                let before = match was {
                    Some(Tree::List(before)) => before,
                    _ => &none,
                };
                self.lists(path, before, list);
            }
            (was, will) => {
                if let Some(was) = was {
                    self.removed(path, was);
                }
                let line = format!("+ {}: {}", clean(path), inline(will));
                self.lines.push(self.style.added(&line));
            }
        }
    }

    /// Compares lists. A list is written as a whole, so whatever the new one lacks is removed, even within its
    /// messages.
    fn lists(&mut self, path: &str, was: &[Tree], will: &[Tree]) {
        for at in 0..was.len().max(will.len()) {
            let path = format!("{path}[{at}]");
            match (was.get(at), will.get(at)) {
                (was, Some(will)) => {
                    if let Some(Tree::Fields(before)) = was {
                        let gone = before
                            .iter()
                            .filter(|(name, _)| field(will, name).is_none());
                        for (name, tree) in gone {
                            self.removed(&join(&path, name), tree);
                        }
                    }
                    self.compare(&path, was, will);
                }
                (Some(was), None) => self.removed(&path, was),
                (None, None) => {}
            }
        }
    }

    fn removed(&mut self, path: &str, was: &Tree) {
        match was {
            Tree::Fields(fields) if !fields.is_empty() => {
                for (name, tree) in fields {
                    self.removed(&join(path, name), tree);
                }
            }
            was => {
                let line = format!("- {}: {}", clean(path), inline(was));
                self.lines.push(self.style.removed(&line));
            }
        }
    }

    fn is_aside(&self, path: &str) -> bool {
        let mut steps = path.splitn(3, '.');
        let own = match (steps.next(), steps.next(), steps.next()) {
            (Some("parts"), Some(_), Some(own)) => {
                if NAMES_OF_PARTS.contains(&own) && !self.new {
                    return true;
                }
                own
            }
            _ => path,
        };
        ASIDE.contains(&own) || own.ends_with("psk")
    }
}

fn is_message(tree: &Tree) -> bool {
    matches!(tree, Tree::Fields(_))
}

fn join(path: &str, name: &str) -> String {
    match path.is_empty() {
        true => name.to_owned(),
        false => format!("{path}.{name}"),
    }
}

/// Formats a value on one line.
fn inline(tree: &Tree) -> String {
    match tree {
        Tree::Leaf(Value::String(text)) => clean(text),
        Tree::Leaf(value) => value.to_string(),
        Tree::List(list) => {
            let items: Vec<String> = list.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Tree::Fields(fields) => {
            let fields = fields.iter();
            let fields: Vec<String> = fields
                .map(|(name, tree)| format!("{}: {}", clean(name), inline(tree)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn site(value: Value) -> Site {
        let message = prost_reflect::DynamicMessage::deserialize(json::descriptor("Site"), value);
        message.unwrap().transcode_to().unwrap()
    }

    fn step(action: Action, fields: &[&str]) -> PlannedStep {
        PlannedStep {
            action: action.into(),
            fields: fields.iter().map(|it| (*it).to_owned()).collect(),
            ..PlannedStep::default()
        }
    }

    #[test]
    fn what_is_new_is_told_field_by_field() {
        let taken = site(json!({
            "connection": {
                "name": "", "displayName": "branch", "mtu": 1400, "adminEnabled": true,
                "peer": {"address": "192.0.2.1", "psk": "Canary", "pskSet": true},
                "policyBased": {"rules": [{"sources": ["10.1.0.0/24", "10.2.0.0/24"], "destinations": ["10.9.0.0/16"]}]},
                "dpd": {"interval": "30s"},
            },
            "parts": {"ikePolicy": {"displayName": "strong", "dhGroups": ["DH_GROUP_MODP_2048"]}},
        }));
        let plan = [step(Action::Create, &["display_name", "peer.psk"])];
        let text = lines(None, &taken, &plan, Style::Plain).join("\n");
        assert_eq!(
            text,
            "\
+ display_name: branch
+ admin_enabled: true
+ peer.address: 192.0.2.1
+ dpd.interval: 30s
+ policy_based.rules[0].sources: [10.1.0.0/24, 10.2.0.0/24]
+ policy_based.rules[0].destinations: [10.9.0.0/16]
+ mtu: 1400
+ parts.ike_policy.display_name: strong
+ parts.ike_policy.dh_groups: [DH_GROUP_MODP_2048]
+ peer.psk: as described"
        );
    }

    #[test]
    fn only_what_differs_of_what_is_said_is_told() {
        let before = site(json!({
            "connection": {
                "name": "backends/a/connections/1", "displayName": "branch", "description": "kept", "mtu": 1500,
                "peer": {"address": "192.0.2.1", "id": "a"},
                "policyBased": {"rules": [
                    {"sources": ["10.1.0.0/24"], "destinations": ["10.9.0.0/16"], "logged": true},
                    {"sources": ["10.2.0.0/24"]},
                ]},
            },
            "parts": {
                "ikePolicy": {"displayName": "old", "dhGroups": ["DH_GROUP_MODP_1024"], "lifetime": {"time": "3600s"}},
                "vpnService": {"router": "r"},
            },
        }));
        let taken = site(json!({
            "connection": {
                "displayName": "branch", "mtu": 1400, "initiation": "INITIATION_BOTH",
                "peer": {"address": "192.0.2.2\u{202e}"},
                "policyBased": {"rules": [{"sources": ["10.3.0.0/24"], "destinations": ["10.9.0.0/16"]}]},
            },
            "parts": {
                "ikePolicy": {"displayName": "new", "dhGroups": ["DH_GROUP_MODP_2048"]},
                "vpnService": {"router": "r", "displayName": "s"},
            },
        }));
        let plan = [step(Action::Update, &["psk"])];
        let text = lines(Some(&before), &taken, &plan, Style::Plain).join("\n");
        assert_eq!(
            text,
            "\
- peer.address: 192.0.2.1
+ peer.address: 192.0.2.2 
+ initiation: INITIATION_BOTH
- policy_based.rules[0].logged: true
- policy_based.rules[0].sources: [10.1.0.0/24]
+ policy_based.rules[0].sources: [10.3.0.0/24]
- policy_based.rules[1].sources: [10.2.0.0/24]
- mtu: 1500
+ mtu: 1400
- parts.ike_policy.dh_groups: [DH_GROUP_MODP_1024]
+ parts.ike_policy.dh_groups: [DH_GROUP_MODP_2048]
+ peer.psk: as described; what it is now cannot be read"
        );
        let colored = lines(Some(&before), &taken, &plan, Style::Ansi).join("\n");
        assert!(colored.starts_with("\u{1b}[31m- peer.address: 192.0.2.1\u{1b}[0m\n\u{1b}[32m+ "));
        assert_eq!(lines(Some(&before), &before, &[], Style::Plain), [""; 0]);
    }
}
