//! What clients find, and what is not let out to be found.

use ferrobeam::expansion::{Call, Catalogue, SchemaTransform};
use ferrobeam::pipeline::PCollection;
use ferrobeam::{Result, Row};

use crate::transforms::catalogue;

macro_rules! transform {
    ($config:ty, $identifier:literal, $output:ty) => {
        impl SchemaTransform for $config {
            const IDENTIFIER: &'static str = $identifier;
            const DESCRIPTION: &'static str = "";
            type Input = ();
            type Output = $output;

            fn expand(self, (): (), _call: &Call<'_>) -> Result<$output> {
                Err(ferrobeam::Error::config("not to be expanded"))
            }
        }
    };
}

#[derive(Clone, Row)]
struct Keyword {
    #[beam(rename = "from")]
    origin: String,
}
transform!(
    Keyword,
    "beam:schematransform:org.apache.beam:keyword:v1",
    ()
);

#[derive(Clone, Row)]
struct Nested {
    parts: Vec<Keyword>,
}
transform!(Nested, "beam:schematransform:org.apache.beam:nested:v1", ());

#[derive(Clone, Row)]
struct Empty {}
transform!(Empty, "org.example:empty", ());

#[derive(Clone, Row)]
struct Underscore {
    _x: i64,
}

#[derive(Clone, Row)]
struct Hidden {
    a: i64,
}
transform!(
    Hidden,
    "beam:schematransform:org.apache.beam:hidden:v1",
    PCollection<Underscore>
);

#[derive(Clone, Row)]
struct Short {}
transform!(Short, "beam:schematransform:org.apache.beam:hidden:v10", ());

fn mistake(add: impl FnOnce(&mut Catalogue)) -> String {
    let mut catalogue = Catalogue::new();
    add(&mut catalogue);
    catalogue.check().expect_err("a mistake").to_string()
}

#[test]
fn good_transforms_pass() {
    catalogue().check().unwrap();
    let listings: Vec<_> = catalogue().listings().cloned().collect();
    let [rename, pass, tell] = &listings[..] else {
        panic!("{listings:?}");
    };
    assert_eq!(pass.inputs, ["input"]);
    assert_eq!(pass.outputs, ["same", "raw"]);
    assert_eq!(
        rename.config.fields()[0].description,
        "The field to rename."
    );
    assert_eq!(
        tell.identifier,
        "beam:schematransform:org.apache.beam:tell:v1"
    );
}

#[test]
fn names_that_clients_cannot_use_are_refused() {
    let error = mistake(|c| {
        c.add::<Keyword>();
    });
    assert_eq!(
        error,
        "config field `from` is a keyword of a client language; call it `from_` (transform \
         \"beam:schematransform:org.apache.beam:keyword:v1\")"
    );
    let error = mistake(|c| {
        c.add::<Nested>();
    });
    assert!(
        error.contains("`from`") && error.contains("nested:v1"),
        "{error}"
    );
    let error = mistake(|c| {
        c.add::<Empty>();
    });
    assert!(error.contains("its identifier has not the form"), "{error}");
    let error = mistake(|c| {
        c.add::<Hidden>();
    });
    assert!(
        error.contains("field `_x` of the output `output`"),
        "{error}"
    );
}

#[test]
fn names_that_clients_confuse_are_refused() {
    #[derive(Clone, Row)]
    struct Plain {}
    transform!(Plain, "beam:schematransform:org.apache.beam:hidden:v1", ());
    let error = mistake(|c| {
        c.add::<Plain>().add::<Short>();
    });
    assert!(
        error.contains("hidden:v1\"") && error.contains("hidden:v10"),
        "{error}"
    );
    let error = mistake(|c| {
        c.add::<Plain>().add::<Plain>();
    });
    assert!(error.contains("two transforms are called"), "{error}");
}
