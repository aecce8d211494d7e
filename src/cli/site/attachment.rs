//! Where a connection is attached on one backend.

use crate::cli::{
    kinds::Kind,
    misfits::{self, named},
    names,
    question::AttachedArgs,
    tree::Tree,
};
use serde_json::Value;

/// Where a connection is attached on one backend. What is not given is as the description has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachment {
    /// The router or gateway of the VPN service that is made.
    pub router: Option<String>,
    /// The local subnet of that service.
    pub subnet: Option<String>,
    /// The address of the local endpoint that is made.
    pub local_address: Option<String>,
    /// The availability zone.
    pub availability_zone: Option<String>,
    /// A VPN service that is there, by its id or name in place of one that is made.
    pub vpn_service: Option<String>,
    /// The same for a local endpoint.
    pub local_endpoint: Option<String>,
}

/// The fields, as the protos spell such names.
const FIELDS: [&str; 6] = [
    "router",
    "subnet",
    "local_address",
    "availability_zone",
    "vpn_service",
    "local_endpoint",
];

/// What is not given beside each other: the same thing made, and referred to.
const EXCLUDED: [(&str, &str); 3] = [
    ("router", "vpn_service"),
    ("subnet", "vpn_service"),
    ("local_address", "local_endpoint"),
];

impl Attachment {
    /// What a file says of it; nothing at all is an attachment too.
    ///
    /// # Errors
    /// A line for each field that does not fit. `path` is where it stands.
    pub fn read(tree: &Tree, path: &str) -> Result<Attachment, Vec<String>> {
        let fields = match tree {
            Tree::Leaf(Value::Null) => return Ok(Attachment::default()),
            Tree::Fields(fields) => fields,
            other => {
                let line = format!("{path}: takes fields with values, not {}", named(other));
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
                    lines.push(format!("{path}.{name}: takes a text, not {found}"));
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

    /// The same, with what `over` gives in its place.
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

    /// The full names of what it refers to on this backend: a VPN service and a local endpoint.
    ///
    /// # Errors
    /// If one is of another kind.
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

/// Whether a key of a file is this field, in either of its spellings: `local_address` or `localAddress`.
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
