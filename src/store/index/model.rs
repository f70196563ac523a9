//! The index against a plain model of it, by random operations.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{Id, Index, Notes, Policy, Row};
use crate::oci::Digest;

/// So many digests there are. A manifest references only what has a higher number: no digest reaches itself.
const NODES: u8 = 10;

#[derive(Clone, Debug)]
enum Step {
    Admit(u8, u64),
    References(u8, Vec<u8>),
    Used(u8),
    Remove(u8),
    Read(u8),
    Left(u8),
    Pin(u8, Vec<u8>),
    Unpin(u8),
    Victims(u64, u64),
    Restart,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let node = 0..NODES;
    let some = || prop::collection::vec(0..NODES, 0..5);
    prop_oneof![
        4 => (node.clone(), 0..100_u64).prop_map(|(node, size)| Step::Admit(node, size)),
        4 => (node.clone(), some()).prop_map(|(node, to)| Step::References(node, to)),
        4 => node.clone().prop_map(Step::Used),
        2 => node.clone().prop_map(Step::Remove),
        2 => node.clone().prop_map(Step::Read),
        2 => node.clone().prop_map(Step::Left),
        2 => (0..3_u8, some()).prop_map(|(name, to)| Step::Pin(name, to)),
        1 => (0..3_u8).prop_map(Step::Unpin),
        3 => (0..300_u64, 0..8_u64).prop_map(|(need, age)| Step::Victims(need, age)),
        1 => Just(Step::Restart),
        3 => (0..4_u64).prop_map(Step::Wait),
    ]
}

fn digest(node: u8) -> Digest {
    format!("sha256:{:064x}", u32::from(node) + 1)
        .parse()
        .unwrap()
}

fn node(digest: &Digest) -> u8 {
    u8::from_str_radix(&digest.encoded()[60..], 16).unwrap() - 1
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Present {
    size: u64,
    last_use: u64,
    rank: u32,
}

#[derive(Default)]
struct Model {
    here: BTreeMap<u8, Present>,
    edges: BTreeMap<u8, BTreeSet<u8>>,
    pins: BTreeMap<String, BTreeSet<u8>>,
    readers: BTreeMap<u8, u32>,
    policy: Policy,
}

impl Model {
    fn below(&self, node: u8) -> BTreeSet<u8> {
        let children = self.edges.get(&node).into_iter().flatten();
        let below = children.flat_map(|child| self.below(*child));
        below.chain([node]).collect()
    }

    fn pinned(&self) -> BTreeSet<u8> {
        let roots = self.pins.values().flatten();
        roots.flat_map(|root| self.below(*root)).collect()
    }

    fn touch(&mut self, node: u8, now: u64) {
        if let Some(here) = self.here.get_mut(&node)
            && now > here.last_use
        {
            here.last_use = now;
            here.rank = self.policy.rank(here.rank, u32::try_from(now).unwrap());
        }
    }

    /// As the index does it: a use is not passed on by what was used at the same time.
    fn used(&mut self, node: u8, now: u64) {
        if self.here.get(&node).is_some_and(|it| it.last_use >= now) {
            return;
        }
        self.touch(node, now);
        for child in self.edges.get(&node).cloned().unwrap_or_default() {
            self.used(child, now);
        }
    }

    /// References are kept of what is here or pinned.
    fn tidy(&mut self) {
        while let Some(idle) = self
            .edges
            .keys()
            .copied()
            .find(|node| !self.here.contains_key(node) && !self.pinned().contains(node))
        {
            self.edges.remove(&idle);
        }
    }

    /// All that something speaks of.
    fn known(&self) -> BTreeSet<u8> {
        let spoken = self.edges.values().flatten().copied();
        let pinned = self.pins.values().flatten().copied();
        let all = self.here.keys().chain(self.readers.keys()).copied();
        all.chain(spoken).chain(pinned).collect()
    }

    fn candidates(&self, now: u64, min_age: u64) -> BTreeMap<u8, Present> {
        let pinned = self.pinned();
        let all = self.here.iter().map(|(node, it)| (*node, *it));
        all.filter(|(node, it)| {
            let young = min_age > 0 && it.last_use + min_age > now;
            !young && !pinned.contains(node) && !self.readers.contains_key(node)
        })
        .collect()
    }
}

/// Both, and the time.
struct Pair {
    index: Index,
    model: Model,
    leases: Vec<(u8, Id)>,
    now: u64,
}

impl Pair {
    fn new(policy: Policy) -> Self {
        Self {
            index: Index::new(policy),
            model: Model {
                policy,
                ..Model::default()
            },
            leases: Vec::new(),
            now: 1000,
        }
    }

    fn step(&mut self, step: Step) {
        let (index, model, now) = (&mut self.index, &mut self.model, self.now);
        match step {
            Step::Admit(node, size) => {
                index.admit(&digest(node), size, now);
                let new = Present {
                    size,
                    last_use: 0,
                    rank: 0,
                };
                model.here.entry(node).or_insert(new).size = size;
                model.touch(node, now);
            }
            Step::References(node, to) => {
                let digests: Vec<_> = to
                    .iter()
                    .filter(|it| **it > node)
                    .map(|it| digest(*it))
                    .collect();
                index.references(&digest(node), &digests);
                if let Some(here) = model.here.get(&node).copied() {
                    if !digests.is_empty() {
                        let to = digests.iter().map(self::node).collect();
                        model.edges.entry(node).or_insert(to);
                    }
                    for child in model.edges.get(&node).cloned().unwrap_or_default() {
                        model.used(child, here.last_use);
                    }
                }
            }
            Step::Used(node) => {
                index.used(&digest(node), now);
                model.used(node, now);
            }
            Step::Remove(node) => {
                let size = model.here.remove(&node).map(|it| it.size);
                assert_eq!(index.remove(&digest(node)), size);
                model.tidy();
            }
            Step::Read(node) => {
                let id = index.read(&digest(node)).unwrap();
                self.leases.push((node, id));
                *model.readers.entry(node).or_default() += 1;
            }
            Step::Left(node) => {
                if let Some(at) = self.leases.iter().position(|(it, _)| *it == node) {
                    index.left(self.leases.swap_remove(at).1);
                    let count = model.readers.get_mut(&node).unwrap();
                    *count -= 1;
                    if *count == 0 {
                        model.readers.remove(&node);
                    }
                }
            }
            Step::Pin(name, to) => {
                let digests: Vec<_> = to.iter().map(|it| digest(*it)).collect();
                index.pin(&name.to_string(), &digests);
                model
                    .pins
                    .insert(name.to_string(), to.into_iter().collect());
                model.tidy();
            }
            Step::Unpin(name) => {
                let was = model.pins.remove(&name.to_string()).is_some();
                assert_eq!(index.unpin(&name.to_string()), was);
                model.tidy();
            }
            Step::Victims(need, min_age) => self.compare_victims(need, min_age),
            Step::Restart => self.restart(),
            Step::Wait(seconds) => self.now += seconds,
        }
    }

    fn compare_victims(&self, need: u64, min_age: u64) {
        let victims = self.index.victims(need, self.now, min_age);
        let mut rest = self.model.candidates(self.now, min_age);
        let (mut freed, mut highest) = (0, 0);
        for (digest, size) in victims {
            assert!(freed < need, "more than needed");
            let victim = rest.remove(&node(&digest)).expect("may not go, or twice");
            assert_eq!(victim.size, size);
            assert!(victim.rank >= highest, "out of order");
            highest = victim.rank;
            freed += size;
        }
        if freed < need {
            assert!(rest.is_empty(), "there is more: {rest:?}");
        }
        assert!(
            rest.values().all(|it| it.rank >= highest),
            "another was first"
        );
    }

    /// Another process finds what this one noted.
    fn restart(&mut self) {
        let mut rows: BTreeMap<u8, Row> = BTreeMap::new();
        loop {
            let notes = self.index.take_notes(2);
            if notes == Notes::default() {
                break;
            }
            // Half of all writes fail at first.
            self.index.give_back_notes(notes);
            let Notes { gone, here } = self.index.take_notes(3);
            for key in gone {
                rows.remove(&node(&key.digest()));
            }
            for row in here {
                rows.insert(node(&row.key.digest()), row);
            }
        }
        let model = &self.model;
        assert!(rows.keys().all(|node| model.here.contains_key(node)));
        for (node, row) in &rows {
            let here = model.here[node];
            assert_eq!(
                (row.size, u64::from(row.last_use), row.rank),
                (here.size, here.last_use, here.rank)
            );
            assert!(!self.index.restore(row), "it is here");
        }
    }

    fn compare(&self) {
        let (index, model) = (&self.index, &self.model);
        let pinned = model.pinned();
        for node in 0..NODES {
            let digest = digest(node);
            let here = model.here.get(&node);
            assert_eq!(index.size(&digest), here.map(|it| it.size));
            assert_eq!(!index.pinned_by(&digest).is_empty(), pinned.contains(&node));
            let condition = index.condition(&digest);
            assert_eq!(condition.present, here.map(|it| (it.size, it.last_use)));
            assert_eq!(
                condition.readers,
                model.readers.get(&node).copied().unwrap_or(0)
            );
            let above: BTreeSet<_> = condition.above.iter().map(self::node).collect();
            let expected = (0..NODES).filter(|it| model.below(*it).contains(&node));
            assert_eq!(above, expected.collect());
            let bytes = model
                .below(node)
                .into_iter()
                .filter_map(|it| model.here.get(&it));
            assert_eq!(
                index.extent(&digest).0,
                bytes.map(|it| it.size).sum::<u64>()
            );
        }
        let totals = index.totals();
        let sum = |it: &mut dyn Iterator<Item = &Present>| it.map(|it| it.size).sum::<u64>();
        assert_eq!(totals.count, model.here.len() as u64);
        assert_eq!(totals.bytes, sum(&mut model.here.values()));
        let held = model.here.iter().filter(|(node, _)| pinned.contains(node));
        assert_eq!(totals.pinned_bytes, sum(&mut held.map(|(_, it)| it)));
        // Nothing is kept that nobody speaks of.
        let entries = index
            .table
            .iter()
            .filter(|(_, it)| *it.key.bytes() != [0; 32]);
        let known: BTreeSet<_> = entries.map(|(_, it)| node(&it.key.digest())).collect();
        assert_eq!(known, model.known());
    }
}

proptest! {
    #[test]
    fn the_index_is_as_its_model(
        half_life in prop::option::of(1..5_u32),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let policy = half_life.map_or(Policy::Recency, |half_life| Policy::Frequency { half_life });
        let mut pair = Pair::new(policy);
        for step in steps {
            pair.step(step);
            pair.compare();
        }
    }
}

#[test]
fn a_restart_brings_back_sizes_uses_references_and_the_order() {
    let mut first = Index::new(Policy::Recency);
    for (node, now) in [(0, 50), (1, 20), (2, 30), (3, 40)] {
        first.admit(&digest(node), 10, now);
    }
    first.references(&digest(0), &[digest(1), digest(9)]);
    let rows = first.take_notes(100).here;
    let mut second = Index::new(Policy::Recency);
    second.pin("kept", &[digest(0)]);
    assert!(rows.iter().all(|row| second.restore(row)));
    assert_eq!(second.totals().pinned_bytes, 20);
    assert_eq!(second.unseen().len(), 4);
    assert_eq!(second.seen(&digest(2), 10), Some(true));
    assert_eq!(second.seen(&digest(3), 11), Some(false));
    assert_eq!(second.seen(&digest(9), 11), None);
    assert_eq!(second.unseen().len(), 3);
    assert_eq!(
        second.victims(20, 60, 0),
        [(digest(2), 10), (digest(3), 10)]
    );
    assert!(second.unpin("kept"));
    second.used(&digest(0), 60);
    assert_eq!(second.victims(40, 60, 0).len(), 4);
    assert_eq!(second.victims(40, 60, 10).len(), 2);
    assert_eq!(second.take_notes(100).here.len(), 2);
}

#[test]
fn what_roots_do_not_reach_is_told_apart() {
    let mut index = Index::new(Policy::Recency);
    for node in 0..4 {
        index.admit(&digest(node), u64::from(node), 10);
    }
    index.references(&digest(0), &[digest(1), digest(2)]);
    let idle = index.idle_since(10, &[digest(0)]);
    let reached: BTreeMap<_, _> = idle
        .iter()
        .map(|it| (node(&it.digest), it.is_reached))
        .collect();
    assert_eq!(
        reached,
        BTreeMap::from([(0, true), (1, true), (2, true), (3, false)])
    );
    assert!(index.idle_since(9, &[]).is_empty());
    index.pin("kept", &[digest(1)]);
    let lease = index.read(&digest(3)).unwrap();
    assert_eq!(index.idle_since(10, &[]).len(), 2);
    index.left(lease);
    assert_eq!(index.idle_since(10, &[]).len(), 3);
}
