//! What happens in a run, drawn from its seed.

use crate::{
    acts::Act,
    clouds::{NSX, OPENSTACK},
    load::Load,
};
use std::time::Duration;

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

/// What is enough where it matters who else there is.
const BESIDE: Size = Size {
    clients: 2,
    watchers: 2,
    rounds: 2,
    active: Duration::from_secs(55),
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
    /// Who else uses the gateway, if anybody does.
    pub load: Option<Load>,
    /// Who makes connections with everything they need, if anybody does.
    pub composites: Option<Composites>,
}

/// Writers of connections with everything they need.
#[derive(Debug, Clone, Copy)]
pub struct Composites {
    /// Hosts.
    pub writers: usize,
    /// Connections that each of them makes.
    pub rounds: usize,
    /// Whether some take parts that are there already.
    pub reuse: bool,
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
        plan.reloads();
        plan.acts.sort_by_key(|(at, _)| *at);
        plan
    }

    /// In every second run the gateway is reloaded now and then, whatever else goes on.
    fn reloads(&mut self) {
        // Apart from the rest, which is as it would be without.
        let mut rng = fastrand::Rng::with_seed(self.seed ^ 0x5EED);
        if rng.bool() {
            return;
        }
        for _ in 0..rng.usize(1..6) {
            let at = self.calm.mul_f64(0.1 + 0.9 * rng.f64());
            self.acts.push((at, Act::Reload));
        }
    }

    /// Draws a run in which, in one of four, there are others beside the clients.
    pub fn draw_with_others(seed: u64, size: Size) -> Plan {
        let mut plan = Plan::draw(seed, size);
        if seed % 4 != 1 {
            return plan;
        }
        // Apart from the rest, so that what goes wrong does not depend on who else there is.
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x10AD);
        let calm = plan.calm;
        plan.load = Some(Load {
            junk: Some((calm / 2, rng.usize(0..12))),
            sweep: Some((calm.mul_f64(0.8), NSX, 0..rng.u32(0..4))),
            ..Load::crowding(&mut rng, calm / 4)
        });
        plan.acts.extend(Load::spot(&mut rng, calm / 3));
        plan.others(calm.mul_f64(0.5 + 0.3 * rng.f64()));
        plan.acts.sort_by_key(|(at, _)| *at);
        plan
    }

    /// A run in which readers who never pause come, and then some polls hang or are refused.
    pub fn crowded(seed: u64) -> Plan {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0xC20D);
        let mut plan = Plan::quiet(
            seed,
            Size {
                active: Duration::from_secs(36),
                ..BESIDE
            },
        );
        let at = Duration::from_secs(10 + rng.u64(0..4));
        plan.load = Some(Load::crowding(&mut rng, at));
        plan.acts
            .push((Duration::from_secs(3), Act::Make(NSX, 0..20)));
        let at = Duration::from_secs(12 + rng.u64(0..8));
        plan.acts.extend(Load::spot(&mut rng, at));
        plan.end = plan.calm + Duration::from_secs(35);
        plan
    }

    /// A run in which connections come and go under watches over all, and names are asked for that nobody knows.
    pub fn coming_and_going(seed: u64) -> Plan {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0xC0E5);
        let mut plan = Plan::quiet(
            seed,
            Size {
                rounds: 1,
                ..BESIDE
            },
        );
        plan.load = Some(Load {
            junk: Some((Duration::from_secs(14 + rng.u64(0..10)), 8)),
            sweep: Some((Duration::from_secs(50), NSX, 3..6)),
            ..Load::default()
        });
        plan.others(Duration::from_secs(31 + rng.u64(0..8)));
        plan.acts.sort_by_key(|(at, _)| *at);
        plan.end = plan.calm + Duration::from_secs(60);
        plan
    }

    /// A run in which connections are made with everything they need, and the gateway is killed again and again.
    pub fn composing(seed: u64) -> Plan {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0xC0_90);
        let mut plan = Plan::quiet(
            seed,
            Size {
                clients: 0,
                active: Duration::from_secs(90),
                ..BESIDE
            },
        );
        plan.composites = Some(Composites {
            writers: 3,
            rounds: 4,
            reuse: seed % 2 == 1,
        });
        let mut at = Duration::from_secs(4);
        loop {
            at += Duration::from_secs_f64(1.0 + 5.0 * rng.f64());
            let lasts = Duration::from_secs_f64(0.5 + 5.0 * rng.f64());
            if at + lasts >= plan.calm {
                break;
            }
            let cloud = if rng.bool() { NSX } else { OPENSTACK };
            let (begin, end) = match rng.u8(0..16) {
                0..4 => (Act::Kill, Act::Start),
                4 | 5 => (Act::HoldAnswers(cloud), Act::Behave(cloud)),
                6 => {
                    let delay = Duration::from_millis(rng.u64(500..6_000));
                    (Act::Late(cloud, delay), Act::Behave(cloud))
                }
                7 | 14 | 15 => (Act::LoseAnswers(cloud), Act::Behave(cloud)),
                12 | 13 => (Act::RefuseConnections(cloud), Act::Behave(cloud)),
                8 => (Act::Disown(cloud), Act::Behave(cloud)),
                9 => (Act::Reset(cloud), Act::Behave(cloud)),
                10 => {
                    let delay = Duration::from_millis(rng.u64(200..3_000));
                    (Act::Slow(cloud, delay), Act::Behave(cloud))
                }
                _ => (
                    Act::Partition(cloud.to_owned()),
                    Act::Repair(cloud.to_owned()),
                ),
            };
            plan.acts.extend([(at, begin), (at + lasts, end)]);
            // One trouble after the other, or a kill in the midst of it.
            if rng.u8(0..3) == 0 {
                at += lasts;
            }
        }
        plan.acts.sort_by_key(|(at, _)| *at);
        plan.end = plan.calm + Duration::from_secs(90);
        plan
    }

    /// Has others make connections early on and at that time, and remove most of them later.
    fn others(&mut self, at: Duration) {
        let later = at + Duration::from_secs(16);
        self.acts.extend([
            (Duration::from_secs(3), Act::Make(NSX, 0..10)),
            (Duration::from_secs(6), Act::Make(OPENSTACK, 0..3)),
            (at, Act::Make(NSX, 10..12)),
            (at + Duration::from_secs(2), Act::Make(OPENSTACK, 3..4)),
            (later, Act::Remove(NSX, 6..11)),
            (later, Act::Remove(OPENSTACK, 0..2)),
        ]);
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
            load: None,
            composites: None,
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
