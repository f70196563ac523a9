//! The lengths that a fill is laid out by, in one place and as one value: tests use smaller ones.

/// Lengths in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measures {
    /// Bytes at a blob's end that no reader of all of it gets before the digest matches. A smaller blob is held back
    /// whole, so a wrong one is an error instead of a cut connection. Who asks for a part gets it at once: a part is
    /// never complete, and what proves it is the client's own business.
    pub hold_back: u64,
    /// Fetches are laid to multiples of this: small reads next to each other become one request.
    pub unit: u64,
    /// A reader of all the rest may leave at any moment: so much is asked for at first. After each stretch that was
    /// read through, the next is as long as the run before it, up to `widest`.
    pub window: u64,
    /// See `window`.
    pub widest: u64,
    /// What lies this close ahead of a fetch is waited for.
    pub near: u64,
    /// The same before the fetch has shown its pace.
    pub near_at_first: u64,
    /// A fetch that meets present bytes reads on over so many, instead of asking anew behind them.
    pub read_over: u64,
    /// Followers are woken at the latest after this many new bytes, and whenever the fetch is about to wait.
    pub publish_every: u64,
    /// When the hash lies this far behind, it is brought after the fetches by a task of its own.
    pub hash_behind: u64,
    /// How far a fill may get before that is noted: this part of its size, within the bounds that follow. A process
    /// that is killed fetches at most so much again.
    pub noted_part: u64,
    /// See `noted_part`.
    pub noted_at_least: u64,
    /// See `noted_part`.
    pub noted_at_most: u64,
    /// A note outlives a power cut when the bytes before it are synced, which is dear: after so many bytes.
    pub synced_every: u64,
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

impl Default for Measures {
    fn default() -> Self {
        Self {
            hold_back: 64 * KIB,
            unit: 64 * KIB,
            window: 8 * MIB,
            widest: 64 * MIB,
            near: MIB,
            near_at_first: 32 * MIB,
            read_over: 256 * KIB,
            publish_every: 512 * KIB,
            hash_behind: 4 * MIB,
            noted_part: 32,
            noted_at_least: MIB,
            noted_at_most: 16 * MIB,
            synced_every: 512 * MIB,
        }
    }
}
