//! A thousand connections, in pages that the server caps, while they vanish.

use crate::{
    calls::{gateway, list},
    cloud::{self, BACKEND, Login, name_of, seeded},
    support::running::id_of,
};
use isthmus::grpc::pb;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

const MANY: usize = 1_000;

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_that_vanish_between_pages_none_that_stays_is_missed_or_doubled() {
    let _shared = cloud::shared().await;
    let origin = seeded("OTHER", "CONNECTION");
    cloud::copies(&origin, 0).await;
    let copies = cloud::copies(&origin, MANY).await;
    let running = gateway(&Login::other()).await;

    let begun = Instant::now();
    let mut token = String::new();
    let mut seen: Vec<String> = Vec::new();
    let mut removed: BTreeSet<String> = BTreeSet::new();
    let mut pages = 0;
    loop {
        let page = list(&running, 250, &token).await.unwrap();
        assert!(page.connections.len() == 250 || page.next_page_token.is_empty());
        assert_eq!(page.unreachable, [""; 0]);
        pages += 1;
        seen.extend(page.connections.iter().map(|it| id_of(&it.name)));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
        // The row the walk stands on, the one before it, and three that are still to come.
        let here = seen.last().unwrap();
        let at = copies.partition_point(|id| id <= here);
        let last_two = seen.iter().rev().take(2).cloned();
        let ahead = copies[at..].iter().take(9).skip(3).step_by(2).cloned();
        let mut doomed: Vec<String> = last_two.chain(ahead).collect();
        doomed.retain(|id| *id != origin && !removed.contains(id));
        for id in &doomed {
            running.delete(&name_of(id)).await.unwrap();
        }
        removed.extend(doomed);
    }
    println!(
        "{} of {MANY} seen in {pages} pages while {} were removed: {:?}",
        seen.len(),
        removed.len(),
        begun.elapsed()
    );
    // The server caps a page at 100, and the gateway's are full all the same.
    assert_eq!(pages, 4);
    assert!(removed.len() >= 4 * (pages - 1));
    let mut once = seen.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), seen.len(), "none is doubled");
    let mut stayed: BTreeSet<String> = copies.into_iter().collect();
    stayed.insert(origin.clone());
    let stayed: BTreeSet<String> = stayed.difference(&removed).cloned().collect();
    let seen: BTreeSet<String> = seen.into_iter().collect();
    let missed: Vec<&String> = stayed.difference(&seen).collect();
    assert!(missed.is_empty(), "none that stayed is missed: {missed:?}");
    let made_up: Vec<&String> = seen
        .difference(&stayed)
        .filter(|id| !removed.contains(*id))
        .collect();
    assert!(made_up.is_empty(), "{made_up:?}");

    // The same by one watch over all of them.
    let request = pb::WatchRealizationsRequest {
        parent: format!("backends/{BACKEND}"),
        ..pb::WatchRealizationsRequest::default()
    };
    let mut watch = running
        .realizations()
        .watch_realizations(request)
        .await
        .unwrap()
        .into_inner();
    let mut named: Vec<String> = Vec::new();
    loop {
        let message = tokio::time::timeout(Duration::from_secs(30), watch.message());
        let message = message.await.unwrap().unwrap().unwrap();
        named.extend(message.events.iter().map(|event| id_of(&event.name)));
        if message.synced {
            break;
        }
    }
    let watched: BTreeSet<String> = named.into_iter().collect();
    let strange: Vec<&String> = watched.symmetric_difference(&stayed).collect();
    assert!(strange.is_empty(), "{} too many or too few", strange.len());
    drop(watch);
    cloud::copies(&origin, 0).await;
}
