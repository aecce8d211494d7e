//! Descriptions drawn from what the clouds say they take, and one change of each.
//!
//! A plain run draws the same few each time; `SITES=50 cargo test --test sites drawn` draws as many others. What fails is made as
//! small as it can be, and printed.

use crate::{
    clouds::{Clouds, backend},
    description::{as_shown, camel, kind, missing},
    support::{
        clouds::PSK,
        running::{fields, reason},
        site::World,
    },
    table::COLUMNS,
};
use proptest::{
    option,
    prelude::{BoxedStrategy, Just, Strategy, any},
    sample::{select, subsequence},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, env, ops::RangeInclusive};
use tonic::{Code, Status};

/// How many descriptions a plain run draws, and what says how many another run does.
const PLAIN_RUN: u32 = 4;
const MORE: &str = "SITES";

/// What the lists of policies are called in a description.
const LISTS: [&str; 3] = ["encryptionAlgorithms", "integrityAlgorithms", "dhGroups"];

/// A description, and the field in which a second one differs.
#[derive(Debug, Clone)]
struct Drawn {
    first: Value,
    second: Value,
    /// Where they differ, if they do.
    at: &'static str,
}

/// Everything that any cloud takes in a list of a kind.
fn union(capabilities: &[Value], collection: &str, list: &str) -> Vec<String> {
    let of_one = |one: &Value| {
        let taken = kind(one, collection).map(|it| it[list].as_array().cloned());
        taken.flatten().unwrap_or_default()
    };
    let all = capabilities.iter().flat_map(of_one);
    let all: BTreeSet<String> = all.map(|it| it.as_str().unwrap().to_owned()).collect();
    all.into_iter().collect()
}

/// A policy with some of what any cloud takes.
fn policy(capabilities: &[Value], collection: &'static str) -> BoxedStrategy<Value> {
    let lists = LISTS.map(|list| {
        let all = union(capabilities, collection, list);
        option::of(subsequence(all, 1..=3).prop_shuffle())
    });
    let versions = union(capabilities, collection, "ikeVersions");
    let version = match versions.is_empty() {
        true => Just(None).boxed(),
        false => option::of(select(versions)).boxed(),
    };
    let lifetime = option::of(select(vec!["28800s", "86400s", "600s"]));
    (lists, version, lifetime)
        .prop_map(|(lists, version, lifetime)| {
            let mut policy = json!({});
            for (list, values) in LISTS.into_iter().zip(lists) {
                if let Some(values) = values {
                    policy[list] = json!(values);
                }
            }
            if let Some(version) = version {
                policy["ikeVersion"] = json!(version);
            }
            if let Some(lifetime) = lifetime {
                policy["lifetime"] = json!({ "time": lifetime });
            }
            policy
        })
        .boxed()
}

/// Networks of both sides, as one rule for each local network, or one rule of all.
fn rules() -> BoxedStrategy<Value> {
    let near = subsequence(vec!["10.10.1.0/24", "10.10.2.0/24"], 1..=2);
    let far = vec!["192.168.61.0/24", "192.168.62.0/24", "172.16.0.0/12"];
    (near, subsequence(far, 1..=3), any::<bool>())
        .prop_map(|(near, far, each)| {
            let rule = |near: &[&str]| json!({ "sources": near, "destinations": far });
            let rules: Vec<Value> = match each {
                true => near.chunks(1).map(rule).collect(),
                false => vec![rule(&near)],
            };
            json!({ "rules": rules })
        })
        .boxed()
}

fn dead_peers() -> BoxedStrategy<Value> {
    let seconds =
        |range: RangeInclusive<u32>| option::of(range).prop_map(|it| it.map(|it| format!("{it}s")));
    let actions = vec![
        "ACTION_HOLD",
        "ACTION_RESTART",
        "ACTION_CLEAR",
        "ACTION_DISABLED",
    ];
    (
        seconds(3..=60),
        seconds(61..=300),
        option::of(select(actions)),
    )
        .prop_map(|(interval, timeout, action)| {
            let given = [("interval", interval), ("timeout", timeout)];
            let mut dpd: Value = given
                .into_iter()
                .filter_map(|(name, it)| Some((name.to_owned(), json!(it?))))
                .collect();
            if let Some(action) = action {
                dpd["action"] = json!(action);
            }
            dpd
        })
        .boxed()
}

fn connection() -> BoxedStrategy<Value> {
    let address = select(vec!["198.51.100.20", "203.0.113.9"]);
    let id = option::of(select(vec![
        "198.51.100.20",
        "peer@vpn.example",
        "peer.vpn.example",
    ]));
    let initiation = option::of(select(vec![
        "INITIATION_BOTH",
        "INITIATION_RESPOND_ONLY",
        "INITIATION_ON_DEMAND",
    ]));
    (address, id, rules(), option::of(dead_peers()), initiation)
        .prop_map(|(address, id, rules, dpd, initiation)| {
            let mut connection = json!({
                "displayName": "drawn",
                "peer": { "address": address, "psk": PSK },
                "policyBased": rules,
            });
            if let Some(id) = id {
                connection["peer"]["id"] = json!(id);
            }
            if let Some(dpd) = dpd {
                connection["dpd"] = dpd;
            }
            if let Some(initiation) = initiation {
                connection["initiation"] = json!(initiation);
            }
            connection
        })
        .boxed()
}

fn description(capabilities: &[Value]) -> BoxedStrategy<Value> {
    let ike = policy(capabilities, "ikePolicies");
    let ipsec = policy(capabilities, "ipsecPolicies");
    (connection(), ike, ipsec)
        .prop_map(|(connection, ike, ipsec)| {
            json!({ "connection": connection, "parts": { "ikePolicy": ike, "ipsecPolicy": ipsec } })
        })
        .boxed()
}

/// Where a description is changed: a field of it with all below.
const CHANGES: [&str; 9] = [
    "/connection/peer/address",
    "/connection/peer/id",
    "/connection/policyBased",
    "/connection/dpd",
    "/connection/initiation",
    "/parts/ikePolicy/encryptionAlgorithms",
    "/parts/ikePolicy/lifetime",
    "/parts/ipsecPolicy/dhGroups",
    "/parts/ipsecPolicy/integrityAlgorithms",
];

fn drawn(capabilities: &[Value]) -> impl Strategy<Value = Drawn> {
    let both = (
        description(capabilities),
        description(capabilities),
        select(CHANGES.to_vec()),
    );
    both.prop_map(|(first, other, at)| {
        let mut second = first.clone();
        // What the other does not say is left as it is, which is no change.
        if let Some(value) = other.pointer(at) {
            let (parent, field) = at.rsplit_once('/').unwrap();
            second.pointer_mut(parent).unwrap()[field] = value.clone();
        }
        Drawn { first, second, at }
    })
}

#[test]
fn what_is_drawn_is_made_described_and_changed() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let capabilities = runtime.block_on(async {
        let clouds = Clouds::start().await;
        let mut all = Vec::new();
        for world in COLUMNS {
            all.push(clouds.capabilities(world).await);
        }
        all
    });
    let config = |cases| Config {
        cases,
        max_shrink_iters: 100,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = match env::var(MORE) {
        Ok(many) => TestRunner::new(config(many.parse().expect("a number of descriptions"))),
        Err(_) => TestRunner::new_with_rng(
            config(PLAIN_RUN),
            TestRng::deterministic_rng(RngAlgorithm::ChaCha),
        ),
    };
    let ran = runner.run(&drawn(&capabilities), |drawn| {
        runtime.block_on(async {
            let clouds = Clouds::start().await;
            for (world, takes) in COLUMNS.into_iter().zip(&capabilities) {
                on_one_cloud(&clouds, world, takes, &drawn).await;
            }
        });
        Ok(())
    });
    ran.unwrap_or_else(|why| panic!("{why}"));
}

/// Whatever is described is refused by fields, and nothing was sent; or it is made, describes itself as it was described, and is
/// changed to the second description in the same way.
async fn on_one_cloud(clouds: &Clouds, world: World, takes: &Value, drawn: &Drawn) {
    let before = clouds.objects(world);
    let made = match taken(clouds, world, takes, &drawn.first, before.len()).await {
        Ok(made) => made,
        Err(_) => return assert_eq!(clouds.objects(world), before, "{world:?} {drawn:#?}"),
    };
    assert_eq!(made, "RESULT_CREATED", "{world:?} {drawn:#?}");
    let there = clouds.objects(world).len();
    match taken(clouds, world, takes, &drawn.second, there).await {
        Ok(changed) => {
            let same = drawn.first == drawn.second;
            let fits = changed != "RESULT_CREATED" && (!same || changed == "RESULT_UNCHANGED");
            assert!(fits, "{world:?} {changed} {drawn:#?}");
        }
        // Nothing is wrong with what is there already.
        Err(why) => {
            let at = in_snake(drawn.at);
            let of_it = |field: &String| field.starts_with(&at);
            assert!(
                fields(&why).iter().all(of_it),
                "{world:?} {at} {why:?} {drawn:#?}"
            );
        }
    }
}

/// The path of a field in an error: `/connection/peer/id` is `connection.peer.id`.
fn in_snake(pointer: &str) -> String {
    let snake = pointer
        .trim_start_matches('/')
        .chars()
        .flat_map(|c| match c {
            '/' => vec!['.'],
            c if c.is_ascii_uppercase() => vec!['_', c.to_ascii_lowercase()],
            c => vec![c],
        });
    snake.collect()
}

/// What became of a description that was applied, if it was not refused. `there`: how many objects there are.
async fn taken(
    clouds: &Clouds,
    world: World,
    takes: &Value,
    wanted: &Value,
    there: usize,
) -> Result<String, Status> {
    let at = format!("{world:?} {wanted:#}");
    let (writes, request) = (clouds.writes(world), clouds.request(world, wanted));
    let tried = clouds.ask(&tried(&request)).await;
    assert_eq!(clouds.writes(world), writes, "only tried: {at}");
    let applied = clouds.ask(&request).await;
    if let Err(why) = &applied {
        assert_eq!(
            (clouds.writes(world), clouds.objects(world).len()),
            (writes, there),
            "{why:?} {at}"
        );
        is_told_by_field(why, &at);
        assert_eq!(fields(tried.as_ref().expect_err(&at)), fields(why), "{at}");
    }
    let applied = applied?;
    let result = applied["result"].as_str().unwrap().to_owned();
    assert_eq!(tried.expect(&at)["result"], result, "{at}");
    if result == "RESULT_UNCHANGED" {
        assert_eq!(clouds.writes(world), writes, "{at}");
    }
    let name = applied["connection"]["name"].as_str().unwrap();
    clouds.comes_to_rest(name, &at).await;

    let shown = clouds
        .export(name)
        .await
        .unwrap_or_else(|why| panic!("{why:?} {at}"));
    let (wanted, compared) = (as_shown(wanted, takes), as_shown(&shown, takes));
    assert_eq!(
        missing(&compared, &wanted, ""),
        Vec::<String>::new(),
        "{at} {shown:#}"
    );
    let writes = clouds.writes(world);
    for same in [&request, &clouds.request(world, &shown)] {
        let again = clouds
            .ask(same)
            .await
            .unwrap_or_else(|why| panic!("{why:?} {same:#} {at}"));
        assert_eq!(again["result"], "RESULT_UNCHANGED", "{same:#} {at}");
        assert_eq!(clouds.writes(world), writes, "{same:#} {at}");
    }
    Ok(result)
}

fn tried(request: &Value) -> Value {
    let mut request = request.clone();
    request["validateOnly"] = json!(true);
    request
}

/// A description is refused by its fields, each said once, whether it cannot be had or only by another connection.
fn is_told_by_field(why: &Status, at: &str) {
    let told = fields(why);
    let each: BTreeSet<&String> = told.iter().collect();
    assert!(!told.is_empty() && each.len() == told.len(), "{why:?} {at}");
    let known = |field: &&String| {
        !field.starts_with("parts.vpn_service") && !field.starts_with("parts.local_endpoint")
    };
    assert!(told.iter().all(|it| known(&it)), "{why:?} {at}");
    let refused = matches!(
        why.code(),
        Code::InvalidArgument | Code::FailedPrecondition | Code::Unimplemented
    );
    assert!(refused, "{} {why:?} {at}", reason(why));
}

impl Clouds {
    /// What asks for a description where it is attached on a cloud.
    fn request(&self, world: World, wanted: &Value) -> Value {
        let mut request = camel(wanted.clone());
        request["parent"] = json!(format!("backends/{}", backend(world)));
        let connection = request["connection"].as_object_mut().unwrap();
        connection.remove("name");
        connection["peer"]["psk"] = json!(PSK);
        for (option, value) in self.attachment(world) {
            match option {
                "--router" => request["parts"]["vpnService"]["router"] = json!(value),
                "--availability-zone" => {
                    request["parts"]["vpnService"]["availabilityZone"] = json!(value)
                }
                "--local-address" => {
                    request["parts"]["localEndpoint"] = json!({ "address": value })
                }
                other => panic!("{other} is attached nowhere"),
            }
        }
        request
    }

    async fn ask(&self, request: &Value) -> Result<Value, Status> {
        self.api
            .call("ConnectionService/ApplyConnection", request)
            .await
    }

    /// A connection as a description.
    async fn export(&self, name: &str) -> Result<Value, Status> {
        let request = json!({ "name": name });
        let answer = self
            .api
            .call("ConnectionService/ExportConnection", &request)
            .await?;
        Ok(camel(answer["site"].clone()))
    }
}
