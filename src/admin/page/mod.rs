//! The status page: written whole by the server, so that it is read without a script; the script keeps it current and
//! carries out what its buttons say.
//!
//! Everything that comes from outside passes [`Text`]: names of repositories are upstream's and clients' words.

mod figures;
mod sections;
#[cfg(test)]
mod tests;
mod warming;

use std::fmt::{self, Write};

use super::views::{FillView, StatusView, UpstreamView};
use crate::mirror::warm::Report;
use crate::mirror::{KeptPage, Mirror, RepositoryKept, TagKept};
use crate::store::Origin;

pub(super) const STYLE: &str = include_str!("page.css");
pub(super) const SCRIPT: &str = include_str!("page.js");

/// Repositories and tags on one page.
const SHOWN: usize = 100;
/// How many repositories a search looks through for one page.
const LOOKED_THROUGH: usize = 10_000;

/// What the visitor wants to see of what is kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// What the names of the repositories must hold.
    pub(super) search: String,
    /// Behind which repository the list begins.
    pub(super) after: Option<String>,
    /// Whose tags are shown, in place of the list.
    pub(super) origin: Option<Origin>,
}

/// What is kept, as far as it is wanted.
pub(super) struct Kept {
    pub(super) wanted: Wanted,
    pub(super) repositories: Result<KeptPage<RepositoryKept>, String>,
    /// `None` when no repository is looked at.
    pub(super) tags: Option<Result<KeptPage<TagKept>, String>>,
}

/// All that the page shows.
pub(super) struct PageView {
    pub(super) status: StatusView,
    pub(super) upstreams: Vec<UpstreamView>,
    pub(super) fills: Vec<FillView>,
    /// Jobs that warm, the latest first.
    pub(super) warming: Vec<Report>,
    pub(super) kept: Kept,
}

impl Kept {
    /// Reads what is wanted. Blocks on the disk; what cannot be read is said on the page.
    pub(super) fn read(mirror: &Mirror, wanted: Wanted) -> Self {
        let tags = wanted.origin.as_ref().map(|origin| {
            let page = mirror.tags_kept(origin, wanted.after.as_deref(), SHOWN);
            page.map_err(|error| error.to_string())
        });
        let after = wanted.after.as_deref().filter(|_| tags.is_none());
        let repositories = search(after, &wanted.search, |after, limit| {
            let page = mirror.repositories_kept(None, after, limit);
            page.map_err(|error| error.to_string())
        });
        Self {
            wanted,
            repositories,
            tags,
        }
    }
}

/// The first repositories behind `after` whose names hold `wanted`, of all that `list` gives page by page.
fn search<E>(
    after: Option<&str>,
    wanted: &str,
    list: impl Fn(Option<&str>, usize) -> Result<KeptPage<RepositoryKept>, E>,
) -> Result<KeptPage<RepositoryKept>, E> {
    let mut found = KeptPage {
        items: Vec::new(),
        next: None,
    };
    let mut after = after.map(str::to_owned);
    for _ in 0..LOOKED_THROUGH / SHOWN {
        let page = list(after.as_deref(), SHOWN)?;
        for repository in page.items {
            let name = name(&repository);
            if !name.contains(wanted) {
                continue;
            }
            found.items.push(repository);
            if found.items.len() == SHOWN {
                found.next = Some(name);
                return Ok(found);
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
    found.next = after;
    Ok(found)
}

fn name(repository: &RepositoryKept) -> String {
    format!("{}/{}", repository.upstream, repository.repository)
}

/// Text from wherever, fit to stand in HTML, also as the value of an attribute in quotation marks.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// The page as HTML.
pub(super) fn render(view: &PageView) -> String {
    let mut html = String::with_capacity(16 * 1024);
    // Writing to a string does not fail.
    let _ = sections::write(&mut html, view);
    html
}
