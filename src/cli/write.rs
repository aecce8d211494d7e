//! `create`, `update` and `delete`. Resources come as JSON or YAML, as `get` prints them.

use crate::{
    cli::{
        call::call,
        exit::Exit,
        gateway::{Gateway, Printer},
        input::Input,
        json,
        kinds::{Kind, KindOr},
        names::{self, short},
        question::SendArgs,
        repeat::send,
        show::{failed, misused, one, resource_of},
        targets,
        text::{Style, clean, table},
    },
    grpc::pb::{ListBackendsResponse, PlannedStep, Warning},
};
use prost_reflect::{DynamicMessage, Value};
use std::{io, path::Path};
use tonic::Status;

/// What is written, and how.
#[derive(Debug)]
pub struct Writing<'a> {
    /// The words of the command line, in order.
    pub words: Vec<&'a str>,
    /// The file, if an option names it.
    pub file: Option<&'a Path>,
    /// The options of the write.
    pub sending: &'a SendArgs,
}

impl<'a> Writing<'a> {
    pub fn of(
        first: Option<&'a KindOr<false>>,
        rest: &'a [String],
        file: Option<&'a Path>,
        sending: &'a SendArgs,
    ) -> Writing<'a> {
        let first = first.iter().map(|word| word.0.as_str());
        Writing {
            words: first.chain(rest.iter().map(String::as_str)).collect(),
            file,
            sending,
        }
    }
}

/// Creates a resource from a file. For a connection it prints the token with which its realization is watched.
///
/// # Errors
/// If the output cannot be written.
pub async fn create(
    gateway: &Gateway,
    writing: &Writing<'_>,
    printer: &mut Printer,
) -> io::Result<Exit> {
    let target = targets::create(&writing.words, writing.file).and_then(|(kind, parent, file)| {
        writable(kind)?;
        Ok((kind, parent, Input::read(&file)?.creation(kind)?))
    });
    let (kind, parent, mut fields) = match target {
        Ok(target) => target,
        Err(why) => return Ok(misused(&why)),
    };
    let doing = format!("create {}", kind.article());
    let parent = match parent {
        Some(parent) => parent,
        None => match only_backend(gateway).await {
            Ok(Ok(parent)) => parent,
            Ok(Err(why)) => return Ok(misused(&why)),
            Err(status) => return Ok(failed(&doing, &status, gateway)),
        },
    };
    fields.push(text("parent", &parent));
    let doing = format!("{doing} on {parent}");
    match send(gateway, (kind, "Create"), fields, writing.sending, &doing).await {
        Ok(answer) => print(printer, (kind, "Create"), &answer, writing.sending.dry_run),
        Err(exit) => Ok(exit),
    }
}

/// Changes the fields of a resource that `paths` names, or all fields that the file sets.
///
/// # Errors
/// If the output cannot be written.
pub async fn update(
    gateway: &Gateway,
    writing: &Writing<'_>,
    paths: &[String],
    printer: &mut Printer,
) -> io::Result<Exit> {
    let (kind, name, resource) = match changed(writing) {
        Ok(target) => target,
        Err(why) => return Ok(misused(&why)),
    };
    let mut fields = vec![(kind.field(), Value::Message(resource))];
    if !paths.is_empty() {
        fields.push(("update_mask".to_owned(), mask(kind, paths)));
    }
    let doing = format!("update {name}");
    match send(gateway, (kind, "Update"), fields, writing.sending, &doing).await {
        Ok(answer) => print(printer, (kind, "Update"), &answer, writing.sending.dry_run),
        Err(exit) => Ok(exit),
    }
}

/// Removes a resource. For a connection it prints the token with which its removal is watched.
///
/// # Errors
/// If the output cannot be written.
pub async fn delete(
    gateway: &Gateway,
    target: Result<(Kind, String), String>,
    etag: Option<&str>,
    allow_missing: bool,
    sending: &SendArgs,
    printer: &mut Printer,
) -> io::Result<Exit> {
    let target = target.and_then(|(kind, name)| writable(kind).map(|()| (kind, name)));
    let (kind, name) = match target {
        Ok(target) => target,
        Err(why) => return Ok(misused(&why)),
    };
    let fields = vec![
        text("name", &name),
        text("etag", etag.unwrap_or_default()),
        flag("allow_missing", allow_missing),
    ];
    let doing = format!("delete {name}");
    match send(gateway, (kind, "Delete"), fields, sending, &doing).await {
        Ok(answer) => {
            let message = format!("Delete{}Response", kind.message());
            printer.message(&message, &answer, |it, style| match sending.dry_run {
                true => tried("removed", it, style),
                false => deleted(kind, &name, it),
            })?;
            Ok(Exit::Done)
        }
        Err(exit) => Ok(exit),
    }
}

fn print(
    printer: &mut Printer,
    (kind, verb): (Kind, &str),
    answer: &DynamicMessage,
    dry: bool,
) -> io::Result<Exit> {
    let message = format!("{verb}{}Response", kind.message());
    printer.message(&message, answer, |it, style| written(kind, it, dry, style))?;
    Ok(Exit::Done)
}

/// Returns the kind, the name and the new values of the resource to change.
fn changed(writing: &Writing<'_>) -> Result<(Kind, String, DynamicMessage), String> {
    let (kind, name, file) = targets::update(&writing.words, writing.file)?;
    let input = Input::read(&file)?;
    if kind.is_none_or(|kind| kind == Kind::Connection) {
        input.refuse_site()?;
    }
    let inside = match (input.name(), kind) {
        ("", _) => None,
        (inside, Some(kind)) => Some((kind, names::of_kind(kind, inside)?)),
        (inside, None) => Some(names::resolve(inside)?),
    };
    let (kind, name) = match (kind, name, inside) {
        (Some(kind), Some(name), None) => (kind, name),
        (Some(kind), Some(name), Some((_, inside))) if name == inside => (kind, name),
        (_, Some(name), Some((_, inside))) => {
            return Err(format!(
                "{name} is to be changed, but the file describes {inside}; remove `name` from the file if that is what you mean"
            ));
        }
        (_, None, Some(inside)) => inside,
        (_, _, None) => {
            return Err("neither the command line nor the file says what to change".to_owned());
        }
    };
    writable(kind)?;
    let mut resource = input.resource(kind)?;
    resource.set_field_by_name("name", Value::String(name.clone()));
    Ok((kind, name, resource))
}

fn writable(kind: Kind) -> Result<(), String> {
    match kind.is_written() {
        true => Ok(()),
        false => Err(format!(
            "{} are not made, changed or removed here",
            kind.people()
        )),
    }
}

/// Returns the only backend, for a command that names none.
pub(crate) async fn only_backend(gateway: &Gateway) -> Result<Result<String, String>, Status> {
    let answer = call(gateway, "BackendService", "ListBackends", []).await?;
    let list: ListBackendsResponse = answer.transcode_to().unwrap_or_default();
    let names: Vec<String> = list.backends.iter().map(|it| short(&it.name)).collect();
    Ok(match &list.backends[..] {
        [only] => Ok(only.name.clone()),
        [] => Err("the gateway has no backend".to_owned()),
        _ => Err(format!("on which backend? There are {}", names.join(", "))),
    })
}

fn mask(kind: Kind, paths: &[String]) -> Value {
    let request = json::descriptor(&format!("Update{}Request", kind.message()));
    let field = request.get_field_by_name("update_mask");
    let descriptor = field.and_then(|field| field.kind().as_message().cloned());
    let mut mask = DynamicMessage::new(descriptor.expect("every update has a mask"));
    let paths = paths.iter().cloned().map(Value::String).collect();
    mask.set_field_by_name("paths", Value::List(paths));
    Value::Message(mask)
}

fn text(name: &str, text: &str) -> (String, Value) {
    (name.to_owned(), Value::String(text.to_owned()))
}

fn flag(name: &str, set: bool) -> (String, Value) {
    (name.to_owned(), Value::Bool(set))
}

/// Formats a created or changed resource, and how to watch the write.
fn written(kind: Kind, answer: &DynamicMessage, dry: bool, style: Style) -> String {
    if dry {
        return tried("accepted", answer, style);
    }
    let resource = resource_of(answer, kind);
    let name = resource.get_field_by_name("name");
    let name = name.as_deref().and_then(Value::as_str).unwrap_or_default();
    let mut lines = vec![one(kind, &resource, style)];
    lines.extend(follow(name, answer));
    lines.extend(warnings(answer));
    lines.join("\n")
}

/// Formats what a dry run would do, step by step.
pub(crate) fn tried(what: &str, answer: &DynamicMessage, style: Style) -> String {
    let mut lines = vec![format!("it would be {what}; nothing was changed")];
    let plan: Vec<PlannedStep> = messages(answer, "plan");
    if !plan.is_empty() {
        lines.push(plan_table(&plan, style));
    }
    lines.extend(warnings(answer));
    lines.join("\n")
}

/// Formats the steps of a plan, a row for each.
pub(crate) fn plan_table(plan: &[PlannedStep], style: Style) -> String {
    let row = |step: &PlannedStep| {
        let action = step.action().as_str_name();
        vec![
            action.trim_start_matches("ACTION_").to_owned(),
            clean(&step.collection),
            clean(&short(&step.name)),
            clean(&step.fields.join(", ")),
        ]
    };
    let rows: Vec<Vec<String>> = plan.iter().map(row).collect();
    table(&["ACTION", "COLLECTION", "NAME", "FIELDS"], &rows, style)
}

/// Returns the messages in a list field of an answer.
pub(crate) fn messages<M: prost::Message + Default>(
    answer: &DynamicMessage,
    field: &str,
) -> Vec<M> {
    let list = answer.get_field_by_name(field);
    let list = list.as_deref().and_then(Value::as_list).unwrap_or_default();
    let each = list.iter().filter_map(Value::as_message);
    each.filter_map(|it| it.transcode_to().ok()).collect()
}

/// Formats an accepted delete, and how to watch it.
pub(crate) fn deleted(kind: Kind, name: &str, answer: &DynamicMessage) -> String {
    let short = clean(&short(name));
    let mut lines = match kind {
        Kind::Connection => follow(name, answer),
        // The answer does not say whether the resource existed. Nothing uses it any more, so there is nothing to watch.
        _ => vec![format!("{short} is gone")],
    };
    if lines.is_empty() {
        lines.push(format!("{short} was not there"));
    }
    lines.extend(warnings(answer));
    lines.join("\n")
}

/// Returns the write token of an answer, or `None` if the write cannot be watched.
pub(crate) fn write_token(answer: &DynamicMessage) -> Option<String> {
    let token = answer.get_field_by_name("write_token");
    let token = token.as_deref().and_then(Value::as_str)?;
    (!token.is_empty()).then(|| token.to_owned())
}

/// Formats how to watch an accepted write, with its token or with the cloud's own ids.
fn follow(name: &str, answer: &DynamicMessage) -> Vec<String> {
    let ids = answer.get_field_by_name("upstream_request_ids");
    if let Some(token) = write_token(answer) {
        let name = clean(&short(name));
        return vec![format!(
            "accepted; how it ends: isthmus watch {name} --write-token {}",
            clean(&token)
        )];
    }
    let ids = ids.as_deref().and_then(Value::as_list).unwrap_or_default();
    let ids = ids.iter().filter_map(Value::as_str);
    let options: String = ids
        .map(|id| format!(" --upstream-request-id {}", clean(id)))
        .collect();
    match options.is_empty() {
        true => Vec::new(),
        false => vec![format!(
            "accepted; what a connection that uses it makes of it: isthmus watch CONNECTION{options}"
        )],
    }
}

/// Formats the warnings of an answer, a line each.
pub(crate) fn warnings(answer: &DynamicMessage) -> Vec<String> {
    let warnings: Vec<Warning> = messages(answer, "warnings");
    warnings.iter().map(warning).collect()
}

pub(crate) fn warning(warning: &Warning) -> String {
    let message = clean(&warning.message);
    if warning.field.is_empty() {
        format!("note: {message}")
    } else {
        format!("note: {}: {message}", clean(&warning.field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::pb;

    #[test]
    fn what_was_written_comes_with_the_command_that_follows_it() {
        let connection = pb::Connection {
            name: "backends/a/connections/1".to_owned(),
            ..Default::default()
        };
        let answer = pb::CreateConnectionResponse {
            connection: Some(connection),
            write_token: "AbC".to_owned(),
            warnings: vec![Warning {
                field: "mtu".to_owned(),
                message: "about".to_owned(),
            }],
            ..Default::default()
        };
        let answer = json::dynamic("CreateConnectionResponse", &answer);
        let text = written(Kind::Connection, &answer, false, Style::Plain);
        assert!(
            text.ends_with("isthmus watch a/1 --write-token AbC\nnote: mtu: about"),
            "{text}"
        );
        let answer = pb::UpdateIkePolicyResponse {
            ike_policy: Some(pb::IkePolicy::default()),
            upstream_request_ids: vec!["r1".to_owned(), "r2".to_owned()],
            ..Default::default()
        };
        let answer = json::dynamic("UpdateIkePolicyResponse", &answer);
        let text = written(Kind::IkePolicy, &answer, false, Style::Plain);
        assert!(
            text.ends_with("watch CONNECTION --upstream-request-id r1 --upstream-request-id r2"),
            "{text}"
        );
        let text = written(Kind::IkePolicy, &answer, true, Style::Plain);
        assert_eq!(text, "it would be accepted; nothing was changed");
    }

    #[test]
    fn an_update_of_what_connections_use_is_followed_by_its_own_name() {
        let answer = pb::UpdateIkePolicyResponse {
            ike_policy: Some(pb::IkePolicy {
                name: "backends/a/ikePolicies/1".to_owned(),
                ..Default::default()
            }),
            upstream_request_ids: vec!["r1".to_owned()],
            write_token: "AbC".to_owned(),
            ..Default::default()
        };
        let answer = json::dynamic("UpdateIkePolicyResponse", &answer);
        let text = written(Kind::IkePolicy, &answer, false, Style::Plain);
        let follow = "isthmus watch a/ikePolicies/1 --write-token AbC";
        assert!(text.ends_with(follow), "{text}");
    }

    #[test]
    fn a_plan_is_a_table_of_its_steps() {
        use pb::planned_step::Action;
        let step = |action: Action, collection: &str, name: &str, fields: &[&str]| PlannedStep {
            action: action.into(),
            collection: collection.to_owned(),
            name: name.to_owned(),
            fields: fields.iter().map(|it| (*it).to_owned()).collect(),
        };
        let answer = pb::CreateConnectionResponse {
            plan: vec![
                step(
                    Action::Reuse,
                    "ikePolicies",
                    "backends/a/ikePolicies/1",
                    &[],
                ),
                step(Action::Create, "connections", "", &["peer.psk", "mtu"]),
                step(
                    Action::Delete,
                    "connections",
                    "backends/a/connections/\u{202e}2",
                    &[],
                ),
            ],
            ..Default::default()
        };
        let answer = json::dynamic("CreateConnectionResponse", &answer);
        assert_eq!(
            written(Kind::Connection, &answer, true, Style::Plain),
            "\
it would be accepted; nothing was changed
ACTION  COLLECTION   NAME             FIELDS
REUSE   ikePolicies  a/ikePolicies/1
CREATE  connections                   peer.psk, mtu
DELETE  connections  a/ 2"
        );
    }

    #[test]
    fn a_delete_says_what_its_answer_proves() {
        let empty = |message: &str| DynamicMessage::new(json::descriptor(message));
        for (kind, name, said) in [
            (
                Kind::Connection,
                "backends/a/connections/1",
                "a/1 was not there",
            ),
            (
                Kind::DpdPolicy,
                "backends/a/dpdPolicies/1",
                "a/dpdPolicies/1 is gone",
            ),
        ] {
            let answer = empty(&format!("Delete{}Response", kind.message()));
            assert_eq!(deleted(kind, name, &answer), said);
        }
    }
}
