//! Runs bundles of a function by hand.

use std::any::type_name;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;

use super::tester_timers::{Family, Pending, key_of};
use super::{Bench, Requests};
use crate::dofn::timer::{TimerHandlers, TimerRules, TimerWiring};
use crate::dofn::{
    BundleCx, Clock, Commit, Commits, Cx, Describe, DoFn, FunctionPayload, MetricCell, MetricSet,
    Named, Ports, Scope, Services, SideReader, StateKind, TimeDomain, View, Wiring,
};
use crate::element::{
    Coder, Element, Header, Nesting, Pane, Timestamp, WindowBytes, WindowCoding, encoded,
};
use crate::error::{Context, Error, Result};
use crate::exec::LocalTimers;
use crate::model::descriptor::end_of_windows;
use crate::pipeline::{Keeping, protocol};
use crate::window::{Window, WindowFn};

/// What a bundle of `F` yields on a bench: [`Captured`](super::Captured) outputs under the names of their ports.
pub type OutputsOf<F> = <<F as DoFn>::Io as Ports<F>>::Outputs<Bench>;

/// What `F` must be given on a bench: vectors of elements under the names of the side inputs.
pub type SidesOf<F> = <<F as DoFn>::Io as Ports<F>>::Sides<Bench>;

/// Runs bundles through one instance of a function, as a worker does: `setup` comes before the first bundle,
/// `teardown` when the tester is dropped, and after an error there are no more bundles.
///
/// Elements are in the global window at the beginning of time, unless told otherwise. The
/// [module's documentation](super) has an example.
pub struct DoFnTester<F: DoFn> {
    pub(super) function: F,
    is_set_up: bool,
    /// A bundle failed, or is at work.
    is_broken: bool,
    pub(super) timestamp: Timestamp,
    pub(super) windowing: WindowFn,
    pane: Pane,
    bench: Bench,
    metrics: MetricSet,
    commits: Commits,
    pub(super) pending: Pending,
    options: BTreeMap<String, serde_json::Value>,
    pub(super) keeping: Keeping,
}

/// The ports of one bundle.
pub(super) struct Wired<F: DoFn> {
    pub(super) io: F::Io,
    pub(super) handlers: TimerHandlers<F>,
    /// What the bundle does to timers.
    pub(super) local: Arc<Mutex<LocalTimers>>,
    pub(super) rules: TimerRules,
}

impl<F: DoFn> DoFnTester<F> {
    /// A tester of this very instance.
    pub fn of(function: F) -> Self {
        DoFnTester {
            function,
            is_set_up: false,
            is_broken: false,
            timestamp: Timestamp::MIN,
            windowing: WindowFn::Global,
            pane: Pane::NO_FIRING,
            bench: Bench::default(),
            metrics: MetricSet::default(),
            commits: Commits::default(),
            pending: Pending::default(),
            options: BTreeMap::new(),
            keeping: Keeping::default(),
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
    pub fn sides(mut self, sides: SidesOf<F>) -> Self {
        F::Io::sides(&mut self.bench, sides);
        self
    }

    /// Puts each element in the windows that its timestamp lies in.
    #[must_use]
    pub fn in_windows(mut self, windowing: WindowFn) -> Self {
        self.windowing = windowing;
        self
    }

    /// Puts elements in a pane.
    #[must_use]
    pub fn in_pane(mut self, pane: Pane) -> Self {
        self.pane = pane;
        self
    }

    /// Sets the time of elements that [`DoFnTester::run`] runs.
    #[must_use]
    pub fn at(mut self, timestamp: Timestamp) -> Self {
        self.timestamp = timestamp;
        self
    }

    /// Gives a pipeline option. Job services pass numbers on as text.
    #[must_use]
    pub fn option(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.options.insert(name.into(), value.into());
        self
    }

    /// Keeps sets, maps and multimaps as runners do that only know lists of values, such as Flink:
    /// [`Pipeline::keeping_maps_in_bags`](crate::pipeline::Pipeline::keeping_maps_in_bags).
    #[must_use]
    pub fn keeping_maps_in_bags(mut self) -> Self {
        self.keeping = Keeping::MapsInBags;
        self
    }

    /// Hands state out in pages of so many bytes.
    #[must_use]
    pub fn in_pages(self, bytes: usize) -> Self {
        self.bench.cells().cut(bytes);
        self
    }

    /// How often state was read and written since the last call.
    pub fn state_requests(&self) -> Requests {
        self.bench.cells().take_requests()
    }

    /// Runs one bundle.
    ///
    /// # Errors
    /// What fails the bundle; or an earlier bundle failed.
    pub fn run(&mut self, elements: impl IntoIterator<Item = F::In>) -> Result<OutputsOf<F>> {
        let timestamp = self.timestamp;
        self.run_at(elements.into_iter().map(|element| (timestamp, element)))
    }

    /// Runs one bundle of elements that each have a time.
    ///
    /// # Errors
    /// As [`DoFnTester::run`].
    pub fn run_at(
        &mut self,
        elements: impl IntoIterator<Item = (Timestamp, F::In)>,
    ) -> Result<OutputsOf<F>> {
        self.run_bundle(|tester, wired| {
            tester.process_all(wired, elements)?;
            tester.pending.take_over(&wired.local);
            Ok(())
        })
    }

    /// Runs one bundle of what `work` does.
    pub(super) fn run_bundle(
        &mut self,
        work: impl FnOnce(&mut Self, &mut Wired<F>) -> Result<()>,
    ) -> Result<OutputsOf<F>> {
        if self.is_broken {
            return Err(Error::user(
                "an earlier bundle failed, and a worker gives a function up when it does; make a new tester",
            ));
        }
        self.is_broken = true;
        if !self.is_set_up {
            self.function.setup().at("step", "setup")?;
            self.is_set_up = true;
        }
        let outputs = F::Io::outputs(&mut self.bench);
        let mut wired = self.wire()?;
        self.bundle(&mut wired, work)?;
        self.is_broken = false;
        Ok(outputs)
    }

    /// Says that all bundles so far are committed: calls what functions registered with
    /// [`AfterCommit`](crate::dofn::AfterCommit) and has not expired by the tester's clock, in order.
    ///
    /// # Errors
    /// The first error of a callback; or a bundle failed, and its callbacks must not be called.
    pub fn commit(&mut self) -> Result<()> {
        if self.is_broken {
            return Err(Error::user("a bundle that failed cannot be committed"));
        }
        let now = self.pending.clock.now_millis();
        let mut commits = self.commits.take();
        commits.retain(|commit| !commit.is_expired(now));
        let outcomes: Vec<Result<()>> = commits.into_iter().map(Commit::run).collect();
        outcomes.into_iter().collect()
    }

    pub(super) fn metric(&self, name: &str) -> Option<&MetricCell> {
        let mut metrics = self.metrics.iter();
        metrics
            .find(|(id, _)| id.name == name)
            .map(|(_, cell)| cell)
    }

    pub(super) fn services(&self) -> Services {
        Services {
            state: self.bench.state(),
            clock: self.pending.clock.clone(),
            options: self.options.clone().into_iter().collect(),
            commits: self.commits.clone(),
        }
    }

    fn wire(&mut self) -> Result<Wired<F>> {
        let mut needs = Needs::default();
        F::Io::describe(&mut needs);
        needs.check(&self.bench, &self.windowing)?;
        self.pending.families = needs.timers;

        let services = self.services();
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
        for (tag, kind) in needs.states {
            wiring.add_state(tag, protocol(&kind, self.keeping));
        }
        wiring.add_after_commit();
        let families = &self.pending.families;
        let domains = families.iter().map(|family| family.domain).collect();
        let local = Arc::new(Mutex::new(LocalTimers::new(domains)));
        let rules = TimerRules {
            end_of: end_of_windows(&self.windowing.coder()),
            allowed_lateness: Duration::ZERO,
        };
        let families = families.iter();
        let families = families.map(|family| (family.name.to_owned(), family.domain));
        wiring.add_timers(TimerWiring::new(families, local.clone(), rules));
        let io = F::Io::wire(&mut wiring)?;
        let handlers = wiring.timer_handlers();
        for (index, family) in self.pending.families.iter_mut().enumerate() {
            family.tag = handlers.tag(index);
        }
        Ok(Wired {
            io,
            handlers,
            local,
            rules,
        })
    }

    fn bundle(
        &mut self,
        wired: &mut Wired<F>,
        work: impl FnOnce(&mut Self, &mut Wired<F>) -> Result<()>,
    ) -> Result<()> {
        wired.io.start()?;
        let started = self.function.start_bundle(&mut wired.io);
        started.at("step", "start_bundle")?;
        work(self, wired)?;
        let io = &mut wired.io;
        let mut cx = BundleCx::new();
        io.leave();
        self.function
            .finish_bundle(&mut cx, io)
            .and_then(|()| cx.outcome())
            .at("step", "finish_bundle")?;
        io.finish()
    }

    fn process_all(
        &mut self,
        wired: &mut Wired<F>,
        elements: impl IntoIterator<Item = (Timestamp, F::In)>,
    ) -> Result<()> {
        let coding = WindowCoding::of(&self.windowing.coder())?;
        for (timestamp, element) in elements {
            let header = Header {
                timestamp,
                windows: self.windows(timestamp),
                pane: self.pane,
                metadata: None,
            };
            if F::Io::OBSERVES_WINDOWS {
                let key = if F::Io::KEYED {
                    key_of(&element)?
                } else {
                    Vec::new()
                };
                for window in header.windows.split(&coding)? {
                    let scope = Scope { key: &key, window };
                    self.pending.saw(&scope, &wired.rules)?;
                    wired.io.enter(&scope)?;
                    let mut header = header.clone();
                    header.windows.set_one(window);
                    self.process(&mut wired.io, &header, element.clone())?;
                }
            } else if header.windows.count() > 0 {
                self.process(&mut wired.io, &header, element)?;
            }
        }
        Ok(())
    }

    fn process(&mut self, io: &mut F::Io, header: &Header, element: F::In) -> Result {
        let mut cx = Cx::new(header, F::ALLOWED_TIMESTAMP_SKEW);
        self.function.process(element, &mut cx, io)?;
        cx.outcome()
    }

    pub(super) fn windows(&self, timestamp: Timestamp) -> WindowBytes {
        if self.windowing == WindowFn::Global {
            return WindowBytes::global();
        }
        let mut windows = WindowBytes::none();
        self.windowing.assign(timestamp, |window| {
            windows.push(&encoded(&window, Nesting::Nested));
        });
        windows
    }
}

impl<F: DoFn> Drop for DoFnTester<F> {
    fn drop(&mut self) {
        if self.is_set_up {
            self.function.teardown();
        }
    }
}

/// What the ports want of the bench.
#[derive(Default)]
pub(super) struct Needs {
    sides: Vec<&'static str>,
    window: Option<(Coder, &'static str)>,
    pub(super) states: Vec<(&'static str, StateKind)>,
    timers: Vec<Family>,
}

impl Needs {
    fn check(&self, bench: &Bench, windowing: &WindowFn) -> Result<()> {
        let is_given = |side: &str| bench.sides().tags().any(|tag| tag == side);
        if let Some(side) = self.sides.iter().find(|side| !is_given(side)) {
            return Err(Error::user(format!(
                "the function reads a side input {side:?}; give it with DoFnTester::sides"
            )));
        }
        match &self.window {
            Some((coder, wanted)) if *coder != windowing.coder() => Err(Error::user(format!(
                "the function looks at windows of {wanted}, but the elements are in windows of {}; choose with \
                 DoFnTester::in_windows",
                windowing.coder()
            ))),
            _ => Ok(()),
        }
    }
}

impl Describe for Needs {
    fn output<T: Element>(&mut self, _tag: &'static str) {}

    fn side<V: View>(&mut self, tag: &'static str) {
        self.sides.push(tag);
    }

    fn window<W: Window>(&mut self) {
        self.window = Some((W::coder(), type_name::<W>()));
    }

    fn state(&mut self, tag: &'static str, kind: StateKind) {
        self.states.push((tag, kind));
    }

    fn timer(&mut self, tag: &'static str, domain: TimeDomain) {
        self.timers.push(Family {
            name: tag,
            domain,
            is_expiration: false,
            tag: None,
        });
    }

    fn window_expiration(&mut self, tag: &'static str) {
        self.timers.push(Family {
            name: tag,
            domain: TimeDomain::EventTime,
            is_expiration: true,
            tag: None,
        });
    }
}
