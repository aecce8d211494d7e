//! One description for every cloud: how a backend takes it ([`fit`]), and how an existing connection is described
//! ([`export`]).
//!
//! A description is a [`NewConnection`](crate::model::NewConnection) without references: it contains its networks,
//! proposals and dead peer detection, and says where it is attached. [`fit`] is pure and depends on the backend's
//! capabilities only. The dialect finds what only the cloud knows
//! ([`Dialect::attach`](crate::core::dialect::Dialect::attach)).

pub mod export;
pub mod fit;
pub mod lacking;
mod plain;
