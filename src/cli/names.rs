//! Short forms of resource names, as people type them.

/// The full name of a connection: `nsx-demo/ID` and `nsx-demo/connections/ID` stand for
/// `backends/nsx-demo/connections/ID`.
///
/// Anything else is passed on as it is, for the gateway to say what is wrong with it.
pub fn connection(text: &str) -> String {
    match text.split_once('/') {
        Some((backend, id)) if backend != "backends" && !id.contains('/') => {
            format!("backends/{backend}/connections/{id}")
        }
        Some((backend, rest)) if backend != "backends" && rest.starts_with("connections/") => {
            format!("backends/{text}")
        }
        _ => text.to_owned(),
    }
}

/// The full name of a backend: `nsx-demo` stands for `backends/nsx-demo`, and nothing for every backend.
pub fn backend(text: Option<&str>) -> String {
    match text {
        None => "backends/-".to_owned(),
        Some(text) if text.contains('/') => text.to_owned(),
        Some(text) => format!("backends/{text}"),
    }
}

/// The short form of a full name, which the two above take back.
pub fn short(name: &str) -> String {
    let bare = name.strip_prefix("backends/").unwrap_or(name);
    bare.replacen("/connections/", "/", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_of_connections_are_completed_and_others_passed_on() {
        for (typed, full) in [
            ("nsx-demo/1-2", "backends/nsx-demo/connections/1-2"),
            ("backends/a/connections/1", "backends/a/connections/1"),
            ("a/connections/1", "backends/a/connections/1"),
            ("backends/a", "backends/a"),
            ("a", "a"),
            ("a/b/c", "a/b/c"),
        ] {
            assert_eq!(connection(typed), full);
        }
        assert_eq!(short("backends/nsx-demo/connections/1-2"), "nsx-demo/1-2");
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
