//! One run: a write, the gateway killed at a certain point of it, and what must hold once it is there again.

use crate::{
    cloud::{Cloud, Dialect, KEYS, TIMEOUT},
    process::{BACKEND, Gateway, PATIENCE, Place, limited},
    support::running::reason,
    trap::{Point, Trap},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use isthmus::grpc::pb::{self, unfinished_write::State};
use prost::Message;
use sha2::{Digest, Sha256};
use std::{fmt, time::Duration};
use tokio::time::{Instant, sleep};
use tonic::{Code, Status};

/// How long a restarted gateway may take for what was begun: what may be on its way needs two seconds to be no longer, and
/// the machine may be busy.
const SETTLED: Duration = Duration::from_secs(40);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    Create,
    Update,
    Delete,
}

/// A run.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    pub dialect: Dialect,
    pub write: Write,
    pub point: Point,
    /// Whether the caller can ask again.
    pub with_id: bool,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = if self.with_id { "" } else { ", without an id" };
        write!(
            f,
            "{:?} {:?} {:?}{id}",
            self.dialect, self.write, self.point
        )
    }
}

/// What the same write leaves, and asks, if nobody is killed.
#[derive(Debug, Clone)]
pub struct Undisturbed {
    /// What there was before.
    pub before: Vec<String>,
    /// What there is after it.
    pub after: Vec<String>,
    /// How many writes the cloud saw.
    pub requests: usize,
}

/// The id of the write that is disturbed, and of the one that prepares it.
const REQUEST: &str = "5f0c1a52-0000-4000-8000-000000000001";
const PREPARATION: &str = "5f0c1a52-0000-4000-8000-000000000002";

/// The answer to a write, in bytes, and what is needed of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    bytes: Vec<u8>,
    name: String,
    token: String,
}

impl Write {
    /// Sends it.
    async fn send(
        self,
        gateway: &Gateway,
        cloud: &Cloud,
        name: &str,
        id: &str,
    ) -> Result<Answer, Status> {
        let mut client = gateway.connections();
        let request_id = id.to_owned();
        match self {
            Write::Create => {
                let (connection, parts) = cloud.everything();
                let request = pb::CreateConnectionRequest {
                    parent: format!("backends/{BACKEND}"),
                    connection: Some(connection),
                    parts: Some(parts),
                    request_id,
                    ..pb::CreateConnectionRequest::default()
                };
                let answer = client.create_connection(limited(request)).await?;
                let answer = answer.into_inner();
                Ok(Answer {
                    bytes: answer.encode_to_vec(),
                    name: answer.connection.unwrap().name,
                    token: answer.write_token,
                })
            }
            Write::Update => {
                let (connection, paths) = cloud.change(name);
                let request = pb::UpdateConnectionRequest {
                    connection: Some(connection),
                    update_mask: Some(prost_types::FieldMask { paths }),
                    request_id,
                    ..pb::UpdateConnectionRequest::default()
                };
                let answer = client.update_connection(limited(request)).await?;
                let answer = answer.into_inner();
                Ok(Answer {
                    bytes: answer.encode_to_vec(),
                    name: name.to_owned(),
                    token: answer.write_token,
                })
            }
            Write::Delete => {
                let request = pb::DeleteConnectionRequest {
                    name: name.to_owned(),
                    request_id,
                    ..pb::DeleteConnectionRequest::default()
                };
                let answer = client.delete_connection(limited(request)).await?;
                let answer = answer.into_inner();
                Ok(Answer {
                    bytes: answer.encode_to_vec(),
                    name: name.to_owned(),
                    token: answer.write_token,
                })
            }
        }
    }

    fn goal(self) -> pb::Goal {
        match self {
            Write::Create | Write::Update => pb::Goal::Config,
            Write::Delete => pb::Goal::Gone,
        }
    }
}

/// A cloud and a gateway over it, up to where the write begins.
struct Stage {
    cloud: Cloud,
    place: Place,
    gateway: Gateway,
    /// The connection that is changed or removed; empty before a create.
    name: String,
}

impl Stage {
    async fn set(dialect: Dialect, write: Write, timeout: Duration) -> Stage {
        let cloud = Cloud::start(dialect, timeout);
        let mut place = Place::new(&cloud);
        let gateway = place.start().await;
        let mut name = String::new();
        if write != Write::Create {
            let made = Write::Create.send(&gateway, &cloud, "", PREPARATION).await;
            let made = made.unwrap();
            // Neutron takes no update of what it has not yet taken in.
            let taken_in = gateway.outcome(&made.name, pb::Goal::Config, &made.token);
            taken_in.await.unwrap();
            name = made.name;
        }
        Stage {
            cloud,
            place,
            gateway,
            name,
        }
    }
}

/// Writes without killing anybody.
pub async fn undisturbed(dialect: Dialect, write: Write) -> Undisturbed {
    let mut stage = Stage::set(dialect, write, TIMEOUT).await;
    let (before, asked) = (stage.cloud.view(), stage.cloud.writes());
    let answer = write
        .send(&stage.gateway, &stage.cloud, &stage.name, REQUEST)
        .await;
    let answer = answer.unwrap_or_else(|status| {
        let ended = stage.gateway.ended();
        let logs = stage.place.logs();
        panic!("{dialect:?} {write:?}: {status:?}, with a gateway that ended {ended:?}\n{logs}")
    });
    let Stage { cloud, gateway, .. } = &stage;
    let outcome = gateway
        .outcome(&answer.name, write.goal(), &answer.token)
        .await;
    assert_eq!(
        outcome.unwrap().result(),
        pb::outcome::Result::Succeeded,
        "{dialect:?} {write:?}"
    );
    assert_eq!(gateway.unfinished().await, []);
    let key = match write {
        Write::Create => vec![KEYS[0].to_owned()],
        Write::Update => vec![KEYS[1].to_owned()],
        Write::Delete => vec![],
    };
    assert_eq!(cloud.keys(), key, "{dialect:?} {write:?}");
    Undisturbed {
        before,
        after: cloud.view(),
        requests: cloud.writes() - asked,
    }
}

/// Plays one run to its end.
pub async fn play(run: Run, undisturbed: &Undisturbed) {
    let stage = Stage::set(run.dialect, run.write, run.point.timeout()).await;
    let Stage {
        cloud,
        mut place,
        gateway,
        name,
    } = stage;
    let id = if run.with_id { REQUEST } else { "" };
    let trap = Trap::set(&cloud, run.point);
    let asked = cloud.writes();
    let told = {
        let sending = run.write.send(&gateway, &cloud, &name, id);
        tokio::pin!(sending);
        tokio::select! {
            told = &mut sending => Some(told),
            () = trap.sprung(&cloud) => None,
            () = sleep(PATIENCE) => panic!("{run}: never came to that point: {}", place.logs()),
        }
    };
    if let Some(Err(status)) = &told {
        panic!("{run}: {status:?}\n{}", place.logs());
    }
    if run.point == Point::Told {
        let requests = cloud.writes() - asked;
        assert_eq!(requests, undisturbed.requests, "{run}: more requests");
    }
    gateway.kill();
    trap.remove(&cloud).await;

    let gateway = place.start().await;
    trap.arrive(&cloud).await;
    let check = Check {
        run,
        undisturbed,
        cloud: &cloud,
        place: &place,
        gateway: &gateway,
        name: &name,
        id,
    };
    let is_whole = check.settled(told.is_some()).await;
    if run.with_id {
        check.repeated(told.map(Result::unwrap), is_whole).await;
    }
    check.marks_are_one();
    gateway.kill();
    no_key_is_written(run, &place);
}

/// What is held against a cloud and a gateway that was killed over it and is there again.
struct Check<'a> {
    run: Run,
    undisturbed: &'a Undisturbed,
    cloud: &'a Cloud,
    place: &'a Place,
    gateway: &'a Gateway,
    /// The connection that is changed or removed.
    name: &'a str,
    /// The id of the write; empty if it has none.
    id: &'a str,
}

impl Check<'_> {
    /// Everything was done or nothing, and the gateway knows which. Answers whether it was done.
    async fn settled(&self, was_told: bool) -> bool {
        let Check { run, .. } = self;
        let begun = Instant::now();
        let unfinished = loop {
            let unfinished = self.gateway.unfinished().await;
            if unfinished.iter().all(|it| it.state() != State::Settling) {
                break unfinished;
            }
            if begun.elapsed() > SETTLED {
                self.fail(&format!("is not settled: {unfinished:#?}"));
            }
            sleep(Duration::from_millis(20)).await;
        };
        let view = self.cloud.view();
        let is_whole = view == self.undisturbed.after;
        if !is_whole && view != self.undisturbed.before {
            self.fail(&format!("leaves a part: {view:#?}"));
        }
        if was_told && !is_whole {
            self.fail("was told to be done, and is not");
        }
        // Its last answer may have been taken in, and the write be over, before the kill.
        let is_certain = match run.point {
            Point::Before(_) | Point::Done(_) | Point::OnTheWay(_) => true,
            Point::Answered(number) => number + 1 < self.undisturbed.requests,
            Point::Told => false,
        };
        let mine: Vec<_> = unfinished
            .iter()
            .filter(|it| it.request_id == self.id)
            .collect();
        if mine.len() > 1 || (is_certain && mine.is_empty()) {
            self.fail(&format!("is not told of once: {unfinished:#?}"));
        }
        for ended in mine {
            let told = match ended.state() {
                State::Finished => true,
                State::Undone => false,
                other => self.fail(&format!("ended as {other:?}: {ended:#?}")),
            };
            if told != is_whole || !ended.leftovers.is_empty() {
                self.fail(&format!("is told wrong (whole: {is_whole}): {ended:#?}"));
            }
        }
        is_whole
    }

    /// The same id gives the same answer, and does nothing that was done.
    async fn repeated(&self, told: Option<Answer>, is_whole: bool) {
        let asked = self.cloud.writes();
        let first = self.repeat().await;
        let requests = self.cloud.writes() - asked;
        if is_whole && requests > 0 {
            self.fail(&format!("is done again, by {requests} requests"));
        }
        if told.is_some_and(|told| told != first) {
            self.fail("is answered otherwise after the kill");
        }
        let asked = self.cloud.writes();
        let second = self.repeat().await;
        if second != first || self.cloud.writes() != asked {
            self.fail("is not answered the same twice");
        }
        let view = self.cloud.view();
        if view != self.undisturbed.after {
            self.fail(&format!("was repeated and leaves {view:#?}"));
        }
        let goal = self.run.write.goal();
        let outcome = self
            .gateway
            .outcome(&first.name, goal, &first.token)
            .await
            .unwrap_or_else(|status| self.fail(&format!("cannot be watched: {status:?}")));
        if outcome.result() != pb::outcome::Result::Succeeded {
            self.fail(&format!("ends with {outcome:?}"));
        }
        self.not_for_another(&first.name).await;
    }

    /// The write with its id once more. What says that it may be tried again is.
    async fn repeat(&self) -> Answer {
        let begun = Instant::now();
        loop {
            let Check { gateway, cloud, .. } = self;
            match self
                .run
                .write
                .send(gateway, cloud, self.name, self.id)
                .await
            {
                Ok(answer) => return answer,
                Err(status) if status.code() == Code::Unavailable && begun.elapsed() < SETTLED => {
                    sleep(Duration::from_millis(50)).await;
                }
                Err(status) => self.fail(&format!("is repeated and gets {status:?}")),
            }
        }
    }

    /// Another request with the id of this one is refused.
    async fn not_for_another(&self, name: &str) {
        let other = match self.run.write {
            Write::Create => Write::Update,
            Write::Update | Write::Delete => Write::Create,
        };
        let asked = self.cloud.writes();
        let refused = other.send(self.gateway, self.cloud, name, self.id).await;
        let refused = refused.expect_err("the id is taken");
        assert_eq!(refused.code(), Code::InvalidArgument, "{}", self.run);
        assert_eq!(reason(&refused), "REQUEST_ID_REUSED", "{}", self.run);
        assert_eq!(self.cloud.writes(), asked, "{}", self.run);
    }

    /// What was made together has one mark, and nothing has none.
    fn marks_are_one(&self) {
        let marks = self.cloud.marks();
        let most = match self.run.write {
            Write::Create => 1,
            // The groups that an update makes have a mark of their own.
            Write::Update => 2,
            Write::Delete => 0,
        };
        if marks.contains_key("") || (self.run.with_id && marks.len() > most) {
            self.fail(&format!("leaves these marks: {marks:#?}"));
        }
    }

    fn fail(&self, what: &str) -> ! {
        let Undisturbed { before, after, .. } = self.undisturbed;
        panic!(
            "{} {what}\nbefore: {before:#?}\nafter: {after:#?}\nnow: {:#?}\n{}",
            self.run,
            self.cloud.view(),
            self.place.logs(),
        )
    }
}

/// No key is in what the gateway keeps or logs, nor a plain hash by which one could be guessed.
fn no_key_is_written(run: Run, place: &Place) {
    let files = place.written();
    assert!(files.len() >= 3, "a store, and a log of each life");
    for key in KEYS {
        let digest = Sha256::digest(key.as_bytes());
        let hex = digest.iter().map(|byte| format!("{byte:02x}"));
        let forms = [
            key.as_bytes().to_vec(),
            STANDARD.encode(key).into_bytes(),
            digest.to_vec(),
            hex.collect::<String>().into_bytes(),
            STANDARD.encode(digest).into_bytes(),
        ];
        for (path, bytes) in &files {
            for form in &forms {
                let found = bytes.windows(form.len()).any(|part| part == form);
                assert!(!found, "{run}: {} has {key}", path.display());
            }
        }
    }
}
