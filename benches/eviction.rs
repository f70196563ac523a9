//! How often what is asked for is here, under each policy of eviction: `cargo bench --bench eviction`.
//!
//! The trace is made up, and the same at every run. It follows what a mirror of a company may see:
//!
//! - 400 repositories, asked for by a Zipf law (exponent 0.9). Each is built on one of 20 bases, whose four layers all
//!   share that are built on it; bases are chosen by a Zipf law, too.
//! - An image has a manifest, the layers of its base, and two to six of its own, from 10 KB to 200 MB (log-uniform).
//! - Whoever pulls asks for the manifest. One in four has nothing and fetches all layers; the others have the base
//!   already, and fetch the image's own.
//! - Each day one repository in ten has a new release: half of its own layers are new, and a burst of 30 pulls follows
//!   within the hour.
//! - One pull in five is of an image on one of the bases that nobody asks for again (a build of a branch, a try).
//!
//! What is absent is brought, and room is made for it as the store does it: just as much as it takes. Rates are of
//! requests and of bytes, over the second half of 40 days with 2000 pulls each, without the one-hit wonders' own layers,
//! which nobody can have.

#![allow(clippy::cast_precision_loss, clippy::print_stdout, missing_docs)]

use std::collections::HashMap;

use roadstead::oci::Digest;
use roadstead::store::{Index, Policy};

const DAYS: u64 = 40;
const PULLS_A_DAY: u64 = 2000;
const REPOSITORIES: usize = 400;
const BASES: usize = 20;
const DAY: u64 = 86_400;
const MB: u64 = 1_000_000;

/// xorshift64*: the same numbers everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11) % end
    }

    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        self.below(1 << 32) as f64 / (1_u64 << 32) as f64
    }

    /// Log-uniform.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn size(&mut self) -> u64 {
        (10_000.0 * 20_000_f64.powf(self.share())) as u64
    }
}

/// Numbers from 0 on, each less likely than the one before.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(count: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let weights = (1..=count).map(|rank| {
            sum += (rank as f64).powf(-exponent);
            sum
        });
        Self(weights.collect())
    }

    fn draw(&self, dice: &mut Dice) -> usize {
        let at = dice.share() * self.0[self.0.len() - 1];
        self.0.partition_point(|sum| *sum <= at)
    }
}

#[derive(Clone)]
struct Blob {
    digest: Digest,
    size: u64,
}

#[derive(Clone)]
struct Image {
    manifest: Blob,
    base: usize,
    own: Vec<Blob>,
}

/// One pull: when, of what, and whether the base is fetched, too.
struct Pull {
    at: u64,
    image: Image,
    whole: bool,
    /// Nobody asks for it again.
    once: bool,
}

struct World {
    dice: Dice,
    made: u64,
    bases: Vec<Vec<Blob>>,
}

impl World {
    fn blob(&mut self, size: Option<u64>) -> Blob {
        self.made += 1;
        let size = size.unwrap_or_else(|| self.dice.size());
        let digest = Digest::sha256_of(&self.made.to_le_bytes());
        Blob { digest, size }
    }

    fn image(&mut self, base: usize) -> Image {
        let count = 2 + self.dice.below(5);
        Image {
            manifest: self.blob(Some(4000)),
            base,
            own: (0..count).map(|_| self.blob(None)).collect(),
        }
    }

    /// All pulls, in order.
    fn trace(&mut self) -> Vec<Pull> {
        let (by_base, by_name) = (Zipf::new(BASES, 0.9), Zipf::new(REPOSITORIES, 0.9));
        let mut images: Vec<Image> = (0..REPOSITORIES)
            .map(|_| {
                let base = by_base.draw(&mut self.dice);
                self.image(base)
            })
            .collect();
        let mut pulls = Vec::new();
        for day in 0..DAYS {
            for _ in 0..REPOSITORIES / 10 {
                let which = by_name.draw(&mut self.dice);
                let mut next = self.image(images[which].base);
                let kept = images[which].own.iter().step_by(2).cloned();
                next.own.extend(kept);
                next.own.truncate(6);
                images[which] = next;
                let begin = day * DAY + self.dice.below(DAY);
                for _ in 0..30 {
                    pulls.push(Pull {
                        at: begin + self.dice.below(3600),
                        image: images[which].clone(),
                        whole: self.dice.below(4) == 0,
                        once: false,
                    });
                }
            }
            for _ in 0..PULLS_A_DAY {
                let once = self.dice.below(5) == 0;
                let image = if once {
                    let base = by_base.draw(&mut self.dice);
                    self.image(base)
                } else {
                    images[by_name.draw(&mut self.dice)].clone()
                };
                pulls.push(Pull {
                    at: day * DAY + self.dice.below(DAY),
                    image,
                    whole: self.dice.below(4) == 0,
                    once,
                });
            }
        }
        pulls.sort_by_key(|pull| pull.at);
        pulls
    }
}

/// What was asked for and what was here.
#[derive(Default)]
struct Rates {
    asked: u64,
    here: u64,
    bytes_asked: u64,
    bytes_here: u64,
}

fn run(trace: &[Pull], bases: &[Vec<Blob>], policy: Policy, capacity: u64) -> Rates {
    // The year 2026.
    const BEGIN: u64 = 1_767_225_600;
    let mut index = Index::new(policy);
    let mut rates = Rates::default();
    for pull in trace {
        let now = BEGIN + pull.at;
        let Image {
            manifest,
            base,
            own,
        } = &pull.image;
        let base = bases[*base].iter().filter(|_| pull.whole);
        let asked = [manifest].into_iter().chain(base).chain(own);
        for (nth, blob) in asked.enumerate() {
            let is_here = index.size(&blob.digest).is_some();
            let is_own = nth > 0 && own.iter().any(|it| it.digest == blob.digest);
            if pull.at >= DAYS / 2 * DAY && !(pull.once && (is_own || nth == 0)) {
                rates.asked += 1;
                rates.bytes_asked += blob.size;
                if is_here {
                    rates.here += 1;
                    rates.bytes_here += blob.size;
                }
            }
            if is_here {
                index.used(&blob.digest, now);
                continue;
            }
            let over = (index.totals().bytes + blob.size).saturating_sub(capacity);
            if over > 0 {
                for (victim, _) in index.victims(over, now, 600) {
                    index.remove(&victim);
                }
            }
            index.admit(&blob.digest, blob.size, now);
            if nth == 0 {
                let all = bases[pull.image.base].iter().chain(own);
                let all: Vec<_> = all.map(|it| it.digest.clone()).collect();
                index.references(&blob.digest, &all);
            }
        }
    }
    rates
}

fn main() {
    let mut world = World {
        dice: Dice(0x0072_6F61_6473_7465),
        made: 0,
        bases: Vec::new(),
    };
    world.bases = (0..BASES)
        .map(|_| (0..4).map(|_| world.blob(None)).collect())
        .collect();
    let trace = world.trace();
    let mut footprint = HashMap::new();
    for pull in &trace {
        for blob in pull.image.own.iter().chain(&world.bases[pull.image.base]) {
            footprint.insert(&blob.digest, blob.size);
        }
    }
    let footprint: u64 = footprint.values().sum();
    println!(
        "{} pulls over {DAYS} days; all that is ever asked for: {} GB",
        trace.len(),
        footprint / MB / 1000
    );
    println!("hits in percent of requests / of bytes, by the capacity in percent of all:");
    let policies = [
        ("recency", Policy::Recency),
        ("frequency 6h", Policy::Frequency { half_life: 21_600 }),
        ("frequency 1d", Policy::Frequency { half_life: 86_400 }),
        ("frequency 3d", Policy::Frequency { half_life: 259_200 }),
    ];
    let shares = [1, 2, 4, 8, 16];
    print!("{:<14}", "");
    for share in shares {
        print!("{share:>12} %");
    }
    println!();
    for (name, policy) in policies {
        print!("{name:<14}");
        for share in shares {
            let rates = run(&trace, &world.bases, policy, footprint / 100 * share);
            let percent = |part: u64, whole: u64| part as f64 * 100.0 / whole as f64;
            print!(
                "{:>7.1} /{:>4.1}",
                percent(rates.here, rates.asked),
                percent(rates.bytes_here, rates.bytes_asked)
            );
        }
        println!();
    }
}
