//! An in-memory cloud whose connections consist of several objects. It refuses to remove what is used, and loses
//! answers.
//!
//! ```text
//!   seam (the cloud as a dialect) ──► this file (its objects, and what a request does to them)
//! ```

mod parts;
mod said;
mod seam;

use super::Doom;
use crate::{
    core::{
        dialect::{Action, Call, Done, Made, Mark, Page, PageRequest, Plan, Step},
        error::{Error, ErrorKind, ErrorReason, Result},
    },
    model::{Connection, Resource, ResourceKind, Selectors, Settings},
};
use async_trait::async_trait;
use said::Said;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::oneshot;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The cloud refuses the request.
    Refused,
    /// Another client changed the object first.
    Stale,
    /// The cloud performs the request, but its answer is lost.
    LostAnswer,
    /// The request is lost on its way, and the gateway cannot know.
    LostRequest,
}

type Key = (String, String);

#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    pub mark: Option<Mark>,
    pub refers_to: Vec<Key>,
    /// The content, as text; see `said`.
    pub value: String,
    /// The mark of the last write.
    nonce: Option<Mark>,
}

/// The state of the cloud.
#[derive(Debug, Default)]
pub struct World {
    pub objects: BTreeMap<Key, Object>,
    next: u32,
    /// The number of requests that change something.
    pub requests: u32,
    /// A fault, and which of the following requests it hits.
    pub fault: Option<(u32, Fault)>,
    /// The collection from which the account may not remove anything.
    pub protected: Option<&'static str>,
    /// Whether a connection's references are fixed once it is created.
    pub fixed: bool,
    /// Whether connections carry no mark.
    pub unmarked: bool,
    /// The address of the cloud.
    pub address: Option<&'static str>,
    /// How many times a key was written to an existing object.
    pub keys: u32,
    /// Signals when the next list of connections has been read, then holds its answer back.
    pub slow_list: Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>,
}

#[derive(Debug)]
pub struct Cloud {
    world: Mutex<World>,
    doom: Arc<Doom>,
}

fn key(collection: &str, id: &str) -> Key {
    (collection.to_owned(), id.to_owned())
}

fn missing(collection: &str) -> Error {
    let reason = match collection {
        "connections" => ErrorReason::ConnectionNotFound,
        _ => ErrorReason::ResourceNotFound,
    };
    Error::new(ErrorKind::NotFound, reason, "it is not there")
}

impl World {
    pub fn put(&mut self, collection: &str, id: &str, value: &str, mark: Option<Mark>) {
        let object = Object {
            mark,
            refers_to: Vec::new(),
            value: value.to_owned(),
            nonce: None,
        };
        self.objects.insert(key(collection, id), object);
    }

    /// Another client creates an object that uses another one.
    pub fn put_using(&mut self, collection: &str, id: &str, uses: (&str, &str)) {
        self.put(collection, id, "", None);
        let object = self.objects.get_mut(&key(collection, id)).unwrap();
        object.refers_to.push(key(uses.0, uses.1));
    }

    /// Returns the collection of each object, sorted.
    pub fn there(&self) -> Vec<&str> {
        self.objects.keys().map(|(it, _)| it.as_str()).collect()
    }

    fn make(&mut self, step: &Step, refers_to: Vec<Key>) -> String {
        self.next += 1;
        let id = format!("{:03}", self.next);
        let object = Object {
            mark: step.mark.clone(),
            refers_to,
            value: text(&step.memo, "after"),
            nonce: None,
        };
        self.objects.insert(key(&step.collection, &id), object);
        id
    }

    fn remove(&mut self, collection: &str, id: &str) -> Result<()> {
        if self.protected == Some(collection) {
            let kind = ErrorKind::PermissionDenied;
            return Err(Error::new(kind, ErrorReason::UpstreamDenied, "it may not"));
        }
        let it = key(collection, id);
        if self
            .objects
            .values()
            .any(|other| other.refers_to.contains(&it))
        {
            let kind = ErrorKind::FailedPrecondition;
            return Err(Error::new(kind, ErrorReason::InUse, "it is in use"));
        }
        let removed = self.objects.remove(&it);
        removed.map(drop).ok_or_else(|| missing(collection))
    }

    fn get(&self, collection: &str, id: &str) -> Result<&Object> {
        let found = self.objects.get(&key(collection, id));
        found.ok_or_else(|| missing(collection))
    }

    fn connection(&self, id: &str) -> Result<Connection> {
        let object = self.get("connections", id)?;
        let of = |collection: &str| {
            let mut found = object.refers_to.iter().filter(|it| it.0 == collection);
            found.next().map(|(_, id)| id.clone())
        };
        let mut connection = Connection {
            id: id.to_owned(),
            admin_enabled: Some(true),
            ike_policy: of("ikePolicies"),
            vpn_service: of("vpnServices"),
            local_endpoint: of("localEndpoints"),
            selectors: of("endpointGroups").map(|group| Selectors::EndpointGroups {
                local: group.clone(),
                peer: group,
            }),
            etag: object.value.clone(),
            managed: object.mark.is_some() && !self.unmarked,
            ..Connection::default()
        };
        Said::read(&object.value).put_into(&mut connection);
        Ok(connection)
    }

    fn resource(&self, kind: ResourceKind, id: &str) -> Result<Resource> {
        let object = self.get(kind.collection().segment(), id)?;
        let mut spec = said::part(kind, &object.value);
        if let Settings::LocalEndpoint(endpoint) = &mut spec.settings {
            endpoint.vpn_service = object.refers_to.first().map(|(_, id)| id.clone());
        }
        Ok(Resource {
            id: id.to_owned(),
            spec,
            etag: object.value.clone(),
            managed: object.mark.is_some(),
            joint: is_joint(object),
            create_time: None,
            update_time: None,
            native_words: Default::default(),
            details: None,
            native: Default::default(),
        })
    }
}

fn is_joint(object: &Object) -> bool {
    object
        .mark
        .as_ref()
        .is_some_and(|mark| Mark::is_joint(mark.as_str()))
}

fn text(memo: &Value, of: &str) -> String {
    memo[of].as_str().unwrap_or_default().to_owned()
}

impl Cloud {
    pub fn new(doom: Arc<Doom>) -> Cloud {
        Cloud {
            world: Mutex::default(),
            doom,
        }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Performs a request that changes something.
    async fn request<T>(&self, apply: impl FnOnce(&mut World) -> Result<T>) -> Result<T> {
        self.doom.point().await;
        let fault = {
            let mut world = self.world();
            world.requests += 1;
            match &mut world.fault {
                Some((left, fault)) => {
                    *left -= 1;
                    let fault = (*left == 0).then_some(*fault);
                    world.fault = world.fault.take_if(|(left, _)| *left > 0);
                    fault
                }
                None => None,
            }
        };
        let lost = || {
            Error::new(
                ErrorKind::Ambiguous,
                ErrorReason::WriteAmbiguous,
                "no answer",
            )
        };
        let answer = match fault {
            Some(Fault::Refused) => Err(Error::new(
                ErrorKind::FailedPrecondition,
                ErrorReason::WrongState,
                "refused",
            )),
            Some(Fault::Stale) => Err(Error::new(
                ErrorKind::Stale,
                ErrorReason::StaleEtag,
                "changed meanwhile",
            )),
            Some(Fault::LostRequest) => Err(lost()),
            Some(Fault::LostAnswer) => apply(&mut self.world()).and_then(|_| Err(lost())),
            None => apply(&mut self.world()),
        };
        self.doom.point().await;
        answer
    }

    fn page<T>(
        &self,
        collection: &str,
        page: &PageRequest,
        read: impl Fn(&World, &str) -> Result<T>,
    ) -> Result<Page<T>> {
        let world = self.world();
        let ids = world.objects.keys().filter(|it| it.0 == collection);
        let ids = ids.map(|(_, id)| id.clone());
        let mut ids: Vec<String> = ids.filter(|id| page.after.as_ref() < Some(id)).collect();
        // Pages are small, whatever size is requested.
        let is_more = ids.len() > 2;
        ids.truncate(2);
        Ok(Page {
            next: ids.last().cloned().filter(|_| is_more),
            items: ids
                .iter()
                .map(|id| read(&world, id))
                .collect::<Result<_>>()?,
        })
    }

    fn planned<W>(
        &self,
        steps: Vec<Step>,
        refers_to: Vec<Key>,
        written: impl Fn(&Cloud, &[Step]) -> W + Send + 'static,
    ) -> Box<dyn Plan<W> + '_>
    where
        W: Send + 'static,
    {
        Box::new(Planned {
            cloud: self,
            steps,
            refers_to,
            written: Box::new(written),
        })
    }
}

/// What a plan leaves once its steps are done.
type Leaves<W> = Box<dyn Fn(&Cloud, &[Step]) -> W + Send>;

struct Planned<'a, W> {
    cloud: &'a Cloud,
    steps: Vec<Step>,
    refers_to: Vec<Key>,
    written: Leaves<W>,
}

#[async_trait]
impl<W: Send> Plan<W> for Planned<'_, W> {
    fn steps(&self) -> &[Step] {
        &self.steps
    }

    async fn perform(&mut self, index: usize, made: &Made, _: &Call) -> Result<Done> {
        let step = self.steps[index].clone();
        let is_last_made = self.steps[index + 1..]
            .iter()
            .all(|it| it.action != Action::Create);
        let mut refers_to = Vec::new();
        if step.collection == "connections" {
            refers_to = self.refers_to.clone();
            let made = made
                .iter()
                .map(|(kind, id)| key(kind.collection().segment(), id));
            refers_to.extend(made);
            for own in &self.steps[..index] {
                refers_to.push(key(&own.collection, own.id.as_deref().unwrap()));
            }
            assert!(is_last_made);
        } else if step.collection == "localEndpoints" {
            refers_to.clone_from(&self.refers_to);
            let service = made.get(&ResourceKind::VpnService);
            refers_to.extend(service.map(|id| key("vpnServices", id)));
            assert_eq!(refers_to.len(), 1, "an endpoint belongs to a service");
        }
        let change = |world: &mut World| match (step.action, &step.id) {
            (Action::Create, _) => Ok(world.make(&step, refers_to)),
            (Action::Update, Some(id)) => {
                let it = key(&step.collection, id);
                let object = world.objects.get_mut(&it).ok_or_else(|| missing(&it.0))?;
                if !step.bears_key {
                    object.value = text(&step.memo, "after");
                }
                object.nonce.clone_from(&step.mark);
                if it.0 == "connections" {
                    let is_new = |it: &Key| refers_to.iter().any(|new| new.0 == it.0);
                    object.refers_to.retain(|it| !is_new(it));
                    object.refers_to.extend(refers_to);
                }
                world.keys += u32::from(step.bears_key);
                Ok(id.clone())
            }
            (Action::Delete, Some(id)) => world.remove(&step.collection, id).map(|()| id.clone()),
            other => panic!("{other:?}"),
        };
        let id = self.cloud.request(change).await?;
        self.steps[index].id = Some(id.clone());
        Ok(Done {
            id,
            request_id: None,
        })
    }

    fn written(self: Box<Self>) -> W {
        (self.written)(self.cloud, &self.steps)
    }
}
