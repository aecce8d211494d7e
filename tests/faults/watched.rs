//! Watches through a fault: what is told meanwhile, and that all goes on once it is over.

use crate::{
    bench::{BACKEND, Bench},
    cell::Cell,
    columns::Column,
    rows::Act,
    support::running::Watching,
};
use isthmus::{
    grpc::pb::{self, RealizationState as State},
    simulator::faults::Hits,
};
use std::time::Duration;
use tokio::time::{Instant, timeout};

impl Cell<'_> {
    /// A watch during the fault, and after it.
    pub async fn watched(&self, bench: &Bench) -> String {
        match self.row.act {
            Act::WatchMany => self.watched_many(bench).await,
            act => self.watched_one(bench, act == Act::WatchGone).await,
        }
    }

    async fn watched_one(&self, bench: &Bench, gone: bool) -> String {
        let running = &bench.running;
        let (name, token) = if gone {
            // Lingers until it is finished, so that the watch does not end before the fault.
            bench.cloud.linger();
            (bench.name(), None)
        } else {
            let (made, token) = running
                .create(BACKEND, bench.cloud.wanted(BACKEND))
                .await
                .unwrap();
            (made.name, Some(token))
        };
        let id = name.rsplit('/').next().unwrap().to_owned();
        let goal = if gone {
            pb::Goal::Gone
        } else {
            pb::Goal::Config
        };
        let token = token.unwrap_or_default();
        let mut watch = running.watch(&name, goal, &token).await.unwrap();
        watch.next_state().await.unwrap();
        let ids = [id.clone()];
        let hits = self.strike(&*bench.cloud, &ids, &bench.peers).await;
        if let Some(hits) = &hits {
            // Polls follow each other: once one was struck, none is under way that began before and may bring news.
            timeout(Duration::from_secs(20), hits.reach(1))
                .await
                .expect("the fault strikes");
        }
        match gone {
            true => bench.cloud.vanish(&id),
            false => bench.cloud.settle(&id),
        }
        let told = tokio::join!(
            self.nothing_is_concluded(&mut watch, hits.as_ref()),
            self.nobody_else_notices(bench)
        );
        self.the_cloud_is_hung_up_on(bench).await;
        for server in bench.cloud.servers() {
            server.faults().clear();
            server.restart().await.unwrap();
        }
        if told.0 == "on" {
            let (_, outcome) = timeout(Duration::from_secs(20), watch.end())
                .await
                .expect("the watch ends once the fault is over");
            assert_eq!(
                outcome.result(),
                pb::outcome::Result::Succeeded,
                "{outcome:?}"
            );
        }
        told.0.to_owned()
    }

    /// While the fault lasts, a watch says nothing that is not so; at most that the login is refused.
    async fn nothing_is_concluded(
        &self,
        watch: &mut Watching,
        hits: Option<&Hits>,
    ) -> &'static str {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut quiet = 0;
        loop {
            assert!(Instant::now() < deadline, "the fault does not strike");
            // Long enough for a look; what comes is looked at, and nothing coming is as good.
            match timeout(Duration::from_millis(150), watch.next_state()).await {
                Err(_) => quiet += 1,
                Ok(Err(status)) => panic!("the watch ended: {status:?}"),
                Ok(Ok((realization, outcome))) => {
                    assert_eq!(outcome, None, "{realization:?}");
                    let reason = realization.reason.clone().unwrap_or_default().code;
                    if reason == "UPSTREAM_AUTH" {
                        assert_eq!(realization.state(), State::Unknown);
                        return "auth";
                    }
                    let state = realization.state();
                    assert!(
                        !matches!(state, State::Failed | State::Deleted | State::Realized),
                        "{realization:?}"
                    );
                }
            }
            let struck = hits.map_or(quiet, Hits::count);
            if struck >= 2 && quiet >= self.quiet_enough() {
                return "on";
            }
        }
    }

    async fn watched_many(&self, bench: &Bench) -> String {
        let request = pb::WatchRealizationsRequest {
            parent: format!("backends/{BACKEND}"),
            ..pb::WatchRealizationsRequest::default()
        };
        let mut client = bench.running.realizations();
        let mut stream = client
            .watch_realizations(request)
            .await
            .unwrap()
            .into_inner();
        let mut active = 0;
        while active < bench.ids.len() {
            let message = stream.message().await.unwrap().unwrap();
            active += message
                .events
                .iter()
                .filter(|event| says(event, State::Active))
                .count();
        }
        let hits = self.strike(&*bench.cloud, &bench.ids, &bench.peers).await;
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut quiet = 0;
        let mut refused = false;
        while !refused
            && (quiet < self.quiet_enough() || hits.as_ref().map_or(quiet, Hits::count) < 2)
        {
            assert!(Instant::now() < deadline, "the fault does not strike");
            match timeout(Duration::from_millis(150), stream.message()).await {
                Err(_) => quiet += 1,
                Ok(message) => {
                    let events = message.unwrap().unwrap().events;
                    assert!(
                        !events
                            .iter()
                            .any(|event| says(event, State::Deleted) || says(event, State::Failed)),
                        "{events:?}"
                    );
                    refused = events.iter().any(|event| says(event, State::Unknown));
                }
            }
        }
        self.nobody_else_notices(bench).await;
        self.the_cloud_is_hung_up_on(bench).await;
        for server in bench.cloud.servers() {
            server.faults().clear();
            server.restart().await.unwrap();
        }
        if refused {
            return "auth".to_owned();
        }
        for id in &bench.ids {
            bench.cloud.take_down(id);
        }
        let mut down = 0;
        while down < bench.ids.len() {
            let message = timeout(Duration::from_secs(20), stream.message()).await;
            let message = message.expect("the watch goes on").unwrap().unwrap();
            down += message
                .events
                .iter()
                .filter(|event| says(event, State::Down))
                .count();
        }
        "on".to_owned()
    }

    /// How many times nothing is heard before nothing is expected any more: where the login is refused, that
    /// has to be said, and a busy machine may take its time to say it.
    fn quiet_enough(&self) -> u32 {
        match self.column {
            Column::S401 | Column::S403 => 20,
            _ => 2,
        }
    }
}

fn says(event: &pb::watch_realizations_response::Event, state: State) -> bool {
    use pb::watch_realizations_response::event::Event;
    match &event.event {
        Some(Event::Snapshot(seen) | Event::Change(seen)) => seen.state() == state,
        Some(Event::Heartbeat(_)) | None => false,
    }
}
