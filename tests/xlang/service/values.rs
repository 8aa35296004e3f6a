//! Values of each type that both sides know, changed in a way that only who understands them can.

use std::collections::BTreeMap;
use std::process;

use bytes::Bytes;
use ferrobeam::Row;
use ferrobeam::exec::Registry;
use ferrobeam::expansion::{Catalogue, Outputs};
use ferrobeam::prelude::*;

/// Functions from one value to one value, each with a transform of its name.
macro_rules! maps {
    ($($name:ident: $from:ty => $to:ty, $map:expr;)*) => {
        $(fn $name() -> Steps<$from, impl Step<$from, Out = $to>> {
            steps(concat!("test.", stringify!($name), "/v1")).map($map)
        })*

        pub(crate) fn functions(registry: &mut Registry) {
            registry$(.add_steps($name))*;
        }

        pub(crate) fn transforms(catalogue: &mut Catalogue) {
            catalogue$(.add_urn(concat!("ferrobeam:test:", stringify!($name)), |call| {
                let values = call.only_input::<$from>()?;
                Ok(Outputs::only(values.steps("Map", $name())))
            }))*;
        }
    };
}

maps! {
    not: bool => bool, |truth: bool| !truth;
    negate: i64 => i64, |n: i64| -n;
    halve: f64 => f64, |x: f64| x / 2.0;
    reverse: String => String, |text: String| text.chars().rev().collect();
    reverse_bytes: Vec<u8> => Vec<u8>, |mut bytes: Vec<u8>| { bytes.reverse(); bytes };
    reverse_list: Vec<i64> => Vec<i64>, |mut numbers: Vec<i64>| { numbers.reverse(); numbers };
    exchange: Option<String> => Option<String>, |text: Option<String>| match text {
        None => Some("something".to_owned()),
        Some(_) => None,
    };
    swap: Kv<String, Kv<i64, String>> => Kv<Kv<i64, String>, String>, |Kv(key, value): Kv<String, Kv<i64, String>>| {
        Kv(value, key)
    };
    correct: Reading => Reading, corrected;
    measure: String => Kv<Measure, i64>, |text: String| {
        let letters = text.chars().count() as i64;
        let measure = Measure { initial: text.chars().take(1).collect(), letters };
        Kv(measure, 1)
    };
    sign: String => String, |trail: String| format!("{trail}/{}", process::id());
}

/// What a word is grouped by.
#[derive(Clone, Row)]
struct Measure {
    initial: String,
    letters: i64,
}

/// A row with a field of each type.
#[derive(Clone, Row)]
struct Reading {
    name: String,
    count: i64,
    small: i32,
    ratio: f64,
    valid: bool,
    data: Bytes,
    note: Option<String>,
    tags: Vec<String>,
    sizes: BTreeMap<String, i64>,
    place: Place,
    at: Timestamp,
}

/// A row in a row.
#[derive(Clone, Row)]
struct Place {
    city: String,
    floor: Option<i64>,
}

/// The reading with each field changed.
fn corrected(reading: Reading) -> Reading {
    let mut data = reading.data.to_vec();
    data.push(0xff);
    Reading {
        name: reading.name.to_uppercase(),
        count: reading.count - 1,
        small: -reading.small,
        ratio: reading.ratio * 2.0,
        valid: !reading.valid,
        data: data.into(),
        note: match reading.note {
            None => Some("noted".to_owned()),
            Some(_) => None,
        },
        tags: reading.tags.into_iter().rev().collect(),
        sizes: reading
            .sizes
            .into_iter()
            .map(|(name, size)| (name + "!", size + 1))
            .collect(),
        place: Place {
            city: reading.place.city + " West",
            floor: reading.place.floor.map(|floor| floor + 1),
        },
        at: Timestamp::from_millis(reading.at.millis() + 1),
    }
}
