//! Wakes the followers of a subject or of a window of the log.
//!
//! A follower registers its waker once and stays registered, so a notification costs one wake-up for each follower and
//! nothing else. `tokio::sync::watch` has every receiver register again after each notification, under a lock, which
//! costs more than the rest of a delivery that 10,000 streams share.

use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

/// Wakes its followers. It carries no value; followers read what they follow.
#[derive(Debug, Default)]
pub struct Notifier {
    /// Counts notifications.
    version: AtomicU64,
    waiting: Mutex<Waiting>,
}

/// Wakers by place, and the places that are free.
#[derive(Debug, Default)]
struct Waiting {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

/// Follows a [`Notifier`] until it is dropped.
#[derive(Debug)]
pub struct Follower {
    notifier: Arc<Notifier>,
    /// The version that was seen last.
    seen: u64,
    /// Where its waker is registered, and a copy of it to tell whether the task is still the same.
    registered: Option<(usize, Waker)>,
}

impl Notifier {
    /// Wakes all followers.
    pub fn notify(&self) {
        // Before the lock is taken: a follower registers under the lock and looks at the version after that, so it is
        // either woken here or sees the new version.
        self.version.fetch_add(1, Ordering::Release);
        for waker in self.waiting().wakers.iter().flatten() {
            waker.wake_by_ref();
        }
    }

    /// Follows from here on: what was notified before does not count as a change.
    pub fn follow(self: &Arc<Self>) -> Follower {
        Follower {
            notifier: Arc::clone(self),
            seen: self.version(),
            registered: None,
        }
    }

    fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn add(&mut self, waker: Waker) -> usize {
        if let Some(place) = self.free.pop() {
            self.wakers[place] = Some(waker);
            return place;
        }
        self.wakers.push(Some(waker));
        self.wakers.len() - 1
    }

    /// Returns the waker, so that it is dropped outside the lock: it may be the last to hold its task, and with it
    /// other followers.
    fn remove(&mut self, place: usize) -> Option<Waker> {
        let waker = self.wakers[place].take();
        self.free.push(place);
        if self.free.len() == self.wakers.len() {
            *self = Waiting::default();
        }
        waker
    }
}

impl Follower {
    /// Reports whether there was a notification since the last one that was seen. Does not mark it as seen.
    pub fn has_changed(&self) -> bool {
        self.seen != self.notifier.version()
    }

    /// Marks all notifications so far as seen, and reports whether there were any.
    pub fn take_change(&mut self) -> bool {
        let version = self.notifier.version();
        std::mem::replace(&mut self.seen, version) != version
    }

    /// Has the next poll be ready, as if there had been a notification.
    pub fn mark_changed(&mut self) {
        self.seen = self.seen.wrapping_sub(1);
    }

    /// Ready, and marked as seen, if there was a notification since the last one that was seen.
    pub fn poll_changed(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.take_change() {
            return Poll::Ready(());
        }
        match &self.registered {
            Some((_, waker)) if waker.will_wake(cx.waker()) => return Poll::Pending,
            _ => self.register(cx.waker()),
        }
        match self.take_change() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// Waits for a notification.
    pub async fn changed(&mut self) {
        poll_fn(|cx| self.poll_changed(cx)).await;
    }

    fn register(&mut self, waker: &Waker) {
        self.deregister();
        let place = self.notifier.waiting().add(waker.clone());
        self.registered = Some((place, waker.clone()));
    }

    /// Is not woken any more until it is polled again.
    pub fn deregister(&mut self) {
        if let Some((place, _)) = self.registered.take() {
            let waker = self.notifier.waiting().remove(place);
            drop(waker);
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.deregister();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::atomic::AtomicUsize, task::Wake, time::Duration};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn poll(follower: &mut Follower, count: &Arc<Count>) -> bool {
        let waker = Waker::from(Arc::clone(count));
        follower
            .poll_changed(&Context::from_waker(&waker))
            .is_ready()
    }

    #[test]
    fn a_follower_registers_once_and_is_woken_each_time() {
        let notifier = Arc::new(Notifier::default());
        notifier.notify();
        let (mut follower, count) = (notifier.follow(), Arc::new(Count::default()));
        for round in 1..4 {
            assert!(!poll(&mut follower, &count) && !follower.has_changed());
            notifier.notify();
            assert_eq!(count.0.load(Ordering::Relaxed), round);
            assert_eq!(notifier.waiting().wakers.len(), 1);
            assert!(follower.has_changed() && poll(&mut follower, &count));
        }
    }

    #[test]
    fn who_has_deregistered_is_not_woken_and_still_sees_the_change() {
        let notifier = Arc::new(Notifier::default());
        let (mut follower, count) = (notifier.follow(), Arc::new(Count::default()));
        assert!(!poll(&mut follower, &count));
        follower.deregister();
        follower.mark_changed();
        assert!(poll(&mut follower, &count));
        assert!(!poll(&mut follower, &count));
        follower.deregister();
        notifier.notify();
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        assert!(poll(&mut follower, &count));
    }

    #[test]
    fn the_task_that_polled_last_is_woken() {
        let notifier = Arc::new(Notifier::default());
        let (mut follower, [one, other]) = (notifier.follow(), [(); 2].map(|()| Arc::default()));
        assert!(!poll(&mut follower, &one) && !poll(&mut follower, &other));
        notifier.notify();
        let woken = [one, other].map(|count| count.0.load(Ordering::Relaxed));
        assert_eq!(woken, [0, 1]);
    }

    #[test]
    fn places_are_used_again_and_given_back_with_the_last() {
        let notifier = Arc::new(Notifier::default());
        let count = Arc::new(Count::default());
        let mut followers: Vec<_> = (0..3).map(|_| notifier.follow()).collect();
        for follower in &mut followers {
            assert!(!poll(follower, &count));
        }
        followers.remove(1);
        let mut late = notifier.follow();
        assert!(!poll(&mut late, &count));
        assert_eq!(notifier.waiting().wakers.len(), 3);
        notifier.notify();
        assert_eq!(count.0.load(Ordering::Relaxed), 3);
        drop((followers, late));
        assert_eq!(notifier.waiting().wakers.capacity(), 0);
    }

    /// A waker may hold the last reference to a task that holds a follower of the same notifier.
    #[test]
    fn a_task_may_end_with_its_waker() {
        struct Task(#[allow(dead_code, reason = "held, to be dropped")] Mutex<Follower>);
        impl Wake for Task {
            fn wake(self: Arc<Self>) {}
        }
        let notifier = Arc::new(Notifier::default());
        let mut follower = notifier.follow();
        let waker = Waker::from(Arc::new(Task(Mutex::new(notifier.follow()))));
        assert!(
            follower
                .poll_changed(&Context::from_waker(&waker))
                .is_pending()
        );
        drop(waker);
        drop(follower);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_notification_is_lost() {
        let notifier = Arc::new(Notifier::default());
        let told = Arc::new(AtomicU64::new(0));
        const LAST: u64 = 20_000;
        let followers: Vec<_> = (0..4)
            .map(|_| {
                let (mut follower, told) = (notifier.follow(), Arc::clone(&told));
                tokio::spawn(async move {
                    while told.load(Ordering::Acquire) < LAST {
                        follower.changed().await;
                    }
                })
            })
            .collect();
        for round in 1..=LAST {
            told.store(round, Ordering::Release);
            notifier.notify();
            if round % 64 == 0 {
                tokio::task::yield_now().await;
            }
        }
        for follower in followers {
            let ended = tokio::time::timeout(Duration::from_secs(10), follower).await;
            ended.expect("the last notification arrives").unwrap();
        }
    }
}
