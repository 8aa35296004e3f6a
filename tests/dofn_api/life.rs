//! What happens to an instance of a function, and when.

use std::sync::mpsc::{SyncSender, sync_channel};

use ferrobeam::prelude::*;
use ferrobeam::testing::DoFnTester;

/// Writes down what happens to it.
struct Diary(SyncSender<&'static str>);

impl Diary {
    fn write(&self, what: &'static str) -> Result {
        self.0.send(what)?;
        Ok(())
    }
}

impl DoFn for Diary {
    type In = i64;
    type Io = ();

    fn setup(&mut self) -> Result {
        self.write("setup")
    }

    fn start_bundle(&mut self, _io: &mut ()) -> Result {
        self.write("start")
    }

    fn process(&mut self, n: i64, _cx: &mut Cx<'_>, _io: &mut ()) -> Result {
        if n < 0 {
            return Err(Error::user("no negative numbers"));
        }
        self.write("process")
    }

    fn finish_bundle(&mut self, _cx: &mut BundleCx, _io: &mut ()) -> Result {
        self.write("finish")
    }

    fn teardown(&mut self) {
        self.write("teardown").unwrap();
    }
}

#[test]
fn a_life_in_bundles() {
    let (sender, diary) = sync_channel(20);
    let mut tester = DoFnTester::of(Diary(sender));
    tester.run([1, 2]).unwrap();
    tester.run([]).unwrap();
    drop(tester);
    assert_eq!(
        diary.iter().collect::<Vec<_>>(),
        [
            "setup", "start", "process", "process", "finish", "start", "finish", "teardown"
        ]
    );
}

#[test]
fn a_failed_function_gets_no_more_bundles() {
    let (sender, diary) = sync_channel(20);
    let mut tester = DoFnTester::of(Diary(sender));
    let error = tester.run([1, -1, 2]).unwrap_err();
    assert_eq!(error.to_string(), "no negative numbers");
    let error = tester.run([1]).unwrap_err();
    assert!(error.message().contains("make a new tester"), "{error}");
    drop(tester);
    assert_eq!(
        diary.iter().collect::<Vec<_>>(),
        ["setup", "start", "process", "teardown"]
    );
}

/// Cannot be set up.
struct Unready;

impl DoFn for Unready {
    type In = i64;
    type Io = ();

    fn setup(&mut self) -> Result {
        Err(Error::user("the model is missing"))
    }

    fn process(&mut self, _n: i64, _cx: &mut Cx<'_>, _io: &mut ()) -> Result {
        Ok(())
    }

    fn teardown(&mut self) {
        panic!("it was never set up");
    }
}

#[test]
fn what_is_not_set_up_is_not_torn_down() {
    let mut tester = DoFnTester::of(Unready);
    let error = tester.run([1]).unwrap_err();
    assert_eq!(error.to_string(), "the model is missing (step \"setup\")");
    let error = tester.run([1]).unwrap_err();
    assert!(error.message().contains("make a new tester"), "{error}");
}
