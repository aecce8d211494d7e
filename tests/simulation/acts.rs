//! What is done to the world in a run, and what is written down of it.

use crate::{
    clouds::{Clouds, NSX, OPENSTACK},
    record::{Fact, Record, Trouble, TroubleKind, What},
};
use http::{Method, StatusCode};
use isthmus::simulator::faults::{Answer, Fault, Gate, Rule};
use serde_json::json;
use std::{ops::Range, time::Duration};
use tokio::sync::Notify;
use turmoil::Sim;

/// Something that is done to the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    Partition(String),
    Hold(String),
    /// Ends a partition or a hold.
    Repair(String),
    Kill,
    Start,
    Drain,
    /// The gateway's configuration is another: each cloud is spoken to by a dialect made anew.
    Reload,
    /// A cloud answers so much later.
    Slow(&'static str, Duration),
    /// A cloud answers 503.
    Down(&'static str),
    /// A cloud resets what it is asked.
    Reset(&'static str),
    /// A cloud handles writes and loses the answers.
    LoseAnswers(&'static str),
    /// A cloud handles writes and keeps the answers back.
    HoldAnswers(&'static str),
    /// A cloud makes no connections, and says so for certain.
    RefuseConnections(&'static str),
    /// What stands before a cloud says 503 to writes, which are on their way and come so much later.
    Late(&'static str, Duration),
    /// A cloud handles writes, and what stands before it says 503.
    Disown(&'static str),
    /// A cloud does not answer how far connections are.
    HangPolls(&'static str),
    /// A cloud does not answer about one of its connections, whichever that is then.
    HangOne(&'static str, usize),
    /// A cloud answers this about one of its connections.
    Refuse(&'static str, usize, StatusCode),
    /// A cloud answers as it should again.
    Behave(&'static str),
    /// Somebody else makes connections at a cloud, with these numbers.
    Make(&'static str, Range<u32>),
    /// Somebody else removes them.
    Remove(&'static str, Range<u32>),
    /// Every login at a cloud ends.
    Expire(&'static str),
}

/// What has the gateway do something by itself.
#[derive(Debug, Default)]
pub struct Levers {
    pub drain: Notify,
    pub reload: Notify,
}

impl Act {
    /// Does it, and writes down for how long what is in trouble: until this or the next act on it.
    pub fn play(&self, sim: &mut Sim<'_>, clouds: &Clouds, record: &Record, levers: &Levers) {
        let at = sim.elapsed();
        record.history().line(at, &format!("*** {self:?}"));
        match self {
            Act::Partition(peer) => {
                sim.partition("gateway", peer.as_str());
                begins(record, at, of_peer(peer));
            }
            Act::Hold(peer) => {
                sim.hold("gateway", peer.as_str());
                begins(record, at, of_peer(peer));
            }
            Act::Repair(peer) => {
                sim.release("gateway", peer.as_str());
                sim.repair("gateway", peer.as_str());
                ends(record, at, &of_peer(peer));
            }
            Act::Kill => {
                sim.crash("gateway");
                begins(record, at, TroubleKind::Gateway);
            }
            Act::Start => {
                sim.bounce("gateway");
                // It may have been started already by an act that overlapped; then this has killed it again.
                begins(record, at, TroubleKind::Gateway);
                ends(record, at, &TroubleKind::Gateway);
            }
            Act::Drain => {
                levers.drain.notify_one();
                begins(record, at, TroubleKind::Gateway);
                // The server's grace, at most.
                ends(record, at + Duration::from_secs(10), &TroubleKind::Gateway);
            }
            Act::Reload => levers.reload.notify_one(),
            Act::Slow(cloud, delay) => spoil(clouds, record, at, cloud, Fault::Delay(*delay)),
            Act::Down(cloud) => {
                let answer = Answer::status(StatusCode::SERVICE_UNAVAILABLE);
                spoil(clouds, record, at, cloud, Fault::Answer(answer));
            }
            Act::Reset(cloud) => spoil(clouds, record, at, cloud, Fault::CutBeforeHandling),
            Act::LoseAnswers(cloud) => spoil(clouds, record, at, cloud, Fault::CutAfterHandling),
            Act::HoldAnswers(cloud) => {
                let fault = Fault::HoldAnswer(Gate::default());
                spoil_writes(clouds, record, at, cloud, fault);
            }
            Act::RefuseConnections(cloud) => {
                let (path, body) = match *cloud {
                    NSX => (
                        "/sessions$",
                        json!({ "httpStatus": "CONFLICT", "error_code": 600, "module_name": "common-services",
                            "error_message": "There is no room for it." }),
                    ),
                    _ => (
                        "/ipsec-site-connections$",
                        json!({ "NeutronError": { "type": "OverQuota", "detail": "",
                            "message": "Quota exceeded for resources: ['ipsec_site_connection']." } }),
                    ),
                };
                let refusal = Fault::Answer(Answer::json(StatusCode::CONFLICT, &body));
                strike(clouds, cloud, &Rule::on(Method::POST, path, refusal));
                begins(record, at, TroubleKind::Upstream(cloud));
            }
            Act::Late(cloud, delay) => {
                let fault = Fault::AnswerMeanwhile(Answer::html_unavailable(), *delay);
                spoil_writes(clouds, record, at, cloud, fault);
            }
            Act::Disown(cloud) => {
                let fault = Fault::AnswerAfterHandling(Answer::html_unavailable());
                spoil_writes(clouds, record, at, cloud, fault);
            }
            Act::Expire(cloud) => clouds.expire_logins(cloud),
            Act::HangPolls(cloud) => {
                let hangs = Fault::Delay(FOR_EVER);
                let rules = match *cloud {
                    NSX => vec![
                        Rule::on(Method::GET, "/state$", hangs.clone()),
                        Rule::on(Method::GET, "/status$", hangs),
                    ],
                    _ => vec![Rule::at("/ipsec-site-connections", hangs).query("fields=status")],
                };
                for rule in rules {
                    strike(clouds, cloud, &rule);
                }
                begins(record, at, TroubleKind::Polls(cloud));
            }
            Act::HangOne(cloud, which) => {
                if let Some(id) = pick(clouds, cloud, *which) {
                    strike(clouds, cloud, &about(&id, Fault::Delay(FOR_EVER)));
                    begins(record, at, TroubleKind::One(cloud, id));
                }
            }
            Act::Refuse(cloud, which, status) => {
                if let Some(id) = pick(clouds, cloud, *which) {
                    let answer = Fault::Answer(Answer::status(*status));
                    strike(clouds, cloud, &about(&id, answer));
                    begins(record, at, TroubleKind::One(cloud, id.clone()));
                    begins(record, at, TroubleKind::Throttled(cloud));
                }
            }
            Act::Behave(cloud) => {
                for site in clouds.sites(cloud) {
                    site.faults().clear();
                }
                end_where(record, at, |kind| match kind {
                    TroubleKind::Upstream(of)
                    | TroubleKind::Polls(of)
                    | TroubleKind::One(of, _)
                    | TroubleKind::Throttled(of) => of == cloud,
                    TroubleKind::Client(_) | TroubleKind::Gateway => false,
                });
            }
            Act::Make(cloud, numbers) => {
                for id in numbers.clone().filter_map(|it| clouds.make(cloud, it)) {
                    becomes(record, at, cloud, id, What::Made);
                }
            }
            Act::Remove(cloud, numbers) => {
                for id in numbers.clone().filter_map(|it| clouds.remove(cloud, it)) {
                    becomes(record, at, cloud, id, What::Vanished);
                }
            }
        }
    }
}

/// Longer than anybody waits for an answer.
const FOR_EVER: Duration = Duration::from_secs(60);

/// One of the connections that a cloud has, so far into them.
fn pick(clouds: &Clouds, cloud: &str, which: usize) -> Option<String> {
    let ids = clouds.ids(cloud);
    ids.get(which % ids.len().max(1)).cloned()
}

/// What happens to requests about one connection.
fn about(id: &str, fault: Fault) -> Rule {
    Rule::at(format!("/{id}"), fault)
}

fn becomes(record: &Record, at: Duration, backend: &'static str, id: String, what: What) {
    let mut history = record.history();
    history.line(at, &format!("{backend} {id} {what:?}"));
    history.facts.push(Fact {
        at,
        backend,
        id,
        what,
    });
}

fn spoil(clouds: &Clouds, record: &Record, at: Duration, cloud: &'static str, fault: Fault) {
    strike(clouds, cloud, &Rule::any(fault));
    begins(record, at, TroubleKind::Upstream(cloud));
}

fn spoil_writes(clouds: &Clouds, record: &Record, at: Duration, cloud: &'static str, fault: Fault) {
    strike(clouds, cloud, &Rule::writes("/vpn/", fault));
    begins(record, at, TroubleKind::Upstream(cloud));
}

fn strike(clouds: &Clouds, cloud: &str, rule: &Rule) {
    for site in clouds.sites(cloud) {
        site.faults().inject(rule.clone());
    }
}

fn of_peer(peer: &str) -> TroubleKind {
    match peer {
        NSX => TroubleKind::Upstream(NSX),
        OPENSTACK => TroubleKind::Upstream(OPENSTACK),
        client => {
            let number = client.trim_start_matches("client-").parse();
            TroubleKind::Client(number.expect("hosts are clouds, the gateway and clients"))
        }
    }
}

fn begins(record: &Record, at: Duration, kind: TroubleKind) {
    let mut history = record.history();
    history.troubles.push(Trouble {
        from: at,
        to: Duration::MAX,
        kind,
    });
}

/// Ends all of a kind that are going on: a repaired link is repaired, whatever broke it.
fn ends(record: &Record, at: Duration, kind: &TroubleKind) {
    end_where(record, at, |it| it == kind);
}

fn end_where(record: &Record, at: Duration, is: impl Fn(&TroubleKind) -> bool) {
    let mut history = record.history();
    for trouble in &mut history.troubles {
        if is(&trouble.kind) && trouble.to == Duration::MAX {
            trouble.to = at;
        }
    }
}
