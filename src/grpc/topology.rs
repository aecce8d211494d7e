//! `TopologyService`: VPN services, local endpoints and endpoint groups, and the networks and routers that a VPN can
//! attach to.

use crate::{
    core::{gateway::Gateway, listed::Listable},
    grpc::{
        convert::{Problems, list::ListRequest, topology::attachment, write::Asked},
        deadline, pb,
        resources::{self, resource_service},
    },
};
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[derive(Debug, Clone)]
pub struct Topology {
    gateway: Arc<Gateway>,
}

impl Topology {
    pub fn new(gateway: Arc<Gateway>) -> Topology {
        Topology { gateway }
    }
}

resource_service! {
    pb::topology_service_server::TopologyService, Topology;

    [
        VpnService as vpn_service, vpn_services {
            get_vpn_service(GetVpnServiceRequest) -> GetVpnServiceResponse,
            list_vpn_services(ListVpnServicesRequest) -> ListVpnServicesResponse,
            create_vpn_service(CreateVpnServiceRequest) -> CreateVpnServiceResponse,
            update_vpn_service(UpdateVpnServiceRequest) -> UpdateVpnServiceResponse,
            delete_vpn_service(DeleteVpnServiceRequest) -> DeleteVpnServiceResponse,
        }

        LocalEndpoint as local_endpoint, local_endpoints {
            get_local_endpoint(GetLocalEndpointRequest) -> GetLocalEndpointResponse,
            list_local_endpoints(ListLocalEndpointsRequest) -> ListLocalEndpointsResponse,
            create_local_endpoint(CreateLocalEndpointRequest) -> CreateLocalEndpointResponse,
            update_local_endpoint(UpdateLocalEndpointRequest) -> UpdateLocalEndpointResponse,
            delete_local_endpoint(DeleteLocalEndpointRequest) -> DeleteLocalEndpointResponse,
        }

        EndpointGroup as endpoint_group, endpoint_groups {
            get_endpoint_group(GetEndpointGroupRequest) -> GetEndpointGroupResponse,
            list_endpoint_groups(ListEndpointGroupsRequest) -> ListEndpointGroupsResponse,
            create_endpoint_group(CreateEndpointGroupRequest) -> CreateEndpointGroupResponse,
            update_endpoint_group(UpdateEndpointGroupRequest) -> UpdateEndpointGroupResponse,
            delete_endpoint_group(DeleteEndpointGroupRequest) -> DeleteEndpointGroupResponse,
        }
    ]

    async fn list_attachments(
        &self,
        request: Request<pb::ListAttachmentsRequest>,
    ) -> Result<Response<pb::ListAttachmentsResponse>, Status> {
        let deadline = deadline::of_unary(&request);
        let request = request.into_inner();
        let asked = ListRequest {
            parent: request.parent,
            page_size: request.page_size,
            page_token: request.page_token,
            filter: request.filter,
            order_by: request.order_by,
            view: request.view,
        };
        let mut problems = Problems::default();
        let list = asked.read(Listable::Attachments, &mut problems);
        let list = problems.finish(list)?;
        let page = self.gateway.list_attachments(&list.query, deadline).await?;
        let said = page.items.into_iter().map(|(backend, mut read)| {
            if !list.native {
                read.native.clear();
            }
            attachment(&backend, read)
        });
        Ok(Response::new(pb::ListAttachmentsResponse {
            attachments: said.collect(),
            next_page_token: page.next,
            unreachable: resources::names(&page.unreachable),
        }))
    }
}
