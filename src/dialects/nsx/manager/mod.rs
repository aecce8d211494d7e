//! The NSX Manager API (`/api/v1/vpn/ipsec`). `README.md` in the folder above holds the vendor's facts.
//!
//! ```text
//!   mod ──► read, write, poll ──► client ──► auth ──► rest
//!   (the trait)    │
//!                  └──► wire (bodies) ──► translate, status (pure), mark
//!                  └──► error (what a refusal means)
//! ```
//!
//! A connection is a session with a peer endpoint of its own.

mod error;
mod poll;
mod read;
mod resources;
mod status;
mod translate;
mod wire;
mod write;

use crate::{
    core::{
        dialect::{
            Action, Call, Capabilities, Dialect, Done, Mark, Page, PageRequest, Plan, Resources,
            Single, Step, Target, Usage, Written,
        },
        error::{ErrorKind, Result, Violation},
        table::Table,
    },
    dialects::{
        nsx::{client::Client, config::Config},
        settings::or_refuse,
    },
    model::{
        Authentication, Connection, ConnectionChange, ConnectionSpec, Field, NewConnection,
        RealizationState, Selectors, Sighting,
    },
    rest::transport::Network,
};
use async_trait::async_trait;
use futures_util::future::join_all;
use std::{net::IpAddr, sync::Arc, time::Duration};
use write::Orphans;

/// Where it is on every manager.
const API: &str = "/api/v1/vpn/ipsec";

/// Binds the dialect to one backend that is reached over `network`, from its table and how long one request may take.
/// Sends nothing. `None`: the table was told what is wrong.
pub fn connect(
    table: &mut dyn Table,
    timeout: Duration,
    network: &dyn Network,
) -> Option<Arc<dyn Dialect>> {
    let client = Client::new(Config::read(table, timeout)?, API, network);
    Some(Arc::new(Nsx {
        client: Arc::new(or_refuse(table, client)?),
        orphans: Orphans::default(),
    }))
}

#[derive(Debug)]
struct Nsx {
    client: Arc<Client>,
    orphans: Orphans,
}

impl Nsx {
    /// Passes on what became of a session, and takes note of it if it is gone.
    fn noted<T>(&self, id: &str, result: Result<T>) -> Result<T> {
        if let Err(error) = &result
            && error.kind == ErrorKind::NotFound
        {
            self.orphans.session_is_gone(&self.client, id);
        }
        result
    }
}

fn done(result: Result<Written>) -> Result<(Done, Written)> {
    result.map(|written| {
        let done = Done {
            id: written.id.clone(),
            request_id: None,
        };
        (done, written)
    })
}

#[async_trait]
impl Dialect for Nsx {
    fn capabilities(&self) -> &Capabilities {
        &CAPABILITIES
    }

    fn refuse_create(&self, wanted: &NewConnection) -> Vec<Violation> {
        let spec = &wanted.spec;
        Field::ALL
            .iter()
            .flat_map(|field| refusals(*field, spec))
            .collect()
    }

    fn refuse_update(&self, change: &ConnectionChange) -> Vec<Violation> {
        let fields = change.fields.iter();
        fields
            .flat_map(|field| refusals(*field, &change.values))
            .collect()
    }

    fn resources(&self) -> &dyn Resources {
        self
    }

    fn refuse_to_become(&self, change: &ConnectionChange, there: &Connection) -> Vec<Violation> {
        translate::fixed(change, there)
    }

    fn usage(&self) -> Usage {
        self.client.usage()
    }

    async fn probe(&self, call: &Call) -> Result<()> {
        read::probe(&self.client, call).await
    }

    async fn get(&self, id: &str, call: &Call) -> Result<Connection> {
        self.noted(id, read::get(&self.client, id, call).await)
    }

    async fn list(&self, page: &PageRequest, call: &Call) -> Result<Page<Connection>> {
        read::list(&self.client, page, call).await
    }

    async fn plan_create<'a>(
        &'a self,
        wanted: NewConnection,
        mark: Mark,
        _call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        let step = Step::new(Action::Create, "connections", None);
        Ok(Single::new(step, move |_made, call| {
            Box::pin(
                async move { done(write::create(&self.client, &wanted.spec, &mark, &call).await) },
            )
        }))
    }

    async fn plan_update<'a>(
        &'a self,
        id: &'a str,
        change: ConnectionChange,
        _call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        let step = Step::new(Action::Update, "connections", Some(id.to_owned()));
        Ok(Single::new(step, move |_made, call| {
            Box::pin(async move { done(write::update(&self.client, id, &change, &call).await) })
        }))
    }

    async fn plan_delete<'a>(
        &'a self,
        id: &'a str,
        etag: Option<String>,
        _call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        let step = Step::new(Action::Delete, "connections", Some(id.to_owned()));
        Ok(Single::new(step, move |_made, call| {
            Box::pin(async move {
                let deleted = write::delete(&self.client, id, etag.as_deref(), &call).await;
                match &deleted {
                    Ok(_) => self.orphans.forget(id),
                    Err(error) => {
                        for left in &error.context.leftovers {
                            self.orphans.remember(id, &left.id);
                        }
                    }
                }
                done(self.noted(id, deleted))
            })
        }))
    }

    async fn poll(&self, targets: &[Target], call: &Call) -> Vec<Result<Sighting>> {
        let polls = targets.iter().map(async |target| {
            let seen = poll::poll(&self.client, target, call).await?;
            if seen.state == RealizationState::Deleted {
                self.orphans.session_is_gone(&self.client, &target.id);
            }
            Ok(seen)
        });
        join_all(polls).await
    }
}

const CAPABILITIES: Capabilities = Capabilities {
    dialect: "nsx",
    variant: "",
    route_based: true,
    inline_policy_rules: true,
    endpoint_groups: false,
    certificates: true,
    inline_dpd: false,
    dpd_policies: true,
    mtu: false,
    tcp_mss_clamping: true,
    on_demand_initiation: true,
    availability_zones: false,
    admin_disable: true,
    atomic_etag: true,
    nodes: true,
    write_tracking: true,
    // `/state` speaks for one session.
    look_batch: 1,
    resources: resources::kinds::KINDS,
    tunnel_statistics: true,
};

/// The longest `display_name`, in characters (NSX Python SDK 4.2.0).
const DISPLAY_NAME: usize = 255;
/// The longest `description`, in characters (the same).
const DESCRIPTION: usize = 1024;
/// The longest pre-shared key, in characters (the same).
const KEY: usize = 128;
/// The most subnets on one side of a rule (NSX Policy Python SDK 4.2.0).
const SUBNETS: usize = 128;
/// What `max_segment_size` may be, in bytes (NSX Python SDK 4.2.0).
const SEGMENT: std::ops::RangeInclusive<u32> = 108..=8902;

/// What of one field NSX cannot express, beyond what its capabilities say.
fn refusals(field: Field, spec: &ConnectionSpec) -> Vec<Violation> {
    let refuse = |wrong: bool, what: &str| {
        let violation = || Violation::new(field.path(), what);
        wrong.then(violation).into_iter().collect::<Vec<_>>()
    };
    let longer_than = |text: &str, most: usize| text.chars().count() > most;
    match field {
        Field::DisplayName => refuse(
            longer_than(&spec.display_name, DISPLAY_NAME),
            "has at most 255 characters",
        ),
        Field::Description => refuse(
            longer_than(&spec.description, DESCRIPTION),
            "has at most 1024 characters",
        ),
        Field::LocalEndpoint => refuse(
            spec.local_endpoint.as_ref().is_none_or(String::is_empty),
            "must be given: a session starts from a local endpoint",
        ),
        Field::PeerAddress => refuse(
            spec.peer_address.parse::<IpAddr>().is_err(),
            "must be given, as an IP address: NSX takes no host names",
        ),
        Field::Authentication => match &spec.authentication {
            None => refuse(true, "must be given, or `peer.certificate`"),
            Some(Authentication::Psk(psk)) => refuse(
                psk.expose().is_empty() || longer_than(psk.expose(), KEY),
                "has 1 to 128 characters",
            ),
            Some(Authentication::Certificate) => Vec::new(),
        },
        Field::Selectors => refused_selectors(spec),
        Field::TcpMssClamping => {
            let size = spec
                .tcp_mss_clamping
                .and_then(|clamping| clamping.max_segment_size);
            match size.filter(|size| !SEGMENT.contains(size)) {
                Some(_) => vec![Violation::new(
                    "tcp_mss_clamping.max_segment_size",
                    "is 108 to 8902 bytes",
                )],
                None => Vec::new(),
            }
        }
        // By capability, free, or known once the local endpoint is read.
        Field::AdminEnabled
        | Field::VpnService
        | Field::IkePolicy
        | Field::IpsecPolicy
        | Field::DpdPolicy
        | Field::PeerId
        | Field::Dpd
        | Field::Initiation
        | Field::AvailabilityZone
        | Field::Mtu => Vec::new(),
    }
}

fn refused_selectors(spec: &ConnectionSpec) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut refuse = |field: String, what: &str| violations.push(Violation::new(field, what));
    match &spec.selectors {
        None => refuse("policy_based".to_owned(), "must be given, or `route_based`"),
        Some(Selectors::EndpointGroups { .. }) => {}
        Some(Selectors::Rules(rules)) => {
            if rules.is_empty() {
                refuse("policy_based.rules".to_owned(), "has at least one rule");
            }
            for (index, rule) in rules.iter().enumerate() {
                for (side, networks) in [
                    ("sources", &rule.sources),
                    ("destinations", &rule.destinations),
                ] {
                    if networks.len() > SUBNETS {
                        refuse(
                            format!("policy_based.rules[{index}].{side}"),
                            "has at most 128 networks",
                        );
                    }
                }
            }
        }
        Some(Selectors::RouteBased(interfaces)) => {
            if interfaces.is_empty() {
                refuse(
                    "route_based.tunnel_interfaces".to_owned(),
                    "has at least one interface",
                );
            }
            for (index, interface) in interfaces.iter().enumerate() {
                let field = format!("route_based.tunnel_interfaces[{index}].addresses");
                if interface.addresses.is_empty() {
                    refuse(field, "has at least one address");
                    continue;
                }
                let wrong = |text: &String| translate::interface_address(text).is_none();
                if interface.addresses.iter().any(wrong) {
                    refuse(
                        field,
                        "are IP addresses with prefix length, as 169.254.64.1/30",
                    );
                }
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::capability_check::{refuse, refuse_unless_there},
        model::{
            ClampDirection, DeadPeerDetection, DpdAction, PolicyRule, Psk, RuleAction,
            TcpMssClamping, TunnelInterface,
        },
    };

    fn spec() -> ConnectionSpec {
        ConnectionSpec {
            local_endpoint: Some("local".to_owned()),
            peer_address: "203.0.113.7".to_owned(),
            authentication: Some(Authentication::Psk(Psk::new("not-a-real-key"))),
            selectors: Some(Selectors::Rules(vec![PolicyRule::default()])),
            ..ConnectionSpec::default()
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut ConnectionSpec), fields: &[&str]) {
        let mut spec = spec();
        change(&mut spec);
        let refused = Field::ALL.iter().flat_map(|field| refusals(*field, &spec));
        let found: Vec<String> = refused.map(|violation| violation.field).collect();
        assert_eq!(found, fields);
    }

    /// Dead peer detection is a profile's, whatever is to be done with a dead peer; and rules protect.
    #[test]
    fn what_its_capabilities_rule_out_is_refused_by_field() {
        let fields = |spec: &ConnectionSpec| {
            let mut refused = refuse(&CAPABILITIES, spec, |_| true);
            refused.extend(refuse_unless_there(&CAPABILITIES, spec, |_| true, None));
            refused.into_iter().map(|it| it.field).collect::<Vec<_>>()
        };
        for action in [
            DpdAction::Clear,
            DpdAction::Hold,
            DpdAction::Restart,
            DpdAction::Disabled,
            DpdAction::RestartByPeer,
        ] {
            let dpd = DeadPeerDetection {
                action: Some(action),
                ..DeadPeerDetection::default()
            };
            let spec = ConnectionSpec {
                dpd: Some(dpd),
                dpd_policy: Some("profile".to_owned()),
                ..spec()
            };
            assert_eq!(fields(&spec), ["dpd"]);
        }
        for (action, refused) in [
            (RuleAction::Protect, &[][..]),
            (RuleAction::Bypass, &["policy_based.rules[1].action"]),
        ] {
            let rule = PolicyRule {
                action: Some(action),
                ..PolicyRule::default()
            };
            let spec = ConnectionSpec {
                selectors: Some(Selectors::Rules(vec![PolicyRule::default(), rule])),
                ..spec()
            };
            assert_eq!(fields(&spec), refused);
        }
    }

    #[test]
    fn what_nsx_cannot_express_is_refused_by_field() {
        check(|_| {}, &[]);
        check(|s| s.display_name = "ä".repeat(255), &[]);
        check(|s| s.display_name = "x".repeat(256), &["display_name"]);
        check(|s| s.description = "x".repeat(1025), &["description"]);
        // Whether it is the local endpoint's own is not known yet.
        check(|s| s.vpn_service = Some("x".to_owned()), &[]);
        check(|s| s.local_endpoint = None, &["local_endpoint"]);
        check(
            |s| s.peer_address = "vpn.example".to_owned(),
            &["peer.address"],
        );
        check(|s| s.peer_address = "2001:db8::7".to_owned(), &[]);
        check(|s| s.authentication = None, &["peer.psk"]);
        check(
            |s| s.authentication = Some(Authentication::Certificate),
            &[],
        );
        for key in ["", &"x".repeat(129)] {
            let psk = Some(Authentication::Psk(Psk::new(key)));
            check(|s| s.authentication = psk, &["peer.psk"]);
        }
        check(|s| s.selectors = None, &["policy_based"]);
        check(
            |s| s.selectors = Some(Selectors::Rules(Vec::new())),
            &["policy_based.rules"],
        );
        let many = PolicyRule {
            destinations: vec!["10.0.0.0/24".to_owned(); 129],
            ..PolicyRule::default()
        };
        check(
            |s| s.selectors = Some(Selectors::Rules(vec![PolicyRule::default(), many])),
            &["policy_based.rules[1].destinations"],
        );
        let interface = |addresses: &[&str]| TunnelInterface {
            id: None,
            addresses: addresses.iter().map(|text| (*text).to_owned()).collect(),
        };
        let routed = |interfaces| Some(Selectors::RouteBased(interfaces));
        check(
            |s| s.selectors = routed(vec![interface(&["fd00::1/64"])]),
            &[],
        );
        check(
            |s| s.selectors = routed(Vec::new()),
            &["route_based.tunnel_interfaces"],
        );
        check(
            |s| s.selectors = routed(vec![interface(&[]), interface(&["10.0.0.1"])]),
            &[
                "route_based.tunnel_interfaces[0].addresses",
                "route_based.tunnel_interfaces[1].addresses",
            ],
        );
        for size in [107, 8903] {
            let clamping = TcpMssClamping {
                direction: ClampDirection::Both,
                max_segment_size: Some(size),
            };
            check(
                |s| s.tcp_mss_clamping = Some(clamping),
                &["tcp_mss_clamping.max_segment_size"],
            );
        }
    }
}
