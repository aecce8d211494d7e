//! The command: its arguments, its calls to the gateway, and its output.
//!
//! In reading order:
//! - [`args`]: the command line; [`exit`]: the exit codes;
//! - [`question`]: the commands that call a gateway; [`kinds`], [`names`] and [`targets`]: the resource that their
//!   words mean;
//! - [`gateway`]: the client and the printer; [`call`]: one way to call for every kind;
//! - [`show`]: `backends`, `get`, `list`, with STATE from [`states`]; [`mod@write`]: `create`, `update`, `delete`,
//!   which [`repeat`] sends; [`export`]: a connection as a site file; [`takes`]: the backends that accept a site file
//!   (`check`); [`removal`]: `delete -f`; [`statistics`]; [`watch`]: `watch`, `wait`;
//! - [`mod@apply`]: `apply`, of the files that [`site`] reads; [`follow`] shows its progress on a [`screen`];
//! - [`input`]: the files with resources, which [`tree`] and [`yaml`] read and [`misfits`] checks;
//! - [`serve`]: the gateway itself; [`check`]: `check-config`; [`explain`]: `explain`, with the texts in [`reasons`];
//!   `demo`: everything without a cloud, behind the feature `demo`;
//! - [`columns`], [`capabilities`], [`describe`], [`progress`], [`failure`], [`text`], [`json`]: pure functions from
//!   messages to lines.

pub mod apply;
pub mod args;
pub mod call;
pub mod capabilities;
pub mod check;
pub mod columns;
#[cfg(feature = "demo")]
pub mod demo;
pub mod describe;
pub mod exit;
pub mod explain;
pub mod export;
pub mod failure;
pub mod follow;
pub mod gateway;
pub mod input;
pub mod json;
pub mod kinds;
pub mod misfits;
pub mod names;
pub mod progress;
pub mod question;
pub mod reasons;
pub mod removal;
pub mod repeat;
pub mod screen;
pub mod serve;
pub mod show;
pub mod signal;
pub mod site;
pub mod states;
pub mod statistics;
pub mod takes;
pub mod targets;
#[cfg(test)]
mod tests;
pub mod text;
pub mod tree;
pub mod watch;
pub mod write;
pub mod yaml;

pub use args::{Cli, Command, completions};
pub use exit::Exit;

use crate::cli::{
    gateway::{Gateway, Printer},
    kinds::Kind,
    question::{Output, Question},
    removal::Removal,
    write::Writing,
};
use std::io;

/// Runs one command to its end. The runtime is started here and not in `main.rs`, so that the library's tasks are
/// compiled once, with the library.
#[tokio::main]
pub async fn run(command: Command) -> Exit {
    // reqwest is built without a default provider, so that ring is the only one linked.
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("nobody else in this process has installed one");
    match command {
        Command::Serve { config } => serve::run(&config).await,
        #[cfg(feature = "demo")]
        Command::Demo(args) => demo::run(&args).await,
        #[cfg(not(feature = "demo"))]
        Command::Demo(_) => no_demo(),
        Command::CheckConfig { file, config } => check::run(&file.or(config).unwrap_or_default()),
        Command::Explain { reason } => explain::run(reason.as_deref()),
        Command::Completions { shell } => completions(shell),
        Command::Ask(question) => ask(&question).await,
    }
}

/// Calls a running gateway and prints the answer.
async fn ask(question: &Question) -> Exit {
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
        // The reader of the output closed the pipe.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => {
            eprintln!("isthmus: could not print: {error}");
            Exit::CouldNotAsk
        }
    }
}

/// Says how to get the demo, which this build lacks.
#[cfg(not(feature = "demo"))]
fn no_demo() -> Exit {
    eprintln!(
        "isthmus: this build has no demo, and no simulated clouds: it was made without the cargo feature `demo`.\n  \
         In the source tree: cargo run --release -- demo"
    );
    Exit::Usage
}

async fn print(question: &Question, gateway: &Gateway, printer: &mut Printer) -> io::Result<Exit> {
    match question {
        Question::Backends { name: None, client } => {
            show::list(gateway, &question::ListArgs::of_backends(client), printer).await
        }
        Question::Backends { name, .. } => {
            let target = (Kind::Backend, names::backend(name.as_deref()));
            show::get(gateway, Ok(target), printer).await
        }
        Question::Get {
            first,
            second,
            client,
        } => match targets::one(&first.0, second.as_deref()) {
            // YAML is a site file for every backend; JSON shows the connection as its cloud has it.
            Ok((Kind::Connection, name)) if client.output == Output::Yaml => {
                export::show(gateway, &name, printer).await
            }
            target => show::get(gateway, target, printer).await,
        },
        Question::List(args) => show::list(gateway, args, printer).await,
        Question::Create {
            first,
            rest,
            file,
            sending,
            ..
        } => {
            let writing = Writing::of(first.as_ref(), rest, file.as_deref(), sending);
            write::create(gateway, &writing, printer).await
        }
        Question::Update {
            first,
            rest,
            file,
            fields,
            sending,
            ..
        } => {
            let writing = Writing::of(first.as_ref(), rest, file.as_deref(), sending);
            write::update(gateway, &writing, fields, printer).await
        }
        Question::Apply(args) => apply::apply(gateway, args, printer).await,
        Question::Check(args) => takes::check(gateway, args, printer).await,
        Question::Delete {
            first,
            file: Some(file),
            wait,
            sending,
            client,
            ..
        } => {
            let removal = Removal {
                file,
                backend: first.as_ref().map(|word| word.0.as_str()),
                sending,
                wait: *wait,
                client,
            };
            removal::delete(gateway, &removal, printer).await
        }
        Question::Delete {
            first,
            second,
            etag,
            allow_missing,
            sending,
            ..
        } => {
            let first = first.as_ref().map_or("", |word| word.0.as_str());
            let target = targets::one(first, second.as_deref());
            let etag = etag.as_deref();
            write::delete(gateway, target, etag, *allow_missing, sending, printer).await
        }
        Question::Statistics { name, .. } => statistics::show(gateway, name, printer).await,
        Question::Watch {
            name,
            resume_token,
            wanted,
            ..
        } => watch::watch(gateway, name, wanted, resume_token.clone(), printer).await,
        Question::Wait { name, wanted, .. } => watch::wait(gateway, name, wanted, printer).await,
    }
}
