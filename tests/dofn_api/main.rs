//! The DoFn API as its users see it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod closures;
mod combiners;
mod hygiene;
mod life;
mod own_port;
mod ports;
mod ranges;
mod sides;
mod splittable;
mod state;
mod state_model;
mod time;
mod timers;

use ferrobeam::Timestamp;

fn ms(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn text<const N: usize>(lines: [&str; N]) -> [String; N] {
    lines.map(str::to_owned)
}
