//! A pull-through caching mirror for container registries.
//!
//! The rooms, and which may name which:
//!
//! ```text
//! oci <- {store, upstream} <- mirror <- {server, admin} <- app <- cli
//! oci <- config <- {app, cli}
//! ```

pub mod admin;
pub mod app;
pub mod cli;
pub mod config;
pub mod mirror;
pub mod oci;
pub mod server;
pub mod store;
pub mod upstream;
