//! Reading a token, and what a refused login means for a token that is still valid.

use super::*;
use crate::rest::{
    answer::Carried,
    budget::{Budget, Limits},
    client::Client,
    https::Https,
    transport::Options,
};
use http::{HeaderMap, HeaderName};

#[test]
fn an_account_sees_by_its_roles() {
    let token = |roles: &[&str]| {
        let roles: Vec<Value> = roles.iter().map(|name| json!({ "name": name })).collect();
        json!({ "roles": roles })
    };
    let seeing = ["member", "admin"];
    assert_eq!(sight(&token(&["reader", "member"]), &seeing), Sight::Sees);
    assert_eq!(sight(&token(&["Admin"]), &seeing), Sight::Sees);
    assert_eq!(sight(&token(&["reader"]), &seeing), Sight::Doubtful);
    assert_eq!(sight(&json!({}), &seeing), Sight::Doubtful);
    assert_eq!(sight(&token(&["te_admin"]), &[]), Sight::Unknown);
}

#[test]
fn a_token_is_renewed_before_it_ends_however_short_its_life() {
    let settings = Keystone {
        tokens: Url::parse("http://k/v3/auth/tokens").unwrap(),
        identity: Identity::ApplicationCredential {
            id: "id".to_owned(),
            secret: "secret".into(),
        },
        network: Some(Url::parse("http://n/v2.0").unwrap()),
        region: None,
    };
    let begun = Instant::now();
    let granted = |project: Value, ends: &str| {
        let issued = "2026-11-20T14:00:00.000000Z";
        let token = json!({
            "user": {}, "project": project, "issued_at": issued, "expires_at": ends,
        });
        let answer = Answer {
            status: 201,
            headers: HeaderMap::from_iter([(
                HeaderName::from_static("x-subject-token"),
                HeaderValue::from_static("canary"),
            )]),
            body: json!({ "token": token }).to_string().into(),
            carried: Carried::default(),
        };
        let secret = settings.identity.secret().now();
        read(&settings, &secret, &[], &answer, begun)
    };
    for (ends, renewed, ended) in [
        ("2026-11-20T14:00:20Z", 16, 20),
        ("2026-11-20T14:05:00Z", 240, 300),
        ("2026-11-20T15:00:00Z", 3540, 3600),
    ] {
        let ticket = granted(json!({ "id": "p" }), ends).unwrap_or_else(|error| panic!("{error}"));
        let after = |at: Option<Instant>| at.map(|at| at.duration_since(begun).as_secs());
        assert_eq!(
            (after(ticket.renew_at), after(ticket.ends_at)),
            (Some(renewed), Some(ended))
        );
        assert!(!format!("{:?}", ticket.token()).contains("canary"));
    }
    // A token without a project is shown only empty lists.
    let unscoped = granted(Value::Null, "2026-11-20T15:00:00Z").err();
    assert_eq!(
        unscoped.map(|error| error.kind),
        Some(ErrorKind::BackendAuth)
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_still_good_does_not_speak_for_a_login_that_was_refused() {
    let network = Url::parse("http://n/v2.0").unwrap();
    let limits = Limits {
        rate: 1.0,
        concurrency: 1,
    };
    let budget = Arc::new(Budget::new(limits));
    let http = Client::new(&Https, &Options::default(), budget).unwrap();
    let auth = Auth::new(Login::None(network.clone()), &[], http);
    let old = tokenless(&network);
    let refuse = || auth.refused(&tokenless(&network), Upstream::default());
    let sure = || match auth.logins.may_try() {
        Err(NoTicket::Refused(error)) => Some(error.message.contains("not tried again")),
        _ => None,
    };
    refuse();
    assert_eq!(sure(), Some(false));
    tokio::time::advance(Duration::from_secs(5)).await;
    auth.answered(&old);
    refuse();
    assert_eq!(
        sure(),
        Some(true),
        "else it would be asked every five seconds"
    );
    tokio::time::advance(Duration::from_secs(300)).await;
    auth.answered(&tokenless(&network));
    refuse();
    assert_eq!(sure(), Some(false));
}

#[test]
fn a_life_is_counted_by_keystones_clock() {
    let token = json!({
        "issued_at": "2026-11-20T14:13:22.000000Z", "expires_at": "2026-11-20T14:13:42.000000Z",
    });
    assert_eq!(life(&token), Some(Duration::from_secs(20)));
    assert_eq!(life(&json!({})), None);
    assert_eq!(life(&json!({ "expires_at": "soon" })), None);
    assert_eq!(
        life(&json!({ "expires_at": "2001-01-01T00:00:00Z" })),
        Some(Duration::ZERO)
    );
}
