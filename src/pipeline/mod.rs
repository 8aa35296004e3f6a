//! Pipelines under construction, of our own and within those of other SDKs.
//!
//! ```
//! use ferrobeam::dofn::{Step, Steps, Sum, steps};
//! use ferrobeam::pipeline::{EnvironmentSpec, Pipeline};
//! use ferrobeam::Kv;
//!
//! fn words() -> Steps<String, impl Step<String, Out = Kv<String, i64>>> {
//!     steps("docs.words/v1")
//!         .flat_map(|line: String| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
//!         .map(|word| Kv(word, 1))
//! }
//!
//! let pipeline = Pipeline::new();
//! let lines = pipeline.create("Lines", ["to be or not to be".to_owned()]);
//! let counts = lines.steps("Words", words()).combine_per_key("Count", Sum::<i64>::new());
//! let built = pipeline.build(&EnvironmentSpec::external("localhost:50000").to_proto())?;
//! assert_eq!(built.roots.len(), 3);
//! # let _ = counts;
//! # Ok::<(), ferrobeam::Error>(())
//! ```

mod boundary;
mod capabilities;
mod coded;
mod collection;
mod combine;
mod components;
mod environment;
mod graph;
mod group;
mod hot_keys;
mod join;
mod notes;
mod options;
mod pairs;
mod par_do;
mod site;
mod splittable;
mod state;
mod test_stream;
#[cfg(test)]
mod tests;
mod transforms;
mod window_into;
mod windowing;

pub use capabilities::capabilities;
pub use collection::PCollection;
pub use components::{ComponentsBuilder, Kind};
pub use environment::EnvironmentSpec;
pub use graph::{Built, Pipeline};
pub use join::{Joined2, Joined3};
pub use notes::ResourceHint;
pub use options::{PipelineOptions, Workers};
pub use site::{InPipeline, SideView, VIEW_URN};
pub(crate) use state::{Keeping, protocol, state_spec};
pub use test_stream::TestStream;
pub(crate) use transforms::plain_form;
pub use windowing::{Firing, TimestampCombiner, Trigger, Windowing};
