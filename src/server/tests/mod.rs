//! The server on real sockets, with real clients and with clients that behave badly.

mod age;
mod calls;
mod drain;
mod form;
mod gateway;
mod opening;
mod resources;
mod rude;
mod services;
mod spans;
mod support;
mod unfinished;
mod unread;
mod warnings;
