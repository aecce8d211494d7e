//! `RealizationService`: converts, calls the core, converts back. Streams are pulled: each asks its watch for the next
//! message when the client has room for one, so a stream needs no task and no queue.

use crate::{
    core::{
        gateway::Gateway,
        realizations::{PollRequest, WatchManyRequest, WatchRequest},
        watch::{many::WatchMany, part::stream::PartWatch, stream::Watch},
    },
    grpc::{
        convert::{
            realization::{Wait, many_event, part_event, standing, watch_event},
            statistics::{Get, statistics},
        },
        deadline,
        frame::Frame,
        leaving, pb,
        stall_timeout::OpenStreams,
    },
    model::Collection,
};
use futures_util::stream::{Empty, Stream, StreamExt, empty, unfold};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;
use tonic::{Request, Response, Status};

/// How long before the deadline of its call `WaitRealization` answers, so that the answer arrives in time.
const BEFORE_DEADLINE: Duration = Duration::from_millis(500);

#[derive(Debug, Clone)]
pub struct Realizations {
    gateway: Arc<Gateway>,
    readers: OpenStreams,
}

impl Realizations {
    /// Serves the realizations of this gateway. A stream that the client does not read for longer than `stall` and a
    /// heartbeat ends.
    pub fn new(gateway: Arc<Gateway>, stall: Duration) -> Realizations {
        // A stream that is read is polled at least once each heartbeat, so the stall timeout must exceed it.
        let readers = OpenStreams::new(stall + gateway.heartbeat());
        Realizations { gateway, readers }
    }

    /// Puts the stream into the response's extensions, for the server to send, and gives tonic an empty stream.
    fn answer<T>(&self, events: impl Events) -> Response<Empty<Result<T, Status>>> {
        let mut response = Response::new(empty());
        response
            .extensions_mut()
            .insert(self.readers.stream(events.boxed()));
        response
    }
}

/// The frames of a watch, or the status that ends it.
trait Events: Stream<Item = Result<Frame, Status>> + Send + 'static {}

impl<S: Stream<Item = Result<Frame, Status>> + Send + 'static> Events for S {}

/// A watch over one connection. It is polled in place, without a future for each message, because one change may go to
/// thousands of these streams.
struct One(Watch);

impl Stream for One {
    type Item = Result<Frame, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.0.poll_next(cx);
        next.map(|event| Some(event?.map(watch_event).map_err(Status::from)))
    }
}

fn part(watch: PartWatch) -> impl Events {
    unfold(watch, async |mut watch| {
        let event = watch.next().await?;
        Some((event.map(part_event).map_err(Status::from), watch))
    })
}

fn many(watch: WatchMany) -> impl Events {
    unfold(watch, async |mut watch| {
        let event = watch.next().await?;
        Some((event.map(many_event).map_err(Status::from), watch))
    })
}

#[tonic::async_trait]
impl pb::realization_service_server::RealizationService for Realizations {
    type WatchRealizationStream = Empty<Result<pb::WatchRealizationResponse, Status>>;
    type WatchRealizationsStream = Empty<Result<pb::WatchRealizationsResponse, Status>>;

    async fn get_realization(
        &self,
        request: Request<pb::GetRealizationRequest>,
    ) -> Result<Response<pb::GetRealizationResponse>, Status> {
        let deadline = deadline::of_unary(&request);
        let poll = PollRequest::try_from(request.into_inner())?;
        let seen = match poll.name.collection {
            Collection::Connections => self.gateway.poll_now(&poll, deadline).await?,
            _ => self.gateway.poll_part_now(&poll, deadline).await?,
        };
        let (realization, _) = standing(&seen);
        Ok(Response::new(pb::GetRealizationResponse {
            realization: Some(realization),
        }))
    }

    async fn get_tunnel_statistics(
        &self,
        request: Request<pb::GetTunnelStatisticsRequest>,
    ) -> Result<Response<pb::GetTunnelStatisticsResponse>, Status> {
        let deadline = deadline::of_unary(&request);
        let get = Get::try_from(request.into_inner())?;
        let read = self.gateway.statistics(&get.name, deadline).await?;
        Ok(Response::new(pb::GetTunnelStatisticsResponse {
            statistics: Some(statistics(&get.name, read)),
        }))
    }

    async fn watch_realization(
        &self,
        request: Request<pb::WatchRealizationRequest>,
    ) -> Result<Response<Self::WatchRealizationStream>, Status> {
        let request = WatchRequest::try_from(request.into_inner())?;
        Ok(match request.name.collection {
            Collection::Connections => self.answer(One(self.gateway.watch(request).await?)),
            _ => self.answer(part(self.gateway.watch_part(request).await?)),
        })
    }

    async fn watch_realizations(
        &self,
        request: Request<pb::WatchRealizationsRequest>,
    ) -> Result<Response<Self::WatchRealizationsStream>, Status> {
        let deadline = deadline::of(&request);
        let request = WatchManyRequest {
            deadline,
            ..WatchManyRequest::try_from(request.into_inner())?
        };
        let watch = self.gateway.watch_many(request).await?;
        Ok(self.answer(many(watch)))
    }

    async fn wait_realization(
        &self,
        request: Request<pb::WaitRealizationRequest>,
    ) -> Result<Response<pb::WaitRealizationResponse>, Status> {
        let deadline = deadline::of(&request);
        let leaving = leaving::asked(&request);
        let wait = Wait::try_from(request.into_inner())?;
        let until = end_of_wait(Instant::now(), wait.timeout, deadline);
        let waited = async {
            match wait.watch.name.collection {
                Collection::Connections => self.gateway.wait(wait.watch, until).await,
                _ => self.gateway.wait_part(wait.watch, until).await,
            }
        };
        let (realization, outcome) = tokio::select! {
            biased;
            seen = waited => standing(&seen?),
            why = leaving => return Err(why),
        };
        Ok(Response::new(pb::WaitRealizationResponse {
            realization: Some(realization),
            outcome,
        }))
    }
}

/// Returns when a wait answers at the latest: after `timeout`, or shortly before the deadline of its call.
fn end_of_wait(now: Instant, timeout: Duration, deadline: Option<Instant>) -> Instant {
    // A wait beyond the range of the clock ends with the deadline, or after a year.
    const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
    let end = now + timeout.min(LONGEST);
    match deadline {
        Some(deadline) => {
            let before = deadline.checked_sub(BEFORE_DEADLINE).unwrap_or(now);
            end.min(before).max(now)
        }
        None => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_at_the_earlier_of_its_timeout_and_half_a_second_before_the_deadline() {
        let now = Instant::now();
        let after = |millis| now + Duration::from_millis(millis);
        let ten = Duration::from_secs(10);
        assert_eq!(end_of_wait(now, ten, None), after(10_000));
        assert_eq!(end_of_wait(now, ten, Some(after(60_000))), after(10_000));
        assert_eq!(end_of_wait(now, ten, Some(after(5_000))), after(4_500));
        assert_eq!(end_of_wait(now, ten, Some(after(100))), now);
        assert!(end_of_wait(now, Duration::MAX, None) > after(10_000));
    }
}
