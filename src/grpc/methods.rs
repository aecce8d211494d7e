//! The names of all methods.

use crate::grpc::pb;
use prost::Message;
use prost_types::FileDescriptorSet;
use std::{collections::HashSet, sync::LazyLock};

/// Name for all unknown methods.
pub const OTHER: &str = "_OTHER";

/// Names as `package.Service/Method`, from the descriptors that reflection serves.
static METHODS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let sets = [
        pb::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    sets.into_iter().flat_map(methods).collect()
});

fn methods(descriptors: &[u8]) -> Vec<String> {
    let set = FileDescriptorSet::decode(descriptors).expect("the descriptors come with the build");
    let mut names = Vec::new();
    for file in &set.file {
        for service in &file.service {
            let service_name = format!("{}.{}", file.package(), service.name());
            let methods = service.method.iter();
            names.extend(methods.map(|method| format!("{service_name}/{}", method.name())));
        }
    }
    names
}

/// Returns the name of the method at `path`, or [`OTHER`], so that clients cannot create attribute values.
pub fn name(path: &str) -> &'static str {
    let name = path.strip_prefix('/').and_then(|name| METHODS.get(name));
    name.map_or(OTHER, String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_has_its_name_and_nothing_else_has_one() {
        for known in [
            "isthmus.v1.ConnectionService/CreateConnection",
            "isthmus.v1.RealizationService/WatchRealization",
            "grpc.health.v1.Health/Check",
            "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ] {
            assert_eq!(name(&format!("/{known}")), known);
            assert_eq!(name(known), OTHER);
            assert_eq!(name(&format!("/{known}/")), OTHER);
        }
        for unknown in ["", "/", "/x", "/isthmus.v1.ConnectionService/Nothing"] {
            assert_eq!(name(unknown), OTHER);
        }
    }
}
