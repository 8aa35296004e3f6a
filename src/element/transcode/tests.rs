//! Forms and back.

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
    let raw = || Coder::foreign(RAW_CODER, "");
    let foreign = || Coder::foreign("other:sdk", "");
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
fn raw_parts_are_the_same_however_the_wire_frames_them() {
    let raw = Coder::foreign(RAW_CODER, "");
    let foreign = Coder::foreign("other:sdk", "");
    let bare = Coder::kv(varint(), prefixed(foreign.clone()));
    let framed = Coder::kv(prefixed(varint()), prefixed(foreign));
    round_trip(&bare, b"\x07\x02ab", NESTED, &raw, b"\x07\x02ab", OUTER);
    round_trip(
        &framed,
        b"\x01\x07\x02ab",
        NESTED,
        &raw,
        b"\x07\x02ab",
        OUTER,
    );
    round_trip(
        &prefixed(framed),
        b"\x05\x01\x07\x02ab",
        NESTED,
        &raw,
        b"\x07\x02ab",
        OUTER,
    );
}

#[test]
fn a_prefix_around_an_unknown_coder_is_stripped() {
    let own = Coder::foreign("my:coder", "");
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
