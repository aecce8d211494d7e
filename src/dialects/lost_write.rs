//! Writes whose answer does not tell whether they happened.
//!
//! A write is sent once. If its answer is lost, the dialect reads the cloud instead and reports what the read shows.
//! This module decides how often to read and what to conclude.
//!
//! ```text
//!   sent ──► refused, or not sent at all ─────────────────────────► the error
//!     └────► lost ──► read ──► write seen ────────────────────────► done
//!                      ▲ ├──► not seen, the cloud said it failed ─► what the cloud said
//!                      └─┼─── not seen or no answer, time left
//!                        └──► no time left, or no read can tell ──► Ambiguous
//! ```

use crate::{
    core::error::{Error, ErrorKind, ErrorReason, Result},
    rest::{answer::Sent, backoff::Backoff},
};

/// What became of a write that may have happened.
pub enum Outcome<T> {
    /// The write happened and produced this value.
    Done(T),
    /// It is not known whether the write happened.
    Lost(Lost),
}

/// A write whose answer does not tell whether it happened.
#[derive(Debug)]
pub struct Lost {
    /// The error that came in place of a conclusive answer.
    pub because: Error,
    pub doubt: Doubt,
}

/// What came in place of a conclusive answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// No answer, or a success that cannot be read.
    Unanswered,
    /// A refusal that may come from a proxy in front of the cloud, which lost the answer.
    Refused,
    /// The cloud itself says that the write failed.
    Failed,
}

/// What a read shows of a lost write.
pub enum Trace<T> {
    /// The write happened and produced this value.
    Done(T),
    /// Everything is as before the write. The write failed if the cloud says so; otherwise it may still take effect.
    NotDone,
    /// The read was incomplete; another read may show more.
    Unclear,
    /// No read can tell, because another client has written since.
    Covered,
}

impl<T> Outcome<T> {
    /// The outcome of a successful write, from what was read of its answer.
    pub fn granted(read: Result<T>) -> Outcome<T> {
        match read {
            Ok(left) => Outcome::Done(left),
            Err(because) => Outcome::lost(because, Doubt::Unanswered),
        }
    }

    /// The outcome of a refused write.
    ///
    /// # Errors
    /// The refusal, if there is no doubt that the write did not happen.
    pub fn refused(because: Error, doubt: Option<Doubt>) -> Result<Outcome<T>> {
        match doubt {
            Some(doubt) => Ok(Outcome::lost(because, doubt)),
            None => Err(because),
        }
    }

    /// The outcome of a write that got no answer.
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
    /// Finds out whether the write happened: reads the cloud as often as `backoff` allows. During an outage, which
    /// shows nothing, it keeps trying.
    ///
    /// # Errors
    /// Fails with what the cloud said if it said that the write failed and no read shows it. Fails with `Ambiguous` if
    /// it cannot be known whether `what`, as in "the object was made".
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

    /// Builds the `Ambiguous` error: it cannot be known whether `what`.
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

    /// Plays the given reads one after the other and repeats the last one.
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
