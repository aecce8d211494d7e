//! Half an hour under every attack at once, each at a modest rate, beside a thousand watches under changes.
//!
//! ```text
//!   attackers ──┐                                 ┌── NSX, simulated
//!               ├──► gateway, as shipped, log on disk ┤
//!   customers ──┘                                 └── Neutron, simulated; an agent that moves statuses
//! ```
//!
//! What is asked: does anything grow without end, and does a well-behaved call ever miss its deadline? Memory, open files
//! and tasks of the gateway are read once a second: before the attacks, at their highest, and some time after they ended.
//!
//! `cargo bench --bench soak -- --minutes 30 --after 10`. Not among what a plain `cargo bench` runs.

#[path = "../support/mod.rs"]
mod support;

mod attacks;
mod clouds;
mod customers;

use clouds::Clouds;
use customers::Told;
use serde::{Deserialize, Serialize};
use std::{
    env, fs,
    net::SocketAddr,
    time::{Duration, Instant},
};
use support::{
    gateway,
    machine::{Cores, Meter, cpu_of, memory_of},
    process::{self, Commands, Peer},
    report::{self, Table, number},
};

/// How long the customers are left alone before the first figures are read.
const SETTLE: Duration = Duration::from_secs(60);

fn main() {
    match process::role() {
        None => soak(),
        Some((role, text)) => match role.as_str() {
            "clouds" => process::load(clouds::serve()),
            "gateway" => process::serve(serve_gateway(process::argument(&text))),
            "customers" => process::load(customers::run(process::argument(&text))),
            "attackers" => process::load(attacks::run(process::argument(&text))),
            _ => panic!("no role `{role}`"),
        },
    }
}

/// How many of the runtime's tasks there are.
#[derive(Serialize, Deserialize)]
struct CountTasks;

async fn serve_gateway(clouds: Clouds) {
    let serving = gateway::serve_all(clouds.backends(), gateway::HEARTBEAT, true).await;
    process::answer(&serving.addr);
    let mut commands = Commands::begin();
    while let Some(CountTasks) = commands.next().await {
        let metrics = tokio::runtime::Handle::current().metrics();
        process::answer(&metrics.num_alive_tasks());
    }
}

/// What the gateway holds at a moment.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    mib: f64,
    files: usize,
    tasks: usize,
}

impl Held {
    fn by(gateway: &mut Peer) -> Held {
        let pid = gateway.pid();
        let files = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        Held {
            mib: memory_of(pid) / 1024.0,
            files,
            tasks: gateway.ask(&CountTasks),
        }
    }

    fn highest(self, other: Held) -> Held {
        Held {
            mib: self.mib.max(other.mib),
            files: self.files.max(other.files),
            tasks: self.tasks.max(other.tasks),
        }
    }

    fn row(self, when: &str) -> Vec<String> {
        vec![
            when.to_owned(),
            number(self.mib),
            self.files.to_string(),
            self.tasks.to_string(),
        ]
    }
}

/// `--NAME MINUTES` of the command line.
fn minutes(name: &str, default: f64) -> Duration {
    let mut args = env::args().skip_while(|arg| arg != name);
    let given = args.nth(1).map(|text| {
        text.parse::<f64>()
            .unwrap_or_else(|_| panic!("`{name} {text}`: how many minutes?"))
    });
    Duration::from_secs_f64(60.0 * given.unwrap_or(default))
}

/// Reads what the gateway holds once a second, and says each minute where it stands.
fn follow(gateway: &mut Peer, what: &str, time: Duration) -> Held {
    let begun = Instant::now();
    let mut highest = Held::default();
    let mut told = Duration::ZERO;
    while begun.elapsed() < time {
        process::pause(Duration::from_secs(1).min(time));
        let held = Held::by(gateway);
        highest = highest.highest(held);
        if begun.elapsed() >= told {
            told += Duration::from_secs(60);
            println!(
                "{what}, {:.0} of {:.0} s: {:.0} MiB, {} files, {} tasks",
                begun.elapsed().as_secs_f64(),
                time.as_secs_f64(),
                held.mib,
                held.files,
                held.tasks
            );
        }
    }
    highest
}

fn soak() {
    let quick = support::is_quick();
    let (settle, attacked, after) = match quick {
        true => (
            Duration::from_secs(5),
            Duration::from_secs(20),
            Duration::from_secs(10),
        ),
        false => (SETTLE, minutes("--minutes", 30.0), minutes("--after", 10.0)),
    };
    report::begin("soak: attacks beside watches under changes", quick);
    let cores = Cores::choose();
    let mut clouds = Peer::start("clouds", cores.client, &());
    let known: Clouds = clouds.hear();
    let mut gateway = Peer::start("gateway", cores.server, &known);
    let addr: SocketAddr = gateway.hear();
    let mut customers = Peer::start("customers", cores.client, &(addr, known.clone()));
    customers.hear::<()>();
    let mut attackers = Peer::start("attackers", cores.client, &addr);
    attackers.hear::<()>();

    follow(&mut gateway, "before", settle);
    let (before, idle) = (Held::by(&mut gateway), cpu_of(gateway.pid()));
    let calm: Told = customers.ask(&());
    attackers.tell(&true);
    let meter = Meter::begin(&[
        clouds.pid(),
        gateway.pid(),
        customers.pid(),
        attackers.pid(),
    ]);
    let peak = follow(&mut gateway, "attacked", attacked);
    let busy = cpu_of(gateway.pid()) - idle;
    let others = meter.end().text();
    let counts: attacks::Counts = attackers.ask(&false);
    let attacked_calls: Told = customers.ask(&());
    follow(&mut gateway, "after", after);
    let end = Held::by(&mut gateway);
    let afterwards: Told = customers.ask(&());

    println!();
    let mut held = Table::new(&["the gateway", "RSS, MiB", "open files", "tasks"]);
    held.row(before.row("before the attacks"));
    held.row(peak.row("highest under attack"));
    held.row(end.row(&format!("{:.0} s after", after.as_secs_f64())));
    held.print();
    println!(
        "CPU of the gateway under attack: {} of a core by itself, {} in the kernel; others {others}.\n",
        number(busy.user / attacked.as_secs_f64()),
        number(busy.kernel / attacked.as_secs_f64())
    );
    counts.print();
    println!(
        "NSX refused {} requests for their rate.",
        clouds.ask::<u64>(&())
    );
    for (when, told) in [
        ("before", calm),
        ("attacked", attacked_calls),
        ("after", afterwards),
    ] {
        println!("\nWell-behaved calls, {when}:\n");
        told.print();
    }
}
