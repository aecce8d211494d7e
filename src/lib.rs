//! Isthmus: one gRPC API over two worlds of IPsec VPN.

pub mod core;
pub mod grpc;
pub mod model;
pub mod rest;
pub mod simulator;
