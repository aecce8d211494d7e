//! Whether the present selectors already say what is wanted, however it is spelled. Pure.

use crate::{
    dialects::nsx::manager::translate::words::interface_address,
    model::{PolicyRule, RuleAction, TunnelInterface},
};
use ipnet::IpNet;
use std::{collections::BTreeSet, net::IpAddr};

/// Reports whether the present rules already say what is wanted. The order matters only for rules that one packet can
/// match. The Policy API ranks such rules (`sequence_number`, NSX Policy Python SDK 4.2.0), and no document says that
/// the list of the Manager API does not.
pub fn are_same_rules(there: &[PolicyRule], wanted: &[PolicyRule]) -> bool {
    let in_order = || {
        let mut pairs = there.iter().zip(wanted);
        pairs.all(|(there, wanted)| is_same_rule(there, wanted))
    };
    there.len() == wanted.len()
        && (in_order() || (are_apart(wanted) && is_each_there(there, wanted)))
}

fn is_each_there(there: &[PolicyRule], wanted: &[PolicyRule]) -> bool {
    let mut left: Vec<&PolicyRule> = there.iter().collect();
    wanted.iter().all(|wanted| {
        let place = left.iter().position(|there| is_same_rule(there, wanted));
        place.map(|place| left.swap_remove(place)).is_some()
    })
}

/// Reports whether a rule already says what is wanted. A wanted rule without action or id accepts any.
fn is_same_rule(rule: &PolicyRule, wanted: &PolicyRule) -> bool {
    are_same_networks(&rule.sources, &wanted.sources)
        && are_same_networks(&rule.destinations, &wanted.destinations)
        && rule.enabled.unwrap_or(true) == wanted.enabled.unwrap_or(true)
        && rule.logged.unwrap_or(false) == wanted.logged.unwrap_or(false)
        && (wanted.action.is_none() || wanted.action == rule.action.or(Some(RuleAction::Protect)))
        && (wanted.id.is_none() || wanted.id == rule.id)
}

/// Reports whether no packet matches two of these rules.
fn are_apart(rules: &[PolicyRule]) -> bool {
    let both_match = |one: &PolicyRule, other: &PolicyRule| {
        overlap(&one.sources, &other.sources) && overlap(&one.destinations, &other.destinations)
    };
    let each = rules.iter().enumerate();
    each.into_iter().all(|(place, one)| {
        !rules[place + 1..]
            .iter()
            .any(|other| both_match(one, other))
    })
}

/// Reports whether the two lists overlap. An empty list means any network, and a text that does not parse may be any.
fn overlap(one: &[String], other: &[String]) -> bool {
    let is_in_both = |one: &String, other: &String| match (network(one), network(other)) {
        (Some(one), Some(other)) => one.contains(&other) || other.contains(&one),
        _ => true,
    };
    let mut each = one.iter();
    one.is_empty()
        || other.is_empty()
        || each.any(|one| other.iter().any(|other| is_in_both(one, other)))
}

/// Reports whether these are the same networks, in any order and spelling. Host bits are ignored.
pub fn are_same_networks(one: &[String], other: &[String]) -> bool {
    let spelled = |texts: &[String]| -> BTreeSet<String> {
        let one_way = |text: &String| network(text).map_or(text.clone(), |it| it.to_string());
        texts.iter().map(one_way).collect()
    };
    one == other || spelled(one) == spelled(other)
}

fn network(text: &str) -> Option<IpNet> {
    let network = text.parse::<IpNet>().ok();
    let network = network.or_else(|| Some(text.parse::<IpAddr>().ok()?.into()));
    network.map(|it| it.trunc())
}

/// Reports whether an interface already says what is wanted. A wanted interface without id accepts any.
pub fn is_same_interface(there: &TunnelInterface, wanted: &TunnelInterface) -> bool {
    are_same_addresses(&there.addresses, &wanted.addresses)
        && (wanted.id.is_none() || wanted.id == there.id)
}

/// Reports whether these are the same addresses with the same prefixes, in any order and spelling.
pub fn are_same_addresses(one: &[String], other: &[String]) -> bool {
    // Text that is not an address is equal only if it is identical.
    fn parsed(texts: &[String]) -> BTreeSet<Result<(IpAddr, u8), &str>> {
        let each = texts.iter();
        each.map(|text| interface_address(text).ok_or(text.as_str()))
            .collect()
    }
    parsed(one) == parsed(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(of: &[&str]) -> Vec<String> {
        of.iter().map(|text| (*text).to_owned()).collect()
    }

    fn rule(sources: &[&str], destinations: &[&str]) -> PolicyRule {
        PolicyRule {
            sources: texts(sources),
            destinations: texts(destinations),
            ..PolicyRule::default()
        }
    }

    #[test]
    fn networks_are_the_same_in_any_spelling_and_order() {
        for (one, other, same) in [
            (&["10.0.0.0/24"][..], &["10.0.0.7/24"][..], true),
            (&["2001:db8::/64"], &["2001:DB8:0:0::1/64"], true),
            (&["10.0.0.1"], &["10.0.0.1/32"], true),
            (
                &["10.0.0.0/24", "10.1.0.0/24"],
                &["10.1.0.0/24", "10.0.0.0/24"],
                true,
            ),
            (&[], &[], true),
            (&["10.0.0.0/24"], &["10.0.0.0/25"], false),
            (&["10.0.0.0/24"], &[], false),
            (&["nowhere"], &["nowhere"], true),
            (&["nowhere"], &["elsewhere"], false),
        ] {
            let is_same = are_same_networks(&texts(one), &texts(other));
            assert_eq!(is_same, same, "{one:?} {other:?}");
        }
    }

    #[test]
    fn addresses_are_the_same_in_any_spelling_and_order() {
        let there = texts(&["169.254.64.1/30", "fd00::1/64"]);
        assert!(are_same_addresses(
            &there,
            &texts(&["fd00:0::1/64", "169.254.64.1/30"])
        ));
        assert!(!are_same_addresses(
            &there,
            &texts(&["fd00::1/64", "169.254.64.2/30"])
        ));
        assert!(!are_same_addresses(&there, &there[..1]));
        assert!(!are_same_addresses(
            &texts(&["nowhere"]),
            &texts(&["elsewhere"])
        ));
    }

    #[test]
    fn the_order_of_rules_counts_only_where_a_packet_can_match_two() {
        let (one, other) = (
            rule(&["10.0.0.0/24"], &["10.1.0.0/24"]),
            rule(&["10.0.0.0/24"], &["10.2.0.0/24"]),
        );
        let turned = |a: &PolicyRule, b: &PolicyRule| {
            let (there, wanted) = ([a.clone(), b.clone()], [b.clone(), a.clone()]);
            assert!(are_same_rules(&there, &there));
            are_same_rules(&there, &wanted)
        };
        assert!(turned(&one, &other));
        for wider in [
            rule(&["10.0.0.0/16"], &["10.1.0.0/16"]),
            rule(&[], &["10.1.0.128/25"]),
            rule(&["10.0.0.0/24"], &[]),
            rule(&["nowhere"], &["10.1.0.0/24"]),
        ] {
            assert!(!turned(&one, &wider), "{wider:?}");
        }
        // Each rule matches only one.
        let twice = [one.clone(), one.clone()];
        assert!(!are_same_rules(&[one.clone(), other.clone()], &twice));
        assert!(!are_same_rules(&twice, &twice[..1]));
    }

    #[test]
    fn what_a_rule_does_by_default_need_not_be_said() {
        let there = PolicyRule {
            id: Some("7".to_owned()),
            enabled: Some(true),
            logged: Some(false),
            action: Some(RuleAction::Protect),
            ..rule(&["10.0.0.0/24"], &[])
        };
        let bare = rule(&["10.0.0.0/24"], &[]);
        let is_same = |wanted: PolicyRule| are_same_rules(std::slice::from_ref(&there), &[wanted]);
        assert!(is_same(bare.clone()) && is_same(there.clone()));
        let id = Some("8".to_owned());
        assert!(!is_same(PolicyRule { id, ..bare.clone() }));
        let enabled = Some(false);
        assert!(!is_same(PolicyRule {
            enabled,
            ..bare.clone()
        }));
        let action = Some(RuleAction::Bypass);
        assert!(!is_same(PolicyRule { action, ..bare }));
    }
}
