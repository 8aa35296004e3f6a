//! Where a function is within its input.

/// The key and window that a function works on: what its side inputs, state and timers belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope<'a> {
    /// The nested encoding of the key in the coder of the function's input; empty for a function that is not
    /// [keyed](super::Port::KEYED).
    pub key: &'a [u8],
    /// The nested encoding of the window.
    pub window: &'a [u8],
}

impl<'a> Scope<'a> {
    /// A window of a function without keys.
    pub fn of_window(window: &'a [u8]) -> Self {
        Scope { key: &[], window }
    }
}
