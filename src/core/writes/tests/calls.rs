//! Calls that fail, repeat and run concurrently.

use super::{cloud::Fault, *};
use crate::core::{
    error::{ErrorKind, ErrorReason},
    ledger::UnfinishedState,
};
use futures_util::future::join_all;

#[test]
fn a_create_that_is_refused_at_any_step_leaves_nothing() {
    for step in 1..=6 {
        let site = Site::new();
        site.cloud.world().fault = Some((step, Fault::Refused));
        let told = site.settled(async |gateway: &Gateway| {
            let error = create(gateway, How::default()).await.unwrap_err();
            assert_eq!(site.cloud.world().there(), Vec::<&str>::new(), "{step}");
            assert_eq!(gateway.unfinished(&backend()), vec![]);
            error
        });
        assert_eq!(told.reason, ErrorReason::WrongState);
        assert_eq!(told.context.leftovers, vec![]);
    }
}

#[test]
fn a_create_whose_answer_is_lost_is_finished_or_undone_and_never_half() {
    for step in 1..=6 {
        for fault in [Fault::LostAnswer, Fault::LostRequest] {
            let site = Site::new();
            site.cloud.world().fault = Some((step, fault));
            let (error, ended) = site.settled(async |gateway: &Gateway| {
                let error = create(gateway, request("r", "")).await.unwrap_err();
                settle().await;
                (error, gateway.unfinished(&backend()))
            });
            assert_eq!(error.kind, ErrorKind::Ambiguous);
            assert_eq!(error.context.leftovers.len(), step as usize - 1);
            let finished = step == 6 && fault == Fault::LostAnswer;
            let (state, left) = match finished {
                true => (UnfinishedState::Finished, 6),
                false => (UnfinishedState::Undone, 0),
            };
            assert_eq!((ended.len(), ended[0].state), (1, state));
            assert_eq!(site.cloud.world().there().len(), left);
            let again =
                site.settled(async |gateway: &Gateway| create(gateway, request("r", "")).await);
            again.unwrap();
            assert_eq!(site.cloud.world().there(), WHOLE);
        }
    }
}

#[test]
fn a_delete_whose_answer_is_lost_goes_on() {
    for fault in [Fault::LostAnswer, Fault::LostRequest, Fault::Refused] {
        for step in 1..=6 {
            let site = Site::new();
            let told = site.settled(async |gateway: &Gateway| {
                let name = create(gateway, How::default()).await.unwrap().name.unwrap();
                site.cloud.world().fault = Some((step, fault));
                delete(gateway, &name, How::default()).await
            });
            let there = site.cloud.world().there().len();
            match (step, fault) {
                (1, Fault::Refused) => {
                    assert_eq!(told.unwrap_err().reason, ErrorReason::WrongState);
                    assert_eq!(there, 6);
                }
                (1, _) => {
                    assert_eq!(told.unwrap_err().kind, ErrorKind::Ambiguous);
                    assert_eq!(there, 0);
                }
                _ => {
                    assert!(!told.unwrap().write_token.is_empty());
                    assert_eq!(there, 0, "{step} {fault:?}");
                }
            }
        }
    }
}

#[test]
fn a_hundred_calls_with_ten_ids_make_ten_connections() {
    let site = Site::new();
    let told = site.settled(async |gateway: &Gateway| {
        let calls = (0..100).map(async |n| {
            let how = request(&format!("r{}", n % 10), "body");
            create(gateway, how).await.unwrap()
        });
        let mut told: Vec<(String, String)> = join_all(calls)
            .await
            .into_iter()
            .map(|it| (it.name.unwrap().to_string(), it.write_token))
            .collect();
        let other = create(gateway, request("r1", "other body"))
            .await
            .unwrap_err();
        assert_eq!(other.kind, ErrorKind::InvalidArgument);
        assert_eq!(other.reason, ErrorReason::RequestIdReused);
        told.sort();
        told.dedup();
        told
    });
    assert_eq!(told.len(), 10);
    let world = site.cloud.world();
    let made = world.there().into_iter().filter(|it| *it == "connections");
    assert_eq!(made.count(), 10);
    assert_eq!(world.there().len(), 60);
}

#[test]
fn nothing_is_sent_that_cannot_be_noted() {
    let site = Site::new();
    site.settled(async |gateway: &Gateway| {
        site.disk.is_full.store(true, Ordering::SeqCst);
        let error = create(gateway, How::default()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert_eq!(error.reason, ErrorReason::StoreUnavailable);
        assert!(error.context.retry_after.is_some());
        assert_eq!(site.cloud.world().requests, 0);
        site.disk.is_full.store(false, Ordering::SeqCst);
        let before = site.disk.writes.load(Ordering::SeqCst);
        settle().await;
        // Anything that the disk may have kept of the failed write is dropped.
        assert_eq!(site.disk.writes.load(Ordering::SeqCst), before + 1);
        create(gateway, How::default()).await.unwrap();
        // One disk write for each request, and one that ends the write.
        assert_eq!(site.disk.writes.load(Ordering::SeqCst), before + 1 + 6 + 1);
    });
}

#[test]
fn an_update_is_planned_anew_while_others_change_the_object() {
    let site = Site::new();
    site.settled(async |gateway: &Gateway| {
        let name = create(gateway, How::default()).await.unwrap().name.unwrap();
        site.cloud.world().fault = Some((2, Fault::Stale));
        let told = rename(gateway, &name, How::default()).await.unwrap();
        assert_eq!(told.connection.unwrap().display_name, "new");
        site.cloud.world().fault = Some((2, Fault::Stale));
        let change = ConnectionChange {
            fields: [Field::DisplayName].into(),
            values: ConnectionSpec::default(),
            etag: Some("new".to_owned()),
            ..ConnectionChange::default()
        };
        let told = gateway.update(&name, change, How::default(), soon()).await;
        assert_eq!(told.unwrap_err().kind, ErrorKind::Stale);
    });
    assert_eq!(site.cloud.world().there(), WHOLE);
}

#[test]
fn what_is_kept_holds_neither_a_body_nor_a_plain_hash_of_it() {
    let site = Site::new();
    site.settled(async |gateway: &Gateway| create(gateway, request("r", "canary")).await.unwrap());
    use sha2::{Digest, Sha256};
    let hash: String = Sha256::digest(b"canary")
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect();
    for value in site.disk.records.lock().unwrap().values() {
        let text = String::from_utf8_lossy(value);
        assert!(!text.contains("canary") && !text.contains(&hash), "{text}");
    }
    assert_eq!(site.disk.keys("requests/"), ["requests/b/r"]);
}
