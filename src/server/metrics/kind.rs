//! What a request is for, in one word.

use crate::oci::Endpoint;

/// What a request is for, as a metric's label: a closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Kind {
    Blob,
    Manifest,
    Tags,
    Catalog,
    Referrers,
    Upload,
    /// `/v2/`.
    Ping,
    Extension,
    Token,
    /// No endpoint.
    Other,
}

impl Kind {
    pub(super) const COUNT: usize = 10;

    /// Those that pulls are made of.
    pub(super) const PULLED: [Self; 2] = [Self::Manifest, Self::Blob];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::Manifest => "manifest",
            Self::Tags => "tags",
            Self::Catalog => "catalog",
            Self::Referrers => "referrers",
            Self::Upload => "upload",
            Self::Ping => "ping",
            Self::Extension => "extension",
            Self::Token => "token",
            Self::Other => "other",
        }
    }
}

impl From<&Endpoint> for Kind {
    fn from(endpoint: &Endpoint) -> Self {
        match endpoint {
            Endpoint::Base => Self::Ping,
            Endpoint::Catalog => Self::Catalog,
            Endpoint::Tags(_) => Self::Tags,
            Endpoint::Manifest(..) => Self::Manifest,
            Endpoint::Blob(..) => Self::Blob,
            Endpoint::Upload(_) => Self::Upload,
            Endpoint::Referrers(..) => Self::Referrers,
            Endpoint::Extension => Self::Extension,
        }
    }
}
