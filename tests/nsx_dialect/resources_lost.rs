//! Answers about resources that are lost, or prove nothing.

use crate::{
    resources::{KINDS, full, renamed, said},
    setup::{nsx, page_of_html, refusal, start},
    support::writes::Writes,
};
use http::Method;
use isthmus::{
    core::{
        dialect::{Call, Mark},
        error::{ErrorKind, ErrorReason},
    },
    model::{ResourceKind, Settings},
    simulator::{
        faults::{Fault, Rule},
        nsx::{Levers, NsxOptions},
    },
};
use std::time::Duration;

#[tokio::test]
async fn a_lost_answer_to_a_post_is_found_by_its_mark_and_never_sent_again() {
    for (kind, of_cloud) in KINDS {
        let nsx = nsx();
        let before = nsx.cloud.state().count(of_cloud);
        let path = of_cloud.collection();
        nsx.once(Method::POST, &format!("/{path}$"), Fault::CutAfterHandling);
        let made = nsx.made_of(kind).await;
        assert!(made.managed);
        assert_eq!(nsx.asked(Method::POST, path), 1);
        assert_eq!(nsx.cloud.state().count(of_cloud), before + 1);

        // And if nothing can be found out, that is said.
        nsx.once(Method::POST, &format!("/{path}$"), Fault::CutAfterHandling);
        let rule = Rule::on(Method::GET, format!("/{path}$"), refusal(500, 99));
        nsx.cloud.faults().inject(rule);
        let mut twin = full(kind);
        if let Settings::VpnService(service) = &mut twin.settings {
            nsx.cloud.state().add_logical_router("another");
            service.router = "another".to_owned();
        }
        let hurried = Call::unary(Duration::from_secs(2));
        let mark = Mark::new();
        let lost = nsx.dialect.create_resource(&twin, &mark, &hurried);
        let error = lost.await.unwrap_err();
        let unknown = (ErrorKind::Ambiguous, ErrorReason::WriteAmbiguous);
        assert_eq!(said(&error), unknown, "{kind:?}: {error}");
        assert_eq!(error.context.metadata[0].0, "mark");
    }
}

#[tokio::test]
async fn a_lost_answer_to_a_put_is_found_by_its_nonce() {
    for (kind, of_cloud) in KINDS {
        let nsx = nsx();
        let made = nsx.made_of(kind).await;
        let path = format!("{}/{}", of_cloud.collection(), made.id);
        nsx.once(Method::PUT, &format!("/{path}$"), Fault::CutAfterHandling);
        let done = nsx.changed(&made.id, &renamed(kind, "lost")).await.unwrap();
        assert_eq!(done.resource.unwrap().spec.display_name, "lost");
        assert_eq!(done.request_ids, [""; 0]);
        assert_eq!(nsx.asked(Method::PUT, &path), 1);
        assert!(nsx.read(kind, &made.id).await.unwrap().managed);
    }
}

#[tokio::test]
async fn a_lost_answer_to_a_delete_is_found_by_absence() {
    for (kind, of_cloud) in KINDS {
        let nsx = nsx();
        let made = nsx.made_of(kind).await;
        let path = format!("{}/{}", of_cloud.collection(), made.id);
        nsx.once(
            Method::DELETE,
            &format!("/{path}$"),
            Fault::CutAfterHandling,
        );
        nsx.removed(kind, &made.id).await.unwrap();
        assert_eq!(nsx.asked(Method::DELETE, &path), 1);
    }
}

/// A change that somebody else made between our read and our PUT.
#[tokio::test]
async fn a_change_in_between_makes_it_stale() {
    let nsx = nsx();
    let made = nsx.made_of(ResourceKind::DpdPolicy).await;
    let path = format!("/dpd-profiles/{}$", made.id);
    nsx.once(Method::PUT, &path, refusal(412, 206));
    let renamed = renamed(ResourceKind::DpdPolicy, "late");
    let error = nsx.changed(&made.id, &renamed).await.unwrap_err();
    assert_eq!(said(&error), (ErrorKind::Stale, ErrorReason::StaleEtag));
    assert!(error.message.contains("DPD policy"), "{error}");
}

/// Where the collection does not answer, or not in NSX's own words, nothing is known to be gone.
#[tokio::test]
async fn a_404_proves_nothing_without_its_collection() {
    for (kind, of_cloud) in KINDS {
        let nsx = nsx();
        let made = nsx.made_of(kind).await;
        let path = of_cloud.collection();
        let rule = Rule::on(
            Method::GET,
            format!("/{path}/{}$", made.id),
            page_of_html(404),
        );
        nsx.cloud.faults().inject(rule);
        let error = nsx.read(kind, &made.id).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);

        let absent = start(
            NsxOptions {
                levers: Levers {
                    api_absent: true,
                    ..Levers::default()
                },
                ..NsxOptions::default()
            },
            "basic",
        );
        for error in [
            absent.read(kind, "x").await.unwrap_err(),
            absent.removed(kind, "x").await.unwrap_err(),
        ] {
            assert_ne!(error.kind, ErrorKind::NotFound, "{kind:?}");
        }
    }
}
