//! Writes of which it is not known from their answer whether they happened.
//!
//! A write is sent once. If its answer is lost, the dialect reads what there is now instead, and says what that shows:
//! this file decides how often it reads, and what is made of it.
//!
//! ```text
//!   sent ──► refused, or not sent at all ─────────────────────────► the error
//!     └────► lost ──► read ──► the write is seen ─────────────────► done
//!                      ▲ └──► not, and the cloud said it failed ──► what the cloud said
//!                      └─────── not, or no answer, and time left
//!                        └──► no time left, or it cannot be told ─► Ambiguous
//! ```

use crate::{
    core::error::{Error, ErrorKind, ErrorReason, Result},
    rest::{answer::Sent, backoff::Backoff},
};

/// What became of a write that may have happened.
pub enum Outcome<T> {
    /// It happened, and left this.
    Done(T),
    /// Nobody knows.
    Lost(Lost),
}

/// A write of which it is not known from its answer whether it happened.
#[derive(Debug)]
pub struct Lost {
    /// What came instead of an answer that tells.
    pub because: Error,
    /// What is known of it.
    pub doubt: Doubt,
}

/// What there is instead of an answer that tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// No answer, or one that grants the write and cannot be read.
    Unanswered,
    /// A refusal that may come from something before the cloud, which lost the answer.
    Refused,
    /// The cloud itself says that the write failed.
    Failed,
}

/// What a read shows of a lost write.
pub enum Trace<T> {
    /// It happened, and left this.
    Done(T),
    /// All is as it was before: the write failed if the cloud says so, and may otherwise still come.
    NotDone,
    /// Not everything was seen; another read may see more.
    Unclear,
    /// Whatever is read will not tell, since somebody else has written after it.
    Covered,
}

impl<T> Outcome<T> {
    /// A write that was granted, and what was read of its answer.
    pub fn granted(read: Result<T>) -> Outcome<T> {
        match read {
            Ok(left) => Outcome::Done(left),
            Err(because) => Outcome::lost(because, Doubt::Unanswered),
        }
    }

    /// A write that was refused.
    ///
    /// # Errors
    /// The refusal, if there is no doubt.
    pub fn refused(because: Error, doubt: Option<Doubt>) -> Result<Outcome<T>> {
        match doubt {
            Some(doubt) => Ok(Outcome::lost(because, doubt)),
            None => Err(because),
        }
    }

    /// A write without an answer.
    ///
    /// # Errors
    /// The same error, if the write certainly was not sent.
    pub fn unanswered(because: Error, sent: Sent) -> Result<Outcome<T>> {
        match sent {
            Sent::No => Err(because),
            Sent::Maybe => Ok(Outcome::lost(because, Doubt::Unanswered)),
        }
    }

    fn lost(because: Error, doubt: Doubt) -> Outcome<T> {
        Outcome::Lost(Lost { because, doubt })
    }
}

impl Lost {
    /// Finds out whether the write happened, by reading what there is as often as `backoff` allows. An outage shows
    /// nothing, and is waited for.
    ///
    /// # Errors
    /// What the cloud said, if it said that the write failed and nothing is seen of it. `Ambiguous` if it cannot be
    /// known `what`, as in "the object was made".
    pub async fn find_out<T, F: Future<Output = Result<Trace<T>>>>(
        &self,
        what: &str,
        mut backoff: Backoff,
        read: impl Fn() -> F,
    ) -> Result<T> {
        loop {
            match read().await {
                Ok(Trace::Done(left)) => return Ok(left),
                Ok(Trace::NotDone) if self.doubt == Doubt::Failed => {
                    return Err(self.because.clone());
                }
                Ok(Trace::NotDone | Trace::Unclear) => {}
                Err(error) if error.is_outage() => {}
                Ok(Trace::Covered) | Err(_) => break,
            }
            if !backoff.next().await {
                break;
            }
        }
        Err(self.ambiguous(what))
    }

    /// It cannot be known `what`.
    pub fn ambiguous(&self, what: &str) -> Error {
        let message = format!(
            "the answer was lost and it cannot be known whether {what}: {}",
            self.because.message
        );
        let mut error = Error::new(ErrorKind::Ambiguous, ErrorReason::WriteAmbiguous, message);
        error.context.upstream = self.because.context.upstream.clone();
        error.context.metadata = self.because.context.metadata.clone();
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::Cell, time::Duration};
    use tokio::time::Instant;

    const WHAT: &str = "it was made";

    /// One read after the other; the last one is all there is from then on.
    async fn found(doubt: Doubt, reads: &[fn() -> Result<Trace<u8>>]) -> (Result<u8>, usize) {
        let because = Error::new(ErrorKind::Unavailable, ErrorReason::UpstreamError, "lost");
        let lost = Lost { because, doubt };
        let backoff = Backoff::until(Instant::now() + Duration::from_secs(2));
        let count = Cell::new(0);
        let read = || {
            let read = reads[count.get().min(reads.len() - 1)];
            count.set(count.get() + 1);
            async move { read() }
        };
        (lost.find_out(WHAT, backoff, read).await, count.get())
    }

    fn outage() -> Result<Trace<u8>> {
        Err(Error::new(
            ErrorKind::Unavailable,
            ErrorReason::UpstreamError,
            "down",
        ))
    }

    fn denied() -> Result<Trace<u8>> {
        Err(Error::new(
            ErrorKind::PermissionDenied,
            ErrorReason::UpstreamDenied,
            "no",
        ))
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_is_seen_is_done_however_late_it_shows() {
        for doubt in [Doubt::Unanswered, Doubt::Refused, Doubt::Failed] {
            let reads: [fn() -> _; 3] = [outage, || Ok(Trace::Unclear), || Ok(Trace::Done(7))];
            let (found, reads) = found(doubt, &reads).await;
            assert_eq!((found.unwrap(), reads), (7, 3), "{doubt:?}");
        }
        let reads: [fn() -> _; 2] = [|| Ok(Trace::NotDone), || Ok(Trace::Done(7))];
        assert_eq!(found(Doubt::Refused, &reads).await.0.unwrap(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_the_cloud_says_failed_has_failed_if_nothing_is_seen_of_it() {
        let (found, reads) = found(Doubt::Failed, &[|| Ok(Trace::NotDone)]).await;
        let error = found.unwrap_err();
        assert_eq!((error.reason, reads), (ErrorReason::UpstreamError, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_known_is_said_to_be_unknown() {
        let cases: [(fn() -> _, usize); 5] = [
            (|| Ok(Trace::NotDone), 4),
            (|| Ok(Trace::Unclear), 4),
            (outage, 4),
            (|| Ok(Trace::Covered), 1),
            (denied, 1),
        ];
        for (read, expected) in cases {
            let (found, reads) = found(Doubt::Refused, &[read]).await;
            let error = found.unwrap_err();
            assert_eq!((error.kind, reads), (ErrorKind::Ambiguous, expected));
            assert!(error.message.contains(WHAT));
        }
    }

    #[test]
    fn what_was_certainly_not_begun_is_not_lost() {
        let error = || Error::internal("x");
        assert!(Outcome::<()>::unanswered(error(), Sent::No).is_err());
        assert!(Outcome::<()>::refused(error(), None).is_err());
        for outcome in [
            Outcome::<()>::unanswered(error(), Sent::Maybe),
            Outcome::refused(error(), Some(Doubt::Failed)),
            Ok(Outcome::granted(Err(error()))),
        ] {
            assert!(matches!(outcome, Ok(Outcome::Lost(_))));
        }
    }
}
