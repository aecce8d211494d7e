//! Planted bugs: what could be wrong with a gateway, done to a good one from outside.
//!
//! Each is a decorator at a seam: of the answers on their way to a client, of a dialect, of the store, or of the
//! network to the clouds. The checker has to find every one of them, under the name of the promise it breaks.

mod dialect;
mod ledger;
mod store;
mod stream;
mod turns;
mod undoing;
mod wire;

pub use dialect::lying;
pub use ledger::forgetful;
pub use store::careless;
pub use stream::{Opened, Tamper};
pub use turns::jostling;
pub use undoing::hasty;
pub use wire::greedy;

use crate::checker::Promise;

/// Where a bug is planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seam {
    /// Between the gateway and a client.
    Answers,
    /// Between the core and a dialect.
    Dialect,
    /// Between the core and its store.
    Store,
    /// Between a dialect and its cloud.
    Network,
}

/// One line of the table.
#[derive(Debug)]
pub struct Planted {
    /// The bug.
    pub bug: Bug,
    /// Where.
    pub seam: Seam,
    /// The promise that it breaks, and under which it has to be found.
    pub promise: Promise,
    /// What is wrong.
    pub what: &'static str,
}

macro_rules! bugs {
    ($($seam:ident { $($bug:ident breaks $promise:ident: $what:literal,)* })*) => {
        /// One planted bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Bug {
            $($(#[doc = $what] $bug,)*)*
        }

        /// Every bug.
        pub const BUGS: &[Planted] = &[
            $($(Planted {
                bug: Bug::$bug,
                seam: Seam::$seam,
                promise: Promise::$promise,
                what: $what,
            },)*)*
        ];
    };
}

bugs! {
    Answers {
        SnapshotMissing breaks SnapshotFirst: "the first message never comes",
        SnapshotAgain breaks SnapshotFirst: "a change comes as a second snapshot",
        SnapshotOld breaks SnapshotFirst: "the snapshot is what was said first of the connection, not last",
        ListIncomplete breaks SnapshotFirst: "a watch over many leaves out one connection",
        ListUnfinished breaks SnapshotFirst: "a change comes before the list is complete",
        ChangeTwice breaks MonotoneAndUnique: "a change comes twice",
        ChangesReordered breaks MonotoneAndUnique: "two changes come in the other order",
        EpochGoesBack breaks MonotoneAndUnique: "the epoch goes back",
        ObserveTimeGoesBack breaks MonotoneAndUnique: "`observe_time` goes back",
        TwoTruths breaks MonotoneAndUnique: "the same position says something else to another client",
        ChangeLost breaks CoalescingIsCounted: "a change never comes",
        LeftOutUncounted breaks CoalescingIsCounted: "what a slow reader misses is not counted",
        LeftOutOvercounted breaks CoalescingIsCounted: "more is counted than a slow reader misses",
        FailureLeftOut breaks CoalescingIsCounted: "the latest failure is among what a slow reader misses",
        OutcomeMissing breaks ExactlyOneOutcome: "the outcome never comes, and the watch goes on",
        OutcomeTwice breaks ExactlyOneOutcome: "the outcome comes twice",
        OutcomeNotLast breaks ExactlyOneOutcome: "something comes after the outcome",
        OutcomeInverted breaks ExactlyOneOutcome: "a success comes as a failure",
        OutcomeTooEarly breaks ExactlyOneOutcome: "the first thing seen of a write is taken for its success",
        OutcomeBare breaks ExactlyOneOutcome: "an outcome comes without its evidence",
        OutageIsOutcome breaks ExactlyOneOutcome: "a lost connection is told as a failure of the cloud",
        PollBeforeWrite breaks Causality: "a write's outcome rests on a look that began before the write was done",
        TokenGoesBack breaks Resumable: "a later message has the token of an earlier one",
        TokenTooEarly breaks Resumable: "a token points before the change it comes with",
        ResumeTooEarly breaks Resumable: "a resumed watch repeats what was told",
        ResumeTooLate breaks Resumable: "a resumed watch leaves out what came meanwhile",
        ResumeRefused breaks Resumable: "a token that is remembered is refused",
        ResumeIgnored breaks Resumable: "a token that is remembered gets a snapshot",
        HeartbeatsCease breaks Liveness: "heartbeats cease",
        HeartbeatFrozen breaks Liveness: "heartbeats tell for ever what the first one told",
        HeartbeatNeverStale breaks Liveness: "heartbeats say that what is known is not stale, always",
        ChangesHeldBack breaks BoundedLag: "changes wait before they are sent",
        SlowReaderStallsOthers breaks Isolation: "a change waits for the slowest of its readers",
        EndWithoutReason breaks EveryEndHasAReason: "an error has no reason",
        EndWithOk breaks EveryEndHasAReason: "a drained watch ends with OK",
        EndOutOfNothing breaks EveryEndHasAReason: "a watch breaks off with nothing wrong",
        TokenMissing breaks EveryEndHasAReason: "a message has no token",
        HeartbeatAlwaysStale breaks Shares: "heartbeats say that what is known is stale, always",
        NewcomersAreLeftOut breaks Joins: "a watch over all tells only of what was there when it began",
        TunnelsAreLeftOut breaks Tunnels: "a watch over all leaves out the tunnels it was asked for",
        RepeatsAreAnsweredAnew breaks SameAnswer: "who repeats a write gets another answer",
    }
    Dialect {
        AcceptedIsRealized breaks ExactlyOneOutcome: "a write is taken to be real as soon as it is accepted",
        ErrorsAreMadeUp breaks ExactlyOneOutcome: "a dialect reads a failure that is none",
        OutageIsError breaks ExactlyOneOutcome: "an outage is read as the cloud's report of a failure",
        GoneTooEarly breaks ExactlyOneOutcome: "a deletion is over when the object is gone, whatever the nodes say",
        OldStatusIsProof breaks ExactlyOneOutcome: "what Neutron said before an update speaks for it",
        LooksAreCached breaks BoundedLag: "most looks are answered from memory",
        LooksAreRepeated breaks Isolation: "every look is made as often as if each watcher made one",
        LooksWaitForCallers breaks Shares: "looks wait until nobody calls",
        ClientsAreNotToldApart breaks Shares: "all clients have the share of one",
        CallersAreOneQueue breaks Shares: "all callers wait in one queue, whoever they are",
        LooksTakeEveryPlace breaks Shares: "looks that hang take the places of callers",
        GoneIsStillThere breaks GoneIsLeft: "what somebody else removed is said to be there as before",
        GoneIsAskedAbout breaks GoneIsLeft: "what is gone goes on being asked about",
        TheirsAreHidden breaks Joins: "lists leave out what somebody else made",
        TunnelsAreNotRead breaks Tunnels: "no look reads a tunnel",
        AnyNameIsThere breaks NamesAreForgotten: "every name is taken for a connection that is there",
        UndoLeavesPolicies breaks NothingIsLeft: "what is taken back is all but the policies",
        LostIsNotDone breaks NothingIsLeft: "a write whose answer was lost is taken for not done",
        RemovalsAreTakenForDone breaks NothingIsLeft: "a removal is over when it was tried",
        DeletesAreTakenOnTrust breaks WhatIsToldIsSo: "a delete is answered before it is sent, and never sent",
        RemovedByName breaks OthersStay: "what is taken back is found by its name, whoever made it",
        OwnIsTakenForJoint breaks OthersStay: "what a call of its own made goes with the last connection that uses it",
        NothingCanBeTraced breaks EveryWriteEnds: "nobody finds out what became of a write",
    }
    Store {
        StoreForgets breaks Resumable: "the store comes back empty",
        StoreLosesTheNewest breaks Resumable: "the store loses what it kept last",
        StoreLosesTheOldest breaks Resumable: "the store lost all changes but the last, and does not know",
        StoreReusesNumbers breaks MonotoneAndUnique: "the store gives numbers out a second time",
        StoreResurrects breaks SnapshotFirst: "the store brings back what each connection was at first",
        LedgerIsForgotten breaks NothingIsLeft: "what writes were about to do ends with the process",
        LedgerIsKeptLate breaks NothingIsLeft: "a step is kept after its request went out",
        AnswersAreForgotten breaks OnceOnly: "request ids end with the process",
        AnswersAreKeptLate breaks OnceOnly: "the record of a write goes before its answer is kept",
    }
    Network {
        RequestsAreRepeated breaks Isolation: "every poll is sent four times",
        PostsAreRepeated breaks NothingIsLeft: "a POST whose answer is lost is sent again",
    }
}
