//! `check -f`: which backends would accept what a file describes, and how. It changes nothing.

mod answer;
mod lines;

use crate::cli::{
    call::call_within,
    exit::Exit,
    gateway::{Gateway, Printer, answer as ask},
    names::{self, short},
    question::CheckArgs,
    show::{failed, misused},
    site::{Site, attachment::Attachment},
    takes::answer::{Taken, Takes},
};
use crate::grpc::pb::ListBackendsRequest;
use futures_util::future::join_all;
use prost_reflect::Value;
use secrecy::SecretString;
use std::{io, time::Duration};

/// The key in the request where the real one is not known. Every cloud accepts a key of this length and these
/// characters.
const STAND_IN: &str = "stand-in-for-the-key";

/// Asks all backends concurrently, and prints the answer of each for every connection of a file.
///
/// # Errors
/// If the output cannot be written.
pub async fn check(gateway: &Gateway, args: &CheckArgs, printer: &mut Printer) -> io::Result<Exit> {
    let over = Attachment::from(&args.attached);
    if over != Attachment::default() && args.backend.is_none() {
        return Ok(misused(
            "where a connection is attached differs from backend to backend: say which is meant, or put it into the file, \
             under `backends`",
        ));
    }
    let mut sites = match Site::read_without_keys(&args.file) {
        Ok(sites) => sites,
        Err(why) => return Ok(misused(&why)),
    };
    let without_key = sites.iter().filter(|site| !site.has_key()).count();
    for site in sites.iter_mut().filter(|site| !site.has_key()) {
        site.give_key(SecretString::from(STAND_IN));
    }
    let there = match &args.backend {
        Some(backend) => vec![short(&names::backend(Some(backend)))],
        None => match every_backend(gateway).await {
            Ok(backends) => backends,
            Err(status) => return Ok(failed("list the backends", &status, gateway)),
        },
    };
    let asked = sites.iter().flat_map(|site| {
        let beside = site.backends().into_iter();
        // Backends that only the file names: the gateway answers that it does not have them.
        let beside =
            beside.filter(|it| args.backend.is_none() && !there.iter().any(|known| known == it));
        let backends = there.iter().map(String::as_str).chain(beside);
        backends.map(|backend| take(gateway, site, backend, &over, args.timeout))
    });
    let answers = join_all(asked).await;
    let exit = exit(&answers);
    let values: Vec<serde_json::Value> = answers.iter().map(Taken::json).collect();
    printer.values(&values, |style| {
        lines::all(&answers, without_key > 0, style)
    })?;
    Ok(exit)
}

async fn every_backend(gateway: &Gateway) -> Result<Vec<String>, tonic::Status> {
    let mut client = gateway.backends();
    let answer = ask(client.list_backends(ListBackendsRequest::default())).await?;
    Ok(answer.backends.iter().map(|it| short(&it.name)).collect())
}

/// Asks one backend about one connection.
async fn take(
    gateway: &Gateway,
    site: &Site,
    backend: &str,
    over: &Attachment,
    timeout: Duration,
) -> Taken {
    let connection = match site.display_name() {
        name if name.is_empty() => site.place().to_owned(),
        name => name,
    };
    let taken = Taken::of(connection, backend);
    let mut fields = match site.request(backend, over) {
        Ok(fields) => fields,
        Err(why) => return taken.misfit(&why),
    };
    let request = answer::request(&fields);
    fields.push(("validate_only".to_owned(), Value::Bool(true)));
    let asked = call_within(
        gateway,
        "ConnectionService",
        "ApplyConnection",
        fields,
        timeout,
    );
    match asked.await {
        Ok(answer) => taken.taken(&answer),
        Err(status) => taken.refused(&status, &request),
    }
}

/// Returns the exit code: a refusal outranks an unknown answer.
fn exit(answers: &[Taken]) -> Exit {
    let any = |all: &[Takes]| answers.iter().any(|taken| all.contains(&taken.takes));
    if any(&[Takes::No]) {
        Exit::Usage
    } else if any(&[Takes::OnceAttached, Takes::NotAsked]) {
        Exit::CouldNotAsk
    } else {
        Exit::Done
    }
}
