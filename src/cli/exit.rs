//! The exit codes of the command.

use std::process::ExitCode;

/// The end of the command: one exit code for each next step of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Success; for `watch`, `wait` and `demo`, the goal was reached.
    Done,
    /// The gateway could not be called, or refused.
    CouldNotAsk,
    /// The command line, the configuration or a field of the request is wrong. A retry does not help.
    Usage,
    /// The cloud says that it failed.
    Failed,
    /// The timeout passed first.
    Deadline,
    /// The cloud cannot tell whether the write is in effect.
    Undetermined,
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::CouldNotAsk => 1,
            Exit::Usage => 2,
            Exit::Failed => 3,
            Exit::Deadline => 4,
            Exit::Undetermined => 5,
        }
    }
}

impl Exit {
    /// Returns the worse of two results, for a command that does several things. From best to worst: done,
    /// undetermined, timed out, not called or refused, misused, failed.
    pub fn worst(self, other: Exit) -> Exit {
        let rank = |exit: Exit| match exit {
            Exit::Done => 0,
            Exit::Undetermined => 1,
            Exit::Deadline => 2,
            Exit::CouldNotAsk => 3,
            Exit::Usage => 4,
            Exit::Failed => 5,
        };
        if rank(other) > rank(self) {
            other
        } else {
            self
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// The exit codes as text, for the end of `--help`.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done; watch, wait and demo: the goal was reached
  1  the gateway could not be called, or refused
  2  the command line, the configuration or a field of the request is wrong
  3  the cloud reports a failure
  4  the timeout passed first
  5  watch, wait: the cloud cannot tell whether the write is in effect";
