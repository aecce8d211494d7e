//! What surrounds one use of a dialect: until when, for whom, and what marks what is made.

use crate::{
    account::Priority,
    core::{client::Client, margin},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::Instant;

/// What surrounds one use of a dialect.
#[derive(Debug, Clone)]
pub struct Call {
    /// When it must be over.
    pub deadline: Instant,
    /// Whose share of the account's budget it comes out of.
    pub priority: Priority,
    /// When whoever waits for the answer goes away, if that is earlier. What was begun goes on, but what can be told
    /// should be told before.
    pub answer_by: Option<Instant>,
}

impl Call {
    /// A call of whoever is being served here.
    pub fn unary(timeout: Duration) -> Call {
        Call {
            deadline: Instant::now() + timeout,
            priority: Priority::Caller(Client::current().unwrap_or_default().number),
            answer_by: None,
        }
    }

    /// A call that nobody waits for.
    pub fn poll(timeout: Duration) -> Call {
        Call {
            deadline: Instant::now() + timeout,
            priority: Priority::Stable,
            answer_by: None,
        }
    }

    /// The same for a write: leaves a third of the time to find out what became of it if its answer does not come,
    /// and to clean up.
    pub fn hurried(&self) -> Call {
        let left = self.deadline.saturating_duration_since(Instant::now());
        Call {
            deadline: self.deadline - left / 3,
            ..self.clone()
        }
    }

    /// The same for finding out what became of a write: ends in time to say that it cannot be known, to whoever waits;
    /// if nobody waits any more, at the deadline.
    pub fn until_known(&self) -> Call {
        let waits = self.answer_by.filter(|by| *by > Instant::now());
        let end = waits.map_or(self.deadline, |by| by.min(self.deadline));
        Call {
            deadline: margin::before(end),
            ..self.clone()
        }
    }
}

/// What is left on everything the gateway makes, so that it can be told from everything else and found
/// again after a lost answer: a UUID, new for each create.
///
/// Its version tells how the object came to be. A UUID of version 4 marks what was made by a call of its own; one of version 8
/// (RFC 9562: custom) what was made together with other objects by one call. Parts that carry the latter belong to the
/// connections that use them and are removed with the last of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mark(String);

impl Mark {
    /// A new one, for what is made by a call of its own.
    pub fn new() -> Mark {
        Mark(uuid::Uuid::new_v4().to_string())
    }

    /// A new one, for all that one call makes together.
    pub fn joint() -> Mark {
        let random = uuid::Uuid::new_v4().into_bytes();
        Mark(
            uuid::Builder::from_custom_bytes(random)
                .into_uuid()
                .to_string(),
        )
    }

    /// The same mark as one of what was made together with other objects.
    #[must_use]
    pub fn joined(&self) -> Mark {
        match uuid::Uuid::try_parse(&self.0) {
            Ok(uuid) => {
                let joint = uuid::Builder::from_custom_bytes(uuid.into_bytes());
                Mark(joint.into_uuid().to_string())
            }
            Err(_) => self.clone(),
        }
    }

    /// Whether this is the text of a mark of what was made together with other objects.
    pub fn is_joint(text: &str) -> bool {
        uuid::Uuid::try_parse(text).is_ok_and(|uuid| uuid.get_version_num() == 8)
    }

    /// The UUID.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Mark {
    fn default() -> Self {
        Mark::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_joined_once_and_stays_the_same_beyond_its_version() {
        let (alone, joint) = (Mark::new(), Mark::joint());
        assert!(!Mark::is_joint(alone.as_str()) && Mark::is_joint(joint.as_str()));
        let joined = alone.joined();
        assert!(Mark::is_joint(joined.as_str()));
        assert_eq!(joined.joined(), joined);
        assert_eq!(joint.joined(), joint);
        // Only the digit of the version tells them apart.
        let rest = |mark: &Mark| [&mark.as_str()[..14], &mark.as_str()[15..]].concat();
        assert_eq!(rest(&joined), rest(&alone));
    }

    #[tokio::test(start_paused = true)]
    async fn what_became_of_a_write_is_told_while_somebody_waits() {
        let seconds = Duration::from_secs;
        let now = Instant::now();
        for (answer_by, end) in [
            (None, 59),
            (Some(now + seconds(30)), 29),
            (Some(now + seconds(300)), 59),
            // Gone: what was begun is brought to its end for those who watch.
            (Some(now), 59),
        ] {
            let call = Call {
                answer_by,
                ..Call::unary(seconds(60))
            };
            assert_eq!(call.until_known().deadline - now, seconds(end));
            assert_eq!(call.hurried().deadline - now, seconds(40));
        }
    }
}
