//! `backends`, `get` and `list`: commands with one question and one answer.

use crate::{
    cli::{
        call::call,
        columns::{resource_facts, resource_table},
        describe::{backend_facts, backend_table, connection_facts, connection_table},
        exit::Exit,
        failure,
        gateway::{Gateway, Printer},
        kinds::Kind,
        names,
        question::ListArgs,
        states::States,
        targets,
        text::Style,
    },
    grpc::pb::{Backend, Connection, View},
    text::{clean, clean_lines},
};
use prost::Message;
use prost_reflect::{DynamicMessage, Value};
use std::{io, time::SystemTime};
use tonic::Status;

/// Shows one resource.
///
/// # Errors
/// If the output cannot be written.
pub async fn get(
    gateway: &Gateway,
    target: Result<(Kind, String), String>,
    printer: &mut Printer,
) -> io::Result<Exit> {
    let (kind, name) = match target {
        Ok((Kind::Attachment, _)) => return Ok(misused("attachments can only be listed")),
        Ok(target) => target,
        Err(why) => return Ok(misused(&why)),
    };
    let message = kind.message();
    let fields = [("name".to_owned(), Value::String(name.clone()))];
    match call(gateway, kind.service(), &format!("Get{message}"), fields).await {
        Ok(answer) => {
            let resource = resource_of(&answer, kind);
            printer.message(&message, &resource, |it, style| one(kind, it, style))?;
            Ok(Exit::Done)
        }
        Err(status) => Ok(failed(&format!("read {name}"), &status, gateway)),
    }
}

/// Shows the resources of one kind, of one backend or of all. A backend that could not be asked is reported on standard
/// error. The result is then [`Exit::CouldNotAsk`], although the rest is shown.
///
/// # Errors
/// If the output cannot be written.
pub async fn list(gateway: &Gateway, args: &ListArgs, printer: &mut Printer) -> io::Result<Exit> {
    let first = args.first.as_ref().map(|word| word.0.as_str());
    let (kind, parent) = match targets::list(first, args.second.as_deref()) {
        Ok(target) => target,
        Err(why) => return Ok(misused(&why)),
    };
    let with_states = kind == Kind::Connection && printer.is_for_people() && !args.no_state;
    let states = async {
        match with_states {
            true => Some(States::known(gateway, &parent).await),
            false => None,
        }
    };
    let pages = every_page(gateway, kind, &parent, args, printer.is_for_people());
    let (pages, states) = tokio::join!(pages, states);
    let (resources, unreachable) = match pages {
        Ok(pages) => pages,
        Err(status) => {
            let doing = format!("list the {} of {parent}", kind.people());
            let exit = failed(&doing, &status, gateway);
            suggest_kind(first, kind);
            return Ok(exit);
        }
    };
    let states = states.and_then(|states| match states {
        Ok(states) => Some(states),
        Err(status) => {
            failed("ask for the states of the connections", &status, gateway);
            None
        }
    });
    // An empty list that is incomplete says nothing.
    if !resources.is_empty() || unreachable.is_empty() {
        printer.messages(&kind.message(), &resources, |all, style| {
            several(kind, all, states.as_ref(), style)
        })?;
    }
    for backend in &unreachable {
        eprintln!(
            "isthmus: {} cannot be asked now; not all of its {} are in this list",
            clean(backend),
            kind.people()
        );
    }
    if unreachable.is_empty() {
        Ok(Exit::Done)
    } else {
        Ok(Exit::CouldNotAsk)
    }
}

/// Reports the error of a call on standard error, and returns the exit code.
pub(crate) fn failed(doing: &str, status: &Status, gateway: &Gateway) -> Exit {
    let told = failure::describe(doing, status, &gateway.endpoint);
    eprintln!("isthmus: {}", clean_lines(&told, false));
    failure::exit(status)
}

/// Reports a misuse of the command line or of a file on standard error.
pub(crate) fn misused(why: &str) -> Exit {
    eprintln!("isthmus: {}", clean_lines(why, false));
    Exit::Usage
}

/// Returns the resource in an answer, or an empty one.
pub(crate) fn resource_of(answer: &DynamicMessage, kind: Kind) -> DynamicMessage {
    let resource = answer.get_field_by_name(&kind.field());
    let resource = resource.as_deref().and_then(Value::as_message);
    let descriptor = || crate::cli::json::descriptor(&kind.message());
    resource
        .cloned()
        .unwrap_or_else(|| DynamicMessage::new(descriptor()))
}

/// Formats one resource as labelled values.
pub(crate) fn one(kind: Kind, resource: &DynamicMessage, style: Style) -> String {
    match kind {
        Kind::Connection => connection_facts(&typed::<Connection>(resource), style),
        Kind::Backend => backend_facts(&typed::<Backend>(resource), style),
        _ => resource_facts(kind, resource, style),
    }
}

fn several(
    kind: Kind,
    resources: &[DynamicMessage],
    states: Option<&States>,
    style: Style,
) -> String {
    match kind {
        Kind::Connection => {
            let connections: Vec<Connection> = resources.iter().map(typed).collect();
            let now = SystemTime::now();
            let state = states.map(|states| |name: &str| states.of(name, now));
            let state = state.as_ref().map(|state| state as &dyn Fn(&str) -> String);
            connection_table(&connections, state, style)
        }
        Kind::Backend => {
            let backends: Vec<Backend> = resources.iter().map(typed).collect();
            backend_table(&backends, style)
        }
        _ => resource_table(kind, resources, style),
    }
}

fn typed<M: Message + Default>(resource: &DynamicMessage) -> M {
    resource
        .transcode_to()
        .expect("the answer was read by the same descriptor")
}

/// Suggests a kind if the word that was taken for a backend resembles one.
fn suggest_kind(first: Option<&str>, kind: Kind) {
    let Some(word) = first.filter(|word| kind == Kind::Connection && Kind::of(word).is_none())
    else {
        return;
    };
    if let Some(near) = names::near_kind(word) {
        eprintln!("isthmus: if a kind was meant, and no backend: {near}");
    }
}

/// Reads all pages of a list. Returns the resources, and the backends that could not be asked.
///
/// # Errors
/// The error of any page.
pub(crate) async fn every_page(
    gateway: &Gateway,
    kind: Kind,
    parent: &str,
    args: &ListArgs,
    for_people: bool,
) -> Result<(Vec<DynamicMessage>, Vec<String>), Status> {
    let mut resources = Vec::new();
    let mut unreachable: Vec<String> = Vec::new();
    let mut page_token = String::new();
    // The fields beyond the basic view are not needed for a table.
    let view = if for_people { View::Basic } else { View::Full };
    loop {
        let mut fields = vec![
            ("page_size".to_owned(), Value::I32(1_000)),
            ("page_token".to_owned(), Value::String(page_token)),
        ];
        if kind != Kind::Backend {
            let texts = [
                ("parent", parent),
                ("filter", &args.filter),
                ("order_by", &args.order_by),
            ];
            let texts = texts.map(|(name, text)| (name.to_owned(), Value::String(text.to_owned())));
            fields.extend(texts);
            fields.push(("view".to_owned(), Value::EnumNumber(view.into())));
        }
        let page = call(gateway, kind.service(), &kind.list_call(), fields).await?;
        let found = page.get_field_by_name(&kind.fields());
        let found = found
            .as_deref()
            .and_then(Value::as_list)
            .unwrap_or_default();
        resources.extend(found.iter().filter_map(Value::as_message).cloned());
        let left_out = page.get_field_by_name("unreachable");
        let left_out = left_out
            .as_deref()
            .and_then(Value::as_list)
            .unwrap_or_default();
        unreachable.extend(left_out.iter().filter_map(Value::as_str).map(str::to_owned));
        let next = page.get_field_by_name("next_page_token");
        page_token = next
            .as_deref()
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        if page_token.is_empty() {
            unreachable.sort();
            unreachable.dedup();
            return Ok((resources, unreachable));
        }
    }
}
