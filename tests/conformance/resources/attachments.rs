//! What a VPN can be attached to, and what a connection has carried.

use super::assert_refused;
use crate::support::site::{BACKEND, Cloud, Site, World};
use isthmus::simulator::nsx::inventory;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tonic::{Code, Status};

async fn list(site: &Site, backend: &str, request: &Value) -> Result<Value, Status> {
    let mut request = request.clone();
    request["parent"] = json!(format!("backends/{backend}"));
    site.api
        .call("TopologyService/ListAttachments", &request)
        .await
}

async fn walk(site: &Site, size: u32, request: &Value) -> Vec<Value> {
    let (mut found, mut request) = (Vec::new(), request.clone());
    request["page_size"] = json!(size);
    loop {
        let mut page = list(site, BACKEND, &request).await.unwrap();
        if let Value::Array(mut items) = page["attachments"].take() {
            assert!(items.len() <= size as usize);
            found.append(&mut items);
        }
        match page["next_page_token"].take() {
            Value::Null => return found,
            token => request["page_token"] = token,
        }
        assert!(found.len() < 1000, "the list does not end");
    }
}

fn ids(found: &[Value]) -> BTreeSet<&str> {
    found.iter().map(|it| it["id"].as_str().unwrap()).collect()
}

/// Everything is there once, with why it cannot be used where it cannot; and the ids are what a service takes.
pub async fn check(site: &Site) {
    let all = walk(site, 1000, &json!({})).await;
    assert!(!all.is_empty());
    for size in [1, 2] {
        assert_eq!(
            walk(site, size, &json!({})).await,
            all,
            "in pages of {size}"
        );
    }
    for it in &all {
        assert_eq!(it["backend"], format!("backends/{BACKEND}"), "{it}");
        assert!(
            it["kind"].is_string() && it["display_name"].is_string(),
            "{it}"
        );
        assert_ne!(it["usable"] == true, it["reason"].is_string(), "{it}");
    }
    let of = |kind: &str| json!({ "filter": format!("kind=KIND_{kind}") });
    let routers = walk(site, 2, &of("ROUTER")).await;
    let usable = walk(
        site,
        2,
        &json!({ "filter": "kind=KIND_ROUTER AND usable=true" }),
    )
    .await;
    match &site.cloud {
        Cloud::Nsx(_) => {
            let known = [
                inventory::LOGICAL_ROUTER_ID,
                inventory::FREE_ROUTER_ID,
                inventory::ACTIVE_ACTIVE_ROUTER_ID,
            ];
            assert_eq!(ids(&routers), BTreeSet::from(known));
            assert!(
                ids(&usable).contains(inventory::FREE_ROUTER_ID),
                "{usable:?}"
            );
            assert!(
                !ids(&usable).contains(inventory::ACTIVE_ACTIVE_ROUTER_ID),
                "{usable:?}"
            );
            assert_eq!(routers.len(), all.len());
        }
        Cloud::Openstack(cloud) => {
            let inventory = cloud.inventory();
            let known = [
                inventory.project.router_id,
                inventory.router_without_gateway,
                inventory.spare_router_id,
            ];
            assert_eq!(ids(&routers), BTreeSet::from(known));
            assert_eq!(ids(&usable), BTreeSet::from([known[0], known[2]]));
            let subnets = walk(site, 2, &of("SUBNET")).await;
            assert_eq!(subnets.len() + routers.len(), all.len());
            assert!(ids(&subnets).contains(inventory.project.subnet_id));
            let filter = format!("parent_id={}", inventory.spare_router_id);
            let behind = walk(site, 2, &json!({ "filter": filter })).await;
            assert_eq!(ids(&behind), BTreeSet::from([inventory.spare_subnet_id]));
            let mine = routers
                .iter()
                .find(|it| it["id"] == inventory.project.router_id)
                .unwrap();
            // K5 is of an age in which routers did not tell their addresses.
            let told = mine["addresses"].as_array().map_or(0, Vec::len);
            let wanted = if site.world == World::K5 { 0 } else { 2 };
            assert_eq!(told, wanted, "{mine}");
        }
    }
    let down = walk(site, 2, &json!({ "order_by": "display_name desc" })).await;
    let names: Vec<&str> = down
        .iter()
        .map(|it| it["display_name"].as_str().unwrap())
        .collect();
    assert!(names.is_sorted_by(|one, next| one >= next), "{names:?}");
    let everywhere = list(site, "-", &json!({ "page_size": 1000 }))
        .await
        .unwrap();
    assert_eq!(everywhere["attachments"], json!(all));
    let answer = list(site, BACKEND, &json!({ "filter": "colour=red" })).await;
    assert_refused(
        answer,
        Code::InvalidArgument,
        "INVALID_FIELD",
        &["filter".to_owned()],
    );
    assert_eq!(site.writes(), 0);
    statistics(site).await;
}

/// Only NSX tells what a connection has carried.
async fn statistics(site: &Site) {
    let name = format!("backends/{BACKEND}/connections/00000000-0000-4000-8000-000000000000");
    let request = json!({ "name": name });
    let answer = site
        .api
        .call("RealizationService/GetTunnelStatistics", &request)
        .await;
    let tells = site.api.capabilities(BACKEND).await["tunnel_statistics"] == true;
    assert_eq!(tells, site.world == World::Nsx);
    if tells {
        assert_refused(answer, Code::NotFound, "CONNECTION_NOT_FOUND", &[]);
    } else {
        assert_refused(answer, Code::Unimplemented, "KIND_ABSENT", &[]);
    }
}
