//! `--trouble`: plays a series of faults on a cloud, in a loop, so that the log, the metrics page and a dashboard have
//! something to show.
//!
//! The faults happen in the simulated NSX, not in the gateway: it resets connections, answers 429, and changes its
//! password. This module only does what an operator would do then: it writes the new password to its file.

use crate::{
    cli::demo::clouds::{Clouds, NSX},
    simulator::faults::{Answer, Fault, Rule},
};
use http::StatusCode;
use std::{
    io::{self, Write},
    time::Duration,
};
use tokio::time::{Instant, interval, sleep_until};

/// How often NSX answers 429 while it throttles. The interval is longer than the retry delay, so that some requests
/// succeed.
const BUSY_EVERY: Duration = Duration::from_secs(3);
/// The retry delay in that answer, in seconds.
const BUSY_FOR: u64 = 1;

/// The phases, in order.
const ACTS: [Act; 6] = [
    Act::CutOff,
    Act::Back,
    Act::Busy,
    Act::Idle,
    Act::AnotherPassword,
    Act::HandedOn,
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Act {
    /// Every connection is reset.
    CutOff,
    Back,
    /// NSX throttles.
    Busy,
    Idle,
    /// NSX refuses the gateway's login. The gateway tries twice, and then leaves the account alone for minutes.
    AnotherPassword,
    /// The gateway gets the new password, without a restart.
    HandedOn,
}

impl Act {
    /// Returns the line that announces the phase.
    fn line(self) -> &'static str {
        match self {
            Act::CutOff => "is cut off: every connection to it is reset",
            Act::Back => "can be reached again",
            Act::Busy => "asks for patience: every three seconds a request is answered 429",
            Act::Idle => "has time for everybody again",
            Act::AnotherPassword => "refuses the gateway's login: its password was changed",
            Act::HandedOn => {
                "takes the gateway's login: the new password was written into its file"
            }
        }
    }

    /// Plays the phase for `step`. `password` is that of NSX in this round.
    async fn play(self, clouds: &Clouds, password: &str, step: Duration) -> io::Result<()> {
        let end = Instant::now() + step;
        match self {
            Act::CutOff => {
                let cut = Rule::any(Fault::CutBeforeHandling);
                clouds.nsx().faults().inject(cut);
            }
            Act::Back | Act::Idle => clouds.nsx().faults().clear(),
            Act::Busy => {
                let mut ticks = interval(BUSY_EVERY);
                while Instant::now() < end {
                    tokio::select! {
                        _ = ticks.tick() => busy(clouds),
                        () = sleep_until(end) => {}
                    }
                }
            }
            Act::AnotherPassword => clouds.change_password(password),
            Act::HandedOn => clouds.hand_on_password(password).await?,
        }
        sleep_until(end).await;
        Ok(())
    }
}

/// Makes NSX answer 429 to the next request.
fn busy(clouds: &Clouds) {
    let faults = clouds.nsx().faults();
    // The previous fault may not have fired.
    faults.clear();
    let patience = Answer::status(StatusCode::TOO_MANY_REQUESTS).retry_after(BUSY_FOR);
    faults.inject(Rule::any(Fault::Answer(patience)).times(1));
}

/// Plays all phases in a loop, each for `step`, and announces each on `out`. Returns only on an error.
///
/// # Errors
/// If the output or the file of the password cannot be written.
pub async fn play(clouds: &Clouds, step: Duration, out: &mut impl Write) -> io::Result<()> {
    let begun = Instant::now();
    let seconds = step.as_secs();
    writeln!(
        out,
        "\nFrom now on {NSX} is in trouble, {seconds} s with each, over and over:\n"
    )?;
    for round in 1_u64.. {
        let password = format!("not-a-real-password-{round}");
        for act in ACTS {
            let at = begun.elapsed().as_secs();
            writeln!(out, "{at:>5} s  {NSX} {}", act.line())?;
            act.play(clouds, &password, step).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::{dialect::Call, error::ErrorReason},
        dialects,
    };

    /// What the gateway sees in each phase, over two rounds.
    #[tokio::test]
    async fn each_is_what_it_says() {
        let clouds = Clouds::start().unwrap();
        let [nsx, _] = clouds.backends();
        let dialect = dialects::connect(&nsx).unwrap();
        let probe = async || {
            // Longer than the retry delay, and shorter than the pause after a refused login.
            let call = Call::unary(Duration::from_secs(4));
            dialect.probe(&call).await.map_err(|error| error.reason)
        };
        let reached = Ok(());
        assert_eq!(probe().await, reached);
        for password in ["one", "another"] {
            for act in ACTS {
                act.play(&clouds, password, Duration::ZERO).await.unwrap();
                if act == Act::Busy {
                    busy(&clouds);
                }
                let expected = match act {
                    Act::CutOff => Err(ErrorReason::UpstreamUnreachable),
                    Act::Busy => Err(ErrorReason::UpstreamThrottled),
                    Act::AnotherPassword => Err(ErrorReason::UpstreamAuth),
                    Act::Back | Act::Idle | Act::HandedOn => reached,
                };
                assert_eq!(probe().await, expected, "{act:?}");
            }
        }
        assert_eq!(clouds.nsx().state().failed_logins(), 2);
    }
}
