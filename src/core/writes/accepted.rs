//! What a write answers, and a repeat of it.

use crate::{
    core::dialect::{Step, Warning, WrittenResource},
    model::{Connection, ConnectionName, Resource},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A write of a connection that was accepted, or would be.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Accepted {
    /// The connection; `None` if nothing was sent (`validate_only`, or a delete of what is not there).
    #[serde(with = "as_text")]
    pub name: Option<ConnectionName>,
    /// As the cloud answered it; `None` after a delete and if nothing was sent.
    pub connection: Option<Connection>,
    /// Names the write; empty if there was none.
    pub write_token: String,
    /// What the cloud does only approximately, and what is still being removed.
    pub warnings: Vec<Warning>,
    /// What became of the connection, unless it was removed.
    #[serde(default)]
    pub outcome: Outcome,
    /// What would be done, if it was only tried.
    #[serde(skip)]
    pub plan: Vec<Step>,
}

/// What became of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Outcome {
    /// It was not there.
    Created,
    /// It, or a part of it, was different.
    Changed,
    /// It was so already.
    #[default]
    Unchanged,
}

/// A write of a resource that was accepted, or would be.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct AcceptedResource {
    /// As the cloud answered it; `None` after a delete and if nothing was sent.
    pub resource: Option<Resource>,
    /// The cloud's ids of the write.
    pub request_ids: Vec<String>,
    /// What the cloud does only approximately.
    pub warnings: Vec<Warning>,
    /// Names the write; empty if there was none, or nothing tells of it.
    pub write_token: String,
    /// What would be done, if it was only tried.
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

/// What any write answers. Kept under its request id as it is, but for the plan.
pub trait Answer: Default + Serialize + DeserializeOwned + Send + 'static {
    /// The answer of a write that was only tried.
    fn planned(steps: Vec<Step>) -> Self;

    /// What its caller is to know beside it.
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

/// A name as its text.
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
