//! Bundles that have a thread: what can be seen of each from outside.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::instructions::Running;
use super::lulls::Place;
use super::process::Thread;
use crate::exec::{Activity, Phase};
use crate::model::descriptor::{NodeSpec, PlanSpec};

/// A bundle whose plan is being made.
#[derive(Clone)]
pub(crate) struct Creating {
    /// The descriptor's id.
    pub(crate) descriptor: Arc<str>,
    pub(crate) thread: Thread,
    /// What is linked, once it is known.
    pub(crate) plan: Option<(Arc<PlanSpec>, Activity)>,
}

/// A bundle that has a thread.
pub(crate) struct Work {
    pub(crate) instruction: Arc<str>,
    pub(crate) stage: Stage,
}

/// How far a bundle is.
pub(crate) enum Stage {
    Creating(Creating),
    Running(Running),
}

impl Work {
    /// Where the bundle is now.
    pub(crate) fn place(&self) -> Place {
        match &self.stage {
            Stage::Creating(creating) => {
                let plan = creating.plan.as_ref();
                Place::Creation(plan.and_then(|(_, activity)| Some(activity.now()?.0)))
            }
            Stage::Running(running) => match running.activity.now() {
                None => Place::Input,
                Some((node, phase)) => Place::Transform {
                    node,
                    phase,
                    steps: steps(running),
                },
            },
        }
    }

    /// Adds the time between two looks to the transform that runs.
    pub(crate) fn count(&self, last: Instant, now: Instant) {
        let Stage::Running(running) = &self.stage else {
            return;
        };
        if let Some((node, phase)) = running.activity.now()
            && let Some(times) = running.metrics.times.get(node)
        {
            let since = last.max(running.began);
            let millis = now.saturating_duration_since(since).as_millis();
            times.add(phase, u64::try_from(millis).unwrap_or(0));
        }
    }

    /// The transform of a node.
    pub(crate) fn node(&self, index: usize) -> Option<&NodeSpec> {
        let spec = match &self.stage {
            Stage::Creating(creating) => &creating.plan.as_ref()?.0,
            Stage::Running(running) => &running.facts.spec,
        };
        spec.nodes.get(index)
    }

    pub(crate) fn thread(&self) -> Thread {
        match &self.stage {
            Stage::Creating(creating) => creating.thread,
            Stage::Running(running) => running.thread,
        }
    }

    /// Where the bundle is, in the words that operators look for in the logs of Beam's workers.
    pub(crate) fn describe(&self, place: Place) -> String {
        let state = match place {
            Place::Creation(_) => "setup",
            Place::Input => "",
            Place::Transform { phase, .. } => state(phase),
        };
        match (place.node().and_then(|node| self.node(node)), &self.stage) {
            (Some(node), _) => format!(" for PTransform{{name={}, state={state}}}", node.name),
            (None, Stage::Creating(creating)) => {
                format!(
                    " while its plan is made from descriptor {:?}",
                    &*creating.descriptor
                )
            }
            (None, Stage::Running(_)) => String::new(),
        }
    }
}

/// What a bundle has taken in and put out so far.
fn steps(running: &Running) -> u64 {
    let emitted = running.metrics.collections.iter();
    let emitted = emitted.map(|meter| meter.count.load(Relaxed));
    let begun = running.metrics.sources.iter();
    let begun = begun.map(|source| u64::try_from(source.begun()).unwrap_or(0));
    let turn = u64::from(running.activity.turn());
    emitted.chain(begun).fold(turn, u64::wrapping_add)
}

/// The name of a phase, as other SDKs have it.
fn state(phase: Phase) -> &'static str {
    match phase {
        Phase::Start => "start-msecs",
        Phase::Process => "process-msecs",
        Phase::Finish => "finish-msecs",
        Phase::Timers => "process-timers-msecs",
    }
}

/// A length of time as other SDKs write it: `05m20s`, `01h00m00s`.
pub(crate) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours:02}h{minutes:02}m{seconds:02}s")
    } else {
        format!("{minutes:02}m{seconds:02}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        for (seconds, text) in [
            (0, "00m00s"),
            (320, "05m20s"),
            (3600, "01h00m00s"),
            (360_001, "100h00m01s"),
        ] {
            assert_eq!(clock(Duration::from_secs(seconds)), text);
        }
    }
}
