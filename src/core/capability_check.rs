//! Refuses what a backend cannot express of a connection before any request is sent. The backend's capabilities decide,
//! as data.

use crate::{
    core::{dialect::Capabilities, error::Violation},
    model::{
        Authentication, Connection, ConnectionSpec, Field, Initiation, PolicyRule, RuleAction,
        Selectors,
    },
};

/// Returns the violations of the given fields of `spec`: one per field that the capabilities rule out for every
/// connection of the backend.
pub fn refuse(
    capabilities: &Capabilities,
    spec: &ConnectionSpec,
    touches: impl Fn(Field) -> bool,
) -> Vec<Violation> {
    let can = capabilities;
    let certificate = matches!(spec.authentication, Some(Authentication::Certificate));
    let on_demand = spec.initiation == Some(Initiation::OnDemand);
    let table = [
        (
            Field::Authentication,
            certificate && !can.certificates,
            "peer.certificate",
            "authenticates by pre-shared key only; use `peer.psk`",
        ),
        (
            Field::Dpd,
            spec.dpd.is_some() && !can.inline_dpd,
            "dpd",
            "keeps dead peer detection in a profile; use `dpd_policy`",
        ),
        (
            Field::DpdPolicy,
            spec.dpd_policy.is_some() && !can.dpd_policies,
            "dpd_policy",
            "keeps dead peer detection inside the connection; use `dpd`",
        ),
        (
            Field::Mtu,
            spec.mtu.is_some() && !can.mtu,
            "mtu",
            "has no MTU of a connection; leave it unset",
        ),
        (
            Field::TcpMssClamping,
            spec.tcp_mss_clamping.is_some() && !can.tcp_mss_clamping,
            "tcp_mss_clamping",
            "does not clamp the segment size; leave it unset",
        ),
        (
            Field::Initiation,
            on_demand && !can.on_demand_initiation,
            "initiation",
            "cannot start on demand; use INITIATION_BOTH or INITIATION_RESPOND_ONLY",
        ),
        (
            Field::AvailabilityZone,
            spec.availability_zone.is_some() && !can.availability_zones,
            "availability_zone",
            "has no availability zones; leave it unset",
        ),
    ];
    let selectors = spec.selectors.as_ref();
    let selectors = selectors.filter(|_| touches(Field::Selectors));
    let mut violations = selectors.map_or_else(Vec::new, |it| refuse_selectors(can, it));
    for (field, is_refused, path, why) in table {
        if is_refused && touches(field) {
            violations.push(violation(path, why));
        }
    }
    violations
}

fn violation(path: impl Into<String>, why: &str) -> Violation {
    Violation::new(path, format!("this backend {why}"))
}

fn refuse_selectors(capabilities: &Capabilities, selectors: &Selectors) -> Vec<Violation> {
    let one = |path, why| vec![violation(path, why)];
    let rules = match selectors {
        Selectors::RouteBased(_) if !capabilities.route_based => {
            return one(
                "route_based",
                "has no route-based connections; use `policy_based`",
            );
        }
        Selectors::EndpointGroups { .. } if !capabilities.endpoint_groups => {
            return one(
                "policy_based.local_endpoint_group",
                "has no endpoint groups; use `policy_based.rules`",
            );
        }
        Selectors::RouteBased(_) | Selectors::EndpointGroups { .. } => return Vec::new(),
        Selectors::Rules(rules) => rules,
    };
    if capabilities.inline_policy_rules {
        return Vec::new();
    }
    let why = match capabilities.endpoint_groups {
        true => "takes local networks from the VPN service or an endpoint group; leave it empty",
        false => "takes local networks from the VPN service; leave it empty",
    };
    let with_sources = rules.iter().enumerate();
    let with_sources = with_sources.filter(|(_, rule)| !rule.sources.is_empty());
    with_sources
        .map(|(index, _)| violation(format!("policy_based.rules[{index}].sources"), why))
        .collect()
}

/// Returns the violations of fields that cannot be set to such a value, but that an existing connection may already
/// have. `there` is that connection, if it was read.
pub fn refuse_unless_there(
    capabilities: &Capabilities,
    spec: &ConnectionSpec,
    touches: impl Fn(Field) -> bool,
    there: Option<&Connection>,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    let off = spec.admin_enabled == Some(false);
    if off && !capabilities.admin_disable && touches(Field::AdminEnabled) {
        let why = "cannot switch a connection off; leave it true";
        violations.push(violation("admin_enabled", why));
    }
    let rules = match &spec.selectors {
        Some(Selectors::Rules(rules)) if touches(Field::Selectors) => rules.as_slice(),
        _ => &[],
    };
    let there = match there.and_then(|there| there.selectors.as_ref()) {
        Some(Selectors::Rules(rules)) => rules.as_slice(),
        _ => &[],
    };
    // NSX marks bypass rules as read-only, and no other cloud has them.
    let bypasses = |rule: &PolicyRule| rule.action == Some(RuleAction::Bypass);
    let is_there = |rule: &PolicyRule| {
        let same = |it: &PolicyRule| rule.id.is_some() && it.id == rule.id && bypasses(it);
        there.iter().any(same)
    };
    for (index, rule) in rules.iter().enumerate() {
        if bypasses(rule) && !is_there(rule) {
            violations.push(violation(
                format!("policy_based.rules[{index}].action"),
                "makes rules that protect and no others; use ACTION_PROTECT, or leave it unset",
            ));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DeadPeerDetection;

    fn nothing() -> Capabilities {
        Capabilities {
            dialect: "none",
            variant: "",
            route_based: false,
            inline_policy_rules: false,
            endpoint_groups: false,
            certificates: false,
            inline_dpd: false,
            dpd_policies: false,
            mtu: false,
            tcp_mss_clamping: false,
            on_demand_initiation: false,
            availability_zones: false,
            admin_disable: false,
            atomic_etag: false,
            nodes: false,
            write_tracking: false,
            look_batch: 1,
            resources: &[],
            tunnel_statistics: false,
            connection_marks: true,
        }
    }

    #[test]
    fn all_that_cannot_be_is_named_at_once() {
        let spec = ConnectionSpec {
            admin_enabled: Some(false),
            authentication: Some(Authentication::Certificate),
            dpd: Some(DeadPeerDetection::default()),
            dpd_policy: Some("p".into()),
            initiation: Some(Initiation::OnDemand),
            selectors: Some(Selectors::Rules(vec![
                PolicyRule {
                    sources: vec!["10.0.0.0/8".into()],
                    action: Some(RuleAction::Protect),
                    ..PolicyRule::default()
                },
                PolicyRule {
                    action: Some(RuleAction::Bypass),
                    ..PolicyRule::default()
                },
            ])),
            mtu: Some(1400),
            ..ConnectionSpec::default()
        };
        let fields = |refused: Vec<Violation>| -> Vec<String> {
            refused.into_iter().map(|it| it.field).collect()
        };
        assert_eq!(
            fields(refuse(&nothing(), &spec, |_| true)),
            [
                "policy_based.rules[0].sources",
                "peer.certificate",
                "dpd",
                "dpd_policy",
                "mtu",
                "initiation",
            ]
        );
        let unless_there =
            |spec, there| fields(refuse_unless_there(&nothing(), spec, |_| true, there));
        assert_eq!(
            unless_there(&spec, None),
            ["admin_enabled", "policy_based.rules[1].action"]
        );
        assert_eq!(
            refuse(&nothing(), &spec, |field| field == Field::Mtu).len(),
            1
        );
        assert_eq!(
            refuse(&nothing(), &ConnectionSpec::default(), |_| true),
            vec![]
        );
        assert_eq!(
            unless_there(&ConnectionSpec::default(), None),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_rule_that_bypasses_may_stay_and_none_may_become_one() {
        let rule = |id: Option<&str>, action| PolicyRule {
            id: id.map(str::to_owned),
            action: Some(action),
            ..PolicyRule::default()
        };
        let with = |rules| Some(Selectors::Rules(rules));
        let there = Connection {
            selectors: with(vec![
                rule(Some("1"), RuleAction::Bypass),
                rule(Some("2"), RuleAction::Protect),
            ]),
            ..Connection::default()
        };
        let spec = ConnectionSpec {
            selectors: with(vec![
                rule(None, RuleAction::Bypass),
                rule(Some("1"), RuleAction::Bypass),
                rule(Some("2"), RuleAction::Bypass),
            ]),
            ..ConnectionSpec::default()
        };
        let refused = refuse_unless_there(&nothing(), &spec, |_| true, Some(&there));
        let fields: Vec<&str> = refused.iter().map(|it| it.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "policy_based.rules[0].action",
                "policy_based.rules[2].action"
            ]
        );
    }
}
