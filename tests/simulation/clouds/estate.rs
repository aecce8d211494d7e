//! What the clouds have, as one list: for the question what is left of a write, and of what.

use crate::clouds::{COMPOSITE, Clouds, NSX, OPENSTACK};
use isthmus::simulator::{
    nsx::Kind as NsxKind,
    openstack::{Inventory, Kind as NeutronKind},
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// One object of a cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub backend: &'static str,
    pub is_connection: bool,
    /// What kind, for people.
    pub kind: String,
    pub id: String,
    pub name: String,
    /// The gateway's mark on it; empty if it has none.
    pub mark: String,
    /// The ids of what it refers to, in the same cloud.
    pub refers_to: Vec<String>,
}

/// Those that no connection needs, directly or round about.
pub fn unused(objects: &[Object]) -> Vec<&Object> {
    let by_id: BTreeMap<&str, &Object> = objects.iter().map(|it| (it.id.as_str(), it)).collect();
    let mut used = BTreeSet::new();
    let mut next: Vec<&Object> = objects.iter().filter(|it| it.is_connection).collect();
    while let Some(object) = next.pop() {
        if used.insert(object.id.as_str()) {
            let each = object.refers_to.iter();
            next.extend(each.filter_map(|id| by_id.get(id.as_str())));
        }
    }
    let unused = objects.iter().filter(|it| !used.contains(it.id.as_str()));
    unused.collect()
}

impl Clouds {
    /// Everything that both clouds have.
    pub fn estate(&self) -> Vec<Object> {
        let mut rows = Vec::new();
        for kind in NsxKind::ALL {
            let is_connection = kind == NsxKind::Session;
            for object in self.nsx.1.objects(kind) {
                rows.push((NSX, is_connection, format!("{kind:?}"), object));
            }
        }
        let state = &self.openstack.state;
        for kind in NeutronKind::ALL {
            let is_connection = kind == NeutronKind::Connection;
            for id in state.ids(kind) {
                let row = state.row(kind, &id).unwrap();
                rows.push((OPENSTACK, is_connection, format!("{kind:?}"), row));
            }
        }
        let ids: BTreeSet<String> = rows.iter().map(|(.., row)| text(row, "id")).collect();
        let each = rows.into_iter();
        each.map(|(backend, is_connection, kind, row)| {
            let id = text(&row, "id");
            let mut refers_to = Vec::new();
            texts(&row, &mut |text| {
                if text != id && ids.contains(text) {
                    refers_to.push(text.to_owned());
                }
            });
            Object {
                backend,
                is_connection,
                kind,
                name: text(&row, "display_name") + &text(&row, "name"),
                mark: mark(&row),
                refers_to,
                id,
            }
        })
        .collect()
    }

    /// How many connections there are of each composite's name.
    pub fn composites(&self) -> BTreeMap<String, usize> {
        let sessions = self.nsx.1.objects(NsxKind::Session).into_iter();
        let sessions = sessions.map(|it| text(&it, "display_name"));
        let state = &self.openstack.state;
        let rows = state.ids(NeutronKind::Connection).into_iter();
        let rows = rows.filter_map(|id| state.row(NeutronKind::Connection, &id));
        let names = sessions.chain(rows.map(|it| text(&it, "name")));
        let mut counts = BTreeMap::new();
        for name in names.filter(|it| it.starts_with(COMPOSITE)) {
            *counts.entry(name).or_default() += 1;
        }
        counts
    }

    /// Makes room for a composite of this name, and has somebody else make a policy of the same name in each cloud.
    pub fn make_room(&self, name: &str) {
        self.nsx.1.add_logical_router(&router_of(name));
        let policy = json!({ "display_name": name });
        self.nsx.1.plant(NsxKind::IkeProfile, policy);
        let state = &self.openstack.state;
        let like = Inventory::fixed().project.ike_policy_id;
        let mut row = state.row(NeutronKind::IkePolicy, like).unwrap();
        row["id"] = json!(
            uuid::Builder::from_random_bytes(fastrand::u128(..).to_le_bytes())
                .into_uuid()
                .to_string()
        );
        row["name"] = json!(name);
        state.plant(NeutronKind::IkePolicy, row);
    }
}

/// The router of NSX that a composite of this name has its service on.
pub fn router_of(name: &str) -> String {
    format!("router-of-{}", name.replace([' ', '.'], "-"))
}

fn text(row: &Value, name: &str) -> String {
    row[name].as_str().unwrap_or_default().to_owned()
}

/// Tells of every text in a value.
fn texts(value: &Value, tell: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => tell(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, tell)),
        Value::Object(fields) => fields.values().for_each(|value| texts(value, tell)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn mark(row: &Value) -> String {
    let mut tags = row["tags"].as_array().into_iter().flatten();
    if let Some(mark) = tags.find(|tag| tag["scope"] == "isthmus") {
        return text(mark, "tag");
    }
    let description = text(row, "description");
    let mark = description.rsplit_once("[isthmus:");
    mark.map_or_else(String::new, |(_, mark)| {
        mark.trim_end_matches(']').to_owned()
    })
}
