//! A resource shared by all connections, and how much of it one may take.
//!
//! A holder may not take so much that it has more than it leaves free. A holder that takes as much as it can leaves
//! half of the pool, and the next one leaves half of the rest, so nothing needs to be set aside for absent holders. In
//! addition, each holder always gets a small amount, whatever the others hold.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// A shared number of units, such as places or bytes.
#[derive(Debug)]
pub struct Pool {
    most: usize,
    most_each: usize,
    always: usize,
    used: AtomicUsize,
}

impl Pool {
    /// Creates a pool of `most` units, of which one share holds at most `most_each`. A share may have up to `always`
    /// units even if the pool is exhausted.
    pub fn new(most: usize, most_each: usize, always: usize) -> Arc<Pool> {
        Arc::new(Pool {
            most,
            most_each,
            always,
            used: AtomicUsize::new(0),
        })
    }

    /// Returns a new, empty share.
    pub fn share(self: &Arc<Pool>) -> Arc<Share> {
        Arc::new(Share {
            pool: Arc::clone(self),
            used: AtomicUsize::new(0),
        })
    }

    /// Returns the units in use.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

/// The part of the pool that one holder has.
#[derive(Debug)]
pub struct Share {
    pool: Arc<Pool>,
    used: AtomicUsize,
}

impl Share {
    /// Takes `amount` units until the result is dropped. An empty share may take everything that is free. Returns
    /// `None` if the share may not have that much.
    pub fn take(self: &Arc<Share>, amount: usize) -> Option<Taken> {
        // Takes first and checks afterwards. Two concurrent takers may both be refused the last unit, but they never
        // both get it.
        let taken = self.take_anyway(amount);
        let (mine, all) = self.used();
        let is_first = mine == amount && all <= self.pool.most;
        (mine <= self.pool.always || is_first || self.is_fair(mine, all)).then_some(taken)
    }

    /// Takes `amount` units even if the pool is exhausted.
    pub fn take_anyway(self: &Arc<Share>, amount: usize) -> Taken {
        self.used.fetch_add(amount, Ordering::Relaxed);
        self.pool.used.fetch_add(amount, Ordering::Relaxed);
        Taken {
            share: Arc::clone(self),
            amount,
        }
    }

    /// Reports whether the share may not take another unit.
    pub fn is_exhausted(&self) -> bool {
        let (mine, all) = self.used();
        mine > self.pool.always && !self.is_fair(mine + 1, all + 1)
    }

    /// Returns the size of the pool.
    pub fn most(&self) -> usize {
        self.pool.most
    }

    /// Returns the units that the share holds.
    pub fn mine(&self) -> usize {
        self.used().0
    }

    fn is_fair(&self, mine: usize, all: usize) -> bool {
        let free = self.pool.most.checked_sub(all);
        mine <= self.pool.most_each && free.is_some_and(|free| mine <= free)
    }

    fn used(&self) -> (usize, usize) {
        let mine = self.used.load(Ordering::Relaxed);
        (mine, self.pool.used.load(Ordering::Relaxed))
    }
}

/// Units taken from a pool. Dropping it returns them.
#[derive(Debug)]
pub struct Taken {
    share: Arc<Share>,
    amount: usize,
}

impl Taken {
    /// Splits off `amount` units, or all if there are fewer, to be returned separately.
    pub fn split(&mut self, amount: usize) -> Taken {
        let amount = amount.min(self.amount);
        self.amount -= amount;
        Taken {
            share: Arc::clone(&self.share),
            amount,
        }
    }

    /// Merges units taken from the same share.
    pub fn add(&mut self, mut other: Taken) {
        self.amount += std::mem::take(&mut other.amount);
    }

    pub fn amount(&self) -> usize {
        self.amount
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.share.used.fetch_sub(self.amount, Ordering::Relaxed);
        self.share
            .pool
            .used
            .fetch_sub(self.amount, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_all(share: &Arc<Share>) -> Vec<Taken> {
        std::iter::from_fn(|| share.take(1)).collect()
    }

    #[test]
    fn who_takes_all_there_is_leaves_half() {
        let pool = Pool::new(100, 1_000, 0);
        let (one, two, three) = (pool.share(), pool.share(), pool.share());
        let first = take_all(&one);
        assert_eq!(first.len(), 50);
        assert!(one.is_exhausted() && !two.is_exhausted());
        let second = take_all(&two);
        assert_eq!(second.len(), 25);
        drop((first, second));
        let third = take_all(&three);
        assert_eq!(third.len(), 50, "all was given back");
    }

    #[test]
    fn each_has_a_limit_of_its_own() {
        let pool = Pool::new(100, 10, 0);
        let share = pool.share();
        let taken = take_all(&share);
        assert_eq!(taken.len(), 10);
        assert!(share.is_exhausted());
    }

    #[test]
    fn who_has_nothing_may_take_what_is_there_and_no_more() {
        let pool = Pool::new(100, 10, 0);
        let (one, two) = (pool.share(), pool.share());
        assert!(one.take(101).is_none());
        let taken = one.take(60).unwrap();
        assert!(two.take(41).is_none());
        assert!(two.take(40).is_some());
        drop(taken);
        assert_eq!((one.mine(), two.mine()), (0, 0));
    }

    #[test]
    fn who_needs_little_gets_it_whatever_others_do() {
        let pool = Pool::new(100, 100, 5);
        let (one, two) = (pool.share(), pool.share());
        let _all = one.take(100).unwrap();
        let first = two.take(3).unwrap();
        assert!(two.take(3).is_none() && !two.is_exhausted());
        let second = two.take(2).unwrap();
        assert!(two.take(1).is_none() && one.is_exhausted());
        drop((first, second));
    }

    #[test]
    fn what_is_split_is_given_back_in_parts() {
        let pool = Pool::new(100, 100, 0);
        let share = pool.share();
        let mut taken = share.take(50).unwrap();
        drop(taken.split(20));
        assert_eq!(share.mine(), 30);
        taken.add(share.take(10).unwrap());
        assert_eq!((taken.amount(), share.mine()), (40, 40));
        drop(taken);
        assert_eq!(share.mine(), 0);
    }
}
