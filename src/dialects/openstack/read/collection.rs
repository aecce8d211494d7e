//! One LIST: its rows, and whether the account that asks can see.

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

/// Checks that the collection of connections exists, the login is accepted, and the account can see.
pub async fn probe(client: &Client, call: &Call) -> Result<()> {
    let ask = match client.variant().narrows {
        true => Ask::get(CONNECTIONS.path()).with("limit", "1"),
        false => Ask::get(CONNECTIONS.path()),
    };
    let (answered, page) = listed(client, &CONNECTIONS, ask, &["id"], call).await?;
    // The login's roles are enough here: an empty project must not cost a login for every probe.
    if page.is_empty() && answered.sight == Sight::Doubtful && !sees(client, call).await? {
        return Err(error::blind());
    }
    Ok(())
}

/// Checks that an empty LIST may be believed.
///
/// Where roles say nothing, it may. Elsewhere the account must be shown something else, or its current roles must let
/// it see: an account can lose a role while its token stays valid.
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

/// Like [`believe`], for empty LISTs of Neutron's own collections, whose callers do not know the login's [`Sight`].
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

/// Reports whether the account is shown anything of the project's VPN: a service or a connection.
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

/// Sends a LIST restricted to these fields, if the cloud can leave out others.
///
/// If the cloud may honor only one `fields` parameter, the rows show it: if they lack requested fields, the LIST is
/// sent again for all fields. If that brings the fields, later LISTs for several fields ask for all at once.
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

/// Returns the page if every row has an id, so that its rows can be told apart.
pub fn all_named(answered: &Answered, page: ListPage) -> Result<ListPage> {
    match page.nameless {
        None => Ok(page),
        Some(at) => {
            let what = format!("row {at} has no `id`");
            Err(error::broken(&answered.answer, &what))
        }
    }
}

/// Reads a LIST. Rows without an id are dropped; [`ListPage::nameless`] records the first.
pub fn list_page(kind: &Kind, answered: &Answered) -> Result<ListPage> {
    let value = collection(answered)?;
    ListPage::of(kind.many, value).ok_or_else(|| error::broken(&answered.answer, "no list"))
}

/// Reads the answer of a collection. A missing collection means that the API is absent.
fn collection(answered: &Answered) -> Result<Value> {
    let answer = &answered.answer;
    error::granted(answer, Asked::Read, &[]).map_err(|refused| match error::is_missing(answer) {
        true => error::api_absent(refused),
        false => refused,
    })
}
