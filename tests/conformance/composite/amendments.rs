//! A description applied to a connection that is there: each request of it goes wrong in every way, and it is done whole or not
//! at all. What was left out then is done by the next.

use super::{Bench, id_of};
use crate::{
    composite::{
        changes::told_by,
        faults::{Cell, Count, every},
        made::tried,
        writes_of,
    },
    support::site::{BACKEND, World},
};
use serde_json::{Value, json};
use tokio::time::Instant;
use tonic::{Code, Status};

/// What another description differs in, beside the connection.
const LIFETIME: &str = "43200s";

/// What asks for what [`Bench::inline`] makes, to be so.
async fn described(bench: &Bench) -> Value {
    bench.inline(1).await
}

/// Another peer with another network, and where policies can be changed while they are used, other policies: changes of nearly
/// all that it consists of.
fn amended(bench: &Bench, described: &Value) -> Value {
    let mut request = described.clone();
    request["connection"]["peer"]["address"] = json!("198.51.100.99");
    request["connection"]["policy_based"] =
        bench.connection("192.168.88.0/24")["policy_based"].clone();
    if has_new_policies(bench) {
        for policy in ["ike_policy", "ipsec_policy"] {
            request["parts"][policy]["lifetime"] = json!({ "time": LIFETIME });
        }
    }
    request
}

/// Neutron changes no policy that a connection uses.
fn has_new_policies(bench: &Bench) -> bool {
    bench.world() == World::Nsx
}

async fn apply(bench: &Bench, request: &Value) -> Result<Value, Status> {
    let api = bench.site.api.within(super::PATIENCE);
    api.call("ConnectionService/ApplyConnection", request).await
}

/// What an amendment is told by: the connection as its cloud has it, and the lifetimes of its policies.
async fn stands(bench: &Bench, made: &Value) -> Value {
    let method = "ConnectionService/ExportConnection";
    let request = json!({ "name": made["name"] });
    let deadline = Instant::now() + super::SETTLES;
    // A cloud of many at a time may be late, which is no matter of this one.
    let answer = loop {
        match bench.site.api.call(method, &request).await {
            Ok(answer) => break answer,
            Err(why) => assert!(Instant::now() < deadline, "{why:?}"),
        }
    };
    let parts = &answer["site"]["parts"];
    let lifetime = |policy: &str| parts[policy]["lifetime"]["time"].clone();
    let (name, address, networks) = told_by(bench, made);
    json!([
        name,
        address,
        networks,
        lifetime("ike_policy"),
        lifetime("ipsec_policy")
    ])
}

/// As [`amended`] wants it.
fn as_amended(bench: &Bench, before: &Value) -> Value {
    let mut wanted = before.clone();
    wanted[1] = json!("198.51.100.99");
    wanted[2] = json!(["192.168.88.0/24"]);
    if has_new_policies(bench) {
        wanted[3] = json!(LIFETIME);
        wanted[4] = json!(LIFETIME);
    }
    wanted
}

#[tokio::test]
async fn whatever_fails_of_an_amendment_is_done_or_not() {
    let mut steps = Vec::new();
    for world in World::ALL {
        let bench = Bench::start(world).await;
        let request = described(&bench).await;
        bench.made(&request).await;
        let planned = apply(&bench, &tried(&amended(&bench, &request)))
            .await
            .unwrap();
        assert_eq!(planned["result"], "RESULT_CHANGED", "{planned}");
        steps.push((world, writes_of(&planned["plan"]).len()));
    }
    let count = Count {
        plain_run: 90,
        all: 252,
    };
    every(&steps, count, amend).await;
}

async fn amend(cell: Cell) {
    let bench = cell.start().await;
    let request = described(&bench).await;
    let made = bench.made(&request).await;
    let (before, whole) = (stands(&bench, &made).await, bench.objects().len());
    let request = amended(&bench, &request);
    let planned = apply(&bench, &tried(&request)).await.unwrap();
    let (hits, name) = cell.strike_planned(&bench, &planned["plan"]);
    let answer = apply(&bench, &request).await;
    cell.goes_on(&bench).await;
    assert_eq!(hits.count(), 1, "{name}");
    bench.is_at_rest(&name).await;
    bench.settle(&made);

    let (after, wanted) = (stands(&bench, &made).await, as_amended(&bench, &before));
    match &answer {
        Ok(_) => assert_eq!(after, wanted, "{name}"),
        Err(_) => assert!(after == before || after == wanted, "{name}: {after}"),
    }
    assert_eq!(
        bench.objects().len(),
        whole,
        "{name}: {:?}",
        bench.objects()
    );
    assert_eq!(left_of(&bench).await, Vec::<Value>::new(), "{name}");

    // Nothing stands in the way of the next, which does what this one did not.
    let deadline = Instant::now() + super::SETTLES;
    // A cloud that was throttled a moment ago may have its callers wait, who are told when to come again.
    let again = loop {
        match apply(&bench, &request).await {
            Ok(again) => break again,
            Err(why) => assert!(
                why.code() == Code::Unavailable && Instant::now() < deadline,
                "{name}: {why:?}"
            ),
        }
    };
    let result = if after == wanted {
        "RESULT_UNCHANGED"
    } else {
        "RESULT_CHANGED"
    };
    assert_eq!(again["result"], result, "{name}");
    bench.settle(&made);
    assert_eq!(stands(&bench, &made).await, wanted, "{name}");
    let connections = bench
        .objects()
        .into_iter()
        .filter(|(it, _)| *it == "connections");
    let id = id_of(&made).to_owned();
    assert!(
        connections.into_iter().any(|(_, it)| it == id),
        "{name}: backends/{BACKEND} has another"
    );
}

/// What the backend names as left over.
async fn left_of(bench: &Bench) -> Vec<Value> {
    let told = bench.unfinished().await;
    let leftovers = told.iter().filter_map(|it| it["leftovers"].as_array());
    leftovers.flatten().cloned().collect()
}
