//! The server on real sockets, with real clients and with clients that behave badly.

mod calls;
mod drain;
mod gateway;
mod services;
mod spans;
mod support;
