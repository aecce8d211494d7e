//! The context of one use of a dialect: its deadline, its priority, and the mark for what it creates.

use crate::{
    account::Priority,
    core::{client::Client, margin},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::Instant;

/// The context of one use of a dialect.
#[derive(Debug, Clone)]
pub struct Call {
    /// When the call must end.
    pub deadline: Instant,
    /// Which share of the account's budget the call draws on.
    pub priority: Priority,
    /// When the caller stops waiting for the answer, if that is earlier. The operation continues after it, but should
    /// report what it can before.
    pub answer_by: Option<Instant>,
}

impl Call {
    /// Returns the call of the client that is being served by the current task.
    pub fn unary(timeout: Duration) -> Call {
        Call {
            deadline: Instant::now() + timeout,
            priority: Priority::Caller(Client::current().unwrap_or_default().number),
            answer_by: None,
        }
    }

    /// Returns a call that no client waits for.
    pub fn poll(timeout: Duration) -> Call {
        Call {
            deadline: Instant::now() + timeout,
            priority: Priority::Stable,
            answer_by: None,
        }
    }

    /// Returns the call for sending a write. It leaves a third of the remaining time to find out what became of the
    /// write if its answer is lost, and to clean up.
    pub fn hurried(&self) -> Call {
        let left = self.deadline.saturating_duration_since(Instant::now());
        Call {
            deadline: self.deadline - left / 3,
            ..self.clone()
        }
    }

    /// Returns the call for finding out what became of a write. It ends in time to tell the waiting caller that the
    /// result is unknown, or at the deadline if no caller waits any more.
    pub fn until_known(&self) -> Call {
        let waits = self.answer_by.filter(|by| *by > Instant::now());
        let end = waits.map_or(self.deadline, |by| by.min(self.deadline));
        Call {
            deadline: margin::before(end),
            ..self.clone()
        }
    }
}

/// A UUID left on everything that one create makes. It identifies the gateway's objects and finds them again after a
/// lost answer.
///
/// The UUID's version tells how the object came to be. Version 4 marks an object made by a call of its own; version 8
/// (RFC 9562: custom) marks one made together with other objects by one call. Parts with a version 8 mark belong to the
/// connections that use them and are removed with the last of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mark(String);

impl Mark {
    /// Generates a mark for an object made by a call of its own.
    pub fn new() -> Mark {
        Mark(uuid::Uuid::new_v4().to_string())
    }

    /// Generates a mark for all objects that one call makes together.
    pub fn joint() -> Mark {
        let random = uuid::Uuid::new_v4().into_bytes();
        Mark(
            uuid::Builder::from_custom_bytes(random)
                .into_uuid()
                .to_string(),
        )
    }

    /// Returns this mark with its version set to 8, as for objects made together.
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

    /// Reports whether `text` is a mark of objects made together.
    pub fn is_joint(text: &str) -> bool {
        uuid::Uuid::try_parse(text).is_ok_and(|uuid| uuid.get_version_num() == 8)
    }

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
        // The marks differ only in the digit of the version.
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
            // The caller is gone: the operation runs to its end for the watches.
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
