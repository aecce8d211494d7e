//! One run: the hosts, the network between them, and the plan that is played on them.

use crate::{
    acts::Levers,
    bugs::{Bug, Tamper, careless, forgetful, greedy, hasty, jostling, lying},
    clients::Client,
    clouds::{self, Clouds, NSX, OPENSTACK},
    neighbours::Neighbours,
    network::{Listener, Wire},
    plan::Plan,
    record::{BEGIN, History, Record, wall},
    store::Disk,
    writers::{self, Writer},
};
use isthmus::{
    core::{clock, gateway::Gateway, settings::Identity, store::Store},
    dialects,
    server::{self, Settings},
};
use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};
use turmoil::{Builder, net::TcpListener};

/// How long a heartbeat may be in coming.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
/// The step of the simulation: everybody runs so long before the network moves.
pub const TICK: Duration = Duration::from_millis(50);
/// The longest that a message travels.
pub const LATENCY: Duration = Duration::from_millis(60);

/// Plays a run to its end and answers with what was written down.
pub fn run(plan: Plan, bug: Option<Bug>) -> History {
    // Whatever draws from this thread's generator in a run draws the same the next time.
    fastrand::seed(plan.seed);
    clock::set(wall);
    let plan = Arc::new(plan);
    let record = Record::default();
    let clouds = Clouds::new();
    let levers = Arc::<Levers>::default();
    let mut sim = Builder::new()
        .rng_seed(plan.seed)
        .epoch(UNIX_EPOCH + BEGIN)
        .tick_duration(TICK)
        .simulation_duration(plan.end + Duration::from_secs(60))
        .tcp_capacity(4096)
        .build();

    let (shared, seed, calm) = (clouds.clone(), plan.seed, plan.calm);
    let records = record.clone();
    sim.host(NSX, move || {
        shared.clone().run_nsx(records.clone(), seed ^ 1, calm)
    });
    let (shared, records) = (clouds.clone(), record.clone());
    sim.host(OPENSTACK, move || {
        shared
            .clone()
            .run_openstack(records.clone(), seed ^ 2, calm)
    });
    let (records, pulled) = (record.clone(), Arc::clone(&levers));
    let disk = plan.durable.then(Disk::default);
    let store = disk
        .clone()
        .map(|disk| forgetful(bug, careless(bug, Arc::new(disk) as Arc<dyn Store>)));
    sim.host("gateway", move || {
        gateway(records.clone(), Arc::clone(&pulled), store.clone(), bug)
    });
    let board = crate::clients::Board::default();
    for number in 0..plan.clients {
        let client = Client {
            number,
            record: record.clone(),
            plan: Arc::clone(&plan),
            board: Arc::clone(&board),
            tamper: Tamper::new(bug, number),
            watchers: Arc::default(),
        };
        sim.client(format!("client-{number}"), client.run());
    }
    let mut beside = Vec::new();
    if let Some(load) = &plan.load {
        let neighbours = Neighbours {
            record: record.clone(),
            plan: Arc::clone(&plan),
            clouds: clouds.clone(),
            disk,
        };
        for (number, greedy) in load.greedy.iter().enumerate() {
            let reader = format!("reader-{number}");
            sim.client(reader.as_str(), neighbours.clone().read(greedy.clone()));
            beside.push(reader);
        }
        sim.client("neighbour", neighbours.live());
        beside.push("neighbour".to_owned());
    }

    if let Some(composites) = &plan.composites {
        let labels = writers::labels(composites);
        labels.iter().for_each(|label| clouds.make_room(label));
        record.history().lookalikes = labels;
        for number in 0..composites.writers {
            let writer = Writer {
                number,
                record: record.clone(),
                plan: Arc::clone(&plan),
                clouds: clouds.clone(),
                tamper: Tamper::new(bug, number),
            };
            let host = format!("writer-{number}");
            sim.client(host.as_str(), writer.run());
            beside.push(host);
        }
    }

    // The same for all that travels between two hosts, so that nothing depends on the order of what is sent at the
    // same instant.
    let mut rng = fastrand::Rng::with_seed(plan.seed);
    for peer in [NSX.to_owned(), OPENSTACK.to_owned()]
        .into_iter()
        .chain((0..plan.clients).map(|number| format!("client-{number}")))
        .chain(beside)
    {
        let latency = Duration::from_millis(rng.u64(1..=LATENCY.as_millis() as u64));
        sim.set_link_latency("gateway", peer.as_str(), latency);
    }

    let mut acts = plan.acts.iter().peekable();
    loop {
        while let Some((_, act)) = acts.next_if(|(at, _)| *at <= sim.elapsed()) {
            act.play(&mut sim, &clouds, &record, &levers);
        }
        if plan.composites.is_some() {
            let mut history = record.history();
            for (name, count) in clouds.composites() {
                let most = history.most_at_once.entry(name).or_default();
                *most = count.max(*most);
            }
        }
        match sim.step() {
            Ok(false) => {}
            Ok(true) => break,
            Err(error) => panic!("seed {}: the simulation broke: {error}", plan.seed),
        }
    }
    record.history().end = sim.elapsed();
    record.history().estate = clouds.estate();
    drop(sim);
    record.into_history()
}

/// The gateway's host: one life after the other, if it drains.
async fn gateway(
    record: Record,
    levers: Arc<Levers>,
    disk: Option<Arc<dyn Store>>,
    bug: Option<Bug>,
) -> turmoil::Result {
    loop {
        record.line("the gateway starts");
        let wire = Wire {
            record: record.clone(),
        };
        let network = greedy(bug, Arc::new(wire));
        let bound = |identity| {
            let backends = clouds::backends().into_iter().map(|mut given| {
                let dialect = dialects::connect_over(&given, &*network).expect("the settings work");
                given.core.identity = Identity::of_hash(identity);
                (given.core, hasty(bug, jostling(bug, lying(bug, dialect))))
            });
            backends.collect()
        };
        let backends = bound(0);
        let gateway = match &disk {
            Some(disk) => Gateway::start_with_store(backends, HEARTBEAT, Arc::clone(disk)).await?,
            None => Gateway::start(backends, HEARTBEAT),
        };
        let listener = Listener(TcpListener::bind(("0.0.0.0", 50051)).await?);
        let settings = Settings {
            allow_non_loopback: true,
            // A connection that lost something is found out as quickly as by the clients.
            keepalive_interval: Duration::from_secs(8),
            keepalive_timeout: Duration::from_secs(4),
            ..Settings::default()
        };
        let reloads = async {
            for identity in 1.. {
                levers.reload.notified().await;
                let reloaded = gateway.reload(bound(identity)).await;
                record.line(format!("the gateway was reloaded: {reloaded:?}"));
            }
        };
        let shutdown = levers.drain.notified();
        tokio::select! {
            biased;
            served = server::run(listener, Arc::clone(&gateway), settings, shutdown) => served?,
            () = reloads => {}
        }
        gateway.shut_down(Duration::from_secs(5)).await;
        record.line("the gateway has drained");
    }
}
