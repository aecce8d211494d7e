//! A row of a table.

use std::fmt;

use serde_json::{Map, Value};

use crate::simulator::openstack::clock::Stamp;
use crate::simulator::openstack::memo::Memo;
use crate::simulator::openstack::reply::Refusal;

#[derive(Clone)]
pub(crate) struct Row {
    /// The attributes as stock Neutron shows them, in its order.
    pub(crate) fields: Map<String, Value>,
    pub(crate) created: Stamp,
    /// Hidden from every LIST, while GET still finds it.
    pub(crate) unlisted: bool,
    /// What the agent knows about the row, and what it will report.
    pub(crate) agent: Memo,
}

impl fmt::Debug for Row {
    /// Prints only id and status, since connections hold a key.
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

    /// A string attribute. Empty if it is absent or not a string.
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

    /// Whether the row waits for an agent. Such a row cannot be updated.
    pub(crate) fn pending(&self) -> bool {
        matches!(
            self.text("status"),
            "PENDING_CREATE" | "PENDING_UPDATE" | "PENDING_DELETE"
        )
    }

    /// The 500 for characters outside the basic plane, which MariaDB's three-byte character set cannot hold.
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

    /// The 400 for a PUT while the row is PENDING.
    pub(crate) fn updatable(&self) -> Result<(), Refusal> {
        if !self.pending() {
            return Ok(());
        }
        let (status, id) = (self.text("status"), self.text("id"));
        let message = format!("Invalid state {status} of vpnaas resource {id} for updating");
        Err(Refusal::new(400, "VPNStateInvalidToUpdate", message))
    }
}
