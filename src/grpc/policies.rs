//! `PolicyService`: IKE, IPsec and DPD policies.

use crate::{
    core::gateway::Gateway,
    grpc::{
        convert::{list::ListRequest, write::Asked},
        deadline, pb,
        resources::{self, resource_service},
    },
};
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[derive(Debug, Clone)]
pub struct Policies {
    gateway: Arc<Gateway>,
}

impl Policies {
    pub fn new(gateway: Arc<Gateway>) -> Policies {
        Policies { gateway }
    }
}

resource_service! {
    pb::policy_service_server::PolicyService, Policies;

    [
        IkePolicy as ike_policy, ike_policies {
            get_ike_policy(GetIkePolicyRequest) -> GetIkePolicyResponse,
            list_ike_policies(ListIkePoliciesRequest) -> ListIkePoliciesResponse,
            create_ike_policy(CreateIkePolicyRequest) -> CreateIkePolicyResponse,
            update_ike_policy(UpdateIkePolicyRequest) -> UpdateIkePolicyResponse,
            delete_ike_policy(DeleteIkePolicyRequest) -> DeleteIkePolicyResponse,
        }

        IpsecPolicy as ipsec_policy, ipsec_policies {
            get_ipsec_policy(GetIpsecPolicyRequest) -> GetIpsecPolicyResponse,
            list_ipsec_policies(ListIpsecPoliciesRequest) -> ListIpsecPoliciesResponse,
            create_ipsec_policy(CreateIpsecPolicyRequest) -> CreateIpsecPolicyResponse,
            update_ipsec_policy(UpdateIpsecPolicyRequest) -> UpdateIpsecPolicyResponse,
            delete_ipsec_policy(DeleteIpsecPolicyRequest) -> DeleteIpsecPolicyResponse,
        }

        DpdPolicy as dpd_policy, dpd_policies {
            get_dpd_policy(GetDpdPolicyRequest) -> GetDpdPolicyResponse,
            list_dpd_policies(ListDpdPoliciesRequest) -> ListDpdPoliciesResponse,
            create_dpd_policy(CreateDpdPolicyRequest) -> CreateDpdPolicyResponse,
            update_dpd_policy(UpdateDpdPolicyRequest) -> UpdateDpdPolicyResponse,
            delete_dpd_policy(DeleteDpdPolicyRequest) -> DeleteDpdPolicyResponse,
        }
    ]
}
