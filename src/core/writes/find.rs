//! Finds the connection that a description means: by its name, or the one that the gateway made with its display name.

use crate::{
    core::{
        dialect::{Call, Pages},
        error::{Error, ErrorKind, ErrorReason, Result},
        filter::{Filter, Restriction, Wanted},
        ledger::turns::under_way,
        writes::desk::Writes,
    },
    model::{Connection, ConnectionName, ConnectionSpec},
};

impl Writes {
    /// Returns the connection that a description applies to, or `None` if it does not exist. A connection given by name
    /// has to exist, but another client may have created it.
    ///
    /// # Errors
    /// `NotFound` if the named connection does not exist; `FailedPrecondition` with `NameNotUnique` or `NotManaged`,
    /// and the names of the connections found; `Unavailable` / `WriteUnderWay` while it is being removed; the errors of
    /// reading it.
    pub(super) async fn meant(
        &self,
        name: Option<&ConnectionName>,
        wanted: &ConnectionSpec,
        call: &Call,
    ) -> Result<Option<Connection>> {
        let found = match name {
            Some(name) => {
                let read = self.dialect().get(&name.id, call).await;
                let read = self.backend().record_caller_result(read);
                Some(read.map_err(|error| error.missing(name))?)
            }
            None => self.only_one(self.of_display_name(wanted, call).await?, wanted)?,
        };
        match found {
            Some(found) if self.ledger.is_removing(&found.id) => {
                let error = under_way("the connection is being removed");
                let name = self.connection_name(&found.id)?;
                Err(error.on(self.name()).resource(name.to_string()))
            }
            found => Ok(found),
        }
    }

    /// Returns every connection with the display name of `wanted`, including those that other clients made.
    async fn of_display_name(
        &self,
        wanted: &ConnectionSpec,
        call: &Call,
    ) -> Result<Vec<Connection>> {
        let named = Wanted::Equal(wanted.display_name.clone());
        let filter = Filter::from(vec![Restriction::DisplayName(named)]);
        let mut found = Vec::new();
        let mut pages = Pages::all();
        while let Some(mut request) = pages.next_page()? {
            request.filter = filter.clone();
            let page = self.backend().list(&request, call).await?;
            let read = pages.read(page).into_iter();
            found.extend(read.filter(|it| filter.accepts(self.name(), it)));
        }
        Ok(found)
    }

    /// Picks the connection that the description applies to. Only connections that the gateway created qualify. If the
    /// cloud's connections carry no marks, any qualifies, and among several the one with the described peer.
    fn only_one(
        &self,
        found: Vec<Connection>,
        wanted: &ConnectionSpec,
    ) -> Result<Option<Connection>> {
        let marks = self.backend().capabilities().connection_marks;
        let (mut meant, others): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|it| it.managed || !marks);
        if !marks && meant.len() > 1 && !wanted.peer_address.is_empty() {
            let peer = Wanted::Equal(wanted.peer_address.clone());
            let with_peer = |it: &Connection| peer.is_met_by_address(&it.peer.address);
            if meant.iter().any(with_peer) {
                meant.retain(with_peer);
            }
        }
        let name = &wanted.display_name;
        if meant.len() > 1 {
            let why = format!(
                "{} connections are called `{name}`; say which one is meant by its `name`",
                meant.len()
            );
            return Err(self.not_known(ErrorReason::NameNotUnique, why, &meant)?);
        }
        if meant.is_empty() && !others.is_empty() {
            let why = format!(
                "what is called `{name}` was not made by this gateway; say that it is meant by its `name`"
            );
            return Err(self.not_known(ErrorReason::NotManaged, why, &others)?);
        }
        Ok(meant.pop())
    }

    fn not_known(&self, reason: ErrorReason, why: String, found: &[Connection]) -> Result<Error> {
        let names = found.iter().map(|it| self.connection_name(&it.id));
        let names: Vec<ConnectionName> = names.collect::<Result<_>>()?;
        let error = Error::new(ErrorKind::FailedPrecondition, reason, why).on(self.name());
        Ok(error.resources(names.iter().map(ToString::to_string)))
    }
}
