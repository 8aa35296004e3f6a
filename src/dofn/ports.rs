//! Ports: how a function is connected, field by field.

use std::any::{Any, type_name};
use std::collections::HashMap;
use std::sync::Arc;

use super::timer::{self, TimerHandlers, TimerWiring};
use super::{
    AfterCommit, Discard, DoFn, Link, Meter, MetricId, MetricSet, Out, Scope, Services, SideReader,
    Site, StateKind, StateProtocol, TimeDomain, View,
};
use crate::element::{Element, Input, Nesting};
use crate::error::{Error, ErrorKind, Result};
use crate::window::{GlobalWindow, Window};

/// All ports of a function. Derive it for a struct whose fields are ports.
///
/// The derive also makes `…Outputs<S>` and `…Sides<S>`: the outputs that placing the function yields, and the side
/// inputs that it must be given, under the names of the fields.
///
/// ```
/// use ferrobeam::prelude::*;
/// use ferrobeam::testing::DoFnTester;
///
/// /// Prices orders in another currency.
/// #[derive(serde::Serialize, serde::Deserialize, DoFn)]
/// #[beam(name = "shop.Price/v1")]
/// struct Price {
///     vat: f64,
/// }
///
/// #[derive(Ports)]
/// struct PriceIo {
///     /// Orders and what they cost.
///     priced: Out<Kv<String, f64>>,
///     /// Items without a price.
///     rejected: Out<String>,
///     prices: Side<MapView<String, f64>>,
///     #[port(name = "unknown-items")]
///     unknown: Counter,
/// }
///
/// impl DoFn for Price {
///     type In = Kv<String, i64>;
///     type Io = PriceIo;
///
///     fn process(&mut self, Kv(item, n): Self::In, cx: &mut Cx, io: &mut PriceIo) -> Result {
///         match io.prices.get(&item)?.copied() {
///             Some(price) => io.priced.emit(cx, Kv(item, price * n as f64 * (1.0 + self.vat))),
///             None => {
///                 io.unknown.inc();
///                 io.rejected.emit(cx, item);
///             }
///         }
///         Ok(())
///     }
/// }
///
/// // The derive made `PriceIoSides` and `PriceIoOutputs`.
/// let prices = vec![Kv("tea".into(), 4.0)];
/// let mut tester = DoFnTester::of(Price { vat: 0.5 }).sides(PriceIoSides { prices });
/// let orders = [Kv("tea".into(), 2), Kv("salt".into(), 1)];
/// let PriceIoOutputs { priced, rejected } = tester.run(orders)?;
/// assert_eq!(priced.values(), [Kv("tea".to_owned(), 12.0)]);
/// assert_eq!(rejected.values(), ["salt"]);
/// assert_eq!(tester.counter("unknown-items"), Some(1));
/// # Ok::<(), ferrobeam::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a set of ports for `{F}`",
    label = "not ports",
    note = "use `Out<T>` for a single output, or derive `Ports` for a struct whose fields are ports"
)]
pub trait Ports<F: ?Sized>: Sized + Send {
    /// The outputs, in a pipeline or in a test.
    type Outputs<S: Site>;
    /// The side inputs, in a pipeline or in a test.
    type Sides<S: Site>;
    /// Whether a port looks at windows, so that an element is processed once for each of its windows.
    const OBSERVES_WINDOWS: bool;
    /// Whether a port belongs to a key: state or a timer.
    const KEYED: bool = false;

    /// Connects all ports.
    ///
    /// # Errors
    /// A descriptor that does not fit the ports.
    fn wire(wiring: &mut Wiring<'_>) -> Result<Self>;

    /// Tells what the pipeline must say about the ports.
    fn describe<D: Describe>(describe: &mut D);

    /// Begins a bundle.
    ///
    /// # Errors
    /// Whatever fails downstream.
    fn start(&mut self) -> Result<()>;

    /// Goes to the key and window of the element in hand.
    ///
    /// # Errors
    /// A window that a port cannot use.
    fn enter(&mut self, scope: &Scope<'_>) -> Result<()>;

    /// Leaves the last key and window: there is no element in hand any more.
    fn leave(&mut self) {}

    /// Ends a bundle.
    ///
    /// # Errors
    /// Whatever fails downstream.
    fn finish(&mut self) -> Result<()>;

    /// Makes the outputs in a site.
    fn outputs<S: Site>(site: &mut S) -> Self::Outputs<S>;

    /// Hands the side inputs to a site.
    fn sides<S: Site>(site: &mut S, sides: Self::Sides<S>);
}

/// One port of the function `F`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a port: use Out<T>, Side<V>, InWindow<W>, Timer<Tag>, Timers<Tag>, WindowExpiration, \
                ValueState<T> or another kind of state, AfterCommit, Options, or a metric such as Counter",
    label = "not a port",
    note = "plain data belongs in the DoFn itself"
)]
pub trait Port<F: ?Sized>: Sized + Send {
    /// Whether the port looks at windows.
    const OBSERVES_WINDOWS: bool = false;
    /// Whether the port belongs to a key. One that does looks at windows, too.
    const KEYED: bool = false;

    /// Connects the port.
    ///
    /// # Errors
    /// A descriptor that does not fit it.
    fn wire(wiring: &mut Wiring<'_>, name: &'static str) -> Result<Self>;

    /// Tells what the pipeline must say about the port.
    fn describe<D: Describe>(describe: &mut D, name: &'static str);

    /// Begins a bundle.
    ///
    /// # Errors
    /// Whatever fails downstream.
    fn start(&mut self) -> Result<()> {
        Ok(())
    }

    /// Goes to the key and window of the element in hand.
    ///
    /// # Errors
    /// A window that the port cannot use.
    fn enter(&mut self, scope: &Scope<'_>) -> Result<()> {
        let _ = scope;
        Ok(())
    }

    /// Leaves the last key and window: there is no element in hand any more.
    fn leave(&mut self) {}

    /// Ends a bundle.
    ///
    /// # Errors
    /// Whatever fails downstream.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Learns what ports a function has.
pub trait Describe {
    /// It has the output `tag`.
    fn output<T: Element>(&mut self, tag: &'static str);
    /// It has the side input `tag`.
    fn side<V: View>(&mut self, tag: &'static str);
    /// It looks at windows of type `W`.
    fn window<W: Window>(&mut self);
    /// It has the state `tag`.
    fn state(&mut self, tag: &'static str, kind: StateKind);
    /// It has timers of the family `tag`.
    fn timer(&mut self, tag: &'static str, domain: TimeDomain);
    /// It has callbacks for after its bundles are committed. Most that ask need not know.
    fn after_commit(&mut self) {}
    /// It is told when windows expire, through timers of the family `tag`.
    fn window_expiration(&mut self, tag: &'static str) {
        self.timer(tag, TimeDomain::EventTime);
    }
}

/// The end of one output while a plan is linked.
pub struct OutSlot {
    /// A [`Link<T>`] for the output's `T`.
    pub link: Box<dyn Any + Send>,
    /// The name of `T`, for errors.
    pub takes: &'static str,
    /// Counts the collection.
    pub meter: Meter,
}

impl OutSlot {
    /// The slot of a typed link.
    pub fn new<T: Element>(link: Link<T>, meter: Meter) -> Self {
        OutSlot {
            link: Box::new(link),
            takes: type_name::<T>(),
            meter,
        }
    }
}

/// The typed links of one node, taken one by one while its ports are wired.
pub struct Wiring<'a> {
    transform: Arc<str>,
    namespace: String,
    outs: HashMap<String, OutSlot>,
    sides: HashMap<String, SideReader>,
    states: HashMap<String, StateProtocol>,
    finalizes: bool,
    timers: Option<TimerWiring>,
    metrics: &'a mut MetricSet,
    services: &'a Services,
}

impl<'a> Wiring<'a> {
    /// The wiring of `transform`, whose metrics are named within `namespace`.
    pub fn new(
        transform: &str,
        namespace: &str,
        metrics: &'a mut MetricSet,
        services: &'a Services,
    ) -> Self {
        Wiring {
            transform: transform.into(),
            namespace: namespace.into(),
            outs: HashMap::new(),
            sides: HashMap::new(),
            states: HashMap::new(),
            finalizes: false,
            timers: None,
            metrics,
            services,
        }
    }

    /// Adds the end of an output.
    pub fn add_out(&mut self, tag: &str, slot: OutSlot) {
        self.outs.insert(tag.into(), slot);
    }

    /// Adds a side input.
    pub fn add_side(&mut self, tag: &str, side: SideReader) {
        self.sides.insert(tag.into(), side);
    }

    /// Adds state that the runner keeps.
    pub fn add_state(&mut self, tag: &str, protocol: StateProtocol) {
        self.states.insert(tag.into(), protocol);
    }

    /// Says that the runner tells when bundles are committed.
    pub fn add_after_commit(&mut self) {
        self.finalizes = true;
    }

    /// Adds the timers that the descriptor declares.
    pub fn add_timers(&mut self, timers: TimerWiring) {
        self.timers = Some(timers);
    }

    /// The transform's id.
    pub fn transform(&self) -> &Arc<str> {
        &self.transform
    }

    /// The services of the plan.
    pub fn services(&self) -> &'a Services {
        self.services
    }

    /// Takes the output `tag`. One that the descriptor does not name has no reader.
    ///
    /// # Errors
    /// Its reader takes another type.
    pub fn out<T: Element>(&mut self, tag: &'static str) -> Result<Out<T>> {
        let Some(slot) = self.outs.remove(tag) else {
            return Ok(Out::new(Box::new(Discard), Meter::default()));
        };
        match slot.link.downcast::<Link<T>>() {
            Ok(link) => Ok(Out::new(*link, slot.meter)),
            Err(_) => Err(Error::descriptor(format!(
                "output {tag:?} emits {}, but its consumer takes {}",
                type_name::<T>(),
                slot.takes
            ))
            .at("transform", &*self.transform)),
        }
    }

    /// Takes the side input `tag`.
    ///
    /// # Errors
    /// The descriptor does not name it.
    pub fn side(&mut self, tag: &'static str) -> Result<SideReader> {
        self.sides.remove(tag).ok_or_else(|| {
            Error::descriptor(format!(
                "the function reads a side input {tag:?} that the pipeline does not give it; expand the transform again \
                 with this version"
            ))
            .at("transform", &*self.transform)
        })
    }

    /// How the runner keeps the state `tag`.
    ///
    /// # Errors
    /// The descriptor does not name it.
    pub fn state(&mut self, tag: &'static str) -> Result<StateProtocol> {
        self.states.remove(tag).ok_or_else(|| {
            Error::descriptor(format!(
                "the function keeps state {tag:?} that the pipeline does not declare; expand the transform again with \
                 this version"
            ))
            .at("transform", &*self.transform)
        })
    }

    /// Where callbacks for after the commit go.
    ///
    /// # Errors
    /// The descriptor does not ask the runner to tell.
    pub fn after_commit(&mut self) -> Result<AfterCommit> {
        if !self.finalizes {
            return Err(Error::descriptor(
                "the function has callbacks for after the commit, but the pipeline does not request finalization; expand \
                 the transform again with this version",
            )
            .at("transform", &*self.transform));
        }
        let Services { commits, clock, .. } = self.services;
        Ok(AfterCommit::new(commits.clone(), clock.clone()))
    }

    /// The timers, for a port that is the family `tag`.
    pub(super) fn timers(&mut self, tag: &'static str) -> Result<&mut TimerWiring> {
        match &mut self.timers {
            Some(timers) => Ok(timers),
            None => Err(timer::undeclared()
                .at("timer", tag)
                .at("transform", &*self.transform)),
        }
    }

    /// What happens when timers fire: call it once all ports are wired.
    pub fn timer_handlers<F: DoFn>(&mut self) -> TimerHandlers<F> {
        match &mut self.timers {
            Some(timers) => timers.handlers(),
            None => TimerHandlers::none(),
        }
    }

    /// The outputs that no port took.
    pub fn left_over(&self) -> impl Iterator<Item = &str> {
        self.outs.keys().map(String::as_str)
    }

    pub(super) fn metric_id(&self, name: &str) -> MetricId {
        MetricId {
            transform: self.transform.to_string(),
            namespace: self.namespace.clone(),
            name: name.into(),
        }
    }

    pub(super) fn metrics(&mut self) -> &mut MetricSet {
        self.metrics
    }
}

#[cold]
pub(super) fn two_kinds(name: &str) -> Error {
    Error::new(
        ErrorKind::Registry,
        format!("two metrics of different kinds are named {name:?}; rename one"),
    )
}

/// A port that knows the window of the element in hand. A function with it runs once for each window.
pub struct InWindow<W>(Option<W>);

impl<W: Window> InWindow<W> {
    /// The window.
    ///
    /// # Errors
    /// Outside `process` there is none.
    pub fn get(&self) -> Result<&W> {
        self.0
            .as_ref()
            .ok_or_else(|| Error::user("there is no window outside of `process`"))
    }
}

impl<F: ?Sized, W: Window> Port<F> for InWindow<W> {
    const OBSERVES_WINDOWS: bool = true;

    fn wire(_wiring: &mut Wiring<'_>, _name: &'static str) -> Result<Self> {
        Ok(InWindow(None))
    }

    fn describe<D: Describe>(describe: &mut D, _name: &'static str) {
        describe.window::<W>();
    }

    fn enter(&mut self, scope: &Scope<'_>) -> Result<()> {
        let window = scope.window;
        if window.is_empty() && W::coder() != GlobalWindow::coder() {
            return Err(Error::user(format!(
                "the function looks at windows of {}, but its input is in the global window",
                type_name::<W>()
            )));
        }
        self.0 = Some(W::decode(&mut Input::new(window), Nesting::Nested)?);
        Ok(())
    }

    fn leave(&mut self) {
        self.0 = None;
    }
}
