//! Content through the whole door over real sockets, one answer behind the other.

use std::future::pending;
use std::sync::Arc;

use http::{Method, Response};
use tokio::net::TcpStream;

use crate::oci::{ByteRange, Digest};
use crate::server::testkit::{Client, Script, content_on_disk, field, parts};
use crate::server::{Body, DoorLimits, Listeners, Multipart, Pieces};

#[tokio::test]
async fn answers_of_every_kind_follow_each_other_unmixed() {
    let bytes: Vec<u8> = (0..=250).cycle().take(3_000_001).collect();
    let (_folder, content) = content_on_disk(&bytes);
    let size = content.size();
    let ranges = [(2_000_000, 3_000_001), (5, 9), (100, 1_500_000)];
    let ranges = ranges.map(|(start, end)| ByteRange::new(start, end));
    let frame = Multipart::new(&Digest::sha256_of(&bytes), size, ranges.to_vec()).unwrap();
    let content_type = frame.content_type();
    let (handler, _reports) = Script::new(move |request| {
        let content = content.clone();
        let body = match request.uri().path() {
            "/whole" => Body::Content(content, ByteRange::new(0, size)),
            "/part" => Body::Content(content, ByteRange::new(10, 2_000_000)),
            "/little" => Body::Content(content, ByteRange::new(7, 10)),
            "/parts" => Body::Parts(frame.clone(), Pieces::Content(content)),
            _ => Body::from(b"memory".to_vec()),
        };
        std::future::ready(Response::new(body))
    });
    let mut listeners = Listeners::default();
    let (any, limits) = (([127, 0, 0, 1], 0).into(), DoorLimits::default());
    let address = listeners.add(any, Arc::clone(&handler), limits).unwrap();
    // Accepted as in earnest: only so does the stream have a buffer that can be overtaken.
    tokio::spawn(listeners.serve(pending(), pending()));
    let mut client = Client(TcpStream::connect(address).await.unwrap());
    let asked = [
        (Method::GET, "/whole"),
        (Method::HEAD, "/whole"),
        (Method::GET, "/parts"),
        (Method::GET, "/memory"),
        (Method::GET, "/part"),
        (Method::GET, "/little"),
        (Method::GET, "/whole"),
    ];
    // All sent ahead: nothing but its length ends an answer.
    for (method, path) in &asked {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        client.send(request).await;
    }
    for (method, path) in &asked {
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let length = field(&head, "content-length").unwrap().parse().unwrap();
        if method == Method::HEAD {
            assert_eq!(length, bytes.len());
            continue;
        }
        let body = client.bytes(length).await;
        match *path {
            "/whole" => assert!(body == bytes),
            "/part" => assert!(body == bytes[10..2_000_000]),
            "/little" => assert!(body == bytes[7..10]),
            "/memory" => assert!(body == b"memory"),
            _ => {
                let parts = parts(&content_type, &body);
                let expected = ranges.map(|ByteRange { start, end }| {
                    let index = |at| usize::try_from(at).unwrap();
                    let named = format!("bytes {start}-{}/{size}", end - 1);
                    (named, bytes[index(start)..index(end)].to_vec())
                });
                assert!(parts == expected);
            }
        }
    }
}
