//! One file with an attachment for every cloud: asked about, applied and removed by one command each.

use crate::{
    clouds::{CLOUDS, Clouds, backend},
    command::isthmus,
    description::read,
    files::{is_real, shown_as},
    table::{Cell, FILES, cell, text_of},
};
use serde_json::{Value, json};

/// A file with where it is attached on each cloud.
fn attached(clouds: &Clouds, file: &str) -> Value {
    let mut description = read(&text_of(file));
    for world in CLOUDS {
        let mut attachment = json!({});
        for (option, value) in clouds.attachment(world) {
            let field = match option {
                "--router" => "router",
                "--local-address" => "localAddress",
                "--availability-zone" => "availabilityZone",
                other => panic!("{other} is no attachment"),
            };
            attachment[field] = json!(value);
        }
        description["backends"][backend(world)] = attachment;
    }
    description
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_file_is_applied_to_every_cloud_at_once() {
    let clouds = Clouds::start().await;
    let before = CLOUDS.map(|world| clouds.objects(world));
    let description = attached(&clouds, "policy-based");
    let text = description.to_string();
    let run = async |arguments: &[&str]| {
        let said = isthmus(clouds.running.addr, arguments, &text).await;
        said.done("policy-based everywhere")
    };
    let created = run(&["apply", "-f", "-", "--wait"]).await;
    let lines = |out: &str, word: &str| {
        let begins = |line: &&str| line.starts_with(&format!("{word} "));
        out.lines().filter(begins).count()
    };
    assert_eq!(lines(&created.out, "created"), CLOUDS.len(), "{created:#?}");
    for world in CLOUDS {
        let at = format!("policy-based on {world:?}");
        let name = is_real(&clouds, world, &description, &at).await;
        shown_as(&clouds, world, &name, &description, &at).await;
    }
    let writes = CLOUDS.map(|world| clouds.writes(world));
    let again = run(&["apply", "-f", "-", "--wait"]).await;
    assert_eq!(lines(&again.out, "unchanged"), CLOUDS.len(), "{again:#?}");
    assert_eq!(CLOUDS.map(|world| clouds.writes(world)), writes);
    run(&["delete", "-f", "-"]).await;
    for (world, before) in CLOUDS.into_iter().zip(&before) {
        clouds.comes_to(world, before, "removed everywhere").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_checked_is_what_is_promised_and_nothing_is_written() {
    let clouds = Clouds::start().await;
    let writes = CLOUDS.map(|world| clouds.writes(world));
    for (file, _) in FILES {
        let text = attached(&clouds, file).to_string();
        let said = isthmus(clouds.running.addr, &["check", "-f", "-"], &text).await;
        let cells = CLOUDS.map(|world| cell(file, world));
        let is_refused = cells.iter().any(|it| matches!(it, Cell::Refuses(_)));
        assert_eq!(
            said.code,
            if is_refused { 2 } else { 0 },
            "{file}: {said:#?}"
        );
        for (world, cell) in CLOUDS.into_iter().zip(cells) {
            let told = match cell {
                Cell::Takes([]) => "yes",
                Cell::Takes(_) => "with warnings",
                Cell::Refuses(_) => "no",
            };
            let row = said.out.lines().find_map(|line| {
                let rest = line.strip_prefix(backend(world))?;
                rest.strip_prefix(' ')?.trim().split("  ").next()
            });
            assert_eq!(row, Some(told), "{file} on {world:?}: {said:#?}");
            for field in cell.fields() {
                assert!(
                    said.all().contains(field),
                    "{file} on {world:?} {field}: {said:#?}"
                );
            }
        }
    }
    assert_eq!(CLOUDS.map(|world| clouds.writes(world)), writes);
}
