//! Every request of a write of several objects goes wrong in every way. Whatever its caller was told then, the cloud comes to
//! be as if the write had been done whole, or not at all; what is left until then is named.

use super::{Bench, Object, consists_of, id_of, sorted, writes_of};
use crate::{
    columns::{self, Column},
    composite::{
        changes::{as_moved, told_by},
        made::{moved, tried},
        trouble::Trouble,
    },
    support::site::{Site, World},
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use http::Method;
use isthmus::simulator::faults::{Hits, Rule};
use serde_json::{Value, json};
use std::{collections::BTreeSet, env, future::Future, time::Duration};
use tokio::sync::Semaphore;
use tonic::Status;
use tonic_types::{ErrorDetail, StatusExt};

/// Long enough for a busy machine, and short for who waits for what never comes: a write gives up after six of them, and the
/// gateway takes two for what may be on its way.
const TIMEOUT: Duration = Duration::from_secs(1);

/// How many clouds of all tests are in trouble at one time: nearly all of that is waiting.
static PLACES: Semaphore = Semaphore::const_new(128);

/// How many of them start at the same time, in all tests: that is work.
static STARTING: Semaphore = Semaphore::const_new(4);

/// In a plain run each trouble strikes one of so many requests that follow each other, and another on the next cloud. With
/// this in the environment it strikes each of them.
const PLAIN_RUN: usize = 3;
const ALL: &str = "COMPOSITES";

/// One request of a write, and what becomes of it.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    /// Where.
    pub world: World,
    /// Which request of the write, from 0.
    pub step: usize,
    /// What happens to it.
    pub trouble: Trouble,
}

impl Cell {
    /// A gateway over its cloud that does not wait for long.
    pub async fn start(self) -> Bench {
        // Never closed.
        let _place = STARTING.acquire().await;
        let quick = |mut given: isthmus::dialects::settings::Given| {
            given.core.timeout = TIMEOUT;
            given
        };
        Bench {
            site: Site::with(self.world, quick).await,
        }
    }

    /// From now on the request of that step goes wrong, once. `method`: of a write that has one only.
    pub fn strike(self, bench: &Bench, method: Method) -> Hits {
        let fault = self.trouble.fault(self.world);
        let rule = Rule::on(method, "/vpn/", fault).after(self.step as u32);
        bench.site.faults().inject(rule.times(1))
    }

    /// The same of a write of several methods, by what it was planned to do. Answers what goes wrong, for whoever reads of its
    /// failure.
    pub fn strike_planned(self, bench: &Bench, plan: &Value) -> (Hits, String) {
        let plan = writes_of(plan);
        let (action, collection, _) = &plan[self.step];
        let earlier = plan[..self.step].iter().filter(|it| it.0 == *action);
        let method = match *action {
            "ACTION_CREATE" => Method::POST,
            "ACTION_UPDATE" => Method::PUT,
            _ => Method::DELETE,
        };
        let of_its_method = Cell {
            step: earlier.count(),
            ..self
        };
        let name = format!("{} ({action} {collection})", self.name());
        (of_its_method.strike(bench, method), name)
    }

    /// The cloud is there again, if it went.
    pub async fn goes_on(self, bench: &Bench) {
        if self.trouble.is_outage() {
            bench.site.server().restart().await.unwrap();
        }
    }

    /// For whoever reads of its failure.
    pub fn name(self) -> String {
        format!("{:?} at step {}", self.trouble, self.step)
    }
}

/// The cells of a write that takes so many requests on a cloud: each trouble strikes every `nth` of them.
fn cells(world: World, steps: usize, nth: usize) -> impl Iterator<Item = Cell> {
    let place = World::ALL.iter().position(|it| *it == world).unwrap();
    (0..steps).flat_map(move |step| {
        let each = Trouble::all(world).into_iter().enumerate();
        // No trouble is left out where there are fewer.
        let strikes = move |at: &usize| (at + step + place).is_multiple_of(nth.min(steps));
        each.filter(move |(at, _)| strikes(at))
            .map(move |(_, trouble)| Cell {
                world,
                step,
                trouble,
            })
    })
}

/// How many cells of a write there are on all clouds.
pub struct Count {
    /// In a plain run.
    pub plain_run: usize,
    /// If each trouble strikes each request.
    pub all: usize,
}

/// Goes through the cells of a write on all clouds, of which each takes so many requests.
pub async fn every<F: Future<Output = ()>>(
    steps: &[(World, usize)],
    count: Count,
    run: impl Fn(Cell) -> F,
) {
    columns::prepare();
    let (nth, wanted) = match env::var(ALL).as_deref() {
        Ok("all") => (1, count.all),
        Ok(other) => panic!("{ALL} is `all` or nothing, not `{other}`"),
        Err(_) => (PLAIN_RUN, count.plain_run),
    };
    assert!(steps.iter().map(|(world, _)| world).eq(&World::ALL));
    let cells: Vec<Cell> = steps
        .iter()
        .flat_map(|(world, steps)| cells(*world, *steps, nth))
        .collect();
    for world in World::ALL {
        for trouble in Trouble::all(world) {
            let strikes = |cell: &Cell| (cell.world, cell.trouble) == (world, trouble);
            assert!(cells.iter().any(strikes), "{trouble:?} is not on {world:?}");
        }
    }
    let run = &run;
    let runs = cells.into_iter().map(async |cell| {
        // Never closed.
        let _place = PLACES.acquire().await;
        run(cell).await;
    });
    let done = runs.collect::<FuturesUnordered<_>>().count().await;
    assert_eq!(done, wanted, "cells");
}

/// What a create or a removal of everything takes on each cloud.
fn whole() -> [(World, usize); World::ALL.len()] {
    World::ALL.map(|world| (world, consists_of(world).len()))
}

/// What an error names as left behind, and the mark that it was to have.
fn named(status: &Status) -> String {
    let details = status.get_error_details_vec();
    let names = details.iter().filter_map(|detail| match detail {
        ErrorDetail::ResourceInfo(info) => Some(info.resource_name.clone()),
        _ => None,
    });
    names.collect::<Vec<_>>().join(" ")
}

/// Fails unless an error names everything that is there and should not be, but for what only the step made whose answer
/// nobody has.
fn names_what_is_left(cell: Cell, bench: &Bench, before: &BTreeSet<Object>, status: &Status) {
    let unproven = consists_of(cell.world)[cell.step];
    for (collection, id) in bench.objects().difference(before) {
        let is_unproven = *collection == unproven || cell.trouble.is_outage();
        let named = named(status);
        assert!(
            is_unproven || named.contains(&format!("/{collection}/{id}")),
            "{}: {collection}/{id} is not in {named:?}",
            cell.name()
        );
    }
}

#[tokio::test]
async fn whatever_fails_of_a_create_leaves_nothing() {
    let count = Count {
        plain_run: 165,
        all: 495,
    };
    every(&whole(), count, create).await;
}

async fn create(cell: Cell) {
    let bench = cell.start().await;
    let before = bench.objects();
    let request = bench.inline(1).await;
    let hits = cell.strike(&bench, Method::POST);
    let answer = bench.create(&request).await;
    assert_eq!(hits.count(), 1, "{}", cell.name());
    cell.goes_on(&bench).await;
    let made = match answer {
        Ok(mut answer) => answer["connection"].take(),
        Err(status) => {
            names_what_is_left(cell, &bench, &before, &status);
            bench.comes_to(&before, &cell.name()).await;
            bench.is_at_rest(&cell.name()).await;
            assert_eq!(bench.objects(), before, "{}", cell.name());
            // And nothing stands in the way of the next.
            bench.made(&request).await
        }
    };
    let more = bench.more_than(&before);
    assert_eq!(more, sorted(consists_of(cell.world)), "{}", cell.name());
    bench.settle(&made);
    bench.delete(&made).await.unwrap();
    bench.comes_to(&before, &cell.name()).await;
}

#[tokio::test]
async fn whatever_fails_of_a_removal_is_removed_later() {
    let count = Count {
        plain_run: 165,
        all: 495,
    };
    every(&whole(), count, remove).await;
}

async fn remove(cell: Cell) {
    let bench = cell.start().await;
    let before = bench.objects();
    let made = bench.made(&bench.inline(1).await).await;
    let whole = bench.objects();
    let hits = cell.strike(&bench, Method::DELETE);
    let answer = bench.delete(&made).await;
    cell.goes_on(&bench).await;
    match answer {
        Ok(_) => {}
        // The first of them says that nothing was done.
        Err(_) if cell.step == 0 && bench.objects() == whole => {
            bench.is_at_rest(&cell.name()).await;
            if bench.objects() == whole {
                bench.delete(&made).await.unwrap();
            }
        }
        Err(_) => {}
    }
    bench.comes_to(&before, &cell.name()).await;
    bench.is_at_rest(&cell.name()).await;
    assert_eq!(bench.objects(), before, "{}", cell.name());
    assert_eq!(hits.count(), 1, "{}", cell.name());
}

#[tokio::test]
async fn whatever_fails_of_a_change_is_done_or_not() {
    let mut steps = Vec::new();
    for world in World::ALL {
        let bench = Bench::start(world).await;
        let made = bench.made(&bench.inline(1).await).await;
        let planned = bench.update(&tried(&moved(&bench, &made))).await.unwrap();
        steps.push((world, writes_of(&planned["plan"]).len()));
    }
    let count = Count {
        plain_run: 81,
        all: 198,
    };
    every(&steps, count, change).await;
}

async fn change(cell: Cell) {
    let bench = cell.start().await;
    let made = bench.made(&bench.inline(1).await).await;
    let (before, whole) = (told_by(&bench, &made), bench.objects().len());
    let request = moved(&bench, &made);
    let planned = bench.update(&tried(&request)).await.unwrap();
    let (hits, name) = cell.strike_planned(&bench, &planned["plan"]);
    let answer = bench.update(&request).await;
    cell.goes_on(&bench).await;
    assert_eq!(hits.count(), 1, "{name}");
    bench.is_at_rest(&name).await;
    bench.settle(&made);
    let after = told_by(&bench, &made);
    match answer {
        Ok(_) => assert_eq!(after, as_moved(), "{name}"),
        Err(_) => assert!(after == before || after == as_moved(), "{name}: {after:?}"),
    }
    assert_eq!(
        bench.objects().len(),
        whole,
        "{name}: {:?}",
        bench.objects()
    );
}

/// Where nothing can be removed either, the error names what is left; and once it can, that is removed.
pub async fn what_could_not_be_undone_is_named_and_undone_later(world: World) {
    let last = consists_of(world).len() - 1;
    let cell = Cell {
        world,
        step: last,
        trouble: Trouble::Says(400),
    };
    let bench = cell.start().await;
    let before = bench.objects();
    let request = bench.inline(1).await;
    cell.strike(&bench, Method::POST);
    let stuck = Rule::on(
        Method::DELETE,
        "/vpn/",
        Trouble::Of(Column::S500).fault(world),
    );
    bench.site.faults().inject(stuck);
    let status = bench.create(&request).await.unwrap_err();
    let left = bench.more_than(&before);
    assert_eq!(left, sorted(&consists_of(world)[..last]));
    names_what_is_left(cell, &bench, &before, &status);
    let told = bench.unfinished().await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["state"], "STATE_SETTLING");
    for (collection, id) in bench.objects().difference(&before) {
        let name = json!(format!("backends/a/{collection}/{id}"));
        let leftovers = told[0]["leftovers"].as_array().unwrap();
        assert!(leftovers.contains(&name), "{name} is not in {told:?}");
    }

    bench.site.faults().clear();
    bench.comes_to(&before, "once it can be removed").await;
    bench.is_at_rest("once it can be removed").await;
    let told = bench.unfinished().await;
    assert_eq!(told[0]["state"], "STATE_UNDONE", "{told:?}");
    let none = |it: &Value| it.as_array().is_none_or(Vec::is_empty);
    assert!(none(&told[0]["leftovers"]), "{told:?}");
    let made = bench.made(&request).await;
    assert!(!id_of(&made).is_empty());
}
