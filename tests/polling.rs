//! Who is polled while somebody watches all connections, how often, and in how many requests. Over a scripted cloud and with paused time.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

mod support;

use isthmus::{
    core::{
        dialect::Proof,
        realizations::{WatchManyRequest, WatchRequest},
        request_id::How,
        settings::PollSettings,
        watch::many::WatchMany,
    },
    model::{ConnectionChange, Parent, RealizationState as State},
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use support::{
    scripted::{Scripted, active, gone, in_progress, watch_request},
    setup::{SECOND, Setup, many_request, soon},
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

/// The default.
const STABLE: Duration = Duration::from_secs(30);

impl Setup {
    /// With so many connections, which are up: their ids.
    fn populate(&self, connections: usize) -> Vec<String> {
        let ids: Vec<String> = (0..connections).map(|at| format!("{at:03}")).collect();
        ids.iter().for_each(|id| self.cloud.say(id, active()));
        ids
    }

    async fn watch_all(&self, include_tunnel: bool) -> WatchMany {
        let request = WatchManyRequest {
            parent: Parent::One(self.backend.clone()),
            include_tunnel,
            ..many_request()
        };
        let mut watch = self.gateway.watch_many(request).await.unwrap();
        while !watch.next().await.unwrap().unwrap().synced {}
        watch
    }

    /// Removes a connection through the gateway; the cloud has it no more.
    async fn remove(&self, id: &str) {
        self.delete(id).await;
        self.cloud.forget(id);
    }

    fn watched(&self) -> usize {
        self.gateway.backend(&self.backend).unwrap().watched
    }

    /// Which connections are polled within this time.
    async fn polled_within(&self, time: Duration) -> BTreeSet<String> {
        let before = self.cloud.polls();
        sleep(time).await;
        let targets = self.cloud.targets();
        targets[before..].iter().map(|it| it.id.clone()).collect()
    }
}

/// Reads until this is said of a connection.
async fn until(watch: &mut WatchMany, id: &str, state: State) {
    loop {
        let event = watch.next().await.unwrap().unwrap();
        let mut changes = event.changes.iter();
        if changes.any(|(entry, _)| &*entry.name.id == id && entry.status.state == state) {
            return;
        }
    }
}

// Connections that are gone.

#[tokio::test(start_paused = true)]
async fn what_was_deleted_is_polled_no_more_under_a_watch_over_all() {
    let setup = Setup::new();
    let ids = setup.populate(30);
    let mut watch = setup.watch_all(false).await;
    sleep(2 * STABLE).await;
    assert_eq!(setup.watched(), 30);

    let (deleted, kept) = ids.split_at(25);
    for id in deleted {
        setup.remove(id).await;
    }
    until(&mut watch, &deleted[24], State::Deleted).await;
    sleep(2 * STABLE).await;
    let polled = setup.polled_within(20 * STABLE).await;
    assert_eq!(polled, kept.iter().cloned().collect());
    assert_eq!(setup.watched(), 5);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_removed_is_polled_until_that_is_certain() {
    let setup = Setup::new();
    setup.populate(3);
    let mut watch = setup.watch_all(false).await;
    until(&mut watch, "001", State::Active).await;
    setup.cloud.forget("001");
    until(&mut watch, "001", State::Deleted).await;
    // One poll that says so may be wrong.
    assert_eq!(setup.watched(), 3);
    let confirm_failure = PollSettings::default().confirm_failure;
    sleep(confirm_failure + 5 * SECOND).await;
    assert_eq!(setup.watched(), 2);
    let polled = setup.polled_within(20 * STABLE).await;
    assert!(!polled.contains("001"), "{polled:?}");
}

#[tokio::test(start_paused = true)]
async fn who_watches_what_is_gone_has_it_polled_all_the_same() {
    let setup = Setup::new();
    setup.populate(2);
    let _all = setup.watch_all(false).await;
    let own = setup.watch("000", None).await;
    setup.remove("000").await;
    sleep(2 * STABLE).await;
    assert_eq!(setup.watched(), 2);
    assert!(setup.polled_within(2 * STABLE).await.contains("000"));
    drop(own);
    sleep(2 * STABLE).await;
    assert_eq!(setup.watched(), 1);
    assert!(!setup.polled_within(2 * STABLE).await.contains("000"));
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_joins_again() {
    let setup = Setup::new();
    setup.populate(2);
    let mut watch = setup.watch_all(false).await;
    until(&mut watch, "000", State::Active).await;
    setup.cloud.say("000", gone());
    until(&mut watch, "000", State::Deleted).await;
    setup.cloud.forget("000");
    sleep(2 * STABLE).await;
    assert_eq!(setup.watched(), 1);
    setup.cloud.say("000", active());
    until(&mut watch, "000", State::Active).await;
    assert_eq!(setup.watched(), 2);
    assert!(setup.polled_within(2 * STABLE).await.contains("000"));
}

// Tunnels.

#[tokio::test(start_paused = true)]
async fn tunnels_are_read_while_a_watch_over_all_wants_them_and_no_longer() {
    let setup = Setup::new();
    setup.populate(3);
    let tunnels = async || {
        let before = setup.cloud.polls();
        sleep(2 * STABLE).await;
        let polls = setup.cloud.targets().split_off(before);
        let wanted = polls.iter().filter(|it| it.want_tunnel).count();
        (wanted, polls.len())
    };
    let plain = setup.watch_all(false).await;
    sleep(2 * STABLE).await;
    assert_eq!(tunnels().await.0, 0);

    let first = setup.watch_all(true).await;
    let second = setup.watch_all(true).await;
    let (wanted, polls) = tunnels().await;
    assert!(wanted >= 3 && wanted == polls, "{wanted} of {polls} looks");
    // One made meanwhile is no exception, nor one that somebody else made.
    setup.cloud.say("elsewhere", active());
    sleep(2 * STABLE).await;
    let (wanted, polls) = tunnels().await;
    assert!(wanted >= 4 && wanted == polls, "{wanted} of {polls} looks");

    drop(first);
    drop(plain);
    let (wanted, polls) = tunnels().await;
    assert!(wanted >= 4 && wanted == polls, "{wanted} of {polls} looks");
    let _plain = setup.watch_all(false).await;
    drop(second);
    assert_eq!(tunnels().await.0, 0);
}

// Connections that somebody else made.

#[tokio::test(start_paused = true)]
async fn what_somebody_else_makes_joins_within_the_stable_interval() {
    let minute = 60 * SECOND;
    for (stable, within) in [
        (5 * SECOND, 5 * SECOND),
        (STABLE, STABLE),
        (9 * minute, minute),
    ] {
        let mut settings = Scripted::settings("a");
        settings.poll.stable = stable;
        let setup = Setup::with(settings);
        let mut watch = setup.watch_all(false).await;
        for number in 0..20 {
            // At any point between two lists.
            sleep(within.mul_f64(0.37)).await;
            let ids: Vec<String> = (0..10).map(|at| format!("{number:02}-{at}")).collect();
            ids.iter().for_each(|id| setup.cloud.say(id, active()));
            let made = Instant::now();
            let mut missing: BTreeSet<String> = ids.into_iter().collect();
            while !missing.is_empty() {
                let event = timeout(within, watch.next()).await;
                for (entry, _) in event.unwrap().unwrap().unwrap().changes {
                    missing.remove(&*entry.name.id);
                }
                assert!(
                    made.elapsed() <= within,
                    "{missing:?} after {:?} of {within:?}",
                    made.elapsed()
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lists_stop_with_the_last_watch_over_all() {
    let setup = Setup::new();
    let watch = setup.watch_all(false).await;
    let before = setup.cloud.lists();
    sleep(10 * STABLE).await;
    let listed = setup.cloud.lists() - before;
    assert!(
        (10..=20).contains(&listed),
        "{listed} lists in ten intervals"
    );
    drop(watch);
    let before = setup.cloud.lists();
    sleep(10 * STABLE).await;
    assert_eq!(setup.cloud.lists(), before);
}

// Batches.

/// How often the cloud is asked in ten stable intervals about so many connections that each has a watcher.
async fn batches(connections: usize, look_batch: usize) -> usize {
    let setup = Setup::over(Scripted::in_batches_of(look_batch));
    let mut watches = Vec::new();
    for id in setup.populate(connections) {
        watches.push(setup.watch(&id, None).await);
        sleep(SECOND / 3).await;
    }
    sleep(5 * STABLE).await;
    let before = setup.cloud.batches();
    sleep(10 * STABLE).await;
    let asked = setup.cloud.batches() - before;
    // And nobody is polled later than was told.
    assert_eq!(
        setup.polled_within(STABLE.mul_f64(1.1)).await.len(),
        connections
    );
    asked
}

#[tokio::test(start_paused = true)]
async fn what_one_list_shows_is_polled_by_one_list_an_interval() {
    let asked = batches(100, 200).await;
    assert!((9..=11).contains(&asked), "{asked} lists in ten intervals");
    let asked = batches(100, 50).await;
    assert!((19..=22).contains(&asked), "{asked} lists in ten intervals");
    let asked = batches(120, 50).await;
    assert!((27..=34).contains(&asked), "{asked} lists in ten intervals");
}

#[tokio::test(start_paused = true)]
async fn where_polls_show_everything_nobody_lists_beside_them() {
    for connections in [2, 100] {
        let setup = Setup::over(Scripted::in_batches_of(1000));
        setup.cloud.show_all();
        setup.populate(connections);
        let mut watch = setup.watch_all(false).await;
        sleep(2 * STABLE).await;
        let (polls, lists) = (setup.cloud.batches(), setup.cloud.lists());
        sleep(10 * STABLE).await;
        let asked = setup.cloud.batches() + setup.cloud.lists() - polls - lists;
        assert!((10..=13).contains(&asked), "{asked} lists in ten intervals");
        assert_eq!(setup.watched(), connections);

        setup.cloud.say("elsewhere", active());
        let joined = until(&mut watch, "elsewhere", State::Active);
        timeout(STABLE, joined).await.unwrap();

        // One alone is asked for by itself, which shows nothing else.
        for at in 0..connections {
            setup.remove(&format!("{at:03}")).await;
        }
        sleep(10 * STABLE).await;
        assert_eq!(setup.watched(), 1);
        for again in ["one", "two"] {
            setup.cloud.say(again, active());
            let joined = until(&mut watch, again, State::Active);
            timeout(STABLE, joined).await.unwrap();
        }
    }
}

// What an account allows.

/// What an account of NSX allows, with the default settings: ten thousand connections at rest are polled within ten
/// minutes while fifty are written to again and again. Half as many here, within half the time.
#[tokio::test(start_paused = true)]
async fn five_thousand_at_rest_are_polled_in_five_minutes_beside_fifty_that_are_written_to() {
    const CONNECTIONS: usize = 5_000;
    const FRESH: usize = 50;
    let setup = Setup::over(Scripted::with_account(60));
    let ids = setup.populate(CONNECTIONS);
    let _all = setup.watch_all(false).await;
    let mut writers = JoinSet::new();
    for id in ids.iter().take(FRESH) {
        let id = id.clone();
        let (cloud, gateway) = (Arc::clone(&setup.cloud), Arc::clone(&setup.gateway));
        let name = setup.name(&id);
        writers.spawn(async move {
            loop {
                cloud.say(&id, in_progress());
                let both = ["session", "endpoint"].map(str::to_owned);
                cloud.prove_by(Proof::RequestIds(both.to_vec()));
                let change = ConnectionChange::default();
                let token = gateway
                    .update(&name, change, How::default(), soon())
                    .await
                    .unwrap();
                let request = WatchRequest {
                    write_token: token.write_token,
                    ..watch_request(name.clone())
                };
                let mut watch = gateway.watch(request).await.unwrap();
                let real = sleep(20 * SECOND);
                let end = async { while watch.next().await.is_some() {} };
                tokio::join!(end, async {
                    real.await;
                    cloud.say(&id, active());
                });
            }
        });
    }
    sleep(350 * SECOND).await;
    let is_fresh = |id: &str| ids[..FRESH].iter().any(|fresh| fresh == id);
    setup.cloud.longest(|_| true);
    sleep(400 * SECOND).await;
    let longest = setup.cloud.longest(|id| !is_fresh(id));
    let fresh = setup.cloud.longest(is_fresh);
    println!("at rest {longest:?}, fresh {fresh:?}");
    assert!(longest <= 300 * SECOND, "{longest:?} between two looks");
    assert!(
        fresh <= 4 * SECOND,
        "{fresh:?} between two looks at what is written to"
    );
}
