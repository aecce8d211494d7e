//! Translates what NSX reports to one normalized status. Pure.
//!
//! NSX has two axes, which stay separate until the first is settled: `/state` tells whether the configuration has
//! reached the nodes, `/status` whether packets have a security association.

mod words;

use crate::{
    dialects::nsx::manager::{
        status::words::{WordMeaning, rank, word},
        wire::{NodeState, State, Status},
    },
    model::{Assurance, Node, RealizationState, Reason, Sighting, Tunnel, TunnelStatus, codes},
    rest::redact::tidy,
};
use std::time::{Duration, SystemTime};

/// The `error_code` of a session whose VPN service is disabled.
pub const SERVICE_DISABLED: &str = "110199";

/// The longest message kept from a node or a reason, in bytes.
const MESSAGE: usize = 512;
/// The longest word kept as `native_state`, in bytes. The longest documented one has 109.
const WORD: usize = 160;

/// Translates one `/state`: the whole, its nodes, and whether they agree.
///
/// If they do not agree, the worse of the two counts, with reason INCONSISTENT. A whole that did not get everywhere
/// (`partial_success`) agrees with failed nodes. A whole in progress agrees with nodes that are pending, in progress or
/// done. Message texts are not interpreted.
pub fn of_state(said: &State) -> Sighting {
    let whole = word(said.state.as_deref());
    let worst = said
        .nodes
        .iter()
        .map(|node| (word(node.state.as_deref()), node))
        .min_by_key(|(meaning, _)| meaning.rank());
    let (meaning, reason) = match worst {
        Some((of_node, node)) if !whole.agrees_with(&of_node) => {
            let (worse, message) = disagreement(said, whole, of_node, node);
            (worse, Some(Reason::new(codes::INCONSISTENT, message)))
        }
        _ => {
            let reason = match whole.reason.clone() {
                Some(code) => Some(Reason::new(code, explain_whole(said, &whole))),
                None => under_way(said, &whole),
            };
            (whole, reason)
        }
    };
    Sighting {
        unrecognized: unrecognized(said),
        state: meaning.state,
        assurance: meaning.assurance,
        reason,
        native_state: native(said.state.as_deref()),
        nodes: said.nodes.iter().map(node).collect(),
        says_failed: says_failed(said.state.as_deref())
            || said
                .nodes
                .iter()
                .any(|node| says_failed(node.state.as_deref())),
        ..Sighting::default()
    }
}

/// Returns the fields with words that no table has.
fn unrecognized(said: &State) -> Vec<&'static str> {
    let is_unknown = |said: Option<&str>| word(said).is_unrecognized();
    let mut nodes = said.nodes.iter();
    let fields = [
        ("state", is_unknown(said.state.as_deref())),
        (
            "details.state",
            nodes.any(|node| is_unknown(node.state.as_deref())),
        ),
    ];
    let unknown = fields.into_iter().filter(|(_, is_unknown)| *is_unknown);
    unknown.map(|(field, _)| field).collect()
}

/// Returns the worse of a whole and a node that disagree, and a sentence that says so and explains the worse.
fn disagreement(
    said: &State,
    whole: WordMeaning,
    of_node: WordMeaning,
    node: &NodeState,
) -> (WordMeaning, String) {
    let message = format!(
        "the cloud says `{}` of the whole and `{}` of node `{}`",
        native(said.state.as_deref()),
        native(node.state.as_deref()),
        tidy(&node.id, WORD),
    );
    let (worse, explained) = if of_node.rank() < whole.rank() {
        let explained = explain(&node.failure_message, node.failure_code.as_deref());
        (of_node, explained)
    } else {
        let explained = explain_whole(said, &whole);
        (whole, explained)
    };
    match explained.as_str() {
        "" => (worse, message),
        explained => (worse, format!("{message}: {explained}")),
    }
}

/// Combines the polls of several request ids of one connection: returns the worst of them.
///
/// A connection is realized only when each of its writes is.
pub fn worst(polls: Vec<Sighting>) -> Option<Sighting> {
    polls
        .into_iter()
        .min_by_key(|poll| rank(poll.state, poll.assurance))
}

/// Translates what `/status` says about the tunnel.
pub fn tunnel(said: &Status, realtime: bool) -> Tunnel {
    Tunnel {
        status: tunnel_status(said),
        native_status: native(said.session.as_deref().or(said.ike.as_deref())),
        fail_reason: tidy(&said.fail_reason, MESSAGE),
        total: said.total,
        negotiated: said.negotiated,
        failed: said.failed,
        update_time: said.updated.and_then(|milliseconds| {
            let since = Duration::from_millis(u64::try_from(milliseconds).ok()?);
            SystemTime::UNIX_EPOCH.checked_add(since)
        }),
        realtime,
    }
}

/// Adds the tunnel to a sighting. The tunnel decides the state once the configuration is proven to be in place. Until
/// then it is evidence only, because a tunnel may still run on the previous configuration.
pub fn with_tunnel(mut sighting: Sighting, tunnel: Tunnel) -> Sighting {
    let decides = sighting.state == RealizationState::Realized;
    match tunnel.status {
        TunnelStatus::Up if decides => {
            sighting.state = RealizationState::Active;
            // NSX may stay at `in_sync` forever. A connection that carries packets is in effect.
            sighting.assurance = Assurance::TunnelUp;
        }
        TunnelStatus::Degraded if decides => sighting.state = RealizationState::Degraded,
        TunnelStatus::Down | TunnelStatus::Negotiating if decides => {
            let code = match tunnel.status {
                TunnelStatus::Negotiating => codes::IKE_NEGOTIATING,
                _ => codes::IKE_DOWN,
            };
            sighting.state = RealizationState::Down;
            sighting.reason = Some(Reason::new(code, tunnel.fail_reason.clone()));
        }
        // An absent status means unknown. A bare `UP` is that of IKE, not of the session.
        TunnelStatus::Unknown if !matches!(&*tunnel.native_status, "" | "UP") => {
            sighting.unrecognized.push("session_status");
        }
        _ => {}
    }
    sighting.tunnel = Some(tunnel);
    sighting
}

/// The sighting of a session whose service is disabled: NSX reports nothing about the session (400 / 110199).
pub fn service_disabled(message: &str) -> Sighting {
    Sighting {
        state: RealizationState::Disabled,
        assurance: Assurance::IntentStored,
        reason: Some(Reason::new(
            codes::VPN_SERVICE_DISABLED,
            tidy(message, MESSAGE),
        )),
        native_state: SERVICE_DISABLED.to_owned(),
        ..Sighting::default()
    }
}

/// The sighting of a session that exists although NSX says in `words` that it has no state for it.
pub fn state_not_found(words: &str) -> Sighting {
    Sighting {
        state: RealizationState::Unknown,
        assurance: Assurance::IntentStored,
        reason: Some(Reason::new(
            codes::STATE_NOT_FOUND,
            "the session is there, and the cloud knows no state of it",
        )),
        native_state: tidy(words, WORD),
        ..Sighting::default()
    }
}

/// The sighting of a session that is gone along with its state; `words` are NSX's own.
pub fn gone(words: &str) -> Sighting {
    Sighting {
        state: RealizationState::Deleted,
        assurance: Assurance::ControlPlane,
        native_state: tidy(words, WORD),
        ..Sighting::default()
    }
}

/// Adjusts the sighting of a connection that is being removed: whatever it still reports, it is not gone yet.
///
/// `failed` and `error`, of the whole or of a node, stay failures. Anything else that would be a failure of a
/// connection meant to stay (orphaned, a disabled service) only shows that the removal is progressing.
pub fn while_deleting(mut sighting: Sighting) -> Sighting {
    let failed = sighting.state == RealizationState::Failed && sighting.says_failed;
    if !failed && sighting.state != RealizationState::Deleted {
        sighting.state = RealizationState::Deleting;
        sighting.assurance = Assurance::IntentStored;
    }
    sighting
}

fn says_failed(said: Option<&str>) -> bool {
    let said = said.unwrap_or_default().trim();
    said.eq_ignore_ascii_case("failed") || said.eq_ignore_ascii_case("error")
}

fn node(said: &NodeState) -> Node {
    Node {
        id: tidy(&said.id, WORD),
        kind: tidy(&said.kind, WORD),
        display_name: tidy(&said.name, MESSAGE),
        state: word(said.state.as_deref()).state,
        native_state: native(said.state.as_deref()),
        message: explain(&said.failure_message, said.failure_code.as_deref()),
    }
}

fn tunnel_status(said: &Status) -> TunnelStatus {
    let is = |text: &Option<String>, word: &str| {
        text.as_deref()
            .is_some_and(|text| text.trim().eq_ignore_ascii_case(word))
    };
    let negotiating = is(&said.ike, "NEGOTIATING");
    let down = is(&said.session, "DOWN");
    if is(&said.session, "DEGRADED") {
        TunnelStatus::Degraded
    } else if negotiating {
        // Also next to an `UP`, which by definition needs an established IKE session.
        TunnelStatus::Negotiating
    } else if down || is(&said.ike, "DOWN") {
        TunnelStatus::Down
    } else if is(&said.session, "UP") {
        TunnelStatus::Up
    } else {
        TunnelStatus::Unknown
    }
}

fn native(said: Option<&str>) -> String {
    tidy(said.unwrap_or_default(), WORD)
}

/// Returns the message of the whole or, if it has none, that of the first node that is at least as bad.
fn explain_whole(said: &State, whole: &WordMeaning) -> String {
    let own = explain(&said.failure_message, said.failure_code.as_deref());
    if !own.is_empty() {
        return own;
    }
    said.nodes
        .iter()
        .filter(|node| {
            let of_node = word(node.state.as_deref());
            of_node.rank() <= whole.rank()
        })
        .map(|node| explain(&node.failure_message, node.failure_code.as_deref()))
        .find(|message| !message.is_empty())
        .unwrap_or_default()
}

/// Returns what NSX says about a whole that is pending or in progress. It is shown, and does not indicate a failure.
fn under_way(said: &State, whole: &WordMeaning) -> Option<Reason> {
    let under_way = matches!(
        whole.state,
        RealizationState::Pending | RealizationState::InProgress
    );
    let words = explain(&said.failure_message, said.failure_code.as_deref());
    (under_way && !words.is_empty()).then(|| Reason::new(codes::UPSTREAM_IN_PROGRESS, words))
}

fn explain(message: &str, code: Option<&str>) -> String {
    let message = tidy(message, MESSAGE);
    match code {
        Some(code) if message.is_empty() => format!("code {}", tidy(code, WORD)),
        Some(code) => format!("{message} (code {})", tidy(code, WORD)),
        None => message,
    }
}

#[cfg(test)]
mod tests;
