//! Timers: what a function does later, for each key and window.
//!
//! A timer is a port, named after a type of your own that says what it is for. What happens when it fires stands in an
//! impl of [`OnTimer`] for that type; a function with a timer and without such an impl does not compile.
//!
//! ```
//! use ferrobeam::prelude::*;
//! use ferrobeam::testing::DoFnTester;
//! use std::time::Duration;
//!
//! /// Reminds of each order a minute after it came.
//! #[derive(serde::Serialize, serde::Deserialize, DoFn)]
//! #[beam(name = "shop.Remind/v1")]
//! struct Remind;
//!
//! /// The time has come to remind of an order.
//! struct Due;
//!
//! #[derive(Ports)]
//! struct RemindIo {
//!     reminders: Out<String>,
//!     due: Timer<Due>,
//! }
//!
//! impl DoFn for Remind {
//!     type In = Kv<String, i64>;
//!     type Io = RemindIo;
//!
//!     fn process(&mut self, _order: Self::In, cx: &mut Cx, io: &mut RemindIo) -> Result {
//!         io.due.set_after(cx, Duration::from_secs(60));
//!         Ok(())
//!     }
//! }
//!
//! impl OnTimer<Due> for Remind {
//!     fn on_timer(&mut self, key: &String, _fired: Fired, cx: &mut Cx, io: &mut RemindIo) -> Result {
//!         io.reminders.emit(cx, key.clone());
//!         Ok(())
//!     }
//! }
//!
//! let minute = Timestamp::from_millis(60_000);
//! let mut tester = DoFnTester::of(Remind).at(Timestamp::from_millis(0));
//! assert!(tester.run([Kv("tea".to_owned(), 2)])?.reminders.is_empty());
//! assert_eq!(tester.advance_watermark(minute)?.reminders.timestamped(), [(minute, "tea".to_owned())]);
//! # Ok::<(), ferrobeam::Error>(())
//! ```
//!
//! # When timers fire
//!
//! A timer belongs to the key and the window of the element, or of the timer, that is in hand when it is set. Setting it
//! again replaces it; [`clear`](Timer::clear) removes it. It fires once.
//!
//! An event-time timer fires when the watermark of the input has passed its time, so no later than the window ends, plus
//! the lateness that its input allows. A processing-time timer fires when the clock of the runner has; if the window has
//! gone by then, it does not fire.
//!
//! Within a bundle, timers of one key and window fire in the order of their times, even those that the bundle itself has
//! set or moved.
//!
//! # What handlers emit
//!
//! [`Cx::timestamp`](super::Cx::timestamp) in a handler is the timer's [`Hold`]: the event time of what the handler emits. Until
//! the timer fires or is cleared, the watermark of the outputs is held back there, so that nothing comes late.

mod domain;
mod family;
mod handlers;
mod ports;
mod wiring;

pub use domain::{Domain, EventTime, ProcessingTime, TimeDomain};
pub use family::{Hold, TimerFamily};
pub use handlers::{Fired, KeyOf, OnTimer, OnWindowExpiration};
pub use ports::{Timer, Timers, WindowExpiration};
pub(in crate::dofn) use wiring::undeclared;
pub use wiring::{TimerHandler, TimerHandlers, TimerRules, TimerWiring, TimerWrites};
