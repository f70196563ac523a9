//! Each operation: what the engine is asked, and what its answer becomes.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use prometheus::{Encoder, TextEncoder};
use serde_json::json;

use super::page::{self, PageView, Wanted};
use super::query::Query;
use super::routes::{Operation, TABLE};
use super::totals::Gathered;
use super::trouble::Trouble;
use super::views::{FillView, StatusView, StoreView, UpstreamView};
use super::warm::{self, Params};
use super::{AdminApi, answers, named};
use crate::mirror::{KeepingError, Mirror};
use crate::oci::{Digest, Reference};
use crate::store::Origin;

const DESCRIPTION: &str = include_str!("openapi.yaml");

/// What was asked for is nothing that there is.
pub(super) fn unknown_path() -> Trouble {
    let mut paths: Vec<_> = TABLE.iter().map(|(_, path, _)| *path).collect();
    let mut seen = HashSet::new();
    // Some paths are known with more than one method.
    paths.retain(|path| seen.insert(*path));
    let reason = format!("not found; known: {}", paths.join(", "));
    Trouble::new(StatusCode::NOT_FOUND, reason)
}

fn told((status, document): warm::Told) -> Response<Bytes> {
    answers::status(status, &document)
}

/// What an operator names: a reference, or a digest wherever it is.
enum Subject {
    Reference(Origin, Reference),
    Digest(Digest),
}

impl AdminApi {
    /// Carries out one operation for a visitor who may have it.
    pub(super) async fn carry_out(
        &self,
        operation: Operation,
        query: Query,
    ) -> Result<Response<Bytes>, Trouble> {
        match operation {
            // Alive means: this process answers. Upstreams do not matter to it.
            Operation::Health => Ok(answers::json(&json!({"status": "ok"}))),
            Operation::Readiness => Ok(self.ready().await),
            Operation::Metrics => self.metrics(),
            Operation::Page => self.page(&query).await,
            Operation::Style => Ok(answers::file("text/css; charset=utf-8", page::STYLE)),
            Operation::Script => Ok(answers::file(
                "text/javascript; charset=utf-8",
                page::SCRIPT,
            )),
            Operation::Description => Ok(answers::file(
                "application/yaml; charset=utf-8",
                DESCRIPTION,
            )),
            Operation::Status => Ok(answers::json(&self.status(&self.gathered()))),
            Operation::Upstreams => {
                let upstreams = self.upstreams(&self.gathered());
                Ok(answers::json(&json!({"items": upstreams})))
            }
            Operation::Warm => Ok(told(warm::begin(&self.parts.warmer, &Params::of(&query)))),
            Operation::WarmJobs => Ok(told(warm::list(&self.parts.warmer))),
            Operation::WarmJob => {
                let id = query.required("id")?;
                Ok(told(warm::report(&self.parts.warmer, id)))
            }
            Operation::StopWarming => {
                let id = query.required("id")?;
                Ok(told(warm::cancel(&self.parts.warmer, id)))
            }
            Operation::Fills => Ok(answers::json(&json!({"items": self.fills()}))),
            Operation::Repositories
            | Operation::Tags
            | Operation::Content
            | Operation::Pins
            | Operation::Explain => self.look(operation, &query).await,
            Operation::Pin
            | Operation::Unpin
            | Operation::Purge
            | Operation::Refresh
            | Operation::Collect => {
                let done = self.change(operation, &query).await;
                match &done {
                    Ok(_) => tracing::info!(target: "admin", ?operation, "done"),
                    Err(error) => tracing::warn!(target: "admin", ?operation, %error, "not done"),
                }
                done
            }
        }
    }

    /// Ready means: new bytes can be kept, or offline, where there will be none, that what is kept can be read.
    /// A mirror whose upstreams are out is ready: it serves what it has.
    async fn ready(&self) -> Response<Bytes> {
        let not = |reason: String| {
            let state = json!({"status": "not ready", "reason": reason});
            answers::status(StatusCode::SERVICE_UNAVAILABLE, &state)
        };
        if *self.parts.ending.borrow() {
            return not("ending".to_owned());
        }
        let (mirror, offline) = (Arc::clone(&self.parts.mirror), self.parts.offline);
        let probe = tokio::task::spawn_blocking(move || {
            if offline {
                mirror.probe_reading()
            } else {
                mirror.probe_store()
            }
        });
        match probe.await {
            Ok(Ok(())) => {
                let status = if offline { "ready, offline" } else { "ready" };
                answers::json(&json!({"status": status, "offline": offline}))
            }
            Ok(Err(error)) => not(error.to_string()),
            Err(_) => not("the store could not be asked".to_owned()),
        }
    }

    fn metrics(&self) -> Result<Response<Bytes>, Trouble> {
        let format = TextEncoder::new();
        let mut text = Vec::new();
        let written = format.encode(&self.parts.metrics.gather(), &mut text);
        written
            .map_err(|error| Trouble::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
        Ok(answers::text_of(format.format_type(), text.into()))
    }

    async fn page(&self, query: &Query) -> Result<Response<Bytes>, Trouble> {
        let origin = query.one("repository")?.filter(|text| !text.is_empty());
        let origin = origin.map(|text| named::repository(text, &self.parts.upstreams));
        let wanted = Wanted {
            search: query.one("search")?.unwrap_or_default().to_owned(),
            after: query.one("after")?.map(str::to_owned),
            origin: origin.transpose()?,
        };
        let gathered = self.gathered();
        let (status, upstreams) = (self.status(&gathered), self.upstreams(&gathered));
        let fills = self.fills();
        let kept = self
            .on_disk(move |mirror| Ok(page::Kept::read(mirror, wanted)))
            .await?;
        Ok(answers::page(page::render(&PageView {
            status,
            upstreams,
            fills,
            warming: self.parts.warmer.reports(),
            kept,
        })))
    }

    /// Shows what is kept.
    async fn look(&self, operation: Operation, query: &Query) -> Result<Response<Bytes>, Trouble> {
        let limit = query.limit()?;
        let after = query.one("after")?.map(str::to_owned);
        match operation {
            Operation::Repositories => {
                let upstream = query.one("upstream")?.map(str::to_owned);
                let found = self.on_disk(move |mirror| {
                    mirror.repositories_kept(upstream.as_deref(), after.as_deref(), limit)
                });
                found.await.map(|page| answers::json(&page))
            }
            Operation::Tags => {
                let text = query.required("repository")?;
                let origin = named::repository(text, &self.parts.upstreams)?;
                let found =
                    self.on_disk(move |mirror| mirror.tags_kept(&origin, after.as_deref(), limit));
                found.await.map(|page| answers::json(&page))
            }
            Operation::Content => {
                let after = query.parsed::<Digest>("after")?;
                let found = self.on_disk(move |mirror| mirror.contents_kept(after.as_ref(), limit));
                found.await.map(|page| answers::json(&page))
            }
            Operation::Pins => {
                let pins = self.on_disk(Mirror::pins).await?;
                Ok(answers::json(&json!({"items": pins})))
            }
            _ => {
                let subject = self.subject(query)?;
                let explained = self.on_disk(move |mirror| match subject {
                    Subject::Digest(digest) => mirror.explain_digest(&digest),
                    Subject::Reference(origin, reference) => mirror.explain(&origin, &reference),
                });
                explained.await.map(|told| answers::json(&told))
            }
        }
    }

    /// Changes what is kept.
    async fn change(
        &self,
        operation: Operation,
        query: &Query,
    ) -> Result<Response<Bytes>, Trouble> {
        match operation {
            Operation::Pin => {
                let name = query.required("name")?.to_owned();
                let references = query.all("reference");
                let named = references.map(|text| named::reference(text, &self.parts.upstreams));
                let named: Vec<_> = named.collect::<Result<_, _>>()?;
                if named.is_empty() {
                    return Err(Trouble::wrong("reference is missing"));
                }
                let pin = self.on_disk(move |mirror| mirror.pin(&name, &named));
                pin.await.map(|pin| answers::json(&pin))
            }
            Operation::Unpin => {
                let name = query.required("name")?.to_owned();
                let told = json!({"unpinned": name});
                self.on_disk(move |mirror| mirror.unpin(&name)).await?;
                Ok(answers::json(&told))
            }
            Operation::Purge => {
                let subject = self.subject(query)?;
                let purged = self.on_disk(move |mirror| match subject {
                    Subject::Digest(digest) => mirror.purge_digest(&digest),
                    Subject::Reference(origin, reference) => mirror.purge(&origin, &reference),
                });
                purged.await.map(|purged| answers::json(&purged))
            }
            Operation::Refresh => {
                let text = query.required("reference")?;
                match named::reference(text, &self.parts.upstreams)? {
                    (origin, Reference::Tag(tag)) => {
                        let refreshed = self.parts.mirror.refresh(&origin, &tag).await?;
                        Ok(answers::json(&refreshed))
                    }
                    (_, Reference::Digest(_)) => Err(Trouble::wrong(
                        "a digest never changes: there is nothing to refresh",
                    )),
                }
            }
            _ => {
                let dry_run = query.parsed("dry_run")?.unwrap_or(false);
                let collected = self.on_disk(move |mirror| mirror.collect_garbage(dry_run));
                collected.await.map(|collected| answers::json(&collected))
            }
        }
    }

    /// Exactly one of `reference` and `digest`.
    fn subject(&self, query: &Query) -> Result<Subject, Trouble> {
        match (query.one("reference")?, query.parsed("digest")?) {
            (Some(text), None) => {
                let (origin, reference) = named::reference(text, &self.parts.upstreams)?;
                Ok(Subject::Reference(origin, reference))
            }
            (None, Some(digest)) => Ok(Subject::Digest(digest)),
            _ => Err(Trouble::wrong("either reference or digest is asked for")),
        }
    }

    fn gathered(&self) -> Gathered {
        Gathered(self.parts.metrics.gather())
    }

    fn status(&self, gathered: &Gathered) -> StatusView {
        let gauge = |name| gathered.gauge(name, &[]).unwrap_or_default();
        StatusView {
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: self.began.elapsed().as_secs(),
            offline: self.parts.offline,
            fills_in_flight: gauge("roadstead_fills_in_flight"),
            connections: gauge("roadstead_connections_open"),
            totals: gathered.totals(None),
            store: StoreView::of(gathered),
        }
    }

    fn upstreams(&self, gathered: &Gathered) -> Vec<UpstreamView> {
        let seen = self.parts.mirror.upstreams_seen();
        let declared = &self.parts.upstreams;
        let views = seen.iter();
        views
            .map(|seen| UpstreamView::of(seen, declared, self.parts.offline, gathered))
            .collect()
    }

    fn fills(&self) -> Vec<FillView> {
        let seen = self.parts.mirror.fills_seen();
        seen.into_iter().map(FillView::from).collect()
    }

    /// Does what may wait for the disk, where waiting is allowed.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Mirror) -> Result<T, KeepingError> + Send + 'static,
    ) -> Result<T, Trouble> {
        let mirror = Arc::clone(&self.parts.mirror);
        let done = tokio::task::spawn_blocking(move || work(&mirror)).await;
        let done = done.map_err(|_| Trouble::lost())?;
        Ok(done?)
    }
}
