//! Upstreams whose bodies end early, with and without saying so: the client sees that something is missing, and nothing
//! of it is kept.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;

use crate::support::http::send;
use crate::support::mirror::{Mirror, Plan};
use crate::support::scripted::{Asked, Reply, Scripted};
use crate::support::{digest, noise};

/// A body smaller than this waits whole for its digest; of a larger one so much waits.
const WITHHELD: usize = 64 * 1024;

/// How a body ends that is too short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// Not at all: its length is announced, and the connection cut before.
    BeforeItsLength,
    /// Not at all: it comes in chunks, and the last one never.
    BeforeItsLastChunk,
    /// As if it were whole: its length is that of what there is.
    ByItsLength,
    /// As if it were whole: the last chunk says so.
    ByItsLastChunk,
}

const ENDS: [Ends; 4] = [
    Ends::BeforeItsLength,
    Ends::BeforeItsLastChunk,
    Ends::ByItsLength,
    Ends::ByItsLastChunk,
];

/// What upstream has, and how much of it it gives.
struct Case {
    target: String,
    bytes: Vec<u8>,
    gives: usize,
    ends: Ends,
}

impl Case {
    fn reply(&self, asked: &Asked) -> Reply {
        let short = &self.bytes[..self.gives];
        let (first, last) = asked.range.unwrap_or_default();
        let wanted = last.map_or(self.bytes.len(), |last| last + 1);
        let reply = Reply::honest(asked, &self.bytes);
        let reply = match self.gives {
            gives if wanted <= gives => reply,
            gives => reply.cut_after(gives.saturating_sub(first)),
        };
        match self.ends {
            Ends::BeforeItsLength => reply,
            Ends::BeforeItsLastChunk => reply.chunked(),
            Ends::ByItsLength => Reply::honest(asked, short),
            Ends::ByItsLastChunk => Reply::honest(asked, short).chunked(),
        }
    }

    fn is_whole(&self) -> bool {
        self.gives == self.bytes.len()
    }

    /// Asks for it, and tells what is wrong with how that went.
    async fn fault(&self, mirror: &Mirror) -> Option<String> {
        let answer = send(mirror.address, "GET", &self.target, &[], b"").await;
        let answer = answer.whole().await;
        let (status, got) = (answer.status(), answer.body.len());
        let right = if self.is_whole() {
            status == 200 && answer.complete && answer.body == self.bytes
        } else {
            match status {
                // Cut short by the mirror too, after right bytes.
                200 => !answer.complete && self.bytes.starts_with(&answer.body),
                status => (500..=504).contains(&status) && answer.error_code().is_some(),
            }
        };
        let (complete, all) = (answer.complete, self.bytes.len());
        let what = format!("{} of {all} bytes, ends {:?}", self.gives, self.ends);
        (!right).then(|| format!("{what}: {status}, {got} bytes, complete: {complete}"))
    }
}

/// Places of every kind in a blob of this size: at both ends, in the midst, and about where the withheld bytes begin.
fn places(size: usize) -> Vec<usize> {
    let mut places = vec![0, 1, size / 2, size - 1];
    let held = size.checked_sub(WITHHELD).into_iter();
    places.extend(held.flat_map(|from| [from - 1, from, from + 1]));
    places
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |kind: &str, bytes: Vec<u8>, gives, ends| {
        cases.push(Case {
            target: format!("/v2/library/short/{kind}/{}", digest(&bytes)),
            bytes,
            gives,
            ends,
        });
    };
    let mut seeds = 2..;
    for ends in ENDS {
        for size in [50_000, 300_000] {
            for gives in places(size) {
                add("blobs", noise(seeds.next().unwrap(), size), gives, ends);
            }
        }
        let manifest = |at: usize| {
            let empty = digest(b"{}");
            format!(
                "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\
                 \"config\":{{\"mediaType\":\"application/vnd.oci.empty.v1+json\",\"digest\":\"{empty}\",\
                 \"size\":2}},\"layers\":[],\"annotations\":{{\"case\":\"{ends:?} {at}\"}}}}\n"
            )
        };
        for at in [0, 1, 100, 200] {
            add("manifests", manifest(at).into_bytes(), at, ends);
        }
        // Without its last byte it is the same document, and not the same manifest.
        let last = manifest(300).len() - 1;
        add("manifests", manifest(300).into_bytes(), last, ends);
    }
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn incident_08_a_body_that_ends_early_is_never_complete_and_never_kept() {
    let cases = cases();
    let mut known = HashMap::new();
    for case in &cases {
        let (_, name) = case.target.rsplit_once('/').unwrap();
        let (bytes, target) = (case.bytes.clone(), case.target.clone());
        let copy = Case {
            target,
            bytes,
            ..*case
        };
        assert!(
            known.insert(name.to_owned(), copy).is_none(),
            "each is one of its own"
        );
    }
    let whole = noise(1, 200_000);
    let honest = Case {
        target: format!("/v2/library/short/blobs/{}", digest(&whole)),
        gives: whole.len(),
        ends: Ends::BeforeItsLength,
        bytes: whole.clone(),
    };
    let upstream = Scripted::start(move |asked| {
        let name = asked.path.rsplit('/').next().unwrap();
        let case = known.get(name);
        case.map_or_else(|| Reply::honest(asked, &whole), |case| case.reply(asked))
    })
    .await;
    let mirror = Plan::of_url(upstream.url()).patient_for("5s").start().await;
    // The second round meets what the first one left, and a quarantine.
    for round in 1..=2 {
        let faults = join_all(cases.iter().map(|case| case.fault(&mirror))).await;
        let faults: Vec<_> = faults.into_iter().flatten().collect();
        assert!(faults.is_empty(), "round {round}:\n{}", faults.join("\n"));
        mirror.rests(Duration::from_mins(1)).await;
        assert_eq!(mirror.content().len(), 0, "round {round}");
    }
    // An upstream that gives all of it is served, and kept.
    assert_eq!(honest.fault(&mirror).await, None);
    mirror.rests(Duration::from_mins(1)).await;
    assert_eq!(mirror.content().len(), 1);
}
