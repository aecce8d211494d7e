use super::*;
use crate::{
    core::error::ErrorKind,
    dialects::login::lockout::REST,
    rest::{
        answer::{Carried, Sent},
        client::Client,
        https::Https,
        transport::Options,
    },
};
use std::time::Duration;

fn credentials() -> Credentials {
    Credentials {
        username: "a&b".to_owned(),
        password: "can ary=".into(),
    }
}

fn manager() -> Url {
    Url::parse("https://nsx.example").unwrap()
}

#[test]
fn a_login_is_a_form_outside_the_api() {
    let credentials = credentials();
    let password = credentials.password.now();
    let request = login_request(&credentials.username, &password, &manager());
    assert_eq!(request.url.path(), "/api/session/create");
    let body = request.body.clone().unwrap();
    assert_eq!(&body[..], b"j_username=a%26b&j_password=can+ary%3D");
    assert!(!format!("{request:?}").contains("ary"));
}

#[test]
fn a_ticket_is_a_cookie_with_its_token() {
    let answer = |cookie: &str, token: bool| {
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, "route=1; Path=/".parse().unwrap());
        headers.append(SET_COOKIE, cookie.parse().unwrap());
        if token {
            headers.insert("x-xsrf-token", "token".parse().unwrap());
        }
        Answer {
            status: 200,
            headers,
            body: Bytes::new(),
            carried: Carried::default(),
        }
    };
    let headers = ticket_headers(&answer("JSESSIONID=A1; Path=/; Secure; HttpOnly", true));
    assert_eq!(headers.unwrap()[COOKIE], "route=1; JSESSIONID=A1");
    assert!(ticket_headers(&answer("JSESSIONID=A1", false)).is_none());
    assert!(ticket_headers(&answer("OTHER=A1", true)).is_none());
}

/// The logins of one manager, which takes one request at a time.
fn with(login: Login) -> Auth {
    let budget = Budget::new(Limits {
        rate: 1.0,
        concurrency: 1,
    });
    let options = Options {
        timeout: Duration::from_secs(1),
        ..Options::default()
    };
    let http = Client::new(&Https, &options, Arc::new(budget)).unwrap();
    Auth::new(login, vec![manager()], http).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_login_refused_twice_rests_for_five_minutes() {
    let auth = with(Login::Basic(credentials()));
    let ticket = async || auth.ticket(0, &Call::poll(Duration::from_secs(1))).await;
    let tried = || Tried {
        sent: Instant::now(),
        secret: 0,
    };
    let (_, leave) = ticket().await.unwrap();
    assert!(
        leave._alone.is_some(),
        "credentials nobody tried go one at a time"
    );
    let waiting = ticket().await;
    assert!(matches!(waiting, Err(NoTicket::Unanswered(failure)) if failure.sent == Sent::No));
    auth.refused(tried(), Upstream::default());
    drop(leave);
    assert!(ticket().await.is_err());
    tokio::time::advance(AGAIN).await;
    let (_, leave) = ticket().await.unwrap();
    assert!(leave._alone.is_some(), "nor do those that were refused");
    auth.refused(tried(), Upstream::default());
    drop(leave);
    tokio::time::advance(REST - Duration::from_secs(1)).await;
    let Err(NoTicket::Refused(error)) = ticket().await else {
        panic!("tried again too early")
    };
    assert_eq!(error.kind, ErrorKind::BackendAuth);
    assert_eq!(error.context.retry_after, Some(Duration::from_secs(1)));
    tokio::time::advance(Duration::from_secs(1)).await;
    ticket().await.unwrap();
    auth.logins.accepted(tried(), true);
    let (_, leave) = ticket().await.unwrap();
    assert!(leave._alone.is_none());
}

/// A login with each request, whose secret comes from a file that changes.
fn in_file(username: &str) -> (Auth, Secret) {
    let read = || Ok("early".into());
    let password = Secret::in_file("file".into(), "old".into(), Arc::new(read));
    let login = Login::Basic(Credentials {
        username: username.to_owned(),
        password: password.clone(),
    });
    (with(login), password)
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_early_for_hours_does_not_stop_the_one_that_works() {
    let (auth, password) = in_file("early");
    let call = || Call::poll(Duration::from_secs(1));
    let (old, leave) = auth.ticket(0, &call()).await.unwrap();
    auth.accepted(&old, Instant::now());
    drop(leave);
    password.refresh().await;
    for _ in 0..6 {
        let (new, leave) = auth.ticket(0, &call()).await.unwrap();
        assert!(new.secret > old.secret, "it is tried now and then");
        let other = auth.renewed(&new, 0, &call()).await.unwrap().unwrap();
        assert_eq!(other.secret, old.secret);
        auth.accepted(&other, Instant::now());
        drop(leave);
        assert_eq!(auth.logins.rest(), Duration::ZERO);
        tokio::time::advance(LONGEST_REST).await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_secrets_that_are_refused_in_one_breath_are_left_alone_for_some_seconds() {
    let (auth, password) = in_file("both");
    let call = || Call::poll(Duration::from_secs(1));
    let (old, leave) = auth.ticket(0, &call()).await.unwrap();
    auth.accepted(&old, Instant::now());
    drop(leave);
    password.refresh().await;
    let (new, _leave) = auth.ticket(0, &call()).await.unwrap();
    let other = auth.renewed(&new, 0, &call()).await.unwrap().unwrap();
    let third = auth.renewed(&other, 0, &call()).await.unwrap();
    assert!(third.is_none(), "the new one was refused just now");
    auth.refused(other.tried(Instant::now()), Upstream::default());
    assert_eq!(auth.logins.rest(), AGAIN);
}
