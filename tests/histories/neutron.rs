//! A Neutron as it really is: a row whose status an agent reports, late and only when it changes.
//!
//! Half of the drivers restart their IKE daemon with every change. The others are as neutron-vpnaas's own with
//! strongSwan was measured to be: a change is reloaded, the tunnel that is up stays as it was, and one that goes down
//! comes up again with the networks and the key it had before as often as with the new ones.

use crate::play::{Cloud, Ms, Truth};
use isthmus::{
    core::{dialect::Proof, watch::knowledge::WriteKind},
    model::{Assurance, RealizationState as State, Reason, Sighting, codes},
};
use std::collections::BTreeMap;

/// The agent looks at its tunnels this often, and reports what has changed.
const CHECK: Ms = 60_000;
/// An agent that takes longer than this to act is slower than the quiet time allows for.
const SLOW: Ms = 60_000;

pub struct Neutron {
    rng: fastrand::Rng,
    events: BTreeMap<(Ms, u64), Event>,
    ticket: u64,
    /// What the row says; `None` when there is no row.
    status: Option<&'static str>,
    enabled: bool,
    landed: u64,
    applied: u64,
    applied_enabled: bool,
    known_to_agent: bool,
    tunnel_up: bool,
    /// The version that the tunnel is made with, up or down.
    running: u64,
    /// A change is reloaded, and not restarted with.
    reloads: bool,
    /// The version whose tunnel was up when that was reported; 0 if it was down.
    reported_up: u64,
    slow: bool,
    /// A driver that says PENDING_UPDATE, and ERROR when it fails.
    talkative: bool,
    broken_until: Ms,
}

#[derive(Debug, Clone, Copy)]
enum Event {
    /// The agent takes over what was written by then, and reports.
    Sync,
    Check,
    /// The one check that follows a sync.
    CheckOnce,
    TunnelUp,
    TunnelDown,
}

impl Neutron {
    pub fn new(seed: u64) -> Neutron {
        let mut rng = fastrand::Rng::with_seed(seed);
        let talkative = rng.u8(0..4) == 0;
        // A driver that tells of its work on a change has ended it when it says so.
        let reloads = !talkative && rng.bool();
        let first_check = rng.u64(0..CHECK);
        let mut neutron = Neutron {
            rng,
            events: BTreeMap::new(),
            ticket: 0,
            status: None,
            enabled: true,
            landed: 0,
            applied: 0,
            applied_enabled: true,
            known_to_agent: false,
            tunnel_up: false,
            running: 0,
            reloads,
            reported_up: 0,
            slow: false,
            talkative,
            broken_until: 0,
        };
        neutron.at(first_check, Event::Check);
        for _ in 0..neutron.rng.u64(0..3) {
            let down = neutron.rng.u64(10_000..280_000);
            let up = down + neutron.rng.u64(500..90_000);
            neutron.at(down, Event::TunnelDown);
            neutron.at(up, Event::TunnelUp);
        }
        neutron
    }

    fn at(&mut self, when: Ms, event: Event) {
        self.ticket += 1;
        self.events.insert((when, self.ticket), event);
    }

    fn advance(&mut self, to: Ms) {
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > to {
                break;
            }
            let ((now, _), event) = entry.remove_entry();
            match event {
                Event::Sync => self.sync(now),
                Event::Check => {
                    self.report(false);
                    self.at(now + CHECK, Event::Check);
                }
                Event::CheckOnce => self.report(false),
                Event::TunnelUp if !self.tunnel_up => {
                    self.tunnel_up = self.applied > 0 && self.applied_enabled;
                    if !self.reloads || self.rng.bool() {
                        self.running = self.applied;
                    }
                }
                Event::TunnelUp => {}
                Event::TunnelDown => self.tunnel_up = false,
            }
        }
    }

    fn sync(&mut self, now: Ms) {
        self.applied = self.landed;
        self.applied_enabled = self.enabled;
        if !self.reloads || self.running == 0 {
            // The process restarts with its new configuration.
            self.tunnel_up = false;
            self.running = self.applied;
        }
        self.known_to_agent |= self.enabled;
        if self.talkative && self.rng.u8(0..4) == 0 {
            self.broken_until = now + self.rng.u64(1_000..60_000);
            let healed = self.broken_until;
            self.at(healed, Event::Sync);
        }
        if now < self.broken_until {
            self.status = self.status.map(|_| "ERROR");
            return;
        }
        self.report(true);
        if self.enabled && self.rng.u8(0..5) > 0 {
            let up = now + self.rng.u64(200..30_000);
            self.at(up, Event::TunnelUp);
            self.at(now + 10_000, Event::CheckOnce);
        }
    }

    /// The agent tells the server what it sees. What was made switched off it never saw; and as long as a row
    /// is pending, the server takes only the report that follows a sync.
    fn report(&mut self, after_sync: bool) {
        let pending = self
            .status
            .is_none_or(|status| status.starts_with("PENDING"));
        if self.known_to_agent && self.status.is_some() && (after_sync || !pending) {
            self.status = Some(if self.tunnel_up { "ACTIVE" } else { "DOWN" });
            self.reported_up = if self.tunnel_up { self.running } else { 0 };
        }
    }
}

impl Cloud for Neutron {
    fn write(&mut self, at: Ms, kind: WriteKind, enabled: bool) -> (Proof, u64) {
        self.advance(at);
        if kind == WriteKind::Delete {
            self.status = None;
            return (Proof::AnyStatus, self.landed);
        }
        let before = self.status.unwrap_or("PENDING_CREATE");
        // Neutron refuses a PUT while it is pending; the gateway would have told its caller.
        let refused = kind == WriteKind::Update && before.starts_with("PENDING");
        if self.status.is_none() && kind == WriteKind::Update || refused {
            return (Proof::Nothing, 0);
        }
        self.landed += 1;
        self.enabled = enabled;
        let delay = if self.rng.u8(0..40) == 0 {
            self.rng.u64(0..200_000)
        } else {
            self.rng.u64(300..20_000)
        };
        self.slow |= delay > SLOW;
        self.at(at + delay, Event::Sync);
        if kind == WriteKind::Create {
            self.status = Some("PENDING_CREATE");
            return (Proof::AnyStatus, self.landed);
        }
        if self.talkative {
            self.status = Some("PENDING_UPDATE");
        }
        let native_state = self.status.unwrap_or_default().to_owned();
        (Proof::StatusMustMove { native_state }, self.landed)
    }

    fn meddle(&mut self, at: Ms) {
        self.advance(at);
        if self.rng.bool() {
            self.status = None;
        } else if self
            .status
            .is_some_and(|status| !status.starts_with("PENDING"))
        {
            self.landed += 1;
            self.enabled = self.rng.bool();
            let delay = self.rng.u64(300..20_000);
            self.at(at + delay, Event::Sync);
        }
    }

    fn poll(&mut self, at: Ms, _: &[String], _: bool, blind: bool) -> Sighting {
        self.advance(at);
        let Some(status) = self.status.filter(|_| !blind) else {
            return Sighting {
                state: State::Deleted,
                assurance: Assurance::IntentStored,
                ..Sighting::default()
            };
        };
        let disabled_at_birth = status == "PENDING_CREATE" && !self.enabled;
        let (state, assurance) = match status {
            "ACTIVE" => (State::Active, Assurance::TunnelUp),
            "DOWN" => (State::Down, Assurance::ControlPlane),
            "ERROR" => (State::Failed, Assurance::IntentStored),
            "PENDING_CREATE" if disabled_at_birth => (State::Disabled, Assurance::IntentStored),
            "PENDING_CREATE" => (State::Pending, Assurance::IntentStored),
            _ => (State::InProgress, Assurance::IntentStored),
        };
        let code = match status {
            _ if disabled_at_birth => Some(codes::ADMIN_DISABLED),
            "DOWN" => Some(codes::TUNNEL_DOWN),
            _ => None,
        };
        let reason = code.map(|code| Reason::new(code, ""));
        Sighting {
            state,
            assurance,
            reason,
            native_state: status.to_owned(),
            admin_enabled: Some(self.enabled),
            ..Sighting::default()
        }
    }

    fn truth(&mut self, at: Ms) -> Truth {
        self.advance(at);
        Truth {
            applied: self.applied,
            in_effect: self.running,
            up: self.reported_up,
            says_up: self.status == Some("ACTIVE"),
            gone: self.status.is_none(),
            bad: matches!(self.status, None | Some("ERROR")) || !self.enabled,
            slow: self.slow,
        }
    }
}
