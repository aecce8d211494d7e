//! Reads several objects of a kind: one page, all, or those with given ids.

use crate::{
    core::{
        dialect::{Call, Page, PageRequest},
        error::Result,
        filter::{Filter, Restriction, Wanted},
    },
    dialects::openstack::{
        client::{Ask, Client},
        error,
        read::{
            collection::{all_named, believe, list_page, listed},
            one::row,
        },
        translate,
        wire::{
            Body, ListPage,
            kind::{CONNECTIONS, Kind},
        },
    },
    model::Connection,
};
use std::{
    collections::{BTreeSet, HashSet},
    net::Ipv6Addr,
};

/// The most pages of one walk. A cloud that sends more is treated as endless.
const MOST_PAGES: usize = 10_000;
/// The largest page to request.
const LARGEST_PAGE: usize = 1_000;
/// The longest text to filter by, in bytes. No column holds more, and URLs must stay short.
const LONGEST_TEXT: usize = 255;
/// How many times a walk restarts after the row of its marker vanished.
const MOST_RECOVERIES: usize = 3;

/// Returns one page of connections, sorted by id.
pub async fn list(client: &Client, request: &PageRequest, call: &Call) -> Result<Page<Connection>> {
    let narrow = narrowing(&request.filter);
    let page = page(client, &CONNECTIONS, request, &narrow, call).await?;
    let variant = client.variant();
    Ok(Page {
        items: page
            .items
            .into_iter()
            .map(|row| translate::connection(row, variant))
            .collect(),
        next: page.next,
    })
}

/// Returns one page of objects as the cloud has them, sorted by id. Where the cloud can filter, the page holds only
/// objects with the values of `narrow`.
pub async fn page(
    client: &Client,
    kind: &Kind,
    request: &PageRequest,
    narrow: &[(&'static str, String)],
    call: &Call,
) -> Result<Page<Body>> {
    let size = request.size.max(1) as usize;
    let after = request.after.as_deref();
    let (mut rows, mut more) = match narrows(client, kind) && kind.sorts {
        true => {
            let page = Rows {
                kind,
                size: Some(size.min(LARGEST_PAGE)),
                narrow,
                fields: &[],
            };
            sorted_page(client, page, after, call).await?
        }
        false => {
            let mut rows = all(client, kind, &[], call).await?;
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
    Ok(Page { items: rows, next })
}

/// Reports whether a LIST of this kind takes filters, a limit and an order. Neutron's own collections always do.
fn narrows(client: &Client, kind: &Kind) -> bool {
    client.variant().narrows || !kind.is_vpn
}

/// Returns the part of a filter that Neutron can apply itself without leaving out a match.
///
/// Its database ignores case and trailing blanks, which shows too much but never too little. Three cases are not
/// sent: an empty text may be null there, its tables may not hold characters beyond ASCII, and an IPv6 address has
/// many spellings.
fn narrowing(filter: &Filter) -> Vec<(&'static str, String)> {
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

/// Reports whether a LIST may be filtered by this text without losing a match.
pub fn is_safe(text: &str) -> bool {
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    is_plain && (1..=LONGEST_TEXT).contains(&text.len())
}

/// Returns every object of a kind, restricted to these fields where the cloud can leave out others. An empty list
/// means all fields.
///
/// # Errors
/// A request fails, or the account is not proven to see.
pub async fn all(client: &Client, kind: &Kind, fields: &[&str], call: &Call) -> Result<Vec<Body>> {
    if narrows(client, kind) {
        return walk(client, kind, fields, &[], call).await;
    }
    let ask = Ask::get(kind.path());
    let (answered, page) = listed(client, kind, ask, fields, call).await?;
    let rows = all_named(&answered, page)?.rows;
    if rows.is_empty() {
        believe(client, answered.sight, call).await?;
    }
    Ok(rows)
}

/// Returns the objects with these values, and perhaps others, since filters are not trusted. Only for kinds whose
/// LISTs every cloud filters.
///
/// # Errors
/// A request fails.
pub async fn those(
    client: &Client,
    kind: &Kind,
    narrow: &[(&'static str, String)],
    call: &Call,
) -> Result<Vec<Body>> {
    walk(client, kind, &[], narrow, call).await
}

async fn walk(
    client: &Client,
    kind: &Kind,
    fields: &[&str],
    narrow: &[(&'static str, String)],
    call: &Call,
) -> Result<Vec<Body>> {
    let wanted = Rows {
        kind,
        size: None,
        narrow,
        fields,
    };
    if !kind.sorts {
        return walk_unsorted(client, wanted, call).await;
    }
    let (mut rows, mut after, mut seen) = (Vec::new(), None, HashSet::new());
    for _ in 0..MOST_PAGES {
        let (page, more) = sorted_page(client, wanted, after.as_deref(), call).await?;
        let last = page.last().map(Body::id);
        rows.extend(page.into_iter().filter(|row| seen.insert(row.id())));
        match last {
            Some(last) if more => after = Some(last),
            _ => return Ok(rows),
        }
    }
    Err(error::endless())
}

/// Walks a LIST in the cloud's own order, in which a lost place cannot be found again. If the marker's row vanishes,
/// the walk starts over.
async fn walk_unsorted(client: &Client, wanted: Rows<'_>, call: &Call) -> Result<Vec<Body>> {
    let (mut rows, mut marker, mut seen) = (Vec::new(), None::<String>, HashSet::new());
    for _ in 0..MOST_PAGES {
        let page = raw_page(client, wanted, marker.as_deref(), call).await?;
        if let Some(last) = marker.filter(|_| page.rows.is_empty()) {
            if is_listed(client, wanted, &last, call).await? {
                return Ok(rows);
            }
            marker = None;
            continue;
        }
        let more = page.marker.is_some();
        marker = page.rows.last().map(Body::id);
        rows.extend(page.rows.into_iter().filter(|row| seen.insert(row.id())));
        if !more {
            return Ok(rows);
        }
    }
    Err(error::endless())
}

/// The result of listing some connections.
pub struct Shown {
    /// The rows that were asked for.
    pub rows: Vec<Body>,
    /// The ids of all connections, if the LIST showed everything.
    pub all: Option<Vec<String>>,
}

/// Returns the rows with these ids that a LIST shows. Absence from the result proves nothing. Only a cloud that
/// filters returns less than everything.
///
/// If the cloud's pages are smaller than the request, it is asked again for the missing ids. This needs no marker,
/// which might vanish between requests.
pub async fn some(client: &Client, ids: &[&str], fields: &[&str], call: &Call) -> Result<Shown> {
    let mut rows: Vec<Body> = Vec::new();
    let mut missing = ids.to_vec();
    loop {
        let mut ask = Ask::get(CONNECTIONS.path());
        if client.variant().narrows {
            ask = missing.iter().fold(ask, |ask, id| ask.with("id", id));
        }
        let (answered, page) = listed(client, &CONNECTIONS, ask, fields, call).await?;
        if page.is_empty() && rows.is_empty() {
            believe(client, answered.sight, call).await?;
        }
        let asked = missing.len();
        // Filters are not trusted: some clouds ignore those they do not know.
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

/// Which rows a LIST is to return.
#[derive(Clone, Copy)]
struct Rows<'a> {
    kind: &'a Kind,
    /// The page size. `None`: as large as possible.
    size: Option<usize>,
    /// Filters, by column and value.
    narrow: &'a [(&'static str, String)],
    /// Only these fields; empty: all.
    fields: &'a [&'a str],
}

/// Returns the rows after this id, at least one unless there is none, and whether there are more.
///
/// An empty page after a marker means either the end, or that the marker's row is gone from the list; the cloud does
/// not say which. The marker's row is then read, and if it is gone, a walk from the start finds the place again.
async fn sorted_page(
    client: &Client,
    wanted: Rows<'_>,
    after: Option<&str>,
    call: &Call,
) -> Result<(Vec<Body>, bool)> {
    let mut page = raw_page(client, wanted, after, call).await?;
    let Some(after) = after.filter(|_| page.rows.is_empty()) else {
        // The marker's own row may come again. If the page holds nothing else, the walk would not advance.
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

/// Walks from the start to the first page with rows after this id. Returns `None` if the walk lost its own marker.
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

/// Reports whether the LIST shows a row with this id. In a filtered list the row's existence is not enough: a row
/// that no longer matches ends a walk just as a deleted one does.
async fn is_listed(client: &Client, wanted: Rows<'_>, id: &str, call: &Call) -> Result<bool> {
    if wanted.narrow.is_empty() {
        return Ok(row(client, wanted.kind, id, &["id"], call).await?.is_ok());
    }
    // Leave out the list's own `id` filters: with several ids the page may hold only the row of the first.
    let others = wanted.narrow.iter().filter(|(key, _)| *key != "id");
    let ask = others.fold(Ask::get(wanted.kind.path()), |ask, (key, value)| {
        ask.with(key, value)
    });
    let ask = ask.with_each("fields", &["id"]);
    let answered = client
        .send(ask.with("id", id), call)
        .await
        .map_err(|none| none.error)?;
    let page = list_page(wanted.kind, &answered)?;
    Ok(page.rows.iter().any(|row| row.id() == id))
}

async fn raw_page(
    client: &Client,
    wanted: Rows<'_>,
    marker: Option<&str>,
    call: &Call,
) -> Result<ListPage> {
    // Without `limit` the cloud ignores `marker`, and may cap the page anyway.
    let limit = wanted.size.unwrap_or(LARGEST_PAGE).to_string();
    let mut ask =
        narrowed_to(Ask::get(wanted.kind.path()), wanted.narrow).with_each("fields", wanted.fields);
    if wanted.kind.sorts {
        ask = ask.with("sort_key", "id").with("sort_dir", "asc");
    }
    ask = ask.with("limit", &limit);
    if let Some(marker) = marker {
        ask = ask.with("marker", marker);
    }
    let answered = client.send(ask, call).await.map_err(|none| none.error)?;
    let page = list_page(wanted.kind, &answered)?;
    let page = all_named(&answered, page)?;
    if page.rows.is_empty() && marker.is_none() && wanted.kind.is_vpn {
        believe(client, answered.sight, call).await?;
    }
    Ok(page)
}

fn narrowed_to<'a>(ask: Ask<'a>, narrow: &'a [(&'static str, String)]) -> Ask<'a> {
    narrow
        .iter()
        .fold(ask, |ask, (key, value)| ask.with(key, value))
}
