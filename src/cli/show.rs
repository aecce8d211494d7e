//! `backends`, `get` and `list`: one question, one answer.

use crate::{
    cli::{
        describe::{backend_facts, backend_table, connection_facts, connection_table},
        exit::Exit,
        failure,
        gateway::{Gateway, Printer, answer},
        names,
    },
    grpc::pb::{
        Backend, Connection, GetBackendRequest, GetConnectionRequest, ListBackendsRequest,
        ListConnectionsRequest, backend_service_client::BackendServiceClient,
    },
    text::clean_lines,
};
use std::io;
use tonic::{Status, transport::Channel};

/// Shows all backends, or the one named.
///
/// # Errors
/// If nobody reads the answer.
pub async fn backends(
    gateway: &Gateway,
    name: Option<&str>,
    printer: &mut Printer,
) -> io::Result<Exit> {
    let mut client = gateway.backends();
    let Some(name) = name else {
        return match answer(client.list_backends(ListBackendsRequest::default())).await {
            Ok(list) => {
                printer.messages("Backend", &list.backends, backend_table)?;
                Ok(Exit::Done)
            }
            Err(status) => Ok(failed("list the backends", &status, gateway)),
        };
    };
    let name = names::backend(Some(name));
    match one_backend(&mut client, &name).await {
        Ok(backend) => {
            printer.message("Backend", &backend, backend_facts)?;
            Ok(Exit::Done)
        }
        Err(status) => Ok(failed(&format!("show {name}"), &status, gateway)),
    }
}

/// Shows one connection.
///
/// # Errors
/// If nobody reads the answer.
pub async fn connection(gateway: &Gateway, name: &str, printer: &mut Printer) -> io::Result<Exit> {
    let name = names::connection(name);
    let request = GetConnectionRequest { name: name.clone() };
    match answer(gateway.connections().get_connection(request)).await {
        Ok(response) => {
            let connection = response.connection.unwrap_or_default();
            printer.message("Connection", &connection, connection_facts)?;
            Ok(Exit::Done)
        }
        Err(status) => Ok(failed(&format!("read {name}"), &status, gateway)),
    }
}

/// Shows the connections of one backend, or of all, as `filter` and `order_by` of the request say. A backend that could not be asked is told on standard
/// error, and the end is then [`Exit::CouldNotAsk`] though the rest is shown.
///
/// # Errors
/// If nobody reads the answer.
pub async fn connections(
    gateway: &Gateway,
    parent: Option<&str>,
    filter: &str,
    order_by: &str,
    printer: &mut Printer,
) -> io::Result<Exit> {
    let parent = names::backend(parent);
    match every_page(gateway, &parent, filter, order_by).await {
        Ok((connections, unreachable)) => {
            // An empty list that is not the whole list says nothing.
            if !connections.is_empty() || unreachable.is_empty() {
                printer.messages("Connection", &connections, connection_table)?;
            }
            for backend in &unreachable {
                eprintln!(
                    "isthmus: {backend} cannot be asked now; not all of its connections are in this list"
                );
            }
            if unreachable.is_empty() {
                Ok(Exit::Done)
            } else {
                Ok(Exit::CouldNotAsk)
            }
        }
        Err(status) => Ok(failed(
            &format!("list the connections of {parent}"),
            &status,
            gateway,
        )),
    }
}

/// Tells a failure on standard error, and how the command ends with it.
pub(crate) fn failed(doing: &str, status: &Status, gateway: &Gateway) -> Exit {
    let told = failure::describe(doing, status, &gateway.endpoint);
    eprintln!("isthmus: {}", clean_lines(&told, false));
    failure::exit(status)
}

async fn one_backend(
    client: &mut BackendServiceClient<Channel>,
    name: &str,
) -> Result<Backend, Status> {
    let request = GetBackendRequest {
        name: name.to_owned(),
    };
    let response = answer(client.get_backend(request)).await?;
    Ok(response.backend.unwrap_or_default())
}

async fn every_page(
    gateway: &Gateway,
    parent: &str,
    filter: &str,
    order_by: &str,
) -> Result<(Vec<Connection>, Vec<String>), Status> {
    let mut client = gateway.connections();
    let mut connections = Vec::new();
    let mut unreachable: Vec<String> = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListConnectionsRequest {
            parent: parent.to_owned(),
            page_size: 1_000,
            page_token,
            filter: filter.to_owned(),
            order_by: order_by.to_owned(),
            ..Default::default()
        };
        let page = answer(client.list_connections(request)).await?;
        connections.extend(page.connections);
        unreachable.extend(page.unreachable);
        if page.next_page_token.is_empty() {
            unreachable.sort();
            unreachable.dedup();
            return Ok((connections, unreachable));
        }
        page_token = page.next_page_token;
    }
}
