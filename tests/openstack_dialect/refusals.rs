//! What a variant takes and what it does not, here and there.

use crate::{
    setup::{Bench, EVERY_VARIANT, assert_secret_free, taken},
    support::{cloud::change, writes::Writes},
};
use isthmus::{
    core::error::ErrorReason,
    model::{Authentication, ConnectionSpec, DeadPeerDetection, DpdAction, Field, Psk},
    simulator::openstack::{Kind, Variant},
};
use serde_json::json;

/// Every DPD action that a variant has goes into the cloud and comes back; the others are refused by name, here
/// and there.
#[tokio::test]
async fn dpd_actions_go_both_ways_in_every_variant_that_has_them() {
    let words = [
        (DpdAction::Clear, "clear"),
        (DpdAction::Hold, "hold"),
        (DpdAction::Restart, "restart"),
        (DpdAction::Disabled, "disabled"),
        (DpdAction::RestartByPeer, "restart-by-peer"),
    ];
    for variant in EVERY_VARIANT {
        let bench = Bench::of(variant);
        let updated = bench.make(&taken(&bench, variant, "u")).await.unwrap();
        bench.cloud.state().agent_reports(&updated, "DOWN");
        for (action, word) in words {
            let mut spec = taken(&bench, variant, word);
            spec.dpd = Some(DeadPeerDetection {
                action: Some(action),
                interval_seconds: Some(20),
                timeout_seconds: Some(90),
            });
            let update = change(&[Field::Dpd], spec.clone());
            if variant == Variant::K5 && !matches!(word, "hold" | "restart") {
                for refused in [
                    bench.dialect.refuse_alone(&spec),
                    bench.dialect.refuse_update(&update),
                ] {
                    assert_eq!(refused.len(), 1, "{word}: {refused:?}");
                    assert_eq!(refused[0].field, "dpd.action");
                    assert!(refused[0].description.contains("hold or restart"));
                }
                let error = bench.create(&spec).await;
                let error = error.unwrap_err();
                assert_eq!(error.reason, ErrorReason::UpstreamRejected, "{word}");
                // What is there all the same is shown as it is.
                let dpd = json!({"action": word, "interval": 20, "timeout": 90});
                let state = bench.cloud.state();
                state.set_attribute(Kind::Connection, &updated, "dpd", Some(dpd));
            } else {
                let id = bench.make(&spec).await.unwrap();
                let read = bench.get(&id).await.unwrap();
                assert_eq!(read.dpd, spec.dpd, "{variant:?} {word}");
                let row = bench.cloud.state().row(Kind::Connection, &id).unwrap();
                assert_eq!(row["dpd"]["action"], word, "{variant:?}");
                assert_eq!(bench.dialect.refuse_update(&update), []);
                let update = bench.update(&updated, &update).await;
                update.unwrap();
            }
            let read = bench.get(&updated).await.unwrap();
            assert_eq!(read.dpd, spec.dpd, "{variant:?} {word}");
        }
    }
}

#[tokio::test]
async fn k5_takes_an_ipv4_address_of_the_peer_and_nothing_else() {
    let bench = Bench::of(Variant::K5);
    bench.cloud.state().set_host("vpn.example", "198.51.100.9");
    let with = |address: &str| ConnectionSpec {
        peer_address: address.to_owned(),
        peer_id: Some("peer.example".to_owned()),
        ..bench.legacy_spec("x")
    };
    // The second is the example of K5's own document.
    for address in ["198.51.100.20", "172.24.4.226"] {
        bench.make(&with(address)).await.unwrap();
    }
    for address in [
        "vpn.example",
        "2001:db8::1",
        "198.51.100.0/24",
        "127.0.0.1",
        "0.0.0.0",
        "224.0.0.5",
        "169.254.1.1",
        "255.255.255.255",
    ] {
        let update = change(&[Field::PeerAddress], with(address));
        for refused in [
            bench.dialect.refuse_alone(&with(address)),
            bench.dialect.refuse_update(&update),
        ] {
            let fields: Vec<&str> = refused.iter().map(|it| it.field.as_str()).collect();
            assert_eq!(fields, ["peer.address"], "{address}");
            assert!(refused[0].description.contains("public IPv4 address"));
        }
        let error = bench.create(&with(address)).await.unwrap_err();
        assert_eq!(error.reason, ErrorReason::UpstreamRejected, "{address}");
    }
}

#[tokio::test]
async fn open_telekom_cloud_takes_what_its_document_allows_and_no_more() {
    let bench = Bench::of(Variant::Otc);
    let key = |key: &str| ConnectionSpec {
        authentication: Some(Authentication::Psk(Psk::new(key))),
        ..bench.spec("x")
    };
    let id = |id: &str| ConnectionSpec {
        peer_id: Some(id.to_owned()),
        ..bench.spec("x")
    };
    let host = "h".repeat(250);
    bench.cloud.state().set_host(&host, "198.51.100.9");
    let address = |address: &str| ConnectionSpec {
        peer_address: address.to_owned(),
        peer_id: Some("peer".to_owned()),
        ..bench.spec("x")
    };
    let mut allowed = vec![
        key(&"k".repeat(6)),
        key(&"k".repeat(128)),
        id(&"i".repeat(250)),
        address(&host),
    ];
    allowed.extend(
        "~`!@#$%^()-_+=[]{}|\\,./:;09azAZ"
            .chars()
            .map(|sign| key(&format!("passw{sign}rd"))),
    );
    for spec in allowed {
        bench.make(&spec).await.unwrap();
    }
    let mut refused = vec![
        (key("12345"), "peer.psk"),
        (key(&"k".repeat(129)), "peer.psk"),
        (id(&"i".repeat(251)), "peer.id"),
        (address(&"h".repeat(251)), "peer.address"),
    ];
    refused.extend(
        "\"'&*<>? \u{e4}\n"
            .chars()
            .map(|sign| (key(&format!("passw{sign}rd")), "peer.psk")),
    );
    for (spec, field) in refused {
        let found = bench.dialect.refuse_alone(&spec);
        let fields: Vec<&str> = found.iter().map(|it| it.field.as_str()).collect();
        assert_eq!(fields, [field]);
        assert_secret_free(&format!("{found:?}"));
        let error = bench.create(&spec).await;
        assert_eq!(error.unwrap_err().reason, ErrorReason::UpstreamRejected);
    }
}
