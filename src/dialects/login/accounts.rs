//! What is known of the refused logins of each account. Of a backend that may be configured anew it is kept for as long as
//! the process lives: who is removed and comes back is the same account to its cloud, which goes on counting.

use crate::{
    core::{error::Upstream, secret::Secret},
    dialects::login::lockout::Refusals,
    rest::client::Client,
};
use secrecy::ExposeSecret;
use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

/// How many are kept that nobody uses now.
const MOST: usize = 1024;

/// A std mutex: held for look-ups only, never across an await.
static ACCOUNTS: Mutex<Vec<Arc<Account>>> = Mutex::new(Vec::new());

/// Who logs in where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    /// Where the account is, as origins. Those who have one of them in common have the same accounts.
    pub places: Vec<String>,
    /// Its name there.
    pub who: String,
}

/// The refusals of one account of one backend. Two backends that share an account rest each for itself: one with the right
/// secret does not wait for one with a wrong one.
#[derive(Debug)]
pub struct Account {
    backend: Arc<str>,
    whose: Whose,
    /// A std mutex: held for look-ups only, never across an await.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// A keyed hash of the secret that was given last.
    given: Option<u64>,
    refusals: Refusals<Upstream>,
}

/// The account of the backend that is reached so, with this secret given. Another than was given last is tried at once.
pub fn of(http: &Client, whose: Whose, secret: Option<&Secret>) -> Arc<Account> {
    let account = match http.account_lasts() {
        true => lasting(http.backend(), whose),
        false => Arc::new(Account::new(http.backend(), whose)),
    };
    account.give(secret);
    account
}

/// The same as before in this process, if there was one.
fn lasting(backend: &Arc<str>, whose: Whose) -> Arc<Account> {
    let mut all = ACCOUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    let is_same = |it: &Account| {
        let mut places = it.whose.places.iter();
        it.backend == *backend
            && it.whose.who == whose.who
            && places.any(|place| whose.places.contains(place))
    };
    let found = all.iter().find(|it| is_same(it)).map(Arc::clone);
    found.unwrap_or_else(|| {
        let is_used = |it: &Arc<Account>| Arc::strong_count(it) > 1;
        all.retain(|it| is_used(it) || !it.state().refusals.is_blank());
        while all.len() >= MOST
            && let Some(first) = all.iter().position(|it| !is_used(it))
        {
            all.remove(first);
        }
        let new = Arc::new(Account::new(backend, whose));
        all.push(Arc::clone(&new));
        new
    })
}

impl Account {
    fn new(backend: &Arc<str>, whose: Whose) -> Account {
        Account {
            backend: Arc::clone(backend),
            whose,
            state: Mutex::default(),
        }
    }

    /// This secret is used from now on. Another than before is one that nobody has refused.
    pub fn give(&self, secret: Option<&Secret>) {
        static KEY: OnceLock<RandomState> = OnceLock::new();
        let key = KEY.get_or_init(RandomState::new);
        let given = secret.map(|secret| key.hash_one(secret.now().text.expose_secret()));
        let mut state = self.state();
        if state.given != given {
            state.given = given;
            state.refusals.lift();
        }
    }

    /// Does this with its refusals.
    pub fn refusals<R>(&self, of: impl FnOnce(&mut Refusals<Upstream>) -> R) -> R {
        of(&mut self.state().refusals)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
