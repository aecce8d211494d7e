//! Resource names. They are parsed once, at the edge, and print back unchanged.

use std::{fmt, str::FromStr, sync::Arc};

/// The longest id a resource name can hold, in bytes.
pub const MAX_ID_BYTES: usize = 255;

/// Why a text is not a valid resource name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(String);

/// The name of a configured backend: 1 to 63 characters of `a-z`, `0-9` and `-`, starting with a letter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BackendName(Arc<str>);

impl BackendName {
    /// The bare name, without `backends/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BackendName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let well_formed = text.len() <= 63
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if well_formed {
            Ok(BackendName(text.into()))
        } else {
            Err(NameError(
                "a backend's name is 1 to 63 of a-z, 0-9 and -, beginning with a letter".to_owned(),
            ))
        }
    }
}

impl fmt::Display for BackendName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "backends/{}", self.0)
    }
}

/// The parent of a List or Watch call: one backend, or every backend (`backends/-`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parent {
    One(BackendName),
    /// Every backend that the caller may see.
    Every,
}

impl FromStr for Parent {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.strip_prefix("backends/") {
            Some("-") => Ok(Parent::Every),
            Some(name) => Ok(Parent::One(name.parse()?)),
            None => Err(NameError("must be `backends/{backend}`".to_owned())),
        }
    }
}

/// The collections below a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Collection {
    /// `connections`
    Connections,
    /// `ikePolicies`
    IkePolicies,
    /// `ipsecPolicies`
    IpsecPolicies,
    /// `dpdPolicies`
    DpdPolicies,
    /// `vpnServices`
    VpnServices,
    /// `localEndpoints`
    LocalEndpoints,
    /// `endpointGroups`
    EndpointGroups,
}

impl Collection {
    /// The collection's segment in a resource name.
    pub fn segment(self) -> &'static str {
        match self {
            Collection::Connections => "connections",
            Collection::IkePolicies => "ikePolicies",
            Collection::IpsecPolicies => "ipsecPolicies",
            Collection::DpdPolicies => "dpdPolicies",
            Collection::VpnServices => "vpnServices",
            Collection::LocalEndpoints => "localEndpoints",
            Collection::EndpointGroups => "endpointGroups",
        }
    }
}

/// The name of a resource below a backend: `backends/{backend}/{collection}/{id}`.
///
/// The id is the one the cloud uses: 1 to 255 bytes without `/` and control characters, and neither `.` nor `..`. Such
/// an id stays one segment of a URL.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceName {
    pub backend: BackendName,
    pub collection: Collection,
    /// The id that the cloud uses.
    pub id: Arc<str>,
}

impl ResourceName {
    /// Parses a name of the given collection.
    ///
    /// # Errors
    /// Describes the accepted form if `text` does not have it.
    pub fn parse(collection: Collection, text: &str) -> Result<Self, NameError> {
        let malformed = || {
            NameError(format!(
                "must be `backends/{{backend}}/{}/{{id}}`",
                collection.segment()
            ))
        };
        let mut parts = text.splitn(4, '/');
        let (Some("backends"), Some(backend), Some(segment), Some(id)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed());
        };
        if segment != collection.segment() {
            return Err(malformed());
        }
        check_id(id)?;
        Ok(ResourceName {
            backend: backend.parse()?,
            collection,
            id: id.into(),
        })
    }

    /// Names a connection by the id that the cloud gave it.
    ///
    /// # Errors
    /// If the cloud's id is not valid in a resource name.
    pub fn connection(backend: &BackendName, id: &str) -> Result<Self, NameError> {
        check_id(id)?;
        Ok(ResourceName {
            backend: backend.clone(),
            collection: Collection::Connections,
            id: id.into(),
        })
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}/{}",
            self.backend,
            self.collection.segment(),
            self.id
        )
    }
}

impl fmt::Debug for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

pub type ConnectionName = ResourceName;

fn check_id(id: &str) -> Result<(), NameError> {
    if id.is_empty() || id.len() > MAX_ID_BYTES {
        return Err(NameError(format!("an id has 1 to {MAX_ID_BYTES} bytes")));
    }
    if id == "." || id == ".." || id.chars().any(|c| c == '/' || c.is_control()) {
        return Err(NameError(
            "an id has no `/` and no control characters, and is neither `.` nor `..`".to_owned(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_as_they_were() {
        let text = "backends/nsx-a/connections/8dd1c386-9b2c-4448-85b8-51ff649fae4f";
        let name = ResourceName::parse(Collection::Connections, text).unwrap();
        assert_eq!(name.backend.as_str(), "nsx-a");
        assert_eq!(name.to_string(), text);
    }

    #[test]
    fn names_that_could_leave_their_url_segment_are_none() {
        for text in [
            "",
            "x",
            "backends/a",
            "backends/a/connections",
            "backends/a/connections/",
            "backends/a/connections/..",
            "backends/a/connections/b/c",
            "backends/a/connections/b\n",
            "backends/A/connections/b",
            "backends/-/connections/b",
            "backends/a/ikePolicies/b",
            "/backends/a/connections/b",
        ] {
            assert!(
                ResourceName::parse(Collection::Connections, text).is_err(),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_dash_is_every_backend() {
        assert_eq!("backends/-".parse(), Ok(Parent::Every));
        assert_eq!(
            "backends/a-1".parse(),
            Ok(Parent::One("a-1".parse().unwrap()))
        );
        assert!("backends/".parse::<Parent>().is_err());
    }
}
