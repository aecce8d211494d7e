//! Describes an existing connection. What it references is read and included. Ids that only mean something in this
//! cloud are left out, except those of where the connection is attached. Defaults are left out.

use crate::{
    core::{
        backend::Backend,
        dialect::{Call, Warning},
        error::{Error, Result},
        gateway::{Gateway, caller},
        portable::{fit::dead_peer::described, plain},
        references::references,
        writes::joint::path,
    },
    model::{
        Authentication, Connection, ConnectionName, ConnectionSpec, DeadPeerDetection,
        NewConnection, PolicyRule, Resource, ResourceKind, ResourceSpec, Reuse, RuleAction,
        Selectors, Settings, TunnelInterface,
    },
};
use futures_util::future::try_join_all;
use tokio::time::Instant;

/// A connection as a description.
#[derive(Debug, Clone, Default)]
pub struct Exported {
    /// The part of it that can be written. It has no references and no key.
    pub site: NewConnection,
    /// What has no form that every backend takes, by its path in the description, such as `mtu` or `parts.dpd_policy`.
    pub warnings: Vec<Warning>,
}

impl Gateway {
    /// Describes a connection in the form that every backend takes: referenced resources as parts, dead peer detection
    /// inside the connection, both sides as networks. `parts.vpn_service` and `parts.local_endpoint` say where it is
    /// attached, with the ids of its own cloud.
    ///
    /// # Errors
    /// If the connection or what it references cannot be read; those of
    /// [`Dialect::as_networks`](crate::core::dialect::Dialect::as_networks).
    pub async fn export(&self, name: &ConnectionName, deadline: Instant) -> Result<Exported> {
        let there = self.get(name, deadline).await?;
        let poller = self.poller(&name.backend)?;
        let backend = poller.backend();
        let described = describe(backend, &there, &caller(deadline)).await;
        let described = backend.record_caller_result(described);
        described.map_err(|error| error.during("describing a connection"))
    }
}

/// Describes a connection of this backend that was read.
///
/// # Errors
/// Those of [`Gateway::export`], except for reading the connection itself.
pub async fn describe(backend: &Backend, there: &Connection, call: &Call) -> Result<Exported> {
    let dialect = backend.dialect();
    let takes = |kind| backend.capabilities().takes(kind).is_some();
    let parts = references(there).filter(|(kind, _)| {
        let is_said_otherwise = *kind == ResourceKind::EndpointGroup;
        !is_said_otherwise && takes(*kind)
    });
    let reads = parts.map(async |(kind, id)| {
        let read = dialect.resources().get(kind, id, call).await;
        read.map_err(|error| error.during(format!("reading the {}", kind.noun())))
    });
    let networks = async {
        let read = dialect.as_networks(there, call).await;
        read.map_err(|error| Error::during(error, "reading its networks"))
    };
    let (parts, selectors) = futures_util::try_join!(try_join_all(reads), networks)?;
    let mut exported = alone(there, selectors);
    for part in parts {
        add(&mut exported, part);
    }
    settle_zone(&mut exported.site);
    Ok(exported)
}

/// Converts a description that was fitted to a backend to the form of [`describe`], so that the two can be compared.
/// The result has no key.
pub fn as_described(mut fitted: NewConnection) -> NewConnection {
    let profile = fitted.parts.get(&ResourceKind::DpdPolicy);
    if let Some(dpd) = profile.and_then(dead_peer) {
        fitted.parts.remove(&ResourceKind::DpdPolicy);
        fitted.spec.dpd = Some(dpd);
    }
    let authentication = fitted.spec.authentication.take();
    fitted.spec.authentication =
        authentication.filter(|it| matches!(it, Authentication::Certificate));
    settle_zone(&mut fitted);
    fitted
}

/// Describes the connection itself.
fn alone(there: &Connection, selectors: Option<Selectors>) -> Exported {
    let mut warnings = Vec::new();
    let mut warn = |field: &str, message: &str| {
        warnings.push(Warning {
            field: field.to_owned(),
            message: message.to_owned(),
        })
    };
    if let Some(selectors) = &selectors {
        warn_of(selectors, &mut warn);
    }
    let peer = &there.peer;
    let spec = ConnectionSpec {
        display_name: there.display_name.clone(),
        description: there.description.clone(),
        admin_enabled: there.admin_enabled,
        peer_address: peer.address.clone(),
        peer_id: Some(peer.id.clone()).filter(|id| !id.is_empty() && *id != peer.address),
        authentication: peer.certificate.then_some(Authentication::Certificate),
        dpd: there.dpd,
        initiation: there.initiation,
        selectors: selectors.and_then(written),
        mtu: there.mtu.filter(|mtu| *mtu != plain::MTU),
        tcp_mss_clamping: there.tcp_mss_clamping.filter(plain::clamps),
        availability_zone: there.availability_zone.clone(),
        ..ConnectionSpec::default()
    };
    if spec.selectors.is_none() {
        warn(
            "policy_based",
            "which traffic is protected cannot be told as networks",
        );
    }
    if peer.certificate {
        warn(
            "peer.certificate",
            "not every backend authenticates by certificate",
        );
    }
    if spec.mtu.is_some() {
        warn("mtu", "not every backend has an MTU of a connection");
    }
    if spec.tcp_mss_clamping.is_some() {
        warn(
            "tcp_mss_clamping",
            "not every backend clamps the segment size",
        );
    }
    Exported {
        site: NewConnection {
            spec,
            reuse: Reuse::Managed,
            ..NewConnection::default()
        },
        warnings,
    }
}

/// Warns of selectors that not every backend takes.
fn warn_of(selectors: &Selectors, mut warn: impl FnMut(&str, &str)) {
    match selectors {
        Selectors::EndpointGroups { .. } => {}
        Selectors::RouteBased(_) => {
            warn(
                "route_based",
                "not every backend has route-based connections",
            );
        }
        Selectors::Rules(rules) => {
            for (index, rule) in rules.iter().enumerate() {
                if rule.action == Some(RuleAction::Bypass) {
                    let field = format!("policy_based.rules[{index}].action");
                    warn(&field, "no backend makes a rule that lets traffic pass by");
                }
            }
        }
    }
}

/// Returns selectors as they can be written, without ids and defaults, or `None` for those that only mean something in
/// one cloud.
pub fn written(selectors: Selectors) -> Option<Selectors> {
    match selectors {
        Selectors::EndpointGroups { .. } => None,
        Selectors::RouteBased(interfaces) => {
            let without_id = |it| TunnelInterface { id: None, ..it };
            let interfaces = interfaces.into_iter().map(without_id);
            Some(Selectors::RouteBased(interfaces.collect()))
        }
        Selectors::Rules(rules) => {
            let rules = rules.into_iter().map(plain_rule);
            Some(Selectors::Rules(rules.collect()))
        }
    }
}

fn plain_rule(rule: PolicyRule) -> PolicyRule {
    PolicyRule {
        id: None,
        enabled: rule.enabled.filter(|enabled| !enabled),
        logged: rule.logged.filter(|logged| *logged),
        action: rule.action.filter(|action| *action != RuleAction::Protect),
        ..rule
    }
}

/// Puts a referenced resource into the description in place of the reference.
fn add(exported: &mut Exported, part: Resource) {
    let kind = part.spec.kind();
    let plain::Plain { spec, warnings } = plain::plain(part);
    let inside = warnings.into_iter().map(|warning| Warning {
        field: format!("{}.{}", path(kind), warning.field),
        ..warning
    });
    exported.warnings.extend(inside);
    match dead_peer(&spec) {
        Some(dpd) => exported.site.spec.dpd = Some(dpd),
        None if kind == ResourceKind::DpdPolicy => {
            exported.warnings.push(Warning {
                field: path(kind),
                message: "has no form inside a connection: it does not probe periodically, or not more than once"
                    .to_owned(),
            });
            exported.site.parts.insert(kind, spec);
        }
        None => drop(exported.site.parts.insert(kind, spec)),
    }
}

/// Converts a DPD policy to its form inside a connection. Returns `None` for other parts and for a policy without such
/// a form.
fn dead_peer(spec: &ResourceSpec) -> Option<DeadPeerDetection> {
    match &spec.settings {
        Settings::DpdPolicy(policy) => described(policy),
        _ => None,
    }
}

/// Removes availability zones that repeat the one of the VPN service, where the connection is attached.
fn settle_zone(site: &mut NewConnection) {
    let service = site.parts.get(&ResourceKind::VpnService);
    let Some(zone) = service.and_then(|it| it.availability_zone.clone()) else {
        return;
    };
    let is_told = |told: &Option<String>| told.as_ref() == Some(&zone);
    if is_told(&site.spec.availability_zone) {
        site.spec.availability_zone = None;
    }
    for (kind, part) in &mut site.parts {
        if *kind != ResourceKind::VpnService && is_told(&part.availability_zone) {
            part.availability_zone = None;
        }
    }
}
