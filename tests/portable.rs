//! What every backend takes, computed from what each of them says it takes and refuses, and held against the tables of
//! `docs/portable.md`. Nothing is sent: there is no cloud behind any of these backends.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

use isthmus::{
    core::{dialect::Capabilities, gateway::Gateway},
    dialects::{self, settings::Given},
    model::{
        Authentication, BackendName, ConnectionSpec, DeadPeerDetection, DpdAction, Initiation,
        NewConnection, PolicyRule, Psk, ResourceKind, ResourceSpec, Selectors, Settings,
        algorithm::{
            DhGroup, EncapsulationMode, EncryptionAlgorithm, IkeVersion, IntegrityAlgorithm, Named,
            NegotiationMode, PrfAlgorithm, TransformProtocol,
        },
        policy::{IkePolicy, IpsecPolicy, Lifetime},
        topology::VpnService,
    },
};
use std::{collections::BTreeSet, ops::RangeInclusive, sync::Arc, time::Duration};

const DOCUMENT: &str = include_str!("../docs/portable.md");

/// Every backend there is a dialect and a variant for.
fn backends() -> Vec<Given> {
    let openstack = |variant: &str| {
        Given::new(variant.replace('.', "-").parse().unwrap(), "openstack")
            .with("variant", variant)
            .with("auth.kind", "none")
            .with("url", "http://127.0.0.1:9")
    };
    let nsx = Given::new("nsx".parse().unwrap(), "nsx")
        .with("auth.kind", "session")
        .with("auth.username", "nobody")
        .with("auth.password", "canary")
        .with("url", "http://127.0.0.1:9");
    let variants = ["neutron", "neutron-2026.2", "otc", "k5"].map(openstack);
    [nsx].into_iter().chain(variants).collect()
}

/// A gateway over all of them.
struct Bench {
    gateway: Arc<Gateway>,
    each: Vec<(BackendName, Capabilities)>,
}

impl Bench {
    fn start() -> Bench {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (mut bound, mut each) = (Vec::new(), Vec::new());
        for given in backends() {
            let dialect = dialects::connect(&given).expect("the settings work");
            each.push((given.core.name.clone(), dialect.capabilities().clone()));
            bound.push((given.core, dialect));
        }
        Bench {
            gateway: Gateway::start(bound, Duration::from_secs(15)),
            each,
        }
    }

    /// Whether no backend refuses this field of a description.
    fn takes(&self, field: &str, change: impl Fn(&mut NewConnection)) -> bool {
        let mut wanted = description();
        change(&mut wanted);
        self.each.iter().all(|(backend, _)| {
            let refused = self.gateway.refuse_create(backend, &wanted);
            !refused.iter().any(|it| it.field.starts_with(field))
        })
    }

    /// The numbers up to `most` that every backend takes; they are one range.
    fn range(
        &self,
        field: &str,
        most: usize,
        change: impl Fn(&mut NewConnection, usize),
    ) -> RangeInclusive<usize> {
        let taken = |n: &usize| self.takes(field, |it| change(it, *n));
        let taken: Vec<usize> = (0..=most).filter(taken).collect();
        let (first, last) = (taken[0], taken[taken.len() - 1]);
        assert_eq!(taken.len(), last - first + 1, "{field} is no range");
        assert!(last < most, "{field} has no end");
        first..=last
    }

    /// The values that every backend takes in a field.
    fn values<T: Named>(
        &self,
        field: &str,
        change: impl Fn(&mut NewConnection, T),
    ) -> Vec<&'static str> {
        let all = T::ALL.iter().copied();
        let taken = all.filter(|value| self.takes(field, |it| change(it, *value)));
        taken.map(short).collect()
    }

    /// The values that the tables of all backends have in common.
    fn common<T: Named>(
        &self,
        kind: ResourceKind,
        list: impl Fn(&isthmus::core::dialect::ResourceCapabilities) -> &'static [T],
    ) -> Vec<&'static str> {
        let takes = |value: &T| {
            let mut each = self.each.iter();
            each.all(|(_, can)| list(can.takes(kind).unwrap()).contains(value))
        };
        T::ALL.iter().copied().filter(takes).map(short).collect()
    }

    /// The lifetimes that the tables of all backends have in common, in seconds.
    fn lifetime(&self, kind: ResourceKind) -> RangeInclusive<u64> {
        let each = self.each.iter();
        let ranges =
            each.map(|(_, can)| can.takes(kind).unwrap().lifetime_seconds.clone().unwrap());
        let ranges: Vec<_> = ranges.collect();
        let least = ranges.iter().map(|it| *it.start()).max().unwrap();
        least..=ranges.iter().map(|it| *it.end()).min().unwrap()
    }
}

/// The name of a value without what all values of its enum begin with.
fn short<T: Named>(value: T) -> &'static str {
    let prefix = T::UNSPECIFIED.len() - "UNSPECIFIED".len();
    &value.as_str()[prefix..]
}

fn part(settings: Settings) -> (ResourceKind, ResourceSpec) {
    let kind = settings.kind();
    let spec = ResourceSpec {
        settings,
        ..ResourceSpec::none(kind)
    };
    (kind, spec)
}

/// So many local, and so many peer networks.
fn rule(sources: usize, destinations: usize) -> Selectors {
    Selectors::Rules(vec![PolicyRule {
        sources: (0..sources).map(|n| format!("10.1.{n}.0/24")).collect(),
        destinations: (0..destinations)
            .map(|n| format!("10.{}.{}.0/24", 100 + n / 200, n % 200))
            .collect(),
        ..PolicyRule::default()
    }])
}

fn key(text: impl Into<String>) -> Option<Authentication> {
    Some(Authentication::Psk(Psk::new(text)))
}

/// A description in the middle of what is taken.
fn description() -> NewConnection {
    NewConnection {
        spec: ConnectionSpec {
            display_name: "branch".to_owned(),
            peer_address: "198.51.100.20".to_owned(),
            authentication: key("canary-psk"),
            selectors: Some(rule(1, 1)),
            ..ConnectionSpec::default()
        },
        parts: [
            part(Settings::IkePolicy(IkePolicy::default())),
            part(Settings::IpsecPolicy(IpsecPolicy::default())),
            part(Settings::VpnService(VpnService {
                router: "router".to_owned(),
                ..VpnService::default()
            })),
        ]
        .into(),
        ..NewConnection::default()
    }
}

fn ike(wanted: &mut NewConnection) -> &mut IkePolicy {
    match &mut wanted
        .parts
        .get_mut(&ResourceKind::IkePolicy)
        .unwrap()
        .settings
    {
        Settings::IkePolicy(policy) => policy,
        other => panic!("{other:?}"),
    }
}

fn ipsec(wanted: &mut NewConnection) -> &mut IpsecPolicy {
    match &mut wanted
        .parts
        .get_mut(&ResourceKind::IpsecPolicy)
        .unwrap()
        .settings
    {
        Settings::IpsecPolicy(policy) => policy,
        other => panic!("{other:?}"),
    }
}

/// A row of a table begins so.
#[track_caller]
fn says(field: &str, what: &str) {
    let row = format!("| `{field}` | {what} |");
    let has = DOCUMENT.lines().any(|line| line.starts_with(&row));
    assert!(has, "docs/portable.md has no row that begins with\n{row}");
}

fn list(values: &[&str]) -> String {
    let values: Vec<String> = values.iter().map(|it| format!("`{it}`")).collect();
    values.join(", ")
}

fn span<T: ToString>(range: &RangeInclusive<T>) -> String {
    let grouped = |number: &T| {
        let digits = number.to_string();
        let mut text = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        text
    };
    format!("{} to {}", grouped(range.start()), grouped(range.end()))
}

#[tokio::test]
async fn the_proposals_that_every_cloud_takes_are_written_down() {
    let bench = Bench::start();
    let (ike, ipsec) = (ResourceKind::IkePolicy, ResourceKind::IpsecPolicy);
    for (kind, part) in [(ike, "parts.ike_policy"), (ipsec, "parts.ipsec_policy")] {
        let encryption = bench.common::<EncryptionAlgorithm>(kind, |it| it.encryption);
        says(&format!("{part}.encryption_algorithms"), &list(&encryption));
        let integrity = bench.common::<IntegrityAlgorithm>(kind, |it| it.integrity);
        says(&format!("{part}.integrity_algorithms"), &list(&integrity));
        let groups = bench.common::<DhGroup>(kind, |it| it.dh_groups);
        says(&format!("{part}.dh_groups"), &list(&groups));
        let seconds = span(&bench.lifetime(kind));
        says(&format!("{part}.lifetime.time"), &format!("{seconds} s"));
    }
    let prf = bench.common::<PrfAlgorithm>(ike, |it| it.prf);
    says("parts.ike_policy.prf_algorithms", &list(&prf));
}

/// What the tables say is what is refused: of each list, the values that are in all of them and no others.
#[tokio::test]
async fn what_the_tables_have_in_common_is_what_is_taken() {
    let bench = Bench::start();
    let (of_ike, of_ipsec) = (ResourceKind::IkePolicy, ResourceKind::IpsecPolicy);
    let groups = bench.values("parts.ike_policy", |it, value: DhGroup| {
        ike(it).dh_groups = vec![Some(value)];
    });
    assert_eq!(groups, bench.common::<DhGroup>(of_ike, |it| it.dh_groups));
    let encryption = bench.values("parts.ipsec_policy", |it, value: EncryptionAlgorithm| {
        ipsec(it).encryption_algorithms = vec![Some(value)];
    });
    let common = bench.common::<EncryptionAlgorithm>(of_ipsec, |it| it.encryption);
    assert_eq!(encryption, common);
    for (seconds, is_taken) in [
        (21_599, false),
        (21_600, true),
        (604_800, true),
        (604_801, false),
    ] {
        let taken = bench.takes("parts.ike_policy", |it| {
            ike(it).lifetime = Some(Lifetime::Seconds(seconds));
        });
        assert_eq!(taken, is_taken, "{seconds}");
    }
}

#[tokio::test]
async fn the_other_words_of_proposals_are_written_down() {
    let bench = Bench::start();
    let versions = bench.values("parts.ike_policy", |it, value: IkeVersion| {
        ike(it).ike_version = Some(value);
    });
    says("parts.ike_policy.ike_version", &list(&versions));
    let modes = bench.values("parts.ike_policy", |it, value: NegotiationMode| {
        ike(it).negotiation_mode = Some(value);
    });
    says("parts.ike_policy.negotiation_mode", &list(&modes));
    let protocols = bench.values("parts.ipsec_policy", |it, value: TransformProtocol| {
        ipsec(it).transform_protocol = Some(value);
    });
    says("parts.ipsec_policy.transform_protocol", &list(&protocols));
    let modes = bench.values("parts.ipsec_policy", |it, value: EncapsulationMode| {
        ipsec(it).encapsulation_mode = Some(value);
    });
    says("parts.ipsec_policy.encapsulation_mode", &list(&modes));
    let pfs = |value| {
        bench.takes("parts.ipsec_policy", |it| {
            ipsec(it).perfect_forward_secrecy = Some(value);
        })
    };
    assert_eq!((pfs(true), pfs(false)), (true, false));
    says("parts.ipsec_policy.perfect_forward_secrecy", "`true`");
}

#[tokio::test]
async fn the_bounds_of_a_connection_are_written_down() {
    let bench = Bench::start();
    let name = bench.range("display_name", 300, |it, n| {
        it.spec.display_name = "x".repeat(n)
    });
    says("display_name", &format!("{} characters", span(&name)));
    let described = bench.takes("description", |it| it.spec.description = "x".to_owned());
    assert!(!described);
    says("description", "none");
    let id = bench.range("peer.id", 300, |it, n| {
        it.spec.peer_id = Some("x".repeat(n))
    });
    says("peer.id", &format!("at most {} characters", id.end()));
    let length = bench.range("peer.psk", 300, |it, n| {
        it.spec.authentication = key("k".repeat(n))
    });
    let signs: BTreeSet<char> = (' '..='~')
        .filter(|sign| !sign.is_ascii_alphanumeric())
        .filter(|sign| {
            bench.takes("peer.psk", |it| {
                it.spec.authentication = key(format!("canary{sign}"))
            })
        })
        .collect();
    let signs: String = signs.into_iter().collect();
    // A bar would end the column.
    let signs = signs.replace('|', "\\|");
    says(
        "peer.psk",
        &format!(
            "{} characters: ASCII letters, digits, and ``{signs}``",
            span(&length)
        ),
    );
    for (address, is_taken) in [
        ("198.51.100.20", true),
        ("2001:db8::20", false),
        ("peer.example", false),
    ] {
        let taken = bench.takes("peer.address", |it| {
            it.spec.peer_address = address.to_owned()
        });
        assert_eq!(taken, is_taken, "{address}");
    }
    says("peer.address", "an IPv4 address");
    let certificate =
        |it: &mut NewConnection| it.spec.authentication = Some(Authentication::Certificate);
    assert!(!bench.takes("peer.certificate", certificate));
    says("peer.certificate", "none");
    let networks = bench.range("policy_based.rules[0].sources", 9, |it, n| {
        it.spec.selectors = Some(rule(n, 1));
    });
    assert!(networks.contains(&1) && !networks.contains(&2));
    says(
        "policy_based.rules[].sources",
        "the network of one subnet on the router, in all rules",
    );
    let networks = bench.range("policy_based.rules[0].destinations", 300, |it, n| {
        it.spec.selectors = Some(rule(1, n));
    });
    says(
        "policy_based.rules[].destinations",
        &format!("{} networks", span(&networks)),
    );
    let starts = [
        (Initiation::Both, "BOTH"),
        (Initiation::RespondOnly, "RESPOND_ONLY"),
        (Initiation::OnDemand, "ON_DEMAND"),
    ];
    let starts = starts
        .into_iter()
        .filter(|(value, _)| bench.takes("initiation", |it| it.spec.initiation = Some(*value)));
    let starts: Vec<&str> = starts.map(|(_, word)| word).collect();
    says("initiation", &list(&starts));
    let mtu = |mtu: u32| bench.takes("mtu", |it| it.spec.mtu = Some(mtu));
    assert_eq!((mtu(1499), mtu(1500), mtu(1501)), (false, true, false));
    says("mtu", "1500");
    let enabled = |value| bench.takes("admin_enabled", |it| it.spec.admin_enabled = Some(value));
    assert_eq!((enabled(true), enabled(false)), (true, false));
    says("admin_enabled", "`true`");
}

#[tokio::test]
async fn the_bounds_of_dead_peer_detection_are_written_down() {
    let bench = Bench::start();
    let dpd = |action, interval: usize, timeout: usize| DeadPeerDetection {
        action,
        interval_seconds: Some(interval as u32),
        timeout_seconds: Some(timeout as u32),
    };
    // A silence of nothing is malformed, which is told at the edge.
    let interval = bench.range("dpd", 1000, |it, n| {
        it.spec.dpd = Some(dpd(None, n, 4 * n.max(1)));
    });
    says("dpd.interval", &format!("{} s", span(&interval)));
    for (timeout, is_taken) in [(30, false), (31, true), (3_000, true), (3_001, false)] {
        let taken = bench.takes("dpd", |it| it.spec.dpd = Some(dpd(None, 30, timeout)));
        assert_eq!(taken, is_taken, "{timeout}");
    }
    says(
        "dpd.timeout",
        "longer than `interval`, at most 100 times as long",
    );
    let actions = [
        (DpdAction::Clear, "CLEAR"),
        (DpdAction::Hold, "HOLD"),
        (DpdAction::Restart, "RESTART"),
        (DpdAction::Disabled, "DISABLED"),
        (DpdAction::RestartByPeer, "RESTART_BY_PEER"),
    ];
    let actions = actions.into_iter().filter(|(action, _)| {
        bench.takes("dpd", |it| it.spec.dpd = Some(dpd(Some(*action), 30, 120)))
    });
    let actions: Vec<&str> = actions.map(|(_, word)| word).collect();
    says("dpd.action", &list(&actions));
}
