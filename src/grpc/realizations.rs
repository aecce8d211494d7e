//! `RealizationService`: converts, calls the core, converts back. Streams are pulled: each asks its watch for the next
//! message when the client has room for one, so a stream needs no task and no queue.

use crate::{
    core::{
        self,
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
        stall_timeout::{GuardedStream, OpenStreams},
    },
    model::Collection,
};
use futures_util::stream::{StreamExt, unfold};
use std::{future::Future, sync::Arc, time::Duration};
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
        // A stream that is read asks for more with each heartbeat.
        let readers = OpenStreams::new(stall + gateway.heartbeat());
        Realizations { gateway, readers }
    }

    fn stream<W: Next + Send + 'static>(&self, watch: W) -> GuardedStream {
        let events = unfold(watch, async |mut watch| {
            let event = watch.next().await?;
            Some((event.map_err(Status::from), watch))
        });
        self.readers.stream(events.boxed())
    }
}

/// A watch of any kind, as a source of frames.
trait Next {
    fn next(&mut self) -> impl Future<Output = Option<core::error::Result<Frame>>> + Send;
}

impl Next for Watch {
    async fn next(&mut self) -> Option<core::error::Result<Frame>> {
        Some(Watch::next(self).await?.map(watch_event))
    }
}

impl Next for PartWatch {
    async fn next(&mut self) -> Option<core::error::Result<Frame>> {
        Some(PartWatch::next(self).await?.map(part_event))
    }
}

impl Next for WatchMany {
    async fn next(&mut self) -> Option<core::error::Result<Frame>> {
        Some(WatchMany::next(self).await?.map(many_event))
    }
}

#[tonic::async_trait]
impl pb::streaming::realization_service_server::RealizationService for Realizations {
    type WatchRealizationStream = GuardedStream;
    type WatchRealizationsStream = GuardedStream;

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
        let stream = match request.name.collection {
            Collection::Connections => self.stream(self.gateway.watch(request).await?),
            _ => self.stream(self.gateway.watch_part(request).await?),
        };
        Ok(Response::new(stream))
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
        Ok(Response::new(self.stream(watch)))
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
