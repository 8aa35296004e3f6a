//! The pipelines: a file for each group of behaviours.

mod combining;
mod functions;
mod grouping;
mod joins;
mod metrics;
mod own_windows;
mod pardo;
mod sides;
mod splittable;
mod state;
mod timers;
mod waiting;
mod watermarks;
mod windows;

use ferrobeam::exec::Registry;

use crate::behaviour::How;

/// The functions of all pipelines.
pub(crate) fn register(registry: &mut Registry) {
    functions::register(registry);
    pardo::register(registry);
    grouping::register(registry);
    combining::register(registry);
    sides::register(registry);
    joins::register(registry);
    metrics::register(registry);
    own_windows::register(registry);
    splittable::register(registry);
    state::register(registry);
    timers::register(registry);
    watermarks::register(registry);
}

/// How each behaviour is shown.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, How)> {
    let groups = [
        pardo::ROWS,
        grouping::ROWS,
        combining::ROWS,
        windows::ROWS,
        sides::ROWS,
        joins::ROWS,
        metrics::ROWS,
        own_windows::ROWS,
        splittable::ROWS,
        state::ROWS,
        timers::ROWS,
        watermarks::ROWS,
        waiting::ROWS,
    ];
    groups.into_iter().flatten().copied()
}

/// Behaviours whose ids are the names of functions.
macro_rules! rows {
    ($($how:ident $function:ident,)*) => {
        &[$((stringify!($function), $crate::behaviour::How::$how($function)),)*]
    };
}
pub(crate) use rows;
