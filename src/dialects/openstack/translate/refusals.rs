//! Refuses what a cloud cannot take of a connection, before anything is sent.

use crate::{
    core::error::Violation,
    dialects::openstack::{
        mark,
        translate::{
            rules::{LONGEST_NETWORK, first_with_sources, inside, path, product},
            words::{ACTIONS, LONGEST_TEXT, dpd_times, word},
        },
        variant::{LARGEST, PeerAddress, Variant},
    },
    model::{
        Authentication, ConnectionSpec, Field, PolicyRule, ResourceKind, ResourceSpec, Selectors,
        Settings,
    },
};
use std::{collections::BTreeMap, net::Ipv4Addr};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    /// The connection is to be created.
    New,
    /// The connection exists.
    Change,
}

/// The contract's path of the subnet of a VPN service that is created with the connection.
pub const SUBNET_OF_PART: &str = "parts.vpn_service.subnet";
/// The least `mtu` of an IPv4 service, in bytes. For IPv6 it is 1280, which the cloud checks.
const LEAST_MTU: u32 = 68;

/// What this cloud cannot take of a spec, beyond its capabilities. The cloud would answer much of it with a 500.
pub struct Refusals<'a> {
    variant: &'static Variant,
    spec: &'a ConnectionSpec,
    writing: Writing,
    parts: Option<&'a BTreeMap<ResourceKind, ResourceSpec>>,
    found: Vec<Violation>,
}

impl<'a> Refusals<'a> {
    pub fn of(
        variant: &'static Variant,
        spec: &'a ConnectionSpec,
        writing: Writing,
    ) -> Refusals<'a> {
        Refusals {
            variant,
            spec,
            writing,
            parts: None,
            found: Vec::new(),
        }
    }

    /// Adds the parts that are created together with the connection.
    pub fn beside(mut self, parts: &'a BTreeMap<ResourceKind, ResourceSpec>) -> Refusals<'a> {
        self.parts = Some(parts);
        self
    }

    /// Returns the violations of these fields.
    pub fn of_fields<'f>(mut self, fields: impl Iterator<Item = &'f Field>) -> Vec<Violation> {
        for field in fields {
            self.of_field(*field);
        }
        self.found
    }

    fn refuse(&mut self, wrong: bool, field: &str, what: impl Into<String>) {
        if wrong {
            self.found.push(Violation::new(field, what));
        }
    }

    fn of_field(&mut self, field: Field) {
        let (spec, variant) = (self.spec, self.variant);
        match field {
            Field::DisplayName => {
                let (least, most) = (variant.name.start(), variant.name.end());
                let what = format!("has {least} to {most} characters");
                self.text(field, &spec.display_name);
                self.refuse(!has(&variant.name, &spec.display_name), field.path(), what);
            }
            Field::Description => self.description(),
            Field::VpnService => self.reference(field, ResourceKind::VpnService, &spec.vpn_service),
            Field::IkePolicy => self.reference(field, ResourceKind::IkePolicy, &spec.ike_policy),
            Field::IpsecPolicy => {
                self.reference(field, ResourceKind::IpsecPolicy, &spec.ipsec_policy)
            }
            Field::LocalEndpoint => self.refuse(
                spec.local_endpoint.is_some(),
                field.path(),
                "is not known on OpenStack: `vpn_service` is where a connection starts",
            ),
            Field::PeerAddress => {
                self.text(field, &spec.peer_address);
                self.refuse(spec.peer_address.is_empty(), field.path(), "must be given");
                self.at_most(field, &spec.peer_address);
                let fits = match variant.peer_address {
                    PeerAddress::Any => true,
                    PeerAddress::PublicIpv4 => is_public_ipv4(&spec.peer_address),
                };
                let what = "is a public IPv4 address here, and no host name";
                self.refuse(!fits && !spec.peer_address.is_empty(), field.path(), what);
            }
            Field::PeerId => {
                let id = spec.peer_id.as_deref().unwrap_or_default();
                self.text(field, id);
                self.at_most(field, id);
            }
            Field::Authentication => self.psk(),
            Field::Dpd => self.dpd(),
            Field::Selectors => self.selectors(),
            Field::Mtu => self.mtu(),
            // Checked by capability, or unrestricted.
            Field::AdminEnabled
            | Field::AvailabilityZone
            | Field::DpdPolicy
            | Field::Initiation
            | Field::TcpMssClamping => {}
        }
    }

    /// Neutron's tables hold UTF-8 of at most three bytes a character. A four-byte character is a 500, from 2026.2 on
    /// a 400.
    fn text(&mut self, field: Field, text: &str) {
        let wrong = text.chars().any(|c| c.len_utf8() > 3);
        let what = "has no characters beyond the basic multilingual plane, such as emoji";
        self.refuse(wrong, field.path(), what);
    }

    fn at_most(&mut self, field: Field, text: &str) {
        let most = self.variant.longest_peer;
        let what = format!("has at most {most} characters");
        self.refuse(text.chars().count() > most, field.path(), what);
    }

    fn description(&mut self) {
        let (field, text) = (Field::Description, self.spec.description.as_str());
        if !self.variant.description {
            let what = "is reserved by this cloud and must be empty";
            self.refuse(!text.is_empty(), field.path(), what);
            return;
        }
        // Only a new connection is known to carry a mark. Existing ones are checked when they are read.
        let most = match self.writing {
            Writing::New => LONGEST_TEXT - mark::LENGTH,
            Writing::Change => LONGEST_TEXT,
        };
        let what = format!("has at most {most} characters");
        self.text(field, text);
        self.refuse(text.chars().count() > most, field.path(), what);
        let what = "must not end in what looks like the gateway's own mark";
        self.refuse(mark::split(text).1.is_some(), field.path(), what);
    }

    /// Requires a reference, unless the object is created together with the connection.
    fn reference(&mut self, field: Field, kind: ResourceKind, id: &Option<String>) {
        let is_part = self.parts.is_some_and(|parts| parts.contains_key(&kind));
        let missing = id.as_deref().is_none_or(str::is_empty);
        self.refuse(missing && !is_part, field.path(), "must be given");
    }

    /// Returns whether the VPN service that is created with the connection has a subnet, or `None` if none is
    /// created.
    fn new_service_has_subnet(&self) -> Option<bool> {
        match &self.parts?.get(&ResourceKind::VpnService)?.settings {
            Settings::VpnService(it) => Some(it.subnet.as_deref().is_some_and(|id| !id.is_empty())),
            _ => None,
        }
    }

    fn psk(&mut self) {
        let (field, variant) = (Field::Authentication, self.variant);
        let Some(Authentication::Psk(psk)) = &self.spec.authentication else {
            let missing = self.spec.authentication.is_none() && self.writing == Writing::New;
            self.refuse(missing, field.path(), "must be given");
            return;
        };
        let text = psk.expose();
        let what = format!(
            "has {} to {} characters",
            variant.psk.start(),
            variant.psk.end()
        );
        self.text(field, text);
        self.refuse(!has(&variant.psk, text), field.path(), what);
        if let Some(signs) = variant.psk_signs {
            let wrong = text
                .chars()
                .any(|c| !c.is_ascii_alphanumeric() && !signs.contains(c));
            let what = format!("has only ASCII letters, digits and {signs}");
            self.refuse(wrong, field.path(), what);
        }
    }

    fn dpd(&mut self) {
        let Some(dpd) = &self.spec.dpd else {
            return;
        };
        let actions = self.variant.dpd_actions;
        let known = dpd.action.is_none_or(|action| actions.contains(&action));
        let words: Vec<&str> = actions.iter().map(|it| word(&ACTIONS, *it)).collect();
        let what = format!("can only be {} here", words.join(" or "));
        self.refuse(!known, "dpd.action", what);
        let (interval, timeout) = dpd_times(self.spec);
        let what =
            "must be longer than the interval; unset, the interval is 30 s and the timeout 120 s";
        self.refuse(timeout <= interval, "dpd.timeout", what);
        let what = format!("is at most {LARGEST} s");
        self.refuse(timeout > LARGEST, "dpd.timeout", what);
    }

    fn mtu(&mut self) {
        let Some(mtu) = self.spec.mtu else {
            return;
        };
        let allowed = match self.writing {
            Writing::New => self.variant.new_mtu.clone(),
            Writing::Change => LEAST_MTU..=LARGEST,
        };
        let what = match (*allowed.start(), *allowed.end()) {
            (least, most) if least == most => format!("can only be {least} bytes here"),
            (least, most) => format!("is {least} to {most} bytes"),
        };
        self.refuse(!allowed.contains(&mtu), "mtu", what);
    }

    fn selectors(&mut self) {
        match &self.spec.selectors {
            None => self.refuse(true, "policy_based", "must be given"),
            Some(Selectors::EndpointGroups { local, peer }) => {
                for (side, id) in [("local", local), ("peer", peer)] {
                    let field = format!("policy_based.{side}_endpoint_group");
                    self.refuse(id.is_empty(), &field, "must be given: groups come in pairs");
                }
                let wrong = self.new_service_has_subnet() == Some(true);
                let what = "cannot be: the VPN service has a subnet, and its connections take rules without `sources`";
                self.refuse(wrong, "policy_based.local_endpoint_group", what);
            }
            Some(Selectors::Rules(rules)) => match first_with_sources(rules) {
                Some(_) => self.rules_of_both_sides(rules),
                None => self.rules_inside(rules),
            },
            // Checked by capability.
            Some(Selectors::RouteBased(_)) => {}
        }
    }

    /// Checks rules with both sides. They become two endpoint groups, or `peer_cidrs` if the service has a subnet.
    /// Whether an existing service has one is not known yet.
    fn rules_of_both_sides(&mut self, rules: &[PolicyRule]) {
        self.each_rule(rules);
        let has_subnet = self.new_service_has_subnet() == Some(true);
        if has_subnet && !self.variant.peer_cidrs {
            let what = "must be empty: connections of this cloud have endpoint groups, and beside a VPN service with a subnet \
                        there are none";
            self.refuse(true, SUBNET_OF_PART, what);
            return;
        }
        let is_inside = has_subnet || !self.variant.capabilities.endpoint_groups;
        let refused = match is_inside {
            true => inside(rules).err(),
            false => product(rules).err(),
        };
        self.found.extend(refused.unwrap_or_default());
    }

    /// Checks one rule without sources, which becomes `peer_cidrs`.
    fn rules_inside(&mut self, rules: &[PolicyRule]) {
        if !self.variant.peer_cidrs {
            let what = "need `sources` here, or give the two endpoint groups";
            self.refuse(!rules.is_empty(), "policy_based.rules", what);
            return;
        }
        let what = "is one rule with the peer's networks as destinations";
        self.refuse(rules.len() != 1, "policy_based.rules", what);
        self.each_rule(rules);
        for (index, rule) in rules.iter().enumerate() {
            let destinations = path(index, "destinations");
            let none = rule.destinations.is_empty();
            self.refuse(none, &destinations, "has at least one network");
            let long = |text: &String| text.chars().count() > LONGEST_NETWORK;
            let what = format!("are networks of at most {LONGEST_NETWORK} characters");
            self.refuse(rule.destinations.iter().any(long), &destinations, what);
        }
        let has_groups = self.variant.capabilities.endpoint_groups;
        let wrong = has_groups && self.new_service_has_subnet() == Some(false);
        let what = "must be given: the VPN service has no subnet that could be the local side";
        self.refuse(wrong, &path(0, "sources"), what);
    }

    fn each_rule(&mut self, rules: &[PolicyRule]) {
        for (index, rule) in rules.iter().enumerate() {
            let has_id = rule.id.is_some();
            self.refuse(has_id, &path(index, "id"), "is not known on OpenStack");
            let off = rule.enabled == Some(false);
            let what = "cannot be false: switch off the connection";
            self.refuse(off, &path(index, "enabled"), what);
            let logged = rule.logged == Some(true);
            let what = "cannot be true: OpenStack logs no matches";
            self.refuse(logged, &path(index, "logged"), what);
        }
    }
}

/// Reports whether a peer can have this IPv4 address. Private ranges pass: the cloud's own network decides what is
/// public, and the example in K5's document, 172.24.4.226, is private.
fn is_public_ipv4(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok_and(|address| {
        let nobody = address.is_unspecified() || address.is_loopback() || address.is_broadcast();
        !(nobody || address.is_link_local() || address.is_multicast())
    })
}

fn has(length: &std::ops::RangeInclusive<usize>, text: &str) -> bool {
    length.contains(&text.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::dialect::Mark,
        dialects::openstack::variant::{K5, NEUTRON, OTC},
        model::{DeadPeerDetection, Psk},
    };

    fn spec() -> ConnectionSpec {
        ConnectionSpec {
            display_name: "branch".to_owned(),
            vpn_service: Some("service".to_owned()),
            ike_policy: Some("ike".to_owned()),
            ipsec_policy: Some("ipsec".to_owned()),
            peer_address: "198.51.100.20".to_owned(),
            authentication: Some(Authentication::Psk(Psk::new("canary-key"))),
            selectors: Some(Selectors::EndpointGroups {
                local: "local".to_owned(),
                peer: "peer".to_owned(),
            }),
            ..ConnectionSpec::default()
        }
    }

    fn fields(violations: &[Violation]) -> Vec<&str> {
        assert!(!format!("{violations:?}").contains("canary"));
        violations.iter().map(|it| it.field.as_str()).collect()
    }

    #[track_caller]
    fn check(
        variant: &'static Variant,
        change: impl FnOnce(&mut ConnectionSpec),
        expected: &[&str],
    ) {
        let mut spec = spec();
        change(&mut spec);
        let found = Refusals::of(variant, &spec, Writing::New).of_fields(Field::ALL.iter());
        assert_eq!(fields(&found), expected);
    }

    fn dpd(interval: Option<u32>, timeout: Option<u32>) -> Option<DeadPeerDetection> {
        Some(DeadPeerDetection {
            action: None,
            interval_seconds: interval,
            timeout_seconds: timeout,
        })
    }

    fn psk(key: impl Into<String>) -> Option<Authentication> {
        Some(Authentication::Psk(Psk::new(key)))
    }

    fn rules(destinations: &[&str]) -> Option<Selectors> {
        Some(Selectors::Rules(vec![PolicyRule {
            destinations: destinations.iter().map(|it| (*it).to_owned()).collect(),
            ..PolicyRule::default()
        }]))
    }

    #[test]
    fn what_is_required_is_named_at_once() {
        let found = Refusals::of(&NEUTRON, &ConnectionSpec::default(), Writing::New)
            .of_fields(Field::ALL.iter());
        assert_eq!(
            fields(&found),
            [
                "vpn_service",
                "ike_policy",
                "ipsec_policy",
                "peer.address",
                "peer.psk",
                "policy_based"
            ]
        );
    }

    #[test]
    fn what_would_be_a_fault_of_the_cloud_is_refused_before() {
        let check = |change: fn(&mut ConnectionSpec), expected| check(&NEUTRON, change, expected);
        check(|_| {}, &[]);
        check(|s| s.display_name = "x".repeat(256), &["display_name"]);
        check(|s| s.display_name = "ж".repeat(255), &[]);
        check(
            |s| s.display_name = "\u{1f511}".to_owned(),
            &["display_name"],
        );
        check(|s| s.description = "x".repeat(208), &[]);
        check(|s| s.description = "x".repeat(209), &["description"]);
        check(
            |s| s.description = mark::put("x", &Mark::new()),
            &["description"],
        );
        check(
            |s| s.local_endpoint = Some("x".to_owned()),
            &["local_endpoint"],
        );
        check(|s| s.peer_address = "x".repeat(256), &["peer.address"]);
        check(|s| s.peer_id = Some("x".repeat(256)), &["peer.id"]);
        check(|s| s.authentication = psk(""), &["peer.psk"]);
        check(|s| s.authentication = psk("x".repeat(256)), &["peer.psk"]);
        check(|s| s.authentication = psk("\u{1f511}"), &["peer.psk"]);
        check(|s| s.mtu = Some(67), &["mtu"]);
        check(|s| s.mtu = Some(68), &[]);
        check(|s| s.mtu = Some(u32::MAX), &["mtu"]);
        check(|s| s.dpd = dpd(Some(120), None), &["dpd.timeout"]);
        check(|s| s.dpd = dpd(None, Some(31)), &[]);
        check(|s| s.dpd = dpd(None, Some(u32::MAX)), &["dpd.timeout"]);
        check(
            |s| {
                s.selectors = Some(Selectors::EndpointGroups {
                    local: String::new(),
                    peer: String::new(),
                })
            },
            &[
                "policy_based.local_endpoint_group",
                "policy_based.peer_endpoint_group",
            ],
        );
    }

    #[test]
    fn networks_are_one_plain_rule() {
        check(
            &NEUTRON,
            |s| s.selectors = rules(&["10.0.0.0/8", "2001:db8::/32"]),
            &[],
        );
        check(
            &NEUTRON,
            |s| s.selectors = rules(&[]),
            &["policy_based.rules[0].destinations"],
        );
        check(
            &NEUTRON,
            |s| s.selectors = rules(&["2001:0db8:0000:0000:0000:0000:0000:0000/32"]),
            &["policy_based.rules[0].destinations"],
        );
        check(
            &NEUTRON,
            |s| s.selectors = Some(Selectors::Rules(Vec::new())),
            &["policy_based.rules"],
        );
        let odd = PolicyRule {
            id: Some("7".to_owned()),
            destinations: vec!["10.0.0.0/8".to_owned()],
            enabled: Some(false),
            logged: Some(true),
            ..PolicyRule::default()
        };
        check(
            &NEUTRON,
            |s| s.selectors = Some(Selectors::Rules(vec![odd])),
            &[
                "policy_based.rules[0].id",
                "policy_based.rules[0].enabled",
                "policy_based.rules[0].logged",
            ],
        );
    }

    #[test]
    fn each_cloud_has_its_own_limits() {
        check(&OTC, |_| {}, &[]);
        check(&OTC, |s| s.display_name = String::new(), &["display_name"]);
        check(&OTC, |s| s.display_name = "x".repeat(65), &["display_name"]);
        check(&OTC, |s| s.description = "x".to_owned(), &["description"]);
        check(&OTC, |s| s.mtu = Some(1400), &["mtu"]);
        check(
            &OTC,
            |s| s.selectors = rules(&["10.0.0.0/8"]),
            &["policy_based.rules"],
        );
        for key in ["short", "has a blank", "quote\"quote", "ключключ"] {
            let key = Some(Authentication::Psk(Psk::new(key)));
            check(&OTC, |s| s.authentication = key, &["peer.psk"]);
        }
        check(&K5, |s| s.selectors = rules(&["10.0.0.0/8"]), &[]);
    }

    #[test]
    fn a_change_is_judged_by_its_fields_only() {
        let judge = |values: ConnectionSpec, fields: &[Field]| {
            let found = Refusals::of(&NEUTRON, &values, Writing::Change).of_fields(fields.iter());
            found.into_iter().map(|it| it.field).collect::<Vec<_>>()
        };
        assert!(
            judge(
                ConnectionSpec::default(),
                &[Field::DisplayName, Field::Mtu, Field::Dpd]
            )
            .is_empty()
        );
        // An update without a key keeps the current one.
        assert!(judge(ConnectionSpec::default(), &[Field::Authentication]).is_empty());
        assert_eq!(
            judge(
                ConnectionSpec::default(),
                &[Field::PeerAddress, Field::VpnService]
            ),
            ["peer.address", "vpn_service"]
        );
        let long = ConnectionSpec {
            description: "x".repeat(255),
            ..ConnectionSpec::default()
        };
        assert!(judge(long, &[Field::Description]).is_empty());
    }
}
