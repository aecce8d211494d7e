//! `create`, `update` and `delete`: what is written comes as JSON, as `get -o json` prints it.

use crate::{
    cli::{
        describe::connection_facts,
        exit::Exit,
        gateway::{Gateway, Printer, answer},
        json, names,
        names::short,
        show::failed,
        text::{Style, clean},
    },
    grpc::pb::{
        Connection, CreateConnectionRequest, DeleteConnectionRequest, DeleteConnectionResponse,
        UpdateConnectionRequest, Warning,
    },
};
use std::{
    io::{self, Read},
    path::Path,
};

/// The longest description of a connection that is read, in bytes: what the gateway takes.
const MAX_INPUT: u64 = 4 * 1024 * 1024;

/// Makes a connection from the JSON in `file`, and says with which token its realization is watched.
///
/// # Errors
/// If nobody reads the answer.
pub async fn create(
    gateway: &Gateway,
    backend: &str,
    file: &Path,
    validate_only: bool,
    printer: &mut Printer,
) -> io::Result<Exit> {
    let connection = match read(file) {
        Ok(connection) => connection,
        Err(why) => return Ok(unreadable(&why)),
    };
    let parent = names::backend(Some(backend));
    let request = CreateConnectionRequest {
        parent: parent.clone(),
        connection: Some(connection),
        validate_only,
    };
    match answer(gateway.connections().create_connection(request)).await {
        Ok(response) => {
            printer.message("CreateConnectionResponse", &response, |response, style| {
                let connection = response.connection.as_ref();
                written(connection, &response.write_token, &response.warnings, style)
            })?;
            Ok(Exit::Done)
        }
        Err(status) => Ok(failed(
            &format!("create a connection on {parent}"),
            &status,
            gateway,
        )),
    }
}

/// Changes the fields of a connection that `fields` names, or all that the JSON in `file` sets.
///
/// # Errors
/// If nobody reads the answer.
pub async fn update(
    gateway: &Gateway,
    name: &str,
    file: &Path,
    fields: &[String],
    validate_only: bool,
    printer: &mut Printer,
) -> io::Result<Exit> {
    let name = names::connection(name);
    let connection = match read(file).and_then(|connection| named(connection, &name)) {
        Ok(connection) => connection,
        Err(why) => return Ok(unreadable(&why)),
    };
    let request = UpdateConnectionRequest {
        connection: Some(connection),
        update_mask: (!fields.is_empty()).then(|| prost_types::FieldMask {
            paths: fields.to_vec(),
        }),
        validate_only,
    };
    match answer(gateway.connections().update_connection(request)).await {
        Ok(response) => {
            printer.message("UpdateConnectionResponse", &response, |response, style| {
                let connection = response.connection.as_ref();
                written(connection, &response.write_token, &response.warnings, style)
            })?;
            Ok(Exit::Done)
        }
        Err(status) => Ok(failed(&format!("update {name}"), &status, gateway)),
    }
}

/// Removes a connection, and says with which token its end is watched.
///
/// # Errors
/// If nobody reads the answer.
pub async fn delete(
    gateway: &Gateway,
    name: &str,
    etag: Option<&str>,
    allow_missing: bool,
    printer: &mut Printer,
) -> io::Result<Exit> {
    let name = names::connection(name);
    let request = DeleteConnectionRequest {
        name: name.clone(),
        etag: etag.unwrap_or_default().to_owned(),
        allow_missing,
    };
    match answer(gateway.connections().delete_connection(request)).await {
        Ok(response) => {
            printer.message("DeleteConnectionResponse", &response, |response, _| {
                deleted(&name, response)
            })?;
            Ok(Exit::Done)
        }
        Err(status) => Ok(failed(&format!("delete {name}"), &status, gateway)),
    }
}

/// The connection that a file, or `-` for standard input, describes.
fn read(file: &Path) -> Result<Connection, String> {
    let (name, text) = if file == Path::new("-") {
        ("standard input".to_owned(), limited(io::stdin()))
    } else {
        let opened = std::fs::File::open(file).and_then(limited);
        (file.display().to_string(), opened)
    };
    let text = text.map_err(|error| format!("{name} cannot be read: {error}"))?;
    json::parse("Connection", &text)
        .map_err(|why| format!("{name} does not describe a connection: {why}"))
}

/// The connection with this name; an error if it has another, since one of the two must be a mistake.
fn named(mut connection: Connection, name: &str) -> Result<Connection, String> {
    if !connection.name.is_empty() && names::connection(&connection.name) != name {
        return Err(format!(
            "what was read is {}, and not {}; nothing was changed",
            short(&connection.name),
            short(name)
        ));
    }
    name.clone_into(&mut connection.name);
    Ok(connection)
}

fn limited(source: impl Read) -> io::Result<String> {
    let mut text = String::new();
    source.take(MAX_INPUT).read_to_string(&mut text)?;
    Ok(text)
}

fn unreadable(why: &str) -> Exit {
    eprintln!("isthmus: {}", clean(why));
    Exit::Usage
}

fn written(
    connection: Option<&Connection>,
    write_token: &str,
    warnings: &[Warning],
    style: Style,
) -> String {
    let mut lines = Vec::new();
    match connection {
        Some(connection) if !write_token.is_empty() => {
            lines.push(connection_facts(connection, style));
            lines.push(follow(&connection.name, write_token));
        }
        _ => lines.push("the gateway would accept it; nothing was sent to the cloud".to_owned()),
    }
    lines.extend(warnings.iter().map(warning));
    lines.join("\n")
}

fn deleted(name: &str, response: &DeleteConnectionResponse) -> String {
    let mut lines = vec![if response.write_token.is_empty() {
        format!("{} was not there", short(name))
    } else {
        follow(name, &response.write_token)
    }];
    lines.extend(response.warnings.iter().map(warning));
    lines.join("\n")
}

/// The cloud has accepted the write; what it makes of it is for a watch to tell.
fn follow(name: &str, write_token: &str) -> String {
    format!(
        "accepted; how it ends: isthmus watch {} --write-token {write_token}",
        short(name)
    )
}

fn warning(warning: &Warning) -> String {
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

    #[test]
    fn what_was_written_comes_with_the_command_that_follows_it() {
        let connection = Connection {
            name: "backends/a/connections/1".to_owned(),
            ..Connection::default()
        };
        let warnings = [Warning {
            field: "mtu".to_owned(),
            message: "about".to_owned(),
        }];
        let text = written(Some(&connection), "AbC", &warnings, Style::Plain);
        assert!(
            text.ends_with("isthmus watch a/1 --write-token AbC\nnote: mtu: about"),
            "{text}"
        );
        let text = written(Some(&connection), "", &[], Style::Plain);
        assert!(text.contains("nothing was sent"), "{text}");
    }

    #[test]
    fn a_delete_of_what_is_not_there_says_so() {
        let text = deleted(
            "backends/a/connections/1",
            &DeleteConnectionResponse::default(),
        );
        assert_eq!(text, "a/1 was not there");
    }

    #[test]
    fn what_describes_another_connection_changes_none() {
        let with = |name: &str| Connection {
            name: name.to_owned(),
            ..Connection::default()
        };
        let wanted = names::connection("a/1");
        for own in ["", "a/1", "backends/a/connections/1"] {
            assert_eq!(named(with(own), &wanted).unwrap().name, wanted, "{own}");
        }
        let why = named(with("backends/a/connections/2"), &wanted).unwrap_err();
        assert!(why.contains("a/2") && why.contains("not a/1"), "{why}");
    }

    #[test]
    fn a_file_that_describes_no_connection_is_told_by_name() {
        let why = read(Path::new("Cargo.toml")).unwrap_err();
        assert!(
            why.starts_with("Cargo.toml does not describe a connection: "),
            "{why}"
        );
        let why = read(Path::new("no/such/file")).unwrap_err();
        assert!(why.starts_with("no/such/file cannot be read: "), "{why}");
    }
}
