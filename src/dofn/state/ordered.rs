//! State of values by time.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use bytes::Bytes;

use super::additions::Additions;
use super::cells::{Cell, Cells, Ground};
use super::port::state_port;
use super::runs::{Rewrite, Runs};
use super::{StateKind, StateProtocol};
use crate::dofn::StateKey;
use crate::element::{Coder, Element, Input, Iter, Nesting, Timestamp, coder::urn, put_varint};
use crate::error::{Error, Result};

/// A port that is state of values in the order of their times, for each key and window.
///
/// Adding reads nothing. Values of the same time are in no particular order. Ranges are of milliseconds.
///
/// ```
/// use ferrobeam::prelude::*;
/// use ferrobeam::testing::DoFnTester;
///
/// /// Adds up what a meter has counted within the last minute.
/// #[derive(serde::Serialize, serde::Deserialize, DoFn)]
/// #[beam(name = "meter.LastMinute/v1")]
/// struct LastMinute;
///
/// #[derive(Ports)]
/// struct LastMinuteIo {
///     sums: Out<i64>,
///     counts: OrderedListState<i64>,
/// }
///
/// impl DoFn for LastMinute {
///     type In = Kv<String, i64>;
///     type Io = LastMinuteIo;
///
///     fn process(&mut self, Kv(_, n): Self::In, cx: &mut Cx, io: &mut LastMinuteIo) -> Result {
///         let now = cx.timestamp();
///         let minute_ago = Timestamp::from_millis(now.millis() - 60_000);
///         io.counts.clear(..=minute_ago)?;
///         io.counts.add(now, &n)?;
///         let mut sum = 0;
///         for count in io.counts.read(..)?.iter() {
///             sum += count?.1;
///         }
///         io.sums.emit(cx, sum);
///         Ok(())
///     }
/// }
///
/// let mut tester = DoFnTester::of(LastMinute);
/// let counts = [(0, 1), (30, 2), (80, 4)].map(|(second, n)| {
///     (Timestamp::from_millis(second * 1000), Kv("door".to_owned(), n))
/// });
/// assert_eq!(tester.run_at(counts)?.sums.values(), [1, 3, 6]);
/// # Ok::<(), ferrobeam::Error>(())
/// ```
pub struct OrderedListState<T>(Cells<OrderedCell>, PhantomData<fn() -> T>);

impl<T: Element> OrderedListState<T> {
    /// Adds a value at a time.
    ///
    /// # Errors
    /// Used where there is no key in hand, or what the port has written could not be sent.
    pub fn add(&mut self, at: Timestamp, value: &T) -> Result<()> {
        self.0.grow(|cell, _| {
            let values = cell.added.entry(at.millis()).or_default();
            let before = values.len();
            put_value(values, value);
            cell.waiting += values.len() - before;
            Ok(cell.waiting)
        })
    }

    /// The values within a range as they are now, in the order of their times: what happens to the state later does not
    /// change them. They are fetched page by page.
    ///
    /// # Errors
    /// Used where there is no key in hand.
    pub fn read(&mut self, range: impl RangeBounds<Timestamp>) -> Result<InOrder<T>> {
        let (from, to) = half_open(&range);
        self.0.with(|cell, ground| {
            let stored = ground.pages(StateKey::OrderedListUser(ground.cell(), from, to));
            Ok(InOrder(Iter::paged(cell.pages(Arc::new(stored), from, to))))
        })
    }

    /// Removes the values within a range.
    ///
    /// # Errors
    /// As [`OrderedListState::add`].
    pub fn clear(&mut self, range: impl RangeBounds<Timestamp>) -> Result<()> {
        let (from, to) = half_open(&range);
        self.0.with(|cell, _| {
            cell.clear(from, to);
            Ok(())
        })
    }

    fn kind() -> StateKind {
        StateKind::OrderedList(T::coder())
    }

    fn of(cells: Cells<OrderedCell>) -> Self {
        OrderedListState(cells, PhantomData)
    }

    fn cells(&mut self) -> &mut Cells<OrderedCell> {
        &mut self.0
    }
}

state_port!(OrderedListState<T: Element>, [StateProtocol::OrderedList]);

/// Values in the order of their times; may be iterated any number of times within the bundle.
#[derive(Debug, Clone)]
pub struct InOrder<T: Element>(Iter<Record<T>>);

impl<T: Element> InOrder<T> {
    /// Starts from the first value.
    pub fn iter(&self) -> impl Iterator<Item = Result<(Timestamp, T)>> {
        let records = self.0.iter();
        records.map(|record| record.map(|Record(at, value)| (Timestamp::from_millis(at), value)))
    }

    /// All values in memory: only where they are known to be few.
    ///
    /// # Errors
    /// As iterating.
    pub fn to_vec(&self) -> Result<Vec<(Timestamp, T)>> {
        self.iter().collect()
    }
}

/// A range of times as one of sort keys, the second not included.
fn half_open(range: &impl RangeBounds<Timestamp>) -> (i64, i64) {
    let from = match range.start_bound() {
        Bound::Included(from) => from.millis(),
        Bound::Excluded(from) => from.millis().saturating_add(1),
        Bound::Unbounded => i64::MIN,
    };
    let to = match range.end_bound() {
        Bound::Included(to) => to.millis().saturating_add(1),
        Bound::Excluded(to) => to.millis(),
        Bound::Unbounded => i64::MAX,
    };
    (from, to)
}

/// A value as the runner keeps it: its sort key, and its bytes after their length.
#[derive(Clone)]
struct Record<T>(i64, T);

fn put_value<T: Element>(out: &mut Vec<u8>, value: &T) {
    let bytes = crate::element::encoded(value, Nesting::Outer);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(&bytes);
}

impl<T: Element> Element for Record<T> {
    fn coder() -> Coder {
        let value = Coder::standard(urn::LENGTH_PREFIX, [T::coder()]);
        Coder::standard(urn::KV, [i64::coder(), value])
    }

    fn encode(&self, out: &mut Vec<u8>, _at: Nesting) {
        put_varint(out, self.0 as u64);
        put_value(out, &self.1);
    }

    fn decode(input: &mut Input<'_>, _at: Nesting) -> Result<Self> {
        let at = input.varint()? as i64;
        let length = input.length()?;
        let part = input.take(length)?;
        let mut part = input.part(part);
        let value = T::decode(&mut part, Nesting::Outer)?;
        if !part.is_empty() {
            return Err(Error::decode(
                "bytes are left over after a value of an ordered list",
            ));
        }
        Ok(Record(at, value))
    }

    fn skip(input: &mut Input<'_>, _at: Nesting) -> Result<()> {
        skip_record(input).map(drop)
    }
}

/// Steps over a record. Yields its sort key.
fn skip_record(input: &mut Input<'_>) -> Result<i64> {
    let at = input.varint()? as i64;
    let length = input.length()?;
    input.take(length)?;
    Ok(at)
}

#[derive(Default)]
struct OrderedCell {
    /// What counts for nothing any more of the runner's values: the ends of ranges by their beginnings. They do not touch.
    cleared: BTreeMap<i64, i64>,
    /// Added values after their lengths, by sort key.
    added: BTreeMap<i64, Vec<u8>>,
    /// The bytes of added values.
    waiting: usize,
}

impl OrderedCell {
    fn clear(&mut self, mut from: i64, mut to: i64) {
        if from >= to {
            return;
        }
        let mut after = self.added.split_off(&from);
        self.added.append(&mut after.split_off(&to));
        self.waiting -= after.values().map(Vec::len).sum::<usize>();

        let touching: Vec<(i64, i64)> = self
            .cleared
            .range(..=to)
            .filter(|(_, end)| **end >= from)
            .map(|(start, end)| (*start, *end))
            .collect();
        for (start, end) in touching {
            self.cleared.remove(&start);
            (from, to) = (from.min(start), to.max(end));
        }
        self.cleared.insert(from, to);
    }

    /// The runner's values but those that were removed, with those that were added.
    fn pages(
        &self,
        stored: Arc<dyn crate::element::Pages>,
        from: i64,
        to: i64,
    ) -> Arc<dyn crate::element::Pages> {
        let added = if from < to {
            let added = self.added.range(from..to);
            added.map(|(at, values)| (*at, values.clone())).collect()
        } else {
            BTreeMap::new()
        };
        Arc::new(Runs::new(
            stored,
            Merged {
                cleared: self.cleared.clone(),
                added,
            },
        ))
    }
}

/// Puts added values between those of the runner.
struct Merged {
    cleared: BTreeMap<i64, i64>,
    added: BTreeMap<i64, Vec<u8>>,
}

impl Merged {
    fn put_added(&self, range: impl RangeBounds<i64>, out: &mut Vec<u8>) -> Result<()> {
        for (at, values) in self.added.range(range) {
            let mut input = Input::new(values).whole();
            while !input.is_empty() {
                let before = input.rest();
                let length = input.length()?;
                input.take(length)?;
                put_varint(out, *at as u64);
                out.extend_from_slice(&before[..before.len() - input.remaining()]);
            }
        }
        Ok(())
    }
}

impl Rewrite for Merged {
    fn skip(&self, input: &mut Input<'_>) -> Result<()> {
        skip_record(input).map(drop)
    }

    /// The cursor is the first sort key whose added values were not put out.
    fn each(&self, cursor: &mut i64, record: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let at = skip_record(&mut Input::new(record))?;
        if at > *cursor {
            self.put_added(*cursor..at, out)?;
            *cursor = at;
        }
        let cleared = self.cleared.range(..=at).next_back();
        if cleared.is_none_or(|(_, end)| at >= *end) {
            out.extend_from_slice(record);
        }
        Ok(())
    }

    fn last(&self, cursor: i64, out: &mut Vec<u8>) -> Result<()> {
        self.put_added(cursor.., out)
    }
}

impl Cell for OrderedCell {
    fn settle(&mut self) -> usize {
        self.waiting
    }

    fn flush(&mut self, ground: &Ground<'_>) -> Result<()> {
        for (from, to) in std::mem::take(&mut self.cleared) {
            ground.clear(&StateKey::OrderedListUser(ground.cell(), from, to))?;
        }
        let mut records = Additions::default();
        let added = Merged {
            cleared: BTreeMap::new(),
            added: std::mem::take(&mut self.added),
        };
        for at in added.added.keys() {
            records.try_push(|out| added.put_added(at..=at, out))?;
        }
        let key = StateKey::OrderedListUser(ground.cell(), i64::MIN, i64::MAX);
        let data: Vec<Bytes> = records.take().collect();
        data.into_iter()
            .try_for_each(|data| ground.append(&key, data))
    }
}
