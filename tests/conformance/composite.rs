//! Writes of several objects: a connection made with everything that it needs, changed and removed, on every cloud, through
//! the whole gateway and in protobuf's JSON, as a client has it.
//!
//! `faults` goes through what can happen to each request on all clouds: in a plain run each trouble strikes every third
//! request of a write, with `COMPOSITES=all cargo test --test conformance whatever_fails` each.
//!
//! What it is made of comes out of the backend's own capabilities (`support::values`).

mod amendments;
mod changes;
mod faults;
mod made;
mod reuse;
mod trouble;

use crate::support::{
    api::words,
    clouds::PSK,
    site::{BACKEND, Cloud, Site, World},
    values::Taken,
};
use http::Method;
use isthmus::{
    model::ResourceKind,
    simulator::{nsx, openstack},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::{Instant, sleep};
use tonic::Status;

/// What can come as a part, in the order in which it is made.
const PARTS: [ResourceKind; 5] = [
    ResourceKind::IkePolicy,
    ResourceKind::IpsecPolicy,
    ResourceKind::DpdPolicy,
    ResourceKind::VpnService,
    ResourceKind::LocalEndpoint,
];

/// What a connection with everything inline consists of, in the order in which it is made.
fn consists_of(world: World) -> &'static [&'static str] {
    match world {
        World::Nsx => &[
            "ikePolicies",
            "ipsecPolicies",
            "dpdPolicies",
            "vpnServices",
            "localEndpoints",
            "peerEndpoints",
            "connections",
        ],
        World::Neutron | World::Newest | World::Otc => &[
            "ikePolicies",
            "ipsecPolicies",
            "vpnServices",
            "endpointGroups",
            "endpointGroups",
            "connections",
        ],
        World::K5 => &["ikePolicies", "ipsecPolicies", "vpnServices", "connections"],
    }
}

/// How many of them are the connection's own, and no part.
fn own(world: World) -> usize {
    match world {
        World::Nsx => 2,
        World::Neutron | World::Newest | World::Otc => 3,
        World::K5 => 1,
    }
}

/// The collection that a cloud calls so in its paths.
fn collection_of(segment: &str) -> &'static str {
    match segment {
        "ike-profiles" | "ikepolicies" => "ikePolicies",
        "tunnel-profiles" | "ipsecpolicies" => "ipsecPolicies",
        "dpd-profiles" => "dpdPolicies",
        "services" | "vpnservices" => "vpnServices",
        "local-endpoints" => "localEndpoints",
        "peer-endpoints" => "peerEndpoints",
        "endpoint-groups" => "endpointGroups",
        "sessions" | "ipsec-site-connections" => "connections",
        other => panic!("{other} is no collection"),
    }
}

fn collection(kind: openstack::Kind) -> &'static str {
    match kind {
        openstack::Kind::Connection => "connections",
        openstack::Kind::IkePolicy => "ikePolicies",
        openstack::Kind::IpsecPolicy => "ipsecPolicies",
        openstack::Kind::VpnService => "vpnServices",
        openstack::Kind::EndpointGroup => "endpointGroups",
    }
}

/// An object of a cloud: its collection and its id.
type Object = (&'static str, String);

/// A write that a cloud was asked for: the action, the collection, and the id of what was there already.
type Wrote = (&'static str, String, Option<String>);

/// A gateway over one cloud.
struct Bench {
    site: Site,
}

impl Bench {
    async fn start(world: World) -> Bench {
        Bench {
            site: Site::start(world).await,
        }
    }

    fn world(&self) -> World {
        self.site.world
    }

    /// All parts that the cloud has, as they can be made beside each other.
    async fn parts(&self, number: usize) -> Value {
        let mut parts = json!({});
        for kind in PARTS {
            let Some(taken) = Taken::read(&self.site, kind).await else {
                continue;
            };
            let mut part = taken.whole(number);
            let fields = part.as_object_mut().unwrap();
            match (kind, self.world()) {
                (ResourceKind::LocalEndpoint, _) => drop(fields.remove("vpn_service")),
                // A service without a subnet is the one whose connections have endpoint groups.
                (ResourceKind::VpnService, World::Neutron | World::Newest | World::Otc) => {
                    fields.remove("subnet");
                }
                _ => {}
            }
            parts[words(kind).field] = part;
        }
        parts
    }

    /// A connection that refers to nothing.
    fn connection(&self, peer_network: &str) -> Value {
        // On OpenStack: a subnet on the router of the service, which on K5 is that of the service.
        let rule = json!({ "sources": ["10.10.1.0/24"], "destinations": [peer_network] });
        json!({
            "display_name": "branch 42",
            "peer": { "address": "198.51.100.20", "psk": PSK },
            "policy_based": { "rules": [rule] },
        })
    }

    /// What asks for a connection with everything inline.
    async fn inline(&self, number: usize) -> Value {
        json!({
            "parent": format!("backends/{BACKEND}"),
            "connection": self.connection("192.168.77.0/24"),
            "parts": self.parts(number).await,
        })
    }

    async fn create(&self, request: &Value) -> Result<Value, Status> {
        let api = self.site.api.within(PATIENCE);
        api.call("ConnectionService/CreateConnection", request)
            .await
    }

    /// Makes it, and lets it come to rest; the connection.
    async fn made(&self, request: &Value) -> Value {
        let answer = self.create(request).await;
        let answer = answer.unwrap_or_else(|error| panic!("{error:?}: {request}"));
        let connection = answer["connection"].clone();
        self.settle(&connection);
        connection
    }

    /// The cloud has done its work on it.
    fn settle(&self, connection: &Value) {
        let id = id_of(connection);
        match &self.site.cloud {
            Cloud::Nsx(cloud) => cloud.state().finish(id),
            Cloud::Openstack(cloud) => {
                cloud.state().agent_reports(id, "DOWN");
                cloud.state().agent_reports(id, "ACTIVE");
            }
        }
    }

    async fn get(&self, connection: &Value) -> Result<Value, Status> {
        let request = json!({ "name": connection["name"] });
        let method = "ConnectionService/GetConnection";
        let mut answer = self.site.api.call(method, &request).await?;
        Ok(answer["connection"].take())
    }

    async fn update(&self, request: &Value) -> Result<Value, Status> {
        let api = self.site.api.within(PATIENCE);
        api.call("ConnectionService/UpdateConnection", request)
            .await
    }

    async fn delete(&self, connection: &Value) -> Result<Value, Status> {
        let request = json!({ "name": connection["name"] });
        self.delete_as(&request).await
    }

    async fn delete_as(&self, request: &Value) -> Result<Value, Status> {
        let api = self.site.api.within(PATIENCE);
        api.call("ConnectionService/DeleteConnection", request)
            .await
    }

    /// Everything there is in the cloud, whoever made it.
    fn objects(&self) -> BTreeSet<Object> {
        let of = |collection, ids: Vec<String>| ids.into_iter().map(move |id| (collection, id));
        match &self.site.cloud {
            Cloud::Nsx(cloud) => {
                let ids = |kind| {
                    let all = cloud.state().objects(kind);
                    let id = |it: &Value| it["id"].as_str().unwrap().to_owned();
                    all.iter().map(id).collect()
                };
                let kinds = nsx::Kind::ALL.into_iter();
                kinds
                    .flat_map(|kind| of(collection_of(kind.collection()), ids(kind)))
                    .collect()
            }
            Cloud::Openstack(cloud) => {
                let kinds = openstack::Kind::ALL.into_iter();
                kinds
                    .flat_map(|kind| of(collection(kind), cloud.state().ids(kind)))
                    .collect()
            }
        }
    }

    /// What there is beside `before`, by collection, sorted.
    fn more_than(&self, before: &BTreeSet<Object>) -> Vec<&'static str> {
        let now = self.objects();
        let more = now.difference(before);
        more.map(|(collection, _)| *collection).collect()
    }

    /// Waits until nothing but this is in the cloud, and nothing of it is missing.
    async fn comes_to(&self, wanted: &BTreeSet<Object>, why: &str) {
        let deadline = Instant::now() + SETTLES;
        while self.objects() != *wanted {
            let now = self.objects();
            assert!(
                Instant::now() < deadline,
                "{:?}, {why}: too many {:?}, missing {:?}, told {:?}",
                self.world(),
                now.difference(wanted).collect::<Vec<_>>(),
                wanted.difference(&now).collect::<Vec<_>>(),
                self.unfinished().await,
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// What the backend tells of writes that did not end with their calls.
    async fn unfinished(&self) -> Vec<Value> {
        let request = json!({ "name": format!("backends/{BACKEND}") });
        let answer = self.site.api.call("BackendService/GetBackend", &request);
        let told = answer.await.unwrap()["backend"]["unfinished"].take();
        told.as_array().cloned().unwrap_or_default()
    }

    /// Waits until nothing is left to be found out or done.
    async fn is_at_rest(&self, why: &str) {
        let deadline = Instant::now() + SETTLES;
        loop {
            let unfinished = self.unfinished().await;
            if unfinished.iter().all(|it| it["state"] != "STATE_SETTLING") {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{:?}, {why}: {unfinished:?}",
                self.world()
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The writes that the cloud was asked for so far.
    fn writes(&self) -> Vec<Wrote> {
        let seen = self.site.server().requests().all();
        let writes = seen.iter().filter_map(|seen| {
            let action = match seen.method {
                Method::POST => "ACTION_CREATE",
                Method::PUT => "ACTION_UPDATE",
                Method::DELETE => "ACTION_DELETE",
                _ => return None,
            };
            let path = seen.path.strip_prefix("/api/v1/vpn/ipsec/");
            let path = path.or_else(|| seen.path.strip_prefix("/v2.0/vpn/"))?;
            let (segment, id) = match path.split_once('/') {
                Some((segment, id)) => (segment, Some(id.to_owned())),
                None => (path, None),
            };
            Some((action, collection_of(segment).to_owned(), id))
        });
        writes.collect()
    }

    /// The collections of what was made so far, sorted.
    fn collections_written(&self) -> Vec<String> {
        let writes = self.writes().into_iter();
        let mut made: Vec<String> = writes.map(|(_, collection, _)| collection).collect();
        made.sort_unstable();
        made
    }
}

/// How long a call may take whose answer is lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a write may take to be found out about, finished or undone: a lost POST may be on its way for twice the
/// backend's timeout.
const SETTLES: Duration = Duration::from_secs(45);

fn id_of(resource: &Value) -> &str {
    let name = resource["name"].as_str().unwrap();
    name.rsplit('/').next().unwrap()
}

/// The steps of a plan as the writes that they come to. What is used as it is comes to none.
fn writes_of(plan: &Value) -> Vec<Wrote> {
    let steps = plan.as_array().into_iter().flatten();
    let writes = steps.filter_map(|step| {
        let action = match step["action"].as_str().unwrap() {
            "ACTION_CREATE" => "ACTION_CREATE",
            "ACTION_UPDATE" => "ACTION_UPDATE",
            "ACTION_DELETE" => "ACTION_DELETE",
            "ACTION_REUSE" => return None,
            other => panic!("{other} is no action"),
        };
        let collection = step["collection"].as_str().unwrap().to_owned();
        let id = step["name"].as_str().map(|_| id_of(step).to_owned());
        Some((action, collection, id))
    });
    writes.collect()
}

fn sorted(collections: &[&'static str]) -> Vec<&'static str> {
    let mut sorted = collections.to_vec();
    sorted.sort_unstable();
    sorted
}

macro_rules! worlds {
    ($($world:ident => $variant:ident,)+) => {
        $(mod $world {
            use super::*;

            cases!(World::$variant;
                made::everything_inline_is_made_and_removed,
                made::what_is_planned_is_what_goes_out,
                made::what_is_wrong_is_refused_by_its_part,
                made::what_becomes_of_a_description_is_told,
                reuse::what_the_gateway_made_is_used_again,
                reuse::what_is_there_is_used_if_anything_may_be,
                reuse::what_was_made_alone_stays,
                reuse::the_last_that_uses_parts_takes_them_along,
                changes::a_change_of_several_objects_is_done_or_not,
                changes::a_change_is_tried_again_only_without_an_etag,
                faults::what_could_not_be_undone_is_named_and_undone_later,
            );
        })+

        /// What the suite is held on.
        const WORLDS: &[World] = &[$(World::$variant),+];
    };
}

macro_rules! cases {
    ($world:expr; $($module:ident::$case:ident,)+) => {
        $(#[tokio::test]
        async fn $case() {
            $module::$case($world).await;
        })+
    };
}

worlds! {
    nsx_manager => Nsx,
    openstack_neutron => Neutron,
    openstack_neutron_newest => Newest,
    openstack_otc => Otc,
    openstack_k5 => K5,
}

#[test]
fn no_cloud_is_left_out() {
    assert_eq!(WORLDS, World::ALL);
}
