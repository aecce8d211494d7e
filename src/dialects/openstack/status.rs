//! What Neutron says of a connection, as the one normalized status. Pure.
//!
//! One word answers two questions: whether the agent has the configuration, and whether its tunnel is up.
//! Whether the word still speaks of the configuration before an update is for the core to judge: Neutron
//! does not touch it on PUT.

#[cfg(test)]
mod tests;

use crate::{
    model::{Assurance, RealizationState, Reason, Sighting, codes},
    rest::redact::tidy,
};

/// The longest word kept, in bytes. The column has 16.
const WORD: usize = 160;

/// A connection with this `status` and this `admin_state_up`.
pub fn sighting(status: Option<&str>, admin_enabled: Option<bool>) -> Sighting {
    use RealizationState as State;
    let stored = Assurance::IntentStored;
    let (state, assurance, code) = match normalized(status).as_str() {
        // Only security associations make it so.
        "ACTIVE" => (State::Active, Assurance::TunnelUp, None),
        // The agent has installed it; there is no security association.
        "DOWN" => (
            State::Down,
            Assurance::ControlPlane,
            Some(codes::TUNNEL_DOWN),
        ),
        // The agent is never told of a connection made like this, so this is where it stays.
        "PENDING_CREATE" if admin_enabled == Some(false) => {
            (State::Disabled, stored, Some(codes::ADMIN_DISABLED))
        }
        "BUILD" | "PENDING_CREATE" => (State::Pending, stored, None),
        "PENDING_UPDATE" => (State::InProgress, stored, None),
        "PENDING_DELETE" => (State::Deleting, stored, None),
        "ERROR" => (State::Failed, stored, Some(codes::UPSTREAM_ERROR)),
        // Open Telekom Cloud: the provider has stopped it.
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

/// A connection that is proven gone, and what the cloud said instead.
///
/// The row goes before any agent acts, so that it is gone says only that nobody wants it any more.
pub fn gone(said: &str) -> Sighting {
    Sighting {
        state: RealizationState::Deleted,
        assurance: Assurance::IntentStored,
        native_state: tidy(said, WORD),
        ..Sighting::default()
    }
}

/// The word as it is shown and compared between polls: as the cloud gave it.
pub fn native(status: Option<&str>) -> String {
    tidy(status.unwrap_or_default(), WORD)
}

/// The word, fit to be shown, if it is a state in which these clouds take no update.
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
