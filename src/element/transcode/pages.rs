//! Pages of values, from one form to the other.

use std::sync::Arc;

use bytes::Bytes;

use super::{Step, Tails, Transcoder};
use crate::element::{Input, Nesting, Page, Pages, put_varint};
use crate::error::{Error, ErrorKind, Result};

/// Serves the pages of another source with each value in its other form.
///
/// A value may begin in one page and end in the next. What has come of it travels in the continuation, so that pages
/// can be fetched again, and by several readers.
pub struct TranscodedPages {
    pages: Arc<dyn Pages>,
    step: Arc<Step>,
}

impl TranscodedPages {
    /// Pages whose nested values `transcoder` turns into its target's form.
    pub fn new(pages: Arc<dyn Pages>, transcoder: &Transcoder) -> Self {
        TranscodedPages {
            pages,
            step: transcoder.step.clone(),
        }
    }

    /// Converts the whole values of `data`. Yields them, and the start of a value that `data` does not hold whole.
    fn convert<'a>(&self, data: &'a [u8]) -> Result<(Vec<u8>, &'a [u8])> {
        let mut out = Vec::with_capacity(data.len());
        let mut input = Input::new(data);
        while !input.is_empty() {
            let (rest, whole) = (input.rest(), out.len());
            let nested = Nesting::Nested;
            match self.step.convert(&mut input, nested, &mut out, nested) {
                Ok(()) if input.remaining() < rest.len() => {}
                Ok(()) => {
                    return Err(Error::decode("values without bytes cannot be paged"));
                }
                Err(error) if error.kind() == ErrorKind::Truncated => {
                    out.truncate(whole);
                    return Ok((out, rest));
                }
                Err(error) => return Err(error),
            }
        }
        Ok((out, &[]))
    }
}

impl Pages for TranscodedPages {
    fn page(&self, token: &Bytes, continuation: &Bytes) -> Result<Page> {
        let (partial, inner) = split(continuation)?;
        let page = self.pages.page(token, &inner)?;
        let data = if partial.is_empty() {
            page.data
        } else {
            [&partial[..], &page.data].concat().into()
        };
        let (values, partial) = self.convert(&data)?;
        if page.continuation.is_empty() && !partial.is_empty() {
            return Err(Error::decode(
                "the pages of a state-backed iterable end within a value",
            ));
        }
        Ok(Page {
            data: values.into(),
            continuation: join(partial, &page.continuation),
        })
    }

    fn prefetch(&self, token: &Bytes, continuation: &Bytes) {
        if let Ok((_, inner)) = split(continuation) {
            self.pages.prefetch(token, &inner);
        }
    }
}

/// A continuation of ours: the start of a value, and the continuation of its rest.
fn join(partial: &[u8], inner: &Bytes) -> Bytes {
    if inner.is_empty() {
        return Bytes::new();
    }
    let mut out = Vec::with_capacity(10 + partial.len() + inner.len());
    put_varint(&mut out, partial.len() as u64);
    out.extend_from_slice(partial);
    out.extend_from_slice(inner);
    out.into()
}

fn split(continuation: &Bytes) -> Result<(Bytes, Bytes)> {
    if continuation.is_empty() {
        return Ok((Bytes::new(), Bytes::new()));
    }
    let mut input = Input::of_chunk(continuation);
    let length = input.length()?;
    let partial = input.bytes(length)?;
    let rest = input.take_rest();
    Ok((partial, input.share(rest)))
}

impl Transcoder {
    /// Where the tails of converted state-backed iterables come from, given where those of the source come from.
    /// `None` where tails have the same form on both sides.
    pub fn tail_pages(&self, pages: &Arc<dyn Pages>) -> Option<Arc<dyn Pages>> {
        match &self.tails {
            Tails::Same => None,
            Tails::Of(step) => Some(Arc::new(TranscodedPages {
                pages: pages.clone(),
                step: step.clone(),
            })),
            Tails::Several => Some(Arc::new(NoPages)),
        }
    }
}

/// Tails of which nothing tells the type.
struct NoPages;

impl Pages for NoPages {
    fn page(&self, _token: &Bytes, _continuation: &Bytes) -> Result<Page> {
        Err(Error::decode(
            "a value with several iterables has a state-backed tail, and nothing tells to which it belongs",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::coder::urn;
    use crate::element::{Coder, Element, Iter};

    /// Serves bytes in pages of `size`.
    struct Cut {
        data: Bytes,
        size: usize,
    }

    impl Pages for Cut {
        fn page(&self, token: &Bytes, continuation: &Bytes) -> Result<Page> {
            assert_eq!(token, "t");
            let at = continuation.first().map_or(0, |at| usize::from(*at));
            let end = (at + self.size).min(self.data.len());
            let next = (end < self.data.len()).then(|| vec![end as u8]);
            Ok(Page {
                data: self.data.slice(at..end),
                continuation: next.unwrap_or_default().into(),
            })
        }
    }

    fn wire_and_own() -> (Coder, Coder) {
        let varint = || Coder::standard(urn::VARINT, []);
        let list = |element| Coder::standard(urn::STATE_BACKED_ITERABLE, [element]);
        (list(Coder::length_prefix(varint())), list(varint()))
    }

    /// Reads `data`, behind a token, as numbers after their length.
    fn read(data: &'static [u8], size: usize) -> Result<Vec<i64>> {
        let (wire, own) = wire_and_own();
        let transcoder = Transcoder::between(&wire, &own)?.expect("they differ");
        let mut bytes = vec![0xff; 13];
        bytes.extend([1, 1, b't']);
        let mut converted = Vec::new();
        let nested = Nesting::Nested;
        transcoder.convert(&mut Input::new(&bytes), nested, &mut converted, nested)?;
        let data = Bytes::from_static(data);
        let pages: Arc<dyn Pages> = Arc::new(Cut { data, size });
        let pages = transcoder.tail_pages(&pages).expect("the forms differ");
        let mut input = Input::new(&converted).with_pages(&pages);
        let values = Iter::<i64>::decode(&mut input, nested)?;
        let first = values.to_vec()?;
        assert_eq!(values.to_vec()?, first, "the second reading");
        Ok(first)
    }

    #[test]
    fn values_across_pages() {
        for size in 1..=7 {
            let values = read(b"\x01\x05\x02\xac\x02\x01\x07", size).expect("valid");
            assert_eq!(values, [5, 300, 7], "pages of {size}");
        }
        assert_eq!(read(b"", 1).expect("valid"), [0i64; 0]);
    }

    #[test]
    fn pages_that_end_within_a_value() {
        for size in 1..=4 {
            let error = read(b"\x01\x05\x02\xac", size).expect_err("a part is missing");
            assert!(error.to_string().contains("within a value"), "{error}");
        }
    }

    #[test]
    fn tails_of_several_iterables_are_refused_when_read() {
        let (wire, own) = wire_and_own();
        let twice = |coder: Coder| Coder::kv(coder.clone(), coder);
        let transcoder = Transcoder::between(&twice(wire), &twice(own)).expect("same type");
        let data = Bytes::new();
        let pages: Arc<dyn Pages> = Arc::new(Cut { data, size: 1 });
        let pages = transcoder.expect("they differ").tail_pages(&pages);
        let page = pages
            .expect("the forms differ")
            .page(&"t".into(), &Bytes::new());
        page.expect_err("ambiguous");
    }
}
