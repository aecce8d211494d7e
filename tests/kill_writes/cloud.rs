//! Both simulated clouds: what is asked of them through the gateway, and what they have then.

use crate::{
    process::BACKEND,
    support::clouds::{References, nsx_connection},
};
use isthmus::{
    grpc::pb,
    simulator::{
        faults::Faults,
        nsx::{self, Levers, NsxOptions, NsxSimulator, Pace, inventory},
        openstack::{self, AgentPace, OpenstackOptions, OpenstackSimulator},
        requests::RequestLog,
    },
};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The keys that are set, one by the create and one by the update.
pub const KEYS: [&str; 2] = [
    "canary-key-of-a-create-7b1e",
    "canary-key-of-an-update-93d0",
];
/// The longest that one request may take; what did not come twice as long after it was sent never comes.
pub const TIMEOUT: Duration = Duration::from_millis(1_000);

/// Which cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Nsx,
    Openstack,
}

/// A cloud that is being served.
pub struct Cloud {
    served: Served,
    timeout: Duration,
    /// What was there before anybody asked.
    founded: BTreeSet<String>,
}

enum Served {
    Nsx(NsxSimulator),
    Openstack(OpenstackSimulator),
}

impl Cloud {
    /// Starts one whose nodes and agents are quick. The gateway is to wait so long for each of its answers.
    pub fn start(dialect: Dialect, timeout: Duration) -> Cloud {
        let served = match dialect {
            Dialect::Nsx => {
                let per_node = Duration::from_millis(20);
                let levers = Levers {
                    pace: Pace::Elapsed { per_node },
                    ..Levers::default()
                };
                let options = NsxOptions {
                    levers,
                    ..NsxOptions::default()
                };
                Served::Nsx(NsxSimulator::start(options).unwrap())
            }
            Dialect::Openstack => {
                let pace = AgentPace::Elapsed {
                    installed: Duration::from_millis(50),
                    established: Duration::from_millis(50),
                    dip_on_update: false,
                };
                let options = OpenstackOptions {
                    pace,
                    ..OpenstackOptions::default()
                };
                Served::Openstack(OpenstackSimulator::start(options).unwrap())
            }
        };
        let mut cloud = Cloud {
            served,
            timeout,
            founded: BTreeSet::new(),
        };
        cloud.founded = cloud.objects().into_keys().map(|(_, id)| id).collect();
        cloud
    }

    /// Its table in the configuration.
    pub fn backend(&self, name: &str) -> String {
        let timeout = self.timeout.as_millis();
        // There is no TLS here, and each of hundreds of processes would read the system's authorities.
        let common = format!(
            "[[backends]]\nname = \"{name}\"\ntimeout = \"{timeout}ms\"\ninsecure_skip_verify = true\n\
             poll = {{ fresh = \"100ms\", stable = \"100ms\", quiet_after_update = \"300ms\", \
             confirm_failure = \"200ms\", vanish_grace = \"500ms\" }}\n",
        );
        match &self.served {
            Served::Nsx(cloud) => {
                let options = NsxOptions::default();
                format!(
                    "{common}dialect = \"nsx\"\nurl = \"{}\"\n\
                     auth = {{ kind = \"session\", username = \"{}\", password = \"{}\" }}\n",
                    cloud.url(),
                    options.username,
                    options.password,
                )
            }
            Served::Openstack(cloud) => {
                let (inventory, url) = (cloud.inventory(), cloud.keystone_url());
                let (member, project) = (inventory.member, inventory.project.project_name);
                format!(
                    "{common}dialect = \"openstack\"\nvariant = \"neutron\"\n\
                     auth = {{ kind = \"password\", username = \"{}\", password = \"{}\", auth_url = \"{url}\", \
                     project_name = \"{project}\", user_domain_id = \"default\", project_domain_id = \"default\" }}\n",
                    member.name, member.password,
                )
            }
        }
    }

    /// What the VPN API does wrong.
    pub fn faults(&self) -> &Faults {
        match &self.served {
            Served::Nsx(cloud) => cloud.faults(),
            Served::Openstack(cloud) => cloud.faults(),
        }
    }

    /// What the VPN API was asked.
    pub fn requests(&self) -> &RequestLog {
        match &self.served {
            Served::Nsx(cloud) => cloud.requests(),
            Served::Openstack(cloud) => cloud.neutron().requests(),
        }
    }

    /// How many writes of VPN objects it was asked for so far.
    pub fn writes(&self) -> usize {
        let seen = self.requests().all();
        let writes = seen
            .iter()
            .filter(|seen| !seen.method.is_safe() && seen.path.contains("/vpn/"));
        writes.count()
    }

    /// A connection that refers to what is there.
    pub fn plain(&self) -> pb::Connection {
        match &self.served {
            Served::Nsx(_) => nsx_connection(BACKEND),
            Served::Openstack(cloud) => References::of(cloud).connection(BACKEND),
        }
    }

    /// A connection that needs everything, and refers to nothing.
    pub fn everything(&self) -> (pb::Connection, pb::Parts) {
        let connection = pb::Connection {
            display_name: "branch 42".into(),
            ..self.wanted(KEYS[0], "10.10.1.0/24", "192.168.77.0/24")
        };
        let mut parts = pb::Parts {
            ike_policy: Some(pb::IkePolicy::default()),
            ipsec_policy: Some(pb::IpsecPolicy::default()),
            vpn_service: Some(pb::VpnService::default()),
            ..pb::Parts::default()
        };
        let service = parts.vpn_service.as_mut().unwrap();
        match &self.served {
            Served::Nsx(_) => {
                service.router = inventory::FREE_ROUTER_ID.to_owned();
                parts.dpd_policy = Some(pb::DpdPolicy::default());
                parts.local_endpoint = Some(pb::LocalEndpoint {
                    address: "198.51.100.11".into(),
                    ..pb::LocalEndpoint::default()
                });
            }
            Served::Openstack(cloud) => {
                service.router = cloud.inventory().project.router_id.to_owned();
            }
        }
        (connection, parts)
    }

    /// A change that takes several requests, and its mask.
    pub fn change(&self, name: &str) -> (pb::Connection, Vec<String>) {
        let connection = pb::Connection {
            name: name.to_owned(),
            ..self.wanted(KEYS[1], "10.10.2.0/24", "192.168.99.0/24")
        };
        let mask = ["peer.psk", "policy_based"].map(str::to_owned);
        (connection, mask.to_vec())
    }

    fn wanted(&self, key: &str, source: &str, destination: &str) -> pb::Connection {
        let peer = pb::Peer {
            address: "198.51.100.20".into(),
            authentication: Some(pb::peer::Authentication::Psk(key.to_owned())),
            ..pb::Peer::default()
        };
        let rule = pb::PolicyRule {
            sources: vec![source.into()],
            destinations: vec![destination.into()],
            ..pb::PolicyRule::default()
        };
        let rules = pb::PolicyBased {
            rules: vec![rule],
            ..pb::PolicyBased::default()
        };
        pb::Connection {
            peer: Some(peer),
            selectors: Some(pb::connection::Selectors::PolicyBased(rules)),
            ..pb::Connection::default()
        }
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        match &self.served {
            Served::Nsx(cloud) => cloud.state().count(nsx::Kind::Session),
            Served::Openstack(cloud) => cloud.state().ids(openstack::Kind::Connection).len(),
        }
    }

    /// Every object there is, by its collection and id, with the key that it was given.
    pub fn objects(&self) -> BTreeMap<(&'static str, String), Value> {
        let mut objects = BTreeMap::new();
        match &self.served {
            Served::Nsx(cloud) => {
                let state = cloud.state();
                for kind in nsx::Kind::ALL {
                    for mut object in state.objects(kind) {
                        let id = object["id"].as_str().unwrap().to_owned();
                        if let Some(psk) = state.psk(&id) {
                            object["psk"] = psk.into();
                        }
                        objects.insert((kind.collection(), id), object);
                    }
                }
            }
            Served::Openstack(cloud) => {
                let state = cloud.state();
                for (kind, collection) in openstack::Kind::ALL.into_iter().zip(COLLECTIONS) {
                    for id in state.ids(kind) {
                        let row = state.row(kind, &id).unwrap();
                        objects.insert((collection, id), row);
                    }
                }
            }
        }
        objects
    }

    /// Everything that there is, in words that are the same for every cloud to which the same was done: ids and marks by
    /// what they are, and nothing that only time or the nodes decide.
    pub fn view(&self) -> Vec<String> {
        let objects = self.objects();
        let mut words = BTreeMap::new();
        for ((collection, id), object) in &objects {
            if !self.founded.contains(id) {
                words.insert(id.clone(), format!("<{collection}>"));
                let mark = mark(object);
                if let Ok(uuid) = uuid::Uuid::try_parse(&mark) {
                    words.insert(
                        mark,
                        format!("<mark of version {}>", uuid.get_version_num()),
                    );
                }
            }
        }
        let each = objects
            .iter()
            .map(|((collection, _), object)| format!("{collection} {}", plain(object, &words)));
        let mut view: Vec<String> = each.collect();
        view.sort();
        view
    }

    /// The marks of what was made since the cloud was founded, each with its objects; what has none is under "".
    pub fn marks(&self) -> BTreeMap<String, Vec<&'static str>> {
        let mut marks: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for ((collection, id), object) in self.objects() {
            if !self.founded.contains(&id) {
                marks.entry(mark(&object)).or_default().push(collection);
            }
        }
        marks
    }

    /// The keys that its objects have.
    pub fn keys(&self) -> Vec<String> {
        let objects = self.objects().into_values();
        let keys = objects.filter_map(|object| object["psk"].as_str().map(str::to_owned));
        keys.collect()
    }
}

const CONNECTIONS: &str = "ipsec-site-connections";
/// In the order of [`openstack::Kind::ALL`].
const COLLECTIONS: [&str; 5] = [
    CONNECTIONS,
    "ikepolicies",
    "ipsecpolicies",
    "vpnservices",
    "endpoint-groups",
];

/// What only time, the nodes or the order of writes decide.
const FLEETING: [&str; 7] = [
    "status",
    "_revision",
    "_create_time",
    "_last_modified_time",
    // Of objects, which is another each time, and of rules, which the cloud draws.
    "id",
    "created_at",
    "updated_at",
];
/// The tag of NSX that is another with each write.
const NONCE: &str = "isthmus-write";

/// A value without what is fleeting, and with these texts put in other words.
fn plain(value: &Value, words: &BTreeMap<String, String>) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields
                .iter()
                .filter(|(name, _)| !FLEETING.contains(&name.as_str()));
            let plain = kept.map(|(name, value)| (name.clone(), plain(value, words)));
            Value::Object(plain.collect::<Map<_, _>>())
        }
        Value::Array(items) => {
            let kept = items.iter().filter(|item| item["scope"] != NONCE);
            Value::Array(kept.map(|item| plain(item, words)).collect())
        }
        Value::String(text) => {
            let mut text = text.clone();
            for (word, other) in words {
                text = text.replace(word, other);
            }
            Value::String(text)
        }
        other => other.clone(),
    }
}

/// The mark on an object of either cloud; empty if it has none.
fn mark(object: &Value) -> String {
    let tags = object["tags"].as_array().into_iter().flatten();
    let mut marks = tags.filter(|tag| tag["scope"] == "isthmus");
    if let Some(mark) = marks.next() {
        return mark["tag"].as_str().unwrap_or_default().to_owned();
    }
    let description = object["description"].as_str().unwrap_or_default();
    let mark = description.rsplit_once("[isthmus:");
    mark.map_or_else(String::new, |(_, mark)| {
        mark.trim_end_matches(']').to_owned()
    })
}
