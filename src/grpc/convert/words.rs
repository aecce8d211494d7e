//! Enums of the contract and of the model. Both use the same names and values convert by name, so that nothing depends
//! on numbers. UNSPECIFIED is `None`.

use crate::{
    grpc::{convert::Problems, pb},
    model::{algorithm, algorithm::Named, policy, statistics, topology},
};

/// An enum of the contract with a counterpart in the model.
pub trait Word: TryFrom<i32> + Into<i32> {
    /// The counterpart in the model.
    type Model: Named;

    /// Returns the name of a value, such as `DH_GROUP_MODP_2048`.
    fn name(&self) -> &'static str;

    /// Returns the value with this name.
    fn of_name(name: &str) -> Option<Self>;
}

/// Returns the number of a value. `None` is UNSPECIFIED.
pub fn number<W: Word>(value: Option<W::Model>) -> i32 {
    let named = value.and_then(|value| W::of_name(value.as_str()));
    named.map_or(0, Into::into)
}

/// Returns the numbers of several values.
pub fn numbers<W: Word>(values: impl IntoIterator<Item = Option<W::Model>>) -> Vec<i32> {
    values.into_iter().map(number::<W>).collect()
}

/// Reads a value. An unknown number is a violation of the field at `path`.
pub fn read<W: Word>(path: &str, number: i32, problems: &mut Problems) -> Option<W::Model> {
    match W::try_from(number) {
        Ok(word) => W::Model::of_name(word.name()),
        Err(_) => {
            let names = W::Model::ALL.iter().map(|value| value.as_str());
            let accepted: Vec<&str> = names.collect();
            let accepted = accepted.join(", ");
            problems.add(
                path,
                format!("{number} is not known here; accepted: {accepted}"),
            );
            None
        }
    }
}

macro_rules! words {
    ($($word:path => $model:path),+ $(,)?) => {
        $(impl Word for $word {
            type Model = $model;

            fn name(&self) -> &'static str {
                self.as_str_name()
            }

            fn of_name(name: &str) -> Option<Self> {
                <$word>::from_str_name(name)
            }
        })+

        /// Checks each enum against the contract.
        #[cfg(test)]
        fn held() -> Vec<(&'static str, Vec<&'static str>)> {
            vec![$(tests::hold::<$word>()),+]
        }
    };
}

words! {
    pb::IkeVersion => algorithm::IkeVersion,
    pb::NegotiationMode => algorithm::NegotiationMode,
    pb::EncryptionAlgorithm => algorithm::EncryptionAlgorithm,
    pb::IntegrityAlgorithm => algorithm::IntegrityAlgorithm,
    pb::PrfAlgorithm => algorithm::PrfAlgorithm,
    pb::DhGroup => algorithm::DhGroup,
    pb::TransformProtocol => algorithm::TransformProtocol,
    pb::EncapsulationMode => algorithm::EncapsulationMode,
    pb::DfPolicy => algorithm::DfPolicy,
    pb::dpd_policy::ProbeMode => policy::ProbeMode,
    pb::vpn_service::IkeLogLevel => topology::IkeLogLevel,
    pb::endpoint_group::Type => topology::EndpointType,
    pb::attachment::Kind => topology::AttachmentKind,
    pb::tunnel_counters::State => statistics::TunnelCounterState,
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_reflect::{DescriptorPool, EnumDescriptor};
    use std::collections::BTreeMap;

    /// Returns every enum of the proto files of resources and statistics.
    fn enums() -> Vec<EnumDescriptor> {
        let pool = DescriptorPool::decode(pb::FILE_DESCRIPTOR_SET).unwrap();
        let files = ["algorithm", "policy", "topology", "tunnel_statistics"];
        let files = files.map(|file| format!("isthmus/v1/{file}.proto"));
        pool.all_enums()
            .filter(|it| files.iter().any(|file| file == it.parent_file().name()))
            .collect()
    }

    /// Converts every value of an enum to the model and back. Returns the model's names.
    pub fn hold<W: Word>() -> (&'static str, Vec<&'static str>) {
        let none = W::Model::UNSPECIFIED;
        let is_it = |it: &EnumDescriptor| it.get_value(0).is_some_and(|it| it.name() == none);
        let word = enums().into_iter().find(is_it).expect(none);
        for value in word.values() {
            let mut problems = Problems::default();
            let model = read::<W>("x", value.number(), &mut problems);
            assert!(problems.is_empty(), "{}", value.name());
            assert_eq!(
                model.map_or(none, Named::as_str),
                value.name(),
                "by its name"
            );
            assert_eq!(number::<W>(model), value.number(), "{}", value.name());
        }
        let names = W::Model::ALL.iter().map(|value| value.as_str());
        (none, names.collect())
    }

    #[test]
    fn every_value_has_the_same_name_on_both_sides() {
        let there: BTreeMap<String, Vec<String>> = enums()
            .into_iter()
            .map(|it| {
                let mut names = it.values().map(|value| value.name().to_owned());
                (names.next().unwrap(), names.collect())
            })
            .collect();
        let here = held().into_iter().map(|(none, names)| {
            let names = names.into_iter().map(str::to_owned).collect();
            (none.to_owned(), names)
        });
        assert_eq!(BTreeMap::from_iter(here), there);
        assert_eq!((held().len(), there.len()), (enums().len(), enums().len()));
    }

    #[test]
    fn a_number_nobody_knows_is_answered_with_the_names_there_are() {
        let mut problems = Problems::default();
        assert_eq!(read::<pb::DhGroup>("dh_groups[1]", 3, &mut problems), None);
        let error = problems.finish(Some(())).unwrap_err();
        let violation = &error.context.violations[0];
        assert_eq!(violation.field, "dh_groups[1]");
        let told = &violation.description;
        assert!(
            told.starts_with("3 is not known here; accepted: DH_GROUP_MODP_768, "),
            "{told}"
        );
        assert!(told.ends_with(", DH_GROUP_CURVE25519"), "{told}");
    }
}
