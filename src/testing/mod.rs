//! Test functions without a runner.
//!
//! [`DoFnTester`] puts a function on a [`Bench`], where outputs are captured, side inputs are plain vectors and metrics
//! can be read:
//!
//! ```
//! use ferrobeam::prelude::*;
//! use ferrobeam::testing::DoFnTester;
//!
//! /// Finds words that are at least as long as the side input says.
//! #[derive(serde::Serialize, serde::Deserialize, DoFn)]
//! #[beam(name = "text.LongWords/v1")]
//! struct LongWords;
//!
//! #[derive(Ports)]
//! struct LongWordsIo {
//!     words: Out<String>,
//!     least: Side<Single<i64>>,
//!     short: Counter,
//! }
//!
//! impl DoFn for LongWords {
//!     type In = String;
//!     type Io = LongWordsIo;
//!
//!     fn process(&mut self, word: String, cx: &mut Cx, io: &mut LongWordsIo) -> Result {
//!         if word.len() as i64 >= *io.least.get()? {
//!             io.words.emit(cx, word);
//!         } else {
//!             io.short.inc();
//!         }
//!         Ok(())
//!     }
//! }
//!
//! let mut tester = DoFnTester::of(LongWords).sides(LongWordsIoSides { least: vec![4] });
//! let out = tester.run(["to", "be", "that"].map(String::from))?;
//! assert_eq!(out.words.values(), ["that"]);
//! assert_eq!(tester.counter("short"), Some(2));
//! # Ok::<(), ferrobeam::Error>(())
//! ```
//!
//! Time stands still on the bench until a test moves it: [`DoFnTester::advance_watermark`] and
//! [`DoFnTester::advance_processing_time`] fire the [timers](crate::dofn::timer) that are due.
//!
//! [`SplittableTester`] does the same for splittable functions, and cuts them where a test wants.
//!
//! [`FakeRunner`] runs whole stages on a real worker, and [`Descriptor`] says what is in a stage.
//!
//! [`expect`] asserts what a collection holds within a pipeline, on any runner.
//!
//! [`assert_in_any_order`] compares what has no order, and [`assert_round_trip`] checks an [`Element`](crate::Element)
//! of your own. [`logged`] tells what a piece of work logs.

mod assert;
mod bench;
mod capture;
mod collection;
mod descriptor;
mod descriptor_parts;
mod dofn_tester;
mod elements;
mod expect;
mod fake_runner;
mod logged;
mod memory_state;
mod splittable_stages;
mod splittable_tester;
mod tester_metrics;
mod tester_state;
mod tester_timers;

pub use assert::{assert_in_any_order, assert_round_trip};
pub use bench::Bench;
pub use capture::{Capture, Captured, Timed};
pub use collection::{Collection, Windowing};
pub use descriptor::{Descriptor, Endpoints, Outputs};
pub use dofn_tester::{DoFnTester, OutputsOf, SidesOf};
pub use elements::{in_global_window, in_windows, with_header};
pub use expect::{Expect, expect, expect_groups};
pub use fake_runner::{
    Bundle, BundleOutcome, Chaos, FakeRunner, HeldTimer, Metrics, Progress, Random, Root,
    RunningBundle, Settings, Split, StateTerms, Write, bag_key, iterable_key, map_key,
    map_keys_key, multimap_key, multimap_keys_key, tail_key, whole_multimap_key,
};
pub use logged::logged;
pub use memory_state::{MemoryState, Requests};
pub use splittable_tester::{SplittableOutputs, SplittableSides, SplittableTester};
