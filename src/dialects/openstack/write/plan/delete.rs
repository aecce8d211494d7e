//! Removes a connection. The core removes its parts.

use crate::{
    core::{
        dialect::{Action, Call, Done, Made, Plan, Proof, Step, Written},
        error::Result,
        etag,
    },
    dialects::openstack::{
        client::Client, read, translate, wire::kind::CONNECTIONS, write::sent::remove,
    },
    model::Connection,
};
use async_trait::async_trait;

/// Plans to remove a connection.
///
/// # Errors
/// `NotFound`, `Stale`.
pub async fn delete<'a>(
    client: &'a Client,
    id: &'a str,
    etag: Option<String>,
    call: &Call,
) -> Result<Box<dyn Plan<Written> + 'a>> {
    let row = read::present(client, &CONNECTIONS, id, call).await?;
    let there = translate::connection(row, client.variant());
    etag::check(etag.as_deref(), &there.etag)?;
    let step = Step::new(Action::Delete, CONNECTIONS.collection, Some(id.to_owned()));
    Ok(Box::new(Delete {
        client,
        id,
        there,
        steps: [step],
    }))
}

struct Delete<'a> {
    client: &'a Client,
    id: &'a str,
    there: Connection,
    steps: [Step; 1],
}

#[async_trait]
impl Plan<Written> for Delete<'_> {
    fn steps(&self) -> &[Step] {
        &self.steps
    }

    fn there(&self) -> Option<&Connection> {
        Some(&self.there)
    }

    async fn perform(&mut self, _index: usize, _made: &Made, call: &Call) -> Result<Done> {
        remove(self.client, &CONNECTIONS, self.id, call).await?;
        Ok(Done {
            id: self.id.to_owned(),
            request_id: None,
        })
    }

    fn written(self: Box<Self>) -> Written {
        Written {
            id: self.id.to_owned(),
            connection: None,
            proof: Proof::AnyStatus,
            warnings: Vec::new(),
        }
    }
}
