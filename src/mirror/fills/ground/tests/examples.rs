//! The ground by example: what real clients ask for, and what is asked of upstream for them.

use super::*;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

fn ground(size: u64) -> (Ground, Instant) {
    let mut ground = Ground::new(Measures::default());
    ground.learn_size(size).unwrap();
    (ground, Instant::now())
}

fn part(first: ByteRange) -> Wanted<'static> {
    let (then, whole) = (&[][..], false);
    Wanted { first, then, whole }
}

fn whole(size: u64) -> Wanted<'static> {
    let whole = true;
    Wanted {
        whole,
        ..part(ByteRange::new(0, size))
    }
}

fn mib(from: u64, to: u64) -> ByteRange {
    ByteRange::new(from * MIB, to * MIB)
}

/// A fetch writes up to `to`, or to where its stretch ends now.
fn bring(ground: &mut Ground, id: FetchId, to: u64) -> u64 {
    let to = ground.reserve(id, to).min(to);
    ground.publish(id, to);
    to
}

#[test]
fn a_reader_of_all_gets_all_in_one_fetch() {
    let (mut ground, now) = ground(100 * MIB);
    let (_, stretch) = ground.claim(whole(100 * MIB), now).unwrap();
    assert_eq!(stretch, mib(0, 100));
    assert!(
        ground.claim(whole(100 * MIB), now).is_none(),
        "it comes soon"
    );
}

/// containerd splits a blob among eight connections, each with an open end that it does not mean.
#[test]
fn containerds_eight_open_ends_bring_each_byte_once() {
    let size = 800 * MIB;
    let (mut ground, now) = ground(size);
    let mut at: Vec<u64> = (0..8).map(|nth| nth * 100 * MIB).collect();
    let mut fetches: Vec<(FetchId, ByteRange)> = Vec::new();
    let mut brought = 0;
    let mut laid = Vec::new();
    while !ground.is_complete() {
        for (nth, at) in at.iter_mut().enumerate() {
            // Each reads what is there, and leaves at the beginning of the next one's share.
            *at = ground.present().run_end(*at).unwrap_or(*at);
            if *at >= (nth as u64 + 1) * 100 * MIB {
                continue;
            }
            if let Some((id, stretch)) = ground.claim(part(ByteRange::new(*at, size)), now) {
                laid.push(stretch);
                fetches.push((id, stretch));
            }
        }
        assert!(fetches.len() <= 4);
        let (id, stretch) = fetches.remove(0);
        brought += bring(&mut ground, id, stretch.end) - stretch.start;
        ground.release(id);
    }
    assert_eq!(brought, size);
    assert_eq!(
        &laid[..4],
        [mib(0, 8), mib(100, 108), mib(200, 208), mib(300, 308)]
    );
    let share = laid.into_iter().filter(|it| it.end <= 100 * MIB);
    assert!(share.eq([
        mib(0, 8),
        mib(8, 16),
        mib(16, 32),
        mib(32, 64),
        mib(64, 100)
    ]));
}

#[test]
fn a_footer_does_not_wait_for_the_whole_pull_before_it() {
    let size = 1000 * MIB;
    let (mut ground, began) = ground(size);
    let (pull, _) = ground.claim(whole(size), began).unwrap();
    bring(&mut ground, pull, 10 * MIB);
    let now = began + Duration::from_secs(1);

    let footer = part(ByteRange::new(size - 47, size));
    let (id, stretch) = ground.claim(footer, now).unwrap();
    assert_eq!(stretch, ByteRange::new(size - 64 * KIB, size));
    bring(&mut ground, id, size);
    ground.release(id);

    // What comes within 3 s at 10 MiB/s is waited for.
    let near = part(ByteRange::new(40 * MIB, 41 * MIB));
    assert!(ground.claim(near, now).is_none());

    // The pull goes on up to the footer, and has then no more to do.
    assert_eq!(ground.reserve(pull, 20 * MIB), size - 64 * KIB);
    bring(&mut ground, pull, size);
    assert_eq!(ground.extend(pull, size), None);
    assert!(ground.is_complete());
}

/// stargz asks for chunks here and there; those next to each other come in one piece.
#[test]
fn stargzs_scattered_chunks_are_one_fetch_where_they_touch() {
    let (mut ground, now) = ground(50 * MIB);
    let chunk = |from: u64, to: u64| ByteRange::new(from * KIB, to * KIB);
    let wanted = [
        chunk(1000, 1010),
        chunk(1010, 1030),
        chunk(1040, 1090),
        chunk(9000, 9001),
        chunk(300, 310),
    ];
    let mut stretches = Vec::new();
    while let Some((_, stretch)) = ground.claim(
        Wanted {
            first: wanted[0],
            then: &wanted[1..],
            whole: false,
        },
        now,
    ) {
        stretches.push(stretch);
    }
    // Whole units of 64 KiB, in the order of asking.
    assert_eq!(
        stretches,
        [chunk(960, 1152), chunk(8960, 9024), chunk(256, 320)]
    );
}

#[test]
fn a_reader_of_all_the_rest_gets_as_much_again_as_it_has_read() {
    let size = 1000 * MIB;
    let (mut ground, now) = ground(size);
    let mut at = 0;
    for expected in [8, 8, 16, 32, 64, 64, 64] {
        let (id, stretch) = ground.claim(part(ByteRange::new(at, size)), now).unwrap();
        assert_eq!(stretch, ByteRange::new(at, at + expected * MIB));
        at = stretch.end;
        bring(&mut ground, id, at);
        ground.release(id);
    }
}

/// It would arrive no sooner by another fetch, which stands in the same line.
#[test]
fn what_is_next_of_a_fetch_that_has_brought_nothing_yet_is_waited_for() {
    let (mut ground, began) = ground(100 * MIB);
    ground.claim(whole(100 * MIB), began).unwrap();
    let late = began + Duration::from_secs(20);
    assert!(ground.claim(whole(100 * MIB), late).is_none());
    assert!(ground.arrives_soon(0, late));
    // What is far behind gets a fetch of its own.
    assert!(ground.claim(part(mib(90, 91)), late).is_some());
}

#[test]
fn a_fetch_that_nobody_follows_ends_within_a_window() {
    let (mut ground, now) = ground(100 * MIB);
    let (id, _) = ground.claim(whole(100 * MIB), now).unwrap();
    bring(&mut ground, id, MIB);
    ground.halt();
    assert_eq!(ground.reserve(id, 2 * MIB), 9 * MIB);
}

/// The answer to the first request comes when its client has left already.
#[test]
fn a_first_answer_for_nobody_brings_a_window_too() {
    let mut ground = Ground::new(Measures::default());
    let id = ground.open().unwrap();
    ground.halt();
    ground.learn_size(100 * MIB).unwrap();
    let stretch = ground.land(id, 0, 100 * MIB, Instant::now());
    assert_eq!(stretch, mib(0, 8));
    assert_eq!(ground.reserve(id, MIB), 8 * MIB);
}

/// Between the answer that tells the size and its landing nobody knows yet which bytes it brings.
#[test]
fn nothing_is_claimed_before_the_first_answer_has_landed() {
    let mut ground = Ground::new(Measures::default());
    let (id, now) = (ground.open().unwrap(), Instant::now());
    ground.learn_size(100 * MIB).unwrap();
    assert!(ground.claim(whole(100 * MIB), now).is_none());
    assert_eq!(ground.land(id, 0, 100 * MIB, now), mib(0, 100));
}

#[test]
fn what_is_asked_for_first_is_whole_units_and_of_an_open_end_a_window() {
    let measures = Measures::default();
    for (part, asked) in [
        (RangeSpec::FromTo(0, 0), RangeSpec::FromTo(0, 65_535)),
        (
            RangeSpec::FromTo(65_536, 65_536),
            RangeSpec::FromTo(65_536, 131_071),
        ),
        (
            RangeSpec::FromTo(70_000, 200_000),
            RangeSpec::FromTo(65_536, 262_143),
        ),
        (
            RangeSpec::FromTo(0, u64::MAX),
            RangeSpec::FromTo(0, u64::MAX),
        ),
        (RangeSpec::From(0), RangeSpec::FromTo(0, 8 * MIB - 1)),
        (
            RangeSpec::From(70_000),
            RangeSpec::FromTo(65_536, 65_535 + 8 * MIB),
        ),
        (RangeSpec::Suffix(47), RangeSpec::Suffix(47)),
        (RangeSpec::Suffix(0), RangeSpec::Suffix(1)),
    ] {
        assert_eq!(first_ask(part, &measures), asked, "{part}");
    }
}
