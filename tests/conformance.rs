//! What `core::dialect` promises, held by every dialect: one suite, one line for each.
//!
//! Every dialect is bound to its simulated cloud over a real socket. A bug found in one dialect becomes a
//! case for all.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

mod support;

use http::{Method, StatusCode};
use isthmus::{
    core::{
        dialect::{Call, Dialect, Mark, PageRequest, Proof, Target},
        error::{Error, ErrorKind, ErrorReason},
    },
    dialects,
    model::{
        Assurance, Authentication, ConnectionChange, ConnectionSpec, Field, PolicyRule, Psk,
        RealizationState as State, Selectors, Sighting, TunnelInterface,
    },
    simulator::{
        faults::{Answer, Fault, Faults, Foreign404, Rule},
        http::Server,
        nsx::{self, NsxOptions, NsxSimulator},
        openstack::{self, OpenstackOptions, OpenstackSimulator},
    },
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use support::clouds::{self, PSK, References};

/// A simulated cloud with its dialect, and what the suite needs to do behind the dialect's back.
trait Cloud: Send + Sync {
    fn dialect(&self) -> &Arc<dyn Dialect>;
    /// A connection that the cloud takes.
    fn spec(&self) -> ConnectionSpec;
    /// Fields and values that it cannot express.
    fn inexpressible(&self) -> ConnectionSpec;
    /// The path under which its connections are, in one piece.
    fn collection(&self) -> &'static str;
    fn faults(&self) -> &Faults;
    fn server(&self) -> &Server;
    /// How many connections it has, and how many objects that were made for them.
    fn counts(&self) -> (usize, usize);
    /// The cloud has made it real.
    fn settle(&self, id: &str);
    /// Somebody else removes it.
    fn vanish(&self, id: &str);
    /// Its lists no longer show a connection that is there all the same, where they are used to look.
    fn hide(&self, _id: &str) {}
    /// The VPN API is no longer there.
    fn remove_api(&self);
    /// The login stops being accepted; how many logins were tried so far.
    fn spoil_login(&self);
    fn logins(&self) -> u64;
}

struct Nsx {
    simulator: NsxSimulator,
    dialect: Arc<dyn Dialect>,
}

impl Nsx {
    fn start() -> Box<dyn Cloud> {
        let simulator = NsxSimulator::start(NsxOptions::default()).unwrap();
        simulator
            .state()
            .tune(|levers| levers.delete_lingers = false);
        let dialect = dialects::connect(&clouds::nsx("nsx-a", &simulator)).unwrap();
        Box::new(Nsx { simulator, dialect })
    }
}

impl Cloud for Nsx {
    fn dialect(&self) -> &Arc<dyn Dialect> {
        &self.dialect
    }

    fn spec(&self) -> ConnectionSpec {
        ConnectionSpec {
            display_name: "branch 42".into(),
            local_endpoint: Some(nsx::inventory::LOCAL_ENDPOINT_ID.into()),
            peer_address: "198.51.100.20".into(),
            authentication: Some(Authentication::Psk(Psk::new(PSK))),
            selectors: Some(Selectors::Rules(vec![PolicyRule {
                sources: vec!["10.1.0.0/24".into()],
                destinations: vec!["10.2.0.0/24".into()],
                ..PolicyRule::default()
            }])),
            ..ConnectionSpec::default()
        }
    }

    fn inexpressible(&self) -> ConnectionSpec {
        ConnectionSpec {
            vpn_service: Some("any".into()),
            peer_address: "vpn.example".into(),
            ..self.spec()
        }
    }

    fn collection(&self) -> &'static str {
        "/api/v1/vpn/ipsec/sessions"
    }

    fn faults(&self) -> &Faults {
        self.simulator.faults()
    }

    fn server(&self) -> &Server {
        self.simulator.manager(0)
    }

    fn counts(&self) -> (usize, usize) {
        let state = self.simulator.state();
        (
            state.count(nsx::Kind::Session),
            state.count(nsx::Kind::PeerEndpoint),
        )
    }

    fn settle(&self, id: &str) {
        self.simulator.state().finish(id);
    }

    fn vanish(&self, id: &str) {
        self.simulator.state().vanish(nsx::Kind::Session, id);
    }

    fn remove_api(&self) {
        self.simulator
            .state()
            .tune(|levers| levers.api_absent = true);
    }

    fn spoil_login(&self) {
        self.simulator
            .state()
            .set_password("admin", "another-password");
        self.simulator.state().expire_sessions();
    }

    fn logins(&self) -> u64 {
        self.simulator.state().failed_logins()
    }
}

struct Openstack {
    simulator: OpenstackSimulator,
    dialect: Arc<dyn Dialect>,
}

impl Openstack {
    fn start() -> Box<dyn Cloud> {
        let simulator = OpenstackSimulator::start(OpenstackOptions::default()).unwrap();
        let dialect = dialects::connect(&clouds::openstack("os-a", &simulator)).unwrap();
        Box::new(Openstack { simulator, dialect })
    }
}

impl Cloud for Openstack {
    fn dialect(&self) -> &Arc<dyn Dialect> {
        &self.dialect
    }

    fn spec(&self) -> ConnectionSpec {
        let references = References::of(&self.simulator);
        ConnectionSpec {
            display_name: "branch 42".into(),
            vpn_service: Some(references.vpn_service),
            ike_policy: Some(references.ike_policy),
            ipsec_policy: Some(references.ipsec_policy),
            peer_address: "198.51.100.20".into(),
            authentication: Some(Authentication::Psk(Psk::new(PSK))),
            selectors: Some(Selectors::EndpointGroups {
                local: references.local_endpoint_group,
                peer: references.peer_endpoint_group,
            }),
            ..ConnectionSpec::default()
        }
    }

    fn inexpressible(&self) -> ConnectionSpec {
        ConnectionSpec {
            local_endpoint: Some("any".into()),
            mtu: Some(60),
            ..self.spec()
        }
    }

    fn collection(&self) -> &'static str {
        "/v2.0/vpn/ipsec-site-connections"
    }

    fn faults(&self) -> &Faults {
        self.simulator.faults()
    }

    fn server(&self) -> &Server {
        self.simulator.neutron()
    }

    fn counts(&self) -> (usize, usize) {
        let count = self
            .simulator
            .state()
            .ids(openstack::Kind::Connection)
            .len();
        (count, count)
    }

    fn settle(&self, id: &str) {
        self.simulator.state().agent_reports(id, "DOWN");
        self.simulator.state().agent_reports(id, "ACTIVE");
    }

    fn vanish(&self, id: &str) {
        self.simulator
            .state()
            .vanish(openstack::Kind::Connection, id);
    }

    fn hide(&self, id: &str) {
        let state = self.simulator.state();
        assert!(state.hide_from_list(openstack::Kind::Connection, id, true));
    }

    fn remove_api(&self) {
        self.simulator.state().set_vpn_absent(true);
    }

    fn spoil_login(&self) {
        self.simulator.state().expire_all_tokens();
        let refusal = Answer::json(
            StatusCode::UNAUTHORIZED,
            &serde_json::json!({"error": {"code": 401, "title": "Unauthorized", "message": "no"}}),
        );
        let rule = Rule::on(Method::POST, "/auth/tokens", Fault::Answer(refusal));
        self.simulator.keystone().faults().inject(rule);
    }

    fn logins(&self) -> u64 {
        self.simulator
            .keystone()
            .requests()
            .count(&Method::POST, "/v3/auth/tokens")
    }
}

fn call() -> Call {
    Call::unary(Duration::from_secs(5))
}

fn rename(name: &str) -> ConnectionChange {
    ConnectionChange {
        fields: BTreeSet::from([Field::DisplayName]),
        values: ConnectionSpec {
            display_name: name.into(),
            ..ConnectionSpec::default()
        },
        etag: None,
    }
}

fn target(id: &str) -> Target {
    Target {
        id: id.into(),
        ..Target::default()
    }
}

async fn made(cloud: &dyn Cloud) -> String {
    let written = cloud
        .dialect()
        .create(&cloud.spec(), &Mark::new(), &call())
        .await
        .unwrap();
    written.id
}

async fn look(cloud: &dyn Cloud, id: &str) -> Result<Sighting, Error> {
    let mut results = cloud.dialect().look(&[target(id)], &call()).await;
    assert_eq!(results.len(), 1);
    results.remove(0)
}

/// What is made reads back, marked as ours and without its key.
async fn what_is_made_reads_back(cloud: &dyn Cloud) {
    let written = cloud
        .dialect()
        .create(&cloud.spec(), &Mark::new(), &call())
        .await
        .unwrap();
    let read = cloud.dialect().get(&written.id, &call()).await.unwrap();
    assert_eq!(read.id, written.id);
    assert_eq!(read.display_name, "branch 42");
    assert_eq!(read.description, "");
    assert_eq!(read.peer.address, "198.51.100.20");
    assert_eq!(read.peer.id, "198.51.100.20");
    assert_eq!(read.admin_enabled, Some(true));
    assert!(read.peer.psk_set && read.managed && !read.etag.is_empty());
    assert_eq!(read.etag, written.connection.as_ref().unwrap().etag);
    let everything = format!("{read:?} {written:?}");
    assert!(!everything.contains(PSK), "the key came out");
}

/// A list brings everything once, however small its pages.
async fn a_list_brings_everything_once(cloud: &dyn Cloud) {
    let mut expected = BTreeSet::new();
    for _ in 0..7 {
        expected.insert(made(cloud).await);
    }
    for size in [1, 3, 7, 1000] {
        let mut found = Vec::new();
        let mut request = PageRequest {
            size,
            ..PageRequest::default()
        };
        loop {
            let page = cloud.dialect().list(&request, &call()).await.unwrap();
            assert!(page.connections.len() <= size as usize);
            found.extend(page.connections.into_iter().map(|connection| connection.id));
            let Some(next) = page.next else { break };
            request.after = Some(next);
            assert!(found.len() <= 7, "the list does not end");
        }
        assert_eq!(found.len(), 7, "page size {size}");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
    }
}

/// An update changes what it names, and the etag with it; one that changes nothing writes nothing.
async fn an_update_changes_what_it_names(cloud: &dyn Cloud) {
    let id = made(cloud).await;
    cloud.settle(&id);
    let before = cloud.dialect().get(&id, &call()).await.unwrap();
    let written = cloud
        .dialect()
        .update(&id, &rename("branch 43"), &call())
        .await
        .unwrap();
    assert_ne!(written.proof, Proof::Nothing);
    let after = cloud.dialect().get(&id, &call()).await.unwrap();
    assert_eq!(after.display_name, "branch 43");
    assert_eq!(
        (&after.peer, &after.selectors, after.managed),
        (&before.peer, &before.selectors, true)
    );
    assert_ne!(after.etag, before.etag);

    cloud.server().requests().clear();
    let again = cloud
        .dialect()
        .update(&id, &rename("branch 43"), &call())
        .await
        .unwrap();
    assert_eq!(again.proof, Proof::Nothing);
    assert_eq!(cloud.server().requests().count(&Method::PUT, ""), 0);
}

/// A write with an etag that is not current is refused and changes nothing.
async fn a_stale_etag_is_refused(cloud: &dyn Cloud) {
    let id = made(cloud).await;
    cloud.settle(&id);
    let etag = cloud.dialect().get(&id, &call()).await.unwrap().etag;
    let current = ConnectionChange {
        etag: Some(etag.clone()),
        ..rename("second")
    };
    cloud
        .dialect()
        .update(&id, &current, &call())
        .await
        .unwrap();
    let stale = ConnectionChange {
        etag: Some(etag.clone()),
        ..rename("third")
    };
    let error = cloud
        .dialect()
        .update(&id, &stale, &call())
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.reason),
        (ErrorKind::Stale, ErrorReason::StaleEtag)
    );
    let error = cloud
        .dialect()
        .delete(&id, Some(&etag), &call())
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Stale);
    assert_eq!(
        cloud
            .dialect()
            .get(&id, &call())
            .await
            .unwrap()
            .display_name,
        "second"
    );
}

/// A delete takes along what was made, and says so when there is nothing.
async fn a_delete_leaves_nothing(cloud: &dyn Cloud) {
    let before = cloud.counts();
    let id = made(cloud).await;
    let written = cloud.dialect().delete(&id, None, &call()).await.unwrap();
    assert_eq!(
        (written.id.as_str(), written.warnings),
        (id.as_str(), vec![])
    );
    assert_eq!(cloud.counts(), before);
    let again = cloud
        .dialect()
        .delete(&id, None, &call())
        .await
        .unwrap_err();
    let missing = (ErrorKind::NotFound, ErrorReason::ConnectionNotFound);
    assert_eq!((again.kind, again.reason), missing);
    let read = cloud.dialect().get(&id, &call()).await.unwrap_err();
    assert_eq!((read.kind, read.reason), missing);
    let update = cloud
        .dialect()
        .update(&id, &rename("x"), &call())
        .await
        .unwrap_err();
    assert_eq!((update.kind, update.reason), missing);
}

/// Looks follow the cloud: on its way, in place, gone.
async fn looks_follow_the_cloud(cloud: &dyn Cloud) {
    let id = made(cloud).await;
    let fresh = look(cloud, &id).await.unwrap();
    assert!(
        matches!(fresh.state, State::Pending | State::InProgress),
        "{fresh:?}"
    );
    assert!(!fresh.native_state.is_empty());
    cloud.settle(&id);
    let settled = look(cloud, &id).await.unwrap();
    assert!(
        matches!(settled.state, State::Realized | State::Active),
        "{settled:?}"
    );
    assert!(settled.assurance >= Assurance::ControlPlane);
    cloud.vanish(&id);
    assert_eq!(look(cloud, &id).await.unwrap().state, State::Deleted);
}

/// Many are looked at as one would be, in order.
async fn many_are_looked_at_in_order(cloud: &dyn Cloud) {
    let first = made(cloud).await;
    let second = made(cloud).await;
    cloud.settle(&second);
    let batch = cloud.dialect().capabilities().look_batch.min(3);
    let targets = [
        target(&second),
        target("00000000-0000-4000-8000-000000000000"),
        target(&first),
    ];
    let mut states = Vec::new();
    for chunk in targets.chunks(batch) {
        for result in cloud.dialect().look(chunk, &call()).await {
            states.push(result.unwrap().state);
        }
    }
    assert!(matches!(states[0], State::Realized | State::Active));
    assert_eq!(states[1], State::Deleted);
    assert!(matches!(states[2], State::Pending | State::InProgress));
}

/// What cannot be reached tells nothing, and what comes back tells again.
async fn an_outage_tells_nothing(cloud: &dyn Cloud) {
    let id = made(cloud).await;
    cloud.server().stop().await.unwrap();
    let error = look(cloud, &id).await.unwrap_err();
    assert_eq!(
        (error.kind, error.reason),
        (ErrorKind::Unavailable, ErrorReason::UpstreamUnreachable)
    );
    assert_eq!(
        cloud.dialect().get(&id, &call()).await.unwrap_err().kind,
        ErrorKind::Unavailable
    );
    let create = cloud
        .dialect()
        .create(&cloud.spec(), &Mark::new(), &call())
        .await
        .unwrap_err();
    assert_eq!(
        create.kind,
        ErrorKind::Unavailable,
        "nothing was sent, so nothing is ambiguous"
    );
    assert!(cloud.dialect().probe(&call()).await.is_err());
    cloud.server().restart().await.unwrap();
    assert!(look(cloud, &id).await.is_ok());
}

/// A missing API is not an empty one: nothing is deleted by it.
async fn an_absent_api_deletes_nothing(cloud: &dyn Cloud) {
    let id = made(cloud).await;
    cloud.remove_api();
    assert_eq!(
        look(cloud, &id).await.unwrap_err().reason,
        ErrorReason::ApiAbsent
    );
    assert_eq!(
        cloud.dialect().probe(&call()).await.unwrap_err().reason,
        ErrorReason::ApiAbsent
    );
}

/// The calls that can find a connection missing.
const CALLS: [&str; 5] = ["get", "look", "look at many", "update", "delete"];

async fn do_call(cloud: &dyn Cloud, id: &str, name: &str) -> Result<(), Error> {
    let dialect = cloud.dialect();
    match name {
        "get" => dialect.get(id, &call()).await.map(drop),
        "update" => dialect.update(id, &rename("x"), &call()).await.map(drop),
        "delete" => dialect.delete(id, None, &call()).await.map(drop),
        name => {
            let batch = dialect.capabilities().look_batch.min(2);
            let targets = [target(id), target(id)];
            let most = if name == "look" { 1 } else { batch };
            let seen = dialect.look(&targets[..most], &call()).await;
            let told: Result<Vec<_>, _> = seen.into_iter().collect();
            told.map(drop)
        }
    }
}

/// A 404 in words that are not the cloud's own for its connection proves nothing, whichever request it strikes.
async fn a_foreign_404_proves_nothing(cloud: &dyn Cloud) {
    let id = made(cloud).await;
    cloud.settle(&id);
    // What a list does not show is asked for alone.
    cloud.hide(&id);
    for shape in Foreign404::ALL {
        let path = format!("{}/", cloud.collection());
        let on = |method| Rule::on(method, path.clone(), Fault::Foreign404(shape));
        let cases: [(&str, Rule, &[&str]); 3] = [
            (
                "all",
                Rule::at(path.clone(), Fault::Foreign404(shape)),
                &CALLS,
            ),
            ("PUT", on(Method::PUT), &["update"]),
            ("DELETE", on(Method::DELETE), &["delete"]),
        ];
        for (struck, rule, calls) in cases {
            cloud.faults().inject(rule);
            for name in calls {
                let at = format!("{shape:?} to {struck}: {name}");
                let error = do_call(cloud, &id, name).await.expect_err(&at);
                assert!(error.is_outage(), "{at}: {error:?}");
                assert_eq!(error.reason, ErrorReason::UpstreamBrokenAnswer, "{at}");
            }
            cloud.faults().clear();
        }
    }
    assert!(cloud.dialect().get(&id, &call()).await.is_ok());
}

/// Even in the cloud's own words a 404 counts only where the collection answers; then every call says the same.
async fn gone_needs_a_collection_that_answers(cloud: &dyn Cloud) {
    let id = made(cloud).await;
    cloud.vanish(&id);
    let html = Answer::text(StatusCode::NOT_FOUND, "text/html", "<html>not found</html>");
    for fault in [
        Fault::Answer(html),
        Fault::Answer(Answer::status(StatusCode::INTERNAL_SERVER_ERROR)),
        Fault::Answer(Answer::text(StatusCode::OK, "text/html", "<html></html>")),
        Fault::CutBeforeHandling,
    ] {
        let name = format!("{fault:.40?}");
        let rule = Rule::on(Method::GET, format!("{}$", cloud.collection()), fault);
        cloud.faults().inject(rule);
        for call in CALLS {
            let error = do_call(cloud, &id, call).await.expect_err(&name);
            assert!(error.is_outage(), "{call}, {name}: {error:?}");
        }
        cloud.faults().clear();
    }
    for call in CALLS {
        match do_call(cloud, &id, call).await {
            Ok(()) => assert!(call.starts_with("look"), "{call}"),
            Err(error) => assert_eq!(error.reason, ErrorReason::ConnectionNotFound, "{call}"),
        }
    }
}

/// Answers that are broken, foreign or too large are errors and no sightings, and end in time.
async fn broken_answers_tell_nothing(cloud: &dyn Cloud) {
    let id = made(cloud).await;
    let html = Answer::text(StatusCode::NOT_FOUND, "text/html", "<html>not found</html>");
    let faults = [
        Fault::Answer(Answer::html_bad_gateway()),
        Fault::Answer(html),
        Fault::Answer(Answer::deep_json(10_000)),
        Fault::Answer(Answer::big_json(50)),
        Fault::Answer(Answer::redirect("http://127.0.0.1:9/elsewhere")),
        Fault::Answer(Answer::status(StatusCode::INTERNAL_SERVER_ERROR)),
        Fault::Answer(Answer::status(StatusCode::SERVICE_UNAVAILABLE)),
        Fault::TruncateBody,
        Fault::EndlessBody,
        Fault::Garbage,
        Fault::CutBeforeHandling,
    ];
    for fault in faults {
        let name = format!("{fault:.40?}");
        cloud.faults().inject(Rule::any(fault));
        let error = look(cloud, &id).await.expect_err(&name);
        assert!(error.is_outage(), "{name}: {error:?}");
        assert!(error.to_string().len() < 2048, "{name}");
        cloud.faults().clear();
    }
    assert!(look(cloud, &id).await.is_ok());
}

/// Being asked for patience is an error that says how long.
async fn throttling_is_told(cloud: &dyn Cloud) {
    let id = made(cloud).await;
    let throttle = Answer::status(StatusCode::TOO_MANY_REQUESTS).retry_after(7);
    cloud
        .faults()
        .inject(Rule::any(Fault::Answer(throttle)).times(1));
    let error = cloud.dialect().get(&id, &call()).await.unwrap_err();
    assert_eq!(
        (error.kind, error.reason),
        (ErrorKind::Throttled, ErrorReason::UpstreamThrottled)
    );
    assert_eq!(error.context.retry_after, Some(Duration::from_secs(7)));
    assert!(cloud.dialect().usage().paused_for.is_some());
}

/// A lost answer to a create is never followed by a second one.
async fn a_lost_answer_makes_nothing_twice(cloud: &dyn Cloud) {
    let before = cloud.counts();
    let rule = Rule::on(
        Method::POST,
        format!("{}$", cloud.collection()),
        Fault::CutAfterHandling,
    );
    cloud.faults().inject(rule.times(1));
    let written = cloud
        .dialect()
        .create(&cloud.spec(), &Mark::new(), &call())
        .await
        .unwrap();
    assert_eq!(cloud.counts(), (before.0 + 1, before.1 + 1));
    assert!(
        cloud
            .dialect()
            .get(&written.id, &call())
            .await
            .unwrap()
            .managed
    );
}

/// What was made is found also if the cloud comes to itself only after some seconds, if there is time for that.
async fn what_was_made_is_found_as_long_as_there_is_time(cloud: &dyn Cloud) {
    let path = cloud.collection();
    let post = Rule::on(Method::POST, format!("{path}$"), Fault::CutAfterHandling);
    cloud.faults().inject(post.times(1));
    let unavailable = Answer::status(StatusCode::INTERNAL_SERVER_ERROR);
    let down = Rule::on(Method::GET, path, Fault::Answer(unavailable));
    let down = cloud.faults().inject(down.times(4));
    let (spec, mark) = (cloud.spec(), Mark::new());
    let made = cloud
        .dialect()
        .create(&spec, &mark, &Call::unary(Duration::from_secs(20)))
        .await;
    assert_eq!(down.count(), 4);
    cloud
        .dialect()
        .get(&made.unwrap().id, &call())
        .await
        .unwrap();
}

/// A lost answer that nobody can find out about is said to be ambiguous.
async fn what_cannot_be_found_out_is_ambiguous(cloud: &dyn Cloud) {
    let path = cloud.collection();
    let post = Rule::on(Method::POST, format!("{path}$"), Fault::CutBeforeHandling);
    cloud.faults().inject(post.times(1));
    let unavailable = Answer::status(StatusCode::INTERNAL_SERVER_ERROR);
    cloud
        .faults()
        .inject(Rule::on(Method::GET, path, Fault::Answer(unavailable)));
    let error = cloud
        .dialect()
        .create(&cloud.spec(), &Mark::new(), &call())
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.reason),
        (ErrorKind::Ambiguous, ErrorReason::WriteAmbiguous)
    );
    let posts = cloud.server().requests().all();
    let posts = posts
        .iter()
        .filter(|seen| seen.method == Method::POST && seen.path.ends_with(path));
    assert_eq!(posts.count(), 1);
}

/// What cannot be expressed is refused by field, and nothing is sent.
async fn what_cannot_be_expressed_is_refused_unsent(cloud: &dyn Cloud) {
    let refused = cloud.dialect().refuse_create(&cloud.inexpressible());
    assert!(refused.len() >= 2, "{refused:?}");
    assert!(refused.iter().all(|violation| !violation.field.is_empty()));
    assert_eq!(cloud.dialect().refuse_create(&cloud.spec()), vec![]);
    let empty = cloud.dialect().refuse_create(&ConnectionSpec::default());
    assert!(
        empty
            .iter()
            .any(|violation| violation.field.starts_with("peer")),
        "{empty:?}"
    );
    let route = ConnectionSpec {
        selectors: Some(Selectors::RouteBased(vec![TunnelInterface {
            id: None,
            addresses: vec!["169.254.64.1/30".into()],
        }])),
        ..cloud.spec()
    };
    if cloud.dialect().capabilities().route_based {
        assert_eq!(cloud.dialect().refuse_create(&route), vec![]);
    }
    assert_eq!(cloud.server().requests().total(), 0);
}

/// A refused login is an error about us, and is not tried again and again.
async fn a_refused_login_is_tried_once(cloud: &dyn Cloud) {
    let id = made(cloud).await;
    cloud.spoil_login();
    let before = cloud.logins();
    for _ in 0..5 {
        let error = look(cloud, &id).await.unwrap_err();
        assert_eq!(
            (error.kind, error.reason),
            (ErrorKind::BackendAuth, ErrorReason::UpstreamAuth)
        );
    }
    assert_eq!(cloud.logins() - before, 1);
}

/// A call ends by its deadline.
async fn a_call_ends_by_its_deadline(cloud: &dyn Cloud) {
    let id = made(cloud).await;
    cloud
        .faults()
        .inject(Rule::any(Fault::Delay(Duration::from_secs(30))));
    let began = std::time::Instant::now();
    let call = Call::unary(Duration::from_millis(200));
    let error = cloud.dialect().get(&id, &call).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::DeadlineExceeded);
    assert!(began.elapsed() < Duration::from_secs(2));
}

macro_rules! conformance {
    ($($dialect:ident => $start:expr,)+) => {
        $(mod $dialect {
            use super::*;

            conformance!(@cases $start;
                what_is_made_reads_back,
                a_list_brings_everything_once,
                an_update_changes_what_it_names,
                a_stale_etag_is_refused,
                a_delete_leaves_nothing,
                looks_follow_the_cloud,
                many_are_looked_at_in_order,
                an_outage_tells_nothing,
                an_absent_api_deletes_nothing,
                a_foreign_404_proves_nothing,
                gone_needs_a_collection_that_answers,
                broken_answers_tell_nothing,
                throttling_is_told,
                a_lost_answer_makes_nothing_twice,
                what_was_made_is_found_as_long_as_there_is_time,
                what_cannot_be_found_out_is_ambiguous,
                what_cannot_be_expressed_is_refused_unsent,
                a_refused_login_is_tried_once,
                a_call_ends_by_its_deadline,
            );
        })+
    };
    (@cases $start:expr; $($case:ident,)+) => {
        $(#[tokio::test]
        async fn $case() {
            let cloud = $start;
            super::$case(cloud.as_ref()).await;
        })+
    };
}

conformance! {
    nsx_manager => Nsx::start(),
    openstack_neutron => Openstack::start(),
}
