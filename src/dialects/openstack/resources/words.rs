//! The words of one cloud for a caller's values. Values without a word were refused earlier, by the capabilities.

use crate::{
    dialects::openstack::variant::{
        Variant,
        words::{ENCAPSULATIONS, ENDPOINT_TYPES, IKE_VERSIONS, NEGOTIATION_MODES, TRANSFORMS},
    },
    model::{
        algorithm::{
            DhGroup, EncapsulationMode, EncryptionAlgorithm, IkeVersion, IntegrityAlgorithm,
            NegotiationMode, TransformProtocol,
        },
        topology::EndpointType,
    },
};
use serde_json::Value;

type Said = Option<(&'static str, Value)>;

/// The words of one cloud. Each method returns the key in a body and its value.
pub struct Words<'a>(pub &'a Variant);

impl Words<'_> {
    pub fn ike_version(&self, meaning: IkeVersion) -> Said {
        say("ike_version", &IKE_VERSIONS, meaning)
    }

    pub fn negotiation_mode(&self, meaning: NegotiationMode) -> Said {
        say("phase1_negotiation_mode", &NEGOTIATION_MODES, meaning)
    }

    /// The first of the list; these clouds take one.
    pub fn encryption(&self, list: &[Option<EncryptionAlgorithm>]) -> Said {
        let table = self.0.words.encryption;
        say("encryption_algorithm", table, (*list.first()?)?)
    }

    pub fn integrity(&self, meaning: IntegrityAlgorithm) -> Said {
        say("auth_algorithm", self.0.words.integrity, meaning)
    }

    /// The first of the list; these clouds take one.
    pub fn group(&self, list: &[Option<DhGroup>]) -> Said {
        say("pfs", self.0.words.groups, (*list.first()?)?)
    }

    pub fn transform(&self, meaning: TransformProtocol) -> Said {
        say("transform_protocol", &TRANSFORMS, meaning)
    }

    pub fn encapsulation(&self, meaning: EncapsulationMode) -> Said {
        say("encapsulation_mode", &ENCAPSULATIONS, meaning)
    }

    pub fn endpoint_type(&self, meaning: EndpointType) -> Said {
        say("type", &ENDPOINT_TYPES, meaning)
    }
}

/// Returns the word for a type of endpoint group.
pub fn type_word(meaning: EndpointType) -> Option<&'static str> {
    let mut known = ENDPOINT_TYPES.iter();
    known
        .find(|(_, known)| *known == meaning)
        .map(|(word, _)| *word)
}

fn say<T: Copy + PartialEq>(key: &'static str, table: &[(&'static str, T)], meaning: T) -> Said {
    let found = table.iter().find(|(_, known)| *known == meaning);
    found.map(|(word, _)| (key, (*word).into()))
}
