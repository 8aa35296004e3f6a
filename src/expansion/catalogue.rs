//! What a service offers.

use std::collections::BTreeMap;
use std::sync::Arc;

use beam_proto::expansion::{ExpansionRequest, ExpansionResponse};
use beam_proto::pipeline::Environment;

use super::collections::{Described, Inputs, check_output};
use super::discover::Listing;
use super::request::{Request, Wanted};
use super::response::{self, Built, OUTPUT};
use super::{Call, Collections, Outputs, lint, suggest};
use crate::element::row::{FieldType, Kind};
use crate::element::{Row, Schema};
use crate::error::{Context, Error, ErrorKind, Result};

/// A transform that other SDKs find by its identifier and configure with a row.
///
/// ```
/// use ferrobeam::expansion::{Call, Catalogue, SchemaTransform};
/// use ferrobeam::pipeline::PCollection;
/// use ferrobeam::prelude::*;
/// use ferrobeam::{Result, Row};
///
/// #[derive(Clone, Row)]
/// struct Line {
///     line: String,
/// }
///
/// #[derive(Clone, Row)]
/// struct Shout {
///     /// What ends each line.
///     #[beam(default = "!".to_owned())]
///     mark: String,
/// }
///
/// #[derive(serde::Serialize, serde::Deserialize, DoFn)]
/// #[beam(name = "docs.Shouted/v1")]
/// struct Shouted {
///     mark: String,
/// }
///
/// impl DoFn for Shouted {
///     type In = Line;
///     type Io = Out<Line>;
///
///     fn process(&mut self, line: Line, cx: &mut Cx, out: &mut Out<Line>) -> Result {
///         let line = line.line.to_uppercase() + &self.mark;
///         out.emit(cx, Line { line });
///         Ok(())
///     }
/// }
///
/// impl SchemaTransform for Shout {
///     const IDENTIFIER: &'static str = "beam:schematransform:org.apache.beam:shout:v1";
///     const DESCRIPTION: &'static str = "Writes lines in upper case.";
///     type Input = PCollection<Line>;
///     type Output = PCollection<Line>;
///
///     fn expand(self, lines: Self::Input, _call: &Call<'_>) -> Result<Self::Output> {
///         Ok(lines.par_do("Shout", Shouted { mark: self.mark }))
///     }
/// }
///
/// let mut catalogue = Catalogue::new();
/// catalogue.add::<Shout>();
/// catalogue.check()?;
/// # Ok::<(), ferrobeam::Error>(())
/// ```
pub trait SchemaTransform: Row {
    /// `beam:schematransform:org.apache.beam:<name>:v<number>`. Python's and YAML's providers find only identifiers of
    /// this organisation by themselves.
    const IDENTIFIER: &'static str;
    /// What it does, in Markdown: the documentation in all clients.
    const DESCRIPTION: &'static str;
    /// What it takes: `()`, `PCollection<T>`, `Rows`, or a struct of them with `#[derive(Collections)]`.
    type Input: Collections;
    /// What it yields.
    type Output: Collections;

    /// Builds the transform that this configuration describes.
    ///
    /// # Errors
    /// A configuration or inputs that make no sense together. The error is shown to the pipeline's author.
    fn expand(self, input: Self::Input, call: &Call<'_>) -> Result<Self::Output>;
}

type Expand = Box<dyn Fn(&Call<'_>) -> Result<Outputs> + Send + Sync>;

/// The transforms that a binary offers to other SDKs.
///
/// A library exports `pub fn transforms(catalogue: &mut Catalogue)`, and a binary calls those of the libraries that it
/// offers.
#[derive(Default)]
pub struct Catalogue {
    schema: BTreeMap<&'static str, Expand>,
    plain: BTreeMap<&'static str, Expand>,
    listings: BTreeMap<&'static str, Listing>,
    mistakes: Vec<Error>,
}

impl Catalogue {
    /// An empty catalogue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a schema transform.
    pub fn add<T: SchemaTransform>(&mut self) -> &mut Self {
        let identifier = T::IDENTIFIER;
        let (inputs, outputs) = (T::Input::describe(), T::Output::describe());
        if let Err(mistake) = check_schema_transform(identifier, T::schema(), &inputs, &outputs) {
            self.mistakes.push(mistake.at("transform", identifier));
        }
        let listing = Listing {
            identifier,
            description: T::DESCRIPTION,
            config: Arc::clone(T::schema()),
            inputs: names(&inputs, "input"),
            outputs: names(&outputs, OUTPUT),
        };
        self.listings.insert(identifier, listing);
        let expand = |call: &Call<'_>| {
            let config: T = call.config()?;
            let mut inputs = Inputs::new(call);
            let input = T::Input::take(&mut inputs)?;
            inputs.check_all_taken()?;
            let mut outputs = Outputs::none();
            config.expand(input, call)?.give(&mut outputs);
            Ok(outputs)
        };
        if self.schema.insert(identifier, Box::new(expand)).is_some() {
            self.mistakes.push(twice(identifier));
        }
        self
    }

    /// Adds a transform of a URN of your own. Its payload means what you say; it may be an
    /// `ExternalConfigurationPayload`, which [`Call::config`] reads.
    ///
    /// It is for transforms whose inputs are of any type and number. Other SDKs cannot discover it.
    pub fn add_urn(
        &mut self,
        urn: &'static str,
        expand: impl Fn(&Call<'_>) -> Result<Outputs> + Send + Sync + 'static,
    ) -> &mut Self {
        if self.plain.insert(urn, Box::new(expand)).is_some() {
            self.mistakes.push(twice(urn));
        }
        self
    }

    /// Refuses what some client could not use.
    ///
    /// # Errors
    /// The first mistake; the error names the transform and what is wrong with it.
    pub fn check(&self) -> Result<()> {
        if let Some(mistake) = self.mistakes.first() {
            return Err(Error::config(mistake.to_string()));
        }
        if let Some((part, whole)) = lint::ambiguous(self.schema.keys().copied()) {
            return Err(Error::config(format!(
                "transform {part:?} has an identifier that is part of {whole:?}, so that Python would take one for the \
                 other; rename one of them"
            )));
        }
        Ok(())
    }

    /// The identifiers and URNs of all transforms.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.schema.keys().chain(self.plain.keys()).copied()
    }

    /// The schema transforms, by identifier.
    pub fn listings(&self) -> impl Iterator<Item = &Listing> {
        self.listings.values()
    }

    /// Expands a request; functions run in `environment`.
    ///
    /// # Errors
    /// A request that names no transform of this catalogue or does not fit it, or what the transform itself refuses.
    pub fn expand(
        &self,
        request: ExpansionRequest,
        environment: &Environment,
    ) -> Result<ExpansionResponse> {
        let request = Request::parse(request)?;
        let expand = self.find(&request.wanted)?;
        self.build(&request, expand, environment)
            .at("transform", request.wanted.name())
    }

    fn build(
        &self,
        request: &Request,
        expand: &Expand,
        environment: &Environment,
    ) -> Result<ExpansionResponse> {
        let call = Call::new(request);
        let outputs = expand(&call)?;
        // What could not be placed explains why an output is odd, so it comes first.
        call.pipeline().check()?;
        let outputs = outputs.into_ids(&call)?;
        let built = call.pipeline().build(environment)?;
        let built = Built {
            components: built.components,
            parts: built.roots,
            outputs,
            requirements: built.requirements,
            environment: built.environment,
            config: call.into_config(),
        };
        response::compose(request, built)
    }

    fn find(&self, wanted: &Wanted) -> Result<&Expand> {
        let name = wanted.name();
        let found = match wanted {
            Wanted::Schema { .. } => self.schema.get(name),
            // Clients without schema transforms ask for their identifiers as URNs.
            Wanted::Urn { .. } => self.plain.get(name).or_else(|| self.schema.get(name)),
        };
        found.ok_or_else(|| match wanted {
            Wanted::Schema { .. } => {
                let known = self.schema.keys().copied();
                Error::config(suggest::unknown("schema transform", name, known))
            }
            Wanted::Urn { .. } => Error::config(suggest::unknown("transform", name, self.names())),
        })
    }
}

fn twice(name: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("two transforms are called {name:?}; rename one, or raise its version"),
    )
}

fn names(described: &[Described], alone: &'static str) -> Vec<&'static str> {
    let names = described.iter().map(|one| one.name.unwrap_or(alone));
    names.collect()
}

fn check_schema_transform(
    identifier: &'static str,
    config: &Schema,
    inputs: &[Described],
    outputs: &[Described],
) -> Result<()> {
    let mistake = |what: &str, why: String| Error::config(format!("{what} {why}"));
    lint::identifier(identifier).map_err(|why| mistake("its identifier", why))?;
    check_fields(config, lint::config_field)?;
    for (kind, all) in [("input", inputs), ("output", outputs)] {
        let tags = names(all, kind);
        for tag in &tags {
            lint::tag(tag).map_err(|why| mistake(&format!("its {kind} `{tag}`"), why))?;
        }
        if let Some(tag) = lint::duplicate(tags) {
            return Err(mistake(
                &format!("its {kind} `{tag}`"),
                "is there twice".into(),
            ));
        }
    }
    for (tag, output) in names(outputs, OUTPUT).into_iter().zip(outputs) {
        if let Some(coder) = &output.coder {
            check_output(tag, coder, |_| false)?;
        }
    }
    Ok(())
}

fn check_fields(config: &Schema, rule: fn(&str) -> Result<(), String>) -> Result<()> {
    for field in config.fields() {
        let name = &field.name;
        rule(name).map_err(|why| Error::config(format!("config field `{name}` {why}")))?;
        check_rows_within(&field.field_type)?;
    }
    Ok(())
}

/// Clients pass rows in a configuration as mappings, by the names of their fields.
fn check_rows_within(field_type: &FieldType) -> Result<()> {
    match &field_type.kind {
        Kind::Row(schema) => check_fields(schema, lint::nested_field),
        Kind::Array(element) | Kind::Iterable(element) => check_rows_within(element),
        Kind::Map(key, value) => {
            check_rows_within(key)?;
            check_rows_within(value)
        }
        _ => Ok(()),
    }
}
