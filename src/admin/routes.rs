//! What there is on the operator's side: one table.

use http::Method;

/// One thing that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Health,
    Readiness,
    Metrics,
    Page,
    Style,
    Script,
    Description,
    Status,
    Upstreams,
    Fills,
    Repositories,
    Tags,
    Content,
    Explain,
    Pins,
    Pin,
    Unpin,
    Purge,
    Refresh,
    Collect,
    Warm,
    WarmJobs,
    WarmJob,
    StopWarming,
}

/// The method, the path, and what is meant by them.
type Row = (Method, &'static str, Operation);

/// Every operation. Whatever is answered to GET is answered to HEAD.
pub(super) const TABLE: [Row; 24] = [
    (Method::GET, "/healthz", Operation::Health),
    (Method::GET, "/readyz", Operation::Readiness),
    (Method::GET, "/metrics", Operation::Metrics),
    (Method::GET, "/", Operation::Page),
    (Method::GET, "/page.css", Operation::Style),
    (Method::GET, "/page.js", Operation::Script),
    (Method::GET, "/api/v1/openapi.yaml", Operation::Description),
    (Method::GET, "/api/v1/status", Operation::Status),
    (Method::GET, "/api/v1/upstreams", Operation::Upstreams),
    (Method::GET, "/api/v1/fills", Operation::Fills),
    (Method::GET, "/api/v1/repositories", Operation::Repositories),
    (Method::GET, "/api/v1/tags", Operation::Tags),
    (Method::GET, "/api/v1/content", Operation::Content),
    (Method::GET, "/api/v1/explain", Operation::Explain),
    (Method::GET, "/api/v1/pins", Operation::Pins),
    (Method::POST, "/api/v1/pin", Operation::Pin),
    (Method::DELETE, "/api/v1/pin", Operation::Unpin),
    (Method::POST, "/api/v1/purge", Operation::Purge),
    (Method::POST, "/api/v1/refresh", Operation::Refresh),
    (Method::POST, "/api/v1/gc", Operation::Collect),
    (Method::POST, "/api/v1/warm", Operation::Warm),
    (Method::GET, "/api/v1/warm", Operation::WarmJobs),
    (Method::GET, "/api/v1/warm/{id}", Operation::WarmJob),
    (Method::DELETE, "/api/v1/warm/{id}", Operation::StopWarming),
];

/// What a method and a path lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Operation(Operation),
    /// The path is known with these methods only.
    OtherMethods(Vec<Method>),
    Nothing,
}

impl Operation {
    /// Whether it is for everybody who can reach the listener: probes and scrapers bring no token, and the page's
    /// looks tell nothing.
    pub(super) fn is_open(self) -> bool {
        matches!(
            self,
            Self::Health | Self::Readiness | Self::Metrics | Self::Style | Self::Script
        )
    }

    /// The parameters it takes.
    pub(super) fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Page => &["search", "after", "repository"],
            Self::Repositories => &["upstream", "after", "limit"],
            Self::Tags => &["repository", "after", "limit"],
            Self::Content => &["after", "limit"],
            Self::Explain | Self::Purge => &["reference", "digest"],
            Self::Pin => &["name", "reference"],
            Self::Unpin => &["name"],
            Self::Refresh => &["reference"],
            Self::Collect => &["dry_run"],
            Self::Warm => &[
                "reference",
                "platform",
                "referrers",
                "latest",
                "pin",
                "pin_adds",
            ],
            Self::WarmJob | Self::StopWarming => &["id"],
            _ => &[],
        }
    }
}

/// Whether a path is the one of a row; with what stands for `{id}` in it, which is empty where there is none.
fn id_of<'a>(known: &str, path: &'a str) -> Option<&'a str> {
    let Some(before) = known.strip_suffix("{id}") else {
        return (known == path).then_some("");
    };
    path.strip_prefix(before)
        .filter(|id| !id.is_empty() && !id.contains('/'))
}

/// What stands in the path for the `{id}` of its row.
pub(super) fn id(path: &str) -> Option<&str> {
    let mut ids = TABLE.iter().filter_map(|(_, known, _)| id_of(known, path));
    ids.find(|id| !id.is_empty())
}

/// Looks a method and a path up.
pub(super) fn find(method: &Method, path: &str) -> Found {
    let asked = if method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    let rows = || {
        TABLE
            .iter()
            .filter(|(_, known, _)| id_of(known, path).is_some())
    };
    if let Some((.., operation)) = rows().find(|(known, ..)| known == asked) {
        return Found::Operation(*operation);
    }
    let mut methods: Vec<_> = rows().map(|(known, ..)| known.clone()).collect();
    if methods.contains(&Method::GET) {
        methods.push(Method::HEAD);
    }
    if methods.is_empty() {
        Found::Nothing
    } else {
        Found::OtherMethods(methods)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_a_get_and_other_methods_are_named() {
        let page = Found::Operation(Operation::Page);
        assert_eq!(find(&Method::GET, "/"), page);
        assert_eq!(find(&Method::HEAD, "/"), page);
        let methods = vec![Method::GET, Method::HEAD];
        assert_eq!(find(&Method::POST, "/"), Found::OtherMethods(methods));
        let methods = vec![Method::POST, Method::DELETE];
        assert_eq!(
            find(&Method::GET, "/api/v1/pin"),
            Found::OtherMethods(methods)
        );
        assert_eq!(find(&Method::GET, "/api/v1/"), Found::Nothing);
    }

    #[test]
    fn no_row_hides_another() {
        for (method, path, operation) in TABLE {
            assert_eq!(find(&method, path), Found::Operation(operation));
        }
    }
}
