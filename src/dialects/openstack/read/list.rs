//! Several objects of a kind: a page, all, or some by their ids.

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

/// The most pages of one walk; a cloud that goes on beyond is not believed.
const MOST_PAGES: usize = 10_000;
/// The largest page that is asked for.
const LARGEST_PAGE: usize = 1_000;
/// The longest text that is asked for, in bytes; no column holds more, and URLs must not grow too long.
const LONGEST_TEXT: usize = 255;
/// How often a walk is found again after the row it stood on vanished.
const MOST_RECOVERIES: usize = 3;

/// One page of connections, in the order of their ids.
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

/// One page of objects as the cloud has them, in the order of their ids; where the cloud narrows, only those with these
/// values.
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

/// Whether a LIST of this kind takes filters, a limit and an order. Neutron's own collections do everywhere.
fn narrows(client: &Client, kind: &Kind) -> bool {
    client.variant().narrows || !kind.is_vpn
}

/// What of a filter Neutron may be asked to apply itself: only what leaves out nothing that is wanted.
///
/// Its database compares text loosely, ignoring case and trailing blanks, which shows too much and never too
/// little. An empty text may be null there, a sign beyond ASCII may be none its tables know, and one IPv6 address
/// has many spellings: those are not asked for.
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

/// Whether a list may be narrowed to those with this text without losing any.
pub fn is_safe(text: &str) -> bool {
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    is_plain && (1..=LONGEST_TEXT).contains(&text.len())
}

/// Every object of a kind, with these fields only where the cloud can leave out others; empty: all fields.
///
/// # Errors
/// If one of the requests fails, or the account is not shown to see.
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

/// Those objects of a kind that every cloud narrows lists of, and perhaps others: filters are not believed.
///
/// # Errors
/// If one of the requests fails.
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

/// The same in an order of the cloud's own, in which no place can be found again: where the marker's row is gone, it is
/// read from the start.
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
        let mut ask = Ask::get(CONNECTIONS.path());
        if client.variant().narrows {
            ask = missing.iter().fold(ask, |ask, id| ask.with("id", id));
        }
        let (answered, page) = listed(client, &CONNECTIONS, ask, fields, call).await?;
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

/// Which rows of a LIST are wanted.
#[derive(Clone, Copy)]
struct Rows<'a> {
    /// Of this kind.
    kind: &'a Kind,
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
        return Ok(row(client, wanted.kind, id, &["id"], call).await?.is_ok());
    }
    // Of several ids each shows its own row, of which a page may hold only the first.
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
    // `marker` without `limit` is ignored, and a cloud may cap what was not limited.
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
