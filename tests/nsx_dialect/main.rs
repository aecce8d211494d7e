//! The NSX dialect against the simulated managers, over real sockets.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[path = "../support/mod.rs"]
mod support;

use futures_util::future::join_all;
use http::{Method, StatusCode};
use isthmus::{
    core::{
        dialect::{Call, Mark, PageRequest, Proof, Target, Written},
        error::{Error, ErrorKind, ErrorReason},
        settings::AuthKind,
    },
    model::{
        Assurance, Authentication, ConnectionChange, ConnectionSpec, Field, Initiation, PolicyRule,
        Psk, RealizationState, RuleAction, Selectors, TunnelStatus,
    },
    simulator::{
        faults::{Answer, Fault, Gate, Rule},
        nsx::{
            EndMarker, ForcedState, Kind, Levers, NsxOptions, NsxSimulator, Settle, Tunnel,
            UnknownRequestId, inventory,
        },
    },
};
use serde_json::json;
use std::{collections::BTreeSet, time::Duration};
use support::{
    cloud::{Bound, Cloud, call, change, page, peer_of, renamed},
    clouds::PSK,
};

pub type Nsx = Bound<NsxSimulator>;

pub fn start(options: NsxOptions, kind: AuthKind) -> Nsx {
    let cloud = NsxSimulator::start(options).unwrap();
    let mut settings = cloud.settings("nsx");
    settings.timeout = Duration::from_secs(5);
    settings.auth.kind = kind;
    settings.auth.token = Some("not-a-real-token".into());
    Bound::to(cloud, &settings)
}

pub fn nsx() -> Nsx {
    start(NsxOptions::default(), AuthKind::Basic)
}

pub fn spec() -> ConnectionSpec {
    ConnectionSpec {
        display_name: "branch 42".to_owned(),
        description: "to the branch".to_owned(),
        local_endpoint: Some(inventory::LOCAL_ENDPOINT_ID.to_owned()),
        peer_address: "203.0.113.7".to_owned(),
        authentication: Some(Authentication::Psk(Psk::new(PSK))),
        selectors: Some(Selectors::Rules(vec![PolicyRule {
            sources: vec!["10.0.0.0/24".to_owned()],
            destinations: vec!["10.1.0.0/24".to_owned(), "2001:db8::/64".to_owned()],
            ..PolicyRule::default()
        }])),
        ..ConnectionSpec::default()
    }
}

impl Nsx {
    pub async fn make(&self) -> Written {
        self.create(&spec()).await.unwrap()
    }

    pub async fn updated(&self, written: &Written, change: ConnectionChange) -> Written {
        self.update(&written.id, &change).await.unwrap()
    }

    /// Does what is given to the first answer of a kind.
    fn once(&self, method: Method, path: &str, fault: Fault) {
        let rule = Rule::on(method, path, fault).times(1);
        self.cloud.faults().inject(rule);
    }

    fn asked(&self, method: Method, path: &str) -> usize {
        let seen = self.cloud.all_requests();
        let path = format!("/api/v1/vpn/ipsec/{path}");
        seen.iter()
            .filter(|seen| seen.method == method && seen.path == path)
            .count()
    }

    fn made(&self) -> (usize, usize) {
        let state = self.cloud.state();
        (state.count(Kind::PeerEndpoint), state.count(Kind::Session))
    }
}

fn ids(written: &Written) -> Vec<String> {
    match &written.proof {
        Proof::RequestIds(ids) => ids.clone(),
        other => panic!("{other:?}"),
    }
}

fn target_of(written: &Written) -> Target {
    Target {
        id: written.id.clone(),
        request_ids: ids(written),
        admin_enabled: Some(true),
        ..Target::default()
    }
}

fn refusal(status: u16, code: i64) -> Fault {
    let body = json!({ "httpStatus": "x", "error_code": code, "error_message": "made up" });
    Fault::Answer(Answer::json(StatusCode::from_u16(status).unwrap(), &body))
}

fn page_of_html(status: u16) -> Fault {
    let status = StatusCode::from_u16(status).unwrap();
    Fault::Answer(Answer::text(status, "text/html", "<html>no</html>"))
}

// Making, reading, changing, removing.

#[tokio::test]
async fn a_connection_reads_back_as_it_was_made() {
    let nsx = nsx();
    let written = nsx.make().await;
    assert_eq!(ids(&written).len(), 2);
    let read = nsx.get(&written.id).await.unwrap();
    assert_eq!(read.description, "to the branch");
    assert_eq!(read.vpn_service.as_deref(), Some(inventory::SERVICE_ID));
    assert_eq!(read.initiation, Some(Initiation::Both));
    assert_eq!(
        read.ike_policy.as_deref(),
        Some(inventory::DEFAULT_IKE_PROFILE_ID)
    );
    let Some(Selectors::Rules(rules)) = &read.selectors else {
        panic!("{:?}", read.selectors)
    };
    assert_eq!(rules[0].destinations, ["10.1.0.0/24", "2001:db8::/64"]);
    assert_eq!(rules[0].action, Some(RuleAction::Protect));
    assert_eq!(nsx.cloud.key(&written.id), PSK);
}

#[tokio::test]
async fn what_nobody_here_knows_survives_an_update() {
    let nsx = nsx();
    let written = nsx.make().await;
    let state = nsx.cloud.state();
    let tags = json!([{ "scope": "team", "tag": "net" }]);
    state.alter(Kind::Session, &written.id, json!({ "tags": tags }));
    let values = ConnectionSpec {
        admin_enabled: Some(false),
        ..ConnectionSpec::default()
    };
    let off = change(&[Field::AdminEnabled], values);
    let done = nsx.updated(&written, off).await;
    assert_eq!(ids(&done).len(), 1, "the peer endpoint is as it was");
    let session = state.object(Kind::Session, &written.id).unwrap();
    assert_eq!(session["enabled"], false);
    assert_eq!(session["description"], "to the branch");
    assert_eq!(session["tags"][0], tags[0]);
}

#[tokio::test]
async fn a_change_of_the_peer_needs_the_key_again() {
    let nsx = nsx();
    let written = nsx.make().await;
    let values = ConnectionSpec {
        peer_address: "203.0.113.8".to_owned(),
        authentication: Some(Authentication::Psk(Psk::new("another-key"))),
        ..ConnectionSpec::default()
    };
    let moved = change(&[Field::PeerAddress], values.clone());
    let error = nsx.update(&written.id, &moved).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidArgument);
    assert_eq!(error.context.violations[0].field, "peer.psk");
    assert_eq!(nsx.asked(Method::PUT, "peer-endpoints"), 0);

    let moved = change(&[Field::PeerAddress, Field::Authentication], values);
    let done = nsx.update(&written.id, &moved).await.unwrap();
    assert_eq!(ids(&done).len(), 1);
    assert_eq!(done.warnings[0].field, "peer.id");
    let after = done.connection.unwrap();
    assert_eq!(after.peer.address, "203.0.113.8");
    assert_eq!(nsx.cloud.key(&written.id), "another-key");
}

#[tokio::test]
async fn a_lost_race_is_told_as_a_stale_etag() {
    let nsx = nsx();
    let written = nsx.make().await;
    for status in [409, 412] {
        nsx.once(Method::PUT, "/sessions/", refusal(status, 206));
        let error = nsx.update(&written.id, &renamed("x")).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Stale);
        assert_eq!(error.reason, ErrorReason::StaleEtag);
    }
}

#[tokio::test]
async fn a_delete_leaves_a_peer_endpoint_that_is_not_marked() {
    let nsx = nsx();
    let foreign = nsx.make().await;
    let peer = peer_of(&nsx.cloud, &foreign.id);
    let state = nsx.cloud.state();
    state.alter(Kind::PeerEndpoint, &peer, json!({ "tags": [] }));
    let deleted = nsx.delete(&foreign.id).await.unwrap();
    assert_eq!(ids(&deleted).len(), 1);
    assert_eq!(nsx.made(), (1, 0));
}

#[tokio::test]
async fn a_peer_endpoint_that_others_use_stays_and_is_named() {
    let nsx = nsx();
    let written = nsx.make().await;
    let state = nsx.cloud.state();
    let mut other = state.object(Kind::Session, &written.id).unwrap();
    other["id"] = json!("somebody-elses");
    state.plant(Kind::Session, other);
    let deleted = nsx.delete(&written.id).await.unwrap();
    assert_eq!(deleted.warnings[0].field, "peer");
    assert_eq!(nsx.made(), (1, 1));
}

#[tokio::test]
async fn another_principals_object_is_refused_as_such() {
    let nsx = nsx();
    let written = nsx.make().await;
    let state = nsx.cloud.state();
    state.give_to(Kind::Session, &written.id, "nsx_policy");
    let error = nsx.delete(&written.id).await.unwrap_err();
    assert_eq!(
        (error.kind, error.reason),
        (ErrorKind::PermissionDenied, ErrorReason::NotOwner)
    );
}

// Answers that are refused, lost or broken.

#[tokio::test]
async fn a_refused_session_leaves_no_peer_endpoint_behind() {
    let nsx = nsx();
    let spec = ConnectionSpec {
        local_endpoint: Some("not-there".to_owned()),
        ..spec()
    };
    let error = nsx.create(&spec).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::ReferenceNotFound);
    assert!(error.context.leftovers.is_empty());
    assert_eq!(nsx.made(), (0, 0));
}

#[tokio::test]
async fn what_could_not_be_removed_again_is_named() {
    let nsx = nsx();
    nsx.once(Method::POST, "/sessions$", refusal(400, 255));
    nsx.once(Method::DELETE, "/peer-endpoints/", refusal(403, 505));
    let error = nsx.create(&spec()).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::UpstreamRejected);
    assert_eq!(error.context.leftovers[0].kind, "peer-endpoint");
    assert_eq!(nsx.made(), (1, 0));
}

#[tokio::test]
async fn a_lost_answer_to_a_post_is_found_by_its_mark_and_never_sent_again() {
    for fault in [
        Fault::CutAfterHandling,
        Fault::TruncateBody,
        Fault::EndlessBody,
    ] {
        let never_handled = matches!(fault, Fault::EndlessBody);
        for path in ["/peer-endpoints$", "/sessions$"] {
            let nsx = nsx();
            nsx.once(Method::POST, path, fault.clone());
            let made = nsx.create(&spec()).await;
            assert_eq!(nsx.asked(Method::POST, path.trim_matches(['/', '$'])), 1);
            if never_handled {
                let error = made.unwrap_err();
                assert_eq!(error.reason, ErrorReason::WriteAmbiguous);
                assert_eq!(
                    error.context.leftovers.len(),
                    usize::from(path == "/sessions$")
                );
                continue;
            }
            let written = made.unwrap();
            assert_eq!(written.proof, Proof::RequestIdMissing);
            assert_eq!(nsx.made(), (1, 1));
            assert!(nsx.get(&written.id).await.unwrap().managed);
        }
    }
}

#[tokio::test]
async fn a_lost_answer_that_cannot_be_found_out_is_said_so() {
    let nsx = nsx();
    nsx.once(Method::POST, "/sessions$", Fault::CutAfterHandling);
    let rule = Rule::on(Method::GET, "/sessions$", refusal(500, 99));
    nsx.cloud.faults().inject(rule);
    let error = nsx.create(&spec()).await.unwrap_err();
    assert_eq!(
        (error.kind, error.reason),
        (ErrorKind::Ambiguous, ErrorReason::WriteAmbiguous)
    );
    assert_eq!(error.context.leftovers[0].kind, "peer-endpoint");
    assert_eq!(
        nsx.made(),
        (1, 1),
        "a session that may be there keeps its peer endpoint"
    );
}

#[tokio::test]
async fn a_post_that_the_cloud_says_failed_has_failed_if_nothing_shows_otherwise() {
    let nsx = nsx();
    nsx.once(Method::POST, "/sessions$", refusal(500, 607));
    let error = nsx.create(&spec()).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::UpstreamError);
    assert_eq!(nsx.made(), (0, 0));
}

#[tokio::test]
async fn a_proxy_that_lost_the_answer_does_not_say_that_the_post_failed() {
    let nsx = nsx();
    nsx.once(Method::POST, "/sessions$", page_of_html(502));
    let error = nsx.create(&spec()).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::WriteAmbiguous);
    assert_eq!(error.context.leftovers.len(), 1);
}

#[tokio::test]
async fn a_lost_answer_to_a_put_or_delete_is_found_out_by_reading() {
    let nsx = nsx();
    let written = nsx.make().await;
    let values = ConnectionSpec {
        display_name: "x".to_owned(),
        ..ConnectionSpec::default()
    };
    let rename = change(&[Field::DisplayName], values);
    nsx.once(Method::PUT, "/sessions/", Fault::CutBeforeHandling);
    let error = nsx.update(&written.id, &rename).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::WriteAmbiguous);

    nsx.once(Method::PUT, "/sessions/", Fault::CutAfterHandling);
    let done = nsx.update(&written.id, &rename).await.unwrap();
    assert_eq!(done.proof, Proof::RequestIdMissing);
    assert_eq!(done.connection.unwrap().display_name, "x");

    nsx.once(Method::DELETE, "/sessions/", Fault::CutAfterHandling);
    let done = nsx.delete(&written.id).await.unwrap();
    assert_eq!(done.proof, Proof::RequestIdMissing);
    assert_eq!(nsx.made(), (0, 0));
}

/// What somebody else does to the peer endpoint while the gateway waits to look what became of its PUT.
async fn put_lost_while(
    nsx: &Nsx,
    written: &Written,
    put: Fault,
    wanted: &ConnectionChange,
    meanwhile: impl FnOnce(&str),
) -> Result<Written, Error> {
    let peer = peer_of(&nsx.cloud, &written.id);
    nsx.once(Method::PUT, "/peer-endpoints/", put);
    let gate = Gate::default();
    let look = Rule::on(
        Method::GET,
        format!("/peer-endpoints/{peer}$"),
        Fault::Hold(gate.clone()),
    );
    let looks = nsx.cloud.faults().inject(look.after(1).times(1));
    let call = call();
    let update = nsx.dialect.update(&written.id, wanted, &call);
    let meddle = async {
        looks.reach(1).await;
        meanwhile(&peer);
        gate.open();
    };
    tokio::join!(update, meddle).0
}

#[tokio::test]
async fn a_lost_put_that_changes_the_key_is_proven_by_its_nonce_alone() {
    let keyed = |key: &str| ConnectionSpec {
        authentication: Some(Authentication::Psk(Psk::new(key))),
        ..ConnectionSpec::default()
    };
    let new_key = change(&[Field::Authentication], keyed("another-key"));

    // It never arrived, and an edit by somebody else moved the revision: readable fields are as wanted all the while.
    let nsx = nsx();
    let written = nsx.make().await;
    let state = nsx.cloud.state();
    let note = |peer: &str| state.alter(Kind::PeerEndpoint, peer, json!({ "description": "x" }));
    let lost = put_lost_while(&nsx, &written, Fault::CutBeforeHandling, &new_key, note).await;
    assert_eq!(lost.unwrap_err().reason, ErrorReason::WriteAmbiguous);
    let peer = peer_of(&nsx.cloud, &written.id);
    assert_eq!(state.psk(&peer).as_deref(), Some(PSK));

    // It arrived, and so did the same edit after it.
    let done = put_lost_while(&nsx, &written, Fault::CutAfterHandling, &new_key, note).await;
    assert_eq!(done.unwrap().proof, Proof::RequestIdMissing);
    assert_eq!(state.psk(&peer).as_deref(), Some("another-key"));

    // An edit that takes all tags off leaves nothing that could prove it.
    let third = change(&[Field::Authentication], keyed("a-third-key"));
    let strip = |peer: &str| state.alter(Kind::PeerEndpoint, peer, json!({ "tags": [] }));
    let lost = put_lost_while(&nsx, &written, Fault::CutAfterHandling, &third, strip).await;
    assert_eq!(lost.unwrap_err().reason, ErrorReason::WriteAmbiguous);

    // What can be read proves itself.
    let answering = ConnectionSpec {
        initiation: Some(Initiation::RespondOnly),
        authentication: Some(Authentication::Certificate),
        ..ConnectionSpec::default()
    };
    let answering = change(&[Field::Initiation, Field::Authentication], answering);
    let done = put_lost_while(&nsx, &written, Fault::CutAfterHandling, &answering, strip).await;
    assert_eq!(done.unwrap().proof, Proof::RequestIdMissing);
}

#[tokio::test]
async fn a_nonce_proves_a_put_whatever_was_changed_after_it() {
    let nsx = nsx();
    let written = nsx.make().await;
    let state = nsx.cloud.state();
    let values = ConnectionSpec {
        initiation: Some(Initiation::RespondOnly),
        authentication: Some(Authentication::Psk(Psk::new(PSK))),
        ..ConnectionSpec::default()
    };
    let wanted = change(&[Field::Initiation, Field::Authentication], values);
    let undo = |peer: &str| {
        let mode = json!({ "connection_initiation_mode": "ON_DEMAND" });
        state.alter(Kind::PeerEndpoint, peer, mode);
    };
    let done = put_lost_while(&nsx, &written, Fault::CutAfterHandling, &wanted, undo).await;
    let seen = done.unwrap().connection.unwrap();
    assert_eq!(seen.initiation, Some(Initiation::OnDemand));
}

#[tokio::test]
async fn a_nonce_is_hidden_replaced_and_left_out_where_there_is_no_room() {
    let nsx = nsx();
    let written = nsx.make().await;
    let state = nsx.cloud.state();
    let own = json!({ "scope": "team", "tag": "net" });
    state.alter(Kind::Session, &written.id, json!({ "tags": [own] }));
    let renamed = |name: &str| {
        let values = ConnectionSpec {
            display_name: name.to_owned(),
            ..ConnectionSpec::default()
        };
        change(&[Field::DisplayName], values)
    };
    let tags = || state.object(Kind::Session, &written.id).unwrap()["tags"].clone();
    let mut nonces = BTreeSet::new();
    for name in ["a", "b", "c"] {
        let seen = nsx.updated(&written, renamed(name)).await;
        let seen = seen.connection.unwrap();
        assert!(!seen.managed, "a nonce is no mark");
        assert_eq!(seen.native["tags"], json!([own]));
        let tags = tags();
        assert_eq!((tags.as_array().unwrap().len(), &tags[0]), (2, &own));
        assert_eq!(tags[1]["scope"], "isthmus-write");
        nonces.insert(tags[1]["tag"].to_string());
    }
    assert_eq!(nonces.len(), 3, "each write has its own");
    let again = nsx.updated(&written, renamed("c")).await;
    assert_eq!(again.proof, Proof::Nothing);

    let many: Vec<_> = (0..15)
        .map(|n| json!({ "scope": "team", "tag": n.to_string() }))
        .collect();
    state.alter(Kind::Session, &written.id, json!({ "tags": many }));
    nsx.updated(&written, renamed("d")).await;
    assert_eq!(tags(), json!(many));
}

/// A delete that happened, and of which nothing could be found out.
async fn deleted_in_doubt(nsx: &Nsx, written: &Written) -> Error {
    let session = format!("/sessions/{}$", written.id);
    let faults = nsx.cloud.faults();
    faults.inject(Rule::on(Method::DELETE, &session, Fault::CutAfterHandling));
    faults.inject(Rule::on(Method::GET, &session, refusal(400, 1)).after(1));
    let error = nsx.delete(&written.id).await;
    faults.clear();
    let error = error.unwrap_err();
    assert_eq!(error.reason, ErrorReason::WriteAmbiguous);
    error
}

/// Lets pass what is done beside the calls.
async fn settled(nsx: &Nsx) {
    let asked = || nsx.cloud.requests().total();
    let mut quiet = 0;
    while quiet < 20 {
        let before = asked();
        tokio::time::sleep(Duration::from_millis(5)).await;
        quiet = if asked() == before { quiet + 1 } else { 0 };
    }
}

fn gone(written: &Written) -> Target {
    Target {
        id: written.id.clone(),
        deleting: true,
        ..Target::default()
    }
}

#[tokio::test]
async fn a_peer_endpoint_of_a_delete_in_doubt_is_named_and_goes_once_its_session_is_gone() {
    for evidence in ["look", "get", "delete"] {
        let nsx = nsx();
        let written = nsx.make().await;
        let peer = peer_of(&nsx.cloud, &written.id);
        let error = deleted_in_doubt(&nsx, &written).await;
        let named: Vec<_> = error
            .context
            .leftovers
            .iter()
            .map(|left| &left.id)
            .collect();
        assert_eq!(named, [&peer]);
        assert_eq!(nsx.made(), (1, 0));
        let state = nsx.cloud.state();
        state.finish(&written.id);
        match evidence {
            "look" => {
                let seen = nsx.look(gone(&written)).await.unwrap();
                assert_eq!(seen.state, RealizationState::Deleted);
            }
            "get" => {
                nsx.get(&written.id).await.unwrap_err();
            }
            _ => {
                let again = nsx.delete(&written.id).await;
                assert_eq!(again.unwrap_err().kind, ErrorKind::NotFound);
            }
        }
        settled(&nsx).await;
        assert_eq!(nsx.made(), (0, 0), "{evidence}");
    }
}

#[tokio::test]
async fn a_peer_endpoint_of_a_delete_in_doubt_stays_where_it_is_not_ours_alone() {
    // Somebody else uses it by now, or has taken the mark off; or the session is there after all.
    for case in ["used", "unmarked", "undeleted"] {
        let nsx = nsx();
        let written = nsx.make().await;
        let peer = peer_of(&nsx.cloud, &written.id);
        let state = nsx.cloud.state();
        let session = state.object(Kind::Session, &written.id).unwrap();
        deleted_in_doubt(&nsx, &written).await;
        state.finish(&written.id);
        let plant = |id: &str| {
            let mut session = session.clone();
            session["id"] = json!(id);
            state.plant(Kind::Session, session);
        };
        match case {
            "used" => plant("somebody-elses"),
            "unmarked" => state.alter(Kind::PeerEndpoint, &peer, json!({ "tags": [] })),
            _ => plant(&written.id),
        }
        let _ = nsx.look(gone(&written)).await;
        let _ = nsx.get(&written.id).await;
        settled(&nsx).await;
        assert_eq!(nsx.made().0, 1, "{case}");
        if case == "undeleted" {
            nsx.delete(&written.id).await.unwrap();
            assert_eq!(nsx.made(), (0, 0));
        }
    }
}

#[tokio::test]
async fn what_is_removed_after_a_look_neither_delays_nor_fails_it() {
    let nsx = nsx();
    let written = nsx.make().await;
    deleted_in_doubt(&nsx, &written).await;
    nsx.cloud.state().finish(&written.id);
    let faults = nsx.cloud.faults();
    let gate = Gate::default();
    let held = faults.inject(Rule::at("/peer-endpoints", Fault::Hold(gate.clone())));
    faults.inject(Rule::at("/peer-endpoints", refusal(403, 505)));
    let seen = nsx.look(gone(&written)).await.unwrap();
    assert_eq!(seen.state, RealizationState::Deleted);
    held.reach(1).await;
    nsx.look(gone(&written)).await.unwrap();
    gate.open();
    settled(&nsx).await;
    assert_eq!(nsx.made(), (1, 0));

    // What did not go is remembered, and tried again with the next look.
    faults.clear();
    nsx.look(gone(&written)).await.unwrap();
    settled(&nsx).await;
    assert_eq!(nsx.made(), (0, 0));
}

#[tokio::test]
async fn an_answer_that_does_not_come_leaves_time_to_look() {
    let nsx = nsx();
    let held = Fault::HoldAnswer(Gate::default());
    nsx.once(Method::POST, "/sessions$", held);
    let call = Call::unary(Duration::from_millis(1500));
    let made = nsx.dialect.create(&spec(), &Mark::new(), &call).await;
    assert_eq!(made.unwrap().proof, Proof::RequestIdMissing);
    assert_eq!(nsx.made(), (1, 1));
}

#[tokio::test]
async fn writes_without_a_request_id_say_so() {
    let nsx = nsx();
    nsx.cloud.state().tune(|levers| levers.request_ids = false);
    assert_eq!(nsx.make().await.proof, Proof::RequestIdMissing);
}

// Lists.

#[tokio::test]
async fn a_list_ends_at_either_mark_and_has_every_peer() {
    for end_marker in [EndMarker::Absent, EndMarker::Zeros] {
        let levers = Levers {
            end_marker,
            limits: None,
            max_page: 4,
            ..Levers::default()
        };
        let nsx = start(
            NsxOptions {
                levers,
                ..NsxOptions::default()
            },
            AuthKind::Basic,
        );
        for number in 0..9 {
            let peer = nsx.cloud.state().plant(
                Kind::PeerEndpoint,
                json!({ "peer_address": format!("203.0.113.{number}"), "peer_id": "x" }),
            );
            let session = json!({
                "resource_type": "PolicyBasedIPSecVPNSession",
                "display_name": format!("s{number}"),
                "peer_endpoint_id": peer,
                "policy_rules": [],
            });
            nsx.cloud.state().plant(Kind::Session, session);
        }
        let mut found = BTreeSet::new();
        let mut token = None;
        loop {
            let page = PageRequest {
                after: token,
                ..page(50)
            };
            let page = nsx.list(&page).await.unwrap();
            for connection in page.connections {
                assert_eq!(
                    connection.peer.address.replace("203.0.113.", "s"),
                    connection.display_name
                );
                found.insert(connection.display_name);
            }
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(found.len(), 9);
    }
}

/// What vanishes from the first page moves the rest up by one, past the cursor; what appears meanwhile makes the
/// count right again.
#[tokio::test]
async fn a_peer_endpoint_that_vanishes_during_a_walk_hides_no_other() {
    for (vanish, appear) in [(1, 0), (1, 1), (4, 0), (4, 4)] {
        let levers = Levers {
            max_page: 4,
            ..Levers::default()
        };
        let options = NsxOptions {
            levers,
            ..NsxOptions::default()
        };
        let nsx = start(options, AuthKind::Basic);
        let state = nsx.cloud.state();
        let peer = |address: &str| {
            let peer = json!({ "peer_address": address, "peer_id": "x" });
            state.plant(Kind::PeerEndpoint, peer)
        };
        let unused: Vec<String> = (0..vanish).map(|_| peer("192.0.2.1")).collect();
        for number in 0..9 {
            let address = format!("203.0.113.{number}");
            let session = json!({
                "resource_type": "PolicyBasedIPSecVPNSession",
                "display_name": address,
                "peer_endpoint_id": peer(&address),
                "policy_rules": [],
            });
            state.plant(Kind::Session, session);
        }
        let gate = Gate::default();
        let hold = Rule::on(Method::GET, "/peer-endpoints$", Fault::Hold(gate.clone()));
        let held = nsx.cloud.faults().inject(hold.query("cursor=").times(1));
        let call = call();
        let page = page(50);
        let meddle = async {
            held.reach(1).await;
            for id in &unused {
                assert!(state.vanish(Kind::PeerEndpoint, id));
            }
            for _ in 0..appear {
                peer("192.0.2.2");
            }
            gate.open();
        };
        let (page, ()) = tokio::join!(nsx.dialect.list(&page, &call), meddle);
        let listed = page.unwrap().connections;
        assert_eq!(listed.len(), 9);
        for connection in listed {
            assert_eq!(connection.peer.address, connection.display_name);
        }
    }
}

/// A peer endpoint that is not on the only page is not there: asking for it again would tell nothing new.
#[tokio::test]
async fn what_is_on_no_page_of_one_is_not_asked_for_again() {
    let nsx = nsx();
    for number in 0..5 {
        let session = json!({
            "resource_type": "PolicyBasedIPSecVPNSession",
            "peer_endpoint_id": format!("gone-{number}"),
            "policy_rules": [],
        });
        nsx.cloud.state().plant(Kind::Session, session);
    }
    let page = page(50);
    let page = nsx.list(&page).await.unwrap();
    assert_eq!(page.connections.len(), 5);
    assert_eq!(nsx.cloud.requests().total(), 2);
}

#[tokio::test]
async fn odd_objects_are_read_and_not_refused() {
    let nsx = nsx();
    let id = nsx.cloud.state().plant(
        Kind::Session,
        json!({
            "resource_type": "SomethingNew",
            "peer_endpoint_id": "gone",
            "enabled": "true",
            "vendor_extra": { "token": "canary", "kept": 1 },
        }),
    );
    let read = nsx.get(&id).await.unwrap();
    assert_eq!(read.admin_enabled, Some(true));
    assert!(read.selectors.is_none() && !read.peer.psk_set && !read.managed);
    assert_eq!(read.native["resource_type"], "SomethingNew");
    assert_eq!(read.native["vendor_extra"], json!({ "kept": 1 }));
}

// Logins and managers.

#[tokio::test]
async fn a_refused_password_is_not_sent_again() {
    let nsx = nsx();
    nsx.cloud.spoil_login();
    for probe in join_all((0..10).map(|_| nsx.probe())).await {
        assert_eq!(probe.unwrap_err().kind, ErrorKind::BackendAuth);
    }
    assert_eq!(nsx.cloud.state().failed_logins(), 1);
}

#[tokio::test]
async fn a_403_that_no_login_cures_ends_in_one_login() {
    let nsx = start(NsxOptions::default(), AuthKind::Session);
    nsx.probe().await.unwrap();
    let rule = Rule::on(Method::GET, "/sessions", refusal(403, 98));
    nsx.cloud.faults().inject(rule);
    for _ in 0..4 {
        let error = nsx.probe().await.unwrap_err();
        assert_eq!(error.reason, ErrorReason::UpstreamAuth);
    }
    assert_eq!(nsx.cloud.state().logins(), 2);
}

#[tokio::test]
async fn a_bearer_token_goes_with_every_request() {
    let options = NsxOptions {
        bearer_token: Some("not-a-real-token".to_owned()),
        ..NsxOptions::default()
    };
    start(options, AuthKind::Bearer).probe().await.unwrap();
}

#[tokio::test]
async fn another_manager_takes_over_and_stays() {
    let options = NsxOptions {
        managers: 2,
        ..NsxOptions::default()
    };
    let nsx = start(options, AuthKind::Session);
    let written = nsx.make().await;
    nsx.cloud.manager(0).stop().await.unwrap();
    // The pooled connection breaks under a read, which goes on to the other manager with a login of its own.
    nsx.get(&written.id).await.unwrap();
    nsx.make().await;
    nsx.cloud.manager(0).restart().await.unwrap();
    let before = nsx.cloud.manager(0).requests().total();
    nsx.get(&written.id).await.unwrap();
    assert_eq!(nsx.cloud.manager(0).requests().total(), before);
    assert_eq!(nsx.cloud.state().logins(), 2);

    nsx.cloud.stop().await.unwrap();
    let error = nsx.get(&written.id).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::UpstreamUnreachable);
}

/// What a manager may answer that is about itself, and whether a write that was answered so was certainly not begun.
fn of_one_manager() -> Vec<(Fault, bool)> {
    let page = |status, is_not_begun| (page_of_html(status), is_not_begun);
    vec![
        page(429, true),
        page(500, false),
        page(502, false),
        page(503, false),
        page(504, false),
        (refusal(503, 102), true),
        (
            Fault::Answer(Answer::redirect("https://other.example/")),
            true,
        ),
    ]
}

fn two_managers() -> Nsx {
    let options = NsxOptions {
        managers: 2,
        ..NsxOptions::default()
    };
    start(options, AuthKind::Session)
}

#[tokio::test]
async fn what_one_manager_cannot_do_is_asked_of_the_next_without_slowing_down() {
    for (fault, _) in of_one_manager() {
        let nsx = two_managers();
        let written = nsx.make().await;
        let what = format!("{fault:?}");
        nsx.once(Method::GET, "/sessions/*", fault);
        let got = nsx.get(&written.id).await;
        assert!(got.is_ok(), "{what}: {got:?}");
        let usage = nsx.dialect.usage();
        assert_eq!(usage.paused_for, None, "{what}");
        assert_eq!(usage.rate_limit, 60.0, "{what}");
        // It stays with the one that answers.
        let before = nsx.cloud.manager(0).requests().total();
        nsx.get(&written.id).await.unwrap();
        assert_eq!(nsx.cloud.manager(0).requests().total(), before, "{what}");
    }
}

#[tokio::test]
async fn a_manager_that_cannot_log_in_anybody_is_passed_over() {
    for (fault, _) in of_one_manager() {
        let nsx = two_managers();
        let what = format!("{fault:?}");
        nsx.once(Method::POST, "/api/session/create", fault);
        let probed = nsx.probe().await;
        assert!(probed.is_ok(), "{what}: {probed:?}");
        assert_eq!(nsx.dialect.usage().paused_for, None, "{what}");
    }
}

#[tokio::test]
async fn a_write_is_asked_of_the_next_manager_only_if_it_was_not_begun() {
    for (fault, is_not_begun) in of_one_manager() {
        let nsx = two_managers();
        nsx.probe().await.unwrap();
        let what = format!("{fault:?}");
        nsx.once(Method::POST, "/sessions$", fault);
        let made = nsx.create(&spec()).await;
        assert_eq!(made.is_ok(), is_not_begun, "{what}: {made:?}");
        let posts = 1 + usize::from(is_not_begun);
        assert_eq!(nsx.asked(Method::POST, "sessions"), posts, "{what}");
        // What was certainly not made leaves nothing behind.
        let left = usize::from(is_not_begun);
        assert_eq!(nsx.made().1, left, "{what}");
    }
}

#[tokio::test]
async fn an_account_is_slowed_down_once_every_manager_asks_for_patience() {
    let nsx = two_managers();
    nsx.probe().await.unwrap();
    let rule = Rule::on(Method::GET, "/sessions", page_of_html(429)).times(2);
    let hits = nsx.cloud.faults().inject(rule);
    let error = nsx.probe().await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::UpstreamThrottled);
    assert!(error.context.retry_after.is_some());
    assert_eq!(hits.count(), 2);
    let usage = nsx.dialect.usage();
    assert!(
        usage.paused_for.is_some() && usage.rate_limit == 30.0,
        "{usage:?}"
    );
}

// Looks.

#[tokio::test]
async fn a_look_follows_the_nodes() {
    let nsx = nsx();
    let written = nsx.make().await;
    let state = nsx.cloud.state();
    let mut seen = Vec::new();
    let every = ids(&written);
    for _ in 0..5 {
        let sighting = nsx.look(target_of(&written)).await.unwrap();
        // While the newest write is on its way, how far the one before it has come is not asked.
        let expected = match sighting.state {
            RealizationState::Realized => &every[..],
            _ => &every[1..],
        };
        assert_eq!(sighting.request_ids, expected);
        seen.push((sighting.state, sighting.native_state));
        state.advance(&written.id);
    }
    let words: Vec<&str> = seen.iter().map(|(_, word)| word.as_str()).collect();
    assert_eq!(
        words,
        [
            "pending",
            "in_progress",
            "in_progress",
            "in_progress",
            "in_sync"
        ]
    );
    assert_eq!(seen[4].0, RealizationState::Realized);
    state.tune(|levers| levers.settle = Settle::Success);
    state.finish(&written.id);
    let sighting = nsx.look(target_of(&written)).await.unwrap();
    assert_eq!(
        (sighting.state, sighting.assurance),
        (RealizationState::Realized, Assurance::InEffect)
    );
    assert_eq!(sighting.nodes.len(), 2);
}

#[tokio::test]
async fn the_tunnel_is_read_from_the_nodes() {
    let nsx = nsx();
    let written = nsx.make().await;
    let state = nsx.cloud.state();
    state.set_tunnel(&written.id, Some(Tunnel::up(1)));
    let wanted = Target {
        want_tunnel: true,
        ..target_of(&written)
    };
    let early = nsx.look(wanted.clone()).await.unwrap();
    assert_eq!(early.state, RealizationState::Pending);
    assert_eq!(early.tunnel.unwrap().status, TunnelStatus::Up);

    state.finish(&written.id);
    let up = nsx.look(wanted.clone()).await.unwrap();
    assert_eq!(
        (up.state, up.assurance),
        (RealizationState::Active, Assurance::TunnelUp)
    );
    state.set_tunnel(&written.id, Some(Tunnel::down("Peer not reachable")));
    let down = nsx.look(wanted.clone()).await.unwrap();
    assert_eq!(
        (down.state, down.assurance),
        (RealizationState::Down, Assurance::ControlPlane)
    );
    assert_eq!(down.reason.unwrap().message, "Peer not reachable");
    assert!(down.tunnel.unwrap().realtime);

    let rule = Rule::on(Method::GET, "/status", refusal(500, 1));
    nsx.cloud.faults().inject(rule);
    nsx.look(wanted).await.unwrap_err();
}

#[tokio::test]
async fn what_the_cloud_says_by_a_4xx_is_a_sighting() {
    let nsx = nsx();
    let written = nsx.make().await;
    let state = nsx.cloud.state();
    state.set_service_enabled(inventory::SERVICE_ID, false);
    let off = nsx.look(target_of(&written)).await.unwrap();
    assert_eq!(off.state, RealizationState::Disabled);
    assert_eq!(off.reason.unwrap().code, "VPN_SERVICE_DISABLED");
    state.set_service_enabled(inventory::SERVICE_ID, true);

    state.set_state_missing(&written.id, true);
    let missing = nsx.look(target_of(&written)).await.unwrap();
    assert_eq!(missing.state, RealizationState::Unknown);
    assert_eq!(missing.reason.unwrap().code, "STATE_NOT_FOUND");
    assert_eq!(missing.native_state, "NOT_FOUND (600)");
    state.set_state_missing(&written.id, false);

    state.force_state(&written.id, Some(ForcedState::whole("REHEARSING")));
    let odd = nsx.look(target_of(&written)).await.unwrap();
    assert_eq!(odd.reason.unwrap().code, "UNRECOGNIZED_VALUE");
    state.force_state(&written.id, None);

    state.tune(|levers| levers.unknown_request_id = UnknownRequestId::NotFound);
    let unknown = Target {
        request_ids: vec!["not-a-request".to_owned()],
        ..target_of(&written)
    };
    let unknown = nsx.look(unknown).await.unwrap();
    assert_eq!(unknown.reason.unwrap().code, "STATE_NOT_FOUND");
    assert!(unknown.request_ids.is_empty());
}

#[tokio::test]
async fn whether_it_is_switched_on_is_found_out_if_nobody_knows() {
    let nsx = nsx();
    let spec = ConnectionSpec {
        admin_enabled: Some(false),
        ..spec()
    };
    let written = nsx.create(&spec).await.unwrap();
    let unknown = Target {
        admin_enabled: None,
        ..target_of(&written)
    };
    let seen = nsx.look(unknown).await.unwrap();
    assert_eq!(seen.admin_enabled, Some(false));
    assert_eq!(
        nsx.look(target_of(&written)).await.unwrap().admin_enabled,
        None
    );
}

#[tokio::test]
async fn a_delete_is_over_when_session_and_state_are_gone() {
    let nsx = nsx();
    let written = nsx.make().await;
    let state = nsx.cloud.state();
    state.finish(&written.id);
    let deleted = nsx.delete(&written.id).await.unwrap();
    let going = Target {
        deleting: true,
        ..target_of(&deleted)
    };
    let seen = nsx.look(going.clone()).await.unwrap();
    assert_eq!(seen.state, RealizationState::Deleting);
    // Somebody who did not delete it sees the same, once the session itself is asked.
    let stranger = Target {
        id: written.id.clone(),
        ..Target::default()
    };
    let seen = nsx.look(stranger).await.unwrap();
    assert_eq!(seen.state, RealizationState::Deleting);

    // As long as any question about it is answered, it is not gone.
    let unknown = Rule::on(Method::GET, "/state", refusal(404, 600)).query("request_id=lost");
    nsx.cloud.faults().inject(unknown);
    let mut two = going.clone();
    two.request_ids.push("lost".to_owned());
    let seen = nsx.look(two).await.unwrap();
    assert_eq!(seen.state, RealizationState::Deleting);

    state.finish(&written.id);
    let seen = nsx.look(going).await.unwrap();
    assert_eq!(
        (seen.state, seen.assurance),
        (RealizationState::Deleted, Assurance::ControlPlane)
    );
    assert_eq!(seen.request_ids, ids(&deleted));
    assert_eq!(seen.native_state, "NOT_FOUND (600)");
}

#[tokio::test]
async fn a_404_proves_nothing_unless_nsx_says_it_of_the_session() {
    let nsx = nsx();
    let written = nsx.make().await;
    nsx.once(Method::GET, "/state", page_of_html(404));
    let error = nsx.look(target_of(&written)).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::UpstreamBrokenAnswer);

    nsx.cloud.state().set_state_missing(&written.id, true);
    let session = format!("/sessions/{}$", written.id);
    nsx.once(Method::GET, &session, page_of_html(404));
    let error = nsx.look(target_of(&written)).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::UpstreamBrokenAnswer);

    nsx.once(Method::GET, &session, refusal(404, 600));
    nsx.once(Method::GET, "/sessions$", refusal(404, 600));
    let error = nsx.look(target_of(&written)).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::ApiAbsent);
}

#[tokio::test]
async fn an_outage_in_the_words_of_nsx_is_an_error_and_no_sighting() {
    let nsx = nsx();
    let written = nsx.make().await;
    for (fault, kind) in [
        (refusal(500, 1), ErrorKind::Unavailable),
        (refusal(503, 101), ErrorKind::Unavailable),
        (refusal(429, 102), ErrorKind::Throttled),
    ] {
        nsx.cloud.faults().inject(Rule::at("/state", fault.clone()));
        let error = nsx.look(target_of(&written)).await.unwrap_err();
        assert_eq!(error.kind, kind, "{fault:?} {error}");
        nsx.cloud.faults().clear();
    }
}
