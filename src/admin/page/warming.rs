//! The section of jobs that warm.

use std::fmt::{self, Write};

use super::Text;
use super::figures::bytes;
use crate::mirror::warm::Report;

/// Jobs that are shown; the script shows as many.
pub(super) const SHOWN: usize = 10;

/// Writes the latest jobs.
pub(super) fn write(html: &mut String, jobs: &[Report]) -> fmt::Result {
    html.push_str(
        "<section aria-labelledby=\"h-warming\"><h2 id=\"h-warming\">Warming</h2>\n<ul id=\"warming\" class=\"fills\">\n",
    );
    for job in jobs.iter().take(SHOWN) {
        writeln!(
            html,
            "<li><p><strong>{list}</strong> <span class=\"soft\">job {id}</span></p>\n\
             <progress aria-label=\"job {id}\" max=\"{max}\" value=\"{present}\"></progress>\n\
             <p class=\"soft\">{state}: {images} {noun}, {here} of {all} here, {fetched} fetched</p></li>",
            list = Text(job.list.as_deref().unwrap_or("asked for")),
            id = job.id,
            max = job.bytes.max(1),
            present = job.present,
            state = job.state.word(),
            images = job.rows.len(),
            noun = if job.rows.len() == 1 {
                "image"
            } else {
                "images"
            },
            here = bytes(job.present),
            all = bytes(job.bytes),
            fetched = bytes(job.fetched),
        )?;
    }
    let hidden = if jobs.is_empty() { "" } else { " hidden" };
    writeln!(
        html,
        "</ul>\n<p id=\"no-warming\" class=\"soft\"{hidden}>None.</p></section>"
    )
}
