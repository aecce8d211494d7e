//! One LIST: what it shows, and whether the account that asks is shown to see.

use crate::{
    core::{dialect::Call, error::Result},
    dialects::openstack::{
        auth::Sight,
        client::{Answered, Ask, Client},
        error::{self, Asked},
        variant::Fields,
        wire::{
            ListPage,
            kind::{CONNECTIONS, Kind, SERVICES},
        },
    },
};
use serde_json::Value;
use tokio::time::Instant;

/// Finds out whether the collection of connections is there, the login accepted, and the account able to see.
pub async fn probe(client: &Client, call: &Call) -> Result<()> {
    let ask = match client.variant().narrows {
        true => Ask::get(CONNECTIONS.path()).with("limit", "1"),
        false => Ask::get(CONNECTIONS.path()),
    };
    let (answered, page) = listed(client, &CONNECTIONS, ask, &["id"], call).await?;
    // The roles of the login are enough here: a project that is empty for good must not cost a login each time.
    if page.is_empty() && answered.sight == Sight::Doubtful && !sees(client, call).await? {
        return Err(error::blind());
    }
    Ok(())
}

/// Whether an empty LIST may be believed. Where roles tell nothing it is; elsewhere something else must be
/// shown, or the roles of now must be some that see: an account can lose them while its token lives on.
pub async fn believe(client: &Client, sight: Sight, call: &Call) -> Result<()> {
    let asked = Instant::now();
    if sight == Sight::Unknown || sees(client, call).await? {
        return Ok(());
    }
    match sight {
        Sight::Sees if client.sight_since(asked, call).await? == Sight::Sees => Ok(()),
        _ => Err(error::blind()),
    }
}

/// The same of Neutron's own collections, which tell of no login: all of them are empty.
pub async fn believe_none(client: &Client, call: &Call) -> Result<()> {
    let asked = Instant::now();
    if sees(client, call).await? {
        return Ok(());
    }
    match client.sight_since(asked, call).await? {
        Sight::Sees | Sight::Unknown => Ok(()),
        Sight::Doubtful => Err(error::blind()),
    }
}

/// Whether the account is shown anything at all of the project's VPN: a service, or a connection.
pub async fn sees(client: &Client, call: &Call) -> Result<bool> {
    for kind in [&SERVICES, &CONNECTIONS] {
        let mut ask = match client.leaves_out(&["id"]) {
            true => Ask::get(kind.path()).with_each("fields", &["id"]),
            false => Ask::get(kind.path()),
        };
        if client.variant().narrows {
            ask = ask.with("limit", "1");
        }
        let answered = client.send(ask, call).await.map_err(|none| none.error)?;
        let value = collection(&answered)?;
        if ListPage::of(kind.many, value).is_some_and(|page| !page.rows.is_empty()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A LIST with these fields only, where the cloud can leave out others.
///
/// Where it is not known whether several `fields` count, the rows tell: if they lack what was asked for, everything
/// is asked for instead, and if that brings it, from then on.
pub async fn listed<'a>(
    client: &Client,
    kind: &Kind,
    ask: Ask<'a>,
    fields: &[&'a str],
    call: &Call,
) -> Result<(Answered, ListPage)> {
    let send = async |ask: Ask<'_>| {
        let answered = client.send(ask, call).await.map_err(|none| none.error)?;
        list_page(kind, &answered).map(|page| (answered, page))
    };
    if !client.leaves_out(fields) {
        return send(ask).await;
    }
    let (answered, page) = send(ask.clone().with_each_first("fields", fields)).await?;
    if client.variant().fields == Fields::All || page.has(fields) {
        return Ok((answered, page));
    }
    let (answered, page) = send(ask).await?;
    if page.has(fields) {
        client.leave_out_no_more();
    }
    Ok((answered, page))
}

/// A page all of whose rows can be told from each other.
pub fn all_named(answered: &Answered, page: ListPage) -> Result<ListPage> {
    match page.nameless {
        None => Ok(page),
        Some(at) => {
            let what = format!("row {at} has no `id`");
            Err(error::broken(&answered.answer, &what))
        }
    }
}

/// Reads a LIST, without those rows that cannot be told from each other.
pub fn list_page(kind: &Kind, answered: &Answered) -> Result<ListPage> {
    let value = collection(answered)?;
    ListPage::of(kind.many, value).ok_or_else(|| error::broken(&answered.answer, "no list"))
}

/// Reads the answer of a collection as such: if the collection is not there, there is no API.
fn collection(answered: &Answered) -> Result<Value> {
    let answer = &answered.answer;
    error::granted(answer, Asked::Read, &[]).map_err(|refused| match error::is_missing(answer) {
        true => error::api_absent(refused),
        false => refused,
    })
}
