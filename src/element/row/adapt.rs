//! Rows of one schema as rows of another: matched by name, with the conversions that clients rely on.
//!
//! Clients publish and send what their language infers: fields in another order, all of them nullable, integers of
//! another width, maps where a row is wanted. What keeps its meaning is converted; everything else is an error that
//! names the field.

use std::sync::Arc;

use super::instant::Instant;
use super::logical::urn;
use super::read::name_field;
use super::{Decimal, DynRow, Field, FieldType, Kind, LogicalType, Schema, Value};
use crate::error::{Error, Result};

/// What a difference between two schemas means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// A configuration: only what is there counts. A null for a required field and a value for an unknown field are
    /// errors of the row.
    Config,
    /// The elements of a collection: every row must fit. A nullable field for a required one is an error of the
    /// schema; unknown fields are left out.
    Elements,
}

/// Turns rows of one schema into rows of another.
#[derive(Debug, Clone)]
pub struct RowAdapter {
    target: Arc<Schema>,
    /// For each target field: where it comes from, and how.
    sources: Vec<Option<(usize, Part)>>,
    /// Source fields that the target does not have, where they must be null.
    unknown: Vec<usize>,
}

/// How one value changes, and whether it may be null.
#[derive(Debug, Clone)]
struct Part {
    step: Step,
    nullable: bool,
}

#[derive(Debug, Clone)]
enum Step {
    /// The value as it is.
    Same,
    /// An integer to one of another width.
    Integer(Kind),
    /// A number to a floating one.
    Floating(Kind),
    /// A number or text to a decimal.
    Decimal,
    /// A point in time to one of another precision.
    Instant(Box<(LogicalType, LogicalType)>),
    List(Box<Part>),
    Map(Box<Part>, Box<Part>),
    Row(Box<RowAdapter>),
    /// A map from text to a row: the keys are names.
    MapToRow(Arc<Schema>, FieldType, Match),
    /// A row to a map from text: the names are keys.
    RowToMap(Vec<Part>),
    /// Whatever a value of Python's any type turns out to be.
    Any(FieldType, Match),
    /// Values of this type cannot be read; nulls can.
    Never(FieldType),
}

impl RowAdapter {
    /// How rows of `from` become rows of `to`. Names match exactly, or else in lower case without underscores.
    ///
    /// # Errors
    /// A required field that is missing, a type that does not fit, or two fields that match one name. The error names
    /// the field.
    pub fn between(from: &Schema, to: &Arc<Schema>, rule: Match) -> Result<Self> {
        let mut used = vec![false; from.fields().len()];
        let sources = to
            .fields()
            .iter()
            .map(|field| {
                let Some(index) = find(from, &field.name)? else {
                    return if field.field_type.nullable {
                        Ok(None)
                    } else {
                        Err(missing(field, from))
                    };
                };
                used[index] = true;
                let source = &from.fields()[index].field_type;
                let part = Part::between(source, &field.field_type, rule)
                    .map_err(|error| name_field(&error, &field.name))?;
                Ok(Some((index, part)))
            })
            .collect::<Result<_>>()?;
        let unknown = match rule {
            Match::Config => (0..used.len()).filter(|&i| !used[i]).collect(),
            Match::Elements => Vec::new(),
        };
        Ok(RowAdapter {
            target: to.clone(),
            sources,
            unknown,
        })
    }

    /// Turns one row into a row of the target schema.
    ///
    /// # Errors
    /// A value that does not fit: null for a required field, a number out of range. The error names the field.
    pub fn apply(&self, row: DynRow) -> Result<DynRow> {
        for &index in &self.unknown {
            if *row.value(index) != Value::Null {
                return Err(self.unknown_field(&row.schema().fields()[index].name));
            }
        }
        let mut values = row.into_leading_values();
        let adapted = self
            .target
            .fields()
            .iter()
            .zip(&self.sources)
            .map(|(field, source)| {
                let Some((index, part)) = source else {
                    return Ok(Value::Null);
                };
                let value = values
                    .get_mut(*index)
                    .map_or(Value::Null, |value| std::mem::replace(value, Value::Null));
                part.apply(value)
                    .map_err(|error| name_field(&error, &field.name))
            })
            .collect::<Result<_>>()?;
        DynRow::new(self.target.clone(), adapted)
    }

    #[cold]
    fn unknown_field(&self, name: &str) -> Error {
        let known: Vec<_> = self.target.fields().iter().map(|f| &*f.name).collect();
        Error::config(format!(
            "field `{name}` is unknown; the fields are {}",
            known.join(", ")
        ))
    }
}

/// The field of `schema` that is called `name`: exactly, or else as the only one in lower case without underscores.
fn find(schema: &Schema, name: &str) -> Result<Option<usize>> {
    if let Some(index) = schema.index_of(name) {
        return Ok(Some(index));
    }
    let wanted = canonical(name);
    let mut found = (0..schema.fields().len())
        .filter(|&index| canonical(&schema.fields()[index].name) == wanted);
    let first = found.next();
    match (first, found.next()) {
        (Some(first), Some(second)) => Err(Error::config(format!(
            "field `{name}` is ambiguous: `{}` and `{}` both match it",
            schema.fields()[first].name,
            schema.fields()[second].name
        ))),
        (first, _) => Ok(first),
    }
}

fn canonical(name: &str) -> String {
    name.chars()
        .filter(|c| *c != '_')
        .flat_map(char::to_lowercase)
        .collect()
}

#[cold]
fn missing(field: &Field, from: &Schema) -> Error {
    Error::config(format!(
        "field `{}` ({}) is required, but missing from {from}",
        field.name, field.field_type
    ))
}

impl Part {
    fn between(from: &FieldType, to: &FieldType, rule: Match) -> Result<Self> {
        if rule == Match::Elements && from.nullable && !to.nullable {
            return Err(Error::config(format!(
                "it is nullable ({from}), but {to} is required"
            )));
        }
        Ok(Part {
            step: Step::between(from, to, rule)?,
            nullable: to.nullable,
        })
    }

    fn apply(&self, value: Value) -> Result<Value> {
        match value {
            Value::Null if self.nullable => Ok(Value::Null),
            Value::Null => Err(Error::config("it is required, but null")),
            value => self.step.apply(value),
        }
    }
}

/// The type that the values are written as, unless they are special to us.
fn plain(mut field_type: &FieldType) -> &FieldType {
    while let Kind::Logical(logical) = &field_type.kind {
        match &logical.representation {
            Some(inner) if !is_special(logical) => field_type = inner,
            _ => break,
        }
    }
    field_type
}

fn is_special(logical: &LogicalType) -> bool {
    Instant::is_type(logical) || matches!(logical.urn.as_ref(), urn::DECIMAL | urn::PYTHON_ANY)
}

impl Step {
    fn between(from: &FieldType, to: &FieldType, rule: Match) -> Result<Self> {
        let (from, to) = (plain(from), plain(to));
        let integer =
            |kind: &Kind| matches!(kind, Kind::Byte | Kind::Int16 | Kind::Int32 | Kind::Int64);
        let number = |kind: &Kind| integer(kind) || matches!(kind, Kind::Float | Kind::Double);
        let part = |from: &FieldType, to: &FieldType| Part::between(from, to, rule).map(Box::new);
        Ok(match (&from.kind, &to.kind) {
            (Kind::Array(from) | Kind::Iterable(from), Kind::Array(to) | Kind::Iterable(to)) => {
                Step::List(part(from, to)?)
            }
            (Kind::Map(from_key, from_value), Kind::Map(to_key, to_value)) => {
                Step::Map(part(from_key, to_key)?, part(from_value, to_value)?)
            }
            (Kind::Row(from), Kind::Row(to)) => {
                Step::Row(Box::new(RowAdapter::between(from, to, rule)?))
            }
            (Kind::Map(key, value), Kind::Row(to)) if is_text(key) => {
                Step::MapToRow(to.clone(), FieldType::clone(value), rule)
            }
            (Kind::Row(from), Kind::Map(key, value)) if plain(key).kind == Kind::String => {
                let parts = from.fields().iter().map(|field| {
                    Part::between(&field.field_type, value, rule)
                        .map_err(|error| name_field(&error, &field.name))
                });
                Step::RowToMap(parts.collect::<Result<_>>()?)
            }
            (Kind::Logical(from), Kind::Logical(to))
                if Instant::is_type(from) && Instant::is_type(to) =>
            {
                Step::Instant(Box::new((LogicalType::clone(from), LogicalType::clone(to))))
            }
            (Kind::Logical(a), Kind::Logical(b)) if a.urn == b.urn => Step::Same,
            (Kind::Logical(any), _) if any.urn == urn::PYTHON_ANY => Step::Any(to.clone(), rule),
            (Kind::Logical(logical), _)
                if logical.representation.is_none() && rule == Match::Config =>
            {
                Step::Never(from.clone())
            }
            (kind, Kind::Logical(to))
                if to.urn == urn::DECIMAL && (integer(kind) || *kind == Kind::String) =>
            {
                Step::Decimal
            }
            (a, b) if a == b => Step::Same,
            (a, b) if integer(a) && integer(b) => Step::Integer(b.clone()),
            (a, Kind::Float | Kind::Double) if number(a) => Step::Floating(to.kind.clone()),
            _ => return Err(Error::config(format!("{from} does not fit {to}"))),
        })
    }

    fn apply(&self, value: Value) -> Result<Value> {
        match (self, value) {
            (Step::Same, value) => Ok(value),
            (Step::Integer(kind), value) => integer(kind, &value),
            (Step::Floating(kind), value) => floating(kind, &value),
            (Step::Decimal, Value::String(text)) => text.parse().map(Value::Decimal),
            (Step::Decimal, value) => {
                let n = as_integer(&value)?;
                Ok(Value::Decimal(Decimal::new(i128::from(n), 0)))
            }
            (Step::Instant(types), value) => Instant::read(&types.0, &value)?.write(&types.1),
            (Step::List(part), Value::List(values)) => {
                let values = values.into_iter().map(|value| part.apply(value));
                values.collect::<Result<_>>().map(Value::List)
            }
            (Step::Map(key, value), Value::Map(entries)) => {
                let entries = entries
                    .into_iter()
                    .map(|(k, v)| Ok((key.apply(k)?, value.apply(v)?)));
                entries.collect::<Result<_>>().map(Value::Map)
            }
            (Step::Row(adapter), Value::Row(row)) => adapter.apply(row).map(Value::Row),
            (Step::MapToRow(schema, value_type, rule), Value::Map(entries)) => {
                let row = map_to_row(entries, value_type)?;
                let adapter = RowAdapter::between(row.schema(), schema, *rule)?;
                adapter.apply(row).map(Value::Row)
            }
            (Step::RowToMap(parts), Value::Row(row)) => {
                let names = row.schema().clone();
                let named = names.fields().iter().zip(parts).enumerate();
                let entries = named.map(|(index, (field, part))| {
                    let value = part
                        .apply(row.value(index).clone())
                        .map_err(|error| name_field(&error, &field.name))?;
                    Ok((Value::String(field.name.to_string()), value))
                });
                entries.collect::<Result<_>>().map(Value::Map)
            }
            (Step::Any(to, rule), value) => {
                Step::between(&type_of_any(&value), to, *rule)?.apply(value)
            }
            (Step::Never(field_type), _) => Err(Error::config(format!(
                "values of {field_type} cannot be read here; leave it out, or give it a standard type"
            ))),
            (_, value) => Err(Error::config(format!(
                "a {} was not expected here",
                value.kind()
            ))),
        }
    }
}

/// Whether keys of this type may be names.
fn is_text(key: &FieldType) -> bool {
    match &plain(key).kind {
        Kind::String => true,
        Kind::Logical(logical) => logical.urn == urn::PYTHON_ANY,
        _ => false,
    }
}

fn map_to_row(entries: Vec<(Value, Value)>, value_type: &FieldType) -> Result<DynRow> {
    let mut fields = Vec::with_capacity(entries.len());
    let mut values = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let Value::String(name) = key else {
            return Err(Error::config(format!(
                "a {} cannot be the name of a field",
                key.kind()
            )));
        };
        fields.push(Field::new(name, value_type.clone()));
        values.push(value);
    }
    DynRow::new(Arc::new(Schema::new("", fields)?), values)
}

/// The type of a value that was read as Python's any type.
fn type_of_any(value: &Value) -> FieldType {
    let any = || FieldType::logical(urn::PYTHON_ANY, Kind::Bytes);
    match value {
        Value::Int64(_) => Kind::Int64.into(),
        Value::Double(_) => Kind::Double.into(),
        Value::Bytes(_) => Kind::Bytes.into(),
        Value::String(_) => Kind::String.into(),
        Value::Boolean(_) => Kind::Boolean.into(),
        Value::List(_) => FieldType::array(any()),
        Value::Map(_) => FieldType::map(any(), any()),
        _ => any(),
    }
}

fn as_integer(value: &Value) -> Result<i64> {
    match *value {
        Value::Byte(n) => Ok(n.into()),
        Value::Int16(n) => Ok(n.into()),
        Value::Int32(n) => Ok(n.into()),
        Value::Int64(n) => Ok(n),
        ref value => Err(Error::config(format!("a {} is no integer", value.kind()))),
    }
}

fn integer(kind: &Kind, value: &Value) -> Result<Value> {
    let n = as_integer(value)?;
    let out_of_range = |_| {
        Error::config(format!(
            "{n} does not fit {}",
            FieldType::from(kind.clone())
        ))
    };
    match kind {
        Kind::Byte => i8::try_from(n).map(Value::Byte),
        Kind::Int16 => i16::try_from(n).map(Value::Int16),
        Kind::Int32 => i32::try_from(n).map(Value::Int32),
        _ => Ok(Value::Int64(n)),
    }
    .map_err(out_of_range)
}

fn floating(kind: &Kind, value: &Value) -> Result<Value> {
    // A float is widened, and a double is rounded: configurations write 0.1 as a double.
    let wide = match *value {
        Value::Float(x) => f64::from(x),
        Value::Double(x) => x,
        ref value => as_integer(value)? as f64,
    };
    Ok(match kind {
        Kind::Float => Value::Float(wide as f32),
        _ => Value::Double(wide),
    })
}
