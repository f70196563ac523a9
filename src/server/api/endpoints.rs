//! Each endpoint: what the engine is asked, and what its answer becomes.

use std::sync::Arc;

use http::request::Parts;
use http::{Method, Response};

use crate::mirror::{Answer, Asker, Blob, Mirror, MirrorError, Outcome, Strayed, Who};
use crate::oci::{Accepts, Digest, Endpoint, ErrorCode, Reference};
use crate::server::Body;
use crate::server::answers::{self, Wanted};
use crate::server::conditions::{self, Requested};
use crate::server::errors::{self, Asked};
use crate::server::route::{Route, listing_query};
use crate::store::Origin;
use crate::upstream::Listing;

/// A response and how it came about.
pub(super) struct Answered {
    pub(super) response: Response<Body>,
    pub(super) outcome: Outcome,
    /// Why there is no better answer: for the log, which the operator reads, as for the client.
    pub(super) error: Option<String>,
    /// Tells, when the answer has gone, whether its bytes went past the store.
    pub(super) strayed: Strayed,
}

impl Answered {
    pub(super) fn well(response: Response<Body>, outcome: Outcome) -> Self {
        Self {
            response,
            outcome,
            error: None,
            strayed: Strayed::default(),
        }
    }

    /// A refusal of ours, with the reason in words.
    pub(super) fn refused(code: ErrorCode, outcome: Outcome, reason: &str) -> Self {
        Self {
            response: errors::coded(code, reason),
            outcome,
            error: Some(reason.to_owned()),
            strayed: Strayed::default(),
        }
    }

    /// The answer to a method that is not served.
    pub(super) fn read_only() -> Self {
        Self {
            response: errors::read_only(),
            outcome: Outcome::Denied,
            error: Some(errors::READ_ONLY.to_owned()),
            strayed: Strayed::default(),
        }
    }

    /// The answer to more ranges than are served at once.
    fn too_many_ranges() -> Self {
        Self {
            response: errors::too_many_ranges(),
            outcome: Outcome::Error(Who::Client),
            error: Some(errors::TOO_MANY_RANGES.to_owned()),
            strayed: Strayed::default(),
        }
    }

    /// The answer when the engine has none in time: what it does goes on for those who still wait.
    pub(super) fn too_late() -> Self {
        Self {
            response: errors::too_late(),
            outcome: Outcome::Error(Who::Upstream),
            error: Some(errors::TOO_LATE.to_owned()),
            strayed: Strayed::default(),
        }
    }

    /// What the engine found as a response, one way or the other.
    fn of<T>(
        found: Result<Answer<T>, MirrorError>,
        asked: Asked,
        respond: impl FnOnce(T) -> Response<Body>,
    ) -> Self {
        match found {
            Ok(answer) => Self::well(respond(answer.value), answer.outcome),
            Err(error) => Self {
                response: errors::of_mirror(&error, asked),
                outcome: error.outcome(),
                error: Some(error.to_string()),
                strayed: Strayed::default(),
            },
        }
    }
}

/// Answers a GET or HEAD.
pub(super) async fn answer(mirror: &Arc<Mirror>, request: &Parts, route: &Route) -> Answered {
    let wanted = Wanted {
        method: &request.method,
        headers: &request.headers,
        private: route.private,
    };
    match &route.endpoint {
        Endpoint::Base => Answered::well(answers::json("{}"), Outcome::Hit),
        Endpoint::Extension => Answered::well(answers::json("{\"extensions\":[]}"), Outcome::Hit),
        Endpoint::Manifest(repository, reference) => {
            manifest(mirror, &wanted, &route.origin(repository), reference).await
        }
        Endpoint::Blob(repository, digest) => {
            blob(mirror, &wanted, &route.origin(repository), digest).await
        }
        Endpoint::Tags(repository) => {
            list(mirror, request, route, Listing::Tags(repository.clone())).await
        }
        Endpoint::Catalog => list(mirror, request, route, Listing::Catalog).await,
        Endpoint::Referrers(..) => {
            // Any code but NAME_UNKNOWN: it sends clients to the fallback tag.
            let reason = "referrers are not served; the fallback tag is";
            Answered::refused(ErrorCode::ManifestUnknown, Outcome::Negative, reason)
        }
        Endpoint::Upload(_) => {
            let reason = "this mirror is read-only: there are no uploads";
            Answered::refused(ErrorCode::BlobUploadUnknown, Outcome::Negative, reason)
        }
    }
}

async fn manifest(
    mirror: &Arc<Mirror>,
    wanted: &Wanted<'_>,
    origin: &Origin,
    reference: &Reference,
) -> Answered {
    if wanted.method == Method::HEAD {
        let found = mirror
            .manifest_summary(&Asker::Mirror, origin, reference, Accepts::MODERN)
            .await;
        return Answered::of(found, Asked::Manifest, |summary| {
            answers::manifest(wanted, reference, &summary, None)
        });
    }
    let found = mirror
        .manifest(&Asker::Mirror, origin, reference, Accepts::MODERN)
        .await;
    Answered::of(found, Asked::Manifest, |held| {
        answers::manifest(wanted, reference, &held.summary(), Some(held.bytes))
    })
}

async fn blob(
    mirror: &Arc<Mirror>,
    wanted: &Wanted<'_>,
    origin: &Origin,
    digest: &Digest,
) -> Answered {
    let specs = match conditions::requested(wanted.method, wanted.headers, digest) {
        Requested::TooMany => return Answered::too_many_ranges(),
        // A client that has it begins no download; what it needs is the right to it.
        Requested::NotModified => {
            let found = mirror.blob_size(&Asker::Mirror, origin, digest).await;
            return Answered::of(found, Asked::Blob, |_| {
                answers::blob_not_modified(wanted, digest)
            });
        }
        Requested::Whole if wanted.method == Method::HEAD => {
            let found = mirror.blob_size(&Asker::Mirror, origin, digest).await;
            return Answered::of(found, Asked::Blob, |size| {
                answers::blob_summary(wanted, digest, size)
            });
        }
        Requested::Whole => Vec::new(),
        Requested::Ranges(specs) => specs,
    };
    let found = mirror.blob(&Asker::Mirror, origin, digest, &specs).await;
    let strayed = match &found {
        Ok(Answer {
            value: Blob::Fill(joined, _),
            ..
        }) => joined.strayed(),
        _ => Strayed::default(),
    };
    let answered = Answered::of(found, Asked::Blob, |blob| {
        answers::blob(wanted, digest, &blob, &specs)
    });
    Answered {
        strayed,
        ..answered
    }
}

async fn list(mirror: &Arc<Mirror>, request: &Parts, route: &Route, listing: Listing) -> Answered {
    let query = listing_query(request.uri.query());
    if let Err(reason) = check_page_size(query.as_deref()) {
        let code = ErrorCode::PaginationNumberInvalid;
        return Answered::refused(code, Outcome::Error(Who::Client), reason);
    }
    let page = mirror
        .list(&Asker::Mirror, &route.upstream, listing, query)
        .await;
    Answered::of(page, Asked::Listing, |page| {
        // The next page has the path this one has, so it is on our own host under any addressing.
        let next = page.next.map(|query| {
            let ns = route.ns.as_deref().map(|ns| format!("&ns={ns}"));
            format!("{}?{query}{}", request.uri.path(), ns.unwrap_or_default())
        });
        answers::listing(page.bytes, next.as_deref())
    })
}

/// `n` is a number of results, as OCI distribution spec, "Listing Tags", has it.
fn check_page_size(query: Option<&str>) -> Result<(), &'static str> {
    let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    for (_, n) in pairs.filter(|(key, _)| key == "n") {
        n.parse::<u32>()
            .map_err(|_| "n must be a number of results")?;
    }
    Ok(())
}
