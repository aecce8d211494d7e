//! Each file of `examples/sites` on each cloud.

use crate::{
    clouds::{Clouds, backend},
    description::{as_shown, missing, read, with_key},
    support::site::World,
    table::{COLUMNS, Cell, FILES, cell, path_of, text_of},
};
use serde_json::Value;
use std::{collections::BTreeSet, fs};

macro_rules! files {
    ($($test:ident => $file:literal,)+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            on_every_cloud($file).await;
        })+

        #[test]
        fn no_file_and_no_cell_is_left_out() {
            let folder = path_of("").parent().unwrap().to_owned();
            let names = fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name());
            let names = names.map(|it| it.into_string().unwrap());
            let there: BTreeSet<String> = names.filter(|it| it.ends_with(".yaml")).collect();
            let named = |file: &str| format!("{file}.yaml");
            assert_eq!(there, [$($file),+].map(named).into());
            assert_eq!(there, FILES.map(|(file, _)| named(file)).into());
        }
    };
}

files! {
    a_policy_based_site => "policy-based",
    a_site_of_two_networks => "two-networks",
    a_route_based_site => "route-based",
    strong_proposals => "strong",
    legacy_proposals => "legacy",
}

async fn on_every_cloud(file: &str) {
    let clouds = Clouds::start().await;
    for world in COLUMNS {
        let at = format!("{file} on {world:?}");
        match cell(file, world) {
            Cell::Takes(warned) => taken(&clouds, world, file, warned, &at).await,
            refused => {
                let (objects, writes) = (clouds.objects(world), clouds.writes(world));
                let said = clouds.apply_file(world, &path_of(file), &["--wait"]).await;
                said.is_refused(refused.fields(), &at);
                let after = (clouds.objects(world), clouds.writes(world));
                assert_eq!(after, (objects, writes), "{at}");
            }
        }
    }
}

/// Made, real, shown as it is described, the same when it is applied again, and removed.
async fn taken(clouds: &Clouds, world: World, file: &str, warned: &[&str], at: &str) {
    let before = clouds.objects(world);
    let (path, wanted) = (path_of(file), read(&text_of(file)));
    let said = clouds.apply_file(world, &path, &["--wait"]).await;
    said.is_taken("created", warned, at);
    let name = is_real(clouds, world, &wanted, at).await;
    let shown = shown_as(clouds, world, &name, &wanted, at).await;

    let (objects, writes) = (clouds.objects(world), clouds.writes(world));
    let again = clouds.apply_file(world, &path, &["--wait"]).await;
    again.is_taken("unchanged", warned, at);
    // And what the cloud itself describes is what it has.
    let export = with_key(shown);
    let again = clouds.apply(world, &export, &[]).await;
    again.is_taken("unchanged", &[], at);
    assert_eq!(
        (clouds.objects(world), clouds.writes(world)),
        (objects, writes),
        "{at}"
    );

    let path = path.to_string_lossy();
    let removed = clouds
        .isthmus(&["delete", "-f", &path, backend(world)])
        .await;
    removed.done(at);
    clouds.comes_to(world, &before, at).await;
}

/// There is one connection of this description, which is in place; its name.
pub async fn is_real(clouds: &Clouds, world: World, wanted: &Value, at: &str) -> String {
    let display_name = wanted["connection"]["displayName"].as_str().unwrap();
    let named = clouds.named(world, display_name).await;
    assert_eq!(named.len(), 1, "{at}: {named:?}");
    let name = named[0]["name"].as_str().unwrap().to_owned();
    clouds.comes_to_rest(&name, at).await;
    name
}

/// `get -o yaml` shows what was wanted, as this cloud takes it; all that it shows.
pub async fn shown_as(
    clouds: &Clouds,
    world: World,
    name: &str,
    wanted: &Value,
    at: &str,
) -> Value {
    let said = clouds.isthmus(&["get", name, "-o", "yaml"]).await.done(at);
    let shown = read(&said.out);
    let capabilities = clouds.capabilities(world).await;
    let wanted = as_shown(wanted, &capabilities);
    let compared = as_shown(&shown, &capabilities);
    assert_eq!(
        missing(&compared, &wanted, ""),
        Vec::<String>::new(),
        "{at}: {shown:#}"
    );
    shown
}
