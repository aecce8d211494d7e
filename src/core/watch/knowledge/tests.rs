//! Histories of polls and writes, and the status after each.

mod parts;
mod request_ids;

use super::*;
use crate::{
    core::{
        error::ErrorReason,
        watch::judge::{Terms, Verdict, judge_bound},
    },
    model::Goal,
};
use std::time::Duration;

const ENABLED: Intent = Intent::Enabled;

/// A history under construction: seconds count from its beginning.
struct History {
    start: Instant,
    knowledge: Knowledge,
    settings: PollSettings,
    writes_done: Vec<u64>,
}

impl History {
    fn new() -> History {
        History {
            start: Instant::now(),
            knowledge: Knowledge::default(),
            settings: PollSettings::default(),
            writes_done: Vec::new(),
        }
    }

    fn at(&self, second: u64) -> Instant {
        self.start + Duration::from_secs(second)
    }

    fn wrote(
        &mut self,
        second: u64,
        kind: WriteKind,
        proof: Proof,
        intent: Intent,
    ) -> &ConnectionStatus {
        let done = self.at(second);
        self.writes_done.push(second);
        self.knowledge.wrote(&Write {
            kind,
            proof,
            intent,
            done,
            parts_remain: false,
        });
        self.status()
    }

    /// A delete whose parts are still to be removed.
    fn deleted_with_parts(&mut self, second: u64) -> &ConnectionStatus {
        let done = self.at(second);
        self.writes_done.push(second);
        self.knowledge.wrote(&Write {
            kind: WriteKind::Delete,
            proof: Proof::AnyStatus,
            intent: Intent::Deleted,
            done,
            parts_remain: true,
        });
        self.status()
    }

    /// Returns the verdict of a watch for GONE with the last write's token.
    fn gone(&self) -> Verdict {
        let terms = Terms {
            goal: Goal::Gone,
            accept_partial: false,
            accept_assumed: false,
            wanted: None,
        };
        judge_bound(self.status(), terms, self.knowledge.writes())
    }

    /// The gateway is killed and started again.
    fn restarted(&mut self) {
        let kept = serde_json::to_string(&self.knowledge.memory()).unwrap();
        let memory: Memory = serde_json::from_str(&kept).unwrap();
        let status = serde_json::to_string(self.status()).unwrap();
        let status = serde_json::from_str(&status).unwrap();
        self.knowledge = Knowledge::recalled(status, &memory, self.start);
    }

    fn updated(&mut self, second: u64, native: &str) -> &ConnectionStatus {
        let proof = Proof::StatusMustMove {
            native_state: native.to_owned(),
        };
        self.wrote(second, WriteKind::Update, proof, ENABLED)
    }

    /// A poll that begins at a second and takes no time.
    fn saw(&mut self, second: u64, sighting: Sighting) -> &ConnectionStatus {
        self.poll(second, Ok(sighting))
    }

    fn missed(&mut self, second: u64, kind: ErrorKind, reason: ErrorReason) -> &ConnectionStatus {
        self.poll(second, Err(Error::new(kind, reason, "no answer")))
    }

    fn poll(&mut self, second: u64, result: Result<Sighting, Error>) -> &ConnectionStatus {
        let poll = self.poll_at(second, result);
        self.knowledge.apply_poll(&poll, &self.settings);
        self.status()
    }

    fn poll_at(&self, second: u64, result: Result<Sighting, Error>) -> PollResult {
        let at = self.at(second);
        let after_writes = self
            .writes_done
            .iter()
            .filter(|done| **done <= second)
            .count() as u64;
        PollResult {
            begun: at,
            ended: at,
            after_writes,
            result,
        }
    }

    fn status(&self) -> &ConnectionStatus {
        self.knowledge
            .status()
            .expect("something was seen or written")
    }
}

fn neutron(native: &str) -> Sighting {
    let (state, assurance) = match native {
        "ACTIVE" => (State::Active, Assurance::TunnelUp),
        "DOWN" => (State::Down, Assurance::ControlPlane),
        "ERROR" => (State::Failed, Assurance::IntentStored),
        "PENDING_CREATE" => (State::Pending, Assurance::IntentStored),
        "PENDING_UPDATE" => (State::InProgress, Assurance::IntentStored),
        "PENDING_DELETE" => (State::Deleting, Assurance::IntentStored),
        "gone" => (State::Deleted, Assurance::IntentStored),
        other => panic!("no such status: {other}"),
    };
    Sighting {
        state,
        assurance,
        native_state: native.to_owned(),
        ..Sighting::default()
    }
}

fn nsx(native: &str, ids: &[&str]) -> Sighting {
    let (state, assurance) = match native {
        "in_progress" => (State::InProgress, Assurance::IntentStored),
        "in_sync" => (State::Realized, Assurance::ControlPlane),
        "success" => (State::Realized, Assurance::InEffect),
        "error" => (State::Failed, Assurance::ControlPlane),
        other => panic!("no such state: {other}"),
    };
    let request_ids = ids.iter().map(|id| (*id).to_owned()).collect();
    Sighting {
        state,
        assurance,
        native_state: native.to_owned(),
        request_ids,
        ..Sighting::default()
    }
}

fn said(status: &ConnectionStatus) -> (State, Assurance, Option<&str>) {
    (
        status.state,
        status.assurance,
        status.reason.as_ref().map(|reason| reason.code.as_str()),
    )
}

const WAITING: (State, Assurance, Option<&str>) = (
    State::Accepted,
    Assurance::IntentStored,
    Some(codes::AWAITING_PROOF),
);

#[test]
fn a_write_is_accepted_until_a_poll_says_more() {
    let mut history = History::new();
    let status = history.wrote(10, WriteKind::Create, Proof::AnyStatus, ENABLED);
    assert_eq!(
        said(status),
        (State::Accepted, Assurance::IntentStored, None)
    );
    assert_eq!(status.writes, 1);
    assert_eq!(
        history.saw(11, neutron("PENDING_CREATE")).state,
        State::Pending
    );
    assert_eq!(history.saw(12, neutron("DOWN")).state, State::Down);
    assert_eq!(
        history.saw(13, neutron("ACTIVE")).assurance,
        Assurance::TunnelUp
    );
}

#[test]
fn a_poll_that_began_before_a_write_was_done_says_nothing_about_it() {
    let mut history = History::new();
    history.saw(1, neutron("ACTIVE"));
    history.wrote(
        10,
        WriteKind::Update,
        Proof::RequestIds(vec!["r".into()]),
        ENABLED,
    );
    assert_eq!(
        history.saw(9, nsx("success", &["r"])).state,
        State::Accepted
    );
    assert_eq!(
        history.saw(10, nsx("success", &["r"])).state,
        State::Realized
    );
}

#[test]
fn neutron_after_an_update_is_not_believed_until_quiet() {
    let mut history = History::new();
    history.saw(0, neutron("ACTIVE"));
    history.updated(100, "ACTIVE");
    for second in [100, 130, 174] {
        assert_eq!(
            said(history.saw(second, neutron("ACTIVE"))),
            WAITING,
            "at {second}"
        );
    }
    let assumed = Some(codes::ASSUMED_AFTER_QUIET_TIME);
    let status = history.saw(175, neutron("ACTIVE"));
    assert_eq!(
        said(status),
        (State::Active, Assurance::IntentStored, assumed)
    );
    assert_eq!(
        status.assumption.as_ref().map(|it| (it.as_is, it.made)),
        Some((Assurance::TunnelUp, false))
    );
}

#[test]
fn the_quiet_time_begins_anew_with_each_change_of_status() {
    let mut history = History::new();
    history.updated(100, "ACTIVE");
    assert_eq!(said(history.saw(150, neutron("DOWN"))), WAITING);
    assert_eq!(said(history.saw(176, neutron("DOWN"))), WAITING);
    assert_eq!(said(history.saw(224, neutron("DOWN"))), WAITING);
    assert_eq!(history.saw(225, neutron("DOWN")).state, State::Down);
    assert_eq!(history.status().assurance, Assurance::IntentStored);
}

#[test]
fn a_tunnel_that_went_and_came_is_no_proof() {
    // Dead peer detection, a peer reboot and a re-authentication restore the tunnel with the networks or the key from
    // before the update. A tunnel that was down at the update may come up with them too.
    for (before, movements) in [
        ("ACTIVE", &["DOWN", "ACTIVE"][..]),
        ("DOWN", &["ACTIVE", "DOWN", "ACTIVE"]),
        ("PENDING_CREATE", &["DOWN", "ACTIVE"]),
    ] {
        let mut history = History::new();
        history.updated(100, before);
        let mut last = 100;
        for native in movements {
            last += 10;
            assert_eq!(
                said(history.saw(last, neutron(native))),
                WAITING,
                "{before}"
            );
        }
        let status = history.saw(last + 75, neutron("ACTIVE"));
        assert_eq!(
            said(status),
            (
                State::Active,
                Assurance::IntentStored,
                Some(codes::ASSUMED_AFTER_QUIET_TIME)
            )
        );
    }
}

#[test]
fn a_create_that_was_still_pending_when_it_was_updated_proves_nothing_when_it_ends() {
    // The agent may have read the row before the update.
    let mut history = History::new();
    history.updated(100, "PENDING_CREATE");
    assert_eq!(
        history.saw(101, neutron("PENDING_CREATE")).state,
        State::Pending
    );
    assert_eq!(said(history.saw(102, neutron("ACTIVE"))), WAITING);
}

#[test]
fn an_update_of_words_leaves_what_is_proven_and_what_is_not() {
    let mut proven = History::new();
    proven.wrote(0, WriteKind::Create, Proof::AnyStatus, ENABLED);
    proven.saw(1, neutron("ACTIVE"));
    proven.wrote(10, WriteKind::Update, Proof::Descriptive, ENABLED);
    assert_eq!(
        said(proven.saw(10, neutron("ACTIVE"))),
        (State::Active, Assurance::TunnelUp, None)
    );

    let mut awaited = History::new();
    awaited.updated(0, "ACTIVE");
    awaited.wrote(10, WriteKind::Update, Proof::Descriptive, ENABLED);
    assert_eq!(said(awaited.saw(20, neutron("ACTIVE"))), WAITING);
    let status = awaited.saw(75, neutron("ACTIVE"));
    assert!(
        status.assumption.is_some(),
        "the quiet time goes on: {status:?}"
    );
}

#[test]
fn what_a_gateway_wrote_itself_changes_no_answer_about_the_connection_as_it_is() {
    // One gateway knows of the update and the other does not; both see the same for long enough.
    let goals = [Goal::Config, Goal::InEffect, Goal::TunnelUp, Goal::Gone];
    let verdicts = |status: &ConnectionStatus| {
        goals.map(|goal| {
            let terms = Terms {
                goal,
                accept_partial: false,
                accept_assumed: false,
                wanted: None,
            };
            match judge_bound(status, terms, 0) {
                Verdict::Success(_) => 's',
                Verdict::Failure(_) => 'f',
                Verdict::Undetermined(_) => 'u',
                Verdict::GoesOn => '-',
            }
        })
    };
    let mut random = fastrand::Rng::with_seed(7);
    let of_neutron = ["ACTIVE", "DOWN", "ERROR", "PENDING_UPDATE", "gone"];
    let of_nsx = ["in_progress", "in_sync", "success", "error"];
    for round in 0..2_000 {
        let off = random.u8(0..4) == 0;
        let is_nsx = random.bool();
        let mut draw = || match is_nsx {
            true => nsx(of_nsx[random.usize(0..of_nsx.len())], &[]),
            false => neutron(of_neutron[random.usize(0..of_neutron.len())]),
        };
        let mut seen: Vec<Sighting> = (0..5).map(|_| draw()).collect();
        let written = random.usize(1..5);
        let native = seen[written - 1].native_state.clone();
        let proof = match is_nsx {
            true => Proof::RequestIdMissing,
            false => Proof::StatusMustMove {
                native_state: native,
            },
        };
        let intent = if off { Intent::Disabled } else { ENABLED };
        let (mut knows, mut does_not) = (History::new(), History::new());
        let mut second = 0;
        for (index, sighting) in seen.iter_mut().enumerate() {
            if index == written {
                knows.wrote(second, WriteKind::Update, proof.clone(), intent);
            }
            sighting.admin_enabled = Some(!(off && index >= written));
            knows.saw(second, sighting.clone());
            does_not.saw(second, sighting.clone());
            second += random.u64(1..100);
        }
        let last = seen.pop().unwrap();
        for later in [100, 200] {
            knows.saw(second + later, last.clone());
            does_not.saw(second + later, last.clone());
        }
        assert_eq!(
            verdicts(knows.status()),
            verdicts(does_not.status()),
            "round {round}: {last:?}"
        );
    }
}

#[test]
fn a_pending_update_that_ended_is_proof_whatever_it_ended_in() {
    for end in ["ACTIVE", "DOWN", "ERROR"] {
        let mut history = History::new();
        history.updated(100, "ACTIVE");
        assert_eq!(
            history.saw(101, neutron("PENDING_UPDATE")).state,
            State::InProgress
        );
        let status = history.saw(102, neutron(end));
        assert_eq!(status.state, neutron(end).state);
        assert_eq!(status.assumption, None);
    }
}

#[test]
fn an_error_from_before_a_repairing_update_is_not_its_failure() {
    let mut history = History::new();
    history.saw(0, neutron("ERROR"));
    history.updated(100, "ERROR");
    assert_eq!(said(history.saw(130, neutron("ERROR"))), WAITING);
    let status = history.saw(175, neutron("ERROR"));
    assert_eq!((status.state, status.confirmed), (State::Failed, false));
    assert!(history.saw(185, neutron("ERROR")).confirmed);
}

#[test]
fn without_a_request_id_nothing_but_time_is_proof() {
    let mut history = History::new();
    history.wrote(0, WriteKind::Update, Proof::RequestIdMissing, ENABLED);
    let waiting = (
        State::Accepted,
        Assurance::IntentStored,
        Some(codes::NO_REQUEST_ID),
    );
    assert_eq!(said(history.saw(1, nsx("success", &[]))), waiting);
    history.saw(2, nsx("in_progress", &[]));
    assert_eq!(said(history.saw(3, nsx("success", &[]))), waiting);
    let status = history.saw(78, nsx("success", &[]));
    assert_eq!(
        said(status),
        (
            State::Realized,
            Assurance::IntentStored,
            Some(codes::NO_REQUEST_ID)
        )
    );
}

#[test]
fn a_failure_is_confirmed_by_a_second_poll_ten_seconds_later_and_not_before() {
    let mut history = History::new();
    history.wrote(0, WriteKind::Create, Proof::AnyStatus, ENABLED);
    assert!(!history.saw(1, neutron("ERROR")).confirmed);
    assert!(!history.saw(10, neutron("ERROR")).confirmed);
    assert!(history.saw(11, neutron("ERROR")).confirmed);
}

#[test]
fn a_failure_is_confirmed_by_when_it_was_said_and_not_by_when_it_was_asked() {
    let mut history = History::new();
    history.wrote(0, WriteKind::Create, Proof::AnyStatus, ENABLED);
    // The cloud took five seconds to answer, and may have failed in the last of them.
    let slow = PollResult {
        ended: history.at(6),
        ..history.poll_at(1, Ok(neutron("ERROR")))
    };
    history.knowledge.apply_poll(&slow, &history.settings);
    assert!(!history.saw(11, neutron("ERROR")).confirmed);
    assert!(history.saw(16, neutron("ERROR")).confirmed);
}

#[test]
fn a_failure_that_heals_in_between_begins_anew() {
    let mut history = History::new();
    history.saw(1, neutron("ERROR"));
    history.saw(5, neutron("DOWN"));
    assert!(!history.saw(12, neutron("ERROR")).confirmed);
    assert!(history.saw(22, neutron("ERROR")).confirmed);
}

#[test]
fn an_outage_neither_confirms_nor_forgets() {
    let mut history = History::new();
    history.saw(1, neutron("ERROR"));
    let outage = (ErrorKind::Unavailable, ErrorReason::UpstreamUnreachable);
    assert!(!history.missed(12, outage.0, outage.1).confirmed);
    assert!(history.saw(13, neutron("ERROR")).confirmed);
}

#[test]
fn an_outage_changes_what_is_said_only_where_nothing_was() {
    let mut history = History::new();
    let status = history.missed(1, ErrorKind::Unavailable, ErrorReason::UpstreamError);
    assert_eq!(
        said(status),
        (
            State::Unknown,
            Assurance::None,
            Some(codes::UPSTREAM_UNREACHABLE)
        )
    );
    history.saw(2, neutron("ACTIVE"));
    let status = history.missed(3, ErrorKind::Throttled, ErrorReason::UpstreamThrottled);
    assert_eq!(status.state, State::Active);
}

#[test]
fn a_refused_login_is_unknown_and_lost_after_its_window() {
    let mut history = History::new();
    history.saw(0, neutron("ACTIVE"));
    let refused = (ErrorKind::BackendAuth, ErrorReason::UpstreamAuth);
    let status = history.missed(10, refused.0, refused.1);
    assert_eq!(
        said(status),
        (State::Unknown, Assurance::None, Some(codes::UPSTREAM_AUTH))
    );
    assert!(!history.missed(609, refused.0, refused.1).login_lost);
    assert!(history.missed(610, refused.0, refused.1).login_lost);
    assert_eq!(
        said(history.saw(620, neutron("ACTIVE"))),
        (State::Active, Assurance::TunnelUp, None)
    );
}

#[test]
fn what_was_just_made_may_be_missing_for_a_while() {
    let mut history = History::new();
    history.wrote(0, WriteKind::Create, Proof::AnyStatus, ENABLED);
    assert!(!history.saw(1, neutron("gone")).confirmed);
    assert!(!history.saw(30, neutron("gone")).confirmed);
    assert!(history.saw(31, neutron("gone")).confirmed);

    let mut history = History::new();
    history.saw(0, neutron("ACTIVE"));
    history.saw(1, neutron("gone"));
    assert!(history.saw(11, neutron("gone")).confirmed);
}

#[test]
fn switched_off_on_purpose_is_disabled_and_still_up_is_in_progress() {
    let off = |native| Sighting {
        admin_enabled: Some(false),
        ..neutron(native)
    };
    let mut history = History::new();
    assert_eq!(history.saw(0, off("ACTIVE")).state, State::InProgress);
    let status = history.saw(1, off("DOWN"));
    assert_eq!(
        said(status),
        (
            State::Disabled,
            Assurance::ControlPlane,
            Some(codes::ADMIN_DISABLED)
        )
    );
    assert_eq!(status.intent, Intent::Disabled);
    assert!(
        !history.saw(60, off("DOWN")).confirmed,
        "nothing bad to confirm"
    );
}

#[test]
fn switching_off_by_update_waits_for_proof_too() {
    let off = |native| Sighting {
        admin_enabled: Some(false),
        ..neutron(native)
    };
    let mut history = History::new();
    let proof = Proof::StatusMustMove {
        native_state: "DOWN".into(),
    };
    history.wrote(0, WriteKind::Update, proof, Intent::Disabled);
    assert_eq!(said(history.saw(10, off("DOWN"))), WAITING);
    let status = history.saw(75, off("DOWN"));
    assert_eq!(
        said(status),
        (
            State::Disabled,
            Assurance::IntentStored,
            Some(codes::ADMIN_DISABLED)
        )
    );
    let rests_on = status.assumption.as_ref().map(|it| it.reason.code.as_str());
    assert_eq!(rests_on, Some(codes::ASSUMED_AFTER_QUIET_TIME));
}

#[test]
fn a_tunnel_that_is_down_is_no_reason_of_what_is_being_removed() {
    let down = Sighting {
        reason: Some(Reason::new(codes::TUNNEL_DOWN, "look at the peer")),
        ..neutron("DOWN")
    };
    let mut history = History::new();
    assert_eq!(history.saw(0, down.clone()).reason, down.reason);
    history.wrote(1, WriteKind::Delete, Proof::AnyStatus, Intent::Deleted);
    assert_eq!(
        said(history.saw(2, down)),
        (State::Deleting, Assurance::IntentStored, None)
    );
}

#[test]
fn somebody_else_switching_it_off_is_bad_news_for_a_write_that_wants_it_on() {
    let off = || Sighting {
        admin_enabled: Some(false),
        ..neutron("DOWN")
    };
    let mut history = History::new();
    history.wrote(0, WriteKind::Create, Proof::AnyStatus, ENABLED);
    assert!(!history.saw(1, off()).confirmed);
    assert!(history.saw(11, off()).confirmed);
}

#[test]
fn nothing_is_asked_about_writes_to_what_we_have_removed() {
    let mut history = History::new();
    let made = Proof::RequestIds(vec!["made".to_owned()]);
    history.wrote(0, WriteKind::Create, made, ENABLED);
    let removed = Proof::RequestIds(vec!["removed".to_owned()]);
    history.wrote(1, WriteKind::Delete, removed, Intent::Deleted);
    history.saw(2, nsx("in_progress", &["made", "removed"]));
    assert_eq!(history.knowledge.outstanding().len(), 2);
    history.saw(3, neutron("gone"));
    assert!(history.knowledge.outstanding().is_empty());
    assert!(!history.knowledge.unsettled());
}

#[test]
fn a_delete_of_ours_is_deleting_until_gone_whatever_else_is_said() {
    let mut history = History::new();
    history.saw(0, neutron("ACTIVE"));
    let status = history.wrote(10, WriteKind::Delete, Proof::AnyStatus, Intent::Deleted);
    assert_eq!(status.state, State::Deleting);
    let status = history.saw(11, neutron("ACTIVE"));
    assert_eq!(
        said(status),
        (State::Deleting, Assurance::IntentStored, None)
    );
    assert_eq!(status.native_state, "ACTIVE");
    assert_eq!(history.saw(12, neutron("ERROR")).state, State::Failed);
    assert_eq!(history.saw(13, neutron("gone")).state, State::Deleted);
}

#[test]
fn a_poll_that_finds_no_change_says_nothing_new() {
    let mut history = History::new();
    history.saw(0, neutron("ACTIVE"));
    let poll = history.poll_at(5, Ok(neutron("ACTIVE")));
    assert!(!history.knowledge.apply_poll(&poll, &history.settings));
}

#[test]
fn a_tunnel_read_again_or_an_id_no_longer_asked_for_is_no_change() {
    use crate::model::{Tunnel, TunnelStatus};
    use std::time::SystemTime;
    let seen = |seconds: u64, ids: &[&str]| {
        let update_time = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let tunnel = Tunnel {
            status: TunnelStatus::Up,
            update_time,
            ..Tunnel::default()
        };
        Sighting {
            tunnel: Some(tunnel),
            ..nsx("success", ids)
        }
    };
    let mut history = History::new();
    history.wrote(
        0,
        WriteKind::Create,
        Proof::RequestIds(vec!["r".into()]),
        ENABLED,
    );
    history.saw(1, seen(1, &["r"]));
    let poll = history.poll_at(2, Ok(seen(2, &[])));
    assert!(!history.knowledge.apply_poll(&poll, &history.settings));
    assert_eq!(history.status().request_ids, ["r"], "the evidence stays");
    let mut down = seen(3, &[]);
    down.tunnel = Some(Tunnel {
        status: TunnelStatus::Down,
        ..Tunnel::default()
    });
    let poll = history.poll_at(3, Ok(down));
    assert!(history.knowledge.apply_poll(&poll, &history.settings));
}

#[test]
fn an_update_that_wrote_nothing_still_wants_a_later_poll() {
    let mut history = History::new();
    history.saw(0, neutron("ACTIVE"));
    history.wrote(10, WriteKind::Update, Proof::Nothing, ENABLED);
    assert_eq!(history.saw(9, neutron("ACTIVE")).state, State::Accepted);
    assert_eq!(
        said(history.saw(10, neutron("ACTIVE"))),
        (State::Active, Assurance::TunnelUp, None)
    );
}

#[test]
fn an_update_that_wrote_nothing_does_not_end_the_wait_of_one_that_did() {
    let mut history = History::new();
    history.updated(0, "ACTIVE");
    history.wrote(10, WriteKind::Update, Proof::Nothing, ENABLED);
    assert_eq!(said(history.saw(20, neutron("ACTIVE"))), WAITING);
}
