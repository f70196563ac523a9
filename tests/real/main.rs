//! The binary against real parts: a real registry behind a tap, real clients, real faults on the wire.
//!
//! The parts are named in `script/setup --parts`. Everything runs on loopback and as root (dockerd and containerd need
//! it), and is ended by its own process id.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod addresses;
mod answers;
mod auth;
mod blobs;
mod bundles;
mod conformance;
mod disks;
mod edge;
mod heads;
mod herd;
mod integrity;
mod keeping;
mod liars;
mod listings;
mod manifests;
mod memory;
mod multi_range;
mod partial;
mod paths;
mod process;
mod pulls;
mod relayed;
mod support_holds;
mod tags;
mod tls;
mod truncated;
mod warm;
mod weather;
mod writes;
