//! What can be wrong with the way to the clouds.

use crate::bugs::Bug;
use async_trait::async_trait;
use http::Method;
use isthmus::rest::{
    answer::{Answer, Failure},
    request::Request,
    transport::{Network, Options, Transport},
};
use std::sync::Arc;

/// The network with this bug, or as it is.
pub fn greedy(bug: Option<Bug>, network: Arc<dyn Network>) -> Arc<dyn Network> {
    match bug {
        Some(Bug::RequestsAreRepeated) => Arc::new(Greedy(network)),
        _ => network,
    }
}

#[derive(Debug)]
struct Greedy(Arc<dyn Network>);

impl Network for Greedy {
    fn open(&self, options: &Options) -> Result<Arc<dyn Transport>, String> {
        Ok(Arc::new(Repeats(self.0.open(options)?)))
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
