//! Side inputs of every kind.

use ferrobeam::prelude::*;
use ferrobeam::testing::DoFnTester;
use ferrobeam::window::GlobalWindow;

use crate::text;

/// Looks at every kind of side input.
struct Look;

#[derive(Ports)]
struct LookIo {
    found: Out<String>,
    single: Side<Single<i64>>,
    list: Side<List<String>>,
    map: Side<MapView<String, i64>>,
    multi: Side<MultiMap<String, i64>>,
}

impl DoFn for Look {
    type In = String;
    type Io = LookIo;

    fn process(&mut self, key: String, cx: &mut Cx<'_>, io: &mut LookIo) -> Result {
        let found = format!(
            "{key}: {:?} {:?} {:?} {:?} {:?}",
            io.single.get_optional()?,
            io.list.values()?.to_vec()?,
            io.map.get(&key)?,
            io.multi.get(&key)?.to_vec()?,
            io.multi.keys()?.to_vec()?,
        );
        io.found.emit(cx, found);
        Ok(())
    }
}

fn pairs<const N: usize>(pairs: [(&str, i64); N]) -> Vec<Kv<String, i64>> {
    pairs.map(|(key, n)| Kv(key.into(), n)).into()
}

#[test]
fn side_inputs_of_every_kind() {
    let found = DoFnTester::of(Look)
        .sides(LookIoSides {
            single: vec![7],
            list: text(["x", "y"]).into(),
            map: pairs([("a", 1), ("b", 300)]),
            multi: pairs([("b", 2), ("a", 1000), ("b", -3)]),
        })
        .run(text(["a", "b", "c"]))
        .unwrap()
        .found;
    assert_eq!(
        found.values(),
        [
            r#"a: Some(7) ["x", "y"] Some(1) [1000] ["a", "b"]"#,
            r#"b: Some(7) ["x", "y"] Some(300) [2, -3] ["a", "b"]"#,
            r#"c: Some(7) ["x", "y"] None [] ["a", "b"]"#,
        ]
    );
}

#[test]
fn side_inputs_of_the_wrong_size() {
    let run = |single: Vec<i64>, map: Vec<Kv<String, i64>>| {
        DoFnTester::of(Look)
            .sides(LookIoSides {
                single,
                list: vec![],
                map,
                multi: vec![],
            })
            .run(text(["a"]))
    };
    let error = run(vec![1, 2], vec![]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "side input \"single\" has more than one value, but exactly one is wanted; use List"
    );
    let error = run(vec![], pairs([("a", 1), ("a", 2)])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "side input \"map\" has more than one value for a key; use MultiMap"
    );
    let found = run(vec![], vec![]).unwrap().found;
    assert_eq!(found.values(), ["a: None [] None [] []"]);
}

/// Looks at a side input before there is an element.
struct TooEarly;

#[derive(Ports)]
struct TooEarlyIo {
    window: InWindow<GlobalWindow>,
    side: Side<List<i64>>,
}

impl DoFn for TooEarly {
    type In = String;
    type Io = TooEarlyIo;

    fn start_bundle(&mut self, io: &mut TooEarlyIo) -> Result {
        io.side.values().map(drop)
    }

    fn process(&mut self, _value: String, _cx: &mut Cx<'_>, io: &mut TooEarlyIo) -> Result {
        io.window.get().map(drop)
    }
}

#[test]
fn side_inputs_are_for_elements() {
    let side = vec![1];
    let error = DoFnTester::of(TooEarly)
        .sides(TooEarlyIoSides { side })
        .run([])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "side input \"side\" can only be read within `process` (step \"start_bundle\")"
    );
}

#[test]
fn a_side_input_that_is_not_given() {
    let error = DoFnTester::of(TooEarly).run([]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the function reads a side input \"side\"; give it with DoFnTester::sides"
    );
}

/// Looks at its side input when there is no element in hand any more.
struct Late;

#[derive(Ports)]
struct LateIo {
    out: Out<i64>,
    single: Side<Single<i64>>,
    window: InWindow<GlobalWindow>,
}

impl DoFn for Late {
    type In = i64;
    type Io = LateIo;

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, io: &mut LateIo) -> Result {
        let sum = n + io.single.get()?;
        io.out.emit(cx, sum);
        Ok(())
    }

    fn finish_bundle(&mut self, _cx: &mut BundleCx, io: &mut LateIo) -> Result {
        assert!(io.window.get().is_err());
        io.single.get().map(drop)
    }
}

#[test]
fn side_inputs_and_windows_end_with_the_last_element() {
    let error = DoFnTester::of(Late)
        .sides(LateIoSides { single: vec![7] })
        .run([1])
        .expect_err("there is no window whose side input could be read");
    let text = error.to_string();
    assert!(
        text.contains("\"single\" can only be read within `process`"),
        "{text}"
    );
    assert_eq!(error.place("step"), Some("finish_bundle"));
}
