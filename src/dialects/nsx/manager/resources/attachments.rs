//! What a VPN can be attached to: logical routers, which are outside the VPN part of the API.

use crate::{
    core::{
        dialect::{Call, Page, PageRequest},
        error::Result,
    },
    dialects::nsx::{
        body::Body,
        client::Client,
        manager::{
            error::{self, Asked},
            read,
            resources::kinds::SERVICES,
        },
        paging::Pages,
    },
    model::{Attachment, AttachmentKind},
    rest::{answer::Answer, json, redact::forget_secrets},
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The path of the API that has the logical routers.
const API: &str = "/api/v1";
const ROUTERS: &str = "logical-routers";

/// Service ids by router id.
type Services = BTreeMap<String, String>;

/// Reads one page of routers, ordered by id.
pub async fn list(client: &Client, request: &PageRequest, call: &Call) -> Result<Page<Attachment>> {
    let pages = Pages {
        api: Some(API),
        collection: ROUTERS,
        narrow: &[],
        granted,
    };
    let page = pages.by_id(client, request, call).await?;
    let services = match page.items.is_empty() {
        true => Services::new(),
        false => services(client, call).await?,
    };
    let attachments = page
        .items
        .iter()
        .map(|router| attachment(router, &services));
    Ok(Page {
        items: attachments.collect(),
        next: page.next,
    })
}

/// Reads the body of a successful answer with a page of routers, or returns what a refusal means.
fn granted(answer: &Answer) -> Result<Value> {
    let granted = error::granted(answer, Asked::Read, &[]);
    match error::is_missing(answer) {
        true => granted.map_err(error::routers_absent),
        false => granted,
    }
}

async fn services(client: &Client, call: &Call) -> Result<Services> {
    let every = |_: &Body| true;
    let (services, _) = read::search(client, SERVICES, every, usize::MAX, call).await?;
    let on_routers = services.iter().filter_map(|service| {
        let router = service.text("logical_router_id")?;
        Some((router, service.id()))
    });
    Ok(on_routers.collect())
}

fn attachment(router: &Body, services: &Services) -> Attachment {
    let mut native = router.object().clone();
    forget_secrets(&mut native);
    Attachment {
        kind: AttachmentKind::Router,
        id: router.id(),
        display_name: router.text("display_name").unwrap_or_default(),
        addresses: floating_addresses(router.object()),
        // A router does not list its networks. Its ports do, one by one.
        networks: Vec::new(),
        parent_id: None,
        unusable: unusable(router, services),
        native,
    }
}

/// Returns why the router cannot have a service. A router must be active-standby, and can have one service (vmware-nsx,
/// `services/vpnaas/nsxv3`).
fn unusable(router: &Body, services: &Services) -> Option<String> {
    const MODE: &str = "ACTIVE_STANDBY";
    let mode = router.text("high_availability_mode");
    let is_fit = mode
        .as_ref()
        .is_some_and(|it| it.eq_ignore_ascii_case(MODE));
    match (services.get(&router.id()), mode) {
        (Some(service), _) => Some(format!(
            "it has the VPN service `{service}`, and a router can have one"
        )),
        (None, _) if is_fit => None,
        (None, Some(mode)) => Some(format!(
            "its high availability mode is {mode}; a VPN service needs {MODE}"
        )),
        (None, None) => Some(format!(
            "it does not say its high availability mode; a VPN service needs {MODE}"
        )),
    }
}

/// Returns the addresses that move with the active node. An active-standby router is reachable at them after any
/// failover.
fn floating_addresses(router: &Map<String, Value>) -> Vec<String> {
    let config = router.get("advanced_config").and_then(Value::as_object);
    let configs = config
        .into_iter()
        .flat_map(|it| list_of(it, "ha_vip_configs"));
    let enabled = configs.filter(|it| json::boolean(it, "enabled") != Some(false));
    let subnets = enabled.flat_map(|it| list_of(it, "ha_vip_subnets"));
    let addresses = subnets.filter_map(|it| it.get("active_vip_addresses")?.as_array());
    let addresses = addresses.flatten().filter_map(Value::as_str);
    addresses.map(str::to_owned).collect()
}

fn list_of<'a>(
    object: &'a Map<String, Value>,
    key: &str,
) -> impl Iterator<Item = &'a Map<String, Value>> {
    let list = object.get(key).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_object)
}
