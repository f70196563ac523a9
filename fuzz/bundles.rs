//! Bundles, by their files and as tars.

use std::io::{Cursor, Read};

use roadstead::mirror::Names;
use roadstead::mirror::bundle::{
    BundleError, Calling, Given, Nothing, Supply, Take, Tarball, named, plan, survey, take_in,
};
use roadstead::oci::{Accepts, Digest};
use roadstead::store::{Catalog, Contents, MemoryStore, RecordKey};

/// The bytes of a block of a tar.
const BLOCK: usize = 512;

/// Files whose names and bytes may speak of each other's digests, so that chance need not find any.
///
/// They are divided by lines of `%%`; the first line of each is its path. In a path `@` is the hexadecimal digest of the
/// file's own bytes, and `^` the beginning of that; in bytes `@n`, `%n` and `#n` are digest, the same in hexadecimal, and
/// size of the file with that number.
struct Files(Vec<(String, Vec<u8>)>);

impl Files {
    fn read(text: &str) -> Self {
        let mut files: Vec<(String, Vec<u8>)> = Vec::new();
        for file in text.split("\n%%\n").take(10) {
            let (path, bytes) = file.split_once('\n').unwrap_or((file, ""));
            let mut bytes = bytes.to_owned();
            for (number, (_, before)) in files.iter().enumerate() {
                let digest = Digest::sha256_of(before).to_string();
                let (_, hex) = digest.split_once(':').expect("a digest");
                bytes = bytes
                    .replace(&format!("@{number}"), &digest)
                    .replace(&format!("%{number}"), hex)
                    .replace(&format!("#{number}"), &before.len().to_string());
            }
            let digest = Digest::sha256_of(bytes.as_bytes()).to_string();
            let (_, hex) = digest.split_once(':').expect("a digest");
            let path = path.replace('@', hex).replace('^', &hex[..2]);
            files.push((path, bytes.into_bytes()));
        }
        Self(files)
    }
}

impl Supply for Files {
    fn each(&self, take: &mut Take<'_>) -> Result<(), BundleError> {
        for (path, bytes) in &self.0 {
            take(Given::File(
                path,
                bytes.len() as u64,
                &mut Cursor::new(bytes),
            ))?;
        }
        Ok(())
    }
}

/// What is taken in is whole: no tag points to what is not there, and what is there is what its name says.
pub(crate) fn bundle(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = taken(&Files::read(text));
    }
}

/// Whether these files are taken in.
#[allow(dead_code, reason = "fuzz targets try, and ask nothing")]
pub(crate) fn refusal(text: &str) -> Option<String> {
    taken(&Files::read(text))
        .err()
        .map(|error| error.to_string())
}

fn taken(files: &dyn Supply) -> Result<(), BundleError> {
    let survey = survey(files, u64::MAX, &mut |_| {})?;
    let _ = (survey.described(), survey.upstreams(), survey.amount());
    let names = Names::new([("docker.io".to_owned(), "docker.io".into())]);
    let calling = Calling {
        names: &names,
        called: None,
        upstream: Some("docker.io"),
    };
    let images = named(&survey, calling)?;
    let plan = plan(&survey, images, &Nothing, false, 1)?;
    let store = MemoryStore::default();
    take_in(&plan, files, &store, &mut |_| {})?;
    for image in &plan.images {
        let content = store
            .open(&image.digest)?
            .expect("an image that was taken in");
        let size = usize::try_from(content.size()).expect("a small one");
        let read = content.source().read_all(size).expect("its bytes");
        assert_eq!(Digest::sha256_of(&read), image.digest);
        if let Some(tag) = &image.tag {
            let key = RecordKey {
                origin: image.origin.clone(),
                tag: tag.clone(),
                accepts: Accepts::MODERN,
            };
            assert!(store.record(&key)?.is_some(), "{image:?}");
        }
    }
    Ok(())
}

pub(crate) fn tar(bytes: &[u8]) {
    let _ = members(bytes);
}

/// The members of a tar whose checksums are put right, so that chance gets beyond them.
pub(crate) fn members(bytes: &[u8]) -> Result<usize, BundleError> {
    let mut tar = bytes.to_vec();
    for block in tar.chunks_exact_mut(BLOCK) {
        if block[257..262] == *b"ustar" {
            block[148..156].copy_from_slice(b"        ");
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
    let tarball = Tarball::new(|| Ok(Box::new(Cursor::new(tar.clone())) as Box<dyn Read>));
    let mut count = 0;
    let gone_through = tarball.each(&mut |given| {
        count += 1;
        let (path, size) = match given {
            Given::File(path, size, bytes) => {
                let mut read = Vec::new();
                bytes.read_to_end(&mut read)?;
                assert!(read.len() as u64 <= size, "{path:?}");
                (path, size)
            }
            Given::Alias(path, target) => {
                assert!(!target.contains(".."), "{target:?}");
                (path, 0)
            }
        };
        // Nothing leads out of the bundle.
        let leads_out = path.split('/').any(|part| matches!(part, "" | "." | ".."));
        assert!(!leads_out, "{path:?} of {size} bytes");
        Ok(())
    });
    let _ = taken(&tarball);
    gone_through.map(|()| count)
}
