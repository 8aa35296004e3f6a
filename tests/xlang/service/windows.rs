//! Where elements are in event time.

use std::time::Duration;

use ferrobeam::Row;
use ferrobeam::exec::Registry;
use ferrobeam::expansion::{Catalogue, Outputs};
use ferrobeam::prelude::*;
use ferrobeam::window::{FixedWindows, IntervalWindow, WindowFn};
use serde::{Deserialize, Serialize};

pub(crate) fn functions(registry: &mut Registry) {
    registry.add::<TellTime>();
}

pub(crate) fn transforms(catalogue: &mut Catalogue) {
    catalogue
        .add_urn("ferrobeam:test:tell_time", |call| {
            let texts = call.only_input::<String>()?;
            Ok(Outputs::only(texts.par_do("Tell", TellTime).told))
        })
        .add_urn("ferrobeam:test:fixed_windows", |call| {
            let texts = call.only_input::<String>()?;
            let fixed = WindowFn::Fixed(FixedWindows::of(Duration::from_secs(10)));
            Ok(Outputs::only(texts.window_into("Fixed", fixed)))
        });
}

/// An element, and what was seen of its header.
#[derive(Clone, Row)]
struct Told {
    text: String,
    at: Timestamp,
    start: Timestamp,
    end: Timestamp,
}

/// Tells when each element is, and emits that a second later.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "test.TellTime/v1")]
struct TellTime;

#[derive(Ports)]
struct TellTimeIo {
    told: Out<Told>,
    window: InWindow<IntervalWindow>,
}

impl DoFn for TellTime {
    type In = String;
    type Io = TellTimeIo;

    fn process(&mut self, text: String, cx: &mut Cx<'_>, io: &mut TellTimeIo) -> Result {
        let window = *io.window.get()?;
        let at = cx.timestamp();
        let told = Told {
            text,
            at,
            start: window.start,
            end: window.end,
        };
        let later = Timestamp::from_millis(at.millis() + 1000);
        io.told.emit_at(cx, later, told);
        Ok(())
    }
}
