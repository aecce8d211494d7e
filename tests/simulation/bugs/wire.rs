//! What can be wrong with the way to the clouds.

use crate::bugs::Bug;
use async_trait::async_trait;
use http::Method;
use isthmus::rest::{
    client::{Answer, Failure, Options, Request},
    transport::{Network, Transport},
};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The network with this bug, or as it is.
pub fn greedy(bug: Option<Bug>, network: Arc<dyn Network>) -> Arc<dyn Network> {
    match bug {
        Some(bug @ (Bug::RequestsAreRepeated | Bug::RequestsAreInSingleFile)) => {
            Arc::new(Greedy(bug, network))
        }
        _ => network,
    }
}

#[derive(Debug)]
struct Greedy(Bug, Arc<dyn Network>);

impl Network for Greedy {
    fn open(&self, options: &Options) -> Result<Arc<dyn Transport>, String> {
        let way = self.1.open(options)?;
        Ok(match self.0 {
            Bug::RequestsAreInSingleFile => Arc::new(SingleFile(way, Semaphore::new(1))),
            _ => Arc::new(Repeats(way)),
        })
    }
}

#[derive(Debug)]
struct Repeats(Arc<dyn Transport>);

#[async_trait]
impl Transport for Repeats {
    async fn exchange(&self, request: &Request) -> Result<Answer, Failure> {
        if request.method == Method::GET {
            for _ in 0..3 {
                // Nobody reads what it says.
                let _ = self.0.exchange(request).await;
            }
        }
        self.0.exchange(request).await
    }
}

#[derive(Debug)]
struct SingleFile(Arc<dyn Transport>, Semaphore);

#[async_trait]
impl Transport for SingleFile {
    async fn exchange(&self, request: &Request) -> Result<Answer, Failure> {
        let _turn = self.1.acquire().await;
        self.0.exchange(request).await
    }
}
