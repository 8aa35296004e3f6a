//! One file for each kind of node.

mod combine;
mod flatten;
mod keyed;
mod keys;
mod pardo;
mod sink;
mod taste;
mod window;
mod window_by;

pub(crate) use combine::{CombinePlace, build as build_combine};
pub(crate) use flatten::{Fanout, Shared, SharedCore};
pub(crate) use keyed::{LinkedKeyed, keyed_form, link_keyed};
pub(crate) use keys::{Decode, Encode, KeyJoin, KeySplit};
pub(crate) use pardo::{Guarded, ParDo, ParDoPlace};
pub(crate) use sink::{Sink, SinkSpec};
pub(crate) use taste::TasteSpec;
pub(crate) use window::{Assign, MapWindows, MergeWindows, Merger, merge_standard};
pub(crate) use window_by::{WindowPlace, assign_by, merge_by};

/// Counts one element of a collection whose sizes nobody samples here.
#[inline]
pub(super) fn count(meter: &crate::dofn::Meter) {
    use std::sync::atomic::Ordering::Relaxed;
    meter.count.store(meter.count.load(Relaxed) + 1, Relaxed);
}
