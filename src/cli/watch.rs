//! `watch` and `wait`: follow a connection until its goal, its failure or a timeout.

use crate::{
    cli::{
        exit::Exit,
        failure,
        gateway::{Gateway, Printer},
        names, progress,
        question::WantedArgs,
        show::failed,
    },
    grpc::pb::{
        Goal, Outcome, WaitRealizationRequest, WaitRealizationResponse, WatchRealizationRequest,
        WatchRealizationResponse, outcome,
    },
};
use std::{io, time::Duration};
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::Status;

/// How long to retry a gateway that went away, if there is no timeout.
const OUTAGE: Duration = Duration::from_secs(120);

/// The default timeout of `wait`, the same as the gateway's own.
const DEFAULT_WAIT: Duration = Duration::from_secs(30);

/// A call that lasts longer reached a gateway: a refused connection fails sooner.
const REACHED: Duration = Duration::from_secs(1);

/// Follows one connection, a line for each message, and reopens the stream when it breaks.
///
/// # Errors
/// If the output cannot be written.
pub async fn watch(
    gateway: &Gateway,
    name: &str,
    wanted: &WantedArgs,
    resume_token: Option<String>,
    printer: &mut Printer,
) -> io::Result<Exit> {
    let request = request(&names::watched(name), wanted, resume_token);
    let deadline = wanted.timeout.map(|timeout| Instant::now() + timeout);
    match follow(gateway, request, deadline, printer).await? {
        Ended::Outcome(outcome) => Ok(exit(&outcome)),
        Ended::TimeUp { resume_token } => Ok(time_up(&resume_token, wanted.timeout)),
        Ended::Refused { doing, status } => Ok(failed(&doing, &status, gateway)),
    }
}

/// Builds the request to watch one connection, or a write to a part.
pub(crate) fn request(
    name: &str,
    wanted: &WantedArgs,
    resume_token: Option<String>,
) -> WatchRealizationRequest {
    WatchRealizationRequest {
        name: name.to_owned(),
        goal: wanted.goal.map(Goal::from).unwrap_or_default().into(),
        write_token: wanted.write_token.clone().unwrap_or_default(),
        resume_token: resume_token.unwrap_or_default(),
        accept_partial: wanted.accept_partial,
        include_tunnel: wanted.include_tunnel,
        snapshot_if_compacted: false,
        accept_assumed: wanted.accept_assumed,
        upstream_request_ids: wanted.upstream_request_ids.clone(),
    }
}

/// The receiver of a watch's progress.
pub(crate) trait Listener {
    /// Handles one message.
    ///
    /// # Errors
    /// If the output cannot be written.
    fn message(&mut self, message: &WatchRealizationResponse) -> io::Result<()>;

    /// Handles a broken stream that is about to be resumed.
    ///
    /// # Errors
    /// Those of [`Listener::message`].
    fn broke_off(&mut self, why: &str) -> io::Result<()>;
}

impl Listener for Printer {
    fn message(&mut self, message: &WatchRealizationResponse) -> io::Result<()> {
        Printer::message(self, "WatchRealizationResponse", message, progress::event)
    }

    fn broke_off(&mut self, why: &str) -> io::Result<()> {
        eprintln!("isthmus: {why}");
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) enum Ended {
    /// The watch reported an outcome.
    Outcome(Outcome),
    /// The timeout passed.
    TimeUp {
        /// The token to resume with, or empty if no message arrived.
        resume_token: String,
    },
    /// The watch broke without an outcome, and a retry does not help.
    Refused {
        /// Completes the sentence "could not …".
        doing: String,
        status: Status,
    },
}

/// Follows one connection until its watch ends, and reopens the stream when it breaks.
///
/// # Errors
/// If the listener fails.
pub(crate) async fn follow(
    gateway: &Gateway,
    request: WatchRealizationRequest,
    deadline: Option<Instant>,
    listener: &mut impl Listener,
) -> io::Result<Ended> {
    let name = request.name.clone();
    let mut watch = Watch {
        gateway,
        request,
        listener,
    };
    let mut patience = Reconnects::new(deadline);
    loop {
        let end = match deadline {
            Some(deadline) => timeout_at(deadline, watch.follow(&mut patience))
                .await
                .unwrap_or(Ok(End::TimeUp))?,
            None => watch.follow(&mut patience).await?,
        };
        let status = match end {
            End::Outcome(outcome) => return Ok(Ended::Outcome(outcome)),
            End::TimeUp => {
                let resume_token = watch.request.resume_token;
                return Ok(Ended::TimeUp { resume_token });
            }
            End::Broken(status) => status,
        };
        // Before the first message there is nothing to resume, and a wrong address is reported at once.
        if !patience.heard || !failure::is_transient(&status) {
            let doing = format!("watch {name}");
            return Ok(Ended::Refused { doing, status });
        }
        let Some(next) = patience.next_try(failure::retry_after(&status)) else {
            let doing = format!("go on watching {name}");
            return Ok(Ended::Refused { doing, status });
        };
        watch.listener.broke_off(&format!(
            "the watch broke off ({}); it goes on where it was",
            crate::cli::text::clean(status.message())
        ))?;
        // All earlier changes have been shown, so a fresh snapshot loses nothing.
        watch.request.snapshot_if_compacted = true;
        sleep_until(next).await;
    }
}

/// Waits for the outcome of one connection, and prints it with the current state.
///
/// # Errors
/// If the output cannot be written.
pub async fn wait(
    gateway: &Gateway,
    name: &str,
    wanted: &WantedArgs,
    printer: &mut Printer,
) -> io::Result<Exit> {
    let name = names::watched(name);
    let timeout = wanted.timeout.unwrap_or(DEFAULT_WAIT);
    let deadline = Instant::now() + timeout;
    let mut patience = Reconnects::new(Some(deadline));
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let request = WaitRealizationRequest {
            name: name.clone(),
            goal: wait_goal(wanted).into(),
            write_token: wanted.write_token.clone().unwrap_or_default(),
            // A timeout beyond the range of protobuf is left out.
            timeout: prost_types::Duration::try_from(left).ok(),
            accept_partial: wanted.accept_partial,
            include_tunnel: wanted.include_tunnel,
            accept_assumed: wanted.accept_assumed,
            upstream_request_ids: wanted.upstream_request_ids.clone(),
        };
        // The gateway itself answers in time. This limit is for one that does not answer at all.
        let grace = deadline + Duration::from_secs(5);
        let asked = Instant::now();
        let answer = timeout_at(grace, gateway.realizations().wait_realization(request)).await;
        let status = match answer {
            Ok(Ok(response)) => {
                let response = response.into_inner();
                printer.message("WaitRealizationResponse", &response, wait_text)?;
                return Ok(match &response.outcome {
                    Some(outcome) => exit(outcome),
                    None => time_up("", Some(timeout)),
                });
            }
            Ok(Err(status)) => status,
            Err(_) => return Ok(time_up("", Some(timeout))),
        };
        // A call in flight reached a gateway that went away later. A wrong address fails at once.
        let reached = is_from_gateway(&status) || patience.tries > 0 || asked.elapsed() > REACHED;
        let again = failure::is_transient(&status) && reached;
        match patience.next_try(failure::retry_after(&status)) {
            Some(next) if again => sleep_until(next).await,
            _ => return Ok(failed(&format!("wait for {name}"), &status, gateway)),
        }
    }
}

/// A stream in progress.
struct Watch<'a, L> {
    gateway: &'a Gateway,
    /// Its resume token is always that of the last message shown.
    request: WatchRealizationRequest,
    listener: &'a mut L,
}

enum End {
    /// With an outcome.
    Outcome(Outcome),
    /// The timeout passed.
    TimeUp,
    /// Without an outcome.
    Broken(Status),
}

impl<L: Listener> Watch<'_, L> {
    async fn follow(&mut self, patience: &mut Reconnects) -> io::Result<End> {
        let mut client = self.gateway.realizations();
        let mut stream = match client.watch_realization(self.request.clone()).await {
            Ok(response) => response.into_inner(),
            Err(status) => return Ok(End::Broken(status)),
        };
        loop {
            match stream.message().await {
                Ok(Some(message)) => {
                    patience.heard();
                    self.take(&message)?;
                    if let Some(outcome) = message.outcome {
                        return Ok(End::Outcome(outcome));
                    }
                }
                Ok(None) => {
                    let broken = Status::unavailable("the stream ended without an outcome");
                    return Ok(End::Broken(broken));
                }
                Err(status) => return Ok(End::Broken(status)),
            }
        }
    }

    fn take(&mut self, message: &WatchRealizationResponse) -> io::Result<()> {
        if !message.resume_token.is_empty() {
            self.request.resume_token.clone_from(&message.resume_token);
        }
        self.listener.message(message)
    }
}

/// The backoff after a gateway went away.
struct Reconnects {
    deadline: Option<Instant>,
    /// Whether any message has arrived.
    heard: bool,
    last_heard: Instant,
    tries: u32,
}

impl Reconnects {
    fn new(deadline: Option<Instant>) -> Reconnects {
        Reconnects {
            deadline,
            heard: false,
            last_heard: Instant::now(),
            tries: 0,
        }
    }

    fn heard(&mut self) {
        self.heard = true;
        self.last_heard = Instant::now();
        self.tries = 0;
    }

    /// Returns when to try again, or `None` if there is no deadline and [`OUTAGE`] has passed without a message. The
    /// delay doubles from 0.2 s up to 5 s, is at least what the gateway asks for (up to [`OUTAGE`]), and has jitter, so
    /// that many clients do not return at once.
    fn next_try(&mut self, asked: Option<Duration>) -> Option<Instant> {
        let now = Instant::now();
        if self.deadline.is_none() && now - self.last_heard > OUTAGE {
            return None;
        }
        let grown = Duration::from_millis(200 << self.tries.min(5)).min(Duration::from_secs(5));
        self.tries += 1;
        let delay = grown.max(asked.unwrap_or_default().min(OUTAGE));
        let next = now + delay.mul_f64(1.0 + fastrand::f64() / 4.0);
        Some(self.deadline.map_or(next, |deadline| next.min(deadline)))
    }
}

fn wait_goal(wanted: &WantedArgs) -> Goal {
    match (wanted.goal, &wanted.write_token) {
        (Some(goal), _) => goal.into(),
        // The token implies the goal. Writes made elsewhere are awaited for GOAL_CONFIG.
        (None, Some(_)) => Goal::Unspecified,
        (None, None) => Goal::Config,
    }
}

fn wait_text(response: &WaitRealizationResponse, style: crate::cli::text::Style) -> String {
    let seen = response.realization.clone().unwrap_or_default();
    let mut text = progress::realization(&seen, style);
    if let Some(outcome) = &response.outcome {
        text.push('\n');
        text.push_str(&progress::outcome(outcome, style));
    }
    text
}

/// Reports whether the status comes from the gateway itself and not from a failed connection.
fn is_from_gateway(status: &Status) -> bool {
    use tonic_types::StatusExt;
    status.get_details_error_info().is_some()
}

/// Returns the exit code for an outcome.
pub(crate) fn exit(outcome: &Outcome) -> Exit {
    match outcome.result() {
        outcome::Result::Succeeded => Exit::Done,
        outcome::Result::Undetermined => Exit::Undetermined,
        // An unknown result from a newer gateway is no success.
        outcome::Result::Failed | outcome::Result::Unspecified => Exit::Failed,
    }
}

fn time_up(resume_token: &str, timeout: Option<Duration>) -> Exit {
    let timeout = humantime::format_duration(timeout.unwrap_or_default());
    eprintln!("isthmus: no outcome within {timeout}");
    if !resume_token.is_empty() {
        eprintln!("  go on with --resume-token {resume_token}");
    }
    Exit::Deadline
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_success_never_ends_with_0() {
        let ends_with = |result: i32| {
            let outcome = Outcome {
                result,
                reason: None,
            };
            exit(&outcome).code()
        };
        // The last result is one of a newer gateway.
        assert_eq!([1, 2, 3, 0, 99].map(ends_with), [0, 3, 5, 3, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateway_is_tried_again_less_and_less_often_and_not_for_ever() {
        let mut patience = Reconnects::new(None);
        patience.heard();
        let mut delays = Vec::new();
        while let Some(next) = patience.next_try(None) {
            delays.push(next - Instant::now());
            sleep_until(next).await;
        }
        assert!(delays[0] < Duration::from_millis(251), "{delays:?}");
        assert!(
            delays
                .iter()
                .all(|delay| *delay <= Duration::from_millis(6_250)),
            "{delays:?}"
        );
        assert!(delays.len() < 40, "{delays:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateway_that_asks_for_time_gets_it_up_to_the_deadline() {
        let soon = Instant::now() + Duration::from_secs(3);
        let mut patience = Reconnects::new(Some(soon));
        assert_eq!(patience.next_try(Some(Duration::from_secs(9))), Some(soon));
    }
}
