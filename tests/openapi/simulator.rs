//! The simulated NSX alone: every collection, every operation, and every field that can be written.

use crate::{description::Description, support::recorder::Recorder};
use http::Method;
use isthmus::simulator::nsx::{NsxOptions, NsxSimulator, Tunnel, inventory};
use reqwest::Client;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A client that has no idea of VPN.
struct Curl {
    client: Client,
    base: String,
    options: NsxOptions,
}

impl Curl {
    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let request = self
            .client
            .request(method, format!("{}/api/v1/vpn/ipsec/{path}", self.base))
            .basic_auth(&self.options.username, Some(&self.options.password));
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.unwrap();
        assert!(answer.headers().contains_key("x-nsx-requestid"), "{path}");
        let status = answer.status().as_u16();
        let body = answer.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// Makes an object that is everything its type can be, and answers its id.
    async fn make(&self, description: &Description, made: &Made) -> String {
        let mut body = made.body.clone();
        for (name, value) in [
            ("display_name", json!("whole")),
            ("description", json!("with every field")),
            ("tags", json!([{ "scope": "site", "tag": "42" }])),
        ] {
            body[name] = value;
        }
        let sent: BTreeSet<String> = body.as_object().unwrap().keys().cloned().collect();
        let mut writable = description.writable(made.schema);
        writable.retain(|name| !name.starts_with('_') && !SERVERS_OWN.contains(&name.as_str()));
        let left_out: Vec<_> = writable.difference(&sent).collect();
        assert!(left_out.is_empty(), "{}: {left_out:?}", made.schema);

        let (status, answer) = self.ask(Method::POST, made.collection, Some(&body)).await;
        assert_eq!(status, 201, "{answer}");
        for (name, said) in body.as_object().unwrap() {
            if name == "psk" {
                continue;
            }
            let kept = &answer[name];
            assert!(holds(kept, said), "{name}: said {said}, kept {kept}");
        }
        answer["id"].as_str().unwrap().to_owned()
    }

    /// Reads, lists and writes back; a write with the revision of before is refused.
    async fn handle(&self, made: &Made, id: &str) {
        let collection = made.collection;
        let path = format!("{collection}/{id}");
        let (_, mut read) = self.ask(Method::GET, &path, None).await;
        for query in ["", "?page_size=1&sort_by=display_name&sort_ascending=true"] {
            let (status, _) = self
                .ask(Method::GET, &format!("{collection}{query}"), None)
                .await;
            assert_eq!(status, 200);
        }
        if made.body.get("psk").is_some() {
            read["psk"] = made.body["psk"].clone();
        }
        assert_eq!(self.ask(Method::PUT, &path, Some(&read)).await.0, 200);
        assert_eq!(self.ask(Method::PUT, &path, Some(&read)).await.0, 412);
    }
}

/// Whether everything that was said is there, whatever the server has added to it.
fn holds(kept: &Value, said: &Value) -> bool {
    match (kept, said) {
        (Value::Object(kept), Value::Object(said)) => said
            .iter()
            .all(|(name, said)| kept.get(name).is_some_and(|kept| holds(kept, said))),
        (Value::Array(kept), Value::Array(said)) => {
            kept.len() == said.len() && kept.iter().zip(said).all(|(kept, said)| holds(kept, said))
        }
        (kept, said) => kept == said,
    }
}

struct Made {
    collection: &'static str,
    schema: &'static str,
    body: Value,
}

fn made(collection: &'static str, schema: &'static str, body: Value) -> Made {
    Made {
        collection,
        schema,
        body,
    }
}

fn profiles() -> [Made; 3] {
    [
        made(
            "ike-profiles",
            "IPSecVPNIKEProfile",
            json!({
                "ike_version": "IKE_V2", "encryption_algorithms": ["AES_256", "AES_GCM_192"],
                "digest_algorithms": ["SHA2_512", "SHA1"], "dh_groups": ["GROUP21", "GROUP14"],
                "sa_life_time": 31_536_000,
            }),
        ),
        made(
            "tunnel-profiles",
            "IPSecVPNTunnelProfile",
            json!({
                "encryption_algorithms": ["NO_ENCRYPTION_AUTH_AES_GMAC_256"], "digest_algorithms": ["SHA2_384"],
                "dh_groups": ["GROUP2"], "enable_perfect_forward_secrecy": false, "df_policy": "CLEAR",
                "sa_life_time": 900,
            }),
        ),
        made(
            "dpd-profiles",
            "IPSecVPNDPDProfile",
            json!({
                "dpd_probe_mode": "ON_DEMAND", "dpd_probe_interval": 10, "enabled": false, "retry_count": 3,
            }),
        ),
    ]
}

fn service() -> Made {
    let rule = json!({ "sources": [{ "subnet": "10.9.0.0/16" }], "destinations": [{ "subnet": "10.8.0.1/32" }] });
    let body = json!({
        "logical_router_id": inventory::FREE_ROUTER_ID, "enabled": true, "ipsec_ha_sync": false,
        "ike_log_level": "EMERGENCY", "bypass_rules": [rule],
    });
    made("services", "IPSecVPNService", body)
}

fn local_endpoint(service: &str) -> Made {
    let body = json!({
        "ipsec_vpn_service_id": { "target_id": service }, "local_address": "2001:db8::1", "local_id": "head.example",
        "certificate_id": "certificate", "trust_ca_ids": ["authority"], "trust_crl_ids": ["revoked"],
    });
    made("local-endpoints", "IPSecVPNLocalEndpoint", body)
}

fn peer_endpoint(profiles: &[String]) -> Made {
    let body = json!({
        "peer_address": "203.0.113.7", "peer_id": "branch.example", "authentication_mode": "PSK",
        "psk": "canary-psk-5f0c", "connection_initiation_mode": "ON_DEMAND", "ike_profile_id": profiles[0],
        "ipsec_tunnel_profile_id": profiles[1], "dpd_profile_id": profiles[2],
    });
    made("peer-endpoints", "IPSecVPNPeerEndpoint", body)
}

fn sessions(local: &str, peer: &str) -> [Made; 2] {
    let either = json!({
        "local_endpoint_id": local, "peer_endpoint_id": peer, "enabled": true,
        "tcp_mss_clamping": { "direction": "BOTH", "max_segment_size": 1_300 },
    });
    let with = |schema, field: &str, parts: Value| {
        let mut body = either.clone();
        body["resource_type"] = json!(schema);
        body[field] = parts;
        made("sessions", schema, body)
    };
    let rule = json!({
        "sources": [{ "subnet": "10.1.0.0/24" }], "destinations": [{ "subnet": "10.2.0.0/24" }], "enabled": true,
        "logged": true,
    });
    let port = json!({ "ip_subnets": [{ "ip_addresses": ["169.254.0.1"], "prefix_length": 30 }] });
    [
        with("RouteBasedIPSecVPNSession", "tunnel_ports", json!([port])),
        with("PolicyBasedIPSecVPNSession", "policy_rules", json!([rule])),
    ]
}

/// What the server says of an object, or a session of itself.
const SERVERS_OWN: [&str; 2] = ["id", "resource_type"];

/// What is not simulated.
const ABSENT: [&str; 2] = [
    "GET /api/v1/vpn/services/{service-id}/summary",
    "GET sessions/summary",
];

#[tokio::test]
async fn every_collection_is_what_the_description_knows() {
    // reqwest asks for a TLS provider even where no TLS is spoken; another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let simulator = NsxSimulator::start(NsxOptions::default()).unwrap();
    let recorder = Recorder::before(simulator.manager(0).addr());
    let curl = Curl {
        client: Client::new(),
        base: recorder.url(),
        options: NsxOptions::default(),
    };
    let description = Description::read();

    let mut all = Vec::new();
    for made in profiles() {
        all.push((curl.make(&description, &made).await, made));
    }
    let profiles: Vec<_> = all.iter().map(|(id, _)| id.clone()).collect();
    let service = service();
    let service = (curl.make(&description, &service).await, service);
    let local = local_endpoint(&service.0);
    let local = (curl.make(&description, &local).await, local);
    let peer = peer_endpoint(&profiles);
    let peer = (curl.make(&description, &peer).await, peer);
    let sessions = sessions(&local.0, &peer.0);
    all.extend([service, local, peer]);
    for made in sessions {
        all.push((curl.make(&description, &made).await, made));
    }
    for (id, made) in &all {
        curl.handle(made, id).await;
    }
    for (id, _) in all.iter().filter(|(_, made)| made.collection == "sessions") {
        simulator.state().finish(id);
        simulator
            .state()
            .set_tunnel(id, Some(Tunnel::degraded(1, 0)));
        for (method, question) in [
            (Method::GET, "state"),
            (Method::GET, "status?source=cached"),
            (Method::GET, "statistics?source=realtime"),
            (Method::POST, "statistics?action=reset"),
        ] {
            let path = format!("sessions/{id}/{question}");
            assert_eq!(curl.ask(method, &path, None).await.0, 200, "{question}");
        }
    }
    // What is used stays; what uses it goes first.
    for (id, made) in &all {
        let path = format!("{}/{id}", made.collection);
        if made.collection != "sessions" {
            assert_eq!(curl.ask(Method::DELETE, &path, None).await.0, 400, "{path}");
        }
    }
    for (id, made) in all.iter().rev() {
        let path = format!("{}/{id}", made.collection);
        assert_eq!(curl.ask(Method::DELETE, &path, None).await.0, 200, "{path}");
        assert_eq!(curl.ask(Method::GET, &path, None).await.0, 404, "{path}");
    }

    let (mut met, mut faults) = (BTreeSet::new(), Vec::new());
    for exchange in recorder.exchanges() {
        match description.examine(&exchange) {
            Ok(operation) => drop(met.insert(operation)),
            Err(found) => faults.extend(found),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    met.extend(ABSENT.map(str::to_owned));
    assert_eq!(met, description.operations());
}
