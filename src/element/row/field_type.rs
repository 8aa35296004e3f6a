//! The types of fields.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::{Schema, Value};

/// The type of a field, or of the values in a container.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldType {
    /// What the values are.
    pub kind: Kind,
    /// Whether there may be none.
    pub nullable: bool,
}

/// What a value is, apart from whether it may be null.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Eight bits; signed in Java, unsigned in Python.
    Byte,
    /// A 16-bit integer.
    Int16,
    /// A 32-bit integer.
    Int32,
    /// A 64-bit integer.
    Int64,
    /// A single-precision number.
    Float,
    /// A double-precision number.
    Double,
    /// UTF-8 text.
    String,
    /// True or false.
    Boolean,
    /// Any bytes.
    Bytes,
    /// A list.
    Array(Box<FieldType>),
    /// A list whose length its writer may not have known.
    Iterable(Box<FieldType>),
    /// Keys and values.
    Map(Box<FieldType>, Box<FieldType>),
    /// A row in a row.
    Row(Arc<Schema>),
    /// A type with a meaning beyond its representation.
    Logical(Box<LogicalType>),
}

/// A type with a meaning of its own. Its values are encoded as those of the representation, with the exceptions that
/// [`Value`] lists.
#[derive(Debug, Clone, PartialEq)]
pub struct LogicalType {
    /// Names the meaning.
    pub urn: Cow<'static, str>,
    /// Parameters that only the SDK that declared it understands.
    pub payload: Bytes,
    /// What its values are encoded as. Python's `any` may lack it.
    pub representation: Option<FieldType>,
    /// A length or precision, with its type. Only arguments of atomic types are kept.
    pub argument: Option<(FieldType, Value)>,
}

impl From<Kind> for FieldType {
    fn from(kind: Kind) -> Self {
        FieldType {
            kind,
            nullable: false,
        }
    }
}

impl FieldType {
    /// An array of `element`.
    pub fn array(element: impl Into<FieldType>) -> Self {
        Kind::Array(Box::new(element.into())).into()
    }

    /// A map from `key` to `value`.
    pub fn map(key: impl Into<FieldType>, value: impl Into<FieldType>) -> Self {
        Kind::Map(Box::new(key.into()), Box::new(value.into())).into()
    }

    /// A logical type without payload and argument.
    pub fn logical(
        urn: impl Into<Cow<'static, str>>,
        representation: impl Into<FieldType>,
    ) -> Self {
        Kind::Logical(Box::new(LogicalType {
            urn: urn.into(),
            payload: Bytes::new(),
            representation: Some(representation.into()),
            argument: None,
        }))
        .into()
    }

    /// The same type, nullable.
    #[must_use]
    pub fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }

    /// Whether values of both have the same bytes and meaning.
    pub(super) fn same(&self, other: &FieldType) -> bool {
        self.nullable == other.nullable
            && match (&self.kind, &other.kind) {
                // Arrays and iterables have the same forms.
                (Kind::Array(a) | Kind::Iterable(a), Kind::Array(b) | Kind::Iterable(b)) => {
                    a.same(b)
                }
                (Kind::Map(key, value), Kind::Map(other_key, other_value)) => {
                    key.same(other_key) && value.same(other_value)
                }
                (Kind::Row(a), Kind::Row(b)) => a.same_rows(b),
                (Kind::Logical(a), Kind::Logical(b)) => {
                    a.urn == b.urn
                        && match (&a.representation, &b.representation) {
                            (Some(a), Some(b)) => a.same(b),
                            (a, b) => a.is_none() && b.is_none(),
                        }
                }
                (a, b) => a == b,
            }
    }

    /// Whether one of the schemas within fulfils `predicate`.
    pub(super) fn any_schema(&self, predicate: &mut impl FnMut(&Schema) -> bool) -> bool {
        match &self.kind {
            Kind::Array(element) | Kind::Iterable(element) => element.any_schema(predicate),
            Kind::Map(key, value) => key.any_schema(predicate) || value.any_schema(predicate),
            Kind::Row(schema) => predicate(schema),
            Kind::Logical(logical) => logical
                .representation
                .as_ref()
                .is_some_and(|r| r.any_schema(predicate)),
            _ => false,
        }
    }

    pub(super) fn is_unstable(&self) -> bool {
        match &self.kind {
            Kind::Float | Kind::Double | Kind::Map(..) => true,
            Kind::Array(element) | Kind::Iterable(element) => element.is_unstable(),
            Kind::Row(schema) => schema.unstable_field().is_some(),
            Kind::Logical(logical) => logical
                .representation
                .as_ref()
                .is_some_and(FieldType::is_unstable),
            _ => false,
        }
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Byte => f.write_str("byte"),
            Kind::Int16 => f.write_str("int16"),
            Kind::Int32 => f.write_str("int32"),
            Kind::Int64 => f.write_str("int64"),
            Kind::Float => f.write_str("float"),
            Kind::Double => f.write_str("double"),
            Kind::String => f.write_str("string"),
            Kind::Boolean => f.write_str("boolean"),
            Kind::Bytes => f.write_str("bytes"),
            Kind::Array(element) => write!(f, "array<{element}>"),
            Kind::Iterable(element) => write!(f, "iterable<{element}>"),
            Kind::Map(key, value) => write!(f, "map<{key}, {value}>"),
            Kind::Row(schema) => write!(f, "{schema}"),
            Kind::Logical(logical) => f.write_str(&logical.urn),
        }?;
        f.write_str(if self.nullable { "?" } else { "" })
    }
}
