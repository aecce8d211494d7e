//! The answers of writes. A repeat of a request gets the same answer.

use crate::{
    core::dialect::{Step, Warning, WrittenResource},
    model::{Connection, ConnectionName, Resource},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// An accepted write of a connection, or the plan of one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Accepted {
    /// The connection's name; `None` if nothing was sent (`validate_only`, or a delete of a connection that does not
    /// exist).
    #[serde(with = "as_text")]
    pub name: Option<ConnectionName>,
    /// The connection as the cloud returned it; `None` after a delete and if nothing was sent.
    pub connection: Option<Connection>,
    /// The token of the write; empty if nothing was written.
    pub write_token: String,
    /// What the cloud does only approximately, and what is still being removed.
    pub warnings: Vec<Warning>,
    /// What became of the connection; meaningless after a delete.
    #[serde(default)]
    pub outcome: Outcome,
    /// The steps that the write would take; empty unless it was only validated.
    #[serde(skip)]
    pub plan: Vec<Step>,
}

/// What a write did to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Outcome {
    /// It did not exist.
    Created,
    /// The connection or one of its parts differed.
    Changed,
    /// Nothing differed.
    #[default]
    Unchanged,
}

/// An accepted write of a resource other than a connection, or the plan of one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct AcceptedResource {
    /// The resource as the cloud returned it; `None` after a delete and if nothing was sent.
    pub resource: Option<Resource>,
    /// The cloud's request ids of the write.
    pub request_ids: Vec<String>,
    /// What the cloud does only approximately.
    pub warnings: Vec<Warning>,
    /// The token of the write; empty if there was none or if its realization cannot be followed.
    pub write_token: String,
    /// The steps that the write would take; empty unless it was only validated.
    #[serde(skip)]
    pub plan: Vec<Step>,
}

impl From<WrittenResource> for AcceptedResource {
    fn from(written: WrittenResource) -> AcceptedResource {
        AcceptedResource {
            resource: written.resource,
            request_ids: written.request_ids,
            warnings: written.warnings,
            ..AcceptedResource::default()
        }
    }
}

/// The answer of any write. It is stored under its request id, without the plan.
pub trait Answer: Default + Serialize + DeserializeOwned + Send + 'static {
    /// Returns the answer of a write that was only validated.
    fn planned(steps: Vec<Step>) -> Self;

    fn warnings(&mut self) -> &mut Vec<Warning>;
}

impl Answer for Accepted {
    fn planned(plan: Vec<Step>) -> Accepted {
        Accepted {
            plan,
            ..Accepted::default()
        }
    }

    fn warnings(&mut self) -> &mut Vec<Warning> {
        &mut self.warnings
    }
}

impl Answer for AcceptedResource {
    fn planned(plan: Vec<Step>) -> AcceptedResource {
        AcceptedResource {
            plan,
            ..AcceptedResource::default()
        }
    }

    fn warnings(&mut self) -> &mut Vec<Warning> {
        &mut self.warnings
    }
}

/// Serializes a name as text.
mod as_text {
    use crate::model::{ConnectionName, name::Collection};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub fn serialize<S: Serializer>(
        name: &Option<ConnectionName>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = name.as_ref().map(ToString::to_string);
        text.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<ConnectionName>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let name = text.map(|text| ConnectionName::parse(Collection::Connections, &text));
        name.transpose().map_err(D::Error::custom)
    }
}
