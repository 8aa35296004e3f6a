//! ferrobeam: a Rust SDK harness for Apache Beam.
//!
//! Functions over collections are written in Rust, and Beam runners execute them: in pipelines that are built here, or as
//! cross-language transforms in pipelines of Python, Java, Go and YAML.
//!
//! # Functions
//!
//! A [`DoFn`](dofn::DoFn) is two structs: yours, with configuration that travels in the pipeline, and a struct of
//! [`Ports`](dofn::Ports), through which it reaches the pipeline. `Out<T>` alone does for a function with one output.
//!
//! ```
//! use ferrobeam::prelude::*;
//! use serde::{Deserialize, Serialize};
//!
//! /// Prices orders; unknown items go to `rejected`.
//! #[derive(Serialize, Deserialize, DoFn)]
//! #[beam(name = "shop.Price/v1")]
//! struct Price {
//!     vat: f64,
//! }
//!
//! #[derive(Ports)]
//! struct PriceIo {
//!     priced: Out<Kv<String, f64>>,
//!     rejected: Out<String>,
//!     rates: Side<MapView<String, f64>>,
//!     unknown: Counter,
//! }
//!
//! impl DoFn for Price {
//!     type In = Kv<String, i64>;
//!     type Io = PriceIo;
//!
//!     fn process(&mut self, Kv(item, n): Self::In, cx: &mut Cx, io: &mut PriceIo) -> Result {
//!         match io.rates.get(&item)?.copied() {
//!             Some(rate) => io.priced.emit(cx, Kv(item, rate * n as f64 * (1.0 + self.vat))),
//!             None => {
//!                 io.unknown.inc();
//!                 io.rejected.emit(cx, item);
//!             }
//!         }
//!         Ok(())
//!     }
//! }
//! ```
//!
//! | port | what it is |
//! |---|---|
//! | [`Out<T>`](dofn::Out) | an output |
//! | [`Side<V>`](dofn::Side) | a side input, seen as [`Single`](dofn::Single), [`List`](dofn::List), [`MapView`](dofn::MapView) or [`MultiMap`](dofn::MultiMap) |
//! | [`InWindow<W>`](dofn::InWindow) | the window of the element in hand |
//! | [`ValueState<T>`](dofn::ValueState), [`BagState<T>`](dofn::BagState), [`CombiningState<C>`](dofn::CombiningState), [`SetState<T>`](dofn::SetState), [`MapState<K, V>`](dofn::MapState), [`MultimapState<K, V>`](dofn::MultimapState), [`OrderedListState<T>`](dofn::OrderedListState) | what to remember, for each key and window |
//! | [`Timer<Tag>`](dofn::Timer), [`Timers<Tag>`](dofn::Timers), [`WindowExpiration`](dofn::WindowExpiration) | what to do [later](dofn::timer), for each key and window |
//! | [`Options`](dofn::Options) | the options of the pipeline |
//! | [`Counter`](dofn::Counter), [`Distribution`](dofn::Distribution), [`Gauge`](dofn::Gauge), [`StringSet`](dofn::StringSet), [`BoundedTrie`](dofn::BoundedTrie), [`Histogram`](dofn::Histogram) | a metric |
//!
//! Values are combined by a [`CombineFn`](dofn::CombineFn), such as [`Sum`](dofn::Sum), [`Mean`](dofn::Mean),
//! [`Top`](dofn::Top) or [`Sample`](dofn::Sample), or by a tuple of them in one pass, and windowed by a standard
//! [`WindowFn`](window::WindowFn) or a [`WindowFunction`](dofn::WindowFunction) of one's own. Short functions are chains of closures:
//! [`steps`](dofn::steps).
//!
//! A function whose work on one element may be large, or never end, is [`Splittable`](dofn::Splittable): it claims what it
//! works on bit by bit, and the runner may cut off the rest at any time, or resume it later.
//!
//! # Elements
//!
//! What travels is an [`Element`]: numbers, strings, bytes, [`Kv`], [`Iter`], `Option`, lists of those, and structs that
//! derive [`Row`].
//!
//! # Where functions run
//!
//! What crosses the wire is a function's name and configuration. A worker finds it in a
//! [`Registry`](exec::Registry), so a binary lists its functions, and [`cli::run`] makes of that list a worker, an
//! expansion service with a [`Catalogue`](expansion::Catalogue) of transforms, and a worker pool.
//! [`Pipeline`](pipeline::Pipeline) builds pipelines in Rust.
//!
//! # Testing
//!
//! [`testing::DoFnTester`] and [`testing::SplittableTester`] run one function without a runner. [`testing`] also has a runner that is not one, for tests of
//! workers.

pub mod cli;
pub mod dofn;
pub mod element;
mod error;
pub mod exec;
pub mod expansion;
pub mod harness;
pub mod model;
pub mod pipeline;
pub mod prelude;
#[cfg(feature = "submit")]
pub mod submit;
pub mod testing;
pub mod window;

pub use beam_derive::{CombineFn, DoFn, Order, Ports, Row, WindowFunction};
pub use element::row::{DynRow, Row, Schema};
pub use element::{Element, Iter, Kv, Timestamp};
pub use error::{Context, Error, ErrorKind, Result};
/// The JSON that configurations travel as, which [`dofn::Named::upgrade`] works on.
pub use serde_json;

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
