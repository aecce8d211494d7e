//! Decides whether the status ends a watch. One pure function; the table in its tests is the specification.

use crate::{
    core::watch::status::ConnectionStatus,
    model::{Assurance, Goal, Intent, RealizationState as State, Reason, codes},
};

/// What a watch waits for, and what it accepts instead of full proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    pub goal: Goal,
    /// Whether PARTIAL satisfies CONFIG, and DEGRADED satisfies TUNNEL_UP.
    pub accept_partial: bool,
    /// Whether an assumption after a quiet time counts as proof.
    pub accept_assumed: bool,
    /// The intent of the write that the watch is bound to: enabled or disabled. `None` without a write.
    pub wanted: Option<Intent>,
}

/// What a status means for a watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Not decided yet.
    GoesOn,
    /// The goal is reached. The reason names what the verdict rests on, if less than full proof.
    Success(Option<Reason>),
    /// A confirmed failure.
    Failure(Reason),
    /// The cloud reports what the watch waits for, but cannot tell whether it speaks for this write, and no proof can
    /// still come.
    Undetermined(Reason),
}

impl Verdict {
    /// Combines the verdicts on two writes awaited together: bad news of either counts, success needs both.
    pub fn and(self, other: Verdict) -> Verdict {
        match (self, other) {
            (Verdict::Failure(reason), _) | (_, Verdict::Failure(reason)) => {
                Verdict::Failure(reason)
            }
            (Verdict::GoesOn, _) | (_, Verdict::GoesOn) => Verdict::GoesOn,
            (Verdict::Undetermined(reason), _) | (_, Verdict::Undetermined(reason)) => {
                Verdict::Undetermined(reason)
            }
            (Verdict::Success(one), Verdict::Success(other)) => Verdict::Success(one.or(other)),
        }
    }
}

/// Judges a status for a watch bound to the write of this number, or to none (0).
///
/// A status from before the write was done decides nothing. A newer write through this gateway contains this one, and
/// its intent counts instead. A watch bound to no write asks about the connection as it is, so it does not matter which
/// write the cloud speaks for.
pub fn judge_bound(status: &ConnectionStatus, mut terms: Terms, write: u64) -> Verdict {
    if status.writes < write {
        return Verdict::GoesOn;
    }
    if status.writes > write {
        terms.wanted = None;
    }
    terms.accept_assumed |= write == 0;
    judge(status, terms)
}

/// Judges a status. The verdict is a function of (state, assurance, intent, goal), never of the state alone.
///
/// A failure counts only once confirmed: two polls `confirm_failure` apart brought the same bad news.
pub fn judge(status: &ConnectionStatus, terms: Terms) -> Verdict {
    if terms.goal == Goal::Gone {
        return gone(status);
    }
    if status.intent == Intent::Deleted {
        // A delete through this gateway overtook what the watch waits for. It needs no confirmation by the cloud.
        return Verdict::Failure(Reason::new(
            codes::SUPERSEDED,
            "a later delete through this gateway removes the connection",
        ));
    }
    if status.intent == Intent::Disabled && terms.wanted == Some(Intent::Enabled) {
        return confirmed(status, || {
            Reason::new(
                codes::SUPERSEDED,
                "somebody switched the connection off after this write",
            )
        });
    }
    match status.state {
        State::Realized | State::Active | State::Degraded | State::Down => reached(status, terms),
        State::Partial if terms.accept_partial && terms.goal == Goal::Config => success(status),
        State::Disabled if status.intent == Intent::Disabled => match terms.goal {
            Goal::Config => success(status),
            _ => Verdict::GoesOn,
        },
        State::Failed | State::Disabled => confirmed(status, || failure_reason(status)),
        State::Deleting => confirmed(status, || {
            Reason::new(codes::SUPERSEDED, "somebody is removing the connection")
        }),
        State::Deleted => confirmed(status, || {
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

/// Judges a delete. Only a proven removal is success; only a failure other than ORPHANED ends it otherwise.
fn gone(status: &ConnectionStatus) -> Verdict {
    match status.state {
        State::Deleted => success(status),
        State::Failed if !has_reason(status, codes::ORPHANED) => {
            confirmed(status, || failure_reason(status))
        }
        _ => Verdict::GoesOn,
    }
}

/// Judges a configuration that is in place, with or without a tunnel.
fn reached(status: &ConnectionStatus, terms: Terms) -> Verdict {
    let assumption = status.assumption.as_ref();
    // After a quiet time a stored intent alone reaches CONFIG.
    let stored = terms.goal == Goal::Config && assumption.is_some();
    if stored || enough(status.state, status.carries(), terms) {
        return success(status);
    }
    match assumption {
        Some(it) if enough(status.state, it.as_is, terms) => {
            if it.made || terms.accept_assumed {
                success(status)
            } else {
                Verdict::Undetermined(Reason::new(
                    it.reason.code.as_str(),
                    "the cloud cannot tell whether this write is in effect; beside it is what it says",
                ))
            }
        }
        _ => Verdict::GoesOn,
    }
}

/// Reports whether a state of this assurance reaches the goal.
fn enough(state: State, assurance: Assurance, terms: Terms) -> bool {
    match terms.goal {
        Goal::Config => assurance >= Assurance::ControlPlane,
        Goal::InEffect => assurance >= Assurance::InEffect,
        Goal::TunnelUp => match state {
            State::Active => assurance >= Assurance::TunnelUp,
            State::Degraded => terms.accept_partial && assurance >= Assurance::ControlPlane,
            _ => false,
        },
        Goal::Gone => false,
    }
}

fn success(status: &ConnectionStatus) -> Verdict {
    let assumed = status.assumption.as_ref().map(|it| it.reason.clone());
    Verdict::Success(assumed.or_else(|| status.reason.clone()))
}

fn confirmed(status: &ConnectionStatus, reason: impl FnOnce() -> Reason) -> Verdict {
    if status.confirmed {
        Verdict::Failure(reason())
    } else {
        Verdict::GoesOn
    }
}

fn failure_reason(status: &ConnectionStatus) -> Reason {
    status.reason.clone().unwrap_or_else(|| {
        Reason::new(
            codes::UPSTREAM_ERROR,
            format!("the cloud says `{}`", status.native_state),
        )
    })
}

fn has_reason(status: &ConnectionStatus, code: &str) -> bool {
    status
        .reason
        .as_ref()
        .is_some_and(|reason| reason.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::watch::status::Assumption,
        model::{Assurance as A, Goal as G, Intent as I},
    };

    const CONFIRMED: bool = true;
    const ONCE: bool = false;

    fn status(
        state: State,
        assurance: A,
        intent: I,
        confirmed: bool,
        code: &str,
    ) -> ConnectionStatus {
        ConnectionStatus {
            state,
            assurance,
            intent,
            confirmed,
            reason: (!code.is_empty()).then(|| Reason::new(code, "")),
            ..ConnectionStatus::default()
        }
    }

    /// One letter for each goal CONFIG, IN_EFFECT, TUNNEL_UP, GONE: `s` success, `f` failure, `u` undetermined,
    /// `-` goes on.
    fn verdicts_by(verdict: impl Fn(G) -> Verdict) -> String {
        [G::Config, G::InEffect, G::TunnelUp, G::Gone]
            .into_iter()
            .map(|goal| match verdict(goal) {
                Verdict::GoesOn => '-',
                Verdict::Success(_) => 's',
                Verdict::Failure(_) => 'f',
                Verdict::Undetermined(_) => 'u',
            })
            .collect()
    }

    fn terms(goal: G) -> Terms {
        Terms {
            goal,
            accept_partial: false,
            accept_assumed: false,
            wanted: None,
        }
    }

    fn verdicts(status: &ConnectionStatus, accept_partial: bool, wanted: Option<I>) -> String {
        verdicts_by(|goal| {
            let terms = Terms {
                accept_partial,
                wanted,
                ..terms(goal)
            };
            judge(status, terms)
        })
    }

    #[track_caller]
    fn check(status: ConnectionStatus, expected: &str) {
        assert_eq!(verdicts(&status, false, None), expected, "{status:?}");
    }

    #[track_caller]
    fn check_partial(status: ConnectionStatus, expected: &str) {
        assert_eq!(verdicts(&status, true, None), expected, "{status:?}");
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
                        check(status(state, assurance, intent, confirmed, ""), "----");
                    }
                }
            }
        }
    }

    #[test]
    fn a_configuration_in_place_reaches_what_its_assurance_carries() {
        let of = |state, assurance| status(state, assurance, I::Enabled, ONCE, "");
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
        let down = |assurance, code| status(State::Down, assurance, I::Enabled, ONCE, code);
        check(down(A::ControlPlane, ""), "ss--");
        check(down(A::ControlPlane, codes::IKE_NEGOTIATING), "s---");
        check(down(A::ControlPlane, codes::IKE_DOWN), "s---");
        check(down(A::InEffect, codes::IKE_DOWN), "ss--");
        check_partial(down(A::InEffect, codes::IKE_DOWN), "ss--");
    }

    /// The verdict after a quiet time, for what the cloud says: (state, assurance of the connection as it is).
    fn assumed(state: State, as_is: A, made: bool) -> ConnectionStatus {
        let reason = Reason::new(codes::ASSUMED_AFTER_QUIET_TIME, "");
        ConnectionStatus {
            writes: 7,
            reason: Some(reason.clone()),
            assumption: Some(Assumption {
                reason,
                as_is,
                made,
            }),
            ..status(state, A::IntentStored, I::Enabled, ONCE, "")
        }
    }

    #[test]
    fn an_assumption_reaches_config_and_beyond_it_the_cloud_cannot_tell() {
        // First what Neutron says, then what NSX says of a write without a request id.
        for (state, as_is, bound, as_it_is) in [
            (State::Active, A::TunnelUp, "suu-", "sss-"),
            (State::Down, A::InEffect, "su--", "ss--"),
            (State::Down, A::ControlPlane, "s---", "s---"),
            (State::Realized, A::ControlPlane, "s---", "s---"),
            (State::Realized, A::InEffect, "su--", "ss--"),
            (State::Degraded, A::ControlPlane, "s---", "s---"),
        ] {
            let status = assumed(state, as_is, false);
            let judged = |write, accept_assumed| {
                verdicts_by(|goal| {
                    let terms = Terms {
                        accept_assumed,
                        ..terms(goal)
                    };
                    judge_bound(&status, terms, write)
                })
            };
            assert_eq!(judged(7, false), bound, "{state:?} with the write's token");
            assert_eq!(judged(6, false), bound, "{state:?} with an earlier token");
            assert_eq!(judged(8, false), "----", "{state:?} before the write");
            assert_eq!(judged(7, true), as_it_is, "{state:?}, accept_assumed");
            assert_eq!(judged(0, false), as_it_is, "{state:?} without a token");
        }
        check(
            status(
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
    fn a_create_is_never_undetermined() {
        // The write created the connection: the cloud can speak of nothing older.
        for (state, as_is, expected) in [
            (State::Active, A::TunnelUp, "sss-"),
            (State::Realized, A::InEffect, "ss--"),
            (State::Realized, A::ControlPlane, "s---"),
        ] {
            check(assumed(state, as_is, true), expected);
        }
    }

    #[test]
    fn an_error_after_the_quiet_time_fails_as_ever() {
        let error = |confirmed| ConnectionStatus {
            confirmed,
            ..assumed(State::Failed, A::IntentStored, false)
        };
        check(error(ONCE), "----");
        check(error(CONFIRMED), "ffff");
    }

    #[test]
    fn a_success_by_assumption_says_what_it_rests_on() {
        let off = ConnectionStatus {
            intent: I::Disabled,
            reason: Some(Reason::new(codes::ADMIN_DISABLED, "")),
            ..assumed(State::Disabled, A::ControlPlane, false)
        };
        for status in [off, assumed(State::Down, A::InEffect, false)] {
            let Verdict::Success(Some(reason)) = judge(&status, terms(G::Config)) else {
                panic!("{status:?}")
            };
            assert_eq!(reason.code, codes::ASSUMED_AFTER_QUIET_TIME);
        }
    }

    #[test]
    fn bad_news_counts_once_confirmed() {
        let bad =
            |state, confirmed, code| status(state, A::ControlPlane, I::Enabled, confirmed, code);
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
            |state, assurance| status(state, assurance, I::Disabled, ONCE, codes::ADMIN_DISABLED);
        check(off(State::Disabled, A::ControlPlane), "s---");
        check(off(State::Disabled, A::IntentStored), "s---");
        check(off(State::InProgress, A::TunnelUp), "----");
        let service_too = status(
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
            status(
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
    fn a_delete_is_over_when_what_was_made_with_the_connection_is_gone() {
        let of = |state, confirmed| {
            let assurance = A::IntentStored;
            status(state, assurance, I::Deleted, confirmed, codes::PARTS_REMAIN)
        };
        check(of(State::Deleting, ONCE), "fff-");
        check(of(State::Failed, CONFIRMED), "ffff");
    }

    #[test]
    fn our_own_delete_supersedes_every_other_goal_at_once() {
        let deleting = |state, code| status(state, A::IntentStored, I::Deleted, ONCE, code);
        check(deleting(State::Deleting, ""), "fff-");
        check(deleting(State::Deleted, ""), "fffs");
        check(deleting(State::Failed, ""), "fff-");
        check(
            status(State::Failed, A::ControlPlane, I::Deleted, CONFIRMED, ""),
            "ffff",
        );
        check(
            status(
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
