//! `watch` and `wait`: until the goal, the failure, or the end of patience.

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

/// How long a gateway that went away is waited for if nothing else ends the watch.
const OUTAGE: Duration = Duration::from_secs(120);

/// How long `wait` waits unless told otherwise: as long as the gateway itself would.
const DEFAULT_WAIT: Duration = Duration::from_secs(30);

/// A call that lasted longer was not refused by the machine it went to.
const REACHED: Duration = Duration::from_secs(1);

/// Follows one connection, a line for each message, and opens the stream again when it breaks.
///
/// # Errors
/// If nobody reads what is printed.
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

/// What is asked for one connection, or for a write to what connections use.
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

/// What is told of a watch while it goes on.
pub(crate) trait Listener {
    /// One message of it.
    ///
    /// # Errors
    /// If nobody reads any more.
    fn message(&mut self, message: &WatchRealizationResponse) -> io::Result<()>;

    /// That it broke off, and goes on where it was.
    ///
    /// # Errors
    /// As [`Listener::message`].
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

/// How a watch ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// By itself.
    Outcome(Outcome),
    /// The time was up.
    TimeUp {
        /// With which it can be gone on with; empty if nothing was heard.
        resume_token: String,
    },
    /// Without an outcome, and there is no use in trying again.
    Refused {
        /// Completes the sentence "could not …".
        doing: String,
        /// What the gateway says.
        status: Status,
    },
}

/// Follows one connection until that ends, and opens the stream again when it breaks.
///
/// # Errors
/// If nobody listens any more.
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
        // Before the first message there is no watch to go on with, and a wrong address is told at once.
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
        // What this command knew is on the screen already; a fresh snapshot takes nothing away.
        watch.request.snapshot_if_compacted = true;
        sleep_until(next).await;
    }
}

/// Waits for the outcome of one connection and says where it stands then.
///
/// # Errors
/// If nobody reads what is printed.
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
            // A duration that protobuf cannot say is longer than anybody waits.
            timeout: prost_types::Duration::try_from(left).ok(),
            accept_partial: wanted.accept_partial,
            include_tunnel: wanted.include_tunnel,
            accept_assumed: wanted.accept_assumed,
            upstream_request_ids: wanted.upstream_request_ids.clone(),
        };
        // The gateway answers in time by itself; this is for one that does not answer at all.
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
        // A call that was under way reached a gateway, which then went away; a wrong address fails at once.
        let reached = is_from_gateway(&status) || patience.tries > 0 || asked.elapsed() > REACHED;
        let again = failure::is_transient(&status) && reached;
        match patience.next_try(failure::retry_after(&status)) {
            Some(next) if again => sleep_until(next).await,
            _ => return Ok(failed(&format!("wait for {name}"), &status, gateway)),
        }
    }
}

/// A stream that is being followed.
struct Watch<'a, L> {
    gateway: &'a Gateway,
    /// Its resume token is always that of the last message told.
    request: WatchRealizationRequest,
    listener: &'a mut L,
}

/// How a stream ended.
enum End {
    /// By itself.
    Outcome(Outcome),
    /// Because nobody wants to wait any longer.
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

/// How often, and how long, a gateway that went away is tried again.
struct Reconnects {
    deadline: Option<Instant>,
    /// Whether anything was heard at all.
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

    /// When to try again; `None` if it has been long enough. Longer each time, from 0.2 s to 5 s, unless the
    /// gateway asks for more; with jitter, so that many clients do not come back at one time.
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
        // The token knows what it is for; writes made elsewhere are awaited for GOAL_CONFIG.
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

/// Whether the gateway itself said this, and not a connection that never came about.
fn is_from_gateway(status: &Status) -> bool {
    use tonic_types::StatusExt;
    status.get_details_error_info().is_some()
}

/// How a command ends after this outcome.
pub(crate) fn exit(outcome: &Outcome) -> Exit {
    match outcome.result() {
        outcome::Result::Succeeded => Exit::Done,
        outcome::Result::Undetermined => Exit::Undetermined,
        // A result of a newer gateway is no success.
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
        // The last is of a later gateway.
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
