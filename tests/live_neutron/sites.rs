//! Each file of `examples/sites` on a real Neutron, through the command, as a shell has it.

use crate::{
    calls::gateway_with,
    cloud::{self, BACKEND, Login, reports, seeded, series},
    command::{Said, isthmus},
    description::{as_shown, camel, missing, read, with_key},
    support::{
        api::Api,
        running::{Running, id_of},
    },
    table::{Cell, FILES, cell, path_of, text_of},
    tap::Tap,
    together::all_there,
};
use serde_json::{Value, json};

/// A gateway before the real cloud, and what it sends there.
struct Bench {
    running: Running,
    tap: Tap,
    capabilities: Value,
}

impl Bench {
    /// Without what an earlier test that failed may have left.
    async fn start() -> Bench {
        let tap = Tap::neutron().await;
        let running = gateway_with(cloud::settings(&Login::demo()).with("url", &tap.url)).await;
        let api = Api::new(running.channel.clone());
        let bench = Bench {
            capabilities: camel(api.capabilities(BACKEND).await),
            running,
            tap,
        };
        for (file, _) in FILES {
            let path = path_of(file);
            let arguments = ["delete", "-f", &path.to_string_lossy(), BACKEND];
            bench.isthmus(&arguments, "").await.done(file);
        }
        bench
    }

    async fn isthmus(&self, arguments: &[&str], input: &str) -> Said {
        isthmus(self.running.addr, arguments, input).await
    }

    /// `isthmus apply -f FILE` on the seeded router.
    async fn apply(&self, file: &str, input: &str, more: &[&str]) -> Said {
        let router = seeded("DEMO", "ROUTER");
        let arguments = ["apply", "-f", file, BACKEND, "--router", &router];
        self.isthmus(&[&arguments, more].concat(), input).await
    }

    /// The only connection of this description.
    async fn name_of(&self, wanted: &Value) -> String {
        let display_name = wanted["connection"]["displayName"].as_str().unwrap();
        let listed = self.running.list(BACKEND).await.unwrap().connections;
        let mut named = listed.iter().filter(|it| it.display_name == display_name);
        let name = named.next().unwrap().name.clone();
        assert_eq!(named.next(), None);
        name
    }

    /// `get -o yaml` shows what is wanted; all that it shows.
    async fn shows(&self, name: &str, wanted: &Value, at: &str) -> Value {
        let said = self
            .isthmus(&["get", name, "-o", "yaml"], "")
            .await
            .done(at);
        let shown = read(&said.out);
        let of = |description: &Value| as_shown(description, &self.capabilities);
        let missing = missing(&of(&shown), &of(wanted), "");
        assert_eq!(missing, Vec::<String>::new(), "{at}: {shown:#}");
        shown
    }
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_site_is_made_read_back_and_the_same_when_it_is_applied_again() {
    let _alone = cloud::alone().await;
    let bench = Bench::start().await;
    let before = all_there().await;
    for (file, _) in FILES {
        let at = format!("{file} on a real Neutron");
        let path = path_of(file);
        let path = path.to_string_lossy();
        let cell = cell(file, series());
        let Cell::Takes(warned) = cell else {
            let writes = bench.tap.writes();
            let said = bench.apply(&path, "", &["--wait"]).await;
            said.is_refused(cell.fields(), &at);
            assert_eq!(bench.tap.writes(), writes, "{at}");
            assert_eq!(all_there().await, before, "{at}");
            continue;
        };
        taken(&bench, &path, &read(&text_of(file)), warned, &at).await;
        bench
            .isthmus(&["delete", "-f", &path, BACKEND], "")
            .await
            .done(&at);
        assert_eq!(all_there().await, before, "{at}");
    }
}

/// Made, realized once the agent has it, shown as it is described, and the same when it is applied again.
async fn taken(bench: &Bench, path: &str, wanted: &Value, warned: &[&str], at: &str) {
    let said = bench.apply(path, "", &[]).await;
    said.is_taken("created", warned, at);
    let name = bench.name_of(wanted).await;
    reports(&id_of(&name), "ACTIVE");
    let writes = bench.tap.writes();
    let again = bench.apply(path, "", &["--wait"]).await;
    again.is_taken("unchanged", warned, at);
    let shown = bench.shows(&name, wanted, at).await;
    let again = bench.apply("-", &with_key(shown).to_string(), &[]).await;
    again.is_taken("unchanged", &[], at);
    assert_eq!(
        bench.tap.writes(),
        writes,
        "{at}: what is the same is not written"
    );
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_is_described_otherwise_is_changed() {
    let _alone = cloud::alone().await;
    let bench = Bench::start().await;
    let before = all_there().await;
    let at = "policy-based, changed on a real Neutron";
    let mut wanted = read(&text_of("policy-based"));
    bench
        .apply("-", &wanted.to_string(), &[])
        .await
        .is_taken("created", &[], at);
    let name = bench.name_of(&wanted).await;
    reports(&id_of(&name), "ACTIVE");

    wanted["connection"]["policyBased"]["rules"] = json!([
        { "sources": ["10.10.1.0/24", "10.10.2.0/24"], "destinations": ["192.168.91.0/24"] },
    ]);
    wanted["connection"]["dpd"]["interval"] = json!("20s");
    let changed = bench.apply("-", &wanted.to_string(), &[]).await;
    changed.is_taken("changed", &[], at);
    bench.shows(&name, &wanted, at).await;
    reports(&id_of(&name), "ACTIVE");
    let writes = bench.tap.writes();
    let again = bench.apply("-", &wanted.to_string(), &[]).await;
    again.is_taken("unchanged", &[], at);

    // Neutron changes no policy that a connection uses, and no connection's policy.
    let mut other = wanted.clone();
    other["parts"]["ipsecPolicy"]["lifetime"] = json!({ "time": "7200s" });
    let said = bench.apply("-", &other.to_string(), &[]).await;
    assert!(said.all().contains("REPLACEMENT_NEEDED"), "{said:#?}");
    said.is_refused(&["parts.ipsec_policy.lifetime"], at);
    assert_eq!(bench.tap.writes(), writes, "{at}: {said:#?}");

    bench
        .isthmus(&["delete", "-f", "-", BACKEND], &wanted.to_string())
        .await
        .done(at);
    assert_eq!(all_there().await, before);
}
