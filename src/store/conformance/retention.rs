//! Garbage, explanations, lists.

use std::error::Error;

use super::room::{Case, LATER, is_here, manifest};
use super::{Outcome, ensure, keep, origin};
use crate::oci::{Accepts, Digest, MediaType};
use crate::store::{
    Explained, Fact, Garbage, Limits, Link, Reason, Record, RecordKey, Role, Store, Verdict, Why,
};

pub(super) const CASES: &[Case] = &[
    ("garbage_is_what_nothing_reaches", Limits::default, garbage),
    ("what_goes_is_what_was_listed", Limits::default, what_goes),
    (
        "a_digest_is_explained",
        Limits::default,
        a_digest_is_explained,
    ),
    ("tags_are_listed_in_pages", Limits::default, tags_are_listed),
    (
        "repositories_come_in_pages",
        Limits::default,
        repositories_come,
    ),
    ("right_content_is_verified", Limits::default, right_content),
];

pub(super) fn key(repository: &str, tag: &str) -> Result<RecordKey, Box<dyn Error>> {
    Ok(RecordKey {
        origin: origin("docker.io", repository)?,
        tag: tag.parse()?,
        accepts: Accepts::MODERN,
    })
}

fn record(digest: &Digest) -> Record {
    Record {
        digest: digest.clone(),
        media_type: MediaType::OCI_MANIFEST,
        size: 1,
        checked_at: 0,
    }
}

/// An image with a record, its layer, an index above it, and something that nobody references.
fn image(store: &dyn Store) -> Result<[Digest; 4], Box<dyn Error>> {
    let layer = keep(store, b"a layer of twenty-two.")?;
    let head = keep(store, &manifest(&[&layer]))?;
    let above = serde_json::json!({ "manifests": [{
        "mediaType": MediaType::OCI_MANIFEST, "digest": head, "size": 1,
    }]});
    let above = keep(store, above.to_string().as_bytes())?;
    let other = keep(store, b"nobody's")?;
    store.put_record(&key("a/b", "1")?, &record(&above))?;
    for digest in [&above, &other] {
        store.used(digest, LATER);
    }
    Ok([above, head, layer, other])
}

fn garbage(store: &dyn Store) -> Outcome {
    let [above, head, layer, other] = image(store)?;
    let nothing = store.collectable(LATER + 9, 10, None)?;
    ensure(nothing.is_empty(), "it was used just now")?;
    let of = |digest: &Digest, size, why| Garbage {
        digest: digest.clone(),
        size,
        why,
    };
    let found = store.collectable(LATER + 10, 10, None)?;
    ensure(found == [of(&other, 8, Why::Unreferenced)], "others")?;
    // All of it is too old, the image too.
    let found = store.collectable(LATER + 100, 10, Some(100))?;
    ensure(found.len() == 4, "not all")?;
    ensure(
        found.contains(&of(&layer, 22, Why::Unused)),
        "not the layer",
    )?;
    ensure(found.contains(&of(&other, 8, Why::Unreferenced)), "why?")?;
    store.pin("kept", std::slice::from_ref(&head))?;
    let found = store.collectable(LATER + 100, 10, Some(100))?;
    ensure(found.len() == 2, "what is pinned is no garbage")?;
    store.learn(&[Fact::Record(key("a/b", "1")?, None)]);
    let found = store.collectable(LATER + 10, 10, None)?;
    let found: Vec<_> = found.iter().map(|it| &it.digest).collect();
    ensure(
        found.len() == 2 && found.contains(&&above),
        "the index is garbage",
    )?;
    let _reader = store.open(&above)?;
    let found = store.collectable(LATER + 10, 10, None)?;
    ensure(found.len() == 1, "what is read is no garbage")
}

fn what_goes(store: &dyn Store) -> Outcome {
    let [above, _, _, other] = image(store)?;
    let before = store.usage();
    let listed = store.collectable(LATER + 10, 10, None)?;
    ensure(store.usage() == before, "a look has changed something")?;
    let digests: Vec<_> = listed.iter().map(|it| it.digest.clone()).collect();
    let removed = store.remove(&digests, Reason::Gc)?;
    ensure(
        removed.bytes == listed.iter().map(|it| it.size).sum::<u64>(),
        "bytes",
    )?;
    ensure(
        removed.count == 1 && !is_here(store, &other)?,
        "it is there",
    )?;
    ensure(is_here(store, &above)?, "it is gone")?;
    let after = store.usage();
    ensure(after.evicted.of(Reason::Gc) == removed, "miscounted")?;
    ensure(
        before.content_bytes - after.content_bytes == 8,
        "miscounted",
    )?;
    // What is not there is not removed.
    ensure(store.remove(&digests, Reason::Gc)?.count == 0, "twice")?;
    ensure(store.collectable(LATER + 10, 10, None)?.is_empty(), "more")
}

fn a_digest_is_explained(store: &dyn Store) -> Outcome {
    let [above, head, layer, _] = image(store)?;
    let link = Link {
        origin: origin("docker.io", "a/b")?,
        digest: layer.clone(),
        role: Role::Blob,
    };
    store.link(std::slice::from_ref(&link))?;
    store.put_record(&key("c", "2")?, &record(&head))?;
    store.pin("kept", std::slice::from_ref(&above))?;
    let expected = Explained {
        size: Some(22),
        last_use: Some(LATER),
        pins: vec!["kept".into()],
        records: vec![key("a/b", "1")?, key("c", "2")?],
        links: vec![link],
        readers: 0,
    };
    ensure(
        store.explain(&layer)? == expected,
        "it is explained otherwise",
    )?;
    let above = store.explain(&above)?;
    ensure(
        above.records == [key("a/b", "1")?],
        "what is below reaches it",
    )?;
    ensure(above.links.is_empty(), "a link that nobody made")?;
    let absent = store.explain(&Digest::sha256_of(b"absent"))?;
    ensure(
        absent == Explained::default(),
        "what is absent has a reason",
    )
}

fn tags_are_listed(store: &dyn Store) -> Outcome {
    let [above, ..] = image(store)?;
    for tag in ["1", "10", "1-a", "2", "latest"] {
        store.put_record(&key("a/b", tag)?, &record(&above))?;
    }
    store.put_record(&key("a/c", "3")?, &record(&above))?;
    store.put_record(&key("a", "4")?, &record(&above))?;
    let ours = origin("docker.io", "a/b")?;
    let mut found = Vec::new();
    loop {
        let page = store.tags(&ours, found.last(), 2)?;
        ensure(page.len() <= 2, "a page of more")?;
        if page.is_empty() {
            break;
        }
        let listed = store.list(&ours, found.last(), 2)?;
        ensure(listed.iter().map(|it| &it.tag).eq(&page), "other tags")?;
        found.extend(page);
    }
    let mut expected = Vec::new();
    for tag in ["1", "1-a", "10", "2", "latest"] {
        expected.push(tag.parse()?);
    }
    ensure(found == expected, &format!("{found:?}"))?;
    let listed = store.list(&ours, None, 1)?;
    let bytes = store.usage().content_bytes - 8;
    ensure(listed[0].bytes == bytes, "not the bytes of all")?;
    ensure(listed[0].last_use == Some(LATER), "another last use")?;
    let absent = Digest::sha256_of(b"absent");
    store.put_record(&key("x", "1")?, &record(&absent))?;
    let listed = store.list(&origin("docker.io", "x")?, None, 9)?;
    ensure(
        listed[0].last_use.is_none() && listed[0].bytes == 0,
        "it is here",
    )
}

fn repositories_come(store: &dyn Store) -> Outcome {
    let digest = Digest::sha256_of(b"of many");
    let names = ["a", "a-b", "a/b", "b", "library/alpine"];
    for (n, name) in names.iter().enumerate() {
        if n % 2 == 0 {
            store.put_record(&key(name, "1")?, &record(&digest))?;
            store.put_record(&key(name, "2")?, &record(&digest))?;
        }
        if n % 3 > 0 || n % 2 > 0 {
            store.link(&[Link {
                origin: origin("docker.io", name)?,
                digest: digest.clone(),
                role: Role::Blob,
            }])?;
        }
    }
    store.link(&[Link {
        origin: origin("ghcr.io", "elsewhere")?,
        digest,
        role: Role::Blob,
    }])?;
    let mut found = Vec::new();
    loop {
        let page = store.repositories("docker.io", found.last(), 2)?;
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    let mut expected = Vec::new();
    for name in names {
        expected.push(name.parse()?);
    }
    ensure(found == expected, &format!("{found:?}"))?;
    let none = store.repositories("quay.io", None, 9)?;
    ensure(none.is_empty(), "a repository of another upstream")
}

fn right_content(store: &dyn Store) -> Outcome {
    let digest = keep(store, &vec![7; 600_000])?;
    let mut read = 0;
    let verdict = store.verify(&digest, &mut |bytes| read += bytes)?;
    ensure(verdict == Verdict::Right(600_000), "it is right")?;
    ensure(read == 600_000, "the pace was not told")?;
    let gone = store.verify(&Digest::sha256_of(b"gone"), &mut |_| ())?;
    ensure(gone == Verdict::Gone, "it is gone")?;
    let usage = store.usage();
    ensure((usage.verified, usage.wrong) == (1, 0), "miscounted")
}
