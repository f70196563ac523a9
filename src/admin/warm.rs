//! Warming by the operator's API: jobs are begun, watched and stopped.
//!
//! Each function takes what the request says and gives a status and a document; they know nothing of how those travel.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Value, json};

use super::query::Query;
use crate::mirror::warm::{Order, PinUnder, Warmer};

/// The most images that one request may name.
const MOST_IMAGES: usize = 10_000;

/// A status and a document.
pub(super) type Told = (StatusCode, Value);

/// The parameters of a request: each with all its values, in order.
pub(super) struct Params(BTreeMap<String, Vec<String>>);

impl Params {
    /// Those of a request.
    pub(super) fn of(query: &Query) -> Self {
        let mut params = BTreeMap::<String, Vec<String>>::new();
        for (name, value) in query.pairs() {
            let values = params.entry(name.to_owned()).or_default();
            values.push(value.to_owned());
        }
        Self(params)
    }

    fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    fn one(&self, name: &str) -> Option<&str> {
        self.all(name).last().map(String::as_str)
    }
}

/// `POST /api/v1/warm`: begins a job, or finds the same one under way.
pub(super) fn begin(warmer: &Warmer, params: &Params) -> Told {
    match order(params) {
        Ok(order) => {
            let asked = warmer.begin(order);
            let told = json!({"job": asked.id, "new": asked.is_new});
            (StatusCode::ACCEPTED, told)
        }
        Err(why) => (StatusCode::BAD_REQUEST, json!({"error": why})),
    }
}

/// `GET /api/v1/warm`: all jobs without their images, the latest first.
pub(super) fn list(warmer: &Warmer) -> Told {
    let jobs = warmer.reports().into_iter().map(|mut report| {
        let images = report.rows.len();
        report.rows.clear();
        let mut told = json!(report);
        if let Some(told) = told.as_object_mut() {
            told.remove("rows");
            told.insert("images".to_owned(), images.into());
        }
        told
    });
    (StatusCode::OK, json!({"jobs": jobs.collect::<Vec<_>>()}))
}

/// `GET /api/v1/warm/ID`: one job with its images.
pub(super) fn report(warmer: &Warmer, id: &str) -> Told {
    let report = id.parse().ok().and_then(|id| warmer.report(id));
    report.map_or_else(|| unknown(id), |report| (StatusCode::OK, json!(report)))
}

/// `DELETE /api/v1/warm/ID`: stops a job.
pub(super) fn cancel(warmer: &Warmer, id: &str) -> Told {
    let number = id.parse().ok();
    match number.filter(|id| warmer.cancel(*id)) {
        Some(id) => (StatusCode::ACCEPTED, json!({"job": id})),
        None => unknown(id),
    }
}

fn unknown(id: &str) -> Told {
    let why = format!("there is no job {id}");
    (StatusCode::NOT_FOUND, json!({"error": why}))
}

/// What is asked for, or why that makes no sense.
fn order(params: &Params) -> Result<Order, String> {
    let references = params.all("reference");
    if references.is_empty() {
        return Err("reference is missing".to_owned());
    }
    if references.len() > MOST_IMAGES {
        return Err(format!("more than {MOST_IMAGES} references"));
    }
    let mut order = Order::default();
    for text in references {
        let wanted = text
            .parse()
            .map_err(|error| format!("reference {text:?}: {error}"))?;
        if !order.wanted.contains(&wanted) {
            order.wanted.push(wanted);
        }
    }
    for text in params.all("platform").iter().flat_map(|it| it.split(',')) {
        let platform = text.parse().map_err(|error| format!("platform: {error}"))?;
        order.platforms.push(platform);
    }
    order.platforms.sort();
    order.platforms.dedup();
    order.referrers = flag(params, "referrers")?;
    if let Some(latest) = params.one("latest") {
        let latest: std::num::NonZeroUsize = latest
            .parse()
            .map_err(|_| format!("latest: {latest:?} is not a number from 1 on"))?;
        order.latest = Some(latest.get());
    }
    let adds = flag(params, "pin_adds")?;
    order.pin = match params.one("pin") {
        Some("") => return Err("pin: the name is empty".to_owned()),
        Some(name) => Some(PinUnder {
            name: name.to_owned(),
            adds,
        }),
        None => None,
    };
    Ok(order)
}

fn flag(params: &Params, name: &str) -> Result<bool, String> {
    match params.one(name) {
        None | Some("false") => Ok(false),
        Some("true" | "") => Ok(true),
        Some(other) => Err(format!("{name}: {other:?} is neither true nor false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::routes::Operation;

    fn read(query: &str) -> Result<Order, String> {
        {
            let known = Operation::Warm.parameters();
            let query = Query::read(Some(query), known).map_err(|trouble| trouble.to_string())?;
            order(&Params::of(&query))
        }
    }

    #[test]
    fn parameters_are_an_order_and_the_same_ones_the_same_order() {
        let query = "reference=alpine&reference=ghcr.io/o/r:3.*&reference=alpine&platform=linux/arm64,linux/amd64&referrers=true&latest=2&pin=site";
        let order = read(query).expect("an order");
        assert_eq!(order.wanted.len(), 2);
        assert_eq!(order.platforms.len(), 2);
        assert!(order.referrers && order.latest == Some(2));
        let same = "pin=site&latest=2&referrers&reference=docker.io/library/alpine:latest&reference=ghcr.io/o/r:3.*&platform=linux/amd64&platform=linux/arm64";
        assert_eq!(read(same), Ok(order));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_reason() {
        for (query, reason) in [
            ("", "reference is missing"),
            (
                "reference=Alpine",
                "reference \"Alpine\": a repository name is lowercase",
            ),
            (
                "reference=a&latest=0",
                "latest: \"0\" is not a number from 1 on",
            ),
            (
                "reference=a&referrers=yes",
                "referrers: \"yes\" is neither true nor false",
            ),
            ("reference=a&pin=", "pin: the name is empty"),
            (
                "reference=a&refrence=b",
                "unknown parameter \"refrence\"; known here: reference, platform, referrers, latest, pin, pin_adds",
            ),
        ] {
            assert_eq!(read(query), Err(reason.to_owned()), "{query}");
        }
        assert!(read("reference=a&platform=linux").is_err());
    }
}
