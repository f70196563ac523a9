use super::*;
use crate::admin::totals::Totals;
use crate::admin::views::StoreView;
use crate::mirror::PartsHere;
use crate::mirror::testkit::origin;
use crate::mirror::warm::JobState;
use crate::oci::Digest;

/// Text that would leave its place, if it could.
const SHARP: &str = "<script>alert('x')</script>\"&'onload=x";

fn view() -> PageView {
    PageView {
        status: StatusView {
            version: "1",
            uptime_seconds: 61,
            offline: false,
            fills_in_flight: 1,
            connections: 1,
            totals: Totals {
                hit_rate: Some(0.5),
                ..Totals::default()
            },
            store: Some(StoreView {
                capacity: 1 << 30,
                content: 1 << 29,
                fills: 0,
                reserved: 0,
                pinned: 0,
                evicted: 1,
                evicted_bytes: 2048,
            }),
        },
        upstreams: vec![UpstreamView {
            name: SHARP.to_owned(),
            host: SHARP.to_owned(),
            state: "up",
            downloads: 1,
            downloads_waiting: 0,
            ratelimit_remaining: Some(76),
            ratelimit_limit: Some(100),
            totals: Totals::default(),
        }],
        fills: vec![FillView {
            digest: SHARP.to_owned(),
            kind: "blob",
            upstream: SHARP.to_owned(),
            repository: SHARP.to_owned(),
            size: Some(100),
            present: 40,
            followers: 1,
            since_seconds: 3,
            phase: "open",
        }],
        warming: vec![Report {
            id: 7,
            state: JobState::Running,
            began_at: 0,
            ended_at: None,
            list: Some(SHARP.to_owned()),
            pin: None,
            trouble: None,
            bytes: 2048,
            present: 1024,
            fetched: 1024,
            rows: Vec::new(),
        }],
        kept: Kept {
            wanted: Wanted {
                search: SHARP.to_owned(),
                ..Wanted::default()
            },
            repositories: Ok(KeptPage {
                items: vec![RepositoryKept {
                    upstream: SHARP.to_owned(),
                    repository: "o/r".parse().unwrap(),
                    tags: 2,
                }],
                next: Some(SHARP.to_owned()),
            }),
            tags: None,
        },
    }
}

fn with_tags() -> PageView {
    let mut view = view();
    view.kept.wanted.origin = Some(origin("o/r"));
    view.kept.tags = Some(Ok(KeptPage {
        items: vec![TagKept {
            tag: "v1".parse().unwrap(),
            digest: Digest::sha256_of(b"x"),
            bytes: 7,
            parts: Some(PartsHere {
                blobs: 5,
                blobs_here: 3,
                ..PartsHere::default()
            }),
            checked_at: 1,
            last_use: None,
            pins: vec![SHARP.to_owned()],
        }],
        next: Some(SHARP.to_owned()),
    }));
    view
}

#[test]
fn whatever_comes_from_outside_stays_in_its_place() {
    let mut failed = view();
    failed.kept.repositories = Err(SHARP.to_owned());
    let mut lost = with_tags();
    lost.kept.tags = Some(Err(SHARP.to_owned()));
    for view in [view(), with_tags(), failed, lost] {
        let html = render(&view);
        assert!(!html.contains("<script>alert"), "{html}");
        assert!(!html.contains("\"&'onload"), "{html}");
        assert!(html.contains("&lt;script&gt;alert(&#39;x&#39;)"), "{html}");
        // The one script and no other, none that stands within the page, and no style either.
        assert_eq!(html.matches("<script").count(), 1, "{html}");
        for inline in [" style=", "<style", " onclick="] {
            assert!(!html.contains(inline), "{inline}");
        }
        for foreign in ["http://", "https://", "src=\"//", "href=\"//"] {
            assert!(!html.contains(foreign), "{foreign}");
        }
    }
}

#[test]
fn it_is_read_without_a_script() {
    let html = render(&view());
    for part in [
        "up <span data-figure=\"uptime\">1 min 1 s</span>",
        "<dd data-figure=\"hit_rate\">50.0 %</dd>",
        "max=\"100\" value=\"40\"",
        "76 of 100",
        "running: 0 images, 1.0 KiB of 2.0 KiB here, 1.0 KiB fetched",
        "512.0 MiB of 1.0 GiB",
        "evicted since the start 2.0 KiB in 1 content<",
        "/o/r</a> <span class=\"soft\">2 tags</span>",
        "<label for=\"search\">",
    ] {
        assert!(html.contains(part), "{part}\n{html}");
    }
    let html = render(&with_tags());
    let purge = "data-post=\"/api/v1/purge?reference=docker.io%2Fo%2Fr%3Av1\"";
    assert!(html.contains(purge), "{html}");
    assert!(html.contains("<td>7 B, incomplete: 3 of 5 blobs</td>"));
    assert!(
        html.contains("aria-label=\"Purge docker.io/o/r:v1\""),
        "{html}"
    );
}

#[test]
fn a_search_goes_through_the_pages_and_ends() {
    let all: Vec<_> = (0..250).map(|n| format!("r{n:03}")).collect();
    let list = |after: Option<&str>, limit: usize| -> Result<_, ()> {
        let behind = |name: &&String| after.is_none_or(|after| *format!("u/{name}") > *after);
        let names: Vec<_> = all.iter().filter(behind).take(limit + 1).collect();
        let items = names.iter().take(limit).map(|name| RepositoryKept {
            upstream: "u".to_owned(),
            repository: name.parse().unwrap(),
            tags: 1,
        });
        let items: Vec<_> = items.collect();
        let next = (names.len() > limit).then(|| name(&items[limit - 1]));
        Ok(KeptPage { items, next })
    };
    let first = search(None, "", list).unwrap();
    assert_eq!(first.items.len(), SHOWN);
    let second = search(first.next.as_deref(), "", list).unwrap();
    let third = search(second.next.as_deref(), "", list).unwrap();
    assert_eq!((third.items.len(), third.next), (50, None));
    let few = search(None, "9", list).unwrap();
    assert_eq!(few.next, None);
    assert_eq!(
        few.items.len(),
        all.iter().filter(|it| it.contains('9')).count()
    );
}
