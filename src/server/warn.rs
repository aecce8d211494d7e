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

/// Most lines that are tracked. All addresses beyond it share a line of each kind.
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
    lines: Mutex<HashMap<(Kind, IpAddr), Line>>,
}

#[derive(Debug)]
struct Line {
    at: Instant,
    since: u64,
}

impl Warnings {
    /// Reports whether to write a line of this kind. `Some` holds how many were suppressed since the last one.
    pub fn due(&self, kind: Kind, peer: IpAddr) -> Option<u64> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_old = |line: &Line| now.duration_since(line.at) >= INTERVAL;
        let mut key = (kind, who(peer));
        if lines.len() >= MOST && !lines.contains_key(&key) {
            // The suppressed counts of removed lines are lost.
            lines.retain(|_, line| !is_old(line));
            if lines.len() >= MOST {
                key.1 = Ipv4Addr::UNSPECIFIED.into();
            }
        }
        match lines.get_mut(&key) {
            Some(line) if !is_old(line) => {
                line.since += 1;
                None
            }
            Some(line) => {
                line.at = now;
                Some(std::mem::take(&mut line.since))
            }
            None => {
                lines.insert(key, Line { at: now, since: 0 });
                Some(0)
            }
        }
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
        assert!(warnings.lines.lock().unwrap().len() <= MOST + 1);
        advance(INTERVAL).await;
        assert_eq!(warnings.due(Kind::Refused, address(5_000)), Some(0));
        assert_eq!(warnings.lines.lock().unwrap().len(), 1);
    }
}
