//! `get CONNECTION -o yaml`: a connection as a site file, which `apply` accepts on every backend.
//!
//! The place of attachment has a meaning only in its own cloud, so it is kept apart under `backends`. The rest is the
//! same text everywhere. The file contains no key, because no cloud returns one.

use crate::{
    cli::{
        call::call,
        exit::Exit,
        gateway::{Gateway, Printer},
        json,
        names::short,
        show::failed,
        tree::Tree,
        write::warnings,
        yaml,
    },
    text::clean_lines,
};
use prost_reflect::{DynamicMessage, Value};
use std::io;

/// The fields of a description that belong to the attachment: the path in the description, and the name in the
/// attachment.
const ATTACHED: [([&str; 3], &str); 3] = [
    (["parts", "vpnService", "router"], "router"),
    (["parts", "vpnService", "subnet"], "subnet"),
    (["parts", "localEndpoint", "address"], "localAddress"),
];

/// The fields that may name the availability zone, which is the same for the whole description.
const ZONES: [&[&str]; 4] = [
    &["connection", "availabilityZone"],
    &["parts", "vpnService", "availabilityZone"],
    &["parts", "ikePolicy", "availabilityZone"],
    &["parts", "ipsecPolicy", "availabilityZone"],
];

/// Prints the site file of a connection. Settings that not every backend accepts are reported on standard error.
///
/// # Errors
/// If the output cannot be written.
pub async fn show(gateway: &Gateway, name: &str, printer: &mut Printer) -> io::Result<Exit> {
    let fields = [("name".to_owned(), Value::String(name.to_owned()))];
    let answer = match call(gateway, "ConnectionService", "ExportConnection", fields).await {
        Ok(answer) => answer,
        Err(status) => return Ok(failed(&format!("describe {name}"), &status, gateway)),
    };
    printer.text(&yaml::document(&site_file(name, tree(&answer))))?;
    for warning in warnings(&answer) {
        eprintln!("isthmus: {}", clean_lines(&warning, false));
    }
    Ok(Exit::Done)
}

/// Returns the description in an answer, in the order of the protos.
fn tree(answer: &DynamicMessage) -> Tree {
    let site = answer.get_field_by_name("site");
    let site = site.as_deref().and_then(Value::as_message);
    let site = site.map_or_else(|| "{}".to_owned(), |site| json::line("Site", site));
    serde_json::from_str(&site).expect("the JSON was written a moment ago")
}

/// Moves the attachment of a description under `backends`, to the backend in the connection's name.
fn site_file(name: &str, mut site: Tree) -> Tree {
    let mut attachment = Vec::new();
    for (path, word) in ATTACHED {
        attachment.extend(take(&mut site, &path).map(|value| (word.to_owned(), value)));
    }
    attachment.extend(zone(&mut site).map(|zone| ("availabilityZone".to_owned(), zone)));
    // Moving the attachment can leave a part empty. Such a part is dropped, because the attachment implies it.
    for part in [&["parts", "vpnService"][..], &["parts", "localEndpoint"]] {
        take_if(&mut site, part, |value| *value == Tree::Fields(Vec::new()));
    }
    take_if(&mut site, &["parts"], |value| {
        *value == Tree::Fields(Vec::new())
    });
    let named = short(name);
    let backend = named.split('/').next().unwrap_or_default().to_owned();
    if let Tree::Fields(fields) = &mut site {
        let attached = Tree::Fields(vec![(backend, Tree::Fields(attachment))]);
        fields.push(("backends".to_owned(), attached));
    }
    site
}

/// Removes the zone from every field and returns it, if all fields with a zone agree.
fn zone(site: &mut Tree) -> Option<Tree> {
    let found: Vec<Tree> = ZONES
        .iter()
        .filter_map(|path| take(&mut site.clone(), path))
        .collect();
    let first = found.first()?.clone();
    if found.iter().any(|zone| *zone != first) {
        return None;
    }
    for path in ZONES {
        take(site, path);
    }
    Some(first)
}

/// Removes and returns the value at a path.
fn take(tree: &mut Tree, path: &[&str]) -> Option<Tree> {
    take_if(tree, path, |_| true)
}

/// Removes and returns the value at a path, if it satisfies `is_wanted`.
fn take_if(tree: &mut Tree, path: &[&str], is_wanted: impl Fn(&Tree) -> bool) -> Option<Tree> {
    let (Tree::Fields(fields), [first, rest @ ..]) = (tree, path) else {
        return None;
    };
    let at = fields.iter().position(|(name, _)| name == first)?;
    match rest {
        [] if is_wanted(&fields[at].1) => Some(fields.remove(at).1),
        [] => None,
        rest => take_if(&mut fields[at].1, rest, is_wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::pb;

    fn file(site: &pb::Site) -> String {
        let answer = pb::ExportConnectionResponse {
            site: Some(site.clone()),
            ..Default::default()
        };
        let answer = json::dynamic("ExportConnectionResponse", &answer);
        let name = "backends/k5-a/connections/1";
        yaml::document(&site_file(name, tree(&answer)))
    }

    fn site() -> pb::Site {
        pb::Site {
            connection: Some(pb::Connection {
                name: "backends/k5-a/connections/1".to_owned(),
                display_name: "branch: one".to_owned(),
                availability_zone: "az1".to_owned(),
                ..Default::default()
            }),
            parts: Some(pb::Parts {
                ike_policy: Some(pb::IkePolicy {
                    display_name: "ike".to_owned(),
                    availability_zone: "az1".to_owned(),
                    ..Default::default()
                }),
                vpn_service: Some(pb::VpnService {
                    router: "r".to_owned(),
                    subnet: "s".to_owned(),
                    availability_zone: "az1".to_owned(),
                    ..Default::default()
                }),
                local_endpoint: Some(pb::LocalEndpoint {
                    address: "192.0.2.1".to_owned(),
                    local_id: "here".to_owned(),
                    ..Default::default()
                }),
                ..Default::default()
            }),
        }
    }

    #[test]
    fn what_only_its_own_cloud_understands_stands_apart() {
        assert_eq!(
            file(&site()),
            "\
---
connection:
  name: backends/k5-a/connections/1
  displayName: \"branch: one\"
parts:
  ikePolicy:
    displayName: ike
  localEndpoint:
    localId: here
backends:
  k5-a:
    router: r
    subnet: s
    localAddress: \"192.0.2.1\"
    availabilityZone: az1"
        );
    }

    #[test]
    fn zones_that_differ_stay_where_they_are() {
        let mut site = site();
        let parts = site.parts.as_mut().unwrap();
        parts.vpn_service.as_mut().unwrap().availability_zone = "az2".to_owned();
        let text = file(&site);
        assert_eq!(text.matches("availabilityZone: ").count(), 3, "{text}");
        assert!(
            text.contains("  vpnService:\n    availabilityZone: az2"),
            "{text}"
        );
        assert!(text.ends_with("localAddress: \"192.0.2.1\""), "{text}");
    }

    #[test]
    fn where_nothing_is_attached_the_backend_is_named_all_the_same() {
        let text = file(&pb::Site {
            connection: Some(pb::Connection::default()),
            parts: Some(pb::Parts {
                vpn_service: Some(pb::VpnService {
                    router: "r".to_owned(),
                    ..Default::default()
                }),
                ..Default::default()
            }),
        });
        assert_eq!(
            text,
            "---\nconnection: {}\nbackends:\n  k5-a:\n    router: r"
        );
        let text = file(&pb::Site::default());
        assert_eq!(text, "---\nbackends:\n  k5-a: {}");
    }
}
