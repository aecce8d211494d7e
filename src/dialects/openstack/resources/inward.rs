//! Translates a row of the cloud into a resource. Never fails: a value that does not fit the model stays in `native`.

use crate::{
    core::dialect::Mark,
    dialects::openstack::{
        mark,
        translate::{Rest, elements, etag, utc},
        variant::{
            Variant,
            words::{
                ENCAPSULATIONS, ENDPOINT_TYPES, IKE_VERSIONS, NEGOTIATION_MODES, TRANSFORMS, Table,
                prf_of,
            },
        },
        wire::{Body, kind::Kind},
    },
    model::{
        OpenstackResourceDetails, Resource, ResourceDetails, ResourceField as F, ResourceKind,
        ResourceSpec, Settings,
        algorithm::{DhGroup, IntegrityAlgorithm},
        policy::{IkePolicy, IpsecPolicy, Lifetime},
        topology::{EndpointGroup, VpnService},
    },
    rest::json,
};
use serde_json::{Map, Value};

/// Translates a row of the cloud into a resource of this kind.
pub fn resource(kind: ResourceKind, body: Body, variant: &Variant) -> Resource {
    let etag = Kind::of(kind).map_or_else(String::new, |kind| etag(kind, &body, variant));
    let mut object = body.into_object();
    // For known keys, null means the same as absence.
    object.retain(|key, value| !(value.is_null() && is_known(kind, key)));
    let mut reader = Reader {
        rest: Rest(object),
        words: Map::new(),
    };
    let rest = &mut reader.rest;
    let description = rest.text("description").unwrap_or_default();
    let (description, mark) = mark::split(&description);
    let (id, display_name) = (rest.text("id"), rest.text("name"));
    let availability_zone = rest.reference("availability_zone");
    let project_id = rest.project();
    // Stays in `native` too, since it has no time zone.
    let create_time = rest.shown("created_at").and_then(|text| utc(&text));
    let spec = ResourceSpec {
        display_name: display_name.unwrap_or_default(),
        description: description.to_owned(),
        availability_zone,
        settings: reader.settings(kind, variant),
    };
    Resource {
        id: id.unwrap_or_default(),
        spec,
        etag,
        managed: mark.is_some(),
        joint: mark.is_some_and(Mark::is_joint),
        create_time,
        update_time: None,
        native_words: reader.words,
        details: Some(ResourceDetails::Openstack(OpenstackResourceDetails {
            project_id,
        })),
        native: reader.rest.0,
    }
}

fn is_known(kind: ResourceKind, key: &str) -> bool {
    const READ: [&str; 6] = [
        "availability_zone",
        "external_v4_ip",
        "external_v6_ip",
        "project_id",
        "status",
        "tenant_id",
    ];
    READ.contains(&key) || Kind::of(kind).is_some_and(|kind| kind.writable.contains(&key))
}

/// The fields of a row that are not translated yet, and the cloud's words of those that are.
struct Reader {
    rest: Rest,
    words: Map<String, Value>,
}

impl Reader {
    fn settings(&mut self, kind: ResourceKind, variant: &Variant) -> Settings {
        match kind {
            ResourceKind::IkePolicy => Settings::IkePolicy(self.ike_policy(variant)),
            ResourceKind::IpsecPolicy => Settings::IpsecPolicy(self.ipsec_policy(variant)),
            ResourceKind::VpnService => Settings::VpnService(self.service()),
            ResourceKind::EndpointGroup => Settings::EndpointGroup(self.group()),
            // OpenStack has no such kinds.
            ResourceKind::DpdPolicy | ResourceKind::LocalEndpoint => Settings::none(kind),
        }
    }

    fn ike_policy(&mut self, variant: &Variant) -> IkePolicy {
        let words = &variant.words;
        let integrity_algorithms = self.integrity(words.integrity);
        if let Some(word) = self.words.get(F::IntegrityAlgorithms.path()).cloned() {
            self.words.insert(F::PrfAlgorithms.path().to_owned(), word);
        }
        let prf = |integrity: &Option<IntegrityAlgorithm>| integrity.map(prf_of);
        IkePolicy {
            ike_version: self.word("ike_version", F::IkeVersion, &IKE_VERSIONS),
            negotiation_mode: self.word(
                "phase1_negotiation_mode",
                F::NegotiationMode,
                &NEGOTIATION_MODES,
            ),
            encryption_algorithms: self.list(
                "encryption_algorithm",
                F::EncryptionAlgorithms,
                words.encryption,
            ),
            prf_algorithms: integrity_algorithms.iter().map(prf).collect(),
            integrity_algorithms,
            dh_groups: self.list("pfs", F::DhGroups, words.groups),
            lifetime: self.lifetime(),
        }
    }

    fn ipsec_policy(&mut self, variant: &Variant) -> IpsecPolicy {
        let words = &variant.words;
        let (perfect_forward_secrecy, dh_groups) = self.exchange(variant);
        IpsecPolicy {
            transform_protocol: self.word("transform_protocol", F::TransformProtocol, &TRANSFORMS),
            encapsulation_mode: self.word(
                "encapsulation_mode",
                F::EncapsulationMode,
                &ENCAPSULATIONS,
            ),
            encryption_algorithms: self.list(
                "encryption_algorithm",
                F::EncryptionAlgorithms,
                words.encryption,
            ),
            integrity_algorithms: self.integrity(words.integrity),
            perfect_forward_secrecy,
            dh_groups,
            lifetime: self.lifetime(),
            df_policy: None,
        }
    }

    /// Reads `pfs`: whether perfect forward secrecy is on, and its group. For an undocumented word neither is known.
    fn exchange(&mut self, variant: &Variant) -> (Option<bool>, Vec<Option<DhGroup>>) {
        let said = self.rest.shown("pfs").unwrap_or_default();
        let is_none = |word: &str| word.eq_ignore_ascii_case(said.trim());
        if variant.words.no_group.is_some_and(is_none) {
            self.rest.0.remove("pfs");
            let path = F::PerfectForwardSecrecy.path();
            self.words.insert(path.to_owned(), said.into());
            return (Some(false), Vec::new());
        }
        let groups = self.list("pfs", F::DhGroups, variant.words.groups);
        let is_known = groups.iter().any(Option::is_some);
        (is_known.then_some(true), groups)
    }

    fn service(&mut self) -> VpnService {
        let rest = &mut self.rest;
        VpnService {
            admin_enabled: rest.boolean("admin_state_up"),
            router: rest.text("router_id").unwrap_or_default(),
            subnet: rest.reference("subnet_id"),
            flavor: rest.reference("flavor_id"),
            external_addresses: ["external_v4_ip", "external_v6_ip"]
                .into_iter()
                .filter_map(|key| rest.reference(key))
                .collect(),
            native_state: rest.text("status").unwrap_or_default(),
            ..VpnService::default()
        }
    }

    fn group(&mut self) -> EndpointGroup {
        let said = self.rest.0.get("endpoints");
        let said = said.map(elements).unwrap_or_default();
        let endpoints: Vec<String> = said
            .iter()
            .filter_map(|endpoint| endpoint.as_str().map(str::to_owned))
            .collect();
        let is_whole = endpoints.len() == said.len()
            && self.rest.0.get("endpoints").is_some_and(Value::is_array);
        self.rest.forget("endpoints", is_whole);
        EndpointGroup {
            endpoint_type: self.word("type", F::EndpointType, &ENDPOINT_TYPES),
            endpoints,
        }
    }

    fn integrity(&mut self, table: Table<IntegrityAlgorithm>) -> Vec<Option<IntegrityAlgorithm>> {
        self.list("auth_algorithm", F::IntegrityAlgorithms, table)
    }

    /// Takes a field's word out and returns it with its meaning: `Some((word, None))` for an undocumented word,
    /// `None` if there is no word.
    fn meaning<T: Copy>(&mut self, key: &str, table: &[(&str, T)]) -> Option<(Value, Option<T>)> {
        let word = self.rest.0.get(key)?.as_str()?;
        if word.is_empty() {
            return None;
        }
        let means = |known: &&(&str, T)| known.0.eq_ignore_ascii_case(word.trim());
        let meaning = table.iter().find(means).map(|(_, meaning)| *meaning);
        let word = self.rest.0.remove(key)?;
        Some((word, meaning))
    }

    fn word<T: Copy>(&mut self, key: &str, field: F, table: &[(&str, T)]) -> Option<T> {
        let (word, meaning) = self.meaning(key, table)?;
        self.words.insert(field.path().to_owned(), word);
        meaning
    }

    /// Reads the single word of these clouds as a list of one.
    fn list<T: Copy>(&mut self, key: &str, field: F, table: &[(&str, T)]) -> Vec<Option<T>> {
        let Some((word, meaning)) = self.meaning(key, table) else {
            return Vec::new();
        };
        let words = Value::Array(vec![word]);
        self.words.insert(field.path().to_owned(), words);
        vec![meaning]
    }

    /// Reads `{"units", "value"}`. The value may be text. Without units it is in seconds, the API's default.
    fn lifetime(&mut self) -> Option<Lifetime> {
        let said = self.rest.0.get("lifetime")?.as_object()?;
        let value = json::integer(said, "value").and_then(|value| u64::try_from(value).ok())?;
        let units = json::text(said, "units").unwrap_or_default();
        let lifetime = match units.trim().to_ascii_lowercase().as_str() {
            "" | "seconds" => Lifetime::Seconds(value),
            "kilobytes" => Lifetime::Kilobytes(value),
            _ => return None,
        };
        let only = said.keys().all(|key| key == "units" || key == "value");
        self.rest.forget("lifetime", only);
        Some(lifetime)
    }
}
