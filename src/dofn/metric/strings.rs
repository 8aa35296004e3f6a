//! Sets of strings.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::MetricCell;
use crate::dofn::{Describe, Port, Wiring};
use crate::error::Result;

/// The strings of a set have this many bytes at most, as in other SDKs.
const MAX_BYTES: usize = 1_000_000;

/// A set of strings.
#[derive(Default)]
pub struct StringSetCell(Mutex<Strings>);

#[derive(Default)]
struct Strings {
    set: BTreeSet<String>,
    bytes: usize,
    is_full: bool,
}

impl StringSetCell {
    /// Adds a string, unless the set would have more than a million bytes.
    pub fn add(&self, text: &str) {
        let mut strings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if strings.set.contains(text) {
            return;
        }
        if strings.bytes + text.len() <= MAX_BYTES {
            strings.bytes += text.len();
            strings.set.insert(text.to_owned());
        } else if !std::mem::replace(&mut strings.is_full, true) {
            drop(strings);
            tracing::warn!(
                "a set of strings has {MAX_BYTES} bytes already; more strings are not kept"
            );
        }
    }

    /// Looks at the strings. Whoever adds waits meanwhile.
    pub fn with<R>(&self, look: impl FnOnce(&BTreeSet<String>) -> R) -> R {
        look(&self.0.lock().unwrap_or_else(PoisonError::into_inner).set)
    }

    pub(super) fn reset(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Strings::default();
    }
}

/// A port that keeps a set of strings, a million bytes at most. The field's name is the metric's.
pub struct StringSet(Arc<StringSetCell>);

impl StringSet {
    /// Adds a string. Beyond a million bytes it is not kept.
    pub fn add(&self, text: impl AsRef<str>) {
        self.0.add(text.as_ref());
    }
}

impl<F: ?Sized> Port<F> for StringSet {
    fn wire(wiring: &mut Wiring<'_>, name: &'static str) -> Result<Self> {
        super::wired(wiring, name, || MetricCell::StringSet(Arc::default())).map(StringSet)
    }

    fn describe<D: Describe>(_describe: &mut D, _name: &'static str) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_keeps_a_million_bytes() {
        let cell = StringSetCell::default();
        let text = "x".repeat(999_990);
        for text in ["b", "a", "a", &text, "too long a string", "c"] {
            cell.add(text);
        }
        let kept = cell.with(|set| set.iter().cloned().collect::<Vec<_>>());
        assert_eq!(kept, ["a", "b", "c", &text]);
        cell.reset();
        cell.add("too long a string");
        assert_eq!(cell.with(BTreeSet::len), 1);
    }
}
