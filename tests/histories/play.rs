//! Plays one history: the gateway's polls and writes against a cloud, and watches that are held to the truth.

use crate::{neutron::Neutron, nsx::Nsx};
use isthmus::{
    core::{
        dialect::Proof,
        error::{Error, ErrorKind, ErrorReason},
        settings::PollSettings,
        watch::{
            judge::{Terms, Verdict, judge_bound},
            knowledge::{Knowledge, PollResult, Write, WriteKind},
            status::ConnectionStatus,
        },
    },
    model::{Assurance, Goal, Intent, RealizationState as State, Sighting},
};
use std::{
    fmt,
    time::{Duration, Instant as StdInstant},
};
use tokio::time::Instant;

/// Milliseconds since the history began.
pub type Ms = u64;

/// How long a history is.
const LENGTH: Ms = 300_000;
/// The least time between the two polls that make a failure an outcome, as configured by default.
const CONFIRM: Ms = 10_000;

/// What keeps outcomes true; each can be taken away.
#[derive(Debug, Clone, Copy)]
pub struct Guards {
    /// Failures need a second poll.
    pub second_poll: bool,
    /// A status that may be of before the write is waited out.
    pub quiet_time: bool,
    /// The cloud is asked about the write's own request ids.
    pub request_id: bool,
    /// A 404 counts only for a login that is shown to see.
    pub proof_of_sight: bool,
    /// The tunnel is read from the nodes and not from a cache.
    pub realtime: bool,
}

impl Default for Guards {
    fn default() -> Guards {
        Guards {
            second_poll: true,
            quiet_time: true,
            request_id: true,
            proof_of_sight: true,
            realtime: true,
        }
    }
}

/// What came of one history, or of many.
#[derive(Debug, Default)]
pub struct Tally {
    pub histories: usize,
    pub succeeded: u64,
    pub failed: u64,
    pub undetermined: u64,
    pub undecided: u64,
    /// Outcomes that were wrong because the agent was slower than the quiet time allows for.
    pub too_slow: u64,
    pub falsehoods: Vec<String>,
}

impl Tally {
    pub fn add(&mut self, other: Tally) {
        self.histories += other.histories;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.undetermined += other.undetermined;
        self.undecided += other.undecided;
        self.too_slow += other.too_slow;
        if self.falsehoods.len() < 20 {
            self.falsehoods.extend(other.falsehoods);
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} histories: {} successes, {} failures, {} undetermined, {} undecided, {} wrong by agents too slow, {} false",
            self.histories,
            self.succeeded,
            self.failed,
            self.undetermined,
            self.undecided,
            self.too_slow,
            self.falsehoods.len()
        )
    }
}

/// A cloud as it really is.
pub trait Cloud {
    /// A write of the gateway takes effect in the API. Answers how it can be proven, and which version it is.
    fn write(&mut self, at: Ms, kind: WriteKind, enabled: bool) -> (Proof, u64);
    /// Somebody else writes.
    fn meddle(&mut self, at: Ms);
    /// What a poll that is answered at this moment brings.
    fn poll(&mut self, at: Ms, ids: &[String], deleting: bool, blind: bool) -> Sighting;
    /// What is true at this moment.
    fn truth(&mut self, at: Ms) -> Truth;
}

/// What is true at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Truth {
    /// The newest version that the control plane has brought to every node.
    pub applied: u64,
    /// The newest version that every node says is in effect.
    pub in_effect: u64,
    /// The version whose tunnel is up, as the cloud itself knows; 0 if none is.
    pub up: u64,
    /// The cloud says that a tunnel is up, whatever version it has.
    pub says_up: bool,
    /// Nothing of it is left.
    pub gone: bool,
    /// The cloud itself reports something that fails a watch.
    pub bad: bool,
    /// An agent took longer than the quiet time allows for.
    pub slow: bool,
}

/// One watch and what it was opened with.
struct Watch {
    terms: Terms,
    /// The number of the write it is bound to; 0 if it asks about the connection as it is.
    write: u64,
    version: u64,
    deletes: bool,
    ended: bool,
}

/// A poll on its way.
struct UnderWay {
    began: Ms,
    ends: Ms,
    after_writes: u64,
    result: Result<Sighting, Error>,
    truth: Truth,
}

struct Player {
    rng: fastrand::Rng,
    guards: Guards,
    cloud: Box<dyn Cloud>,
    start: Instant,
    settings: PollSettings,
    knowledge: Knowledge,
    watches: Vec<Watch>,
    /// Polls that told something: when they began, and whether the cloud said something bad.
    told: Vec<(Ms, bool)>,
    outages: Vec<(Ms, Ms, Trouble)>,
    tally: Tally,
    seed: u64,
    aloud: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Outage,
    LoginRefused,
    Blind,
}

/// Plays the history of a seed.
pub fn play(seed: u64, guards: Guards, aloud: bool) -> Tally {
    let mut rng = fastrand::Rng::with_seed(seed);
    let world_seed = rng.u64(..);
    let cloud: Box<dyn Cloud> = if rng.bool() {
        Box::new(Neutron::new(world_seed))
    } else {
        Box::new(Nsx::new(world_seed, guards))
    };
    let mut settings = PollSettings::default();
    if !guards.second_poll {
        settings.confirm_failure = Duration::ZERO;
    }
    if !guards.quiet_time {
        settings.quiet_after_update = Duration::ZERO;
    }
    let troubles = rng.u64(0..4);
    let outages = (0..troubles)
        .map(|_| {
            let from = rng.u64(0..LENGTH);
            let kind = [Trouble::Outage, Trouble::LoginRefused, Trouble::Blind][rng.usize(0..3)];
            (from, from + rng.u64(1_000..40_000), kind)
        })
        .collect();
    let player = Player {
        rng,
        guards,
        cloud,
        start: Instant::from_std(StdInstant::now()),
        settings,
        knowledge: Knowledge::default(),
        watches: Vec::new(),
        told: Vec::new(),
        outages,
        tally: Tally {
            histories: 1,
            ..Tally::default()
        },
        seed,
        aloud,
    };
    player.run()
}

impl Player {
    fn run(mut self) -> Tally {
        let mut plan = self.plan();
        let mut poll: Option<UnderWay> = None;
        let mut next_poll = self.rng.u64(0..3_000);
        let mut pending: Option<(Ms, WriteKind, bool, Proof, u64)> = None;
        loop {
            // What happens next: a write lands, its answer arrives, a poll begins, its answer arrives.
            let lands = plan.last().map(|step| step.0);
            let answers = pending.as_ref().map(|pending| pending.0);
            let begins = poll.is_none().then_some(next_poll);
            let ends = poll.as_ref().map(|poll| poll.ends);
            let now = [lands, answers, begins, ends]
                .into_iter()
                .flatten()
                .min()
                .unwrap_or(LENGTH);
            if now >= LENGTH {
                break;
            }
            if ends == Some(now) {
                let done = poll.take().unwrap();
                self.finish_poll(done);
                next_poll = now + self.rng.u64(1_800..2_200);
            } else if answers == Some(now) {
                let (_, kind, enabled, proof, version) = pending.take().unwrap();
                self.wrote(now, kind, enabled, proof, version);
            } else if lands == Some(now) {
                if pending.is_some() {
                    // One write at a time; the next lands when this one is answered.
                    plan.last_mut().unwrap().0 = answers.unwrap() + 1;
                    continue;
                }
                let (_, step) = plan.pop().unwrap();
                match step {
                    Step::Meddle => {
                        self.say(now, "somebody else writes");
                        self.cloud.meddle(now);
                    }
                    Step::Write(kind, enabled) => {
                        let (proof, version) = self.cloud.write(now, kind, enabled);
                        let proof = if self.guards.request_id {
                            proof
                        } else {
                            without_ids(proof)
                        };
                        let answered = now + self.rng.u64(5..1_500);
                        pending = Some((answered, kind, enabled, proof, version));
                    }
                }
            } else {
                poll = Some(self.start_poll(now));
            }
        }
        self.tally.undecided += self.watches.iter().filter(|watch| !watch.ended).count() as u64;
        self.tally
    }

    /// What is written when, latest first.
    fn plan(&mut self) -> Vec<(Ms, Step)> {
        let mut plan = vec![(0, Step::Write(WriteKind::Create, self.rng.u8(0..8) > 0))];
        let mut at = 0;
        for _ in 0..self.rng.u64(0..4) {
            at += self.rng.u64(1..110_000);
            let step = match self.rng.u8(0..8) {
                0 => Step::Meddle,
                1 => Step::Write(WriteKind::Update, false),
                2 => Step::Write(WriteKind::Delete, true),
                _ => Step::Write(WriteKind::Update, true),
            };
            let last = matches!(step, Step::Write(WriteKind::Delete, _));
            plan.push((at, step));
            if last {
                break;
            }
        }
        plan.reverse();
        plan
    }

    fn wrote(&mut self, now: Ms, kind: WriteKind, enabled: bool, proof: Proof, version: u64) {
        let deletes = kind == WriteKind::Delete;
        let intent = match (deletes, enabled) {
            (true, _) => Intent::Deleted,
            (false, true) => Intent::Enabled,
            (false, false) => Intent::Disabled,
        };
        self.say(
            now,
            &format!("{kind:?} was answered: {proof:?}, version {version}"),
        );
        let done = self.instant(now);
        self.knowledge.wrote(&Write {
            kind,
            proof,
            intent,
            done,
            parts_remain: false,
        });
        let write = self.knowledge.writes();
        let goals: &[Goal] = if deletes {
            &[Goal::Gone]
        } else if enabled {
            &[Goal::Config, Goal::InEffect, Goal::TunnelUp]
        } else {
            &[Goal::Config]
        };
        for (goal, write) in goals.iter().flat_map(|goal| [(goal, write), (goal, 0)]) {
            let terms = Terms {
                goal: *goal,
                accept_partial: false,
                accept_assumed: false,
                wanted: (write > 0).then_some(intent),
            };
            self.watches.push(Watch {
                terms,
                write,
                version,
                deletes,
                ended: false,
            });
        }
        self.judge(now, Truth::default(), now);
    }

    fn start_poll(&mut self, began: Ms) -> UnderWay {
        let ids = self.knowledge.outstanding().to_vec();
        let deleting = self.knowledge.intent() == Intent::Deleted;
        let takes = if self.rng.u8(0..10) == 0 {
            self.rng.u64(500..5_000)
        } else {
            self.rng.u64(5..200)
        };
        let ends = began + takes;
        let read = began + self.rng.u64(0..=takes);
        let trouble = self
            .outages
            .iter()
            .find(|(from, to, _)| (*from..*to).contains(&read))
            .map(|trouble| trouble.2);
        let truth = self.cloud.truth(read);
        let result = match trouble {
            Some(Trouble::Outage) => Err(error(ErrorKind::Unavailable)),
            Some(Trouble::LoginRefused) => Err(error(ErrorKind::BackendAuth)),
            Some(Trouble::Blind) if self.guards.proof_of_sight => {
                Err(error(ErrorKind::BackendAuth))
            }
            blind => Ok(self.cloud.poll(read, &ids, deleting, blind.is_some())),
        };
        UnderWay {
            began,
            ends,
            after_writes: self.knowledge.writes(),
            result,
            truth,
        }
    }

    fn finish_poll(&mut self, done: UnderWay) {
        let UnderWay {
            began,
            ends,
            after_writes,
            result,
            truth,
        } = done;
        if result.is_ok() {
            self.told.push((began, truth.bad));
        }
        if self.aloud {
            let seen = result
                .as_ref()
                .map(|seen| (seen.state, seen.native_state.as_str()));
            self.say(
                ends,
                &format!("a look of {began} brought {seen:?}, and truly {truth:?}"),
            );
        }
        let poll = PollResult {
            begun: self.instant(began),
            ended: self.instant(ends),
            after_writes,
            result,
        };
        let changed = self.knowledge.apply_poll(&poll, &self.settings);
        if changed {
            self.judge(ends, truth, began);
        }
    }

    fn judge(&mut self, now: Ms, truth: Truth, began: Ms) {
        let Some(status) = self.knowledge.status().cloned() else {
            return;
        };
        self.say(
            now,
            &format!(
                "  said: {:?}/{:?} {:?}",
                status.state, status.assurance, status.reason
            ),
        );
        for index in 0..self.watches.len() {
            let watch = &self.watches[index];
            if watch.ended {
                continue;
            }
            let problem = match judge_bound(&status, watch.terms, watch.write) {
                Verdict::GoesOn => continue,
                Verdict::Success(_) => {
                    self.tally.succeeded += 1;
                    self.false_success(watch, &status, truth)
                }
                Verdict::Failure(_) => {
                    self.tally.failed += 1;
                    self.false_failure(watch, &status, began)
                }
                Verdict::Undetermined(_) => {
                    self.tally.undetermined += 1;
                    self.false_doubt(watch, truth)
                }
            };
            let goal = watch.terms.goal;
            self.watches[index].ended = true;
            self.say(now, &format!("  outcome for {goal:?}"));
            match problem {
                Some(_) if truth.slow => self.tally.too_slow += 1,
                Some(problem) => self.tally.falsehoods.push(format!(
                    "seed {}: at {now} ms, {goal:?}: {problem}; said {:?}/{:?}, truly {truth:?}",
                    self.seed, status.state, status.assurance
                )),
                None => {}
            }
        }
    }

    fn false_success(
        &self,
        watch: &Watch,
        status: &ConnectionStatus,
        truth: Truth,
    ) -> Option<String> {
        // Switched off on purpose, and nothing more is claimed than that this is stored: a connection that no
        // agent was ever told of, or whose service is switched off, too.
        let only_stored = status.state == State::Disabled
            && status.assurance == Assurance::IntentStored
            && status.assumption.is_none();
        let holds = match watch.terms.goal {
            Goal::Gone => truth.gone,
            // Of the connection as it is the cloud's own word is all there is.
            Goal::TunnelUp if watch.write == 0 => truth.says_up,
            _ if watch.write == 0 => !truth.gone,
            Goal::Config if only_stored => true,
            Goal::Config => truth.applied >= watch.version,
            Goal::InEffect => truth.in_effect >= watch.version,
            Goal::TunnelUp => truth.up >= watch.version,
        };
        (!holds).then(|| format!("success without version {}", watch.version))
    }

    /// Only of an update can it be that nobody knows, and only while the cloud says what is waited for.
    fn false_doubt(&self, watch: &Watch, truth: Truth) -> Option<String> {
        let tunnel = watch.terms.goal == Goal::TunnelUp;
        let holds = self.knowledge.writes() > 1
            && !watch.deletes
            && !truth.gone
            && (truth.says_up || !tunnel)
            && matches!(watch.terms.goal, Goal::InEffect | Goal::TunnelUp);
        (!holds).then(|| "undetermined without need".to_owned())
    }

    fn false_failure(&self, watch: &Watch, status: &ConnectionStatus, began: Ms) -> Option<String> {
        if !watch.deletes && status.intent == Intent::Deleted {
            return None; // Our own delete; nobody has to report that to us.
        }
        let (_, now_bad) = *self.told.last()?;
        let run = self.told.iter().rev().take_while(|(_, bad)| *bad);
        let first = run.last().map(|(began, _)| *began);
        let confirmed = now_bad && first.is_some_and(|first| began >= first + CONFIRM);
        (!confirmed).then(|| "failure that the cloud did not report twice".to_owned())
    }

    fn instant(&self, at: Ms) -> Instant {
        self.start + Duration::from_millis(at)
    }

    fn say(&self, at: Ms, what: &str) {
        if self.aloud {
            println!("{at:>7} {what}");
        }
    }
}

enum Step {
    Write(WriteKind, bool),
    Meddle,
}

fn without_ids(proof: Proof) -> Proof {
    match proof {
        Proof::RequestIds(_) => Proof::AnyStatus,
        proof => proof,
    }
}

fn error(kind: ErrorKind) -> Error {
    Error::new(kind, ErrorReason::UpstreamError, "trouble")
}
