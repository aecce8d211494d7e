use super::*;
use std::sync::Arc;

const SECOND: Duration = Duration::from_secs(1);

fn budget(rate: f64, concurrency: u32) -> Arc<Budget> {
    Arc::new(Budget::new(Limits { rate, concurrency }))
}

/// Sends requests of this `latency` one after another for `time`. Returns how many were sent.
async fn sent(budget: &Budget, priority: Priority, latency: Duration, time: Duration) -> usize {
    let deadline = Instant::now() + time;
    let mut sent = 0;
    while let Ok(_leave) = budget.acquire(priority, deadline).await {
        sent += 1;
        sleep_until(Instant::now() + latency).await;
    }
    sent
}

/// Does the same with `count` concurrent senders.
async fn sent_by(
    count: usize,
    budget: &Arc<Budget>,
    priority: Priority,
    latency: Duration,
    time: Duration,
) -> usize {
    let all = (0..count).map(|_| sent(budget, priority, latency, time));
    futures_util::future::join_all(all).await.into_iter().sum()
}

async fn soon(budget: &Budget, priority: Priority) -> Result<Leave<'_>, Exhausted> {
    budget.acquire(priority, Instant::now() + SECOND).await
}

#[tokio::test(start_paused = true)]
async fn the_rate_holds_over_time() {
    let budget = budget(20.0, 4);
    let sent = sent(&budget, Priority::Outcome, Duration::ZERO, SECOND * 10).await;
    assert!(
        (200..=221).contains(&sent),
        "{sent} requests in 10 s at 20/s after a burst of 10"
    );
}

#[tokio::test(start_paused = true)]
async fn each_class_has_its_share_of_the_rate_whatever_the_others_want() {
    let budget = budget(50.0, 16);
    let latency = Duration::from_millis(10);
    let minute = SECOND * 60;
    let (outcome, callers, stable) = tokio::join!(
        sent_by(30, &budget, Priority::Outcome, latency, minute),
        sent_by(300, &budget, Priority::Caller(1), latency, minute),
        sent_by(3, &budget, Priority::Stable, latency, minute),
    );
    for (class, sent, expected) in [
        ("outcome", outcome, 1200),
        ("callers", callers, 1200),
        ("stable", stable, 600),
    ] {
        assert!(
            sent.abs_diff(expected) < 30,
            "{class}: {sent} in a minute, and not about {expected}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_wants_goes_to_those_who_do() {
    let budget = budget(50.0, 16);
    let alone = sent_by(8, &budget, Priority::Stable, Duration::ZERO, SECOND * 10).await;
    assert!(alone >= 500, "{alone}");
    // An idle time gives no credit: in the second after callers return, they get no more than their share.
    let (callers, stable) = tokio::join!(
        sent_by(8, &budget, Priority::Caller(1), Duration::ZERO, SECOND),
        sent_by(8, &budget, Priority::Stable, Duration::ZERO, SECOND),
    );
    assert!(stable >= 15, "{stable} beside {callers}");
}

#[tokio::test(start_paused = true)]
async fn clients_have_equal_shares_however_much_each_wants() {
    let budget = budget(50.0, 16);
    let latency = Duration::from_millis(10);
    let (greedy, modest) = tokio::join!(
        sent_by(500, &budget, Priority::Caller(1), latency, SECOND * 20),
        sent_by(1, &budget, Priority::Caller(2), latency, SECOND * 20),
    );
    assert!(
        modest >= 450,
        "{modest} of the 500 that were its share, beside {greedy}"
    );
}

/// Holds as many requests of the class as the budget admits.
async fn hang(budget: &Budget, priority: Priority) -> Vec<Leave<'_>> {
    let mut hanging = Vec::new();
    while let Ok(leave) = soon(budget, priority).await {
        hanging.push(leave);
    }
    hanging
}

#[tokio::test(start_paused = true)]
async fn what_hangs_in_two_classes_leaves_slots_to_the_third() {
    let classes = [Priority::Outcome, Priority::Caller(7), Priority::Stable];
    for slots in [3, 4, 8, 16, 40] {
        for spared in classes {
            let budget = budget(1000.0, slots);
            let mut hanging = Vec::new();
            for class in classes {
                if class != spared {
                    hanging.extend(hang(&budget, class).await);
                }
            }
            let used = budget.used();
            let kept = match spared {
                Priority::Outcome => used.outcome.slots,
                Priority::Caller(_) => used.callers.slots,
                _ => used.stable.slots,
            };
            assert!(kept > 0);
            let free = hang(&budget, spared).await.len() as u32;
            assert!(
                free >= 1 && used.in_flight <= slots - kept,
                "{spared:?} found {free} of {slots} free, and {kept} are kept for it"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_slots_one_is_kept_for_outcomes_and_a_single_one_goes_round() {
    let two = budget(1000.0, 2);
    let hanging = hang(&two, Priority::Stable).await;
    assert_eq!(hanging.len(), 1);
    assert!(soon(&two, Priority::Caller(1)).await.is_err());
    assert!(soon(&two, Priority::Outcome).await.is_ok());

    let one = budget(1000.0, 1);
    let latency = Duration::from_millis(100);
    let (outcome, callers, stable) = tokio::join!(
        sent_by(5, &one, Priority::Outcome, latency, SECOND * 10),
        sent_by(50, &one, Priority::Caller(1), latency, SECOND * 10),
        sent_by(5, &one, Priority::Stable, latency, SECOND * 10),
    );
    assert!(
        outcome >= 35 && callers >= 35 && stable >= 17,
        "{outcome} : {callers} : {stable}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_calls_hang_leaves_slots_to_the_next() {
    for slots in [4, 8, 16, 40] {
        let budget = budget(1000.0, slots);
        let _greedy = hang(&budget, Priority::Caller(1)).await;
        // Another class must not take the slots it leaves.
        let _polls = hang(&budget, Priority::Stable).await;
        let second = hang(&budget, Priority::Caller(2)).await;
        assert!(!second.is_empty(), "none of {slots}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_waits_for_nobody() {
    let budget = budget(1000.0, 3);
    let mut hanging = Vec::new();
    for class in [Priority::Outcome, Priority::Caller(1), Priority::Stable] {
        hanging.extend(hang(&budget, class).await);
    }
    assert_eq!(hanging.len(), 3);
    assert!(soon(&budget, Priority::Login).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_pauses_and_halves_and_answers_recover() {
    let budget = budget(20.0, 4);
    budget.throttled(SECOND * 7);
    let before = Instant::now();
    let leave = budget
        .acquire(Priority::Outcome, before + SECOND * 60)
        .await;
    leave.unwrap();
    assert!(before.elapsed() >= SECOND * 7);
    assert_eq!(budget.used().rate_limit, 10.0);
    for _ in 0..100 {
        budget.answered();
    }
    assert_eq!(budget.used().rate_limit, 20.0);
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_served_in_time_is_told_at_once_and_nobody_else_is() {
    let budget = budget(20.0, 4);
    let before = Instant::now();
    let waits = async |time: Duration| {
        let ended = budget.acquire(Priority::Stable, before + time).await;
        (ended.map(drop), before.elapsed().as_secs())
    };
    budget.throttled(SECOND);
    let (short, long, ()) = tokio::join!(waits(SECOND * 5), waits(SECOND * 60), async {
        budget.throttled(SECOND * 10);
    });
    let told = Exhausted {
        is_paused: true,
        wait: SECOND * 10,
    };
    assert_eq!(short, (Err(told), 0));
    assert_eq!(long, (Ok(()), 10));
    budget.throttled(SECOND * 10);
    assert_eq!(waits(SECOND * 12).await, (Err(told), 10));
}

#[tokio::test(start_paused = true)]
async fn slots_are_given_back() {
    let budget = budget(20.0, 1);
    let leave = soon(&budget, Priority::Outcome).await.unwrap();
    assert_eq!(budget.used().in_flight, 1);
    let refused = soon(&budget, Priority::Outcome).await.unwrap_err();
    assert!(!refused.is_paused);
    drop(leave);
    assert!(soon(&budget, Priority::Outcome).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_while_waiting_takes_nothing_along() {
    let budget = budget(1.0, 1);
    let hanging = soon(&budget, Priority::Stable).await.unwrap();
    let mut next = Box::pin(budget.acquire(Priority::Outcome, Instant::now() + SECOND * 60));
    assert!(futures_util::poll!(&mut next).is_pending());
    assert_eq!(budget.used().outcome.waiting, 1);
    let mut last = Box::pin(budget.acquire(Priority::Caller(1), Instant::now() + SECOND * 60));
    assert!(futures_util::poll!(&mut last).is_pending());
    tokio::time::advance(SECOND * 2).await;
    // The request is granted the slot and never sees it.
    drop(hanging);
    drop(next);
    let before = Instant::now();
    let leave = last.await.unwrap();
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert_eq!(budget.used().in_flight, 1);
    drop(leave);
    // A request that is still waiting.
    let waiting = Box::pin(budget.acquire(Priority::Caller(1), Instant::now() + SECOND * 60));
    drop(waiting);
    let used = budget.used();
    assert_eq!((used.in_flight, used.callers.waiting), (0, 0));
    assert_eq!(budget.queue().clients(), 0);
}

#[tokio::test(start_paused = true)]
async fn clients_that_are_gone_are_forgotten_while_others_stay() {
    let budget = budget(1000.0, 8);
    let _hanging = soon(&budget, Priority::Caller(0)).await.unwrap();
    for client in 1..500 {
        drop(soon(&budget, Priority::Caller(client)).await.unwrap());
        drop(soon(&budget, Priority::Caller(1000)).await.unwrap());
    }
    let known = budget.queue().clients();
    assert!(known < 10, "{known} clients are remembered");
}
