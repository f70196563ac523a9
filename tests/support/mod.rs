//! What the tests with real parts stand on: a real registry, a tap on the wire before it, images with known bytes,
//! the binary under test, and the real clients.
//!
//! Everything runs on loopback, in temporary folders, and is ended by its own process id. Every wait has a bound and a
//! name, so a test that hangs says what it waited for. A part that is not installed fails the test by name; nothing is
//! ever skipped.

// More than one target of tests stands on this, and none needs all of it.
#![allow(dead_code, unused_imports)]

pub(crate) mod authority;
pub(crate) mod blobs;
pub(crate) mod bound;
pub(crate) mod clients;
pub(crate) mod cold;
pub(crate) mod dice;
pub(crate) mod disk;
pub(crate) mod http;
pub(crate) mod images;
pub(crate) mod mirror;
pub(crate) mod netns;
pub(crate) mod process;
pub(crate) mod raw;
pub(crate) mod registry;
pub(crate) mod scripted;
pub(crate) mod shim;
pub(crate) mod tap;
pub(crate) mod token;
pub(crate) mod upstream;
pub(crate) mod wire;

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

/// The ports that were given to somebody in this process, who may not listen yet, or not at this moment.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// An address on loopback that nobody listens on at this moment, and that nobody else is given.
///
/// For programs that must be told their port. It lies below the ports that the system gives to connections, of which
/// these tests make thousands: one of them could otherwise take it before the program does.
pub(crate) fn free_address() -> SocketAddr {
    let dice = RandomState::new();
    let mut throws = (0_u16..).map(|throw| 10_000 + dice.hash_one(throw) % 22_000);
    throws
        .find_map(|port| {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(port).ok()?));
            let is_free = TcpListener::bind(address).is_ok() && GIVEN.lock().insert(address.port());
            is_free.then_some(address)
        })
        .expect("a free port on loopback")
}

/// The OCI digest of these bytes, `sha256:…`.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// `size` bytes that look random to a compressor and are the same on each call with the same `seed` (xorshift64*).
pub(crate) fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}
