//! A tunnel profile that NSX's sessions use is changed, and its write is watched to its end, over real sockets.

use crate::{
    setup::{Bench, nsx},
    support::{
        cloud::Cloud,
        running::{fields, id_of},
    },
};
use isthmus::{
    core::{request_id::How, watch::part},
    grpc::pb::{self, watch_realization_response::Event},
    model::{
        BackendName, Collection, ResourceChange, ResourceField, ResourceKind, ResourceName,
        ResourceSpec, Settings, topology::VpnService,
    },
    simulator::nsx::{NsxSimulator, inventory},
};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// A backend on which failures are confirmed soon.
async fn bench(cloud: &NsxSimulator) -> Bench<'_> {
    let mut settings = cloud.settings("a");
    settings.core.poll.fresh = Duration::from_millis(100);
    settings.core.poll.confirm_failure = Duration::from_millis(500);
    Bench::bound(cloud, settings).await
}

impl Bench<'_> {
    /// Makes a tunnel profile.
    async fn profile(&self) -> ResourceName {
        let backend: BackendName = "a".parse().unwrap();
        let spec = ResourceSpec {
            display_name: "shared".to_owned(),
            ..ResourceSpec::none(ResourceKind::IpsecPolicy)
        };
        let made = self
            .running
            .gateway
            .create_resource(&backend, spec, How::default(), soon())
            .await
            .unwrap();
        let id = made.resource.unwrap().id;
        let name = format!("{backend}/ipsecPolicies/{id}");
        ResourceName::parse(Collection::IpsecPolicies, &name).unwrap()
    }

    /// Changes it; the write's token.
    async fn renamed(&self, profile: &ResourceName) -> String {
        let change = ResourceChange {
            fields: [ResourceField::DisplayName].into(),
            values: ResourceSpec {
                display_name: "changed".to_owned(),
                ..ResourceSpec::none(ResourceKind::IpsecPolicy)
            },
            etag: None,
        };
        let gateway = &self.running.gateway;
        let updated = gateway.update_resource(profile, change, How::default(), soon());
        let updated = updated.await.unwrap();
        assert_eq!(updated.request_ids.len(), 1);
        part::token(profile, &updated.request_ids)
    }

    /// Makes connections that use it, real at once.
    async fn users(&self, profile: &ResourceName, count: usize) -> Vec<String> {
        let mut made = Vec::new();
        for number in 0..count {
            let wanted = pb::Connection {
                display_name: format!("user {number}"),
                ipsec_policy: profile.to_string(),
                ..self.cloud.wanted("a")
            };
            let (connection, _) = self.running.create("a", wanted).await.unwrap();
            self.cloud.settle(&id_of(&connection.name));
            made.push(connection.name);
        }
        made.sort();
        made
    }

    async fn watch_part(&self, name: &ResourceName, write_token: String) -> Part {
        let request = pb::WatchRealizationRequest {
            name: name.to_string(),
            write_token,
            ..Default::default()
        };
        let mut client = self.running.realizations();
        let stream = client.watch_realization(request).await.unwrap();
        Part(stream.into_inner())
    }
}

struct Part(tonic::Streaming<pb::WatchRealizationResponse>);

impl Part {
    async fn next(&mut self) -> pb::WatchRealizationResponse {
        let next = timeout(Duration::from_secs(20), self.0.message()).await;
        let message = next.expect("the silence is too long").unwrap().unwrap();
        assert_eq!(message.resume_token, "");
        message
    }

    /// The next of which this holds.
    async fn until(
        &mut self,
        is_it: impl Fn(&pb::Realization) -> bool,
    ) -> (pb::Realization, Option<pb::Outcome>) {
        loop {
            let message = self.next().await;
            if let Some(Event::Snapshot(said) | Event::Change(said)) = message.event
                && is_it(&said)
            {
                return (said, message.outcome);
            }
            assert_eq!(message.outcome, None);
        }
    }

    async fn is_over(&mut self) -> bool {
        self.0.message().await.unwrap().is_none()
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn counts(said: &pb::Realization) -> (u32, u32, u32, &[String]) {
    let part_use = said.part_use.as_ref().unwrap();
    let waiting = &part_use.waiting[..];
    (
        part_use.connections,
        part_use.proven,
        part_use.failed,
        waiting,
    )
}

#[tokio::test]
async fn a_change_of_a_profile_is_watched_on_each_session_that_uses_it() {
    let cloud = nsx();
    let bench = bench(&cloud).await;
    let profile = bench.profile().await;
    let users = bench.users(&profile, 3).await;
    bench.made("uses another").await;
    let mut watch = bench
        .watch_part(&profile, bench.renamed(&profile).await)
        .await;
    let first = watch.next().await;
    let Some(Event::Snapshot(said)) = first.event else {
        panic!("{first:?}")
    };
    assert_eq!(said.name, profile.to_string());
    assert_eq!(counts(&said), (3, 0, 0, &users[..]));
    cloud.settle(&id_of(&users[1]));
    let (said, outcome) = watch.until(|said| counts(said).1 == 1).await;
    let others = [users[0].clone(), users[2].clone()];
    assert_eq!((counts(&said), outcome), ((3, 1, 0, &others[..]), None));
    cloud.settle(&id_of(&users[0]));
    cloud.settle(&id_of(&users[2]));
    let (said, outcome) = watch.until(|said| counts(said).1 == 3).await;
    assert_eq!(counts(&said), (3, 3, 0, &[][..]));
    assert_eq!(said.state(), pb::RealizationState::Realized);
    assert_eq!(outcome.unwrap().result(), pb::outcome::Result::Succeeded);
    assert!(watch.is_over().await);
}

#[tokio::test]
async fn a_node_that_fails_one_session_fails_the_write() {
    let cloud = nsx();
    let bench = bench(&cloud).await;
    let profile = bench.profile().await;
    let users = bench.users(&profile, 2).await;
    let mut watch = bench
        .watch_part(&profile, bench.renamed(&profile).await)
        .await;
    let bad = id_of(&users[0]);
    for node in cloud.state().nodes() {
        cloud.state().set_node_state(&bad, &node, Some("error"));
    }
    let (said, outcome) = watch.until(|said| counts(said).2 == 1).await;
    assert_eq!(counts(&said), (2, 0, 1, &users[1..]));
    assert_eq!(said.state(), pb::RealizationState::Failed);
    assert_eq!(outcome, None, "one waits");
    cloud.settle(&id_of(&users[1]));
    let (said, outcome) = watch.until(|said| counts(said).1 == 1).await;
    assert_eq!(counts(&said), (2, 1, 1, &[][..]));
    let outcome = outcome.unwrap();
    assert_eq!(outcome.result(), pb::outcome::Result::Failed);
    assert!(outcome.reason.unwrap().message.contains(&users[0]));
    assert!(watch.is_over().await);
}

#[tokio::test]
async fn a_profile_that_no_session_uses_is_done_and_one_without_a_token_is_refused() {
    let cloud = nsx();
    let bench = bench(&cloud).await;
    let profile = bench.profile().await;
    bench.made("uses another").await;
    let token = bench.renamed(&profile).await;
    let mut watch = bench.watch_part(&profile, token.clone()).await;
    let (said, outcome) = watch.until(|_| true).await;
    assert_eq!(counts(&said), (0, 0, 0, &[][..]));
    let outcome = outcome.unwrap();
    assert_eq!(outcome.result(), pb::outcome::Result::Succeeded);
    assert_eq!(outcome.reason.unwrap().code, "NOT_IN_USE");
    assert!(watch.is_over().await);

    let get = pb::GetRealizationRequest {
        name: profile.to_string(),
        write_token: token.clone(),
        ..Default::default()
    };
    let mut client = bench.running.realizations();
    let got = client.get_realization(get).await.unwrap().into_inner();
    assert_eq!(counts(&got.realization.unwrap()), (0, 0, 0, &[][..]));
    let wait = pb::WaitRealizationRequest {
        name: profile.to_string(),
        write_token: token,
        ..Default::default()
    };
    let waited = client.wait_realization(wait).await.unwrap().into_inner();
    let outcome = waited.outcome.unwrap();
    assert_eq!(outcome.result(), pb::outcome::Result::Succeeded);

    let without = pb::WatchRealizationRequest {
        name: profile.to_string(),
        ..Default::default()
    };
    let refused = client.watch_realization(without).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    assert_eq!(fields(&refused), ["write_token"]);
}

#[tokio::test]
async fn a_service_that_is_switched_off_has_its_sessions_off_which_is_what_was_wanted() {
    let cloud = nsx();
    let bench = bench(&cloud).await;
    let service = format!("backends/a/vpnServices/{}", inventory::SERVICE_ID);
    let service = ResourceName::parse(Collection::VpnServices, &service).unwrap();
    let user = bench.made("of the service").await;
    let change = ResourceChange {
        fields: [ResourceField::AdminEnabled].into(),
        values: ResourceSpec {
            settings: Settings::VpnService(VpnService {
                admin_enabled: Some(false),
                ..VpnService::default()
            }),
            ..ResourceSpec::none(ResourceKind::VpnService)
        },
        etag: None,
    };
    let gateway = &bench.running.gateway;
    let updated = gateway.update_resource(&service, change, How::default(), soon());
    let token = part::token(&service, &updated.await.unwrap().request_ids);
    let mut watch = bench.watch_part(&service, token).await;
    cloud.settle(&id_of(&user));
    let (said, outcome) = watch.until(|said| counts(said).1 == 1).await;
    assert_eq!(counts(&said), (1, 1, 0, &[][..]));
    let outcome = outcome.unwrap();
    assert_eq!(outcome.result(), pb::outcome::Result::Succeeded);
}
