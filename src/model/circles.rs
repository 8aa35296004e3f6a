//! Finds transforms that feed themselves: linking follows edges, and must come to an end.

use super::descriptor::{CollectionSpec, NodeSpec};
use crate::error::{Error, Result};

/// Refuses graphs in which an element could come back to where it was.
///
/// # Errors
/// Names one of the transforms.
pub(super) fn refuse(nodes: &[NodeSpec], collections: &[CollectionSpec]) -> Result<()> {
    let mut waiting_for: Vec<usize> = vec![0; nodes.len()];
    let readers = |node: &NodeSpec| {
        let outputs = node.outputs.iter();
        let readers = outputs.flat_map(|(_, output)| &collections[*output].readers);
        readers.map(|(reader, _)| *reader).collect::<Vec<_>>()
    };
    for node in nodes {
        for reader in readers(node) {
            waiting_for[reader] += 1;
        }
    }
    let mut ready: Vec<usize> = (0..nodes.len())
        .filter(|node| waiting_for[*node] == 0)
        .collect();
    while let Some(node) = ready.pop() {
        for reader in readers(&nodes[node]) {
            waiting_for[reader] -= 1;
            if waiting_for[reader] == 0 {
                ready.push(reader);
            }
        }
    }
    match waiting_for.iter().position(|left| *left > 0) {
        None => Ok(()),
        Some(node) => Err(Error::descriptor(
            "transforms feed each other in a circle; the pipeline is damaged",
        )
        .at("transform", &nodes[node].id)),
    }
}
