//! What all writes have in common: whether the write is only validated, and its request id.

use crate::{
    core::{
        audit::{self, Action},
        error::{Error, Result},
        request_id::{How, Request},
    },
    grpc::{convert::Problems, pb},
};
use prost::Message;
use uuid::Uuid;

/// Length of a UUID in text form, with hyphens.
const UUID_TEXT: usize = 36;

const REQUEST_ID: &str = "request_id";

/// A request that writes.
pub trait Write: Message {
    /// Returns the method name, such as `CreateConnection`.
    fn method() -> &'static str;

    /// Returns `validate_only`.
    fn is_tried(&self) -> bool;

    /// Returns `request_id`.
    fn id(&mut self) -> &mut String;
}

/// How a write is requested, and the violations found in that.
#[derive(Debug, Default)]
pub struct Asked {
    pub how: How,
    pub problems: Problems,
}

impl From<How> for Asked {
    fn from(how: How) -> Asked {
        Asked {
            how,
            problems: Problems::default(),
        }
    }
}

impl Asked {
    /// Reads how a write is requested. Takes the id out of the request, so that the encoded rest is the same for each
    /// retry.
    ///
    /// A validation has no id: it runs whenever it is requested, and the id stays free for the write itself.
    pub fn of<W: Write>(request: &mut W) -> Asked {
        let mut problems = Problems::default();
        let given = std::mem::take(request.id());
        let id = match given.as_str() {
            "" => None,
            text => uuid(text, &mut problems),
        };
        let is_tried = request.is_tried();
        let request = id.filter(|_| !is_tried).map(|id| Request {
            id,
            method: W::method(),
            body: request.encode_to_vec(),
        });
        let how = How {
            validate_only: is_tried,
            request,
        };
        Asked { how, problems }
    }

    /// Returns the audit record of a write of this resource. An invalid id is not recorded.
    pub fn audited(&self, action: Action, resource: String) -> audit::Asked {
        let request = self.how.request.as_ref();
        audit::Asked {
            action,
            resource,
            request_id: request.map(|it| it.id.clone()).unwrap_or_default(),
            is_tried: self.how.validate_only,
        }
    }

    /// Returns how the write is requested, if that has no violation.
    ///
    /// # Errors
    /// `InvalidArgument` on `request_id`.
    pub fn how(self) -> Result<How, Error> {
        self.problems.finish(Some(self.how))
    }
}

/// Returns the request id for audit records. Empty if it is invalid.
pub fn recorded_id(given: &str) -> String {
    uuid(given, &mut Problems::default()).unwrap_or_default()
}

/// Parses a UUID and returns it in lower case. Refuses the nil UUID, which a client sends that forgot to generate one.
fn uuid(text: &str, problems: &mut Problems) -> Option<String> {
    let read = Uuid::try_parse(text).ok();
    let read = read.filter(|uuid| text.len() == UUID_TEXT && !uuid.is_nil());
    if read.is_none() {
        let why = "must be a UUID, as 6f1c1e7e-52c0-4b4b-9d3e-0c5f8a1f6a11, and not the nil one";
        problems.add(REQUEST_ID, why);
    }
    read.map(|uuid| uuid.to_string())
}

macro_rules! writes {
    ($($request:ident)+) => {
        $(impl Write for pb::$request {
            fn method() -> &'static str {
                let name = stringify!($request);
                name.strip_suffix("Request").unwrap_or(name)
            }

            fn is_tried(&self) -> bool {
                self.validate_only
            }

            fn id(&mut self) -> &mut String {
                &mut self.request_id
            }
        })+

        #[cfg(test)]
        const WRITES: &[&str] = &[$(stringify!($request)),+];
    };
}

writes! {
    CreateConnectionRequest ApplyConnectionRequest UpdateConnectionRequest DeleteConnectionRequest
    CreateIkePolicyRequest UpdateIkePolicyRequest DeleteIkePolicyRequest
    CreateIpsecPolicyRequest UpdateIpsecPolicyRequest DeleteIpsecPolicyRequest
    CreateDpdPolicyRequest UpdateDpdPolicyRequest DeleteDpdPolicyRequest
    CreateVpnServiceRequest UpdateVpnServiceRequest DeleteVpnServiceRequest
    CreateLocalEndpointRequest UpdateLocalEndpointRequest DeleteLocalEndpointRequest
    CreateEndpointGroupRequest UpdateEndpointGroupRequest DeleteEndpointGroupRequest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::convert::fields_at_fault;
    use prost_reflect::DescriptorPool;
    use std::collections::BTreeSet;

    const ID: &str = "6F1C1E7E-52c0-4b4b-9d3e-0c5f8a1f6a11";

    fn delete(request_id: &str) -> pb::DeleteConnectionRequest {
        pb::DeleteConnectionRequest {
            name: "backends/a/connections/c".to_owned(),
            request_id: request_id.to_owned(),
            ..Default::default()
        }
    }

    /// The macro lists the same writes as the contract, so that every write has this behavior.
    #[test]
    fn every_request_with_an_id_is_a_write() {
        let pool = DescriptorPool::decode(pb::FILE_DESCRIPTOR_SET).unwrap();
        let with_id = pool.all_messages().filter(|it| {
            it.name().ends_with("Request") && it.get_field_by_name(REQUEST_ID).is_some()
        });
        let there: BTreeSet<String> = with_id.map(|it| it.name().to_owned()).collect();
        let here = WRITES.iter().map(|name| (*name).to_owned());
        assert_eq!(BTreeSet::from_iter(here), there);
        let writes = ["Create", "Apply", "Update", "Delete"];
        let methods = pool
            .services()
            .flat_map(|it| it.methods().collect::<Vec<_>>());
        let methods = methods.filter(|it| writes.iter().any(|verb| it.name().starts_with(verb)));
        assert_eq!(methods.count(), WRITES.len());
    }

    #[test]
    fn a_request_is_the_same_whatever_its_id_and_another_by_any_other_field() {
        let of = |mut request: pb::DeleteConnectionRequest| {
            Asked::of(&mut request).how().unwrap().request.unwrap()
        };
        let first = of(delete(ID));
        assert_eq!(first.id, ID.to_lowercase());
        assert_eq!(first.method, "DeleteConnection");
        assert_eq!(first, of(delete(&ID.to_lowercase())));
        let second = of(delete("00000000-0000-8000-8000-000000000001"));
        assert_eq!((&first.body, first.id == second.id), (&second.body, false));
        let mut other = delete(ID);
        other.allow_missing = true;
        assert_ne!(first.body, of(other).body);
    }

    #[test]
    fn an_id_is_a_uuid_or_absent() {
        assert_eq!(Asked::of(&mut delete("")).how().unwrap().request, None);
        for wrong in [
            "1",
            "6f1c1e7e52c04b4b9d3e0c5f8a1f6a11",
            "{6f1c1e7e-52c0-4b4b-9d3e-0c5f8a1f6a11}",
            "urn:uuid:6f1c1e7e-52c0-4b4b-9d3e-0c5f8a1f6a11",
            "00000000-0000-0000-0000-000000000000",
            "6f1c1e7e-52c0-4b4b-9d3e-0c5f8a1f6a1g",
        ] {
            let asked = Asked::of(&mut delete(wrong));
            assert_eq!(fields_at_fault(asked.how()), [REQUEST_ID], "{wrong}");
        }
    }

    #[test]
    fn what_is_only_tried_leaves_its_id_to_the_write() {
        for (id, is_right) in [(ID, true), ("1", false)] {
            let mut request = delete(id);
            request.validate_only = true;
            let asked = Asked::of(&mut request);
            assert!(asked.how.validate_only && asked.how.request.is_none());
            assert_eq!(asked.how().is_ok(), is_right);
        }
    }

    #[test]
    fn the_key_in_a_request_is_not_printed() {
        let peer = pb::Peer {
            authentication: Some(pb::peer::Authentication::Psk("canary".to_owned())),
            ..Default::default()
        };
        let mut request = pb::CreateConnectionRequest {
            connection: Some(pb::Connection {
                peer: Some(peer),
                ..Default::default()
            }),
            request_id: ID.to_owned(),
            ..Default::default()
        };
        let asked = Asked::of(&mut request);
        let body = &asked.how.request.as_ref().unwrap().body;
        assert!(
            body.windows(6).any(|bytes| bytes == b"canary"),
            "it is compared"
        );
        let printed = format!("{asked:?}");
        assert!(
            !printed.contains("canary") && !printed.contains("99, 97, 110"),
            "{printed}"
        );
    }
}
