//! What pipelines look like to runners.

use beam_proto::pipeline::{CombinePayload, ParDoPayload, WindowIntoPayload, trigger};
use prost::Message;

use super::*;
use crate::dofn::builtin::IfEmpty;
use crate::dofn::{Named, Sum};
use crate::model::windowing;
use crate::window::{FixedWindows, SessionWindows, WindowFn};

#[test]
fn a_small_pipeline_is_what_it_always_was() {
    let pipeline = Pipeline::new();
    let words = pipeline.create("Words", ["a".to_owned()]);
    let pairs = words.steps("Ones", ones());
    pairs.combine_per_key("Count", Sum::<i64>::new());
    let built = built(&pipeline);
    assert_eq!(built.environment, "fb_env_0");
    assert_eq!(
        transforms(&built),
        [
            "fb_t_1 Words - [] [output=fb_pc_9] [fb_t_2,fb_t_8] ",
            "fb_t_2 Words/Impulse beam:transform:impulse:v1 [] [output=fb_pc_6] [] ",
            "fb_t_8 Words/Values beam:transform:pardo:v1 [input=fb_pc_6] [output=fb_pc_9] [] fb_env_0",
            "fb_t_10 Ones beam:transform:pardo:v1 [input=fb_pc_9] [output=fb_pc_13] [] fb_env_0",
            "fb_t_14 Count beam:transform:combine_per_key:v1 [input=fb_pc_13] [output=fb_pc_24] [fb_t_15,fb_t_17,fb_t_21,fb_t_23] fb_env_0",
            "fb_t_15 Count/Precombine beam:transform:combine_per_key_precombine:v1 [input=fb_pc_13] [output=fb_pc_16] [] fb_env_0",
            "fb_t_17 Count/GroupByKey beam:transform:group_by_key:v1 [input=fb_pc_16] [output=fb_pc_20] [] ",
            "fb_t_21 Count/Merge beam:transform:combine_per_key_merge_accumulators:v1 [input=fb_pc_20] [output=fb_pc_22] [] fb_env_0",
            "fb_t_23 Count/Extract beam:transform:combine_per_key_extract_outputs:v1 [input=fb_pc_22] [output=fb_pc_24] [] fb_env_0",
        ]
    );
    assert_eq!(
        coders(&built.components),
        [
            "fb_c_11 beam:coder:varint:v1 ",
            "fb_c_12 beam:coder:kv:v1 fb_c_7,fb_c_11",
            "fb_c_18 beam:coder:iterable:v1 fb_c_11",
            "fb_c_19 beam:coder:kv:v1 fb_c_7,fb_c_18",
            "fb_c_3 beam:coder:bytes:v1 ",
            "fb_c_4 beam:coder:global_window:v1 ",
            "fb_c_7 beam:coder:string_utf8:v1 ",
        ]
    );
    assert_eq!(built.roots, ["fb_t_1", "fb_t_10", "fb_t_14"]);
    assert!(built.requirements.is_empty());
    let collection = &built.components.pcollections["fb_pc_13"];
    assert_eq!(collection.unique_name, "Ones.output");
    assert_eq!(collection.coder_id, "fb_c_12");
    let windowing = &built.components.windowing_strategies[&collection.windowing_strategy_id];
    assert_eq!(windowing.environment_id, "fb_env_0");
    assert_eq!(windowing.window_coder_id, "fb_c_4");
}

fn pardo(transform: &PTransform) -> ParDoPayload {
    let spec = transform.spec.as_ref().unwrap();
    ParDoPayload::decode(&spec.payload[..]).unwrap()
}

fn function(payload: &ParDoPayload) -> String {
    let function = payload.do_fn.as_ref().unwrap();
    assert_eq!(function.urn, "ferrobeam:function:v1");
    String::from_utf8(function.payload.to_vec()).unwrap()
}

#[test]
fn functions_travel_by_name_and_configuration() {
    let pipeline = Pipeline::new();
    let words = pipeline.create("Words", ["a".to_owned(), String::new()]);
    words.steps("Ones", ones());
    let built = built(&pipeline);
    assert_eq!(
        function(&pardo(transform(&built, "Words/Values"))),
        // Each value after its length: 02 01 61, 01 00.
        r#"{"format":1,"name":"ferrobeam.Create/v1","config":{"values":"AgFhAQA="}}"#
    );
    assert_eq!(
        function(&pardo(transform(&built, "Ones"))),
        r#"{"format":1,"name":"test.ones/v1","config":null}"#
    );
}

#[test]
fn combiners_are_named_in_each_stage() {
    let pipeline = Pipeline::new();
    let pairs = pipeline.create("Pairs", [Kv("a".to_owned(), 1)]);
    pairs.combine_per_key("Sum", Sum::<i64>::new());
    let built = built(&pipeline);
    let payload = |name: &str| transform(&built, name).spec.clone().unwrap().payload;
    for stage in ["Precombine", "Merge", "Extract"] {
        assert_eq!(payload("Sum"), payload(&format!("Sum/{stage}")));
    }
    let combine = CombinePayload::decode(payload("Sum")).unwrap();
    let accumulator = &built.components.coders[&combine.accumulator_coder_id];
    assert_eq!(
        accumulator.spec.as_ref().unwrap().urn,
        "beam:coder:varint:v1"
    );
}

#[test]
fn a_global_result_falls_back_to_that_of_nothing() {
    let pipeline = Pipeline::new();
    let total = pipeline
        .create("Numbers", [1, 2])
        .combine_globally("Sum", Sum::<i64>::new());
    let built = built(&pipeline);
    let default = transform(&built, "Sum/Default");
    let payload = pardo(default);
    assert!(function(&payload).contains(IfEmpty::NAME));
    assert!(
        function(&payload).contains("AA=="),
        "a varint of zero in base64"
    );
    let side = &payload.side_inputs["values"];
    let urn = |spec: &Option<beam_proto::pipeline::FunctionSpec>| spec.clone().unwrap().urn;
    assert_eq!(urn(&side.access_pattern), "beam:side_input:iterable:v1");
    assert_eq!(urn(&side.view_fn), VIEW_URN);
    assert_eq!(urn(&side.window_mapping_fn), windowing::GLOBAL);
    let results = &transform(&built, "Sum/Values").outputs["output"];
    assert_eq!(&default.inputs["values"], results);
    let flatten = transform(&built, "Sum/Flatten");
    assert_eq!(
        flatten.inputs,
        map(&[("0", results), ("1", &default.outputs["output"])])
    );
    assert_eq!(flatten.outputs["output"], total.id());
    assert_eq!(total.coder().unwrap().to_string(), "varint");
}

#[test]
fn windowed_collections_have_no_global_default() {
    let pipeline = Pipeline::new();
    let numbers = pipeline.create("Numbers", [1, 2]);
    let windowed = numbers.window_into("Window", WindowFn::Session(SessionWindows { gap: 1 }));
    windowed.combine_globally("Sum", Sum::<i64>::new());
    let built = built(&pipeline);
    let parts = &transform(&built, "Sum").subtransforms;
    assert_eq!(parts.len(), 3);

    let window = transform(&built, "Window");
    assert_eq!(window.environment_id, "fb_env_0");
    let spec = window.spec.as_ref().unwrap();
    let payload = WindowIntoPayload::decode(&spec.payload[..]).unwrap();
    let window_fn = windowing::window_fn(&payload.window_fn.unwrap()).unwrap();
    assert_eq!(
        window_fn,
        Some(WindowFn::Session(SessionWindows { gap: 1 }))
    );
    let strategy = windowed.windowing_strategy().unwrap();
    assert_eq!(strategy.merge_status().as_str_name(), "NEEDS_MERGE");
}

#[test]
fn firings_of_nothing_are_as_the_windowing_says() {
    let pipeline = Pipeline::new();
    let numbers = pipeline.create("Numbers", [1]);
    let windowing = || {
        let each = Trigger::after_count(1).repeatedly();
        Windowing::by(WindowFn::Global).trigger(each)
    };
    let usual = numbers.window_into("Usual", windowing());
    let quiet = numbers.window_into("Quiet", windowing().on_time(Firing::IfNonEmpty));
    let last = numbers.window_into("Last", windowing().at_closing(Firing::Always));
    let behavior = |windowed: &PCollection<i32>| {
        let strategy = windowed.windowing_strategy().unwrap();
        let on_time = strategy.on_time_behavior().as_str_name();
        (on_time, strategy.closing_behavior().as_str_name())
    };
    assert_eq!(behavior(&usual), ("FIRE_ALWAYS", "EMIT_IF_NONEMPTY"));
    assert_eq!(behavior(&quiet), ("FIRE_IF_NONEMPTY", "EMIT_IF_NONEMPTY"));
    assert_eq!(behavior(&last), ("FIRE_ALWAYS", "EMIT_ALWAYS"));
}

#[test]
fn a_reshuffle_has_parts_for_runners_that_do_not_know_it() {
    let pipeline = Pipeline::new();
    let windows = WindowFn::Fixed(FixedWindows {
        size: 10,
        offset: 0,
    });
    let numbers = pipeline
        .create("Numbers", [1i64])
        .window_into("Window", windows);
    let shuffled = numbers.reshuffle("Shuffle");
    assert_eq!(shuffled.window_fn().unwrap(), Some(windows));
    assert_eq!(shuffled.coder().unwrap(), numbers.coder().unwrap());
    let built = built(&pipeline);
    let composite = transform(&built, "Shuffle");
    assert_eq!(
        composite.spec.as_ref().unwrap().urn,
        "beam:transform:reshuffle:v1"
    );
    assert_eq!(composite.inputs, map(&[("input", numbers.id())]));
    assert_eq!(composite.outputs, map(&[("output", shuffled.id())]));
    assert_eq!(composite.environment_id, "");
    let scattered = &transform(&built, "Shuffle/Scatter").outputs["output"];
    let strategy = &built.components.pcollections[scattered].windowing_strategy_id;
    let strategy = &built.components.windowing_strategies[strategy];
    let trigger = strategy.trigger.as_ref().unwrap().trigger.as_ref();
    assert!(matches!(trigger, Some(trigger::Trigger::Always(_))));
}

#[test]
fn scopes_nest_labels_and_know_their_boundary() {
    let pipeline = Pipeline::new();
    let words = pipeline.create("Words", ["a".to_owned()]);
    let pairs = pipeline.scope("Outer", |p| {
        p.scope("Nothing", |_| ());
        p.scope("Inner", |_| words.steps("Ones", ones()))
    });
    let keys = pairs.keys("Keys");
    let values = pairs.values("Values");
    let built = built(&pipeline);
    for name in ["Outer", "Outer/Inner"] {
        let composite = transform(&built, name);
        assert_eq!(composite.inputs, map(&[("input", words.id())]));
        assert_eq!(composite.outputs, map(&[("output", pairs.id())]));
        assert_eq!(composite.subtransforms.len(), 1);
    }
    assert_eq!(
        transform(&built, "Outer/Inner/Ones").outputs["output"],
        pairs.id()
    );
    assert_eq!(keys.coder().unwrap().to_string(), "string_utf8");
    assert_eq!(values.coder().unwrap().to_string(), "varint");
}

#[test]
fn many_values_are_spread_over_functions() {
    let pipeline = Pipeline::new();
    let large = "x".repeat(600_000);
    pipeline.create("Few", Vec::<i64>::new());
    let many = pipeline.create("Many", [large.clone(), large.clone(), large]);
    let built = built(&pipeline);
    let flatten = transform(&built, "Many/Flatten");
    assert_eq!(flatten.inputs.len(), 3);
    assert_eq!(flatten.outputs["output"], many.id());
    assert_eq!(transform(&built, "Few").subtransforms.len(), 2);
}
