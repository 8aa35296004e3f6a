//! Coders as data: what the pipeline proto says about the bytes of a collection.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

use bytes::Bytes;

use super::{Element, Input, Nesting};
use crate::error::Result;

/// URNs of the standard coders.
#[allow(missing_docs, reason = "each name is the URN's own")]
pub mod urn {
    pub const BYTES: &str = "beam:coder:bytes:v1";
    pub const STRING_UTF8: &str = "beam:coder:string_utf8:v1";
    pub const KV: &str = "beam:coder:kv:v1";
    pub const BOOL: &str = "beam:coder:bool:v1";
    pub const VARINT: &str = "beam:coder:varint:v1";
    pub const DOUBLE: &str = "beam:coder:double:v1";
    pub const INTERVAL_WINDOW: &str = "beam:coder:interval_window:v1";
    pub const ITERABLE: &str = "beam:coder:iterable:v1";
    pub const TIMER: &str = "beam:coder:timer:v1";
    pub const LENGTH_PREFIX: &str = "beam:coder:length_prefix:v1";
    pub const GLOBAL_WINDOW: &str = "beam:coder:global_window:v1";
    pub const WINDOWED_VALUE: &str = "beam:coder:windowed_value:v1";
    pub const PARAM_WINDOWED_VALUE: &str = "beam:coder:param_windowed_value:v1";
    pub const STATE_BACKED_ITERABLE: &str = "beam:coder:state_backed_iterable:v1";
    pub const CUSTOM_WINDOW: &str = "beam:coder:custom_window:v1";
    pub const ROW: &str = "beam:coder:row:v1";
    pub const SHARDED_KEY: &str = "beam:coder:sharded_key:v1";
    pub const NULLABLE: &str = "beam:coder:nullable:v1";
}

/// A coder: URN, payload and component coders, as the pipeline proto names them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Coder {
    /// What it is.
    pub urn: Cow<'static, str>,
    /// Its parameters: a schema for rows, otherwise mostly empty.
    pub payload: Bytes,
    /// Coders of its parts.
    pub components: Vec<Coder>,
    pub(crate) ends: Ends,
}

/// How to step over a value of a coder that only one type knows. It says nothing about which coder it is.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ends(pub(super) Option<fn(&mut Input<'_>) -> Result<()>>);

impl PartialEq for Ends {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Ends {}

impl Hash for Ends {
    fn hash<H: Hasher>(&self, _state: &mut H) {}
}

impl fmt::Debug for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "own" } else { "-" })
    }
}

impl Coder {
    /// A standard coder without payload.
    pub fn standard(urn: &'static str, components: impl Into<Vec<Coder>>) -> Self {
        Coder {
            urn: Cow::Borrowed(urn),
            payload: Bytes::new(),
            components: components.into(),
            ends: Ends::default(),
        }
    }

    /// The coder of the element type `T`, which nobody else knows. Runners treat its values as opaque bytes.
    ///
    /// The values must be the same bytes [nested](Nesting::Nested) and not, so that they say themselves where they end: a
    /// runner may put a length before one of them, wherever it stands.
    pub fn own<T: Element>(urn: impl Into<Cow<'static, str>>, payload: impl Into<Bytes>) -> Self {
        Coder {
            ends: Ends(Some(|input| T::skip(input, Nesting::Nested))),
            ..Coder::foreign(urn, payload)
        }
    }

    /// A coder of which nothing is known here but its name. The runner must put a length before its values.
    pub fn foreign(urn: impl Into<Cow<'static, str>>, payload: impl Into<Bytes>) -> Self {
        Coder {
            urn: urn.into(),
            payload: payload.into(),
            components: Vec::new(),
            ends: Ends::default(),
        }
    }

    /// `kv<key, value>`.
    pub fn kv(key: Coder, value: Coder) -> Self {
        Coder::standard(urn::KV, [key, value])
    }

    /// `iterable<element>`.
    pub fn iterable(element: Coder) -> Self {
        Coder::standard(urn::ITERABLE, [element])
    }

    /// `nullable<value>`.
    pub fn nullable(value: Coder) -> Self {
        Coder::standard(urn::NULLABLE, [value])
    }

    /// `length_prefix<value>`.
    pub fn length_prefix(value: Coder) -> Self {
        Coder::standard(urn::LENGTH_PREFIX, [value])
    }

    /// Whether this is the coder `urn`.
    pub fn is(&self, urn: &str) -> bool {
        self.urn == urn
    }

    /// The component coder at `index`.
    ///
    /// # Errors
    /// A coder with too few components.
    pub fn component(&self, index: usize) -> crate::Result<&Coder> {
        self.components.get(index).ok_or_else(|| {
            crate::Error::descriptor(format!(
                "the coder {} lacks component {index}; the pipeline is damaged",
                self.urn
            ))
        })
    }
}

impl fmt::Display for Coder {
    /// Short form for errors: `kv<bytes, iterable<varint>>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self
            .urn
            .strip_prefix("beam:coder:")
            .and_then(|u| u.strip_suffix(":v1"))
            .unwrap_or(&self.urn);
        f.write_str(name)?;
        for (i, component) in self.components.iter().enumerate() {
            write!(f, "{}{component}", if i == 0 { "<" } else { ", " })?;
        }
        if self.components.is_empty() {
            Ok(())
        } else {
            f.write_str(">")
        }
    }
}
