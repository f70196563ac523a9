//! What is learnt is known at once, by whatever way it is asked for, before it gets to disk and after.

use std::error::Error;

use super::retention::key;
use super::{Outcome, ensure, origin};
use crate::oci::{Digest, MediaType};
use crate::store::{Fact, Link, Record, RecordKey, Role, Store};

const REPOSITORY: &str = "library/learnt";

/// A tag, what it is, and the link that goes with it.
pub(in crate::store) struct Learnt {
    pub(in crate::store) key: RecordKey,
    pub(in crate::store) record: Record,
    pub(in crate::store) link: Link,
}

impl Learnt {
    /// All is so.
    pub(in crate::store) fn facts(&self) -> [Fact; 2] {
        [
            Fact::Record(self.key.clone(), Some(self.record.clone())),
            Fact::Link(self.link.clone(), true),
        ]
    }

    /// Nothing is so any more.
    pub(in crate::store) fn end(&self) -> [Fact; 2] {
        [
            Fact::Record(self.key.clone(), None),
            Fact::Link(self.link.clone(), false),
        ]
    }
}

pub(in crate::store) fn tag(name: &str, checked_at: u64) -> Result<Learnt, Box<dyn Error>> {
    let digest = Digest::sha256_of(name.as_bytes());
    let record = Record {
        digest: digest.clone(),
        media_type: MediaType::OCI_MANIFEST,
        size: 7,
        checked_at,
    };
    let link = Link {
        origin: origin("docker.io", REPOSITORY)?,
        digest,
        role: Role::Manifest,
    };
    let key = key(REPOSITORY, name)?;
    Ok(Learnt { key, record, link })
}

/// Asks in every way there is.
fn ensure_known(store: &dyn Store, tag: &Learnt, is_known: bool, when: &str) -> Outcome {
    let origin = &tag.key.origin;
    let record = store.record(&tag.key)?;
    let tags = store.tags(origin, None, 99)?;
    let listed = store.list(origin, None, 99)?;
    let explained = store.explain(&tag.link.digest)?;
    let roots = store.collectable(0, 0, None)?;
    for (what, is_so) in [
        ("record", record.as_ref() == Some(&tag.record)),
        ("link", store.linked(&tag.link)?),
        ("tag", tags.contains(&tag.key.tag)),
        ("listed", listed.iter().any(|it| it.tag == tag.key.tag)),
        ("naming", explained.records.contains(&tag.key)),
        ("links", explained.links.contains(&tag.link)),
    ] {
        ensure(is_so == is_known, &format!("{what} {when}: {is_so}"))?;
    }
    let is_garbage = roots.iter().any(|it| it.digest == tag.link.digest);
    ensure(!is_known || !is_garbage, &format!("garbage {when}"))
}

pub(super) fn what_is_learnt_is_known_at_once(store: &dyn Store) -> Outcome {
    let (one, two) = (tag("one", 1)?, tag("two", 1)?);
    let is = |tag: &Learnt, when: &str| ensure_known(store, tag, true, when);
    let is_not = |tag: &Learnt, when: &str| ensure_known(store, tag, false, when);
    is_not(&one, "from the start")?;
    store.learn(&one.facts());
    is(&one, "when it is learnt")?;
    store.write_down()?;
    is(&one, "when it is written")?;
    // Newer than what is on disk, and then older than what was put there by somebody else.
    let newer = tag("one", 2)?;
    store.learn(&newer.facts());
    is(&newer, "when there is an older one")?;
    let newest = tag("one", 3)?;
    store.put_record(&newest.key, &newest.record)?;
    is(&newest, "when it is put in place of both")?;
    store.write_down()?;
    is(&newest, "when all is written")?;
    // What ends before it is written down has ended.
    store.learn(&two.facts());
    is(&two, "when it was never written")?;
    store.learn(&two.end());
    is_not(&two, "when it ended before it was written")?;
    store.write_down()?;
    is_not(&two, "when that is written")?;
    // And what is learnt again is known again; what is on disk ends as soon as that is heard.
    store.learn(&two.facts());
    store.write_down()?;
    is(&two, "when it is learnt again")?;
    store.learn(&two.end());
    is_not(&two, "when the disk has it still")?;
    is(&newest, "when another one has ended")?;
    store.write_down()?;
    is_not(&two, "when the disk has it no more")?;
    store.learn(&newest.end());
    is_not(&newest, "at the end")
}

/// In order, whatever is on disk already.
pub(super) fn what_is_learnt_is_listed_in_its_place(store: &dyn Store) -> Outcome {
    let place = |repository: &str, name: &str| -> Result<RecordKey, Box<dyn Error>> {
        let mut key = key(repository, name)?;
        key.origin.upstream = "order.example".into();
        Ok(key)
    };
    let fact = |repository: &str, name: &str, is_so: bool| -> Result<Fact, Box<dyn Error>> {
        let record = is_so.then(|| tag(name, 1)).transpose()?;
        let record = record.map(|it| it.record);
        Ok(Fact::Record(place(repository, name)?, record))
    };
    let link = |repository: &str, is_so: bool| -> Result<Fact, Box<dyn Error>> {
        let origin = place(repository, "x")?.origin;
        let link = tag("x", 1)?.link;
        Ok(Fact::Link(Link { origin, ..link }, is_so))
    };
    let facts = |places: &[(&str, &str)]| {
        let facts = places.iter();
        let facts = facts.map(|(repository, name)| fact(repository, name, true));
        facts.collect::<Result<Vec<_>, _>>()
    };
    store.learn(&facts(&[
        ("m", "b"),
        ("m", "d"),
        ("m", "f"),
        ("p", "x"),
        ("q", "x"),
    ])?);
    store.learn(&[link("s", true)?]);
    ensure(
        store.repositories("order.example", None, 99)?.len() == 4,
        "before",
    )?;
    store.write_down()?;
    // Before, between and behind, and one that is there already; and some that go.
    store.learn(&facts(&[
        ("m", "a"),
        ("m", "c"),
        ("m", "d"),
        ("m", "g"),
        ("o", "x"),
    ])?);
    store.learn(&[fact("m", "f", false)?, fact("p", "x", false)?]);
    store.learn(&[link("r", true)?, link("s", false)?]);
    for when in ["known", "written"] {
        let origin = place("m", "x")?.origin;
        let tags = |after: Option<&str>, limit| -> Result<String, Box<dyn Error>> {
            let after = after.map(str::parse).transpose()?;
            let tags = store.tags(&origin, after.as_ref(), limit)?;
            Ok(tags.iter().map(ToString::to_string).collect())
        };
        ensure(tags(None, 99)? == "abcdg", when)?;
        ensure(tags(None, 2)? == "ab", when)?;
        ensure(tags(Some("b"), 2)? == "cd", when)?;
        ensure(tags(Some("d"), 2)? == "g", when)?;
        let repositories = |after: Option<&str>, limit| -> Result<String, Box<dyn Error>> {
            let after = after.map(str::parse).transpose()?;
            let found = store.repositories("order.example", after.as_ref(), limit)?;
            Ok(found.iter().map(ToString::to_string).collect())
        };
        ensure(repositories(None, 99)? == "moqr", when)?;
        ensure(repositories(None, 2)? == "mo", when)?;
        ensure(repositories(Some("o"), 9)? == "qr", when)?;
        store.write_down()?;
    }
    Ok(())
}
