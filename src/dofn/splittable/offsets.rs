//! Ranges of offsets: what most restrictions are.

use std::fmt;

use super::{Tracker, Work};
use crate::element::{Coder, Element, Input, Kv, Nesting};
use crate::error::{Error, Result};

/// The offsets from `start` up to `end`, which is not one of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct OffsetRange {
    /// The first offset.
    pub start: i64,
    /// The first offset behind the range; [`i64::MAX`] if there is no end.
    pub end: i64,
}

impl OffsetRange {
    /// The offsets from `start` up to `end`, which is not one of them.
    pub const fn new(start: i64, end: i64) -> Self {
        OffsetRange { start, end }
    }

    /// All offsets from `start` on.
    pub const fn from(start: i64) -> Self {
        OffsetRange::new(start, i64::MAX)
    }

    /// Whether the range has an end.
    pub const fn is_bounded(self) -> bool {
        self.end != i64::MAX
    }

    /// How many offsets there are.
    pub fn len(self) -> u64 {
        self.end.abs_diff(self.start.min(self.end))
    }

    /// Whether there are no offsets.
    pub const fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// The most parts that a range is cut into at once: parts are held in memory, and runners may cut them again.
    pub const MOST_PARTS: u64 = 10_000;

    /// The range in parts of at most so many offsets each, as equal as can be; in [`MOST_PARTS`](Self::MOST_PARTS) longer
    /// ones where there would be more. A range without an end is one part.
    pub fn in_parts_of(self, most: u64) -> Vec<OffsetRange> {
        self.in_parts(self.len().div_ceil(most.max(1)))
    }

    /// The range in so many parts, which differ by at most one offset; in fewer where there are not so many offsets, and in
    /// [`MOST_PARTS`](Self::MOST_PARTS) at most. A range without an end is one part.
    pub fn in_parts(self, count: u64) -> Vec<OffsetRange> {
        if self.is_empty() || !self.is_bounded() || count < 2 {
            return vec![self];
        }
        let count = count.min(self.len()).min(Self::MOST_PARTS);
        let (len, count) = (u128::from(self.len()), u128::from(count));
        let cut = |part: u128| {
            let offset = u64::try_from(len * part / count).unwrap_or(u64::MAX);
            self.start.saturating_add_unsigned(offset)
        };
        (0..count)
            .map(|part| OffsetRange::new(cut(part), cut(part + 1)))
            .collect()
    }
}

impl fmt::Debug for OffsetRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_bounded() {
            true => write!(f, "[{}, {})", self.start, self.end),
            false => write!(f, "[{}, …)", self.start),
        }
    }
}

impl Element for OffsetRange {
    fn coder() -> Coder {
        Coder::kv(i64::coder(), i64::coder())
    }

    fn encode(&self, out: &mut Vec<u8>, at: Nesting) {
        Kv(self.start, self.end).encode(out, at);
    }

    fn decode(input: &mut Input<'_>, at: Nesting) -> Result<Self> {
        let Kv(start, end) = Kv::<i64, i64>::decode(input, at)?;
        Ok(OffsetRange { start, end })
    }
}

/// Tracks an [`OffsetRange`], whose offsets are claimed in rising order. Those between two claims count as claimed.
pub struct OffsetTracker {
    range: OffsetRange,
    /// The first offset that may be claimed.
    next: i64,
    /// The offset that a claim asked for in vain.
    refused: Option<i64>,
    estimate: Option<Box<dyn Fn() -> i64 + Send>>,
}

impl OffsetTracker {
    /// A tracker of a range whose end is not known yet: `estimate` yields the end as far as it is known now. It says how
    /// much work there is, and where to cut. It must not take long.
    pub fn growing(range: OffsetRange, estimate: impl Fn() -> i64 + Send + 'static) -> Self {
        OffsetTracker {
            estimate: Some(Box::new(estimate)),
            ..OffsetTracker::new(range)
        }
    }

    /// Where the range ends, as far as that is known; never before what is claimed.
    fn end(&self) -> i64 {
        if self.range.is_bounded() {
            return self.range.end.max(self.next);
        }
        let known = self
            .estimate
            .as_ref()
            .map_or(self.next, |estimate| estimate());
        known.max(self.next)
    }
}

impl Tracker for OffsetTracker {
    type Restriction = OffsetRange;
    type Position = i64;

    fn new(range: OffsetRange) -> Self {
        OffsetTracker {
            range,
            next: range.start,
            refused: None,
            estimate: None,
        }
    }

    fn restriction(&self) -> OffsetRange {
        self.range
    }

    fn claim(&mut self, offset: i64) -> Result<bool> {
        if offset < self.next || self.refused.is_some_and(|refused| offset < refused) {
            return Err(Error::user(format!(
                "offset {offset} is claimed of {:?} after {}; claim in rising order, from the start on",
                self.range,
                self.refused.unwrap_or_else(|| self.next.saturating_sub(1)),
            )));
        }
        if offset >= self.range.end {
            self.refused = Some(offset);
            return Ok(false);
        }
        self.next = offset + 1;
        Ok(true)
    }

    fn split(&mut self, fraction: f64) -> Option<OffsetRange> {
        if self.is_done() {
            return None;
        }
        let left = self.end().abs_diff(self.next);
        // Rounding may reach the end, where there is nothing to cut off.
        let keep = (left as f64 * fraction.clamp(0.0, 1.0)) as u64;
        let cut = self.next.saturating_add_unsigned(keep.min(left));
        if cut >= self.range.end {
            return None;
        }
        let residual = OffsetRange::new(cut, self.range.end);
        self.range.end = cut;
        Some(residual)
    }

    fn is_done(&self) -> bool {
        self.refused.is_some() || self.next >= self.range.end
    }

    fn work(&self) -> Work {
        if self.refused.is_some() {
            return Work {
                completed: self.range.len() as f64,
                remaining: 0.0,
            };
        }
        Work {
            completed: self.next.abs_diff(self.range.start) as f64,
            remaining: self.end().abs_diff(self.next) as f64,
        }
    }

    fn is_bounded(&self) -> bool {
        self.range.is_bounded()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimed(range: OffsetRange, offsets: impl IntoIterator<Item = i64>) -> OffsetTracker {
        let mut tracker = OffsetTracker::new(range);
        for offset in offsets {
            assert!(tracker.claim(offset).expect("in order"), "{offset}");
        }
        tracker
    }

    #[test]
    fn cuts_lie_behind_what_is_claimed() {
        for (claims, fraction, expected) in [
            (0..40, 0.5, Some((70, 101))),
            (0..40, 0.0, Some((40, 101))),
            (0..0, 0.0, Some((0, 101))),
            (0..0, 0.5, Some((50, 101))),
            (0..40, 1.0, None),
            (0..100, 0.5, Some((100, 101))),
            (0..101, 0.0, None),
            (0..40, f64::NAN, Some((40, 101))),
        ] {
            let mut tracker = claimed(OffsetRange::new(0, 101), claims.clone());
            let residual = expected.map(|(start, end)| OffsetRange::new(start, end));
            assert_eq!(tracker.split(fraction), residual, "{claims:?} {fraction}");
            let end = residual.map_or(101, |residual| residual.start);
            assert_eq!(tracker.restriction(), OffsetRange::new(0, end));
        }
    }

    #[test]
    fn a_range_without_an_end_is_cut_by_its_estimate() {
        let mut tracker = OffsetTracker::growing(OffsetRange::from(10), || 110);
        assert!(tracker.claim(19).expect("in order"));
        let work = tracker.work();
        assert_eq!((work.completed, work.remaining), (10.0, 90.0));
        assert!(!tracker.is_bounded() && !tracker.is_done());
        assert_eq!(tracker.split(0.5), Some(OffsetRange::from(65)));
        assert_eq!(tracker.restriction(), OffsetRange::new(10, 65));
        assert!(tracker.is_bounded());

        let mut tracker = OffsetTracker::new(OffsetRange::from(0));
        assert!(tracker.claim(0).expect("in order"));
        assert_eq!(tracker.work().remaining, 0.0);
        assert_eq!(tracker.split(0.0), Some(OffsetRange::from(1)));
        assert!(!tracker.claim(1).expect("in order"));
        assert!(tracker.is_done());
    }

    #[test]
    fn claims_rise() {
        let mut tracker = claimed(OffsetRange::new(0, 10), [0, 5]);
        assert!(tracker.claim(5).is_err());
        assert!(!tracker.claim(12).expect("in order"));
        let error = tracker.claim(7).expect_err("falls").to_string();
        assert!(
            error.contains("offset 7 is claimed of [0, 10) after 12"),
            "{error}"
        );
        assert!(tracker.is_done());
        assert_eq!(tracker.split(0.0), None);
        assert_eq!(tracker.work().remaining, 0.0);
    }

    #[test]
    fn all_offsets_there_are() {
        let mut tracker = OffsetTracker::new(OffsetRange::new(i64::MIN, i64::MAX - 1));
        assert_eq!(tracker.restriction().len(), u64::MAX - 1);
        let residual = tracker.split(0.5).expect("much is left");
        assert_eq!(residual.start, tracker.restriction().end);
        assert!(tracker.claim(i64::MIN).expect("in order"));
        let mut last = claimed(OffsetRange::new(0, i64::MAX - 1), [i64::MAX - 2]);
        assert!(last.is_done());
        assert!(!last.claim(i64::MAX).expect("in order"));
    }

    #[test]
    fn parts_are_the_whole() {
        let range = OffsetRange::new(-3, 20);
        for parts in [range.in_parts(7), range.in_parts_of(4), range.in_parts(99)] {
            assert_eq!(parts[0].start, -3);
            assert_eq!(parts[parts.len() - 1].end, 20);
            assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert!(parts.iter().all(|part| !part.is_empty()));
        }
        assert_eq!(range.in_parts(7).len(), 7);
        assert_eq!(range.in_parts(99).len(), 23);
        assert!(range.in_parts_of(4).iter().all(|part| part.len() <= 4));
        assert_eq!(range.in_parts_of(0).len(), 23);
        let long = OffsetRange::new(i64::MIN, i64::MAX - 1);
        assert_eq!(long.in_parts_of(1).len(), 10_000);
        assert_eq!(long.in_parts(u64::MAX).len(), 10_000);
        let none = OffsetRange::new(5, 5);
        assert_eq!(none.in_parts(4), [none]);
        assert_eq!(OffsetRange::from(1).in_parts(4), [OffsetRange::from(1)]);
    }
}
