//! Each endpoint: what the engine is asked, and what its answer becomes.

use std::sync::Arc;

use http::Response;
use http::header::{ACCEPT, AGE};
use http::request::Parts;

use super::answered::Answered;
use crate::mirror::{Answer, Asker, Blob, Mirror, MirrorError, Outcome, Strayed};
use crate::oci::{Accepts, Digest, Endpoint, ErrorCode, Reference, Repository};
use crate::server::Body;
use crate::server::access::Served;
use crate::server::answers::{self, Wanted};
use crate::server::conditions::{self, Requested};
use crate::server::errors::{self, Asked, RateLimited};
use crate::server::route::Route;
use crate::upstream::Listing;

/// A GET or HEAD that has a route.
pub(super) struct Question<'a> {
    pub(super) mirror: &'a Arc<Mirror>,
    pub(super) request: &'a Parts,
    pub(super) route: &'a Route,
    /// In whose name upstream is asked.
    pub(super) asker: &'a Asker,
    pub(super) rate_limited: RateLimited,
}

impl Question<'_> {
    /// Asks the engine what there is to ask, and answers.
    pub(super) async fn answer(&self) -> Answered {
        match &self.route.endpoint {
            Endpoint::Base => Answered::well(answers::json("{}"), Outcome::Hit),
            Endpoint::Extension => {
                Answered::well(answers::json("{\"extensions\":[]}"), Outcome::Hit)
            }
            Endpoint::Manifest(repository, reference) => self.manifest(repository, reference).await,
            Endpoint::Blob(repository, digest) => self.blob(repository, digest).await,
            Endpoint::Tags(repository) => self.list(Listing::Tags(repository.clone())).await,
            Endpoint::Catalog => self.list(Listing::Catalog).await,
            Endpoint::Referrers(repository, digest) => self.referrers(repository, digest).await,
            Endpoint::Upload(_) => {
                let reason = "this mirror is read-only: there are no uploads";
                Answered::refused(ErrorCode::BlobUploadUnknown, Outcome::Negative, reason)
            }
        }
    }

    /// What the request says about the answer it wants.
    pub(super) fn wanted(&self) -> Wanted<'_> {
        Wanted {
            method: &self.request.method,
            headers: &self.request.headers,
            private: self.route.served != Served::AsNobody
                || matches!(self.asker, Asker::Client(_)),
        }
    }

    /// What the engine found as a response, one way or the other. What ages says its age (RFC 9111 section 5.1).
    pub(super) fn told<T>(
        &self,
        found: Result<Answer<T>, MirrorError>,
        asked: Asked,
        respond: impl FnOnce(T) -> Response<Body>,
    ) -> Answered {
        match found {
            Ok(answer) => {
                let mut response = respond(answer.value);
                let age = answer.age.map(|age| age.as_secs().into());
                response.headers_mut().extend(age.map(|age| (AGE, age)));
                Answered::well(response, answer.outcome)
            }
            Err(error) => Answered {
                response: errors::of_mirror(&error, asked, self.rate_limited),
                outcome: error.outcome(),
                error: Some(error.to_string()),
                strayed: Strayed::default(),
            },
        }
    }

    async fn manifest(&self, repository: &Repository, reference: &Reference) -> Answered {
        let (wanted, origin) = (self.wanted(), self.route.origin(repository));
        let lines = self.request.headers.get_all(ACCEPT).iter();
        let accepts = Accepts::of_lines(lines.filter_map(|line| line.to_str().ok()));
        if wanted.is_head() {
            let found = self
                .mirror
                .manifest_summary(self.asker, &origin, reference, accepts)
                .await;
            return self.told(found, Asked::Manifest, |summary| {
                answers::manifest(&wanted, reference, &summary, None)
            });
        }
        let found = self
            .mirror
            .manifest(self.asker, &origin, reference, accepts)
            .await;
        self.told(found, Asked::Manifest, |held| {
            answers::manifest(&wanted, reference, &held.summary(), Some(held.bytes))
        })
    }

    async fn blob(&self, repository: &Repository, digest: &Digest) -> Answered {
        let (wanted, origin) = (self.wanted(), self.route.origin(repository));
        let specs = match conditions::requested(wanted.method, wanted.headers, digest) {
            Requested::TooMany => return Answered::too_many_ranges(),
            // A client that has it begins no download; what it needs is the right to it.
            Requested::NotModified => {
                let found = self.mirror.blob_size(self.asker, &origin, digest).await;
                return self.told(found, Asked::Blob, |_| {
                    answers::blob_not_modified(&wanted, digest)
                });
            }
            Requested::Whole if wanted.is_head() => {
                let found = self.mirror.blob_size(self.asker, &origin, digest).await;
                return self.told(found, Asked::Blob, |size| {
                    answers::blob_summary(&wanted, digest, size)
                });
            }
            Requested::Whole => Vec::new(),
            Requested::Ranges(specs) => specs,
        };
        let found = self.mirror.blob(self.asker, &origin, digest, &specs).await;
        let strayed = match &found {
            Ok(Answer {
                value: Blob::Fill(joined, _),
                ..
            }) => joined.strayed(),
            _ => Strayed::default(),
        };
        let answered = self.told(found, Asked::Blob, |blob| {
            answers::blob(&wanted, digest, &blob, &specs)
        });
        Answered {
            strayed,
            ..answered
        }
    }
}
