//! Translates Neutron's status of a connection into the one normalized status. Pure.
//!
//! One word answers two questions: whether the agent has the configuration, and whether its tunnel is up. A PUT does
//! not change the word, so it may still describe the configuration before an update. The core judges that.

#[cfg(test)]
mod tests;

use crate::{
    model::{Assurance, RealizationState, Reason, Sighting, codes},
    rest::redact::tidy,
};

/// The longest status that is kept, in bytes. The database column holds 16 characters.
const WORD: usize = 160;

/// Translates a `status` and `admin_state_up`.
pub fn sighting(status: Option<&str>, admin_enabled: Option<bool>) -> Sighting {
    use RealizationState as State;
    let stored = Assurance::IntentStored;
    let (state, assurance, code) = match normalized(status).as_str() {
        // The agent reports this only with security associations.
        "ACTIVE" => (State::Active, Assurance::TunnelUp, None),
        // The agent has installed the connection; no security association is up.
        "DOWN" => (
            State::Down,
            Assurance::ControlPlane,
            Some(codes::TUNNEL_DOWN),
        ),
        // The agent never learns of a connection created disabled, so it stays in this state.
        "PENDING_CREATE" if admin_enabled == Some(false) => {
            (State::Disabled, stored, Some(codes::ADMIN_DISABLED))
        }
        "BUILD" | "PENDING_CREATE" => (State::Pending, stored, None),
        "PENDING_UPDATE" => (State::InProgress, stored, None),
        "PENDING_DELETE" => (State::Deleting, stored, None),
        "ERROR" => (State::Failed, stored, Some(codes::UPSTREAM_ERROR)),
        // Open Telekom Cloud: the provider has stopped the connection.
        "FROZEN" => (State::Disabled, stored, Some(codes::FROZEN)),
        _ => (State::Unknown, stored, Some(codes::UNRECOGNIZED_VALUE)),
    };
    let native_state = native(status);
    Sighting {
        state,
        assurance,
        reason: code.map(|code| Reason::new(code, sentence(code, &native_state))),
        unrecognized: match code {
            Some(codes::UNRECOGNIZED_VALUE) => vec!["status"],
            _ => Vec::new(),
        },
        native_state,
        admin_enabled,
        ..Sighting::default()
    }
}

/// The sighting of a connection that is proven gone, with what the cloud said.
///
/// Neutron deletes the row before any agent acts, so its absence proves only that the intent is gone.
pub fn gone(said: &str) -> Sighting {
    Sighting {
        state: RealizationState::Deleted,
        assurance: Assurance::IntentStored,
        native_state: tidy(said, WORD),
        ..Sighting::default()
    }
}

/// Returns the status as the cloud gave it, tidied for display. Polls compare it.
pub fn native(status: Option<&str>) -> String {
    tidy(status.unwrap_or_default(), WORD)
}

/// Returns the status, tidied for display, if it is one in which these clouds take no update.
pub fn pending(status: Option<&str>) -> Option<String> {
    let is_pending = normalized(status).starts_with("PENDING_");
    is_pending.then(|| native(status))
}

/// In capitals, with blanks and hyphens as underscores.
fn normalized(status: Option<&str>) -> String {
    let word = status.unwrap_or_default().trim().to_ascii_uppercase();
    word.replace([' ', '-'], "_")
}

fn sentence(code: &str, native: &str) -> String {
    match code {
        codes::ADMIN_DISABLED => {
            "made switched off, so that no agent is told of it; it can only be deleted".to_owned()
        }
        codes::TUNNEL_DOWN => {
            "the cloud has the connection in place and no tunnel of it is up; it does not say why"
                .to_owned()
        }
        codes::FROZEN => "the provider has frozen the connection".to_owned(),
        codes::UPSTREAM_ERROR => {
            "the cloud says that the connection failed, and not why".to_owned()
        }
        _ if native.is_empty() => "the cloud gives no status".to_owned(),
        _ => format!("`{native}` is no status that is documented"),
    }
}
