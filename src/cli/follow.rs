//! Follows several connections at once, all on one screen.

use crate::{
    cli::{
        exit::Exit,
        gateway::{Gateway, Printer},
        names::short,
        question::{GoalArg, WantedArgs},
        screen::{Row, Screen},
        show::{failed, misused},
        text::clean,
        watch::{self, Ended, Listener},
    },
    grpc::pb::{Outcome, WatchRealizationResponse, outcome},
};
use futures_util::future::join_all;
use std::{cell::RefCell, io, time::Duration};
use tokio::time::Instant;

/// A connection to follow.
#[derive(Debug, Clone)]
pub struct Followed {
    pub name: String,
    /// Its display name, or empty if only its name is known.
    pub display_name: String,
    /// The token of the write whose end is awaited, or empty to follow the connection as it is.
    pub write_token: String,
}

/// Follows all connections until each watch has ended or the timeout passes. Returns the worst exit code.
///
/// # Errors
/// If the output cannot be written.
pub async fn all(
    gateway: &Gateway,
    followed: &[Followed],
    wanted: &WantedArgs,
    printer: &mut Printer,
) -> io::Result<Exit> {
    let deadline = wanted.timeout.map(|timeout| Instant::now() + timeout);
    let rows = followed.iter().map(|it| row(it, wanted)).collect();
    let screen = RefCell::new(printer.screen(rows));
    screen.borrow_mut().begin()?;
    let each = followed.iter().enumerate().map(|(index, it)| {
        let wanted = WantedArgs {
            write_token: Some(it.write_token.clone()),
            ..wanted.clone()
        };
        let request = watch::request(&it.name, &wanted, None);
        let screen = &screen;
        async move {
            // Each watch has a channel of its own, as the contract advises.
            let gateway = Gateway::at(&gateway.endpoint).map_err(io::Error::other)?;
            let mut listener = OnScreen { screen, index };
            watch::follow(&gateway, request, deadline, &mut listener).await
        }
    });
    let ended = join_all(each).await;
    // Messages on standard error must not be drawn over.
    drop(screen);
    let mut exit = Exit::Done;
    for (it, ended) in followed.iter().zip(ended) {
        exit = exit.worst(told(it, ended?, wanted.timeout, gateway));
    }
    Ok(exit)
}

/// Reports the end of one watch.
fn told(it: &Followed, ended: Ended, timeout: Option<Duration>, gateway: &Gateway) -> Exit {
    let name = clean(&short(&it.name));
    match ended {
        Ended::Outcome(outcome) => {
            let exit = watch::exit(&outcome);
            if exit != Exit::Done {
                eprintln!("isthmus: {name}: {}", unsuccessful(&outcome));
            }
            exit
        }
        Ended::TimeUp { .. } => {
            let within = humantime::format_duration(timeout.unwrap_or_default());
            eprintln!("isthmus: {name}: no outcome within {within}");
            let token = match it.write_token.is_empty() {
                true => String::new(),
                false => format!(" --write-token {}", clean(&it.write_token)),
            };
            eprintln!("  go on with: isthmus watch {name}{token}");
            Exit::Deadline
        }
        Ended::Refused { doing, status } => failed(&doing, &status, gateway),
    }
}

fn unsuccessful(outcome: &Outcome) -> String {
    let word = match outcome.result() {
        outcome::Result::Undetermined => "the cloud cannot tell whether the write is in effect",
        _ => "it failed",
    };
    match outcome.reason.as_ref().filter(|it| !it.code.is_empty()) {
        Some(reason) => {
            let code = clean(&reason.code);
            format!("{word}; `isthmus explain {code}` says what to do")
        }
        None => word.to_owned(),
    }
}

fn row(it: &Followed, wanted: &WantedArgs) -> Row {
    let goal = match wanted.goal {
        Some(GoalArg::TunnelUp) => "until a tunnel is up",
        Some(GoalArg::InEffect) => "until it is in effect",
        Some(GoalArg::Gone) => "until it is gone",
        Some(GoalArg::Config) | None => "until the configuration is in place",
    };
    let name = clean(&short(&it.name));
    Row {
        title: match it.display_name.is_empty() {
            true => format!("{name}, {goal}:"),
            false => format!("{name} ({}), {goal}:", clean(&it.display_name)),
        },
        // Of a full name, the backend and enough of the id to distinguish connections.
        label: match name.split_once('/') {
            Some((backend, id)) => format!("{backend}/{}", id.chars().take(8).collect::<String>()),
            None => name,
        },
        ..Row::default()
    }
}

/// Checks that a created or changed connection can reach the goal, and prints why if not.
pub fn is_reachable(goal: Option<GoalArg>) -> Result<(), Exit> {
    match goal {
        Some(GoalArg::Gone) => Err(misused(
            "what is applied is there, so that it is gone is not waited for; `isthmus delete -f` removes it",
        )),
        _ => Ok(()),
    }
}

/// The row of one watch on a screen.
struct OnScreen<'a, 'b> {
    screen: &'a RefCell<Screen<'b>>,
    index: usize,
}

impl Listener for OnScreen<'_, '_> {
    fn message(&mut self, message: &WatchRealizationResponse) -> io::Result<()> {
        self.screen.borrow_mut().show(self.index, message)
    }

    fn broke_off(&mut self, why: &str) -> io::Result<()> {
        self.screen.borrow_mut().note(self.index, why)
    }
}
