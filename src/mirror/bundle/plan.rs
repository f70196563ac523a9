//! What becomes of the images of a bundle: content, links and records. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::{Value, json};

use super::named::{Images, Made, Named};
use super::survey::Survey;
use super::{BundleError, cut::read_manifest};
use crate::mirror::link;
use crate::oci::{
    Accepts, Descriptor, Digest, Manifest, ManifestKind, Referrers, Tag, fallback_tag,
};
use crate::store::{Link, Origin, Record, RecordKey, Role, Store};

/// How many indexes deep an image may lie: one in another is rare, more is made to do harm.
const MOST_DEEP: usize = 8;

/// What is there already, on the side that takes a bundle in.
pub trait Held {
    /// The size in bytes of content that is there.
    fn size(&self, digest: &Digest) -> Option<u64>;
    /// The bytes of a manifest that is there.
    fn manifest(&self, digest: &Digest) -> Option<Vec<u8>>;
    /// What the tag points to there.
    fn tagged(&self, origin: &Origin, tag: &Tag) -> Option<Digest>;
    /// How many bytes can be there at all.
    fn room(&self) -> u64;
}

/// Nothing is there: for one who looks at a bundle by itself.
pub struct Nothing;

impl Held for Nothing {
    fn size(&self, _: &Digest) -> Option<u64> {
        None
    }

    fn manifest(&self, _: &Digest) -> Option<Vec<u8>> {
        None
    }

    fn tagged(&self, _: &Origin, _: &Tag) -> Option<Digest> {
        None
    }

    fn room(&self) -> u64 {
        u64::MAX
    }
}

/// What a store has.
pub struct StoreHolds<'s>(pub &'s dyn Store);

impl Held for StoreHolds<'_> {
    fn size(&self, digest: &Digest) -> Option<u64> {
        let content = self.0.open(digest).ok()??;
        Some(content.size())
    }

    fn manifest(&self, digest: &Digest) -> Option<Vec<u8>> {
        read_manifest(self.0, digest).ok()?
    }

    fn tagged(&self, origin: &Origin, tag: &Tag) -> Option<Digest> {
        let key = RecordKey {
            origin: origin.clone(),
            tag: tag.clone(),
            accepts: Accepts::MODERN,
        };
        Some(self.0.record(&key).ok()??.digest)
    }

    fn room(&self) -> u64 {
        self.0.usage().capacity
    }
}

/// What is to be done to take a bundle in.
#[derive(Debug, Default)]
pub struct Plan {
    /// The files that are to become content: path and digest.
    pub(super) files: HashMap<String, Digest>,
    /// Manifests that are made here.
    pub(super) made: Made,
    pub(super) links: Vec<Link>,
    pub(super) records: Vec<(RecordKey, Record)>,
    /// The images that are taken in.
    pub images: Vec<Named>,
    /// Bytes that the images need, each digest once.
    pub bytes: u64,
    /// Images that are left out, and why: of a registry's storage only, where old ones often lack their content.
    pub left_out: Vec<String>,
}

/// Decides what becomes of `images`; records are made at `now` (Unix seconds).
///
/// Fails, and names it, when anything that an image needs is in neither the bundle nor `held`, or has another size than
/// is said of it; with `lenient` such an image is left out instead. Fails when the images cannot all be there together.
pub fn plan(
    survey: &Survey,
    images: Images,
    held: &dyn Held,
    lenient: bool,
    now: u64,
) -> Result<Plan, BundleError> {
    let mut planning = Planning {
        survey,
        made: images.made,
        held,
        referrers: BTreeMap::new(),
        plan: Plan::default(),
    };
    let mut missing = Vec::new();
    let mut seen = HashSet::new();
    for image in images.named {
        let what = match &image.tag {
            Some(tag) => format!(
                "{}/{}:{tag}",
                image.origin.upstream, image.origin.repository
            ),
            None => format!(
                "{}/{}@{}",
                image.origin.upstream, image.origin.repository, image.digest
            ),
        };
        let mut needs = Needs::default();
        match planning.follow(&image.origin, &image.digest, None, &mut needs) {
            Ok(()) => planning.take(image, needs, now, &mut seen),
            Err(why) if lenient => planning.plan.left_out.push(format!("{what}: {why}")),
            Err(why) => missing.push(format!("{what}: {why}")),
        }
    }
    if !missing.is_empty() {
        missing.dedup();
        return Err(BundleError::Missing(missing));
    }
    planning.list_referrers(now);
    let (bytes, room) = (planning.plan.bytes, held.room());
    if bytes > room {
        let why =
            format!("its images need {bytes} bytes, and the store holds {room} (store.capacity)");
        return Err(BundleError::Whole(why));
    }
    Ok(planning.plan)
}

/// A digest of a repository of an upstream.
type Subject = (String, String, Digest);
/// What refers to it, each by its own digest.
type Referring = (Origin, BTreeMap<Digest, Value>);

struct Planning<'p> {
    survey: &'p Survey,
    made: Made,
    held: &'p dyn Held,
    referrers: BTreeMap<Subject, Referring>,
    plan: Plan,
}

/// What one image needs.
#[derive(Default)]
struct Needs {
    content: BTreeSet<Digest>,
    links: Vec<Link>,
    subjects: Vec<(Origin, Digest, Value)>,
    /// How many indexes deep it is followed now.
    depth: usize,
}

impl Planning<'_> {
    /// Follows a manifest to all that it needs.
    fn follow(
        &self,
        origin: &Origin,
        digest: &Digest,
        told: Option<u64>,
        needs: &mut Needs,
    ) -> Result<(), String> {
        if !needs.content.insert(digest.clone()) {
            return Ok(());
        }
        let there = || {
            self.survey
                .manifests
                .get(digest)
                .or_else(|| self.made.get(digest))
        };
        let bytes = match there() {
            Some(bytes) => bytes.clone(),
            None => match self.held.manifest(digest) {
                Some(bytes) => bytes,
                None if self.size(digest).is_some() => {
                    return Err(format!("{digest} is no manifest"));
                }
                None => return Err(format!("{digest} is missing")),
            },
        };
        if told.is_some_and(|told| told != bytes.len() as u64) {
            return Err(format!(
                "{digest} has {} bytes, and its index says {}",
                bytes.len(),
                told.unwrap_or_default()
            ));
        }
        let manifest =
            Manifest::parse(&bytes, None).map_err(|error| format!("{digest}: {error}"))?;
        needs.links.push(link(origin, digest, Role::Manifest));
        if let Some(subject) = &manifest.subject {
            let listed = descriptor(digest, &bytes, &manifest);
            needs
                .subjects
                .push((origin.clone(), subject.digest.clone(), listed));
        }
        match manifest.kind {
            ManifestKind::Schema1 => Err(format!("{digest} is a manifest of schema 1")),
            ManifestKind::Index if needs.depth == MOST_DEEP => {
                Err(format!("{digest}: indexes lie more than {MOST_DEEP} deep"))
            }
            ManifestKind::Index => {
                needs.depth += 1;
                let followed = self.children(origin, digest, &manifest.references, needs);
                needs.depth -= 1;
                followed
            }
            ManifestKind::Image => {
                for blob in manifest.references.iter().filter(|it| !it.has_urls) {
                    self.blob(blob)?;
                    needs.content.insert(blob.digest.clone());
                    needs.links.push(link(origin, &blob.digest, Role::Blob));
                }
                Ok(())
            }
        }
    }

    /// Follows the children of an index that came along: a bundle may be for some platforms only.
    fn children(
        &self,
        origin: &Origin,
        index: &Digest,
        children: &[Descriptor],
        needs: &mut Needs,
    ) -> Result<(), String> {
        let mut some = children.is_empty();
        for child in children.iter().filter(|it| !it.has_urls) {
            if self.size(&child.digest).is_none() {
                continue;
            }
            some = true;
            self.follow(origin, &child.digest, Some(child.size), needs)?;
        }
        if some {
            return Ok(());
        }
        Err(format!("all manifests of the index {index} are missing"))
    }

    fn blob(&self, blob: &Descriptor) -> Result<(), String> {
        let Descriptor { digest, size, .. } = blob;
        match self.size(digest) {
            Some(found) if found == *size => Ok(()),
            Some(found) => Err(format!(
                "{digest} has {found} bytes, and its manifest says {size}"
            )),
            None => Err(format!("{digest} is missing")),
        }
    }

    fn size(&self, digest: &Digest) -> Option<u64> {
        let made = || self.made.get(digest).map(|bytes| bytes.len() as u64);
        let here = self.survey.size(digest).or_else(made);
        here.or_else(|| self.held.size(digest))
    }

    fn take(&mut self, image: Named, needs: Needs, now: u64, seen: &mut HashSet<Digest>) {
        for digest in needs.content {
            if !seen.insert(digest.clone()) {
                continue;
            }
            self.plan.bytes += self.size(&digest).unwrap_or_default();
            if let Some(path) = self.survey.content.get(&digest) {
                self.plan.files.insert(path.clone(), digest);
            } else if let Some(bytes) = self.made.get(&digest) {
                self.plan.made.insert(digest, bytes.clone());
            }
        }
        self.plan.links.extend(needs.links);
        for (origin, subject, listed) in needs.subjects {
            let key = (
                origin.upstream.to_string(),
                origin.repository.to_string(),
                subject,
            );
            let (_, known) = self
                .referrers
                .entry(key)
                .or_insert_with(|| (origin, BTreeMap::new()));
            if let Some(digest) = listed["digest"].as_str().and_then(|it| it.parse().ok()) {
                known.insert(digest, listed);
            }
        }
        if let Some(tag) = &image.tag {
            self.record(
                &image.origin.clone(),
                tag.clone(),
                &image.digest.clone(),
                now,
            );
        }
        self.plan.images.push(image);
    }

    /// A record, for what has been followed.
    fn record(&mut self, origin: &Origin, tag: Tag, digest: &Digest, now: u64) {
        let here = self
            .survey
            .manifests
            .get(digest)
            .or_else(|| self.made.get(digest));
        let bytes = here.cloned().or_else(|| self.held.manifest(digest));
        let Some(manifest) = bytes.as_ref().and_then(|it| Manifest::parse(it, None).ok()) else {
            return;
        };
        let key = RecordKey {
            origin: origin.clone(),
            tag,
            accepts: Accepts::MODERN,
        };
        let record = Record {
            digest: digest.clone(),
            media_type: manifest.media_type,
            size: bytes.map_or(0, |bytes| bytes.len() as u64),
            checked_at: now,
        };
        self.plan.records.push((key, record));
    }

    /// Makes the lists of referrers that clients would keep under the fallback tag (OCI distribution spec, "Referrers
    /// Tag Schema"), so that what refers to a digest is found offline; together with what is there.
    fn list_referrers(&mut self, now: u64) {
        for ((_, _, subject), (origin, mut listed)) in std::mem::take(&mut self.referrers) {
            let Some(tag) = fallback_tag(&subject) else {
                continue;
            };
            let told = |(key, _): &(RecordKey, Record)| key.origin == origin && key.tag == tag;
            if self.plan.records.iter().any(told) {
                continue;
            }
            let before = self
                .held
                .tagged(&origin, &tag)
                .and_then(|it| self.held.manifest(&it));
            let before = before.and_then(|bytes| Referrers::read(&bytes));
            for descriptor in before.map(Referrers::into_descriptors).unwrap_or_default() {
                if let Some(digest) = descriptor["digest"].as_str().and_then(|it| it.parse().ok()) {
                    listed.entry(digest).or_insert(descriptor);
                }
            }
            let bytes = Referrers::of(listed.into_values().collect()).to_bytes();
            let digest = Digest::sha256_of(&bytes);
            self.plan.bytes += bytes.len() as u64;
            self.plan.links.push(link(&origin, &digest, Role::Manifest));
            self.made.insert(digest.clone(), bytes.clone());
            self.plan.made.insert(digest.clone(), bytes);
            self.record(&origin, tag, &digest, now);
        }
    }
}

/// What a list of referrers says of a manifest (OCI distribution spec, "Listing Referrers").
fn descriptor(digest: &Digest, bytes: &[u8], manifest: &Manifest) -> Value {
    let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let own = body["artifactType"].as_str().filter(|it| !it.is_empty());
    let kind = own.or_else(|| body["config"]["mediaType"].as_str());
    let mut listed = json!({
        "mediaType": manifest.media_type.as_str(),
        "digest": digest,
        "size": bytes.len(),
    });
    if let Some(kind) = kind {
        listed["artifactType"] = kind.into();
    }
    if body["annotations"].is_object() {
        listed["annotations"] = body["annotations"].clone();
    }
    listed
}
