//! An NSX as it really is: nodes that follow one after the other, a control plane that learns late, and a
//! cache of tunnels that is older still.

use crate::play::{Cloud, Guards, Ms, Truth};
use isthmus::{
    core::{dialect::Proof, watch::knowledge::WriteKind},
    model::{Assurance, RealizationState as State, Reason, Sighting, codes},
};

/// What the cache of tunnel status holds may be as old as this.
const CACHE: Ms = 60_000;

pub struct Nsx {
    rng: fastrand::Rng,
    realtime: bool,
    nodes: usize,
    versions: Vec<Version>,
    /// The session is there.
    present: bool,
    /// When the last node has forgotten a deleted session.
    forgotten: Ms,
    /// While a node is in error: from, to.
    errors: Vec<(Ms, Ms)>,
    /// While no CCP node answers.
    unknown: Vec<(Ms, Ms)>,
    /// While the VPN service is switched off.
    service_off: Vec<(Ms, Ms)>,
    ids_lost: bool,
}

/// One write and how it spreads.
struct Version {
    ids: Vec<String>,
    /// When the control plane has heard of it.
    known: Ms,
    /// When each node has it.
    done: Vec<Ms>,
    /// When each node says that it is in effect.
    effect: Vec<Ms>,
    /// From when its tunnel is up, if ever.
    up: Option<Ms>,
    enabled: bool,
}

impl Nsx {
    pub fn new(seed: u64, guards: Guards) -> Nsx {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut some = |most: u64, longest: Ms| {
            (0..rng.u64(0..=most))
                .map(|_| {
                    let from = rng.u64(0..300_000);
                    (from, from + rng.u64(500..longest))
                })
                .collect::<Vec<_>>()
        };
        let (errors, unknown, service_off) = (some(2, 40_000), some(2, 30_000), some(1, 20_000));
        let nodes = rng.usize(1..4);
        let ids_lost = rng.u8(0..10) == 0;
        Nsx {
            rng,
            realtime: guards.realtime,
            nodes,
            versions: Vec::new(),
            present: false,
            forgotten: 0,
            errors,
            unknown,
            service_off,
            ids_lost,
        }
    }

    fn spread(&mut self, at: Ms, ids: usize, enabled: bool) {
        let number = self.versions.len() + 1;
        let before = self.versions.last();
        let known = (at + self.rng.u64(0..6_000)).max(before.map_or(0, |version| version.known));
        let mut done = Vec::new();
        let mut effect = Vec::new();
        for node in 0..self.nodes {
            let after = before.map_or(0, |version| version.done[node]);
            let has_it = (known + self.rng.u64(100..25_000)).max(after);
            done.push(has_it);
            let never = self.rng.u8(0..3) == 0;
            effect.push(if never {
                Ms::MAX
            } else {
                has_it + self.rng.u64(0..10_000)
            });
        }
        let all = done.iter().copied().max().unwrap_or(at);
        let up = (enabled && self.rng.u8(0..4) > 0).then(|| all + self.rng.u64(100..40_000));
        let ids = (0..ids).map(|part| format!("{number}-{part}")).collect();
        self.versions.push(Version {
            ids,
            known,
            done,
            effect,
            up,
            enabled,
        });
    }

    /// The word a node would say of a version.
    fn word(&self, version: usize, node: usize, at: Ms) -> &'static str {
        let in_effect = self.versions[version..]
            .iter()
            .any(|version| version.effect[node] <= at);
        let has_it = self.versions[version..]
            .iter()
            .any(|version| version.done[node] <= at);
        if in_effect {
            "success"
        } else if has_it {
            "in_sync"
        } else if self.versions[version].known <= at {
            "in_progress"
        } else {
            "pending"
        }
    }

    /// Whether the tunnel is up with this version or a newer one. A node that takes a version over cuts the
    /// tunnel of the one before.
    fn up(&self, at: Ms) -> u64 {
        let newest = self
            .versions
            .iter()
            .rposition(|version| version.done.iter().any(|done| *done <= at));
        match newest {
            Some(index) if self.versions[index].up.is_some_and(|up| up <= at) => index as u64 + 1,
            _ => 0,
        }
    }

    fn state_of(&self, version: usize, at: Ms) -> Sighting {
        if during(&self.service_off, at) {
            return sighting(
                State::Disabled,
                Assurance::IntentStored,
                codes::VPN_SERVICE_DISABLED,
                "110199",
            );
        }
        if during(&self.unknown, at) {
            return sighting(
                State::Unknown,
                Assurance::IntentStored,
                codes::UPSTREAM_UNKNOWN,
                "unknown",
            );
        }
        if during(&self.errors, at) {
            return sighting(
                State::Failed,
                Assurance::IntentStored,
                codes::UPSTREAM_ERROR,
                "error",
            );
        }
        let words: Vec<&str> = (0..self.nodes)
            .map(|node| self.word(version, node, at))
            .collect();
        for (word, state, assurance) in [
            ("pending", State::Pending, Assurance::IntentStored),
            ("in_progress", State::InProgress, Assurance::IntentStored),
            ("in_sync", State::Realized, Assurance::ControlPlane),
        ] {
            if words.contains(&word) {
                return sighting(state, assurance, "", word);
            }
        }
        sighting(State::Realized, Assurance::InEffect, "", "success")
    }
}

impl Cloud for Nsx {
    fn write(&mut self, at: Ms, kind: WriteKind, enabled: bool) -> (Proof, u64) {
        if kind == WriteKind::Delete {
            self.present = false;
            self.forgotten = at + self.rng.u64(100..30_000);
            return (Proof::RequestIds(vec!["gone".to_owned()]), 0);
        }
        if kind == WriteKind::Update && !self.present {
            return (Proof::Nothing, 0);
        }
        self.present = true;
        let ids = if kind == WriteKind::Create {
            2
        } else {
            self.rng.usize(1..3)
        };
        self.spread(at, ids, enabled);
        let version = self.versions.len() as u64;
        let proof = if self.ids_lost && self.rng.bool() {
            Proof::RequestIdMissing
        } else {
            Proof::RequestIds(self.versions.last().unwrap().ids.clone())
        };
        (proof, version)
    }

    fn meddle(&mut self, at: Ms) {
        if !self.present {
            return;
        }
        if self.rng.u8(0..3) == 0 {
            self.present = false;
            self.forgotten = at + self.rng.u64(100..10_000);
        } else {
            let enabled = self.rng.bool();
            self.spread(at, 1, enabled);
        }
    }

    fn poll(&mut self, at: Ms, ids: &[String], deleting: bool, blind: bool) -> Sighting {
        let request_ids = ids.to_vec();
        if blind || (!self.present && at >= self.forgotten) {
            let gone = sighting(State::Deleted, Assurance::ControlPlane, "", "");
            return Sighting {
                request_ids,
                ..gone
            };
        }
        if !self.present || deleting {
            return Sighting {
                request_ids,
                ..sighting(State::Deleting, Assurance::IntentStored, "", "in_sync")
            };
        }
        // Without an id, `/state` speaks of what the control plane has heard of so far.
        let heard = self
            .versions
            .iter()
            .rposition(|version| version.known <= at)
            .unwrap_or(0);
        let asked = ids.iter().filter_map(|id| {
            self.versions
                .iter()
                .position(|version| version.ids.contains(id))
        });
        let version = asked.max().unwrap_or(heard);
        let mut seen = self.state_of(version, at);
        if seen.state == State::Realized {
            let read = if self.realtime {
                at
            } else {
                at.saturating_sub(self.rng.u64(0..CACHE))
            };
            if self.up(read) > 0 {
                seen.state = State::Active;
                seen.assurance = Assurance::TunnelUp;
            } else {
                seen.state = State::Down;
                seen.reason = Some(Reason::new(codes::IKE_DOWN, ""));
            }
        }
        let admin_enabled = self.versions.last().map(|version| version.enabled);
        Sighting {
            request_ids,
            admin_enabled,
            ..seen
        }
    }

    fn truth(&mut self, at: Ms) -> Truth {
        // A node may have a version by way of a newer one; the least of the nodes counts.
        let newest = |node: usize, times: fn(&Version) -> &Vec<Ms>| {
            let index = self
                .versions
                .iter()
                .rposition(|version| times(version)[node] <= at);
            index.map_or(0, |index| index as u64 + 1)
        };
        let everywhere = |times: fn(&Version) -> &Vec<Ms>| {
            (0..self.nodes)
                .map(|node| newest(node, times))
                .min()
                .unwrap_or(0)
        };
        let up = self.up(at);
        let gone = !self.present && at >= self.forgotten;
        let disabled = self.versions.last().is_some_and(|version| !version.enabled);
        Truth {
            applied: everywhere(|version| &version.done),
            // A tunnel that is up proves the rest.
            in_effect: everywhere(|version| &version.effect).max(up),
            up,
            says_up: up > 0,
            gone,
            bad: !self.present
                || disabled
                || during(&self.errors, at)
                || during(&self.service_off, at),
            slow: false,
        }
    }
}

fn during(times: &[(Ms, Ms)], at: Ms) -> bool {
    times.iter().any(|(from, to)| (*from..*to).contains(&at))
}

fn sighting(state: State, assurance: Assurance, code: &str, native: &str) -> Sighting {
    let reason = (!code.is_empty()).then(|| Reason::new(code, ""));
    Sighting {
        state,
        assurance,
        reason,
        native_state: native.to_owned(),
        ..Sighting::default()
    }
}
