//! A pull-through caching mirror for container registries.

pub mod cli;
pub mod config;
pub mod mirror;
pub mod oci;
pub mod server;
pub mod store;
pub mod upstream;
