//! The OpenStack dialect against the simulated clouds, over real sockets.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[path = "../support/mod.rs"]
mod support;

use http::{Method, StatusCode};
use isthmus::{
    core::{
        dialect::{Call, Proof, Target},
        error::{Error, ErrorKind, ErrorReason},
        settings::{AuthKind, AuthSettings, BackendSettings},
    },
    dialects,
    model::{
        Assurance, Authentication, Connection, ConnectionSpec, DeadPeerDetection, Details,
        DpdAction, Field, PolicyRule, Psk, RealizationState as State, Selectors, Sighting,
    },
    simulator::{
        faults::{Answer, Fault, Foreign404, Gate, Rule},
        openstack::{
            FieldsTaken, Kind, OpenstackOptions, OpenstackSimulator, Region, Series, Variant,
        },
    },
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use support::{
    cloud::{Bound, Cloud, call, change, page, renamed, target},
    clouds::PSK,
};

const CONNECTIONS: &str = "/v2.0/vpn/ipsec-site-connections";

/// A simulated cloud and the dialect bound to it as the member of its project.
type Bench = Bound<OpenstackSimulator>;

impl Bench {
    fn new(options: OpenstackOptions) -> Bench {
        Bench::with(options, |_| {})
    }

    fn with(options: OpenstackOptions, edit: impl FnOnce(&mut BackendSettings)) -> Bench {
        let variant = options.variant;
        let cloud = OpenstackSimulator::start(options).unwrap();
        let mut settings = settings(&cloud, variant);
        edit(&mut settings);
        let bench = Bound::to(cloud, &settings);
        assert_secret_free(&format!("{:?}", bench.dialect));
        bench
    }

    fn of(variant: Variant) -> Bench {
        Bench::new(OpenstackOptions {
            variant,
            ..OpenstackOptions::default()
        })
    }

    fn stock() -> Bench {
        Bench::of(Variant::Neutron)
    }

    /// A connection with endpoint groups, as every service but K5's wants them.
    fn spec(&self, name: &str) -> ConnectionSpec {
        ConnectionSpec {
            display_name: name.to_owned(),
            ..self.cloud.spec()
        }
    }

    fn legacy_spec(&self, name: &str) -> ConnectionSpec {
        ConnectionSpec {
            vpn_service: Some(self.cloud.inventory().project.legacy_service_id.to_owned()),
            selectors: Some(Selectors::Rules(vec![PolicyRule {
                destinations: vec!["192.168.77.0/24".to_owned()],
                ..PolicyRule::default()
            }])),
            ..self.spec(name)
        }
    }

    async fn make(&self, spec: &ConnectionSpec) -> Result<String, Error> {
        assert_eq!(self.dialect.refuse_create(spec), []);
        let written = self.create(spec).await?;
        assert_eq!(written.proof, Proof::AnyStatus);
        assert_secret_free(&format!("{written:?}"));
        Ok(written.id)
    }

    async fn made(&self, name: &str) -> String {
        self.make(&self.spec(name)).await.unwrap()
    }

    async fn look_at_all(&self, ids: &[&str]) -> Vec<Result<Sighting, Error>> {
        let targets: Vec<Target> = ids.iter().map(|id| target(id)).collect();
        self.dialect.look(&targets, &call()).await
    }

    async fn look_at(&self, id: &str) -> Result<Sighting, Error> {
        self.look(target(id)).await
    }

    fn asked(&self, method: Method) -> u64 {
        self.cloud.neutron().requests().count(&method, CONNECTIONS)
    }

    fn queries(&self) -> Vec<String> {
        let all = self.cloud.neutron().requests().all();
        let gets = all.into_iter().filter(|seen| seen.method == Method::GET);
        gets.map(|seen| format!("{}?{}", seen.path, seen.query))
            .collect()
    }

    fn forget_requests(&self) {
        self.cloud.neutron().requests().clear();
    }
}

fn settings(cloud: &OpenstackSimulator, variant: Variant) -> BackendSettings {
    let variant = match variant {
        Variant::Neutron => "neutron",
        Variant::Otc => "otc",
        Variant::K5 => "k5",
    };
    BackendSettings {
        variant: Some(variant.to_owned()),
        timeout: Duration::from_secs(10),
        ..cloud.settings("cloud")
    }
}

fn as_reader(cloud: &BackendSettings) -> BackendSettings {
    let inventory = isthmus::simulator::openstack::Inventory::fixed();
    let mut settings = cloud.clone();
    settings.auth.username = Some(inventory.reader.name.to_owned());
    settings.auth.password = Some(inventory.reader.password.into());
    settings
}

fn assert_secret_free(text: &str) {
    assert!(
        !text.contains("canary") && !text.contains("not-a-real"),
        "{text}"
    );
}

#[track_caller]
fn assert_error(error: &Error, kind: ErrorKind, reason: ErrorReason) {
    assert_eq!((error.kind, error.reason), (kind, reason), "{error}");
    assert_secret_free(&format!("{error:?}"));
}

#[tokio::test]
async fn a_connection_is_made_read_changed_and_removed() {
    let bench = Bench::stock();
    bench.probe().await.unwrap();
    let mut spec = bench.spec("branch");
    spec.description = "to the branch".to_owned();
    spec.mtu = Some(1400);
    let id = bench.make(&spec).await.unwrap();
    assert_eq!(bench.cloud.key(&id), PSK);
    let row = bench.cloud.state().row(Kind::Connection, &id).unwrap();
    let description = row["description"].as_str().unwrap();
    assert!(description.starts_with("to the branch [isthmus:"));

    let read = bench.get(&id).await.unwrap();
    assert_eq!(read.description, "to the branch");
    assert_eq!(read.selectors, spec.selectors);
    assert_eq!(read.mtu, Some(1400));
    assert_secret_free(&format!("{read:?}"));

    // The state machine lets no update in before an agent has spoken.
    let early = bench.update(&id, &renamed("early")).await.unwrap_err();
    assert_error(
        &early,
        ErrorKind::FailedPrecondition,
        ErrorReason::WrongState,
    );
    bench.cloud.state().agent_reports(&id, "ACTIVE");

    let mut changed = change(
        &[Field::DisplayName, Field::Description, Field::Mtu],
        spec.clone(),
    );
    changed.values.display_name = "renamed".to_owned();
    changed.values.description = "new words".to_owned();
    changed.etag = Some(read.etag.clone());
    let written = bench.update(&id, &changed).await.unwrap();
    assert_eq!(written.proof, Proof::Descriptive, "only words differ");
    let now = written.connection.unwrap();
    assert_eq!(
        (now.display_name.as_str(), now.description.as_str()),
        ("renamed", "new words")
    );
    assert!(now.managed);

    let delete = bench.dialect.delete(&id, Some(&now.etag), &call()).await;
    assert_eq!(delete.unwrap().proof, Proof::AnyStatus);
}

#[tokio::test]
async fn networks_inside_a_connection_belong_to_a_service_with_a_subnet() {
    let bench = Bench::stock();
    let id = bench.make(&bench.legacy_spec("legacy")).await.unwrap();
    let read = bench.get(&id).await.unwrap();
    assert_eq!(read.selectors, bench.legacy_spec("").selectors);
    bench.cloud.state().agent_reports(&id, "DOWN");
    let mut wider = change(&[Field::Selectors], bench.legacy_spec(""));
    let more = ["192.168.79.0/24", "192.168.77.0/24", "192.168.78.0/24"];
    wider.values.selectors = Some(Selectors::Rules(vec![PolicyRule {
        destinations: more.map(str::to_owned).to_vec(),
        ..PolicyRule::default()
    }]));
    let written = bench.update(&id, &wider).await.unwrap();
    // The PUT answers in the caller's order, a GET in another.
    let read = bench.get(&id).await.unwrap();
    assert_eq!(written.connection.unwrap().etag, read.etag);
    assert_eq!(
        bench.update(&id, &wider).await.unwrap().proof,
        Proof::Nothing
    );

    let mut wrong = bench.legacy_spec("wrong");
    wrong.vpn_service = bench.spec("").vpn_service;
    let error = bench.make(&wrong).await.unwrap_err();
    assert_error(
        &error,
        ErrorKind::InvalidArgument,
        ErrorReason::UpstreamRejected,
    );
}

#[tokio::test]
async fn refusals_of_the_cloud_keep_their_meaning() {
    let bench = Bench::stock();
    let project = bench.cloud.inventory().project.project_id;
    let mut spec = bench.spec("x");
    spec.ike_policy = Some("00000000-0000-0000-0000-000000000000".to_owned());
    let error = bench.make(&spec).await.unwrap_err();
    assert_error(
        &error,
        ErrorKind::FailedPrecondition,
        ErrorReason::ReferenceNotFound,
    );
    assert_eq!(error.context.violations[0].field, "ike_policy");
    // Answered with a 500; the service is asked for afterwards.
    let mut spec = bench.spec("x");
    spec.vpn_service = Some("00000000-0000-0000-0000-000000000000".to_owned());
    let error = bench.make(&spec).await.unwrap_err();
    assert_error(
        &error,
        ErrorKind::FailedPrecondition,
        ErrorReason::ReferenceNotFound,
    );
    assert_eq!(error.context.violations[0].field, "vpn_service");

    bench
        .cloud
        .state()
        .set_quota(project, Kind::Connection, Some(0));
    let error = bench.make(&bench.spec("x")).await.unwrap_err();
    assert_error(&error, ErrorKind::QuotaExceeded, ErrorReason::QuotaExceeded);
    bench
        .cloud
        .state()
        .set_quota(project, Kind::Connection, None);

    bench.cloud.state().set_vpn_absent(true);
    for error in [
        bench.get("a").await.unwrap_err(),
        bench.make(&bench.spec("x")).await.unwrap_err(),
    ] {
        assert_error(&error, ErrorKind::Unavailable, ErrorReason::ApiAbsent);
    }
}

#[tokio::test]
async fn a_lost_answer_to_a_post_is_looked_up_by_the_mark() {
    let bench = Bench::stock();
    bench.made("other").await;
    bench.forget_requests();
    let lost = Rule::on(Method::POST, CONNECTIONS, Fault::CutAfterHandling).times(1);
    bench.cloud.faults().inject(lost);
    let id = bench.made("branch").await;
    assert_eq!(bench.asked(Method::POST), 1);
    assert_eq!(bench.get(&id).await.unwrap().display_name, "branch");

    // The request never arrived, which the gateway cannot know: it looks, and does not send again.
    bench.forget_requests();
    let cut = Rule::on(Method::POST, CONNECTIONS, Fault::CutBeforeHandling).times(1);
    bench.cloud.faults().inject(cut);
    let error = bench.make(&bench.spec("lost")).await.unwrap_err();
    assert_error(&error, ErrorKind::Ambiguous, ErrorReason::WriteAmbiguous);
    assert!(error.context.metadata.iter().any(|(key, _)| *key == "mark"));
    assert_eq!(bench.asked(Method::POST), 1);

    // A fault the cloud itself tells of, and nothing that speaks against it.
    let fault =
        json!({"NeutronError": {"type": "HTTPInternalServerError", "message": "m", "detail": ""}});
    let fault = Answer::json(StatusCode::INTERNAL_SERVER_ERROR, &fault);
    bench
        .cloud
        .faults()
        .inject(Rule::on(Method::POST, CONNECTIONS, Fault::Answer(fault)).times(1));
    let error = bench.make(&bench.spec("fault")).await.unwrap_err();
    assert_error(&error, ErrorKind::Unavailable, ErrorReason::UpstreamError);

    // A broken answer is a lost one.
    bench
        .cloud
        .faults()
        .inject(Rule::on(Method::POST, CONNECTIONS, Fault::TruncateBody).times(1));
    let id = bench.made("truncated").await;
    assert_eq!(bench.get(&id).await.unwrap().display_name, "truncated");
}

#[tokio::test]
async fn a_lost_answer_to_a_put_or_delete_is_looked_up_by_what_was_wanted() {
    let bench = Bench::stock();
    let id = bench.made("branch").await;
    bench.cloud.state().agent_reports(&id, "DOWN");
    let lose = |method: Method, fault: Fault| {
        bench
            .cloud
            .faults()
            .inject(Rule::on(method, CONNECTIONS, fault).times(1));
    };
    lose(Method::PUT, Fault::CutAfterHandling);
    let written = bench.update(&id, &renamed("new")).await.unwrap();
    assert_eq!(written.connection.unwrap().display_name, "new");
    assert_eq!(written.proof, Proof::Descriptive);
    lose(Method::PUT, Fault::CutAfterHandling);
    let smaller = ConnectionSpec {
        mtu: Some(1400),
        ..ConnectionSpec::default()
    };
    let smaller = change(&[Field::Mtu], smaller);
    let written = bench.update(&id, &smaller).await.unwrap();
    assert_eq!(
        written.proof,
        Proof::StatusMustMove {
            native_state: "DOWN".to_owned()
        }
    );
    lose(Method::PUT, Fault::CutBeforeHandling);
    let error = bench.update(&id, &renamed("newer")).await.unwrap_err();
    assert_error(&error, ErrorKind::Ambiguous, ErrorReason::WriteAmbiguous);
    // Whether a key was changed cannot be read.
    lose(Method::PUT, Fault::CutAfterHandling);
    let key = ConnectionSpec {
        authentication: Some(Authentication::Psk(Psk::new("canary-other"))),
        ..ConnectionSpec::default()
    };
    let error = bench
        .update(&id, &change(&[Field::Authentication], key))
        .await
        .unwrap_err();
    assert_error(&error, ErrorKind::Ambiguous, ErrorReason::WriteAmbiguous);

    lose(Method::DELETE, Fault::CutBeforeHandling);
    let error = bench.delete(&id).await.unwrap_err();
    assert_error(&error, ErrorKind::Ambiguous, ErrorReason::WriteAmbiguous);
    lose(Method::DELETE, Fault::CutAfterHandling);
    bench.delete(&id).await.unwrap();
    assert_eq!(bench.cloud.state().row(Kind::Connection, &id), None);
}

#[tokio::test]
async fn every_connection_is_listed_once_page_by_page() {
    let bench = Bench::stock();
    let mut made = BTreeSet::new();
    for n in 0..5 {
        made.insert(bench.made(&format!("n{n}")).await);
    }
    // Links may name another host; the cloud may cap pages without a word.
    bench
        .cloud
        .state()
        .set_advertised_origin(Some("http://elsewhere.example"));
    for cap in [None, Some(1), Some(2)] {
        bench.cloud.state().set_page_cap(cap);
        for size in [1, 2, 3, 5, 1000] {
            assert_eq!(
                walk(&bench, size, |_| {}).await,
                made,
                "{size} with {cap:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_walk_survives_the_row_it_stands_on() {
    let bench = Bench::stock();
    let mut made = BTreeSet::new();
    for n in 0..6 {
        made.insert(bench.made(&format!("n{n}")).await);
    }
    let third = made.iter().nth(2).unwrap().clone();
    let found = walk(&bench, 3, |next| {
        if *next == third {
            bench.cloud.state().vanish(Kind::Connection, &third);
        }
    })
    .await;
    assert_eq!(found, made, "the one that vanished was listed before");
}

/// Walks all pages; `between` is told where the next one starts.
async fn walk(bench: &Bench, size: u32, between: impl Fn(&String)) -> BTreeSet<String> {
    let mut request = page(size);
    let mut found = BTreeSet::new();
    loop {
        let page = bench.list(&request).await.unwrap();
        assert!(page.connections.len() <= size as usize);
        for connection in page.connections {
            assert!(
                found.insert(connection.id.clone()),
                "{} twice",
                connection.id
            );
        }
        let Some(next) = page.next else {
            return found;
        };
        between(&next);
        request.after = Some(next);
    }
}

#[tokio::test]
async fn many_are_looked_at_by_one_list_and_those_missing_alone() {
    let bench = Bench::stock();
    let (a, b, c) = (
        bench.made("a").await,
        bench.made("b").await,
        bench.made("c").await,
    );
    let unasked = bench.made("unasked").await;
    bench.cloud.state().agent_reports(&a, "ACTIVE");
    bench.cloud.state().agent_reports(&b, "DOWN");
    bench.forget_requests();
    let seen = bench.look_at_all(&[&c, &a, &b]).await;
    let states: Vec<State> = seen.iter().map(|it| it.as_ref().unwrap().state).collect();
    assert_eq!(states, [State::Pending, State::Active, State::Down]);
    assert_eq!(seen[1].as_ref().unwrap().admin_enabled, Some(true));
    let queries = bench.queries();
    assert_eq!(queries.len(), 1, "{queries:?}");
    assert!(queries[0].starts_with(&format!(
        "{CONNECTIONS}?fields=id&fields=status&fields=admin_state_up&id="
    )));
    assert!(!queries[0].contains(&unasked));

    bench
        .cloud
        .state()
        .hide_from_list(Kind::Connection, &a, true);
    bench.cloud.state().vanish(Kind::Connection, &b);
    bench.forget_requests();
    let seen = bench.look_at_all(&[&a, &b, &c]).await;
    let states: Vec<State> = seen.iter().map(|it| it.as_ref().unwrap().state).collect();
    assert_eq!(states, [State::Active, State::Deleted, State::Pending]);
    assert_eq!(seen[1].as_ref().unwrap().assurance, Assurance::IntentStored);
    assert_eq!(
        bench.queries().len(),
        3,
        "one LIST, and a GET for each that is not in it"
    );

    // One alone is a GET.
    bench.forget_requests();
    bench.look_at(&c).await.unwrap();
    assert_eq!(
        bench.queries(),
        [format!(
            "{CONNECTIONS}/{c}?fields=id&fields=status&fields=admin_state_up"
        )]
    );
}

#[tokio::test]
async fn a_cloud_with_small_pages_is_looked_at_page_by_page() {
    let bench = Bench::stock();
    let mut made = Vec::new();
    for number in 0..10 {
        made.push(bench.made(&format!("c{number}")).await);
    }
    let ids: Vec<&str> = made.iter().map(String::as_str).collect();
    bench.cloud.state().set_page_cap(Some(4));
    bench.forget_requests();
    for seen in bench.look_at_all(&ids).await {
        assert_eq!(seen.unwrap().state, State::Pending);
    }
    let queries = bench.queries();
    assert_eq!(queries.len(), 3, "{queries:#?}");
    let lists = |query: &String| query.starts_with(&format!("{CONNECTIONS}?"));
    assert!(queries.iter().all(lists), "{queries:#?}");

    // A full page may be the last, and what none of them has is asked for alone.
    bench.cloud.state().vanish(Kind::Connection, ids[0]);
    bench.cloud.state().vanish(Kind::Connection, ids[9]);
    bench.forget_requests();
    let seen = bench.look_at_all(&ids).await;
    let gone = |seen: &Result<Sighting, Error>| seen.as_ref().unwrap().state == State::Deleted;
    let gone: Vec<usize> = (0..10).filter(|at| gone(&seen[*at])).collect();
    assert_eq!(gone, [0, 9]);
    let queries = bench.queries();
    let lists = queries.iter().filter(|query| lists(query)).count();
    assert_eq!((lists, queries.len()), (3, 5), "{queries:#?}");
}

#[tokio::test]
async fn what_hangs_holds_up_nothing_else_of_its_look() {
    let bench = Bench::stock();
    let mut made = Vec::new();
    for number in 0..3 {
        made.push(bench.made(&format!("c{number}")).await);
    }
    let state = bench.cloud.state();
    state.hide_from_list(Kind::Connection, &made[1], true);
    let gate = Gate::default();
    let path = format!("{CONNECTIONS}/{}", made[1]);
    let hold = Rule::on(Method::GET, &path, Fault::Hold(gate.clone()));
    bench.cloud.faults().inject(hold);
    let targets: Vec<Target> = made.iter().map(|id| target(id)).collect();
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let tell = |place: usize, seen: Result<Sighting, Error>| {
        told.send((place, seen.unwrap().state)).unwrap();
    };
    let call = call();
    let look = bench.dialect.look_around(&targets, &call, &tell);
    let hear = async {
        let mut first = [heard.recv().await.unwrap(), heard.recv().await.unwrap()];
        first.sort_by_key(|(place, _)| *place);
        gate.open();
        (first, heard.recv().await.unwrap())
    };
    let (_, (first, last)) = tokio::join!(look, hear);
    assert_eq!(first, [(0, State::Pending), (2, State::Pending)]);
    assert_eq!(last, (1, State::Pending));
}

#[tokio::test]
async fn one_list_is_enough_for_a_thousand_where_it_shows_everything() {
    for variant in [Variant::Otc, Variant::K5] {
        let bench = Bench::of(variant);
        let made: Vec<String> = (0..1000).map(|number| format!("{number:036}")).collect();
        let row = |id| json!({"id": id, "status": "ACTIVE", "admin_state_up": true});
        lists(&bench, made.iter().map(row).collect());
        assert!(bench.dialect.capabilities().look_batch >= made.len());
        bench.forget_requests();
        let targets: Vec<Target> = made[1..].iter().map(|id| target(id)).collect();
        let told = AtomicUsize::new(0);
        let tell = |_, seen: Result<Sighting, Error>| {
            assert_eq!(seen.unwrap().state, State::Active);
            told.fetch_add(1, Ordering::SeqCst);
        };
        let all = bench.dialect.look_around(&targets, &call(), &tell).await;
        assert_eq!(told.into_inner(), targets.len());
        // Also the one that was not asked for.
        assert_eq!(all, Some(made));
        assert_eq!(bench.queries().len(), 1);
    }
}

#[tokio::test]
async fn whatever_the_cloud_says_of_a_status_is_shown() {
    let bench = Bench::stock();
    let id = bench.made("a").await;
    for (status, state) in [
        ("BUILD", State::Pending),
        ("pending-update", State::InProgress),
        ("PENDING DELETE", State::Deleting),
        ("ERROR", State::Failed),
        ("REHEARSING", State::Unknown),
    ] {
        bench.cloud.state().set_status(&id, status);
        let seen = bench.look_at(&id).await.unwrap();
        assert_eq!((seen.state, seen.native_state.as_str()), (state, status));
    }
    bench.cloud.state().set_status_null(&id);
    assert_eq!(bench.look_at(&id).await.unwrap().state, State::Unknown);
    bench.cloud.state().set_status_absent(&id);
    assert_eq!(bench.look_at(&id).await.unwrap().state, State::Unknown);

    let mut off = bench.spec("off");
    off.admin_enabled = Some(false);
    let written = bench.create(&off).await.unwrap();
    assert_eq!(written.warnings[0].field, "admin_enabled");
    let seen = bench.look_at(&written.id).await.unwrap();
    assert_eq!(
        (seen.state, seen.assurance),
        (State::Disabled, Assurance::IntentStored)
    );
    assert_eq!(seen.reason.unwrap().code, "ADMIN_DISABLED");
}

#[tokio::test]
async fn an_outage_tells_nothing_of_a_connection() {
    let bench = Bench::stock();
    let (a, b) = (bench.made("a").await, bench.made("b").await);
    for (fault, reason) in [
        (
            Fault::Answer(Answer::html_bad_gateway()),
            ErrorReason::UpstreamError,
        ),
        (
            Fault::Answer(Answer::redirect("http://127.0.0.1:1/")),
            ErrorReason::UpstreamError,
        ),
        (
            Fault::Answer(Answer::status(StatusCode::NOT_FOUND)),
            ErrorReason::ApiAbsent,
        ),
        (
            Fault::Answer(Answer::json(StatusCode::OK, &json!({}))),
            ErrorReason::UpstreamBrokenAnswer,
        ),
        (Fault::Garbage, ErrorReason::UpstreamUnreachable),
        (Fault::EndlessBody, ErrorReason::UpstreamBrokenAnswer),
    ] {
        bench
            .cloud
            .faults()
            .inject(Rule::on(Method::GET, CONNECTIONS, fault));
        for seen in bench.look_at_all(&[&a, &b]).await {
            assert_eq!(seen.unwrap_err().reason, reason);
        }
        bench.cloud.faults().clear();
    }
    // A proxy's 404 for the item alone proves nothing either.
    let html = Answer::text(
        StatusCode::NOT_FOUND,
        "text/html",
        format!("<html>{a}</html>"),
    );
    bench.cloud.faults().inject(Rule::on(
        Method::GET,
        format!("{CONNECTIONS}/*$"),
        Fault::Answer(html),
    ));
    let error = bench.look_at(&a).await.unwrap_err();
    assert_error(
        &error,
        ErrorKind::Unavailable,
        ErrorReason::UpstreamBrokenAnswer,
    );
}

#[tokio::test]
async fn an_account_that_may_not_see_never_reports_anything_gone() {
    let bench = Bench::stock();
    let (a, b) = (bench.made("a").await, bench.made("b").await);
    let reader = as_reader(&settings(&bench.cloud, Variant::Neutron));
    let reader = dialects::connect(&reader).unwrap();
    let targets = [&a, &b].map(|id| target(id));
    bench.forget_requests();
    for seen in reader.look(&targets, &call()).await {
        assert_error(
            &seen.unwrap_err(),
            ErrorKind::BackendAuth,
            ErrorReason::UpstreamDenied,
        );
    }
    let asked = bench.cloud.neutron().requests().total();
    assert_eq!(
        asked, 3,
        "what the LIST does not prove is not asked of each"
    );
    let first = page(50);
    for error in [
        reader.probe(&call()).await.unwrap_err(),
        reader.get(&a, &call()).await.unwrap_err(),
        reader.list(&first, &call()).await.unwrap_err(),
    ] {
        assert_error(&error, ErrorKind::BackendAuth, ErrorReason::UpstreamDenied);
    }
}

#[tokio::test]
async fn an_account_that_lost_its_role_is_not_believed_to_have_nothing() {
    let bench = Bench::stock();
    bench.made("a").await;
    let (user, project) = (
        bench.cloud.inventory().member.name,
        bench.cloud.inventory().project.project_id,
    );
    let first = page(50);
    bench.list(&first).await.unwrap();
    let roles = bench.cloud.state();
    assert!(roles.set_roles_at_once(user, project, &["reader"]));
    let error = bench.list(&first).await.unwrap_err();
    assert_error(&error, ErrorKind::BackendAuth, ErrorReason::UpstreamDenied);
    assert!(roles.set_roles_at_once(user, project, &["member"]));
    let page = bench.list(&first).await.unwrap();
    assert_eq!(page.connections.len(), 1);
}

#[tokio::test]
async fn without_a_token_gone_is_proven_by_what_else_is_shown() {
    let options = OpenstackOptions {
        no_auth: true,
        ..OpenstackOptions::default()
    };
    let cloud = OpenstackSimulator::start(options).unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut settings = settings(&cloud, Variant::Neutron);
    settings.auth = AuthSettings::default();
    settings.urls = vec![cloud.neutron_url()];
    let dialect = dialects::connect(&settings).unwrap();
    let bench = Bench { cloud, dialect };
    let id = bench.made("a").await;
    let seen = bench.cloud.neutron().requests().all();
    assert!(seen.iter().all(|request| request.credentials.is_empty()));
    assert_eq!(bench.cloud.keystone().requests().total(), 0);
    bench.delete(&id).await.unwrap();
    assert_eq!(bench.look_at(&id).await.unwrap().state, State::Deleted);

    for service in bench.cloud.state().ids(Kind::VpnService) {
        bench.cloud.state().vanish(Kind::VpnService, &service);
    }
    let error = bench.look_at(&id).await.unwrap_err();
    assert_error(&error, ErrorKind::BackendAuth, ErrorReason::UpstreamDenied);
}

#[tokio::test]
async fn a_refused_login_is_left_alone_for_a_while() {
    let bench = Bench::with(OpenstackOptions::default(), |settings| {
        settings.auth.password = Some("not-a-real-one-at-all".into());
    });
    // No time to ask once more.
    let short = Call::unary(Duration::from_secs(5));
    let first = bench.dialect.probe(&short).await.unwrap_err();
    assert_error(&first, ErrorKind::BackendAuth, ErrorReason::UpstreamAuth);
    let gets = (0..5).map(|_| bench.dialect.get("a", &short));
    for read in futures_util::future::join_all(gets).await {
        let error = read.unwrap_err();
        assert_error(&error, ErrorKind::BackendAuth, ErrorReason::UpstreamAuth);
        assert!(error.context.retry_after.is_some());
        let said = error.context.upstream.expect("what the cloud said");
        assert_eq!((said.status, said.code), (401, "Unauthorized".to_owned()));
        assert!(!said.message.is_empty());
    }
    assert_eq!(bench.cloud.state().logins().refused, 1);
    assert_eq!(bench.cloud.neutron().requests().total(), 0);
}

#[tokio::test]
async fn a_fresh_token_that_is_refused_as_well_is_not_renewed_for_ever() {
    let bench = Bench::stock();
    let refusal = json!({"error": {"code": 401, "title": "Unauthorized", "message": "m"}});
    let refusal = Fault::Answer(Answer::json(StatusCode::UNAUTHORIZED, &refusal));
    bench.cloud.faults().inject(Rule::at(CONNECTIONS, refusal));
    let short = Call::unary(Duration::from_secs(5));
    for _ in 0..4 {
        let error = bench.dialect.get("a", &short).await.unwrap_err();
        assert_error(&error, ErrorKind::BackendAuth, ErrorReason::UpstreamAuth);
    }
    assert_eq!(bench.cloud.state().logins().granted, 2);
}

#[tokio::test]
async fn a_keystone_that_is_down_costs_nothing_while_a_token_lives() {
    let bench = Bench::stock();
    let id = bench.made("a").await;
    bench.cloud.keystone().stop().await.unwrap();
    bench.get(&id).await.unwrap();
    bench.cloud.state().expire_all_tokens();
    let error = bench.get(&id).await.unwrap_err();
    assert_error(
        &error,
        ErrorKind::Unavailable,
        ErrorReason::UpstreamUnreachable,
    );
    bench.cloud.keystone().restart().await.unwrap();
    bench.get(&id).await.unwrap();
}

#[tokio::test]
async fn a_short_token_is_renewed_before_it_ends() {
    let bench = Bench::new(OpenstackOptions {
        // Renewed after 0.8 s.
        token_lifetime: Duration::from_secs(1),
        ..OpenstackOptions::default()
    });
    let id = bench.made("a").await;
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    while bench.cloud.state().logins().granted < 4 {
        assert!(tokio::time::Instant::now() < end, "no renewal");
        bench.get(&id).await.unwrap();
    }
    assert_eq!(bench.cloud.state().logins().refused, 0);
}

#[tokio::test]
async fn an_application_credential_logs_in_too() {
    let bench = Bench::with(OpenstackOptions::default(), |settings| {
        let credential = isthmus::simulator::openstack::Inventory::fixed().application_credential;
        settings.auth = AuthSettings {
            kind: AuthKind::ApplicationCredential,
            auth_url: settings
                .auth
                .auth_url
                .as_ref()
                .map(|url| format!("{url}/v3/")),
            application_credential_id: Some(credential.id.to_owned()),
            application_credential_secret: Some(credential.password.into()),
            ..AuthSettings::default()
        };
    });
    let id = bench.made("a").await;
    bench.delete(&id).await.unwrap();
    assert_eq!(bench.look_at(&id).await.unwrap().state, State::Deleted);
}

#[tokio::test]
async fn the_region_decides_where_the_token_goes() {
    let bench = Bench::with(OpenstackOptions::default(), |settings| {
        settings.auth.region = Some("RegionTwo".to_owned());
    });
    let error = bench.probe().await.unwrap_err();
    assert_error(&error, ErrorKind::Unavailable, ErrorReason::ApiAbsent);
    assert!(error.message.contains("RegionOne"));
    let region = |name: &str, network_url: Option<String>| Region {
        name: name.to_owned(),
        network_url,
    };
    bench.cloud.state().set_regions(vec![
        region("RegionOne", Some("http://127.0.0.1:1".to_owned())),
        region("RegionTwo", None),
    ]);
    bench.probe().await.unwrap();
}

#[tokio::test]
async fn the_newest_release_takes_every_query_that_is_sent() {
    let bench = Bench::new(OpenstackOptions {
        series: Series::V2026_2,
        ..OpenstackOptions::default()
    });
    let (a, b) = (bench.made("a").await, bench.made("b").await);
    let lost = Rule::on(Method::POST, CONNECTIONS, Fault::CutAfterHandling).times(1);
    bench.cloud.faults().inject(lost);
    bench.made("c").await;
    for seen in bench.look_at_all(&[&a, &b]).await {
        assert_eq!(seen.unwrap().state, State::Pending);
    }
    assert_eq!(walk(&bench, 2, |_| {}).await.len(), 3);
}

#[tokio::test]
async fn open_telekom_cloud_has_no_mark_and_no_filters() {
    let bench = Bench::new(OpenstackOptions {
        variant: Variant::Otc,
        blank_in_status: true,
        ..OpenstackOptions::default()
    });
    let (a, b) = (bench.made("a").await, bench.made("b").await);
    let read = bench.get(&a).await.unwrap();
    assert!(!read.managed && read.description.is_empty());
    assert_eq!(
        read.vpn_service.as_deref(),
        Some(bench.cloud.inventory().project.service_id)
    );
    bench.forget_requests();
    for seen in bench.look_at_all(&[&a, &b]).await {
        let seen = seen.unwrap();
        assert_eq!(
            (seen.state, seen.native_state.as_str()),
            (State::Pending, "PENDING CREATE")
        );
    }
    assert_eq!(
        bench.queries(),
        [format!(
            "{CONNECTIONS}?fields=id&fields=status&fields=admin_state_up"
        )]
    );
    assert_eq!(
        walk(&bench, 1, |_| {}).await,
        BTreeSet::from([a.clone(), b.clone()])
    );
    bench.cloud.state().set_status(&a, "FROZEN");
    assert_eq!(bench.look_at(&a).await.unwrap().state, State::Disabled);
    bench.delete(&b).await.unwrap();
    assert_eq!(bench.look_at(&b).await.unwrap().state, State::Deleted);

    // One with the same name, service and address was there before; it is not taken for the new one.
    let lost = Rule::on(Method::POST, CONNECTIONS, Fault::CutAfterHandling).times(1);
    bench.cloud.faults().inject(lost);
    let twin = bench.made("a").await;
    assert_ne!(twin, a);
    let quota = bench.cloud.inventory().project.project_id;
    bench
        .cloud
        .state()
        .set_quota(quota, Kind::Connection, Some(0));
    let error = bench.make(&bench.spec("c")).await.unwrap_err();
    assert_error(&error, ErrorKind::QuotaExceeded, ErrorReason::QuotaExceeded);
}

#[tokio::test]
async fn more_than_one_candidate_is_named_and_none_is_chosen() {
    let bench = Arc::new(Bench::of(Variant::Otc));
    // The answer is held until somebody else has made a twin, and then cut.
    let gate = Gate::default();
    bench
        .cloud
        .faults()
        .inject(Rule::on(Method::POST, CONNECTIONS, Fault::Hold(gate.clone())).times(1));
    bench
        .cloud
        .faults()
        .inject(Rule::on(Method::POST, CONNECTIONS, Fault::CutAfterHandling).times(1));
    let ours = tokio::spawn({
        let bench = Arc::clone(&bench);
        async move { bench.make(&bench.spec("twin")).await }
    });
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    while bench.asked(Method::POST) == 0 {
        assert!(tokio::time::Instant::now() < end, "no POST");
        tokio::task::yield_now().await;
    }
    let twin = bench.made("twin").await;
    gate.open();
    let error = ours.await.unwrap().unwrap_err();
    assert_error(&error, ErrorKind::Stale, ErrorReason::WriteAmbiguous);
    assert!(error.message.contains(&twin));
}

#[tokio::test]
async fn k5_has_networks_inside_connections_and_an_at_before_peers() {
    let bench = Bench::new(OpenstackOptions {
        variant: Variant::K5,
        at_before_peer_id: true,
        ..OpenstackOptions::default()
    });
    assert!(!bench.dialect.capabilities().endpoint_groups);
    let (a, b) = (
        bench.make(&bench.legacy_spec("a")).await.unwrap(),
        bench.make(&bench.legacy_spec("b")).await.unwrap(),
    );
    let read = bench.get(&a).await.unwrap();
    assert_eq!(read.peer.id, "198.51.100.20");
    assert_eq!(read.native["peer_id"], Value::from("@198.51.100.20"));
    assert!(read.managed);
    bench.forget_requests();
    for seen in bench.look_at_all(&[&a, &b]).await {
        assert_eq!(seen.unwrap().state, State::Pending);
    }
    assert_eq!(bench.queries(), [format!("{CONNECTIONS}?")]);
    bench.cloud.state().vanish(Kind::Connection, &b);
    assert_eq!(bench.look_at(&b).await.unwrap().state, State::Deleted);
}

/// What the cloud answers to a LIST of connections, with these rows instead of its own.
fn lists(bench: &Bench, rows: Value) {
    let body = json!({ "ipsec_site_connections": rows });
    let fault = Fault::Answer(Answer::json(StatusCode::OK, &body));
    let rule = Rule::on(Method::GET, format!("{CONNECTIONS}$"), fault);
    bench.cloud.faults().inject(rule);
}

const EVERY_VARIANT: [Variant; 3] = [Variant::Neutron, Variant::Otc, Variant::K5];

/// A connection that this variant takes.
fn taken(bench: &Bench, variant: Variant, name: &str) -> ConnectionSpec {
    match variant {
        Variant::K5 => bench.legacy_spec(name),
        Variant::Neutron | Variant::Otc => bench.spec(name),
    }
}

#[tokio::test]
async fn a_row_without_an_id_breaks_a_list_and_one_that_comes_twice_is_listed_once() {
    for variant in EVERY_VARIANT {
        let bench = Bench::of(variant);
        let id = bench.make(&taken(&bench, variant, "a")).await.unwrap();
        let row = bench.cloud.state().row(Kind::Connection, &id).unwrap();
        let first = page(50);
        for odd in [
            json!({"name": "b"}),
            json!({"id": "", "name": "b"}),
            json!({"id": null}),
            json!({}),
            json!(7),
            json!(null),
        ] {
            lists(&bench, json!([row, odd]));
            let error = bench.list(&first).await.unwrap_err();
            assert_error(
                &error,
                ErrorKind::Unavailable,
                ErrorReason::UpstreamBrokenAnswer,
            );
            assert!(error.message.contains("row 2 has no `id`"), "{error}");
            // A look asks for what a list does not name.
            for seen in bench.look_at_all(&[&id, &id]).await {
                assert_eq!(seen.unwrap().state, State::Pending, "{variant:?}");
            }
            bench.cloud.faults().clear();
        }
        let mut later = row.clone();
        later["name"] = "later".into();
        lists(&bench, json!([row, later, row]));
        let page = bench.list(&first).await.unwrap();
        let names: Vec<&str> = page
            .connections
            .iter()
            .map(|it| it.display_name.as_str())
            .collect();
        assert_eq!(names, ["a"], "{variant:?}");
    }
}

#[tokio::test]
async fn a_cloud_that_takes_only_one_of_several_fields_is_asked_for_all() {
    for taken in [FieldsTaken::First, FieldsTaken::Last] {
        let bench = Bench::of(Variant::Otc);
        bench.cloud.state().set_fields_taken(taken);
        bench.probe().await.unwrap();
        let (a, b) = (bench.made("a").await, bench.made("b").await);
        bench.cloud.state().agent_reports(&a, "ACTIVE");
        let states = async || {
            let seen = bench.look_at_all(&[&a, &b]).await;
            let states: Vec<State> = seen.iter().map(|it| it.as_ref().unwrap().state).collect();
            states
        };
        assert_eq!(states().await, [State::Active, State::Pending], "{taken:?}");
        bench.forget_requests();
        assert_eq!(states().await, [State::Active, State::Pending], "{taken:?}");
        assert_eq!(bench.queries(), [format!("{CONNECTIONS}?")], "{taken:?}");
        // What was there before a lost POST, and what is there now, are told apart by whole rows.
        let lost = Rule::on(Method::POST, CONNECTIONS, Fault::CutAfterHandling).times(1);
        bench.cloud.faults().inject(lost);
        let twin = bench.made("a").await;
        assert_ne!(twin, a);
        assert_eq!(walk(&bench, 1, |_| {}).await.len(), 3);
        bench.delete(&b).await.unwrap();
        assert_eq!(bench.look_at(&b).await.unwrap().state, State::Deleted);
    }
}

#[tokio::test]
async fn an_etag_does_not_depend_on_how_the_cloud_spells_what_is_the_same() {
    let bench = Bench::of(Variant::K5);
    let id = bench.make(&bench.legacy_spec("a")).await.unwrap();
    let state = bench.cloud.state();
    state.agent_reports(&id, "DOWN");
    for spelled_before in [false, true] {
        state.set_at_before_peer_id(spelled_before);
        let read = bench.get(&id).await.unwrap();
        assert_eq!(read.peer.id, "198.51.100.20");
        state.set_at_before_peer_id(!spelled_before);
        let again = bench.get(&id).await.unwrap();
        assert_eq!(read.etag, again.etag);
        let mut renamed = renamed(&format!("after {spelled_before}"));
        renamed.etag = Some(read.etag);
        bench.update(&id, &renamed).await.unwrap();
    }
    // Another peer is another etag.
    let before = bench.get(&id).await.unwrap().etag;
    state.set_attribute(Kind::Connection, &id, "peer_id", Some("other".into()));
    let after = bench.get(&id).await.unwrap().etag;
    assert_ne!(before, after);
}

#[tokio::test]
async fn gone_is_said_by_the_clouds_own_words_in_every_variant() {
    for variant in EVERY_VARIANT {
        let bench = Bench::of(variant);
        let spec = taken(&bench, variant, "a");
        let id = bench.make(&spec).await.unwrap();
        let item = format!("{CONNECTIONS}/");
        for shape in Foreign404::ALL {
            let rule = Rule::at(&*item, Fault::Foreign404(shape));
            bench.cloud.faults().inject(rule);
            let at = format!("{variant:?} {shape:?}");
            for error in [
                bench.get(&id).await.unwrap_err(),
                bench.look_at(&id).await.unwrap_err(),
                bench.delete(&id).await.unwrap_err(),
                bench.update(&id, &renamed("x")).await.unwrap_err(),
            ] {
                assert_eq!(error.reason, ErrorReason::UpstreamBrokenAnswer, "{at}");
            }
            bench.cloud.faults().clear();
        }
        // The cloud's own words are contradicted by a list that shows the connection.
        let row = bench.cloud.state().row(Kind::Connection, &id).unwrap();
        lists(&bench, json!([row]));
        bench.cloud.state().vanish(Kind::Connection, &id);
        for error in [
            bench.get(&id).await.unwrap_err(),
            bench.look_at(&id).await.unwrap_err(),
            bench.delete(&id).await.unwrap_err(),
        ] {
            assert_eq!(
                error.reason,
                ErrorReason::UpstreamBrokenAnswer,
                "{variant:?}"
            );
        }
        bench.cloud.faults().clear();
        assert_eq!(bench.look_at(&id).await.unwrap().state, State::Deleted);
        let gone = bench.delete(&id).await.unwrap_err();
        assert_error(&gone, ErrorKind::NotFound, ErrorReason::ConnectionNotFound);
    }
}

/// Every DPD action that a variant has goes into the cloud and comes back; the others are refused by name, here
/// and there.
#[tokio::test]
async fn dpd_actions_go_both_ways_in_every_variant_that_has_them() {
    let words = [
        (DpdAction::Clear, "clear"),
        (DpdAction::Hold, "hold"),
        (DpdAction::Restart, "restart"),
        (DpdAction::Disabled, "disabled"),
        (DpdAction::RestartByPeer, "restart-by-peer"),
    ];
    for variant in EVERY_VARIANT {
        let bench = Bench::of(variant);
        let updated = bench.make(&taken(&bench, variant, "u")).await.unwrap();
        bench.cloud.state().agent_reports(&updated, "DOWN");
        for (action, word) in words {
            let mut spec = taken(&bench, variant, word);
            spec.dpd = Some(DeadPeerDetection {
                action: Some(action),
                interval_seconds: Some(20),
                timeout_seconds: Some(90),
            });
            let update = change(&[Field::Dpd], spec.clone());
            if variant == Variant::K5 && !matches!(word, "hold" | "restart") {
                for refused in [
                    bench.dialect.refuse_create(&spec),
                    bench.dialect.refuse_update(&update),
                ] {
                    assert_eq!(refused.len(), 1, "{word}: {refused:?}");
                    assert_eq!(refused[0].field, "dpd.action");
                    assert!(refused[0].description.contains("hold or restart"));
                }
                let error = bench.create(&spec).await;
                let error = error.unwrap_err();
                assert_eq!(error.reason, ErrorReason::UpstreamRejected, "{word}");
                // What is there all the same is shown as it is.
                let dpd = json!({"action": word, "interval": 20, "timeout": 90});
                let state = bench.cloud.state();
                state.set_attribute(Kind::Connection, &updated, "dpd", Some(dpd));
            } else {
                let id = bench.make(&spec).await.unwrap();
                let read = bench.get(&id).await.unwrap();
                assert_eq!(read.dpd, spec.dpd, "{variant:?} {word}");
                let row = bench.cloud.state().row(Kind::Connection, &id).unwrap();
                assert_eq!(row["dpd"]["action"], word, "{variant:?}");
                assert_eq!(bench.dialect.refuse_update(&update), []);
                let update = bench.update(&updated, &update).await;
                update.unwrap();
            }
            let read = bench.get(&updated).await.unwrap();
            assert_eq!(read.dpd, spec.dpd, "{variant:?} {word}");
        }
    }
}

#[tokio::test]
async fn k5_takes_an_ipv4_address_of_the_peer_and_nothing_else() {
    let bench = Bench::of(Variant::K5);
    bench.cloud.state().set_host("vpn.example", "198.51.100.9");
    let with = |address: &str| ConnectionSpec {
        peer_address: address.to_owned(),
        peer_id: Some("peer.example".to_owned()),
        ..bench.legacy_spec("x")
    };
    // The second is the example of K5's own document.
    for address in ["198.51.100.20", "172.24.4.226"] {
        bench.make(&with(address)).await.unwrap();
    }
    for address in [
        "vpn.example",
        "2001:db8::1",
        "198.51.100.0/24",
        "127.0.0.1",
        "0.0.0.0",
        "224.0.0.5",
        "169.254.1.1",
        "255.255.255.255",
    ] {
        let update = change(&[Field::PeerAddress], with(address));
        for refused in [
            bench.dialect.refuse_create(&with(address)),
            bench.dialect.refuse_update(&update),
        ] {
            let fields: Vec<&str> = refused.iter().map(|it| it.field.as_str()).collect();
            assert_eq!(fields, ["peer.address"], "{address}");
            assert!(refused[0].description.contains("public IPv4 address"));
        }
        let error = bench.create(&with(address)).await.unwrap_err();
        assert_eq!(error.reason, ErrorReason::UpstreamRejected, "{address}");
    }
}

#[tokio::test]
async fn open_telekom_cloud_takes_what_its_document_allows_and_no_more() {
    let bench = Bench::of(Variant::Otc);
    let key = |key: &str| ConnectionSpec {
        authentication: Some(Authentication::Psk(Psk::new(key))),
        ..bench.spec("x")
    };
    let id = |id: &str| ConnectionSpec {
        peer_id: Some(id.to_owned()),
        ..bench.spec("x")
    };
    let host = "h".repeat(250);
    bench.cloud.state().set_host(&host, "198.51.100.9");
    let address = |address: &str| ConnectionSpec {
        peer_address: address.to_owned(),
        peer_id: Some("peer".to_owned()),
        ..bench.spec("x")
    };
    let mut allowed = vec![
        key(&"k".repeat(6)),
        key(&"k".repeat(128)),
        id(&"i".repeat(250)),
        address(&host),
    ];
    allowed.extend(
        "~`!@#$%^()-_+=[]{}|\\,./:;09azAZ"
            .chars()
            .map(|sign| key(&format!("passw{sign}rd"))),
    );
    for spec in allowed {
        bench.make(&spec).await.unwrap();
    }
    let mut refused = vec![
        (key("12345"), "peer.psk"),
        (key(&"k".repeat(129)), "peer.psk"),
        (id(&"i".repeat(251)), "peer.id"),
        (address(&"h".repeat(251)), "peer.address"),
    ];
    refused.extend(
        "\"'&*<>? \u{e4}\n"
            .chars()
            .map(|sign| (key(&format!("passw{sign}rd")), "peer.psk")),
    );
    for (spec, field) in refused {
        let found = bench.dialect.refuse_create(&spec);
        let fields: Vec<&str> = found.iter().map(|it| it.field.as_str()).collect();
        assert_eq!(fields, [field]);
        assert_secret_free(&format!("{found:?}"));
        let error = bench.create(&spec).await;
        assert_eq!(error.unwrap_err().reason, ErrorReason::UpstreamRejected);
    }
}

/// The two examples of its documents differ; the simulated one answers each way.
#[tokio::test]
async fn open_telekom_cloud_shows_one_connection_in_two_shapes() {
    let bench = Bench::of(Variant::Otc);
    let id = bench.made("a").await;
    let shown = bench.get(&id).await.unwrap();
    let first = page(50);
    let listed = bench.list(&first).await.unwrap();
    let listed = &listed.connections[0];
    let details = |connection: &Connection| match &connection.details {
        Some(Details::Openstack(details)) => details.clone(),
        other => panic!("{other:?}"),
    };
    let (show, list) = (details(&shown), details(listed));
    assert!(show.created_at.is_empty() && !list.created_at.is_empty());
    assert_eq!(show.project_id, list.project_id);
    assert!(!show.project_id.is_empty());
    assert_eq!((&shown.etag, &shown.peer), (&listed.etag, &listed.peer));
    assert_eq!(shown.dpd, listed.dpd);
}

#[tokio::test]
async fn down_says_why_nothing_more_is_known() {
    let bench = Bench::stock();
    let id = bench.made("a").await;
    bench.cloud.state().agent_reports(&id, "DOWN");
    let seen = bench.look_at(&id).await.unwrap();
    assert_eq!(
        (seen.state, seen.assurance, seen.native_state.as_str()),
        (State::Down, Assurance::ControlPlane, "DOWN")
    );
    assert_eq!(seen.reason.unwrap().code, "TUNNEL_DOWN");
}
