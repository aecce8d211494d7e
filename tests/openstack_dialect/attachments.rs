//! What a VPN can be attached to.

use crate::{
    setup::{Bench, EVERY_VARIANT, assert_error, settings},
    support::cloud::{call, page},
};
use http::{Method, StatusCode};
use isthmus::{
    core::error::{ErrorKind, ErrorReason},
    dialects,
    model::{Attachment, AttachmentKind},
    simulator::{
        faults::{Answer, Fault, Rule},
        openstack::{Inventory, OpenstackOptions, Series, Variant},
    },
};
use serde_json::json;

const INVENTORY: Inventory = Inventory::fixed();

async fn walk(bench: &Bench, size: u32) -> Vec<Attachment> {
    let mut request = page(size);
    let mut found = Vec::new();
    loop {
        let resources = bench.dialect.resources();
        let page = resources.attachments(&request, &call()).await.unwrap();
        assert!(page.items.len() <= size as usize);
        found.extend(page.items);
        let Some(next) = page.next else { return found };
        request.after = Some(next);
    }
}

/// Id, parent, networks, and whether it can be used, of each.
fn told(found: &[Attachment]) -> Vec<(&str, Option<&str>, Vec<&str>, bool)> {
    let mut told = Vec::new();
    for it in found {
        let networks = it.networks.iter().map(String::as_str).collect();
        let parent = it.parent_id.as_deref();
        told.push((it.id.as_str(), parent, networks, it.unusable.is_none()));
    }
    told
}

#[tokio::test]
async fn routers_and_subnets_are_listed_with_what_is_wrong_with_them() {
    let project = &INVENTORY.project;
    let (router, spare) = (Some(project.router_id), Some(INVENTORY.spare_router_id));
    let expected = [
        (
            project.router_id,
            None,
            vec!["10.10.1.0/24", "10.10.2.0/24", "2001:db8:10::/64"],
            true,
        ),
        (INVENTORY.router_without_gateway, None, vec![], false),
        (INVENTORY.spare_router_id, None, vec!["10.10.3.0/24"], true),
        (project.subnet_id, router, vec!["10.10.1.0/24"], true),
        (project.legacy_subnet_id, router, vec!["10.10.2.0/24"], true),
        (INVENTORY.spare_subnet_id, spare, vec!["10.10.3.0/24"], true),
        (INVENTORY.lone_subnet_id, None, vec!["10.10.4.0/24"], false),
        (project.subnet_v6_id, router, vec!["2001:db8:10::/64"], true),
    ];
    for (variant, series) in [
        (Variant::Neutron, Series::V2026_1),
        (Variant::Neutron, Series::V2026_2),
        (Variant::Otc, Series::V2026_1),
        (Variant::K5, Series::V2026_1),
    ] {
        let bench = Bench::new(OpenstackOptions {
            variant,
            series,
            ..OpenstackOptions::default()
        });
        let found = walk(&bench, 50).await;
        assert_eq!(told(&found), expected, "{variant:?}");
        assert_eq!(found[0].kind, AttachmentKind::Router);
        // K5 does not tell the addresses of a gateway.
        let addresses: &[&str] = match variant {
            Variant::K5 => &[],
            Variant::Neutron | Variant::Otc => &["203.0.113.166", "2001:db8:ffff::166"],
        };
        assert_eq!(found[0].addresses, addresses);
        assert_eq!(found[0].display_name, "demo-router");
        assert_eq!(found[0].native["status"], "ACTIVE");
        assert!(found[1].unusable.as_ref().unwrap().contains("no gateway"));
        assert_eq!(
            (found[3].kind, found[3].addresses.len()),
            (AttachmentKind::Subnet, 0)
        );
        assert!(found[6].unusable.as_ref().unwrap().contains("no router"));
        // However small the pages are, on either side.
        for (cap, size) in [(Some(2), 3), (None, 1)] {
            bench.cloud.state().set_page_cap(cap);
            assert_eq!(walk(&bench, size).await, found, "{size} with {cap:?}");
        }
    }
}

#[tokio::test]
async fn three_lists_tell_of_any_number() {
    let bench = Bench::stock();
    walk(&bench, 50).await;
    let asked: Vec<String> = bench.queries();
    let paths: Vec<&str> = asked.iter().filter_map(|it| it.split('?').next()).collect();
    assert_eq!(paths, ["/v2.0/routers", "/v2.0/subnets", "/v2.0/ports"]);
    assert!(
        asked[2].contains("device_owner=network%3Arouter_interface"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn that_there_is_nothing_is_believed_of_who_sees() {
    for variant in EVERY_VARIANT {
        let bench = Bench::of(variant);
        for collection in ["routers", "subnets"] {
            let none = Answer::json(StatusCode::OK, &json!({ collection: [] }));
            let path = format!("/v2.0/{collection}");
            bench
                .cloud
                .faults()
                .inject(Rule::on(Method::GET, path, Fault::Answer(none)));
        }
        assert_eq!(walk(&bench, 50).await, []);
        if variant == Variant::Neutron {
            let reader = settings(&bench.cloud, variant)
                .with("auth.username", INVENTORY.reader.name)
                .with("auth.password", INVENTORY.reader.password);
            let reader = dialects::connect(&reader).unwrap();
            let none = reader.resources().attachments(&page(50), &call()).await;
            let error = none.unwrap_err();
            assert_error(&error, ErrorKind::BackendAuth, ErrorReason::UpstreamDenied);
        }
    }
}
