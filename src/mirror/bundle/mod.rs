//! Bundles: images carried as files, out of one mirror and into another that has no network.
//!
//! A bundle is an OCI image layout in a tar, so that every tool that reads such can read it. What is taken in may also be
//! what others wrote: a layout, what `docker save` writes, the storage folder of a distribution registry.
//!
//! Taking in goes twice over the files: first all of them are looked at and hashed, and it is decided what becomes of
//! them ([`Survey`], [`Plan`]); only when all is well does the store see a byte, and it verifies each once more. So
//! nothing that is refused leaves a trace, and what was cut off goes on where it stood.
//!
//! | file | idea |
//! |---|---|
//! | `paths` | what a file in a bundle is, by its name (pure) |
//! | `tarball` | the files of a tar; refuses all that is no plain file |
//! | `survey` | one look over all files: sizes, digests, documents |
//! | `described` | what it says of its images, for people |
//! | `named` | which images there are, and what they are called (pure) |
//! | `plan` | what becomes of them (pure) |
//! | `take_in` | carrying that out |
//! | `cut` | what belongs into a new bundle |
//! | `write` | writing it |
//! | `trial` | taking in whatever bytes |
//!
//! Synchronous and without files: bytes come and go by [`Read`] and [`Write`](std::io::Write).

mod cut;
mod described;
mod error;
mod named;
mod paths;
mod plan;
mod survey;
mod take_in;
mod tarball;
#[cfg(test)]
mod tests;
mod write;

pub use cut::{Cut, CutImage, CutOptions, Selection, cut};
pub use described::Described;
pub use error::BundleError;
pub use named::{Calling, Images, Named, named};
pub use plan::{Held, Nothing, Plan, StoreHolds, plan};
pub use survey::{Survey, survey};
pub use take_in::{TakenIn, take_in};
pub use tarball::Tarball;
pub use write::write;

use std::io::Read;

/// The annotation that names an image in a layout (OCI image spec, Annotations).
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation under which containerd and Docker keep an image's full name.
const IMAGE_NAME: &str = "io.containerd.image.name";
/// Our own: the upstream's name, the repository as it knows it, and the tag.
const UPSTREAM: &str = "io.roadstead.upstream";
const REPOSITORY: &str = "io.roadstead.repository";
const TAG: &str = "io.roadstead.tag";

/// One thing among the files of a bundle.
pub enum Given<'g> {
    /// A plain file: its path with `/` between the parts and none before them, its size in bytes, its bytes.
    File(&'g str, u64, &'g mut dyn Read),
    /// Another path for a file beside it.
    Alias(&'g str, &'g str),
}

/// What hears of each of them.
pub type Take<'t> = dyn FnMut(Given<'_>) -> Result<(), BundleError> + 't;

/// Files that can be gone through again and again, in the same order.
pub trait Supply {
    /// Gives each of them to `take`. What is left unread of a file is passed over.
    ///
    /// Fails on what is no plain file or folder, and as soon as `take` fails.
    fn each(&self, take: &mut Take<'_>) -> Result<(), BundleError>;
}
