//! Pages of lists that change while they are read.

use super::*;
use crate::{
    core::{
        backend::Serving,
        dialect::{
            self, Action, Call, Capabilities, Dialect, Mark, NoResources, Page, PageRequest, Plan,
            ResourceCapabilities, Single, Step, Target, Usage, Written, WrittenResource,
        },
        error::{Error, ErrorKind, ErrorReason, Violation},
        filter::Restriction,
        listed::{Listable, Listed},
        order::{Order, SortPosition},
        settings::BackendSettings,
    },
    model::{
        Assurance, AttachmentKind, BackendName, ConnectionChange, NewConnection, RealizationState,
        ResourceChange, ResourceSpec, Sighting, TunnelStatistics,
    },
};
use async_trait::async_trait;
use proptest::prelude::*;
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, MutexGuard,
        atomic::{self, AtomicUsize},
    },
    time::Duration,
};
use tokio::time::sleep_until;

const KINDS: &[ResourceCapabilities] = &[
    ResourceCapabilities::nothing(ResourceKind::IkePolicy),
    ResourceCapabilities::nothing(ResourceKind::IpsecPolicy),
    ResourceCapabilities::nothing(ResourceKind::DpdPolicy),
    ResourceCapabilities::nothing(ResourceKind::VpnService),
    ResourceCapabilities::nothing(ResourceKind::LocalEndpoint),
    ResourceCapabilities::nothing(ResourceKind::EndpointGroup),
];

/// A dialect that only lists, in small pages, and polls. Its rows stand for whatever is listed.
#[derive(Debug)]
pub(in crate::core) struct Rows {
    capabilities: Capabilities,
    rows: Mutex<BTreeMap<String, Connection>>,
    most: usize,
    pub(in crate::core) is_down: Mutex<bool>,
    /// How long a list or a poll takes. It fails if that is beyond its deadline.
    pub(in crate::core) takes: Mutex<Duration>,
    lists: AtomicUsize,
}

impl Rows {
    pub(in crate::core) fn new(most: usize) -> Arc<Rows> {
        Rows::with(most, KINDS)
    }

    /// Returns rows with these kinds of resources. Without any kind there are no attachments either.
    pub(in crate::core) fn with(most: usize, kinds: &'static [ResourceCapabilities]) -> Arc<Rows> {
        Arc::new(Rows {
            capabilities: Capabilities {
                dialect: "rows",
                variant: "",
                route_based: false,
                inline_policy_rules: false,
                endpoint_groups: false,
                certificates: false,
                inline_dpd: false,
                dpd_policies: false,
                mtu: false,
                tcp_mss_clamping: false,
                on_demand_initiation: false,
                admin_disable: false,
                atomic_etag: false,
                nodes: false,
                write_tracking: false,
                look_batch: 1,
                resources: kinds,
                tunnel_statistics: false,
                connection_marks: true,
                availability_zones: false,
            },
            rows: Mutex::default(),
            most,
            is_down: Mutex::new(false),
            takes: Mutex::default(),
            lists: AtomicUsize::new(0),
        })
    }

    async fn answers(&self, call: &Call) -> Result<()> {
        let takes = *self.takes.lock().unwrap();
        if !takes.is_zero() {
            let done = Instant::now() + takes;
            sleep_until(done.min(call.deadline)).await;
            if done > call.deadline {
                let late = (ErrorKind::DeadlineExceeded, ErrorReason::Deadline);
                return Err(Error::new(late.0, late.1, "no whole answer"));
            }
        }
        match *self.is_down.lock().unwrap() {
            true => Err(down()),
            false => Ok(()),
        }
    }

    async fn page<T>(
        &self,
        page: &PageRequest,
        call: &Call,
        shown: impl Fn(&Connection) -> T + Send,
    ) -> Result<Page<T>> {
        self.lists.fetch_add(1, atomic::Ordering::SeqCst);
        self.answers(call).await?;
        let rows = self.rows();
        let left = rows
            .values()
            .filter(|row| page.after.as_ref().is_none_or(|after| row.id > *after));
        let mut items: Vec<&Connection> = left.collect();
        let size = self.most.min(page.size as usize);
        let is_more = items.len() > size;
        items.truncate(size);
        let next = items.last().map(|row| row.id.clone());
        Ok(Page {
            items: items.into_iter().map(shown).collect(),
            next: next.filter(|_| is_more),
        })
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<String, Connection>> {
        self.rows.lock().unwrap()
    }

    pub(in crate::core) fn put(&self, id: &str, display_name: &str) {
        let row = Connection {
            id: id.to_owned(),
            display_name: display_name.to_owned(),
            ..Connection::default()
        };
        self.rows().insert(id.to_owned(), row);
    }
}

#[async_trait]
impl Dialect for Rows {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn refuse_create(&self, _: &NewConnection) -> Vec<Violation> {
        vec![]
    }

    fn refuse_update(&self, _: &ConnectionChange) -> Vec<Violation> {
        vec![]
    }

    fn resources(&self) -> &dyn dialect::Resources {
        match self.capabilities.resources {
            [] => &NoResources,
            _ => self,
        }
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }

    async fn probe(&self, _: &Call) -> Result<()> {
        Ok(())
    }

    async fn get(&self, _: &str, _: &Call) -> Result<Connection> {
        Err(down())
    }

    async fn list(&self, page: &PageRequest, call: &Call) -> Result<Page<Connection>> {
        self.page(page, call, Connection::clone).await
    }

    async fn plan_create<'a>(
        &'a self,
        _: NewConnection,
        _: Mark,
        _: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        Err(down())
    }

    async fn plan_update<'a>(
        &'a self,
        _: &'a str,
        _: ConnectionChange,
        _: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        Err(down())
    }

    async fn plan_delete<'a>(
        &'a self,
        _: &'a str,
        _: Option<String>,
        _: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        Err(down())
    }

    async fn poll(&self, targets: &[Target], call: &Call) -> Vec<Result<Sighting>> {
        let answers = self.answers(call).await;
        let poll = |target: &Target| {
            let state = match self.rows().contains_key(&target.id) {
                true => RealizationState::Active,
                false => RealizationState::Deleted,
            };
            answers.clone().map(|()| Sighting {
                state,
                assurance: Assurance::ControlPlane,
                ..Sighting::default()
            })
        };
        targets.iter().map(poll).collect()
    }
}

#[async_trait]
impl dialect::Resources for Rows {
    fn refuse_create(&self, _: &ResourceSpec) -> Vec<Violation> {
        vec![]
    }

    fn refuse_update(&self, _: &ResourceChange) -> Vec<Violation> {
        vec![]
    }

    async fn get(&self, _: ResourceKind, _: &str, _: &Call) -> Result<Resource> {
        Err(down())
    }

    async fn list(
        &self,
        kind: ResourceKind,
        page: &PageRequest,
        call: &Call,
    ) -> Result<Page<Resource>> {
        let shown = |row: &Connection| Resource {
            id: row.id.clone(),
            spec: ResourceSpec {
                display_name: row.display_name.clone(),
                ..ResourceSpec::none(kind)
            },
            etag: String::new(),
            managed: false,
            joint: false,
            create_time: None,
            update_time: None,
            native_words: Default::default(),
            details: None,
            native: Default::default(),
        };
        self.page(page, call, shown).await
    }

    async fn plan_create<'a>(
        &'a self,
        spec: ResourceSpec,
        _: Mark,
        _: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        let step = Step::new(Action::Create, spec.kind().collection().segment(), None);
        Ok(Single::new(step, |_, _| Box::pin(async { Err(down()) })))
    }

    async fn plan_update<'a>(
        &'a self,
        _: &'a str,
        _: ResourceChange,
        _: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        Err(down())
    }

    async fn plan_delete<'a>(
        &'a self,
        _: ResourceKind,
        _: &'a str,
        _: Option<String>,
        _: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        Err(down())
    }

    async fn attachments(&self, page: &PageRequest, call: &Call) -> Result<Page<Attachment>> {
        let shown = |row: &Connection| Attachment {
            kind: AttachmentKind::Router,
            id: row.id.clone(),
            display_name: row.display_name.clone(),
            addresses: Vec::new(),
            networks: Vec::new(),
            parent_id: None,
            unusable: None,
            native: Default::default(),
        };
        self.page(page, call, shown).await
    }

    async fn statistics(&self, _: &str, _: &Call) -> Result<TunnelStatistics> {
        Err(down())
    }
}

fn down() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        ErrorReason::UpstreamUnreachable,
        "cannot connect",
    )
}

pub(in crate::core) fn gateway(backends: &[(&str, &Arc<Rows>)]) -> Arc<Gateway> {
    let backends = backends.iter().map(|(name, rows)| {
        let settings = BackendSettings::new(name.parse().unwrap());
        let dialect: Arc<dyn Dialect> = (*rows).clone();
        (settings, dialect)
    });
    Gateway::start(backends.collect(), Duration::from_secs(15))
}

fn query(parent: &str, size: u32, filter: &str, order: &str, page_token: &str) -> Query {
    Query {
        parent: parent.parse().unwrap(),
        size,
        filter: filter.parse().unwrap(),
        order: order.parse().unwrap(),
        page_token: page_token.to_owned(),
    }
}

/// One of each of the three ways to list.
const EACH: [Listable; 3] = [
    Listable::Connections,
    Listable::Resources(ResourceKind::IpsecPolicy),
    Listable::Attachments,
];

/// What all listed items have.
#[derive(Debug)]
struct Row {
    id: String,
    display_name: String,
}

impl Listed for Row {
    fn id(&self) -> &str {
        &self.id
    }

    fn display_name(&self) -> &str {
        &self.display_name
    }

    fn meets(&self, _: &BackendName, _: &Restriction) -> bool {
        true
    }
}

fn rows<T: Listed>(listing: Listing<T>) -> Listing<Row> {
    let items = listing.items.into_iter().map(|(backend, item)| {
        let (id, display_name) = (item.id().to_owned(), item.display_name().to_owned());
        (backend, Row { id, display_name })
    });
    Listing {
        items: items.collect(),
        next: listing.next,
        unreachable: listing.unreachable,
    }
}

async fn page_by(
    gateway: &Gateway,
    of: Listable,
    query: &Query,
    deadline: Instant,
) -> Result<Listing<Row>> {
    match of {
        Listable::Connections => gateway.list(query, deadline).await.map(rows),
        Listable::Resources(kind) => gateway
            .list_resources(kind, query, deadline)
            .await
            .map(rows),
        Listable::Attachments => gateway.list_attachments(query, deadline).await.map(rows),
    }
}

async fn page(gateway: &Gateway, of: Listable, query: Query) -> Result<Listing<Row>> {
    let deadline = Instant::now() + Duration::from_secs(10);
    page_by(gateway, of, &query, deadline).await
}

fn ids(listing: &Listing<Row>) -> Vec<String> {
    let each = listing.items.iter();
    each.map(|(backend, row)| format!("{}/{}", backend.as_str(), row.id))
        .collect()
}

/// An event between two pages.
#[derive(Debug, Clone)]
enum Event {
    Vanishes(usize),
    Appears(usize),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        (0..40_usize).prop_map(Event::Vanishes),
        (0..40_usize).prop_map(Event::Appears)
    ];
    prop::collection::vec(event, 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever is created or removed between pages, what stays is listed once and in order.
    #[test]
    fn what_stays_is_listed_once_and_in_order(
        of in prop::sample::select(Listable::ALL.to_vec()),
        start in prop::collection::btree_set(0..40_usize, 0..30),
        between in prop::collection::vec(events(), 40),
        size in 1..9_u32,
        most in 1..9_usize,
        order in prop::sample::select(vec!["", "name", "name desc", "display_name", "display_name desc, name desc"]),
        filter in prop::sample::select(vec!["", "display_name:1"]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (a, b) = (Rows::new(most), Rows::new(most));
            let gateway = gateway(&[("a", &a), ("b", &b)]);
            // Even numbers live in one backend, odd ones in the other; several share a name.
            let home = |number: usize| if number.is_multiple_of(2) { &a } else { &b };
            let id = |number: usize| format!("{number:02}");
            let name = |number: usize| format!("n{}", number % 5);
            for number in &start {
                home(*number).put(&id(*number), &name(*number));
            }
            let wanted = |number: &usize| filter.is_empty() || name(*number).contains('1');
            let mut stayed: BTreeSet<usize> = start.clone().into_iter().filter(wanted).collect();
            let (mut found, mut token) = (Vec::new(), String::new());
            for happened in between.iter().chain(std::iter::repeat(&Vec::new())) {
                let listing = page(&gateway, of, query("backends/-", size, filter, order, &token)).await.unwrap();
                assert!(listing.items.len() <= size as usize);
                found.extend(listing.items);
                token = listing.next;
                if token.is_empty() {
                    break;
                }
                for event in happened {
                    match event {
                        Event::Vanishes(number) => {
                            home(*number).rows().remove(&id(*number));
                            stayed.remove(number);
                        }
                        Event::Appears(number) => home(*number).put(&id(*number), &name(*number)),
                    }
                }
            }
            let order: Order = order.parse().unwrap();
            for pair in found.windows(2) {
                let [one, other] = [&pair[0], &pair[1]].map(|(name, row)| SortPosition::of(name, row));
                assert_eq!(order.compare(one, other), Ordering::Less, "{one:?} {other:?}");
            }
            let found: Vec<String> = found.into_iter().map(|(_, row)| row.id).collect();
            for number in stayed {
                assert!(found.contains(&id(number)), "{number} was lost: {found:?}");
            }
            gateway.shut_down(Duration::ZERO).await;
        });
    }
}

#[tokio::test]
async fn a_backend_that_goes_down_midway_is_named_and_the_rest_is_answered() {
    for (of, order) in EACH
        .into_iter()
        .flat_map(|of| [(of, ""), (of, "display_name")])
    {
        let (a, b, c) = (Rows::new(100), Rows::new(100), Rows::new(100));
        for (rows, first) in [(&a, 'a'), (&b, 'b'), (&c, 'c')] {
            for number in 0..3 {
                rows.put(&format!("{number}"), &format!("{first}{number}"));
            }
        }
        let gateway = gateway(&[("a", &a), ("b", &b), ("c", &c)]);
        let first = page(&gateway, of, query("backends/-", 4, "", order, ""))
            .await
            .unwrap();
        assert_eq!(ids(&first), ["a/0", "a/1", "a/2", "b/0"]);
        assert_eq!(first.unreachable, []);
        *b.is_down.lock().unwrap() = true;
        let second = page(&gateway, of, query("backends/-", 4, "", order, &first.next))
            .await
            .unwrap();
        assert_eq!(ids(&second), ["c/0", "c/1", "c/2"], "{order}");
        assert_eq!(second.unreachable, ["b".parse().unwrap()]);
        assert_eq!(second.next, "");

        // With a single backend its failure is an error. The same token continues once the backend is back.
        let first = page(&gateway, of, query("backends/c", 2, "", order, ""))
            .await
            .unwrap();
        *c.is_down.lock().unwrap() = true;
        let again = || query("backends/c", 2, "", order, &first.next);
        assert_eq!(
            page(&gateway, of, again()).await.unwrap_err().kind,
            ErrorKind::Unavailable
        );
        *c.is_down.lock().unwrap() = false;
        assert_eq!(ids(&page(&gateway, of, again()).await.unwrap()), ["c/2"]);
    }
}

#[tokio::test]
async fn a_token_goes_on_though_its_backend_is_configured_no_more() {
    let of = Listable::Attachments;
    let (a, b, c) = (Rows::new(100), Rows::new(100), Rows::new(100));
    for rows in [&a, &b, &c] {
        rows.put("1", "x");
        rows.put("2", "x");
    }
    let before = gateway(&[("a", &a), ("b", &b), ("c", &c)]);
    let first = page(&before, of, query("backends/-", 3, "", "", ""))
        .await
        .unwrap();
    let after = gateway(&[("a", &a), ("c", &c)]);
    let second = page(&after, of, query("backends/-", 3, "", "", &first.next))
        .await
        .unwrap();
    assert_eq!(ids(&second), ["c/1", "c/2"]);
}

#[tokio::test]
async fn more_than_the_limit_is_not_sorted_and_says_so() {
    let rows = Rows::new(usize::MAX);
    for number in 0..MOST_SORTED {
        rows.put(&format!("{number:06}"), "x");
    }
    let gateway = gateway(&[("a", &rows)]);
    let sorted = || query("backends/a", 2, "", "display_name desc", "");
    for of in EACH {
        assert_eq!(
            ids(&page(&gateway, of, sorted()).await.unwrap()),
            ["a/000000", "a/000001"]
        );
    }
    rows.put("one more", "x");
    for (of, said) in EACH.into_iter().zip([
        "there are more than 20000 connections;",
        "there are more than 20000 IPsec policies;",
        "there are more than 20000 attachments;",
    ]) {
        let error = page(&gateway, of, sorted()).await.unwrap_err();
        assert_eq!(
            (error.kind, error.reason),
            (ErrorKind::QuotaExceeded, ErrorReason::LimitExceeded)
        );
        assert!(error.to_string().contains(said), "{error}");
        let plain = page(&gateway, of, query("backends/a", 2, "", "", "")).await;
        assert_eq!(plain.unwrap().items.len(), 2);
    }
}

fn three() -> ([Arc<Rows>; 3], Arc<Gateway>) {
    let all = [(); 3].map(|()| Rows::new(100));
    for rows in &all {
        rows.put("1", "x");
        rows.put("2", "x");
    }
    let gateway = gateway(&[("a", &all[0]), ("b", &all[1]), ("c", &all[2])]);
    (all, gateway)
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_hangs_is_named_and_the_rest_is_answered_in_time() {
    const LONG: Duration = Duration::from_secs(3600);
    for (of, order) in EACH
        .into_iter()
        .flat_map(|of| [(of, ""), (of, "display_name")])
    {
        for (hang, expected, unreachable) in [
            (vec![0], vec!["b/1", "b/2", "c/1", "c/2"], vec!["a"]),
            (vec![1], vec!["a/1", "a/2", "c/1", "c/2"], vec!["b"]),
            (vec![0, 1], vec!["c/1", "c/2"], vec!["a", "b"]),
            (vec![0, 1, 2], vec![], vec!["a", "b", "c"]),
        ] {
            for time in [200, 1_000, 10_000, 600_000].map(Duration::from_millis) {
                let (all, gateway) = three();
                for index in &hang {
                    *all[*index].takes.lock().unwrap() = LONG;
                }
                // The backends that answer are slow too.
                for rows in all
                    .iter()
                    .filter(|rows| *rows.takes.lock().unwrap() != LONG)
                {
                    *rows.takes.lock().unwrap() = time / 2;
                }
                let asked = Instant::now();
                let wanted = query("backends/-", 9, "", order, "");
                let listed = page_by(&gateway, of, &wanted, asked + time).await.unwrap();
                let left = time - asked.elapsed();
                let enough = (time / 20).min(Duration::from_millis(500));
                assert!(left >= enough, "{order} {hang:?} {time:?}: {left:?} left");
                assert_eq!(ids(&listed), expected, "{order} {hang:?} {time:?}");
                let named = listed.unreachable.iter().map(BackendName::as_str);
                assert_eq!(named.collect::<Vec<_>>(), unreachable);
                assert_eq!(listed.next, "");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_asks_no_backend_that_it_does_not_need_unless_one_is_slow() {
    let asked = |all: &[Arc<Rows>; 3]| {
        all.each_ref()
            .map(|rows| rows.lists.swap(0, atomic::Ordering::SeqCst))
    };
    let of = Listable::Resources(ResourceKind::LocalEndpoint);
    let (all, gateway) = three();
    let first = || query("backends/-", 2, "", "", "");
    page(&gateway, of, first()).await.unwrap();
    assert_eq!(asked(&all), [1, 0, 0]);
    *all[0].takes.lock().unwrap() = Duration::from_secs(5);
    *all[1].takes.lock().unwrap() = Duration::from_secs(3600);
    let began = Instant::now();
    let listed = page(&gateway, of, first()).await.unwrap();
    assert_eq!(
        (ids(&listed), asked(&all)),
        (vec!["a/1".to_owned(), "a/2".to_owned()], [1, 1, 1])
    );
    assert_eq!(
        began.elapsed(),
        Duration::from_secs(5),
        "for nobody beyond the page"
    );
    assert_eq!(listed.unreachable, []);
    let second = page(&gateway, of, query("backends/-", 9, "", "", &listed.next))
        .await
        .unwrap();
    assert_eq!(ids(&second), ["c/1", "c/2"]);
    assert_eq!(second.unreachable, ["b".parse().unwrap()]);
}

#[tokio::test]
async fn a_backend_without_the_kind_is_left_out_of_a_list_over_all_and_refused_alone() {
    const POLICIES: &[ResourceCapabilities] =
        &[ResourceCapabilities::nothing(ResourceKind::IkePolicy)];
    let all = [
        Rows::with(9, KINDS),
        Rows::with(9, &[]),
        Rows::with(9, POLICIES),
    ];
    for rows in &all {
        rows.put("1", "x");
    }
    let gateway = gateway(&[("a", &all[0]), ("b", &all[1]), ("c", &all[2])]);
    let ike_policies = Listable::Resources(ResourceKind::IkePolicy);
    let dpd_policies = Listable::Resources(ResourceKind::DpdPolicy);
    for (of, expected) in [
        (Listable::Connections, vec!["a/1", "b/1", "c/1"]),
        (ike_policies, vec!["a/1", "c/1"]),
        (dpd_policies, vec!["a/1"]),
        (Listable::Attachments, vec!["a/1", "c/1"]),
    ] {
        for order in ["", "name desc"] {
            let listed = page(&gateway, of, query("backends/-", 9, "", order, "")).await;
            let listed = listed.unwrap();
            let mut found = ids(&listed);
            found.sort();
            assert_eq!((found, listed.unreachable), (strings(&expected), vec![]));
        }
    }
    for (of, backend, said) in [
        (ike_policies, "b", "no resources of the kind IKE policy"),
        (dpd_policies, "c", "no resources of the kind DPD policy"),
        (Listable::Attachments, "b", "listing attachments: "),
    ] {
        let parent = format!("backends/{backend}");
        let error = page(&gateway, of, query(&parent, 9, "", "", "")).await;
        let error = error.unwrap_err();
        let kind = (error.kind, error.reason);
        assert_eq!(kind, (ErrorKind::Unimplemented, ErrorReason::KindAbsent));
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[tokio::test]
async fn a_backend_that_has_nothing_of_the_kind_is_not_said_to_answer() {
    for (kinds, serving) in [(&[][..], Serving::NotAsked), (KINDS, Serving::Yes)] {
        let settings = BackendSettings::new("a".parse().unwrap());
        let backend = Backend::new(settings, Rows::with(9, kinds));
        let call = Call::unary(Duration::from_secs(1));
        let listed = backend
            .list_attachments(&PageRequest::default(), &call)
            .await;
        assert_eq!(listed.is_ok(), serving == Serving::Yes);
        assert_eq!(backend.health().serving, serving);
    }
}

#[tokio::test]
async fn errors_are_worded_for_what_was_listed() {
    let rows = Rows::new(9);
    *rows.is_down.lock().unwrap() = true;
    let gateway = gateway(&[("a", &rows)]);
    for (of, said) in EACH.into_iter().zip([
        "listing connections: cannot connect",
        "listing IPsec policies: cannot connect",
        "listing attachments: cannot connect",
    ]) {
        let error = page(&gateway, of, query("backends/a", 9, "", "", "")).await;
        assert_eq!(error.unwrap_err().to_string(), said);
    }
}

#[tokio::test]
async fn a_token_is_for_one_kind_of_thing() {
    let rows = Rows::new(9);
    for id in ["1", "2", "3"] {
        rows.put(id, "x");
    }
    let gateway = gateway(&[("a", &rows)]);
    for of in Listable::ALL {
        let first = page(&gateway, of, query("backends/a", 2, "", "", ""))
            .await
            .unwrap();
        for other in Listable::ALL {
            let next = query("backends/a", 2, "", "", &first.next);
            match page(&gateway, other, next).await {
                Ok(second) => assert_eq!((other, ids(&second)), (of, strings(&["a/3"]))),
                Err(error) => {
                    assert_eq!(error.reason, ErrorReason::WrongToken);
                    assert_ne!(other, of);
                }
            }
        }
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
