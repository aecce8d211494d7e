//! Compiles the protos. protox stands in for `protoc`, so a clean machine needs only Rust.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files([
        "isthmus/v1/backend_service.proto",
        "isthmus/v1/connection_service.proto",
        "isthmus/v1/policy_service.proto",
        "isthmus/v1/realization_service.proto",
        "isthmus/v1/topology_service.proto",
    ])?;
    let files = compiler.file_descriptor_set();

    // Reflection serves this set. Re-encoding through prost would drop the custom options
    // (`field_behavior`, `resource`), so protox encodes it; source info is left out, it triples the size.
    let mut served = protox::Compiler::new(["proto"])?;
    served.include_source_info(false).include_imports(true);
    served.open_files(
        files
            .file
            .iter()
            .map(|file| file.name())
            .filter(|name| name.starts_with("isthmus/")),
    )?;
    // What the details of an error are. No message of ours refers to it, so clients find it nowhere else.
    served.open_file("google/rpc/error_details.proto")?;
    fs::write(
        out.join("isthmus.v1.bin"),
        served.encode_file_descriptor_set(),
    )?;

    // A pre-shared key is inside `Peer`; its derived `Debug` would print it. The hand-written one is in
    // `src/grpc/pb.rs`.
    tonic_prost_build::configure()
        .skip_debug([".isthmus.v1.Peer"])
        .compile_fds(files)?;
    streaming();
    Ok(())
}

/// The server of `RealizationService` once more, with streams of messages that are encoded already
/// (`src/grpc/frame.rs`). Clients, and servers that stand in for this one, use what was generated above.
fn streaming() {
    use tonic_build::manual::{Builder, Method, Service};
    let unary = |name: &str, route: &str| {
        Method::builder()
            .name(name)
            .route_name(route)
            .input_type(format!("crate::grpc::pb::{route}Request"))
            .output_type(format!("crate::grpc::pb::{route}Response"))
            .codec_path("tonic_prost::ProstCodec")
            .build()
    };
    let stream = |name: &str, route: &str| {
        Method::builder()
            .name(name)
            .route_name(route)
            .input_type(format!("crate::grpc::pb::{route}Request"))
            .output_type("crate::grpc::frame::Frame")
            .codec_path("crate::grpc::frame::FrameCodec")
            .server_streaming()
            .build()
    };
    let service = Service::builder()
        .name("RealizationService")
        .package("isthmus.v1")
        .method(unary("get_realization", "GetRealization"))
        .method(stream("watch_realization", "WatchRealization"))
        .method(stream("watch_realizations", "WatchRealizations"))
        .method(unary("wait_realization", "WaitRealization"))
        .method(unary("get_tunnel_statistics", "GetTunnelStatistics"))
        .build();
    Builder::new().build_client(false).compile(&[service]);
}
