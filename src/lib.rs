//! A pull-through caching mirror for container registries.

pub mod config;
