//! A few transforms to ask for.

use beam_proto::expansion::{ExpansionRequest, ExpansionResponse};
use beam_proto::pipeline::{Components, Environment, PTransform};
use ferrobeam::element::Raw;
use ferrobeam::expansion::{Call, Catalogue, Collections, Outputs, SchemaTransform, expand};
use ferrobeam::pipeline::{EnvironmentSpec, PCollection};
use ferrobeam::prelude::*;
use ferrobeam::{Result, Row};
use serde::{Deserialize, Serialize};

/// Puts a text in front of each element.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "test.Prefix/v1")]
pub(crate) struct Prefix {
    text: String,
}

impl DoFn for Prefix {
    type In = String;
    type Io = Out<String>;

    fn process(&mut self, element: String, cx: &mut Cx<'_>, out: &mut Out<String>) -> Result {
        out.emit(cx, format!("{}{element}", self.text));
        Ok(())
    }
}

#[derive(Clone, Row)]
struct Data {
    data: String,
}

#[derive(Clone, Row)]
pub(crate) struct Named {
    name: String,
    n: Option<i64>,
}

/// Says what it was configured with by refusing to be expanded.
#[derive(Clone, Debug, Row)]
pub(crate) struct Tell {
    data: String,
    times: Option<i64>,
}

impl SchemaTransform for Tell {
    const IDENTIFIER: &'static str = "beam:schematransform:org.apache.beam:tell:v1";
    const DESCRIPTION: &'static str = "Says what it was configured with.";
    type Input = ();
    type Output = ();

    fn expand(self, (): (), _call: &Call<'_>) -> Result<()> {
        Err(Error::config(format!("{:?} {:?}", self.data, self.times)))
    }
}

#[derive(Clone, Debug, Row)]
pub(crate) struct Rename {
    /// The field to rename.
    from_: String,
    /// Its new name.
    to: String,
}

impl SchemaTransform for Rename {
    const IDENTIFIER: &'static str = "beam:schematransform:org.apache.beam:rename:v1";
    const DESCRIPTION: &'static str = "Says what it would rename.";
    type Input = ();
    type Output = ();

    fn expand(self, (): (), _call: &Call<'_>) -> Result<()> {
        Err(Error::config(format!("{} to {}", self.from_, self.to)))
    }
}

/// Passes rows through.
#[derive(Clone, Row)]
pub(crate) struct Pass {
    prefix: String,
    field: Option<String>,
    times: Option<i64>,
}

#[derive(Collections)]
pub(crate) struct Both {
    same: PCollection<Named>,
    raw: Option<PCollection<Raw>>,
}

impl SchemaTransform for Pass {
    const IDENTIFIER: &'static str = "beam:schematransform:org.apache.beam:rust_prefix:v1";
    const DESCRIPTION: &'static str = "Passes rows through.";
    type Input = PCollection<Named>;
    type Output = Both;

    fn expand(self, rows: PCollection<Named>, _call: &Call<'_>) -> Result<Both> {
        assert_eq!((self.field.as_deref(), self.times), (Some("name"), Some(2)));
        Ok(Both {
            raw: (self.prefix == "P-").then(|| rows.raw()),
            same: rows,
        })
    }
}

pub(crate) fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::new();
    catalogue
        .add::<Tell>()
        .add::<Rename>()
        .add::<Pass>()
        .add_urn("beam:transforms:xlang:test:prefix", |call| {
            let Data { data } = call.config()?;
            let elements = call.only_input::<String>()?;
            Ok(Outputs::only(
                elements.par_do("Prefix", Prefix { text: data }),
            ))
        })
        .add_urn("beam:transforms:xlang:test:multi", |call| {
            let mains = [call.input::<String>("main1")?, call.input("main2")?];
            let main = call.pipeline().flatten("Mains", mains);
            let side = call.input::<Raw>("side")?;
            Ok(Outputs::none().and("main", main).and("side", side))
        })
        .add_urn("test:panic", |_call| panic!("no reason"));
    catalogue
}

pub(crate) fn environment() -> Environment {
    Environment {
        // The list grows with the worker, and is not what these tests are about.
        capabilities: Vec::new(),
        ..EnvironmentSpec::external("localhost:8097").to_proto()
    }
}

pub(crate) fn answer(request: ExpansionRequest) -> ExpansionResponse {
    expand(&catalogue(), request, &environment())
}

/// A request for a URN, without inputs.
pub(crate) fn request(urn: &str, payload: &[u8]) -> ExpansionRequest {
    ExpansionRequest {
        components: Some(Components::default()),
        transform: Some(PTransform {
            unique_name: "Label".into(),
            spec: Some(beam_proto::pipeline::FunctionSpec {
                urn: urn.into(),
                payload: payload.to_vec().into(),
            }),
            ..PTransform::default()
        }),
        namespace: "external_1".into(),
        ..ExpansionRequest::default()
    }
}
