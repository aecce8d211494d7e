//! The table of `status` and `admin_state_up`, row by row.

use super::*;
use crate::{
    dialects::openstack::wire::{Body, ListPage, kind::CONNECTIONS},
    model::RealizationState as State,
    rest::json,
};

#[track_caller]
fn check(status: &str, state: State, assurance: Assurance, code: Option<&str>) {
    for admin_enabled in [Some(true), None] {
        let seen = sighting(Some(status), admin_enabled);
        let reason = seen.reason.as_ref().map(|reason| reason.code.as_str());
        assert_eq!(
            (seen.state, seen.assurance, reason),
            (state, assurance, code),
            "{status}"
        );
        assert_eq!(seen.native_state, status);
        assert_eq!(seen.admin_enabled, admin_enabled);
        assert_eq!(seen.tunnel, None);
    }
}

#[test]
fn every_word_has_its_meaning() {
    let (stored, control) = (Assurance::IntentStored, Assurance::ControlPlane);
    check("ACTIVE", State::Active, Assurance::TunnelUp, None);
    check("DOWN", State::Down, control, Some("TUNNEL_DOWN"));
    check("BUILD", State::Pending, stored, None);
    check("PENDING_CREATE", State::Pending, stored, None);
    check("PENDING_UPDATE", State::InProgress, stored, None);
    check("PENDING_DELETE", State::Deleting, stored, None);
    check("ERROR", State::Failed, stored, Some("UPSTREAM_ERROR"));
    check("FROZEN", State::Disabled, stored, Some("FROZEN"));
}

#[test]
fn spelling_does_not_matter() {
    let stored = Assurance::IntentStored;
    for word in [
        "PENDING CREATE",
        "pending-create",
        "Pending_Create",
        " PENDING_CREATE ",
    ] {
        check(word, State::Pending, stored, None);
    }
    check("Pending Update", State::InProgress, stored, None);
    check("pending-delete", State::Deleting, stored, None);
    check("active", State::Active, Assurance::TunnelUp, None);
    let code = Some("TUNNEL_DOWN");
    check("Down", State::Down, Assurance::ControlPlane, code);
    check("error", State::Failed, stored, Some("UPSTREAM_ERROR"));
    check("frozen", State::Disabled, stored, Some("FROZEN"));
}

#[test]
fn what_nobody_documented_is_kept_and_never_guessed() {
    let stored = Assurance::IntentStored;
    for word in ["REHEARSING", "", "ACTIVE?", "PENDING", "DOWN_UP"] {
        check(word, State::Unknown, stored, Some("UNRECOGNIZED_VALUE"));
    }
    let absent = sighting(None, Some(true));
    assert_eq!(absent.state, State::Unknown);
    assert_eq!(absent.unrecognized, ["status"]);
    let known = sighting(Some("DOWN"), Some(true));
    assert!(known.unrecognized.is_empty());
    assert_eq!(absent.reason.unwrap().code, "UNRECOGNIZED_VALUE");
    assert_eq!(absent.native_state, "");
}

#[test]
fn made_disabled_is_disabled_and_other_words_speak_for_themselves() {
    let made = sighting(Some("PENDING CREATE"), Some(false));
    assert_eq!(
        (made.state, made.assurance),
        (State::Disabled, Assurance::IntentStored)
    );
    assert_eq!(made.reason.unwrap().code, "ADMIN_DISABLED");
    assert_eq!(made.native_state, "PENDING CREATE");
    // The core judges this against the intent.
    assert_eq!(sighting(Some("DOWN"), Some(false)).state, State::Down);
    assert_eq!(sighting(Some("ACTIVE"), Some(false)).state, State::Active);
    assert_eq!(sighting(Some("ERROR"), Some(false)).state, State::Failed);
}

#[test]
fn gone_is_gone_from_the_api_and_no_more() {
    let gone = gone("IPsecSiteConnectionNotFound");
    assert_eq!(
        (gone.state, gone.assurance),
        (State::Deleted, Assurance::IntentStored)
    );
}

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../../tests/fixtures/openstack/", $name))
    };
}

/// The first connection of a GET or a LIST.
fn first(body: &[u8]) -> Body {
    let answer = json::parse(body).unwrap();
    Body::under(CONNECTIONS.one, answer.clone()).unwrap_or_else(|| {
        ListPage::of(CONNECTIONS.many, answer)
            .unwrap()
            .rows
            .remove(0)
    })
}

/// The sighting of each vendor's example and each odd body. No cloud of this kind reports nodes.
#[test]
fn the_examples_read_as_the_table_says() {
    let (stored, control) = (Assurance::IntentStored, Assurance::ControlPlane);
    let pending = |native| (State::Pending, stored, "", native, Some(true));
    let unknown = |native| {
        (
            State::Unknown,
            stored,
            "UNRECOGNIZED_VALUE",
            native,
            Some(true),
        )
    };
    let down = (State::Down, control, "TUNNEL_DOWN", "DOWN", Some(true));
    let active = (State::Active, Assurance::TunnelUp, "", "ACTIVE", Some(true));
    let frozen = (State::Disabled, stored, "FROZEN", "FROZEN", Some(false));
    for (body, expected) in [
        (&fixture!("otc_show_down.json")[..], down),
        (
            fixture!("otc_list_pending_create_with_blank.json"),
            pending("PENDING CREATE"),
        ),
        (
            fixture!("k5_show_pending_create.json"),
            pending("PENDING_CREATE"),
        ),
        (fixture!("made_otc_show_frozen.json"), frozen),
        (
            fixture!("made_show_status_pending_lower_hyphen.json"),
            pending("pending-create"),
        ),
        (
            fixture!("made_show_status_undocumented.json"),
            unknown("REHEARSING"),
        ),
        (fixture!("made_show_status_null.json"), unknown("")),
        (fixture!("made_show_status_absent.json"), unknown("")),
        (fixture!("made_show_repeated_keys.json"), active),
        (fixture!("made_show_numbers_as_strings.json"), down),
        (fixture!("made_show_created_at_with_zone.json"), down),
        (fixture!("made_show_unknown_keys.json"), down),
    ] {
        let row = first(body);
        let seen = sighting(row.status().as_deref(), row.admin_enabled());
        let reason = seen.reason.as_ref().map_or("", |reason| &reason.code);
        let text = String::from_utf8_lossy(body);
        assert_eq!(
            (
                seen.state,
                seen.assurance,
                reason,
                seen.native_state.as_str(),
                seen.admin_enabled
            ),
            expected,
            "{text}"
        );
        assert!(seen.nodes.is_empty() && seen.tunnel.is_none());
    }
}
