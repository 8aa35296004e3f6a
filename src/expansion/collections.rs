//! Inputs and outputs of transforms, under the names that other SDKs know them by.

use std::sync::Arc;

use super::response::OUTPUT;
use super::{Call, lint};
use crate::element::coder::{Coder, urn};
use crate::element::{Element, RAW_CODER, Raw, Schema, Transcoder};
use crate::error::{Error, Result};

use crate::pipeline::PCollection;

/// The name of a transform's only input.
const INPUT: &str = "input";

/// Coders that every SDK has.
const STANDARD: &[&str] = &[
    urn::BOOL,
    urn::BYTES,
    urn::DOUBLE,
    urn::GLOBAL_WINDOW,
    urn::INTERVAL_WINDOW,
    urn::ITERABLE,
    urn::KV,
    urn::LENGTH_PREFIX,
    urn::NULLABLE,
    urn::ROW,
    urn::STATE_BACKED_ITERABLE,
    urn::STRING_UTF8,
    urn::VARINT,
];

/// All inputs, or all outputs, of a [`SchemaTransform`](super::SchemaTransform): `()`, one [`Collection`], or a struct
/// of them with `#[derive(Collections)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a collection nor a struct of collections",
    label = "not collections",
    note = "use `()`, `PCollection<T>` or `Rows`, or derive `Collections` for a struct whose fields are these"
)]
pub trait Collections: Sized {
    /// What there is to say of each collection, in order.
    fn describe() -> Vec<Described>;

    /// Takes the inputs.
    ///
    /// # Errors
    /// One that is missing, or whose elements are of another type.
    fn take(inputs: &mut Inputs<'_>) -> Result<Self>;

    /// Hands over the outputs.
    fn give(self, outputs: &mut Outputs);
}

/// What a transform says of one input or output.
#[derive(Debug, Clone)]
pub struct Described {
    /// Its name; none, if it is all there is.
    pub name: Option<&'static str>,
    /// The coder of its elements, where the type tells it.
    pub coder: Option<Coder>,
}

impl Described {
    /// The collection `C` under a name.
    pub fn named<C: Collection>(name: &'static str) -> Self {
        Described {
            name: Some(name),
            coder: C::coder(),
        }
    }
}

/// The inputs of a request, to be taken one by one.
pub struct Inputs<'a> {
    call: &'a Call<'a>,
    taken: Vec<String>,
}

impl<'a> Inputs<'a> {
    pub(super) fn new(call: &'a Call<'a>) -> Self {
        Inputs {
            call,
            taken: Vec::new(),
        }
    }

    /// Takes the input `name`. If the transform has `only` this one, the client may call it as it likes.
    ///
    /// # Errors
    /// It is missing and not optional, or its elements are of another type.
    pub fn take<C: Collection>(&mut self, name: Option<&'static str>) -> Result<C> {
        let tags = self.call.tags();
        let tag = match (name, &tags[..]) {
            (Some(name), _) => tags.iter().find(|tag| **tag == name),
            (None, [tag]) => Some(tag),
            (None, _) => None,
        };
        let Some(tag) = tag else {
            return C::absent().ok_or_else(|| {
                let wanted = name.unwrap_or(INPUT);
                Error::config(format!(
                    "the input `{wanted}` is wanted, but the pipeline has {tags:?}"
                ))
            });
        };
        let input = self.call.raw_input(tag)?;
        self.taken.push((*tag).to_owned());
        C::of(tag, &input)
    }

    /// Refuses inputs that nobody took: whoever connected them expects that something comes of it.
    pub(super) fn check_all_taken(&self) -> Result<()> {
        let left: Vec<&str> = self
            .call
            .tags()
            .into_iter()
            .filter(|tag| !self.taken.iter().any(|taken| taken == tag))
            .collect();
        match left[..] {
            [] => Ok(()),
            _ => Err(Error::config(format!(
                "the transform has no use for the inputs {left:?}"
            ))),
        }
    }
}

/// The outputs of a transform, by tag.
#[derive(Default)]
pub struct Outputs {
    collections: Vec<(String, PCollection<Raw>)>,
}

impl Outputs {
    /// No outputs: those of a sink.
    pub fn none() -> Self {
        Self::default()
    }

    /// A single output.
    pub fn only<C: Collection>(collection: C) -> Self {
        Self::none().and(OUTPUT, collection)
    }

    /// One more output. A collection that is not there adds none.
    #[must_use]
    pub fn and<C: Collection>(mut self, tag: &str, collection: C) -> Self {
        self.give(tag, collection);
        self
    }

    /// Adds an output.
    pub fn give<C: Collection>(&mut self, tag: &str, collection: C) {
        if let Some(collection) = collection.into_raw() {
            self.collections.push((tag.to_owned(), collection));
        }
    }

    /// Tags and ids, when all have coders that clients can know.
    ///
    /// # Errors
    /// An output whose coder is known to Rust alone.
    pub(super) fn into_ids(self, call: &Call<'_>) -> Result<Vec<(String, String)>> {
        self.collections
            .into_iter()
            .map(|(tag, collection)| {
                check_output(&tag, &collection.coder()?, |urn| call.knows_coder(urn))?;
                Ok((tag, collection.id().to_owned()))
            })
            .collect()
    }
}

/// Refuses an output whose elements no client could read, or read under their names. `known` tells which coders the
/// client has beside the standard ones.
pub(super) fn check_output(
    tag: &str,
    coder: &Coder,
    known: impl Fn(&str) -> bool + Copy,
) -> Result<()> {
    if let Some(urn) = foreign(coder, known) {
        return Err(Error::config(format!(
            "the elements of the output `{tag}` have the coder {urn}, which no client knows; give them a standard one, \
             such as a row"
        )));
    }
    if coder.is(urn::ROW) {
        for field in Schema::of_coder(coder)?.fields() {
            lint::output_field(&field.name).map_err(|why| {
                let name = &field.name;
                Error::config(format!("field `{name}` of the output `{tag}` {why}"))
            })?;
        }
    }
    Ok(())
}

/// One input or output: `PCollection<T>`, [`Rows`], or an `Option` of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a collection",
    label = "not a collection",
    note = "use `PCollection<T>`, `Rows`, or an `Option` of them"
)]
pub trait Collection: Sized {
    /// The coder of its elements, where the type tells it.
    fn coder() -> Option<Coder>;

    /// Makes it of the input `name`.
    ///
    /// # Errors
    /// Elements of another type.
    fn of(name: &str, input: &PCollection<Raw>) -> Result<Self>;

    /// What it is where there is no such input, if there need not be one.
    fn absent() -> Option<Self> {
        None
    }

    /// The output, if it is there.
    fn into_raw(self) -> Option<PCollection<Raw>>;
}

impl<T: Element> Collection for PCollection<T> {
    fn coder() -> Option<Coder> {
        Some(T::coder()).filter(|coder| !coder.is(RAW_CODER))
    }

    fn of(name: &str, input: &PCollection<Raw>) -> Result<Self> {
        fit(name, input)
    }

    fn into_raw(self) -> Option<PCollection<Raw>> {
        Some(self.raw())
    }
}

impl<C: Collection> Collection for Option<C> {
    fn coder() -> Option<Coder> {
        C::coder()
    }

    fn of(name: &str, input: &PCollection<Raw>) -> Result<Self> {
        C::of(name, input).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn into_raw(self) -> Option<PCollection<Raw>> {
        self.and_then(C::into_raw)
    }
}

/// Without inputs, or without outputs.
impl Collections for () {
    fn describe() -> Vec<Described> {
        Vec::new()
    }

    fn take(_inputs: &mut Inputs<'_>) -> Result<Self> {
        Ok(())
    }

    fn give(self, _outputs: &mut Outputs) {}
}

/// One collection is all there is.
impl<C: Collection> Collections for C {
    fn describe() -> Vec<Described> {
        vec![Described {
            name: None,
            coder: C::coder(),
        }]
    }

    fn take(inputs: &mut Inputs<'_>) -> Result<Self> {
        inputs.take(None)
    }

    fn give(self, outputs: &mut Outputs) {
        outputs.give(OUTPUT, self);
    }
}

/// Rows of a schema that only the pipeline knows.
///
/// Functions over them take and emit [`Raw`] values, and have the schema in their configuration.
#[derive(Clone)]
pub struct Rows {
    collection: PCollection<Raw>,
    schema: Arc<Schema>,
}

impl Rows {
    /// The encoded rows.
    pub fn raw(&self) -> &PCollection<Raw> {
        &self.collection
    }

    /// The names and types of their fields.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }
}

impl Collection for Rows {
    fn coder() -> Option<Coder> {
        None
    }

    fn of(name: &str, input: &PCollection<Raw>) -> Result<Self> {
        let coder = input.coder()?;
        if !coder.is(urn::ROW) {
            return Err(Error::config(format!(
                "the elements of the input `{name}` must be rows, but they are encoded as {coder}; {}",
                remedy(&coder, "make rows of them (in Python: beam.Select)")
            )));
        }
        Ok(Rows {
            collection: input.clone(),
            schema: Arc::new(Schema::of_coder(&coder)?),
        })
    }

    fn into_raw(self) -> Option<PCollection<Raw>> {
        Some(self.collection)
    }
}

/// The input as elements of type `T`.
fn fit<T: Element>(name: &str, input: &PCollection<Raw>) -> Result<PCollection<T>> {
    let (coder, wanted) = (input.coder()?, T::coder());
    if let Err(why) = Transcoder::check(&coder, &wanted) {
        return Err(Error::config(format!(
            "the elements of the input `{name}` are not what this transform takes: {}; {}",
            why.message(),
            remedy(&coder, "convert them before it")
        )));
    }
    input.typed()
}

/// What to do about elements of the wrong type: if the client has a coder of its own, it was not told the type.
fn remedy(coder: &Coder, otherwise: &'static str) -> String {
    match foreign(coder, |_| false) {
        None => otherwise.into(),
        Some(urn) => format!(
            "{urn} is a coder that only the caller's SDK knows; declare the type of the elements there (in Python: \
             .with_output_types for plain values, beam.Row or beam.Select for rows)"
        ),
    }
}

/// The URN of a part that is neither standard nor known.
fn foreign(coder: &Coder, known: impl Fn(&str) -> bool + Copy) -> Option<&str> {
    let own =
        (!STANDARD.contains(&coder.urn.as_ref()) && !known(&coder.urn)).then_some(&*coder.urn);
    own.or_else(|| {
        coder
            .components
            .iter()
            .find_map(|part| foreign(part, known))
    })
}
