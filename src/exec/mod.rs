//! Runs bundles: synchronous, without sockets and without a clock.
//!
//! A [`PlanSpec`](crate::model::descriptor::PlanSpec) is linked once into a tree of nodes with typed edges; strings,
//! maps and downcasts end there.

mod activity;
mod edge;
mod flow;
mod framing;
mod held;
mod link;
mod nodes;
mod plan;
mod registry;
mod samples;
mod side;
mod source;
mod split;
mod splittable;
mod timers;

pub use activity::{Activity, Here, Phase, PhaseTimes};
pub use held::HeldOutput;
pub use link::{LinkServices, Outbox, link, link_watched};
pub(crate) use plan::from_panic;
pub use plan::{Inbound, Plan, PlanMetrics};
pub use registry::Registry;
pub use samples::{Failure, Sample, Samples, Tasting};
pub use source::{SourceProgress, SourceSplit};
pub use split::{ChannelSplit, DesiredSplit};
pub use splittable::{AtElement, BundleGate, InHand, Residual, Root, Ticket};
pub(crate) use timers::{LocalTimers, emits_at};
