//! A store that fails, at any of its operations: clients hear nothing of it while upstream works (invariant 6).

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{join, join_all, join3};

use crate::mirror::testkit::*;
use crate::mirror::{Blob, FillError, MirrorError, Outcome};
use crate::oci::{Accepts, ByteRange, Digest, RangeSpec, Reference};
use crate::store::faulty::{Fault, Faulty};
use crate::store::{MemoryStore, StoreErrorKind};

const LARGE: usize = 200_000;
const SMALL: usize = 1_000;
const MANIFEST: &[u8] = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;

/// More operations than all clients below need together.
const OPERATIONS: u64 = 70;

/// One run over a store with a fault.
struct Run {
    house: House,
    store: Arc<Faulty<MemoryStore>>,
    large: Digest,
    small: Digest,
    manifest: Digest,
}

impl Run {
    fn new(fault: Fault) -> Self {
        let store = Arc::new(Faulty::new(MemoryStore::default(), fault));
        let house = House::over(Arc::clone(&store) as _);
        let serve = |bytes: Bytes| {
            let digest = house.upstream.serves(&bytes);
            house
                .upstream
                .has_blob(&origin("a"), &digest, bytes.len() as u64);
            digest
        };
        let (large, small) = (serve(noise(LARGE)), serve(noise(SMALL)));
        // The first download comes in pieces, each a write of its own.
        let bytes = noise(LARGE);
        let pieces = (0..10).map(|nth| bytes.slice(nth * LARGE / 10..(nth + 1) * LARGE / 10));
        let script = Script::of(pieces.map(Step::Send).collect());
        house.upstream.on_blob(&large, script);
        let manifest = house.upstream.tag("1", MANIFEST);
        Self {
            house,
            store,
            large,
            small,
            manifest,
        }
    }

    async fn blob(&self, digest: &Digest, parts: &[RangeSpec]) -> Result<Blob, MirrorError> {
        let answer = self
            .house
            .mirror
            .blob(&Asker::Mirror, &origin("a"), digest, parts)
            .await?;
        if let Outcome::Bypass(why) = answer.outcome {
            assert_eq!(strayed(&answer.value), Some(why));
        }
        Ok(answer.value)
    }

    /// Reads a range of a blob, and tells whether it went past the store, and why.
    async fn right(&self, digest: &Digest, expected: &[u8], range: Option<ByteRange>) -> Why {
        let part = range.map(|it| RangeSpec::FromTo(it.start, it.end - 1));
        let blob = self.blob(digest, part.as_slice()).await.unwrap();
        let range = range.unwrap_or(ByteRange::new(0, blob.size()));
        let (read, error) = drain(&blob, range).await;
        assert!(error.is_none() && read == expected, "{error:?}");
        strayed(&blob)
    }

    /// All kinds of clients at once; why each of them strayed.
    async fn clients(&self) -> Vec<Why> {
        let (large, small) = (noise(LARGE), noise(SMALL));
        let wholes = join_all((0..3).map(|_| self.right(&self.large, &large, None)));
        let smalls = join_all((0..2).map(|_| self.right(&self.small, &small, None)));
        let part = |start: usize, length: usize| {
            let expected = &large[start..start + length];
            let range = ByteRange::new(start as u64, (start + length) as u64);
            self.right(&self.large, expected, Some(range))
        };
        let parts = join3(part(0, 10), part(90_000, 70_000), part(LARGE - 47, 47));
        let manifest = async {
            let reference = Reference::Digest(self.manifest.clone());
            let answer = self
                .house
                .mirror
                .manifest(&Asker::Mirror, &origin("a"), &reference, Accepts::MODERN)
                .await;
            assert!(answer.unwrap().value.bytes == MANIFEST);
        };
        let ((mut whys, smalls), (parts, ())) =
            join(join(wholes, smalls), join(parts, manifest)).await;
        whys.extend(smalls);
        whys.extend([parts.0, parts.1, parts.2]);
        whys
    }
}

type Why = Option<&'static str>;

fn strayed(blob: &Blob) -> Why {
    match blob {
        Blob::Fill(joined, _) => joined.strayed().why(),
        Blob::Content(_) => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_takes_nothing_more_costs_no_client_a_byte() {
    for (kind, word) in [
        (StoreErrorKind::Full, "store_full"),
        (StoreErrorKind::ReadOnly, "store_read_only"),
        (StoreErrorKind::Io, "store_error"),
    ] {
        for nth in 1..OPERATIONS {
            let run = Run::new(Fault::FailsFrom(nth, kind));
            let whys = run.clients().await;
            assert!(
                whys.iter().flatten().all(|why| *why == word),
                "{nth}: {whys:?}"
            );
            if nth == 1 {
                assert!(whys.iter().all(|why| *why == Some(word)), "{whys:?}");
            }
            run.house.settle().await;
            // Later ones, too.
            run.clients().await;
        }
        let clean = Run::new(Fault::FailsFrom(OPERATIONS, kind));
        assert!(clean.clients().await.iter().all(Option::is_none));
        assert!(
            clean.store.operations() < OPERATIONS,
            "{}",
            clean.store.operations()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_single_failure_costs_no_client_a_byte() {
    for nth in 1..OPERATIONS {
        let run = Run::new(Fault::FailsAt(nth));
        let whys = run.clients().await;
        assert!(whys.iter().flatten().all(|why| *why == "store_error"));
        run.house.settle().await;
        run.clients().await;
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_bytes_are_never_complete_past_the_store() {
    for nth in 1..30 {
        let run = Run::new(Fault::FailsFrom(nth, StoreErrorKind::Full));
        let mut wrong = noise(LARGE).to_vec();
        wrong[LARGE / 2] ^= 1;
        let (digest, wrong) = (Digest::sha256_of(b"right"), Bytes::from(wrong));
        let pieces = (0..10).map(|nth| wrong.slice(nth * LARGE / 10..(nth + 1) * LARGE / 10));
        let pieces: Vec<_> = pieces.collect();
        for _ in 0..20 {
            let steps = pieces.iter().cloned().map(Step::Send).collect();
            run.house.upstream.on_blob(&digest, Script::of(steps));
        }
        run.house
            .upstream
            .has_blob(&origin("a"), &digest, LARGE as u64);
        let clients = (0..3).map(|_| async {
            match run.blob(&digest, &[]).await {
                Ok(blob) => drain_all(&blob).await,
                Err(MirrorError::Fill(error)) => (Vec::new(), Some(error)),
                Err(error) => panic!("{error}"),
            }
        });
        for (read, error) in join_all(clients).await {
            assert!(
                matches!(error, Some(FillError::Mismatch(_))),
                "{nth}: {error:?}"
            );
            assert!(
                read.len() <= LARGE - 64 * 1024,
                "{nth}: {} bytes",
                read.len()
            );
        }
        run.house.settle().await;
        assert!(!run.house.has(&digest));
    }
}

/// Nobody reads a byte of it, so nothing else would tell.
#[tokio::test]
async fn an_empty_answer_past_the_store_is_proved_too() {
    let run = Run::new(Fault::FailsFrom(1, StoreErrorKind::Full));
    run.house.upstream.heads_tell(&[0]);
    let answer = run.blob(&run.large, &[]).await;
    assert!(
        matches!(answer, Err(MirrorError::Fill(FillError::Mismatch(_)))),
        "an empty body for a blob of {LARGE} bytes"
    );
    let empty = Digest::sha256_of(b"");
    run.house.upstream.heads_tell(&[0]);
    assert_eq!(run.blob(&empty, &[]).await.unwrap().size(), 0);
}

/// Who reads the whole is told by its size. When upstream tells each reader another one, none of them reads without
/// the proof at the end.
#[tokio::test]
async fn sizes_that_differ_past_the_store_are_an_error() {
    let run = Run::new(Fault::FailsFrom(1, StoreErrorKind::Full));
    let (size, short) = (LARGE as u64, LARGE as u64 - 1);
    run.house.upstream.heads_tell(&[size, short]);
    let (first, second) = join(run.blob(&run.large, &[]), run.blob(&run.large, &[])).await;
    let whole = first.unwrap();
    assert!(drain_all(&whole).await.0 == noise(LARGE));
    if let Ok(blob) = second {
        let (read, error) = drain_all(&blob).await;
        assert!(
            error.is_some(),
            "{} bytes are told to be the whole",
            read.len()
        );
    }
}

/// Its clients set the pace of what goes past the store: it takes no lane from those that wait for one.
#[tokio::test]
async fn slow_readers_past_the_store_stand_in_nobodys_way() {
    let store = Faulty::new(
        MemoryStore::default(),
        Fault::FailsFrom(1, StoreErrorKind::Full),
    );
    let (house, bytes, gate) = (House::over(Arc::new(store)), noise(LARGE), gate());
    let digest = Digest::sha256_of(&bytes);
    house.upstream.has_blob(&origin("a"), &digest, LARGE as u64);
    // One more than there are lanes.
    let clients = 17;
    for _ in 0..clients {
        let steps = [Step::Gate(Arc::clone(&gate)), Step::Send(bytes.clone())];
        house.upstream.on_blob(&digest, Script::of(steps.into()));
    }
    let mut readers = Vec::new();
    for _ in 0..clients {
        let answer = house
            .mirror
            .blob(&Asker::Mirror, &origin("a"), &digest, &[])
            .await;
        let Blob::Fill(joined, size) = answer.unwrap().value else {
            panic!("nothing can be kept");
        };
        let mut reader = joined.follow(vec![ByteRange::new(0, size)]);
        assert!(reader.next(1).now_or_never().is_none());
        tokio::task::yield_now().await;
        readers.push(reader);
    }
    assert_eq!(house.upstream.count("GET blob"), clients);
    gate.add_permits(clients);
    for mut reader in readers {
        while reader.next(LARGE).await.unwrap().is_some() {}
    }
}
