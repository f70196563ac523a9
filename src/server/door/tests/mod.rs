//! A door on connections in memory, in paused time: every time-out is met exactly and none is waited for.
#![allow(clippy::unwrap_used)]

mod bodies;
mod corpus;
mod http1;
mod patience;
mod sockets;
