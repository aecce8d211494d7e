//! Where a connection is attached on one backend.

use crate::cli::{
    kinds::Kind,
    misfits::{self, named},
    names,
    question::AttachedArgs,
    tree::Tree,
};
use serde_json::Value;

/// Where a connection is attached on one backend. A field that is `None` leaves the description as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachment {
    /// The router or gateway of the VPN service to create.
    pub router: Option<String>,
    /// The local subnet of that service.
    pub subnet: Option<String>,
    /// The address of the local endpoint to create.
    pub local_address: Option<String>,
    pub availability_zone: Option<String>,
    /// An existing VPN service, by id or name, instead of a created one.
    pub vpn_service: Option<String>,
    /// An existing local endpoint, by id or name, instead of a created one.
    pub local_endpoint: Option<String>,
}

/// The fields, in the spelling of the protos.
const FIELDS: [&str; 6] = [
    "router",
    "subnet",
    "local_address",
    "availability_zone",
    "vpn_service",
    "local_endpoint",
];

/// Fields that exclude each other: one creates what the other references.
const EXCLUDED: [(&str, &str); 3] = [
    ("router", "vpn_service"),
    ("subnet", "vpn_service"),
    ("local_address", "local_endpoint"),
];

impl Attachment {
    /// Reads an attachment from a file. A null is an empty attachment.
    ///
    /// # Errors
    /// A line for each field that does not fit. `path` is its place in the file.
    pub fn read(tree: &Tree, path: &str) -> Result<Attachment, Vec<String>> {
        let fields = match tree {
            Tree::Leaf(Value::Null) => return Ok(Attachment::default()),
            Tree::Fields(fields) => fields,
            other => {
                let line = format!("{path}: takes a mapping of fields, not {}", named(other));
                return Err(vec![line]);
            }
        };
        let mut attachment = Attachment::default();
        let mut lines = Vec::new();
        for (key, value) in fields {
            let Some(name) = FIELDS.into_iter().find(|name| is(key, name)) else {
                let names = FIELDS.map(str::to_owned);
                lines.push(format!("{path}.{key}: {}", misfits::unknown(key, &names)));
                continue;
            };
            let text = match value {
                Tree::Leaf(Value::Null) => continue,
                Tree::Leaf(Value::String(text)) if !text.is_empty() => text.clone(),
                Tree::Leaf(Value::String(_)) => {
                    lines.push(format!("{path}.{name}: must not be empty"));
                    continue;
                }
                other => {
                    let found = named(other);
                    lines.push(format!("{path}.{name}: takes a string, not {found}"));
                    continue;
                }
            };
            if attachment.field(name).replace(text).is_some() {
                lines.push(format!("{path}.{name}: is given twice"));
            }
        }
        for (made, referred) in EXCLUDED {
            if attachment.field(made).is_some() && attachment.field(referred).is_some() {
                let line = format!(
                    "{path}.{made}: excludes `{referred}`, which is there already and has its own"
                );
                lines.push(line);
            }
        }
        match lines.is_empty() {
            true => Ok(attachment),
            false => Err(lines),
        }
    }

    /// Returns this attachment with the fields of `over` in place of its own.
    pub fn under(&self, over: &Attachment) -> Attachment {
        let mut both = self.clone();
        for name in FIELDS {
            let Some(given) = over.clone().field(name).take() else {
                continue;
            };
            for (made, referred) in EXCLUDED {
                if made == name {
                    *both.field(referred) = None;
                }
            }
            *both.field(name) = Some(given);
        }
        both
    }

    /// Returns the full names of the referenced VPN service and local endpoint on this backend.
    ///
    /// # Errors
    /// If a reference is to another kind of resource.
    pub fn references(&self, backend: &str) -> Result<[Option<String>; 2], String> {
        let full = |kind: Kind, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) if text.contains('/') => names::of_kind(kind, text).map(Some),
            Some(id) => names::of_kind(kind, &format!("{backend}/{id}")).map(Some),
        };
        Ok([
            full(Kind::VpnService, &self.vpn_service)?,
            full(Kind::LocalEndpoint, &self.local_endpoint)?,
        ])
    }

    fn field(&mut self, name: &str) -> &mut Option<String> {
        match name {
            "router" => &mut self.router,
            "subnet" => &mut self.subnet,
            "local_address" => &mut self.local_address,
            "availability_zone" => &mut self.availability_zone,
            "vpn_service" => &mut self.vpn_service,
            _ => &mut self.local_endpoint,
        }
    }
}

impl From<&AttachedArgs> for Attachment {
    fn from(args: &AttachedArgs) -> Attachment {
        Attachment {
            router: args.router.clone(),
            subnet: args.subnet.clone(),
            local_address: args.local_address.clone(),
            availability_zone: args.availability_zone.clone(),
            ..Attachment::default()
        }
    }
}

/// Reports whether a key of a file is this field, in either spelling: `local_address` or `localAddress`.
pub fn is(key: &str, name: &str) -> bool {
    let mut camel = String::new();
    let mut words = name.split('_');
    camel.push_str(words.next().unwrap_or_default());
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|it| it.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    key == name || key == camel
}
