//! One look over all files of a bundle: what each is, how long, and whether its bytes are what its name says.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Read};

use super::paths::{Place, place};
use super::{BundleError, Given, Supply};
use crate::oci::{Digest, Manifest, Repository, Tag, Verifier};

/// The largest manifest that is taken in, in bytes: what registries must take (OCI distribution spec, Pushing Manifests).
const MAX_MANIFEST: u64 = 4 * 1024 * 1024;
/// All manifests of a bundle together, in bytes: they are held in memory.
const MAX_MANIFESTS: u64 = 512 * 1024 * 1024;
/// The largest `index.json` and `manifest.json`, in bytes.
const MAX_INDEX: u64 = 64 * 1024 * 1024;
/// The largest of the other small documents, in bytes.
const MAX_SMALL: u64 = 4096;

/// Paths that are shown of what is no bundle.
const SHOWN: usize = 5;

/// A file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) size: u64,
    pub(super) digest: Digest,
}

/// What is in a bundle.
#[derive(Debug, Default)]
pub struct Survey {
    /// Every file that may be content, by path.
    pub(super) files: BTreeMap<String, File>,
    /// Other paths of files.
    pub(super) aliases: HashMap<String, String>,
    /// Of each digest: where it lies.
    pub(super) content: HashMap<Digest, String>,
    /// What can be read as a manifest.
    pub(super) manifests: HashMap<Digest, Vec<u8>>,
    pub(super) is_layout: bool,
    pub(super) index: Option<Vec<u8>>,
    pub(super) docker: Option<Vec<u8>>,
    /// A distribution registry's tags, and the manifests that its repositories have.
    pub(super) tags: Vec<(Repository, Tag, Digest)>,
    pub(super) revisions: Vec<(Repository, Digest)>,
    paths: HashSet<String>,
    manifest_bytes: u64,
    /// The largest file that there is a use for, in bytes.
    largest: u64,
}

/// Goes once over all files; `tell` hears of the bytes that were read. Nothing is kept but what is small.
///
/// Fails on whatever is not as it says it is, and on a file of more than `largest` bytes, before it is read: little that
/// is compressed can say that it is as much as nobody could hold.
pub fn survey(
    supply: &dyn Supply,
    largest: u64,
    tell: &mut dyn FnMut(u64),
) -> Result<Survey, BundleError> {
    let mut survey = Survey {
        largest,
        ..Survey::default()
    };
    supply.each(&mut |given| match given {
        Given::File(path, size, bytes) => survey.file(path, size, bytes, tell),
        Given::Alias(path, target) => survey.alias(path, target),
    })?;
    Ok(survey)
}

impl Survey {
    /// How many digests there are, and their bytes.
    pub fn amount(&self) -> (usize, u64) {
        let sizes = self
            .content
            .values()
            .filter_map(|path| self.files.get(path));
        (self.content.len(), sizes.map(|file| file.size).sum())
    }

    /// The size in bytes of content that is in the bundle.
    pub fn size(&self, digest: &Digest) -> Option<u64> {
        self.files
            .get(self.content.get(digest)?)
            .map(|file| file.size)
    }

    /// That it has no images in any form that is known here.
    pub(super) fn is_nothing_known(&self) -> BundleError {
        let mut some: Vec<_> = self.paths.iter().map(String::as_str).collect();
        some.sort_unstable();
        let more = if some.len() > SHOWN { ", ..." } else { "" };
        some.truncate(SHOWN);
        let found = match some.as_slice() {
            [] => "no files".to_owned(),
            some => format!("{}{more}", some.join(", ")),
        };
        BundleError::Whole(format!(
            "it has neither an index.json (an OCI layout), nor a manifest.json (docker save), nor the folders of a \
             registry's storage (docker/registry/v2); found: {found}"
        ))
    }

    /// Whether images can be looked for in it at all.
    pub fn is_known(&self) -> Result<(), BundleError> {
        let stored = !self.tags.is_empty() || !self.revisions.is_empty();
        if self.index.is_some() || self.docker.is_some() || stored {
            return Ok(());
        }
        Err(self.is_nothing_known())
    }

    /// The file of that path, or of which that is another path.
    pub(super) fn file_at(&self, path: &str) -> Option<&File> {
        let target = self.aliases.get(path).map_or(path, String::as_str);
        self.files.get(target)
    }

    /// A path that is there twice would mean two things.
    fn first_time(&mut self, path: &str) -> Result<(), BundleError> {
        if self.paths.insert(path.to_owned()) {
            return Ok(());
        }
        Err(BundleError::entry(path, "it is there twice"))
    }

    fn alias(&mut self, path: &str, target: &str) -> Result<(), BundleError> {
        self.first_time(path)?;
        self.aliases.insert(path.to_owned(), target.to_owned());
        Ok(())
    }

    fn file(
        &mut self,
        path: &str,
        size: u64,
        bytes: &mut dyn Read,
        tell: &mut dyn FnMut(u64),
    ) -> Result<(), BundleError> {
        self.first_time(path)?;
        match place(path) {
            Place::Mark => {
                read(path, size, MAX_SMALL, bytes)?;
                self.is_layout = true;
            }
            Place::Index => self.index = Some(read(path, size, MAX_INDEX, bytes)?),
            Place::DockerManifest => {
                self.docker = Some(read(path, size, MAX_INDEX, bytes)?);
            }
            Place::TagLink(repository, tag) => {
                let digest = link(path, &read(path, size, MAX_SMALL, bytes)?)?;
                self.tags.push((repository, tag, digest));
            }
            Place::Revision(repository, named) => {
                let digest = link(path, &read(path, size, MAX_SMALL, bytes)?)?;
                if digest != named {
                    return Err(BundleError::entry(path, format!("it speaks of {digest}")));
                }
                self.revisions.push((repository, digest));
            }
            Place::Storage => {}
            Place::Content(digest) => {
                let verifier = Verifier::of(&digest)
                    .ok_or_else(|| BundleError::entry(path, "its digest cannot be verified"))?;
                self.hash(path, size, bytes, verifier, tell)?;
            }
            Place::Other => {
                // Which digest it has is what is to be found out.
                let nothing = Digest::sha256_of(&[]);
                if let Some(verifier) = Verifier::of(&nothing) {
                    self.hash(path, size, bytes, verifier, tell)?;
                }
            }
        }
        Ok(())
    }

    /// Hashes a file; of one whose name is a digest, the hash must be that.
    fn hash(
        &mut self,
        path: &str,
        size: u64,
        bytes: &mut dyn Read,
        mut verifier: Verifier,
        tell: &mut dyn FnMut(u64),
    ) -> Result<(), BundleError> {
        if size > self.largest {
            let why = format!(
                "it has {size} bytes, and there is room for {}",
                self.largest
            );
            return Err(BundleError::entry(path, why));
        }
        let mut small = Vec::new();
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let read = bytes.read(&mut buffer);
            let read = read.map_err(|error| unreadable(path, &error))?;
            if read == 0 {
                break;
            }
            verifier.update(&buffer[..read]);
            if size <= MAX_MANIFEST {
                small.extend_from_slice(&buffer[..read]);
            }
            tell(read as u64);
        }
        let hashed = verifier.hashed();
        if hashed != size {
            let why = format!("it ends after {hashed} of {size} bytes");
            return Err(BundleError::entry(path, why));
        }
        let digest = match (verifier.finish(), place(path)) {
            (Ok(proof), _) => proof.digest().clone(),
            (Err(mismatch), Place::Other) => mismatch.actual,
            (Err(mismatch), _) => {
                let why = format!("its bytes have the digest {}", mismatch.actual);
                return Err(BundleError::entry(path, why));
            }
        };
        if small.first() == Some(&b'{') && Manifest::parse(&small, None).is_ok() {
            self.manifest_bytes += size;
            if self.manifest_bytes > MAX_MANIFESTS {
                let why = format!("its manifests have more than {MAX_MANIFESTS} bytes together");
                return Err(BundleError::Whole(why));
            }
            self.manifests.insert(digest.clone(), small);
        }
        self.content
            .entry(digest.clone())
            .or_insert_with(|| path.to_owned());
        self.files.insert(path.to_owned(), File { size, digest });
        Ok(())
    }
}

/// A document that is to be held in memory.
fn read(path: &str, size: u64, most: u64, bytes: &mut dyn Read) -> Result<Vec<u8>, BundleError> {
    if size > most {
        let why = format!("it has {size} bytes, more than {most}");
        return Err(BundleError::entry(path, why));
    }
    let mut document = Vec::new();
    let read = bytes.read_to_end(&mut document);
    read.map_err(|error| unreadable(path, &error))?;
    if document.len() as u64 != size {
        let why = format!("it ends after {} of {size} bytes", document.len());
        return Err(BundleError::entry(path, why));
    }
    Ok(document)
}

/// A file that could be read no further: for want of more where it is packed, or of a disk.
fn unreadable(path: &str, error: &io::Error) -> BundleError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            BundleError::entry(path, "the bundle ends in the midst of it")
        }
        _ => BundleError::entry(path, format!("it cannot be read: {error}")),
    }
}

fn link(path: &str, document: &[u8]) -> Result<Digest, BundleError> {
    let text = String::from_utf8_lossy(document);
    let digest = text.trim().parse();
    digest.map_err(|error| BundleError::entry(path, format!("it holds no digest: {error}")))
}
