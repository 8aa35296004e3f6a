//! The standard window functions: which windows a timestamp lies in.

use std::time::Duration;

use super::{GlobalWindow, IntervalWindow};
use crate::element::{Coder, Element, Timestamp};
use crate::error::{Error, Result};

/// Windows of equal length, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedWindows {
    /// The length of each, in milliseconds; positive.
    pub size: i64,
    /// Where one of them begins, in milliseconds.
    pub offset: i64,
}

impl FixedWindows {
    /// Windows of `size`, one of which begins at 1970.
    pub fn of(size: Duration) -> Self {
        FixedWindows {
            size: millis(size),
            offset: 0,
        }
    }

    /// The window that `timestamp` lies in.
    pub fn window(&self, timestamp: Timestamp) -> IntervalWindow {
        let start = floor_to(timestamp.millis(), self.size, self.offset);
        IntervalWindow::from_millis(start, start.saturating_add(self.size))
    }
}

/// Windows of equal length that begin at equal distances, and may overlap or leave gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlidingWindows {
    /// The length of each, in milliseconds; positive.
    pub size: i64,
    /// The distance between the beginnings, in milliseconds; positive.
    pub period: i64,
    /// Where one of them begins, in milliseconds.
    pub offset: i64,
}

impl SlidingWindows {
    /// Windows of `size`, one every `period`.
    pub fn of(size: Duration, period: Duration) -> Self {
        SlidingWindows {
            size: millis(size),
            period: millis(period),
            offset: 0,
        }
    }

    /// The windows that `timestamp` lies in, the latest first. There may be none where the period exceeds the size.
    pub fn windows(&self, timestamp: Timestamp) -> impl Iterator<Item = IntervalWindow> {
        let (size, period) = (self.size, self.period);
        let first = floor_to(timestamp.millis(), period, self.offset);
        let oldest = timestamp.millis().saturating_sub(size);
        std::iter::successors(Some(first), move |start| start.checked_sub(period))
            .take_while(move |start| *start > oldest)
            .map(move |start| IntervalWindow::from_millis(start, start.saturating_add(size)))
    }
}

/// Windows that last until nothing has happened for a while. Runners merge the windows that overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionWindows {
    /// How long nothing must happen, in milliseconds; positive.
    pub gap: i64,
}

impl SessionWindows {
    /// Windows that end after `gap` without an element.
    pub fn of(gap: Duration) -> Self {
        SessionWindows { gap: millis(gap) }
    }

    /// The window of a single element, to be merged with those that it overlaps.
    pub fn window(&self, timestamp: Timestamp) -> IntervalWindow {
        IntervalWindow::from_millis(
            timestamp.millis(),
            timestamp.millis().saturating_add(self.gap),
        )
    }
}

/// A standard window function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowFn {
    /// One window for all of time.
    Global,
    /// Windows of equal length, one after the other.
    Fixed(FixedWindows),
    /// Windows of equal length at equal distances.
    Sliding(SlidingWindows),
    /// Windows that a gap ends.
    Session(SessionWindows),
}

impl WindowFn {
    /// Checks the lengths, which come from outside.
    ///
    /// # Errors
    /// A length or distance that is not positive.
    pub fn checked(self) -> Result<Self> {
        let lengths = match self {
            WindowFn::Global => [1, 1],
            WindowFn::Fixed(f) => [f.size, 1],
            WindowFn::Sliding(s) => [s.size, s.period],
            WindowFn::Session(s) => [s.gap, 1],
        };
        if lengths.iter().all(|ms| *ms > 0) {
            Ok(self)
        } else {
            Err(Error::descriptor(format!(
                "window lengths must be positive, but this is {self:?}"
            )))
        }
    }

    /// The coder of its windows.
    pub fn coder(&self) -> Coder {
        match self {
            WindowFn::Global => GlobalWindow::coder(),
            _ => IntervalWindow::coder(),
        }
    }

    /// Calls `assign` with each window that `timestamp` lies in.
    pub fn assign(&self, timestamp: Timestamp, mut assign: impl FnMut(IntervalWindow)) {
        match self {
            WindowFn::Global => {}
            WindowFn::Fixed(fixed) => assign(fixed.window(timestamp)),
            WindowFn::Sliding(sliding) => sliding.windows(timestamp).for_each(assign),
            WindowFn::Session(session) => assign(session.window(timestamp)),
        }
    }

    /// The window of a side input that belongs to a window of the main input which ends at `end`.
    ///
    /// # Errors
    /// Session windows cannot be side input windows.
    pub fn side_window(&self, end: Timestamp) -> Result<Option<IntervalWindow>> {
        match self {
            WindowFn::Global => Ok(None),
            WindowFn::Fixed(fixed) => Ok(Some(fixed.window(end))),
            WindowFn::Sliding(sliding) => {
                let start = floor_to(end.millis(), sliding.period, sliding.offset);
                Ok(Some(IntervalWindow::from_millis(
                    start,
                    start.saturating_add(sliding.size),
                )))
            }
            WindowFn::Session(_) => Err(Error::descriptor(
                "a side input in session windows has no window to map to; window it otherwise",
            )),
        }
    }
}

/// Merges the windows that overlap. Yields each merged window with those that it replaces, in order of time.
pub fn merge_sessions(
    mut windows: Vec<IntervalWindow>,
) -> Vec<(IntervalWindow, Vec<IntervalWindow>)> {
    windows.sort();
    let mut merged: Vec<(IntervalWindow, Vec<IntervalWindow>)> = Vec::new();
    for window in windows {
        match merged.last_mut() {
            Some((into, from)) if window.start < into.end => {
                into.end = into.end.max(window.end);
                from.push(window);
            }
            _ => merged.push((window, vec![window])),
        }
    }
    merged
}

/// The largest start that is not after `at`, with starts every `step` from `offset`. Also right before 1970.
fn floor_to(at: i64, step: i64, offset: i64) -> i64 {
    at.saturating_sub(at.saturating_sub(offset).rem_euclid(step))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn fixed_windows_floor_also_before_1970() {
        let fixed = FixedWindows {
            size: 10_000,
            offset: 3_000,
        };
        assert_eq!(
            fixed.window(at(2_999)),
            IntervalWindow::from_millis(-7_000, 3_000)
        );
        assert_eq!(
            fixed.window(at(3_000)),
            IntervalWindow::from_millis(3_000, 13_000)
        );
        let plain = FixedWindows {
            size: 10_000,
            offset: 0,
        };
        assert_eq!(
            plain.window(at(-1)),
            IntervalWindow::from_millis(-10_000, 0)
        );
    }

    #[test]
    fn sliding_windows_overlap() {
        let sliding = SlidingWindows {
            size: 10_000,
            period: 5_000,
            offset: 0,
        };
        let windows: Vec<_> = sliding.windows(at(7_000)).collect();
        assert_eq!(
            windows,
            [
                IntervalWindow::from_millis(5_000, 15_000),
                IntervalWindow::from_millis(0, 10_000)
            ]
        );
    }

    #[test]
    fn sliding_windows_with_gaps_may_hold_nothing() {
        let sliding = SlidingWindows {
            size: 5_000,
            period: 10_000,
            offset: 0,
        };
        let count = |ms| sliding.windows(at(ms)).count();
        assert_eq!((1..=10).map(|s| count(s * 1000)).sum::<usize>(), 5);
        assert_eq!(count(-4_000), 0);
        assert_eq!(
            sliding.windows(at(-6_000)).next(),
            Some(IntervalWindow::from_millis(-10_000, -5_000))
        );
    }

    #[test]
    fn sessions_merge() {
        let session = SessionWindows { gap: 10_000 };
        let windows = [0, 30_000, 5_000, 39_999]
            .map(|ms| session.window(at(ms)))
            .to_vec();
        let merged = merge_sessions(windows);
        assert_eq!(merged.len(), 2);
        assert_eq!(merged[0].0, IntervalWindow::from_millis(0, 15_000));
        assert_eq!(merged[1].0, IntervalWindow::from_millis(30_000, 49_999));
        assert_eq!(merged[0].1.len(), 2);
    }

    #[test]
    fn side_windows_hold_the_end_of_the_main_window() {
        let side = WindowFn::Fixed(FixedWindows {
            size: 60_000,
            offset: 0,
        });
        assert_eq!(
            side.side_window(at(29_999)).expect("fixed"),
            Some(IntervalWindow::from_millis(0, 60_000))
        );
        let session = WindowFn::Session(SessionWindows { gap: 1 });
        assert!(session.side_window(at(0)).is_err());
    }

    #[test]
    fn the_ends_of_time_hold() {
        let fixed = FixedWindows {
            size: 10_000,
            offset: 0,
        };
        assert_eq!(fixed.window(Timestamp::MAX).end, Timestamp::MAX);
        assert_eq!(fixed.window(Timestamp::MIN).start, Timestamp::MIN);
        assert!(
            WindowFn::Fixed(FixedWindows { size: 0, offset: 0 })
                .checked()
                .is_err()
        );
    }
}
