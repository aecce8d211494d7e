//! What `core::dialect` promises, held by every dialect: one suite, one line for each.
//!
//! Every dialect is bound to its simulated cloud over a real socket. A bug found in one dialect becomes a
//! case for all.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

#[path = "../faults/columns.rs"]
#[allow(
    dead_code,
    reason = "what the table asks of its columns is not asked here"
)]
mod columns;
mod composite;
mod resources;
#[path = "../support/mod.rs"]
mod support;

use futures_util::future::join_all;
use http::{Method, StatusCode};
use isthmus::{
    core::{
        dialect::{Call, Mark, Proof},
        error::{Error, ErrorKind, ErrorReason},
    },
    model::{
        Assurance, ConnectionChange, ConnectionSpec, Field, RealizationState as State, Selectors,
        Sighting, TunnelInterface,
    },
    rest::redact::WITHHELD,
    simulator::{
        faults::{Answer, Fault, Foreign404, Rule},
        nsx::{Levers, NsxSimulator},
    },
};
use serde_json::json;
use std::{collections::BTreeSet, time::Duration};
use support::{
    cloud::{self, Bound, Cloud, call, change, page, renamed, target},
    clouds::PSK,
    writes::Writes,
};

/// A simulated cloud with its dialect.
type Bench = Bound<Box<dyn Cloud>>;

fn bench(cloud: impl Cloud + 'static) -> Bench {
    let settings = cloud.settings("a");
    Bound::to(Box::new(cloud), &settings)
}

/// An NSX with the limits that a real one has.
fn nsx() -> NsxSimulator {
    let cloud = cloud::nsx();
    let limits = Levers::default().limits;
    cloud.state().tune(|levers| levers.limits = limits);
    cloud
}

async fn made(bench: &Bench) -> String {
    bench.create(&bench.cloud.spec()).await.unwrap().id
}

async fn poll(bench: &Bench, id: &str) -> Result<Sighting, Error> {
    bench.poll(target(id)).await
}

/// How many objects the cloud has of those that are made for a connection.
fn objects(bench: &Bench) -> usize {
    bench.cloud.connections().len() + bench.cloud.peers().len()
}

/// What is made reads back, marked as ours and without its key.
async fn what_is_made_reads_back(bench: &Bench) {
    let written = bench.create(&bench.cloud.spec()).await.unwrap();
    let read = bench.get(&written.id).await.unwrap();
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
async fn a_list_brings_everything_once(bench: &Bench) {
    let mut expected = BTreeSet::new();
    for _ in 0..7 {
        expected.insert(made(bench).await);
    }
    for size in [1, 3, 7, 1000] {
        let mut found = Vec::new();
        let mut request = page(size);
        loop {
            let page = bench.list(&request).await.unwrap();
            assert!(page.items.len() <= size as usize);
            found.extend(page.items.into_iter().map(|connection| connection.id));
            let Some(next) = page.next else { break };
            request.after = Some(next);
            assert!(found.len() <= 7, "the list does not end");
        }
        assert_eq!(found.len(), 7, "page size {size}");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
    }
}

/// An update changes what it names and what differs, and the etag with it; one that changes nothing writes nothing.
async fn an_update_changes_what_it_names(bench: &Bench) {
    let id = made(bench).await;
    bench.cloud.settle(&id);
    let before = bench.get(&id).await.unwrap();
    let values = ConnectionSpec {
        display_name: "branch 43".into(),
        ..bench.cloud.spec()
    };
    let change = change(&[Field::DisplayName, Field::PeerAddress], values);
    let written = bench.update(&id, &change).await.unwrap();
    assert_ne!(written.proof, Proof::Nothing);
    let puts = || bench.cloud.server().requests().count(&Method::PUT, "");
    assert_eq!(puts(), 1);
    let after = bench.get(&id).await.unwrap();
    assert_eq!(after.display_name, "branch 43");
    assert_eq!(
        (&after.peer, &after.selectors, after.managed),
        (&before.peer, &before.selectors, true)
    );
    assert_ne!(after.etag, before.etag);
    assert_eq!(written.connection.unwrap().etag, after.etag);

    let again = bench.update(&id, &change).await.unwrap();
    assert_eq!(again.proof, Proof::Nothing);
    assert_eq!(again.connection.unwrap().etag, after.etag);
    assert_eq!(puts(), 1);
}

/// A write with an etag that is not current is refused and changes nothing, whoever made it stale.
async fn a_stale_etag_is_refused(bench: &Bench) {
    let id = made(bench).await;
    bench.cloud.settle(&id);
    for second in ["by us", "by somebody else"] {
        let etag = bench.get(&id).await.unwrap().etag;
        let with_etag = |name: &str| ConnectionChange {
            etag: Some(etag.clone()),
            ..renamed(name)
        };
        match second {
            "by us" => drop(bench.update(&id, &with_etag(second)).await.unwrap()),
            _ => bench.cloud.rename(&id, second),
        }
        let stale = (ErrorKind::Stale, ErrorReason::StaleEtag);
        let error = bench.update(&id, &with_etag("third")).await.unwrap_err();
        assert_eq!((error.kind, error.reason), stale, "{second}");
        let error = bench.dialect.delete(&id, Some(&etag), &call()).await;
        let error = error.unwrap_err();
        assert_eq!((error.kind, error.reason), stale, "{second}");
        assert_eq!(bench.get(&id).await.unwrap().display_name, second);
    }
}

/// A delete takes along what was made, and says so when there is nothing.
async fn a_delete_leaves_nothing(bench: &Bench) {
    let id = made(bench).await;
    let written = bench.delete(&id).await.unwrap();
    assert_eq!((written.id, written.warnings), (id.clone(), vec![]));
    assert!(written.connection.is_none());
    assert_eq!(objects(bench), 0);
    for error in [
        bench.delete(&id).await.unwrap_err(),
        bench.get(&id).await.unwrap_err(),
        bench.update(&id, &renamed("x")).await.unwrap_err(),
    ] {
        let missing = (ErrorKind::NotFound, ErrorReason::ConnectionNotFound);
        assert_eq!((error.kind, error.reason), missing);
    }
}

/// Polls follow the cloud: on its way, in place, gone.
async fn polls_follow_the_cloud(bench: &Bench) {
    let id = made(bench).await;
    let fresh = poll(bench, &id).await.unwrap();
    assert!(
        matches!(fresh.state, State::Pending | State::InProgress),
        "{fresh:?}"
    );
    assert!(!fresh.native_state.is_empty());
    bench.cloud.settle(&id);
    let settled = poll(bench, &id).await.unwrap();
    assert!(
        matches!(settled.state, State::Realized | State::Active),
        "{settled:?}"
    );
    assert!(settled.assurance >= Assurance::ControlPlane);
    bench.cloud.vanish(&id);
    assert_eq!(poll(bench, &id).await.unwrap().state, State::Deleted);
}

/// Many are polled as one would be, in order.
async fn many_are_polled_in_order(bench: &Bench) {
    let first = made(bench).await;
    let second = made(bench).await;
    bench.cloud.settle(&second);
    let batch = bench.dialect.capabilities().look_batch.min(3);
    let targets = [
        target(&second),
        target("00000000-0000-4000-8000-000000000000"),
        target(&first),
    ];
    let mut states = Vec::new();
    for chunk in targets.chunks(batch) {
        for result in bench.dialect.poll(chunk, &call()).await {
            states.push(result.unwrap().state);
        }
    }
    assert!(matches!(states[0], State::Realized | State::Active));
    assert_eq!(states[1], State::Deleted);
    assert!(matches!(states[2], State::Pending | State::InProgress));
}

/// What cannot be reached tells nothing, and what comes back tells again.
async fn an_outage_tells_nothing(bench: &Bench) {
    let id = made(bench).await;
    bench.cloud.server().stop().await.unwrap();
    let error = poll(bench, &id).await.unwrap_err();
    assert_eq!(
        (error.kind, error.reason),
        (ErrorKind::Unavailable, ErrorReason::UpstreamUnreachable)
    );
    assert_eq!(
        bench.get(&id).await.unwrap_err().kind,
        ErrorKind::Unavailable
    );
    let create = bench.create(&bench.cloud.spec()).await.unwrap_err();
    assert_eq!(
        create.kind,
        ErrorKind::Unavailable,
        "nothing was sent, so nothing is ambiguous"
    );
    assert!(bench.probe().await.is_err());
    bench.cloud.server().restart().await.unwrap();
    assert!(poll(bench, &id).await.is_ok());
}

/// A missing API is not an empty one: nothing is deleted by it, and no call takes it for one.
async fn an_absent_api_deletes_nothing(bench: &Bench) {
    let id = made(bench).await;
    bench.cloud.remove_api();
    for error in [
        poll(bench, &id).await.unwrap_err(),
        bench.probe().await.unwrap_err(),
        bench.list(&page(50)).await.unwrap_err(),
    ] {
        let absent = (ErrorKind::Unavailable, ErrorReason::ApiAbsent);
        assert_eq!((error.kind, error.reason), absent);
    }
    assert!(bench.get(&id).await.unwrap_err().is_outage());
    let create = bench.create(&bench.cloud.spec()).await;
    assert!(create.unwrap_err().is_outage());
}

/// The calls that can find a connection missing.
const CALLS: [&str; 5] = ["get", "look", "look at many", "update", "delete"];

async fn do_call(bench: &Bench, id: &str, name: &str) -> Result<(), Error> {
    let dialect = &bench.dialect;
    match name {
        "get" => dialect.get(id, &call()).await.map(drop),
        "update" => dialect.update(id, &renamed("x"), &call()).await.map(drop),
        "delete" => dialect.delete(id, None, &call()).await.map(drop),
        name => {
            let batch = dialect.capabilities().look_batch.min(2);
            let targets = [target(id), target(id)];
            let most = if name == "look" { 1 } else { batch };
            let seen = dialect.poll(&targets[..most], &call()).await;
            let told: Result<Vec<_>, _> = seen.into_iter().collect();
            told.map(drop)
        }
    }
}

/// A 404 in words that are not the cloud's own for its connection proves nothing, whichever request it strikes.
async fn a_foreign_404_proves_nothing(bench: &Bench) {
    let id = made(bench).await;
    bench.cloud.settle(&id);
    // What a list does not show is asked for alone.
    bench.cloud.hide(&id);
    for shape in Foreign404::ALL {
        let path = format!("{}/", bench.cloud.collection());
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
            bench.cloud.faults().inject(rule);
            for name in calls {
                let at = format!("{shape:?} to {struck}: {name}");
                let error = do_call(bench, &id, name).await.expect_err(&at);
                assert!(error.is_outage(), "{at}: {error:?}");
                assert_eq!(error.reason, ErrorReason::UpstreamBrokenAnswer, "{at}");
            }
            bench.cloud.faults().clear();
        }
    }
    assert!(bench.get(&id).await.is_ok());
}

/// Even in the cloud's own words a 404 counts only where the collection answers; then every call says the same.
async fn gone_needs_a_collection_that_answers(bench: &Bench) {
    let id = made(bench).await;
    bench.cloud.vanish(&id);
    let html = Answer::text(StatusCode::NOT_FOUND, "text/html", "<html>not found</html>");
    for fault in [
        Fault::Answer(html),
        Fault::Answer(Answer::status(StatusCode::INTERNAL_SERVER_ERROR)),
        Fault::Answer(Answer::text(StatusCode::OK, "text/html", "<html></html>")),
        Fault::CutBeforeHandling,
    ] {
        let name = format!("{fault:.40?}");
        let rule = Rule::on(Method::GET, format!("{}$", bench.cloud.collection()), fault);
        bench.cloud.faults().inject(rule);
        for call in CALLS {
            let error = do_call(bench, &id, call).await.expect_err(&name);
            assert!(error.is_outage(), "{call}, {name}: {error:?}");
        }
        bench.cloud.faults().clear();
    }
    for call in CALLS {
        match do_call(bench, &id, call).await {
            Ok(()) => assert!(call.starts_with("look"), "{call}"),
            Err(error) => assert_eq!(error.reason, ErrorReason::ConnectionNotFound, "{call}"),
        }
    }
}

/// Answers that are broken, foreign or too large are errors and no sightings, and end in time.
async fn broken_answers_tell_nothing(bench: &Bench) {
    let id = made(bench).await;
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
        bench.cloud.faults().inject(Rule::any(fault));
        let error = poll(bench, &id).await.expect_err(&name);
        assert!(error.is_outage(), "{name}: {error:?}");
        assert!(error.to_string().len() < 2048, "{name}");
        bench.cloud.faults().clear();
    }
    assert!(poll(bench, &id).await.is_ok());
}

/// Being asked for patience is an error that says how long, and slows the account down.
async fn throttling_is_told(bench: &Bench) {
    let id = made(bench).await;
    let before = bench.dialect.usage();
    let throttle = Answer::status(StatusCode::TOO_MANY_REQUESTS).retry_after(60);
    let rule = Rule::any(Fault::Answer(throttle));
    bench.cloud.faults().inject(rule.times(1));
    let error = poll(bench, &id).await.unwrap_err();
    assert_eq!(
        (error.kind, error.reason),
        (ErrorKind::Throttled, ErrorReason::UpstreamThrottled)
    );
    assert_eq!(error.context.retry_after, Some(Duration::from_secs(60)));
    let after = bench.dialect.usage();
    assert!(after.paused_for.is_some() && after.rate_limit < before.rate_limit);
}

/// A lost answer to a create is never followed by a second one.
async fn a_lost_answer_makes_nothing_twice(bench: &Bench) {
    made(bench).await;
    let of_one = objects(bench);
    let path = format!("{}$", bench.cloud.collection());
    let rule = Rule::on(Method::POST, path, Fault::CutAfterHandling);
    bench.cloud.faults().inject(rule.times(1));
    let id = made(bench).await;
    assert_eq!(bench.cloud.connections().len(), 2);
    assert_eq!(objects(bench), 2 * of_one);
    assert!(bench.get(&id).await.unwrap().managed);
}

/// What was made is found also if the cloud comes to itself only after some seconds, if there is time for that.
async fn what_was_made_is_found_as_long_as_there_is_time(bench: &Bench) {
    let path = bench.cloud.collection();
    let post = Rule::on(Method::POST, format!("{path}$"), Fault::CutAfterHandling);
    bench.cloud.faults().inject(post.times(1));
    let unavailable = Answer::status(StatusCode::INTERNAL_SERVER_ERROR);
    let down = Rule::on(Method::GET, path, Fault::Answer(unavailable));
    let down = bench.cloud.faults().inject(down.times(4));
    let (spec, mark) = (bench.cloud.spec(), Mark::new());
    let made = bench
        .dialect
        .create(&spec, &mark, &Call::unary(Duration::from_secs(20)))
        .await;
    assert_eq!(down.count(), 4);
    bench.get(&made.unwrap().id).await.unwrap();
}

/// A lost answer that nobody can find out about is said to be ambiguous.
async fn what_cannot_be_found_out_is_ambiguous(bench: &Bench) {
    let path = bench.cloud.collection();
    let post = Rule::on(Method::POST, format!("{path}$"), Fault::CutBeforeHandling);
    bench.cloud.faults().inject(post.times(1));
    let unavailable = Answer::status(StatusCode::INTERNAL_SERVER_ERROR);
    bench
        .cloud
        .faults()
        .inject(Rule::on(Method::GET, path, Fault::Answer(unavailable)));
    let error = bench.create(&bench.cloud.spec()).await.unwrap_err();
    assert_eq!(
        (error.kind, error.reason),
        (ErrorKind::Ambiguous, ErrorReason::WriteAmbiguous)
    );
    let posts = bench.cloud.server().requests().all();
    let posts = posts
        .iter()
        .filter(|seen| seen.method == Method::POST && seen.path.ends_with(path));
    assert_eq!(posts.count(), 1);
}

/// What cannot be expressed is refused by field, and nothing is sent.
async fn what_cannot_be_expressed_is_refused_unsent(bench: &Bench) {
    let refused = bench.dialect.refuse_alone(&bench.cloud.inexpressible());
    assert!(refused.len() >= 2, "{refused:?}");
    assert!(refused.iter().all(|violation| !violation.field.is_empty()));
    assert_eq!(bench.dialect.refuse_alone(&bench.cloud.spec()), vec![]);
    let empty = bench.dialect.refuse_alone(&ConnectionSpec::default());
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
        ..bench.cloud.spec()
    };
    if bench.dialect.capabilities().route_based {
        assert_eq!(bench.dialect.refuse_alone(&route), vec![]);
    }
    assert_eq!(bench.cloud.server().requests().total(), 0);
}

/// A refused login is an error about us, and is not tried again and again, by how many at once that may be.
async fn a_refused_login_is_tried_once(bench: &Bench) {
    let id = made(bench).await;
    bench.cloud.spoil_login();
    for _ in 0..2 {
        for seen in join_all((0..5).map(|_| poll(bench, &id))).await {
            let error = seen.unwrap_err();
            assert_eq!(
                (error.kind, error.reason),
                (ErrorKind::BackendAuth, ErrorReason::UpstreamAuth)
            );
        }
    }
    assert_eq!(bench.cloud.refused_logins(), 1);
}

/// Whoever finds a login to be over, one new login serves all of them, and writes as well.
async fn an_expired_login_is_renewed_once_for_all(bench: &Bench) {
    let id = made(bench).await;
    assert_eq!(bench.cloud.logins(), 1);
    bench.cloud.expire_logins();
    for read in join_all((0..8).map(|_| bench.get(&id))).await {
        read.unwrap();
    }
    assert_eq!(bench.cloud.logins(), 2);
    bench.cloud.expire_logins();
    made(bench).await;
    assert_eq!(bench.cloud.logins(), 3);
}

/// A login that is refused although it was just given out is made once more, and not for ever.
async fn a_login_that_does_not_help_is_made_once_more(bench: &Bench) {
    bench.probe().await.unwrap();
    let rule = Rule::at(bench.cloud.collection(), bench.cloud.refusal());
    bench.cloud.faults().inject(rule);
    for _ in 0..4 {
        let error = bench.probe().await.unwrap_err();
        assert_eq!(
            (error.kind, error.reason),
            (ErrorKind::BackendAuth, ErrorReason::UpstreamAuth)
        );
    }
    assert_eq!(bench.cloud.logins(), 2);
}

/// Of words that quote the key nothing is passed on but what the cloud calls them.
async fn a_key_that_the_cloud_quotes_is_withheld(bench: &Bench) {
    let words = format!("`{PSK}` is too simple");
    let refusal = json!({
        "error_code": 255, "error_message": words,
        "NeutronError": {"type": "255", "message": words, "detail": ""},
    });
    let refusal = Fault::Answer(Answer::json(StatusCode::BAD_REQUEST, &refusal));
    let rule = Rule::on(Method::POST, "/vpn/", refusal);
    bench.cloud.faults().inject(rule);
    let error = bench.create(&bench.cloud.spec()).await.unwrap_err();
    assert_eq!(
        (error.kind, error.reason),
        (ErrorKind::InvalidArgument, ErrorReason::UpstreamRejected)
    );
    let said = error.context.upstream.as_ref().unwrap();
    assert_eq!(
        (said.message.as_str(), said.code.as_str()),
        (WITHHELD, "255")
    );
    assert!(error.to_string().contains(WITHHELD));
    assert!(!format!("{error:?} {error}").contains(PSK));
}

/// A call ends by its deadline.
async fn a_call_ends_by_its_deadline(bench: &Bench) {
    let id = made(bench).await;
    bench
        .cloud
        .faults()
        .inject(Rule::any(Fault::Delay(Duration::from_secs(30))));
    let began = std::time::Instant::now();
    let call = Call::unary(Duration::from_millis(200));
    let error = bench.dialect.get(&id, &call).await.unwrap_err();
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
                polls_follow_the_cloud,
                many_are_polled_in_order,
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
                an_expired_login_is_renewed_once_for_all,
                a_login_that_does_not_help_is_made_once_more,
                a_key_that_the_cloud_quotes_is_withheld,
                a_call_ends_by_its_deadline,
            );
        })+
    };
    (@cases $start:expr; $($case:ident,)+) => {
        $(#[tokio::test]
        async fn $case() {
            let bench = bench($start);
            super::$case(&bench).await;
        })+
    };
}

conformance! {
    nsx_manager => nsx(),
    openstack_neutron => cloud::openstack(),
}
