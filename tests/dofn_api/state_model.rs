//! State against plain collections: whatever is done in whatever order, both hold the same.

use std::collections::{BTreeMap, BTreeSet};

use ferrobeam::dofn::{
    BagState, CombiningState, MapState, MultimapState, OrderedListState, SetState, Sum, ValueState,
};
use ferrobeam::prelude::*;
use ferrobeam::testing::{DoFnTester, Random};

use crate::ms;

/// Does to its state what its elements say, and tells what it reads.
struct Keeper;

#[derive(Ports)]
struct KeeperIo {
    told: Out<String>,
    value: ValueState<String>,
    bag: BagState<String>,
    sum: CombiningState<Sum<i64>>,
    set: SetState<String>,
    map: MapState<String, i64>,
    multimap: MultimapState<String, i64>,
    list: OrderedListState<String>,
}

/// What is done: a number that chooses it, and two that it is done with.
type Deed = Kv<i64, Kv<i64, i64>>;

/// How many deeds there are to choose from.
const DEEDS: usize = 31;

impl DoFn for Keeper {
    type In = Kv<String, Deed>;
    type Io = KeeperIo;

    fn process(&mut self, Kv(_, deed): Self::In, cx: &mut Cx<'_>, io: &mut KeeperIo) -> Result {
        if let Some(told) = do_it(deed, io)? {
            io.told.emit(cx, told);
        }
        Ok(())
    }
}

fn name(n: i64) -> String {
    "x".repeat(usize::try_from(n).unwrap()) + &n.to_string()
}

fn sorted<T: Ord + std::fmt::Debug>(mut values: Vec<T>) -> String {
    values.sort();
    format!("{values:?}")
}

fn do_it(Kv(deed, Kv(a, b)): Deed, io: &mut KeeperIo) -> Result<Option<String>> {
    Ok(Some(match deed {
        0 => return io.value.write(name(a)).map(|()| None),
        1 => return io.value.clear().map(|()| None),
        2 => format!("{:?}", io.value.read()?),
        3..=5 => return io.bag.add(&name(a)).map(|()| None),
        6 => return io.bag.clear().map(|()| None),
        7 => format!("{:?}", io.bag.read()?.to_vec()?),
        8 | 9 => return io.sum.add(a).map(|()| None),
        10 if b == 0 => return io.sum.clear().map(|()| None),
        10 => return Ok(None),
        11 => io.sum.read()?.to_string(),
        12 | 13 => return io.set.add(&name(a)).map(|()| None),
        14 => return io.set.remove(&name(a)).map(|()| None),
        15 => format!("{}", io.set.contains(&name(a))?),
        16 => sorted(io.set.read()?.to_vec()?),
        17 if b == 0 => return io.set.clear().map(|()| None),
        17 => return Ok(None),
        18 | 19 => return io.map.put(&name(a), &b).map(|()| None),
        20 => return io.map.remove(&name(a)).map(|()| None),
        21 => format!("{:?}", io.map.get(&name(a))?),
        22 if b == 0 => return io.map.clear().map(|()| None),
        22 => {
            let entries = io.map.entries()?.to_vec()?.into_iter();
            let keys = io.map.keys()?.to_vec()?;
            format!(
                "{} {}",
                sorted(keys),
                sorted(entries.map(|Kv(k, v)| (k, v)).collect())
            )
        }
        23 | 24 => return io.multimap.add(&name(a), &b).map(|()| None),
        25 => return io.multimap.remove(&name(a)).map(|()| None),
        26 => format!("{:?}", io.multimap.get(&name(a))?.to_vec()?),
        27 if b == 0 => return io.multimap.clear().map(|()| None),
        27 => {
            let entries = io.multimap.entries()?.to_vec()?.into_iter();
            let keys = io.multimap.keys()?.to_vec()?;
            format!(
                "{} {}",
                sorted(keys),
                sorted(entries.map(|Kv(k, v)| (k, v)).collect())
            )
        }
        28 => return io.list.add(ms(a), &name(b)).map(|()| None),
        29 if b < 3 => return io.list.clear(ms(a)..ms(a + b)).map(|()| None),
        29 => return io.list.add(ms(a), &name(b)).map(|()| None),
        _ if a == 0 => in_order(io.list.read(..)?.to_vec()?),
        _ => in_order(io.list.read(ms(a)..=ms(b))?.to_vec()?),
    }))
}

/// Values of one time have no order.
fn in_order(values: Vec<(Timestamp, String)>) -> String {
    assert!(values.is_sorted_by_key(|(at, _)| *at), "{values:?}");
    sorted(values)
}

/// The same in plain collections.
#[derive(Default)]
struct Model {
    value: Option<String>,
    bag: Vec<String>,
    sum: i64,
    set: BTreeSet<String>,
    map: BTreeMap<String, i64>,
    multimap: BTreeMap<String, Vec<i64>>,
    list: Vec<(Timestamp, String)>,
}

impl Model {
    fn do_it(&mut self, Kv(deed, Kv(a, b)): Deed) -> Option<String> {
        match deed {
            0 => self.value = Some(name(a)),
            1 => self.value = None,
            2 => return Some(format!("{:?}", self.value)),
            3..=5 => self.bag.push(name(a)),
            6 => self.bag.clear(),
            7 => return Some(format!("{:?}", self.bag)),
            8 | 9 => self.sum += a,
            10 if b == 0 => self.sum = 0,
            11 => return Some(self.sum.to_string()),
            12 | 13 => drop(self.set.insert(name(a))),
            14 => drop(self.set.remove(&name(a))),
            15 => return Some(format!("{}", self.set.contains(&name(a)))),
            16 => return Some(format!("{:?}", self.set.iter().collect::<Vec<_>>())),
            17 if b == 0 => self.set.clear(),
            18 | 19 => drop(self.map.insert(name(a), b)),
            20 => drop(self.map.remove(&name(a))),
            21 => return Some(format!("{:?}", self.map.get(&name(a)))),
            22 if b == 0 => self.map.clear(),
            22 => {
                let keys: Vec<_> = self.map.keys().collect();
                let entries: Vec<_> = self.map.iter().collect();
                return Some(format!("{keys:?} {entries:?}"));
            }
            23 | 24 => self.multimap.entry(name(a)).or_default().push(b),
            25 => drop(self.multimap.remove(&name(a))),
            26 => {
                let none = Vec::new();
                return Some(format!(
                    "{:?}",
                    self.multimap.get(&name(a)).unwrap_or(&none)
                ));
            }
            27 if b == 0 => self.multimap.clear(),
            27 => {
                let keys: Vec<_> = self.multimap.keys().collect();
                let entries = self.multimap.iter();
                let entries = entries.flat_map(|(key, vs)| vs.iter().map(move |v| (key, v)));
                return Some(format!("{keys:?} {}", sorted(entries.collect())));
            }
            29 if b < 3 => self.list.retain(|(at, _)| *at < ms(a) || *at >= ms(a + b)),
            28 | 29 => self.list.push((ms(a), name(b))),
            30 if a == 0 => return Some(sorted(self.list.clone())),
            30 => {
                let within = self
                    .list
                    .iter()
                    .filter(|(at, _)| (ms(a)..=ms(b)).contains(at));
                return Some(sorted(within.cloned().collect()));
            }
            _ => {}
        }
        None
    }
}

fn compare(seed: u64, mut tester: DoFnTester<Keeper>) {
    let mut random = Random::new(seed);
    let mut models: BTreeMap<String, Model> = BTreeMap::new();
    for bundle in 0..25 {
        let deeds: Vec<Kv<String, Deed>> = (0..random.below(60))
            .map(|_| {
                let mut number = |below| random.below(below) as i64;
                Kv(name(number(3)), Kv(number(DEEDS), Kv(number(8), number(8))))
            })
            .collect();
        let expected: Vec<String> = deeds
            .iter()
            .filter_map(|Kv(key, deed)| models.entry(key.clone()).or_default().do_it(*deed))
            .collect();
        let told = tester.run(deeds).unwrap().told.values();
        assert_eq!(told, expected, "seed {seed}, bundle {bundle}");
    }
}

#[test]
fn state_is_as_plain_collections_are() {
    for seed in 0..40 {
        compare(seed, DoFnTester::of(Keeper));
        compare(seed, DoFnTester::of(Keeper).in_pages(1 + seed as usize % 7));
    }
}

#[test]
fn so_it_is_where_maps_are_kept_in_bags() {
    for seed in 0..40 {
        let tester = DoFnTester::of(Keeper).keeping_maps_in_bags();
        compare(seed, tester.in_pages(1 + seed as usize % 7));
    }
}
