//! Schemas: the names and types of a row's fields, and how its bytes are laid out.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use super::{FieldType, Kind};
use crate::element::coder::{Coder, urn};
use crate::error::{Error, Result};

/// The schema option whose rows have neither a field count nor a null bitmap.
pub(super) const STATIC_ENCODING: &str = "beam:option:row:static_encoding";

/// The names and types of a row's fields.
///
/// A `Schema` has been checked: its encoding positions are distinct, and every value of it has at least one byte, so
/// that the bytes at hand bound the number of values.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    id: String,
    fields: Vec<Field>,
    /// Declared indices in the order of encoding; absent where that is the declared order.
    order: Option<Vec<usize>>,
    /// How many values a row must have so that no field is missing that must not be null.
    required: usize,
    static_encoding: bool,
    null_bits: NullBits,
}

/// One field of a [`Schema`].
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name, unique within the schema.
    pub name: Cow<'static, str>,
    /// What it means, for people.
    pub description: Cow<'static, str>,
    /// The type of its values.
    pub field_type: FieldType,
}

/// Which bit of the null bitmap belongs to a field, where encoding positions differ from the declared order.
///
/// Java's rows and Python's rows disagree here, and nothing in the bytes tells which SDK wrote them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum NullBits {
    /// Bits are numbered as values are encoded: Java since 2.60.
    #[default]
    EncodingPosition,
    /// Bits are numbered as fields are declared: Python, TypeScript.
    DeclaredIndex,
}

impl Schema {
    /// A schema whose values are encoded in the declared order.
    ///
    /// # Errors
    /// A field name that occurs twice.
    pub fn new(id: impl Into<String>, fields: Vec<Field>) -> Result<Self> {
        let id = id.into();
        let mut names = HashSet::with_capacity(fields.len());
        for field in &fields {
            if !names.insert(field.name.as_ref()) {
                return Err(Error::descriptor(format!(
                    "schema {id} has two fields called `{}`",
                    field.name
                )));
            }
        }
        let nullable = |field: &Field| field.field_type.nullable;
        let required = fields
            .iter()
            .rposition(|f| !nullable(f))
            .map_or(0, |i| i + 1);
        Ok(Schema {
            id,
            fields,
            order: None,
            required,
            static_encoding: false,
            null_bits: NullBits::default(),
        })
    }

    /// A schema whose id is derived from its content: programs that are built twice publish the same id.
    ///
    /// # Errors
    /// As [`Schema::new`].
    pub fn with_content_id(fields: Vec<Field>) -> Result<Self> {
        /// Namespace of the ids; any fixed number would do.
        const NAMESPACE: Uuid = Uuid::from_u128(0x6f2d_9d5c_4e1b_5b9e_8a53_0c7b_51f4_22d7);
        let mut schema = Schema::new("", fields)?;
        schema.id = Uuid::new_v5(&NAMESPACE, &schema.to_proto()).to_string();
        Ok(schema)
    }

    /// Encodes the values in the order of `positions`, one for each field.
    ///
    /// # Errors
    /// Fields that share a position, or a number of positions that differs from that of the fields.
    pub fn with_encoding_positions(mut self, positions: &[i32]) -> Result<Self> {
        if positions.len() != self.fields.len() {
            return Err(Error::descriptor(format!(
                "schema {} has {} fields but {} encoding positions",
                self.id,
                self.fields.len(),
                positions.len()
            )));
        }
        let mut order: Vec<usize> = (0..positions.len()).collect();
        order.sort_by_key(|&i| positions[i]);
        for pair in order.windows(2) {
            if positions[pair[0]] == positions[pair[1]] {
                return Err(Error::descriptor(format!(
                    "fields `{}` and `{}` of schema {} share the encoding position {}; give each field its own",
                    self.fields[pair[0]].name,
                    self.fields[pair[1]].name,
                    self.id,
                    positions[pair[0]]
                )));
            }
        }
        let nullable = |&i: &usize| self.fields[i].field_type.nullable;
        self.required = order
            .iter()
            .rposition(|i| !nullable(i))
            .map_or(0, |rank| rank + 1);
        self.order = (!order.is_sorted()).then_some(order);
        Ok(self)
    }

    /// Leaves out the field count and the null bitmap (option `beam:option:row:static_encoding`).
    ///
    /// # Errors
    /// A nullable field, or no field at all.
    pub fn with_static_encoding(mut self) -> Result<Self> {
        if let Some(field) = self.fields.iter().find(|f| f.field_type.nullable) {
            return Err(Error::descriptor(format!(
                "field `{}` of schema {} is nullable, which {STATIC_ENCODING} has no room for; drop one of them",
                field.name, self.id
            )));
        }
        if self.fields.is_empty() {
            return Err(Error::descriptor(format!(
                "schema {} has no field and {STATIC_ENCODING}, so its rows have no bytes; give it a field",
                self.id
            )));
        }
        self.static_encoding = true;
        Ok(self)
    }

    /// Chooses how null bits are numbered, here and in the rows within.
    #[must_use]
    pub fn with_null_bits(mut self, null_bits: NullBits) -> Self {
        fn renumber(field_type: &mut FieldType, null_bits: NullBits) {
            match &mut field_type.kind {
                Kind::Array(element) | Kind::Iterable(element) => renumber(element, null_bits),
                Kind::Map(key, value) => {
                    renumber(key, null_bits);
                    renumber(value, null_bits);
                }
                Kind::Row(schema) => {
                    *schema = Arc::new(Schema::clone(schema).with_null_bits(null_bits));
                }
                Kind::Logical(logical) => {
                    if let Some(representation) = &mut logical.representation {
                        renumber(representation, null_bits);
                    }
                }
                _ => {}
            }
        }
        self.null_bits = null_bits;
        for field in &mut self.fields {
            renumber(&mut field.field_type, null_bits);
        }
        self
    }

    /// The id that its author gave it. Ids are not unique: never look a schema up by it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The fields as declared.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The declared index of the field called exactly `name`.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|f| f.name == name)
    }

    /// Whether rows have neither a field count nor a null bitmap.
    pub fn has_static_encoding(&self) -> bool {
        self.static_encoding
    }

    /// Whether values are encoded in another order than the declared one.
    pub fn is_permuted(&self) -> bool {
        self.order.is_some()
    }

    /// Whether [`NullBits`] matters, here or in the rows within: worth a line in the log.
    pub fn null_bits_matter(&self) -> bool {
        let own = self.is_permuted() && self.fields.iter().any(|f| f.field_type.nullable);
        own || self
            .fields
            .iter()
            .any(|f| f.field_type.any_schema(&mut Schema::null_bits_matter))
    }

    /// How null bits are numbered.
    pub fn null_bits(&self) -> NullBits {
        self.null_bits
    }

    /// By which rule null bits are read and written, in words.
    pub(crate) fn null_bits_in_words(&self) -> String {
        let rule = match self.null_bits {
            NullBits::EncodingPosition => "as Java does; Python numbers by declared index",
            NullBits::DeclaredIndex => "as Python does; Java numbers by encoding position",
        };
        format!(
            "schema {} permutes its encoding positions, and null bits are read {rule}",
            self.id
        )
    }

    /// A schema of rows within the values of `coder` that fulfils `is_wanted`.
    pub(crate) fn find_in(coder: &Coder, is_wanted: fn(&Schema) -> bool) -> Option<Self> {
        let own = coder
            .is(urn::ROW)
            .then(|| Schema::from_proto(&coder.payload));
        own.and_then(Result::ok).filter(is_wanted).or_else(|| {
            let mut parts = coder.components.iter();
            parts.find_map(|part| Schema::find_in(part, is_wanted))
        })
    }

    /// The name of a field whose equal values may differ in their bytes (floats, maps), so that rows with it make
    /// unreliable keys.
    pub fn unstable_field(&self) -> Option<&str> {
        self.fields
            .iter()
            .find(|f| f.field_type.is_unstable())
            .map(|f| f.name.as_ref())
    }

    /// Whether rows of both have the same field names and types in the same order, and so the same bytes.
    pub fn same_rows(&self, other: &Schema) -> bool {
        let same = |(a, b): (&Field, &Field)| a.name == b.name && a.field_type.same(&b.field_type);
        self.fields.len() == other.fields.len()
            && self.order == other.order
            && self.static_encoding == other.static_encoding
            && self.null_bits == other.null_bits
            && self.fields.iter().zip(&other.fields).all(same)
    }

    /// The schema of a row coder.
    ///
    /// # Errors
    /// Another coder, or a payload that breaks the rules of schemas.
    pub fn of_coder(coder: &Coder) -> Result<Self> {
        if !coder.is(urn::ROW) {
            return Err(Error::descriptor(format!(
                "{coder} is not a row coder and has no schema"
            )));
        }
        Schema::from_proto(&coder.payload)
    }

    /// The coder of its rows.
    pub fn coder(&self) -> Coder {
        Coder::foreign(urn::ROW, self.to_proto())
    }

    /// The declared index of the field that is encoded at `rank`.
    #[inline]
    pub(super) fn encoded_at(&self, rank: usize) -> usize {
        self.order.as_ref().map_or(rank, |order| order[rank])
    }

    /// How many values a row must have at least.
    #[inline]
    pub(super) fn required(&self) -> usize {
        self.required
    }

    /// The null bit of the field that is declared at `index` and encoded at `rank`.
    #[inline]
    pub(super) fn null_bit(&self, index: usize, rank: usize) -> usize {
        match self.null_bits {
            NullBits::EncodingPosition => rank,
            NullBits::DeclaredIndex => index,
        }
    }
}

impl fmt::Display for Schema {
    /// Short form for errors: `row<name: string, count: int64?>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("row<")?;
        for (i, field) in self.fields.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{}: {}", field.name, field.field_type)?;
        }
        f.write_str(">")
    }
}

impl Field {
    /// A field without description.
    pub fn new(name: impl Into<Cow<'static, str>>, field_type: impl Into<FieldType>) -> Self {
        Field {
            name: name.into(),
            description: Cow::Borrowed(""),
            field_type: field_type.into(),
        }
    }

    /// Says what it means.
    #[must_use]
    pub fn described(mut self, description: impl Into<Cow<'static, str>>) -> Self {
        self.description = description.into();
        self
    }
}
