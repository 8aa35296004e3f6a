//! Types that travel through collections, and their bytes.
//!
//! Invariant: decoding never panics and never allocates more than the bytes at hand justify, whatever they say.

pub mod coder;
mod header;
mod input;
mod iterable;
mod kv;
mod layout;
mod metadata;
mod pages;
mod pane;
pub mod row;
mod sharded_key;
mod standard;
mod tails;
mod time;
mod timer;
mod transcode;
mod values;

pub use coder::Coder;
pub use header::{Header, WindowBytes, WindowCoding};
pub use input::{Input, MAX_DEPTH, put_varint};
pub use iterable::{Iter, Values};
pub use kv::{Keyed, Kv, KvVisitor};
pub use layout::Layout;
pub use metadata::{ElementMetadata, ValueKind};
pub use pages::{Page, PagedReader, Pages};
pub use pane::{Pane, Timing};
pub use row::{DynRow, FieldValue, Row, Schema, Value};
pub use sharded_key::ShardedKey;
pub use standard::{NotAByte, RAW_CODER, Raw};
pub use tails::WholeCopy;
pub use time::Timestamp;
pub use timer::{Firing, TimerCoding, TimerRecord};
pub use transcode::{TranscodedPages, Transcoder, plain};

use crate::error::Result;

/// Whether a value must say where it ends.
///
/// Composite values encode every part [`Nested`](Nesting::Nested), except the last, which inherits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Nesting {
    /// More bytes may follow: the value delimits itself.
    Nested,
    /// The value may use all bytes that are left.
    Outer,
}

/// A type that can travel through a `PCollection`: it names its coder, and converts to and from that coder's bytes.
///
/// The types of this module are elements; `#[derive(Row)]` makes one of a struct. A type of your own with a coder of
/// your own implements it by hand, with [`Coder::own`].
///
/// `clone` is called where one collection has several consumers.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an element of a PCollection",
    label = "no coder is known for `{Self}`",
    note = "derive `Row` for a struct with named fields, or implement `Element` to name its coder"
)]
pub trait Element: Clone + Send + 'static {
    /// The coder, as it goes into the pipeline.
    fn coder() -> Coder;

    /// Appends the value's bytes.
    fn encode(&self, out: &mut Vec<u8>, at: Nesting);

    /// Reads one value.
    ///
    /// # Errors
    /// Bytes that end early or that the coder does not allow.
    fn decode(input: &mut Input<'_>, at: Nesting) -> Result<Self>;

    /// Steps over one value. Override it where that is cheaper than building the value.
    ///
    /// # Errors
    /// As [`Element::decode`].
    fn skip(input: &mut Input<'_>, at: Nesting) -> Result<()> {
        Self::decode(input, at).map(drop)
    }

    /// Tells a visitor whether this is a [`Kv`]. Only [`Kv`] overrides it.
    #[doc(hidden)]
    fn visit<X: KvVisitor>(visitor: X) -> X::Output {
        visitor.other()
    }
}

/// An element that can be looked at without building it: `&str` for `String`, `&[u8]` for `Vec<u8>`.
pub trait DecodeRef: Element {
    /// What is looked at.
    type Ref<'a>;

    /// Reads one value in place.
    ///
    /// # Errors
    /// As [`Element::decode`].
    fn decode_ref<'a>(input: &mut Input<'a>, at: Nesting) -> Result<Self::Ref<'a>>;
}

/// Encodes one value into fresh bytes.
pub fn encoded<T: Element>(value: &T, at: Nesting) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out, at);
    out
}

/// Decodes exactly one value: bytes left over are an error.
///
/// # Errors
/// As [`Element::decode`], or bytes left over.
pub fn decoded<T: Element>(bytes: &[u8], at: Nesting) -> Result<T> {
    let mut input = Input::new(bytes);
    let value = T::decode(&mut input, at)?;
    if input.is_empty() {
        Ok(value)
    } else {
        Err(crate::error::Error::decode(format!(
            "{} bytes are left over after a value of {}",
            input.remaining(),
            T::coder()
        )))
    }
}
