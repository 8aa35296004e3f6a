use ferrobeam::dofn::Merge;
use ferrobeam::prelude::*;

struct Union;

impl Merge for Union {
    type Value = i64;

    fn identity(&self) -> i64 {
        0
    }

    fn merge(&self, into: &mut i64, from: i64) {
        *into |= from;
    }
}

fn combine<C: CombineFn>(_: C) {}

fn main() {
    combine(Union); //~ `Union` is not a CombineFn //~ then use `Plain<Union>`
}
