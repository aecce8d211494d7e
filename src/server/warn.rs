//! Rate limit for warnings about clients, so that a misbehaving client does not flood the log. Each address gets one
//! line a minute of each kind, which counts the suppressed ones.

use crate::server::addresses::who;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Shortest time between two lines of one kind for one address.
const INTERVAL: Duration = Duration::from_secs(60);

/// Most lines that are tracked. Once it is reached, lines older than a minute are forgotten, and all further addresses
/// share a line of each kind.
const MOST: usize = 1_000;

/// The kinds of warnings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A connection was refused.
    Refused,
    /// The listener failed to accept a connection.
    Accept,
    /// A call was refused for a limit of its connection or of the server.
    Limit,
    /// A call ended with a fault.
    Fault,
}

/// The lines of the last minute.
#[derive(Debug, Default)]
pub struct Warnings {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    lines: HashMap<(Kind, IpAddr), Line>,
    /// How many warnings the forgotten lines would have counted. The next line of the kind tells it.
    forgotten: HashMap<Kind, u64>,
}

#[derive(Debug)]
struct Line {
    at: Instant,
    since: u64,
}

impl Warnings {
    /// Reports whether to write a line of this kind. `Some` holds how many were suppressed since the last one of this
    /// address, and those of other addresses whose lines have been forgotten.
    pub fn due(&self, kind: Kind, peer: IpAddr) -> Option<u64> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { lines, forgotten } = &mut *known;
        let now = Instant::now();
        let is_old = |line: &Line| now.duration_since(line.at) >= INTERVAL;
        let mut key = (kind, who(peer));
        if lines.len() >= MOST && !lines.contains_key(&key) {
            for ((kind, _), line) in lines.extract_if(|_, line| is_old(line)) {
                *forgotten.entry(kind).or_default() += line.since;
            }
            if lines.len() >= MOST {
                key.1 = Ipv4Addr::UNSPECIFIED.into();
            }
        }
        if let Some(line) = lines.get_mut(&key)
            && !is_old(line)
        {
            line.since += 1;
            return None;
        }
        let before = lines.insert(key, Line { at: now, since: 0 });
        let since = before.map_or(0, |line| line.since);
        Some(since + forgotten.remove(&kind).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0a00_0000 + number).into()
    }

    #[tokio::test(start_paused = true)]
    async fn one_line_a_minute_says_how_many_there_were() {
        let warnings = Warnings::default();
        let one = address(1);
        assert_eq!(warnings.due(Kind::Refused, one), Some(0));
        for _ in 0..1_000 {
            assert_eq!(warnings.due(Kind::Refused, one), None);
        }
        assert_eq!(warnings.due(Kind::Limit, one), Some(0), "another kind");
        assert_eq!(warnings.due(Kind::Refused, address(2)), Some(0));
        advance(INTERVAL).await;
        assert_eq!(warnings.due(Kind::Refused, one), Some(1_000));
        assert_eq!(warnings.due(Kind::Refused, one), None);
        advance(INTERVAL).await;
        assert_eq!(warnings.due(Kind::Refused, one), Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_addresses_are_told_apart_and_no_more() {
        let warnings = Warnings::default();
        let all = 0..5_000;
        let lines = all.filter(|n| warnings.due(Kind::Refused, address(*n)).is_some());
        assert_eq!(lines.count(), MOST + 1, "one for all others together");
        assert!(warnings.known.lock().unwrap().lines.len() <= MOST + 1);
        advance(INTERVAL).await;
        let left_out = 5_000 - (MOST as u64 + 1);
        assert_eq!(warnings.due(Kind::Limit, address(5_000)), Some(0));
        assert_eq!(
            warnings.due(Kind::Refused, address(5_000)),
            Some(left_out),
            "of the lines forgotten"
        );
        assert_eq!(warnings.due(Kind::Refused, address(5_001)), Some(0));
        assert_eq!(warnings.known.lock().unwrap().lines.len(), 3);
    }
}
