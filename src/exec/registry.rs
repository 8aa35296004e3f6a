//! What a worker can run, by name.

use std::any::type_name;
use std::collections::BTreeMap;
use std::fmt;

use super::edge::{AnyLink, Form, erase};
use super::flow::Typed;
use super::nodes::{
    CombinePlace, LinkedKeyed, Merger, ParDo, ParDoPlace, WindowPlace, assign_by, build_combine,
    keyed_form, link_keyed, merge_by,
};
use super::side::SideForm;
use super::splittable::SplittableMaker;
use super::timers::Fire;
use crate::dofn::{
    CombineFn, Count, Describe, DoFn, FunctionPayload, Max, Mean, Min, Named, Natural, Numeric,
    Ports, Sample, Splittable, StateKind, Step, Steps, Sum, TimeDomain, Top, View, WindowFunction,
    Wiring, builtin, checks,
};
use crate::element::coder::urn;
use crate::element::{Coder, Element, Iter, Kv, Nesting, Raw, Timestamp, encoded};
use crate::error::{Error, ErrorKind, Result};
use crate::model::descriptor::CombineStage;
use crate::window::Window;

/// The functions that a worker can run.
///
/// A library exports `pub fn register(registry: &mut Registry)`, and a binary calls those of the libraries that it
/// offers. Names are unique; a name that is given twice is reported by [`Registry::check`].
#[derive(Default)]
pub struct Registry {
    functions: BTreeMap<&'static str, Function>,
    splittables: BTreeMap<&'static str, SplittableMaker>,
    combiners: BTreeMap<&'static str, Combiner>,
    window_functions: BTreeMap<&'static str, WindowMaker>,
    clashes: Vec<String>,
}

/// A registered function.
pub(crate) struct Function {
    type_name: &'static str,
    pub(crate) input: Form,
    /// For a function with state or timers: the form of its input, given the coder of the keys.
    pub(crate) keyed: Option<fn(Coder) -> Option<Form>>,
    pub(crate) outputs: Vec<(&'static str, Form)>,
    pub(super) sides: Vec<SideForm>,
    make: Make,
}

type Make = Box<
    dyn Fn(&FunctionPayload, &mut Wiring<'_>, ParDoPlace, &Coder) -> Result<Linked> + Send + Sync,
>;

/// A function that has been linked.
pub(crate) struct Linked {
    /// The way of its input.
    pub(crate) link: AnyLink,
    /// The way of its timers, where it is keyed.
    pub(crate) timers: Option<Box<dyn Fire>>,
}

/// A registered combiner.
pub(crate) struct Combiner {
    type_name: &'static str,
    /// The forms that a stage takes and gives, for keys of a coder.
    pub(crate) forms: fn(CombineStage, Coder) -> (Form, Form),
    pub(crate) make: fn(&FunctionPayload, CombineStage, CombinePlace, AnyLink) -> Result<AnyLink>,
}

/// A registered window function.
pub(crate) struct WindowMaker {
    type_name: &'static str,
    /// The form of the elements that it looks at.
    pub(crate) input: Form,
    /// The coder of its windows.
    pub(crate) windows: Coder,
    pub(crate) assign: fn(&FunctionPayload, WindowPlace, AnyLink) -> Result<AnyLink>,
    /// `None` for windows that do not merge.
    pub(crate) merge: Option<fn(&FunctionPayload) -> Result<Merger>>,
    /// Finds the window of a side input for an end of a window of the main input.
    pub(crate) side: fn(&FunctionPayload) -> Result<SideWindow>,
}

/// Encodes the window of a side input that belongs to a window of the main input which ends at a time.
pub(crate) type SideWindow = Box<dyn Fn(Timestamp) -> Result<Vec<u8>> + Send + Sync>;

impl Registry {
    /// A registry of the functions that ferrobeam itself brings: the standard combiners, and what pipelines use for
    /// their own transforms.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        registry
            .add_combine::<Sum<i64>>()
            .add_combine::<Sum<f64>>()
            .add_combine::<Mean<i64>>()
            .add_combine::<Mean<f64>>()
            .add_combine::<Min<i64>>()
            .add_combine::<Min<f64>>()
            .add_combine::<Max<i64>>()
            .add_combine::<Max<f64>>()
            .add_combine::<Count<Raw>>()
            .add_combine::<Count<i64>>()
            .add_combine::<Count<f64>>()
            .add_combine::<Count<String>>()
            .add_combine::<Top<Natural<i64>>>()
            .add_combine::<Top<Natural<String>>>()
            .add_combine::<Top<Numeric>>()
            .add_combine::<Sample<i64>>()
            .add_combine::<Sample<f64>>()
            .add_combine::<Sample<String>>()
            .add::<builtin::Create>()
            .add::<builtin::UnderUnit>()
            .add::<builtin::Tagged>()
            .add::<builtin::Join>()
            .add::<builtin::Shard>()
            .add::<builtin::Unshard>()
            .add::<builtin::AsKeys>()
            .add::<builtin::AtKeys>()
            .add::<builtin::Keys>()
            .add::<builtin::Values>()
            .add::<builtin::IfEmpty>()
            .add::<builtin::Scatter>()
            .add::<builtin::Gather>()
            .add::<builtin::ReadLines>()
            .add_splittable::<builtin::ReadText>()
            .add_splittable::<builtin::Sequence>()
            .add::<builtin::WriteLines>()
            .add::<checks::Look<Raw>>()
            .add::<checks::Look<Kv<Raw, Iter<Raw>>>>()
            .add::<checks::LookInWindows<Raw>>()
            .add::<checks::LookInWindows<Kv<Raw, Iter<Raw>>>>()
            .add::<checks::Check>();
        registry
    }

    /// Adds a function.
    pub fn add<F: DoFn + Named>(&mut self) -> &mut Self {
        self.add_function::<F>(F::NAME, |payload| payload.function::<F>())
    }

    /// Adds a chain of closures, given the function that makes it.
    pub fn add_steps<T, S, G>(&mut self, make: G) -> &mut Self
    where
        T: Element,
        S: Step<T>,
        S::Out: Element,
        G: Fn() -> Steps<T, S> + Send + Sync + 'static,
    {
        let name = make().name();
        self.add_function::<Steps<T, S>>(name, move |_| Ok(make()))
    }

    fn add_function<F: DoFn>(
        &mut self,
        name: &'static str,
        make: impl Fn(&FunctionPayload) -> Result<F> + Send + Sync + 'static,
    ) -> &mut Self {
        let ports = Described::of::<F, F::Io>();
        let function = Function {
            type_name: type_name::<F>(),
            input: Form::typed::<F::In>(),
            keyed: F::Io::KEYED.then_some(keyed_form::<F::In>),
            outputs: ports.outputs,
            sides: ports.sides,
            make: Box::new(move |payload, wiring, place, input| {
                let node = ParDo::new(make(payload)?, wiring, place)?;
                if F::Io::KEYED {
                    let LinkedKeyed { link, timers } = link_keyed(node, input.component(0)?)?;
                    Ok(Linked {
                        link,
                        timers: Some(timers),
                    })
                } else {
                    Ok(Linked {
                        link: erase::<Typed<F::In>>(Box::new(node)),
                        timers: None,
                    })
                }
            }),
        };
        if let Some(known) = self.functions.get(name) {
            self.clashes
                .push(clash(name, known.type_name, function.type_name));
        }
        self.functions.insert(name, function);
        self
    }

    /// Adds a splittable function.
    pub fn add_splittable<F: Splittable + Named>(&mut self) -> &mut Self {
        let maker = SplittableMaker::of::<F>();
        if let Some(known) = self.splittables.get(F::NAME) {
            self.clashes
                .push(clash(F::NAME, known.type_name, maker.type_name));
        }
        self.splittables.insert(F::NAME, maker);
        self
    }

    /// Adds a combiner.
    pub fn add_combine<C: CombineFn + Named>(&mut self) -> &mut Self {
        let combiner = Combiner {
            type_name: type_name::<C>(),
            forms: combine_forms::<C>,
            make: |payload, stage, place, out| {
                build_combine(stage, payload.function::<C>()?, place, out)
            },
        };
        if let Some(known) = self.combiners.get(C::NAME) {
            self.clashes
                .push(clash(C::NAME, known.type_name, combiner.type_name));
        }
        self.combiners.insert(C::NAME, combiner);
        self
    }

    /// Adds a window function.
    pub fn add_window_function<W: WindowFunction + Named>(&mut self) -> &mut Self {
        let maker = WindowMaker {
            type_name: type_name::<W>(),
            input: Form::typed::<W::In>(),
            windows: W::Window::coder(),
            assign: |payload, place, out| assign_by(payload.function::<W>()?, place, out),
            merge: if W::MERGES {
                Some(|payload| Ok(merge_by(payload.function::<W>()?)))
            } else {
                None
            },
            side: |payload| {
                let function = payload.function::<W>()?;
                Ok(Box::new(move |end| {
                    Ok(encoded(&function.side_window(end)?, Nesting::Nested))
                }))
            },
        };
        if let Some(known) = self.window_functions.get(W::NAME) {
            self.clashes
                .push(clash(W::NAME, known.type_name, maker.type_name));
        }
        self.window_functions.insert(W::NAME, maker);
        self
    }

    /// Refuses names that were given twice.
    ///
    /// # Errors
    /// The names and the types that claim them.
    pub fn check(&self) -> Result<()> {
        match self.clashes.first() {
            None => Ok(()),
            Some(clash) => Err(Error::new(ErrorKind::Registry, clash.clone())),
        }
    }

    /// The names of all functions, splittable ones, combiners and window functions.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let functions = self.functions.keys().chain(self.splittables.keys());
        let functions = functions.chain(self.combiners.keys());
        functions.chain(self.window_functions.keys()).copied()
    }

    pub(crate) fn function(&self, name: &str) -> Result<&Function> {
        self.functions
            .get(name)
            .ok_or_else(|| unknown("function", name, self.functions.keys()))
    }

    pub(crate) fn splittable(&self, name: &str) -> Result<&SplittableMaker> {
        self.splittables
            .get(name)
            .ok_or_else(|| unknown("splittable function", name, self.splittables.keys()))
    }

    pub(crate) fn window_function(&self, name: &str) -> Result<&WindowMaker> {
        self.window_functions
            .get(name)
            .ok_or_else(|| unknown("window function", name, self.window_functions.keys()))
    }

    pub(crate) fn combiner(&self, name: &str) -> Result<&Combiner> {
        self.combiners
            .get(name)
            .ok_or_else(|| unknown("combiner", name, self.combiners.keys()))
    }
}

impl Function {
    /// The form that the function takes from a collection of the coder `wire`.
    pub(crate) fn takes(&self, wire: &Coder) -> Result<Form> {
        if wire.is(urn::LENGTH_PREFIX) {
            return self.takes(wire.component(0)?);
        }
        match self.keyed {
            None => Ok(self.input.clone()),
            Some(keyed) if wire.is(urn::KV) => keyed(wire.component(0)?.clone())
                .ok_or_else(|| Error::descriptor("the function's input type has no keys")),
            Some(_) => Err(Error::descriptor(format!(
                "state and timers need a keyed input, but the input's coder is {wire}"
            ))),
        }
    }

    /// The node of the function, in front of the links that `wiring` holds. `input` is the coder of the form that it
    /// [takes](Self::takes).
    pub(crate) fn link(
        &self,
        payload: &FunctionPayload,
        wiring: &mut Wiring<'_>,
        place: ParDoPlace,
        input: &Coder,
    ) -> Result<Linked> {
        (self.make)(payload, wiring, place, input)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

fn combine_forms<C: CombineFn>(stage: CombineStage, key: Coder) -> (Form, Form) {
    let acc = |key| Form::keyed::<C::Acc>(key);
    let value = |key| Form::keyed::<C::In>(key);
    match stage {
        CombineStage::Precombine | CombineStage::ConvertToAccumulators => {
            (value(key.clone()), acc(key))
        }
        CombineStage::MergeAccumulators => (Form::keyed::<Iter<C::Acc>>(key.clone()), acc(key)),
        CombineStage::ExtractOutputs => (acc(key.clone()), Form::keyed::<C::Out>(key)),
        CombineStage::GroupedValues => (
            Form::keyed::<Iter<C::In>>(key.clone()),
            Form::keyed::<C::Out>(key),
        ),
    }
}

fn clash(name: &str, one: &str, other: &str) -> String {
    format!("two functions are named {name:?}: {one} and {other}; rename one, or raise its version")
}

#[cold]
fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a &'static str>) -> Error {
    let known: Vec<&str> = known.copied().collect();
    Error::new(
        ErrorKind::Registry,
        format!(
            "this worker has no {what} named {name:?}; it has {known:?}: register it, or use the submitter's binary"
        ),
    )
}

/// Collects the ports of a function that the descriptor must fit.
#[derive(Default)]
pub(super) struct Described {
    pub(super) outputs: Vec<(&'static str, Form)>,
    pub(super) sides: Vec<SideForm>,
}

impl Described {
    /// The ports `P` of the function `F`.
    pub(super) fn of<F, P: Ports<F>>() -> Self {
        let mut ports = Described::default();
        P::describe(&mut ports);
        ports
    }
}

impl Describe for Described {
    fn output<T: Element>(&mut self, tag: &'static str) {
        self.outputs.push((tag, Form::typed::<T>()));
    }

    fn side<V: View>(&mut self, tag: &'static str) {
        self.sides.push(SideForm {
            tag,
            access: V::ACCESS,
            own: V::Element::coder(),
        });
    }

    fn window<W: Window>(&mut self) {}

    fn state(&mut self, _tag: &'static str, _kind: StateKind) {}

    fn timer(&mut self, _tag: &'static str, _domain: TimeDomain) {}
}
