//! The content of an object as text: its name, then its other values separated by bars.

use crate::model::{
    Connection, ConnectionChange, ConnectionSpec, Field, PolicyRule, ResourceChange, ResourceField,
    ResourceKind, ResourceSpec, Selectors, Settings, policy::Lifetime,
};

/// The content of a connection.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Said {
    pub name: String,
    pub mtu: Option<u32>,
    pub peer: String,
    pub networks: Vec<String>,
}

impl Said {
    pub fn of(spec: &ConnectionSpec) -> Said {
        Said {
            name: spec.display_name.clone(),
            mtu: spec.mtu,
            peer: spec.peer_address.clone(),
            networks: networks(spec).unwrap_or_default(),
        }
    }

    pub fn read(text: &str) -> Said {
        let mut each = text.split('|').map(str::to_owned);
        let mut next = || each.next().unwrap_or_default();
        Said {
            name: next(),
            mtu: next().parse().ok(),
            peer: next(),
            networks: next()
                .split(',')
                .filter(|it| !it.is_empty())
                .map(str::to_owned)
                .collect(),
        }
    }

    pub fn text(&self) -> String {
        let mtu = self.mtu.map(|mtu| mtu.to_string()).unwrap_or_default();
        let text = format!(
            "{}|{mtu}|{}|{}",
            self.name,
            self.peer,
            self.networks.join(",")
        );
        text.trim_end_matches('|').to_owned()
    }

    pub fn with(mut self, change: &ConnectionChange) -> Said {
        let touches = |field| change.fields.contains(&field);
        let wanted = Said::of(&change.values);
        if touches(Field::DisplayName) {
            self.name = wanted.name;
        }
        if touches(Field::Mtu) {
            self.mtu = wanted.mtu;
        }
        if touches(Field::PeerAddress) {
            self.peer = wanted.peer;
        }
        if touches(Field::Selectors) && networks(&change.values).is_some() {
            self.networks = wanted.networks;
        }
        self
    }

    pub fn put_into(self, connection: &mut Connection) {
        connection.display_name = self.name;
        connection.mtu = self.mtu;
        connection.peer.address.clone_from(&self.peer);
        connection.peer.id = self.peer;
    }

    pub fn rules(&self) -> Selectors {
        Selectors::Rules(vec![PolicyRule {
            destinations: self.networks.clone(),
            ..PolicyRule::default()
        }])
    }
}

fn networks(spec: &ConnectionSpec) -> Option<Vec<String>> {
    match &spec.selectors {
        Some(Selectors::Rules(rules)) => {
            let all = rules.iter().flat_map(|rule| rule.destinations.clone());
            Some(all.collect())
        }
        _ => None,
    }
}

/// The one field of each kind that is kept.
pub fn field(kind: ResourceKind) -> Option<ResourceField> {
    match kind {
        ResourceKind::IkePolicy => Some(ResourceField::Lifetime),
        ResourceKind::VpnService => Some(ResourceField::Router),
        ResourceKind::LocalEndpoint => Some(ResourceField::Address),
        _ => None,
    }
}

fn detail(spec: &ResourceSpec) -> String {
    match &spec.settings {
        Settings::IkePolicy(policy) => match policy.lifetime {
            Some(Lifetime::Seconds(seconds)) => seconds.to_string(),
            _ => String::new(),
        },
        Settings::VpnService(service) => service.router.clone(),
        Settings::LocalEndpoint(endpoint) => endpoint.address.clone(),
        _ => String::new(),
    }
}

/// Returns the content of a part.
pub fn part_text(spec: &ResourceSpec) -> String {
    let text = format!("{}|{}", spec.display_name, detail(spec));
    text.trim_end_matches('|').to_owned()
}

/// Returns the part with this content.
pub fn part(kind: ResourceKind, text: &str) -> ResourceSpec {
    let (name, detail) = text.split_once('|').unwrap_or((text, ""));
    let mut spec = ResourceSpec::none(kind);
    spec.display_name = name.to_owned();
    match &mut spec.settings {
        Settings::IkePolicy(policy) => {
            policy.lifetime = detail.parse().ok().map(Lifetime::Seconds);
        }
        Settings::VpnService(service) => service.router = detail.to_owned(),
        Settings::LocalEndpoint(endpoint) => endpoint.address = detail.to_owned(),
        _ => {}
    }
    spec
}

/// Returns the content of a part after a change.
pub fn changed_part(now: &ResourceSpec, change: &ResourceChange) -> String {
    let mut spec = now.clone();
    if change.fields.contains(&ResourceField::DisplayName) {
        spec.display_name.clone_from(&change.values.display_name);
    }
    if field(now.kind()).is_some_and(|field| change.fields.contains(&field)) {
        spec.settings = change.values.settings.clone();
    }
    part_text(&spec)
}
