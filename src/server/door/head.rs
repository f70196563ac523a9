//! Reading a request head within bounds. Finding its end is all that happens here; what it says is for
//! the parser.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use pingora::protocols::Stream;
use pingora::server::ShutdownWatch;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout, timeout_at};

use super::DoorLimits;
use crate::server::Refusal;

/// Room for most heads: all that a silent connection costs beyond its socket.
const ROOM: usize = 1024;
/// Fields of a head: as many as the parser has room for.
const MAX_FIELDS: usize = 256;

/// The first byte of a TLS connection (RFC 8446 section 5.1, content type handshake).
const TLS_HANDSHAKE: u8 = 22;

/// What came of waiting for a request.
pub(super) enum Head {
    /// A whole head, and perhaps bytes after it.
    Read(BytesMut),
    /// The client left, kept silent too long, or is to leave: nothing to answer.
    Quiet,
    /// A head that will not be read to its end.
    Refused(Refusal),
}

/// Waits at most `silence` for a first byte, then for the rest of the head. `buffer` holds what the client
/// sent ahead, behind its last request.
///
/// Ends quietly when `stopping` turns true before the first byte; a request begun is read to its end.
pub(super) async fn read(
    stream: &mut Stream,
    mut buffer: BytesMut,
    silence: Duration,
    limits: &DoorLimits,
    stopping: &mut ShutdownWatch,
) -> Head {
    let silent_until = Instant::now() + silence;
    // RFC 9112 section 2.2: empty lines before a request are skipped. They begin none, and buy no time.
    skip_empty_lines(&mut buffer);
    while buffer.is_empty() {
        buffer.reserve(ROOM);
        let read = tokio::select! {
            // In this order: a request that is here already is not turned away by a stop.
            biased;
            read = timeout_at(silent_until, stream.read_buf(&mut buffer)) => read,
            _ = stopping.wait_for(|stopping| *stopping) => return Head::Quiet,
        };
        if !matches!(read, Ok(Ok(1..))) {
            return Head::Quiet;
        }
        skip_empty_lines(&mut buffer);
    }
    let whole = read_rest(stream, &mut buffer, limits);
    match timeout(limits.header_deadline, whole).await {
        Ok(Some(Verdict::Complete)) => Head::Read(buffer),
        Ok(Some(Verdict::Refused(refusal))) => Head::Refused(refusal),
        Ok(_) => Head::Quiet,
        Err(_) => Head::Refused(Refusal::HeadTooSlow),
    }
}

/// Reads until there is a verdict; `None` when the client left before.
async fn read_rest(
    stream: &mut Stream,
    buffer: &mut BytesMut,
    limits: &DoorLimits,
) -> Option<Verdict> {
    let mut scan = Scan::default();
    loop {
        // Clients try TLS first on a port they do not know, and wait for an answer they can refuse: a handshake
        // has no line's end to wait for.
        match buffer.first() {
            Some(&TLS_HANDSHAKE) => return Some(Verdict::Refused(Refusal::Tls)),
            Some(byte) if !byte.is_ascii_alphabetic() => {
                return Some(Verdict::Refused(Refusal::Malformed));
            }
            _ => {}
        }
        match scan.advance(buffer, limits) {
            Verdict::Unfinished => {}
            verdict => return Some(verdict),
        }
        if buffer.len() == buffer.capacity() {
            buffer.reserve(ROOM);
        }
        if !matches!(stream.read_buf(buffer).await, Ok(1..)) {
            return None;
        }
    }
}

fn skip_empty_lines(buffer: &mut BytesMut) {
    while matches!(buffer.first(), Some(b'\r' | b'\n')) {
        buffer.advance(1);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Unfinished,
    Complete,
    Refused(Refusal),
}

/// How far a head has been looked through, so that no byte is looked at twice.
#[derive(Default)]
struct Scan {
    /// Where the line under way began.
    line: usize,
    /// Where to look on.
    seen: usize,
    /// Whole lines so far.
    lines: usize,
}

impl Scan {
    /// Judges `head`, which begins as it did in the call before and has grown since.
    fn advance(&mut self, head: &[u8], limits: &DoorLimits) -> Verdict {
        while let Some(length) = head[self.seen..].iter().position(|byte| *byte == b'\n') {
            let end = self.seen + length;
            let line = without_return(&head[self.line..end]);
            if let Some(refusal) = self.excess(line, &head[..=end], limits) {
                return Verdict::Refused(refusal);
            }
            (self.line, self.seen) = (end + 1, end + 1);
            if line.is_empty() {
                return Verdict::Complete;
            }
            self.lines += 1;
        }
        self.seen = head.len();
        let line = without_return(&head[self.line..]);
        self.excess(line, head, limits)
            .map_or(Verdict::Unfinished, Verdict::Refused)
    }

    /// What is too much, with `line` as the last line of `head` so far.
    fn excess(&self, line: &[u8], head: &[u8], limits: &DoorLimits) -> Option<Refusal> {
        if self.lines == 0 && line.len() > limits.max_request_line {
            Some(Refusal::TargetTooLong)
        } else if head.len() > limits.max_head {
            Some(if is_mostly_ranges(&head[..limits.max_head]) {
                Refusal::TooManyRanges
            } else {
                Refusal::HeadTooLarge
            })
        } else if self.lines > MAX_FIELDS && !line.is_empty() {
            Some(Refusal::HeadTooLarge)
        } else {
            None
        }
    }
}

/// Whether it is `Range` that makes a head large: half of it, at least. Only such a head gets smaller when its client
/// asks for fewer ranges.
fn is_mostly_ranges(head: &[u8]) -> bool {
    const NAME: &[u8] = b"range:";
    let is_range = |line: &&[u8]| {
        line.get(..NAME.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(NAME))
    };
    let lines = head.split(|byte| *byte == b'\n');
    let ranges: usize = lines.filter(is_range).map(<[u8]>::len).sum();
    ranges >= head.len() / 2
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limits(max_request_line: usize, max_head: usize) -> DoorLimits {
        DoorLimits {
            max_request_line,
            max_head,
            ..DoorLimits::default()
        }
    }

    fn judge(head: &[u8], limits: &DoorLimits) -> Verdict {
        Scan::default().advance(head, limits)
    }

    #[test]
    fn a_head_ends_with_an_empty_line() {
        let limits = DoorLimits::default();
        for whole in ["GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\nbody"] {
            assert_eq!(judge(whole.as_bytes(), &limits), Verdict::Complete);
        }
        for part in [
            "",
            "GET",
            "GET / HTTP/1.1\r\n",
            "GET / HTTP/1.1\r\nA: b\r\n\r",
        ] {
            assert_eq!(judge(part.as_bytes(), &limits), Verdict::Unfinished);
        }
    }

    #[test]
    fn limits_are_exact() {
        let head = b"GET /abc HTTP/1.1\r\nA: b\r\n\r\n";
        assert_eq!(judge(head, &limits(17, head.len())), Verdict::Complete);
        let refused = Verdict::Refused(Refusal::TargetTooLong);
        assert_eq!(judge(head, &limits(16, head.len())), refused);
        let refused = Verdict::Refused(Refusal::HeadTooLarge);
        assert_eq!(judge(head, &limits(17, head.len() - 1)), refused);
    }

    #[test]
    fn a_head_is_blamed_on_its_ranges_only_if_they_are_most_of_it() {
        let limits = limits(100, 1000);
        let judged = |name: &str, length: usize, others: usize| {
            let others = format!("A: {}\r\n", "a".repeat(others));
            let ranges = "1-2,".repeat(length / 4);
            let head = format!("GET / HTTP/1.1\r\n{others}{name}: bytes={ranges}\r\n\r\n");
            judge(head.as_bytes(), &limits)
        };
        let (ranges, other) = (Refusal::TooManyRanges, Refusal::HeadTooLarge);
        assert_eq!(judged("Range", 2000, 10), Verdict::Refused(ranges));
        assert_eq!(judged("rANGE", 700, 450), Verdict::Refused(ranges));
        assert_eq!(judged("Range", 2000, 500), Verdict::Refused(other));
        assert_eq!(judged("X-Range", 2000, 10), Verdict::Refused(other));
        assert_eq!(judged("Range", 900, 10), Verdict::Complete);
    }

    #[test]
    fn fields_are_counted() {
        let head = |fields: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(fields));
        let limits = DoorLimits::default();
        let most = head(MAX_FIELDS);
        assert_eq!(judge(most.as_bytes(), &limits), Verdict::Complete);
        let refused = Verdict::Refused(Refusal::HeadTooLarge);
        assert_eq!(judge(head(MAX_FIELDS + 1).as_bytes(), &limits), refused);
    }

    proptest! {
        // A head has room for its request line and the end of it: else which of the two limits is met first
        // depends on where the pieces end.
        #[test]
        fn pieces_are_judged_like_the_whole(
            head in "[ab\r\n]{0,80}", line in 0..30_usize, more in 2..40_usize, piece in 1..9_usize,
        ) {
            let limits = limits(line, line + more);
            let mut scan = Scan::default();
            let pieces = (0..=head.len()).step_by(piece).chain([head.len()]);
            let verdict = pieces
                .map(|end| scan.advance(&head.as_bytes()[..end], &limits))
                .find(|verdict| *verdict != Verdict::Unfinished);
            let whole = judge(head.as_bytes(), &limits);
            prop_assert_eq!(verdict.unwrap_or(Verdict::Unfinished), whole);
        }
    }
}
