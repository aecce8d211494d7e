//! Two values of every field of every kind, out of what a backend says it takes: so a field or value that is added to its
//! capabilities is tried without a word here, or has no value here and fails.

use crate::support::site::{BACKEND, Cloud, Site, World};
use isthmus::{
    model::{ResourceField, ResourceKind},
    simulator::nsx::{self, inventory},
};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// What things are made with.
    First,
    /// What they are changed to.
    Second,
}

/// What a backend takes of one kind, and where it is.
pub struct Taken<'a> {
    site: &'a Site,
    kind: ResourceKind,
    capabilities: Value,
}

/// A change of one field, or of those that only change together.
#[derive(Debug, Clone)]
pub struct Change {
    /// The fields and their new values.
    pub set: Map<String, Value>,
    /// What else of the resource is another then.
    pub also: Map<String, Value>,
}

impl Change {
    /// The fields that it names.
    pub fn mask(&self) -> Vec<&str> {
        self.set.keys().map(String::as_str).collect()
    }
}

impl<'a> Taken<'a> {
    /// What the backend says of a kind; `None` if it has none.
    pub async fn read(site: &'a Site, kind: ResourceKind) -> Option<Taken<'a>> {
        let capabilities = site.api.capabilities(BACKEND).await;
        let kinds = capabilities["resources"].as_array()?;
        let of_kind = |it: &&Value| it["collection"] == kind.collection().segment();
        Some(Taken {
            site,
            kind,
            capabilities: kinds.iter().find(of_kind)?.clone(),
        })
    }

    /// A list of what the backend says: `fields`, `immutable_fields`, `dh_groups`.
    pub fn list(&self, name: &str) -> Vec<String> {
        let list = self.capabilities[name].as_array().into_iter().flatten();
        list.map(|it| it.as_str().unwrap().to_owned()).collect()
    }

    /// Every value of every list that it says.
    pub fn everything(&self) -> BTreeSet<&str> {
        let lists = self.capabilities.as_object().unwrap().values();
        let values = lists.filter_map(Value::as_array).flatten();
        values.filter_map(Value::as_str).collect()
    }

    /// Whether it says this.
    pub fn says(&self, name: &str) -> bool {
        self.capabilities[name] == true
    }

    /// A number that it says.
    pub fn number(&self, name: &str) -> usize {
        self.capabilities[name].as_u64().unwrap() as usize
    }

    /// A text that it says.
    pub fn text(&self, name: &str) -> &str {
        self.capabilities[name].as_str().unwrap()
    }

    /// The fields that can be set.
    pub fn fields(&self) -> Vec<ResourceField> {
        let fields = self.list("fields");
        let known = self.kind.fields().iter().copied();
        let taken: Vec<_> = known
            .filter(|it| fields.iter().any(|name| name == it.path()))
            .collect();
        assert_eq!(
            taken.len(),
            fields.len(),
            "{fields:?} are not all of this kind"
        );
        taken
    }

    /// The fields that cannot be changed once it is made.
    pub fn is_immutable(&self, field: ResourceField) -> bool {
        self.list("immutable_fields")
            .iter()
            .any(|it| it == field.path())
    }

    /// Everything that can be said of one, the `number`th of its kind.
    pub fn whole(&self, number: usize) -> Value {
        let mut body = Map::new();
        for field in self.fields() {
            let value = self.value(field, Choice::First, number);
            body.insert(field.path().to_owned(), value);
        }
        body["display_name"] = json!(format!("number {number}"));
        Value::Object(body)
    }

    /// A change of every field that can be changed and has two values.
    pub fn changes(&self) -> Vec<Change> {
        let mutable = self
            .fields()
            .into_iter()
            .filter(|field| !self.is_immutable(*field));
        mutable.filter_map(|field| self.change(field)).collect()
    }

    /// The fields that can be changed and have one value only: there is nothing to change them to.
    pub fn fixed(&self) -> BTreeSet<&'static str> {
        let fields = self
            .fields()
            .into_iter()
            .filter(|field| !self.is_immutable(*field));
        let single = fields.filter(|field| self.change(*field).is_none());
        single.map(ResourceField::path).collect()
    }

    fn change(&self, field: ResourceField) -> Option<Change> {
        use ResourceField as F;
        let second = |field: F| {
            (
                field.path().to_owned(),
                self.value(field, Choice::Second, 0),
            )
        };
        let first = self.value(field, Choice::First, 0);
        let (path, value) = second(field);
        if first == value {
            return None;
        }
        let mut change = Change {
            set: Map::from_iter([(path, value)]),
            also: Map::new(),
        };
        match field {
            // Two names of one word of the cloud.
            F::IntegrityAlgorithms if self.kind == ResourceKind::IkePolicy => {
                change.also.extend([second(F::PrfAlgorithms)]);
            }
            F::PrfAlgorithms => change.also.extend([second(F::IntegrityAlgorithms)]),
            // What is not done has no group where the cloud has one word for both.
            F::PerfectForwardSecrecy if matches!(self.site.cloud, Cloud::Openstack(_)) => {
                change.set.insert(F::DhGroups.path().to_owned(), json!([]));
            }
            // The interval that is right for one mode is not for the other.
            F::ProbeMode => {
                change
                    .set
                    .insert(F::ProbeInterval.path().to_owned(), json!("5s"));
            }
            _ => {}
        }
        Some(change)
    }

    /// One of the two values of a field; the same one twice if there is only one.
    pub fn value(&self, field: ResourceField, choice: Choice, number: usize) -> Value {
        use ResourceField as F;
        let first = choice == Choice::First;
        let pick = |one: &str, other: &str| json!(if first { one } else { other });
        match field {
            F::DisplayName => pick("head office", "branch"),
            F::Description => pick("in use since May", "new words"),
            F::AvailabilityZone => pick("AZ2", "AZ1"),
            F::IkeVersion => self.one("ike_versions", ["IKE_VERSION_2", "IKE_VERSION_1"], choice),
            F::NegotiationMode => self.one(
                "negotiation_modes",
                ["NEGOTIATION_MODE_MAIN", "NEGOTIATION_MODE_AGGRESSIVE"],
                choice,
            ),
            F::EncryptionAlgorithms => self.some(
                "encryption_algorithms",
                [
                    "ENCRYPTION_ALGORITHM_AES_CBC_256",
                    "ENCRYPTION_ALGORITHM_AES_CBC_128",
                ],
                choice,
            ),
            F::IntegrityAlgorithms => self.some(
                "integrity_algorithms",
                [
                    "INTEGRITY_ALGORITHM_HMAC_SHA2_512_256",
                    "INTEGRITY_ALGORITHM_HMAC_SHA2_256_128",
                ],
                choice,
            ),
            F::PrfAlgorithms => self.some(
                "prf_algorithms",
                ["PRF_ALGORITHM_HMAC_SHA2_512", "PRF_ALGORITHM_HMAC_SHA2_256"],
                choice,
            ),
            F::DhGroups => self.some(
                "dh_groups",
                ["DH_GROUP_MODP_2048", "DH_GROUP_MODP_1536"],
                choice,
            ),
            F::Lifetime => json!({ "time": pick("28800s", "43200s") }),
            F::TransformProtocol => self.one(
                "transform_protocols",
                ["TRANSFORM_PROTOCOL_ESP", "TRANSFORM_PROTOCOL_AH"],
                choice,
            ),
            F::EncapsulationMode => self.one(
                "encapsulation_modes",
                ["ENCAPSULATION_MODE_TUNNEL", "ENCAPSULATION_MODE_TRANSPORT"],
                choice,
            ),
            F::PerfectForwardSecrecy => {
                json!(first || !self.says("perfect_forward_secrecy_optional"))
            }
            F::DfPolicy => self.one("df_policies", ["DF_POLICY_COPY", "DF_POLICY_CLEAR"], choice),
            // Open Telekom Cloud switches no service off.
            F::AdminEnabled => json!(first || self.site.world == World::Otc),
            F::Enabled => json!(first),
            F::ProbeMode => pick("PROBE_MODE_PERIODIC", "PROBE_MODE_ON_DEMAND"),
            F::ProbeInterval => pick("30s", "45s"),
            F::RetryCount => json!(if first { 5 } else { 7 }),
            F::IkeLogLevel => pick("IKE_LOG_LEVEL_DEBUG", "IKE_LOG_LEVEL_WARN"),
            F::HaSync => json!(!first),
            F::LocalId => pick("office@vpn.example", "branch@vpn.example"),
            F::EndpointType => self.one("endpoint_types", ["TYPE_CIDR", "TYPE_SUBNET"], choice),
            _ => self.place(field, first, number),
        }
    }

    /// The same of fields that name something in the cloud.
    fn place(&self, field: ResourceField, first: bool, number: usize) -> Value {
        use ResourceField as F;
        let pick = |one: &str, other: &str| json!(if first { one } else { other });
        let id = |last: char| format!("3f1c2b5a-9d7e-4c1f-8a2b-00000000000{last}");
        match field {
            F::Router if first => json!(self.site.free_router(number)),
            F::Router => json!(self.site.other_router()),
            F::Subnet => {
                let project = self.site.openstack().inventory().project;
                pick(project.subnet_id, project.legacy_subnet_id)
            }
            F::Flavor => pick(&id('a'), &id('b')),
            F::BypassRules => {
                let rule =
                    |from: &str| json!([{ "sources": [from], "destinations": ["10.9.0.0/16"] }]);
                rule(if first { "10.8.1.0/24" } else { "10.8.2.0/24" })
            }
            F::VpnService => {
                let service = if first {
                    inventory::SERVICE_ID.to_owned()
                } else {
                    self.other_service()
                };
                json!(self.site.name(ResourceKind::VpnService, &service))
            }
            F::Address => pick("198.51.100.11", "198.51.100.12"),
            F::Certificate => pick(&id('c'), &id('d')),
            F::TrustedAuthorities => json!([if first { id('e') } else { id('f') }]),
            F::RevocationLists => json!([if first { id('1') } else { id('2') }]),
            F::Endpoints if first => json!([format!("10.{number}.0.0/24"), "10.99.0.0/24"]),
            F::Endpoints => json!(["10.98.0.0/24"]),
            other => panic!("{other:?} has no value here"),
        }
    }

    /// Another service of NSX, made by somebody else.
    fn other_service(&self) -> String {
        let id = "5d1f9a0c-7e42-4b6d-9a35-1c8e2f3b4a5d";
        let service = json!({
            "id": id, "display_name": "other", "resource_type": "IPSecVPNService", "_revision": 0,
            "logical_router_id": inventory::FREE_ROUTER_ID, "enabled": true,
        });
        self.site.nsx().state().plant(nsx::Kind::Service, service)
    }

    fn one(&self, list: &str, wanted: [&str; 2], choice: Choice) -> Value {
        let taken = self.list(list);
        let wanted: Vec<&str> = wanted
            .into_iter()
            .filter(|it| taken.iter().any(|word| word == it))
            .collect();
        let place = usize::from(choice == Choice::Second).min(wanted.len().saturating_sub(1));
        let value = wanted
            .get(place)
            .unwrap_or_else(|| panic!("{list}: {taken:?}"));
        json!(value)
    }

    /// A list in order of preference, where there can be more than one.
    fn some(&self, list: &str, wanted: [&str; 2], choice: Choice) -> Value {
        let one = self.one(list, wanted, choice);
        let most = self.capabilities["max_algorithms"].as_u64().unwrap_or(1);
        if most > 1 && choice == Choice::First {
            let other = self.one(list, wanted, Choice::Second);
            return json!([one, other]);
        }
        json!([one])
    }
}
