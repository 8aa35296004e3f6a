//! Values that are fetched page by page.

use std::sync::Arc;

use bytes::Bytes;

use super::{Element, Input, Nesting};
use crate::error::{Error, ErrorKind, Result};

/// Where the rest of a state-backed iterable comes from, page by page.
pub trait Pages: Send + Sync {
    /// The page of `token` that `continuation` names; the first page where it is empty. Blocks until it is there.
    ///
    /// # Errors
    /// The runner refused, or the connection broke.
    fn page(&self, token: &Bytes, continuation: &Bytes) -> Result<Page>;

    /// Says that a page will most likely be wanted soon. Does not wait for it, and nothing is lost if it is never read.
    fn prefetch(&self, _token: &Bytes, _continuation: &Bytes) {}
}

/// A stretch of the encoded values of a state-backed iterable. Values may begin in one page and end in the next.
#[derive(Debug, Clone)]
pub struct Page {
    /// Encoded values, possibly none.
    pub data: Bytes,
    /// Names the next page; empty after the last one.
    pub continuation: Bytes,
}

/// Cuts the pages of one token into runs of whole values.
pub struct PagedReader<'a> {
    pages: &'a Arc<dyn Pages>,
    token: &'a Bytes,
    /// `None` after the last page.
    continuation: Option<Bytes>,
    /// The start of a value whose end is in the next page.
    partial: Vec<u8>,
}

impl<'a> PagedReader<'a> {
    /// Starts before the first page.
    pub fn new(pages: &'a Arc<dyn Pages>, token: &'a Bytes) -> Self {
        PagedReader {
            pages,
            token,
            continuation: Some(Bytes::new()),
            partial: Vec::new(),
        }
    }

    /// The next run of whole nested values and their number; `None` at the end.
    ///
    /// # Errors
    /// A page that cannot be had, bytes that do not decode, or a last value that does not end.
    pub fn next_run<T: Element>(&mut self) -> Result<Option<(Bytes, u64)>> {
        self.next_run_with(&mut |input| T::skip(input, Nesting::Nested))
    }

    /// As [`PagedReader::next_run`], for values that `skip` steps over.
    pub(super) fn next_run_with(
        &mut self,
        skip: &mut impl FnMut(&mut Input<'_>) -> Result<()>,
    ) -> Result<Option<(Bytes, u64)>> {
        loop {
            let Some(continuation) = self.continuation.take() else {
                return if self.partial.is_empty() {
                    Ok(None)
                } else {
                    Err(Error::decode(
                        "the pages of a state-backed iterable end within a value",
                    ))
                };
            };
            let page = self.pages.page(self.token, &continuation)?;
            if !page.continuation.is_empty() {
                // On its way while this one is decoded.
                self.pages.prefetch(self.token, &page.continuation);
                self.continuation = Some(page.continuation);
            }
            let data = if self.partial.is_empty() {
                page.data
            } else {
                let mut joined = std::mem::take(&mut self.partial);
                joined.extend_from_slice(&page.data);
                joined.into()
            };
            let (whole, count) = whole_values(&data, skip)?;
            self.partial = data[whole..].to_vec();
            if count > 0 {
                return Ok(Some((data.slice(..whole), count)));
            }
        }
    }
}

/// How many bytes of `data` are whole values, and how many values those are.
fn whole_values(
    data: &Bytes,
    skip: &mut impl FnMut(&mut Input<'_>) -> Result<()>,
) -> Result<(usize, u64)> {
    let mut input = Input::new(data);
    let mut count = 0;
    loop {
        let before = input.remaining();
        if before == 0 {
            return Ok((data.len(), count));
        }
        match skip(&mut input) {
            Ok(()) if input.remaining() == before => {
                return Err(Error::decode("values without bytes cannot be paged"));
            }
            Ok(()) => count += 1,
            Err(error) if error.kind() == ErrorKind::Truncated => {
                return Ok((data.len() - before, count));
            }
            Err(error) => return Err(error),
        }
    }
}
