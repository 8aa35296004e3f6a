//! Parts of other SDKs' pipelines.

use beam_proto::pipeline::{
    Coder, FunctionSpec, PCollection as CollectionProto, Trigger, WindowingStrategy,
    accumulation_mode, output_time, trigger,
};

use super::*;
use crate::dofn::Sum;
use crate::element::Raw;

fn coder(urn: &str, parts: &[&str]) -> Coder {
    Coder {
        spec: Some(FunctionSpec {
            urn: urn.into(),
            ..FunctionSpec::default()
        }),
        component_coder_ids: parts.iter().map(|part| (*part).to_owned()).collect(),
    }
}

/// Pairs of a foreign key and a string, in the global window.
fn seed() -> Components {
    let mut seed = Components::default();
    let coders = [
        ("foreign", coder("beam:coder:pickled_python:v1", &[])),
        ("global", coder("beam:coder:global_window:v1", &[])),
        ("pair", coder("beam:coder:kv:v1", &["foreign", "text"])),
        ("same_text", coder("beam:coder:string_utf8:v1", &[])),
        ("text", coder("beam:coder:string_utf8:v1", &[])),
        // Not for us to complain about, as long as nobody uses them.
        ("circle", coder("beam:coder:iterable:v1", &["circle"])),
        ("lost", coder("beam:coder:iterable:v1", &["nowhere"])),
    ];
    seed.coders = coders.map(|(id, coder)| (id.to_owned(), coder)).into();
    let default = trigger::Trigger::Default(trigger::Default {});
    let strategy = WindowingStrategy {
        window_fn: Some(FunctionSpec {
            urn: "beam:window_fn:global_windows:v1".into(),
            ..FunctionSpec::default()
        }),
        window_coder_id: "global".into(),
        trigger: Some(Trigger {
            trigger: Some(default),
        }),
        accumulation_mode: accumulation_mode::Enum::Discarding as i32,
        output_time: output_time::Enum::EndOfWindow as i32,
        environment_id: "python".into(),
        ..WindowingStrategy::default()
    };
    seed.windowing_strategies
        .insert("windowing".into(), strategy);
    for (id, coder_id) in [("pairs", "pair"), ("words", "text"), ("loose", "lost")] {
        let collection = CollectionProto {
            unique_name: format!("In/{id}"),
            coder_id: coder_id.into(),
            windowing_strategy_id: "windowing".into(),
            ..CollectionProto::default()
        };
        seed.pcollections.insert(id.into(), collection);
    }
    seed.environments
        .insert("python".into(), Environment::default());
    // An id that a new one must not take.
    seed.transforms
        .insert("external_1_t_1".into(), PTransform::default());
    seed
}

fn part() -> Pipeline {
    Pipeline::within("external_1", "Label", seed())
}

/// Everything of the seed is in the result, and everything else begins with the namespace.
fn check_grown(built: &Built) {
    let seed = seed();
    let all = &built.components;
    for (id, coder) in &all.coders {
        assert_eq!(seed.coders.get(id).unwrap_or(coder), coder);
        assert!(
            seed.coders.contains_key(id) || id.starts_with("external_1_c_"),
            "{id}"
        );
    }
    for (id, transform) in &all.transforms {
        assert_eq!(seed.transforms.get(id).unwrap_or(transform), transform);
        assert!(id.starts_with("external_1_t_"), "{id}");
    }
    for (id, collection) in &all.pcollections {
        assert_eq!(seed.pcollections.get(id).unwrap_or(collection), collection);
    }
    assert_eq!(all.windowing_strategies, seed.windowing_strategies);
    assert_eq!(
        all.coders
            .keys()
            .filter(|id| seed.coders.contains_key(*id))
            .count(),
        7
    );
    assert!(
        built
            .added
            .iter()
            .all(|(_, id)| id.starts_with("external_1_"))
    );
}

#[test]
fn coders_and_windowings_keep_their_ids() {
    let part = part();
    let words = part.collection("words").unwrap().typed::<String>().unwrap();
    let lengths = words.steps("Same", steps("test.same/v1").map(|word: String| word));
    let impulse = part.impulse("Impulse");
    let built = built(&part);
    check_grown(&built);
    let of = |id: &str| built.components.pcollections[id].clone();
    // The first of equal coders.
    assert_eq!(of(lengths.id()).coder_id, "same_text");
    assert_eq!(of(lengths.id()).windowing_strategy_id, "windowing");
    assert_eq!(of(impulse.id()).windowing_strategy_id, "windowing");
    assert_eq!(of(impulse.id()).coder_id, "external_1_c_5");
    assert_eq!(built.environment, "external_1_env_0");
    assert_eq!(built.roots, ["external_1_t_2", "external_1_t_4"]);
    assert_eq!(
        transform(&built, "Label/Same").inputs,
        map(&[("input", "words")])
    );
}

#[test]
fn grouping_takes_the_very_coders_of_its_input() {
    let part = part();
    let grouped = part.collection("pairs").unwrap().group_by_key("Group");
    let counted = part.collection("pairs").unwrap().count_per_element("Count");
    let built = built(&part);
    check_grown(&built);
    let coder_of = |id: &str| &built.components.coders[&built.components.pcollections[id].coder_id];
    let [key, values] = &coder_of(grouped.id()).component_coder_ids[..] else {
        panic!("not a pair");
    };
    assert_eq!(key, "foreign");
    assert_eq!(
        built.components.coders[values].component_coder_ids,
        ["text"]
    );
    // The whole pair is the key now.
    assert_eq!(coder_of(counted.id()).component_coder_ids[0], "pair");
}

#[test]
fn foreign_keys_can_be_combined_by() {
    let part = part();
    let words = part.collection("pairs").unwrap();
    words.combine_values_per_key("Sum", Sum::<i64>::new());
    let error = refused(&part);
    assert!(error.contains("encoded as string_utf8"), "{error}");
    let counted = words.combine_values_per_key("Count", crate::dofn::Count::<Raw>::new());
    let coder = counted.coder().unwrap().to_string();
    assert_eq!(coder, "kv<pickled_python, varint>");
}

#[test]
fn triggers_may_count_what_is_combined() {
    let mut seed = seed();
    let counts = trigger::Trigger::ElementCount(trigger::ElementCount { element_count: 2 });
    for strategy in seed.windowing_strategies.values_mut() {
        strategy.trigger = Some(Trigger {
            trigger: Some(counts.clone()),
        });
    }
    let part = Pipeline::within("ns", "", seed);
    part.collection("pairs")
        .unwrap()
        .combine_values_per_key("Count", crate::dofn::Count::<Raw>::new());
    let built = built(&part);
    let convert = transform(&built, "Count/Convert").spec.clone().unwrap().urn;
    assert_eq!(
        convert,
        "beam:transform:combine_per_key_convert_to_accumulators:v1"
    );
}

#[test]
fn types_are_checked_where_they_are_claimed() {
    let part = part();
    let error = part
        .collection("pairs")
        .unwrap()
        .typed::<Kv<String, String>>();
    assert_eq!(
        error.err().unwrap().to_string(),
        "the elements are encoded as kv<pickled_python, string_utf8>, but \
         ferrobeam::element::kv::Kv<alloc::string::String, alloc::string::String> is encoded as \
         kv<string_utf8, string_utf8>; convert them before this transform (collection \"pairs\")"
    );
    assert!(part.collection("nothing").is_err());
    assert!(part.collection("loose").unwrap().coder().is_err());
}

#[test]
fn parts_that_only_the_caller_can_read_are_raw() {
    let part = part();
    let pairs = part.collection("pairs").unwrap();
    assert!(pairs.typed::<Raw>().is_ok());
    assert!(pairs.typed::<Kv<Raw, String>>().is_ok());
    assert!(pairs.typed::<Kv<Raw, i64>>().is_err());
    assert!(pairs.typed::<Kv<String, Raw>>().is_err());
}

#[test]
fn equal_requests_have_equal_answers() {
    let one = || {
        let part = part();
        part.collection("pairs").unwrap().count_per_element("Count");
        built(&part)
    };
    assert_eq!(one(), one());
}
