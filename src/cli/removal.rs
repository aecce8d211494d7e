//! `delete -f`: removes the connections that `apply` made of a file.
//!
//! All connections are looked up before any is removed. If one of them is ambiguous, none is removed.

use crate::{
    cli::{
        exit::Exit,
        follow::{self, Followed},
        gateway::{Gateway, Printer, answer},
        kinds::{Kind, KindOr},
        names::{self, short},
        question::{ClientArgs, GoalArg, ListArgs, SendArgs, WantedArgs},
        repeat::send,
        show::{every_page, failed, misused},
        site::Site,
        text::clean,
        write::{deleted, tried, write_token},
    },
    grpc::pb::{Connection, ListBackendsRequest},
};
use futures_util::future::join_all;
use prost_reflect::Value;
use std::{collections::HashSet, io, net::IpAddr, path::Path, time::Duration};
use tonic::Status;

/// What is removed, and how.
#[derive(Debug)]
pub struct Removal<'a> {
    /// The site file.
    pub file: &'a Path,
    /// The backend, or `None` for every backend that the file names.
    pub backend: Option<&'a str>,
    /// The options of each delete.
    pub sending: &'a SendArgs,
    /// How long to wait for the end of all removals, or `None` for not at all.
    pub wait: Option<Duration>,
    pub client: &'a ClientArgs,
}

/// A connection that a file describes, on one backend.
#[derive(Debug)]
struct Target<'a> {
    site: &'a Site,
    backend: String,
}

/// The result of looking a target up.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// The name of the connection.
    One(String),
    /// No connection matches.
    None,
    /// Several connections match: their names.
    Several(Vec<String>),
}

/// Removes every connection of a file.
///
/// # Errors
/// If the output cannot be written.
pub async fn delete(
    gateway: &Gateway,
    removal: &Removal<'_>,
    printer: &mut Printer,
) -> io::Result<Exit> {
    let sites = match Site::read_without_keys(removal.file) {
        Ok(sites) => sites,
        Err(why) => return Ok(misused(&why)),
    };
    let targets = match targets(&sites, removal) {
        Ok(targets) => targets,
        Err(why) => return Ok(misused(&why)),
    };
    let marked = match marked(gateway).await {
        Ok(marked) => marked,
        Err(status) => return Ok(failed("list the backends", &status, gateway)),
    };
    let found = targets
        .iter()
        .map(|target| find(gateway, target, &marked, removal.client));
    let found = join_all(found).await;
    let mut exit = Exit::Done;
    let mut meant = Vec::new();
    for (target, found) in targets.iter().zip(found) {
        match found {
            Ok(Found::One(name)) => meant.push((name, target.called())),
            Ok(Found::None) => printer.text(&target.absent())?,
            Ok(Found::Several(names)) => exit = exit.worst(target.refuse(&names)),
            Err(status) => {
                let doing = format!("look for `{}` on {}", target.called(), target.backend);
                exit = exit.worst(failed(&doing, &status, gateway));
            }
        }
    }
    if exit != Exit::Done {
        eprintln!("isthmus: nothing was removed");
        return Ok(exit);
    }
    remove(gateway, &meant, removal, printer).await
}

/// Sends the delete of each connection, given by its full name and its display name, one after the other. Then waits
/// for all of them together.
async fn remove(
    gateway: &Gateway,
    meant: &[(String, String)],
    removal: &Removal<'_>,
    printer: &mut Printer,
) -> io::Result<Exit> {
    let mut exit = Exit::Done;
    let mut going = Vec::new();
    for (name, display_name) in meant {
        let fields = vec![
            ("name".to_owned(), Value::String(name.clone())),
            ("allow_missing".to_owned(), Value::Bool(true)),
        ];
        let doing = format!("delete {name}");
        let sent = send(
            gateway,
            (Kind::Connection, "Delete"),
            fields,
            removal.sending,
            &doing,
        );
        let answer = match sent.await {
            Ok(answer) => answer,
            Err(why) => {
                exit = exit.worst(why);
                continue;
            }
        };
        printer.message(
            "DeleteConnectionResponse",
            &answer,
            |it, style| match removal.sending.dry_run {
                true => format!("{}: {}", clean(&short(name)), tried("removed", it, style)),
                false => deleted(Kind::Connection, name, it),
            },
        )?;
        going.extend(write_token(&answer).map(|write_token| Followed {
            name: name.clone(),
            display_name: display_name.clone(),
            write_token,
        }));
    }
    if going.is_empty() {
        return Ok(exit);
    }
    let Some(patience) = removal.wait else {
        return Ok(exit);
    };
    let wanted = WantedArgs {
        goal: Some(GoalArg::Gone),
        timeout: Some(patience),
        ..WantedArgs::default()
    };
    printer.aside("")?;
    Ok(exit.worst(follow::all(gateway, &going, &wanted, printer).await?))
}

/// Returns every connection of every site, on each backend that is meant.
fn targets<'a>(sites: &'a [Site], removal: &Removal<'_>) -> Result<Vec<Target<'a>>, String> {
    let mut targets = Vec::new();
    for site in sites {
        let backends = match removal.backend {
            Some(backend) => vec![short(&names::backend(Some(backend)))],
            None => site.backends().into_iter().map(str::to_owned).collect(),
        };
        if backends.is_empty() {
            return Err(format!(
                "{}: on which backend? Say it, or have the file say it under `backends`",
                site.place()
            ));
        }
        for backend in backends {
            if site.display_name().is_empty() && site.name_on(&backend).is_none() {
                return Err(format!(
                    "{}: which connection on {}? It has no `display_name` to be found by, and its `name` is of another backend",
                    site.place(),
                    clean(&backend)
                ));
            }
            targets.push(Target { site, backend });
        }
    }
    let several = targets.len() > 1 && removal.sending.request_id.is_some();
    match several {
        true => Err(
            "a request id is of one write, and several connections are to be removed".to_owned(),
        ),
        false => Ok(targets),
    }
}

/// Returns the backends whose connections carry a mark of this gateway.
async fn marked(gateway: &Gateway) -> Result<HashSet<String>, Status> {
    let mut client = gateway.backends();
    let answered = answer(client.list_backends(ListBackendsRequest::default())).await?;
    let marked = answered.backends.into_iter().filter(|backend| {
        let can = backend.capabilities.as_ref();
        // A backend whose capabilities are unknown counts as marking its connections: not every connection of the name
        // is assumed to be the gateway's.
        can.is_none_or(|can| can.connection_marks)
    });
    Ok(marked.map(|backend| short(&backend.name)).collect())
}

async fn find(
    gateway: &Gateway,
    target: &Target<'_>,
    marked: &HashSet<String>,
    client: &ClientArgs,
) -> Result<Found, Status> {
    if let Some(name) = target.site.name_on(&target.backend) {
        return Ok(Found::One(name.to_owned()));
    }
    let is_marked = marked.contains(&target.backend);
    let parent = names::backend(Some(&target.backend));
    let args = ListArgs {
        first: Some(KindOr(Kind::Connection.several().to_owned())),
        second: Some(target.backend.clone()),
        filter: filter(&target.called(), is_marked),
        order_by: String::new(),
        no_state: true,
        client: client.clone(),
    };
    let (connections, unreachable) =
        every_page(gateway, Kind::Connection, &parent, &args, true).await?;
    if !unreachable.is_empty() {
        return Err(Status::unavailable("the backend cannot be asked now"));
    }
    let connections = connections.iter().filter_map(|it| it.transcode_to().ok());
    Ok(which(
        connections.collect(),
        is_marked,
        &target.site.peer_address(),
    ))
}

/// Picks the site's connection from those with its display name. If the cloud's connections carry no marks, the peer's
/// address decides between several.
fn which(mut connections: Vec<Connection>, is_marked: bool, peer: &str) -> Found {
    if !is_marked && connections.len() > 1 && !peer.is_empty() {
        // The gateway compares in the same way: two spellings of one IP address are equal.
        let parsed = |text: &str| text.parse::<IpAddr>().ok();
        let is_same = |it: &str| it == peer || (parsed(it).is_some() && parsed(it) == parsed(peer));
        connections.retain(|it| it.peer.as_ref().is_some_and(|it| is_same(&it.address)));
    }
    let mut names: Vec<String> = connections.into_iter().map(|it| it.name).collect();
    match (names.pop(), names.is_empty()) {
        (None, _) => Found::None,
        (Some(only), true) => Found::One(only),
        (Some(last), false) => {
            names.push(last);
            Found::Several(names)
        }
    }
}

fn filter(display_name: &str, is_marked: bool) -> String {
    let quoted = display_name.replace('\\', "\\\\").replace('"', "\\\"");
    let mark = if is_marked { " AND managed = true" } else { "" };
    format!("display_name = \"{quoted}\"{mark}")
}

impl Target<'_> {
    fn called(&self) -> String {
        self.site.display_name()
    }

    fn absent(&self) -> String {
        let (called, backend) = (clean(&self.called()), clean(&self.backend));
        format!("{backend}: there is no connection `{called}` of this gateway's making")
    }

    fn refuse(&self, names: &[String]) -> Exit {
        let names: Vec<String> = names.iter().map(|name| clean(&short(name))).collect();
        eprintln!(
            "isthmus: on {} several connections are called `{}`, so it cannot be told which is meant: {}\n  \
             isthmus delete NAME removes one of them",
            clean(&self.backend),
            clean(&self.called()),
            names.join(", ")
        );
        Exit::CouldNotAsk
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::pb::Peer;

    #[test]
    fn a_name_is_asked_for_as_it_is() {
        assert_eq!(
            filter("a b", true),
            "display_name = \"a b\" AND managed = true"
        );
        assert_eq!(filter("a \"b\\", false), "display_name = \"a \\\"b\\\\\"");
    }

    #[test]
    fn the_peer_tells_which_is_meant_only_where_no_mark_does() {
        let there = |peers: &[&str]| -> Vec<Connection> {
            let each = peers.iter().enumerate().map(|(at, peer)| Connection {
                name: at.to_string(),
                peer: Some(Peer {
                    address: (*peer).to_owned(),
                    ..Peer::default()
                }),
                ..Connection::default()
            });
            each.collect()
        };
        let one = |name: &str| Found::One(name.to_owned());
        let several =
            |names: &[&str]| Found::Several(names.iter().map(|it| (*it).to_owned()).collect());
        for (peers, is_marked, peer, found) in [
            (&[][..], true, "p", Found::None),
            (&["q"], true, "p", one("0")),
            (&["q"], false, "p", one("0")),
            (&["q", "p"], false, "p", one("1")),
            (&["q", "p"], true, "p", several(&["0", "1"])),
            (&["q", "p"], false, "", several(&["0", "1"])),
            (&["p", "p"], false, "p", several(&["0", "1"])),
            (&["q", "q"], false, "p", Found::None),
            (
                &["192.0.2.1", "2001:db8::1"],
                false,
                "2001:DB8:0::1",
                one("1"),
            ),
        ] {
            assert_eq!(which(there(peers), is_marked, peer), found, "{peers:?}");
        }
    }
}
