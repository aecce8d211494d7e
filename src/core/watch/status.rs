//! The status of a connection, and the rules that are the same for every cloud. Pure.

use crate::model::{Assurance, Intent, Nodes, RealizationState as State, Reason, Tunnel, codes};
use serde::{Deserialize, Serialize};

/// The status of a connection: the part of an observation that is derived from polls and writes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ConnectionStatus {
    pub state: State,
    pub assurance: Assurance,
    pub reason: Option<Reason>,
    /// The cloud's own word for the state.
    pub native_state: String,
    pub intent: Intent,
    #[serde(flatten)]
    pub nodes: Nodes,
    pub tunnel: Option<Tunnel>,
    /// The upstream write requests that the status speaks for.
    pub request_ids: Vec<String>,
    /// The number of the last write through this gateway that the status covers; the write was done before the poll
    /// began.
    pub writes: u64,
    /// Whether two polls, long enough apart, agreed on this bad news.
    pub confirmed: bool,
    /// What the status rests on where proof cannot be had.
    pub assumption: Option<Assumption>,
    /// Whether the login has been refused for longer than `auth_window`.
    pub login_lost: bool,
}

/// The assumption that a status speaks for the last write. It stands in where the cloud cannot tell and no proof can
/// still come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assumption {
    /// Why there is no proof: ASSUMED_AFTER_QUIET_TIME or NO_REQUEST_ID.
    pub reason: Reason,
    /// The assurance of the cloud's word about the connection as it is, whichever write led to it.
    pub as_is: Assurance,
    /// Whether the write created the connection, so that the cloud can speak of nothing older.
    pub made: bool,
}

impl ConnectionStatus {
    /// Returns the assurance that the status gives a watch for its goal.
    ///
    /// Neutron has no word between "the agent has it" and "the tunnel is up": DOWN is the agent's report that the
    /// connection is installed. A cloud that gives IKE's reason with DOWN (NSX) reports IN_EFFECT itself, so there the
    /// assurance decides.
    pub fn carries(&self) -> Assurance {
        let ike = |code: &str| code == codes::IKE_DOWN || code == codes::IKE_NEGOTIATING;
        let installed = self.state == State::Down
            && self.assurance == Assurance::ControlPlane
            && !self.reason.as_ref().is_some_and(|reason| ike(&reason.code));
        match installed {
            true => Assurance::InEffect,
            false => self.assurance,
        }
    }

    /// Reports whether `other` would tell a client nothing new: the two differ at most in the update time of the tunnel
    /// and in `request_ids`.
    pub fn says_the_same(&self, other: &ConnectionStatus) -> bool {
        // By reference, but for the tunnel: this runs for every poll, and most find the same. A new field has to be named
        // here to compile.
        fn said(status: &ConnectionStatus) -> impl PartialEq {
            let ConnectionStatus {
                state,
                assurance,
                reason,
                native_state,
                intent,
                nodes,
                tunnel,
                request_ids: _,
                writes,
                confirmed,
                assumption,
                login_lost,
            } = status;
            let tunnel = tunnel.clone().map(|tunnel| Tunnel {
                update_time: None,
                ..tunnel
            });
            let word = (state, assurance, reason, native_state, intent);
            (
                word, nodes, tunnel, writes, confirmed, assumption, login_lost,
            )
        }
        said(self) == said(other)
    }

    /// Estimates an upper bound of the encoded size in bytes: the length of all texts, plus an allowance for the rest.
    pub fn weight(&self) -> usize {
        // Includes the counts of nodes by state.
        const REST: usize = 256;
        const NODE: usize = 32;
        let reason = self
            .reason
            .iter()
            .chain(self.assumption.iter().map(|it| &it.reason))
            .map(|it| it.code.len() + it.message.len());
        let nodes = self.nodes.iter().map(|it| {
            let texts = [
                &it.id,
                &it.kind,
                &it.display_name,
                &it.native_state,
                &it.message,
            ];
            NODE + texts.map(String::len).iter().sum::<usize>()
        });
        let tunnel = self.tunnel.iter();
        let tunnel = tunnel.map(|it| it.native_status.len() + it.fail_reason.len());
        let request_ids = self.request_ids.iter().map(|id| id.len() + 2);
        let texts = reason.chain(nodes).chain(tunnel).chain(request_ids);
        REST + self.native_state.len() + texts.sum::<usize>()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofState {
    /// The status speaks for the last write.
    Proven,
    /// The status is taken to speak for the write, for the reason with this code; true if the write created the
    /// connection.
    Assumed(&'static str, bool),
    /// The status may predate the write, for the reason with this code.
    Awaiting(&'static str),
}

/// Reports whether a state is final, so that it may also be the final state of what was before.
pub fn is_settled(state: State) -> bool {
    matches!(
        state,
        State::Realized
            | State::Active
            | State::Degraded
            | State::Down
            | State::Failed
            | State::Partial
    )
}

/// Applies the intent: a connection that is switched off on purpose is DISABLED, and one that the gateway deletes is
/// DELETING until it is proven gone.
pub fn overlay_intent(status: &mut ConnectionStatus) {
    match status.intent {
        Intent::Disabled => match status.state {
            State::Realized | State::Down => {
                status.state = State::Disabled;
                status.reason = Some(Reason::new(
                    codes::ADMIN_DISABLED,
                    "the connection is switched off on purpose",
                ));
            }
            // The tunnel is still up: the change has not taken effect.
            State::Active | State::Degraded => status.state = State::InProgress,
            _ => {}
        },
        Intent::Deleted => match status.state {
            State::Deleted | State::Failed => {}
            _ => {
                if status.state == State::Down {
                    // Advice on how the tunnel comes up is of no use for a connection that is being removed.
                    status.reason = None;
                }
                status.state = State::Deleting;
                status.assurance = status.assurance.min(Assurance::IntentStored);
            }
        },
        Intent::Unknown | Intent::Enabled => {}
    }
}

/// Limits the status to what the proof for the last write supports.
pub fn overlay_proof(status: &mut ConnectionStatus, proof: ProofState) {
    let switched_off = status.state == State::Disabled && status.intent == Intent::Disabled;
    if !(is_settled(status.state) || switched_off) || status.intent == Intent::Deleted {
        return;
    }
    match proof {
        ProofState::Proven => {}
        ProofState::Assumed(code, made) => {
            let as_is = status.carries();
            status.assurance = Assurance::IntentStored;
            let mut sentence =
                "the cloud cannot tell which write its status speaks for; it has been quiet long \
                                enough"
                    .to_owned();
            let reason = Reason::new(code, sentence.clone());
            // FAILED and DISABLED keep their own reason. Elsewhere the assumption is the better reason, and its message
            // includes the other.
            if !matches!(status.state, State::Failed | State::Disabled) {
                if let Some(known) = status.reason.take().filter(|it| !it.message.is_empty()) {
                    sentence = format!("{sentence}. {}: {}", known.code, known.message);
                }
                status.reason = Some(Reason::new(code, sentence));
            }
            status.assumption = Some(Assumption {
                reason,
                as_is,
                made,
            });
        }
        ProofState::Awaiting(code) => {
            status.state = State::Accepted;
            status.assurance = Assurance::IntentStored;
            status.reason = Some(Reason::new(
                code,
                "what the cloud says may still describe the configuration before the write",
            ));
        }
    }
}
