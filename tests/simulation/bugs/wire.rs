//! What can be wrong with the way to the clouds.

use crate::bugs::Bug;
use async_trait::async_trait;
use http::Method;
use isthmus::rest::{
    answer::{Answer, Failure, Sent},
    request::Request,
    transport::{Network, Options, Transport},
};
use std::sync::Arc;

/// The network with this bug, or as it is.
pub fn greedy(bug: Option<Bug>, network: Arc<dyn Network>) -> Arc<dyn Network> {
    match bug {
        Some(bug @ (Bug::RequestsAreRepeated | Bug::PostsAreRepeated)) => {
            Arc::new(Greedy(network, bug))
        }
        _ => network,
    }
}

#[derive(Debug)]
struct Greedy(Arc<dyn Network>, Bug);

impl Network for Greedy {
    fn open(&self, options: &Options) -> Result<Arc<dyn Transport>, String> {
        Ok(Arc::new(Repeats(self.0.open(options)?, self.1)))
    }
}

#[derive(Debug)]
struct Repeats(Arc<dyn Transport>, Bug);

#[async_trait]
impl Transport for Repeats {
    async fn exchange(&self, request: &Request) -> Result<Answer, Failure> {
        if self.1 == Bug::PostsAreRepeated {
            let first = self.0.exchange(request).await;
            let is_lost = first.as_ref().is_err_and(|it| it.sent != Sent::No);
            if !is_lost || request.method != Method::POST {
                return first;
            }
        } else if request.method == Method::GET {
            for _ in 0..3 {
                // Nobody reads what it says.
                let _ = self.0.exchange(request).await;
            }
        }
        self.0.exchange(request).await
    }
}
