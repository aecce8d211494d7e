use super::*;
use crate::core::{
    settings::BackendSettings,
    store::{Recovered, Volatile},
    watch::log::{Log, writer::Writer},
};
use tokio_util::sync::CancellationToken;

fn subject() -> Arc<Subject> {
    let log = Arc::new(Log::recovered(&Recovered::default()));
    let writer = Writer::new(Arc::clone(&log), Arc::new(Volatile));
    tokio::spawn(writer.run(CancellationToken::new()));
    let log = BackendLog::recovered("a".parse().unwrap(), log, Vec::new(), 0);
    let log = Arc::new(log);
    let name = ConnectionName::connection(&"a".parse().unwrap(), "1").unwrap();
    let settings = BackendSettings::new(name.backend.clone());
    Arc::new(Subject::new(name, log, Arc::new(Configured::new(settings))))
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_poll_does_not_go_back_with_the_clock() {
    let subject = subject();
    let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(43_200);
    let mut told = Vec::new();
    for (native_state, began_at) in [
        ("one", noon),
        ("two", noon - Duration::from_secs(3600)),
        ("three", noon + Duration::from_secs(1)),
    ] {
        let (_, after_writes) = subject.start_poll().unwrap();
        let sighting = crate::model::Sighting {
            native_state: native_state.to_owned(),
            ..crate::model::Sighting::default()
        };
        let poll = PollResult {
            begun: Instant::now(),
            ended: Instant::now(),
            after_writes,
            result: Ok(sighting),
        };
        subject.apply_poll(&poll, began_at, 1.0);
        subject.wait_committed().await;
        told.push(subject.latest().observe_time);
    }
    let later = noon + Duration::from_secs(1);
    assert_eq!(told, [Some(noon), Some(noon), Some(later)]);
}

#[tokio::test(start_paused = true)]
async fn whether_it_is_on_is_asked_with_every_sixth_poll_however_late_they_are() {
    for late in [60, 30 * 60] {
        let mut first = std::collections::BTreeSet::new();
        for _ in 0..100 {
            let subject = subject();
            subject.hold(Interest::default());
            let mut asked = Vec::new();
            for number in 0..19 {
                let (target, after_writes) = subject.start_poll().unwrap();
                let asks = target.admin_enabled.is_none();
                asked.extend(asks.then_some(number));
                let poll = PollResult {
                    begun: Instant::now(),
                    ended: Instant::now(),
                    after_writes,
                    result: Ok(crate::model::Sighting {
                        admin_enabled: asks.then_some(true),
                        ..crate::model::Sighting::default()
                    }),
                };
                subject.apply_poll(&poll, SystemTime::now(), 1.0);
                tokio::time::advance(Duration::from_secs(late)).await;
            }
            let between: Vec<i32> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
            assert!(between[1..].iter().all(|polls| *polls == 6), "{asked:?}");
            first.insert(between[0]);
        }
        // Spread over the polls: if all asked in the same one, it would take twice as long.
        assert_eq!(first, (1..=6).collect(), "{late} s between looks");
    }
}

#[tokio::test(start_paused = true)]
async fn a_delete_whose_parts_remain_is_told_to_be_over_by_whoever_removes_them() {
    let subject = subject();
    subject.wrote(&Write {
        kind: crate::core::watch::knowledge::WriteKind::Delete,
        proof: crate::core::dialect::Proof::AnyStatus,
        intent: Intent::Deleted,
        done: Instant::now(),
        parts_remain: true,
    });
    let (_, after_writes) = subject.start_poll().unwrap();
    let poll = PollResult {
        begun: Instant::now(),
        ended: Instant::now(),
        after_writes,
        result: Ok(crate::model::Sighting {
            state: RealizationState::Deleted,
            ..crate::model::Sighting::default()
        }),
    };
    assert!(!subject.apply_poll(&poll, SystemTime::now(), 1.0).gone);
    subject.wait_committed().await;
    let said = subject.latest();
    let reason = said.status.reason.as_ref().map(|it| it.code.as_str());
    assert_eq!(said.status.state, RealizationState::Deleting);
    assert_eq!(reason, Some(crate::model::codes::PARTS_REMAIN));
    assert!(subject.parts_remain() && subject.idle_since().is_none());

    let told = subject.follow();
    subject.parts_settled(&[]);
    subject.wait_committed().await;
    assert!(told.has_changed(), "whoever watches is woken");
    let said = subject.latest();
    assert_eq!(said.status.state, RealizationState::Deleted);
    assert!(subject.is_gone() && subject.idle_since().is_some());
}
