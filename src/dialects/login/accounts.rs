//! What is known about the refused logins of each account. The accounts of a backend that may be reconfigured are kept
//! as long as the process lives. A backend that is removed and added again is the same account to its cloud, which
//! keeps counting.

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

/// At this number of accounts, each new one evicts an account that is not in use.
const MOST: usize = 1024;

/// A std mutex: held for look-ups only, never across an await.
static ACCOUNTS: Mutex<Vec<Arc<Account>>> = Mutex::new(Vec::new());

/// Identifies an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    /// The origins of the servers that know the account. Two values with an origin in common have the same accounts.
    pub places: Vec<String>,
    /// The account's name on these servers.
    pub who: String,
}

/// The refusals of one account of one backend. Two backends that share an account are held separately: a backend with
/// the right secret does not wait for one with a wrong secret.
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

/// Returns the account that the backend uses and gives it `secret`. A secret other than the last one is tried at once.
pub fn of(http: &Client, whose: Whose, secret: Option<&Secret>) -> Arc<Account> {
    let account = match http.account_lasts() {
        true => lasting(http.backend(), whose),
        false => Arc::new(Account::new(http.backend(), whose)),
    };
    account.give(secret);
    account
}

/// Returns the account that this process already knows, or registers a new one.
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

    /// Sets the present secret. A secret other than the last one has no refusals of its own.
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

    pub fn refusals<R>(&self, of: impl FnOnce(&mut Refusals<Upstream>) -> R) -> R {
        of(&mut self.state().refusals)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
