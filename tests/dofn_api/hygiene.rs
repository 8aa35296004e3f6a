//! Types whose names the derive would like to use, and none of the prelude in scope.

struct S(ferrobeam::dofn::SideReader);
struct F;
#[derive(serde::Serialize, serde::Deserialize, ferrobeam::DoFn)]
#[beam(name = "clash.Result/v1")]
struct Result;

impl ferrobeam::dofn::View for S {
    type Element = i64;
    const ACCESS: ferrobeam::dofn::SideAccess = ferrobeam::dofn::SideAccess::Iterable;

    fn open(reader: ferrobeam::dofn::SideReader) -> Self {
        S(reader)
    }

    fn reader(&mut self) -> &mut ferrobeam::dofn::SideReader {
        &mut self.0
    }

    fn forget(&mut self) {}
}

impl<G> ferrobeam::dofn::Port<G> for F {
    fn wire(_: &mut ferrobeam::dofn::Wiring<'_>, _: &'static str) -> ferrobeam::Result<Self> {
        Ok(F)
    }

    fn describe<D: ferrobeam::dofn::Describe>(_: &mut D, _: &'static str) {}
}

#[derive(ferrobeam::Ports)]
struct ClashIo {
    wiring: ferrobeam::dofn::Out<i64>,
    site: ferrobeam::dofn::Side<S>,
    describe: F,
}

impl ferrobeam::dofn::DoFn for Result {
    type In = i64;
    type Io = ClashIo;

    fn process(
        &mut self,
        _: i64,
        _: &mut ferrobeam::dofn::Cx<'_>,
        _: &mut ClashIo,
    ) -> ferrobeam::Result {
        Ok(())
    }
}

#[test]
fn derives_name_things_by_full_path() {
    assert_eq!(<Result as ferrobeam::dofn::Named>::NAME, "clash.Result/v1");
    let mut bench = ferrobeam::testing::Bench::default();
    let outputs = <ClashIo as ferrobeam::dofn::Ports<Result>>::outputs(&mut bench);
    assert!(outputs.wiring.is_empty());
    <ClashIo as ferrobeam::dofn::Ports<Result>>::sides(&mut bench, ClashIoSides { site: vec![1] });
}

/// Where ferrobeam is reached through another crate.
mod reexported {
    mod vendor {
        pub(super) mod beam {
            pub(crate) use ferrobeam::{Result, dofn, serde_json};
        }
    }

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize, ferrobeam::DoFn)]
    #[beam(name = "text.Words/v2", upgrade = forget, crate = "vendor::beam")]
    struct Words;

    fn forget(
        _: vendor::beam::serde_json::Value,
    ) -> vendor::beam::Result<vendor::beam::serde_json::Value> {
        Ok(vendor::beam::serde_json::Value::Null)
    }

    #[derive(ferrobeam::Ports)]
    #[beam(crate = "vendor::beam")]
    struct WordsIo {
        words: vendor::beam::dofn::Out<String>,
    }

    #[test]
    fn derives_go_through_the_path_they_are_told() {
        let mut payload = ferrobeam::dofn::FunctionPayload::of(&Words).unwrap();
        payload.config = vendor::beam::serde_json::Value::Bool(true);
        assert_eq!(payload.function::<Words>().unwrap(), Words);
        let mut bench = ferrobeam::testing::Bench::default();
        let outputs = <WordsIo as vendor::beam::dofn::Ports<Words>>::outputs(&mut bench);
        assert!(outputs.words.is_empty());
    }
}

/// Where a macro writes the ports.
mod written_by_a_macro {
    use ferrobeam::prelude::*;

    macro_rules! ports {
        ($name:ident { $($field:ident: $ty:ty),* }) => {
            #[derive(Ports)]
            struct $name { $($field: $ty),* }
        };
    }

    ports!(WordsIo { words: Out<String>, least: Side<Single<i64>> });

    #[test]
    fn types_in_invisible_brackets_are_recognized() {
        let mut bench = ferrobeam::testing::Bench::default();
        let WordsIoOutputs { words } = <WordsIo as Ports<()>>::outputs(&mut bench);
        assert!(words.is_empty());
        <WordsIo as Ports<()>>::sides(&mut bench, WordsIoSides { least: vec![1] });
    }
}
