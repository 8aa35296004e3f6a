//! The components of a pipeline under construction: ids for what is new, and what is there already found by content.

use std::collections::{BTreeMap, HashMap};

use beam_proto::pipeline::{
    self as proto, Components, Environment, PCollection, PTransform, Trigger, WindowingStrategy,
    trigger,
};

use crate::element::{Coder, RAW_CODER};
use crate::error::{Error, Result};
use crate::model::{coders, windowing};
use crate::window::WindowFn;

/// What an id names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A transform.
    Transform,
    /// A collection.
    Collection,
    /// A windowing strategy.
    Windowing,
    /// A coder.
    Coder,
    /// An environment.
    Environment,
}

impl Kind {
    /// The part of an id that tells the kind.
    fn tag(self) -> &'static str {
        match self {
            Kind::Transform => "t",
            Kind::Collection => "pc",
            Kind::Windowing => "w",
            Kind::Coder => "c",
            Kind::Environment => "env",
        }
    }
}

/// Collects components.
///
/// It may start from the components of another SDK's pipeline. These are never changed, and a coder or windowing
/// strategy that is among them is used under its own id. Whatever is new gets the id `<namespace>_<kind>_<n>`; equal
/// calls give equal ids.
///
/// All functions run in one environment, whose id exists from the beginning and whose contents
/// [`finish`](Self::finish) is given.
pub struct ComponentsBuilder {
    components: Components,
    namespace: String,
    next: u32,
    added: Vec<(Kind, String)>,
    /// The first id of each coder, by what it resolves to.
    coders: HashMap<Coder, String>,
    environment: String,
}

impl ComponentsBuilder {
    /// A builder whose ids begin with `namespace`.
    pub fn new(namespace: &str) -> Self {
        Self::seeded(namespace, Components::default())
    }

    /// A builder that starts from the components of another pipeline.
    pub fn seeded(namespace: &str, seed: Components) -> Self {
        let mut known = HashMap::new();
        for id in seed.coders.keys() {
            // A coder that cannot be resolved stays what it is: nobody here can ask for it.
            if let Ok(coder) = coders::resolve(&seed.coders, id) {
                known.entry(coder).or_insert_with(|| id.clone());
            }
        }
        let mut builder = ComponentsBuilder {
            components: seed,
            namespace: namespace.into(),
            next: 0,
            added: Vec::new(),
            coders: known,
            environment: String::new(),
        };
        builder.environment = builder.fresh(Kind::Environment);
        builder
    }

    /// All components so far; the environment is not among them yet.
    pub fn components(&self) -> &Components {
        &self.components
    }

    /// What was added, in order, without the environment.
    pub fn added(&self) -> &[(Kind, String)] {
        &self.added
    }

    /// The id of the environment that functions run in.
    pub fn environment_id(&self) -> &str {
        &self.environment
    }

    /// All components, with the environment that functions run in.
    pub fn finish(&self, environment: &Environment) -> Components {
        let mut components = self.components.clone();
        components
            .environments
            .insert(self.environment.clone(), environment.clone());
        components
    }

    /// An id that no component has. It is taken only once something is added under it.
    pub fn fresh(&mut self, kind: Kind) -> String {
        loop {
            let id = format!("{}_{}_{}", self.namespace, kind.tag(), self.next);
            self.next += 1;
            let all = &self.components;
            let taken = all.transforms.contains_key(&id)
                || all.pcollections.contains_key(&id)
                || all.windowing_strategies.contains_key(&id)
                || all.coders.contains_key(&id)
                || all.environments.contains_key(&id);
            if !taken {
                return id;
            }
        }
    }

    /// Adds a transform under an id that [`fresh`](Self::fresh) gave.
    pub fn add_transform(&mut self, id: &str, transform: PTransform) {
        self.added.push((Kind::Transform, id.into()));
        self.components.transforms.insert(id.into(), transform);
    }

    /// Adds a collection.
    pub fn add_collection(&mut self, collection: PCollection) -> String {
        let id = self.fresh(Kind::Collection);
        self.added.push((Kind::Collection, id.clone()));
        self.components.pcollections.insert(id.clone(), collection);
        id
    }

    /// The collection of an id.
    ///
    /// # Errors
    /// There is none.
    pub fn collection(&self, id: &str) -> Result<&PCollection> {
        self.components
            .pcollections
            .get(id)
            .ok_or_else(|| Error::config(format!("the pipeline has no collection {id:?}")))
    }

    /// Takes back a transform that turned out to do nothing.
    pub(super) fn remove_transform(&mut self, id: &str) {
        self.added.retain(|(_, added)| added != id);
        self.components.transforms.remove(id);
    }

    /// The transform of an id that this builder added.
    pub(super) fn own_transform(&mut self, id: &str) -> Option<&mut PTransform> {
        self.components.transforms.get_mut(id)
    }

    /// The id of a coder: the one it has, or a new one.
    pub fn coder(&mut self, coder: &Coder) -> String {
        if let Some(id) = self.coders.get(coder) {
            return id.clone();
        }
        let parts = coder.components.iter().map(|part| self.coder(part));
        let parts = parts.collect();
        self.coder_of(coder, parts)
    }

    /// The id of a coder whose components have the ids `parts`.
    ///
    /// Runners compare the coders round a grouping by id, so what it puts out must be made of the very ids that it takes.
    pub fn coder_of(&mut self, coder: &Coder, parts: Vec<String>) -> String {
        let wanted = coders::to_proto(coder, parts);
        let known = self.components.coders.iter();
        if let Some((id, _)) = known.into_iter().find(|(_, known)| **known == wanted) {
            return id.clone();
        }
        let id = self.fresh(Kind::Coder);
        self.added.push((Kind::Coder, id.clone()));
        self.components.coders.insert(id.clone(), wanted);
        self.coders
            .entry(coder.clone())
            .or_insert_with(|| id.clone());
        id
    }

    /// As [`coder`](Self::coder), with the coder of the id `raw` wherever [`RAW_CODER`] stands.
    ///
    /// # Errors
    /// [`RAW_CODER`] stands somewhere, and nothing is known that it stands for.
    pub fn coder_with(&mut self, coder: &Coder, raw: Option<&str>) -> Result<String> {
        if coder.is(RAW_CODER) {
            return raw.map(str::to_owned).ok_or_else(|| {
                Error::config(
                    "values of `Raw` are emitted where no coder is known that they could have; take `Raw` values as input, \
                     or emit values of their own type",
                )
            });
        }
        if !has_raw(coder) {
            return Ok(self.coder(coder));
        }
        let parts = coder.components.iter();
        let ids = parts
            .map(|part| self.coder_with(part, raw))
            .collect::<Result<Vec<_>>>()?;
        let components = ids.iter().map(|id| self.resolve_coder(id));
        let coder = Coder {
            components: components.collect::<Result<Vec<_>>>()?,
            ..coder.clone()
        };
        Ok(self.coder_of(&coder, ids))
    }

    /// The id of the coder that stands in the coder of `id` where [`RAW_CODER`] stands in `pattern`.
    ///
    /// # Errors
    /// A coder that is missing.
    pub fn raw_part(&self, id: &str, pattern: &Coder) -> Result<Option<String>> {
        if pattern.is(RAW_CODER) {
            return Ok(Some(id.into()));
        }
        let parts = pattern.components.iter().zip(self.coder_parts(id)?);
        for (pattern, part) in parts {
            if let Some(found) = self.raw_part(part, pattern)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// What the coder of an id consists of.
    ///
    /// # Errors
    /// An id that is missing, or a coder that nests too deep.
    pub fn resolve_coder(&self, id: &str) -> Result<Coder> {
        coders::resolve(&self.components.coders, id)
    }

    /// The ids of a coder's components.
    ///
    /// # Errors
    /// An id that is missing.
    pub fn coder_parts(&self, id: &str) -> Result<&[String]> {
        match self.components.coders.get(id) {
            Some(coder) => Ok(&coder.component_coder_ids),
            None => Err(Error::config(format!("the pipeline has no coder {id:?}"))),
        }
    }

    /// The id of the windowing strategy that assigns windows by `window_fn` and has the default of everything else:
    /// each window fires once, when the watermark passes its end.
    pub fn windowing(&mut self, window_fn: &WindowFn) -> String {
        let wanted = self.strategy(window_fn);
        self.windowing_of(wanted)
    }

    /// The strategy of [`windowing`](Self::windowing), which is not placed.
    pub(super) fn strategy(&mut self, window_fn: &WindowFn) -> WindowingStrategy {
        let window_coder_id = self.coder(&window_fn.coder());
        default_windowing(window_fn, window_coder_id, &self.environment)
    }

    /// The id of a windowing strategy: the one it has, or a new one.
    pub fn windowing_of(&mut self, wanted: WindowingStrategy) -> String {
        let known = &self.components.windowing_strategies;
        if let Some((id, _)) = known.iter().find(|(_, known)| alike(known, &wanted)) {
            return id.clone();
        }
        let id = self.fresh(Kind::Windowing);
        self.added.push((Kind::Windowing, id.clone()));
        self.components
            .windowing_strategies
            .insert(id.clone(), wanted);
        id
    }

    /// The windowing strategy of a collection.
    ///
    /// # Errors
    /// The collection or its strategy is missing.
    pub fn windowing_of_collection(&self, id: &str) -> Result<&WindowingStrategy> {
        let strategy = &self.collection(id)?.windowing_strategy_id;
        let known: &BTreeMap<_, _> = &self.components.windowing_strategies;
        known.get(strategy).ok_or_else(|| {
            Error::config(format!(
                "the pipeline has no windowing strategy {strategy:?}"
            ))
        })
    }
}

fn has_raw(coder: &Coder) -> bool {
    coder.is(RAW_CODER) || coder.components.iter().any(has_raw)
}

/// Whether elements are grouped alike. Who may run the window function plays no part, and neither does what becomes of
/// firings without elements where windows fire once, with all they have.
fn alike(a: &WindowingStrategy, b: &WindowingStrategy) -> bool {
    let default = trigger::Trigger::Default(trigger::Default {});
    let fires_once = a.allowed_lateness == 0
        && a.trigger.as_ref().and_then(|a| a.trigger.as_ref()) == Some(&default);
    let empty_alike =
        a.on_time_behavior == b.on_time_behavior && a.closing_behavior == b.closing_behavior;
    (empty_alike || fires_once)
        && a.window_fn == b.window_fn
        && a.trigger == b.trigger
        && a.accumulation_mode == b.accumulation_mode
        && a.output_time == b.output_time
        && a.allowed_lateness == b.allowed_lateness
}

fn default_windowing(
    window_fn: &WindowFn,
    window_coder_id: String,
    environment: &str,
) -> WindowingStrategy {
    let merges = matches!(window_fn, WindowFn::Session(_));
    let trigger = trigger::Trigger::Default(trigger::Default {});
    WindowingStrategy {
        window_fn: Some(windowing::to_proto(window_fn)),
        merge_status: if merges {
            proto::merge_status::Enum::NeedsMerge as i32
        } else {
            proto::merge_status::Enum::NonMerging as i32
        },
        window_coder_id,
        trigger: Some(Trigger {
            trigger: Some(trigger),
        }),
        accumulation_mode: proto::accumulation_mode::Enum::Discarding as i32,
        output_time: proto::output_time::Enum::EndOfWindow as i32,
        closing_behavior: proto::closing_behavior::Enum::EmitIfNonempty as i32,
        allowed_lateness: 0,
        on_time_behavior: proto::on_time_behavior::Enum::FireAlways as i32,
        assigns_to_one_window: !matches!(window_fn, WindowFn::Sliding(_)),
        environment_id: environment.into(),
    }
}
