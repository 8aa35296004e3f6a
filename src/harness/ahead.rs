//! Pages that were asked for before somebody wanted them.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::dofn::StateKey;

/// How many pages a bundle may have asked for that nobody has wanted yet.
const MOST: usize = 8;

/// What stands for the pages of one bundle that are on their way, or there and unread: the oldest first. Their number is
/// bounded, and so is what readers that stop early leave behind.
pub(super) struct Ahead<P>(VecDeque<(StateKey, Bytes, P)>);

impl<P> Default for Ahead<P> {
    fn default() -> Self {
        Ahead(VecDeque::new())
    }
}

impl<P> Ahead<P> {
    fn place(&self, key: &StateKey, continuation: &Bytes) -> Option<usize> {
        let mut pages = self.0.iter();
        pages.position(|(of, page, _)| page == continuation && of == key)
    }

    /// Whether a page was asked for.
    pub(super) fn has(&self, key: &StateKey, continuation: &Bytes) -> bool {
        self.place(key, continuation).is_some()
    }

    /// Takes out the oldest page if there may be no more of them: its reader has most likely stopped.
    pub(super) fn make_room(&mut self) -> Option<P> {
        let is_full = self.0.len() >= MOST;
        let oldest = is_full.then(|| self.0.pop_front()).flatten();
        oldest.map(|(.., pending)| pending)
    }

    /// Adds a page.
    pub(super) fn push(&mut self, key: &StateKey, continuation: &Bytes, pending: P) {
        let page = (key.clone(), continuation.clone(), pending);
        self.0.push_back(page);
    }

    /// Takes out a page that is wanted now.
    pub(super) fn take(&mut self, key: &StateKey, continuation: &Bytes) -> Option<P> {
        let page = self.0.remove(self.place(key, continuation)?);
        page.map(|(.., pending)| pending)
    }

    /// Takes out the pages of a cell, which is written to: they say what was there before.
    pub(super) fn take_stale(&mut self, written: &StateKey) -> Vec<P> {
        let mut stale = Vec::new();
        let is_stale = |of: &StateKey| of.cell().is_some() && of.cell() == written.cell();
        while let Some(at) = self.0.iter().position(|(of, ..)| is_stale(of)) {
            stale.extend(self.0.remove(at).map(|(.., pending)| pending));
        }
        stale
    }

    /// Takes out all pages.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = P> + use<P> {
        let all = std::mem::take(&mut self.0).into_iter();
        all.map(|(.., pending)| pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dofn::CellKey;

    fn tail(name: &'static str) -> StateKey {
        StateKey::Runner(name.into())
    }

    fn value(cell: &'static str, key: &'static str) -> StateKey {
        let cell = CellKey {
            transform: "t".into(),
            state: "s".into(),
            window: Bytes::new(),
            key: cell.into(),
        };
        StateKey::MultimapUser(cell, key.into())
    }

    #[test]
    fn readers_that_stop_leave_little_behind() {
        let mut ahead = Ahead::default();
        let next = Bytes::from("next");
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        let dropped = names.map(|name| {
            let oldest = ahead.make_room();
            ahead.push(&tail(name), &next, name);
            oldest
        });
        assert_eq!(
            dropped.into_iter().flatten().collect::<Vec<_>>(),
            ["a", "b"]
        );
        assert!(!ahead.has(&tail("b"), &next) && ahead.has(&tail("c"), &next));
        assert_eq!(ahead.take(&tail("d"), &next), Some("d"));
        assert_eq!(ahead.take(&tail("d"), &next), None);
        assert_eq!(ahead.take(&tail("c"), &Bytes::from("last")), None);
        assert_eq!(ahead.make_room(), None);
        let all: Vec<_> = ahead.take_all().collect();
        assert_eq!(all, ["c", "e", "f", "g", "h", "i", "j"]);
    }

    #[test]
    fn a_write_makes_all_pages_of_its_cell_stale() {
        let mut ahead = Ahead::default();
        let next = Bytes::from("next");
        for (key, page) in [
            (value("k", "a"), "k a"),
            (value("l", "a"), "l a"),
            (tail("k"), "tail"),
            (value("k", "b"), "k b"),
        ] {
            ahead.push(&key, &next, page);
        }
        assert_eq!(ahead.take_stale(&value("k", "c")), ["k a", "k b"]);
        assert_eq!(ahead.take_stale(&tail("k")), [""; 0]);
        assert_eq!(ahead.take_all().collect::<Vec<_>>(), ["l a", "tail"]);
    }
}
