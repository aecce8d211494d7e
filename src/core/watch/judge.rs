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

/// Judges what is known for a watch that is bound to the write of this number, or to none (0).
///
/// What was seen before the write was done decides nothing. If a newer write through this gateway has
/// followed, it contains this one, and what the newer one wants counts.
pub fn judge_bound(view: &View, mut terms: Terms, write: u64) -> Verdict {
    if view.writes < write {
        return Verdict::GoesOn;
    }
    if view.writes > write {
        terms.wanted = None;
    }
    judge(view, terms)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Assurance as A, Goal as G, Intent as I};

    const CONFIRMED: bool = true;
    const ONCE: bool = false;

    fn view(state: State, assurance: A, intent: I, confirmed: bool, code: &str) -> View {
        View {
            state,
            assurance,
            intent,
            confirmed,
            reason: (!code.is_empty()).then(|| Reason::new(code, "")),
            ..View::default()
        }
    }

    /// One letter for each goal CONFIG, IN_EFFECT, TUNNEL_UP, GONE: `s` success, `f` failure, `-` goes on.
    fn verdicts(view: &View, accept_partial: bool, wanted: Option<I>) -> String {
        [G::Config, G::InEffect, G::TunnelUp, G::Gone]
            .into_iter()
            .map(|goal| {
                match judge(
                    view,
                    Terms {
                        goal,
                        accept_partial,
                        wanted,
                    },
                ) {
                    Verdict::GoesOn => '-',
                    Verdict::Success(_) => 's',
                    Verdict::Failure(_) => 'f',
                }
            })
            .collect()
    }

    #[track_caller]
    fn check(view: View, expected: &str) {
        assert_eq!(verdicts(&view, false, None), expected, "{view:?}");
    }

    #[track_caller]
    fn check_partial(view: View, expected: &str) {
        assert_eq!(verdicts(&view, true, None), expected, "{view:?}");
    }

    #[test]
    fn what_is_on_its_way_decides_nothing() {
        for state in [
            State::Unknown,
            State::Accepted,
            State::Pending,
            State::InProgress,
            State::Partial,
        ] {
            for assurance in [
                A::None,
                A::IntentStored,
                A::ControlPlane,
                A::InEffect,
                A::TunnelUp,
            ] {
                for intent in [I::Unknown, I::Enabled, I::Disabled] {
                    for confirmed in [ONCE, CONFIRMED] {
                        check(view(state, assurance, intent, confirmed, ""), "----");
                    }
                }
            }
        }
    }

    #[test]
    fn a_configuration_in_place_reaches_what_its_assurance_carries() {
        let of = |state, assurance| view(state, assurance, I::Enabled, ONCE, "");
        check(of(State::Realized, A::IntentStored), "----");
        check(of(State::Realized, A::ControlPlane), "s---");
        check(of(State::Realized, A::InEffect), "ss--");
        check(of(State::Active, A::TunnelUp), "sss-");
        check(of(State::Degraded, A::ControlPlane), "s---");
        check(of(State::Degraded, A::InEffect), "ss--");
        check_partial(of(State::Degraded, A::InEffect), "sss-");
        check_partial(of(State::Partial, A::ControlPlane), "s---");
    }

    #[test]
    fn down_is_in_effect_where_the_cloud_has_no_finer_word() {
        let down = |assurance, code| view(State::Down, assurance, I::Enabled, ONCE, code);
        check(down(A::ControlPlane, ""), "ss--");
        check(down(A::ControlPlane, codes::IKE_NEGOTIATING), "s---");
        check(down(A::ControlPlane, codes::IKE_DOWN), "s---");
        check(down(A::InEffect, codes::IKE_DOWN), "ss--");
        check_partial(down(A::InEffect, codes::IKE_DOWN), "ss--");
    }

    #[test]
    fn an_assumption_reaches_config_and_no_more() {
        for state in [State::Active, State::Down, State::Realized] {
            let assumed = View {
                assumed: true,
                ..view(
                    state,
                    A::IntentStored,
                    I::Enabled,
                    ONCE,
                    codes::ASSUMED_AFTER_QUIET_TIME,
                )
            };
            check(assumed, "s---");
        }
        check(
            view(
                State::Active,
                A::IntentStored,
                I::Enabled,
                ONCE,
                codes::AWAITING_PROOF,
            ),
            "----",
        );
    }

    #[test]
    fn bad_news_counts_once_confirmed() {
        let bad =
            |state, confirmed, code| view(state, A::ControlPlane, I::Enabled, confirmed, code);
        check(bad(State::Failed, ONCE, ""), "----");
        check(bad(State::Failed, CONFIRMED, ""), "ffff");
        check(bad(State::Failed, CONFIRMED, codes::ORPHANED), "fff-");
        check(
            bad(State::Disabled, ONCE, codes::VPN_SERVICE_DISABLED),
            "----",
        );
        check(
            bad(State::Disabled, CONFIRMED, codes::VPN_SERVICE_DISABLED),
            "fff-",
        );
        check(bad(State::Disabled, CONFIRMED, codes::FROZEN), "fff-");
        check(bad(State::Deleting, ONCE, ""), "----");
        check(bad(State::Deleting, CONFIRMED, ""), "fff-");
        check(bad(State::Deleted, ONCE, ""), "---s");
        check(bad(State::Deleted, CONFIRMED, ""), "fffs");
    }

    #[test]
    fn switched_off_on_purpose_is_no_failure() {
        let off =
            |state, assurance| view(state, assurance, I::Disabled, ONCE, codes::ADMIN_DISABLED);
        check(off(State::Disabled, A::ControlPlane), "s---");
        check(off(State::Disabled, A::IntentStored), "s---");
        check(off(State::InProgress, A::TunnelUp), "----");
        let service_too = view(
            State::Disabled,
            A::None,
            I::Disabled,
            CONFIRMED,
            codes::VPN_SERVICE_DISABLED,
        );
        check(service_too, "s---");
    }

    #[test]
    fn switched_off_by_others_fails_a_write_that_wants_it_on() {
        let off = |confirmed| {
            view(
                State::Disabled,
                A::ControlPlane,
                I::Disabled,
                confirmed,
                codes::ADMIN_DISABLED,
            )
        };
        assert_eq!(verdicts(&off(ONCE), false, Some(I::Enabled)), "----");
        assert_eq!(verdicts(&off(CONFIRMED), false, Some(I::Enabled)), "fff-");
        assert_eq!(verdicts(&off(CONFIRMED), false, Some(I::Disabled)), "s---");
    }

    #[test]
    fn our_own_delete_supersedes_every_other_goal_at_once() {
        let deleting = |state, code| view(state, A::IntentStored, I::Deleted, ONCE, code);
        check(deleting(State::Deleting, ""), "fff-");
        check(deleting(State::Deleted, ""), "fffs");
        check(deleting(State::Failed, ""), "fff-");
        check(
            view(State::Failed, A::ControlPlane, I::Deleted, CONFIRMED, ""),
            "ffff",
        );
        check(
            view(
                State::Failed,
                A::ControlPlane,
                I::Deleted,
                CONFIRMED,
                codes::ORPHANED,
            ),
            "fff-",
        );
    }
}
