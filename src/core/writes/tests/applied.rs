//! Applied descriptions: what is created, changed or left alone, and which connection is meant.

use super::*;
use crate::{
    core::{
        dialect::{Action, Mark},
        error::{ErrorKind, ErrorReason},
        writes::apply::{Applied, Description, Outcome},
    },
    model::{Authentication, PolicyRule, Psk, Selectors, policy::Lifetime},
};
use std::sync::atomic::Ordering::SeqCst;
use tokio::sync::oneshot;

/// `whole`, with everything that a description has to contain.
pub(super) fn described() -> Description {
    let mut wanted = whole();
    wanted.reuse = Reuse::Managed;
    wanted.spec.peer_address = "192.0.2.1".to_owned();
    wanted.spec.authentication = Some(Authentication::Psk(Psk::new("not-a-real-key")));
    let mut description = Description {
        wanted,
        name: None,
        write_key: false,
        etag: None,
    };
    networks(&mut description, &["10.1.0.0/16"]);
    lifetime(&mut description, 3_600);
    router(&mut description, "r");
    let endpoint = description
        .wanted
        .parts
        .get_mut(&ResourceKind::LocalEndpoint);
    if let Settings::LocalEndpoint(endpoint) = &mut endpoint.unwrap().settings {
        endpoint.address = "198.51.100.1".to_owned();
    }
    description
}

pub(super) fn networks(description: &mut Description, networks: &[&str]) {
    let destinations = networks.iter().map(|it| (*it).to_owned()).collect();
    description.wanted.spec.selectors = Some(Selectors::Rules(vec![PolicyRule {
        destinations,
        ..PolicyRule::default()
    }]));
}

pub(super) fn lifetime(description: &mut Description, seconds: u64) {
    let policy = description.wanted.parts.get_mut(&ResourceKind::IkePolicy);
    if let Settings::IkePolicy(policy) = &mut policy.unwrap().settings {
        policy.lifetime = Some(Lifetime::Seconds(seconds));
    }
}

pub(super) fn router(description: &mut Description, router: &str) {
    let service = description.wanted.parts.get_mut(&ResourceKind::VpnService);
    if let Settings::VpnService(service) = &mut service.unwrap().settings {
        service.router = router.to_owned();
    }
}

pub(super) async fn apply(
    gateway: &Gateway,
    description: Description,
    how: How,
) -> Result<Applied> {
    gateway.apply(&backend(), description, how, soon()).await
}

/// A description without parts.
fn alone() -> Description {
    let mut description = described();
    description.wanted.parts.clear();
    description
}

fn told(applied: &Applied) -> (Outcome, String, String) {
    let accepted = &applied.accepted;
    let name = accepted.name.as_ref().unwrap().to_string();
    (applied.result, name, accepted.write_token.clone())
}

#[test]
fn what_is_missing_is_made_what_differs_is_changed_and_the_rest_is_left_alone() {
    let site = Site::new();
    site.settled(async |gateway: &Gateway| {
        let made = apply(gateway, described(), How::default()).await.unwrap();
        assert_eq!(made.result, Outcome::Created);
        assert_eq!(site.cloud.world().there(), WHOLE);
        let (requests, writes) = (site.cloud.world().requests, site.disk.writes.load(SeqCst));

        let same = apply(gateway, described(), How::default()).await.unwrap();
        assert_eq!(same.result, Outcome::Unchanged);
        assert_eq!(same.accepted.name, made.accepted.name);
        assert_eq!(same.accepted.write_token, "");
        // The second apply sends no request and writes nothing to disk.
        assert_eq!(site.cloud.world().requests, requests);
        assert_eq!(site.disk.writes.load(SeqCst), writes);

        let mut description = described();
        networks(&mut description, &["10.1.0.0/16", "10.2.0.0/16"]);
        let changed = apply(gateway, description.clone(), How::default()).await;
        let changed = changed.unwrap();
        assert_eq!(changed.result, Outcome::Changed);
        assert_eq!(changed.accepted.name, made.accepted.name);
        assert!(!changed.accepted.write_token.is_empty());
        assert_eq!(site.cloud.world().requests, requests + 3);
        assert_eq!(site.cloud.world().there(), WHOLE);

        // What the description leaves out stays as it is.
        description.wanted.spec.selectors = None;
        description.wanted.spec.peer_address.clear();
        let same = apply(gateway, description, How::default()).await.unwrap();
        assert_eq!(same.result, Outcome::Unchanged);
        assert_eq!(site.cloud.world().keys, 0);
    });
}

#[test]
fn a_key_is_written_to_what_is_there_only_if_its_caller_wants_that() {
    let site = Site::new();
    site.settled(async |gateway: &Gateway| {
        apply(gateway, described(), How::default()).await.unwrap();
        let mut description = described();
        networks(&mut description, &["10.2.0.0/16"]);
        let spared = apply(gateway, description.clone(), How::default()).await;
        assert_eq!(spared.unwrap().result, Outcome::Changed);
        assert_eq!(site.cloud.world().keys, 0);
        description.write_key = true;
        let written = apply(gateway, description, How::default()).await;
        assert_eq!(written.unwrap().result, Outcome::Changed);
        assert_eq!(site.cloud.world().keys, 1);
    });
}

#[test]
fn two_who_apply_the_same_at_once_make_one() {
    let site = Site::new();
    site.settled(async |gateway: &Gateway| {
        let (one, other) = tokio::join!(
            apply(gateway, described(), How::default()),
            apply(gateway, described(), How::default())
        );
        let (one, other) = (one.unwrap(), other.unwrap());
        let results = [one.result, other.result];
        assert!(results.contains(&Outcome::Created) && results.contains(&Outcome::Unchanged));
        assert_eq!(one.accepted.name, other.accepted.name);
        assert_eq!(site.cloud.world().there(), WHOLE);
    });
}

#[test]
fn a_repeat_is_answered_the_same() {
    let site = Site::new();
    site.settled(async |gateway: &Gateway| {
        let made = apply(gateway, described(), request("m", "")).await.unwrap();
        let mut changed = described();
        networks(&mut changed, &["10.2.0.0/16"]);
        let first = apply(gateway, changed.clone(), request("c", ""))
            .await
            .unwrap();
        let same = apply(gateway, changed.clone(), request("s", ""))
            .await
            .unwrap();
        let requests = site.cloud.world().requests;
        for (id, expected) in [("m", &made), ("c", &first), ("s", &same)] {
            let again = apply(gateway, changed.clone(), request(id, ""))
                .await
                .unwrap();
            assert_eq!(told(&again), told(expected));
        }
        let results = [made.result, first.result, same.result];
        assert_eq!(
            results,
            [Outcome::Created, Outcome::Changed, Outcome::Unchanged]
        );
        assert_eq!(site.cloud.world().requests, requests);
    });
}

#[test]
fn what_is_only_tried_tells_the_plan_and_how_it_was_and_would_be() {
    let site = Site::new();
    site.settled(async |gateway: &Gateway| {
        let tried = apply(gateway, described(), How::tried()).await.unwrap();
        assert_eq!(tried.result, Outcome::Created);
        assert_eq!(tried.accepted.plan.len(), 6);
        assert!(tried.accepted.name.is_none() && tried.before.is_none());
        let taken = tried.taken.unwrap();
        assert!(taken.spec.authentication.is_none());
        assert_eq!(taken.parts.len(), 3);
        assert_eq!(site.cloud.world().requests, 0);

        let made = apply(gateway, described(), How::default()).await.unwrap();
        let requests = site.cloud.world().requests;
        let same = apply(gateway, described(), How::tried()).await.unwrap();
        assert_eq!(
            (same.result, same.accepted.plan.len()),
            (Outcome::Unchanged, 0)
        );
        let mut description = described();
        networks(&mut description, &["10.2.0.0/16"]);
        let tried = apply(gateway, description, How::tried()).await.unwrap();
        assert_eq!(tried.result, Outcome::Changed);
        assert_eq!(tried.accepted.name, made.accepted.name);
        assert_eq!(tried.accepted.write_token, "");
        let actions = tried.accepted.plan.iter().map(|step| step.action);
        let expected = [Action::Create, Action::Update, Action::Delete];
        assert_eq!(actions.collect::<Vec<_>>(), expected);
        let (before, taken) = (tried.before.unwrap(), tried.taken.unwrap());
        let first = |it: &NewConnection| match &it.spec.selectors {
            Some(Selectors::Rules(rules)) => rules[0].destinations.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            (first(&before), first(&taken)),
            (
                vec!["10.1.0.0/16".to_owned()],
                vec!["10.2.0.0/16".to_owned()],
            )
        );
        assert_eq!(before.parts, taken.parts);
        assert_eq!(site.cloud.world().requests, requests);
    });
}

#[test]
fn what_a_new_connection_needs_is_asked_for_only_if_there_is_none() {
    let site = Site::new();
    site.settled(async |gateway: &Gateway| {
        let mut bare = alone();
        bare.wanted.spec.authentication = None;
        bare.wanted.spec.peer_address.clear();
        let error = apply(gateway, bare.clone(), How::default())
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidArgument);
        let fields: Vec<&str> = error
            .context
            .violations
            .iter()
            .map(|it| &*it.field)
            .collect();
        assert_eq!(fields, ["peer.address", "peer.psk"]);
        apply(gateway, described(), How::default()).await.unwrap();
        let same = apply(gateway, bare, How::default()).await.unwrap();
        assert_eq!(same.result, Outcome::Unchanged);
    });
}

#[test]
fn a_host_name_that_the_cloud_resolved_is_left_alone() {
    let site = Site::new();
    site.settled(async |gateway: &Gateway| {
        apply(gateway, described(), How::default()).await.unwrap();
        let mut description = described();
        description.wanted.spec.peer_address = "peer.example".to_owned();
        for how in [How::tried(), How::default()] {
            let same = apply(gateway, description.clone(), how).await.unwrap();
            assert_eq!(same.result, Outcome::Unchanged);
            assert_eq!(same.accepted.warnings.len(), 1);
            assert_eq!(same.accepted.warnings[0].field, "peer.address");
            // A field that is left alone is not a difference.
            let [before, taken] =
                [same.before, same.taken].map(|it| it.map(|it| it.spec.peer_address));
            assert_eq!(before, taken);
        }
    });
}

#[test]
fn it_is_found_by_its_name_among_what_the_gateway_made() {
    let site = Site::new();
    site.settled(async |gateway: &Gateway| {
        let put =
            |id: &str, text: &str, mark| site.cloud.world().put("connections", id, text, mark);
        let reason = async |description: Description| {
            let error = apply(gateway, description, How::default())
                .await
                .unwrap_err();
            (error.reason, error.context.resources)
        };
        put("u", "old||192.0.2.1|10.1.0.0/16", None);
        put("v", "other", Some(Mark::new()));
        let of = |id: &str| format!("backends/b/connections/{id}");
        assert_eq!(
            reason(alone()).await,
            (ErrorReason::NotManaged, vec![of("u")])
        );

        let named = |id: &str| Description {
            name: Some(ConnectionName::connection(&backend(), id).unwrap()),
            ..alone()
        };
        let same = apply(gateway, named("u"), How::default()).await.unwrap();
        assert_eq!(same.result, Outcome::Unchanged);
        let renamed = apply(gateway, named("v"), How::default()).await.unwrap();
        assert_eq!(renamed.accepted.connection.unwrap().display_name, "old");
        let error = apply(gateway, named("w"), How::default())
            .await
            .unwrap_err();
        assert_eq!(error.reason, ErrorReason::ConnectionNotFound);

        // The connection that the gateway made is meant, even if others have the same display name.
        let same = apply(gateway, alone(), How::default()).await.unwrap();
        assert_eq!(same.accepted.name.unwrap().to_string(), of("v"));
        put("w", "old", Some(Mark::new()));
        let expected = (ErrorReason::NameNotUnique, vec![of("v"), of("w")]);
        assert_eq!(reason(alone()).await, expected);
    });
}

#[test]
fn where_connections_carry_no_mark_they_are_told_by_name_and_peer() {
    let site = Site::new();
    site.cloud.world().unmarked = true;
    site.settled(async |gateway: &Gateway| {
        let put = |id: &str, text: &str| site.cloud.world().put("connections", id, text, None);
        put("x", "old||192.0.2.1|10.1.0.0/16");
        let same = apply(gateway, alone(), How::default()).await.unwrap();
        assert_eq!(same.result, Outcome::Unchanged);
        put("y", "old||192.0.2.2|10.1.0.0/16");
        let same = apply(gateway, alone(), How::default()).await.unwrap();
        assert_eq!(
            same.accepted.name.unwrap().to_string(),
            "backends/b/connections/x"
        );
        put("z", "old||192.0.2.1|10.1.0.0/16");
        let error = apply(gateway, alone(), How::default()).await.unwrap_err();
        assert_eq!(error.reason, ErrorReason::NameNotUnique);
        assert_eq!(error.context.resources.len(), 2);
    });
}

#[test]
fn what_is_being_removed_is_not_changed() {
    let site = Site::new();
    site.settled(async |gateway: &Gateway| {
        let made = apply(gateway, described(), How::default()).await.unwrap();
        let name = made.accepted.name.unwrap();
        let writes = gateway.writable(&backend()).unwrap();
        let removing = writes.ledger().removing(&name.id);
        for how in [How::tried(), How::default()] {
            let error = apply(gateway, described(), how).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unavailable);
            assert_eq!(error.reason, ErrorReason::WriteUnderWay);
            assert_eq!(error.context.resource, Some(name.to_string()));
            assert!(error.context.retry_after.is_some());
        }
        drop(removing);
        delete(gateway, &name, How::default()).await.unwrap();
        let made = apply(gateway, described(), How::default()).await.unwrap();
        assert_eq!(made.result, Outcome::Created);
    });
}

#[test]
fn what_was_removed_while_it_was_looked_for_is_made() {
    let site = Site::new();
    site.settled(async |gateway: &Gateway| {
        let made = apply(gateway, described(), How::default()).await.unwrap();
        let name = made.accepted.name.unwrap();
        let ((is_read, seen), (go_on, answer)) = (oneshot::channel(), oneshot::channel());
        site.cloud.world().slow_list = Some((is_read, answer));
        let (again, ()) = tokio::join!(apply(gateway, described(), How::default()), async {
            seen.await.unwrap();
            delete(gateway, &name, How::default()).await.unwrap();
            go_on.send(()).unwrap();
        });
        assert_eq!(again.unwrap().result, Outcome::Created);
        assert_eq!(site.cloud.world().there(), WHOLE);
    });
}

#[tokio::test]
async fn nothing_is_applied_to_what_may_only_be_read() {
    let site = Site::new();
    let settings = BackendSettings {
        read_only: true,
        ..BackendSettings::new(backend())
    };
    let dialect: Arc<dyn Dialect> = Arc::<Cloud>::clone(&site.cloud);
    let gateway = Gateway::start(vec![(settings, dialect)], Duration::from_secs(15));
    for how in [How::tried(), How::default()] {
        let error = apply(&gateway, described(), how).await.unwrap_err();
        assert_eq!(error.reason, ErrorReason::ReadOnly);
    }
    assert_eq!(site.cloud.world().requests, 0);
}
