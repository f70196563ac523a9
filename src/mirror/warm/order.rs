//! What is to be warmed, as it was asked for.

use crate::oci::{Wanted, WantedPlatform};

/// A name that what was warmed is pinned under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinUnder {
    /// The name.
    pub name: String,
    /// What the name stood for before stays pinned, too.
    pub adds: bool,
}

/// What is to be warmed, and how much of it. Two that are equal are the same job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// The images, in the order asked for.
    pub wanted: Vec<Wanted>,
    /// The platforms of indexes; none: all.
    pub platforms: Vec<WantedPlatform>,
    /// Whether what refers to the images is wanted, too: referrers, attestations, and the tags that cosign keeps
    /// signatures under.
    pub referrers: bool,
    /// Of the tags that a pattern matches only so many, the newest.
    pub latest: Option<usize>,
    /// Under which name it is pinned.
    pub pin: Option<PinUnder>,
}
