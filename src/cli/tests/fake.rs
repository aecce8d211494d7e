//! A gateway that answers calls by name, with the JSON of a test.

use crate::cli::{call::ByDescriptor, json};
use futures_util::future::BoxFuture;
use prost_reflect::DynamicMessage;
use serde_json::Value;
use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};
use tonic::{Request, Response, Status, body::Body, codegen::http, server::NamedService};
use tower::Service;

pub const CONNECTIONS: usize = 0;
pub const POLICIES: usize = 1;
pub const TOPOLOGY: usize = 2;
pub const BACKENDS: usize = 3;

/// A call, and its parent.
type Asked = (String, String);

/// The fixed answer to each call, and the requests received.
#[derive(Clone, Default)]
pub struct Fake {
    answers: Arc<Mutex<HashMap<String, Value>>>,
    of_parents: Arc<Mutex<HashMap<Asked, Result<Value, Status>>>>,
    refusals: Arc<Mutex<VecDeque<Status>>>,
    /// The coming results of each call: `None` is an answer.
    refused: Arc<Mutex<HashMap<String, VecDeque<Option<Status>>>>>,
    asked: Arc<Mutex<Vec<(String, DynamicMessage)>>>,
}

impl Fake {
    /// Answers a call with this message, as JSON. Calls without an answer are UNIMPLEMENTED.
    pub fn answer(&self, call: &str, message: Value) {
        self.answers
            .lock()
            .unwrap()
            .insert(call.to_owned(), message);
    }

    /// Answers a call for one parent, in preference to the answer for all.
    pub fn answer_of(&self, call: &str, parent: &str, answer: Result<Value, Status>) {
        let key = (call.to_owned(), parent.to_owned());
        self.of_parents.lock().unwrap().insert(key, answer);
    }

    fn answered(&self, call: &str, request: &DynamicMessage) -> Result<Value, Status> {
        let parent = request.get_field_by_name("parent");
        let parent = parent.as_deref().and_then(|it| it.as_str());
        let key = (call.to_owned(), parent.unwrap_or_default().to_owned());
        if let Some(answer) = self.of_parents.lock().unwrap().get(&key) {
            return answer.clone();
        }
        let answer = self.answers.lock().unwrap().get(call).cloned();
        answer.ok_or_else(|| Status::unimplemented("not in this script"))
    }

    /// Refuses the next call, after the refusals already queued.
    pub fn refuse_next(&self, status: Status) {
        self.refusals.lock().unwrap().push_back(status);
    }

    /// Refuses this call once, after the results already queued for it.
    pub fn refuse(&self, call: &str, status: Status) {
        self.next(call, Some(status));
    }

    /// Answers this call once, before the refusals queued after this.
    pub fn pass(&self, call: &str) {
        self.next(call, None);
    }

    fn next(&self, call: &str, refusal: Option<Status>) {
        let mut refused = self.refused.lock().unwrap();
        let of_call = refused.entry(call.to_owned()).or_default();
        of_call.push_back(refusal);
    }

    /// Returns the requests since the last call of this method.
    pub fn asked(&self) -> Vec<(String, DynamicMessage)> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// The same as JSON.
    pub fn asked_json(&self) -> Vec<(String, Value)> {
        let asked = self.asked().into_iter();
        asked
            .map(|(call, it)| (call, serde_json::to_value(it).unwrap()))
            .collect()
    }
}

/// One service of the fake.
#[derive(Clone)]
pub struct Of<const SERVICE: usize>(pub Fake);

impl NamedService for Of<CONNECTIONS> {
    const NAME: &'static str = "isthmus.v1.ConnectionService";
}

impl NamedService for Of<POLICIES> {
    const NAME: &'static str = "isthmus.v1.PolicyService";
}

impl NamedService for Of<TOPOLOGY> {
    const NAME: &'static str = "isthmus.v1.TopologyService";
}

impl NamedService for Of<BACKENDS> {
    const NAME: &'static str = "isthmus.v1.BackendService";
}

impl<const SERVICE: usize> Service<http::Request<Body>> for Of<SERVICE> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let fake = self.0.clone();
        Box::pin(async move {
            let path = request.uri().path().to_owned();
            let (service, call) = path[1..].split_once('/').unwrap();
            let method = json::method(service.strip_prefix("isthmus.v1.").unwrap(), call);
            let call = call.to_owned();
            let (input, output) = (method.input(), method.output());
            let handler = tower::service_fn(move |request: Request<DynamicMessage>| {
                let request = request.into_inner();
                let answer = fake.answered(&call, &request);
                fake.asked.lock().unwrap().push((call.clone(), request));
                if let Some(refusal) = fake.refusals.lock().unwrap().pop_front() {
                    return std::future::ready(Err(refusal));
                }
                let refused = fake
                    .refused
                    .lock()
                    .unwrap()
                    .get_mut(&call)
                    .and_then(VecDeque::pop_front)
                    .flatten();
                if let Some(refusal) = refused {
                    return std::future::ready(Err(refusal));
                }
                let answer = answer
                    .map(|answer| DynamicMessage::deserialize(output.clone(), answer).unwrap())
                    .map(Response::new);
                std::future::ready(answer)
            });
            let mut grpc = tonic::server::Grpc::new(ByDescriptor(input));
            Ok(grpc.unary(handler, request).await)
        })
    }
}
