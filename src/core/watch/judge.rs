//! Whether what is known ends a watch. One pure function; the table in its tests is the specification.

use crate::{
    core::watch::knowledge::View,
    model::{Assurance, Goal, Intent, RealizationState as State, Reason, codes},
};

/// What a watch waits for, and what it takes for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// What is waited for.
    pub goal: Goal,
    /// Take PARTIAL for CONFIG, and DEGRADED for TUNNEL_UP.
    pub accept_partial: bool,
    /// What the write that the watch is bound to wanted: enabled or disabled. `None` without a write.
    pub wanted: Option<Intent>,
}

/// What a look means for a watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Not decided.
    GoesOn,
    /// The goal is reached. The reason says what it rests on, if on less than full proof.
    Success(Option<Reason>),
    /// The cloud says it failed, and has said so long enough.
    Failure(Reason),
}

/// Judges what is known. A function of (state, assurance, intent, goal), never of the state alone.
///
/// Failures count only once confirmed: the same bad news from two looks `confirm_failure` apart.
pub fn judge(view: &View, terms: Terms) -> Verdict {
    if terms.goal == Goal::Gone {
        return gone(view);
    }
    if view.intent == Intent::Deleted {
        // Our own delete overtook what the watch waits for. Nothing to confirm: we know it ourselves.
        return Verdict::Failure(Reason::new(
            codes::SUPERSEDED,
            "a later delete through this gateway removes the connection",
        ));
    }
    if view.intent == Intent::Disabled && terms.wanted == Some(Intent::Enabled) {
        return confirmed(view, || {
            Reason::new(
                codes::SUPERSEDED,
                "somebody switched the connection off after this write",
            )
        });
    }
    match view.state {
        State::Realized | State::Active | State::Degraded | State::Down => reached(view, terms),
        State::Partial if terms.accept_partial && terms.goal == Goal::Config => success(view),
        State::Disabled if view.intent == Intent::Disabled => match terms.goal {
            Goal::Config => success(view),
            _ => Verdict::GoesOn,
        },
        State::Failed | State::Disabled => confirmed(view, || failure_reason(view)),
        State::Deleting => confirmed(view, || {
            Reason::new(codes::SUPERSEDED, "somebody is removing the connection")
        }),
        State::Deleted => confirmed(view, || {
            Reason::new(
                codes::VANISHED,
                "the connection is gone, and not through this gateway",
            )
        }),
        State::Partial | State::Unknown | State::Accepted | State::Pending | State::InProgress => {
            Verdict::GoesOn
        }
    }
}

/// The delete column: only gone is success; only a failure that is not about belonging ends it otherwise.
fn gone(view: &View) -> Verdict {
    match view.state {
        State::Deleted => success(view),
        State::Failed if !has_reason(view, codes::ORPHANED) => {
            confirmed(view, || failure_reason(view))
        }
        _ => Verdict::GoesOn,
    }
}

/// Whether a configuration in place, with or without a tunnel, is what was waited for.
fn reached(view: &View, terms: Terms) -> Verdict {
    let enough = match terms.goal {
        // A stored intent alone reaches CONFIG only as the assumption after a quiet time.
        Goal::Config => view.assurance >= Assurance::ControlPlane || view.assumed,
        Goal::InEffect => view.assurance >= Assurance::InEffect || in_effect_by_report(view),
        Goal::TunnelUp => match view.state {
            State::Active => view.assurance >= Assurance::TunnelUp,
            State::Degraded => terms.accept_partial && view.assurance >= Assurance::ControlPlane,
            _ => false,
        },
        Goal::Gone => false,
    };
    if enough {
        success(view)
    } else {
        Verdict::GoesOn
    }
}

/// Neutron has no word between "the agent has it" and "the tunnel is up": DOWN is the agent's report that
/// the connection is installed. A cloud that tells IKE's reason beside DOWN (NSX) also tells IN_EFFECT by
/// itself, so there the assurance decides.
fn in_effect_by_report(view: &View) -> bool {
    view.state == State::Down
        && view.assurance == Assurance::ControlPlane
        && !has_reason(view, codes::IKE_DOWN)
        && !has_reason(view, codes::IKE_NEGOTIATING)
}

fn success(view: &View) -> Verdict {
    Verdict::Success(view.reason.clone())
}

fn confirmed(view: &View, reason: impl FnOnce() -> Reason) -> Verdict {
    if view.confirmed {
        Verdict::Failure(reason())
    } else {
        Verdict::GoesOn
    }
}

fn failure_reason(view: &View) -> Reason {
    view.reason.clone().unwrap_or_else(|| {
        Reason::new(
            codes::UPSTREAM_ERROR,
            format!("the cloud says `{}`", view.native_state),
        )
    })
}

fn has_reason(view: &View, code: &str) -> bool {
    view.reason
        .as_ref()
        .is_some_and(|reason| reason.code == code)
}
