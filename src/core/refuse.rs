//! What a backend cannot express is refused before any request is sent. By its capabilities, as data.

use crate::{
    core::{dialect::Capabilities, error::Violation},
    model::{Authentication, ConnectionSpec, Field, Initiation, PolicyRule, RuleAction, Selectors},
};

/// The violations of the given fields of `spec`: one for each the capabilities rule out.
pub fn refuse(
    capabilities: &Capabilities,
    spec: &ConnectionSpec,
    touches: impl Fn(Field) -> bool,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut cannot = |field: &str, why: &str| {
        violations.push(Violation::new(field, format!("this backend {why}")));
    };
    if touches(Field::Selectors) {
        match &spec.selectors {
            Some(Selectors::RouteBased(_)) if !capabilities.route_based => {
                cannot(
                    "route_based",
                    "has no route-based connections; use `policy_based`",
                );
            }
            Some(Selectors::EndpointGroups { .. }) if !capabilities.endpoint_groups => {
                cannot(
                    "policy_based.local_endpoint_group",
                    "has no endpoint groups; use `policy_based.rules`",
                );
            }
            Some(Selectors::Rules(rules))
                if !capabilities.inline_policy_rules
                    && rules.iter().any(|rule| !rule.sources.is_empty()) =>
            {
                cannot(
                    "policy_based.rules[0].sources",
                    "takes local networks from the VPN service or an endpoint group; leave it empty",
                );
            }
            _ => {}
        }
        if let Some(Selectors::Rules(rules)) = &spec.selectors {
            // NSX marks it read-only, and no other cloud knows it.
            let bypasses = |rule: &PolicyRule| rule.action == Some(RuleAction::Bypass);
            for (index, _) in rules.iter().enumerate().filter(|(_, it)| bypasses(it)) {
                cannot(
                    &format!("policy_based.rules[{index}].action"),
                    "makes rules that protect and no others; use ACTION_PROTECT, or leave it unset",
                );
            }
        }
    }
    let certificate = matches!(spec.authentication, Some(Authentication::Certificate));
    if touches(Field::Authentication) && certificate && !capabilities.certificates {
        cannot(
            "peer.certificate",
            "authenticates by pre-shared key only; use `peer.psk`",
        );
    }
    if touches(Field::Dpd) && spec.dpd.is_some() && !capabilities.inline_dpd {
        cannot(
            "dpd",
            "keeps dead peer detection in a profile; use `dpd_policy`",
        );
    }
    if touches(Field::DpdPolicy) && spec.dpd_policy.is_some() && !capabilities.dpd_policies {
        cannot(
            "dpd_policy",
            "keeps dead peer detection inside the connection; use `dpd`",
        );
    }
    if touches(Field::Mtu) && spec.mtu.is_some() && !capabilities.mtu {
        cannot("mtu", "has no MTU of a connection; leave it unset");
    }
    if touches(Field::TcpMssClamping)
        && spec.tcp_mss_clamping.is_some()
        && !capabilities.tcp_mss_clamping
    {
        cannot(
            "tcp_mss_clamping",
            "does not clamp the segment size; leave it unset",
        );
    }
    let on_demand = spec.initiation == Some(Initiation::OnDemand);
    if touches(Field::Initiation) && on_demand && !capabilities.on_demand_initiation {
        cannot(
            "initiation",
            "cannot start on demand; use INITIATION_BOTH or INITIATION_RESPOND_ONLY",
        );
    }
    let off = spec.admin_enabled == Some(false);
    if touches(Field::AdminEnabled) && off && !capabilities.admin_disable {
        cannot(
            "admin_enabled",
            "cannot switch a connection off; leave it true",
        );
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
            admin_disable: false,
            atomic_etag: false,
            nodes: false,
            write_tracking: false,
            look_batch: 1,
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
        let fields: Vec<String> = refuse(&nothing(), &spec, |_| true)
            .into_iter()
            .map(|violation| violation.field)
            .collect();
        assert_eq!(
            fields,
            [
                "policy_based.rules[0].sources",
                "policy_based.rules[1].action",
                "peer.certificate",
                "dpd",
                "dpd_policy",
                "mtu",
                "initiation",
                "admin_enabled"
            ]
        );
        assert_eq!(
            refuse(&nothing(), &spec, |field| field == Field::Mtu).len(),
            1
        );
        assert_eq!(
            refuse(&nothing(), &ConnectionSpec::default(), |_| true),
            vec![]
        );
    }
}
