//! What a VPN can be attached to.

use crate::{
    setup::{Nsx, nsx, page_of_html, refusal, start},
    support::cloud::{call, page},
};
use http::Method;
use isthmus::{
    core::{
        dialect::{Page, PageRequest},
        error::{Error, ErrorKind, ErrorReason},
    },
    model::{Attachment, AttachmentKind, ResourceKind, ResourceSpec, Settings},
    simulator::{
        faults::Rule,
        nsx::{Levers, NsxOptions, inventory},
    },
};
use serde_json::json;

async fn listed(nsx: &Nsx, request: &PageRequest) -> Result<Page<Attachment>, Error> {
    nsx.dialect.resources().attachments(request, &call()).await
}

async fn attachments(nsx: &Nsx, size: u32) -> Vec<Attachment> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let request = PageRequest {
            after,
            ..page(size)
        };
        let page = listed(nsx, &request).await.unwrap();
        found.extend(page.items);
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

#[tokio::test]
async fn a_router_is_usable_if_it_is_active_standby_and_has_no_service() {
    for size in [1, 100] {
        let nsx = nsx();
        let state = nsx.cloud.state();
        state.plant_logical_router(json!({ "id": "mute", "high_availability_mode": null }));
        let found = attachments(&nsx, size).await;
        let ids: Vec<&str> = found.iter().map(|it| it.id.as_str()).collect();
        let (taken, free, active) = (
            inventory::LOGICAL_ROUTER_ID,
            inventory::FREE_ROUTER_ID,
            inventory::ACTIVE_ACTIVE_ROUTER_ID,
        );
        assert_eq!(ids, [free, active, taken, "mute"]);
        assert!(found.iter().all(|it| it.kind == AttachmentKind::Router));
        let why = |place: usize| found[place].unusable.clone().unwrap_or_default();
        assert_eq!(found[0].unusable, None);
        assert!(why(1).contains("ACTIVE_ACTIVE"), "{}", why(1));
        assert!(why(2).contains(inventory::SERVICE_ID), "{}", why(2));
        assert!(why(3).contains("does not say"), "{}", why(3));
        assert_eq!(found[0].display_name, "tenant-gateway");
        assert_eq!(found[2].addresses, ["198.51.100.10"]);
        assert_eq!(found[2].native["router_type"], "TIER0");
    }
}

/// What is said to be usable is; what is not NSX itself refuses.
#[tokio::test]
async fn what_is_usable_takes_a_service() {
    let nsx = nsx();
    for attachment in attachments(&nsx, 100).await {
        let mut spec = ResourceSpec::none(ResourceKind::VpnService);
        let Settings::VpnService(service) = &mut spec.settings else {
            unreachable!()
        };
        service.router = attachment.id.clone();
        let made = nsx.attempt(&spec).await;
        assert_eq!(made.is_ok(), attachment.unusable.is_none(), "{made:?}");
    }
    let left = attachments(&nsx, 100).await;
    assert!(left.iter().all(|it| it.unusable.is_some()));
}

#[tokio::test]
async fn without_routers_nothing_is_known_of_them() {
    let levers = Levers {
        api_absent: true,
        ..Levers::default()
    };
    let options = NsxOptions {
        levers,
        ..NsxOptions::default()
    };
    let absent = start(options, "basic");
    let error = listed(&absent, &page(10)).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::ApiAbsent);
    assert!(error.message.contains("routers"), "{error}");
    for (path, fault) in [
        ("/logical-routers$", refusal(500, 99)),
        ("/logical-routers$", page_of_html(404)),
        // Without the services nobody knows which router is free.
        ("/services$", refusal(500, 99)),
    ] {
        let nsx = nsx();
        nsx.cloud
            .faults()
            .inject(Rule::on(Method::GET, path, fault));
        let listed = listed(&nsx, &page(10)).await;
        assert_eq!(listed.unwrap_err().kind, ErrorKind::Unavailable);
    }
}
