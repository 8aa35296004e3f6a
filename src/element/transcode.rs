//! From one form of a value to another: runners wrap parts that they do not know in length prefixes.

use std::sync::Arc;

use super::coder::{Coder, urn};
use super::row::{DynRow, Match, RowAdapter, Schema};
use super::{Input, Layout, Nesting, Pane, RAW_CODER, put_varint};
use crate::error::{Error, Result};

/// Turns the bytes of one coder into those of another, for coders of the same type: they differ by
/// `length_prefix` at any places, and by the schemas of rows, whose fields match by name ([`RowAdapter`]).
///
/// `iterable` and `state_backed_iterable` count as equal. Where one side is [`RAW_CODER`], its content is the nested form
/// of the other side. A coder that is known to neither side must not depend on nesting: there is nothing to tell the forms
/// apart.
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

    fn convert(
        &self,
        input: &mut Input<'_>,
        at: Nesting,
        out: &mut Vec<u8>,
        out_at: Nesting,
    ) -> Result<()> {
        match self {
            Step::Same(layout) => relocate(layout, input, at, out, out_at),
            Step::ToRaw(layout) => {
                let start = out.len();
                relocate(layout, input, at, out, Nesting::Nested)?;
                if out_at == Nesting::Nested {
                    put_length_before(out, start);
                }
                Ok(())
            }
            Step::FromRaw(layout) => {
                let bytes = take_bytes(input, at)?;
                let mut content = input.part(bytes);
                relocate(layout, &mut content, Nesting::Nested, out, out_at)?;
                if content.is_empty() {
                    Ok(())
                } else {
                    Err(left_over(content.remaining(), bytes.len()))
                }
            }
            Step::Opaque(_) if at == Nesting::Outer => {
                out.extend_from_slice(input.take_rest());
                Ok(())
            }
            Step::Opaque(coder) => Err(Error::decode(format!(
                "a value of {} has no visible end here; the runner must wrap it in {}",
                coder.urn,
                urn::LENGTH_PREFIX
            ))),
            Step::Wrap(inner) => {
                let start = out.len();
                inner.convert(input, at, out, Nesting::Outer)?;
                put_length_before(out, start);
                Ok(())
            }
            Step::Unwrap(inner) => {
                let length = input.length()?;
                let bytes = input.take(length)?;
                let mut content = input.part(bytes);
                inner.convert(&mut content, Nesting::Outer, out, out_at)?;
                if content.is_empty() {
                    Ok(())
                } else {
                    Err(left_over(content.remaining(), length))
                }
            }
            Step::Parts(parts) => {
                let Some((last, first)) = parts.split_last() else {
                    return Ok(());
                };
                input.enter()?;
                for part in first {
                    part.convert(input, Nesting::Nested, out, Nesting::Nested)?;
                }
                last.convert(input, at, out, out_at)?;
                input.leave();
                Ok(())
            }
            Step::NestedParts(parts) => {
                input.enter()?;
                for part in parts {
                    part.convert(input, Nesting::Nested, out, Nesting::Nested)?;
                }
                input.leave();
                Ok(())
            }
            Step::Nullable(value) => match input.byte()? {
                0 => {
                    out.push(0);
                    Ok(())
                }
                1 => {
                    out.push(1);
                    value.convert(input, at, out, out_at)
                }
                byte => Err(Error::decode(format!(
                    "a nullable value begins with {byte}, not 0 or 1"
                ))),
            },
            Step::Iterable(element) => convert_iterable(element, input, out),
            Step::Windowed(value, window) => {
                out.extend_from_slice(input.take(8)?);
                let count = input.array::<4>()?;
                out.extend_from_slice(&count);
                convert_values(window, input, u64::from(u32::from_be_bytes(count)), out)?;
                let before = input.rest();
                let (_, has_metadata) = Pane::decode(input)?;
                if has_metadata {
                    let length = input.length()?;
                    input.take(length)?;
                }
                out.extend_from_slice(&before[..before.len() - input.remaining()]);
                value.convert(input, at, out, out_at)
            }
            Step::Row(schema, adapter) => {
                let row = DynRow::decode(schema, input, at)?;
                adapter.apply(row)?.encode(out)
            }
            Step::Timer(key, window) => {
                key.convert(input, Nesting::Nested, out, Nesting::Nested)?;
                let tag = input.length()?;
                put_varint(out, tag as u64);
                out.extend_from_slice(input.take(tag)?);
                convert_iterable(window, input, out)?;
                let before = input.rest();
                if input.byte()? == 0 {
                    input.array::<16>()?;
                    Pane::decode(input)?;
                }
                out.extend_from_slice(&before[..before.len() - input.remaining()]);
                Ok(())
            }
        }
    }
}

/// A run of bytes: as many as a length says, or all that is left.
fn take_bytes<'a>(input: &mut Input<'a>, at: Nesting) -> Result<&'a [u8]> {
    match at {
        Nesting::Outer => Ok(input.take_rest()),
        Nesting::Nested => {
            let length = input.length()?;
            input.take(length)
        }
    }
}

#[cold]
fn left_over(bytes: usize, of: usize) -> Error {
    Error::decode(format!(
        "{bytes} bytes are left over after a value in {of} bytes"
    ))
}

/// Copies one value as it is.
fn copy(layout: &Layout, input: &mut Input<'_>, at: Nesting, out: &mut Vec<u8>) -> Result<()> {
    let before = input.rest();
    layout.skip(input, at)?;
    out.extend_from_slice(&before[..before.len() - input.remaining()]);
    Ok(())
}

/// Copies one value into a place of perhaps other nesting, which its last part then follows.
fn relocate(
    layout: &Layout,
    input: &mut Input<'_>,
    at: Nesting,
    out: &mut Vec<u8>,
    out_at: Nesting,
) -> Result<()> {
    if at == out_at {
        return copy(layout, input, at, out);
    }
    match layout {
        Layout::Bytes => {
            let bytes = take_bytes(input, at)?;
            if out_at == Nesting::Nested {
                put_varint(out, bytes.len() as u64);
            }
            out.extend_from_slice(bytes);
            Ok(())
        }
        Layout::Parts(parts) => {
            let Some((last, first)) = parts.split_last() else {
                return Ok(());
            };
            input.enter()?;
            for part in first {
                copy(part, input, Nesting::Nested, out)?;
            }
            relocate(last, input, at, out, out_at)?;
            input.leave();
            Ok(())
        }
        Layout::Nullable(value) => {
            let byte = input.byte()?;
            out.push(byte);
            match byte {
                0 => Ok(()),
                1 => relocate(value, input, at, out, out_at),
                _ => Err(Error::decode(format!(
                    "a nullable value begins with {byte}, not 0 or 1"
                ))),
            }
        }
        Layout::Windowed(value, window) => {
            let before = input.rest();
            Layout::skip_header(window, input)?;
            out.extend_from_slice(&before[..before.len() - input.remaining()]);
            relocate(value, input, at, out, out_at)
        }
        _ => copy(layout, input, at, out),
    }
}

/// Converts one iterable: counted or in blocks, perhaps with the token of a state-backed tail.
///
/// The tail's values stay in the source's form, so whoever fetches them must convert them too.
fn convert_iterable(element: &Step, input: &mut Input<'_>, out: &mut Vec<u8>) -> Result<()> {
    let count = input.array::<4>()?;
    out.extend_from_slice(&count);
    input.enter()?;
    match i32::from_be_bytes(count) {
        count @ 0.. => convert_values(element, input, count as u64, out)?,
        -1 => loop {
            let block = input.varint()?;
            put_varint(out, block);
            match block as i64 {
                0 => break,
                -1 => {
                    let length = input.length()?;
                    put_varint(out, length as u64);
                    out.extend_from_slice(input.take(length)?);
                    break;
                }
                1.. => convert_values(element, input, block, out)?,
                count => return Err(super::iterable::negative_count(count)),
            }
        },
        count => return Err(super::iterable::negative_count(i64::from(count))),
    }
    input.leave();
    Ok(())
}

/// Converts `count` nested values, which must have bytes: an element that differs by a length prefix has some.
fn convert_values(
    element: &Step,
    input: &mut Input<'_>,
    count: u64,
    out: &mut Vec<u8>,
) -> Result<()> {
    for _ in 0..count {
        let before = (input.remaining(), out.len());
        element.convert(input, Nesting::Nested, out, Nesting::Nested)?;
        if input.remaining() == before.0 {
            if out.len() == before.1 {
                // Values of zero bytes on both sides: the count says it all.
                return Ok(());
            }
            if count > super::iterable::MAX_EMPTY_VALUES {
                return Err(Error::decode(format!(
                    "{count} values of zero bytes are announced; at most {} are allowed",
                    super::iterable::MAX_EMPTY_VALUES
                )));
            }
        }
    }
    Ok(())
}

/// Puts the length of what follows `start` at `start`.
fn put_length_before(out: &mut Vec<u8>, start: usize) {
    let length = out.len() - start;
    put_varint(out, length as u64);
    let added = out.len() - start - length;
    out[start..].rotate_right(added);
}

#[cfg(test)]
mod tests {
    use super::*;

    const NESTED: Nesting = Nesting::Nested;
    const OUTER: Nesting = Nesting::Outer;

    fn bytes() -> Coder {
        Coder::standard(urn::BYTES, [])
    }

    fn varint() -> Coder {
        Coder::standard(urn::VARINT, [])
    }

    fn prefixed(coder: Coder) -> Coder {
        Coder::length_prefix(coder)
    }

    /// Converts `wire` to `own` and back, at each place.
    #[track_caller]
    fn round_trip(from: &Coder, wire: &[u8], at: Nesting, to: &Coder, own: &[u8], out_at: Nesting) {
        for (from, wire, at, to, own, out_at) in [
            (from, wire, at, to, own, out_at),
            (to, own, out_at, from, wire, at),
        ] {
            let transcoder = Transcoder::between(from, to).expect("same type");
            let transcoder = transcoder.expect("they differ");
            let mut input = Input::new(wire);
            let mut out = vec![0xee];
            transcoder
                .convert(&mut input, at, &mut out, out_at)
                .expect("valid");
            assert!(input.is_empty());
            assert_eq!(out[1..], *own, "{from} to {to}");
        }
    }

    #[test]
    fn prefixes_come_and_go_at_any_place() {
        let key = Coder::kv(prefixed(bytes()), varint());
        let own = Coder::kv(bytes(), varint());
        round_trip(&key, b"\x03abc\x07", NESTED, &own, b"\x03abc\x07", NESTED);
        let value = Coder::kv(varint(), prefixed(bytes()));
        let own = Coder::kv(varint(), bytes());
        round_trip(&value, b"\x07\x03abc", OUTER, &own, b"\x07abc", OUTER);
        round_trip(&value, b"\x07\x03abc", OUTER, &own, b"\x07\x03abc", NESTED);
        let all = prefixed(Coder::kv(varint(), bytes()));
        round_trip(&all, b"\x04\x07abc", NESTED, &own, b"\x07\x03abc", NESTED);
        let lists = Coder::iterable(prefixed(Coder::kv(varint(), bytes())));
        round_trip(
            &lists,
            b"\0\0\0\x02\x02\x01a\x02\x02b",
            NESTED,
            &Coder::standard(urn::STATE_BACKED_ITERABLE, [own]),
            b"\0\0\0\x02\x01\x01a\x02\x01b",
            OUTER,
        );
        let null = Coder::nullable(prefixed(varint()));
        round_trip(
            &null,
            b"\x01\x01\x07",
            NESTED,
            &Coder::nullable(varint()),
            b"\x01\x07",
            NESTED,
        );
        round_trip(
            &null,
            b"\0",
            NESTED,
            &Coder::nullable(varint()),
            b"\0",
            OUTER,
        );
    }

    #[test]
    fn long_values_get_long_lengths() {
        let long = vec![7u8; 300];
        let wire = [&[0xac, 2][..], &long].concat();
        let pair = [&wire[..], &[1]].concat();
        let from = Coder::kv(prefixed(bytes()), varint());
        round_trip(
            &from,
            &pair,
            NESTED,
            &Coder::kv(bytes(), varint()),
            &pair,
            NESTED,
        );
        round_trip(&prefixed(bytes()), &wire, NESTED, &bytes(), &long, OUTER);
    }

    #[test]
    fn blocks_and_tokens_stay_blocks_and_tokens() {
        let from = Coder::iterable(prefixed(varint()));
        let mut wire = b"\xff\xff\xff\xff\x01\x02\xac\x02".to_vec();
        let mut own = b"\xff\xff\xff\xff\x01\xac\x02".to_vec();
        for bytes in [&mut wire, &mut own] {
            bytes.extend([0xff; 9]);
            bytes.extend(b"\x01\x05token");
        }
        round_trip(
            &from,
            &wire,
            NESTED,
            &Coder::iterable(varint()),
            &own,
            NESTED,
        );
    }

    #[test]
    fn windowed_values_and_timers() {
        let interval = || Coder::standard(urn::INTERVAL_WINDOW, []);
        let windowed = |value, window| Coder::standard(urn::WINDOWED_VALUE, [value, window]);
        let stamp = b"\x80\0\0\0\0\0\0\x05";
        let window = b"\x80\0\0\0\0\0\0\x05\x05";
        let own = [&stamp[..], b"\0\0\0\x01", window, b"\x0f", b"abc"].concat();
        let wire = [&stamp[..], b"\0\0\0\x01\x09", window, b"\x0f", b"\x03abc"].concat();
        let from = windowed(prefixed(bytes()), prefixed(interval()));
        round_trip(
            &from,
            &wire,
            NESTED,
            &windowed(bytes(), interval()),
            &own,
            OUTER,
        );

        let timer = |key| Coder::standard(urn::TIMER, [key, interval()]);
        let rest = [
            b"\x01t\0\0\0\x01",
            &window[..],
            b"\0",
            stamp,
            stamp,
            b"\x0f",
        ]
        .concat();
        let own = [b"\x07", &rest[..]].concat();
        let wire = [b"\x01\x07", &rest[..]].concat();
        round_trip(
            &timer(prefixed(varint())),
            &wire,
            NESTED,
            &timer(varint()),
            &own,
            NESTED,
        );
    }

    #[test]
    fn raw_parts_hold_the_nested_form() {
        let raw = || Coder::custom(RAW_CODER, "");
        let foreign = || Coder::custom("other:sdk", "");
        let wire = Coder::kv(prefixed(foreign()), varint());
        let own = Coder::kv(raw(), varint());
        round_trip(
            &wire,
            b"\x03abc\x07",
            NESTED,
            &own,
            b"\x04\x03abc\x07",
            NESTED,
        );
        round_trip(&bytes(), b"abc", OUTER, &raw(), b"\x03abc", OUTER);
        round_trip(&bytes(), b"abc", OUTER, &raw(), b"\x04\x03abc", NESTED);
        let list = Coder::iterable(varint());
        let raws = Coder::iterable(raw());
        round_trip(
            &list,
            b"\0\0\0\x02\x01\x02",
            NESTED,
            &raws,
            b"\0\0\0\x02\x01\x01\x01\x02",
            NESTED,
        );
    }

    #[test]
    fn a_prefix_around_an_unknown_coder_is_stripped() {
        let own = Coder::custom("my:coder", "");
        round_trip(
            &prefixed(own.clone()),
            b"\x03abc",
            NESTED,
            &own,
            b"abc",
            OUTER,
        );
        let pair = |key| Coder::kv(key, varint());
        let error = Transcoder::between(&pair(own.clone()), &pair(prefixed(own)));
        let error = error.expect_err("its end is invisible").to_string();
        assert!(error.contains("my:coder"), "{error}");
    }

    #[test]
    fn other_types_are_errors_that_name_both() {
        let from = Coder::kv(prefixed(bytes()), varint());
        let to = Coder::kv(bytes(), bytes());
        let error = Transcoder::between(&from, &to).expect_err("other type");
        assert_eq!(
            error.to_string(),
            "values of kv<length_prefix<bytes>, varint> cannot be turned into values of kv<bytes, bytes>: \
             varint is not bytes"
        );
    }

    #[test]
    fn equal_coders_need_no_transcoder() {
        let list = Coder::iterable(varint());
        let backed = Coder::standard(urn::STATE_BACKED_ITERABLE, [varint()]);
        assert!(Transcoder::between(&list, &backed).expect("same").is_none());
    }

    #[test]
    fn lies_are_errors() {
        let strip = Transcoder::between(&prefixed(varint()), &varint());
        let strip = strip.expect("same type").expect("they differ");
        for lie in [
            &b"\x02\x07"[..],
            b"\x02\x07\x08",
            b"\x00",
            b"\xff\xff\xff\xff\x7f\x07",
        ] {
            let mut out = Vec::new();
            strip
                .convert(&mut Input::new(lie), NESTED, &mut out, NESTED)
                .expect_err("a lie");
        }
    }
}
