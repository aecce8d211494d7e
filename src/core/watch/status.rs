//! What is said of a connection, and the rules that are the same for every cloud. Pure.

use crate::model::{Assurance, Intent, Nodes, RealizationState as State, Reason, Tunnel, codes};
use serde::{Deserialize, Serialize};

/// What is said of a connection: the part of an observation that is derived from polls and writes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ConnectionStatus {
    /// The normalized status.
    pub state: State,
    /// How sure it is.
    pub assurance: Assurance,
    /// Why.
    pub reason: Option<Reason>,
    /// What the cloud literally said.
    pub native_state: String,
    /// What the state is judged against.
    pub intent: Intent,
    /// The nodes.
    #[serde(flatten)]
    pub nodes: Nodes,
    /// The tunnel.
    pub tunnel: Option<Tunnel>,
    /// The upstream write requests it speaks for.
    pub request_ids: Vec<String>,
    /// The number of the last write through this gateway that it knows of; it was done before the poll began.
    pub writes: u64,
    /// Bad news that two polls, long enough apart, agreed on.
    pub confirmed: bool,
    /// What it rests on where proof is not to be had.
    pub assumption: Option<Assumption>,
    /// The login has been refused for longer than `auth_window`.
    pub login_lost: bool,
}

/// What is said without proof that it speaks for the last write: nobody can tell, and nothing that would be proof
/// is on its way any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assumption {
    /// Why there is no proof: ASSUMED_AFTER_QUIET_TIME or NO_REQUEST_ID.
    pub reason: Reason,
    /// How sure the cloud's word is of the connection as it is, whichever write made it so.
    pub as_is: Assurance,
    /// Nothing was there before the write in question, so that the cloud can speak of nothing else.
    pub made: bool,
}

impl ConnectionStatus {
    /// How sure this is for whoever waits for a goal.
    ///
    /// Neutron has no word between "the agent has it" and "the tunnel is up": DOWN is the agent's report that
    /// the connection is installed. A cloud that tells IKE's reason beside DOWN (NSX) also tells IN_EFFECT by
    /// itself, so there the assurance decides.
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

    /// Whether somebody who was told this would learn nothing from the other: they differ at most in the
    /// time at which the cloud looked at its tunnel, and in which proven writes were asked about.
    pub fn says_the_same(&self, other: &ConnectionStatus) -> bool {
        let plain = |status: &ConnectionStatus| ConnectionStatus {
            request_ids: Vec::new(),
            tunnel: status.tunnel.clone().map(|tunnel| Tunnel {
                update_time: None,
                ..tunnel
            }),
            ..status.clone()
        };
        plain(self) == plain(other)
    }

    /// At most how many bytes it takes to tell, about: all of its texts, and some for the rest.
    pub fn weight(&self) -> usize {
        // With how many nodes are in which state.
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

/// How far the proof of the last write is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofState {
    /// It speaks for that write.
    Proven,
    /// It is taken to, for this reason; whether the write in question made the connection.
    Assumed(&'static str, bool),
    /// It may be of before, for this reason.
    Awaiting(&'static str),
}

/// Whether a state is the end of something, so that it could also be the end of what was before.
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

/// What is switched off on purpose is DISABLED, what we delete is DELETING until proven gone.
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
            // Still up although it is to be off: the change has not taken effect.
            State::Active | State::Degraded => status.state = State::InProgress,
            _ => {}
        },
        Intent::Deleted => match status.state {
            State::Deleted | State::Failed => {}
            _ => {
                if status.state == State::Down {
                    // Whoever removes a connection needs no advice on how its tunnel comes up.
                    status.reason = None;
                }
                status.state = State::Deleting;
                status.assurance = status.assurance.min(Assurance::IntentStored);
            }
        },
        Intent::Unknown | Intent::Enabled => {}
    }
}

/// What the cloud says is no more than the proof that it speaks for the last write.
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
            // What is switched off, or failed, is so for the reason it has. Elsewhere this is the better one, and
            // the other is beside it.
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
