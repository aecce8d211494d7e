//! One gateway over every simulated cloud, each of which does its work by itself.

use crate::{
    command::{Said, isthmus},
    description::camel,
    support::{
        api::Api,
        clouds,
        running::Running,
        site::{Cloud, World},
    },
};
use http::Method;
use isthmus::{
    grpc::pb::RealizationState as State,
    simulator::{
        nsx::{self, Pace, inventory},
        openstack::{self, AgentPace},
    },
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, path::Path, time::Duration};
use tokio::time::{Instant, sleep};

/// The clouds that a description is for, by what their backends are called here.
pub const CLOUDS: [World; 5] = World::ALL;

/// How long a cloud takes for a step: long enough to be seen on its way.
const STEP: Duration = Duration::from_millis(50);

/// What a backend on this cloud is called.
pub fn backend(world: World) -> &'static str {
    match world {
        World::Nsx => "nsx",
        World::Neutron => "neutron",
        World::Newest => "neutron-2026-2",
        World::Otc => "otc",
        World::K5 => "k5",
    }
}

/// The gateway, and the clouds behind it.
pub struct Clouds {
    each: Vec<(World, Cloud)>,
    /// The gateway.
    pub running: Running,
    /// A client of it.
    pub api: Api,
}

impl Clouds {
    /// Starts all of them.
    pub async fn start() -> Clouds {
        let each: Vec<_> = CLOUDS.map(|world| (world, started(world))).into();
        let given = each.iter().map(|(world, cloud)| match cloud {
            Cloud::Nsx(cloud) => clouds::nsx(backend(*world), cloud),
            Cloud::Openstack(cloud) => {
                let given = clouds::openstack(backend(*world), cloud);
                given.with("variant", world.names().1)
            }
        });
        let running = Running::start(given.collect()).await;
        let api = Api::new(running.channel.clone());
        Clouds { each, running, api }
    }

    fn cloud(&self, world: World) -> &Cloud {
        let found = self.each.iter().find(|(it, _)| *it == world);
        &found.expect("every cloud was started").1
    }

    /// How often a cloud was asked to write anything so far.
    pub fn writes(&self, world: World) -> u64 {
        let (requests, prefix) = match self.cloud(world) {
            Cloud::Nsx(cloud) => (cloud.manager(0).requests(), "/api/v1/"),
            Cloud::Openstack(cloud) => (cloud.neutron().requests(), "/v2.0/"),
        };
        [Method::POST, Method::PUT, Method::PATCH, Method::DELETE]
            .iter()
            .map(|method| requests.count(method, prefix))
            .sum()
    }

    /// The ids of everything there is in a cloud, whoever made it.
    pub fn objects(&self, world: World) -> BTreeSet<String> {
        let named = |kind: String, id: &str| format!("{kind} {id}");
        match self.cloud(world) {
            Cloud::Nsx(cloud) => nsx::Kind::ALL
                .into_iter()
                .flat_map(|kind| {
                    let all = cloud.state().objects(kind).into_iter();
                    all.map(move |it| named(format!("{kind:?}"), it["id"].as_str().unwrap()))
                })
                .collect(),
            Cloud::Openstack(cloud) => openstack::Kind::ALL
                .into_iter()
                .flat_map(|kind| {
                    let ids = cloud.state().ids(kind).into_iter();
                    ids.map(move |id| named(format!("{kind:?}"), &id))
                })
                .collect(),
        }
    }

    /// Waits until nothing but this is in a cloud, and nothing of it is missing.
    pub async fn comes_to(&self, world: World, wanted: &BTreeSet<String>, at: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.objects(world) != *wanted {
            let now = self.objects(world);
            let (more, less) = (now.difference(wanted), wanted.difference(&now));
            assert!(
                Instant::now() < deadline,
                "{at}: too many {more:?}, missing {less:?}"
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until a cloud has done what it was asked for.
    pub async fn comes_to_rest(&self, name: &str, at: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let state = self.running.poll(name).await.unwrap().state();
            if matches!(state, State::Realized | State::Active) {
                return;
            }
            assert!(Instant::now() < deadline, "{at}: {state:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// What a backend says that it takes.
    pub async fn capabilities(&self, world: World) -> Value {
        camel(self.api.capabilities(backend(world)).await)
    }

    /// What says on the command line where a description is attached on a cloud, beside the name of its backend. A subnet is
    /// not said: it is found.
    pub fn attachment(&self, world: World) -> Vec<(&'static str, String)> {
        match self.cloud(world) {
            Cloud::Nsx(_) => vec![
                ("--router", inventory::FREE_ROUTER_ID.to_owned()),
                ("--local-address", "198.51.100.11".to_owned()),
            ],
            Cloud::Openstack(cloud) => {
                let router = cloud.inventory().project.router_id.to_owned();
                let mut said = vec![("--router", router)];
                if world == World::K5 {
                    said.push(("--availability-zone", "AZ2".to_owned()));
                }
                said
            }
        }
    }

    /// Runs the command.
    pub async fn isthmus(&self, arguments: &[&str]) -> Said {
        isthmus(self.running.addr, arguments, "").await
    }

    /// `isthmus apply -f FILE BACKEND` where this cloud has it attached.
    pub async fn apply_file(&self, world: World, file: &Path, more: &[&str]) -> Said {
        let file = file.to_string_lossy();
        self.apply_from(world, &file, more, "").await
    }

    /// The same of a description on standard input.
    pub async fn apply(&self, world: World, site: &Value, more: &[&str]) -> Said {
        self.apply_from(world, "-", more, &site.to_string()).await
    }

    async fn apply_from(&self, world: World, file: &str, more: &[&str], input: &str) -> Said {
        let attachment = self.attachment(world);
        let mut arguments = vec!["apply", "-f", file, backend(world)];
        for (option, value) in &attachment {
            arguments.extend([*option, value]);
        }
        // A command whose gateway went with a test that failed is not to wait for it.
        arguments.extend(["--timeout", "60s"]);
        arguments.extend(more);
        isthmus(self.running.addr, &arguments, input).await
    }

    /// The connections of a cloud with this display name, as the gateway has them.
    pub async fn named(&self, world: World, display_name: &str) -> Vec<Value> {
        let request = json!({ "parent": format!("backends/{}", backend(world)) });
        let answer = self.api.call("ConnectionService/ListConnections", &request);
        let listed = answer.await.unwrap();
        let all = listed["connections"].as_array().cloned();
        let has_it = |it: &Value| it["display_name"] == display_name;
        all.into_iter().flatten().filter(has_it).collect()
    }
}

fn started(world: World) -> Cloud {
    let cloud = world.cloud();
    match &cloud {
        Cloud::Nsx(cloud) => cloud.state().tune(|levers| {
            levers.pace = Pace::Elapsed { per_node: STEP };
        }),
        Cloud::Openstack(cloud) => cloud.state().set_pace(AgentPace::Elapsed {
            installed: STEP,
            established: STEP,
            dip_on_update: false,
        }),
    }
    cloud
}
