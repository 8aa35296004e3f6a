//! The same examples through the Rust types that user code sees.

use std::fmt::Debug;
use std::sync::Arc;

use ferrobeam::element::coder::urn;
use ferrobeam::element::{
    Coder, Header, Input, Nesting, Pages, ShardedKey, TimerCoding, TimerRecord, Timestamp,
    WindowCoding, encoded,
};
use ferrobeam::window::{CustomWindow, GlobalWindow, IntervalWindow};
use ferrobeam::{Element, Iter, Kv};
use yaml_rust2::Yaml;

use crate::dynamic;

/// One example for the type that fits its coder.
pub(crate) struct Example<'a> {
    pub(crate) coder: &'a Coder,
    pub(crate) bytes: &'a [u8],
    pub(crate) value: &'a Yaml,
    pub(crate) at: Nesting,
    pub(crate) non_deterministic: bool,
    pub(crate) pages: &'a Arc<dyn Pages>,
}

/// A type with values in the file.
trait InFile: Element {
    /// What is compared: the type itself, or a form of it that is comparable.
    type Seen: PartialEq + Debug;
    fn parse(yaml: &Yaml) -> Self::Seen;
    fn see(self) -> Self::Seen;
}

macro_rules! plain {
    ($($plain:ty, |$yaml:ident| $parse:expr;)*) => {$(
        impl InFile for $plain {
            type Seen = Self;

            fn parse($yaml: &Yaml) -> Self {
                $parse
            }

            fn see(self) -> Self {
                self
            }
        }
    )*};
}

plain! {
    i64, |yaml| yaml.as_i64().unwrap();
    bool, |yaml| yaml.as_bool().unwrap();
    String, |yaml| yaml.as_str().unwrap().to_owned();
    Vec<u8>, |yaml| yaml.as_str().unwrap().as_bytes().to_vec();
    GlobalWindow, |_yaml| GlobalWindow;
    IntervalWindow, |yaml| {
        let (end, span) = (yaml["end"].as_i64().unwrap(), yaml["span"].as_i64().unwrap());
        IntervalWindow::from_millis(end - span, end)
    };
    CustomWindow<IntervalWindow>, |yaml| IntervalWindow::parse(&yaml["window"]).into();
    ShardedKey<String>, |yaml| ShardedKey {
        shard: yaml["shardId"].as_str().unwrap().to_owned().into(),
        key: String::parse(&yaml["key"]),
    };
}

impl InFile for f64 {
    type Seen = u64;

    fn parse(yaml: &Yaml) -> u64 {
        let number: f64 = yaml.as_str().unwrap().parse().unwrap();
        number.to_bits()
    }

    fn see(self) -> u64 {
        self.to_bits()
    }
}

impl<K: InFile, V: InFile> InFile for Kv<K, V> {
    type Seen = (K::Seen, V::Seen);

    fn parse(yaml: &Yaml) -> Self::Seen {
        (K::parse(&yaml["key"]), V::parse(&yaml["value"]))
    }

    fn see(self) -> Self::Seen {
        (self.0.see(), self.1.see())
    }
}

impl<T: InFile> InFile for Option<T> {
    type Seen = Option<T::Seen>;

    fn parse(yaml: &Yaml) -> Self::Seen {
        (!yaml.is_null()).then(|| T::parse(yaml))
    }

    fn see(self) -> Self::Seen {
        self.map(T::see)
    }
}

impl<T: InFile> InFile for Iter<T> {
    type Seen = Vec<T::Seen>;

    fn parse(yaml: &Yaml) -> Self::Seen {
        yaml.as_vec().unwrap().iter().map(T::parse).collect()
    }

    fn see(self) -> Self::Seen {
        let values = self.to_vec().unwrap();
        values.into_iter().map(T::see).collect()
    }
}

/// Checks an example through the Rust type of its coder.
pub(crate) fn check(example: &Example<'_>) -> Result<(), String> {
    match example.coder.to_string().as_str() {
        "bytes" => element::<Vec<u8>>(example),
        "string_utf8" => element::<String>(example),
        "varint" => element::<i64>(example),
        "bool" => element::<bool>(example),
        "double" => element::<f64>(example),
        "kv<bytes, varint>" => element::<Kv<Vec<u8>, i64>>(example),
        "kv<bytes, bytes>" => element::<Kv<Vec<u8>, Vec<u8>>>(example),
        "kv<bytes, bool>" => element::<Kv<Vec<u8>, bool>>(example),
        "nullable<bytes>" => element::<Option<Vec<u8>>>(example),
        "iterable<varint>" | "state_backed_iterable<varint>" => element::<Iter<i64>>(example),
        "iterable<bytes>" | "state_backed_iterable<bytes>" => element::<Iter<Vec<u8>>>(example),
        "iterable<bool>" | "state_backed_iterable<bool>" => element::<Iter<bool>>(example),
        "iterable<global_window>" | "state_backed_iterable<global_window>" => {
            element::<Iter<GlobalWindow>>(example)
        }
        "global_window" => element::<GlobalWindow>(example),
        "interval_window" => element::<IntervalWindow>(example),
        "custom_window<interval_window>" => element::<CustomWindow<IntervalWindow>>(example),
        "sharded_key<string_utf8>" => element::<ShardedKey<String>>(example),
        _ => match example.coder.urn.as_ref() {
            urn::TIMER => timer(example),
            urn::WINDOWED_VALUE => windowed(example),
            urn::PARAM_WINDOWED_VALUE => param_windowed(example),
            // Rows of a schema that no struct has: the dynamic check has seen them.
            urn::ROW => Ok(()),
            _ => Err(format!("no Rust type stands for {}", example.coder)),
        },
    }
}

fn element<T: InFile>(example: &Example<'_>) -> Result<(), String> {
    let expected = T::parse(example.value);
    let mut input = Input::new(example.bytes).with_pages(example.pages);
    let value = T::decode(&mut input, example.at).map_err(|e| e.to_string())?;
    let written = encoded(&value, example.at);
    same("bytes left over", &input.remaining(), &0)?;
    same("typed value", &value.see(), &expected)?;
    if example.non_deterministic {
        // What stood behind a token is written out: tokens end with their bundle.
        let mut input = Input::new(&written);
        let again = T::decode(&mut input, example.at).map_err(|e| e.to_string())?;
        same("typed value read again", &again.see(), &expected)?;
    } else {
        same("typed bytes", &written.as_slice(), &example.bytes)?;
    }
    let mut input = Input::new(example.bytes);
    T::skip(&mut input, example.at).map_err(|e| e.to_string())?;
    same("bytes left over after skipping", &input.remaining(), &0)?;
    if !example.coder.is(urn::STATE_BACKED_ITERABLE) {
        same("coder", &T::coder(), example.coder)?;
    }
    Ok(())
}

fn timer(example: &Example<'_>) -> Result<(), String> {
    let coding = TimerCoding::of(example.coder).map_err(|e| e.to_string())?;
    let timer =
        TimerRecord::decode(&mut Input::new(example.bytes), &coding).map_err(|e| e.to_string())?;
    same(
        "timer",
        &timer,
        &dynamic::timer(example.coder, example.value)?,
    )?;
    let mut out = Vec::new();
    timer.encode(&mut out);
    same("bytes of the timer", &out.as_slice(), &example.bytes)
}

fn windowed(example: &Example<'_>) -> Result<(), String> {
    let window = &example.coder.components[1];
    let mut input = Input::new(example.bytes);
    let mut header = Header::global(Timestamp::MIN);
    let coding = WindowCoding::of(window).map_err(|e| e.to_string())?;
    header
        .decode_into(&mut input, &coding)
        .map_err(|e| e.to_string())?;
    same("header", &header, &dynamic::header(window, example.value)?)?;
    let value = i64::decode(&mut input, example.at).map_err(|e| e.to_string())?;
    same("value", &value, &i64::parse(&example.value["value"]))?;
    let mut out = Vec::new();
    header.encode(&mut out);
    value.encode(&mut out, example.at);
    same("bytes", &out.as_slice(), &example.bytes)
}

fn param_windowed(example: &Example<'_>) -> Result<(), String> {
    let header = Header::of_params(example.coder).map_err(|e| e.to_string())?;
    let expected = dynamic::header(&example.coder.components[1], example.value)?;
    same("header", &header, &expected)?;
    let mut input = Input::new(example.bytes);
    let value = i64::decode(&mut input, example.at).map_err(|e| e.to_string())?;
    same("value", &value, &i64::parse(&example.value["value"]))
}

/// Compares what came out with what should.
pub(crate) fn same<T: PartialEq + Debug>(what: &str, got: &T, expected: &T) -> Result<(), String> {
    if got == expected {
        Ok(())
    } else {
        Err(format!("{what}: {got:?}, expected {expected:?}"))
    }
}
