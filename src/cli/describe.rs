//! Backends and connections as text for people.

use crate::{
    cli::{
        capabilities,
        names::short,
        progress::date_and_time,
        text::{Style, clean, facts, table},
    },
    grpc::pb::{
        self, Backend, Connection, UnfinishedWrite,
        connection::Selectors,
        health::State,
        peer::Authentication,
        unfinished_write::State::{Abandoned, Settling},
    },
};

/// Formats backends as a table: dialect, health, access, budget.
pub fn backend_table(backends: &[Backend], style: Style) -> String {
    let rows: Vec<Vec<String>> = backends
        .iter()
        .map(|backend| {
            let budget = backend.budget.unwrap_or_default();
            vec![
                short(&backend.name),
                dialect(backend),
                health_word(backend).to_owned(),
                if backend.read_only {
                    "read-only"
                } else {
                    "read-write"
                }
                .to_owned(),
                budget.watched_connections.to_string(),
                format!("{:.1} of {:.0}/s", budget.rate_used, budget.rate_limit),
                unsettled(backend).to_string(),
            ]
        })
        .collect();
    let heading = [
        "BACKEND",
        "DIALECT",
        "HEALTH",
        "ACCESS",
        "WATCHED",
        "REQUESTS",
        "UNFINISHED",
    ];
    table(&heading, &rows, style)
}

/// Formats one backend as labelled values.
pub fn backend_facts(backend: &Backend, style: Style) -> String {
    let health = backend.health.clone().unwrap_or_default();
    let budget = backend.budget.unwrap_or_default();
    let mut why = health_word(backend).to_owned();
    if !health.reason.is_empty() {
        why = format!("{why}: {} {}", health.reason, clean(&health.message));
    }
    let can = backend.capabilities.clone().unwrap_or_default();
    let kinds = capabilities::kinds(&can);
    let mut lines = vec![
        ("backend", style.bold(&short(&backend.name))),
        ("dialect", dialect(backend)),
        ("health", why),
        (
            "last answer",
            health
                .last_success_time
                .as_ref()
                .map(date_and_time)
                .unwrap_or_default(),
        ),
        (
            "access",
            if backend.read_only {
                "read-only"
            } else {
                "read-write"
            }
            .to_owned(),
        ),
        ("writes", durability(backend).to_owned()),
        ("can", capabilities::words(&can).join(", ")),
        (
            "requests",
            format!(
                "{:.1} of {:.0} a second, {} of {} under way",
                budget.rate_used, budget.rate_limit, budget.in_flight, budget.concurrency_limit
            ),
        ),
        ("outcomes", share(budget.outcomes.as_ref())),
        ("callers", share(budget.callers.as_ref())),
        ("stable polls", share(budget.stable_polls.as_ref())),
        (
            "paused until",
            budget
                .paused_until
                .as_ref()
                .map(date_and_time)
                .unwrap_or_default(),
        ),
        (
            "watched",
            format!("{} connections", budget.watched_connections),
        ),
    ];
    lines.extend(
        backend
            .unfinished
            .iter()
            .map(|it| ("unfinished", unfinished(it))),
    );
    lines.extend(
        kinds
            .iter()
            .map(|(label, text)| (label.as_str(), text.clone())),
    );
    facts(&lines)
}

/// Counts the writes that are settling or abandoned.
fn unsettled(backend: &Backend) -> usize {
    let is_open = |it: &&UnfinishedWrite| matches!(it.state(), Settling | Abandoned);
    backend.unfinished.iter().filter(is_open).count()
}

/// Says whether writes in progress survive a kill of the gateway.
fn durability(backend: &Backend) -> &'static str {
    match backend.durable_writes {
        true => "outlive the gateway's process, and so do request ids",
        false => "are forgotten with the gateway's process, and so are request ids",
    }
}

/// Formats an unfinished write: its state, its action, since when, why, and what is left behind.
fn unfinished(write: &UnfinishedWrite) -> String {
    let state = write.state().as_str_name().trim_start_matches("STATE_");
    let action = word(write.action().as_str_name(), "ACTION_");
    let mut text = format!("{state}  {action} {}", clean(&short(&write.name)));
    if let Some(since) = &write.update_time {
        text.push_str(&format!(" since {}", date_and_time(since)));
    }
    if !write.message.is_empty() {
        text.push_str(&format!(": {}", clean(&write.message)));
    }
    if !write.leftovers.is_empty() {
        let left = write.leftovers.iter().map(|name| clean(&short(name)));
        let left: Vec<String> = left.collect();
        text.push_str(&format!("; left behind: {}", left.join(", ")));
    }
    if !write.request_id.is_empty() {
        text.push_str(&format!("; request id {}", clean(&write.request_id)));
    }
    text
}

/// Formats one share of the budget: what it uses, and what it is guaranteed.
fn share(share: Option<&pb::BudgetShare>) -> String {
    // An older gateway does not report shares.
    let Some(share) = share else {
        return String::new();
    };
    format!(
        "{:.1} a second, {} under way, {} waiting; sure of {:.1} a second, {} at the same time",
        share.rate_used,
        share.in_flight,
        share.waiting,
        share.guaranteed_rate,
        share.guaranteed_concurrency
    )
}

fn dialect(backend: &Backend) -> String {
    if backend.variant.is_empty() {
        backend.dialect.clone()
    } else {
        format!("{}/{}", backend.dialect, backend.variant)
    }
}

fn health_word(backend: &Backend) -> &'static str {
    match backend.health.as_ref().map(pb::Health::state) {
        Some(State::Serving) => "serving",
        Some(State::Unhealthy) => "unhealthy",
        Some(State::Unspecified) | None => "not asked yet",
    }
}

/// Formats connections as a table, with the state of each if `state` is given.
pub fn connection_table(
    connections: &[Connection],
    state: Option<&dyn Fn(&str) -> String>,
    style: Style,
) -> String {
    if connections.is_empty() {
        return "no connections".to_owned();
    }
    let rows: Vec<Vec<String>> = connections
        .iter()
        .map(|connection| {
            let peer = connection.peer.as_ref();
            let mut row = vec![
                clean(&short(&connection.name)),
                clean(&connection.display_name),
                peer.map(|peer| clean(&peer.address)).unwrap_or_default(),
                kind(connection).to_owned(),
                enabled(connection).to_owned(),
            ];
            row.extend(state.map(|state| state(&connection.name)));
            row
        })
        .collect();
    let mut heading = vec!["CONNECTION", "DISPLAY NAME", "PEER", "KIND", "ADMIN"];
    heading.extend(state.map(|_| "STATE"));
    table(&heading, &rows, style)
}

/// Formats one connection as labelled values.
pub fn connection_facts(connection: &Connection, style: Style) -> String {
    let mut lines = vec![
        ("connection", style.bold(&short(&connection.name))),
        ("display name", clean(&connection.display_name)),
        ("description", clean(&connection.description)),
        ("admin", enabled(connection).to_owned()),
    ];
    if let Some(peer) = &connection.peer {
        let proof = match (&peer.authentication, peer.psk_set) {
            (Some(Authentication::Certificate(_)), _) => "certificate",
            (_, true) => "pre-shared key, set",
            (_, false) => "",
        };
        lines.push(("peer", clean(&peer.address)));
        lines.push(("peer id", clean(&peer.id)));
        lines.push(("authentication", proof.to_owned()));
    }
    lines.push(("kind", kind(connection).to_owned()));
    lines.extend(selectors(connection));
    for (label, name) in [
        ("vpn service", &connection.vpn_service),
        ("local endpoint", &connection.local_endpoint),
        ("ike policy", &connection.ike_policy),
        ("ipsec policy", &connection.ipsec_policy),
        ("dpd policy", &connection.dpd_policy),
    ] {
        lines.push((label, short(name)));
    }
    lines.push((
        "initiation",
        word(connection.initiation().as_str_name(), "INITIATION_"),
    ));
    lines.push((
        "mtu",
        connection
            .mtu
            .map(|mtu| mtu.to_string())
            .unwrap_or_default(),
    ));
    lines.push((
        "made by",
        if connection.managed {
            "this gateway"
        } else {
            "somebody else"
        }
        .to_owned(),
    ));
    lines.push(("etag", clean(&connection.etag)));
    facts(&lines)
}

fn selectors(connection: &Connection) -> Vec<(&'static str, String)> {
    let any = |networks: &[String]| {
        if networks.is_empty() {
            "any".to_owned()
        } else {
            clean(&networks.join(", "))
        }
    };
    match &connection.selectors {
        Some(Selectors::PolicyBased(policy)) => {
            let rules = policy.rules.iter().map(|rule| {
                let pair = format!("{} -> {}", any(&rule.sources), any(&rule.destinations));
                ("rule", pair)
            });
            let groups = [
                ("local group", short(&policy.local_endpoint_group)),
                ("peer group", short(&policy.peer_endpoint_group)),
            ];
            rules.chain(groups).collect()
        }
        Some(Selectors::RouteBased(route)) => {
            let interface = |interface: &pb::TunnelInterface| {
                ("tunnel interface", clean(&interface.addresses.join(", ")))
            };
            route.tunnel_interfaces.iter().map(interface).collect()
        }
        None => Vec::new(),
    }
}

fn kind(connection: &Connection) -> &'static str {
    match &connection.selectors {
        Some(Selectors::PolicyBased(_)) => "policy-based",
        Some(Selectors::RouteBased(_)) => "route-based",
        None => "",
    }
}

fn enabled(connection: &Connection) -> &'static str {
    match connection.admin_enabled {
        Some(false) => "disabled",
        Some(true) | None => "enabled",
    }
}

/// Formats an enum value for people: without its prefix, in lower case, and empty if unspecified.
fn word(name: &str, prefix: &str) -> String {
    match name.strip_prefix(prefix).unwrap_or(name) {
        "UNSPECIFIED" => String::new(),
        word => word.to_lowercase().replace('_', "-"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Connection {
        Connection {
            name: "backends/a/connections/1".to_owned(),
            display_name: "to\x1bMunich".to_owned(),
            admin_enabled: Some(false),
            peer: Some(pb::Peer {
                address: "192.0.2.1".to_owned(),
                id: "192.0.2.1".to_owned(),
                authentication: Some(Authentication::Psk("canary".to_owned())),
                psk_set: true,
            }),
            vpn_service: "backends/a/vpnServices/s".to_owned(),
            initiation: pb::Initiation::RespondOnly.into(),
            selectors: Some(Selectors::PolicyBased(pb::PolicyBased {
                rules: vec![pb::PolicyRule {
                    destinations: vec!["10.0.0.0/8".to_owned(), "fd00::/8".to_owned()],
                    ..Default::default()
                }],
                ..Default::default()
            })),
            ..Default::default()
        }
    }

    #[test]
    fn connections_are_a_table() {
        assert_eq!(
            connection_table(&[connection()], None, Style::Plain),
            "CONNECTION  DISPLAY NAME  PEER       KIND          ADMIN\n\
             a/1         to Munich     192.0.2.1  policy-based  disabled"
        );
        let state = |name: &str| format!("state of {name}");
        let text = connection_table(&[connection()], Some(&state), Style::Plain);
        assert!(
            text.ends_with("disabled  state of backends/a/connections/1"),
            "{text}"
        );
        assert_eq!(connection_table(&[], None, Style::Plain), "no connections");
    }

    #[test]
    fn one_connection_is_told_fact_by_fact_and_no_key() {
        let text = connection_facts(&connection(), Style::Plain);
        assert!(
            text.contains("rule              any -> 10.0.0.0/8, fd00::/8\n"),
            "{text}"
        );
        assert!(
            text.contains("vpn service       a/vpnServices/s\n"),
            "{text}"
        );
        assert!(text.contains("initiation        respond-only\n"), "{text}");
        assert!(
            text.contains("authentication    pre-shared key, set\n"),
            "{text}"
        );
        assert!(!text.contains("canary"), "{text}");
    }

    #[test]
    fn writes_that_did_not_end_are_told_with_what_is_left_of_them() {
        let write = |state: pb::unfinished_write::State| UnfinishedWrite {
            state: state.into(),
            action: pb::planned_step::Action::Create.into(),
            name: "backends/a/connections/-".to_owned(),
            request_id: "r".to_owned(),
            leftovers: vec![
                "backends/a/ikePolicies/1".to_owned(),
                "backends/a/peerEndpoints/2".to_owned(),
            ],
            message: "the cloud did not\nanswer".to_owned(),
            begin_time: None,
            update_time: Some(prost_types::Timestamp {
                seconds: 0,
                nanos: 0,
            }),
        };
        let states = [Settling, Abandoned, pb::unfinished_write::State::Undone];
        let backend = Backend {
            name: "backends/a".to_owned(),
            unfinished: states.map(write).into(),
            durable_writes: true,
            ..Default::default()
        };
        let text = backend_facts(&backend, Style::Plain);
        assert!(
            text.contains("writes            outlive the gateway's process"),
            "{text}"
        );
        assert!(
            text.contains(
                "\nunfinished        SETTLING  create a/- since 1970-01-01T00:00:00Z: the cloud did not answer; \
                 left behind: a/ikePolicies/1, a/peerEndpoints/2; request id r\n\
                 unfinished        ABANDONED  create a/-"
            ),
            "{text}"
        );
        let table = backend_table(&[backend], Style::Plain);
        assert!(table.ends_with("  2"), "{table}");
        let volatile = backend_facts(&Backend::default(), Style::Plain);
        assert!(volatile.contains("are forgotten with"), "{volatile}");
    }

    #[test]
    fn backends_show_their_health_and_their_budget() {
        let backend = Backend {
            name: "backends/a".to_owned(),
            dialect: "openstack".to_owned(),
            variant: "otc".to_owned(),
            health: Some(pb::Health {
                state: State::Unhealthy.into(),
                reason: "UPSTREAM_AUTH".to_owned(),
                message: "the cloud refuses the login".to_owned(),
                last_success_time: None,
            }),
            capabilities: Some(pb::Capabilities {
                mtu: true,
                inline_dpd: true,
                resources: vec![pb::ResourceCapabilities {
                    collection: "ikePolicies".to_owned(),
                    fields: vec!["display_name".to_owned(), "dh_groups".to_owned()],
                    required_fields: vec!["dh_groups".to_owned()],
                    dh_groups: vec![pb::DhGroup::Modp2048.into(), pb::DhGroup::Ecp256.into()],
                    ..Default::default()
                }],
                ..Default::default()
            }),
            budget: Some(pb::Budget {
                rate_limit: 20.0,
                rate_used: 1.25,
                callers: Some(pb::BudgetShare {
                    guaranteed_rate: 8.0,
                    rate_used: 1.25,
                    guaranteed_concurrency: 2,
                    in_flight: 1,
                    waiting: 3,
                }),
                ..Default::default()
            }),
            ..Default::default()
        };
        assert_eq!(
            backend_table(std::slice::from_ref(&backend), Style::Plain),
            "BACKEND  DIALECT        HEALTH     ACCESS      WATCHED  REQUESTS     UNFINISHED\n\
             a        openstack/otc  unhealthy  read-write  0        1.2 of 20/s  0"
        );
        let text = backend_facts(&backend, Style::Plain);
        assert!(
            text.contains("unhealthy: UPSTREAM_AUTH the cloud refuses the login\n"),
            "{text}"
        );
        assert!(
            text.contains("can               inline dpd, mtu\n"),
            "{text}"
        );
        assert!(
            text.contains(
                "callers           1.2 a second, 1 under way, 3 waiting; sure of 8.0 a second, 2 at the same time\n"
            ),
            "{text}"
        );
        assert!(!text.contains("stable polls"), "{text}");
        assert!(
            text.ends_with(
                "\nIKE policies      display_name, dh_groups*\n                  dh groups: MODP_2048, ECP_256"
            ),
            "{text}"
        );
    }
}
