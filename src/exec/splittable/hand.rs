//! The element in hand of a splittable function: processed by one thread, cut by another.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::roots::{Part, Residual, Root, Roots};
use super::{Begun, Parts};
use crate::dofn::{Claims, Clock, Cut, Resume, Splittable, WatermarkEstimator, Work};
use crate::element::{Coder, Header, Kv, Timestamp};
use crate::error::{Error, Result};
use crate::exec::plan::from_panic;
use crate::exec::split::{WindowCut, window_cut};

/// What a hand needs to know of its place.
pub(crate) struct HandPlace {
    /// The index of the function's node.
    pub(crate) node: usize,
    /// The coder of the function's input.
    pub(crate) wire: Coder,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What came of a wish to cut an element.
#[derive(Debug)]
pub enum AtElement {
    /// It is not in hand.
    Elsewhere,
    /// It is not cut. So much of it is done, between 0 and 1.
    Whole(f64),
    /// It was cut.
    Cut {
        /// What this bundle keeps of it.
        primaries: Vec<Root>,
        /// What it does not.
        residuals: Vec<Root>,
    },
}

/// The element in hand of some splittable function, as other threads see it.
pub trait InHand: Send + Sync {
    /// The index of the function's node.
    fn node(&self) -> usize;

    /// Forgets everything: a new bundle begins.
    fn reset(&self);

    /// How much of the element in hand is done, and how much is left. What was known last while the function is at it;
    /// `None` where there is no element. Never waits.
    fn work(&self) -> Option<Work>;

    /// What the function left for later by itself. Takes it away.
    fn take_left(&self) -> Vec<Residual>;

    /// Cuts element `index` of the bundle, if it is in hand. `decide` is told how much of it is done, and says at which
    /// fraction of the rest to cut; `commit` is called when that has happened, before the function can go on to the next
    /// element.
    fn cut(&self, index: u64, decide: &dyn Fn(f64) -> Option<f64>, commit: &dyn Fn()) -> AtElement;
}

/// Primaries and residuals.
type CutRoots = (Vec<Root>, Vec<Root>);

/// The element in hand, as the function's own thread sees it.
pub(super) struct Hand<F: Splittable> {
    place: HandPlace,
    roots: Roots<F>,
    bundle: Mutex<Bundle<F>>,
    last: Mutex<Option<Work>>,
}

/// What a bundle has in hand, and what it left.
struct Bundle<F: Splittable> {
    active: Option<Active<F>>,
    left: Vec<Residual>,
}

/// One element, which the function processes in some windows one after the other.
struct Active<F: Splittable> {
    /// Which element of the bundle it is.
    index: u64,
    header: Header,
    element: F::In,
    /// The work on it in each window.
    begun: Begun<F>,
    /// Its windows as encoded, or all of them as one.
    windows: Vec<Option<Vec<u8>>>,
    /// The window in hand.
    window: usize,
    /// The first window that is not this bundle's.
    stop: usize,
    claims: Arc<Claims<F>>,
}

impl<F: Splittable> Active<F> {
    /// The header of the element in some of its windows.
    fn header(&self, windows: Range<usize>) -> Header {
        let mut header = self.header.clone();
        let windows = &self.windows[windows];
        if windows.iter().any(Option::is_some) {
            header.windows.clear();
            for window in windows.iter().flatten() {
                header.windows.push(window);
            }
        }
        header
    }

    /// The header of the element in the window in hand.
    fn header_in_hand(&self) -> Header {
        self.header(self.window..self.window + 1)
    }
}

impl<F: Splittable> Hand<F> {
    /// A hand. `function` is an instance for the sizes of parts.
    pub(super) fn new(function: F, place: HandPlace) -> Result<Self> {
        Ok(Hand {
            roots: Roots::new(place.node, function, &place.wire)?,
            place,
            bundle: Mutex::new(Bundle {
                active: None,
                left: Vec::new(),
            }),
            last: Mutex::new(None),
        })
    }

    fn bundle(&self) -> MutexGuard<'_, Bundle<F>> {
        self.bundle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last(&self) -> MutexGuard<'_, Option<Work>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claims(&self, function: &F, element: &F::In, begun: &Begun<F>) -> Result<Arc<Claims<F>>> {
        let Kv(restriction, state) = begun.clone();
        let tracker = function.tracker(element, restriction)?;
        let estimator = F::Watermark::new(state);
        let clock = self.place.clock.clone();
        Ok(Arc::new(Claims::new(tracker, estimator, clock)))
    }

    /// Takes an element into hand, in its first window. `windows` are those that it is processed in one by one, or `None`
    /// for all at once.
    pub(super) fn take(
        &self,
        index: u64,
        function: &F,
        header: &Header,
        windows: Vec<Option<Vec<u8>>>,
        Kv(Kv(element, begun), _): Parts<F>,
    ) -> Result<Taken<F>> {
        let claims = self.claims(function, &element, &begun)?;
        let active = Active {
            index,
            header: header.clone(),
            element: element.clone(),
            begun,
            stop: windows.len(),
            windows,
            window: 0,
            claims: claims.clone(),
        };
        let header = active.header_in_hand();
        *self.last() = None;
        self.bundle().active = Some(active);
        Ok(Taken {
            element,
            header,
            claims,
        })
    }

    /// The function is through with the window in hand: sees to what is left, and goes on to the next. Yields whether
    /// there is one.
    pub(super) fn go_on(&self, function: &F, taken: &mut Taken<F>, resume: Resume) -> Result<bool> {
        let mut bundle = self.bundle();
        let Bundle { active, left } = &mut *bundle;
        let Some(active) = active else {
            return Err(Error::descriptor("the element in hand is gone"));
        };
        taken.claims.outcome()?;
        if let Resume::After(delay) = resume
            && let Some(cut) = active.claims.split(0.0)
        {
            let roots = self.residuals(active, cut)?;
            left.extend(roots.into_iter().map(|root| Residual { root, delay }));
            active.stop = active.window + 1;
        }
        taken.claims.outcome()?;
        taken.claims.check_done()?;
        if active.window + 1 >= active.stop {
            bundle.active = None;
            return Ok(false);
        }
        active.claims = self.claims(function, &active.element, &active.begun)?;
        active.window += 1;
        taken.header = active.header_in_hand();
        taken.claims = active.claims.clone();
        Ok(true)
    }

    /// What is left of an element that was cut in the window in hand: the rest of the window, and the windows behind it.
    fn residuals(&self, active: &Active<F>, cut: Cut<F>) -> Result<Vec<Root>> {
        let rest = Part {
            begun: Kv(cut.residual, cut.state),
            watermark: cut.watermark,
        };
        let header = active.header_in_hand();
        let mut roots = vec![self.roots.root(&header, &active.element, rest)?];
        if active.window + 1 < active.stop {
            roots.push(self.whole(active, active.window + 1..active.stop)?);
        }
        Ok(roots)
    }

    /// The element with all the work on it, in some of its windows.
    fn whole(&self, active: &Active<F>, windows: Range<usize>) -> Result<Root> {
        let now = Timestamp::from_millis(self.place.clock.now_millis());
        let mut estimator = F::Watermark::new(active.begun.1.clone());
        let part = Part {
            begun: active.begun.clone(),
            watermark: estimator.watermark(now),
        };
        self.roots
            .root(&active.header(windows), &active.element, part)
    }

    /// Cuts the element in hand at a fraction of what is left of it. Yields nothing, and changes nothing, if that cannot be
    /// done.
    fn cut_active(&self, active: &mut Active<F>, fraction: f64) -> Result<Option<CutRoots>> {
        let done = active.claims.done();
        let (window, stop) = (active.window, active.stop);
        let first = match window_cut(window, stop, done, fraction) {
            Some(WindowCut::Within(fraction)) => match active.claims.split(fraction) {
                Some(cut) => return self.cut_within(active, cut).map(Some),
                // What is left of the window cannot be cut: then between the windows.
                None if window + 1 < stop => window + 1,
                None => return Ok(None),
            },
            Some(WindowCut::Before(first)) => first,
            None => return Ok(None),
        };
        let primaries = vec![self.whole(active, 0..first)?];
        let residuals = vec![self.whole(active, first..stop)?];
        active.stop = first;
        Ok(Some((primaries, residuals)))
    }

    fn cut_within(&self, active: &mut Active<F>, cut: Cut<F>) -> Result<CutRoots> {
        let mut primaries = Vec::new();
        if active.window > 0 {
            primaries.push(self.whole(active, 0..active.window)?);
        }
        // The primary begins where the element began, and so does its estimator.
        let kept = Part {
            begun: Kv(cut.primary.clone(), active.begun.1.clone()),
            watermark: cut.watermark,
        };
        let header = active.header_in_hand();
        primaries.push(self.roots.root(&header, &active.element, kept)?);
        let residuals = self.residuals(active, cut)?;
        active.stop = active.window + 1;
        Ok((primaries, residuals))
    }
}

/// What the function gets of the element in hand.
pub(super) struct Taken<F: Splittable> {
    pub(super) element: F::In,
    pub(super) header: Header,
    pub(super) claims: Arc<Claims<F>>,
}

impl<F: Splittable> InHand for Hand<F> {
    fn node(&self) -> usize {
        self.place.node
    }

    fn reset(&self) {
        let mut bundle = self.bundle();
        bundle.active = None;
        bundle.left.clear();
        drop(bundle);
        *self.last() = None;
    }

    fn work(&self) -> Option<Work> {
        let Ok(bundle) = self.bundle.try_lock() else {
            return *self.last();
        };
        let active = bundle.active.as_ref()?;
        let Some(one) = active.claims.work() else {
            return *self.last();
        };
        let whole = one.completed + one.remaining;
        let work = Work {
            completed: one.completed + active.window as f64 * whole,
            remaining: one.remaining + (active.stop - active.window - 1) as f64 * whole,
        };
        *self.last() = Some(work);
        Some(work)
    }

    fn take_left(&self) -> Vec<Residual> {
        std::mem::take(&mut self.bundle().left)
    }

    fn cut(&self, index: u64, decide: &dyn Fn(f64) -> Option<f64>, commit: &dyn Fn()) -> AtElement {
        // While this is locked, the function cannot go on to another element. It can claim.
        let mut bundle = self.bundle();
        let active = match &mut bundle.active {
            Some(active) if active.index == index => active,
            _ => return AtElement::Elsewhere,
        };
        let windows = active.window as f64 + active.claims.done();
        let done = windows / active.stop as f64;
        let Some(fraction) = decide(done) else {
            return AtElement::Whole(done);
        };
        let cut = catch_unwind(AssertUnwindSafe(|| self.cut_active(active, fraction)));
        match cut.unwrap_or_else(|payload| Err(from_panic(payload))) {
            Ok(Some((primaries, residuals))) => {
                commit();
                AtElement::Cut {
                    primaries,
                    residuals,
                }
            }
            Ok(None) => AtElement::Whole(done),
            // The tracker may have been cut already. Nobody gets what it gave up, so the bundle must fail.
            Err(error) => {
                active.claims.fail(error.at("step", "split"));
                AtElement::Whole(done)
            }
        }
    }
}
