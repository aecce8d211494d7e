//! The gRPC services: each converts the request, calls the core and converts the answer. The only place with prost
//! types.

pub mod backends;
pub mod codes;
pub mod connections;
pub mod convert;
pub mod deadline;
pub mod frame;
pub mod leaving;
pub mod methods;
pub mod pb;
pub mod policies;
pub mod realizations;
pub mod resources;
pub mod stall_timeout;
pub mod status;
pub mod topology;
