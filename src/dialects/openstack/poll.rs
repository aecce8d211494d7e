//! Polls connections: one LIST for many, a GET for one, and a GET for each that the LIST did not show.

use crate::{
    core::dialect::{Call, Target, Tell},
    dialects::openstack::{
        client::Client,
        read::{self, Shown},
        status,
        wire::{Body, kind::CONNECTIONS},
    },
    model::Sighting,
};
use futures_util::future::join_all;
use std::collections::HashMap;

/// The fields a poll needs. `psk` is not among them, so the cloud does not even send it.
const FIELDS: [&str; 3] = ["id", "status", "admin_state_up"];

/// The most characters of ids in one URL. Front ends refuse URLs of 4,000 to 8,000 characters.
const LONGEST_IDS: usize = 3_500;

/// Polls the targets and reports each to `tell` by its index. Returns the ids of all connections if one LIST showed
/// everything.
pub async fn poll(
    client: &Client,
    targets: &[Target],
    call: &Call,
    tell: Tell<'_>,
) -> Option<Vec<String>> {
    let mut all = None;
    let mut done = 0;
    while done < targets.len() {
        let rest = &targets[done..];
        let once = match client.variant().narrows {
            true => fitting(rest),
            false => rest.len(),
        };
        let tell = |place: usize, seen| tell(done + place, seen);
        all = poll_once(client, &rest[..once], call, &tell).await;
        done += once;
    }
    all
}

/// Returns how many of these targets fit into one LIST, at least one.
fn fitting(targets: &[Target]) -> usize {
    let mut length = 0;
    let fits = targets.iter().take_while(|target| {
        // `&id=`, and at worst every byte as `%xx`.
        let bytes = target.id.bytes();
        length += 4 + bytes
            .map(|byte| {
                if byte.is_ascii_alphanumeric() || byte == b'-' {
                    1
                } else {
                    3
                }
            })
            .sum::<usize>();
        length <= LONGEST_IDS
    });
    fits.count().max(1)
}

async fn poll_once(
    client: &Client,
    targets: &[Target],
    call: &Call,
    tell: Tell<'_>,
) -> Option<Vec<String>> {
    if let [target] = targets {
        let row = read::row(client, &CONNECTIONS, &target.id, &FIELDS, call).await;
        tell(0, row.map(seen));
        return None;
    }
    let ids: Vec<&str> = targets.iter().map(|target| target.id.as_str()).collect();
    let Shown { rows, all } = match read::some(client, &ids, &FIELDS, call).await {
        Ok(some) => some,
        Err(error) => {
            (0..ids.len()).for_each(|place| tell(place, Err(error.clone())));
            return None;
        }
    };
    let rows: HashMap<String, Body> = rows.into_iter().map(|row| (row.id(), row)).collect();
    let mut unlisted = Vec::new();
    for (place, id) in ids.into_iter().enumerate() {
        match rows.get(id) {
            Some(row) => tell(place, Ok(sighting(row))),
            None => unlisted.push((place, id)),
        }
    }
    // Absence from a LIST proves nothing: the LIST may be capped, or hide rows.
    let each = unlisted.into_iter().map(async |(place, id)| {
        let row = read::unlisted_row(client, &CONNECTIONS, id, &FIELDS, call).await;
        tell(place, row.map(seen));
    });
    join_all(each).await;
    all
}

/// Translates a row, or the cloud's words that prove that there is none.
fn seen(row: std::result::Result<Body, String>) -> Sighting {
    match row {
        Ok(row) => sighting(&row),
        Err(words) => status::gone(&words),
    }
}

fn sighting(row: &Body) -> Sighting {
    status::sighting(row.status().as_deref(), row.admin_enabled())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_never_grows_too_long() {
        let target = |id: String| Target {
            id,
            ..Target::default()
        };
        let uuids: Vec<Target> = (0..200).map(|n| target(format!("{n:036}"))).collect();
        assert_eq!(fitting(&uuids), 87);
        let long: Vec<Target> = (0..9).map(|_| target("ä".repeat(120))).collect();
        assert_eq!(fitting(&long), 4);
        let longest = [target("&".repeat(2000))];
        assert_eq!(fitting(&longest), 1);
    }
}
