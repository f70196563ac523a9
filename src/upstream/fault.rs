//! Reads what the HTTP client reports when there is no answer, or no more of it.
//!
//! The client's own errors never leave this file: they may hold a URL with its query.

use std::error::Error;
use std::io;

use super::reach::OnlyPrivate;
use super::{ErrorKind, Phase};

/// What kept a request from being answered.
pub(super) fn of_request(error: &reqwest::Error) -> ErrorKind {
    if found::<OnlyPrivate>(error) {
        ErrorKind::Refused
    } else if error.is_connect() && error.is_timeout() {
        ErrorKind::Timeout(Phase::Connect)
    } else if error.is_dns() {
        ErrorKind::Resolve
    } else if found::<rustls::Error>(error) {
        ErrorKind::Tls
    } else if error.is_connect() {
        ErrorKind::Connect
    } else if error.is_builder() || is_nonsense(error) {
        ErrorKind::Protocol
    } else {
        ErrorKind::Cut
    }
}

/// The innermost cause in words; it never names a URL.
pub(super) fn cause(error: &reqwest::Error) -> String {
    sources(error)
        .last()
        .map_or_else(|| "no cause is known".to_owned(), ToString::to_string)
}

/// Whether the bytes that came are no HTTP, in distinction from bytes that did not come.
fn is_nonsense(error: &reqwest::Error) -> bool {
    sources(error)
        .filter_map(|source| source.downcast_ref::<hyper::Error>())
        .any(hyper::Error::is_parse)
}

/// Whether an error of type `E` is among the causes.
fn found<E: Error + 'static>(error: &reqwest::Error) -> bool {
    sources(error).any(<dyn Error>::is::<E>)
}

/// The causes of an error, from the outside in.
fn sources(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |error| beneath(*error))
}

/// What an error was made from. An I/O error hides that, so it is looked into.
fn beneath<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let io = error.downcast_ref::<io::Error>();
    match io.and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}
