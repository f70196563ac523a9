//! Every parser over its seeds, and over what chance makes of them. `script/fuzz SECONDS` gives chance more time.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../fuzz/parsers.rs"]
mod parsers;

use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

use parsers::PARSERS;

/// Inputs made for each parser when nobody asks for more.
const ROUNDS: u64 = 3000;
/// The longest input made, in bytes.
const LONGEST: usize = 4096;

/// The seeds of a parser; at least one.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(name);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    let seeds: Vec<_> = files
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect();
    assert!(!seeds.is_empty(), "{name} has no seeds");
    seeds
}

/// Tries an input; a panic names the parser and the bytes.
fn attempt(name: &str, input: &[u8]) {
    if catch_unwind(|| parsers::attempt(name, input)).is_err() {
        let shown = String::from_utf8_lossy(input);
        panic!("{name} broke on {shown:?}, {}", hex::encode(input));
    }
}

#[test]
fn every_seed_is_read() {
    for (name, _) in PARSERS {
        for seed in seeds(name) {
            attempt(name, &seed);
        }
    }
}

#[test]
fn all_seeds_of_bundles_but_the_last_are_taken_in() {
    let seeds = seeds("bundle");
    for seed in &seeds[..seeds.len() - 1] {
        let text = std::str::from_utf8(seed).unwrap();
        assert_eq!(parsers::bundles::refusal(text), None, "{text}");
    }
}

#[test]
fn all_seeds_of_tars_but_the_last_are_gone_through() {
    let counts: Vec<_> = seeds("tar")
        .iter()
        .map(|seed| parsers::bundles::members(seed).ok())
        .collect();
    // Files and aliases; a folder is neither, and a hard link is refused.
    let expected = [Some(2), Some(1), Some(1), Some(2), Some(1), None];
    assert_eq!(counts, expected);
}

#[test]
fn every_parser_has_its_fuzz_target() {
    let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    for (name, _) in PARSERS {
        let target = std::fs::read_to_string(targets.join(format!("{name}.rs"))).unwrap();
        assert!(target.contains(&format!("attempt(\"{name}\"")), "{name}");
    }
}

#[test]
fn every_folder_of_seeds_has_its_parser() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for folder in std::fs::read_dir(corpus).unwrap() {
        let name = folder.unwrap().file_name().into_string().unwrap();
        assert!(PARSERS.iter().any(|(known, _)| *known == name), "{name}");
    }
}

#[test]
fn what_chance_makes_of_the_seeds_breaks_nothing() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().unwrap())
    };
    let time = number("ROADSTEAD_FUZZ_SECONDS").map(Duration::from_secs);
    let seed = number("ROADSTEAD_SEED").unwrap_or(0x5EED);
    let share = time.map(|time| time / u32::try_from(PARSERS.len()).unwrap());
    for (at, (name, _)) in (1..).zip(PARSERS) {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(at) | 1);
        let seeds = seeds(name);
        let (began, mut rounds) = (Instant::now(), 0);
        while share.map_or(rounds < ROUNDS, |share| began.elapsed() < share) {
            attempt(name, &mutated(&seeds, &mut dice));
            rounds += 1;
        }
        println!("{name}: {rounds} inputs, seed {seed}");
    }
}

/// One of the seeds, after some of what goes wrong on wires and in heads.
fn mutated(seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    const ODD: &[&[u8]] = &[
        b"",
        b"\0",
        b"%",
        b"%2f",
        b"%00",
        b"..",
        b"/",
        b"//",
        b":",
        b"@",
        b",",
        b"\"",
        b"\\",
        b"=",
        b"{",
        b"}",
        b"[",
        b"]",
        b"-",
        b"\r\n",
        b"\n",
        b" ",
        b"\t",
        b"0",
        b"-1",
        b"18446744073709551615",
        b"18446744073709551616",
        b"1e999",
        b"sha256:",
        b"bytes=",
        b"\xff",
        b"\xc3\xa9",
        b"\xf0\x9f\x90\xb3",
        b"null",
        b"true",
        b"*",
    ];
    let mut bytes = seeds[dice.below(seeds.len())].clone();
    for _ in 0..=dice.below(6) {
        let at = dice.below(bytes.len() + 1);
        let until = (at + dice.below(16)).min(bytes.len());
        match dice.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 => drop(bytes.drain(at..until)),
            2 => {
                let again = bytes[at..until].to_vec();
                bytes.splice(at..at, again);
            }
            3 => bytes.truncate(at),
            4 => {
                let other = &seeds[dice.below(seeds.len())];
                let from = dice.below(other.len() + 1);
                bytes.splice(at.., other[from..].iter().copied());
            }
            5 => {
                let many = ODD[dice.below(ODD.len())].repeat(1 << dice.below(9));
                bytes.splice(at..until, many);
            }
            _ => {
                let odd = ODD[dice.below(ODD.len())];
                bytes.splice(at..until, odd.iter().copied());
            }
        }
        bytes.truncate(LONGEST);
    }
    bytes
}

/// Chance that comes out the same for the same seed (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let thrown = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(thrown).unwrap() % bound
    }
}
