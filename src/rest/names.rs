//! DNS for a cloud's hosts, refreshed while the cloud is in use.
//!
//! A pooled connection lives as long as it is used. Without a refresh, a cloud that moves is never found at its new
//! address while the old one answers. Each host is therefore looked up again, in the background, when its last look-up
//! is `AGAIN` old. When none of the addresses that its connections were opened to remains, [`Names::generation`]
//! changes: new requests use new connections, and requests in flight end on the old ones. A name server that returns a
//! varying subset of many addresses changes nothing as long as one of the first addresses is in it. The gateway asks a
//! backend something every 30 s at least, so it follows new addresses within a minute. If a look-up fails, a host keeps
//! its addresses.
//!
//! A resolver that hangs blocks one thread for each host, because all requests share one look-up.

use async_trait::async_trait;
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::{
    collections::BTreeMap,
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

/// Age from which the addresses of a host in use are refreshed.
const AGAIN: Duration = Duration::from_secs(20);
/// How long a request that has known addresses waits for a refresh.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most hosts whose addresses are kept. A backend has a few hosts, but a catalog may name different ones each time. The
/// host used longest ago is forgotten first.
const HOSTS: usize = 16;

#[async_trait]
pub trait Lookup: fmt::Debug + Send + Sync {
    /// Returns the addresses of a host, best first.
    ///
    /// # Errors
    /// The resolver's error.
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of the operating system.
#[derive(Debug)]
pub struct System;

#[async_trait]
impl Lookup for System {
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((host, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// Addresses of the hosts of one backend.
#[derive(Debug)]
pub struct Names {
    lookup: Arc<dyn Lookup>,
    /// A std mutex, held for map operations only and never across an await.
    hosts: Mutex<BTreeMap<String, Host>>,
    generation: AtomicU64,
    own: Weak<Names>,
}

/// A look-up in flight, shared by all requests that need it.
type Looking = Shared<BoxFuture<'static, Result<Arc<[IpAddr]>, Arc<io::Error>>>>;

#[derive(Debug)]
struct Host {
    /// Addresses found by the last look-up that succeeded.
    known: Option<Arc<[IpAddr]>>,
    /// Addresses when the connections in use began to be opened: at the first look-up or at the last change of
    /// generation.
    used: Option<Arc<[IpAddr]>>,
    /// When the last look-up began.
    asked: Instant,
    last_used: Instant,
    looking: Looking,
    /// Drives a look-up that no request awaits.
    _task: Option<AbortOnDropHandle<()>>,
}

impl Names {
    pub fn new(lookup: Arc<dyn Lookup>) -> Arc<Names> {
        Arc::new_cyclic(|own| Names {
            lookup,
            hosts: Mutex::default(),
            generation: AtomicU64::new(0),
            own: Weak::clone(own),
        })
    }

    /// Returns the generation. It changes whenever none of the addresses remains that the connections to a host were
    /// opened to.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Notes that a host is in use, and refreshes old addresses in the background. Hosts without a previous look-up,
    /// including IP addresses, are not looked up.
    pub fn used(&self, host: &str) {
        let mut hosts = self.hosts();
        let Some(known) = hosts.get_mut(host) else {
            return;
        };
        known.last_used = Instant::now();
        if known.asked.elapsed() < AGAIN || known.looking.peek().is_none() {
            return;
        }
        known.asked = Instant::now();
        known.looking = self.look_up(host);
        let looking = known.looking.clone();
        let goes_on = tokio::spawn(async move { drop(looking.await) });
        known._task = Some(AbortOnDropHandle::new(goes_on));
    }

    /// Returns the addresses to connect to: fresh ones, or the known ones if the look-up fails or takes longer than
    /// `PATIENCE`.
    ///
    /// # Errors
    /// If the look-up fails and no addresses are known.
    pub async fn resolve(&self, host: &str) -> Result<Arc<[IpAddr]>, Arc<io::Error>> {
        let (looking, known) = self.looking(host);
        let Some(known) = known else {
            return looking.await;
        };
        match timeout(PATIENCE, looking).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(_)) | Err(_) => Ok(known),
        }
    }

    /// Returns the look-up in flight, or begins one, with the addresses known so far.
    fn looking(&self, host: &str) -> (Looking, Option<Arc<[IpAddr]>>) {
        let mut hosts = self.hosts();
        let now = Instant::now();
        if !hosts.contains_key(host) && hosts.len() >= HOSTS {
            let oldest = hosts.iter().min_by_key(|(_, host)| host.last_used);
            if let Some(name) = oldest.map(|(name, _)| name.clone()) {
                hosts.remove(&name);
            }
        }
        let mut before = hosts.get_mut(host);
        if let Some(host) = &mut before {
            host.last_used = now;
        }
        let known = before.as_ref().and_then(|host| host.known.clone());
        let used = before.as_ref().and_then(|host| host.used.clone());
        let under_way = before.map(|host| &host.looking);
        if let Some(looking) = under_way.filter(|looking| looking.peek().is_none()) {
            return (looking.clone(), known);
        }
        let looking = self.look_up(host);
        let begun = Host {
            known: known.clone(),
            used,
            asked: now,
            last_used: now,
            looking: looking.clone(),
            _task: None,
        };
        hosts.insert(host.to_owned(), begun);
        (looking, known)
    }

    fn look_up(&self, host: &str) -> Looking {
        let (own, lookup) = (Weak::clone(&self.own), Arc::clone(&self.lookup));
        let host = host.to_owned();
        let looking = async move {
            let found = match lookup.addresses(&host).await {
                Ok(found) if found.is_empty() => Err(io::Error::other("it has no address")),
                found => found,
            };
            let found: Arc<[IpAddr]> = found?.into();
            if let Some(names) = own.upgrade() {
                names.found(&host, &found);
            }
            Ok(found)
        };
        let looking = looking.map(|found: io::Result<Arc<[IpAddr]>>| found.map_err(Arc::new));
        looking.boxed().shared()
    }

    fn found(&self, host: &str, found: &Arc<[IpAddr]>) {
        let mut hosts = self.hosts();
        let Some(host) = hosts.get_mut(host) else {
            return;
        };
        host.known = Some(Arc::clone(found));
        match &host.used {
            // Compared with the addresses at the start of the generation, not with those of the last look-up: in small
            // steps, all of them may be replaced.
            Some(used) if used.iter().any(|address| found.contains(address)) => return,
            Some(_) => {
                self.generation.fetch_add(1, Ordering::Release);
            }
            None => {}
        }
        host.used = Some(Arc::clone(found));
    }

    fn hosts(&self) -> MutexGuard<'_, BTreeMap<String, Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adapter for reqwest, which resolves a host each time it opens a connection.
#[derive(Debug, Clone)]
pub struct Resolver(pub Arc<Names>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let names = Arc::clone(&self.0);
        Box::pin(async move {
            let found = names.resolve(name.as_str()).await?;
            let addresses: Vec<SocketAddr> =
                found.iter().map(|ip| SocketAddr::new(*ip, 0)).collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::VecDeque, sync::atomic::AtomicUsize};
    use tokio::{task::yield_now, time::advance};

    /// Returns one answer after another. `None` never completes, nor does any look-up after the last answer.
    #[derive(Debug)]
    struct Scripted {
        answers: Mutex<VecDeque<Option<io::Result<&'static str>>>>,
        asked: AtomicUsize,
    }

    #[async_trait]
    impl Lookup for Scripted {
        async fn addresses(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let answer = self.answers.lock().unwrap().pop_front().flatten();
            match answer {
                Some(Ok(addresses)) => Ok(addresses
                    .split_whitespace()
                    .map(|ip| ip.parse().unwrap())
                    .collect()),
                Some(Err(error)) => Err(error),
                None => std::future::pending().await,
            }
        }
    }

    fn names<const N: usize>(
        answers: [Option<io::Result<&'static str>>; N],
    ) -> (Arc<Names>, Arc<Scripted>) {
        let scripted = Arc::new(Scripted {
            answers: Mutex::new(answers.into()),
            asked: AtomicUsize::new(0),
        });
        (
            Names::new(Arc::clone(&scripted) as Arc<dyn Lookup>),
            scripted,
        )
    }

    fn broken() -> Option<io::Result<&'static str>> {
        Some(Err(io::Error::other("no such host")))
    }

    /// Uses the name after `time` and returns the generation.
    async fn used_after(names: &Names, time: Duration) -> u64 {
        advance(time).await;
        names.used("cloud");
        yield_now().await;
        yield_now().await;
        names.generation()
    }

    async fn first(names: &Names) -> Result<String, ()> {
        let found = names.resolve("cloud").await.map_err(drop)?;
        Ok(found[0].to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn another_address_is_another_generation_and_another_order_is_not() {
        let (names, scripted) = names([
            Some(Ok("10.0.0.1 10.0.0.2")),
            Some(Ok("10.0.0.2 10.0.0.1")),
            broken(),
            Some(Ok("")),
            Some(Ok("10.0.0.3")),
        ]);
        names.used("cloud");
        assert_eq!(scripted.asked.load(Ordering::Relaxed), 0, "nobody is known");
        assert_eq!(first(&names).await.unwrap(), "10.0.0.1");
        assert_eq!(used_after(&names, AGAIN / 2).await, 0);
        assert_eq!(scripted.asked.load(Ordering::Relaxed), 1, "they are new");
        for asked in 2..5 {
            assert_eq!(used_after(&names, AGAIN).await, 0);
            assert_eq!(scripted.asked.load(Ordering::Relaxed), asked);
        }
        assert_eq!(used_after(&names, AGAIN).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_server_that_shows_some_of_many_addresses_moves_nobody() {
        let (names, _) = names([
            Some(Ok("10.0.0.1 10.0.0.2")),
            Some(Ok("10.0.0.2 10.0.0.3")),
            Some(Ok("10.0.0.4 10.0.0.1")),
            Some(Ok("10.0.0.3 10.0.0.4")),
            Some(Ok("10.0.0.4 10.0.0.5")),
            Some(Ok("10.0.0.1")),
        ]);
        assert_eq!(first(&names).await.unwrap(), "10.0.0.1");
        for (generation, why) in [
            (0, "one of the first is left"),
            (0, "and the other again"),
            (1, "none of the first is left, though one of the last is"),
            (1, "one of the second generation is left"),
            (2, "it is back"),
        ] {
            assert_eq!(used_after(&names, AGAIN).await, generation, "{why}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_looked_up_keeps_its_addresses() {
        let (unknown, _) = names([broken(), Some(Ok("10.0.0.1"))]);
        assert!(first(&unknown).await.is_err());
        assert_eq!(first(&unknown).await.unwrap(), "10.0.0.1");

        let (names, scripted) = names([Some(Ok("10.0.0.1")), broken(), None]);
        assert_eq!(first(&names).await.unwrap(), "10.0.0.1");
        assert_eq!(first(&names).await.unwrap(), "10.0.0.1", "broken");
        let begun = Instant::now();
        for _ in 0..3 {
            assert_eq!(first(&names).await.unwrap(), "10.0.0.1", "it hangs");
        }
        assert!(begun.elapsed() < PATIENCE * 3 + Duration::from_secs(1));
        used_after(&names, AGAIN).await;
        assert_eq!(
            scripted.asked.load(Ordering::Relaxed),
            3,
            "one hangs for all"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn hosts_without_number_are_forgotten() {
        let (names, scripted) = names([const { Some(Ok("10.0.0.1")) }; 100]);
        for number in 0..100 {
            names.resolve(&format!("{number}")).await.unwrap();
        }
        assert_eq!(scripted.asked.load(Ordering::Relaxed), 100);
        assert!(names.hosts().len() <= HOSTS);
    }

    #[tokio::test(start_paused = true)]
    async fn the_host_used_longest_ago_is_forgotten() {
        let (names, _) = names([const { Some(Ok("10.0.0.1")) }; 2 + HOSTS]);
        for host in ["a", "cloud"] {
            names.resolve(host).await.unwrap();
        }
        for number in 0..HOSTS {
            advance(AGAIN / 20).await;
            // Its connection is open, so it is not resolved.
            names.used("a");
            names.resolve(&format!("other {number:02}")).await.unwrap();
        }
        let hosts: Vec<String> = names.hosts().keys().cloned().collect();
        let others = (1..HOSTS).map(|number| format!("other {number:02}"));
        let expected: Vec<String> = std::iter::once("a".to_owned()).chain(others).collect();
        assert_eq!(hosts, expected);
    }
}
