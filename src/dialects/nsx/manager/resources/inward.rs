//! Translates an object of NSX to a resource. Pure, and never fails: what does not fit the model stays in `native` as
//! it came.

use crate::{
    dialects::nsx::{
        body::{
            Body, draft,
            remainder::Rest,
            words::{
                DF_POLICIES, DH_GROUPS, ENCAPSULATION_MODES, IKE_ENCRYPTION, IKE_VERSIONS,
                INTEGRITY, IPSEC_ENCRYPTION, LOG_LEVELS, PRF, PROBE_MODES, TRANSFORM_PROTOCOLS,
                meaning,
            },
        },
        manager::translate::{read_each, read_rule},
        mark,
    },
    model::{
        NsxResourceDetails, Resource, ResourceDetails, ResourceField as F, ResourceKind,
        ResourceSpec, Settings,
        algorithm::Named,
        policy::{DpdPolicy, IkePolicy, IpsecPolicy, Lifetime},
        topology::{LocalEndpoint, VpnService},
    },
    rest::{json, redact::forget_secrets},
};
use serde_json::{Map, Value};

/// The service of a local endpoint. Here it is an object; the session's field of the same name is a text.
pub const SERVICE: &str = "ipsec_vpn_service_id";

/// Translates an object to a resource of this kind.
pub fn resource(kind: ResourceKind, body: &Body) -> Resource {
    let mut left = Left {
        rest: Rest(body.object().clone()),
        words: Map::new(),
    };
    mark::hide(&mut left.rest.0);
    let settings = match kind {
        ResourceKind::IkePolicy => Settings::IkePolicy(left.ike_policy()),
        ResourceKind::IpsecPolicy => Settings::IpsecPolicy(left.ipsec_policy()),
        ResourceKind::DpdPolicy => Settings::DpdPolicy(left.dpd_policy()),
        ResourceKind::VpnService => Settings::VpnService(left.vpn_service(body)),
        ResourceKind::LocalEndpoint => Settings::LocalEndpoint(left.local_endpoint()),
        ResourceKind::EndpointGroup => Settings::none(kind),
    };
    let Left { mut rest, words } = left;
    let mut resource = Resource {
        id: rest.text("id").unwrap_or_default(),
        spec: ResourceSpec {
            display_name: rest.text("display_name").unwrap_or_default(),
            description: rest.text("description").unwrap_or_default(),
            availability_zone: None,
            settings,
        },
        etag: etag(body),
        managed: mark::is_on(body),
        joint: mark::is_joint(body),
        create_time: rest.time("_create_time"),
        update_time: rest.time("_last_modified_time"),
        native_words: words,
        details: Some(ResourceDetails::Nsx(NsxResourceDetails {
            revision: rest.integer("_revision").unwrap_or_default(),
            create_user: rest.text("_create_user").unwrap_or_default(),
            protection: rest.text("_protection").unwrap_or_default(),
            system_owned: rest.boolean("_system_owned").unwrap_or_default(),
        })),
        native: Map::new(),
    };
    forget_secrets(&mut rest.0);
    resource.native = rest.0;
    resource
}

/// The etag of an object is its revision, which changes with every write.
pub fn etag(body: &Body) -> String {
    let revision = body.revision();
    revision.map_or("-".to_owned(), |it| it.to_string())
}

/// Returns the id of the service that a local endpoint belongs to.
pub fn service_of(local_endpoint: &Map<String, Value>) -> Option<String> {
    json::text(local_endpoint.get(SERVICE)?.as_object()?, "target_id")
}

/// The fields of an object that have no place in the model yet, and the words read so far.
struct Left {
    rest: Rest,
    words: Map<String, Value>,
}

impl Left {
    fn ike_policy(&mut self) -> IkePolicy {
        const DIGESTS: &str = "digest_algorithms";
        IkePolicy {
            ike_version: self.one("ike_version", F::IkeVersion, &IKE_VERSIONS),
            negotiation_mode: None,
            encryption_algorithms: self.encryption(&IKE_ENCRYPTION),
            integrity_algorithms: self.several(DIGESTS, F::IntegrityAlgorithms, &INTEGRITY),
            prf_algorithms: self.last(DIGESTS, F::PrfAlgorithms, &PRF),
            dh_groups: self.last("dh_groups", F::DhGroups, &DH_GROUPS),
            lifetime: self.lifetime(),
        }
    }

    fn ipsec_policy(&mut self) -> IpsecPolicy {
        IpsecPolicy {
            transform_protocol: self.one(
                "transform_protocol",
                F::TransformProtocol,
                &TRANSFORM_PROTOCOLS,
            ),
            encapsulation_mode: self.one(
                "encapsulation_mode",
                F::EncapsulationMode,
                &ENCAPSULATION_MODES,
            ),
            encryption_algorithms: self.encryption(&IPSEC_ENCRYPTION),
            integrity_algorithms: self.last(
                "digest_algorithms",
                F::IntegrityAlgorithms,
                &INTEGRITY,
            ),
            perfect_forward_secrecy: self.rest.boolean("enable_perfect_forward_secrecy"),
            dh_groups: self.last("dh_groups", F::DhGroups, &DH_GROUPS),
            lifetime: self.lifetime(),
            df_policy: self.one("df_policy", F::DfPolicy, &DF_POLICIES),
        }
    }

    fn dpd_policy(&mut self) -> DpdPolicy {
        DpdPolicy {
            enabled: self.rest.boolean("enabled"),
            probe_mode: self.one("dpd_probe_mode", F::ProbeMode, &PROBE_MODES),
            probe_interval_seconds: self.rest.integer("dpd_probe_interval"),
            retry_count: self.rest.integer("retry_count"),
        }
    }

    fn vpn_service(&mut self, body: &Body) -> VpnService {
        let (bypass_rules, left) = read_each(body.list("bypass_rules"), read_rule);
        self.rest.replace("bypass_rules", left);
        VpnService {
            admin_enabled: self.rest.boolean("enabled"),
            router: self.rest.text("logical_router_id").unwrap_or_default(),
            bypass_rules,
            ike_log_level: self.one("ike_log_level", F::IkeLogLevel, &LOG_LEVELS),
            ha_sync: self.rest.boolean("ipsec_ha_sync"),
            ..VpnService::default()
        }
    }

    fn local_endpoint(&mut self) -> LocalEndpoint {
        LocalEndpoint {
            vpn_service: self.service(),
            address: self.rest.address("local_address"),
            local_id: self.rest.text("local_id"),
            certificate: self.rest.text("certificate_id"),
            trusted_authorities: self.rest.texts("trust_ca_ids"),
            revocation_lists: self.rest.texts("trust_crl_ids"),
        }
    }

    /// Takes the id out of the reference. The reference's other fields stay.
    fn service(&mut self) -> Option<String> {
        let id = service_of(&self.rest.0)?;
        let reference = self.rest.0.get_mut(SERVICE)?.as_object_mut()?;
        reference.remove("target_id");
        if reference.is_empty() {
            self.rest.0.remove(SERVICE);
        }
        Some(id)
    }

    fn lifetime(&mut self) -> Option<Lifetime> {
        self.rest.integer("sa_life_time").map(Lifetime::Seconds)
    }

    fn encryption<T: Named>(&mut self, table: &[(&str, T)]) -> Vec<Option<T>> {
        self.last("encryption_algorithms", F::EncryptionAlgorithms, table)
    }

    fn one<T: Named>(&mut self, key: &str, field: F, table: &[(&str, T)]) -> Option<T> {
        self.rest.named(key, table, field.path(), &mut self.words)
    }

    /// Reads a list of words and leaves it in place. Returns nothing if the field is not a list.
    fn several<T: Named>(&mut self, key: &str, field: F, table: &[(&str, T)]) -> Vec<Option<T>> {
        let said = draft::said(&self.rest.0, key);
        let values = said
            .iter()
            .map(|said| meaning(table, said.unwrap_or_default()))
            .collect();
        if !said.is_empty() {
            let words = said.iter().map(|said| said.unwrap_or_default().into());
            let words = Value::Array(words.collect());
            self.words.insert(field.path().to_owned(), words);
        }
        values
    }

    /// Does the same as [`Left::several`], and takes the list out because no other field reads it. A list with anything
    /// but texts in it stays.
    fn last<T: Named>(&mut self, key: &str, field: F, table: &[(&str, T)]) -> Vec<Option<T>> {
        let values = self.several(key, field, table);
        self.rest.texts(key);
        values
    }
}
