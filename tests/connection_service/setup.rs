//! A gateway over one cloud, and what a test asks of it.

use crate::support::{
    cloud::{self, Cloud},
    running::{Running, id_of},
};
use http::Method;
use isthmus::{dialects::settings::Given, grpc::pb, simulator::nsx::NsxSimulator};
use tonic::Status;

/// An NSX on which what is deleted goes step by step.
pub fn nsx() -> NsxSimulator {
    let cloud = cloud::nsx();
    cloud.linger();
    cloud
}

/// A gateway over one cloud.
pub struct Bench<'a> {
    pub cloud: &'a dyn Cloud,
    pub running: Running,
}

impl Bench<'_> {
    pub async fn over(cloud: &dyn Cloud) -> Bench<'_> {
        Bench::bound(cloud, cloud.settings("a")).await
    }

    /// The same with settings of its own.
    pub async fn bound(cloud: &dyn Cloud, settings: Given) -> Bench<'_> {
        let running = Running::start(vec![settings]).await;
        Bench { cloud, running }
    }

    /// Makes a connection of this name, real at once; its name.
    pub async fn made(&self, display_name: &str) -> String {
        let wanted = pb::Connection {
            display_name: display_name.to_owned(),
            ..self.cloud.wanted("a")
        };
        let (made, _) = self.running.create("a", wanted).await.unwrap();
        self.cloud.settle(&id_of(&made.name));
        made.name
    }

    pub async fn list(
        &self,
        request: &pb::ListConnectionsRequest,
    ) -> Result<pb::ListConnectionsResponse, Status> {
        let listed = self
            .running
            .connections()
            .list_connections(request.clone())
            .await?;
        Ok(listed.into_inner())
    }

    /// Walks all pages; after each, `between` is told which there have been.
    pub async fn walk(
        &self,
        mut request: pb::ListConnectionsRequest,
        mut between: impl FnMut(&[pb::Connection]),
    ) -> Vec<pb::Connection> {
        let mut found = Vec::new();
        loop {
            let page = self.list(&request).await.unwrap();
            assert!(page.connections.len() <= request.page_size as usize);
            assert_eq!(page.unreachable, Vec::<String>::new());
            found.extend(page.connections);
            if page.next_page_token.is_empty() {
                return found;
            }
            assert!(found.len() < 100, "the list does not end");
            between(&found);
            request.page_token = page.next_page_token;
        }
    }

    /// The display names of all that meet a filter, in the order of names unless another is given.
    pub async fn names(&self, filter: &str, order_by: &str) -> Vec<String> {
        let request = pb::ListConnectionsRequest {
            page_size: 2,
            filter: filter.to_owned(),
            order_by: order_by.to_owned(),
            ..all()
        };
        let found = self.walk(request, |_| {}).await;
        found.into_iter().map(|it| it.display_name).collect()
    }

    pub async fn update(
        &self,
        connection: pb::Connection,
        paths: &[&str],
        validate_only: bool,
    ) -> Result<pb::UpdateConnectionResponse, Status> {
        let request = pb::UpdateConnectionRequest {
            connection: Some(connection),
            update_mask: Some(prost_types::FieldMask {
                paths: paths.iter().map(|&path| path.to_owned()).collect(),
            }),
            validate_only,
            ..Default::default()
        };
        let updated = self.running.connections().update_connection(request).await;
        updated.map(tonic::Response::into_inner)
    }

    pub async fn delete(&self, request: pb::DeleteConnectionRequest) -> Result<String, Status> {
        let deleted = self.running.connections().delete_connection(request).await;
        deleted.map(|answer| answer.into_inner().write_token)
    }

    pub fn writes(&self) -> usize {
        let seen = self.cloud.server().requests().all();
        seen.iter()
            .filter(|seen| seen.method != Method::GET && seen.path.contains("/vpn/"))
            .count()
    }
}

pub fn all() -> pb::ListConnectionsRequest {
    pb::ListConnectionsRequest {
        parent: "backends/a".into(),
        page_size: 3,
        ..Default::default()
    }
}

/// Runs each of these on both clouds.
macro_rules! on_both {
    ($($case:ident,)+) => {
        on_both!(@on on_nsx, crate::setup::nsx(), $($case,)+);
        on_both!(@on on_openstack, crate::support::cloud::openstack(), $($case,)+);
    };
    (@on $cloud:ident, $start:expr, $($case:ident,)+) => {
        mod $cloud {
            $(#[tokio::test]
            async fn $case() {
                let cloud = $start;
                super::$case(&cloud).await;
            })+
        }
    };
}

pub(crate) use on_both;
