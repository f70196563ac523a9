//! The operator's side of the binary: its metrics in a real Prometheus, its page in a real browser, its commands.
//!
//! The parts are named in `script/setup --parts`. Everything runs on loopback and is ended by its own process id.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod boards;
mod browser;
mod commands;
mod page;
mod prometheus;
mod queries;
mod readme;
mod rules;
mod service;
mod traffic;
