//! Lists, page by page.

use crate::{
    setup::{Bench, EVERY_VARIANT, assert_error, lists, taken, walk},
    support::cloud::page,
};
use isthmus::{
    core::error::{ErrorKind, ErrorReason},
    model::RealizationState as State,
    simulator::openstack::Kind,
};
use serde_json::json;
use std::collections::BTreeSet;

#[tokio::test]
async fn every_connection_is_listed_once_page_by_page() {
    let bench = Bench::stock();
    let mut made = BTreeSet::new();
    for n in 0..5 {
        made.insert(bench.made(&format!("n{n}")).await);
    }
    // Links may name another host; the cloud may cap pages without a word.
    bench
        .cloud
        .state()
        .set_advertised_origin(Some("http://elsewhere.example"));
    for cap in [None, Some(1), Some(2)] {
        bench.cloud.state().set_page_cap(cap);
        for size in [1, 2, 3, 5, 1000] {
            assert_eq!(
                walk(&bench, size, |_| {}).await,
                made,
                "{size} with {cap:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_walk_survives_the_row_it_stands_on() {
    let bench = Bench::stock();
    let mut made = BTreeSet::new();
    for n in 0..6 {
        made.insert(bench.made(&format!("n{n}")).await);
    }
    let third = made.iter().nth(2).unwrap().clone();
    let found = walk(&bench, 3, |next| {
        if *next == third {
            bench.cloud.state().vanish(Kind::Connection, &third);
        }
    })
    .await;
    assert_eq!(found, made, "the one that vanished was listed before");
}

#[tokio::test]
async fn a_row_without_an_id_breaks_a_list_and_one_that_comes_twice_is_listed_once() {
    for variant in EVERY_VARIANT {
        let bench = Bench::of(variant);
        let id = bench.make(&taken(&bench, variant, "a")).await.unwrap();
        let row = bench.cloud.state().row(Kind::Connection, &id).unwrap();
        let first = page(50);
        for odd in [
            json!({"name": "b"}),
            json!({"id": "", "name": "b"}),
            json!({"id": null}),
            json!({}),
            json!(7),
            json!(null),
        ] {
            lists(&bench, json!([row, odd]));
            let error = bench.list(&first).await.unwrap_err();
            assert_error(
                &error,
                ErrorKind::Unavailable,
                ErrorReason::UpstreamBrokenAnswer,
            );
            assert!(error.message.contains("row 2 has no `id`"), "{error}");
            // A poll asks for what a list does not name.
            for seen in bench.poll_all(&[&id, &id]).await {
                assert_eq!(seen.unwrap().state, State::Pending, "{variant:?}");
            }
            bench.cloud.faults().clear();
        }
        let mut later = row.clone();
        later["name"] = "later".into();
        lists(&bench, json!([row, later, row]));
        let page = bench.list(&first).await.unwrap();
        let names: Vec<&str> = page
            .items
            .iter()
            .map(|it| it.display_name.as_str())
            .collect();
        assert_eq!(names, ["a"], "{variant:?}");
    }
}
