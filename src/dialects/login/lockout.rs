//! When a refused login may be tried again.
//!
//! ```text
//!            refused             refused again            5 min, then 20 each      refused
//!   good ─────────────► doubted ───────────────► resting ───────────────────► due ─────────► resting …
//!     ▲                    │ 5 s later, accepted                               │ accepted
//!     └────────────────────┴───────────────────────────────────────────────────┘
//! ```
//!
//! One refusal alone may be a glitch: a token that has not reached every server yet, or an identity service that was
//! away for a moment. So the login is tried once more some seconds later before the account rests.
//!
//! The account must not be locked, because other clients may use it. NSX locks an account after five failed logins
//! within 900 s. With one request at a time, at most three failures fall into any 900 s; with three at a time, four.
//! Keystone, where it is configured to lock, does so after a number of failures in a row, however far apart they are.

use std::time::Duration;
use tokio::time::Instant;

/// How long after its first refusal a login is tried again.
pub const AGAIN: Duration = Duration::from_secs(5);

/// How long a login rests after its second refusal.
pub const REST: Duration = Duration::from_secs(300);

/// How long a login rests after further refusals. This is longer than the 900 s over which NSX counts failed logins
/// (`lockout-reset-period`, NSX CLI guide).
pub const LONGEST_REST: Duration = Duration::from_secs(1200);

/// The most logins that may be refused before the account rests: NSX locks at the fifth.
const MOST: u32 = 4;

/// How much of a request's time must remain after the second try of its login.
const LEFT: Duration = Duration::from_secs(1);

/// The refusals of one login since the cloud last accepted it. `W` is what the cloud says when it refuses.
#[derive(Debug)]
pub struct Refusals<W> {
    /// The number of refused logins.
    count: u32,
    held: Option<Held<W>>,
}

/// Why no login may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held<W> {
    pub until: Instant,
    /// Whether the login was refused more than once, some seconds apart.
    pub is_sure: bool,
    /// What the cloud said. Requests that are turned away in the meantime report it.
    pub said: W,
}

impl<W> Default for Refusals<W> {
    fn default() -> Refusals<W> {
        Refusals {
            count: 0,
            held: None,
        }
    }
}

impl<W> Refusals<W> {
    /// Reports whether no login was refused since the last accepted one.
    pub fn is_blank(&self) -> bool {
        self.count == 0
    }

    /// Returns why no login may be sent, or `None` if one may.
    pub fn held(&self) -> Option<&Held<W>> {
        self.held
            .as_ref()
            .filter(|held| Instant::now() < held.until)
    }

    /// Records that a request sent at `sent` was refused as a login.
    ///
    /// Requests in flight at the time of the first refusal confirm nothing. Where each request is a login of its own
    /// (`is_login`), each of them lengthens the rest that may follow.
    pub fn refused(&mut self, sent: Instant, is_login: bool, said: W) {
        let now = Instant::now();
        let (wait, is_sure) = match &self.held {
            Some(held) if sent < held.until => {
                self.count += u32::from(is_login);
                let rests_longer = held.is_sure && self.count > 2;
                if let Some(held) = self.held.as_mut().filter(|_| rests_longer) {
                    held.until = held.until.max(now + LONGEST_REST);
                }
                return;
            }
            Some(_) if self.count < 2 => (REST, true),
            Some(_) => (LONGEST_REST, true),
            // Refusals of earlier secrets count, too.
            None if self.count > 1 => (LONGEST_REST, true),
            None => (AGAIN, false),
        };
        self.count += 1;
        self.held = Some(Held {
            until: now + wait,
            is_sure,
            said,
        });
    }

    /// Records that a login with an earlier secret was refused. The refusal counts towards the lock but says nothing
    /// about the present secret. At [`MOST`] refusals the present secret rests all the same.
    pub fn noted(&mut self, is_login: bool, said: W) {
        self.count += u32::from(is_login);
        if self.count >= MOST {
            self.held = Some(Held {
                until: Instant::now() + LONGEST_REST,
                is_sure: true,
                said,
            });
        }
    }

    /// Reports whether, after one more refusal, another would bring the count to [`MOST`]. The first of the two counts
    /// only if `is_login`.
    pub fn is_near(&self, is_login: bool) -> bool {
        self.count + u32::from(is_login) + 1 >= MOST
    }

    /// Lets a new secret be tried at once, since the cloud has not refused it. Earlier refusals still count towards the
    /// lock, so the next refusal makes the login rest. At [`MOST`] refusals a rest that has begun goes on.
    pub fn lift(&mut self) {
        let now = Instant::now();
        if let Some(held) = self.held.as_mut().filter(|_| self.count < MOST) {
            held.until = held.until.min(now);
        }
    }

    /// Records that a request sent at `sent` was accepted. Returns false if that proves nothing because the request was
    /// sent before another one was refused.
    pub fn accepted(&mut self, sent: Instant) -> bool {
        let proves = self.held.as_ref().is_none_or(|held| sent >= held.until);
        if proves {
            *self = Refusals::default();
        }
        proves
    }

    /// Returns when a login that was refused once is tried again, if a request with this deadline can wait for it.
    pub fn again_before(&self, deadline: Instant) -> Option<Instant> {
        let held = self.held.as_ref().filter(|held| !held.is_sure)?;
        Some(held.until).filter(|until| *until + LEFT < deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const SECOND: Duration = Duration::from_secs(1);

    /// The times at which clients that never give up try a login within a day.
    async fn asked_in_a_day(at_once: usize) -> Vec<Instant> {
        let mut refusals = Refusals::default();
        let mut asked = Vec::new();
        let begun = Instant::now();
        while begun.elapsed() < SECOND * 86_400 {
            if refusals.held().is_none() {
                let sent = Instant::now();
                // Many requests are in flight when the password changes. After that there is one at a time.
                let count = if asked.is_empty() { at_once } else { 1 };
                for _ in 0..count {
                    refusals.refused(sent, true, ());
                    asked.push(sent);
                }
            }
            advance(SECOND).await;
        }
        asked
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_is_never_near_its_lock() {
        for (at_once, most) in [(1, 3), (2, 3), (3, 4)] {
            let asked = asked_in_a_day(at_once).await;
            for first in &asked {
                let in_window = |at: &&Instant| **at >= *first && **at < *first + SECOND * 900;
                let failed = asked.iter().filter(in_window).count();
                assert!(failed <= most, "{failed} failed logins in 900 s");
            }
            assert!((70..80).contains(&asked.len()), "{}", asked.len());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_are_refused_late_lengthen_the_rest() {
        let mut refusals = Refusals::default();
        let before = Instant::now();
        refusals.refused(before, true, ());
        advance(AGAIN).await;
        refusals.refused(Instant::now(), true, ());
        // Two requests that were in flight all the time: the next one would be the fifth failure in 900 s.
        refusals.refused(before, true, ());
        refusals.refused(before, true, ());
        let left = refusals.held().map(|held| held.until - Instant::now());
        assert_eq!(left, Some(LONGEST_REST));
    }

    #[tokio::test(start_paused = true)]
    async fn a_login_rests_only_after_it_was_asked_twice() {
        let mut refusals = Refusals::default();
        let until = |refusals: &Refusals<&'static str>| {
            let held = refusals.held().expect("nothing may be sent");
            (held.until - Instant::now(), held.is_sure, held.said)
        };
        let before = Instant::now();
        refusals.refused(before, true, "once");
        assert_eq!(until(&refusals), (AGAIN, false, "once"));
        // A request that was in flight at the same time says nothing new, whenever its answer comes.
        refusals.refused(before, true, "at once");
        assert_eq!(until(&refusals), (AGAIN, false, "once"));
        assert!(!refusals.accepted(before));
        advance(AGAIN).await;
        assert_eq!(refusals.held(), None);
        refusals.refused(before, true, "late");
        assert_eq!(refusals.held(), None);

        let mut slip = Refusals::default();
        slip.refused(before, true, "once");
        advance(AGAIN).await;
        assert!(slip.accepted(Instant::now()));
        slip.refused(Instant::now(), true, "again");
        assert_eq!(until(&slip), (AGAIN, false, "again"));

        let mut sure = Refusals::default();
        sure.refused(Instant::now(), false, "once");
        advance(AGAIN).await;
        sure.refused(Instant::now(), false, "twice");
        assert_eq!(until(&sure), (REST, true, "twice"));
        advance(REST).await;
        sure.refused(Instant::now(), false, "thrice");
        assert_eq!(until(&sure), (LONGEST_REST, true, "thrice"));
    }

    #[tokio::test(start_paused = true)]
    async fn another_password_is_asked_at_once_and_never_brings_the_lock_near() {
        // `before` requests are refused with the old password before the change, and `late` ones after it. The new one
        // is wrong, too.
        for (before, late) in [(1, 0), (1, 2), (3, 0), (0, 3), (0, 1)] {
            let mut refusals = Refusals::default();
            let begun = Instant::now();
            for _ in 0..before {
                refusals.refused(begun, true, ());
            }
            advance(SECOND).await;
            refusals.lift();
            assert_eq!(refusals.held(), None);
            for _ in 0..late {
                refusals.noted(true, ());
            }
            let mut failed = before + late;
            while begun.elapsed() < SECOND * 900 {
                if refusals.held().is_none() {
                    refusals.refused(Instant::now(), true, ());
                    failed += 1;
                }
                advance(SECOND).await;
            }
            assert!(failed <= 4, "{failed} after {before} and {late}");
        }

        // At [`MOST`] refusals the rest goes on.
        let mut refusals = Refusals::default();
        let begun = Instant::now();
        for _ in 0..3 {
            refusals.refused(begun, true, ());
        }
        advance(AGAIN).await;
        refusals.refused(Instant::now(), true, ());
        refusals.lift();
        let left = refusals.held().map(|held| held.until - Instant::now());
        assert_eq!(left, Some(LONGEST_REST));

        // The right password is believed, whatever refusals arrive late.
        let mut refusals = Refusals::default();
        refusals.refused(Instant::now(), true, ());
        advance(SECOND).await;
        refusals.lift();
        assert!(refusals.accepted(Instant::now()));
        refusals.noted(true, ());
        assert_eq!(refusals.held(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_late_lengthens_the_rest_of_another_password() {
        let mut refusals = Refusals::default();
        refusals.refused(Instant::now(), true, ());
        for _ in 0..3 {
            refusals.noted(true, ());
        }
        let left = refusals.held().map(|held| held.until - Instant::now());
        assert_eq!(left, Some(LONGEST_REST));
    }

    #[tokio::test(start_paused = true)]
    async fn only_who_has_the_time_waits_and_only_for_a_doubt() {
        let mut refusals = Refusals::default();
        let now = Instant::now();
        assert_eq!(refusals.again_before(now + SECOND * 60), None);
        refusals.refused(now, true, ());
        assert_eq!(refusals.again_before(now + AGAIN + LEFT), None);
        assert_eq!(
            refusals.again_before(now + AGAIN + LEFT + SECOND),
            Some(now + AGAIN)
        );
        advance(AGAIN).await;
        refusals.refused(Instant::now(), true, ());
        assert_eq!(refusals.again_before(now + SECOND * 6000), None);
    }
}
