//! From one form of a value to another: runners wrap parts that they do not know in length prefixes.

mod convert;

use std::sync::Arc;

use super::coder::{Coder, urn};
use super::row::{Match, RowAdapter, Schema};
use super::{Input, Layout, Nesting, RAW_CODER};
use crate::error::{Error, Result};

/// Turns the bytes of one coder into those of another, for coders of the same type: they differ by
/// `length_prefix` at any places, and by the schemas of rows, whose fields match by name ([`RowAdapter`]).
///
/// `iterable` and `state_backed_iterable` count as equal. Where one side is [`RAW_CODER`], its content is the nested
/// form of the other side. A coder that is known to neither side must not depend on nesting: there is nothing to tell
/// the forms apart.
#[derive(Debug, Clone)]
pub struct Transcoder {
    step: Step,
}

/// What to do with one part of a value.
#[derive(Debug, Clone)]
enum Step {
    /// Both sides have the same coder.
    Same(Layout),
    /// Both sides have the same coder, which nobody here knows: it must fill what is left.
    Opaque(Coder),
    /// The target is raw: it holds the source's nested form.
    ToRaw(Layout),
    /// The source is raw: it holds the target's nested form.
    FromRaw(Layout),
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
        let step = Step::between(from, to, Nesting::Outer).map_err(|cause| {
            Error::descriptor(format!(
                "values of {from} cannot be turned into values of {to}: {}",
                cause.message()
            ))
        })?;
        Ok(Some(Transcoder { step }))
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
    /// `at` is where the value stands in both forms: only at the end may its end be unmarked.
    fn between(from: &Coder, to: &Coder, at: Nesting) -> Result<Self> {
        if alike(from, to) {
            return Step::same(from, at);
        }
        if to.is(RAW_CODER) {
            return Ok(Step::ToRaw(Layout::of(from)?));
        }
        if from.is(RAW_CODER) {
            return Ok(Step::FromRaw(Layout::of(to)?));
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
