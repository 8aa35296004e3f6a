//! What coders cost for each value.

use std::hint::black_box;

use divan::Bencher;
use ferrobeam::element::{Input, Nesting, put_varint};
use ferrobeam::prelude::*;

use crate::ELEMENTS;

/// Values in the buffer that is read or written again and again.
const VALUES: usize = 1000;

/// Encodes a million values.
fn encode<T: Element>(bencher: Bencher<'_, '_>, value: impl Fn(usize) -> T) {
    let values: Vec<T> = (0..VALUES).map(value).collect();
    let mut out = Vec::new();
    bencher.bench_local(|| {
        for _ in 0..ELEMENTS / VALUES {
            out.clear();
            for value in &values {
                value.encode(&mut out, Nesting::Nested);
            }
            black_box(&out);
        }
    });
}

/// Decodes a million values.
fn decode<T: Element>(bencher: Bencher<'_, '_>, value: impl Fn(usize) -> T) {
    let mut encoded = Vec::new();
    for value in (0..VALUES).map(value) {
        value.encode(&mut encoded, Nesting::Nested);
    }
    bencher.bench_local(|| {
        for _ in 0..ELEMENTS / VALUES {
            let mut input = Input::new(&encoded);
            while !input.is_empty() {
                black_box(T::decode(&mut input, Nesting::Nested).expect("what was encoded"));
            }
        }
    });
}

macro_rules! coders {
    ($($name:ident: $value:expr;)*) => {$(
        mod $name {
            use super::*;

            #[divan::bench(sample_size = 1, sample_count = 20)]
            fn encode(bencher: Bencher<'_, '_>) {
                super::encode(bencher, $value);
            }

            #[divan::bench(sample_size = 1, sample_count = 20)]
            fn decode(bencher: Bencher<'_, '_>) {
                super::decode(bencher, $value);
            }
        }
    )*};
}

coders! {
    varint_of_one_byte: |n| n as u64 % 128;
    varint_of_five_bytes: |n| (1u64 << 32) + n as u64;
    text_of_8: |n| format!("text{n:04}");
    text_of_100: |n| format!("{n:0100}");
    bytes_of_100: |n| vec![n as u8; 100];
    pair_of_text_and_number: |n| Kv(format!("text{n:04}"), n as i64);
    pair_of_bytes_8_and_100: |n| Kv(vec![n as u8; 8], vec![n as u8; 100]);
}

/// The values of keys, as they come after grouping.
mod grouped {
    use super::*;

    fn key_with_values() -> Vec<u8> {
        let mut encoded = Vec::new();
        encoded.extend_from_slice(&(VALUES as u32).to_be_bytes());
        for n in 0..VALUES {
            put_varint(&mut encoded, 100);
            encoded.extend_from_slice(&[n as u8; 100]);
        }
        encoded
    }

    #[divan::bench(sample_size = 1, sample_count = 20)]
    fn values_owned(bencher: Bencher<'_, '_>) {
        let encoded = key_with_values();
        bencher.bench_local(|| {
            for _ in 0..ELEMENTS / VALUES {
                let values = Iter::<Vec<u8>>::decode(&mut Input::new(&encoded), Nesting::Nested);
                for value in &values.expect("an iterable") {
                    black_box(value.expect("a value"));
                }
            }
        });
    }

    #[divan::bench(sample_size = 1, sample_count = 20)]
    fn values_in_place(bencher: Bencher<'_, '_>) {
        let encoded = key_with_values();
        bencher.bench_local(|| {
            for _ in 0..ELEMENTS / VALUES {
                let values = Iter::<Vec<u8>>::decode(&mut Input::new(&encoded), Nesting::Nested);
                let seen = values.expect("an iterable").for_each(|value| {
                    black_box(value);
                    Ok(())
                });
                seen.expect("values");
            }
        });
    }
}
