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
            Call, Capabilities, Dialect, Done, Mark, Page, PageRequest, Plan, Resources, Step,
            Target, Trace, Usage, Written,
        },
        error::{Result, Violation},
        home::Home,
        table::Table,
    },
    dialects::{
        nsx::{client::Client, config::Config},
        settings::or_refuse,
    },
    model::{Connection, ConnectionChange, NewConnection, Sighting},
    rest::transport::Network,
};
use async_trait::async_trait;
use futures_util::future::join_all;
use std::{sync::Arc, time::Duration};
use write::{plan, refusals, settle};

/// The path of the API on every manager.
const API: &str = "/api/v1/vpn/ipsec";

/// Binds the dialect to one backend. Takes the backend's table and the timeout of one request. Sends nothing. Returns
/// `None` after it has reported every problem to the table.
pub fn connect(
    table: &mut dyn Table,
    timeout: Duration,
    network: &dyn Network,
) -> Option<Arc<dyn Dialect>> {
    let client = Client::new(Config::read(table, timeout)?, API, network);
    Some(Arc::new(Nsx {
        client: or_refuse(table, client)?,
    }))
}

#[derive(Debug)]
struct Nsx {
    client: Client,
}

#[async_trait]
impl Dialect for Nsx {
    fn capabilities(&self) -> &Capabilities {
        &CAPABILITIES
    }

    fn refuse_create(&self, wanted: &NewConnection) -> Vec<Violation> {
        refusals::of_new(wanted)
    }

    fn refuse_update(&self, change: &ConnectionChange) -> Vec<Violation> {
        refusals::of_change(change)
    }

    fn resources(&self) -> &dyn Resources {
        self
    }

    fn refuse_to_become(&self, change: &ConnectionChange, there: &Connection) -> Vec<Violation> {
        translate::fixed(change, there)
    }

    fn place(&self) -> String {
        self.client.place()
    }

    fn home(&self) -> Home {
        self.client.home()
    }

    fn usage(&self) -> Usage {
        self.client.usage()
    }

    async fn probe(&self, call: &Call) -> Result<()> {
        read::probe(&self.client, call).await
    }

    async fn get(&self, id: &str, call: &Call) -> Result<Connection> {
        read::get(&self.client, id, call).await
    }

    async fn list(&self, page: &PageRequest, call: &Call) -> Result<Page<Connection>> {
        read::list(&self.client, page, call).await
    }

    async fn plan_create<'a>(
        &'a self,
        wanted: NewConnection,
        mark: Mark,
        call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        plan::create(&self.client, wanted, mark, call).await
    }

    async fn plan_update<'a>(
        &'a self,
        id: &'a str,
        change: ConnectionChange,
        call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        plan::update(&self.client, id, change, call).await
    }

    async fn plan_delete<'a>(
        &'a self,
        id: &'a str,
        etag: Option<String>,
        call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        plan::delete(&self.client, id, etag.as_deref(), call).await
    }

    async fn trace(&self, step: &Step, call: &Call) -> Result<Trace> {
        settle::trace(&self.client, step, call).await
    }

    async fn undo(&self, step: &Step, call: &Call) -> Result<()> {
        settle::undo(&self.client, step, call).await
    }

    async fn remove(&self, step: &Step, call: &Call) -> Result<Done> {
        settle::remove_planned(&self.client, step, call).await
    }

    async fn poll(&self, targets: &[Target], call: &Call) -> Vec<Result<Sighting>> {
        let polls = targets
            .iter()
            .map(|target| poll::poll(&self.client, target, call));
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
    // `/state` reports on one session.
    look_batch: 1,
    resources: resources::kinds::KINDS,
    tunnel_statistics: true,
    connection_marks: true,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::capability_check::{refuse, refuse_unless_there},
        model::{
            Authentication, ConnectionSpec, DeadPeerDetection, DpdAction, PolicyRule, Psk,
            RuleAction, Selectors,
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

    /// Dead peer detection, including the action on a dead peer, belongs to a profile; and every rule protects.
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
}
