//! What is refused leaves the store as it was, and the message names what is at fault.

use proptest::prelude::*;

use super::trial::reads_as_bundle;
use super::*;

/// Takes in what must be refused; gives the message. Tried on an empty store and on one in use: both must stay as they are.
pub(super) fn refused(bytes: &[u8]) -> String {
    let used = MemoryStore::default();
    let layer = keep(&used, &noise(1_234));
    record(&used, "o/other", "1", &image(b"{}", &[&noise(1_234)], None));
    used.pin("other", &[layer]).unwrap();
    let empty = MemoryStore::default();
    let error = unchanged(bytes, &empty);
    assert_eq!(unchanged(bytes, &used), error);
    for path in members_of_any(bytes) {
        let digest = path
            .strip_prefix("blobs/")
            .and_then(|it| it.replace('/', ":").parse().ok());
        if let Some(digest) = digest {
            let kept = empty.open(&digest).unwrap();
            assert!(kept.is_none(), "{error}: {digest} was kept");
        }
    }
    error
}

pub(super) fn unchanged(bytes: &[u8], store: &MemoryStore) -> String {
    let before = told(store);
    let error = imported(bytes, store).expect_err("refused");
    assert_eq!(told(store), before, "{error}");
    error.to_string()
}

/// All that can be told of what a store has.
fn told(store: &MemoryStore) -> String {
    let repositories = store.repositories("docker.io", None, 100).unwrap();
    let tags: Vec<_> = repositories
        .iter()
        .map(|it| store.tags(&origin(it.as_str()), None, 100).unwrap())
        .collect();
    format!("{:?} {:?} {tags:?}", store.usage(), store.pins())
}

/// The members of what may be no tar at all.
fn members_of_any(bytes: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(bytes);
    let entries = archive
        .entries()
        .into_iter()
        .flatten()
        .map_while(Result::ok);
    let paths = entries.map(|entry| String::from_utf8_lossy(&entry.path_bytes()).into_owned());
    paths.collect()
}

/// A right bundle, as the files in it.
pub(super) fn files() -> Vec<(String, Vec<u8>)> {
    let (store, _) = furnished();
    let bundle = exported(&store, &wanted(&["o/one:1"]), &CutOptions::default());
    let mut archive = tar::Archive::new(&bundle[..]);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        (entry.path().unwrap().display().to_string(), bytes)
    });
    entries.collect()
}

pub(super) fn packed_as(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let files: Vec<_> = files
        .iter()
        .map(|(path, bytes)| (&**path, &**bytes))
        .collect();
    packed(&files)
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, bytes).unwrap();
    packed.finish().unwrap()
}

/// A right bundle with one more member, whose header is made by hand.
pub(super) fn with_member(
    make: impl FnOnce(&mut tar::Header),
    name: &[u8],
    bytes: &[u8],
) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    let place = &mut header.as_old_mut().name;
    place[..name.len()].copy_from_slice(name);
    make(&mut header);
    header.set_cksum();
    let mut tar = header.as_bytes().to_vec();
    tar.extend_from_slice(bytes);
    tar.resize(tar.len().next_multiple_of(512), 0);
    tar.extend(packed_as(&files()));
    tar
}

#[test]
fn the_right_one_is_taken_in() {
    let store = MemoryStore::default();
    assert_eq!(imported(&packed_as(&files()), &store).unwrap().new, 4);
    assert!(reads_as_bundle(&packed_as(&files())));
}

#[test]
fn members_that_are_no_plain_files_in_their_place_are_refused_by_name() {
    use tar::EntryType;
    let plain = |_: &mut tar::Header| {};
    let of_kind = |kind| move |header: &mut tar::Header| header.set_entry_type(kind);
    for (bundle, reason) in [
        (
            with_member(plain, b"/etc/passwd", b"x"),
            "/etc/passwd: its path is absolute",
        ),
        (
            with_member(plain, b"../x", b"x"),
            "../x: its path leads upwards",
        ),
        (
            with_member(plain, b"a/../../x", b"x"),
            "a/../../x: its path leads upwards",
        ),
        (
            with_member(plain, b"a//b", b"x"),
            "a//b: its path could mean two things",
        ),
        (
            with_member(plain, b"a\xff", b"x"),
            "a\u{fffd}: its path is not UTF-8",
        ),
        (
            with_member(of_kind(EntryType::Symlink), b"l", b""),
            "l: it is a link, which is never part of a bundle",
        ),
        (
            with_member(of_kind(EntryType::Link), b"l", b""),
            "l: it is a link, which is never part of a bundle",
        ),
        (
            with_member(of_kind(EntryType::Char), b"c", b""),
            "c: it is neither a file nor a folder",
        ),
        (
            with_member(of_kind(EntryType::Block), b"c", b""),
            "c: it is neither a file nor a folder",
        ),
        (
            with_member(of_kind(EntryType::Fifo), b"f", b""),
            "f: it is neither a file nor a folder",
        ),
        (
            with_member(of_kind(EntryType::GNUSparse), b"s", b""),
            "s: it is neither a file nor a folder",
        ),
        (
            with_member(plain, b"oci-layout", b"{}"),
            "oci-layout: it is there twice",
        ),
        (
            with_member(plain, b"index.json", b"{}"),
            "index.json: it is there twice",
        ),
        (
            with_member(of_kind(EntryType::GNULongName), b"x", &vec![b'a'; 100_000]),
            "a header in the tar has 100000 bytes, more than 65536",
        ),
        (
            with_member(
                of_kind(EntryType::XHeader),
                b"x",
                b"26 GNU.sparse.major=1\n",
            ),
            "an extended header in the tar is broken",
        ),
        (
            with_member(
                of_kind(EntryType::XHeader),
                b"x",
                b"22 GNU.sparse.major=1\n",
            ),
            "the tar has a sparse file, which is never part of a bundle",
        ),
        (
            with_member(
                |header| {
                    header.set_entry_type(EntryType::Symlink);
                    header.set_link_name("../../etc/passwd").unwrap();
                },
                b"a/layer.tar",
                b"",
            ),
            "a/layer.tar: it is a link that leads elsewhere",
        ),
    ] {
        assert_eq!(refused(&bundle), reason);
    }
}

#[test]
fn bytes_that_are_not_what_they_say_are_refused_by_name() {
    let layer = noise(6_000);
    let path = path_of(&layer);
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut files = files();
        let file = files.iter_mut().find(|(name, _)| *name == path).unwrap();
        change(&mut file.1);
        refused(&packed_as(&files))
    };
    let error = changed(&|bytes| bytes[17] ^= 1);
    assert!(
        error.starts_with(&format!("{path}: its bytes have the digest sha256:")),
        "{error}"
    );
    let error = changed(&|bytes| bytes.push(0));
    assert!(
        error.starts_with(&format!("{path}: its bytes have")),
        "{error}"
    );

    let without = |gone: &str| {
        let mut files = files();
        files.retain(|(name, _)| name != gone);
        refused(&packed_as(&files))
    };
    let error = without(&path);
    let digest = Digest::sha256_of(&layer);
    assert_eq!(error, format!("docker.io/o/one:1: {digest} is missing"));
    assert!(without("index.json").starts_with("it has neither an index.json"));

    let mut twice = files();
    twice.push(twice.last().unwrap().clone());
    let name = twice.last().unwrap().0.clone();
    assert_eq!(
        refused(&packed_as(&twice)),
        format!("{name}: it is there twice")
    );
}

/// Who gave another file by mistake is told what it is.
#[test]
fn what_is_no_bundle_is_told_by_what_was_found() {
    let other = packed(&[("a.txt", b"a"), ("b/c.txt", b"c")]);
    for (bytes, reason) in [
        (&b""[..], "it is empty"),
        (
            b"PK\x03\x04rest",
            "it is no tar, packed (gzip, zstd) or not: it begins with \"PK\\x03\\x04rest\", as a zip archive does",
        ),
        (
            &[b'x'; 1000],
            "it is no tar, packed (gzip, zstd) or not: it begins with \"xxxxxxxxxxxxxxxx\"",
        ),
        (
            &other,
            "it has neither an index.json (an OCI layout), nor a manifest.json (docker save), nor the folders of a \
             registry's storage (docker/registry/v2); found: a.txt, b/c.txt",
        ),
    ] {
        assert_eq!(refused(bytes), reason);
    }
}

/// A bundle that is cut off anywhere is refused, packed or not.
#[test]
fn what_is_cut_off_is_refused() {
    let whole = packed_as(&files());
    // Without the blocks of zeros at the end: they say that nothing is missing.
    let end = whole.len() - 1024;
    for length in (0..end).step_by(331).chain([1, 511, 512, 513, end]) {
        let error = refused(&whole[..length]);
        let cut = ["cut off", "ends in the midst", "it ends after", "it is "];
        assert!(cut.iter().any(|it| error.contains(it)), "{length}: {error}");
    }
    let squeezed = zstd::encode_all(&whole[..], 3).unwrap();
    let store = MemoryStore::default();
    assert_eq!(imported(&squeezed, &store).unwrap().new, 4);
    for length in (4..squeezed.len() - 16).step_by(97) {
        refused(&squeezed[..length]);
    }
    let squeezed = gzip(&whole);
    let store = MemoryStore::default();
    assert_eq!(imported(&squeezed, &store).unwrap().new, 4);
    for length in (18..squeezed.len() - 40).step_by(97) {
        let error = refused(&squeezed[..length]);
        let cut = ["cut off", "ends in the midst", "it is no tar"];
        assert!(cut.iter().any(|it| error.contains(it)), "{length}: {error}");
    }
}

proptest! {
    /// Whatever is done to a bundle, it is refused or all that it brings is right; nothing panics.
    #[test]
    fn a_bundle_that_was_tampered_with_does_no_harm(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = packed_as(&files());
        for (at, byte) in changes {
            let length = bytes.len();
            bytes[at.index(length)] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        reads_as_bundle(&bytes);
        let store = MemoryStore::default();
        if imported(&bytes, &store).is_ok() {
            let record = store.record(&key("o/one", "1")).unwrap();
            if let Some(record) = record {
                prop_assert!(store.open(&record.digest).unwrap().is_some());
            }
        }
    }

    #[test]
    fn any_bytes_are_judged_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        prop_assert!(imported(&bytes, &MemoryStore::default()).is_err());
    }
}
