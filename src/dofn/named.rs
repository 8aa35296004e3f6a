//! How a function travels: by name and configuration, never as code.

use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// URN of the function specs whose payload is a [`FunctionPayload`].
pub const FUNCTION_URN: &str = "ferrobeam:function:v1";

/// A function with a name that outlives the build. Derive it with `#[derive(DoFn)]` or `#[derive(CombineFn)]`.
///
/// The name is written into pipelines, which may run long after the type was renamed, and end up in a worker of
/// another build. It ends in a version, as in `shop.Price/v1`; what stands before the slash names its metrics.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no name to travel under",
    label = "no name",
    note = "derive `DoFn` or `CombineFn` and say #[beam(name = \"…\")]"
)]
pub trait Named: Serialize + DeserializeOwned + Send + 'static {
    /// The name.
    const NAME: &'static str;

    /// Brings a configuration that an older version saved into this version's shape.
    ///
    /// # Errors
    /// A configuration that cannot be brought over.
    fn upgrade(config: serde_json::Value) -> Result<serde_json::Value> {
        Ok(config)
    }
}

/// A type whose name may be part of a function's: what stands for a type parameter in the name of one that
/// ferrobeam brings, as [`Sample`](super::Sample).
///
/// Like the name of a function, it outlives the build.
///
/// ```
/// use ferrobeam::dofn::{Named, Sample, TypeName};
///
/// #[derive(Debug, Clone, PartialEq, ferrobeam::Row)]
/// struct Order {
///     price: i64,
/// }
///
/// impl TypeName for Order {
///     const TYPE_NAME: &'static str = "shop.Order";
/// }
///
/// assert_eq!(Sample::<Order>::NAME, "ferrobeam.Sample.shop.Order/v1");
/// ```
pub trait TypeName: 'static {
    /// The name: visible ASCII characters without a slash.
    const TYPE_NAME: &'static str;
}

macro_rules! type_names {
    ($($type:ty, $name:literal;)*) => {$(
        impl TypeName for $type {
            const TYPE_NAME: &'static str = $name;
        }
    )*};
}

type_names! {
    bool, "bool";
    i64, "i64";
    f64, "f64";
    String, "String";
    Vec<u8>, "bytes";
}

/// The most bytes of a [`ComposedName`].
const LONGEST: usize = 512;

/// A function's name that is made of others.
#[derive(Debug)]
pub(crate) struct ComposedName {
    bytes: [u8; LONGEST],
    length: usize,
}

impl ComposedName {
    /// The parts, one after the other. Only the last one may begin a version: slashes in the others become dots.
    ///
    /// # Panics
    /// If they are too long: when the program is compiled, since names are constants.
    pub(crate) const fn of(parts: &[&str]) -> Self {
        let mut bytes = [0; LONGEST];
        let mut length = 0;
        let mut at = 0;
        while at < parts.len() {
            let part = parts[at].as_bytes();
            let last = at + 1 == parts.len();
            let mut next = 0;
            while next < part.len() {
                assert!(
                    length < LONGEST,
                    "the name of a composed function is too long"
                );
                bytes[length] = if part[next] == b'/' && !last {
                    b'.'
                } else {
                    part[next]
                };
                length += 1;
                next += 1;
            }
            at += 1;
        }
        ComposedName { bytes, length }
    }

    pub(crate) const fn as_str(&self) -> &str {
        match std::str::from_utf8(self.bytes.split_at(self.length).0) {
            Ok(name) => name,
            Err(_) => panic!("texts one after the other are a text"),
        }
    }
}

/// What a pipeline says of a function: JSON, so that a runner's console can show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FunctionPayload {
    /// Version of this very format.
    pub format: u32,
    /// The function's name.
    pub name: String,
    /// Its configuration.
    #[serde(default)]
    pub config: serde_json::Value,
}

impl FunctionPayload {
    /// What a worker makes of a function: one that went through its payload.
    ///
    /// # Errors
    /// The configuration cannot be written or read back.
    pub(crate) fn sent<F: Named>(function: &F) -> Result<F> {
        Self::parse(&Self::of(function)?.to_bytes())?.function()
    }

    /// The version of the format that is written.
    pub const FORMAT: u32 = 1;

    /// The payload of a function.
    ///
    /// # Errors
    /// A configuration that JSON cannot hold.
    pub fn of<N: Named>(function: &N) -> Result<Self> {
        let config = serde_json::to_value(function).map_err(|e| {
            Error::config(format!(
                "the configuration of {:?} cannot be written as JSON",
                N::NAME
            ))
            .because(e)
        })?;
        Ok(FunctionPayload {
            format: Self::FORMAT,
            name: N::NAME.into(),
            config,
        })
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// Bytes that are not a payload, or one of a format that this version does not know.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let payload: FunctionPayload = serde_json::from_slice(bytes).map_err(|e| {
            Error::descriptor("a function's payload is not one that ferrobeam wrote").because(e)
        })?;
        if payload.format != Self::FORMAT {
            return Err(Error::descriptor(format!(
                "the payload of {:?} has format {}, this worker reads format {}; use a worker of the submitter's version",
                payload.name,
                payload.format,
                Self::FORMAT
            )));
        }
        Ok(payload)
    }

    /// The payload's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and JSON values always serialize")
    }

    /// The function itself.
    ///
    /// # Errors
    /// A configuration that does not fit this worker's version of the function.
    pub fn function<N: Named>(&self) -> Result<N> {
        serde_json::from_value(N::upgrade(self.config.clone())?).map_err(|e| {
            Error::new(
                ErrorKind::Registry,
                format!(
                    "the saved configuration of {:?} does not fit this worker's version of it",
                    self.name
                ),
            )
            .because(e)
        })
    }
}

/// What names a function's metrics: its name without the version.
pub fn namespace(name: &str) -> &str {
    name.split_once('/')
        .map_or(name, |(namespace, _)| namespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Price {
        vat: f64,
    }

    impl Named for Price {
        const NAME: &'static str = "shop.Price/v1";
    }

    #[test]
    fn payloads_never_change_meaning() {
        let payload = FunctionPayload::of(&Price { vat: 0.5 }).expect("plain");
        let bytes = br#"{"format":1,"name":"shop.Price/v1","config":{"vat":0.5}}"#;
        assert_eq!(payload.to_bytes(), bytes);
        let read = FunctionPayload::parse(bytes).expect("valid");
        assert_eq!(read.function::<Price>().expect("fits"), Price { vat: 0.5 });
        assert_eq!(namespace(&read.name), "shop.Price");
    }

    #[test]
    fn a_configuration_that_does_not_fit_says_so() {
        let read =
            FunctionPayload::parse(br#"{"format":1,"name":"shop.Price/v1","config":{"tax":1}}"#)
                .expect("valid");
        let error = read
            .function::<Price>()
            .expect_err("missing field")
            .to_string();
        assert!(
            error.contains("shop.Price/v1") && error.contains("missing field `vat`"),
            "{error}"
        );
        let error = FunctionPayload::parse(br#"{"format":9,"name":"x"}"#)
            .expect_err("unknown format")
            .to_string();
        assert!(error.contains("format 9"), "{error}");
    }
}
