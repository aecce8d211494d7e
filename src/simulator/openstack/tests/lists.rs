//! Lists: pages that end, pages that only seem to end, and rows that no list shows.

use http::Method;
use serde_json::{Value, json};

use crate::simulator::openstack::tests::{Bench, CONNECTIONS};
use crate::simulator::openstack::{Kind, OpenstackOptions};

#[tokio::test]
async fn a_walk_along_the_next_links_sees_every_row_once() {
    let bench = Bench::new(OpenstackOptions::default()).await;
    for index in 0..7 {
        bench
            .created(json!({"name": format!("p{}", index % 3)}))
            .await;
    }
    let mut seen = Vec::new();
    let mut path = format!("{CONNECTIONS}?fields=id&limit=3");
    loop {
        let page = bench.get(&path).await.json();
        seen.extend(ids(&page));
        match link(&page, "next") {
            Some(href) => {
                path = href
                    .strip_prefix(&bench.cloud.neutron_url())
                    .unwrap()
                    .to_owned()
            }
            None => break,
        }
    }
    assert_eq!(seen, bench.cloud.state().ids(Kind::Connection));
}

#[tokio::test]
async fn a_page_whose_marker_vanished_is_empty_and_has_no_next() {
    let bench = Bench::new(OpenstackOptions::default()).await;
    for _ in 0..5 {
        bench.created(json!({})).await;
    }
    let first = bench
        .get(&format!("{CONNECTIONS}?limit=2&fields=id"))
        .await
        .json();
    let marker = ids(&first)[1].clone();
    assert!(bench.cloud.state().vanish(Kind::Connection, &marker));
    let second = bench
        .get(&format!("{CONNECTIONS}?limit=2&marker={marker}"))
        .await;
    assert_eq!(second.status, 200);
    assert!(ids(&second.json()).is_empty());
    assert_eq!(link(&second.json(), "next"), None);
    assert!(
        link(&second.json(), "previous")
            .unwrap()
            .ends_with("?limit=2&page_reverse=True")
    );
}

#[tokio::test]
async fn the_servers_cap_pages_even_who_did_not_ask() {
    let bench = Bench::new(OpenstackOptions {
        page_cap: Some(2),
        ..OpenstackOptions::default()
    })
    .await;
    for _ in 0..3 {
        bench.created(json!({})).await;
    }
    for path in [CONNECTIONS.to_owned(), format!("{CONNECTIONS}?limit=50")] {
        let page = bench.get(&path).await.json();
        assert_eq!(ids(&page).len(), 2);
        assert!(link(&page, "next").unwrap().contains("marker="));
        assert_eq!(
            link(&page, "next").unwrap().contains("limit=50"),
            path.contains("limit=50")
        );
    }
    bench
        .cloud
        .state()
        .set_advertised_origin(Some("https://inner.example"));
    let page = bench.get(CONNECTIONS).await.json();
    assert!(
        link(&page, "next")
            .unwrap()
            .starts_with("https://inner.example/v2.0/vpn/")
    );
}

#[tokio::test]
async fn a_row_can_be_missing_from_lists_and_the_whole_api_can_be_gone() {
    let bench = Bench::new(OpenstackOptions::default()).await;
    let id = bench.created(json!({})).await;
    assert!(
        bench
            .cloud
            .state()
            .hide_from_list(Kind::Connection, &id, true)
    );
    assert!(ids(&bench.get(CONNECTIONS).await.json()).is_empty());
    assert_eq!(bench.get(&format!("{CONNECTIONS}/{id}")).await.status, 200);
    bench.cloud.state().set_vpn_absent(true);
    assert_eq!(
        bench.get(CONNECTIONS).await.refusal(),
        (404, "HTTPNotFound".to_owned())
    );
    let probe = bench.get("/v2.0/extensions/vpnaas").await;
    assert_eq!(
        (
            probe.status,
            probe.headers["content-type"].to_str().unwrap()
        ),
        (404, "text/plain; charset=UTF-8")
    );
    bench.cloud.state().set_vpn_absent(false);
    assert_eq!(bench.get(&format!("{CONNECTIONS}.json")).await.status, 200);
    assert_eq!(
        bench
            .call(Method::GET, &format!("{CONNECTIONS}/"), None)
            .await
            .status,
        200
    );
}

fn ids(page: &Value) -> Vec<String> {
    let rows = page["ipsec_site_connections"].as_array().unwrap();
    rows.iter()
        .map(|row| row["id"].as_str().unwrap().to_owned())
        .collect()
}

fn link(page: &Value, rel: &str) -> Option<String> {
    let links = page.get("ipsec_site_connections_links")?.as_array()?;
    let found = links.iter().find(|link| link["rel"] == rel)?;
    found["href"].as_str().map(str::to_owned)
}
