//! Which cores there are, what they did during a run, and what a process used of them.

use std::{
    fs,
    ops::{AddAssign, Sub},
    process::Command,
    time::{Duration, Instant},
};

/// `USER_HZ`, in which `/proc` counts time. 100 on every Linux there is.
const TICKS_A_SECOND: f64 = 100.0;
/// The share of the machine that others may use before a result is not to be trusted.
const DISTURBED: f64 = 0.05;

/// The cores of a run.
#[derive(Debug, Clone, Copy)]
pub struct Cores {
    /// Where load is made.
    pub client: usize,
    /// Where what is measured runs, alone.
    pub server: usize,
    /// Where a third process runs: a core of its own if there is one, else the client's.
    pub third: usize,
}

impl Cores {
    /// The first of those that this process may use.
    pub fn choose() -> Cores {
        let status = fs::read_to_string("/proc/self/status").expect("these benches need Linux");
        let list = field(&status, "Cpus_allowed_list:");
        let cores: Vec<usize> = list.split(',').flat_map(range).collect();
        let &[client, server, ..] = cores.as_slice() else {
            panic!("a client and a server need a core each, and there is only `{list}`");
        };
        Cores {
            client,
            server,
            third: cores.get(2).copied().unwrap_or(client),
        }
    }
}

fn range(text: &str) -> std::ops::RangeInclusive<usize> {
    let number = |text: &str| text.trim().parse().expect("a list of numbers");
    match text.split_once('-') {
        Some((first, last)) => number(first)..=number(last),
        None => number(text)..=number(text),
    }
}

/// The machine and its kernel in one line.
pub fn describe() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cores = info
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let model = info.lines().find(|line| line.starts_with("model name"));
    let model = model
        .and_then(|line| line.split_once(": "))
        .map_or("unknown CPU", |(_, model)| model);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cores} cores, {model}, Linux {}", kernel.trim())
}

/// The commit that is measured, with `-dirty` if the sources are not as it has them.
pub fn commit() -> String {
    let mut git = Command::new("git");
    git.args(["-C", env!("CARGO_MANIFEST_DIR")]);
    // Without tags: the README names commits by their hash.
    git.args(["describe", "--always", "--dirty", "--exclude=*"]);
    let known = git.output().ok().filter(|output| output.status.success());
    let known = known.and_then(|output| String::from_utf8(output.stdout).ok());
    known.map_or("unknown".to_owned(), |name| name.trim().to_owned())
}

/// Time on a CPU: of a process by itself, and of the kernel on its behalf. In seconds, unless something else is said.
#[derive(Debug, Default, Clone, Copy)]
pub struct Cpu {
    pub user: f64,
    pub kernel: f64,
}

impl Cpu {
    pub fn sum(self) -> f64 {
        self.user + self.kernel
    }

    /// Microseconds for each of so many.
    pub fn each(self, count: usize) -> Cpu {
        let each = |seconds: f64| seconds * 1e6 / count as f64;
        Cpu {
            user: each(self.user),
            kernel: each(self.kernel),
        }
    }
}

impl Sub for Cpu {
    type Output = Cpu;

    fn sub(self, other: Cpu) -> Cpu {
        Cpu {
            user: self.user - other.user,
            kernel: self.kernel - other.kernel,
        }
    }
}

impl AddAssign for Cpu {
    fn add_assign(&mut self, other: Cpu) {
        self.user += other.user;
        self.kernel += other.kernel;
    }
}

/// What a process has used so far.
pub fn cpu_of(pid: u32) -> Cpu {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold anything.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let seconds = |index: usize| -> f64 {
        let field = fields.split(' ').nth(index);
        let ticks: f64 = field.and_then(|text| text.parse().ok()).unwrap_or_default();
        ticks / TICKS_A_SECOND
    };
    Cpu {
        user: seconds(11),
        kernel: seconds(12),
    }
}

/// Memory that a process holds, in KiB.
pub fn memory_of(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = field(&status, "VmRSS:").trim_end_matches(" kB");
    kib.parse().unwrap_or_default()
}

fn field<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .map_or("", str::trim)
}

/// Measures what the cores did that none of our processes asked for.
#[derive(Debug)]
pub struct Meter {
    pids: Vec<u32>,
    begun: Instant,
    busy: f64,
    ours: f64,
}

/// What a [`Meter`] found.
#[derive(Debug, Clone, Copy)]
pub struct Foreign {
    /// The share of the whole machine that others used.
    pub share: f64,
}

impl Meter {
    /// Begins; `pids` are ours, beside this process.
    pub fn begin(pids: &[u32]) -> Meter {
        let pids: Vec<u32> = pids.iter().copied().chain([std::process::id()]).collect();
        Meter {
            begun: Instant::now(),
            busy: busy().0,
            ours: pids.iter().map(|pid| cpu_of(*pid).sum()).sum(),
            pids,
        }
    }

    /// Ends.
    pub fn end(&self) -> Foreign {
        let (now, cores) = busy();
        let ours: f64 = self.pids.iter().map(|pid| cpu_of(*pid).sum()).sum();
        let foreign = (now - self.busy) - (ours - self.ours);
        let whole = self
            .begun
            .elapsed()
            .max(Duration::from_millis(1))
            .as_secs_f64()
            * cores;
        Foreign {
            share: (foreign / whole).max(0.0),
        }
    }
}

impl Foreign {
    /// For a line of the report.
    pub fn text(self) -> String {
        let percent = self.share * 100.0;
        match self.share > DISTURBED {
            true => format!("{percent:.0} % DISTURBED"),
            false => format!("{percent:.0} %"),
        }
    }
}

/// Seconds that all cores were busy since boot, time taken by the hypervisor included; and how many there are.
fn busy() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let cores = stat
        .lines()
        .filter(|line| line.starts_with("cpu") && !line.starts_with("cpu "))
        .count();
    let all: Vec<f64> = field(&stat, "cpu ")
        .split_whitespace()
        .filter_map(|text| text.parse().ok())
        .collect();
    // user, nice, system, idle, iowait, irq, softirq, steal
    let busy: f64 = [0, 1, 2, 5, 6, 7]
        .iter()
        .filter_map(|at| all.get(*at))
        .sum();
    (busy / TICKS_A_SECOND, cores as f64)
}
