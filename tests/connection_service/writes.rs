//! Masks, etags, what is missing, and what is only validated.

use crate::{
    setup::{Bench, on_both},
    support::{
        cloud::Cloud,
        running::{fields, id_of, reason},
    },
};
use isthmus::grpc::pb;
use tonic::Code;
use tonic_types::StatusExt;

on_both! {
    a_mask_changes_what_it_names,
    a_wrong_mask_is_refused,
    an_etag_must_be_current,
    what_is_missing_may_be_deleted_if_allowed,
    what_is_only_validated_writes_nothing,
}

/// A mask changes what it names, resets what it names and is unset, and leaves the rest.
async fn a_mask_changes_what_it_names(cloud: &dyn Cloud) {
    let bench = Bench::over(cloud).await;
    let name = bench.made("before").await;
    let before = bench.running.get(&name).await.unwrap();
    let change = pb::Connection {
        name: name.clone(),
        display_name: "after".into(),
        description: "not named".into(),
        peer: Some(pb::Peer {
            address: "not an address, and not named".into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    bench
        .update(change, &["display_name"], false)
        .await
        .unwrap();
    cloud.settle(&id_of(&name));
    let after = bench.running.get(&name).await.unwrap();
    assert_eq!(
        (after.display_name.as_str(), after.description.as_str()),
        ("after", "")
    );
    assert_eq!(
        (
            &after.peer,
            &after.selectors,
            after.managed,
            after.admin_enabled
        ),
        (&before.peer, &before.selectors, true, Some(true))
    );
    assert_ne!(after.etag, before.etag);

    let described = pb::Connection {
        name: name.clone(),
        description: "for the branch".into(),
        ..Default::default()
    };
    // Without a mask, what is set.
    bench.update(described, &[], false).await.unwrap();
    cloud.settle(&id_of(&name));
    let after = bench.running.get(&name).await.unwrap();
    assert_eq!(
        (after.display_name.as_str(), after.description.as_str()),
        ("after", "for the branch")
    );
    let reset = pb::Connection {
        name: name.clone(),
        ..Default::default()
    };
    bench.update(reset, &["description"], false).await.unwrap();
    assert_eq!(bench.running.get(&name).await.unwrap().description, "");
}

/// A mask that names what is not there, cannot be changed or has no default is refused, all at once.
async fn a_wrong_mask_is_refused(cloud: &dyn Cloud) {
    let bench = Bench::over(cloud).await;
    let name = bench.made("branch").await;
    let writes = bench.writes();
    let nothing = pb::Connection {
        name: name.clone(),
        ..Default::default()
    };
    let paths = ["colour", "peer.address", "dpd.interval", "name", "peer.*"];
    let status = bench.update(nothing, &paths, false).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(
        fields(&status),
        [
            "update_mask.paths[0]",
            "update_mask.paths[2]",
            "update_mask.paths[3]",
            "update_mask.paths[4]",
            "connection.peer.address",
        ]
    );
    assert_eq!(bench.writes(), writes);
}

/// A stale etag refuses updates and deletes alike; a current one and none let them through.
async fn an_etag_must_be_current(cloud: &dyn Cloud) {
    let bench = Bench::over(cloud).await;
    let name = bench.made("first").await;
    let old = bench.running.get(&name).await.unwrap().etag;
    let named = |display_name: &str, etag: &str| pb::Connection {
        name: name.clone(),
        display_name: display_name.into(),
        etag: etag.into(),
        ..Default::default()
    };
    bench
        .update(named("second", &old), &["display_name"], false)
        .await
        .unwrap();
    cloud.settle(&id_of(&name));
    let current = bench.running.get(&name).await.unwrap().etag;
    let writes = bench.writes();
    for validate_only in [true, false] {
        let status = bench
            .update(named("third", &old), &["display_name"], validate_only)
            .await
            .unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::Aborted, "STALE_ETAG")
        );
    }
    let delete = |etag: &str| pb::DeleteConnectionRequest {
        name: name.clone(),
        etag: etag.into(),
        allow_missing: true,
        ..Default::default()
    };
    let status = bench.delete(delete(&old)).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Aborted, "STALE_ETAG")
    );
    assert_eq!(bench.writes(), writes, "a stale etag writes nothing");
    assert_eq!(
        bench.running.get(&name).await.unwrap().display_name,
        "second"
    );
    assert_ne!(bench.delete(delete(&current)).await.unwrap(), "");
}

/// Deleting what is not there is an error, or none if that is allowed; what cannot be known is an error always.
async fn what_is_missing_may_be_deleted_if_allowed(cloud: &dyn Cloud) {
    let bench = Bench::over(cloud).await;
    let name = bench.made("branch").await;
    let delete = |allow_missing| pb::DeleteConnectionRequest {
        name: name.clone(),
        allow_missing,
        ..Default::default()
    };
    assert_ne!(
        bench.delete(delete(true)).await.unwrap(),
        "",
        "it was there"
    );
    assert_eq!(bench.delete(delete(true)).await.unwrap(), "");
    let status = bench.delete(delete(false)).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::NotFound, "CONNECTION_NOT_FOUND")
    );
    let resource = status.get_details_resource_info().expect("what is missing");
    assert_eq!(resource.resource_name, name);
    let nowhere = pb::DeleteConnectionRequest {
        name: "backends/nowhere/connections/x".into(),
        allow_missing: true,
        ..Default::default()
    };
    let status = bench.delete(nowhere).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::NotFound, "BACKEND_NOT_FOUND")
    );
    cloud.server().stop().await.unwrap();
    let status = bench.delete(delete(true)).await.unwrap_err();
    assert_eq!(
        status.code(),
        Code::Unavailable,
        "nobody knows whether it is there"
    );
}

/// What is only validated is checked as the write would be, and writes nothing.
async fn what_is_only_validated_writes_nothing(cloud: &dyn Cloud) {
    let bench = Bench::over(cloud).await;
    let name = bench.made("branch").await;
    let (writes, count) = (bench.writes(), cloud.connections().len());
    let create = |connection| pb::CreateConnectionRequest {
        parent: "backends/a".into(),
        connection: Some(connection),
        validate_only: true,
        ..Default::default()
    };
    let good = bench
        .running
        .connections()
        .create_connection(create(cloud.wanted("a")))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (
            good.write_token.as_str(),
            good.connection.unwrap().name.as_str()
        ),
        ("", "")
    );
    let malformed = pb::Connection {
        initiation: 99,
        ..cloud.wanted("a")
    };
    let inexpressible = pb::Connection {
        dpd_policy: "backends/a/dpdPolicies/x".into(),
        dpd: Some(pb::DeadPeerDetection::default()),
        ..cloud.wanted("a")
    };
    for (wrong, code) in [
        (malformed, Code::InvalidArgument),
        (inexpressible, Code::FailedPrecondition),
    ] {
        let mut client = bench.running.connections();
        let status = client.create_connection(create(wrong)).await.unwrap_err();
        assert_eq!(status.code(), code, "{status:?}");
        assert!(!fields(&status).is_empty());
    }

    let renamed = |name: &str| pb::Connection {
        name: name.into(),
        display_name: "renamed".into(),
        ..Default::default()
    };
    let good = bench
        .update(renamed(&name), &["display_name"], true)
        .await
        .unwrap();
    assert_eq!(
        (
            good.write_token.as_str(),
            good.connection.unwrap().name.as_str()
        ),
        ("", "")
    );
    let missing = "backends/a/connections/00000000-0000-4000-8000-000000000000";
    let status = bench
        .update(renamed(missing), &["display_name"], true)
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::NotFound, "CONNECTION_NOT_FOUND")
    );

    assert_eq!((bench.writes(), cloud.connections().len()), (writes, count));
    assert_eq!(
        bench.running.get(&name).await.unwrap().display_name,
        "branch"
    );
}
