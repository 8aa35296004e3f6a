//! Bundle descriptors, checked.
//!
//! Past this module every id is an index that resolves, and every payload is a value.

mod reader;

use std::time::Duration;

use beam_proto::urns::transforms;

use crate::dofn::{FunctionPayload, StateProtocol, TimeDomain};
use crate::element::coder::urn;
use crate::element::{Coder, Element, Header, Input, Nesting, Timestamp, WindowCoding};
use crate::error::{Error, Result};
use crate::window::{GlobalWindow, IntervalWindow, Window, WindowFn};

/// The index of a collection in [`PlanSpec::collections`].
pub type CollectionIndex = usize;

/// A bundle descriptor whose ids resolve and whose payloads could be read.
#[derive(Debug)]
pub struct PlanSpec {
    /// The descriptor's id.
    pub id: String,
    /// The transforms, without composites.
    pub nodes: Vec<NodeSpec>,
    /// The collections between them.
    pub collections: Vec<CollectionSpec>,
    /// Where state is served, as `host:port`.
    pub state_endpoint: Option<String>,
    /// The data service that timers travel through, as `host:port`. There is one where there are timers.
    pub timer_endpoint: Option<String>,
}

/// One collection.
#[derive(Debug)]
pub struct CollectionSpec {
    /// Its id.
    pub id: String,
    /// The nodes that read it as their main input, with their local names for it.
    pub readers: Vec<(usize, String)>,
    /// How its elements are windowed.
    pub windowing: WindowingSpec,
    /// The coder of its elements, unless the descriptor lacks it: a collection that stays within its stage may have one
    /// that nobody needs.
    pub coder: Option<Coder>,
    coder_id: String,
}

/// One transform.
#[derive(Debug)]
pub struct NodeSpec {
    /// Its id.
    pub id: String,
    /// Its full name in the pipeline.
    pub name: String,
    /// What it does.
    pub kind: NodeKind,
    /// Its main inputs by local name.
    pub inputs: Vec<(String, CollectionIndex)>,
    /// Its outputs by local name.
    pub outputs: Vec<(String, CollectionIndex)>,
}

impl NodeSpec {
    /// Names the transform in an error that happened in it: by its id, and by its name, which its author knows.
    #[cold]
    pub fn blame(&self, error: Error) -> Error {
        let error = error.at("transform", &self.id);
        let known = self.name.is_empty() || self.name == self.id;
        if known || error.place("transform") != Some(&self.id) {
            return error;
        }
        error.at("name", &self.name)
    }
}

/// What a transform does.
#[derive(Debug)]
pub enum NodeKind {
    /// Reads elements from the runner.
    Source(PortSpec),
    /// Writes elements to the runner.
    Sink(PortSpec),
    /// Runs a function.
    ParDo {
        /// Which function.
        function: FunctionPayload,
        /// Its side inputs.
        sides: Vec<SideSpec>,
        /// Its state.
        states: Vec<StateSpec>,
        /// Its families of timers.
        timers: Vec<TimerSpec>,
        /// Whether it wants to know when its bundles are committed.
        finalizes: bool,
    },
    /// Runs a stage of a splittable function.
    Splittable {
        /// Which stage.
        stage: SplittableStage,
        /// Which function.
        function: FunctionPayload,
        /// Its side inputs.
        sides: Vec<SideSpec>,
        /// Whether it wants to know when its bundles are committed.
        finalizes: bool,
    },
    /// Passes all inputs on.
    Flatten,
    /// Assigns windows.
    WindowInto(WindowFnSpec),
    /// Maps windows of a main input to windows of a side input.
    MapWindows(WindowFnSpec, Coder),
    /// Merges windows.
    MergeWindows(WindowFnSpec, Coder),
    /// One stage of combining.
    Combine {
        /// Which stage.
        stage: CombineStage,
        /// Which combiner.
        function: FunctionPayload,
    },
}

/// A stage of a splittable function, named after its URN. The order is that of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplittableStage {
    /// An element to the element with all the work on it.
    PairWithRestriction,
    /// Work to its parts with their sizes.
    SplitAndSize,
    /// Parts to what is left of them when the pipeline is drained.
    Truncate,
    /// Parts to outputs.
    Process,
}

impl SplittableStage {
    /// Its URN.
    pub fn urn(self) -> &'static str {
        match self {
            Self::PairWithRestriction => transforms::PAIR_WITH_RESTRICTION,
            Self::SplitAndSize => transforms::SPLIT_AND_SIZE_RESTRICTIONS,
            Self::Truncate => transforms::TRUNCATE_SIZED_RESTRICTION,
            Self::Process => transforms::PROCESS_SIZED_ELEMENTS_AND_RESTRICTIONS,
        }
    }

    /// The stage of a URN, if it is one of a stage.
    pub fn of(urn: &str) -> Option<Self> {
        let stages = [
            Self::PairWithRestriction,
            Self::SplitAndSize,
            Self::Truncate,
            Self::Process,
        ];
        stages.into_iter().find(|stage| stage.urn() == urn)
    }
}

/// A stage of combining, named after its URN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CombineStage {
    /// Values to accumulators, many at once, before grouping.
    Precombine,
    /// Grouped accumulators to one.
    MergeAccumulators,
    /// An accumulator to the result.
    ExtractOutputs,
    /// A value to its accumulator.
    ConvertToAccumulators,
    /// Grouped values to the result.
    GroupedValues,
}

/// Where a source or sink is connected.
#[derive(Debug, Clone)]
pub struct PortSpec {
    /// `host:port` of the data service.
    pub endpoint: String,
    /// Coder of the values.
    pub value: Coder,
    /// How the header stands before each value.
    pub header: HeaderSpec,
}

/// How headers stand on a port.
#[derive(Debug, Clone)]
pub enum HeaderSpec {
    /// Before each value.
    Encoded(WindowCoding),
    /// Nowhere: all values have this one.
    Constant(Header),
}

/// A window function that this worker may run.
#[derive(Debug, Clone, PartialEq)]
pub enum WindowFnSpec {
    /// One that every SDK knows.
    Standard(WindowFn),
    /// A registered one.
    Custom(FunctionPayload),
}

/// How a collection is windowed.
#[derive(Debug, Clone)]
pub struct WindowingSpec {
    /// The window function, unless it is another SDK's own.
    pub window_fn: Option<WindowFnSpec>,
    /// Which timestamp a group of its elements has.
    pub output_time: OutputTime,
    /// The coder of its windows.
    pub coder: Coder,
    /// How long after the end of a window elements of it are still taken.
    pub allowed_lateness: Duration,
}

/// Which timestamp a combined element has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputTime {
    /// The end of the window.
    EndOfWindow,
    /// The latest of the parts.
    Latest,
    /// The earliest of the parts.
    Earliest,
}

/// A side input.
#[derive(Debug)]
pub struct SideSpec {
    /// Its local name.
    pub tag: String,
    /// Coder of the collection.
    pub coder: Coder,
    /// The window function that its windows are mapped by.
    pub window_fn: WindowFnSpec,
}

/// State of a function.
#[derive(Debug, Clone)]
pub struct StateSpec {
    /// Its local name.
    pub tag: String,
    /// How the runner keeps it.
    pub protocol: StateProtocol,
}

/// A family of timers of a function.
#[derive(Debug, Clone)]
pub struct TimerSpec {
    /// Its local name.
    pub family: String,
    /// The time that its timers wait for.
    pub domain: TimeDomain,
    /// The coder of its timers.
    pub coder: Coder,
    /// Whether its timers fire when windows expire.
    pub on_window_expiration: bool,
}

impl PlanSpec {
    /// The sources, with their node indices. Their order is that in which a plan numbers its sources.
    pub fn sources(&self) -> impl Iterator<Item = (usize, &NodeSpec, &PortSpec)> {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter_map(|(index, node)| match &node.kind {
            NodeKind::Source(port) => Some((index, node, port)),
            _ => None,
        })
    }

    /// The sinks, with their node indices. Their order is that in which a plan numbers its sinks.
    pub fn sinks(&self) -> impl Iterator<Item = (usize, &NodeSpec, &PortSpec)> {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter_map(|(index, node)| match &node.kind {
            NodeKind::Sink(port) => Some((index, node, port)),
            _ => None,
        })
    }

    /// All families of timers, with the indices of their nodes. Their order is that in which a plan numbers its timers:
    /// those of one node follow each other, as they do in [`NodeKind::ParDo`].
    pub fn timer_families(&self) -> impl Iterator<Item = (usize, &NodeSpec, &TimerSpec)> {
        let nodes = self.nodes.iter().enumerate();
        nodes.flat_map(|(index, node)| {
            let timers = match &node.kind {
                NodeKind::ParDo { timers, .. } => timers.as_slice(),
                _ => &[],
            };
            timers.iter().map(move |timer| (index, node, timer))
        })
    }

    /// Whether a bundle may read state: side inputs, or values that a runner kept back.
    pub fn may_read_state(&self) -> bool {
        self.nodes.iter().any(|node| match &node.kind {
            NodeKind::ParDo { sides, states, .. } => !sides.is_empty() || !states.is_empty(),
            NodeKind::Splittable { sides, .. } => !sides.is_empty(),
            NodeKind::Source(port) => holds_iterables(&port.value),
            _ => false,
        })
    }
}

fn holds_iterables(coder: &Coder) -> bool {
    coder.is(urn::ITERABLE)
        || coder.is(urn::STATE_BACKED_ITERABLE)
        || coder.components.iter().any(holds_iterables)
}

impl WindowingSpec {
    /// How the windows are encoded.
    ///
    /// # Errors
    /// A window coder whose values cannot be stepped over.
    pub fn coding(&self) -> Result<WindowCoding> {
        WindowCoding::of(&self.coder)
    }

    /// A function that finds the last timestamp of an encoded window.
    pub fn end_of(&self) -> EndOf {
        end_of_windows(&self.coder)
    }
}

/// Finds the last timestamp of an encoded window.
pub type EndOf = fn(&[u8]) -> Result<Timestamp>;

/// How to find the last timestamp of a window that `coder` encoded.
pub fn end_of_windows(coder: &Coder) -> EndOf {
    match coder.urn.as_ref() {
        urn::GLOBAL_WINDOW => |_| Ok(GlobalWindow.max_timestamp()),
        urn::INTERVAL_WINDOW => |window| {
            let window = IntervalWindow::decode(&mut Input::new(window), Nesting::Nested)?;
            Ok(window.max_timestamp())
        },
        urn::CUSTOM_WINDOW => |window| Timestamp::decode(&mut Input::new(window)),
        _ => |_| {
            Err(Error::descriptor(
                "the end of a window of an unknown kind cannot be told",
            ))
        },
    }
}
