//! Tag lists as upstreams send them, and as clients can read them (OCI distribution spec, "Listing Tags").

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Repository, Tag};

/// The document of a tag list.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagList {
    /// The repository.
    pub name: String,
    /// Its tags, never null.
    pub tags: Vec<Tag>,
}

/// As it may come: some registries send null for none, and names among the tags that are none.
#[derive(Deserialize)]
struct Loose {
    name: Option<String>,
    tags: Option<Vec<Value>>,
}

impl TagList {
    /// Reads the list of `repository`. What cannot be a tag is left out (Artifactory lists digests, Nexus nulls).
    ///
    /// Gives the list and whether it is what `bytes` say; `None` when they are no list at all.
    pub fn read(repository: &Repository, bytes: &[u8]) -> Option<(Self, bool)> {
        let loose: Loose = serde_json::from_slice(bytes).ok()?;
        let told = loose.tags.as_ref().map(Vec::len);
        let values = loose.tags.unwrap_or_default();
        let tags: Vec<Tag> = values
            .iter()
            .filter_map(|value| value.as_str()?.parse().ok())
            .collect();
        let is_exact = told == Some(tags.len()) && loose.name.is_some();
        let name = loose.name.unwrap_or_else(|| repository.to_string());
        Some((Self { name, tags }, is_exact))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(text: &str) -> Option<(String, Vec<String>, bool)> {
        let (list, is_exact) = TagList::read(&"o/r".parse().unwrap(), text.as_bytes())?;
        let tags = list.tags.iter().map(ToString::to_string).collect();
        Some((list.name, tags, is_exact))
    }

    #[test]
    fn a_list_is_read_as_it_is() {
        let list = read(r#"{"name":"x/y","tags":["1","b"]}"#).unwrap();
        assert_eq!(list, ("x/y".into(), vec!["1".into(), "b".into()], true));
    }

    #[test]
    fn what_cannot_be_a_tag_is_left_out() {
        let text = r#"{"name":"x","tags":["1",null,"sha256:ab",7,"-x"]}"#;
        assert_eq!(read(text).unwrap().1, ["1"]);
        assert!(!read(text).unwrap().2);
        assert_eq!(
            read(r#"{"tags":null}"#).unwrap(),
            ("o/r".into(), vec![], false)
        );
    }

    #[test]
    fn what_is_no_list_is_none() {
        for text in ["", "<html>", "[]", r#"{"tags":"1"}"#, r#"{"tags":{}}"#] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
