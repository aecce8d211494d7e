//! The STATE of the connections in a list, as far as the gateway knows it.
//!
//! It comes from one `WatchRealizations`, which is closed again at once, instead of one call per connection. Opening it
//! makes the gateway list the connections once more. The command waits for first polls only where one request to the
//! cloud reports the states of many; elsewhere, a connection that nobody has watched is UNKNOWN.

use crate::{
    cli::{
        gateway::{Gateway, answer},
        progress,
    },
    grpc::pb::{
        Backend, ListBackendsRequest, Realization, WatchRealizationsRequest,
        WatchRealizationsResponse, watch_realizations_response::event::Event,
    },
};
use std::{
    collections::{HashMap, HashSet},
    time::{Duration, SystemTime},
};
use tokio::time::{Instant, timeout_at};
use tonic::{Request, Status, Streaming};

/// How long the initial list of the watch may take.
const SYNC: Duration = Duration::from_secs(10);
/// How long to wait for first polls.
const POLLS: Duration = Duration::from_secs(1);
/// The age from which a state is shown with its age.
const RECENT: Duration = Duration::from_secs(60);

/// The known realizations of connections, by full name.
#[derive(Debug, Default)]
pub struct States(HashMap<String, Realization>);

impl States {
    /// Reads what the gateway knows of the connections of a parent.
    ///
    /// # Errors
    /// What the gateway says, or DEADLINE_EXCEEDED if the initial list takes longer than 10 s.
    pub async fn known(gateway: &Gateway, parent: &str) -> Result<States, Status> {
        let (told_together, opened) = tokio::join!(told_together(gateway), open(gateway, parent));
        let (told_together, mut stream) = (told_together?, opened?);
        let mut states = States::default();
        let late = || Status::deadline_exceeded("the gateway did not say in time what it knows");
        let end = Instant::now() + SYNC;
        loop {
            let message = timeout_at(end, stream.message()).await;
            let message = message.map_err(|_| late())??.ok_or_else(late)?;
            let synced = message.synced;
            states.take(message);
            if synced {
                break;
            }
        }
        let end = Instant::now() + POLLS;
        while states.has_unseen(&told_together) {
            match timeout_at(end, stream.message()).await {
                Ok(Ok(Some(message))) => states.take(message),
                // The states received so far are enough.
                Ok(Ok(None) | Err(_)) | Err(_) => break,
            }
        }
        Ok(states)
    }

    fn take(&mut self, message: WatchRealizationsResponse) {
        for event in message.events {
            if let Some(Event::Snapshot(seen) | Event::Change(seen)) = event.event {
                self.0.insert(event.name, seen);
            }
        }
    }

    /// Reports whether a connection of one of these backends has not been polled yet.
    fn has_unseen(&self, backends: &HashSet<String>) -> bool {
        let of = |name: &str| {
            backends.iter().any(|it| {
                let rest = name.strip_prefix(it.as_str());
                rest.is_some_and(|rest| rest.starts_with('/'))
            })
        };
        let mut unseen = self.0.iter().filter(|(_, it)| it.observe_time.is_none());
        unseen.any(|(name, _)| of(name))
    }

    /// Returns the state of a connection, with its age if it is old, or UNKNOWN.
    pub fn of(&self, name: &str, now: SystemTime) -> String {
        let seen = self.0.get(name);
        let seen =
            seen.and_then(|it| Some((it.state, SystemTime::try_from(it.observe_time?).ok()?)));
        let Some((state, at)) = seen else {
            return "UNKNOWN".to_owned();
        };
        let state = progress::state(state);
        // A clock ahead of this one makes no state old.
        match now.duration_since(at) {
            Ok(age) if age > RECENT => format!("{state}, {} ago", coarse(age)),
            _ => state,
        }
    }
}

/// Formats an age in its largest unit.
fn coarse(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}min", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Returns the backends where one request reports the states of many connections. Sends nothing to a cloud.
async fn told_together(gateway: &Gateway) -> Result<HashSet<String>, Status> {
    let list = answer(
        gateway
            .backends()
            .list_backends(ListBackendsRequest::default()),
    )
    .await?;
    let batch = |it: &Backend| it.capabilities.as_ref().map_or(0, |can| can.look_batch);
    let together = list.backends.into_iter().filter(|it| batch(it) > 1);
    Ok(together.map(|backend| backend.name).collect())
}

async fn open(
    gateway: &Gateway,
    parent: &str,
) -> Result<Streaming<WatchRealizationsResponse>, Status> {
    let mut request = Request::new(WatchRealizationsRequest {
        parent: parent.to_owned(),
        ..WatchRealizationsRequest::default()
    });
    // The gateway itself leaves hanging backends out within this time.
    request.set_timeout(SYNC);
    let answer = gateway.realizations().watch_realizations(request).await?;
    Ok(answer.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::pb::RealizationState;

    #[test]
    fn a_state_is_told_with_its_age_and_never_guessed() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let mut states = States::default();
        for (id, age, said) in [
            ("fresh", Some(5), "ACTIVE"),
            ("ahead", Some(-5), "ACTIVE"),
            ("minutes", Some(150), "ACTIVE, 2min ago"),
            ("hours", Some(7_300), "ACTIVE, 2h ago"),
            ("days", Some(200_000), "ACTIVE, 2d ago"),
            ("unseen", None, "UNKNOWN"),
        ] {
            let seen = Realization {
                state: RealizationState::Active.into(),
                observe_time: age.map(|age| prost_types::Timestamp {
                    seconds: 1_000_000 - age,
                    nanos: 0,
                }),
                ..Realization::default()
            };
            states.0.insert(id.to_owned(), seen);
            assert_eq!(states.of(id, now), said);
        }
        assert_eq!(states.of("never heard of", now), "UNKNOWN");
    }
}
