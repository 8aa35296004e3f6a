//! Golden and hostile bytes of the standard coders that Beam's own cases leave out.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Debug;

use ferrobeam::element::coder::urn;
use ferrobeam::element::{
    Coder, Header, Input, Layout, Nesting, ShardedKey, TimerCoding, TimerRecord, Transcoder,
    WindowCoding, decoded, encoded, put_varint,
};
use ferrobeam::window::{CustomWindow, IntervalWindow};
use ferrobeam::{Element, Kv, Timestamp};

use Nesting::{Nested, Outer};

fn standard(urn: &'static str, components: impl Into<Vec<Coder>>) -> Coder {
    Coder::standard(urn, components)
}

fn varint() -> Coder {
    standard(urn::VARINT, [])
}

fn bytes() -> Coder {
    standard(urn::BYTES, [])
}

fn interval() -> Coder {
    standard(urn::INTERVAL_WINDOW, [])
}

/// The value's bytes are these, and the bytes are that value.
#[track_caller]
fn golden<T: Element + PartialEq + Debug>(value: T, at: Nesting, wire: &[u8]) {
    assert_eq!(encoded(&value, at), wire);
    assert_eq!(decoded::<T>(wire, at).unwrap(), value);
    let layout = Layout::of(&T::coder()).unwrap();
    let mut input = Input::new(wire);
    layout.skip(&mut input, at).unwrap();
    assert!(input.is_empty());
}

#[test]
fn values() {
    golden(300i64, Outer, b"\xac\x02");
    golden(-1i64, Nested, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    golden(1.5f64, Nested, b"\x3f\xf8\0\0\0\0\0\0");
    golden(Kv(b"k".to_vec(), b"v".to_vec()), Outer, b"\x01kv");
    golden(Kv(b"k".to_vec(), b"v".to_vec()), Nested, b"\x01k\x01v");
    golden(Some(b"x".to_vec()), Nested, b"\x01\x01x");
    golden(Some(b"x".to_vec()), Outer, b"\x01x");
    golden(None::<Vec<u8>>, Outer, b"\0");
    let sharded = ShardedKey {
        shard: "sh".into(),
        key: "k".to_owned(),
    };
    golden(sharded.clone(), Outer, b"\x02sh\x01k");
    golden(sharded, Nested, b"\x02sh\x01k");
    let custom = CustomWindow::from(IntervalWindow::from_millis(0, 5000));
    golden(
        custom,
        Nested,
        b"\x80\0\0\0\0\0\x13\x87\x80\0\0\0\0\0\x13\x88\x88\x27",
    );
}

#[test]
fn length_prefixes() {
    let prefixed = Coder::length_prefix(varint());
    let add = Transcoder::between(&varint(), &prefixed).unwrap().unwrap();
    let mut out = Vec::new();
    add.convert(&mut Input::new(b"\xac\x02"), Nested, &mut out, Outer)
        .unwrap();
    assert_eq!(out, b"\x02\xac\x02");
}

#[test]
fn windowed_values() {
    let coding = WindowCoding::of(&interval()).unwrap();
    // No window at all, and all windows of an element at once.
    for (wire, windows) in [
        (&b"\x80\0\0\0\0\0\x1b\x58\0\0\0\0\x0f"[..], 0),
        (
            b"\x80\0\0\0\0\0\x03\xe8\0\0\0\x01\x80\0\0\0\0\0\x13\x88\x88\x27\x0f",
            1,
        ),
    ] {
        let mut header = Header::global(Timestamp::MIN);
        let mut input = Input::new(wire);
        header.decode_into(&mut input, &coding).unwrap();
        assert!(input.is_empty());
        assert_eq!(header.windows.count(), windows);
        let mut out = Vec::new();
        header.encode(&mut out);
        assert_eq!(out, wire);
    }
}

#[test]
fn timers() {
    let coder = standard(
        urn::TIMER,
        [
            standard(urn::STRING_UTF8, []),
            standard(urn::GLOBAL_WINDOW, []),
        ],
    );
    let (coding, layout) = (
        TimerCoding::of(&coder).unwrap(),
        Layout::of(&coder).unwrap(),
    );
    for (wire, tag, fires) in [
        (
            &b"\x01k\0\0\0\0\x01\0\x80\0\0\0\0\0\x27\x10\x80\0\0\0\0\0\x27\x10\x0f"[..],
            "",
            Some(10_000),
        ),
        (b"\x01k\0\0\0\0\x01\x01", "", None),
        (
            b"\x01k\x01b\0\0\0\x01\0\x80\0\0\0\0\0\x13\x88\x80\0\0\0\0\0\x13\x88\x0f",
            "b",
            Some(5000),
        ),
    ] {
        let timer = TimerRecord::decode(&mut Input::new(wire), &coding).unwrap();
        assert_eq!(timer.key, &b"\x01k"[..]);
        assert_eq!(timer.tag, tag);
        assert_eq!(timer.firing.map(|firing| firing.at.millis()), fires);
        let mut out = Vec::new();
        timer.encode(&mut out);
        assert_eq!(out, wire);
        let mut input = Input::new(wire);
        layout.skip(&mut input, Nested).unwrap();
        assert!(input.is_empty());
    }
}

#[test]
fn a_header_that_all_values_share() {
    let mut coder = standard(urn::PARAM_WINDOWED_VALUE, [varint(), interval()]);
    coder.payload = b"\x80\0\0\0\0\0\x03\xe8\0\0\0\x01\x80\0\0\0\0\0\0\x14\x0a\x26\x1e\x28\0"
        .to_vec()
        .into();
    let header = Header::of_params(&coder).unwrap();
    assert_eq!(header.timestamp.millis(), 1000);
    assert_eq!((header.pane.index, header.pane.non_speculative), (30, 40));
    let mut broken = coder;
    broken.payload = b"\x80"[..].to_vec().into();
    let error = Header::of_params(&broken).unwrap_err().to_string();
    assert!(
        error.contains("param_windowed_value<varint, interval_window>"),
        "{error}"
    );
}

/// Coders of every layout, in each other.
fn coders() -> Vec<Coder> {
    let simple = [
        bytes(),
        standard(urn::STRING_UTF8, []),
        varint(),
        standard(urn::BOOL, []),
        standard(urn::DOUBLE, []),
        standard(urn::GLOBAL_WINDOW, []),
        interval(),
    ];
    let nest = |coders: &[Coder]| -> Vec<Coder> {
        let one = |urn: &'static str| {
            coders
                .iter()
                .map(move |coder| standard(urn, [coder.clone()]))
        };
        let with = |urn: &'static str, first: bool| {
            coders.iter().map(move |coder| match first {
                true => standard(urn, [coder.clone(), interval()]),
                false => standard(urn, [bytes(), coder.clone()]),
            })
        };
        one(urn::ITERABLE)
            .chain(one(urn::STATE_BACKED_ITERABLE))
            .chain(one(urn::NULLABLE))
            .chain(one(urn::SHARDED_KEY))
            .chain(one(urn::CUSTOM_WINDOW))
            .chain(one(urn::LENGTH_PREFIX))
            .chain(with(urn::KV, true))
            .chain(with(urn::KV, false))
            .chain(with(urn::WINDOWED_VALUE, true))
            .chain(with(urn::WINDOWED_VALUE, false))
            .chain(with(urn::TIMER, true))
            .chain(with(urn::TIMER, false))
            .collect()
    };
    let composite = nest(&simple);
    let deep = nest(&composite);
    simple.into_iter().chain(composite).chain(deep).collect()
}

/// The same coder with a length before each part.
fn prefixed(coder: &Coder) -> Coder {
    let parts = coder.components.iter();
    let mut outer = coder.clone();
    outer.components = parts
        .map(|part| Coder::length_prefix(prefixed(part)))
        .collect();
    outer
}

/// Which bytes it yields does not matter, that they are the same each time does.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Small numbers are likelier to be counts and lengths that hold; runs of 0xff announce blocks and tokens.
    fn bytes(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        for _ in 0..self.next() % 24 {
            match self.next() % 8 {
                0 => out.extend([0xff; 4]),
                1 => out.extend([0, 0, 0, (self.next() % 4) as u8]),
                2 => put_varint(&mut out, self.next() >> (self.next() % 64)),
                _ => out.push(((self.next() & 0xff) >> (self.next() % 8)) as u8),
            }
        }
        out
    }
}

#[test]
fn random_bytes_never_panic_and_convert_to_and_fro() {
    let mut noise = Noise(0x2545_f491_4f6c_dd1d);
    for coder in coders() {
        let layout = Layout::of(&coder).unwrap();
        let other = prefixed(&coder);
        let there = Transcoder::between(&coder, &other).unwrap();
        let back = Transcoder::between(&other, &coder).unwrap();
        for _ in 0..15 {
            let wire = noise.bytes();
            for at in [Outer, Nested] {
                let mut input = Input::new(&wire);
                let skipped = layout.skip(&mut input, at);
                let (Some(there), Some(back)) = (&there, &back) else {
                    continue;
                };
                let mut prefixed = Vec::new();
                let converted = there.convert(&mut Input::new(&wire), at, &mut prefixed, at);
                // Noise in the form with the prefixes must not panic either.
                let _ = back.convert(&mut Input::new(&wire), at, &mut Vec::new(), at);
                if skipped.is_err() {
                    continue;
                }
                if let Err(error) = converted {
                    // What stands after a length is stepped over unseen, and so are windows without bytes.
                    let unseen = coder.to_string().contains("length_prefix")
                        || error.message().contains("zero bytes");
                    assert!(unseen, "{coder}: {error}");
                    continue;
                }
                // Lengths of more digits than they need come back shorter; nothing else changes.
                let (mut again, mut twice) = (Vec::new(), Vec::new());
                back.convert(&mut Input::new(&prefixed), at, &mut again, at)
                    .unwrap();
                let mut input = Input::new(&again);
                layout.skip(&mut input, at).unwrap();
                assert!(input.is_empty(), "{coder}");
                there
                    .convert(&mut Input::new(&again), at, &mut twice, at)
                    .unwrap();
                assert_eq!(twice, prefixed, "{coder}");
            }
        }
    }
}

#[test]
fn values_without_bytes_do_not_loop() {
    let windows = Coder::iterable(standard(urn::GLOBAL_WINDOW, []));
    let start = std::time::Instant::now();
    for wire in [
        &b"\x7f\xff\xff\xff"[..],
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    ] {
        let layout = Layout::of(&windows).unwrap();
        let _ = layout.skip(&mut Input::new(wire), Nested);
        let prefixed = prefixed(&windows);
        let there = Transcoder::between(&windows, &prefixed).unwrap().unwrap();
        let mut out = Vec::new();
        assert!(
            there
                .convert(&mut Input::new(wire), Nested, &mut out, Nested)
                .is_err()
        );
        assert!(out.len() < 1024);
    }
    assert!(
        start.elapsed() < std::time::Duration::from_millis(50),
        "{:?}",
        start.elapsed()
    );
}
