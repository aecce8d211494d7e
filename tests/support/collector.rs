//! An OpenTelemetry collector that keeps what it gets.

use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    trace::v1::Span,
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

/// What was exported so far, oldest first.
#[derive(Clone, Default)]
pub struct Collector(pub Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// Metrics are taken, so that nobody complains, and read on the page.
#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        _request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

impl Collector {
    /// Listens on a free port until the runtime ends.
    pub fn serve(&self) -> SocketAddr {
        self.serve_at("127.0.0.1:0".parse().unwrap())
    }

    /// The same at this address.
    pub fn serve_at(&self, address: SocketAddr) -> SocketAddr {
        let incoming = TcpIncoming::bind(address).unwrap();
        let address = incoming.local_addr().unwrap();
        let service = TraceServiceServer::new(self.clone());
        tokio::spawn(
            Server::builder()
                .add_service(service)
                .add_service(MetricsServiceServer::new(self.clone()))
                .serve_with_incoming(incoming),
        );
        address
    }

    /// All spans.
    pub fn spans(&self) -> Vec<Span> {
        let exported = self.0.lock().unwrap();
        let resources = exported.iter().flat_map(|request| &request.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }
}
