//! Which cloud a dialect speaks to, and what part of it: so that nothing that was begun in one is looked for in another.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Where the objects of a backend live, as far as its configuration tells: neither how one logs in nor anything secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Home {
    /// The addresses that lead there, each as good as the others.
    addresses: BTreeSet<String>,
    /// What part of it, by the names of what tells: a region, a project.
    within: BTreeMap<String, String>,
}

impl Home {
    /// One that these addresses lead to.
    pub fn at(addresses: impl IntoIterator<Item = String>) -> Home {
        Home {
            addresses: addresses.into_iter().collect(),
            within: BTreeMap::new(),
        }
    }

    /// Only a part of it: that of which `what` is this. What is not told can be any.
    #[must_use]
    pub fn within(mut self, what: &str, which: impl Into<String>) -> Home {
        self.within.insert(what.to_owned(), which.into());
        self
    }

    /// Whether the objects of this one are certainly not those of the other, or nobody can tell that they are: there is no
    /// address that leads to both, or what both tell differs. One that tells nothing is elsewhere than none.
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
