//! The five stages of combining. Keys stay encoded.

use hashbrown::HashMap;

use crate::dofn::{CombineFn, Consumer, Meter, Sampler};
use crate::element::{Element, Header, Iter, Kv, Nesting, Timestamp, WindowCoding};
use crate::error::Result;
use crate::exec::activity::{Here, Phase};
use crate::exec::edge::{AnyLink, erase, unbox};
use crate::exec::flow::{FlowLink, Keyed};
use crate::model::descriptor::{CombineStage, OutputTime};

/// The lifting table is emptied when its entries are this large: a bundle's memory stays bounded however many keys it
/// has, and a table that fits the processor's caches is the faster one.
const TABLE_BYTES: usize = 64 << 20;

/// What an entry costs besides its key and accumulator.
const ENTRY_BYTES: usize = 64;

/// Where a stage of combining stands in its plan.
pub(crate) struct CombinePlace {
    pub(crate) here: Here,
    pub(crate) meter: Meter,
    pub(crate) windows: WindowCoding,
    pub(crate) end_of: fn(&[u8]) -> Result<Timestamp>,
    pub(crate) output_time: OutputTime,
}

/// The node of one stage, in front of the link for its output.
pub(crate) fn build<C: CombineFn>(
    stage: CombineStage,
    function: C,
    place: CombinePlace,
    out: AnyLink,
) -> Result<AnyLink> {
    Ok(match stage {
        CombineStage::Precombine => {
            let out = unbox::<Keyed<C::Acc>>(out)?;
            erase::<Keyed<C::In>>(Box::new(Precombine::new(function, place, out)))
        }
        CombineStage::ConvertToAccumulators => each::<C::In, C::Acc>(place, out, move |value| {
            let mut acc = function.zero();
            function.add(&mut acc, value);
            Ok(acc)
        })?,
        CombineStage::MergeAccumulators => {
            each::<Iter<C::Acc>, C::Acc>(place, out, move |parts| {
                let mut acc = function.zero();
                for part in &parts {
                    function.merge(&mut acc, part?);
                }
                function.compact(&mut acc);
                Ok(acc)
            })?
        }
        CombineStage::ExtractOutputs => {
            each::<C::Acc, C::Out>(place, out, move |acc| Ok(function.finish(acc)))?
        }
        CombineStage::GroupedValues => each::<Iter<C::In>, C::Out>(place, out, move |values| {
            let mut acc = function.zero();
            for value in &values {
                function.add(&mut acc, value?);
            }
            Ok(function.finish(acc))
        })?,
    })
}

fn each<A: Element, B: Element>(
    place: CombinePlace,
    out: AnyLink,
    f: impl FnMut(A) -> Result<B> + Send + 'static,
) -> Result<AnyLink> {
    let out = unbox::<Keyed<B>>(out)?;
    Ok(erase::<Keyed<A>>(Box::new(Each {
        f,
        place,
        out,
        sampler: Sampler::default(),
    })))
}

/// One value from one value, under the same key.
struct Each<G, B: Element> {
    f: G,
    place: CombinePlace,
    out: FlowLink<Keyed<B>>,
    sampler: Sampler,
}

impl<'a, A: Element, B: Element, G: FnMut(A) -> Result<B> + Send> Consumer<Kv<&'a [u8], A>>
    for Each<G, B>
{
    fn start(&mut self) -> Result<()> {
        self.sampler.reset();
        self.out.start()
    }

    fn consume(&mut self, header: &Header, Kv(key, value): Kv<&'a [u8], A>) -> Result<()> {
        let before = self.place.here.enter(Phase::Process);
        let value = (self.f)(value)?;
        self.sampler.count(&self.place.meter, &value);
        self.out.consume(header, Kv(key, value))?;
        self.place.here.leave(before);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.out.finish()
    }
}

/// Combines the values of each key and window before they leave the worker.
struct Precombine<C: CombineFn> {
    function: C,
    place: CombinePlace,
    out: FlowLink<Keyed<C::Acc>>,
    sampler: Sampler,
    /// By encoded window and encoded key, one after the other.
    table: HashMap<Box<[u8]>, Entry<C::Acc>>,
    bytes: usize,
    scratch: Vec<u8>,
}

struct Entry<A> {
    acc: A,
    /// Where the key begins in the table's key.
    key_at: usize,
    timestamp: Timestamp,
    additions: u32,
    /// The accumulator's size when it was last measured.
    acc_bytes: usize,
}

impl<C: CombineFn> Precombine<C> {
    fn new(function: C, place: CombinePlace, out: FlowLink<Keyed<C::Acc>>) -> Self {
        let (sampler, scratch) = (Sampler::default(), Vec::new());
        Precombine {
            function,
            place,
            out,
            sampler,
            table: HashMap::new(),
            bytes: 0,
            scratch,
        }
    }

    /// Adds to the entry that `scratch` names.
    #[inline]
    fn add(&mut self, key_at: usize, timestamp: Timestamp, value: C::In) -> Result<()> {
        if let Some(entry) = self.table.get_mut(&self.scratch[..]) {
            self.function.add(&mut entry.acc, value);
            match self.place.output_time {
                OutputTime::EndOfWindow => {}
                OutputTime::Latest => entry.timestamp = entry.timestamp.max(timestamp),
                OutputTime::Earliest => entry.timestamp = entry.timestamp.min(timestamp),
            }
            entry.additions = entry.additions.wrapping_add(1);
            // Accumulators may grow. Measuring at powers of two keeps the cost out of the common case.
            if entry.additions >= 64 && entry.additions.is_power_of_two() {
                let size = encoded_size(&entry.acc, &mut Vec::new());
                self.bytes = self.bytes - entry.acc_bytes + size;
                entry.acc_bytes = size;
            }
        } else {
            let mut acc = self.function.zero();
            self.function.add(&mut acc, value);
            let timestamp = match self.place.output_time {
                OutputTime::EndOfWindow => (self.place.end_of)(&self.scratch[..key_at])?,
                OutputTime::Latest | OutputTime::Earliest => timestamp,
            };
            let acc_bytes = size_of::<C::Acc>();
            self.bytes += self.scratch.len() + acc_bytes + ENTRY_BYTES;
            let entry = Entry {
                acc,
                key_at,
                timestamp,
                additions: 1,
                acc_bytes,
            };
            self.table.insert(self.scratch.as_slice().into(), entry);
        }
        if self.bytes > TABLE_BYTES {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<()> {
        self.bytes = 0;
        let mut header = Header::global(Timestamp::MIN);
        for (window_and_key, mut entry) in self.table.drain() {
            let (window, key) = window_and_key.split_at(entry.key_at);
            header.timestamp = entry.timestamp;
            header.windows.set_one(window);
            self.function.compact(&mut entry.acc);
            self.sampler.count(&self.place.meter, &entry.acc);
            self.out.consume(&header, Kv(key, entry.acc))?;
        }
        Ok(())
    }
}

fn encoded_size<T: Element>(value: &T, scratch: &mut Vec<u8>) -> usize {
    value.encode(scratch, Nesting::Nested);
    scratch.len()
}

impl<'a, C: CombineFn> Consumer<Kv<&'a [u8], C::In>> for Precombine<C> {
    fn start(&mut self) -> Result<()> {
        self.table.clear();
        self.bytes = 0;
        self.sampler.reset();
        self.out.start()
    }

    #[inline]
    fn consume(&mut self, header: &Header, Kv(key, value): Kv<&'a [u8], C::In>) -> Result<()> {
        let before = self.place.here.enter(Phase::Process);
        if header.windows.count() == 1 {
            let window = header.windows.bytes();
            self.scratch.clear();
            self.scratch.extend_from_slice(window);
            self.scratch.extend_from_slice(key);
            self.add(window.len(), header.timestamp, value)?;
        } else {
            self.in_windows(header, key, value)?;
        }
        self.place.here.leave(before);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        let before = self.place.here.enter(Phase::Finish);
        self.flush()?;
        // One large bundle must not keep its table for the small ones that follow.
        self.table.shrink_to(1024);
        self.place.here.leave(before);
        self.out.finish()
    }
}

impl<C: CombineFn> Precombine<C> {
    fn in_windows(&mut self, header: &Header, key: &[u8], value: C::In) -> Result<()> {
        for window in header.windows.split(&self.place.windows)? {
            self.scratch.clear();
            self.scratch.extend_from_slice(window);
            self.scratch.extend_from_slice(key);
            self.add(window.len(), header.timestamp, value.clone())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::dofn::{Natural, Sum, Top};
    use crate::element::{Coder, coder::urn};
    use crate::exec::activity::Activity;

    fn place() -> CombinePlace {
        let windows = Coder::standard(urn::GLOBAL_WINDOW, []);
        CombinePlace {
            here: Activity::default().here(0),
            meter: Meter::default(),
            windows: WindowCoding::of(&windows).expect("known"),
            end_of: |_| Ok(Timestamp::GLOBAL_WINDOW_END),
            output_time: OutputTime::EndOfWindow,
        }
    }

    /// What came out: how many entries for each key, and their sum.
    type Sums = BTreeMap<u8, (u32, i64)>;

    #[derive(Clone, Default)]
    struct Out(Arc<Mutex<Sums>>);

    impl<'a> Consumer<Kv<&'a [u8], i64>> for Out {
        fn start(&mut self) -> Result<()> {
            Ok(())
        }

        fn consume(&mut self, header: &Header, Kv(key, sum): Kv<&'a [u8], i64>) -> Result<()> {
            assert_eq!(header.timestamp, Timestamp::GLOBAL_WINDOW_END);
            let mut sums = self.0.lock().expect("nobody panics");
            let (entries, total) = sums.entry(key[0]).or_default();
            (*entries, *total) = (*entries + 1, *total + sum);
            Ok(())
        }

        fn finish(&mut self) -> Result<()> {
            Ok(())
        }
    }

    /// Accumulators that came out, by their length.
    #[derive(Clone, Default)]
    struct Lengths(Arc<Mutex<Vec<usize>>>);

    impl<'a> Consumer<Kv<&'a [u8], Vec<i64>>> for Lengths {
        fn start(&mut self) -> Result<()> {
            Ok(())
        }

        fn consume(&mut self, _: &Header, Kv(_, acc): Kv<&'a [u8], Vec<i64>>) -> Result<()> {
            self.0.lock().expect("nobody panics").push(acc.len());
            Ok(())
        }

        fn finish(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn merged_accumulators_are_sent_small() {
        let lengths = Lengths::default();
        let out = erase::<Keyed<Vec<i64>>>(Box::new(lengths.clone()));
        let top = Top::<Natural<i64>>::greatest(2);
        let merge = build(CombineStage::MergeAccumulators, top, place(), out).expect("links");
        let mut merge = unbox::<Keyed<Iter<Vec<i64>>>>(merge).expect("takes accumulators");
        merge.start().expect("nothing to fail");
        let parts = Iter::from_iter([vec![5i64, 1], vec![3]]);
        merge
            .consume(&Header::global(Timestamp::MIN), Kv(b"k", parts))
            .expect("merges");
        assert_eq!(*lengths.0.lock().expect("nobody panics"), [2]);
    }

    #[test]
    fn a_full_table_is_emptied_and_nothing_is_lost() {
        let out = Out::default();
        let mut node = Precombine::new(Sum::<i64>::new(), place(), Box::new(out.clone()));
        let keys: Vec<Vec<u8>> = (0..10).map(|n| vec![n; TABLE_BYTES / 8]).collect();
        let header = Header::global(Timestamp::MIN);
        node.start().expect("nothing to fail");
        let mut came_out = Vec::new();
        for value in [1, 2] {
            for key in &keys {
                node.consume(&header, Kv(key, value)).expect("adds");
                assert!(node.bytes <= TABLE_BYTES);
            }
            let sums = out.0.lock().expect("nobody panics");
            came_out.push(sums.values().map(|(entries, _)| entries).sum::<u32>());
        }
        // Eight keys do not fit, with what an entry costs besides.
        assert_eq!(came_out, [8, 16]);
        node.finish().expect("the rest comes");
        let sums = out.0.lock().expect("nobody panics");
        let entries: u32 = sums.values().map(|(entries, _)| entries).sum();
        assert_eq!(entries, 20);
        assert!(sums.values().all(|(_, total)| *total == 3));
    }
}
