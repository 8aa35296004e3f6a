//! Rows as keys.

use ferrobeam::Row;
use ferrobeam::dofn::Sum;
use ferrobeam::pipeline::Pipeline;
use ferrobeam::prelude::*;
use ferrobeam::testing::logged;

#[derive(Clone, Row)]
struct Place {
    name: String,
    height: f32,
}

#[derive(Clone, Row)]
struct Deep {
    at: Vec<Option<Place>>,
}

#[derive(Clone, Row)]
struct Tagged {
    tags: std::collections::BTreeMap<String, i64>,
}

#[derive(Clone, Row)]
struct Plain {
    name: String,
    n: Option<i64>,
}

/// What is logged about a grouping by these keys.
fn grouping<K: Element>(key: K) -> Vec<String> {
    logged(|| {
        let pipeline = Pipeline::new();
        let pairs = pipeline.create("Pairs", [Kv(key, 1i64)]);
        pairs.group_by_key("Group");
        pipeline.check().unwrap();
    })
}

#[test]
fn keys_with_floats_or_maps_are_warned_of_once() {
    let place = || Place {
        name: "a".into(),
        height: 9.001,
    };
    let warning = |field: &str| {
        [format!(
            "WARN \"Group\" groups by rows whose field `{field}` has floating-point numbers or maps: equal ones may have \
             different bytes, and are then different keys; use whole numbers, text or bytes"
        )]
    };
    assert_eq!(grouping(place()), warning("height"));
    assert_eq!(grouping(Some(Kv(7i64, place()))), warning("height"));
    let at = vec![Some(place()), None];
    assert_eq!(grouping(Deep { at }), warning("at"));
    let tags = [("k".to_owned(), 1)].into();
    assert_eq!(grouping(Tagged { tags }), warning("tags"));
    let n = Some(1);
    let plain = Plain {
        name: "a".into(),
        n,
    };
    assert_eq!(grouping(plain), [""; 0]);
}

#[test]
fn combining_groups_too() {
    let said = logged(|| {
        let pipeline = Pipeline::new();
        let tags = [("k".to_owned(), 1)].into();
        let pairs = pipeline.create("Pairs", [Kv(Tagged { tags }, 1i64)]);
        pairs.combine_per_key("Sum", Sum::<i64>::new());
        pipeline.check().unwrap();
    });
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("WARN \"Sum/GroupByKey\" groups by rows whose field `tags`"),
        "{said:?}"
    );
}
