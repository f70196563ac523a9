//! The query of a listing: what of it upstream is asked, and what is between the client and us. Pure.

use url::form_urlencoded;

/// The largest page that upstream is asked for: some refuse more, and none needs it.
const LARGEST_PAGE: u64 = 1000;

/// What a client wants of a listing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// No results at all: nobody needs to be asked.
    Empty,
    /// What upstream has for this query.
    Of(Option<String>),
}

/// `n` is not a number of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("n must be a number of results")]
pub(super) struct BadPageSize;

/// Reads the query of a paged listing (OCI distribution spec, "Listing Tags").
///
/// Parameters that we do not know are upstream's own and stay as they are, in their order.
pub(super) fn page(query: Option<&str>) -> Result<Page, BadPageSize> {
    let mut is_sized = false;
    let mut kept = Vec::new();
    for pair in pairs(query) {
        let Some(size) = value_of(pair, "n") else {
            kept.push(pair.to_owned());
            continue;
        };
        // The first one counts; one without a value says nothing.
        if is_sized || size.is_empty() {
            continue;
        }
        if !size.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(BadPageSize);
        }
        match size.parse() {
            Ok(0) => return Ok(Page::Empty),
            Ok(1..=LARGEST_PAGE) => kept.push(pair.to_owned()),
            _ => kept.push(format!("n={LARGEST_PAGE}")),
        }
        is_sized = true;
    }
    Ok(Page::Of(joined(&kept)))
}

/// The target of the page behind one that a client asked for in this way: the parsers alone, for who tries them on any
/// text.
#[doc(hidden)]
pub fn reads_as_page(query: &str) -> Option<String> {
    let _ = artifact_type(Some(query));
    let own = upstreams_own(Some(query)).unwrap_or_default();
    page(Some(query)).ok()?;
    Some(next_target("/v2/a/tags/list", &own, Some("docker.io")))
}

/// The query as upstream is asked it: all but what is between the client and us.
pub(super) fn upstreams_own(query: Option<&str>) -> Option<String> {
    let kept: Vec<_> = pairs(query).map(str::to_owned).collect();
    joined(&kept)
}

/// The artifact type to which referrers are to be narrowed, decoded; the first one counts.
pub(super) fn artifact_type(query: Option<&str>) -> Option<String> {
    let told = pairs(query).find_map(|pair| value_of(pair, "artifactType"));
    told.filter(|told| !told.is_empty())
}

/// The target of the next page: the path that this one was asked under, upstream's `query`, and the namespace that the
/// client gave. So it is on our own host under any addressing.
pub(super) fn next_target(path: &str, query: &str, ns: Option<&str>) -> String {
    let mut kept: Vec<_> = pairs(Some(query)).map(str::to_owned).collect();
    let ns = ns.map(|ns| form_urlencoded::byte_serialize(ns.as_bytes()).collect::<String>());
    kept.extend(ns.map(|ns| format!("ns={ns}")));
    joined(&kept).map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
}

/// The parameters without `ns`.
fn pairs(query: Option<&str>) -> impl Iterator<Item = &str> {
    let pairs = query.unwrap_or_default().split('&');
    pairs.filter(|pair| !pair.is_empty() && value_of(pair, "ns").is_none())
}

fn joined(pairs: &[String]) -> Option<String> {
    (!pairs.is_empty()).then(|| pairs.join("&"))
}

/// The value of a parameter of this name, decoded, so that no spelling of the name gets past.
fn value_of(pair: &str, name: &str) -> Option<String> {
    let (key, value) = form_urlencoded::parse(pair.as_bytes()).next()?;
    (key == name).then(|| value.into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked(query: &str) -> Option<String> {
        match page(Some(query)) {
            Ok(Page::Of(query)) => query,
            other => panic!("{query}: {other:?}"),
        }
    }

    #[test]
    fn item_53_upstreams_own_parameters_survive() {
        assert_eq!(
            asked("n=5&ns=docker.io&next_page=a%2Fb%3D%3D&orderby=x").as_deref(),
            Some("n=5&next_page=a%2Fb%3D%3D&orderby=x")
        );
        assert_eq!(asked("last=none&n=2").as_deref(), Some("last=none&n=2"));
        for nothing in ["ns=docker.io", "%6es=docker.io", "&&", "", "n=", "n"] {
            assert_eq!(asked(nothing), None, "{nothing}");
        }
        assert_eq!(page(None), Ok(Page::Of(None)));
        assert_eq!(
            upstreams_own(Some("ns=ghcr.io&artifactType=a%2Fb")).as_deref(),
            Some("artifactType=a%2Fb")
        );
    }

    #[test]
    fn item_51_a_page_has_a_size_that_upstream_is_asked_for() {
        for (size, told) in [
            ("1", "n=1"),
            ("1000", "n=1000"),
            ("1001", "n=1000"),
            ("2147483648", "n=1000"),
            ("18446744073709551616", "n=1000"),
            ("99999999999999999999", "n=1000"),
            ("007", "n=007"),
        ] {
            assert_eq!(asked(&format!("n={size}")).as_deref(), Some(told));
        }
        assert_eq!(asked("n=7&n=8").as_deref(), Some("n=7"));
        for nothing in ["n=0", "n=000", "last=a&n=0", "%6e=0"] {
            assert_eq!(page(Some(nothing)), Ok(Page::Empty), "{nothing}");
        }
        for bad in ["n=-1", "n=many", "n=1.5", "n=%2B5", "n=+5", "n=0x1", "n= 1"] {
            assert_eq!(page(Some(bad)), Err(BadPageSize), "{bad}");
        }
    }

    #[test]
    fn item_52_the_next_page_is_under_the_same_address() {
        for (path, query, ns, next) in [
            (
                "/v2/a/tags/list",
                "n=1&last=b",
                None,
                "/v2/a/tags/list?n=1&last=b",
            ),
            (
                "/ghcr.io/v2/a/tags/list",
                "last=b",
                Some("reg.local:5000"),
                "/ghcr.io/v2/a/tags/list?last=b&ns=reg.local%3A5000",
            ),
            // What upstream says of a namespace is about upstream.
            (
                "/v2/_catalog",
                "ns=x&last=b",
                Some("y"),
                "/v2/_catalog?last=b&ns=y",
            ),
        ] {
            assert_eq!(next_target(path, query, ns), next);
        }
    }

    #[test]
    fn an_artifact_type_is_told_or_not() {
        for (query, told) in [
            (
                "artifactType=application%2Fa%2Bjson&n=1",
                Some("application/a+json"),
            ),
            ("ns=x&artifactType=a/b&artifactType=c/d", Some("a/b")),
            ("artifactType=", None),
            ("artifacttype=a/b", None),
            ("", None),
        ] {
            assert_eq!(artifact_type(Some(query)).as_deref(), told, "{query}");
        }
        assert_eq!(artifact_type(None), None);
    }

    proptest! {
        #[test]
        fn any_query_is_read_without_a_panic(query in "\\PC{0,60}") {
            let _ = page(Some(&query));
            let _ = upstreams_own(Some(&query));
        }

        #[test]
        fn what_is_asked_is_asked_again_alike(query in "[a-z0-9=&%]{0,30}") {
            if let Ok(Page::Of(asked)) = page(Some(&query)) {
                prop_assert_eq!(page(asked.as_deref()), Ok(Page::Of(asked)));
            }
        }
    }
}
