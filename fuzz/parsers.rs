//! Every parser that takes bytes from outside, as a function of bytes: none may panic, and what was read and written
//! again must be read as the same.

#[path = "bundles.rs"]
pub(crate) mod bundles;

use std::fmt::{Debug, Display};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use roadstead::config::Config;
use roadstead::mirror::warm::{Wanted, WantedPlatform};
use roadstead::oci::{
    Accepts, Challenge, ContentRange, Digest, Endpoint, ImageReference, Manifest, MediaType,
    Pattern, RangeHeader, Reference, Referrers, Repository, TagList,
};
use roadstead::server::{Namespaces, Served, TokenRealm};

/// A parser's name, which is that of its seeds' folder, and what is tried on it.
pub(crate) type Parser = (&'static str, fn(&[u8]));

pub(crate) const PARSERS: &[Parser] = &[
    ("accept", accept),
    ("account", account),
    ("authorization", authorization),
    ("bundle", bundles::bundle),
    ("challenge", challenge),
    ("config", config),
    ("content_range", content_range),
    ("digest", |bytes| round::<Digest>(bytes)),
    ("endpoint", endpoint),
    ("image_reference", image_reference),
    ("link", link),
    ("lists", lists),
    ("manifest", manifest),
    ("media_type", |bytes| round::<MediaType>(bytes)),
    ("name", |bytes| round::<Repository>(bytes)),
    ("note", note),
    ("page", page),
    ("pattern", pattern),
    ("range", range),
    ("reference", |bytes| round::<Reference>(bytes)),
    ("referrers", referrers),
    ("route", route),
    ("tag_list", tag_list),
    ("tar", bundles::tar),
    ("token", token),
    ("users", users),
    ("wish", wish),
];

/// Tries one of them.
pub(crate) fn attempt(name: &str, bytes: &[u8]) {
    let found = PARSERS.iter().find(|(known, _)| *known == name);
    found.expect("a parser of this name").1(bytes);
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// What is read, written and read again is the same.
fn round<T: FromStr + Display + PartialEq + Debug>(bytes: &[u8]) {
    let Some(Ok(read)) = text(bytes).map(str::parse::<T>) else {
        return;
    };
    let written = read.to_string();
    assert_eq!(written.parse::<T>().ok(), Some(read), "{written:?}");
}

fn accept(bytes: &[u8]) {
    if let Some(text) = text(bytes) {
        let read = Accepts::of_lines(text.lines());
        let _ = read.header();
    }
}

fn challenge(bytes: &[u8]) {
    if let Some(text) = text(bytes) {
        let _ = Challenge::parse_all(text);
    }
}

fn config(bytes: &[u8]) {
    if let Some(text) = text(bytes)
        && let Err(errors) = Config::parse(text, Path::new("/nonexistent"))
    {
        assert!(!errors.to_string().is_empty());
    }
}

fn content_range(bytes: &[u8]) {
    if let Some(text) = text(bytes) {
        let _ = text.parse::<ContentRange>();
    }
}

fn endpoint(bytes: &[u8]) {
    if let Some(Ok(read)) = text(bytes).map(Endpoint::parse) {
        let path = read.path();
        assert_eq!(Endpoint::parse(&path).ok(), Some(read), "{path:?}");
    }
}

fn manifest(bytes: &[u8]) {
    let _ = Manifest::parse(bytes, None);
}

fn note(bytes: &[u8]) {
    let _ = roadstead::store::reads_as_note(bytes);
}

fn token(bytes: &[u8]) {
    let _ = roadstead::upstream::reads_as_token(bytes);
}

fn pattern(bytes: &[u8]) {
    if let Some(Ok(read)) = text(bytes).map(str::parse::<Pattern>) {
        let _ = read.matches("library/alpine");
    }
}

fn range(bytes: &[u8]) {
    if let Some(text) = text(bytes) {
        let _ = RangeHeader::parse(text);
    }
}

fn referrers(bytes: &[u8]) {
    if let Some(read) = Referrers::read(bytes) {
        assert!(Referrers::read(&read.to_bytes()).is_some());
    }
}

fn tag_list(bytes: &[u8]) {
    if let Ok(repository) = "library/alpine".parse() {
        let _ = TagList::read(&repository, bytes);
    }
}

/// The lines are the host, the path and the query.
fn route(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let hub = || Arc::<str>::from("docker.io");
    let namespaces = Namespaces::new([("docker.io".to_owned(), hub())], Some(hub()));
    let mut lines = text.splitn(3, '\n');
    let (host, path) = (lines.next(), lines.next().unwrap_or_default());
    if let Some(upstream) = namespaces.upstream_of(host, path, lines.next()) {
        // Nothing that a client writes becomes the name of an upstream.
        assert!(["docker.io", "none"].contains(&&*upstream), "{upstream:?}");
    }
}

/// What a credential helper says.
fn account(bytes: &[u8]) {
    let _ = roadstead::upstream::reads_as_account(bytes);
}

fn authorization(bytes: &[u8]) {
    // What was not sealed here opens nothing.
    assert!(!roadstead::server::passes_as_sealed(bytes));
}

fn wish(bytes: &[u8]) {
    let hub = || Arc::<str>::from("docker.io");
    let themselves = Served::AsThemselves(TokenRealm::Mirror);
    let names = [
        ("docker.io".to_owned(), hub()),
        ("b".to_owned(), "b".into()),
    ];
    let namespaces = Namespaces::new(names, Some(hub())).with_served([(hub(), themselves)]);
    if let Some(upstream) = roadstead::server::wishes_for(bytes, &namespaces) {
        // Tokens are given for those alone whose clients are served as themselves.
        assert_eq!(upstream, "docker.io");
    }
}

fn page(bytes: &[u8]) {
    if let Some(next) = text(bytes).and_then(roadstead::server::reads_as_page) {
        // Wherever it leads, it is here.
        assert!(next.starts_with("/v2/a/tags/list"), "{next:?}");
    }
}

fn link(bytes: &[u8]) {
    if let Some(query) = text(bytes).and_then(roadstead::upstream::next_query) {
        assert!(!query.contains('#'), "{query:?}");
    }
}

fn users(bytes: &[u8]) {
    if let Some(Ok(users)) = text(bytes).map(roadstead::config::users) {
        assert!(
            users
                .iter()
                .all(|(name, hash)| !name.is_empty() && hash.starts_with("$2"))
        );
    }
}

fn lists(bytes: &[u8]) {
    if let Some(text) = text(bytes) {
        let _ = roadstead::cli::reads_as_lists(text);
    }
}

fn image_reference(bytes: &[u8]) {
    round::<ImageReference>(bytes);
    if let Some(text) = text(bytes) {
        let _ = (text.parse::<Wanted>(), text.parse::<WantedPlatform>());
    }
}
