//! Making, reading, changing and removing, and how the cloud refuses.

use crate::{
    setup::{Bench, assert_error, assert_secret_free},
    support::{
        cloud::{Cloud, call, change, renamed},
        clouds::PSK,
        writes::Writes,
    },
};
use isthmus::{
    core::{
        dialect::Proof,
        error::{ErrorKind, ErrorReason},
    },
    model::{Field, PolicyRule, Selectors},
    simulator::openstack::Kind,
};

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
