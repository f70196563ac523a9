//! A pull-through caching mirror for container registries.

pub mod cli;
pub mod config;
