//! A router with a VPN service, the customers at the far ends of its tunnels, and what is true between them.

use crate::{
    calls::gateway_with,
    cloud::{self, BACKEND, Login, script, variable},
    operator,
    support::running::{Running, Watching, id_of},
};
use isthmus::grpc::pb::{self, Goal, RealizationState as State, dead_peer_detection::Action};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// How long an update must be quiet. The agent looks every three seconds, after a sync that takes one or two.
pub const QUIET: Duration = Duration::from_secs(8);
/// Two polls of the agent and one of the gateway: what is true by now has been said by then.
pub const SEEN: Duration = Duration::from_secs(8);
/// The key that both ends have, unless it is the key that is tried.
pub const KEY: &str = "live-key-17";

/// A router of its own for one test, with the network `10.30.<number>.0/24` behind it.
pub struct Site {
    number: u8,
    router: String,
    service: String,
    gateway: String,
    /// The network behind the router.
    pub network: String,
}

impl Site {
    /// The seeded site of this number, without what an earlier test that failed may have left.
    pub async fn take(number: u8) -> Site {
        let of = |what: &str| variable(&format!("LIVE_SITE_{number}_{what}"));
        let site = Site {
            number,
            router: of("ROUTER_ID"),
            service: of("VPN_SERVICE_ID"),
            gateway: of("GATEWAY"),
            network: of("NETWORK"),
        };
        let path = format!(
            "vpn/ipsec-site-connections?fields=id&vpnservice_id={}",
            site.service
        );
        let left = operator::neutron(&Login::demo(), Method::GET, &path, Value::Null).await;
        for row in left["ipsec_site_connections"].as_array().unwrap() {
            let path = format!("vpn/ipsec-site-connections/{}", row["id"].as_str().unwrap());
            operator::neutron(&Login::demo(), Method::DELETE, &path, Value::Null).await;
        }
        site
    }

    /// A gateway before the cloud, whose updates must be quiet for so long.
    pub async fn running(&self, quiet: Duration) -> Running {
        let mut settings = cloud::settings(&Login::demo());
        settings.core.poll.quiet_after_update = quiet;
        gateway_with(settings).await
    }

    /// The id of its VPN service, which has the network as its subnet.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The customer of this number. Switched off until it is `up`.
    pub async fn customer(&self, number: u8) -> Customer<'_> {
        let address = format!("198.51.100.{}", 10 * self.number + number);
        script("customer", &["down", &address], &[]).await;
        Customer {
            site: self,
            address,
        }
    }

    /// A connection to this customer, with these networks behind it. A dead customer is found in seconds.
    pub fn connection(&self, customer: &Customer<'_>, networks: &[&str]) -> pb::Connection {
        pb::Connection {
            vpn_service: format!("backends/{BACKEND}/vpnServices/{}", self.service),
            peer: Some(pb::Peer {
                address: customer.address.clone(),
                authentication: Some(pb::peer::Authentication::Psk(KEY.to_owned())),
                ..pb::Peer::default()
            }),
            selectors: Some(selectors(networks)),
            dpd: Some(pb::DeadPeerDetection {
                action: Action::Hold.into(),
                interval: Some(seconds(3)),
                timeout: Some(seconds(10)),
            }),
            ..cloud::references().connection(BACKEND)
        }
    }

    /// A connection to this customer and its tunnel, up and said to be: the connection's name.
    pub async fn up(
        &self,
        running: &Running,
        customer: &Customer<'_>,
        connection: pb::Connection,
    ) -> String {
        let network = destinations(&connection).concat();
        customer.up(KEY, &network).await;
        let (connection, token) = running.create(BACKEND, connection).await.unwrap();
        let name = connection.name;
        let mut watch = running.watch(&name, Goal::TunnelUp, &token).await.unwrap();
        // A router calls its first customer by itself, and no later one.
        if down_or_up(&mut watch).await == State::Down {
            customer.connects().await;
            let (_, outcome) = watch.end().await;
            assert_eq!(outcome.result(), pb::outcome::Result::Succeeded);
        }
        customer.ends(&name).await.both(&self.network, &network);
        assert!(customer.carries(&network).await);
        name
    }

    /// Touches the VPN service, so that the agent looks at all of its connections again.
    pub async fn nudge_the_agent(&self) {
        let path = format!("vpn/vpnservices/{}", self.service);
        let body = json!({ "vpnservice": { "description": uuid::Uuid::new_v4().to_string() } });
        operator::neutron(&Login::demo(), Method::PUT, &path, body).await;
    }
}

/// Reads until the cloud says that the tunnel is down, or the watch ends.
pub async fn down_or_up(watch: &mut Watching) -> State {
    loop {
        let (seen, outcome) = watch.next_state().await.unwrap();
        if outcome.is_some() || seen.state() == State::Down {
            return seen.state();
        }
    }
}

/// These networks behind the customer, for a service that has its subnet.
pub fn selectors(networks: &[&str]) -> pb::connection::Selectors {
    let rule = pb::PolicyRule {
        destinations: networks.iter().map(|&it| it.to_owned()).collect(),
        ..pb::PolicyRule::default()
    };
    pb::connection::Selectors::PolicyBased(pb::PolicyBased {
        rules: vec![rule],
        ..pb::PolicyBased::default()
    })
}

fn destinations(connection: &pb::Connection) -> Vec<String> {
    match &connection.selectors {
        Some(pb::connection::Selectors::PolicyBased(policy)) => {
            policy.rules[0].destinations.clone()
        }
        other => panic!("no networks: {other:?}"),
    }
}

fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

/// A customer's gateway, configured here and not by OpenStack.
pub struct Customer<'a> {
    site: &'a Site,
    /// Its public address.
    pub address: String,
}

impl Customer<'_> {
    /// It is there with this key and these networks, comma-separated, and waits. It was there already: it takes them over.
    pub async fn up(&self, key: &str, networks: &str) {
        let (gateway, far) = (&self.site.gateway, &self.site.network);
        self.say(&["up", &self.address, gateway, key, far, networks])
            .await;
    }

    /// It opens its tunnel: what its strongSwan says of that.
    pub async fn initiate(&self) -> String {
        self.say(&["initiate", &self.address]).await
    }

    /// It opens its tunnel, again and again until it has one: the agent may not have done yet what that takes.
    pub async fn connects(&self) {
        for _ in 0..20 {
            let said = self.initiate().await;
            // The router may have been first.
            if said.contains("completed successfully") || said.contains("existing duplicate") {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        panic!("{}", self.initiate().await);
    }

    /// It closes its tunnel.
    pub async fn close(&self) {
        self.say(&["close", &self.address]).await;
    }

    /// Its power fails.
    pub async fn kill(&self) {
        self.say(&["kill", &self.address]).await;
    }

    /// Its power is back.
    pub async fn start(&self) {
        self.say(&["start", &self.address]).await;
    }

    /// Whether a machine in this network answers one behind the router.
    pub async fn carries(&self, network: &str) -> bool {
        let said = self
            .say(&["ping", &self.site.router, &self.site.network, network])
            .await;
        said.trim() != "0"
    }

    /// The truth about a connection's tunnel.
    pub async fn ends(&self, connection: &str) -> Ends {
        let said = self
            .say(&["tunnels", &self.address, &self.site.router])
            .await;
        let id = id_of(connection);
        let mut ends = Ends::default();
        for line in said.lines() {
            match line.split_whitespace().collect::<Vec<_>>()[..] {
                ["router", name, own, far] if name == id => {
                    ends.router.push((own.to_owned(), far.to_owned()));
                }
                ["router", ..] => {}
                ["customer", _, own, far] => ends.customer.push((far.to_owned(), own.to_owned())),
                _ => panic!("{line}"),
            }
        }
        ends
    }

    async fn say(&self, arguments: &[&str]) -> String {
        script("customer", arguments, &[]).await
    }
}

/// What each end's own strongSwan has installed: networks behind the router, and behind the customer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ends {
    router: Vec<(String, String)>,
    customer: Vec<(String, String)>,
}

impl Ends {
    /// Both have this tunnel, and no other.
    #[track_caller]
    pub fn both(&self, near: &str, far: &str) {
        let tunnel = vec![(near.to_owned(), far.to_owned())];
        assert_eq!((&self.router, &self.customer), (&tunnel, &tunnel));
    }

    /// Neither has any.
    #[track_caller]
    pub fn none(&self) {
        assert_eq!(self, &Ends::default());
    }
}

/// For so long no outcome comes; every state in this time.
pub async fn no_outcome_for(watch: &mut Watching, time: Duration) -> Vec<pb::Realization> {
    let until = tokio::time::Instant::now() + time;
    let mut states = Vec::new();
    while let Ok(next) = tokio::time::timeout_at(until, watch.next_state()).await {
        let (seen, outcome) = next.unwrap();
        assert_eq!(outcome, None, "{seen:?}");
        states.push(seen);
    }
    states
}

/// Reads until the cloud says this, without an outcome before or with it.
pub async fn until_the_cloud_says(watch: &mut Watching, native: &str) {
    loop {
        let (seen, outcome) = watch.next_state().await.unwrap();
        assert_eq!(outcome, None, "{seen:?}");
        if seen.native_state == native {
            return;
        }
    }
}
