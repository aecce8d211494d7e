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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_each_cloud_describes_is_taken_or_refused_by_each_other() {
    let rows = MATRIX.iter().map(|(file, rows)| async move {
        let mut lines = vec![
            format!("\n{file}: from (row) to (column)"),
            line("", &BOTH_WAYS.map(backend)),
        ];
        for (from, row) in BOTH_WAYS.into_iter().zip(rows) {
            let cells = cells(file, from, row).await;
            lines.push(line(backend(from), &cells));
        }
        lines.join("\n")
    });
    for table in join_all(rows).await {
        println!("{table}");
    }
}

fn line<T: AsRef<str>>(first: &str, cells: &[T]) -> String {
    let cells = cells.iter().map(|it| format!("{:<34}", it.as_ref()));
    format!("  {first:<8} {}", cells.collect::<String>())
        .trim_end()
        .to_owned()
}

/// One row: what `from` describes of a file, on each other cloud.
async fn cells(file: &str, from: World, row: &[Option<Cell>; BOTH_WAYS.len()]) -> Vec<String> {
    if row.iter().all(Option::is_none) {
        return vec!["(not there)".to_owned(); row.len()];
    }
    let clouds = Clouds::start().await;
    let export = exported(&clouds, file, from).await;
    let mut told = Vec::new();
    for (to, cell) in BOTH_WAYS.into_iter().zip(row) {
        told.push(match cell {
            None => "-".to_owned(),
            Some(cell) => {
                applied(
                    &clouds,
                    &export,
                    to,
                    *cell,
                    &format!("{file} from {from:?} to {to:?}"),
                )
                .await;
                words(*cell)
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

async fn applied(clouds: &Clouds, export: &Value, to: World, cell: Cell, at: &str) {
    let (objects, writes) = (clouds.objects(to), clouds.writes(to));
    let said = clouds.apply(to, export, &["--wait"]).await;
    let Cell::Takes(warned) = cell else {
        said.is_refused(cell.fields(), at);
        assert_eq!(
            (clouds.objects(to), clouds.writes(to)),
            (objects, writes),
            "{at}"
        );
        return;
    };
    said.is_taken("created", warned, at);
    let name = is_real(clouds, to, export, at).await;
    shown_as(clouds, to, &name, export, at).await;
    let writes = clouds.writes(to);
    let again = clouds.apply(to, export, &[]).await;
    again.is_taken("unchanged", warned, at);
    assert_eq!(clouds.writes(to), writes, "{at}");
}

/// A cell, for people.
fn words(cell: Cell) -> String {
    let fields = |fields: &[&str]| {
        let short = |it: &&str| it.rsplit('.').next().unwrap_or_default().to_owned();
        let mut each: Vec<String> = fields.iter().map(short).collect();
        each.dedup();
        each.join(", ")
    };
    match cell {
        Cell::Takes([]) => "realized".to_owned(),
        Cell::Takes(warned) => format!("realized, warns: {}", fields(warned)),
        Cell::Refuses(by) => format!("refused: {}", fields(by)),
        Cell::Fails => "fails".to_owned(),
    }
}
