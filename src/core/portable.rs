//! One description for every cloud: how a backend takes it ([`fit`]), and how what is there is described ([`export`]).
//!
//! A description is a [`NewConnection`](crate::model::NewConnection) that refers to nothing: it holds networks, proposals and
//! dead peer detection themselves, and where it is attached. [`fit`] is pure and goes by the backend's capabilities; what only
//! the cloud can tell the dialect finds ([`Dialect::attach`](crate::core::dialect::Dialect::attach)).

pub mod export;
pub mod fit;
pub mod lacking;
mod plain;
