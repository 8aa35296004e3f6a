//! The runner's side of state-backed iterables.

use std::sync::Arc;

use bytes::Bytes;
use ferrobeam::element::{Page, Pages};
use ferrobeam::{Error, Result};

/// Serves what a document's `state` says, one byte a page: values begin in one page and end in another.
pub(crate) struct StatePages(pub(crate) Vec<(Vec<u8>, Vec<u8>)>);

impl StatePages {
    pub(crate) fn shared(state: &[(Vec<u8>, Vec<u8>)]) -> Arc<dyn Pages> {
        Arc::new(StatePages(state.to_vec()))
    }
}

impl Pages for StatePages {
    fn page(&self, token: &Bytes, continuation: &Bytes) -> Result<Page> {
        let (_, data) = self
            .0
            .iter()
            .find(|(t, _)| t == token)
            .ok_or_else(|| Error::user("the token is unknown"))?;
        let at = continuation.first().map_or(0, |at| usize::from(*at));
        let end = (at + 1).min(data.len());
        let next = (end < data.len()).then_some(vec![end as u8]);
        Ok(Page {
            data: Bytes::copy_from_slice(&data[at..end]),
            continuation: next.unwrap_or_default().into(),
        })
    }
}
