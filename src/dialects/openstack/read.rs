//! Reading connections: one, a page, all; and what it means when one is not there.

use crate::{
    core::{
        dialect::{Call, Page, PageRequest},
        error::{Error, Result},
        filter::{Filter, Restriction, Wanted},
    },
    dialects::openstack::{
        auth::Sight,
        client::{Answered, Ask, CONNECTIONS, Client, NoAnswer, SERVICES},
        error::{self, Asked},
        translate,
        variant::Fields,
        wire::{Body, ListPage, MANY, ONE},
    },
    model::Connection,
};
use std::{
    collections::{BTreeSet, HashSet},
    net::Ipv6Addr,
};
use tokio::time::Instant;

/// The most pages of one walk; a cloud that goes on beyond is not believed.
const MOST_PAGES: usize = 10_000;
/// The largest page that is asked for.
const LARGEST_PAGE: usize = 1_000;
/// The longest text that is asked for, in bytes; no column holds more, and URLs must not grow too long.
const LONGEST_TEXT: usize = 255;
/// How often a walk is found again after the row it stood on vanished.
const MOST_RECOVERIES: usize = 3;

/// Finds out whether the collection of connections is there, the login accepted, and the account able to see.
pub async fn probe(client: &Client, call: &Call) -> Result<()> {
    let ask = match client.variant().narrows {
        true => Ask::get([CONNECTIONS]).with("limit", "1"),
        false => Ask::get([CONNECTIONS]),
    };
    let (answered, page) = listed(client, ask, &["id"], call).await?;
    // The roles of the login are enough here: a project that is empty for good must not cost a login each time.
    if page.is_empty() && answered.sight == Sight::Doubtful && !sees(client, call).await? {
        return Err(error::blind());
    }
    Ok(())
}

/// One connection.
pub async fn get(client: &Client, id: &str, call: &Call) -> Result<Connection> {
    let body = row(client, id, &[], call)
        .await?
        .map_err(|_| error::not_found())?;
    Ok(translate::connection(body, client.variant()))
}

/// One connection as the cloud has it, with these fields only if the cloud can narrow; or, if it is proven
/// that there is none, the words that prove it.
///
/// # Errors
/// Everything that tells neither.
pub async fn row(
    client: &Client,
    id: &str,
    fields: &[&str],
    call: &Call,
) -> Result<Result<Body, String>> {
    one(client, id, fields, Listed::Unasked, call).await
}

/// The same of a connection that the collection has just been asked for, and did not show.
///
/// # Errors
/// As [`row`].
pub async fn unlisted_row(
    client: &Client,
    id: &str,
    fields: &[&str],
    call: &Call,
) -> Result<Result<Body, String>> {
    one(client, id, fields, Listed::Not, call).await
}

/// What the collection says of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listed {
    Unasked,
    Not,
}

async fn one(
    client: &Client,
    id: &str,
    fields: &[&str],
    listed: Listed,
    call: &Call,
) -> Result<Result<Body, String>> {
    let mut ask = Ask::get([CONNECTIONS, id]);
    if client.variant().narrows {
        ask = ask.with_each("fields", fields);
    }
    let answered = client.send(ask, call).await.map_err(error_of)?;
    let value = match error::granted(&answered.answer, Asked::Read, &[]) {
        Err(refused) if error::is_missing(&answered.answer) => {
            let gone = gone(client, id, &answered, refused, listed, call).await;
            return gone.map(Err);
        }
        granted => granted?,
    };
    let body = Body::under(ONE, value);
    let body = body.ok_or_else(|| error::broken(&answered.answer, "no connection"))?;
    Ok(Ok(body))
}

/// What a 404 of one connection proves: if it is gone, the cloud's words for that.
///
/// ```text
///   404 ── in the API's own words for a connection
///    │        └──► the collection answers without it ──► the account is shown to see ──► gone
///    │                  └── it shows it, or fails ─► error      └── it is not ─────────► error: denied
///    └── anything else ──► the collection ── 404 ───────────────────────────────────────► error: API_ABSENT
///                               └── there: a policy hides, or something else answers ──► error
/// ```
///
/// # Errors
/// If it proves nothing.
pub async fn absent(
    client: &Client,
    id: &str,
    answered: &Answered,
    refused: Error,
    call: &Call,
) -> Result<String> {
    gone(client, id, answered, refused, Listed::Unasked, call).await
}

async fn gone(
    client: &Client,
    id: &str,
    answered: &Answered,
    refused: Error,
    listed: Listed,
    call: &Call,
) -> Result<String> {
    let said = refused.context.upstream.clone().unwrap_or_default();
    let Some(words) = error::says_gone(&answered.answer) else {
        probe(client, call).await?;
        return match error::is_hidden(&answered.answer) {
            true => Err(error::blind().upstream(said)),
            false => Err(error::proves_nothing(refused)),
        };
    };
    let shows_others = match listed {
        Listed::Not => false,
        Listed::Unasked => shows_others(client, id, refused, call).await?,
    };
    match answered.sight {
        Sight::Sees => Ok(words),
        Sight::Doubtful | Sight::Unknown if shows_others || sees(client, call).await? => Ok(words),
        Sight::Doubtful | Sight::Unknown => Err(error::blind().upstream(said)),
    }
}

/// Whether the collection, which must answer and not show this connection, shows another.
async fn shows_others(client: &Client, id: &str, refused: Error, call: &Call) -> Result<bool> {
    let ask = match client.variant().narrows {
        true => Ask::get([CONNECTIONS]).with("id", id),
        false => Ask::get([CONNECTIONS]),
    };
    let (answered, page) = listed(client, ask, &["id"], call).await?;
    let rows = all_named(&answered, page)?.rows;
    if rows.iter().any(|row| row.id() == id) {
        return Err(error::contradicted(refused));
    }
    Ok(!rows.is_empty())
}

/// One page of connections, in the order of their ids.
pub async fn list(client: &Client, request: &PageRequest, call: &Call) -> Result<Page> {
    let size = request.size.max(1) as usize;
    let after = request.after.as_deref();
    let (mut rows, mut more) = match client.variant().narrows {
        true => {
            let narrow = narrowing(&request.filter);
            let page = Rows {
                size: Some(size.min(LARGEST_PAGE)),
                narrow: &narrow,
                fields: &[],
            };
            sorted_page(client, page, after, call).await?
        }
        false => {
            let mut rows = all(client, &[], call).await?;
            rows.sort_by_key(Body::id);
            rows.retain(|row| after.is_none_or(|after| row.id().as_str() > after));
            (rows, false)
        }
    };
    if rows.len() > size {
        rows.truncate(size);
        more = true;
    }
    let next = rows.last().map(Body::id).filter(|_| more);
    let variant = client.variant();
    Ok(Page {
        connections: rows
            .into_iter()
            .map(|row| translate::connection(row, variant))
            .collect(),
        next,
    })
}

/// What of a filter Neutron may be asked to apply itself: only what leaves out nothing that is wanted.
///
/// Its database compares text loosely, ignoring case and trailing blanks, which shows too much and never too
/// little. An empty text may be null there, a sign beyond ASCII may be none its tables know, and one IPv6 address
/// has many spellings: those are not asked for.
fn narrowing(filter: &Filter) -> Vec<(&'static str, String)> {
    let is_safe = |text: &str| {
        let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        is_plain && (1..=LONGEST_TEXT).contains(&text.len())
    };
    let asked = filter
        .restrictions()
        .iter()
        .filter_map(|restriction| match restriction {
            Restriction::DisplayName(Wanted::Equal(name)) if is_safe(name) => {
                Some(("name", name.clone()))
            }
            Restriction::PeerAddress(Wanted::Equal(address))
                if is_safe(address) && address.parse::<Ipv6Addr>().is_err() =>
            {
                Some(("peer_address", address.clone()))
            }
            Restriction::AdminEnabled(wanted) => Some(("admin_state_up", wanted.to_string())),
            Restriction::VpnService(name) => Some(("vpnservice_id", name.id.to_string())),
            _ => None,
        });
    asked.collect()
}

/// Every connection, with these fields only where the cloud can leave out others; empty: all fields.
///
/// # Errors
/// If one of the requests fails, or the account is not shown to see.
pub async fn all(client: &Client, fields: &[&str], call: &Call) -> Result<Vec<Body>> {
    let mut rows = Vec::new();
    if client.variant().narrows {
        let (mut after, mut seen) = (None, HashSet::new());
        for _ in 0..MOST_PAGES {
            let wanted = Rows {
                size: None,
                narrow: &[],
                fields,
            };
            let (page, more) = sorted_page(client, wanted, after.as_deref(), call).await?;
            let last = page.last().map(Body::id);
            rows.extend(page.into_iter().filter(|row| seen.insert(row.id())));
            match last {
                Some(last) if more => after = Some(last),
                _ => return Ok(rows),
            }
        }
        return Err(error::endless());
    }
    let (answered, page) = listed(client, Ask::get([CONNECTIONS]), fields, call).await?;
    rows = all_named(&answered, page)?.rows;
    if rows.is_empty() {
        believe(client, answered.sight, call).await?;
    }
    Ok(rows)
}

/// What LISTs of some connections showed.
pub struct Shown {
    /// Those that were asked for.
    pub rows: Vec<Body>,
    /// The ids of all there are, where a LIST shows everything.
    pub all: Option<Vec<String>>,
}

/// The rows of these ids that a LIST shows, and nothing about those it does not show. Only where the cloud can narrow
/// does the LIST hold less than everything.
///
/// Where the cloud's pages are smaller than what is asked for, it is asked again for the rest, which needs no marker
/// that may vanish meanwhile.
pub async fn some(client: &Client, ids: &[&str], fields: &[&str], call: &Call) -> Result<Shown> {
    let mut rows: Vec<Body> = Vec::new();
    let mut missing = ids.to_vec();
    loop {
        let mut ask = Ask::get([CONNECTIONS]);
        if client.variant().narrows {
            ask = missing.iter().fold(ask, |ask, id| ask.with("id", id));
        }
        let (answered, page) = listed(client, ask, fields, call).await?;
        if page.is_empty() && rows.is_empty() {
            believe(client, answered.sight, call).await?;
        }
        let asked = missing.len();
        // Filters are not believed: some clouds ignore those they do not know.
        let wanted: HashSet<&str> = missing.iter().copied().collect();
        let shown: BTreeSet<String> = page.rows.iter().map(Body::id).collect();
        let is_wanted = |row: &Body| wanted.contains(row.id().as_str());
        rows.extend(page.rows.into_iter().filter(is_wanted));
        missing.retain(|id| !shown.contains(*id));
        if !client.variant().narrows {
            let all = page.nameless.is_none().then(|| shown.into_iter().collect());
            return Ok(Shown { rows, all });
        }
        if page.marker.is_none() || missing.is_empty() || missing.len() == asked {
            return Ok(Shown { rows, all: None });
        }
    }
}

/// What a request failed with.
pub fn error_of(none: NoAnswer) -> Error {
    none.error
}

/// Which rows of a LIST are wanted.
#[derive(Clone, Copy)]
struct Rows<'a> {
    /// At most so many; `None`: as many as the cloud gives.
    size: Option<usize>,
    /// Only these, by column and value.
    narrow: &'a [(&'static str, String)],
    /// Only these fields; empty: all.
    fields: &'a [&'a str],
}

/// The rows after this id, at least one unless there is none, and whether there are more.
///
/// An empty page after a marker is either the end or the sign that the marker's row is gone from the list, and the
/// cloud does not say which; then the marker is asked for, and if it is gone the place is found again by walking
/// from the start.
async fn sorted_page(
    client: &Client,
    wanted: Rows<'_>,
    after: Option<&str>,
    call: &Call,
) -> Result<(Vec<Body>, bool)> {
    let mut page = raw_page(client, wanted, after, call).await?;
    let Some(after) = after.filter(|_| page.rows.is_empty()) else {
        // The row the page comes after may come again; if it comes alone, nothing goes on.
        page.rows
            .retain(|row| after.is_none_or(|after| row.id() != after));
        return match page.rows.is_empty() && page.marker.is_some() {
            true => Err(error::endless()),
            false => Ok((page.rows, page.marker.is_some())),
        };
    };
    if is_listed(client, wanted, after, call).await? {
        return Ok((Vec::new(), false));
    }
    for _ in 0..MOST_RECOVERIES {
        if let Some(found) = walk_past(client, wanted, after, call).await? {
            return Ok(found);
        }
    }
    Err(error::endless())
}

/// Walks from the start to the first page with rows after this id; `None` if the walk lost its own marker.
async fn walk_past(
    client: &Client,
    wanted: Rows<'_>,
    after: &str,
    call: &Call,
) -> Result<Option<(Vec<Body>, bool)>> {
    let mut marker: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let page = raw_page(client, wanted, marker.as_deref(), call).await?;
        if let Some(marker) = marker.filter(|_| page.rows.is_empty()) {
            let is_there = is_listed(client, wanted, &marker, call).await?;
            return Ok(is_there.then(|| (Vec::new(), false)));
        }
        let mut rows = page.rows;
        let last = rows.last().map(Body::id);
        rows.retain(|row| row.id().as_str() > after);
        match last {
            Some(last) if rows.is_empty() && page.marker.is_some() => marker = Some(last),
            _ => return Ok(Some((rows, page.marker.is_some()))),
        }
    }
    Err(error::endless())
}

/// Whether a row is among the wanted. In a narrowed list its being there at all is not enough: a row that was
/// changed so that it is no longer wanted ends a walk just as one that is gone.
async fn is_listed(client: &Client, wanted: Rows<'_>, id: &str, call: &Call) -> Result<bool> {
    if wanted.narrow.is_empty() {
        return Ok(row(client, id, &["id"], call).await?.is_ok());
    }
    let ask = narrowed_to(Ask::get([CONNECTIONS]), wanted.narrow).with_each("fields", &["id"]);
    let answered = client
        .send(ask.with("id", id), call)
        .await
        .map_err(error_of)?;
    let page = list_page(&answered)?;
    Ok(page.rows.iter().any(|row| row.id() == id))
}

async fn raw_page(
    client: &Client,
    wanted: Rows<'_>,
    marker: Option<&str>,
    call: &Call,
) -> Result<ListPage> {
    // `marker` without `limit` is ignored, and a cloud may cap what was not limited.
    let limit = wanted.size.unwrap_or(LARGEST_PAGE).to_string();
    let mut ask = narrowed_to(Ask::get([CONNECTIONS]), wanted.narrow)
        .with_each("fields", wanted.fields)
        .with("sort_key", "id")
        .with("sort_dir", "asc")
        .with("limit", &limit);
    if let Some(marker) = marker {
        ask = ask.with("marker", marker);
    }
    let answered = client.send(ask, call).await.map_err(error_of)?;
    let page = list_page(&answered)?;
    let page = all_named(&answered, page)?;
    if page.rows.is_empty() && marker.is_none() {
        believe(client, answered.sight, call).await?;
    }
    Ok(page)
}

fn narrowed_to<'a>(ask: Ask<'a>, narrow: &'a [(&'static str, String)]) -> Ask<'a> {
    narrow
        .iter()
        .fold(ask, |ask, (key, value)| ask.with(key, value))
}

/// Whether an empty LIST may be believed. Where roles tell nothing it is; elsewhere something else must be
/// shown, or the roles of now must be some that see: an account can lose them while its token lives on.
async fn believe(client: &Client, sight: Sight, call: &Call) -> Result<()> {
    let asked = Instant::now();
    if sight == Sight::Unknown || sees(client, call).await? {
        return Ok(());
    }
    match sight {
        Sight::Sees if client.sight_since(asked, call).await? == Sight::Sees => Ok(()),
        _ => Err(error::blind()),
    }
}

/// Whether the account is shown anything at all of the project's VPN: a service, or a connection.
async fn sees(client: &Client, call: &Call) -> Result<bool> {
    for collection in [SERVICES, CONNECTIONS] {
        let mut ask = match client.leaves_out(&["id"]) {
            true => Ask::get([collection]).with_each("fields", &["id"]),
            false => Ask::get([collection]),
        };
        if client.variant().narrows {
            ask = ask.with("limit", "1");
        }
        let answered = client.send(ask, call).await.map_err(error_of)?;
        let value = collected(&answered)?;
        let key = if collection == SERVICES {
            SERVICES
        } else {
            MANY
        };
        if ListPage::of(key, value).is_some_and(|page| !page.rows.is_empty()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A LIST with these fields only, where the cloud can leave out others.
///
/// Where it is not known whether several `fields` count, the rows tell: if they lack what was asked for, everything
/// is asked for instead, and if that brings it, from then on.
async fn listed<'a>(
    client: &Client,
    ask: Ask<'a>,
    fields: &[&'a str],
    call: &Call,
) -> Result<(Answered, ListPage)> {
    let send = async |ask: Ask<'_>| {
        let answered = client.send(ask, call).await.map_err(error_of)?;
        list_page(&answered).map(|page| (answered, page))
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
fn all_named(answered: &Answered, page: ListPage) -> Result<ListPage> {
    match page.nameless {
        None => Ok(page),
        Some(at) => {
            let what = format!("row {at} has no `id`");
            Err(error::broken(&answered.answer, &what))
        }
    }
}

fn list_page(answered: &Answered) -> Result<ListPage> {
    let value = collected(answered)?;
    ListPage::of(MANY, value).ok_or_else(|| error::broken(&answered.answer, "no list"))
}

/// Reads the answer of a collection as such: if the collection is not there, there is no API.
fn collected(answered: &Answered) -> Result<serde_json::Value> {
    let answer = &answered.answer;
    error::granted(answer, Asked::Read, &[]).map_err(|refused| match error::is_missing(answer) {
        true => error::api_absent(refused),
        false => refused,
    })
}
