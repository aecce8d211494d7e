//! Writes, and the ledger: a simulated NSX on which they go wrong.

use crate::{
    page::Page,
    support::{
        cloud::{self, Cloud},
        running::{HEARTBEAT, install_provider},
        setup::{SECOND, soon},
    },
};
use http::{Method, StatusCode};
use isthmus::{
    core::{gateway::Gateway, request_id::How},
    dialects,
    model::{BackendName, ConnectionName, NewConnection},
    simulator::{
        faults::{Answer, Fault, Gate, Rule},
        nsx::Kind,
    },
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

const BACKEND: &str = "isthmus.backend";
const ACTION: &str = "isthmus.action";
const RESULT: &str = "isthmus.result";
const STATE: &str = "isthmus.state";
const OF: (&str, &str) = (BACKEND, "written");

/// Sees that there are so many writes in this state, before long.
async fn entries(state: &'static str, count: u32) {
    let labels = [OF, (STATE, state)];
    let begun = Instant::now();
    while Page::read()
        .get("isthmus.ledger.entries", &labels)
        .unwrap()
        .value
        != f64::from(count)
    {
        assert!(begun.elapsed() < SECOND * 30, "{state}: not {count}");
        sleep(Duration::from_millis(5)).await;
    }
    Page::read().says("isthmus.ledger.entries", &labels, count);
}

fn writes(action: &str, result: &str, count: u32) {
    let labels = [OF, (ACTION, action), (RESULT, result)];
    Page::read().says("isthmus.writes", &labels, count);
}

pub async fn writes_by_how_they_end() {
    install_provider();
    let cloud = cloud::nsx();
    let given = cloud.settings("written");
    let dialect = dialects::connect(&given).unwrap();
    let backend: BackendName = given.core.name.clone();
    let gateway = Gateway::start(vec![(given.core, dialect)], HEARTBEAT);
    let wanted = NewConnection {
        spec: cloud.spec(),
        ..NewConnection::default()
    };
    let create = async || {
        let how = How::default();
        gateway.create(&backend, wanted.clone(), how, soon()).await
    };
    let gate = Gate::default();
    let hold = Rule::on(Method::POST, "/sessions$", Fault::Hold(gate.clone()));
    cloud.faults().inject(hold.times(1));
    let (made, ()) = tokio::join!(create(), async {
        gate.reached(1).await;
        entries("running", 1).await;
        gate.open();
    });
    let name: ConnectionName = made.unwrap().name.unwrap();
    entries("running", 0).await;
    writes("create", "succeeded", 1);

    // Refused, with nothing left of it.
    let refusal = Answer::json(
        StatusCode::BAD_REQUEST,
        &serde_json::json!({ "error_code": 1 }),
    );
    let refuse =
        |method: Method, path: &str| Rule::on(method, path, Fault::Answer(refusal.clone()));
    cloud
        .faults()
        .inject(refuse(Method::POST, "/sessions$").times(1));
    create().await.unwrap_err();
    writes("create", "failed", 1);

    // Refused, and what was made before cannot be removed for a while.
    cloud
        .faults()
        .inject(refuse(Method::POST, "/sessions$").times(1));
    let broken = Answer::status(StatusCode::INTERNAL_SERVER_ERROR);
    cloud.faults().inject(Rule::on(
        Method::DELETE,
        "/peer-endpoints/",
        Fault::Answer(broken),
    ));
    create().await.unwrap_err();
    entries("settling", 1).await;
    writes("create", "undone", 0);
    cloud.faults().clear();
    entries("undone", 1).await;
    entries("settling", 0).await;
    writes("create", "undone", 1);
    writes("create", "failed", 1);
    assert_eq!(cloud.state().count(Kind::PeerEndpoint), 1);

    let deleted = gateway
        .delete(&name, None, false, How::default(), soon())
        .await;
    deleted.unwrap();
    writes("delete", "succeeded", 1);
    let missing = gateway
        .delete(&name, None, true, How::default(), soon())
        .await;
    missing.unwrap();
    writes("delete", "succeeded", 2);
    let missing = gateway
        .delete(&name, None, false, How::default(), soon())
        .await;
    missing.unwrap_err();
    writes("delete", "failed", 1);
    let _: Arc<Gateway> = gateway;
}
