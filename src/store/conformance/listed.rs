//! What is recorded is listed, and what is pinned is told.

use std::error::Error;

use super::{Outcome, ensure, keep};
use crate::oci::{Accepts, MediaType};
use crate::store::{Link, Origin, Record, RecordKey, Role, Store};

pub(super) fn what_is_recorded_is_listed(store: &dyn Store) -> Outcome {
    let origin = |repository: &str| -> Result<Origin, Box<dyn Error>> {
        Ok(Origin {
            upstream: "listed.example".into(),
            repository: repository.parse()?,
        })
    };
    let digest = keep(store, b"what is recorded is listed")?;
    let record = Record {
        digest: digest.clone(),
        media_type: MediaType::OCI_MANIFEST,
        size: 26,
        checked_at: 1,
    };
    for (tag, accepts) in [
        ("b", Accepts::MODERN),
        ("a", Accepts::MODERN),
        ("a", Accepts::EVERYTHING),
    ] {
        let key = RecordKey {
            origin: origin("o/tagged")?,
            tag: tag.parse()?,
            accepts,
        };
        store.put_record(&key, &record)?;
    }
    let link = Link {
        origin: origin("o/linked")?,
        digest: digest.clone(),
        role: Role::Blob,
    };
    store.link(&[link])?;
    let tags = |after: Option<&str>, limit| -> Result<String, Box<dyn Error>> {
        let after = after.map(str::parse).transpose()?;
        let tags = store.tags(&origin("o/tagged")?, after.as_ref(), limit)?;
        Ok(format!("{tags:?}"))
    };
    ensure(tags(None, 9)? == "[a, b]", "tags differ")?;
    ensure(tags(Some("a"), 9)? == "[b]", "tags after one differ")?;
    ensure(tags(None, 1)? == "[a]", "the first tag differs")?;
    let repositories = store.repositories("listed.example", None, 9)?;
    ensure(
        format!("{repositories:?}") == "[o/linked, o/tagged]",
        "repositories differ",
    )?;
    store.pin("listed", &[])?;
    store.pin("listed", std::slice::from_ref(&digest))?;
    let pins = store.pins();
    let ours = pins.iter().find(|pin| pin.name == "listed");
    ensure(
        ours.is_some_and(|pin| pin.digests == [digest]),
        "the pin differs",
    )
}
