//! Identifies the cloud that a dialect speaks to, and the part of it, so that writes begun in one cloud are never
//! traced in another.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Where the objects of a backend live, as far as its configuration says. Contains neither login data nor secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Home {
    /// The addresses of the cloud; they are equivalent.
    addresses: BTreeSet<String>,
    /// The part of the cloud, such as a region or a project, by the name of what identifies it.
    within: BTreeMap<String, String>,
}

impl Home {
    /// Returns the home at these addresses.
    pub fn at(addresses: impl IntoIterator<Item = String>) -> Home {
        Home {
            addresses: addresses.into_iter().collect(),
            within: BTreeMap::new(),
        }
    }

    /// Restricts the home to the part of which `what` is `which`. A property that is not given may have any value.
    #[must_use]
    pub fn within(mut self, what: &str, which: impl Into<String>) -> Home {
        self.within.insert(what.to_owned(), which.into());
        self
    }

    /// Reports whether the two homes count as different: both have addresses and share none, or a property that both
    /// give differs. They may still be the same cloud under unrelated addresses. A home that gives nothing is never
    /// elsewhere.
    pub fn is_elsewhere(&self, other: &Home) -> bool {
        let knows = !self.addresses.is_empty() && !other.addresses.is_empty();
        let mut told = self.within.iter();
        knows && self.addresses.is_disjoint(&other.addresses)
            || told.any(|(what, which)| other.within.get(what).is_some_and(|it| it != which))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(addresses: &[&str]) -> Home {
        Home::at(addresses.iter().map(|&it| it.to_owned()))
    }

    #[test]
    fn another_cloud_is_told_by_what_both_tell() {
        let one = at(&["https://a", "https://b"]);
        assert!(!one.is_elsewhere(&one));
        assert!(!one.is_elsewhere(&at(&["https://b", "https://c"])));
        assert!(one.is_elsewhere(&at(&["https://c"])));
        assert!(!one.is_elsewhere(&Home::default()) && !Home::default().is_elsewhere(&one));
        let project = |id: &str| one.clone().within("project", id);
        assert!(project("p").is_elsewhere(&project("q")));
        assert!(!project("p").is_elsewhere(&one) && !one.is_elsewhere(&project("p")));
        assert!(!project("p").is_elsewhere(&project("p").within("region", "r")));
    }
}
