//! Assertions inside of pipelines.

use std::fmt::Debug;

use crate::dofn::checks::{
    Check, Expected, Facts, Look, LookInWindows, NOTHING, Recorded, record_group,
};
use crate::element::{Element, Iter, Kv, Nesting, Pane, Raw, Timestamp, encoded};
use crate::error::Result;
use crate::pipeline::{PCollection, Pipeline, plain_form};
use crate::window::{Window, WindowFn};

/// Asserts what a collection holds, where the pipeline runs.
///
/// The pipeline fails unless the collection holds the expected elements when all of its input has come; the message says
/// what is missing and what was not expected. A check is made also when there are no elements. After the job the counter
/// `checked` of `ferrobeam.Check` is the number of checks that passed.
///
/// ```
/// use ferrobeam::pipeline::Pipeline;
/// use ferrobeam::testing::expect;
///
/// let pipeline = Pipeline::new();
/// let numbers = pipeline.create("Numbers", [1i64, 2, 3]);
/// expect(&numbers.reshuffle("Shuffle")).contains_in_any_order([3, 2, 1]);
/// # pipeline.check()?;
/// # Ok::<(), ferrobeam::Error>(())
/// ```
///
/// Values are compared by their encodings.
pub fn expect<T: Element + Debug>(collection: &PCollection<T>) -> Expect<T> {
    Expect {
        pipeline: collection.pipeline().clone(),
        id: collection.id().into(),
        record: |value, record| {
            record.extend_from_slice(&plain_form(value)?);
            Ok(())
        },
        look: look::<Raw>,
    }
}

/// As [`expect`], for groups. What is expected is a key with its values, which have no order.
pub fn expect_groups<K, V>(collection: &PCollection<Kv<K, Iter<V>>>) -> Expect<Kv<K, Vec<V>>>
where
    K: Element + Debug,
    V: Element + Debug,
    Kv<K, Vec<V>>: Element,
{
    Expect {
        pipeline: collection.pipeline().clone(),
        id: collection.id().into(),
        record: |Kv(key, values), record| {
            let values = values.iter().map(plain_form).collect::<Result<Vec<_>>>()?;
            record_group(record, &plain_form(key)?, values);
            Ok(())
        },
        look: look::<Kv<Raw, Iter<Raw>>>,
    }
}

/// An assertion that is being written: see [`expect`].
#[must_use = "say what the collection contains"]
pub struct Expect<T> {
    pipeline: Pipeline,
    id: String,
    /// Appends a value to its record.
    record: fn(&T, &mut Vec<u8>) -> Result<()>,
    look: PlaceLook,
}

/// Places the function that records what a collection holds.
type PlaceLook = fn(&Pipeline, &str, Facts) -> PCollection<Kv<(), Vec<u8>>>;

impl<T: Element + Debug> Expect<T> {
    /// The collection has no elements.
    pub fn is_empty(self) {
        self.contains_in_any_order([]);
    }

    /// These are the elements, each as often as it stands here.
    pub fn contains_in_any_order(self, expected: impl IntoIterator<Item = T>) {
        let expected = expected.into_iter().map(Fact::of);
        self.place(Facts::default(), expected);
    }

    /// These are the elements, with their timestamps.
    pub fn contains_at(self, expected: impl IntoIterator<Item = (Timestamp, T)>) {
        let facts = Facts {
            timestamp: true,
            ..Facts::default()
        };
        let expected = expected.into_iter();
        self.place(
            facts,
            expected.map(|(time, value)| Fact::of(value).at(time)),
        );
    }

    /// These are the elements, with their windows. One that is in several windows stands here with each of them.
    pub fn contains_in<W>(self, expected: impl IntoIterator<Item = (W, T)>)
    where
        W: Window + Debug,
    {
        let facts = Facts {
            window: true,
            ..Facts::default()
        };
        let expected = expected.into_iter();
        let expected = expected.map(|(window, value)| Fact::of(value).within(&window));
        self.place(facts, expected);
    }

    /// These are the elements, with their windows and timestamps.
    pub fn contains_in_at<W>(self, expected: impl IntoIterator<Item = (W, Timestamp, T)>)
    where
        W: Window + Debug,
    {
        let facts = Facts {
            timestamp: true,
            window: true,
            ..Facts::default()
        };
        let expected = expected.into_iter();
        let expected =
            expected.map(|(window, time, value)| Fact::of(value).at(time).within(&window));
        self.place(facts, expected);
    }

    /// These are the elements, with their windows and panes.
    pub fn contains_in_panes<W>(self, expected: impl IntoIterator<Item = (W, Pane, T)>)
    where
        W: Window + Debug,
    {
        let facts = Facts {
            pane: true,
            window: true,
            ..Facts::default()
        };
        let expected = expected.into_iter();
        let expected =
            expected.map(|(window, pane, value)| Fact::of(value).of_pane(pane).within(&window));
        self.place(facts, expected);
    }

    fn place(self, facts: Facts, expected: impl Iterator<Item = Fact<T>>) {
        let expected = expected.map(|fact| {
            let mut record = facts.begin(fact.timestamp, fact.pane, &fact.window);
            (self.record)(&fact.value, &mut record)?;
            Ok(Expected::of(fact.shown, &record))
        });
        let expected = expected
            .collect::<Result<Vec<_>>>()
            .unwrap_or_else(|error| {
                self.pipeline.fail(error);
                Vec::new()
            });
        let what = self.pipeline.name_of(&self.id);
        self.pipeline.scope(&format!("Expect {what}"), |pipeline| {
            let seen = (self.look)(pipeline, &self.id, facts);
            let seen = seen.window_into("Together", WindowFn::Global);
            let nothing = pipeline.create("Nothing", [Kv((), NOTHING.to_vec())]);
            let all = pipeline.flatten("Flatten", [seen, nothing]);
            let all = all.group_by_key("Group");
            all.par_do("Check", Check::new(what.clone(), expected));
        });
    }
}

fn look<R: Recorded>(pipeline: &Pipeline, id: &str, facts: Facts) -> PCollection<Kv<(), Vec<u8>>> {
    let elements = pipeline.handle::<R>(id.into());
    if facts.window {
        elements.par_do("Look", LookInWindows::<R>::new(facts))
    } else {
        elements.par_do("Look", Look::<R>::new(facts))
    }
}

/// An expected element with what is known of it.
struct Fact<T> {
    shown: String,
    timestamp: Timestamp,
    pane: Pane,
    window: Vec<u8>,
    value: T,
}

impl<T: Debug> Fact<T> {
    fn of(value: T) -> Self {
        Fact {
            shown: format!("{value:?}"),
            timestamp: Timestamp::MIN,
            pane: Pane::NO_FIRING,
            window: Vec::new(),
            value,
        }
    }

    fn at(mut self, timestamp: Timestamp) -> Self {
        self.shown = format!("{} at {timestamp}", self.shown);
        self.timestamp = timestamp;
        self
    }

    fn of_pane(mut self, pane: Pane) -> Self {
        self.shown = format!("{}, {pane:?}", self.shown);
        self.pane = pane;
        self
    }

    fn within<W: Window + Debug>(mut self, window: &W) -> Self {
        self.shown = format!("{} in {window:?}", self.shown);
        self.window = encoded(window, Nesting::Nested);
        self
    }
}
