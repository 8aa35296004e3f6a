//! How far event time has come in the outputs for an element.

use crate::element::{Element, Timestamp};

/// Says that no output for an element will come that is older than a time.
///
/// What it knows travels with what is left of the element. The harness calls it under the lock of the
/// [`Tracker`](super::Tracker), so no method may take long.
///
/// Reports never fall: where this yields less than before, the harness reports what it yielded before.
pub trait WatermarkEstimator: Sized + Send + 'static {
    /// What is kept between bundles.
    type State: Element;

    /// Whether it wants to [observe](Self::observe) the timestamps of outputs.
    const OBSERVES: bool = false;

    /// What it begins with, for an element of this timestamp.
    fn initial(timestamp: Timestamp) -> Self::State;

    /// The estimator that goes on from a state.
    fn new(state: Self::State) -> Self;

    /// What is to be kept.
    fn state(&self) -> Self::State;

    /// An output with a timestamp of its own is emitted. One that has its element's is not told.
    fn observe(&mut self, timestamp: Timestamp) {
        let _ = timestamp;
    }

    /// The watermark, when wall time is `now`.
    fn watermark(&mut self, now: Timestamp) -> Timestamp;
}

/// The parts that all of these have in common: their state is a time in milliseconds.
macro_rules! of_one_time {
    () => {
        type State = i64;

        fn initial(timestamp: Timestamp) -> i64 {
            timestamp.millis()
        }

        fn new(state: i64) -> Self {
            Self(Timestamp::from_millis(state))
        }

        fn state(&self) -> i64 {
            self.0.millis()
        }
    };
}

/// The watermark stays at the element's timestamp until all of it is processed.
#[derive(Debug, Clone, PartialEq)]
pub struct Held(Timestamp);

impl WatermarkEstimator for Held {
    of_one_time!();

    fn watermark(&mut self, _now: Timestamp) -> Timestamp {
        self.0
    }
}

/// The function says the watermark itself: [`Claims::advance_watermark`](super::Claims::advance_watermark).
#[derive(Debug, Clone, PartialEq)]
pub struct Manual(Timestamp);

impl Manual {
    pub(super) fn advance(&mut self, to: Timestamp) {
        self.0 = self.0.max(to);
    }
}

impl WatermarkEstimator for Manual {
    of_one_time!();

    fn watermark(&mut self, _now: Timestamp) -> Timestamp {
        self.0
    }
}

/// The watermark is the latest timestamp that was emitted: for outputs in rising order of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Monotonic(Timestamp);

impl WatermarkEstimator for Monotonic {
    of_one_time!();

    const OBSERVES: bool = true;

    fn observe(&mut self, timestamp: Timestamp) {
        self.0 = self.0.max(timestamp);
    }

    fn watermark(&mut self, _now: Timestamp) -> Timestamp {
        self.0
    }
}

/// The watermark is the time on the wall: for outputs that have the time at which they are emitted.
#[derive(Debug, Clone, PartialEq)]
pub struct WallTime(Timestamp);

impl WatermarkEstimator for WallTime {
    of_one_time!();

    fn watermark(&mut self, now: Timestamp) -> Timestamp {
        // A clock that is set back moves nothing.
        self.0 = self.0.max(now);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn begun<W: WatermarkEstimator>(millis: i64) -> W {
        W::new(W::initial(at(millis)))
    }

    #[test]
    fn each_goes_by_its_own_time() {
        let mut held: Held = begun(5);
        held.observe(at(9));
        assert_eq!(held.watermark(at(100)), at(5));
        let mut manual: Manual = begun(5);
        manual.advance(at(8));
        manual.advance(at(7));
        assert_eq!(manual.watermark(at(100)), at(8));
        assert_eq!(manual.state(), 8);
        let mut monotonic: Monotonic = begun(5);
        monotonic.observe(at(20));
        monotonic.observe(at(10));
        assert_eq!(monotonic.watermark(at(100)), at(20));
        assert_eq!(Monotonic::new(monotonic.state()), monotonic);
        let mut wall: WallTime = begun(5);
        assert_eq!(wall.watermark(at(100)), at(100));
        assert_eq!(wall.watermark(at(90)), at(100));
        assert_eq!(WallTime::new(wall.state()), wall);
    }
}
