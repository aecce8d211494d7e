//! Logins that end, are refused, or cannot be made: against simulated clouds, and a clock that jumps.
//!
//! The sockets are real, so the clock runs while requests are under way; between them it is moved forward.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

mod support;

use futures_util::{FutureExt, future::join_all};
use http::{Method, StatusCode, header::HeaderName};
use isthmus::{
    core::{
        dialect::{Call, Dialect, Mark},
        error::{Error, ErrorKind, ErrorReason},
        table::Keys,
    },
    dialects::{self, settings::Given},
    grpc::pb::{Goal, RealizationState as State},
    simulator::{
        faults::{Answer, Fault, Gate, Hits, Rule},
        http::Server,
        nsx::{Kind, NsxOptions, NsxSimulator},
        openstack::{OpenstackSimulator, Region},
    },
};
use std::{sync::Arc, time::Duration};
use support::{
    cloud::{self, Bound, Cloud},
    running::Running,
    writes::Writes,
};
use tokio::net::TcpListener;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Moves the clock of everybody in this test.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Does this, while the clock jumps ahead whenever these servers have nothing to answer.
async fn hurried<T>(servers: &[&Server], work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
        if servers
            .iter()
            .all(|server| server.requests().in_flight() == 0)
        {
            pass(Duration::from_millis(500)).await;
        }
    }
}

fn call() -> Call {
    Call::unary(SECOND * 10)
}

/// An NSX with one connection.
struct Nsx {
    cloud: NsxSimulator,
    dialect: Arc<dyn Dialect>,
    id: String,
}

fn nsx(managers: usize, change: impl FnOnce(&mut Given)) -> Nsx {
    let options = NsxOptions {
        managers,
        ..NsxOptions::default()
    };
    let cloud = NsxSimulator::start(options).unwrap();
    let id = cloud.state().plant(Kind::Session, serde_json::json!({}));
    let mut settings = cloud.settings("nsx-a");
    change(&mut settings);
    let Bound { cloud, dialect } = Bound::to(cloud, &settings);
    Nsx { cloud, dialect, id }
}

impl Nsx {
    async fn get(&self) -> Result<(), Error> {
        self.dialect.get(&self.id, &call()).await.map(drop)
    }

    /// So many reads at once, all of which end in the same way.
    async fn get_all(&self, count: usize) -> Result<(), Error> {
        let mut ends = join_all((0..count).map(|_| self.get())).await;
        let last = ends.pop().unwrap();
        for end in ends {
            assert_eq!(end.map_err(kinds), last.clone().map_err(kinds));
        }
        last
    }
}

fn kinds(error: Error) -> (ErrorKind, ErrorReason) {
    (error.kind, error.reason)
}

#[tokio::test]
async fn a_cookie_that_was_idle_for_too_long_is_renewed_once_for_all() {
    let nsx = nsx(1, |_| {});
    nsx.get().await.unwrap();
    pass(MINUTE * 29).await;
    nsx.get().await.unwrap();
    assert_eq!(nsx.cloud.state().logins(), 1, "every use keeps it alive");
    pass(MINUTE * 31).await;
    nsx.get_all(12).await.unwrap();
    assert_eq!(nsx.cloud.state().logins(), 2);
    assert_eq!(nsx.cloud.state().failed_logins(), 0);
}

#[tokio::test]
async fn a_token_that_does_not_fit_its_cookie_is_renewed_once() {
    let nsx = nsx(1, |_| {});
    let mismatched = Answer::status(StatusCode::OK)
        .header(
            HeaderName::from_static("set-cookie"),
            "JSESSIONID=of-somebody-else; Path=/".parse().unwrap(),
        )
        .header(
            HeaderName::from_static("x-xsrf-token"),
            "of-nobody".parse().unwrap(),
        );
    let login = Rule::on(
        Method::POST,
        "/api/session/create",
        Fault::Answer(mismatched),
    );
    nsx.cloud.faults().inject(login.times(1));
    nsx.get().await.unwrap();
    assert_eq!(nsx.cloud.state().logins(), 1);

    let bad_token = serde_json::json!({ "error_code": 98, "error_message": "Bad XSRF token" });
    let refusal = Fault::Answer(Answer::json(StatusCode::FORBIDDEN, &bad_token));
    let rule = Rule::on(Method::GET, "/sessions/", refusal);
    nsx.cloud.faults().inject(rule.times(1));
    nsx.get().await.unwrap();
    assert_eq!(nsx.cloud.state().logins(), 2);
}

#[tokio::test]
async fn each_manager_gets_a_login_of_its_own_when_it_takes_over() {
    let nsx = nsx(3, |_| {});
    nsx.get().await.unwrap();
    for away in 0..2 {
        nsx.cloud.manager(away).stop().await.unwrap();
        nsx.get_all(6).await.unwrap();
        assert_eq!(nsx.cloud.state().logins(), away as u64 + 2);
    }
    nsx.cloud.restart().await.unwrap();
    nsx.cloud.manager(2).stop().await.unwrap();
    nsx.get().await.unwrap();
    // Back at the first, whose cookie is as good as ever: a cookie is bound to its manager and not refused there.
    assert_eq!(nsx.cloud.state().logins(), 3);
    assert_eq!(nsx.cloud.state().failed_logins(), 0);
}

#[tokio::test]
async fn a_manager_that_hangs_is_left_for_the_next() {
    // Takes connections and never says a word.
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", hanging.local_addr().unwrap());
    let nsx = nsx(1, |settings| {
        settings.core.timeout = Duration::from_millis(300);
        let sound = settings.keys.get("url").unwrap().to_owned();
        settings.keys.set_all("url", [url, sound]);
    });
    nsx.get().await.unwrap();
    assert!(hanging.accept().now_or_never().is_some(), "it was asked");
    nsx.get_all(4).await.unwrap();
    nsx.dialect
        .create(&nsx.cloud.spec(), &Mark::new(), &call())
        .await
        .unwrap();
    assert!(
        hanging.accept().now_or_never().is_none(),
        "and nobody waits for it again"
    );
    assert_eq!(nsx.cloud.state().count(Kind::PeerEndpoint), 1);
}

#[tokio::test]
async fn a_write_whose_answer_a_hanging_manager_keeps_is_found_through_the_next() {
    let nsx = nsx(2, |settings| {
        settings.core.timeout = Duration::from_millis(300);
    });
    nsx.get().await.unwrap();
    let hang = Fault::HoldAnswer(Gate::default());
    let rule = Rule::on(Method::POST, "/sessions$", hang);
    nsx.cloud.faults().inject(rule.times(1));
    nsx.dialect
        .create(&nsx.cloud.spec(), &Mark::new(), &call())
        .await
        .unwrap();
    let of_first = nsx.cloud.manager(0).requests();
    assert_eq!(
        of_first.count(&Method::GET, "/api/v1/vpn/ipsec/sessions"),
        1
    );
    assert_eq!(nsx.cloud.state().count(Kind::Session), 2);
}

#[tokio::test]
async fn a_wrong_password_never_locks_the_account() {
    for kind in ["session", "basic"] {
        let nsx = nsx(2, |settings| settings.keys.set("auth.kind", kind));
        nsx.get().await.unwrap();
        let state = nsx.cloud.state();
        state.set_password("admin", "changed-meanwhile");
        state.expire_sessions();
        // Many are under way when it happens.
        let servers = [nsx.cloud.manager(0), nsx.cloud.manager(1)];
        hurried(&servers, nsx.get_all(40)).await.unwrap_err();
        let failed = state.failed_logins();
        assert!((2..=3).contains(&failed), "{failed} with {kind:?}");
        // A day of callers who do not give up, a minute apart.
        for _ in 0..24 * 60 {
            let error = nsx.get().await.unwrap_err();
            assert_eq!(
                kinds(error.clone()),
                (ErrorKind::BackendAuth, ErrorReason::UpstreamAuth)
            );
            assert!(
                error.to_string().contains("credentials were incorrect"),
                "everybody is told what the cloud says: {error}"
            );
            pass(MINUTE).await;
        }
        let failed = state.failed_logins();
        assert!(
            (60..=80).contains(&failed),
            "three in an hour: {failed} with {kind:?}"
        );
        // It was never locked: the right password is taken at the next attempt.
        state.set_password("admin", &NsxOptions::default().password);
        pass(MINUTE * 20).await;
        nsx.get_all(4).await.unwrap();
        assert_eq!(state.failed_logins(), failed);
    }
}

fn openstack(change: impl FnOnce(&mut Given)) -> Bound<OpenstackSimulator> {
    let cloud = cloud::openstack();
    let mut settings = cloud.settings("os-a");
    change(&mut settings);
    Bound::to(cloud, &settings)
}

async fn probe(os: &Bound<OpenstackSimulator>) -> Result<(), Error> {
    os.dialect.probe(&call()).await
}

/// A way to log in, at a cloud of its own.
struct Way {
    kind: &'static str,
    cloud: Box<dyn Cloud>,
    dialect: Arc<dyn Dialect>,
}

impl Way {
    /// Every way but none.
    fn all() -> Vec<Way> {
        let nsx = |kind| -> (Box<dyn Cloud>, Given) {
            let options = NsxOptions {
                bearer_token: Some("not-a-real-token".to_owned()),
                ..NsxOptions::default()
            };
            let cloud = NsxSimulator::start(options).unwrap();
            let mut settings = cloud.settings("cloud");
            settings.keys.set("auth.kind", kind);
            settings.keys.set("auth.token", "not-a-real-token");
            (Box::new(cloud), settings)
        };
        let openstack = |kind| -> (Box<dyn Cloud>, Given) {
            let cloud = cloud::openstack();
            let mut settings = cloud.settings("cloud");
            if kind == "application_credential" {
                let login = cloud.inventory().application_credential;
                settings.keys = Keys::default()
                    .with("auth.kind", kind)
                    .with("auth.auth_url", cloud.keystone_url())
                    .with("auth.application_credential_id", login.id)
                    .with("auth.application_credential_secret", login.password);
            }
            (Box::new(cloud), settings)
        };
        [
            "basic",
            "session",
            "bearer",
            "password",
            "application_credential",
        ]
        .into_iter()
        .map(|kind| {
            let (cloud, settings) = match kind {
                "password" | "application_credential" => openstack(kind),
                _ => nsx(kind),
            };
            let Bound { cloud, dialect } = Bound::to(cloud, &settings);
            Way {
                kind,
                cloud,
                dialect,
            }
        })
        .collect()
    }

    async fn probe(&self) -> Result<(), Error> {
        hurried(&self.cloud.servers(), self.dialect.probe(&call())).await
    }

    /// The server that gives out logins.
    fn keeper(&self) -> &Server {
        self.cloud.servers().pop().unwrap()
    }

    /// Has what carries the login refused, so many times if not for ever.
    fn refuse_login(&self, times: Option<u32>) -> Hits {
        let path = match self.kind {
            "session" => "/api/session/create",
            _ => "",
        };
        let rule = Rule::at(path, self.cloud.refusal());
        let rule = times.into_iter().fold(rule, Rule::times);
        self.keeper().faults().inject(rule)
    }

    /// Has requests refused whose login was just made, so many times.
    fn refuse_fresh_ticket(&self, times: u32) -> Hits {
        let rule = Rule::at("/vpn/", self.cloud.refusal());
        self.cloud.faults().inject(rule.times(times))
    }
}

#[tokio::test]
async fn one_refused_login_is_a_slip_that_nobody_notices() {
    for way in Way::all() {
        let kind = way.kind;
        for _ in ["not proven yet", "proven"] {
            let hits = way.refuse_login(Some(1));
            let begun = tokio::time::Instant::now();
            way.probe()
                .await
                .unwrap_or_else(|error| panic!("{kind:?}: {error}"));
            assert_eq!(hits.count(), 1);
            assert!(
                begun.elapsed() >= SECOND * 5,
                "{kind:?}: some seconds apart"
            );
            way.dialect.probe(&call()).await.unwrap();
            way.cloud.expire_logins();
        }
    }
}

#[tokio::test]
async fn a_login_rests_once_it_was_asked_twice() {
    for way in Way::all() {
        let kind = way.kind;
        let hits = way.refuse_login(None);
        let refused = async |call: Call| {
            let error = hurried(&way.cloud.servers(), way.dialect.probe(&call)).await;
            let error = error.unwrap_err();
            assert_eq!(
                kinds(error.clone()),
                (ErrorKind::BackendAuth, ErrorReason::UpstreamAuth),
                "{kind:?}"
            );
            error.context.retry_after.map(|it| it.as_secs())
        };
        // Who has no time to wait is told so at once.
        let short = || Call::unary(SECOND * 3);
        refused(short()).await;
        let again = refused(short()).await;
        assert!(again.is_some_and(|again| again <= 5), "{kind:?}: {again:?}");
        assert_eq!(hits.count(), 1, "{kind:?}");
        refused(call()).await;
        for left in [299, 1199, 1199] {
            let again = refused(call()).await.unwrap();
            assert!((left - 20..=left).contains(&again), "{kind:?}: {again}");
            let count = hits.count();
            pass(SECOND * (left as u32 + 1)).await;
            refused(call()).await;
            assert_eq!(
                hits.count(),
                count + 1,
                "{kind:?}: one is enough from now on"
            );
        }
        assert_eq!(hits.count(), 5, "{kind:?}");
        // Once it is accepted, a single refusal is a slip again.
        way.keeper().faults().clear();
        pass(MINUTE * 20).await;
        way.probe().await.unwrap();
        way.cloud.expire_logins();
        way.refuse_login(Some(1));
        way.probe().await.unwrap();
    }
}

#[tokio::test]
async fn a_fresh_ticket_that_is_not_known_everywhere_yet_is_waited_for() {
    for way in Way::all() {
        let kind = way.kind;
        // With one ticket, and with the next.
        let tickets = match kind {
            "basic" | "bearer" => 1,
            _ => 2,
        };
        let hits = way.refuse_fresh_ticket(tickets);
        way.probe()
            .await
            .unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        assert_eq!(hits.count(), tickets, "{kind:?}");
        way.dialect.probe(&call()).await.unwrap();

        way.refuse_fresh_ticket(u32::MAX);
        let refused = (ErrorKind::BackendAuth, ErrorReason::UpstreamAuth);
        let error = way.probe().await.unwrap_err();
        assert_eq!(kinds(error), refused, "{kind:?}");
        let error = way.probe().await.unwrap_err();
        let rest = error.context.retry_after.unwrap();
        assert!(
            rest > MINUTE * 4 && rest <= MINUTE * 5,
            "{kind:?}: {rest:?}"
        );
    }
}

#[tokio::test]
async fn a_slip_in_the_middle_of_a_create_leaves_nothing_behind() {
    let nsx = nsx(1, |settings| settings.keys.set("auth.kind", "basic"));
    let spurious = Fault::Answer(Answer::status(StatusCode::FORBIDDEN));
    let rule = Rule::on(Method::POST, "/sessions$", spurious);
    nsx.cloud.faults().inject(rule.times(1));
    let (spec, mark, call) = (nsx.cloud.spec(), Mark::new(), Call::unary(SECOND * 30));
    let made = nsx.dialect.create(&spec, &mark, &call);
    hurried(&[nsx.cloud.manager(0)], made).await.unwrap();
    assert_eq!(nsx.cloud.state().count(Kind::Session), 2);
    assert_eq!(nsx.cloud.state().count(Kind::PeerEndpoint), 1);
}

#[tokio::test]
async fn a_login_that_is_granted_in_words_nobody_can_read_is_an_outage() {
    let os = openstack(|_| {});
    for body in [
        "",
        "<html>signed in</html>",
        "{}",
        "[]",
        "null",
        r#"{"token": null}"#,
        r#"{"token": {}}"#,
        r#"{"token": {"user": {"name": "canary"}}}"#,
        r#"{"token": {"user": {}, "expires_at": "2099-01-01T00:00:00Z", "project": "canary"}}"#,
    ] {
        let granted = Answer::text(StatusCode::CREATED, "application/json", body).header(
            HeaderName::from_static("x-subject-token"),
            "canary".parse().unwrap(),
        );
        let rule = Rule::any(Fault::Answer(granted));
        os.cloud.keystone().faults().inject(rule.times(1));
        let error = probe(&os).await.unwrap_err();
        assert_eq!(
            kinds(error.clone()),
            (ErrorKind::Unavailable, ErrorReason::UpstreamBrokenAnswer),
            "{body}"
        );
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        probe(&os).await.unwrap();
        os.cloud.state().expire_all_tokens();
    }
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_no_request_is_refused() {
    let os = openstack(|_| {});
    for hour in 1..6 {
        probe(&os).await.unwrap();
        assert_eq!(os.cloud.logins(), hour);
        // Renewed a minute before its hour is over.
        pass(MINUTE * 58).await;
        probe(&os).await.unwrap();
        assert_eq!(os.cloud.logins(), hour);
        pass(SECOND * 70).await;
    }
}

#[tokio::test]
async fn a_token_is_good_to_its_end_while_keystone_hangs_or_refuses() {
    let hang = || Fault::HoldAnswer(Gate::default());
    let refuse = openstack(|_| {}).cloud.refusal();
    for (name, fault) in [("hangs", hang()), ("refuses", refuse)] {
        let os = openstack(|settings| settings.core.timeout = Duration::from_millis(400));
        probe(&os).await.unwrap();
        os.cloud
            .keystone()
            .faults()
            .inject(Rule::any(fault.clone()));
        pass(MINUTE * 59 + SECOND).await;
        let short = Call::unary(Duration::from_millis(300));
        let ends = (0..8).map(|_| os.dialect.probe(&short));
        for end in join_all(ends).await {
            end.unwrap_or_else(|error| panic!("Keystone {name}: {error}"));
        }
        let asked = || {
            let requests = os.cloud.keystone().requests();
            requests.count(&Method::POST, "/v3/auth/tokens")
        };
        assert_eq!(asked(), 2, "one renewal for all");
        probe(&os).await.unwrap();
        assert_eq!(asked(), 2, "and none at once after it");
        if name == "refuses" {
            for _ in 0..30 {
                pass(SECOND).await;
                probe(&os).await.unwrap();
            }
            assert_eq!(asked(), 3, "once more, and then it rests");
        }

        pass(MINUTE).await;
        let error = probe(&os).await.unwrap_err();
        let expected = match name {
            "hangs" => (ErrorKind::DeadlineExceeded, ErrorReason::Deadline),
            _ => (ErrorKind::BackendAuth, ErrorReason::UpstreamAuth),
        };
        assert_eq!(kinds(error), expected);
        os.cloud.keystone().faults().clear();
        pass(MINUTE * 5).await;
        probe(&os).await.unwrap();
    }
}

#[tokio::test]
async fn a_token_goes_nowhere_but_to_the_network_service_of_the_catalogue() {
    let os = openstack(|_| {});
    let elsewhere = cloud::nsx();
    let region = |url: &str| {
        vec![Region {
            name: "RegionOne".to_owned(),
            network_url: Some(url.to_owned()),
        }]
    };
    for odd in [
        "ftp://network.example",
        "file:///etc/passwd",
        "nothing",
        "http://user:secret@network.example",
    ] {
        os.cloud.state().set_regions(region(odd));
        let error = probe(&os).await.unwrap_err();
        assert_eq!(
            kinds(error.clone()),
            (ErrorKind::Unavailable, ErrorReason::ApiAbsent),
            "{odd}"
        );
        assert!(!error.to_string().contains("secret"));
    }
    // What the catalogue names is asked; where that redirects to is not.
    os.cloud
        .state()
        .set_regions(region(&os.cloud.neutron_url()));
    let redirect = Answer::redirect(&elsewhere.url());
    let rule = Rule::any(Fault::Answer(redirect));
    os.cloud.faults().inject(rule.times(1));
    let error = probe(&os).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::UpstreamError);
    assert_eq!(elsewhere.requests().total(), 0);
    probe(&os).await.unwrap();

    // With `url` set, the catalogue is not even asked for.
    let fixed = os.cloud.neutron_url();
    let settings = os.cloud.settings("os-a").with("url", fixed);
    os.cloud.state().set_regions(region(&elsewhere.url()));
    let dialect = dialects::connect(&settings).unwrap();
    dialect.probe(&call()).await.unwrap();
    let asked = os.cloud.keystone().requests().all();
    assert_eq!(asked.last().unwrap().query, "nocatalog");
    assert_eq!(elsewhere.requests().total(), 0);
}

#[tokio::test]
async fn a_watch_outlives_a_keystone_that_is_down_and_a_token_that_ends() {
    let cloud = cloud::openstack();
    let running = Running::start(vec![cloud.settings("os-a")]).await;
    let (made, token) = running.create("os-a", cloud.wanted("os-a")).await.unwrap();
    let mut watch = running
        .watch(&made.name, Goal::TunnelUp, &token)
        .await
        .unwrap();
    watch.until(State::Pending).await;
    cloud.keystone().stop().await.unwrap();
    let id = made.name.rsplit('/').next().unwrap();
    cloud.take_down(id);
    watch.until(State::Down).await;
    cloud.state().expire_all_tokens();
    cloud.state().agent_reports(id, "ACTIVE");
    let silence = tokio::time::timeout(Duration::from_millis(500), watch.next()).await;
    assert!(silence.is_err(), "an outage says nothing: {silence:?}");
    cloud.keystone().restart().await.unwrap();
    let (states, _) = watch.end().await;
    assert_eq!(states.last().unwrap().state(), State::Active);
    assert_eq!(cloud.connections().len(), 1);
}
