//! The pipelines: a file for each group of behaviours.

mod combining;
mod commits;
mod drains;
mod elsewhere;
mod functions;
mod grouping;
mod joins;
mod measured;
mod metrics;
mod notes;
mod own_windows;
mod pardo;
mod retries;
mod sides;
mod splittable;
mod state;
mod timers;
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
    commits::register(registry);
    drains::register(registry);
    sides::register(registry);
    joins::register(registry);
    measured::register(registry);
    metrics::register(registry);
    notes::register(registry);
    own_windows::register(registry);
    retries::register(registry);
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
        commits::ROWS,
        drains::ROWS,
        windows::ROWS,
        sides::ROWS,
        joins::ROWS,
        measured::ROWS,
        metrics::ROWS,
        notes::ROWS,
        own_windows::ROWS,
        retries::ROWS,
        splittable::ROWS,
        state::ROWS,
        timers::ROWS,
        watermarks::ROWS,
        elsewhere::ROWS,
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
