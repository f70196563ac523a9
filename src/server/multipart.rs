//! `multipart/byteranges`: several ranges of a blob in one answer (RFC 9110 sections 14.6 and 15.3.7.2, RFC 2046
//! section 5.1). Pure: the frame around the bytes; where they come from is the door's matter.

use crate::oci::{ByteRange, ContentRange, Digest, MediaType};

/// Characters of a boundary: RFC 2046 section 5.1.1 allows 70.
const BOUNDARY: usize = 64;

/// The frame of one answer with several ranges: what stands before, between and behind their bytes.
///
/// The boundary is the blob's own digest, so the same question gets the same bytes. It must not occur in a part, and
/// it cannot: a part is cut out of the blob, and nobody can make a blob that contains its own digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multipart {
    boundary: String,
    size: u64,
    ranges: Vec<ByteRange>,
    length: u64,
}

impl Multipart {
    /// The frame of `ranges`, in their order, each its own part, of the blob `digest` with `size` bytes. `None` when
    /// it would have more bytes than can be counted: an upstream may announce any size.
    pub fn new(digest: &Digest, size: u64, ranges: Vec<ByteRange>) -> Option<Self> {
        let mut made = Self {
            boundary: digest.encoded().chars().take(BOUNDARY).collect(),
            size,
            ranges,
            length: 0,
        };
        let mut length = made.end().len() as u64;
        for (head, range) in made.parts() {
            length = length
                .checked_add(head.len() as u64)?
                .checked_add(range.len())?;
        }
        made.length = length;
        Some(made)
    }

    /// The value of the answer's `Content-Type`.
    pub fn content_type(&self) -> String {
        format!("multipart/byteranges; boundary={}", self.boundary)
    }

    /// Bytes of the whole body, the parts' own included.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// What stands before the bytes of each part, and which bytes they are.
    pub fn parts(&self) -> impl Iterator<Item = (String, ByteRange)> + '_ {
        self.ranges.iter().enumerate().map(|(index, range)| {
            let line_end = if index == 0 { "" } else { "\r\n" };
            let content_range = ContentRange {
                range: *range,
                size: Some(self.size),
            };
            let head = format!(
                "{line_end}--{}\r\nContent-Type: {}\r\nContent-Range: {content_range}\r\n\r\n",
                self.boundary,
                MediaType::OCTET_STREAM,
            );
            (head, *range)
        })
    }

    /// What stands behind the last part.
    pub fn end(&self) -> String {
        format!("\r\n--{}--\r\n", self.boundary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(size: u64, ranges: &[(u64, u64)]) -> Option<Multipart> {
        let ranges = ranges
            .iter()
            .map(|(start, end)| ByteRange::new(*start, *end));
        Multipart::new(&Digest::sha256_of(b"x"), size, ranges.collect())
    }

    #[test]
    fn each_range_is_a_part_in_its_order_and_none_is_merged() {
        let frame = frame(100, &[(90, 100), (0, 10), (10, 20)]).unwrap();
        let digest = Digest::sha256_of(b"x");
        let boundary = digest.encoded();
        assert_eq!(
            frame.content_type(),
            format!("multipart/byteranges; boundary={boundary}")
        );
        let mut body = String::new();
        for (head, range) in frame.parts() {
            body += &head;
            body += &"x".repeat(usize::try_from(range.len()).unwrap());
        }
        body += &frame.end();
        let part = |range: &str| {
            format!(
                "--{boundary}\r\nContent-Type: application/octet-stream\r\n\
                 Content-Range: bytes {range}/100\r\n\r\nxxxxxxxxxx\r\n"
            )
        };
        let parts = [part("90-99"), part("0-9"), part("10-19")].concat();
        assert_eq!(body, format!("{parts}--{boundary}--\r\n"));
        assert_eq!(frame.length(), body.len() as u64);
    }

    #[test]
    fn a_boundary_is_never_longer_than_allowed() {
        let digest = format!("sha512:{}", "ab".repeat(64)).parse().unwrap();
        let frame = Multipart::new(&digest, 2, vec![ByteRange::new(0, 1)]).unwrap();
        let boundary = "ab".repeat(32);
        assert!(
            frame
                .content_type()
                .ends_with(&format!("boundary={boundary}"))
        );
    }

    #[test]
    fn what_cannot_be_counted_is_no_answer() {
        assert_eq!(frame(u64::MAX, &[(0, u64::MAX), (0, 1)]), None);
        assert_eq!(frame(u64::MAX, &[(0, u64::MAX - 10), (0, 1)]), None);
    }
}
