//! `roadstead status`: a running mirror in one screen.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::admin_client::{AdminClient, AskError, At};
use super::figures::{bytes, count, duration, percent, text};
use super::told;

/// How often it is looked again with `--watch`.
const EVERY: Duration = Duration::from_secs(2);
/// Clears a terminal and begins at its top.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// Shows the mirror once, or again and again.
pub(super) fn run(at: &At, watch: bool, as_json: bool) -> ExitCode {
    told(show(at, watch, as_json))
}

fn show(at: &At, watch: bool, as_json: bool) -> Result<(), AskError> {
    let client = AdminClient::new(at)?;
    let clears = watch && !as_json && io::stdout().is_terminal();
    loop {
        let told = json!({
            "status": client.get("status", &[])?,
            "upstreams": client.get("upstreams", &[])?["items"],
            "fills": client.get("fills", &[])?["items"],
        });
        let screen = if as_json {
            format!("{told}\n")
        } else {
            screen(&told).unwrap_or_default()
        };
        let mut out = io::stdout().lock();
        write!(out, "{}{screen}", if clears { CLEAR } else { "" })?;
        out.flush()?;
        drop(out);
        if !watch {
            return Ok(());
        }
        client.pause(EVERY);
    }
}

fn screen(told: &Value) -> Result<String, fmt::Error> {
    let mut out = String::new();
    let (status, totals) = (&told["status"], &told["status"]["totals"]);
    let offline = if status["offline"] == true {
        ", offline"
    } else {
        ""
    };
    writeln!(
        out,
        "roadstead {}, up {}{offline}\n",
        text(&status["version"]),
        duration(&status["uptime_seconds"])
    )?;
    for (label, value) in [
        ("hit rate", percent(&totals["hit_rate"])),
        ("hit rate in bytes", percent(&totals["byte_hit_rate"])),
        ("saved on the uplink", bytes(&totals["saved_bytes"])),
        ("sent to clients", bytes(&totals["served_bytes"])),
        ("fetched", bytes(&totals["fetched_bytes"])),
        ("requests", text(&totals["requests"])),
        ("  joined", text(&totals["joins"])),
        ("  past the store", text(&totals["past_store"])),
        ("  failed", text(&totals["errors"])),
        ("connections", text(&status["connections"])),
    ] {
        writeln!(out, "  {label:<20} {value}")?;
    }
    let store = &status["store"];
    if let Some(capacity) = store["capacity"].as_u64() {
        let part = |what: &str| store[what].as_u64().unwrap_or_default();
        let used = part("content") + part("fills") + part("reserved");
        let (used, capacity) = (bytes(&json!(used)), bytes(&json!(capacity)));
        writeln!(
            out,
            "  {:<20} {used} of {capacity}, {} pinned",
            "store",
            bytes(&store["pinned"])
        )?;
        writeln!(
            out,
            "  {:<20} {}, {}",
            "evicted",
            count(&store["evicted"], "content"),
            bytes(&store["evicted_bytes"])
        )?;
    }
    writeln!(out, "\nupstreams")?;
    for upstream in told["upstreams"].as_array().into_iter().flatten() {
        let left = match upstream["ratelimit_remaining"].as_u64() {
            Some(_) => format!(", {} left", count(&upstream["ratelimit_remaining"], "pull")),
            None => String::new(),
        };
        let state = match upstream["state"].as_str() {
            Some("offline") => "not asked (offline)".to_owned(),
            _ => text(&upstream["state"]),
        };
        writeln!(
            out,
            "  {:<20} {state:<5} {}, {} fetched, {}, {} waiting{left}",
            text(&upstream["name"]),
            text(&upstream["host"]),
            bytes(&upstream["totals"]["fetched_bytes"]),
            count(&upstream["downloads"], "download"),
            text(&upstream["downloads_waiting"]),
        )?;
    }
    let fills = told["fills"].as_array().map_or(&[][..], Vec::as_slice);
    writeln!(out, "\ndownloads in progress: {}", fills.len())?;
    for fill in fills {
        writeln!(
            out,
            "  {} {}/{} {}\n    {} of {}, {}, {} following",
            bar(fill),
            text(&fill["upstream"]),
            text(&fill["repository"]),
            text(&fill["digest"]),
            bytes(&fill["present"]),
            bytes(&fill["size"]),
            duration(&fill["since_seconds"]),
            text(&fill["followers"]),
        )?;
    }
    Ok(out)
}

/// How far a download is, in twenty steps.
fn bar(fill: &Value) -> String {
    const STEPS: u64 = 20;
    let present = fill["present"].as_u64().unwrap_or_default();
    let size = fill["size"].as_u64().unwrap_or_default().max(1);
    let done = u128::from(present) * u128::from(STEPS) / u128::from(size);
    let done = usize::try_from(done.min(STEPS.into())).unwrap_or_default();
    let left = usize::try_from(STEPS).unwrap_or_default() - done;
    format!("[{}{}]", "#".repeat(done), ".".repeat(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_screen_tells_of_the_whole() {
        let told = json!({
            "status": {
                "version": "1.2", "uptime_seconds": 61, "offline": false, "connections": 3,
                "totals": {"hit_rate": 0.75, "byte_hit_rate": null, "saved_bytes": 1024, "served_bytes": 2048,
                           "fetched_bytes": 1024, "requests": 8, "joins": 1, "past_store": 2, "errors": 0},
                "store": {"capacity": 4096, "content": 1024, "fills": 512, "reserved": 512, "pinned": 0,
                          "evicted": 3, "evicted_bytes": 2048},
            },
            "upstreams": [{"name": "away", "host": "h", "state": "offline", "downloads": 0, "downloads_waiting": 0,
                           "ratelimit_remaining": null, "totals": {"fetched_bytes": 0}},
                          {"name": "docker.io", "host": "h:1", "state": "up", "downloads": 1,
                           "downloads_waiting": 0, "ratelimit_remaining": 76, "totals": {"fetched_bytes": 5}}],
            "fills": [{"digest": "sha256:ab", "upstream": "docker.io", "repository": "o/r", "size": 100,
                       "present": 50, "followers": 2, "since_seconds": 4}],
        });
        let shown = screen(&told).unwrap();
        for line in [
            "roadstead 1.2, up 1m 1s",
            "  hit rate             75.0 %",
            "  hit rate in bytes    -",
            "  store                2.0 KiB of 4.0 KiB, 0 B pinned",
            "  evicted              3 contents, 2.0 KiB",
            "    past the store     2",
            "  away                 not asked (offline) h, 0 B fetched, 0 downloads, 0 waiting",
            "  docker.io            up    h:1, 5 B fetched, 1 download, 0 waiting, 76 pulls left",
            "downloads in progress: 1",
            "  [##########..........] docker.io/o/r sha256:ab",
            "    50 B of 100 B, 4s, 2 following",
        ] {
            assert!(shown.lines().any(|it| it == line), "{line}\n{shown}");
        }
    }

    #[test]
    fn a_bar_stays_within_its_bounds() {
        for (present, size, done) in [
            (0, Value::Null, 0),
            (7, json!(0), 20),
            (9, json!(3), 20),
            (1, json!(20), 1),
        ] {
            let bar = bar(&json!({"present": present, "size": size}));
            assert_eq!((bar.len(), bar.matches('#').count()), (22, done), "{bar}");
        }
    }
}
