//! When a login that was refused may be tried again.
//!
//! ```text
//!            refused             refused again            5 min, then 20 each      refused
//!   good ─────────────► doubted ───────────────► resting ───────────────────► due ─────────► resting …
//!     ▲                    │ 5 s later, accepted                               │ accepted
//!     └────────────────────┴───────────────────────────────────────────────────┘
//! ```
//!
//! One refusal alone may be a slip: a token that has not reached every server yet, an identity service that was
//! away for a moment. So it is asked once more, some seconds later, before the account is left alone.
//!
//! What must not happen is that the account is locked, which is not ours alone. NSX locks after five failed
//! logins within 900 s: of one request at a time, three fall into any such time, and of three at a time four.
//! Keystone locks, where it is configured to, after a number in a row, whatever lies between them.

use std::time::Duration;
use tokio::time::Instant;

/// When a login that was refused for the first time is asked again.
pub const AGAIN: Duration = Duration::from_secs(5);

/// How long a login is left alone that was refused twice.
pub const REST: Duration = Duration::from_secs(300);

/// How long it is left alone when it was refused more often. Longer than the 900 s in which NSX adds up failed
/// logins (`lockout-reset-period`, NSX CLI guide).
pub const LONGEST_REST: Duration = Duration::from_secs(1200);

/// The most logins that may be refused while an account rests: NSX locks at the fifth.
const MOST: u32 = 4;

/// What must be left of a request's time after a refused login was asked again.
const LEFT: Duration = Duration::from_secs(1);

/// The refusals of one login since it was last accepted. `W` is what the cloud says when it refuses.
#[derive(Debug)]
pub struct Refusals<W> {
    /// Logins that were refused.
    count: u32,
    held: Option<Held<W>>,
}

/// Why nothing is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held<W> {
    /// Until when.
    pub until: Instant,
    /// Whether it was refused more than once, some seconds apart.
    pub is_sure: bool,
    /// What the cloud said, for those who come meanwhile.
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
    /// Whether nothing was refused since the last that was accepted.
    pub fn is_blank(&self) -> bool {
        self.count == 0
    }

    /// Why nothing may be sent now; `None` if it may.
    pub fn held(&self) -> Option<&Held<W>> {
        self.held
            .as_ref()
            .filter(|held| Instant::now() < held.until)
    }

    /// A request that was sent at this time was refused as a login.
    ///
    /// Those that were under way when the first was refused confirm nothing; where each is a login of its own
    /// (`is_login`), each makes the rest that may follow longer.
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
            // Those that were refused with what was given before count, too.
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

    /// A login with what is given no more was refused: it counts, and says nothing of what is given now. Where one more would
    /// be the last before the lock, what is given now rests all the same.
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

    /// Whether, after one more refusal, another would leave too few before the lock.
    pub fn is_near(&self, is_login: bool) -> bool {
        self.count + u32::from(is_login) + 1 >= MOST
    }

    /// Another password is given, which is asked at once: nobody has refused it. What was refused before still counts for
    /// the lock, so that the next refusal has it rest; and where one more would be the last before the lock, the rest that was
    /// begun goes on.
    pub fn lift(&mut self) {
        let now = Instant::now();
        if let Some(held) = self.held.as_mut().filter(|_| self.count < MOST) {
            held.until = held.until.min(now);
        }
    }

    /// A request that was sent at this time was accepted. False if that proves nothing, since it was sent before
    /// another was refused.
    pub fn accepted(&mut self, sent: Instant) -> bool {
        let proves = self.held.as_ref().is_none_or(|held| sent >= held.until);
        if proves {
            *self = Refusals::default();
        }
        proves
    }

    /// When a login that was refused once is asked again, if a request that ends then can wait for it.
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

    /// The times at which a login is asked by those who never give up, in a day.
    async fn asked_in_a_day(at_once: usize) -> Vec<Instant> {
        let mut refusals = Refusals::default();
        let mut asked = Vec::new();
        let begun = Instant::now();
        while begun.elapsed() < SECOND * 86_400 {
            if refusals.held().is_none() {
                let sent = Instant::now();
                // Many are under way when the password is changed; then one at a time.
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
        // Two that were under way all the time: with the next one they would be five in 900 s.
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
        // What was under way with it says nothing new, whenever its answer comes.
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
        // So many are refused with the old one before, and so many later; then the new one is wrong, too.
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

        // Where one more would be the last, the rest goes on.
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

        // The right one is believed, whatever comes late.
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
