//! Each file of `examples/sites` on each cloud.

use crate::{
    clouds::{Clouds, backend},
    command::{Said, apply_file, isthmus},
    description::{as_shown, missing, read, with_key},
    support::site::World,
    table::{COLUMNS, Cell, FILES},
};
use isthmus::grpc::pb::RealizationState as State;
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::PathBuf};

/// The path of a file.
pub fn path_of(file: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/sites");
    folder.join(format!("{file}.yaml"))
}

/// What is wanted by a file.
pub fn text_of(file: &str) -> String {
    let path = path_of(file);
    fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

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

/// What has to become of a file on a cloud.
pub fn cell(file: &str, world: World) -> Cell {
    let (_, cells) = FILES.iter().find(|(name, _)| *name == file).unwrap();
    cells[COLUMNS.iter().position(|it| *it == world).unwrap()]
}

async fn on_every_cloud(file: &str) {
    let clouds = Clouds::start().await;
    for world in COLUMNS {
        let at = format!("{file} on {world:?}");
        match cell(file, world) {
            Cell::Takes(warned) => taken(&clouds, world, file, warned, &at).await,
            refused => {
                let (objects, writes) = (clouds.objects(world), clouds.writes(world));
                let said = apply_file(&clouds, world, &path_of(file), &["--wait"]).await;
                is_refused(&said, refused, &at);
                assert_eq!(clouds.objects(world), objects, "{at}");
                let sent_nothing = clouds.writes(world) == writes;
                assert_eq!(sent_nothing, refused != Cell::Fails, "{at}");
            }
        }
    }
}

/// What was applied was refused as it should be.
#[track_caller]
pub fn is_refused(said: &Said, cell: Cell, at: &str) {
    assert_ne!(said.code, 0, "{at}: {said:#?}");
    let Cell::Refuses(fields) = cell else {
        return assert_eq!(said.refused(), BTreeSet::new(), "{at}: {said:#?}");
    };
    assert_eq!(
        said.refused(),
        fields.iter().map(|it| (*it).to_owned()).collect(),
        "{at}: {said:#?}"
    );
}

/// What was applied was taken, with these warnings.
#[track_caller]
pub fn is_taken(said: &Said, what: &str, warned: &[&str], at: &str) {
    assert_eq!(said.code, 0, "{at}: {said:#?}");
    let first = said
        .out
        .lines()
        .any(|line| line.starts_with(&format!("{what} ")));
    assert!(first, "{at} is not {what}: {said:#?}");
    assert_eq!(
        said.warned(),
        warned.iter().map(|it| (*it).to_owned()).collect(),
        "{at}: {said:#?}"
    );
}

/// Made, real, shown as it is described, the same when it is applied again, and removed.
async fn taken(clouds: &Clouds, world: World, file: &str, warned: &[&str], at: &str) {
    let before = clouds.objects(world);
    let (path, wanted) = (path_of(file), read(&text_of(file)));
    let said = apply_file(clouds, world, &path, &["--wait"]).await;
    is_taken(&said, "created", warned, at);
    let name = is_real(clouds, world, &wanted, at).await;
    let shown = shown_as(clouds, world, &name, &wanted, at).await;

    let (objects, writes) = (clouds.objects(world), clouds.writes(world));
    let again = apply_file(clouds, world, &path, &["--wait"]).await;
    is_taken(&again, "unchanged", warned, at);
    // And what the cloud itself describes is what it has.
    let export = with_key(shown).to_string();
    let again = crate::command::apply(clouds, world, &export, &[]).await;
    is_taken(&again, "unchanged", &[], at);
    assert_eq!(
        (clouds.objects(world), clouds.writes(world)),
        (objects, writes),
        "{at}"
    );

    let path = path.to_string_lossy();
    let removed = isthmus(clouds, &["delete", "-f", &path, backend(world)], "").await;
    removed.done(at);
    clouds.comes_to(world, &before, at).await;
}

/// There is one connection of this description, which is in place; its name.
pub async fn is_real(clouds: &Clouds, world: World, wanted: &Value, at: &str) -> String {
    let display_name = wanted["connection"]["displayName"].as_str().unwrap();
    let named = clouds.named(world, display_name).await;
    assert_eq!(named.len(), 1, "{at}: {named:?}");
    let name = named[0]["name"].as_str().unwrap().to_owned();
    let state = clouds.running.poll(&name).await.unwrap().state();
    assert!(
        matches!(state, State::Realized | State::Active),
        "{at}: {state:?}"
    );
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
    let said = isthmus(clouds, &["get", name, "-o", "yaml"], "")
        .await
        .done(at);
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
