//! Compiles the protos. protox replaces `protoc`, so building needs only Rust.

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

    // Reflection serves this set. protox encodes it, because re-encoding through prost would drop the custom options
    // (`field_behavior`, `resource`). It carries no source info, which would triple its size.
    let mut served = protox::Compiler::new(["proto"])?;
    served.include_source_info(false).include_imports(true);
    served.open_files(
        files
            .file
            .iter()
            .map(|file| file.name())
            .filter(|name| name.starts_with("isthmus/")),
    )?;
    // The types of error details. No message of ours refers to them, so reflection must serve their file explicitly.
    served.open_file("google/rpc/error_details.proto")?;
    fs::write(
        out.join("isthmus.v1.bin"),
        served.encode_file_descriptor_set(),
    )?;

    // `Peer` contains a pre-shared key, which a derived `Debug` would print. `src/grpc/pb.rs` implements it by hand.
    tonic_prost_build::configure()
        .skip_debug([".isthmus.v1.Peer"])
        .compile_fds(files)?;
    Ok(())
}
