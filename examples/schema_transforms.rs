//! Transforms that Python, Java, Go and YAML find by name and configure with rows.
//!
//! ```sh
//! cargo run --example schema_transforms -- 8097
//! ```
//!
//! ```python
//! from apache_beam.transforms.external_transform_provider import ExternalTransformProvider
//! rust = ExternalTransformProvider("localhost:8097")
//! rows | rust.Scale(field="price", factor=1.1)
//! ```

use std::process::ExitCode;
use std::sync::Arc;

use ferrobeam::cli::{self, App};
use ferrobeam::element::row::{Field, FieldType, Kind, Value};
use ferrobeam::element::{Input, Nesting, Raw};
use ferrobeam::exec::Registry;
use ferrobeam::expansion::{Call, Catalogue, Collections, Rows, SchemaTransform};
use ferrobeam::pipeline::PCollection;
use ferrobeam::prelude::*;
use ferrobeam::{DynRow, Row, Schema};
use serde::{Deserialize, Serialize};

fn main() -> ExitCode {
    cli::run(App::new().functions(functions).transforms(transforms))
}

fn functions(registry: &mut Registry) {
    registry.add::<SplitItems>().add::<EditRows>();
}

fn transforms(catalogue: &mut Catalogue) {
    catalogue
        .add::<Split>()
        .add::<Scale>()
        .add::<Rename>()
        .add::<Repeat>()
        .add::<Options>();
}

// Rows of a known shape: a struct. Clients' rows may have more fields, in another order.

#[derive(Clone, Row)]
struct Item {
    id: String,
    count: i64,
    index: i64,
}

/// Splits items by their count.
#[derive(Clone, Row)]
struct Split {
    /// Items with a count of this or more are large.
    limit: i64,
}

/// Several outputs have names.
#[derive(Collections)]
struct BySize {
    small: PCollection<Item>,
    large: PCollection<Item>,
}

impl SchemaTransform for Split {
    const IDENTIFIER: &'static str = "beam:schematransform:org.apache.beam:split:v1";
    const DESCRIPTION: &'static str = "Splits items by their count.";
    type Input = PCollection<Item>;
    type Output = BySize;

    fn expand(self, items: PCollection<Item>, _call: &Call<'_>) -> Result<BySize> {
        let SplitItemsIoOutputs { small, large } =
            items.par_do("Split", SplitItems { limit: self.limit });
        Ok(BySize { small, large })
    }
}

#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "example.SplitItems/v1")]
struct SplitItems {
    limit: i64,
}

#[derive(Ports)]
struct SplitItemsIo {
    small: Out<Item>,
    large: Out<Item>,
}

impl DoFn for SplitItems {
    type In = Item;
    type Io = SplitItemsIo;

    fn process(&mut self, item: Item, cx: &mut Cx<'_>, io: &mut SplitItemsIo) -> Result {
        let size = if item.count < self.limit {
            &mut io.small
        } else {
            &mut io.large
        };
        size.emit(cx, item);
        Ok(())
    }
}

// Rows of any shape: the schema is known when the transform is expanded, and travels in the function's configuration.

/// Multiplies one numeric field of rows of any schema.
#[derive(Clone, Row)]
struct Scale {
    /// The field to multiply.
    field: String,
    /// What to multiply it by.
    factor: f64,
}

impl SchemaTransform for Scale {
    const IDENTIFIER: &'static str = "beam:schematransform:org.apache.beam:scale:v1";
    const DESCRIPTION: &'static str = "Multiplies a numeric field of rows of any schema. The field becomes a double; nulls stay nulls.";
    type Input = Rows;
    type Output = PCollection<Raw>;

    fn expand(self, rows: Rows, _call: &Call<'_>) -> Result<PCollection<Raw>> {
        let (index, mut fields) = field(&rows, &self.field)?;
        let old = &fields[index].field_type;
        let mut new = FieldType::from(Kind::Double);
        new.nullable = old.nullable;
        match old.kind {
            Kind::String
            | Kind::Bytes
            | Kind::Boolean
            | Kind::Array(_)
            | Kind::Map(..)
            | Kind::Row(_) => {
                return Err(Error::config(format!(
                    "field `{}` is of the type {old}, and only numbers can be scaled",
                    self.field
                )));
            }
            _ => fields[index].field_type = new,
        }
        edit(
            &rows,
            fields,
            Edit::Scale {
                index,
                factor: self.factor,
            },
        )
    }
}

/// Renames one field of rows of any schema.
#[derive(Clone, Row)]
struct Rename {
    /// The field to rename.
    from_: String,
    /// Its new name.
    to: String,
}

impl SchemaTransform for Rename {
    const IDENTIFIER: &'static str = "beam:schematransform:org.apache.beam:rename:v1";
    const DESCRIPTION: &'static str = "Renames a field of rows of any schema.";
    type Input = Rows;
    type Output = PCollection<Raw>;

    fn expand(self, rows: Rows, _call: &Call<'_>) -> Result<PCollection<Raw>> {
        let (index, mut fields) = field(&rows, &self.from_)?;
        fields[index].name = self.to.into();
        edit(&rows, fields, Edit::Keep)
    }
}

/// The fields of rows, and which of them has a name.
fn field(rows: &Rows, name: &str) -> Result<(usize, Vec<Field>)> {
    let schema = rows.schema();
    let index = schema.index_of(name).ok_or_else(|| {
        Error::config(format!(
            "the input has no field `{name}`; its rows are {schema}"
        ))
    })?;
    Ok((index, schema.fields().to_vec()))
}

/// Places the function that makes rows with `fields` of other rows.
fn edit(rows: &Rows, fields: Vec<Field>, edit: Edit) -> Result<PCollection<Raw>> {
    let to = Arc::new(Schema::with_content_id(fields)?);
    let coder = to.coder();
    let function = EditRows {
        from: rows.schema().clone(),
        to,
        edit,
    };
    Ok(rows.raw().par_do_coded("Edit", function, &coder))
}

#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "example.EditRows/v1")]
struct EditRows {
    from: Arc<Schema>,
    to: Arc<Schema>,
    edit: Edit,
}

#[derive(Serialize, Deserialize)]
enum Edit {
    Keep,
    Scale { index: usize, factor: f64 },
}

impl DoFn for EditRows {
    type In = Raw;
    type Io = Out<Raw>;

    fn process(&mut self, raw: Raw, cx: &mut Cx<'_>, out: &mut Out<Raw>) -> Result {
        let row = DynRow::decode(&self.from, &mut Input::new(&raw.0), Nesting::Nested)?;
        let mut values: Vec<Value> = row.iter().map(|(_, value)| value.clone()).collect();
        if let Edit::Scale { index, factor } = self.edit {
            values[index] = scaled(&values[index], factor)?;
        }
        let mut bytes = Vec::new();
        DynRow::new(self.to.clone(), values)?.encode(&mut bytes)?;
        out.emit(cx, Raw(bytes.into()));
        Ok(())
    }
}

fn scaled(value: &Value, factor: f64) -> Result<Value> {
    let number = match *value {
        Value::Null => return Ok(Value::Null),
        Value::Byte(n) => f64::from(n),
        Value::Int16(n) => f64::from(n),
        Value::Int32(n) => f64::from(n),
        Value::Int64(n) => n as f64,
        Value::Float(x) => f64::from(x),
        Value::Double(x) => x,
        ref other => {
            return Err(Error::user(format!(
                "{other} is no number that could be scaled"
            )));
        }
    };
    Ok(Value::Double(number * factor))
}

// Sources have no inputs.

#[derive(Clone, Row)]
struct Text {
    text: String,
}

/// Yields a text several times.
#[derive(Clone, Row)]
struct Repeat {
    /// The text.
    data: String,
    /// How often.
    #[beam(default = 1)]
    times: i64,
}

impl SchemaTransform for Repeat {
    const IDENTIFIER: &'static str = "beam:schematransform:org.apache.beam:repeat:v1";
    const DESCRIPTION: &'static str = "Yields a text several times.";
    type Input = ();
    type Output = PCollection<Text>;

    fn expand(self, (): (), call: &Call<'_>) -> Result<PCollection<Text>> {
        if !(0..=1000).contains(&self.times) {
            return Err(Error::config(format!(
                "`times` is {}, and not within 0 to 1000",
                self.times
            )));
        }
        let texts = (0..self.times).map(|_| Text {
            text: self.data.clone(),
        });
        Ok(call.pipeline().create("Texts", texts))
    }
}

#[derive(Clone, Row)]
struct Option_ {
    name: String,
    values: Vec<String>,
}

/// Yields the options of the pipeline that it is in.
#[derive(Clone, Row)]
struct Options {
    /// The options to look at.
    names: Vec<String>,
}

impl SchemaTransform for Options {
    const IDENTIFIER: &'static str = "beam:schematransform:org.apache.beam:options:v1";
    const DESCRIPTION: &'static str = "Yields the options of the pipeline that it is in.";
    type Input = ();
    type Output = PCollection<Option_>;

    fn expand(self, (): (), call: &Call<'_>) -> Result<PCollection<Option_>> {
        let options = self.names.into_iter().map(|name| Option_ {
            values: call.options().list(&name),
            name,
        });
        Ok(call.pipeline().create("Options", options))
    }
}
