//! Many values as one: the values of a key after grouping, inline or behind a state token.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;

use super::pages::{PagedReader, Pages};
use super::values::{negative_count, skip_blocks, skip_values, skip_with};
use super::{Coder, DecodeRef, Element, Input, Nesting, put_varint};
use crate::error::{Error, ErrorKind, Result};

/// Inline parts up to this size are copied; larger ones share the received chunk and keep it alive.
const SHARE_FROM: usize = 4096;

/// The values of one key, in no particular order; may be iterated any number of times within its bundle.
///
/// Values are decoded one at a time, and those that the runner keeps in its state are fetched page by page, so memory
/// does not grow with their number. Cloning is cheap.
///
/// ```
/// use ferrobeam::Iter;
///
/// let values = Iter::from_iter([1i64, 2, 3]);
/// let mut sum = 0;
/// for value in &values {
///     sum += value?;
/// }
/// assert_eq!(sum, 6);
/// # Ok::<(), ferrobeam::Error>(())
/// ```
pub struct Iter<T> {
    inline: Bytes,
    form: Form,
    tail: Option<Tail>,
    values: PhantomData<fn() -> T>,
}

#[derive(Clone, Copy)]
enum Form {
    /// This many values follow each other.
    Counted(u32),
    /// Blocks of a varint count and values, without the end mark.
    Blocks,
}

#[derive(Clone)]
struct Tail {
    token: Bytes,
    pages: Option<Arc<dyn Pages>>,
}

impl Tail {
    fn pages(&self) -> Result<&Arc<dyn Pages>> {
        self.pages.as_ref().ok_or_else(|| {
            Error::new(
                ErrorKind::State,
                "the values of a state-backed iterable are out of reach here; read them within their bundle",
            )
        })
    }

    /// Writes each run of values as a block.
    fn put_blocks<T: Element>(&self, out: &mut Vec<u8>) -> Result<()> {
        let mut paged = PagedReader::new(self.pages()?, &self.token);
        while let Some((run, count)) = paged.next_run::<T>()? {
            put_varint(out, count);
            out.extend_from_slice(&run);
        }
        Ok(())
    }
}

impl<T> Clone for Iter<T> {
    fn clone(&self) -> Self {
        Iter {
            inline: self.inline.clone(),
            form: self.form,
            tail: self.tail.clone(),
            values: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Iter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail = if self.tail.is_some() {
            ", more in state"
        } else {
            ""
        };
        write!(f, "Iter({} bytes inline{tail})", self.inline.len())
    }
}

impl<T: Element> FromIterator<T> for Iter<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut inline = Vec::new();
        let mut count = 0u32;
        for value in values {
            value.encode(&mut inline, Nesting::Nested);
            count += 1;
        }
        Iter {
            inline: inline.into(),
            form: Form::Counted(count),
            tail: None,
            values: PhantomData,
        }
    }
}

impl<T: Element> Iter<T> {
    /// Values that are all behind `pages`, whose token is empty.
    pub fn paged(pages: Arc<dyn Pages>) -> Self {
        let tail = Some(Tail {
            token: Bytes::new(),
            pages: Some(pages),
        });
        Iter {
            inline: Bytes::new(),
            form: Form::Counted(0),
            tail,
            values: PhantomData,
        }
    }

    /// The bytes of values that are here, and not in the runner's state.
    pub(crate) fn inline_bytes(&self) -> usize {
        self.inline.len()
    }

    /// Starts from the first value.
    pub fn iter(&self) -> Values<'_, T> {
        Values {
            reader: Reader::new(self),
            failed: false,
            values: PhantomData,
        }
    }

    /// Looks at each value in place: nothing is allocated for `String` and `Vec<u8>` values.
    ///
    /// # Errors
    /// Bytes that do not decode, a page that cannot be had, or the error of `visit`.
    pub fn for_each(&self, mut visit: impl FnMut(T::Ref<'_>) -> Result<()>) -> Result<()>
    where
        T: DecodeRef,
    {
        let mut reader = Reader::new(self);
        while reader.ready::<T>()? {
            let mut input = Input::new(&reader.data[reader.at..]);
            let before = input.remaining();
            visit(T::decode_ref(&mut input, Nesting::Nested)?)?;
            reader.consumed(before - input.remaining());
        }
        Ok(())
    }

    /// All values in memory: only for iterables that are known to be small.
    ///
    /// # Errors
    /// As iterating.
    pub fn to_vec(&self) -> Result<Vec<T>> {
        self.iter().collect()
    }
}

impl<'a, T: Element> IntoIterator for &'a Iter<T> {
    type Item = Result<T>;
    type IntoIter = Values<'a, T>;

    fn into_iter(self) -> Values<'a, T> {
        self.iter()
    }
}

/// Iterates over an [`Iter`]. Ends after the first error.
pub struct Values<'a, T> {
    reader: Reader<'a>,
    failed: bool,
    values: PhantomData<fn() -> T>,
}

impl<T: Element> Iterator for Values<'_, T> {
    type Item = Result<T>;

    #[inline]
    fn next(&mut self) -> Option<Result<T>> {
        if self.failed {
            return None;
        }
        let next = self.reader.next::<T>();
        self.failed = next.is_err();
        next.transpose()
    }
}

/// Walks over inline values and then over pages.
struct Reader<'a> {
    data: Bytes,
    at: usize,
    /// Values left before the next block header.
    left: u64,
    blocks: bool,
    tail: Option<&'a Tail>,
    paged: Option<PagedReader<'a>>,
}

impl<'a> Reader<'a> {
    fn new<T>(iterable: &'a Iter<T>) -> Self {
        let (left, blocks) = match iterable.form {
            Form::Counted(count) => (u64::from(count), false),
            Form::Blocks => (0, true),
        };
        let (data, tail) = (iterable.inline.clone(), iterable.tail.as_ref());
        Reader {
            data,
            at: 0,
            left,
            blocks,
            tail,
            paged: None,
        }
    }

    #[inline]
    fn next<T: Element>(&mut self) -> Result<Option<T>> {
        if !self.ready::<T>()? {
            return Ok(None);
        }
        let mut input = Input::of_chunk(&self.data);
        input.take(self.at)?;
        let before = input.remaining();
        let value = T::decode(&mut input, Nesting::Nested)?;
        let used = before - input.remaining();
        self.consumed(used);
        Ok(Some(value))
    }

    #[inline]
    fn consumed(&mut self, bytes: usize) {
        self.at += bytes;
        self.left -= 1;
    }

    /// Makes sure that a whole value stands at `at`; false at the end.
    #[inline]
    fn ready<T: Element>(&mut self) -> Result<bool> {
        if self.left > 0 {
            Ok(true)
        } else {
            self.refill::<T>()
        }
    }

    #[inline(never)]
    fn refill<T: Element>(&mut self) -> Result<bool> {
        if self.blocks && self.paged.is_none() && self.at < self.data.len() {
            let mut input = Input::new(&self.data[self.at..]);
            let before = input.remaining();
            self.left = input.varint()?;
            self.at += before - input.remaining();
            return Ok(true);
        }
        if self.paged.is_none() {
            let Some(tail) = self.tail else {
                return Ok(false);
            };
            self.paged = Some(PagedReader::new(tail.pages()?, &tail.token));
        }
        let Some(paged) = &mut self.paged else {
            return Ok(false);
        };
        match paged.next_run::<T>()? {
            None => Ok(false),
            Some((data, count)) => {
                (self.data, self.at, self.left) = (data, 0, count);
                Ok(true)
            }
        }
    }
}

impl<T: Element> Element for Iter<T> {
    fn coder() -> Coder {
        Coder::iterable(T::coder())
    }

    /// Writes all values inline. A tail is fetched for that; a failure to fetch it unwinds with the [`Error`], which
    /// whoever runs the bundle catches: encoding has no other way to fail.
    fn encode(&self, out: &mut Vec<u8>, _at: Nesting) {
        if let (Form::Counted(count), None) = (self.form, &self.tail) {
            out.extend_from_slice(&count.to_be_bytes());
            out.extend_from_slice(&self.inline);
            return;
        }
        out.extend_from_slice(&(-1i32).to_be_bytes());
        if let Form::Counted(count @ 1..) = self.form {
            put_varint(out, u64::from(count));
        }
        out.extend_from_slice(&self.inline);
        if let Some(tail) = &self.tail
            && let Err(error) = tail.put_blocks::<T>(out)
        {
            std::panic::resume_unwind(Box::new(error));
        }
        out.push(0);
    }

    fn decode(input: &mut Input<'_>, _at: Nesting) -> Result<Self> {
        let count = i32::from_be_bytes(input.array::<4>()?);
        let (form, start, before) = match count {
            0.. => (Form::Counted(count as u32), input.rest(), input.remaining()),
            -1 => (Form::Blocks, input.rest(), input.remaining()),
            _ => return Err(negative_count(i64::from(count))),
        };
        let mut skip = |input: &mut Input<'_>| T::skip(input, Nesting::Nested);
        input.enter()?;
        let (used, token) = match form {
            Form::Counted(count) => {
                skip_values(input, u64::from(count), &mut skip)?;
                (before - input.remaining(), None)
            }
            Form::Blocks => {
                let token = skip_blocks(input, &mut skip)?;
                (token.0, token.1)
            }
        };
        input.leave();
        let inline = &start[..used];
        let inline = if inline.len() < SHARE_FROM {
            Bytes::copy_from_slice(inline)
        } else {
            input.share(inline)
        };
        let tail = token.map(|token| Tail {
            token,
            pages: input.pages().cloned(),
        });
        Ok(Iter {
            inline,
            form,
            tail,
            values: PhantomData,
        })
    }

    fn skip(input: &mut Input<'_>, _at: Nesting) -> Result<()> {
        skip_with(input, |input| T::skip(input, Nesting::Nested))
    }
}

/// Writes values with their count.
pub(super) fn put_counted<T: Element>(out: &mut Vec<u8>, values: &[T]) {
    let count = u32::try_from(values.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&count.to_be_bytes());
    for value in values {
        value.encode(out, Nesting::Nested);
    }
}

/// Reads all values of one iterable into memory.
pub(super) fn read_list<T: Element>(input: &mut Input<'_>) -> Result<Vec<T>> {
    let values = Iter::<T>::decode(input, Nesting::Nested)?;
    values.to_vec()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::element::{Page, decoded, encoded};

    #[test]
    fn golden_bytes() {
        let values = Iter::from_iter([1i64, 300]);
        assert_eq!(encoded(&values, Nesting::Outer), [0, 0, 0, 2, 1, 0xac, 2]);
        for bytes in [
            &[0, 0, 0, 2, 1, 0xac, 2][..],
            &[0xff, 0xff, 0xff, 0xff, 2, 1, 0xac, 2, 0],
            &[0xff, 0xff, 0xff, 0xff, 1, 1, 1, 0xac, 2, 0],
        ] {
            let values: Iter<i64> = decoded(bytes, Nesting::Outer).expect("valid");
            assert_eq!(values.to_vec().expect("inline"), [1, 300]);
            assert_eq!(encoded(&values, Nesting::Outer), bytes);
        }
        let empty: Iter<i64> =
            decoded(&[0xff, 0xff, 0xff, 0xff, 0], Nesting::Outer).expect("valid");
        assert_eq!(empty.to_vec().expect("inline"), [0i64; 0]);
    }

    /// Serves one token cut into pages of `size` bytes, with an empty page first.
    struct CutPages {
        data: Vec<u8>,
        size: usize,
        fetched: Mutex<usize>,
        /// What was asked for, in order; with a question mark where nobody waits.
        asked: Mutex<Vec<String>>,
    }

    impl CutPages {
        fn note(&self, continuation: &Bytes, mark: &str) {
            let at = std::str::from_utf8(continuation).expect("ours");
            let mut asked = self.asked.lock().expect("not poisoned");
            asked.push(format!("{at}{mark}"));
        }
    }

    impl Pages for CutPages {
        fn page(&self, token: &Bytes, continuation: &Bytes) -> Result<Page> {
            assert_eq!(token, "emptySuffix");
            *self.fetched.lock().expect("not poisoned") += 1;
            self.note(continuation, "");
            if continuation.is_empty() {
                return Ok(Page {
                    data: Bytes::new(),
                    continuation: Bytes::from_static(b"0"),
                });
            }
            let at: usize = std::str::from_utf8(continuation)
                .expect("ours")
                .parse()
                .expect("ours");
            let end = (at + self.size).min(self.data.len());
            let next = if end < self.data.len() {
                end.to_string()
            } else {
                String::new()
            };
            Ok(Page {
                data: Bytes::copy_from_slice(&self.data[at..end]),
                continuation: next.into(),
            })
        }

        fn prefetch(&self, _token: &Bytes, continuation: &Bytes) {
            self.note(continuation, "?");
        }
    }

    #[test]
    fn the_next_page_is_on_its_way_while_one_is_decoded() {
        let cut = Arc::new(CutPages {
            data: vec![1, 2, 3, 4],
            size: 3,
            fetched: Mutex::new(0),
            asked: Mutex::default(),
        });
        let mut bytes = vec![0xff; 4 + 9];
        bytes.extend([1, 11]);
        bytes.extend(b"emptySuffix");
        let pages: Arc<dyn Pages> = cut.clone();
        let mut input = Input::new(&bytes).with_pages(&pages);
        let values = Iter::<i64>::decode(&mut input, Nesting::Nested).expect("valid");
        let mut values = values.iter();
        let asked = || std::mem::take(&mut *cut.asked.lock().expect("not poisoned"));
        assert!(asked().is_empty());
        assert_eq!(values.next().expect("four").expect("valid"), 1);
        assert_eq!(asked(), ["", "0?", "0", "3?"]);
        let rest: Result<Vec<i64>> = values.collect();
        assert_eq!(rest.expect("valid"), [2, 3, 4]);
        assert_eq!(asked(), ["3"]);
    }

    #[test]
    fn tails_are_read_lazily_and_again() {
        let mut bytes = vec![0xff, 0xff, 0xff, 0xff, 2, 0xc8, 1, 0xe8, 7];
        bytes.extend([0xff; 9]);
        bytes.extend([1, 11]);
        bytes.extend(b"emptySuffix");
        let mut data = Vec::new();
        for n in 0..100i64 {
            (n * 1000).encode(&mut data, Nesting::Nested);
        }
        let cut = Arc::new(CutPages {
            data,
            size: 7,
            fetched: Mutex::new(0),
            asked: Mutex::default(),
        });
        let pages: Arc<dyn Pages> = cut.clone();
        let mut input = Input::new(&bytes).with_pages(&pages);
        let values = Iter::<i64>::decode(&mut input, Nesting::Nested).expect("valid");
        assert!(input.is_empty());
        let mut expected = vec![200, 1000];
        expected.extend((0..100).map(|n| n * 1000));
        assert_eq!(*cut.fetched.lock().expect("not poisoned"), 0);
        assert_eq!(values.to_vec().expect("served"), expected);
        let mut seen = Vec::new();
        values
            .for_each(|v| {
                seen.push(v);
                Ok(())
            })
            .expect("served");
        assert_eq!(seen, expected);
        let copy: Iter<i64> =
            decoded(&encoded(&values, Nesting::Nested), Nesting::Nested).expect("inline now");
        assert_eq!(copy.to_vec().expect("inline"), expected);
    }

    #[test]
    fn counts_that_lie_are_errors() {
        let lie = |bytes: &[u8]| decoded::<Iter<i64>>(bytes, Nesting::Outer).expect_err("a lie");
        lie(&[0x7f, 0xff, 0xff, 0xff, 1]);
        lie(&[0xff, 0xff, 0xff, 0xfe]);
        let mut block = vec![0xff, 0xff, 0xff, 0xff];
        put_varint(&mut block, -5i64 as u64);
        lie(&block);
    }
}
