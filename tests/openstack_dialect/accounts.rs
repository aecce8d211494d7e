//! Logins, and what an account may see.

use crate::{
    setup::{Bench, assert_error, settings},
    support::cloud::{call, page, target},
};
use isthmus::{
    core::{
        dialect::Call,
        error::{ErrorKind, ErrorReason},
    },
    dialects::{self, settings::Given},
    model::RealizationState as State,
    simulator::openstack::{Kind, OpenstackOptions, OpenstackSimulator, Region, Variant},
};
use std::time::Duration;

fn as_reader(cloud: Given) -> Given {
    let inventory = isthmus::simulator::openstack::Inventory::fixed();
    cloud
        .with("auth.username", inventory.reader.name)
        .with("auth.password", inventory.reader.password)
}

#[tokio::test]
async fn an_account_that_may_not_see_never_reports_anything_gone() {
    let bench = Bench::stock();
    let (a, b) = (bench.made("a").await, bench.made("b").await);
    let reader = as_reader(settings(&bench.cloud, Variant::Neutron));
    let reader = dialects::connect(&reader).unwrap();
    let targets = [&a, &b].map(|id| target(id));
    bench.forget_requests();
    for seen in reader.poll(&targets, &call()).await {
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
    assert_eq!(page.items.len(), 1);
}

#[tokio::test]
async fn without_a_token_gone_is_proven_by_what_else_is_shown() {
    let options = OpenstackOptions {
        no_auth: true,
        ..OpenstackOptions::default()
    };
    let cloud = OpenstackSimulator::start(options).unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings =
        Given::new("cloud".parse().unwrap(), "openstack").with("url", cloud.neutron_url());
    let dialect = dialects::connect(&settings).unwrap();
    let bench = Bench { cloud, dialect };
    let id = bench.made("a").await;
    let seen = bench.cloud.neutron().requests().all();
    assert!(seen.iter().all(|request| request.credentials.is_empty()));
    assert_eq!(bench.cloud.keystone().requests().total(), 0);
    bench.delete(&id).await.unwrap();
    assert_eq!(bench.poll_one(&id).await.unwrap().state, State::Deleted);

    for service in bench.cloud.state().ids(Kind::VpnService) {
        bench.cloud.state().vanish(Kind::VpnService, &service);
    }
    let error = bench.poll_one(&id).await.unwrap_err();
    assert_error(&error, ErrorKind::BackendAuth, ErrorReason::UpstreamDenied);
}

#[tokio::test]
async fn a_refused_login_is_left_alone_for_a_while() {
    let bench = Bench::with(OpenstackOptions::default(), |settings| {
        settings.keys.set("auth.password", "not-a-real-one-at-all");
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
        let auth_url = format!("{}/v3/", settings.keys.get("auth.auth_url").unwrap());
        *settings = Given::new("cloud".parse().unwrap(), "openstack")
            .with("auth.kind", "application_credential")
            .with("auth.auth_url", auth_url)
            .with("auth.application_credential_id", credential.id)
            .with("auth.application_credential_secret", credential.password);
    });
    let id = bench.made("a").await;
    bench.delete(&id).await.unwrap();
    assert_eq!(bench.poll_one(&id).await.unwrap().state, State::Deleted);
}

#[tokio::test]
async fn the_region_decides_where_the_token_goes() {
    let bench = Bench::with(OpenstackOptions::default(), |settings| {
        settings.keys.set("auth.region", "RegionTwo");
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
