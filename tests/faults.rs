//! Faults at every upstream call: call × fault → what happens.
//!
//! Each cell is a gateway of its own over a simulated cloud of its own, asked through gRPC, with one fault on a
//! real socket. It says how the use case ended for its client:
//!
//! | word | means |
//! | --- | --- |
//! | `ok` | it succeeds: the fault was passed over |
//! | `found` | it succeeds: the answer to the write was lost, and the gateway found that the write happened |
//! | `warned` | it succeeds, with a warning that names what could not be removed beside it |
//! | `down` | UNAVAILABLE / UPSTREAM_UNREACHABLE |
//! | `late` | DEADLINE_EXCEEDED / DEADLINE |
//! | `error` | UNAVAILABLE / UPSTREAM_ERROR |
//! | `broken` | UNAVAILABLE / UPSTREAM_BROKEN_ANSWER |
//! | `busy` | UNAVAILABLE / UPSTREAM_THROTTLED, and when to come back |
//! | `auth` | INTERNAL / UPSTREAM_AUTH; in a watch: UNKNOWN / UPSTREAM_AUTH and no outcome |
//! | `denied` | PERMISSION_DENIED / UPSTREAM_DENIED |
//! | `unsure` | UNKNOWN / WRITE_AMBIGUOUS, after a create with the mark to look for |
//! | `stale` | ABORTED / STALE_ETAG: somebody else was first |
//! | `rejected` | UNAVAILABLE / UPSTREAM_REJECTED: Keystone is not where it should be |
//! | `absent` | UNAVAILABLE / API_ABSENT |
//! | `undone`, `left` | the cloud's own refusal; what was made before it was removed again, or is named in the error |
//! | `on` | the watch says nothing during the fault, and ends with the right outcome after it |
//!
//! `×2` tells how often the request was sent, if not once: a read once more after its connection broke, anything
//! once more after a new login, and again some seconds later where there is time. It is not told of `unsure`, `left` and
//! `warned`: a lost write is looked for as long as there is time, and what did not end with its call is gone on with.
//!
//! A few that may surprise: `update:put-peer` × `refused` is `down` and leaves the session changed, since the cloud that
//! cannot be reached cannot be asked to change it back either; the error and `Backend.unfinished` name it. A PUT that
//! puts back is not sent again by its call, so that `update:undo-session` is `left` where `create:undo-peer` is `undone`.
//! A part that the account may not see (OpenStack's 403 at `delete:get-part`) is none that the gateway made, and stays.
//!
//! Where a lost write is looked for in vain, the circuit of its server opens meanwhile: nothing of a cell is another for it,
//! but that whoever comes at once after the fault may be told to come again in some seconds.
//!
//! What holds in every cell is held by `faults/holds.rs`: nothing is sent twice that must not be, nothing is
//! orphaned or made twice, all or nothing of a write is left once whoever goes on with it is done, errors carry the cloud's status and words and no key, the gateway hangs up on what is
//! endless, another backend notices nothing, and all goes on once the fault is over. What the words at the head
//! stand for is in `faults/columns.rs`, the requests at the left in `faults/rows.rs`.
//!
//! A plain run tries every third cell of a table of more than three columns, of each row and each column some; `FAULTS=all` tries each.
//! `FAULTS_ROW=create cargo test --test faults` does only the rows with `create` in their name, and all cells of them.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

#[path = "faults/bench.rs"]
mod bench;
#[path = "faults/cell.rs"]
mod cell;
#[path = "faults/columns.rs"]
mod columns;
#[path = "faults/edited.rs"]
mod edited;
#[path = "faults/foreign.rs"]
mod foreign;
#[path = "faults/holds.rs"]
mod holds;
#[path = "faults/rows.rs"]
mod rows;
#[path = "faults/run.rs"]
mod run;
mod support;
#[path = "faults/watched.rs"]
mod watched;

use bench::Bystander;
use cell::Cell;
use columns::{COLUMNS, Column, Dialect, EDITED, FOREIGN};
use futures_util::FutureExt;
use http::Method;
use isthmus::simulator::faults::Gate;
use rows::Row;
use std::{env, fmt::Write, panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::{sync::Semaphore, task::JoinSet};

const NSX: &str = "
call                  late     refused  reset    lost     cut      endless  garbage  502html  type     deep     50MB     401      403      429      429after 500      503      503page  503done  503goes  307
probe:login           late     down     down     down     ok       broken   down     error    broken   broken   broken   auth     auth     busy     busy     error    error    error    error    error    error
probe:sessions        late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×2   auth×2   busy     busy     error    error    error    error    error    error
any:login-again       late     down     down     down     ok       broken   down     error    broken   broken   broken   auth×2   auth×2   busy     busy     error    error    error    error    error    error
get:session           late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×3   auth×3   busy     busy     error    error    error    error    error    error
get:peer              late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×3   auth×3   busy     busy     error    error    error    error    error    error
list:sessions         late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×3   auth×3   busy     busy     error    error    error    error    error    error
list:peer             late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×3   auth×3   busy     busy     error    error    error    error    error    error
list:peers            late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×3   auth×3   busy     busy     error    error    error    error    error    error
create:peer           found    down     unsure   found    found    unsure   unsure   unsure   unsure   unsure   unsure   auth×2   auth×2   busy     busy     error    unsure   unsure   found    found    error
create:peer-lost      unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   ok×2     ok       ok       ok       unsure
create:session        found    down     unsure   found    found    unsure   unsure   unsure   unsure   unsure   unsure   auth×2   auth×2   busy     busy     error    unsure   unsure   found    found    error
create:session-lost   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   ok×2     ok       ok       ok       unsure
create:undo-peer      undone   left     left     undone   undone   left     left     left     left     left     left     left     left     left     left     left     undone×2 undone   undone   undone   left
update:get-session    late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×3   auth×3   busy     busy     error    error    error    error    error    error
update:get-peer       late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×3   auth×3   busy     busy     error    error    error    error    error    error
update:put-session    found    down     unsure   found    found    unsure   unsure   unsure   unsure   unsure   unsure   auth×2   auth×2   busy     busy     error    unsure   unsure   found    found    error
update:session-lost   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   ok×2     ok       ok       ok       unsure
update:put-peer       found    down     unsure   found    found    unsure   unsure   unsure   unsure   unsure   unsure   auth×2   auth×2   busy     busy     error    unsure   unsure   found    found    error
update:put-key        found    down     unsure   found    found    unsure   unsure   unsure   unsure   unsure   unsure   auth×2   auth×2   busy     busy     error    unsure   unsure   found    found    error
update:peer-lost      unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   ok×2     ok       ok       ok       unsure
update:undo-get       left     left     left     left     left     left     left     left     left     left     left     left     left     left     left     left     left     left     left     left     left
update:undo-session   undone   left     left     undone   undone   left     left     left     left     left     left     left     left     left     left     left     left     left     undone   undone   left
delete:get-session    late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×3   auth×3   busy     busy     error    error    error    error    error    error
delete:get-peer       late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×3   auth×3   busy     busy     error    error    error    error    error    error
delete:get-part       late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×3   auth×3   busy     busy     error    error    error    error    error    error
delete:session        found    down     unsure   found    found    unsure   unsure   unsure   unsure   unsure   unsure   auth×2   auth×2   busy     busy     error    unsure   unsure   found    found    error
delete:session-lost   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   ok×2     ok       ok       ok       unsure
delete:peer           found    warned   warned   found    found    warned   warned   warned   warned   warned   warned   warned   warned   warned   warned   warned   found×2  found    found    found    warned
delete:peer-lost      warned   warned   warned   warned   warned   warned   warned   warned   warned   warned   warned   warned   warned   warned   warned   warned   ok×2     ok       ok       ok       warned
look:state            late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×2   auth×2   busy     busy     error    error    error    error    error    error
look:session          late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×2   auth×2   busy     busy     error    error    error    error    error    error
look:tunnel           late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×2   auth×2   busy     busy     error    error    error    error    error    error
gone:state            late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×2   auth×2   busy     busy     error    error    error    error    error    error
gone:session          late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×2   auth×2   busy     busy     error    error    error    error    error    error
gone:sessions         late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×2   auth×2   busy     busy     error    error    error    error    error    error
watch-all:sessions    late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×2   auth×2   busy     busy     error    error    error    error    error    error
watch:state-of-write  on       on       on       on       on       on       on       on       on       on       on       auth     auth     on       on       on       on       on       on       on       on
watch-gone:state      on       on       on       on       on       on       on       on       on       on       on       auth     auth     on       on       on       on       on       on       on       on
";

const OPENSTACK: &str = "
call                  late     refused  reset    lost     cut      endless  garbage  502html  type     deep     50MB     401      403      429      429after 500      503      503page  503done  503goes  307
probe:login           late     down     down     down     down     broken   down     error    broken   broken   broken   auth     auth     busy     busy     error    error    error    error    error    error
probe:list            late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×2   denied   busy     busy     error    error    error    error    error    error
probe:sees-services   late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×2   denied   busy     busy     error    error    error    error    error    error
any:login-again       late     down     down     down     down     broken   down     error    broken   broken   broken   auth×2   auth×2   busy     busy     error    error    error    error    error    error
get:one               late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×3   denied   busy     busy     error    error    error    error    error    error
get:foreign-404       late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×3   denied   busy     busy     error    error    error    error    error    error
list:many             late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×3   denied   busy     busy     error    error    error    error    error    error
create:post           found    down     unsure   found    found    unsure   unsure   unsure   unsure   unsure   unsure   auth×2   denied   busy     busy     error    error    unsure   found    found    error
create:lost-list      unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   ok×2     ok       ok       ok       unsure
create:lost-get       unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   ok×2     ok       ok       ok       unsure
create-otc:before     late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×3   denied   busy     busy     error    error    error    error    error    error
create-otc:post       found    down     unsure   found    found    unsure   unsure   unsure   unsure   unsure   unsure   auth×2   denied   busy     busy     error    error    unsure   found    found    error
update:get            late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×3   denied   busy     busy     error    error    error    error    error    error
update:put            found    down     unsure   found    found    unsure   unsure   unsure   unsure   unsure   unsure   auth×2   denied   busy     busy     error    error    unsure   found    found    error
update:put-key        unsure   down     unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   auth×2   denied   busy     busy     error    error    unsure   unsure   unsure   error
update:lost           unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   ok×2     ok       ok       ok       unsure
delete:get            late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×3   denied   busy     busy     error    error    error    error    error    error
delete:get-part       late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×3   ok       busy     busy     error    error    error    error    error    error
delete:delete         found    down     unsure   found    found    unsure   unsure   unsure   unsure   unsure   unsure   auth×2   denied   busy     busy     error    error    unsure   found    found    error
delete:lost           unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   ok×2     ok       ok       ok       unsure
delete:lost-list      unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   unsure   ok×2     ok       ok       ok       unsure
look:one              late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×2   denied   busy     busy     error    error    error    error    error    error
gone:one              late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×2   denied   busy     busy     error    error    error    error    error    error
gone:list             late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×2   denied   busy     busy     error    error    error    error    error    error
gone:sees-services    late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×2   denied   busy     busy     error    error    error    error    error    error
gone:sees-list        late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×2   denied   busy     busy     error    error    error    error    error    error
watch-all:list        late     down     down×2   down×2   down×2   broken   down×2   error    broken   broken   broken   auth×2   denied   busy     busy     error    error    error    error    error    error
watch-many:list       on       on       on       on       on       on       on       on       on       on       on       auth     auth     on       on       on       on       on       on       on       on
watch:one             on       on       on       on       on       on       on       on       on       on       on       auth     auth     on       on       on       on       on       on       on       on
watch-gone:one        on       on       on       on       on       on       on       on       on       on       on       auth     auth     on       on       on       on       on       on       on       on
";

/// Cells under way at the same time, of all tables: most of their time they wait.
static FREE: Semaphore = Semaphore::const_new(64);

/// The name of the variable that has every cell tried.
const ALL: &str = "FAULTS";
/// Every so many-th cell is tried in a plain run.
const PLAIN_RUN: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_at_each_call_of_nsx_ends_as_the_table_says() {
    check(Dialect::Nsx, NSX, &COLUMNS, every).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_foreign_404_at_any_call_of_nsx_passes_for_its_own() {
    check(Dialect::Nsx, foreign::NSX, &FOREIGN, every).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_foreign_404_at_any_call_of_openstack_passes_for_its_own() {
    check(Dialect::Openstack, foreign::OPENSTACK, &FOREIGN, every).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_at_each_call_of_openstack_ends_as_the_table_says() {
    check(Dialect::Openstack, OPENSTACK, &COLUMNS, every).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_lost_beside_somebody_elses_is_told_as_it_is_by_nsx() {
    check(Dialect::Nsx, edited::NSX, &EDITED, changes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_lost_beside_somebody_elses_is_told_as_it_is_by_openstack() {
    check(Dialect::Openstack, edited::OPENSTACK, &EDITED, changes).await;
}

/// Every row.
fn every(_: &Row) -> bool {
    true
}

/// The rows whose fault strikes a PUT.
fn changes(row: &Row) -> bool {
    row.name.starts_with("update:put")
}

async fn check(
    dialect: Dialect,
    table: &str,
    columns: &[(&str, Column)],
    wanted: fn(&Row) -> bool,
) {
    columns::prepare();
    let mut rows = rows::rows(dialect);
    rows.retain(wanted);
    let bystander = Bystander::start();
    let mut cells = JoinSet::new();
    let only = env::var("FAULTS_ROW").unwrap_or_default();
    let nth = match env::var(ALL).as_deref() {
        Ok("all") => 1,
        Ok(other) => panic!("{ALL} is `all` or nothing, not `{other}`"),
        Err(_) if only.is_empty() && columns.len() > PLAIN_RUN => PLAIN_RUN,
        Err(_) => 1,
    };
    let is_tried = |row: usize, column: usize| (row + column).is_multiple_of(nth);
    for (at, row) in rows
        .iter()
        .enumerate()
        .filter(|(_, row)| row.name.contains(&only))
    {
        for (column, (_, fault)) in columns.iter().copied().enumerate() {
            if !is_tried(at, column) {
                continue;
            }
            let (row, bystander) = (row.clone(), Arc::clone(&bystander));
            cells.spawn(async move {
                let _free = FREE.acquire().await.unwrap();
                let cell = Cell {
                    row: &row,
                    column: fault,
                    dialect,
                    bystander: &bystander,
                    edited: Gate::default(),
                };
                let run = tokio::time::timeout(Duration::from_secs(120), cell.run());
                let (word, why) = match AssertUnwindSafe(run).catch_unwind().await {
                    Ok(Ok(word)) => (word, None),
                    Ok(Err(_)) => ("HANGS".to_owned(), None),
                    Err(panic) => {
                        let text = panic.downcast_ref::<String>().cloned();
                        let text = text
                            .or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()));
                        let why = format!("{} × {fault:?}: {}", row.name, text.unwrap_or_default());
                        ("PANICS".to_owned(), Some(why))
                    }
                };
                (at, column, word, why)
            });
        }
    }
    // What is not tried is taken to be as the table says.
    let said = |row: &Row| -> Vec<String> {
        let mut lines = table.lines().map(str::split_whitespace);
        let words = lines.find_map(|mut words| (words.next() == Some(row.name)).then_some(words));
        words.into_iter().flatten().map(str::to_owned).collect()
    };
    let mut found: Vec<Vec<String>> = rows.iter().map(said).collect();
    for (row, words) in found.iter_mut().enumerate() {
        words.resize(columns.len(), String::new());
        for (column, word) in words.iter_mut().enumerate() {
            if is_tried(row, column) {
                word.clear();
            }
        }
    }
    let mut broken = Vec::new();
    while let Some(cell) = cells.join_next().await {
        let (row, column, word, why) = cell.unwrap();
        found[row][column] = word;
        broken.extend(why);
    }
    for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
        let followed = bystander.cloud.requests().count(&method, "/elsewhere");
        assert_eq!(followed, 0, "a redirect was followed");
    }
    let heads: Vec<String> = columns.iter().map(|(head, _)| (*head).to_owned()).collect();
    let done = rows
        .iter()
        .zip(found)
        .filter(|(row, _)| row.name.contains(&only));
    let shown: Vec<String> = std::iter::once(line("call", &heads))
        .chain(done.map(|(row, words)| line(row.name, &words)))
        .collect();
    let expected: Vec<&str> = table
        .lines()
        .filter(|line| line.starts_with("call ") || line.contains(&only))
        .filter(|line| !line.is_empty())
        .collect();
    let differ = shown
        .iter()
        .filter(|line| !expected.contains(&line.as_str()));
    let differ: Vec<&str> = differ.map(String::as_str).collect();
    assert!(
        expected == shown,
        "these lines differ:\n{}\n{}",
        differ.join("\n"),
        broken.join("\n"),
    );
}

fn line(name: &str, words: &[String]) -> String {
    let mut line = format!("{name:<21}");
    for word in words {
        write!(line, " {word:<8}").unwrap();
    }
    line.trim_end().to_owned()
}
