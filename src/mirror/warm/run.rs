//! One job: each of its images is resolved, followed to its blobs, and brought.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use parking_lot::Mutex;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::timeout;

use super::board::{Board, RowId};
use super::metrics::WarmMetrics;
use super::order::{Order, PinUnder};
use super::report::RowState;
use super::versions::newest;
use crate::mirror::access::{Asker, Right};
use crate::mirror::bring::Brought;
use crate::mirror::metrics::InGauge;
use crate::mirror::{Mirror, MirrorError, Names, Outcome, Patience, link};
use crate::oci::{
    Accepts, Descriptor, Digest, ImageName, ImageReference, Pattern, Tag, TagList, Wanted,
};
use crate::store::{Link, Origin, Role};
use crate::upstream::Listing;

/// Images resolved at once. What they bring waits for lanes.
const IMAGES_AT_ONCE: usize = 16;
/// Blobs of one image that wait for lanes at once.
const BLOBS_AT_ONCE: usize = 16;
/// Pages of a tag list that are read at most: registries give 100 to 10,000 tags on each.
const MOST_PAGES: usize = 1000;
/// How long the disk may take for what was learnt.
const WRITTEN_WITHIN: Duration = Duration::from_mins(1);

type Shared = Arc<OnceCell<Result<Brought, MirrorError>>>;

/// One job under way.
pub(super) struct Run {
    pub(super) mirror: Arc<Mirror>,
    pub(super) names: Names,
    pub(super) order: Order,
    pub(super) board: Arc<Board>,
    pub(super) metrics: WarmMetrics,
    /// Counts it, while it is there.
    pub(super) _running: InGauge,
    /// How many blobs of each upstream all jobs together begin at once: no more than would be fetched at once, so that a
    /// job that is stopped leaves little behind that goes on.
    pub(super) gates: HashMap<Arc<str>, Arc<Semaphore>>,
    /// The blobs of this job: what images have in common is brought, and counted, once.
    pub(super) brought: Mutex<HashMap<Link, Shared>>,
}

/// How an image was found.
enum Found {
    /// All of it is here; with what there is to know of it.
    Whole(Option<String>),
    /// Not all of it can be had.
    Lacking(String),
}

impl Run {
    /// Does the job. Dropped, it stops; what it had begun to fetch goes on by itself.
    pub(super) async fn run(self) {
        let rows = self.order.wanted.clone();
        let rows: Vec<_> = rows
            .into_iter()
            .map(|wanted| (self.board.add(wanted.to_string()), wanted))
            .collect();
        let ending = Ending(&self);
        let images = stream::iter(rows)
            .map(|(row, wanted)| self.images(row, wanted))
            .buffered(IMAGES_AT_ONCE);
        images
            .flat_map(stream::iter)
            .for_each_concurrent(IMAGES_AT_ONCE, |(row, image)| self.image(row, image))
            .await;
        if let Err(why) = self.written().await {
            self.board.trouble(why);
        }
        if let Some(pin) = &self.order.pin
            && let Err(why) = self.pin(pin).await
        {
            self.board.trouble(why);
        }
        drop(ending);
    }

    /// The images that were asked for in one row.
    async fn images(&self, row: RowId, wanted: Wanted) -> Vec<(RowId, ImageReference)> {
        let (name, pattern) = match wanted {
            Wanted::Image(image) => return vec![(row, image)],
            Wanted::Tags(name, pattern) => (name, pattern),
        };
        self.board.resolving(row);
        match self.tags(&name, &pattern).await {
            Ok(tags) if tags.is_empty() => {
                let why = "no tag matches".to_owned();
                self.board.ends(row, RowState::Failed, Some(why));
                Vec::new()
            }
            Ok(tags) => {
                let image = |tag| ImageReference::new(name.clone(), Some(tag), None);
                let images = tags.into_iter().map(image).collect();
                self.board.expand(row, images)
            }
            Err(why) => {
                self.board.ends(row, RowState::Failed, Some(why));
                Vec::new()
            }
        }
    }

    /// The tags that a pattern stands for, the newest first.
    async fn tags(&self, name: &ImageName, pattern: &Pattern) -> Result<Vec<Tag>, String> {
        let origin = self.origin(name)?;
        let (mut tags, mut query) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let listing = Listing::Tags(origin.repository.clone());
            let page = self
                .mirror
                .list(
                    &Asker::Mirror,
                    Patience::Job,
                    &origin.upstream,
                    listing,
                    query,
                )
                .await;
            let page = page.map_err(|error| error.to_string())?;
            if let Some(why) = not_asked(page.outcome) {
                self.board
                    .trouble(format!("the list of tags of {name}: {why}"));
            }
            let page = page.value;
            let list = TagList::read(&origin.repository, &page.bytes);
            let listed = list.map(|(list, _)| list.tags).unwrap_or_default();
            tags.extend(
                listed
                    .into_iter()
                    .filter(|tag| pattern.matches(tag.as_str())),
            );
            query = page.next;
            if query.is_none() {
                return Ok(newest(tags, self.order.latest));
            }
        }
        Err(format!("the list of tags has more than {MOST_PAGES} pages"))
    }

    /// Brings one image, and writes how that ended.
    async fn image(&self, row: RowId, image: ImageReference) {
        let (state, reason) = match self.bring(row, &image).await {
            Ok(Found::Whole(note)) => (RowState::Done, note),
            Ok(Found::Lacking(why)) => (RowState::Partial, Some(why)),
            Err(why) => (RowState::Failed, Some(why)),
        };
        self.board.ends(row, state, reason);
    }

    async fn bring(&self, row: RowId, image: &ImageReference) -> Result<Found, String> {
        let origin = self.origin(image.name())?;
        self.board.resolving(row);
        let looked_up = self
            .mirror
            .look_up(
                &self.right(&origin).map_err(|error| error.to_string())?,
                &image.reference(),
                Accepts::MODERN,
            )
            .await
            .map_err(|error| error.to_string())?;
        let top = looked_up.found.value;
        self.board.resolved(row, &top.digest);
        let size = top.bytes.len() as u64;
        self.board.part(row, &top.digest, size, size);
        let fetched = if looked_up.brought { size } else { 0 };
        self.board.settled(row, &top.digest, fetched);
        let gathered = self.gather(row, &origin, top).await;
        for blob in &gathered.blobs {
            let held = self.mirror.content(&blob.digest).ok().flatten();
            let present = held.map_or(0, |content| content.size());
            self.board.part(row, &blob.digest, blob.size, present);
        }
        self.board.fetching(row);
        let blobs = gathered.blobs.into_iter();
        let blobs = blobs.map(|blob| self.blob(row, &origin, blob));
        let failures: Vec<_> = stream::iter(blobs)
            .buffer_unordered(BLOBS_AT_ONCE)
            .filter_map(std::future::ready)
            .collect()
            .await;
        if !failures.is_empty() {
            return Err(failures.join("; "));
        }
        if !gathered.lacking.is_empty() {
            return Ok(Found::Lacking(gathered.lacking.join("; ")));
        }
        let why = not_asked(looked_up.found.outcome);
        Ok(why.map_or(Found::Whole(None), Found::Lacking))
    }

    /// Brings one blob. Gives why it is not here.
    async fn blob(&self, row: RowId, origin: &Origin, blob: Descriptor) -> Option<String> {
        let link = link(origin, &blob.digest, Role::Blob);
        let shared = Arc::clone(self.brought.lock().entry(link.clone()).or_default());
        let mut ours = false;
        let brought = shared
            .get_or_init(|| {
                ours = true;
                self.fetch(row, &link, &blob)
            })
            .await;
        let fetched = match brought {
            Ok(brought) if ours => brought.fetched,
            _ => 0,
        };
        self.board.settled(row, &blob.digest, fetched);
        match brought {
            Ok(brought) if brought.size != blob.size => Some(format!(
                "{}: it has {} bytes, and its manifest says {}",
                blob.digest, brought.size, blob.size
            )),
            Ok(_) => None,
            Err(error) => Some(format!("{}: {error}", blob.digest)),
        }
    }

    async fn fetch(
        &self,
        row: RowId,
        link: &Link,
        blob: &Descriptor,
    ) -> Result<Brought, MirrorError> {
        let gate = self.gates.get(&link.origin.upstream);
        // A gate is never closed.
        let _turn = match gate {
            Some(gate) => gate.acquire().await.ok(),
            None => None,
        };
        let tell = |present| self.board.present(row, &blob.digest, present);
        let right = self.right(&link.origin)?;
        self.mirror.bring_blob(&right, link, tell).await
    }

    /// Jobs ask in the mirror's own name, and wait for what they ask.
    pub(super) fn right(&self, origin: &Origin) -> Result<Right, MirrorError> {
        let right = self.mirror.right(&Asker::Mirror, origin)?;
        Ok(right.with(Patience::Job))
    }

    fn origin(&self, name: &ImageName) -> Result<Origin, String> {
        let origin = self.names.origin(name);
        origin.ok_or_else(|| format!("no upstream named {} is declared", name.registry()))
    }

    /// What the images are is on disk, too: a job that has ended well has nothing to lose.
    async fn written(&self) -> Result<(), String> {
        let written = timeout(WRITTEN_WITHIN, self.mirror.scribe.written());
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("what the tags are is not kept: {error}")),
            Err(_) => {
                let seconds = WRITTEN_WITHIN.as_secs();
                Err(format!(
                    "what the tags are is not kept: the disk has not taken it in {seconds} s"
                ))
            }
        }
    }

    /// Pins what is here. What the name stood for before stays under it unless all is here anew.
    async fn pin(&self, pin: &PinUnder) -> Result<(), String> {
        let found = self.board.found();
        let whole = self.board.is_whole();
        let (mirror, pin) = (Arc::clone(&self.mirror), pin.clone());
        let pinned = tokio::task::spawn_blocking(move || {
            let mut digests: BTreeSet<Digest> = found.into_iter().collect();
            if pin.adds || !whole {
                let before = mirror.store.pins().into_iter();
                let ours = before.filter(|it| it.name == pin.name);
                digests.extend(ours.flat_map(|it| it.digests));
            }
            let digests: Vec<_> = digests.into_iter().collect();
            mirror.store.pin(&pin.name, &digests)
        });
        match pinned.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("not pinned: {error}")),
            Err(_) => Err("not pinned: the process is ending".to_owned()),
        }
    }
}

/// Why an answer is not what upstream would say now; `None` when it is.
pub(super) fn not_asked(outcome: Outcome) -> Option<String> {
    let Outcome::Stale(why) = outcome else {
        return None;
    };
    Some(format!(
        "as it was known: upstream was not asked what it is now ({why})"
    ))
}

/// Writes the end of the job on the board, however it ends.
struct Ending<'r>(&'r Run);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let state = self.0.board.end(self.0.mirror.clock.now());
        self.0.metrics.ended(state);
    }
}
