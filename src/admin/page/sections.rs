//! The page, section by section.

use std::fmt::{self, Write};

use url::form_urlencoded;

use super::figures::{bytes, count, duration, parts, percent};
use super::{Kept, PageView, Text, name, warming};
use crate::admin::views::{FillView, StatusView, StoreView, UpstreamView};
use crate::mirror::{KeptPage, RepositoryKept, TagKept};
use crate::store::Origin;

pub(super) fn write(html: &mut String, view: &PageView) -> fmt::Result {
    let status = &view.status;
    write!(
        html,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>roadstead</title>\n\
         <link rel=\"stylesheet\" href=\"/page.css\">\n<script src=\"/page.js\" defer></script>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">Skip to the figures</a>\n\
         <header><h1>roadstead</h1><p><span>version {}</span> <span>up <span data-figure=\"uptime\">{}</span></span>{}</p></header>\n\
         <p id=\"told\" role=\"status\" aria-live=\"polite\"></p>\n<main id=\"main\">\n",
        Text(status.version),
        duration(status.uptime_seconds),
        if status.offline {
            " <span class=\"word word-down\">offline: no upstream is asked</span>"
        } else {
            ""
        },
    )?;
    served(html, status)?;
    fills(html, &view.fills)?;
    warming::write(html, &view.warming)?;
    upstreams(html, &view.upstreams)?;
    store(html, status.store.as_ref())?;
    kept(html, &view.kept)?;
    html.push_str(
        "</main>\n<dialog id=\"sure\" aria-labelledby=\"sure-what\"><form method=\"dialog\">\n\
         <p id=\"sure-what\"></p>\n<menu><button value=\"no\" autofocus>Leave it</button> \
         <button value=\"yes\" class=\"act\" id=\"sure-yes\"></button></menu>\n</form></dialog>\n</body>\n</html>\n",
    );
    Ok(())
}

fn served(html: &mut String, status: &StatusView) -> fmt::Result {
    let totals = &status.totals;
    html.push_str("<section aria-labelledby=\"h-served\"><h2 id=\"h-served\">Served since the start</h2>\n<dl class=\"figures\">\n");
    for (key, label, value) in [
        ("hit_rate", "Hit rate", percent(totals.hit_rate)),
        (
            "byte_hit_rate",
            "Hit rate in bytes",
            percent(totals.byte_hit_rate),
        ),
        (
            "saved_bytes",
            "Saved on the uplink",
            bytes(totals.saved_bytes),
        ),
        (
            "served_bytes",
            "Sent to clients",
            bytes(totals.served_bytes),
        ),
        (
            "fetched_bytes",
            "Fetched from upstreams",
            bytes(totals.fetched_bytes),
        ),
        (
            "requests",
            "Requests of manifests and blobs",
            totals.requests.to_string(),
        ),
        (
            "joins",
            "Of them joined to a download",
            totals.joins.to_string(),
        ),
        (
            "past_store",
            "Of them past the store",
            totals.past_store.to_string(),
        ),
        ("errors", "Of them failed", totals.errors.to_string()),
    ] {
        writeln!(
            html,
            "<div><dt>{label}</dt><dd data-figure=\"{key}\">{value}</dd></div>"
        )?;
    }
    html.push_str("</dl>\n<div id=\"history\" hidden></div></section>\n");
    Ok(())
}

fn fills(html: &mut String, fills: &[FillView]) -> fmt::Result {
    html.push_str(
        "<section aria-labelledby=\"h-fills\"><h2 id=\"h-fills\">Downloads in progress</h2>\n<ul id=\"fills\" class=\"fills\">\n",
    );
    for fill in fills {
        let size = fill.size.map_or_else(|| "unknown size".to_owned(), bytes);
        write!(
            html,
            "<li data-digest=\"{digest}\"><p><strong>{upstream}/{repository}</strong> <span class=\"soft\">{kind} <code>{digest}</code></span></p>\n<progress aria-label=\"{digest}\"",
            digest = Text(&fill.digest),
            upstream = Text(&fill.upstream),
            repository = Text(&fill.repository),
            kind = Text(fill.kind),
        )?;
        if let Some(size) = fill.size {
            write!(html, " max=\"{}\" value=\"{}\"", size.max(1), fill.present)?;
        }
        writeln!(
            html,
            "></progress>\n<p class=\"soft\">{} of {size}, {}, {} following, {}</p></li>",
            bytes(fill.present),
            duration(fill.since_seconds),
            fill.followers,
            Text(fill.phase),
        )?;
    }
    html.push_str("</ul>\n");
    let hidden = if fills.is_empty() { "" } else { " hidden" };
    writeln!(
        html,
        "<p id=\"no-fills\" class=\"soft\"{hidden}>None.</p></section>"
    )
}

fn upstreams(html: &mut String, upstreams: &[UpstreamView]) -> fmt::Result {
    html.push_str(
        "<section aria-labelledby=\"h-upstreams\"><h2 id=\"h-upstreams\">Upstreams</h2>\n<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-labelledby=\"h-upstreams\"><table>\n\
         <thead><tr><th scope=\"col\">Name</th><th scope=\"col\">State</th><th scope=\"col\">Asked at</th>\
         <th scope=\"col\">Hit rate</th><th scope=\"col\">Fetched</th><th scope=\"col\">Downloads</th>\
         <th scope=\"col\">Waiting</th><th scope=\"col\">Pulls left</th></tr></thead>\n<tbody id=\"upstreams\">\n",
    );
    for upstream in upstreams {
        let left = match (upstream.ratelimit_remaining, upstream.ratelimit_limit) {
            (Some(left), Some(limit)) => format!("{left} of {limit}"),
            (Some(left), None) => left.to_string(),
            (None, _) => "–".to_owned(),
        };
        writeln!(
            html,
            "<tr data-upstream=\"{name}\"><th scope=\"row\">{name}</th><td><span class=\"word word-{state}\">{words}</span></td>\
             <td>{host}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{left}</td></tr>",
            percent(upstream.totals.hit_rate),
            bytes(upstream.totals.fetched_bytes),
            upstream.downloads,
            upstream.downloads_waiting,
            name = Text(&upstream.name),
            state = Text(upstream.state),
            words = Text(if upstream.state == "offline" {
                "not asked (offline)"
            } else {
                upstream.state
            }),
            host = Text(&upstream.host),
        )?;
    }
    html.push_str("</tbody>\n</table></div></section>\n");
    Ok(())
}

fn store(html: &mut String, store: Option<&StoreView>) -> fmt::Result {
    html.push_str("<section aria-labelledby=\"h-store\"><h2 id=\"h-store\">Store</h2>\n");
    match store {
        Some(store) => writeln!(
            html,
            "<meter id=\"store\" aria-labelledby=\"h-store\" min=\"0\" max=\"{}\" value=\"{}\"></meter>\n\
             <p class=\"soft\" id=\"store-words\">{} of {}: content {}, downloads {}, reserved {}; pinned {}; evicted since the start {} in {}</p>",
            store.capacity,
            store.used(),
            bytes(store.used()),
            bytes(store.capacity),
            bytes(store.content),
            bytes(store.fills),
            bytes(store.reserved),
            bytes(store.pinned),
            bytes(store.evicted_bytes),
            count(store.evicted, "content"),
        )?,
        None => html.push_str("<p class=\"soft\">How full it is, is not told.</p>\n"),
    }
    html.push_str("</section>\n");
    Ok(())
}

fn kept(html: &mut String, kept: &Kept) -> fmt::Result {
    html.push_str("<section aria-labelledby=\"h-kept\"><h2 id=\"h-kept\">Kept</h2>\n");
    if let (Some(origin), Some(tags)) = (&kept.wanted.origin, &kept.tags) {
        tags_of(html, origin, tags)?;
    } else {
        repositories(html, kept)?;
    }
    html.push_str("</section>\n");
    Ok(())
}

fn repositories(html: &mut String, kept: &Kept) -> fmt::Result {
    let search = &kept.wanted.search;
    writeln!(
        html,
        "<form method=\"get\" action=\"/\" role=\"search\"><label for=\"search\">Repositories whose name holds</label> \
         <input id=\"search\" name=\"search\" type=\"search\" value=\"{}\" autocomplete=\"off\" spellcheck=\"false\"> <button>Search</button></form>",
        Text(search)
    )?;
    let page: &KeptPage<RepositoryKept> = match &kept.repositories {
        Ok(page) => page,
        Err(why) => return writeln!(html, "<p class=\"soft\">Not shown: {}.</p>", Text(why)),
    };
    if page.items.is_empty() {
        html.push_str("<p class=\"soft\">None.</p>\n");
    }
    html.push_str("<ul class=\"list\">\n");
    for repository in &page.items {
        let name = name(repository);
        writeln!(
            html,
            "<li><a href=\"/?{}\">{}</a> <span class=\"soft\">{}</span></li>",
            Text(&query(&[("repository", &name)])),
            Text(&name),
            count(repository.tags, "tag"),
        )?;
    }
    html.push_str("</ul>\n");
    if let Some(next) = &page.next {
        let query = query(&[("search", search), ("after", next)]);
        writeln!(html, "<p><a href=\"/?{}\">More</a></p>", Text(&query))?;
    }
    Ok(())
}

fn tags_of(
    html: &mut String,
    origin: &Origin,
    tags: &Result<KeptPage<TagKept>, String>,
) -> fmt::Result {
    let repository = format!("{}/{}", origin.upstream, origin.repository);
    writeln!(
        html,
        "<p><a href=\"/\">All repositories</a></p>\n<h3>{}</h3>",
        Text(&repository)
    )?;
    let page = match tags {
        Ok(page) => page,
        Err(why) => return writeln!(html, "<p class=\"soft\">Not shown: {}.</p>", Text(why)),
    };
    html.push_str(
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Tags\"><table>\n<thead><tr><th scope=\"col\">Tag</th><th scope=\"col\">Digest</th>\
         <th scope=\"col\">Here</th><th scope=\"col\">Pins</th><th scope=\"col\" class=\"acts\">Do</th></tr></thead>\n<tbody>\n",
    );
    for tag in &page.items {
        let reference = format!("{repository}:{}", tag.tag);
        write!(
            html,
            "<tr><th scope=\"row\">{}</th><td><code>{}</code></td><td>{}, {}</td><td>{}</td><td class=\"acts\">",
            Text(tag.tag.as_str()),
            Text(tag.digest.as_str()),
            bytes(tag.bytes),
            tag.parts
                .as_ref()
                .map_or_else(|| "not the manifest".to_owned(), parts),
            Text(&tag.pins.join(", ")),
        )?;
        act(
            html,
            "Refresh",
            "/api/v1/refresh",
            &reference,
            &[("reference", &reference)],
        )?;
        act(
            html,
            "Pin",
            "/api/v1/pin",
            &reference,
            &[("name", &reference), ("reference", &reference)],
        )?;
        act(
            html,
            "Purge",
            "/api/v1/purge",
            &reference,
            &[("reference", &reference)],
        )?;
        html.push_str("</td></tr>\n");
    }
    html.push_str("</tbody>\n</table></div>\n");
    if let Some(next) = &page.next {
        let query = query(&[("repository", &repository), ("after", next)]);
        writeln!(html, "<p><a href=\"/?{}\">More</a></p>", Text(&query))?;
    }
    Ok(())
}

/// A button that the script carries out, when its user is sure. Without a script it is not shown: there would be
/// nobody to ask.
fn act(
    html: &mut String,
    verb: &str,
    path: &str,
    what: &str,
    parameters: &[(&str, &str)],
) -> fmt::Result {
    write!(
        html,
        "<button type=\"button\" class=\"act\" data-post=\"{path}?{}\" data-verb=\"{verb}\" data-what=\"{what}\" aria-label=\"{verb} {what}\">{verb}</button> ",
        Text(&query(parameters)),
        what = Text(what),
    )
}

fn query(parameters: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters).finish()
}
