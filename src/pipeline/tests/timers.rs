//! What pipelines say of timers.

use std::time::Duration;

use beam_proto::pipeline::{ParDoPayload, time_domain};
use prost::Message;
use serde::{Deserialize, Serialize};

use super::*;
use crate::dofn::{
    Cx, DoFn, Fired, Named, OnTimer, OnWindowExpiration, Out, ProcessingTime, Timer, Timers,
    WindowExpiration,
};
use crate::error::Result;
use crate::window::{FixedWindows, WindowFn};

/// A function with timers of each kind.
#[derive(Serialize, Deserialize)]
struct Timed;

impl Named for Timed {
    const NAME: &'static str = "test.Timed/v1";
}

struct Event;
struct Wall;

#[derive(beam_derive::Ports)]
#[beam(crate = "crate")]
struct TimedIo {
    out: Out<i64>,
    event: Timer<Event>,
    wall: Timers<Wall, ProcessingTime>,
    expiry: WindowExpiration,
}

impl DoFn for Timed {
    type In = Kv<String, i64>;
    type Io = TimedIo;

    fn process(&mut self, Kv(_, n): Self::In, cx: &mut Cx<'_>, io: &mut TimedIo) -> Result {
        io.event.set(cx, cx.timestamp());
        io.wall.set_after(cx, "tag", Duration::ZERO);
        io.out.emit(cx, n);
        Ok(())
    }
}

impl OnTimer<Event> for Timed {
    fn on_timer(&mut self, _: &String, _: Fired<'_>, _: &mut Cx<'_>, _: &mut TimedIo) -> Result {
        Ok(())
    }
}

impl OnTimer<Wall> for Timed {
    fn on_timer(&mut self, _: &String, _: Fired<'_>, _: &mut Cx<'_>, _: &mut TimedIo) -> Result {
        Ok(())
    }
}

impl OnWindowExpiration for Timed {
    fn on_window_expiration(&mut self, _: &String, _: &mut Cx<'_>, _: &mut TimedIo) -> Result {
        Ok(())
    }
}

/// A timer under keys that cannot be grouped by.
#[derive(Serialize, Deserialize)]
struct Fractions;

impl Named for Fractions {
    const NAME: &'static str = "test.Fractions/v1";
}

#[derive(beam_derive::Ports)]
#[beam(crate = "crate")]
struct FractionsIo {
    event: Timer<Event>,
}

impl DoFn for Fractions {
    type In = Kv<f64, i64>;
    type Io = FractionsIo;

    fn process(&mut self, _: Self::In, cx: &mut Cx<'_>, io: &mut FractionsIo) -> Result {
        io.event.clear(cx);
        Ok(())
    }
}

impl OnTimer<Event> for Fractions {
    fn on_timer(&mut self, _: &f64, _: Fired<'_>, _: &mut Cx<'_>, _: &mut FractionsIo) -> Result {
        Ok(())
    }
}

#[test]
fn timers_are_families_with_the_coders_of_keys_and_windows() {
    let pipeline = Pipeline::new();
    let pairs = pipeline.create("Pairs", [Kv("a".to_owned(), 1i64)]);
    let windows = WindowFn::Fixed(FixedWindows::of(Duration::from_secs(1)));
    pairs.window_into("Window", windows).par_do("Timed", Timed);
    let built = built(&pipeline);
    let spec = transform(&built, "Timed").spec.as_ref().unwrap();
    let payload = ParDoPayload::decode(&spec.payload[..]).unwrap();
    let families: Vec<_> = payload
        .timer_family_specs
        .iter()
        .map(|(family, spec)| {
            let coder = crate::model::coders::resolve(
                &built.components.coders,
                &spec.timer_family_coder_id,
            );
            (
                family.as_str(),
                spec.time_domain(),
                coder.unwrap().to_string(),
            )
        })
        .collect();
    let coder = "timer<string_utf8, interval_window>".to_owned();
    assert_eq!(
        families,
        [
            ("event", time_domain::Enum::EventTime, coder.clone()),
            ("expiry", time_domain::Enum::EventTime, coder.clone()),
            ("wall", time_domain::Enum::ProcessingTime, coder),
        ]
    );
    assert_eq!(payload.on_window_expiration_timer_family_spec, "expiry");
    assert_eq!(
        built.requirements.iter().collect::<Vec<_>>(),
        [
            "beam:requirement:pardo:on_window_expiration:v1",
            "beam:requirement:pardo:stateful:v1",
        ]
    );
}

#[test]
fn timers_need_keys_that_can_be_grouped_by() {
    let pipeline = Pipeline::new();
    pipeline
        .create("Pairs", [Kv(1.5, 1i64)])
        .par_do("Do", Fractions);
    assert_eq!(
        refused(&pipeline),
        "keys of double cannot be grouped: a number with a fraction has several encodings of zero and of not-a-number; \
         use whole numbers, text or bytes (transform \"Do\")"
    );
}
