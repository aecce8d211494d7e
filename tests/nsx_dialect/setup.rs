//! A simulated NSX with its dialect, and what a test asks of them.

use crate::support::{
    cloud::{Bound, Cloud},
    clouds::PSK,
};
use http::{Method, StatusCode};
use isthmus::{
    core::dialect::{Proof, Target, Written},
    model::{Authentication, ConnectionChange, ConnectionSpec, PolicyRule, Psk, Selectors},
    simulator::{
        faults::{Answer, Fault, Rule},
        nsx::{Kind, NsxOptions, NsxSimulator, inventory},
    },
};
use serde_json::json;
use std::time::Duration;

pub type Nsx = Bound<NsxSimulator>;

pub fn start(options: NsxOptions, kind: &str) -> Nsx {
    let cloud = NsxSimulator::start(options).unwrap();
    let mut settings = cloud.settings("nsx");
    settings.core.timeout = Duration::from_secs(5);
    settings.keys.set("auth.kind", kind);
    settings.keys.set("auth.token", "not-a-real-token");
    Bound::to(cloud, &settings)
}

pub fn nsx() -> Nsx {
    start(NsxOptions::default(), "basic")
}

pub fn spec() -> ConnectionSpec {
    ConnectionSpec {
        display_name: "branch 42".to_owned(),
        description: "to the branch".to_owned(),
        local_endpoint: Some(inventory::LOCAL_ENDPOINT_ID.to_owned()),
        peer_address: "203.0.113.7".to_owned(),
        authentication: Some(Authentication::Psk(Psk::new(PSK))),
        selectors: Some(Selectors::Rules(vec![PolicyRule {
            sources: vec!["10.0.0.0/24".to_owned()],
            destinations: vec!["10.1.0.0/24".to_owned(), "2001:db8::/64".to_owned()],
            ..PolicyRule::default()
        }])),
        ..ConnectionSpec::default()
    }
}

impl Nsx {
    pub async fn make(&self) -> Written {
        self.create(&spec()).await.unwrap()
    }

    pub async fn updated(&self, written: &Written, change: ConnectionChange) -> Written {
        self.update(&written.id, &change).await.unwrap()
    }

    /// Does what is given to the first answer of a kind.
    pub fn once(&self, method: Method, path: &str, fault: Fault) {
        let rule = Rule::on(method, path, fault).times(1);
        self.cloud.faults().inject(rule);
    }

    pub fn asked(&self, method: Method, path: &str) -> usize {
        let seen = self.cloud.all_requests();
        let path = format!("/api/v1/vpn/ipsec/{path}");
        seen.iter()
            .filter(|seen| seen.method == method && seen.path == path)
            .count()
    }

    pub fn made(&self) -> (usize, usize) {
        let state = self.cloud.state();
        (state.count(Kind::PeerEndpoint), state.count(Kind::Session))
    }
}

pub fn ids(written: &Written) -> Vec<String> {
    match &written.proof {
        Proof::RequestIds(ids) => ids.clone(),
        other => panic!("{other:?}"),
    }
}

pub fn target_of(written: &Written) -> Target {
    Target {
        id: written.id.clone(),
        request_ids: ids(written),
        admin_enabled: Some(true),
        ..Target::default()
    }
}

pub fn refusal(status: u16, code: i64) -> Fault {
    let body = json!({ "httpStatus": "x", "error_code": code, "error_message": "made up" });
    Fault::Answer(Answer::json(StatusCode::from_u16(status).unwrap(), &body))
}

pub fn page_of_html(status: u16) -> Fault {
    let status = StatusCode::from_u16(status).unwrap();
    Fault::Answer(Answer::text(status, "text/html", "<html>no</html>"))
}
