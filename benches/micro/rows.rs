//! What rows cost: of a struct, whose schema the compiler knows, and of a schema that only the pipeline knows.

use std::hint::black_box;
use std::sync::Arc;

use divan::Bencher;
use ferrobeam::element::{Input, Nesting};
use ferrobeam::prelude::*;
use ferrobeam::{DynRow, Row, Schema};

use crate::ELEMENTS;

/// Rows in the buffer that is read or written again and again.
const ROWS: usize = 1000;

#[derive(Clone, Row)]
struct Order {
    item: String,
    number: i64,
    price: f64,
    note: Option<String>,
}

fn orders() -> Vec<Order> {
    let order = |n: usize| Order {
        item: format!("item{n:04}"),
        number: n as i64,
        price: n as f64 / 8.0,
        note: n.is_multiple_of(4).then(|| "by express".to_owned()),
    };
    (0..ROWS).map(order).collect()
}

fn encoded() -> Vec<u8> {
    let mut out = Vec::new();
    for order in orders() {
        order.encode(&mut out, Nesting::Nested);
    }
    out
}

fn schema() -> Arc<Schema> {
    Order::schema().clone()
}

mod derived {
    use super::*;

    #[divan::bench(sample_size = 1, sample_count = 10)]
    fn encode(bencher: Bencher<'_, '_>) {
        let (rows, mut out) = (orders(), Vec::new());
        bencher.bench_local(|| {
            for _ in 0..ELEMENTS / ROWS {
                out.clear();
                for row in &rows {
                    row.encode(&mut out, Nesting::Nested);
                }
                black_box(&out);
            }
        });
    }

    #[divan::bench(sample_size = 1, sample_count = 10)]
    fn decode(bencher: Bencher<'_, '_>) {
        let encoded = encoded();
        bencher.bench_local(|| {
            for _ in 0..ELEMENTS / ROWS {
                let mut input = Input::new(&encoded);
                while !input.is_empty() {
                    black_box(Order::decode(&mut input, Nesting::Nested).expect("a row"));
                }
            }
        });
    }
}

mod dynamic {
    use super::*;

    fn rows() -> Vec<DynRow> {
        let (schema, encoded) = (schema(), encoded());
        let mut input = Input::new(&encoded);
        let mut rows = Vec::new();
        while !input.is_empty() {
            rows.push(DynRow::decode(&schema, &mut input, Nesting::Nested).expect("a row"));
        }
        rows
    }

    #[divan::bench(sample_size = 1, sample_count = 10)]
    fn encode(bencher: Bencher<'_, '_>) {
        let (rows, mut out) = (rows(), Vec::new());
        bencher.bench_local(|| {
            for _ in 0..ELEMENTS / ROWS {
                out.clear();
                for row in &rows {
                    row.encode(&mut out).expect("a row that was read");
                }
                black_box(&out);
            }
        });
    }

    #[divan::bench(sample_size = 1, sample_count = 10)]
    fn decode(bencher: Bencher<'_, '_>) {
        let (schema, encoded) = (schema(), encoded());
        bencher.bench_local(|| {
            for _ in 0..ELEMENTS / ROWS {
                let mut input = Input::new(&encoded);
                while !input.is_empty() {
                    black_box(DynRow::decode(&schema, &mut input, Nesting::Nested).expect("a row"));
                }
            }
        });
    }
}
