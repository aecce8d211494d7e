//! What one cloud describes of a site that it has, applied to each other: two commands, and the key.

use crate::{
    clouds::{Clouds, backend},
    description::{read, renamed, with_key},
    files::{is_real, shown_as},
    support::site::World,
    table::{BOTH_WAYS, Cell, MATRIX, path_of, text_of},
};
use futures_util::future::join_all;
use serde_json::Value;
use std::collections::BTreeSet;

/// The cells of one row, as they are and as they are to be.
type Row = Vec<(String, String)>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_each_cloud_describes_is_taken_or_refused_by_each_other() {
    let tables = MATRIX.iter().map(|(file, rows)| async move {
        let rows = BOTH_WAYS.into_iter().zip(rows);
        let rows = rows.map(|(from, row)| cells(file, from, row));
        (file, join_all(rows).await)
    });
    let mut wrong = Vec::new();
    for (file, rows) in join_all(tables).await {
        println!(
            "\n{file}: what a row describes, on a column\n{}",
            table(&rows)
        );
        for (from, row) in BOTH_WAYS.into_iter().zip(rows) {
            for (to, (is, should)) in BOTH_WAYS.into_iter().zip(row) {
                if is != should {
                    wrong.push(format!(
                        "{file} from {from:?} to {to:?}: {is}; not {should}"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What there is, for people.
fn table(rows: &[Row]) -> String {
    let mut lines = Vec::new();
    for (from, row) in BOTH_WAYS.into_iter().zip(rows) {
        for (to, (is, _)) in BOTH_WAYS.into_iter().zip(row) {
            lines.push(format!("  {:<8} {:<8} {is}", backend(from), backend(to)));
        }
    }
    lines.join("\n")
}

/// One row: what `from` describes of a file, on each other cloud.
async fn cells(file: &str, from: World, row: &[Option<Cell>; BOTH_WAYS.len()]) -> Row {
    let alike = |text: &str| (text.to_owned(), text.to_owned());
    if row.iter().all(Option::is_none) {
        return vec![alike("it has none"); row.len()];
    }
    let clouds = Clouds::start().await;
    let export = exported(&clouds, file, from).await;
    let mut told = Vec::new();
    for (to, cell) in BOTH_WAYS.into_iter().zip(row) {
        told.push(match cell {
            None => alike("-"),
            Some(cell) => {
                let at = format!("{file} from {from:?} to {to:?}");
                (applied(&clouds, &export, to, &at).await, words(*cell))
            }
        });
    }
    told
}

/// A file on a cloud, as that cloud describes it then; with the key, and not where it is attached there.
async fn exported(clouds: &Clouds, file: &str, from: World) -> Value {
    let at = format!("{file} on {from:?}");
    clouds
        .apply_file(from, &path_of(file), &["--wait"])
        .await
        .done(&at);
    let name = is_real(clouds, from, &read(&text_of(file)), &at).await;
    let said = clouds
        .isthmus(&["get", &name, "-o", "yaml"])
        .await
        .done(&at);
    with_key(renamed(read(&said.out), "brought-along"))
}

/// What becomes of an export on a cloud, as [`words`] says it.
async fn applied(clouds: &Clouds, export: &Value, to: World, at: &str) -> String {
    let (objects, writes) = (clouds.objects(to), clouds.writes(to));
    let said = clouds.apply(to, export, &["--wait"]).await;
    if said.code != 0 {
        let unchanged = (clouds.objects(to), clouds.writes(to));
        assert_eq!(unchanged, (objects, writes), "{at}: {said:#?}");
        return told("refused", said.refused().into_iter());
    }
    said.says("created", at);
    let name = is_real(clouds, to, export, at).await;
    shown_as(clouds, to, &name, export, at).await;
    let writes = clouds.writes(to);
    let again = clouds.apply(to, export, &[]).await;
    again.says("unchanged", at);
    assert_eq!(clouds.writes(to), writes, "{at}");
    assert_eq!(again.warned(), said.warned(), "{at}");
    told("realized", said.warned().into_iter())
}

/// A cell, for people.
fn words(cell: Cell) -> String {
    let what = match cell {
        Cell::Takes(_) => "realized",
        Cell::Refuses(_) => "refused",
    };
    told(what, cell.fields().iter().map(|it| (*it).to_owned()))
}

fn told(what: &str, fields: impl Iterator<Item = String>) -> String {
    let fields: BTreeSet<String> = fields.collect();
    let fields: Vec<String> = fields.into_iter().collect();
    match fields.is_empty() {
        true => what.to_owned(),
        false => format!("{what}: {}", fields.join(", ")),
    }
}
