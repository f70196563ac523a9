//! The files of a tar, compressed or not.
//!
//! Read by hand on the parsed headers: the long names of the two dialects are bounded here, and whatever is no plain file,
//! no folder and no link that `docker save` writes is refused. Nothing of it ever becomes a path on a disk.

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use tar::{EntryType, Header};

use super::paths::refusal;
use super::{BundleError, Given, Supply, Take};

const BLOCK: usize = 512;
/// The most bytes that a header for a long name, or for other attributes, may take.
const MAX_ATTRIBUTES: u64 = 64 * 1024;
/// The most members that a tar may have.
const MAX_MEMBERS: usize = 4_000_000;
/// What a stream compressed with zstd begins with (RFC 8878 section 3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// What gzip begins with (RFC 1952 section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Bytes that are shown of what is no tar.
const SHOWN: usize = 16;
/// The largest window that is unpacked, as a power of two: what zstd itself does without being told.
const WINDOW: u32 = 27;

/// A tar that can be opened again and again.
pub struct Tarball<O> {
    open: O,
}

impl<O: Fn() -> io::Result<Box<dyn Read>>> Tarball<O> {
    /// A tar whose bytes `open` gives from the beginning, each time it is called.
    pub fn new(open: O) -> Self {
        Self { open }
    }
}

impl<O: Fn() -> io::Result<Box<dyn Read>>> Supply for Tarball<O> {
    fn each(&self, take: &mut Take<'_>) -> Result<(), BundleError> {
        let mut bytes = unpacked((self.open)()?)?;
        let mut members = Members {
            bytes: &mut *bytes,
            last: None,
            name: None,
            size: None,
        };
        let mut count = 0;
        while let Some(member) = members.next()? {
            count += 1;
            if count > MAX_MEMBERS {
                return Err(BundleError::Whole(format!(
                    "the tar has more than {MAX_MEMBERS} members"
                )));
            }
            let Member { path, size, kind } = member;
            let mut content = members.bytes.take(size);
            match &kind {
                Kind::File => take(Given::File(&path, size, &mut content))?,
                Kind::Alias(target) => take(Given::Alias(&path, target))?,
                Kind::Folder => {}
            }
            let left = content.limit();
            members.pass_over(&path, left, size)?;
            members.last = Some(path);
        }
        Ok(())
    }
}

/// The tar itself, of what may be compressed.
fn unpacked(bytes: Box<dyn Read>) -> Result<Box<dyn Read>, BundleError> {
    let mut bytes = BufReader::with_capacity(256 * 1024, bytes);
    let begin = io::BufRead::fill_buf(&mut bytes)?;
    if begin.starts_with(&GZIP) {
        return Ok(Box::new(MultiGzDecoder::new(bytes)));
    }
    if !begin.starts_with(&ZSTD) {
        return Ok(Box::new(bytes));
    }
    let mut unpacked = zstd::stream::read::Decoder::with_buffer(bytes)?;
    unpacked.window_log_max(WINDOW)?;
    Ok(Box::new(unpacked))
}

enum Kind {
    File,
    Folder,
    /// Another path for the file of this path.
    Alias(String),
}

struct Member {
    path: String,
    size: u64,
    kind: Kind,
}

struct Members<'b> {
    bytes: &'b mut dyn Read,
    /// The last member that was read.
    last: Option<String>,
    /// What headers before the next member said of it.
    name: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Members<'_> {
    fn next(&mut self) -> Result<Option<Member>, BundleError> {
        loop {
            let mut block = [0; BLOCK];
            let read = fill(self.bytes, &mut block)?;
            if read < BLOCK {
                return Err(self.no_header(&block[..read]));
            }
            // The end is a block of zeros: without it, members may be missing.
            if block.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            let header = Header::from_byte_slice(&block);
            if header.cksum().ok() != Some(checksum(&block)) {
                return Err(self.no_header(&block));
            }
            let told = header.entry_size()?;
            let kind = header.entry_type();
            match kind {
                EntryType::GNULongName => {
                    let mut name = self.attributes(told)?;
                    name.truncate(name.iter().position(|it| *it == 0).unwrap_or(name.len()));
                    self.name = Some(name);
                    continue;
                }
                EntryType::XHeader => {
                    let attributes = self.attributes(told)?;
                    self.read_attributes(&attributes)?;
                    continue;
                }
                EntryType::XGlobalHeader | EntryType::GNULongLink => {
                    self.attributes(told)?;
                    continue;
                }
                _ => {}
            }
            let name = self.name.take();
            let name = name.unwrap_or_else(|| header.path_bytes().into_owned());
            let size = self.size.take().unwrap_or(told);
            return member(name, size, header).map(Some);
        }
    }

    /// Where a header must be, these bytes are, which are none: what that says of the whole.
    fn no_header(&self, found: &[u8]) -> BundleError {
        let why = match &self.last {
            None if found.is_empty() => "it is empty".to_owned(),
            None => format!(
                "it is no tar, packed (gzip, zstd) or not: it begins with \"{}\"{}",
                found[..found.len().min(SHOWN)].escape_ascii(),
                known_as(found).map_or(String::new(), |it| format!(", as {it} does")),
            ),
            Some(last) if found.len() < BLOCK => {
                format!("the bundle is cut off: the end of the tar is missing behind {last}")
            }
            Some(last) => format!("the tar is broken behind {last}"),
        };
        BundleError::Whole(why)
    }

    /// The content of a header that speaks of the next member.
    fn attributes(&mut self, size: u64) -> Result<Vec<u8>, BundleError> {
        if size > MAX_ATTRIBUTES {
            let why = format!("a header in the tar has {size} bytes, more than {MAX_ATTRIBUTES}");
            return Err(BundleError::Whole(why));
        }
        let mut attributes = Vec::new();
        self.bytes.take(size).read_to_end(&mut attributes)?;
        if attributes.len() as u64 != size {
            return Err(cut_off(io::ErrorKind::UnexpectedEof.into()));
        }
        self.pad(size)?;
        Ok(attributes)
    }

    /// Extended attributes (POSIX pax): `length key=value\n`.
    fn read_attributes(&mut self, attributes: &[u8]) -> Result<(), BundleError> {
        let broken = || BundleError::Whole("an extended header in the tar is broken".to_owned());
        for attribute in tar::PaxExtensions::new(attributes) {
            let attribute = attribute.map_err(|_| broken())?;
            match attribute.key_bytes() {
                b"path" => self.name = Some(attribute.value_bytes().to_vec()),
                b"size" => {
                    let size = attribute.value().ok().and_then(|it| it.parse().ok());
                    self.size = Some(size.ok_or_else(broken)?);
                }
                key if key.starts_with(b"GNU.sparse.") => {
                    let why = "the tar has a sparse file, which is never part of a bundle";
                    return Err(BundleError::Whole(why.to_owned()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Passes over what is left of a member, and over what fills its last block.
    fn pass_over(&mut self, path: &str, left: u64, size: u64) -> Result<(), BundleError> {
        let passed = io::copy(&mut self.bytes.take(left), &mut io::sink())?;
        if passed != left {
            let why = "the bundle ends in the midst of it";
            return Err(BundleError::entry(path, why));
        }
        self.pad(size)
    }

    fn pad(&mut self, size: u64) -> Result<(), BundleError> {
        let rest = size % BLOCK as u64;
        if rest > 0 {
            let mut filling = [0; BLOCK];
            let filling = &mut filling[usize::try_from(rest).unwrap_or(0)..];
            self.bytes.read_exact(filling).map_err(cut_off)?;
        }
        Ok(())
    }
}

fn member(name: Vec<u8>, size: u64, header: &Header) -> Result<Member, BundleError> {
    let shown = String::from_utf8_lossy(&name).into_owned();
    let path = String::from_utf8(name)
        .map_err(|_| BundleError::entry(&*shown, "its path is not UTF-8"))?;
    // What tar itself puts before the members of a folder.
    let path = path.strip_prefix("./").unwrap_or(&path);
    let kind = header.entry_type();
    let path = match kind {
        EntryType::Directory => path.trim_end_matches('/'),
        _ => path,
    };
    let is_root = kind == EntryType::Directory && matches!(path, "" | ".");
    if let Some(why) = refusal(path).filter(|_| !is_root) {
        return Err(BundleError::entry(shown, why));
    }
    let kind = match kind {
        EntryType::Regular | EntryType::Continuous => Kind::File,
        EntryType::Directory => Kind::Folder,
        // What older versions of `docker save`, and podman, write for a layer that is there under another name.
        EntryType::Symlink if path.ends_with("/layer.tar") => {
            let target = header.link_name_bytes().unwrap_or_default();
            let inside = target.strip_prefix(b"../").unwrap_or_default();
            let inside = String::from_utf8_lossy(inside);
            if refusal(&inside).is_some() {
                return Err(BundleError::entry(
                    path,
                    "it is a link that leads elsewhere",
                ));
            }
            Kind::Alias(inside.into_owned())
        }
        EntryType::Symlink | EntryType::Link => {
            return Err(BundleError::entry(
                path,
                "it is a link, which is never part of a bundle",
            ));
        }
        _ => {
            return Err(BundleError::entry(
                path,
                "it is neither a file nor a folder",
            ));
        }
    };
    let size = match kind {
        Kind::File => size,
        Kind::Folder | Kind::Alias(_) => 0,
    };
    Ok(Member {
        path: path.to_owned(),
        size,
        kind,
    })
}

/// The checksum of a header: the sum of its bytes, its own eight taken as blanks.
fn checksum(block: &[u8; BLOCK]) -> u32 {
    let own = 148..156;
    let bytes = block.iter().enumerate();
    bytes
        .map(|(at, byte)| {
            if own.contains(&at) {
                u32::from(b' ')
            } else {
                u32::from(*byte)
            }
        })
        .sum()
}

/// Reads until the buffer is full or nothing more comes; gives how much that is.
fn fill(bytes: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match bytes.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // What unpacks has more to give, and its source has not.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// What people may have given in place of a tar, by what it begins with.
fn known_as(begin: &[u8]) -> Option<&'static str> {
    let kinds: [(&[u8], &str); 6] = [
        (b"PK\x03\x04", "a zip archive"),
        (b"\xfd7zXZ\0", "something packed with xz"),
        (b"BZh", "something packed with bzip2"),
        (b"\x7fELF", "a program"),
        (b"{", "a JSON document"),
        (b"<", "a page of the web"),
    ];
    let known = kinds.iter().find(|(magic, _)| begin.starts_with(magic));
    known.map(|(_, name)| *name)
}

fn cut_off(error: io::Error) -> BundleError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return BundleError::Whole(
            "the bundle is cut off: the end of the tar is missing".to_owned(),
        );
    }
    error.into()
}
