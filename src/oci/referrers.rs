//! Referrers: the index that lists what refers to a digest (OCI distribution spec, "Listing Referrers").

use serde_json::{Map, Value, json};

use super::{Digest, MediaType, Tag};

/// Longest algorithm and longest encoded part in a fallback tag.
const ALGORITHM: usize = 32;
const ENCODED: usize = 64;

/// The tag under which clients keep the referrers of `digest` where the registry has no endpoint for them (OCI
/// distribution spec, "Referrers Tag Schema"): both parts are cut, and what a tag cannot hold becomes `-`.
pub fn fallback_tag(digest: &Digest) -> Option<Tag> {
    let (algorithm, encoded) = digest.as_str().split_once(':')?;
    let cut = |text: &str, most| -> String {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        text.chars()
            .take(most)
            .map(|c| if legal(c) { c } else { '-' })
            .collect()
    };
    let tag = format!("{}-{}", cut(algorithm, ALGORITHM), cut(encoded, ENCODED));
    tag.parse().ok()
}

/// An index of referrers, as it came.
#[derive(Debug, PartialEq, Eq)]
pub struct Referrers(Map<String, Value>);

impl Referrers {
    /// Reads an index; `None` when `bytes` are none.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let Value::Object(index) = serde_json::from_slice(bytes).ok()? else {
            return None;
        };
        let is_index = matches!(index.get("manifests"), Some(Value::Array(_) | Value::Null));
        is_index.then_some(Self(index))
    }

    /// An index of these descriptors.
    pub fn of(descriptors: Vec<Value>) -> Self {
        let mut index = Map::new();
        index.insert("schemaVersion".into(), json!(2));
        index.insert("mediaType".into(), json!(MediaType::OCI_INDEX.as_str()));
        index.insert("manifests".into(), Value::Array(descriptors));
        Self(index)
    }

    /// The same with those descriptors only that are of `artifact_type`.
    #[must_use]
    pub fn filtered(mut self, artifact_type: &str) -> Self {
        if let Some(Value::Array(manifests)) = self.0.get_mut("manifests") {
            manifests
                .retain(|it| it.get("artifactType").and_then(Value::as_str) == Some(artifact_type));
        }
        self
    }

    /// The descriptors, as they came.
    pub fn into_descriptors(mut self) -> Vec<Value> {
        match self.0.remove("manifests") {
            Some(Value::Array(descriptors)) => descriptors,
            _ => Vec::new(),
        }
    }

    /// The document. `manifests` is a list also when there are none.
    pub fn to_bytes(mut self) -> Vec<u8> {
        if self.0.get("manifests").is_some_and(Value::is_null) {
            self.0.insert("manifests".into(), json!([]));
        }
        Value::Object(self.0).to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_digest_has_one_fallback_tag() {
        let sha256 = Digest::sha256_of(b"");
        let tag = fallback_tag(&sha256).unwrap().to_string();
        assert_eq!(tag, sha256.to_string().replace(':', "-"));
        let sha512: Digest = format!("sha512:{}", "a".repeat(128)).parse().unwrap();
        let tag = fallback_tag(&sha512).unwrap().to_string();
        assert_eq!(tag, format!("sha512-{}", "a".repeat(64)));
        let odd: Digest = "a+b.c:x=y".parse().unwrap();
        assert_eq!(fallback_tag(&odd).unwrap().to_string(), "a-b.c-x-y");
    }

    #[test]
    fn an_index_is_filtered_by_artifact_type() {
        let index = br#"{"schemaVersion":2,"manifests":[{"digest":"a","artifactType":"x"},{"digest":"b","artifactType":"y"},{"digest":"c"}],"annotations":{}}"#;
        let filtered = Referrers::read(index).unwrap().filtered("x").to_bytes();
        let value: Value = serde_json::from_slice(&filtered).unwrap();
        assert_eq!(
            value["manifests"],
            json!([{"digest":"a","artifactType":"x"}])
        );
        assert_eq!(value["annotations"], json!({}));
    }

    #[test]
    fn no_manifests_are_an_empty_list() {
        let bytes = Referrers::read(br#"{"manifests":null}"#)
            .unwrap()
            .to_bytes();
        assert_eq!(bytes, br#"{"manifests":[]}"#);
        for text in ["", "[]", "{}", "<html>", r#"{"manifests":{}}"#] {
            assert_eq!(Referrers::read(text.as_bytes()), None, "{text}");
        }
    }
}
