//! Kinds of cells, and how runners keep them.

use crate::dofn::FunctionPayload;
use crate::element::Coder;

/// What a cell holds, as pipelines say it.
#[derive(Debug, Clone, PartialEq)]
pub enum StateKind {
    /// One value or none.
    Value(Coder),
    /// Values in the order in which they were added.
    Bag(Coder),
    /// Distinct values.
    Set(Coder),
    /// One value for each map key.
    Map(Coder, Coder),
    /// Any number of values for each map key.
    Multimap(Coder, Coder),
    /// Values by time.
    OrderedList(Coder),
    /// An accumulator, and the combiner that it belongs to.
    Combining(Coder, FunctionPayload),
}

/// How the runner keeps a cell (`beam:user_state:*:v1`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StateProtocol {
    /// As one list of values.
    Bag,
    /// As a list of values for each map key.
    Multimap,
    /// As values by a 64-bit sort key.
    OrderedList,
}
