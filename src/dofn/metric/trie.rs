//! Sets of paths, kept small by cutting them short.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::MetricCell;
use crate::dofn::{Describe, Port, Wiring};
use crate::error::Result;

/// The most paths of a set, as in other SDKs.
const BOUND: usize = 100;

/// The most segments of a path. Each takes two levels of messages, of which decoders allow a hundred.
const MAX_DEPTH: usize = 40;

/// The most bytes of all segments.
const MAX_BYTES: usize = 1_000_000;

/// The paths that go on from a common beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrieNode {
    /// Stands for any continuation. There are no children then.
    pub truncated: bool,
    /// By next segment.
    pub children: BTreeMap<String, TrieNode>,
}

impl TrieNode {
    /// How many paths end below or here: one at least.
    fn size(&self) -> usize {
        let sizes = self.children.values().map(TrieNode::size);
        sizes.sum::<usize>().max(1)
    }

    fn bytes(&self) -> usize {
        let children = self.children.iter();
        children
            .map(|(name, child)| name.len() + child.bytes())
            .sum()
    }

    fn truncate(&mut self) {
        self.truncated = true;
        self.children.clear();
    }

    fn add(&mut self, path: &[&str], depth: usize) {
        let [head, tail @ ..] = path else { return };
        if self.truncated {
            return;
        }
        if depth == MAX_DEPTH {
            return self.truncate();
        }
        match self.children.get_mut(*head) {
            Some(child) => child.add(tail, depth + 1),
            None => {
                let child = self.children.entry((*head).to_owned()).or_default();
                child.add(tail, depth + 1);
            }
        }
    }

    fn contains(&self, path: &[&str]) -> bool {
        let [head, tail @ ..] = path else { return true };
        let child = self.children.get(*head);
        self.truncated || child.is_some_and(|child| child.contains(tail))
    }

    fn merge(&mut self, other: TrieNode) {
        if other.truncated {
            self.truncate();
        }
        if !self.truncated {
            for (name, child) in other.children {
                self.children.entry(name).or_default().merge(child);
            }
        }
    }

    /// Cuts paths short where most of them have the same beginning.
    fn trim(&mut self) {
        let largest = self.children.values_mut().max_by_key(|child| child.size());
        match largest {
            Some(child) if child.size() > 1 => child.trim(),
            Some(_) => self.truncate(),
            None => {}
        }
    }

    fn paths(&self, before: &mut Vec<String>, all: &mut Vec<TriePath>) {
        if self.children.is_empty() {
            all.push(TriePath {
                segments: before.clone(),
                truncated: self.truncated,
            });
        }
        for (name, child) in &self.children {
            before.push(name.clone());
            child.paths(before, all);
            before.pop();
        }
    }
}

/// One path of a [`BoundedTrieData`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriePath {
    /// Its segments.
    pub segments: Vec<String>,
    /// Whether it stands for all paths that begin so.
    pub truncated: bool,
}

/// A set of at most a hundred paths. Where there would be more, those with a common beginning become one that stands for
/// all that begin so. A path that another goes on from is part of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundedTrieData {
    root: TrieNode,
    bound: usize,
}

impl Default for BoundedTrieData {
    fn default() -> Self {
        BoundedTrieData {
            root: TrieNode::default(),
            bound: BOUND,
        }
    }
}

impl BoundedTrieData {
    /// The set below `root`, with at most `bound` paths, but a hundred in any case.
    pub fn new(root: TrieNode, bound: usize) -> Self {
        let bound = bound.clamp(1, BOUND);
        let mut data = BoundedTrieData { root, bound };
        data.shrink();
        data
    }

    /// Adds a path; one without segments is none.
    pub fn add(&mut self, path: &[&str]) {
        if !self.root.contains(path) {
            self.root.add(path, 0);
            self.shrink();
        }
    }

    /// Whether the set has this path, or one that stands for it or goes on from it.
    pub fn contains(&self, path: &[&str]) -> bool {
        self.root.contains(path)
    }

    /// Adds all paths of another set.
    pub fn merge(&mut self, other: BoundedTrieData) {
        self.bound = self.bound.min(other.bound);
        self.root.merge(other.root);
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.root.size() > self.bound || self.root.bytes() > MAX_BYTES {
            let before = self.root.bytes();
            self.root.trim();
            if self.root.bytes() == before {
                return;
            }
        }
    }

    /// Whether there are no paths.
    pub fn is_empty(&self) -> bool {
        !self.root.truncated && self.root.children.is_empty()
    }

    /// All paths, sorted.
    pub fn paths(&self) -> Vec<TriePath> {
        let mut all = Vec::new();
        if !self.is_empty() {
            self.root.paths(&mut Vec::new(), &mut all);
        }
        all
    }

    /// Where all paths begin.
    pub fn root(&self) -> &TrieNode {
        &self.root
    }

    /// The most paths that the set may have.
    pub fn bound(&self) -> usize {
        self.bound
    }
}

/// A set of paths.
#[derive(Default)]
pub struct BoundedTrieCell(Mutex<BoundedTrieData>);

impl BoundedTrieCell {
    /// Adds a path.
    pub fn add(&self, path: &[&str]) {
        let mut data = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        data.add(path);
    }

    /// The paths so far.
    pub fn get(&self) -> BoundedTrieData {
        let data = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        data.clone()
    }

    pub(super) fn reset(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = BoundedTrieData::default();
    }
}

/// A port that keeps a set of paths, such as names of files, of which a hundred are told apart. The field's name is the
/// metric's.
pub struct BoundedTrie(Arc<BoundedTrieCell>);

impl BoundedTrie {
    /// Adds a path of segments, the most general first.
    pub fn add(&self, path: &[&str]) {
        self.0.add(path);
    }
}

impl<F: ?Sized> Port<F> for BoundedTrie {
    fn wire(wiring: &mut Wiring<'_>, name: &'static str) -> Result<Self> {
        super::wired(wiring, name, || MetricCell::BoundedTrie(Arc::default())).map(BoundedTrie)
    }

    fn describe<D: Describe>(_describe: &mut D, _name: &'static str) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(data: &BoundedTrieData) -> Vec<String> {
        let paths = data.paths().into_iter();
        paths
            .map(|path| path.segments.join("/") + if path.truncated { "*" } else { "" })
            .collect()
    }

    #[test]
    fn a_path_that_goes_on_replaces_its_beginning() {
        let mut data = BoundedTrieData::default();
        assert!(data.is_empty() && data.paths().is_empty());
        for path in [&["a"][..], &["a", "b"], &["a"], &["c"], &[]] {
            data.add(path);
        }
        assert_eq!(texts(&data), ["a/b", "c"]);
        assert!(data.contains(&["a"]) && !data.contains(&["b"]));
    }

    #[test]
    fn too_many_paths_are_cut_where_most_begin_alike() {
        let mut data = BoundedTrieData::default();
        data.add(&["other"]);
        for n in 0..100 {
            data.add(&["files", "many", &n.to_string()]);
        }
        assert_eq!(texts(&data), ["files/many*", "other"]);
        assert!(data.contains(&["files", "many", "1000"]));
        data.add(&["files", "many", "1000"]);
        data.add(&["files", "few"]);
        assert_eq!(texts(&data), ["files/few", "files/many*", "other"]);
    }

    #[test]
    fn sets_are_merged() {
        let mut a = BoundedTrieData::default();
        a.add(&["x", "y"]);
        a.add(&["z"]);
        let root = TrieNode {
            truncated: true,
            ..TrieNode::default()
        };
        let children = BTreeMap::from([("x".to_owned(), root)]);
        let b = BoundedTrieData::new(
            TrieNode {
                truncated: false,
                children,
            },
            3,
        );
        a.merge(b);
        assert_eq!(texts(&a), ["x*", "z"]);
        assert_eq!(a.bound(), 3);
    }

    #[test]
    fn long_paths_and_long_segments_are_bounded() {
        let mut data = BoundedTrieData::default();
        let deep = vec!["d"; 1000];
        data.add(&deep);
        assert_eq!(data.paths()[0].segments.len(), MAX_DEPTH);
        assert!(data.paths()[0].truncated);
        let large = "x".repeat(MAX_BYTES);
        data.add(&["large", &large]);
        data.add(&["other"]);
        assert!(data.root.bytes() <= MAX_BYTES);
    }
}
