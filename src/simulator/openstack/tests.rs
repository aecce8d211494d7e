//! Tests of the simulator over real sockets, with requests as curl would send them.

mod agent;
mod auth;
mod connections;
mod kinds;
mod listing;
mod lists;
mod network;
mod quotas;
mod recorded;
mod refusals;
mod replayed;
mod variants;

use http::Method;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::simulator::openstack::{Inventory, Login, OpenstackOptions, OpenstackSimulator};

/// A simulator and a client that is logged in to it.
struct Bench {
    cloud: OpenstackSimulator,
    client: reqwest::Client,
    token: String,
    inventory: Inventory,
}

/// One answer, read completely.
#[derive(Debug)]
struct Got {
    status: u16,
    headers: http::HeaderMap,
    text: String,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The status and the error type of a Neutron error.
    fn refusal(&self) -> (u16, String) {
        (
            self.status,
            self.json()["NeutronError"]["type"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    }
}

impl Bench {
    /// Starts a simulator and logs in as the member of its project.
    async fn new(options: OpenstackOptions) -> Self {
        // reqwest needs a TLS provider even without TLS. Another test may have installed it first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let cloud = OpenstackSimulator::start(options).unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let inventory = cloud.inventory();
        let mut bench = Self {
            cloud,
            client,
            token: String::new(),
            inventory,
        };
        bench.token = bench.log_in(&bench.inventory.member, Some("demo")).await;
        bench
    }

    async fn log_in(&self, login: &Login, project: Option<&str>) -> String {
        let got = self.post_tokens(&password(login, project)).await;
        assert_eq!(got.status, 201, "{}", got.text);
        got.headers["x-subject-token"].to_str().unwrap().to_owned()
    }

    async fn post_tokens(&self, body: &Value) -> Got {
        let url = format!("{}/v3/auth/tokens", self.cloud.keystone_url());
        got(self.client.post(url).json(body)).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Got {
        self.call_as(&self.token, method, path, body).await
    }

    async fn call_as(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> Got {
        let url = format!("{}{path}", self.cloud.neutron_url());
        let request = self
            .client
            .request(method, url)
            .header("x-auth-token", token);
        got(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    }

    async fn get(&self, path: &str) -> Got {
        self.call(Method::GET, path, None).await
    }

    /// The body of a minimal connection, overridden by these attributes. Null removes an attribute.
    fn wanted(&self, over: Value) -> Value {
        let owned = &self.inventory.project;
        let mut wanted = json!({
            "vpnservice_id": owned.service_id, "ikepolicy_id": owned.ike_policy_id,
            "ipsecpolicy_id": owned.ipsec_policy_id, "local_ep_group_id": owned.local_group_id,
            "peer_ep_group_id": owned.peer_group_id, "peer_address": "198.51.100.20", "peer_id": "198.51.100.20",
            "psk": "correct-horse",
        });
        for (name, value) in over.as_object().unwrap() {
            match value {
                Value::Null => drop(wanted.as_object_mut().unwrap().remove(name)),
                value => wanted[name] = value.clone(),
            }
        }
        json!({"ipsec_site_connection": wanted})
    }

    async fn create(&self, over: Value) -> Got {
        self.call(Method::POST, CONNECTIONS, Some(self.wanted(over)))
            .await
    }

    /// Creates a connection, which must succeed, and returns its id.
    async fn created(&self, over: Value) -> String {
        let got = self.create(over).await;
        assert_eq!(got.status, 201, "{}", got.text);
        got.json()["ipsec_site_connection"]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    async fn put(&self, id: &str, over: Value) -> Got {
        let body = json!({"ipsec_site_connection": over});
        self.call(Method::PUT, &format!("{CONNECTIONS}/{id}"), Some(body))
            .await
    }
}

const CONNECTIONS: &str = "/v2.0/vpn/ipsec-site-connections";

fn password(login: &Login, project: Option<&str>) -> Value {
    let user = json!({"name": login.name, "domain": {"id": "default"}, "password": login.password});
    let mut auth = json!({"identity": {"methods": ["password"], "password": {"user": user}}});
    if let Some(project) = project {
        auth["scope"] = json!({"project": {"name": project, "domain": {"id": "default"}}});
    }
    json!({"auth": auth})
}

async fn got(request: reqwest::RequestBuilder) -> Got {
    let answer = request.send().await.unwrap();
    let (status, headers): (StatusCode, _) = (answer.status(), answer.headers().clone());
    Got {
        status: status.as_u16(),
        headers,
        text: answer.text().await.unwrap(),
    }
}
