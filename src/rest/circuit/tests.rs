use super::*;
use crate::rest::answer::Carried;
use bytes::Bytes;
use http::HeaderMap;
use tokio::time::advance;

const SECOND: Duration = Duration::from_secs(1);
const CALL: Asker = Asker {
    kind: Kind::Call,
    is_whole: true,
};
const BRIEF: Asker = Asker {
    is_whole: false,
    ..CALL
};
const POLL: Asker = Asker {
    kind: Kind::Poll,
    is_whole: true,
};

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

fn cloud() -> Url {
    url("https://cloud.example:9696/v2.0/vpn?limit=1")
}

/// Returns circuits without jitter.
fn circuits() -> Circuits {
    Circuits::new(|| 0.5)
}

fn answer(status: u16) -> Result<Answer, Failure> {
    Ok(Answer {
        status,
        headers: HeaderMap::new(),
        body: Bytes::new(),
        carried: Carried::default(),
    })
}

fn failure(kind: FailureKind) -> Result<Answer, Failure> {
    Err(Failure {
        kind,
        sent: Sent::Maybe,
        message: "nobody is there".to_owned(),
    })
}

/// Sends requests one after another, a second each, which all end with `result`.
async fn go(circuits: &Circuits, result: Result<Answer, Failure>, times: usize) {
    for _ in 0..times {
        let url = cloud();
        let pass = circuits.enter(&url, CALL).unwrap();
        advance(SECOND).await;
        pass.ended(&result);
    }
}

/// Returns how long requests are refused, or `None` if they pass.
fn refused(circuits: &Circuits) -> Option<Duration> {
    let failure = circuits.check(&cloud(), CALL).err()?;
    assert_eq!(failure.sent, Sent::No);
    match failure.kind {
        FailureKind::CircuitOpen(wait) => Some(wait),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn five_failures_in_a_row_open_it() {
    for broken in [
        failure(FailureKind::Connect),
        failure(FailureKind::Broken),
        failure(FailureKind::Deadline),
        answer(502),
        answer(504),
    ] {
        let circuits = circuits();
        go(&circuits, broken.clone(), 4).await;
        assert_eq!(refused(&circuits), None);
        go(&circuits, answer(200), 1).await;
        go(&circuits, broken.clone(), 4).await;
        assert_eq!(refused(&circuits), None, "an answer came in between");
        go(&circuits, broken.clone(), 1).await;
        assert_eq!(refused(&circuits), Some(FIRST), "{broken:?}");
        assert_eq!(circuits.of(&cloud()), Circuit::Open);
        let told = circuits.check(&cloud(), CALL).unwrap_err().message;
        let why = match &broken {
            Ok(answer) => format!("the answer was {}", answer.status),
            Err(failure) => failure.message.clone(),
        };
        let expected = format!(
            "the cloud has not answered for 5 s and is not asked until it is tried again in 1 s; the last of 5 \
             requests: {why}"
        );
        assert_eq!(told, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_an_answer_opens_nothing() {
    for answered in [
        answer(200),
        answer(404),
        answer(401),
        answer(429),
        answer(500),
        answer(503),
        failure(FailureKind::TooLarge),
    ] {
        let circuits = circuits();
        go(&circuits, answered, 20).await;
        assert_eq!(refused(&circuits), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_its_caller_chose_says_nothing() {
    let (circuits, url) = (circuits(), cloud());
    for _ in 0..20 {
        let pass = circuits.enter(&url, BRIEF).unwrap();
        advance(SECOND).await;
        pass.ended(&failure(FailureKind::Deadline));
        drop(circuits.enter(&url, CALL).unwrap());
    }
    assert_eq!(refused(&circuits), None);
}

#[tokio::test(start_paused = true)]
async fn connections_that_are_reset_all_at_once_are_no_outage() {
    let (circuits, url) = (circuits(), cloud());
    let all: Vec<_> = (0..40)
        .map(|_| circuits.enter(&url, CALL).unwrap())
        .collect();
    advance(LASTING / 2).await;
    for pass in all {
        pass.ended(&failure(FailureKind::Broken));
    }
    assert_eq!(refused(&circuits), None);
    // Requests that hang are an outage: they have lasted long enough.
    let all: Vec<_> = (0..40)
        .map(|_| circuits.enter(&url, CALL).unwrap())
        .collect();
    advance(SECOND * 30).await;
    for pass in all {
        pass.ended(&failure(FailureKind::Deadline));
    }
    assert_eq!(refused(&circuits), Some(FIRST));
}

#[tokio::test(start_paused = true)]
async fn half_open_it_lets_one_through_and_closes_with_its_answer() {
    let (circuits, url) = (circuits(), cloud());
    go(&circuits, failure(FailureKind::Connect), 5).await;
    assert!(circuits.enter(&url, CALL).is_err());
    advance(FIRST).await;
    assert_eq!(circuits.of(&url), Circuit::HalfOpen);
    let trial = circuits.enter(&url, CALL).unwrap();
    assert_eq!(refused(&circuits), Some(FIRST), "it is tried already");
    assert!(circuits.enter(&url, CALL).is_err());
    trial.ended(&answer(404));
    assert_eq!(circuits.of(&url), Circuit::Closed);
    let _all: Vec<_> = (0..9)
        .map(|_| circuits.enter(&url, CALL).unwrap())
        .collect();
}

#[tokio::test(start_paused = true)]
async fn the_pause_grows_up_to_five_seconds_and_has_jitter() {
    for (random, pauses) in [
        (0.5, [1_000, 2_000, 4_000, 5_000, 5_000]),
        (0.0, [800, 1_600, 3_200, 4_000, 4_000]),
        (1.0, [1_200, 2_400, 4_800, 6_000, 6_000]),
    ] {
        let random: fn() -> f64 = match random {
            0.0 => || 0.0,
            1.0 => || 1.0,
            _ => || 0.5,
        };
        let circuits = Circuits::new(random);
        go(&circuits, failure(FailureKind::Connect), 5).await;
        for pause in pauses {
            let pause = Duration::from_millis(pause);
            let off = refused(&circuits).unwrap().abs_diff(pause);
            assert!(off < Duration::from_millis(1), "{pause:?}");
            advance(pause + Duration::from_millis(1)).await;
            let url = cloud();
            let trial = circuits.enter(&url, CALL).unwrap();
            trial.ended(&failure(FailureKind::Connect));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_is_given_up_makes_room_for_the_next_and_none_keeps_a_longer_one_out() {
    let (circuits, url) = (circuits(), cloud());
    go(&circuits, failure(FailureKind::Connect), 5).await;
    advance(FIRST).await;
    let brief = circuits.enter(&url, BRIEF).unwrap();
    assert!(circuits.enter(&url, BRIEF).is_err());
    let whole = circuits.enter(&url, CALL).unwrap();
    brief.ended(&failure(FailureKind::Deadline));
    drop(circuits.enter(&url, BRIEF).unwrap());
    assert!(circuits.enter(&url, CALL).is_err());
    drop(whole);
    circuits.enter(&url, CALL).unwrap().ended(&answer(200));
    assert_eq!(circuits.of(&url), Circuit::Closed);
}

#[tokio::test(start_paused = true)]
async fn what_began_before_the_last_answer_opens_nothing() {
    let (circuits, url) = (circuits(), cloud());
    let hanging: Vec<_> = (0..40)
        .map(|_| circuits.enter(&url, CALL).unwrap())
        .collect();
    go(&circuits, failure(FailureKind::Connect), 5).await;
    advance(FIRST).await;
    go(&circuits, answer(200), 1).await;
    for pass in hanging {
        pass.ended(&failure(FailureKind::Deadline));
    }
    assert_eq!(refused(&circuits), None);
}

#[tokio::test(start_paused = true)]
async fn each_server_has_its_own() {
    let circuits = circuits();
    go(&circuits, failure(FailureKind::Connect), 5).await;
    let same = url("https://cloud.example:9696/other");
    assert!(circuits.check(&same, CALL).is_err());
    for other in [
        "https://cloud.example/v2.0",
        "https://other.example:9696/v2.0",
        "http://cloud.example:9696/v2.0",
    ] {
        assert!(circuits.check(&url(other), CALL).is_ok(), "{other}");
    }
    assert_eq!(circuits.worst(), Circuit::Open);
    advance(FIRST).await;
    assert_eq!(circuits.worst(), Circuit::HalfOpen);
    advance(UNUSED).await;
    assert_eq!(circuits.worst(), Circuit::Closed, "nobody uses it any more");
}

#[tokio::test(start_paused = true)]
async fn servers_without_number_are_forgotten() {
    let circuits = circuits();
    for number in 0..1000 {
        let url = url(&format!("https://{number}.example/"));
        circuits.enter(&url, CALL).unwrap().ended(&answer(200));
        circuits
            .enter(&url, CALL)
            .unwrap()
            .ended(&failure(FailureKind::Connect));
    }
    assert!(circuits.servers().len() <= SERVERS);
}

/// Has concurrent requests to this server fail within a second.
async fn fail(circuits: &Circuits, server: &str, count: u32) {
    let url = url(server);
    let passes: Vec<_> = (0..count)
        .map(|_| circuits.enter(&url, CALL).unwrap())
        .collect();
    advance(SECOND).await;
    for pass in passes {
        pass.ended(&failure(FailureKind::Connect));
    }
}

#[tokio::test(start_paused = true)]
async fn the_circuit_tried_longest_ago_is_forgotten() {
    let circuits = circuits();
    // The names do not follow the order in which they open.
    let servers: Vec<_> = (0..SERVERS)
        .rev()
        .map(|number| format!("https://{number}.example"))
        .collect();
    for server in &servers {
        fail(&circuits, server, FAILURES).await;
    }
    advance(LONGEST).await;
    fail(&circuits, &servers[0], 1).await;
    fail(&circuits, "https://another.example", FAILURES).await;
    for (at, server) in servers.iter().enumerate() {
        let is_closed = circuits.of(&url(server)) == Circuit::Closed;
        assert_eq!(is_closed, at == 1, "{server}: the first was tried again");
    }
    let another = url("https://another.example");
    assert_eq!(circuits.of(&another), Circuit::Open);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answered_longest_ago_is_forgotten_before_one_that_fails() {
    let circuits = circuits();
    for number in 1..SERVERS {
        let url = url(&format!("https://{number}.example"));
        circuits.enter(&url, CALL).unwrap().ended(&answer(200));
    }
    advance(SECOND).await;
    let failing = "https://0.example";
    fail(&circuits, failing, FAILURES - 1).await;
    fail(&circuits, "https://another.example", 1).await;
    fail(&circuits, failing, 1).await;
    assert_eq!(circuits.of(&url(failing)), Circuit::Open);
}

/// Lets `count` concurrent requests hang for the backend's whole timeout.
async fn hang(circuits: &Circuits, asker: Asker, count: usize) {
    let url = cloud();
    let all: Vec<_> = (0..count)
        .map(|_| circuits.enter(&url, asker).unwrap())
        .collect();
    advance(SECOND * 30).await;
    for pass in all {
        pass.ended(&failure(FailureKind::Deadline));
    }
}

#[tokio::test(start_paused = true)]
async fn who_hangs_has_nobody_of_the_other_kind_refused() {
    for (hanging, other) in [(POLL, CALL), (CALL, POLL)] {
        let (circuits, url) = (circuits(), cloud());
        hang(&circuits, hanging, 9).await;
        assert!(circuits.check(&url, hanging).is_err());
        let many: Vec<_> = (0..9)
            .map(|_| circuits.enter(&url, other).unwrap())
            .collect();
        advance(FIRST).await;
        // A trial of one kind keeps out no request of the other kind either.
        let trial = circuits.enter(&url, hanging).unwrap();
        assert!(circuits.check(&url, other).is_ok());
        for pass in many {
            pass.ended(&answer(200));
        }
        assert!(
            circuits.check(&url, hanging).is_ok(),
            "an answer is for all"
        );
        trial.ended(&failure(FailureKind::Deadline));
        assert_eq!(circuits.of(&url), Circuit::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_for_all_is_asked_by_nobody() {
    let brief_poll = Asker {
        is_whole: false,
        ..POLL
    };
    for (hanging, other, after) in [
        (POLL, CALL, SECOND * 30),
        (POLL, BRIEF, TELLING),
        (CALL, POLL, SECOND * 30),
        (CALL, brief_poll, TELLING),
    ] {
        let (circuits, url) = (circuits(), cloud());
        hang(&circuits, hanging, 9).await;
        let too_soon = circuits
            .enter(
                &url,
                Asker {
                    is_whole: false,
                    ..other
                },
            )
            .unwrap();
        advance(TELLING / 2).await;
        too_soon.ended(&failure(FailureKind::Deadline));
        assert!(circuits.check(&url, other).is_ok(), "that tells nothing");
        let first = circuits.enter(&url, other).unwrap();
        advance(after).await;
        first.ended(&failure(FailureKind::Deadline));
        // The pause is over: one trial of each deadline class passes.
        let _trial = circuits.enter(&url, other).unwrap();
        assert!(circuits.enter(&url, other).is_err(), "{hanging:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_cannot_be_reached_is_asked_by_nobody() {
    for broken in [failure(FailureKind::Connect), answer(504)] {
        let circuits = circuits();
        go(&circuits, broken, 5).await;
        assert!(circuits.check(&cloud(), POLL).is_err());
        assert!(circuits.check(&cloud(), CALL).is_err());
    }
}
