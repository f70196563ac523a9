//! What an answer to a question for referrers is (OCI distribution spec, "Listing Referrers"). Pure.
//!
//! Many registries have no such list, and say so in as many ways. Clients then look under a tag, but only if they are
//! told in the one way that they understand; so all of these become one.

use crate::oci::MediaType;

/// What to ask for, and the only type that is a list of referrers.
pub(super) const TYPE: MediaType = MediaType::OCI_INDEX;

/// Whether the answer says that the upstream has no such list: Quay calls a subject it does not hold an invalid
/// manifest (400), some know no such path (404, 405, 501) or no such type (406), and some answer with something else.
pub(super) fn is_lacking(status: u16, media_type: Option<&MediaType>) -> bool {
    match status {
        200 => media_type != Some(&TYPE),
        400 | 404 | 405 | 406 | 501 => true,
        _ => false,
    }
}

/// Whether the list was filtered by the artifact type, by the lines of `OCI-Filters-Applied`.
pub(super) fn is_filtered<'a>(mut lines: impl Iterator<Item = &'a str>) -> bool {
    lines.any(|line| {
        let mut filters = line.split(',').map(str::trim);
        filters.any(|filter| filter.eq_ignore_ascii_case("artifactType"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_index_is_a_list_of_referrers() {
        assert!(!is_lacking(200, Some(&MediaType::OCI_INDEX)));
        for other in [MediaType::DOCKER_MANIFEST_LIST, MediaType::OCTET_STREAM] {
            assert!(is_lacking(200, Some(&other)), "{other}");
        }
        assert!(is_lacking(200, None));
    }

    #[test]
    fn an_outage_or_a_refusal_is_no_lack() {
        for status in [401, 403, 408, 429, 500, 503] {
            assert!(!is_lacking(status, None), "{status}");
        }
        for status in [400, 404, 405, 406, 501] {
            assert!(is_lacking(status, None), "{status}");
        }
    }

    #[test]
    fn filters_are_a_list_on_one_line_or_many() {
        let read = |lines: &[&str]| is_filtered(lines.iter().copied());
        assert!(
            read(&["artifactType"]) && read(&["x, artifacttype"]) && read(&["x", "artifactType"])
        );
        assert!(!read(&[]) && !read(&[""]) && !read(&["artifactTypes"]));
    }
}
