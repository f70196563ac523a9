//! What is learnt is known at once, however it gets to disk.

use std::error::Error;

use super::retention::key;
use super::{Outcome, ensure, origin};
use crate::oci::{Digest, MediaType};
use crate::store::{Link, Record, RecordKey, Role, Store};

type Learnt = (RecordKey, Record, Link);

/// A tag's key, what it is, and the link that goes with it.
pub(in crate::store) fn tag(name: &str, checked_at: u64) -> Result<Learnt, Box<dyn Error>> {
    let digest = Digest::sha256_of(name.as_bytes());
    let record = Record {
        digest: digest.clone(),
        media_type: MediaType::OCI_MANIFEST,
        size: 7,
        checked_at,
    };
    let link = Link {
        origin: origin("docker.io", "library/learnt")?,
        digest,
        role: Role::Manifest,
    };
    Ok((key("library/learnt", name)?, record, link))
}

pub(super) fn what_is_learnt_is_known_at_once(store: &dyn Store) -> Outcome {
    let known = |(key, record, link): &Learnt| -> Outcome {
        ensure(
            store.record(key)?.as_ref() == Some(record),
            "the record is not known",
        )?;
        ensure(store.linked(link)?, "the link is not known")
    };
    let learn = |(key, record, link): &Learnt| {
        store.learn(std::slice::from_ref(link), Some((key, record)));
    };
    let (one, two) = (tag("one", 1)?, tag("two", 1)?);
    learn(&one);
    known(&one)?;
    let origin = &one.0.origin;
    ensure(
        store.tags(origin, None, 9)? == [one.0.tag.clone()],
        "the tag is not listed",
    )?;
    store.write_down()?;
    known(&one)?;
    // Newer than what is on disk, and then older than what was put there by somebody else.
    let newer = tag("one", 2)?;
    learn(&newer);
    known(&newer)?;
    let newest = tag("one", 3)?;
    store.put_record(&newest.0, &newest.1)?;
    known(&newest)?;
    store.write_down()?;
    known(&newest)?;
    // What is forgotten before it is written down is forgotten.
    learn(&two);
    known(&two)?;
    store.forget_record(&two.0)?;
    store.unlink(std::slice::from_ref(&two.2))?;
    let gone = |text| {
        ensure(store.record(&two.0)?.is_none(), text)?;
        ensure(!store.linked(&two.2)?, text)
    };
    gone("not forgotten")?;
    store.write_down()?;
    gone("forgotten, and back")?;
    // And what is learnt again is known again.
    learn(&two);
    store.write_down()?;
    known(&two)?;
    store.forget_record(&one.0)?;
    store.forget_record(&two.0)?;
    Ok(store.unlink(&[one.2, two.2])?)
}
