//! Rules with both sides, as what they become here: two endpoint groups, or beside a VPN service with a subnet the
//! peer's networks alone.
//!
//! Either form protects all local with all peer networks, so other rules cannot be expressed. Pure.

use crate::{core::error::Violation, model::PolicyRule};
use ipnet::IpNet;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// The longest network in `peer_cidrs`, in characters. A longer one is a 500.
pub const LONGEST_NETWORK: usize = 32;

/// The networks of rules that together protect all local with all peer networks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Product {
    /// Local networks without host bits, each with the path of the first field that names it.
    pub sources: BTreeMap<IpNet, String>,
    /// Peer networks without host bits.
    pub destinations: BTreeSet<IpNet>,
}

/// The networks of rules beside a VPN service with a subnet. The subnet is the local side; the connection holds the
/// peer's networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// The only local network, without host bits.
    pub source: IpNet,
    /// The path of the first field that names it.
    pub path: String,
    /// Peer networks without host bits.
    pub destinations: BTreeSet<IpNet>,
}

impl Inside {
    /// Returns the rule that the connection is created with.
    pub fn rule(&self) -> PolicyRule {
        PolicyRule {
            destinations: self.destinations.iter().map(IpNet::to_string).collect(),
            ..PolicyRule::default()
        }
    }
}

/// Returns the contract's path of a field of a rule.
pub fn path(index: usize, part: &str) -> String {
    format!("policy_based.rules[{index}].{part}")
}

/// Returns the index of the first rule with local networks, if any.
pub fn first_with_sources(rules: &[PolicyRule]) -> Option<usize> {
    rules.iter().position(|rule| !rule.sources.is_empty())
}

/// Returns the networks of these rules.
///
/// # Errors
/// The rules that do not fit, each by the field at fault: a side is missing, a rule lacks a network that another has,
/// or the networks mix IP versions.
pub fn product(rules: &[PolicyRule]) -> Result<Product, Vec<Violation>> {
    let (read, violations) = read(rules);
    if !violations.is_empty() {
        return Err(violations);
    }
    let mut product = Product::default();
    // The peer networks that each local network reaches, over all rules.
    let mut reached: BTreeMap<IpNet, BTreeSet<IpNet>> = BTreeMap::new();
    for (index, (sources, destinations)) in read.iter().enumerate() {
        for source in sources {
            let named = || path(index, "sources");
            product.sources.entry(*source).or_insert_with(named);
            reached.entry(*source).or_default().extend(destinations);
        }
        product.destinations.extend(destinations);
    }
    let mut violations = Vec::new();
    for (index, (sources, _)) in read.iter().enumerate() {
        let missing = sources.iter().find_map(|source| {
            let missing = product.destinations.difference(&reached[source]).next()?;
            Some((source, missing))
        });
        if let Some((source, missing)) = missing {
            let other = read.iter().position(|(_, there)| there.contains(missing));
            let what = format!(
                "lack `{missing}` for `{source}`, which rules[{}] has: a connection of this cloud protects all local with \
                 all peer networks, so every source needs every destination",
                other.unwrap_or_default()
            );
            violations.push(Violation::new(path(index, "destinations"), what));
        }
    }
    violations.extend(mixed_versions(&read));
    match violations.is_empty() {
        true => Ok(product),
        false => Err(violations),
    }
}

/// Returns the networks of rules that share one local network.
///
/// # Errors
/// The rules that do not fit, each by the field at fault: a side is missing, a second local network, a peer's network
/// that is too long, or networks that mix IP versions.
pub fn inside(rules: &[PolicyRule]) -> Result<Inside, Vec<Violation>> {
    let (read, violations) = read(rules);
    if !violations.is_empty() {
        return Err(violations);
    }
    let mut all = read.iter().enumerate();
    let first = all.find_map(|(index, (sources, _))| Some((index, *sources.first()?)));
    let Some((index, source)) = first else {
        let what = "has at least one rule";
        return Err(vec![Violation::new("policy_based.rules", what)]);
    };
    let mut violations = Vec::new();
    for (index, (sources, destinations)) in read.iter().enumerate() {
        if let Some(other) = sources.iter().find(|it| **it != source) {
            let what = format!(
                "have `{other}` beside `{source}`: the local side of such a connection is the one subnet of its VPN service, so \
                 all rules name one network"
            );
            violations.push(Violation::new(path(index, "sources"), what));
        }
        let is_long = |it: &&IpNet| it.to_string().len() > LONGEST_NETWORK;
        if let Some(long) = destinations.iter().find(is_long) {
            let what =
                format!("have `{long}`, and are networks of at most {LONGEST_NETWORK} characters");
            violations.push(Violation::new(path(index, "destinations"), what));
        }
    }
    violations.extend(mixed_versions(&read));
    match violations.is_empty() {
        true => Ok(Inside {
            source,
            path: path(index, "sources"),
            destinations: read.into_iter().flat_map(|(_, to)| to).collect(),
        }),
        false => Err(violations),
    }
}

/// Parses a network and drops its host bits, for comparison. An address becomes a network of itself. `None` if the
/// text is neither.
pub fn network(text: &str) -> Option<IpNet> {
    let network = text.parse::<IpNet>().ok().map(|it| it.trunc());
    network.or_else(|| Some(IpNet::from(text.parse::<IpAddr>().ok()?)))
}

type Sides = (BTreeSet<IpNet>, BTreeSet<IpNet>);

/// Reads both sides of each rule, with violations for what cannot be read.
fn read(rules: &[PolicyRule]) -> (Vec<Sides>, Vec<Violation>) {
    let mut violations = Vec::new();
    let mut side = |texts: &[String], index: usize, part: &str, what: &str| {
        let networks: Option<BTreeSet<IpNet>> = texts
            .iter()
            .map(|text| text.parse::<IpNet>().ok().map(|it| it.trunc()))
            .collect();
        if networks.as_ref().is_none_or(BTreeSet::is_empty) {
            violations.push(Violation::new(path(index, part), what));
        }
        networks.unwrap_or_default()
    };
    let read = rules
        .iter()
        .enumerate()
        .map(|(index, rule)| {
            let what = "must be networks: where one rule names its local side, all do";
            let sources = side(&rule.sources, index, "sources", what);
            let what = "has at least one network";
            let destinations = side(&rule.destinations, index, "destinations", what);
            (sources, destinations)
        })
        .collect();
    (read, violations)
}

/// Returns the violation for the first network whose IP version differs from the first of all. Endpoint groups have
/// one version.
fn mixed_versions(read: &[Sides]) -> Option<Violation> {
    let is_v4 = |network: &IpNet| network.addr().is_ipv4();
    let first = is_v4(read.first()?.0.first()?);
    let (index, part, other) = read.iter().enumerate().find_map(|(index, sides)| {
        let other = |networks: &BTreeSet<IpNet>| {
            let mut networks = networks.iter().copied();
            networks.find(|it| is_v4(it) != first)
        };
        let sources = other(&sides.0).map(|it| (index, "sources", it));
        sources.or_else(|| other(&sides.1).map(|it| (index, "destinations", it)))
    })?;
    let what = format!(
        "has `{other}`, of another IP version than the first network: a connection of this cloud is of one"
    );
    Some(Violation::new(path(index, part), what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*, sample::subsequence};

    fn rule(sources: &[&str], destinations: &[&str]) -> PolicyRule {
        let texts = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
        PolicyRule {
            sources: texts(sources),
            destinations: texts(destinations),
            ..PolicyRule::default()
        }
    }

    #[track_caller]
    fn refused(rules: &[PolicyRule]) -> Vec<(String, String)> {
        let violations = product(rules).unwrap_err();
        let both = |it: Violation| (it.field, it.description);
        violations.into_iter().map(both).collect()
    }

    #[test]
    fn rules_that_complete_each_other_are_one_product() {
        let (a, b) = ("10.1.0.0/24", "10.2.0.0/24");
        let (x, y) = ("192.168.1.0/24", "192.168.2.7/24");
        for rules in [
            vec![rule(&[a, b], &[x, y])],
            vec![rule(&[a], &[x, y]), rule(&[b], &[y, x])],
            vec![
                rule(&[a], &[x]),
                rule(&[b], &[y]),
                rule(&[b, a], &[x]),
                rule(&[a], &[y]),
            ],
        ] {
            let found = product(&rules).unwrap();
            let texts: Vec<String> = found.destinations.iter().map(IpNet::to_string).collect();
            assert_eq!(texts, ["192.168.1.0/24", "192.168.2.0/24"]);
            assert_eq!(found.sources.len(), 2);
            assert_eq!(
                found.sources[&a.parse().unwrap()],
                "policy_based.rules[0].sources"
            );
        }
    }

    #[test]
    fn a_rule_that_does_not_fit_is_named_with_what_it_lacks() {
        let rules = [
            rule(&["10.1.0.0/24"], &["192.168.1.0/24"]),
            rule(&["10.2.0.0/24"], &["192.168.1.0/24", "192.168.2.0/24"]),
        ];
        let found = refused(&rules);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, "policy_based.rules[0].destinations");
        assert!(
            found[0]
                .1
                .starts_with("lack `192.168.2.0/24` for `10.1.0.0/24`, which rules[1] has"),
            "{}",
            found[0].1
        );
    }

    #[test]
    fn both_sides_are_given_everywhere_and_are_of_one_version() {
        let fields = |rules: &[PolicyRule]| -> Vec<String> {
            refused(rules).into_iter().map(|(field, _)| field).collect()
        };
        let whole = rule(&["10.1.0.0/24"], &["192.168.1.0/24"]);
        let no_source = rule(&[], &["192.168.1.0/24"]);
        let no_destination = rule(&["10.1.0.0/24"], &[]);
        assert_eq!(
            fields(&[whole, no_source, no_destination]),
            [
                "policy_based.rules[1].sources",
                "policy_based.rules[2].destinations"
            ]
        );
        let mixed = [rule(&["10.1.0.0/24"], &["192.168.1.0/24", "2001:db8::/64"])];
        assert_eq!(fields(&mixed), ["policy_based.rules[0].destinations"]);
    }

    #[test]
    fn beside_a_service_with_a_subnet_there_is_one_local_network() {
        let (a, b) = ("10.1.0.0/24", "10.2.0.0/24");
        let (x, y) = ("192.168.1.0/24", "192.168.2.7/24");
        for rules in [
            vec![rule(&[a], &[x, y])],
            vec![rule(&["10.1.0.9/24"], &[y]), rule(&[a], &[x])],
        ] {
            let found = inside(&rules).unwrap();
            assert_eq!(found.source.to_string(), a);
            assert_eq!(found.path, "policy_based.rules[0].sources");
            let plain = [x, "192.168.2.0/24"];
            assert_eq!(found.rule(), rule(&[], &plain));
        }
        let fields = |rules: &[PolicyRule]| -> Vec<String> {
            let violations = inside(rules).unwrap_err();
            violations.into_iter().map(|it| it.field).collect()
        };
        let two = [rule(&[a], &[x]), rule(&[b], &[y]), rule(&[a, b], &[y])];
        let second = |index: usize| path(index, "sources");
        assert_eq!(fields(&two), [second(1), second(2)]);
        let long = "2001:db8:1234:5678:9abc:def0:1234:0/112";
        assert_eq!(
            fields(&[rule(&["2001:db8::/64"], &[long])]),
            ["policy_based.rules[0].destinations"]
        );
        assert_eq!(
            fields(&[rule(&[a], &[x]), rule(&[a], &["2001:db8::/64"])]),
            ["policy_based.rules[1].destinations"]
        );
        assert_eq!(
            fields(&[rule(&[a], &[])]),
            ["policy_based.rules[0].destinations"]
        );
        assert_eq!(fields(&[]), ["policy_based.rules"]);
    }

    #[test]
    fn networks_are_compared_without_host_bits() {
        let text = |text: &str| network(text).map(|it| it.to_string());
        assert_eq!(text("10.1.0.9/24").as_deref(), Some("10.1.0.0/24"));
        assert_eq!(text("2001:DB8:0::/32").as_deref(), Some("2001:db8::/32"));
        assert_eq!(text("10.1.0.9").as_deref(), Some("10.1.0.9/32"));
        assert_eq!(text("any"), None);
    }

    proptest! {
        #[test]
        fn what_is_taken_is_the_product_and_what_is_refused_is_not(
            rules in vec((subsequence((0..4_u8).collect::<Vec<_>>(), 1..=3), subsequence((0..4_u8).collect::<Vec<_>>(), 1..=3)), 1..7)
        ) {
            let local = |n: &u8| format!("10.{n}.0.0/16");
            let peer = |n: &u8| format!("192.168.{n}.0/24");
            let given: Vec<PolicyRule> = rules
                .iter()
                .map(|(sources, destinations)| PolicyRule {
                    sources: sources.iter().map(local).collect(),
                    destinations: destinations.iter().map(peer).collect(),
                    ..PolicyRule::default()
                })
                .collect();
            let pairs: BTreeSet<(u8, u8)> = rules
                .iter()
                .flat_map(|(sources, destinations)| {
                    sources.iter().flat_map(move |s| destinations.iter().map(move |d| (*s, *d)))
                })
                .collect();
            let sources: BTreeSet<u8> = pairs.iter().map(|(s, _)| *s).collect();
            let destinations: BTreeSet<u8> = pairs.iter().map(|(_, d)| *d).collect();
            match product(&given) {
                Ok(found) => {
                    prop_assert_eq!(pairs.len(), sources.len() * destinations.len());
                    let all: Vec<String> = found.sources.keys().map(IpNet::to_string).collect();
                    prop_assert_eq!(all, sources.iter().map(local).collect::<Vec<_>>());
                    let all: Vec<String> = found.destinations.iter().map(IpNet::to_string).collect();
                    prop_assert_eq!(all, destinations.iter().map(peer).collect::<Vec<_>>());
                }
                Err(violations) => {
                    prop_assert!(pairs.len() < sources.len() * destinations.len());
                    prop_assert!(!violations.is_empty());
                }
            }
        }
    }
}
