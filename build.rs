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
        "isthmus/v1/realization_service.proto",
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
    fs::write(
        out.join("isthmus.v1.bin"),
        served.encode_file_descriptor_set(),
    )?;

    // A pre-shared key is inside `Peer`; its derived `Debug` would print it. The hand-written one is in
    // `src/grpc/pb.rs`.
    tonic_prost_build::configure()
        .skip_debug([".isthmus.v1.Peer"])
        .compile_fds(files)?;
    Ok(())
}
