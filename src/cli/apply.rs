//! `apply`: connections are as a file describes them.

use crate::cli::{
    exit::Exit,
    gateway::{Gateway, Printer},
    question::ApplyArgs,
    show::misused,
    site::Site,
};
use std::io;

/// Has every connection of a file be as it is described.
///
/// # Errors
/// If nobody reads the answers.
pub async fn apply(_: &Gateway, args: &ApplyArgs, _: &mut Printer) -> io::Result<Exit> {
    match Site::read_all(&args.file) {
        Ok(_) => Ok(misused("not built yet")),
        Err(why) => Ok(misused(&why)),
    }
}
