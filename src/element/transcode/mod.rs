//! From one form of a value to another: runners wrap parts that they do not know in length prefixes.

mod convert;
mod pages;

pub use pages::TranscodedPages;

use std::sync::Arc;

use super::coder::{Coder, Ends, urn};
use super::row::{Match, RowAdapter, Schema};
use super::{Input, Layout, Nesting, RAW_CODER};
use crate::error::{Error, Result};

/// Turns the bytes of one coder into those of another, for coders of the same type: they differ by
/// `length_prefix` at any places, and by the schemas of rows, whose fields match by name ([`RowAdapter`]).
///
/// `iterable` and `state_backed_iterable` count as equal. Where one side is [`RAW_CODER`], its content is the nested
/// form of the other side, in the form that [`plain`] describes. A coder that is known to neither side must not depend on nesting: there is nothing to tell
/// the forms apart.
#[derive(Debug, Clone)]
pub struct Transcoder {
    step: Arc<Step>,
    tails: Tails,
}

/// What becomes of the values that a runner keeps behind a token.
#[derive(Debug, Clone)]
enum Tails {
    /// They have the same form on both sides, or there are none.
    Same,
    /// They are elements of the only iterable.
    Of(Arc<Step>),
    /// There are several iterables, and tokens do not tell them apart.
    Several,
}

/// What to do with one part of a value.
#[derive(Debug, Clone)]
enum Step {
    /// Both sides have the same coder.
    Same(Layout),
    /// Both sides have the same coder, which nobody here knows: it must fill what is left.
    Opaque(Coder),
    /// The target is raw: it holds the source's plain nested form, which this makes.
    ToRaw(Box<Step>),
    /// The source is raw: it holds the target's plain nested form, which this takes.
    FromRaw(Box<Step>),
    /// The target adds a length.
    Wrap(Box<Step>),
    /// The source has a length.
    Unwrap(Box<Step>),
    /// Parts one after the other; the last inherits the nesting.
    Parts(Vec<Step>),
    /// Parts one after the other, all nested.
    NestedParts(Vec<Step>),
    /// A presence byte before a value.
    Nullable(Box<Step>),
    /// A count and elements, or blocks.
    Iterable(Box<Step>),
    /// Value and window of a windowed value.
    Windowed(Box<Step>, Box<Step>),
    /// Key and window of a timer.
    Timer(Box<Step>, Box<Step>),
    /// Fields by name: the two schemas differ.
    Row(Arc<Schema>, Box<RowAdapter>),
}

impl Transcoder {
    /// How to get from values of `from` to values of `to`; `None` where the bytes are the same.
    ///
    /// # Errors
    /// Coders of different types: the error names both. A part of an unknown coder that has no length in `from`.
    pub fn between(from: &Coder, to: &Coder) -> Result<Option<Self>> {
        if alike(from, to) {
            return Ok(None);
        }
        let step =
            Step::between(from, to, Nesting::Outer).map_err(|cause| unlike(from, to, &cause))?;
        let tails = match (step.iterable(), iterables(from)) {
            (None, _) => Tails::Same,
            (Some(element), 1) => Tails::Of(Arc::new(element.clone())),
            (Some(_), _) => Tails::Several,
        };
        Ok(Some(Transcoder {
            step: Arc::new(step),
            tails,
        }))
    }

    /// Whether elements of a collection whose coder is `from` can be read as values of `to`. Pipelines may say coders that
    /// this worker does not know without length prefixes: a runner adds them, at the latest on the wire.
    ///
    /// # Errors
    /// Coders of different types: the error names both.
    pub fn check(from: &Coder, to: &Coder) -> Result<()> {
        if alike(from, to) {
            return Ok(());
        }
        match Step::between(&plain(from), to, Nesting::Outer) {
            Ok(_) => Ok(()),
            Err(cause) => Err(unlike(from, to, &cause)),
        }
    }

    /// Reads one value from `input` and appends it to `out`. What was appended before an error is unspecified.
    ///
    /// # Errors
    /// Bytes that end early or that the source coder does not allow.
    pub fn convert(
        &self,
        input: &mut Input<'_>,
        at: Nesting,
        out: &mut Vec<u8>,
        out_at: Nesting,
    ) -> Result<()> {
        self.step.convert(input, at, out, out_at)
    }
}

#[cold]
fn unlike(from: &Coder, to: &Coder, cause: &Error) -> Error {
    Error::descriptor(format!(
        "values of {from} cannot be turned into values of {to}: {}",
        cause.message()
    ))
}

/// The form in which raw values travel between functions, so that it does not matter how the wire frames them on
/// either side: length prefixes stand round what nobody here knows, and nowhere else.
pub fn plain(coder: &Coder) -> Coder {
    if coder.is(urn::LENGTH_PREFIX)
        && let [content] = coder.components.as_slice()
    {
        return plain(content);
    }
    // A coder of one type is as unknown as others: the runner's descriptor does not tell them apart.
    let form = Coder {
        components: coder.components.iter().map(plain).collect(),
        ends: Ends::default(),
        ..coder.clone()
    };
    match Layout::of(&form) {
        Ok(_) => form,
        Err(_) => Coder::length_prefix(coder.clone()),
    }
}

/// Whether values of both coders have the same bytes.
fn alike(a: &Coder, b: &Coder) -> bool {
    name(a) == name(b)
        && same_payload(a, b)
        && a.components.len() == b.components.len()
        && a.components
            .iter()
            .zip(&b.components)
            .all(|(a, b)| alike(a, b))
}

/// How many iterables a coder has within.
fn iterables(coder: &Coder) -> usize {
    let within: usize = coder.components.iter().map(iterables).sum();
    within + usize::from(name(coder) == urn::ITERABLE)
}

/// The URN, with one name for both iterables.
fn name(coder: &Coder) -> &str {
    match coder.urn.as_ref() {
        urn::STATE_BACKED_ITERABLE => urn::ITERABLE,
        urn => urn,
    }
}

fn same_payload(a: &Coder, b: &Coder) -> bool {
    // Schemas of equal rows may differ in id and descriptions.
    a.payload == b.payload
        || (a.is(urn::ROW) && super::row::same_rows(&a.payload, &b.payload).unwrap_or(false))
}

impl Step {
    /// The step for the elements of an iterable within, where they change.
    fn iterable(&self) -> Option<&Step> {
        match self {
            Step::Iterable(element) => Some(element),
            Step::Wrap(inner) | Step::Unwrap(inner) | Step::Nullable(inner) => inner.iterable(),
            Step::Parts(parts) | Step::NestedParts(parts) => parts.iter().find_map(Step::iterable),
            Step::Windowed(value, _) => value.iterable(),
            Step::Timer(key, _) => key.iterable(),
            Step::ToRaw(inner) | Step::FromRaw(inner) => inner.iterable(),
            Step::Same(_) | Step::Opaque(_) | Step::Row(..) => None,
        }
    }

    /// `at` is where the value stands in both forms: only at the end may its end be unmarked.
    fn between(from: &Coder, to: &Coder, at: Nesting) -> Result<Self> {
        if alike(from, to) {
            return Step::same(from, at);
        }
        if to.is(RAW_CODER) {
            return Step::between(from, &plain(from), at).map(|step| Step::ToRaw(Box::new(step)));
        }
        if from.is(RAW_CODER) {
            let step = Step::between(&plain(to), to, Nesting::Nested)?;
            return Ok(Step::FromRaw(Box::new(step)));
        }
        match (from.is(urn::LENGTH_PREFIX), to.is(urn::LENGTH_PREFIX)) {
            (true, true) => {
                let inner = Step::between(from.component(0)?, to.component(0)?, Nesting::Outer)?;
                return Ok(Step::Unwrap(Box::new(Step::Wrap(Box::new(inner)))));
            }
            (true, false) => {
                let inner = Step::between(from.component(0)?, to, Nesting::Outer)?;
                return Ok(Step::Unwrap(Box::new(inner)));
            }
            (false, true) => {
                let inner = Step::between(from, to.component(0)?, at)?;
                return Ok(Step::Wrap(Box::new(inner)));
            }
            (false, false) => {}
        }
        if from.is(urn::ROW) && to.is(urn::ROW) {
            let source = Arc::new(Schema::of_coder(from)?);
            let target = Arc::new(Schema::of_coder(to)?);
            let adapter = RowAdapter::between(&source, &target, Match::Elements)?;
            return Ok(Step::Row(source, Box::new(adapter)));
        }
        if name(from) != name(to) || !same_payload(from, to) {
            return Err(Error::descriptor(format!("{from} is not {to}")));
        }
        let part = |index, at| Step::between(from.component(index)?, to.component(index)?, at);
        let nested = |index| part(index, Nesting::Nested).map(Box::new);
        let last = |index| part(index, at).map(Box::new);
        Ok(match name(from) {
            urn::KV => Step::Parts(vec![*nested(0)?, *last(1)?]),
            urn::SHARDED_KEY => Step::NestedParts(vec![Step::Same(Layout::Bytes), *nested(0)?]),
            urn::CUSTOM_WINDOW => {
                Step::NestedParts(vec![Step::Same(Layout::Fixed(8)), *nested(0)?])
            }
            urn::NULLABLE => Step::Nullable(last(0)?),
            urn::ITERABLE => Step::Iterable(nested(0)?),
            urn::WINDOWED_VALUE => Step::Windowed(last(0)?, nested(1)?),
            urn::PARAM_WINDOWED_VALUE => *last(0)?,
            urn::TIMER => Step::Timer(nested(0)?, nested(1)?),
            _ => {
                return Err(Error::descriptor(format!(
                    "the parts of {} are unknown to this worker",
                    from.urn
                )));
            }
        })
    }

    /// The step between coders that are [`alike`].
    fn same(coder: &Coder, at: Nesting) -> Result<Self> {
        match Layout::of(coder) {
            Ok(layout) => Ok(Step::Same(layout)),
            Err(_) if at == Nesting::Outer => Ok(Step::Opaque(coder.clone())),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
