//! What the watchers of a connection need of its polls, counted.

/// What a watcher needs of the polls of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Interest {
    /// Whether polls read the tunnel.
    pub tunnel: bool,
    /// Whether polls come quickly, because the watch waits for an outcome.
    pub outcome: bool,
}

/// The combined interests of all watchers.
#[derive(Debug, Default)]
pub struct Interests {
    all: usize,
    tunnel: usize,
    outcome: usize,
}

impl Interests {
    pub fn add(&mut self, interest: Interest) {
        self.all += 1;
        self.tunnel += usize::from(interest.tunnel);
        self.outcome += usize::from(interest.outcome);
    }

    pub fn remove(&mut self, interest: Interest) {
        self.all -= 1;
        self.tunnel -= usize::from(interest.tunnel);
        self.outcome -= usize::from(interest.outcome);
    }

    /// Reports whether there are no watchers.
    pub fn is_empty(&self) -> bool {
        self.all == 0
    }

    /// Returns what all watchers together need of each poll.
    pub fn combined(&self) -> Interest {
        Interest {
            tunnel: self.tunnel > 0,
            outcome: self.outcome > 0,
        }
    }
}
