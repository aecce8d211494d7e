//! Converts a part to the form that every backend takes: without what only its own cloud has, and without defaults.
//! Pure.

use crate::{
    core::dialect::Warning,
    model::{
        PolicyRule, Resource, ResourceField as F, ResourceSpec, Settings, TcpMssClamping,
        algorithm::{DfPolicy, IkeVersion, NegotiationMode},
        connection::ClampDirection,
        policy::{IkePolicy, IpsecPolicy},
        topology::{LocalEndpoint, VpnService},
    },
};
use serde_json::{Map, Value};

/// The default MTU of a connection by the contract, in bytes.
pub const MTU: u32 = 1_500;

/// The most characters shown of a cloud's own word.
const LONGEST_WORD: usize = 128;

/// Reports whether the setting clamps anything.
pub fn clamps(clamping: &TcpMssClamping) -> bool {
    clamping.direction != ClampDirection::None
}

/// A part that can be written to other backends.
#[derive(Debug)]
pub struct Plain {
    pub spec: ResourceSpec,
    /// What cannot be written, or only means something in its own cloud, by its path in the part.
    pub warnings: Vec<Warning>,
}

/// Converts a part that was read to what can be written of it.
pub fn plain(part: Resource) -> Plain {
    let mut spec = part.spec;
    // NSX uses the id as the display name of an object without one.
    if spec.display_name == part.id {
        spec.display_name.clear();
    }
    let mut said = Said {
        words: &part.native_words,
        warnings: Vec::new(),
    };
    match &mut spec.settings {
        Settings::IkePolicy(policy) => of_ike(policy, &mut said),
        Settings::IpsecPolicy(policy) => of_ipsec(policy, &mut said),
        Settings::DpdPolicy(policy) => said.one(F::ProbeMode, policy.probe_mode.is_none()),
        Settings::VpnService(service) => of_service(service, &mut said),
        Settings::LocalEndpoint(endpoint) => of_local_endpoint(endpoint, &mut said),
        Settings::EndpointGroup(_) => {}
    }
    Plain {
        spec,
        warnings: said.warnings,
    }
}

fn of_ike(policy: &mut IkePolicy, said: &mut Said<'_>) {
    said.one(F::IkeVersion, policy.ike_version.is_none());
    said.one(F::NegotiationMode, policy.negotiation_mode.is_none());
    said.list(F::EncryptionAlgorithms, &mut policy.encryption_algorithms);
    said.list(F::IntegrityAlgorithms, &mut policy.integrity_algorithms);
    said.list(F::PrfAlgorithms, &mut policy.prf_algorithms);
    said.list(F::DhGroups, &mut policy.dh_groups);
    // IKEv2 has no modes. In IKEv1, main mode is the default.
    let is_default = policy.negotiation_mode == Some(NegotiationMode::Main);
    if is_default || policy.ike_version == Some(IkeVersion::V2) {
        policy.negotiation_mode = None;
    }
}

fn of_ipsec(policy: &mut IpsecPolicy, said: &mut Said<'_>) {
    said.one(F::TransformProtocol, policy.transform_protocol.is_none());
    said.one(F::EncapsulationMode, policy.encapsulation_mode.is_none());
    said.list(F::EncryptionAlgorithms, &mut policy.encryption_algorithms);
    said.list(F::IntegrityAlgorithms, &mut policy.integrity_algorithms);
    said.list(F::DhGroups, &mut policy.dh_groups);
    said.one(F::DfPolicy, policy.df_policy.is_none());
    // The default of NSX (NSX Python SDK 4.2.0).
    if policy.df_policy == Some(DfPolicy::Copy) {
        policy.df_policy = None;
    }
}

fn of_service(service: &mut VpnService, said: &mut Said<'_>) {
    service.external_addresses.clear();
    service.native_state.clear();
    // An operational setting, without meaning for the connection.
    service.ike_log_level = None;
    // The default of NSX (NSX Python SDK 4.2.0). No other cloud has this setting.
    service.ha_sync = service.ha_sync.filter(|syncs| !syncs);
    if service.flavor.is_some() {
        said.warn(F::Flavor, "is a flavor of this cloud");
    }
    if !service.bypass_rules.is_empty() {
        said.warn(
            F::BypassRules,
            "not every backend lets traffic pass by its tunnels",
        );
        for rule in &mut service.bypass_rules {
            *rule = PolicyRule {
                id: None,
                ..rule.clone()
            };
        }
    }
}

fn of_local_endpoint(endpoint: &mut LocalEndpoint, said: &mut Said<'_>) {
    // The endpoint stands beside its VPN service, which comes as a part.
    endpoint.vpn_service = None;
    if endpoint.local_id.as_ref() == Some(&endpoint.address) {
        endpoint.local_id = None;
    }
    if endpoint.local_id.is_some() {
        said.warn(
            F::LocalId,
            "not every backend lets this side choose how it identifies itself",
        );
    }
    for (field, is_set) in [
        (F::Certificate, endpoint.certificate.is_some()),
        (
            F::TrustedAuthorities,
            !endpoint.trusted_authorities.is_empty(),
        ),
        (F::RevocationLists, !endpoint.revocation_lists.is_empty()),
    ] {
        if is_set {
            said.warn(field, "names certificates of this cloud");
        }
    }
}

/// Collects warnings about a part.
struct Said<'a> {
    /// The cloud's own words, by field.
    words: &'a Map<String, Value>,
    warnings: Vec<Warning>,
}

impl Said<'_> {
    fn warn(&mut self, field: F, message: impl Into<String>) {
        self.warnings.push(Warning {
            field: field.path().to_owned(),
            message: message.into(),
        });
    }

    /// Warns about a field that was read with a word unknown to the gateway.
    fn one(&mut self, field: F, says_nothing: bool) {
        if says_nothing && self.words.contains_key(field.path()) {
            self.unknown(field);
        }
    }

    /// Removes the unknown values of a list, with a warning.
    fn list<T>(&mut self, field: F, values: &mut Vec<Option<T>>) {
        if values.iter().any(Option::is_none) {
            values.retain(Option::is_some);
            self.unknown(field);
        }
    }

    fn unknown(&mut self, field: F) {
        let word = match self.words.get(field.path()) {
            Some(word) => {
                let shown: String = word.to_string().chars().take(LONGEST_WORD).collect();
                format!(", `{shown}`,")
            }
            None => String::new(),
        };
        let why =
            format!("the cloud's word{word} stands for nothing that is known, and is left out");
        self.warn(field, why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ResourceKind, algorithm::EncryptionAlgorithm};
    use serde_json::json;

    fn read(settings: Settings, words: Value) -> Resource {
        let kind = settings.kind();
        Resource {
            id: "p".to_owned(),
            spec: ResourceSpec {
                settings,
                ..ResourceSpec::none(kind)
            },
            etag: String::new(),
            managed: true,
            joint: true,
            create_time: None,
            update_time: None,
            native_words: words.as_object().cloned().unwrap_or_default(),
            details: None,
            native: Map::new(),
        }
    }

    fn fields(plain: &Plain) -> Vec<&str> {
        plain.warnings.iter().map(|it| &*it.field).collect()
    }

    #[test]
    fn a_word_that_nobody_knows_is_left_out_and_told() {
        let known = Some(EncryptionAlgorithm::AesCbc128);
        let policy = IkePolicy {
            encryption_algorithms: vec![known, None],
            negotiation_mode: Some(NegotiationMode::Main),
            ..IkePolicy::default()
        };
        let words = json!({
            "encryption_algorithms": ["aes-128", "x".repeat(9_999)], "ike_version": "v9",
        });
        let plain = plain(read(Settings::IkePolicy(policy), words));
        assert_eq!(fields(&plain), ["ike_version", "encryption_algorithms"]);
        assert!(plain.warnings[0].message.contains("v9"));
        assert!(plain.warnings[1].message.len() < 300);
        let expected = IkePolicy {
            encryption_algorithms: vec![known],
            ..IkePolicy::default()
        };
        assert_eq!(plain.spec.settings, Settings::IkePolicy(expected));
    }

    #[test]
    fn what_means_something_in_its_own_cloud_only_is_told() {
        let endpoint = LocalEndpoint {
            vpn_service: Some("s".to_owned()),
            address: "192.0.2.1".to_owned(),
            local_id: Some("192.0.2.1".to_owned()),
            certificate: Some("c".to_owned()),
            ..LocalEndpoint::default()
        };
        let told = plain(read(Settings::LocalEndpoint(endpoint), json!({})));
        assert_eq!(fields(&told), ["certificate"]);
        let expected = LocalEndpoint {
            address: "192.0.2.1".to_owned(),
            certificate: Some("c".to_owned()),
            ..LocalEndpoint::default()
        };
        assert_eq!(told.spec.settings, Settings::LocalEndpoint(expected));
        let none = plain(read(Settings::none(ResourceKind::VpnService), json!({})));
        assert_eq!(fields(&none), Vec::<&str>::new());
    }
}
