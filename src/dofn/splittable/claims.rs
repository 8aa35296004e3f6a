//! The lock that claims and splits share.

use std::any::type_name;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Manual, Position, Restriction, Splittable, Tracker, WatermarkEstimator};
use super::{WatermarkState, Work};
use crate::dofn::{Clock, Observe};
use crate::element::Timestamp;
use crate::error::{Error, ErrorKind, Result, contained};

/// How a function takes parts of a restriction for itself, while the runner may take away what it has not taken.
pub struct Claims<F: Splittable> {
    tracked: Mutex<Tracked<F>>,
    clock: Arc<dyn Clock>,
}

/// What claims and splits both change.
struct Tracked<F: Splittable> {
    tracker: F::Tracker,
    estimator: F::Watermark,
    /// What was reported last.
    watermark: Timestamp,
    fault: Option<Error>,
}

/// A restriction in two parts, and how far event time had come when it was cut.
pub struct Cut<F: Splittable> {
    /// What this bundle keeps.
    pub primary: Restriction<F>,
    /// What is left for later.
    pub residual: Restriction<F>,
    /// What the watermark estimator goes on with in the residual.
    pub state: WatermarkState<F>,
    /// The watermark of the residual.
    pub watermark: Timestamp,
}

impl<F: Splittable> Claims<F> {
    /// Claims on the restriction of a tracker. For those who run functions.
    pub fn new(tracker: F::Tracker, estimator: F::Watermark, clock: Arc<dyn Clock>) -> Self {
        Claims {
            tracked: Mutex::new(Tracked {
                tracker,
                estimator,
                watermark: Timestamp::MIN,
                fault: None,
            }),
            clock,
        }
    }

    fn tracked(&self) -> MutexGuard<'_, Tracked<F>> {
        self.tracked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims a position. If this yields `true`, it must be processed, and nobody else processes it; otherwise it must
    /// not be, and neither may what comes after it.
    #[must_use = "a position that is not claimed must not be processed"]
    pub fn claim(&self, position: Position<F>) -> bool {
        let mut tracked = self.tracked();
        if tracked.fault.is_some() {
            return false;
        }
        match tracked.tracker.claim(position) {
            Ok(claimed) => claimed,
            Err(error) => {
                tracked.fault = Some(error);
                false
            }
        }
    }

    /// The restriction as it is now. The runner may cut it at any time, so only its beginning is certain.
    pub fn restriction(&self) -> Restriction<F> {
        self.tracked().tracker.restriction()
    }

    /// Work that is claimed and work that is not, unless somebody is about to change that. Never waits.
    pub fn work(&self) -> Option<Work> {
        let tracked = self.tracked.try_lock().ok()?;
        contained(|| tracked.tracker.work())
    }

    /// How much of the work is claimed, between 0 and 1. Only where all is, that is 1.
    pub fn done(&self) -> f64 {
        let done = self.guarded(|tracked| {
            let most = 1.0 - f64::EPSILON;
            Some(match tracked.tracker.is_done() {
                true => 1.0,
                false => tracked.tracker.work().fraction().min(most),
            })
        });
        done.unwrap_or(1.0)
    }

    /// Takes away what lies beyond `fraction` of the work that is not claimed, if that can be done.
    pub fn split(&self, fraction: f64) -> Option<Cut<F>> {
        let now = Timestamp::from_millis(self.clock.now_millis());
        self.guarded(|tracked| {
            if tracked.fault.is_some() {
                return None;
            }
            // Read before the cut, under one lock: what is emitted from now on may be the residual's.
            let watermark = tracked.watermark.max(tracked.estimator.watermark(now));
            let state = tracked.estimator.state();
            let residual = tracked.tracker.split(fraction)?;
            tracked.watermark = watermark;
            Some(Cut {
                primary: tracked.tracker.restriction(),
                residual,
                state,
                watermark,
            })
        })
    }

    /// Calls what users wrote, on a thread that need not be the function's: what it throws fails the bundle.
    fn guarded<T>(&self, work: impl FnOnce(&mut Tracked<F>) -> Option<T>) -> Option<T> {
        let mut tracked = self.tracked();
        contained(|| work(&mut tracked)).unwrap_or_else(|| {
            let error = format!("{} panicked while it was split", type_name::<F::Tracker>());
            let error = Error::new(ErrorKind::Panic, error);
            tracked.fault.get_or_insert(error);
            None
        })
    }

    /// Fails the bundle: nothing can be claimed any more.
    pub fn fail(&self, error: Error) {
        self.tracked().fault.get_or_insert(error);
    }

    /// What went wrong, if anything did.
    ///
    /// # Errors
    /// A claim that must not be, or a split that failed.
    pub fn outcome(&self) -> Result<()> {
        match self.tracked().fault.take() {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// Checks that nothing is lost when `process` returns.
    ///
    /// # Errors
    /// Work that nobody claimed and nobody took away.
    pub fn check_done(&self) -> Result<()> {
        let tracked = self.tracked();
        if tracked.tracker.is_done() {
            return Ok(());
        }
        Err(Error::user(format!(
            "`process` of {} returned with work left unclaimed in {:?}: claim until a claim fails, or return \
             Resume::After to have the rest processed later",
            type_name::<F>(),
            tracked.tracker.restriction()
        )))
    }
}

impl<F: Splittable<Watermark = Manual>> Claims<F> {
    /// Says that no output for this element will come that is older than `to`.
    pub fn advance_watermark(&self, to: Timestamp) {
        self.tracked().estimator.advance(to);
    }
}

impl<F: Splittable> Observe for Claims<F> {
    fn observe(&self, timestamp: Timestamp) {
        self.tracked().estimator.observe(timestamp);
    }
}
