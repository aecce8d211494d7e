//! What happens in a run, drawn from its seed.

use crate::{
    clouds::{Clouds, NSX, OPENSTACK},
    record::{Record, Trouble, TroubleKind},
};
use http::{Method, StatusCode};
use isthmus::simulator::faults::{Answer, Fault, Rule};
use std::time::Duration;
use turmoil::Sim;

/// How much of everything there is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Client hosts.
    pub clients: usize,
    /// Watchers of each, beside those who wait for writes.
    pub watchers: usize,
    /// Connections each of them makes.
    pub rounds: usize,
    /// For how long things go wrong.
    pub active: Duration,
}

/// A run in which every mechanism has its turn.
pub const SMALL: Size = Size {
    clients: 2,
    watchers: 6,
    rounds: 3,
    active: Duration::from_secs(110),
};

/// Hundreds of watchers.
pub const CROWD: Size = Size {
    clients: 3,
    watchers: 100,
    rounds: 6,
    active: Duration::from_secs(150),
};

/// What is enough for a planted bug to show.
const REHEARSAL: Size = Size {
    clients: 2,
    watchers: 6,
    rounds: 3,
    active: Duration::from_secs(80),
};

/// How long everything is left in peace at the end, so that all that can end does.
const PEACE: Duration = Duration::from_secs(75);

/// What happens in a run.
#[derive(Debug)]
pub struct Plan {
    pub seed: u64,
    pub clients: usize,
    pub watchers: usize,
    pub rounds: usize,
    /// The gateway's log outlives it.
    pub durable: bool,
    /// Some watches have a deadline, and are opened again when it has passed.
    pub deadlines: bool,
    /// From here on nothing goes wrong any more.
    pub calm: Duration,
    pub end: Duration,
    /// In order, each at its time.
    pub acts: Vec<(Duration, Act)>,
}

/// Something that is done to the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    Partition(String),
    Hold(String),
    /// Ends a partition or a hold.
    Repair(String),
    Kill,
    Start,
    Drain,
    /// A cloud answers so much later.
    Slow(&'static str, Duration),
    /// A cloud answers 503.
    Down(&'static str),
    /// A cloud resets what it is asked.
    Reset(&'static str),
    /// A cloud handles writes and loses the answers.
    LoseAnswers(&'static str),
    /// A cloud handles writes, and what stands before it says 503.
    Disown(&'static str),
    /// A cloud answers as it should again.
    Behave(&'static str),
    /// Every login at a cloud ends.
    Expire(&'static str),
}

impl Plan {
    /// Draws a run.
    pub fn draw(seed: u64, size: Size) -> Plan {
        let mut rng = fastrand::Rng::with_seed(seed);
        let calm = size.active;
        let mut plan = Plan::quiet(seed, size);
        plan.durable = rng.u8(0..4) > 0;
        let mut at = Duration::from_secs(15);
        while at < calm {
            at += Duration::from_secs_f64(4.0 + 14.0 * rng.f64());
            let lasts = Duration::from_secs_f64(1.0 + 18.0 * rng.f64());
            let until = (at + lasts).min(calm);
            if at >= until {
                break;
            }
            let cloud = if rng.bool() { NSX } else { OPENSTACK };
            let peer = match rng.usize(0..size.clients + 2) {
                0 => NSX.to_owned(),
                1 => OPENSTACK.to_owned(),
                client => format!("client-{}", client - 2),
            };
            let kind = rng.u8(0..10);
            let (begin, end) = match kind {
                0 | 1 => (Act::Partition(peer.clone()), Act::Repair(peer)),
                2 => (Act::Hold(peer.clone()), Act::Repair(peer)),
                3 => (Act::Kill, Act::Start),
                4 | 9 => {
                    let act = if kind == 4 {
                        Act::Drain
                    } else {
                        Act::Expire(cloud)
                    };
                    plan.acts.push((at, act));
                    at = until;
                    continue;
                }
                5 => {
                    let delay = Duration::from_millis(rng.u64(200..6_000));
                    (Act::Slow(cloud, delay), Act::Behave(cloud))
                }
                6 => (Act::Down(cloud), Act::Behave(cloud)),
                7 => (Act::Reset(cloud), Act::Behave(cloud)),
                // Told apart by what was drawn anyway.
                _ if lasts.as_millis().is_multiple_of(2) => {
                    (Act::LoseAnswers(cloud), Act::Behave(cloud))
                }
                _ => (Act::Disown(cloud), Act::Behave(cloud)),
            };
            plan.acts.push((at, begin));
            plan.acts.push((until, end));
            // One trouble after the other, or some at once.
            if rng.bool() {
                at = until;
            }
        }
        plan.acts.sort_by_key(|(at, _)| *at);
        plan
    }

    /// A run in which nothing goes wrong but what clouds do by themselves.
    pub fn undisturbed(seed: u64, watchers: usize) -> Plan {
        let mut plan = Plan::quiet(seed, Size { watchers, ..SMALL });
        plan.deadlines = false;
        plan
    }

    fn quiet(seed: u64, size: Size) -> Plan {
        Plan {
            seed,
            clients: size.clients,
            watchers: size.watchers,
            rounds: size.rounds,
            durable: true,
            deadlines: true,
            calm: size.active,
            end: size.active + PEACE,
            acts: Vec::new(),
        }
    }

    /// A short run in which each kind of trouble comes once, at its time; the rest is drawn.
    pub fn rehearse(seed: u64) -> Plan {
        let mut plan = Plan::quiet(seed, REHEARSAL);
        let at = Duration::from_secs;
        plan.acts = vec![
            (at(18), Act::Down(OPENSTACK)),
            (at(36), Act::Partition("client-1".to_owned())),
            (at(39), Act::Repair("client-1".to_owned())),
            (at(50), Act::Behave(OPENSTACK)),
            (at(57), Act::Kill),
            (at(59), Act::Start),
            (at(62), Act::Partition(NSX.to_owned())),
            (at(72), Act::Repair(NSX.to_owned())),
            (at(76), Act::Drain),
        ];
        plan.end = plan.calm + at(50);
        plan
    }
}

impl Act {
    /// Does it, and writes down for how long what is in trouble: until this or the next act on it.
    pub fn play(
        &self,
        sim: &mut Sim<'_>,
        clouds: &Clouds,
        record: &Record,
        drain: &tokio::sync::Notify,
    ) {
        let at = sim.elapsed();
        record.history().line(at, &format!("*** {self:?}"));
        match self {
            Act::Partition(peer) => {
                sim.partition("gateway", peer.as_str());
                begins(record, at, of_peer(peer));
            }
            Act::Hold(peer) => {
                sim.hold("gateway", peer.as_str());
                begins(record, at, of_peer(peer));
            }
            Act::Repair(peer) => {
                sim.release("gateway", peer.as_str());
                sim.repair("gateway", peer.as_str());
                ends(record, at, &of_peer(peer));
            }
            Act::Kill => {
                sim.crash("gateway");
                begins(record, at, TroubleKind::Gateway);
            }
            Act::Start => {
                sim.bounce("gateway");
                // It may have been started already by an act that overlapped; then this has killed it again.
                begins(record, at, TroubleKind::Gateway);
                ends(record, at, &TroubleKind::Gateway);
            }
            Act::Drain => {
                drain.notify_one();
                begins(record, at, TroubleKind::Gateway);
                // The server's grace, at most.
                ends(record, at + Duration::from_secs(10), &TroubleKind::Gateway);
            }
            Act::Slow(cloud, delay) => spoil(clouds, record, at, cloud, Fault::Delay(*delay)),
            Act::Down(cloud) => {
                let answer = Answer::status(StatusCode::SERVICE_UNAVAILABLE);
                spoil(clouds, record, at, cloud, Fault::Answer(answer));
            }
            Act::Reset(cloud) => spoil(clouds, record, at, cloud, Fault::CutBeforeHandling),
            Act::LoseAnswers(cloud) => spoil(clouds, record, at, cloud, Fault::CutAfterHandling),
            Act::Disown(cloud) => {
                let fault = Fault::AnswerAfterHandling(Answer::html_unavailable());
                for method in [Method::POST, Method::PUT, Method::DELETE] {
                    let rule = Rule::on(method, "/vpn/", fault.clone());
                    strike(clouds, cloud, &rule);
                }
                begins(record, at, TroubleKind::Upstream(cloud));
            }
            Act::Expire(cloud) => clouds.expire_logins(cloud),
            Act::Behave(cloud) => {
                for site in clouds.sites(cloud) {
                    site.faults().clear();
                }
                ends(record, at, &TroubleKind::Upstream(cloud));
            }
        }
    }
}

fn spoil(clouds: &Clouds, record: &Record, at: Duration, cloud: &'static str, fault: Fault) {
    strike(clouds, cloud, &Rule::any(fault));
    begins(record, at, TroubleKind::Upstream(cloud));
}

fn strike(clouds: &Clouds, cloud: &str, rule: &Rule) {
    for site in clouds.sites(cloud) {
        site.faults().inject(rule.clone());
    }
}

fn of_peer(peer: &str) -> TroubleKind {
    match peer {
        NSX => TroubleKind::Upstream(NSX),
        OPENSTACK => TroubleKind::Upstream(OPENSTACK),
        client => {
            let number = client.trim_start_matches("client-").parse();
            TroubleKind::Client(number.expect("hosts are clouds, the gateway and clients"))
        }
    }
}

fn begins(record: &Record, at: Duration, kind: TroubleKind) {
    let mut history = record.history();
    history.troubles.push(Trouble {
        from: at,
        to: Duration::MAX,
        kind,
    });
}

/// Ends all of a kind that are going on: a repaired link is repaired, whatever broke it.
fn ends(record: &Record, at: Duration, kind: &TroubleKind) {
    let mut history = record.history();
    for trouble in &mut history.troubles {
        if trouble.kind == *kind && trouble.to == Duration::MAX {
            trouble.to = at;
        }
    }
}
