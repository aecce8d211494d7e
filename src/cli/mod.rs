//! The command: what it is told, what it asks, what it prints.
//!
//! In reading order:
//! - [`args`]: the command line; [`exit`]: how it ends;
//! - [`gateway`]: whom it asks and where it prints;
//! - [`show`]: `backends`, `get`, `list`; [`mod@write`]: `create`, `update`, `delete`; [`watch`]: `watch`, `wait`;
//! - [`check`]: `check-config`; [`explain`]: `explain`, with the texts in [`reasons`]; `demo`: all of it without a cloud,
//!   if the feature `demo` is on;
//! - [`describe`], [`progress`], [`failure`], [`text`], [`json`], [`names`]: pure functions from messages to lines.

pub mod args;
pub mod check;
#[cfg(feature = "demo")]
pub mod demo;
pub mod describe;
pub mod exit;
pub mod explain;
pub mod failure;
pub mod gateway;
pub mod json;
pub mod names;
pub mod progress;
pub mod reasons;
pub mod show;
pub mod signal;
#[cfg(test)]
mod tests;
pub mod text;
pub mod watch;
pub mod write;

pub use args::{Cli, Command};
pub use exit::Exit;

use crate::cli::{
    args::Question,
    gateway::{Gateway, Printer},
};
use std::io;

/// Asks a running gateway and prints what it answers.
pub async fn ask(question: &Question) -> Exit {
    let client = question.client();
    let gateway = match Gateway::at(&client.endpoint) {
        Ok(gateway) => gateway,
        Err(why) => {
            eprintln!("isthmus: {why}");
            return Exit::Usage;
        }
    };
    match print(question, &gateway, &mut Printer::stdout(client)).await {
        Ok(exit) => exit,
        // Whoever read the output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => {
            eprintln!("isthmus: could not print: {error}");
            Exit::CouldNotAsk
        }
    }
}

/// Says how to have the demo, which this build is without.
#[cfg(not(feature = "demo"))]
pub fn no_demo() -> Exit {
    eprintln!(
        "isthmus: this build has no demo, and no simulated clouds: it was made without the cargo feature `demo`.\n  \
         In the source tree: cargo run --release -- demo"
    );
    Exit::Usage
}

async fn print(question: &Question, gateway: &Gateway, printer: &mut Printer) -> io::Result<Exit> {
    match question {
        Question::Backends { name, .. } => show::backends(gateway, name.as_deref(), printer).await,
        Question::Get { name, .. } => show::connection(gateway, name, printer).await,
        Question::List {
            parent,
            filter,
            order_by,
            ..
        } => show::connections(gateway, parent.as_deref(), filter, order_by, printer).await,
        Question::Create {
            backend,
            file,
            validate_only,
            ..
        } => write::create(gateway, backend, file, *validate_only, printer).await,
        Question::Update {
            name,
            file,
            fields,
            validate_only,
            ..
        } => write::update(gateway, name, file, fields, *validate_only, printer).await,
        Question::Delete {
            name,
            etag,
            allow_missing,
            ..
        } => write::delete(gateway, name, etag.as_deref(), *allow_missing, printer).await,
        Question::Watch {
            name,
            resume_token,
            wanted,
            ..
        } => watch::watch(gateway, name, wanted, resume_token.clone(), printer).await,
        Question::Wait { name, wanted, .. } => watch::wait(gateway, name, wanted, printer).await,
    }
}
