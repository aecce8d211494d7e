//! Who uses the gateway beside the clients of a plan, and asks for more than its share or for what is not there.

use crate::{
    acts::Act,
    clouds::{NSX, OPENSTACK},
};
use http::StatusCode;
use std::{ops::Range, time::Duration};

/// All of them.
#[derive(Debug, Clone, Default)]
pub struct Load {
    /// Each on a connection of its own.
    pub greedy: Vec<Greedy>,
    /// Connections of somebody else's that are removed through the gateway, one after the other from then on.
    pub sweep: Option<(Duration, &'static str, Range<u32>)>,
    /// From then on so many names are asked for that no cloud knows.
    pub junk: Option<(Duration, usize)>,
}

/// A reader who never pauses.
#[derive(Debug, Clone)]
pub struct Greedy {
    pub backend: &'static str,
    /// Calls at the same time.
    pub loops: usize,
    /// It reads lists, and not one connection after the other.
    pub lists: bool,
    pub from: Duration,
    pub to: Duration,
}

impl Load {
    /// OpenStreams who never pause for a while, so many that a cloud's whole budget would be theirs.
    pub fn crowding(rng: &mut fastrand::Rng, from: Duration) -> Load {
        let number = 1 + rng.usize(0..3);
        let greedy = (0..number).map(|other| {
            let from = from + Duration::from_secs_f64(4.0 * rng.f64());
            Greedy {
                // The one whose account has the least.
                backend: if other == 0 { OPENSTACK } else { cloud(rng) },
                // More than it answers of within the deadline of a call, unless clients share it.
                loops: rng.usize(90..120),
                lists: rng.u8(0..3) == 0,
                from,
                to: from + Duration::from_secs_f64(8.0 + 4.0 * rng.f64()),
            }
        });
        Load {
            greedy: greedy.collect(),
            ..Load::default()
        }
    }

    /// Something that goes wrong with polls, or with one connection, while everything else is answered.
    pub fn spot(rng: &mut fastrand::Rng, from: Duration) -> [(Duration, Act); 2] {
        let cloud = cloud(rng);
        let which = rng.usize(..);
        let act = match rng.u8(0..4) {
            0 => Act::HangPolls(cloud),
            1 => Act::HangOne(cloud, which),
            2 => Act::Refuse(cloud, which, StatusCode::TOO_MANY_REQUESTS),
            _ => Act::Refuse(cloud, which, StatusCode::SERVICE_UNAVAILABLE),
        };
        let lasts = Duration::from_secs_f64(6.0 + 8.0 * rng.f64());
        [(from, act), (from + lasts, Act::Behave(cloud))]
    }
}

fn cloud(rng: &mut fastrand::Rng) -> &'static str {
    if rng.bool() { NSX } else { OPENSTACK }
}
