//! What becomes of several connections, all shown at once.

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

/// One connection that is followed.
#[derive(Debug, Clone)]
pub struct Followed {
    /// Its full name.
    pub name: String,
    /// What it is called for people; empty if only its name is known.
    pub display_name: String,
    /// The token of the write whose end is awaited; empty if nothing was written, and it is followed as it is.
    pub write_token: String,
}

/// Follows all of them until each has ended or the time is up. How that ends is the worst of all.
///
/// # Errors
/// If nobody reads what is shown.
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
            // Each watch on a channel of its own, as the contract advises.
            let gateway = Gateway::at(&gateway.endpoint).map_err(io::Error::other)?;
            let mut listener = OnScreen { screen, index };
            watch::follow(&gateway, request, deadline, &mut listener).await
        }
    });
    let ended = join_all(each).await;
    // What is told on standard error must not be drawn over.
    drop(screen);
    let mut exit = Exit::Done;
    for (it, ended) in followed.iter().zip(ended) {
        exit = exit.worst(told(it, ended?, wanted.timeout, gateway));
    }
    Ok(exit)
}

/// How one of them ended.
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
        // Of a full name the backend and enough of the id to tell them apart.
        label: match name.split_once('/') {
            Some((backend, id)) => format!("{backend}/{}", id.chars().take(8).collect::<String>()),
            None => name,
        },
        ..Row::default()
    }
}

/// Whether a goal is one that what is made or changed can reach; tells if not.
pub fn is_reachable(goal: Option<GoalArg>) -> Result<(), Exit> {
    match goal {
        Some(GoalArg::Gone) => Err(misused(
            "what is applied is there, so that it is gone is not waited for; `isthmus delete -f` removes it",
        )),
        _ => Ok(()),
    }
}

/// One row of a screen, for one watch.
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
