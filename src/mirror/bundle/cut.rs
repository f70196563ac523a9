//! What belongs into a new bundle: images chosen from what is recorded, and all that they lead to.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Value, json};

use super::{BundleError, IMAGE_NAME, REF_NAME, REPOSITORY, TAG, UPSTREAM};
use crate::mirror::warm::{Wanted, WantedPlatform, choose, cosign_tags, newest};
use crate::mirror::{Names, link};
use crate::oci::{
    Accepts, Digest, Manifest, ManifestKind, MediaType, Pattern, Repository, Tag, Verifier,
    fallback_tag,
};
use crate::store::{Origin, Record, RecordKey, Role, Store, StoreError};

/// The largest manifest that is read, in bytes.
const MAX_MANIFEST: u64 = 16 * 1024 * 1024;
/// Tags and repositories that are read at once.
const PAGE: usize = 1000;

/// Which images.
#[derive(Clone, Debug)]
pub enum Selection {
    /// Those, and what the patterns among them match of what is recorded.
    Wanted(Vec<Wanted>),
    /// Those that are pinned under a name.
    Pinned(String),
    /// All that have a tag.
    All,
}

/// How much of them.
#[derive(Clone, Debug, Default)]
pub struct CutOptions {
    /// The platforms of indexes; none: all.
    pub platforms: Vec<WantedPlatform>,
    /// Whether what refers to them is wanted, too, as far as it is here.
    pub referrers: bool,
    /// Of the tags that a pattern matches only so many, the newest.
    pub latest: Option<usize>,
    /// What is not here is left out.
    pub allow_missing: bool,
    /// What the other side has.
    pub have: HashSet<Digest>,
}

/// An image of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutImage {
    /// The upstream and the repository.
    pub origin: Origin,
    /// Its tag, if it has one.
    pub tag: Option<Tag>,
    /// Its manifest.
    pub digest: Digest,
    media_type: MediaType,
    size: u64,
}

impl CutImage {
    fn name(&self) -> String {
        let Origin {
            upstream,
            repository,
        } = &self.origin;
        match &self.tag {
            Some(tag) => format!("{upstream}/{repository}:{tag}"),
            None => format!("{upstream}/{repository}@{}", self.digest),
        }
    }
}

/// What belongs into a bundle.
#[derive(Debug, Default)]
pub struct Cut {
    /// The images, sorted.
    pub images: Vec<CutImage>,
    /// The content, with its size in bytes.
    pub content: BTreeMap<Digest, u64>,
    /// What belongs to them and was left out because the other side has it.
    pub had: BTreeMap<Digest, u64>,
    /// What was left out because it is not here, in words.
    pub lacking: Vec<String>,
}

impl Cut {
    /// The bytes of all content.
    pub fn bytes(&self) -> u64 {
        self.content.values().sum()
    }

    /// The `index.json` of the layout: the same for the same images.
    pub(super) fn index(&self) -> Vec<u8> {
        let manifests: Vec<Value> = self.images.iter().map(described).collect();
        let index = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_INDEX.as_str(),
            "manifests": manifests,
        });
        index.to_string().into_bytes()
    }
}

fn described(image: &CutImage) -> Value {
    let name = image.name();
    let mut annotations = json!({
        REF_NAME: name,
        UPSTREAM: &*image.origin.upstream,
        REPOSITORY: image.origin.repository.as_str(),
    });
    if let Some(tag) = &image.tag {
        annotations[TAG] = tag.as_str().into();
        annotations[IMAGE_NAME] = name.into();
    }
    json!({
        "mediaType": image.media_type.as_str(),
        "digest": image.digest,
        "size": image.size,
        "annotations": annotations,
    })
}

/// Chooses what belongs into a bundle of `selection`.
///
/// Fails, and names it, when anything of that is not here, unless that is allowed.
pub fn cut(
    store: &dyn Store,
    names: &Names,
    selection: &Selection,
    options: &CutOptions,
) -> Result<Cut, BundleError> {
    let mut cutting = Cutting {
        store,
        options,
        cut: Cut::default(),
        followed: BTreeSet::new(),
    };
    match selection {
        Selection::Wanted(wanted) => {
            for wanted in wanted {
                cutting.wanted(wanted, names)?;
            }
        }
        Selection::Pinned(name) => cutting.pinned(name, names)?,
        Selection::All => cutting.recorded(names, &|_| true)?,
    }
    let mut cut = cutting.cut;
    if !cut.lacking.is_empty() && !options.allow_missing {
        return Err(BundleError::Missing(cut.lacking));
    }
    cut.images.sort_by_key(CutImage::name);
    cut.images.dedup();
    Ok(cut)
}

struct Cutting<'c> {
    store: &'c dyn Store,
    options: &'c CutOptions,
    cut: Cut,
    /// Manifests that were followed, by the repository that they were followed in.
    followed: BTreeSet<(String, Digest)>,
}

impl Cutting<'_> {
    fn wanted(&mut self, wanted: &Wanted, names: &Names) -> Result<(), BundleError> {
        let Some(origin) = names.origin(wanted.name()) else {
            let registry = wanted.name().registry();
            let why = format!("{wanted}: no upstream named {registry} is declared");
            return Err(BundleError::Whole(why));
        };
        match wanted {
            Wanted::Tags(_, pattern) => self.matching(wanted, &origin, pattern),
            Wanted::Image(reference) => match (reference.digest(), reference.tag()) {
                (Some(digest), tag) => self.image(&origin, tag, digest),
                (None, Some(tag)) => {
                    let Some(record) = self.record(&origin, tag)? else {
                        let why = format!("{reference}: the tag is not known here");
                        self.cut.lacking.push(why);
                        return Ok(());
                    };
                    self.image(&origin, Some(tag), &record.digest)
                }
                (None, None) => Ok(()),
            },
        }
    }

    fn matching(
        &mut self,
        wanted: &Wanted,
        origin: &Origin,
        pattern: &Pattern,
    ) -> Result<(), BundleError> {
        let mut tags = all(|after| self.store.tags(origin, after, PAGE))?;
        tags.retain(|tag| pattern.matches(tag.as_str()));
        if tags.is_empty() {
            self.cut
                .lacking
                .push(format!("{wanted}: no tag that is known here matches"));
        }
        for tag in newest(tags, self.options.latest) {
            if let Some(record) = self.record(origin, &tag)? {
                self.image(origin, Some(&tag), &record.digest)?;
            }
        }
        Ok(())
    }

    fn pinned(&mut self, name: &str, names: &Names) -> Result<(), BundleError> {
        let pins = self.store.pins();
        let Some(pin) = pins.into_iter().find(|pin| pin.name == name) else {
            return Err(BundleError::Whole(format!(
                "nothing is pinned under the name {name}"
            )));
        };
        let pinned: HashSet<_> = pin.digests.into_iter().collect();
        self.recorded(names, &|record| pinned.contains(&record.digest))?;
        // What was pinned by its digest has no record.
        let images = self.cut.images.iter();
        let found: HashSet<_> = images.map(|image| image.digest.clone()).collect();
        let left: Vec<_> = pinned.iter().filter(|it| !found.contains(*it)).collect();
        for origin in self.origins(names)? {
            for digest in &left {
                if self.store.linked(&link(&origin, digest, Role::Manifest))? {
                    self.image(&origin, None, digest)?;
                }
            }
        }
        Ok(())
    }

    fn recorded(
        &mut self,
        names: &Names,
        choose: &dyn Fn(&Record) -> bool,
    ) -> Result<(), BundleError> {
        for origin in self.origins(names)? {
            for tag in all(|after| self.store.tags(&origin, after, PAGE))? {
                if let Some(record) = self.record(&origin, &tag)?.filter(choose) {
                    self.image(&origin, Some(&tag), &record.digest)?;
                }
            }
        }
        Ok(())
    }

    fn origins(&self, names: &Names) -> Result<Vec<Origin>, BundleError> {
        let mut origins = Vec::new();
        for upstream in names.upstreams() {
            let page = |after: Option<&Repository>| self.store.repositories(&upstream, after, PAGE);
            let repositories = all(page)?.into_iter();
            origins.extend(repositories.map(|repository| Origin {
                upstream: upstream.clone(),
                repository,
            }));
        }
        Ok(origins)
    }

    fn record(&self, origin: &Origin, tag: &Tag) -> Result<Option<Record>, StoreError> {
        let key = RecordKey {
            origin: origin.clone(),
            tag: tag.clone(),
            accepts: Accepts::MODERN,
        };
        self.store.record(&key)
    }

    /// Takes in one image and all that it leads to.
    fn image(
        &mut self,
        origin: &Origin,
        tag: Option<&Tag>,
        digest: &Digest,
    ) -> Result<(), BundleError> {
        let mut left = vec![digest.clone()];
        let what = match tag {
            Some(tag) => format!("{}/{}:{tag}", origin.upstream, origin.repository),
            None => format!("{}/{}", origin.upstream, origin.repository),
        };
        let mut is_top = true;
        while let Some(digest) = left.pop() {
            let Some(bytes) = read_manifest(self.store, &digest)? else {
                self.cut
                    .lacking
                    .push(format!("{what}: the manifest {digest} is not here"));
                is_top = false;
                continue;
            };
            let manifest = Manifest::parse(&bytes, None)
                .map_err(|error| BundleError::Whole(format!("{what}: {digest}: {error}")))?;
            if std::mem::take(&mut is_top) {
                self.cut.images.push(CutImage {
                    origin: origin.clone(),
                    tag: tag.cloned(),
                    digest: digest.clone(),
                    media_type: manifest.media_type.clone(),
                    size: bytes.len() as u64,
                });
            }
            let place = format!("{}/{}", origin.upstream, origin.repository);
            if !self.followed.insert((place, digest.clone())) {
                continue;
            }
            self.add(&digest, bytes.len() as u64);
            match manifest.kind {
                ManifestKind::Index => left.extend(self.children(&what, &manifest)),
                ManifestKind::Image => self.blobs(&what, &manifest)?,
                ManifestKind::Schema1 => {}
            }
            if self.options.referrers {
                self.referring(origin, &digest)?;
            }
        }
        Ok(())
    }

    fn children(&mut self, what: &str, index: &Manifest) -> Vec<Digest> {
        let chosen = choose(
            &index.references,
            &self.options.platforms,
            self.options.referrers,
        );
        let lacking = chosen.lacking.iter();
        self.cut
            .lacking
            .extend(lacking.map(|platform| format!("{what}: it has no image for {platform}")));
        chosen
            .children
            .iter()
            .map(|child| child.digest.clone())
            .collect()
    }

    fn blobs(&mut self, what: &str, image: &Manifest) -> Result<(), BundleError> {
        for blob in image.references.iter().filter(|it| !it.has_urls) {
            match self.store.open(&blob.digest)? {
                Some(content) if content.size() == blob.size => self.add(&blob.digest, blob.size),
                // The other side has it: it need not be here.
                None if self.options.have.contains(&blob.digest) => {
                    self.add(&blob.digest, blob.size);
                }
                _ => self
                    .cut
                    .lacking
                    .push(format!("{what}: the blob {} is not here", blob.digest)),
            }
        }
        Ok(())
    }

    /// What is known here to refer to `digest`: the list under the fallback tag, and what cosign keeps.
    fn referring(&mut self, origin: &Origin, digest: &Digest) -> Result<(), BundleError> {
        let tags = fallback_tag(digest).into_iter().chain(cosign_tags(digest));
        for tag in tags {
            if let Some(record) = self.record(origin, &tag)? {
                self.image(origin, Some(&tag), &record.digest)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, digest: &Digest, size: u64) {
        let there = if self.options.have.contains(digest) {
            &mut self.cut.had
        } else {
            &mut self.cut.content
        };
        there.insert(digest.clone(), size);
    }
}

/// All of what is read page by page.
fn all<T>(page: impl Fn(Option<&T>) -> Result<Vec<T>, StoreError>) -> Result<Vec<T>, StoreError> {
    let mut found: Vec<T> = Vec::new();
    loop {
        let next = page(found.last())?;
        let is_last = next.len() < PAGE;
        found.extend(next);
        if is_last {
            return Ok(found);
        }
    }
}

/// The bytes of a manifest that is here; none if they are not what they should be.
pub(super) fn read_manifest(
    store: &dyn Store,
    digest: &Digest,
) -> Result<Option<Vec<u8>>, BundleError> {
    let Some(content) = store.open(digest)?.filter(|it| it.size() <= MAX_MANIFEST) else {
        return Ok(None);
    };
    let size = usize::try_from(content.size()).unwrap_or(usize::MAX);
    let bytes = content.source().read_all(size)?;
    let proof = Verifier::verify(digest, &bytes);
    Ok(matches!(proof, Some(Ok(_))).then_some(bytes))
}
