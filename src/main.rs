//! The `isthmus` command. `cli` implements each subcommand.

use clap::Parser;
use isthmus::cli::{self, Cli};
use std::process::ExitCode;

/// An allocator that returns freed memory to the kernel. The table shows the resident memory in MiB of a gateway that
/// sends 200 lists of 1.3 MB that no client reads, closes their connections, and after 15 s serves 200 small calls.
/// Each row is one run. The differences between the peaks are within the variation of a run:
///
/// | allocator | at the start | at the peak | closed | after the calls |
/// | --- | --- | --- | --- | --- |
/// | glibc | 29 | 575 | 464 | 464 |
/// | glibc, two arenas, fixed thresholds of 128 KiB | 26 | 530 | 462 | 462 |
/// | mimalloc | 37 | 505 | 349 | 77 |
/// | mimalloc with `MIMALLOC_PURGE_DELAY=0` | 37 | 454 | 67 | 66 |
/// | jemalloc | 31 | 479 | 270 | 240 |
/// | jemalloc with a background thread | 28 | 459 | 45 | 44 |
///
/// jemalloc needs make and more than a minute of CPU to build, and its background thread has to be enabled from
/// outside. mimalloc is one C file, and ring already needs a C compiler. These figures come from unoptimized builds,
/// which say nothing about CPU; `benches/memory.rs` measures both with mimalloc.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run(Cli::parse().command).into()
}
