//! `roadstead cache` and `roadstead gc`: what a running mirror keeps.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Subcommand;
use http::Method;
use serde_json::Value;

use super::admin_client::{AdminClient, AskError, At};
use super::figures::{bytes, count, moment, parts, text};
use super::told;
use crate::oci::Digest;

/// The items asked for at once.
const PAGE: &str = "1000";

/// What to do with what is kept.
#[derive(Subcommand, Debug)]
pub(super) enum CacheCommand {
    /// List repositories, or the tags of one.
    Ls {
        /// An upstream, or a repository of one.
        #[arg(value_name = "UPSTREAM[/REPOSITORY]")]
        place: Option<String>,
    },
    /// List the digests that are here: for `bundle export --have` on the other side. With --config no mirror need run.
    Have,
    /// Tell what a reference means here and now, and why its content is here, or is not.
    Explain {
        /// A reference such as docker.io/library/alpine:3, or a digest.
        #[arg(value_name = "REFERENCE|DIGEST")]
        what: String,
    },
    /// Keep what references mean now, and all that they reference, until unpinned.
    Pin {
        /// The pin's name.
        name: String,
        /// What to keep.
        #[arg(required = true, value_name = "REFERENCE")]
        references: Vec<String>,
    },
    /// Take a pin away.
    Unpin {
        /// The pin's name.
        name: String,
    },
    /// List the pins, and what each keeps.
    Pins,
    /// Ask upstream now what a tag means.
    Refresh {
        /// A reference with a tag.
        reference: String,
    },
    /// Forget what a reference means, or remove the content of a digest: the next pull asks upstream.
    Rm {
        /// A reference, or a digest.
        #[arg(value_name = "REFERENCE|DIGEST")]
        what: String,
    },
}

/// Carries out a command of `roadstead cache`.
pub(super) fn run(at: &At, command: &CacheCommand, as_json: bool) -> ExitCode {
    told(carry_out(at, command, as_json))
}

/// Removes what nothing keeps, or tells what would go.
pub(super) fn collect(at: &At, dry_run: bool, as_json: bool) -> ExitCode {
    told(collected(at, dry_run, as_json))
}

fn carry_out(at: &At, command: &CacheCommand, as_json: bool) -> Result<(), AskError> {
    let client = AdminClient::new(at)?;
    match command {
        CacheCommand::Ls { place } => list(&client, place.as_deref(), as_json),
        CacheCommand::Have => have(&client, as_json),
        CacheCommand::Explain { what } => {
            let told = client.get("explain", &[subject(what)?])?;
            show(&told, as_json, explained)
        }
        CacheCommand::Pin { name, references } => {
            let mut query = vec![("name", name.as_str())];
            query.extend(references.iter().map(|it| ("reference", it.as_str())));
            let told = client.ask(Method::POST, "pin", &query)?;
            show(&told, as_json, |told| {
                let pinned = told["digests"].as_array().map_or(0, Vec::len);
                let images = count(&pinned.into(), "image");
                vec![format!("{}: {images} pinned", text(&told["name"]))]
            })
        }
        CacheCommand::Unpin { name } => {
            let told = client.ask(Method::DELETE, "pin", &[("name", name)])?;
            show(&told, as_json, |told| {
                vec![format!("{}: unpinned", text(&told["unpinned"]))]
            })
        }
        CacheCommand::Pins => {
            let told = client.get("pins", &[])?;
            for pin in told["items"].as_array().into_iter().flatten() {
                show(pin, as_json, pinned)?;
            }
            Ok(())
        }
        CacheCommand::Refresh { reference } => {
            let told = client.ask(Method::POST, "refresh", &[("reference", reference)])?;
            show(&told, as_json, |told| {
                let changed = if told["changed"] == true {
                    "changed"
                } else {
                    "unchanged"
                };
                vec![format!(
                    "{} {changed} ({})",
                    text(&told["digest"]),
                    text(&told["outcome"])
                )]
            })
        }
        CacheCommand::Rm { what } => {
            let told = client.ask(Method::POST, "purge", &[subject(what)?])?;
            show(&told, as_json, |told| {
                vec![format!(
                    "{} forgotten, {} removed, {}",
                    count(&told["records"], "tag"),
                    count(&told["contents"], "content"),
                    bytes(&told["bytes"])
                )]
            })
        }
    }
}

/// Whether a digest or a reference is meant. A tag behind a colon may look like a digest of some algorithm that nobody
/// uses; what begins as a digest of one that is used is no tag, however short it is.
fn subject(what: &str) -> Result<(&'static str, &str), AskError> {
    match what.split_once(':') {
        Some(("sha256" | "sha512", _)) => match what.parse::<Digest>() {
            Ok(_) => Ok(("digest", what)),
            Err(why) => Err(AskError::Unusable(format!("{what:?}: {why}"))),
        },
        _ => Ok(("reference", what)),
    }
}

/// A pin, and under it what it keeps.
fn pinned(pin: &Value) -> Vec<String> {
    let digests = pin["digests"].as_array().map_or(&[][..], Vec::as_slice);
    let images = count(&digests.len().into(), "image");
    let mut lines = vec![format!("{}  {images}", text(&pin["name"]))];
    lines.extend(digests.iter().map(|it| format!("  {}", text(it))));
    lines
}

/// Lists the digests of all content.
fn have(client: &AdminClient, as_json: bool) -> Result<(), AskError> {
    pages(client, "content", None, &mut |item| {
        show(item, as_json, |item| vec![text(&item["digest"])])
    })
}

/// Lists repositories, or the tags of one.
fn list(client: &AdminClient, place: Option<&str>, as_json: bool) -> Result<(), AskError> {
    let (path, of) = match place {
        Some(place) if place.contains('/') => ("tags", Some(("repository", place))),
        Some(upstream) => ("repositories", Some(("upstream", upstream))),
        None => ("repositories", None),
    };
    pages(client, path, of, &mut |item| {
        show(item, as_json, |item| vec![line(item)])
    })
}

/// Asks page by page, so that the first lines come at once whatever there is.
fn pages(
    client: &AdminClient,
    path: &str,
    of: Option<(&str, &str)>,
    each: &mut dyn FnMut(&Value) -> Result<(), AskError>,
) -> Result<(), AskError> {
    let mut after: Option<String> = None;
    loop {
        let mut query: Vec<_> = of.into_iter().collect();
        query.push(("limit", PAGE));
        query.extend(after.as_deref().map(|after| ("after", after)));
        let page = client.get(path, &query)?;
        for item in page["items"].as_array().into_iter().flatten() {
            each(item)?;
        }
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            return Ok(());
        }
    }
}

fn line(item: &Value) -> String {
    if item["repository"].is_string() {
        let (upstream, repository) = (text(&item["upstream"]), text(&item["repository"]));
        return format!("{upstream}/{repository}  {}", count(&item["tags"], "tag"));
    }
    let pins = item["pins"].as_array().map_or(0, Vec::len);
    format!(
        "{:<20} {}  {:>10}  {}  used {}{}",
        text(&item["tag"]),
        text(&item["digest"]),
        bytes(&item["bytes"]),
        wholeness(&item["parts"]),
        moment(&item["last_use"]),
        if pins > 0 { "  pinned" } else { "" },
    )
}

fn wholeness(told: &Value) -> String {
    match told {
        Value::Null => "its manifest is not here".to_owned(),
        told => parts(told),
    }
}

fn explained(told: &Value) -> Vec<String> {
    let mut lines = vec![text(&told["digest"])];
    lines.push(match (&told["is_here"], &told["arriving"]) {
        (Value::Bool(true), _) => format!("  here, {}", bytes(&told["size"])),
        (_, Value::Null) => "  not here".to_owned(),
        (_, arriving) => format!("  on its way, {} so far", bytes(arriving)),
    });
    if told["parts"].is_object() {
        lines.push(format!("  {}", parts(&told["parts"])));
    }
    let record = &told["record"];
    if record.is_object() {
        lines.push(format!(
            "  tag {}: {}, confirmed {}",
            text(&record["tag"]),
            text(&record["state"]),
            moment(&record["checked_at"])
        ));
    }
    match &told["shown_by_repository"] {
        Value::Bool(true) => lines.push("  the repository has shown it".to_owned()),
        Value::Bool(false) => {
            lines.push("  the repository has not shown it: upstream is asked first".to_owned());
        }
        _ => {}
    }
    if told["last_use"].is_u64() {
        lines.push(format!("  used {}", moment(&told["last_use"])));
    }
    for (key, label) in [("pins", "pinned by"), ("records", "reached by")] {
        for name in told[key].as_array().into_iter().flatten() {
            lines.push(format!("  {label} {}", text(name)));
        }
    }
    lines
}

fn collected(at: &At, dry_run: bool, as_json: bool) -> Result<(), AskError> {
    let client = AdminClient::new(at)?;
    let flag = if dry_run { "true" } else { "false" };
    let told = client.ask(Method::POST, "gc", &[("dry_run", flag)])?;
    show(&told, as_json, |told| {
        let items = told["items"].as_array().map_or(&[][..], Vec::as_slice);
        let mut lines: Vec<_> = items
            .iter()
            .map(|item| {
                let (size, reason) = (bytes(&item["size"]), text(&item["reason"]));
                format!("{}  {size:>10}  {reason}", text(&item["digest"]))
            })
            .collect();
        let verb = if dry_run {
            "would be removed"
        } else {
            "removed"
        };
        let contents = count(&items.len().into(), "content");
        lines.push(format!("{contents} {verb}, {}", bytes(&told["bytes"])));
        lines
    })
}

fn show(
    told: &Value,
    as_json: bool,
    lines: impl FnOnce(&Value) -> Vec<String>,
) -> Result<(), AskError> {
    let mut out = io::stdout().lock();
    if as_json {
        writeln!(out, "{told}")?;
    } else {
        for line in lines(told) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_digest_is_told_from_a_reference() {
        let digest = format!("sha256:{}", "0".repeat(64));
        assert_eq!(subject(&digest).unwrap().0, "digest");
        for reference in ["alpine:3", "sha1:3", "a/b@sha256:00", "a/sha256:3"] {
            assert_eq!(subject(reference).unwrap().0, "reference", "{reference}");
        }
        for (wrong, why) in [("sha256:zz", "hexadecimal"), ("sha512:00", "128")] {
            let told = subject(wrong).unwrap_err();
            assert!(matches!(told, AskError::Unusable(_)));
            assert!(told.to_string().contains(why), "{told}");
        }
    }

    #[test]
    fn a_pin_is_told_with_what_it_keeps() {
        let pin = json!({"name": "site", "digests": ["sha256:ab"]});
        assert_eq!(pinned(&pin), ["site  1 image", "  sha256:ab"]);
    }

    #[test]
    fn an_explanation_says_what_is_known_and_no_more() {
        let told = json!({
            "digest": "sha256:ab", "is_here": true, "size": 2048, "arriving": null,
            "parts": {"is_complete": false, "manifests": 0, "blobs": 5, "blobs_here": 3},
            "record": {"tag": "3", "state": "fresh", "checked_at": 0},
            "shown_by_repository": true, "last_use": null, "pins": ["keep"], "records": null,
        });
        assert_eq!(
            explained(&told),
            [
                "sha256:ab",
                "  here, 2.0 KiB",
                "  incomplete: 3 of 5 blobs here",
                "  tag 3: fresh, confirmed 1970-01-01T00:00:00Z",
                "  the repository has shown it",
                "  pinned by keep",
            ]
        );
        let told = json!({"digest": "sha256:ab", "is_here": false, "arriving": 1024});
        assert_eq!(
            explained(&told),
            ["sha256:ab", "  on its way, 1.0 KiB so far"]
        );
    }
}
