//! A described site: its networks pass traffic, and what is said once it was described otherwise.

use crate::{
    calls::remove,
    cloud::BACKEND,
    command::isthmus,
    site::{QUIET, Site, down_or_up},
    support::{clouds::PSK, running::id_of},
};
use isthmus::grpc::pb::{Goal, RealizationState as State, outcome};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What the customer's strongSwan proposes, in the words of a description.
fn policy() -> Value {
    json!({
        "encryptionAlgorithms": ["ENCRYPTION_ALGORITHM_AES_CBC_128"],
        "integrityAlgorithms": ["INTEGRITY_ALGORITHM_HMAC_SHA2_256_128"],
        "dhGroups": ["DH_GROUP_MODP_1536"],
    })
}

fn described(near: &str, far: &str, peer: &str) -> Value {
    let mut ike = policy();
    ike["ikeVersion"] = json!("IKE_VERSION_2");
    json!({
        "connection": {
            "displayName": "described",
            "peer": { "address": peer, "pskEnv": "ISTHMUS_SITE_PSK" },
            "dpd": { "action": "ACTION_HOLD", "interval": "3s", "timeout": "10s" },
            "policyBased": { "rules": [{ "sources": [near], "destinations": [far] }] },
        },
        "parts": { "ikePolicy": ike, "ipsecPolicy": policy() },
    })
}

#[ignore = "needs real tunnels, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_described_site_passes_traffic_and_one_described_otherwise_is_undetermined() {
    let site = Site::take(8).await;
    let (running, customer) = (site.running(QUIET).await, site.customer(1).await);
    let (first, second) = ("10.48.1.0/24", "10.48.2.0/24");
    let attached = |far: &str| {
        let mut site_file = described(&site.network, far, &customer.address);
        site_file["backends"] = json!({ BACKEND: { "vpnService": site.service() } });
        site_file.to_string()
    };
    let apply = ["apply", "-f", "-", BACKEND];
    customer.up(PSK, first).await;
    let said = isthmus(running.addr, &apply, &attached(first)).await;
    said.is_taken("created", &[], "with a real tunnel");
    let listed = running.list(BACKEND).await.unwrap().connections;
    let named: BTreeSet<_> = listed
        .iter()
        .filter(|it| it.display_name == "described")
        .map(|it| it.name.clone())
        .collect();
    assert_eq!(named.len(), 1, "{named:?}");
    let name = named.into_iter().next().unwrap();
    let mut watch = running.watch(&name, Goal::TunnelUp, "").await.unwrap();
    if down_or_up(&mut watch).await == State::Down {
        customer.connects().await;
        let (_, outcome) = watch.end().await;
        assert_eq!(outcome.result(), outcome::Result::Succeeded);
    }
    customer.ends(&name).await.both(&site.network, first);
    assert!(customer.carries(first).await);
    let waiting = [&apply[..], &["--wait=tunnel-up"]].concat();
    let said = isthmus(running.addr, &waiting, &attached(first)).await;
    said.is_taken("unchanged", &[], "with a real tunnel");

    // The old tunnel is still there, and carries what it did: that the new networks do, nobody can tell.
    let said = isthmus(running.addr, &waiting, &attached(second)).await;
    said.says("changed", "with a real tunnel");
    assert_eq!(said.code, 5, "undetermined: {said:#?}");
    assert!(said.out.contains("ASSUMED_AFTER_QUIET_TIME"), "{said:#?}");
    customer.ends(&name).await.both(&site.network, first);
    assert!(customer.carries(first).await);
    assert!(!customer.carries(second).await, "{}", id_of(&name));

    // Once both ends have them, they do.
    customer.up(PSK, second).await;
    customer.close().await;
    customer.connects().await;
    customer.ends(&name).await.both(&site.network, second);
    assert!(customer.carries(second).await);
    remove(&running, &name).await;
}
