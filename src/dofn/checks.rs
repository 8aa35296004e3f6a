//! The functions behind `testing::expect`. Every worker has them.
//!
//! They compare encoded values, so they work on any type. A record is what is compared: a byte of one, which facts about
//! the element were asked for, and its value.

use std::collections::HashMap;
use std::fmt::Write;
use std::marker::PhantomData;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::{Counter, Cx, Describe, DoFn, Named, Out, Port, Ports, Scope, Site, Wiring};
use crate::element::{Element, Iter, Kv, Pane, Raw, Timestamp, put_varint};
use crate::error::{Error, Result};

/// The record of no element: every check gets one, so that it also runs where there are no elements.
pub const NOTHING: &[u8] = &[];

/// How many elements that are missing or too many an error lists.
const SHOWN: usize = 20;

/// Which facts about an element are part of its record.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Facts {
    /// Its timestamp.
    pub timestamp: bool,
    /// Its pane.
    pub pane: bool,
    /// Its window. An element in several windows has several records.
    pub window: bool,
}

impl Facts {
    /// Begins the record of an element, whose value is to follow.
    pub fn begin(self, timestamp: Timestamp, pane: Pane, window: &[u8]) -> Vec<u8> {
        let mut record = vec![1];
        if self.timestamp {
            timestamp.encode(&mut record);
        }
        if self.pane {
            pane.encode(&mut record, false);
        }
        if self.window {
            put_varint(&mut record, window.len() as u64);
            record.extend_from_slice(window);
        }
        record
    }
}

/// A value that a record can end in.
pub trait Recorded: Element {
    /// The name of [`Look`] at such values.
    const LOOK: &'static str;
    /// The name of [`LookInWindows`] at such values.
    const LOOK_IN_WINDOWS: &'static str;

    /// Appends the value.
    ///
    /// # Errors
    /// A value that cannot be read.
    fn record(&self, record: &mut Vec<u8>) -> Result<()>;
}

impl Recorded for Raw {
    const LOOK: &'static str = "ferrobeam.Look/v1";
    const LOOK_IN_WINDOWS: &'static str = "ferrobeam.LookInWindows/v1";

    fn record(&self, record: &mut Vec<u8>) -> Result<()> {
        record.extend_from_slice(&self.0);
        Ok(())
    }
}

/// Groups, whose values have no order.
impl Recorded for Kv<Raw, Iter<Raw>> {
    const LOOK: &'static str = "ferrobeam.LookAtGroups/v1";
    const LOOK_IN_WINDOWS: &'static str = "ferrobeam.LookAtGroupsInWindows/v1";

    fn record(&self, record: &mut Vec<u8>) -> Result<()> {
        let values = self.1.iter().map(|value| value.map(|value| value.0));
        record_group(record, &self.0.0, values.collect::<Result<Vec<_>>>()?);
        Ok(())
    }
}

/// Appends a group in the one form that it has in records.
pub fn record_group<V: AsRef<[u8]> + Ord>(record: &mut Vec<u8>, key: &[u8], mut values: Vec<V>) {
    values.sort();
    record.extend_from_slice(key);
    for value in values {
        put_varint(record, value.as_ref().len() as u64);
        record.extend_from_slice(value.as_ref());
    }
}

/// Makes records of elements.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Look<R> {
    facts: Facts,
    #[serde(skip)]
    of: PhantomData<fn() -> R>,
}

impl<R> Look<R> {
    /// The function that records these facts.
    pub const fn new(facts: Facts) -> Self {
        Look {
            facts,
            of: PhantomData,
        }
    }
}

impl<R: Recorded> Named for Look<R> {
    const NAME: &'static str = R::LOOK;
}

impl<R: Recorded> DoFn for Look<R> {
    type In = R;
    type Io = Out<Kv<(), Vec<u8>>>;

    fn process(&mut self, element: R, cx: &mut Cx<'_>, out: &mut Self::Io) -> Result<()> {
        let mut record = self.facts.begin(cx.timestamp(), cx.pane(), &[]);
        element.record(&mut record)?;
        out.emit(cx, Kv((), record));
        Ok(())
    }
}

/// Makes records of elements, one for each window that they are in.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct LookInWindows<R> {
    facts: Facts,
    #[serde(skip)]
    of: PhantomData<fn() -> R>,
}

impl<R> LookInWindows<R> {
    /// The function that records these facts.
    pub const fn new(facts: Facts) -> Self {
        LookInWindows {
            facts,
            of: PhantomData,
        }
    }
}

impl<R: Recorded> Named for LookInWindows<R> {
    const NAME: &'static str = R::LOOK_IN_WINDOWS;
}

/// Ports of [`LookInWindows`]: an output, and the encoded window of the element in hand.
pub struct LookInWindowsIo {
    output: Out<Kv<(), Vec<u8>>>,
    window: Vec<u8>,
}

impl<F> Ports<F> for LookInWindowsIo {
    type Outputs<S: Site> = S::Collection<Kv<(), Vec<u8>>>;
    type Sides<S: Site> = ();
    const OBSERVES_WINDOWS: bool = true;

    fn wire(wiring: &mut Wiring<'_>) -> Result<Self> {
        Ok(LookInWindowsIo {
            output: Port::<F>::wire(wiring, "output")?,
            window: Vec::new(),
        })
    }

    fn describe<D: Describe>(describe: &mut D) {
        describe.output::<Kv<(), Vec<u8>>>("output");
    }

    fn start(&mut self) -> Result<()> {
        Port::<F>::start(&mut self.output)
    }

    fn enter(&mut self, scope: &Scope<'_>) -> Result<()> {
        self.window.clear();
        self.window.extend_from_slice(scope.window);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Port::<F>::finish(&mut self.output)
    }

    fn outputs<S: Site>(site: &mut S) -> Self::Outputs<S> {
        site.output("output")
    }

    fn sides<S: Site>(_site: &mut S, (): ()) {}
}

impl<R: Recorded> DoFn for LookInWindows<R> {
    type In = R;
    type Io = LookInWindowsIo;

    fn process(&mut self, element: R, cx: &mut Cx<'_>, io: &mut Self::Io) -> Result<()> {
        let mut record = self.facts.begin(cx.timestamp(), cx.pane(), &io.window);
        element.record(&mut record)?;
        io.output.emit(cx, Kv((), record));
        Ok(())
    }
}

/// An element that a [`Check`] expects.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Expected {
    /// The element for people.
    shown: String,
    /// Its record in base64.
    record: String,
}

impl Expected {
    /// The element with this record.
    pub fn of(shown: String, record: &[u8]) -> Self {
        Expected {
            shown,
            record: BASE64_STANDARD.encode(record),
        }
    }
}

/// Fails the bundle unless a group of records is the expected one. Its counter `checked` says how often it passed.
#[derive(Serialize, Deserialize)]
pub struct Check {
    /// What is checked, for people.
    what: String,
    expected: Vec<Expected>,
}

impl Check {
    /// The function that expects these elements of `what`.
    pub const fn new(what: String, expected: Vec<Expected>) -> Self {
        Check { what, expected }
    }
}

impl Named for Check {
    const NAME: &'static str = "ferrobeam.Check/v1";
}

/// Ports of [`Check`].
pub struct CheckIo {
    checked: Counter,
}

impl Ports<Check> for CheckIo {
    type Outputs<S: Site> = ();
    type Sides<S: Site> = ();
    const OBSERVES_WINDOWS: bool = false;

    fn wire(wiring: &mut Wiring<'_>) -> Result<Self> {
        Ok(CheckIo {
            checked: Port::<Check>::wire(wiring, "checked")?,
        })
    }

    fn describe<D: Describe>(_describe: &mut D) {}

    fn start(&mut self) -> Result<()> {
        Port::<Check>::start(&mut self.checked)
    }

    fn enter(&mut self, _scope: &Scope<'_>) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Port::<Check>::finish(&mut self.checked)
    }

    fn outputs<S: Site>(_site: &mut S) {}

    fn sides<S: Site>(_site: &mut S, (): ()) {}
}

impl DoFn for Check {
    type In = Kv<(), Iter<Vec<u8>>>;
    type Io = CheckIo;

    fn process(&mut self, group: Self::In, _cx: &mut Cx<'_>, io: &mut CheckIo) -> Result<()> {
        let mut missing: HashMap<Vec<u8>, (usize, &str)> = HashMap::new();
        for Expected { shown, record } in &self.expected {
            let record = BASE64_STANDARD.decode(record);
            let record = record
                .map_err(|e| Error::descriptor("a value in the pipeline is damaged").because(e))?;
            missing.entry(record).or_insert((0, shown)).0 += 1;
        }
        let (mut count, mut unexpected) = (0u64, Vec::new());
        for record in &group.1 {
            let record = record?;
            if record == NOTHING {
                continue;
            }
            count += 1;
            match missing.get_mut(&record) {
                Some((left, _)) if *left > 0 => *left -= 1,
                _ if unexpected.len() < SHOWN => unexpected.push(record),
                _ => {}
            }
        }
        missing.retain(|_, (left, _)| *left > 0);
        if missing.is_empty() && count == self.expected.len() as u64 {
            io.checked.inc();
            return Ok(());
        }
        Err(self.mismatch(count, &missing, &unexpected))
    }
}

impl Check {
    #[cold]
    fn mismatch(
        &self,
        count: u64,
        missing: &HashMap<Vec<u8>, (usize, &str)>,
        unexpected: &[Vec<u8>],
    ) -> Error {
        let mut text = format!(
            "{} does not hold what is expected: {count} elements came, {} were expected",
            self.what,
            self.expected.len()
        );
        let mut shown: Vec<_> = missing.values().collect();
        shown.sort_by_key(|(_, shown)| *shown);
        for (times, shown) in shown.into_iter().take(SHOWN) {
            // Writing into a string cannot fail.
            let _ = write!(text, "\n   missing: {shown} ({times} times)");
        }
        for record in unexpected {
            let _ = write!(text, "\nunexpected: {}", record[1..].escape_ascii());
        }
        Error::user(text)
    }
}
