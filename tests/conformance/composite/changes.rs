//! Changes of what consists of several objects.

use super::{Bench, consists_of, id_of};
use crate::{
    composite::{made::moved, trouble::Trouble},
    support::{
        cloud::peer_of,
        running::reason,
        site::{Cloud, World},
    },
};
use http::Method;
use isthmus::simulator::{
    faults::{Fault, Gate, Rule},
    nsx, openstack,
};
use serde_json::{Value, json};
use tonic::Code;

/// What a change of everything at once is told by: the name, the peer's address and its networks, as the cloud has them.
pub fn told_by(bench: &Bench, connection: &Value) -> (Value, Value, Value) {
    let id = id_of(connection);
    match &bench.site.cloud {
        Cloud::Nsx(cloud) => {
            let session = cloud.state().object(nsx::Kind::Session, id).unwrap();
            let peer = peer_of(cloud, id);
            let peer = cloud
                .state()
                .object(nsx::Kind::PeerEndpoint, &peer)
                .unwrap();
            let networks = session["policy_rules"][0]["destinations"].clone();
            let networks = networks.as_array().unwrap().iter();
            (
                session["display_name"].clone(),
                peer["peer_address"].clone(),
                networks.map(|it| it["subnet"].clone()).collect(),
            )
        }
        Cloud::Openstack(cloud) => {
            let row = cloud.state().row(openstack::Kind::Connection, id).unwrap();
            let networks = match row["peer_ep_group_id"].as_str() {
                Some(group) => {
                    let kind = openstack::Kind::EndpointGroup;
                    cloud.state().row(kind, group).unwrap()["endpoints"].clone()
                }
                None => row["peer_cidrs"].clone(),
            };
            (row["name"].clone(), row["peer_address"].clone(), networks)
        }
    }
}

/// What [`moved`] makes of a connection.
pub fn as_moved() -> (Value, Value, Value) {
    (
        json!("moved"),
        json!("198.51.100.99"),
        json!(["192.168.88.0/24"]),
    )
}

/// A change of several objects is done in all of them; and if the last is refused, in none.
pub async fn a_change_of_several_objects_is_done_or_not(world: World) {
    let bench = Bench::start(world).await;
    let made = bench.made(&bench.inline(1).await).await;
    let (objects, before) = (bench.objects(), told_by(&bench, &made));
    let refused = Trouble::Says(400).fault(world);
    let last = match &bench.site.cloud {
        Cloud::Nsx(_) => "/peer-endpoints/",
        Cloud::Openstack(_) => "/ipsec-site-connections/",
    };
    let rule = Rule::on(Method::PUT, last, refused).times(1);
    let hits = bench.site.faults().inject(rule);
    bench.update(&moved(&bench, &made)).await.unwrap_err();
    assert_eq!(hits.count(), 1);
    bench.settle(&made);
    assert_eq!(told_by(&bench, &made), before);
    assert_eq!(bench.objects(), objects);
    assert_eq!(bench.unfinished().await, Vec::<Value>::new());

    bench.update(&moved(&bench, &made)).await.unwrap();
    bench.settle(&made);
    assert_eq!(told_by(&bench, &made), as_moved());
    bench.is_at_rest("after the change").await;
    assert_eq!(
        bench.objects().len(),
        objects.len(),
        "old groups are removed"
    );

    bench.delete(&made).await.unwrap();
    let left = objects.len() - consists_of(world).len();
    bench.is_at_rest("after the removal").await;
    assert_eq!(bench.objects().len(), left);
}

/// Somebody else writes between the read and the PUT: without an etag the change is planned anew, with one it is ABORTED, and
/// nothing of theirs is lost. A cloud that checks no revision tells by the etag what was written before the read.
pub async fn a_change_is_tried_again_only_without_an_etag(world: World) {
    let bench = Bench::start(world).await;
    let made = bench.made(&bench.inline(1).await).await;
    let id = id_of(&made);
    let rename = |name: &str| {
        let connection = json!({ "name": made["name"], "display_name": name });
        json!({ "connection": connection, "update_mask": "displayName" })
    };
    let mut with_etag = rename("renamed by etag");
    with_etag["connection"]["etag"] = bench.get(&made).await.unwrap()["etag"].clone();
    let error = match &bench.site.cloud {
        Cloud::Nsx(cloud) => {
            let describe = |words: &str| {
                let words = json!({ "description": words });
                cloud.state().alter(nsx::Kind::Session, id, words);
            };
            let edit = during(&bench, || describe("theirs"));
            let (answer, ()) = tokio::join!(bench.update(&with_etag), edit);
            let error = answer.unwrap_err();
            let renamed = rename("renamed");
            let edit = during(&bench, || describe("theirs again"));
            let (answer, ()) = tokio::join!(bench.update(&renamed), edit);
            answer.unwrap();
            let session = cloud.state().object(nsx::Kind::Session, id).unwrap();
            assert_eq!(session["description"], "theirs again");
            error
        }
        Cloud::Openstack(cloud) => {
            let (kind, name) = (openstack::Kind::Connection, Some(json!("theirs")));
            assert!(cloud.state().set_attribute(kind, id, "name", name));
            let writes = bench.writes().len();
            let error = bench.update(&with_etag).await.unwrap_err();
            assert_eq!(bench.writes().len(), writes);
            bench.update(&rename("renamed")).await.unwrap();
            error
        }
    };
    let told = (error.code(), reason(&error));
    assert_eq!(told, (Code::Aborted, "STALE_ETAG".to_owned()));
    assert_eq!(told_by(&bench, &made).0, "renamed");
}

/// Once the next PUT of a session has come, and before it is handled.
async fn during(bench: &Bench, edit: impl FnOnce()) {
    let gate = Gate::default();
    let rule = Rule::on(Method::PUT, "/sessions/", Fault::Hold(gate.clone()));
    bench.site.faults().inject(rule.times(1)).reach(1).await;
    edit();
    gate.open();
}
