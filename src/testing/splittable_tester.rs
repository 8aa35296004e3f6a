//! Runs splittable functions by hand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;

use super::{Bench, Random};
use crate::dofn::{
    BundleCx, Claims, Clock, Commits, Cx, Describe, FunctionPayload, MetricCell, MetricSet, Named,
    Ports, Restriction, Resume, Scope, Services, SideReader, Splittable, StateKind, TimeDomain,
    View, WatermarkEstimator, WatermarkState, Wiring,
};
use crate::element::{Element, Header, Nesting, Timestamp, WindowBytes, WindowCoding, encoded};
use crate::error::{Context, Error, Result};
use crate::window::{Window, WindowFn};

/// What a run of `F` yields on a bench: [`Captured`](super::Captured) outputs under the names of their ports.
pub type SplittableOutputs<F> = <<F as Splittable>::Io as Ports<F>>::Outputs<Bench>;

/// What `F` must be given on a bench: vectors of elements under the names of the side inputs.
pub type SplittableSides<F> = <<F as Splittable>::Io as Ports<F>>::Sides<Bench>;

/// Runs elements through a splittable function, as runner and worker do together: pairs them with their work, splits it,
/// and processes the parts, also those that are left for later, until nothing is left.
///
/// A test may have parts cut before they are processed, [at random](Self::cutting) or
/// [where it wants](Self::split_at).
///
/// ```
/// use ferrobeam::prelude::*;
/// use ferrobeam::testing::SplittableTester;
///
/// /// Counts up to the number that comes in, ten at a time.
/// #[derive(serde::Serialize, serde::Deserialize, DoFn)]
/// #[beam(name = "docs.Tens/v1")]
/// struct Tens;
///
/// impl Splittable for Tens {
///     type In = i64;
///     type Tracker = OffsetTracker;
///     type Watermark = Held;
///     type Io = Out<i64>;
///
///     fn initial(&self, n: &i64) -> Result<OffsetRange> {
///         Ok(OffsetRange::new(0, *n))
///     }
///
///     fn process(
///         &mut self,
///         _n: &i64,
///         claims: &Claims<Self>,
///         cx: &mut Cx,
///         out: &mut Out<i64>,
///     ) -> Result<Resume> {
///         let start = claims.restriction().start;
///         for next in start..start + 10 {
///             if !claims.claim(next) {
///                 return Ok(Resume::Done);
///             }
///             out.emit(cx, next);
///         }
///         Ok(Resume::After(std::time::Duration::from_secs(1)))
///     }
/// }
///
/// let mut tester = SplittableTester::of(Tens);
/// assert_eq!(tester.run([25])?.values(), Vec::from_iter(0..25));
/// assert_eq!(tester.resumed(), 2);
/// assert_eq!(tester.waited(), std::time::Duration::from_secs(2));
///
/// // However the work is cut, all of it is done once.
/// let mut values = tester.cutting(7).run([25])?.values();
/// values.sort();
/// assert_eq!(values, Vec::from_iter(0..25));
///
/// let parts = tester.split_at(&40, OffsetRange::new(0, 40), 0.25)?;
/// assert_eq!(parts, Some((OffsetRange::new(0, 10), OffsetRange::new(10, 40))));
/// # Ok::<(), ferrobeam::Error>(())
/// ```
pub struct SplittableTester<F: Splittable> {
    function: F,
    is_set_up: bool,
    is_broken: bool,
    timestamp: Timestamp,
    windowing: WindowFn,
    bench: Bench,
    metrics: MetricSet,
    options: BTreeMap<String, serde_json::Value>,
    clock: Arc<TestClock>,
    /// Where parts are cut, if they are.
    cuts: Option<Random>,
    drains: bool,
    resumed: usize,
    watermark: Timestamp,
}

/// A part of an element in one window, or in all where none is looked at.
struct Part<F: Splittable> {
    /// In milliseconds of the tester's clock.
    due: i64,
    header: Header,
    element: F::In,
    restriction: Restriction<F>,
    state: WatermarkState<F>,
}

impl<F: Splittable> SplittableTester<F> {
    /// A tester of this very instance.
    pub fn of(function: F) -> Self {
        SplittableTester {
            function,
            is_set_up: false,
            is_broken: false,
            timestamp: Timestamp::MIN,
            windowing: WindowFn::Global,
            bench: Bench::default(),
            metrics: MetricSet::default(),
            options: BTreeMap::new(),
            clock: Arc::default(),
            cuts: None,
            drains: false,
            resumed: 0,
            watermark: Timestamp::MIN,
        }
    }

    /// A tester of what a worker makes of `function`: one that went through its payload.
    ///
    /// # Errors
    /// The configuration cannot be written or read back.
    pub fn sent(function: &F) -> Result<Self>
    where
        F: Named,
    {
        FunctionPayload::sent(function).map(Self::of)
    }

    /// Gives the side inputs. They are the same in every window.
    #[must_use]
    pub fn sides(mut self, sides: SplittableSides<F>) -> Self {
        F::Io::sides(&mut self.bench, sides);
        self
    }

    /// Gives a pipeline option.
    #[must_use]
    pub fn option(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.options.insert(name.into(), value.into());
        self
    }

    /// Puts each element in the windows that its timestamp lies in.
    #[must_use]
    pub fn in_windows(mut self, windowing: WindowFn) -> Self {
        self.windowing = windowing;
        self
    }

    /// Sets the time of elements.
    #[must_use]
    pub fn at(mut self, timestamp: Timestamp) -> Self {
        self.timestamp = timestamp;
        self
    }

    /// Cuts parts before they are processed from now on, at places that the seed chooses: what is cut off is processed
    /// later.
    pub fn cutting(&mut self, seed: u64) -> &mut Self {
        self.cuts = Some(Random::new(seed));
        self
    }

    /// Truncates parts before they are processed from now on, as a pipeline that is drained does.
    pub fn draining(&mut self) -> &mut Self {
        self.drains = true;
        self
    }

    /// How often parts were left for later in the last run.
    pub fn resumed(&self) -> usize {
        self.resumed
    }

    /// How much time passed on the tester's clock, which only moves when all that is left waits for it.
    pub fn waited(&self) -> Duration {
        let millis = self.clock.0.load(Relaxed);
        Duration::from_millis(millis.cast_unsigned())
    }

    /// The watermark of the part that was left for later last.
    pub fn watermark(&self) -> Timestamp {
        self.watermark
    }

    /// The sum of a counter in the last run; `None` if there is no such counter.
    pub fn counter(&self, name: &str) -> Option<i64> {
        let mut metrics = self.metrics.iter();
        let (_, cell) = metrics.find(|(id, _)| id.name == name)?;
        match cell {
            MetricCell::Counter(cell) => Some(cell.get()),
            _ => None,
        }
    }

    /// The parts that the work on an element is split into before it is processed, with their sizes.
    ///
    /// # Errors
    /// What the function says, or a size that is negative or not finite.
    pub fn parts(&self, element: &F::In) -> Result<Vec<(Restriction<F>, f64)>> {
        let all = self.function.initial(element)?;
        let parts = self.function.split(element, all)?.into_iter();
        let sized = parts.map(|part| {
            let size = self.function.size(element, &part)?;
            if size.is_finite() && size >= 0.0 {
                Ok((part, size))
            } else {
                Err(Error::user(format!(
                    "the size of the restriction {part:?} is {size}: sizes are finite and not negative"
                )))
            }
        });
        sized.collect()
    }

    /// Cuts a restriction of which nothing is claimed at a fraction of its work. Yields both parts; `None` if it cannot be
    /// cut there.
    ///
    /// # Errors
    /// What the function says.
    pub fn split_at(
        &self,
        element: &F::In,
        restriction: Restriction<F>,
        fraction: f64,
    ) -> Result<Option<(Restriction<F>, Restriction<F>)>> {
        let tracker = self.function.tracker(element, restriction)?;
        let claims = self.claims(tracker, F::Watermark::initial(self.timestamp));
        let cut = claims.split(fraction);
        claims.outcome()?;
        Ok(cut.map(|cut| (cut.primary, cut.residual)))
    }

    fn claims(&self, tracker: F::Tracker, state: WatermarkState<F>) -> Claims<F> {
        Claims::new(tracker, F::Watermark::new(state), self.clock.clone())
    }

    /// Runs elements to their end.
    ///
    /// # Errors
    /// What fails the bundle; or an earlier run failed.
    pub fn run(
        &mut self,
        elements: impl IntoIterator<Item = F::In>,
    ) -> Result<SplittableOutputs<F>> {
        if self.is_broken {
            return Err(Error::user(
                "an earlier run failed, and a worker gives a function up when it does; make a new tester",
            ));
        }
        self.is_broken = true;
        if !self.is_set_up {
            self.function.setup().at("step", "setup")?;
            self.is_set_up = true;
        }
        self.resumed = 0;
        let outputs = F::Io::outputs(&mut self.bench);
        let mut io = self.wire()?;
        io.start()?;
        let started = self.function.start_bundle(&mut io);
        started.at("step", "start_bundle")?;
        let mut parts = Vec::new();
        for element in elements {
            parts.extend(self.begin(&element)?);
        }
        self.process_all(&mut io, parts)?;
        io.leave();
        let mut cx = BundleCx::new();
        let finished = self.function.finish_bundle(&mut cx, &mut io);
        finished
            .and_then(|()| cx.outcome())
            .at("step", "finish_bundle")?;
        io.finish()?;
        self.is_broken = false;
        Ok(outputs)
    }

    fn wire(&mut self) -> Result<F::Io> {
        refuse_forgotten_sides::<F>(&self.bench)?;
        let services = Services {
            state: self.bench.state(),
            clock: self.clock.clone(),
            options: self.options.clone().into_iter().collect(),
            commits: Commits::default(),
        };
        self.metrics = MetricSet::default();
        let mut wiring = Wiring::new("test", "test", &mut self.metrics, &services);
        for (tag, slot) in self.bench.take_outs() {
            wiring.add_out(tag, slot);
        }
        for tag in self.bench.sides().tags() {
            let reader = SideReader::new(
                services.state.clone(),
                wiring.transform().clone(),
                tag,
                Arc::new(|_: &[u8]| Ok(Bytes::new())),
            );
            wiring.add_side(tag, reader);
        }
        wiring.add_after_commit();
        F::Io::wire(&mut wiring)
    }

    /// The parts of an element, in each of its windows if a port looks at windows.
    fn begin(&self, element: &F::In) -> Result<Vec<Part<F>>> {
        let function = &self.function;
        let all = function.initial(element)?;
        let state = function.initial_watermark(element, &all, self.timestamp)?;
        let headers = self.headers()?;
        let mut parts = Vec::new();
        for (restriction, _) in self.parts(element)? {
            let left = if self.drains {
                function.truncate(element, restriction)?
            } else {
                Some(restriction)
            };
            let Some(restriction) = left else {
                continue;
            };
            parts.extend(headers.iter().map(|header| Part {
                due: 0,
                header: header.clone(),
                element: element.clone(),
                restriction: restriction.clone(),
                state: state.clone(),
            }));
        }
        Ok(parts)
    }

    /// The headers that an element is processed under.
    fn headers(&self) -> Result<Vec<Header>> {
        let mut header = Header::global(self.timestamp);
        if self.windowing != WindowFn::Global {
            header.windows = WindowBytes::none();
            self.windowing.assign(self.timestamp, |window| {
                header.windows.push(&encoded(&window, Nesting::Nested));
            });
        }
        if !F::Io::OBSERVES_WINDOWS {
            return Ok(vec![header]);
        }
        let coding = WindowCoding::of(&self.windowing.coder())?;
        let windows = header.windows.split(&coding)?;
        let in_one = |window: &&[u8]| {
            let mut header = header.clone();
            header.windows.set_one(window);
            header
        };
        Ok(windows.iter().map(in_one).collect())
    }

    /// Processes parts in order, and then what is left of them.
    fn process_all(&mut self, io: &mut F::Io, mut parts: Vec<Part<F>>) -> Result<()> {
        while !parts.is_empty() {
            let mut left = Vec::new();
            parts.sort_by_key(|part| part.due);
            for part in parts {
                self.clock.0.fetch_max(part.due, Relaxed);
                left.extend(self.process(io, part)?);
            }
            parts = left;
        }
        Ok(())
    }

    /// Processes one part. Yields what is left of it.
    fn process(&mut self, io: &mut F::Io, part: Part<F>) -> Result<Vec<Part<F>>> {
        let Part {
            due,
            header,
            element,
            restriction,
            state,
        } = part;
        let begun = state.clone();
        let tracker = self.function.tracker(&element, restriction)?;
        let claims = self.claims(tracker, state);
        let part = |due, restriction, state| Part {
            due,
            header: header.clone(),
            element: element.clone(),
            restriction,
            state,
        };
        let mut left = Vec::new();
        if let Some(cut) = self.next_fraction().and_then(|at| claims.split(at)) {
            left.push(part(due, cut.residual, begun));
        }
        if F::Io::OBSERVES_WINDOWS {
            io.enter(&Scope::of_window(header.windows.bytes()))?;
        }
        let mut cx = Cx::observed(&header, F::ALLOWED_TIMESTAMP_SKEW, &claims);
        let resume = self.function.process(&element, &claims, &mut cx, io)?;
        cx.outcome()?;
        claims.outcome()?;
        if let Resume::After(delay) = resume
            && let Some(cut) = claims.split(0.0)
        {
            self.resumed += 1;
            self.watermark = cut.watermark;
            let delay = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
            let due = self.clock.0.load(Relaxed).saturating_add(delay);
            left.push(part(due, cut.residual, cut.state));
        }
        claims.outcome()?;
        claims.check_done()?;
        Ok(left)
    }

    /// Where to cut the next part, if it is to be cut. Never at its beginning: parts of parts must come to an end.
    fn next_fraction(&mut self) -> Option<f64> {
        let random = self.cuts.as_mut()?;
        let fraction = 0.1 + random.below(80) as f64 / 100.0;
        random.percent(50).then_some(fraction)
    }
}

impl<F: Splittable> Drop for SplittableTester<F> {
    fn drop(&mut self) {
        if self.is_set_up {
            self.function.teardown();
        }
    }
}

fn refuse_forgotten_sides<F: Splittable>(bench: &Bench) -> Result<()> {
    let mut sides = Sides::default();
    F::Io::describe(&mut sides);
    let is_given = |side: &str| bench.sides().tags().any(|tag| tag == side);
    match sides.0.iter().find(|side| !is_given(side)) {
        Some(side) => Err(Error::user(format!(
            "the function reads a side input {side:?}; give it with SplittableTester::sides"
        ))),
        None => Ok(()),
    }
}

/// The side inputs that a function reads.
#[derive(Default)]
struct Sides(Vec<&'static str>);

impl Describe for Sides {
    fn output<T: Element>(&mut self, _tag: &'static str) {}

    fn side<V: View>(&mut self, tag: &'static str) {
        self.0.push(tag);
    }

    fn window<W: Window>(&mut self) {}

    fn state(&mut self, _tag: &'static str, _kind: StateKind) {}

    fn timer(&mut self, _tag: &'static str, _domain: TimeDomain) {}
}

/// A clock that begins in 1970.
#[derive(Default)]
struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now_millis(&self) -> i64 {
        self.0.load(Relaxed)
    }
}
