//! The `Link` header of a paged listing (RFC 8288). Pure.

/// The query of the `rel="next"` target, without the `?`. Only the query is of interest: where
/// the next page is was never in doubt, and a link may not lead us anywhere else.
#[doc(hidden)]
pub fn next_query(header: &str) -> Option<String> {
    let mut rest = header;
    while let Some((_, after)) = rest.split_once('<') {
        let (target, after) = after.split_once('>')?;
        let (params, after) = split_params(after);
        if params.split(';').any(is_next) {
            let target = target.split('#').next().unwrap_or_default();
            return target.split_once('?').map(|(_, query)| query.to_owned());
        }
        rest = after;
    }
    None
}

/// Cuts the parameters of one link from the links that follow it, at a comma outside quotes.
fn split_params(text: &str) -> (&str, &str) {
    let mut quoted = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b',' if !quoted => return (&text[..at], &text[at..]),
            _ => {}
        }
    }
    (text, "")
}

fn is_next(param: &str) -> bool {
    let Some((name, value)) = param.split_once('=') else {
        return false;
    };
    let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
    name.trim().eq_ignore_ascii_case("rel")
        && relations.any(|relation| relation.eq_ignore_ascii_case("next"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_query_of_the_next_page_is_taken_as_it_is() {
        for (header, expected) in [
            (
                r#"</v2/a/tags/list?n=2&last=b>; rel="next""#,
                Some("n=2&last=b"),
            ),
            (
                r"<https://r.example/v2/_catalog?next_page=x%3D>; rel=next",
                Some("next_page=x%3D"),
            ),
            (
                r#"</a?x=1>; rel="prev", </a?x=3>; title="a,b"; rel="next last""#,
                Some("x=3"),
            ),
            (r"<?last=c>;REL=NEXT", Some("last=c")),
            (r#"</a?x=1#y>; rel="next""#, Some("x=1")),
            (r#"</a?x=1>; rel="prev""#, None),
            (r#"</a>; rel="next""#, None),
            (r"</a?x=1", None),
            ("", None),
        ] {
            assert_eq!(next_query(header).as_deref(), expected, "{header}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(header in ".*") {
            let _ = next_query(&header);
        }
    }
}
