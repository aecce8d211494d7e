//! Where the gateway is killed, and what holds the cloud up until it is.

use crate::{
    cloud::{Cloud, TIMEOUT},
    process::PATIENCE,
};
use http::Method;
use isthmus::simulator::faults::{Fault, Gate, Rule};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Below this path lie all VPN objects of either cloud, and no login.
const VPN: &str = "/vpn/";

/// When the gateway is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The n-th write has arrived at the cloud, and is never handled.
    Before(usize),
    /// The n-th write is done, and its answer was never sent.
    Done(usize),
    /// The answer of the n-th write has gone out, and whatever is asked next is never handled.
    Answered(usize),
    /// The n-th write has left the gateway and is on its way; it arrives when the next gateway has begun to look for it.
    OnTheWay(usize),
    /// The caller has its answer.
    Told,
}

impl Point {
    /// How long the gateway waits for a request.
    pub fn timeout(self) -> Duration {
        match self {
            // What is on its way comes in time, however slowly the next gateway starts.
            Point::OnTheWay(_) => 4 * TIMEOUT,
            _ => TIMEOUT,
        }
    }
}

/// What holds a request up, so that the gateway can be killed meanwhile.
pub struct Trap {
    point: Point,
    gate: Gate,
    next: Gate,
}

impl Trap {
    /// Sets it: from now on, writes are counted.
    pub fn set(cloud: &Cloud, point: Point) -> Trap {
        let (gate, next) = (Gate::default(), Gate::default());
        let (number, fault) = match point {
            Point::Before(number) => (number, Fault::Hold(gate.clone())),
            Point::Done(number) | Point::Answered(number) => {
                (number, Fault::HoldAnswer(gate.clone()))
            }
            Point::OnTheWay(number) => (number, Fault::HoldOnTheWay(gate.clone())),
            Point::Told => return Trap { point, gate, next },
        };
        let skip = u32::try_from(number).unwrap();
        cloud
            .faults()
            .inject(Rule::writes(VPN, fault).after(skip).times(1));
        Trap { point, gate, next }
    }

    /// Waits until the gateway is at the point where it is to be killed.
    pub async fn sprung(&self, cloud: &Cloud) {
        match self.point {
            Point::Before(_) | Point::Done(_) | Point::OnTheWay(_) => self.gate.reached(1).await,
            Point::Answered(_) => {
                self.gate.reached(1).await;
                cloud
                    .faults()
                    .inject(Rule::any(Fault::Hold(self.next.clone())));
                self.gate.open();
                self.next.reached(1).await;
            }
            Point::Told => std::future::pending().await,
        }
    }

    /// Lets the cloud be as it should, once everything that was held has ended with its client.
    pub async fn remove(&self, cloud: &Cloud) {
        let outlive = usize::from(matches!(self.point, Point::OnTheWay(_)));
        until(|| cloud.requests().in_flight() <= outlive).await;
        cloud.faults().clear();
        cloud.requests().clear();
    }

    /// Lets what is on its way arrive, once the next gateway has asked for something.
    pub async fn arrive(&self, cloud: &Cloud) {
        if matches!(self.point, Point::OnTheWay(_)) {
            until(|| cloud.requests().count(&Method::GET, "/") > 0).await;
            self.gate.open();
        }
    }
}

/// Looks until it is so.
async fn until(is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "it never becomes so");
        sleep(Duration::from_millis(5)).await;
    }
}
