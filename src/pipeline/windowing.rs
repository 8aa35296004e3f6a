//! How a collection is windowed, and when its groups fire.

use std::time::Duration;

use beam_proto::pipeline::{
    self as proto, TimestampTransform, WindowingStrategy, accumulation_mode, closing_behavior,
    on_time_behavior, output_time, timestamp_transform, trigger,
};

use super::components::ComponentsBuilder;
use crate::error::{Error, Result};
use crate::window::WindowFn;

/// When the groups of a window fire.
///
/// A trigger that is not [repeated](Trigger::repeatedly) fires once, and what comes after is dropped.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger(proto::Trigger);

impl Trigger {
    fn of(trigger: trigger::Trigger) -> Self {
        Trigger(proto::Trigger {
            trigger: Some(trigger),
        })
    }

    /// When the watermark passes the window's end, and again for each late element. This is what holds where nothing
    /// else is said.
    pub fn watermark() -> Self {
        Trigger::of(trigger::Trigger::Default(trigger::Default {}))
    }

    /// When at least so many elements have come.
    pub fn after_count(elements: u32) -> Self {
        Trigger::of(trigger::Trigger::ElementCount(trigger::ElementCount {
            element_count: i32::try_from(elements).unwrap_or(i32::MAX),
        }))
    }

    /// When so much time has passed on the runner's clock since the first element came.
    pub fn after_processing_time(delay: Duration) -> Self {
        let delay = timestamp_transform::Delay {
            delay_millis: i64::try_from(delay.as_millis()).unwrap_or(i64::MAX),
        };
        let delay = timestamp_transform::TimestampTransform::Delay(delay);
        Trigger::of(trigger::Trigger::AfterProcessingTime(
            trigger::AfterProcessingTime {
                timestamp_transforms: vec![TimestampTransform {
                    timestamp_transform: Some(delay),
                }],
            },
        ))
    }

    /// When the watermark passes the window's end. Before that whenever `early` fires, after it whenever `late` does;
    /// neither has to be repeated.
    pub fn after_watermark(early: Option<Trigger>, late: Option<Trigger>) -> Self {
        let boxed = |trigger: Option<Trigger>| trigger.map(|trigger| Box::new(trigger.0));
        Trigger::of(trigger::Trigger::AfterEndOfWindow(Box::new(
            trigger::AfterEndOfWindow {
                early_firings: boxed(early),
                late_firings: boxed(late),
            },
        )))
    }

    /// When the first of several fires.
    pub fn any(of: impl IntoIterator<Item = Trigger>) -> Self {
        let subtriggers = of.into_iter().map(|trigger| trigger.0).collect();
        Trigger::of(trigger::Trigger::AfterAny(trigger::AfterAny {
            subtriggers,
        }))
    }

    /// When the last of several fires.
    pub fn all(of: impl IntoIterator<Item = Trigger>) -> Self {
        let subtriggers = of.into_iter().map(|trigger| trigger.0).collect();
        Trigger::of(trigger::Trigger::AfterAll(trigger::AfterAll {
            subtriggers,
        }))
    }

    /// At each element.
    pub fn always() -> Self {
        Trigger::of(trigger::Trigger::Always(trigger::Always {}))
    }

    /// Only when the window expires.
    pub fn never() -> Self {
        Trigger::of(trigger::Trigger::Never(trigger::Never {}))
    }

    /// Again and again, whenever it fires.
    #[must_use]
    pub fn repeatedly(self) -> Self {
        Trigger::of(trigger::Trigger::Repeat(Box::new(trigger::Repeat {
            subtrigger: Some(Box::new(self.0)),
        })))
    }
}

/// The trigger of what a grouping by `trigger` has put out: as soon as it comes, and no sooner.
pub(super) fn continuation(of: &proto::Trigger) -> proto::Trigger {
    use trigger::Trigger as T;
    let each = |all: &[proto::Trigger]| all.iter().map(continuation).collect();
    let boxed = |of: &Option<Box<proto::Trigger>>| of.as_deref().map(continuation).map(Box::new);
    let next = of.trigger.as_ref().map(|known| match known {
        T::ElementCount(_) => T::ElementCount(trigger::ElementCount { element_count: 1 }),
        T::AfterProcessingTime(_) => {
            T::AfterSynchronizedProcessingTime(trigger::AfterSynchronizedProcessingTime {})
        }
        T::AfterAny(any) => T::AfterAny(trigger::AfterAny {
            subtriggers: each(&any.subtriggers),
        }),
        T::AfterAll(all) => T::AfterAll(trigger::AfterAll {
            subtriggers: each(&all.subtriggers),
        }),
        // One after the other has no meaning for what comes out of it: each is to pass.
        T::AfterEach(all) => T::Repeat(Box::new(trigger::Repeat {
            subtrigger: Some(Box::new(proto::Trigger {
                trigger: Some(T::AfterAny(trigger::AfterAny {
                    subtriggers: each(&all.subtriggers),
                })),
            })),
        })),
        T::AfterEndOfWindow(end) => T::AfterEndOfWindow(Box::new(trigger::AfterEndOfWindow {
            early_firings: boxed(&end.early_firings),
            late_firings: boxed(&end.late_firings),
        })),
        T::OrFinally(or) => T::OrFinally(Box::new(trigger::OrFinally {
            main: boxed(&or.main),
            finally: boxed(&or.finally),
        })),
        T::Repeat(repeat) => T::Repeat(Box::new(trigger::Repeat {
            subtrigger: boxed(&repeat.subtrigger),
        })),
        T::AfterSynchronizedProcessingTime(_) | T::Always(_) | T::Default(_) | T::Never(_) => {
            known.clone()
        }
    });
    proto::Trigger { trigger: next }
}

/// The timestamp that a group gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimestampCombiner {
    /// The end of its window.
    #[default]
    EndOfWindow,
    /// The earliest of its elements' timestamps.
    Earliest,
    /// The latest of its elements' timestamps.
    Latest,
}

/// Whether a window fires although nothing has come since it last did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firing {
    /// It fires all the same, so that there is a firing to wait for.
    Always,
    /// It does not.
    IfNonEmpty,
}

/// How a collection is windowed, and when its groups fire. A [`WindowFn`] alone is one, too.
///
/// ```
/// use ferrobeam::pipeline::{Pipeline, Trigger, Windowing};
/// use ferrobeam::window::{FixedWindows, WindowFn};
/// use std::time::Duration;
///
/// let pipeline = Pipeline::new();
/// let numbers = pipeline.create("Numbers", [1i64, 2, 3]);
/// let minutes = WindowFn::Fixed(FixedWindows { size: 60_000, offset: 0 });
/// let windowing = Windowing::by(minutes)
///     .trigger(Trigger::after_watermark(Some(Trigger::after_count(100)), None))
///     .accumulating()
///     .allowed_lateness(Duration::from_secs(10));
/// numbers.window_into("Minutes", windowing);
/// # pipeline.check()?;
/// # Ok::<(), ferrobeam::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Windowing {
    window_fn: WindowFn,
    trigger: Trigger,
    accumulating: bool,
    allowed_lateness: Duration,
    timestamps: TimestampCombiner,
    on_time: Firing,
    at_closing: Firing,
}

impl From<WindowFn> for Windowing {
    fn from(window_fn: WindowFn) -> Self {
        Windowing::by(window_fn)
    }
}

impl Windowing {
    /// Windows that a function assigns. Each fires once, when the watermark passes its end; what is late is dropped.
    pub fn by(window_fn: WindowFn) -> Self {
        Windowing {
            window_fn,
            trigger: Trigger::watermark(),
            accumulating: false,
            allowed_lateness: Duration::ZERO,
            timestamps: TimestampCombiner::default(),
            on_time: Firing::Always,
            at_closing: Firing::IfNonEmpty,
        }
    }

    /// Says when groups fire.
    #[must_use]
    pub fn trigger(mut self, trigger: Trigger) -> Self {
        self.trigger = trigger;
        self
    }

    /// Lets each firing hold what earlier ones of its window held.
    #[must_use]
    pub fn accumulating(mut self) -> Self {
        self.accumulating = true;
        self
    }

    /// Says how long after a window's end its elements are still taken.
    #[must_use]
    pub fn allowed_lateness(mut self, lateness: Duration) -> Self {
        self.allowed_lateness = lateness;
        self
    }

    /// Says what timestamp a group gets.
    #[must_use]
    pub fn timestamps(mut self, combiner: TimestampCombiner) -> Self {
        self.timestamps = combiner;
        self
    }

    /// Says whether groups that have fired already fire again when the watermark passes their window's end and nothing has
    /// come meanwhile: [`Firing::Always`] unless said otherwise, as in Beam's other SDKs.
    #[must_use]
    pub fn on_time(mut self, firing: Firing) -> Self {
        self.on_time = firing;
        self
    }

    /// Says whether groups fire a last time when their window expires and nothing has come meanwhile:
    /// [`Firing::IfNonEmpty`] unless said otherwise.
    #[must_use]
    pub fn at_closing(mut self, firing: Firing) -> Self {
        self.at_closing = firing;
        self
    }

    /// Checks what comes from outside.
    pub(super) fn checked(self) -> Result<Self> {
        self.window_fn.checked()?;
        check(&self.trigger.0)?;
        Ok(self)
    }

    /// The strategy, for a pipeline.
    pub(super) fn strategy(&self, components: &mut ComponentsBuilder) -> WindowingStrategy {
        let accumulation_mode = if self.accumulating {
            accumulation_mode::Enum::Accumulating
        } else {
            accumulation_mode::Enum::Discarding
        };
        let output_time = match self.timestamps {
            TimestampCombiner::EndOfWindow => output_time::Enum::EndOfWindow,
            TimestampCombiner::Earliest => output_time::Enum::EarliestInPane,
            TimestampCombiner::Latest => output_time::Enum::LatestInPane,
        };
        let on_time_behavior = match self.on_time {
            Firing::Always => on_time_behavior::Enum::FireAlways,
            Firing::IfNonEmpty => on_time_behavior::Enum::FireIfNonempty,
        };
        let closing_behavior = match self.at_closing {
            Firing::Always => closing_behavior::Enum::EmitAlways,
            Firing::IfNonEmpty => closing_behavior::Enum::EmitIfNonempty,
        };
        let lateness = i64::try_from(self.allowed_lateness.as_millis());
        WindowingStrategy {
            trigger: Some(self.trigger.0.clone()),
            accumulation_mode: accumulation_mode.into(),
            output_time: output_time.into(),
            on_time_behavior: on_time_behavior.into(),
            closing_behavior: closing_behavior.into(),
            allowed_lateness: lateness.unwrap_or(i64::MAX),
            ..components.strategy(&self.window_fn)
        }
    }
}

/// Refuses what can never fire by mistake.
fn check(of: &proto::Trigger) -> Result<()> {
    use trigger::Trigger as T;
    match &of.trigger {
        Some(T::ElementCount(count)) if count.element_count == 0 => Err(Error::config(
            "a trigger after no elements would never fire; say how many",
        )),
        Some(T::AfterAny(trigger::AfterAny { subtriggers }))
        | Some(T::AfterAll(trigger::AfterAll { subtriggers })) => {
            if subtriggers.is_empty() {
                return Err(Error::config("a trigger of several triggers has none"));
            }
            subtriggers.iter().try_for_each(check)
        }
        Some(T::Repeat(repeat)) => repeat.subtrigger.as_deref().map_or(Ok(()), check),
        Some(T::AfterEndOfWindow(end)) => [&end.early_firings, &end.late_firings]
            .into_iter()
            .flatten()
            .try_for_each(|trigger| check(trigger)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_grouped_fires_as_it_comes() {
        let early = Trigger::after_processing_time(Duration::from_secs(1));
        let trigger = Trigger::after_watermark(Some(early), Some(Trigger::after_count(7)));
        let synchronized = trigger::Trigger::AfterSynchronizedProcessingTime(
            trigger::AfterSynchronizedProcessingTime {},
        );
        let next = Trigger::after_watermark(
            Some(Trigger::of(synchronized)),
            Some(Trigger::after_count(1)),
        );
        assert_eq!(continuation(&trigger.0), next.0);
        for stays in [Trigger::watermark(), Trigger::always(), Trigger::never()] {
            assert_eq!(continuation(&stays.0), stays.0);
        }
    }

    #[test]
    fn triggers_that_cannot_fire_are_refused() {
        for wrong in [
            Trigger::after_count(0).repeatedly(),
            Trigger::any([]),
            Trigger::after_watermark(None, Some(Trigger::after_count(0))),
        ] {
            let windowing = Windowing::by(WindowFn::Global).trigger(wrong);
            windowing.checked().expect_err("it cannot fire");
        }
    }
}
