//! Pages that are rewritten, value by value, on their way to a reader.

use std::sync::Arc;

use bytes::Bytes;

use crate::element::{Input, Page, Pages, put_varint};
use crate::error::{Error, ErrorKind, Result};

/// How values are rewritten.
///
/// It is asked anew for each page, and pages may be asked for again: all that it remembers from one value to the next is the
/// cursor.
pub(super) trait Rewrite: Send + Sync {
    /// Steps over one value.
    fn skip(&self, input: &mut Input<'_>) -> Result<()>;

    /// Puts out what becomes of one value.
    fn each(&self, cursor: &mut i64, value: &[u8], out: &mut Vec<u8>) -> Result<()>;

    /// Puts out what follows after the last value.
    fn last(&self, cursor: i64, out: &mut Vec<u8>) -> Result<()>;
}

/// Pages whose values are rewritten.
pub(super) struct Runs<R> {
    pages: Arc<dyn Pages>,
    rewrite: R,
}

impl<R: Rewrite> Runs<R> {
    pub(super) fn new(pages: Arc<dyn Pages>, rewrite: R) -> Self {
        Runs { pages, rewrite }
    }
}

/// Where a page begins: what its continuation says.
struct Place {
    cursor: i64,
    /// The start of a value whose end is in this page.
    partial: Bytes,
    /// The continuation of the pages that are rewritten.
    inner: Bytes,
}

impl Place {
    fn parse(continuation: &Bytes) -> Result<Self> {
        if continuation.is_empty() {
            return Ok(Place {
                cursor: i64::MIN,
                partial: Bytes::new(),
                inner: Bytes::new(),
            });
        }
        let mut input = Input::of_chunk(continuation);
        let cursor = i64::from_be_bytes(input.array()?);
        let partial = input.length()?;
        let partial = input.bytes(partial)?;
        let inner = input.remaining();
        let inner = input.bytes(inner)?;
        Ok(Place {
            cursor,
            partial,
            inner,
        })
    }

    fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(18 + self.partial.len() + self.inner.len());
        out.extend_from_slice(&self.cursor.to_be_bytes());
        put_varint(&mut out, self.partial.len() as u64);
        out.extend_from_slice(&self.partial);
        out.extend_from_slice(&self.inner);
        out.into()
    }
}

impl<R: Rewrite> Pages for Runs<R> {
    fn page(&self, token: &Bytes, continuation: &Bytes) -> Result<Page> {
        let mut place = Place::parse(continuation)?;
        let page = self.pages.page(token, &place.inner)?;
        let data = if place.partial.is_empty() {
            page.data
        } else {
            [&place.partial[..], &page.data].concat().into()
        };
        let mut out = Vec::with_capacity(data.len());
        let mut at = 0;
        while at < data.len() {
            let mut input = Input::new(&data[at..]);
            match self.rewrite.skip(&mut input) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Truncated => break,
                Err(error) => return Err(error),
            }
            let end = data.len() - input.remaining();
            if end == at {
                return Err(Error::decode("values without bytes cannot be paged"));
            }
            self.rewrite
                .each(&mut place.cursor, &data[at..end], &mut out)?;
            at = end;
        }
        (place.partial, place.inner) = (data.slice(at..), page.continuation);
        let continuation = if !place.inner.is_empty() {
            place.to_bytes()
        } else if place.partial.is_empty() {
            self.rewrite.last(place.cursor, &mut out)?;
            Bytes::new()
        } else {
            return Err(Error::decode("the pages of state end within a value"));
        };
        Ok(Page {
            data: out.into(),
            continuation,
        })
    }

    fn prefetch(&self, token: &Bytes, continuation: &Bytes) {
        if let Ok(place) = Place::parse(continuation) {
            self.pages.prefetch(token, &place.inner);
        }
    }
}
