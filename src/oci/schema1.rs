//! The payload of a signed schema 1 manifest: the bytes that its digest is over.
//!
//! A signed manifest is its payload with one more member, `signatures`, put in before the closing brace (JSON web
//! signatures, in the form that Docker used). Each signature says in its `protected` header how to get the payload
//! back: so many bytes from the front (`formatLength`), then these (`formatTail`).
//!
//! Deliberately absent: who signed. The digest is the proof, as for every other manifest.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

/// What a signature says about the form of the payload.
#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
struct Protected {
    format_length: usize,
    format_tail: String,
}

/// The payload of a signed manifest; `None` for bytes that are none, whose signatures disagree about it, or which say
/// more than their payload does: such bytes would be served under a digest that does not cover them.
pub fn payload(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut signed: Value = serde_json::from_slice(bytes).ok()?;
    let signatures = signed.as_object_mut()?.remove("signatures")?;
    let mut forms = signatures.as_array()?.iter().map(form);
    let form = forms.next()??;
    if !forms.all(|other| other.as_ref() == Some(&form)) {
        return None;
    }
    let mut payload = bytes.get(..form.format_length)?.to_vec();
    payload.extend(decode(&form.format_tail)?);
    let bare: Value = serde_json::from_slice(&payload).ok()?;
    (bare == signed).then_some(payload)
}

fn form(signature: &Value) -> Option<Protected> {
    let protected = signature.get("protected")?.as_str()?;
    serde_json::from_slice(&decode(protected)?).ok()
}

/// Base64 for URLs, whose padding is left out, or not.
fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::oci::{Digest, Manifest, ManifestKind};

    const PAYLOAD: &str = r#"{
   "schemaVersion": 1,
   "name": "library/alpine",
   "tag": "3.1",
   "architecture": "amd64",
   "fsLayers": [
      {
         "blobSum": "sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4"
      }
   ],
   "history": [
      {
         "v1Compatibility": "{\"id\":\"5e0d8111135538b8a86ce5fc969849efce16c455fd016bb3dc53131bcedc4da5\"}"
      }
   ]
}"#;

    fn protected(length: usize, tail: &str) -> String {
        let tail = URL_SAFE_NO_PAD.encode(tail);
        let time = "2015-08-20T00:00:00Z";
        URL_SAFE_NO_PAD.encode(format!(
            r#"{{"formatLength":{length},"formatTail":"{tail}","time":"{time}"}}"#
        ))
    }

    fn signature(protected: &str) -> String {
        format!(
            r#"
      {{
         "header": {{ "jwk": {{ "kty": "EC" }}, "alg": "ES256" }},
         "signature": "c2lnbmVk",
         "protected": "{protected}"
      }}"#
        )
    }

    /// A manifest as Docker signed it: the last newline and brace of the payload come back as its tail.
    fn signed(payload: &str, signatures: &[String]) -> Vec<u8> {
        let front = payload.strip_suffix("\n}").unwrap();
        let signatures = signatures.join(",");
        format!("{front},\n   \"signatures\": [{signatures}\n   ]\n}}").into_bytes()
    }

    fn front() -> usize {
        PAYLOAD.len() - 2
    }

    #[test]
    fn the_payload_comes_back_byte_for_byte_and_proves_the_digest() {
        let one = signature(&protected(front(), "\n}"));
        for signatures in [vec![one.clone()], vec![one.clone(), one.clone()]] {
            let bytes = signed(PAYLOAD, &signatures);
            let payload = payload(&bytes).unwrap();
            assert_eq!(payload, PAYLOAD.as_bytes());
            let digest = Digest::sha256_of(PAYLOAD.as_bytes());
            assert_eq!(Digest::sha256_of(&payload), digest);
            assert_ne!(Digest::sha256_of(&bytes), digest);
            let manifest = Manifest::parse(&bytes, None).unwrap();
            assert_eq!(manifest.kind, ManifestKind::Schema1);
        }
    }

    #[test]
    fn padded_base64_is_read_too() {
        let padded = format!("{}==", protected(front(), "\n}").trim_end_matches('='));
        let bytes = signed(PAYLOAD, &[signature(&padded)]);
        assert_eq!(payload(&bytes).unwrap(), PAYLOAD.as_bytes());
    }

    #[test]
    fn what_has_no_signatures_has_no_payload() {
        for bytes in ["", "<html>", "[]", "{}", PAYLOAD, r#"{"signatures":[]}"#] {
            assert_eq!(payload(bytes.as_bytes()), None, "{bytes}");
        }
        for protected in [
            "",
            "e30",
            "?",
            &protected(usize::MAX, "\n}"),
            &protected(1, "}"),
        ] {
            let bytes = signed(PAYLOAD, &[signature(protected)]);
            assert_eq!(payload(&bytes), None, "{protected}");
        }
    }

    #[test]
    fn signatures_must_agree() {
        let good = signature(&protected(front(), "\n}"));
        let other = signature(&protected(front(), "}"));
        assert_eq!(payload(&signed(PAYLOAD, &[good, other])), None);
    }

    #[test]
    fn what_is_said_besides_the_payload_is_not_taken_for_proved() {
        let good = signature(&protected(front(), "\n}"));
        let text = String::from_utf8(signed(PAYLOAD, &[good])).unwrap();
        for more in [r#","fsLayers":[]"#, r#","FsLayers":[]"#, r#","config":{}"#] {
            for at in [text.len() - 1, front()] {
                let (before, after) = text.split_at(at);
                let bytes = format!("{before}{more}{after}");
                assert!(serde_json::from_str::<Value>(&bytes).is_ok());
                assert_eq!(payload(bytes.as_bytes()), None, "{more}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(
            length: usize,
            tail in ".{0,8}",
            protected_text in "[A-Za-z0-9_=-]{0,40}",
        ) {
            let _ = payload(&signed(PAYLOAD, &[signature(&protected(length, &tail))]));
            let _ = payload(&signed(PAYLOAD, &[signature(&protected_text)]));
        }
    }
}
