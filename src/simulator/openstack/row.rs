//! One row of a table.

use std::fmt;

use serde_json::{Map, Value};

use crate::simulator::openstack::clock::Stamp;
use crate::simulator::openstack::memo::Memo;
use crate::simulator::openstack::reply::Refusal;

/// One row of a table.
#[derive(Clone)]
pub(crate) struct Row {
    /// What stock Neutron would show, in its order.
    pub(crate) fields: Map<String, Value>,
    pub(crate) created: Stamp,
    /// Left out of every LIST, though GET still finds it.
    pub(crate) unlisted: bool,
    /// What the agent knows and is about to say of it.
    pub(crate) agent: Memo,
}

impl fmt::Debug for Row {
    /// Leaves out all but what names it, since connections hold a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, status) = (self.text("id"), self.text("status"));
        f.debug_struct("Row")
            .field("id", &id)
            .field("status", &status)
            .finish_non_exhaustive()
    }
}

impl Row {
    pub(crate) fn new(fields: Map<String, Value>) -> Self {
        Self {
            fields,
            created: Stamp::now(),
            unlisted: false,
            agent: Memo::default(),
        }
    }

    /// A text attribute; empty if it is absent or no text.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.fields
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.insert(name.to_owned(), value.into());
    }

    pub(crate) fn enabled(&self) -> bool {
        self.fields.get("admin_state_up") != Some(&Value::Bool(false))
    }

    /// Whether the row waits for an agent; such a row cannot be updated.
    pub(crate) fn pending(&self) -> bool {
        matches!(
            self.text("status"),
            "PENDING_CREATE" | "PENDING_UPDATE" | "PENDING_DELETE"
        )
    }

    /// The 500 of characters outside the basic plane, which MariaDB's three-byte character set cannot hold.
    pub(crate) fn fits_charset(&self) -> Result<(), Refusal> {
        let wide = |value: &Value| {
            value
                .as_str()
                .is_some_and(|text| text.chars().any(|c| c.len_utf8() == 4))
        };
        if self.fields.values().any(wide) {
            Err(Refusal::internal())
        } else {
            Ok(())
        }
    }

    /// The 400 of a PUT that came too early.
    pub(crate) fn updatable(&self) -> Result<(), Refusal> {
        if !self.pending() {
            return Ok(());
        }
        let (status, id) = (self.text("status"), self.text("id"));
        let message = format!("Invalid state {status} of vpnaas resource {id} for updating");
        Err(Refusal::new(400, "VPNStateInvalidToUpdate", message))
    }
}
