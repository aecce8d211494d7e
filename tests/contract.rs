//! What client authors may expect of every file of the contract, beyond what `buf lint` knows of.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

use prost_reflect::{
    DescriptorPool, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor, Value,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Every file of the contract, with its comments.
fn contract() -> DescriptorPool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let mut compiler = protox::Compiler::new([&root]).unwrap();
    compiler.include_imports(true).include_source_info(true);
    let files = fs::read_dir(root.join("isthmus/v1")).unwrap();
    compiler
        .open_files(files.map(|file| file.unwrap().path()))
        .unwrap();
    DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).unwrap()
}

fn ours(file: &FileDescriptor) -> bool {
    file.package_name() == "isthmus.v1"
}

fn messages(pool: &DescriptorPool) -> Vec<MessageDescriptor> {
    let all = pool.all_messages();
    all.filter(|it| ours(&it.parent_file()) && !it.is_map_entry())
        .collect()
}

fn enums(pool: &DescriptorPool) -> Vec<EnumDescriptor> {
    let all = pool.all_enums();
    all.filter(|it| ours(&it.parent_file())).collect()
}

/// What a field says of itself.
fn behaviors(field: &FieldDescriptor) -> BTreeSet<String> {
    let pool = field.parent_pool();
    let extension = pool
        .get_extension_by_name("google.api.field_behavior")
        .unwrap();
    let names = pool.get_enum_by_name("google.api.FieldBehavior").unwrap();
    let options = field.options();
    let Value::List(told) = options.get_extension(&extension).into_owned() else {
        panic!("a list");
    };
    let name = |value: &Value| names.get_value(value.as_enum_number()?);
    let told = told
        .iter()
        .map(|value| name(value).expect("a known behavior"));
    told.map(|value| value.name().to_owned()).collect()
}

/// Of requests and resources and everything they are made of, and of the rest of what is answered; not of the messages
/// that only wrap an answer.
#[test]
fn every_field_says_how_it_behaves() {
    let pool = contract();
    let mut wrong = Vec::new();
    let mut seen = 0;
    let is_answer = |message: &MessageDescriptor| {
        let outermost = message.full_name().trim_start_matches("isthmus.v1.");
        outermost.split('.').next().unwrap().ends_with("Response")
    };
    for message in messages(&pool).iter().filter(|it| !is_answer(it)) {
        for field in message.fields() {
            seen += 1;
            let told = behaviors(&field);
            let is = |behavior: &str| told.contains(behavior);
            // At most one of these says who writes it; IMMUTABLE stands beside one of the first two.
            let who = [
                "REQUIRED",
                "OPTIONAL",
                "INPUT_ONLY",
                "OUTPUT_ONLY",
                "IDENTIFIER",
            ];
            let who = who.iter().filter(|it| is(it)).count();
            let immutable = !is("IMMUTABLE") || is("REQUIRED") || is("OPTIONAL");
            let asked = !message.name().ends_with("Request") || !is("OUTPUT_ONLY");
            if who != 1 || !immutable || !asked || told.len() > 2 {
                wrong.push(format!("{}: {told:?}", field.full_name()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(seen > 400, "{seen} fields were looked at");
}

/// Every message that a request or a resource is made of is held to it, wherever it is declared.
#[test]
fn nothing_that_a_caller_writes_hides_in_an_answer() {
    let pool = contract();
    let resource = pool.get_extension_by_name("google.api.resource").unwrap();
    let is_root = |it: &MessageDescriptor| {
        it.name().ends_with("Request") || it.options().has_extension(&resource)
    };
    let mut todo: Vec<MessageDescriptor> = messages(&pool).into_iter().filter(is_root).collect();
    let mut seen = BTreeSet::new();
    while let Some(message) = todo.pop() {
        if !ours(&message.parent_file()) || !seen.insert(message.full_name().to_owned()) {
            continue;
        }
        assert!(!message.name().ends_with("Response"), "{message:?}");
        todo.extend(message.fields().filter_map(|field| match field.kind() {
            Kind::Message(inner) => Some(inner),
            _ => None,
        }));
    }
    assert!(seen.contains("isthmus.v1.Peer") && seen.contains("isthmus.v1.Lifetime"));
}

/// What a resource cannot be without, and what cannot be changed of it.
#[test]
fn what_is_required_and_what_is_immutable_is_said() {
    let pool = contract();
    let mut told: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let all = messages(&pool);
    for field in all.iter().flat_map(MessageDescriptor::fields) {
        if field.parent_message().name().ends_with("Request") {
            continue;
        }
        let behaviors = behaviors(&field);
        for behavior in ["REQUIRED", "IMMUTABLE", "INPUT_ONLY"] {
            if behaviors.contains(behavior) {
                let name = field.full_name().trim_start_matches("isthmus.v1.");
                told.entry(behavior).or_default().push(name.to_owned());
            }
        }
    }
    for names in told.values_mut() {
        names.sort();
    }
    assert_eq!(
        told["REQUIRED"],
        [
            "Connection.peer",
            "EndpointGroup.endpoints",
            "EndpointGroup.type",
            "LocalEndpoint.address",
            "LocalEndpoint.vpn_service",
            "Peer.address",
            "RouteBased.tunnel_interfaces",
            "TunnelInterface.addresses",
            "VpnService.router",
        ]
    );
    assert_eq!(
        told["IMMUTABLE"],
        [
            "Connection.availability_zone",
            "Connection.vpn_service",
            "EndpointGroup.endpoints",
            "EndpointGroup.type",
            "IkePolicy.availability_zone",
            "IpsecPolicy.availability_zone",
            "VpnService.availability_zone",
            "VpnService.flavor",
            "VpnService.router",
            "VpnService.subnet",
        ]
    );
    assert_eq!(told["INPUT_ONLY"], ["Peer.psk"]);
}

#[test]
fn what_only_reads_says_so_and_nothing_else_does() {
    let pool = contract();
    let mut reads = 0;
    for method in pool
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
    {
        if !ours(&method.parent_service().parent_file()) {
            continue;
        }
        let only_reads = ["Get", "List", "Export", "Watch", "Wait"];
        let only_reads = only_reads
            .iter()
            .any(|verb| method.name().starts_with(verb));
        let level = method.method_descriptor_proto().options.as_ref();
        let level = level.map(|options| options.idempotency_level());
        let says_so = level == Some(prost_types::method_options::IdempotencyLevel::NoSideEffects);
        assert_eq!(says_so, only_reads, "{}", method.full_name());
        reads += usize::from(only_reads);
    }
    assert_eq!(reads, 23);
}

/// Whatever writes can be tried, repeated under one id, and says what it would do: by the same fields everywhere.
#[test]
fn every_write_can_be_planned_and_repeated() {
    let pool = contract();
    let mut writes = 0;
    for service in pool.services().filter(|it| ours(&it.parent_file())) {
        for method in service.methods() {
            let verbs = ["Create", "Apply", "Update", "Delete"];
            if !verbs.iter().any(|verb| method.name().starts_with(verb)) {
                continue;
            }
            writes += 1;
            let name = method.full_name();
            let kinds = [("validate_only", Kind::Bool), ("request_id", Kind::String)];
            for (field, kind) in kinds {
                let field = method.input().get_field_by_name(field).expect(name);
                assert_eq!(field.kind(), kind, "{name}");
                assert_eq!(behaviors(&field), BTreeSet::from(["OPTIONAL".to_owned()]));
            }
            let plan = method.output().get_field_by_name("plan").expect(name);
            let step = plan.kind().as_message().map(|it| it.name().to_owned());
            assert_eq!(step.as_deref(), Some("PlannedStep"), "{name}");
            let is_watched = method.name().starts_with("Update") || name.contains("Connection");
            let token = method.output().get_field_by_name("write_token");
            assert_eq!(token.is_some(), is_watched, "{name}");
        }
    }
    assert_eq!(writes, 22);
}

#[test]
fn every_file_says_where_its_generated_code_goes() {
    let pool = contract();
    let files: Vec<FileDescriptor> = pool.files().filter(ours).collect();
    for file in &files {
        let options = file
            .file_descriptor_proto()
            .options
            .clone()
            .unwrap_or_default();
        let name = file.name();
        assert_eq!(options.csharp_namespace(), "Isthmus.V1", "{name}");
        assert_eq!(
            options.go_package(),
            "isthmus/gen/isthmus/v1;isthmusv1",
            "{name}"
        );
        assert_eq!(options.java_package(), "isthmus.v1", "{name}");
        assert!(options.java_multiple_files(), "{name}");
    }
    // Reflection serves each of them.
    let served = DescriptorPool::decode(isthmus::grpc::pb::FILE_DESCRIPTOR_SET).unwrap();
    let names = |pool: &DescriptorPool| -> BTreeSet<String> {
        let ours = pool.files().filter(ours);
        ours.map(|file| file.name().to_owned()).collect()
    };
    assert_eq!(names(&served), names(&pool));
}

/// The comment before what is at this path of its file.
fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let mut locations = info.expect("compiled with comments").location.iter();
    let at = locations.find(|location| location.path == path);
    at.map(|location| location.leading_comments().trim().to_owned())
        .unwrap_or_default()
}

#[test]
fn everything_has_a_comment() {
    let pool = contract();
    let mut bare = Vec::new();
    let mut look = |name: &str, file: &FileDescriptor, path: &[i32]| {
        if comment(file, path).is_empty() {
            bare.push(name.to_owned());
        }
    };
    for message in messages(&pool) {
        let file = message.parent_file();
        look(message.full_name(), &file, message.path());
        for field in message.fields() {
            look(field.full_name(), &file, field.path());
        }
        for oneof in message.oneofs().filter(|it| !it.is_synthetic()) {
            look(oneof.full_name(), &file, oneof.path());
        }
    }
    for word in enums(&pool) {
        let file = word.parent_file();
        look(word.full_name(), &file, word.path());
        for value in word.values() {
            look(value.full_name(), &file, value.path());
        }
    }
    for service in pool.services().filter(|it| ours(&it.parent_file())) {
        let file = service.parent_file();
        look(service.full_name(), &file, service.path());
        for method in service.methods() {
            look(method.full_name(), &file, method.path());
        }
    }
    assert_eq!(bare, Vec::<String>::new());
}
