//! Parts of blobs: what is asked for, what may come instead, and bodies that are not as long as they say.

use RangeSpec::{From, FromTo, Suffix};

use super::blobs::{BLOB, ranged, read};
use super::server::{Reply, Server};
use super::*;
use crate::oci::RangeSpec;
use crate::upstream::{BlobBody, UpstreamError};

async fn get(server: &Server, part: RangeSpec) -> Result<BlobBody, UpstreamError> {
    registry(server)
        .get_blob(&repository(), &digest(), Some(part))
        .await
}

/// What kind of error the question for `part` ends in, before the first byte.
async fn refused(server: &Server, part: RangeSpec) -> ErrorKind {
    get(server, part).await.unwrap_err().kind().clone()
}

/// A registry that answers every question with `reply`.
async fn always(reply: Reply) -> Server {
    Server::start(move |_| reply.clone()).await
}

fn partial(range: &str) -> Reply {
    Reply::status(206).header("Content-Range", range)
}

/// The `Range` of each request so far.
fn asked(server: &Server) -> Vec<Option<String>> {
    let requests = server.requests();
    let range = |request: &server::Request| request.header("range").map(str::to_owned);
    requests.iter().map(range).collect()
}

#[tokio::test]
async fn each_part_is_asked_for_as_it_is_and_begins_where_it_says() {
    for (part, header, start, end) in [
        (From(0), "bytes=0-", 0, 10),
        (From(4), "bytes=4-", 4, 10),
        (FromTo(4, 6), "bytes=4-6", 4, 7),
        (FromTo(4, 99), "bytes=4-99", 4, 10),
        (Suffix(3), "bytes=-3", 7, 10),
        (Suffix(99), "bytes=-99", 0, 10),
    ] {
        let server = Server::start(ranged).await;
        let body = get(&server, part).await.unwrap();
        assert_eq!((body.offset, body.end), (start, Some(end)));
        assert_eq!(body.size, Some(10));
        let (start, end) = (start.try_into().unwrap(), end.try_into().unwrap());
        assert_eq!(read(body).await.unwrap(), &BLOB[start..end]);
        assert_eq!(asked(&server), [Some(header.to_owned())]);
    }
}

#[tokio::test]
async fn an_upstream_without_ranges_sends_the_whole() {
    let server = always(Reply::ok(BLOB)).await;
    for part in [From(4), FromTo(4, 6), Suffix(3)] {
        let body = get(&server, part).await.unwrap();
        assert_eq!((body.offset, body.end, body.size), (0, Some(10), Some(10)));
        assert_eq!(read(body).await.unwrap(), BLOB);
    }
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn an_upstream_that_refuses_ranges_is_asked_once_more_for_the_whole() {
    let refusals = [
        Reply::status(400),
        Reply::status(405),
        Reply::status(501),
        Reply::status(416),
        Reply::status(416).header("Content-Range", "bytes */*"),
        Reply::status(416).header("Content-Range", "nonsense"),
        // By its own word the range lies within.
        Reply::status(416).header("Content-Range", "bytes */10"),
    ];
    for refusal in refusals {
        let server = Server::start(move |request| match request.header("range") {
            Some(_) => refusal.clone(),
            None => Reply::ok(BLOB),
        })
        .await;
        let body = get(&server, FromTo(4, 6)).await.unwrap();
        assert_eq!((body.offset, body.end, body.size), (0, Some(10), Some(10)));
        assert_eq!(read(body).await.unwrap(), BLOB);
        assert_eq!(asked(&server), [Some("bytes=4-6".to_owned()), None]);
    }
}

#[tokio::test]
async fn an_upstream_that_refuses_the_whole_too_has_the_last_word() {
    for status in [400, 405, 416, 501] {
        let server = always(Reply::status(status)).await;
        let kind = refused(&server, From(4)).await;
        assert_eq!(kind, ErrorKind::Status(status));
        assert_eq!(asked(&server), [Some("bytes=4-".to_owned()), None]);
    }
}

#[tokio::test]
async fn another_failure_has_nothing_to_do_with_the_range() {
    for status in [403, 404, 429, 500, 503] {
        let server = always(Reply::status(status)).await;
        get(&server, From(4)).await.unwrap_err();
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_range_beyond_the_end_is_told_with_the_size() {
    let server = always(Reply::status(416).header("Content-Range", "bytes */4")).await;
    for part in [From(4), From(99), FromTo(4, 5), Suffix(0)] {
        let kind = refused(&server, part).await;
        assert_eq!(kind, ErrorKind::Unsatisfiable { size: 4 });
    }
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn of_an_empty_blob_there_is_no_part() {
    let server = always(Reply::status(416).header("Content-Range", "bytes */0")).await;
    for part in [From(0), Suffix(3)] {
        let kind = refused(&server, part).await;
        assert_eq!(kind, ErrorKind::Unsatisfiable { size: 0 });
    }
}

#[tokio::test]
async fn another_part_than_asked_for_is_not_taken() {
    for (part, range) in [
        (From(4), "bytes 0-9/10"),
        (From(4), "bytes 5-9/10"),
        (From(4), "bytes 4-99/10"),
        (From(4), "bytes 9-4/10"),
        (From(4), "bytes */10"),
        (From(4), "nonsense"),
        (FromTo(4, 6), "bytes 4-7/10"),
        (FromTo(4, 6), "bytes 5-6/10"),
        (Suffix(3), "bytes 0-3/10"),
        (Suffix(3), "bytes 7-8/10"),
        (Suffix(3), "bytes 7-9/*"),
    ] {
        let server = always(partial(range).body(BLOB)).await;
        let kind = refused(&server, part).await;
        assert_eq!(kind, ErrorKind::Protocol, "{part} {range}");
        assert_eq!(server.requests().len(), 1);
    }
    let server = always(Reply::status(206).body(BLOB)).await;
    assert_eq!(refused(&server, From(4)).await, ErrorKind::Protocol);
}

#[tokio::test]
async fn a_length_that_contradicts_the_range_is_not_taken() {
    for body in ["4567", "45678901"] {
        let server = always(partial("bytes 4-9/10").body(body)).await;
        assert_eq!(refused(&server, From(4)).await, ErrorKind::Protocol);
    }
}

#[tokio::test]
async fn less_than_asked_for_is_taken_as_far_as_it_goes() {
    let server = always(partial("bytes 4-5/10").body("45")).await;
    for part in [From(4), FromTo(4, 8)] {
        let body = get(&server, part).await.unwrap();
        assert_eq!((body.offset, body.end, body.size), (4, Some(6), Some(10)));
        assert_eq!(read(body).await.unwrap(), b"45");
    }
}

#[tokio::test]
async fn a_part_of_something_of_unknown_size_is_taken() {
    let server = always(partial("bytes 4-9/*").body(&BLOB[4..])).await;
    for part in [From(4), FromTo(4, 9)] {
        let body = get(&server, part).await.unwrap();
        assert_eq!((body.offset, body.end, body.size), (4, Some(10), None));
        assert_eq!(read(body).await.unwrap(), &BLOB[4..]);
    }
}

#[tokio::test]
async fn an_encoded_part_is_not_taken() {
    let reply = partial("bytes 4-9/10").body(&BLOB[4..]);
    let server = always(reply.header("Content-Encoding", "gzip")).await;
    assert_eq!(refused(&server, From(4)).await, ErrorKind::Protocol);
}

#[tokio::test]
async fn a_part_without_a_length_is_held_to_its_range() {
    for (sent, expected) in [
        ("456789", Ok(b"456789".to_vec())),
        ("45678", Err(ErrorKind::Cut)),
        ("", Err(ErrorKind::Cut)),
        ("4567890", Err(ErrorKind::Protocol)),
    ] {
        let reply = partial("bytes 4-9/10");
        let chunked = match sent {
            "" => reply.clone().until_close(""),
            _ => reply.clone().chunked(sent.as_bytes()),
        };
        for reply in [chunked, reply.until_close(sent)] {
            let server = always(reply).await;
            let body = get(&server, From(4)).await.unwrap();
            assert_eq!((body.end, body.size), (Some(10), Some(10)));
            let bytes = read(body).await.map_err(|error| error.kind().clone());
            assert_eq!(bytes, expected, "{sent}");
        }
    }
}

#[tokio::test]
async fn a_part_that_is_cut_short_says_so() {
    let server = always(partial("bytes 4-9/10").cut(6, "456")).await;
    let body = get(&server, From(4)).await.unwrap();
    let error = read(body).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Cut);
}
