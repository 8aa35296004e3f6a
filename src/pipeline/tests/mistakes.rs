//! What is refused, and what the refusal says.

use super::*;
use crate::dofn::{Cx, DoFn, InWindow, List, Named, Out, Side, Sum};
use crate::element::{Raw, Timestamp};
use crate::error::Result;
use crate::window::{FixedWindows, IntervalWindow, SessionWindows, WindowFn};
use serde::{Deserialize, Serialize};

#[test]
fn two_transforms_cannot_have_one_label() {
    let pipeline = Pipeline::new();
    let words = pipeline.scope("A", |p| p.create("B", ["a".to_owned()]));
    words.steps("Ones", ones());
    words.count_per_element("Ones");
    assert_eq!(
        refused(&pipeline),
        "two transforms are labelled \"Ones\": test.ones/v1 and a composite; give one of them another label"
    );

    let pipeline = Pipeline::new();
    pipeline.scope("A", |p| p.impulse("B"));
    pipeline.scope("B", |p| p.impulse("B"));
    pipeline.impulse("B2");
    assert!(pipeline.check().is_ok());
    pipeline.impulse("");
    assert_eq!(
        refused(&pipeline),
        "a transform has an empty label; give it one (within \"\")"
    );
}

#[test]
fn keys_of_several_encodings_are_refused() {
    let pipeline = Pipeline::new();
    let pairs = pipeline.create("Pairs", [Kv(1.5, 1i64)]);
    pairs.group_by_key("Group");
    assert_eq!(
        refused(&pipeline),
        "keys of double cannot be grouped: a number with a fraction has several encodings of zero and of not-a-number; \
         use whole numbers, text or bytes (transform \"Group\")"
    );
    let pairs = pipeline.create("More", [Kv(Some(Kv(1i64, vec![1i64])), 1i64)]);
    pairs.combine_per_key("Sum", Sum::<i64>::new());
    let error = refused(&pipeline);
    assert!(error.contains("blocks of different sizes"), "{error}");
    assert!(error.contains("Sum/GroupByKey"), "{error}");
}

#[test]
fn only_pairs_can_be_grouped() {
    let pipeline = Pipeline::new();
    pipeline
        .create("Words", ["a".to_owned()])
        .raw()
        .group_by_key("Group");
    assert_eq!(
        refused(&pipeline),
        "grouping needs pairs, but the elements are encoded as string_utf8; make pairs of key and value first \
         (transform \"Group\")"
    );
}

#[test]
fn combiners_take_values_of_their_type() {
    let pipeline = Pipeline::new();
    let pairs = pipeline.create("Pairs", [Kv("a".to_owned(), "b".to_owned())]);
    pairs.raw().combine_values_per_key("Sum", Sum::<i64>::new());
    assert_eq!(
        refused(&pipeline),
        "ferrobeam.Sum.i64/v1 combines values of varint, but these are encoded as string_utf8; convert them first \
         (transform \"Sum\")"
    );
}

#[test]
fn collections_are_flattened_only_if_alike() {
    let pipeline = Pipeline::new();
    let words = pipeline.create("Words", ["a".to_owned()]);
    let numbers = pipeline.create("Numbers", [1i64]);
    pipeline.flatten("Mixed", [words.raw(), numbers.raw()]);
    let error = refused(&pipeline);
    assert!(error.contains("string_utf8 and of varint"), "{error}");
    assert!(error.contains("Mixed"), "{error}");

    let windowed = numbers.window_into(
        "Window",
        WindowFn::Fixed(FixedWindows { size: 1, offset: 0 }),
    );
    pipeline.flatten("Windows", [windowed, numbers]);
    assert!(refused(&pipeline).contains("different windows"));

    let other = Pipeline::new().create("Words", ["a".to_owned()]);
    pipeline.flatten("Pipelines", [words, other]);
    assert!(refused(&pipeline).contains("different pipelines"));
}

#[test]
fn windows_must_have_a_length() {
    let pipeline = Pipeline::new();
    let windows = WindowFn::Fixed(FixedWindows { size: 0, offset: 0 });
    pipeline
        .create("Numbers", [1i64])
        .window_into("Window", windows);
    let error = refused(&pipeline);
    assert!(error.contains("must be positive"), "{error}");
    assert!(error.contains("transform \"Window\""), "{error}");
}

#[derive(Serialize, Deserialize)]
struct Looks;

impl Named for Looks {
    const NAME: &'static str = "test.Looks/v1";
}

#[derive(beam_derive::Ports)]
#[beam(crate = "crate")]
struct LooksIo {
    out: Out<i64>,
    window: InWindow<IntervalWindow>,
    others: Side<List<i64>>,
}

impl DoFn for Looks {
    type In = i64;
    type Io = LooksIo;

    fn process(&mut self, element: i64, cx: &mut Cx<'_>, io: &mut LooksIo) -> Result<()> {
        let end: Timestamp = io.window.get()?.end;
        io.others.values()?;
        io.out.emit(cx, element + end.millis());
        Ok(())
    }
}

#[test]
fn functions_must_find_the_windows_that_they_look_at() {
    let pipeline = Pipeline::new();
    let numbers = pipeline.create("Numbers", [1i64]);
    let sides = LooksIoSides {
        others: numbers.as_list(),
    };
    numbers.par_do_with("Looks", Looks, sides);
    let error = refused(&pipeline);
    assert!(
        error.contains("windows of interval_window, but those of its input are global_window"),
        "{error}"
    );
}

#[test]
fn side_inputs_need_windows_that_others_map_to() {
    let pipeline = Pipeline::new();
    let numbers = pipeline.create("Numbers", [1i64]);
    let fixed = numbers.window_into(
        "Fixed",
        WindowFn::Fixed(FixedWindows { size: 1, offset: 0 }),
    );
    let sessions = numbers.window_into("Sessions", WindowFn::Session(SessionWindows { gap: 1 }));
    let sides = LooksIoSides {
        others: sessions.as_list(),
    };
    let outputs = fixed.par_do_with("Looks", Looks, sides);
    assert_eq!(outputs.out.coder().unwrap().to_string(), "varint");
    let error = refused(&pipeline);
    assert!(error.contains("session windows"), "{error}");
    assert!(error.contains("side input \"others\""), "{error}");
    assert!(error.contains("transform \"Looks\""), "{error}");
}

/// Emits encoded values, but takes none.
#[derive(Serialize, Deserialize)]
struct FromNothing;

impl Named for FromNothing {
    const NAME: &'static str = "test.FromNothing/v1";
}

impl DoFn for FromNothing {
    type In = i64;
    type Io = Out<Raw>;

    fn process(&mut self, _element: i64, _cx: &mut Cx<'_>, _out: &mut Out<Raw>) -> Result<()> {
        Ok(())
    }
}

#[test]
fn encoded_values_need_a_coder() {
    let pipeline = Pipeline::new();
    pipeline
        .create("Numbers", [1i64])
        .par_do("Raw", FromNothing);
    let error = refused(&pipeline);
    assert!(error.contains("where no coder is known"), "{error}");
    assert!(
        error.contains("output \"output\", transform \"Raw\""),
        "{error}"
    );
}
