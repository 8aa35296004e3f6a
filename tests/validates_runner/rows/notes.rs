//! What a pipeline tells runners and people beside what to do: runners take it, and do as they like.

use std::collections::BTreeMap;

use beam_proto::pipeline::{self as proto, LabelledPayload, labelled_payload};
use beam_proto::urns::{display_data, resource_hints};
use ferrobeam::exec::Registry;
use ferrobeam::pipeline::{EnvironmentSpec, Pipeline, ResourceHint};
use ferrobeam::prelude::*;
use prost::Message;
use serde::{Deserialize, Serialize};

use super::functions::plus_one;
use super::rows;
use crate::behaviour::How;
use crate::case::Case;

pub(crate) const ROWS: &[(&str, How)] = rows![
    Runs resource_hints,
    Runs annotations,
    Runs display_data,
];

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<Scale>();
}

fn built(pipeline: &Pipeline) -> proto::Components {
    let environment = EnvironmentSpec::external("localhost:1").to_proto();
    let built = pipeline.build(&environment).unwrap();
    built.into_proto().components.unwrap()
}

/// The transform of this full name.
fn transform(components: &proto::Components, name: &str) -> proto::PTransform {
    let mut all = components.transforms.values();
    all.find(|transform| transform.unique_name == name)
        .unwrap()
        .clone()
}

fn resource_hints(case: &mut Case) {
    case.p.hint(&ResourceHint::MinRam(1 << 30));
    case.p.hint(&ResourceHint::MinRam(1 << 20));
    case.p.hint(&ResourceHint::Cpus(1));
    let numbers = case.p.create("Numbers", [1i64, 2]);
    let more = numbers.steps("Plus one", plus_one());
    let components = built(&case.p);
    let id = transform(&components, "Plus one").environment_id;
    let hints = &components.environments[&id].resource_hints;
    let expected = [
        (resource_hints::MIN_RAM_BYTES, "1048576"),
        (resource_hints::CPU_COUNT, "1"),
    ];
    let expected: BTreeMap<_, _> = expected
        .map(|(urn, value)| (urn.to_owned(), value.into()))
        .into();
    assert_eq!(hints, &expected);
    case.expect(&more).contains_in_any_order([2, 3]);
}

fn annotations(case: &mut Case) {
    let numbers = case.p.create("Numbers", [1i64, 2]);
    let more = case
        .p
        .annotated("owner", "sums", |_| numbers.steps("Plus one", plus_one()));
    let most = more.steps("Plus another", plus_one());
    let components = built(&case.p);
    let of = |name: &str| transform(&components, name).annotations;
    let expected = BTreeMap::from([("owner".to_owned(), "sums".into())]);
    assert_eq!(of("Plus one"), expected);
    assert_eq!(of("Plus another"), BTreeMap::new());
    case.expect(&most).contains_in_any_order([3, 4]);
}

/// Multiplies numbers.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.Scale/v1")]
struct Scale {
    factor: i64,
    unit: String,
}

impl DoFn for Scale {
    type In = i64;
    type Io = Out<String>;

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, out: &mut Self::Io) -> Result {
        out.emit(cx, format!("{} {}", n * self.factor, self.unit));
        Ok(())
    }
}

fn display_data(case: &mut Case) {
    let scale = Scale {
        factor: 10,
        unit: "mm".to_owned(),
    };
    let scaled = case.p.create("Numbers", [1i64, 2]).par_do("Scale", scale);
    let data = transform(&built(&case.p), "Scale").display_data;
    let items = data.iter().map(|item| {
        assert_eq!(item.urn, display_data::LABELLED);
        let item = LabelledPayload::decode(item.payload.clone()).unwrap();
        assert_eq!((&*item.namespace, &item.label), ("vr.Scale", &item.key));
        (item.key, item.value.unwrap())
    });
    let text = |text: &str| labelled_payload::Value::StringValue(text.to_owned());
    let expected = [
        ("fn".to_owned(), text("vr.Scale/v1")),
        ("factor".to_owned(), labelled_payload::Value::IntValue(10)),
        ("unit".to_owned(), text("mm")),
    ];
    assert_eq!(items.collect::<Vec<_>>(), expected);
    case.expect(&scaled)
        .contains_in_any_order(["10 mm", "20 mm"].map(str::to_owned));
}
