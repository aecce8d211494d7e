//! What those who watch need of polls, counted.

/// What somebody who watches a connection needs of its polls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Interest {
    /// The tunnel.
    pub tunnel: bool,
    /// That they come quickly, because something is waited for.
    pub outcome: bool,
}

/// The interests of all who watch.
#[derive(Debug, Default)]
pub struct Interests {
    all: usize,
    tunnel: usize,
    outcome: usize,
}

impl Interests {
    /// One more watches.
    pub fn add(&mut self, interest: Interest) {
        self.all += 1;
        self.tunnel += usize::from(interest.tunnel);
        self.outcome += usize::from(interest.outcome);
    }

    /// One that was added no longer watches.
    pub fn remove(&mut self, interest: Interest) {
        self.all -= 1;
        self.tunnel -= usize::from(interest.tunnel);
        self.outcome -= usize::from(interest.outcome);
    }

    /// Whether nobody watches.
    pub fn is_empty(&self) -> bool {
        self.all == 0
    }

    /// What all of them together need of each poll.
    pub fn combined(&self) -> Interest {
        Interest {
            tunnel: self.tunnel > 0,
            outcome: self.outcome > 0,
        }
    }
}
