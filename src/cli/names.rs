//! Short forms of resource names, as users type them.

use crate::cli::{kinds::Kind, misfits::nearest};

/// Returns the full name of a connection: `nsx-demo/ID` and `nsx-demo/connections/ID` stand for
/// `backends/nsx-demo/connections/ID`.
///
/// Any other text is returned unchanged, so that the gateway reports what is wrong with it.
pub fn connection(text: &str) -> String {
    of_kind(Kind::Connection, text).unwrap_or_else(|_| text.to_owned())
}

/// Returns the full name of what is watched: a connection or, if the name contains a kind, a part.
///
/// Any other text is returned unchanged, as by [`connection`].
pub fn watched(text: &str) -> String {
    resolve(text).map_or_else(|_| text.to_owned(), |(_, name)| name)
}

/// Returns the kind and the full name that a name stands for: `nsx-demo/ikePolicies/ID` for
/// `backends/nsx-demo/ikePolicies/ID`. A name without a kind is that of a connection.
///
/// # Errors
/// If there is no such kind; the message suggests the nearest. The gateway reports all other problems of a name.
pub fn resolve(text: &str) -> Result<(Kind, String), String> {
    let full = text.strip_prefix("backends/");
    let parts: Vec<&str> = full.unwrap_or(text).split('/').collect();
    match parts[..] {
        [_] if full.is_some() => Ok((Kind::Backend, text.to_owned())),
        [backend, id] if full.is_none() => {
            Ok((Kind::Connection, name(Kind::Connection, backend, id)))
        }
        [backend, collection, id] => match Kind::of(collection) {
            Some(kind) if kind != Kind::Backend => Ok((kind, name(kind, backend, id))),
            _ => Err(format!("{text} is no resource: {}", no_kind(collection))),
        },
        _ => Ok((Kind::Connection, text.to_owned())),
    }
}

/// Returns the full name of a resource of this kind. `nsx-demo/ID` is of any kind.
///
/// # Errors
/// If the name is of another kind.
pub fn of_kind(kind: Kind, text: &str) -> Result<String, String> {
    let full = text.strip_prefix("backends/");
    let parts: Vec<&str> = full.unwrap_or(text).split('/').collect();
    match parts[..] {
        [_] if kind == Kind::Backend => Ok(backend(Some(text))),
        [backend, id] if full.is_none() => Ok(name(kind, backend, id)),
        [backend, collection, id] => match Kind::of(collection) {
            Some(other) if other == kind => Ok(name(kind, backend, id)),
            _ => Err(format!("{text} names none of the {}", kind.people())),
        },
        _ => Ok(text.to_owned()),
    }
}

fn name(kind: Kind, backend: &str, id: &str) -> String {
    format!("backends/{backend}/{}/{id}", kind.collection())
}

/// Returns the message for an unknown kind, with a suggestion.
pub fn no_kind(word: &str) -> String {
    match near_kind(word) {
        Some(near) => format!("there is no kind `{word}`; did you mean {near}?"),
        None => {
            let kinds = Kind::ALL.map(Kind::several).join(", ");
            format!("there is no kind `{word}`; there are {kinds}")
        }
    }
}

/// Returns the kind that an unknown word may have meant.
pub fn near_kind(word: &str) -> Option<&'static str> {
    let words = Kind::ALL.map(|kind| [kind.one().to_owned(), kind.several().to_owned()]);
    let near = nearest(word, words.as_flattened())?;
    Kind::of(near).map(Kind::several)
}

/// Returns the full name of a backend: `nsx-demo` stands for `backends/nsx-demo`, and `None` for every backend.
pub fn backend(text: Option<&str>) -> String {
    match text {
        None => "backends/-".to_owned(),
        Some(text) if text.contains('/') => text.to_owned(),
        Some(text) => format!("backends/{text}"),
    }
}

/// Returns the short form of a full name, which [`resolve`] and [`backend`] accept.
pub fn short(name: &str) -> String {
    let bare = name.strip_prefix("backends/").unwrap_or(name);
    bare.replacen("/connections/", "/", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_completed_and_others_passed_on() {
        for (typed, kind, full) in [
            (
                "nsx-demo/1-2",
                Kind::Connection,
                "backends/nsx-demo/connections/1-2",
            ),
            (
                "backends/a/connections/1",
                Kind::Connection,
                "backends/a/connections/1",
            ),
            (
                "a/connections/1",
                Kind::Connection,
                "backends/a/connections/1",
            ),
            (
                "a/ikePolicies/1",
                Kind::IkePolicy,
                "backends/a/ikePolicies/1",
            ),
            (
                "backends/a/vpn-services/1",
                Kind::VpnService,
                "backends/a/vpnServices/1",
            ),
            ("backends/a", Kind::Backend, "backends/a"),
            ("a", Kind::Connection, "a"),
            ("backends/a/1", Kind::Connection, "backends/a/1"),
            ("a/b/c/d", Kind::Connection, "a/b/c/d"),
        ] {
            assert_eq!(resolve(typed), Ok((kind, full.to_owned())));
            if kind != Kind::Backend {
                assert_eq!(of_kind(kind, typed), Ok(full.to_owned()));
                assert!(full.split('/').count() != 4 || resolve(&short(full)).unwrap().1 == full);
            }
        }
        assert_eq!(
            of_kind(Kind::IkePolicy, "a/1").unwrap(),
            "backends/a/ikePolicies/1"
        );
        assert_eq!(of_kind(Kind::Backend, "a").unwrap(), "backends/a");
        assert_eq!(connection("a/b/c"), "a/b/c");
        assert_eq!(short("backends/nsx-demo/connections/1-2"), "nsx-demo/1-2");
    }

    #[test]
    fn a_kind_that_is_not_there_is_told_with_the_nearest() {
        assert_eq!(
            resolve("a/ikePolices/1").unwrap_err(),
            "a/ikePolices/1 is no resource: there is no kind `ikePolices`; did you mean ike-policies?"
        );
        let why = resolve("a/tunnels/1").unwrap_err();
        assert!(
            why.ends_with(
                "there are connections, ike-policies, ipsec-policies, dpd-policies, vpn-services, \
                               local-endpoints, endpoint-groups, attachments, backends"
            ),
            "{why}"
        );
        let why = of_kind(Kind::VpnService, "a/ikePolicies/1").unwrap_err();
        assert_eq!(why, "a/ikePolicies/1 names none of the VPN services");
    }

    #[test]
    fn no_backend_is_every_backend() {
        assert_eq!(backend(None), "backends/-");
        assert_eq!(backend(Some("-")), "backends/-");
        assert_eq!(backend(Some("nsx")), "backends/nsx");
        assert_eq!(backend(Some("backends/nsx")), "backends/nsx");
        assert_eq!(short("backends/nsx"), "nsx");
    }
}
